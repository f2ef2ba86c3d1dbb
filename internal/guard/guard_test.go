package guard

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"seawall/internal/secret"
	"seawall/validate"
	"seawall/validate/validatetest"
)

const audience = "https://api.example"

// post is a guard at work, with the issuer that it trusts and an API behind it that tells what reaches it.
type post struct {
	*Guard
	issuer *validatetest.Issuer
	url    string
	api    chan *http.Request // what reached the API; its body is in the header X-Test-Body
}

// stand sets a guard up. change may alter the configuration.
func stand(t *testing.T, change func(*Config), judge ...func(*validate.Config)) *post {
	t.Helper()
	p := &post{issuer: validatetest.NewIssuer(validatetest.Config{}), api: make(chan *http.Request, 16)}
	rules := validate.Config{Issuers: []validate.Issuer{p.issuer.Trusted()}, Audiences: []string{audience}, Now: p.issuer.Clock().Now}
	for _, j := range judge {
		j(&rules)
	}
	v, err := validate.New(rules)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	c := Config{
		Validator: v, Audience: audience, Log: slog.New(slog.DiscardHandler), Now: p.issuer.Clock().Now,
		Routes: []Route{
			{Path: "/", Prefix: true, Scopes: []string{"read"}},
			{Path: "/admin", Prefix: true, Scopes: []string{"read", "admin"}},
			{Path: "/healthz", Methods: []string{"GET"}, Public: true},
		},
	}
	change(&c)
	if p.Guard, err = New(c); err != nil {
		t.Fatal(err)
	}
	a := Address{"tcp", "127.0.0.1:0"}
	l, err := a.Listen(0, 64)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, c.Log, Door{Listener: l, Handler: p.Handler()}) }()
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serving ended with %v", err)
		}
	})
	p.url = "http://" + l.Addr().String()
	return p
}

// why is the code of a refusal: the guard's own, or the one in a challenge.
func why(answer *http.Response) string {
	if code := answer.Header.Get(RefusalHeader); code != "" {
		return code
	}
	_, after, _ := strings.Cut(answer.Header.Get("WWW-Authenticate"), `error_description="`)
	code, _, _ := strings.Cut(after, `"`)
	return code
}

// seen is the status that a proxy passes on.
func (p Proxy) seen(status int) int {
	if p == Nginx && status == 400 {
		return 403
	}
	return status
}

// behind makes the configuration of a reverse proxy in front of an API of the test.
func behind(t *testing.T, seen func() chan *http.Request, more ...func(*Config)) func(*Config) {
	return func(c *Config) {
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Header.Set("X-Test-Body", string(body))
			r.Header.Set("X-Test-Trailers", fmt.Sprint(len(r.Trailer)))
			seen() <- r
			w.Header().Set(AssertionHeader, "leaked")
			fmt.Fprint(w, "hello")
		}))
		t.Cleanup(api.Close)
		var err error
		if c.Upstream, err = Upstream(api.URL); err != nil {
			t.Fatal(err)
		}
		for _, m := range more {
			m(c)
		}
	}
}

func (p *post) token(scope string, defects ...validatetest.Defect) string {
	return p.issuer.Token(validatetest.Claims{"aud": audience, "scope": scope, "sub": "alice", "client_id": "ci"}, defects...)
}

// ask sends one request with its headers just so.
func ask(t *testing.T, method, address string, header http.Header) *http.Response {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{Method: method, URL: u, Host: u.Host, Header: header}
	answer, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// question is how each proxy asks about a request, after its own documentation and source.
func question(t *testing.T, p *post, method, target string, header http.Header) *http.Response {
	t.Helper()
	h := header.Clone()
	address, how := p.url+CheckPath, "GET"
	switch p.config.Proxy {
	case Nginx: // ngx_http_auth_request_module makes a GET; the two headers are set by docs/nginx.conf
		h["X-Original-Method"], h["X-Original-URI"] = []string{method}, []string{target}
	case Caddy: // modules/caddyhttp/reverseproxy/forwardauth: GET, and header_up sets the two
		h["X-Forwarded-Method"], h["X-Forwarded-Uri"] = []string{method}, []string{target}
		h["X-Forwarded-For"], h["X-Forwarded-Proto"], h["X-Forwarded-Host"] = []string{"192.0.2.1"}, []string{"https"}, []string{"api.example"}
	case Traefik: // pkg/middlewares/auth/forward.go, writeHeader
		h["X-Forwarded-Method"], h["X-Forwarded-Uri"] = []string{method}, []string{target}
		h["X-Forwarded-For"], h["X-Forwarded-Proto"], h["X-Forwarded-Host"] = []string{"192.0.2.1"}, []string{"https"}, []string{"api.example"}
	case Envoy: // source/extensions/filters/common/ext_authz: the method itself, path_prefix in front of :path, no body
		h["Content-Length"] = []string{"0"}
		return raw(t, p, method, CheckPath+target, h)
	}
	return ask(t, how, address, h)
}

// raw writes a request by hand, so that no client tidies it up.
func raw(t *testing.T, p *post, method, target string, h http.Header) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: api.example\r\n", method, target)
	for name, values := range h {
		for _, value := range values {
			fmt.Fprintf(conn, "%s: %s\r\n", name, value)
		}
	}
	fmt.Fprint(conn, "\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// told decodes an assertion after checking its signature with the guard's published key, as an API would.
func (p *post) told(t *testing.T, assertion string) map[string]any {
	t.Helper()
	payload := verifyAssertion(t, p.JWKS(), assertion)
	var said map[string]any
	if err := json.Unmarshal(payload, &said); err != nil {
		t.Fatal(err)
	}
	return said
}

func TestEveryProxyAsksInItsOwnWay(t *testing.T) {
	for _, kind := range Proxies() {
		p := stand(t, func(c *Config) { c.Proxy = kind })
		for _, c := range []struct {
			what, method, target string
			header               http.Header
			status               int
			code                 string
		}{
			{"a good token", "GET", "/orders/7?x=1", bearer(p.token("read")), 200, ""},
			{"another method", "DELETE", "/orders/7", bearer(p.token("read")), 200, ""},
			{"no token", "GET", "/orders", http.Header{}, 401, ""},
			{"an expired token", "GET", "/orders", bearer(p.token("read", validatetest.Expired)), 401, "expired"},
			{"a forged token", "GET", "/orders", bearer(p.token("read", validatetest.BadSignature)), 401, "signature"},
			{"a stolen key's token", "GET", "/orders", bearer(p.token("read", validatetest.NoReceipt)), 401, "receipt_missing"},
			{"too little", "GET", "/admin", bearer(p.token("read")), 403, "insufficient_scope"},
			{"enough", "GET", "/admin/x", bearer(p.token("admin read")), 200, ""},
			{"public", "GET", "/healthz", http.Header{}, 200, ""},
			{"public, but not for this", "POST", "/healthz", http.Header{}, 403, "no_route"},
			{"a path game", "GET", "/healthz/../admin", bearer(p.token("read")), 400, "path"},
			{"an encoded path game", "GET", "/healthz/%2e%2e/admin", bearer(p.token("read")), 400, "path"},
			{"two slashes", "GET", "//admin", bearer(p.token("read")), 400, "path"},
			{"another case", "GET", "/ADMIN", bearer(p.token("read")), 400, "path"},
			{"two tokens", "GET", "/orders", http.Header{"Authorization": {"Bearer " + p.token("read"), "Bearer " + p.token("read")}}, 400, "request"},
			{"an assertion of the client's", "GET", "/orders", with(bearer(p.token("read")), AssertionHeader, "forged"), 400, "header"},
			{"one spelled for CGI", "GET", "/orders", with(bearer(p.token("read")), "seawall_assertion", "forged"), 400, "header"},
			{"another method inside", "GET", "/orders", with(bearer(p.token("read")), "X-HTTP-Method-Override", "DELETE"), 400, "header"},
			{"another path inside", "GET", "/orders", with(bearer(p.token("read")), "X-Rewrite-URL", "/admin"), 400, "header"},
			{"TRACE", "TRACE", "/orders", bearer(p.token("read")), 403, "method"},
			{"a method in small letters", "get", "/orders", bearer(p.token("read")), 403, "method"},
		} {
			answer := question(t, p, c.method, c.target, c.header)
			if want := kind.seen(c.status); answer.StatusCode != want || why(answer) != c.code {
				t.Errorf("%s, %s: %d %q, want %d %q", kind, c.what, answer.StatusCode, why(answer), want, c.code)
				continue
			}
			assertion := answer.Header.Get(AssertionHeader)
			if (assertion != "") != (c.status == 200) {
				t.Errorf("%s, %s: an assertion of %d bytes", kind, c.what, len(assertion))
			}
			if c.status != 200 {
				continue
			}
			said := p.told(t, assertion)
			wantPath, _, _ := strings.Cut(c.target, "?")
			if said["method"] != c.method || said["path"] != wantPath || said["aud"] != audience {
				t.Errorf("%s, %s: the assertion says %v", kind, c.what, said)
			}
			if public := c.what == "public"; (said["public"] == true) != public || (said["sub"] == nil) != public {
				t.Errorf("%s, %s: the assertion says %v", kind, c.what, said)
			}
		}
	}
}

func with(h http.Header, name, value string) http.Header {
	h = h.Clone()
	h[name] = append(h[name], value)
	return h
}

// TestOnlyTheProxysOwnWordCounts: what a client adds in another proxy's way of asking, or in another spelling, is never what
// is authorised.
func TestOnlyTheProxysOwnWordCounts(t *testing.T) {
	for _, kind := range Proxies() {
		p := stand(t, func(c *Config) { c.Proxy = kind })
		token := p.token("read")
		for _, c := range []struct{ name, value string }{
			{"X-Original-URI", "/healthz"}, {"X-Forwarded-Uri", "/healthz"}, {"X_Original_URI", "/healthz"}, {"X_Forwarded_Uri", "/healthz"},
			{"X-Original-Method", "GET"}, {"X-Forwarded-Method", "GET"}, {"X-Forwarded-Path", "/healthz"},
		} {
			answer := question(t, p, "POST", "/admin", with(bearer(token), c.name, c.value))
			if answer.StatusCode == 200 {
				t.Errorf("%s: %s: %s opened /admin", kind, c.name, c.value)
			}
		}
		// Said twice, it is not known what is asked.
		if method, target := kind.names(); method != "" {
			for _, name := range []string{method, target} {
				h := http.Header{"Authorization": {"Bearer " + token}, method: {"GET"}, target: {"/orders"}}
				h[name] = append(h[name], h[name][0])
				if answer := ask(t, "GET", p.url+CheckPath, h); why(answer) != "not_asked" {
					t.Errorf("%s: two %s: %d", kind, name, answer.StatusCode)
				}
			}
			h := http.Header{"Authorization": {"Bearer " + token}}
			if answer := ask(t, "GET", p.url+CheckPath, h); why(answer) != "not_asked" {
				t.Errorf("%s: nothing asked: %d", kind, answer.StatusCode)
			}
		}
	}
}

func TestOnlyTheProxyMayAsk(t *testing.T) {
	const word = "0123456789abcdef0123456789abcdef"
	p := stand(t, func(c *Config) { c.Proxy, c.ProxySecret = Nginx, secret.New(word) })
	good := bearer(p.token("read"))
	for what, given := range map[string][]string{"none": nil, "empty": {""}, "wrong": {word[1:] + "x"}, "twice": {word, word}, "a prefix": {word[:31]}} {
		h := good.Clone()
		h[SecretHeader] = given
		if answer := question(t, p, "GET", "/orders", h); answer.StatusCode != 403 || why(answer) != "proxy_secret" {
			t.Errorf("secret %s: %d %s", what, answer.StatusCode, why(answer))
		}
	}
	if answer := question(t, p, "GET", "/orders", with(good, SecretHeader, word)); answer.StatusCode != 200 {
		t.Errorf("the right secret: %d %s", answer.StatusCode, why(answer))
	}
}

func TestChallengesAreThoseOfRFC6750(t *testing.T) {
	p := stand(t, func(c *Config) { c.Proxy = Caddy })
	for _, c := range []struct{ target, token, want string }{
		{"/orders", "", `Bearer realm="https://api.example"`},
		{"/orders", p.token("read", validatetest.Expired), `Bearer realm="https://api.example", error="invalid_token", error_description="expired"`},
		{"/admin", p.token("read"), `Bearer realm="https://api.example", error="insufficient_scope", error_description="insufficient_scope", scope="read admin"`},
	} {
		h := http.Header{}
		if c.token != "" {
			h = bearer(c.token)
		}
		answer := question(t, p, "GET", c.target, h)
		if got := answer.Header.Get("WWW-Authenticate"); got != c.want {
			t.Errorf("%s: %q, want %q", c.target, got, c.want)
		}
		body, _ := io.ReadAll(answer.Body)
		if c.token != "" && bytes.Contains(body, []byte(c.token[:24])) {
			t.Errorf("%s: the token was repeated", c.target)
		}
	}
}

// TestWithoutKeysNothingPasses: nobody knows whether the token is good, so the answer is 503.
func TestWithoutKeysNothingPasses(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close() // it accepts and never answers
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v, err := validate.New(validate.Config{
		Issuers: []validate.Issuer{issuer.Trusted().WithKeys(validate.RemoteKeys("http://" + dead.Addr().String() + "/jwks"))}, Audiences: []string{audience},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	p := stand(t, func(c *Config) { c.Proxy, c.Validator, c.Patience = Caddy, v, 50*time.Millisecond })
	answer := question(t, p, "GET", "/orders", bearer(issuer.Token(validatetest.Claims{"aud": audience, "scope": "read"})))
	if answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" || answer.Header.Get(AssertionHeader) != "" {
		t.Errorf("%d, %v", answer.StatusCode, answer.Header)
	}
	if answer := ask(t, "GET", p.url+ReadyPath, http.Header{}); answer.StatusCode != 503 {
		t.Errorf("ready without keys: %d", answer.StatusCode)
	}
	if answer := ask(t, "GET", p.url+LivePath, http.Header{}); answer.StatusCode != 200 {
		t.Errorf("alive: %d", answer.StatusCode)
	}
}

// TestAPanicRefuses: a mistake of ours, with the answer half made, lets nobody in.
func TestAPanicRefuses(t *testing.T) {
	p := stand(t, func(c *Config) { c.Proxy = Caddy })
	p.assert.sign = func([]byte) ([]byte, error) { panic("a mistake") }
	answer := question(t, p, "GET", "/orders", bearer(p.token("read")))
	if answer.StatusCode != 503 || why(answer) != "broken" || answer.Header.Get(AssertionHeader) != "" {
		t.Errorf("%d, %v", answer.StatusCode, answer.Header)
	}
	p.assert.sign = func([]byte) ([]byte, error) { return nil, io.ErrUnexpectedEOF }
	if answer := question(t, p, "GET", "/orders", bearer(p.token("read"))); answer.StatusCode != 503 {
		t.Errorf("without a signature: %d", answer.StatusCode)
	}
}

func TestIdentityHeadersOnlyByName(t *testing.T) {
	p := stand(t, func(c *Config) {
		c.Proxy, c.Identity = Traefik, map[string]string{"X-User": "sub", "X-Client": "client_id", "X-Tenant": "tid"}
	})
	answer := question(t, p, "GET", "/orders", bearer(p.token("read")))
	if answer.Header.Get("X-User") != "alice" || answer.Header.Get("X-Client") != "ci" || answer.Header["X-Tenant"] != nil {
		t.Errorf("%v", answer.Header)
	}
	for _, name := range []string{"X-User", "x-user", "X_User", "x_USER", "X.User"} {
		if answer := question(t, p, "GET", "/orders", with(bearer(p.token("read")), name, "root")); answer.StatusCode != 400 {
			t.Errorf("%s from the client: %d", name, answer.StatusCode)
		}
	}
	for value, want := range map[string]string{
		"alice": "alice", "two words": "two words", " padded ": "%20padded%20", "a  b": "a %20b", "100%": "100%25", "é": "%C3%A9", "a,b": "a,b",
	} {
		if got := visible(value); got != want {
			t.Errorf("%q becomes %q: want %q", value, got, want)
		}
	}
	for _, name := range []string{"", "x-user", "X_User", "Authorization", "X-Forwarded-User", "Seawall-User", "Content-Type", "Host", "X User", "X-Rewrite-Url", "Ü"} {
		if _, err := New(Config{Validator: p.config.Validator, Audience: audience, Proxy: Caddy, Routes: p.config.Routes, Identity: map[string]string{name: "sub"}}); err == nil {
			t.Errorf("the identity header %q is accepted", name)
		}
	}
}

func TestAssertionsAreForOneRequest(t *testing.T) {
	for _, alg := range []validate.Alg{validate.ES256, validate.EdDSA} {
		p := stand(t, func(c *Config) { c.Proxy, c.Algorithm = Caddy, alg })
		token := p.token("read")
		first := question(t, p, "GET", "/a", bearer(token)).Header.Get(AssertionHeader)
		said := p.told(t, first)
		if life := said["exp"].(float64) - said["iat"].(float64); life <= 0 || life > 30 {
			t.Errorf("%s: it lives %v s", alg, life)
		}
		name, ok := said["token"].(map[string]any)
		if said["sub"] != "alice" || said["client_id"] != "ci" || said["scope"] != "read" || said["iss"] != "seawall-guard" || !ok || name["iss"] != p.issuer.URL() || name["jti"] == "" || name["digest"] == "" {
			t.Errorf("%s: it says %v", alg, said)
		}
		if again := question(t, p, "GET", "/a", bearer(token)).Header.Get(AssertionHeader); again != first {
			t.Errorf("%s: the same request a moment later was signed anew", alg)
		}
		others := map[string]bool{first: true}
		for _, other := range []struct{ method, target, token string }{{"POST", "/a", token}, {"GET", "/b", token}, {"GET", "/a", p.token("read")}, {"GET", "/a/", token}} {
			text := question(t, p, other.method, other.target, bearer(other.token)).Header.Get(AssertionHeader)
			if others[text] {
				t.Errorf("%s: %s %s got an assertion of another request", alg, other.method, other.target)
			}
			others[text] = true
		}
		p.issuer.Clock().Advance(11 * time.Second)
		if later := question(t, p, "GET", "/a", bearer(token)).Header.Get(AssertionHeader); later == first {
			t.Errorf("%s: after 11 s it is still the old one", alg)
		}
	}
}

// TestTheGuardSpeaksDPoPAndStepUp: sender-bound tokens need their proof for the very request that is asked about, and
// routes can ask for a sign-in that is strong and recent.
func TestTheGuardSpeaksDPoPAndStepUp(t *testing.T) {
	for _, kind := range Proxies() {
		p := stand(t, func(c *Config) {
			c.Proxy = kind
			c.Routes = append(c.Routes, Route{Path: "/vault", Prefix: true, ACR: []string{"phr"}, MaxAuthAge: 10 * time.Minute})
		}, func(c *validate.Config) { c.DPoP = &validate.DPoP{Origin: audience} })
		prover := validatetest.NewProver("", p.issuer.Clock())
		bound := p.issuer.Token(validatetest.Claims{"aud": audience, "scope": "read", "cnf": prover.Confirmation()})
		proof := func(method, target string) http.Header {
			return http.Header{"Authorization": {"DPoP " + bound}, "Dpop": {prover.Proof(bound, method, audience+target)}}
		}
		now := p.issuer.Clock().Now().Unix()
		signedIn := func(acr string, ago int64) http.Header {
			return bearer(p.issuer.Token(validatetest.Claims{"aud": audience, "acr": acr, "auth_time": now - ago}))
		}
		used := proof("GET", "/orders/7")
		for _, c := range []struct {
			what, target string
			header       http.Header
			status       int
			code         string
		}{
			{"its proof", "/orders/7?x=1", used, 200, ""},
			{"the same proof again", "/orders/7", used, 401, "dpop_replay"},
			{"no proof", "/orders/7", bearer(bound), 401, "dpop_scheme"},
			{"a proof for another path", "/orders/8", proof("GET", "/orders/7"), 401, "dpop_url"},
			{"a proof for another method", "/orders/8", proof("POST", "/orders/8"), 401, "dpop_method"},
			{"strong and recent", "/vault", signedIn("phr", 60), 200, ""},
			{"too weak", "/vault", signedIn("pwd", 60), 401, "insufficient_acr"},
			{"too long ago", "/vault", signedIn("phr", 3600), 401, "auth_too_old"},
		} {
			answer := question(t, p, "GET", c.target, c.header)
			if answer.StatusCode != c.status || why(answer) != c.code {
				t.Errorf("%s, %s: %d %q", kind, c.what, answer.StatusCode, why(answer))
			}
		}
	}
}

// TestAProofIsForTheNameInTheConfiguration: without one, no proof is good, because the Host header is the client's.
func TestAProofIsForTheNameInTheConfiguration(t *testing.T) {
	for _, kind := range Proxies() {
		p := stand(t, func(c *Config) { c.Proxy = kind })
		prover := validatetest.NewProver("", p.issuer.Clock())
		bound := p.issuer.Token(validatetest.Claims{"aud": audience, "scope": "read", "cnf": prover.Confirmation()})
		host := strings.TrimPrefix(p.url, "http://")
		if kind == Envoy {
			host = "api.example" // as raw writes it
		}
		for _, origin := range []string{"http://" + host, "https://" + host, "http://", audience} {
			h := http.Header{"Authorization": {"DPoP " + bound}, "Dpop": {prover.Proof(bound, "GET", origin+"/orders")}}
			if answer := question(t, p, "GET", "/orders", h); answer.StatusCode != 401 || why(answer) != "dpop_origin" {
				t.Errorf("%s, a proof for %s: %d %q", kind, origin, answer.StatusCode, why(answer))
			}
		}
	}
}

func TestAClientCertificateComesFromTheProxy(t *testing.T) {
	der, escaped := certificate(t)
	other, _ := certificate(t)
	thumbprint := sha256.Sum256(der)
	for _, c := range []struct {
		form  CertificateForm
		value string
	}{{EscapedPEM, escaped}, {Base64DER, base64.StdEncoding.EncodeToString(der)}, {Base64DER, ":" + base64.StdEncoding.EncodeToString(der) + ":"}} {
		p := stand(t, func(g *Config) {
			g.Proxy, g.ClientCertificate = Nginx, &ClientCertificate{Header: "X-Client-Cert", Form: c.form}
		})
		bound := bearer(p.issuer.Token(validatetest.Claims{"aud": audience, "scope": "read", "cnf": map[string]any{"x5t#S256": encode(thumbprint[:])}}))
		for _, q := range []struct {
			what, name, value string
			status            int
		}{
			{"the certificate", "X-Client-Cert", c.value, 200},
			{"none", "X-Other", "", 401},
			{"an empty one", "X-Client-Cert", "", 401},
			{"garbage", "X-Client-Cert", "garbage", 403},
			{"another spelling", "X_Client_Cert", c.value, 403},
		} {
			if answer := question(t, p, "GET", "/orders", with(bound, q.name, q.value)); answer.StatusCode != q.status {
				t.Errorf("%s, %s: %d %q", c.form, q.what, answer.StatusCode, why(answer))
			}
		}
		if c.form == Base64DER {
			if answer := question(t, p, "GET", "/orders", with(bound, "X-Client-Cert", base64.StdEncoding.EncodeToString(other))); answer.StatusCode != 401 || why(answer) != "mtls_mismatch" {
				t.Errorf("another's certificate: %d %q", answer.StatusCode, why(answer))
			}
		}
		if answer := question(t, p, "GET", "/orders", with(with(bound, "X-Client-Cert", c.value), "X-Client-Cert", c.value)); answer.StatusCode != 403 {
			t.Errorf("two certificates: %d", answer.StatusCode)
		}
	}
}

// certificate makes one, as DER and as nginx writes it into a header.
func certificate(t testing.TB) (der []byte, escaped string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7)}
	if der, err = x509.CreateCertificate(nil, template, template, key.Public(), key); err != nil {
		t.Fatal(err)
	}
	return der, url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

// FuzzQuestion throws headers at the guard: without a good token and a route, no answer may be 200.
func FuzzQuestion(f *testing.F) {
	_, escaped := certificate(f)
	f.Add("GET", "/healthz", "Bearer x", "X-Client-Cert", escaped)
	f.Add("GET", "/orders", "bearer  a.b.c", "Seawall_Assertion", "x")
	f.Add("POST", "/../healthz", "DPoP a.b.c", "DPoP", "a.b.c")
	f.Add("get", "//", "", "X-Original-Uri", "/healthz")
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}, Audiences: []string{audience}})
	if err != nil {
		f.Fatal(err)
	}
	defer v.Close()
	g, err := New(Config{
		Validator: v, Audience: audience, Proxy: Nginx, Log: slog.New(slog.DiscardHandler),
		ClientCertificate: &ClientCertificate{Header: "X-Client-Cert", Form: EscapedPEM},
		Routes:            []Route{{Path: "/", Prefix: true}, {Path: "/healthz", Methods: []string{"GET"}, Public: true}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, target, authorization, name, value string) {
		h := http.Header{"X-Original-Method": {method}, "X-Original-Uri": {target}, "Authorization": {authorization}}
		h[name] = append(h[name], value)
		w := httptest.NewRecorder()
		g.forward(w, (&http.Request{Method: "GET", RequestURI: CheckPath, Header: h}).WithContext(t.Context()))
		public := (method == "GET" || method == "HEAD") && strings.HasPrefix(target, "/healthz")
		if w.Code == 200 && !public || w.Code != 200 && w.Header().Get(AssertionHeader) != "" {
			t.Errorf("%q %q: %d, %v", method, target, w.Code, w.Header())
		}
	})
}

func TestTheMemoryOfAssertionsIsBounded(t *testing.T) {
	var m memory
	now := time.Now()
	for i := range 5 * generation {
		m.keep(remembered{path: fmt.Sprint(i)}, "x", now.Add(time.Minute))
	}
	if n := len(m.young) + len(m.old); n > 2*generation {
		t.Errorf("%d are kept", n)
	}
	if m.find(remembered{path: fmt.Sprint(5*generation - 1)}, now) != "x" || m.find(remembered{path: "0"}, now) != "" {
		t.Error("it keeps the wrong ones")
	}
}

func TestTheServerDrains(t *testing.T) {
	p := stand(t, func(c *Config) { c.Proxy = Caddy })
	a, err := ParseAddress("unix:" + t.TempDir() + "/guard.sock")
	if err != nil {
		t.Fatal(err)
	}
	l, err := a.Listen(0o660, 4)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Listen(0o660, 4); err == nil {
		t.Error("a second guard took the socket of a living one")
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, p.config.Log, Door{Listener: l, Handler: p.Handler()}) }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return net.Dial("unix", a.Place) }}}
	answer, err := client.Get("http://guard" + JWKSPath)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	if !bytes.Equal(body, p.JWKS()) {
		t.Errorf("its keys: %s", body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if _, err := net.Dial("unix", a.Place); err == nil {
		t.Error("it still answers")
	}
	if again, err := a.Listen(0o660, 4); err != nil {
		t.Errorf("a new guard in its place: %v", err)
	} else {
		again.Close()
	}
}

func decodeSegment(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
