package grant

import (
	"slices"

	"seawall/internal/oauth"
	"seawall/internal/tenant"
	"seawall/internal/token"
)

// agreement is what a person has agreed to: in a code, or in a family of refresh tokens.
type agreement struct {
	person    string
	scope     oauth.Scope
	resources []string
	signIn    token.SignIn
	nonce     string
}

var (
	errNotAgreed      = oauth.Errorf(oauth.InvalidTarget, "The person has not agreed to this resource, or the client may not use it any more.")
	errScopeNotAgreed = oauth.Errorf(oauth.InvalidScope, "The person has not agreed to one of these scopes, or the client may not have it any more (RFC 6749, section 6).")
	errNothingLeft    = oauth.Errorf(oauth.InvalidTarget, "Of what the person agreed to, nothing is left that the client may use.")
)

// longestID is how long an ID token lives at most, in seconds, however long access tokens do: it is used once, at once. The
// signer has the same ceiling.
const longestID = 3600

// Userinfo is the audience of tokens for an issuer's userinfo endpoint, and its address (OpenID Connect Core §5.3).
func Userinfo(t *tenant.Tenant) string { return t.Issuer + "/userinfo" }

// authorize returns what the client may have of an agreement now: what the person agreed to, as far as the client is
// registered for it and its APIs know it at this moment, and no more than the request asks for. Never more than was
// agreed to.
func (a *agreement) authorize(q *Request, asked oauth.Scope) (*token.Authorization, error) {
	if len(asked.Without(a.scope)) > 0 {
		return nil, errScopeNotAgreed
	}
	named := len(asked) > 0
	if !named {
		asked = a.scope
	}
	apis, userinfo, err := a.audience(q)
	if err != nil {
		return nil, err
	}
	out := &token.Authorization{
		Tenant: q.Tenant.ID, Issuer: q.Tenant.Issuer, ClientID: q.Client.registered.ID, Subject: a.person,
		Lifetime: q.Client.lifetime, Custom: q.Client.claims, Evidence: q.Evidence, SignIn: &a.signIn,
	}
	for _, api := range apis {
		out.Audience = append(out.Audience, api.audience)
		if api.lifetime != 0 {
			out.Lifetime = min(out.Lifetime, api.lifetime)
		}
	}
	if userinfo {
		out.Audience = append(out.Audience, Userinfo(q.Tenant))
	}
	var scope oauth.Scope
	for _, s := range asked {
		ours := oauth.Scopes().Has(s)
		granted, mixed := standing(s, apis)
		switch {
		case ours && userinfo, granted && !mixed:
			scope = append(scope, s)
		case ours || !named: // an ID token needs no audience, and what was not named is left out
		case mixed:
			return nil, errMixedScope
		default:
			return nil, errScopeNotAgreed
		}
	}
	out.Scope = scope.String()
	if asked.Has(oauth.ScopeOpenID) {
		out.ID = &token.ID{Nonce: a.nonce, Lifetime: min(out.Lifetime, longestID)}
	}
	return out, nil
}

// audience returns the APIs that a token is to be for, and whether it is for userinfo too: those that the request names,
// or else all that are left.
func (a *agreement) audience(q *Request) (apis []*access, userinfo bool, err error) {
	named := q.Form.Values("resource")
	openID := a.scope.Has(oauth.ScopeOpenID)
	for _, resource := range named {
		switch {
		case openID && resource == Userinfo(q.Tenant):
			userinfo = true
		case !slices.Contains(a.resources, resource) || q.Client.pick(resource) == nil:
			return nil, false, errNotAgreed
		default:
			apis = addOnce(apis, q.Client.pick(resource))
		}
	}
	if len(named) > 0 {
		return apis, userinfo, nil
	}
	for _, resource := range a.resources {
		if api := q.Client.pick(resource); api != nil {
			apis = addOnce(apis, api)
		}
	}
	if len(apis) == 0 && !openID {
		return nil, false, errNothingLeft
	}
	return apis, openID, nil
}

func addOnce(apis []*access, api *access) []*access {
	if slices.Contains(apis, api) {
		return apis
	}
	return append(apis, api)
}
