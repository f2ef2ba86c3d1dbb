package e2e

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"seawall/internal/testenv"
)

// segments lists the files of the log, in order.
func segments(t *testing.T, data string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(data, "ledger/log/*.seg"))
	if err != nil || len(list) == 0 {
		t.Fatalf("there are no segments in %s: %v", data, err)
	}
	slices.Sort(list)
	return list
}

// batches returns where each batch of a segment begins, and where the last one ends (docs/formats.md, internal/ledger/format.go).
func batches(t *testing.T, text []byte) []int {
	t.Helper()
	at, starts := 104, []int(nil)
	for at+12 <= len(text) && string(text[at:at+4]) == "SWB1" {
		starts = append(starts, at)
		at += 12 + int(binary.BigEndian.Uint32(text[at+8:])) + 156
	}
	return append(starts, at)
}

// rewrite replaces a file's content and keeps its owner and mode.
func rewrite(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(change(text)); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// copyTree copies a directory with owners and modes.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command(testenv.Tool(t, "cp"), "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copying: %v\n%s", err, out)
	}
}

// refusedLog checks that neither `log verify` nor a start gets over what was done to the log, and that both say so.
func refusedLog(t *testing.T, s *testenv.Seawall, code, words string) {
	t.Helper()
	if status, out := verify(s); status != 1 || !strings.Contains(out, "  "+code+"  ") {
		t.Errorf("log verify: status %d, %s; want 1 and %s", status, out, code)
	}
	again := testenv.Launch(t, s.Options)
	if again.URL != "" {
		t.Fatalf("it started and is ready:\n%s", again.Output())
	}
	if status := again.Exited(); status != 1 || !strings.Contains(again.Output(), words) {
		t.Errorf("up: status %d; want 1 and %q in\n%s", status, words, again.Output())
	}
}

func TestARolledBackLogIsRefused(t *testing.T) {
	for name, one := range map[string]struct {
		harm        func(t *testing.T, s *testenv.Seawall, old string)
		code, words string // that log verify gives; that up says
	}{
		"an older copy of the whole ledger": {func(t *testing.T, s *testenv.Seawall, old string) {
			if err := os.RemoveAll(filepath.Join(s.Data, "ledger")); err != nil {
				t.Fatal(err)
			}
			copyTree(t, old, filepath.Join(s.Data, "ledger"))
		}, "truncated", "was cut or replaced"},
		"an older copy of its log": {func(t *testing.T, s *testenv.Seawall, old string) {
			if err := os.RemoveAll(filepath.Join(s.Data, "ledger/log")); err != nil {
				t.Fatal(err)
			}
			copyTree(t, filepath.Join(old, "log"), filepath.Join(s.Data, "ledger/log"))
		}, "truncated", "the log ends at entry"},
		"the last batch cut off": {func(t *testing.T, s *testenv.Seawall, _ string) {
			list := segments(t, s.Data)
			rewrite(t, list[len(list)-1], func(text []byte) []byte {
				at := batches(t, text)
				return text[:at[len(at)-2]]
			})
		}, "truncated", "the log ends at entry"},
		"one letter changed": {func(t *testing.T, s *testenv.Seawall, _ string) {
			rewrite(t, segments(t, s.Data)[0], func(text []byte) []byte {
				i := strings.Index(string(text), "token.issued")
				if i < 0 {
					t.Fatal("there is no token in the first segment")
				}
				text[i+len("token.issued")+20] ^= 1
				return text
			})
		}, "entry_edited", "are not those that were signed"},
		"two batches swapped": {func(t *testing.T, s *testenv.Seawall, _ string) {
			rewrite(t, segments(t, s.Data)[0], func(text []byte) []byte {
				at := batches(t, text)
				a, b, end := at[1], at[2], at[3]
				return slices.Concat(text[:a], text[b:end], text[a:b], text[end:])
			})
		}, "order_broken", "where 2 was due"},
		"a segment gone": {func(t *testing.T, s *testenv.Seawall, _ string) {
			if err := os.Remove(segments(t, s.Data)[0]); err != nil {
				t.Fatal(err)
			}
		}, "segment_missing", "has no segments"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			w := populate(t, s, "acme")
			w.token(t)
			s.Stop()
			old := filepath.Join(t.TempDir(), "ledger")
			copyTree(t, filepath.Join(s.Data, "ledger"), old)
			s = testenv.Start(t, s.Options)
			for range 3 {
				w.token(t)
			}
			s.Stop()
			if status, out := verify(s); status != 0 {
				t.Fatalf("before anything was done to the log: status %d, %s", status, out)
			}
			one.harm(t, s, old)
			refusedLog(t, s, one.code, one.words)
		})
	}
}

// TestVerifyWithAHeadFromElsewhere: an auditor who noted the head can tell a rollback without trusting this machine.
func TestVerifyWithAHeadFromElsewhere(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	w.token(t)
	s.Stop()
	head := filepath.Join(t.TempDir(), "head")
	copyTree(t, filepath.Join(s.Data, "signer/head"), head)
	if status, out := verify(s, "--head", head); status != 0 || !strings.Contains(out, "complete up to") {
		t.Fatalf("status %d, %s", status, out)
	}
	list := segments(t, s.Data)
	rewrite(t, list[len(list)-1], func(text []byte) []byte {
		at := batches(t, text)
		return text[:at[len(at)-2]]
	})
	if status, out := verify(s, "--head", head); status != 1 {
		t.Errorf("status %d, %s", status, out)
	}
}
