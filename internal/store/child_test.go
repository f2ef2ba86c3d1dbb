package store

import (
	"io"
	"os"
	"os/exec"
	"testing"
)

// Some tests need a process of their own: one that is killed, confined, or on a full disk. It is this test binary again,
// running the same test with its part named in the environment.
const childPart = "SEAWALL_STORE_CHILD"

// inChild runs part and returns true if this is the process that a test has started for it.
func inChild(part string, run func(dir string)) bool {
	if os.Getenv(childPart) != part {
		return false
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3) // the parent is gone
	}()
	run(os.Getenv("SEAWALL_STORE_DIR"))
	return true
}

// child prepares the process for a part of the calling test. It ends when the test does.
func child(t *testing.T, part, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), childPart+"="+part, "SEAWALL_STORE_DIR="+dir)
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hold.Close() })
	return cmd
}
