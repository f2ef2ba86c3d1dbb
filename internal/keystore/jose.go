package keystore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
)

// p256 is the size of r, s and a coordinate on the curve of ES256, in bytes.
const p256 = 32

// Algorithm reports whether alg is a JWS algorithm for keys like public.
func Algorithm(public crypto.PublicKey, alg string) bool {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return alg == "ES256" && k.Curve == elliptic.P256()
	case *rsa.PublicKey:
		return (alg == "RS256" || alg == "PS256") && k.N.BitLen() >= 2048
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// AppendSignature signs a JWS signing input (RFC 7515 §5.1) under alg and appends the signature's bytes to dst. For
// ES256 these are r ‖ s of 32 bytes each (RFC 7518 §3.4) and not the ASN.1 that a crypto.Signer returns.
func AppendSignature(dst []byte, key crypto.Signer, alg string, input []byte) ([]byte, error) {
	switch alg {
	case "EdDSA":
		sig, err := key.Sign(nil, input, crypto.Hash(0))
		return append(dst, sig...), err
	case "ES256":
		digest := sha256.Sum256(input)
		der, err := key.Sign(nil, digest[:], crypto.SHA256)
		if err != nil {
			return dst, err
		}
		return appendRS(dst, der)
	case "RS256", "PS256":
		var opts crypto.SignerOpts = crypto.SHA256
		if alg == "PS256" {
			opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
		}
		digest := sha256.Sum256(input)
		sig, err := key.Sign(nil, digest[:], opts)
		return append(dst, sig...), err
	}
	return dst, fmt.Errorf("%w: %q", ErrAlgorithm, alg)
}

var errDER = errors.New("the key store returned a signature that is not ASN.1 ECDSA")

// appendRS turns SEQUENCE { INTEGER r, INTEGER s } into r ‖ s.
func appendRS(dst, der []byte) ([]byte, error) {
	if len(der) < 2 || der[0] != 0x30 || int(der[1]) != len(der)-2 || der[1] >= 0x80 {
		return dst, errDER
	}
	rest := der[2:]
	for range 2 {
		if len(rest) < 3 || rest[0] != 0x02 || rest[1] == 0 || rest[1] >= 0x80 || len(rest) < 2+int(rest[1]) {
			return dst, errDER
		}
		v := rest[2 : 2+rest[1]]
		rest = rest[2+len(v):]
		if v[0] == 0 && len(v) > 1 {
			v = v[1:]
		}
		if len(v) > p256 {
			return dst, errDER
		}
		dst = append(append(dst, make([]byte, p256-len(v))...), v...)
	}
	if len(rest) != 0 {
		return dst, errDER
	}
	return dst, nil
}

// JWK returns the public members of a key (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2): kty and what belongs to it.
func JWK(public crypto.PublicKey) (map[string]string, error) {
	enc := base64.RawURLEncoding.EncodeToString
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil || len(point) != 1+2*p256 {
			return nil, fmt.Errorf("%w: curve", ErrAlgorithm)
		}
		return map[string]string{"kty": "EC", "crv": "P-256", "x": enc(point[1 : 1+p256]), "y": enc(point[1+p256:])}, nil
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "n": enc(k.N.Bytes()), "e": enc(big.NewInt(int64(k.E)).Bytes())}, nil
	case ed25519.PublicKey:
		return map[string]string{"kty": "OKP", "crv": "Ed25519", "x": enc(k)}, nil
	}
	return nil, fmt.Errorf("%w: key type", ErrAlgorithm)
}

// Thumbprint returns the RFC 7638 SHA-256 thumbprint of a public key.
func Thumbprint(public crypto.PublicKey) ([32]byte, error) {
	jwk, err := JWK(public)
	if err != nil {
		return [32]byte{}, err
	}
	var text string
	switch jwk["kty"] {
	case "EC":
		text = fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, jwk["crv"], jwk["x"], jwk["y"])
	case "RSA":
		text = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, jwk["e"], jwk["n"])
	default:
		text = fmt.Sprintf(`{"crv":%q,"kty":"OKP","x":%q}`, jwk["crv"], jwk["x"])
	}
	return sha256.Sum256([]byte(text)), nil
}

// kidSize is the length of a kid: 132 bits of the thumbprint, so two keys never share one and a key that was replaced
// behind its record's back is noticed.
const kidSize = 22

// KID returns the key id of a public key: the first 22 characters of its thumbprint.
func KID(public crypto.PublicKey) (string, error) {
	thumbprint, err := Thumbprint(public)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(thumbprint[:])[:kidSize], nil
}
