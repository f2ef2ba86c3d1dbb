package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"seawall/internal/testenv"
)

// kernelStatus returns what the kernel says about a process.
func kernelStatus(t *testing.T, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	facts := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		facts[name] = strings.TrimSpace(value)
	}
	return facts
}

// TestTheWallsStandInTheRealProcesses asks the kernel about the running processes, from outside.
func TestTheWallsStandInTheRealProcesses(t *testing.T) {
	s := start(t)
	populate(t, s, "acme").token(t)
	uids := map[string]bool{}
	for part := range testenv.Parts {
		pid := s.Child(part)
		facts := kernelStatus(t, pid)
		for name, want := range map[string]string{"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0000000000000000", "CapPrm": "0000000000000000"} {
			if facts[name] != want {
				t.Errorf("%s: %s is %s, want %s", part, name, facts[name], want)
			}
		}
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(limits)) {
			if fields := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (fields[4] != "0" || fields[5] != "0") {
				t.Errorf("%s: %s", part, line)
			}
		}
		uids[strings.Fields(facts["Uid"])[1]] = true
		if os.Geteuid() != 0 {
			continue
		}
		if uid, _ := strconv.Atoi(strings.Fields(facts["Uid"])[0]); uid == 0 {
			t.Errorf("%s runs as root", part)
		}
		if root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", pid)); err != nil || root != s.Data+"/"+part {
			t.Errorf("%s: its root directory is %s, %v", part, root, err)
		}
	}
	if os.Geteuid() == 0 && len(uids) != 3 {
		t.Errorf("started as root they share users: %v", uids)
	}
}

// TestTheLevelIsSaid: at the start and by `seawall status`, for each process.
func TestTheLevelIsSaid(t *testing.T) {
	for _, o := range []testenv.Options{{Binary: program}, asStranger()} {
		s := testenv.Start(t, o)
		var status struct {
			House  struct{ Level string } `json:"house"`
			Signer struct{ Level string } `json:"signer"`
			Ledger struct{ Level string } `json:"ledger"`
		}
		s.JSON(&status, "status")
		want := "same user"
		if os.Geteuid() == 0 && o.UID == 0 {
			want = "own uid"
		}
		for part, level := range map[string]string{"house": status.House.Level, "signer": status.Signer.Level, "ledger": status.Ledger.Level} {
			if !strings.Contains(level, want) || !strings.Contains(level, "no dumps") {
				t.Errorf("%s: status says %q, want %s", part, level, want)
			}
			if !strings.Contains(s.Output(), level) {
				t.Errorf("%s: the level %q was not printed at the start:\n%s", part, level, s.Output())
			}
		}
		s.Stop()
	}
}
