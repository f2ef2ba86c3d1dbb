package passkey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"testing"
)

func TestAssert(t *testing.T) {
	k, err := New([]byte("ada"))
	if err != nil {
		t.Fatal(err)
	}
	cose, err := k.COSE()
	if err != nil || len(cose) != 77 {
		t.Fatalf("the public key has %d bytes, %v", len(cose), err)
	}
	key, err := k.key()
	if err != nil {
		t.Fatal(err)
	}
	for want := uint32(2); want < 4; want++ {
		a, err := k.Assert("http://localhost:1", "localhost", "c")
		if err != nil {
			t.Fatal(err)
		}
		raw := func(s string) []byte {
			b, err := base64.RawURLEncoding.DecodeString(s)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		data, client := raw(a.Response.Authenticator), raw(a.Response.ClientData)
		hash := sha256.Sum256(client)
		digest := sha256.Sum256(append(bytes.Clone(data), hash[:]...))
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], raw(a.Response.Signature)) {
			t.Error("the signature is not over the answer")
		}
		if got := binary.BigEndian.Uint32(data[33:]); got != want {
			t.Errorf("the counter is %d, want %d", got, want)
		}
		if string(client) != `{"type":"webauthn.get","challenge":"c","origin":"http://localhost:1","crossOrigin":false}` {
			t.Errorf("the client data is %s", client)
		}
	}
}
