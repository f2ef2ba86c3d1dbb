package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"seawall/internal/drill"
)

func drillCommands() []command {
	return []command{
		{name: "list", help: "list the drills", run: adapt("drill list", drillList)},
		{name: "run", help: "run an attack against a throw-away seawall and compare", run: adapt("drill run", drillRun)},
	}
}

func drillList(_ context.Context, c *call) error {
	f := newFlags(c, "", "Lists the drills: rehearsed attacks, each against a throw-away seawall of its own.")
	asJSON := f.json()
	if _, err := f.parse(); err != nil {
		return err
	}
	if *asJSON {
		list := []map[string]string{}
		for _, d := range drill.All {
			list = append(list, map[string]string{"id": d.ID, "title": d.Title, "incident": d.Incident})
		}
		return writeJSON(c.out, list)
	}
	t := table{head: []string{"DRILL", "ATTACK"}}
	for _, d := range drill.All {
		t.add(d.ID, d.Title)
	}
	return t.write(c.out, "No drills.")
}

// drillReport is what a run says with --json.
type drillReport struct {
	Drill   string       `json:"drill"`
	Title   string       `json:"title"`
	Passed  bool         `json:"passed"`
	Seconds float64      `json:"seconds"`
	Twin    string       `json:"twin"` // the library behind the other API
	Steps   []drill.Step `json:"steps"`
}

// drillTime bounds a run; a drill that takes longer has not passed.
const drillTime = time.Minute

func drillRun(ctx context.Context, c *call) error {
	f := newFlags(c, "DRILL", "Builds issuers, a signer and a ledger on a throw-away directory, attacks an API behind validate and a twin behind\nan ordinary library, and shows what each did. It touches no running seawall. Exit status 1 means a defence failed.")
	asJSON := f.json()
	names, err := f.parse("DRILL")
	if err != nil {
		return err
	}
	d, ok := drill.ByID(names[0])
	if !ok {
		return usage(fmt.Sprintf("no drill '%s'", names[0]), "seawall drill list shows what there is")
	}
	report, err := rehearse(ctx, c, d)
	if err != nil {
		return fmt.Errorf("drill %s: %w", d.ID, err)
	}
	if *asJSON {
		err = writeJSON(c.out, report)
	} else {
		err = report.write(c, d)
	}
	if err == nil && !report.Passed {
		err = errors.New("drill " + d.ID + " failed: a defence did not do what it must")
	}
	return err
}

// rehearse builds the ground, runs the drill on it and clears up.
func rehearse(ctx context.Context, c *call, d drill.Drill) (report *drillReport, err error) {
	ctx, cancel := context.WithTimeout(ctx, drillTime)
	defer cancel()
	begun := time.Now()
	log := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelError + 1}))
	g, err := newGround(log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.remove()) }()
	r, err := g.prepare(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.stop()) }()
	steps, err := d.Run(ctx, r)
	if err != nil {
		return nil, err
	}
	report = &drillReport{Drill: d.ID, Title: d.Title, Passed: len(steps) > 0, Twin: "coreos/go-oidc", Steps: steps}
	for _, s := range steps {
		report.Passed = report.Passed && s.Passed
	}
	report.Seconds = float64(time.Since(begun).Milliseconds()) / 1000
	return report, nil
}

func (r *drillReport) write(c *call, d drill.Drill) error {
	style := styleFor(c.out)
	fmt.Fprintf(c.out, "%s\n%s\n\n", style.strong(d.Title), d.Incident)
	t := table{head: []string{"", "STEP", "VALIDATE", "TWIN (" + r.Twin + ")", "WHY"}}
	for _, s := range r.Steps {
		mark, why := "ok", s.Note
		if !s.Passed {
			mark, why = "FAILED", "must be "+s.Want.String()
		}
		t.add(mark, s.Name, s.Seawall.String(), s.Twin.String(), why)
	}
	if err := t.write(c.out, "No steps."); err != nil {
		return err
	}
	verdict := "passed"
	if !r.Passed {
		verdict = "failed"
	}
	fmt.Fprintf(c.out, "\nDrill %s: %d steps in %.1f seconds.\n", verdict, len(r.Steps), r.Seconds)
	return nil
}
