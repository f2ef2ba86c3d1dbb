package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"seawall/internal/testenv"
	"seawall/validate/validatetest"
)

const pinForTests = "swl1-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func goodGuardConfig() map[string]any {
	return map[string]any{
		"proxy":     "nginx",
		"issuers":   []any{map[string]any{"issuer": "https://id.example/acme", "pin": pinForTests}},
		"audiences": []any{"https://api.example"},
		"routes": []any{
			map[string]any{"prefix": "/orders", "methods": []any{"GET"}, "scopes": []any{"orders.read"}},
			map[string]any{"prefix": "/orders", "scopes": []any{"orders.write"}, "acr": []any{"phr"}, "max_auth_age": "15m"},
			map[string]any{"path": "/healthz", "methods": []any{"GET"}, "public": true},
		},
	}
}

func writeGuardConfig(t *testing.T, change func(map[string]any)) string {
	t.Helper()
	c := goodGuardConfig()
	change(c)
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "guard.json", string(text))
}

func TestGuardConfig(t *testing.T) {
	open := writeFile(t, "open", strings.Repeat("x", 64))
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	private, short := writeFile(t, "private", strings.Repeat("x", 64)+"\n"), writeFile(t, "short", "x\n")
	set := func(name string, v any) func(map[string]any) { return func(c map[string]any) { c[name] = v } }
	both := func(more ...func(map[string]any)) func(map[string]any) {
		return func(c map[string]any) {
			for _, m := range more {
				m(c)
			}
		}
	}
	reverse := func(c map[string]any) { delete(c, "proxy"); c["upstream"] = "http://127.0.0.1:9000" }
	route := func(name string, v any) func(map[string]any) {
		return func(c map[string]any) { c["routes"].([]any)[0].(map[string]any)[name] = v }
	}
	feed := func(id, secret, stale string) func(map[string]any) {
		return func(c map[string]any) {
			c["issuers"].([]any)[0].(map[string]any)["feed"] = map[string]any{"id": id, "secret_file": secret, "on_stale": stale}
		}
	}
	for name, one := range map[string]struct {
		change func(map[string]any)
		want   string // "" when it is fine
	}{
		"as it is":                    {func(map[string]any) {}, ""},
		"another proxy":               {set("proxy", "envoy"), ""},
		"a reverse proxy":             {reverse, ""},
		"a socket":                    {set("listen", "unix:/run/seawall/guard.sock"), ""},
		"a secret":                    {set("proxy_secret_file", private), ""},
		"unknown setting":             {set("proxi", "x"), `did you mean "proxy"`},
		"unknown setting in a route":  {route("metods", []any{"GET"}), `did you mean "methods"`},
		"neither":                     {func(c map[string]any) { delete(c, "proxy") }, "one of proxy and upstream"},
		"both":                        {set("upstream", "http://127.0.0.1:9000"), "one of proxy and upstream"},
		"an unknown proxy":            {set("proxy", "apache"), "no proxy that the guard knows"},
		"open to all":                 {set("listen", "0.0.0.0:80"), "taken for the proxy"},
		"open to all by name":         {set("listen", ":80"), "taken for the proxy"},
		"a secret in the clear":       {both(set("listen", "0.0.0.0:80"), set("proxy_secret_file", private)), "in the clear"},
		"a socket for everybody":      {both(set("listen", "unix:/run/guard.sock"), set("socket_mode", "0666")), "everybody on this machine"},
		"a relative socket":           {set("listen", "unix:guard.sock"), "absolute path"},
		"a mode in words":             {set("socket_mode", "rw"), "octal"},
		"a secret that all can read":  {set("proxy_secret_file", open), "chmod o= "},
		"a short secret":              {set("proxy_secret_file", short), "at least 32 characters"},
		"no such secret":              {set("proxy_secret_file", "nowhere"), "no such file"},
		"status for all":              {set("status", "0.0.0.0:81"), "on this machine only"},
		"clients in the clear":        {both(reverse, set("listen", "0.0.0.0:80")), "in the clear"},
		"clients behind HTTPS":        {both(reverse, set("listen", "0.0.0.0:80"), set("base", "https://api.example")), ""},
		"an API elsewhere":            {both(reverse, set("upstream", "http://api.internal")), "never leaves this machine"},
		"half a certificate":          {set("tls_cert", "cert.pem"), "go together"},
		"no routes":                   {set("routes", []any{}), "no routes"},
		"a route without a path":      {route("prefix", ""), "one of path and prefix"},
		"a pattern":                   {route("prefix", "/orders/{id}"), "no patterns"},
		"public without methods":      {set("routes", []any{map[string]any{"path": "/x", "public": true}}), "must name its methods"},
		"a number for a duration":     {route("max_auth_age", "900"), "write 90s, 15m or 1h"},
		"no issuer":                   {set("issuers", []any{}), "no issuer"},
		"an issuer without a pin":     {set("issuers", []any{map[string]any{"issuer": "https://id.example/acme"}}), "needs issuer and pin"},
		"a wrong pin":                 {set("issuers", []any{map[string]any{"issuer": "https://id.example/acme", "pin": "x"}}), "is not a ledger pin"},
		"no such pin file":            {set("issuers", []any{map[string]any{"pin_file": "nowhere.json"}}), "no such file"},
		"a pin file that isn't":       {set("issuers", []any{map[string]any{"pin_file": private}}), "pin"},
		"DPoP for no name":            {set("require_dpop", true), "without base"},
		"DPoP for a name":             {both(set("require_dpop", true), set("base", "https://api.example")), ""},
		"a feed":                      {feed("api_x", private, "refuse"), ""},
		"a feed that may be stale":    {feed("api_x", private, "15m"), ""},
		"a feed without a choice":     {feed("api_x", private, ""), `must be "refuse", or for how long`},
		"a feed without a name":       {feed("", private, "refuse"), "ID and Secret"},
		"a feed's secret for all":     {feed("api_x", open, "refuse"), "chmod o= "},
		"a feed stale for a week":     {feed("api_x", private, "168h"), "24h"},
		"no audience":                 {set("audiences", []any{}), "audiences"},
		"a long assertion":            {set("assertion_life", "5m"), "between 1 s and 30"},
		"a shared secret for signing": {set("assertion_algorithm", "HS256"), "ES256 or EdDSA"},
		"a header that is taken":      {set("identity_headers", map[string]any{"Authorization": "sub"}), "another meaning"},
		"a claim that isn't":          {set("identity_headers", map[string]any{"X-User": "email"}), `no claim "email"`},
		"a base with a path":          {set("base", "https://api.example/v1"), "scheme and host"},
		"a certificate's form":        {set("client_certificate", map[string]any{"header": "X-Cert", "form": "x509"}), "pem or der"},
	} {
		status, out, errs := say(t, "guard", "--check", "--config", writeGuardConfig(t, one.change))
		if one.want == "" && (status != exitOK || !strings.Contains(out, "is fine")) {
			t.Errorf("%s: status %d\n%s%s", name, status, out, errs)
		}
		if one.want != "" && (status == exitOK || !strings.Contains(errs, one.want)) {
			t.Errorf("%s: status %d, want %q\n%s%s", name, status, one.want, out, errs)
		}
	}
}

func TestGuardShowsItsRoutes(t *testing.T) {
	path := writeGuardConfig(t, func(map[string]any) {})
	_, out, _ := say(t, "guard", "--check", "--config", path)
	for _, want := range []string{
		"/orders/*   GET          a good token, scope orders.read\n",
		"/orders/*   all others   a good token, scope orders.write, acr phr, signed in within 15m0s\n",
		"/healthz    GET          nothing: it is public\n",
		"listen at http://127.0.0.1:8425; it answers nginx at /check, 3 routes.",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	var shown guardTable
	_, out, _ = say(t, "guard", "--check", "--json", "--config", path)
	if err := json.Unmarshal([]byte(out), &shown); err != nil || !shown.OK || len(shown.Routes) != 3 || shown.Routes[1].MaxAuthAge != 900 || shown.Routes[2].Scopes == nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, one := range []struct {
		method, path, want string
		status             int
	}{
		{"GET", "/orders/7?x=1", "scope orders.read", exitOK},
		{"DELETE", "/orders/7", "scope orders.write", exitOK},
		{"HEAD", "/healthz/", "public", exitOK},
		{"GET", "/", "no_route", exitNo},
		{"GET", "/healthz/../orders", "ends in a dot", exitNo},
		{"GET", "/Orders", "case of letters", exitNo},
	} {
		status, out, errs := say(t, "guard", "explain", one.method, one.path, "--config", path)
		if status != one.status || !strings.Contains(out, one.want) {
			t.Errorf("explain %s %s: status %d\n%s%s", one.method, one.path, status, out, errs)
		}
		_, out, _ = say(t, "guard", "explain", "--json", one.method, one.path, "--config", path)
		var answer map[string]any
		if err := json.Unmarshal([]byte(out), &answer); err != nil || answer["refused"] != (one.status == exitNo) {
			t.Errorf("explain --json %s %s: %v, %s", one.method, one.path, err, out)
		}
	}
	for _, wrong := range [][]string{{"guard"}, {"guard", "--proxy", "nginx"}, {"guard", "--config", path, "--proxy", "caddy"}, {"guard", "explain", "GET", "--config", path}} {
		if status, _, errs := say(t, wrong...); status != exitUsage {
			t.Errorf("%v: status %d\n%s", wrong, status, errs)
		}
	}
}

// TestGuardWaitsForItsKeys: it serves and refuses until the issuer answers, then says that it is ready; it writes its key
// set, and ends in order.
func TestGuardWaitsForItsKeys(t *testing.T) {
	var issuer *validatetest.Issuer
	var up atomic.Bool
	asked := make(chan bool, 100)
	house := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !up.Load() {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			asked <- true
			return
		}
		w.Write(issuer.Keys())
	}))
	defer house.Close()
	issuer = validatetest.NewIssuer(validatetest.Config{URL: house.URL})
	dir, status := testenv.Dir(t, 0), testenv.FreeAddress(t)
	config := writeGuardConfig(t, func(c map[string]any) {
		c["listen"], c["status"], c["jwks_file"] = "unix:"+filepath.Join(dir, "guard.sock"), status, filepath.Join(dir, "jwks.json")
		c["issuers"] = []any{map[string]any{"issuer": issuer.URL(), "pin": issuer.Pin()}}
	})
	ctx, stop := context.WithCancel(t.Context())
	var out, errs testenv.Transcript
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"guard", "--config", config}, new(bytes.Buffer), &out, &errs) }()
	<-asked
	if got := statusOf(t, "http://"+status+"/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("readyz without keys: %d", got)
	}
	if got := statusOf(t, "http://"+status+"/livez"); got != http.StatusOK || strings.Contains(out.String(), "ready at") {
		t.Errorf("livez without keys: %d, and it said\n%s", got, out.String())
	}
	up.Store(true)
	for deadline := time.Now().Add(time.Minute); !strings.Contains(out.String(), "seawall: guard ready at unix:"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not ready:\n%s%s", out.String(), errs.String())
		}
	}
	if got := statusOf(t, "http://"+status+"/readyz"); got != http.StatusOK {
		t.Errorf("readyz with keys: %d", got)
	}
	if set, err := os.ReadFile(filepath.Join(dir, "jwks.json")); err != nil || !bytes.Contains(set, []byte(`"kid"`)) {
		t.Errorf("its key set: %s, %v", set, err)
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("it ended with %d:\n%s", code, errs.String())
	}
}

// statusOf asks until somebody answers.
func statusOf(t *testing.T, address string) int {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		answer, err := http.Get(address)
		if err == nil {
			answer.Body.Close()
			return answer.StatusCode
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
