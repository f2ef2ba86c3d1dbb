package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"seawall/internal/server/adminapi"
)

func apiCommands() []command {
	return []command{
		{name: "create", help: "register an API, and print the three lines that protect it", run: adapt("api create", apiCreate)},
		{name: "list", help: "list a tenant's APIs", run: adapt("api list", apiList)},
		{name: "show", help: "show one API", run: adapt("api show", apiShow)},
		{name: "disable", help: "stop tokens for an API, for good", run: adapt("api disable", apiDisable)},
	}
}

func apiCreate(ctx context.Context, c *call) error {
	f := newFlags(c, "URL --tenant TENANT --scope SCOPE …",
		"Registers an API (a resource server) under the URL that will stand in its tokens' aud, and prints the lines that\nprotect it. The secret is for introspection and for the distrust feed; the three lines do without.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	scopes := f.list("scope", "`SCOPE` that clients may ask for; may be repeated")
	var lifetime seconds
	f.Var(&lifetime, "max-lifetime", "longest `LIFE` of its tokens, such as 15m (the default is the tenant's)")
	save := f.String("save", "", saveHelp)
	words, err := f.parse("URL")
	if err != nil {
		return err
	}
	keep, err := openKeepsake(*save)
	if err != nil {
		return err
	}
	api, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.API, error) {
		return o.CreateAPI(ctx, *tenant, adminapi.CreateAPI{Audience: words[0], Scopes: *scopes, MaxLifetime: int64(lifetime)})
	})
	if err != nil {
		keep.drop()
		return err
	}
	saved := keepSecret(c, keep, &api.Secret, "ISSUER", api.Issuer, "AUDIENCE", api.Audience, "PIN", api.Pin, "API_ID", api.APIID, "API_SECRET")
	if *asJSON {
		return writeJSON(c.out, api)
	}
	fmt.Fprintf(c.out, "API %s is registered.\n", api.Audience)
	if err := facts(c.out, [2]string{"api id", api.APIID}, [2]string{"api secret", api.Secret},
		[2]string{"scopes", strings.Join(api.Scopes, " ")}, [2]string{"pin", api.Pin}, [2]string{"saved in", saved}); err != nil {
		return err
	}
	if api.Secret != "" {
		fmt.Fprintln(c.out, onceNote)
	}
	_, err = fmt.Fprintf(c.out, "\nProtect it with three lines of Go:\n\n%s\n", indent(api.Snippet))
	return err
}

const saveHelp = "write ids and secret to `FILE` (0600, for `. FILE`) and keep the secret off the screen"

// keepSecret puts a new secret into the keepsake, if there is one, and takes it out of what will be printed. When that
// fails the secret is printed after all: it exists, and there is no second chance to see it.
func keepSecret(c *call, keep *keepsake, secret *string, pairs ...string) string {
	if keep == nil {
		return ""
	}
	path := keep.file.Name()
	if err := keep.write(append(pairs, *secret)...); err != nil {
		keep.drop()
		fmt.Fprintf(c.err, "seawall: saving to %s: %v: the secret follows here instead\n", path, err)
		return ""
	}
	*secret = ""
	return path
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(text)) {
		b.WriteString("    " + line)
	}
	return b.String()
}

func apiList(ctx context.Context, c *call) error {
	f := newFlags(c, "--tenant TENANT", "Lists a tenant's APIs.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	if _, err := f.parse(); err != nil {
		return err
	}
	all, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) ([]adminapi.API, error) {
		return o.APIs(ctx, *tenant)
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, map[string]any{"apis": orEmpty(all)})
	}
	t := table{head: []string{"API", "ID", "STATE", "CREATED", "SCOPES"}}
	for _, one := range all {
		t.add(one.Audience, one.APIID, state(one.Disabled), day(one.Created), strings.Join(one.Scopes, " "))
	}
	return t.write(c.out, "No APIs yet. Register the first with `seawall api create`.")
}

func apiShow(ctx context.Context, c *call) error {
	f := newFlags(c, "URL|API-ID --tenant TENANT", "Shows one API.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	words, err := f.parse("URL")
	if err != nil {
		return err
	}
	api, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.API, error) {
		return o.API(ctx, *tenant, words[0])
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, api)
	}
	life := "the tenant's"
	if api.MaxLifetime > 0 {
		life = span(time.Duration(api.MaxLifetime) * time.Second)
	}
	fmt.Fprintln(c.out, api.Audience)
	return facts(c.out,
		[2]string{"state", state(api.Disabled)},
		[2]string{"api id", api.APIID},
		[2]string{"tenant", api.Tenant},
		[2]string{"issuer", api.Issuer},
		[2]string{"scopes", strings.Join(api.Scopes, " ")},
		[2]string{"longest life", life},
		[2]string{"created", moment(api.Created, time.Now())})
}

func apiDisable(ctx context.Context, c *call) error {
	f := newFlags(c, "URL|API-ID --tenant TENANT [--yes]", "Stops tokens for an API for good.")
	to, asJSON, tenant, yes := f.seawall(), f.json(), f.tenant(), f.yes()
	words, err := f.parse("URL")
	if err != nil {
		return err
	}
	api, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.API, error) {
		if err := previewAPI(ctx, c, o, *tenant, words[0], *yes); err != nil {
			return nil, err
		}
		return o.DisableAPI(ctx, *tenant, words[0])
	})
	if err != nil {
		return err
	}
	return c.tell(*asJSON, api, "API %s is disabled.\n", api.Audience)
}

func previewAPI(ctx context.Context, c *call, o *adminapi.Operator, tenant, name string, yes bool) error {
	api, err := o.API(ctx, tenant, name)
	if err != nil {
		return err
	}
	clients, err := o.Clients(ctx, tenant)
	if err != nil {
		return err
	}
	using := 0
	for _, client := range clients {
		for _, audience := range client.APIs {
			if audience == api.Audience {
				using++
			}
		}
	}
	return agree(c, yes, name, []string{
		fmt.Sprintf("No more tokens will be issued for %s.", api.Audience),
		fmt.Sprintf("  affected  %s of tenant %s may ask for it", many(using, "client"), tenant),
		"  undo      none: a disabled API stays disabled, and its URL can't be registered again",
	})
}
