package tenant

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Operators is the id of the tenant in which the people live who run seawall. Seawall makes it itself, at its first
// start, and nobody can make another.
const Operators = "operators"

// Unnamed stands where the operators' tenant has no owner yet: at its first start seawall knows nobody. The domain is
// one that never resolves (RFC 2606 §2).
const Unnamed = "unnamed@operators.invalid"

// ParseTenantID is [ParseID] for a tenant's id, of which [Operators] is one.
func ParseTenantID(s string) (string, error) {
	if foldASCII(s) == Operators {
		return Operators, nil
	}
	return ParseID("tenant id", s)
}

// PersonKind says what a principal is that signs in with a passkey.
type PersonKind string

// The kinds of person.
const (
	Human PersonKind = "human"
	// BreakGlass is a way in for when every other is shut: nobody's own, proven by a code on paper, and loud when used.
	BreakGlass PersonKind = "break-glass"
)

// BreakGlassPrincipals is how many ways in each tenant has for when the others are shut: one may be lost.
const BreakGlassPrincipals = 2

// Role is what a person may do in seawall itself. Only people of the operators' tenant have one.
type Role string

// The roles, the widest first.
const (
	Owner    Role = "owner"     // everything, and other owners
	Operator Role = "operator"  // everything but people and roles above their own
	HelpDesk Role = "help-desk" // people without a role, their links and sessions
	Auditor  Role = "auditor"   // reads, changes nothing
	NoRole   Role = ""          // a person who only signs in
)

// Roles lists every role, the widest first.
func Roles() []Role { return []Role{Owner, Operator, HelpDesk, Auditor} }

// rank orders roles by what they could do to others. An auditor ranks with nobody's administrator, but sees what others
// don't, so only who may make auditors may let one in again.
func (r Role) rank() int {
	switch r {
	case Owner:
		return 3
	case Operator:
		return 2
	case HelpDesk, Auditor:
		return 1
	}
	return 0
}

// MayAdmit reports whether somebody with role r may create, enrol or recover somebody with role other: never above their
// own, and never for an auditor, who changes nothing.
func (r Role) MayAdmit(other Role) bool {
	return r != Auditor && r.rank() > 0 && r.rank() >= other.rank() && (r != HelpDesk || other == NoRole)
}

// Tier is what a tenant asks of its people's passkeys. Each tier admits what the next one does.
type Tier string

// The tiers. User verification is required in all of them.
const (
	AnyPasskey  Tier = "any"          // synced ones too
	DeviceBound Tier = "device-bound" // none that says it may be copied to another device
	Attested    Tier = "attested"     // the maker's statement is checked against the FIDO metadata
)

// Tiers lists every tier, the lowest first.
func Tiers() []Tier { return []Tier{AnyPasskey, DeviceBound, Attested} }

// Handle is the user handle of a person at authenticators (WebAuthn §5.4.3, user.id). All tenants of a host share one
// RP ID, so the handle is what binds a passkey to a tenant: it is random, and leads to one person of one tenant.
type Handle [32]byte

// NewHandle makes a handle.
func NewHandle() (h Handle) {
	_, _ = rand.Read(h[:]) // never fails: crypto/rand ends the process instead
	return h
}

// Person is somebody who signs in. Subjects and handles are random and never given out twice.
type Person struct {
	Tenant     string
	ID         string // the subject (sub) of their tokens
	Handle     Handle
	Kind       PersonKind
	Login      string // what they are told apart by when they sign in: a mail address or a short name, lower case
	Name       string // for people
	Role       Role
	CreatedAt  time.Time
	DisabledAt time.Time // zero while they may sign in
}

// Live reports whether the person may sign in.
func (p Person) Live() bool { return p.DisabledAt.IsZero() }

// NewPerson checks a person. An empty subject or handle is replaced by a random one, an empty kind by [Human], an empty
// name by the login.
func NewPerson(p Person) (Person, error) {
	var err error
	if p.Tenant, err = ParseTenantID(p.Tenant); err != nil {
		return Person{}, err
	}
	if p.ID == "" {
		p.ID = strings.ToLower(rand.Text())
	}
	if p.ID, err = ParseID("subject", p.ID); err != nil {
		return Person{}, err
	}
	if p.Handle == (Handle{}) {
		p.Handle = NewHandle()
	}
	if p.Kind == "" {
		p.Kind = Human
	}
	if p.Kind != Human && p.Kind != BreakGlass {
		return Person{}, invalid("person", quote(string(p.Kind))+" is no kind of person", "")
	}
	if p.Login, err = ParseLogin(p.Login); err != nil {
		return Person{}, err
	}
	if p.Name, err = displayName(p.Name, p.Login); err != nil {
		return Person{}, err
	}
	if err := checkRole(p); err != nil {
		return Person{}, err
	}
	p.CreatedAt, p.DisabledAt = wholeMillis(p.CreatedAt), wholeMillis(p.DisabledAt)
	if p.CreatedAt.IsZero() {
		return Person{}, invalid("person", "they have no time of creation", "")
	}
	return p, nil
}

func checkRole(p Person) error {
	switch {
	case p.Role != NoRole && !slices.Contains(Roles(), p.Role):
		return invalid("role", "there is no "+quote(string(p.Role)), "choose owner, operator, help-desk or auditor")
	case p.Role != NoRole && p.Tenant != Operators:
		return invalid("role", "only people of the tenant "+Operators+" have one", "leave it out: people of other tenants just sign in")
	case p.Role == NoRole && p.Tenant == Operators:
		return invalid("role", "people of the tenant "+Operators+" have one", "choose owner, operator, help-desk or auditor")
	}
	return nil
}

// ParseLogin folds what a person is told apart by to lower case and checks it: a mail address, or a short name.
func ParseLogin(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if strings.Contains(s, "@") {
		return mailAddress("login", s)
	}
	if s == "" || len(s) > MaxIDLength || !dotAtom(s) || strings.ContainsAny(s, "'`$&") {
		return "", invalid("login", quote(s)+" is neither a mail address nor a short name", "give the person's mail address, such as ada@acme.example")
	}
	return s, nil
}

// Admits says whether a person may register a passkey, whatever their tenant asks for. A break-glass principal that is given
// one beforehand gets one that lies in a safe, not one that is copied about; when the glass is broken, what is at hand will do.
func (p Person) Admits(k Passkey, why Reason) error {
	if p.Kind == BreakGlass && why != GlassBroken && k.Synced() {
		return invalid("passkey", "it may be copied to other devices, and "+p.Login+" wants one that stays in a safe", "use a security key")
	}
	return nil
}

// BreakGlassPeople are the principals that a tenant has for when every other way in is shut.
func BreakGlassPeople(tenantID string, now time.Time) ([]Person, error) {
	var both []Person
	for i := range BreakGlassPrincipals {
		p := Person{Tenant: tenantID, Kind: BreakGlass, Login: fmt.Sprintf("break-glass-%d", i+1), Name: fmt.Sprintf("Break glass %d", i+1), CreatedAt: now}
		if tenantID == Operators {
			p.Role = Owner
		}
		p, err := NewPerson(p)
		if err != nil {
			return nil, err
		}
		both = append(both, p)
	}
	return both, nil
}

// WithRole is the person with another role, given everybody of their tenant and the ways in of each: the last owner
// who could get in stays one.
func (p Person) WithRole(role Role, people []Person, ways map[string]Ways) (Person, error) {
	next := p
	next.Role = role
	if err := checkRole(next); err != nil {
		return p, err
	}
	switch {
	case p.Kind == BreakGlass:
		return p, Refuse(ErrConflict, "", "%s is for when nobody else gets in, and keeps its role", p.Login)
	case !p.Live():
		return p, Refuse(ErrDisabled, "a disabled person stays disabled: create another", "the person %s is disabled", p.Login)
	case role != Owner:
		return next, noLastOwner(p, people, ways)
	}
	return next, nil
}

// MayEnd says whether a tenant may be disabled: the operators' own may not, or nobody could run seawall any more.
func (t Tenant) MayEnd() error {
	if t.ID == Operators {
		return Refuse(ErrConflict, "disable its people one by one; the last owner stays", "the tenant %s is the one that runs seawall", t.ID)
	}
	return nil
}

// Completed is the tenant with those of owner, contacts and what is asked of passkeys that given has.
func (t Tenant) Completed(given Tenant) (Tenant, error) {
	if given.Owner != "" {
		t.Owner = given.Owner
	}
	if len(given.Contacts) > 0 {
		t.Contacts = given.Contacts
	}
	if given.Passkeys != "" {
		t.Passkeys, t.Models = given.Passkeys, given.Models
	} else if len(given.Models) > 0 {
		t.Models = given.Models
	}
	return New(t)
}
