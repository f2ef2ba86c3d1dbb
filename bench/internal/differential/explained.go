package differential

import (
	"bytes"
	"encoding/json"
	"strings"

	"seawall/validate"
)

// explanation is why a library and validate may disagree.
type explanation struct {
	lax    map[validate.Code]string // what validate refuses and the library lets pass, and why
	strict []strictness
	salts  bool // PS256 signatures pass whatever the length of their salt (RFC 7518 §3.5 wants 32 bytes)
	folds  bool // names of members are compared without case, so that Sub may stand in for sub
}

// strictness is why the library refuses what validate accepts, and why that is no fault of ours.
type strictness struct {
	words string                // of the library's error
	only  func(raw string) bool // a look at the token, where the words alone say too little; nil for none
	why   string
}

// pass reports whether it is explained that the library accepts what validate refuses.
func (e explanation) pass(code validate.Code, raw string) bool {
	if code == validate.CodeSignature {
		head, _, _ := strings.Cut(raw, ".")
		var header struct{ Alg string }
		return e.salts && json.Unmarshal(lenient(head), &header) == nil && header.Alg == "PS256"
	}
	return e.lax[code] != "" || e.rename(raw)
}

// refuse reports whether the library's refusal of a token that validate accepts is explained.
func (e explanation) refuse(err error, raw string) bool {
	for _, s := range e.strict {
		if strings.Contains(err.Error(), s.words) && (s.only == nil || s.only(raw)) {
			return true
		}
	}
	return false
}

// rename reports whether it is explained that the two sides read another subject, or another value of a claim.
func (e explanation) rename(raw string) bool { return e.folds && folded(raw) }

// folded reports whether a payload has a member whose name is a registered one but for case.
func folded(raw string) bool {
	_, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	var claims map[string]json.RawMessage
	if json.Unmarshal(lenient(payload), &claims) != nil {
		return false
	}
	for name := range claims {
		for _, registered := range []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti"} {
			if name != registered && strings.EqualFold(name, registered) {
				return true
			}
		}
	}
	return false
}

// spaced reports whether a header has white space around it, which is good JSON.
func spaced(raw string) bool {
	head, _, _ := strings.Cut(raw, ".")
	header := lenient(head)
	return len(bytes.TrimSpace(header)) < len(header)
}

// Why a library lets pass what validate refuses, where several have the same reason.
const (
	noKind     = "it does not look at typ, so an ID token may stand in for an access token"
	noClient   = "it does not compare azp with client_id"
	noLifetime = "it knows no longest lifetime, and a token may expire before it was issued"
	noBinding  = "it does not look at cnf"
	noForms    = "sub and iat need not be there, and of most claims any form will do"
	jsonV1     = "encoding/json takes the last of two members, puts U+FFFD for bad text and knows no limit of depth"
	rounding   = "it compares with another rounding, or takes the very second of the end for before it"
	inHeader   = "it reads members of the header that validate never looks at, and wants them in their form"
	floats     = "it reads numbers that nobody asked for, and as floats"
	foldedName = "it takes a member for another whose name differs in case"
)

// float is how encoding/json says that a number is too large for it.
const float = "into Go value of type float64"

// also adds what none of the libraries looks at.
func also(lax map[validate.Code]string) map[validate.Code]string {
	lax[validate.CodeTyp], lax[validate.CodeClient], lax[validate.CodeLifetime], lax[validate.CodeClaims] = noKind, noClient, noLifetime, noForms
	for _, c := range []validate.Code{validate.CodeBindingForm, validate.CodeBindingUnknown, validate.CodeDPoPScheme, validate.CodeMTLSMissing} {
		lax[c] = noBinding
	}
	return lax
}

var explained = map[string]explanation{
	"golang-jwt": {
		folds: true, salts: true,
		lax: also(map[validate.Code]string{
			validate.CodeJSON:        jsonV1,
			validate.CodeCrit:        "it knows no critical extensions",
			validate.CodeEncoding:    "line ends and unused bits pass unless strict decoding is asked for",
			validate.CodeNotYetValid: rounding, validate.CodeExpired: rounding,
		}),
		strict: []strictness{
			{float, nil, floats},
			{"token is expired", nil, "it cuts fractions off before it compares"},
			{"invalid", folded, foldedName}, {"not valid yet", folded, foldedName}, {"used before issued", folded, foldedName}, {"malformed", folded, foldedName},
		},
	},
	"go-jose": {
		salts: true,
		lax: also(map[validate.Code]string{
			validate.CodeJSON:        "nested members may come twice, and bad text and any depth pass",
			validate.CodeEncoding:    "line ends and unused bits pass",
			validate.CodeCrit:        "an empty crit, and b64, pass",
			validate.CodeNotYetValid: rounding, validate.CodeExpired: rounding,
		}),
		strict: []strictness{{"x5c", nil, inHeader}, {"unmarshal JWK", nil, inHeader}, {"unmarshal nonce", nil, inHeader}, {float, nil, floats}},
	},
	"go-oidc": {
		folds: true, salts: true,
		lax: also(map[validate.Code]string{
			validate.CodeJSON:        jsonV1,
			validate.CodeCrit:        "an empty crit, and b64, pass",
			validate.CodeKid:         "a token that names no key is tried with all of them",
			validate.CodeEncoding:    "white space passes",
			validate.CodeNotYetValid: "it does not look at iat, and forgives nbf five minutes",
		}),
		strict: []strictness{
			{"x5c", nil, inHeader}, {"unmarshal JWK", nil, inHeader}, {"unmarshal nonce", nil, inHeader}, {float, nil, floats},
			{"idToken.nonce", nil, "it reads a nonce, as an ID token has, and wants it to be text"},
			{"token is expired", nil, "it knows no leeway for exp"},
			{"issued by a different provider", folded, foldedName}, {"failed to unmarshal claims", folded, foldedName}, {"audience", folded, foldedName},
		},
	},
	"jwx": {
		lax: also(map[validate.Code]string{
			validate.CodeJSON:        jsonV1,
			validate.CodeEncoding:    "any alphabet, padding and unused bits pass",
			validate.CodeKeyAlg:      "the key's algorithm counts, whatever the header says",
			validate.CodeCrit:        "of the critical extensions it refuses b64 alone",
			validate.CodeAlg:         "the header's alg need not be there: the key's counts",
			validate.CodeNotYetValid: rounding, validate.CodeExpired: rounding,
		}),
		strict: []strictness{
			{"none verified successfully", spaced, "it verifies a header that it has written again itself, without the white space around"},
			{"failed to parse JOSE headers", nil, inHeader}, {float, nil, floats},
			{`"exp" not satisfied`, nil, "it cuts fractions off before it compares"},
			{"parse it as RFC3339", nil, "it reads minus zero as no time"},
		},
	},
}
