package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// TenantActs changes tenants and APIs. Each is one whole act, and is in the outbox as a policy when it is done.
type TenantActs interface {
	CreateTenant(ctx context.Context, actor string, t tenant.Tenant) (tenant.Tenant, error)
	DisableTenant(ctx context.Context, actor, id string) (tenant.Tenant, error)
	CreateAPI(ctx context.Context, actor string, a tenant.API) (tenant.API, error)
	DisableAPI(ctx context.Context, actor, tenantID, id string) (tenant.API, error)
}

func (s *Server) createTenant(a act, q *adminapi.CreateTenant) (any, error) {
	if err := notStandard(q.Claims); err != nil {
		return nil, err
	}
	id := strings.ToLower(q.Tenant)
	if id == tenant.Operators {
		return nil, tenant.Refuse(tenant.ErrConflict, "choose another id", "the tenant %s is made by seawall itself", id)
	}
	t, err := tenant.New(tenant.Tenant{
		ID: id, Class: tenant.Class(q.Class), Owner: q.Owner, Contacts: q.Contacts, Issuer: s.config.Base + "/" + id,
		Algorithm: tenant.Algorithm(q.Algorithm), Claims: q.Claims, MaxLifetime: lifetime(q.MaxLifetime), RotationDays: q.RotationDays, CreatedAt: s.now(),
	})
	if err != nil {
		return nil, err
	}
	if old, err := s.config.Store.Tenant(a.Context(), t.ID); err == nil {
		return nil, taken(old.Live(), "tenant", t.ID)
	} else if !errors.Is(err, tenant.ErrNotFound) {
		return nil, err
	}
	ctx, err := s.begin(a, true, &mint.Entry{Kind: mint.TenantCreated, Tenant: t.ID, Issuer: t.Issuer, Detail: []mint.Field{
		{Name: "class", Value: string(t.Class)}, {Name: "owner", Value: t.Owner}, {Name: "contacts", Value: short(strings.Join(t.Contacts, " "))},
	}})
	if err != nil {
		return nil, err
	}
	if t, err = s.config.Store.CreateTenant(ctx, a.actor, t); err != nil {
		return nil, err
	}
	if err := s.tellSigner(ctx, t.ID); err != nil {
		return nil, unfinished(err, "the tenant "+t.ID+" exists and its issuer is not ready")
	}
	return s.tenantNow(ctx, t.ID, "")
}

// notStandard refuses claim names that the vaults would: both lists of standard names have to agree before anything is
// promised.
func notStandard(names []string) error {
	for _, name := range names {
		if mint.StandardClaim(name) {
			return &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusBadRequest,
				Description: "custom claim: " + strconv.Quote(name) + " is a standard name", Hint: "choose a name of your own, such as https://acme.example/" + strings.ToLower(name)}
		}
	}
	return nil
}

// lifetime is seconds as the store wants them, without overflow.
func lifetime(seconds int64) time.Duration {
	return time.Duration(min(max(seconds, -1), int64(1)<<32)) * time.Second
}

// short cuts a detail to what the ledger takes.
func short(s string) string {
	if len(s) <= mint.MaxText {
		return s
	}
	return strings.ToValidUTF8(s[:mint.MaxText-3], "") + "…"
}

func taken(live bool, what, name string) error {
	if live {
		return tenant.Refuse(tenant.ErrExists, "choose another id", "the %s %s exists already", what, name)
	}
	return tenant.Refuse(tenant.ErrUsedBefore, "choose another id: tokens and logs may still name the old one", "the %s %s existed before, and ids are never used again", what, name)
}

func (s *Server) tenantNow(ctx context.Context, id, waiting string) (any, error) {
	t, err := s.config.Store.Tenant(ctx, id)
	if err != nil {
		return nil, err
	}
	shown := showTenant(&t)
	shown.Pending = waiting
	people, ways, err := s.everybody(ctx, t)
	shown.Findings, shown.Glass = showFindings(t.Findings(people, ways)), showGlass(people, ways)
	return shown, err
}

func showTenant(t *tenant.Tenant) adminapi.Tenant {
	return adminapi.Tenant{
		Tenant: t.ID, Issuer: t.Issuer, TokenEndpoint: t.Issuer + pathToken, Class: string(t.Class), Owner: t.Owner, Contacts: t.Contacts,
		Algorithm: string(t.Algorithm), Claims: t.Claims, MaxLifetime: int64(t.MaxLifetime / time.Second), RotationDays: t.RotationDays,
		Created: t.CreatedAt, Disabled: t.DisabledAt, PolicyVersion: t.PolicyVersion, PolicyApplied: t.PolicyApplied,
		Passkeys: string(t.Passkeys), Models: t.Models,
	}
}

func (s *Server) listTenants(a act) (any, error) {
	all, err := s.config.Store.Tenants(a.Context())
	return items(all, showTenant), err
}

func (s *Server) showTenant(a act) (any, error) {
	return s.tenantNow(a.Context(), a.PathValue("tenant"), "")
}

func (s *Server) disableTenant(a act, _ *nothing) (any, error) {
	t, err := s.findTenant(a)
	if err != nil {
		return nil, err
	}
	if err := t.MayEnd(); err != nil {
		return nil, err
	}
	ctx := a.Context()
	if t.Live() {
		if ctx, err = s.begin(a, false, &mint.Entry{Kind: mint.TenantWasDisabled, Tenant: t.ID, Issuer: t.Issuer}); err != nil {
			return nil, err
		}
		if _, err = s.config.Store.DisableTenant(ctx, a.actor, t.ID); err != nil {
			return nil, err
		}
	}
	return s.tenantNow(ctx, t.ID, pending(s.tellSigner(ctx, t.ID)))
}

func (s *Server) createAPI(a act, q *adminapi.CreateAPI) (any, error) {
	t, err := s.findTenant(a)
	if err != nil {
		return nil, err
	}
	given := secret.Generate(secret.APISecret, t.Class.Env())
	api, err := tenant.NewAPI(tenant.API{Tenant: t.ID, Audience: q.Audience, SecretHash: given.Hash(), Scopes: q.Scopes,
		MaxLifetime: lifetime(q.MaxLifetime), CreatedAt: s.now()})
	if err != nil {
		return nil, err
	}
	if err := s.mayCreateAPI(a.Context(), &t, &api); err != nil {
		return nil, err
	}
	e := &mint.Entry{Kind: mint.APICreated, Tenant: t.ID, Issuer: t.Issuer, Audience: []string{api.Audience}, Detail: []mint.Field{{Name: "api_id", Value: api.ID}}}
	if len(api.Scopes) > 0 {
		e.Detail = append(e.Detail, mint.Field{Name: "scopes", Value: short(api.Scopes.String())})
	}
	ctx, err := s.begin(a, true, e)
	if err != nil {
		return nil, err
	}
	if api, err = s.config.Store.CreateAPI(ctx, a.actor, api); err != nil {
		return nil, err
	}
	// The answer is given whatever happens from here on: the secret can't be told again.
	shown := showAPI(&t, &api)
	shown.Pending = pending(s.tellSigner(ctx, t.ID))
	s.feeds.of(t.ID, t.Issuer).learn(ctx) // so that the API can be told what is revoked even if the ledger goes away now
	shown.Secret, shown.Pin = given.Reveal(), s.keys.now().pin
	shown.Snippet = snippet(t.Issuer, shown.Pin, api.Audience)
	return shown, nil
}

// mayCreateAPI finds what the store would refuse, before the ledger is told.
func (s *Server) mayCreateAPI(ctx context.Context, t *tenant.Tenant, api *tenant.API) error {
	if !t.Live() {
		return tenant.Refuse(tenant.ErrDisabled, "create another tenant", "the tenant %s is disabled", t.ID)
	}
	if len(api.Audience) > mint.MaxText {
		return &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusBadRequest, Description: "API: its URL is longer than " + strconv.Itoa(mint.MaxText) + " bytes"}
	}
	if err := t.Admits(*api); err != nil {
		return err
	}
	apis, err := s.config.Store.APIs(ctx, t.ID)
	if err != nil {
		return err
	}
	for _, old := range apis {
		if tenant.FoldAudience(old.Audience) == tenant.FoldAudience(api.Audience) {
			return taken(old.Live(), "API", old.Audience)
		}
	}
	return nil
}

// snippet is what the developer of an API pastes: three lines, complete.
func snippet(issuer, pin, audience string) string {
	return `v, err := validate.New(validate.Config{Issuers: []validate.Issuer{validate.SeawallIssuer(` + strconv.Quote(issuer) + `, ` + strconv.Quote(pin) + `)}, Audiences: []string{` + strconv.Quote(audience) + `}})
if err != nil { log.Fatal(err) }
http.Handle("/", v.Handler(api))`
}

func showAPI(t *tenant.Tenant, a *tenant.API) adminapi.API {
	return adminapi.API{APIID: a.ID, Tenant: a.Tenant, Issuer: t.Issuer, Audience: a.Audience, Scopes: append([]string{}, a.Scopes...),
		MaxLifetime: int64(a.MaxLifetime / time.Second), Created: a.CreatedAt, Disabled: a.DisabledAt}
}

func (s *Server) listAPIs(a act) (any, error) {
	t, err := s.findTenant(a)
	if err != nil {
		return nil, err
	}
	apis, err := s.config.Store.APIs(a.Context(), t.ID)
	return items(apis, func(api *tenant.API) adminapi.API { return showAPI(&t, api) }), err
}

// findAPI returns a tenant and one of its APIs, which may be named by audience or by id.
func (s *Server) findAPI(a act) (t tenant.Tenant, api tenant.API, err error) {
	if t, err = s.findTenant(a); err != nil {
		return t, api, err
	}
	apis, err := s.config.Store.APIs(a.Context(), t.ID)
	if err != nil {
		return t, api, err
	}
	name := a.PathValue("api")
	i := slices.IndexFunc(apis, func(one tenant.API) bool { return one.Audience == name || one.ID == name })
	if i < 0 {
		return t, api, tenant.Refuse(tenant.ErrNotFound, "see `seawall api list --tenant "+t.ID+"`", "the tenant %s has no API %.200q", t.ID, name)
	}
	return t, apis[i], nil
}

func (s *Server) showAPI(a act) (any, error) {
	t, api, err := s.findAPI(a)
	return showAPI(&t, &api), err
}

func (s *Server) disableAPI(a act, _ *nothing) (any, error) {
	t, api, err := s.findAPI(a)
	if err != nil {
		return nil, err
	}
	ctx := a.Context()
	if api.Live() {
		e := &mint.Entry{Kind: mint.APIDisabled, Tenant: t.ID, Issuer: t.Issuer, Audience: []string{api.Audience}, Detail: []mint.Field{{Name: "api_id", Value: api.ID}}}
		if ctx, err = s.begin(a, false, e); err != nil {
			return nil, err
		}
		if api, err = s.config.Store.DisableAPI(ctx, a.actor, t.ID, api.ID); err != nil {
			return nil, err
		}
	}
	shown := showAPI(&t, &api)
	shown.Pending = pending(s.tellSigner(ctx, t.ID))
	return shown, nil
}
