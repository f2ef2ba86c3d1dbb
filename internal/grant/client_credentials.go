package grant

import (
	"context"
	"slices"

	"seawall/internal/oauth"
	"seawall/internal/token"
)

// maxResources is how many APIs one token may be for.
const maxResources = 16

// clientCredentials is the grant of a client that acts for itself (RFC 6749 §4.4). The client is the subject.
type clientCredentials struct{}

func (clientCredentials) Type() oauth.GrantType { return oauth.ClientCredentials }

func (clientCredentials) Authorize(_ context.Context, q *Request) (*token.Authorization, Keep, error) {
	apis, err := resources(q)
	if err != nil {
		return nil, nil, err
	}
	a := &token.Authorization{
		Tenant: q.Tenant.ID, Issuer: q.Tenant.Issuer, ClientID: q.Client.registered.ID, Subject: q.Client.registered.ID,
		Lifetime: q.Client.lifetime, Custom: q.Client.claims, Evidence: q.Evidence,
	}
	for _, api := range apis {
		if api.lifetime != 0 {
			a.Lifetime = min(a.Lifetime, api.lifetime)
		}
	}
	if len(apis) == 1 {
		a.Audience = apis[0].only
	} else {
		for _, api := range apis {
			a.Audience = append(a.Audience, api.audience)
		}
	}
	a.Scope, err = scope(q.Form.Value("scope"), apis)
	return a, nil, err
}

var (
	errNoAPI      = oauth.Errorf(oauth.InvalidTarget, "The client has no API that it could use: all are disabled.")
	errWhichAPI   = oauth.Errorf(oauth.InvalidTarget, "The client has more than one API: name one with the resource parameter (RFC 8707).")
	errOtherAPI   = oauth.Errorf(oauth.InvalidTarget, "The client may not ask for this resource, or there is no such API.")
	errManyAPIs   = oauth.Errorf(oauth.InvalidTarget, "A token can be for at most 16 resources.")
	errOtherScope = oauth.Errorf(oauth.InvalidScope, "The client may not ask for one of these scopes at this resource.")
	errMixedScope = oauth.Errorf(oauth.InvalidScope, "One of these scopes means something at a second resource, where the client does not have it. Ask for a token for each resource.")
)

// resources returns the APIs that the token is to be for: those asked for (RFC 8707 §2), or the client's only one.
func resources(q *Request) ([]*access, error) {
	asked := q.Form.Values("resource")
	if len(asked) == 0 {
		switch len(q.Client.access) {
		case 0:
			return nil, errNoAPI
		case 1:
			return []*access{&q.Client.access[0]}, nil
		}
		return nil, errWhichAPI
	}
	var apis []*access
	for _, resource := range asked {
		if err := oauth.CheckResource(resource); err != nil {
			return nil, err
		}
		api := q.Client.pick(resource)
		if api == nil {
			return nil, errOtherAPI
		}
		if !slices.Contains(apis, api) {
			apis = append(apis, api)
		}
	}
	if len(apis) > maxResources {
		return nil, errManyAPIs
	}
	return apis, nil
}

// scope returns the scope of a token for apis: what was asked for, or everything the client may have.
//
// A token for two APIs shows the same scope to both. So a scope that the client has at one of them, and that the other
// knows too but did not give to the client, can't be in it: the other would take it for its own (RFC 9068 §5).
func scope(asked string, apis []*access) (string, error) {
	if asked == "" {
		if len(apis) == 1 {
			return apis[0].scope, nil
		}
		return everything(apis).String(), nil
	}
	if len(apis) == 1 && asked == apis[0].scope {
		return asked, nil
	}
	wanted, err := oauth.ParseScope(asked)
	if err != nil {
		return "", err
	}
	for _, s := range wanted {
		granted, mixed := standing(s, apis)
		if !granted {
			return "", errOtherScope
		}
		if mixed {
			return "", errMixedScope
		}
	}
	return wanted.String(), nil
}

func everything(apis []*access) oauth.Scope {
	var all oauth.Scope
	for _, api := range apis {
		for _, s := range api.scopes {
			if _, mixed := standing(s, apis); !mixed && !all.Has(s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// standing reports whether the client has s at one of the APIs, and whether another one knows s and withholds it.
func standing(s string, apis []*access) (granted, mixed bool) {
	for _, api := range apis {
		has := api.scopes.Has(s)
		granted = granted || has
		mixed = mixed || !has && api.known.Has(s)
	}
	return granted, mixed
}
