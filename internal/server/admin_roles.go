package server

import (
	"context"
	"slices"

	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// Alarms keeps what every owner should know of.
type Alarms interface {
	RaiseAlarm(ctx context.Context, a tenant.Alarm) error
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

// listRecoveries lists the recoveries that wait for a second administrator.
func (s *Server) listRecoveries(a act) (any, error) {
	all, err := s.config.Store.WaitingRecoveries(a.Context())
	return items(all, func(w *tenant.WaitingRecovery) adminapi.WaitingRecovery {
		return adminapi.WaitingRecovery{Tenant: w.Tenant, Subject: w.Person, Login: w.Who.Login, Name: w.Who.Name, Role: string(w.Who.Role), Recovery: *showRecovery(w.Recovery)}
	}), err
}

// self tells somebody who they are here.
func (s *Server) self(a act) (any, error) {
	who := adminapi.Self{Actor: a.actor, Role: string(a.role)}
	in, _ := a.Context().Value(actorKey{}).(actor)
	if in.person == "" {
		var err error
		who.ReadsOnly, err = s.owned(a.Context())
		return who, err
	}
	p, _, err := s.directory.person(a.Context(), tenant.Operators, in.person)
	who.Subject, who.Login, who.Name, who.Touched = p.ID, p.Login, p.Name, in.touched
	return who, err
}
