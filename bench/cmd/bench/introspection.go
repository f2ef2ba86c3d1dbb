//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"seawall/bench/internal/load"
	"seawall/bench/internal/report"
	"seawall/bench/internal/sample"
	"seawall/bench/internal/subject"
)

// What an API asks about.
const (
	newTokens    = "a client's token, each new"
	sameTokens   = "a client's token, asked about before"
	personTokens = "a person's token, asked about before"
)

const (
	uncachedBar            = 1.5 // × calibrator
	cachedBar              = 0.7
	introspectionRounds    = 3
	introspectionsASecond  = 12000 // more than there are answers
	knownTokens            = 256   // that are asked about again and again
	introspectionConnected = 16
)

// introspections are the windows of each task, and of the calibrator, a round each.
type introspections map[string][]window

// measureIntrospection has an API ask about tokens, beside the calibrator that makes one.
func (b *bench) measureIntrospection(ctx context.Context) error {
	b.introspection = introspections{}
	for range introspectionRounds {
		if err := b.introspectionRound(ctx); err != nil {
			return fmt.Errorf("measuring introspection: %w", err)
		}
	}
	b.say("introspection · %.2f × calibrator for new tokens, %.2f × again, %.2f × for a person's again",
		b.introspection.ratio(newTokens), b.introspection.ratio(sameTokens), b.introspection.ratio(personTokens))
	return nil
}

func (i introspections) median(task string, figure func(window) float64) float64 {
	var values []float64
	for _, w := range i[task] {
		values = append(values, figure(w))
	}
	return sample.Median(values)
}

// ratio is the median of each round's ratio of CPU to the calibrator, or not a number, which meets no bar.
func (i introspections) ratio(task string) float64 {
	if len(i[task]) == 0 {
		return math.NaN()
	}
	var values []float64
	for n, w := range i[task] {
		values = append(values, cpuOfWindow(w)/cpuOfWindow(i[calibrator][n]))
	}
	return sample.Median(values)
}

func (b *bench) introspectionRound(ctx context.Context) error {
	app, err := b.grow(ctx, knownTokens)
	if err != nil {
		return err
	}
	return b.whileRunning(ctx, b.wall, func(wall *subject.Server) (err error) {
		floor, err := subject.Start(ctx, calibrator, b.dir, b.program(calibrator))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, floor.Stop()) }()
		if _, err := b.signInSoon(ctx, app, app.Codes[:1]); err != nil {
			return err
		}
		persons, err := app.AccessTokens(ctx, b.wall.TokenEndpoint, app.Codes[1:])
		if err != nil {
			return err
		}
		few := int(b.settings.window.Seconds()*introspectionsASecond*1.25) + knownTokens
		fresh, err := subject.Tokens(ctx, b.wall.TokenEndpoint, b.wall.Clients, few)
		if err != nil {
			return err
		}
		calibrated, err := subject.TokenRequests(floor.Base.String()+"/token", subject.CalibratorClient)
		if err != nil {
			return err
		}
		for _, t := range []struct {
			task   string
			tokens []string
		}{{newTokens, fresh[knownTokens:]}, {sameTokens, fresh[:knownTokens]}, {personTokens, persons}} {
			if err := b.askAbout(ctx, wall, t.task, t.tokens); err != nil {
				return err
			}
		}
		w, _, err := b.watch(ctx, floor, load.Plan{Connections: introspectionConnected, Requests: calibrated, Expect: `"access_token":"`})
		b.introspection[calibrator] = append(b.introspection[calibrator], w)
		return err
	})
}

// askAbout puts a window of questions about tokens on seawall.
func (b *bench) askAbout(ctx context.Context, wall *subject.Server, task string, tokens []string) error {
	requests, err := subject.Introspections(b.wall.Issuer+"/introspect", b.wall.API, tokens)
	if err != nil {
		return err
	}
	w, r, err := b.watch(ctx, wall, load.Plan{Connections: introspectionConnected, Requests: requests, Expect: `"active":true`})
	if err != nil {
		return fmt.Errorf("%s: %w", task, err)
	}
	if task == newTokens && r.Answered > len(tokens) {
		return fmt.Errorf("%s: %d tokens were too few for %d answers", task, len(tokens), r.Answered)
	}
	b.introspection[task] = append(b.introspection[task], w)
	return nil
}

func (b *bench) introspectionBars() (bars []report.Bar) {
	if b.introspection == nil {
		return nil
	}
	for _, t := range []struct {
		task string
		bar  float64
	}{{newTokens, uncachedBar}, {sameTokens, cachedBar}, {personTokens, cachedBar}} {
		bars = append(bars, report.Bar{Measure: "introspection, " + t.task + ", CPU to calibrator", Unit: "×", Figure: b.introspection.ratio(t.task), Limit: t.bar})
	}
	return bars
}

func (b *bench) introspectionTable() report.Table {
	t := report.Table{
		Title: fmt.Sprintf("Introspection, %d connections", introspectionConnected),
		Head:  []string{"asked about", "CPU µs", "× calibrator", "/s", "p50 ms", "p99 ms"},
		Note: fmt.Sprintf("An API authenticates with its secret each time. About a new token two signatures are verified, the signer's and the ledger's receipt; of one that was good before it is only looked "+
			"at what may have changed. CPU of all processes; the calibrator makes a token. Medians of %s.", plural(introspectionRounds, "round")),
	}
	for _, task := range []string{calibrator, newTokens, sameTokens, personTokens} {
		i := b.introspection
		t.Rows = append(t.Rows, []string{task, report.Number(i.median(task, cpuOfWindow)), report.Number(i.ratio(task)), report.Number(i.median(task, rateOfWindow)),
			report.Number(i.median(task, p50OfWindow)), report.Number(i.median(task, p99OfWindow))})
	}
	return t
}
