package guard

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"seawall/validate"
)

// Route says what a request needs.
type Route struct {
	// Path is the place it is for, as in a URL. It covers the same path with a slash at its end.
	Path string
	// Prefix extends the route to everything below Path, segment by segment: /orders covers /orders/7, and not /orders2.
	Prefix bool
	// Methods are the methods that it is for. GET covers HEAD (RFC 9110 §9.3.2). Empty: all but those for which the same
	// place has another route; a public route must name its methods.
	Methods []string
	// Public lets requests through without looking at any token.
	Public bool
	// Scopes must all be in the token (RFC 6749 §3.3).
	Scopes []string
	// ACR lists the authentication contexts of which the token must name one (RFC 9470 §3). Empty: any.
	ACR []string
	// MaxAuthAge is how long ago the user may have signed in (RFC 9470 §3). 0: any time.
	MaxAuthAge time.Duration

	door http.Handler // of a route that is not public
}

// needs is what package validate shall hold a token to.
func (r *Route) needs() (list []validate.Requirement) {
	if len(r.Scopes) > 0 {
		list = append(list, validate.RequireScope(r.Scopes...))
	}
	if len(r.ACR) > 0 {
		list = append(list, validate.RequireACR(r.ACR...))
	}
	if r.MaxAuthAge > 0 {
		list = append(list, validate.MaxAuthAge(r.MaxAuthAge))
	}
	return list
}

// Needs tells in words what a request needs, for people.
func (r *Route) Needs() string {
	if r.Public {
		return "nothing: it is public"
	}
	text := "a good token"
	if len(r.Scopes) > 0 {
		text += ", scope " + strings.Join(r.Scopes, " ")
	}
	if len(r.ACR) > 0 {
		text += ", acr " + strings.Join(r.ACR, " or ")
	}
	if r.MaxAuthAge > 0 {
		text += fmt.Sprintf(", signed in within %v", r.MaxAuthAge)
	}
	return text
}

// String shows the route's place: a prefix ends in /*.
func (r *Route) String() string {
	if !r.Prefix {
		return r.Path
	}
	return strings.TrimSuffix(r.Path, "/") + "/*"
}

// place is one path of the table with its routes.
type place struct {
	byMethod map[string]*Route
	rest     *Route // for all other methods; may be nil
}

// route finds the one for a method, or nil. HEAD is what GET is, unless it has a route of its own.
func (p *place) route(method string) *Route {
	if r := p.byMethod[method]; r != nil {
		return r
	}
	if r := p.byMethod["GET"]; r != nil && method == "HEAD" {
		return r
	}
	return p.rest
}

// table finds the route of a request: the exact path, otherwise the longest prefix. A method that the place found has no
// route for is refused; a shorter prefix is never tried for it.
type table struct {
	exact, under map[string]*place // by decoded path without a slash at the end, so that the root is ""
	exactFolded  map[string]*place // the same places by their path with letters folded
	underFolded  map[string]*place
	routes       []*Route // as configured
}

func newTable(routes []Route) (*table, error) {
	if len(routes) == 0 {
		return nil, errors.New("no routes, so nothing could pass")
	}
	t := &table{exact: map[string]*place{}, under: map[string]*place{}, exactFolded: map[string]*place{}, underFolded: map[string]*place{}}
	for i := range routes {
		r := routes[i]
		if err := t.add(&r); err != nil {
			return nil, fmt.Errorf("route %s: %w", r.String(), err)
		}
		t.routes = append(t.routes, &r)
	}
	return t, nil
}

// add checks a route and enters it.
func (t *table) add(r *Route) error {
	key, err := placeKey(r.Path)
	if err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	if t.exactFolded[fold(key)] != t.exact[key] || t.underFolded[fold(key)] != t.under[key] {
		return errors.New("another route has the same path in letters of another case, and some programs ignore case")
	}
	places, folded := t.exact, t.exactFolded
	if r.Prefix {
		places, folded = t.under, t.underFolded
	}
	p := places[key]
	if p == nil {
		p = &place{byMethod: map[string]*Route{}}
		places[key], folded[fold(key)] = p, p
	}
	return p.add(r)
}

func (p *place) add(r *Route) error {
	if len(r.Methods) == 0 {
		if p.rest != nil {
			return errors.New("two routes for all methods have this path")
		}
		p.rest = r
		return nil
	}
	for _, m := range r.Methods {
		if p.byMethod[m] != nil {
			return fmt.Errorf("two routes for %s have this path", m)
		}
		p.byMethod[m] = r
	}
	return nil
}

// check finds what is wrong with a route beside its path.
func (r *Route) check() error {
	for _, m := range r.Methods {
		if !goodMethod(m) {
			return fmt.Errorf("%q is no method that can pass: a method has upper-case letters, and is neither TRACE nor CONNECT", m)
		}
	}
	for _, s := range r.Scopes {
		if !scopeToken(s) {
			return fmt.Errorf("%q is no scope (RFC 6749 section 3.3)", s)
		}
	}
	switch {
	case r.MaxAuthAge < 0:
		return fmt.Errorf("the user must have signed in within %v, which can't be", r.MaxAuthAge)
	case slices.Contains(r.ACR, ""):
		return errors.New("one of its acr values is empty")
	case r.Public && len(r.needs()) > 0:
		return errors.New("it is public, so it can't need anything")
	case r.Public && len(r.Methods) == 0:
		return errors.New("it is public, so it must name its methods")
	}
	return nil
}

// placeKey makes the table's key of a route's path. Only characters that every program reads alike may stand in it.
func placeKey(raw string) (string, error) {
	if raw == "" {
		return "", errors.New("it has no path")
	}
	for i := range len(raw) {
		if c := raw[i]; c != '/' && c != '%' && !unreserved(c) {
			return "", fmt.Errorf("%q may not stand in the path of a route: there are no patterns, and other characters than letters, digits and -._~ must be percent-encoded", c)
		}
	}
	p, why := readPath(raw)
	if why != "" {
		return "", why
	}
	return strings.TrimSuffix(p.decoded, "/"), nil
}

// Explanation says what would happen to a request whose token is good.
type Explanation struct {
	// Route is the one that applies; nil when the request is refused whatever it carries.
	Route *Route
	// Code and Reason say why it is refused.
	Code, Reason string
}

// Explain finds the route of a request, as a guard with these routes would.
func Explain(routes []Route, method, target string) (Explanation, error) {
	t, err := newTable(routes)
	if err != nil {
		return Explanation{}, err
	}
	route, _, no := t.route(method, target)
	if no != nil {
		return Explanation{Code: no.code, Reason: no.reason}, nil
	}
	return Explanation{Route: route}, nil
}

// route finds the route of a request, or why there is none.
func (t *table) route(method, target string) (*Route, path, *refusal) {
	if !goodMethod(method) {
		return nil, path{}, &badMethod
	}
	where, why := readTarget(target)
	var found *place
	if why == "" {
		found, why = t.find(where)
	}
	if why != "" {
		no := badPath
		no.reason = why.Error()
		return nil, path{}, &no
	}
	if found != nil {
		if route := found.route(method); route != nil {
			return route, where, nil
		}
	}
	return nil, path{}, &noRoute
}

// find gives the place of a path, nil if there is none.
func (t *table) find(p path) (*place, Ambiguity) {
	key := strings.TrimSuffix(p.decoded, "/")
	found := seek(t.exact, t.under, key)
	if seek(t.exactFolded, t.underFolded, fold(key)) != found {
		return nil, anotherRoute
	}
	return found, ""
}

// seek looks for the path itself, then for ever shorter prefixes of whole segments.
func seek(exact, under map[string]*place, key string) *place {
	if p := exact[key]; p != nil {
		return p
	}
	for {
		if p := under[key]; p != nil {
			return p
		}
		cut := strings.LastIndexByte(key, '/')
		if cut < 0 {
			return nil
		}
		key = key[:cut]
	}
}

// fold makes one text of all that differ only by the case of letters, however a program folds them.
func fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' || c >= 0x80 {
			return strings.ToLower(strings.ToUpper(s))
		}
	}
	return s
}

// goodMethod reports whether a method can pass at all. TRACE would show the API's request, with what the guard put into
// it, to the client (RFC 9110 §9.3.8).
func goodMethod(m string) bool {
	if m == "" || len(m) > 32 || m == "TRACE" || m == "CONNECT" {
		return false
	}
	return !strings.ContainsFunc(m, func(c rune) bool { return (c < 'A' || c > 'Z') && c != '-' })
}

// scopeToken is the grammar of one scope (RFC 6749 §3.3).
func scopeToken(s string) bool {
	return s != "" && !slices.ContainsFunc([]byte(s), func(c byte) bool { return c <= ' ' || c >= 0x7f || c == '"' || c == '\\' })
}
