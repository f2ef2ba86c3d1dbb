package server

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

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
