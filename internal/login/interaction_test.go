package login

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// asked lets the door ask somebody to sign in, and returns the page that they are sent to and its handle.
func (b *browser) asked(i tenant.Interaction) (where, handle string) {
	b.h.t.Helper()
	w := httptest.NewRecorder()
	if err := b.h.door.Ask(w, b.request("GET", "/authorize", nil), b.h.tenant(b.tenant), i); err != nil {
		b.h.t.Fatal(err)
	}
	where = strings.TrimPrefix(w.Header().Get("Location"), "/"+b.tenant)
	_, handle, _ = strings.Cut(where, "?i=")
	return where, handle
}

// TestInteractions: where somebody goes on is ours to say, once.
func TestInteractions(t *testing.T) {
	h := newHall(t, nil)
	_, auth, in := h.member("ada@acme.example")
	b := h.browser()
	where, i := b.asked(tenant.Interaction{Next: "/authorize/continue?request=7", Touched: "/authorize/continue?request=7&touched=1", LoginHint: `"><script>`})
	if page := b.get(where); page.status != http.StatusOK || !strings.Contains(page.body, "&#34;&gt;&lt;script&gt;") {
		t.Errorf("the page: %d", page.status)
	}
	if page := in.get(where); page.header.Get("Location") != "/acme/authorize/continue?request=7" {
		t.Errorf("who is signed in and is asked for no more goes to %d %s", page.status, page.header.Get("Location"))
	}
	if a := b.finishSignIn(i, auth.get(b.beginSignIn(i))); a.json["next"] != "/acme/authorize/continue?request=7&touched=1" { // and who touched for it to another place
		t.Errorf("it goes on to %v", a.json)
	}
	if a := b.post("/signin/begin", map[string]any{"i": i}); a.problem != "over" {
		t.Errorf("again: %d %q", a.status, a.problem)
	}
	// Who signs in with a passkey of their own choice, and shows what another was about to do, is signed in and goes nowhere with it.
	_, i = b.asked(tenant.Interaction{Next: "/authorize/continue?request=8", Person: "bob"})
	if a := b.finishSignIn(i, auth.get(b.beginSignIn(""))); a.json["next"] != "/acme/account" || !b.signedIn() {
		t.Errorf("with somebody else's it goes on to %d %s", a.status, a.body)
	}
	// Whatever else comes as an address of where to go on is none.
	for _, evil := range []string{"https://evil.example", "//evil.example", "/\\evil.example"} {
		if a := b.get("/signin?i=" + url.QueryEscape(evil) + "&next=" + url.QueryEscape(evil)); a.problem != "over" {
			t.Errorf("%s: %d %q", evil, a.status, a.problem)
		}
		if a := b.finishSignIn(evil, auth.get(b.beginSignIn(""))); a.json["next"] != "/acme/account" {
			t.Errorf("%s: it goes on to %v", evil, a.json)
		}
	}
}

// TestAnOldTouchIsNotEnough: prompt=login and max_age ask for a touch, whoever is signed in.
func TestAnOldTouchIsNotEnough(t *testing.T) {
	h := newHall(t, nil)
	p, auth, b := h.member("ada@acme.example")
	h.later(time.Minute)
	demand := tenant.Interaction{Next: "/authorize?x=1", After: h.clock().Add(999 * time.Microsecond)}
	if s, err := h.door.Current(b.request("GET", "/authorize", nil), h.tenant("acme")); err != nil || s.Meets(demand) || !s.Meets(tenant.Interaction{After: s.At}) || s.Meets(tenant.Interaction{Person: "bob"}) || !s.Meets(tenant.Interaction{Person: p.ID, ACR: "phr"}) {
		t.Errorf("the session is %+v, %v", s, err)
	}
	where, i := b.asked(demand)
	if page := b.get(where); page.status != http.StatusOK {
		t.Errorf("who is signed in is not asked to touch: %d %s", page.status, page.header.Get("Location"))
	}
	if a := b.finishSignIn(i, auth.get(b.beginSignIn(i))); a.json["next"] != "/acme/authorize?x=1" {
		t.Errorf("after a touch: %d %s", a.status, a.body)
	}
	if s, err := h.door.Current(b.request("GET", "/authorize", nil), h.tenant("acme")); err != nil || !s.Meets(demand) {
		t.Errorf("the session is %+v, %v", s, err)
	}
}

// TestATouchAgainOutlivesTheSession: who is signed out in the middle of a step-up signs in, and comes back to it.
func TestATouchAgainOutlivesTheSession(t *testing.T) {
	h := newHall(t, nil)
	_, auth, b := h.member("ada@acme.example")
	_, bobs, _ := h.member("bob@acme.example")
	h.later(tenant.FreshTouch)
	stepUp, _ := b.post("/account/passkeys/begin", struct{}{}).json["next"].(string)
	where := strings.TrimPrefix(stepUp, "/acme")
	_, i, _ := strings.Cut(where, "?i=")
	b.cookies = map[string]string{}
	if page := b.get(where); page.status != http.StatusOK || strings.Contains(page.body, "One more touch") || !strings.Contains(page.body, "Sign in to acme") {
		t.Errorf("the page is %d", page.status)
	}
	if a := b.finishSignIn(i, bobs.get(b.beginSignIn(i))); a.problem != "whose" || b.signedIn() {
		t.Errorf("with somebody else's passkey: %d %q", a.status, a.problem)
	}
	if a := b.finishSignIn(i, auth.get(b.beginSignIn(i))); a.json["next"] != "/acme/account" || !b.signedIn() {
		t.Errorf("signing in: %d %s", a.status, a.body)
	}
}

// TestACR: what an application asks for is demanded, and nothing else is called that.
func TestACR(t *testing.T) {
	h := newHall(t, nil)
	_, auth, b := h.member("ada@acme.example")
	for acr, want := range map[string]string{"phrh": "certified security key", "urn:example:gold": "doesn’t exist here"} {
		demand := tenant.Interaction{Next: "/authorize?x=1", Unmet: "/authorize?x=1&unmet", ACR: acr}
		where, i := b.asked(demand)
		if page := b.get(where); page.status != http.StatusOK || !b.signedIn() && strings.Contains(page.body, "on your account") || !strings.Contains(page.body, want) || !strings.Contains(page.body, `href="/acme/authorize?x=1&amp;unmet"`) {
			t.Errorf("%s: the page is %d and doesn't say so", acr, page.status)
		}
		if a := b.finishSignIn(i, auth.get(b.beginSignIn(i))); a.problem != "unmet" || a.json["next"] != nil || !b.signedIn() {
			t.Errorf("%s: any passkey: %d %s", acr, a.status, a.body)
		}
		if page := b.get(where); strings.Contains(page.body, "You have none on your account") != (acr == "phrh") {
			t.Errorf("%s: who has no such passkey is told\n%s", acr, page.body)
		}
		if s, err := h.door.Current(b.request("GET", "/authorize", nil), h.tenant("acme")); err != nil || s.ACR != "phr" || s.Meets(demand) {
			t.Errorf("%s: the session is %+v, %v", acr, s, err)
		}
		demand.Person = func() string {
			s, _ := h.door.Current(b.request("GET", "/", nil), h.tenant("acme"))
			return s.Person
		}()
		_, i = b.asked(demand)
		if a := b.post("/signin/begin", map[string]any{"i": i}); a.problem != "unmet" { // there is nothing to touch
			t.Errorf("%s: begin: %d %q", acr, a.status, a.problem)
		}
		if _, err := h.store.Interaction(t.Context(), "acme", secret.New(i).Hash()); err != nil {
			t.Errorf("%s: the interaction is gone, although nothing met it: %v", acr, err)
		}
	}
	where, i := b.asked(tenant.Interaction{Next: "/authorize?x=1", ACR: "phr", After: h.clock()})
	if page := b.get(where); strings.Contains(page.body, "The application asks for") {
		t.Error("every passkey proves phr, and the page warns")
	}
	if a := b.finishSignIn(i, auth.get(b.beginSignIn(i))); a.json["next"] != "/acme/authorize?x=1" {
		t.Errorf("phr: %d %s", a.status, a.body)
	}
}
