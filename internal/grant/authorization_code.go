package grant

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
	"seawall/internal/token"
)

// authorizationCode is the grant of a client to which a person signed in (RFC 6749 §4.1.3, OpenID Connect Core §3.1.3).
type authorizationCode struct{}

func (authorizationCode) Type() oauth.GrantType { return oauth.AuthorizationCode }

var (
	errNoCode     = oauth.Errorf(oauth.InvalidRequest, "The code, the redirect_uri or the code_verifier is missing.")
	errVerifier   = oauth.Errorf(oauth.InvalidRequest, "The code_verifier has a form that none can have: it is 43 to 128 of A-Z, a-z, 0-9 and -._~ (RFC 7636, section 4.1).")
	errCode       = oauth.Errorf(oauth.InvalidGrant, "The code is not good: it is over, was used, is another client's, or was asked for with another redirect_uri or code_challenge.")
	errCodeKey    = oauth.Errorf(oauth.InvalidGrant, "The code was asked for with a dpop_jkt, and the request has no proof by that key (RFC 9449, section 10).")
	errCodeReused = oauth.Errorf(oauth.InvalidGrant, "The code was used before. What it gave is revoked (RFC 6749, section 4.1.2).")
)

func (authorizationCode) Authorize(ctx context.Context, q *Request) (*token.Authorization, Keep, error) {
	code, err := presentedCode(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	if !code.RedeemedAt.IsZero() {
		return nil, nil, reused(ctx, q, code)
	}
	if !code.Live(q.Now) {
		return nil, nil, errCode
	}
	if q.Client.public() {
		q.Evidence = evidence("code", code.Hash[:])
	}
	agreed := agreement{person: code.Person, scope: code.Scope, resources: code.Resources, nonce: code.Nonce,
		signIn: token.SignIn{Session: code.Session, At: code.SignedInAt.Unix(), ACR: code.ACR, AMR: code.AMR}}
	a, err := agreed.authorize(q, nil)
	if err != nil {
		return nil, nil, err
	}
	return a, func(ctx context.Context, made token.Token) (token.Token, error) {
		return redeem(ctx, q, code, made, a.Lifetime)
	}, nil
}

// presentedCode returns the code if whoever presents it is who it was made for: the client, with the redirect URI that it
// asked with, the verifier that only it knows and, where it named one, its key.
func presentedCode(ctx context.Context, q *Request) (code tenant.Code, err error) {
	raw, redirect, verifier := secret.New(q.Form.Value("code")), q.Form.Value("redirect_uri"), q.Form.Value("code_verifier")
	if raw.IsZero() || redirect == "" || verifier == "" {
		return code, errNoCode
	}
	if !isVerifier(verifier) {
		return code, errVerifier
	}
	if kind, _, err := secret.Parse(raw.Reveal()); err != nil || kind != secret.GrantCode {
		return code, errCode
	}
	code, err = q.house.Codes.Code(ctx, q.Tenant.ID, raw.Hash())
	switch {
	case errors.Is(err, tenant.ErrNotFound):
		return code, errCode
	case err != nil:
		return code, err
	case code.Client != q.Client.registered.ID || code.RedirectURI != redirect || !solves(verifier, code.Challenge):
		return code, errCode
	case code.JKT != "" && code.JKT != q.Key:
		return code, errCodeKey
	}
	return code, nil
}

// isVerifier applies RFC 7636 §4.1.
func isVerifier(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~') {
			return false
		}
	}
	return len(s) >= 43 && len(s) <= 128
}

// solves reports whether a verifier answers an S256 challenge (RFC 7636 §4.6).
func solves(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// redeem uses the code up and, where the client may refresh, begins a family.
func redeem(ctx context.Context, q *Request, code tenant.Code, made token.Token, lifetime int64) (token.Token, error) {
	r := tenant.Redemption{Seen: code, Token: tenant.Released{JTI: made.JTI(), ExpiresAt: q.Now.Add(time.Duration(lifetime) * time.Second)}}
	if q.Client.registered.MayUse(oauth.RefreshToken) {
		id := tenant.NewFamilyID()
		first, _ := q.house.Pepper.make(q.Tenant, id, 1)
		made = made.WithRefresh(first.text)
		r.Family = &tenant.Family{ID: id.String(), Tenant: code.Tenant, Client: code.Client, Person: code.Person, Session: code.Session,
			Offline: code.Scope.Has(oauth.ScopeOffline), Scope: code.Scope, Resources: code.Resources, JKT: q.binds(),
			SignedInAt: code.SignedInAt, ACR: code.ACR, AMR: code.AMR, Current: first.text.Hash(), Released: []tenant.Released{r.Token}, CreatedAt: q.Now}
	}
	_, err := q.house.Codes.RedeemCode(ctx, q.Tenant.ID, code.Hash, r)
	switch {
	case errors.Is(err, tenant.ErrCodeReused): // somebody else was faster
		return token.Token{}, takenBack(ctx, q)
	case errors.Is(err, tenant.ErrNotFound):
		return token.Token{}, errCode.Because(err)
	}
	return made, err
}

// binds is the key that the family of a public client is bound to, which it is from its first token or never: who shows a key
// later may be a thief, and the family would be theirs (RFC 9449 §5). A client with a credential needs none for that: only it
// can use its refresh tokens anyway, and it may change its key.
func (q *Request) binds() string {
	if q.Client.public() {
		return q.Key
	}
	return ""
}

// reused takes back what a code gave that comes a second time, whatever the second one is: of two who have it, one should
// not.
func reused(ctx context.Context, q *Request, code tenant.Code) error {
	_, err := q.house.Codes.RedeemCode(context.WithoutCancel(ctx), q.Tenant.ID, code.Hash, tenant.Redemption{}) // ends the family in the same act
	if !errors.Is(err, tenant.ErrCodeReused) {
		return errCode.Because(err)
	}
	return takenBack(ctx, q)
}

// takenBack has the ledger hear that a code came twice. If it is away, it hears it when it is back.
func takenBack(ctx context.Context, q *Request) error {
	return errCodeReused.Because(q.house.Settle(context.WithoutCancel(ctx)))
}
