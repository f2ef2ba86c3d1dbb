package tenant

import (
	"errors"
	"fmt"
)

// Whoever keeps tenants, APIs and clients refuses an act for one of these reasons. Branch on them with errors.Is; the
// text for people is in the [*Refusal] around them.
var (
	// ErrNotFound: there is no such tenant, API or client. It does not say whether there ever was.
	ErrNotFound = errors.New("not found")
	// ErrExists: the id, issuer or audience is taken.
	ErrExists = errors.New("already exists")
	// ErrUsedBefore: it was taken once, by something that is disabled or gone, and names are never used again. An error
	// that is ErrUsedBefore is also ErrExists.
	ErrUsedBefore = fmt.Errorf("used before: %w", ErrExists)
	// ErrConflict: the present state forbids the act.
	ErrConflict = errors.New("conflict")
	// ErrDisabled: what the act needs is disabled. An error that is ErrDisabled is also ErrConflict.
	ErrDisabled = fmt.Errorf("disabled: %w", ErrConflict)
	// ErrCounter: a passkey's signature counter went back, so there may be two of it. It is suspended. An error that is
	// ErrCounter is also ErrConflict.
	ErrCounter = fmt.Errorf("counter went back: %w", ErrConflict)
	// ErrLesser: a passkey is less than its tenant asks for by now. An error that is ErrLesser is also ErrConflict.
	ErrLesser = fmt.Errorf("lesser passkey: %w", ErrConflict)
	// ErrUnwritten: the act did not happen, because the disk is full or failing, and can be tried again. Only if the disk
	// failed at the very moment of the commit, which the text says, is it decided when the database is opened the next
	// time.
	ErrUnwritten = errors.New("not written")
)

// Refusal is an act refused: a sentence for a person, what to do, and the reason for errors.Is.
type Refusal struct {
	text, hint string
	reason     error
}

// Refuse makes a refusal for one of the reasons of this package. The hint may be empty.
func Refuse(reason error, hint, format string, args ...any) *Refusal {
	return &Refusal{text: fmt.Sprintf(format, args...), hint: hint, reason: reason}
}

// Error is the sentence.
func (r *Refusal) Error() string { return r.text }

// Hint says what to do, and may be empty.
func (r *Refusal) Hint() string { return r.hint }

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.reason }
