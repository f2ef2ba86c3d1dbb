package validate

import (
	"context"
	"time"
)

// Inspection is what is known of a token that is good by itself, whoever has it. It is no *Token, because
// nobody has presented it: it lets no request in.
type Inspection struct{ token *Token }

// Inspect decides about a token by itself, leaving aside what it is bound to. It is for issuers whose
// introspection and revocation endpoints are asked about tokens by others than those whose they are
// (RFC 7662, RFC 7009, RFC 9449 §6.2). Whoever is told of a bound token must be told of the binding.
func (v *Validator) Inspect(ctx context.Context, raw string) (*Inspection, error) {
	w := works.Get().(*work)
	e := Event{Kind: TokenAccepted}
	t, code := v.judge(ctx, w, raw, v.now(), &e)
	t, err := v.conclude(w, t, code, &e)
	if err != nil {
		return nil, err
	}
	return &Inspection{t}, nil
}

// Key reports whether the token is bound to a key, and gives its thumbprint (RFC 9449 §6.1).
func (i *Inspection) Key() (jkt Thumbprint, bound bool) {
	return i.token.jkt, i.token.has&hasJKT != 0
}

// Client is as Token has it.
func (i *Inspection) Client() string { return i.token.Client() }

// Subject is as Token has it.
func (i *Inspection) Subject() string { return i.token.Subject() }

// SessionID is as Token has it.
func (i *Inspection) SessionID() string { return i.token.SessionID() }

// ID is as Token has it.
func (i *Inspection) ID() string { return i.token.ID() }

// KeyID is as Token has it.
func (i *Inspection) KeyID() string { return i.token.KeyID() }

// IssuedAt is as Token has it.
func (i *Inspection) IssuedAt() time.Time { return i.token.IssuedAt() }

// Expires is as Token has it.
func (i *Inspection) Expires() time.Time { return i.token.Expires() }
