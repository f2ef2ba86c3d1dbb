package oauth

import (
	"slices"
	"strings"
)

// MaxScopeLength is how many bytes a scope parameter may have, and MaxScopeTokens how many tokens. Both are far above
// what a client needs and keep one request from costing more than another.
const (
	MaxScopeLength = 4096
	MaxScopeTokens = 100
)

// Scope is a set of scope tokens in the order of their first mention (RFC 6749 §3.3). The order carries no meaning; it
// is kept so that answers look like requests. Scope tokens are case-sensitive.
type Scope []string

// ParseScope reads the value of a scope parameter: tokens separated by one space each. A token mentioned twice counts
// once. An empty value is the empty scope, since RFC 6749 §3.1 treats it as left out. The error is an invalid_scope.
func ParseScope(s string) (Scope, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > MaxScopeLength {
		return nil, Errorf(InvalidScope, "The scope is longer than %d bytes.", MaxScopeLength)
	}
	tokens := strings.Split(s, " ")
	if len(tokens) > MaxScopeTokens {
		return nil, Errorf(InvalidScope, "The scope has more than %d tokens.", MaxScopeTokens)
	}
	scope := make(Scope, 0, len(tokens))
	for _, token := range tokens {
		if !ValidScopeToken(token) {
			return nil, Errorf(InvalidScope, "The scope is malformed: tokens are printable ASCII without quotes and backslashes, separated by single spaces (RFC 6749, section 3.3).")
		}
		if !scope.Has(token) {
			scope = append(scope, token)
		}
	}
	return scope, nil
}

// ValidScopeToken reports whether s is one scope-token: 1*( %x21 / %x23-5B / %x5D-7E ).
func ValidScopeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// String joins the tokens as they go on the wire.
func (s Scope) String() string { return strings.Join(s, " ") }

// Has reports whether token is in s.
func (s Scope) Has(token string) bool { return slices.Contains(s, token) }

// Without returns the tokens of s that are not in allowed: what a client asked for beyond its registration.
func (s Scope) Without(allowed Scope) Scope {
	var rest Scope
	for _, token := range s {
		if !allowed.Has(token) {
			rest = append(rest, token)
		}
	}
	return rest
}
