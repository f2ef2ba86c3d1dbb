package adminapi

import (
	"context"
	"time"
)

// CreatePerson makes a person who can be given a passkey: POST /v1/tenants/{t}/people.
type CreatePerson struct {
	Login string `json:"login"`          // mail address or short name, by which they are told apart
	Name  string `json:"name,omitempty"` // for people; empty: the login
	// Role is owner, operator, help-desk or auditor for people of the tenant operators, and empty for all others.
	Role string `json:"role,omitempty"`
}

// Person is somebody who signs in. Passkeys, Sessions and Recovery are in the answers about one person only.
type Person struct {
	Subject  string    `json:"subject"` // sub in tokens; never given out twice
	Tenant   string    `json:"tenant"`
	Kind     string    `json:"kind"` // human or break-glass
	Login    string    `json:"login"`
	Name     string    `json:"name"`
	Role     string    `json:"role,omitempty"`
	Created  time.Time `json:"created"`
	Disabled time.Time `json:"disabled,omitzero"`
	// WaysIn counts passkeys that sign them in and break-glass codes that were not used; in lists only, as the next four.
	WaysIn   int       `json:"ways_in,omitempty"`
	CodeUsed bool      `json:"code_used,omitempty"` // the break-glass code was used, and no new one has taken its place
	Proven   time.Time `json:"proven,omitzero"`     // when a way in was last seen to work
	Passkeys []Passkey `json:"passkeys,omitempty"`
	Sessions []Session `json:"sessions,omitempty"`
	Recovery *Recovery `json:"recovery,omitempty"`
}

// Passkey is a WebAuthn credential of a person.
type Passkey struct {
	Reference string    `json:"reference"` // as in the log
	Name      string    `json:"name"`
	Synced    bool      `json:"synced"`
	Attested  bool      `json:"attested"`
	Created   time.Time `json:"created"`
	Used      time.Time `json:"used,omitzero"`
	Suspended time.Time `json:"suspended,omitzero"`
	// SuspendedWhy is counter (there may be two of it) or recovery (left behind; its person may restore it).
	SuspendedWhy string `json:"suspended_why,omitempty"`
	Lesser       bool   `json:"lesser,omitempty"` // it works, and is less than the tenant asks for by now
}

// Session is a signed-in browser.
type Session struct {
	ID       string    `json:"id"`
	Device   string    `json:"device"` // as the browser called itself
	Place    string    `json:"place"`  // network address
	ACR      string    `json:"acr"`
	AMR      []string  `json:"amr"`
	SignedIn time.Time `json:"signed_in"`
	Seen     time.Time `json:"seen"`
}

// Link lets a person register one passkey. It works once and can't be read again.
type Link struct {
	Link    string    `json:"link"`
	Expires time.Time `json:"expires"`
	Reason  string    `json:"reason"` // first, recovery or break-glass
	Login   string    `json:"login"`
	Subject string    `json:"subject"`
}

// RecoverPerson moves a recovery on: POST …/people/{p}/recover.
type RecoverPerson struct {
	Step string `json:"step"` // request, approve or stop
}

// Recovery is the slow way back for somebody who has lost their passkeys.
type Recovery struct {
	RequestedBy string    `json:"requested_by"`
	Requested   time.Time `json:"requested"`
	FirstBy     string    `json:"first_by,omitempty"`    // the first administrator who spoke for it
	ApprovedBy  string    `json:"approved_by,omitempty"` // the second
	UsableFrom  time.Time `json:"usable_from,omitzero"`  // from then on `person enrol` makes a link
}

// SetRole gives a person of the tenant operators another role: POST …/people/{p}/role.
type SetRole struct {
	Role string `json:"role"` // owner, operator, help-desk or auditor
}

// EndSessions signs a person out: POST …/people/{p}/end-sessions.
type EndSessions struct {
	Session string `json:"session,omitempty"` // id; empty: everywhere
}

// WaitingRecovery is a recovery that waits for a second administrator: GET /v1/recoveries.
type WaitingRecovery struct {
	Tenant  string `json:"tenant"`
	Subject string `json:"subject"`
	Login   string `json:"login"`
	Name    string `json:"name"`
	Role    string `json:"role,omitempty"`
	Recovery
}

// Self is who asks: GET /v1/self.
type Self struct {
	Actor   string    `json:"actor"` // as entries have it: uid:1000 or person:…
	Role    string    `json:"role"`
	Subject string    `json:"subject,omitempty"` // the person; none over the socket
	Login   string    `json:"login,omitempty"`
	Name    string    `json:"name,omitempty"`
	Touched time.Time `json:"touched,omitzero"` // when they last proved that it is them
	// ReadsOnly is of the socket: an owner can sign in, so changes are made by people.
	ReadsOnly bool `json:"reads_only,omitempty"`
}

// CompleteTenant gives a tenant what it lacks: POST /v1/tenants/{t}/complete. What is empty stays as it is; its
// break-glass principals are made if there are none.
type CompleteTenant struct {
	Owner    string   `json:"owner,omitempty"`
	Contacts []string `json:"contacts,omitempty"`
	Passkeys string   `json:"passkeys,omitempty"` // any, device-bound or attested
	Models   []string `json:"models,omitempty"`   // AAGUIDs, for attested
	DryRun   bool     `json:"dry_run,omitempty"`  // change nothing; the answer is the tenant as it would be, with its findings
}

// Finding is something that a tenant lacks.
type Finding struct {
	ID   string `json:"id"`
	What string `json:"what"`
	Hint string `json:"hint,omitempty"`
}

// SealGlass keeps the hash of a break-glass principal's code: POST …/people/{p}/seal. Whoever seals makes the code.
type SealGlass struct {
	Hash []byte `json:"hash"` // SHA-256
	// Recipient is the fingerprint of the key that it was encrypted to, SHA256: and base64, for the log; empty: it was shown.
	Recipient string `json:"recipient,omitempty"`
}

// BreakGlass uses a code: POST /v1/tenants/{t}/break-glass. The answer is a link for its principal.
type BreakGlass struct {
	Code string `json:"code"`
}

// Glass is a break-glass principal, and what is known of its ways in.
type Glass struct {
	Login    string    `json:"login"`
	Subject  string    `json:"subject"`
	Passkeys int       `json:"passkeys"`
	Code     bool      `json:"code"`                // there is one that was not used
	CodeUsed bool      `json:"code_used,omitempty"` // it was used, and no new one has taken its place
	Proven   time.Time `json:"proven,omitzero"`     // when a way in was last seen to work
}

// ProvenGlass says whose a code is that was proven.
type ProvenGlass struct {
	Login   string    `json:"login"`
	Subject string    `json:"subject"`
	Proven  time.Time `json:"proven"`
}

// CreatePerson makes a person.
func (o *Operator) CreatePerson(ctx context.Context, tenant string, q CreatePerson) (*Person, error) {
	return call[Person](ctx, o, "POST", q, "tenants", tenant, "people")
}

// People lists a tenant's people by login.
func (o *Operator) People(ctx context.Context, tenant string) ([]Person, error) {
	return list[Person](ctx, o, "tenants", tenant, "people")
}

// Person returns one person, named by subject or login.
func (o *Operator) Person(ctx context.Context, tenant, person string) (*Person, error) {
	return call[Person](ctx, o, "GET", nil, "tenants", tenant, "people", person)
}

// DisablePerson stops a person for good.
func (o *Operator) DisablePerson(ctx context.Context, tenant, person string) (*Person, error) {
	return call[Person](ctx, o, "POST", struct{}{}, "tenants", tenant, "people", person, "disable")
}

// EnrolPerson makes a link for a person who has no passkey, or whose recovery is ready.
func (o *Operator) EnrolPerson(ctx context.Context, tenant, person string) (*Link, error) {
	return call[Link](ctx, o, "POST", struct{}{}, "tenants", tenant, "people", person, "enrol")
}

// RecoverPerson moves a recovery on.
func (o *Operator) RecoverPerson(ctx context.Context, tenant, person string, q RecoverPerson) (*Recovery, error) {
	return call[Recovery](ctx, o, "POST", q, "tenants", tenant, "people", person, "recover")
}

// CompleteTenant gives a tenant what it lacks.
func (o *Operator) CompleteTenant(ctx context.Context, tenant string, q CompleteTenant) (*Tenant, error) {
	return call[Tenant](ctx, o, "POST", q, "tenants", tenant, "complete")
}

// SealGlass keeps the hash of a break-glass code.
func (o *Operator) SealGlass(ctx context.Context, tenant, person string, q SealGlass) error {
	_, err := call[struct{}](ctx, o, "POST", q, "tenants", tenant, "people", person, "seal")
	return err
}

// BreakGlass uses a break-glass code.
func (o *Operator) BreakGlass(ctx context.Context, tenant string, q BreakGlass) (*Link, error) {
	return call[Link](ctx, o, "POST", q, "tenants", tenant, "break-glass")
}

// SetRole gives a person another role.
func (o *Operator) SetRole(ctx context.Context, tenant, person string, q SetRole) (*Person, error) {
	return call[Person](ctx, o, "POST", q, "tenants", tenant, "people", person, "role")
}

// EndSessions signs a person out, of one browser or of all.
func (o *Operator) EndSessions(ctx context.Context, tenant, person string, q EndSessions) (*Person, error) {
	return call[Person](ctx, o, "POST", q, "tenants", tenant, "people", person, "end-sessions")
}

// Recoveries lists the recoveries of all tenants that wait for a second administrator, the oldest first.
func (o *Operator) Recoveries(ctx context.Context) ([]WaitingRecovery, error) {
	return list[WaitingRecovery](ctx, o, "recoveries")
}

// Self tells who the caller is to seawall.
func (o *Operator) Self(ctx context.Context) (*Self, error) {
	return call[Self](ctx, o, "GET", nil, "self")
}

// ProveGlass notes that a break-glass code is at hand and works. The code stays good.
func (o *Operator) ProveGlass(ctx context.Context, tenant string, q BreakGlass) (*ProvenGlass, error) {
	return call[ProvenGlass](ctx, o, "POST", q, "tenants", tenant, "break-glass", "prove")
}
