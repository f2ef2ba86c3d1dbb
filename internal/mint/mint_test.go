package mint

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func sample() *Token {
	return &Token{Alg: "ES256", KID: "k1", Kind: AccessToken, Issuer: "https://id.example/acme", Subject: "ci",
		Audience: []string{"https://api.example"}, ClientID: "ci", Scope: "read write", JTI: "0123456789abcdef",
		IssuedAt: 1790000000, Expires: 1790000300,
		Custom: []Claim{{Name: "dept", Text: "a\"b\\c\x01é"}, {Name: "teams", List: []string{"x", "y"}}}}
}

// thumbprint is that of some key.
const thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

var signIn = SignIn{AuthTime: 1789999000, ACR: "phr", AMR: []string{"hwk", "user"}, Session: "session-7"}

// samplePerson is a token of a person's: everything that an access token can say of one.
func samplePerson() *Token {
	t := sample()
	t.SignIn, t.KeyThumbprint = signIn, thumbprint
	return t
}

func sampleID() *Token {
	return &Token{Alg: "ES256", KID: "k2", Kind: IDToken, Issuer: "https://id.example/acme", Subject: "ada", Audience: []string{"web"},
		Nonce: `n"1`, SignIn: signIn, JTI: "fedcba9876543210", IssuedAt: 1790000000, Expires: 1790000300}
}

func TestStandardClaimsSorted(t *testing.T) {
	if !slices.IsSorted(standardClaims) {
		t.Fatal("standardClaims must be sorted for the binary search")
	}
	for _, name := range []string{"sub", "SUB", "scope", "rcpt", "cnf"} {
		if !StandardClaim(name) {
			t.Errorf("%s is not seen as standard", name)
		}
	}
}

func TestTokenRoundTrip(t *testing.T) {
	bare := sampleID()
	bare.Nonce, bare.SignIn = "", SignIn{AuthTime: 1}
	for name, want := range map[string]*Token{"a client's": sample(), "a person's": samplePerson(), "ID token": sampleID(), "short ID token": bare} {
		got, err := ReadToken(want.Header(nil), want.Payload(nil))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// TestPayloads holds the order of claims that docs/formats.md gives.
func TestPayloads(t *testing.T) {
	access := samplePerson()
	access.Custom = access.Custom[1:]
	for name, c := range map[string]struct {
		token *Token
		want  string
	}{
		"access token": {access, `{"iss":"https://id.example/acme","sub":"ci","aud":"https://api.example","client_id":"ci","scope":"read write",` +
			`"auth_time":1789999000,"acr":"phr","amr":["hwk","user"],"sid":"session-7","cnf":{"jkt":"` + thumbprint + `"},` +
			`"jti":"0123456789abcdef","iat":1790000000,"exp":1790000300,"teams":["x","y"]}`},
		"ID token": {sampleID(), `{"iss":"https://id.example/acme","sub":"ada","aud":"web","nonce":"n\"1",` +
			`"auth_time":1789999000,"acr":"phr","amr":["hwk","user"],"sid":"session-7","jti":"fedcba9876543210","iat":1790000000,"exp":1790000300}`},
	} {
		if got := string(c.token.Payload(nil)); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
	if got := string(sampleID().Header(nil)); got != `{"alg":"ES256","typ":"JWT","kid":"k2"}` {
		t.Errorf("header of an ID token: %s", got)
	}
}

func TestReceiptCutsBytewise(t *testing.T) {
	want := sample()
	bare := want.Header(nil)
	var r Receipt
	r[0] = receiptVersion
	got, back, err := SplitReceipt(WithReceipt(nil, bare, &r))
	if err != nil || string(got) != string(bare) || back != r {
		t.Fatalf("got %s, %v", got, err)
	}
}

func TestRequestRoundTrip(t *testing.T) {
	want := &Request{Tenant: "acme", Issuer: "https://id.example/acme", Kind: AccessToken, Subject: "ci",
		Audience: []string{"a", "b"}, ClientID: "ci", Scope: "read", JTI: NewJTI(), Lifetime: 300,
		Custom: sample().Custom, Evidence: [32]byte{1}}
	got, err := ReadRequest(want.Append(nil))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if version := want.Append(nil)[0]; version != 1 {
		t.Errorf("a request of a client has version %d: a signer from before there were people would refuse it", version)
	}
	for name, set := range map[string]func(*Request){
		"nonce":     func(q *Request) { q.Nonce = "n" },
		"auth_time": func(q *Request) { q.AuthTime = 1 },
		"acr":       func(q *Request) { q.ACR = "phr" },
		"amr":       func(q *Request) { q.AMR = []string{"hwk", "user"} },
		"sid":       func(q *Request) { q.Session = "s" },
		"jkt":       func(q *Request) { q.KeyThumbprint = thumbprint },
	} {
		want := *want
		set(&want)
		encoded := want.Append(nil)
		got, err := ReadRequest(encoded)
		if err != nil || !reflect.DeepEqual(got, &want) || encoded[0] != 2 {
			t.Errorf("%s: version %d, got %+v, %v", name, encoded[0], got, err)
		}
		if token := got.Token(); token.Nonce != got.Nonce || !reflect.DeepEqual(token.SignIn, got.SignIn) || token.KeyThumbprint != got.KeyThumbprint {
			t.Errorf("%s: the token is another: %+v", name, token)
		}
	}
}

// TestRequestsInTheOtherVersionsForm: what could be said in two ways would have two digests.
func TestRequestsInTheOtherVersionsForm(t *testing.T) {
	q := sampleRequest()
	plain := q.Append(nil)
	q.Nonce = "n"
	full := q.Append(nil)
	nothing := append(append([]byte{2}, plain[1:]...), 0, 0, 0, 0, 0, 0)
	for name, b := range map[string][]byte{
		"a person's without anything of a person": nothing,
		"a client's with the rest of a person's":  append([]byte{1}, full[1:]...),
		"a person's cut short":                    append([]byte{2}, plain[1:]...),
		"version 0":                               append([]byte{0}, plain[1:]...),
		"version 3":                               append([]byte{3}, full[1:]...),
	} {
		if _, err := ReadRequest(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, set := range map[string]func(*Request){
		"a long nonce":    func(q *Request) { q.Nonce = strings.Repeat("n", MaxNonce+1) },
		"nine methods":    func(q *Request) { q.AMR = slices.Repeat([]string{"m"}, MaxAMR+1) },
		"a long acr":      func(q *Request) { q.ACR = strings.Repeat("a", MaxText+1) },
		"a long sid":      func(q *Request) { q.Session = strings.Repeat("s", MaxText+1) },
		"a time before 0": func(q *Request) { q.AuthTime = -1 },
		"a long binding":  func(q *Request) { q.KeyThumbprint = strings.Repeat("A", MaxText+1) },
		"a life before 0": func(q *Request) { q.Lifetime = -1 },
		"a long method":   func(q *Request) { q.AMR = []string{strings.Repeat("m", MaxText+1)} },
		"17 audiences":    func(q *Request) { q.Audience = slices.Repeat([]string{"a"}, MaxAudiences+1) },
	} {
		q := sampleRequest()
		set(q)
		if _, err := ReadRequest(q.Append(nil)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestThumbprints(t *testing.T) {
	if !ValidThumbprint(thumbprint) {
		t.Error("a thumbprint is refused")
	}
	for name, bad := range map[string]string{
		"nothing":              "",
		"42 characters":        thumbprint[1:],
		"44 characters":        thumbprint + "A",
		"another alphabet":     "+" + thumbprint[1:],
		"padding":              thumbprint[:42] + "=",
		"a line end":           thumbprint[:42] + "\n",
		"bits that are unused": thumbprint[:42] + "J",
	} {
		if ValidThumbprint(bad) {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestEntryRoundTrip(t *testing.T) {
	want := &Entry{Kind: TokenIssued, Millis: 7, Tenant: "acme", Audience: []string{"a"}, JTI: "j", IssuedAt: 1, Expires: 2,
		Digest: Digest{1}, Detail: []Field{{"a", "1"}, {"b", "2"}}}
	got, err := ReadEntry(want.Append(nil))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestDigestText(t *testing.T) {
	want := Digest{1, 2, 3}
	var got Digest
	if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
		t.Fatalf("got %v, %v", got, err)
	}
	for _, text := range []string{"", want.String()[1:], want.String() + "AAAA", strings.Repeat("A", 64), strings.Repeat("!", 43)} {
		if err := got.UnmarshalText([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d characters: got %v", len(text), err)
		}
	}
}
