// Package report writes what the bench found: as a page for people, between two markers of a document that
// may say more around them, and as JSON for scripts. It decides nothing but whether a figure meets its bar.
package report

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Report is one run of the bench.
type Report struct {
	Taken   time.Time `json:"taken"`
	Machine Machine   `json:"machine"`
	Method  []string  `json:"method"` // one paragraph each
	Bars    []Bar     `json:"bars"`
	Tables  []Table   `json:"tables"`
}

// Bar is one figure held against what it must reach.
type Bar struct {
	Measure string
	Figure  float64
	Unit    string  // "×", "ms", "MB", …
	Limit   float64 // the bar itself
	Aim     float64 // what we would like; 0 if nothing beyond the bar
	AtLeast bool    // the figure must be this large; otherwise it must not be larger
}

// The verdicts on a figure.
const (
	AimReached = "aim reached"
	Pass       = "pass"
	Missed     = "MISSED"
)

// Verdict holds the figure against aim and bar. A figure that is not a number has missed both.
func (b Bar) Verdict() string {
	switch {
	case b.Aim != 0 && b.meets(b.Aim):
		return AimReached
	case b.meets(b.Limit):
		return Pass
	default:
		return Missed
	}
}

func (b Bar) meets(limit float64) bool {
	if b.AtLeast {
		return b.Figure >= limit
	}
	return b.Figure <= limit
}

// MarshalJSON adds the verdict, and says null for a figure that JSON has no number for.
func (b Bar) MarshalJSON() ([]byte, error) {
	var figure *float64
	if !math.IsNaN(b.Figure) && !math.IsInf(b.Figure, 0) {
		figure = &b.Figure
	}
	return json.Marshal(struct {
		Measure string   `json:"measure"`
		Figure  *float64 `json:"figure"`
		Unit    string   `json:"unit"`
		Bar     float64  `json:"bar"`
		Aim     float64  `json:"aim,omitempty"`
		AtLeast bool     `json:"at_least,omitempty"`
		Verdict string   `json:"verdict"`
	}{b.Measure, figure, b.Unit, b.Limit, b.Aim, b.AtLeast, b.Verdict()})
}

// Table is a block of figures without a verdict.
type Table struct {
	Title string     `json:"title"`
	Note  string     `json:"note,omitempty"` // a paragraph below the table
	Head  []string   `json:"head"`
	Rows  [][]string `json:"rows"`
}

// MissedBars counts the figures that did not meet their bar.
func (r Report) MissedBars() int {
	return missed(r.Bars)
}

func missed(bars []Bar) (n int) {
	for _, b := range bars {
		if b.Verdict() == Missed {
			n++
		}
	}
	return n
}

// Markdown is the report as a page that is also readable as plain text.
func (r Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s by `make bench`.\n\n", r.Taken.UTC().Format("2 January 2006, 15:04 MST"))
	fmt.Fprintf(&b, "**Machine.** %s\n\n", r.Machine)
	if len(r.Bars) > 0 {
		b.WriteString(BarTable(r.Bars).Markdown())
	}
	for _, t := range r.Tables {
		b.WriteString(t.Markdown())
	}
	b.WriteString("### Method\n\n")
	for _, paragraph := range r.Method {
		fmt.Fprintf(&b, "%s\n\n", paragraph)
	}
	return b.String()
}

// BarTable shows bars with their verdicts.
func BarTable(bars []Bar) Table {
	t := Table{
		Title: "Bars",
		Head:  []string{"measure", "figure", "bar", "aim", "verdict"},
		Note:  fmt.Sprintf("%d of %d bars met.", len(bars)-missed(bars), len(bars)),
	}
	for _, bar := range bars {
		sign, aim := "≤ ", "–"
		if bar.AtLeast {
			sign = "≥ "
		}
		if bar.Aim != 0 {
			aim = sign + Quantity(bar.Aim, bar.Unit)
		}
		t.Rows = append(t.Rows, []string{
			bar.Measure, Quantity(bar.Figure, bar.Unit), sign + Quantity(bar.Limit, bar.Unit), aim, bar.Verdict(),
		})
	}
	return t
}

// Quantity writes a number with its unit: three significant digits, but no digits of an integer lost.
func Quantity(figure float64, unit string) string {
	text := Number(figure)
	if unit == "" {
		return text
	}
	return text + " " + unit
}

// Number writes a number with three significant digits, but loses no digits of an integer.
func Number(figure float64) string {
	switch size := math.Abs(figure); {
	case math.IsNaN(figure):
		return "unknown"
	case size == math.Trunc(size) || size >= 100:
		return thousands(strconv.FormatFloat(figure, 'f', 0, 64))
	case size >= 10:
		return strconv.FormatFloat(figure, 'f', 1, 64)
	default:
		return strconv.FormatFloat(figure, 'f', 2, 64)
	}
}

// thousands puts commas into an integer.
func thousands(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// Markdown is the table alone, under its title if it has one.
func (t Table) Markdown() string {
	widths := make([]int, len(t.Head))
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	rule := make([]string, len(widths))
	for i, w := range widths {
		rule[i] = strings.Repeat("-", w)
	}
	var b strings.Builder
	if t.Title != "" {
		fmt.Fprintf(&b, "### %s\n\n", t.Title)
	}
	for _, row := range append([][]string{t.Head, rule}, t.Rows...) {
		b.WriteString("|")
		for i, cell := range row {
			fmt.Fprintf(&b, " %s%s |", cell, strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		}
		b.WriteString("\n")
	}
	if t.Note != "" {
		fmt.Fprintf(&b, "\n%s\n", t.Note)
	}
	b.WriteString("\n")
	return b.String()
}
