// Package spread holds what cmd/feed measures, how long a revocation takes to reach every API, and how the report shows it.
package spread

import (
	"fmt"
	"slices"
	"time"

	"seawall/bench/internal/report"
	"seawall/bench/internal/sample"
)

// Figures are what was measured.
type Figures struct {
	Validators int           `json:"validators"`
	Rounds     int           `json:"rounds"`
	Answer     Times         `json:"answer"` // to the client that asked
	Each       Times         `json:"each"`   // to each validator
	Last       Times         `json:"last"`   // to the last validator of a round
	CPU        time.Duration `json:"cpu_ns"` // of a validator, for a statement and its head
}

// Times are the order statistics of times that began with the request of a client.
type Times struct {
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
}

// Of gives those of a list, which it sorts.
func Of(list []time.Duration) Times {
	slices.Sort(list)
	return Times{sample.Quantile(list, 0.50), sample.Quantile(list, 0.99), sample.Quantile(list, 1)}
}

// bar is how long until all validators but one in a hundred know, in ms.
const bar = 1000

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Bar holds the figures against what is promised.
func (f Figures) Bar() report.Bar {
	return report.Bar{Measure: fmt.Sprintf("a revocation, until it counts in %s validators, p99", report.Number(float64(f.Validators))), Unit: "ms", Figure: milliseconds(f.Each.P99), Limit: bar}
}

// Table is the figures for people.
func (f Figures) Table() report.Table {
	t := report.Table{
		Title: fmt.Sprintf("A revocation on its way to %s validators", report.Number(float64(f.Validators))),
		Head:  []string{"from the request of the client", "p50 ms", "p99 ms", "max ms"},
		Note: fmt.Sprintf("%d revocations, one after the other, over a seawall with all its processes. All validators are in one process, each on a connection of its own, on the same cores; "+
			"a validator knows when it has verified the statement and refuses the token. It uses %s µs of CPU for that.", f.Rounds, report.Number(float64(f.CPU)/float64(time.Microsecond))),
	}
	for _, row := range []struct {
		name string
		Times
	}{{"to its answer", f.Answer}, {"to each validator", f.Each}, {"to the last validator", f.Last}} {
		t.Rows = append(t.Rows, []string{row.name, report.Number(milliseconds(row.P50)), report.Number(milliseconds(row.P99)), report.Number(milliseconds(row.Max))})
	}
	return t
}
