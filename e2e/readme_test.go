package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"seawall/internal/testenv"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestREADME does what the README says, in its order and nothing else: `make run` in one terminal, everything else in
// another. Only the port differs, since it may be taken here.
func TestREADME(t *testing.T) {
	root := testenv.Root(t)
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range shellBlock.FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) < 6 || blocks[0] != "make run\n" {
		t.Fatalf("the README begins with %q and has %d blocks: the first must be make run", blocks, len(blocks))
	}
	address, data := strings.Replace(testenv.FreeAddress(t), "127.0.0.1", "localhost", 1), filepath.Join(testenv.Dir(t, 0), "data")
	run := exec.Command("make", "--no-print-directory", "run", "DATA="+data, "LISTEN="+address)
	run.Dir = root
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a terminal would: an interrupt reaches make and seawall
	var said testenv.Transcript
	run.Stdout, run.Stderr = &said, &said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	t.Cleanup(func() {
		syscall.Kill(-run.Process.Pid, syscall.SIGINT)
		<-ended
	})
	ready := "seawall: ready at http://" + address
	for deadline := time.Now().Add(5 * time.Minute); !strings.Contains(said.String(), ready); time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("make run ended: %v\n%s", err, said.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("make run did not get ready:\n%s", said.String())
		}
	}

	// The second terminal stands in a directory of its own, with bin beside it as in the repository, and is one shell for
	// all blocks, because variables live on between them.
	dir := testenv.Dir(t, 0)
	if err := os.Symlink(filepath.Join(root, "bin"), filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	for i, block := range blocks[1:] {
		fmt.Fprintf(&script, "echo '=== block %d'\n%s", i+2, strings.ReplaceAll(block, "localhost:8420", address))
	}
	shell := exec.Command("bash", "-c", script.String())
	shell.Dir = dir
	shell.Env = append(os.Environ(), "SEAWALL_DATA="+data)
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"Tenant acme is ready.", "is registered.", `"client_id":"ci"`, "token.issued"} {
		if !bytes.Contains(bytes.ReplaceAll(out, []byte(`": "`), []byte(`":"`)), []byte(want)) {
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
