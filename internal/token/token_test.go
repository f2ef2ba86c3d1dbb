package token

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"seawall/internal/mint"
	"seawall/internal/oauth"
	"seawall/internal/secret"
)

var noon = time.Unix(1790000000, 0)

// answering is a signer that lets a test spoil the token before it is encoded.
type answering struct {
	token  func(*mint.Token)
	millis func(uint64) uint64
	raw    func([]byte) []byte
	err    error
	asked  *mint.Request   // last
	all    []*mint.Request // if somebody wants to know
	only   mint.Kind       // what is spoilt or refused; "": everything
}

func (s *answering) Mint(_ context.Context, q *mint.Request) ([]byte, error) {
	s.asked = q
	spoil := s.only == "" || s.only == q.Kind
	if s.err != nil && spoil {
		return nil, s.err
	}
	t := q.Token()
	t.Alg, t.KID, t.IssuedAt, t.Expires = "ES256", "k1", noon.Unix(), noon.Unix()+q.Lifetime
	if s.token != nil && spoil {
		s.token(&t)
	}
	millis := uint64(noon.UnixMilli())
	if s.millis != nil && spoil {
		millis = s.millis(millis)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	bare, payload := t.Header(nil), t.Payload(nil)
	receipt := mint.NewReceipt(key, mint.LedgerKeyID(key.Public().(ed25519.PublicKey)), 7, millis, mint.TokenDigest(bare, payload))
	b := rawURL.AppendEncode(nil, mint.WithReceipt(nil, bare, &receipt))
	b = rawURL.AppendEncode(append(b, '.'), payload)
	sum := sha256.Sum256(b)
	b = rawURL.AppendEncode(append(b, '.'), append(sum[:], sum[:]...))
	if s.raw != nil && spoil {
		b = s.raw(b)
	}
	return b, nil
}

func (s *answering) MintBoth(ctx context.Context, first, second *mint.Request) (a, b []byte, err error) {
	s.all = []*mint.Request{first, second}
	if a, err = s.Mint(ctx, first); err != nil {
		return nil, nil, err
	}
	if b, err = s.Mint(ctx, second); err != nil {
		return nil, nil, err
	}
	return a, b, nil
}

func authorization() *Authorization {
	return &Authorization{Tenant: "acme", Issuer: "https://id.example/acme", ClientID: "ci", Subject: "ci",
		Audience: []string{"https://api.acme.example"}, Scope: "read write", Lifetime: 300,
		Custom: []mint.Claim{{Name: "region", Text: "eu"}}, Evidence: [32]byte{1}}
}

// forPerson is what a sign-in with openid amounts to.
func forPerson() *Authorization {
	a := authorization()
	a.ClientID, a.Subject, a.Custom = "web", "ada", nil
	a.SignIn = &SignIn{Session: "session-7", At: noon.Unix() - 60, ACR: "phr", AMR: []string{"hwk", "user"}}
	a.KeyThumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	a.ID = &ID{Nonce: "n-1", Lifetime: 600}
	return a
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

func TestIssueForAPerson(t *testing.T) {
	signer := &answering{}
	got, err := issue(signer, forPerson())
	if err != nil {
		t.Fatal(err)
	}
	access, id := signer.all[0], signer.all[1]
	in := mint.SignIn{AuthTime: noon.Unix() - 60, ACR: "phr", AMR: []string{"hwk", "user"}, Session: "session-7"}
	if access.Kind != mint.AccessToken || !reflect.DeepEqual(access.SignIn, in) || access.KeyThumbprint != forPerson().KeyThumbprint ||
		access.ClientID != "web" || access.Nonce != "" || access.JTI != got.JTI() {
		t.Errorf("for the access token asked for %+v", access)
	}
	want := &mint.Request{Tenant: "acme", Issuer: access.Issuer, Kind: mint.IDToken, Subject: "ada", Audience: []string{"web"}, JTI: id.JTI,
		Lifetime: 600, Evidence: [32]byte{1}, Nonce: "n-1", SignIn: in}
	if !reflect.DeepEqual(id, want) || id.JTI == access.JTI || !mint.ValidJTI(id.JTI) {
		t.Errorf("for the ID token asked for %+v", id)
	}
	if got = got.WithRefresh(secret.New("swr_x")); got.String() != "[redacted]" {
		t.Error("prints")
	}
	var answer map[string]any
	if err := json.Unmarshal(got.AppendResponse(nil), &answer); err != nil {
		t.Fatal(err)
	}
	if answer["token_type"] != "DPoP" || answer["access_token"] != string(got.jws) || answer["id_token"] != string(got.id) ||
		answer["refresh_token"] != "swr_x" || answer["scope"] != "read write" || answer["expires_in"] != 300.0 || len(answer) != 6 {
		t.Error("the answer is another") // it holds tokens: not to be printed
	}
	a := forPerson()
	a.ID, a.KeyThumbprint = nil, ""
	if got, err = issue(signer, a); err != nil || got.id != nil || signer.asked.Kind != mint.AccessToken {
		t.Errorf("without openid: %v, asked for %+v", err, signer.asked)
	}
	if body := string(got.AppendResponse(nil)); !strings.Contains(body, `"token_type":"Bearer"`) || strings.Contains(body, "id_token") || strings.Contains(body, "refresh_token") {
		t.Error("the answer is not that of a bearer token alone")
	}
}

// TestBothOrNone: whichever of the two the signer refuses or spoils, the client gets neither.
func TestBothOrNone(t *testing.T) {
	for _, kind := range []mint.Kind{mint.AccessToken, mint.IDToken} {
		for name, s := range map[string]*answering{
			"refused": {only: kind, err: mint.Refuse(mint.ClientUnregistered, "")},
			"spoilt":  {only: kind, token: func(t *mint.Token) { t.Subject = "eve" }},
		} {
			got, err := issue(s, forPerson())
			if err == nil || got.jws != nil || got.id != nil || got.jti != "" {
				t.Errorf("%s %s: %v, and something is released", kind, name, err)
			}
			if spoilt := strings.Contains(fmt.Sprint(err), "another subject"); spoilt != (name == "spoilt") {
				t.Errorf("%s %s: the reason is %v", kind, name, err)
			}
		}
	}
}

// TestAClientForItselfCostsWhatItDid: what people need is not paid for by everybody else.
func TestAClientForItselfCostsWhatItDid(t *testing.T) {
	signer, a := &answering{}, authorization()
	issuer := NewIssuer(signer, func() time.Time { return noon })
	var issued Token
	least := func(f func()) float64 { // what else goes on in the process only ever adds
		n := testing.AllocsPerRun(100, f)
		for range 4 {
			n = min(n, testing.AllocsPerRun(100, f))
		}
		return n
	}
	all := least(func() { issued, _ = issuer.Issue(t.Context(), a) })
	theirs := least(func() { _, _ = signer.Mint(t.Context(), signer.asked) })
	if own := all - theirs; own > 7+raced {
		t.Errorf("%v allocations, want %d", own, 7+raced)
	}
	room := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(200, func() { issued.AppendResponse(room) }); n > 0 {
		t.Errorf("the answer takes %v allocations, want none", n)
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
	add("nonce", "another nonce", func(t *mint.Token) { t.Nonce = "n" })
	add("auth_time", "another sign-in", func(t *mint.Token) { t.AuthTime = noon.Unix() })
	add("acr", "another sign-in", func(t *mint.Token) { t.ACR = "phrh" })
	add("amr", "another sign-in", func(t *mint.Token) { t.AMR = []string{"hwk"} })
	add("session", "another session", func(t *mint.Token) { t.Session = "session-8" })
	add("binding", "another binding", func(t *mint.Token) { t.KeyThumbprint = forPerson().KeyThumbprint })
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

// TestIssueChecksTheIDToken is the same for an ID token, beside a good access token.
func TestIssueChecksTheIDToken(t *testing.T) {
	for name, c := range map[string]struct {
		want  string
		spoil func(*mint.Token)
	}{
		"an access token":  {"kind", func(t *mint.Token) { t.Kind = mint.AccessToken }},
		"another issuer":   {"issuer", func(t *mint.Token) { t.Issuer = "https://id.example/other" }},
		"another person":   {"subject", func(t *mint.Token) { t.Subject = "root" }},
		"another client":   {"audience", func(t *mint.Token) { t.Audience = []string{"evil"} }},
		"two clients":      {"audience", func(t *mint.Token) { t.Audience = []string{"web", "evil"} }},
		"a client_id":      {"client", func(t *mint.Token) { t.ClientID = "web" }},
		"a scope":          {"scope", func(t *mint.Token) { t.Scope = "read" }},
		"another nonce":    {"nonce", func(t *mint.Token) { t.Nonce = "n-2" }},
		"no nonce":         {"nonce", func(t *mint.Token) { t.Nonce = "" }},
		"an earlier touch": {"sign-in", func(t *mint.Token) { t.AuthTime-- }},
		"no auth_time":     {"sign-in", func(t *mint.Token) { t.AuthTime = 0 }},
		"a better acr":     {"sign-in", func(t *mint.Token) { t.ACR = "phrh" }},
		"a further method": {"sign-in", func(t *mint.Token) { t.AMR = []string{"hwk", "user", "mfa"} }},
		"another session":  {"session", func(t *mint.Token) { t.Session = "session-8" }},
		"a key":            {"binding", func(t *mint.Token) { t.KeyThumbprint = forPerson().KeyThumbprint }},
		"another jti":      {"jti", func(t *mint.Token) { t.JTI = mint.NewJTI() }},
		"a longer life":    {"lifetime", func(t *mint.Token) { t.Expires++ }},
		"an earlier time":  {"time", func(t *mint.Token) { t.IssuedAt -= 62; t.Expires -= 62 }},
		"a custom claim":   {"custom claim", func(t *mint.Token) { t.Custom = []mint.Claim{{Name: "region", Text: "eu"}} }},
	} {
		got, err := issue(&answering{only: mint.IDToken, token: c.spoil}, forPerson())
		if err == nil || !strings.HasSuffix(err.Error(), "another "+c.want) || got.jws != nil || got.id != nil {
			t.Errorf("%s: got %v, want another %s", name, err, c.want)
		}
	}
}

// stuck is a signer that took the request and never answers.
type stuck struct{}

func (stuck) Mint(ctx context.Context, _ *mint.Request) ([]byte, error) {
	<-ctx.Done()
	return nil, mint.Refuse(mint.Unavailable, "nobody answered")
}

func (s stuck) MintBoth(ctx context.Context, first, _ *mint.Request) (a, b []byte, err error) {
	a, err = s.Mint(ctx, first)
	return a, nil, err
}

func TestAStuckSignerIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, a := range []*Authorization{authorization(), forPerson()} {
			began := time.Now()
			_, err := NewIssuer(stuck{}, time.Now).Issue(t.Context(), a)
			var e *oauth.Error
			if !errors.As(err, &e) || e.Code != oauth.TemporarilyUnavailable || e.RetryAfter <= 0 {
				t.Errorf("got %v, want that it is temporarily unavailable", err)
			}
			if waited := time.Since(began); waited != mintTime {
				t.Errorf("waited %v, want %v", waited, mintTime)
			}
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
		mint.ClientUnregistered:   oauth.TemporarilyUnavailable,
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

// requests are one of each kind that an issuer asks for.
func requests(f *testing.F) []*mint.Request {
	signer := &answering{}
	if _, err := issue(signer, authorization()); err != nil {
		f.Fatal(err)
	}
	asked := []*mint.Request{signer.asked}
	if _, err := issue(signer, forPerson()); err != nil {
		f.Fatal(err)
	}
	return append(asked, signer.all...)
}

// FuzzCheck feeds what a broken or hostile signer could answer: no panic, and nothing but the very token passes.
func FuzzCheck(f *testing.F) {
	asked := requests(f)
	f.Add([]byte("..."))
	f.Add([]byte("e30.e30.AA"))
	for _, q := range asked {
		good, err := (&answering{}).Mint(context.Background(), q)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(good[:len(good)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, q := range asked {
			if check(q, b, noon) == nil {
				t.Errorf("bytes that nobody signed pass")
			}
		}
	})
}

// FuzzSame holds the quick comparison to the slow one: what passes is read back as exactly what was asked for.
func FuzzSame(f *testing.F) {
	asked := requests(f)
	for _, q := range asked {
		t := q.Token()
		t.Alg, t.KID, t.IssuedAt, t.Expires = "ES256", "k1", noon.Unix(), noon.Unix()+q.Lifetime
		f.Add(t.Header(nil), t.Payload(nil))
		f.Add([]byte(`{"alg":"\u0000","typ":"at+jwt","kid":"k"}`), t.Payload(nil))
		f.Add([]byte(`{"alg":"a","typ":"at+jwt","kid":"k","kid":"l"}`), t.Payload(nil))
	}
	f.Fuzz(func(t *testing.T, bare, claims []byte) {
		for _, q := range asked {
			if !same(q, bare, claims, uint64(noon.UnixMilli()), noon) {
				continue
			}
			got, err := mint.ReadToken(bare, claims)
			if err != nil {
				t.Fatalf("passes, and can't be read: %v", err)
			}
			if wrong := differs(q, got, uint64(noon.UnixMilli()), noon); wrong != "spelling" {
				t.Fatalf("passes with another %s", wrong)
			}
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
