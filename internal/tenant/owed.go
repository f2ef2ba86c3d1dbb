package tenant

import "time"

// OwedKind says what the ledger has yet to hear.
type OwedKind string

// The kinds: what must not be believed any more.
const (
	DistrustSession OwedKind = "distrust.session" // what names the session
	DistrustPerson  OwedKind = "distrust.person"  // everything of the person
)

// Owed is what follows from an act of the store and the ledger has yet to hear. The act keeps it, in its own transaction, until
// it is delivered: who dies in between, or finds the ledger away, forgets nothing.
type Owed struct {
	ID      string    `json:"-"` // random
	Tenant  string    `json:"-"`
	At      time.Time `json:"-"` // of the act
	Kind    OwedKind  `json:"kind"`
	Person  string    `json:"person"`
	Session string    `json:"session,omitempty"`
	Actor   string    `json:"actor"`
}

// ByPerson reports whether the person whom it is about wanted it.
func (o Owed) ByPerson() bool { return o.Actor == ActorPerson(o.Person) }

// ActorPerson is how an entry names somebody as who did something.
func ActorPerson(id string) string { return personPrefix + id }

// ActorHouse is how an entry names the house, where something follows from what somebody did.
const ActorHouse = "house"
