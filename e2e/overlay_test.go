package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"seawall/internal/testenv"
)

// edit is a change to a file of the repository.
type edit struct{ file, from, to string }

// buildWithout builds seawall with changed files, by an overlay, without touching the tree.
func buildWithout(t *testing.T, edits []edit) string {
	t.Helper()
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for _, e := range edits {
		path := filepath.Join(testenv.Root(t), e.file)
		from := path
		if changed, ok := overlay.Replace[path]; ok {
			from = changed
		}
		source, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(source), e.from) != 1 {
			t.Fatalf("%s has the line %q %d times: this test no longer takes out what it means to", e.file, e.from, strings.Count(string(source), e.from))
		}
		changed := filepath.Join(dir, strings.ReplaceAll(e.file, "/", "_"))
		if err := os.WriteFile(changed, []byte(strings.Replace(string(source), e.from, e.to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[path] = changed
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	overlayFile, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "seawall")
	if err := os.WriteFile(overlayFile, list, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-overlay", overlayFile, "-trimpath", "-ldflags=-s -w", "-o", binary, "seawall/cmd/seawall")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building without a defence: %v\n%s", err, out)
	}
	return binary
}
