package grant

import (
	"cmp"
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
	"seawall/internal/token"
)

// Registry knows clients and remembers assertions. Its methods may be called concurrently.
type Registry interface {
	// Cached returns a client from memory without waiting, or nil. It may be out of date when fresh is false.
	Cached(tenantID, clientID string) (c *Client, fresh bool)
	// Client reads a client from the store; nil if there is none, or if its tenant is not there.
	Client(ctx context.Context, tenantID, clientID string) (*Client, error)
	// ConsumeAssertion durably remembers a client's assertion id until a time. It returns false if that is remembered
	// already: exactly one of several callers wins, also across a restart.
	ConsumeAssertion(ctx context.Context, tenantID, clientID, jti string, until time.Time) (first bool, err error)
}

// Client is a registered client with everything the token endpoint needs, computed once. Values are for reading.
type Client struct {
	registered tenant.Client
	tenantLive bool
	keys       []tenant.Key
	evidence   [][32]byte // one for each secret
	access     []access   // live APIs, by audience
	claims     []token.Claim
	lifetime   int64 // seconds
}

// access is what the client may have at one live API.
type access struct {
	audience string
	scopes   oauth.Scope // the client's
	known    oauth.Scope // the API's own
	lifetime int64       // seconds; 0: no bound of its own
	// What most requests get: a token for this API alone, with all the scopes.
	only  []string
	scope string
}

// NewClient joins a client with its tenant and the tenant's APIs.
func NewClient(t *tenant.Tenant, c *tenant.Client, apis []tenant.API) *Client {
	n := &Client{registered: *c, tenantLive: t.Live(), keys: c.Keys.Keys()}
	for _, s := range c.Secrets {
		n.evidence = append(n.evidence, SecretEvidence(s.Hash))
	}
	for _, a := range c.APIs {
		i := slices.IndexFunc(apis, func(api tenant.API) bool { return api.Audience == a.Audience })
		if i < 0 || !apis[i].Live() {
			continue
		}
		scopes := a.Scopes.Without(a.Scopes.Without(apis[i].Scopes))
		n.access = append(n.access, access{
			audience: a.Audience, scopes: scopes, known: apis[i].Scopes, lifetime: int64(apis[i].MaxLifetime / time.Second),
			only: []string{a.Audience}, scope: scopes.String(),
		})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Claims)) {
		n.claims = append(n.claims, token.Claim{Name: name, Text: c.Claims[name]})
	}
	n.lifetime = int64(min(c.Lifetime, t.MaxLifetime) / time.Second)
	return n
}

// Registered is the client as it is registered.
func (c *Client) Registered() tenant.Client { return c.registered }

// Live reports whether the client and its tenant may be issued tokens.
func (c *Client) Live() bool { return c.tenantLive && c.registered.Live() }

// public reports whether the client can keep no credential.
func (c *Client) public() bool { return c.registered.Auth == oauth.AuthNone }

// SecretEvidence is the evidence of a client that proved itself with the secret of this hash. It names the secret in the
// ledger: the entry about the secret has it, and so has every entry of a token that was issued for it.
func SecretEvidence(h secret.Hash) [32]byte { return evidence("secret", h[:]) }

// evidence names what proved a client without giving it away: the ledger keeps it for two years.
func evidence(kind string, digest []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte("seawall-evidence-v1\x00" + kind + "\x00"))
	h.Write(digest)
	return [32]byte(h.Sum(nil))
}

// nobody is the secret of clients that do not exist.
var nobody = secret.Hash{1}

// match returns the evidence for a secret that works at now. It takes the same time whichever fits, and a client that
// is nil takes as long as one with a single secret.
func (c *Client) match(given secret.Text, now time.Time) (found [32]byte, ok bool) {
	if c == nil {
		nobody.Matches(given)
		return found, false
	}
	for i, s := range c.registered.Secrets {
		if matches := s.Hash.Matches(given); matches && s.Live(now) && !ok {
			found, ok = c.evidence[i], true
		}
	}
	return found, ok
}

// pick returns the entry for an audience, or nil.
func (c *Client) pick(audience string) *access {
	i, ok := slices.BinarySearchFunc(c.access, audience, func(a access, s string) int { return cmp.Compare(a.audience, s) })
	if !ok {
		return nil
	}
	return &c.access[i]
}
