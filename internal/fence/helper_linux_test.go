package fence

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The tests raise real walls, which cannot be taken down again, so each runs this test binary once more as a helper:
// "fence-helper REQUEST". The helper enters a fence as asked, does what it is told and answers in one line of JSON.

const helperWord = "fence-helper"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == helperWord {
		syscall.Exit(helper(os.Args[2])) // os.Exit would sleep a second under the race detector
	}
	os.Exit(m.Run())
}

// request tells a helper what to do.
type request struct {
	Bare     bool     // stay outside any fence: the control
	Hide     []string // first make the kernel answer ENOSYS to these: "landlock", "seccomp"
	Break    string   // replace this wall by one that does nothing
	Do       []string // what to try after Enter, see acts
	Hold     bool     // wait until standard input closes
	Listen   string   // what BeforeDrop binds by TCP
	ListenOn string   // the Unix socket BeforeDrop binds
	DirFD    int      // an inherited own directory instead of Dir
	Target   int      // the process to look into
	Address  uintptr  // where in it

	Process         string
	Dir             string
	Keep            []int
	ReadOnly        []string
	Network         bool
	UID             int
	Forbidden       []string
	RequireUID      bool
	RequireLandlock int
}

// answer is what a helper says. Done holds one outcome per act: "ok", an errno, or what the act found.
type answer struct {
	Error   string
	Level   *Level
	Line    string
	Done    map[string]string
	Address uintptr
}

// canary stands for a key. It is computed, so that it is in no file and in no argument.
func canary() []byte {
	sum := sha256.Sum256([]byte("the harbour wall holds"))
	return sum[:]
}

var held []byte // the helper's canary, on the heap

func helper(encoded string) int {
	var req request
	if err := json.Unmarshal([]byte(encoded), &req); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	out := answer{Done: map[string]string{}}
	if !req.Bare {
		level, err := enterAs(req)
		if err != nil {
			out.Error = err.Error()
			json.NewEncoder(os.Stdout).Encode(out)
			return 1
		}
		out.Level, out.Line = level, level.String()
	}
	held = canary()
	out.Address = uintptr(unsafe.Pointer(&held[0]))
	for _, act := range req.Do {
		out.Done[act] = acts[act](req)
	}
	json.NewEncoder(os.Stdout).Encode(out)
	if req.Hold {
		io.Copy(io.Discard, os.Stdin)
	}
	return 0
}

func enterAs(req request) (*Level, error) {
	if os.Getenv(stageVariable) == "" {
		if err := hide(req.Hide); err != nil {
			return nil, err
		}
	}
	dir := os.NewFile(uintptr(req.DirFD), "own")
	if req.DirFD == 0 {
		opened, err := os.Open(req.Dir)
		if err != nil {
			return nil, err
		}
		dir = opened
	}
	w := kernelWalls
	switch req.Break {
	case "no_new_privs":
		w.noNewPrivs = func() error { return nil }
	case "landlock":
		w.landlock = func(Spec, int) error { return nil }
	case "tcp":
		w.landlock = func(spec Spec, own int) error { spec.Network = true; return restrictFiles(spec, own) }
	case "core":
		w.noCore = func() error { return nil }
	case "dumpable":
		w.notDumpable = func() error { return nil }
	case "chroot":
		w.chroot = func() error { return nil }
	case "uid":
		w.changeUID = func(int) error { return nil }
	case "effective uid only":
		w.changeUID = func(uid int) error {
			return errors.Join(syscall.Setgroups(nil), syscall.Setgid(uid), syscall.Setresuid(-1, uid, -1))
		}
	case "groups":
		w.changeUID = func(uid int) error { return errors.Join(syscall.Setgid(uid), syscall.Setuid(uid)) }
	case "seccomp":
		w.filter = func(bool) (bool, error) { return true, nil }
	}
	return w.enter(Spec{
		Process: req.Process, Dir: dir, Keep: req.Keep, ReadOnly: req.ReadOnly, Network: req.Network, UID: req.UID,
		Forbidden: req.Forbidden, RequireUID: req.RequireUID, RequireLandlock: req.RequireLandlock,
		BeforeDrop: func() error { return beforeDrop(req) },
	})
}

func beforeDrop(req request) error {
	if req.Listen != "" {
		listener, err := net.Listen("tcp", req.Listen)
		if err != nil {
			return err
		}
		heldListener = listener
	}
	if req.ListenOn != "" {
		listener, err := net.Listen("unix", req.ListenOn)
		if err != nil {
			return err
		}
		heldListener = listener
	}
	for _, path := range req.ReadOnly {
		if _, err := os.ReadFile(path); err != nil {
			return err
		}
	}
	return nil
}

var heldListener net.Listener

// hide installs a filter that makes system calls look absent, as on a kernel built without them.
func hide(names []string) error {
	if len(names) == 0 {
		return nil
	}
	if err := setNoNewPrivs(); err != nil {
		return err
	}
	program := []unix.SockFilter{load(dataNumber)}
	for _, name := range names {
		number := map[string]uint32{"landlock": unix.SYS_LANDLOCK_CREATE_RULESET, "seccomp": unix.SYS_SECCOMP}[name]
		program = append(program, jumpEqual(number, 0, 1), answerErrno(unix.ENOSYS))
	}
	program = append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: allow})
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&prog))); errno != 0 {
		return errno
	}
	return nil
}

func answerErrno(errno unix.Errno) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)}
}

// acts are what a helper can try. Each answers "ok", the errno's name, or what it found.
var acts = map[string]func(req request) string{
	"write own file": func(request) string {
		return outcome(errors.Join(os.WriteFile("kept", []byte("x"), 0o600), os.Mkdir("sub", 0o700), os.Rename("kept", "sub/kept"),
			os.Truncate("sub/kept", 0), os.RemoveAll("sub")))
	},
	"make a temporary file": func(request) string {
		file, err := os.CreateTemp("", "seawall")
		if err == nil {
			file.Close()
		}
		return outcome(err)
	},
	"make a symlink":     func(request) string { return outcome(os.Symlink("/etc/shadow", "link")) },
	"list root":          func(request) string { return outcome(openDir("/")) },
	"list /etc":          func(request) string { return outcome(openDir("/etc")) },
	"open forbidden":     func(req request) string { return outcome(openDir(req.Forbidden[0])) },
	"write in forbidden": func(req request) string { return outcome(os.WriteFile(req.Forbidden[0]+"/planted", nil, 0o600)) },
	"unix socket":        func(request) string { return socket(unix.AF_UNIX, unix.SOCK_STREAM) },
	"tcp socket":         func(request) string { return socket(unix.AF_INET, unix.SOCK_STREAM) },
	"udp socket":         func(request) string { return socket(unix.AF_INET, unix.SOCK_DGRAM) },
	"udp6 socket":        func(request) string { return socket(unix.AF_INET6, unix.SOCK_DGRAM) },
	"dial": func(request) string {
		_, err := net.Dial("tcp", "127.0.0.1:1")
		return outcome(err)
	},
	"listen": func(request) string {
		_, err := net.Listen("tcp", "127.0.0.1:0")
		return outcome(err)
	},
	"execve": func(request) string { return outcome(syscall.Exec(os.Args[0], os.Args, nil)) },
	"io_uring": func(request) string {
		_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 0, 0, 0)
		return outcome(errno)
	},
	"unshare":       func(request) string { return outcome(unix.Unshare(0)) },
	"signal parent": func(request) string { return outcome(unix.Kill(os.Getppid(), 0)) },
	"setuid 0": func(request) string {
		_, _, errno := unix.RawSyscall(unix.SYS_SETUID, 0, 0, 0)
		return outcome(errno)
	},
	"environment": func(request) string { return fmt.Sprint(os.Environ()) },
	"descriptors": func(request) string { return descriptors() },
	"traceback":   func(request) string { return os.Getenv("GOTRACEBACK") },
	"timer slack": func(request) string {
		slack := make(chan int)
		go func() {
			runtime.LockOSThread() // ends with the goroutine: it may be any thread
			ns, _, _ := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_GET_TIMERSLACK, 0, 0)
			slack <- int(ns)
		}()
		return time.Duration(<-slack).String()
	},
	"panic": func(request) string { panic("a crash on purpose") },
	"abort": func(request) string { return abort() },
	"x32": func(request) string {
		_, _, errno := unix.RawSyscall(0x40000000|unix.SYS_GETPID, 0, 0, 0)
		return outcome(errno)
	},

	"open mem": func(req request) string {
		return peek(func(into []byte) error {
			mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", req.Target))
			if err != nil {
				return err
			}
			_, err = mem.ReadAt(into, int64(req.Address))
			return err
		})
	},
	"process_vm_readv": func(req request) string {
		return peek(func(into []byte) error {
			local := []unix.Iovec{{Base: &into[0]}}
			local[0].SetLen(len(into))
			_, err := unix.ProcessVMReadv(req.Target, local, []unix.RemoteIovec{{Base: req.Address, Len: len(into)}}, 0)
			return err
		})
	},
	"ptrace": func(req request) string {
		if err := unix.PtraceSeize(req.Target); err != nil {
			return outcome(err)
		}
		return "ok"
	},
}

func socket(family, kind int) string {
	fd, err := unix.Socket(family, kind, 0)
	if err == nil {
		unix.Close(fd)
	}
	return outcome(err)
}

func peek(read func(into []byte) error) string {
	into := make([]byte, 32)
	if err := read(into); err != nil {
		return outcome(err)
	}
	if bytes.Equal(into, canary()) {
		return "canary"
	}
	return hex.EncodeToString(into)
}

// abort ends the process the way that leaves a core file wherever one may be left: the runtime's handler is taken away.
func abort() string {
	var plain [32]byte // struct sigaction with SIG_DFL
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGABRT), uintptr(unsafe.Pointer(&plain)), 0, 8, 0, 0)
	return outcome(unix.Kill(os.Getpid(), unix.SIGABRT))
}

// descriptors lists the open descriptors by asking for each, as /proc is out of reach.
func descriptors() string {
	var list bytes.Buffer
	for fd := 0; fd < 256; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			continue
		}
		var stat unix.Stat_t
		unix.Fstat(fd, &stat)
		fmt.Fprintf(&list, "%d:%d:%d ", fd, stat.Dev, stat.Ino)
	}
	return list.String()
}

func outcome(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil, err == syscall.Errno(0):
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	default:
		return err.Error()
	}
}

// identity is a user that helpers are started as.
type identity struct {
	name string
	root bool
	uid  int
}

// nobody is the unprivileged user of these tests.
const nobody = 65534

// identities are all the users this test run can start helpers as: by root both root and nobody, by others themselves.
func identities() []identity {
	if uid := os.Geteuid(); uid != 0 {
		return []identity{{"user", false, uid}}
	}
	return []identity{{"root", true, 0}, {"user", false, nobody}}
}

func ordinary() identity { return identities()[len(identities())-1] }

// home is a data directory with an own directory and a neighbour's, owned as the supervisor would leave them. For root,
// the data directory itself is closed to everybody else.
func home(t *testing.T, as identity) (own, neighbour string) {
	t.Helper()
	data, err := os.MkdirTemp("", "fence")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(data) })
	own, neighbour = filepath.Join(data, "signer"), filepath.Join(data, "ledger")
	ownUID, neighbourUID := as.uid, as.uid
	if as.root {
		ownUID, neighbourUID = SignerUID, LedgerUID
	}
	for path, uid := range map[string]int{own: ownUID, neighbour: neighbourUID, data: as.uid} {
		if err := errors.Join(os.MkdirAll(path, 0o700), os.Chown(path, uid, uid)); err != nil {
			t.Fatal(err)
		}
	}
	return own, neighbour
}

// vault is the request of a vault's fence, and house that of the house.
func vault(t *testing.T, as identity) request {
	own, neighbour := home(t, as)
	return request{Process: "signer", Dir: own, UID: SignerUID, Forbidden: []string{neighbour}}
}

func house(t *testing.T, as identity) request {
	req := vault(t, as)
	req.Process, req.Network = "house", true
	return req
}

// command prepares a helper as identity, with unlimited core files and an environment out to get it.
func command(t *testing.T, as identity, req request) *exec.Cmd {
	t.Helper()
	encoded, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", helperWord, string(encoded))
	cmd.Args[0] = os.Args[0]
	cmd.Dir = req.Dir
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash", "GODEBUG=gctrace=0", "LD_BIND_NOW=1", "DATABASE_PASSWORD=hunter2")
	if os.Geteuid() == 0 {
		credential := &syscall.Credential{Uid: uint32(as.uid), Gid: uint32(as.uid)}
		if as.root {
			credential.Groups = []uint32{4242}
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	}
	return cmd
}

// run runs a helper to its end and returns what it answered.
func run(t *testing.T, as identity, req request, further ...func(*exec.Cmd)) answer {
	t.Helper()
	cmd := command(t, as, req)
	for _, change := range further {
		change(cmd)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var out answer
	if jsonErr := json.Unmarshal(stdout.Bytes(), &out); jsonErr != nil {
		t.Fatalf("the helper said %q and %q and ended with %v", stdout.String(), stderr.String(), err)
	}
	if (out.Error == "") != (err == nil) {
		t.Fatalf("the helper's error is %q and it ended with %v", out.Error, err)
	}
	return out
}

// hold starts a helper that waits behind its walls until the test ends.
func hold(t *testing.T, as identity, req request) (answer, int) {
	t.Helper()
	req.Hold = true
	cmd := command(t, as, req)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the helper said nothing: %v", err)
	}
	var out answer
	if err := json.Unmarshal(line, &out); err != nil || out.Error != "" {
		t.Fatalf("the helper said %s (%v)", line, err)
	}
	return out, cmd.Process.Pid
}

// raiseCore lets this process's children write core files of any size, and restores the limit.
func raiseCore(t *testing.T) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	if before.Max == 0 {
		t.Fatal("the hard limit of core files is 0, so nothing could leave one and the test would prove nothing: run it under ulimit -Hc unlimited")
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: before.Max, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_CORE, &before) })
}

func itoa(n int) string { return strconv.Itoa(n) }
