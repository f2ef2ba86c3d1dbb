package validate

import "time"

// Version is the version of this library. It travels in [Stats] and in the User-Agent of key
// requests, so that "which APIs still run an old validator" has an answer on either side.
const Version = "0.1.0"

// EventKind says what an Event reports.
type EventKind string

// The kinds of events.
const (
	TokenAccepted EventKind = "token_accepted"
	TokenRefused  EventKind = "token_refused" // Code says why
	KeysLoaded    EventKind = "keys_loaded"   // Notes names the keys that were skipped
	KeysRefused   EventKind = "keys_refused"  // Code and Notes say why; what was loaded before stays in use
)

// Event tells Config.Observe what happened. It names issuers and keys, and never a subject, a
// client, a claim or any part of a token. Each text that a token could choose (RFC 7519 §4.1, RFC
// 7515 §4.1) is there only if it is one that the validator knew before, so that no stranger can make
// an observer's memory grow.
type Event struct {
	Kind      EventKind
	Issuer    string // as configured; "" if the token named none of them
	Audience  string // the configured audience that aud names; "" if it names none
	Algorithm Alg    // "" if the token named none that is allowed
	Type      string // as configured, without application/; "" likewise
	KeyID     string // of a key that the issuer has; "" otherwise
	Code      Code   // "" if all went well
	Notes     []string
	Sequence  uint64 // of feed events: the number of the newest statement that counts
}

// tell counts what happened and passes it on.
func (v *Validator) tell(e *Event, last *counted) {
	v.counters.count(e, last)
	if v.observe != nil {
		v.observe(*e)
	}
}

// tellKeys does the same for a load of keys that ended with this set in use.
func (v *Validator) tellKeys(e Event, set *keySet) {
	if set != nil {
		v.counters.forget(e.Issuer, set, time.Now())
	}
	v.tell(&e, new(counted))
}
