package validate_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"seawall/validate"
	"seawall/validate/internal/forge"
)

// The shapes below are those of each provider's documents and tokens; keys and ids are our own.

type object = map[string]any

const (
	presetNow = 1790000000
	ours      = "2a9c4e71-65d0-4b3f-8e12-b7d4f09a3c55" // our Entra directory
	theirs    = "7f3d1c08-9b2e-4a6d-b5f1-0e8c7a4d2b19"
	consumers = "9188040d-6c67-4c5b-b112-36a304b66dad"
)

// provider is one provider as a test sees it: its documents, a good token's parts, and attacks.
type provider struct {
	name     string
	issuer   validate.Issuer // without keys
	keys     []byte
	audience string
	header   object
	claims   object
	key      *forge.Key
	good     []attack // further tokens that are accepted
	attacks  []attack
}

// attack changes a good token; nil takes a member away.
type attack struct {
	name   string
	header object
	claims object
	key    *forge.Key // nil for the provider's own
	code   validate.Code
}

func (p provider) token(a attack) string {
	change := func(base, with object) []byte {
		o := maps.Clone(base)
		maps.Copy(o, with)
		maps.DeleteFunc(o, func(_ string, v any) bool { return v == nil })
		return forge.JSON(o)
	}
	key := p.key
	if a.key != nil {
		key = a.key
	}
	header := object{"alg": key.Alg, "kid": key.ID}
	maps.Copy(header, p.header)
	return key.Sign(change(header, a.header), change(p.claims, a.claims))
}

// shape gives a JWK as a provider publishes it: its members, and the key itself.
func shape(k *forge.Key, members object) object {
	jwk := k.Public()
	jwk["kid"], jwk["use"] = k.ID, "sig"
	maps.Copy(jwk, members)
	return jwk
}

// times are the claims that every token has.
func times(claims object) object {
	claims["iat"], claims["exp"] = presetNow-60, presetNow+3540
	return claims
}

func presetValidator(t *testing.T, p provider) *validate.Validator {
	t.Helper()
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{p.issuer.WithKeys(validate.StaticKeys(p.keys))},
		Audiences: []string{p.audience},
		Now:       func() time.Time { return time.Unix(presetNow, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func TestPresets(t *testing.T) {
	rs, other := forge.NewKey("RS256", "rs-1"), forge.NewKey("RS256", "rs-2")
	for _, p := range []provider{
		keycloak(rs), entraSingle(rs, other), entraMany(rs, other), entraV1(rs, other), entraV1Many(rs, other),
		okta(rs), oktaOrg(rs), auth0(rs), google(rs), googleService(rs), github(rs), kubernetes(rs),
	} {
		t.Run(p.name, func(t *testing.T) {
			v := presetValidator(t, p)
			good := p.token(attack{})
			if _, err := v.Token(context.Background(), good); err != nil {
				t.Fatalf("a good token: %v", err)
			}
			for _, g := range p.good {
				if _, err := v.Token(context.Background(), p.token(g)); err != nil {
					t.Errorf("%s: %v", g.name, err)
				}
			}
			common := []attack{
				{name: "another key of the same name", key: &forge.Key{Alg: "RS256", ID: rs.ID, Signer: forge.NewKey("RS256", "x").Signer}, code: validate.CodeSignature},
				{name: "issuer with another slash", claims: object{"iss": otherSlash(p.claims["iss"].(string))}, code: validate.CodeIssuer},
				{name: "another audience", claims: object{"aud": "https://elsewhere.example"}, code: validate.CodeAudience},
				{name: "a type of another kind", header: object{"typ": "logout+jwt"}, code: validate.CodeTyp},
				{name: "a typ that is not text", header: object{"typ": 5}, code: validate.CodeTyp},
				{name: "the word for no typ as typ", header: object{"typ": validate.Untyped}, code: validate.CodeTyp},
				{name: "PS256 on a key for RS256", key: &forge.Key{Alg: "PS256", ID: rs.ID, Signer: rs.Signer}, code: algCode(p)},
			}
			for _, a := range append(common, p.attacks...) {
				t.Run(a.name, func(t *testing.T) { refused(t, v, p.token(a), a.code) })
			}
		})
	}
}

// algCode is what refuses an algorithm that the provider does not use: the preset, or the key where
// keys say what they are for.
func algCode(p provider) validate.Code {
	if p.name == "Keycloak" || strings.HasPrefix(p.name, "Auth0") {
		return validate.CodeKeyAlg
	}
	return validate.CodeAlg
}

func otherSlash(iss string) string {
	if cut, had := strings.CutSuffix(iss, "/"); had {
		return cut
	}
	return iss + "/"
}

func keycloak(rs *forge.Key) provider {
	const realm = "https://sso.example/realms/staff"
	encryption := shape(forge.NewKey("RS256", "enc-1"), object{"use": "enc", "alg": "RSA-OAEP"})
	return provider{
		name: "Keycloak", issuer: validate.KeycloakIssuer(realm), audience: "stock", key: rs,
		keys:   forge.Set(nil, encryption, shape(rs, object{"alg": "RS256", "x5c": []string{"MIIC"}, "x5t": "aaaa", "x5t#S256": "bbbb"})),
		header: object{"typ": "JWT"},
		claims: times(object{
			"iss": realm, "aud": []string{"stock", "account"}, "sub": "f4c1e5ba-7f0e-4c55-9c2b-6d1de1a2a001", "typ": "Bearer", "azp": "web", "jti": "onrtac:1",
			"sid": "s-1", "acr": "1", "realm_access": object{"roles": []string{"user"}}, "scope": "openid email", "auth_time": presetNow - 100,
		}),
		good: []attack{{name: "at+jwt", header: object{"typ": "at+jwt"}}},
		attacks: []attack{
			{name: "ID token", claims: object{"typ": "ID"}, code: validate.CodeClaimRule},
			{name: "refresh token", claims: object{"typ": "Refresh"}, code: validate.CodeClaimRule},
			{name: "logout token", claims: object{"typ": "Logout"}, code: validate.CodeClaimRule},
			{name: "no claim typ", claims: object{"typ": nil}, code: validate.CodeClaimRule},
			{name: "claim typ in a list", claims: object{"typ": []string{"Bearer"}}, code: validate.CodeClaimRule},
			{name: "claim typ in another case", claims: object{"typ": "bearer"}, code: validate.CodeClaimRule},
			{name: "another realm", claims: object{"iss": "https://sso.example/realms/customers"}, code: validate.CodeIssuer},
			{name: "no typ", header: object{"typ": nil}, code: validate.CodeTyp},
		},
	}
}

// entraKeys is the document of many tenants: one key for any of them, one for consumers' accounts.
func entraKeys(any, consumer *forge.Key) []byte {
	with := func(issuer string) object {
		return object{"x5t": "aaaa", "x5c": []string{"MIIC"}, "cloud_instance_name": "microsoftonline.com", "issuer": issuer}
	}
	return forge.Set(nil,
		shape(any, with("https://login.microsoftonline.com/{tenantid}/v2.0")),
		shape(consumer, with("https://login.microsoftonline.com/"+consumers+"/v2.0")),
		shape(forge.NewKey("RS256", "silent"), object{"x5t": "cccc"}))
}

func entraClaims(tid string) object {
	return times(object{
		"aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "iss": "https://login.microsoftonline.com/" + tid + "/v2.0", "nbf": presetNow - 60, "aio": "AXQAi/8IAAAA",
		"azp": "f0b3c2a4-1d5e-4b6f-8a97-c0d1e2f3a4b5", "azpacr": "1", "name": "A", "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "rh": "I", "scp": "access_as_user",
		"sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", "tid": tid, "uti": "fqiBqXLPj0eQa82S-IYFAA", "ver": "2.0",
	})
}

// entraAttacks are the ways across tenants. A key's issuer is judged after the token's tenant.
func entraAttacks(consumer *forge.Key) []attack {
	return []attack{
		{name: "consumer key for an enterprise", key: consumer, code: validate.CodeKeyIssuer},
		{name: "foreign tenant", claims: entraTenant(theirs), code: validate.CodeTenant},
		{name: "missing tid", claims: object{"tid": nil}, code: validate.CodeTenant},
		{name: "tid of another form", claims: object{"tid": []string{ours}}, code: validate.CodeTenant},
		{name: "tid in capitals", claims: object{"tid": strings.ToUpper(ours)}, code: validate.CodeTenant},
		{name: "foreign tid in our issuer", claims: object{"tid": theirs}, code: validate.CodeTenant},
		{name: "key that names nobody", key: &forge.Key{Alg: "RS256", ID: "silent", Signer: consumer.Signer}, code: validate.CodeKeyIssuer},
		{name: "ID token", claims: object{"azp": nil, "appid": nil}, code: validate.CodeClaimRule},
		{name: "token of the other version", claims: object{"ver": "3.0"}, code: validate.CodeClaimRule},
		{name: "version as a number", claims: object{"ver": 2.0}, code: validate.CodeClaimRule},
		{name: "at+jwt", header: object{"typ": "at+jwt"}, code: validate.CodeTyp},
	}
}

func entraTenant(tid string) object {
	return object{"iss": "https://login.microsoftonline.com/" + tid + "/v2.0", "tid": tid}
}

func entraSingle(rs, consumer *forge.Key) provider {
	attacks := entraAttacks(consumer)
	attacks[1].code = validate.CodeIssuer // one exact issuer is configured
	return provider{
		name: "Entra, one tenant", issuer: validate.EntraIssuer(validate.EntraConfig{Tenants: []string{ours}}), audience: "6e74172b-be56-4843-9ff4-e66a39bb12e3",
		key: rs, keys: entraKeys(rs, consumer), header: object{"typ": "JWT", "x5t": "aaaa"}, claims: entraClaims(ours),
		attacks: append(attacks,
			attack{name: "tid merely contained in iss", claims: object{"iss": "https://login.microsoftonline.com/" + ours + "/v2.0/" + theirs, "tid": ours}, code: validate.CodeIssuer},
			attack{name: "version 1 name", claims: object{"iss": "https://sts.windows.net/" + ours + "/"}, code: validate.CodeIssuer}),
	}
}

func entraMany(rs, consumer *forge.Key) provider {
	toConsumers := entraTenant(consumers)
	return provider{
		name:     "Entra, several tenants",
		issuer:   validate.EntraIssuer(validate.EntraConfig{Tenants: []string{ours, consumers}, Clients: []string{"f0b3c2a4-1d5e-4b6f-8a97-c0d1e2f3a4b5"}}),
		audience: "6e74172b-be56-4843-9ff4-e66a39bb12e3",
		key:      rs, keys: entraKeys(rs, consumer), header: object{"typ": "JWT", "x5t": "aaaa"}, claims: entraClaims(ours),
		good: []attack{{name: "consumers by their own key", key: consumer, claims: toConsumers}},
		attacks: append(entraAttacks(consumer),
			attack{name: "enterprise key for consumers", claims: toConsumers, code: validate.CodeKeyIssuer},
			attack{name: "tid merely contained in iss", claims: object{"iss": "https://login.microsoftonline.com/" + theirs + "/" + ours + "/v2.0"}, code: validate.CodeTenant},
			attack{name: "the mark itself as tenant", claims: object{"iss": "https://login.microsoftonline.com/{tenantid}/v2.0", "tid": "{tenantid}"}, code: validate.CodeTenant},
			attack{name: "another client", claims: object{"azp": "00000000-1d5e-4b6f-8a97-c0d1e2f3a4b5"}, code: validate.CodeClaimRule}),
	}
}

func entraV1Claims(tid string) object {
	c := entraClaims(tid)
	delete(c, "azp")
	c["iss"], c["ver"], c["appid"], c["appidacr"], c["aud"] = "https://sts.windows.net/"+tid+"/", "1.0", "f0b3c2a4-1d5e-4b6f-8a97-c0d1e2f3a4b5", "1", "api://stock"
	return c
}

func entraV1(rs, consumer *forge.Key) provider {
	return provider{
		name: "Entra version 1, one tenant", issuer: validate.EntraIssuer(validate.EntraConfig{Tenants: []string{ours}, Version: 1}), audience: "api://stock",
		key: rs, keys: entraKeys(rs, consumer), header: object{"typ": "JWT", "x5t": "aaaa"}, claims: entraV1Claims(ours),
		attacks: []attack{
			{name: "consumer key for an enterprise", key: consumer, code: validate.CodeKeyIssuer},
			{name: "consumer key, and the consumers' tid to fit it", key: consumer, claims: object{"tid": consumers}, code: validate.CodeTenant},
			{name: "foreign tenant", claims: object{"iss": "https://sts.windows.net/" + theirs + "/", "tid": theirs}, code: validate.CodeIssuer},
			{name: "missing tid", claims: object{"tid": nil}, code: validate.CodeTenant},
			{name: "key that names nobody", key: &forge.Key{Alg: "RS256", ID: "silent", Signer: consumer.Signer}, code: validate.CodeKeyIssuer},
			{name: "ID token", claims: object{"appid": nil}, code: validate.CodeClaimRule},
			{name: "version 2 name", claims: object{"iss": "https://login.microsoftonline.com/" + ours + "/v2.0"}, code: validate.CodeIssuer},
		},
	}
}

func entraV1Many(rs, consumer *forge.Key) provider {
	to := func(tid string) object { return object{"iss": "https://sts.windows.net/" + tid + "/", "tid": tid} }
	return provider{
		name: "Entra version 1, several tenants", issuer: validate.EntraIssuer(validate.EntraConfig{Tenants: []string{ours, consumers}, Version: 1}), audience: "api://stock",
		key: rs, keys: entraKeys(rs, consumer), header: object{"typ": "JWT", "x5t": "aaaa"}, claims: entraV1Claims(ours),
		good: []attack{{name: "consumers by their own key", key: consumer, claims: to(consumers)}},
		attacks: []attack{
			{name: "consumer key for an enterprise", key: consumer, code: validate.CodeKeyIssuer},
			{name: "enterprise key for consumers", claims: to(consumers), code: validate.CodeKeyIssuer},
			{name: "foreign tenant", claims: to(theirs), code: validate.CodeTenant},
			{name: "consumers' tid in our issuer", key: consumer, claims: object{"tid": consumers}, code: validate.CodeTenant},
			{name: "missing tid", claims: object{"tid": nil}, code: validate.CodeTenant},
		},
	}
}

func okta(rs *forge.Key) provider {
	const server = "https://acme.okta.com/oauth2/default"
	return provider{
		name: "Okta, custom server", issuer: validate.OktaIssuer(validate.OktaConfig{Issuer: server, Clients: []string{"0oa1web"}}), audience: "api://default", key: rs,
		keys: forge.Set(nil, shape(rs, object{"alg": "RS256"})),
		claims: times(object{
			"ver": 1, "jti": "AT.1", "iss": server, "aud": "api://default", "cid": "0oa1web", "uid": "00u1", "scp": []string{"openid", "stock"}, "sub": "a@acme.example", "auth_time": presetNow - 90,
		}),
		good: []attack{{name: "at+jwt", header: object{"typ": "at+jwt"}}},
		attacks: []attack{
			{name: "ID token for the same audience", claims: object{"cid": nil, "uid": nil, "idp": "00o1", "nonce": "n"}, code: validate.CodeClaimRule},
			{name: "another client", claims: object{"cid": "0oa2"}, code: validate.CodeClaimRule},
			{name: "another server of the organisation", claims: object{"iss": "https://acme.okta.com/oauth2/aus1"}, code: validate.CodeIssuer},
			{name: "the organisation's own server", claims: object{"iss": "https://acme.okta.com"}, code: validate.CodeIssuer},
			{name: "another organisation", claims: object{"iss": "https://evil.okta.com/oauth2/default"}, code: validate.CodeIssuer},
			{name: "the type of tokens for Okta itself", header: object{"typ": "application/okta-internal-at+jwt"}, code: validate.CodeTyp},
			{name: "JWT", header: object{"typ": "JWT"}, code: validate.CodeTyp},
		},
	}
}

func oktaOrg(rs *forge.Key) provider {
	return provider{
		name: "Okta, the organisation's own server", issuer: validate.OktaIssuer(validate.OktaConfig{Issuer: "https://acme.okta.com"}), audience: "0oa1web", key: rs,
		keys: forge.Set(nil, shape(rs, object{"alg": "RS256"})),
		claims: times(object{
			"sub": "00u1", "ver": 1, "iss": "https://acme.okta.com", "aud": "0oa1web", "jti": "ID.1", "amr": []string{"pwd"}, "idp": "00o1", "auth_time": presetNow - 90, "at_hash": "x",
		}),
		attacks: []attack{
			{name: "access token", header: object{"typ": "application/okta-internal-at+jwt"}, claims: object{"aud": "https://acme.okta.com", "idp": nil, "cid": "0oa1web"}, code: validate.CodeTyp},
			{name: "access token without its type", claims: object{"idp": nil, "cid": "0oa1web"}, code: validate.CodeClaimRule},
			{name: "custom server", claims: object{"iss": "https://acme.okta.com/oauth2/default"}, code: validate.CodeIssuer},
		},
	}
}

func auth0(rs *forge.Key) provider {
	return provider{
		name: "Auth0", issuer: validate.Auth0Issuer("acme.eu.auth0.com"), audience: "https://stock.acme.example", key: rs,
		keys:   forge.Set(nil, shape(rs, object{"alg": "RS256", "x5t": "aaaa", "x5c": []string{"MIID"}})),
		header: object{"typ": "JWT"},
		claims: times(object{
			"iss": "https://acme.eu.auth0.com/", "sub": "auth0|6458a0", "aud": []string{"https://stock.acme.example", "https://acme.eu.auth0.com/userinfo"}, "azp": "my_client", "scope": "openid read",
		}),
		good: []attack{{name: "RFC 9068 profile", header: object{"typ": "at+jwt"}, claims: object{"client_id": "my_client", "jti": "j"}}},
		attacks: []attack{
			{name: "another tenant", claims: object{"iss": "https://evil.eu.auth0.com/"}, code: validate.CodeIssuer},
			{name: "the same tenant in another region", claims: object{"iss": "https://acme.us.auth0.com/"}, code: validate.CodeIssuer},
			{name: "ID token", claims: object{"aud": "my_client", "azp": nil}, code: validate.CodeClaimRule},
			{name: "ID token for a client of the API's name", claims: object{"azp": nil}, code: validate.CodeClaimRule},
			{name: "no typ", header: object{"typ": nil}, code: validate.CodeTyp},
		},
	}
}

func google(rs *forge.Key) provider {
	return provider{
		name:     "Google, people of a domain",
		issuer:   validate.GoogleIssuer(validate.GoogleConfig{HostedDomains: []string{"acme.example"}, Clients: []string{"1234987819200.apps.googleusercontent.com"}}),
		audience: "1234987819200.apps.googleusercontent.com", key: rs,
		keys:   forge.Set(nil, shape(rs, object{"alg": "RS256"})),
		header: object{"typ": "JWT"},
		claims: times(object{
			"iss": "https://accounts.google.com", "azp": "1234987819200.apps.googleusercontent.com", "aud": "1234987819200.apps.googleusercontent.com", "sub": "10769150350006150715113082367",
			"at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "hd": "acme.example", "email": "a@acme.example", "email_verified": true, "nonce": "0394852",
		}),
		attacks: []attack{
			{name: "issuer without https", claims: object{"iss": "accounts.google.com"}, code: validate.CodeIssuer},
			{name: "missing hd", claims: object{"hd": nil}, code: validate.CodeClaimRule},
			{name: "an address of the domain without hd", claims: object{"hd": nil, "email": "b@acme.example"}, code: validate.CodeClaimRule},
			{name: "another hd", claims: object{"hd": "evil.example"}, code: validate.CodeClaimRule},
			{name: "hd below ours", claims: object{"hd": "x.acme.example"}, code: validate.CodeClaimRule},
			{name: "hd in a list", claims: object{"hd": []string{"acme.example"}}, code: validate.CodeClaimRule},
			{name: "another client", claims: object{"azp": "999.apps.googleusercontent.com"}, code: validate.CodeClaimRule},
			{name: "missing client", claims: object{"azp": nil}, code: validate.CodeClaimRule},
			{name: "hd inside another claim", claims: object{"hd": nil, "x": object{"hd": "acme.example"}}, code: validate.CodeClaimRule},
		},
	}
}

func googleService(rs *forge.Key) provider {
	p := google(rs)
	p.name = "Google, service accounts"
	p.issuer = validate.GoogleIssuer(validate.GoogleConfig{Subjects: []string{"113774264463038321964"}})
	p.audience = "https://api.acme.example"
	p.claims = times(object{
		"iss": "https://accounts.google.com", "aud": p.audience, "azp": "113774264463038321964", "sub": "113774264463038321964", "email": "job@acme.iam.gserviceaccount.com", "email_verified": true,
	})
	p.attacks = []attack{
		{name: "another service account", claims: object{"sub": "113774264463038321965", "azp": "113774264463038321965"}, code: validate.CodeClaimRule},
		{name: "another account of the same address", claims: object{"sub": "1"}, code: validate.CodeClaimRule},
	}
	return p
}

func github(rs *forge.Key) provider {
	const iss = "https://token.actions.githubusercontent.com"
	return provider{
		name: "GitHub Actions",
		issuer: validate.GitHubActionsIssuer(validate.GitHubActionsConfig{
			Owners: []string{"65"}, Repositories: []string{"74", "75"}, Claims: []validate.ClaimRule{{Path: []string{"ref"}, OneOf: []string{"refs/heads/main"}}},
		}),
		audience: "https://deploy.acme.example", key: rs,
		keys:   forge.Set(nil, shape(rs, object{"alg": "RS256", "x5c": []string{"MIID"}, "x5t": "aaaa"})),
		header: object{"typ": "JWT", "x5t": "aaaa"},
		claims: times(object{
			"jti": "example-id", "sub": "repo:octo-org/octo-repo:environment:prod", "environment": "prod", "aud": "https://deploy.acme.example", "ref": "refs/heads/main", "sha": "example-sha",
			"repository": "octo-org/octo-repo", "repository_owner": "octo-org", "actor_id": "12", "repository_visibility": "private", "repository_id": "74", "repository_owner_id": "65",
			"run_id": "1", "run_number": "10", "run_attempt": "2", "runner_environment": "github-hosted", "actor": "octocat", "workflow": "w", "head_ref": "", "base_ref": "", "event_name": "push",
			"ref_type": "branch", "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main", "iss": iss, "nbf": presetNow - 360,
		}),
		attacks: []attack{
			{name: "an owner who took the name over", claims: object{"repository_owner_id": "6500"}, code: validate.CodeClaimRule},
			{name: "owner id missing", claims: object{"repository_owner_id": nil}, code: validate.CodeClaimRule},
			{name: "owner id as a number", claims: object{"repository_owner_id": 65}, code: validate.CodeClaimRule},
			{name: "another repository of the owner", claims: object{"repository_id": "76"}, code: validate.CodeClaimRule},
			{name: "another branch", claims: object{"ref": "refs/pull/1/merge"}, code: validate.CodeClaimRule},
			{name: "a branch that begins alike", claims: object{"ref": "refs/heads/main2"}, code: validate.CodeClaimRule},
			{name: "an enterprise's own issuer", claims: object{"iss": iss + "/octo-enterprise"}, code: validate.CodeIssuer},
		},
	}
}

func kubernetes(rs *forge.Key) provider {
	const iss = "https://kubernetes.default.svc.cluster.local"
	account := func(namespace, name, uid string) object {
		return object{
			"sub": "system:serviceaccount:" + namespace + ":" + name,
			"kubernetes.io": object{
				"namespace": namespace, "node": object{"name": "n1", "uid": "u-0"}, "pod": object{"name": "api-1", "uid": "u-1"}, "serviceaccount": object{"name": name, "uid": uid}, "warnafter": presetNow + 3000,
			},
		}
	}
	claims := times(object{"aud": []string{"stock"}, "iss": iss, "jti": "j-1", "nbf": presetNow - 60})
	maps.Copy(claims, account("payments", "api", "u-2"))
	return provider{
		name: "Kubernetes", issuer: validate.KubernetesIssuer(validate.KubernetesConfig{Issuer: iss, Namespaces: []string{"payments"}, ServiceAccounts: []string{"u-2", "u-3"}}),
		audience: "stock", key: rs, keys: forge.Set(nil, shape(rs, object{"alg": "RS256"})), claims: claims,
		attacks: []attack{
			{name: "another namespace", claims: account("default", "api", "u-2"), code: validate.CodeClaimRule},
			{name: "a new account of the same name", claims: account("payments", "api", "u-9"), code: validate.CodeClaimRule},
			{name: "our namespace in the subject only", claims: object{"sub": "system:serviceaccount:payments:api", "kubernetes.io": account("default", "api", "u-2")["kubernetes.io"]}, code: validate.CodeClaimRule},
			{name: "namespace outside its object", claims: object{"kubernetes.io": object{"serviceaccount": object{"uid": "u-2"}}, "namespace": "payments"}, code: validate.CodeClaimRule},
			{name: "kubernetes.io is text", claims: object{"kubernetes.io": "payments"}, code: validate.CodeClaimRule},
			{name: "old kind of token", claims: object{"iss": "kubernetes/serviceaccount", "exp": nil, "kubernetes.io/serviceaccount/namespace": "payments"}, code: validate.CodeIssuer},
			{name: "stretched to a year", claims: object{"exp": presetNow + 365*24*3600}, code: validate.CodeLifetime},
			{name: "with a type", header: object{"typ": "JWT"}, code: validate.CodeTyp},
		},
	}
}

// TestPresetsRefuseToConstruct: an issuer that signs for anybody needs to be told whose tokens count.
func TestPresetsRefuseToConstruct(t *testing.T) {
	for name, c := range map[string]struct {
		issuer validate.Issuer
		says   string
	}{
		"Google without a rule":       {validate.GoogleIssuer(validate.GoogleConfig{}), "it signs for every Google account"},
		"Google with clients alone":   {validate.GoogleIssuer(validate.GoogleConfig{Clients: []string{"x"}}), "it signs for every Google account"},
		"Google with a domain alone":  {validate.GoogleIssuer(validate.GoogleConfig{HostedDomains: []string{"acme.example"}}), "HostedDomains need Clients"},
		"GitHub without a rule":       {validate.GitHubActionsIssuer(validate.GitHubActionsConfig{}), "it signs for every repository"},
		"GitHub with a repository":    {validate.GitHubActionsIssuer(validate.GitHubActionsConfig{Repositories: []string{"74"}}), "it signs for every repository"},
		"GitHub with a name":          {validate.GitHubActionsIssuer(validate.GitHubActionsConfig{Owners: []string{"octo-org"}}), "not a numeric id"},
		"GitHub with an empty id":     {validate.GitHubActionsIssuer(validate.GitHubActionsConfig{Owners: []string{""}}), "not a numeric id"},
		"GitHub with a ref alone":     {validate.GitHubActionsIssuer(validate.GitHubActionsConfig{Claims: []validate.ClaimRule{{Path: []string{"ref"}}}}), "it signs for every repository"},
		"GitHub with two owner rules": {validate.GitHubActionsIssuer(validate.GitHubActionsConfig{Owners: []string{"65"}, Claims: []validate.ClaimRule{{Path: []string{"repository_owner_id"}}}}), "two claim rules"},
		"Entra without a tenant":      {validate.EntraIssuer(validate.EntraConfig{}), "it signs for every organisation"},
		"Entra with a domain name":    {validate.EntraIssuer(validate.EntraConfig{Tenants: []string{"acme.onmicrosoft.com"}}), "not a directory id"},
		"Entra with common":           {validate.EntraIssuer(validate.EntraConfig{Tenants: []string{"common"}}), "not a directory id"},
		"Entra with capitals":         {validate.EntraIssuer(validate.EntraConfig{Tenants: []string{strings.ToUpper(ours)}}), "not a directory id"},
		"Entra with a version":        {validate.EntraIssuer(validate.EntraConfig{Tenants: []string{ours}, Version: 3}), "no version 3"},
		"Kubernetes without a rule":   {validate.KubernetesIssuer(validate.KubernetesConfig{Issuer: "https://k.example"}), "it signs for every pod"},
		"Kubernetes without issuer":   {validate.KubernetesIssuer(validate.KubernetesConfig{Namespaces: []string{"a"}}), "no name"},
		"Keycloak without a realm":    {validate.KeycloakIssuer("https://sso.example"), "give a realm's URL"},
		"Keycloak with a slash":       {validate.KeycloakIssuer("https://sso.example/realms/a/"), "give a realm's URL"},
		"Keycloak by plain HTTP":      {validate.KeycloakIssuer("http://sso.example/realms/a"), "must be https"},
		"Okta with a slash":           {validate.OktaIssuer(validate.OktaConfig{Issuer: "https://acme.okta.com/"}), "without a slash"},
		"Okta with another path":      {validate.OktaIssuer(validate.OktaConfig{Issuer: "https://acme.okta.com/oauth2/a/b"}), "neither"},
		"Okta's own with clients":     {validate.OktaIssuer(validate.OktaConfig{Issuer: "https://acme.okta.com", Clients: []string{"a"}}), "Config.Audiences"},
		"Auth0 with a URL":            {validate.Auth0Issuer("https://acme.auth0.com/"), "give the domain alone"},
		"Auth0 with nothing":          {validate.Auth0Issuer(""), "give the domain alone"},
	} {
		v, err := validate.New(validate.Config{Issuers: []validate.Issuer{c.issuer}, Audiences: []string{"a"}})
		if v != nil || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
}

// TestTypesStayWithTheirIssuer: a type that one issuer uses for access tokens is another's ID token.
func TestTypesStayWithTheirIssuer(t *testing.T) {
	strict, lax, silent := forge.NewKey("ES256", "a"), forge.NewKey("ES256", "b"), forge.NewKey("ES256", "c")
	issuer := func(name string, k *forge.Key, f validate.ForeignConfig) validate.Issuer {
		f.Issuer, f.Keys = name, validate.StaticKeys(forge.Set(nil, k.JWK()))
		return validate.ForeignIssuer(f)
	}
	v, err := validate.New(validate.Config{
		Issuers: []validate.Issuer{
			issuer("https://strict.example", strict, validate.ForeignConfig{}),
			issuer("https://lax.example", lax, validate.ForeignConfig{Types: []string{"JWT"}}),
			issuer("https://silent.example", silent, validate.ForeignConfig{Types: []string{validate.Untyped}, Claims: []validate.ClaimRule{{Path: []string{"kind"}, OneOf: []string{"access"}}}}),
		},
		Audiences: []string{audience},
		Now:       func() time.Time { return time.Unix(presetNow, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, c := range []struct {
		name, iss string
		key       *forge.Key
		typ       any
		code      validate.Code
	}{
		{"strict, its own", "https://strict.example", strict, "at+jwt", ""},
		{"strict, the type of the lax one", "https://strict.example", strict, "JWT", validate.CodeTyp},
		{"strict, no type", "https://strict.example", strict, nil, validate.CodeTyp},
		{"lax, its own", "https://lax.example", lax, "application/jwt", ""},
		{"lax, the type of the strict one", "https://lax.example", lax, "at+jwt", validate.CodeTyp},
		{"lax, no type", "https://lax.example", lax, nil, validate.CodeTyp},
		{"silent, its own", "https://silent.example", silent, nil, ""},
		{"silent, any type", "https://silent.example", silent, "JWT", validate.CodeTyp},
		{"silent, the empty type", "https://silent.example", silent, "", validate.CodeTyp},
	} {
		header := object{"alg": "ES256", "kid": c.key.ID, "typ": c.typ}
		if c.typ == nil {
			delete(header, "typ")
		}
		raw := c.key.Sign(forge.JSON(header), forge.JSON(times(object{"iss": c.iss, "sub": "s", "aud": audience, "kind": "access"})))
		if c.code != "" {
			refused(t, v, raw, c.code)
		} else if _, err := v.Token(context.Background(), raw); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestPinnedKeys: a key that the issuer lists and the pin does not is refused by its own code.
func TestPinnedKeys(t *testing.T) {
	pinned, fresh := forge.NewKey("ES256", "pinned"), forge.NewKey("ES256", "fresh")
	sum := pinned.Thumbprint()
	config := validate.ForeignConfig{
		Issuer: "https://id.example", Keys: validate.StaticKeys(forge.Set(nil, pinned.JWK(), fresh.JWK())), Thumbprints: []string{forge.Text(sum[:])},
	}
	c := validate.Config{Issuers: []validate.Issuer{validate.ForeignIssuer(config)}, Audiences: []string{audience}, Now: func() time.Time { return time.Unix(presetNow, 0) }}
	v, err := validate.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	sign := func(k *forge.Key) string {
		return k.Sign(forge.Header("ES256", "at+jwt", k.ID), forge.JSON(times(object{"iss": "https://id.example", "sub": "s", "aud": audience})))
	}
	if _, err := v.Token(context.Background(), sign(pinned)); err != nil {
		t.Error(err)
	}
	refused(t, v, sign(fresh), validate.CodeKeyNotPinned)
	refused(t, v, sign(&forge.Key{Alg: "ES256", ID: "pinned", Signer: fresh.Signer}), validate.CodeSignature)
	config.Thumbprints = []string{"not a thumbprint"}
	c.Issuers = []validate.Issuer{validate.ForeignIssuer(config)}
	if _, err := validate.New(c); err == nil || !strings.Contains(err.Error(), "not a key's thumbprint") {
		t.Errorf("a pin that is none: %v", err)
	}
}

// TestRulesAreRefused: rules that can't mean what they say.
func TestRulesAreRefused(t *testing.T) {
	keys := validate.StaticKeys(forge.Set(nil, forge.NewKey("ES256", "a").JWK()))
	rule := func(path ...string) validate.ClaimRule { return validate.ClaimRule{Path: path} }
	for says, f := range map[string]validate.ForeignConfig{
		"names no claim":        {Claims: []validate.ClaimRule{{}}},
		"accepts an empty":      {Claims: []validate.ClaimRule{{Path: []string{"a"}, OneOf: []string{""}}}},
		`about ["a"]`:           {Claims: []validate.ClaimRule{rule("a"), rule("a", "b")}},
		`about ["a" "b"]`:       {Claims: []validate.ClaimRule{rule("a", "b", "c"), rule("a", "b")}},
		"tokens without typ":    {Types: []string{validate.Untyped}},
		"can't be a typ":        {Types: []string{""}},
		"it signs with [HS256]": {Algorithms: []validate.Alg{"HS256"}},
		"say nothing about":     {KeyIssuer: "https://x/{tenantid}"},
	} {
		f.Issuer, f.Keys = "https://id.example", keys
		_, err := validate.New(validate.Config{Issuers: []validate.Issuer{validate.ForeignIssuer(f)}, Audiences: []string{"a"}})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
}

// TestPresetsJudgeIDTokens: what tells access tokens apart is not asked of ID tokens; whose they are is.
func TestPresetsJudgeIDTokens(t *testing.T) {
	rs := forge.NewKey("RS256", "rs-1")
	for _, c := range []struct {
		provider
		change  object
		refused object
		code    validate.Code
	}{
		{keycloak(rs), object{"typ": "ID", "aud": "web"}, object{"iss": "https://sso.example/realms/customers"}, validate.CodeIssuer},
		{entraSingle(rs, forge.NewKey("RS256", "rs-2")), object{"azp": nil, "aud": "web"}, object{"tid": theirs}, validate.CodeTenant},
		{okta(rs), object{"cid": nil, "uid": nil, "aud": "web"}, object{"iss": "https://acme.okta.com"}, validate.CodeIssuer},
		{auth0(rs), object{"azp": nil, "aud": "web"}, object{"iss": "https://evil.eu.auth0.com/"}, validate.CodeIssuer},
		{google(rs), object{"aud": "1234987819200.apps.googleusercontent.com", "nonce": nil}, object{"hd": nil}, validate.CodeClaimRule},
	} {
		change := maps.Clone(c.change)
		judge, err := validate.NewIDTokens(change["aud"].(string), validate.Config{
			Issuers: []validate.Issuer{c.issuer.WithKeys(validate.StaticKeys(c.keys))}, Now: func() time.Time { return time.Unix(presetNow, 0) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := judge.Token(context.Background(), c.token(attack{claims: change}), validate.Login{}); err != nil {
			t.Errorf("%s: an ID token: %v", c.name, err)
		}
		maps.Copy(change, c.refused)
		if _, err := judge.Token(context.Background(), c.token(attack{claims: change}), validate.Login{}); !errors.Is(err, c.code) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.code)
		}
		judge.Close()
	}
}
