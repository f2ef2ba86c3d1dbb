package tokencheck

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"testing"
)

// issue makes a token in the form of docs/formats.md, with the JWK Set that it belongs to.
func issue(t *testing.T) (token string, jwks []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	ledger, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	bare, payload := `{"alg":"ES256","typ":"at+jwt","kid":"k"}`, `{"sub":"a"}`
	digest := sha256.Sum256(appendString(appendString([]byte("seawall-receipt-v1\x00"), []byte(bare)), []byte(payload)))
	receipt := append([]byte{1}, make([]byte, 24)...)
	receipt = append(receipt, ed25519.Sign(private, append(append([]byte("seawall-receipt-signature-v1\x00"), receipt...), digest[:]...))...)
	header := bare[:len(bare)-1] + `,"rcpt":"` + b64.EncodeToString(receipt) + `"}`
	input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	hash := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	jwks = fmt.Appendf(nil, `{"keys":[{"kty":"RSA","alg":"RS256","kid":"r"},{"kty":"EC","alg":"ES256","kid":"k","x":%q,"y":%q}],
		"seawall_ledger":{"receipt_keys":[{"id":%q,"x":%q}]}}`,
		b64.EncodeToString(point[1:33]), b64.EncodeToString(point[33:]), b64.EncodeToString(make([]byte, 8)), b64.EncodeToString(ledger))
	return input + "." + b64.EncodeToString(signature), jwks
}

func TestBothSignaturesAreChecked(t *testing.T) {
	token, jwks := issue(t)
	keys, err := ParseKeys(jwks)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Prepare(token, keys)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Verify() {
		t.Fatal("a genuine token is refused")
	}
	for name, spoil := range map[string]func(*Signatures){
		"issuer's":         func(s *Signatures) { s.signed[0] ^= 1 },
		"ledger's":         func(s *Signatures) { s.ed25519[0] ^= 1 },
		"ledger's, claims": func(s *Signatures) { s.subject[len(s.subject)-1] ^= 1 },
	} {
		s, err := Prepare(token, keys)
		if err != nil {
			t.Fatal(err)
		}
		if spoil(s); s.Verify() {
			t.Errorf("the %s signature is not checked", name)
		}
	}
}

func TestPrepareRefusesWhatItCannotMeasure(t *testing.T) {
	token, jwks := issue(t)
	keys, err := ParseKeys(jwks)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"two parts":  "a.b",
		"not base64": "a.b.c!",
		"no receipt": b64.EncodeToString([]byte(`{"kid":"k"}`)) + token[len(token)-len(token)/2:],
	} {
		if _, err := Prepare(bad, keys); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := Prepare(token, Keys{}); err == nil {
		t.Error("a token by an unknown key was taken")
	}
}
