package validate

// Code says why a token was refused. The list is closed and the words are stable: programs may
// branch on them. A Code is itself an error, so it serves as the sentinel of its kind:
//
//	if errors.Is(err, validate.CodeExpired) { … }
type Code string

// The reasons for refusing a token, in about the order in which they are looked for.
const (
	CodeMissing         Code = "missing"           // no token was presented
	CodeRequest         Code = "request"           // the HTTP request presents credentials in a way that is not allowed
	CodeTooLarge        Code = "too_large"         // more bytes than Config.MaxBytes
	CodeMalformed       Code = "malformed"         // not three non-empty segments (RFC 7515 §7.1)
	CodeEncoding        Code = "encoding"          // a segment is not canonical unpadded base64url
	CodeJSON            Code = "json"              // header or payload is not one strict JSON object
	CodeAlg             Code = "alg"               // algorithm missing or not allowed
	CodeTyp             Code = "typ"               // token type missing or not allowed
	CodeCrit            Code = "crit"              // header uses crit or b64 (RFC 7515 §4.1.11, RFC 7797)
	CodeKid             Code = "kid"               // header names no key
	CodeIssuer          Code = "issuer"            // iss is no configured issuer
	CodeTenant          Code = "tenant"            // tid does not fit the issuer, or the tenant is not allowed
	CodeClaimRule       Code = "claim_rule"        // a claim rule of the issuer does not hold
	CodeClaims          Code = "claims"            // a required claim is missing or has the wrong form
	CodeAudience        Code = "audience"          // aud names none of the configured audiences
	CodeExpired         Code = "expired"           // exp has passed
	CodeNotYetValid     Code = "not_yet_valid"     // iat or nbf lies in the future
	CodeLifetime        Code = "lifetime"          // exp is not after iat, or too long after it
	CodeClient          Code = "client"            // azp and client_id disagree, or the client is not allowed
	CodeRevoked         Code = "revoked"           // a revocation applies
	CodeBindingForm     Code = "binding_form"      // cnf is not in the form of RFC 7800 §3.1, RFC 9449 §6.1 or RFC 8705 §3.1
	CodeBindingUnknown  Code = "binding_unknown"   // cnf names a confirmation method that is not known here
	CodeKeysUnavailable Code = "keys_unavailable"  // the issuer's keys could not be loaded yet
	CodeKeysStale       Code = "keys_stale"        // the issuer's keys could not be refreshed for too long
	CodeLedgerPin       Code = "ledger_pin"        // the key document is not the pinned ledger's
	CodeLedgerAnnounced Code = "ledger_announced"  // a ForeignIssuer turned out to have a seawall ledger
	CodeKeyUnknown      Code = "key_unknown"       // the issuer has no such key
	CodeKeyUnusable     Code = "key_unusable"      // weak, malformed or not meant for signatures
	CodeKeyIssuer       Code = "key_issuer"        // the key belongs to another issuer
	CodeKeyNotPinned    Code = "key_not_pinned"    // the issuer's keys are pinned, and this is none of them
	CodeKeyRevoked      Code = "key_revoked"       // the key set marks the key as revoked
	CodeKeyNotYetValid  Code = "key_not_yet_valid" // the key's window has not begun
	CodeKeyExpired      Code = "key_expired"       // the key's window has ended
	CodeKeyStatement    Code = "key_statement"     // the pinned ledger root does not vouch for the key
	CodeKeyAmbiguous    Code = "key_ambiguous"     // more than one usable key has this kid
	CodeKeyAlg          Code = "key_alg"           // the key is for another algorithm
	CodeKeyKind         Code = "key_kind"          // the key may not sign this kind of token
	CodeKeySigningEnded Code = "key_signing_ended" // issued when the key no longer signed
	CodeKeyOutlived     Code = "key_outlived"      // the token outlives its key
	CodeReceiptForm     Code = "receipt_form"      // the header's receipt is not in its one form
	CodeSignature       Code = "signature"         // the signature does not verify
	CodeReceiptMissing  Code = "receipt_missing"   // validly signed, but without a receipt
	CodeReceiptKey      Code = "receipt_key"       // receipt by a key that the pinned root has not certified
	CodeReceiptTime     Code = "receipt_time"      // receipt from outside its key's window or too far from iat
	CodeReceiptMismatch Code = "receipt_mismatch"  // the receipt was given for other bytes
)

// The reasons for refusing a token that is good in itself but was not shown to come from its
// rightful sender (RFC 9449, RFC 8705). They are looked for last.
const (
	CodeMTLSRequired   Code = "mtls_required"   // Config.RequireMTLS, and the token is bound to no certificate
	CodeMTLSMissing    Code = "mtls_missing"    // the token is bound to a certificate, and the client showed none
	CodeMTLSMismatch   Code = "mtls_mismatch"   // the token is bound to another certificate
	CodeDPoPRequired   Code = "dpop_required"   // DPoP.Required, and the token is bound to no key
	CodeDPoPScheme     Code = "dpop_scheme"     // the token is bound to a key, and came as a bearer token
	CodeDPoPUnbound    Code = "dpop_unbound"    // the scheme is DPoP, and the token is bound to no key
	CodeDPoPOrigin     Code = "dpop_origin"     // DPoP.Origin is not set, so Request and Handler can't tell what a proof must be for
	CodeDPoPMissing    Code = "dpop_missing"    // there is no proof
	CodeDPoPMany       Code = "dpop_many"       // there is more than one proof
	CodeDPoPForm       Code = "dpop_form"       // the proof is no strict JWS, or lacks a member, or has one of the wrong form
	CodeDPoPAlg        Code = "dpop_alg"        // the proof's algorithm is not ES256, RS256, PS256 or EdDSA
	CodeDPoPMethod     Code = "dpop_method"     // the proof was made for another method
	CodeDPoPURL        Code = "dpop_url"        // the proof was made for another URL
	CodeDPoPToken      Code = "dpop_token"      // the proof was made for another token
	CodeDPoPTime       Code = "dpop_time"       // the proof is too old, or from the future
	CodeDPoPNonce      Code = "dpop_nonce"      // the proof lacks a nonce of ours that is still good
	CodeDPoPKey        Code = "dpop_key"        // the proof's key is private, symmetric, weak, malformed or for another algorithm
	CodeDPoPThumbprint Code = "dpop_thumbprint" // the proof's key is not the one that the token is bound to
	CodeDPoPSignature  Code = "dpop_signature"  // the proof's signature does not verify
	CodeDPoPReplay     Code = "dpop_replay"     // this key has used a proof of this name before
	CodeDPoPFull       Code = "dpop_full"       // the memory for proofs has no more room for this key
)

// The reasons for refusing a token that is meant for a relying party or a receiver: see IDTokens,
// LogoutTokens and SecurityEvents.
const (
	CodeKind   Code = "kind"   // the token is of another kind, by what it says
	CodeNonce  Code = "nonce"  // nonce is not that of the request, or is there without one
	CodeHash   Code = "hash"   // at_hash or c_hash does not fit what came with the token
	CodeReplay Code = "replay" // a token of this jti was accepted before
	CodeFull   Code = "full"   // the memory for jti has no more room
)

// The reasons for which a good token is not enough for what was asked: see Requirement.
const (
	CodeScope    Code = "insufficient_scope" // the token lacks a scope
	CodeACR      Code = "insufficient_acr"   // the user did not sign in strongly enough
	CodeAuthTime Code = "auth_too_old"       // the user signed in too long ago, or the token does not say when
)

// reasons holds one plain sentence a code, and is the closed list itself.
var reasons = map[Code]string{
	CodeMissing:         "no token was presented",
	CodeRequest:         "the request must carry exactly one Authorization header with one token",
	CodeTooLarge:        "the token is larger than this API accepts",
	CodeMalformed:       "the token is not a JWS in compact form",
	CodeEncoding:        "a segment is not canonical base64url",
	CodeJSON:            "header or payload is not one strict JSON object",
	CodeAlg:             "the algorithm is missing or not allowed",
	CodeTyp:             "the token type is missing or not allowed",
	CodeCrit:            "critical header extensions are not supported",
	CodeKid:             "the header names no key",
	CodeIssuer:          "the issuer is not trusted here",
	CodeTenant:          "the tenant does not fit the issuer or is not allowed here",
	CodeClaimRule:       "a claim that is demanded of this issuer is missing or has another value",
	CodeClaims:          "a required claim is missing or has the wrong form",
	CodeAudience:        "the token is meant for another audience",
	CodeExpired:         "the token has expired",
	CodeNotYetValid:     "the token is not valid yet",
	CodeLifetime:        "the token's lifetime is not acceptable",
	CodeClient:          "the client is not allowed here",
	CodeRevoked:         "the token has been revoked",
	CodeBindingForm:     "the token's sender binding is not in a known form",
	CodeBindingUnknown:  "the token is bound to its sender by a method that is not known here",
	CodeKeysUnavailable: "the issuer's keys could not be loaded yet",
	CodeKeysStale:       "the issuer's keys could not be refreshed for too long",
	CodeLedgerPin:       "the issuer's key document does not belong to the pinned ledger",
	CodeLedgerAnnounced: "the issuer has a seawall ledger and must be configured with SeawallIssuer and its pin",
	CodeFeedUnavailable: "what the issuer distrusts could not be loaded yet",
	CodeFeedStale:       "what the issuer distrusts could not be refreshed for too long",
	CodeFeedDenied:      "the issuer does not accept this API's credentials for its distrust feed",
	CodeFeedMalformed:   "what came is not the issuer's distrust feed",
	CodeFeedSignature:   "the distrust feed is not signed by the pinned ledger root for this issuer",
	CodeFeedTime:        "the distrust feed is signed for another time",
	CodeFeedRolledBack:  "the distrust feed has fewer statements than were seen before",
	CodeFeedForked:      "the distrust feed tells another history than before",
	CodeFeedGap:         "a statement of the distrust feed is missing",
	CodeFeedFull:        "the distrust feed has more live statements than a validator remembers",
	CodeKeyDistrusted:   "the key must not be believed any more",
	CodeKeyUnknown:      "the issuer has no such key",
	CodeKeyUnusable:     "the key is weak, malformed or not meant for signatures",
	CodeKeyIssuer:       "the key belongs to another issuer",
	CodeKeyNotPinned:    "the key is none of those that are pinned for the issuer",
	CodeKeyRevoked:      "the key has been revoked",
	CodeKeyNotYetValid:  "the key is not valid yet",
	CodeKeyExpired:      "the key has expired",
	CodeKeyStatement:    "the pinned ledger does not vouch for the key",
	CodeKeyAmbiguous:    "more than one usable key has this name",
	CodeKeyAlg:          "the key is for another algorithm",
	CodeKeyKind:         "the key may not sign this kind of token",
	CodeKeySigningEnded: "the token was issued after its key stopped signing",
	CodeKeyOutlived:     "the token outlives its key",
	CodeReceiptForm:     "the receipt is not in its one form",
	CodeSignature:       "the signature does not verify",
	CodeReceiptMissing:  "the signature verifies but the ledger gave no receipt",
	CodeReceiptKey:      "the receipt is by a key that the pinned ledger has not certified",
	CodeReceiptTime:     "the receipt is from another time than the token",
	CodeReceiptMismatch: "the receipt was given for another token",
	CodeMTLSRequired:    "this API accepts only tokens that are bound to a client certificate",
	CodeMTLSMissing:     "the token is bound to a client certificate and none was shown",
	CodeMTLSMismatch:    "the token is bound to another client certificate",
	CodeDPoPRequired:    "this API accepts only tokens that are bound to a DPoP key",
	CodeDPoPScheme:      "the token is bound to a DPoP key and can't be used as a bearer token",
	CodeDPoPUnbound:     "the token came with the DPoP scheme but is bound to no key",
	CodeDPoPOrigin:      "this API has not been told by which origin clients call it, so it can't check DPoP proofs",
	CodeDPoPMissing:     "there is no DPoP proof",
	CodeDPoPMany:        "there is more than one DPoP proof",
	CodeDPoPForm:        "the DPoP proof is malformed or lacks a member",
	CodeDPoPAlg:         "the DPoP proof's algorithm is not allowed",
	CodeDPoPMethod:      "the DPoP proof was made for another method",
	CodeDPoPURL:         "the DPoP proof was made for another URL",
	CodeDPoPToken:       "the DPoP proof was made for another token",
	CodeDPoPTime:        "the DPoP proof is too old or from the future",
	CodeDPoPNonce:       "the DPoP proof needs a current nonce of this API",
	CodeDPoPKey:         "the DPoP proof's key is not a sound public key for its algorithm",
	CodeDPoPThumbprint:  "the DPoP proof's key is not the one that the token is bound to",
	CodeDPoPSignature:   "the DPoP proof's signature does not verify",
	CodeDPoPReplay:      "the DPoP proof has been used before",
	CodeDPoPFull:        "this key has sent more DPoP proofs than can be remembered",
	CodeKind:            "the token is of another kind",
	CodeNonce:           "the token answers another request",
	CodeHash:            "the token came with another access token or code",
	CodeReplay:          "the token has been used before",
	CodeFull:            "there is no more room to remember tokens",
	CodeScope:           "the token lacks a scope",
	CodeACR:             "the user did not sign in strongly enough",
	CodeAuthTime:        "the user signed in too long ago",
}

// refusals holds one error a code, made once, so that refusing a token allocates nothing.
var refusals = func() map[Code]*Error {
	m := make(map[Code]*Error, len(reasons))
	for c := range reasons {
		m[c] = &Error{Code: c}
	}
	return m
}()

// Error is why a token was refused. It carries the reason code and nothing of the token, so it is
// safe to log. Errors of one code may be one shared value: do not change them.
type Error struct {
	Code Code
}

// Error gives the code and its meaning.
func (e *Error) Error() string {
	return "validate: token refused: " + string(e.Code) + ": " + e.Code.Reason()
}

// Is makes errors.Is(err, CodeExpired) true for an expired token.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

// Error makes a Code usable as a sentinel with errors.Is.
func (c Code) Error() string { return string(c) }

// Reason gives the code's meaning as one plain clause.
func (c Code) Reason() string { return reasons[c] }

// refuse gives the shared error of a code.
func refuse(c Code) *Error { return refusals[c] }
