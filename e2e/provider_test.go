package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"seawall/internal/testenv"
	"seawall/validate"
)

const foreignAudience = "https://stock.example"

// privateJWK makes an ES256 key as a JWK with its private part.
func privateJWK(t *testing.T, kid string) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return map[string]string{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": b64(point[1:33]), "y": b64(point[33:]), "d": b64(private)}
}

// provider is a running oidc-provider.
type provider struct {
	issuer, secret string
}

// startProvider runs npm's oidc-provider with these keys; the first signs. It ends with the test.
func startProvider(t *testing.T, keys ...map[string]string) *provider {
	t.Helper()
	node := testenv.Node(t)
	dir := installNodeClients(t)
	p := &provider{secret: rand.Text()}
	cmd := exec.Command(node, "provider.mjs")
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stderr = &said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close() // it ends when its standard input does
		io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil {
			t.Errorf("oidc-provider ended with %v\n%s", err, said.String())
		}
	})
	if err := json.NewEncoder(stdin).Encode(map[string]any{"jwks": map[string]any{"keys": keys}, "secret": p.secret, "algorithm": "ES256"}); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	var ready bool
	if p.issuer, ready = strings.CutPrefix(strings.TrimSpace(line), "ready "); err != nil || !ready {
		t.Fatalf("oidc-provider said %q, %v\n%s", line, err, said.String())
	}
	return p
}

// token asks the token endpoint.
func (p *provider) token(t *testing.T, form url.Values) (answer struct {
	AccessToken string `json:"access_token"`
	IDToken     string `json:"id_token"`
}) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("web", p.secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(body, &answer) != nil || answer.AccessToken == "" {
		t.Fatalf("the token endpoint answered %d, %v: %s", resp.StatusCode, err, body)
	}
	return answer
}

// machine gets an access token for a client alone.
func (p *provider) machine(t *testing.T) string {
	t.Helper()
	return p.token(t, url.Values{"grant_type": {"client_credentials"}, "resource": {foreignAudience}, "scope": {"read"}}).AccessToken
}

// person signs alice in and gets both tokens.
func (p *provider) person(t *testing.T, nonce string) (access, id string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, before []*http.Request) error {
		if r.URL.Host == "web.example" || len(before) > 10 {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	resp, err := browser.Get(p.issuer + "/auth?" + url.Values{
		"client_id": {"web"}, "response_type": {"code"}, "redirect_uri": {"https://web.example/back"}, "scope": {"openid read"}, "resource": {foreignAudience},
		"nonce": {nonce}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || back.Query().Get("code") == "" {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("signing in ended with %d at %s: %s", resp.StatusCode, back, body)
	}
	answer := p.token(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {"https://web.example/back"}, "code_verifier": {verifier}, "resource": {foreignAudience},
	})
	if answer.IDToken == "" {
		t.Fatal("there is no ID token")
	}
	return answer.AccessToken, answer.IDToken
}

// TestForeignProvider: npm's oidc-provider stays the issuer. seawall pins it, and validate judges what it issues.
func TestForeignProvider(t *testing.T) {
	one, two := privateJWK(t, "one"), privateJWK(t, "two")
	p, other := startProvider(t, one, two), startProvider(t, privateJWK(t, "one"))
	pin := pinIssuer(t, p.issuer, "--only-these-keys")
	judge := func(issuer validate.Issuer, change ...func(*validate.Config)) *validate.Validator {
		c := validate.Config{Issuers: []validate.Issuer{issuer}, Audiences: []string{foreignAudience}}
		for _, f := range change {
			f(&c)
		}
		v, err := validate.New(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(v.Close)
		if err := v.Ready(context.Background()); err != nil {
			t.Fatal(err)
		}
		return v
	}
	pinned := judge(validate.PinnedIssuer(pin))
	byHand := judge(validate.ForeignIssuer(validate.ForeignConfig{Issuer: p.issuer, Keys: validate.RemoteKeys(p.issuer + "/jwks")}))
	machine := p.machine(t)
	access, id := p.person(t, "n-1")
	for name, v := range map[string]*validate.Validator{"pinned": pinned, "by hand": byHand} {
		token, err := v.Token(context.Background(), machine)
		if err != nil || token.Client() != "web" || !token.HasScope("read") || token.Issuer() != p.issuer {
			t.Errorf("%s: a machine's token: %v, %v", name, token, err)
		}
		if token, err = v.Token(context.Background(), access); err != nil || token.Subject() != "alice" {
			t.Errorf("%s: a person's token: %v, %v", name, token, err)
		}
	}

	parts := strings.Split(machine, ".")
	without := bytes.Replace(pin, thumbprintOf(t, pin, "one"), thumbprintOf(t, pin, "two"), 1) // "one" is no longer pinned
	late := func(c *validate.Config) { c.Now = func() time.Time { return time.Now().Add(time.Hour) } }
	elsewhere := func(c *validate.Config) { c.Audiences = []string{"https://elsewhere.example"} }
	for _, c := range []struct {
		name  string
		v     *validate.Validator
		token string
		code  validate.Code
	}{
		{"an ID token as an access token", pinned, id, validate.CodeTyp},
		{"other claims", pinned, parts[0] + "." + base64.RawURLEncoding.EncodeToString(changed(t, parts[1], "sub", "admin")) + "." + parts[2], validate.CodeSignature},
		{"another provider's token", pinned, other.machine(t), validate.CodeIssuer},
		{"a key that is not pinned", judge(validate.PinnedIssuer(without)), machine, validate.CodeKeyNotPinned},
		{"another audience", judge(validate.PinnedIssuer(pin), elsewhere), machine, validate.CodeAudience},
		{"an hour later", judge(validate.PinnedIssuer(pin), late), machine, validate.CodeExpired},
		{"a rule that does not hold", judge(validate.PinnedIssuer(pinIssuer(t, p.issuer, "--claim", "client_id=till"))), machine, validate.CodeClaimRule},
	} {
		if token, err := c.v.Token(context.Background(), c.token); token != nil || !errors.Is(err, c.code) {
			t.Errorf("%s: got %v, %v; want %s", c.name, token, err, c.code)
		}
	}

	// Where the keys come from another place that has none of the pinned ones, there is nothing to judge by.
	swapped, err := validate.New(validate.Config{
		Issuers: []validate.Issuer{validate.PinnedIssuer(pin).WithKeys(validate.RemoteKeys(other.issuer + "/jwks"))}, Audiences: []string{foreignAudience},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer swapped.Close()
	if err := swapped.Ready(context.Background()); !errors.Is(err, validate.CodeKeysUnavailable) {
		t.Errorf("another provider's keys: %v", err)
	}

	relying, err := validate.NewIDTokens("web", validate.Config{Issuers: []validate.Issuer{validate.PinnedIssuer(pin)}})
	if err != nil {
		t.Fatal(err)
	}
	defer relying.Close()
	if login, err := relying.Token(context.Background(), id, validate.Login{Nonce: "n-1"}); err != nil || login.Subject() != "alice" {
		t.Errorf("the ID token: %v, %v", login, err)
	}
	if _, err := relying.Token(context.Background(), id, validate.Login{Nonce: "n-2"}); !errors.Is(err, validate.CodeNonce) {
		t.Errorf("the ID token of another login: %v", err)
	}
	if _, err := relying.Token(context.Background(), access, validate.Login{}); !errors.Is(err, validate.CodeTyp) {
		t.Errorf("an access token as an ID token: %v", err)
	}
}

// TestProvidersThatShareKeys: two issuers with one key can't be told apart by it, and the pin says so.
func TestProvidersThatShareKeys(t *testing.T) {
	shared := privateJWK(t, "shared")
	a, b := startProvider(t, shared, privateJWK(t, "own")), startProvider(t, shared)
	out, err := exec.Command(program, "issuer", "pin", a.issuer, "--compare", b.issuer, "--json").Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	var answer struct {
		Findings []struct {
			Code, Text string
			Forbids    bool `json:"forbids_pin"`
		}
		Pin any
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Findings) != 1 || answer.Findings[0].Code != "shared_key" || !answer.Findings[0].Forbids || answer.Pin != nil ||
		!strings.Contains(answer.Findings[0].Text, `key "shared"`) || !strings.Contains(answer.Findings[0].Text, b.issuer) {
		t.Errorf("found %+v, pinned %v", answer.Findings, answer.Pin)
	}
}

// pinIssuer pins an issuer with the release binary and gives the file.
func pinIssuer(t *testing.T, issuer string, args ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pin.json")
	if out, err := exec.Command(program, append([]string{"issuer", "pin", issuer, "--output", file}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// thumbprintOf gives a key's thumbprint as the pin spells it.
func thumbprintOf(t *testing.T, pin []byte, kid string) []byte {
	t.Helper()
	parsed, err := validate.ParsePin(pin)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range parsed.Keys {
		if k.ID == kid {
			return []byte(k.Thumbprint)
		}
	}
	t.Fatalf("%s is not pinned: %s", kid, pin)
	return nil
}

// changed gives a payload with one claim set.
func changed(t *testing.T, payload, name string, value any) []byte {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	claims[name] = value
	if text, err = json.Marshal(claims); err != nil {
		t.Fatal(err)
	}
	return text
}
