// Package browser drives the release binary through headless Chromium, as a person would: with a virtual authenticator in
// place of a finger, and looks at every page that there is, see [gallery].
//
// It is a module of its own, so that what drives the browser never comes near the product: run it with GOWORK=off.
package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"seawall/internal/login"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/testenv"
)

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "seawall-browser-")
	if err == nil {
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "seawall")
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// build makes the release binaries in the product's own workspace, of which this module is no part.
func build(dir string) error {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := os.Unsetenv("GOWORK"); err != nil {
		return err
	}
	if err := os.Chdir("../.."); err != nil {
		return err
	}
	return errors.Join(testenv.Build(dir), os.Chdir(here))
}

// start starts a seawall under a name, since passkeys want one.
func start(t *testing.T) *testenv.Seawall {
	t.Helper()
	return testenv.Start(t, testenv.Options{Binary: binary, Listen: strings.Replace(testenv.FreeAddress(t), "127.0.0.1", "localhost", 1)})
}

// tab is a browser with one page open.
type tab struct {
	t   *testing.T
	ctx context.Context
	key webauthn.AuthenticatorID
}

const patience = 30 * time.Second

// open starts a browser of its own, with no cookies and one authenticator.
func open(t *testing.T) *tab {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(testenv.Tool(t, "chromium")), chromedp.Flag("lang", "en-GB"), chromedp.Flag("hide-scrollbars", true))
	if os.Getuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	allocated, end := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(end)
	ctx, shut := chromedp.NewContext(allocated)
	t.Cleanup(shut)
	b := &tab{t: t, ctx: ctx}
	b.must(chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	call(b, webauthn.Enable, webauthn.EnableParams{})
	b.key = b.authenticator(false)
	b.language("en-GB")
	return b
}

func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// within bounds what is done with the browser.
func (b *tab) within() context.Context {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	b.t.Cleanup(cancel)
	return ctx
}

// call sends a command to the page.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	result, err := chromedp.Run(b.within(), func(ctx context.Context, target *chromedp.Target) (R, error) {
		return cdp.Call(ctx, target, command, params)
	})
	if err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// authenticator adds a passkey provider that touches by itself. A synced one says that its passkeys may be copied; it is
// a second one, since Chromium takes one inside the machine.
func (b *tab) authenticator(synced bool) webauthn.AuthenticatorID {
	b.t.Helper()
	transport := webauthn.AuthenticatorTransportInternal
	if synced {
		transport = webauthn.AuthenticatorTransportUsb
	}
	return call(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: transport, HasResidentKey: true, HasUserVerification: true,
		IsUserVerified: true, AutomaticPresenceSimulation: true, DefaultBackupEligibility: synced, DefaultBackupState: synced,
	}}).AuthenticatorID
}

// touches says whether anybody is there to touch the passkey.
func (b *tab) touches(by bool) {
	b.t.Helper()
	call(b, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: b.key, Enabled: by})
}

func (b *tab) language(tag string) {
	b.t.Helper()
	call(b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": tag}})
}

func (b *tab) go2(url string) {
	b.t.Helper()
	b.must(chromedp.Do(b.within(), chromedp.Navigate(url)))
}

// eval runs an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.within(), chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", expression, err, b.text())
	}
	return v
}

func (b *tab) text() string {
	text, err := chromedp.Run(b.within(), chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	if err != nil {
		return err.Error()
	}
	return text
}

// until waits for an expression to be true, on this page or the next.
func (b *tab) until(expression string) {
	b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if ok, err := chromedp.Run(b.within(), chromedp.Evaluate[bool](expression)); err == nil && ok {
			return
		}
		if time.Now().After(end) {
			where, _ := chromedp.Run(b.within(), chromedp.Location())
			b.t.Fatalf("it never happens: %s\nat %s:\n%s", expression, where, b.text())
		}
	}
}

func (b *tab) at(path string) {
	b.t.Helper()
	b.until(fmt.Sprintf("location.pathname === %q && document.readyState === 'complete'", path))
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.querySelector(%q) && !document.querySelector(%q).disabled", selector, selector))
	eval[bool](b, fmt.Sprintf("(document.querySelector(%q).click(), true)", selector))
}

// enrol opens a link and makes a passkey.
func (b *tab) enrol(link, home string) {
	b.t.Helper()
	b.go2(link)
	b.until(`document.getElementById("who-login").textContent.trim() !== ""`)
	if eval[string](b, "location.hash") != "" {
		b.t.Error("the link's secret stays in the address")
	}
	b.click("#go")
	b.at(home + "/account")
}

// saved reads what --save kept.
func saved(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, link, _ := strings.Cut(strings.TrimSpace(string(text)), "='")
	return strings.TrimSuffix(link, "'")
}

// person makes a person of acme and returns a link for them.
func person(t *testing.T, s *testenv.Seawall, login, name string) string {
	t.Helper()
	s.Run("person", "create", login, "--tenant", "acme", "--name", name)
	file := filepath.Join(t.TempDir(), "link")
	s.Run("person", "enrol", login, "--tenant", "acme", "--save", file)
	return saved(t, file)
}

func acme(s *testenv.Seawall) {
	s.Run("tenant", "create", "acme", "--class", "production", "--owner", "ops@acme.example", "--contact", "a@acme.example", "--contact", "b@acme.example")
}

// harmless checks that there is no credential in texts. It looks for whole forms: a random id has any three letters now and then.
func harmless(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		for _, f := range secret.Find([]byte(text)) {
			t.Errorf("a %s is in an output", f.What)
		}
	}
}

// TestTheFirstAdministrator takes the link that the first start leaves, and what comes after it.
func TestTheFirstAdministrator(t *testing.T) {
	s := start(t)
	file := filepath.Join(s.Data, "first-administrator.txt")
	for end := time.Now().Add(patience); !strings.Contains(s.Output(), file); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the path of the link is not printed:\n%s", s.Output())
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the link's file is %v, %v", info, err)
	}
	link, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	harmless(t, s.Output()) // nobody sits at a terminal
	b := open(t)
	b.enrol(strings.TrimSpace(string(link)), "/operators")
	if text := b.text(); !strings.Contains(text, "First administrator") || !strings.Contains(text, "Your passkey works.") {
		t.Errorf("the account says\n%s", text)
	}
	other := open(t)
	other.go2(strings.TrimSpace(string(link)))
	other.until(`document.getElementById("say").textContent.includes("no longer works")`)

	var shown struct {
		Passkeys []struct{ Used time.Time }
		Sessions []struct{ ACR, Device string }
	}
	s.JSON(&shown, "person", "show", "administrator", "--tenant", "operators")
	if len(shown.Passkeys) != 1 || len(shown.Sessions) != 1 || shown.Sessions[0].ACR != "phr" || shown.Sessions[0].Device != "Chromium · Linux" {
		t.Errorf("they have %+v", shown)
	}
	out, err := s.Command("person", "disable", "administrator", "--tenant", "operators", "--yes").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("the socket only reads")) || !bytes.Contains(out, []byte("seawall login "+s.URL)) {
		t.Errorf("disabling the last owner over the socket: %v\n%s", err, out)
	}
	log := s.Run("log", "search", "--json")
	for _, kind := range []string{"person.created", "enrolment.issued", "enrolment.used", "passkey.added", "person.signed-in"} {
		if !strings.Contains(log, kind) {
			t.Errorf("%s is not in the log", kind)
		}
	}
	// A restart neither invites again nor signs anybody out.
	s.Stop()
	again := testenv.Start(t, testenv.Options{Binary: binary, Data: s.Data, Listen: s.Listen})
	if _, err := os.Stat(file); err == nil {
		t.Error("the used link's file is still there")
	}
	b.go2(again.URL + "/operators/account")
	b.at("/operators/account")
}

// TestAPersonsDay is what people do: enrol, sign in by button and by the browser's own offer, add and remove a passkey,
// end sessions, sign out.
func TestAPersonsDay(t *testing.T) {
	s := start(t)
	acme(s)
	b := open(t)
	b.enrol(person(t, s, "ada@acme.example", "Ada Lovelace"), "/acme")
	b.click(`form[action="/acme/signout"] button`)
	b.at("/acme/signed-out")
	b.go2(s.URL + "/acme/account") // asks to sign in, and comes back
	b.at("/acme/signin")
	b.at("/acme/account") // by itself: the authenticator takes the browser's offer in the account field

	b.click(`form[action="/acme/signout"] button`)
	b.at("/acme/signed-out")
	b.touches(false)
	b.go2(s.URL + "/acme/signin")
	b.touches(true)
	b.click("#go")
	b.at("/acme/account")

	// A second passkey on another authenticator: the first is excluded, so the browser takes the second.
	second := b.authenticator(true)
	eval[bool](b, `(document.getElementById("name").value = "Phone <b>", true)`)
	b.click("#go")
	b.until(`document.querySelectorAll("#passkeys").length && document.querySelectorAll('form[action$="/passkeys/rename"]').length === 2`)
	if text := b.text(); !strings.Contains(text, "Phone <b>") || !strings.Contains(text, "Synced") {
		t.Errorf("the account says\n%s", text)
	}
	eval[bool](b, `(document.querySelectorAll('form[action$="/passkeys/remove"]')[1].submit(), true)`)
	b.until(`document.querySelectorAll('form[action$="/passkeys/rename"]').length === 1 && document.readyState === "complete"`)
	call(b, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: second})

	harmless(t, s.Output(), s.Run("log", "search", "--json"))
}

// TestAnotherLinkInTheSameTab: only what is after # changes, so the browser loads nothing by itself, and the page must.
func TestAnotherLinkInTheSameTab(t *testing.T) {
	s := start(t)
	acme(s)
	adas, bobs := person(t, s, "ada@acme.example", "Ada Lovelace"), person(t, s, "bob@acme.example", "Bob Kahn")
	b := open(t)
	for _, one := range [][2]string{{adas, "ada@acme.example"}, {bobs, "bob@acme.example"}} {
		b.go2(one[0])
		b.until(fmt.Sprintf(`document.getElementById("who-login").textContent.trim() === %q`, one[1]))
	}
	b.click("#go")
	b.at("/acme/account")
	if text := b.text(); !strings.Contains(text, "Bob Kahn") || strings.Contains(text, "Ada Lovelace") {
		t.Errorf("the passkey is somebody else's:\n%s", text)
	}
}

// listen opens a free port of loopback.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestABrowserThatLies: what the browser itself refuses, and what the server refuses although the browser would not.
func TestABrowserThatLies(t *testing.T) {
	s := start(t)
	acme(s)
	b := open(t)
	b.enrol(person(t, s, "ada@acme.example", "Ada Lovelace"), "/acme")
	b.click(`form[action="/acme/signout"] button`)
	b.at("/acme/signed-out")

	call(b, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: b.key})
	b.go2(s.URL + "/acme/signin")
	b.click("#go")
	b.until(`document.getElementById("say").textContent.includes("Nothing happened")`)
	call(b, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: b.key, IsUserVerified: true})

	call(b, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: b.key, IsBadUV: ptr(true)})
	b.click("#go")
	b.until(`document.getElementById("say").textContent.includes("not accepted")`)
	call(b, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: b.key, IsBogusSignature: ptr(true)})
	b.click("#go")
	b.until(`!document.getElementById("go").disabled && document.getElementById("say").textContent.includes("not accepted")`)

	// Another site of the same machine: neither its forms nor its frames get anywhere.
	evil := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><form method=post action="%s/acme/signout"><button>x</button></form><iframe src="%s/acme/signin"></iframe>`, s.URL, s.URL)
	})}
	l := listen(t)
	go evil.Serve(l)
	t.Cleanup(func() { evil.Close() })
	call(b, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: b.key})
	b.go2(s.URL + "/acme/signin")
	b.at("/acme/account") // the browser's own offer
	b.go2("http://" + l.Addr().String())
	if framed := eval[bool](b, `(() => { try { return document.querySelector("iframe").contentDocument !== null } catch { return false } })()`); framed {
		t.Error("the sign-in page can be framed")
	}
	b.click("button")
	b.until(`document.body.innerText.includes("came from another site")`)
	b.go2(s.URL + "/acme/account")
	b.at("/acme/account") // still signed in
}

// TestCounterThatWentBack copies a passkey, as a thief who can read it would.
func TestCounterThatWentBack(t *testing.T) {
	s := start(t)
	acme(s)
	b := open(t)
	b.enrol(person(t, s, "ada@acme.example", "Ada Lovelace"), "/acme")
	keys := call(b, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: b.key}).Credentials
	if len(keys) != 1 {
		t.Fatalf("%d passkeys", len(keys))
	}
	b.click(`form[action="/acme/signout"] button`)
	b.at("/acme/signed-out")
	b.go2(s.URL + "/acme/signin")
	b.at("/acme/account")

	thief := open(t)
	thief.take(keys[0], 0)
	thief.go2(s.URL + "/acme/signin")
	thief.until(`document.getElementById("say").textContent.includes("suspended")`)
	b.go2(s.URL + "/acme/account")
	b.at("/acme/signin") // its sessions are over
	if log := s.Run("log", "search", "--json"); !strings.Contains(log, "passkey.suspended") {
		t.Error("the ledger doesn't say so")
	}
}

// take gives the browser's authenticator another one's passkey, with its counter ahead by more.
func (b *tab) take(k *webauthn.Credential, more float64) {
	b.t.Helper()
	type credential struct { // without the fields of the library's that this Chromium takes for wishes
		ID       []byte  `json:"credentialId"`
		Resident bool    `json:"isResidentCredential"`
		RP       string  `json:"rpId"`
		Key      []byte  `json:"privateKey"`
		User     []byte  `json:"userHandle"`
		Count    float64 `json:"signCount"`
	}
	type params struct {
		Authenticator webauthn.AuthenticatorID `json:"authenticatorId"`
		Credential    credential               `json:"credential"`
	}
	call(b, cdp.Command[params, cdp.Empty]{Method: webauthn.CommandAddCredential}, params{b.key, credential{k.CredentialID, true, k.RpID, k.PrivateKey, k.UserHandle, k.SignCount + more}})
}

// borrow gives the browser's authenticator the passkey of another's, with its counter ahead.
func (b *tab) borrow(from *tab) {
	b.t.Helper()
	keys := call(from, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: from.key}).Credentials
	if len(keys) != 1 {
		b.t.Fatalf("%d passkeys", len(keys))
	}
	b.take(keys[0], 100)
}

func ptr[T any](v T) *T { return &v }

// TestScreens looks at every page on which people sign in and see to their account.
func TestScreens(t *testing.T) {
	s := start(t)
	acme(s)
	link := person(t, s, "ada@acme.example", "Ada Lovelace")
	code := sealed(t, s, "acme")
	s.Run("person", "create", "second@seawall.example", "--tenant", "operators", "--role", "owner")
	b := open(t)
	g := newGallery(b)
	plain := func(name, path string) { g.look(name, func() { b.go2(s.URL + path) }) }
	b.touches(false)
	_, secret, _ := strings.Cut(link, "#")
	g.look("enrol", func() {
		b.go2("about:blank") // what is after # alone would load nothing
		b.go2(s.URL + "/acme/enrol?#" + secret)
		b.until(`document.getElementById("who-login").textContent.trim() !== ""`)
	})
	g.look("enrol-over", func() {
		b.go2("about:blank")
		b.go2(s.URL + "/acme/enrol?#swe_prod_gone")
		b.until(`document.getElementById("say").textContent !== ""`)
	})
	plain("front", "/")
	plain("nowhere", "/nobody/signin")
	plain("signin", "/acme/signin")
	plain("signed-out", "/acme/signed-out")
	plain("problem", "/acme/signin?i=gone")
	b.touches(true)
	b.enrol(link, "/acme")
	plain("account-new", "/acme/account")
	b.authenticator(true)
	eval[bool](b, `(document.getElementById("name").value = "Ada’s phone", true)`)
	b.click("#go")
	b.until(`document.querySelectorAll('form[action$="/passkeys/rename"]').length === 2`)
	phone := open(t)
	keys := call(b, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: b.key}).Credentials
	phone.take(keys[0], 100)
	phone.go2(s.URL + "/acme/signin")
	phone.at("/acme/account")
	s.Run("person", "recover", "ada@acme.example", "--tenant", "acme")
	plain("account", "/acme/account")
	unfold := func() {
		b.go2(s.URL + "/acme/account")
		eval[bool](b, `(document.querySelectorAll("details.change")[1].open = true)`)
	}
	g.look("account-open", unfold)
	s.Run("tenant", "complete", "acme", "--passkeys", "device-bound", "--yes") // Ada's phone is synced
	g.look("account-lesser", unfold)
	operator, err := os.ReadFile(filepath.Join(s.Data, "first-administrator.txt"))
	b.must(err)
	b.enrol(strings.TrimSpace(string(operator)), "/operators")
	plain("account-operator", "/operators/account")
	glass := s.Command("break-glass", "use", "--tenant", "acme", "--save", filepath.Join(t.TempDir(), "link"))
	glass.Stdin = strings.NewReader(code.Reveal() + "\n")
	if out, err := glass.CombinedOutput(); err != nil {
		t.Fatalf("breaking the glass: %v\n%s", err, out)
	}
	s.Run("person", "enrol", "second@seawall.example", "--tenant", "operators", "--save", filepath.Join(t.TempDir(), "link"))
	g.look("account-alarms", func() {
		b.go2(s.URL + "/operators/account")
		b.until(`document.querySelectorAll(".alarms li").length === 2`)
	})
	g.saw("/{tenant}", login.Pages())
}

// sealed gives a break-glass principal of a tenant a code. The command line would show it on a terminal only.
func sealed(t *testing.T, s *testenv.Seawall, tenant string) secret.Text {
	t.Helper()
	code := secret.Generate(secret.BreakGlass, secret.Production)
	hash := code.Hash()
	if err := adminapi.Dial(filepath.Join(s.Data, "house")).SealGlass(t.Context(), tenant, "break-glass-1", adminapi.SealGlass{Hash: hash[:]}); err != nil {
		t.Fatal(err)
	}
	return code
}

// TestWeight: the first page and all that it loads.
func TestWeight(t *testing.T) {
	s := start(t)
	acme(s)
	b := open(t)
	b.go2(s.URL + "/acme/signin")
	bytes := eval[float64](b, `performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation")).filter((e) => !e.name.endsWith("/begin")).reduce((n, e) => n + e.transferSize, 0)`)
	if t.Logf("%.0f bytes on the wire", bytes); bytes == 0 || bytes > 30_000 {
		t.Errorf("the first page weighs %.0f bytes", bytes)
	}
	shift := eval[float64](b, `new Promise((done) => { let sum = 0; new PerformanceObserver((l) => { for (const e of l.getEntries()) sum += e.value }).observe({type: "layout-shift", buffered: true}); requestAnimationFrame(() => setTimeout(() => done(sum), 100)) })`)
	if shift > 0 {
		t.Errorf("the page moved by %f after it was drawn", shift)
	}
}
