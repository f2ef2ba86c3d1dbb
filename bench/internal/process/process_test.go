//go:build linux

package process

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const rest = " 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1 1"
	for _, c := range []struct {
		name, line string
		want       stat
		fails      bool
	}{
		{"plain", "42 (seawall) S 41" + rest, stat{42, 41, "S", 777}, false},
		{"a name that looks like fields", "42 (a) S 1 (b) Z 7" + rest, stat{42, 7, "Z", 777}, false},
		{"no name", "42 S 41" + rest, stat{}, true},
		{"cut short", "42 (seawall) S 41", stat{}, true},
		{"not a number", "x (seawall) S 41" + rest, stat{}, true},
	} {
		got, err := parseStat(c.line)
		if (err != nil) != c.fails || err == nil && got != c.want {
			t.Errorf("%s: parseStat = %+v, %v", c.name, got, err)
		}
	}
}

func TestRoleOf(t *testing.T) {
	for line, want := range map[string]string{
		"/usr/bin/seawall up --data /d": "supervisor",
		"seawall serve":                 "house",
		"bin/seawall signer --config c": "signer",
		"seawall ledger":                "ledger",
		"/opt/seawall-signer --x":       "signer",
		"/tmp/calibrator -jwks 900":     "calibrator",
		"seawall":                       "seawall",
	} {
		if got := roleOf(strings.Fields(line)); got != want {
			t.Errorf("roleOf(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestParseRollup(t *testing.T) {
	const text = "00400000-7ffd [rollup]\nRss:    4096 kB\nPss:    1024 kB\nPss_Dirty: 512 kB\n"
	got, err := parseRollup(text)
	if want := (Memory{4096 * 1024, 1024 * 1024}); err != nil || got != want {
		t.Errorf("parseRollup = %+v, %v, want %+v", got, err, want)
	}
	if _, err := parseRollup("Rss: 1 kB\n"); err == nil {
		t.Error("parseRollup took text without Pss")
	}
}

func TestParseBusy(t *testing.T) {
	got, err := parseBusy("cpu  100 1 20 9000 800 3 4 5 60 70\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
	if want := 1330 * time.Millisecond; err != nil || got != want {
		t.Errorf("parseBusy = %v, %v, want %v", got, err, want)
	}
	if _, err := parseBusy("intr 1\n"); err == nil {
		t.Error("parseBusy took text without a cpu line")
	}
}

// TestWatchesAChild looks at a real process tree: this test and a child that sleeps.
func TestWatchesAChild(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	tree, err := Tree(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if tree[0].PID != os.Getpid() {
		t.Errorf("the tree starts with %d, not with its root", tree[0].PID)
	}
	i := slices.IndexFunc(tree, func(p Process) bool { return p.PID == child.Process.Pid })
	if i < 0 {
		t.Fatalf("the child %d is not in the tree %v", child.Process.Pid, tree)
	}
	if !tree[i].Alive() {
		t.Error("a running child counts as ended")
	}
	if reused := (Process{PID: tree[i].PID, started: tree[i].started - 1}); reused.Alive() {
		t.Error("another process with the same id counts as the one that was seen")
	}
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for start, spent := time.Now(), time.Duration(0); spent == 0; {
		if spent, err = CPU(os.Getpid()); err != nil {
			t.Fatal(err)
		}
		spent -= before
		if time.Since(start) > time.Minute {
			t.Fatal("a busy process used no CPU in a minute")
		}
	}
	if memory, err := Resident(os.Getpid()); err != nil || memory.RSS < memory.PSS || memory.PSS == 0 {
		t.Errorf("Resident = %+v, %v", memory, err)
	}
}
