package ledger

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"seawall/internal/mint"
)

// Writer says whose entries a kind's are.
type Writer string

// The writers. Nobody can write another's kinds, and tokens and keys have messages of their own in which the ledger
// makes the entry itself.
const (
	BySigner Writer = "signer" // told by the signer
	ByHouse  Writer = "house"  // told by the house
	ByTokens Writer = "tokens" // made by the ledger from the bytes of a token
	ByKeys   Writer = "keys"   // made by the ledger from the step of a key
	ByLedger Writer = "ledger" // the ledger's own acts
)

// Retention is how long entries of a kind are kept.
type Retention string

// The retentions.
const (
	TwoYears Retention = "two years"
	Always   Retention = "always" // without it the rest could not be checked any more
)

// fields is a set of the fields of an entry, besides kind, time and details.
type fields uint16

const (
	fTenant fields = 1 << iota
	fIssuer
	fClient
	fSubject
	fKID
	fActor
	fTokenKind
	fAudience
	fJTI
	fIssuedAt
	fExpires
	fDigest
)

// Kind is the law for one kind of entry.
type Kind struct {
	Name   mint.EntryKind
	Writer Writer
	Keep   Retention

	need, may             fields
	needDetail, mayDetail []string
}

const (
	tokenFields = fTenant | fIssuer | fClient | fSubject | fKID | fTokenKind | fAudience | fJTI | fIssuedAt | fExpires | fDigest
	keyFields   = fTenant | fIssuer | fKID
)

var (
	keyDetails = []string{"alg", "epoch", "exp", "family", "kinds", "nbf", "signing_ends", "thumbprint"}
	keyMay     = []string{"reason", "statement"}
)

// kinds is the table of everything that can be in the log. One line more is one kind more.
var kinds = []Kind{
	{mint.TokenIssued, ByTokens, TwoYears, tokenFields, 0, nil, []string{"evidence", "sid"}},

	{mint.PolicyChanged, BySigner, Always, fTenant | fIssuer, fActor, []string{"digest", "version"},
		[]string{"algorithm", "audiences", "claims", "class", "clients", "disabled", "max_lifetime", "rotation_days"}},
	{mint.ClockWasFrozen, BySigner, TwoYears, 0, fActor, []string{"reason"}, nil},
	{mint.ClockWasAccepted, BySigner, TwoYears, fActor, 0, nil, []string{"reason", "was"}},

	{mint.KeyStaged, ByKeys, Always, keyFields, fActor, keyDetails, keyMay},
	{mint.KeyActivated, ByKeys, Always, keyFields, fActor, keyDetails, keyMay},
	{mint.KeyVerifyOnly, ByKeys, Always, keyFields, fActor, keyDetails, keyMay},
	{mint.KeyRetired, ByKeys, Always, keyFields, fActor, keyDetails, keyMay},
	{mint.KeySuspended, ByKeys, Always, keyFields, fActor, keyDetails, keyMay},
	{mint.KeyRevoked, ByKeys, Always, keyFields, fActor, keyDetails, keyMay},

	{mint.DistrustStated, ByLedger, Always, fTenant | fIssuer, fActor | fClient | fSubject | fKID | fJTI,
		[]string{"act", "before", "kind", "n", "reason", "signature", "undoes", "until"}, []string{"value"}},

	{mint.LedgerCreated, ByLedger, Always, 0, 0, []string{"origin", "root"}, nil},
	{mint.LedgerKeyAdded, ByLedger, Always, fKID, 0, []string{"certificate", "exp", "nbf", "x"}, nil},

	{mint.BaseRecorded, ByHouse, TwoYears, 0, fActor, []string{"base"}, nil},
	{mint.TenantCreated, ByHouse, TwoYears, fTenant, fActor | fIssuer, nil, []string{"class", "contacts", "name", "owner"}},
	{mint.TenantWasDisabled, ByHouse, TwoYears, fTenant, fActor | fIssuer, nil, []string{"reason"}},
	{mint.APICreated, ByHouse, TwoYears, fTenant | fAudience, fActor | fIssuer, nil, []string{"api_id", "max_lifetime", "name", "scopes"}},
	{mint.APIDisabled, ByHouse, TwoYears, fTenant | fAudience, fActor | fIssuer, nil, []string{"api_id", "reason"}},
	{mint.ClientCreated, ByHouse, TwoYears, fTenant | fClient, fActor | fIssuer | fSubject | fAudience, nil,
		[]string{"auth", "dpop", "dpop_reason", "grants", "logouts", "name", "redirects", "redirects_digest", "scopes", "secret_id", "trusted", "type"}},
	{mint.ClientChanged, ByHouse, TwoYears, fTenant | fClient, fActor | fIssuer, nil,
		[]string{"dpop", "dpop_reason", "logouts", "redirects", "redirects_digest", "trusted"}},
	{mint.ClientDisabled, ByHouse, TwoYears, fTenant | fClient, fActor | fIssuer, nil, []string{"reason"}},
	{mint.SecretRotated, ByHouse, TwoYears, fTenant | fClient, fActor | fIssuer, nil, []string{"overlap_until", "secret_id"}},
	{mint.AuthFailed, ByHouse, TwoYears, fTenant, fIssuer | fClient, []string{"reason"},
		[]string{"address", "api_id", "auth", "count", "endpoint"}},
	{mint.RotationAsked, ByHouse, TwoYears, fTenant, fActor | fIssuer | fKID, nil, []string{"family", "from", "reason", "to"}},

	{mint.PersonCreated, ByHouse, TwoYears, fTenant | fSubject, fActor | fIssuer, nil, []string{"kind", "role"}},
	{mint.PersonDisabled, ByHouse, TwoYears, fTenant | fSubject, fActor | fIssuer, nil, []string{"reason"}},
	{mint.RoleChanged, ByHouse, TwoYears, fTenant | fSubject | fActor, fIssuer, []string{"role", "was"}, nil},
	{mint.SignedIn, ByHouse, TwoYears, fTenant | fSubject, fActor | fIssuer, []string{"acr", "passkey", "session"}, nil},
	{mint.SignInRefused, ByHouse, TwoYears, fTenant, fIssuer | fSubject, []string{"reason"}, []string{"count"}},
	{mint.PasskeyAdded, ByHouse, TwoYears, fTenant | fSubject, fActor | fIssuer, []string{"passkey"}, []string{"reason", "type"}},
	{mint.PasskeyRemoved, ByHouse, TwoYears, fTenant | fSubject, fActor | fIssuer, []string{"passkey"}, []string{"reason"}},
	{mint.PasskeySuspended, ByHouse, TwoYears, fTenant | fSubject, fActor | fIssuer, []string{"passkey", "reason"}, nil},
	{mint.PasskeyRestored, ByHouse, TwoYears, fTenant | fSubject, fActor | fIssuer, []string{"passkey"}, nil},
	{mint.SessionEnded, ByHouse, TwoYears, fTenant | fSubject, fActor | fIssuer, []string{"reason"}, []string{"session"}},
	{mint.EnrolmentIssued, ByHouse, TwoYears, fTenant | fSubject | fExpires, fActor | fIssuer, []string{"reason"}, nil},
	{mint.EnrolmentUsed, ByHouse, TwoYears, fTenant | fSubject, fActor | fIssuer, []string{"reason"}, []string{"issued_by"}},
	{mint.RecoveryRequested, ByHouse, TwoYears, fTenant | fSubject, fActor | fIssuer, nil, []string{"reason"}},
	{mint.RecoveryApproved, ByHouse, TwoYears, fTenant | fSubject, fActor | fIssuer, []string{"requested_by"}, []string{"usable_from"}},
	{mint.RecoveryStopped, ByHouse, TwoYears, fTenant | fSubject, fActor | fIssuer, nil, []string{"reason"}},
	{mint.GlassSealed, ByHouse, TwoYears, fTenant | fSubject, fActor | fIssuer, nil, []string{"recipient"}},
	{mint.GlassBroken, ByHouse, TwoYears, fTenant | fSubject | fActor, fIssuer, nil, nil},
	{mint.GlassProven, ByHouse, TwoYears, fTenant | fSubject | fActor, fIssuer, nil, nil},
	{mint.TenantCompleted, ByHouse, TwoYears, fTenant, fActor | fIssuer, nil, []string{"contacts", "models", "owner", "passkeys"}},

	{mint.ConsentGiven, ByHouse, TwoYears, fTenant | fSubject | fClient, fActor | fIssuer | fAudience, []string{"session"}, []string{"scope"}},
	{mint.CodeIssued, ByHouse, TwoYears, fTenant | fSubject | fClient, fActor | fIssuer | fAudience, []string{"acr", "session"}, []string{"scope"}},
	{mint.ConsentWithdrawn, ByHouse, TwoYears, fTenant | fSubject | fClient, fActor | fIssuer, nil, []string{"reason"}},
	{mint.CodeReused, ByHouse, TwoYears, fTenant | fSubject | fClient, fActor | fIssuer, nil, []string{"act_id", "family", "jti"}},
	{mint.RefreshReplayed, ByHouse, TwoYears, fTenant | fSubject | fClient, fActor | fIssuer, []string{"family", "generation"}, []string{"act_id", "jti"}},
	{mint.RefreshSuspended, ByHouse, TwoYears, fTenant | fSubject | fClient, fActor | fIssuer, []string{"family", "reason"}, []string{"act_id", "by", "generation"}},
	{mint.RefreshResumed, ByHouse, TwoYears, fTenant | fSubject | fClient, fActor | fIssuer, []string{"family"}, []string{"reason"}},
	{mint.RefreshEnded, ByHouse, TwoYears, fTenant | fSubject | fClient, fActor | fIssuer, []string{"family", "reason"}, nil},
}

// kindOf finds the law for a kind without hashing: the table is short.
func kindOf(name mint.EntryKind) *Kind {
	for i := range kinds {
		if kinds[i].Name == name {
			return &kinds[i]
		}
	}
	return nil
}

// Kinds lists every kind of entry there is, in the order of the table.
func Kinds() []Kind { return slices.Clone(kinds) }

// present returns the fields of e that are not empty.
func present(e *mint.Entry) (set fields) {
	for i, filled := range [...]bool{
		e.Tenant != "", e.Issuer != "", e.Client != "", e.Subject != "", e.KID != "", e.Actor != "", e.TokenKind != "",
		len(e.Audience) > 0, e.JTI != "", e.IssuedAt != 0, e.Expires != 0, e.Digest != mint.Digest{},
	} {
		if filled {
			set |= 1 << i
		}
	}
	return set
}

// check reports whether e has the fields and details that its kind asks for, and no others.
func (k *Kind) check(e *mint.Entry) *mint.Refusal {
	has := present(e)
	if missing := k.need &^ has; missing != 0 {
		return mint.Refuse(mint.EntryInvalid, "%s: the %s is missing", k.Name, missing.first())
	}
	if extra := has &^ (k.need | k.may); extra != 0 {
		return mint.Refuse(mint.EntryInvalid, "%s: has no %s", k.Name, extra.first())
	}
	needed := 0
	for i := range e.Detail {
		name := e.Detail[i].Name
		switch {
		case i > 0 && e.Detail[i-1].Name >= name:
			return mint.Refuse(mint.EntryInvalid, "%s: details are repeated or out of order", k.Name)
		case slices.Contains(k.needDetail, name):
			needed++
		case !slices.Contains(k.mayDetail, name):
			return mint.Refuse(mint.EntryInvalid, "%s: a detail is none of this kind", k.Name)
		}
		if e.Detail[i].Value == "" {
			return mint.Refuse(mint.EntryInvalid, "%s: the detail %s is empty", k.Name, name)
		}
	}
	if needed != len(k.needDetail) {
		return mint.Refuse(mint.EntryInvalid, "%s: a detail is missing", k.Name)
	}
	return nil
}

var fieldNames = [...]string{"tenant", "issuer", "client", "subject", "kid", "actor", "token_kind", "audience", "jti", "iat", "exp", "digest"}

func (f fields) first() string {
	for i, name := range fieldNames {
		if f&(1<<i) != 0 {
			return name
		}
	}
	return ""
}

// checkForeign checks an entry that somebody else made: who may write it, its form, and that no text in it can hurt the
// terminal of a reader or looks like a credential.
func checkForeign(e *mint.Entry, writer Writer) *mint.Refusal {
	k := kindOf(e.Kind)
	if k == nil || k.Writer != writer {
		return mint.Refuse(mint.EntryNotAllowed, "the %s may not write entries of this kind", writer)
	}
	if e.Millis != 0 {
		return mint.Refuse(mint.EntryInvalid, "%s: the ledger sets the time itself", k.Name)
	}
	if r := k.check(e); r != nil {
		return r
	}
	for _, s := range [...]string{e.Tenant, e.Issuer, e.Client, e.Subject, e.KID, e.Actor, e.TokenKind, e.JTI} {
		if r := checkText(k, s); r != nil {
			return r
		}
	}
	for _, s := range e.Audience {
		if r := checkText(k, s); r != nil {
			return r
		}
	}
	for i := range e.Detail {
		if r := checkText(k, e.Detail[i].Value); r != nil {
			return r
		}
	}
	return nil
}

func checkText(k *Kind, s string) *mint.Refusal {
	if !plain(s) {
		return mint.Refuse(mint.EntryInvalid, "%s: a field is not plain text", k.Name)
	}
	if len(s) > mint.MaxText {
		return mint.Refuse(mint.EntryInvalid, "%s: a field is longer than %d bytes", k.Name, mint.MaxText)
	}
	if credential(s) {
		return mint.Refuse(mint.EntryInvalid, "%s: a field looks like a credential, which must never be recorded", k.Name)
	}
	return nil
}

// plain reports whether s is text without control characters.
func plain(s string) bool {
	ascii := true
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	return ascii || (utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
	}))
}

// credential is a tripwire, not a wall: entries have no field for a credential, and a mistake that puts one into another
// field is stopped here before it is kept for two years. It knows signed tokens, PEM and seawall's own secrets by signs
// that no hash, key id or signature in base64url has.
func credential(s string) bool {
	if i := strings.Index(s, "eyJ"); i >= 0 && strings.Contains(s[i:], ".eyJ") || strings.Contains(s, "-----BEGIN ") {
		return true
	}
	for _, env := range [...]string{"_prod_", "_stg_", "_dev_", "_sup_"} {
		if i := strings.Index(s, env); i >= 3 && s[i-3:i-1] == "sw" && len(s)-i > 30 {
			return true
		}
	}
	return false
}
