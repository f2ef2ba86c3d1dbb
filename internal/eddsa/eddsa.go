// Package eddsa makes Ed25519 signatures (RFC 8032 §5.1.6), several at a time under one key.
//
// The ledger signs a receipt for every token, and that is most of what it does. To write down the point R of a signature
// takes an inversion in the field, a seventh of the whole, and crypto/ed25519 makes two. Here a group of signatures
// shares one, by Montgomery's trick: invert the product of all, then take the others out again. Nothing else differs:
// signatures are the very ones that crypto/ed25519 makes, which the tests compare, and everything that touches a secret
// takes the same time whatever it is, as the arithmetic underneath promises.
//
// Verification is the business of crypto/ed25519.
package eddsa

import (
	"crypto/ed25519"
	"crypto/sha512"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// Key is a private key, ready to sign. It is safe for concurrent use.
type Key struct {
	scalar edwards25519.Scalar
	prefix [32]byte
	public [ed25519.PublicKeySize]byte
}

// NewKey takes in a private key.
func NewKey(private ed25519.PrivateKey) *Key {
	h := sha512.Sum512(private.Seed())
	k := new(Key)
	if _, err := k.scalar.SetBytesWithClamping(h[:32]); err != nil {
		panic(err) // 32 bytes are always a scalar
	}
	copy(k.prefix[:], h[32:])
	copy(k.public[:], private.Public().(ed25519.PublicKey))
	return k
}

// half is a signature on its way: the nonce, and its point in projective coordinates.
type half struct {
	nonce   edwards25519.Scalar
	x, y, z field.Element
	before  field.Element // product of all z before this one
}

// Sign appends to dst the signature of each message.
func (k *Key) Sign(dst [][ed25519.SignatureSize]byte, messages ...[]byte) [][ed25519.SignatureSize]byte {
	halves := make([]half, len(messages))
	defer clear(halves)
	var product field.Element
	product.One()
	for i, message := range messages {
		h := &halves[i]
		reduce(&h.nonce, k.prefix[:], nil, message)
		x, y, z, _ := new(edwards25519.Point).ScalarBaseMult(&h.nonce).ExtendedCoordinates()
		h.x, h.y, h.z, h.before = *x, *y, *z, product
		product.Multiply(&product, &h.z)
	}
	first := len(dst)
	dst = append(dst, make([][ed25519.SignatureSize]byte, len(messages))...)
	rest := product.Invert(&product) // of all z up to the present one
	for i := len(messages) - 1; i >= 0; i-- {
		h := &halves[i]
		var inverse field.Element
		inverse.Multiply(rest, &h.before)
		rest.Multiply(rest, &h.z)
		k.finish(&dst[first+i], h, &inverse, messages[i])
	}
	return dst
}

// finish writes R and S. inverse is that of h.z.
func (k *Key) finish(signature *[ed25519.SignatureSize]byte, h *half, inverse *field.Element, message []byte) {
	var x, y field.Element
	x.Multiply(&h.x, inverse)
	y.Multiply(&h.y, inverse)
	copy(signature[:32], y.Bytes())
	signature[31] |= byte(x.IsNegative() << 7)
	var challenge, s edwards25519.Scalar
	reduce(&challenge, signature[:32], k.public[:], message)
	copy(signature[32:], s.MultiplyAdd(&challenge, &k.scalar, &h.nonce).Bytes())
}

// reduce sets s to the hash of all parts, as a scalar.
func reduce(s *edwards25519.Scalar, a, b, message []byte) {
	var sum [sha512.Size]byte
	h := sha512.New()
	h.Write(a)
	h.Write(b)
	h.Write(message)
	if _, err := s.SetUniformBytes(h.Sum(sum[:0])); err != nil {
		panic(err) // 64 bytes always are one
	}
}
