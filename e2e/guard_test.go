package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"seawall/internal/testenv"
)

// block takes the first block of a language out of docs/guard.md, which is tested as it stands.
func guardBlock(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs/guard.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$").FindStringSubmatch(string(text))
	if m == nil {
		t.Fatalf("docs/guard.md shows no %s", language)
	}
	return m[1]
}

// gate is a proxy with its guard in front of an API for Node.js, each a process of its own, set up as docs/guard.md says.
type gate struct {
	*world
	seawall          *testenv.Seawall
	proxy            string // of nginx or Caddy
	api              string // its own address, past the proxy
	socket, config   string // of the guard
	server, guard    *testenv.Program
	startGuard       func() *testenv.Program
	record           string // what reached the API
	token, elsewhere string
}

// guarded starts everything.
func guarded(t *testing.T, kind string) *gate {
	t.Helper()
	s := start(t)
	g := &gate{seawall: s, world: populate(t, s, "acme")}
	g.audience = "https://api.acme.example"
	g.token, g.elsewhere = g.world.token(t), populate(t, s, "globex").token(t)
	dir := testenv.Dir(t, 0)
	g.socket, g.api, g.proxy = filepath.Join(dir, "guard.sock"), testenv.FreeAddress(t), testenv.FreeAddress(t)
	status := testenv.FreeAddress(t)
	g.config = filepath.Join(dir, "guard.json")
	here := strings.NewReplacer("/run/seawall/guard.sock", g.socket, "127.0.0.1:9000", g.api, "127.0.0.1:8080", g.proxy, "127.0.0.1:8426", status,
		"api.acme.example:8080", "api.acme.example:"+g.proxy[strings.LastIndex(g.proxy, ":")+1:], "https://id.example/acme", g.Issuer, "swl1-…", g.Pin, "api_…", g.APIID, `"nginx"`, `"`+kind+`"`, "proxy_read_timeout 3s", "proxy_read_timeout 1s", "response_header_timeout 3s", "response_header_timeout 1s")

	if err := os.WriteFile(filepath.Join(dir, "api-secret"), []byte(g.APISecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.config, []byte(here.Replace(guardBlock(t, "json"))), 0o600); err != nil {
		t.Fatal(err)
	}
	g.startGuard = func() *testenv.Program {
		p := testenv.Background(t, exec.Command(program, "guard", "--config", g.config))
		for deadline := time.Now().Add(time.Minute); !strings.Contains(p.String(), "seawall: guard ready at unix:"); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the guard is not ready:\n%s", p)
			}
		}
		return p
	}
	g.guard = g.startGuard()

	g.serve(t, dir, here)
	switch kind {
	case "nginx":
		testenv.Nginx(t, here.Replace(guardBlock(t, "nginx")), g.proxy)
	case "caddy":
		testenv.Caddy(t, here.Replace(guardBlock(t, "caddy")), g.proxy)
	}
	return g
}

// serve starts the API of docs/guard.md.
func (g *gate) serve(t *testing.T, dir string, here *strings.Replacer) {
	t.Helper()
	node, npm := testenv.Node(t), testenv.Tool(t, "npm")
	modules := filepath.Join(testenv.Root(t), "e2e/clients/node")
	install := exec.Command(npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	install.Dir = modules
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	// The API writes down what reaches it, before it does anything with it.
	g.record = filepath.Join(dir, "arrived")
	host, port, _ := net.SplitHostPort(g.api)
	script := strings.NewReplacer("listen(9000, '127.0.0.1')", fmt.Sprintf("listen(%s, '%s')", port, host),
		"createServer(async (request, response) => {\n", fmt.Sprintf("createServer(async (request, response) => {\n  appendFileSync(%q, JSON.stringify([request.method, request.url, request.rawHeaders]))\n", g.record),
	).Replace("import { appendFileSync } from 'node:fs'\n" + here.Replace(guardBlock(t, "js")))
	if strings.Count(script, "appendFileSync(") != 1 || strings.Contains(script, "9000") {
		t.Fatalf("the API of docs/guard.md has another shape than this test knows:\n%s", script)
	}
	run := exec.Command(node, "--input-type=module", "-e", script)
	run.Dir = modules
	g.server = testenv.Background(t, run)
	g.server.Await(t, g.api)
}

// arrival is a request as the API saw it.
type arrival struct {
	method, target string
	header         [][2]string
}

func (a *arrival) values(name string) (list []string) {
	for _, h := range a.header {
		if strings.EqualFold(h[0], name) {
			list = append(list, h[1])
		}
	}
	return list
}

// arrived is the request that reached the API since it was last asked: nil for none. More than one fails the test.
func (g *gate) arrived(t *testing.T) *arrival {
	t.Helper()
	text, err := os.ReadFile(g.record)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(g.record); err != nil {
		t.Fatal(err)
	}
	var parts [3]json.RawMessage
	a := new(arrival)
	var flat []string
	if err := json.Unmarshal(text, &parts); err != nil {
		t.Fatalf("the API wrote down %s: %v", text, err)
	}
	for i, into := range []any{&a.method, &a.target, &flat} {
		if err := json.Unmarshal(parts[i], into); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i+1 < len(flat); i += 2 {
		a.header = append(a.header, [2]string{flat[i], flat[i+1]})
	}
	return a
}

// send writes a request byte by byte as it is given, and reads the answer.
func send(t *testing.T, network, address, method, target string, headers ...string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	lines := append([]string{method + " " + target + " HTTP/1.1", "Host: api.acme.example"}, headers...)
	end := "\r\n\r\n"
	if slices.Contains(headers, "Transfer-Encoding: chunked") {
		end += "0\r\n\r\n"
	}
	if _, err := conn.Write([]byte(strings.Join(lines, "\r\n") + end)); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // a body that is cut off is not what was wanted
	return answer, string(body)
}

func (g *gate) ask(t *testing.T, method, target string, headers ...string) (*http.Response, string) {
	t.Helper()
	return send(t, "tcp", g.proxy, method, target, headers...)
}

// TestGuardBehindNginx is the whole of docs/guard.md for nginx: a non-Go API, and everything that must not reach it.
func TestGuardBehindNginx(t *testing.T) {
	g := guarded(t, "nginx")
	g.explains(t)
	t.Run("good tokens pass", func(t *testing.T) { g.passes(t) })
	t.Run("others are refused", func(t *testing.T) { g.refuses(t) })
	t.Run("headers can't be smuggled", func(t *testing.T) { g.smuggles(t) })
	t.Run("paths have one reading", func(t *testing.T) { g.paths(t) })
	t.Run("nobody asks or calls past the proxy", func(t *testing.T) { g.direct(t) })
	t.Run("a revoked token no longer passes", func(t *testing.T) { g.revokes(t) })
	t.Run("a guard in trouble is not open", func(t *testing.T) { g.trouble(t) })
}

// TestGuardBehindCaddy is the same for Caddy.
func TestGuardBehindCaddy(t *testing.T) {
	g := guarded(t, "caddy")
	t.Run("good tokens pass", func(t *testing.T) { g.passes(t) })
	t.Run("others are refused", func(t *testing.T) { g.refuses(t) })
	t.Run("headers can't be smuggled", func(t *testing.T) { g.smuggles(t) })
	t.Run("paths have one reading", func(t *testing.T) { g.paths(t) })
	t.Run("a guard in trouble is not open", func(t *testing.T) { g.trouble(t) })
}

// TestGuardAsTheProxy is the guard of the README, in a few words and without a file, in front of the same API.
func TestGuardAsTheProxy(t *testing.T) {
	s := start(t)
	g := &gate{seawall: s, world: populate(t, s, "acme"), api: testenv.FreeAddress(t), proxy: testenv.FreeAddress(t)}
	g.token, g.elsewhere = g.world.token(t), populate(t, s, "globex").token(t)
	dir, status := testenv.Dir(t, 0), testenv.FreeAddress(t)
	g.guard = testenv.Background(t, exec.Command(program, "guard", "--upstream", "http://"+g.api, "--listen", g.proxy, "--status", status,
		"--issuer", g.Issuer, "--pin", g.Pin, "--audience", g.audience, "--scope", "read"))
	g.guard.Await(t, g.proxy)
	if answer, body := g.ask(t, "GET", "/orders", g.bearer()); answer.StatusCode != http.StatusBadGateway && answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without an API: %d, %s", answer.StatusCode, body)
	}
	g.serve(t, dir, strings.NewReplacer("127.0.0.1:8426", status))
	g.reopens(t)
	for _, c := range []struct {
		what, target string
		headers      []string
		status       int
		body         string
	}{
		{"a good token", "/orders/7?x=1", []string{g.bearer()}, 200, "Hello, ci.\n"},
		{"no token", "/orders", nil, 401, ""},
		{"another tenant's", "/orders", []string{"Authorization: Bearer " + g.elsewhere}, 401, ""},
		{"a path game", "/public/..%2forders", []string{g.bearer()}, 400, ""},
		{"an assertion of its own", "/orders", []string{g.bearer(), "Seawall-Assertion: forged", "Seawall_Assertion: forged", "Connection: Seawall-Assertion"}, 200, "Hello, ci.\n"},
	} {
		answer, body := g.ask(t, "GET", c.target, c.headers...)
		a := g.arrived(t)
		if answer.StatusCode != c.status || c.body != "" && body != c.body || (a != nil) != (c.status == 200) {
			t.Errorf("%s: %d, %s", c.what, answer.StatusCode, body)
		}
		if a != nil && (len(a.values("Seawall-Assertion")) != 1 || len(a.values("Seawall_Assertion"))+len(a.values("Authorization")) != 0) {
			t.Errorf("%s: the API got %v", c.what, a.header)
		}
	}
	g.quiet(t)
}

// TestGuardOnAnotherAddress: off loopback it wants TLS and a secret of the proxy's, and answers nobody without it.
func TestGuardOnAnotherAddress(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	certified := newAuthority(t, 0)
	dir := testenv.Dir(t, 0)
	word := strings.Repeat("0123456789abcdef", 4)
	_, port, _ := net.SplitHostPort(testenv.FreeAddress(t))
	config := map[string]any{
		"proxy": "traefik", "listen": "0.0.0.0:" + port, "tls_cert": certified.certFile, "tls_key": certified.key, "proxy_secret_file": "proxy-secret",
		"issuers":   []any{map[string]any{"issuer": w.Issuer, "pin": w.Pin}},
		"audiences": []any{w.audience}, "routes": []any{map[string]any{"prefix": "/"}},
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"guard.json": string(text), "proxy-secret": word + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	guard := testenv.Background(t, exec.Command(program, "guard", "--config", filepath.Join(dir, "guard.json")))
	guard.Await(t, "127.0.0.1:"+port)
	w.http = certified.client(t)
	token := w.token(t)
	for _, c := range []struct {
		secret []string
		status int
	}{{[]string{word}, 200}, {nil, 403}, {[]string{word[1:]}, 403}, {[]string{word, word}, 403}} {
		req, err := http.NewRequest("GET", "https://127.0.0.1:"+port+"/check", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Authorization": {"Bearer " + token}, "X-Forwarded-Method": {"GET"}, "X-Forwarded-Uri": {"/orders"}, "Seawall-Proxy-Secret": c.secret}
		answer, err := w.do(req)
		if err != nil {
			t.Fatal(err)
		}
		if answer.status != c.status || (answer.header.Get("Seawall-Assertion") != "") != (c.status == 200) {
			t.Errorf("with %d secrets: %d, %v", len(c.secret), answer.status, answer.header)
		}
	}
	if said := guard.String(); strings.Contains(said, word[:24]) || strings.Contains(said, token[len(token)-24:]) {
		t.Errorf("the guard printed a credential:\n%s", said)
	}
}

// explains runs the other commands of docs/guard.md.
func (g *gate) explains(t *testing.T) {
	t.Helper()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"guard", "--config", g.config, "--check"}, "The configuration is fine"},
		{[]string{"guard", "explain", "DELETE", "/admin/users/7", "--config", g.config}, "scope read write"},
	} {
		if out, err := plain(t, "", c.args...); err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%v: %v, %s", c.args, err, out)
		}
	}
}

// quiet checks that the guard has printed no part of a token.
func (g *gate) quiet(t *testing.T) {
	t.Helper()
	for _, token := range []string{g.token, g.elsewhere} {
		for part := range strings.SplitSeq(token, ".") {
			if strings.Contains(g.guard.String(), part[:min(len(part), 24)]) && !strings.HasPrefix(part, "eyJhbGciOi") {
				t.Errorf("the guard printed a part of a token:\n%s", g.guard)
			}
		}
	}
}

func (g *gate) bearer() string { return "Authorization: Bearer " + g.token }

func (g *gate) passes(t *testing.T) {
	for _, target := range []string{"/orders/7", "/orders/7?x=1;y=/../%2e", "/orders/", "/caf%C3%A9/a%20b/x%40y", "/x:y@z!$&'()*+,="} {
		answer, body := g.ask(t, "GET", target, g.bearer())
		a := g.arrived(t)
		if answer.StatusCode != http.StatusOK || body != "Hello, ci.\n" || a == nil {
			t.Errorf("%s: %d, %s", target, answer.StatusCode, body)
			continue
		}
		if a.target != target || len(a.values("Seawall-Assertion")) != 1 || len(a.values("Authorization")) != 0 {
			t.Errorf("%s: the API got %+v", target, a)
		}
	}
	if answer, body := g.ask(t, "POST", "/orders", g.bearer(), "Content-Length: 0"); answer.StatusCode != http.StatusOK || g.arrived(t).method != "POST" {
		t.Errorf("POST: %d, %s", answer.StatusCode, body)
	}
	answer, body := g.ask(t, "GET", "/public/logo")
	if answer.StatusCode != http.StatusOK || body != "Hello, anybody.\n" || g.arrived(t) == nil {
		t.Errorf("public: %d, %s", answer.StatusCode, body)
	}
}

func (g *gate) refuses(t *testing.T) {
	parts := strings.Split(g.token, ".")
	for _, c := range []struct {
		what, method, target, authorization string
		status                              int
		challenge                           string
	}{
		{"no token", "GET", "/orders", "", 401, `Bearer realm="https://api.acme.example"`},
		{"another scheme", "GET", "/orders", "Basic " + g.token, 401, `Bearer realm=`},
		{"no signature", "GET", "/orders", "Bearer " + parts[0] + "." + parts[1] + ".", 401, `error="invalid_token"`},
		{"another's signature", "GET", "/orders", "Bearer " + parts[0] + "." + parts[1] + "." + strings.Split(g.elsewhere, ".")[2], 401, `error="invalid_token"`},
		{"another tenant's", "GET", "/orders", "Bearer " + g.elsewhere, 401, `error_description="issuer"`},
		{"too little", "GET", "/admin/users", "Bearer " + g.token, 403, `error="insufficient_scope", error_description="insufficient_scope", scope="read write"`},
		{"not for this method", "POST", "/public/logo", "Bearer " + g.token, 403, ""},
		{"TRACE", "TRACE", "/orders", "Bearer " + g.token, 0, ""},
	} {
		headers := []string{"Content-Length: 0"}
		if c.authorization != "" {
			headers = append(headers, "Authorization: "+c.authorization)
		}
		answer, body := g.ask(t, c.method, c.target, headers...)
		challenge := answer.Header.Get("WWW-Authenticate")
		if c.status != 0 && answer.StatusCode != c.status || answer.StatusCode < 400 || !strings.Contains(challenge, c.challenge) || c.challenge == "" && challenge != "" {
			t.Errorf("%s: %d, %q, %s", c.what, answer.StatusCode, challenge, body)
		}
		if a := g.arrived(t); a != nil {
			t.Errorf("%s: it reached the API: %+v", c.what, a)
		}
	}
	answer, _ := g.ask(t, "GET", "/orders", g.bearer(), "Authorization: Bearer "+g.elsewhere)
	if a := g.arrived(t); answer.StatusCode < 400 || a != nil {
		t.Errorf("two tokens: %d", answer.StatusCode)
	}
}

func (g *gate) smuggles(t *testing.T) {
	for _, headers := range [][]string{
		{"Seawall-Assertion: forged"},
		{"seawall-assertion: forged", "SEAWALL-ASSERTION: forged"},
		{"Seawall_Assertion: forged"},
		{"seawall_assertion: forged", "Seawall-assertion: forged"},
		{"Connection: Seawall-Assertion"},
		{"Connection: close, Seawall-Assertion", "Seawall-Assertion: forged"},
		{"Connection: Authorization"},
		{"X-Original-URI: /public/logo"}, {"X_Original_URI: /public/logo"}, {"X-Original-Method: GET"}, {"X-Forwarded-Uri: /public/logo"}, {"X-Forwarded-Method: GET"},
		{"X-Rewrite-URL: /public/logo"}, {"X-HTTP-Method-Override: GET"},
		{"Transfer-Encoding: chunked", "Content-Length: 3"}, {"Content-Length: 3", "Content-Length: 4"},
	} {
		for _, target := range []string{"/orders", "/admin"} {
			all := append([]string{g.bearer()}, headers...)
			if !strings.Contains(strings.Join(all, " "), "Content-Length") {
				all = append(all, "Content-Length: 0")
			}
			answer, body := g.ask(t, "POST", target, all...)
			a := g.arrived(t)
			if target == "/admin" && a != nil || a == nil && answer.StatusCode < 400 {
				t.Errorf("%q at %s: %d, %s, and the API saw %+v", headers, target, answer.StatusCode, body, a)
			}
			if a == nil {
				continue
			}
			// What reached the API came with the guard's word only, or with none: then the API refused.
			for _, h := range a.header {
				if strings.Contains(h[1], "forged") {
					t.Errorf("%q: the API got %s: %s", headers, h[0], h[1])
				}
			}
			if said := a.values("Seawall-Assertion"); len(said) > 1 || answer.StatusCode == 200 && (len(said) != 1 || body != "Hello, ci.\n") {
				t.Errorf("%q: %d, and the API got %d assertions", headers, answer.StatusCode, len(said))
			}
		}
	}
}

func (g *gate) paths(t *testing.T) {
	for _, target := range []string{
		"/public/../admin", "/public/%2e%2e/admin", "/public/.%2E/admin", "/public/..;/admin", "/public/..%2fadmin", "/public/..%5cadmin", "/public%2f..%2fadmin",
		"/public/%252e%252e/admin", "//admin", "/public//../admin", "/./admin", "/%2e/admin", "/admin/.", "/admin;x", "/admin%3bx", "/admin%00", "/%00/admin",
		"/%61dmin", "/ADMIN", "/Admin/users", "/admin.", "/admin%20", "/admin%2e", "/\\admin", "/public\\..\\admin", "/public/..", "/public/%c0%ae%c0%ae/admin", "/public/%uff0e%uff0e/admin",
		"/public#/../admin", "/admin%", "/admin%zz", "/public/\xc0\xae\xc0\xae/admin", "admin", "http://api.acme.example/public/../admin", "/public/..%00/admin",
	} {
		answer, body := g.ask(t, "GET", target, g.bearer())
		if a := g.arrived(t); a != nil || answer.StatusCode < 400 {
			t.Errorf("%q: %d, %s, and the API saw %+v", target, answer.StatusCode, body, a)
		}
	}
}

// direct goes around the proxy.
func (g *gate) direct(t *testing.T) {
	// The guard's own location is not for clients.
	if answer, _ := g.ask(t, "GET", "/seawall-guard", g.bearer(), "X-Original-URI: /orders"); answer.StatusCode < 400 || g.arrived(t) != nil {
		t.Errorf("the guard's location from outside: %d", answer.StatusCode)
	}
	// The guard's socket is for its user and group.
	info, err := os.Stat(g.socket)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Fatalf("the guard's socket: %v, %v", info.Mode(), err)
	}
	if os.Geteuid() == 0 {
		curl := exec.Command(testenv.Tool(t, "curl"), "-s", "--unix-socket", g.socket, "-H", "X-Original-Method: GET", "-H", "X-Original-URI: /orders", "http://guard/check")
		curl.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
		if out, err := curl.CombinedOutput(); err == nil {
			t.Errorf("a stranger asked the guard: %s", out)
		}
	}
	// Past the proxy, the API wants the guard's word for the very request.
	answer, _ := g.ask(t, "GET", "/orders/7", g.bearer())
	genuine := g.arrived(t).values("Seawall-Assertion")[0]
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.StatusCode)
	}
	parts := strings.Split(genuine, ".")
	for what, c := range map[string]struct {
		method, target, assertion string
		status                    int
	}{
		"its own request":  {"GET", "/orders/7?x=1", genuine, 200},
		"nothing":          {"GET", "/orders/7", "", 401},
		"a token":          {"GET", "/orders/7", g.token, 401},
		"another path":     {"GET", "/admin", genuine, 401},
		"another method":   {"DELETE", "/orders/7", genuine, 401},
		"no signature":     {"GET", "/orders/7", parts[0] + "." + parts[1] + ".", 401},
		"another's claims": {"GET", "/orders/7", parts[0] + "." + strings.Split(g.token, ".")[1] + "." + parts[2], 401},
	} {
		headers := []string{"Connection: close"}
		if c.assertion != "" {
			headers = append(headers, "Seawall-Assertion: "+c.assertion)
		}
		if answer, body := send(t, "tcp", g.api, c.method, c.target, headers...); answer.StatusCode != c.status {
			t.Errorf("straight to the API with %s: %d, %s", what, answer.StatusCode, body)
		}
		g.arrived(t)
	}
}

// revokes takes back the token that has passed all the time, and goes on with another.
func (g *gate) revokes(t *testing.T) {
	if answer, _ := g.ask(t, "GET", "/orders", g.bearer()); answer.StatusCode != http.StatusOK {
		t.Fatalf("before: %d", answer.StatusCode)
	}
	g.seawall.Run("token", "revoke", "--tenant", "acme", "--jti", jtiOf(t, g.token), "--reason", "leaked-token", "--yes")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		answer, body := g.ask(t, "GET", "/orders", g.bearer())
		g.arrived(t)
		if answer.StatusCode == 401 && strings.Contains(answer.Header.Get("WWW-Authenticate"), `error_description="revoked"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a revoked token: %d, %s", answer.StatusCode, body)
		}
	}
	g.token = g.world.token(t)
	if answer, body := g.ask(t, "GET", "/orders", g.bearer()); answer.StatusCode != http.StatusOK {
		t.Errorf("another token: %d, %s", answer.StatusCode, body)
	}
	g.arrived(t)
}

// trouble stops the guard, kills it and starts it again.
func (g *gate) trouble(t *testing.T) {
	closed := func(what string) {
		t.Helper()
		for _, target := range []string{"/orders", "/public/logo", "/admin"} {
			answer, body := g.ask(t, "GET", target, g.bearer())
			if a := g.arrived(t); answer.StatusCode < 500 || a != nil {
				t.Errorf("%s, %s: %d, %s, and the API saw %+v", what, target, answer.StatusCode, body, a)
			}
		}
	}
	g.guard.Freeze(t)
	closed("a guard that does not answer")
	g.guard.Signal(syscall.SIGCONT)
	g.reopens(t)
	g.quiet(t)
	g.guard.Kill()
	closed("a guard that is dead")
	g.guard = g.startGuard()
	g.reopens(t)
}

// reopens waits until a good token passes again: the API has to learn of the new guard's key.
func (g *gate) reopens(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		answer, body := g.ask(t, "GET", "/orders", g.bearer())
		g.arrived(t)
		if answer.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it stays closed: %d, %s", answer.StatusCode, body)
		}
	}
}
