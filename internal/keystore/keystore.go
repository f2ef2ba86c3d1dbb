// Package keystore is where an issuer's private keys live, whatever holds them.
//
// A [Store] makes keys, seals them for the disk and opens them again; a [Key] signs. There is no call that gives the
// bytes of a private key to anybody: what leaves a store is a public key, a signature, or a sealed form that only the
// same store can open, and only together with the exact [Binding] it was sealed with. A key sealed for one tenant,
// issuer, family, algorithm, window or step opens as nothing else, so files that were swapped, renamed or restored
// from an older copy are refused instead of used.
//
// Drivers are sub-packages, listed in builtin; all pass keystoretest. The functions here that are not part of a driver
// put keys and signatures into the forms of JOSE.
package keystore

import (
	"crypto"
	"encoding/binary"
	"errors"
)

// Algorithms lists the JWS algorithms (RFC 7518 §3.1, RFC 8037) that every store offers. ES256 is the default: it signs
// thirty times faster than RSA and every client knows it.
var Algorithms = []string{"ES256", "RS256", "PS256", "EdDSA"}

var (
	// ErrSealed reports sealed bytes that do not open: altered, sealed by another store, or bound to something else.
	// It does not say which.
	ErrSealed = errors.New("the sealed key does not open: it was altered, belongs to another store, or is not the key its record describes")
	// ErrDestroyed reports a signature asked of a key whose private part is gone.
	ErrDestroyed = errors.New("the private part of this key was destroyed")
	// ErrAlgorithm reports an algorithm that is not one of [Algorithms], or not that of the key.
	ErrAlgorithm = errors.New("not an algorithm of this key store")
)

// Store makes and keeps private keys. It is safe for concurrent use.
type Store interface {
	// Custody says in plain words where private keys are and who could read them there. It is shown to people.
	Custody() string
	// Generate makes a new key for one of [Algorithms].
	Generate(alg string) (Key, error)
	// Seal returns key in the only form that may be written to a disk. The binding must name the key by its own kid.
	Seal(key Key, binding *Binding) ([]byte, error)
	// Open returns the key that was sealed with exactly this binding, or [ErrSealed].
	Open(sealed []byte, binding *Binding) (Key, error)
}

// Key is a private key that can sign and do nothing else. It is safe for concurrent use and prints as [redacted].
type Key interface {
	crypto.Signer
	// Destroy waits for signatures under way and ends the key: every later Sign fails with [ErrDestroyed]. Sealed forms
	// are the caller's to overwrite.
	Destroy()
}

// Binding is what a sealed key is bound to. Windows are Unix seconds.
type Binding struct {
	Tenant, Issuer, KID, Family, Alg string

	NotBefore, SigningEnds, Expires int64

	Epoch uint64 // number of the key's last step: an older copy of the file does not open
}

const contextBinding = "seawall-sealed-key-v1\x00"

// Append writes the binding's one encoding to b: a context, each text as its length and its bytes, each number as eight
// bytes, big-endian.
func (n *Binding) Append(b []byte) []byte {
	b = append(b, contextBinding...)
	for _, s := range [...]string{n.Tenant, n.Issuer, n.KID, n.Family, n.Alg} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, v := range [...]uint64{uint64(n.NotBefore), uint64(n.SigningEnds), uint64(n.Expires), n.Epoch} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}
