//go:build linux

// Package subject starts the servers that the bench compares, prepares them to give tokens, and ends them.
// Everything listens on loopback and nothing outlives the bench: servers are ended by the ids of the
// processes that were started, and a process that stays behind is an error.
package subject

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"seawall/bench/internal/process"
)

const (
	startTimeout = 30 * time.Second // from exec to "ready"
	stopTimeout  = 20 * time.Second // from SIGTERM to the end of every process
)

// Server is one running server: a process and its descendants.
type Server struct {
	Name    string
	Base    *url.URL  // what its "ready at" line says
	Started time.Time // just before its first process

	cmd   *exec.Cmd
	log   string        // file with its standard error
	ended chan struct{} // closed when the first process has ended
}

// Start runs a program and waits for its line "… NAME … ready at URL" on standard output. Standard error goes
// to a file in logs.
func Start(ctx context.Context, name, logs, program string, args ...string) (*Server, error) {
	s := &Server{
		Name:  name,
		cmd:   exec.Command(program, args...),
		log:   filepath.Join(logs, name+".log"),
		ended: make(chan struct{}),
	}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd.Stderr = log
	// A bench that is killed takes its servers with it.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.Started = time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	ready := make(chan string, 1)
	go s.watch(stdout, ready)
	if err := s.wait(ctx, ready); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// watch reads standard output to its end, tells the first address it finds, and reaps the process.
func (s *Server) watch(stdout io.Reader, ready chan<- string) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if who, address, found := strings.Cut(lines.Text(), "ready at "); found && strings.Contains(who, s.Name) {
			select {
			case ready <- strings.TrimSpace(address):
			default:
			}
		}
	}
	_, _ = io.Copy(io.Discard, stdout)
	_ = s.cmd.Wait()
	close(s.ended)
}

func (s *Server) wait(ctx context.Context, ready <-chan string) error {
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case address := <-ready:
		base, err := url.Parse(address)
		if err != nil || base.Host == "" {
			return fmt.Errorf("%s says it is ready at %q, which is no address", s.Name, address)
		}
		s.Base = base
		return nil
	case <-s.ended:
		return fmt.Errorf("%s ended before it was ready; it said: %s", s.Name, s.lastWords())
	case <-timer.C:
		return fmt.Errorf("%s was not ready after %v; it said: %s", s.Name, startTimeout, s.lastWords())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lastWords is the end of the server's standard error.
func (s *Server) lastWords() string {
	const enough = 1000
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	words := strings.TrimSpace(string(text[max(0, len(text)-enough):]))
	if words == "" {
		return "nothing"
	}
	return words
}

// Processes lists the server's processes now.
func (s *Server) Processes() ([]process.Process, error) {
	return process.Tree(s.cmd.Process.Pid)
}

// Stop asks the server to end (SIGTERM) and waits for all its processes. Those that do not end in time are
// killed, which is an error: a server must not need it.
func (s *Server) Stop() error {
	processes, err := s.Processes()
	if err != nil {
		processes = nil // the first process is already gone; its children end with it or are not ours to see
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	deadline := time.Now().Add(stopTimeout)
	for time.Now().Before(deadline) {
		if s.hasEnded() && len(alive(processes)) == 0 {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	var errs []error
	for _, p := range alive(processes) {
		errs = append(errs, fmt.Errorf("%s: its %s (process %d) did not end within %v of SIGTERM and was killed",
			s.Name, p.Role, p.PID, stopTimeout))
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
	if !s.hasEnded() {
		// Not reaped yet, so its id still names the process group that we made for it and nobody else.
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		<-s.ended
	}
	return errors.Join(errs...)
}

func (s *Server) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func alive(processes []process.Process) []process.Process {
	var left []process.Process
	for _, p := range processes {
		if p.Alive() {
			left = append(left, p)
		}
	}
	return left
}
