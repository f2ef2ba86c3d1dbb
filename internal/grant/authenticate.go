package grant

import (
	"context"
	"crypto/sha256"
	"net/http"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// credential is what a request offers to prove its client, by exactly one method.
type credential struct {
	method    oauth.AuthMethod
	clientID  string
	secret    secret.Text
	assertion *assertion
	digest    [32]byte // of the assertion
}

var (
	errNoCredential  = oauth.Errorf(oauth.InvalidClient, "The client did not authenticate.")
	errTwoMethods    = oauth.Errorf(oauth.InvalidRequest, "The client used more than one way to authenticate (RFC 6749, section 2.3).")
	errOtherClientID = oauth.Errorf(oauth.InvalidRequest, "The client_id in the body is not the client that authenticates.")
	errAssertion     = oauth.Errorf(oauth.InvalidRequest, "client_assertion and client_assertion_type come together, and the type must be "+oauth.ClientAssertionType+".")
	errFailed        = oauth.Errorf(oauth.InvalidClient, "Client authentication failed.")
	errReplayed      = oauth.Errorf(oauth.InvalidClient, "The client assertion was used before: each needs its own jti.")
	errDisabled      = oauth.Errorf(oauth.InvalidClient, "The client is disabled.")
)

// AuthMethods lists the methods by which a client can authenticate here.
func AuthMethods() []oauth.AuthMethod {
	return []oauth.AuthMethod{oauth.ClientSecretBasic, oauth.ClientSecretPost, oauth.PrivateKeyJWT}
}

// readCredential finds the one method by which the request authenticates (RFC 6749 §2.3, RFC 7523 §2.2).
func readCredential(h http.Header, f *Form) (*credential, error) {
	basic, err := ReadBasic(h)
	if err != nil {
		return nil, err
	}
	hasSecret, hasAssertion := f.Has("client_secret"), f.Has("client_assertion") || f.Has("client_assertion_type")
	switch {
	case basic != nil && (hasSecret || hasAssertion), hasSecret && hasAssertion:
		return nil, errTwoMethods
	case hasAssertion:
		return readAssertionCredential(f)
	case basic != nil:
		if named := f.Value("client_id"); named != "" && named != basic.ID {
			return nil, errOtherClientID
		}
		return &credential{method: oauth.ClientSecretBasic, clientID: basic.ID, secret: basic.Secret}, nil
	case f.Value("client_secret") != "" && f.Value("client_id") != "":
		return &credential{method: oauth.ClientSecretPost, clientID: f.Value("client_id"), secret: secret.New(f.Value("client_secret"))}, nil
	case !hasSecret && f.Value("client_id") != "":
		return &credential{method: oauth.AuthNone, clientID: f.Value("client_id")}, nil // RFC 6749 §3.2.1: a public client says who it is
	}
	return nil, errNoCredential
}

func readAssertionCredential(f *Form) (*credential, error) {
	raw := f.Value("client_assertion")
	if raw == "" || f.Value("client_assertion_type") != oauth.ClientAssertionType {
		return nil, errAssertion
	}
	a, err := readAssertion(raw)
	if err != nil {
		return nil, badAssertion(err)
	}
	if named := f.Value("client_id"); named != "" && named != a.claims.Subject {
		return nil, errOtherClientID
	}
	return &credential{method: oauth.PrivateKeyJWT, clientID: a.claims.Subject, assertion: a, digest: sha256.Sum256([]byte(raw))}, nil
}

func badAssertion(why error) *oauth.Error {
	return oauth.Errorf(oauth.InvalidClient, "The client assertion is not acceptable: %v.", why)
}

// authenticate returns the client and the evidence for it. A client from memory is enough to let somebody in; to turn
// somebody away the store is asked, so that a new secret works at once, and so that a wrong secret and an unknown client
// take the same path.
func (h *Handler) authenticate(ctx context.Context, r *http.Request, t *tenant.Tenant, c *credential, now time.Time) (*Client, [32]byte, error) {
	var none [32]byte
	if c.assertion != nil {
		// The claims come first: they cost nothing, and what they say does not depend on the client.
		if err := c.assertion.check(c.clientID, t.Issuer, now); err != nil {
			return nil, none, h.failed(r, t, nil, badAssertion(err), now)
		}
	}
	client, fresh := h.config.Registry.Cached(t.ID, c.clientID)
	proof, ok := c.proves(client, now)
	if !ok {
		if wait := h.config.Failures.Wait(t.ID, r, now); wait > 0 {
			return nil, none, oauth.TooManyRequests(wait)
		}
	}
	if !ok || !fresh {
		var err error
		if client, err = h.config.Registry.Client(ctx, t.ID, c.clientID); err != nil {
			return nil, none, err
		}
		if proof, ok = c.proves(client, now); !ok {
			return nil, none, h.failed(r, t, client, errFailed, now)
		}
	}
	// From here on the client has proved who it is, and may be told what is wrong.
	if client.registered.Auth != c.method {
		return nil, none, h.failed(r, t, client, oauth.Errorf(oauth.InvalidClient, "The client is registered for %s and used %s.", client.registered.Auth, c.method), now)
	}
	if c.assertion != nil {
		if err := h.consume(ctx, r, t, client, c, now); err != nil {
			return nil, none, err
		}
	}
	if !client.registered.Live() {
		return nil, none, h.failed(r, t, client, errDisabled, now)
	}
	return client, proof, nil
}

// proves reports whether the credential is the client's, and returns what to record about it. A public client has none,
// and no other client comes without one.
func (c *credential) proves(client *Client, now time.Time) (proof [32]byte, ok bool) {
	if c.method == oauth.AuthNone {
		return proof, client != nil && client.registered.Auth == oauth.AuthNone
	}
	if c.assertion == nil {
		return client.match(c.secret, now)
	}
	if client == nil || !c.assertion.verified(client.keys) {
		return proof, false
	}
	return evidence("assertion", c.digest[:]), true
}

// consume makes sure that an assertion is used once, here and after a restart (RFC 7523 §3, item 7).
func (h *Handler) consume(ctx context.Context, r *http.Request, t *tenant.Tenant, client *Client, c *credential, now time.Time) error {
	won, err := h.config.Registry.ConsumeAssertion(ctx, t.ID, client.registered.ID, c.assertion.claims.JTI, now.Add(replayMemory))
	if err != nil {
		return err
	}
	if !won {
		return h.failed(r, t, client, errReplayed, now)
	}
	return nil
}

// failed counts a failure and returns err, or says that there have been too many.
func (h *Handler) failed(r *http.Request, t *tenant.Tenant, client *Client, err *oauth.Error, now time.Time) error {
	if wait := h.config.Failures.Wait(t.ID, r, now); wait > 0 {
		return oauth.TooManyRequests(wait)
	}
	h.config.Failures.Failed(t.ID, r, now)
	id := ""
	if client != nil {
		id = client.registered.ID
	}
	h.config.OnFailure(t.ID, id)
	return err
}
