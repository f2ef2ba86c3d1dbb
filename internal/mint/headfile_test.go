package mint

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func headAt(size uint64) Head {
	return Head{Size: size, Millis: 1790000000000 + size, Batch: Digest{byte(size), byte(size >> 8), 7}}
}

func openHeadFile(t *testing.T, path string) *HeadFile {
	t.Helper()
	h, err := OpenHeadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func remember(t *testing.T, h *HeadFile, sizes ...uint64) {
	t.Helper()
	for _, n := range sizes {
		if err := h.Remember(headAt(n)); err != nil {
			t.Fatalf("Remember(%d): %v", n, err)
		}
	}
}

func TestHeadFileKeepsTheNewest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "head")
	h := openHeadFile(t, path)
	if h.Head() != (Head{}) {
		t.Fatal("a new head file remembers something")
	}
	remember(t, h, 1, 5, 3, 5, 9, 2)
	if h.Head() != headAt(9) {
		t.Fatalf("got %+v", h.Head())
	}
	// Without Close: what a killed process leaves.
	if got, err := ReadHeadFile(path); err != nil || got != headAt(9) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if got := openHeadFile(t, path).Head(); got != headAt(9) {
		t.Fatalf("after opening again: %+v", got)
	}
}

func TestHeadFileRefusesAnotherHistory(t *testing.T) {
	h := openHeadFile(t, filepath.Join(t.TempDir(), "head"))
	remember(t, h, 4)
	other := headAt(4)
	other.Batch[31] ^= 1
	if err := h.Remember(other); !errors.Is(err, ErrOtherHistory) {
		t.Fatalf("got %v", err)
	}
	if h.Head() != headAt(4) {
		t.Fatal("the other history was remembered")
	}
}

// TestHeadFileSurvivesATornWrite cuts the newest write at every byte: the head
// is then the newest or the one before, and never lost.
func TestHeadFileSurvivesATornWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "head")
	h := openHeadFile(t, path)
	remember(t, h, 300)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	remember(t, h, 301)
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(t.TempDir(), "torn")
	for cut := 0; cut <= len(after); cut++ {
		mixed := append(append([]byte(nil), after[:cut]...), before[cut:]...)
		if err := os.WriteFile(torn, mixed, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadHeadFile(torn)
		if err != nil || (got != headAt(300) && got != headAt(301)) {
			t.Fatalf("cut at %d: %+v, %v", cut, got, err)
		}
	}
}

func TestHeadFileRefusesDamage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "head")
	h := openHeadFile(t, path)
	remember(t, h, 1, 2)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bothBad := append([]byte(nil), good...)
	bothBad[20] ^= 1
	bothBad[headSlot+20] ^= 1
	for name, content := range map[string][]byte{
		"both slots":   bothBad,
		"one byte off": good[:len(good)-1],
		"longer":       append(append([]byte(nil), good...), 0),
		"foreign":      []byte("this is not a head file"),
	} {
		bad := filepath.Join(dir, "bad")
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenHeadFile(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadHeadFile(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file open to the group: %v", err)
	}
}

func BenchmarkHeadFileRemember(b *testing.B) {
	h, err := OpenHeadFile(filepath.Join(b.TempDir(), "head"))
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	for n := uint64(1); b.Loop(); n++ {
		if err := h.Remember(headAt(n)); err != nil {
			b.Fatal(err)
		}
	}
}
