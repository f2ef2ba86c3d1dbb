//go:build linux

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"seawall/bench/internal/load"
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

// page is one that is measured, and who looks at it.
type page struct{ name, path, by string }

var pages = []page{
	{"sign-in", "/" + peopleTenant + "/signin", ""},
	{"a person's account", "/" + peopleTenant + "/account", "person"},
	{"console: overview", "/operators/console", "owner"},
	{"console: tenants", "/operators/console/tenants", "owner"},
	{"console: a tenant", "/operators/console/tenants/" + peopleTenant, "owner"},
	{"console: its people", "/operators/console/tenants/" + peopleTenant + "/people", "owner"},
	{"console: its clients", "/operators/console/tenants/" + peopleTenant + "/clients", "owner"},
	{"console: a client", "/operators/console/tenants/" + peopleTenant + "/clients/bench-01", "owner"},
	{"console: a form", "/operators/console/tenants/" + peopleTenant + "/new/client?type=web", "owner"},
}

const peopleTenant = "bench" // as package subject calls it

// visits are what people wait for.
type visits struct {
	signIn []time.Duration // each, sorted
	pages  map[string]window
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
		if b.visits.signIn, err = who.Person.SignIns(ctx, server.Base, signIns); err != nil {
			return err
		}
		slices.Sort(b.visits.signIn)
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
		return nil
	})
	if err != nil {
		return fmt.Errorf("measuring what people wait for: %w", err)
	}
	dear := b.visits.dearest(pages)
	b.say("people · a sign-in takes the server %.2f ms, a page at most %.0f µs (%s)", milliseconds(sample.Quantile(b.visits.signIn, 0.5)), cpuOfWindow(b.visits.pages[dear.name]), dear.name)
	return nil
}

// dearest is the page that costs the most.
func (v visits) dearest(of []page) page {
	return slices.MaxFunc(of, func(x, y page) int { return cmp.Compare(v.pages[x.name].cpu, v.pages[y.name].cpu) })
}

func (b *bench) visitBars() (bars []report.Bar) {
	if b.visits.pages == nil {
		return nil
	}
	bars = append(bars, report.Bar{Measure: "signing in with a passkey, server's p50", Unit: "ms", Figure: milliseconds(sample.Quantile(b.visits.signIn, 0.5)), Limit: signInBar})
	for _, p := range []page{pages[0], pages[1], b.visits.dearest(pages[2:])} {
		bars = append(bars, report.Bar{Measure: "a page from request to last byte, CPU, " + p.name, Unit: "µs", Figure: cpuOfWindow(b.visits.pages[p.name]), Limit: pageBar})
	}
	return bars
}

func (b *bench) visitTable() report.Table {
	t := report.Table{
		Title: "What people wait for",
		Head:  []string{"what", "connections", "CPU µs", "/s", "p50 ms", "p99 ms"},
		Note: fmt.Sprintf("Signing in is two requests, with entry, session and receipt durable, one person after the other; the authenticator's own work is not in it. A page is everything from the request "+
			"to the last byte: who is signed in and what they may do, what the page shows, read now, and the page itself. The tenant has %d people and %d clients.", manyPeople, manyPeople),
	}
	half, most := sample.Quantile(b.visits.signIn, 0.5), sample.Quantile(b.visits.signIn, 0.99)
	t.Rows = append(t.Rows, []string{"signing in", "1", "–", "–", report.Number(milliseconds(half)), report.Number(milliseconds(most))})
	for _, p := range pages {
		w := b.visits.pages[p.name]
		t.Rows = append(t.Rows, []string{p.name, fmt.Sprint(pageConnections), report.Number(cpuOfWindow(w)), report.Number(w.rate), report.Number(p50OfWindow(w)), report.Number(p99OfWindow(w))})
	}
	return t
}
