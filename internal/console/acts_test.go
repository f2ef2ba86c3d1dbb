package console

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
)

// does is the line of the admin API behind each act of the console.
var does = map[string]string{
	"/new/tenant":                                  "POST /v1/tenants",
	"/tenants/{tenant}/complete":                   "POST /v1/tenants/acme/complete",
	"/tenants/{tenant}/disable":                    "POST /v1/tenants/acme/disable",
	"/tenants/{tenant}/new/person":                 "POST /v1/tenants/acme/people",
	"/tenants/{tenant}/people/{person}/enrol":      "POST /v1/tenants/acme/people/ada1/enrol",
	"/tenants/{tenant}/people/{person}/recover":    "POST /v1/tenants/acme/people/ada1/recover",
	"/tenants/{tenant}/people/{person}/role":       "POST /v1/tenants/acme/people/ada1/role",
	"/tenants/{tenant}/people/{person}/sessions":   "POST /v1/tenants/acme/people/ada1/end-sessions",
	"/tenants/{tenant}/people/{person}/access":     "POST /v1/tenants/acme/people/ada1/access",
	"/tenants/{tenant}/people/{person}/disable":    "POST /v1/tenants/acme/people/ada1/disable",
	"/tenants/{tenant}/new/client":                 "POST /v1/tenants/acme/clients",
	"/tenants/{tenant}/clients/{client}/rotate":    "POST /v1/tenants/acme/clients/shop/rotate-secret",
	"/tenants/{tenant}/clients/{client}/redirects": "POST /v1/tenants/acme/clients/shop/redirects",
	"/tenants/{tenant}/clients/{client}/disable":   "POST /v1/tenants/acme/clients/shop/disable",
	"/tenants/{tenant}/new/api":                    "POST /v1/tenants/acme/apis",
	"/tenants/{tenant}/apis/{api}/disable":         "POST /v1/tenants/acme/apis/api-1/disable",
	"/tenants/{tenant}/keys/rotate":                "POST /v1/tenants/acme/keys/rotate",
	"/tenants/{tenant}/keys/{key}/distrust":        "POST /v1/tenants/acme/distrust",
	"/tenants/{tenant}/keys/{key}/give-back":       "POST /v1/tenants/acme/distrust",
}

// TestEveryActIsOneAct: a button that is pressed asks the admin API for one thing, and for the thing that it says.
func TestEveryActIsOneAct(t *testing.T) {
	_, acts := Pages()
	if len(acts) != len(does) {
		t.Errorf("%d acts, and this test knows %d", len(acts), len(does))
	}
	for _, act := range acts {
		o := newOffice(t)
		form := o.filled(act)
		if len(o.done) > 0 {
			t.Errorf("%s: looking did %v", act, o.done)
		}
		status, header, body := o.press(where(act), form)
		if !slices.Equal(o.done, []string{does[act]}) {
			t.Errorf("%s does %v, want %s", act, o.done, does[act])
		}
		if led := header.Get("Location"); status != http.StatusOK && (status != http.StatusSeeOther || !strings.HasPrefix(led, "/operators/console/") || !strings.Contains(led, "?done=")) {
			t.Errorf("%s: %d to %q\n%s", act, status, led, body)
		}
	}
}

// TestEveryActWantsItsToken: without the token of this very session, from another site, by a stranger or by looking, nothing is
// asked of the admin API; and what was typed is there to be pressed once more.
func TestEveryActWantsItsToken(t *testing.T) {
	o := newOffice(t)
	_, acts := Pages()
	for _, act := range acts {
		path, form := where(act), o.filled(act)
		for name, token := range map[string][]string{"no": nil, "an empty": {""}, "a made-up": {"x"}, "another session's": {"token-of-mallory"}, "a doubled": {"token-of-owner", "token-of-owner"}} {
			with := maps.Clone(form)
			with[tokenField] = token
			status, _, body := o.press(path, with)
			if status != http.StatusForbidden || !strings.Contains(body, "from before you signed in") || !strings.Contains(body, `value="token-of-owner"`) {
				t.Errorf("%s with %s token: %d\n%s", act, name, status, body)
			}
			for field := range form {
				if field != tokenField && strings.HasPrefix(form.Get(field), "typed-") && !strings.Contains(body, form.Get(field)) {
					t.Errorf("%s with %s token: what was typed as %s is lost", act, name, field)
				}
			}
		}
		for _, origin := range []string{"https://evil.example", "https://sub.id.example", "https://id.example:8443", "null"} {
			if status, _, body := o.send("owner", "POST", path, origin, form); status != http.StatusForbidden || !strings.Contains(body, "came from another site") {
				t.Errorf("%s from %s: %d\n%s", act, origin, status, body)
			}
		}
		for _, method := range []string{"GET", "HEAD"} {
			if status, _, _ := o.send("owner", method, path+"?"+form.Encode(), "", nil); status >= 500 {
				t.Errorf("%s by %s: %d", act, method, status)
			}
		}
		for _, method := range []string{"PUT", "PATCH", "DELETE"} {
			if status, _, _ := o.send("owner", method, path, officeBase, form); status != http.StatusMethodNotAllowed {
				t.Errorf("%s by %s: %d", act, method, status)
			}
		}
		if status, header, _ := o.send("", "POST", path, officeBase, form); status != http.StatusSeeOther || header.Get("Location") != "/operators/signin" {
			t.Errorf("%s by a stranger: %d to %s", act, status, header.Get("Location"))
		}
	}
	if len(o.done) > 0 || len(o.drafts) > 0 {
		t.Errorf("done: %v, kept: %d", o.done, len(o.drafts))
	}
}

// TestEveryActComesBackFromATouch: when the admin API wants a fresh touch, what was typed is kept for its person and its page,
// without the token, and the browser comes back to it as it was.
func TestEveryActComesBackFromATouch(t *testing.T) {
	_, acts := Pages()
	for _, act := range acts {
		o := newOffice(t)
		path, form := where(act), o.filled(act)
		o.refuses = &adminapi.Error{Code: adminapi.CodeStepUp, Status: http.StatusUnauthorized, Description: "the touch was too long ago", MaxAge: 300}
		if status, header, body := o.press(path, form); status != http.StatusSeeOther || header.Get("Location") != "/operators/signin?i=x" || len(o.asked) != 1 {
			t.Errorf("%s: %d to %q\n%s", act, status, header.Get("Location"), body)
			continue
		}
		back := o.asked[0]
		handle, found := strings.CutPrefix(back.Next, "/console"+path+"?draft=")
		if !found || back.Person != "owner" || !back.After.Equal(o.now) || back.MetBy("owner", o.now.Add(-1), "phr") {
			t.Errorf("%s asks for %+v", act, back)
		}
		draft, kept := o.drafts[secret.New(handle).Hash()]
		typed, opens := unseal(o.DraftKey(httptest.NewRequest("GET", "/", nil), nil), draft.Draft)
		if !kept || draft.Person != "owner" || len(o.drafts) != 1 || opens || bytes.Contains(draft.Draft, []byte("typed-")) {
			t.Errorf("%s keeps %+v, which opens for anybody: %v", act, o.drafts, typed)
		}
		if typed, opens = unseal(officeKey, draft.Draft); !opens || typed[tokenField] != nil || len(typed) != len(form)-1 {
			t.Errorf("%s keeps %v of %v", act, typed, form)
		}
		o.refuses = nil
		before := len(o.done)
		status, _, body := o.send("owner", "GET", strings.TrimPrefix(back.Next, "/console"), "", nil)
		if status != http.StatusOK || !strings.Contains(body, "Nothing is done yet") || len(o.done) != before {
			t.Errorf("%s, back again: %d\n%s", act, status, body)
		}
		for field := range form {
			if strings.HasPrefix(form.Get(field), "typed-") && !strings.Contains(body, form.Get(field)) {
				t.Errorf("%s, back again: what was typed as %s is lost", act, field)
			}
		}
		if _, _, body := o.send("mallory", "GET", strings.TrimPrefix(back.Next, "/console"), "", nil); strings.Contains(body, "Nothing is done yet") {
			t.Errorf("%s: somebody else sees what was typed", act)
		}
		for _, elsewhere := range []string{"/new/tenant", "/tenants/acme/disable"} {
			if _, _, body := o.send("owner", "GET", elsewhere+"?draft="+handle, "", nil); elsewhere != path && strings.Contains(body, "Nothing is done yet") {
				t.Errorf("%s: what was typed there is shown at %s", act, elsewhere)
			}
		}
	}
}

// TestEveryRefusalIsTold in the admin API's words, with its status, on the page that was pressed; what nobody foresaw is an
// incident with a number, and its cause stays in the log.
func TestEveryRefusalIsTold(t *testing.T) {
	_, acts := Pages()
	for _, act := range acts {
		o := newOffice(t)
		path, form := where(act), o.filled(act)
		o.refuses = &adminapi.Error{Code: adminapi.CodeConflict, Status: http.StatusConflict, Description: "there is already <one>", Hint: "look at & choose"}
		status, header, body := o.press(path, form)
		if status != http.StatusConflict || !strings.Contains(body, html.EscapeString("there is already <one>")) || !strings.Contains(body, "look at &amp; choose") || !strings.Contains(body, `role="alert"`) || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s refused: %d\n%s", act, status, body)
		}
		for _, never := range []string{"<b>Lovelace", "<one>", "Firefox <i>"} {
			if strings.Contains(body, never) {
				t.Errorf("%s has markup that somebody typed: %s", act, never)
			}
		}
		o.refuses = errors.New("the wire to 10.0.0.7 broke")
		status, _, body = o.press(path, form)
		if status != http.StatusInternalServerError || !strings.Contains(body, "incident") || strings.Contains(body, "10.0.0.7") || !strings.Contains(o.log.String(), "10.0.0.7") {
			t.Errorf("%s while something is broken: %d\n%s\n%s", act, status, body, &o.log)
		}
	}
}

// TestEveryBoxIsAsked: what the command line wants --yes for is not done by a button alone, and the page that asks is the one whose
// act looks.
func TestEveryBoxIsAsked(t *testing.T) {
	_, acts := Pages()
	asked := 0
	for _, act := range acts {
		o := newOffice(t)
		form := o.filled(act)
		if !form.Has(confirmField) {
			continue
		}
		asked++
		for name, word := range map[string][]string{"no word": nil, "another word": {"no"}, "an empty word": {""}} {
			with := maps.Clone(form)
			with[confirmField] = word
			status, _, body := o.press(where(act), with)
			if status != http.StatusBadRequest || !strings.Contains(body, "it wants to be confirmed") || len(o.done) > 0 {
				t.Errorf("%s with %s: %d, and did %v\n%s", act, name, status, o.done, body)
			}
		}
	}
	if asked != 7 {
		t.Errorf("%d acts ask", asked)
	}
}

// TestASessionThatIsOver: a page that was about one session says so, and does not become one about all of them.
func TestASessionThatIsOver(t *testing.T) {
	o := newOffice(t)
	path := "/tenants/acme/people/ada1/sessions"
	for session, want := range map[string]string{"": "200 End all", "?session=s1": "200 End this", "?session=gone": "404 is over"} {
		status, _, body := o.send("owner", "GET", path+session, "", nil)
		if code, words, _ := strings.Cut(want, " "); fmt.Sprint(status) != code || !strings.Contains(body, words) {
			t.Errorf("%q: %d, want %s\n%s", session, status, want, body)
		}
	}
	if o.press(path, url.Values{tokenField: {"token-of-owner"}, "session": {"s1"}}); len(o.done) != 1 {
		t.Errorf("ending one: %v", o.done)
	}
}
