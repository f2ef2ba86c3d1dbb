package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"seawall/internal/testenv"
)

// TestREADME does what the README says, in its order and nothing else: `make run` in one terminal, everything else in
// another. The application of its chapter about people runs in a test with a browser.
func TestREADME(t *testing.T) {
	r := testenv.FollowREADME(t)
	out := strings.ReplaceAll(r.Shell(r.Blocks...), `": "`, `":"`)
	for _, want := range []string{"Tenant acme is ready.", "is registered.", "The token is good.", `{"active":false}`, "token.issued", "Client notes is registered."} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in what it printed:\n%s", want, out)
		}
	}
}

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestTheSnippetsOfTheREADMECompile, as they stand, inside a function.
func TestTheSnippetsOfTheREADMECompile(t *testing.T) {
	root := testenv.Root(t)
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := goBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) == 0 {
		t.Fatal("the README shows no Go")
	}
	for _, block := range blocks {
		if lines := strings.Count(block[1], "\n"); lines != 3 {
			t.Errorf("three lines are promised, and there are %d", lines)
		}
		compiles(t, "import (\n\"log\"\n\"net/http\"\n\n\"seawall/validate\"\n)\n\nfunc protect(pin string, api http.Handler) {\n"+block[1]+"}\n\nfunc main() { protect(\"\", nil) }\n")
	}
}

// compiles builds a program that the papers show, without its first line.
func compiles(t *testing.T, program string) {
	t.Helper()
	root, dir := testenv.Root(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\n"+program), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay := fmt.Sprintf(`{"Replace":{%q:%q}}`, filepath.Join(root, "examples/readme/main.go"), filepath.Join(dir, "main.go"))
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), []byte(overlay), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", os.DevNull, "seawall/examples/readme")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, program)
	}
}
