package server

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"seawall/internal/console"
	"seawall/internal/grant"
	"seawall/internal/login"
	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// What one address may do at one tenant in a minute. An office signs in behind one address in the morning, and nobody's
// passkey is ever locked: a flood is only slowed down, and what was begun is finished.
const (
	ceremoniesPerMinute = 600
	straysPerMinute     = 60 // answers to no ceremony that we know
	actsPerMinute       = 300
)

// newDoor makes the part of the house that people come through.
func (s *Server) newDoor() (*login.Door, error) {
	return login.New(login.Config{
		Base: s.config.Base, Store: s.config.Store, Record: s.recordActs, Metadata: s.config.Metadata,
		Refused: func(tenantID, person, reason string) {
			s.failures.note(failing{tenant: tenantID, subject: person, reason: reason})
		},
		Begun: grant.NewFailureLimit(ceremoniesPerMinute), Strays: grant.NewFailureLimit(straysPerMinute), Acts: grant.NewFailureLimit(actsPerMinute),
		Ended: s.accessEnded, Settle: s.settle, Log: s.log, Now: s.now,
	})
}

// recordActs writes what people do into the ledger. The names of a door's acts are those of entries.
func (s *Server) recordActs(ctx context.Context, acts ...login.Act) error {
	var entries []*mint.Entry
	for _, a := range acts {
		e := &mint.Entry{Kind: mint.EntryKind(a.Kind), Tenant: a.Tenant, Subject: a.Person, Client: a.Client, Actor: "person:" + cmp.Or(a.By, a.Person)}
		for name, value := range a.Detail {
			e.Detail = append(e.Detail, mint.Field{Name: name, Value: short(value)})
		}
		entries = append(entries, e)
	}
	return s.vaults.record(ctx, entries...)
}

func (s *Server) servePeople(w http.ResponseWriter, r *http.Request, t *resident) {
	_, rest := s.split(r.URL.Path)
	s.people.Serve(w, r, &t.tenant, rest)
}

// newConsole makes the pages for administrators. They ask the admin API as whoever is signed in.
func (s *Server) newConsole() (*console.Console, error) {
	return console.New(console.Config{Base: s.config.Base, Door: s.people, Drafts: s.config.Store, Operate: s.operate, Log: s.log, Now: s.now})
}

func (s *Server) serveConsole(w http.ResponseWriter, r *http.Request, t *resident) {
	s.console.Serve(w, r, &t.tenant)
}

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
