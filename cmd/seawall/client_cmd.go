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
		{name: "rotate-secret", help: "give a client a new secret; the old one works on for a while", run: adapt("client rotate-secret", clientRotate)},
		{name: "disable", help: "stop a client, for good", run: adapt("client disable", clientDisable)},
	}
}

func clientCreate(ctx context.Context, c *call) error {
	f := newFlags(c, "[ID] --tenant TENANT --api URL … --scope SCOPE …",
		"Registers a client: a service that gets tokens for the named APIs. Without an id it is given one. The secret is\nmade here, shown once, and kept only as a hash; a client with private_key_jwt has none.")
	data, asJSON, tenant := f.data(), f.json(), f.tenant()
	var q adminapi.CreateClient
	grants := f.list("grant", "`GRANT` type: client_credentials, which is also the default")
	apis := f.list("api", "`URL` or api id of an API it may ask for; may be repeated")
	scopes := f.list("scope", "`SCOPE` it may ask for; may be repeated")
	f.StringVar(&q.Auth, "auth", "", "how it authenticates: `METHOD` client_secret_basic (the default), client_secret_post or private_key_jwt")
	jwks := f.String("jwks", "", "`FILE` with its public keys (a JWK Set) for private_key_jwt; - is standard input")
	var lifetime seconds
	f.Var(&lifetime, "lifetime", "`LIFE` of its tokens, such as 5m (the default is 10m)")
	claims := f.list("claim", "`NAME=VALUE` of a custom claim for each of its tokens; may be repeated")
	save := f.String("save", "", saveHelp)
	words, err := f.parse("[ID]")
	if err != nil {
		return err
	}
	if err := f.need("tenant", *tenant); err != nil {
		return err
	}
	if len(words) == 1 {
		q.ClientID = words[0]
	}
	q.Grants, q.APIs, q.Scopes, q.Lifetime = *grants, *apis, *scopes, int64(lifetime)
	if len(q.Grants) == 0 {
		q.Grants = []string{"client_credentials"}
	}
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
	client, err := operate(ctx, data, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Client, error) {
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
	saved := keepSecret(c, keep, &client.Secret, "CLIENT_ID", client.ClientID, "TOKEN_ENDPOINT", client.TokenEndpoint, "CLIENT_SECRET")
	if asJSON {
		return writeJSON(c.out, client)
	}
	fmt.Fprintln(c.out, headline)
	err := facts(c.out,
		[2]string{"client id", client.ClientID},
		[2]string{"client secret", client.Secret},
		[2]string{"token endpoint", client.TokenEndpoint},
		[2]string{"authenticates by", client.Auth},
		[2]string{"old secret until", untilText(client.PreviousSecretUntil)},
		[2]string{"saved in", saved})
	if err == nil && client.Secret != "" {
		_, err = fmt.Fprintln(c.out, onceNote)
	}
	return err
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
	data, asJSON, tenant := f.data(), f.json(), f.tenant()
	if _, err := f.parse(); err != nil {
		return err
	}
	if err := f.need("tenant", *tenant); err != nil {
		return err
	}
	all, err := operate(ctx, data, func(ctx context.Context, o *adminapi.Operator) ([]adminapi.Client, error) {
		return o.Clients(ctx, *tenant)
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, map[string]any{"clients": orEmpty(all)})
	}
	t := table{head: []string{"CLIENT", "STATE", "AUTHENTICATES BY", "CREATED", "APIS", "SCOPES"}}
	for _, one := range all {
		t.add(one.ClientID, state(one.Disabled), one.Auth, day(one.Created), strings.Join(one.APIs, " "), strings.Join(one.Scopes, " "))
	}
	return t.write(c.out, "No clients yet. Register the first with `seawall client create`.")
}

func clientShow(ctx context.Context, c *call) error {
	f := newFlags(c, "ID --tenant TENANT", "Shows one client. Its secret can't be shown: seawall has only the hash.")
	data, asJSON, tenant := f.data(), f.json(), f.tenant()
	words, err := f.parse("ID")
	if err != nil {
		return err
	}
	if err := f.need("tenant", *tenant); err != nil {
		return err
	}
	client, err := operate(ctx, data, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Client, error) {
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
	fmt.Fprintln(c.out, client.ClientID)
	return facts(c.out,
		[2]string{"state", state(client.Disabled)},
		[2]string{"tenant", client.Tenant},
		[2]string{"token endpoint", client.TokenEndpoint},
		[2]string{"grants", strings.Join(client.Grants, " ")},
		[2]string{"apis", strings.Join(client.APIs, " ")},
		[2]string{"scopes", strings.Join(client.Scopes, " ")},
		[2]string{"authenticates by", client.Auth},
		[2]string{"life of tokens", span(time.Duration(client.Lifetime) * time.Second)},
		[2]string{"claims", strings.Join(sorted(claims), " ")},
		[2]string{"old secret until", untilText(client.PreviousSecretUntil)},
		[2]string{"created", moment(client.Created, time.Now())})
}

func clientRotate(ctx context.Context, c *call) error {
	f := newFlags(c, "ID --tenant TENANT [--overlap TIME]", "Gives a client a new secret. The present one works on for the overlap, so that nothing stops while the new one is\nrolled out; a second rotation within it ends the oldest at once.")
	data, asJSON, tenant := f.data(), f.json(), f.tenant()
	overlap := seconds(24 * 60 * 60)
	f.Var(&overlap, "overlap", "how long the present secret works on: a `TIME` such as 1h, or 0 to end it now")
	save := f.String("save", "", saveHelp)
	words, err := f.parse("ID")
	if err != nil {
		return err
	}
	if err := f.need("tenant", *tenant); err != nil {
		return err
	}
	keep, err := openKeepsake(*save)
	if err != nil {
		return err
	}
	client, err := operate(ctx, data, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Client, error) {
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
	data, asJSON, tenant, yes := f.data(), f.json(), f.tenant(), f.yes()
	words, err := f.parse("ID")
	if err != nil {
		return err
	}
	if err := f.need("tenant", *tenant); err != nil {
		return err
	}
	client, err := operate(ctx, data, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Client, error) {
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
	if *asJSON {
		return writeJSON(c.out, client)
	}
	_, err = fmt.Fprintf(c.out, "Client %s is disabled.\n", client.ClientID)
	return err
}
