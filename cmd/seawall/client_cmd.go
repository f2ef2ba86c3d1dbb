package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"seawall/internal/server/adminapi"
)

func clientCommands() []command {
	return []command{
		{name: "create", help: "register a client, and print its secret once", run: adapt("client create", clientCreate)},
		{name: "list", help: "list a tenant's clients", run: adapt("client list", clientList)},
		{name: "show", help: "show one client", run: adapt("client show", clientShow)},
		{name: "set-redirects", help: "change where people come back to after signing in or out", run: adapt("client set-redirects", clientRedirects)},
		{name: "rotate-secret", help: "give a client a new secret; the old one works on for a while", run: adapt("client rotate-secret", clientRotate)},
		{name: "disable", help: "stop a client, for good", run: adapt("client disable", clientDisable)},
	}
}

func clientCreate(ctx context.Context, c *call) error {
	f := newFlags(c, "[ID] --tenant TENANT [--type TYPE] [--redirect URI …] [--api URL … --scope SCOPE …]",
		"Registers a client: a service that gets tokens for itself, or an application that people sign in to. Without an id\nit is given one. A web client and a service prove themselves with a secret that is made here, shown once and kept\nonly as a hash, or with keys of their own; native and spa clients can keep none, and prove each token with DPoP.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	var q adminapi.CreateClient
	f.StringVar(&q.Type, "type", "", "what it is: `TYPE` service (the default), web (a server), native (an app) or spa (in the browser)")
	redirects := f.list("redirect", "`URI` that people come back to after signing in; may be repeated")
	logouts := f.list("logout-uri", "`URI` that people may come back to after signing out; may be repeated")
	f.BoolVar(&q.Trusted, "trusted", false, "it is the organisation's own: people are not asked whether it may know them")
	f.StringVar(&q.DPoP, "dpop", "", "`RULE` required or offered; the default is required for native and spa")
	f.StringVar(&q.DPoPReason, "dpop-reason", "", "`TEXT`: why a native or spa client does not require DPoP")
	f.StringVar(&q.Name, "name", "", "`NAME` that people know it by; the default is the id")
	grants := f.list("grant", "`GRANT` type: authorization_code, refresh_token or client_credentials; the default suits the type")
	apis := f.list("api", "`URL` or api id of an API it may ask for; may be repeated")
	scopes := f.list("scope", "`SCOPE` it may ask for; may be repeated")
	f.StringVar(&q.Auth, "auth", "", "how it authenticates: `METHOD` client_secret_basic, client_secret_post, private_key_jwt or none; the default suits the type")
	jwks := f.String("jwks", "", "`FILE` with its public keys (a JWK Set) for private_key_jwt; - is standard input")
	var lifetime seconds
	f.Var(&lifetime, "lifetime", "`LIFE` of its tokens, such as 5m (the default is 10m)")
	claims := f.list("claim", "`NAME=VALUE` of a custom claim for each of its tokens; may be repeated")
	save := f.String("save", "", saveHelp)
	words, err := f.parse("[ID]")
	if err != nil {
		return err
	}
	if len(words) == 1 {
		q.ClientID = words[0]
	}
	q.Grants, q.APIs, q.Scopes, q.Lifetime = *grants, *apis, *scopes, int64(lifetime)
	q.RedirectURIs, q.LogoutURIs = *redirects, *logouts
	if q.Claims, err = f.claims(*claims); err != nil {
		return err
	}
	if q.JWKS, err = f.readJWKS(*jwks); err != nil {
		return err
	}
	keep, err := openKeepsake(*save)
	if err != nil {
		return err
	}
	client, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Client, error) {
		return o.CreateClient(ctx, *tenant, q)
	})
	if err != nil {
		keep.drop()
		return err
	}
	return showSecret(c, client, keep, *asJSON, fmt.Sprintf("Client %s is registered.", client.ClientID))
}

// showSecret prints a client with its new secret.
func showSecret(c *call, client *adminapi.Client, keep *keepsake, asJSON bool, headline string) error {
	pairs := []string{"ISSUER", client.Issuer, "TOKEN_ENDPOINT", client.TokenEndpoint, "CLIENT_ID", client.ClientID}
	if client.Pin != "" {
		pairs = append(pairs, "PIN", client.Pin)
	}
	saved := keepSecret(c, keep, &client.Secret, append(pairs, "CLIENT_SECRET")...)
	if asJSON {
		return writeJSON(c.out, client)
	}
	fmt.Fprintln(c.out, headline)
	err := facts(c.out,
		[2]string{"client id", client.ClientID},
		[2]string{"client secret", client.Secret},
		[2]string{"issuer", issuerOf(client)},
		[2]string{"pin", client.Pin},
		[2]string{"token endpoint", client.TokenEndpoint},
		[2]string{"authenticates by", client.Auth},
		[2]string{"redirects", strings.Join(client.RedirectURIs, " ")},
		[2]string{"DPoP", dpopText(client)},
		[2]string{"old secret until", untilText(client.PreviousSecretUntil)},
		[2]string{"saved in", saved})
	if err == nil && client.Secret != "" {
		_, err = fmt.Fprintln(c.out, onceNote)
	}
	return err
}

// issuerOf is what an application that people sign in to is configured with: its library finds everything else there.
func issuerOf(client *adminapi.Client) string {
	if len(client.RedirectURIs) == 0 {
		return ""
	}
	return client.Issuer
}

// dpopText says whether a client's tokens are bound to its key, where that is a question.
func dpopText(client *adminapi.Client) string {
	switch {
	case client.DPoPReason != "":
		return client.DPoP + ", because: " + client.DPoPReason
	case len(client.RedirectURIs) == 0 && client.DPoP == "offered":
		return ""
	}
	return client.DPoP
}

func untilText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return moment(t, time.Now())
}

func (f *flags) claims(pairs []string) (map[string]string, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	claims := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, f.wrong("--claim wants NAME=VALUE")
		}
		if _, twice := claims[name]; twice {
			return nil, f.wrong("--claim %s is given twice", name)
		}
		claims[name] = value
	}
	return claims, nil
}

// maxJWKS is more than any client's keys need.
const maxJWKS = 256 << 10

func (f *flags) readJWKS(path string) (string, error) {
	var source io.Reader
	switch path {
	case "":
		return "", nil
	case "-":
		source = f.call.in
	default:
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("reading the client's keys: %w", err)
		}
		defer file.Close()
		source = file
	}
	text, err := io.ReadAll(io.LimitReader(source, maxJWKS+1))
	if err != nil {
		return "", fmt.Errorf("reading the client's keys: %w", err)
	}
	if len(text) > maxJWKS {
		return "", f.wrong("--jwks: the file is over %d KiB", maxJWKS>>10)
	}
	return string(text), nil
}

func clientList(ctx context.Context, c *call) error {
	f := newFlags(c, "--tenant TENANT", "Lists a tenant's clients.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	if _, err := f.parse(); err != nil {
		return err
	}
	all, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) ([]adminapi.Client, error) {
		return o.Clients(ctx, *tenant)
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, map[string]any{"clients": orEmpty(all)})
	}
	t := table{head: []string{"CLIENT", "TYPE", "STATE", "AUTHENTICATES BY", "CREATED", "APIS", "SCOPES"}}
	for _, one := range all {
		t.add(one.ClientID, one.Type, state(one.Disabled), one.Auth, day(one.Created), strings.Join(one.APIs, " "), strings.Join(one.Scopes, " "))
	}
	return t.write(c.out, "No clients yet. Register the first with `seawall client create`.")
}

func clientShow(ctx context.Context, c *call) error {
	f := newFlags(c, "ID --tenant TENANT", "Shows one client. Its secret can't be shown: seawall has only the hash.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	words, err := f.parse("ID")
	if err != nil {
		return err
	}
	client, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Client, error) {
		return o.Client(ctx, *tenant, words[0])
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, client)
	}
	var claims []string
	for name, value := range client.Claims {
		claims = append(claims, name+"="+value)
	}
	return showClient(c, client, claims)
}

func showClient(c *call, client *adminapi.Client, claims []string) error {
	fmt.Fprintln(c.out, client.ClientID)
	name, trusted := client.Name, ""
	if name == client.ClientID {
		name = ""
	}
	if client.Trusted {
		trusted = "yes: people are not asked"
	}
	return facts(c.out,
		[2]string{"name", name},
		[2]string{"type", client.Type},
		[2]string{"state", state(client.Disabled)},
		[2]string{"tenant", client.Tenant},
		[2]string{"issuer", issuerOf(client)},
		[2]string{"token endpoint", client.TokenEndpoint},
		[2]string{"redirects", strings.Join(client.RedirectURIs, " ")},
		[2]string{"after sign-out", strings.Join(client.LogoutURIs, " ")},
		[2]string{"trusted", trusted},
		[2]string{"DPoP", dpopText(client)},
		[2]string{"grants", strings.Join(client.Grants, " ")},
		[2]string{"apis", strings.Join(client.APIs, " ")},
		[2]string{"scopes", strings.Join(client.Scopes, " ")},
		[2]string{"authenticates by", client.Auth},
		[2]string{"life of tokens", span(time.Duration(client.Lifetime) * time.Second)},
		[2]string{"claims", strings.Join(sorted(claims), " ")},
		[2]string{"old secret until", untilText(client.PreviousSecretUntil)},
		[2]string{"created", moment(client.Created, time.Now())})
}

func clientRedirects(ctx context.Context, c *call) error {
	f := newFlags(c, "ID --tenant TENANT [--redirect URI …] [--logout-uri URI …]",
		"Changes where people come back to. The addresses that are given take the place of those before; a kind of which none\nis given stays as it is.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	redirects := f.list("redirect", "`URI` that people come back to after signing in; may be repeated")
	logouts := f.list("logout-uri", "`URI` that people may come back to after signing out; may be repeated")
	none := f.Bool("no-logout-uri", false, "let people come back to nowhere after signing out")
	words, err := f.parse("ID")
	if err != nil {
		return err
	}
	var q adminapi.SetRedirects
	if len(*redirects) > 0 {
		q.RedirectURIs = (*[]string)(redirects)
	}
	if len(*logouts) > 0 || *none {
		q.LogoutURIs = new([]string)
		*q.LogoutURIs = append([]string{}, *logouts...)
	}
	switch {
	case *none && len(*logouts) > 0:
		return f.wrong("--logout-uri and --no-logout-uri contradict each other")
	case q.RedirectURIs == nil && q.LogoutURIs == nil:
		return f.wrong("--redirect or --logout-uri is missing")
	}
	client, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Client, error) {
		return o.SetRedirects(ctx, *tenant, words[0], q)
	})
	if err != nil {
		return err
	}
	return c.tell(*asJSON, client, "People of client %s come back to %s.\n", client.ClientID, strings.Join(append(client.RedirectURIs, client.LogoutURIs...), " "))
}

func clientRotate(ctx context.Context, c *call) error {
	f := newFlags(c, "ID --tenant TENANT [--overlap TIME]", "Gives a client a new secret. The present one works on for the overlap, so that nothing stops while the new one is\nrolled out; a second rotation within it ends the oldest at once.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	overlap := seconds(24 * 60 * 60)
	f.Var(&overlap, "overlap", "how long the present secret works on: a `TIME` such as 1h, or 0 to end it now")
	save := f.String("save", "", saveHelp)
	words, err := f.parse("ID")
	if err != nil {
		return err
	}
	keep, err := openKeepsake(*save)
	if err != nil {
		return err
	}
	client, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Client, error) {
		return o.RotateSecret(ctx, *tenant, words[0], adminapi.RotateSecret{Overlap: (*int64)(&overlap)})
	})
	if err != nil {
		keep.drop()
		return err
	}
	return showSecret(c, client, keep, *asJSON, fmt.Sprintf("Client %s has a new secret.", client.ClientID))
}

func clientDisable(ctx context.Context, c *call) error {
	f := newFlags(c, "ID --tenant TENANT [--yes]", "Stops a client for good: it gets no more tokens, and introspection calls its old ones inactive.")
	to, asJSON, tenant, yes := f.seawall(), f.json(), f.tenant(), f.yes()
	words, err := f.parse("ID")
	if err != nil {
		return err
	}
	client, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Client, error) {
		present, err := o.Client(ctx, *tenant, words[0])
		if err != nil {
			return nil, err
		}
		if err := agree(c, *yes, words[0], []string{
			fmt.Sprintf("Client %s of tenant %s will get no more tokens.", present.ClientID, *tenant),
			fmt.Sprintf("  affected  %s it calls: %s", many(len(present.APIs), "API"), strings.Join(present.APIs, " ")),
			fmt.Sprintf("  until     APIs that don't ask seawall go on accepting its last tokens for at most %s", span(time.Duration(present.Lifetime)*time.Second)),
			"  undo      none: a disabled client stays disabled, and its id is never used again",
		}); err != nil {
			return nil, err
		}
		return o.DisableClient(ctx, *tenant, words[0])
	})
	if err != nil {
		return err
	}
	return c.tell(*asJSON, client, "Client %s is disabled.\n", client.ClientID)
}
