package token

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"seawall/internal/mint"
	"seawall/internal/oauth"
)

var noon = time.Unix(1790000000, 0)

// answering is a signer that lets a test spoil the token before it is encoded.
type answering struct {
	token  func(*mint.Token)
	millis func(uint64) uint64
	raw    func([]byte) []byte
	err    error
	asked  *mint.Request
}

func (s *answering) Mint(_ context.Context, q *mint.Request) ([]byte, error) {
	s.asked = q
	if s.err != nil {
		return nil, s.err
	}
	t := mint.Token{Alg: "ES256", KID: "k1", Kind: q.Kind, Issuer: q.Issuer, Subject: q.Subject, Audience: q.Audience,
		ClientID: q.ClientID, Scope: q.Scope, JTI: q.JTI, IssuedAt: noon.Unix(), Expires: noon.Unix() + q.Lifetime, Custom: q.Custom}
	if s.token != nil {
		s.token(&t)
	}
	millis := uint64(noon.UnixMilli())
	if s.millis != nil {
		millis = s.millis(millis)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	bare, payload := t.Header(nil), t.Payload(nil)
	receipt := mint.NewReceipt(key, mint.LedgerKeyID(key.Public().(ed25519.PublicKey)), 7, millis, mint.TokenDigest(bare, payload))
	b := rawURL.AppendEncode(nil, mint.WithReceipt(nil, bare, &receipt))
	b = rawURL.AppendEncode(append(b, '.'), payload)
	sum := sha256.Sum256(b)
	b = rawURL.AppendEncode(append(b, '.'), append(sum[:], sum[:]...))
	if s.raw != nil {
		b = s.raw(b)
	}
	return b, nil
}

func authorization() *Authorization {
	return &Authorization{Tenant: "acme", Issuer: "https://id.example/acme", ClientID: "ci", Subject: "ci",
		Audience: []string{"https://api.acme.example"}, Scope: "read write", Lifetime: 300,
		Custom: []mint.Claim{{Name: "region", Text: "eu"}}, Evidence: [32]byte{1}}
}

func issue(s *answering, a *Authorization) (Token, error) {
	return NewIssuer(s, func() time.Time { return noon }).Issue(context.Background(), a)
}

func TestIssue(t *testing.T) {
	signer := &answering{}
	got, err := issue(signer, authorization())
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int64  `json:"expires_in"`
		Scope       string `json:"scope"`
	}
	if err := json.Unmarshal(got.AppendResponse(nil), &answer); err != nil {
		t.Fatal(err)
	}
	if strings.Count(answer.AccessToken, ".") != 2 || answer.TokenType != "Bearer" || answer.ExpiresIn != 300 || answer.Scope != "read write" {
		t.Errorf("answer is %+v", answer)
	}
	if q := signer.asked; q.Tenant != "acme" || q.Evidence != [32]byte{1} || !mint.ValidJTI(q.JTI) || q.Kind != mint.AccessToken {
		t.Errorf("asked for %+v", q)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, got); text != "[redacted]" {
			t.Errorf("%s prints %d bytes", verb, len(text))
		}
	}
}

func TestIssueWithoutScope(t *testing.T) {
	a := authorization()
	a.Scope = ""
	got, err := issue(&answering{}, a)
	if err != nil {
		t.Fatal(err)
	}
	body := string(got.AppendResponse(nil))
	if strings.Contains(body, "scope") || !strings.HasSuffix(body, `"expires_in":300}`) {
		t.Error("the answer has a scope that nobody asked for, or another lifetime")
	}
}

// TestIssueChecksTheAnswer spoils one thing at a time. Without its check each would be handed to the client.
func TestIssueChecksTheAnswer(t *testing.T) {
	cases := map[string]*answering{}
	add := func(name, what string, f func(*mint.Token)) { cases[name+"|"+what] = &answering{token: f} }
	add("kind", "another kind", func(t *mint.Token) { t.Kind = "logout+jwt" })
	add("no kid", "another key", func(t *mint.Token) { t.KID = "" })
	add("issuer", "another issuer", func(t *mint.Token) { t.Issuer = "https://id.example/other" })
	add("subject", "another subject", func(t *mint.Token) { t.Subject = "root" })
	add("audience", "another audience", func(t *mint.Token) { t.Audience = []string{"https://bank.example"} })
	add("more audience", "another audience", func(t *mint.Token) { t.Audience = append(t.Audience[:1:1], "https://bank.example") })
	add("client", "another client", func(t *mint.Token) { t.ClientID = "other" })
	add("scope", "another scope", func(t *mint.Token) { t.Scope = "read write admin" })
	add("jti", "another jti", func(t *mint.Token) { t.JTI = mint.NewJTI() })
	add("longer", "another lifetime", func(t *mint.Token) { t.Expires++ })
	add("old", "another time", func(t *mint.Token) { t.IssuedAt -= 62; t.Expires -= 62 })
	add("early", "another time", func(t *mint.Token) { t.IssuedAt += 62; t.Expires += 62 })
	add("claim", "another custom claim", func(t *mint.Token) { t.Custom = []mint.Claim{{Name: "region", Text: "us"}} })
	add("claim form", "another custom claim", func(t *mint.Token) { t.Custom = []mint.Claim{{Name: "region", List: []string{"eu"}}} })
	add("further claim", "another custom claim", func(t *mint.Token) { t.Custom = append(t.Custom[:1:1], mint.Claim{Name: "s", Text: "x"}) })
	cases["receipt time|another time"] = &answering{millis: func(ms uint64) uint64 { return ms + 62_000 }}
	cases["standard claim|not a canonical token"] = &answering{token: func(t *mint.Token) { t.Custom = []mint.Claim{{Name: "act", Text: "root"}} }}
	cases["two parts|not a compact JWS"] = &answering{raw: func(b []byte) []byte { return b[:strings.LastIndexByte(string(b), '.')] }}
	cases["four parts|not a compact JWS"] = &answering{raw: func(b []byte) []byte { return append(b, ".eA"...) }}
	cases["nothing|not a compact JWS"] = &answering{raw: func([]byte) []byte { return nil }}
	cases["spoilt signature|the signature is not base64url"] = &answering{raw: func(b []byte) []byte { return append(b, '"') }}
	cases["spoilt header|the header is not base64url"] = &answering{raw: func(b []byte) []byte { b[0] = '"'; return b }}
	cases["no receipt|the header does not end in a receipt"] = &answering{raw: func(b []byte) []byte {
		_, rest, _ := strings.Cut(string(b), ".")
		return []byte(rawURL.EncodeToString([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"k1"}`)) + "." + rest)
	}}
	for name, signer := range cases {
		name, want, _ := strings.Cut(name, "|")
		got, err := issue(signer, authorization())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error about %q", name, err, want)
			continue
		}
		if got.jws != nil {
			t.Errorf("%s: a token came with the error", name)
		}
		if errors.Is(err, &oauth.Error{Code: oauth.TemporarilyUnavailable}) {
			t.Errorf("%s: the client is told to try again", name)
		}
	}
}

// stuck is a signer that took the request and never answers.
type stuck struct{}

func (stuck) Mint(ctx context.Context, _ *mint.Request) ([]byte, error) {
	<-ctx.Done()
	return nil, mint.Refuse(mint.Unavailable, "nobody answered")
}

func TestAStuckSignerIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := NewIssuer(stuck{}, time.Now).Issue(t.Context(), authorization())
		var e *oauth.Error
		if !errors.As(err, &e) || e.Code != oauth.TemporarilyUnavailable || e.RetryAfter <= 0 {
			t.Errorf("got %v, want that it is temporarily unavailable", err)
		}
		if waited := time.Since(began); waited != mintTime {
			t.Errorf("waited %v, want %v", waited, mintTime)
		}
	})
}

func TestRefusals(t *testing.T) {
	for code, want := range map[mint.Code]oauth.Code{
		mint.Unavailable:          oauth.TemporarilyUnavailable,
		mint.Busy:                 oauth.TemporarilyUnavailable,
		mint.TenantUnknown:        oauth.TemporarilyUnavailable,
		mint.AudienceUnregistered: oauth.TemporarilyUnavailable,
		mint.ScopeUnregistered:    oauth.TemporarilyUnavailable,
		mint.KeyUnavailable:       oauth.TemporarilyUnavailable,
		mint.KeyOutlived:          oauth.TemporarilyUnavailable,
		mint.ClockFrozen:          oauth.TemporarilyUnavailable,
		mint.TenantDisabled:       oauth.UnauthorizedClient,
	} {
		_, err := issue(&answering{err: mint.Refuse(code, "why")}, authorization())
		var e *oauth.Error
		if !errors.As(err, &e) || e.Code != want {
			t.Errorf("%s: got %v, want %s", code, err, want)
			continue
		}
		if want == oauth.TemporarilyUnavailable && (e.RetryAfter <= 0 || e.Code.Status() != http.StatusServiceUnavailable) {
			t.Errorf("%s: the client is not told when to try again", code)
		}
		if !errors.Is(err, mint.Refuse(code, "")) {
			t.Errorf("%s: the cause is lost to the log", code)
		}
	}
	for _, code := range []mint.Code{mint.Malformed, mint.ClaimStandard, mint.LifetimeTooLong, mint.JTIReused} {
		_, err := issue(&answering{err: mint.Refuse(code, "why")}, authorization())
		var e *oauth.Error
		if err == nil || errors.As(err, &e) {
			t.Errorf("%s: got %v, want an error of ours that becomes an incident", code, err)
		}
	}
}

// FuzzCheck feeds what a broken or hostile signer could answer: no panic, and nothing but the very token passes.
func FuzzCheck(f *testing.F) {
	signer := &answering{}
	if _, err := issue(signer, authorization()); err != nil {
		f.Fatal(err)
	}
	q := signer.asked
	good, err := signer.Mint(context.Background(), q)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("..."))
	f.Add([]byte("e30.e30.AA"))
	f.Add(good[:len(good)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		if check(q, b, noon) == nil {
			t.Errorf("bytes that nobody signed pass")
		}
	})
}

// FuzzSame holds the quick comparison to the slow one: what passes is read back as exactly what was asked for.
func FuzzSame(f *testing.F) {
	signer := &answering{}
	if _, err := issue(signer, authorization()); err != nil {
		f.Fatal(err)
	}
	q := signer.asked
	t := mint.Token{Alg: "ES256", KID: "k1", Kind: q.Kind, Issuer: q.Issuer, Subject: q.Subject, Audience: q.Audience, ClientID: q.ClientID,
		Scope: q.Scope, JTI: q.JTI, IssuedAt: noon.Unix(), Expires: noon.Unix() + q.Lifetime, Custom: q.Custom}
	f.Add(t.Header(nil), t.Payload(nil))
	f.Add([]byte(`{"alg":"\u0000","typ":"at+jwt","kid":"k"}`), t.Payload(nil))
	f.Add([]byte(`{"alg":"a","typ":"at+jwt","kid":"k","kid":"l"}`), t.Payload(nil))
	f.Fuzz(func(t *testing.T, bare, claims []byte) {
		if !same(q, bare, claims, uint64(noon.UnixMilli()), noon) {
			return
		}
		got, err := mint.ReadToken(bare, claims)
		if err != nil {
			t.Fatalf("passes, and can't be read: %v", err)
		}
		if wrong := differs(q, got, uint64(noon.UnixMilli()), noon); wrong != "spelling" {
			t.Fatalf("passes with another %s", wrong)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	signer := &answering{}
	if _, err := issue(signer, authorization()); err != nil {
		b.Fatal(err)
	}
	jws, _ := signer.Mint(context.Background(), signer.asked)
	b.ReportAllocs()
	for b.Loop() {
		if err := check(signer.asked, jws, noon); err != nil {
			b.Fatal(err)
		}
	}
}
