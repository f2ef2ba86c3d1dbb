package signer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"seawall/internal/mint"
)

const (
	maxName        = 255 // bytes of a subject or client id
	maxScopeTokens = 64  // of one request
)

// check holds a request against the tenant's policy at now, in Unix seconds. The order is that of the questions a person
// would ask: whose token, what kind, about whom, for whom, what happened, how long. Every kind of mistake has its own code.
func (t *tenant) check(q *mint.Request, now int64) *mint.Refusal {
	switch {
	case t.policy.Disabled:
		return mint.Refuse(mint.TenantDisabled, "")
	case q.Issuer != t.policy.Issuer:
		return mint.Refuse(mint.IssuerMismatch, "")
	}
	if _, ok := q.Kind.Family(); !ok {
		return mint.Refuse(mint.KindUnsupported, "")
	}
	if !validName(q.Subject) {
		return mint.Refuse(mint.SubjectInvalid, "")
	}
	longest, r := t.limits.checkKind(q)
	if r != nil {
		return r
	}
	if r := checkSignIn(&q.SignIn, now); r != nil {
		return r
	}
	switch {
	case q.Lifetime <= 0:
		return mint.Refuse(mint.LifetimeInvalid, "")
	case q.Lifetime > longest:
		return mint.Refuse(mint.LifetimeTooLong, "at most %d s", longest)
	case !mint.ValidJTI(q.JTI):
		return mint.Refuse(mint.JTIInvalid, "")
	}
	return nil
}

// checkKind asks what only one kind of token is asked, and returns the longest life that it may have, in seconds.
func (l *limits) checkKind(q *mint.Request) (longest int64, r *mint.Refusal) {
	if q.Kind == mint.IDToken {
		return l.checkID(q)
	}
	return l.checkAccess(q)
}

func (l *limits) checkAccess(q *mint.Request) (longest int64, r *mint.Refusal) {
	switch {
	case !validName(q.ClientID):
		return 0, mint.Refuse(mint.ClientInvalid, "")
	case q.Nonce != "":
		return 0, mint.Refuse(mint.NonceNotAllowed, "")
	case q.KeyThumbprint != "" && !mint.ValidThumbprint(q.KeyThumbprint):
		return 0, mint.Refuse(mint.BindingInvalid, "")
	case !q.SignIn.IsZero() && !l.listed(q.ClientID):
		return 0, mint.Refuse(mint.ClientUnregistered, "")
	}
	if longest, r = l.checkAudience(q); r != nil {
		return 0, r
	}
	if r := l.checkScope(q.Scope, q.Audience); r != nil {
		return 0, r
	}
	return longest, l.checkCustom(q.Custom)
}

// checkID is for ID tokens: each tells one client of the policy who signed in, and when, and is good for nothing else.
func (l *limits) checkID(q *mint.Request) (longest int64, r *mint.Refusal) {
	switch {
	case q.ClientID != "":
		return 0, mint.Refuse(mint.ClientNotAllowed, "")
	case q.Scope != "":
		return 0, mint.Refuse(mint.ScopeNotAllowed, "")
	case q.KeyThumbprint != "":
		return 0, mint.Refuse(mint.BindingNotAllowed, "")
	case len(q.Custom) > 0:
		return 0, mint.Refuse(mint.CustomNotAllowed, "")
	case !printable(q.Nonce):
		return 0, mint.Refuse(mint.NonceInvalid, "")
	case len(q.Audience) == 0 || q.Audience[0] == "":
		return 0, mint.Refuse(mint.AudienceMissing, "")
	case len(q.Audience) > 1:
		return 0, mint.Refuse(mint.AudienceSeveral, "")
	case q.AuthTime == 0:
		return 0, mint.Refuse(mint.AuthTimeMissing, "")
	case !l.listed(q.Audience[0]):
		return 0, mint.Refuse(mint.ClientUnregistered, "")
	}
	return l.idLifetime, nil
}

// listed reports whether people sign in to a client.
func (l *limits) listed(client string) bool {
	_, known := l.clients[client]
	return known
}

// checkSignIn holds what is said of a sign-in to its form, and to the clock as far as the house's may be ahead of it.
func checkSignIn(in *mint.SignIn, now int64) *mint.Refusal {
	switch {
	case in.AuthTime > now+mint.MaxClockDrift/1000:
		return mint.Refuse(mint.AuthTimeInvalid, "the sign-in is yet to come")
	case in.ACR != "" && !validName(in.ACR):
		return mint.Refuse(mint.ACRInvalid, "")
	case in.Session != "" && !validName(in.Session):
		return mint.Refuse(mint.SessionInvalid, "")
	}
	for i, method := range in.AMR {
		if !validName(method) || slices.Contains(in.AMR[:i], method) {
			return mint.Refuse(mint.AMRInvalid, "")
		}
	}
	return nil
}

// checkAudience returns the longest life that all the APIs allow, in seconds.
func (l *limits) checkAudience(q *mint.Request) (longest int64, r *mint.Refusal) {
	list := q.Audience
	if len(list) == 0 {
		return 0, mint.Refuse(mint.AudienceMissing, "")
	}
	longest = l.lifetime
	for i, id := range list {
		if id == "" {
			return 0, mint.Refuse(mint.AudienceMissing, "")
		}
		if slices.Contains(list[:i], id) {
			return 0, mint.Refuse(mint.AudienceRepeated, "")
		}
		if id == q.ClientID || l.listed(id) {
			return 0, mint.Refuse(mint.AudienceClient, "")
		}
		api := l.audiences[id]
		if api == nil {
			return 0, mint.Refuse(mint.AudienceUnregistered, "")
		}
		longest = min(longest, api.lifetime)
	}
	return longest, nil
}

// checkScope wants scope tokens (RFC 6749 §3.3) separated by single spaces, each known to one of the APIs.
func (l *limits) checkScope(scope string, apis []string) *mint.Refusal {
	if scope == "" {
		return nil
	}
	var seen [maxScopeTokens]string
	n := 0
	for token := range strings.SplitSeq(scope, " ") {
		if n == maxScopeTokens || !scopeToken(token) || slices.Contains(seen[:n], token) {
			return mint.Refuse(mint.ScopeInvalid, "")
		}
		seen[n] = token
		n++
		known := slices.ContainsFunc(apis, func(id string) bool {
			_, ok := l.audiences[id].scopes[token]
			return ok
		})
		if !known {
			return mint.Refuse(mint.ScopeUnregistered, "")
		}
	}
	return nil
}

// checkCustom wants custom claims in order, allowed by name, with values that print. Standard names come first: they are
// the attack.
func (l *limits) checkCustom(list []mint.Claim) *mint.Refusal {
	for i := range list {
		if mint.StandardClaim(list[i].Name) {
			return mint.Refuse(mint.ClaimStandard, "")
		}
	}
	for i := range list {
		c := &list[i]
		if _, ok := l.claims[c.Name]; !ok {
			return mint.Refuse(mint.ClaimNotAllowed, "")
		}
		if i > 0 && list[i-1].Name >= c.Name || !printable(c.Text) || slices.ContainsFunc(c.List, func(s string) bool { return !printable(s) }) {
			return mint.Refuse(mint.ClaimInvalid, "")
		}
	}
	return nil
}

func validName(s string) bool { return s != "" && len(s) <= maxName && printable(s) }

// printable reports whether s is UTF-8 text without control or formatting characters, which could make a log or a page
// show something else than what is there.
func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf {
			return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
		} else if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// scopeToken reports whether s is a scope-token: 1*( %x21 / %x23-5B / %x5D-7E ).
func scopeToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return s != ""
}
