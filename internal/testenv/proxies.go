package testenv

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Program is something that runs in the background until the test ends.
type Program struct {
	*Transcript
	cmd    *exec.Cmd
	exited chan struct{}
}

// Background starts a command that ends on SIGTERM. It is stopped, by its process id, when the test ends.
func Background(t testing.TB, cmd *exec.Cmd) *Program {
	t.Helper()
	p := &Program{Transcript: new(Transcript), cmd: cmd, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // how it ended is in what it printed
		close(p.exited)
	}()
	t.Cleanup(p.Stop)
	return p
}

// Signal sends a signal.
func (p *Program) Signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// Freeze stops the program where it is, until SIGCONT, and waits until it stands still.
func (p *Program) Freeze(t testing.TB) {
	t.Helper()
	Freeze(t, p.cmd.Process.Pid)
}

// Freeze stops a process where it is, until SIGCONT, and waits until all its threads stand still: on a busy machine one may
// go on for a moment after the signal, and answer.
func Freeze(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); !still(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d does not stand still", pid)
		}
	}
}

// still reports whether the kernel says of each thread of a process that it is stopped.
func still(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil || strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))[0] != "T" {
			return false
		}
	}
	return len(threads) > 0
}

// Stop ends the program and waits for its end.
func (p *Program) Stop() {
	p.Signal(syscall.SIGCONT)
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(20 * time.Second):
		p.Kill()
	}
}

// Kill ends the program without asking.
func (p *Program) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.exited
}

// Await waits until somebody answers at an address (HOST:PORT or the path of a socket).
func (p *Program) Await(t testing.TB, address string) {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial(network, address); err == nil {
			c.Close()
			return
		}
		select {
		case <-p.exited:
			t.Fatalf("%s ended:\n%s", p.cmd.Path, p)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer at %s:\n%s", p.cmd.Path, address, p)
		}
	}
}

// Nginx runs nginx with a configuration, in a directory of the test, and waits until it answers at address.
func Nginx(t testing.TB, config, address string) *Program {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx" // not on everybody's PATH
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatal("this test needs nginx: run `make setup`, which installs it")
	}
	dir := Dir(t, 0)
	mine := "access_log off;"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		mine += fmt.Sprintf(" %s_temp_path %s;", kind, filepath.Join(dir, kind))
	}
	config = strings.Replace(config, "http {\n", "http {\n"+mine+"\n", 1)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	global := "daemon off; pid " + filepath.Join(dir, "pid") + "; error_log stderr;"
	if os.Geteuid() == 0 {
		global += " user root;"
	}
	p := Background(t, exec.Command(program, "-p", dir, "-c", path, "-e", "stderr", "-g", global))
	p.Await(t, address)
	return p
}

// Caddy runs Caddy with a configuration and waits until it answers at address.
func Caddy(t testing.TB, config, address string) *Program {
	t.Helper()
	dir := Dir(t, 0)
	path := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(Tool(t, "caddy"), "run", "--config", path, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	p := Background(t, cmd)
	p.Await(t, address)
	return p
}

// Nobody is the user whom Apache's workers run as when the tests run as root.
const Nobody = 65534

// Apache runs Debian's Apache with modules and a configuration, in a directory that its workers can read, and waits until it
// answers at address.
func Apache(t testing.TB, dir, config, address string, modules ...string) *Program {
	t.Helper()
	program, err := exec.LookPath("apache2")
	if err != nil {
		program = "/usr/sbin/apache2" // not on everybody's PATH
	}
	const library = "/usr/lib/apache2/modules"
	var text strings.Builder
	for _, name := range append([]string{"mpm_event", "authn_core", "authz_core", "authz_user", "dir", "ssl"}, modules...) {
		file := filepath.Join(library, "mod_"+name+".so")
		if _, err := os.Stat(file); err != nil {
			t.Fatalf("this test needs Apache with %s: run `make setup`, which installs it", filepath.Base(file))
		}
		fmt.Fprintf(&text, "LoadModule %s_module %s\n", name, file)
	}
	fmt.Fprintf(&text, "ServerRoot %s\nPidFile pid\nDefaultRuntimeDir %s\nMutex file:%s\nErrorLog /dev/stderr\nServerName localhost\nListen %s\n", dir, dir, dir, address)
	if os.Geteuid() == 0 {
		fmt.Fprintf(&text, "User #%d\nGroup #%d\n", Nobody, Nobody)
	}
	path := filepath.Join(dir, "httpd.conf")
	if err := os.WriteFile(path, []byte(text.String()+config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := Background(t, exec.Command(program, "-f", path, "-DFOREGROUND"))
	p.Await(t, address)
	return p
}
