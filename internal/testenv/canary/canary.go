// Package canary finds secrets where none may be: in logs, error texts, database pages, segments and temporary files.
//
// A test gives real credentials to a running seawall, keeps a copy of each as a [Secret], and afterwards lets a [Set]
// of them search everything that was printed, answered or written. A credential is found however it got there: as it
// is, in hex, base64 or decimal, escaped for a URL, JSON, HTML or Go, byte for byte backwards where it is a number, and
// in gzip or zlib data, at any place and up to three layers deep. Sixteen bytes of it are enough, so a value that was
// cut, wrapped at a line's end or split over two database pages counts as well. What it cannot see is listed with
// [Set.Scan].
//
// A search that finds nothing proves something only if the same search finds what was planted. Every test that uses
// this package should plant a leak in each place it searches, and fail if it is not found.
package canary

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// Secret is a value that must not be found.
type Secret struct {
	Name   string // says in a finding what it is; the value never appears there
	Value  []byte // at least [Shortest] bytes
	Number bool   // a big-endian number, such as a private scalar: also found in decimal and with its bytes reversed
	Least  int    // how many bytes of Value in a row count; 0 is [Enough], and Value as a whole if it is shorter
}

const (
	// Shortest is the length of the shortest secret that can be searched for, in bytes.
	Shortest = seedSize + step - 1
	// Enough is how many bytes of a secret in a row count as a leak, if the secret says nothing else.
	Enough = 16
)

// Text is a secret of characters, such as a client secret.
func Text(name, value string) Secret { return Secret{Name: name, Value: []byte(value)} }

// Token returns the secrets in a signed token or client assertion in compact form (RFC 7515 §7.1): any piece of the
// text, the bytes of its signature, and its payload as a whole once decoded, since the rest of a token can be made from
// public data.
func Token(name, compact string) ([]Secret, error) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%s has %d parts: a compact JWS has 3", name, len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !json.Valid(payload) {
		return nil, fmt.Errorf("the payload of %s is not JSON in base64url", name)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, fmt.Errorf("the signature of %s is not base64url", name)
	}
	return []Secret{
		Text(name, compact),
		{Name: "decoded payload of " + name, Value: payload, Least: len(payload)},
		{Name: "decoded signature of " + name, Value: signature},
	}, nil
}

// PrivateKey returns the secrets in an ECDSA, RSA or Ed25519 key: its numbers or its seed.
func PrivateKey(name string, key crypto.PrivateKey) ([]Secret, error) {
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		scalar, err := key.Bytes()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return []Secret{{Name: "scalar of " + name, Value: scalar, Number: true}}, nil
	case ed25519.PrivateKey:
		return []Secret{{Name: "seed of " + name, Value: key.Seed(), Number: true}}, nil
	case *rsa.PrivateKey:
		list := []Secret{{Name: "private exponent of " + name, Value: key.D.Bytes(), Number: true}}
		for i, prime := range key.Primes {
			list = append(list, Secret{Name: fmt.Sprintf("prime %d of %s", i+1, name), Value: prime.Bytes(), Number: true})
		}
		return list, nil
	}
	return nil, fmt.Errorf("%s is a %T: there is no search for that kind of key", name, key)
}

// PKCS8 returns the secrets in a private key in that form (RFC 5958), which is what gets sealed and put into PEM files.
func PKCS8(name string, der []byte) ([]Secret, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return PrivateKey(name, key)
}

// Marks are beginnings that only secrets have: of PEM private keys, of the DER inside them, and of token headers.
// They find secrets that a test does not know.
func Marks() []Secret {
	var list []Secret
	add := func(name, value string) {
		list = append(list, Secret{Name: name, Value: []byte(value), Least: len(value)})
	}
	for _, label := range []string{"", "EC ", "RSA ", "ENCRYPTED ", "OPENSSH "} {
		add("beginning of a PEM file with a private key", "-----BEGIN "+label+"PRIVATE KEY-----")
	}
	// SEQUENCE { INTEGER 0, SEQUENCE { OID … }, OCTET STRING { the key as RFC 5915, 8410 or 8017 has it. The lengths
	// before are left out, because they differ.
	add("beginning of a P-256 key in PKCS #8", "\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x04")
	add("beginning of an Ed25519 key in PKCS #8", "\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20")
	add("beginning of an RSA key in PKCS #8", "\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04\x82")
	for _, member := range []string{`{"alg":"`, `{"typ":"`, `{"kid":"`} {
		// The last character holds two bits of what follows, which differ between a digit and a letter.
		for _, next := range []string{"0", "A"} {
			add("beginning of a token", base64.RawURLEncoding.EncodeToString([]byte(member + next))[:Shortest])
		}
	}
	return list
}
