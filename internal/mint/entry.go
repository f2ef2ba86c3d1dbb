package mint

import (
	"cmp"
	"slices"
)

// EntryKind names a kind of ledger entry. The ledger's table says which fields
// each has and who may write it.
type EntryKind string

// Kinds of entry.
const (
	TokenIssued       EntryKind = "token.issued"
	PolicyChanged     EntryKind = "policy.applied"
	KeyStaged         EntryKind = "key.staged"
	KeyActivated      EntryKind = "key.activated"
	KeyVerifyOnly     EntryKind = "key.verify-only"
	KeyRetired        EntryKind = "key.retired"
	KeySuspended      EntryKind = "key.suspended"
	KeyRevoked        EntryKind = "key.revoked"
	DistrustStated    EntryKind = "distrust.stated"
	ClockWasFrozen    EntryKind = "clock.frozen"
	ClockWasAccepted  EntryKind = "clock.accepted"
	LedgerCreated     EntryKind = "ledger.created"
	LedgerKeyAdded    EntryKind = "ledger.key-added"
	BaseRecorded      EntryKind = "house.base-recorded"
	TenantCreated     EntryKind = "tenant.created"
	TenantWasDisabled EntryKind = "tenant.disabled"
	APICreated        EntryKind = "api.created"
	APIDisabled       EntryKind = "api.disabled"
	ClientCreated     EntryKind = "client.created"
	ClientChanged     EntryKind = "client.changed"
	ClientDisabled    EntryKind = "client.disabled"
	SecretRotated     EntryKind = "client.secret-rotated"
	AuthFailed        EntryKind = "client.authentication-failed"
	RotationAsked     EntryKind = "key.rotation-asked"

	// People, and what they sign in with.
	PersonCreated     EntryKind = "person.created"
	PersonDisabled    EntryKind = "person.disabled"
	RoleChanged       EntryKind = "person.role-changed"
	SignedIn          EntryKind = "person.signed-in"
	SignInRefused     EntryKind = "person.sign-in-refused"
	PasskeyAdded      EntryKind = "passkey.added"
	PasskeyRemoved    EntryKind = "passkey.removed"
	PasskeySuspended  EntryKind = "passkey.suspended"
	PasskeyRestored   EntryKind = "passkey.restored"
	SessionEnded      EntryKind = "session.ended"
	EnrolmentIssued   EntryKind = "enrolment.issued"
	EnrolmentUsed     EntryKind = "enrolment.used"
	RecoveryRequested EntryKind = "recovery.requested"
	RecoveryApproved  EntryKind = "recovery.approved"
	RecoveryStopped   EntryKind = "recovery.stopped"
	GlassSealed       EntryKind = "break-glass.sealed"
	GlassBroken       EntryKind = "break-glass.used"
	GlassProven       EntryKind = "break-glass.proven"
	TenantCompleted   EntryKind = "tenant.completed"

	// What people have agreed to.
	ConsentGiven     EntryKind = "consent.given"
	ConsentWithdrawn EntryKind = "consent.withdrawn"
	CodeIssued       EntryKind = "code.issued"
	CodeReused       EntryKind = "code.reused"
	RefreshReplayed  EntryKind = "refresh.replayed"
	RefreshSuspended EntryKind = "refresh.suspended"
	RefreshResumed   EntryKind = "refresh.resumed"
	RefreshEnded     EntryKind = "refresh.ended"
)

// Entry is one line of the ledger: a security act as metadata, never a
// credential. Fields that do not fit a kind are empty.
type Entry struct {
	Kind      EntryKind `json:"kind"`
	Millis    uint64    `json:"ms"` // Unix milliseconds, set by the ledger
	Tenant    string    `json:"tenant,omitempty"`
	Issuer    string    `json:"issuer,omitempty"`
	Client    string    `json:"client,omitempty"`
	Subject   string    `json:"subject,omitempty"`
	KID       string    `json:"kid,omitempty"`
	Actor     string    `json:"actor,omitempty"` // who did it, e.g. "uid:1000"
	TokenKind string    `json:"token_kind,omitempty"`
	Audience  []string  `json:"audience,omitempty"`
	JTI       string    `json:"jti,omitempty"`
	IssuedAt  int64     `json:"iat,omitempty"`
	Expires   int64     `json:"exp,omitempty"`
	Digest    Digest    `json:"digest,omitzero"` // token digest; zero when it is no token
	Detail    []Field   `json:"detail,omitempty"`
}

// Field is a named detail of an entry.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SortDetail puts details into their canonical order.
func (e *Entry) SortDetail() {
	slices.SortFunc(e.Detail, func(a, b Field) int { return cmp.Compare(a.Name, b.Name) })
}

// Append writes the entry's canonical form to b.
func (e *Entry) Append(b []byte) []byte {
	b = append(b, 1)
	b = appendString(b, string(e.Kind))
	b = appendUint(b, e.Millis)
	for _, s := range [...]string{e.Tenant, e.Issuer, e.Client, e.Subject, e.KID, e.Actor, e.TokenKind} {
		b = appendString(b, s)
	}
	b = appendStrings(b, e.Audience)
	b = appendString(b, e.JTI)
	b = appendUint(b, uint64(e.IssuedAt))
	b = appendUint(b, uint64(e.Expires))
	if e.Digest == (Digest{}) {
		b = append(b, 0)
	} else {
		b = append(append(b, 1), e.Digest[:]...)
	}
	b = appendUint(b, uint64(len(e.Detail)))
	for i := range e.Detail {
		b = appendString(appendString(b, e.Detail[i].Name), e.Detail[i].Value)
	}
	return b
}

// ReadEntry reads one entry.
func ReadEntry(b []byte) (*Entry, error) {
	r := reader{b: b}
	e := new(Entry)
	if r.byte("entry version") != 1 {
		r.fail("entry version")
	}
	e.Kind = EntryKind(r.string(MaxText, "kind"))
	e.Millis = r.uint("time")
	for _, s := range [...]*string{&e.Tenant, &e.Issuer, &e.Client, &e.Subject, &e.KID, &e.Actor, &e.TokenKind} {
		*s = r.string(MaxText, "text")
	}
	e.Audience = r.strings(MaxAudiences, MaxText, "audience")
	e.JTI = r.string(MaxText, "jti")
	e.IssuedAt, e.Expires = int64(r.uint("iat")), int64(r.uint("exp"))
	switch r.byte("digest") {
	case 0:
	case 1:
		copy(e.Digest[:], r.fixed(32, "digest"))
		if e.Digest == (Digest{}) {
			r.fail("digest")
		}
	default:
		r.fail("digest")
	}
	n := r.uint("details")
	if n > MaxCustom {
		r.fail("details")
	}
	for i := uint64(0); i < n && r.err == nil; i++ {
		f := Field{Name: r.string(MaxText, "detail"), Value: r.string(MaxScope, "detail")}
		if i > 0 && e.Detail[i-1].Name >= f.Name {
			r.fail("details are not in order")
		}
		e.Detail = append(e.Detail, f)
	}
	if err := r.end("entry"); err != nil {
		return nil, err
	}
	return e, nil
}
