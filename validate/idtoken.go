package validate

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"
)

// IDTokens judges ID tokens for a relying party (OIDC Core §3.1.3.7). It is safe for use by many
// goroutines.
type IDTokens struct {
	v      *Validator
	client string
	others []string
}

// NewIDTokens makes a judge of ID tokens for the client of this id. Config is read as by New, but for
// this: Types are JWT, or no typ at all, unless told otherwise; Audiences, which may be nil, are
// others that a token may name beside the client; DPoP, RequireMTLS and Remember must be left out.
// The types of an Issuer are those of its access tokens and don't count; its claim rules do.
func NewIDTokens(clientID string, c Config) (*IDTokens, error) {
	if clientID == "" {
		return nil, errors.New("validate: an ID token is meant for a client: give its id")
	}
	i := &IDTokens{client: clientID, others: slices.Clone(c.Audiences)}
	c.Audiences = []string{clientID}
	var err error
	if i.v, err = newJudge(idTokens, c); err != nil {
		return nil, err
	}
	return i, nil
}

// Close ends the background refreshes, as Validator.Close does.
func (i *IDTokens) Close() { i.v.Close() }

// Ready waits for the issuers' keys, as Validator.Ready does.
func (i *IDTokens) Ready(ctx context.Context) error { return i.v.Ready(ctx) }

// Stats gives the counts so far, as Validator.Stats does.
func (i *IDTokens) Stats() Stats { return i.v.Stats() }

// Login is what the relying party knows of the login that an ID token answers.
type Login struct {
	// Nonce is what was sent in the authentication request and must come back. "" means that none was
	// sent; then the token must have none.
	Nonce string

	// AccessToken, if given, must be the one that at_hash is made of (OIDC Core §3.1.3.6). An issuer
	// may leave at_hash out where both came from the token endpoint; then leave this out too.
	AccessToken string

	// Code, if given, must be the one that c_hash is made of (OIDC Core §3.3.2.11). Give it where the
	// token came through the browser with the code.
	Code string
}

// Token decides whether raw is a good ID token for this login. Requirements are what was asked of
// the login: MaxAuthAge for max_age, RequireACR for acr_values.
func (i *IDTokens) Token(ctx context.Context, raw string, login Login, needs ...Requirement) (*IDToken, error) {
	t, err := i.v.examine(ctx, raw, func(t *Token, alg Alg, now time.Time) Code {
		if code := i.answers(t, alg, login); code != "" {
			return code
		}
		return t.meets(now, needs)
	})
	if err != nil {
		return nil, err
	}
	return &IDToken{t}, nil
}

// answers reports what makes a good token the answer to another login.
func (i *IDTokens) answers(t *Token, alg Alg, login Login) Code {
	audiences := t.Audience()
	for _, a := range audiences {
		if a != i.client && !slices.Contains(i.others, a) {
			return CodeAudience // OIDC Core §3.1.3.7, step 3
		}
	}
	var c loginClaims
	c.read(t)
	switch {
	case c.azp != "" && c.azp != i.client, c.azp == "" && len(audiences) > 1: // steps 4 and 5
		return CodeClient
	case t.has&hasNonce != 0 && c.nonce == "", !same(c.nonce, login.Nonce): // step 11
		return CodeNonce
	case login.AccessToken != "" && !same(c.atHash, halfHash(alg, login.AccessToken)):
		return CodeHash
	case login.Code != "" && !same(c.cHash, halfHash(alg, login.Code)):
		return CodeHash
	}
	return ""
}

// loginClaims are the claims that only ID tokens have; one that is not a string counts as missing.
type loginClaims struct{ azp, nonce, atHash, cHash string }

func (c *loginClaims) read(t *Token) {
	s := t.value(span{0, uint32(len(t.payload))})
	s.space()
	for o := s.object(); s.member(&o); {
		switch string(o.name) {
		case "azp":
			c.azp = string(s.optionalText())
		case "nonce":
			c.nonce = string(s.optionalText())
		case "at_hash":
			c.atHash = string(s.optionalText())
		case "c_hash":
			c.cHash = string(s.optionalText())
		default:
			s.skip()
		}
	}
}

// halfHash gives the left half of the hash that belongs to the algorithm (OIDC Core §3.1.3.6). The
// one of Ed25519 is SHA-512 (RFC 8032 §5.1).
func halfHash(alg Alg, text string) string {
	if alg == EdDSA {
		sum := sha512.Sum512([]byte(text))
		return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	}
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// same compares in constant time, so that nothing secret is guessed byte by byte.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// IDToken is an accepted ID token: it says who signed in, and is no permission to call anything.
type IDToken struct{ t *Token }

// Issuer is iss.
func (i *IDToken) Issuer() string { return i.t.issuer }

// Subject is sub. It is unique only together with the issuer.
func (i *IDToken) Subject() string { return i.t.subject }

// Tenant is tid, or "" if the token has none.
func (i *IDToken) Tenant() string { return i.t.tenant }

// Audience is aud as a list; the client is in it.
func (i *IDToken) Audience() []string { return i.t.Audience() }

// ID is jti, or "" if the token has none.
func (i *IDToken) ID() string { return i.t.id }

// SessionID is sid, or "": what a logout token may name later.
func (i *IDToken) SessionID() string { return i.t.session }

// ACR is acr, or "".
func (i *IDToken) ACR() string { return i.t.acr }

// AMR are the methods by which the user signed in (RFC 8176).
func (i *IDToken) AMR() []string { return i.t.AMR() }

// AuthTime is auth_time, false if the token does not say.
func (i *IDToken) AuthTime() (time.Time, bool) { return i.t.AuthTime() }

// IssuedAt is iat, cut to nanoseconds.
func (i *IDToken) IssuedAt() time.Time { return i.t.IssuedAt() }

// Expires is exp, cut to nanoseconds.
func (i *IDToken) Expires() time.Time { return i.t.Expires() }

// Claims decodes all claims, as Token.Claims does.
func (i *IDToken) Claims(dst any) error { return i.t.Claims(dst) }

// Format prints an ID token as metadata, whatever the verb.
func (i IDToken) Format(f fmt.State, _ rune) { i.t.print(f, "IDToken") }
