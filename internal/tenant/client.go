package tenant

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"seawall/internal/oauth"
	"seawall/internal/secret"
)

// Bounds and defaults of a client's settings.
const (
	DefaultLifetime      = 10 * time.Minute
	DefaultRatePerSecond = 1000
	MaxRatePerSecond     = 100_000
	MaxLiveSecrets       = 2                   // the new one, and the one before while both are deployed
	maxOverlap           = 30 * 24 * time.Hour // of a rotated secret
	MaxClientAPIs        = 50
	MaxSignInClients     = 5000 // of one tenant, live: as many as the signer's policy can list
	maxNameLength        = 100
	maxReasonLength      = 200
)

// ClientType says where a client runs, and so what can be asked of it (RFC 6749 §2.1, RFC 8252, RFC 9700).
type ClientType string

// The types of client.
const (
	Service ClientType = "service" // acts for itself: no person signs in
	Web     ClientType = "web"     // signs people in, and runs on a server that keeps a credential
	Native  ClientType = "native"  // signs people in, and runs on their device
	SPA     ClientType = "spa"     // signs people in, and runs in their browser
)

// ClientTypes lists every type.
func ClientTypes() []ClientType { return []ClientType{Service, Web, Native, SPA} }

// SignsIn reports whether people sign in to clients of this type.
func (t ClientType) SignsIn() bool { return t == Web || t == Native || t == SPA }

// Public reports whether clients of this type can keep no credential (RFC 6749 §2.1).
func (t ClientType) Public() bool { return t == Native || t == SPA }

// DPoPRule says whether a client must prove that its tokens are in its own hand (RFC 9449).
type DPoPRule string

// The rules.
const (
	DPoPRequired DPoPRule = "required" // no token without a proof
	DPoPOffered  DPoPRule = "offered"  // a client that sends a proof is bound by it
)

// Client is software that asks a tenant's issuer for tokens (RFC 6749 §2).
type Client struct {
	ID     string // client_id; also the subject of tokens that the client gets for itself
	Tenant string // the tenant's id
	Name   string // for people
	Type   ClientType
	Grants []oauth.GrantType
	Auth   oauth.AuthMethod
	// RedirectURIs are where people come back to after signing in, LogoutURIs after signing out; sorted. For types that
	// sign people in only.
	RedirectURIs, LogoutURIs []string
	DPoP                     DPoPRule
	DPoPReason               string // why a proof is not required, where one usually is
	// Trusted is an application of the organisation's own: its people are not asked whether it may know them.
	Trusted bool
	// Secrets that work now or worked until lately, newest first. None for private_key_jwt and none.
	Secrets []Secret
	// Keys verify assertions; for private_key_jwt only.
	Keys KeySet
	// APIs that the client may ask tokens for, each with the scopes it may have there; by audience.
	APIs []Access
	// Claims are put into each of its tokens. Their names are on the tenant's list.
	Claims map[string]string
	// Lifetime of its tokens, whole seconds; the tenant's and the APIs' longest lifetimes cap it.
	Lifetime      time.Duration
	RatePerSecond int // token requests
	CreatedAt     time.Time
	DisabledAt    time.Time // zero while the client is live
}

// Secret is one of a client's secrets: the hash of a generated credential of kind secret.ClientSecret.
type Secret struct {
	Hash      secret.Hash
	CreatedAt time.Time
	ExpiresAt time.Time // when a rotation ends it; zero for the present secret
}

// Live reports whether the secret works at now.
func (s Secret) Live(now time.Time) bool { return s.ExpiresAt.IsZero() || now.Before(s.ExpiresAt) }

// Access is what a client may have at one API.
type Access struct {
	Audience string
	Scopes   oauth.Scope // sorted; may be empty
}

// Live reports whether the client may be issued tokens.
func (c Client) Live() bool { return c.DisabledAt.IsZero() }

// MayRotate says why the client can't get a new secret now while its present one works on for the overlap. At most two
// work at any time, so while an earlier overlap still runs only an overlap of 0 is possible: ending the older one silently
// could stop a client that has not heard yet.
func (c Client) MayRotate(overlap time.Duration, now time.Time) error {
	live, until := 0, time.Time{}
	for _, s := range c.Secrets {
		if s.Live(now) {
			live++
		}
		if s.ExpiresAt.After(until) {
			until = s.ExpiresAt
		}
	}
	switch {
	case !c.Live():
		return Refuse(ErrDisabled, "a disabled client stays as it is: create another", "the client %s is disabled", c.ID)
	case !c.Auth.UsesSecret():
		return Refuse(ErrConflict, "", "the client %s uses %s and has no secret", c.ID, c.Auth)
	case overlap < 0 || overlap > maxOverlap:
		return Refuse(ErrConflict, "give an overlap from 0 to 720h", "an overlap of %v is not possible", overlap)
	case live >= MaxLiveSecrets && overlap > 0:
		return Refuse(ErrConflict, "wait until then, or end both with an overlap of 0 if nobody needs them",
			"the client %s has two secrets that work, the older one until %s", c.ID, until.Format(time.RFC3339))
	}
	return nil
}

// Access returns what the client may have at an API, or false.
func (c Client) Access(audience string) (Access, bool) {
	i := slices.IndexFunc(c.APIs, func(a Access) bool { return a.Audience == audience })
	if i < 0 {
		return Access{}, false
	}
	return c.APIs[i], true
}

// MayUse reports whether the client is registered for a grant type.
func (c Client) MayUse(g oauth.GrantType) bool { return slices.Contains(c.Grants, g) }

// MayGetIDTokens reports whether the client is one that people sign in to now, so that the signer must know it.
func (c Client) MayGetIDTokens() bool { return c.Live() && c.MayUse(oauth.AuthorizationCode) }

// NewClient checks a client. An empty id is replaced by a random one; an empty name by the id; an empty type by [Service];
// empty grants, method and rule for DPoP by what suits the type; empty lifetime and rate by [DefaultLifetime] and
// [DefaultRatePerSecond].
func NewClient(c Client) (Client, error) {
	if c.ID == "" {
		c.ID = randomID("client")
	}
	var err error
	if c.ID, err = ParseID("client id", c.ID); err != nil {
		return Client{}, err
	}
	if c.Tenant, err = ParseTenantID(c.Tenant); err != nil {
		return Client{}, err
	}
	if c.Name, err = displayName(c.Name, c.ID); err != nil {
		return Client{}, err
	}
	if c, err = clientType(c); err != nil {
		return Client{}, err
	}
	if c, err = authentication(c); err != nil {
		return Client{}, err
	}
	if c, err = signIn(c); err != nil {
		return Client{}, err
	}
	if c.APIs, err = accesses(c); err != nil {
		return Client{}, err
	}
	if c.Claims, err = claimValues(c.Claims); err != nil {
		return Client{}, err
	}
	return clientLimits(c)
}

func clientLimits(c Client) (Client, error) {
	if c.Lifetime == 0 {
		c.Lifetime = DefaultLifetime
	}
	if err := checkLifetime("token lifetime", c.Lifetime, LongestLifetime); err != nil {
		return Client{}, err
	}
	if c.RatePerSecond == 0 {
		c.RatePerSecond = DefaultRatePerSecond
	}
	if c.RatePerSecond < 1 || c.RatePerSecond > MaxRatePerSecond {
		return Client{}, invalid("rate", fmt.Sprintf("%d requests a second is outside 1 to %d", c.RatePerSecond, MaxRatePerSecond), "leave it out to take 1000")
	}
	c.CreatedAt, c.DisabledAt = wholeMillis(c.CreatedAt), wholeMillis(c.DisabledAt)
	if c.CreatedAt.IsZero() {
		return Client{}, invalid("client", "it has no time of creation", "")
	}
	return c, nil
}

func displayName(name, id string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" {
		return id, nil
	}
	if len(name) > maxNameLength || !printable(name) {
		return "", invalid("name", quote(name)+" is longer than 100 bytes, or has characters that do not print", "give a short name for people")
	}
	return name, nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// clientType checks what a client is, and which grants that allows. A client without a credential can't act for itself,
// and nobody signs in to one that does.
func clientType(c Client) (Client, error) {
	if c.Type == "" {
		c.Type = Service
	}
	if !slices.Contains(ClientTypes(), c.Type) {
		return c, invalid("client type", "there is no "+quote(string(c.Type)), "choose service, web, native or spa")
	}
	if len(c.Grants) == 0 {
		c.Grants = DefaultGrants(c.Type)
	}
	for _, g := range c.Grants {
		switch {
		case !slices.Contains(oauth.GrantTypes(), g):
			return c, invalid("grant", "there is no "+quote(string(g)), "choose authorization_code, client_credentials or refresh_token")
		case g == oauth.ClientCredentials && c.Type.Public():
			return c, invalid("grant", "a "+string(c.Type)+" client keeps no credential, so it can't get tokens for itself with client_credentials", "leave it out, or make a service client")
		case g != oauth.ClientCredentials && !c.Type.SignsIn():
			return c, invalid("grant", string(g)+" is for clients that people sign in to", "say which with --type web, native or spa")
		}
	}
	if c.Type.SignsIn() && !c.MayUse(oauth.AuthorizationCode) {
		return c, invalid("grant", "a "+string(c.Type)+" client needs authorization_code: it is how people sign in", "add --grant authorization_code, or make a service client")
	}
	grants := slices.Clone(c.Grants)
	slices.Sort(grants)
	c.Grants = slices.Compact(grants)
	return c, nil
}

// DefaultGrants are the grants of a client that names none.
func DefaultGrants(t ClientType) []oauth.GrantType {
	if t.SignsIn() {
		return []oauth.GrantType{oauth.AuthorizationCode, oauth.RefreshToken}
	}
	return []oauth.GrantType{oauth.ClientCredentials}
}

// DefaultAuth is the method of a client that names none.
func DefaultAuth(t ClientType) oauth.AuthMethod {
	if t.Public() {
		return oauth.AuthNone
	}
	return oauth.ClientSecretBasic
}

// signIn checks what only clients have that people sign in to.
func signIn(c Client) (Client, error) {
	var err error
	if c.DPoP == "" {
		c.DPoP = DPoPOffered
		if c.Type.Public() && c.DPoPReason == "" {
			c.DPoP = DPoPRequired
		}
	}
	switch {
	case c.DPoP != DPoPRequired && c.DPoP != DPoPOffered:
		return c, invalid("DPoP", quote(string(c.DPoP))+" is no rule", "choose required or offered")
	case c.DPoPReason != "" && (c.DPoP == DPoPRequired || !c.Type.Public()):
		return c, invalid("DPoP", "a reason is for native and spa clients that don't require it", "leave --dpop-reason out")
	case len(c.DPoPReason) > maxReasonLength || !printable(c.DPoPReason):
		return c, invalid("DPoP", "the reason is longer than 200 bytes, or has characters that do not print", "say it in one sentence")
	case !c.Type.SignsIn() && (len(c.RedirectURIs) > 0 || len(c.LogoutURIs) > 0):
		return c, invalid("redirect URI", "nobody signs in to a service client, so nobody comes back to it", "say with --type web, native or spa what it is, or leave it out")
	case !c.Type.SignsIn() && c.Trusted:
		return c, invalid("client", "nobody signs in to a service client, so nobody could be asked", "leave --trusted out")
	case c.Trusted && c.Type.Public() && slices.ContainsFunc(c.RedirectURIs, func(uri string) bool { return !strings.HasPrefix(uri, "https:") }):
		return c, invalid("client", "any program on a person's device could pretend to be it, so its people are asked each time", "leave --trusted out, or let people come back to https addresses only")
	case c.Type.SignsIn() && len(c.RedirectURIs) == 0:
		return c, invalid("redirect URI", "people who sign in have nowhere to come back to", plainRedirect)
	}
	if c.RedirectURIs, err = redirectURIs("redirect URI", "--redirect", c.Type, c.RedirectURIs); err != nil {
		return c, err
	}
	c.LogoutURIs, err = redirectURIs("logout URI", "--logout-uri", c.Type, c.LogoutURIs)
	return c, err
}

// authentication checks that a client has what its one method needs and nothing that another would.
func authentication(c Client) (Client, error) {
	if c.Auth == "" {
		c.Auth = DefaultAuth(c.Type)
	}
	const what = "client authentication"
	keyed := c.Auth == oauth.PrivateKeyJWT
	switch {
	case !slices.Contains(oauth.AuthMethods(), c.Auth):
		return c, invalid(what, quote(string(c.Auth))+" is no method", "choose client_secret_basic, client_secret_post, private_key_jwt or none")
	case c.Type.Public() && c.Auth != oauth.AuthNone:
		return c, invalid(what, "a "+string(c.Type)+" client can keep no credential: whoever has the application has it", "leave --auth out, or make a web client whose server keeps it")
	case !c.Type.Public() && c.Auth == oauth.AuthNone:
		return c, invalid(what, "a "+string(c.Type)+" client must prove itself", "choose client_secret_basic, client_secret_post or private_key_jwt")
	case c.Auth.UsesSecret() && !c.Keys.IsZero():
		return c, invalid(what, "keys are for private_key_jwt, and this client uses a secret", "give --auth private_key_jwt, or no keys")
	case !keyed && !c.Keys.IsZero():
		return c, invalid(what, "keys are for private_key_jwt, and this client can keep none", "give no keys")
	case keyed && c.Keys.IsZero():
		return c, invalid(what, "private_key_jwt needs the client's public keys", "give them with --jwks FILE, as a JWK Set")
	case !c.Auth.UsesSecret() && len(c.Secrets) > 0:
		return c, invalid(what, "a client that uses "+string(c.Auth)+" has no secret", "")
	case c.Auth.UsesSecret() && len(c.Secrets) == 0:
		return c, invalid(what, "the client has no secret", "")
	}
	secrets := slices.Clone(c.Secrets)
	for i, s := range secrets {
		if s.Hash == (secret.Hash{}) || s.CreatedAt.IsZero() {
			return c, invalid(what, "a secret has no hash or no time of creation", "")
		}
		secrets[i].CreatedAt, secrets[i].ExpiresAt = wholeMillis(s.CreatedAt), wholeMillis(s.ExpiresAt)
	}
	c.Secrets = secrets
	return c, nil
}

// accesses checks what a client may have at APIs. One that acts for itself needs one; others may just sign people in.
func accesses(c Client) ([]Access, error) {
	given := c.APIs
	if len(given) == 0 && c.MayUse(oauth.ClientCredentials) {
		return nil, invalid("client", "it may use no API, so no token could be for it", "name one with --api")
	}
	if len(given) == 0 {
		return nil, nil
	}
	if len(given) > MaxClientAPIs {
		return nil, invalid("client", fmt.Sprintf("%d APIs are more than %d", len(given), MaxClientAPIs), "make a client for each job")
	}
	out := make([]Access, len(given))
	for i, a := range given {
		if err := checkAudience(a.Audience); err != nil {
			return nil, err
		}
		allowed, err := scopes("scope", a.Scopes)
		if err != nil {
			return nil, err
		}
		out[i] = Access{a.Audience, allowed}
	}
	slices.SortFunc(out, func(a, b Access) int { return strings.Compare(a.Audience, b.Audience) })
	for i := range out[1:] {
		if out[i].Audience == out[i+1].Audience {
			return nil, invalid("client", "the API "+out[i].Audience+" is named twice", "name it once, with all its scopes")
		}
	}
	return out, nil
}

// AdmitsClient says whether the tenant may have the client, given the tenant's live APIs: the client asks for nothing
// that is not registered, and where the tenant is a production tenant, people's tokens are safe in it.
func (t Tenant) AdmitsClient(c Client, apis []API) error {
	if c.Tenant != t.ID {
		return invalid("client", "it names another tenant", "")
	}
	for _, a := range c.APIs {
		i := slices.IndexFunc(apis, func(api API) bool { return api.Audience == a.Audience && api.Live() })
		if i < 0 {
			return invalid("API", a.Audience+" is no live API of "+t.ID, "see `seawall api list --tenant "+t.ID+"`, or create it with `seawall api create`")
		}
		if extra := a.Scopes.Without(apis[i].Scopes); len(extra) > 0 {
			return invalid("scope", quote(extra.String())+" is none of "+a.Audience, "its scopes are "+apis[i].Scopes.String())
		}
	}
	for name := range c.Claims {
		if !slices.Contains(t.Claims, name) {
			return invalid("custom claim", quote(name)+" is not on the tenant's list", "the list is fixed when the tenant is created")
		}
	}
	return t.admitsSignIn(c)
}

// admitsSignIn says whether a client is as safe as the tenant's class asks: production wants a public client's tokens
// bound to its key, or to hear why not; and only development lets a code go over plain http to a client that is not on
// the person's own device.
func (t Tenant) admitsSignIn(c Client) error {
	if t.Class == Production && c.Type.Public() && c.DPoP != DPoPRequired && c.DPoPReason == "" {
		return invalid("DPoP", "a "+string(c.Type)+" client of a production tenant must require it, or say why it can't", "leave --dpop out, or give --dpop-reason TEXT")
	}
	if t.Class == Development || c.Type == Native {
		return nil
	}
	for _, uri := range slices.Concat(c.RedirectURIs, c.LogoutURIs) {
		if strings.HasPrefix(uri, "http:") {
			return invalid("redirect URI", quote(uri)+" does not start with https://", "plain http on a loopback address is for native clients, and for tenants of class development")
		}
	}
	return nil
}
