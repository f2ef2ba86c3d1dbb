package server

import (
	"slices"

	"seawall/internal/authorize"
	"seawall/internal/grant"
	"seawall/internal/oauth"
	"seawall/internal/tenant"
	"seawall/validate"
)

// metadataPage is a tenant's metadata document, and the pin that it was made with.
type metadataPage struct {
	*page
	pin string
}

// cacheMetadata lets caches keep metadata for as long as a change of scopes may take to show.
const cacheMetadata = "public, max-age=300"

// describe returns the tenant's metadata document (RFC 8414 §2). The OpenID form is the same document with the members
// that OpenID Connect Discovery §3 requires besides.
func (r *resident) describe(pin string) (*page, error) {
	if had := r.metadata.Load(); had != nil && had.pin == pin {
		return had.page, nil
	}
	body, err := encode(r.document(pin))
	if err != nil {
		return nil, err
	}
	next := &metadataPage{newPage(body, "application/json", cacheMetadata), pin}
	r.metadata.Store(next)
	return next.page, nil
}

// document tells what works, from the lists of what is mounted and from what the tenant has: where nobody can sign in to
// anything, there is nowhere to send people. The members for ID tokens have to be there for OpenID clients to accept the
// document at all; the algorithm is that of everything this issuer signs.
func (r *resident) document(pin string) oauth.Metadata {
	issuer := r.tenant.Issuer
	m := oauth.Metadata{
		Issuer:                        issuer,
		TokenEndpoint:                 issuer + pathToken,
		JWKSURI:                       issuer + pathKeys,
		IntrospectionEndpoint:         issuer + pathIntrospect,
		ResponseTypesSupported:        []string{},
		SubjectTypesSupported:         []string{"public"},
		IDTokenSigningAlgsSupported:   []string{string(r.tenant.Algorithm)},
		TokenAuthMethodsSupported:     r.authMethods(),
		TokenAuthSigningAlgsSupported: grant.AssertionAlgorithms(),
		DPoPSigningAlgsSupported:      []string{string(validate.ES256), string(validate.RS256), string(validate.PS256), string(validate.EdDSA)},
		IntrospectionAuthMethods:      []oauth.AuthMethod{oauth.ClientSecretBasic, oauth.ClientSecretPost},
		RevocationEndpoint:            issuer + pathRevoke,
		RevocationAuthMethods:         r.authMethods(),
		RevocationAuthSigningAlgs:     grant.AssertionAlgorithms(),
		SeawallLedger:                 pin,
		SeawallDistrustFeed:           issuer + pathFeed,
	}
	for _, a := range r.apis {
		if a.Live() {
			m.ScopesSupported = append(m.ScopesSupported, a.Scopes...)
		}
	}
	for _, g := range grant.All() {
		if g.Type() == oauth.ClientCredentials || r.signsIn() {
			m.GrantTypesSupported = append(m.GrantTypesSupported, g.Type())
		}
	}
	if r.signsIn() {
		r.describeSignIn(&m)
	}
	slices.Sort(m.ScopesSupported)
	m.ScopesSupported = slices.Compact(m.ScopesSupported)
	return m
}

// describeSignIn adds what clients need that people sign in to.
func (r *resident) describeSignIn(m *oauth.Metadata) {
	yes, no := true, false
	m.AuthorizationEndpoint = m.Issuer + authorize.Path
	m.EndSessionEndpoint = m.Issuer + authorize.LogoutPath
	m.UserinfoEndpoint = m.Issuer + pathUserinfo
	m.ResponseTypesSupported = []string{oauth.ResponseCode}
	m.ResponseModesSupported = []string{oauth.ResponseQuery}
	m.ResponseIssSupported = true
	m.CodeChallengeMethodsSupported = []string{oauth.ChallengeS256}
	m.PromptValuesSupported = oauth.Prompts()
	m.ACRValuesSupported = authorize.ACRValues(&r.tenant)
	m.UILocalesSupported = authorize.Languages()
	m.ScopesSupported = append(m.ScopesSupported, oauth.Scopes()...)
	m.ClaimsSupported = []string{"sub", "iss", "aud", "exp", "iat", "jti", "auth_time", "nonce", "acr", "amr", "sid", "name", "preferred_username"}
	m.ClaimsParameterSupported, m.RequestParameterSupported, m.RequestURIParameterSupported = &yes, &no, &no
}

// signsIn reports whether people sign in to any of the tenant's clients.
func (r *resident) signsIn() bool { return slices.ContainsFunc(r.clients, tenant.ClientType.SignsIn) }

// authMethods lists how the tenant's clients authenticate. Not at all is one of the ways only where it has public ones.
func (r *resident) authMethods() []oauth.AuthMethod {
	if slices.ContainsFunc(r.clients, tenant.ClientType.Public) {
		return append(grant.AuthMethods(), oauth.AuthNone)
	}
	return grant.AuthMethods()
}
