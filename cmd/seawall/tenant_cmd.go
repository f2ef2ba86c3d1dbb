package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

func tenantCommands() []command {
	return []command{
		{name: "create", help: "create a tenant, with an issuer and a key of its own", run: adapt("tenant create", tenantCreate)},
		{name: "list", help: "list the tenants", run: adapt("tenant list", tenantList)},
		{name: "show", help: "show one tenant", run: adapt("tenant show", tenantShow)},
		{name: "complete", help: "give a tenant what it lacks: break-glass codes, contacts, rules for passkeys", run: adapt("tenant complete", tenantComplete)},
		{name: "disable", help: "stop a tenant's tokens, for good", run: adapt("tenant disable", tenantDisable)},
	}
}

func tenantCreate(ctx context.Context, c *call) error {
	f := newFlags(c, "ID --class CLASS --owner MAIL --contact MAIL --contact MAIL [--seal-to RECIPIENT --seal-to RECIPIENT]",
		"Creates a tenant: an issuer of its own, with a key of its own that is active at once. The id is part of the\nissuer's URL and is never used again, even after the tenant is gone: a-z, 0-9 and -, at most 63.\nWith --seal-to its break-glass codes are made, too, and leave encrypted: the first RECIPIENT reads that of break-glass-1, the\nsecond that of break-glass-2. Without, `seawall tenant complete` makes them.")
	to, asJSON := f.seawall(), f.json()
	var q adminapi.CreateTenant
	f.StringVar(&q.Class, "class", "", "`CLASS`: production, staging, development or support")
	f.StringVar(&q.Owner, "owner", "", "`MAIL` address of who is responsible")
	f.needs("class", "owner")
	contacts := f.list("contact", "`MAIL` address that is reached in an emergency; at least two")
	f.StringVar(&q.Algorithm, "algorithm", "", "`ALG` of its tokens: ES256 (the default), RS256, PS256 or EdDSA")
	claims := f.list("claim", "`NAME` of a custom claim that its clients may be given; may be repeated")
	var lifetime seconds
	f.Var(&lifetime, "max-lifetime", "longest `LIFE` of any token, such as 15m (the default is 1h)")
	f.IntVar(&q.RotationDays, "rotation-days", 0, "`DAYS` that a key signs before the next takes over (the default is 30)")
	sealTo := f.sealTo(tenant.BreakGlassPrincipals)
	words, err := f.parse("ID")
	if err != nil {
		return err
	}
	g, err := sealTo()
	if err == nil {
		err = g.enough(tenant.BreakGlassPrincipals)
	}
	if err != nil {
		return err
	}
	q.Tenant, q.Contacts, q.Claims, q.MaxLifetime = words[0], *contacts, *claims, int64(lifetime)
	t, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Tenant, error) {
		t, err := o.CreateTenant(ctx, q)
		if err != nil || len(g.to) == 0 {
			return t, err
		}
		if err := g.complete(ctx, o, t, false); err != nil {
			return t, fmt.Errorf("tenant %s is there, and lacks codes (%s): %w", t.Tenant, anotherCode(t.Tenant), err)
		}
		return o.Tenant(ctx, t.Tenant)
	})
	if *asJSON {
		return g.answer(tenantAndCodes{t, g.sealed}, err)
	}
	if err == nil {
		fmt.Fprintf(c.out, "Tenant %s is ready.\n", t.Tenant)
		err = facts(c.out, [2]string{"issuer", t.Issuer}, [2]string{"token endpoint", t.TokenEndpoint}, [2]string{"class", t.Class})
	}
	return g.tell(err)
}

func tenantList(ctx context.Context, c *call) error {
	f := newFlags(c, "", "Lists all tenants by id.")
	to, asJSON := f.seawall(), f.json()
	if _, err := f.parse(); err != nil {
		return err
	}
	all, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) ([]adminapi.Tenant, error) {
		return o.Tenants(ctx)
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, map[string]any{"tenants": orEmpty(all)})
	}
	t := table{head: []string{"TENANT", "CLASS", "STATE", "CREATED", "ISSUER"}}
	for _, one := range all {
		t.add(one.Tenant, one.Class, state(one.Disabled), day(one.Created), one.Issuer)
	}
	return t.write(c.out, "No tenants yet. Create the first with `seawall tenant create`.")
}

func tenantShow(ctx context.Context, c *call) error {
	f := newFlags(c, "ID", "Shows one tenant.")
	to, asJSON := f.seawall(), f.json()
	words, err := f.parse("ID")
	if err != nil {
		return err
	}
	t, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Tenant, error) {
		return o.Tenant(ctx, words[0])
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, t)
	}
	policy := fmt.Sprintf("version %d, in force", t.PolicyVersion)
	if t.PolicyApplied != t.PolicyVersion {
		policy = fmt.Sprintf("version %d is waiting for the signer, which has %d", t.PolicyVersion, t.PolicyApplied)
	}
	fmt.Fprintln(c.out, t.Tenant)
	err = facts(c.out,
		[2]string{"state", state(t.Disabled)},
		[2]string{"issuer", t.Issuer},
		[2]string{"token endpoint", t.TokenEndpoint},
		[2]string{"class", t.Class},
		[2]string{"owner", t.Owner},
		[2]string{"contacts", strings.Join(t.Contacts, ", ")},
		[2]string{"algorithm", t.Algorithm},
		[2]string{"custom claims", strings.Join(t.Claims, ", ")},
		[2]string{"longest life", span(time.Duration(t.MaxLifetime) * time.Second)},
		[2]string{"key rotation", fmt.Sprintf("every %d days", t.RotationDays)},
		[2]string{"passkeys", strings.TrimSpace(t.Passkeys + " " + strings.Join(t.Models, " "))},
		[2]string{"break glass", glassText(t.Glass)},
		[2]string{"policy", policy},
		[2]string{"created", moment(t.Created, time.Now())})
	if err == nil && len(t.Findings) > 0 {
		fmt.Fprintln(c.out, "\nIt lacks something:")
		err = tellFindings(c, t)
	}
	return err
}

func tenantDisable(ctx context.Context, c *call) error {
	f := newFlags(c, "ID [--yes]", "Stops a tenant's tokens for good: no more are issued, and introspection calls the old ones inactive. Its key\ndocument stays, so that what it signed can still be checked.")
	to, asJSON, yes := f.seawall(), f.json(), f.yes()
	words, err := f.parse("ID")
	if err != nil {
		return err
	}
	t, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Tenant, error) {
		if err := previewTenant(ctx, c, o, words[0], *yes); err != nil {
			return nil, err
		}
		return o.DisableTenant(ctx, words[0])
	})
	if err != nil {
		return err
	}
	return c.tell(*asJSON, t, "Tenant %s is disabled.\n", t.Tenant)
}

func previewTenant(ctx context.Context, c *call, o *adminapi.Operator, id string, yes bool) error {
	t, err := o.Tenant(ctx, id)
	if err != nil {
		return err
	}
	clients, err := o.Clients(ctx, id)
	if err != nil {
		return err
	}
	apis, err := o.APIs(ctx, id)
	if err != nil {
		return err
	}
	return agree(c, yes, id, []string{
		fmt.Sprintf("Tenant %s (%s) will get no more tokens.", t.Tenant, t.Class),
		fmt.Sprintf("  affected  %s, %s", many(len(clients), "client"), many(len(apis), "API")),
		fmt.Sprintf("  until     APIs that don't ask seawall go on accepting its last tokens for at most %s", span(time.Duration(t.MaxLifetime)*time.Second)),
		"  undo      none: a disabled tenant stays disabled, and its id is never used again",
	})
}

// many counts things in words.
func many(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// yes adds --yes.
func (f *flags) yes() *bool { return f.Bool("yes", false, "do it without asking") }

// orEmpty makes JSON say [] and not null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
