// Package passkey is an authenticator as small as one can be: it holds a P-256 key for one relying party and answers
// request options (WebAuthn section 6.3.3).
package passkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
)

// Flags of the authenticator data: a person was there and proved that it is them.
const present, verified = 0x01, 0x04

// Passkey is the key of one person. It travels as JSON between the bench's own programs.
type Passkey struct {
	ID, Handle []byte
	Private    []byte // PKCS #8
	Count      uint32
}

// New makes a key for the person with this user handle.
func New(handle []byte) (*Passkey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	k := &Passkey{ID: make([]byte, 32), Handle: handle, Count: 1}
	_, _ = rand.Read(k.ID) // never fails
	k.Private, err = x509.MarshalPKCS8PrivateKey(key)
	return k, err
}

func (k *Passkey) key() (*ecdsa.PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(k.Private)
	if err != nil {
		return nil, err
	}
	return key.(*ecdsa.PrivateKey), nil
}

// COSE is the public key as a relying party keeps it: EC2, ES256, P-256, x, y (RFC 9053 section 7.1.1).
func (k *Passkey) COSE() ([]byte, error) {
	key, err := k.key()
	if err != nil {
		return nil, err
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	b := append([]byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20}, point[1:33]...)
	b = append(b, 0x22, 0x58, 0x20)
	return append(b, point[33:]...), nil
}

// Assertion is what a browser makes of an authenticator's answer.
type Assertion struct {
	ID         string            `json:"id"`
	RawID      string            `json:"rawId"`
	Type       string            `json:"type"`
	Extensions map[string]string `json:"clientExtensionResults"`
	Response   struct {
		ClientData    string `json:"clientDataJSON"`
		Authenticator string `json:"authenticatorData"`
		Signature     string `json:"signature"`
		Handle        string `json:"userHandle"`
	} `json:"response"`
}

// Assert answers a challenge of a relying party at an origin. The counter grows with each answer.
func (k *Passkey) Assert(origin, rpID, challenge string) (*Assertion, error) {
	key, err := k.key()
	if err != nil {
		return nil, err
	}
	client, err := json.Marshal(struct {
		Type      string `json:"type"`
		Challenge string `json:"challenge"`
		Origin    string `json:"origin"`
		Cross     bool   `json:"crossOrigin"`
	}{"webauthn.get", challenge, origin, false})
	if err != nil {
		return nil, err
	}
	k.Count++
	party := sha256.Sum256([]byte(rpID))
	data := binary.BigEndian.AppendUint32(append(party[:], present|verified), k.Count)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		return nil, err
	}
	b64 := base64.RawURLEncoding.EncodeToString
	a := &Assertion{ID: b64(k.ID), RawID: b64(k.ID), Type: "public-key", Extensions: map[string]string{}}
	a.Response.ClientData, a.Response.Authenticator, a.Response.Signature, a.Response.Handle = b64(client), b64(data), b64(signature), b64(k.Handle)
	return a, nil
}
