//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/bench/internal/load"
	"seawall/bench/internal/process"
	"seawall/bench/internal/report"
	"seawall/bench/internal/subject"
	"seawall/bench/internal/tokencheck"
)

func TestParse(t *testing.T) {
	wall := filepath.Join(t.TempDir(), "seawall")
	if err := os.WriteFile(wall, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		want settings
		err  string
	}{
		{"a full run", []string{"--seawall", wall},
			settings{seawall: wall, rounds: 5, window: 2 * time.Second, out: "../docs/performance.md"}, ""},
		{"a quick run writes nothing", []string{"--seawall", wall, "--quick"},
			settings{seawall: wall, rounds: 1, window: 500 * time.Millisecond, quick: true}, ""},
		{"unless told to", []string{"--seawall", wall, "--quick", "--out", "x"},
			settings{seawall: wall, rounds: 1, window: 500 * time.Millisecond, quick: true, out: "x"}, ""},
		{"quick with its own length", []string{"--quick", "--seconds", "3", "--rounds", "2"},
			settings{rounds: 2, window: 3 * time.Second, quick: true}, ""},
		{"without seawall nothing is written", nil, settings{rounds: 5, window: 2 * time.Second}, ""},
		{"a binary that is not there", []string{"--seawall", wall + "x"}, settings{}, "build it first"},
		{"no rounds", []string{"--rounds", "0"}, settings{}, "at least one round"},
		{"a stray word", []string{"now"}, settings{}, "no other words"},
	} {
		got, err := parse(c.args, io.Discard)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: parse = %v, want an error with %q", c.name, err, c.err)
			}
			continue
		}
		c.want.work = "../.work"
		if err != nil || got != c.want {
			t.Errorf("%s: parse = %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}

func TestRotated(t *testing.T) {
	list := []int{1, 2, 3}
	for n, want := range [][]int{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 2, 3}} {
		if got := rotated(list, n); !slices.Equal(got, want) {
			t.Errorf("rotated by %d = %v, want %v", n, got, want)
		}
	}
}

// cell is a window in which a token cost that much CPU.
func cell(cpu time.Duration) sampled {
	return sampled{
		Result: load.Result{Counted: 1000, Answered: 1100, Window: time.Second, P50: cpu, P99: 10 * cpu},
		cpu:    cpu,
		byRole: map[string]time.Duration{"house": cpu / 2, "ledger": cpu / 4, "signer": cpu / 4},
	}
}

// contest is a bench with made-up rounds: the calibrator's cost in each, and seawall's and the peer's as ratios.
func contest(wall, peer []float64, base ...time.Duration) *bench {
	b := &bench{wall: &subject.Seawall{}, machine: report.Machine{Cores: 2}, noZitadel: peer == nil, settings: settings{rounds: len(base)}}
	for i, cost := range base {
		r := round{cells: map[key]sampled{}, fdatasync: time.Millisecond, entries: uint64(i * 1000)}
		for _, c := range connections {
			r.cells[key{token, calibrator, c}] = cell(cost)
			r.cells[key{token, seawall, c}] = cell(time.Duration(wall[i] * float64(cost)))
			if peer != nil {
				r.cells[key{token, zitadel, c}] = cell(time.Duration(peer[i] * float64(cost)))
			}
		}
		for _, task := range []string{jwks, discovery} {
			r.cells[key{task, calibrator, documentConnections}] = cell(cost)
			r.cells[key{task, seawall, documentConnections}] = cell(cost)
		}
		b.rounds = append(b.rounds, r)
	}
	b.check.Answer = tokencheck.Answer{Token: 110, Raw: 100, Ratio: 1.1}
	return b
}

func TestRatiosAreTakenWithinARound(t *testing.T) {
	// The machine was half as fast in the last two rounds. The ratio of the medians would be 3.
	b := contest([]float64{1.5, 1.5, 1.5, 1.5, 1.5}, []float64{2, 2, 2, 2, 2},
		100*time.Microsecond, 100*time.Microsecond, 100*time.Microsecond, 200*time.Microsecond, 200*time.Microsecond)
	k := key{token, seawall, 16}
	if got := b.ratio(k, calibrator, cpuOf); got != 1.5 {
		t.Errorf("ratio to the calibrator = %v, want 1.5", got)
	}
	if got := b.toZitadel(k); got != 0.75 {
		t.Errorf("ratio to zitadel = %v, want 0.75", got)
	}
	if got := b.median(k, cpuOf); got != 150 {
		t.Errorf("median = %v µs, want 150", got)
	}
}

func TestReportSaysWhatWasMissed(t *testing.T) {
	b := contest([]float64{2.5, 2.5, 2.5}, []float64{2, 2, 2}, 100*time.Microsecond, 100*time.Microsecond, 100*time.Microsecond)
	b.size.cgo = math.NaN()
	r := b.report(time.Now())
	missed := map[string]bool{}
	for _, bar := range r.Bars {
		missed[bar.Measure] = bar.Verdict() == report.Missed
	}
	for measure, want := range map[string]bool{
		"CPU per token, 16 connections, to calibrator":               true,
		"CPU per token, 64 connections, to zitadel/oidc example":     true,
		"p99 at 64 connections, to calibrator":                       true,
		"p50 at 1 connection (bar: calibrator + fdatasync + 0.3 ms)": false, // 0.25 against 0.1 + 1 + 0.3
		"CPU per GET of JWKS, to a fixed document":                   false,
		"validate.Token, to its two signature checks":                false,
		"main binary built with cgo (0 is no)":                       true, // unknown is not met
	} {
		if got, found := missed[measure]; !found || got != want {
			t.Errorf("%s: missed = %v (found: %v), want %v", measure, got, found, want)
		}
	}
	page := r.Markdown()
	for _, want := range []string{
		"| 64          | seawall    | 250 ", "| connections | house | signer | ledger |", "Other work took", "with 0 to 2,000 entries",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestTheReferenceStandsInForAMissingPeer(t *testing.T) {
	b := contest([]float64{3.3}, nil, 100*time.Microsecond)
	if got := b.toZitadel(key{token, seawall, 16}); math.Abs(got-2) > 1e-9 {
		t.Errorf("ratio to the reference at 16 = %v, want 3.3 / 1.65", got)
	}
	page := b.report(time.Now()).Markdown()
	for _, want := range []string{"to fixed reference for zitadel/oidc", "could not be built"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "| zitadel ") {
		t.Error("the page has a row for a peer that was not measured")
	}
}

// recording is a seawall whose log always has the same number of tokens.
func recording(t *testing.T, tokens int) *subject.Seawall {
	t.Helper()
	program := filepath.Join(t.TempDir(), "seawall")
	script := fmt.Sprintf("#!/bin/sh\necho '{\"entries\":%d,\"tokens\":%d,\"batches\":11}'\n", tokens+3, tokens)
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	wall, err := subject.NewSeawall(program, t.TempDir(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return wall
}

func TestTokensWithoutEntriesEndTheRun(t *testing.T) {
	one := uint64(1)
	before := subject.Recorded{Entries: 8, Tokens: 5, Batches: &one}
	for _, c := range []struct {
		name     string
		recorded int
		want     string
	}{
		{"as many entries as tokens", 1105, ""},
		{"a token without an entry", 1104, "1100 tokens were issued and 1099 were recorded"},
		{"an entry without a token", 1106, "1100 tokens were issued and 1101 were recorded"},
	} {
		b := &bench{wall: recording(t, c.recorded)}
		got := cell(time.Microsecond)
		got.Elapsed = time.Second
		_, err := b.account(context.Background(), before, &got)
		if c.want == "" {
			if err != nil || got.batches != 10 || got.perBatch != 110 {
				t.Errorf("%s: %v, %v batches/s of %v", c.name, err, got.batches, got.perBatch)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: account = %v", c.name, err)
		}
		if disturbed := (rejectedError{}); errors.As(err, &disturbed) {
			t.Errorf("%s: the round would be repeated", c.name)
		}
	}
}

func TestIntrospectionIsHeldAgainstItsOwnRound(t *testing.T) {
	i := introspections{ // the machine was half as fast in the second round
		calibrator: {{cpu: 100 * time.Microsecond}, {cpu: 200 * time.Microsecond}, {cpu: 100 * time.Microsecond}},
		newTokens:  {{cpu: 140 * time.Microsecond}, {cpu: 280 * time.Microsecond}, {cpu: 160 * time.Microsecond}},
		sameTokens: {{cpu: 80 * time.Microsecond}, {cpu: 160 * time.Microsecond}, {cpu: 80 * time.Microsecond}},
	}
	met := map[string]bool{}
	for _, bar := range (&bench{introspection: i}).introspectionBars() {
		met[bar.Measure] = bar.Verdict() != report.Missed
	}
	for measure, want := range map[string]bool{
		"introspection, " + newTokens + ", CPU to calibrator":    true,  // 1.4
		"introspection, " + sameTokens + ", CPU to calibrator":   false, // 0.8
		"introspection, " + personTokens + ", CPU to calibrator": false, // unknown is not met
	} {
		if got, found := met[measure]; !found || got != want {
			t.Errorf("%s: met = %v (found: %v), want %v", measure, got, found, want)
		}
	}
}

func TestAPageThatWasNotRenderedMeetsNoBar(t *testing.T) {
	v := visits{signIn: []time.Duration{time.Millisecond}, pages: map[string]window{}, rendering: map[string]float64{}}
	for i, p := range pages {
		v.rendering[p.renders] = float64(100 + i)
	}
	if got := v.dearest(pages); got != pages[len(pages)-1] {
		t.Errorf("the dearest page is %s", got.name)
	}
	delete(v.rendering, pages[1].renders)
	for i, bar := range (&bench{visits: v}).visitBars() {
		if missed := bar.Verdict() == report.Missed; missed != (i == 2) { // the account
			t.Errorf("%s: missed = %v", bar.Measure, missed)
		}
	}
}

func TestParseSpeeds(t *testing.T) {
	got := parseSpeeds(`goos: linux
BenchmarkEntries/each=64/flights=64-2            	       3	 400000000 ns/op	    150000 entries/s	 12 B/op
BenchmarkEntries/each=64/flights=64-2            	       3	 400000000 ns/op	    130000 entries/s	 12 B/op
BenchmarkEntries/each=64/flights=64-2            	       3	 400000000 ns/op	    140000 entries/s	 12 B/op
BenchmarkReceipts/each=64/flights=32-2    	      10	  16.5 ns/op	    4.2e+04 entries/s
BenchmarkOther-2             	      10	  16.5 ns/op
PASS
`)
	if got.of(appendPlain) != 140_000 || got.of(appendReceipts) != 42_000 {
		t.Errorf("speeds are %v", got)
	}
	if !math.IsNaN(got.of(verifyMillion)) {
		t.Errorf("a benchmark that did not run has the speed %v", got.of(verifyMillion))
	}
	for _, bar := range (&bench{ledger: got}).ledgerBars() {
		if want := strings.HasPrefix(bar.Measure, "verifying a million entries"); (bar.Verdict() == report.Missed) != want {
			t.Errorf("%s: %s", bar.Measure, bar.Verdict())
		}
	}
}

func TestFootprintKeepsTheLarger(t *testing.T) {
	small, large := footprint{total: process.Memory{RSS: 1, PSS: 9}}, footprint{total: process.Memory{RSS: 2}}
	if larger(small, large).total != large.total || larger(large, small).total != large.total {
		t.Error("the smaller footprint was kept")
	}
}

func TestFdatasyncIsTimed(t *testing.T) {
	dir := t.TempDir()
	took, err := medianFdatasync(dir)
	if err != nil || took <= 0 {
		t.Errorf("medianFdatasync = %v, %v", took, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
