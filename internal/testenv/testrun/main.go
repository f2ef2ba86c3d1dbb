// Command testrun is `go test` for continuous integration: it passes its arguments on, shows one line per package and
// everything about what failed, and fails on any skipped test that testdata/skips.txt does not name. A test that is
// skipped quietly is a claim nobody checks.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

func main() {
	allowed, err := readSkips("testdata/skips.txt")
	if err == nil {
		err = run(os.Args[1:], allowed, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
		os.Exit(1)
	}
}

// readSkips returns "package test" for each line that is not a comment.
func readSkips(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the list of allowed skips: %w", err)
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 3 {
			return nil, fmt.Errorf("%s: %q has no reason", path, strings.TrimSpace(line))
		}
		list = append(list, fields[0]+" "+fields[1])
	}
	return list, nil
}

func run(args, allowed []string, out, errs io.Writer) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = errs
	stream, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r := report{allowed: allowed, out: out, output: map[string][]string{}, began: time.Now()}
	readErr := r.read(stream)
	waitErr := cmd.Wait()
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	switch {
	case readErr != nil:
		return readErr
	case waitErr != nil:
		return fmt.Errorf("go test: %w", waitErr)
	case len(r.forbidden) > 0:
		return fmt.Errorf("skipped without being listed in testdata/skips.txt: %s", strings.Join(r.forbidden, ", "))
	case r.passed == 0:
		return fmt.Errorf("no test ran")
	}
	return nil
}

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

type report struct {
	allowed                 []string
	out                     io.Writer
	output                  map[string][]string // by package and test, dropped when it passed
	passed, failed, skipped int
	forbidden               []string
	began                   time.Time
}

func (r *report) read(stream io.Reader) error {
	lines := bufio.NewReaderSize(stream, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var e event
		if json.Unmarshal([]byte(line), &e) != nil {
			fmt.Fprint(r.out, line)
			continue
		}
		r.take(e)
	}
}

func (r *report) take(e event) {
	name := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		r.output[name] = append(r.output[name], e.Output)
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "pass":
		r.end(e, "ok  ", &r.passed)
		delete(r.output, name)
	case "skip":
		r.end(e, "?   ", &r.skipped)
		if e.Test != "" && !slices.Contains(r.allowed, name) {
			r.forbidden = append(r.forbidden, name)
		}
	case "fail":
		for _, text := range r.output[name] {
			fmt.Fprint(r.out, text)
		}
		r.end(e, "FAIL", &r.failed)
	}
}

// end counts a test, or shows the line of a package.
func (r *report) end(e event, word string, count *int) {
	if e.Test != "" {
		*count++
		return
	}
	fmt.Fprintf(r.out, "%s\t%s\t%.1fs\t(at %.0f s)\n", word, e.Package, e.Elapsed, time.Since(r.began).Seconds())
}
