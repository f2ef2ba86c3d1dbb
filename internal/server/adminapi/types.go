package adminapi

import "time"

// CreateTenant asks for a tenant: POST /v1/tenants. Its issuer, its first key
// and its policy exist when the answer comes.
type CreateTenant struct {
	Tenant   string   `json:"tenant"`   // id, [a-z0-9-]{1,63}, never reused
	Class    string   `json:"class"`    // production, staging, development or support
	Owner    string   `json:"owner"`    // mail address
	Contacts []string `json:"contacts"` // at least two mail addresses
	// Algorithm signs its tokens: ES256 (when empty), RS256, PS256 or EdDSA.
	Algorithm string `json:"algorithm,omitempty"`
	// Claims lists the custom claim names that its clients may be given.
	Claims []string `json:"claims,omitempty"`
	// MaxLifetime bounds the life of any token, in seconds; 0: 3600.
	MaxLifetime int64 `json:"max_lifetime,omitempty"`
	// RotationDays is how long a key signs; 0: 30.
	RotationDays int `json:"rotation_days,omitempty"`
}

// Tenant is a tenant as the house knows it.
type Tenant struct {
	Tenant        string    `json:"tenant"`
	Issuer        string    `json:"issuer"`
	TokenEndpoint string    `json:"token_endpoint"`
	Class         string    `json:"class"`
	Owner         string    `json:"owner"`
	Contacts      []string  `json:"contacts"`
	Algorithm     string    `json:"algorithm"`
	Claims        []string  `json:"claims,omitempty"`
	MaxLifetime   int64     `json:"max_lifetime"` // seconds
	RotationDays  int       `json:"rotation_days"`
	Created       time.Time `json:"created"`
	Disabled      time.Time `json:"disabled,omitzero"` // zero: it is enabled
	Passkeys      string    `json:"passkeys"`          // what is asked of its people's passkeys: any, device-bound or attested
	Models        []string  `json:"models,omitempty"`  // AAGUIDs that attested admits; none: every certified one
	// Findings is what it lacks; in answers about one tenant only.
	Findings []Finding `json:"findings,omitempty"`
	// Glass are its break-glass principals; in answers about one tenant only.
	Glass []Glass `json:"break_glass,omitempty"`
	// PolicyVersion is the version the signer should have, PolicyApplied the
	// last one it confirmed.
	PolicyVersion uint64 `json:"policy_version"`
	PolicyApplied uint64 `json:"policy_applied"`
	// Pending says why the signer does not know of the act yet, which is done all the same and is carried on by itself.
	Pending string `json:"pending,omitempty"`
}

// CreateAPI registers an API (resource server): POST /v1/tenants/{t}/apis.
type CreateAPI struct {
	Audience string   `json:"audience"` // resource identifier, RFC 8707: an absolute URI
	Scopes   []string `json:"scopes"`
	// MaxLifetime bounds the life of tokens for it, in seconds; 0: the tenant's.
	MaxLifetime int64 `json:"max_lifetime,omitempty"`
}

// API is an API of a tenant. Secret, Pin and Snippet are in the answer to
// CreateAPI only; the secret can't be read again.
type API struct {
	APIID       string    `json:"api_id"`
	Secret      string    `json:"api_secret,omitempty"`
	Tenant      string    `json:"tenant"`
	Issuer      string    `json:"issuer"`
	Audience    string    `json:"audience"`
	Scopes      []string  `json:"scopes"`
	MaxLifetime int64     `json:"max_lifetime,omitempty"` // seconds; 0: the tenant's
	Created     time.Time `json:"created"`
	Disabled    time.Time `json:"disabled,omitzero"`
	// Pin is the fingerprint of the ledger root that the API's validator must
	// know, and Snippet three lines of Go that use it.
	Pin     string `json:"pin,omitempty"`
	Snippet string `json:"snippet,omitempty"`
	// Pending says why the signer does not know of the act yet, which is done all the same and is carried on by itself.
	Pending string `json:"pending,omitempty"`
}

// CreateClient registers a client: POST /v1/tenants/{t}/clients.
type CreateClient struct {
	ClientID string   `json:"client_id,omitempty"` // empty: one is generated
	Name     string   `json:"name,omitempty"`      // for people; empty: the id
	Type     string   `json:"type,omitempty"`      // service (when empty), web, native or spa
	Grants   []string `json:"grants,omitempty"`    // empty: what suits the type
	APIs     []string `json:"apis"`                // audiences or api_ids
	Scopes   []string `json:"scopes"`
	// Auth is client_secret_basic, client_secret_post, private_key_jwt, which
	// needs JWKS, or none; empty: what suits the type.
	Auth string `json:"auth,omitempty"`
	// RedirectURIs are where people come back to after signing in, LogoutURIs
	// after signing out.
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	LogoutURIs   []string `json:"logout_uris,omitempty"`
	// DPoP is required or offered; empty: what suits the type. DPoPReason says
	// why a native or spa client does not require it.
	DPoP       string `json:"dpop,omitempty"`
	DPoPReason string `json:"dpop_reason,omitempty"`
	// Trusted is the organisation's own: its people are not asked.
	Trusted bool `json:"trusted,omitempty"`
	// JWKS is the client's public JWK Set (RFC 7517) as JSON text.
	JWKS string `json:"jwks,omitempty"`
	// Lifetime of its tokens in seconds; 0: the house's default, 600.
	Lifetime int64 `json:"lifetime,omitempty"`
	// Claims are put into each of its tokens. Names must be on the tenant's list.
	Claims map[string]string `json:"claims,omitempty"`
	// RatePerSecond bounds its token requests; 0: 1000.
	RatePerSecond int `json:"rate_per_second,omitempty"`
}

// Client is a client of a tenant. Secret is in the answers to CreateClient and
// RotateSecret only and can't be read again.
type Client struct {
	ClientID      string            `json:"client_id"`
	Secret        string            `json:"client_secret,omitempty"`
	Pin           string            `json:"pin,omitempty"` // of the ledger root, in the answer to CreateClient: what judges its ID tokens goes by it
	Tenant        string            `json:"tenant"`
	Issuer        string            `json:"issuer"`
	TokenEndpoint string            `json:"token_endpoint"`
	Grants        []string          `json:"grants"`
	APIs          []string          `json:"apis"` // audiences
	Scopes        []string          `json:"scopes"`
	Name          string            `json:"name"`
	Type          string            `json:"type"`
	Auth          string            `json:"auth"`
	RedirectURIs  []string          `json:"redirect_uris,omitempty"`
	LogoutURIs    []string          `json:"logout_uris,omitempty"`
	DPoP          string            `json:"dpop"`
	DPoPReason    string            `json:"dpop_reason,omitempty"`
	Trusted       bool              `json:"trusted,omitempty"`
	Lifetime      int64             `json:"lifetime"` // seconds
	RatePerSecond int               `json:"rate_per_second"`
	Claims        map[string]string `json:"claims,omitempty"`
	Created       time.Time         `json:"created"`
	Disabled      time.Time         `json:"disabled,omitzero"`
	// Pending says why the signer does not know of the act yet, which is done all the same and is carried on by itself.
	Pending string `json:"pending,omitempty"`
	// PreviousSecretUntil is when the secret before the present one stops
	// working; zero when there is none.
	PreviousSecretUntil time.Time `json:"previous_secret_until,omitzero"`
}

// SetRedirects changes where people come back to: POST …/clients/{c}/redirects.
// Each list that is given takes the place of the one before; nil leaves it.
type SetRedirects struct {
	RedirectURIs *[]string `json:"redirect_uris,omitempty"`
	LogoutURIs   *[]string `json:"logout_uris,omitempty"`
}

// RotateSecret asks for a new secret: POST …/clients/{c}/rotate-secret.
type RotateSecret struct {
	// Overlap is how long the present secret goes on working, in seconds; nil:
	// a day.
	Overlap *int64 `json:"overlap,omitempty"`
}

// Key is an issuer key in `keys list`.
type Key struct {
	KID        string    `json:"kid"`
	Family     string    `json:"family"`
	Algorithm  string    `json:"alg"`
	TokenKinds []string  `json:"token_kinds"`
	State      string    `json:"state"` // staged, active, verify-only, retired, suspended or revoked
	Thumbprint string    `json:"thumbprint"`
	Published  time.Time `json:"published"`
	NotBefore  time.Time `json:"not_before"`
	Activated  time.Time `json:"activated,omitzero"`
	// SigningEnds and Expires are hard: no token is issued from the first on,
	// none lives past the second.
	SigningEnds time.Time `json:"signing_ends"`
	Expires     time.Time `json:"expires"`
}

// RotateKeys asks for keys/rotate.
type RotateKeys struct {
	Family string `json:"family,omitempty"` // access or id; empty: all that the tenant has
}

// Rotated answers keys/rotate: what became of each family. If none could be
// rotated, the answer is the first one's error.
type Rotated struct {
	Families []RotatedFamily `json:"families"`
}

// RotatedFamily is either rotated or says why it stays as it is.
type RotatedFamily struct {
	Family string `json:"family"`
	From   string `json:"from,omitempty"` // kid
	To     string `json:"to,omitempty"`   // kid
	Stays  string `json:"stays,omitempty"`
}

// ClockAccepted answers clock/accept.
type ClockAccepted struct {
	Was string `json:"was"` // why key transitions were frozen
}

// Status is GET /v1/status.
type Status struct {
	Version string `json:"version"`
	Base    string `json:"base"` // base URL
	Ready   bool   `json:"ready"`
	// Away lists what is unreachable or refuses, with the reason for people.
	Away    []Absence `json:"away"`
	Pin     string    `json:"pin,omitempty"` // of the ledger root that the house remembers
	Started time.Time `json:"started"`
	House   Wall      `json:"house"`
	Signer  Wall      `json:"signer"`
	Ledger  Wall      `json:"ledger"`
	// Alarms are acts of the last 30 days that every owner should know of, the newest first.
	Alarms []Alarm `json:"alarms,omitempty"`
	// Frozen says why key transitions are frozen; empty when they are not.
	Frozen          string    `json:"frozen,omitempty"`
	LogSize         uint64    `json:"log_size"` // entries, as the house last heard
	LogTime         time.Time `json:"log_time,omitzero"`
	Tenants         int       `json:"tenants"`
	PoliciesPending int       `json:"policies_pending"` // recorded, not yet confirmed by the signer
	// Owed is what the ledger has yet to hear of acts that are done; nil when there is nothing.
	Owed *Owing `json:"owed,omitempty"`
}

// Owing is what the ledger has yet to hear: it was away when something was done that it must know of.
type Owing struct {
	Statements int       `json:"statements"`        // about what must not be believed any more
	Entries    int       `json:"entries"`           // about what happened
	Refused    int       `json:"refused,omitempty"` // of them, that the ledger does not take
	Since      time.Time `json:"since"`             // of the oldest
	Means      string    `json:"means"`
	Do         string    `json:"do"`
}

// Wall is how well a process is kept apart, measured from inside it.
type Wall struct {
	Level   string `json:"level,omitempty"`
	Custody string `json:"custody,omitempty"` // where keys live; signer only
}

// Alarm is an act that every owner should know of.
type Alarm struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"` // owner-link or glass-broken
	Tenant string    `json:"tenant"`
	Login  string    `json:"login"` // whom it is about
	Actor  string    `json:"actor"` // who did it
}

// Absence is a part of seawall that is not there, and why.
type Absence struct {
	Part   string `json:"part"` // signer, ledger, ledger-root or policy
	Reason string `json:"reason"`
}

// Distrust asks for something to be believed no more, or again: POST /v1/tenants/{t}/distrust. POST …/distrust/preview does
// nothing, and says whom it would affect: it is no GET, since what was pasted for a name by mistake may be a credential, and
// addresses are written down in many places.
type Distrust struct {
	Reason string `json:"reason"` // key-compromise, leaked-token, provider-hygiene, admin, user or mistake
	// Kind is key, token, session, subject or client, and Value its name: a kid, a jti, …
	Kind  string `json:"kind,omitempty"`
	Value string `json:"value,omitempty"`
	// Before limits it to tokens issued earlier, Unix seconds; 0: now. Not for keys and tokens.
	Before int64 `json:"before,omitempty"`
	// Final revokes a key for good, YoungSpare lets one sign in its place that validators may not know yet, and Undo gives
	// a suspended key back.
	Final      bool `json:"final,omitempty"`
	YoungSpare bool `json:"young_spare,omitempty"`
	Undo       bool `json:"undo,omitempty"`
	// Restores takes back the statement of this number.
	Restores uint64 `json:"restores,omitempty"`
}

// Distrusted answers Distrust: with the statement, or the step of the key.
type Distrusted struct {
	Statement *Statement `json:"statement,omitempty"`
	KID       string     `json:"kid,omitempty"`
	Step      string     `json:"step,omitempty"`  // key.suspended, key.revoked or key.verify-only
	Signs     string     `json:"signs,omitempty"` // kid of the key that signs now
}

// DistrustPreview is whom it would affect.
type DistrustPreview struct {
	Tokens   uint64    `json:"tokens"`             // alive now
	AtLeast  bool      `json:"at_least,omitempty"` // there was too much to count in ten seconds
	Subjects int       `json:"subjects"`
	Clients  []Share   `json:"clients"` // most tokens first
	APIs     []Share   `json:"apis"`
	LastEnds time.Time `json:"last_ends,omitzero"` // when the last of the tokens ends by itself
	// About a key: its state, and which key would sign in its place.
	KeyState      string    `json:"key_state,omitempty"`
	NextKey       string    `json:"next_key,omitempty"`
	NextPublished time.Time `json:"next_published,omitzero"`
	NextKnown     time.Time `json:"next_known,omitzero"` // from when on every validator that caches keys for a day knows it
	// Restores is the statement that would be taken back.
	Restores *Statement `json:"restores,omitempty"`
}

// Share is how many of the tokens belong to a client or an API.
type Share struct {
	Name   string `json:"name"`
	Tokens uint64 `json:"tokens"`
}

// Statement is a statement of a tenant's distrust feed: GET /v1/tenants/{t}/distrust lists those that are live.
type Statement struct {
	N      uint64    `json:"n"`
	Act    string    `json:"act"` // distrust or restore
	Kind   string    `json:"kind"`
	Value  string    `json:"value"`
	Before time.Time `json:"before,omitzero"` // it concerns tokens issued earlier; zero: all
	Until  time.Time `json:"until"`           // no token that it concerns is good any more
	Undoes uint64    `json:"undoes,omitempty"`
	Reason string    `json:"reason"`
	Time   time.Time `json:"time"`
}
