package ledger

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"seawall/internal/mint"
)

// Limits of a key's dates when it is staged.
const (
	backdated  = 24 * time.Hour           // nbf may lie this far in the past: the step was delayed by an outage
	aheadOf    = 366 * 24 * time.Hour     // and this far in the future
	longestKey = 3 * 366 * 24 * time.Hour // from nbf to exp
)

// stepEntry turns a step that the signer asks for into its entry, after checking everything that does not depend on
// other entries, and states the key under the root unless it may not verify any more.
func stepEntry(step *mint.KeyRecord, root ed25519.PrivateKey, now time.Time) (*mint.Entry, string, *mint.Refusal) {
	k := &step.Key
	if law := kindOf(step.Kind); law == nil || law.Writer != ByKeys {
		return nil, "", mint.Refuse(mint.EntryNotAllowed, "this is not a step of a key")
	}
	print, err := thumbprint(k.Alg, k.JWK)
	if err != nil {
		return nil, "", mint.Refuse(mint.EntryInvalid, "%s: public key: %v", step.Kind, err)
	}
	if rawURL.EncodeToString(print[:]) != k.Thumbprint {
		return nil, "", mint.Refuse(mint.KeyMismatch, "the thumbprint is not that of the public key")
	}
	if kinds := k.Family.Kinds(); len(kinds) == 0 || !slices.Equal(kinds, k.Kinds) {
		return nil, "", mint.Refuse(mint.KeyMismatch, "the token kinds are not those of the key's family")
	}
	if step.Kind == mint.KeyStaged {
		if err := checkDates(k, now); err != nil {
			return nil, "", mint.Refuse(mint.EntryInvalid, "%s: %v", step.Kind, err)
		}
	}
	e := &mint.Entry{Kind: step.Kind, Tenant: k.Tenant, Issuer: k.Issuer, KID: k.KID, Actor: step.Actor, Detail: []mint.Field{
		{Name: "alg", Value: k.Alg},
		{Name: "epoch", Value: strconv.FormatUint(k.Epoch, 10)},
		{Name: "exp", Value: strconv.FormatInt(k.Expires, 10)},
		{Name: "family", Value: string(k.Family)},
		{Name: "kinds", Value: strings.Join(k.Kinds, " ")},
		{Name: "nbf", Value: strconv.FormatInt(k.NotBefore, 10)},
		{Name: "signing_ends", Value: strconv.FormatInt(k.SigningEnds, 10)},
		{Name: "thumbprint", Value: k.Thumbprint},
	}}
	if step.Reason != "" {
		e.Detail = append(e.Detail, mint.Field{Name: "reason", Value: step.Reason})
	}
	var stated string
	if verifies(step.Kind) {
		s, err := statementOf(e)
		if err != nil {
			return nil, "", mint.Refuse(mint.EntryInvalid, "%s: %v", step.Kind, err)
		}
		stated = s.Sign(root)
		e.Detail = append(e.Detail, mint.Field{Name: "statement", Value: stated})
	}
	e.SortDetail()
	return e, stated, checkForeign(e, ByKeys)
}

// verifies reports whether a key may still verify tokens after a step.
func verifies(step mint.EntryKind) bool {
	return step != mint.KeyRetired && step != mint.KeySuspended && step != mint.KeyRevoked
}

func checkDates(k *mint.Key, now time.Time) error {
	switch {
	case k.NotBefore >= k.SigningEnds || k.SigningEnds > k.Expires:
		return errors.New("nbf, signing_ends and exp are not in order")
	case k.SigningEnds <= now.Unix():
		return errors.New("the key would have ended already")
	case k.NotBefore < now.Add(-backdated).Unix():
		return errors.New("nbf is more than a day ago")
	case k.NotBefore > now.Add(aheadOf).Unix() || k.Expires-k.NotBefore > int64(longestKey/time.Second):
		return errors.New("the dates are too far away")
	}
	return nil
}

// keyOf reads the key that the entry of a step is about.
func keyOf(e *mint.Entry) (key, error) {
	n, err := numbers(e, "nbf", "signing_ends", "exp", "epoch")
	if err != nil {
		return key{}, err
	}
	return key{
		Tenant: e.Tenant, Issuer: e.Issuer, Family: detail(e, "family"), Alg: detail(e, "alg"), Kinds: detail(e, "kinds"),
		Thumbprint: detail(e, "thumbprint"), NotBefore: n[0], SigningEnds: n[1], Expires: n[2], Epoch: uint64(n[3]), State: e.Kind,
	}, nil
}

// statementOf returns what the root says about the key of a step.
func statementOf(e *mint.Entry) (*mint.Statement, error) {
	k, err := keyOf(e)
	if err != nil {
		return nil, err
	}
	s := &mint.Statement{Issuer: k.Issuer, KID: e.KID, Alg: k.Alg, Kinds: strings.Split(k.Kinds, " "),
		NotBefore: k.NotBefore, SigningEnds: k.SigningEnds, Expires: k.Expires}
	if n, err := rawURL.Decode(s.Thumbprint[:], []byte(k.Thumbprint)); len(k.Thumbprint) != 43 || err != nil || n != len(s.Thumbprint) {
		return nil, errors.New("the thumbprint is not one")
	}
	return s, nil
}

// certificateOf reads the certificate in the entry of a receipt key.
func certificateOf(e *mint.Entry) (mint.Certificate, error) {
	n, err := numbers(e, "nbf", "exp")
	if err != nil {
		return mint.Certificate{}, err
	}
	return mint.Certificate{ID: e.KID, X: detail(e, "x"), NotBefore: n[0], Expires: n[1], Certificate: detail(e, "certificate")}, nil
}

// certificateEntry is the entry of a receipt key.
func certificateEntry(c mint.Certificate) *mint.Entry {
	return &mint.Entry{Kind: mint.LedgerKeyAdded, KID: c.ID, Detail: []mint.Field{
		{Name: "certificate", Value: c.Certificate},
		{Name: "exp", Value: strconv.FormatInt(c.Expires, 10)},
		{Name: "nbf", Value: strconv.FormatInt(c.NotBefore, 10)},
		{Name: "x", Value: c.X},
	}}
}

// thumbprint computes the RFC 7638 thumbprint of a public key that is good for alg (RFC 7518 §3.1, RFC 8037 §3.1). A key
// with any other member, a private one above all, is refused.
func thumbprint(alg string, jwk map[string]string) (sum [32]byte, err error) {
	var members []string
	switch {
	case alg == "ES256" && jwk["kty"] == "EC" && jwk["crv"] == "P-256":
		members, err = []string{"crv", "kty", "x", "y"}, checkP256(jwk)
	case alg == "EdDSA" && jwk["kty"] == "OKP" && jwk["crv"] == "Ed25519":
		members = []string{"crv", "kty", "x"}
		_, err = octets(jwk, "x", ed25519.PublicKeySize)
	case (alg == "RS256" || alg == "PS256") && jwk["kty"] == "RSA":
		members, err = []string{"e", "kty", "n"}, checkRSA(jwk)
	default:
		return sum, errors.New("no algorithm of ours, or not a key for it")
	}
	if err != nil {
		return sum, err
	}
	if len(jwk) != len(members) {
		return sum, errors.New("a public key has no other members than those of its thumbprint")
	}
	b := []byte("{")
	for i, name := range members {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `"%s":"%s"`, name, jwk[name]) // all values are base64url or constants: nothing to escape
	}
	return sha256.Sum256(append(b, '}')), nil
}

func octets(jwk map[string]string, name string, size int) ([]byte, error) {
	b, err := decode(jwk[name])
	if err != nil || len(b) == 0 || (size > 0 && len(b) != size) {
		return nil, fmt.Errorf("the member %s is malformed", name)
	}
	return b, nil
}

func checkP256(jwk map[string]string) error {
	x, err := octets(jwk, "x", 32)
	if err != nil {
		return err
	}
	y, err := octets(jwk, "y", 32)
	if err != nil {
		return err
	}
	if _, err := ecdh.P256().NewPublicKey(slices.Concat([]byte{4}, x, y)); err != nil {
		return errors.New("the point is not on the curve")
	}
	return nil
}

func checkRSA(jwk map[string]string) error {
	if jwk["e"] != "AQAB" {
		return errors.New("the public exponent is not 65537")
	}
	n, err := octets(jwk, "n", 0)
	if err != nil {
		return err
	}
	modulus := new(big.Int).SetBytes(n)
	if bits := modulus.BitLen(); bits < 2048 || bits > 4096 || n[0] == 0 || modulus.Bit(0) == 0 {
		return errors.New("the modulus is even, padded, or not of 2048 to 4096 bits")
	}
	return nil
}
