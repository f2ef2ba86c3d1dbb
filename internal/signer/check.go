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

// check holds a request against the tenant's policy. The order is that of the questions a person would ask: whose token,
// what kind, for whom, where, how long, what else. Every kind of mistake has its own code.
func (t *tenant) check(q *mint.Request) *mint.Refusal {
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
	if !validName(q.ClientID) {
		return mint.Refuse(mint.ClientInvalid, "")
	}
	longest, r := t.limits.checkAudience(q.Audience)
	if r != nil {
		return r
	}
	if r := t.limits.checkScope(q.Scope, q.Audience); r != nil {
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
	return t.limits.checkCustom(q.Custom)
}

// checkAudience returns the longest life that all the APIs allow, in seconds.
func (l *limits) checkAudience(list []string) (longest int64, r *mint.Refusal) {
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
