package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Tool returns the path of a program that a test needs.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("this test needs %s: run `make setup`, which installs it", name)
	}
	return path
}

// Node returns the path of Node.js 20 or newer: the one `make setup` brought when the system's is older.
func Node(t testing.TB) string {
	t.Helper()
	const check = "process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)"
	candidates := []string{filepath.Join(Root(t), ".work/tools/node/node_modules/node/bin/node")}
	if path, err := exec.LookPath("node"); err == nil {
		candidates = append(candidates, path)
	}
	for _, path := range candidates {
		if exec.Command(path, "-e", check).Run() == nil {
			return path
		}
	}
	t.Fatal("this test needs Node.js 20 or newer: run `make setup`, which installs it")
	return ""
}

// Root returns the root of the repository: the directory with go.work.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir
		}
	}
	t.Fatal("the tests do not run inside the repository: there is no go.work above them")
	return ""
}
