package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
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
	asJSON   *bool // of a command that has --json
}

// wantsJSON reports whether whoever called reads JSON, also when the call was wrong before its --json was come to.
func (c *call) wantsJSON() bool {
	return c.asJSON != nil && (*c.asJSON || slices.Contains(c.args, "--json") || slices.Contains(c.args, "-json"))
}

// adapt makes an exit status of an error, after telling it to the person.
func adapt(name string, do func(ctx context.Context, c *call) error) func(context.Context, []string, io.Reader, io.Writer, io.Writer) int {
	return func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
		c := &call{name: name, args: args, in: stdin, out: stdout, err: stderr}
		err := do(ctx, c)
		if c.wantsJSON() {
			return finishJSON(stderr, err)
		}
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
	if f := failureOf(err); f != nil {
		said := "seawall: " + f.Description + "\n"
		for _, h := range f.Hints {
			said += "hint: " + h + "\n"
		}
		io.WriteString(stderr, said)
	}
	return exitOf(err)
}

// finishJSON tells a failure, if there is one, in one line for a program.
func finishJSON(stderr io.Writer, err error) int {
	if f := failureOf(err); f != nil {
		_ = writeJSON(stderr, f) // there is nobody left to tell
	}
	return exitOf(err)
}

// failure is why something was not done. Its members are those of an error of the admin API, whose codes it has where the admin
// API refused.
type failure struct {
	Code        string   `json:"error"`
	Description string   `json:"error_description"`
	Hints       []string `json:"hints,omitempty"`
}

// codeFailed is the code of a failure that has no other.
const codeFailed = "failed"

// failureOf is what there is to be told of an error; nil if that is nothing.
func failureOf(err error) *failure {
	if err == nil || errors.Is(err, errHelpShown) || errors.Is(err, errAnswered) {
		return nil
	}
	f := &failure{Code: codeFailed, Description: unleaked(strings.TrimSpace(err.Error()))}
	var refused *adminapi.Error
	switch {
	case errors.As(err, &refused):
		f.Code = refused.Code
	case exitOf(err) == exitUsage:
		f.Code = adminapi.CodeInvalid
	}
	var advice interface{ Hints() []string }
	if errors.As(err, &advice) {
		for _, h := range advice.Hints() {
			f.Hints = append(f.Hints, unleaked(h))
		}
	}
	return f
}

// unleaked is a text without what looks like a credential. An error may repeat what it was given, such as a token that was pasted
// where it does not belong, and standard error is kept in many places.
func unleaked(text string) string {
	clean, _ := secret.Redact([]byte(text))
	return string(clean)
}

// exitOf is the exit status that an error ends with. It is the same whether a wrong value was found here or by the admin API.
func exitOf(err error) int {
	var wrong *usageError
	var refused *adminapi.Error
	switch {
	case err == nil, errors.Is(err, errHelpShown):
		return exitOK
	case errors.As(err, &wrong), errors.As(err, &refused) && refused.Code == adminapi.CodeInvalid:
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
