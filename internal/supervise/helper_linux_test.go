package supervise

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"seawall/internal/fence"
)

// The tests run true processes: this test binary once more as the supervisor, which starts it again as its children.

const (
	parentWord = "supervise-parent"
	childWord  = "supervise-child"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case parentWord:
			syscall.Exit(parent(os.Args[2])) // os.Exit would sleep a second under the race detector
		case childWord:
			syscall.Exit(child(os.Args[2]))
		}
	}
	os.Exit(m.Run())
}

// plan is what a helper supervisor runs.
type plan struct {
	Data     string
	Children []part
	Links    []Link
}

// part is what a helper child plays.
type part struct {
	Name      string
	UID       int
	Drain     time.Duration
	Fence     bool
	Network   bool
	Forbidden []string
	Links     []Link // of the whole plan

	Play string // "" serves; see child
}

// status is what a helper child reports.
type status struct {
	Event string // "ready", "link", "draining", "descriptors", "refused link"
	PID   int
	Level *fence.Level `json:",omitempty"`
	Link  string       `json:",omitempty"`
	Peer  int          `json:",omitempty"`
	Found []string     `json:",omitempty"`
}

// told is one line of the helper supervisor's standard output.
type told struct {
	Child string
	Info  status
}

func parent(encoded string) int {
	var p plan
	if err := json.Unmarshal([]byte(encoded), &p); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	data, err := OpenData(p.Data)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	defer data.Close()
	config := Config{Data: data, Links: p.Links, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	for _, part := range p.Children {
		part.Links = p.Links
		encoded, err := json.Marshal(part)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
		config.Children = append(config.Children, Child{Name: part.Name, UID: part.UID, Drain: part.Drain, Args: []string{childWord, string(encoded)}})
	}
	config.Ready = func(name string, info json.RawMessage) {
		fmt.Printf(`{"Child":%q,"Info":%s}`+"\n", name, info)
	}
	if err := Run(ctx, config); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}

func child(encoded string) int {
	var p part
	err := json.Unmarshal([]byte(encoded), &p)
	var level *fence.Level
	if err == nil && p.Fence {
		level, err = fence.Enter(fence.Spec{Process: p.Name, Dir: os.NewFile(DirFD, p.Name), Keep: []int{ControlFD, DirFD},
			Network: p.Network, UID: p.UID, Forbidden: p.Forbidden})
	}
	var m *Member
	if err == nil && !slices.Contains([]string{"hostile", "refuse unread"}, p.Play) {
		m, err = Join(ControlFD)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	if play, ok := plays[p.Play]; ok {
		return play(p, m)
	}
	return serve(p, m, level)
}

// plays are the parts of children that do not simply serve.
var plays = map[string]func(p part, m *Member) int{
	"refuse": func(_ part, m *Member) int {
		m.Refuse(errors.New("the log is shorter than the remembered head\x1b[2J"))
		return ExitRefused
	},
	"refuse unread": func(part, *Member) int { // ends with an order still in its control socket
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: ControlFD, Events: unix.POLLIN}}, -1)
			if n == 1 {
				break
			}
			if err != unix.EINTR {
				return 3
			}
		}
		unix.Write(ControlFD, []byte(`{"say":"refused","reason":"no time to read"}`))
		return ExitRefused
	},
	"refuse silently": func(part, *Member) int { return ExitRefused },
	"crash": func(part, *Member) int {
		go func() { panic("a crash on purpose " + strings.Repeat("with much to say ", 2000) + "until its end") }()
		select {}
	},
	"stubborn": func(p part, m *Member) int { // hears nothing and stays
		m.Ready(status{Event: "ready", PID: os.Getpid()})
		select {}
	},
	"hostile": func(part, *Member) int {
		packets := map[string]string{
			"1": `garbage`, "2": `{"say":"ready","info":"` + strings.Repeat("x", 30<<10) + `"}`,
			"3": `{"say":"refused","reason":"` + strings.Repeat("x", 40<<10) + `"}`,
		}
		// Each life of this child breaks another rule; the last one behaves but for asking for a link that is not its own.
		lives, _ := os.ReadFile("lives")
		life := string(rune('1' + len(lives)))
		if err := os.WriteFile("lives", append(lives, '.'), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
		if packet, ok := packets[life]; ok {
			unix.Write(ControlFD, []byte(packet))
			select {}
		}
		redial := []byte(`{"say":"redial","link":"house-ledger"}`)
		null, err := os.Open("/dev/null")
		if err != nil {
			return 3
		}
		for range 100 { // each with a descriptor, which must not pile up in the supervisor
			unix.Sendmsg(ControlFD, redial, unix.UnixRights(int(null.Fd())), nil, 0)
		}
		unix.Write(ControlFD, []byte(`{"say":"ready","info":{"Event":"ready","PID":1}}`))
		select {}
	},
}

// serve keeps every link of this child and reports each connection it gets, until told to end.
func serve(p part, m *Member, level *fence.Level) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, link := range p.Links {
		switch p.Name {
		case link.Dialler:
			dial := m.Link(link.Name)
			go keep(ctx, p, m, link.Name, dial)
		case link.Server:
			go keep(ctx, p, m, link.Name, func(ctx context.Context) (net.Conn, error) { return m.Accept(ctx, link.Name) })
		}
	}
	m.Ready(status{Event: "ready", PID: os.Getpid(), Level: level, Found: descriptors()})
	select {
	case <-m.gone:
		return 1
	case <-m.draining:
		m.Ready(status{Event: "draining", PID: os.Getpid(), Found: descriptors()})
		return 0
	}
}

// keep exchanges process ids over each connection of a link, then waits for its end. A server that hangs up lets the
// first connection go at once.
func keep(ctx context.Context, p part, m *Member, link string, next func(context.Context) (net.Conn, error)) {
	for count := 0; ; count++ {
		conn, err := next(ctx)
		if err != nil {
			return
		}
		fmt.Fprintln(conn, os.Getpid())
		peer := 0
		lines := bufio.NewReader(conn)
		if _, err := fmt.Fscanln(lines, &peer); err == nil {
			m.Ready(status{Event: "link", PID: os.Getpid(), Link: link, Peer: peer})
			if !(p.Play == "hang up once" && count == 0) {
				io.Copy(io.Discard, lines)
			}
		}
		conn.Close()
	}
}

// descriptors tells what is open in this process, one word each, without /proc.
func descriptors() []string {
	var found []string
	for fd := range 256 {
		var stat unix.Stat_t
		if unix.Fstat(fd, &stat) != nil {
			continue
		}
		kind := map[uint32]string{unix.S_IFDIR: "directory", unix.S_IFREG: "file", unix.S_IFSOCK: "socket", unix.S_IFIFO: "pipe",
			unix.S_IFCHR: "device", 0: "runtime"}[stat.Mode&unix.S_IFMT]
		found = append(found, fmt.Sprintf("%s %d:%d", kind, stat.Dev, stat.Ino))
	}
	return found
}

// identity is a user that supervisors are started as.
type identity struct {
	name string
	root bool
	uid  int
}

func identities() []identity {
	if uid := os.Geteuid(); uid != 0 {
		return []identity{{"user", false, uid}}
	}
	return []identity{{"root", true, 0}, {"user", false, 65534}}
}

// forEach runs a test as every user this run can start supervisors as.
func forEach(t *testing.T, test func(t *testing.T, as identity)) {
	for _, as := range identities() {
		t.Run(as.name, func(t *testing.T) { test(t, as) })
	}
}

// house is the plan of the true seawall: three fenced children and their three links.
func house(t *testing.T, as identity) plan {
	t.Helper()
	base, err := os.MkdirTemp("", "supervise")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	must(t, os.Chown(base, as.uid, as.uid))
	data := filepath.Join(base, "data")
	p := plan{Data: data, Links: []Link{{"house-signer", "house", "signer"}, {"signer-ledger", "signer", "ledger"}, {"house-ledger", "house", "ledger"}}}
	uids := map[string]int{"house": fence.HouseUID, "signer": fence.SignerUID, "ledger": fence.LedgerUID}
	for _, name := range []string{"house", "signer", "ledger"} {
		child := part{Name: name, UID: uids[name], Fence: true, Network: name == "house"}
		for _, other := range []string{"house", "signer", "ledger"} {
			if other != name {
				child.Forbidden = append(child.Forbidden, filepath.Join(data, other))
			}
		}
		p.Children = append(p.Children, child)
	}
	return p
}

// running is a helper supervisor and all it has said.
type running struct {
	t    *testing.T
	cmd  *exec.Cmd
	ends sync.WaitGroup

	mu     sync.Mutex
	told   []told
	stderr bytes.Buffer
}

// start starts a supervisor, which the end of the test kills, and its children with it.
func start(t *testing.T, as identity, p plan, further ...func(*exec.Cmd)) *running {
	t.Helper()
	encoded, err := json.Marshal(p)
	must(t, err)
	cmd := exec.Command("/proc/self/exe", parentWord, string(encoded))
	cmd.Args[0] = os.Args[0]
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	if os.Geteuid() == 0 && !as.root {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(as.uid), Gid: uint32(as.uid)}}
	}
	for _, change := range further {
		change(cmd)
	}
	r := &running{t: t, cmd: cmd}
	stdout, stdoutEnd, err := os.Pipe()
	must(t, err)
	stderr, stderrEnd, err := os.Pipe()
	must(t, err)
	cmd.Stdout, cmd.Stderr = stdoutEnd, stderrEnd
	must(t, cmd.Start())
	stdoutEnd.Close()
	stderrEnd.Close()
	r.ends.Go(func() { r.readTold(stdout) })
	r.ends.Go(func() { r.readStderr(stderr) })
	t.Cleanup(func() {
		r.cmd.Process.Kill()
		r.cmd.Wait()
		r.ends.Wait() // standard error closes when the last child is gone
		stdout.Close()
		stderr.Close()
		if t.Failed() {
			t.Logf("the supervisor said:\n%s", r.stderr.String())
		}
	})
	return r
}

func (r *running) readTold(from io.Reader) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		var line told
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			r.t.Errorf("the supervisor printed %q: %v", lines.Text(), err)
		}
		r.mu.Lock()
		r.told = append(r.told, line)
		r.mu.Unlock()
	}
}

func (r *running) readStderr(from io.Reader) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		r.mu.Lock()
		r.stderr.WriteString(line)
		r.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// said is a copy of all reports so far.
func (r *running) said() []told {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.told)
}

func (r *running) errors() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stderr.String()
}

// wait waits for a report, and returns the newest one that fits.
func (r *running) wait(what string, fits func(told) bool) told {
	r.t.Helper()
	var found told
	waitFor(r.t, what, func() bool {
		for _, line := range slices.Backward(r.said()) {
			if fits(line) {
				found = line
				return true
			}
		}
		return false
	})
	return found
}

// pid waits until the newest process of a child that got ready is another than before (0: any), and returns it.
func (r *running) pid(child string, before int) int {
	r.t.Helper()
	newest := 0
	waitFor(r.t, child+" to be ready", func() bool {
		for _, line := range r.said() {
			if line.Child == child && line.Info.Event == "ready" {
				newest = line.Info.PID
			}
		}
		return newest != 0 && newest != before
	})
	return newest
}

// linked waits until both ends of a link have met.
func (r *running) linked(link Link, dialler, server int) {
	r.t.Helper()
	for _, end := range [][2]int{{dialler, server}, {server, dialler}} {
		r.wait(fmt.Sprintf("%s between %d and %d", link.Name, dialler, server), func(l told) bool {
			return l.Info.Event == "link" && l.Info.Link == link.Name && l.Info.PID == end[0] && l.Info.Peer == end[1]
		})
	}
}

// exit waits for the supervisor to end and returns its exit status.
func (r *running) exit() int {
	r.t.Helper()
	r.cmd.Wait()
	r.ends.Wait()
	return r.cmd.ProcessState.ExitCode()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor polls for something that other processes bring about. It gives up only when go test does.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline, limited := t.Deadline()
	for !done() {
		if limited && time.Until(deadline) < 10*time.Second {
			t.Fatalf("still waiting for %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// alive says that a process runs; one that is dead and not yet buried does not.
func alive(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return false
	}
	must(t, err)
	after := stat[bytes.LastIndexByte(stat, ')')+1:]
	return !bytes.HasPrefix(after, []byte(" Z")) && !bytes.HasPrefix(after, []byte(" X"))
}
