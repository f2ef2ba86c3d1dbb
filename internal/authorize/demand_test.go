package authorize

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// TestTouchAfterTheRequest: prompt=login, select_account and a max_age that is over want a touch after the request, from
// whoever it then is, and the consent is theirs.
func TestTouchAfterTheRequest(t *testing.T) {
	for name, change := range map[string][]string{"login": {"prompt", "login"}, "select_account": {"prompt", "select_account"}, "max_age 0": {"max_age", "0"}, "max_age": {"max_age", "30"}} {
		h := newPorch(t)
		ada, b := h.member("ada")
		b.decide(b.follow(b.ask()), "allow")
		h.later(time.Minute)
		in := b.ask(change...)
		if !strings.HasPrefix(b.below(in), "/signin?") {
			t.Fatalf("%s: it leads to %v", name, in.to)
		}
		where := b.follow(in) // the page, because the touch is too old
		if where.to != nil {
			t.Fatalf("%s: the sign-in page takes the old touch", name)
		}
		kept := b.kept(in)
		if early := b.get("/consent?i=" + kept); early.to == nil || !strings.HasPrefix(b.below(early), "/signin?") {
			t.Errorf("%s: who goes on without a touch gets %d %v", name, early.status, early.to)
		}
		before := len(h.kinds())
		bob := h.person("bob")
		b.touch(bob, "phr") // somebody else
		page := b.follow(b.follow(in))
		if !strings.Contains(page.body, "Dr. bob") || len(h.kinds()) != before {
			t.Fatalf("%s: the consent of %s is taken for %s's: %d %v", name, ada.ID, bob.ID, page.status, page.to)
		}
		if code := h.code(b.decide(page, "allow")); code.Person != bob.ID {
			t.Errorf("%s: the code is for %s, want %s", name, code.Person, bob.ID)
		}
		if again := b.follow(b.follow(in)); again.status != http.StatusGone {
			t.Errorf("%s: a request is answered twice: %d %v", name, again.status, again.to)
		}
	}
}

// TestTouchedForIt: who touched for this very request has been told who asks, and is not asked once more what they agreed to; who
// touched for anything else is.
func TestTouchedForIt(t *testing.T) {
	for name, change := range map[string][]string{"login": {"prompt", "login"}, "max_age": {"max_age", "30"}, "all of it": {"prompt", "login consent"}, "more": {"prompt", "login", "scope", "openid profile"}} {
		h := newPorch(t)
		ada, b := h.member("ada")
		h.client(tenant.Client{ID: "tool", Name: "The tool", Type: tenant.Native, RedirectURIs: []string{"http://127.0.0.1/cb"}})
		request := []string{"client_id", "tool", "redirect_uri", "http://127.0.0.1:4711/cb", "scope", "openid"}
		b.decide(b.follow(b.ask(request...)), "allow")
		h.later(time.Minute)
		in := b.ask(append(request, change...)...)
		if page := b.follow(in); page.to != nil || !strings.Contains(page.body, "The tool") {
			t.Fatalf("%s: the page for the touch: %v\n%s", name, page.to, page.body)
		}
		kept := b.kept(in)
		i, err := h.store.Interaction(t.Context(), "acme", secret.New(in.to.Query().Get("i")).Hash())
		if h.must(i, err); i.Touched != "/consent?i="+kept+"&touched=1" {
			t.Fatalf("%s: who touches goes on to %q", name, i.Touched)
		}
		if early := b.get(i.Touched); early.to == nil || !strings.HasPrefix(b.below(early), "/signin?") {
			t.Errorf("%s: who says so without a touch: %d %v", name, early.status, early.to)
		}
		b.touch(ada, "phr") // for something else, in another tab
		if asked := b.follow(b.follow(in)); asked.to != nil || !strings.Contains(asked.body, "Continue to The tool?") {
			t.Errorf("%s: touched for something else: %d %v", name, asked.status, asked.to)
		}
		touched := b.get(i.Touched)
		if asks := strings.Contains(touched.body, "Continue to The tool?"); asks != (name == "all of it" || name == "more") {
			t.Errorf("%s: touched for it, and asked: %v: %v", name, asks, touched.to)
		} else if !asks {
			h.code(touched)
		}
	}
	// An earlier touch is none for a request that needs none.
	h := newPorch(t)
	_, b := h.member("ada")
	h.client(tenant.Client{ID: "tool", Type: tenant.Native, RedirectURIs: []string{"http://127.0.0.1/cb"}})
	request := []string{"client_id", "tool", "redirect_uri", "http://127.0.0.1:4711/cb", "scope", "openid"}
	b.decide(b.follow(b.ask(request...)), "allow")
	h.later(time.Second)
	if asked := b.get("/consent?i=" + b.kept(b.ask(request...)) + "&touched=1"); !strings.Contains(asked.body, "Continue to tool?") {
		t.Errorf("touched before: %d %v", asked.status, asked.to)
	}
}

// TestMaxAgeCountsUntilTheCode: neither who begins signed out nor who leaves a page open gets a code for a touch that is
// older, and nobody is asked without end.
func TestMaxAgeCountsUntilTheCode(t *testing.T) {
	h := newPorch(t)
	ada, b := h.member("ada")
	b.decide(b.follow(b.ask()), "allow")
	h.later(6 * time.Hour)
	session := b.cookies
	b.cookies = map[string]string{} // nobody
	in := b.ask("max_age", "60")
	b.cookies = session // and now who touched six hours ago
	if sign := b.follow(in); sign.to != nil || sign.status != http.StatusOK {
		t.Errorf("begun signed out, the old touch leads on: %d %v", sign.status, sign.to)
	}
	if on := b.get("/consent?i=" + b.kept(in)); on.to == nil || !strings.HasPrefix(b.below(on), "/signin?") {
		t.Errorf("begun signed out, who goes on without a touch gets %d %v", on.status, on.to)
	}
	b.touch(ada, "phr")
	h.code(b.follow(b.follow(in)))

	for _, age := range []string{"0", "60", "600"} {
		b.touch(ada, "phr")
		h.later(time.Second)
		in := b.ask("max_age", age, "prompt", "consent")
		if age == "0" {
			b.touch(ada, "phr")
			in = b.follow(in)
		}
		page := b.follow(in)
		h.later(29 * time.Minute)
		late := b.decide(page, "allow")
		if late.to == nil || late.to.Query().Has("code") {
			t.Fatalf("max_age=%s, a page left open: %d %v", age, late.status, late.to)
		}
		sign := b.follow(late)
		if !strings.HasPrefix(b.below(sign), "/signin?") || b.follow(sign).to != nil {
			t.Fatalf("max_age=%s, a page left open leads to %v", age, sign.to)
		}
		b.touch(ada, "phr")
		page = b.follow(b.follow(sign))
		h.later(20 * time.Second) // to read it
		h.code(b.decide(page, "allow"))
	}
	h.later(50 * time.Second)
	page := b.follow(b.ask("max_age", "120", "prompt", "consent"))
	h.later(40 * time.Second) // a touch before the request, and not too old yet
	h.code(b.decide(page, "allow"))
}

// TestWhoIsHinted: an ID token says who it must be (OpenID Connect Core §3.1.2.1), and nobody else gets the code.
func TestWhoIsHinted(t *testing.T) {
	h := newPorch(t)
	ada, b := h.person("ada"), h.browser()
	bob := h.person("bob")
	h.hinted["adas-token"], h.hinted["bobs-token"], h.hinted["portals-token"] = Hint{ada.ID, "shop"}, Hint{bob.ID, "shop"}, Hint{bob.ID, "portal"}
	b.touch(bob, "phr")
	b.decide(b.follow(b.ask()), "allow")

	// Each request comes by GET, and by a form of the application's, with which a browser sends no cookie.
	get := func(change ...string) page { return b.ask(change...) }
	post := func(change ...string) page {
		t.Helper()
		form := asking(change...)
		form.Set("client_secret", "no-secret-here")
		site := &browser{h: h, tenant: "acme", header: http.Header{"Sec-Fetch-Site": {"cross-site"}}}
		p := site.post("/authorize", form)
		if p.to == nil || p.to.Host != "" {
			return p
		}
		if strings.Contains(p.to.String(), "token") || strings.Contains(p.to.String(), "secret") {
			t.Errorf("what came in a body is in the address %v", p.to)
		}
		return b.follow(p)
	}
	for way, ask := range map[string]func(...string) page{"GET": get, "POST": post} {
		b.touch(bob, "phr")
		if code := h.code(ask("prompt", "none", "id_token_hint", "bobs-token", "acr_values", "phrh")); code.Person != bob.ID {
			t.Errorf("%s: bob's token gives a code for %s", way, code.Person)
		}
		ask("prompt", "none", "id_token_hint", "adas-token").wants(t, way+": ada's token, and bob", oauth.LoginRequired)
		ask("prompt", "none", "id_token_hint", "bobs-token", "scope", "openid profile offline_access").wants(t, way+": more than was agreed to", oauth.ConsentRequired)
		ask("prompt", "none", "id_token_hint", "made up").wants(t, way+": no token", oauth.InvalidRequest)
		ask("prompt", "none", "id_token_hint", "portals-token").wants(t, way+": another client's token", oauth.InvalidRequest)
		h.later(time.Minute)
		ask("prompt", "none", "id_token_hint", "bobs-token", "max_age", "30").wants(t, way+": an old touch", oauth.LoginRequired)

		in := ask("id_token_hint", "adas-token", "prompt", "consent")
		if !strings.HasPrefix(b.below(in), "/signin?") || b.follow(in).to != nil {
			t.Fatalf("%s: ada's token leads bob to %v", way, in.to)
		}
		handle := b.kept(in)
		b.touch(bob, "phr") // once more
		if still := b.get("/consent?i=" + handle); !strings.HasPrefix(b.below(still), "/signin?") {
			t.Errorf("%s: ada's token leads bob on to %v", way, still.to)
		}
		forged := url.Values{"i": {handle}, "form": {newForm(handle, h.door.FormToken(b.request("/consent"), h.tenant("acme")))}, "decision": {"allow"}}
		if p := b.post("/consent", forged); p.to == nil || p.to.Path != "/acme/consent" {
			t.Errorf("%s: bob agrees in ada's place: %d %v", way, p.status, p.to)
		}
		kept, err := h.store.Interaction(t.Context(), "acme", secret.New(handle).Hash())
		if err != nil || strings.Contains(kept.Next, "token") || strings.Contains(kept.Next, "secret") {
			t.Errorf("%s: %q is kept, %v", way, kept.Next, err)
		}
		b.touch(ada, "phr")
		page := b.follow(b.follow(in))
		if !strings.Contains(page.body, "Dr. ada") || strings.Contains(page.body, "other=1") {
			t.Errorf("%s: it must be ada, and the page says\n%s", way, page.body)
		}
		if code := h.code(b.decide(page, "allow")); code.Person != ada.ID {
			t.Errorf("%s: the code is for %s", way, code.Person)
		}
	}
	if strings.Contains(h.log.String(), "-token") {
		t.Error("an ID token is in the log")
	}
}
