// Package tenant says what a tenant is, what it owns, and what must always be true of them: tenants, their APIs
// (resource servers), their clients and their people with passkeys and sessions, as values with invariants.
//
// A value is made by a constructor, [New], [NewAPI] or [NewClient], which takes a filled-in value and returns a checked
// and normalised copy, or an [*Invalid] that tells a person what is wrong, why, and what to do. Constructing again
// changes nothing, so whoever stores a value checks it again without harm. Rules that need several values at once are
// methods of the one that decides: [Tenant.Admits] and [Tenant.AdmitsClient].
//
// Values are for reading. A slice or map inside one may be shared by all who hold a copy: build a new value instead of
// changing it.
//
// The package does no I/O. Times come from the caller.
package tenant

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"seawall/internal/secret"
)

// Class says what a tenant is for, and so which baseline it lives under.
type Class string

// The classes of tenant. Environments never share keys, clients or trust; support staff live in a tenant of their own.
const (
	Production  Class = "production"
	Staging     Class = "staging"
	Development Class = "development"
	Support     Class = "support"
)

// Classes lists every class.
func Classes() []Class { return []Class{Production, Staging, Development, Support} }

// Env is the word for the class inside generated credentials.
func (c Class) Env() secret.Env {
	switch c {
	case Production:
		return secret.Production
	case Staging:
		return secret.Staging
	case Support:
		return secret.Support
	}
	return secret.Development
}

// Algorithm is how a tenant's tokens are signed: a JWS alg (RFC 7518 §3.1, RFC 8037 §3.1).
type Algorithm string

// The signature algorithms.
const (
	ES256 Algorithm = "ES256"
	RS256 Algorithm = "RS256"
	PS256 Algorithm = "PS256"
	EdDSA Algorithm = "EdDSA" // Ed25519
)

// Algorithms lists every algorithm, the default first.
func Algorithms() []Algorithm { return []Algorithm{ES256, RS256, PS256, EdDSA} }

// Bounds and defaults of a tenant's settings.
const (
	MinContacts         = 2 // one person may be asleep
	MaxContacts         = 20
	DefaultMaxLifetime  = time.Hour
	LongestLifetime     = 24 * time.Hour
	DefaultRotationDays = 30
	MinRotationDays     = 2 // the next key is published more than a day before use
	MaxRotationDays     = 365
)

// Tenant is an isolated customer: one issuer, one set of keys, its own APIs and clients.
type Tenant struct {
	ID        string
	Class     Class
	Owner     string   // mail address of who answers for the tenant
	Contacts  []string // mail addresses of at least two who can be reached; lower-case domains, sorted
	Issuer    string   // the issuer identifier, {base}/{ID}; fixed for good
	Algorithm Algorithm
	Claims    []string // names of custom claims that its clients may carry, sorted

	MaxLifetime  time.Duration // of any of its access tokens, whole seconds
	RotationDays int           // how long one key signs

	Passkeys Tier     // what is asked of its people's passkeys
	Models   []string // AAGUIDs of the authenticators that Attested admits, sorted; empty: every certified one

	CreatedAt  time.Time
	DisabledAt time.Time // zero while the tenant is live

	// PolicyVersion counts the changes that the signer must hear of, and PolicyApplied is the last one that it has
	// confirmed. The store keeps both; New leaves them alone.
	PolicyVersion, PolicyApplied uint64
}

// Live reports whether the tenant may be issued tokens.
func (t Tenant) Live() bool { return t.DisabledAt.IsZero() }

// New checks a tenant. Empty settings get their defaults: ES256, [DefaultMaxLifetime], [DefaultRotationDays],
// [AnyPasskey]. Only the tenant [Operators] may be without owner and contacts, until they are named.
func New(t Tenant) (Tenant, error) {
	var err error
	if t.ID, err = ParseTenantID(t.ID); err != nil {
		return Tenant{}, err
	}
	if !slices.Contains(Classes(), t.Class) {
		return Tenant{}, invalid("tenant class", "there is no "+quote(string(t.Class)), "choose production, staging, development or support")
	}
	if t.ID == string(Support) && t.Class != Support {
		return Tenant{}, invalid("tenant id", `"support" belongs to the tenant of class support`, "choose another id")
	}
	if t.ID == Operators && t.Class != Production {
		return Tenant{}, invalid("tenant class", "the tenant "+Operators+" is a production tenant", "")
	}
	if t.ID != Operators || t.Owner != Unnamed || len(t.Contacts) > 0 {
		if t.Owner, err = mailAddress("owner", t.Owner); err != nil {
			return Tenant{}, err
		}
		if t.Contacts, err = contacts(t.Contacts); err != nil {
			return Tenant{}, err
		}
	}
	if t, err = passkeyPolicy(t); err != nil {
		return Tenant{}, err
	}
	if err := checkIssuer(t.Issuer, t.ID); err != nil {
		return Tenant{}, err
	}
	if t.Algorithm == "" {
		t.Algorithm = ES256
	}
	if !slices.Contains(Algorithms(), t.Algorithm) {
		return Tenant{}, invalid("algorithm", quote(string(t.Algorithm))+" is none of ours", "choose ES256, RS256, PS256 or EdDSA")
	}
	if t.Claims, err = claimNames(t.Claims); err != nil {
		return Tenant{}, err
	}
	return limits(t)
}

func limits(t Tenant) (Tenant, error) {
	if t.MaxLifetime == 0 {
		t.MaxLifetime = DefaultMaxLifetime
	}
	if err := checkLifetime("longest token lifetime", t.MaxLifetime, LongestLifetime); err != nil {
		return Tenant{}, err
	}
	if t.RotationDays == 0 {
		t.RotationDays = DefaultRotationDays
	}
	if t.RotationDays < MinRotationDays || t.RotationDays > MaxRotationDays {
		return Tenant{}, invalid("key rotation", plural(t.RotationDays, "day")+" is outside 2 to 365", "the next key is published more than a day before it signs, so a key signs for two days or more")
	}
	t.CreatedAt, t.DisabledAt = wholeMillis(t.CreatedAt), wholeMillis(t.DisabledAt)
	if t.CreatedAt.IsZero() {
		return Tenant{}, invalid("tenant", "it has no time of creation", "")
	}
	return t, nil
}

// checkIssuer applies RFC 8414 §2 to an issuer: https, no query, no fragment. Plain http is for a loopback address
// only. The last path segment is the tenant's id, so that the path alone finds the tenant.
func checkIssuer(issuer, id string) error {
	const what, hint = "issuer", "it is the base URL and the tenant id, such as https://id.example.com/acme"
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return invalid(what, quote(issuer)+" is not a URL", hint)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(issuer, "#"):
		return invalid(what, "it has user information, a query or a fragment", hint)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return invalid(what, "it does not start with https://, and its host is not a loopback address", "serve TLS, or put a proxy that does in front, and give its https URL as the base")
	case u.Host != strings.ToLower(u.Host) || u.String() != issuer || strings.Contains(u.Path, "//") || !strings.HasSuffix(u.Path, "/"+id):
		return invalid(what, quote(issuer)+" is not in its plainest form", hint)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkLifetime bounds a lifetime: whole seconds, because that is all that exp and iat can say.
func checkLifetime(what string, d, most time.Duration) error {
	if d < time.Second || d > most || d%time.Second != 0 {
		return invalid(what, d.String()+" is not between a second and "+plural(int(most/time.Second), "second"), "give whole seconds within these bounds")
	}
	return nil
}

// wholeMillis is t as it survives storage: UTC, milliseconds.
func wholeMillis(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}
