//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"seawall/bench/internal/report"
	"seawall/bench/internal/sample"
)

// The ledger's own speed is measured by its Go benchmarks, on the disk that everything else is measured on. Each
// reports the metric "entries/s".
const (
	ledgerPackage  = "./internal/ledger" // in the repository, one directory up
	appendPlain    = "BenchmarkEntries/each=64/flights=64"
	appendReceipts = "BenchmarkReceipts/each=64/flights=32"
	// Small batches, as an issuer with a few clients at a time leaves behind, and the smallest.
	verifyMillion = "BenchmarkVerify/million/each=8"
	verifySingles = "BenchmarkVerify/million/each=1"
)

// What they must reach.
const (
	plainBar    = 100_000 // durable entries a second
	receiptsBar = 40_000  // with a receipt each
	verifyBar   = 10      // seconds for a million
)

// ledgerSpeeds is entries a second by benchmark; a benchmark that did not report is not in it.
type ledgerSpeeds map[string]float64

// measureLedger runs the ledger's benchmarks as often as there are rounds; less often if that takes minutes, since a log
// with a signature for each entry has to be written first.
func (b *bench) measureLedger(ctx context.Context) error {
	b.ledger = ledgerSpeeds{}
	b.say("ledger · running its benchmarks")
	for _, name := range []string{appendPlain, appendReceipts, verifyMillion, verifySingles} {
		times := b.settings.rounds
		if name == verifySingles {
			times = b.repeats()
		}
		output, err := b.runBenchmark(ctx, ledgerPackage, name, times)
		if err != nil {
			return err
		}
		maps.Copy(b.ledger, parseSpeeds(output))
	}
	return nil
}

// runBenchmark runs one benchmark of a room and returns what go test prints.
func (b *bench) runBenchmark(ctx context.Context, room, name string, times int, more ...string) (string, error) {
	pattern := "^" + strings.ReplaceAll(name, "/", "$/^") + "$"
	args := append([]string{"test", "-run", "^$", "-bench", pattern, "-count", fmt.Sprint(times)}, more...)
	cmd := exec.CommandContext(ctx, "go", append(args, room)...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOWORK=off", "TMPDIR="+b.dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("running benchmarks of %s: %w: %s", room, err, lastLine(stderr.String()+stdout.String()))
	}
	return stdout.String(), nil
}

// parseSpeeds gives the median of each benchmark's entries/s.
func parseSpeeds(output string) ledgerSpeeds { return parseMetric(output, "entries/s") }

// parseMetric reads the output of go test -bench: lines of a name, a count and pairs of value and unit. It gives the median
// of what each benchmark reports in a unit.
func parseMetric(output, unit string) map[string]float64 {
	all := map[string][]float64{}
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name, _, _ := strings.Cut(fields[0], "-")
		for i := 2; i+1 < len(fields); i += 2 {
			if value, err := strconv.ParseFloat(fields[i], 64); err == nil && fields[i+1] == unit {
				all[name] = append(all[name], value)
			}
		}
	}
	medians := map[string]float64{}
	for name, values := range all {
		medians[name] = sample.Median(values)
	}
	return medians
}

// of is a benchmark's speed, or not a number, which meets no bar.
func (s ledgerSpeeds) of(name string) float64 {
	if speed, found := s[name]; found {
		return speed
	}
	return math.NaN()
}

func (b *bench) ledgerBars() []report.Bar {
	return []report.Bar{
		{Measure: "durable entries, without receipts", Unit: "/s", Figure: b.ledger.of(appendPlain), Limit: plainBar, AtLeast: true},
		{Measure: "durable entries, with receipts", Unit: "/s", Figure: b.ledger.of(appendReceipts), Limit: receiptsBar, AtLeast: true},
		{Measure: "verifying a million entries, 8 a batch", Unit: "s", Figure: 1e6 / b.ledger.of(verifyMillion), Limit: verifyBar},
		{Measure: "verifying a million entries, 1 a batch", Unit: "s", Figure: 1e6 / b.ledger.of(verifySingles), Limit: verifyBar},
	}
}

// verified is one run of `seawall log verify` over the log that the rounds left behind.
type verified struct {
	entries uint64
	took    time.Duration
}

// note tells how long the log of this very run took to verify, by the command.
func (v verified) note() string {
	return fmt.Sprintf("`seawall log verify` over the %s entries that this run left behind took %v.",
		report.Number(float64(v.entries)), v.took.Round(time.Millisecond))
}
