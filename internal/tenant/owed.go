package tenant

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// OwedKind says what the ledger has yet to hear.
type OwedKind string

// The kinds: what must not be believed any more, and what happened to what people have agreed to, by the names that entries
// have.
const (
	DistrustSession OwedKind = "distrust.session" // what names the session
	DistrustPerson  OwedKind = "distrust.person"  // everything of the person
	DistrustToken   OwedKind = "distrust.token"   // a token that somebody took back
	DistrustLeaked  OwedKind = "distrust.leaked"  // a token that came of a code which two have

	CodeReused       OwedKind = "code.reused"
	RefreshReplayed  OwedKind = "refresh.replayed"
	RefreshSuspended OwedKind = "refresh.suspended"
)

// OwedEntries lists the kinds that are entries.
func OwedEntries() []OwedKind { return []OwedKind{CodeReused, RefreshReplayed, RefreshSuspended} }

// Owed is what follows from an act of the store and the ledger has yet to hear. The act keeps it, in its own transaction, until
// it is delivered: who dies in between, or finds the ledger away, forgets nothing.
type Owed struct {
	ID      string            `json:"-"` // random
	Tenant  string            `json:"-"`
	At      time.Time         `json:"-"` // of the act
	Kind    OwedKind          `json:"kind"`
	Person  string            `json:"person"`
	Client  string            `json:"client,omitempty"`
	Session string            `json:"session,omitempty"`
	JTI     string            `json:"jti,omitempty"`
	Actor   string            `json:"actor,omitempty"`
	Ends    time.Time         `json:"ends,omitzero"`    // of the last token that is not to be believed; zero: nobody knows
	Detail  map[string]string `json:"detail,omitempty"` // of an entry
}

// Owing is how much the ledger has yet to hear.
type Owing struct {
	Statements int // about what must not be believed
	Entries    int
	Since      time.Time // of the oldest; zero if there is nothing
}

// IsEntry reports whether it is an entry, and not a statement about what must not be believed.
func (o Owed) IsEntry() bool { return slices.Contains(OwedEntries(), o.Kind) }

// owes is what the ledger must hear of a family.
func (f Family) owes(kind OwedKind, detail map[string]string) Owed {
	detail["family"] = f.ID
	return Owed{Tenant: f.Tenant, Kind: kind, Person: f.Person, Client: f.Client, Detail: detail}
}

// OwesReplay is what the ledger must hear of a refresh token that was sent twice, and of the access token that it gave.
func (f Family) OwesReplay(r Rotation) Owed {
	return f.owes(RefreshReplayed, map[string]string{"generation": strconv.FormatUint(r.Generation, 10), "jti": r.Token.JTI})
}

// OwesSuspension is what the ledger must hear of a family that is suspended for what came along; nil: it was for something else.
func (f Family) OwesSuspension(why Suspicion, by *Presented) Owed {
	detail := map[string]string{"reason": string(why)}
	if by != nil {
		detail["by"], detail["generation"] = by.Client, strconv.FormatUint(by.Generation, 10)
	}
	return f.owes(RefreshSuspended, detail)
}

// OwesReuse is what the ledger must hear of a code that came a second time, when what it gave has ended: the entry, and which
// tokens are with somebody who should not have them.
func (c Code) OwesReuse(alive []Released) []Owed {
	detail := map[string]string{"jti": c.Gave.JTI}
	if c.Family != "" {
		detail["family"] = c.Family
	}
	all := []Owed{{Tenant: c.Tenant, Kind: CodeReused, Person: c.Person, Client: c.Client, Detail: detail}}
	for _, token := range alive {
		all = append(all, Owed{Tenant: c.Tenant, Kind: DistrustLeaked, Person: c.Person, Client: c.Client, JTI: token.JTI, Actor: ActorClient(c.Client), Ends: token.ExpiresAt})
	}
	return all
}

// OwesEnd is what the ledger must hear of a family that the actor has ended at now: that its access tokens are not to be believed.
// One that has given more than it remembers may have some left, so nothing of its session is.
func (f Family) OwesEnd(actor string, now time.Time) (all []Owed) {
	if f.Crowded(now) {
		return []Owed{{Tenant: f.Tenant, Kind: DistrustSession, Person: f.Person, Session: f.SID, Actor: actor, Ends: f.LastEnds()}}
	}
	for _, token := range f.Alive(now) {
		all = append(all, Owed{Tenant: f.Tenant, Kind: DistrustToken, Person: f.Person, Client: f.Client, JTI: token.JTI, Actor: actor, Ends: token.ExpiresAt})
	}
	return all
}

// OwesEnd is what the ledger must hear of a code whose access token, which lives, the actor has ended.
func (c Code) OwesEnd(actor string) Owed {
	return Owed{Tenant: c.Tenant, Kind: DistrustToken, Person: c.Person, Client: c.Client, JTI: c.Gave.JTI, Actor: actor, Ends: c.Gave.ExpiresAt}
}

// ByUser reports whether the person whom it is about wanted it, or an application that acts for them.
func (o Owed) ByUser() bool {
	return o.Actor == ActorPerson(o.Person) || strings.HasPrefix(o.Actor, clientPrefix)
}

const clientPrefix = "client:"

// ActorClient is how an entry names a client as who did something.
func ActorClient(id string) string { return clientPrefix + id }

// ActorPerson is how an entry names somebody as who did something.
func ActorPerson(id string) string { return personPrefix + id }

// ActorHouse is how an entry names the house, where something follows from what somebody did.
const ActorHouse = "house"
