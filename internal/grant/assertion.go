package grant

import (
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"

	"seawall/internal/tenant"
)

const (
	// maxAssertion bounds a client assertion, in bytes.
	maxAssertion = 8 << 10
	// assertionLife is how far ahead an assertion's exp may lie. Clients make one per request and give it a minute;
	// Microsoft's libraries give it ten.
	assertionLife = 10 * time.Minute
	// assertionSkew is how far the client's clock may be from ours.
	assertionSkew = 30 * time.Second
	// replayMemory is how long a jti is remembered. It is our figure and not the assertion's exp, and it outlasts every
	// assertion that the two bounds above admit.
	replayMemory = assertionLife + 2*assertionSkew
	maxJTI       = 256
)

// assertionAlgs are the signatures that a client's keys can make: asymmetric ones only (RFC 8725 §3.1).
var assertionAlgs = []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.RS256, jose.EdDSA}

// assertion is a client assertion (RFC 7523 §3) that was read and not yet verified.
type assertion struct {
	jws    *jose.JSONWebSignature
	claims assertionClaims
}

type assertionClaims struct {
	Issuer    string    `json:"iss"`
	Subject   string    `json:"sub"`
	Audience  audience  `json:"aud"`
	Expires   *unixTime `json:"exp"`
	NotBefore *unixTime `json:"nbf"`
	IssuedAt  *unixTime `json:"iat"`
	JTI       string    `json:"jti"`
}

// audience is a string, or a list of strings.
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if josejson.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return josejson.Unmarshal(b, (*[]string)(a))
}

// unixTime is a NumericDate (RFC 7519 §2), whole or fractional.
type unixTime float64

func (t unixTime) time() time.Time { return time.UnixMilli(int64(float64(t) * 1000)) }

// possible excludes what does not fit a date; NaN cannot come out of JSON.
func (t *unixTime) possible() bool {
	return t == nil || *t >= 0 && float64(*t) < 253402300800 && !math.IsNaN(float64(*t))
}

// What is wrong with an assertion, for the client's developer. None of them tells whether the client exists.
var (
	errAssertionForm     = errors.New("it is not a compact JWS with a JSON header and claims")
	errAssertionAlg      = errors.New("its alg is none of ES256, ES384, ES512, PS256, RS256 and EdDSA")
	errAssertionType     = errors.New("its typ is neither JWT nor client-authentication+jwt")
	errAssertionSubject  = errors.New("iss and sub must both be the client_id")
	errAssertionAudience = errors.New("aud must be the issuer identifier, exactly and alone")
	errAssertionExpiry   = errors.New("exp is required and must lie in the future, at most 10 minutes ahead")
	errAssertionEarly    = errors.New("nbf or iat lies in the future")
	errAssertionJTI      = errors.New("jti is required: 1 to 256 printable characters")
)

// readAssertion reads the form of an assertion: one signature, claims whose names come once. Nothing is verified.
func readAssertion(raw string) (*assertion, error) {
	if len(raw) > maxAssertion {
		return nil, errAssertionForm
	}
	jws, err := jose.ParseSignedCompact(raw, assertionAlgs)
	if err != nil {
		if unexpected := (*jose.ErrUnexpectedSignatureAlgorithm)(nil); errors.As(err, &unexpected) {
			return nil, errAssertionAlg
		}
		return nil, errAssertionForm
	}
	a := &assertion{jws: jws}
	if err := josejson.Unmarshal(jws.UnsafePayloadWithoutVerification(), &a.claims); err != nil {
		return nil, errAssertionForm
	}
	extra := a.header().ExtraHeaders
	if extra["crit"] != nil || extra["b64"] != nil {
		return nil, errAssertionForm // RFC 7515 §4.1.11: no extension is understood here
	}
	if typ, ok := extra[jose.HeaderType]; ok {
		name, _ := typ.(string)
		name = strings.TrimPrefix(strings.ToLower(name), "application/")
		if name != "jwt" && name != "client-authentication+jwt" {
			return nil, errAssertionType
		}
	}
	return a, nil
}

func (a *assertion) header() *jose.Header { return &a.jws.Signatures[0].Protected }

// check applies RFC 7523 §3 to the claims. The audience is the issuer and nothing else: an assertion that names a second
// recipient, or our endpoint's address, could be one that somebody else was given.
func (a *assertion) check(clientID, issuer string, now time.Time) error {
	c := &a.claims
	switch {
	case c.Issuer != clientID || c.Subject != clientID:
		return errAssertionSubject
	case len(c.Audience) != 1 || c.Audience[0] != issuer:
		return errAssertionAudience
	case c.Expires == nil || !c.Expires.possible():
		return errAssertionExpiry
	case !now.Before(c.Expires.time().Add(assertionSkew)) || c.Expires.time().After(now.Add(assertionLife+assertionSkew)):
		return errAssertionExpiry
	case !c.NotBefore.possible() || !c.IssuedAt.possible():
		return errAssertionEarly
	case c.NotBefore != nil && c.NotBefore.time().After(now.Add(assertionSkew)):
		return errAssertionEarly
	case c.IssuedAt != nil && c.IssuedAt.time().After(now.Add(assertionSkew)):
		return errAssertionEarly
	case c.JTI == "" || len(c.JTI) > maxJTI || strings.ContainsFunc(c.JTI, func(r rune) bool { return r < ' ' || r > '~' }):
		return errAssertionJTI
	}
	return nil
}

// verified reports whether one of the client's registered keys made the signature: the one with the header's kid, or the
// only one when it has none. Keys and URLs in the header are never used.
func (a *assertion) verified(keys []tenant.Key) bool {
	h := a.header()
	for i := range keys {
		k := &keys[i]
		if k.ID != h.KeyID && !(len(keys) == 1 && (k.ID == "" || h.KeyID == "")) {
			continue
		}
		if !slices.Contains(k.Algs, h.Algorithm) {
			continue
		}
		if _, err := a.jws.Verify(k.Public); err == nil {
			return true
		}
	}
	return false
}

// AssertionAlgorithms lists the algorithms that a client's assertions may be signed with, for the metadata document.
func AssertionAlgorithms() []string {
	list := make([]string, len(assertionAlgs))
	for i, alg := range assertionAlgs {
		list[i] = string(alg)
	}
	return list
}
