package fence

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// stageVariable marks the second stage. It chooses which half of Enter runs and proves nothing: see enter.
const stageVariable = "SEAWALL_FENCE_STAGE"

// traceback is the value GOTRACEBACK is forced to: the stack of the goroutine that crashed is printed, and the runtime
// does not raise SIGABRT, which is what writes a core file.
const traceback = "single"

// temporary is the value TMPDIR is forced to, as no other directory can be written: temporary files, a database's too, are
// made in the own directory.
const temporary = "."

// harmless are the variables that may pass: they size the process and cannot make it write memory anywhere.
var harmless = []string{"GOGC", "GOMAXPROCS", "GOMEMLIMIT", "NO_COLOR"}

// cleanEnv makes the environment of stage 2 out of environ. GOMAXPROCS is always set, because the runtime finds the
// container's CPU limit in /proc, which the second image cannot read.
func cleanEnv(environ []string) []string {
	env := []string{stageVariable + "=2", "GOTRACEBACK=" + traceback, "TMPDIR=" + temporary}
	sized := false
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if !slices.Contains(harmless, name) {
			continue
		}
		sized = sized || name == "GOMAXPROCS"
		env = append(env, entry)
	}
	if !sized {
		env = append(env, "GOMAXPROCS="+strconv.Itoa(runtime.GOMAXPROCS(0)))
	}
	return env
}

// checkEnv verifies that environ is what cleanEnv makes. The values of variables are left out of the error: they may be
// somebody's secrets.
func checkEnv(environ []string) error {
	traced := 0
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case name == "GOTRACEBACK" && value == traceback:
			traced++
		case name == "GOTRACEBACK":
			return fmt.Errorf("GOTRACEBACK is not %q: a crash could write keys to disk", traceback)
		case name == "TMPDIR" && value == temporary, name == stageVariable:
		case !slices.Contains(harmless, name):
			return fmt.Errorf("the environment variable %s should have been removed", name)
		}
	}
	if traced != 1 {
		return fmt.Errorf("GOTRACEBACK is set %d times, not once", traced)
	}
	return nil
}
