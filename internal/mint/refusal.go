package mint

import "fmt"

// Code says why a vault refused. The list is closed and the words are stable.
type Code string

// Why the signer or the ledger refuses. None of them is retryable except
// [Unavailable] and [Busy].
const (
	Malformed            Code = "malformed"              // not a message of this version
	TenantUnknown        Code = "tenant_unknown"         // no policy for this tenant
	TenantDisabled       Code = "tenant_disabled"        // the tenant was disabled
	IssuerMismatch       Code = "issuer_mismatch"        // not this tenant's issuer
	KindUnsupported      Code = "kind_unsupported"       // no token of this kind is minted
	SubjectInvalid       Code = "subject_invalid"        // empty, too long or with control characters
	ClientInvalid        Code = "client_invalid"         // the same, for the client id
	AudienceMissing      Code = "audience_missing"       // an empty list or an empty name
	AudienceUnregistered Code = "audience_unregistered"  // not an API of this tenant
	AudienceRepeated     Code = "audience_repeated"      // the same API twice
	AudienceSeveral      Code = "audience_several"       // an ID token is for one client
	AudienceClient       Code = "audience_client"        // an access token for a client could be taken for its ID token
	ClientNotAllowed     Code = "client_not_allowed"     // an ID token names its client in aud
	ClientUnregistered   Code = "client_unregistered"    // the policy lists no such client that people sign in to
	NonceInvalid         Code = "nonce_invalid"          // unprintable
	NonceNotAllowed      Code = "nonce_not_allowed"      // an access token has none
	AuthTimeMissing      Code = "auth_time_missing"      // an ID token says when the person signed in
	AuthTimeInvalid      Code = "auth_time_invalid"      // in the future
	ACRInvalid           Code = "acr_invalid"            // too long or unprintable
	AMRInvalid           Code = "amr_invalid"            // too many methods, or one that is empty, repeated or unprintable
	SessionInvalid       Code = "session_invalid"        // too long or unprintable
	BindingInvalid       Code = "binding_invalid"        // not the thumbprint of a key
	BindingNotAllowed    Code = "binding_not_allowed"    // an ID token is bound to no key
	ScopeNotAllowed      Code = "scope_not_allowed"      // an ID token has none
	CustomNotAllowed     Code = "custom_not_allowed"     // an ID token has no custom claims
	ScopeInvalid         Code = "scope_invalid"          // not RFC 6749 scope syntax
	ScopeUnregistered    Code = "scope_unregistered"     // no API in the audience has it
	LifetimeInvalid      Code = "lifetime_invalid"       // zero or negative
	LifetimeTooLong      Code = "lifetime_too_long"      // over the tenant's, API's or host's ceiling
	JTIInvalid           Code = "jti_invalid"            // not a token id
	JTIReused            Code = "jti_reused"             // another request had this id
	ClaimStandard        Code = "claim_standard"         // a standard claim among the custom ones
	ClaimNotAllowed      Code = "claim_not_allowed"      // not on the tenant's list
	ClaimInvalid         Code = "claim_invalid"          // repeated, unsorted or unprintable
	KeyUnavailable       Code = "key_unavailable"        // no active key for this issuer and family
	KeyOutlived          Code = "key_outlived"           // the token would outlive its key
	KeyOverdue           Code = "key_overdue"            // the key is past the end of its signing time
	KeyNotActive         Code = "key_not_active"         // ledger: not recorded as active
	KeyMismatch          Code = "key_mismatch"           // ledger: key, issuer, alg or kind do not belong together
	ClockFrozen          Code = "clock_frozen"           // the clock jumped; see `seawall clock accept`
	ClockSkew            Code = "clock_skew"             // ledger: iat is not within 60 s of its clock
	NotCanonical         Code = "not_canonical"          // ledger: bytes that the signer would not write
	PolicyVersion        Code = "policy_version"         // not the next version
	PolicyInvalid        Code = "policy_invalid"         // not a possible policy
	PolicyCeiling        Code = "policy_ceiling"         // beyond the ceilings of this host
	PolicyIssuerTaken    Code = "policy_issuer_taken"    // the issuer is bound to another tenant, or the tenant to another issuer
	EntryNotAllowed      Code = "entry_not_allowed"      // ledger: not a kind this writer may record
	EntryInvalid         Code = "entry_invalid"          // ledger: fields missing or not of this kind
	KeyTransition        Code = "key_transition_invalid" // ledger: not a possible step of this key
	StatedByKey          Code = "stated_by_key"          // ledger: keys are distrusted, and believed again, by their steps alone
	StatedKind           Code = "stated_kind"            // ledger: nothing that a feed can speak of, or no act of it
	StatedReason         Code = "stated_reason"          // ledger: not one of the reasons
	StatedValue          Code = "stated_value"           // ledger: empty, too long or not plain text
	StatedCredential     Code = "stated_credential"      // ledger: a value that looks like a credential
	StatedTime           Code = "stated_time"            // ledger: a time that no token concerned can have
	StatedNever          Code = "stated_never"           // ledger: there is no statement of this number to take back
	StatedOver           Code = "stated_over"            // ledger: the statement was taken back before, or its time is over
	StatedFull           Code = "stated_full"            // ledger: the issuer has as many live statements as a feed can hold
	KeyLast              Code = "key_last"               // distrust: no other key could sign
	SpareTooYoung        Code = "spare_too_young"        // rotation: validators may not know the next key yet
	StateRolledBack      Code = "state_rolled_back"      // state older than what was recorded
	NotFound             Code = "not_found"
	Busy                 Code = "busy"        // too much is queued: try again
	Unavailable          Code = "unavailable" // a vault is away: try again
)

// Refusal is a vault's "no". It is an error and a value on the wire.
type Refusal struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail,omitempty"` // for people; never a credential
}

func (r *Refusal) Error() string {
	if r.Detail == "" {
		return string(r.Code)
	}
	return string(r.Code) + ": " + r.Detail
}

// Is matches another refusal with the same code, or any when that is empty.
func (r *Refusal) Is(target error) bool {
	t, ok := target.(*Refusal)
	return ok && (t.Code == "" || t.Code == r.Code)
}

// Refuse makes a refusal with a detail for people.
func Refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Detail: fmt.Sprintf(format, args...)}
}
