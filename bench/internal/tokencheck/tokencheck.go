// Package tokencheck does by hand what no validator can leave out: the two signature checks of a seawall token,
// with everything that can be prepared prepared. They are the floor under validate.Token. It also holds the
// question and the answer of cmd/tokencheck, the process that measures one against the other.
//
// It checks nothing else. Never take it for a validator.
package tokencheck

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Question is what to measure.
type Question struct {
	Issuer   string
	Pin      string
	Audience string
	JWKS     []byte
	Tokens   []string // all different, each checked once in a round: nothing is remembered between two checks
	Rounds   int
}

// Answer is the CPU time of one check, the median of all rounds.
type Answer struct {
	Token time.Duration // validate.Token
	Raw   time.Duration // the two signatures alone
	Over  time.Duration // the median of each block's difference
	Ratio float64       // the median of each block's ratio
}

// Signatures are the two signature checks of one token.
type Signatures struct {
	key     *ecdsa.PublicKey
	signed  []byte // header.payload
	der     []byte
	ledger  ed25519.PublicKey
	receipt []byte // what the receipt signs; the token digest, its end, is filled in when it is checked
	subject []byte // what the token digest is over
	ed25519 []byte
}

// Verify does both checks, hashing included.
func (s *Signatures) Verify() bool {
	input := sha256.Sum256(s.signed)
	digest := sha256.Sum256(s.subject)
	copy(s.receipt[len(s.receipt)-len(digest):], digest[:])
	return ecdsa.VerifyASN1(s.key, input[:], s.der) && ed25519.Verify(s.ledger, s.receipt, s.ed25519)
}

var b64 = base64.RawURLEncoding

// Keys are an issuer's public keys, as its JWK Set tells them.
type Keys struct {
	issuer map[string]*ecdsa.PublicKey
	ledger map[string]ed25519.PublicKey // by the eight bytes of the id
}

// ParseKeys reads the ES256 keys and the receipt keys of a JWK Set.
func ParseKeys(jwks []byte) (Keys, error) {
	var set struct {
		Keys []struct{ Kid, Alg, X, Y string }
		// Only the two members that a signature check needs.
		Ledger struct {
			Keys []struct{ ID, X string } `json:"receipt_keys"`
		} `json:"seawall_ledger"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return Keys{}, fmt.Errorf("reading the JWK Set: %w", err)
	}
	keys := Keys{map[string]*ecdsa.PublicKey{}, map[string]ed25519.PublicKey{}}
	for _, k := range set.Keys {
		if k.Alg != "ES256" {
			continue
		}
		x, errX := b64.DecodeString(k.X)
		y, errY := b64.DecodeString(k.Y)
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err := errors.Join(errX, errY, err); err != nil {
			return Keys{}, fmt.Errorf("reading issuer key %s: %w", k.Kid, err)
		}
		keys.issuer[k.Kid] = key
	}
	for _, k := range set.Ledger.Keys {
		id, errID := b64.DecodeString(k.ID)
		x, errX := b64.DecodeString(k.X)
		if err := errors.Join(errID, errX); err != nil {
			return Keys{}, fmt.Errorf("reading receipt key %s: %w", k.ID, err)
		}
		if len(x) != ed25519.PublicKeySize {
			return Keys{}, fmt.Errorf("receipt key %s has %d bytes", k.ID, len(x))
		}
		keys.ledger[string(id)] = x
	}
	return keys, nil
}

const (
	receiptContext   = "seawall-receipt-v1\x00"
	signatureContext = "seawall-receipt-signature-v1\x00"
	receiptMember    = `,"rcpt":"` // then 119 characters and `"}`
	receiptLength    = 119
)

// Prepare takes a token apart (docs/formats.md) so that only its signatures remain to be checked.
func Prepare(token string, keys Keys) (*Signatures, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("a token of %d parts", len(parts))
	}
	header, errHeader := b64.DecodeString(parts[0])
	payload, errPayload := b64.DecodeString(parts[1])
	signature, errSignature := b64.DecodeString(parts[2])
	if err := errors.Join(errHeader, errPayload, errSignature); err != nil {
		return nil, fmt.Errorf("a token that is not base64url: %w", err)
	}
	if len(signature) != 64 {
		return nil, fmt.Errorf("a signature of %d bytes, which is not ES256", len(signature))
	}
	at := bytes.LastIndex(header, []byte(receiptMember))
	if at < 0 || len(header) != at+len(receiptMember)+receiptLength+len(`"}`) {
		return nil, errors.New("a token without a receipt at the end of its header")
	}
	receipt, err := b64.DecodeString(string(header[at+len(receiptMember) : len(header)-len(`"}`)]))
	if err != nil {
		return nil, fmt.Errorf("a receipt that is not base64url: %w", err)
	}
	var named struct{ Kid string }
	if err := json.Unmarshal(header, &named); err != nil {
		return nil, errors.New("a header that is not JSON")
	}
	s := &Signatures{
		key:     keys.issuer[named.Kid],
		signed:  []byte(parts[0] + "." + parts[1]),
		ledger:  keys.ledger[string(receipt[1:9])],
		receipt: append(append([]byte(signatureContext), receipt[:25]...), make([]byte, sha256.Size)...),
		ed25519: receipt[25:],
	}
	if s.key == nil || s.ledger == nil {
		return nil, errors.New("a token by a key that the JWK Set lacks")
	}
	bare := append(header[:at:at], '}')
	s.subject = appendString(appendString([]byte(receiptContext), bare), payload)
	s.der, err = asn1.Marshal([]*big.Int{new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])})
	return s, err
}

func appendString(to, text []byte) []byte {
	return append(binary.BigEndian.AppendUint64(to, uint64(len(text))), text...)
}
