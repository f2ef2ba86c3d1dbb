package browser

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"

	"seawall/internal/authorize"
	"seawall/internal/testenv"
)

// application is a small web application that people sign in to: it sends them to seawall, exchanges the code, and goes on
// to a page on another origin of its own, as one does whose pages and whose server are apart.
type application struct {
	t             *testing.T
	seawall       *testenv.Seawall
	server, pages string // origins
	issuer, id    string
	secret        string
	mu            sync.Mutex
	state, nonce  string
	verifier      string
	idToken       string
	refresh       string
	extra         string // parameters of the next request
}

// newApplication serves an application and registers it.
func newApplication(t *testing.T, s *testenv.Seawall) *application {
	t.Helper()
	a := serveApplication(t, s)
	a.issuer, a.id = s.URL+"/dev", "shop"
	var client struct {
		Secret string `json:"client_secret"`
	}
	s.JSON(&client, "client", "create", a.id, "--tenant", "dev", "--type", "web", "--name", "Shop", "--redirect", a.server+"/cb", "--logout-uri", a.pages+"/bye")
	a.secret = client.Secret
	return a
}

// serveApplication serves one that nobody knows yet.
func serveApplication(t *testing.T, s *testenv.Seawall) *application {
	t.Helper()
	server, pages := listen(t), listen(t)
	a := &application{t: t, seawall: s, server: "http://" + server.Addr().String(), pages: "http://" + pages.Addr().String()}
	front, back := http.NewServeMux(), http.NewServeMux()
	back.HandleFunc("/start", a.start)
	back.HandleFunc("/cb", a.callback)
	back.HandleFunc("/leave", a.leave)
	front.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "the shop: %s", r.URL.Query().Get("is")) })
	for l, h := range map[interface {
		Close() error
	}]http.Handler{server: back, pages: front} {
		web := &http.Server{Handler: h}
		if l == server {
			go web.Serve(server)
		} else {
			go web.Serve(pages)
		}
		t.Cleanup(func() { web.Close() })
	}
	return a
}

func random() string {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (a *application) start(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state, a.nonce, a.verifier = random(), random(), random()
	sum := sha256.Sum256([]byte(a.verifier))
	q := url.Values{"client_id": {a.id}, "redirect_uri": {a.server + "/cb"}, "response_type": {"code"}, "scope": {"openid profile offline_access"}, "state": {a.state}, "nonce": {a.nonce},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	http.Redirect(w, r, a.issuer+"/authorize?"+q.Encode()+a.extra, http.StatusSeeOther)
}

func (a *application) callback(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := r.URL.Query()
	is := q.Get("error")
	if q.Get("state") != a.state || q.Get("iss") != a.issuer {
		is = "a mix-up"
	} else if is == "" {
		is = a.exchange(q.Get("code"))
	}
	http.Redirect(w, r, a.pages+"/?is="+url.QueryEscape(is), http.StatusSeeOther)
}

func (a *application) exchange(code string) string {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.server + "/cb"}, "code_verifier": {a.verifier}}
	status, body := a.ask(form)
	var tokens struct {
		Access  string `json:"access_token"`
		ID      string `json:"id_token"`
		Refresh string `json:"refresh_token"`
	}
	if json.Unmarshal(body, &tokens) != nil || tokens.Access == "" || tokens.ID == "" || tokens.Refresh == "" {
		return fmt.Sprintf("%d %s", status, body)
	}
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(tokens.ID, ".")[1])
	var claims struct{ Sub, Nonce, ACR string }
	if json.Unmarshal(payload, &claims) != nil || claims.Nonce != a.nonce || claims.ACR != "phr" {
		return "another ID token: " + string(payload)
	}
	a.idToken, a.refresh = tokens.ID, tokens.Refresh
	return "yours, " + claims.Sub
}

// again refreshes, and says what was wrong if anything was.
func (a *application) again() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	status, body := a.ask(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.refresh}})
	var answer struct {
		Refresh string `json:"refresh_token"`
		Error   string `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK {
		return answer.Error
	}
	a.refresh = answer.Refresh
	return ""
}

// ask sends a form to the token endpoint.
func (a *application) ask(form url.Values) (int, []byte) {
	req, _ := http.NewRequest("POST", a.issuer+"/token", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(a.id, a.secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, body
}

func (a *application) leave(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := url.Values{"id_token_hint": {a.idToken}, "post_logout_redirect_uri": {a.pages + "/bye"}, "state": {"s"}}
	http.Redirect(w, r, a.issuer+"/logout?"+q.Encode(), http.StatusSeeOther)
}

func (a *application) asking(extra string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.extra = extra
}

func dev(s *testenv.Seawall) {
	s.Run("tenant", "create", "dev", "--class", "development", "--owner", "ops@acme.example", "--contact", "a@acme.example", "--contact", "b@acme.example")
}

func member(t *testing.T, s *testenv.Seawall, tenant, login, name string) string {
	t.Helper()
	s.Run("person", "create", login, "--tenant", tenant, "--name", name)
	file := filepath.Join(t.TempDir(), "link")
	s.Run("person", "enrol", login, "--tenant", tenant, "--save", file)
	return saved(t, file)
}

// TestAnApplication: a person signs in to an application, agrees, is remembered, touches again when it asks, and signs out
// for it, in a browser that holds our policy against every step.
func TestAnApplication(t *testing.T) {
	s := start(t)
	dev(s)
	app := newApplication(t, s)
	b := open(t)
	b.enrol(member(t, s, "dev", "ada@acme.example", "Ada Lovelace"), "/dev")
	b.click(`form[action="/dev/signout"] button`)
	b.at("/dev/signed-out")

	b.go2(app.server + "/start")
	b.at("/dev/consent") // by way of the sign-in page, where the authenticator takes the browser's offer
	if text := b.text(); !strings.Contains(text, "Continue to Shop?") || !strings.Contains(text, "Ada Lovelace") {
		t.Fatalf("the page says\n%s", text)
	}
	shop := func(is string) {
		t.Helper()
		b.until(fmt.Sprintf(`location.origin === %q && document.body.innerText.includes(%q)`, app.pages, "the shop: "+is))
	}
	eval[bool](b, `(() => { const allow = document.querySelector('button[value="allow"]'); allow.click(); setTimeout(() => allow.click(), 3); return true })()`) // as some people click
	shop("yours, ")

	b.go2(app.server + "/start") // remembered
	shop("yours, ")
	app.asking("&prompt=none")
	b.go2(app.server + "/start")
	shop("yours, ")
	app.asking("&prompt=login")
	b.touches(false)
	b.go2(app.server + "/start")
	b.at("/dev/signin") // and nothing goes on without a touch
	b.go2(app.pages)    // or the page that waits would get the next one
	b.touches(true)
	b.go2(app.server + "/start")
	shop("yours, ")
	app.asking("&prompt=consent")
	b.go2(app.server + "/start")
	b.at("/dev/consent")
	b.click(`button[value="deny"]`)
	shop("access_denied")

	// Another site gets nowhere with either page, framed or posted to.
	b.go2(app.server + "/start")
	b.at("/dev/consent")
	where := eval[string](b, "location.href")
	form := eval[string](b, `new URLSearchParams(new FormData(document.querySelector("form"))).toString()`)
	evil := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><iframe src=%q></iframe><form method=post action=%q>`, where, s.URL+"/dev/consent")
		values, _ := url.ParseQuery(form + "&decision=allow")
		for name := range values {
			fmt.Fprintf(w, `<input name=%q value=%q>`, name, values.Get(name))
		}
		fmt.Fprint(w, `<button>a kitten</button></form>`)
	})}
	l := listen(t)
	go evil.Serve(l)
	t.Cleanup(func() { evil.Close() })
	b.go2("http://" + l.Addr().String())
	if framed := eval[bool](b, `(() => { try { return document.querySelector("iframe").contentDocument !== null } catch { return false } })()`); framed {
		t.Error("the consent page can be framed")
	}
	b.click("button")
	b.until(`document.body.innerText.includes("came from another site")`)

	b.go2(app.server + "/leave")
	b.at("/dev/logout")
	at := eval[string](b, "location.href")
	if harmless(t, at); strings.Contains(at, "id_token") {
		t.Error("the ID token stays in the address")
	}
	b.click(`form[action="/dev/logout"] button`)
	b.until(fmt.Sprintf(`location.href === %q`, app.pages+"/bye?state=s"))
	app.asking("&prompt=none")
	b.go2(app.server + "/start")
	shop("login_required")

	log := s.Run("log", "search", "--json")
	for _, kind := range []string{"consent.given", "code.issued", "session.ended"} {
		if !strings.Contains(log, kind) {
			t.Errorf("%s is not in the log", kind)
		}
	}
	harmless(t, s.Output(), log)
}

// TestApplicationScreens looks at the pages that applications send people to.
func TestApplicationScreens(t *testing.T) {
	document, root := metadata(t)
	s := testenv.Start(t, testenv.Options{Binary: binary, Listen: strings.Replace(testenv.FreeAddress(t), "127.0.0.1", "localhost", 1), Args: []string{"--fido-metadata", document, "--fido-metadata-root", root}})
	dev(s)
	app := newApplication(t, s)
	s.Run("api", "create", "https://orders.acme.example", "--tenant", "dev", "--scope", "orders:read", "--scope", "orders:write", "--scope", "invoices:read")
	s.Run("client", "create", "field-app", "--tenant", "dev", "--type", "native", "--name", "Field service companion", "--redirect", "com.example.fieldservice:/callback",
		"--api", "https://orders.acme.example", "--scope", "orders:read", "--scope", "orders:write", "--scope", "invoices:read")
	s.Run("client", "create", "portal", "--tenant", "dev", "--type", "web", "--name", "Acme portal", "--redirect", "https://portal.acme.example/callback")
	b := open(t)
	link := member(t, s, "dev", "ada@acme.example", "Ada Lovelace")
	g := newGallery(b)
	sum := sha256.Sum256([]byte("verifier"))
	request := func(client, redirect, scope string) string {
		return app.issuer + "/authorize?" + url.Values{"client_id": {client}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {scope},
			"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}.Encode()
	}
	b.touches(false)
	g.look("signin-application", func() { b.go2(request("portal", "https://portal.acme.example/callback", "openid profile")) })
	b.touches(true)
	b.enrol(link, "/dev")
	g.look("consent", func() { b.go2(request("portal", "https://portal.acme.example/callback", "openid profile")) })
	g.look("consent-all", func() {
		b.go2(request("field-app", "com.example.fieldservice:/callback", "openid profile offline_access orders:read orders:write invoices:read"))
	})
	g.look("consent-again", func() {
		b.go2(request("portal", "https://portal.acme.example/callback", "openid"))
		b.go2(eval[string](b, "location.href") + "&changed=1")
	})
	g.look("logout", func() { b.go2(app.issuer + "/logout?client_id=portal") })
	g.look("problem-client", func() { b.go2(request("nobody", "https://portal.acme.example/callback", "openid")) })
	g.look("problem-redirect", func() { b.go2(request("portal", "https://portal.acme.example.evil.example/", "openid")) })
	b.go2(app.server + "/start")
	b.click(`button[value="allow"]`)
	b.until(`document.body.innerText.includes("the shop: yours")`)
	b.enrol(member(t, s, "dev", "bob@acme.example", "Bob Kahn"), "/dev")
	g.look("logout-other", func() { b.go2(app.server + "/leave") })
	if text := b.text(); !strings.Contains(text, "Bob Kahn") || !strings.Contains(text, "Zurück zu Shop") {
		t.Errorf("bob is told\n%s", text)
	}
	g.saw("/{tenant}", authorize.Pages())

	// What applications have of somebody, one of them in doubt: an older refresh token than the last came back.
	b.go2(app.server + "/start")
	b.click(`button[value="allow"]`)
	b.until(`document.body.innerText.includes("the shop: yours")`)
	old := app.refresh
	for range 3 { // the one before the last may have been on its way
		app.again()
	}
	app.refresh = old
	if wrong := app.again(); wrong != "invalid_grant" {
		t.Fatalf("an older refresh token: %q", wrong)
	}
	b.go2(request("field-app", "com.example.fieldservice:/callback", "openid offline_access"))
	b.click(`button[value="allow"]`)
	g.look("account-applications", func() {
		b.go2(app.issuer + "/account")
		b.until(`document.querySelectorAll('form[action="/dev/account/applications/end"]').length === 2 && document.querySelectorAll('form[action="/dev/account/applications/resume"]').length === 1`)
	})
	second := b.authenticator(true)
	eval[bool](b, `(document.getElementById("name").value = "Bob’s phone", true)`)
	b.click("#go")
	b.until(`document.querySelectorAll('form[action$="/passkeys/remove"]').length === 2`)
	g.look("account-removing", func() { // what would end with a passkey
		b.go2(app.issuer + "/account")
		eval[bool](b, `(document.querySelector("details.change").open = true)`)
		b.until(`document.querySelector("details.change").innerText.includes("Shop")`)
	})
	call(b, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: second})

	b.touches(false)
	g.look("signin-again", func() {
		b.go2(request("shop", app.server+"/cb", "openid") + "&prompt=login&id_token_hint=" + app.idToken)
		b.until(`document.querySelector('[data-again="yes"]') !== null`)
	})

	// An application asks for a certified security key. Nobody here has one any more.
	s.Run("tenant", "complete", "dev", "--passkeys", "attested", "--yes")
	g.look("signin-demand", func() {
		b.go2(request("portal", "https://portal.acme.example/callback", "openid") + "&acr_values=phrh")
		b.until(`document.querySelector(".notice.warn a") !== null`)
	})
}

// metadata keeps a FIDO metadata document that knows no authenticator at all, and the root that it is signed under.
func metadata(t *testing.T) (document, root string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	const name = "mds.fidoalliance.org"
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(nil, authority, authority, public, private)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	input := encode(fmt.Appendf(nil, `{"alg":"EdDSA","typ":"JWT","x5c":[%q]}`, base64.StdEncoding.EncodeToString(der))) + "." + encode([]byte(`{"legalHeader":"for tests","no":1,"nextUpdate":"2099-01-01","entries":[]}`))
	dir := t.TempDir()
	document, root = filepath.Join(dir, "mds.jwt"), filepath.Join(dir, "root.pem")
	for path, text := range map[string][]byte{document: []byte(input + "." + encode(ed25519.Sign(private, []byte(input)))), root: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})} {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return document, root
}
