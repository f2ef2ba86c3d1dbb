package login

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"seawall/internal/look"
	"seawall/internal/secret"
	"seawall/internal/store"
	"seawall/internal/tenant"
)

// hall is a door with the real store behind it, and browsers in front.
type hall struct {
	t     testing.TB
	door  *Door
	store *store.Store
	dir   string
	base  string
	log   *bytes.Buffer

	mu      sync.Mutex
	now     time.Time
	acts    []Act
	refused []string
	away    error // of the ledger
	begun   limit
	strays  limit
	acted   limit
}

// limit is one that tests turn on.
type limit struct {
	busy  bool
	count int
}

func (l *limit) Wait(string, *http.Request, time.Time) time.Duration {
	if l.busy {
		return time.Second
	}
	return 0
}
func (l *limit) Failed(string, *http.Request, time.Time) { l.count++ }

func (h *hall) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hall) later(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (h *hall) record(_ context.Context, acts ...Act) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away != nil {
		return h.away
	}
	h.acts = append(h.acts, acts...)
	return nil
}

// kinds lists what was recorded.
func (h *hall) kinds() (list []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.acts {
		list = append(list, string(a.Kind))
	}
	return list
}

const testBase = "https://id.example"

func newHall(t testing.TB, change func(*Config)) *hall {
	t.Helper()
	h := &hall{t: t, base: testBase, log: new(bytes.Buffer), now: time.Now().Truncate(time.Millisecond), dir: t.TempDir()}
	h.open()
	t.Cleanup(func() { h.store.Close() })
	c := Config{Base: h.base, Store: h.store, Record: h.record, Begun: &h.begun, Strays: &h.strays, Acts: &h.acted, Now: h.clock, Log: slog.New(slog.NewTextHandler(h.log, nil)),
		Refused: func(tenantID, person, reason string) { h.refused = append(h.refused, reason) },
		Settle:  func(context.Context) {}}
	if change != nil {
		change(&c)
	}
	h.base = c.Base
	var err error
	if h.door, err = New(c); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"acme", "globex"} {
		_, err := h.store.CreateTenant(t.Context(), "test", tenant.Tenant{ID: id, Class: tenant.Production, Owner: "ops@acme.example",
			Contacts: []string{"a@acme.example", "b@acme.example"}, Issuer: "https://id.example/" + id, CreatedAt: h.now})
		if err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h *hall) open() {
	h.t.Helper()
	var err error
	if h.store, err = store.Open(h.t.Context(), filepath.Join(h.dir, "seawall.db"), store.Options{Now: h.clock}); err != nil {
		h.t.Fatal(err)
	}
}

// restart closes the store and opens it again, as a new process would.
func (h *hall) restart() {
	h.t.Helper()
	if err := h.store.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.open()
	c := h.door.Config
	c.Store = h.store
	var err error
	if h.door, err = New(c); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hall) tenant(id string) *tenant.Tenant {
	h.t.Helper()
	t, err := h.store.Tenant(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return &t
}

func (h *hall) person(login string) tenant.Person { return h.personOf("acme", login) }

func (h *hall) personOf(tenantID, login string) tenant.Person {
	h.t.Helper()
	p, err := h.store.CreatePerson(h.t.Context(), tenant.Person{Tenant: tenantID, Login: login, Name: "Ada <b>Lovelace</b>", CreatedAt: h.clock()})
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *hall) link(p tenant.Person) string {
	h.t.Helper()
	link := secret.Generate(secret.EnrolLink, secret.Production)
	_, err := h.store.IssueEnrolment(h.t.Context(), tenant.Enrolment{Hash: link.Hash(), Tenant: p.Tenant, Person: p.ID, IssuedBy: "uid:7", IssuedAt: h.clock(), ExpiresAt: h.clock().Add(tenant.EnrolmentLife)})
	if err != nil {
		h.t.Fatal(err)
	}
	return link.Reveal()
}

func (h *hall) authenticator() *authenticator { return newAuthenticator(h.t, h.base, "id.example") }

// browser is a browser with cookies.
type browser struct {
	h       *hall
	tenant  string
	cookies map[string]string
	header  http.Header // added to each request
	set     []*http.Cookie
}

func (h *hall) browser() *browser {
	return &browser{h: h, tenant: "acme", cookies: map[string]string{}, header: http.Header{"Sec-Fetch-Site": {"same-origin"}, "User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}}}
}

func (b *browser) request(method, path string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, b.h.base+"/"+b.tenant+path, body)
	r.RemoteAddr = "192.0.2.7:4711"
	for name, values := range b.header {
		r.Header[name] = values
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

// answer is what came back.
type answer struct {
	status  int
	header  http.Header
	body    string
	json    map[string]any
	problem string // its name
}

func (b *browser) do(r *http.Request) answer {
	b.h.t.Helper()
	w := httptest.NewRecorder()
	rest := strings.TrimPrefix(r.URL.Path, "/"+b.tenant)
	if !b.h.door.Owns(rest) {
		b.h.t.Fatalf("the door has no %s", rest)
	}
	b.h.door.Serve(w, r, b.h.tenant(b.tenant), rest)
	a := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
	b.set = w.Result().Cookies()
	for _, c := range b.set {
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	_ = json.Unmarshal(w.Body.Bytes(), &a.json)
	if a.status >= 400 {
		for _, p := range problems() {
			if words := look.Say(r, "problem."+p.name+".what"); p.status == a.status && (strings.Contains(a.body, words) || a.json["what"] == words) {
				a.problem = p.name
			}
		}
	}
	return a
}

func (b *browser) get(path string) answer { return b.do(b.request("GET", path, nil)) }

func (b *browser) post(path string, body any) answer {
	b.h.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		b.h.t.Fatal(err)
	}
	r := b.request("POST", path, bytes.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	return b.do(r)
}

func (b *browser) form(path string, pairs ...string) answer {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r := b.request("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

func options2(a answer) map[string]any { o, _ := a.json["options"].(map[string]any); return o }

// enrol goes through a link with an authenticator.
func (b *browser) enrol(link string, auth *authenticator) answer {
	b.h.t.Helper()
	begun := b.post("/enrol/begin", map[string]any{"secret": link})
	if begun.status != http.StatusOK {
		return begun
	}
	return b.post("/enrol/finish", map[string]any{"name": "laptop", "credential": auth.create(options2(begun))})
}

func (b *browser) beginSignIn(handle string) map[string]any {
	b.h.t.Helper()
	begun := b.post("/signin/begin", map[string]any{"i": handle})
	if begun.status != http.StatusOK {
		b.h.t.Fatalf("begin: %d %s\n%s", begun.status, begun.body, b.h.log)
	}
	return options2(begun)
}

func (b *browser) finishSignIn(handle string, credential map[string]any) answer {
	return b.post("/signin/finish", map[string]any{"i": handle, "credential": credential})
}

func (b *browser) signIn(auth *authenticator) answer {
	return b.finishSignIn("", auth.get(b.beginSignIn("")))
}

func (b *browser) signedIn() bool {
	b.h.t.Helper()
	_, err := b.h.door.Current(b.request("GET", "/account", nil), b.h.tenant(b.tenant))
	if err != nil && !errors.Is(err, ErrNobody) {
		b.h.t.Fatal(err)
	}
	return err == nil
}

// member enrols somebody and returns their authenticator and signed-in browser.
func (h *hall) member(login string) (tenant.Person, *authenticator, *browser) {
	h.t.Helper()
	p, auth, b := h.person(login), h.authenticator(), h.browser()
	if a := b.enrol(h.link(p), auth); a.status != http.StatusOK || a.json["next"] != "/acme/account" || !b.signedIn() {
		h.t.Fatalf("enrolling: %d %s\n%s", a.status, a.body, h.log)
	}
	return p, auth, b
}
