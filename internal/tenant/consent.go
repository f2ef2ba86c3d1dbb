package tenant

import (
	"maps"
	"slices"
	"time"

	"seawall/internal/oauth"
)

// Consent is what a person has allowed a client, for this time and later ones. Scopes are kept for each audience: to read
// here and to write there is not to write here.
type Consent struct {
	Tenant, Person, Client string
	Terms                  map[string]oauth.Scope // by audience; "" is for what concerns no API
	GivenAt                time.Time              // the first time
	ChangedAt              time.Time              // the last time that something was added
}

// Covers reports whether the person has allowed all of it before. What concerns no API they have allowed also where they allowed it
// together with one, which is more.
func (c Consent) Covers(scope oauth.Scope, resources []string) bool {
	if len(resources) == 0 && len(scope.Without(oauth.Scopes())) == 0 {
		for _, terms := range c.Terms {
			if len(scope.Without(terms)) == 0 {
				return true
			}
		}
		return false
	}
	for _, audience := range audiences(resources) {
		terms, known := c.Terms[audience]
		if !known || len(scope.Without(terms)) > 0 {
			return false
		}
	}
	return true
}

// With is the consent with more allowed.
func (c Consent) With(scope oauth.Scope, resources []string) Consent {
	terms := maps.Clone(c.Terms)
	if terms == nil {
		terms = map[string]oauth.Scope{}
	}
	for _, audience := range audiences(resources) {
		more := slices.Concat(terms[audience], scope.Without(terms[audience]))
		slices.Sort(more)
		terms[audience] = slices.Compact(more)
	}
	c.Terms = terms
	return c
}

func audiences(resources []string) []string {
	if len(resources) == 0 {
		return []string{""}
	}
	return resources
}
