package validate

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// SecurityEvents judges security event tokens for a receiver (RFC 8417). It is safe for use by many
// goroutines.
type SecurityEvents struct{ v *Validator }

// NewSecurityEvents makes a judge of security event tokens. Config is read as by New, but for this:
// Types are secevent+jwt unless told otherwise; MaxLifetime is how old a token may be, since it has no
// exp; DPoP, RequireMTLS and Remember must be left out. An event may be delivered more than once, so
// a token may be accepted more than once: the receiver knows by ID what it has seen.
func NewSecurityEvents(c Config) (*SecurityEvents, error) {
	v, err := newJudge(securityEvents, c)
	if err != nil {
		return nil, err
	}
	return &SecurityEvents{v}, nil
}

// Close ends the background refreshes, as Validator.Close does.
func (s *SecurityEvents) Close() { s.v.Close() }

// Ready waits for the issuers' keys, as Validator.Ready does.
func (s *SecurityEvents) Ready(ctx context.Context) error { return s.v.Ready(ctx) }

// Stats gives the counts so far, as Validator.Stats does.
func (s *SecurityEvents) Stats() Stats { return s.v.Stats() }

// Token decides whether raw is a good security event token.
func (s *SecurityEvents) Token(ctx context.Context, raw string) (*SecurityEvent, error) {
	t, err := s.v.examine(ctx, raw, func(*Token, Alg, time.Time) Code { return "" })
	if err != nil {
		return nil, err
	}
	return &SecurityEvent{t}, nil
}

// SecurityEvent is an accepted security event token. It says that something happened; what follows
// from it is the receiver's own decision.
type SecurityEvent struct{ t *Token }

// Issuer is iss.
func (s *SecurityEvent) Issuer() string { return s.t.issuer }

// Audience is aud as a list.
func (s *SecurityEvent) Audience() []string { return s.t.Audience() }

// ID is jti.
func (s *SecurityEvent) ID() string { return s.t.id }

// IssuedAt is iat, cut to nanoseconds.
func (s *SecurityEvent) IssuedAt() time.Time { return s.t.IssuedAt() }

// Events are the identifiers of all events of the token, in order of their text.
func (s *SecurityEvent) Events() []string {
	events, err := s.events()
	if err != nil {
		return nil // can't be: the claim was read when the token was accepted
	}
	return slices.Sorted(maps.Keys(events))
}

// Event decodes the event of this identifier into what dst points to, as Token.Claims does; false
// means that there is none. Subject identifiers (RFC 9493) are data like the rest, in it or, for the
// whole token, in the claim sub_id.
func (s *SecurityEvent) Event(identifier string, dst any) (bool, error) {
	events, err := s.events()
	event, ok := events[identifier]
	if err != nil || !ok {
		return false, err
	}
	return true, decode(event, dst, "event")
}

func (s *SecurityEvent) events() (map[string]json.RawMessage, error) {
	var claims struct {
		Events map[string]json.RawMessage `json:"events"`
	}
	err := s.t.Claims(&claims)
	return claims.Events, err
}

// Claims decodes all claims, as Token.Claims does.
func (s *SecurityEvent) Claims(dst any) error { return s.t.Claims(dst) }

// Format prints a security event as metadata, whatever the verb.
func (s SecurityEvent) Format(f fmt.State, _ rune) { s.t.print(f, "SecurityEvent") }
