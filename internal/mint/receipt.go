package mint

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

// Contexts of everything a ledger key signs. No two kinds of signature share
// one, so a signature can never be carried from one place to another.
const (
	contextDigest      = "seawall-receipt-v1\x00"
	contextReceipt     = "seawall-receipt-signature-v1\x00"
	contextRoot        = "seawall-ledger-root-v1\x00"
	contextKeyID       = "seawall-ledger-key-v1\x00"
	contextCertificate = "seawall-ledger-certificate-v1\x00"
	contextStatement   = "seawall-key-statement-v1\x00"
)

const (
	// ReceiptSize is the size of a receipt in bytes.
	ReceiptSize    = 89
	receiptSigned  = 25 // the part of it under the signature
	receiptVersion = 1
	receiptText    = 119 // characters of base64url
	// receiptSuffix is what a receipt occupies at the end of a decoded header:
	// `,"rcpt":"` + 119 characters + `"}`.
	receiptSuffix = len(`,"rcpt":"`) + receiptText + len(`"}`)

	// PinPrefix starts the fingerprint of a ledger root.
	PinPrefix = "swl1-"
)

// MaxClockDrift is how far a receipt's time, a token's iat and a vault's clock
// may lie apart, in milliseconds.
const MaxClockDrift = 60_000

var rawURL = base64.RawURLEncoding.Strict()

// decode64 reads base64url in its one spelling. The library alone would ignore
// line ends inside.
func decode64(s string) ([]byte, error) {
	b, err := rawURL.DecodeString(s)
	if err == nil && rawURL.EncodedLen(len(b)) != len(s) {
		return nil, fmt.Errorf("%w: line ends in base64url", ErrMalformed)
	}
	return b, err
}

// KeyID names a ledger key: the first 8 bytes of the hash of its public part.
type KeyID [8]byte

func (id KeyID) String() string { return rawURL.EncodeToString(id[:]) }

// LedgerKeyID returns the id of a ledger (receipt) key.
func LedgerKeyID(public ed25519.PublicKey) (id KeyID) {
	h := sha256.New()
	h.Write([]byte(contextKeyID))
	h.Write(public)
	copy(id[:], h.Sum(nil))
	return id
}

// Pin returns the fingerprint by which a validator knows a ledger root.
func Pin(root ed25519.PublicKey) string {
	h := sha256.New()
	h.Write([]byte(contextRoot))
	h.Write(root)
	return PinPrefix + rawURL.EncodeToString(h.Sum(nil))
}

// Digest is the identity of a token: the hash of its header without the receipt
// and of its payload, both decoded.
type Digest [32]byte

func (d Digest) String() string { return rawURL.EncodeToString(d[:]) }

// MarshalText writes d as base64url.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != rawURL.EncodedLen(len(d)) { // Decode does not bound what it writes
		return fmt.Errorf("%w: digest", ErrMalformed)
	}
	if _, err := rawURL.Decode(d[:], text); err != nil {
		return fmt.Errorf("%w: digest", ErrMalformed)
	}
	return nil
}

// TokenDigest returns the digest that a receipt covers.
func TokenDigest(bareHeader, payload []byte) (d Digest) {
	h := sha256.New()
	var n [8]byte
	h.Write([]byte(contextDigest))
	binary.BigEndian.PutUint64(n[:], uint64(len(bareHeader)))
	h.Write(n[:])
	h.Write(bareHeader)
	binary.BigEndian.PutUint64(n[:], uint64(len(payload)))
	h.Write(n[:])
	h.Write(payload)
	h.Sum(d[:0])
	return d
}

// Receipt is the ledger's word that a token was recorded before it was signed.
type Receipt [ReceiptSize]byte

// NewReceipt signs a receipt for the entry number sequence, recorded at the
// Unix millisecond ms.
func NewReceipt(key ed25519.PrivateKey, id KeyID, sequence, ms uint64, digest Digest) (r Receipt) {
	r = UnsignedReceipt(id, sequence, ms)
	copy(r[receiptSigned:], ed25519.Sign(key, r.AppendSigned(nil, digest)))
	return r
}

// UnsignedReceipt is a receipt whose signature is still to be made, over what
// [Receipt.AppendSigned] says.
func UnsignedReceipt(id KeyID, sequence, ms uint64) (r Receipt) {
	r[0] = receiptVersion
	copy(r[1:9], id[:])
	binary.BigEndian.PutUint64(r[9:17], sequence)
	binary.BigEndian.PutUint64(r[17:25], ms)
	return r
}

// AppendSigned appends what the signature covers to b.
func (r *Receipt) AppendSigned(b []byte, digest Digest) []byte {
	b = append(b, contextReceipt...)
	b = append(b, r[:receiptSigned]...)
	return append(b, digest[:]...)
}

// SetSignature completes an [UnsignedReceipt].
func (r *Receipt) SetSignature(signature [ed25519.SignatureSize]byte) {
	copy(r[receiptSigned:], signature[:])
}

// Key returns the id of the ledger key that signed r.
func (r *Receipt) Key() (id KeyID) { copy(id[:], r[1:9]); return id }

// Sequence returns the number of the entry in the log.
func (r *Receipt) Sequence() uint64 { return binary.BigEndian.Uint64(r[9:17]) }

// Millis returns when the entry was recorded, in Unix milliseconds.
func (r *Receipt) Millis() uint64 { return binary.BigEndian.Uint64(r[17:25]) }

// Verify reports whether public signed r for digest. It does not look at the
// key's window or at the time.
func (r *Receipt) Verify(public ed25519.PublicKey, digest Digest) bool {
	return r[0] == receiptVersion && r.Key() == LedgerKeyID(public) &&
		ed25519.Verify(public, r.AppendSigned(nil, digest), r[receiptSigned:])
}

// WithReceipt appends a bare header with r as its last member to dst.
func WithReceipt(dst, bareHeader []byte, r *Receipt) []byte {
	dst = append(dst, bareHeader[:len(bareHeader)-1]...)
	dst = append(dst, `,"rcpt":"`...)
	dst = rawURL.AppendEncode(dst, r[:])
	return append(dst, `"}`...)
}

// ErrReceiptForm reports a header whose receipt is missing, or not in its one
// form and place.
var ErrReceiptForm = errors.New("the header does not end in a receipt")

// SplitReceipt takes the receipt off a decoded header, bytewise.
func SplitReceipt(header []byte) (bare []byte, r Receipt, err error) {
	cut := len(header) - receiptSuffix
	if cut < 2 {
		return nil, r, ErrReceiptForm
	}
	tail := header[cut:]
	text := tail[len(`,"rcpt":"`) : len(tail)-len(`"}`)]
	if string(tail[:len(`,"rcpt":"`)]) != `,"rcpt":"` || string(tail[len(tail)-2:]) != `"}` {
		return nil, r, ErrReceiptForm
	}
	if n, err := rawURL.Decode(r[:], text); err != nil || n != ReceiptSize || r[0] != receiptVersion {
		return nil, r, ErrReceiptForm
	}
	return append(append(make([]byte, 0, cut+1), header[:cut]...), '}'), r, nil
}

// Certificate says that a ledger root vouches for a receipt key inside a window
// of Unix seconds (nbf <= t < exp). Its JSON form is that of docs/formats.md.
type Certificate struct {
	ID          string `json:"id"`
	X           string `json:"x"`
	NotBefore   int64  `json:"nbf"`
	Expires     int64  `json:"exp"`
	Certificate string `json:"certificate"`
}

func certificateInput(public ed25519.PublicKey, nbf, exp int64) []byte {
	id := LedgerKeyID(public)
	b := append([]byte(contextCertificate), id[:]...)
	b = append(b, public...)
	b = binary.BigEndian.AppendUint64(b, uint64(nbf))
	return binary.BigEndian.AppendUint64(b, uint64(exp))
}

// Certify signs a receipt key's window with the ledger root.
func Certify(root ed25519.PrivateKey, public ed25519.PublicKey, nbf, exp int64) Certificate {
	return Certificate{
		ID: LedgerKeyID(public).String(), X: rawURL.EncodeToString(public), NotBefore: nbf, Expires: exp,
		Certificate: rawURL.EncodeToString(ed25519.Sign(root, certificateInput(public, nbf, exp))),
	}
}

// Verify checks c under root and returns the receipt key it speaks of.
func (c *Certificate) Verify(root ed25519.PublicKey) (ed25519.PublicKey, error) {
	public, err := decode64(c.X)
	if err != nil || len(public) != ed25519.PublicKeySize || LedgerKeyID(public).String() != c.ID {
		return nil, fmt.Errorf("ledger certificate: %w: key", ErrMalformed)
	}
	sig, err := decode64(c.Certificate)
	if err != nil || c.NotBefore < 0 || c.Expires <= c.NotBefore ||
		!ed25519.Verify(root, certificateInput(public, c.NotBefore, c.Expires), sig) {
		return nil, errors.New("ledger certificate: not signed by this ledger root")
	}
	return public, nil
}

// Statement is what a ledger root says about an issuer key. Times are Unix
// seconds.
type Statement struct {
	Issuer, KID string
	Thumbprint  [32]byte // RFC 7638, SHA-256
	Alg         string
	Kinds       []string // typ values, in the order of the JWK
	NotBefore   int64
	SigningEnds int64
	Expires     int64
}

func (s *Statement) input() []byte {
	str := func(b []byte, v string) []byte {
		b = binary.BigEndian.AppendUint64(b, uint64(len(v)))
		return append(b, v...)
	}
	b := str(str([]byte(contextStatement), s.Issuer), s.KID)
	b = str(append(b, s.Thumbprint[:]...), s.Alg)
	b = binary.BigEndian.AppendUint64(b, uint64(len(s.Kinds)))
	for _, k := range s.Kinds {
		b = str(b, k)
	}
	for _, t := range []int64{s.NotBefore, s.SigningEnds, s.Expires} {
		b = binary.BigEndian.AppendUint64(b, uint64(t))
	}
	return b
}

// Sign returns the statement's signature as base64url.
func (s *Statement) Sign(root ed25519.PrivateKey) string {
	return rawURL.EncodeToString(ed25519.Sign(root, s.input()))
}

// Verify reports whether root made the statement.
func (s *Statement) Verify(root ed25519.PublicKey, signature string) bool {
	sig, err := decode64(signature)
	return err == nil && ed25519.Verify(root, s.input(), sig)
}
