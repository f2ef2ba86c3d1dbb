package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"seawall/internal/server/adminapi"
)

func runStatus(ctx context.Context, c *call) error {
	f := newFlags(c, "", "Tells how seawall is: whether it issues, what is away and why, and how well its processes are kept apart.\nThe status is 1 when it is not ready.")
	to, asJSON := f.seawall(), f.json()
	if _, err := f.parse(); err != nil {
		return err
	}
	s, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Status, error) {
		return o.Status(ctx)
	})
	if err != nil {
		return err
	}
	if *asJSON {
		err = writeJSON(c.out, s)
	} else {
		err = showStatus(c, s)
	}
	if err == nil && !s.Ready {
		err = errAnswered
	}
	return err
}

func showStatus(c *call, s *adminapi.Status) error {
	style, now := styleFor(c.out), time.Now()
	if s.Ready {
		fmt.Fprintln(c.out, style.strong("Seawall is ready")+" at "+s.Base)
	} else {
		fmt.Fprintln(c.out, style.warn("Seawall is not ready")+" at "+s.Base)
	}
	for _, a := range s.Away {
		fmt.Fprintf(c.out, "  %s: %s\n", style.warn(a.Part+" is away"), a.Reason)
	}
	if o := s.Owed; o != nil {
		fmt.Fprintf(c.out, "  %s: %s, the oldest of %s\n    %s\n    %s\n", style.warn("the ledger has yet to hear"), owed(o), moment(o.Since, now), o.Means, o.Do)
	}
	if s.Frozen != "" {
		fmt.Fprintf(c.out, "  %s: %s\n", style.warn("keys are frozen"), s.Frozen)
	}
	for _, a := range s.Alarms {
		what := "the break-glass code of " + a.Login + " at " + a.Tenant + " was used"
		if a.Kind == "owner-link" {
			what = "a link for the owner " + a.Login + " was made over the socket"
		}
		fmt.Fprintf(c.out, "  %s: %s by %s, %s\n", style.warn("alarm"), what, a.Actor, moment(a.Time, now))
	}
	pending := ""
	if s.PoliciesPending > 0 {
		pending = many(s.PoliciesPending, "change") + " not yet confirmed by the signer"
	}
	return facts(c.out,
		[2]string{"running for", span(now.Sub(s.Started))},
		[2]string{"tenants", fmt.Sprint(s.Tenants)},
		[2]string{"waiting", pending},
		[2]string{"log", fmt.Sprintf("%s, the last %s", entries(s.LogSize), moment(s.LogTime, now))},
		[2]string{"ledger root", s.Pin},
		[2]string{"house", s.House.Level},
		[2]string{"signer", s.Signer.Level},
		[2]string{"ledger", s.Ledger.Level},
		[2]string{"keys", s.Signer.Custody},
		[2]string{"version", s.Version})
}

// owed counts what the ledger has yet to hear.
func owed(o *adminapi.Owing) string {
	var parts []string
	if o.Statements > 0 {
		parts = append(parts, many(o.Statements, "statement"))
	}
	if o.Entries > 0 {
		parts = append(parts, entries(uint64(o.Entries)))
	}
	return strings.Join(parts, " and ")
}

// entries counts entries of the log.
func entries(n uint64) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
