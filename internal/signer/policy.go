package signer

import (
	"crypto/sha256"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"seawall/internal/keyring"
	"seawall/internal/mint"
)

const (
	day = 24 * time.Hour

	maxTenantID   = 63
	maxScopes     = 256 // of one API
	maxScopeToken = 128
	maxClaimNames = 64 // of one tenant
	maxClaimName  = 128
	maxActor      = 256
	maxClients    = 5000 // of one tenant that may get ID tokens
)

// limits is a policy in the form in which requests are held against it.
type limits struct {
	lifetime   int64 // seconds
	idLifetime int64 // the same, of an ID token
	audiences  map[string]*audience
	clients    map[string]struct{} // that people sign in to
	claims     map[string]struct{}
}

type audience struct {
	lifetime int64 // seconds; the tenant's when the API has none of its own
	scopes   map[string]struct{}
}

// compile makes the limits of a checked policy. Ceilings count here too: an operator may have lowered them since.
func compile(p *mint.Policy, c *Ceilings) *limits {
	l := &limits{
		lifetime:   min(p.MaxLifetime, c.MaxLifetime),
		idLifetime: min(p.MaxLifetime, c.MaxLifetime, c.MaxIDLifetime),
		audiences:  make(map[string]*audience, len(p.Audiences)+1),
		clients:    make(map[string]struct{}, len(p.Clients)),
		claims:     make(map[string]struct{}, len(p.Claims)),
	}
	for _, a := range p.Audiences {
		api := &audience{lifetime: l.lifetime, scopes: make(map[string]struct{}, len(a.Scopes))}
		if a.MaxLifetime > 0 {
			api.lifetime = min(a.MaxLifetime, l.lifetime)
		}
		for _, s := range a.Scopes {
			api.scopes[s] = struct{}{}
		}
		l.audiences[a.ID] = api
	}
	for _, name := range p.Claims {
		l.claims[name] = struct{}{}
	}
	for _, id := range p.Clients {
		l.clients[id] = struct{}{}
	}
	if len(p.Clients) > 0 {
		l.admitUserInfo(p.Issuer)
	}
	return l
}

// admitUserInfo adds the issuer's own endpoint to the audiences. Should the tenant have an API of this name, it keeps what
// it has.
func (l *limits) admitUserInfo(issuer string) {
	own := &audience{lifetime: l.lifetime, scopes: map[string]struct{}{}}
	if registered := l.audiences[mint.UserInfo(issuer)]; registered != nil {
		own = registered
	}
	for _, scope := range mint.UserInfoScopes() {
		own.scopes[scope] = struct{}{}
	}
	l.audiences[mint.UserInfo(issuer)] = own
}

// checkPolicy reports whether p is a possible policy within the ceilings, whatever else is known of its tenant.
func checkPolicy(p *mint.Policy, c *Ceilings) *mint.Refusal {
	invalid := func(format string, args ...any) *mint.Refusal {
		return mint.Refuse(mint.PolicyInvalid, format, args...)
	}
	beyond := func(format string, args ...any) *mint.Refusal {
		return mint.Refuse(mint.PolicyCeiling, format, args...)
	}
	switch {
	case !validTenant(p.Tenant):
		return invalid("the tenant id must be 1 to %d of a-z, 0-9 and hyphen", maxTenantID)
	case !validIssuer(p.Issuer):
		return invalid("the issuer must be an https URL (http for this host alone) without query, fragment or final slash")
	case !slices.Contains([]string{"production", "staging", "development", "support"}, p.Class):
		return invalid("the class must be production, staging, development or support")
	case p.Version == 0:
		return invalid("versions begin with 1")
	case p.Algorithm == "" || p.MaxLifetime <= 0:
		return invalid("algorithm and max_lifetime must be set")
	case p.Actor == "" || len(p.Actor) > maxActor || !printable(p.Actor):
		return invalid("the actor must be given, as printable text")
	case p.RotationDays != 0 && p.RotationDays < int(keyring.MinRotation/day):
		return invalid("rotation_days must be at least %d, so that validators know the next key in time", keyring.MinRotation/day)
	case !strings.HasPrefix(p.Issuer, c.IssuerPrefix):
		return beyond("issuers on this host begin with %s", c.IssuerPrefix)
	case !slices.Contains(c.Algorithms, p.Algorithm):
		return beyond("the algorithm is none of %s", strings.Join(c.Algorithms, ", "))
	case p.MaxLifetime > c.MaxLifetime:
		return beyond("max_lifetime is over %d s", c.MaxLifetime)
	case p.RotationDays > c.MaxRotationDays:
		return beyond("rotation_days is over %d", c.MaxRotationDays)
	case len(p.Audiences) > c.MaxAudiences:
		return beyond("more than %d audiences", c.MaxAudiences)
	}
	if r := checkAudiences(p.Audiences, p.MaxLifetime); r != nil {
		return r
	}
	if r := checkClients(p.Clients, p.Audiences); r != nil {
		return r
	}
	return checkClaimNames(p.Claims)
}

// checkClients wants client ids in order, and none that is also the name of an API: an access token for that could be
// taken for the client's ID token.
func checkClients(list []string, apis []mint.Audience) *mint.Refusal {
	if len(list) > maxClients {
		return mint.Refuse(mint.PolicyInvalid, "more than %d clients may get ID tokens", maxClients)
	}
	for i, id := range list {
		if !validName(id) || i > 0 && list[i-1] >= id {
			return mint.Refuse(mint.PolicyInvalid, "client %d: the id must be printable, at most %d bytes, given once and in order", i, maxName)
		}
	}
	for i := range apis {
		if _, taken := slices.BinarySearch(list, apis[i].ID); taken {
			return mint.Refuse(mint.PolicyInvalid, "audience %d is the id of a client that may get ID tokens", i)
		}
	}
	return nil
}

func checkAudiences(list []mint.Audience, longest int64) *mint.Refusal {
	seen := make(map[string]struct{}, len(list))
	for i := range list {
		a := &list[i]
		if _, twice := seen[a.ID]; twice || a.ID == "" || len(a.ID) > mint.MaxText || !printable(a.ID) {
			return mint.Refuse(mint.PolicyInvalid, "audience %d: the id must be printable, at most %d bytes, and given once", i, mint.MaxText)
		}
		seen[a.ID] = struct{}{}
		if a.MaxLifetime < 0 || a.MaxLifetime > longest {
			return mint.Refuse(mint.PolicyInvalid, "audience %d: max_lifetime must be between 0 and the tenant's", i)
		}
		if len(a.Scopes) > maxScopes {
			return mint.Refuse(mint.PolicyInvalid, "audience %d: more than %d scopes", i, maxScopes)
		}
		for j, s := range a.Scopes {
			if !scopeToken(s) || len(s) > maxScopeToken || slices.Contains(a.Scopes[:j], s) {
				return mint.Refuse(mint.PolicyInvalid, "audience %d, scope %d: not an RFC 6749 scope token of at most %d bytes, or repeated", i, j, maxScopeToken)
			}
		}
	}
	return nil
}

// checkClaimNames admits names that mean the same to every reader of JSON: no standard one, no two that differ in case
// only, and ASCII alone, because readers that ignore case fold other letters in ways of their own.
func checkClaimNames(names []string) *mint.Refusal {
	if len(names) > maxClaimNames {
		return mint.Refuse(mint.PolicyInvalid, "more than %d custom claims", maxClaimNames)
	}
	seen := make(map[string]struct{}, len(names))
	for i, name := range names {
		folded := strings.ToLower(name)
		_, twice := seen[folded]
		if name == "" || len(name) > maxClaimName || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' }) {
			return mint.Refuse(mint.PolicyInvalid, "claim %d: the name must be printable ASCII without spaces or quotes, at most %d bytes", i, maxClaimName)
		}
		if twice || mint.StandardClaim(name) {
			return mint.Refuse(mint.PolicyInvalid, "claim %d: a standard claim, or the same as another one", i)
		}
		seen[folded] = struct{}{}
	}
	return nil
}

// validTenant reports whether id is a tenant id. It also names files, so nothing else may ever pass.
func validTenant(id string) bool {
	if id == "" || len(id) > maxTenantID {
		return false
	}
	for i := 0; i < len(id); i++ {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// validIssuer reports whether s is an issuer identifier (RFC 8414 §2). http is for trying things out on one machine.
func validIssuer(s string) bool {
	if len(s) > mint.MaxText || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return false
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Opaque != "" ||
		strings.ContainsRune(s, '#') || strings.HasSuffix(s, "/") || u.String() != s {
		return false
	}
	switch u.Scheme {
	case "https":
		return true
	case "http":
		host := u.Hostname()
		return host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1"
	}
	return false
}

// rules returns what the keyring of a tenant is planned by.
func rules(p *mint.Policy, c *Ceilings) keyring.Rules {
	r := keyring.Rules{Algorithm: p.Algorithm, Rotation: keyring.DefaultRotation, MaxLifetime: time.Duration(c.MaxLifetime) * time.Second}
	if p.RotationDays != 0 {
		r.Rotation = time.Duration(p.RotationDays) * day
	}
	return r
}

// policyDigest identifies the content of a policy in the ledger.
func policyDigest(p *mint.Policy) string {
	b, err := json.Marshal(p)
	if err != nil {
		panic("signer: a policy has no JSON form: " + err.Error()) // it was read from JSON
	}
	return mint.Digest(sha256.Sum256(b)).String()
}

// normalize gives policies of the same meaning the same bytes.
func normalize(p mint.Policy) mint.Policy {
	if len(p.Audiences) == 0 {
		p.Audiences = nil
	}
	if len(p.Clients) == 0 {
		p.Clients = nil
	}
	if len(p.Claims) == 0 {
		p.Claims = nil
	}
	p.Audiences = slices.Clone(p.Audiences)
	for i := range p.Audiences {
		if len(p.Audiences[i].Scopes) == 0 {
			p.Audiences[i].Scopes = nil
		}
	}
	return p
}

// policyEntry is how the ledger records that a policy applies.
func policyEntry(p *mint.Policy) *mint.Entry {
	e := &mint.Entry{Kind: mint.PolicyChanged, Tenant: p.Tenant, Issuer: p.Issuer, Actor: p.Actor, Detail: []mint.Field{
		{Name: "algorithm", Value: p.Algorithm},
		{Name: "audiences", Value: strconv.Itoa(len(p.Audiences))},
		{Name: "class", Value: p.Class},
		{Name: "digest", Value: policyDigest(p)},
		{Name: "disabled", Value: strconv.FormatBool(p.Disabled)},
		{Name: "max_lifetime", Value: strconv.FormatInt(p.MaxLifetime, 10)},
		{Name: "rotation_days", Value: strconv.Itoa(p.RotationDays)},
		{Name: "version", Value: strconv.FormatUint(p.Version, 10)},
	}}
	if n := len(p.Clients); n > 0 {
		e.Detail = append(e.Detail, mint.Field{Name: "clients", Value: strconv.Itoa(n)})
	}
	e.SortDetail()
	return e
}
