package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"seawall/internal/login"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// office is a console in front of an admin API that has one of everything, and that writes down what it is asked to do. Its
// rules are tested where they are, in package server; here it says what a test wants it to say.
type office struct {
	t       *testing.T
	console *Console
	api     *http.ServeMux
	now     time.Time
	done    []string // acts that were asked for, as the API's lines
	refuses error    // what acts are answered with; nil: they are done
	asked   []tenant.Interaction
	drafts  map[secret.Hash]tenant.Interaction
	log     bytes.Buffer
}

const officeBase = "https://id.example"

var officeNow = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{t: t, now: officeNow, drafts: map[secret.Hash]tenant.Interaction{}, api: http.NewServeMux()}
	for pattern, thing := range things {
		o.api.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			if err := json.NewEncoder(w).Encode(thing); err != nil {
				t.Error(err)
			}
		})
	}
	var err error
	o.console, err = New(Config{Base: officeBase, Door: o, Drafts: o, Log: slog.New(slog.NewTextHandler(&o.log, nil)), Now: func() time.Time { return o.now },
		Operate: func(string, time.Time) *adminapi.Operator { return adminapi.Over("http://seawall", o) }})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Current, Ask and FormToken make the office a door: who has the cookie is somebody, and their token is made of it.
func (o *office) Current(r *http.Request, _ *tenant.Tenant) (*login.SignIn, error) {
	c, err := r.Cookie("who")
	if err != nil {
		return nil, login.ErrNobody
	}
	return &login.SignIn{Person: c.Value, At: o.now}, nil
}

// Ask is for [Door].
func (o *office) Ask(w http.ResponseWriter, r *http.Request, _ *tenant.Tenant, i tenant.Interaction) error {
	o.asked = append(o.asked, i)
	http.Redirect(w, r, "/operators/signin?i=x", http.StatusSeeOther)
	return nil
}

// FormToken is for [Door].
func (o *office) FormToken(r *http.Request, _ *tenant.Tenant) string {
	c, err := r.Cookie("who")
	if err != nil {
		return ""
	}
	return "token-of-" + c.Value
}

// officeKey is the key of the one browser at which everybody here sits.
var officeKey = bytes.Repeat([]byte{7}, 32)

// DraftKey is for [Door]. Who is nobody has another browser.
func (o *office) DraftKey(r *http.Request, _ *tenant.Tenant) []byte {
	if _, err := r.Cookie("who"); err != nil {
		return nil
	}
	return officeKey
}

// SaveInteraction is for [Drafts].
func (o *office) SaveInteraction(_ context.Context, i tenant.Interaction) error {
	o.drafts[i.Hash] = i
	return nil
}

// Interaction is for [Drafts].
func (o *office) Interaction(_ context.Context, _ string, hash secret.Hash) (tenant.Interaction, error) {
	if i, ok := o.drafts[hash]; ok {
		return i, nil
	}
	return tenant.Interaction{}, tenant.ErrNotFound
}

// The one of everything. Whatever people choose has markup in it.
var (
	aTenant = adminapi.Tenant{Tenant: "acme", Class: "production", Issuer: officeBase + "/acme"}
	aPerson = adminapi.Person{Tenant: "acme", Subject: "ada1", Login: "ada@acme.example", Name: "Ada <b>Lovelace</b>", Kind: "human", Role: "auditor",
		Sessions: []adminapi.Session{{ID: "s1", Device: "Firefox <i>", Place: "192.0.2.7"}}}
	aClient = adminapi.Client{ClientID: "shop", Name: "Shop & <b>", Type: "web", Auth: "client_secret_basic", RedirectURIs: []string{"https://shop.example/cb"}}
	anAPI   = adminapi.API{APIID: "api-1", Audience: "https://orders.acme.example"}
)

// things are the answers of the admin API, by patterns of its lines.
var things = map[string]any{
	"GET /v1/self":                  adminapi.Self{Login: "owner", Role: "owner"},
	"GET /v1/status":                adminapi.Status{},
	"GET /v1/recoveries":            adminapi.Items[adminapi.WaitingRecovery]{},
	"GET /v1/entries":               adminapi.EntryPage{},
	"GET /v1/tenants":               adminapi.Items[adminapi.Tenant]{Items: []adminapi.Tenant{aTenant}},
	"GET /v1/tenants/{t}":           aTenant,
	"GET /v1/tenants/{t}/keys":      adminapi.Items[adminapi.Key]{Items: []adminapi.Key{{KID: "k1", State: "active", Family: "access"}, {KID: "k0", State: "suspended", Family: "access"}, {KID: "k-", State: "revoked", Family: "access"}, {KID: "k2", State: "active", Family: "id"}}},
	"POST /v1/tenants/{t}/distrust": adminapi.Distrusted{},
	"POST /v1/tenants/{t}/distrust/preview": adminapi.DistrustPreview{Tokens: 7, Subjects: 2, KeyState: "active", NextKey: "k9", NextKnown: officeNow.Add(time.Hour), LastEnds: officeNow.Add(time.Minute),
		Clients: []adminapi.Share{{Name: "shop <b>", Tokens: 6}, {Name: "wiki", Tokens: 1}}, APIs: []adminapi.Share{{Name: anAPI.Audience, Tokens: 7}}},
	"GET /v1/tenants/{t}/apis":               adminapi.Items[adminapi.API]{Items: []adminapi.API{anAPI}},
	"GET /v1/tenants/{t}/apis/{a}":           anAPI,
	"GET /v1/tenants/{t}/clients":            adminapi.Items[adminapi.Client]{Items: []adminapi.Client{aClient}},
	"GET /v1/tenants/{t}/clients/{c}":        aClient,
	"GET /v1/tenants/{t}/people":             adminapi.Items[adminapi.Person]{Items: []adminapi.Person{aPerson}},
	"GET /v1/tenants/{t}/people/{p}":         aPerson,
	"GET /v1/tenants/{t}/people/{p}/access":  adminapi.Accesses{Access: []adminapi.Access{{ID: "f1", Client: "shop", Name: "Shop"}}},
	"POST /v1/tenants/{t}/people/{p}/enrol":  adminapi.Link{Link: officeBase + "/acme/enrol#swe_prod_x"},
	"POST /v1/tenants/{t}/clients/{c}/{act}": aClient,
	"POST /v1/tenants/{t}/apis/{a}/disable":  anAPI,
	"POST /v1/tenants/{t}/{act}":             aTenant,
	"POST /v1/tenants/{t}/keys/rotate":       adminapi.Rotated{},
	"POST /v1/tenants/{t}/people/{p}/{act}":  aPerson,
	"POST /v1/tenants":                       aTenant,
	"POST /v1/tenants/{t}/people":            aPerson,
	"POST /v1/tenants/{t}/clients":           aClient,
	"POST /v1/tenants/{t}/apis":              anAPI,
	"POST /v1/tenants/{t}/people/{p}/access": adminapi.Accesses{},
}

// RoundTrip is the admin API.
func (o *office) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/preview") {
		o.done = append(o.done, r.Method+" "+r.URL.Path)
		refused := (*adminapi.Error)(nil)
		switch {
		case errors.As(o.refuses, &refused):
			w.WriteHeader(refused.Status)
			err := json.NewEncoder(w).Encode(refused)
			return w.Result(), err
		case o.refuses != nil:
			return nil, o.refuses
		}
	}
	o.api.ServeHTTP(w, r)
	return w.Result(), nil
}

// send asks the console, as somebody or as a stranger (""), from a page of origin.
func (o *office) send(who, method, path, origin string, form url.Values) (int, http.Header, string) {
	o.t.Helper()
	r := httptest.NewRequestWithContext(o.t.Context(), method, officeBase+"/operators/console"+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	if who != "" {
		r.AddCookie(&http.Cookie{Name: "who", Value: who})
	}
	w := httptest.NewRecorder()
	o.console.Serve(w, r, &tenant.Tenant{ID: tenant.Operators})
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return w.Code, w.Header(), string(body)
}

func (o *office) press(path string, form url.Values) (int, http.Header, string) {
	o.t.Helper()
	return o.send("owner", "POST", path, officeBase, form)
}

// oneOfEach names one of each thing in a path of the console.
var oneOfEach = strings.NewReplacer("{tenant}", "acme", "{person}", "ada1", "{client}", "shop", "{api}", "api-1", "{key}", "k1")

// where is the path of an act upon the one of each thing. What is given back is a key that was taken.
func where(act string) string {
	return oneOfEach.Replace(strings.Replace(act, "{key}/give-back", "k0/give-back", 1))
}

// filled is the form of an act as somebody would send it: every field that its page has, typed into, and the page's token.
func (o *office) filled(act string) url.Values {
	o.t.Helper()
	page := where(act)
	switch {
	case strings.HasSuffix(act, "/access"):
		page += "?id=f1"
	case strings.HasSuffix(act, "/new/client"):
		page += "?type=web"
	}
	status, _, body := o.send("owner", "GET", page, "", nil)
	if status != http.StatusOK {
		o.t.Fatalf("%s: %d\n%s", page, status, body)
	}
	form := url.Values{}
	for _, tag := range regexp.MustCompile(`<(?:input|textarea)[^>]*>`).FindAllString(body, -1) {
		attribute := func(name string) string {
			found := regexp.MustCompile(` ` + name + `="([^"]*)"`).FindStringSubmatch(tag)
			if found == nil {
				return ""
			}
			return html.UnescapeString(found[1])
		}
		name, value := attribute("name"), attribute("value")
		if kind := attribute("type"); value == "" && kind != "hidden" && attribute("inputmode") != "numeric" {
			value = "typed-" + name
		}
		if form.Get(name) == "" {
			form.Set(name, value)
		}
	}
	if form.Get(tokenField) != "token-of-owner" {
		o.t.Fatalf("%s has the token %q", page, form.Get(tokenField))
	}
	return form
}
