package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"seawall/internal/secret"
	"seawall/validate"
)

// Config is what a Guard is made of. Exactly one of Proxy and Upstream is given.
type Config struct {
	// Validator judges tokens. The guard does not close it.
	Validator *validate.Validator
	// Audience is the name of the API, which assertions are for.
	Audience string
	// Name is the issuer of the assertions. Default: seawall-guard.
	Name string
	// Algorithm signs assertions: ES256 (the default) or EdDSA.
	Algorithm validate.Alg
	// AssertionLife is how long an assertion holds. Default and at most 30 s.
	AssertionLife time.Duration
	// Routes say what may pass. What has no route is refused.
	Routes []Route
	// Identity are headers that repeat one claim of the token each, for APIs that can't verify an assertion: claim by name
	// of header. Whoever reaches the API past the guard can set them.
	Identity map[string]string

	// Proxy is the kind of web server that asks.
	Proxy Proxy
	// ProxySecret, if it is given, must come with every question, in the header Seawall-Proxy-Secret.
	ProxySecret secret.Text
	// ClientCertificate is where the proxy says which certificate the client showed. nil: nowhere, so that tokens that are
	// bound to one are refused.
	ClientCertificate *ClientCertificate

	// Upstream is the API: http://HOST:PORT, or unix:PATH.
	Upstream *url.URL
	// Limits of the reverse proxy.
	Limits Limits
	// PassAuthorization leaves the token in the request. By default the API gets the assertion only.
	PassAuthorization bool
	// Upgrade lists the protocols that a connection may be upgraded to, such as websocket. Default: none.
	Upgrade []string

	// Patience is how long a decision may take; then it is a refusal. Default 2 s.
	Patience time.Duration
	// Log gets what goes wrong here, and nothing of requests; nil: nobody does.
	Log *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// SecretHeader is where the proxy puts its secret.
const SecretHeader = "Seawall-Proxy-Secret"

// identityClaims are the claims that a header can repeat.
var identityClaims = map[string]func(*validate.Token) string{
	"iss":       (*validate.Token).Issuer,
	"sub":       (*validate.Token).Subject,
	"client_id": (*validate.Token).Client,
	"tid":       (*validate.Token).Tenant,
	"jti":       (*validate.Token).ID,
	"scope":     func(t *validate.Token) string { return strings.Join(t.Scopes(), " ") },
}

// Guard decides about requests. It is safe for use by many goroutines.
type Guard struct {
	config    Config
	table     *table
	assert    *asserter
	protected map[string]bool // spellings of headers that only the guard sets, and detours
	allowed   []string        // of those, what the proxy sets itself
}

// New makes a guard, or says what is wrong with its configuration.
func New(c Config) (*Guard, error) {
	if (c.Proxy == "") == (c.Upstream == nil) {
		return nil, errors.New("one of proxy and upstream is needed: either a proxy asks the guard, or the guard is the proxy")
	}
	if c.Proxy != "" && !slices.Contains(Proxies(), c.Proxy) {
		return nil, fmt.Errorf("%q is no proxy that the guard knows: it knows nginx, caddy, traefik and envoy", c.Proxy)
	}
	if c.Audience == "" || c.Validator == nil {
		return nil, errors.New("no audience: by which name is the API called in aud?")
	}
	if err := c.settle(); err != nil {
		return nil, err
	}
	t, err := newTable(c.Routes)
	if err != nil {
		return nil, err
	}
	a, err := newAsserter(c.Name, c.Audience, c.Algorithm, c.AssertionLife)
	if err != nil {
		return nil, err
	}
	g := &Guard{config: c, table: t, assert: a}
	for _, r := range t.routes {
		r.door = g.door(r)
	}
	return g, g.protect()
}

// settle fills in defaults and checks ranges.
func (c *Config) settle() error {
	if c.Name == "" {
		c.Name = "seawall-guard"
	}
	if c.Algorithm == "" {
		c.Algorithm = validate.ES256
	}
	if c.AssertionLife == 0 {
		c.AssertionLife = MaxAssertion
	}
	if c.AssertionLife < time.Second || c.AssertionLife > MaxAssertion {
		return fmt.Errorf("an assertion lives between 1 s and %v, not %v", MaxAssertion, c.AssertionLife)
	}
	if c.Patience == 0 {
		c.Patience = 2 * time.Second
	}
	if c.Patience < 0 {
		return fmt.Errorf("the time for a decision is %v", c.Patience)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c.Limits.settle()
}

// protect lists the headers that a client must not send.
func (g *Guard) protect() error {
	g.protected = map[string]bool{spelled(AssertionHeader): true}
	for _, name := range detours {
		g.protected[name] = true
	}
	if g.config.Proxy != "" {
		method, target := g.config.Proxy.names()
		own := []string{method, target, SecretHeader}
		if c := g.config.ClientCertificate; c != nil {
			if err := c.check(); err != nil {
				return err
			}
			own = append(own, http.CanonicalHeaderKey(c.Header))
		}
		for _, name := range own {
			if name != "" {
				g.protected[spelled(name)] = true
				g.allowed = append(g.allowed, name)
			}
		}
	}
	for name, claim := range g.config.Identity {
		if identityClaims[claim] == nil {
			return fmt.Errorf("identity header %s: there is no claim %q to put into it: there are %s", name, claim, strings.Join(slices.Sorted(maps.Keys(identityClaims)), ", "))
		}
		if err := identityName(name); err != nil {
			return fmt.Errorf("identity header %q: %w", name, err)
		}
		if g.protected[spelled(name)] {
			return fmt.Errorf("identity header %s: it is taken, or given twice in two spellings", name)
		}
		g.protected[spelled(name)] = true
	}
	return nil
}

// identityName refuses names that HTTP gives a meaning.
func identityName(name string) error {
	if name == "" || strings.Trim(spelled(name), "-") == "" || textproto.CanonicalMIMEHeaderKey(name) != name || strings.ContainsAny(name, "_. ") {
		return errors.New("write it as Words-With-Hyphens")
	}
	low := spelled(name)
	for _, reserved := range []string{"host", "authorization", "dpop", "connection", "cookie", "date", "forwarded", "origin", "referer", "te", "trailer", "transfer-encoding", "upgrade", "via", "keep-alive", "expect", "range"} {
		if low == reserved {
			return errors.New("HTTP gives it another meaning")
		}
	}
	for _, prefix := range []string{"content-", "x-forwarded-", "proxy-", "seawall-", "accept", "if-", "sec-", "access-control-", "cache-"} {
		if strings.HasPrefix(low, prefix) {
			return errors.New("HTTP or the guard gives it another meaning")
		}
	}
	return nil
}

// visit is a request on its way through package validate.
type visit struct {
	method string
	where  path
	enter  func(*passed)
}

type visitKey struct{}

// passed is a request that may go to the API, and what the guard says about it.
type passed struct {
	token     *validate.Token // nil on a public route
	assertion string
	late      atomic.Bool // the request's body did not come in time
}

// admit judges one request, whose Method, RequestURI and Header are those that the API would get. It either calls enter
// or answers with a refusal: there is no third way, and no way to both.
func (g *Guard) admit(w http.ResponseWriter, r *http.Request, enter func(*passed)) {
	route, where, no := g.table.route(r.Method, r.RequestURI)
	if no != nil {
		no.write(w)
		return
	}
	v := &visit{r.Method, where, enter}
	if route.Public {
		g.pass(w, v, nil)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), visitKey{}, v), g.config.Patience)
	defer cancel()
	route.door.ServeHTTP(w, r.WithContext(ctx))
}

// door is what a route's tokens go through: package validate judges, challenges and refuses, and what is good arrives inside.
func (g *Guard) door(route *Route) http.Handler {
	return g.config.Validator.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, ok := r.Context().Value(visitKey{}).(*visit)
		token, known := validate.FromContext(r.Context())
		if !ok || !known {
			panic("a door without a visit") // shut refuses
		}
		g.pass(w, v, token)
	}), route.needs()...)
}

// pass vouches for a request and lets it in.
func (g *Guard) pass(w http.ResponseWriter, v *visit, token *validate.Token) {
	assertion, err := g.assert.assert(g.config.Now(), v.method, v.where.raw, token)
	if err != nil {
		g.config.Log.Error("signing an assertion", "cause", err.Error())
		broken.write(w)
		return
	}
	v.enter(&passed{token: token, assertion: assertion})
}

// identify sets what the API is told, and takes away whatever was there in its place.
func (g *Guard) identify(h http.Header, p *passed) {
	h.Set(AssertionHeader, p.assertion)
	for name, claim := range g.config.Identity {
		h.Del(name)
		if p.token == nil {
			continue
		}
		if value := identityClaims[claim](p.token); value != "" {
			h.Set(name, visible(value))
		}
	}
}

// visible percent-encodes what a header can't hold or a program between might change: everything but visible ASCII, and the
// percent sign itself. A single space between words stays.
func visible(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		inner := c == ' ' && i > 0 && i < len(s)-1 && s[i-1] != ' '
		if c > ' ' && c < 0x7f && c != '%' || inner {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// shut makes sure that a mistake of ours refuses. It must be deferred.
func (g *Guard) shut(w http.ResponseWriter) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler {
		panic(cause)
	}
	g.config.Log.Error("the guard panicked and refused the request", "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
	broken.write(w)
}

// JWKS is the document by which an API verifies assertions (RFC 7517 §5).
func (g *Guard) JWKS() []byte { return g.assert.jwks }
