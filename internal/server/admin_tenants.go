package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"seawall/internal/mint"
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

func showFindings(found []tenant.Finding) []adminapi.Finding {
	list := []adminapi.Finding{}
	for _, f := range found {
		list = append(list, adminapi.Finding{ID: f.ID, What: f.What, Hint: f.Hint})
	}
	return list
}

func (s *Server) completeTenant(a act, q *adminapi.CompleteTenant) (any, error) {
	t, err := s.liveTenant(a)
	if err != nil {
		return nil, err
	}
	given := tenant.Tenant{ID: t.ID, Owner: q.Owner, Contacts: q.Contacts, Passkeys: tenant.Tier(q.Passkeys), Models: q.Models}
	if given.Passkeys == tenant.Attested && s.config.Metadata == nil {
		return nil, tenant.Refuse(tenant.ErrConflict, "start seawall with --fido-metadata FILE first", "certified authenticators can't be told apart without the FIDO metadata")
	}
	e := &mint.Entry{Kind: mint.TenantCompleted, Tenant: t.ID, Issuer: t.Issuer}
	for _, d := range []mint.Field{{Name: "owner", Value: short(q.Owner)}, {Name: "contacts", Value: short(strings.Join(q.Contacts, " "))},
		{Name: "passkeys", Value: q.Passkeys}, {Name: "models", Value: short(strings.Join(q.Models, " "))}} {
		if d.Value != "" {
			e.Detail = append(e.Detail, d)
		}
	}
	after, err := t.Completed(given)
	if err != nil {
		return nil, err
	}
	findings, err := s.mayAsk(a.Context(), *t, after)
	if err != nil {
		return nil, err
	}
	if q.DryRun {
		return s.wouldBe(after, findings), nil
	}
	ctx, err := s.begin(a, false, e)
	if err != nil {
		return nil, err
	}
	if _, err := s.config.Store.CompleteTenant(ctx, given); err != nil {
		return nil, err
	}
	return s.tenantNow(ctx, t.ID, "")
}

// mayAsk says whether a tenant may be as after says, and what it would lack then. The store has the last word.
func (s *Server) mayAsk(ctx context.Context, before, after tenant.Tenant) ([]adminapi.Finding, error) {
	people, had, err := s.everybody(ctx, before)
	if err != nil {
		return nil, err
	}
	have, err := s.config.Store.WaysIn(ctx, after)
	if err != nil {
		return nil, err
	}
	if err := tenant.MayAsk(people, had, have); err != nil {
		return nil, err
	}
	return showFindings(after.Findings(people, have)), nil
}

// wouldBe shows a tenant as it would be.
func (s *Server) wouldBe(t tenant.Tenant, findings []adminapi.Finding) *adminapi.Tenant {
	shown := showTenant(&t)
	shown.Findings = findings
	return &shown
}
