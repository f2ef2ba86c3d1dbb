package validate

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// maxLogoutLifetime is the longest exp - iat of a logout token unless told otherwise; the standard
// advises issuers to give it two minutes.
const maxLogoutLifetime = 10 * time.Minute

// LogoutTokens judges logout tokens for a relying party (OIDC Back-Channel Logout §2.6). It is safe for
// use by many goroutines.
type LogoutTokens struct {
	v    *Validator
	used Replays
}

// NewLogoutTokens makes a judge of logout tokens for the client of this id. Config is read as by New,
// but for this: Types are logout+jwt and MaxLifetime is ten minutes unless told otherwise; Audiences,
// DPoP, RequireMTLS and Remember must be left out. A logout token is good once: used remembers which
// were, and nil means a memory of this judge's own.
func NewLogoutTokens(clientID string, c Config, used Replays) (*LogoutTokens, error) {
	switch {
	case clientID == "":
		return nil, errors.New("validate: a logout token is meant for a client: give its id")
	case c.Audiences != nil:
		return nil, errors.New("validate: the audience of a logout token is the client: leave Audiences out")
	}
	c.Audiences = []string{clientID}
	if c.MaxLifetime == 0 {
		c.MaxLifetime = maxLogoutLifetime
	}
	v, err := newJudge(logoutTokens, c)
	if err != nil {
		return nil, err
	}
	if used == nil {
		used = NewReplays(0)
	}
	return &LogoutTokens{v: v, used: used}, nil
}

// Close ends the background refreshes, as Validator.Close does.
func (l *LogoutTokens) Close() { l.v.Close() }

// Ready waits for the issuers' keys, as Validator.Ready does.
func (l *LogoutTokens) Ready(ctx context.Context) error { return l.v.Ready(ctx) }

// Stats gives the counts so far, as Validator.Stats does.
func (l *LogoutTokens) Stats() Stats { return l.v.Stats() }

// Token decides whether raw is a good logout token that was not used before.
func (l *LogoutTokens) Token(ctx context.Context, raw string) (*LogoutToken, error) {
	t, err := l.v.examine(ctx, raw, func(t *Token, _ Alg, now time.Time) Code {
		issuer := Thumbprint(sha256.Sum256([]byte(t.issuer)))
		keep := l.v.maxLifetime + 2*l.v.leeway + time.Second // exp is at most so far away
		switch l.used.Use(ctx, issuer, t.id, now, keep) {
		case "":
			return ""
		case CodeDPoPReplay:
			return CodeReplay
		}
		return CodeFull
	})
	if err != nil {
		return nil, err
	}
	return &LogoutToken{t}, nil
}

// LogoutToken is an accepted logout token: the sessions that it names are over.
type LogoutToken struct{ t *Token }

// Issuer is iss.
func (l *LogoutToken) Issuer() string { return l.t.issuer }

// Subject is sub: with a SessionID whose that session is, and without one the user whose sessions are
// all over. "" if the token names a session alone.
func (l *LogoutToken) Subject() string { return l.t.subject }

// SessionID is sid, or "" if all sessions of the subject are over.
func (l *LogoutToken) SessionID() string { return l.t.session }

// ID is jti.
func (l *LogoutToken) ID() string { return l.t.id }

// IssuedAt is iat, cut to nanoseconds.
func (l *LogoutToken) IssuedAt() time.Time { return l.t.IssuedAt() }

// Claims decodes all claims, as Token.Claims does.
func (l *LogoutToken) Claims(dst any) error { return l.t.Claims(dst) }

// Format prints a logout token as metadata, whatever the verb.
func (l LogoutToken) Format(f fmt.State, _ rune) { l.t.print(f, "LogoutToken") }
