package server

import (
	"context"
	"net/http"
	"regexp"

	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// Glass keeps the codes of break-glass principals. Each method is one whole act.
type Glass interface {
	KeepBreakGlassCode(ctx context.Context, c tenant.BreakGlassCode) error
	BreakGlassHolder(ctx context.Context, tenantID string, code secret.Hash) (person string, err error)
	ProveBreakGlass(ctx context.Context, tenantID string, code secret.Hash) (person string, err error)
	BreakGlass(ctx context.Context, tenantID string, code secret.Hash, e tenant.Enrolment) (tenant.Enrolment, error)
}

// fingerprint is how the key is named that a code was encrypted to.
var fingerprint = regexp.MustCompile(`^SHA256:[0-9A-Za-z+/]{43}$`)

// sealGlass keeps the hash of a code that whoever holds the terminal has made: the code itself never comes here.
func (s *Server) sealGlass(a personAct, q *adminapi.SealGlass) (any, error) {
	t, p := a.tenant, a.person
	if p.Kind != tenant.BreakGlass || len(q.Hash) != len(secret.Hash{}) {
		return nil, tenant.Refuse(tenant.ErrConflict, "", "%s is no break-glass principal, or the hash is none", p.Login)
	}
	e := &mint.Entry{Kind: mint.GlassSealed, Tenant: t.ID, Subject: p.ID}
	if q.Recipient != "" {
		if !fingerprint.MatchString(q.Recipient) { // whatever it is, it is not for the log
			return nil, &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusBadRequest, Description: "the recipient of a code is named by the fingerprint of a key, SHA256: and 43 characters"}
		}
		e.Detail = []mint.Field{{Name: "recipient", Value: q.Recipient}}
	}
	if a.limited { // over the socket a used code is replaced, and no other: whoever could make one could use it
		_, ways, err := s.everybody(a.Context(), *t)
		if err != nil {
			return nil, err
		}
		if !ways[p.ID].CodeUsed {
			return nil, s.readsOnly()
		}
	}
	ctx, err := s.begin(a.act, false, e)
	if err != nil {
		return nil, err
	}
	c := tenant.BreakGlassCode{Tenant: t.ID, Person: p.ID, Hash: secret.Hash(q.Hash), IssuedBy: a.actor, IssuedAt: s.now()}
	return struct{}{}, s.config.Store.KeepBreakGlassCode(ctx, c)
}

// breakGlass uses a code up and answers with a link for its principal. It signs nobody in, and it is loud.
func (s *Server) breakGlass(a act, q *adminapi.BreakGlass) (any, error) {
	t, err := s.liveTenant(a)
	if err != nil {
		return nil, err
	}
	if err := s.named(); err != nil {
		return nil, err
	}
	code := secret.New(q.Code)
	p, err := s.holder(a, t, code)
	if err != nil {
		return nil, err
	}
	if err := a.admit("break the glass for", p); err != nil {
		return nil, err
	}
	e, link := s.newEnrolment(a.actor, t, p)
	e.Why = tenant.GlassBroken
	s.log.ErrorContext(a.Context(), "a break-glass code is used", "tenant", t.ID, "principal", p.Login, "actor", a.actor)
	ctx := context.WithoutCancel(a.Context())
	if err := s.alarm(ctx, tenant.GlassUsed, p, a.actor); err != nil {
		return nil, err
	}
	if err := s.vaults.record(ctx, &mint.Entry{Kind: mint.GlassBroken, Tenant: t.ID, Subject: p.ID, Actor: a.actor}, issued(e, a.actor)); err != nil {
		return nil, err
	}
	if e, err = s.config.Store.BreakGlass(ctx, t.ID, code.Hash(), e); err != nil {
		return nil, err
	}
	return showLink(t, link, e, p), nil
}

// holder returns whose code this is.
func (s *Server) holder(a act, t *tenant.Tenant, code secret.Text) (tenant.Person, error) {
	person, err := s.config.Store.BreakGlassHolder(a.Context(), t.ID, code.Hash())
	if err != nil {
		s.log.WarnContext(a.Context(), "a wrong break-glass code was given", "tenant", t.ID, "actor", a.actor)
		return tenant.Person{}, err
	}
	return s.config.Store.Person(a.Context(), t.ID, person)
}

// proveGlass notes that a code is at hand and works. It stays good: this is how somebody finds out in peace.
func (s *Server) proveGlass(a act, q *adminapi.BreakGlass) (any, error) {
	t, err := s.liveTenant(a)
	if err != nil {
		return nil, err
	}
	code := secret.New(q.Code)
	p, err := s.holder(a, t, code)
	if err != nil {
		return nil, err
	}
	ctx, err := s.begin(a, false, &mint.Entry{Kind: mint.GlassProven, Tenant: t.ID, Subject: p.ID})
	if err != nil {
		return nil, err
	}
	if _, err := s.config.Store.ProveBreakGlass(ctx, t.ID, code.Hash()); err != nil {
		return nil, err
	}
	return adminapi.ProvenGlass{Login: p.Login, Subject: p.ID, Proven: s.now()}, nil
}

// showGlass shows the break-glass principals among people.
func showGlass(people []tenant.Person, ways map[string]tenant.Ways) (list []adminapi.Glass) {
	for _, p := range people {
		if w := ways[p.ID]; p.Kind == tenant.BreakGlass && p.Live() {
			list = append(list, adminapi.Glass{Login: p.Login, Subject: p.ID, Passkeys: w.Passkeys, Code: w.Code, CodeUsed: w.CodeUsed, Proven: w.Proven})
		}
	}
	return list
}
