//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"seawall/bench/internal/load"
	"seawall/bench/internal/report"
	"seawall/bench/internal/subject"
)

// guardSpeeds is what the guard adds to a request when a proxy asks it, with one token that comes again and again.
type guardSpeeds struct {
	same, fresh window // one path; a new path each time, so that every assertion is signed anew
	alone       window // one path, one connection: what a request waits for
}

// window is one window of questions to the guard.
type window struct {
	cpu, p50, p99 time.Duration
	rate          float64
}

const (
	guardCPUBar      = 60  // µs an answer
	guardP50Bar      = 1.0 // ms
	guardConnections = 16
	guardPaths       = 5000 // more than the guard remembers assertions for
)

// measureGuard asks the real guard as nginx does.
func (b *bench) measureGuard(ctx context.Context) error {
	err := b.whileRunning(ctx, b.wall, func(*subject.Server) (err error) {
		token, err := subject.Token(ctx, b.wall.TokenEndpoint, b.wall.Clients[0])
		if err != nil {
			return err
		}
		listen, err := subject.FreeAddress()
		if err != nil {
			return err
		}
		guard, err := subject.Start(ctx, "guard", b.dir, b.seawall, "guard", "--proxy", "nginx", "--listen", listen,
			"--issuer", b.wall.Issuer, "--pin", b.wall.Pin, "--audience", subject.Audience, "--scope", "read")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, guard.Stop()) }()
		var fresh [][]byte
		for n := range guardPaths {
			fresh = append(fresh, guardQuestion(listen, token, fmt.Sprintf("/orders/%d", n)))
		}
		same := [][]byte{guardQuestion(listen, token, "/orders/7")}
		if b.guard.alone, err = b.askGuard(ctx, guard, 1, same); err != nil {
			return err
		}
		if b.guard.same, err = b.askGuard(ctx, guard, guardConnections, same); err != nil {
			return err
		}
		b.guard.fresh, err = b.askGuard(ctx, guard, guardConnections, fresh)
		return err
	})
	if err != nil {
		return fmt.Errorf("measuring the guard: %w", err)
	}
	b.say("guard · %.1f µs CPU an answer, %.1f µs on new paths, p50 %.2f ms alone",
		microseconds(b.guard.same.cpu), microseconds(b.guard.fresh.cpu), milliseconds(b.guard.alone.p50))
	return nil
}

// guardQuestion is how nginx asks, in the configuration of docs/guard.md.
func guardQuestion(host, token, path string) []byte {
	return []byte(strings.Join([]string{
		"GET /check HTTP/1.1", "Host: " + host, "X-Original-Method: GET", "X-Original-URI: " + path,
		"User-Agent: bench", "Accept: */*", "Authorization: Bearer " + token, "", "",
	}, "\r\n"))
}

func (b *bench) askGuard(ctx context.Context, guard *subject.Server, connections int, requests [][]byte) (window, error) {
	w, _, err := b.watch(ctx, guard, load.Plan{Connections: connections, Requests: requests})
	return w, err
}

// watch puts a window of load on a server, and says what it cost and showed.
func (b *bench) watch(ctx context.Context, s *subject.Server, plan load.Plan) (window, load.Result, error) {
	processes, err := s.Processes()
	if err != nil {
		return window{}, load.Result{}, err
	}
	if plan.Address == "" {
		plan.Address = s.Base.Host
	}
	plan.Warmup, plan.Window = b.settings.window/4, b.settings.window
	for _, p := range processes {
		plan.Processes = append(plan.Processes, p.PID)
	}
	var r load.Result
	if err := b.consult(ctx, "load", plan, &r); err != nil {
		return window{}, r, err
	}
	var cpu time.Duration
	for _, used := range r.CPU {
		cpu += used
	}
	return window{cpu / time.Duration(r.Counted), r.P50, r.P99, float64(r.Counted) / r.Window.Seconds()}, r, nil
}

func (b *bench) guardBars() []report.Bar {
	return []report.Bar{
		{Measure: fmt.Sprintf("guard, CPU an answer for a repeated token, %d connections", guardConnections), Unit: "µs", Figure: microseconds(b.guard.same.cpu), Limit: guardCPUBar},
		{Measure: "guard, p50 added to a request", Unit: "ms", Figure: milliseconds(b.guard.alone.p50), Limit: guardP50Bar},
	}
}

func (b *bench) guardTable() report.Table {
	t := report.Table{
		Title: "The guard, asked as nginx asks",
		Head:  []string{"questions", "connections", "CPU µs an answer", "answers/s", "p50 ms", "p99 ms"},
		Note:  "All with one token. On new paths each assertion is signed anew (ES256). CPU is the guard's own; HTTP is most of it.",
	}
	for _, row := range []struct {
		name        string
		connections int
		window
	}{{"the same request", 1, b.guard.alone}, {"the same request", guardConnections, b.guard.same}, {"new paths", guardConnections, b.guard.fresh}} {
		t.Rows = append(t.Rows, []string{
			row.name, fmt.Sprint(row.connections), report.Number(microseconds(row.cpu)), report.Number(row.rate), report.Number(milliseconds(row.p50)), report.Number(milliseconds(row.p99)),
		})
	}
	return t
}
