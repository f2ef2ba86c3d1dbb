package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"seawall/internal/grant"
	"seawall/internal/mint"
	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// ClientActs changes clients. Each is one whole act. The signer must know which may get ID tokens: creating and disabling
// one of those makes a policy, too.
type ClientActs interface {
	Assertions
	CreateClient(ctx context.Context, actor string, c tenant.Client) (tenant.Client, error)
	DisableClient(ctx context.Context, actor, tenantID, id string) (tenant.Client, error)
	RotateSecret(ctx context.Context, tenantID, id string, hash secret.Hash, overlap time.Duration) (tenant.Client, error)
	SetRedirects(ctx context.Context, tenantID, id string, redirects, logouts []string) (tenant.Client, error)
}

// defaultOverlap is how long a rotated secret goes on working: a day to deploy the new one.
const defaultOverlap = 24 * time.Hour

func (s *Server) createClient(a act, q *adminapi.CreateClient) (any, error) {
	t, err := s.findTenant(a)
	if err != nil {
		return nil, err
	}
	apis, err := s.config.Store.APIs(a.Context(), t.ID)
	if err != nil {
		return nil, err
	}
	c, given, err := s.newClient(&t, apis, q)
	if err != nil {
		return nil, err
	}
	if err := s.mayCreateClient(a.Context(), &t, apis, &c); err != nil {
		return nil, err
	}
	ctx, err := s.begin(a, c.MayGetIDTokens(), clientEntry(&t, &c, given))
	if err != nil {
		return nil, err
	}
	if c, err = s.config.Store.CreateClient(ctx, a.actor, c); err != nil {
		return nil, err
	}
	// The answer is given whatever happens from here on: the secret can't be told again.
	shown := s.showClientOf(&t, &c)
	if shown.Secret = given.Reveal(); c.MayGetIDTokens() {
		shown.Pin = s.keys.now().pin
		shown.Pending = pending(s.tellSigner(ctx, t.ID))
	}
	return shown, nil
}

// clientEntry tells the ledger of a new client.
func clientEntry(t *tenant.Tenant, c *tenant.Client, given secret.Text) *mint.Entry {
	e := &mint.Entry{Kind: mint.ClientCreated, Tenant: t.ID, Issuer: t.Issuer, Client: c.ID, Subject: c.ID, Detail: []mint.Field{
		{Name: "auth", Value: string(c.Auth)}, {Name: "grants", Value: words(c.Grants)}, {Name: "type", Value: string(c.Type)},
	}}
	e.Detail = append(e.Detail, signInDetails(c)...)
	for _, access := range c.APIs[:min(len(c.APIs), mint.MaxAudiences)] {
		e.Audience = append(e.Audience, access.Audience)
	}
	if scopes := scopesOf(c); len(scopes) > 0 {
		e.Detail = append(e.Detail, mint.Field{Name: "scopes", Value: short(scopes.String())})
	}
	if !given.IsZero() {
		e.Detail = append(e.Detail, mint.Field{Name: "secret_id", Value: secretID(given.Hash())})
	}
	return e
}

// newClient makes a checked client of what was asked for, and its secret if its method has one.
func (s *Server) newClient(t *tenant.Tenant, apis []tenant.API, q *adminapi.CreateClient) (tenant.Client, secret.Text, error) {
	var given secret.Text
	c := tenant.Client{ID: q.ClientID, Tenant: t.ID, Name: q.Name, Type: cmp.Or(tenant.ClientType(q.Type), tenant.Service), Auth: oauth.AuthMethod(q.Auth),
		RedirectURIs: q.RedirectURIs, LogoutURIs: q.LogoutURIs, DPoP: tenant.DPoPRule(q.DPoP), DPoPReason: q.DPoPReason, Trusted: q.Trusted,
		Claims: q.Claims, Lifetime: lifetime(q.Lifetime), RatePerSecond: q.RatePerSecond, CreatedAt: s.now()}
	for _, g := range q.Grants {
		c.Grants = append(c.Grants, oauth.GrantType(g))
	}
	var err error
	if q.JWKS != "" {
		if c.Keys, err = tenant.ParseKeySet([]byte(q.JWKS)); err != nil {
			return c, given, err
		}
	}
	if c.Auth == "" {
		c.Auth = tenant.DefaultAuth(c.Type)
	}
	if c.Auth.UsesSecret() {
		given = secret.Generate(secret.ClientSecret, t.Class.Env())
		c.Secrets = []tenant.Secret{{Hash: given.Hash(), CreatedAt: s.now()}}
	}
	scopes := q.Scopes
	if c.Type.SignsIn() {
		scopes = oauth.Scope(q.Scopes).Without(oauth.Scopes()) // these need no API, and everybody who signs people in has them
		if len(q.APIs) == 0 && len(scopes) > 0 {
			return c, given, tenant.Refuse(tenant.ErrConflict, "name the API with --api", "the scope %.130q is of an API, and none is named", scopes[0])
		}
	}
	if c.APIs, err = accesses(t, apis, q.APIs, scopes); err != nil {
		return c, given, err
	}
	if c.Lifetime > t.MaxLifetime {
		return c, given, &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusBadRequest,
			Description: "token lifetime: " + c.Lifetime.String() + " is longer than the tenant's " + t.MaxLifetime.String(), Hint: "give a shorter one"}
	}
	c, err = tenant.NewClient(c)
	return c, given, err
}

// accesses gives the client each scope at those of its APIs that have it.
func accesses(t *tenant.Tenant, apis []tenant.API, names, scopes []string) ([]tenant.Access, error) {
	var list []tenant.Access
	given := map[string]bool{}
	for _, name := range names {
		i := slices.IndexFunc(apis, func(a tenant.API) bool { return a.Audience == name || a.ID == name })
		if i < 0 {
			return nil, tenant.Refuse(tenant.ErrNotFound, "see `seawall api list --tenant "+t.ID+"`, or create it with `seawall api create`", "the tenant %s has no API %.200q", t.ID, name)
		}
		access := tenant.Access{Audience: apis[i].Audience}
		for _, scope := range scopes {
			if apis[i].Scopes.Has(scope) {
				access.Scopes, given[scope] = append(access.Scopes, scope), true
			}
		}
		list = append(list, access)
	}
	for _, scope := range scopes {
		if !given[scope] && len(names) > 0 {
			return nil, tenant.Refuse(tenant.ErrConflict, "see `seawall api show`, or leave it out", "none of these APIs has the scope %.130q", scope)
		}
	}
	return list, nil
}

// mayCreateClient finds what the store would refuse, before the ledger is told.
func (s *Server) mayCreateClient(ctx context.Context, t *tenant.Tenant, apis []tenant.API, c *tenant.Client) error {
	if !t.Live() {
		return tenant.Refuse(tenant.ErrDisabled, "create another tenant", "the tenant %s is disabled", t.ID)
	}
	if err := t.AdmitsClient(*c, apis); err != nil {
		return err
	}
	if slices.ContainsFunc(apis, func(a tenant.API) bool { return a.ID == c.ID }) {
		return taken(true, "API", c.ID)
	}
	old, err := s.config.Store.Client(ctx, t.ID, c.ID)
	if err == nil {
		return taken(old.Live(), "client", c.ID)
	}
	if errors.Is(err, tenant.ErrNotFound) {
		return nil
	}
	return err
}

// secretID names a secret in the log: tokens that were issued for it carry the same evidence.
func secretID(h secret.Hash) string {
	id := grant.SecretEvidence(h)
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func words[T ~string](list []T) string {
	text := make([]string, len(list))
	for i, w := range list {
		text[i] = string(w)
	}
	return strings.Join(text, " ")
}

func scopesOf(c *tenant.Client) oauth.Scope {
	var all oauth.Scope
	for _, a := range c.APIs {
		all = append(all, a.Scopes...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (s *Server) showClientOf(t *tenant.Tenant, c *tenant.Client) adminapi.Client {
	shown := adminapi.Client{
		ClientID: c.ID, Tenant: c.Tenant, Name: c.Name, Type: string(c.Type), Issuer: t.Issuer, TokenEndpoint: t.Issuer + pathToken, Grants: []string{}, APIs: []string{},
		RedirectURIs: c.RedirectURIs, LogoutURIs: c.LogoutURIs, DPoP: string(c.DPoP), DPoPReason: c.DPoPReason, Trusted: c.Trusted,
		Scopes: append([]string{}, scopesOf(c)...), Auth: string(c.Auth), Lifetime: int64(c.Lifetime / time.Second),
		RatePerSecond: c.RatePerSecond, Claims: maps.Clone(c.Claims), Created: c.CreatedAt, Disabled: c.DisabledAt,
	}
	for _, g := range c.Grants {
		shown.Grants = append(shown.Grants, string(g))
	}
	for _, a := range c.APIs {
		shown.APIs = append(shown.APIs, a.Audience)
	}
	for _, one := range c.Secrets {
		if !one.ExpiresAt.IsZero() && one.Live(s.now()) {
			shown.PreviousSecretUntil = one.ExpiresAt
		}
	}
	return shown
}

func (s *Server) listClients(a act) (any, error) {
	t, err := s.findTenant(a)
	if err != nil {
		return nil, err
	}
	all, err := s.config.Store.Clients(a.Context(), t.ID)
	return items(all, func(c *tenant.Client) adminapi.Client { return s.showClientOf(&t, c) }), err
}

// findClient returns a tenant and one of its clients.
func (s *Server) findClient(a act) (t tenant.Tenant, c tenant.Client, err error) {
	if t, err = s.findTenant(a); err != nil {
		return t, c, err
	}
	c, err = s.config.Store.Client(a.Context(), t.ID, a.PathValue("client"))
	return t, c, err
}

func (s *Server) showClient(a act) (any, error) {
	t, c, err := s.findClient(a)
	return s.showClientOf(&t, &c), err
}

func (s *Server) disableClient(a act, _ *nothing) (any, error) {
	t, c, err := s.findClient(a)
	if err != nil {
		return nil, err
	}
	late := ""
	if c.Live() {
		ctx, err := s.begin(a, false, &mint.Entry{Kind: mint.ClientDisabled, Tenant: t.ID, Issuer: t.Issuer, Client: c.ID})
		if err != nil {
			return nil, err
		}
		listed := c.MayGetIDTokens()
		if c, err = s.config.Store.DisableClient(ctx, a.actor, t.ID, c.ID); err != nil {
			return nil, err
		}
		if listed { // the house asks for nothing any more on its behalf, whatever the signer knows
			late = pending(s.tellSigner(ctx, t.ID))
		}
	}
	shown := s.showClientOf(&t, &c)
	shown.Pending = late
	return shown, nil
}

// setRedirects changes where people come back to. It is an act of its own, because whoever can do it can have people's
// codes sent elsewhere.
func (s *Server) setRedirects(a act, q *adminapi.SetRedirects) (any, error) {
	t, c, err := s.findClient(a)
	if err != nil {
		return nil, err
	}
	redirects, logouts := c.RedirectURIs, c.LogoutURIs
	if q.RedirectURIs != nil {
		redirects = *q.RedirectURIs
	}
	if q.LogoutURIs != nil {
		logouts = *q.LogoutURIs
	}
	if !c.Live() {
		return nil, tenant.Refuse(tenant.ErrDisabled, "a disabled client stays as it is: create another", "the client %s is disabled", c.ID)
	}
	changed, err := t.Redirect(c, redirects, logouts)
	if err != nil {
		return nil, err
	}
	ctx, err := s.begin(a, false, &mint.Entry{Kind: mint.ClientChanged, Tenant: t.ID, Issuer: t.Issuer, Client: c.ID, Detail: signInDetails(&changed)})
	if err != nil {
		return nil, err
	}
	if c, err = s.config.Store.SetRedirects(ctx, t.ID, c.ID, redirects, logouts); err != nil {
		return nil, err
	}
	return s.showClientOf(&t, &c), nil
}

// signInDetails tells the ledger where a client's people are sent, and how far it is believed. Long lists are cut, and the
// digest of all of it says what was there.
func signInDetails(c *tenant.Client) []mint.Field {
	if !c.Type.SignsIn() {
		return nil
	}
	sum := sha256.Sum256([]byte(strings.Join(c.RedirectURIs, "\n") + "\n\n" + strings.Join(c.LogoutURIs, "\n")))
	list := []mint.Field{
		{Name: "dpop", Value: string(c.DPoP)}, {Name: "trusted", Value: strconv.FormatBool(c.Trusted)},
		{Name: "redirects", Value: short(strings.Join(c.RedirectURIs, " "))}, {Name: "redirects_digest", Value: base64.RawURLEncoding.EncodeToString(sum[:])},
	}
	if len(c.LogoutURIs) > 0 {
		list = append(list, mint.Field{Name: "logouts", Value: short(strings.Join(c.LogoutURIs, " "))})
	}
	if c.DPoPReason != "" {
		list = append(list, mint.Field{Name: "dpop_reason", Value: c.DPoPReason})
	}
	return list
}

func (s *Server) rotateSecret(a act, q *adminapi.RotateSecret) (any, error) {
	overlap := defaultOverlap
	if q.Overlap != nil {
		overlap = lifetime(*q.Overlap)
	}
	t, c, err := s.findClient(a)
	if err != nil {
		return nil, err
	}
	if err := c.MayRotate(overlap, s.now()); err != nil {
		return nil, err
	}
	given := secret.Generate(secret.ClientSecret, t.Class.Env())
	ctx, err := s.begin(a, false, &mint.Entry{Kind: mint.SecretRotated, Tenant: t.ID, Issuer: t.Issuer, Client: c.ID, Detail: []mint.Field{
		{Name: "secret_id", Value: secretID(given.Hash())}, {Name: "overlap_until", Value: s.now().Add(overlap).UTC().Format(time.RFC3339)},
	}})
	if err != nil {
		return nil, err
	}
	if c, err = s.config.Store.RotateSecret(ctx, t.ID, c.ID, given.Hash(), overlap); err != nil {
		return nil, err
	}
	shown := s.showClientOf(&t, &c)
	shown.Secret = given.Reveal()
	return shown, nil
}
