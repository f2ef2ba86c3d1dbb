package validate_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"seawall/validate"
	"seawall/validate/validatetest"
)

const audience = "https://api.example"

// newValidator gives a validator that trusts the issuer, with the configuration changed.
func newValidator(t testing.TB, issuer *validatetest.Issuer, changes ...func(*validate.Config)) *validate.Validator {
	t.Helper()
	c := validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}, Audiences: []string{audience}, Now: issuer.Clock().Now}
	for _, change := range changes {
		change(&c)
	}
	v, err := validate.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// refused demands exactly this reason, and no token.
func refused(t testing.TB, v *validate.Validator, raw string, want validate.Code) {
	t.Helper()
	token, err := v.Token(context.Background(), raw)
	var refusal *validate.Error
	if token != nil || !errors.As(err, &refusal) || refusal.Code != want || !errors.Is(err, want) {
		t.Errorf("got %v, %v; want %s", token, err, want)
	}
}

func accepted(t testing.TB, v *validate.Validator, raw string) *validate.Token {
	t.Helper()
	token, err := v.Token(context.Background(), raw)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestNewRefuses(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	keys := validate.StaticKeys(issuer.Keys())
	pin := issuer.Pin()
	foreign := func(name string, k validate.KeySource) func(*validate.Config) {
		return func(c *validate.Config) {
			c.Issuers = []validate.Issuer{validate.ForeignIssuer(validate.ForeignConfig{Issuer: name, Keys: k})}
		}
	}
	seawall := func(url, pin string) func(*validate.Config) {
		return func(c *validate.Config) { c.Issuers = []validate.Issuer{validate.SeawallIssuer(url, pin)} }
	}
	empty := validate.StaticKeys([]byte(`{"keys":[]}`))
	for name, c := range map[string]struct {
		change func(*validate.Config)
		want   string
	}{
		"nothing":        {func(c *validate.Config) { *c = validate.Config{} }, "no issuer"},
		"no audience":    {func(c *validate.Config) { c.Audiences = nil }, "no audience"},
		"empty audience": {func(c *validate.Config) { c.Audiences = []string{""} }, "no audience"},
		"zero issuer":    {func(c *validate.Config) { c.Issuers = []validate.Issuer{{}} }, "no name"},
		"issuer twice":   {func(c *validate.Config) { c.Issuers = append(c.Issuers, c.Issuers[0]) }, "twice"},
		"template twice": {func(c *validate.Config) { foreign("{tenantid}", empty)(c); c.Issuers = append(c.Issuers, c.Issuers[0]) }, "twice"},
		"foreign and seawall": {func(c *validate.Config) {
			c.Issuers = append(c.Issuers, validate.ForeignIssuer(validate.ForeignConfig{Issuer: issuer.URL(), Keys: empty}))
		}, "twice"},
		"leeway too long":      {func(c *validate.Config) { c.Leeway = 5*time.Minute + 1 }, "leeway"},
		"leeway negative":      {func(c *validate.Config) { c.Leeway = -2 }, "leeway"},
		"lifetime negative":    {func(c *validate.Config) { c.MaxLifetime = -1 }, "lifetime"},
		"size negative":        {func(c *validate.Config) { c.MaxBytes = -1 }, "size"},
		"size too large":       {func(c *validate.Config) { c.MaxBytes = 1<<20 + 1 }, "size"},
		"empty type":           {func(c *validate.Config) { c.Types = []string{""} }, "typ"},
		"type of application":  {func(c *validate.Config) { c.Types = []string{"a\n"} }, "typ"},
		"symmetric algorithm":  {func(c *validate.Config) { c.Algorithms = []validate.Alg{"HS256"} }, "algorithm"},
		"no algorithm":         {func(c *validate.Config) { c.Algorithms = []validate.Alg{"none"} }, "algorithm"},
		"client without name":  {func(c *validate.Config) { c.Clients = []string{""} }, "client"},
		"revocations by hand":  {func(c *validate.Config) { c.Revocations = &validate.Revocations{} }, "NewRevocations"},
		"proofs too old":       {func(c *validate.Config) { c.DPoP = &validate.DPoP{MaxAge: 25 * time.Hour} }, "age of proofs"},
		"proofs of the future": {func(c *validate.Config) { c.DPoP = &validate.DPoP{MaxAge: -1} }, "age of proofs"},
		"origin with path":     {func(c *validate.Config) { c.DPoP = &validate.DPoP{Origin: "https://api.example/"} }, "origin"},
		"origin without host":  {func(c *validate.Config) { c.DPoP = &validate.DPoP{Origin: "https://"} }, "origin"},
		"origin of a file":     {func(c *validate.Config) { c.DPoP = &validate.DPoP{Origin: "file://x"} }, "origin"},
		"foreign without keys": {foreign("https://x.example", validate.KeySource{}), "no keys"},
		"foreign with ledger":  {foreign("https://x.example", keys), "SeawallIssuer"},
		"foreign over http":    {foreign("https://x.example", validate.RemoteKeys("http://x.example/jwks")), "https"},
		"foreign keys garbage": {foreign("https://x.example", validate.StaticKeys([]byte("garbage"))), "JWK Set"},
		"foreign with control": {foreign("https://x\n", empty), "control"},
		"tenant upper case": {func(c *validate.Config) {
			c.Issuers = []validate.Issuer{validate.ForeignIssuer(validate.ForeignConfig{Issuer: "https://x/{tenantid}", Tenants: []string{"ACME"}, Keys: empty})}
		}, "UUID"},
		"seawall over http":     {seawall("http://id.example/acme", pin), "https"},
		"seawall with slash":    {seawall("https://id.example/acme/", pin), "slash"},
		"seawall with query":    {seawall("https://id.example/acme?x=1", pin), "plain URL"},
		"seawall with fragment": {seawall("https://id.example/acme#", pin), "plain URL"},
		"seawall without host":  {seawall("https://", pin), "plain URL"},
		"seawall with password": {seawall("https://a:hunter2@id.example", pin), "credentials"},
		"seawall for tenants":   {seawall("https://id.example/{tenantid}", pin), "exactly"},
		"seawall without pin":   {seawall("https://id.example/acme", ""), "pin"},
		"seawall with garbage":  {seawall("https://id.example/acme", "swl1-AAAA"), "pin"},
		"pin of another kind":   {seawall("https://id.example/acme", strings.Replace(pin, "swl1", "swl2", 1)), "pin"},
		"other ledger": {func(c *validate.Config) {
			c.Issuers = []validate.Issuer{validate.SeawallIssuer(issuer.URL(), "swl1-"+strings.Repeat("A", 43)).WithKeys(keys)}
		}, "pinned"},
	} {
		config := validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}, Audiences: []string{audience}}
		c.change(&config)
		v, err := validate.New(config)
		if v != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error about %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error holds a password", name)
		}
	}
	for name, change := range map[string]func(*validate.Config){
		"loopback name": seawall("http://localhost:8080/acme", pin), "loopback address": seawall("http://127.0.0.1:8080", pin), "loopback v6": seawall("http://[::1]:8080/acme", pin),
		"no leeway": func(c *validate.Config) { c.Leeway = validate.NoLeeway }, "everything": func(c *validate.Config) {
			c.Leeway, c.MaxLifetime, c.MaxBytes, c.Types, c.Clients = 5*time.Minute, time.Hour, 1<<20, []string{"JWT", "application/at+jwt"}, []string{}
		},
	} {
		newValidator(t, issuer, change).Close()
		_ = name
	}
}

func TestConfigErrorsCarryCodes(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	_, err := validate.New(validate.Config{Audiences: []string{audience}, Issuers: []validate.Issuer{
		validate.SeawallIssuer(issuer.URL(), "swl1-"+strings.Repeat("A", 43)).WithKeys(validate.StaticKeys(issuer.Keys())),
	}})
	if !errors.Is(err, validate.CodeLedgerPin) {
		t.Errorf("got %v", err)
	}
}

func TestToken(t *testing.T) {
	clock := validatetest.NewClock(time.Unix(1790000000, 0))
	issuer := validatetest.NewIssuer(validatetest.Config{Clock: clock})
	v := newValidator(t, issuer)
	first := accepted(t, v, issuer.Token(validatetest.Claims{"aud": audience, "jti": "j-0"}))
	raw := issuer.Token(validatetest.Claims{
		"aud": []string{"https://other.example", audience}, "sub": "ü<&>\"", "tid": "t-1", "jti": "j-1", "client_id": "ci", "azp": "ci", "scope": " read  write ",
	})
	token := accepted(t, v, raw)
	for name, pair := range map[string][2]any{
		"issuer":   {token.Issuer(), issuer.URL()},
		"subject":  {token.Subject(), "ü<&>\""},
		"tenant":   {token.Tenant(), "t-1"},
		"client":   {token.Client(), "ci"},
		"id":       {token.ID(), "j-1"},
		"key":      {token.KeyID(), "active"},
		"audience": {token.Audience(), []string{"https://other.example", audience}},
		"scopes":   {token.Scopes(), []string{"read", "write"}},
		"issued":   {token.IssuedAt().Unix(), int64(1790000000)},
		"expires":  {token.Expires().Unix(), int64(1790000600)},
		"one aud":  {first.Audience(), []string{audience}},
		"no scope": {len(first.Scopes()), 0},
		"no tid":   {first.Tenant(), ""},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
	if !token.HasScope("read") || token.HasScope("rea") || token.HasScope("") || token.HasScope("read  write") {
		t.Error("HasScope is wrong")
	}
	receipt, ok := token.Receipt()
	if !ok || receipt.Sequence != 1 || !receipt.Time.Equal(time.Unix(1790000000, 0)) {
		t.Errorf("receipt %+v %v", receipt, ok)
	}
}

func TestForeignTokenHasNoReceipt(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{Foreign: true})
	raw := issuer.Token(validatetest.Claims{"aud": audience})
	token := accepted(t, newValidator(t, issuer), raw)
	if _, ok := token.Receipt(); ok {
		t.Error("a foreign token has a receipt")
	}
	if want := sha256.Sum256([]byte(raw[:strings.LastIndexByte(raw, '.')])); token.Digest() != want {
		t.Error("the digest is not that of the signing input")
	}
}

// The identity of a token is not its bytes: anybody can rewrite an ECDSA signature.
func TestDigestSurvivesResigning(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		issuer := validatetest.NewIssuer(validatetest.Config{Foreign: foreign, Clock: validatetest.NewClock(time.Unix(1790000000, 0))})
		v := newValidator(t, issuer)
		claims := validatetest.Claims{"aud": audience, "jti": "same"}
		digest := accepted(t, v, issuer.Token(claims)).Digest()
		if got := accepted(t, v, issuer.Token(claims, validatetest.Resigned)).Digest(); foreign && got != digest {
			t.Error("two forms of one token have two digests")
		}
		if got := accepted(t, v, issuer.Token(validatetest.Claims{"aud": audience, "jti": "other"})).Digest(); got == digest {
			t.Error("two tokens have one digest")
		}
	}
}

// The formats that cross walls: the token of the shared vectors is accepted, with the digest that
// the vectors give.
func TestFormatsVector(t *testing.T) {
	b, err := os.ReadFile("testdata/vectors/formats.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tokens []struct {
			Name, Issuer, Pin, Digest, Token string
			JWKS                             json.RawMessage
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	for _, x := range file.Tokens {
		c := validate.Config{
			Issuers:   []validate.Issuer{validate.SeawallIssuer(x.Issuer, x.Pin).WithKeys(validate.StaticKeys(x.JWKS))},
			Audiences: []string{"https://api.acme.example"},
			Now:       func() time.Time { return time.Unix(1790000200, 0) },
		}
		v, err := validate.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if x.Name == "ID token" {
			idTokenVector(t, c, v, x.Token)
			continue
		}
		if strings.HasSuffix(x.Name, "bound to a key") { // all else is good: the sender is looked at last
			if _, err := v.Token(t.Context(), x.Token); !errors.Is(err, validate.CodeDPoPScheme) {
				t.Errorf("%s: %v", x.Name, err)
			}
			continue
		}
		token := accepted(t, v, x.Token)
		if digest := token.Digest(); hex.EncodeToString(digest[:]) != x.Digest {
			t.Errorf("%s: digest %x, want %s", x.Name, digest, x.Digest)
		}
		if receipt, ok := token.Receipt(); !ok || receipt.Sequence != 41 || receipt.Time.UnixMilli() != 1790000123456 {
			t.Errorf("%s: receipt %+v", x.Name, receipt)
		}
	}
}

// idTokenVector: the client accepts it, and the API does not.
func idTokenVector(t *testing.T, c validate.Config, api *validate.Validator, raw string) {
	t.Helper()
	c.Audiences = nil
	client, err := validate.NewIDTokens("web", c)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	login, err := client.Token(t.Context(), raw, validate.Login{Nonce: "n-0S6_WzA2Mj"}, validate.RequireACR("phr"))
	if err != nil || login.Subject() != "ada" || login.SessionID() != "session-7" || login.ID() != "7kq3Zb1tYw-_Hn5e" {
		t.Errorf("the client: %v, %v", login, err)
	}
	if _, err := api.Token(t.Context(), raw); !errors.Is(err, validate.CodeTyp) {
		t.Errorf("the API: %v", err)
	}
}

func TestErrorsHoldNoTokenText(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v := newValidator(t, issuer)
	for _, d := range issuer.Defects() {
		raw := issuer.Token(validatetest.Claims{"aud": audience, "sub": "secret-subject"}, d)
		_, err := v.Token(context.Background(), raw)
		text := fmt.Sprintf("%v %+v %#v %s %q", err, err, err, err, err)
		for at := 0; at+8 <= len(raw); at += 4 {
			if strings.Contains(text, raw[at:at+8]) {
				t.Fatalf("%s: the error holds a part of the token: %s", d.Name, text)
			}
		}
		if strings.Contains(text, "secret") {
			t.Errorf("%s: the error holds a claim: %s", d.Name, text)
		}
	}
}

func TestTokenPrintsAsMetadata(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	token := accepted(t, newValidator(t, issuer), issuer.Token(validatetest.Claims{"aud": audience, "sub": "secret-subject", "email": "secret-mail"}))
	b, err := json.Marshal(token) //lint:ignore SA9005 that nothing comes out is what is tested
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %q %d %x", token, token, token, token, token, token, token), fmt.Sprintf("%v %+v %#v", *token, *token, *token), string(b)} {
		if strings.Contains(text, "secret") {
			t.Errorf("printed: %s", text)
		}
	}
	if text := fmt.Sprint(token); !strings.Contains(text, token.ID()) || !strings.Contains(text, issuer.URL()) {
		t.Errorf("printed: %s", text)
	}
}

func TestEveryCodeHasAReason(t *testing.T) {
	for _, code := range []validate.Code{
		validate.CodeMissing, validate.CodeRequest, validate.CodeTooLarge, validate.CodeMalformed, validate.CodeEncoding, validate.CodeJSON, validate.CodeAlg, validate.CodeTyp,
		validate.CodeCrit, validate.CodeKid, validate.CodeIssuer, validate.CodeTenant, validate.CodeClaims, validate.CodeAudience, validate.CodeExpired, validate.CodeNotYetValid,
		validate.CodeLifetime, validate.CodeClient, validate.CodeRevoked, validate.CodeBindingForm, validate.CodeBindingUnknown, validate.CodeKeysUnavailable, validate.CodeKeysStale, validate.CodeLedgerPin,
		validate.CodeLedgerAnnounced, validate.CodeKeyUnknown, validate.CodeKeyUnusable, validate.CodeKeyIssuer, validate.CodeKeyRevoked, validate.CodeKeyNotYetValid,
		validate.CodeKeyExpired, validate.CodeKeyStatement, validate.CodeKeyAmbiguous, validate.CodeKeyAlg, validate.CodeKeyKind, validate.CodeKeySigningEnded,
		validate.CodeKeyOutlived, validate.CodeReceiptForm, validate.CodeSignature, validate.CodeReceiptMissing, validate.CodeReceiptKey, validate.CodeReceiptTime, validate.CodeReceiptMismatch,
		validate.CodeMTLSRequired, validate.CodeMTLSMissing, validate.CodeMTLSMismatch, validate.CodeDPoPRequired, validate.CodeDPoPScheme, validate.CodeDPoPUnbound, validate.CodeDPoPOrigin, validate.CodeDPoPMissing,
		validate.CodeDPoPMany, validate.CodeDPoPForm, validate.CodeDPoPAlg, validate.CodeDPoPMethod, validate.CodeDPoPURL, validate.CodeDPoPToken, validate.CodeDPoPTime, validate.CodeDPoPNonce,
		validate.CodeDPoPKey, validate.CodeDPoPThumbprint, validate.CodeDPoPSignature, validate.CodeDPoPReplay, validate.CodeDPoPFull, validate.CodeScope, validate.CodeACR, validate.CodeAuthTime,
		validate.CodeKind, validate.CodeNonce, validate.CodeHash, validate.CodeReplay, validate.CodeFull,
	} {
		if code.Reason() == "" || code.Error() != string(code) {
			t.Errorf("%s has no reason", code)
		}
		if !errors.Is(&validate.Error{Code: code}, code) || errors.Is(&validate.Error{Code: code}, validate.Code("other")) {
			t.Errorf("errors.Is does not find %s", code)
		}
	}
}

func TestRevocationsMayBeReplaced(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	list, err := validate.NewRevocations()
	if err != nil {
		t.Fatal(err)
	}
	v := newValidator(t, issuer, func(c *validate.Config) { c.Revocations = list })
	raw := issuer.Token(validatetest.Claims{"aud": audience, "jti": "j"})
	accepted(t, v, raw)
	if err := list.Replace([]validate.Revocation{{Kind: validate.RevokeToken, Value: "j"}}); err != nil {
		t.Fatal(err)
	}
	refused(t, v, raw, validate.CodeRevoked)
	for _, bad := range []validate.Revocation{{Kind: "JTI", Value: "x"}, {Kind: validate.RevokeToken}, {}} {
		if err := list.Replace([]validate.Revocation{bad}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
		if _, err := validate.NewRevocations(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	refused(t, v, raw, validate.CodeRevoked) // a bad list leaves the good one in place
	if err := list.Replace(nil); err != nil {
		t.Fatal(err)
	}
	accepted(t, v, raw)
}

func TestEmptyListsAllowNobody(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{Foreign: true})
	raw := issuer.Token(validatetest.Claims{"aud": audience, "tid": "t"})
	refused(t, newValidator(t, issuer, func(c *validate.Config) { c.Clients = []string{} }), raw, validate.CodeClient)
	refused(t, newValidator(t, issuer, func(c *validate.Config) {
		c.Issuers = []validate.Issuer{validate.ForeignIssuer(validate.ForeignConfig{Issuer: issuer.URL(), Tenants: []string{}, Keys: validate.StaticKeys(issuer.Keys())})}
	}), raw, validate.CodeTenant)
}

func TestDefaults(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{Clock: validatetest.NewClock(time.Unix(1790000000, 0))})
	v := newValidator(t, issuer)
	token := func(iat, exp int64) string {
		return issuer.Token(validatetest.Claims{"aud": audience, "iat": iat, "exp": exp})
	}
	const now = 1790000000
	accepted(t, v, token(now+30, now+60))
	refused(t, v, token(now+31, now+60), validate.CodeNotYetValid)
	accepted(t, v, token(now-59, now-29))
	refused(t, v, token(now-59, now-30), validate.CodeExpired)
	accepted(t, v, token(now, now+86400))
	refused(t, v, token(now, now+86401), validate.CodeLifetime)
	refused(t, v, issuer.Token(validatetest.Claims{"aud": audience, "pad": strings.Repeat("x", 16<<10)}), validate.CodeTooLarge)
}

func TestObserve(t *testing.T) {
	var events []validate.Event
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v := newValidator(t, issuer, func(c *validate.Config) { c.Observe = func(e validate.Event) { events = append(events, e) } })
	accepted(t, v, issuer.Token(validatetest.Claims{"aud": audience, "sub": "secret-subject"}))
	refused(t, v, issuer.Token(validatetest.Claims{"aud": audience}, validatetest.NoReceipt), validate.CodeReceiptMissing)
	refused(t, v, issuer.Token(validatetest.Claims{"aud": audience}, validatetest.UnknownKey), validate.CodeKeyUnknown)
	refused(t, v, "secret-garbage", validate.CodeMalformed)
	want := []validate.Event{
		{Kind: validate.TokenAccepted, Issuer: issuer.URL(), Audience: audience, Algorithm: "ES256", Type: "at+jwt", KeyID: "active"},
		{Kind: validate.TokenRefused, Issuer: issuer.URL(), Audience: audience, Algorithm: "ES256", Type: "at+jwt", KeyID: "active", Code: validate.CodeReceiptMissing},
		{Kind: validate.TokenRefused, Issuer: issuer.URL(), Audience: audience, Algorithm: "ES256", Type: "at+jwt", Code: validate.CodeKeyUnknown},
		{Kind: validate.TokenRefused, Code: validate.CodeMalformed},
	}
	if !reflect.DeepEqual(events, want) {
		t.Errorf("events:\n%+v\nwant:\n%+v", events, want)
	}
}

// Buffers are used again: what one token left must not show in the next, whatever became of it.
func TestNothingIsLeftOver(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v := newValidator(t, issuer)
	full := issuer.Token(validatetest.Claims{"aud": audience, "tid": "t", "scope": "read", "sub": "f\u0131rst", "azp": "test"})
	bare := issuer.Token(validatetest.Claims{"aud": audience, "sub": "second", "client_id": nil, "jti": nil})
	for range 100 {
		a := accepted(t, v, full)
		refused(t, v, full[:len(full)/2], validate.CodeMalformed)
		b := accepted(t, v, bare)
		if b.Tenant() != "" || b.Client() != "" || b.ID() != "" || len(b.Scopes()) != 0 || b.Subject() != "second" || a.Subject() != "f\u0131rst" || a.Client() != "test" {
			t.Fatalf("%v %v", a, b)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{Algorithm: validate.EdDSA})
	v := newValidator(t, issuer)
	done := make(chan string)
	for n := range 8 {
		go func() {
			sub := fmt.Sprintf("user-%d", n)
			raw := issuer.Token(validatetest.Claims{"aud": audience, "sub": sub})
			bad := issuer.Token(validatetest.Claims{"aud": audience, "sub": sub}, validatetest.ForgedClaims)
			for range 100 {
				if token, err := v.Token(context.Background(), raw); err != nil || token.Subject() != sub {
					done <- fmt.Sprintf("%s: %v %v", sub, token, err)
					return
				}
				if _, err := v.Token(context.Background(), bad); !errors.Is(err, validate.CodeReceiptMismatch) {
					done <- fmt.Sprintf("%s: %v", sub, err)
					return
				}
			}
			done <- ""
		}()
	}
	for range 8 {
		if text := <-done; text != "" {
			t.Error(text)
		}
	}
}
