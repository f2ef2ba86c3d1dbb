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
	want := sample()
	got, err := ReadToken(want.Header(nil), want.Payload(nil))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
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
