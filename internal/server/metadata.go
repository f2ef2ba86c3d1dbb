package server

import (
	"slices"

	"seawall/internal/grant"
	"seawall/internal/oauth"
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

// document tells what works, from the lists of what is mounted. The members for ID tokens have to be there for OpenID
// clients to accept the document at all; the algorithm is that of everything this issuer signs.
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
		TokenAuthMethodsSupported:     grant.AuthMethods(),
		TokenAuthSigningAlgsSupported: grant.AssertionAlgorithms(),
		IntrospectionAuthMethods:      []oauth.AuthMethod{oauth.ClientSecretBasic, oauth.ClientSecretPost},
		RevocationEndpoint:            issuer + pathRevoke,
		RevocationAuthMethods:         grant.AuthMethods(),
		RevocationAuthSigningAlgs:     grant.AssertionAlgorithms(),
		SeawallLedger:                 pin,
		SeawallDistrustFeed:           issuer + pathFeed,
	}
	for _, g := range grant.All() {
		m.GrantTypesSupported = append(m.GrantTypesSupported, g.Type())
	}
	for _, a := range r.apis {
		if a.Live() {
			m.ScopesSupported = append(m.ScopesSupported, a.Scopes...)
		}
	}
	slices.Sort(m.ScopesSupported)
	m.ScopesSupported = slices.Compact(m.ScopesSupported)
	return m
}
