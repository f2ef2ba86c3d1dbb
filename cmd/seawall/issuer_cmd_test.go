package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"seawall/validate"
	"seawall/validate/validatetest"
)

// foreign is a foreign issuer as it shows itself: metadata and keys, both of which a test can change.
type foreign struct {
	*httptest.Server
	metadata map[string]any
	keys     []map[string]any
	status   int
}

func publish(t *testing.T, keys ...map[string]any) *foreign {
	t.Helper()
	p := &foreign{keys: keys, status: http.StatusOK}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			if p.status != http.StatusOK {
				w.Header().Set("Location", "https://elsewhere.example/")
				w.WriteHeader(p.status)
				return
			}
			json.NewEncoder(w).Encode(p.metadata)
		case "/keys":
			json.NewEncoder(w).Encode(map[string]any{"keys": p.keys})
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(p.Close)
	p.metadata = map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys"}
	return p
}

// testJWK makes an ES256 key's JWK with further members; nil takes one away.
func testJWK(t *testing.T, kid string, more map[string]any) map[string]any {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	jwk := map[string]any{"kty": "EC", "crv": "P-256", "kid": kid, "x": b64(point[1:33]), "y": b64(point[33:])}
	for name, value := range more {
		jwk[name] = value
	}
	return jwk
}

// pinWith runs the command; with --json it reads the answer too.
func pinWith(t *testing.T, args ...string) (code int, answer pinAnswer, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(context.Background(), append([]string{"issuer", "pin"}, args...), strings.NewReader(""), &stdout, &stderr)
	if slices.Contains(args, "--json") && stdout.Len() > 0 {
		if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
			t.Fatalf("%v: %s", err, stdout.String())
		}
	}
	return code, answer, stdout.String(), stderr.String()
}

// found lists the codes of the findings.
func found(a pinAnswer) (codes []string) {
	for _, f := range a.Findings {
		codes = append(codes, f.Code)
	}
	return codes
}

func TestIssuerPin(t *testing.T) {
	p := publish(t, testJWK(t, "b", nil), testJWK(t, "a", nil), map[string]any{"kty": "RSA", "kid": "weak", "n": "AQAB", "e": "AQAB"}, testJWK(t, "enc", map[string]any{"use": "enc"}))
	file := filepath.Join(t.TempDir(), "pin.json")
	code, a, _, errs := pinWith(t, p.URL, "--output", file, "--json", "--type", "JWT", "--claim", "org=1", "--claim", "org=2", "--claim", "/kubernetes.io/name~1space=x")
	if code != 0 || a.Pin == nil || a.Output != file {
		t.Fatalf("%d %+v %s", code, a, errs)
	}
	if got := found(a); !slices.Equal(got, []string{"key_skipped", "key_skipped"}) {
		t.Errorf("found %q", got)
	}
	for _, f := range a.Findings {
		if !strings.Contains(f.Text, "modulus has 17 bits") && !strings.Contains(f.Text, "its use is not sig") {
			t.Errorf("the reason is not told: %s", f.Text)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pin, err := validate.ParsePin(text)
	if err != nil {
		t.Fatal(err)
	}
	rules := []validate.ClaimRule{{Path: []string{"org"}, OneOf: []string{"1", "2"}}, {Path: []string{"kubernetes.io", "name/space"}, OneOf: []string{"x"}}}
	if pin.Issuer != p.URL || pin.JWKS != p.URL+"/keys" || !slices.Equal(pin.Types, []string{"JWT"}) || !slices.Equal(pin.Algorithms, []validate.Alg{"ES256"}) ||
		len(pin.Keys) != 2 || pin.Keys[0].ID != "a" || pin.OnlyTheseKeys || pin.KeyIssuer != "" || pin.Tenants != nil || len(pin.Claims) != 2 ||
		!slices.Equal(pin.Claims[0].OneOf, rules[0].OneOf) || !slices.Equal(pin.Claims[1].Path, rules[1].Path) {
		t.Errorf("pinned %+v", pin)
	}
	if !bytes.Equal(text, encodePin(&pin)) {
		t.Errorf("what was read is not what was written:\n%s", text)
	}

	// The same again changes nothing; a rotation is told key by key; another issuer's file stays as it is.
	again := []string{p.URL, "--output", file, "--type", "JWT", "--claim", "org=1", "--claim", "org=2", "--claim", "/kubernetes.io/name~1space=x"}
	if code, _, out, _ := pinWith(t, again...); code != 0 || !strings.HasSuffix(out, "Read it, and commit it.\n") {
		t.Errorf("again: %d %s", code, out)
	}
	if same, err := os.ReadFile(file); err != nil || !bytes.Equal(same, text) {
		t.Errorf("the same issuer gave another file: %s", same)
	}
	p.keys = append(p.keys[1:2], testJWK(t, "c", nil))
	if code, _, out, _ := pinWith(t, again[:3]...); code != 0 || !strings.Contains(out, `new key "c"`) || !strings.Contains(out, `gone key "b"`) || !strings.Contains(out, "what is demanded of tokens") {
		t.Errorf("after a rotation: %d %s", code, out)
	}
	other := publish(t, testJWK(t, "o", nil))
	if code, _, _, errs := pinWith(t, other.URL, "--output", file); code != 1 || !strings.Contains(errs, "holds the pin of "+p.URL) {
		t.Errorf("another issuer's file: %d %s", code, errs)
	}
	if err := os.WriteFile(file, []byte("# notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, _, errs := pinWith(t, again...); code != 1 || !strings.Contains(errs, "is no pin") {
		t.Errorf("a file that is no pin: %d %s", code, errs)
	}
}

// TestIssuerPinFinds: each finding by its exact code, and whether it leaves anything to pin.
func TestIssuerPinFinds(t *testing.T) {
	const many = "https://many.example/{tenantid}/v2.0"
	naming := func(issuer string) map[string]any { return map[string]any{"issuer": issuer} }
	shared := testJWK(t, "shared", nil)
	other := publish(t, shared)
	for name, c := range map[string]struct {
		issuer *foreign
		args   []string
		codes  []string
		says   string
		pinned bool
	}{
		"nothing":          {publish(t, testJWK(t, "a", nil)), nil, nil, "", true},
		"a shared key":     {publish(t, shared), []string{"--compare", other.URL}, []string{"shared_key"}, "is published by " + other.URL + " too", false},
		"no shared key":    {publish(t, testJWK(t, "shared", nil)), []string{"--compare", other.URL}, nil, "", true},
		"no usable key":    {publish(t, map[string]any{"kty": "oct", "kid": "h", "k": "AAAA"}), nil, []string{"key_skipped", "no_usable_key"}, "none of its 1 keys", false},
		"keys of others":   {publish(t, testJWK(t, "a", naming("https://other.example"))), nil, []string{"keys_of_others"}, "the set names https://other.example", false},
		"any tenant":       {publish(t, testJWK(t, "a", naming(many))), []string{"--issuer", many}, []string{"signs_for_anybody"}, "say by --tenant", false},
		"one of any":       {publish(t, testJWK(t, "a", naming(many))), []string{"--issuer", many, "--tenant", "2a9c4e71-65d0-4b3f-8e12-b7d4f09a3c55"}, nil, "", true},
		"Google's issuer":  {publish(t, testJWK(t, "a", nil)), []string{"--issuer", "https://accounts.google.com"}, []string{"signs_for_anybody"}, "validate.GoogleIssuer", false},
		"Google with rule": {publish(t, testJWK(t, "a", nil)), []string{"--issuer", "https://accounts.google.com", "--claim", "hd=acme.example"}, nil, "", true},
		"several issuers": {
			publish(t, testJWK(t, "a", naming(many)), testJWK(t, "c", naming("https://many.example/consumers/v2.0")), testJWK(t, "s", nil)),
			[]string{"--issuer", many, "--tenant", "2a9c4e71-65d0-4b3f-8e12-b7d4f09a3c55"},
			[]string{"several_issuers", "silent_keys"}, "1 for https://many.example/consumers/v2.0, 1 for " + many, true,
		},
	} {
		if at := slices.Index(c.args, "--issuer"); at >= 0 {
			c.issuer.metadata["issuer"] = c.args[at+1]
		}
		file := filepath.Join(t.TempDir(), "pin.json")
		code, a, _, errs := pinWith(t, append([]string{c.issuer.URL, "--json", "--output", file}, c.args...)...)
		if !slices.Equal(found(a), c.codes) || (code == 0) != c.pinned || (a.Pin != nil) != c.pinned {
			t.Errorf("%s: %d, found %q, pin %v, %s; want %q", name, code, found(a), a.Pin, errs, c.codes)
		}
		if texts, err := json.Marshal(a.Findings); err != nil || !strings.Contains(string(texts), c.says) {
			t.Errorf("%s: %s does not say %q", name, texts, c.says)
		}
		if _, err := os.Stat(file); (err == nil) != c.pinned {
			t.Errorf("%s: the file: %v", name, err)
		}
	}
	bound := publish(t)
	bound.keys = []map[string]any{testJWK(t, "shared", naming(bound.URL))}
	other.keys = bound.keys
	if code, a, _, _ := pinWith(t, bound.URL, "--compare", other.URL, "--json"); code != 0 || !slices.Equal(found(a), []string{"shared_key"}) || a.Pin.KeyIssuer != bound.URL {
		t.Errorf("a shared key that names its issuer: %d %+v", code, a)
	}
}

// TestIssuerPinRefuses: what can't be surveyed at all.
func TestIssuerPinRefuses(t *testing.T) {
	wall := validatetest.NewServer(validatetest.Config{})
	defer wall.Close()
	good := publish(t, testJWK(t, "a", nil))
	change := func(name string, value any) string {
		p := publish(t, testJWK(t, "a", nil))
		p.metadata[name] = value
		return p.URL
	}
	redirects := publish(t)
	redirects.status = http.StatusFound
	large := publish(t)
	for range 3000 {
		large.keys = append(large.keys, map[string]any{"kty": "x", "padding": strings.Repeat("x", 200)})
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a seawall":               {[]string{wall.URL()}, 1, "validate.SeawallIssuer takes it"},
		"another issuer":          {[]string{change("issuer", "https://other.example")}, 1, `call the issuer "https://other.example"`},
		"a slash more":            {[]string{good.URL + "/"}, 1, "give the issuer exactly as its metadata do"},
		"plain HTTP":              {[]string{"http://id.example"}, 1, "must be https"},
		"keys over plain HTTP":    {[]string{change("jwks_uri", "http://id.example/keys")}, 1, "must be https"},
		"no keys":                 {[]string{change("jwks_uri", nil)}, 1, "for its keys"},
		"a redirect":              {[]string{redirects.URL}, 1, "redirects are not followed"},
		"too large":               {[]string{large.URL}, 1, "larger than"},
		"nobody there":            {[]string{"http://127.0.0.1:1"}, 1, "loading the metadata"},
		"a claim without a value": {[]string{good.URL, "--claim", "org"}, 2, "is not NAME=VALUE"},
		"an empty type":           {[]string{good.URL, "--type", ""}, 2, "can't be a typ"},
		"no URL":                  {nil, 2, "URL is missing"},
	} {
		code, _, out, errs := pinWith(t, c.args...)
		if code != c.code || !strings.Contains(errs, c.says) || out != "" {
			t.Errorf("%s: %d %q %q; want %d and %q", name, code, out, errs, c.code, c.says)
		}
	}
}

// TestPinnedIssuer: the file alone decides who is trusted and by which key.
func TestPinnedIssuer(t *testing.T) {
	issuer := validatetest.NewServer(validatetest.Config{Foreign: true, Algorithm: validate.EdDSA})
	defer issuer.Close()
	// The same issuer after a rotation: the same name and other keys.
	rotated := validatetest.NewIssuer(validatetest.Config{URL: issuer.URL(), Foreign: true, Algorithm: validate.EdDSA})
	for _, only := range []bool{false, true} {
		args := []string{issuer.URL(), "--json"}
		if only {
			args = append(args, "--only-these-keys")
		}
		_, a, _, errs := pinWith(t, args...)
		if a.Pin == nil {
			t.Fatal(errs)
		}
		for _, signer := range []*validatetest.Issuer{issuer.Issuer, rotated} {
			v, err := validate.New(validate.Config{
				Issuers: []validate.Issuer{validate.PinnedIssuer(encodePin(a.Pin)).WithKeys(validate.StaticKeys(signer.Keys()))}, Audiences: []string{testAudience},
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = v.Token(context.Background(), signer.Token(validatetest.Claims{"aud": testAudience}))
			if refused := only && signer == rotated; refused != errors.Is(err, validate.CodeKeyNotPinned) || !refused && err != nil {
				t.Errorf("only these keys %v, after a rotation %v: %v", only, signer == rotated, err)
			}
			v.Close()
		}
	}
}

// TestParsePinRefuses: a file that says anything unknown is refused whole.
func TestParsePinRefuses(t *testing.T) {
	good := `{"seawall_issuer_pin":1,"issuer":"https://id.example","jwks_uri":"https://id.example/keys","algorithms":["ES256"],"types":["JWT"],"only_these_keys":false,"keys":[]}`
	if _, err := validate.ParsePin([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string][2]string{
		`a member "clams"`:               {`"keys"`, `"clams"`},
		`a member "Keys"`:                {`"keys"`, `"Keys"`},
		"reads 1":                        {`pin":1`, `pin":2`},
		"not one strict JSON object":     {`"types":["JWT"]`, `"types":["JWT"],"types":["JWT"]`},
		"neither true nor false":         {"false", `"false"`},
		"types is not a list":            {`["JWT"]`, `"JWT"`},
		`"HS256", which validate`:        {"ES256", "HS256"},
		"lacks one of issuer":            {`"issuer":"https://id.example",`, ""},
		"a key is not an object":         {`"keys":[]`, `"keys":[1]`},
		`a claim rule has a member "on"`: {`"keys":[]`, `"claims":[{"path":["a"],"on":["b"]}],"keys":[]`},
		"issuer is not text":             {`"issuer":"https://id.example"`, `"issuer":null`},
	} {
		changed := strings.Replace(good, change[0], change[1], 1)
		if _, err := validate.ParsePin([]byte(changed)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", changed, err, says)
		}
		if _, err := validate.New(validate.Config{Issuers: []validate.Issuer{validate.PinnedIssuer([]byte(changed))}, Audiences: []string{"a"}}); err == nil {
			t.Errorf("%s: it was trusted", changed)
		}
	}
}
