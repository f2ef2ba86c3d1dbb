package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"seawall/internal/testenv"
)

// raiseCoreLimit lets this process and its children write core files of any size, as a careless unit file would.
func raiseCoreLimit(t *testing.T) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: before.Max, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Setrlimit(syscall.RLIMIT_CORE, &before) })
}

// as returns what starts a process as uid; 0 is the present user.
func as(uid int) *syscall.SysProcAttr {
	if uid == 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
}

// cores lists files beneath dir that may be core dumps.
func cores(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), "core") {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestACrashLeavesNoCore: not even with GOTRACEBACK=crash and unlimited core files around seawall, which is how a key could
// get out of a signer at its first bug.
func TestACrashLeavesNoCore(t *testing.T) {
	raiseCoreLimit(t)
	o := asStranger()

	// The control: a process of the same user, in the same circumstances, without walls.
	control := exec.Command("sh", "-c", "kill -ABRT $$")
	control.Dir, control.SysProcAttr = testenv.Dir(t, o.UID), as(o.UID)
	control.Run()
	if status := control.ProcessState.Sys().(syscall.WaitStatus); !status.CoreDump() {
		t.Fatalf("the control dumped no core (%v): this machine can't show what the test is about", control.ProcessState)
	}

	o.Env = []string{"GOTRACEBACK=crash"}
	s := testenv.Start(t, o)
	w := populate(t, s, "acme")
	w.token(t)
	for part := range testenv.Parts {
		pid := s.Child(part)
		if err := syscall.Kill(pid, syscall.SIGABRT); err != nil {
			t.Fatal(err)
		}
		s.WaitGone(pid)
		w.tokenSoon(t)
	}
	s.Stop()
	if strings.Contains(s.Output(), "core dumped") {
		t.Errorf("a core was dumped:\n%s", s.Output())
	}
	if left := cores(t, s.Data); len(left) > 0 {
		t.Errorf("core files: %v", left)
	}
	for part := range testenv.Parts {
		if strings.Contains(s.Output(), `"GOTRACEBACK"`) {
			t.Errorf("%s complained about GOTRACEBACK instead of dealing with it", part)
		}
	}
}

// TestNobodyReadsTheMemoryOfAVault, not even a process of the same user; the control is a process that anybody can read.
func TestNobodyReadsTheMemoryOfAVault(t *testing.T) {
	o := asStranger()
	s := testenv.Start(t, o)
	populate(t, s, "acme").token(t)
	control := exec.Command("sleep", "600")
	control.SysProcAttr = as(o.UID)
	if err := control.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		control.Process.Kill()
		control.Wait()
	}()
	open := func(pid int) (string, error) {
		cmd := exec.Command("sh", "-c", fmt.Sprintf("exec 3</proc/%d/mem", pid))
		cmd.SysProcAttr = as(o.UID)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := open(control.Process.Pid); err != nil {
		t.Fatalf("the control can't be read (%v, %s): the test proves nothing", err, out)
	}
	for part := range testenv.Parts {
		if out, err := open(s.Child(part)); err == nil || !strings.Contains(out, "Permission denied") {
			t.Errorf("the memory of %s: %v, %s", part, err, out)
		}
	}
	gdb := exec.Command(testenv.Tool(t, "gdb"), "-batch", "-p", fmt.Sprint(s.Child("signer")), "-ex", "generate-core-file "+filepath.Join(testenv.Dir(t, o.UID), "core"))
	gdb.SysProcAttr, gdb.Env = as(o.UID), append(os.Environ(), "HOME=/nonexistent")
	if out, _ := gdb.CombinedOutput(); !strings.Contains(string(out), "Operation not permitted") && !strings.Contains(string(out), "ptrace") {
		t.Errorf("gdb got into the signer:\n%s", out)
	}
}
