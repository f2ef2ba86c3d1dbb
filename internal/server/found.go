package server

import (
	"context"
	"errors"
	"time"

	"seawall/internal/login"
	"seawall/internal/mint"
	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// firstAdministrator is the login of the person whom seawall makes for whoever set it up.
const firstAdministrator = "administrator"

// Invitation is a link by which somebody gets their passkey. Link is a credential.
type Invitation struct {
	Link    secret.Text
	Expires time.Time
}

// Found makes the operators' tenant and its first owner, if they are not there yet, and returns a link for that owner as
// long as no owner ever had a passkey: nil from then on, and where the base URL has no name. Each link makes the one before
// it useless.
//
// Owners who had passkeys and get in no more are not invited again: a link that turns up by a restart would be a recovery
// that nobody approved. Their way back is a break-glass code of the operators' tenant, which is loud; so is this, about it.
func (s *Server) Found(ctx context.Context) (*Invitation, error) {
	if s.named() != nil {
		return nil, nil // nobody could sign in here
	}
	s.acts.Lock()
	defer s.acts.Unlock()
	t, err := s.foundOperators(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.foundCommandLine(ctx, t); err != nil {
		return nil, err
	}
	people, ways, err := s.everybody(ctx, *t)
	if err != nil {
		return nil, err
	}
	var first *tenant.Person
	had, in := false, false
	for i, p := range people {
		if p.Kind != tenant.Human || p.Role != tenant.Owner || !p.Live() {
			continue
		}
		keys, err := s.config.Store.Passkeys(ctx, p.Tenant, p.ID)
		if err != nil {
			return nil, err
		}
		had, in = had || len(keys) > 0, in || ways[p.ID].In() > 0
		if p.Login == firstAdministrator {
			first = &people[i]
		}
	}
	if had {
		if !in {
			s.log.ErrorContext(ctx, "no owner can sign in any more: a break-glass code lets one in", "do", "seawall break-glass use --tenant "+t.ID)
		}
		return nil, nil
	}
	if first == nil {
		p, err := s.addPerson(ctx, "house", tenant.Person{Tenant: t.ID, Login: firstAdministrator, Name: "First administrator", Role: tenant.Owner})
		if err != nil {
			return nil, err
		}
		first = &p
	}
	link, e, err := s.invite(ctx, "house", t, *first)
	if err != nil {
		return nil, err
	}
	return &Invitation{Link: secret.New(login.EnrolLink(t.Issuer, link)), Expires: e.ExpiresAt}, nil
}

// foundOperators returns the operators' tenant, and makes it if it is not there. Nobody is named to answer for it yet:
// that is one of its findings until somebody is.
func (s *Server) foundOperators(ctx context.Context) (*tenant.Tenant, error) {
	t, err := s.config.Store.Tenant(ctx, tenant.Operators)
	if err == nil {
		return &t, nil
	}
	t, err = tenant.New(tenant.Tenant{ID: tenant.Operators, Class: tenant.Production, Owner: tenant.Unnamed,
		Issuer: s.config.Base + "/" + tenant.Operators, CreatedAt: s.now()})
	if err != nil {
		return nil, err
	}
	e := &mint.Entry{Kind: mint.TenantCreated, Tenant: t.ID, Issuer: t.Issuer, Actor: "house", Detail: []mint.Field{{Name: "class", Value: string(t.Class)}}}
	if err := s.vaults.record(ctx, e); err != nil {
		return nil, err
	}
	if t, err = s.config.Store.CreateTenant(ctx, "house", t); err != nil {
		return nil, err
	}
	s.policies.later() // the signer hears of it as soon as it can
	return &t, nil
}

// foundCommandLine makes what the remote command line needs, if it is not there yet: the admin API as an audience, and the
// client. An owner who wants neither disables the client.
func (s *Server) foundCommandLine(ctx context.Context, t *tenant.Tenant) error {
	apis, err := s.config.Store.APIs(ctx, t.ID)
	if err != nil {
		return err
	}
	there := false
	for _, a := range apis {
		there = there || a.Audience == adminAudience(t)
	}
	if !there {
		if err := s.foundAdminAPI(ctx, t); err != nil {
			return err
		}
		if apis, err = s.config.Store.APIs(ctx, t.ID); err != nil {
			return err
		}
	}
	if _, err := s.config.Store.Client(ctx, t.ID, commandLine); !errors.Is(err, tenant.ErrNotFound) {
		return err
	}
	c, given, err := s.newClient(t, apis, &adminapi.CreateClient{ClientID: commandLine, Name: "Seawall command line", Type: string(tenant.Native),
		Grants: []string{string(oauth.AuthorizationCode), string(oauth.RefreshToken)}, APIs: []string{adminAudience(t)}, Scopes: []string{adminScope}, RedirectURIs: []string{"http://127.0.0.1/callback"},
		Lifetime: int64(longestAdmin / time.Second)})
	if err != nil {
		return err
	}
	e := clientEntry(t, &c, given)
	e.Actor = "house"
	if err := s.vaults.record(ctx, e); err != nil {
		return err
	}
	if _, err = s.config.Store.CreateClient(ctx, "house", c); err != nil {
		return err
	}
	s.policies.later()
	return nil
}

// foundAdminAPI registers the admin API. Its secret is made and forgotten: the house asks itself.
func (s *Server) foundAdminAPI(ctx context.Context, t *tenant.Tenant) error {
	api, err := tenant.NewAPI(tenant.API{Tenant: t.ID, Audience: adminAudience(t), SecretHash: secret.Generate(secret.APISecret, t.Class.Env()).Hash(),
		Scopes: oauth.Scope{adminScope}, MaxLifetime: longestAdmin, CreatedAt: s.now()})
	if err != nil {
		return err
	}
	if err := s.vaults.record(ctx, &mint.Entry{Kind: mint.APICreated, Tenant: t.ID, Issuer: t.Issuer, Actor: "house", Audience: []string{api.Audience},
		Detail: []mint.Field{{Name: "api_id", Value: api.ID}, {Name: "scopes", Value: adminScope}}}); err != nil {
		return err
	}
	_, err = s.config.Store.CreateAPI(ctx, "house", api)
	return err
}
