package tenant

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
)

// Bounds of passkeys.
const (
	MaxPasskeys      = 20   // of one person, suspended ones not counted
	maxCredentialID  = 1023 // WebAuthn §4, credential ID
	maxCredentialKey = 8 << 10
	maxAttestation   = 64 << 10
)

// Passkey is a WebAuthn credential of a person, and what its registration proved.
type Passkey struct {
	Tenant, Person string
	ID             []byte // credential id
	Name           string // chosen by the person
	Key            []byte // public key, COSE
	Flags          byte   // of the authenticator data that was seen last
	Count          uint32 // signature counter; 0 from authenticators that have none
	AAGUID         [16]byte
	Transports     []string
	Format         string // of the attestation statement
	Attested       bool   // the statement was checked against the FIDO metadata, and holds
	Hardware       bool   // the metadata says that the key can't leave its hardware
	Attestation    []byte // the statement as it came, as JSON, so that it can be checked again

	CreatedAt    time.Time
	UsedAt       time.Time // zero: never
	SuspendedAt  time.Time // zero while it is good
	SuspendedWhy Suspension
}

// Suspension says why a passkey is suspended.
type Suspension string

// The reasons for a suspension.
const (
	CounterWentBack Suspension = "counter"  // there may be two of it: it never comes back
	LeftBehind      Suspension = "recovery" // its person was recovered with another; they may bring it back
)

// Live reports whether the passkey may be used.
func (p Passkey) Live() bool { return p.SuspendedAt.IsZero() }

// Restorable says whether a suspended passkey may come back, given how many work.
func (p Passkey) Restorable(working int) error {
	switch {
	case p.Live():
		return Refuse(ErrConflict, "", "this passkey is not suspended")
	case p.SuspendedWhy != LeftBehind:
		return Refuse(ErrConflict, "remove it and add another one", "there may be two of this passkey, so it stays suspended")
	case working >= MaxPasskeys:
		return Refuse(ErrConflict, "remove one first", "a person has at most %d passkeys that work", MaxPasskeys)
	}
	return nil
}

// Reference names a passkey in pages and in the log: the beginning of its credential id.
func (p Passkey) Reference() string { return PasskeyReference(p.ID) }

// PasskeyReference is [Passkey.Reference] of a credential id.
func PasskeyReference(id []byte) string {
	return base64.RawURLEncoding.EncodeToString(id[:min(len(id), 12)])
}

// Synced reports whether the authenticator says that the passkey may be copied to other devices (flag BE, WebAuthn §6.1.3).
func (p Passkey) Synced() bool { return p.Flags&0x08 != 0 }

// NewPasskey checks a passkey. An empty name becomes "Passkey".
func NewPasskey(p Passkey) (Passkey, error) {
	const what = "passkey"
	var err error
	if p.Name, err = displayName(p.Name, "Passkey"); err != nil {
		return Passkey{}, err
	}
	switch {
	case len(p.ID) == 0 || len(p.ID) > maxCredentialID:
		return Passkey{}, invalid(what, "its id is empty or too long", "use another authenticator")
	case len(p.Key) == 0 || len(p.Key) > maxCredentialKey || len(p.Attestation) > maxAttestation:
		return Passkey{}, invalid(what, "its key or its attestation is missing or too long", "use another authenticator")
	case p.Tenant == "" || p.Person == "" || p.CreatedAt.IsZero():
		return Passkey{}, invalid(what, "it is nobody's", "")
	}
	p.CreatedAt, p.UsedAt, p.SuspendedAt = wholeMillis(p.CreatedAt), wholeMillis(p.UsedAt), wholeMillis(p.SuspendedAt)
	return p, nil
}

// AdmitsPasskey says whether a tenant's people may have a passkey.
func (t Tenant) AdmitsPasskey(p Passkey) error {
	const what = "passkey"
	switch t.Passkeys {
	case DeviceBound:
		if p.Synced() {
			return invalid(what, "it may be copied to other devices, and "+t.ID+" wants one that stays on its device", "use a security key, or a passkey that isn't synced")
		}
	case Attested:
		if p.Synced() || !p.Attested {
			return invalid(what, "its maker's statement could not be checked, and "+t.ID+" wants it to be", "use a security key of a certified model")
		}
		if p.AAGUID == [16]byte{} {
			return invalid(what, "it doesn't say which model it is, and "+t.ID+" wants to know", "use a security key of a certified model")
		}
		if len(t.Models) > 0 && !t.hasModel(p.AAGUID) {
			return invalid(what, "its model is none of those that "+t.ID+" allows", "use a security key from your organisation's list")
		}
	}
	return nil
}

// SignsIn says whether a passkey signs somebody in at a tenant: what was registered when the tenant asked for less is
// [ErrLesser] now, one that is suspended [ErrDisabled].
func (t Tenant) SignsIn(p Passkey) error {
	if !p.Live() {
		return Refuse(ErrDisabled, "use another one", "this passkey is suspended")
	}
	if lesser := (*Invalid)(nil); errors.As(t.AdmitsPasskey(p), &lesser) {
		return Refuse(ErrLesser, "use another passkey, or ask for a recovery", "%s", lesser)
	}
	return nil
}

func (t Tenant) hasModel(aaguid [16]byte) bool {
	return slices.ContainsFunc(t.Models, func(m string) bool { return strings.ReplaceAll(m, "-", "") == hex.EncodeToString(aaguid[:]) })
}

// passkeyPolicy checks what a tenant asks of passkeys.
func passkeyPolicy(t Tenant) (Tenant, error) {
	if t.Passkeys == "" {
		t.Passkeys = AnyPasskey
	}
	if !slices.Contains(Tiers(), t.Passkeys) {
		return t, invalid("passkeys", quote(string(t.Passkeys))+" is no tier", "choose any, device-bound or attested")
	}
	if len(t.Models) > 0 && t.Passkeys != Attested {
		return t, invalid("passkeys", "a list of models means nothing unless the maker's statement is checked", "choose the tier attested, or leave the list out")
	}
	var models []string
	for _, m := range t.Models {
		m = foldASCII(m)
		raw, err := hex.DecodeString(strings.ReplaceAll(m, "-", ""))
		if err != nil || len(raw) != 16 || len(m) != 36 || slices.Equal(raw, make([]byte, 16)) {
			return t, invalid("passkeys", quote(m)+" is no AAGUID", "an AAGUID looks like ee882879-721c-4913-9775-3dfcce97072a; the zero one names nothing")
		}
		models = append(models, m)
	}
	slices.Sort(models)
	t.Models = slices.Compact(models)
	return t, nil
}
