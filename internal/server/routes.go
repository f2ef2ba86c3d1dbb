package server

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"seawall/internal/authorize"
	"seawall/internal/console"
	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// Paths below a tenant's issuer.
const (
	pathToken      = "/token"
	pathKeys       = "/jwks"
	pathIntrospect = "/introspect"
	pathRevoke     = "/revoke"                                 // RFC 7009
	pathOAuth      = "/.well-known/oauth-authorization-server" // RFC 8414 §3, appended
	pathOpenID     = "/.well-known/openid-configuration"       // OpenID Connect Discovery §4
)

// noSniff is in every answer: nothing here is a page, and no browser may guess that it was one. Each further line costs
// as much as finding the tenant does, so what is for pages only is left to whoever serves pages.
var noSniff = []string{"nosniff"}

var (
	errNothing = &oauth.Error{Code: "not_found", Status: http.StatusNotFound, Description: "There is nothing at this address. A tenant's addresses are in its metadata document."}
	errURL     = &oauth.Error{Code: oauth.InvalidRequest, Description: "The URL has something in it that looks like a credential. Credentials must never be part of a URL: send them in the body or the Authorization header, and consider this one leaked."}
	errNoKeys  = &oauth.Error{Code: oauth.TemporarilyUnavailable, RetryAfter: time.Second, Description: "The tenant's keys are not known yet. Try again shortly."}
)

// ServeHTTP answers clients, APIs and whoever watches the house.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.recovered(w, r)
	h := w.Header()
	h["X-Content-Type-Options"] = noSniff
	if s.hsts != nil {
		h["Strict-Transport-Security"] = s.hsts
	}
	if r.URL.RawQuery != "" && s.credentialIn(r) {
		oauth.WriteError(w, errURL)
		return
	}
	switch r.URL.Path {
	case "/healthz":
		s.serveAlive(w, r)
		return
	case "/readyz":
		s.serveReady(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, s.assets) {
		if allowed(w, r, reading) && !s.people.ServeAsset(w, r) && !s.authorize.ServeAsset(w, r) && !s.console.ServeAsset(w, r) {
			oauth.WriteError(w, errNothing)
		}
		return
	}
	id, rest := s.split(r.URL.Path)
	if len(r.Header["Origin"]) > 0 && preflight(w, r, rest) {
		return
	}
	serve, methods := s.endpoint(rest)
	if serve == nil {
		serve, methods = s.pages(id, rest)
	}
	if serve == nil {
		s.serveNothing(w, r)
		return
	}
	t, err := s.directory.tenant(r.Context(), id)
	switch {
	case err != nil:
		s.refuse(w, r, err)
	case t == nil:
		s.serveNothing(w, r)
	case allowed(w, r, methods):
		serve(w, r, t)
	}
}

// serveNothing answers at an address at which there is nothing: with a page where a browser shows it to a person, who may have
// followed the base URL or an issuer as we print them.
func (s *Server) serveNothing(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		oauth.WriteError(w, errNothing)
		return
	}
	below, _ := s.inBase(strings.TrimSuffix(r.URL.Path, "/") + "/")
	id, rest, _ := strings.Cut(strings.TrimPrefix(below, "/"), "/")
	t, err := s.directory.tenant(r.Context(), id)
	switch {
	case err != nil:
		s.refuse(w, r, err)
	case t != nil:
		s.people.Front(w, r, &t.tenant, rest == "")
	default:
		s.people.Front(w, r, nil, below == "/")
	}
}

// split takes a path apart into a tenant's id and the path below its issuer. The tenant comes first, except where RFC 8414
// §3.1 puts the well-known name before the issuer's path.
func (s *Server) split(path string) (id, rest string) {
	if issuer, ok := strings.CutPrefix(path, pathOAuth); ok {
		below, ok := s.inBase(issuer)
		if !ok || strings.IndexByte(below[1:], '/') >= 0 {
			return "", ""
		}
		return below[1:], pathOAuth
	}
	below, ok := s.inBase(path)
	if !ok {
		return "", ""
	}
	cut := strings.IndexByte(below[1:], '/')
	if cut < 0 {
		return "", ""
	}
	return below[1 : 1+cut], below[1+cut:]
}

type endpoint func(w http.ResponseWriter, r *http.Request, t *resident)

const (
	reading = "GET, HEAD"
	writing = "POST"
	asking  = "GET, HEAD, POST"
	hearing = "GET"
	their   = "" // whoever serves it says so
)

// endpoint returns what answers at a path below an issuer, and by which methods.
func (s *Server) endpoint(rest string) (endpoint, string) {
	switch rest {
	case pathToken:
		return s.serveToken, writing
	case pathIntrospect:
		return s.serveIntrospection, writing
	case pathRevoke:
		return s.serveRevocation, writing
	case pathFeed:
		return s.serveFeed, hearing
	case pathEvents:
		return s.serveEvents, hearing
	case pathChanges:
		return s.serveChanges, hearing
	case pathUserinfo:
		return s.serveUserinfo, asking
	case pathKeys:
		return s.serveKeys, reading
	case pathOAuth, pathOpenID:
		return s.serveMetadata, reading
	}
	return nil, ""
}

// pages returns which room answers at a path below an issuer that is not an endpoint's: people's, applications', and the
// operators' own. It is apart from endpoint, which costs nothing as long as it is small.
func (s *Server) pages(id, rest string) (endpoint, string) {
	switch {
	case s.people.Owns(rest):
		return s.servePeople, their
	case s.authorize.Owns(rest):
		return s.serveAuthorize, their
	case id == tenant.Operators && console.Owns(rest):
		return s.serveConsole, their
	case id == tenant.Operators && strings.HasPrefix(rest, pathAdmin+"/"):
		return s.serveAdmin, their
	}
	return nil, ""
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, t *resident) {
	s.tokens.Serve(w, r, &t.tenant)
}

func (s *Server) serveKeys(w http.ResponseWriter, r *http.Request, t *resident) {
	p, err := t.keyDocument(s.keys.now(), s.now())
	switch {
	case err != nil:
		s.refuse(w, r, err)
	case p == nil:
		oauth.WriteError(w, errNoKeys)
	default:
		p.ServeHTTP(w, r)
	}
}

func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request, t *resident) {
	p, err := t.describe(s.keys.now().pin)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	p.ServeHTTP(w, r)
}

// allowed answers a request whose method is not one of those listed.
func allowed(w http.ResponseWriter, r *http.Request, methods string) bool {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if methods == their || methods == r.Method || reads && (methods == reading || methods == asking) || r.Method == http.MethodPost && methods == asking {
		return true
	}
	w.Header().Set("Allow", methods)
	oauth.WriteError(w, &oauth.Error{Code: oauth.InvalidRequest, Status: http.StatusMethodNotAllowed, Description: "This address answers " + methods + " only."})
	return false
}

// credentialNames are parameters that hold credentials in OAuth (RFC 6749, 6750 §2.3, 7523, 7662).
var credentialNames = []string{"access_token", "assertion", "client_assertion", "client_secret", "code", "id_token", "id_token_hint", "password", "refresh_token", "token"}

// credentialIn reports whether a URL holds a credential, by a parameter's name or by what a value looks like. URLs are
// kept in logs and histories that nobody thinks of. Where applications send people, their state may look like anything;
// and a credential is taken that standards put there (OpenID Connect Core §3.1.2.1, RP-Initiated Logout 1.0 §2): the ID
// token that says who is meant, which opens nothing, and is gone from the address at the next step.
func (s *Server) credentialIn(r *http.Request) bool {
	query, raw := r.URL.Query(), r.URL.RawQuery
	if _, rest := s.split(r.URL.Path); rest == authorize.Path || rest == authorize.LogoutPath {
		query.Del("state")
		query.Del("id_token_hint")
		raw = query.Encode()
	}
	for name := range query {
		if slices.Contains(credentialNames, strings.ToLower(name)) {
			return true
		}
	}
	return len(secret.Find([]byte(raw))) > 0
}

// serveAlive tells that the process answers, and nothing about anything else: whoever restarts on it must not do so
// because a vault is away.
func (s *Server) serveAlive(w http.ResponseWriter, r *http.Request) {
	if allowed(w, r, reading) {
		writeJSON(w, http.StatusOK, struct {
			Alive bool `json:"alive"`
		}{true})
	}
}

// serveReady tells whether tokens can be issued now, and if not, what is away.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	if !allowed(w, r, reading) {
		return
	}
	status, parts := http.StatusOK, []string{}
	for _, absence := range s.away() {
		parts = append(parts, absence.Part) // why is for operators: see their status
	}
	if len(parts) > 0 {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, status, struct {
		Ready bool     `json:"ready"`
		Away  []string `json:"away"`
	}{len(parts) == 0, parts})
}

// writeJSON answers with v, not to be kept.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := encode(v)
	if err != nil { // v is one of our own types, all of which encode
		panic(fmt.Sprintf("encoding %T: %v", v, err))
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// refuse answers with err, and logs what nobody classified under its incident number.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if e := oauth.WriteError(w, err); e.Incident != "" {
		s.log.ErrorContext(r.Context(), "a request failed", "incident", e.Incident, "cause", err)
	}
}

// recovered turns a panic into an incident. Neither the answer nor the log gets the panic's value, which may hold what a
// client sent; its type and the stack tell where to look.
func (s *Server) recovered(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	incident := rand.Text()
	s.log.ErrorContext(r.Context(), "a handler panicked", "incident", incident, "kind", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
	oauth.WriteError(w, &oauth.Error{Code: oauth.ServerError, Description: "Something went wrong on the server. Quote incident " + incident + " when you ask about it."})
}
