package validate

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// Proofs checks proofs of possession that come without a token, as a token endpoint gets them from who
// wants a token bound to a key (RFC 9449 §5). It is safe for use by many goroutines.
//
// A Validator holds proofs to the tokens that they come with by itself.
type Proofs struct {
	dpop proving
	now  func() time.Time
}

// NewProofs gives a checker. Required and Origin of the configuration mean nothing here. now is the
// clock, nil time.Now; clocks may be 30 seconds ahead of it.
func NewProofs(c DPoP, now func() time.Time) (*Proofs, error) {
	if now == nil {
		now = time.Now
	}
	d, err := newProving(&c, defaultLeeway)
	return &Proofs{dpop: d, now: now}, err
}

// Nonce gives the nonce that a client should use from now on, for the DPoP-Nonce header (RFC 9449 §8);
// "" if none is demanded.
func (p *Proofs) Nonce() string {
	if p.dpop.nonces == nil {
		return ""
	}
	return p.dpop.nonces.Nonce(p.now())
}

// Proof is a proof that was found good. It counts for nothing until it is used.
type Proof struct {
	from *Proofs
	key  Thumbprint
	jti  string
}

// Check decides whether the request's one proof is fresh, for this method and URL, and made by the
// public key that it names (RFC 9449 §4.3). Of the presentation, Method, URL and Proofs count. On any
// doubt it gives nil and an error that wraps *Error with the one reason.
func (p *Proofs) Check(r Presentation) (*Proof, error) {
	w := works.Get().(*work)
	defer w.release()
	now := p.now()
	var pr proof
	if code := p.dpop.open(w, &pr, &r, nil, defaultMaxBytes, now); code != "" {
		return nil, refuse(code)
	}
	k := newProvenKey(pr.jwk)
	switch {
	case !k.key.proves(w.header.alg, now, ""):
		return nil, refuse(CodeDPoPKey)
	case !k.key.signed(w):
		return nil, refuse(CodeDPoPSignature)
	}
	return &Proof{p, k.thumbprint, string(pr.jti)}, nil
}

// Thumbprint is that of the key (RFC 7638).
func (p *Proof) Thumbprint() Thumbprint { return p.key }

// Use makes the proof count. The second time, and for another proof of the same name by this key, it
// gives an error that wraps *Error. Call it when all else is well: what is remembered of proofs takes
// room, and who only tries should take none.
func (p *Proof) Use(ctx context.Context) error {
	if code := p.from.dpop.use(ctx, p.key, p.jti, p.from.now()); code != "" {
		return refuse(code)
	}
	return nil
}

// String is the one base64url spelling of a thumbprint, as in jkt and x5t#S256.
func (t Thumbprint) String() string {
	var spelled [(sha256.Size*8 + 5) / 6]byte
	base64.RawURLEncoding.Encode(spelled[:], t[:])
	return string(spelled[:])
}
