package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"seawall/internal/server/adminapi"
)

// overviewView is how seawall is at this moment.
type overviewView struct {
	Status     *adminapi.Status
	Processes  []process
	Facts      []fact
	Findings   []finding
	Glass      *table
	Recoveries int
	Watching   bool // the page loads itself again
}

// process is one of the three.
type process struct {
	Name   string // key
	State  cell
	Detail cell
	Why    string // it is away
}

// finding is something that a tenant lacks.
type finding struct {
	Tenant string
	adminapi.Finding
}

// watchEvery is how often the overview loads itself again for somebody who asked for that.
const watchEvery = "10"

func (o *Console) overview(v *visit) error {
	status, err := v.api.Status(v.Context())
	if err != nil {
		return err
	}
	view := overviewView{Status: status, Watching: v.URL.Query().Get("watch") == "1"}
	if view.Watching {
		v.w.Header().Set("Refresh", watchEvery)
	}
	view.Processes = []process{
		{Name: "console.house", State: badge("ok", "console.answers"), Detail: text(status.House.Level)},
		part(status, "console.signer", text(status.Signer.Level), "signer", "policy"),
		part(status, "console.ledger", text(status.Ledger.Level), "ledger", "ledger-root", "log"),
	}
	view.Facts = []fact{
		{"console.issuing", yes(status.Ready, "console.issues", "console.issuesnot")},
		{"console.entries", word("console.count", status.LogSize)},
		{"console.lastentry", v.when(status.LogTime)},
		{"console.custody", orNone(status.Signer.Custody)},
		{"console.policies", text(fmt.Sprint(status.PoliciesPending))},
		{"console.base", copied(status.Base)},
		{"console.pin", copied(status.Pin)},
		{"console.started", v.when(status.Started)},
		{"console.version", text(status.Version)},
	}
	if status.Frozen != "" {
		view.Facts = append([]fact{{"console.frozen", cell{Text: status.Frozen, Badge: "danger"}}}, view.Facts...)
	}
	if view.Findings, view.Glass, err = v.lacking(); err != nil {
		return err
	}
	waiting, err := v.api.Recoveries(v.Context())
	if err != nil {
		return err
	}
	view.Recoveries = len(waiting)
	view.Glass.Root = o.root
	return o.render(v, "overview", page{Title: "console.overview", Section: "overview", Body: view})
}

// part is a process as the house sees it.
func part(s *adminapi.Status, name string, detail cell, parts ...string) process {
	p := process{Name: name, State: badge("ok", "console.answers"), Detail: detail}
	var why []string
	for _, a := range s.Away {
		if slices.Contains(parts, a.Part) {
			p.State = badge("danger", "console.away")
			why = append(why, a.Reason)
		}
	}
	p.Why = strings.Join(why, " ")
	return p
}

func yes(is bool, key, otherwise string) cell {
	if is {
		return badge("ok", key)
	}
	return badge("danger", otherwise)
}

// lacking gathers what tenants lack, and when their break-glass codes were proven.
func (v *visit) lacking() (list []finding, glass *table, err error) {
	tenants, err := v.api.Tenants(v.Context())
	if err != nil {
		return nil, nil, err
	}
	glass = &table{Caption: "console.glass", Columns: []string{"console.tenant", "console.principal", "console.proven", "console.code"}, Empty: "console.noglass"}
	for _, t := range tenants {
		if !t.Disabled.IsZero() {
			continue
		}
		one, err := v.api.Tenant(v.Context(), t.Tenant)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range one.Findings {
			list = append(list, finding{t.Tenant, f})
		}
		glass.Rows = append(glass.Rows, v.glassOf(one)...)
	}
	return list, glass, nil
}

// glassOf says of each break-glass principal of a tenant when its code was last proven: shown to work, or used.
func (v *visit) glassOf(t *adminapi.Tenant) (rows [][]cell) {
	for _, g := range t.Glass {
		code := badge("ok", "console.sealed")
		if g.Passkeys == 0 && !g.Code {
			code = badge("danger", "console.unsealed")
		}
		rows = append(rows, []cell{{Text: t.Tenant, Path: at("tenants", t.Tenant)}, text(g.Login), v.provenAt(g.Proven), code})
	}
	return rows
}

// provenAt is "last proven N days ago".
func (v *visit) provenAt(last time.Time) cell {
	if last.IsZero() {
		return badge("warn", "console.unproven")
	}
	days := int(v.now.Sub(last) / (24 * time.Hour))
	switch {
	case days < 1:
		return badge("ok", "console.proventoday")
	case days == 1:
		return badge("ok", "console.provenday")
	case days > 90:
		return badge("warn", "console.provendays", days)
	}
	return badge("ok", "console.provendays", days)
}

// recoveries are those that wait for a second administrator.
func (o *Console) recoveries(v *visit) error {
	all, err := v.api.Recoveries(v.Context())
	if err != nil {
		return err
	}
	list := &table{Caption: "console.recoveries", Columns: []string{"console.person", "console.tenant", "console.role", "console.askedby", "console.asked"}, Empty: "console.norecoveries"}
	for _, w := range all {
		list.Rows = append(list.Rows, []cell{{Text: cmp.Or(w.Name, w.Login), Path: at("tenants", w.Tenant, "people", w.Subject, "recover")}, text(w.Tenant), orNone(w.Role), text(v.named(w.RequestedBy)), v.when(w.Requested)})
	}
	return o.render(v, "show", page{Title: "console.recoveries", Lead: "console.recoverieslead", Section: "recoveries", Body: []section{{Table: list}}})
}
