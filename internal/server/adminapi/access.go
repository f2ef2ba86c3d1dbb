package adminapi

import (
	"context"
	"time"
)

// Accesses is what applications have of a person: GET /v1/tenants/{t}/people/{p}/access.
type Accesses struct {
	Access   []Access  `json:"access"`   // the one used last first
	Given    []Given   `json:"given"`    // the one given last first
	Consents []Consent `json:"consents"` // by client
}

// Access is what one application has on one device: it gets tokens as long as this goes on.
type Access struct {
	ID        string   `json:"id"`
	Client    string   `json:"client"`
	Name      string   `json:"name"` // of the application
	Scopes    []string `json:"scopes"`
	Resources []string `json:"resources"` // audiences
	Session   string   `json:"session"`   // the browser session that it ends with, or came from
	Offline   bool     `json:"offline"`   // it goes on when that has ended
	Bound     bool     `json:"bound"`     // to a key of the application's
	// Generation counts the refresh tokens that it had.
	Generation uint64    `json:"generation"`
	Created    time.Time `json:"created"`
	Used       time.Time `json:"used"`
	Expires    time.Time `json:"expires"` // unless it is used before
	Suspended  time.Time `json:"suspended,omitzero"`
	Why        string    `json:"why,omitempty"` // it is suspended, in one word
}

// Given is an access token that lives, of an application that can't get another without the person.
type Given struct {
	Client    string    `json:"client"`
	Name      string    `json:"name"` // of the application
	Scopes    []string  `json:"scopes"`
	Resources []string  `json:"resources"` // audiences
	Session   string    `json:"session"`   // the browser session that it came from
	At        time.Time `json:"at"`
	Expires   time.Time `json:"expires"`
}

// Consent is what a person has allowed an application.
type Consent struct {
	Client string              `json:"client"`
	Name   string              `json:"name"`
	Given  time.Time           `json:"given"`
	Terms  map[string][]string `json:"terms"` // scopes by audience; "" is for what concerns no API
}

// ChangeAccess suspends, resumes or ends: POST …/people/{p}/access. End takes an id, a client, or neither for everything.
type ChangeAccess struct {
	Step   string `json:"step"` // suspend, resume or end
	ID     string `json:"id,omitempty"`
	Client string `json:"client,omitempty"`
}

// Access tells what applications have of a person.
func (o *Operator) Access(ctx context.Context, tenant, person string) (*Accesses, error) {
	return call[Accesses](ctx, o, "GET", nil, "tenants", tenant, "people", person, "access")
}

// ChangeAccess suspends, resumes or ends what applications have of a person, and tells what they have then.
func (o *Operator) ChangeAccess(ctx context.Context, tenant, person string, q ChangeAccess) (*Accesses, error) {
	return call[Accesses](ctx, o, "POST", q, "tenants", tenant, "people", person, "access")
}
