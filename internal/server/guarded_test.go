package server

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/authorize"
	"seawall/internal/console"
	"seawall/internal/login"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// guards are the headers of everything that a browser is shown. A page whose form may lead elsewhere by way of us says so in
// form-action, which package authorize tests.
var guards = map[string]string{
	"Content-Security-Policy": pagePolicy, "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
	"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()",
}

var ourCookie = regexp.MustCompile(`^seawall_(session|browser)_(acme|operators)$`)

// guarded checks what every answer of a page must have, whatever it says.
func guarded(t *testing.T, what string, resp *http.Response) {
	t.Helper()
	program := resp.Header.Get("Content-Type") == "application/json" // nothing that a browser shows
	for name, want := range guards {
		if program && name != "X-Content-Type-Options" {
			continue
		}
		if got := resp.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %d, %s is %q", what, resp.StatusCode, name, got)
		}
	}
	for _, c := range resp.Cookies() {
		if !ourCookie.MatchString(c.Name) || c.Path != "/" || c.Domain != "" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode {
			t.Errorf("%s: it sets %+v", what, c)
		}
	}
}

// TestEveryPageIsGuarded asks for every page of every room: as a stranger and as somebody who is signed in, in every way that
// a browser can be made to. Looking sets no cookie, and what other sites send is refused.
func TestEveryPageIsGuarded(t *testing.T) {
	f := newFar(t)
	f.good(tenant.Operator, time.Now()) // the command line has access to something
	api, err := f.op.API(t.Context(), "acme", ordersAPI)
	must(t, api, err)
	ada, err := f.op.CreatePerson(t.Context(), "acme", adminapi.CreatePerson{Login: "ada@acme.example"})
	must(t, ada, err)
	access, err := f.op.Access(t.Context(), tenant.Operators, f.staff[tenant.Operator].ID)
	if must(t, access, err); len(access.Access) != 1 {
		t.Fatalf("the operator has %+v", access)
	}
	keys, err := f.op.Keys(t.Context(), "acme")
	must(t, keys, err)
	names := strings.NewReplacer("{tenant}", "acme", "{person}", ada.Subject, "{client}", "ci", "{api}", api.APIID, "{key}", keys[0].KID)
	special := map[string]string{ // pages that only some have
		"/tenants/{tenant}/people/{person}/role":   "/tenants/operators/people/" + f.staff[tenant.Auditor].ID + "/role",
		"/tenants/{tenant}/people/{person}/access": "/tenants/operators/people/" + f.staff[tenant.Operator].ID + "/access?id=" + access.Access[0].ID,
	}
	var pages []string
	all, _ := console.Pages()
	for _, pattern := range all {
		path := special[pattern]
		if path == "" {
			path = names.Replace(pattern)
		}
		pages = append(pages, console.Path+path)
	}
	whole := slices.Clone(pages) // those that are there for whoever asks
	pages = append(pages, login.Pages()...)
	pages = append(pages, authorize.Pages()...)
	pages = append(pages, authorize.Path, console.Path+"/nothing", "", "/", "/nothing", "/../", "/../nowhere", "/../nobody/signin") // and where there is none
	owner := f.visitor(f.staff[tenant.Owner], time.Now())
	stranger := &visitor{f.testHouse, tenant.Operators, "", "en"}
	for _, path := range pages {
		for who, v := range map[string]*visitor{"an owner": owner, "a stranger": stranger} {
			for how, ask := range map[string]func() (*http.Response, string){
				"GET":  func() (*http.Response, string) { return v.get(path) },
				"HEAD": func() (*http.Response, string) { return v.send("HEAD", path, nil, "") },
				"GET by another name": func() (*http.Response, string) {
					return v.send("GET", path, nil, "", "Host", "evil.example", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "evil.example", "X-Original-Url", "/evil.example", "Forwarded", "host=evil.example;proto=evil.example")
				},
				"PUT":                      func() (*http.Response, string) { return v.send("PUT", path, url.Values{}, f.base) },
				"POST":                     func() (*http.Response, string) { return v.post(path, url.Values{}) },
				"POST from a sibling site": func() (*http.Response, string) { return v.send("POST", path, url.Values{}, "http://evil.localhost") },
			} {
				resp, body := ask()
				what := how + " " + path + " by " + who
				guarded(t, what, resp)
				if strings.Contains(body+fmt.Sprint(resp.Header), "evil.") {
					t.Errorf("%s: it believes what the request says of the host: %v\n%s", what, resp.Header, body)
				}
				if resp.StatusCode >= 500 || (how == "GET" || how == "HEAD") && len(resp.Cookies()) > 0 {
					t.Errorf("%s: %d, it sets %v\n%s", what, resp.StatusCode, resp.Cookies(), body)
				}
				if how == "GET" && v == owner && slices.Contains(whole, path) && (resp.StatusCode != http.StatusOK || !strings.Contains(body, "<h1>") || strings.Contains(body, "<script")) {
					t.Errorf("%s: %d\n%s", what, resp.StatusCode, body)
				}
			}
		}
	}
	if resp, body := owner.get("/account"); resp.StatusCode != http.StatusOK || !strings.Contains(body, "owner@seawall.example") {
		t.Errorf("afterwards the owner is signed out: %d", resp.StatusCode)
	}
	resp, _ := owner.post("/signout", url.Values{})
	if guarded(t, "signing out", resp); len(resp.Cookies()) != 1 || resp.Cookies()[0].MaxAge >= 0 || resp.Cookies()[0].Value != "" {
		t.Errorf("signing out sets %v", resp.Cookies())
	}
}

// mayPress is who may do what the console offers, said a second time: letters as in mayTable.
var mayPress = map[string]string{
	"/new/tenant":                                  "op",
	"/tenants/{tenant}/complete":                   "op!",
	"/tenants/{tenant}/disable":                    "op!",
	"/tenants/{tenant}/new/person":                 "op",
	"/tenants/{tenant}/people/{person}/enrol":      "oph",
	"/tenants/{tenant}/people/{person}/recover":    "oph",
	"/tenants/{tenant}/people/{person}/role":       "op",
	"/tenants/{tenant}/people/{person}/sessions":   "oph",
	"/tenants/{tenant}/people/{person}/access":     "oph",
	"/tenants/{tenant}/people/{person}/disable":    "op",
	"/tenants/{tenant}/new/client":                 "op!",
	"/tenants/{tenant}/clients/{client}/rotate":    "op!",
	"/tenants/{tenant}/clients/{client}/redirects": "op!",
	"/tenants/{tenant}/clients/{client}/disable":   "op!",
	"/tenants/{tenant}/new/api":                    "op!",
	"/tenants/{tenant}/apis/{api}/disable":         "op!",
	"/tenants/{tenant}/keys/rotate":                "op",
	"/tenants/{tenant}/keys/{key}/distrust":        "op",
	"/tenants/{tenant}/keys/{key}/give-back":       "op",
}

// TestEveryActByEveryRole presses every button of the console in every role, with a fresh touch, at a customer's tenant and at
// the operators' own. Who may not is told that it is their role, and leaves no entry. Whom one may act upon is another
// matter, see TestNobodyReachesAboveTheirRole.
func TestEveryActByEveryRole(t *testing.T) {
	_, acts := console.Pages()
	for _, pattern := range acts {
		want, known := mayPress[pattern]
		if !known {
			t.Errorf("%s: nobody has said who may", pattern)
			continue
		}
		h, staff, path := furnished(t)
		press := func(role tenant.Role, where string, may bool) {
			v := h.visitor(staff[role], time.Now())
			before := len(h.vaults.entries)
			resp, body := v.post("/console"+where, url.Values{"form": {v.token()}, "confirm": {"yes"}})
			refused := resp.StatusCode == http.StatusForbidden && strings.Contains(body, "the role "+string(role)+" may not")
			if refused == may || resp.StatusCode == http.StatusForbidden && !refused {
				t.Errorf("%s by %s: %d, but they may is %v\n%s", where, role, resp.StatusCode, may, body)
			}
			if !may && len(h.vaults.entries) > before {
				t.Errorf("%s by %s is recorded: %v", where, role, h.vaults.entries[before:])
			}
		}
		for _, may := range []bool{false, true} { // who may not comes first, while there is something to be done
			for role := range staff {
				if strings.Contains(want, letters[role]) == may {
					press(role, path(pattern), may)
				}
				own := may && (role == tenant.Owner || !strings.Contains(want, "!"))
				if strings.Contains(want, letters[role]) == may && !strings.Contains(pattern, "{person}") {
					press(role, strings.NewReplacer("{tenant}", tenant.Operators, "{client}", "nobody", "{api}", "nobody", "{key}", "nobody").Replace(pattern), own)
				}
			}
		}
	}
	for pattern := range mayPress {
		if !slices.Contains(acts, pattern) {
			t.Errorf("%s is in the table of this test, and the console has no such act", pattern)
		}
	}
}
