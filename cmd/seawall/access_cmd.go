package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"seawall/internal/server/adminapi"
)

func accessCommands() []command {
	return []command{
		{name: "list", help: "list what applications have of a person", run: adapt("access list", accessList)},
		{name: "suspend", help: "stop one of them until somebody lets it go on", run: adapt("access suspend", accessStep("suspend",
			"Suspends what an application has of a person, on one device. It gets no tokens until it is resumed; those that it has\nlive until they end. The person is told on their account page, and may let it go on there."))},
		{name: "resume", help: "let a suspended one go on", run: adapt("access resume", accessStep("resume",
			"Lets what was suspended go on. Ask the person first: a suspended access may be with a thief, and the reason says why."))},
		{name: "end", help: "end one, all of an application, or all", run: adapt("access end", accessEnd)},
	}
}

func accessList(ctx context.Context, c *call) error {
	f := newFlags(c, "PERSON --tenant TENANT", "Lists what applications have of a person: what they may get tokens for, and since when.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	words, err := f.parse("PERSON")
	if err != nil {
		return err
	}
	all, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Accesses, error) {
		return o.Access(ctx, *tenant, words[0])
	})
	if err != nil {
		return err
	}
	return showAccess(c, all, *asJSON)
}

func showAccess(c *call, all *adminapi.Accesses, asJSON bool) error {
	if asJSON {
		return writeJSON(c.out, all)
	}
	now := time.Now()
	t := table{head: []string{"APPLICATION", "STATE", "SCOPE", "SINCE", "USED", "ENDS", "ID"}}
	live := map[string]bool{}
	for _, a := range all.Access {
		state := "live"
		if !a.Suspended.IsZero() {
			state = "SUSPENDED: " + strings.ReplaceAll(a.Why, "-", " ")
		}
		live[a.Client] = true
		t.add(a.Name, state, strings.Join(a.Scopes, " "), day(a.Created), span(now.Sub(a.Used))+" ago", moment(a.Expires, now), a.ID)
	}
	for _, one := range all.Given {
		live[one.Client] = true
		t.add(one.Name, "one token", strings.Join(one.Scopes, " "), day(one.At), "–", moment(one.Expires, now), "–")
	}
	for _, one := range all.Consents {
		if !live[one.Client] {
			t.add(one.Name, "allowed", "–", day(one.Given), "–", "–", "–")
		}
	}
	return t.write(c.out, "No application has access.")
}

// accessStep suspends or resumes one.
func accessStep(step, about string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		f := newFlags(c, "PERSON --tenant TENANT --id ID", about)
		to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
		q := adminapi.ChangeAccess{Step: step}
		f.StringVar(&q.ID, "id", "", "which one: `ID` from `seawall access list`")
		f.needs("id")
		words, err := f.parse("PERSON")
		if err != nil {
			return err
		}
		return changeAccess(ctx, c, to, *tenant, words[0], q, *asJSON)
	}
}

func accessEnd(ctx context.Context, c *call) error {
	f := newFlags(c, "PERSON --tenant TENANT --id ID | --client CLIENT | --all",
		"Ends what applications have of a person, for good, and has the access tokens that came of it distrusted. The applications\nask again when the person next uses them.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	q := adminapi.ChangeAccess{Step: "end"}
	f.StringVar(&q.ID, "id", "", "one `ID`, from `seawall access list`")
	f.StringVar(&q.Client, "client", "", "everything of one `CLIENT`, and the consent to it")
	everything := f.Bool("all", false, "everything of every application")
	words, err := f.parse("PERSON")
	if err != nil {
		return err
	}
	if chosen := count(q.ID != "", q.Client != "", *everything); chosen != 1 {
		return f.wrong("give one of --id, --client and --all")
	}
	return changeAccess(ctx, c, to, *tenant, words[0], q, *asJSON)
}

func count(given ...bool) (n int) {
	for _, one := range given {
		if one {
			n++
		}
	}
	return n
}

func changeAccess(ctx context.Context, c *call, to *reach, tenant, person string, q adminapi.ChangeAccess, asJSON bool) error {
	all, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Accesses, error) {
		return o.ChangeAccess(ctx, tenant, person, q)
	})
	if err != nil {
		return err
	}
	if !asJSON {
		fmt.Fprintf(c.out, "Done: %s.\n\n", map[string]string{"suspend": "suspended", "resume": "it goes on", "end": "ended"}[q.Step])
	}
	return showAccess(c, all, asJSON)
}
