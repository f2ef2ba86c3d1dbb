package validate

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A preset is a ForeignConfig that somebody has thought about: the exact name of an issuer, where
// its keys are, what its access tokens look like, and what tells them from its ID tokens. What its
// provider documents and what is pinned stands at each one. Where an issuer signs for anybody who
// has an account there, a good signature says nothing about whose token it is, so such a preset
// makes an Issuer that New refuses unless it is told which organisation, tenant or subject counts.
// That rule holds for ID tokens (NewIDTokens) too; what tells access tokens apart does not.

// unusable gives an issuer that New refuses for this reason.
func unusable(format string, args ...any) Issuer {
	return Issuer{flaw: fmt.Errorf(format, args...)}
}

// KeycloakIssuer trusts one realm of a Keycloak, such as https://sso.example/realms/staff.
//
// Keycloak documents that a realm's URL is its iss and that its keys are at
// protocol/openid-connect/certs below it; each key says its algorithm. Access tokens have the header
// type JWT, or at+jwt where a client is set so, and a claim typ that says Bearer (DPoP where bound);
// ID tokens have the same header type and the claim typ ID. Pinned: issuer, key URL, the two header
// types and the claim typ.
func KeycloakIssuer(realm string) Issuer {
	if at := strings.LastIndex(realm, "/realms/"); at < 0 || at+len("/realms/") == len(realm) || strings.HasSuffix(realm, "/") {
		return unusable("Keycloak issuer %q: give a realm's URL, as https://sso.example/realms/staff", realm)
	}
	return ForeignIssuer(ForeignConfig{
		Issuer: realm,
		Keys:   RemoteKeys(realm + "/protocol/openid-connect/certs"),
		Types:  []string{"JWT", "at+jwt"},

		AccessClaims: []ClaimRule{{Path: []string{"typ"}, OneOf: []string{"Bearer", "DPoP"}}},
	})
}

// EntraConfig describes tokens of Microsoft Entra ID (the worldwide cloud).
type EntraConfig struct {
	// Tenants are the directory ids of the organisations whose tokens count: lower-case UUIDs, not
	// domain names. At least one is required, because Entra signs for every organisation there is.
	Tenants []string

	// Version is that of the access tokens, 1 or 2, as the API's manifest says in
	// requestedAccessTokenVersion (where null means 1). Default 2.
	Version int

	// Clients are the applications that are accepted: azp in version 2, appid in version 1, which
	// Config.Clients does not look at. nil accepts every client.
	Clients []string
}

const entra = "https://login.microsoftonline.com/"

// EntraIssuer trusts organisations of Microsoft Entra ID.
//
// Microsoft documents that iss is https://login.microsoftonline.com/{tid}/v2.0 in version 2 and
// https://sts.windows.net/{tid}/ in version 1, that tid is the organisation, and that each key of
// the version 2 documents says in a member issuer whose tokens it signs: {tenantid} for any
// organisation, or one tenant literally, as for consumers' accounts. Tokens are RS256 with the type
// JWT; the claims ver and azp (appid in version 1) are in access tokens, azp and appid in no ID
// token. Pinned: all of that. Every key must name its issuer, for version 1 tokens too, a key for
// one tenant signs for no other, and a key for any tenant never stands in for a tenant's own.
func EntraIssuer(c EntraConfig) Issuer {
	if len(c.Tenants) == 0 {
		return unusable("Entra issuer: it signs for every organisation there is: say in Tenants which directory ids count")
	}
	place := tenantMark
	keys := RemoteKeys(entra + "common/discovery/v2.0/keys")
	if len(c.Tenants) == 1 {
		place = c.Tenants[0]
		keys = RemoteKeys(entra + place + "/discovery/v2.0/keys")
	}
	for _, t := range c.Tenants {
		if !isUUID([]byte(t)) {
			return unusable("Entra issuer: tenant %q is not a directory id, a UUID in lower case", t)
		}
	}
	f := ForeignConfig{
		Issuer:     entra + place + "/v2.0",
		KeyIssuer:  entra + place + "/v2.0",
		Tenants:    c.Tenants,
		Keys:       keys,
		Types:      []string{"JWT"},
		Algorithms: []Alg{RS256},
		Claims:     []ClaimRule{{Path: []string{"ver"}, OneOf: []string{"2.0"}}},

		AccessClaims: []ClaimRule{{Path: []string{"azp"}, OneOf: c.Clients}},
	}
	switch c.Version {
	case 0, 2:
	case 1:
		f.Issuer = "https://sts.windows.net/" + place + "/"
		f.Claims = []ClaimRule{{Path: []string{"ver"}, OneOf: []string{"1.0"}}}
		f.AccessClaims = []ClaimRule{{Path: []string{"appid"}, OneOf: c.Clients}}
	default:
		return unusable("Entra issuer: there is no version %d of its tokens, only 1 and 2", c.Version)
	}
	return ForeignIssuer(f)
}

// OktaConfig describes an authorization server of an Okta organisation.
type OktaConfig struct {
	// Issuer is the server's issuer URI: https://acme.okta.com/oauth2/default for a custom server,
	// https://acme.okta.com for the organisation's own.
	Issuer string

	// Clients are the applications that are accepted: cid in access tokens, which Config.Clients
	// does not look at. nil accepts every client.
	Clients []string
}

// OktaIssuer trusts one authorization server of an Okta organisation.
//
// Okta documents that a custom server's keys are at v1/keys below its issuer, that its tokens are
// RS256, and that the claim cid, the client, is in access tokens; neither these nor ID tokens carry
// a typ. Pinned: issuer, key URL, RS256, no typ or at+jwt, and that cid is there.
//
// The organisation's own server signs access tokens for Okta's APIs only, marked by a type of their
// own, and Okta asks that nobody else validate them. So of that server ID tokens count, which are
// told by the claim idp; their audience is the application, so let it be the only one in
// Config.Audiences. Clients must then be empty.
func OktaIssuer(c OktaConfig) Issuer {
	u, err := url.Parse(c.Issuer)
	if err != nil || strings.HasSuffix(c.Issuer, "/") {
		return unusable("Okta issuer %q: give the issuer URI as Okta shows it, without a slash at the end", c.Issuer)
	}
	f := ForeignConfig{
		Issuer:     c.Issuer,
		Keys:       RemoteKeys(c.Issuer + "/v1/keys"),
		Types:      []string{Untyped, "at+jwt"},
		Algorithms: []Alg{RS256},

		AccessClaims: []ClaimRule{{Path: []string{"cid"}, OneOf: c.Clients}},
	}
	switch server, custom := strings.CutPrefix(u.Path, "/oauth2/"); {
	case custom && server != "" && !strings.Contains(server, "/"):
	case u.Path == "" && c.Clients == nil:
		f.Keys = RemoteKeys(c.Issuer + "/oauth2/v1/keys")
		f.Types = []string{Untyped}
		f.AccessClaims = []ClaimRule{{Path: []string{"idp"}}}
	case u.Path == "":
		return unusable("Okta issuer %q: ID tokens name no client but their audience: put it into Config.Audiences", c.Issuer)
	default:
		return unusable("Okta issuer %q: it is neither an organisation's own server nor one at /oauth2/ID", c.Issuer)
	}
	return ForeignIssuer(f)
}

// Auth0Issuer trusts one Auth0 tenant by its domain, such as acme.eu.auth0.com or a custom domain.
//
// Auth0 documents that iss is https://DOMAIN/ with the slash, that the keys are at
// .well-known/jwks.json, and that access tokens for an API are RS256 by default with the type JWT,
// or at+jwt in the RFC 9068 profile, with the client in azp. Pinned: all of that. ID tokens have the
// client as their audience and no azp.
func Auth0Issuer(domain string) Issuer {
	if domain == "" || strings.ContainsAny(domain, "/:?#@") {
		return unusable("Auth0 issuer %q: give the domain alone, as acme.eu.auth0.com", domain)
	}
	return ForeignIssuer(ForeignConfig{
		Issuer:     "https://" + domain + "/",
		Keys:       RemoteKeys("https://" + domain + "/.well-known/jwks.json"),
		Types:      []string{"JWT", "at+jwt"},
		Algorithms: []Alg{RS256, PS256},

		AccessClaims: []ClaimRule{{Path: []string{"azp"}}},
	})
}

// GoogleConfig says whose ID tokens of Google count: people of an organisation by way of known
// clients, or known subjects.
type GoogleConfig struct {
	// HostedDomains are the Workspace domains that are accepted, as in hd. Google puts hd into the
	// tokens of an organisation's accounts only; an e-mail address proves no membership.
	HostedDomains []string

	// Clients are the OAuth clients that are accepted, as in azp. Required with HostedDomains: the
	// audience alone is chosen by whoever asked for the token.
	Clients []string

	// Subjects are the accounts that are accepted, as in sub: for service accounts, their numeric
	// unique ids. With HostedDomains too, both must fit.
	Subjects []string
}

// GoogleIssuer trusts ID tokens that Google signed for people of an organisation or for known
// service accounts.
//
// Google documents that iss is https://accounts.google.com (and that it may lack the https://, which
// is another name and is refused here), that keys are at googleapis.com/oauth2/v3/certs, that sub
// never changes and is never used again, and that hd names the organisation. Tokens are RS256 with
// the type JWT. Pinned: all of that. Google's access tokens are opaque; there are none to validate.
func GoogleIssuer(c GoogleConfig) Issuer {
	switch {
	case len(c.HostedDomains) == 0 && len(c.Subjects) == 0:
		return unusable("Google issuer: it signs for every Google account: say whose tokens count, by HostedDomains with Clients, or by Subjects")
	case len(c.HostedDomains) > 0 && len(c.Clients) == 0:
		return unusable("Google issuer: HostedDomains need Clients: any application can get a token of an organisation's people")
	}
	f := ForeignConfig{
		Issuer:     "https://accounts.google.com",
		Keys:       RemoteKeys("https://www.googleapis.com/oauth2/v3/certs"),
		Types:      []string{"JWT"},
		Algorithms: []Alg{RS256},
	}
	f.require("hd", c.HostedDomains)
	f.require("azp", c.Clients)
	f.require("sub", c.Subjects)
	return ForeignIssuer(f)
}

// require adds a claim rule if there is anything to demand.
func (f *ForeignConfig) require(claim string, oneOf []string) {
	if len(oneOf) > 0 {
		f.Claims = append(f.Claims, ClaimRule{Path: []string{claim}, OneOf: oneOf})
	}
}

// GitHubActionsConfig says whose workflows' tokens count. All ids are numbers, written as text:
// names of owners and repositories can be given up and taken by somebody else.
type GitHubActionsConfig struct {
	// Owners are the organisations and users that are accepted, as in repository_owner_id.
	// Required: GitHub signs for every repository there is.
	Owners []string

	// Repositories are those that are accepted, as in repository_id. nil accepts every one of Owners.
	Repositories []string

	// Claims are demanded besides: a ref, an environment, a job_workflow_ref.
	Claims []ClaimRule
}

// GitHubActionsIssuer trusts the OpenID Connect tokens of GitHub Actions' workflows.
//
// GitHub documents that iss is https://token.actions.githubusercontent.com for all of GitHub, that
// the keys are at .well-known/jwks, that whoever runs a workflow chooses the audience, and that
// repository_owner_id and repository_id stay while names change. Tokens are RS256 with the type JWT.
// Pinned: all of that.
func GitHubActionsIssuer(c GitHubActionsConfig) Issuer {
	if len(c.Owners) == 0 {
		return unusable("GitHub Actions issuer: it signs for every repository there is: say in Owners which repository_owner_id counts")
	}
	for _, id := range slices.Concat(c.Owners, c.Repositories) {
		if id == "" || strings.Trim(id, "0123456789") != "" {
			return unusable("GitHub Actions issuer: %q is not a numeric id, and a name can change hands", id)
		}
	}
	f := ForeignConfig{
		Issuer:     "https://token.actions.githubusercontent.com",
		Keys:       RemoteKeys("https://token.actions.githubusercontent.com/.well-known/jwks"),
		Types:      []string{"JWT"},
		Algorithms: []Alg{RS256},
		Claims:     slices.Clone(c.Claims),
	}
	f.require("repository_owner_id", c.Owners)
	f.require("repository_id", c.Repositories)
	return ForeignIssuer(f)
}

// KubernetesConfig describes the service accounts of one cluster.
type KubernetesConfig struct {
	// Issuer is the cluster's --service-account-issuer, as in iss.
	Issuer string

	// Keys is where the keys come from: the cluster's /openid/v1/jwks, often by a transport that
	// knows the cluster's authority and holds a token. Default: openid/v1/jwks below Issuer.
	Keys KeySource

	// Namespaces are those whose service accounts are accepted. Required: a cluster signs for every
	// pod in it.
	Namespaces []string

	// ServiceAccounts are the accounts that are accepted, by their uid, which a new account of the
	// same name does not inherit. nil accepts every one of Namespaces.
	ServiceAccounts []string
}

// KubernetesIssuer trusts the bound service account tokens of one cluster.
//
// Kubernetes documents that iss is the cluster's service account issuer, and that the claim
// kubernetes.io holds the namespace and the account's name and uid. Tokens are RS256 or ES256,
// without typ. Pinned: issuer, key URL, no typ, and the namespace. Tokens of the old kind, kept in
// Secrets, never expire and are refused, and so are those that the API server stretches to a year
// for its own audience.
func KubernetesIssuer(c KubernetesConfig) Issuer {
	if len(c.Namespaces) == 0 {
		return unusable("Kubernetes issuer %q: it signs for every pod of the cluster: say in Namespaces whose tokens count", c.Issuer)
	}
	f := ForeignConfig{
		Issuer:     c.Issuer,
		Keys:       c.Keys,
		Types:      []string{Untyped},
		Algorithms: []Alg{RS256, ES256},
		Claims:     []ClaimRule{{Path: []string{"kubernetes.io", "namespace"}, OneOf: c.Namespaces}},
	}
	if f.Keys.url == "" && f.Keys.doc == nil {
		f.Keys = RemoteKeys(strings.TrimSuffix(c.Issuer, "/") + "/openid/v1/jwks")
	}
	if c.ServiceAccounts != nil {
		f.Claims = append(f.Claims, ClaimRule{Path: []string{"kubernetes.io", "serviceaccount", "uid"}, OneOf: c.ServiceAccounts})
	}
	return ForeignIssuer(f)
}
