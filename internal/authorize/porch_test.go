package authorize

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"seawall/internal/login"
	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/store"
	"seawall/internal/tenant"
)

const (
	testBase = "https://id.example"
	callback = "https://shop.example/cb"
	api      = "https://api.acme.example"
)

// porch is an endpoint with the real store and the real door behind it, and browsers in front. People touch no
// authenticator here: the store opens their sessions as it does when the door tells it to.
type porch struct {
	t        testing.TB
	endpoint *Endpoint
	door     *login.Door
	store    *store.Store
	log      *bytes.Buffer

	mu     sync.Mutex
	now    time.Time
	acts   []Act
	ended  []login.Act
	away   error // of the ledger
	busy   time.Duration
	counts int
	hinted map[string]Hint // by the text of an ID token

	tenants map[string]tenant.Tenant
}

// Wait and Failed make the porch a Limit that tests turn on.
func (h *porch) Wait(string, *http.Request, time.Time) time.Duration { return h.busy }
func (h *porch) Failed(string, *http.Request, time.Time)             { h.counts++ }

func (h *porch) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *porch) later(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func newPorch(t testing.TB) *porch {
	t.Helper()
	h := &porch{t: t, log: new(bytes.Buffer), now: time.Now().Truncate(time.Millisecond), hinted: map[string]Hint{}, tenants: map[string]tenant.Tenant{}}
	var err error
	if h.store, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "seawall.db"), store.Options{Now: h.clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.store.Close() })
	h.open()
	for _, id := range []string{"acme", "globex"} {
		h.must(h.store.CreateTenant(t.Context(), "test", tenant.Tenant{ID: id, Class: tenant.Development, Owner: "ops@acme.example",
			Contacts: []string{"a@acme.example", "b@acme.example"}, Issuer: testBase + "/" + id, CreatedAt: h.now}))
		h.must(h.store.CreateAPI(t.Context(), "test", tenant.API{Tenant: id, ID: "orders", Audience: api, SecretHash: secret.New("x" + id).Hash(), Scopes: oauth.Scope{"read", "write"}, CreatedAt: h.now}))
	}
	h.client(tenant.Client{ID: "shop", Name: "Shop", RedirectURIs: []string{callback}, LogoutURIs: []string{"https://shop.example/bye"}})
	return h
}

// open makes door and endpoint, as a process that starts does.
func (h *porch) open() {
	h.t.Helper()
	log := slog.New(slog.NewTextHandler(h.log, nil))
	var err error
	h.door, err = login.New(login.Config{Base: testBase, Store: h.store, Begun: h, Strays: h, Acts: h, Now: h.clock, Log: log, Refused: func(string, string, string) {},
		Settle: func(context.Context) {},
		Record: func(_ context.Context, acts ...login.Act) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.ended = append(h.ended, acts...)
			return h.away
		}})
	if err == nil {
		h.endpoint, err = New(Config{Base: testBase, Store: h.store, Door: h.door, Limit: h, Now: h.clock, Log: log,
			Record: func(_ context.Context, acts ...Act) error {
				h.mu.Lock()
				defer h.mu.Unlock()
				if h.away != nil {
					return h.away
				}
				h.acts = append(h.acts, acts...)
				return nil
			},
			Hint: func(_ context.Context, _ *tenant.Tenant, raw secret.Text) (Hint, bool) {
				hint, ok := h.hinted[raw.Reveal()]
				return hint, ok
			}})
	}
	h.must(nil, err)
}

func (h *porch) must(_ any, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// client registers a web client at acme, unless it says otherwise.
func (h *porch) client(c tenant.Client) {
	h.t.Helper()
	c.CreatedAt = h.now
	if c.Tenant == "" {
		c.Tenant = "acme"
	}
	if c.Type == "" {
		c.Type = tenant.Web
	}
	if !c.Type.Public() {
		c.Secrets = []tenant.Secret{{Hash: secret.New(rand.Text()).Hash(), CreatedAt: h.now}}
	}
	h.must(h.store.CreateClient(h.t.Context(), "test", c))
}

func (h *porch) tenant(id string) *tenant.Tenant {
	h.t.Helper()
	if t, err := h.store.Tenant(h.t.Context(), id); err == nil {
		h.tenants[id] = t
	}
	t := h.tenants[id] // as it was when there was a database
	return &t
}

// person makes a person of acme with a passkey.
func (h *porch) person(login string) tenant.Person {
	h.t.Helper()
	p, err := h.store.CreatePerson(h.t.Context(), tenant.Person{Tenant: "acme", Login: login, Name: "Dr. " + login, CreatedAt: h.now})
	h.must(nil, err)
	for _, hardware := range []bool{false, true} {
		h.must(h.store.AddPasskey(h.t.Context(), tenant.Passkey{Tenant: "acme", Person: p.ID, ID: keyOf(p, hardware), Name: "key", Key: []byte("k"), Flags: 0x05, CreatedAt: h.now, AAGUID: [16]byte{1}, Format: "packed", Attested: true, Hardware: hardware, Attestation: []byte("{}")}))
	}
	return p
}

func keyOf(p tenant.Person, hardware bool) []byte {
	if hardware {
		return []byte("hardware " + p.ID)
	}
	return []byte(p.ID)
}

// browser is a browser at acme.
type browser struct {
	h       *porch
	tenant  string
	cookies map[string]string
	header  http.Header
	host    string       // by which it asks; empty: ours
	extra   *http.Cookie // that somebody else has planted
}

func (h *porch) browser() *browser {
	return &browser{h: h, tenant: "acme", cookies: map[string]string{}, header: http.Header{"Sec-Fetch-Site": {"same-origin"}}}
}

// touch signs a person in, in place of whoever was signed in, as the door does after a ceremony.
func (b *browser) touch(p tenant.Person, acr string) {
	b.h.t.Helper()
	b.h.later(time.Second)
	var raw [32]byte
	_, _ = rand.Read(raw[:])
	value := secret.New(base64.RawURLEncoding.EncodeToString(raw[:]))
	used := tenant.Passkey{Tenant: "acme", Person: p.ID, ID: keyOf(p, acr == "phrh"), Flags: 0x05}
	session := tenant.Session{ID: strings.ToLower(rand.Text()), Hash: value.Hash(), Tenant: "acme", Person: p.ID, Passkey: used.ID, ACR: acr,
		AMR: []string{"mfa", "pop", "user"}, Device: "Firefox", Place: "192.0.2.7", At: b.h.clock(), SeenAt: b.h.clock()}
	var replaces secret.Hash
	if old := b.cookies[sessionCookie]; old != "" {
		replaces = secret.New(old).Hash()
	}
	if err := b.h.store.SignIn(b.h.t.Context(), session, used, replaces); err != nil {
		b.h.t.Fatal(err)
	}
	b.cookies[sessionCookie] = value.Reveal()
}

const sessionCookie = "__Host-seawall_session_acme"

// page is an answer.
type page struct {
	status int
	to     *url.URL // where it leads
	body   string
	header http.Header
}

func (b *browser) do(method, path, body string) page {
	b.h.t.Helper()
	r := httptest.NewRequest(method, testBase+"/"+b.tenant+path, strings.NewReader(body))
	maps.Copy(r.Header, b.header)
	if body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if b.host != "" {
		r.Host = b.host
	}
	b.addCookies(r)
	w := httptest.NewRecorder()
	rest := r.URL.Path[len("/"+b.tenant):]
	if b.h.endpoint.Owns(rest) {
		b.h.endpoint.Serve(w, r, b.h.tenant(b.tenant), rest)
	} else {
		b.h.door.Serve(w, r, b.h.tenant(b.tenant), rest)
	}
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	p := page{status: w.Code, body: w.Body.String(), header: w.Result().Header}
	if where := p.header.Get("Location"); where != "" {
		var err error
		if p.to, err = url.Parse(where); err != nil {
			b.h.t.Fatalf("it leads to %q", where)
		}
	}
	return p
}

func (b *browser) addCookies(r *http.Request) {
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	if b.extra != nil {
		r.AddCookie(b.extra)
	}
}

// request is a request of the browser's, for whoever wants to know who is signed in.
func (b *browser) request(path string) *http.Request {
	r := httptest.NewRequest("GET", testBase+"/"+b.tenant+path, nil)
	b.addCookies(r)
	return r
}

// kept returns the handle of the request that was kept when an answer led here.
func (b *browser) kept(p page) string {
	b.h.t.Helper()
	path := b.below(p)
	if handle, ok := strings.CutPrefix(path, "/signin?i="); ok {
		i, err := b.h.store.Interaction(b.h.t.Context(), b.tenant, secret.New(handle).Hash())
		b.h.must(nil, err)
		path = i.Next
	}
	handle, ok := strings.CutPrefix(path, "/consent?i=")
	if !ok {
		b.h.t.Fatalf("nothing is kept for %s", path)
	}
	return handle
}

func (b *browser) get(path string) page { b.h.t.Helper(); return b.do("GET", path, "") }
func (b *browser) post(path string, form url.Values) page {
	b.h.t.Helper()
	return b.do("POST", path, form.Encode())
}
func (b *browser) ask(change ...string) page {
	b.h.t.Helper()
	return b.get("/authorize?" + asking(change...).Encode())
}
func (b *browser) follow(p page) page { b.h.t.Helper(); return b.get(b.below(p)) }

// below is the path below the issuer that an answer leads to.
func (b *browser) below(p page) string {
	b.h.t.Helper()
	if p.to == nil || p.to.Host != "" || !strings.HasPrefix(p.to.Path, "/"+b.tenant+"/") {
		b.h.t.Fatalf("it leads nowhere at acme: %d %v\n%s\n%s", p.status, p.to, p.body, b.h.log)
	}
	return strings.TrimPrefix(p.to.RequestURI(), "/"+b.tenant)
}

var challenge = func() string {
	sum := sha256.Sum256([]byte("verifier"))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}()

// asking is a good authorization request, with pairs of names and values in the place of what it has; an empty value
// takes one out.
func asking(change ...string) url.Values {
	q := url.Values{"client_id": {"shop"}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid profile"}, "state": {"s t&ate"},
		"nonce": {"n-1"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"}}
	for i := 0; i < len(change); i += 2 {
		q.Del(change[i])
		if change[i+1] != "" {
			q.Set(change[i], change[i+1])
		}
	}
	return q
}

var hidden = regexp.MustCompile(`name="(i|form)" value="([^"]*)"`)

// formOf reads the form of a consent or logout page.
func formOf(p page) url.Values {
	v := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(p.body, -1) {
		v.Set(m[1], m[2])
	}
	return v
}

func with(v url.Values, name, value string) url.Values {
	c := maps.Clone(v)
	c.Set(name, value)
	return c
}

// decide answers the question of a consent page.
func (b *browser) decide(p page, decision string) page {
	b.h.t.Helper()
	form := formOf(p)
	if len(form) != 2 {
		b.h.t.Fatalf("that is no consent page: %d %v\n%s\n%s", p.status, p.to, p.body, b.h.log)
	}
	return b.post("/consent", with(form, "decision", decision))
}

// code returns the code that an answer carries to the client, as it was kept.
func (h *porch) code(p page) tenant.Code {
	h.t.Helper()
	if p.status != http.StatusSeeOther || p.to == nil || p.to.Query().Get("code") == "" {
		h.t.Fatalf("there is no code: %d %v\n%s\n%s", p.status, p.to, p.body, h.log)
	}
	c, err := h.store.Code(h.t.Context(), "acme", secret.New(p.to.Query().Get("code")).Hash())
	h.must(nil, err)
	return c
}

// wants checks that an answer goes to the client with an error and everything that belongs to it.
func (p page) wants(t testing.TB, name string, code oauth.Code) {
	t.Helper()
	if p.status != http.StatusSeeOther || p.to == nil {
		t.Errorf("%s: got %d and no redirect, want %s\n%s", name, p.status, code, p.body)
		return
	}
	q := p.to.Query()
	if p.to.Host != "shop.example" || p.to.Path != "/cb" || q.Get("error") != string(code) || q.Get("iss") != testBase+"/acme" || q.Has("code") || q.Get("error_description") == "" {
		t.Errorf("%s: got %v, want %s", name, p.to, code)
	}
}

// shows checks that an answer is a page about a problem, which leads nowhere.
func (p page) shows(t testing.TB, name, text string) {
	t.Helper()
	if p.to != nil || p.status < 400 || !strings.Contains(p.body, text) {
		t.Errorf("%s: got %d %v, want a page that says %q\n%s", name, p.status, p.to, text, p.body)
	}
}

func (h *porch) kinds() (list []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.acts {
		list = append(list, string(a.Kind))
	}
	return list
}

// member is a person who is signed in in a browser.
func (h *porch) member(login string) (tenant.Person, *browser) {
	h.t.Helper()
	p, b := h.person(login), h.browser()
	b.touch(p, "phr")
	return p, b
}

var errAway = errors.New("the ledger is away")
