package authorize

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/login"
	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

func TestFromRequestToCode(t *testing.T) {
	h := newPorch(t)
	p, b := h.person("ada"), h.browser()
	in := b.ask("login_hint", "ada") // nobody is signed in
	if in.to == nil || !strings.HasPrefix(b.below(in), "/signin?i=") || strings.Contains(in.to.String(), "shop") {
		t.Fatalf("a stranger is led to %v", in.to)
	}
	if sign := b.follow(in); sign.status != http.StatusOK || !strings.Contains(sign.body, `value="ada"`) || !strings.Contains(sign.body, "You go on to <strong>Shop</strong>") {
		t.Errorf("sign-in: %d\n%s", sign.status, sign.body)
	}
	b.touch(p, "phr")
	back := b.follow(in) // the sign-in page of who is signed in leads on
	if !strings.HasPrefix(b.below(back), "/consent?i=") {
		t.Fatalf("after signing in: %v", back.to)
	}
	page := b.follow(back)
	for _, want := range []string{"Continue to Shop?", "shop.example", "Dr. ada", "Recognise you", "See your name and login", "Until you sign out here, and up to 10 minutes longer. 7 days at most."} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page doesn't say %q", want)
		}
	}
	if strings.Contains(page.body, "when you are not here") || strings.Contains(page.body, "Act for you") {
		t.Error("the page says more than was asked for")
	}
	if len(h.kinds()) != 0 {
		t.Errorf("recorded before anybody agreed: %v", h.kinds())
	}
	out := b.decide(page, "allow")
	code := h.code(out)
	if got := out.to.Query(); out.to.Host != "shop.example" || got.Get("state") != "s t&ate" || got.Get("iss") != testBase+"/acme" || len(got) != 3 {
		t.Errorf("the answer is %v", out.to)
	}
	who, err := h.door.Current(b.request("/account"), h.tenant("acme"))
	if err != nil || code.Session != who.Session || !code.SignedInAt.Equal(who.At) {
		t.Errorf("the code is of session %s at %v, and that of %s is at %v, %v", code.Session, code.SignedInAt, who.Session, who.At, err)
	}
	if code.Client != "shop" || code.Person != p.ID || code.RedirectURI != callback || code.Challenge != challenge || code.Nonce != "n-1" ||
		code.Scope.String() != "openid profile" || len(code.Resources) != 0 || code.ACR != "phr" || code.ExpiresAt.Sub(code.IssuedAt) != time.Minute {
		t.Errorf("the code is %+v", code)
	}
	if got := h.kinds(); !slices.Equal(got, []string{"consent.given", "code.issued"}) {
		t.Errorf("recorded %v", got)
	}
	for _, a := range h.acts {
		if a.Person != p.ID || a.Client != "shop" || a.Tenant != "acme" || a.Detail["session"] != who.Session {
			t.Errorf("recorded %+v", a)
		}
	}
	if again := b.ask(); again.to.Query().Get("code") == "" {
		t.Errorf("what was agreed to is asked again: %v", again.to)
	}
	if strings.Contains(h.log.String(), secret.New(out.to.Query().Get("code")).Reveal()) {
		t.Error("the code is in the log")
	}
}

// TestNowhereToGo: while there is doubt about the client or about where its people go back to, nobody is sent anywhere.
func TestNowhereToGo(t *testing.T) {
	h := newPorch(t)
	_, b := h.member("ada")
	h.client(tenant.Client{ID: "gone", RedirectURIs: []string{callback}})
	h.must(h.store.DisableClient(t.Context(), "test", "acme", "gone"))
	h.client(tenant.Client{ID: "elsewhere", Tenant: "globex", RedirectURIs: []string{callback}})
	h.client(tenant.Client{ID: "service", Type: tenant.Service, APIs: []tenant.Access{{Audience: api}}})
	for name, id := range map[string]string{"none": "", "unknown": "hooli", "another tenant's": "elsewhere", "disabled": "gone", "a service": "service", "in capitals": "SHOP", "long": strings.Repeat("a", 64)} {
		b.ask("client_id", id).shows(t, name, "This application is not known here.")
	}
	for name, uri := range map[string]string{
		"none": "", "unknown": "https://evil.example/cb", "another path": "https://shop.example/cb/x", "another query": callback + "?x", "another case": "https://shop.example/CB",
		"a fragment": callback + "#", "user information": "https://shop.example@evil.example/cb", "a backslash": `https://shop.example\@evil.example/cb`,
		"a sibling": "https://shop.example.evil.example/cb", "plain http": "http://shop.example/cb", "a port": "https://shop.example:444/cb", "dots": "https://shop.example/x/../cb",
		"script": "javascript:alert(1)", "no scheme": "//shop.example/cb", "a path": "/acme/account", "long": callback + strings.Repeat("a", 1000), "escaped": "https://shop.example/%63b",
	} {
		b.ask("redirect_uri", uri).shows(t, name, "This link would lead you somewhere unknown.")
	}
	twice := asking()
	twice.Add("redirect_uri", "https://evil.example/cb")
	b.get("/authorize?"+twice.Encode()).shows(t, "two redirect URIs", "somewhere unknown")
	twice = asking()
	twice.Add("client_id", "shop")
	b.get("/authorize?"+twice.Encode()).shows(t, "two clients", "not known here")
	for name, raw := range map[string]string{"bad escapes": "client_id=shop&state=%zz", "semicolons": asking().Encode() + ";x=y", "control characters": asking("state", "a\r\nb").Encode(),
		"no UTF-8": asking().Encode() + "&x=%ff", "too long": asking("x", strings.Repeat("a", maxBody)).Encode(), "too many": asking().Encode() + many()} {
		b.get("/authorize?"+raw).shows(t, name, "can’t be read")
	}
	if got := b.do("HEAD", "/authorize?"+asking().Encode(), ""); got.status != http.StatusMethodNotAllowed || got.to != nil {
		t.Errorf("HEAD: %d %v", got.status, got.to)
	}
	if len(h.kinds()) != 0 {
		t.Errorf("recorded %v", h.kinds())
	}
	if log := h.log.String(); strings.Contains(log, "hooli") || strings.Contains(log, "evil") {
		t.Errorf("what strangers sent is in the log:\n%s", log)
	}
}

func many() string {
	var b strings.Builder
	for i := range maxParameters {
		b.WriteString("&p" + strings.Repeat("x", i) + "=1")
	}
	return b.String()
}

// TestFaultsGoToTheClient with the code of their standard, and never weaken what was asked for.
func TestFaultsGoToTheClient(t *testing.T) {
	h := newPorch(t)
	_, b := h.member("ada")
	b.decide(b.follow(b.ask()), "allow") // from here on a good request gets a code at once
	if good := b.ask(); good.to.Query().Get("code") == "" {
		t.Fatalf("a good request: %v", good.to)
	}
	h.client(tenant.Client{ID: "orders-app", RedirectURIs: []string{callback}, APIs: []tenant.Access{{Audience: api, Scopes: oauth.Scope{"read"}}}})
	for name, c := range map[string]struct {
		change []string
		code   oauth.Code
	}{
		"implicit":              {[]string{"response_type", "token"}, oauth.UnsupportedResponseType},
		"hybrid":                {[]string{"response_type", "code id_token"}, oauth.UnsupportedResponseType},
		"none":                  {[]string{"response_type", "none"}, oauth.UnsupportedResponseType},
		"no kind":               {[]string{"response_type", ""}, oauth.InvalidRequest},
		"fragment":              {[]string{"response_mode", "fragment"}, oauth.InvalidRequest},
		"form_post":             {[]string{"response_mode", "form_post"}, oauth.InvalidRequest},
		"no PKCE":               {[]string{"code_challenge", ""}, oauth.InvalidRequest},
		"no PKCE at all":        {[]string{"code_challenge", "", "code_challenge_method", ""}, oauth.InvalidRequest},
		"PKCE without a method": {[]string{"code_challenge_method", ""}, oauth.InvalidRequest},
		"plain PKCE":            {[]string{"code_challenge_method", "plain"}, oauth.InvalidRequest},
		"lower case":            {[]string{"code_challenge_method", "s256"}, oauth.InvalidRequest},
		"a short challenge":     {[]string{"code_challenge", challenge[1:]}, oauth.InvalidRequest},
		"a loose challenge":     {[]string{"code_challenge", strings.Repeat("a", 42) + "b"}, oauth.InvalidRequest}, // spare bits set
		"a verifier":            {[]string{"code_challenge", strings.Repeat("a", 128)}, oauth.InvalidRequest},
		"request object":        {[]string{"request", "e30.e30."}, oauth.RequestNotSupported},
		"request by reference":  {[]string{"request_uri", "https://evil.example/"}, oauth.RequestURINotSupported},
		"claims out of reach":   {[]string{"claims", `{"id_token":{"acr":{"essential":true,"values":["phrh"]}}}`}, oauth.UnmetAuthenticationRequirements},
		"claims about two":      {[]string{"claims", `{"userinfo":{"sub":{"value":"ada"}},"id_token":{"sub":{"value":"bob"}}}`}, oauth.InvalidRequest},
		"broken claims":         {[]string{"claims", "{"}, oauth.InvalidRequest},
		"claims without end":    {[]string{"claims", "{}" + strings.Repeat(" ", maxClaims)}, oauth.InvalidRequest},
		"unknown prompt":        {[]string{"prompt", "create"}, oauth.InvalidRequest},
		"none and login":        {[]string{"prompt", "none login"}, oauth.InvalidRequest},
		"negative age":          {[]string{"max_age", "-1"}, oauth.InvalidRequest},
		"broken age":            {[]string{"max_age", "1.5"}, oauth.InvalidRequest},
		"huge age":              {[]string{"max_age", "99999999999"}, oauth.InvalidRequest},
		"long nonce":            {[]string{"nonce", strings.Repeat("n", maxNonce+1)}, oauth.InvalidRequest},
		"a nonce of letters":    {[]string{"nonce", "é"}, oauth.InvalidRequest},
		"long hint":             {[]string{"login_hint", strings.Repeat("n", maxHint+1)}, oauth.InvalidRequest},
		"long acr":              {[]string{"acr_values", strings.Repeat("n", maxWords+1)}, oauth.InvalidRequest},
		"broken thumbprint":     {[]string{"dpop_jkt", "abc"}, oauth.InvalidRequest},
		"broken scope":          {[]string{"scope", "openid  profile"}, oauth.InvalidScope},
		"no scope":              {[]string{"scope", ""}, oauth.InvalidScope},
		"profile alone":         {[]string{"scope", "profile"}, oauth.InvalidScope},
		"an API's scope":        {[]string{"scope", "openid read"}, oauth.InvalidTarget}, // it is registered for no API
		"unknown scope":         {[]string{"client_id", "orders-app", "scope", "openid delete"}, oauth.InvalidScope},
		"a scope beyond":        {[]string{"client_id", "orders-app", "scope", "openid write"}, oauth.InvalidScope},
		"another resource":      {[]string{"client_id", "orders-app", "resource", "https://evil.example"}, oauth.InvalidTarget},
		"a broken resource":     {[]string{"client_id", "orders-app", "resource", "api"}, oauth.InvalidTarget},
		"a resource of nobody":  {[]string{"resource", api}, oauth.InvalidTarget},
	} {
		p := b.ask(c.change...)
		p.wants(t, name, c.code)
		if p.to != nil && p.to.Query().Get("state") != "s t&ate" {
			t.Errorf("%s: the state is %q", name, p.to.Query().Get("state"))
		}
	}
	for name := range asking("resource", "", "prompt", "login", "acr_values", "phr", "max_age", "1", "unknown", "x") {
		if name == "client_id" || name == "redirect_uri" {
			continue
		}
		twice := asking()
		twice.Del(name)
		twice[name] = []string{"code", "code"}
		b.get("/authorize?"+twice.Encode()).wants(t, name+" twice", oauth.InvalidRequest)
	}
	long := b.ask("state", strings.Repeat("s", maxState+1))
	long.wants(t, "a long state", oauth.InvalidRequest)
	if long.to.Query().Has("state") {
		t.Error("a state that was refused comes back")
	}
	b.get("/authorize?"+asking().Encode()+strings.Repeat("&resource=urn:a", maxResources+1)).wants(t, "many resources", oauth.InvalidTarget)
	h.must(h.store.DisableAPI(t.Context(), "test", "acme", "orders"))
	b.ask("client_id", "orders-app", "scope", "openid read").wants(t, "an API that is disabled", oauth.InvalidTarget)
}

// TestWishesDoNoHarm: libraries ask for claims of their own accord, and go on without them.
func TestWishesDoNoHarm(t *testing.T) {
	h := newPorch(t)
	_, b := h.member("ada")
	for _, claims := range []string{`{"id_token":{"signin_state":{"essential":false},"login_hint":null},"access_token":{"xms_cc":{"values":["CP1"]}}}`,
		`{"id_token":{"email":{"essential":true},"auth_time":{"essential":true},"acr":null},"userinfo":{"email":{"essential":true},"acr":{"essential":true,"value":"gold"}}}`} {
		h.code(b.decide(b.follow(b.ask("claims", claims, "prompt", "consent")), "allow"))
	}
}

// TestEachTenantAnswersForItself: an answer names its issuer (RFC 9207), whatever name it was asked by.
func TestEachTenantAnswersForItself(t *testing.T) {
	h := newPorch(t)
	_, b := h.member("ada")
	h.client(tenant.Client{ID: "shop", Tenant: "globex", RedirectURIs: []string{callback}})
	b.header.Set("X-Forwarded-Host", "evil.example")
	b.header.Set("Forwarded", "host=evil.example")
	b.host = "evil.example"
	out := b.decide(b.follow(b.ask()), "allow")
	if out.to.Query().Get("iss") != testBase+"/acme" {
		t.Errorf("acme answers as %v", out.to)
	}
	b.tenant = "globex"
	for _, p := range []page{b.ask("prompt", "none"), b.ask("response_type", "token")} {
		if p.to == nil || p.to.Query().Get("iss") != testBase+"/globex" || p.to.Query().Get("error") == "" {
			t.Errorf("globex answers with %v", p.to)
		}
	}
}

func TestPrompts(t *testing.T) {
	h := newPorch(t)
	stranger := h.browser()
	stranger.ask("prompt", "none").wants(t, "nobody", oauth.LoginRequired)
	p, b := h.member("ada")
	b.ask("prompt", "none").wants(t, "nothing agreed", oauth.ConsentRequired)
	b.decide(b.follow(b.ask()), "deny").wants(t, "no", oauth.AccessDenied)
	b.ask("prompt", "none").wants(t, "still nothing agreed", oauth.ConsentRequired)
	b.decide(b.follow(b.ask()), "allow")
	h.code(b.ask("prompt", "none"))
	b.ask("prompt", "none", "scope", "openid profile offline_access").wants(t, "more than was agreed", oauth.ConsentRequired)
	h.later(time.Minute)
	b.ask("prompt", "none", "max_age", "0").wants(t, "too old", oauth.LoginRequired)
	b.ask("prompt", "none", "max_age", "59").wants(t, "older than a minute", oauth.LoginRequired)
	h.code(b.ask("prompt", "none", "max_age", "3600"))
	if q := b.ask("prompt", "consent"); !strings.Contains(b.follow(q).body, "Continue to Shop?") {
		t.Error("prompt=consent does not ask")
	}
	// The organisation's own are not asked about, unless they want to.
	h.client(tenant.Client{ID: "portal", RedirectURIs: []string{callback}, Trusted: true})
	h.code(b.ask("client_id", "portal"))
	if q := b.ask("client_id", "portal", "prompt", "consent"); !strings.Contains(b.follow(q).body, "Continue to portal?") {
		t.Error("prompt=consent does not ask for a trusted client")
	}
	h.must(h.store.DisablePerson(t.Context(), "acme", p.ID))
	b.ask("prompt", "none").wants(t, "disabled", oauth.LoginRequired)
}

// TestWhoeverTookThePort: on a person's own device any program can pretend to be any other, so that they see what happens
// each time (RFC 8252 §8.6).
func TestWhoeverTookThePort(t *testing.T) {
	h := newPorch(t)
	_, b := h.member("ada")
	h.client(tenant.Client{ID: "tool", Type: tenant.Native, RedirectURIs: []string{"http://127.0.0.1/cb", "com.example.tool:/cb", "https://shop.example/cb"}})
	h.client(tenant.Client{ID: "single", Type: tenant.SPA, RedirectURIs: []string{"http://localhost:5173/", callback}})
	for name, c := range map[string]struct {
		client, redirect string
		asked            bool
	}{
		"a port": {"tool", "http://127.0.0.1:4711/cb", true}, "a scheme": {"tool", "com.example.tool:/cb", true}, "a claimed address": {"tool", callback, false},
		"a SPA under development": {"single", "http://localhost:5173/", true}, "a SPA": {"single", callback, false},
	} {
		b.decide(b.follow(b.ask("client_id", c.client, "redirect_uri", c.redirect, "prompt", "consent")), "allow")
		silent := b.ask("client_id", c.client, "redirect_uri", c.redirect, "prompt", "none")
		if got := silent.to.Query().Get("error"); (got == "consent_required") != c.asked {
			t.Errorf("%s, silently: %v", name, silent.to)
		}
		if again := b.ask("client_id", c.client, "redirect_uri", c.redirect); (again.to.Path == "/acme/consent") != c.asked {
			t.Errorf("%s, again: %v", name, again.to)
		}
	}
}

// TestACRSaysWhatHappened: never what was asked for.
func TestACRSaysWhatHappened(t *testing.T) {
	h := newPorch(t)
	p, b := h.member("ada")
	b.decide(b.follow(b.ask()), "allow")
	for _, wanted := range []string{"phr", "phrh", "phrh phr", "urn:mace:incommon:iap:silver", "1"} {
		if code := h.code(b.ask("acr_values", wanted)); code.ACR != "phr" {
			t.Errorf("acr_values=%s: the code says %s", wanted, code.ACR)
		}
	}
	// Where hardware can be proven, who asks for it makes us ask for it.
	h.must(h.store.CompleteTenant(t.Context(), tenant.Tenant{ID: "acme", Passkeys: tenant.Attested}))
	h.code(b.ask("acr_values", "phr"))
	h.code(b.ask("acr_values", "phrh phr"))
	if code := h.code(b.ask("acr_values", "phrh", "prompt", "none")); code.ACR != "phr" {
		t.Errorf("silently, the code says %s", code.ACR)
	}
	in := b.ask("acr_values", "phrh")
	sign := b.follow(in)
	if !strings.Contains(sign.body, "certified security key") || !strings.Contains(sign.body, "unmet=1") {
		t.Fatalf("no step up: %d %v\n%s", sign.status, sign.to, sign.body)
	}
	b.touch(p, "phr")
	if still := b.follow(in); still.to != nil {
		t.Errorf("less than was asked for is enough: %v", still.to)
	}
	if code := h.code(b.get("/consent?i=" + b.kept(in) + "&unmet=1")); code.ACR != "phr" {
		t.Errorf("without it, the code says %s", code.ACR)
	}
	in = b.ask("acr_values", "phrh")
	b.touch(p, "phrh")
	if code := h.code(b.follow(b.follow(in))); code.ACR != "phrh" {
		t.Errorf("with it, the code says %s", code.ACR)
	}
}

// TestConsentIsTheSessionsOwn: the form is good once, for the session that saw it, from our own page.
func TestConsentIsTheSessionsOwn(t *testing.T) {
	h := newPorch(t)
	_, b := h.member("ada")
	bob := h.person("bob")
	page := b.follow(b.ask())
	form := with(formOf(page), "decision", "allow")

	for name, site := range map[string]string{"another site": "cross-site", "a sibling": "same-site"} {
		b.header.Set("Sec-Fetch-Site", site)
		b.post("/consent", form).shows(t, name, "came from another site")
	}
	b.header.Del("Sec-Fetch-Site")
	b.header.Set("Origin", "https://evil.example")
	b.post("/consent", form).shows(t, "another origin", "came from another site")
	b.header = http.Header{"Sec-Fetch-Site": {"same-origin"}}

	for name, wrong := range map[string]url.Values{"no value": with(form, "form", ""), "a made-up value": with(form, "form", challenge), "another page's value": with(form, "form", formOf(b.follow(b.ask())).Get("form"))} {
		if p := b.post("/consent", wrong); p.to == nil || !strings.HasPrefix(b.below(p), "/consent?") {
			t.Errorf("%s: %d %v", name, p.status, p.to)
		}
	}
	b.post("/consent", with(form, "decision", "perhaps")).shows(t, "no decision", "could not read")
	b.post("/consent", with(form, "i", challenge)).shows(t, "no such request", "is over")
	b.header.Set("Content-Type", "text/plain")
	b.post("/consent", form).shows(t, "plain text", "could not read")
	b.header.Del("Content-Type")
	b.do("POST", "/consent", strings.Repeat("a", maxBody+1)).shows(t, "too long", "could not read")

	b.touch(bob, "phr") // in another tab
	swapped := b.post("/consent", form)
	if swapped.to == nil || !strings.HasPrefix(b.below(swapped), "/consent?") {
		t.Fatalf("ada's page counts for bob: %d %v", swapped.status, swapped.to)
	}
	if again := b.follow(swapped); !strings.Contains(again.body, "Dr. bob") || !strings.Contains(again.body, "Look once more") {
		t.Errorf("bob sees\n%s", again.body)
	}
	thief := h.browser() // has the page, and nobody's session
	if p := thief.post("/consent", form); p.to == nil || !strings.HasPrefix(thief.below(p), "/consent?") {
		t.Errorf("a stranger: %d %v", p.status, p.to)
	}
	if len(h.kinds()) != 0 {
		t.Fatalf("recorded %v", h.kinds())
	}
	if _, err := h.store.Consent(t.Context(), "acme", bob.ID, "shop"); err == nil {
		t.Error("bob has agreed to something")
	}
	now := b.follow(swapped)
	first, second := b.decide(now, "allow"), b.decide(now, "allow")
	if h.code(first).Person != bob.ID || second.status != http.StatusGone {
		t.Errorf("the form twice: %v and %d %v", first.to, second.status, second.to)
	}
}

// TestSessionFixation: a request that somebody else has begun is answered for who is signed in here, and to the client only;
// a session that somebody planted is none.
func TestSessionFixation(t *testing.T) {
	h := newPorch(t)
	_, mallory := h.member("mallory")
	planted := mallory.kept(mallory.ask())
	ada, b := h.member("ada")
	page := b.get("/consent?i=" + planted)
	if !strings.Contains(page.body, "Dr. ada") || strings.Contains(page.body, "mallory") {
		t.Fatalf("the page is for\n%s", page.body)
	}
	if p := mallory.post("/consent", with(formOf(page), "decision", "allow")); p.to == nil || !strings.HasPrefix(mallory.below(p), "/consent?") {
		t.Errorf("ada's page in mallory's browser: %d %v", p.status, p.to)
	}
	if code := h.code(b.decide(page, "allow")); code.Person != ada.ID {
		t.Errorf("the code is for %s", code.Person)
	}
	// A sibling domain can plant a cookie of this name, not with this prefix; two of one name are none.
	victim := h.browser()
	victim.cookies["seawall_session_acme"] = mallory.cookies[sessionCookie]
	if p := victim.ask("prompt", "none"); p.to.Query().Get("error") != "login_required" {
		t.Errorf("a sibling's cookie signs in: %v", p.to)
	}
	b.extra = &http.Cookie{Name: sessionCookie, Value: mallory.cookies[sessionCookie]}
	if p := b.ask("prompt", "none"); p.to.Query().Get("error") != "login_required" {
		t.Errorf("of two cookies one counts: %v", p.to)
	}
}

func TestConsentSaysWhatItIsAbout(t *testing.T) {
	h := newPorch(t)
	_, b := h.member("ada")
	h.must(h.store.CreateAPI(t.Context(), "test", tenant.API{Tenant: "acme", ID: "bills", Audience: "https://bills.acme.example", SecretHash: secret.New("y").Hash(), Scopes: oauth.Scope{"read"}, CreatedAt: h.now}))
	h.client(tenant.Client{ID: "orders-app", Name: "Orders & <Bills>", Type: tenant.Native, RedirectURIs: []string{"com.example.orders:/cb", "http://127.0.0.1/cb"}, APIs: []tenant.Access{
		{Audience: api, Scopes: oauth.Scope{"read", "write"}}, {Audience: "https://bills.acme.example", Scopes: oauth.Scope{"read"}}}})
	change := []string{"client_id", "orders-app", "redirect_uri", "com.example.orders:/cb", "scope", "openid email read write offline_access"}
	if p := b.ask(change...); p.to == nil || p.to.Scheme != "com.example.orders" || p.to.Query().Get("error") != "invalid_target" {
		t.Fatalf("without a resource: %v", p.to)
	}
	q := asking(change...)
	q["resource"] = []string{api, "https://bills.acme.example"}
	page := b.follow(b.get("/authorize?" + q.Encode()))
	for _, want := range []string{"Orders &amp; &lt;Bills&gt;", "com.example.orders", api, "https://bills.acme.example", ">write<", "when you are not here", "For 180 days at most", "30 days"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page doesn't say %q", want)
		}
	}
	if strings.Contains(page.body, "See your name") || strings.Contains(page.body, "email") {
		t.Error("the page says more than was asked for")
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' com.example.orders: http://127.0.0.1;") || !strings.Contains(policy, "frame-ancestors 'none'") ||
		page.header.Get("X-Frame-Options") != "DENY" || page.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the headers are %v", page.header)
	}
	code := h.code(b.decide(page, "allow"))
	if code.Scope.String() != "openid read write offline_access" || !slices.Equal(code.Resources, []string{api, "https://bills.acme.example"}) {
		t.Errorf("the code is %+v", code)
	}
	h.client(tenant.Client{ID: "brief", RedirectURIs: []string{callback}, Grants: []oauth.GrantType{oauth.AuthorizationCode}, Lifetime: 90 * time.Second})
	brief := b.follow(b.ask("client_id", "brief", "scope", "openid offline_access"))
	if !strings.Contains(brief.body, "For 2 minutes each time") || strings.Contains(brief.body, "not here") {
		t.Errorf("who can't refresh may\n%s", brief.body)
	}
	if code := h.code(b.decide(brief, "allow")); code.Scope.String() != "openid" {
		t.Errorf("who can't refresh gets the scope %s", code.Scope)
	}
	// One API need not be named, and less than was agreed to is covered.
	h.client(tenant.Client{ID: "one", RedirectURIs: []string{callback}, APIs: []tenant.Access{{Audience: api, Scopes: oauth.Scope{"read"}}}})
	one := h.code(b.decide(b.follow(b.ask("client_id", "one", "scope", "openid read")), "allow"))
	if !slices.Equal(one.Resources, []string{api}) || one.Scope.String() != "openid read" {
		t.Errorf("the code is %+v", one)
	}
	if plain := h.code(b.ask("client_id", "one", "scope", "openid")); len(plain.Resources) != 0 {
		t.Errorf("without the API's scopes the code is for %v", plain.Resources)
	}
	// A loopback port is the system's choice, and the way back is open to it.
	loop := b.follow(b.ask("client_id", "orders-app", "redirect_uri", "http://127.0.0.1:40123/cb", "scope", "openid profile"))
	if policy := loop.header.Get("Content-Security-Policy"); !strings.Contains(policy, "http://127.0.0.1:40123") || !strings.Contains(loop.body, "a program on your device") {
		t.Errorf("%d, policy %q", loop.status, policy)
	}
	if code := h.code(b.decide(loop, "allow")); code.RedirectURI != "http://127.0.0.1:40123/cb" {
		t.Errorf("the code goes to %s", code.RedirectURI)
	}
	if v6 := leadsTo(tenant.Client{}, "http://[::1]:9/cb"); v6 != "http:" {
		t.Errorf("an IPv6 address is %q", v6)
	}
}

// TestWhatChangedMeanwhile: a request is looked at again when it is answered.
func TestWhatChangedMeanwhile(t *testing.T) {
	h := newPorch(t)
	_, b := h.member("ada")
	page := b.follow(b.ask())
	h.must(h.store.SetRedirects(t.Context(), "acme", "shop", []string{"https://shop.example/new"}, nil))
	b.decide(page, "allow").shows(t, "another address", "somewhere unknown")
	if len(h.kinds()) != 0 {
		t.Errorf("recorded %v", h.kinds())
	}
	h.must(h.store.SetRedirects(t.Context(), "acme", "shop", []string{callback}, nil))
	page = b.follow(b.ask())
	h.must(h.store.DisableClient(t.Context(), "test", "acme", "shop"))
	b.decide(page, "allow").shows(t, "disabled", "not known here")

	h.client(tenant.Client{ID: "late", RedirectURIs: []string{callback}})
	page = b.follow(b.ask("client_id", "late"))
	h.later(tenant.InteractionLife)
	b.touch(h.person("bob"), "phr")
	b.decide(page, "allow").shows(t, "late", "is over")
}

// TestWhatEndsWhileACodeIsMade: whatever is ended when everything was looked at and the code is not yet kept. The entry is written
// just between the two.
func TestWhatEndsWhileACodeIsMade(t *testing.T) {
	ends := map[string]func(h *porch, p tenant.Person, session string) error{
		"what was allowed is taken back": func(h *porch, p tenant.Person, _ string) error {
			_, err := h.store.WithdrawConsent(t.Context(), "acme", p.ID, "shop", tenant.ActorPerson(p.ID))
			return err
		},
		"the person is disabled": func(h *porch, p tenant.Person, _ string) error {
			_, err := h.store.DisablePerson(t.Context(), "acme", p.ID)
			return err
		},
		"the client is disabled": func(h *porch, _ tenant.Person, _ string) error {
			_, err := h.store.DisableClient(t.Context(), "test", "acme", "shop")
			return err
		},
		"the client moves": func(h *porch, _ tenant.Person, _ string) error {
			_, err := h.store.SetRedirects(t.Context(), "acme", "shop", []string{"https://shop.example/new"}, nil)
			return err
		},
		"the session is ended": func(h *porch, p tenant.Person, session string) error {
			_, err := h.store.EndSessions(t.Context(), tenant.Ending{Tenant: "acme", Person: p.ID, Session: session})
			return err
		},
		"the passkey is removed": func(h *porch, p tenant.Person, _ string) error {
			_, err := h.store.RemovePasskey(t.Context(), "acme", p.ID, keyOf(p, false))
			return err
		},
	}
	for what, end := range ends {
		for _, asked := range []bool{true, false} {
			h := newPorch(t)
			p, b := h.member("ada")
			if !asked { // it was allowed before
				h.code(b.decide(b.follow(b.ask()), "allow"))
			}
			who, err := h.door.Current(b.request("/account"), h.tenant("acme"))
			h.must(who, err)
			answer := b.ask
			if asked {
				shown := b.follow(b.ask())
				answer = func(...string) page { return b.decide(shown, "allow") }
			}
			record, ended := h.endpoint.Record, 0
			h.endpoint.Record = func(ctx context.Context, acts ...Act) error {
				if acts[0].Kind == CodeIssued {
					ended++
					h.must(nil, end(h, p, who.Session))
				}
				return record(ctx, acts...)
			}
			answer().wants(t, what, oauth.AccessDenied)
			if ended != 1 {
				t.Errorf("%s: %d codes were on their way", what, ended)
			}
		}
	}
}

// TestNothingWithoutAnEntry: what can't be recorded is not done.
func TestNothingWithoutAnEntry(t *testing.T) {
	h := newPorch(t)
	p, b := h.member("ada")
	page := b.follow(b.ask())
	h.away = errAway
	b.decide(page, "allow").wants(t, "without the ledger", oauth.TemporarilyUnavailable)
	if _, err := h.store.Consent(t.Context(), "acme", p.ID, "shop"); err == nil {
		t.Error("a consent was kept that nobody recorded")
	}
	h.client(tenant.Client{ID: "other", RedirectURIs: []string{callback}})
	h.client(tenant.Client{ID: "portal", RedirectURIs: []string{callback}, Trusted: true})
	b.ask("client_id", "portal").wants(t, "without the ledger", oauth.TemporarilyUnavailable)
	if !strings.Contains(h.log.String(), "the ledger is away") {
		t.Error("the log does not say why")
	}
	h.away = nil
	h.code(b.ask("client_id", "portal"))

	gone := b.follow(b.ask("prompt", "consent"))
	h.endpoint.Record = func(ctx context.Context, _ ...Act) error { // disabled while the entry is written
		_, err := h.store.DisableClient(ctx, "test", "acme", "shop")
		return err
	}
	b.decide(gone, "allow").wants(t, "disabled meanwhile", oauth.AccessDenied)
	h.open()

	h.busy = time.Second
	b.ask("client_id", "other").shows(t, "too many", "Too many attempts")
	h.code(b.ask("client_id", "portal")) // what need not be kept is not counted
	h.busy = 0
	h.store.Close()
	if out := b.ask(); out.to != nil || out.status != http.StatusInternalServerError { // the client can't be known
		t.Errorf("without a database: %d %v", out.status, out.to)
	}
}

// TestStrangersAreCounted: whatever they make us keep.
func TestStrangersAreCounted(t *testing.T) {
	h := newPorch(t)
	b := h.browser()
	in := b.ask()
	if h.counts != 1 {
		t.Errorf("a request counts as %d", h.counts)
	}
	back := "/consent?i=" + b.kept(in)
	for range 3 {
		b.below(b.get(back))
	}
	if h.counts != 4 {
		t.Errorf("a request and three ways to sign in count as %d", h.counts)
	}
	h.busy = time.Second
	b.get(back).shows(t, "too many", "Too many attempts")
}

// TestRestarts: what was begun goes on after a restart, and what was decided stays.
func TestRestarts(t *testing.T) {
	h := newPorch(t)
	p, b := h.person("ada"), h.browser()
	in := b.ask()
	h.open()
	b.touch(p, "phr")
	back := b.follow(in)
	h.open()
	page := b.follow(back)
	h.open()
	h.code(b.decide(page, "allow"))
	h.open()
	if again := b.decide(page, "allow"); again.status != http.StatusGone {
		t.Errorf("the form twice, with a restart between: %d %v", again.status, again.to)
	}
	h.code(b.ask("prompt", "none"))
	out := b.get("/logout")
	h.open()
	if out := b.post("/logout", formOf(b.follow(out))); b.below(out) != "/signed-out" {
		t.Errorf("logout: %d %v", out.status, out.to)
	}
}

// TestPostedRequests: a client's form leads to the same place, with the browser's own cookies.
func TestPostedRequests(t *testing.T) {
	h := newPorch(t)
	_, b := h.member("ada")
	b.header.Set("Sec-Fetch-Site", "cross-site")
	cookies := b.cookies
	b.cookies = map[string]string{} // SameSite=Lax
	posted := asking("acr_values", "phr", "max_age", "99", "prompt", "consent", "dpop_jkt", challenge, "login_hint", "ada", "ui_locales", "en", "response_mode", "query")
	again := b.post("/authorize", with(with(posted, "id_token", "eyJ"), "client_secret", "x"))
	b.cookies = cookies
	if got := again.to.Query(); !reflect.DeepEqual(got, posted) {
		t.Errorf("the browser is to ask for %v", got)
	}
	if page := b.follow(b.follow(again)); !strings.Contains(page.body, "Continue to Shop?") {
		t.Errorf("%d %v", page.status, page.to)
	}
	b.post("/authorize?x=y", asking()).shows(t, "both", "can’t be read")
	if p := b.do("PUT", "/authorize", ""); p.status != http.StatusMethodNotAllowed || p.header.Get("Allow") != "GET, POST" {
		t.Errorf("PUT: %d %v", p.status, p.header)
	}
}

// TestThePageIsWhole: what it loads is there.
func TestThePageIsWhole(t *testing.T) {
	h := newPorch(t)
	_, b := h.member("ada")
	loads := regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`).FindAllStringSubmatch(b.follow(b.ask()).body, -1)
	if len(loads) != 3 {
		t.Errorf("it loads %q", loads)
	}
	for _, one := range loads {
		w := httptest.NewRecorder()
		if !h.endpoint.ServeAsset(w, httptest.NewRequest("GET", one[1], nil)) || w.Code != http.StatusOK {
			t.Errorf("%s is not there", one[1])
		}
	}
}

func TestLanguageOfTheApplication(t *testing.T) {
	h := newPorch(t)
	_, b := h.member("ada")
	if page := b.follow(b.ask("ui_locales", "fr de-AT en")); !strings.Contains(page.body, "Weiter zu Shop?") {
		t.Errorf("%s", page.body)
	}
	stranger := h.browser()
	if sign := stranger.follow(stranger.ask("ui_locales", "de")); !strings.Contains(sign.body, "Bei acme anmelden") {
		t.Errorf("%s", sign.body)
	}
}

func BenchmarkAnswer(b *testing.B) { // a request that gets its code at once
	h := newPorch(b)
	_, ada := h.member("ada")
	ada.decide(ada.follow(ada.ask()), "allow")
	for b.Loop() {
		if ada.ask().to == nil {
			b.Fatal("no answer")
		}
	}
}

func BenchmarkConsentPage(b *testing.B) {
	h := newPorch(b)
	_, ada := h.member("ada")
	path := ada.below(ada.ask())
	for b.Loop() {
		if ada.get(path).status != http.StatusOK {
			b.Fatal("no page")
		}
	}
}

// shelf is a registry of one client and one API, without a database: instrumented, that would take all the time there is.
type shelf struct {
	Store
	client tenant.Client
	apis   []tenant.API
}

func (s *shelf) Client(_ context.Context, tenantID, id string) (tenant.Client, error) {
	if tenantID != s.client.Tenant || id != s.client.ID {
		return tenant.Client{}, tenant.Refuse(tenant.ErrNotFound, "", "no client")
	}
	return s.client, nil
}

func (s *shelf) APIs(context.Context, string) ([]tenant.API, error) { return s.apis, nil }

// FuzzRequest: whatever a request says, it leads to a registered address or to none, carries a good challenge, and asks for
// nothing that the client may not have.
func FuzzRequest(f *testing.F) {
	for _, raw := range []string{asking().Encode(), asking("redirect_uri", "http://127.0.0.1:40000/cb").Encode(), asking("prompt", "none").Encode(), "client_id=shop", "a=%zz",
		asking("code_challenge_method", "plain").Encode(), asking("scope", "openid read offline_access").Encode() + "&resource=" + url.QueryEscape(api), asking("state", "a\x00").Encode(),
		asking("max_age", "0", "acr_values", "phrh phr", "dpop_jkt", challenge, "ui_locales", "de", "login_hint", "ada").Encode(), asking("scope", "openid openid email").Encode() + "&state=twice", asking("id_token_hint", "its-token").Encode(),
		asking("claims", `{"id_token":{"acr":{"essential":true,"values":["phr"]},"sub":{"value":"ada"}}}`).Encode()} {
		f.Add(raw)
	}
	store := &shelf{client: tenant.Client{ID: "shop", Tenant: "acme", Type: tenant.Native, Grants: tenant.DefaultGrants(tenant.Native), RedirectURIs: []string{callback, "http://127.0.0.1/cb"},
		APIs: []tenant.Access{{Audience: api, Scopes: oauth.Scope{"read"}}}}, apis: []tenant.API{{Tenant: "acme", Audience: api, Scopes: oauth.Scope{"read", "write"}}}}
	e := &Endpoint{Config: Config{Store: store, Log: slog.New(slog.DiscardHandler), Hint: func(_ context.Context, _ *tenant.Tenant, raw secret.Text) (Hint, bool) {
		return Hint{Subject: "ada", Client: "shop"}, raw.Reveal() == "its-token"
	}}}
	acme := &tenant.Tenant{ID: "acme", Issuer: testBase + "/acme"}
	f.Fuzz(func(t *testing.T, raw string) {
		v := &visit{httptest.NewRequest("GET", "/acme/authorize", nil), httptest.NewRecorder(), acme, time.Now()}
		q, err := e.read(v, raw)
		if q == nil {
			if page := login.Problem(nil); !errors.As(err, &page) {
				t.Errorf("%q: %v is for nobody", raw, err)
			}
			return
		}
		if q.client.ID != "shop" || !q.client.RedirectsTo(q.redirect) {
			t.Fatalf("%q leads to %q", raw, q.redirect)
		}
		if err != nil {
			w := httptest.NewRecorder()
			v.w = w
			if err := e.tell(v, q, err); err != nil || !strings.HasPrefix(w.Header().Get("Location"), q.redirect+"?error=") || !strings.HasSuffix(w.Header().Get("Location"), "iss=https%3A%2F%2Fid.example%2Facme") {
				t.Errorf("%q is answered with %v, %v", raw, w.Header(), err)
			}
			return
		}
		kept, err := url.ParseQuery(q.raw)
		if asked, bad := readClaims(kept.Get("claims")); err != nil || bad != nil || kept.Has("id_token_hint") || q.subject != "" && q.subject != "ada" && q.subject != asked.subject || !slices.Equal(q.must, asked.must) {
			t.Errorf("%q is kept as %q, for %q with %v", raw, q.raw, q.subject, q.must)
		}
		if !digest(q.challenge) || q.jkt != "" && !digest(q.jkt) || len(q.scope.Without(oauth.Scope{"openid", "profile", "offline_access", "read"})) > 0 || len(q.resources) > 1 ||
			q.scope.Has("read") != (len(q.resources) == 1) && !slices.Contains(q.resources, api) || len(q.nonce) > maxNonce || len(q.state) > maxState {
			t.Errorf("%q is taken for %+v", raw, q)
		}
	})
}
