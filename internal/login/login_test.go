package login

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// TestADoorLacksNothing takes each field away that a door is made of. Only then is it found by no person who needs it.
func TestADoorLacksNothing(t *testing.T) {
	whole := newHall(t, nil).door.Config
	fields := reflect.TypeFor[Config]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		if name == "Base" || name == "Metadata" {
			continue
		}
		c := whole
		reflect.ValueOf(&c).Elem().Field(i).SetZero()
		if _, err := New(c); err == nil {
			t.Errorf("a door without %s was made", name)
		}
	}
	if _, err := New(whole); err != nil {
		t.Errorf("a whole one: %v", err)
	}
}

func TestEnrolSignInSignOut(t *testing.T) {
	h := newHall(t, nil)
	p, auth, b := h.member("ada@acme.example")
	if out := b.form("/signout"); out.status != http.StatusSeeOther || b.signedIn() {
		t.Fatalf("signing out: %d", out.status)
	}
	if page := b.get("/signed-out"); page.status != http.StatusOK {
		t.Errorf("signed out: %d", page.status)
	}
	if in := b.signIn(auth); in.json["next"] != "/acme/account" || !b.signedIn() {
		t.Fatalf("signing in: %d %s\n%s", in.status, in.body, h.log)
	}
	s, err := h.door.Current(b.request("GET", "/account", nil), h.tenant("acme"))
	if err != nil || s.Person != p.ID || s.ACR != "phr" || !slices.Equal(s.AMR, []string{"mfa", "pop", "user"}) || s.At.After(h.clock()) {
		t.Errorf("signed in as %+v, %v", s, err)
	}
	page := b.get("/account")
	for _, want := range []string{"Ada &lt;b&gt;Lovelace", "ada@acme.example", "laptop", "Firefox · Linux", "192.0.2.7"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the account doesn't show %q", want)
		}
	}
	want := []string{"enrolment.used", "passkey.added", "person.signed-in", "session.ended", "person.signed-in"}
	if got := h.kinds(); !slices.Equal(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
}

// TestRefusedSignIns lets an authenticator, or somebody in between, lie in every way.
func TestRefusedSignIns(t *testing.T) {
	for name, c := range map[string]struct {
		lie  func(h *hall, b *browser, a *authenticator) answer
		want string
		why  string // as it is counted
	}{
		"replayed": {func(h *hall, b *browser, a *authenticator) answer {
			credential := a.get(b.beginSignIn(""))
			b.finishSignIn("", credential)
			return b.finishSignIn("", credential)
		}, "challenge", ""},
		"a challenge of our own making": {func(h *hall, b *browser, a *authenticator) answer {
			b.beginSignIn("")
			return b.finishSignIn("", a.get(map[string]any{"challenge": b64(make([]byte, 32))}))
		}, "challenge", ""},
		"begun in another browser": {func(h *hall, b *browser, a *authenticator) answer {
			o := b.beginSignIn("")
			other := h.browser()
			other.beginSignIn("")
			return other.finishSignIn("", a.get(o))
		}, "challenge", ""},
		"too late": {func(h *hall, b *browser, a *authenticator) answer {
			o := b.beginSignIn("")
			h.later(tenant.CeremonyLife)
			return b.finishSignIn("", a.get(o))
		}, "challenge", ""},
		"a challenge for another purpose": {func(h *hall, b *browser, a *authenticator) answer {
			begun := b.post("/account/passkeys/begin", struct{}{})
			return b.finishSignIn("", a.get(options2(begun)))
		}, "challenge", ""},
		"wrong origin": {func(h *hall, b *browser, a *authenticator) answer {
			a.origin = "https://id.example.evil.example"
			return b.signIn(a)
		}, "refused", "the answer does not verify"},
		"a sibling's origin": {func(h *hall, b *browser, a *authenticator) answer {
			a.origin = "https://evil.id.example"
			return b.signIn(a)
		}, "refused", "the answer does not verify"},
		"plain HTTP": {func(h *hall, b *browser, a *authenticator) answer {
			a.origin = "http://id.example"
			return b.signIn(a)
		}, "refused", "the answer does not verify"},
		"another RP ID": {func(h *hall, b *browser, a *authenticator) answer {
			a.rpID = "example"
			return b.signIn(a)
		}, "refused", "the answer does not verify"},
		"user not verified": {func(h *hall, b *browser, a *authenticator) answer {
			a.flags = flagUP
			return b.signIn(a)
		}, "refused", "the answer does not verify"},
		"user not present": {func(h *hall, b *browser, a *authenticator) answer {
			a.flags = flagUV
			return b.signIn(a)
		}, "refused", "the answer does not verify"},
		"another key": {func(h *hall, b *browser, a *authenticator) answer {
			a.key = newKey(t)
			return b.signIn(a)
		}, "refused", "the answer does not verify"},
		"a registration's answer": {func(h *hall, b *browser, a *authenticator) answer {
			o := b.beginSignIn("")
			return b.finishSignIn("", a.sign(a.clientData("webauthn.create", o["challenge"].(string)), a.data(a.flags)))
		}, "refused", "the answer does not verify"},
		"a passkey that turned into a synced one": {func(h *hall, b *browser, a *authenticator) answer {
			a.flags |= flagBE
			return b.signIn(a)
		}, "refused", "the answer does not verify"},
		"nobody's passkey": {func(h *hall, b *browser, a *authenticator) answer {
			a.handle = make([]byte, 32)
			return b.signIn(a)
		}, "refused", "the passkey is nobody's here"},
		"no handle": {func(h *hall, b *browser, a *authenticator) answer {
			a.handle = nil
			return b.signIn(a)
		}, "refused", "the passkey is nobody's here"},
		"somebody else's handle": {func(h *hall, b *browser, a *authenticator) answer {
			bob := h.person("bob@acme.example")
			a.handle = bob.Handle[:]
			return b.signIn(a)
		}, "refused", "the passkey is not theirs"},
		"a disabled person": {func(h *hall, b *browser, a *authenticator) answer {
			p, _ := h.store.Person(t.Context(), "acme", "ada@acme.example")
			o := b.beginSignIn("")
			if _, err := h.store.DisablePerson(t.Context(), "acme", p.ID); err != nil {
				t.Fatal(err)
			}
			return b.finishSignIn("", a.get(o))
		}, "refused", "the person is disabled"},
		"a counter that stays": {func(h *hall, b *browser, a *authenticator) answer {
			b.signIn(a)
			a.count--
			return b.signIn(a)
		}, "cloned", "the passkey's counter went back"},
		"not from our page": {func(h *hall, b *browser, a *authenticator) answer {
			credential := a.get(b.beginSignIn(""))
			b.header.Set("Sec-Fetch-Site", "cross-site")
			return b.finishSignIn("", credential)
		}, "foreign", ""},
		"from a sibling's page": {func(h *hall, b *browser, a *authenticator) answer {
			credential := a.get(b.beginSignIn(""))
			b.header.Set("Sec-Fetch-Site", "same-site")
			return b.finishSignIn("", credential)
		}, "foreign", ""},
		"with an old browser from another page": {func(h *hall, b *browser, a *authenticator) answer {
			credential := a.get(b.beginSignIn(""))
			b.header.Del("Sec-Fetch-Site")
			b.header.Set("Origin", "https://evil.example")
			return b.finishSignIn("", credential)
		}, "foreign", ""},
		"as a form": {func(h *hall, b *browser, a *authenticator) answer {
			credential, _ := json.Marshal(a.get(b.beginSignIn("")))
			return b.form("/signin/finish", "credential", string(credential))
		}, "malformed", ""},
		"while the ledger is away": {func(h *hall, b *browser, a *authenticator) answer {
			h.away = errors.New("away")
			return b.signIn(a)
		}, "away", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHall(t, nil)
			_, auth, b := h.member("ada@acme.example")
			a := c.lie(h, b, auth)
			if a.problem != c.want {
				t.Errorf("got %d %q, want %q\n%s", a.status, a.problem, c.want, h.log)
			}
			if c.why != "" && !slices.Contains(h.refused, c.why) {
				t.Errorf("counted %q, want %q", h.refused, c.why)
			}
			if slices.ContainsFunc(b.set, func(c *http.Cookie) bool { return strings.Contains(c.Name, "session") }) {
				t.Error("a refused sign-in gave a session")
			}
		})
	}
}

// TestAnotherTenantsPasskey: tenants of a host share an RP ID, so an authenticator offers one's passkey at the other.
func TestAnotherTenantsPasskey(t *testing.T) {
	h := newHall(t, nil)
	_, auth, _ := h.member("ada@acme.example")
	h.personOf("globex", "ada@acme.example")
	b := h.browser()
	b.tenant = "globex"
	if a := b.signIn(auth); a.problem != "refused" || b.signedIn() {
		t.Errorf("got %d %q", a.status, a.problem)
	}
	if !slices.Contains(h.refused, "the passkey is nobody's here") {
		t.Errorf("counted %q", h.refused)
	}
	p, _ := h.store.Person(t.Context(), "globex", "ada@acme.example")
	auth.handle = p.Handle[:] // nor with a handle that is somebody's there
	if a := b.signIn(auth); a.problem != "refused" || b.signedIn() {
		t.Errorf("got %d %q", a.status, a.problem)
	}
	// A session of one tenant is nothing at another, under whatever name it comes.
	_, _, acme := h.member("bob@acme.example")
	b.cookies["__Host-seawall_session_globex"] = acme.cookies["__Host-seawall_session_acme"]
	if b.signedIn() {
		t.Error("a session of acme is one of globex")
	}
}

// TestClonedPasskey: a counter that went back is acted on, not only noted.
func TestClonedPasskey(t *testing.T) {
	h := newHall(t, nil)
	p, auth, b := h.member("ada@acme.example")
	copied := *auth
	b.signIn(auth)
	b.signIn(auth)
	thief := h.browser()
	if a := thief.signIn(&copied); a.problem != "cloned" || thief.signedIn() {
		t.Fatalf("the copy: %d %q", a.status, a.problem)
	}
	if b.signedIn() {
		t.Error("what the passkey opened is still open")
	}
	if a := b.signIn(auth); a.problem != "refused" {
		t.Errorf("a suspended passkey: %d %q", a.status, a.problem)
	}
	if why := h.refused[len(h.refused)-1]; why != "the passkey is suspended" {
		t.Errorf("it was refused because %s", why)
	}
	keys, err := h.store.Passkeys(t.Context(), "acme", p.ID)
	if err != nil || len(keys) != 1 || keys[0].Live() {
		t.Errorf("the passkey is %+v, %v", keys, err)
	}
	if !slices.Contains(h.kinds(), "passkey.suspended") {
		t.Errorf("recorded %v", h.kinds())
	}
}

func TestLinks(t *testing.T) {
	h := newHall(t, nil)
	p := h.person("ada@acme.example")
	link := h.link(p)
	var race [2]answer
	var browsers [2]*browser
	var credentials [2]map[string]any
	for i := range race {
		browsers[i] = h.browser()
		credentials[i] = h.authenticator().create(options2(browsers[i].post("/enrol/begin", map[string]any{"secret": link})))
	}
	for i := range race { // whoever looked can still lose
		race[i] = browsers[i].post("/enrol/finish", map[string]any{"credential": credentials[i]})
	}
	if race[0].status != http.StatusOK || race[1].problem != "link" || !browsers[0].signedIn() || browsers[1].signedIn() {
		t.Errorf("two uses of a link: %d and %d %q", race[0].status, race[1].status, race[1].problem)
	}
	fresh := h.browser()
	bob := h.person("bob@acme.example")
	expired := h.link(bob)
	o := options2(fresh.post("/enrol/begin", map[string]any{"secret": expired}))
	h.later(tenant.EnrolmentLife)
	for name, a := range map[string]answer{
		"used":              fresh.enrol(link, h.authenticator()),
		"over":              fresh.enrol(expired, h.authenticator()),
		"over meanwhile":    fresh.post("/enrol/finish", map[string]any{"credential": h.authenticator().create(o)}),
		"made up":           fresh.enrol(secret.Generate(secret.EnrolLink, secret.Production).Reveal(), h.authenticator()),
		"a client's secret": fresh.enrol(secret.Generate(secret.ClientSecret, secret.Production).Reveal(), h.authenticator()),
		"mistyped":          fresh.enrol(link[:len(link)-1]+"!", h.authenticator()),
		"empty":             fresh.enrol("", h.authenticator()),
	} {
		if a.problem != "link" && !(name == "over meanwhile" && a.problem == "challenge") {
			t.Errorf("%s: %d %q", name, a.status, a.problem)
		}
	}
	other := h.browser()
	other.tenant = "globex"
	if a := other.enrol(h.link(bob), h.authenticator()); a.problem != "link" {
		t.Errorf("at another tenant: %d %q", a.status, a.problem)
	}
	if strings.Contains(h.log.String(), "swe_prod_") {
		t.Error("a link is in the log")
	}
}

// TestUnverifiedEnrolment: a passkey that was made without the person's PIN or finger is none.
func TestUnverifiedEnrolment(t *testing.T) {
	h := newHall(t, nil)
	link := h.link(h.person("ada@acme.example"))
	for name, change := range map[string]func(*authenticator){
		"not verified": func(a *authenticator) { a.flags = flagUP },
		"not present":  func(a *authenticator) { a.flags = flagUV },
		"wrong origin": func(a *authenticator) { a.origin = "https://evil.example" },
		"wrong RP ID":  func(a *authenticator) { a.rpID = "evil.example" },
	} {
		a := h.authenticator()
		change(a)
		if got := h.browser().enrol(link, a); got.problem != "refused" {
			t.Errorf("%s: %d %q", name, got.status, got.problem)
		}
	}
	if got := h.browser().enrol(link, h.authenticator()); got.status != http.StatusOK { // failures don't use the link up
		t.Errorf("afterwards: %d %q", got.status, got.problem)
	}
}

// TestSessionFixation: what a browser had before a sign-in is worth nothing after it.
func TestSessionFixation(t *testing.T) {
	h := newHall(t, nil)
	_, auth, b := h.member("ada@acme.example")
	const name = "__Host-seawall_session_acme"
	planted := b64(bytes.Repeat([]byte{7}, 32))
	victim := h.browser()
	victim.cookies[name] = planted
	victim.signIn(auth)
	if victim.cookies[name] == planted {
		t.Fatal("a planted cookie became a session")
	}
	attacker := h.browser()
	attacker.cookies[name] = planted
	if attacker.signedIn() {
		t.Error("the planted value is signed in")
	}
	before := b.cookies[name]
	b.signIn(auth)
	if b.cookies[name] == before {
		t.Error("a sign-in kept the session's secret")
	}
	attacker.cookies[name] = before
	if attacker.signedIn() {
		t.Error("the session before a sign-in lives on")
	}
	// Nor is it worth anything after somebody enrolled there.
	attacker.cookies[name] = b.cookies[name]
	if a := b.enrol(h.link(h.person("bob@acme.example")), h.authenticator()); a.status != http.StatusOK || !b.signedIn() {
		t.Fatalf("enrolling: %d %q", a.status, a.problem)
	}
	if attacker.signedIn() {
		t.Error("the session before an enrolment lives on")
	}
}

// TestCookies asserts the attributes, and what comes of cookies that somebody else set.
func TestCookies(t *testing.T) {
	h := newHall(t, nil)
	_, auth, b := h.member("ada@acme.example")
	b.cookies = map[string]string{}
	b.beginSignIn("")
	for _, c := range b.set {
		if c.Name != "__Host-seawall_browser_acme" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || len(c.Value) != 43 {
			t.Errorf("the browser's cookie is %+v", c)
		}
	}
	b.signIn(auth)
	if len(b.set) != 1 {
		t.Fatalf("signing in set %v", b.set)
	}
	if c := b.set[0]; c.Name != "__Host-seawall_session_acme" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || len(c.Value) != 43 || c.MaxAge != 0 {
		t.Errorf("the session's cookie is %+v", c)
	}
	value := b.cookies["__Host-seawall_session_acme"]
	for name, header := range map[string]string{
		"a sibling's": "seawall_session_acme=" + value,
		"two of them": "__Host-seawall_session_acme=" + b64(make([]byte, 32)) + "; __Host-seawall_session_acme=" + value,
		"two others":  "__Host-seawall_session_acme=" + value + "; __Host-seawall_session_acme=" + b64(make([]byte, 32)),
		"cut short":   "__Host-seawall_session_acme=" + value[:42],
		"empty":       "__Host-seawall_session_acme=",
	} {
		r := httptest.NewRequest("GET", testBase+"/acme/account", nil)
		r.Header.Set("Cookie", header)
		if _, err := h.door.Current(r, h.tenant("acme")); !errors.Is(err, ErrNobody) {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain := newHall(t, func(c *Config) { c.Base = "http://localhost:8420" })
	p := plain.person("ada@acme.example")
	pb := plain.browser()
	local := newAuthenticator(t, "http://localhost:8420", "localhost")
	if a := pb.enrol(plain.link(p), local); a.status != http.StatusOK || len(pb.set) != 1 || pb.set[0].Name != "seawall_session_acme" || pb.set[0].Secure || !pb.set[0].HttpOnly {
		t.Errorf("over plain HTTP: %d, %v", a.status, pb.set)
	}
}

// TestDraftKeys: a browser's own, the same before and after it signs in anew, and another one at each tenant.
func TestDraftKeys(t *testing.T) {
	h := newHall(t, nil)
	_, auth, b := h.member("ada@acme.example")
	_, _, other := h.member("bob@acme.example")
	key := func(b *browser) []byte { return h.door.DraftKey(b.request("GET", "/account", nil), h.tenant("acme")) }
	before := key(b)
	b.signIn(auth)
	if len(before) != 32 || !bytes.Equal(before, key(b)) || bytes.Equal(before, key(other)) {
		t.Error("a browser does not bring its key back, or has another's")
	}
	if key(h.browser()) != nil {
		t.Error("a browser without a cookie has a key")
	}
	if token := h.door.FormToken(b.request("GET", "/account", nil), h.tenant("acme")); token == "" || strings.Contains(token, b64(before)) {
		t.Error("the key is in pages")
	}
}

// TestEveryPageKeepsToItself holds the headers of every page, problems included.
func TestEveryPageKeepsToItself(t *testing.T) {
	h := newHall(t, nil)
	_, _, in := h.member("ada@acme.example")
	out := h.browser()
	for name, a := range map[string]answer{
		"signin": out.get("/signin"), "enrol": out.get("/enrol"), "signed out": out.get("/signed-out"), "account": in.get("/account"),
		"problem": out.get("/signin?i=nothing"), "JSON": out.post("/signin/begin", struct{}{}), "JSON problem": out.post("/enrol/begin", struct{}{}),
	} {
		csp := a.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: %q is not in its policy %q", name, want, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || a.header.Get("X-Frame-Options") != "DENY" || a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", name, a.header)
		}
		for _, inline := range []string{"<script>", " style=", " onclick=", "javascript:"} {
			if strings.Contains(a.body, inline) {
				t.Errorf("%s has %q in it", name, inline)
			}
		}
	}
}

// TestReadingChangesNothing asks for every path with GET, and for every page with the wrong method.
func TestReadingChangesNothing(t *testing.T) {
	h := newHall(t, nil)
	_, _, b := h.member("ada@acme.example")
	before := len(h.kinds())
	for _, path := range slices.Sorted(maps.Keys(routes)) {
		way := routes[path]
		a := b.get(path)
		if way.get == nil && (a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST") {
			t.Errorf("GET %s: %d", path, a.status)
		}
		for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS"} {
			if a := b.do(b.request(method, path, nil)); a.status != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, a.status)
			}
		}
		if way.post != nil {
			foreign := h.browser()
			foreign.cookies = maps.Clone(b.cookies)
			foreign.header.Set("Sec-Fetch-Site", "cross-site")
			if a := foreign.form(path, "passkey", "x"); a.problem != "foreign" {
				t.Errorf("POST %s from another site: %d %q", path, a.status, a.problem)
			}
		}
	}
	if !b.signedIn() || len(h.kinds()) != before {
		t.Error("reading changed something")
	}
}

// TestBodies: what comes is bounded, is of the type that only our own pages send, and says each thing once.
func TestBodies(t *testing.T) {
	h := newHall(t, nil)
	_, _, b := h.member("ada@acme.example")
	account := b.get("/account").body
	key := regexp.MustCompile(`name="passkey" value="([^"]+)"`).FindStringSubmatch(account)
	if key == nil {
		t.Fatal("the account shows no passkey")
	}
	good := url.Values{"passkey": {key[1]}, "name": {"Phone"}}
	rename := func(change func(url.Values)) answer {
		form := maps.Clone(good)
		change(form)
		r := b.request("POST", "/account/passkeys/rename", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return b.do(r)
	}
	for name, change := range map[string]func(url.Values){
		"a passkey twice": func(f url.Values) { f["passkey"] = []string{key[1], key[1]} },
		"two names":       func(f url.Values) { f["name"] = []string{"Phone", "Other"} },
		"no name":         func(f url.Values) { delete(f, "name") },
		"a long form":     func(f url.Values) { f.Set("more", strings.Repeat("x", maxForm)) },
	} {
		if a := rename(change); a.problem != "malformed" {
			t.Errorf("%s: %d %q", name, a.status, a.problem)
		}
	}
	if body := b.get("/account").body; strings.Contains(body, "Phone") {
		t.Error("a form that is none renamed a passkey")
	}
	if a := rename(func(url.Values) {}); a.status != http.StatusSeeOther || !strings.Contains(b.get("/account").body, "Phone") {
		t.Errorf("a good form: %d", a.status)
	}
	begin := func(kind, body string) answer {
		r := b.request("POST", "/signin/begin", strings.NewReader(body))
		r.Header["Content-Type"] = []string{kind}
		return b.do(r)
	}
	for name, a := range map[string]answer{
		"a form of another site's": begin("text/plain", `{"i":""}`), "a form": begin("application/x-www-form-urlencoded", `{"i":""}`), "no type": begin("", `{"i":""}`),
		"long JSON": begin("application/json", `{"i":""`+strings.Repeat(" ", maxCredential)+`}`), "two values": begin("application/json", `{"i":""}{"i":"x"}`),
	} {
		if a.problem != "malformed" {
			t.Errorf("%s: %d %q", name, a.status, a.problem)
		}
	}
	if a := begin("application/json; charset=utf-8", `{"i":""}`); a.status != http.StatusOK {
		t.Errorf("good JSON: %d %q", a.status, a.problem)
	}
}

// TestRestartInTheMiddle: a new process finishes what the old one began.
func TestRestartInTheMiddle(t *testing.T) {
	h := newHall(t, nil)
	p := h.person("ada@acme.example")
	link, auth, b := h.link(p), h.authenticator(), h.browser()
	o := options2(b.post("/enrol/begin", map[string]any{"secret": link}))
	h.restart()
	if a := b.post("/enrol/finish", map[string]any{"credential": auth.create(o)}); a.status != http.StatusOK || !b.signedIn() {
		t.Fatalf("enrolling: %d %s\n%s", a.status, a.body, h.log)
	}
	o = b.beginSignIn("")
	h.restart()
	if !b.signedIn() {
		t.Error("the session is gone")
	}
	if a := b.finishSignIn("", auth.get(o)); a.status != http.StatusOK {
		t.Errorf("signing in: %d %s", a.status, a.body)
	}
}

func TestWithoutAName(t *testing.T) {
	h := newHall(t, func(c *Config) { c.Base = "http://127.0.0.1:8420" })
	for _, path := range []string{"/signin", "/enrol"} {
		if a := h.browser().get(path); a.problem != "noname" {
			t.Errorf("%s: %d %q", path, a.status, a.problem)
		}
	}
	for host, want := range map[string]bool{"localhost": true, "id.example": true, "127.0.0.1": false, "::1": false, "": false} {
		if Nameable(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
}

// TestBusy: a flood is slowed down, whichever way it comes, and nobody is locked out by it.
func TestBusy(t *testing.T) {
	h := newHall(t, nil)
	_, auth, b := h.member("ada@acme.example")
	o := b.beginSignIn("")
	if h.begun.busy = true; h.begun.count == 0 {
		t.Error("nobody counts what begins")
	}
	for _, path := range []string{"/signin/begin", "/enrol/begin"} {
		if a := b.post(path, struct{}{}); a.problem != "busy" || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %q", path, a.status, a.problem)
		}
	}
	if a := b.finishSignIn("", auth.get(o)); a.status != http.StatusOK { // what was begun is finished: nobody is locked out
		t.Errorf("finishing: %d %q", a.status, a.problem)
	}
	h.begun.busy = false
	stray := func() answer { return b.finishSignIn("", auth.get(map[string]any{"challenge": b64(make([]byte, 32))})) }
	if a := stray(); a.problem != "challenge" || h.strays.count != 1 {
		t.Errorf("an answer to nothing: %d %q, and %d are counted", a.status, a.problem, h.strays.count)
	}
	o = b.beginSignIn("")
	h.strays.busy = true
	if a := stray(); a.problem != "busy" {
		t.Errorf("one of many answers to nothing: %d %q", a.status, a.problem)
	}
	if a := b.finishSignIn("", auth.get(o)); a.status != http.StatusOK {
		t.Errorf("an answer to something, among them: %d %q", a.status, a.problem)
	}
	h.acted.busy = true
	before := len(h.kinds())
	for path, way := range routes {
		if way.post == nil || !strings.HasPrefix(path, "/account/") {
			continue
		}
		if a := b.form(path, "passkey", b64(auth.id), "session", "x"); a.problem != "busy" {
			t.Errorf("%s: %d %q", path, a.status, a.problem)
		}
	}
	if a := b.signIn(auth); a.status != http.StatusOK || len(h.kinds()) != before+1 {
		t.Errorf("signing in while accounts are busy: %d %q", a.status, a.problem)
	}
}

func TestADisabledTenantHasNoPages(t *testing.T) {
	h := newHall(t, nil)
	_, _, b := h.member("ada@acme.example")
	if _, err := h.store.DisableTenant(t.Context(), "test", "acme"); err != nil {
		t.Fatal(err)
	}
	if a := b.get("/account"); a.problem != "nothing" || b.signedIn() {
		t.Errorf("got %d %q", a.status, a.problem)
	}
}

// FuzzFinish posts what a stranger may: nothing of it signs anybody in or breaks anything.
func FuzzFinish(f *testing.F) {
	for _, seed := range []string{`{}`, `{"i":"","credential":null}`, `{"credential":{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"","signature":"","userHandle":""}}}`,
		`{"name":"x","credential":{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIiwiY2hhbGxlbmdlIjoiQUEiLCJvcmlnaW4iOiJodHRwczovL2lkLmV4YW1wbGUifQ","attestationObject":"o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YUA"}}}`} {
		f.Add([]byte(seed))
	}
	h := newHall(f, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{"/signin/begin", "/signin/finish", "/enrol/begin", "/enrol/finish", "/account/passkeys/finish"} {
			r := httptest.NewRequest("POST", testBase+"/acme"+path, bytes.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			h.door.Serve(w, r, &tenant.Tenant{ID: "acme", Issuer: testBase + "/acme", Passkeys: tenant.AnyPasskey}, path)
			if w.Code >= 500 || strings.Contains(w.Header().Get("Set-Cookie"), "session") {
				t.Errorf("%s: %d %s", path, w.Code, w.Header())
			}
		}
	})
}
