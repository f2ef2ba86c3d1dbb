package tenant

import (
	"time"

	"seawall/internal/secret"
)

// How long things of people live.
const (
	SessionIdle     = 12 * time.Hour     // without being used
	SessionLongest  = 7 * 24 * time.Hour // however much it is used
	FreshTouch      = 5 * time.Minute    // how long ago a touch may be for what changes an account
	EnrolmentLife   = 15 * time.Minute   // of a link
	CeremonyLife    = 5 * time.Minute    // of a challenge
	InteractionLife = 30 * time.Minute   // of where to go on after signing in
	RecoveryDelay   = 24 * time.Hour     // between the second administrator's word and the link
	RecoveryLife    = 72 * time.Hour     // of an approved recovery
)

// What a sign-in proves, as an acr says it (OpenID Connect Extended Authentication Profile ACR Values 1.0 §2).
const (
	PhishingResistant         = "phr"
	PhishingResistantHardware = "phrh"
)

// Proves reports whether a sign-in that proved acr is enough where wanted is asked for: hardware is phishing-resistant
// too. What we never prove, nothing is enough for.
func Proves(acr, wanted string) bool {
	return wanted == "" || acr == wanted || acr == PhishingResistantHardware && wanted == PhishingResistant
}

// Session is a signed-in browser. The browser has the secret; we have its hash.
type Session struct {
	ID             string      // a public name: for its owner's eyes, and for the log
	Hash           secret.Hash // of the cookie's value
	Tenant, Person string
	Passkey        []byte // credential id that opened it
	ACR            string // what the sign-in proved (OpenID Connect EAP ACR Values §2)
	AMR            []string
	Device         string    // such as "Firefox on Linux", as the browser said
	Place          string    // network address that it came from
	At             time.Time // of the sign-in
	SeenAt         time.Time
	Earlier        []string // the sessions that it came after in its browser, the newest first: tokens may still name them
	Known          bool     // every access token that it and those before it gave is remembered for as long as it lives
}

// maxEarlier is how many sessions before it a session remembers.
const maxEarlier = 16

// After is the session as one that the same person opens in a browser in which they had another.
func (s Session) After(old Session) Session {
	still := old.Named(s.At)
	s.Earlier, s.Known = still[:min(len(still), maxEarlier)], old.Known
	return s
}

// Named lists the sessions that a living token may name which came of this browser: this one and, as long as a token can live,
// those before it.
func (s Session) Named(now time.Time) []string {
	names := []string{s.ID}
	if now.Sub(s.At) < LongestLifetime {
		names = append(names, s.Earlier...)
	}
	return names
}

// Ending is how browser sessions of a person end, and what ends with them. Access tokens that name an ended session are
// distrusted in any case: an application that goes on asks for another.
type Ending struct {
	Tenant, Person string
	Session        string // this one; empty: all but Except
	Except         string // empty: none
	Actor          string // who ends them, as an entry says it
	// SignOut: somebody leaves this browser. What they allowed to go on without them does. Otherwise they, or an administrator,
	// take back what was begun there, and all of it ends.
	SignOut bool
}

// All reports whether nothing is to be left.
func (e Ending) All() bool { return e.Session == "" && e.Except == "" }

// EndsAt is when a session ends by itself.
func (s Session) EndsAt() time.Time {
	idle, longest := s.SeenAt.Add(SessionIdle), s.At.Add(SessionLongest)
	if idle.Before(longest) {
		return idle
	}
	return longest
}

// Live reports whether the session is good at now.
func (s Session) Live(now time.Time) bool { return now.Before(s.EndsAt()) }

// Fresh reports whether the person touched their authenticator a short while ago.
func (s Session) Fresh(now time.Time) bool { return now.Before(s.At.Add(FreshTouch)) }

// CeremonyKind says what a challenge was made for. It is good for nothing else.
type CeremonyKind string

// The kinds of ceremony.
const (
	CeremonySignIn CeremonyKind = "sign-in"
	CeremonyEnrol  CeremonyKind = "enrol"
	CeremonyAdd    CeremonyKind = "add"
)

// Ceremony is a WebAuthn ceremony under way: made with its challenge, consumed once whatever comes of it.
type Ceremony struct {
	Challenge secret.Hash // of the challenge
	Browser   secret.Hash // of the cookie of the browser that asked for it: no other one may finish it
	Kind      CeremonyKind
	Tenant    string
	Person    string      // who it is for; empty when the passkey will tell
	Enrolment secret.Hash // the link that it began with, for CeremonyEnrol
	State     []byte      // what the library wants back, as JSON
	ExpiresAt time.Time
}

// Reason says why somebody was given a link.
type Reason string

// The reasons for a link.
const (
	FirstPasskey Reason = "first"       // they have none yet
	Recovered    Reason = "recovery"    // they lost theirs, two administrators said so, and time has passed
	GlassBroken  Reason = "break-glass" // a code was used
)

// Enrolment is a link that lets somebody register one passkey. The link has the secret; we have its hash.
type Enrolment struct {
	Hash           secret.Hash
	Tenant, Person string
	Why            Reason
	IssuedBy       string
	IssuedAt       time.Time
	ExpiresAt      time.Time
}

// Live reports whether the link is good at now.
func (e Enrolment) Live(now time.Time) bool { return now.Before(e.ExpiresAt) }

// BreakGlassCode is a code on paper. We have its hash; a new one is made once it was used.
type BreakGlassCode struct {
	Tenant, Person string
	Hash           secret.Hash
	IssuedBy       string
	IssuedAt       time.Time
}

// GlassProof is when a break-glass principal's code was last made, when one was last used, and when somebody last showed that
// the present one is there and readable.
type GlassProof struct {
	SealedAt, UsedAt, ProvenAt time.Time // zero: never
}

// Interaction is what somebody was about to do when they were asked to sign in: where to go on, and what the sign-in must
// prove. It is made and kept by seawall and used once, so no address from outside decides where a person ends up.
type Interaction struct {
	Hash      secret.Hash `json:"-"`
	Tenant    string      `json:"-"`
	Next      string      `json:"next"`              // path below the issuer, query included
	Person    string      `json:"person,omitempty"`  // who it must be; empty: anybody of the tenant
	After     time.Time   `json:"after,omitzero"`    // the touch must not be earlier (prompt=login, max_age, step-up); zero: any session will do
	ACR       string      `json:"acr,omitempty"`     // what it must prove; empty: anything we take
	Touched   string      `json:"touched,omitempty"` // path below the issuer for somebody who touched for this very interaction, after reading what it is for; empty: Next
	Needed    bool        `json:"needed,omitempty"`  // what it must prove is needed: who goes to Unmet goes back with nothing
	Unmet     string      `json:"unmet,omitempty"`   // path below the issuer for somebody who can't prove it; empty: they stay
	LoginHint string      `json:"login_hint,omitempty"`
	For       string      `json:"for,omitempty"`     // name of the application that asks, for people
	Locales   string      `json:"locales,omitempty"` // languages that the application asks for (ui_locales)
	// Draft is what somebody had typed into a form before they were asked to sign in again, sealed for their browser.
	Draft     []byte    `json:"draft,omitempty"`
	ExpiresAt time.Time `json:"-"`
}

// MetBy says whether a sign-in is what the interaction asks for: whose it was, when they touched (which is kept to the
// millisecond), and what that proved.
func (i Interaction) MetBy(person string, at time.Time, acr string) bool {
	return (i.Person == "" || i.Person == person) && !at.Before(i.After.Truncate(time.Millisecond)) && Proves(acr, i.ACR)
}
