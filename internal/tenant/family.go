package tenant

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"slices"
	"strings"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
)

// How long refresh families live, and how long a token that was used may be sent again.
const (
	FamilyIdle    = 30 * 24 * time.Hour  // offline, without being used
	FamilyLongest = 180 * 24 * time.Hour // offline, however much it is used
	// BoundReplay and UnboundReplay are for a client whose answer was lost: it sends the same token again and gets the same
	// successor. A family is bound when only its client can use it, which has a key or a credential.
	BoundReplay   = 30 * time.Second
	UnboundReplay = 10 * time.Second
	maxReleased   = 16
)

// FamilyID names a refresh family. It is random, and never given out twice.
type FamilyID [16]byte

var familyText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewFamilyID makes an id.
func NewFamilyID() (id FamilyID) {
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return id
}

// String is the id as it is kept and shown.
func (id FamilyID) String() string { return familyText.EncodeToString(id[:]) }

// Suspicion is why a family is suspended.
type Suspicion string

// The suspicions.
const (
	OtherClient     Suspicion = "other-client"     // somebody else's client sent its token
	OtherKey        Suspicion = "other-key"        // its token came with another key than its own
	OlderGeneration Suspicion = "older-generation" // a token came that was used up long ago
	ReplaysInARow   Suspicion = "replays-in-a-row" // two tokens one after the other were each sent twice
	Forked          Suspicion = "forked"           // a token of the present generation is another one
	ClonedPasskey   Suspicion = "cloned-passkey"   // the passkey behind it may exist twice
	PersonRecovered Suspicion = "recovered"        // its person came back by a recovery, so it may be with whoever has what they lost
	LesserPasskey   Suspicion = "lesser-passkey"   // the passkey behind it is less than the tenant asks for by now
	SuspendedByHand Suspicion = "by-hand"
)

// Suspicions lists every suspicion.
func Suspicions() []Suspicion {
	return []Suspicion{OtherClient, OtherKey, OlderGeneration, ReplaysInARow, Forked, ClonedPasskey, PersonRecovered, LesserPasskey, SuspendedByHand}
}

// Family is one line of refresh tokens (RFC 6749 §1.5): the access of one client on one device. Each use gives the next
// generation, and one row says which is the present one.
//
// Suspended is not revoked: a suspended family gives nothing, and the person can let it go on. A revoked one is over.
type Family struct {
	ID        string
	Tenant    string
	Client    string
	Person    string
	Session   string // the browser session that it ends with, if it does; moves when the same person signs in again there
	Passkey   []byte // that opened the session it came of; stays, whoever keeps the session alive by now
	SID       string // the session that its tokens name
	Offline   bool   // outlives the browser session
	Scope     oauth.Scope
	Resources []string // audiences of APIs that were agreed to
	JKT       string   // thumbprint of the key that it is bound to, from its first token to its last; empty: none

	SignedInAt time.Time
	ACR        string
	AMR        []string

	Generation uint64      // of Current, from 1
	Current    secret.Hash // of the token that is next to be used
	Previous   secret.Hash // of the one before
	ConsumedAt time.Time   // when the one before was used; zero: never, or its window is closed
	Successor  []byte      // the current token, sealed under the one before
	Replayed   uint64      // the last generation that was sent twice; 0: none
	Released   []Released  // access tokens that may be alive, the newest first

	SuspendedAt time.Time // zero while it is good
	Suspicion   Suspicion
	RevokedAt   time.Time // zero unless it is over
	CreatedAt   time.Time
	UsedAt      time.Time
	ExpiresAt   time.Time // by itself, unless it is used before
	EndsAt      time.Time // however much it is used
}

// NewFamily checks a new family and gives it its times, beginning at CreatedAt.
func NewFamily(f Family) (Family, error) {
	const what = "refresh family"
	if f.SID == "" {
		f.SID = f.Session
	}
	switch {
	case f.ID == "" || f.Tenant == "" || f.Client == "" || f.Person == "" || f.Session == "":
		return Family{}, invalid(what, "it does not say whose it is", "")
	case f.Current == (secret.Hash{}) || f.SignedInAt.IsZero() || f.CreatedAt.IsZero():
		return Family{}, invalid(what, "it has no token, or no times", "")
	}
	f.SignedInAt, f.CreatedAt = wholeMillis(f.SignedInAt), wholeMillis(f.CreatedAt)
	f.Generation, f.UsedAt, f.EndsAt = 1, f.CreatedAt, f.SignedInAt.Add(SessionLongest)
	if f.Offline {
		f.EndsAt = f.CreatedAt.Add(FamilyLongest)
	}
	f.ExpiresAt = f.Expiry(f.CreatedAt)
	return f, nil
}

// Live reports whether the family gives tokens at now.
func (f Family) Live(now time.Time) bool { return f.SuspendedAt.IsZero() && !f.Over(now) }

// Over reports whether the family is revoked, or has ended by itself.
func (f Family) Over(now time.Time) bool { return !f.RevokedAt.IsZero() || !now.Before(f.ExpiresAt) }

// Expiry is when a family that is used at now ends by itself.
func (f Family) Expiry(now time.Time) time.Time {
	idle := SessionIdle
	if f.Offline {
		idle = FamilyIdle
	}
	if expires := wholeMillis(now).Add(idle); expires.Before(f.EndsAt) {
		return expires
	}
	return f.EndsAt
}

// Presented is a refresh token that somebody brought. It is genuine: the house made it for this family and generation.
type Presented struct {
	Family     string
	Generation uint64
	Hash       secret.Hash
	Client     string        // who brought it
	JKT        string        // thumbprint of the key that came with it; empty: none
	Window     time.Duration // for how long the one before may come again
	At         time.Time     // when the request arrived
}

// Rotation is what follows on a refresh token that is used for the first time, and the access token that goes with it.
type Rotation struct {
	Presented
	Successor secret.Hash // of the next token
	Sealed    []byte      // the next token, sealed under the one that was brought
	Token     Released
	Seen      Family // the family as it was read a moment ago; saves the store a look if it is still so
}

// Turned is the family after a rotation at now.
func (f Family) Turned(r Rotation, now time.Time) Family {
	f.Released, f.UsedAt, f.ExpiresAt, f.ConsumedAt = f.Remembering(r.Token, now), now, f.Expiry(now), now
	f.Generation, f.Previous, f.Current, f.Successor = f.Generation+1, f.Current, r.Successor, r.Sealed
	return f
}

// Verdict is what becomes of a refresh token that somebody brought.
type Verdict int

// The verdicts.
const (
	Refused  Verdict = iota // the family is suspended or over, or the token is ahead of it: nothing changes
	Rotates                 // its first use
	Replays                 // the same again, in time: the same successor
	Suspends                // it may be a thief's
)

// Judge says what becomes of a refresh token, and why if that is to suspend the family.
//
// A token that is ahead of the family was made, and then an older database was brought back: that is refused, and nobody
// is under suspicion for it.
//
// Without its key a bound token gives nothing, whoever has it. That alone is no suspicion; but one that was used up long ago is,
// with a key or without.
func (f Family) Judge(p Presented, now time.Time) (Verdict, Suspicion) {
	keyless := f.JKT != "" && p.JKT == ""
	switch {
	case !f.Live(now) || f.ID != p.Family || p.Generation > f.Generation:
		return Refused, ""
	case f.Client != p.Client:
		return Suspends, OtherClient
	case f.JKT != "" && f.JKT != p.JKT && !keyless:
		return Suspends, OtherKey
	case p.Generation == f.Generation && p.Hash != f.Current:
		return Suspends, Forked
	case p.Generation == f.Generation && keyless:
		return Refused, ""
	case p.Generation == f.Generation:
		return Rotates, ""
	case p.Generation+2 == f.Generation && wholeMillis(p.At).Compare(f.ConsumedAt) <= 0:
		return Refused, "" // when it came it was in time, and its successor was used while it waited
	case p.Generation+1 != f.Generation || p.Hash != f.Previous || f.ConsumedAt.IsZero() || now.Sub(f.ConsumedAt) >= p.Window:
		return Suspends, OlderGeneration
	case keyless:
		return Refused, ""
	case f.Replayed != 0 && f.Replayed+1 == p.Generation:
		return Suspends, ReplaysInARow
	}
	return Replays, ""
}

// MayResume says whether a suspended family may go on at a tenant, given the passkeys of its person. What came of a passkey
// that is less than the tenant asks for by now does not, nor what came of one that is gone, which nobody can judge: that is
// [ErrLesser].
func (f Family) MayResume(t Tenant, keys []Passkey) error {
	admitted := func(k Passkey) bool { return bytes.Equal(k.ID, f.Passkey) && t.AdmitsPasskey(k) == nil }
	if t.Passkeys == AnyPasskey || slices.ContainsFunc(keys, admitted) {
		return nil
	}
	return Refuse(ErrLesser, "end it, and have the person sign in to the application again", "the passkey behind this access is not one that %s admits", t.ID)
}

// Remembering returns the access tokens that may be alive at now, a new one among them. What is more than a few is
// forgotten, what ends first before others: a client gets a new one when the one before is about to end.
func (f Family) Remembering(t Released, now time.Time) []Released {
	alive := append(make([]Released, 0, 1+len(f.Released)), Released{t.JTI, wholeMillis(t.ExpiresAt)})
	for _, old := range f.Released {
		if now.Before(old.ExpiresAt) {
			alive = append(alive, old)
		}
	}
	for len(alive) > maxReleased {
		first := 0
		for i := range alive {
			if !alive[i].ExpiresAt.After(alive[first].ExpiresAt) {
				first = i
			}
		}
		alive = slices.Delete(alive, first, first+1)
	}
	return alive
}

// Crowded reports whether there may be access tokens of the family at now that it has forgotten. They end before those that it
// remembers.
func (f Family) Crowded(now time.Time) bool { return len(f.Alive(now)) == maxReleased }

// Alive returns the access tokens of the family that may be alive at now.
func (f Family) Alive(now time.Time) []Released {
	return slices.DeleteFunc(slices.Clone(f.Released), func(r Released) bool { return !now.Before(r.ExpiresAt) })
}

// LastEnds is when the last access token of the family ends, those that it has forgotten included.
func (f Family) LastEnds() (last time.Time) {
	for _, token := range f.Released {
		if token.ExpiresAt.After(last) {
			last = token.ExpiresAt
		}
	}
	return last
}

// ParseFamilyID reads an id as people write it.
func ParseFamilyID(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if raw, err := familyText.DecodeString(s); err != nil || len(raw) != len(FamilyID{}) || familyText.EncodeToString(raw) != s {
		return "", invalid("id", quote(s)+" names no application's access", "`seawall access list` shows them")
	}
	return s, nil
}
