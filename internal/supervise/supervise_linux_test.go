package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"seawall/internal/fence"
)

// TestKilledChildIsStartedAgain kills each child as nothing can refuse to be killed, and looks for a new one with new
// links to the two that lived on.
func TestKilledChildIsStartedAgain(t *testing.T) {
	forEach(t, func(t *testing.T, as identity) {
		p := house(t, as)
		r := start(t, as, p)
		pids := map[string]int{"house": r.pid("house", 0), "signer": r.pid("signer", 0), "ledger": r.pid("ledger", 0)}
		everybodyMeets(r, p, pids)
		for _, victim := range []string{"house", "signer", "ledger", "signer"} {
			must(t, unix.Kill(pids[victim], unix.SIGKILL))
			pids[victim] = r.pid(victim, pids[victim])
			everybodyMeets(r, p, pids)
		}
		for _, line := range r.said() {
			if line.Info.Event == "ready" {
				levelIs(t, as, line.Info.Level)
			}
		}
	})
}

func everybodyMeets(r *running, p plan, pids map[string]int) {
	r.t.Helper()
	for _, link := range p.Links {
		r.linked(link, pids[link.Dialler], pids[link.Server])
	}
}

func levelIs(t *testing.T, as identity, level *fence.Level) {
	t.Helper()
	if level == nil {
		t.Fatal("a child reported no level")
	}
	if level.OwnUID != as.root || level.Chroot != as.root || level.Opened != 0 || level.Forbidden != 2 {
		t.Errorf("%s as %s: %+v", level.Process, as.name, level)
	}
}

// TestAllChildrenAtOnce kills all three, so that no link has an end that lived on.
func TestAllChildrenAtOnce(t *testing.T) {
	forEach(t, func(t *testing.T, as identity) {
		p := house(t, as)
		r := start(t, as, p)
		pids := map[string]int{"house": r.pid("house", 0), "signer": r.pid("signer", 0), "ledger": r.pid("ledger", 0)}
		for _, pid := range pids {
			must(t, unix.Kill(pid, unix.SIGKILL))
		}
		for name, pid := range pids {
			pids[name] = r.pid(name, pid)
		}
		everybodyMeets(r, p, pids)
	})
}

// TestNoOrphans kills the supervisor. One child is of the kind that never looks at anything.
func TestNoOrphans(t *testing.T) {
	t.Parallel() // it waits for the last resort of a child
	forEach(t, func(t *testing.T, as identity) {
		t.Parallel()
		p := house(t, as)
		p.Children[1].Play = "stubborn"
		r := start(t, as, p)
		pids := []int{r.pid("house", 0), r.pid("signer", 0), r.pid("ledger", 0)}
		must(t, r.cmd.Process.Kill())
		for _, pid := range pids {
			waitFor(t, fmt.Sprintf("process %d to end", pid), func() bool { return !alive(t, pid) })
		}
	})
}

// TestSupervisorAfterAKilledOne starts a supervisor while a child of the killed one still holds its directory. No two
// signers may ever run side by side.
func TestSupervisorAfterAKilledOne(t *testing.T) {
	t.Parallel() // it waits for the last resort of a child
	forEach(t, func(t *testing.T, as identity) {
		t.Parallel()
		p := house(t, as)
		p.Children[1].Play = "stubborn"
		first := start(t, as, p)
		old := first.pid("signer", 0)
		must(t, first.cmd.Process.Kill())
		first.cmd.Wait()
		if !alive(t, old) {
			t.Fatal("the stubborn child is gone already, so the test proves nothing")
		}
		p.Children[1].Play = ""
		second := start(t, as, p)
		second.pid("signer", 0)
		if alive(t, old) {
			t.Error("two signers ran on one directory")
		}
	})
}

func TestSecondSupervisorIsRefused(t *testing.T) {
	forEach(t, func(t *testing.T, as identity) {
		p := house(t, as)
		first := start(t, as, p)
		first.pid("house", 0)
		second := start(t, as, p)
		want := fmt.Sprintf("error: another seawall (process %d) runs on the data directory %s: stop it first", first.cmd.Process.Pid, p.Data)
		if code := second.exit(); code != 1 || !strings.Contains(second.errors(), want) {
			t.Errorf("exit %d and %q, want 1 and %q", code, second.errors(), want)
		}
	})
}

// TestDrain stops the supervisor as a service manager does, with a signal to everybody.
func TestDrain(t *testing.T) {
	forEach(t, func(t *testing.T, as identity) {
		for _, stop := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			p := house(t, as)
			r := start(t, as, p)
			pids := map[string]int{"house": r.pid("house", 0), "signer": r.pid("signer", 0), "ledger": r.pid("ledger", 0)}
			everybodyMeets(r, p, pids)
			for _, pid := range []int{pids["ledger"], pids["signer"], pids["house"], r.cmd.Process.Pid} {
				must(t, unix.Kill(pid, stop))
			}
			if code := r.exit(); code != 0 {
				t.Errorf("%v: exit %d, want 0", stop, code)
			}
			var order []string
			for _, line := range r.said() {
				if line.Info.Event == "draining" {
					order = append(order, line.Child)
				}
			}
			if !slices.Equal(order, []string{"house", "signer", "ledger"}) {
				t.Errorf("%v: drained %v, want house, signer, ledger", stop, order)
			}
			if strings.Contains(r.errors(), "started again") || strings.Contains(r.errors(), "is killed") {
				t.Errorf("%v: something was started again or killed", stop)
			}
			for name, pid := range pids {
				if alive(t, pid) {
					t.Errorf("%v: %s lived on", stop, name)
				}
			}
		}
	})
}

// TestDrainKillsStragglers has a house that never ends by itself; the others still end in order.
func TestDrainKillsStragglers(t *testing.T) {
	forEach(t, func(t *testing.T, as identity) {
		p := house(t, as)
		p.Children[0].Play, p.Children[0].Drain = "stubborn", 1
		r := start(t, as, p)
		straggler := r.pid("house", 0)
		r.pid("signer", 0)
		r.pid("ledger", 0)
		must(t, r.cmd.Process.Signal(syscall.SIGTERM))
		if code := r.exit(); code != 0 {
			t.Errorf("exit %d, want 0", code)
		}
		if !strings.Contains(r.errors(), fmt.Sprintf(`msg="child did not end in time and is killed" child=house pid=%d`, straggler)) {
			t.Error("the straggler was not reported")
		}
		if alive(t, straggler) {
			t.Error("the straggler lives")
		}
		if got := r.said(); got[len(got)-1].Child != "ledger" || got[len(got)-1].Info.Event != "draining" {
			t.Errorf("the last report is %+v, want the ledger's draining", got[len(got)-1])
		}
	})
}

// TestRefusal stops everything when one child refuses to run.
func TestRefusal(t *testing.T) {
	for _, test := range []struct{ play, want string }{
		{"refuse", "error: signer refused to run: the log is shorter than the remembered head[2J\n"},
		{"refuse unread", "error: signer refused to run: no time to read\n"},
		{"refuse silently", "error: signer refused to run; it says why above\n"},
	} {
		t.Run(test.play, func(t *testing.T) {
			forEach(t, func(t *testing.T, as identity) {
				p := house(t, as)
				p.Children[1].Play = test.play
				r := start(t, as, p)
				if code := r.exit(); code != 1 || !strings.HasSuffix(r.errors(), test.want) {
					t.Errorf("exit %d, want 1 and %q last", code, test.want)
				}
				if strings.Contains(r.errors(), "started again") {
					t.Error("a child was started again")
				}
			})
		})
	}
}

// TestCrashingChild loses nothing of what a child says, and does not start it again at once for ever.
func TestCrashingChild(t *testing.T) {
	as := identities()[len(identities())-1]
	p := house(t, as)
	p.Children[2].Play = "crash"
	r := start(t, as, p)
	waitFor(t, "two pauses", func() bool { return strings.Contains(r.errors(), "pause=500ms") })
	if !strings.Contains(r.errors(), `msg="child will be started again" child=ledger pause=250ms`) {
		t.Error("the first pause is not 250 ms")
	}
	if !strings.Contains(r.errors(), `msg="child ended" child=ledger`) || !strings.Contains(r.errors(), `how="exit status 2"`) {
		t.Error("the crash is not reported as exit status 2")
	}
	if !strings.Contains(r.errors(), "with much to say until its end") {
		t.Error("what the child said at its crash is lost")
	}
}

// TestHangUp has a server that lets go of a connection although both ends live: the dialler gets another.
func TestHangUp(t *testing.T) {
	forEach(t, func(t *testing.T, as identity) {
		p := house(t, as)
		p.Children[1].Play = "hang up once"
		p.Links = p.Links[:1]
		r := start(t, as, p)
		waitFor(t, "a second connection", func() bool {
			met := 0
			for _, line := range r.said() {
				if line.Info.Link == "house-signer" && line.Child == "house" {
					met++
				}
			}
			return met >= 2
		})
	})
}

// TestHostileChild breaks the rules of the control socket in every life; its neighbours and the supervisor live on.
func TestHostileChild(t *testing.T) {
	t.Parallel() // it waits for four lives
	as := identities()[len(identities())-1]
	p := house(t, as)
	for i := range p.Children {
		p.Children[i].Fence = false // the fence would keep the descriptors from it that it wants to send
	}
	p.Children[1].Play, p.Children[1].Drain = "hostile", 1
	r := start(t, as, p)
	house, ledger := r.pid("house", 0), r.pid("ledger", 0)
	r.linked(p.Links[2], house, ledger)
	before := descriptorsOf(t, r.cmd.Process.Pid)
	r.pid("signer", 0) // only its last life gets there
	for _, rule := range []string{"invalid character 'g'", "not the form of ready", "unexpected EOF"} {
		if !strings.Contains(r.errors(), rule) {
			t.Errorf("no life of the child was ended for %q", rule)
		}
	}
	// Two for a child that may not have been there before: its control socket and its handle.
	if after := descriptorsOf(t, r.cmd.Process.Pid); after > before+2 {
		t.Errorf("the supervisor has %d descriptors, and had %d", after, before)
	}
	for _, line := range r.said() {
		if line.Child != "signer" && line.Info.Event == "ready" && line.Info.PID != house && line.Info.PID != ledger {
			t.Errorf("%s was started again", line.Child)
		}
	}
	must(t, r.cmd.Process.Signal(syscall.SIGTERM)) // it would not end with its supervisor
	r.exit()
	for _, line := range r.said() {
		// Its control socket and a link to each neighbour: nothing of what the child asked for, or of what is others'.
		if sockets := strings.Count(strings.Join(line.Info.Found, "\n"), "socket"); line.Info.Event == "draining" && sockets > 3 {
			t.Errorf("%s has %d sockets", line.Child, sockets)
		}
	}
}

// descriptorsOf counts what a process has open.
func descriptorsOf(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	must(t, err)
	return len(entries)
}

// TestDescriptorsOfAChild starts a supervisor that itself was given a pipe and a directory it does not know of.
func TestDescriptorsOfAChild(t *testing.T) {
	forEach(t, func(t *testing.T, as identity) {
		p := house(t, as)
		leak, leakEnd, err := os.Pipe()
		must(t, err)
		defer leak.Close()
		defer leakEnd.Close()
		r := start(t, as, p, func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{leak, leakEnd} })
		pids := map[string]int{"house": r.pid("house", 0), "signer": r.pid("signer", 0), "ledger": r.pid("ledger", 0)}
		everybodyMeets(r, p, pids)
		must(t, r.cmd.Process.Signal(syscall.SIGTERM))
		r.exit()
		for _, line := range r.said() {
			if line.Info.Event == "draining" {
				descriptorsAre(t, p, line)
			}
		}
	})
}

// descriptorsAre checks what a drained child had open: standard input, the supervisor's standard error twice, the control
// socket, its own directory, at most one socket for each of its two links, and what the runtime polls with.
func descriptorsAre(t *testing.T, p plan, line told) {
	t.Helper()
	var own unix.Stat_t
	must(t, unix.Stat(filepath.Join(p.Data, line.Child), &own))
	count := map[string]int{}
	for _, found := range line.Info.Found {
		kind, inode, _ := strings.Cut(found, " ")
		count[kind]++
		if kind == "directory" && inode != fmt.Sprintf("%d:%d", own.Dev, own.Ino) {
			t.Errorf("%s has another directory open", line.Child)
		}
	}
	if count["device"] != 1 || count["pipe"] != 2 || count["file"] != 0 || count["directory"] != 1 || count["socket"] < 1 || count["socket"] > 3 {
		t.Errorf("%s has open: %v", line.Child, line.Info.Found)
	}
}

// TestSignalsAreIgnored reads what the kernel has noted of a child: orders come over the control socket only.
func TestSignalsAreIgnored(t *testing.T) {
	as := identities()[0]
	r := start(t, as, house(t, as))
	signer := r.pid("signer", 0)
	if session, err := unix.Getsid(signer); err != nil || session != signer {
		t.Errorf("the session of %d is %d (%v): a terminal's interrupt would reach it", signer, session, err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", signer))
	must(t, err)
	_, rest, _ := strings.Cut(string(text), "SigIgn:\t")
	var ignored uint64
	if _, err := fmt.Sscanf(rest, "%x", &ignored); err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		if ignored&(1<<(signal-1)) == 0 {
			t.Errorf("%v is not ignored", signal)
		}
	}
}
