package validate

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
// client, a claim or any part of a token.
type Event struct {
	Kind      EventKind
	Issuer    string // as configured; "" if the token named none of them
	Algorithm Alg    // "" if the token named none that is allowed
	Type      string // as configured, without application/; "" likewise
	KeyID     string // of a key that the issuer has; "" otherwise
	Code      Code   // "" if all went well
	Notes     []string
}
