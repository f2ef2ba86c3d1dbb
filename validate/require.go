package validate

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Requirement is what a route demands of a good token. Make one with RequireScope, RequireACR or
// MaxAuthAge; the zero Requirement demands nothing.
type Requirement struct {
	scopes []string
	acrs   []string
	maxAge *time.Duration
}

// RequireScope demands every one of these scopes (RFC 6750 §3.1).
func RequireScope(scopes ...string) Requirement {
	return Requirement{scopes: slices.Clone(scopes)}
}

// RequireACR demands that acr is one of these values, in order of preference (RFC 9470 §3). Without
// any value nothing fulfils it.
func RequireACR(values ...string) Requirement {
	return Requirement{acrs: append([]string{}, values...)}
}

// MaxAuthAge demands that the user signed in within the last d (RFC 9470 §3). A token that does not
// say when, or names a time to come, does not fulfil it.
func MaxAuthAge(d time.Duration) Requirement {
	return Requirement{maxAge: &d}
}

// Meets gives nil if the token fulfils all requirements at this time, and otherwise an error that
// wraps *Error with CodeScope, CodeACR or CodeAuthTime.
func (t *Token) Meets(now time.Time, needs ...Requirement) error {
	if code := t.meets(now, needs); code != "" {
		return refuse(code)
	}
	return nil
}

func (t *Token) meets(now time.Time, needs []Requirement) Code {
	for _, need := range needs {
		for _, scope := range need.scopes {
			if !t.HasScope(scope) {
				return CodeScope
			}
		}
		switch {
		case need.acrs != nil && (t.acr == "" || !slices.Contains(need.acrs, t.acr)):
			return CodeACR
		case need.maxAge != nil && !t.signedInSince(now, *need.maxAge):
			return CodeAuthTime
		}
	}
	return ""
}

// signedInSince reports whether the user signed in at most d ago. Clocks may differ by maxLeeway.
func (t *Token) signedInSince(now time.Time, d time.Duration) bool {
	at, ok := t.AuthTime()
	age := now.Sub(at)
	return ok && age <= d && age >= -maxLeeway
}

// requirementParameters gives what a client must be told to get a token that will do: the parameters scope
// (RFC 6750 §3), or acr_values and max_age (RFC 9470 §3).
func requirementParameters(code Code, needs []Requirement) string {
	var scopes, acrs []string
	age := time.Duration(-1)
	for _, need := range needs {
		scopes = append(scopes, need.scopes...)
		acrs = append(acrs, need.acrs...)
		if need.maxAge != nil && (age < 0 || *need.maxAge < age) {
			age = max(0, *need.maxAge)
		}
	}
	if code == CodeScope {
		return `, scope="` + quoted(strings.Join(scopes, " ")) + `"`
	}
	var b strings.Builder
	if len(acrs) > 0 {
		b.WriteString(`, acr_values="` + quoted(strings.Join(acrs, " ")) + `"`)
	}
	if age >= 0 {
		b.WriteString(`, max_age="` + strconv.FormatInt(int64(age/time.Second), 10) + `"`)
	}
	return b.String()
}
