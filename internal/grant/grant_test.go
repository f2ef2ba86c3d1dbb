package grant

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"seawall/internal/mint"
	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
	"seawall/internal/token"
)

var noon = time.Unix(1790000000, 0)

const (
	issuer = "https://id.example/acme"
	orders = "https://orders.acme.example"
	stock  = "https://stock.acme.example"
	gone   = "https://gone.acme.example"
)

// house is a token endpoint with everything behind it in memory.
type house struct {
	*Handler
	t        *testing.T
	tenant   *tenant.Tenant
	clients  map[string]*tenant.Client
	apis     []tenant.API
	mu       sync.Mutex
	now      time.Time
	cached   map[string]*Client
	stale    bool
	reads    int
	used     map[string]bool
	minted   []*mint.Request
	failures []string
	storeErr error
	mintErr  error
}

func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func api(t *testing.T, audience string, lifetime time.Duration, scopes ...string) tenant.API {
	a, err := tenant.NewAPI(tenant.API{Tenant: "acme", Audience: audience, SecretHash: secret.Hash{1}, Scopes: scopes, MaxLifetime: lifetime, CreatedAt: noon})
	return must(t, a, err)
}

func newHouse(t *testing.T) *house {
	acme, err := tenant.New(tenant.Tenant{ID: "acme", Class: tenant.Production, Owner: "o@acme.example", Contacts: []string{"a@acme.example", "b@acme.example"},
		Issuer: issuer, Claims: []string{"region"}, CreatedAt: noon})
	must(t, acme, err)
	h := &house{t: t, tenant: &acme, clients: map[string]*tenant.Client{}, now: noon, cached: map[string]*Client{}, used: map[string]bool{}}
	h.apis = []tenant.API{api(t, gone, 0, "read"), api(t, orders, 0, "admin", "read", "write"), api(t, stock, 2*time.Minute, "count", "read")}
	h.apis[0].DisabledAt = noon
	h.Handler = NewHandler(Config{Registry: h, Issuer: token.NewIssuer(h, h.clock), Failures: NewFailureLimit(50),
		OnFailure: h.note, Log: slog.New(slog.DiscardHandler), Now: h.clock})
	return h
}

func (h *house) note(tenant, client string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures = append(h.failures, tenant+"/"+client)
}

func (h *house) clock() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.now }

// client registers a client with a secret, which it returns.
func (h *house) client(c tenant.Client) secret.Text {
	given := secret.Generate(secret.ClientSecret, secret.Production)
	c.Tenant, c.CreatedAt = "acme", noon
	if c.Auth != oauth.PrivateKeyJWT {
		c.Secrets = append(c.Secrets, tenant.Secret{Hash: given.Hash(), CreatedAt: noon})
	}
	if c.APIs == nil {
		c.APIs = []tenant.Access{{Audience: orders, Scopes: oauth.Scope{"read", "write"}}}
	}
	made, err := tenant.NewClient(c)
	must(h.t, made, err)
	h.clients[made.ID] = &made
	return given
}

func (h *house) Cached(_, id string) (*Client, bool) { return h.cached[id], !h.stale }

func (h *house) Client(_ context.Context, tenantID, id string) (*Client, error) {
	h.reads++
	if h.storeErr != nil {
		return nil, h.storeErr
	}
	c := h.clients[id]
	if c == nil || tenantID != "acme" {
		return nil, nil
	}
	return NewClient(h.tenant, c, h.apis), nil
}

func (h *house) ConsumeAssertion(_ context.Context, _, _, jti string, _ time.Time) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	won := !h.used[jti]
	h.used[jti] = true
	return won, nil
}

func (h *house) Mint(_ context.Context, q *mint.Request) ([]byte, error) {
	if h.mintErr != nil {
		return nil, h.mintErr
	}
	h.minted = append(h.minted, q)
	now := h.clock()
	tok := q.Token()
	tok.Alg, tok.KID, tok.IssuedAt, tok.Expires = "ES256", "k1", now.Unix(), now.Unix()+q.Lifetime
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	bare, payload := tok.Header(nil), tok.Payload(nil)
	receipt := mint.NewReceipt(key, mint.LedgerKeyID(key.Public().(ed25519.PublicKey)), 7, uint64(now.UnixMilli()), mint.TokenDigest(bare, payload))
	b64 := base64.RawURLEncoding
	return []byte(b64.EncodeToString(mint.WithReceipt(nil, bare, &receipt)) + "." + b64.EncodeToString(payload) + ".c2ln"), nil
}

func (h *house) MintBoth(ctx context.Context, first, second *mint.Request) (a, b []byte, err error) {
	if a, err = h.Mint(ctx, first); err != nil {
		return nil, nil, err
	}
	b, err = h.Mint(ctx, second)
	return a, b, err
}

// answer is what the client sees.
type answer struct {
	status           int
	header           http.Header
	Error            oauth.Code `json:"error"`
	ErrorDescription string     `json:"error_description"`
	AccessToken      string     `json:"access_token"`
	TokenType        string     `json:"token_type"`
	ExpiresIn        int64      `json:"expires_in"`
	Scope            string     `json:"scope"`
	raw              string
}

func (h *house) do(r *http.Request) answer {
	w := httptest.NewRecorder()
	h.Serve(w, r, h.tenant)
	a := answer{status: w.Code, header: w.Header(), raw: w.Body.String()}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		h.t.Fatalf("the answer is not JSON: %v", err)
	}
	return a
}

func request(body string, header ...string) *http.Request {
	r := httptest.NewRequest("POST", "/acme/token", strings.NewReader(body))
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func basic(id string, given secret.Text) []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(given.Reveal())))}
}

const cc = "grant_type=client_credentials"

func (a answer) wants(t *testing.T, name string, status int, code oauth.Code, part string) {
	t.Helper()
	if a.status != status || a.Error != code || !strings.Contains(a.ErrorDescription, part) {
		t.Errorf("%s: got %d %s %q, want %d %s %q", name, a.status, a.Error, a.ErrorDescription, status, code, part)
	}
	if a.AccessToken != "" {
		t.Errorf("%s: a token came with the error", name)
	}
}

func TestIssue(t *testing.T) {
	h := newHouse(t)
	given := h.client(tenant.Client{ID: "ci", Claims: map[string]string{"region": "eu"}})
	a := h.do(request(cc, basic("ci", given)...))
	if a.status != 200 || a.AccessToken == "" || a.TokenType != "Bearer" || a.ExpiresIn != 600 || a.Scope != "read write" {
		t.Fatalf("got %d %s", a.status, a.ErrorDescription)
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	q := h.minted[0]
	if q.Tenant != "acme" || q.Issuer != issuer || q.ClientID != "ci" || q.Subject != "ci" || len(q.Audience) != 1 || q.Audience[0] != orders ||
		q.Evidence == [32]byte{} || len(q.Custom) != 1 || q.Custom[0].Text != "eu" {
		t.Errorf("asked the signer for %+v", q)
	}
	hash := given.Hash()
	if q.Evidence == [32]byte(hash) {
		t.Error("the evidence is the very hash that the store keeps")
	}
}

func TestAuthentication(t *testing.T) {
	h := newHouse(t)
	given := h.client(tenant.Client{ID: "ci"})
	posted := h.client(tenant.Client{ID: "web", Auth: oauth.ClientSecretPost})
	off := h.client(tenant.Client{ID: "off"})
	h.clients["off"].DisabledAt = noon
	wrong := secret.Generate(secret.ClientSecret, secret.Production)
	post := func(id string, s secret.Text) string { return cc + "&client_id=" + id + "&client_secret=" + s.Reveal() }

	if a := h.do(request(cc+"&client_id=ci", basic("ci", given)...)); a.status != 200 {
		t.Errorf("Basic with the same client_id in the body: %d %s", a.status, a.ErrorDescription)
	}
	if a := h.do(request(post("web", posted))); a.status != 200 {
		t.Errorf("client_secret_post: %d %s", a.status, a.ErrorDescription)
	}
	escaped := base64.StdEncoding.EncodeToString([]byte("%63i:" + given.Reveal()[:3] + "%5F" + given.Reveal()[4:]))
	if a := h.do(request(cc, "Authorization", "basic "+escaped)); a.status != 200 {
		t.Errorf("percent-encoded Basic: %d %s", a.status, a.ErrorDescription)
	}
	two := basic("ci", given)
	cases := []struct {
		name   string
		r      *http.Request
		status int
		code   oauth.Code
		part   string
	}{
		{"nothing", request(cc), 401, oauth.InvalidClient, "did not authenticate"},
		{"client_id alone", request(cc + "&client_id=ci"), 401, oauth.InvalidClient, "authentication failed"},
		{"client_id alone of nobody", request(cc + "&client_id=nobody"), 401, oauth.InvalidClient, "authentication failed"},
		{"client_id alone of a client that is disabled", request(cc + "&client_id=off"), 401, oauth.InvalidClient, "authentication failed"},
		{"empty secret", request(cc + "&client_id=web&client_secret="), 401, oauth.InvalidClient, "did not authenticate"},
		{"wrong secret", request(cc, basic("ci", wrong)...), 401, oauth.InvalidClient, "authentication failed"},
		{"unknown client", request(cc, basic("nobody", wrong)...), 401, oauth.InvalidClient, "authentication failed"},
		{"another's secret", request(cc, basic("ci", posted)...), 401, oauth.InvalidClient, "authentication failed"},
		{"other case", request(cc, basic("CI", given)...), 401, oauth.InvalidClient, "authentication failed"},
		{"disabled", request(cc, basic("off", off)...), 401, oauth.InvalidClient, "is disabled"},
		{"disabled, wrong secret", request(cc, basic("off", wrong)...), 401, oauth.InvalidClient, "authentication failed"},
		{"post by a basic client", request(post("ci", given)), 401, oauth.InvalidClient, "registered for client_secret_basic and used client_secret_post"},
		{"basic by a post client", request(cc, basic("web", posted)...), 401, oauth.InvalidClient, "registered for client_secret_post and used client_secret_basic"},
		{"two methods", request(post("ci", given), basic("ci", given)...), 400, oauth.InvalidRequest, "more than one way"},
		{"two methods, one empty", request(cc+"&client_secret=", basic("ci", given)...), 400, oauth.InvalidRequest, "more than one way"},
		{"secret and assertion", request(post("web", posted) + "&client_assertion=x"), 400, oauth.InvalidRequest, "more than one way"},
		{"basic and assertion", request(cc+"&client_assertion_type=x", basic("ci", given)...), 400, oauth.InvalidRequest, "more than one way"},
		{"other client_id", request(cc+"&client_id=web", basic("ci", given)...), 400, oauth.InvalidRequest, "not the client that authenticates"},
		{"two headers", request(cc, append(two, two...)...), 400, oauth.InvalidRequest, "more than one Authorization"},
		{"bearer", request(cc, "Authorization", "Bearer abc"), 401, oauth.InvalidClient, "HTTP Basic"},
		{"no base64", request(cc, "Authorization", "Basic ci:secret"), 401, oauth.InvalidClient, "malformed"},
		{"no padding", request(cc, "Authorization", "Basic "+base64.RawStdEncoding.EncodeToString([]byte("ci:s"))), 401, oauth.InvalidClient, "malformed"},
		{"no colon", request(cc, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("ci"))), 401, oauth.InvalidClient, "malformed"},
		{"no id", request(cc, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(":x"))), 401, oauth.InvalidClient, "malformed"},
		{"bad escape", request(cc, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("ci%zz:x"))), 401, oauth.InvalidClient, "malformed"},
		{"control character", request(cc, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("ci\x00:x"))), 401, oauth.InvalidClient, "malformed"},
	}
	for _, c := range cases {
		a := h.do(c.r)
		a.wants(t, c.name, c.status, c.code, c.part)
		if c.status == 401 && a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: a 401 without a challenge", c.name)
		}
		for _, s := range []secret.Text{given, posted, off, wrong} {
			if strings.Contains(a.raw, s.Reveal()) {
				t.Errorf("%s: the answer repeats a secret", c.name)
			}
		}
	}
	if n := len(h.minted); n != 3 {
		t.Errorf("%d tokens were asked for, want 3", n)
	}
}

func TestRotatedSecrets(t *testing.T) {
	h := newHouse(t)
	before := secret.Generate(secret.ClientSecret, secret.Production)
	now := h.client(tenant.Client{ID: "ci", Secrets: []tenant.Secret{{Hash: before.Hash(), CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)}}})
	for _, s := range []secret.Text{before, now} {
		if a := h.do(request(cc, basic("ci", s)...)); a.status != 200 {
			t.Errorf("during the overlap: %d %s", a.status, a.ErrorDescription)
		}
	}
	if h.minted[0].Evidence == h.minted[1].Evidence {
		t.Error("the ledger can't tell which secret was used")
	}
	h.now = noon.Add(time.Hour)
	if a := h.do(request(cc, basic("ci", now)...)); a.status != 200 {
		t.Errorf("after the overlap: %d %s", a.status, a.ErrorDescription)
	}
	h.do(request(cc, basic("ci", before)...)).wants(t, "old secret", 401, oauth.InvalidClient, "authentication failed")
}

// TestMemoryLetsInAndTheStoreTurnsAway: see authenticate.
func TestMemoryLetsInAndTheStoreTurnsAway(t *testing.T) {
	h := newHouse(t)
	given := h.client(tenant.Client{ID: "ci"})
	h.cached["ci"], _ = h.Client(context.Background(), "acme", "ci")
	h.reads = 0
	if a := h.do(request(cc, basic("ci", given)...)); a.status != 200 || h.reads != 0 {
		t.Errorf("a known client: %d with %d reads, want 200 with none", a.status, h.reads)
	}
	h.do(request(cc, basic("ci", secret.New("wrong"))...))
	known := h.reads
	h.reads = 0
	h.do(request(cc, basic("nobody", secret.New("wrong"))...))
	if known != 1 || h.reads != 1 {
		t.Errorf("a wrong secret costs %d reads and an unknown client %d: outsiders could tell them apart", known, h.reads)
	}
	fresh := h.client(tenant.Client{ID: "ci"}) // the memory has the old secret
	if a := h.do(request(cc, basic("ci", fresh)...)); a.status != 200 {
		t.Errorf("a new secret does not work at once: %d", a.status)
	}
	h.stale = true
	h.do(request(cc, basic("ci", given)...)).wants(t, "old secret with stale memory", 401, oauth.InvalidClient, "authentication failed")
	delete(h.clients, "ci")
	h.do(request(cc, basic("ci", given)...)).wants(t, "removed client with stale memory", 401, oauth.InvalidClient, "authentication failed")
	h.stale, h.storeErr = false, errors.New("disk I/O error at /secret/path")
	a := h.do(request(cc, basic("other", given)...))
	a.wants(t, "broken store", 500, oauth.ServerError, "incident")
	if strings.Contains(a.raw, "disk") {
		t.Error("the cause reaches the client")
	}
}

func TestFailureLimit(t *testing.T) {
	h := newHouse(t)
	given := h.client(tenant.Client{ID: "ci"})
	h.cached["ci"], _ = h.Client(context.Background(), "acme", "ci")
	wrong := func(from string) answer {
		r := request(cc, basic("ci", secret.New("wrong"))...)
		r.RemoteAddr = from
		return h.do(r)
	}
	for i := range 50 {
		if a := wrong("192.0.2.7:1"); a.status != 401 {
			t.Fatalf("failure %d: %d", i+1, a.status)
		}
	}
	reads := h.reads
	a := wrong("192.0.2.7:2")
	a.wants(t, "failure 51", 429, oauth.TemporarilyUnavailable, "Too many")
	if after := a.header.Get("Retry-After"); after != "2" {
		t.Errorf("Retry-After is %q, want 2: one failure in 1.2 seconds", after)
	}
	r := request(cc, basic("nobody", secret.New("wrong"))...)
	h.do(r).wants(t, "unknown client", 429, oauth.TemporarilyUnavailable, "Too many")
	if h.reads != reads {
		t.Error("the store was asked although the limit was reached")
	}
	if a := h.do(request(cc, basic("ci", given)...)); a.status != 200 {
		t.Errorf("a good client is locked out by its neighbour: %d", a.status)
	}
	h.stale = true
	if a := h.do(request(cc, basic("ci", given)...)); a.status != 200 {
		t.Errorf("a good client is locked out once the memory is stale: %d", a.status)
	}
	h.stale = false
	if a := wrong("192.0.2.8:1"); a.status != 401 {
		t.Errorf("another address: %d", a.status)
	}
	h.now = noon.Add(2 * time.Second)
	if a := wrong("192.0.2.7:3"); a.status != 401 {
		t.Errorf("two seconds later: %d", a.status)
	}
	if n := len(h.failures); n != 52 || h.failures[0] != "acme/ci" {
		t.Errorf("%d failures were reported, first %v", n, h.failures[0])
	}
}

func TestFailureLimitSeesNetworks(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:1":              "192.0.2.7/32",
		"[::ffff:192.0.2.7]:1":     "192.0.2.7/32",
		"[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1":         "fe80::/64",
		"@":                        "invalid Prefix",
		"":                         "invalid Prefix",
	} {
		if got := network(remote).String(); got != want {
			t.Errorf("%q: got %s, want %s", remote, got, want)
		}
	}
}

func TestRequestLimit(t *testing.T) {
	h := newHouse(t)
	slow := h.client(tenant.Client{ID: "slow", RatePerSecond: 3})
	other := h.client(tenant.Client{ID: "other", RatePerSecond: 3})
	for range 3 {
		if a := h.do(request(cc, basic("slow", slow)...)); a.status != 200 {
			t.Fatalf("within the limit: %d", a.status)
		}
	}
	a := h.do(request(cc, basic("slow", slow)...))
	a.wants(t, "beyond the limit", 429, oauth.TemporarilyUnavailable, "Too many")
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
	if a := h.do(request(cc, basic("other", other)...)); a.status != 200 {
		t.Errorf("another client pays for it: %d", a.status)
	}
	for range 10 { // strangers can't use up what belongs to the client
		h.do(request(cc, basic("other", secret.New("wrong"))...))
	}
	if a := h.do(request(cc, basic("other", other)...)); a.status != 200 {
		t.Errorf("failed authentications count as the client's: %d", a.status)
	}
}

func TestLimiterStaysSmall(t *testing.T) {
	l := newLimiter[int]()
	for i := range maxLimited + 1000 {
		l.take(i, 1, 1, noon)
	}
	if n := len(l.buckets); n != maxLimited {
		t.Errorf("%d buckets, want %d", n, maxLimited)
	}
}

func TestTargetsAndScopes(t *testing.T) {
	h := newHouse(t)
	one := h.client(tenant.Client{ID: "one"})
	both := h.client(tenant.Client{ID: "both", APIs: []tenant.Access{{Audience: orders, Scopes: oauth.Scope{"read", "write"}}, {Audience: stock, Scopes: oauth.Scope{"count"}}, {Audience: gone, Scopes: oauth.Scope{"read"}}}})
	lost := h.client(tenant.Client{ID: "lost", APIs: []tenant.Access{{Audience: gone, Scopes: oauth.Scope{"read"}}}})
	o, s, g := "&resource="+url.QueryEscape(orders), "&resource="+url.QueryEscape(stock), "&resource="+url.QueryEscape(gone)
	good := []struct {
		name, body, id string
		secret         secret.Text
		audience       string
		scope          string
		lifetime       int64
	}{
		{"default", "", "one", one, orders, "read write", 600},
		{"named", o, "one", one, orders, "read write", 600},
		{"one scope", "&scope=read", "one", one, orders, "read", 600},
		{"order as asked", "&scope=write+read", "one", one, orders, "write read", 600},
		{"repeated scope", "&scope=read+read", "one", one, orders, "read", 600},
		{"empty parameters", "&scope=&resource=", "one", one, orders, "read write", 600},
		{"one of several", s, "both", both, stock, "count", 120},
		{"repeated resource", s + s, "both", both, stock, "count", 120},
		{"two", o + s, "both", both, orders + " " + stock, "write count", 120},
		{"two, explicit", o + s + "&scope=write+count", "both", both, orders + " " + stock, "write count", 120},
	}
	for _, c := range good {
		a := h.do(request(cc+c.body, basic(c.id, c.secret)...))
		if a.status != 200 {
			t.Errorf("%s: %d %s", c.name, a.status, a.ErrorDescription)
			continue
		}
		q := h.minted[len(h.minted)-1]
		if got := strings.Join(q.Audience, " "); got != c.audience || q.Scope != c.scope || a.Scope != c.scope || q.Lifetime != c.lifetime || a.ExpiresIn != c.lifetime {
			t.Errorf("%s: got %q %q %d, want %q %q %d", c.name, got, q.Scope, q.Lifetime, c.audience, c.scope, c.lifetime)
		}
	}
	bad := []struct {
		name, body, id string
		secret         secret.Text
		code           oauth.Code
		part           string
	}{
		{"which", "", "both", both, oauth.InvalidTarget, "more than one API"},
		{"none left", "", "lost", lost, oauth.InvalidTarget, "all are disabled"},
		{"disabled API", g, "both", both, oauth.InvalidTarget, "may not ask for this resource"},
		{"another's API", s, "one", one, oauth.InvalidTarget, "may not ask for this resource"},
		{"unregistered", "&resource=https%3A%2F%2Fevil.example", "one", one, oauth.InvalidTarget, "may not ask for this resource"},
		{"one good, one not", o + "&resource=https%3A%2F%2Fevil.example", "one", one, oauth.InvalidTarget, "may not ask for this resource"},
		{"other spelling", "&resource=" + url.QueryEscape(orders+"/"), "one", one, oauth.InvalidTarget, "may not ask for this resource"},
		{"relative", "&resource=orders", "one", one, oauth.InvalidTarget, "absolute URI"},
		{"fragment", "&resource=" + url.QueryEscape(orders+"#x"), "one", one, oauth.InvalidTarget, "fragment"},
		{"unregistered scope", "&scope=root", "one", one, oauth.InvalidScope, "may not ask for one of these scopes"},
		{"withheld scope", "&scope=admin", "one", one, oauth.InvalidScope, "may not ask for one of these scopes"},
		{"scope of the other API", o + "&scope=count", "both", both, oauth.InvalidScope, "may not ask for one of these scopes"},
		{"scope that the second API withholds", o + s + "&scope=read", "both", both, oauth.InvalidScope, "second resource"},
		{"malformed scope", "&scope=read++write", "one", one, oauth.InvalidScope, "malformed"},
	}
	before := len(h.minted)
	for _, c := range bad {
		h.do(request(cc+c.body, basic(c.id, c.secret)...)).wants(t, c.name, 400, c.code, c.part)
	}
	if len(h.minted) != before {
		t.Error("the signer was asked for something that was refused")
	}
}

func TestGrantTypes(t *testing.T) {
	h := newHouse(t)
	given := h.client(tenant.Client{ID: "ci"})
	h.do(request("scope=read", basic("ci", given)...)).wants(t, "missing", 400, oauth.InvalidRequest, "grant_type is missing")
	h.do(request("grant_type=password", basic("ci", given)...)).wants(t, "unknown", 400, oauth.UnsupportedGrantType, "not supported")
	h.do(request("grant_type=CLIENT_CREDENTIALS", basic("ci", given)...)).wants(t, "case", 400, oauth.UnsupportedGrantType, "not supported")
	h.clients["ci"].Grants = nil
	h.do(request(cc, basic("ci", given)...)).wants(t, "not registered", 400, oauth.UnauthorizedClient, "not registered")
	h.tenant.DisabledAt = noon
	h.do(request(cc, basic("ci", given)...)).wants(t, "disabled tenant", 400, oauth.UnauthorizedClient, "tenant is disabled")
}

func TestSignerAway(t *testing.T) {
	h := newHouse(t)
	given := h.client(tenant.Client{ID: "ci"})
	h.mintErr = mint.Refuse(mint.Unavailable, "the vault is restarting")
	a := h.do(request(cc, basic("ci", given)...))
	a.wants(t, "away", 503, oauth.TemporarilyUnavailable, "Try again")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	h.mintErr = mint.Refuse(mint.ClaimStandard, "sub")
	a = h.do(request(cc, basic("ci", given)...))
	a.wants(t, "refused", 500, oauth.ServerError, "incident")
	if strings.Contains(a.raw, "claim") {
		t.Error("the signer's reason reaches the client")
	}
}
