// Package secret holds credentials so that they cannot be printed by accident, makes credentials that say what they
// are, and finds credentials in bytes that should hold none.
//
// Three doors lead in. [Text] is the type every credential in memory has: its bytes live in a closure, where fmt, slog,
// the encoders and reflection cannot reach them; the only way out is [Text.Reveal], a name that is easy to search for.
// [Generate] and [Parse] know the form of seawall's own credentials: a prefix that tells the kind and the environment,
// a random body, and a checksum, so that a leak scanner recognises one without asking anybody. [Find], [Redact] and
// [LogHandler] are the tripwire in front of the log: they should never find anything, and they count when they do.
//
// The package imports nothing of ours, and every other room may import it.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what every printer and encoder gets instead of a secret.
const Redacted = "[redacted]"

// Text is a credential in memory: a client secret, a token, a key. The zero value holds nothing and equals nothing.
//
// The bytes are captured by a closure rather than kept in a field, because fmt prints unexported fields by reflection
// without calling any method: a named string with every redacting method still leaks from inside another struct. It
// also makes == a compile error, which is wanted: compare with [Text.Equal].
type Text struct {
	reveal func() string
}

// New wraps s. The caller should let go of s itself soon: Go strings cannot be wiped.
func New(s string) Text {
	return Text{reveal: func() string { return s }}
}

// Reveal returns the credential. Call it only where the credential is handed to its rightful owner or to a
// cryptographic function, never to build a message.
func (t Text) Reveal() string {
	if t.reveal == nil {
		return ""
	}
	return t.reveal()
}

// IsZero reports whether t holds nothing at all.
func (t Text) IsZero() bool { return t.Reveal() == "" }

// Equal compares in a time that depends on neither content nor length. An empty secret equals nothing, not even
// another empty one, so that a missing credential can never match a missing record.
func (t Text) Equal(other Text) bool {
	a, b := t.Hash(), other.Hash()
	same := subtle.ConstantTimeCompare(a[:], b[:]) == 1
	return same && !t.IsZero()
}

// Hash returns the SHA-256 of the credential, the only form of it that may be stored. That is enough because
// credentials are made by [Generate] and cannot be guessed; it would not be enough for something a person chose.
func (t Text) Hash() Hash { return sha256.Sum256([]byte(t.Reveal())) }

// Hash is the SHA-256 of a generated credential, as it is kept at rest. The zero value matches nothing.
type Hash [sha256.Size]byte

// Matches reports, in constant time, whether h is the hash of given. An empty credential and a zero hash never match.
func (h Hash) Matches(given Text) bool {
	g := given.Hash()
	same := subtle.ConstantTimeCompare(h[:], g[:]) == 1
	return same && !given.IsZero() && h != Hash{}
}

// String says [redacted].
func (Text) String() string { return Redacted }

// GoString says [redacted].
func (Text) GoString() string { return Redacted }

// Format says [redacted] whatever the verb and flags.
func (Text) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, Redacted) }

// LogValue says [redacted].
func (Text) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalJSON says "[redacted]".
func (Text) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalText says [redacted]; it also serves encoding/xml.
func (Text) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
