package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"

	"seawall/internal/console"
	"seawall/internal/testenv"
)

// administrator opens a browser in which the first administrator has just made their passkey.
func administrator(t *testing.T, s *testenv.Seawall) *tab {
	t.Helper()
	file := filepath.Join(s.Data, "first-administrator.txt")
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		link, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(link), "#") {
			b := open(t)
			b.enrol(strings.TrimSpace(string(link)), "/operators")
			return b
		}
		if time.Now().After(end) {
			t.Fatalf("there is no link for the first administrator: %v\n%s", err, s.Output())
		}
	}
}

// type2 puts text into a field of a form.
func (b *tab) type2(name, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.querySelector('main [name=%q]') !== null", name))
	eval[bool](b, fmt.Sprintf("(document.querySelector('main [name=%q]').value = %q, true)", name, text))
}

// choose takes one of several values.
func (b *tab) choose(name, value string) {
	b.t.Helper()
	b.click(fmt.Sprintf("main [name=%q][value=%q]", name, value))
}

// press presses the button of the page's form.
func (b *tab) press() {
	b.t.Helper()
	b.click("main form[method=post] button")
}

// send presses the button of the page's form. If the last touch has grown old meanwhile, which on a slow machine it has, the browser
// comes back from another to the form as it was, and the button is pressed once more.
func (b *tab) send(until string) {
	b.t.Helper()
	page := eval[string](b, "location.pathname")
	b.press()
	const asked = `location.pathname === "/operators/signin" && document.readyState === "complete"`
	b.until("(" + asked + ") || (" + until + ")")
	if eval[bool](b, asked) {
		b.click("#go")
		b.at(page)
		b.press()
		b.until(until)
	}
}

// follow clicks the link with this text.
func (b *tab) follow(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("[...document.links].some((a) => a.textContent.trim() === %q)", text))
	eval[bool](b, fmt.Sprintf("([...document.links].find((a) => a.textContent.trim() === %q).click(), true)", text))
}

// TestAnAdministratorsDay goes from the printed link to a tenant, a person and a client, all in the console; the person
// enrols and signs in, and the administrator ends their session.
func TestAnAdministratorsDay(t *testing.T) {
	s := start(t)
	b := administrator(t, s)
	b.follow("Console")
	b.at("/operators/console")
	if text := b.text(); !strings.Contains(text, "Issuing tokens") || !strings.Contains(text, "nobody is named who answers for it") {
		t.Errorf("the overview says\n%s", text)
	}
	b.follow("Tenants")
	b.follow("New tenant")
	b.at("/operators/console/new/tenant")
	b.type2("tenant", "acme")
	b.choose("class", "production")
	b.type2("owner", "ops@acme.example")
	b.type2("contacts", "a@acme.example\nb@acme.example")
	b.press()
	b.at("/operators/console/tenants/acme")
	b.follow("People")
	b.follow("New person")
	b.at("/operators/console/tenants/acme/new/person")
	b.type2("login", "ada@acme.example")
	b.type2("name", "Ada Lovelace")
	b.press()
	b.until(`location.pathname.startsWith("/operators/console/tenants/acme/people/") && document.readyState === "complete"`)
	person := eval[string](b, "location.pathname")
	b.follow("Make a link for a passkey")
	b.at(person + "/enrol")
	b.press()
	b.until(`document.querySelector(".secret") !== null`)
	link := eval[string](b, `document.querySelector(".secret").textContent`)
	if !strings.HasPrefix(link, s.URL+"/acme/enrol#swe_prod_") {
		t.Fatal("there is no link")
	}
	ada := open(t)
	ada.enrol(link, "/acme")

	b.go2(s.URL + "/operators/console/tenants/acme/new/client")
	b.follow("Web application")
	b.type2("name", "Wiki")
	b.type2("id", "wiki")
	b.type2("redirects", "https://wiki.acme.example/callback")
	b.press()
	b.until(`document.querySelector(".secret") !== null`)
	if secret := eval[string](b, `document.querySelector(".secret").textContent`); !strings.HasPrefix(secret, "sws_prod_") && !strings.Contains(secret, "_prod_") {
		t.Error("there is no secret")
	}
	b.follow("I have kept it. To the client")
	b.at("/operators/console/tenants/acme/clients/wiki")
	if text := b.text(); !strings.Contains(text, "https://wiki.acme.example/callback") {
		t.Errorf("the client's page says\n%s", text)
	}

	b.go2(s.URL + person)
	b.follow("End all sessions")
	b.press()
	b.until(`document.body.innerText.includes("Signed in nowhere.")`)
	ada.go2(s.URL + "/acme/account")
	ada.at("/acme/signin")
	b.follow("In the ledger")
	b.until(`location.pathname === "/operators/console/ledger" && document.readyState === "complete"`)
	for _, kind := range []string{"person.created", "enrolment.used", "passkey.added", "session.ended"} {
		if !strings.Contains(b.text(), kind) {
			t.Errorf("the ledger's page lacks %s", kind)
		}
	}
	harmless(t, s.Output())
}

// tick ticks a box.
func (b *tab) tick(name string) {
	b.t.Helper()
	b.click(fmt.Sprintf("main input[type=checkbox][name=%q]", name))
}

// signing returns the key that signs a tenant's access tokens.
func signing(t *testing.T, s *testenv.Seawall, tenant string) string {
	t.Helper()
	var list struct {
		Keys []struct{ KID, Family, State string }
	}
	s.JSON(&list, "keys", "list", "--tenant", tenant)
	for _, k := range list.Keys {
		if k.Family == "access" && k.State == "active" {
			return k.KID
		}
	}
	t.Fatalf("no key of %s signs: %+v", tenant, list.Keys)
	return ""
}

// TestAStolenKeyInTheBrowser: an administrator goes from the list of keys to the one that was stolen, sees what will happen, and
// has it distrusted. An API refuses the token that was under it and takes the next one; and then it is given back.
func TestAStolenKeyInTheBrowser(t *testing.T) {
	s := start(t)
	acme(s)
	const audience = "https://orders.acme.example"
	var api struct{ Pin string }
	s.JSON(&api, "api", "create", audience, "--tenant", "acme", "--scope", "orders.read")
	var ci struct {
		Secret   string `json:"client_secret"`
		Endpoint string `json:"token_endpoint"`
	}
	s.JSON(&ci, "client", "create", "ci", "--tenant", "acme", "--api", audience, "--scope", "orders.read")
	token := func() string {
		t.Helper()
		r, err := http.NewRequest("POST", ci.Endpoint, strings.NewReader("grant_type=client_credentials"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("ci", ci.Secret)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct {
			Token string `json:"access_token"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
			t.Fatalf("no token: %d, %v", resp.StatusCode, err)
		}
		return answer.Token
	}
	accepted := func(token string) bool {
		t.Helper()
		cmd := s.Command("validate", "--json", "--issuer", s.URL+"/acme", "--audience", audience, "--pin", api.Pin)
		cmd.Stdin = strings.NewReader(token + "\n")
		out, err := cmd.Output()
		if err != nil && cmd.ProcessState.ExitCode() != 1 {
			t.Fatalf("seawall validate: %v\n%s", err, out)
		}
		return err == nil
	}
	stolen, before := signing(t, s, "acme"), token()
	if !accepted(before) {
		t.Fatal("a good token is refused")
	}
	b := administrator(t, s)
	b.go2(s.URL + "/operators/console/tenants/acme/keys")
	b.follow(stolen)
	page := "/operators/console/tenants/acme/keys/" + stolen
	b.at(page)
	b.follow("Distrust this key")
	b.at(page + "/distrust")
	if text := b.text(); !strings.Contains(text, "Tokens alive: 1 ·") || !strings.Contains(text, "Known to every validator") || !strings.Contains(text, "Validators that keep keys for a day") {
		t.Errorf("the page does not say what will happen:\n%s", text)
	}
	b.choose("reason", "key-compromise")
	b.tick("young")
	b.press() // the box is not ticked: the browser stays
	if signs := signing(t, s, "acme"); signs != stolen || !accepted(before) {
		t.Fatal("it was done without a word of agreement")
	}
	b.tick("confirm")
	b.press()
	b.at(page)
	if text := b.text(); !strings.Contains(text, "The key is not trusted any more") || !strings.Contains(text, "suspended") {
		t.Errorf("the result is\n%s", text)
	}
	after := token()
	if accepted(before) || !accepted(after) || signing(t, s, "acme") == stolen {
		t.Errorf("the token under the stolen key is accepted: %v, the one after it: %v", accepted(before), accepted(after))
	}
	b.follow("Give it back")
	b.at(page + "/give-back")
	b.choose("reason", "mistake")
	b.tick("confirm")
	b.press()
	b.at(page)
	if !accepted(before) || !accepted(after) || signing(t, s, "acme") == stolen {
		t.Error("the key that was given back does not verify, or signs")
	}
	b.follow("In the ledger")
	b.until(`location.pathname === "/operators/console/ledger" && document.readyState === "complete"`)
	for _, kind := range []string{"key.suspended", "key.verify-only"} {
		if !strings.Contains(b.text(), kind) {
			t.Errorf("the ledger's page lacks %s", kind)
		}
	}
}

// TestConsoleScreens looks at every page of the console, and at the cookies that come with them.
func TestConsoleScreens(t *testing.T) {
	s := start(t)
	acme(s)
	var api struct {
		ID string `json:"api_id"`
	}
	s.JSON(&api, "api", "create", "https://orders.acme.example", "--tenant", "acme", "--scope", "orders.read", "--scope", "orders.write")
	s.Run("client", "create", "ci", "--tenant", "acme", "--api", "https://orders.acme.example", "--scope", "orders.read", "--save", filepath.Join(t.TempDir(), "ci"))
	dev(s)
	app := newApplication(t, s)
	ada := open(t)
	ada.enrol(member(t, s, "dev", "ada@acme.example", "Ada Lovelace"), "/dev")
	ada.go2(app.server + "/start")
	ada.click(`button[value="allow"]`)
	ada.until(`document.body.innerText.includes("the shop: yours")`)
	s.Run("person", "create", "grace@acme.example", "--tenant", "dev", "--name", "Grace Hopper")
	s.Run("person", "create", "help@acme.example", "--tenant", "operators", "--role", "help-desk")
	s.Run("person", "recover", "ada@acme.example", "--tenant", "dev")
	subject := func(login, tenant string) string {
		var shown struct{ Subject string }
		s.JSON(&shown, "person", "show", login, "--tenant", tenant)
		return shown.Subject
	}
	person, grace, desk := "/tenants/dev/people/"+subject("ada@acme.example", "dev"), "/tenants/dev/people/"+subject("grace@acme.example", "dev"), "/tenants/operators/people/"+subject("help@acme.example", "operators")
	var access struct{ Access []struct{ ID string } }
	s.JSON(&access, "access", "list", "ada@acme.example", "--tenant", "dev")
	key := "/tenants/dev/keys/" + signing(t, s, "dev")
	if len(access.Access) != 1 {
		t.Fatalf("the shop has %+v", access)
	}
	b := administrator(t, s) // from here on the socket only reads
	g := newGallery(b)
	acme, shop, orders := "/tenants/acme", "/tenants/dev/clients/shop", "/tenants/acme/apis/"+api.ID
	for name, path := range map[string]string{"overview": "", "overview-watched": "?watch=1", "tenants": "/tenants", "tenant": acme, "tenant-done": acme + "?done=created", "tenant-new": "/new/tenant", "tenant-complete": acme + "/complete", "tenant-disable": acme + "/disable",
		"people": "/tenants/dev/people", "person-new": acme + "/new/person", "person": person, "person-disable": person + "/disable", "person-recover": person + "/recover", "person-sessions": person + "/sessions",
		"person-enrol": grace + "/enrol", "person-access": person + "/access?id=" + access.Access[0].ID, "person-role": desk + "/role", "operators": "/tenants/operators/people",
		"clients": acme + "/clients", "client": acme + "/clients/ci", "client-web": shop, "client-types": acme + "/new/client", "client-new": acme + "/new/client?type=web", "client-new-spa": acme + "/new/client?type=spa",
		"client-rotate": acme + "/clients/ci/rotate", "client-disable": shop + "/disable", "client-redirects": shop + "/redirects", "apis": acme + "/apis", "api": orders, "api-new": acme + "/new/api", "api-disable": orders + "/disable",
		"keys": acme + "/keys", "keys-rotate": acme + "/keys/rotate", "key": key, "key-distrust": key + "/distrust", "key-give-back-not": key + "/give-back", "ledger": "/ledger", "ledger-none": "/ledger?client=nobody", "recoveries": "/recoveries", "nothing": "/nothing"} {
		g.look("console-"+name, func() { b.go2(s.URL + "/operators/console" + path) })
	}
	act := func(name, path, until string, fill func()) {
		g.look("console-"+name, func() {
			b.go2(s.URL + "/operators/console" + path)
			if fill != nil {
				fill()
			}
			b.send(until)
		})
	}
	const once, wrong = `document.querySelector(".secret") !== null`, `document.querySelector('[role="alert"]') !== null`
	act("api-once", acme+"/new/api", once, func() { b.type2("audience", fmt.Sprintf("https://a%d.acme.example", time.Now().UnixNano())) })
	act("person-link", grace+"/enrol", once, nil)
	act("client-secret", acme+"/clients/ci/rotate", once, func() { b.choose("overlap", "0") })
	act("form-wrong", "/new/tenant", wrong, func() {
		b.type2("tenant", "token")
		b.type2("owner", "ops@acme.example")
		b.type2("contacts", "a@acme.example")
	})
	act("redirects-wrong", shop+"/redirects", wrong, func() { b.type2("redirects", "https://*.acme.example/") })
	act("key-distrust-young", key+"/distrust", wrong, func() {
		b.choose("reason", "key-compromise")
		b.tick("confirm")
	})
	b.go2(s.URL + "/operators/console" + key + "/distrust")
	b.choose("reason", "key-compromise")
	b.tick("young")
	b.tick("confirm")
	b.send(fmt.Sprintf(`location.pathname === %q && document.readyState === "complete"`, "/operators/console"+key))
	for name, path := range map[string]string{"key-done": key + "?done=distrusted", "key-revoke": key + "/distrust", "key-give-back": key + "/give-back", "keys-after": "/tenants/dev/keys"} {
		g.look("console-"+name, func() { b.go2(s.URL + "/operators/console" + path) })
	}
	signer := s.Child("signer")
	b.must(syscall.Kill(signer, syscall.SIGSTOP))
	g.look("console-signer-away", func() {
		for away := false; !away; away = eval[bool](b, `document.querySelector(".processes .danger") !== null`) {
			b.go2(s.URL + "/operators/console")
		}
	})
	b.must(syscall.Kill(signer, syscall.SIGCONT))
	pages, _ := console.Pages()
	g.saw("/operators"+console.Path, pages)
	for _, c := range call(b, network.GetCookies, network.GetCookiesParams{}).Cookies {
		if !c.HTTPOnly || c.SameSite == "" || c.Path != "/" || !regexp.MustCompile(`^seawall_(session|browser)_operators$`).MatchString(c.Name) {
			t.Errorf("a cookie is %+v", c)
		}
	}
}

// TestDebtsInTheBrowser: while the ledger stands still, the overview says that it has yet to hear of a thief.
func TestDebtsInTheBrowser(t *testing.T) {
	s := start(t)
	dev(s)
	app := newApplication(t, s)
	ada := open(t)
	ada.enrol(member(t, s, "dev", "ada@acme.example", "Ada Lovelace"), "/dev")
	ada.go2(app.server + "/start")
	ada.click(`button[value="allow"]`)
	ada.until(`document.body.innerText.includes("the shop: yours")`)
	var client struct {
		Secret string `json:"client_secret"`
	}
	s.JSON(&client, "client", "create", "thief", "--tenant", "dev", "--type", "web", "--redirect", app.server+"/cb")
	thief := &application{t: t, seawall: s, issuer: app.issuer, id: "thief", secret: client.Secret, refresh: app.refresh}
	b := administrator(t, s)
	ledger := s.Child("ledger")
	testenv.Freeze(t, ledger)
	t.Cleanup(func() { _ = syscall.Kill(ledger, syscall.SIGCONT) }) // or it would not end
	if wrong := thief.again(); wrong != "invalid_grant" {
		t.Fatalf("a thief with the shop's refresh token: %q", wrong)
	}
	newGallery(b).look("console-debts", func() {
		b.go2(s.URL + "/operators/console")
		b.until(`document.querySelector(".notice.warn h2") !== null`)
	})
	b.go2(s.URL + "/operators/console")
	if text := b.text(); !strings.Contains(text, "The ledger has yet to hear") || !strings.Contains(text, "entries: 1") || !strings.Contains(text, "bring the ledger back") {
		t.Errorf("the overview says\n%s", text)
	}
	b.must(syscall.Kill(ledger, syscall.SIGCONT))
	for told := false; !told; told = eval[bool](b, `document.querySelector(".processes") !== null && document.querySelector(".notice.warn h2") === null`) {
		b.go2(s.URL + "/operators/console")
	}
}
