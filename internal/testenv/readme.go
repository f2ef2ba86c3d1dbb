package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// ThirdTerminal marks the block of the README that goes on running, like the first one; InABrowser the one that waits for what
// a person does in their browser.
const (
	ThirdTerminal = "go run ./examples/webapp"
	InABrowser    = "seawall login"
)

// README is somebody who follows the README: `make run` is under way in their first terminal.
type README struct {
	Blocks []string // all after the first, with addresses that are free here in place of the printed ones
	App    string   // where the example application will listen
	Dir    string   // where the second terminal stands
	Data   string
	t      testing.TB
}

// FollowREADME runs the first block, `make run`, and waits until seawall is ready. Only ports differ, since they may be taken
// here. The second terminal stands in a directory of its own that looks like the repository, so that nothing is left there.
func FollowREADME(t testing.TB) *README {
	t.Helper()
	root := Root(t)
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	free := func() string { return strings.Replace(FreeAddress(t), "127.0.0.1", "localhost", 1) }
	address := free()
	r := &README{App: free(), Dir: Dir(t, 0), Data: filepath.Join(Dir(t, 0), "data"), t: t}
	all := shellBlock.FindAllStringSubmatch(string(text), -1)
	if len(all) < 6 || all[0][1] != "make run\n" {
		t.Fatalf("the README has %d blocks, and the first must be make run", len(all))
	}
	for _, m := range all[1:] {
		r.Blocks = append(r.Blocks, strings.NewReplacer("localhost:8420", address, "localhost:8430", r.App).Replace(m[1]))
	}
	for _, name := range []string{"bin", "cmd", "examples", "internal", "validate", "go.mod", "go.sum", "go.work", "go.work.sum"} {
		if err := os.Symlink(filepath.Join(root, name), filepath.Join(r.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	said := r.background(root, exec.Command("make", "--no-print-directory", "run", "DATA="+r.Data, "LISTEN="+address))
	r.wait(said, "seawall: ready at http://"+address)
	return r
}

// Shell runs blocks in the second terminal: one shell for all, because variables live on between them. What goes on running
// or waits for a browser is left out.
func (r *README) Shell(blocks ...string) string {
	r.t.Helper()
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	for i, block := range blocks {
		if !strings.Contains(block, ThirdTerminal) && !strings.Contains(block, InABrowser) {
			fmt.Fprintf(&script, "echo '=== block %d'\n%s", i+2, block)
		}
	}
	out, err := r.terminal(script.String()).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// Run starts a block that goes on running in a terminal of its own, and waits until it has said something. It returns what
// waits for more.
func (r *README) Run(block, ready string) (said func(more string) string) {
	r.t.Helper()
	run := r.background(r.Dir, r.terminal(block))
	said = func(more string) string {
		r.t.Helper()
		r.wait(run, more)
		return run.said.String()
	}
	said(ready)
	return said
}

func (r *README) terminal(script string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", script)
	cmd.Env = append(os.Environ(), "SEAWALL_DATA="+r.Data, "XDG_CONFIG_HOME="+filepath.Join(r.Dir, "config"), "DISPLAY=", "WAYLAND_DISPLAY=")
	cmd.Dir = r.Dir
	return cmd
}

// running is a command that goes on.
type running struct {
	said  Transcript
	ended chan error
}

// background starts a command in a group of its own, as a terminal would: an interrupt reaches all of it.
func (r *README) background(dir string, cmd *exec.Cmd) *running {
	r.t.Helper()
	run := &running{ended: make(chan error, 1)}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &run.said, &run.said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() { run.ended <- cmd.Wait() }()
	r.t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		<-run.ended
	})
	return run
}

func (r *README) wait(run *running, text string) {
	r.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !strings.Contains(run.said.String(), text); time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-run.ended:
			run.ended <- err
			r.t.Fatalf("it ended: %v\n%s", err, run.said.String())
		default:
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("it never says %q:\n%s", text, run.said.String())
		}
	}
}
