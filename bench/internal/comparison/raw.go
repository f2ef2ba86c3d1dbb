//go:build linux

package comparison

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

var errSignature = errors.New("a genuine signature did not verify")

// rawChecks gives the least that any check of these tokens must do: hash and verify, with everything prepared that can
// be. It is a floor and no validator.
func rawChecks(jwks []byte, tokens []string) (func(i int) error, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, err
	}
	active := set.Key("active")
	if len(active) != 1 {
		return nil, errors.New("the issuer has no one active key")
	}
	signed, signatures := make([][]byte, len(tokens)), make([][]byte, len(tokens))
	for i, t := range tokens {
		dot := strings.LastIndexByte(t, '.')
		signed[i] = []byte(t[:dot])
		var err error
		if signatures[i], err = base64.RawURLEncoding.DecodeString(t[dot+1:]); err != nil {
			return nil, err
		}
	}
	switch key := active[0].Key.(type) {
	case *ecdsa.PublicKey:
		for i, sig := range signatures {
			der, err := asn1.Marshal([]*big.Int{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])})
			if err != nil {
				return nil, err
			}
			signatures[i] = der
		}
		return func(i int) error {
			sum := sha256.Sum256(signed[i])
			return when(ecdsa.VerifyASN1(key, sum[:], signatures[i]))
		}, nil
	case *rsa.PublicKey:
		return func(i int) error {
			sum := sha256.Sum256(signed[i])
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signatures[i])
		}, nil
	case ed25519.PublicKey:
		return func(i int) error { return when(ed25519.Verify(key, signed[i], signatures[i])) }, nil
	}
	return nil, fmt.Errorf("a key of another kind: %T", active[0].Key)
}

func when(good bool) error {
	if good {
		return nil
	}
	return errSignature
}
