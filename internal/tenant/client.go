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
	MaxLiveSecrets       = 2 // the new one, and the one before while both are deployed
	MaxClientAPIs        = 50
	maxNameLength        = 100
)

// Client is software that asks a tenant's issuer for tokens (RFC 6749 §2).
type Client struct {
	ID     string // client_id; also the subject of tokens that the client gets for itself
	Tenant string // the tenant's id
	Name   string // for people
	Grants []oauth.GrantType
	Auth   oauth.AuthMethod
	// Secrets that work now or worked until lately, newest first. None for private_key_jwt.
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

// Authenticates reports whether given is a live secret of a live client at now. It takes the same time whichever secret
// fits.
func (c Client) Authenticates(given secret.Text, now time.Time) bool {
	found := false
	for _, s := range c.Secrets {
		matches := s.Hash.Matches(given)
		found = matches && s.Live(now) || found
	}
	return found && c.Live()
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

// NewClient checks a client. An empty id is replaced by a random one; an empty name by the id; empty grants, method,
// lifetime and rate by client_credentials, client_secret_basic, [DefaultLifetime] and [DefaultRatePerSecond].
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
	if c.Grants, err = grants(c.Grants); err != nil {
		return Client{}, err
	}
	if c, err = authentication(c); err != nil {
		return Client{}, err
	}
	if c.APIs, err = accesses(c.APIs); err != nil {
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
	if len(name) > maxNameLength || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", invalid("name", quote(name)+" is longer than 100 bytes, or has characters that do not print", "give a short name for people")
	}
	return name, nil
}

func grants(given []oauth.GrantType) ([]oauth.GrantType, error) {
	if len(given) == 0 {
		return []oauth.GrantType{oauth.ClientCredentials}, nil
	}
	for _, g := range given {
		if !slices.Contains(oauth.GrantTypes(), g) {
			return nil, invalid("grant", quote(string(g))+" is none that this seawall knows", "choose client_credentials")
		}
	}
	out := slices.Clone(given)
	slices.Sort(out)
	return slices.Compact(out), nil
}

// authentication checks that a client has what its one method needs and nothing that another would.
func authentication(c Client) (Client, error) {
	if c.Auth == "" {
		c.Auth = oauth.ClientSecretBasic
	}
	const what = "client authentication"
	switch {
	case !slices.Contains(oauth.AuthMethods(), c.Auth):
		return c, invalid(what, quote(string(c.Auth))+" is no method", "choose client_secret_basic, client_secret_post or private_key_jwt")
	case c.Auth.UsesSecret() && !c.Keys.IsZero():
		return c, invalid(what, "keys are for private_key_jwt, and this client uses a secret", "give --auth private_key_jwt, or no keys")
	case !c.Auth.UsesSecret() && c.Keys.IsZero():
		return c, invalid(what, "private_key_jwt needs the client's public keys", "give them with --jwks FILE, as a JWK Set")
	case !c.Auth.UsesSecret() && len(c.Secrets) > 0:
		return c, invalid(what, "a client that uses private_key_jwt has no secret", "")
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

func accesses(given []Access) ([]Access, error) {
	if len(given) == 0 {
		return nil, invalid("client", "it may use no API, so no token could be for it", "name one with --api")
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
// that is not registered.
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
	return nil
}
