package main

import (
	"context"
	"fmt"
	"strings"

	"seawall/internal/server/adminapi"
)

func glassProve(ctx context.Context, c *call) error {
	f := newFlags(c, "--tenant TENANT",
		"Shows that a break-glass code, read from standard input, is at hand and works. It uses nothing up: do it now and then, so\nthat nobody finds out on the bad day. `seawall tenant show` says when a way in was last proven.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	if _, err := f.parse(); err != nil {
		return err
	}
	p, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.ProvenGlass, error) {
		code, err := readCode(c)
		if err != nil {
			return nil, err
		}
		return o.ProveGlass(ctx, *tenant, adminapi.BreakGlass{Code: code.Reveal()})
	})
	if err != nil {
		return err
	}
	return c.tell(*asJSON, p, "The code of %s works. It was not used up: put the paper back.\n", p.Login)
}

// glassText says in a line how each break-glass principal of a tenant gets in, and when that was last seen to work.
func glassText(all []adminapi.Glass) string {
	var each []string
	for _, g := range all {
		var ways []string
		if g.Passkeys > 0 {
			ways = append(ways, many(g.Passkeys, "passkey"))
		}
		if g.Code {
			ways = append(ways, "a code")
		}
		if len(ways) == 0 {
			ways = []string{"no way in"}
		}
		each = append(each, fmt.Sprintf("%s: %s, proven %s", g.Login, strings.Join(ways, " and "), proven(g.Proven)))
	}
	return strings.Join(each, "; ")
}
