package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// actor is who acts through the admin API: whoever is at the other end of the operators' socket, by user id, or a person
// of the operators' tenant.
type actor struct {
	name    string      // as entries have it: "uid:1000" or "person:…"
	role    tenant.Role // what they may do now
	person  string      // subject; empty for the socket
	touched time.Time   // when the person last proved with a passkey that it is them
}

// socketRole is what whoever may use the operators' socket may do: they own the host.
const socketRole = tenant.Owner

// actorKey is where the context of a request that came in by another way than the socket has its actor.
type actorKey struct{}

// peerKey is where a connection's context keeps the user id of who is at its other end.
type peerKey struct{}

// withPeer asks the kernel who connected. Credentials are those of the moment of connecting, so they can't be changed by
// what the peer does afterwards.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if counted, ok := c.(*counted); ok {
		c = counted.Conn
	}
	uid, err := peerUID(c)
	if err != nil {
		return ctx // nobody: refused
	}
	return context.WithValue(ctx, peerKey{}, uid)
}

// operator returns the user id behind a request and whether it may operate seawall.
func (s *Server) operator(ctx context.Context) (uid int, ok bool) {
	uid, known := ctx.Value(peerKey{}).(int)
	return uid, known && (uid == 0 || slices.Contains(s.config.Operators, uid))
}

// actor returns who is behind a request. A person's role is what it is now, so whoever was disabled or given another role
// a moment ago is judged by that.
func (s *Server) actor(ctx context.Context) (actor, error) {
	who, inside := ctx.Value(actorKey{}).(actor)
	if !inside {
		uid, ok := s.operator(ctx)
		if !ok {
			s.log.WarnContext(ctx, "the admin API was used by somebody who is not an operator", "uid", uid)
			return actor{}, &adminapi.Error{Code: adminapi.CodeForbidden, Status: http.StatusForbidden,
				Description: "this user may not operate seawall", Hint: "run the command as the user who started `seawall up`, or as root"}
		}
		return actor{name: "uid:" + strconv.Itoa(uid), role: socketRole}, nil
	}
	p, there, err := s.directory.person(ctx, tenant.Operators, who.person)
	if err != nil {
		return actor{}, err
	}
	if !there || p.Role == tenant.NoRole {
		return actor{}, &adminapi.Error{Code: adminapi.CodeForbidden, Status: http.StatusForbidden,
			Description: "this account may not operate seawall any more", Hint: "ask an owner"}
	}
	who.name, who.role = "person:"+p.ID, p.Role
	return who, nil
}

// mayUse says whether somebody may use a line of the admin API: by their role, and if they would change something, by how
// long ago they touched their passkey. A session that was stolen has no touch. From when an owner can sign in, the socket
// changes little: limited says so.
func (s *Server) mayUse(who actor, line adminLine, r *http.Request) (limited bool, err error) {
	switch {
	case !slices.Contains(line.may.roles, who.role) || line.may.own && who.role != tenant.Owner && r.PathValue("tenant") == tenant.Operators:
		return false, &adminapi.Error{Code: adminapi.CodeForbidden, Status: http.StatusForbidden,
			Description: fmt.Sprintf("the role %s may not do this", who.role), Hint: "ask somebody with a wider role; `seawall whoami` tells yours"}
	case r.Method == http.MethodGet || line.may.looks:
		return false, nil
	case who.person != "" && !s.now().Before(who.touched.Add(tenant.FreshTouch)):
		return false, &adminapi.Error{Code: adminapi.CodeStepUp, Status: http.StatusUnauthorized, MaxAge: int64(tenant.FreshTouch / time.Second),
			Description: "your last touch is too long ago for a change", Hint: "sign in once more; nothing was changed"}
	case who.person != "":
		return false, nil
	}
	if limited, err = s.owned(r.Context()); err == nil && limited && !line.may.always {
		err = s.readsOnly()
	}
	return limited, err
}

// owned reports whether an owner can sign in: from then on people change things, under their names.
func (s *Server) owned(ctx context.Context) (bool, error) {
	t, err := s.config.Store.Tenant(ctx, tenant.Operators)
	if errors.Is(err, tenant.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	people, ways, err := s.everybody(ctx, t)
	return tenant.Owned(people, ways), err
}

// readsOnly refuses what comes over the socket and is for people to do.
func (s *Server) readsOnly() error {
	return &adminapi.Error{Code: adminapi.CodeReadOnly, Status: http.StatusForbidden,
		Description: "an owner has a passkey, so the socket only reads: changes are made by people, under their names",
		Hint:        "run `seawall login " + s.config.Base + "`, and then this again"}
}

// Alarms keeps what every owner should know of.
type Alarms interface {
	RaiseAlarm(ctx context.Context, a tenant.Alarm) error
}

// alarm tells every owner of an act before it is done: in the log, on their account page, in the console and in the status.
func (s *Server) alarm(ctx context.Context, kind tenant.AlarmKind, p tenant.Person, actor string) error {
	s.log.ErrorContext(ctx, "alarm: "+string(kind), "tenant", p.Tenant, "login", p.Login, "actor", actor)
	return s.config.Store.RaiseAlarm(ctx, tenant.Alarm{Kind: kind, Tenant: p.Tenant, Login: p.Login, Actor: actor})
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

// inside answers requests to the admin API for a person, without a connection: what the console asks goes by the very
// lines that the command line's questions go by.
type inside struct {
	api http.Handler
	who actor
}

// RoundTrip is for [http.RoundTripper].
func (i inside) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &heard{header: http.Header{}, status: http.StatusOK}
	i.api.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), actorKey{}, i.who)))
	return &http.Response{StatusCode: w.status, Header: w.header, Body: w, Request: r}, nil
}

// heard keeps an answer of the admin API, and is the body that it is read from ([adminapi.Answer]). It ends with the request:
// answers may hold what is shown once.
type heard struct {
	header http.Header
	status int
	body   bytes.Buffer // what was written
	answer any          // given instead
	given  bool         // and not yet in the body
}

func (h *heard) Header() http.Header         { return h.header }
func (h *heard) WriteHeader(status int)      { h.status = status }
func (h *heard) Write(b []byte) (int, error) { return h.body.Write(b) }

// Answer is for [adminapi.Answer].
func (h *heard) Answer() any { return h.answer }

// Read is for [io.Reader].
func (h *heard) Read(b []byte) (int, error) {
	if h.given {
		h.given = false
		if err := json.NewEncoder(&h.body).Encode(h.answer); err != nil {
			return 0, err
		}
	}
	return h.body.Read(b)
}

// Close is for [io.Closer].
func (h *heard) Close() error { return nil }

// operate returns the admin API for a person of the operators' tenant who last touched their passkey at touched.
func (s *Server) operate(person string, touched time.Time) *adminapi.Operator {
	return adminapi.Over("http://seawall", inside{s.api, actor{person: person, touched: touched}})
}
