package validate

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// family is a kind of token with rules of its own. Each has a type of its own too, for its judge and
// for what comes out, so that a program can't take one kind for another; and a judge refuses the
// other kinds by what they say, also where an issuer calls all of them JWT.
type family uint8

const (
	accessTokens   family = iota // RFC 9068
	idTokens                     // OIDC Core §2
	logoutTokens                 // OIDC Back-Channel Logout §2.4
	securityEvents               // RFC 8417
)

// types are the values of typ that a family has unless told otherwise.
func (f family) types() []string {
	switch f {
	case idTokens:
		return []string{"JWT", Untyped} // OIDC Core names no typ
	case logoutTokens:
		return []string{"logout+jwt"}
	case securityEvents:
		return []string{"secevent+jwt"}
	}
	return []string{"at+jwt"}
}

// admits says what makes a token one of another family, or one that lacks what this family has.
func (f family) admits(h *header, c *claims) Code {
	switch f {
	case accessTokens:
		if c.has&hasEvents != 0 && h.kind != "at+jwt" {
			return CodeKind // at+jwt says what the token is; under any other name it is an event
		}
	case idTokens:
		if c.has&hasEvents != 0 {
			return CodeKind
		}
	case logoutTokens:
		if c.has&hasNonce != 0 || c.has&hasLogout == 0 {
			return CodeKind
		}
		if c.oddEvents || len(c.jti.b) == 0 || len(c.sub.b) == 0 && len(c.sid.b) == 0 || c.has&hasOddSID != 0 {
			return CodeClaims
		}
		return c.demand(hasExp | hasIat)
	case securityEvents:
		if c.has&(hasNonce|hasExp|hasLogout) != 0 || c.has&hasEvents == 0 {
			return CodeKind
		}
		if c.oddEvents || len(c.jti.b) == 0 {
			return CodeClaims
		}
		return c.demand(hasIat)
	}
	if len(c.sub.b) == 0 {
		return CodeClaims
	}
	return c.demand(hasExp | hasIat)
}

// demand demands claims, and that none that matters has a wrong form.
func (c *claims) demand(bits presence) Code {
	if c.has&(hasWrong|bits) != bits {
		return CodeClaims
	}
	return ""
}

// checkAge holds a token without end to its age and to the clock.
func (v *Validator) checkAge(c *claims, now instant) Code {
	latest := now.add(v.leeway)
	switch {
	case !c.iat.add(v.maxLifetime).add(v.leeway).after(now):
		return CodeExpired
	case c.iat.after(latest) || c.nbf.after(latest):
		return CodeNotYetValid
	}
	return ""
}

// newJudge makes the Validator behind a family other than access tokens.
func newJudge(f family, c Config) (*Validator, error) {
	switch {
	case c.DPoP != nil || c.RequireMTLS:
		return nil, errors.New("validate: only access tokens are bound to their sender: leave DPoP and RequireMTLS out")
	case c.Remember != 0:
		return nil, errors.New("validate: only access tokens come again: leave Remember out")
	}
	c.Remember = NoMemory
	return newFamily(f, c)
}

// examine judges a token and then asks further questions, last because they are the family's own.
func (v *Validator) examine(ctx context.Context, raw string, also func(t *Token, alg Alg, now time.Time) Code) (*Token, error) {
	w := works.Get().(*work)
	e := Event{Kind: TokenAccepted}
	now := v.now()
	t, code := v.judge(ctx, w, raw, now, &e)
	if code == "" {
		code = also(t, e.Algorithm, now)
	}
	return v.conclude(w, t, code, &e)
}

// print writes a token of any family as metadata.
func (t *Token) print(f fmt.State, name string) {
	fmt.Fprintf(f, "validate.%s(issuer=%q jti=%q kid=%.64q)", name, t.issuer, t.id, t.keyID)
}
