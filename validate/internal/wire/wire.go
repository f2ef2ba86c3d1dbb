// Package wire lays out, byte by byte, what the ledger signs and what a token's receipt looks like:
// the formats of docs/formats.md. It only arranges bytes; it decides nothing and keeps nothing.
// validate checks with it and validatetest signs with it, and both are held to the language-neutral
// vectors in testdata/vectors/formats.json, which the vaults check their own code against.
package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// The contexts that begin every signed or hashed input. No two kinds share one.
const (
	contextRoot        = "seawall-ledger-root-v1\x00"
	contextLedgerKey   = "seawall-ledger-key-v1\x00"
	contextCertificate = "seawall-ledger-certificate-v1\x00"
	contextStatement   = "seawall-key-statement-v1\x00"
	contextToken       = "seawall-receipt-v1\x00"
	contextReceipt     = "seawall-receipt-signature-v1\x00"
)

// A receipt stands in the token's header as the last member: ReceiptOpen, ReceiptChars characters
// of base64url, ReceiptClose. Together they are the last ReceiptTail bytes of the decoded header.
const (
	ReceiptOpen  = `,"rcpt":"`
	ReceiptClose = `"}`
	ReceiptBytes = 89
	ReceiptChars = 119
	ReceiptTail  = len(ReceiptOpen) + ReceiptChars + len(ReceiptClose)

	// ReceiptHead is how many of the receipt's bytes its signature covers.
	ReceiptHead    = 25
	receiptVersion = 1
)

// PinPrefix begins every pin.
const PinPrefix = "swl1-"

// Pin gives the fingerprint by which a validator pins a ledger: 48 characters.
func Pin(root ed25519.PublicKey) string {
	sum := sha256.Sum256(append([]byte(contextRoot), root...))
	return PinPrefix + base64.RawURLEncoding.EncodeToString(sum[:])
}

// LedgerKeyID gives the identifier of a receipt key.
func LedgerKeyID(public ed25519.PublicKey) (id [8]byte) {
	sum := sha256.Sum256(append([]byte(contextLedgerKey), public...))
	copy(id[:], sum[:])
	return id
}

// CertificateInput gives what the root signs to certify a receipt key for nbf <= t < exp (Unix seconds).
func CertificateInput(public ed25519.PublicKey, nbf, exp uint64) []byte {
	id := LedgerKeyID(public)
	b := append([]byte(contextCertificate), id[:]...)
	b = append(b, public...)
	b = binary.BigEndian.AppendUint64(b, nbf)
	return binary.BigEndian.AppendUint64(b, exp)
}

// Statement is what the root says about an issuer's key. Times are Unix seconds.
type Statement struct {
	Issuer      string
	KeyID       string
	Thumbprint  [sha256.Size]byte // RFC 7638
	Algorithm   string
	Kinds       []string // token kinds as typ values, in the order of the JWK
	NotBefore   uint64
	SigningEnds uint64
	Expires     uint64
}

// Input gives what the root signs.
func (s Statement) Input() []byte {
	b := appendStr([]byte(contextStatement), s.Issuer)
	b = appendStr(b, s.KeyID)
	b = append(b, s.Thumbprint[:]...)
	b = appendStr(b, s.Algorithm)
	b = binary.BigEndian.AppendUint64(b, uint64(len(s.Kinds)))
	for _, kind := range s.Kinds {
		b = appendStr(b, kind)
	}
	b = binary.BigEndian.AppendUint64(b, s.NotBefore)
	b = binary.BigEndian.AppendUint64(b, s.SigningEnds)
	return binary.BigEndian.AppendUint64(b, s.Expires)
}

func appendStr(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

// AppendDigestInput appends what a token digest is the SHA-256 of. Header and payload are decoded bytes,
// the header without its receipt.
func AppendDigestInput(b, bareHeader, payload []byte) []byte {
	b = append(b, contextToken...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(bareHeader)))
	b = append(b, bareHeader...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(payload)))
	return append(b, payload...)
}

// Digest gives the token digest, the identity of a token.
func Digest(bareHeader, payload []byte) [sha256.Size]byte {
	return sha256.Sum256(AppendDigestInput(nil, bareHeader, payload))
}

// Receipt is the ledger's word that it has durably recorded a token.
type Receipt struct {
	KeyID     [8]byte
	Sequence  uint64 // number of the entry in the log, from 0
	Time      uint64 // Unix milliseconds
	Signature [ed25519.SignatureSize]byte
}

// Head gives the bytes that stand before the signature.
func (r *Receipt) Head() (b [ReceiptHead]byte) {
	b[0] = receiptVersion
	copy(b[1:9], r.KeyID[:])
	binary.BigEndian.PutUint64(b[9:17], r.Sequence)
	binary.BigEndian.PutUint64(b[17:25], r.Time)
	return b
}

// Bytes gives the receipt as it is encoded into the header.
func (r *Receipt) Bytes() (b [ReceiptBytes]byte) {
	head := r.Head()
	copy(b[:], head[:])
	copy(b[ReceiptHead:], r.Signature[:])
	return b
}

// Parse reads a receipt and reports whether its length and version are right.
func (r *Receipt) Parse(b []byte) bool {
	if len(b) != ReceiptBytes || b[0] != receiptVersion {
		return false
	}
	copy(r.KeyID[:], b[1:9])
	r.Sequence = binary.BigEndian.Uint64(b[9:17])
	r.Time = binary.BigEndian.Uint64(b[17:25])
	copy(r.Signature[:], b[ReceiptHead:])
	return true
}

// AppendInput appends what the ledger signs to give a receipt for a token.
func (r *Receipt) AppendInput(b []byte, digest *[sha256.Size]byte) []byte {
	head := r.Head()
	b = append(b, contextReceipt...)
	b = append(b, head[:]...)
	return append(b, digest[:]...)
}
