//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"seawall/bench/internal/load"
	"seawall/bench/internal/report"
	"seawall/bench/internal/sample"
	"seawall/bench/internal/subject"
)

// What is asked of who has signed people in.
const (
	rotation = "rotation calibrator"
	refresh  = "refresh"
	exchange = "code exchange"
)

const (
	rotationBar    = 1.9  // × calibrator, at 16 connections
	rotationRate   = 5500 // a second, at 64
	rotationP99    = 25   // ms, at 64
	rotationRounds = 3
	exchangeCodes  = 8000 // more than a window takes, a second
)

var rotationConnections = []int{16, 64}

// rotations are the windows of each task, by connections.
type rotations map[key][]window

// measureRotation has seawall turn refresh tokens and redeem codes, with an access token and an ID token each, beside the
// least that turns a refresh token durably.
func (b *bench) measureRotation(ctx context.Context) error {
	b.rotation = rotations{}
	for n := range rotationRounds {
		if err := b.rotationRound(ctx, n); err != nil {
			return fmt.Errorf("measuring rotation: %w", err)
		}
	}
	for _, c := range rotationConnections {
		b.say("%d connections · refresh %.1f µs CPU, code exchange %.1f µs, rotation calibrator %.1f µs", c,
			b.rotation.median(refresh, c, cpuOfWindow), b.rotation.median(exchange, c, cpuOfWindow), b.rotation.median(rotation, c, cpuOfWindow))
	}
	return nil
}

func cpuOfWindow(w window) float64  { return microseconds(w.cpu) }
func p50OfWindow(w window) float64  { return milliseconds(w.p50) }
func p99OfWindow(w window) float64  { return milliseconds(w.p99) }
func rateOfWindow(w window) float64 { return w.rate }

func (r rotations) median(task string, connections int, figure func(window) float64) float64 {
	var values []float64
	for _, w := range r[key{task: task, connections: connections}] {
		values = append(values, figure(w))
	}
	return sample.Median(values)
}

// ratio is the median of each round's ratio to the calibrator.
func (r rotations) ratio(task string, connections int) float64 {
	var values []float64
	floor := r[key{task: rotation, connections: connections}]
	for i, w := range r[key{task: task, connections: connections}] {
		values = append(values, cpuOfWindow(w)/cpuOfWindow(floor[i]))
	}
	return sample.Median(values)
}

func (b *bench) rotationRound(ctx context.Context, n int) error {
	exchanged := int(b.settings.window.Seconds()*exchangeCodes*1.5) + 64
	app, err := b.grow(ctx, len(rotationConnections)*(exchanged+64))
	if err != nil {
		return err
	}
	codes := app.Codes
	take := func(n int) []string {
		taken := codes[:n]
		codes = codes[n:]
		return taken
	}
	return b.whileRunning(ctx, b.wall, func(wall *subject.Server) (err error) {
		path := filepath.Join(b.dir, fmt.Sprintf("rotation-%d.db", n))
		floor, err := subject.Start(ctx, "rotation", b.dir, b.program("rotation"), "-db", path, "-families", "256")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, floor.Stop()) }()
		calibrated := &subject.App{Client: "calibrator", Secret: "calibrator-secret"}
		for _, c := range rotationConnections {
			tokens, err := b.signInSoon(ctx, app, take(c))
			if err != nil {
				return err
			}
			if err := b.turn(ctx, key{task: refresh, connections: c}, wall, app, b.wall.TokenEndpoint, tokens); err != nil {
				return err
			}
			first := make([]string, c)
			for i := range first {
				first[i] = fmt.Sprintf("family-%019d", c+i) // a load of 16 has other families than one of 64
			}
			if err := b.turn(ctx, key{task: rotation, connections: c}, floor, calibrated, floor.Base.String()+"/token", first); err != nil {
				return err
			}
			requests, err := app.Exchanges(b.wall.TokenEndpoint, take(exchanged))
			if err != nil {
				return err
			}
			plan := load.Plan{Connections: c, Requests: requests, Expect: `"refresh_token":"`}
			if err := b.book(ctx, key{task: exchange, connections: c}, wall, plan); err != nil {
				return err
			}
		}
		return nil
	})
}

// grow puts an application and codes for it into the database of seawall, which stands still.
func (b *bench) grow(ctx context.Context, codes int) (*subject.App, error) {
	cmd := exec.CommandContext(ctx, b.program("grow"), "-db", b.wall.Database(), "-tenant", b.wall.Tenant(), "-audience", subject.Audience, "-codes", fmt.Sprint(codes))
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, lastLine(string(exit.Stderr)))
	}
	if err != nil {
		return nil, err
	}
	app := new(subject.App)
	return app, json.Unmarshal(out, app)
}

// signInSoon redeems codes, after a moment in which the signer hears of the application.
func (b *bench) signInSoon(ctx context.Context, app *subject.App, codes []string) (tokens []string, err error) {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if tokens, err = app.SignIns(ctx, b.wall.TokenEndpoint, codes[:1]); err == nil {
			break
		}
		if time.Now().After(deadline) {
			return nil, err
		}
	}
	rest, err := app.SignIns(ctx, b.wall.TokenEndpoint, codes[1:])
	return append(tokens, rest...), err
}

// turn has each connection turn a family of its own.
func (b *bench) turn(ctx context.Context, k key, s *subject.Server, app *subject.App, endpoint string, tokens []string) error {
	requests, err := app.Refreshes(endpoint, tokens)
	if err != nil {
		return err
	}
	return b.book(ctx, k, s, load.Plan{Connections: k.connections, Requests: requests, Follow: "refresh_token", First: tokens, Expect: `"access_token":"`})
}

// book puts a load on a server and keeps what the window showed.
func (b *bench) book(ctx context.Context, k key, s *subject.Server, plan load.Plan) error {
	processes, err := s.Processes()
	if err != nil {
		return err
	}
	plan.Address, plan.Warmup, plan.Window = s.Base.Host, b.settings.window/4, b.settings.window
	for _, p := range processes {
		plan.Processes = append(plan.Processes, p.PID)
	}
	var r load.Result
	if err := b.consult(ctx, "load", plan, &r); err != nil {
		return fmt.Errorf("%s, %d connections: %w", k.task, k.connections, err)
	}
	var cpu time.Duration
	for _, used := range r.CPU {
		cpu += used
	}
	b.rotation[k] = append(b.rotation[k], window{cpu / time.Duration(r.Counted), r.P50, r.P99, float64(r.Counted) / r.Window.Seconds()})
	return nil
}

func (b *bench) rotationBars() (bars []report.Bar) {
	if b.rotation == nil {
		return nil
	}
	for _, task := range []string{refresh, exchange} {
		bars = append(bars,
			report.Bar{Measure: task + ", CPU of all processes, 16 connections, to the " + rotation, Unit: "×", Figure: b.rotation.ratio(task, 16), Limit: rotationBar},
			report.Bar{Measure: task + ", 64 connections", Unit: "/s", Figure: b.rotation.median(task, 64, rateOfWindow), Limit: rotationRate, AtLeast: true},
			report.Bar{Measure: task + ", p99 at 64 connections", Unit: "ms", Figure: b.rotation.median(task, 64, p99OfWindow), Limit: rotationP99})
	}
	return bars
}

func (b *bench) rotationTable() report.Table {
	t := report.Table{
		Title: "Tokens for people",
		Head:  []string{"task", "connections", "CPU µs", "× calibrator", "/s", "p50 ms", "p99 ms"},
		Note: "A refresh turns a family durably and gives an access token, an ID token and the next refresh token; a code gives the same and begins a family. Both tokens are recorded and signed by " +
			"the isolated signer. The rotation calibrator turns one row and adds one to an audit trail in SQLite, committed together with what waits, and signs one token in the same process. Medians of three turns.",
	}
	for _, c := range rotationConnections {
		for _, task := range []string{rotation, refresh, exchange} {
			t.Rows = append(t.Rows, []string{task, fmt.Sprint(c), report.Number(b.rotation.median(task, c, cpuOfWindow)), report.Number(b.rotation.ratio(task, c)),
				report.Number(b.rotation.median(task, c, rateOfWindow)), report.Number(b.rotation.median(task, c, p50OfWindow)), report.Number(b.rotation.median(task, c, p99OfWindow))})
		}
	}
	return t
}
