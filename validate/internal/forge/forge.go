// Package forge makes keys, key documents, receipts and tokens, the good ones and the forged ones,
// for validatetest and for the tests of validate. It is the signing side of package wire and holds
// itself to no policy: an attacker does not either.
package forge

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"

	"seawall/validate/internal/wire"
)

// Key is a signing key together with what its JWK says about it. Times are Unix seconds.
type Key struct {
	Alg         string
	ID          string
	Signer      crypto.Signer
	Issuer      string // "" leaves the member out
	Kinds       []string
	NotBefore   int64
	SigningEnds int64
	Expires     int64 // 0 leaves the window out
}

// NewKey makes a random key for ES256, RS256, PS256 or EdDSA.
func NewKey(alg, id string) *Key {
	k := &Key{Alg: alg, ID: id}
	var err error
	switch alg {
	case "ES256":
		k.Signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256", "PS256":
		k.Signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case "EdDSA":
		_, k.Signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("no algorithm %q", alg)
	}
	if err != nil {
		panic("forge: making a key: " + err.Error()) // a mistake in a test, or no randomness
	}
	return k
}

// Text encodes bytes as canonical unpadded base64url.
func Text(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Public gives the members of the JWK that are the public key itself (RFC 7518 §6, RFC 8037 §2).
func (k *Key) Public() map[string]any {
	switch public := k.Signer.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic("forge: encoding a point: " + err.Error())
		}
		return map[string]any{"kty": "EC", "crv": "P-256", "x": Text(point[1:33]), "y": Text(point[33:])}
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "n": Text(public.N.Bytes()), "e": Text(big.NewInt(int64(public.E)).Bytes())}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "crv": "Ed25519", "x": Text(public)}
	}
	panic("forge: unknown kind of key")
}

// Thumbprint is the RFC 7638 thumbprint: the SHA-256 of the required members in order of their names.
func (k *Key) Thumbprint() [sha256.Size]byte {
	return sha256.Sum256(JSON(k.Public()))
}

// JWK gives the whole JWK without a ledger statement.
func (k *Key) JWK() map[string]any {
	jwk := k.Public()
	jwk["kid"], jwk["use"], jwk["alg"] = k.ID, "sig", k.Alg
	if k.Issuer != "" {
		jwk["issuer"] = k.Issuer
	}
	if k.Expires != 0 {
		jwk["nbf"], jwk["exp"] = k.NotBefore, k.Expires
	}
	return jwk
}

// Sign gives the token of these exact header and payload bytes.
func (k *Key) Sign(header, payload []byte) string {
	return k.SignText(Text(header) + "." + Text(payload))
}

// SignText gives the token whose signing input is this text, however it is spelled.
func (k *Key) SignText(input string) string {
	return input + "." + Text(k.Signature([]byte(input)))
}

// Signature signs a JWS signing input in the form of RFC 7518 §3.
func (k *Key) Signature(input []byte) []byte {
	sum := sha256.Sum256(input)
	var sig []byte
	var err error
	switch k.Alg {
	case "ES256":
		private := k.Signer.(*ecdsa.PrivateKey)
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, private, sum[:]); err == nil {
			sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	case "RS256":
		sig, err = k.Signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	case "PS256":
		sig, err = k.Signer.Sign(rand.Reader, sum[:], &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256})
	case "EdDSA":
		sig, err = k.Signer.Sign(nil, input, crypto.Hash(0))
	}
	if err != nil {
		panic("forge: signing: " + err.Error())
	}
	return sig
}

// OtherForm gives the second valid form of an ES256 token: s becomes n - s.
func OtherForm(token string) string {
	input, sig := SplitSignature(token)
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(elliptic.P256().Params().N, s)
	return input + "." + Text(append(sig[:32:32], s.FillBytes(make([]byte, 32))...))
}

// SplitSignature takes the signature off a token.
func SplitSignature(token string) (input string, sig []byte) {
	dot := len(token) - 1
	for token[dot] != '.' {
		dot--
	}
	sig, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		panic("forge: not a token")
	}
	return token[:dot], sig
}

// JSON encodes v, members in order of their names.
func JSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("forge: encoding JSON: " + err.Error())
	}
	return b
}

// Header gives a seawall header without receipt.
func Header(alg, typ, kid string) []byte {
	return []byte(`{"alg":` + quote(alg) + `,"typ":` + quote(typ) + `,"kid":` + quote(kid) + `}`)
}

func quote(s string) string { return string(JSON(s)) }

// Ledger is a ledger: a root and one receipt key with its window, Unix seconds.
type Ledger struct {
	Root      ed25519.PrivateKey
	Receipts  ed25519.PrivateKey
	NotBefore int64
	Expires   int64
}

// NewLedger makes a ledger of random keys.
func NewLedger(nbf, exp int64) *Ledger {
	l := &Ledger{NotBefore: nbf, Expires: exp}
	for _, k := range []*ed25519.PrivateKey{&l.Root, &l.Receipts} {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic("forge: making a ledger: " + err.Error())
		}
		*k = private
	}
	return l
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// Pin is what a validator pins.
func (l *Ledger) Pin() string { return wire.Pin(public(l.Root)) }

// ReceiptKey gives the receipt key's entry in a key document, with its certificate.
func (l *Ledger) ReceiptKey() map[string]any {
	key := public(l.Receipts)
	id := wire.LedgerKeyID(key)
	input := wire.CertificateInput(key, uint64(l.NotBefore), uint64(l.Expires))
	return map[string]any{
		"id": Text(id[:]), "x": Text(key), "nbf": l.NotBefore, "exp": l.Expires,
		"certificate": Text(ed25519.Sign(l.Root, input)),
	}
}

// Document gives the member seawall_ledger of a key document.
func (l *Ledger) Document() map[string]any {
	return map[string]any{"root": Text(public(l.Root)), "receipt_keys": []any{l.ReceiptKey()}}
}

// Statement gives what the ledger says about a key.
func (k *Key) Statement() wire.Statement {
	return wire.Statement{
		Issuer: k.Issuer, KeyID: k.ID, Thumbprint: k.Thumbprint(), Algorithm: k.Alg, Kinds: k.Kinds,
		NotBefore: uint64(k.NotBefore), SigningEnds: uint64(k.SigningEnds), Expires: uint64(k.Expires),
	}
}

// JWK gives a key's JWK with the ledger's statement.
func (l *Ledger) JWK(k *Key) map[string]any {
	jwk := k.JWK()
	jwk["token_kinds"], jwk["signing_ends"] = k.Kinds, k.SigningEnds
	jwk["ledger_statement"] = Text(ed25519.Sign(l.Root, k.Statement().Input()))
	return jwk
}

// AccessTokenHash is what a DPoP proof says of its token, ath (RFC 9449 §4.2).
func AccessTokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return Text(sum[:])
}

// ProofHeader gives the header of a DPoP proof by this key.
func (k *Key) ProofHeader() map[string]any {
	return map[string]any{"typ": "dpop+jwt", "alg": k.Alg, "jwk": k.Public()}
}

// Set gives a key document; ledger may be nil.
func Set(ledger map[string]any, jwks ...map[string]any) []byte {
	doc := map[string]any{"keys": jwks}
	if jwks == nil {
		doc["keys"] = []any{}
	}
	if ledger != nil {
		doc["seawall_ledger"] = ledger
	}
	return JSON(doc)
}

// Receipt gives the encoded receipt for these bytes at ms milliseconds since 1970.
func (l *Ledger) Receipt(bareHeader, payload []byte, sequence uint64, ms int64) string {
	digest := wire.Digest(bareHeader, payload)
	r := wire.Receipt{KeyID: wire.LedgerKeyID(public(l.Receipts)), Sequence: sequence, Time: uint64(ms)}
	copy(r.Signature[:], ed25519.Sign(l.Receipts, r.AppendInput(nil, &digest)))
	b := r.Bytes()
	return Text(b[:])
}

// WithReceipt puts a receipt into a header as its last member.
func WithReceipt(bareHeader []byte, receipt string) []byte {
	h := append([]byte(nil), bareHeader[:len(bareHeader)-1]...)
	return append(h, wire.ReceiptOpen+receipt+wire.ReceiptClose...)
}

// Token gives a receipted token of these header and payload bytes.
func (l *Ledger) Token(k *Key, bareHeader, payload []byte, sequence uint64, ms int64) string {
	return k.Sign(WithReceipt(bareHeader, l.Receipt(bareHeader, payload, sequence, ms)), payload)
}
