package main

import (
	"context"
	"fmt"

	"seawall/internal/server/adminapi"
)

// operatorsTenant is where the people are who have a role.
const operatorsTenant = "operators"

func personSetRole(ctx context.Context, c *call) error {
	f := newFlags(c, "PERSON ROLE [--yes]",
		"Gives a person of the tenant operators another role: owner (everything), operator (everything but owners), help-desk\n(links, sessions and recoveries of people without a role) or auditor (reads). It counts from their next request on. Nobody\ngives a role above their own, and the last owner who can sign in keeps theirs.")
	to, asJSON, yes := f.seawall(), f.json(), f.yes()
	words, err := f.parse("PERSON", "ROLE")
	if err != nil {
		return err
	}
	p, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Person, error) {
		present, err := o.Person(ctx, operatorsTenant, words[0])
		if err != nil || present.Role == words[1] {
			return present, err
		}
		if err := agree(c, *yes, words[0], []string{
			fmt.Sprintf("%s (%s) will be %s instead of %s.", present.Name, present.Login, words[1], present.Role),
			"  undo      give the old role back",
		}); err != nil {
			return nil, err
		}
		return o.SetRole(ctx, operatorsTenant, present.Subject, adminapi.SetRole{Role: words[1]})
	})
	if err != nil {
		return err
	}
	return c.tell(*asJSON, p, "%s is %s.\n", p.Login, p.Role)
}

func personSignOut(ctx context.Context, c *call) error {
	f := newFlags(c, "PERSON --tenant TENANT [--session ID]",
		"Ends the browser sessions of a person, or one of them. They sign in again with their passkey. What applications got\nthrough these sessions ends with them: refresh tokens at once, access tokens within a second at APIs that follow the feed.\n`seawall access list` shows what goes on.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	var q adminapi.EndSessions
	f.StringVar(&q.Session, "session", "", "end this session `ID` only, from `seawall person show --json`")
	words, err := f.parse("PERSON")
	if err != nil {
		return err
	}
	p, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Person, error) {
		return o.EndSessions(ctx, *tenant, words[0], q)
	})
	if err != nil {
		return err
	}
	return c.tell(*asJSON, p, "%s is signed in on %s now.\n", p.Login, many(len(p.Sessions), "browser"))
}
