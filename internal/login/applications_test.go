package login

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// application registers a client that people sign in to.
func (h *hall) application(id, name string) {
	h.t.Helper()
	_, err := h.store.CreateClient(h.t.Context(), "test", tenant.Client{Tenant: "acme", ID: id, Name: name, Type: tenant.SPA, DPoP: tenant.DPoPRequired,
		RedirectURIs: []string{"https://app.acme.example/cb"}, CreatedAt: h.clock()})
	if err != nil {
		h.t.Fatal(err)
	}
}

// allow has an application get a refresh family of whoever is signed in at a browser.
func (h *hall) allow(b *browser, client string, offline bool) tenant.Family {
	h.t.Helper()
	ctx := h.t.Context()
	s, err := h.door.Current(b.request("GET", "/account", nil), h.tenant("acme"))
	if err != nil {
		h.t.Fatal(err)
	}
	scope := oauth.Scope{"openid"}
	if _, err := h.store.SaveConsent(ctx, tenant.Consent{Tenant: "acme", Person: s.Person, Client: client}.With(scope, nil)); err != nil {
		h.t.Fatal(err)
	}
	hash := secret.Generate(secret.GrantCode, secret.Production).Hash()
	c := tenant.Code{Hash: hash, Tenant: "acme", Client: client, Person: s.Person, Session: s.Session, RedirectURI: "https://app.acme.example/cb", Challenge: strings.Repeat("c", 43),
		Scope: scope, SignedInAt: s.At, ACR: s.ACR, AMR: s.AMR, IssuedAt: h.clock()}
	if err := h.store.SaveCode(ctx, c); err != nil {
		h.t.Fatal(err)
	}
	f := tenant.Family{ID: tenant.NewFamilyID().String(), Tenant: "acme", Client: client, Person: s.Person, Session: s.Session, Offline: offline, Scope: scope, JKT: "k",
		SignedInAt: s.At, Current: hash, CreatedAt: h.clock(), Released: []tenant.Released{{JTI: client, ExpiresAt: h.clock().Add(time.Hour)}}}
	if _, err := h.store.RedeemCode(ctx, "acme", hash, tenant.Redemption{Family: &f}); err != nil {
		h.t.Fatal(err)
	}
	return h.family(f.ID)
}

func (h *hall) family(id string) tenant.Family {
	h.t.Helper()
	f, err := h.store.Family(h.t.Context(), "acme", id)
	if err != nil {
		h.t.Fatal(err)
	}
	return f
}

// owed lists the applications whose access tokens the ledger has yet to distrust.
func (h *hall) owed() (clients []string) {
	h.t.Helper()
	all, err := h.store.Owed(h.t.Context(), tenant.Owed{})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, o := range all {
		if o.Kind != tenant.DistrustToken || o.JTI != o.Client || !o.ByUser() {
			h.t.Errorf("owes %+v", o)
		}
		clients = append(clients, o.Client)
	}
	slices.Sort(clients)
	return clients
}

func (h *hall) suspend(f tenant.Family, why tenant.Suspicion) {
	h.t.Helper()
	if _, done, err := h.store.SuspendFamily(h.t.Context(), "acme", f.Person, f.ID, why); err != nil || !done {
		h.t.Fatal(done, err)
	}
}

func TestApplicationsOfAnAccount(t *testing.T) {
	settled := 0
	h := newHall(t, func(c *Config) { c.Settle = func(context.Context) { settled++ } })
	_, _, b := h.member("ada@acme.example")
	_, _, bob := h.member("bob@acme.example")
	if body := b.get("/account").body; !strings.Contains(body, "No application has access") {
		t.Error("the account doesn't say that there are none")
	}
	h.application("orders", "Orders <i>")
	h.application("mail", "Mail")
	orders, again, mail, theirs := h.allow(b, "orders", false), h.allow(b, "orders", false), h.allow(b, "mail", true), h.allow(bob, "orders", true)
	body := b.get("/account").body
	for _, want := range []string{"Orders &lt;i&gt;", "Mail", "Also when you are away", "2 devices", "1 device<", "Recognise you"} {
		if !strings.Contains(body, want) {
			t.Errorf("the account doesn't show %q", want)
		}
	}
	if strings.Contains(body, "On hold") || strings.Contains(body, `role="alert"`) {
		t.Error("the account warns of nothing")
	}

	// What is suspended is said, and goes on after a touch.
	h.suspend(mail, tenant.OtherKey)
	body = b.get("/account").body
	if !strings.Contains(body, "An application is on hold") || !strings.Contains(body, "with another key") || strings.Index(body, "Mail</h3>") > strings.Index(body, "Orders &lt;i&gt;</h3>") {
		t.Error("the account doesn't say that an application is on hold, or not first")
	}
	if bob.form("/account/applications/resume", "family", mail.ID); h.family(mail.ID).SuspendedAt.IsZero() {
		t.Error("somebody else let it go on")
	}
	h.acts = nil
	if a := b.form("/account/applications/resume", "family", mail.ID); a.status != http.StatusSeeOther || !h.family(mail.ID).SuspendedAt.IsZero() {
		t.Errorf("letting it go on: %d", a.status)
	}
	b.form("/account/applications/resume", "family", mail.ID) // again changes nothing
	if len(h.acts) != 1 || h.acts[0].Kind != RefreshResumed || h.acts[0].Client != "mail" || h.acts[0].Detail["family"] != mail.ID || h.acts[0].Detail["reason"] != "other-key" {
		t.Errorf("recorded %+v", h.acts)
	}
	h.suspend(mail, tenant.OlderGeneration)
	h.later(tenant.FreshTouch)
	if a := b.form("/account/applications/resume", "family", mail.ID); !strings.HasPrefix(a.header.Get("Location"), "/acme/signin?i=") || h.family(mail.ID).SuspendedAt.IsZero() {
		t.Errorf("without a fresh touch: %d %s", a.status, a.header.Get("Location"))
	}
	h.away = errors.New("away")
	if a := b.form("/account/applications/end", "client", "orders"); a.problem != "away" || !h.family(orders.ID).RevokedAt.IsZero() {
		t.Errorf("with the ledger away: %d %q", a.status, a.problem)
	}
	h.away, h.acts = nil, nil

	// Ending one ends all that it has of this person, at once.
	if a := b.form("/account/applications/end", "client", "orders"); a.status != http.StatusSeeOther {
		t.Errorf("ending: %d", a.status)
	}
	if h.family(orders.ID).RevokedAt.IsZero() || h.family(again.ID).RevokedAt.IsZero() || !h.family(mail.ID).RevokedAt.IsZero() || !h.family(theirs.ID).RevokedAt.IsZero() {
		t.Error("ended too little, or too much")
	}
	if _, err := h.store.Consent(t.Context(), "acme", orders.Person, "orders"); !errors.Is(err, tenant.ErrNotFound) {
		t.Errorf("the consent: %v", err)
	}
	if owed := h.owed(); !slices.Equal(owed, []string{"orders", "orders"}) || settled != 1 || len(h.acts) != 1 || h.acts[0].Kind != ConsentWithdrawn || h.acts[0].Client != "orders" {
		t.Errorf("owes %v, settled %d times, recorded %+v", owed, settled, h.acts)
	}
	h.allow(b, "orders", false)
	if a := b.form("/account/applications/end-all"); a.status != http.StatusSeeOther {
		t.Errorf("ending all: %d %q", a.status, a.problem)
	}
	if body := b.get("/account").body; !strings.Contains(body, "No application has access") {
		t.Error("not all ended")
	}
	h.acts = nil
	if a := b.form("/account/applications/end", "client", "mail"); a.status != http.StatusSeeOther || settled != 3 || len(h.acts) > 0 {
		t.Errorf("again, it waits for what is missing: %d, settled %d times, recorded %+v", a.status, settled, h.acts)
	}
	if owed := h.owed(); !slices.Equal(owed, []string{"mail", "orders", "orders", "orders"}) {
		t.Errorf("owes %v", owed)
	}
	if a := h.browser().form("/account/applications/end", "client", "orders"); a.problem != "over" || !h.family(theirs.ID).RevokedAt.IsZero() {
		t.Errorf("nobody ends an application: %d %q", a.status, a.problem)
	}
}

// TestEverySuspicionHasWords: nobody is left alone with the name of a reason.
func TestEverySuspicionHasWords(t *testing.T) {
	for _, why := range tenant.Suspicions() {
		if suspicions[why] == "" {
			t.Errorf("people are not told of %s", why)
		}
	}
}

// TestWhatAnApplicationMay: what was agreed to, as far as the client still has it.
func TestWhatAnApplicationMay(t *testing.T) {
	a := application{terms: map[string]oauth.Scope{}}
	a.allow("https://api.acme.example", oauth.Scope{"openid", "read"})
	a.allow("https://api.acme.example", oauth.Scope{"read", "delete"}) // the client may not delete any more
	a.allow("https://api.acme.example", oauth.Scope{"write"})
	a.allow("https://gone.acme.example", oauth.Scope{"read"})
	a.allow("", oauth.Scope{"openid", "profile"})
	a.settle(tenant.Client{APIs: []tenant.Access{{Audience: "https://api.acme.example", Scopes: oauth.Scope{"read", "write"}}, {Audience: "https://other.acme.example", Scopes: oauth.Scope{"read"}}}})
	if !a.KnowsName || len(a.APIs) != 1 || a.APIs[0].Audience != "https://api.acme.example" || !slices.Equal(a.APIs[0].Scopes, oauth.Scope{"read", "write"}) {
		t.Errorf("it may %+v, and knows the name: %v", a.APIs, a.KnowsName)
	}
}
