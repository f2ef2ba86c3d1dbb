package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"seawall/internal/server/adminapi"
)

func keysCommands() []command {
	return []command{
		{name: "list", help: "list a tenant's keys, their states and dates", run: adapt("keys list", keysList)},
		{name: "rotate", help: "let the published spare key take over now", run: adapt("keys rotate", keysRotate)},
		{name: "distrust", help: "end the trust in a key, or give it back", run: adapt("keys distrust", keysDistrust)},
	}
}

func keysList(ctx context.Context, c *call) error {
	f := newFlags(c, "--tenant TENANT", "Lists a tenant's keys, newest first. A staged key is published and waits; an active one signs; one that is\nverify-only signs no more and is still listed for the tokens it signed. One that is suspended or revoked is not\ntrusted any more.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	if _, err := f.parse(); err != nil {
		return err
	}
	all, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) ([]adminapi.Key, error) {
		return o.Keys(ctx, *tenant)
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, map[string]any{"tenant": *tenant, "keys": orEmpty(all)})
	}
	now := time.Now()
	t := table{head: []string{"KEY", "STATE", "ALG", "SIGNS", "PUBLISHED", "SIGNING ENDS", "EXPIRES"}}
	for _, k := range all {
		t.add(k.KID, k.State, k.Algorithm, strings.Join(k.TokenKinds, " "), day(k.Published), moment(k.SigningEnds, now), day(k.Expires))
	}
	return t.write(c.out, "No keys.")
}

func keysRotate(ctx context.Context, c *call) error {
	f := newFlags(c, "--tenant TENANT [--family FAMILY]", "Lets the published spare keys take over now: that for access tokens, and that for ID tokens where people sign in. One\nthat validators may not know yet stays a spare, and the time when it can take over is said.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	var q adminapi.RotateKeys
	f.StringVar(&q.Family, "family", "", "only the keys of this `FAMILY`: access or id")
	if _, err := f.parse(); err != nil {
		return err
	}
	r, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Rotated, error) {
		return o.RotateKeys(ctx, *tenant, q)
	})
	if err != nil {
		return err
	}
	var stay error
	for _, family := range r.Families {
		switch {
		case family.Stays != "":
			stay = errors.Join(stay, fmt.Errorf("the keys for %s of %s stay as they are: %s", tokensOf(family.Family), *tenant, family.Stays))
		case !*asJSON:
			fmt.Fprintf(c.out, "Key %s signs %s for %s from now on; %s only verifies.\n", family.To, tokensOf(family.Family), *tenant, family.From)
		}
	}
	if *asJSON {
		return errors.Join(writeJSON(c.out, r), stay)
	}
	return stay
}

// tokensOf says what the keys of a family sign.
func tokensOf(family string) string {
	switch family {
	case "access":
		return "access tokens"
	case "id":
		return "ID tokens"
	}
	return family
}

func clockCommands() []command {
	return []command{
		{name: "accept", help: "say that a jump of the clock is known and good", run: adapt("clock accept", clockAccept)},
	}
}

func clockAccept(ctx context.Context, c *call) error {
	f := newFlags(c, "", "Says that the clock is right after a jump of more than five minutes. Until then no key changes its state. It is\nrecorded in the log, with who said so.")
	to, asJSON := f.seawall(), f.json()
	if _, err := f.parse(); err != nil {
		return err
	}
	a, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.ClockAccepted, error) {
		return o.AcceptClock(ctx)
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, a)
	}
	if a.Was == "" {
		_, err = fmt.Fprintln(c.out, "The clock was not in doubt; nothing has changed.")
		return err
	}
	_, err = fmt.Fprintf(c.out, "The clock is accepted; keys change their states again. It was: %s\n", a.Was)
	return err
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
