package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"seawall/internal/testenv"
)

// person is somebody with a passkey and a browser that has cookies and no pictures.
type person struct {
	t       testing.TB
	subject string
	issuer  string
	http    *http.Client
	key     *ecdsa.PrivateKey
	id      []byte // of the passkey
	handle  string
	count   uint32
	link    string                                           // by which they were enrolled; used up
	heard   func(what string, a *http.Response, body []byte) // every answer, if somebody wants to know
}

var noSecrets = regexp.MustCompile(`sw[a-z]_[a-z]+_[0-9A-Za-z]+`)

// newPerson makes a person of a tenant whose issuer has a name, and enrols them by a link. transport reaches the issuer.
func newPerson(t *testing.T, s *testenv.Seawall, w *world, login string, transport http.RoundTripper) *person {
	t.Helper()
	p := meet(t, s, w, login, transport)
	begun := p.post("/enrol/begin", map[string]any{"secret": p.link})
	p.post("/enrol/finish", map[string]any{"name": "key", "credential": p.create(begun)})
	return p
}

// meet makes a person who has a link and has not used it yet.
func meet(t *testing.T, s *testenv.Seawall, w *world, login string, transport http.RoundTripper) *person {
	t.Helper()
	p := newBrowser(t, w.Issuer, transport)
	var made struct{ Subject string }
	s.JSON(&made, "person", "create", login, "--tenant", w.Tenant, "--name", "Ada Lovelace")
	p.subject = made.Subject
	file := filepath.Join(testenv.Dir(t, s.UID), "link")
	s.Run("person", "enrol", login, "--tenant", w.Tenant, "--save", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, p.link, _ = strings.Cut(strings.TrimSuffix(strings.TrimSpace(string(text)), "'"), "#")
	return p
}

// newBrowser is the browser and the authenticator of somebody who has no passkey yet.
func newBrowser(t *testing.T, issuer string, transport http.RoundTripper) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, issuer: issuer, id: make([]byte, 32)}
	_, _ = rand.Read(p.id)
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	p.http = &http.Client{Timeout: 30 * time.Second, Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return p
}

// post sends JSON as the script of our pages does.
func (p *person) post(path string, body any) map[string]any {
	p.t.Helper()
	status, answer := p.try(path, body)
	var got map[string]any
	if err := json.Unmarshal([]byte(answer), &got); err != nil || status != http.StatusOK {
		p.t.Fatalf("%s: %d, %v\n%s", path, status, err, noSecrets.ReplaceAllString(answer, "…"))
	}
	return got
}

// try is post without a wish for how it ends.
func (p *person) try(path string, body any) (status int, answer string) {
	p.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequest("POST", p.issuer+path, bytes.NewReader(text))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	status, _, answer = p.do(req)
	return status, answer
}

// do sends a request as a page of ours would.
func (p *person) do(req *http.Request) (status int, header http.Header, body string) {
	p.t.Helper()
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	resp, err := p.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.keepsToItself(req.Method+" "+req.URL.Path, resp)
	if p.heard != nil {
		p.heard(req.Method+" "+req.URL.Path, resp, text)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// keepsToItself checks what everything has that a browser is shown, and that no cookie leaves its issuer or is read by a script.
func (p *person) keepsToItself(what string, resp *http.Response) {
	p.t.Helper()
	if shown := resp.Header.Get("Content-Type"); strings.HasPrefix(shown, "text/html") || resp.StatusCode == http.StatusSeeOther {
		policy := resp.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "require-trusted-types-for 'script'", "trusted-types 'none'"} {
			if !strings.Contains(policy, want) {
				p.t.Errorf("%s: %d, and %q is not in its policy %q", what, resp.StatusCode, want, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("X-Frame-Options") != "DENY" {
			p.t.Errorf("%s: %d, %v", what, resp.StatusCode, resp.Header)
		}
	}
	secure := strings.HasPrefix(p.issuer, "https:")
	for _, c := range resp.Cookies() {
		if c.Path != "/" || c.Domain != "" || !c.HttpOnly || c.Secure != secure || strings.HasPrefix(c.Name, "__Host-") != secure || c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode {
			p.t.Errorf("%s sets %+v", what, c)
		}
	}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// clientData and authenticatorData are what a browser and an authenticator say (WebAuthn §5.8.1, §6.1): present, verified,
// on one device.
func (p *person) clientData(kind, challenge string) []byte {
	u, err := url.Parse(p.issuer)
	if err != nil {
		p.t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": u.Scheme + "://" + u.Host, "crossOrigin": false})
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

func (p *person) authenticatorData(flags byte) []byte {
	u, err := url.Parse(p.issuer)
	if err != nil {
		p.t.Fatal(err)
	}
	p.count++
	hash := sha256.Sum256([]byte(u.Hostname()))
	return binary.BigEndian.AppendUint32(append(hash[:], flags|0x05), p.count)
}

// create makes the passkey, with attestation none. The CBOR in it is written by hand: there is little of it.
func (p *person) create(begun map[string]any) map[string]any {
	p.t.Helper()
	options := begun["options"].(map[string]any)
	p.handle = options["user"].(map[string]any)["id"].(string)
	point, err := p.key.PublicKey.Bytes()
	if err != nil {
		p.t.Fatal(err)
	}
	data := append(p.authenticatorData(0x40), make([]byte, 16)...)
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(p.id))), p.id...)
	data = append(append(data, 0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20), point[1:33]...)
	data = append(append(data, 0x22, 0x58, 0x20), point[33:]...)
	object := append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58"), byte(len(data)))
	client := p.clientData("webauthn.create", options["challenge"].(string))
	return p.credential(map[string]any{"clientDataJSON": b64(client), "attestationObject": b64(append(object, data...))})
}

func (p *person) credential(response map[string]any) map[string]any {
	return map[string]any{"id": b64(p.id), "rawId": b64(p.id), "type": "public-key", "clientExtensionResults": map[string]any{}, "response": response}
}

// signIn touches the passkey, for what an interaction asks or for nothing, and returns where to go on.
func (p *person) signIn(interaction string) string {
	p.t.Helper()
	begun := p.post("/signin/begin", map[string]any{"i": interaction})
	next := p.post("/signin/finish", map[string]any{"i": interaction, "credential": p.assert(begun)})
	where, _ := next["next"].(string)
	return where
}

// assert touches the passkey for a ceremony.
func (p *person) assert(begun map[string]any) map[string]any {
	p.t.Helper()
	options := begun["options"].(map[string]any)
	client, data := p.clientData("webauthn.get", options["challenge"].(string)), p.authenticatorData(0)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(bytes.Clone(data), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, p.key, digest[:])
	if err != nil {
		p.t.Fatal(err)
	}
	return p.credential(map[string]any{"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature), "userHandle": p.handle})
}

var (
	formTag  = regexp.MustCompile(`<form method="post" action="([^"]*)" class="choice"`)
	inputTag = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
)

// walk goes where an application sends the browser, signs in and agrees where it is asked, and returns the address at which
// the browser leaves the issuer. consents counts how often it was asked.
func (p *person) walk(address string) (left string, consents int) {
	p.t.Helper()
	base, err := url.Parse(p.issuer)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequest("GET", address, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for range 20 {
		status, header, body := p.do(req)
		at, next := req.URL, header.Get("Location")
		switch {
		case next != "":
		case status == http.StatusOK && at.Path == base.Path+"/signin":
			next = p.signIn(at.Query().Get("i"))
		case status == http.StatusOK && formTag.MatchString(body):
			form := url.Values{"decision": {"allow"}}
			for _, m := range inputTag.FindAllStringSubmatch(body, -1) {
				form.Set(m[1], html.UnescapeString(m[2]))
			}
			consents++
			if req, err = http.NewRequest("POST", base.Scheme+"://"+base.Host+formTag.FindStringSubmatch(body)[1], strings.NewReader(form.Encode())); err != nil {
				p.t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			continue
		default:
			p.t.Fatalf("%s: %d\n%s", at.Path, status, body)
		}
		to, err := at.Parse(next)
		if err != nil {
			p.t.Fatal(err)
		}
		if to.Host != base.Host {
			return to.String(), consents
		}
		if req, err = http.NewRequest("GET", to.String(), nil); err != nil {
			p.t.Fatal(err)
		}
	}
	p.t.Fatal("the browser goes in circles")
	return "", 0
}

// cookies are those that the browser has of the issuer.
func (p *person) cookies() []*http.Cookie {
	u, err := url.Parse(p.issuer)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.http.Jar.Cookies(u)
}

// browser lets a program of another language send this person somewhere: it asks with the address, and is told where the
// browser left the issuer. It listens on loopback for one test.
func (p *person) browser() string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address := r.URL.Query().Get("to")
		if !strings.HasPrefix(address, p.issuer+"/") {
			http.Error(w, "this browser goes to "+p.issuer+" only", http.StatusBadRequest)
			return
		}
		left, _ := p.walk(address)
		fmt.Fprint(w, left)
	}))
	p.t.Cleanup(s.Close)
	return s.URL
}
