package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"seawall/internal/secret"
)

// The exit statuses of every command.
const (
	exitOK    = 0 // it did what was asked
	exitNo    = 1 // it did not, or the answer is no
	exitUsage = 2 // it was called wrongly, and did nothing
)

// command is a line of the table: a word, and what it does. One with sub has no run.
type command struct {
	name string
	help string // one line, lower case, for the overview above it
	run  func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int
	sub  []command
	more string // further paragraphs of a group's or the program's help
}

// call is one use of a command.
type call struct {
	name     string // "tenant create"
	args     []string
	in       io.Reader
	out, err io.Writer
}

// adapt makes an exit status of an error, after telling it to the person.
func adapt(name string, do func(ctx context.Context, c *call) error) func(context.Context, []string, io.Reader, io.Writer, io.Writer) int {
	return func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
		err := do(ctx, &call{name: name, args: args, in: stdin, out: stdout, err: stderr})
		return finish(stderr, err)
	}
}

// dispatch finds the command that the first word names, in parent, and hands it the rest.
func dispatch(ctx context.Context, parent command, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		overview(stderr, parent)
		return exitUsage
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		return help(ctx, parent, args[1:], stdin, stdout, stderr)
	case "--version", "-version":
		if parent.name == "" {
			args = append([]string{"version"}, args[1:]...) // as other programs spell it
		}
	}
	for _, c := range parent.sub {
		if c.name != args[0] {
			continue
		}
		if c.run != nil {
			return c.run(ctx, args[1:], stdin, stdout, stderr)
		}
		c.name = strings.TrimSpace(parent.name + " " + c.name)
		return dispatch(ctx, c, args[1:], stdin, stdout, stderr)
	}
	return finish(stderr, unknown(parent, args[0]))
}

// help shows the overview of parent, or the help of the command that args name.
func help(ctx context.Context, parent command, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		overview(stdout, parent)
		return exitOK
	}
	for _, c := range parent.sub {
		if c.name != args[0] {
			continue
		}
		if c.run != nil {
			return c.run(ctx, []string{"--help"}, stdin, stdout, stderr)
		}
		c.name = strings.TrimSpace(parent.name + " " + c.name)
		return help(ctx, c, args[1:], stdin, stdout, stderr)
	}
	return finish(stderr, unknown(parent, args[0]))
}

// unknown is the answer to a wrong word.
func unknown(parent command, word string) error {
	names := make([]string, len(parent.sub))
	for i, c := range parent.sub {
		names[i] = c.name
	}
	what := "no command '" + word + "'"
	if parent.name != "" {
		what = fmt.Sprintf("no command '%s' in '%s'", word, parent.name)
	}
	if strings.HasPrefix(word, "-") {
		return usage(what+": flags come after the command", "seawall help lists the commands")
	}
	if near := nearest(word, names); near != "" {
		return usage(what + ": did you mean '" + near + "'?")
	}
	return usage(what, strings.TrimSpace("seawall "+parent.name)+" help lists what there is")
}

func overview(w io.Writer, parent command) {
	name := strings.TrimSpace("seawall " + parent.name)
	fmt.Fprintf(w, "usage: %s COMMAND …\n\n", name)
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, c := range parent.sub {
		fmt.Fprintf(table, "  %s\t%s\n", c.name, c.help)
	}
	table.Flush()
	if parent.more != "" {
		fmt.Fprintf(w, "\n%s\n", parent.more)
	}
	fmt.Fprintf(w, "\n%s COMMAND --help tells more about one.\n", name)
}

// usageError is a call that could not be understood.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(text string, hints ...string) error { return hint(&usageError{text}, hints...) }

// hinted is an error together with what to try.
type hinted struct {
	error
	hints []string
}

func (e *hinted) Unwrap() error   { return e.error }
func (e *hinted) Hints() []string { return e.hints }

// hint adds advice to an error: whole lower-case sentences without a full stop.
func hint(err error, hints ...string) error {
	if err == nil || len(hints) == 0 {
		return err
	}
	return &hinted{err, hints}
}

// errAnswered ends a command with status 1 when everything has been said already.
var errAnswered = errors.New("answered")

// finish tells a failure, if there is one: one line of what and why, then the hints.
func finish(stderr io.Writer, err error) int {
	switch {
	case err == nil, errors.Is(err, errHelpShown):
		return exitOK
	case errors.Is(err, errAnswered):
		return exitNo
	}
	said := fmt.Appendf(nil, "seawall: %s\n", strings.TrimSpace(err.Error()))
	var advice interface{ Hints() []string }
	if errors.As(err, &advice) {
		for _, h := range advice.Hints() {
			said = fmt.Appendf(said, "hint: %s\n", h)
		}
	}
	// An error may repeat what it was given, such as a token that was pasted where it does not belong, and standard error
	// is kept in many places.
	said, _ = secret.Redact(said)
	stderr.Write(said)
	var wrong *usageError
	if errors.As(err, &wrong) {
		return exitUsage
	}
	return exitNo
}

// nearest returns the word of the list that was probably meant, or "".
func nearest(word string, list []string) string {
	best, bestDistance := "", 1+max(1, len(word)/3)
	for _, w := range list {
		if len(word) >= 2 && strings.HasPrefix(w, word) {
			return w
		}
		if d := distance(word, w); d < bestDistance {
			best, bestDistance = w, d
		}
	}
	return best
}

// distance counts the letters to insert, remove, replace or swap with a neighbour to make a out of b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
