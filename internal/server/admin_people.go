package server

import (
	"context"
	"errors"
	"slices"

	"seawall/internal/login"
	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// People reads and changes people. Each method is one whole act.
type People interface {
	login.Store
	CreatePerson(ctx context.Context, p tenant.Person) (tenant.Person, error)
	People(ctx context.Context, tenantID string) ([]tenant.Person, error)
	DisablePerson(ctx context.Context, tenantID, id string) (tenant.Person, error)
	SetRole(ctx context.Context, tenantID, id string, role tenant.Role) (tenant.Person, error)
	WaysIn(ctx context.Context, t tenant.Tenant) (map[string]tenant.Ways, error)
	CompleteTenant(ctx context.Context, given tenant.Tenant) (tenant.Tenant, error)
}

// everybody returns a tenant's people, and the ways in that each has.
func (s *Server) everybody(ctx context.Context, t tenant.Tenant) ([]tenant.Person, map[string]tenant.Ways, error) {
	people, err := s.config.Store.People(ctx, t.ID)
	if err != nil {
		return nil, nil, err
	}
	ways, err := s.config.Store.WaysIn(ctx, t)
	return people, ways, err
}

// addPerson records a new person and keeps them. Called with acts held.
func (s *Server) addPerson(ctx context.Context, actor string, p tenant.Person) (tenant.Person, error) {
	p.CreatedAt = s.now()
	p, err := tenant.NewPerson(p)
	if err != nil {
		return p, err
	}
	if old, err := s.config.Store.Person(ctx, p.Tenant, p.Login); err == nil {
		return p, tenant.Refuse(tenant.ErrExists, "see `seawall person list --tenant "+p.Tenant+"`", "there is already a person %s in %s", old.Login, p.Tenant)
	} else if !errors.Is(err, tenant.ErrNotFound) {
		return p, err
	}
	e := &mint.Entry{Kind: mint.PersonCreated, Tenant: p.Tenant, Subject: p.ID, Actor: actor, Detail: []mint.Field{{Name: "kind", Value: string(p.Kind)}}}
	if p.Role != tenant.NoRole {
		e.Detail = append(e.Detail, mint.Field{Name: "role", Value: string(p.Role)})
	}
	if err := s.vaults.record(ctx, e); err != nil {
		return p, err
	}
	return s.config.Store.CreatePerson(ctx, p)
}

func (s *Server) createPerson(a act, q *adminapi.CreatePerson) (any, error) {
	t, err := s.liveTenant(a)
	if err != nil {
		return nil, err
	}
	p := tenant.Person{Tenant: t.ID, Login: q.Login, Name: q.Name, Role: tenant.Role(q.Role)}
	if err := a.admit("make", p); err != nil {
		return nil, err
	}
	if p, err = s.addPerson(context.WithoutCancel(a.Context()), a.actor, p); err != nil {
		return nil, err
	}
	return s.describePerson(a.Context(), p)
}

func showPerson(p *tenant.Person) adminapi.Person {
	return adminapi.Person{Subject: p.ID, Tenant: p.Tenant, Kind: string(p.Kind), Login: p.Login, Name: p.Name, Role: string(p.Role),
		Created: p.CreatedAt, Disabled: p.DisabledAt}
}

// describePerson shows a person with what they have.
func (s *Server) describePerson(ctx context.Context, p tenant.Person) (*adminapi.Person, error) {
	shown := showPerson(&p)
	t, err := s.config.Store.Tenant(ctx, p.Tenant)
	if err != nil {
		return nil, err
	}
	keys, err := s.config.Store.Passkeys(ctx, p.Tenant, p.ID)
	if err != nil {
		return nil, err
	}
	shown.Passkeys = []adminapi.Passkey{}
	for _, k := range keys {
		shown.Passkeys = append(shown.Passkeys, adminapi.Passkey{Reference: k.Reference(), Name: k.Name, Synced: k.Synced(), Attested: k.Attested,
			Created: k.CreatedAt, Used: k.UsedAt, Suspended: k.SuspendedAt, SuspendedWhy: string(k.SuspendedWhy), Lesser: k.Live() && t.SignsIn(k) != nil})
	}
	sessions, err := s.config.Store.Sessions(ctx, p.Tenant, p.ID)
	if err != nil {
		return nil, err
	}
	shown.Sessions = []adminapi.Session{}
	for _, n := range sessions {
		shown.Sessions = append(shown.Sessions, adminapi.Session{ID: n.ID, Device: n.Device, Place: n.Place, ACR: n.ACR, AMR: n.AMR, SignedIn: n.At, Seen: n.SeenAt})
	}
	r, err := s.config.Store.Recovery(ctx, p.Tenant, p.ID)
	if errors.Is(err, tenant.ErrNotFound) {
		return &shown, nil
	}
	shown.Recovery = showRecovery(r)
	return &shown, err
}

func (s *Server) listPeople(a act) (any, error) {
	t, err := s.findTenant(a)
	if err != nil {
		return nil, err
	}
	all, ways, err := s.everybody(a.Context(), t)
	return items(all, func(p *tenant.Person) adminapi.Person {
		shown, w := showPerson(p), ways[p.ID]
		shown.WaysIn, shown.CodeUsed, shown.Proven = w.In(), w.CodeUsed, w.Proven
		return shown
	}), err
}

func (s *Server) showPerson(a act) (any, error) {
	_, p, err := s.findPerson(a)
	if err != nil {
		return nil, err
	}
	return s.describePerson(a.Context(), p)
}

func (s *Server) disablePerson(a personAct, _ *nothing) (any, error) {
	t, p := a.tenant, a.person
	if p.Live() {
		people, ways, err := s.everybody(a.Context(), *t)
		if err != nil {
			return nil, err
		}
		if err := tenant.MayLeave(p, people, ways); err != nil {
			return nil, err
		}
		ctx, err := s.begin(a.act, false, &mint.Entry{Kind: mint.PersonDisabled, Tenant: t.ID, Subject: p.ID})
		if err != nil {
			return nil, err
		}
		if p, err = s.config.Store.DisablePerson(ctx, t.ID, p.ID); err != nil {
			return nil, err
		}
		s.settle(ctx)
	}
	return s.describePerson(a.Context(), p)
}

// changeRole is asked twice: of the person as they are, and as they will be.
const changeRole = "change the role of"

// setRole gives a person of the operators' tenant another role.
func (s *Server) setRole(a personAct, q *adminapi.SetRole) (any, error) {
	t, p := a.tenant, a.person
	next := p
	next.Role = tenant.Role(q.Role)
	if err := a.admit(changeRole, next); err != nil { // nobody gives what they may not touch
		return nil, err
	}
	people, ways, err := s.everybody(a.Context(), *t)
	if err != nil {
		return nil, err
	}
	if next, err = p.WithRole(next.Role, people, ways); err != nil {
		return nil, err
	}
	if next.Role != p.Role {
		ctx, err := s.begin(a.act, false, &mint.Entry{Kind: mint.RoleChanged, Tenant: t.ID, Subject: p.ID,
			Detail: []mint.Field{{Name: "role", Value: string(next.Role)}, {Name: "was", Value: string(p.Role)}}})
		if err != nil {
			return nil, err
		}
		if next, err = s.config.Store.SetRole(ctx, t.ID, p.ID, next.Role); err != nil {
			return nil, err
		}
	}
	return s.describePerson(a.Context(), next)
}

// endSessions ends one session of a person, or all of them.
func (s *Server) endSessions(a personAct, q *adminapi.EndSessions) (any, error) {
	t, p := a.tenant, a.person
	if q.Session != "" {
		there, err := s.config.Store.Sessions(a.Context(), t.ID, p.ID)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(there, func(one tenant.Session) bool { return one.ID == q.Session }) {
			return s.describePerson(a.Context(), p) // it is over, which is what was wanted; and what was sent may be anything
		}
	}
	e := &mint.Entry{Kind: mint.SessionEnded, Tenant: t.ID, Subject: p.ID, Detail: []mint.Field{{Name: "reason", Value: "ended by an administrator"}}}
	if q.Session != "" {
		e.Detail = append(e.Detail, mint.Field{Name: "session", Value: q.Session})
	}
	ctx, err := s.begin(a.act, false, e)
	if err != nil {
		return nil, err
	}
	// One that is over already is what was wanted.
	if _, err := s.config.Store.EndSessions(ctx, tenant.Ending{Tenant: t.ID, Person: p.ID, Session: q.Session, Actor: a.actor}); err != nil {
		return nil, err
	}
	s.settle(ctx)
	return s.describePerson(ctx, p)
}
