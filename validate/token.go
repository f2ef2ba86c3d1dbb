package validate

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Token is an accepted token. There is no other way to get one than from a Validator. It keeps the
// claims but neither the signature nor the text that the client sent, and it prints as metadata
// only.
type Token struct {
	payload  string
	issuer   string
	subject  string
	tenant   string
	client   string
	id       string
	keyID    string
	scope    string
	session  string
	acr      string
	audience span // where in the payload the values are
	amr      span
	act      span
	issued   instant
	expires  instant
	begins   instant // nbf
	authTime instant
	has      presence
	jkt      Thumbprint
	x5t      Thumbprint
	digest   [sha256.Size]byte
	sequence uint64 // of the receipt
	time     uint64 // of the receipt, in milliseconds; 0 for a foreign token
}

// Receipt tells where the ledger recorded a token.
type Receipt struct {
	Sequence uint64    // number of the entry in the log, from 0
	Time     time.Time // when it was recorded, to the millisecond
}

// read copies what was found out of the work buffers.
func (t *Token) read(w *work, k *key, recorded bool) {
	payload := string(w.payloadBytes)
	c := &w.claims
	keep := func(t text) string {
		if len(t.b) > 0 && t.off >= 0 {
			return payload[t.off:][:len(t.b)]
		}
		return string(t.b)
	}
	// One by one, into memory that is fresh: a literal would be built elsewhere and copied.
	t.payload, t.keyID, t.digest, t.has = payload, k.id, w.digest, c.has
	t.issuer, t.subject, t.tenant, t.client = keep(c.iss), keep(c.sub), keep(c.tid), keep(c.client())
	t.id, t.scope, t.session, t.acr = keep(c.jti), keep(c.scope), keep(c.sid), keep(c.acr)
	t.audience, t.amr, t.act = c.aud, c.amr, c.act
	t.issued, t.expires, t.begins, t.authTime = c.iat, c.exp, c.nbf, c.authTime
	t.jkt, t.x5t = c.jkt, c.x5t
	if recorded {
		t.sequence, t.time = w.receipt.Sequence, w.receipt.Time
	}
}

// value gives a scanner at the beginning of a value of the payload.
func (t *Token) value(at span) *scanner {
	s := new(scanner)
	s.reset([]byte(t.payload[at.from:at.to]), false)
	return s
}

// Issuer is iss.
func (t *Token) Issuer() string { return t.issuer }

// Subject is sub. It is unique only together with the issuer.
func (t *Token) Subject() string { return t.subject }

// Tenant is tid, or "" if the token has none.
func (t *Token) Tenant() string { return t.tenant }

// Client is client_id or azp, or "" if the token has neither. Where both were there, they agreed.
func (t *Token) Client() string { return t.client }

// ID is jti, or "" if the token has none.
func (t *Token) ID() string { return t.id }

// KeyID is the kid of the key that verified the token.
func (t *Token) KeyID() string { return t.keyID }

// Audience is aud as a list.
func (t *Token) Audience() []string {
	s := t.value(t.audience)
	if s.peek() == '"' {
		return []string{string(s.text().b)}
	}
	return readStrings(s)
}

// Scopes are the words of scope (RFC 9068 §2.2.3).
func (t *Token) Scopes() []string {
	return slices.DeleteFunc(strings.Split(t.scope, " "), func(s string) bool { return s == "" })
}

// HasScope reports whether the scope is among Scopes.
func (t *Token) HasScope(scope string) bool {
	return scope != "" && slices.Contains(strings.Split(t.scope, " "), scope)
}

// SessionID is sid, or "" if the token has none.
func (t *Token) SessionID() string { return t.session }

// ACR is acr, the class of how the user signed in (RFC 9068 §2.2.1), or "".
func (t *Token) ACR() string { return t.acr }

// AMR are the methods by which the user signed in (RFC 8176).
func (t *Token) AMR() []string {
	if t.amr == (span{}) {
		return nil
	}
	s := t.value(t.amr)
	return readStrings(s)
}

// AuthTime is auth_time, when the user signed in; false if the token does not say.
func (t *Token) AuthTime() (time.Time, bool) {
	if t.has&hasAuthTime == 0 {
		return time.Time{}, false
	}
	return t.authTime.time(), true
}

// Actor is who acts for the subject (RFC 8693 §4.1).
type Actor struct {
	Issuer  string // "" if the claim names none; then the token's
	Subject string
}

// Actor tells who acts for the subject, false if nobody does. Actors before that one, nested in the
// claim, count for nothing (RFC 8693 §4.1); Claims shows them.
func (t *Token) Actor() (a Actor, ok bool) {
	if t.act == (span{}) {
		return a, false
	}
	s := t.value(t.act)
	if s.peek() != '{' {
		return a, true // somebody acts, and it can't be read who
	}
	for o := s.object(); s.member(&o); {
		switch string(o.name) {
		case "iss":
			a.Issuer = string(s.optionalText())
		case "sub":
			a.Subject = string(s.optionalText())
		default:
			s.skip()
		}
	}
	return a, true
}

// IssuedAt is iat, cut to nanoseconds.
func (t *Token) IssuedAt() time.Time { return t.issued.time() }

// Expires is exp, cut to nanoseconds.
func (t *Token) Expires() time.Time { return t.expires.time() }

// Digest identifies the token: the same for every spelling of its signature. For a seawall token it
// is the digest that the ledger signed; for a foreign one the SHA-256 of the signing input.
func (t *Token) Digest() [sha256.Size]byte { return t.digest }

// Receipt tells where the ledger recorded the token; false for a foreign token, which has none.
func (t *Token) Receipt() (r Receipt, ok bool) {
	if t.time == 0 {
		return r, false
	}
	return Receipt{Sequence: t.sequence, Time: time.UnixMilli(int64(t.time))}, true
}

// Format prints a token as metadata, whatever the verb: claims belong in no log.
func (t Token) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "validate.Token(issuer=%q client=%q jti=%q kid=%.64q)", t.issuer, t.client, t.id, t.keyID)
}
