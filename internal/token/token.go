// Package token turns what a grant decided into a token: an [Authorization] goes
// in, a typed mint request goes to the signer, and what comes back is read and
// compared with the request before anybody else sees it.
//
// The package holds no key, decides no policy and keeps nothing. It chooses the
// token's id, so that a request that is repeated after a broken connection is
// recognisably the same, and it says which failures a client may retry.
package token

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"seawall/internal/mint"
	"seawall/internal/oauth"
	"seawall/internal/secret"
)

// retryAfter is what a client is told while a vault is away: a restarted one is usually back within a second or two.
const retryAfter = 2 * time.Second

// mintTime bounds the wait for the signer. One that is stuck, or whose ledger is, keeps its connection and says nothing.
const mintTime = 5 * time.Second

// Authorization is what a grant decided: who gets a token, for whom, for what and for how long.
type Authorization struct {
	Tenant   string
	Issuer   string
	ClientID string
	Subject  string
	Audience []string // never empty
	Scope    string   // space separated, may be empty
	Lifetime int64    // seconds, positive
	// Custom claims, sorted by name.
	Custom []Claim
	// Evidence is the digest of what proved the client. It is recorded with the token.
	Evidence [32]byte

	SignIn        *SignIn // of the person that the client acts for; nil: it acts for itself
	KeyThumbprint string  // jkt of the key that the token is bound to (RFC 9449 §6.1); "": a bearer token
	ID            *ID     // asks for an ID token, too, which needs a SignIn; nil: none
}

// SignIn says what happened when the person signed in.
type SignIn struct {
	Session string // sid
	At      int64  // Unix seconds
	ACR     string
	AMR     []string
}

// ID is what an ID token has of its own. It is for the client of the authorization.
type ID struct {
	Nonce    string // that came with the authorization request; may be empty
	Lifetime int64  // seconds, positive
}

// Claim is a custom claim of a token.
type Claim = mint.Claim

// Minter asks the signer for tokens; *[mint.Client] is one. The errors are *[mint.Refusal].
type Minter interface {
	Mint(ctx context.Context, q *mint.Request) ([]byte, error)
	// MintBoth asks for two at once, and returns both or none.
	MintBoth(ctx context.Context, first, second *mint.Request) (a, b []byte, err error)
}

// Issuer makes tokens out of authorizations.
type Issuer struct {
	minter Minter
	now    func() time.Time
}

// NewIssuer returns an issuer that asks minter and tells the time with now.
func NewIssuer(minter Minter, now func() time.Time) *Issuer { return &Issuer{minter, now} }

// Token is what a client gets: an access token, and with it an ID token and a refresh token where there are any. It prints
// as [redacted].
type Token struct {
	jws      []byte
	id       []byte // ID token
	refresh  secret.Text
	jti      string
	lifetime int64
	scope    string
	bound    bool
}

// String keeps the token out of logs.
func (Token) String() string { return "[redacted]" }

// GoString keeps the token out of logs.
func (Token) GoString() string { return "[redacted]" }

// JTI is the id of the access token: what a grant remembers to take it back.
func (t *Token) JTI() string { return t.jti }

// WithRefresh returns t with a refresh token beside it.
func (t Token) WithRefresh(refresh secret.Text) Token {
	t.refresh = refresh
	return t
}

// AppendResponse appends the answer of RFC 6749 §5.1 to b, as OIDC Core §3.1.3.3 and RFC 9449 §5 extend it. Nothing in it
// needs escaping: a JWS is base64url, scope tokens have neither quotes nor backslashes (RFC 6749 §3.3), and a refresh
// token is made of the same letters as base64url.
func (t *Token) AppendResponse(b []byte) []byte {
	b = append(b, `{"access_token":"`...)
	b = append(b, t.jws...)
	b = append(b, `","token_type":"`...)
	if t.bound {
		b = append(b, "DPoP"...)
	} else {
		b = append(b, "Bearer"...)
	}
	b = append(b, `","expires_in":`...)
	b = strconv.AppendInt(b, t.lifetime, 10)
	b = appendMember(b, "scope", t.scope)
	b = appendMember(b, "refresh_token", t.refresh.Reveal())
	b = appendMember(b, "id_token", t.id)
	return append(b, '}')
}

// appendMember appends a member that is there when it is not empty.
func appendMember[V string | []byte](b []byte, name string, value V) []byte {
	if len(value) == 0 {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":"`...)
	return append(append(b, value...), '"')
}

// Issue has an access token made, and an ID token where one is asked for: both or none. An error is an *[oauth.Error] when
// the client can do something about it, for instance try again while a vault is away; any other is ours, and nothing was
// released.
func (i *Issuer) Issue(ctx context.Context, a *Authorization) (Token, error) {
	q := mint.Request{
		Tenant: a.Tenant, Issuer: a.Issuer, Kind: mint.AccessToken,
		Subject: a.Subject, Audience: a.Audience, ClientID: a.ClientID, Scope: a.Scope,
		JTI: mint.NewJTI(), Lifetime: a.Lifetime, Custom: a.Custom, Evidence: a.Evidence, KeyThumbprint: a.KeyThumbprint,
	}
	if a.SignIn != nil {
		q.SignIn = mint.SignIn{AuthTime: a.SignIn.At, ACR: a.SignIn.ACR, AMR: a.SignIn.AMR, Session: a.SignIn.Session}
	}
	t := Token{jti: q.JTI, lifetime: q.Lifetime, scope: q.Scope, bound: q.KeyThumbprint != ""}
	ctx, cancel := context.WithTimeout(ctx, mintTime)
	defer cancel()
	if a.ID != nil {
		return i.both(ctx, t, &q, idRequest(&q, a.ID))
	}
	jws, err := i.minter.Mint(ctx, &q)
	if err != nil {
		return Token{}, classify(err)
	}
	if err := check(&q, jws, i.now()); err != nil {
		return Token{}, notAsked(err)
	}
	t.jws = jws
	return t, nil
}

// both has an access token and an ID token made together.
func (i *Issuer) both(ctx context.Context, t Token, access, id *mint.Request) (Token, error) {
	var err error
	if t.jws, t.id, err = i.minter.MintBoth(ctx, access, id); err != nil {
		return Token{}, classify(err)
	}
	now := i.now()
	if err := errors.Join(check(access, t.jws, now), check(id, t.id, now)); err != nil {
		return Token{}, notAsked(err)
	}
	return t, nil
}

// idRequest asks for the ID token that goes with an access token. It has no at_hash, which is optional where both come from
// the token endpoint (OIDC Core §3.1.3.6): to know the access token first would cost a second commit of the ledger.
func idRequest(access *mint.Request, id *ID) *mint.Request {
	return &mint.Request{
		Tenant: access.Tenant, Issuer: access.Issuer, Kind: mint.IDToken,
		Subject: access.Subject, Audience: []string{access.ClientID},
		JTI: mint.NewJTI(), Lifetime: id.Lifetime, Evidence: access.Evidence, Nonce: id.Nonce, SignIn: access.SignIn,
	}
}

func notAsked(err error) error {
	return fmt.Errorf("the signer's answer is not what was asked for: %w", err)
}

// classify says which refusals pass by themselves. The house asks only for what its own tables allow, so a signer that
// does not know a tenant, an API, a scope or a client has simply not heard of it yet.
func classify(err error) error {
	refusal := (*mint.Refusal)(nil)
	if !errors.As(err, &refusal) {
		return err
	}
	switch refusal.Code {
	case mint.Unavailable, mint.Busy, mint.TenantUnknown, mint.AudienceUnregistered, mint.ScopeUnregistered, mint.ClientUnregistered,
		mint.KeyUnavailable, mint.KeyOverdue, mint.KeyNotActive, mint.ClockFrozen, mint.ClockSkew:
		return oauth.Unavailable(retryAfter, err)
	case mint.TenantDisabled:
		return oauth.Errorf(oauth.UnauthorizedClient, "The tenant is disabled.").Because(err)
	case mint.KeyOutlived:
		return oauth.Unavailable(retryAfter, err)
	}
	return fmt.Errorf("the signer refuses a request that the house allows: %w", err)
}

var rawURL = base64.RawURLEncoding.Strict()

// check reads the token as its recipient will and compares it with the request. The signature is the signer's business
// and the validator's; what the house must not hand out is somebody else's token, or one that says more than was
// decided.
func check(q *mint.Request, jws []byte, now time.Time) error {
	header, rest, ok := bytes.Cut(jws, []byte("."))
	payload, signature, ok2 := bytes.Cut(rest, []byte("."))
	if !ok || !ok2 || len(signature) == 0 || bytes.IndexByte(signature, '.') >= 0 {
		return errors.New("not a compact JWS")
	}
	var scratch [2048]byte
	if _, err := rawURL.AppendDecode(scratch[:0], signature); err != nil {
		return errors.New("the signature is not base64url")
	}
	full, err := rawURL.AppendDecode(scratch[:0], header)
	if err != nil {
		return errors.New("the header is not base64url")
	}
	claims, err := rawURL.AppendDecode(full[len(full):], payload)
	if err != nil {
		return errors.New("the payload is not base64url")
	}
	bare, receipt, err := mint.SplitReceipt(full)
	if err != nil {
		return err
	}
	if !same(q, bare, claims, receipt.Millis(), now) {
		return difference(q, bare, claims, receipt.Millis(), now)
	}
	return nil
}

// same reports whether header and payload are exactly what the signer writes for the request. Both are canonical, so
// there is one spelling of each; only key and time are the signer's choice, and are taken from what is compared.
func same(q *mint.Request, bare, claims []byte, receiptMillis uint64, now time.Time) bool {
	t := q.Token()
	var ok bool
	if t.IssuedAt, ok = issuedAt(claims); !ok || !near(t.IssuedAt*1000, now.UnixMilli()) || !near(t.IssuedAt*1000, int64(receiptMillis)) {
		return false
	}
	t.Expires = t.IssuedAt + q.Lifetime
	var scratch [1024]byte
	if !bytes.Equal(t.Payload(scratch[:0]), claims) {
		return false
	}
	alg, rest, ok := bytes.Cut(bytes.TrimPrefix(bare, []byte(`{"alg":"`)), []byte(`","typ":"`))
	_, kid, ok2 := bytes.Cut(rest, []byte(`","kid":"`))
	kid, ok3 := bytes.CutSuffix(kid, []byte(`"}`))
	if !ok || !ok2 || !ok3 || len(alg) == 0 || len(kid) == 0 {
		return false
	}
	t.Alg, t.KID = string(alg), string(kid)
	return bytes.Equal(t.Header(scratch[:0]), bare)
}

// issuedAt finds iat in a canonical payload. Inside of a string the quotes would be escaped, so there is no other place
// where it could seem to be.
func issuedAt(claims []byte) (int64, bool) {
	_, rest, ok := bytes.Cut(claims, []byte(`,"iat":`))
	digits, _, ok2 := bytes.Cut(rest, []byte(`,`))
	if !ok || !ok2 || len(digits) == 0 || len(digits) > 12 {
		return 0, false
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// difference says what is wrong with an answer that is not the same.
func difference(q *mint.Request, bare, claims []byte, receiptMillis uint64, now time.Time) error {
	t, err := mint.ReadToken(bare, claims)
	if err != nil {
		return err
	}
	return fmt.Errorf("another %s", differs(q, t, receiptMillis, now))
}

// differs names the first thing in t that the request did not ask for.
func differs(q *mint.Request, t *mint.Token, receiptMillis uint64, now time.Time) string {
	switch {
	case t.Kind != q.Kind:
		return "kind"
	case t.KID == "" || t.Alg == "":
		return "key"
	case t.Issuer != q.Issuer:
		return "issuer"
	case t.Subject != q.Subject:
		return "subject"
	case !slices.Equal(t.Audience, q.Audience):
		return "audience"
	case t.ClientID != q.ClientID:
		return "client"
	case t.Scope != q.Scope:
		return "scope"
	case t.Nonce != q.Nonce:
		return "nonce"
	case t.AuthTime != q.AuthTime || t.ACR != q.ACR || !slices.Equal(t.AMR, q.AMR):
		return "sign-in"
	case t.Session != q.Session:
		return "session"
	case t.KeyThumbprint != q.KeyThumbprint:
		return "binding"
	case t.JTI != q.JTI:
		return "jti"
	case t.Expires-t.IssuedAt != q.Lifetime:
		return "lifetime"
	case !near(t.IssuedAt*1000, now.UnixMilli()) || !near(t.IssuedAt*1000, int64(receiptMillis)):
		return "time"
	case !slices.EqualFunc(t.Custom, q.Custom, sameClaim):
		return "custom claim"
	}
	return "spelling"
}

// near allows for the second that iat is cut to, and for the drift that the ledger allows.
func near(a, b int64) bool {
	const most = mint.MaxClockDrift + 1000
	return a-b <= most && b-a <= most
}

func sameClaim(a, b mint.Claim) bool {
	return a.Name == b.Name && a.Text == b.Text && (a.List == nil) == (b.List == nil) && slices.Equal(a.List, b.List)
}
