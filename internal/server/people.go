package server

import (
	"cmp"
	"context"
	"net/http"

	"seawall/internal/console"
	"seawall/internal/grant"
	"seawall/internal/login"
	"seawall/internal/mint"
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
		Settle: s.settle, Log: s.log, Now: s.now,
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
