package guard

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"seawall/validate"
)

// verifyAssertion checks an assertion with nothing but the published key set, and gives its payload.
func verifyAssertion(t *testing.T, jwks []byte, assertion string) []byte {
	t.Helper()
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		t.Fatalf("an assertion of %d parts", len(parts))
	}
	var set struct {
		Keys []struct{ Kty, Crv, Alg, Kid, Use, X, Y, D string }
	}
	var header struct{ Alg, Typ, Kid string }
	if err := json.Unmarshal(jwks, &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("the key set: %v, %s", err, jwks)
	}
	if err := json.Unmarshal(decodeSegment(t, parts[0]), &header); err != nil {
		t.Fatal(err)
	}
	key := set.Keys[0]
	if header.Typ != "seawall-assertion+jwt" || header.Alg != key.Alg || header.Kid != key.Kid || key.Use != "sig" || key.D != "" {
		t.Fatalf("header %+v, key %+v", header, key)
	}
	input, signature := []byte(parts[0]+"."+parts[1]), decodeSegment(t, parts[2])
	good := false
	switch key.Alg {
	case "EdDSA":
		good = ed25519.Verify(decodeSegment(t, key.X), input, signature)
	case "ES256":
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, decodeSegment(t, key.X)...), decodeSegment(t, key.Y)...))
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256(input)
		good = len(signature) == 64 && ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	}
	if !good {
		t.Fatalf("the signature of an assertion does not verify with %s", jwks)
	}
	return decodeSegment(t, parts[1])
}

// A stranger chooses the path on a public route. Long ones are not kept, and "&" does not become six bytes.
func TestLongPathsAreNotRemembered(t *testing.T) {
	a, err := newAsserter("guard", "api", validate.EdDSA, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for path, want := range map[string]int{"/short": 1, "/" + strings.Repeat("&", 8000): 0} {
		a.memory = memory{}
		text, err := a.assert(now, "GET", path, nil)
		if err != nil || len(text) > 2*len(path)+1000 {
			t.Errorf("an assertion of %d bytes for a path of %d: %v", len(text), len(path), err)
		}
		if kept := len(a.memory.young); kept != want {
			t.Errorf("%d assertions kept for a path of %d bytes, want %d", kept, len(path), want)
		}
	}
}
