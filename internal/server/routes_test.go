package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
	"seawall/internal/testenv"
)

func TestRoutes(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	for _, path := range []string{
		"/", "/acme", "/acme/", "/acme/tokens", "/acme/token/", "/acme//token", "//acme/token", "/ACME/token", "/acme/%6Awks/", "/nobody/token", "/nobody/jwks",
		"/acme/../acme/token", "/./acme/token", "/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/",
		"/.well-known/oauth-authorization-server/nobody", "/.well-known/oauth-authorization-server/acme/", "/.well-known/oauth-authorization-server/acme/x",
		"/.well-known/openid-configuration", "/.well-known/openid-configuration/acme", "/healthz/", "/v1/tenants", "/acme/v1/tenants", "/acme\x00/token",
		"/" + strings.Repeat("a", 64) + "/token", "/xn--acme/token", "/admin/token",
	} {
		r := rawRequest(t, h, "POST "+strings.ReplaceAll(path, "\x00", "%00")+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		r.wants(t, path, 404, "not_found", "nothing at this address")
	}
	for path, methods := range map[string]string{
		"/acme/token": "POST", "/acme/introspect": "POST", "/acme/jwks": "GET, HEAD", "/acme/.well-known/oauth-authorization-server": "GET, HEAD",
		"/.well-known/oauth-authorization-server/acme": "GET, HEAD", "/acme/.well-known/openid-configuration": "GET, HEAD", "/healthz": "GET, HEAD", "/readyz": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"} {
			r := h.do(method, path, "")
			if strings.Contains(methods, method) {
				if r.status == 405 || r.status == 404 {
					t.Errorf("%s %s: %d", method, path, r.status)
				}
				continue
			}
			if r.status != 405 || r.header.Get("Allow") != methods {
				t.Errorf("%s %s: %d, Allow %q, want 405 and %q", method, path, r.status, r.header.Get("Allow"), methods)
			}
		}
		r := h.do("GET", path, "")
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Strict-Transport-Security": ""} {
			if got := r.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

// TestBrowsersGetPages: a person may follow the base URL or an issuer as we print them. Programs get the same error as before.
func TestBrowsersGetPages(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	gone, err := h.op.CreateTenant(t.Context(), adminapi.CreateTenant{Tenant: "gone", Class: "staging", Owner: "o@gone.example", Contacts: []string{"a@gone.example", "b@gone.example"}})
	must(t, gone, err)
	gone, err = h.op.DisableTenant(t.Context(), "gone")
	must(t, gone, err)
	browser := []string{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}
	for path, want := range map[string]struct {
		status int
		words  string
	}{
		"/":              {200, "This is a seawall"},
		"/nobody":        {404, "There is no such page."},
		"/nobody/signin": {404, "There is no such page."},
		"/nobody/jwks":   {404, "There is no such page."},
		"/acme/nothing":  {404, "Go to sign-in"},
		"/acme":          {303, "/acme/account"},
		"/acme/":         {303, "/acme/account"},
		"/gone":          {404, "There is no such page."},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			r := h.do(method, path, "", browser...)
			said := string(r.body) + r.header.Get("Location")
			if r.status != want.status || method == "GET" && !strings.Contains(said, want.words) || r.header.Get("Content-Security-Policy") == "" || r.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %d %s %v", method, path, r.status, said, r.header)
			}
		}
		h.do("POST", path, "", browser...).wants(t, path, 404, "not_found", "nothing at this address")
		h.do("GET", path, "").wants(t, path, 404, "not_found", "nothing at this address")
	}
}

// rawRequest sends exactly these bytes.
func rawRequest(t *testing.T, h *testHouse, text string) response {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(h.base, "http://"))
	must(t, c, err)
	defer c.Close()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	must(t, resp, err)
	defer resp.Body.Close()
	var body strings.Builder
	if _, err := bufio.NewReader(resp.Body).WriteTo(&body); err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, []byte(body.String())}
}

// TestHostIsIgnored: an issuer is looked up by path alone (zitadel once built it from Host and Forwarded).
func TestHostIsIgnored(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	r := rawRequest(t, h, "GET /acme/.well-known/openid-configuration HTTP/1.1\r\nHost: evil.example\r\nForwarded: host=evil.example;proto=https\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n\r\n")
	if r.json(t)["issuer"] != h.base+"/acme" || strings.Contains(string(r.body), "evil") {
		t.Errorf("the document follows the header: %s", r.body)
	}
}

func TestNoCredentialInURL(t *testing.T) {
	h := newHouse(t, options{})
	api, client := h.acme()
	for _, path := range []string{
		"/acme/token?client_secret=" + client.Secret, "/acme/token?grant_type=client_credentials", "/acme/introspect?token=x", "/acme/introspect?x=" + api.Secret,
	} {
		r := h.post(path, "grant_type=client_credentials&token=x", client.ClientID, client.Secret)
		if r.status != 400 || !strings.Contains(fmt.Sprint(r.json(t)["error_description"]), "URL") {
			t.Errorf("%s: %d", strings.SplitAfter(path, "=")[0], r.status)
		}
	}
	for _, query := range []string{"access_token=x", "ACCESS_TOKEN=x", "client_assertion=x", "a=1&code=x", "x=" + client.Secret, "x=" + h.token(client)} {
		h.do("GET", "/acme/jwks?"+query, "").wants(t, query[:6], 400, "invalid_request", "must never be part of a URL")
	}
	if r := h.do("GET", "/acme/jwks?v=2", ""); r.status != 200 {
		t.Errorf("a harmless query: %d", r.status)
	}
}

func TestDuplicateHeadersAndLimits(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	form := "Content-Type: application/x-www-form-urlencoded\r\n"
	request := func(head, body string) response {
		return rawRequest(t, h, fmt.Sprintf("POST /acme/token HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n%s", len(body), head, body))
	}
	request(form+"Authorization: Basic Y2k6eA==\r\nAuthorization: Basic Y2k6eA==\r\n", "grant_type=client_credentials").wants(t, "two Authorization", 400, "invalid_request", "more than one Authorization")
	request(form+form, "grant_type=client_credentials").wants(t, "two Content-Type", 400, "invalid_request", "exactly one Content-Type")
	request(form, "grant_type=a&grant_type=b").wants(t, "repeated parameter", 400, "invalid_request", "repeated")
	request(form, "a="+strings.Repeat("b", 16<<10)).wants(t, "long body", 413, "invalid_request", "longer than 16 KiB")
	long, err := http.NewRequestWithContext(t.Context(), "GET", h.base+"/healthz", nil)
	must(t, long, err)
	long.Header.Set("X-Long", strings.Repeat("x", 32<<10))
	// The server closes while the rest of the header is on its way, so its answer may be lost.
	if resp, err := http.DefaultTransport.RoundTrip(long); err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("long header: %d", resp.StatusCode)
		}
	}
}

// TestSlowRequestsEnd: half a header and half a body hold a place for a while and no longer.
func TestSlowRequestsEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t, options{})
	h.acme()
	var waiting sync.WaitGroup
	for name, text := range map[string]string{
		"half a header":       "POST /acme/token HTTP/1.1\r\nHost: x\r\n",
		"half a body":         "POST /acme/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_type=",
		"half of a passkey":   "POST /acme/signin/finish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"half of a decision":  "POST /acme/consent HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ni=",
		"a chunk and no more": "POST /acme/introspect HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ntoken=\r\n",
	} {
		waiting.Go(func() {
			c, err := net.Dial("tcp", strings.TrimPrefix(h.base, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			err = c.SetDeadline(time.Now().Add(time.Minute)) // a house without patience's end is a failure, and no hang
			if err == nil {
				_, err = io.WriteString(c, text)
			}
			if err == nil {
				_, err = io.ReadAll(c)
			}
			if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
				t.Errorf("%s: it is still waited for", name)
			}
		})
	}
	waiting.Wait()
}

// panicky is a registry whose code is broken.
type panicky struct{ Registry }

func (panicky) Generation() uint64 { return 1 }
func (panicky) Tenant(context.Context, string) (tenant.Tenant, error) {
	panic("index out of range with client_secret=" + secret.Generate(secret.ClientSecret, secret.Production).Reveal())
}

// failing registry: an error that nobody classified.
type brokenRegistry struct{ Registry }

func (brokenRegistry) Generation() uint64 { return 1 }
func (brokenRegistry) Tenant(context.Context, string) (tenant.Tenant, error) {
	return tenant.Tenant{}, errors.New("database disk image is malformed: /var/lib/seawall")
}

func TestIncidents(t *testing.T) {
	for name, registry := range map[string]Registry{"panic": panicky{}, "error": brokenRegistry{}} {
		h := newHouse(t, options{})
		h.directory.registry = registry
		r := h.do("GET", "/acme/jwks", "")
		r.wants(t, name, 500, "server_error", "incident ")
		_, incident, _ := strings.Cut(fmt.Sprint(r.json(t)["error_description"]), "incident ")
		incident, _, _ = strings.Cut(incident, " ")
		if len(incident) < 20 || !strings.Contains(h.log.String(), incident) {
			t.Errorf("%s: the log does not know incident %q", name, incident)
		}
		for _, leak := range []string{"client_secret=", "swc_", "[redacted]", "index out"} {
			if strings.Contains(h.log.String()+string(r.body), leak) {
				t.Errorf("%s: %q leaks what was in the panic", name, leak)
			}
		}
		if strings.Contains(string(r.body), "malformed") {
			t.Errorf("%s: the cause reaches the client", name)
		}
		if h.do("GET", "/healthz", "").status != 200 {
			t.Errorf("%s: the house is dead", name)
		}
		h.directory.registry = h.store
	}
}

// TestBaseWithPath serves tenants below a path, as behind a proxy that shares a host.
func TestBaseWithPath(t *testing.T) {
	address := testenv.FreeAddress(t)
	h := newHouse(t, options{base: "http://" + address + "/id"})
	tenant, err := h.op.Tenants(t.Context())
	if err != nil || len(tenant) != 0 {
		t.Fatal(tenant, err)
	}
	_, client := h.acme()
	h.base = "http://" + address
	if r := h.post("/id/acme/token", "grant_type=client_credentials", client.ClientID, client.Secret); r.status != 200 {
		t.Errorf("token: %d", r.status)
	}
	for _, path := range []string{"/id/acme/jwks", "/id/acme/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/id/acme", "/healthz", "/readyz"} {
		if r := h.do("GET", path, ""); r.status != 200 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	for _, path := range []string{"/acme/jwks", "/idacme/jwks", "/id/id/acme/jwks", "/.well-known/oauth-authorization-server/acme"} {
		h.do("GET", path, "").wants(t, path, 404, "not_found", "nothing")
	}
}

func TestHTTPSBaseSendsHSTS(t *testing.T) {
	h := newHouse(t, options{base: "https://id.example"})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
	if w.Header().Get("Strict-Transport-Security") == "" {
		t.Error("no Strict-Transport-Security under an https base URL")
	}
}

// TestConnectionLimit: beyond the limit connections wait, and are served when another ends.
func TestConnectionLimit(t *testing.T) {
	h := newHouse(t, options{change: func(c *Config) { c.MaxConnections = 2 }})
	address := strings.TrimPrefix(h.base, "http://")
	first, err := net.Dial("tcp", address)
	must(t, first, err)
	second, err := net.Dial("tcp", address)
	must(t, second, err)
	defer second.Close()
	for _, c := range []net.Conn{first, second} {
		if _, err := c.Write([]byte("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(err)
		}
	}
	done := make(chan int)
	go func() {
		done <- h.do("GET", "/healthz", "").status
	}()
	select {
	case status := <-done:
		t.Errorf("a third connection was answered (%d) while two were open", status)
	case <-time.After(50 * time.Millisecond):
	}
	first.Close()
	if status := <-done; status != 200 {
		t.Errorf("the third connection got %d when there was room", status)
	}
}

func FuzzSplit(f *testing.F) {
	for _, path := range []string{"/acme/token", "/", "", "/.well-known/oauth-authorization-server/acme", "//", "/a/.well-known/openid-configuration"} {
		f.Add(path, "")
		f.Add(path, "/id")
	}
	f.Fuzz(func(t *testing.T, path, prefix string) {
		s := &Server{prefix: prefix}
		id, rest := s.split(path)
		if strings.Contains(id, "/") {
			t.Fatalf("%q: the tenant is %q", path, id)
		}
		if e, methods := s.endpoint(rest); (e == nil) != (methods == "") {
			t.Fatal("an endpoint without methods")
		}
		if rest != "" && rest != pathOAuth && prefix+"/"+id+rest != path {
			t.Fatalf("%q is taken apart into %q and %q", path, id, rest)
		}
	})
}
