//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"seawall/bench/internal/load"
	"seawall/bench/internal/report"
	"seawall/bench/internal/subject"
)

// crowding is refreshing with as many connections as anybody should open to one house.
type crowding struct {
	window
	answered int
	slowest  time.Duration
}

// measureCrowd has many connections turn refresh tokens without a pause. A connection that is not answered, or a family that
// is lost, ends the run.
func (b *bench) measureCrowd(ctx context.Context) error {
	app, err := b.grow(ctx, crowd)
	if err != nil {
		return err
	}
	err = b.whileRunning(ctx, b.wall, func(wall *subject.Server) error {
		tokens, err := b.signInSoon(ctx, app, app.Codes)
		if err != nil {
			return err
		}
		requests, err := app.Refreshes(b.wall.TokenEndpoint, tokens)
		if err != nil {
			return err
		}
		w, r, err := b.watch(ctx, wall, load.Plan{Connections: crowd, Requests: requests, Follow: "refresh_token", First: tokens, Expect: `"access_token":"`})
		b.crowding = crowding{w, r.Answered, r.Max}
		return err
	})
	if err != nil {
		return fmt.Errorf("refreshing over %d connections: %w", crowd, err)
	}
	b.say("%d connections · refresh · %d answers, the slowest after %.0f ms", crowd, b.crowding.answered, milliseconds(b.crowding.slowest))
	return nil
}

func (b *bench) crowdBars() []report.Bar {
	if b.crowding.answered == 0 {
		return nil
	}
	return []report.Bar{{Measure: fmt.Sprintf("refresh, %d busy connections: requests without a good answer", crowd), Limit: 0}} // one ends the run
}

func (b *bench) crowdTable() report.Table {
	c := b.crowding
	return report.Table{
		Title: fmt.Sprintf("Refreshing over %d connections", crowd),
		Head:  []string{"answers", "CPU µs", "/s", "p50 ms", "p99 ms", "slowest ms"},
		Rows: [][]string{{report.Number(float64(c.answered)), report.Number(cpuOfWindow(c.window)), report.Number(c.rate), report.Number(p50OfWindow(c.window)),
			report.Number(p99OfWindow(c.window)), report.Number(milliseconds(c.slowest))}},
		Note: "Each connection turns a family of its own, one refresh after the other without a pause, and waits for each answer. Every request got a good one, the last of them after the window too: no family was lost.",
	}
}
