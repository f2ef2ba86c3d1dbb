package revocation

import (
	"context"
	"fmt"
	"strings"
	"time"

	"seawall/internal/mint"
	"seawall/internal/secret"
)

// Plan is something to be believed no more, or again.
type Plan struct {
	Tenant, Issuer string
	Reason         mint.Reason

	// Kind and Value name it: a key's kid, a token's jti, a session, a subject or a client.
	Kind  mint.DistrustKind
	Value string
	// Before limits it to tokens issued earlier; the zero Time is now. Not for keys and tokens.
	Before time.Time

	// Final revokes a key for good, which is otherwise suspended. YoungSpare lets a spare sign in its place that validators
	// may not know yet. Undo gives a suspended key back.
	Final, YoungSpare, Undo bool

	// Restores is the number of a statement to take back. Kind and Value are then empty.
	Restores uint64
}

// Invalid reports a plan that makes no sense, before anybody is asked.
type Invalid struct{ text string }

func (e *Invalid) Error() string { return e.text }

func invalid(format string, args ...any) *Invalid { return &Invalid{fmt.Sprintf(format, args...)} }

// reasons lists them for a person.
func reasons() string {
	var names []string
	for _, r := range mint.Reasons() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// Check reports what is wrong with a plan made at now, as an *[Invalid]; nil if nothing is.
func (p *Plan) Check(now time.Time) error {
	key := p.Kind == mint.DistrustKey
	switch {
	case !p.Reason.Known():
		return invalid("the reason must be one of %s", reasons())
	case p.Restores != 0 && (p.Kind != "" || p.Value != "" || !p.Before.IsZero()):
		return invalid("a statement is taken back by its number alone")
	case !key && (p.Final || p.YoungSpare || p.Undo):
		return invalid("only keys are revoked for good, replaced or given back")
	case p.Undo && (p.Final || p.YoungSpare):
		return invalid("a key is distrusted or given back, not both")
	case p.Restores != 0:
		return nil
	}
	switch p.Kind {
	case mint.DistrustKey, mint.DistrustToken:
		if !p.Before.IsZero() {
			return invalid("a time limits sessions, subjects and clients, not a %s", p.Kind)
		}
	case mint.DistrustSession, mint.DistrustSubject, mint.DistrustClient:
		if p.Before.After(now) {
			return invalid("the time lies ahead: tokens that nobody has issued yet can't be distrusted")
		}
	default:
		return invalid("a key, a token, a session, a subject or a client can be distrusted")
	}
	if p.Value == "" || len(p.Value) > mint.MaxText {
		return invalid("the name of the %s is empty, or longer than %d bytes", p.Kind, mint.MaxText)
	}
	if len(secret.Find([]byte(p.Value))) > 0 {
		return invalid("what should name the %s looks like a credential: consider it leaked, and name it by its id", p.Kind)
	}
	return nil
}

// Ledger states what is not about keys.
type Ledger interface {
	// State returns when the statement is durable and the house goes by it.
	State(ctx context.Context, q mint.StateQuery) (*mint.Distrust, error)
}

// Signer takes the steps of keys, which the ledger states.
type Signer interface {
	// Distrust returns when the step is durable and the house goes by it.
	Distrust(ctx context.Context, q mint.KeyDistrust) (*mint.KeyDistrusted, error)
}

// Done is what has become of a plan: a statement, or a step of a key.
type Done struct {
	Statement *mint.Distrust
	Key       *mint.KeyDistrusted
}

// Apply carries p out in the name of actor.
func Apply(ctx context.Context, p *Plan, actor string, now time.Time, l Ledger, s Signer) (*Done, error) {
	if err := p.Check(now); err != nil {
		return nil, err
	}
	if p.Kind == mint.DistrustKey {
		k, err := s.Distrust(ctx, mint.KeyDistrust{Tenant: p.Tenant, KID: p.Value, Reason: p.Reason, Actor: actor,
			Final: p.Final, YoungSpare: p.YoungSpare, Undo: p.Undo})
		return &Done{Key: k}, err
	}
	q := mint.StateQuery{Tenant: p.Tenant, Issuer: p.Issuer, Act: mint.ActDistrust, Kind: p.Kind, Value: p.Value, Reason: p.Reason, Actor: actor}
	if !p.Before.IsZero() {
		q.Before = p.Before.Unix()
	}
	if p.Restores != 0 {
		q.Act, q.Undoes = mint.ActRestore, p.Restores
	}
	d, err := l.State(ctx, q)
	return &Done{Statement: d}, err
}

// errNotLive is what [Look] says about a statement that can't be taken back.
var errNotLive = mint.Refuse(mint.StatedOver, "there is no live statement of this number: it never was, was taken back, or its time is over")
