package browser

import (
	"fmt"
	"strings"
	"testing"
)

// TestTheWholeStory goes from the link that the first start leaves to an application that a person has taken their access back
// from: the administrator makes tenant, person and application in the console; the person enrols, signs in by the browser's own
// offer, agrees; the application refreshes; and the person sees sessions and applications, and ends them.
func TestTheWholeStory(t *testing.T) {
	s := start(t)
	app := serveApplication(t, s)
	admin := administrator(t, s)
	admin.go2(s.URL + "/operators/console/new/tenant")
	admin.type2("tenant", "acme")
	admin.choose("class", "development") // an application on plain loopback
	admin.type2("owner", "ops@acme.example")
	admin.type2("contacts", "a@acme.example\nb@acme.example")
	admin.press()
	admin.at("/operators/console/tenants/acme")
	admin.go2(s.URL + "/operators/console/tenants/acme/new/person")
	admin.type2("login", "ada@acme.example")
	admin.type2("name", "Ada Lovelace")
	admin.press()
	admin.until(`location.pathname.startsWith("/operators/console/tenants/acme/people/") && document.readyState === "complete"`)
	admin.follow("Make a link for a passkey")
	admin.until(`location.pathname.endsWith("/enrol") && document.readyState === "complete"`)
	admin.press()
	admin.until(`document.querySelector(".secret") !== null`)
	link := eval[string](admin, `document.querySelector(".secret").textContent`)
	admin.go2(s.URL + "/operators/console/tenants/acme/new/client")
	admin.follow("Web application")
	admin.type2("name", "Wiki")
	admin.type2("id", "wiki")
	admin.type2("redirects", app.server+"/cb")
	admin.type2("logouts", app.pages+"/bye")
	admin.press()
	admin.until(`document.querySelector(".secret") !== null`)
	app.issuer, app.id, app.secret = s.URL+"/acme", "wiki", eval[string](admin, `document.querySelector(".secret").textContent`)

	ada := open(t)
	ada.enrol(link, "/acme")
	ada.click(`form[action="/acme/signout"] button`)
	ada.at("/acme/signed-out")
	ada.go2(app.server + "/start")
	ada.at("/acme/consent") // by way of the sign-in page, where the authenticator takes the browser's offer
	if text := ada.text(); !strings.Contains(text, "Wiki") || !strings.Contains(text, "Ada Lovelace") {
		t.Errorf("it doesn't say who gets what:\n%s", text)
	}
	ada.click(`button[value="allow"]`)
	ada.until(fmt.Sprintf(`location.origin === %q && document.body.innerText.includes("the shop: yours, ")`, app.pages))
	for range 2 {
		if wrong := app.again(); wrong != "" {
			t.Fatalf("refreshing: %s", wrong)
		}
	}

	elsewhere := open(t) // the same passkey on another device, as one that is synced would be
	elsewhere.borrow(ada)
	elsewhere.go2(s.URL + "/acme/signin")
	elsewhere.at("/acme/account")
	ada.go2(s.URL + "/acme/account")
	ada.at("/acme/account")
	if text := ada.text(); !strings.Contains(text, "Wiki") || strings.Count(text, "Last seen") != 2 {
		t.Errorf("the account says\n%s", text)
	}
	ada.click(`form[action="/acme/account/sessions/end"] button`)
	ada.until(`location.pathname === "/acme/account" && document.querySelector('form[action="/acme/account/sessions/end"]') === null && document.readyState === "complete"`)
	elsewhere.go2(s.URL + "/acme/account")
	elsewhere.at("/acme/signin")
	if wrong := app.again(); wrong != "" {
		t.Errorf("ending another session ended the application's access: %s", wrong)
	}
	ada.click(`form[action="/acme/account/applications/end"] button`)
	ada.until(`location.pathname === "/acme/account" && document.querySelector('form[action="/acme/account/applications/end"]') === null && document.readyState === "complete"`)
	if wrong := app.again(); wrong != "invalid_grant" {
		t.Errorf("refreshing after she took it back: %q", wrong)
	}
	harmless(t, s.Output())
}
