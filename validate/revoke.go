package validate

import (
	"fmt"
	"sync/atomic"
	"time"
)

// RevocationKind says what a Revocation names.
type RevocationKind string

// The kinds of revocations, and the value that each is compared with.
const (
	RevokeToken   RevocationKind = "jti"
	RevokeSubject RevocationKind = "sub"
	RevokeSession RevocationKind = "sid"
	RevokeClient  RevocationKind = "client" // azp or client_id
	RevokeTenant  RevocationKind = "tenant" // tid
	RevokeKey     RevocationKind = "key"    // kid
)

// Revocation refuses the tokens that it names.
type Revocation struct {
	Kind  RevocationKind
	Value string // compared exactly

	// Issuer limits the revocation to one issuer; it may contain {tenantid}. "" means every issuer.
	Issuer string

	// Before, unless it is the zero Time, limits the revocation to tokens whose iat is earlier.
	Before time.Time
}

// Revocations is a list of revocations that a Validator looks at for every token. It may be
// replaced at any time, from any goroutine, and counts from the next token on.
type Revocations struct {
	rules atomic.Pointer[map[RevocationKind]map[string][]rule]
}

// rule is a Revocation, prepared.
type rule struct {
	issuer  pattern // everywhere if its text is empty
	limited bool
	before  instant
}

// NewRevocations makes a list, which may be empty. It fails as Replace does.
func NewRevocations(list ...Revocation) (*Revocations, error) {
	r := &Revocations{}
	return r, r.Replace(list)
}

// Replace puts a new list in the place of the old one, all at once. An entry of an unknown kind or
// without a value is an error, and then the old list stays.
func (r *Revocations) Replace(list []Revocation) error {
	rules := make(map[RevocationKind]map[string][]rule)
	for i, entry := range list {
		switch entry.Kind {
		case RevokeToken, RevokeSubject, RevokeSession, RevokeClient, RevokeTenant, RevokeKey:
		default:
			return fmt.Errorf("validate: revocation %d: %q is not a kind of revocation", i, entry.Kind)
		}
		if entry.Value == "" {
			return fmt.Errorf("validate: revocation %d names nothing", i)
		}
		if rules[entry.Kind] == nil {
			rules[entry.Kind] = make(map[string][]rule)
		}
		rules[entry.Kind][entry.Value] = append(rules[entry.Kind][entry.Value], rule{
			issuer:  newPattern(entry.Issuer),
			limited: !entry.Before.IsZero(),
			before:  instantOf(entry.Before),
		})
	}
	r.rules.Store(&rules)
	return nil
}

// check gives CodeRevoked if an entry applies.
func (r *Revocations) check(t *Token) Code {
	rules := *r.rules.Load()
	if len(rules) == 0 {
		return ""
	}
	if t.has&hasOddSID != 0 && rules[RevokeSession] != nil {
		return CodeClaims // it can't be told which session this is
	}
	if t.revokedBy(rules[RevokeToken], t.id) ||
		t.revokedBy(rules[RevokeSubject], t.subject) ||
		t.revokedBy(rules[RevokeSession], t.session) ||
		t.revokedBy(rules[RevokeClient], t.client) ||
		t.revokedBy(rules[RevokeTenant], t.tenant) ||
		t.revokedBy(rules[RevokeKey], t.keyID) {
		return CodeRevoked
	}
	return ""
}

func (t *Token) revokedBy(rules map[string][]rule, value string) bool {
	if len(rules) == 0 {
		return false
	}
	for _, rule := range rules[value] {
		if rule.issuer.text != "" && !rule.issuer.match([]byte(t.issuer), []byte(t.tenant)) {
			continue
		}
		if !rule.limited || t.issued.before(rule.before) {
			return true
		}
	}
	return false
}
