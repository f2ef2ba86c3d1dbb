package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"

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
	if strings.Contains(s.Output(), "swe_") {
		t.Error("a link is in the output")
	}
}

// TestConsoleScreens looks at each page of the console in both themes and three widths, and at the cookies and headers that
// come with it.
func TestConsoleScreens(t *testing.T) {
	s := start(t)
	acme(s)
	s.Run("api", "create", "https://orders.acme.example", "--tenant", "acme", "--scope", "orders.read", "--scope", "orders.write", "--save", filepath.Join(t.TempDir(), "api"))
	s.Run("client", "create", "ci", "--tenant", "acme", "--api", "https://orders.acme.example", "--scope", "orders.read", "--save", filepath.Join(t.TempDir(), "ci"))
	ada := open(t)
	ada.enrol(person(t, s, "ada@acme.example", "Ada Lovelace"), "/acme")
	s.Run("person", "create", "grace@acme.example", "--tenant", "acme", "--name", "Grace Hopper")
	var shown struct{ Subject string }
	s.JSON(&shown, "person", "show", "ada@acme.example", "--tenant", "acme")
	b := administrator(t, s) // from here on the socket only reads
	dir := filepath.Join(testenv.Root(t), ".work/screens")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	axe := axeSource(t)
	look := func(name, path string, before func()) {
		for _, view := range []struct {
			lang, theme string
			width       int64
		}{{"en", "light", 1280}, {"en", "light", 768}, {"en", "light", 360}, {"en", "dark", 1280}, {"en", "dark", 768}, {"en", "dark", 360}, {"de", "light", 360}} {
			b.language(view.lang)
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: view.theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
			call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: view.width, Height: 800, DeviceScaleFactor: 1})
			b.go2(s.URL + "/operators/console" + path)
			if before != nil {
				before()
			}
			b.picture(filepath.Join(dir, fmt.Sprintf("console-%s-%s-%s-%d.png", name, view.lang, view.theme, view.width)))
			if eval[bool](b, "document.documentElement.scrollWidth > innerWidth") {
				t.Errorf("%s is wider than %d px in %s", name, view.width, view.lang)
			}
			if view.width == 360 || view.width == 1280 && view.theme == "dark" {
				b.axe(axe, fmt.Sprintf("console %s %s %s %d", name, view.lang, view.theme, view.width))
			}
		}
		b.language("en")
	}
	acme, ada1 := "/tenants/acme", "/tenants/acme/people/"+shown.Subject
	for name, path := range map[string]string{"overview": "", "tenants": "/tenants", "tenant": acme, "tenant-new": "/new/tenant", "tenant-complete": acme + "/complete", "tenant-disable": acme + "/disable",
		"people": acme + "/people", "person-new": acme + "/new/person", "person": ada1, "person-disable": ada1 + "/disable", "person-recover": ada1 + "/recover", "person-sessions": ada1 + "/sessions",
		"operators": "/tenants/operators/people", "clients": acme + "/clients", "client": acme + "/clients/ci", "client-types": acme + "/new/client", "client-new": acme + "/new/client?type=web",
		"client-rotate": acme + "/clients/ci/rotate", "apis": acme + "/apis", "keys": acme + "/keys", "keys-rotate": acme + "/keys/rotate", "ledger": "/ledger", "recoveries": "/recoveries", "nothing": "/nothing"} {
		look(name, path, nil)
	}
	look("api-once", acme+"/new/api", func() {
		b.type2("audience", fmt.Sprintf("https://a%d.acme.example", time.Now().UnixNano()))
		b.press()
		b.until(`document.querySelector(".secret") !== null`)
	})
	look("form-wrong", "/new/tenant", func() {
		b.type2("tenant", "token")
		b.type2("owner", "ops@acme.example")
		b.type2("contacts", "a@acme.example")
		b.press()
		b.until(`document.querySelector('[role="alert"]') !== null`)
	})
	for _, c := range call(b, network.GetCookies, network.GetCookiesParams{}).Cookies {
		if !c.HTTPOnly || c.SameSite == "" || c.Path != "/" || !regexp.MustCompile(`^seawall_(session|browser)_operators$`).MatchString(c.Name) {
			t.Errorf("a cookie is %+v", c)
		}
	}
}
