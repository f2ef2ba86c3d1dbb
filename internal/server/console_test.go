package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/console"
	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
	"seawall/internal/testenv/canary"
)

// visitor is a browser in which a person of a tenant is signed in.
type visitor struct {
	h      *testHouse
	tenant string
	cookie string
	lang   string
}

// visitor signs a person in, as of a touch at that time.
func (h *testHouse) visitor(p tenant.Person, touched time.Time) *visitor {
	h.t.Helper()
	var value [32]byte
	_, _ = rand.Read(value[:])
	text := base64.RawURLEncoding.EncodeToString(value[:])
	k, err := h.store.Passkeys(h.t.Context(), p.Tenant, p.ID)
	must(h.t, k, err)
	with := k[len(k)-1] // the newest
	n := tenant.Session{ID: strings.ToLower(rand.Text()), Hash: secret.New(text).Hash(), Tenant: p.Tenant, Person: p.ID, Passkey: with.ID, ACR: "phr", Device: "Firefox · Linux", Place: "192.0.2.7", At: touched, SeenAt: time.Now()}
	if err := h.store.SignIn(h.t.Context(), n, with, secret.Hash{}); err != nil {
		h.t.Fatal(err)
	}
	browser := sha256.Sum256([]byte(p.ID)) // each person has one, whatever they sign in with
	return &visitor{h, p.Tenant, "seawall_session_" + p.Tenant + "=" + text + "; seawall_browser_" + p.Tenant + "=" + base64.RawURLEncoding.EncodeToString(browser[:]), "en"}
}

// get and post ask for a page below the issuer of the person's tenant, or, after /.., below the base URL. Redirects are answers
// like others.
func (v *visitor) get(path string) (*http.Response, string) { return v.send("GET", path, nil, "") }

func (v *visitor) post(path string, form url.Values) (*http.Response, string) {
	return v.send("POST", path, form, v.h.base)
}

func (v *visitor) send(method, path string, form url.Values, origin string, header ...string) (*http.Response, string) {
	v.h.t.Helper()
	target := v.h.base + "/" + v.tenant + path
	if above, is := strings.CutPrefix(path, "/.."); is {
		target = v.h.base + above
	}
	r, err := http.NewRequestWithContext(v.h.t.Context(), method, target, strings.NewReader(form.Encode()))
	must(v.h.t, r, err)
	r.Header.Set("Cookie", v.cookie)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Language", v.lang)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", origin)
	}
	for i := 0; i < len(header); i += 2 {
		if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	must(v.h.t, resp, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(v.h.t, body, err)
	return resp, string(body)
}

var formToken = regexp.MustCompile(`name="form" value="([^"]+)"`)

// token is what the forms of a page have to send back.
func (v *visitor) token() string {
	v.h.t.Helper()
	_, body := v.get("/console/new/tenant")
	found := formToken.FindStringSubmatch(body)
	if found == nil {
		v.h.t.Fatalf("the page has no token:\n%s", body)
	}
	return found[1]
}

// furnished is a house with one of each thing, and where the console shows it.
func furnished(t *testing.T) (h *testHouse, staff map[tenant.Role]tenant.Person, path func(string) string) {
	h = houseWithName(t)
	api, client := h.acme()
	staff = h.staff()
	ada, err := h.op.CreatePerson(t.Context(), "acme", adminapi.CreatePerson{Login: "ada@acme.example", Name: "Ada <b>Lovelace</b>"})
	must(t, ada, err)
	keys, err := h.op.Keys(t.Context(), "acme")
	must(t, keys, err)
	names := strings.NewReplacer("{tenant}", "acme", "{person}", ada.Subject, "{client}", client.ClientID, "{api}", api.APIID, "{key}", keys[0].KID)
	return h, staff, names.Replace
}

const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// TestEveryPageOfTheConsole looks at each page as somebody who may see it: it is whole, keeps to itself, runs nothing, and
// looking changes nothing. A stranger is sent to sign in.
func TestEveryPageOfTheConsole(t *testing.T) {
	h, staff, path := furnished(t)
	owner := h.visitor(staff[tenant.Owner], time.Now())
	stranger := &visitor{h, tenant.Operators, "", "en"}
	h.vaults.set(func() { h.vaults.entries = nil })
	all, _ := console.Pages()
	for _, pattern := range all {
		where := path("/console" + pattern)
		if pattern == "/ledger" || strings.HasSuffix(pattern, "/access") {
			continue // want the true vaults, see TestTheConsoleShowsTheLedger and TestApplicationsInTheConsole
		}
		if strings.HasSuffix(where, "/role") {
			where = "/console/tenants/operators/people/" + staff[tenant.Auditor].ID + "/role"
		}
		for _, lang := range []string{"en", "de"} {
			owner.lang = lang
			resp, body := owner.get(where)
			if resp.StatusCode != http.StatusOK || !strings.Contains(body, "<h1>") || resp.Header.Get("Content-Language") != lang || strings.Contains(body, "ZgotmplZ") || strings.Contains(body, "%!") {
				t.Errorf("%s: %d\n%s", where, resp.StatusCode, body)
			}
			h := resp.Header
			if h.Get("Content-Security-Policy") != pagePolicy || h.Get("Cache-Control") != "no-store" || h.Get("X-Frame-Options") != "DENY" || h.Get("Referrer-Policy") != "same-origin" || len(resp.Cookies()) > 0 {
				t.Errorf("%s: headers %v", where, h)
			}
			for _, never := range []string{"<script", "style=", "onclick", "<b>Lovelace", "http-equiv"} {
				if strings.Contains(body, never) {
					t.Errorf("%s has %q in it", where, never)
				}
			}
		}
		resp, body := stranger.get(where)
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/operators/signin" || strings.Contains(body, "acme") {
			t.Errorf("%s for a stranger: %d to %s", where, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	if len(h.vaults.entries) > 0 {
		t.Errorf("looking was recorded: %v", h.vaults.entries)
	}
	for where, want := range map[string]int{"/console/nothing": 404, "/console/tenants/": 404, "/console/tenants/hooli": 404, "/console/tenants/acme/people/nobody": 404, "/console/tenants/../x": 404} {
		if resp, _ := owner.get(where); resp.StatusCode != want {
			t.Errorf("%s: %d", where, resp.StatusCode)
		}
	}
	if resp := h.do("GET", "/acme/console", ""); resp.status != http.StatusNotFound {
		t.Errorf("another tenant has a console: %d", resp.status)
	}
	if resp, body := owner.post("/console/tenants", url.Values{}); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a form for a page that is only looked at: %d\n%s", resp.StatusCode, body)
	}
}

// TestAStolenCookieWritesNothing tries every act of the console with a session that was touched a while ago, and with all
// that a thief can read off its pages. Each sends the thief to a touch that they don't have.
func TestAStolenCookieWritesNothing(t *testing.T) {
	h, staff, path := furnished(t)
	thief := h.visitor(staff[tenant.Owner], time.Now().Add(-tenant.FreshTouch))
	form := url.Values{"form": {thief.token()}, "tenant": {"evil"}, "class": {"production"}, "owner": {"a@b.example"}, "contacts": {"a@b.example\nc@b.example"}, "algorithm": {"ES256"},
		"login": {"eve@acme.example"}, "type": {"service"}, "name": {"x"}, "apis": {ordersAPI}, "scopes": {"read"}, "audience": {"https://evil.example"}, "step": {"request"}, "role": {"auditor"}, "confirm": {"yes"}, "reason": {"admin"}}
	h.vaults.set(func() { h.vaults.entries = nil })
	_, acts := console.Pages()
	if len(acts) < 15 {
		t.Fatalf("only %d acts", len(acts))
	}
	for _, pattern := range acts {
		where := path("/console" + pattern)
		resp, body := thief.post(where, form)
		if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(resp.Header.Get("Location"), "/operators/signin?i=") {
			t.Errorf("%s: %d to %q\n%s", where, resp.StatusCode, resp.Header.Get("Location"), body)
		}
	}
	if len(h.vaults.entries) > 0 {
		t.Errorf("the thief did %v", h.vaults.entries)
	}
}

// TestFormsOfTheConsole: the token, the origin, and what was typed.
func TestFormsOfTheConsole(t *testing.T) {
	h, staff, _ := furnished(t)
	owner := h.visitor(staff[tenant.Owner], time.Now())
	good := url.Values{"form": {owner.token()}, "tenant": {"beta"}, "class": {"staging"}, "owner": {"o@beta.example"}, "contacts": {"a@beta.example\r\nb@beta.example"}, "algorithm": {"EdDSA"}}
	with := func(name string, values ...string) url.Values {
		form := url.Values{}
		for k, v := range good {
			form[k] = v
		}
		form[name] = values
		return form
	}
	before := len(h.vaults.entries)
	other := h.visitor(staff[tenant.Owner], time.Now())
	for name, token := range map[string][]string{"none": nil, "empty": {""}, "wrong": {"x"}, "another session's": {other.token()}, "twice": {owner.token(), owner.token()}} {
		resp, body := owner.post("/console/new/tenant", with("form", token...))
		if resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "from before you signed in") || !strings.Contains(body, `value="beta"`) || !strings.Contains(body, `value="EdDSA" checked`) {
			t.Errorf("a token that is %s: %d\n%s", name, resp.StatusCode, body)
		}
	}
	for _, origin := range []string{"https://evil.example", "null", "http://sub." + strings.TrimPrefix(h.base, "http://")} {
		if resp, body := owner.send("POST", "/console/new/tenant", good, origin); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "another site") {
			t.Errorf("from %s: %d", origin, resp.StatusCode)
		}
	}
	resp, body := owner.post("/console/new/tenant", with("contacts", "a@beta.example"))
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "contacts") || !strings.Contains(body, `role="alert"`) || !strings.Contains(body, `value="beta"`) {
		t.Errorf("a form that can't be: %d\n%s", resp.StatusCode, body)
	}
	if resp, _ := owner.post("/console/new/tenant", with("more", strings.Repeat("x", 100<<10))); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("an endless form: %d", resp.StatusCode)
	}
	auditor := h.visitor(staff[tenant.Auditor], time.Now())
	if resp, body := auditor.post("/console/new/tenant", with("form", auditor.token())); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "the role auditor may not") {
		t.Errorf("an auditor's form: %d", resp.StatusCode)
	}
	if len(h.vaults.entries) != before {
		t.Errorf("something was done: %v", h.vaults.entries[before:])
	}
	resp, _ = owner.post("/console/new/tenant", good)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/operators/console/tenants/beta?done=created" {
		t.Fatalf("a good form: %d to %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	made := h.vaults.recorded(mint.TenantCreated)
	if last := made[len(made)-1]; last.Tenant != "beta" || last.Actor != "person:"+staff[tenant.Owner].ID {
		t.Errorf("the ledger has %+v", last)
	}
	if _, body := owner.get("/console/tenants/beta?done=created"); !strings.Contains(body, "It is there.") {
		t.Errorf("nobody says that it is done:\n%s", body)
	}
}

// TestWhatWasTypedIsKept while somebody goes to touch: for them, at that page, and nothing is done before they press again.
func TestWhatWasTypedIsKept(t *testing.T) {
	h, staff, _ := furnished(t)
	stale := h.visitor(staff[tenant.Owner], time.Now().Add(-time.Hour))
	form := url.Values{"form": {stale.token()}, "login": {"grace@acme.example"}, "name": {"GraceBrewsterMurrayHopper"}}
	resp, _ := stale.post("/console/tenants/acme/new/person", form)
	_, handle, _ := strings.Cut(resp.Header.Get("Location"), "?i=")
	i, err := h.store.Interaction(t.Context(), tenant.Operators, secret.New(handle).Hash())
	must(t, i, err)
	if i.Person != staff[tenant.Owner].ID || i.MetBy(i.Person, time.Now().Add(-time.Second), "phr") || !strings.HasPrefix(i.Next, "/console/tenants/acme/new/person?draft=") {
		t.Fatalf("they are asked for %+v", i)
	}
	set, err := canary.New(canary.Text("what was typed", form.Get("name")))
	must(t, set, err)
	if found, err := set.Dir(h.dir); err != nil || len(found) > 0 {
		t.Errorf("on the disk is %v, %v", found, err)
	}
	fresh := h.visitor(staff[tenant.Owner], time.Now())
	_, body := fresh.get(i.Next)
	for _, want := range []string{`value="grace@acme.example"`, `value="GraceBrewsterMurrayHopper"`, "Nothing is done yet"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	if strings.Contains(body, form.Get("form")) {
		t.Error("the token of the session before is on the page")
	}
	if p, err := h.op.Person(t.Context(), "acme", "grace@acme.example"); err == nil {
		t.Errorf("looking made %+v", p)
	}
	_, draft, _ := strings.Cut(i.Next, "?draft=")
	for name, look := range map[string]func() string{
		"somebody else": func() string { _, b := h.visitor(staff[tenant.Operator], time.Now()).get(i.Next); return b },
		"another page":  func() string { _, b := fresh.get("/console/tenants/beta/new/person?draft=" + draft); return b },
		"another browser": func() string {
			other := *fresh
			other.cookie, _, _ = strings.Cut(fresh.cookie, ";")
			_, b := other.get(i.Next)
			return b
		},
		"a made-up one":   func() string { _, b := fresh.get("/console/tenants/acme/new/person?draft=x"); return b },
		"the interaction": func() string { _, b := fresh.get("/console/tenants/acme/new/person?draft=" + handle); return b },
	} {
		if strings.Contains(look(), "grace@") {
			t.Errorf("%s shows what was typed", name)
		}
	}
	form.Set("form", fresh.token())
	if resp, _ := fresh.post("/console/tenants/acme/new/person", form); !strings.HasSuffix(resp.Header.Get("Location"), "?done=created") {
		t.Errorf("pressing again: %d", resp.StatusCode)
	}
}

// TestSecretsAreShownOnce, in the answer that made them, and are nowhere afterwards.
func TestSecretsAreShownOnce(t *testing.T) {
	h, staff, path := furnished(t)
	owner := h.visitor(staff[tenant.Owner], time.Now())
	token := owner.token()
	found := regexp.MustCompile(`sw[a-z]_prod_[A-Za-z0-9_-]+`)
	shown := map[string]string{}
	for where, form := range map[string]url.Values{
		"/tenants/acme/new/client":                  {"type": {"service"}, "id": {"batch"}, "name": {"Batch"}, "apis": {ordersAPI}, "scopes": {"read"}, "auth": {"client_secret_basic"}},
		"/tenants/acme/clients/ci/rotate":           {"overlap": {"3600"}},
		"/tenants/acme/new/api":                     {"audience": {"https://new.acme.example"}, "scopes": {"a b"}},
		path("/tenants/acme/people/{person}/enrol"): {},
	} {
		form.Set("form", token)
		resp, body := owner.post("/console"+where, form)
		list := found.FindAllString(body, -1)
		if resp.StatusCode != http.StatusOK || len(list) != 1 || resp.Header.Get("Cache-Control") != "no-store" || !strings.Contains(body, "only time") {
			t.Errorf("%s: %d, %d secrets\n%s", where, resp.StatusCode, len(list), body)
			continue
		}
		shown[where] = list[0]
	}
	for where, secret := range shown {
		for _, page := range []string{"/console/tenants/acme/clients/batch", "/console/tenants/acme/clients/ci", "/console/tenants/acme/apis", path("/console/tenants/acme/people/{person}")} {
			if _, body := owner.get(page); strings.Contains(body, secret) {
				t.Errorf("%s shows the secret of %s", page, where)
			}
		}
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the secret of %s is in the log", where)
		}
	}
}

// TestTheConsoleShowsTheLedger asks the true one, page by page.
func TestTheConsoleShowsTheLedger(t *testing.T) {
	o := newRealVaults(t).options()
	o.name = "localhost"
	h := newHouse(t, o)
	_, client := h.acme()
	h.token(client)
	must(t, struct{}{}, second(h.op.CreatePerson(t.Context(), "acme", adminapi.CreatePerson{Login: "ada"})))
	for range 60 {
		must(t, struct{}{}, second(h.op.EndSessions(t.Context(), "acme", "ada", adminapi.EndSessions{})))
	}
	owner := h.visitor(h.staff()[tenant.Owner], time.Now())
	resp, body := owner.get("/console/ledger?kind=session.ended")
	if n := strings.Count(body, ">session.ended</td>"); resp.StatusCode != 200 || n != 50 || !strings.Contains(body, "Older") {
		t.Errorf("the first page: %d, %d entries", resp.StatusCode, n)
	}
	older := regexp.MustCompile(`href="/operators(/console/ledger\?before=[^"]+)"`).FindStringSubmatch(body)
	if older == nil {
		t.Fatal("there is no way to the older ones")
	}
	if _, body = owner.get(strings.ReplaceAll(older[1], "&amp;", "&")); strings.Count(body, ">session.ended</td>") != 10 || !strings.Contains(body, "The newest") {
		t.Errorf("the second page:\n%s", body)
	}
	if _, body = owner.get("/console/ledger?client=" + client.ClientID + "&kind=token.issued"); !strings.Contains(body, "jti") || len(secret.Find([]byte(body))) > 0 {
		t.Errorf("a token:\n%s", body)
	}
	if _, body = owner.get("/console/ledger?jti=nothing"); !strings.Contains(body, "No entry has all of that.") {
		t.Errorf("nothing:\n%s", body)
	}
	helpdesk := h.visitor(h.colleague("second-desk", tenant.HelpDesk), time.Now())
	if resp, body := helpdesk.get("/console/ledger"); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "the role help-desk may not") {
		t.Errorf("the help desk reads the ledger: %d", resp.StatusCode)
	}
	for _, wrong := range []string{"before=x", "tenant=" + strings.Repeat("x", 2000)} {
		if resp, _ := owner.get("/console/ledger?" + wrong); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%.20s: %d", wrong, resp.StatusCode)
		}
	}
}

// TestApplicationsInTheConsole: what an application has of somebody is shown, and is ended.
func TestApplicationsInTheConsole(t *testing.T) {
	f := newFar(t)
	token := f.good(tenant.Operator, time.Now())
	owner := f.visitor(f.staff[tenant.Owner], time.Now())
	person := "/console/tenants/operators/people/" + f.staff[tenant.Operator].ID
	_, body := owner.get(person)
	link := regexp.MustCompile(`href="/operators(/console/[^"]+/access\?id=([^"]+))"`).FindStringSubmatch(body)
	if link == nil || !strings.Contains(body, "Seawall command line") {
		t.Fatalf("no application is shown:\n%s", body)
	}
	if _, body = owner.get(link[1]); !strings.Contains(body, `value="suspend" checked`) {
		t.Errorf("the page offers\n%s", body)
	}
	form := url.Values{"form": {owner.token()}, "id": {link[2]}, "step": {"end"}}
	if resp, body := owner.post(strings.TrimSuffix(link[1], "?id="+link[2]), form); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("ending it: %d\n%s", resp.StatusCode, body)
	}
	if _, body = owner.get(person); strings.Contains(body, "Seawall command line") {
		t.Error("it is still there")
	}
	if r := f.ask(token, "GET", adminTenants, ""); r.status != http.StatusUnauthorized {
		t.Errorf("its token still administers: %d %s", r.status, r.body)
	}
}

// TestTheConsoleWhileTheVaultsAreAway says so, and is there all the same.
func TestTheConsoleWhileTheVaultsAreAway(t *testing.T) {
	h, staff, _ := furnished(t)
	owner := h.visitor(staff[tenant.Owner], time.Now())
	h.vaults.set(func() { h.vaults.signerAway, h.vaults.ledgerAway = true, true })
	h.vaults.hangUp()
	h.eventually("the house notices", func() bool { return len(h.away()) > 1 })
	if resp, body := owner.get("/console"); resp.StatusCode != http.StatusOK || strings.Count(body, ">away<") != 2 || !strings.Contains(body, ">not now<") {
		t.Errorf("the overview: %d\n%s", resp.StatusCode, body)
	}
	if resp, body := owner.get("/console/ledger"); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "restarting or unreachable") {
		t.Errorf("the ledger's page: %d\n%s", resp.StatusCode, body)
	}
	form := url.Values{"form": {owner.token()}, "login": {"eve"}}
	if resp, body := owner.post("/console/tenants/acme/new/person", form); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `value="eve"`) {
		t.Errorf("a change: %d\n%s", resp.StatusCode, body)
	}
}

// TestEmptyPlacesSayWhatComesNext: to somebody who has just made a tenant.
func TestEmptyPlacesSayWhatComesNext(t *testing.T) {
	h, staff, _ := furnished(t)
	beta, err := h.op.CreateTenant(t.Context(), adminapi.CreateTenant{Tenant: "beta", Class: "staging", Owner: "o@beta.example", Contacts: []string{"a@beta.example", "b@beta.example"}})
	must(t, beta, err)
	owner := h.visitor(staff[tenant.Owner], time.Now())
	for page, want := range map[string]string{"/clients": "Register each program", "/apis": "Register the first one", "/new/client?type=service": "Register the API first"} {
		if _, body := owner.get("/console/tenants/beta" + page); !strings.Contains(body, want) {
			t.Errorf("%s of a new tenant lacks %q", page, want)
		}
		if _, body := owner.get("/console/tenants/acme" + page); strings.Contains(body, want) {
			t.Errorf("%s of a tenant that has all says %q", page, want)
		}
	}
	done, err := h.op.DisableTenant(t.Context(), "beta")
	must(t, done, err)
	if _, body := owner.get("/console/tenants/beta"); !strings.Contains(body, "disabled since "+done.Disabled.UTC().Format("2006-01-02 15:04 UTC")) {
		t.Errorf("nobody says since when it is disabled:\n%s", body)
	}
}

// TestButtonsThatCannotWork are not shown.
func TestButtonsThatCannotWork(t *testing.T) {
	h, staff, path := furnished(t)
	for role, c := range map[tenant.Role]struct{ tenant, person []string }{
		tenant.Owner:    {[]string{"/complete\"", "/disable\"", "/keys\""}, []string{"/enrol\"", "/disable\""}},
		tenant.HelpDesk: {nil, []string{"/enrol\""}},
		tenant.Auditor:  {[]string{"/keys\""}, nil},
	} {
		v := h.visitor(staff[role], time.Now())
		for page, want := range map[string][]string{"/console/tenants/acme": c.tenant, path("/console/tenants/acme/people/{person}"): c.person} {
			_, body := v.get(page)
			for _, button := range []string{"/complete\"", "/disable\"", "/keys\"", "/enrol\""} {
				if strings.Contains(body, button) != slices.Contains(want, button) {
					t.Errorf("%s at %s: %s is there: %v", role, page, button, !slices.Contains(want, button))
				}
			}
		}
	}
}

// TestAnswersInsideAreThoseOutside: what the console gets without JSON is what anybody else gets as JSON.
func TestAnswersInsideAreThoseOutside(t *testing.T) {
	h := newHouse(t, options{name: "localhost"})
	h.acme()
	who := actor{person: h.staff()[tenant.Owner].ID, touched: time.Now()}
	ask := func(path string) (*http.Response, string) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://seawall/v1/"+path, nil)
		must(t, r, err)
		resp, err := inside{h.api, who}.RoundTrip(r)
		must(t, resp, err)
		body, err := io.ReadAll(resp.Body)
		return resp, string(must(t, body, err))
	}
	op := adminapi.Over("http://seawall", inside{h.api, who})
	for path, do := range map[string]func() (any, error){
		"self": func() (any, error) { return op.Self(t.Context()) },
		"tenants": func() (any, error) {
			l, err := op.Tenants(t.Context())
			return adminapi.Items[adminapi.Tenant]{Items: l}, err
		},
		"tenants/acme":            func() (any, error) { return op.Tenant(t.Context(), "acme") },
		"tenants/acme/clients/ci": func() (any, error) { return op.Client(t.Context(), "acme", "ci") },
		"tenants/acme/people": func() (any, error) {
			l, err := op.People(t.Context(), "acme")
			return adminapi.Items[adminapi.Person]{Items: l}, err
		},
		"tenants/acme/keys": func() (any, error) {
			l, err := op.Keys(t.Context(), "acme")
			return adminapi.Items[adminapi.Key]{Items: l}, err
		},
	} {
		given, err := do()
		must(t, given, err)
		text, err := json.Marshal(given)
		must(t, text, err)
		if resp, body := ask(path); resp.StatusCode != 200 || strings.TrimSpace(body) != string(text) {
			t.Errorf("%s: inside %s\noutside %s", path, text, body)
		}
	}
	if _, err := op.Tenant(t.Context(), "nobody"); asAdmin(err) == nil || asAdmin(err).Code != adminapi.CodeNotFound {
		t.Errorf("a refusal inside is %v", err)
	}
}
