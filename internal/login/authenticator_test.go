package login

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"
)

// authenticator is a passkey provider as a small real thing: it makes keys, signs challenges, and can be made to lie.
type authenticator struct {
	t      testing.TB
	origin string
	flags  byte // of what it answers: UP, UV, BE, BS
	count  uint32
	aaguid [16]byte
	maker  *maker // who attests for it; nil: nobody
	key    *ecdsa.PrivateKey
	id     []byte
	handle []byte
	rpID   string
}

const (
	flagUP, flagUV, flagBE, flagBS, flagAT = 0x01, 0x04, 0x08, 0x10, 0x40
)

func newAuthenticator(t testing.TB, origin, rpID string) *authenticator {
	a := &authenticator{t: t, origin: origin, rpID: rpID, flags: flagUP | flagUV, count: 1}
	a.fresh()
	return a
}

// fresh gives it a key that nobody knows yet.
func (a *authenticator) fresh() {
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		a.t.Fatal(err)
	}
	a.id = make([]byte, 32)
	_, _ = rand.Read(a.id)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func unb64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (a *authenticator) clientData(kind, challenge string) []byte {
	text, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.origin, "crossOrigin": false})
	if err != nil {
		a.t.Fatal(err)
	}
	return text
}

// data is authenticator data (WebAuthn §6.1), with the new key if flags say so.
func (a *authenticator) data(flags byte) []byte {
	hash := sha256.Sum256([]byte(a.rpID))
	b := append(hash[:], flags)
	b = binary.BigEndian.AppendUint32(b, a.count)
	if flags&flagAT == 0 {
		return b
	}
	b = append(b, a.aaguid[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(a.id)))
	b = append(b, a.id...)
	return append(b, a.cose()...)
}

// cose is the public key as COSE_Key: EC2, ES256, P-256, x, y.
func (a *authenticator) cose() []byte {
	point, err := a.key.PublicKey.Bytes()
	if err != nil {
		a.t.Fatal(err)
	}
	b := []byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20}
	b = append(b, point[1:33]...)
	b = append(b, 0x22, 0x58, 0x20)
	return append(b, point[33:]...)
}

// cborBytes and cborText are the two CBOR strings that an attestation needs.
func cborBytes(b []byte) []byte { return append(cborHead(0x40, len(b)), b...) }
func cborText(s string) []byte  { return append(cborHead(0x60, len(s)), s...) }

func cborHead(kind byte, n int) []byte {
	switch {
	case n < 24:
		return []byte{kind | byte(n)}
	case n < 256:
		return []byte{kind | 24, byte(n)}
	}
	return []byte{kind | 25, byte(n >> 8), byte(n)}
}

// create answers creation options.
func (a *authenticator) create(o map[string]any) map[string]any {
	user := o["user"].(map[string]any)
	a.handle = unb64(a.t, user["id"].(string))
	client := a.clientData("webauthn.create", o["challenge"].(string))
	data := a.data(a.flags | flagAT)
	object := []byte{0xa3}
	object = append(append(object, cborText("fmt")...), a.statement(data, client)...)
	object = append(append(object, cborText("authData")...), cborBytes(data)...)
	return map[string]any{"id": b64(a.id), "rawId": b64(a.id), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{"clientDataJSON": b64(client), "attestationObject": b64(object), "transports": []string{"usb"}}}
}

// statement is fmt and attStmt of an attestation object: "none", or "packed" with the maker's certificate.
func (a *authenticator) statement(data, client []byte) []byte {
	if a.maker == nil {
		return append(append(cborText("none"), cborText("attStmt")...), 0xa0)
	}
	hash := sha256.Sum256(client)
	signature := a.maker.sign(a.t, append(append([]byte{}, data...), hash[:]...))
	b := append(cborText("packed"), cborText("attStmt")...)
	b = append(b, 0xa3)
	b = append(append(b, cborText("alg")...), 0x26)
	b = append(append(b, cborText("sig")...), cborBytes(signature)...)
	b = append(append(b, cborText("x5c")...), 0x81)
	return append(b, cborBytes(a.maker.leaf(a.t, a.aaguid))...)
}

// get answers request options, with a counter that grew.
func (a *authenticator) get(o map[string]any) map[string]any {
	if a.count > 0 {
		a.count++
	}
	return a.sign(a.clientData("webauthn.get", o["challenge"].(string)), a.data(a.flags))
}

func (a *authenticator) sign(client, data []byte) map[string]any {
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	if err != nil {
		a.t.Fatal(err)
	}
	return map[string]any{"id": b64(a.id), "rawId": b64(a.id), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature), "userHandle": b64(a.handle)}}
}

// maker is a manufacturer of authenticators with a root of its own.
type maker struct {
	key  *ecdsa.PrivateKey
	root *x509.Certificate
	der  []byte
	unit *ecdsa.PrivateKey
}
