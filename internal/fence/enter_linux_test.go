package fence

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// forEach runs a test as every user this run can start helpers as.
func forEach(t *testing.T, test func(t *testing.T, as identity)) {
	for _, as := range identities() {
		t.Run(as.name, func(t *testing.T) { test(t, as) })
	}
}

func TestLevelOfAVault(t *testing.T) {
	raiseCore(t)
	forEach(t, func(t *testing.T, as identity) {
		got := run(t, as, vault(t, as))
		if got.Error != "" {
			t.Fatal(got.Error)
		}
		abi := landlockABI()
		want := Level{Process: "signer", Platform: "linux", UID: as.uid, Landlock: abi, Seccomp: true, Network: NetworkNone,
			Forbidden: 1, NoNewPrivs: true}
		line := fmt.Sprintf("same user, Landlock ABI %d, no network, no dumps", abi)
		if as.root {
			want.UID, want.OwnUID, want.Chroot = SignerUID, true, true
			line = fmt.Sprintf("own uid 61802, chroot, Landlock ABI %d, no network, no dumps", abi)
		}
		if *got.Level != want {
			t.Errorf("level\n got %+v\nwant %+v", *got.Level, want)
		}
		if abi > 0 && got.Line != line {
			t.Errorf("line\n got %s\nwant %s", got.Line, line)
		}
	})
}

func TestLevelWithoutKernelSupport(t *testing.T) {
	type want struct {
		landlock bool
		seccomp  bool
		opened   int
		network  string
		line     string
	}
	abi := landlockABI()
	if abi < 4 {
		t.Fatalf("this kernel has Landlock ABI %d; the walls of seawall are tested on 4 or newer (Linux 6.7)", abi)
	}
	for _, test := range []struct {
		name string
		hide []string
		root want
		user want
	}{
		{"no Landlock", []string{"landlock"},
			want{false, true, 0, NetworkNone, "own uid 61802, chroot, no Landlock, no network, no dumps"},
			want{false, true, 1, NetworkNone, "same user: no protection from the house, no Landlock, no network, no dumps"}},
		{"no seccomp", []string{"seccomp"},
			want{true, false, 0, NetworkNoTCP, fmt.Sprintf("own uid 61802, chroot, Landlock ABI %d, no seccomp, no TCP, no dumps", abi)},
			want{true, false, 0, NetworkNoTCP, fmt.Sprintf("same user, Landlock ABI %d, no seccomp, no TCP, no dumps", abi)}},
		{"neither", []string{"landlock", "seccomp"},
			want{false, false, 0, NetworkOpen, "own uid 61802, chroot, no Landlock, no seccomp, network open, no dumps"},
			want{false, false, 1, NetworkOpen, "same user: no protection from the house, no Landlock, no seccomp, network open, no dumps"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			forEach(t, func(t *testing.T, as identity) {
				req := vault(t, as)
				req.Hide = test.hide
				want := test.user
				if as.root {
					want = test.root
				}
				got := run(t, as, req)
				if got.Error != "" {
					t.Fatal(got.Error)
				}
				l := got.Level
				if (l.Landlock > 0) != want.landlock || l.Seccomp != want.seccomp || l.Opened != want.opened || l.Network != want.network {
					t.Errorf("level %+v, want %+v", l, want)
				}
				if got.Line != want.line {
					t.Errorf("line\n got %s\nwant %s", got.Line, want.line)
				}
			})
		})
	}
}

// TestBrokenWallIsNoticed takes one wall away at a time; the read-back must refuse, and for that reason.
func TestBrokenWallIsNoticed(t *testing.T) {
	raiseCore(t)
	for _, test := range []struct {
		broken     string
		root, user string // the reason expected, "" where this user has no such wall
	}{
		{"no_new_privs", "no_new_privs is 0", "entering the domain: operation not permitted"},
		{"landlock", "Landlock is not in force", "Landlock is not in force"},
		{"tcp", "Landlock does not hold the network: connecting by TCP", "Landlock does not hold the network: connecting by TCP"},
		{"core", "core files are allowed", "core files are allowed"},
		{"dumpable", "", "it is dumpable (1, <nil>)"}, // from root, the kernel itself clears it with the user id
		{"chroot", "the root directory is not its own directory", ""},
		{"uid", "the user ids are 0, 0, 0 instead of 61802", ""},
		{"effective uid only", "the user ids are 0, 61802, 0 instead of 61802", ""},
		{"groups", "it is still in 1 groups", ""},
		{"seccomp", "the seccomp filter is not in force", "the seccomp filter is not in force"},
	} {
		t.Run(test.broken, func(t *testing.T) {
			forEach(t, func(t *testing.T, as identity) {
				want := test.user
				if as.root {
					want = test.root
				}
				req := vault(t, as)
				req.Break = test.broken
				got := run(t, as, req)
				if want == "" && got.Error != "" || !strings.Contains(got.Error, want) {
					t.Errorf("error %q, want %q", got.Error, want)
				}
			})
		})
	}
}

// TestForgedStage sets the variable of stage 2 from outside, to skip stage 1.
func TestForgedStage(t *testing.T) {
	raiseCore(t)
	clean := []string{stageVariable + "=2", "GOTRACEBACK=single"}
	for _, test := range []struct {
		name string
		env  []string
		want string
	}{
		{"hostile environment", []string{stageVariable + "=2", "GOTRACEBACK=crash"}, "GOTRACEBACK is not"},
		{"other variables", append(slices.Clone(clean), "GODEBUG=x=1"), "the environment variable GODEBUG should have been removed"},
		{"nothing but the variable", []string{stageVariable + "=2"}, "GOTRACEBACK is set 0 times"},
		{"clean environment", clean, "no_new_privs is 0"},
		{"no_new_privs by another hand", clean, "Landlock is not in force"},
	} {
		t.Run(test.name, func(t *testing.T) {
			forEach(t, func(t *testing.T, as identity) {
				got := run(t, as, vault(t, as), func(cmd *exec.Cmd) {
					cmd.Env = test.env
					if test.want == "Landlock is not in force" {
						setpriv(t, cmd)
					}
				})
				if !strings.Contains(got.Error, test.want) {
					t.Errorf("error %q, want %q", got.Error, test.want)
				}
			})
		})
	}
}

// setpriv starts cmd with no_new_privs already set, through the tool of that name.
func setpriv(t *testing.T, cmd *exec.Cmd) {
	tool, err := exec.LookPath("setpriv")
	if err != nil {
		t.Fatalf("%v: install util-linux", err)
	}
	exe, err := filepath.EvalSymlinks("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	cmd.ExtraFiles = []*os.File{file}
	cmd.Args = append([]string{"setpriv", "--no-new-privs", "/proc/self/fd/3"}, cmd.Args[1:]...)
	cmd.Path = tool
}

func TestRequirements(t *testing.T) {
	forEach(t, func(t *testing.T, as identity) {
		for _, test := range []struct {
			name   string
			change func(*request)
			want   string
		}{
			{"own uid", func(r *request) { r.RequireUID = true }, map[bool]string{true: "", false: "a user id of its own is required"}[as.root]},
			{"Landlock of this kernel", func(r *request) { r.RequireLandlock = landlockABI() }, ""},
			{"newer Landlock", func(r *request) { r.RequireLandlock = 1000 }, "Landlock ABI 1000 is required"},
			{"hidden Landlock", func(r *request) { r.RequireLandlock = 1; r.Hide = []string{"landlock"} }, "Landlock ABI 1 is required and this kernel has 0"},
			{"relative forbidden path", func(r *request) { r.Forbidden = []string{"../ledger"} }, `the path "../ledger" must be absolute and clean`},
			{"missing readable path", func(r *request) { r.ReadOnly = []string{"/nowhere/cert.pem"} }, "allowing /nowhere/cert.pem to be read: stat /nowhere/cert.pem: no such file"},
			{"loose own directory", func(r *request) { must(t, os.Chmod(r.Dir, 0o750)) }, "with mode 0750; it must belong to uid"},
			{"no name", func(r *request) { r.Process = "" }, "the process has no name"},
		} {
			t.Run(test.name, func(t *testing.T) {
				req := vault(t, as)
				test.change(&req)
				got := run(t, as, req)
				if test.want == "" && got.Error != "" || !strings.Contains(got.Error, test.want) {
					t.Errorf("error %q, want %q", got.Error, test.want)
				}
			})
		}
	})
}

// TestForbiddenPathThatOpens gives a process a neighbour whose directory anybody may read. No wall refuses it when
// Landlock is away, so the claim of an own user id would be hollow.
func TestForbiddenPathThatOpens(t *testing.T) {
	for _, as := range identities() {
		if !as.root {
			continue // for the same user this is the honest level of TestLevelWithoutKernelSupport
		}
		req := vault(t, as)
		must(t, os.Chmod(req.Forbidden[0], 0o755))
		must(t, os.Chmod(filepath.Dir(req.Forbidden[0]), 0o711))
		req.Hide = []string{"landlock"}
		if got := run(t, as, req); !strings.Contains(got.Error, "it can open "+req.Forbidden[0]) {
			t.Errorf("error %q, want that %s opened", got.Error, req.Forbidden[0])
		}
		req.Hide = nil
		if got := run(t, as, req); got.Error != "" {
			t.Errorf("with Landlock: %s", got.Error)
		}
	}
	as := ordinary()
	req := vault(t, as)
	req.Forbidden = []string{filepath.Join(req.Dir, "inside")}
	must(t, os.Mkdir(req.Forbidden[0], 0o777))
	must(t, os.Chmod(req.Forbidden[0], 0o755))
	if got := run(t, as, req); !strings.Contains(got.Error, "it can open "+req.Forbidden[0]) {
		t.Errorf("error %q, want that %s opened", got.Error, req.Forbidden[0])
	}
	req.Forbidden = []string{filepath.Join(req.Dir, "absent")}
	if got := run(t, as, req); !strings.Contains(got.Error, "cannot tell whether") {
		t.Errorf("error %q, want that a missing path proves nothing", got.Error)
	}
}

func TestInsideAVault(t *testing.T) {
	want := map[string]string{
		"write own file": "ok", "make a temporary file": "ok", "make a symlink": "EACCES", "list root": "EACCES", "list /etc": "EACCES",
		"open forbidden": "EACCES", "write in forbidden": "EACCES",
		"unix socket": "EACCES", "tcp socket": "EACCES", "udp socket": "EACCES", "udp6 socket": "EACCES",
		"dial": "EACCES", "listen": "EACCES",
		"execve": "EPERM", "io_uring": "EPERM", "unshare": "EPERM", "signal parent": "EPERM", "setuid 0": "EPERM",
	}
	forEach(t, func(t *testing.T, as identity) {
		// After a chroot the own directory is all there is.
		chrooted := map[string]string{"list root": "ok", "list /etc": "ENOENT", "open forbidden": "ENOENT", "write in forbidden": "ENOENT"}
		req := vault(t, as)
		for act := range want {
			req.Do = append(req.Do, act)
		}
		slices.Sort(req.Do)
		got := run(t, as, req)
		if got.Error != "" {
			t.Fatal(got.Error)
		}
		for act, outcome := range want {
			if other, ok := chrooted[act]; ok && as.root {
				outcome = other
			}
			if got.Done[act] != outcome {
				t.Errorf("%s: %s, want %s", act, got.Done[act], outcome)
			}
		}
	})
}

// TestOutsideAnyFence is the control of TestInsideAVault: the same acts by the same user without the walls.
func TestOutsideAnyFence(t *testing.T) {
	as := ordinary()
	req := vault(t, as)
	req.Bare = true
	req.Do = []string{"write own file", "make a symlink", "list root", "list /etc", "open forbidden", "write in forbidden", "unix socket",
		"tcp socket", "udp socket", "listen", "unshare"}
	for act, outcome := range run(t, as, req).Done {
		if outcome != "ok" {
			t.Errorf("%s: %s, want ok", act, outcome)
		}
	}
	req.Do = []string{"dial"}
	if got := run(t, as, req).Done["dial"]; got != "ECONNREFUSED" {
		t.Errorf("dial: %s, want ECONNREFUSED", got)
	}
}

func TestInsideTheHouse(t *testing.T) {
	want := map[string]string{
		"write own file": "ok", "listen": "ok", "tcp socket": "ok", "udp socket": "ok", "udp6 socket": "ok", "dial": "ECONNREFUSED",
		"unix socket": "EACCES", "execve": "EPERM", "io_uring": "EPERM", "signal parent": "EPERM",
	}
	forEach(t, func(t *testing.T, as identity) {
		req := house(t, as)
		for act := range want {
			req.Do = append(req.Do, act)
		}
		slices.Sort(req.Do)
		got := run(t, as, req)
		if got.Error != "" {
			t.Fatal(got.Error)
		}
		for act, outcome := range want {
			if got.Done[act] != outcome {
				t.Errorf("%s: %s, want %s", act, got.Done[act], outcome)
			}
		}
		if got.Level.Network != NetworkOpen {
			t.Errorf("network %q, want %q", got.Level.Network, NetworkOpen)
		}
	})
}

// TestBeforeDrop opens what can be opened only before: a file outside, a Unix socket, and from root a low port.
func TestBeforeDrop(t *testing.T) {
	forEach(t, func(t *testing.T, as identity) {
		req := house(t, as)
		cert := filepath.Join(filepath.Dir(req.Dir), "cert.pem")
		must(t, os.WriteFile(cert, []byte("certificate"), 0o600))
		must(t, os.Chown(cert, as.uid, as.uid))
		req.ReadOnly = []string{cert}
		req.ListenOn = filepath.Join(req.Dir, "admin.sock")
		if as.root {
			req.Listen = "127.0.0.1:" + itoa(freeLowPort(t))
		}
		if got := run(t, as, req); got.Error != "" {
			t.Error(got.Error)
		}
		req.ReadOnly, req.Listen = []string{cert}, ""
		req.ListenOn = filepath.Join(filepath.Dir(req.Dir), "outside.sock")
		if got := run(t, as, req); !strings.Contains(got.Error, "before dropping its rights: listen unix "+req.ListenOn+": bind: permission denied") {
			t.Errorf("error %q, want that a socket outside its own directory is refused", got.Error)
		}
	})
}

// freeLowPort finds a port below 1024 that nothing listens on.
func freeLowPort(t *testing.T) int {
	t.Helper()
	for port := 1023; port > 900; port-- {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		unix.Close(fd)
		if err == nil {
			return port
		}
	}
	t.Fatal("no free port below 1024")
	return 0
}

// TestOneDirectoryOneProcess locks the own directory for as long as the process lives.
func TestOneDirectoryOneProcess(t *testing.T) {
	forEach(t, func(t *testing.T, as identity) {
		req := vault(t, as)
		_, pid := hold(t, as, req)
		if got := run(t, as, req); !strings.Contains(got.Error, "another process uses it") {
			t.Errorf("error %q, want that the directory is in use", got.Error)
		}
		must(t, unix.Kill(pid, unix.SIGKILL))
		waitFor(t, "the lock to fall", func() bool { return run(t, as, req).Error == "" })
	})
}

// TestOnlyKeptDescriptorsSurvive passes an own directory and one pipe to keep, and others that a careless parent left open.
func TestOnlyKeptDescriptorsSurvive(t *testing.T) {
	forEach(t, func(t *testing.T, as identity) {
		req := vault(t, as)
		dir, err := os.Open(req.Dir)
		must(t, err)
		defer dir.Close()
		kept, keptEnd, err := os.Pipe()
		must(t, err)
		leaked, leakedEnd, err := os.Pipe()
		must(t, err)
		for _, file := range []*os.File{kept, keptEnd, leaked, leakedEnd} {
			defer file.Close()
		}
		req.DirFD, req.Keep, req.Do = 4, []int{3, 4}, []string{"descriptors"}
		files := func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{kept, dir, leaked, leakedEnd, dir} }
		got := run(t, as, req, files)
		if got.Error != "" {
			t.Fatal(got.Error)
		}
		list := got.Done["descriptors"]
		if count := strings.Count(list, inode(t, kept)); count != 1 {
			t.Errorf("the kept pipe is open %d times in %s", count, list)
		}
		if count := strings.Count(list, inode(t, dir)); count != 1 {
			t.Errorf("the own directory is open %d times in %s", count, list)
		}
		if strings.Contains(list, inode(t, leaked)) {
			t.Errorf("the leaked pipe survived in %s", list)
		}
		req.Bare = true
		if list := run(t, as, req, files).Done["descriptors"]; !strings.Contains(list, inode(t, leaked)) {
			t.Errorf("without a fence the pipe should have leaked: %s", list)
		}
	})
}

func inode(t *testing.T, file *os.File) string {
	t.Helper()
	var stat unix.Stat_t
	must(t, unix.Fstat(int(file.Fd()), &stat))
	return fmt.Sprintf(":%d:%d ", stat.Dev, stat.Ino)
}

func TestEnvironmentIsClean(t *testing.T) {
	forEach(t, func(t *testing.T, as identity) {
		req := vault(t, as)
		req.Do = []string{"environment"}
		got := run(t, as, req, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "GOMAXPROCS=3", "GOMEMLIMIT=1GiB") })
		want := "[GOTRACEBACK=single TMPDIR=. GOMAXPROCS=3 GOMEMLIMIT=1GiB]"
		if got.Done["environment"] != want {
			t.Errorf("environment %s, want %s", got.Done["environment"], want)
		}
	})
}

// TestEveryThread reads from outside what the kernel says about each thread of a fenced process.
func TestEveryThread(t *testing.T) {
	forEach(t, func(t *testing.T, as identity) {
		_, pid := hold(t, as, vault(t, as))
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		if err != nil || len(threads) < 2 {
			t.Fatalf("found %d threads (%v)", len(threads), err)
		}
		uid := as.uid
		if as.root {
			uid = SignerUID
		}
		for _, thread := range threads {
			status, err := os.ReadFile(thread)
			must(t, err)
			for _, line := range []string{
				fmt.Sprintf("Uid:\t%d\t%d\t%d\t%d\n", uid, uid, uid, uid), fmt.Sprintf("Gid:\t%d\t%d\t%d\t%d\n", uid, uid, uid, uid),
				"NoNewPrivs:\t1\n", "Seccomp:\t2\n", "CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n",
			} {
				if !strings.Contains(string(status), line) {
					t.Errorf("%s lacks %q:\n%s", thread, line, status)
				}
			}
		}
	})
}

// TestTimersMayBeLate asks a thread of a fenced process, and one of a process outside any fence.
func TestTimersMayBeLate(t *testing.T) {
	forEach(t, func(t *testing.T, as identity) {
		req := vault(t, as)
		req.Do = []string{"timer slack"}
		if got := run(t, as, req).Done["timer slack"]; got != timerSlack.String() {
			t.Errorf("the slack is %s, want %s", got, timerSlack)
		}
		req.Bare = true
		if got := run(t, as, req).Done["timer slack"]; got == timerSlack.String() {
			t.Errorf("the slack is %s outside any fence too: the test proves nothing", got)
		}
	})
}
