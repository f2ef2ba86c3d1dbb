package login

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"seawall/internal/tenant"
)

func TestPasskeysOfAnAccount(t *testing.T) {
	h := newHall(t, nil)
	p, first, b := h.member("ada@acme.example")
	handle := func(a *authenticator) string { return b64(a.id) }
	if a := b.form("/account/passkeys/remove", "passkey", handle(first)); a.problem != "state" {
		t.Errorf("removing the last: %d %q", a.status, a.problem)
	}
	second := h.authenticator()
	add := func(auth *authenticator) answer {
		begun := b.post("/account/passkeys/begin", struct{}{})
		if begun.json["next"] != nil {
			return begun
		}
		return b.post("/account/passkeys/finish", map[string]any{"name": "phone", "credential": auth.create(options2(begun))})
	}
	if a := add(second); a.status != http.StatusOK {
		t.Fatalf("adding: %d %s", a.status, a.body)
	}
	if a := add(second); a.problem != "exists" {
		t.Errorf("adding it again: %d %q", a.status, a.problem)
	}
	if a := b.form("/account/passkeys/rename", "passkey", handle(second), "name", "<b>phone</b>"); a.status != http.StatusSeeOther {
		t.Errorf("renaming: %d", a.status)
	}
	if body := b.get("/account").body; !strings.Contains(body, "&lt;b&gt;phone") || strings.Contains(body, "<b>phone") {
		t.Error("a name is not shown as text")
	}
	_, bobs, bob := h.member("bob@acme.example")
	for _, path := range []string{"/account/passkeys/rename", "/account/passkeys/remove"} {
		if a := bob.form(path, "passkey", handle(second), "name", "mine"); a.problem != "state" {
			t.Errorf("%s somebody else's: %d %q", path, a.status, a.problem)
		}
	}

	// Without a fresh touch, the account can be looked at and not changed.
	h.later(tenant.FreshTouch - time.Second)
	begun := b.post("/account/passkeys/begin", struct{}{})
	h.later(time.Second)
	if a := b.post("/account/passkeys/finish", map[string]any{"name": "late", "credential": h.authenticator().create(options2(begun))}); a.problem != "over" {
		t.Errorf("a ceremony that was begun while the touch was fresh: %d %q", a.status, a.problem)
	}
	third := add(h.authenticator())
	stepUp, _ := third.json["next"].(string)
	if !strings.HasPrefix(stepUp, "/acme/signin?i=") {
		t.Fatalf("adding without a fresh touch: %d %s", third.status, third.body)
	}
	if a := b.form("/account/passkeys/remove", "passkey", handle(first)); !strings.HasPrefix(a.header.Get("Location"), "/acme/signin?i=") {
		t.Errorf("removing without a fresh touch: %d %s", a.status, a.body)
	}
	u, _ := url.Parse(stepUp)
	i := u.Query().Get("i")
	if page := b.do(b.request("GET", "/signin?i="+i, nil)); !strings.Contains(page.body, "One more touch") {
		t.Error("the page doesn't say why")
	}
	if o := bob.beginSignIn(i); o["allowCredentials"] != nil { // it would tell Bob Ada's passkeys
		t.Errorf("somebody else is told %v", o["allowCredentials"])
	}
	if a := bob.finishSignIn(i, bobs.get(bob.beginSignIn(i))); a.problem != "whose" {
		t.Errorf("somebody else touches: %d %q", a.status, a.problem)
	}
	if a := b.finishSignIn(i, first.get(b.beginSignIn(i))); a.json["next"] != "/acme/account" {
		t.Fatalf("the touch: %d %s\n%s", a.status, a.body, h.log)
	}
	if a := b.form("/account/passkeys/remove", "passkey", handle(second)); a.status != http.StatusSeeOther {
		t.Errorf("removing: %d %q", a.status, a.problem)
	}
	if keys, err := h.store.Passkeys(t.Context(), "acme", p.ID); err != nil || len(keys) != 1 {
		t.Errorf("%d passkeys are left, %v", len(keys), err)
	}
}

// TestWhatAPasskeyEnds: the page says what ends with a passkey before it is removed, and then that ends, and nothing else.
func TestWhatAPasskeyEnds(t *testing.T) {
	h := newHall(t, nil)
	_, first, b := h.member("ada@acme.example")
	h.application("mail", "Mail & more")
	h.application("orders", "Orders")
	h.application("notes", "Notes")
	mail, orders := h.allow(b, "mail", true), h.allow(b, "orders", false)
	second := h.authenticator()
	if a := b.post("/account/passkeys/finish", map[string]any{"name": "phone", "credential": second.create(options2(b.post("/account/passkeys/begin", struct{}{})))}); a.status != http.StatusOK {
		t.Fatalf("adding: %d %s", a.status, a.body)
	}
	phone := h.browser()
	if a := phone.signIn(second); a.status != http.StatusOK {
		t.Fatalf("signing in: %d %s", a.status, a.body)
	}
	notes := h.allow(phone, "notes", true)
	// ends is what the page of a browser says that ends with a passkey.
	ends := func(b *browser, k *authenticator) string {
		t.Helper()
		_, form, _ := strings.Cut(b.get("/account").body, `/account/passkeys/remove" class="section">
          <input type="hidden" name="passkey" value="`+b64(k.id))
		form, _, _ = strings.Cut(form, "</form>")
		_, facts, _ := strings.Cut(form, "<dl")
		facts, _, _ = strings.Cut(facts, "</dl>")
		return strings.Join(strings.Fields(facts), " ")
	}
	for what, one := range map[string]struct {
		b    *browser
		k    *authenticator
		want string
	}{
		"this browser's":   {b, first, `class="facts"> <dt>Sessions</dt><dd>1 · this one too</dd> <dt>Access of</dt><dd>Mail &amp; more · Orders</dd>`},
		"the other's":      {b, second, `class="facts"> <dt>Sessions</dt><dd>1</dd> <dt>Access of</dt><dd>Notes</dd>`},
		"seen from there":  {phone, first, `class="facts"> <dt>Sessions</dt><dd>1</dd> <dt>Access of</dt><dd>Mail &amp; more · Orders</dd>`},
		"its own, as well": {phone, second, `class="facts"> <dt>Sessions</dt><dd>1 · this one too</dd> <dt>Access of</dt><dd>Notes</dd>`},
	} {
		if got := ends(one.b, one.k); got != one.want {
			t.Errorf("%s: %s", what, got)
		}
	}
	b.form("/signout")
	if got := ends(phone, first); got != `class="facts"> <dt>Access of</dt><dd>Mail &amp; more</dd>` {
		t.Errorf("signed out there: %s", got)
	}
	if a := phone.form("/account/passkeys/remove", "passkey", b64(first.id)); a.status != http.StatusSeeOther {
		t.Fatalf("removing: %d %q", a.status, a.problem)
	}
	if h.family(mail.ID).RevokedAt.IsZero() || h.family(orders.ID).RevokedAt.IsZero() || !h.family(notes.ID).RevokedAt.IsZero() {
		t.Error("ended too little, or too much")
	}
}

// Looking at an account without being signed in must keep nothing: anybody may do it, as often as they like.
func TestNobodysAccountKeepsNothing(t *testing.T) {
	h := newHall(t, nil)
	if a := h.browser().get("/account"); a.status != http.StatusSeeOther || a.header.Get("Location") != "/acme/signin" {
		t.Errorf("%d to %q", a.status, a.header.Get("Location"))
	}
}

func TestSessionsOfAnAccount(t *testing.T) {
	h := newHall(t, nil)
	_, auth, b := h.member("ada@acme.example")
	phone, tablet := h.browser(), h.browser()
	phone.header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Mobile/15E148 Safari/604.1")
	phone.signIn(auth)
	tablet.signIn(auth)
	if body := b.get("/account").body; !strings.Contains(body, "Safari · iPhone") {
		t.Error("the account doesn't show the phone")
	}
	s, err := h.door.Current(phone.request("GET", "/account", nil), h.tenant("acme"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, bob := h.member("bob@acme.example")
	before := len(h.acts)
	bob.form("/account/sessions/end", "session", s.Session)
	if !phone.signedIn() || len(h.acts) > before {
		t.Errorf("somebody else ended it, or it is recorded: %v", h.acts[before:])
	}
	if b.form("/account/sessions/end", "session", s.Session); phone.signedIn() || !tablet.signedIn() {
		t.Error("ending one didn't end one")
	}
	if b.form("/account/sessions/end-all"); tablet.signedIn() || !b.signedIn() || !bob.signedIn() {
		t.Error("ending all others didn't")
	}
	if a := tablet.form("/account/sessions/end-all"); a.problem != "over" {
		t.Errorf("nobody ends sessions: %d %q", a.status, a.problem)
	}
}

// TestARaisedTier: what was registered when the tenant asked for less says honestly that it is not enough any more.
func TestARaisedTier(t *testing.T) {
	h := newHall(t, nil)
	p, bound, b := h.member("ada@acme.example")
	synced := h.authenticator()
	synced.flags |= flagBE | flagBS
	begun := b.post("/account/passkeys/begin", struct{}{})
	if a := b.post("/account/passkeys/finish", map[string]any{"name": "cloud", "credential": synced.create(options2(begun))}); a.status != http.StatusOK {
		t.Fatalf("adding: %d %s", a.status, a.body)
	}
	elsewhere := h.browser()
	elsewhere.signIn(synced)
	h.application("mail", "Mail")
	lesser, enough := h.allow(elsewhere, "mail", true), h.allow(b, "mail", true)
	if _, err := h.store.CompleteTenant(t.Context(), tenant.Tenant{ID: "acme", Passkeys: tenant.DeviceBound}); err != nil {
		t.Fatal(err)
	}
	if elsewhere.signedIn() || !b.signedIn() {
		t.Error("what the lesser passkey opened is still open, or what the other one opened is not")
	}
	if h.family(lesser.ID).Live(h.clock()) || !h.family(enough.ID).Live(h.clock()) {
		t.Error("an application that the lesser passkey let in is still in, or one that the other one let in is not")
	}
	if body := b.get("/account").body; !strings.Contains(body, "asks for more than the passkey proves that it began with") || strings.Contains(body, "/account/applications/resume") || strings.Contains(body, "An application is on hold") {
		t.Error("the account doesn't say why an application is on hold, or asks what it was")
	}
	told := len(h.acts)
	if a := b.form("/account/applications/resume", "family", lesser.ID); a.status != http.StatusSeeOther || h.family(lesser.ID).SuspendedAt.IsZero() || len(h.acts) != told {
		t.Errorf("letting it go on: %d, %+v", a.status, h.acts[told:])
	}
	before := len(h.kinds())
	if a := elsewhere.signIn(synced); a.problem != "lesser" || elsewhere.signedIn() {
		t.Errorf("the lesser one: %d %q", a.status, a.problem)
	}
	if len(h.kinds()) != before {
		t.Errorf("a refused sign-in recorded %v", h.kinds()[before:])
	}
	if body := b.get("/account").body; !strings.Contains(body, "Not enough") || strings.Count(body, "your only passkey that signs you in") != 1 {
		t.Error("the account doesn't say which passkey is not enough, and which is the last")
	}
	if a := elsewhere.signIn(bound); a.status != http.StatusOK {
		t.Errorf("the other one: %d %q", a.status, a.problem)
	}
	if a := b.form("/account/passkeys/remove", "passkey", b64(bound.id)); a.problem != "state" {
		t.Errorf("removing the last that signs them in: %d %q", a.status, a.problem)
	}
	if a := b.form("/account/passkeys/remove", "passkey", b64(synced.id)); a.status != http.StatusSeeOther {
		t.Errorf("removing the lesser one: %d %q", a.status, a.problem)
	}
	if keys, err := h.store.Passkeys(t.Context(), "acme", p.ID); err != nil || len(keys) != 1 {
		t.Errorf("%d passkeys are left, %v", len(keys), err)
	}
}
