//go:build linux

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"seawall/bench/internal/load"
	"seawall/bench/internal/process"
	"seawall/bench/internal/report"
	"seawall/bench/internal/sample"
	"seawall/bench/internal/subject"
)

const (
	signInBar       = 2   // ms, p50
	pageBar         = 300 // µs
	signIns         = 200 // below the limit of one address in a minute
	pageConnections = 16
	manyPeople      = 10 // in the tenant that pages are about, and as many clients
)

// page is one that is measured, who looks at it, and the benchmark that renders one like it.
type page struct{ name, path, by, renders string }

var pages = []page{
	{"sign-in", "/" + peopleTenant + "/signin", "", "BenchmarkPage/signin/whole"},
	{"a person's account", "/" + peopleTenant + "/account", "person", "BenchmarkPage/account/rendering"},
	{"console: overview", "/operators/console", "owner", "BenchmarkConsole/overview/rendering"},
	{"console: tenants", "/operators/console/tenants", "owner", "BenchmarkConsole/tenants/rendering"},
	{"console: a tenant", "/operators/console/tenants/" + peopleTenant, "owner", "BenchmarkConsole/tenant/rendering"},
	{"console: its people", "/operators/console/tenants/" + peopleTenant + "/people", "owner", "BenchmarkConsole/people/rendering"},
	{"console: its clients", "/operators/console/tenants/" + peopleTenant + "/clients", "owner", "BenchmarkConsole/clients/rendering"},
	{"console: a client", "/operators/console/tenants/" + peopleTenant + "/clients/bench-01", "owner", "BenchmarkConsole/client/rendering"},
	{"console: a form", "/operators/console/new/tenant", "owner", "BenchmarkConsole/form/rendering"},
}

// Where the benchmarks of pages are.
var pageBenchmarks = map[string]string{"./internal/login": "BenchmarkPage", "./internal/server": "BenchmarkConsole"}

const peopleTenant = "bench" // as package subject calls it

// visits are what people wait for.
type visits struct {
	signIn    []time.Duration   // each, sorted
	signInCPU time.Duration     // of all processes, for each
	pages     map[string]window // by name: the whole way, over HTTP
	rendering map[string]float64
}

// measureVisits signs somebody in again and again, and has pages shown, by a seawall of its own that has a name.
func (b *bench) measureVisits(ctx context.Context) error {
	wall, err := subject.NewNamedSeawall(b.seawall, filepath.Join(b.dir, "data-people"), b.dir)
	if err != nil {
		return err
	}
	if err := b.whileRunning(ctx, wall, func(*subject.Server) error {
		return errors.Join(wall.Provision(ctx), wall.AddClients(ctx, manyPeople-1))
	}); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, b.program("people"), "-db", wall.Database(), "-tenant", wall.Tenant(), "-people", fmt.Sprint(manyPeople))
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, lastLine(string(exit.Stderr)))
	}
	var who struct{ Owner, Person subject.Somebody }
	if err == nil {
		err = json.Unmarshal(out, &who)
	}
	if err != nil {
		return fmt.Errorf("making people: %w", err)
	}
	err = b.whileRunning(ctx, wall, func(server *subject.Server) error {
		// Pages first, because a person's account lists each session.
		b.visits.pages = map[string]window{}
		_, port, err := net.SplitHostPort(server.Base.Host)
		if err != nil {
			return err
		}
		for _, p := range pages {
			by := map[string]*subject.Somebody{"person": &who.Person, "owner": &who.Owner}[p.by]
			request, err := subject.Page(server.Base.JoinPath("/").String()+p.path[1:], by)
			if err != nil {
				return err
			}
			b.visits.pages[p.name], _, err = b.watch(ctx, server, load.Plan{Address: net.JoinHostPort("127.0.0.1", port), Connections: pageConnections, Requests: [][]byte{request}, Expect: "</html>"})
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		before, err := usedBy(server)
		if err != nil {
			return err
		}
		if b.visits.signIn, err = who.Person.SignIns(ctx, server.Base, signIns); err != nil {
			return err
		}
		after, err := usedBy(server)
		if err != nil {
			return err
		}
		b.visits.signInCPU = (after - before) / signIns
		slices.Sort(b.visits.signIn)
		return nil
	})
	if err != nil {
		return fmt.Errorf("measuring what people wait for: %w", err)
	}
	if err := b.measureRendering(ctx); err != nil {
		return err
	}
	dear := b.visits.dearest(pages)
	b.say("people · a sign-in takes the server %.2f ms, a page is rendered in at most %.0f µs (%s)", milliseconds(sample.Quantile(b.visits.signIn, 0.5)), b.visits.rendering[dear.renders], dear.name)
	return nil
}

// usedBy is the processor time that a server's processes have used.
func usedBy(s *subject.Server) (sum time.Duration, err error) {
	processes, err := s.Processes()
	for _, p := range processes {
		used, err := process.CPU(p.PID)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, err
}

// measureRendering has the pages' own benchmarks tell what is left of a page when what it shows is in memory.
func (b *bench) measureRendering(ctx context.Context) error {
	b.visits.rendering = map[string]float64{}
	for room, name := range pageBenchmarks {
		output, err := b.runBenchmark(ctx, room, name, b.repeats(), "-benchtime", (b.settings.window / 4).String())
		if err != nil {
			return err
		}
		maps.Copy(b.visits.rendering, parseMetric(output, "cpu-µs/op"))
	}
	return nil
}

// rendered is what rendering a page costs, or not a number, which meets no bar.
func (v visits) rendered(p page) float64 {
	if cpu, found := v.rendering[p.renders]; found {
		return cpu
	}
	return math.NaN()
}

// dearest is the page that costs the most to render.
func (v visits) dearest(of []page) page {
	return slices.MaxFunc(of, func(x, y page) int { return cmp.Compare(v.rendered(x), v.rendered(y)) })
}

func (b *bench) visitBars() (bars []report.Bar) {
	if b.visits.pages == nil {
		return nil
	}
	bars = append(bars, report.Bar{Measure: "signing in with a passkey, server's p50", Unit: "ms", Figure: milliseconds(sample.Quantile(b.visits.signIn, 0.5)), Limit: signInBar})
	for _, p := range []page{pages[0], pages[1], b.visits.dearest(pages[2:])} {
		bars = append(bars, report.Bar{Measure: "rendering a page, CPU, " + p.name, Unit: "µs", Figure: b.visits.rendered(p), Limit: pageBar})
	}
	return bars
}

func (b *bench) visitTable() report.Table {
	t := report.Table{
		Title: "What people wait for",
		Head:  []string{"what", "rendering, CPU µs", "all of it, CPU µs", "/s", "p50 ms", "p99 ms"},
		Note: fmt.Sprintf("Signing in is two requests, with entry, session and the end of the challenge durable, one after the other on one connection, each in a browser in which nobody was signed in; the authenticator's own work is not in it. All of a page is everything "+
			"from the request to the last byte over %d connections: who is signed in and what they may do, what the page shows, read now, and the page itself, which is what rendering means. The tenant has %d people and %d clients.",
			pageConnections, manyPeople, manyPeople),
	}
	half, most := sample.Quantile(b.visits.signIn, 0.5), sample.Quantile(b.visits.signIn, 0.99)
	t.Rows = append(t.Rows, []string{"signing in", "–", report.Number(microseconds(b.visits.signInCPU)), "–", report.Number(milliseconds(half)), report.Number(milliseconds(most))})
	for _, p := range pages {
		w := b.visits.pages[p.name]
		t.Rows = append(t.Rows, []string{p.name, report.Number(b.visits.rendered(p)), report.Number(cpuOfWindow(w)), report.Number(w.rate), report.Number(p50OfWindow(w)), report.Number(p99OfWindow(w))})
	}
	return t
}
