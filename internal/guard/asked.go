package guard

import (
	"net/http"
	"slices"
	"strings"
)

// Proxy is a kind of web server that asks before it passes a request on. Each says in its own way what it asks about; only
// that one way is read.
type Proxy string

// The proxies that the guard knows.
const (
	Nginx   Proxy = "nginx"   // auth_request; X-Original-Method and X-Original-URI are set by the configuration in docs/guard.md
	Caddy   Proxy = "caddy"   // forward_auth: X-Forwarded-Method and X-Forwarded-Uri
	Traefik Proxy = "traefik" // ForwardAuth: the same two
	Envoy   Proxy = "envoy"   // ext_authz over HTTP: the question is the request itself, its path behind path_prefix
)

// Proxies lists them all.
func Proxies() []Proxy { return []Proxy{Nginx, Caddy, Traefik, Envoy} }

// CheckPath is where a proxy asks. Envoy appends the path of the request to it.
const CheckPath = "/check"

// names gives the headers that hold method and target, in Go's canonical spelling; none for Envoy.
func (p Proxy) names() (method, target string) {
	switch p {
	case Nginx:
		return "X-Original-Method", "X-Original-Uri"
	case Caddy, Traefik:
		return "X-Forwarded-Method", "X-Forwarded-Uri"
	}
	return "", ""
}

// read finds out which method and which target the proxy asks about.
func (p Proxy) read(r *http.Request) (method, target string, no *refusal) {
	if p == Envoy {
		target, ok := strings.CutPrefix(r.RequestURI, CheckPath)
		if !ok {
			return "", "", &notAsked
		}
		return r.Method, target, nil
	}
	m, t := p.names()
	where, _, _ := strings.Cut(r.RequestURI, "?") // Caddy leaves the client's query in place
	if where != CheckPath || len(r.Header[m]) != 1 || len(r.Header[t]) != 1 {
		return "", "", &notAsked
	}
	return r.Header[m][0], r.Header[t][0], nil
}

// Spellings of header names. Behind CGI, WSGI, PHP and their kin all other characters than letters and digits are one, and
// case is none, so that X_User, x-user and X.User are the header X-User to the API.

// spelled makes one text of all spellings of a header's name.
func spelled(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'A' && c <= 'Z':
			return c + ('a' - 'A')
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			return c
		}
		return '-'
	}, name)
}

// detours are headers by which some frameworks read another method or path than the one that was checked.
var detours = []string{"x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"}

// forbidden finds a header that a client must not send: one that only the guard may set or a detour, in any spelling; or
// what the proxy sets, in a spelling that the proxy does not use. allowed is what may stand in its canonical spelling.
func forbidden(h http.Header, protected map[string]bool, allowed ...string) bool {
	for name := range h {
		if protected[spelled(name)] && !slices.Contains(allowed, name) {
			return true
		}
	}
	return false
}
