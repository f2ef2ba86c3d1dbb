package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"seawall/internal/process"
)

// writeJSON prints v as one line.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// tell answers with v as JSON, or in a sentence.
func (c *call) tell(asJSON bool, v any, format string, args ...any) error {
	if asJSON {
		return writeJSON(c.out, v)
	}
	_, err := fmt.Fprintf(c.out, format, args...)
	return err
}

// table is rows of text with a head, printed in aligned columns.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// write prints t, or empty when it has no rows.
func (t *table) write(w io.Writer, empty string) error {
	if len(t.rows) == 0 {
		_, err := fmt.Fprintln(w, empty)
		return err
	}
	width := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	style := styleFor(w)
	if _, err := fmt.Fprintln(w, style.muted(line(t.head, width))); err != nil {
		return err
	}
	for _, row := range t.rows {
		if _, err := fmt.Fprintln(w, line(row, width)); err != nil {
			return err
		}
	}
	return nil
}

func line(cells []string, width []int) string {
	var b strings.Builder
	for i, cell := range cells {
		b.WriteString(cell)
		b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+3))
	}
	return strings.TrimRight(b.String(), " ")
}

// facts prints names and values in two columns.
func facts(w io.Writer, pairs ...[2]string) error {
	width := 0
	for _, p := range pairs {
		width = max(width, utf8.RuneCountInString(p[0]))
	}
	style := styleFor(w)
	for _, p := range pairs {
		if p[1] == "" {
			continue
		}
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(p[0])+2)
		if _, err := fmt.Fprintf(w, "  %s%s%s\n", style.muted(p[0]), pad, p[1]); err != nil {
			return err
		}
	}
	return nil
}

// style colours text where a person looks at a terminal, and nowhere else. A word always says what a colour says.
type style bool

func styleFor(w io.Writer) style {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	return style(process.Terminal(w))
}

func (s style) paint(code, text string) string {
	if !s {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) muted(text string) string  { return s.paint("2", text) }
func (s style) strong(text string) string { return s.paint("1", text) }
func (s style) warn(text string) string   { return s.paint("33", text) }

// moment shows a time for people: absolute with its zone, and how far away it is.
func moment(t, now time.Time) string {
	if t.IsZero() {
		return "–"
	}
	text := t.UTC().Format("2006-01-02 15:04 UTC")
	switch d := t.Sub(now); {
	case d.Abs() < time.Second:
		return text + " (now)"
	case d > 0:
		return text + " (in " + span(d) + ")"
	}
	return text + " (" + span(now.Sub(t)) + " ago)"
}

// span shows a duration in its largest unit.
func span(d time.Duration) string {
	count := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	switch {
	case d < time.Minute:
		return count(int(d/time.Second), "second")
	case d < 2*time.Hour:
		return count(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return count(int(d/time.Hour), "hour")
	}
	return count(int(d/(24*time.Hour)), "day")
}
