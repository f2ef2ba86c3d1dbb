//go:build linux

package comparison

import (
	"fmt"
	"time"

	"seawall/bench/internal/report"
)

// What the figures must reach.
var (
	rawBars  = map[string]float64{"ES256": 1.05, "RS256": 1.10, "EdDSA": 1.05}
	peerBars = map[string]float64{"ES256": 0.89, "RS256": 0.82, "EdDSA": 0.86}
)

const (
	overBar      = 2500 * time.Nanosecond // over raw
	allocsOver   = 2
	repeatedBar  = 800 * time.Nanosecond
	garbageBar   = 5000 * time.Nanosecond
	malformedBar = 1000 * time.Nanosecond
	longBar      = malformedBar + longBytes*2*time.Nanosecond
	corpusBar    = 1000                   // ms
	proofAllowed = 8000 * time.Nanosecond // over two signatures
)

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// difference writes a time with its sign. One below nothing is a disturbed run.
func difference(d time.Duration) string {
	if d < 0 {
		return report.Number(microseconds(d))
	}
	return "+" + report.Number(microseconds(d))
}

// Bars are the promises about speed, held against the figures.
func (f Figures) Bars() []report.Bar {
	var bars []report.Bar
	for _, alg := range Algorithms {
		raw, us := f.Full[alg][Raw], f.Full[alg][Ours]
		bars = append(bars,
			report.Bar{Measure: "validate, " + alg + ", to the signature alone", Unit: "×", Figure: f.Ratios[alg][Raw], Limit: rawBars[alg]},
			report.Bar{Measure: "validate, " + alg + ", over the signature alone", Unit: "µs", Figure: microseconds(us.Over), Limit: microseconds(overBar)},
			report.Bar{Measure: "validate, " + alg + ", allocations over the signature's", Figure: us.Allocs - raw.Allocs, Limit: allocsOver},
			report.Bar{Measure: "validate, " + alg + ", to golang-jwt", Unit: "×", Figure: f.Ratios[alg]["golang-jwt"], Limit: peerBars[alg]})
	}
	cost := func(name string, limit time.Duration) report.Bar {
		return report.Bar{Measure: "validate, " + name, Unit: "µs", Figure: microseconds(f.Other[name].CPU), Limit: microseconds(limit)}
	}
	return append(bars,
		cost(Repeated, repeatedBar),
		report.Bar{Measure: "validate, " + Repeated + ", allocations", Figure: f.Other[Repeated].Allocs, Limit: 0},
		cost(Garbage, garbageBar),
		cost(Malformed, malformedBar),
		report.Bar{Measure: "validate, " + Malformed + ", allocations", Figure: f.Other[Malformed].Allocs, Limit: 1},
		report.Bar{Measure: fmt.Sprintf("validate, a corpus of %s cases", report.Number(float64(f.Cases))), Unit: "ms", Figure: float64(f.Corpus) / float64(time.Millisecond), Limit: corpusBar},
		cost(Long, longBar),
		report.Bar{Measure: "validate, " + DPoP + ", over its two signatures alone", Unit: "µs", Figure: microseconds(f.Other[DPoP].Over), Limit: microseconds(proofAllowed)})
}

// Tables are the figures for people.
func (f Figures) Tables() []report.Table {
	full := report.Table{
		Title: "Checking a token",
		Head:  []string{"subject"},
		Note: fmt.Sprintf("CPU µs a token (over the signature alone), allocations and bytes: medians of %d rounds of %d different tokens each, in turns of %d, all subjects in one process. "+
			"Every library checks issuer, audience, algorithm and dates; what each gets wrong is another matter: `bench/cmd/corpus` shows it.", f.Rounds, f.Tokens, block),
	}
	for _, alg := range Algorithms {
		full.Head = append(full.Head, alg+" µs", "allocs", "bytes")
	}
	for _, s := range Subjects() {
		row := []string{s}
		for _, alg := range Algorithms {
			c := f.Full[alg][s]
			row = append(row, fmt.Sprintf("%s (%s)", report.Number(microseconds(c.CPU)), difference(c.Over)),
				fmt.Sprintf("%.0f", c.Allocs), fmt.Sprintf("%.0f", c.Bytes))
		}
		full.Rows = append(full.Rows, row)
	}
	other := report.Table{Title: "What else is asked of validate", Head: []string{"what", "CPU µs", "allocs", "bytes"}}
	for _, name := range []string{Repeated, Garbage, Malformed, Long, DPoP} {
		c := f.Other[name]
		other.Rows = append(other.Rows, []string{name, report.Number(microseconds(c.CPU)), fmt.Sprintf("%.0f", c.Allocs), fmt.Sprintf("%.0f", c.Bytes)})
	}
	return []report.Table{full, other}
}
