package mint

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

const (
	contextShare = "seawall-answer-share-v1\x00"
	contextSeal  = "seawall-answer-v1\x00"
)

// Seal is a secret that a signer and its ledger share for as long as one
// connection lasts. The ledger seals its answers with it, so the signer knows
// whose word it has at a fiftieth of what a signature would cost both. It says
// nothing to anybody else: what others must believe, receipts and batches, is
// signed.
//
// Both agree on it in hello: each makes an X25519 share (RFC 7748) for this
// connection, and the ledger signs the two under its root.
type Seal struct{ key []byte }

const sealSize = sha256.Size

func (s *Seal) sum(input []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(input)
	return h.Sum(nil)
}

func (s *Seal) fits(input, sum []byte) bool { return hmac.Equal(s.sum(input), sum) }

// Share is one side's part of a [Seal] that is still to be agreed on.
type Share struct{ private *ecdh.PrivateKey }

// NewShare makes a share for one connection.
func NewShare() *Share {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // the system's randomness does not fail (crypto/rand)
	}
	return &Share{private}
}

// Public is what the other side is told, as base64url.
func (s *Share) Public() string { return rawURL.EncodeToString(s.private.PublicKey().Bytes()) }

// AnswerShare agrees with the signer that sent share, and returns what it must be
// told: the ledger's share and the root's signature over both.
func AnswerShare(root ed25519.PrivateKey, share string) (seal *Seal, public, signature string, err error) {
	mine := NewShare()
	theirs, err := readShare(share)
	if err != nil {
		return nil, "", "", err
	}
	if seal, err = mine.agree(theirs, theirs, mine.private.PublicKey()); err != nil {
		return nil, "", "", err
	}
	sum := ed25519.Sign(root, shareInput(theirs, mine.private.PublicKey()))
	return seal, mine.Public(), rawURL.EncodeToString(sum), nil
}

// Agree takes the ledger's answer to the share: public must be signed under root
// together with this very share, which no other connection ever had.
func (s *Share) Agree(root ed25519.PublicKey, public, signature string) (*Seal, error) {
	theirs, err := readShare(public)
	if err != nil {
		return nil, err
	}
	if !signedBy(root, shareInput(s.private.PublicKey(), theirs), signature) {
		return nil, errors.New("the ledger's share is not signed by its pinned root for this connection")
	}
	return s.agree(theirs, s.private.PublicKey(), theirs)
}

func (s *Share) agree(theirs, signer, ledger *ecdh.PublicKey) (*Seal, error) {
	secret, err := s.private.ECDH(theirs)
	if err != nil {
		return nil, fmt.Errorf("%w: share", ErrMalformed) // a point of low order
	}
	key, err := hkdf.Key(sha256.New, secret, nil, contextSeal+string(signer.Bytes())+string(ledger.Bytes()), sealSize)
	if err != nil {
		return nil, err
	}
	return &Seal{key}, nil
}

func readShare(text string) (*ecdh.PublicKey, error) {
	b, err := decode64(text)
	if err != nil {
		return nil, fmt.Errorf("%w: share", ErrMalformed)
	}
	public, err := ecdh.X25519().NewPublicKey(b)
	if err != nil {
		return nil, fmt.Errorf("%w: share", ErrMalformed)
	}
	return public, nil
}

func shareInput(signer, ledger *ecdh.PublicKey) []byte {
	return append(append([]byte(contextShare), signer.Bytes()...), ledger.Bytes()...)
}
