package validate_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"seawall/validate"
	"seawall/validate/validatetest"
)

// rawCheck gives the least work that any validator does for this token: hash and verify, with
// everything parsed beforehand.
func rawCheck(tb testing.TB, keys []byte, token string) func() bool {
	tb.Helper()
	dot := strings.LastIndexByte(token, '.')
	signed := []byte(token[:dot])
	sig, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		tb.Fatal(err)
	}
	var set struct {
		Keys []struct{ Kid, Kty, Alg, X, Y, N, E string }
	}
	if err := json.Unmarshal(keys, &set); err != nil {
		tb.Fatal(err)
	}
	number := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			tb.Fatal(err)
		}
		return b
	}
	for _, k := range set.Keys {
		if k.Kid != "active" {
			continue
		}
		switch k.Alg {
		case "ES256":
			public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, number(k.X)...), number(k.Y)...))
			if err != nil {
				tb.Fatal(err)
			}
			der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])})
			if err != nil {
				tb.Fatal(err)
			}
			return func() bool {
				sum := sha256.Sum256(signed)
				return ecdsa.VerifyASN1(public, sum[:], der)
			}
		case "RS256":
			public := &rsa.PublicKey{N: new(big.Int).SetBytes(number(k.N)), E: 65537}
			return func() bool {
				sum := sha256.Sum256(signed)
				return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], sig) == nil
			}
		case "EdDSA":
			public := ed25519.PublicKey(number(k.X))
			return func() bool { return ed25519.Verify(public, signed, sig) }
		}
	}
	tb.Fatal("no active key")
	return nil
}

// rawReceipt gives the least work for a receipt: one Ed25519 check of 86 bytes.
func rawReceipt(tb testing.TB) func() bool {
	tb.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	input := make([]byte, 86)
	sig := ed25519.Sign(private, input)
	return func() bool { return ed25519.Verify(public, input, sig) }
}

// subject is one kind of issuer with good tokens of it. The first validator remembers a few tokens
// and meets so many by turns that it knows one in fifty of them; the second knows the token.
type subject struct {
	name    string
	issuer  *validatetest.Issuer
	v       *validate.Validator
	tokens  []string
	at      int
	known   *validate.Validator
	token   string
	raw     func() bool
	receipt func() bool // nil for a foreign issuer
}

// full checks a token that the validator does not remember, and remembers it.
func (s *subject) full() error {
	s.at = (s.at + 1) % len(s.tokens)
	_, err := s.v.Token(context.Background(), s.tokens[s.at])
	return err
}

// again checks a token that the validator has accepted before.
func (s *subject) again() error {
	_, err := s.known.Token(context.Background(), s.token)
	return err
}

func subjects(tb testing.TB) (list []*subject) {
	tb.Helper()
	for _, alg := range []validate.Alg{validate.ES256, validate.RS256, validate.EdDSA} {
		for _, foreign := range []bool{true, false} {
			s := &subject{name: string(alg) + "/receipt"}
			s.issuer = validatetest.NewIssuer(validatetest.Config{Algorithm: alg, Foreign: foreign, URL: "https://login.example/7c1e"})
			s.v = newValidator(tb, s.issuer, func(c *validate.Config) { c.Remember = 1 })
			s.known = newValidator(tb, s.issuer)
			for range 150 {
				s.tokens = append(s.tokens, s.issuer.Token(validatetest.Claims{
					"aud": audience, "scope": "stock.read stock.write", "tid": "2a9c4e71-65d0-4b3f-8e12-b7d4f09a3c55",
					"sid": "5b2e1f6a9c", "auth_time": 1785499400, "acr": "urn:example:phr", "amr": []string{"hwk", "user"}, "roles": []string{"clerk", "auditor"},
				}))
			}
			s.token = s.tokens[0]
			for range 2 {
				if err := s.again(); err != nil {
					tb.Fatal(err)
				}
			}
			s.raw = rawCheck(tb, s.issuer.Keys(), s.token)
			if foreign {
				s.name = string(alg) + "/plain"
			} else {
				s.receipt = rawReceipt(tb)
			}
			list = append(list, s)
		}
	}
	return list
}

// BenchmarkToken gives raw and full checks side by side: compare the medians of several rounds.
func BenchmarkToken(b *testing.B) {
	for _, s := range subjects(b) {
		b.Run(s.name+"/raw", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !s.raw() || s.receipt != nil && !s.receipt() {
					b.Fatal("a good token failed")
				}
			}
		})
		b.Run(s.name+"/full", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.full(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(s.name+"/again", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.again(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// refusal is a token that must be refused without effort.
type refusal struct {
	name, token string
	code        validate.Code
}

func refusals(s *subject) []refusal {
	header, rest, _ := strings.Cut(s.token, ".")
	other := s.issuer.Token(validatetest.Claims{"aud": "https://elsewhere.example", "scope": "stock.read stock.write", "tid": "2a9c4e71-65d0-4b3f-8e12-b7d4f09a3c55"})
	return []refusal{
		{"good but for another API", other, validate.CodeAudience},
		{"128 KiB", strings.Repeat("a", 128<<10), validate.CodeTooLarge},
		{"128 KiB of dots", strings.Repeat(".", 128<<10), validate.CodeTooLarge},
		{"one segment of 700 bytes", strings.Repeat("a", 700), validate.CodeMalformed},
		{"16 KiB of dots", strings.Repeat(".", 16<<10), validate.CodeMalformed},
		{"padded signature", s.token + "==", validate.CodeEncoding},
		{"header of garbage", strings.Repeat("A", len(header)/4*4) + "." + rest, validate.CodeJSON},
		{"payload of garbage", header + "." + strings.Repeat("A", 500) + "." + strings.Repeat("A", 86), validate.CodeJSON},
	}
}

// BenchmarkRefused gives what garbage costs.
func BenchmarkRefused(b *testing.B) {
	s := subjects(b)[0]
	for _, c := range refusals(s) {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.v.Token(context.Background(), c.token); err.(*validate.Error).Code != c.code {
					b.Fatalf("got %v, want %s", err, c.code)
				}
			}
		})
	}
}
