package login

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/tenant"
)

func TestRecoveryIsSeenAndStopped(t *testing.T) {
	h := newHall(t, nil)
	p, _, b := h.member("ada@acme.example")
	if _, err := h.store.RequestRecovery(t.Context(), "acme", p.ID, "uid:7"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.get("/account").body, "A recovery of your account was asked for") {
		t.Error("the person doesn't hear of it")
	}
	if a := b.form("/account/recovery/stop"); a.status != http.StatusSeeOther {
		t.Errorf("stopping: %d", a.status)
	}
	if _, err := h.store.Recovery(t.Context(), "acme", p.ID); !errors.Is(err, tenant.ErrNotFound) {
		t.Errorf("after it was stopped: %v", err)
	}
}

// operator makes a person of the operators' tenant with a passkey.
func (h *hall) operator(login string, role tenant.Role) (tenant.Person, *authenticator, *browser) {
	h.t.Helper()
	if _, err := h.store.Tenant(h.t.Context(), tenant.Operators); errors.Is(err, tenant.ErrNotFound) {
		if _, err := h.store.CreateTenant(h.t.Context(), "test", tenant.Tenant{ID: tenant.Operators, Class: tenant.Production, Owner: tenant.Unnamed,
			Issuer: testBase + "/operators", CreatedAt: h.now}); err != nil {
			h.t.Fatal(err)
		}
	}
	p, err := h.store.CreatePerson(h.t.Context(), tenant.Person{Tenant: tenant.Operators, Login: login, Role: role, CreatedAt: h.clock()})
	if err != nil {
		h.t.Fatal(err)
	}
	b, auth := h.browser(), h.authenticator()
	b.tenant = tenant.Operators
	if a := b.enrol(h.link(p), auth); a.status != http.StatusOK {
		h.t.Fatalf("enrolling %s: %d %s", login, a.status, a.body)
	}
	return p, auth, b
}

// TestTwoAdministrators approve a recovery, each on their own page: with a fresh touch, never their own, never one above their
// role, never twice, and never with a passkey that was made for the occasion.
func TestTwoAdministrators(t *testing.T) {
	h := newHall(t, nil)
	owner, ownerKey, ownerAt := h.operator("owner", tenant.Owner)
	desk, deskKey, deskAt := h.operator("desk", tenant.HelpDesk)
	other, otherKey, otherAt := h.operator("other", tenant.Operator)
	_, auditorKey, auditorAt := h.operator("auditor", tenant.Auditor)
	ada, adaKey, adaAt := h.member("ada@acme.example")
	h.later(tenant.VoiceAge)
	for b, key := range map[*browser]*authenticator{ownerAt: ownerKey, deskAt: deskKey, otherAt: otherKey, auditorAt: auditorKey, adaAt: adaKey} {
		if a := b.signIn(key); a.status != http.StatusOK {
			t.Fatalf("signing in: %d %s", a.status, a.body)
		}
	}
	_, _, newAt := h.operator("new", tenant.Owner)
	ask := func(p tenant.Person, by string) {
		t.Helper()
		if _, err := h.store.RequestRecovery(t.Context(), p.Tenant, p.ID, by); err != nil {
			t.Fatal(err)
		}
	}
	approve := func(b *browser, p tenant.Person) bool {
		before, _ := h.store.Recovery(t.Context(), p.Tenant, p.ID)
		b.form("/account/recoveries/approve", "tenant", p.Tenant, "person", p.ID)
		r, err := h.store.Recovery(t.Context(), p.Tenant, p.ID)
		return err == nil && r != before
	}
	ask(ada, "uid:0")
	ask(owner, "uid:0")
	ask(desk, "person:"+owner.ID)
	for name, try := range map[string]func() bool{
		"themselves":                func() bool { return approve(adaAt, ada) },
		"an auditor":                func() bool { return approve(auditorAt, ada) },
		"a role below":              func() bool { return approve(deskAt, owner) },
		"an owner their own":        func() bool { return approve(ownerAt, owner) },
		"who asked for it":          func() bool { return approve(ownerAt, desk) },
		"one made for the occasion": func() bool { return approve(newAt, ada) },
	} {
		if try() {
			t.Errorf("it was approved by %s", name)
		}
	}
	if page := deskAt.get("/account").body; !strings.Contains(page, "ada@acme.example") || strings.Contains(page, ">owner<") {
		t.Error("the help desk doesn't see what waits for it, or sees more")
	}
	if page := otherAt.get("/account").body; !strings.Contains(page, "<dd>"+owner.Login+" · ") || strings.Contains(page, "person:") {
		t.Error("who asked for a recovery is not said by their login")
	}
	if !approve(deskAt, ada) {
		t.Error("the help desk can't approve")
	}
	if approve(deskAt, ada) {
		t.Error("one administrator approved twice")
	}
	if strings.Contains(deskAt.get("/account").body, "ada@acme.example") || strings.Contains(adaAt.get("/account").body, "A link can be made from") {
		t.Error("it waits for who has spoken, or doesn't wait any more")
	}
	if !approve(otherAt, ada) || !strings.Contains(adaAt.get("/account").body, "A link can be made from") {
		t.Error("the second can't approve, or the person doesn't see from when on")
	}
	var by []string
	for _, a := range h.acts {
		if a.Kind == RecoveryApproved && a.Person == ada.ID && a.Tenant == "acme" {
			by = append(by, a.By+" "+a.Detail["usable_from"])
		}
	}
	if want := []string{desk.ID + " ", other.ID + " " + h.clock().Add(tenant.RecoveryDelay).UTC().Format(time.RFC3339)}; !slices.Equal(by, want) {
		t.Errorf("recorded %q, want %q", by, want)
	}
	if _, err := h.store.CancelRecovery(t.Context(), "acme", ada.ID); err != nil {
		t.Fatal(err)
	}
	ask(ada, "uid:0")
	if h.later(tenant.FreshTouch); approve(deskAt, ada) {
		t.Error("it was approved without a fresh touch")
	}
}

// recovered makes the link of a recovery.
func (h *hall) recovered(p tenant.Person) string {
	h.t.Helper()
	one, _, _ := h.operator("one", tenant.Owner)
	two, _, _ := h.operator("two", tenant.Owner)
	h.later(tenant.VoiceAge)
	if _, err := h.store.RequestRecovery(h.t.Context(), p.Tenant, p.ID, "person:"+one.ID); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.store.ApproveRecovery(h.t.Context(), p.Tenant, p.ID, "person:"+two.ID); err != nil {
		h.t.Fatal(err)
	}
	h.later(tenant.RecoveryDelay)
	return h.link(p)
}

// TestARecoveryLeavesBehind: who comes back by a recovery has the account for themselves, and can take back what turns up.
func TestARecoveryLeavesBehind(t *testing.T) {
	h := newHall(t, nil)
	p, lost, thief := h.member("ada@acme.example")
	link := h.recovered(p)
	thief.signIn(lost) // a day later: whoever has the lost one is signed in
	before := len(h.kinds())
	b := h.browser()
	found := h.authenticator()
	if a := b.enrol(link, found); a.status != http.StatusOK || !b.signedIn() {
		t.Fatalf("enrolling: %d %s\n%s", a.status, a.body, h.log)
	}
	want := []string{"enrolment.used", "passkey.suspended", "session.ended", "passkey.added", "person.signed-in"}
	if got := h.kinds()[before:]; !slices.Equal(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
	if thief.signedIn() {
		t.Error("a session from before the recovery is open")
	}
	if a := thief.signIn(lost); a.problem != "refused" || thief.signedIn() {
		t.Errorf("the lost passkey: %d %q", a.status, a.problem)
	}
	if body := b.get("/account").body; !strings.Contains(body, "You were recovered with another passkey") || !strings.Contains(body, "/account/passkeys/restore") {
		t.Error("the account doesn't show what was left behind")
	}
	h.later(tenant.FreshTouch)
	if a := b.form("/account/passkeys/restore", "passkey", b64(lost.id)); !strings.HasPrefix(a.header.Get("Location"), "/acme/signin?i=") {
		t.Errorf("restoring without a fresh touch: %d %q", a.status, a.problem)
	}
	b.signIn(found)
	if a := b.form("/account/passkeys/restore", "passkey", b64(lost.id)); a.status != http.StatusSeeOther || !slices.Contains(h.kinds(), "passkey.restored") {
		t.Errorf("restoring: %d %q", a.status, a.problem)
	}
	if a := thief.signIn(lost); a.status != http.StatusOK {
		t.Errorf("a restored passkey: %d %q", a.status, a.problem)
	}
	copied := *lost
	copied.count = 1
	if a := h.browser().signIn(&copied); a.problem != "cloned" {
		t.Fatalf("a copy: %d %q", a.status, a.problem)
	}
	if a := b.form("/account/passkeys/restore", "passkey", b64(lost.id)); a.problem != "state" {
		t.Errorf("restoring one that there may be two of: %d %q", a.status, a.problem)
	}
}

// TestRecoveryOnTheSameAuthenticator: a security key that was found again makes a new passkey, although it has the old one.
func TestRecoveryOnTheSameAuthenticator(t *testing.T) {
	h := newHall(t, nil)
	p, key, b := h.member("ada@acme.example")
	o := options2(h.browser().post("/enrol/begin", map[string]any{"secret": h.recovered(p)}))
	if o["excludeCredentials"] != nil {
		t.Errorf("it may not: %v", o["excludeCredentials"])
	}
	b.signIn(key)
	if o := options2(b.post("/account/passkeys/begin", struct{}{})); o["excludeCredentials"] == nil {
		t.Error("an account gets two passkeys on one authenticator")
	}
}

// TestTouches: what changes passkeys wants a fresh touch, whoever has the cookie. Stopping a recovery doesn't: it is the safe
// way, and must be open to somebody whose passkeys are not at hand.
func TestTouches(t *testing.T) {
	h := newHall(t, nil)
	p, key, b := h.member("ada@acme.example")
	h.later(tenant.FreshTouch)
	for path, wants := range map[string]bool{"/account/passkeys/rename": true, "/account/passkeys/remove": true, "/account/passkeys/restore": true, "/account/recovery/stop": false} {
		if _, err := h.store.RequestRecovery(t.Context(), "acme", p.ID, "uid:7"); err != nil {
			t.Fatal(err)
		}
		a := b.form(path, "passkey", b64(key.id), "name", "trap")
		if asked := strings.HasPrefix(a.header.Get("Location"), "/acme/signin?i="); a.status != http.StatusSeeOther || asked != wants {
			t.Errorf("%s: %d to %q", path, a.status, a.header.Get("Location"))
		}
		if _, err := h.store.CancelRecovery(t.Context(), "acme", p.ID); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := h.store.Passkeys(t.Context(), "acme", p.ID)
	if err != nil || len(keys) != 1 || keys[0].Name != "laptop" {
		t.Errorf("a stolen cookie made %+v of the passkeys, %v", keys, err)
	}
}

// TestABreakGlassPrincipalIsLoud: whoever comes in by one is heard, and what it is given beforehand can't be copied about.
func TestABreakGlassPrincipalIsLoud(t *testing.T) {
	h := newHall(t, nil)
	glass, err := h.store.Person(t.Context(), "acme", "break-glass-1")
	if err != nil {
		t.Fatal(err)
	}
	link, b, key := h.link(glass), h.browser(), h.authenticator()
	key.flags |= flagBE | flagBS
	if a := b.enrol(link, key); a.problem != "tier" || len(h.kinds()) != 0 {
		t.Errorf("a synced passkey: %d %q, and %v are recorded", a.status, a.problem, h.kinds())
	}
	key = h.authenticator()
	heard := func() int { return strings.Count(h.log.String(), "a break-glass principal is signed in") }
	if a := b.enrol(link, key); a.status != http.StatusOK || heard() != 1 {
		t.Errorf("enrolling: %d %q, heard %d times", a.status, a.problem, heard())
	}
	if a := b.signIn(key); a.status != http.StatusOK || heard() != 2 {
		t.Errorf("signing in: %d %q, heard %d times", a.status, a.problem, heard())
	}
	h.member("ada@acme.example")
	if heard() != 2 {
		t.Error("a person is heard, too")
	}
}
