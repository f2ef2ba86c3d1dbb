// Package validatetest is an in-memory issuer for the tests of programs that use package validate.
//
// It makes real tokens with real signatures and, as a seawall issuer does, with real receipts and
// key statements under a ledger root of its own. Keys are random in each process, so nothing made
// here can pass anywhere else. A Defect spoils a token in one known way, and Issuer.Defects lists
// them with the code that each must be refused with:
//
//	issuer := validatetest.NewIssuer(validatetest.Config{})
//	v, err := validate.New(validate.Config{
//		Issuers:   []validate.Issuer{issuer.Trusted()},
//		Audiences: []string{"https://api.example"},
//		Now:       issuer.Clock().Now,
//	})
//	good := issuer.Token(validatetest.Claims{"aud": "https://api.example"})
//	bad := issuer.Token(validatetest.Claims{"aud": "https://api.example"}, validatetest.Expired)
package validatetest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"seawall/validate"
	"seawall/validate/internal/forge"
)

// Config describes an issuer. The zero value is a seawall issuer that signs with ES256.
type Config struct {
	// URL is the issuer's name. Default: https://issuer.invalid/test
	URL string

	// Algorithm of the active key. Default: ES256.
	Algorithm validate.Alg

	// Foreign makes an issuer without ledger: no receipts, no statements.
	Foreign bool

	// Clock gives the time for iat, exp and receipts, and the windows of the keys are laid around
	// its time at the start. Default: a clock that shows the system's time.
	Clock *Clock
}

// Claims are a token's claims. Missing ones are filled in: iss, sub, iat, exp (ten minutes later),
// jti and client_id. A nil value leaves a claim out altogether.
type Claims map[string]any

// Issuer is an issuer in memory. It is safe for use by many goroutines.
type Issuer struct {
	url      string
	foreign  bool
	clock    *Clock
	ledger   *forge.Ledger
	other    *forge.Ledger // whose receipt key nobody has certified
	active   *forge.Key
	kinds    map[string]*forge.Key // a seawall issuer's keys for the other kinds of token
	expired  *forge.Key
	revoked  *forge.Key
	stranger *forge.Key // bound to another issuer, yet listed in this one's set
	unlisted *forge.Key
	keys     []byte
	entries  atomic.Uint64
}

const day = 24 * 60 * 60

// NewIssuer makes an issuer with random keys. The active key's window reaches from a day ago to 31
// days ahead, and it signs for 30 days.
func NewIssuer(c Config) *Issuer {
	if c.URL == "" {
		c.URL = "https://issuer.invalid/test"
	}
	if c.Algorithm == "" {
		c.Algorithm = validate.ES256
	}
	if c.Clock == nil {
		c.Clock = &Clock{}
	}
	now := c.Clock.Now().Unix()
	i := &Issuer{url: c.URL, foreign: c.Foreign, clock: c.Clock}
	i.ledger = forge.NewLedger(now-400*day, now+365*day)
	i.other = forge.NewLedger(now-400*day, now+365*day)
	i.active = i.newKey(c.Algorithm, "active", now-day, now+30*day, now+31*day)
	i.expired = i.newKey(validate.ES256, "expired", now-300*day, now-100*day, now-99*day)
	i.revoked = i.newKey(validate.ES256, "revoked", now-day, now+30*day, now+31*day)
	i.stranger = i.newKey(validate.ES256, "stranger", now-day, now+30*day, now+31*day)
	i.stranger.Issuer = "https://consumer.invalid"
	i.unlisted = i.newKey(validate.ES256, "unlisted", now-day, now+30*day, now+31*day)
	i.kinds = map[string]*forge.Key{}
	if !c.Foreign { // who signs everything with one key
		for _, typ := range []string{"JWT", "logout+jwt", "secevent+jwt"} {
			k := i.newKey(validate.ES256, "active-"+typ, now-day, now+30*day, now+31*day)
			k.Kinds = []string{typ}
			i.kinds[typ] = k
		}
	}
	i.keys = i.document()
	return i
}

func (i *Issuer) newKey(alg validate.Alg, id string, nbf, ends, exp int64) *forge.Key {
	k := forge.NewKey(string(alg), id)
	k.Issuer, k.Kinds = i.url, []string{"at+jwt"}
	k.NotBefore, k.SigningEnds, k.Expires = nbf, ends, exp
	return k
}

func (i *Issuer) document() []byte {
	jwk := i.ledger.JWK
	ledger := i.ledger.Document()
	if i.foreign {
		jwk, ledger = (*forge.Key).JWK, nil
	}
	revoked := jwk(i.revoked)
	revoked["revoked"] = map[string]any{"reason": "test"}
	keys := []map[string]any{jwk(i.active), jwk(i.expired), jwk(i.stranger), revoked}
	for _, typ := range slices.Sorted(maps.Keys(i.kinds)) {
		keys = append(keys, jwk(i.kinds[typ]))
	}
	return forge.Set(ledger, keys...)
}

// URL is the issuer's name, as in iss.
func (i *Issuer) URL() string { return i.url }

// Pin is the fingerprint of the issuer's ledger root. A foreign issuer's pin means nothing.
func (i *Issuer) Pin() string { return i.ledger.Pin() }

// Clock is the issuer's clock; give its Now to the validator too.
func (i *Issuer) Clock() *Clock { return i.clock }

// Keys is the issuer's key document, as it would be served at {URL}/jwks.
func (i *Issuer) Keys() []byte { return append([]byte(nil), i.keys...) }

// Trusted gives the issuer for a validate.Config, with its keys at hand.
func (i *Issuer) Trusted() validate.Issuer {
	if i.foreign {
		return validate.ForeignIssuer(validate.ForeignConfig{Issuer: i.url, Keys: validate.StaticKeys(i.keys)})
	}
	return validate.SeawallIssuer(i.url, i.Pin()).WithKeys(validate.StaticKeys(i.keys))
}

// Token makes an access token. Defects, if any, are applied in order.
func (i *Issuer) Token(c Claims, defects ...Defect) string {
	now := i.clock.Now().Unix()
	return i.issue("at+jwt", Claims{"sub": "someone", "exp": now + 600, "jti": rand.Text(), "client_id": "test"}, c, defects)
}

// IDToken makes an ID token of type JWT (OIDC Core §2). aud, the client's id, and nonce are up to you.
func (i *Issuer) IDToken(c Claims, defects ...Defect) string {
	now := i.clock.Now().Unix()
	return i.issue("JWT", Claims{"sub": "someone", "exp": now + 600, "auth_time": now}, c, defects)
}

// LogoutToken makes a logout token (OIDC Back-Channel Logout §2.4). aud is up to you.
func (i *Issuer) LogoutToken(c Claims, defects ...Defect) string {
	events := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	return i.issue("logout+jwt", Claims{"sub": "someone", "exp": i.clock.Now().Unix() + 120, "jti": rand.Text(), "events": events}, c, defects)
}

// SecurityEvent makes a security event token (RFC 8417) that says that a session was revoked. aud is
// up to you.
func (i *Issuer) SecurityEvent(c Claims, defects ...Defect) string {
	events := map[string]any{"https://schemas.openid.net/secevent/caep/event-type/session-revoked": map[string]any{}}
	subject := map[string]any{"format": "iss_sub", "iss": i.url, "sub": "someone"}
	return i.issue("secevent+jwt", Claims{"jti": rand.Text(), "events": events, "sub_id": subject}, c, defects)
}

// issue makes a token of a type, of what such a token has, changed by claims and defects.
func (i *Issuer) issue(typ string, all, c Claims, defects []Defect) string {
	now := i.clock.Now()
	d := &draft{issuer: i, key: i.active, header: map[string]any{}, typ: typ, claims: all, ledger: i.ledger, receipt: now}
	if k := i.kinds[typ]; k != nil && !i.foreign {
		d.key = k
	}
	d.claims["iss"], d.claims["iat"] = i.url, now.Unix()
	maps.Copy(d.claims, c)
	for _, defect := range defects {
		defect.apply(d)
	}
	maps.DeleteFunc(d.claims, func(_ string, v any) bool { return v == nil })
	return d.token()
}

// Server is an Issuer that serves its key document and its distrust feed on a loopback address.
type Server struct {
	*Issuer
	feed     *Feed
	listener *httptest.Server
	end      func() // ends the streams of the feed
}

// NewServer starts a server; Config.URL is replaced by its address. Close it when done.
func NewServer(c Config) *Server {
	s := &Server{}
	s.listener = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	c.URL = "http://" + s.listener.Listener.Addr().String()
	s.Issuer = NewIssuer(c)
	s.feed = NewFeed(s.Issuer)
	streams, end := context.WithCancel(context.Background())
	s.end = end
	s.listener.Config.BaseContext = func(net.Listener) context.Context { return streams }
	s.listener.Start()
	return s
}

// Feed is the issuer's distrust feed, which the server serves too.
func (s *Server) Feed() *Feed { return s.feed }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.clock.Now().UTC().Format(http.TimeFormat)) // the age of keys is reckoned from it
	switch r.URL.Path {
	case "/jwks":
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Write(s.Keys())
	case "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration":
		metadata := map[string]any{"issuer": s.url, "jwks_uri": s.url + "/jwks"}
		if !s.foreign {
			metadata["seawall_ledger"] = s.Pin()
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(metadata)
	case "/distrust", "/distrust/events", "/distrust/changes":
		if s.foreign {
			http.NotFound(w, r)
			return
		}
		s.feed.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Trusted gives the issuer for a validate.Config, with its keys loaded over HTTP.
func (s *Server) Trusted() validate.Issuer {
	if s.foreign {
		return validate.ForeignIssuer(validate.ForeignConfig{Issuer: s.url, Keys: validate.RemoteKeys(s.url + "/jwks")})
	}
	return validate.SeawallIssuer(s.url, s.Pin())
}

// Close stops the server.
func (s *Server) Close() {
	s.end()
	s.listener.Close()
}

// Clock is a clock that tests can move. The zero Clock shows the system's time.
type Clock struct {
	mu     sync.Mutex
	offset time.Duration
	fixed  time.Time
}

// NewClock makes a clock that stands still at t until it is moved.
func NewClock(t time.Time) *Clock { return &Clock{fixed: t} }

// Now gives the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fixed.IsZero() {
		return time.Now().Add(c.offset)
	}
	return c.fixed.Add(c.offset)
}

// Advance moves the clock by d, which may be negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}
