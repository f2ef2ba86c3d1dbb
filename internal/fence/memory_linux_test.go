package fence

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor polls for something that another process brings about; go test's own limit is the only clock.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for !done() {
		if t.Context().Err() != nil {
			t.Fatalf("still waiting for %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestSameUserReadsNoMemory lets another process of the same user try every way into the memory of a fenced one. The
// control is the same helper without a fence, where every way must lead to the canary.
func TestSameUserReadsNoMemory(t *testing.T) {
	as := ordinary()
	ways := []string{"open mem", "process_vm_readv", "ptrace"}
	for _, bare := range []bool{false, true} {
		req := vault(t, as)
		req.Bare = bare
		answer, pid := hold(t, as, req)
		thief := vault(t, as)
		thief.Bare, thief.Do, thief.Target, thief.Address = true, ways, pid, answer.Address
		got := run(t, as, thief)
		for _, way := range ways {
			switch outcome := got.Done[way]; {
			case bare && outcome != "canary" && outcome != "ok":
				t.Errorf("control: %s: %s, so the test proves nothing", way, outcome)
			case !bare && outcome != "EACCES" && outcome != "EPERM":
				t.Errorf("%s: %s, want a refusal", way, outcome)
			}
		}
	}
}

// TestNeighbourReadsNoMemory lets a process with the house's fence try the same on an unfenced process of its own user.
func TestNeighbourReadsNoMemory(t *testing.T) {
	as := ordinary()
	bare := vault(t, as)
	bare.Bare = true
	answer, pid := hold(t, as, bare)
	thief := house(t, as)
	thief.Do, thief.Target, thief.Address = []string{"open mem", "process_vm_readv", "ptrace"}, pid, answer.Address
	for way, outcome := range run(t, as, thief).Done {
		if outcome != "EACCES" && outcome != "EPERM" {
			t.Errorf("%s: %s, want a refusal", way, outcome)
		}
	}
}

// TestCrashLeavesNoCore ends a process by the signal that writes core files, with their size unlimited outside.
func TestCrashLeavesNoCore(t *testing.T) {
	raiseCore(t)
	forEach(t, func(t *testing.T, as identity) {
		if status, _ := crash(t, as, "abort", false); status.Signal() != syscall.SIGABRT || status.CoreDump() {
			t.Errorf("fenced: ended by %v, core %v; want SIGABRT and no core", status.Signal(), status.CoreDump())
		}
	})
	status, found := crash(t, ordinary(), "abort", true)
	if status.Signal() != syscall.SIGABRT || !status.CoreDump() {
		t.Fatalf("control: ended by %v, core %v, so the test proves nothing", status.Signal(), status.CoreDump())
	}
	if pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern"); err != nil || string(pattern) == "core\n" && !found {
		t.Errorf("control: the core file does not hold the canary (%v), so the test proves nothing", err)
	}
}

// TestPanicLeavesNoCore panics under GOTRACEBACK=crash, which a fence overrules.
func TestPanicLeavesNoCore(t *testing.T) {
	raiseCore(t)
	forEach(t, func(t *testing.T, as identity) {
		if status, _ := crash(t, as, "panic", false); status.ExitStatus() != 2 || status.CoreDump() {
			t.Errorf("fenced: exit %d, core %v; want 2 and no core", status.ExitStatus(), status.CoreDump())
		}
	})
	if status, _ := crash(t, ordinary(), "panic", true); status.Signal() != syscall.SIGABRT || !status.CoreDump() {
		t.Errorf("control: %v, core %v, so the test proves nothing", status, status.CoreDump())
	}
}

// crash runs a helper to its death and returns how it died, and whether it left a core file with the canary beside it.
func crash(t *testing.T, as identity, act string, bare bool) (syscall.WaitStatus, bool) {
	t.Helper()
	req := vault(t, as)
	req.Bare, req.Do = bare, []string{act}
	cmd := command(t, as, req)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if _, ok := cmd.Run().(*exec.ExitError); !ok {
		t.Fatalf("the helper did not crash: %s", stderr.String())
	}
	if act == "panic" && !strings.Contains(stderr.String(), "a crash on purpose") {
		t.Errorf("the reason of the crash is lost: %q", stderr.String())
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	files, err := filepath.Glob(filepath.Join(req.Dir, "core*"))
	must(t, err)
	if len(files) == 0 {
		return status, false
	}
	if !bare {
		t.Errorf("a fenced process left %s", files[0])
	}
	return status, contains(t, files[0], canary())
}

// contains searches a file of any size, piece by piece.
func contains(t *testing.T, path string, wanted []byte) bool {
	t.Helper()
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	piece := make([]byte, 1<<20)
	kept := 0
	for {
		n, err := file.Read(piece[kept:])
		if bytes.Contains(piece[:kept+n], wanted) {
			return true
		}
		if err == io.EOF {
			return false
		}
		must(t, err)
		kept = copy(piece, piece[max(0, kept+n-len(wanted)+1):kept+n])
	}
}
