package tenant

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
)

// Bounds of a client's key set.
const (
	MaxKeySetBytes = 32 << 10
	MaxKeys        = 10
	minRSABits     = 2048
	maxRSABits     = 4096 // more only makes each check dearer
	maxKeyID       = 128
)

// KeySet is a client's public keys (RFC 7517 §5), checked and parsed. Make one with [ParseKeySet]. The zero value has
// no keys.
type KeySet struct {
	keys []Key
	json string
}

// Key is one public key that may sign a client's assertions.
type Key struct {
	ID     string           // kid; may be empty if it is the only key
	Algs   []string         // the JWS algs that it may sign with
	Public crypto.PublicKey // *ecdsa.PublicKey, *rsa.PublicKey or ed25519.PublicKey
}

// IsZero reports whether there are no keys.
func (s KeySet) IsZero() bool { return len(s.keys) == 0 }

// Keys returns the keys, in the order of the document.
func (s KeySet) Keys() []Key { return slices.Clone(s.keys) }

// String is the set as a JWK Set, rebuilt from what was checked: public members only. It is empty for no keys, and
// [ParseKeySet] reads it back.
func (s KeySet) String() string { return s.json }

// jwk has the members that we read. A private one only has to be there to be refused.
type jwk struct {
	Kty    string   `json:"kty"`
	Kid    string   `json:"kid,omitempty"`
	Alg    string   `json:"alg,omitempty"`
	Use    string   `json:"use,omitempty"`
	KeyOps []string `json:"key_ops,omitempty"`
	Crv    string   `json:"crv,omitempty"`
	X      string   `json:"x,omitempty"`
	Y      string   `json:"y,omitempty"`
	N      string   `json:"n,omitempty"`
	E      string   `json:"e,omitempty"`
}

// ParseKeySet reads a JWK Set of public signature keys: EC on P-256, P-384 or P-521, RSA of 2048 to 4096 bits, or
// Ed25519. Several keys need different kids. A private or symmetric key is refused, and so is a key for encryption or
// of an alg that does not fit it. Members that we do not know are dropped. Errors are [*Invalid] and name no key
// material.
func ParseKeySet(document []byte) (KeySet, error) {
	const hint = `give a JWK Set with public keys, such as {"keys":[{"kty":"EC","crv":"P-256","x":"…","y":"…","kid":"1"}]}`
	if len(document) > MaxKeySetBytes {
		return KeySet{}, invalid("key set", "it is longer than 32 KiB", hint)
	}
	members, err := decodeSet(document)
	if err != nil {
		return KeySet{}, invalid("key set", err.Error(), hint)
	}
	if len(members) == 0 || len(members) > MaxKeys {
		return KeySet{}, invalid("key set", fmt.Sprintf("it has %s; 1 to %d are possible", plural(len(members), "key"), MaxKeys), hint)
	}
	set, kept := KeySet{}, make([]jwk, 0, len(members))
	for i, raw := range members {
		j, key, err := parseKey(raw)
		if err != nil {
			return KeySet{}, invalid("key set", fmt.Sprintf("key %d: %v", i+1, err), hint)
		}
		if i > 0 && (key.ID == "" || slices.ContainsFunc(set.keys, func(k Key) bool { return k.ID == key.ID || k.ID == "" })) {
			return KeySet{}, invalid("key set", fmt.Sprintf("key %d: several keys need a kid each, and different ones", i+1), hint)
		}
		set.keys, kept = append(set.keys, key), append(kept, j)
	}
	encoded, err := json.Marshal(map[string][]jwk{"keys": kept})
	if err != nil {
		return KeySet{}, fmt.Errorf("encoding a key set: %w", err)
	}
	set.json = string(encoded)
	return set, nil
}

func decodeSet(document []byte) ([]map[string]json.RawMessage, error) {
	var set map[string]json.RawMessage // a map, because struct fields would match names in any case
	d := json.NewDecoder(strings.NewReader(string(document)))
	if d.Decode(&set) != nil {
		return nil, errors.New("it is not a JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	var members []map[string]json.RawMessage
	if raw, ok := set["keys"]; !ok || json.Unmarshal(raw, &members) != nil {
		return nil, errors.New(`it has no list "keys"`)
	}
	return members, nil
}

func parseKey(member map[string]json.RawMessage) (jwk, Key, error) {
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, ok := member[private]; ok {
			return jwk{}, Key{}, errors.New("it is a private or symmetric key, which must never leave its owner: treat it as leaked, and make another")
		}
	}
	var j jwk
	for name, into := range map[string]any{"kty": &j.Kty, "kid": &j.Kid, "alg": &j.Alg, "use": &j.Use, "key_ops": &j.KeyOps, "crv": &j.Crv, "x": &j.X, "y": &j.Y, "n": &j.N, "e": &j.E} {
		if raw, ok := member[name]; ok && json.Unmarshal(raw, into) != nil {
			return jwk{}, Key{}, fmt.Errorf("its member %q has the wrong type", name)
		}
	}
	switch {
	case len(j.Kid) > maxKeyID || strings.ContainsFunc(j.Kid, func(r rune) bool { return r < ' ' || r > '~' }):
		return jwk{}, Key{}, errors.New("its kid is longer than 128 characters, or not printable ASCII")
	case j.Use != "" && j.Use != "sig":
		return jwk{}, Key{}, errors.New("its use is not sig")
	case j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify"):
		return jwk{}, Key{}, errors.New("its key_ops do not contain verify")
	}
	public, algs, err := publicKey(j)
	if err != nil {
		return jwk{}, Key{}, err
	}
	if j.Alg != "" && !slices.Contains(algs, j.Alg) {
		return jwk{}, Key{}, fmt.Errorf("its alg does not fit: a key of this type signs with %s", strings.Join(algs, " or "))
	}
	if j.Alg != "" {
		algs = []string{j.Alg}
	}
	return j, Key{ID: j.Kid, Algs: algs, Public: public}, nil
}

func publicKey(j jwk) (crypto.PublicKey, []string, error) {
	switch j.Kty {
	case "EC":
		return ecKey(j)
	case "RSA":
		return rsaKey(j)
	case "OKP":
		x, err := octets(j.X, ed25519.PublicKeySize)
		if j.Crv != "Ed25519" || err != nil {
			return nil, nil, errors.New("it is not an Ed25519 key")
		}
		return ed25519.PublicKey(x), []string{"EdDSA"}, nil
	}
	return nil, nil, errors.New("its kty is none of EC, RSA and OKP")
}

func ecKey(j jwk) (crypto.PublicKey, []string, error) {
	for _, c := range []struct {
		name, alg string
		curve     elliptic.Curve
	}{
		{"P-256", "ES256", elliptic.P256()},
		{"P-384", "ES384", elliptic.P384()},
		{"P-521", "ES512", elliptic.P521()},
	} {
		if j.Crv != c.name {
			continue
		}
		size := (c.curve.Params().BitSize + 7) / 8
		x, errX := octets(j.X, size)
		y, errY := octets(j.Y, size)
		if errX != nil || errY != nil {
			return nil, nil, fmt.Errorf("x and y of a %s key are base64url of %d bytes each", c.name, size)
		}
		public, err := ecdsa.ParseUncompressedPublicKey(c.curve, slices.Concat([]byte{4}, x, y))
		if err != nil {
			return nil, nil, fmt.Errorf("its point is not on %s", c.name)
		}
		return public, []string{c.alg}, nil
	}
	return nil, nil, errors.New("its crv is none of P-256, P-384 and P-521")
}

func rsaKey(j jwk) (crypto.PublicKey, []string, error) {
	n, errN := base64.RawURLEncoding.Strict().DecodeString(j.N)
	e, errE := base64.RawURLEncoding.Strict().DecodeString(j.E)
	if errN != nil || errE != nil || len(n) > maxRSABits/8 || len(e) == 0 || len(e) > 4 {
		return nil, nil, errors.New("n and e of an RSA key are base64url, n of up to 512 bytes and e of up to 4")
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e).Int64()
	if modulus.BitLen() < minRSABits || modulus.Bit(0) == 0 {
		return nil, nil, errors.New("an RSA key has 2048 bits or more, and an odd modulus")
	}
	if exponent < 3 || exponent%2 == 0 || exponent > 1<<31-1 {
		return nil, nil, errors.New("its exponent is not an odd number from 3 to 2^31-1")
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent)}, []string{"PS256", "RS256"}, nil
}

func octets(s string, size int) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err == nil && len(b) != size {
		err = errors.New("wrong length")
	}
	return b, err
}
