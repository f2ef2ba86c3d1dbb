package keystore

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
)

func number(t *testing.T, text string) *big.Int {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return new(big.Int).SetBytes(b)
}

// The examples of RFC 7638 §3.1 and RFC 8037 A.3.
func TestThumbprintExamples(t *testing.T) {
	n := "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs" +
		"tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI" +
		"SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	edwards, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		public any
		want   string
	}{
		"RSA": {&rsa.PublicKey{N: number(t, n), E: 65537}, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		"OKP": {ed25519.PublicKey(edwards), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
	} {
		got, err := Thumbprint(c.public)
		if err != nil || base64.RawURLEncoding.EncodeToString(got[:]) != c.want {
			t.Errorf("%s: got %x, %v", name, got, err)
		}
		if kid, err := KID(c.public); err != nil || kid != c.want[:22] {
			t.Errorf("%s: kid %s, %v", name, kid, err)
		}
	}
}

// The EC key of RFC 7515 A.3: coordinates keep their leading zeros and their order.
func TestJWKOfAnECKey(t *testing.T) {
	x, y := "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
	point := append([]byte{4}, append(number(t, x).FillBytes(make([]byte, 32)), number(t, y).FillBytes(make([]byte, 32))...)...)
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := JWK(public)
	if err != nil || jwk["x"] != x || jwk["y"] != y || jwk["crv"] != "P-256" || jwk["kty"] != "EC" || len(jwk) != 4 {
		t.Errorf("got %v, %v", jwk, err)
	}
}

func TestSignatureForms(t *testing.T) {
	der := func(r, s int64) []byte {
		b, err := asn1.Marshal(struct{ R, S *big.Int }{big.NewInt(r), big.NewInt(s)})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// 0x80 needs a sign byte in ASN.1; 1 is padded with 31 zeros.
	got, err := appendRS([]byte("x"), der(0x80, 1))
	want := "x" + strings.Repeat("\x00", 31) + "\x80" + strings.Repeat("\x00", 31) + "\x01"
	if err != nil || string(got) != want {
		t.Fatalf("got %x, %v", got, err)
	}
	good := der(0x1234, 0x5678)
	for name, bad := range map[string][]byte{
		"empty":           nil,
		"not a sequence":  append([]byte{0x31}, good[1:]...),
		"cut":             good[:len(good)-1],
		"longer":          append(append([]byte(nil), good...), 0),
		"three numbers":   {0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1},
		"one number":      {0x30, 3, 2, 1, 1},
		"empty number":    {0x30, 4, 2, 0, 2, 0},
		"too long number": append(append([]byte{0x30, 38, 2, 33, 1}, make([]byte, 32)...), 2, 1, 1),
	} {
		if _, err := appendRS(nil, bad); !errors.Is(err, errDER) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAlgorithmFitsKey(t *testing.T) {
	ec := &ecdsa.PublicKey{Curve: elliptic.P256()}
	for _, c := range []struct {
		public any
		alg    string
		want   bool
	}{
		{ec, "ES256", true}, {ec, "ES384", false}, {ec, "RS256", false},
		{&ecdsa.PublicKey{Curve: elliptic.P384()}, "ES256", false},
		{&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047)}, "RS256", true},
		{&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023)}, "RS256", false},
		{ed25519.PublicKey{}, "EdDSA", true}, {ed25519.PublicKey{}, "none", false}, {"key", "ES256", false},
	} {
		if got := Algorithm(c.public, c.alg); got != c.want {
			t.Errorf("%T with %s: %v", c.public, c.alg, got)
		}
	}
}

func FuzzSignatureForm(f *testing.F) {
	f.Add([]byte{0x30, 6, 2, 1, 1, 2, 1, 1})
	f.Add([]byte{0x30, 8, 2, 2, 0, 0x80, 2, 2, 0, 0xff})
	f.Fuzz(func(t *testing.T, der []byte) {
		if got, err := appendRS(nil, der); err == nil && len(got) != 2*p256 {
			t.Fatalf("%d bytes", len(got))
		}
	})
}
