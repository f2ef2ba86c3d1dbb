package tenant

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
)

// API is a resource server of a tenant: who its tokens are for, and who may ask about them.
type API struct {
	ID          string        // authenticates at the introspection endpoint, together with the secret
	Tenant      string        // the tenant's id
	Audience    string        // resource identifier (RFC 8707 §2) and aud of its tokens, compared byte by byte
	SecretHash  secret.Hash   // of a generated credential of kind secret.APISecret
	Scopes      oauth.Scope   // what a token for it may carry, sorted
	MaxLifetime time.Duration // of tokens for it, whole seconds; 0 is the tenant's
	CreatedAt   time.Time
	DisabledAt  time.Time // zero while the API is live
}

// MaxScopes is how many scopes one API may have.
const MaxScopes = oauth.MaxScopeTokens

// Live reports whether tokens may be issued for the API.
func (a API) Live() bool { return a.DisabledAt.IsZero() }

// NewAPI checks an API. An empty id is replaced by a random one.
func NewAPI(a API) (API, error) {
	if a.ID == "" {
		a.ID = randomID("api")
	}
	var err error
	if a.ID, err = ParseID("API id", a.ID); err != nil {
		return API{}, err
	}
	if a.Tenant, err = ParseTenantID(a.Tenant); err != nil {
		return API{}, err
	}
	if err := checkAudience(a.Audience); err != nil {
		return API{}, err
	}
	if a.SecretHash == (secret.Hash{}) {
		return API{}, invalid("API", "it has no secret", "")
	}
	if a.Scopes, err = scopes("API scope", a.Scopes); err != nil {
		return API{}, err
	}
	for _, token := range oauth.Scopes() {
		if a.Scopes.Has(token) {
			return API{}, invalid("API scope", quote(token)+" is OpenID Connect's own: a client that asks for it would not mean this API", "choose another, such as "+token+":read")
		}
	}
	if a.MaxLifetime != 0 {
		if err := checkLifetime("longest token lifetime", a.MaxLifetime, LongestLifetime); err != nil {
			return API{}, err
		}
	}
	a.CreatedAt, a.DisabledAt = wholeMillis(a.CreatedAt), wholeMillis(a.DisabledAt)
	if a.CreatedAt.IsZero() {
		return API{}, invalid("API", "it has no time of creation", "")
	}
	return a, nil
}

// checkAudience is oauth.CheckResource, and the plainest form besides: what the tokens say, what the API expects and
// what a client asks for must be the same bytes, so a spelling that others would change is refused.
func checkAudience(audience string) error {
	const what, hint = "API", "give the API's own address, such as https://api.acme.example"
	if err := oauth.CheckResource(audience); err != nil {
		why := err.Error()
		if e := (*oauth.Error)(nil); errors.As(err, &e) {
			why = e.Description
		}
		return invalid(what, quote(audience)+": "+why, hint)
	}
	u, err := url.Parse(audience)
	if err != nil || u.Host != strings.ToLower(u.Host) || !strings.HasPrefix(audience, u.Scheme+":") {
		return invalid(what, quote(audience)+" has capital letters in its scheme or host", "write it as clients will ask for it, in lower case")
	}
	return nil
}

// FoldAudience is the form in which two audiences count as the same name when one is registered: audiences that a
// person could mistake for each other are never both given out, although they are compared byte by byte in use.
func FoldAudience(audience string) string {
	return strings.TrimRight(strings.ToLower(audience), "/")
}

func scopes(what string, given oauth.Scope) (oauth.Scope, error) {
	var out oauth.Scope
	for _, token := range given {
		if !oauth.ValidScopeToken(token) || len(token) > 128 {
			return nil, invalid(what, quote(token)+" is not one", "use up to 128 printable characters without spaces, quotes and backslashes, such as orders:read")
		}
		if !out.Has(token) {
			out = append(out, token)
		}
	}
	if len(out) > MaxScopes {
		return nil, invalid(what, plural(len(out), "scope")+" are more than 100", "split the API, or use fewer scopes")
	}
	slices.Sort(out)
	return out, nil
}

// Admits says whether the tenant may have the API: both fit together, and neither is disabled.
func (t Tenant) Admits(a API) error {
	switch {
	case a.Tenant != t.ID:
		return invalid("API", "it names another tenant", "")
	case FoldAudience(a.Audience) == FoldAudience(t.Issuer+"/userinfo"):
		return invalid("API", a.Audience+" is the issuer's own", "give the API's own address")
	case a.MaxLifetime > t.MaxLifetime:
		return invalid("longest token lifetime", a.MaxLifetime.String()+" is longer than the tenant's "+t.MaxLifetime.String(), "leave it out to take the tenant's")
	}
	return nil
}
