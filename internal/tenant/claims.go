package tenant

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of custom claims.
const (
	MaxClaims      = 32
	maxClaimName   = 128
	maxClaimLength = 256
)

// standardClaims are the names with a meaning that others rely on: the JWT claims registry (RFC 7519 §10.1) and what
// OpenID Connect, RFC 7800, 8693, 9068, 9396, SD-JWT and security events give meaning to, and our own.
func standardClaims() []string {
	return strings.Fields(`
		iss sub aud exp nbf iat jti
		name given_name family_name middle_name nickname preferred_username profile picture website email email_verified
		gender birthdate zoneinfo locale phone_number phone_number_verified address updated_at
		azp nonce auth_time at_hash c_hash s_hash acr amr sid sub_jwk sub_id
		cnf jkt x5t#s256 htm htu ath act may_act scope scp client_id cid uid tid oid groups roles entitlements permissions
		authorization_details token_introspection token_use typ events toe txn
		_claim_names _claim_sources _sd _sd_alg vct vct#integrity status status_list ttl vc vp vot vtm
		verified_claims place_of_birth nationalities birth_family_name birth_given_name birth_middle_name salutation title
		msisdn also_known_as transaction_id
		sip_from_tag sip_date sip_callid sip_cseq_num sip_via_branch orig dest mky rph opt div attest origid jcard crn rcd rcdi msgi
		at_use_nbr sph ace_profile cnonce exi
		eat_nonce ueid sueids oemid hwmodel hwversion oemboot dbgstat location eat_profile submods uptime bootcount bootseed
		dloas swname swversion manifests measurements measres intuse geohash
		cdniv cdnicrit cdniip cdniuc cdniets cdnistt cdnistd sig_val_claims rdap_allowed_purposes rdap_dnt_allowed
		metadata metadata_policy constraints crit jwks keys authority_hints trust_marks trust_mark_issuers trust_chain
		atc attestation redirect_uris response_type response_mode redirect_uri state code_challenge claims request request_uri
		active jwk kid uti ver version token_type
		rcpt tenant issuer ledger seawall
	`)
}

// CheckClaimName says whether a tenant may allow a custom claim of this name. A standard name never is one: it would
// let the house, or a client's registration, change what a token says about itself. Case does not help, since many
// JSON readers ignore it.
func CheckClaimName(name string) error {
	const what = "custom claim"
	if name == "" || len(name) > maxClaimName || strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.:/~", r))
	}) {
		return invalid(what, quote(name)+" is not a possible name", "use up to 128 letters, digits and _ - . : / ~")
	}
	folded := strings.ToLower(name)
	if slices.Contains(standardClaims(), folded) || strings.HasPrefix(folded, "seawall_") {
		return invalid(what, quote(name)+" is a standard name, or one that libraries give a meaning to", "choose a name of your own, such as https://acme.example/"+folded)
	}
	return nil
}

func claimNames(given []string) ([]string, error) {
	var out, seen []string
	for _, name := range given {
		if err := CheckClaimName(name); err != nil {
			return nil, err
		}
		if slices.Contains(out, name) {
			continue
		}
		if slices.Contains(seen, strings.ToLower(name)) {
			return nil, invalid("custom claim", quote(name)+" differs from another one in capital letters only", "keep one of the two")
		}
		out, seen = append(out, name), append(seen, strings.ToLower(name))
	}
	if len(out) > MaxClaims {
		return nil, invalid("custom claims", fmt.Sprintf("%d are more than %d", len(out), MaxClaims), "a token is no place for data: keep it in the API")
	}
	slices.Sort(out)
	return out, nil
}

// claimValues checks the custom claims of a client, except that their names are on the tenant's list.
func claimValues(claims map[string]string) (map[string]string, error) {
	if _, err := claimNames(slices.Sorted(maps.Keys(claims))); err != nil {
		return nil, err
	}
	for name, value := range claims {
		if len(value) > maxClaimLength || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
			return nil, invalid("custom claim "+name, "its value is longer than 256 bytes, or has control characters", "")
		}
	}
	if len(claims) == 0 {
		return nil, nil
	}
	return maps.Clone(claims), nil
}
