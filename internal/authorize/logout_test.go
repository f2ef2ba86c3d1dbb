package authorize

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"seawall/internal/login"
	"seawall/internal/look"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

const bye = "https://shop.example/bye"

// wish is a logout request.
func wish(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}

func (b *browser) signedIn() bool {
	_, err := b.h.door.Current(b.request("/account"), b.h.tenant("acme"))
	return err == nil
}

func TestLogoutAsksFirst(t *testing.T) {
	h := newPorch(t)
	p, b := h.member("ada")
	h.hinted["its-token"] = Hint{Subject: p.ID, Client: "shop"}
	in := b.get("/logout?" + wish("id_token_hint", "its-token", "post_logout_redirect_uri", bye, "state", "s&1").Encode())
	if strings.Contains(in.to.String(), "its-token") {
		t.Error("the ID token stays in the address")
	}
	page := b.follow(in)
	if !b.signedIn() || !strings.Contains(page.body, "Sign out of acme?") || !strings.Contains(page.body, "Shop asks for it.") || !strings.Contains(page.body, "Dr. ada") || !strings.Contains(page.body, "shop.example") {
		t.Fatalf("before anybody agreed: %d %v\n%s", page.status, page.to, page.body)
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https://shop.example;") {
		t.Errorf("the policy is %q", policy)
	}
	out := b.post("/logout", formOf(page))
	if out.to == nil || out.to.String() != bye+"?state=s%261" || b.signedIn() || len(h.ended) != 1 || h.ended[0].Kind != "session.ended" || h.ended[0].Person != p.ID {
		t.Errorf("after it: %d %v, ended %+v", out.status, out.to, h.ended)
	}
	if again := b.post("/logout", formOf(page)); again.to == nil || again.to.Host != "shop.example" {
		t.Errorf("twice: %d %v", again.status, again.to)
	}
	if strings.Contains(h.log.String(), "its-token") {
		t.Error("the ID token is in the log")
	}
}

func TestLogoutRefuses(t *testing.T) {
	h := newPorch(t)
	p, b := h.member("ada")
	h.hinted["its-token"] = Hint{Subject: p.ID, Client: "shop"}
	h.client(tenant.Client{ID: "gone", RedirectURIs: []string{callback}, LogoutURIs: []string{bye}})
	h.must(h.store.DisableClient(t.Context(), "test", "acme", "gone"))
	for name, c := range map[string]struct {
		q    url.Values
		says string
	}{
		"an address and nobody":     {wish("post_logout_redirect_uri", bye), "You were not signed out."},
		"an address and a false ID": {wish("post_logout_redirect_uri", bye, "id_token_hint", "made up"), "You were not signed out."},
		"another address":           {wish("post_logout_redirect_uri", "https://evil.example/", "client_id", "shop"), "You were not signed out."},
		"nearly the address":        {wish("post_logout_redirect_uri", bye+"/", "client_id", "shop"), "You were not signed out."},
		"a redirect URI":            {wish("post_logout_redirect_uri", callback, "client_id", "shop"), "You were not signed out."},
		"another's ID token":        {wish("post_logout_redirect_uri", bye, "client_id", "gone", "id_token_hint", "its-token"), "You were not signed out."},
		"a disabled client":         {wish("post_logout_redirect_uri", bye, "client_id", "gone"), "You were not signed out."},
		"an unknown client":         {wish("client_id", "nobody"), "not known here"},
		"twice":                     {url.Values{"state": {"a", "b"}}, "can’t be read"},
		"a long state":              {wish("state", strings.Repeat("s", maxState+1)), "can’t be read"},
		"a long address":            {wish("client_id", "shop", "post_logout_redirect_uri", bye+strings.Repeat("a", 600)), "can’t be read"},
	} {
		b.get("/logout?"+c.q.Encode()).shows(t, name, c.says)
		b.header.Set("Sec-Fetch-Site", "cross-site")
		b.post("/logout", c.q).shows(t, name+", posted", c.says)
		b.header.Set("Sec-Fetch-Site", "same-origin")
	}
	b.get("/logout?i="+challenge).shows(t, "no such request", "is over")
	b.get("/logout?i="+b.kept(b.ask())).shows(t, "a request for a code", "is over")
	if !b.signedIn() || len(h.ended) != 0 {
		t.Error("somebody was signed out")
	}
}

// TestNobodySignsOthersOut: neither another site's form, nor a form of another session, nor an ID token of somebody else.
func TestNobodySignsOthersOut(t *testing.T) {
	h := newPorch(t)
	p, b := h.member("ada")
	bob := h.person("bob")
	h.hinted["bobs"] = Hint{Subject: bob.ID, Client: "shop"}
	page := b.follow(b.get("/logout"))
	form := formOf(page)
	for _, site := range []string{"cross-site", "same-site"} {
		b.header.Set("Sec-Fetch-Site", site)
		b.post("/logout", form).shows(t, site, "came from another site")
	}
	b.header.Set("Sec-Fetch-Site", "same-origin")
	for name, wrong := range map[string]url.Values{"a made-up value": with(form, "form", challenge), "no value": with(form, "form", "")} {
		if out := b.post("/logout", wrong); out.to == nil || !strings.HasPrefix(b.below(out), "/logout?i=") {
			t.Errorf("%s: %d %v", name, out.status, out.to)
		}
	}
	other := b.follow(b.get("/logout?" + wish("id_token_hint", "bobs", "post_logout_redirect_uri", bye).Encode()))
	if !strings.Contains(other.body, "Nobody was signed out") || len(formOf(other)) != 0 || !strings.Contains(other.body, `href="`+bye+`"`) {
		t.Errorf("bob's ID token in ada's browser:\n%s", other.body)
	}
	// A form for bob's session, with a value that fits ada's, is still bob's.
	handle := strings.TrimPrefix(b.below(b.get("/logout?"+wish("id_token_hint", "bobs").Encode())), "/logout?i=")
	forged := url.Values{"i": {handle}, "form": {newForm(handle, h.door.FormToken(b.request("/logout"), h.tenant("acme")))}}
	if out := b.post("/logout", forged); out.to == nil || !strings.HasPrefix(b.below(out), "/logout?i=") {
		t.Errorf("bob's logout with ada's form: %d %v", out.status, out.to)
	}
	if !b.signedIn() || len(h.ended) != 0 {
		t.Fatal("ada was signed out")
	}
	b.touch(p, "phr") // signed in anew: the page before was another session's
	if out := b.post("/logout", form); out.to == nil || !strings.HasPrefix(b.below(out), "/logout?i=") || !b.signedIn() {
		t.Errorf("an old page: %d %v", out.status, out.to)
	}
	if out := b.post("/logout", formOf(b.follow(b.get("/logout")))); out.to == nil || b.below(out) != "/signed-out" || b.signedIn() {
		t.Errorf("without an application: %d %v", out.status, out.to)
	}
}

func newForm(h, session string) string { return handle{h}.form(session) }

// TestLogoutThatFails never looks like one that worked.
func TestLogoutThatFails(t *testing.T) {
	h := newPorch(t)
	_, b := h.member("ada")
	page := b.follow(b.get("/logout?" + wish("client_id", "shop", "post_logout_redirect_uri", bye).Encode()))
	h.away = errAway
	if out := b.post("/logout", formOf(page)); out.to != nil || out.status != http.StatusServiceUnavailable || !b.signedIn() {
		t.Errorf("without the ledger: %d %v", out.status, out.to)
	}
	h.away = nil
	if out := b.post("/logout", formOf(page)); out.to == nil || out.to.Host != "shop.example" || b.signedIn() {
		t.Errorf("tried again: %d %v", out.status, out.to)
	}
	// Who is signed out already goes on at once.
	gone := wish("client_id", "shop", "post_logout_redirect_uri", bye, "ui_locales", "de")
	if out := b.get("/logout?" + gone.Encode()); out.to == nil || out.to.String() != bye {
		t.Errorf("signed out already: %d %v", out.status, out.to)
	}
	if out := b.follow(b.post("/logout", gone)); out.to == nil || out.to.String() != bye {
		t.Errorf("signed out already, posted: %d %v", out.status, out.to)
	}
	if out := b.get("/logout"); b.below(out) != "/signed-out" {
		t.Errorf("signed out already: %v", out.to)
	}
}

// TestEveryProblemHasWords: in each language, all three parts.
func TestEveryProblemHasWords(t *testing.T) {
	for _, p := range problems() {
		for _, part := range []string{"what", "means", "do"} {
			key := "problem." + p.Error() + "." + part
			if look.Say(httptest.NewRequest("GET", "/", nil), key) == key {
				t.Errorf("there are no words for %s", key)
			}
		}
	}
}

// TestForms: a form's value is of its request and its session alone.
func TestForms(t *testing.T) {
	one, other := newHandle(), newHandle()
	value := one.form("a")
	if one.fits(one.form(""), "") {
		t.Error("a form fits no session")
	}
	if !one.fits(value, "a") || one.fits(value, "b") || other.fits(value, "a") || one.fits("", "a") || one.fits(value+"x", "a") || len(value) != 43 {
		t.Error("a form's value fits more than it should, or not what it should")
	}
}

// TestFormsNeedTheCookie: who planted a request knows its handle, and a session's id is in every ID token. Both together
// make no form.
func TestFormsNeedTheCookie(t *testing.T) {
	h := newPorch(t)
	_, b := h.member("ada")
	who, err := h.door.Current(b.request("/account"), h.tenant("acme"))
	h.must(nil, err)
	handle := b.kept(b.ask())
	for _, known := range []string{who.Session, ""} {
		form := url.Values{"i": {handle}, "form": {newForm(handle, known)}, "decision": {"allow"}}
		if p := b.post("/consent", form); p.to == nil || !strings.HasPrefix(p.to.Path, "/acme/consent") {
			t.Errorf("a form made of what others know is taken: %d %v", p.status, p.to)
		}
	}
	ending := strings.TrimPrefix(b.below(b.get("/logout")), "/logout?i=")
	if p := b.post("/logout", url.Values{"i": {ending}, "form": {newForm(ending, who.Session)}}); !b.signedIn() {
		t.Errorf("a form made of what others know signs out: %d %v", p.status, p.to)
	}
}

// TestBackToANativeApplication: its scheme is registered, so the link leads there.
func TestBackToANativeApplication(t *testing.T) {
	h := newPorch(t)
	_, b := h.member("ada")
	h.client(tenant.Client{ID: "tool", Name: "Tool", Type: tenant.Native, RedirectURIs: []string{"com.example.tool:/cb"}, LogoutURIs: []string{"com.example.tool:/bye"}})
	h.hinted["bobs"] = Hint{Subject: h.person("bob").ID, Client: "tool"}
	page := b.follow(b.get("/logout?" + wish("id_token_hint", "bobs", "post_logout_redirect_uri", "com.example.tool:/bye", "state", `a"b`).Encode()))
	if !strings.Contains(page.body, `href="com.example.tool:/bye?state=a%22b"`) {
		t.Errorf("the way back is not there:\n%s", page.body)
	}
	b.get("/logout?"+wish("id_token_hint", "bobs", "post_logout_redirect_uri", "javascript:alert(1)").Encode()).shows(t, "a script", "You were not signed out.")
}

// FuzzEnding: whatever a logout request says, its person goes on at an address that was registered for it, or nowhere else
// than to us.
func FuzzEnding(f *testing.F) {
	for _, raw := range []string{"", "client_id=shop", wish("client_id", "shop", "post_logout_redirect_uri", bye, "state", "a&b").Encode(), wish("post_logout_redirect_uri", bye, "id_token_hint", "its-token").Encode(),
		wish("client_id", "shop", "post_logout_redirect_uri", bye+"#x").Encode(), wish("client_id", "shop", "post_logout_redirect_uri", "https://evil.example").Encode(), "state=%zz", "state=a&state=b", "ui_locales=de"} {
		f.Add(raw)
	}
	e := &Endpoint{Config: Config{Log: slog.New(slog.DiscardHandler), Store: &shelf{client: tenant.Client{ID: "shop", Tenant: "acme", Type: tenant.Web, LogoutURIs: []string{bye}}},
		Hint: func(_ context.Context, _ *tenant.Tenant, raw secret.Text) (Hint, bool) {
			return Hint{Subject: "ada", Client: "shop"}, raw.Reveal() == "its-token"
		}}}
	acme := &tenant.Tenant{ID: "acme", Issuer: testBase + "/acme"}
	f.Fuzz(func(t *testing.T, raw string) {
		v := &visit{httptest.NewRequest("GET", "/acme/logout", nil), httptest.NewRecorder(), acme, time.Now()}
		q, err := e.readEnding(v, raw)
		if err != nil {
			if page := login.Problem(nil); !errors.As(err, &page) || q != nil {
				t.Errorf("%q: %v is for nobody", raw, err)
			}
			return
		}
		where, err := url.Parse(q.url("/acme"))
		if err != nil || where.Host != "" && (where.Host != "shop.example" || where.Path != "/bye" || where.Fragment != "" || q.client == nil) || where.Host == "" && where.String() != "/acme/signed-out" {
			t.Errorf("%q leads to %v, %v", raw, where, err)
		}
		again, err := e.readEnding(v, q.query())
		if err != nil || again.url("/acme") != q.url("/acme") || strings.Contains(q.query(), "its-token") && !strings.Contains(raw, "state=") && !strings.Contains(raw, "locales=") {
			t.Errorf("%q is kept as %q: %+v, %v", raw, q.query(), again, err)
		}
	})
}
