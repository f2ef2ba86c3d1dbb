// Package testenv is the cellar: it builds and starts the real things that tests need, and stops them again by the
// process ids it started. A missing tool is a failure that says what to install, never a skip.
package testenv

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything is waited for. It is only ever used up by a failure.
const patience = 60 * time.Second

// Build makes the release binaries, as `make build` does, and puts them into dir. tags are build tags.
func Build(dir string, tags ...string) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", dir + string(filepath.Separator)}
	if len(tags) > 0 {
		args = append(args, "-tags", strings.Join(tags, ","))
	}
	cmd := exec.Command("go", append(args, "seawall/cmd/...")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building seawall: %w\n%s", err, out)
	}
	return nil
}

// Options says how a seawall is started. The zero value is a new one as the present user, on a free port of loopback.
type Options struct {
	Binary string   // path of the seawall binary; required
	Data   string   // data directory; a new one when empty
	Args   []string // further arguments of `seawall up`
	Env    []string // added to the environment
	UID    int      // user and group id to start as when the tests run as root; 0 is the present user
	Listen string   // address; a free port of loopback when empty
}

// Seawall is a running `seawall up` and what it said.
type Seawall struct {
	Options
	URL    string // as it announced it
	t      testing.TB
	cmd    *exec.Cmd
	output *Transcript
	exited chan struct{}
	err    error // of the process; valid once exited is closed
}

// Transcript keeps what a process prints, on both streams.
type Transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends what was printed.
func (l *Transcript) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns everything so far.
func (l *Transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Launch starts a seawall without waiting until it is ready. It is stopped when the test ends.
func Launch(t testing.TB, o Options) *Seawall {
	t.Helper()
	if o.Data == "" {
		o.Data = filepath.Join(Dir(t, o.UID), "data")
	}
	if o.Listen == "" {
		o.Listen = FreeAddress(t)
	}
	s := &Seawall{Options: o, t: t, output: new(Transcript), exited: make(chan struct{})}
	s.cmd = exec.Command(o.Binary, append([]string{"up", "--data", o.Data, "--listen", o.Listen}, o.Args...)...)
	s.cmd.Env = append(cleanEnv(), o.Env...)
	s.cmd.Stderr = s.output
	if o.UID != 0 {
		s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(o.UID), Gid: uint32(o.UID)}}
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("starting seawall: %v", err)
	}
	ready := make(chan string, 1)
	go s.watch(stdout, ready)
	t.Cleanup(func() { s.end() })
	s.URL = ""
	select {
	case s.URL = <-ready:
	case <-s.exited:
	case <-time.After(patience):
		s.end()
		t.Fatalf("seawall did not become ready:\n%s", s.Output())
	}
	return s
}

// Start starts a seawall and waits until it says that it is ready.
func Start(t testing.TB, o Options) *Seawall {
	t.Helper()
	s := Launch(t, o)
	if s.URL == "" {
		t.Fatalf("seawall ended before it was ready: %v\n%s", s.err, s.Output())
	}
	return s
}

// cleanEnv is the environment without what would steer seawall.
func cleanEnv() []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "SEAWALL_") && !strings.HasPrefix(entry, "GOTRACEBACK=") {
			env = append(env, entry)
		}
	}
	return env
}

func (s *Seawall) watch(stdout io.Reader, ready chan<- string) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		fmt.Fprintln(s.output, lines.Text())
		if url, ok := strings.CutPrefix(lines.Text(), "seawall: ready at "); ok {
			select {
			case ready <- url:
			default:
			}
		}
	}
	s.err = s.cmd.Wait()
	close(s.exited)
}

// Output is everything the processes have printed so far.
func (s *Seawall) Output() string { return s.output.String() }

// PID is the supervisor's process id.
func (s *Seawall) PID() int { return s.cmd.Process.Pid }

// Exited waits until the supervisor has ended and returns its exit status, -1 for a signal.
func (s *Seawall) Exited() int {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Fatalf("seawall did not end:\n%s", s.Output())
	}
	return s.cmd.ProcessState.ExitCode()
}

// Stop ends seawall as an operator would, and checks that it ends well.
func (s *Seawall) Stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatalf("stopping seawall: %v", err)
	}
	if status := s.Exited(); status != 0 {
		s.t.Fatalf("seawall ended with status %d:\n%s", status, s.Output())
	}
}

func (s *Seawall) end() {
	select {
	case <-s.exited:
		return
	default:
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		s.cmd.Process.Kill()
		<-s.exited
	}
}

// Command makes a command of the same binary on the same data directory, as the same user.
func (s *Seawall) Command(args ...string) *exec.Cmd {
	cmd := Command(s.t, s.Binary, args...)
	cmd.Env = append(cmd.Env, "SEAWALL_DATA="+s.Data)
	cmd.SysProcAttr = s.cmd.SysProcAttr
	return cmd
}

// Command makes a command that needs no running seawall. It is killed when it takes too long.
func Command(t testing.TB, binary string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = cleanEnv()
	return cmd
}

// Run runs a command that must succeed and returns what it printed.
func (s *Seawall) Run(args ...string) string {
	s.t.Helper()
	cmd := s.Command(args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("seawall %s: %v\n%s%s", strings.Join(args, " "), err, out, errs.String())
	}
	return string(out)
}

// JSON runs a command with --json, which must succeed, and decodes what it printed.
func (s *Seawall) JSON(v any, args ...string) {
	s.t.Helper()
	out := s.Run(append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		s.t.Fatalf("seawall %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Dir makes a directory that uid can reach and own; t.TempDir is closed to everybody but the present user.
func Dir(t testing.TB, uid int) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "seawall-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if uid != 0 {
		if err := os.Chown(dir, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// FreeAddress returns an address of loopback on which nobody listens at the moment. Nobody will by chance: the kernel gives
// ports of this range to those who ask for a certain one only, while one of its own choice may be somebody else's a moment later.
func FreeAddress(t testing.TB) string {
	t.Helper()
	const first, last = 10_240, 32_767 // the kernel's own begin after it
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first)))
		if err != nil {
			continue
		}
		defer l.Close()
		return l.Addr().String()
	}
	t.Fatal("there is no free port on loopback")
	return ""
}

// Attach runs commands on a data directory whose processes somebody else started.
func Attach(t testing.TB, binary, data string) *Seawall {
	return &Seawall{Options: Options{Binary: binary, Data: data}, t: t, cmd: new(exec.Cmd)}
}
