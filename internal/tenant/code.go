package tenant

import (
	"errors"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
)

// How long authorization codes live, and are remembered.
const (
	CodeLife   = time.Minute      // RFC 6749 §4.1.2 allows ten; a browser needs a second
	CodeMemory = 10 * time.Minute // so long at least a second use is known for what it is
)

// ErrCodeReused: the code was redeemed already, so two have it. What it gave is in the [Code] beside the error.
var ErrCodeReused = errors.New("code reused")

// Code is an authorization code (RFC 6749 §4.1.2): what a person agreed to, on its way through their browser. The browser
// carries the secret; we have its hash.
type Code struct {
	Hash        secret.Hash
	Tenant      string
	Client      string // who may redeem it
	Person      string
	Session     string // the browser session that it came from (sid)
	Passkey     []byte // that opened it: the store knows
	RedirectURI string // as it was asked with, byte by byte
	Challenge   string // PKCE, S256 (RFC 7636 §4.2)
	Nonce       string // OpenID Connect Core §3.1.2.1; may be empty
	JKT         string // thumbprint of the key that must redeem it (RFC 9449 §10); empty: none was named
	Scope       oauth.Scope
	Resources   []string // audiences of APIs that were agreed to
	SignedInAt  time.Time
	ACR         string
	AMR         []string
	IssuedAt    time.Time
	ExpiresAt   time.Time

	RedeemedAt time.Time // zero: not yet
	Gave       Released  // the access token that it gave
	Family     string    // the refresh family that it gave; empty: none
	RevokedAt  time.Time // when the access token was taken back that it gave without a family; zero: it was not
}

// Released names an access token that somebody has.
type Released struct {
	JTI       string    `json:"jti"`
	ExpiresAt time.Time `json:"exp"`
}

// Redemption is what a client gets for a code.
type Redemption struct {
	Token  Released
	Family *Family // nil: no refresh token
	Seen   Code    // the code as it was read a moment ago; saves the store a look
}

// Live reports whether the code may be redeemed at now.
func (c Code) Live(now time.Time) bool { return c.RedeemedAt.IsZero() && now.Before(c.ExpiresAt) }

// Stands says whether a new code still says what holds: its client may have it sent there, and its person allows what it gives,
// or the organisation does. If not, it is [ErrNotFound].
func (c Code) Stands(client Client, given Consent) error {
	switch {
	case !client.MayUse(oauth.AuthorizationCode) || !client.RedirectsTo(c.RedirectURI):
		return Refuse(ErrNotFound, "see `seawall client show`", "the client %s has no such redirect URI any more", client.ID)
	case !client.Trusted && !given.Covers(c.Scope, c.Resources):
		return Refuse(ErrNotFound, "ask again", "the person does not allow all of this to %s any more", client.ID)
	}
	return nil
}

// Alive reports whether the access token that the code gave without a family may be alive at now.
func (c Code) Alive(now time.Time) bool {
	return !c.RedeemedAt.IsZero() && c.Family == "" && c.RevokedAt.IsZero() && now.Before(c.Gave.ExpiresAt)
}

// NewCode checks a code. Without a time of expiry it lives for [CodeLife], and never longer.
func NewCode(c Code) (Code, error) {
	const what = "authorization code"
	if c.ExpiresAt.IsZero() {
		c.ExpiresAt = c.IssuedAt.Add(CodeLife)
	}
	switch {
	case c.Hash == (secret.Hash{}) || c.Tenant == "" || c.Client == "" || c.Person == "" || c.Session == "":
		return Code{}, invalid(what, "it does not say whose it is", "")
	case c.RedirectURI == "" || len(c.Challenge) != 43:
		return Code{}, invalid(what, "it is bound to no redirect URI, or has no S256 challenge", "")
	case c.SignedInAt.IsZero() || c.IssuedAt.IsZero() || c.ExpiresAt.After(c.IssuedAt.Add(CodeLife)):
		return Code{}, invalid(what, "its times are missing, or too far apart", "")
	}
	c.SignedInAt, c.IssuedAt, c.ExpiresAt = wholeMillis(c.SignedInAt), wholeMillis(c.IssuedAt), wholeMillis(c.ExpiresAt)
	return c, nil
}
