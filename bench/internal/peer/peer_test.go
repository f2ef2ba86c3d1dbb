package peer

import (
	"strings"
	"testing"
	"time"

	"seawall/validate"
	"seawall/validate/validatetest"
)

// TestLibrariesAreAskedWell: what every library can be asked to check, it checks. A library that accepts one of these was
// configured badly, and whatever else is said about it would be unfair.
func TestLibrariesAreAskedWell(t *testing.T) {
	const audience = "https://api.example"
	for _, alg := range []validate.Alg{validate.ES256, validate.RS256, validate.EdDSA} {
		a, b := validatetest.NewIssuer(validatetest.Config{URL: "https://a.example", Foreign: true, Algorithm: alg}), validatetest.NewIssuer(validatetest.Config{URL: "https://b.example", Foreign: true, Algorithm: alg})
		for _, l := range Libraries() {
			v := l.New(Setup{
				Issuers: []Issuer{{Name: a.URL(), JWKS: a.Keys()}, {Name: b.URL(), JWKS: b.Keys()}}, Audiences: []string{"https://first.example", audience},
				Algorithms: []string{string(alg)}, Leeway: 30 * time.Second, Now: time.Now,
			})
			good := validatetest.Claims{"aud": audience, "sub": "someone"}
			if subject, err := v.Verify(a.Token(good)); err != nil || subject != "someone" {
				t.Errorf("%s, %s: a good token: %q, %v", l.Name, alg, subject, err)
			}
			unsigned := a.Token(good, validatetest.Unsigned)
			unsigned = unsigned[:strings.LastIndexByte(unsigned, '.')+1]
			for name, token := range map[string]string{
				"expired":         a.Token(good, validatetest.Expired),
				"bad signature":   a.Token(good, validatetest.BadSignature),
				"unsigned":        unsigned,
				"other audience":  a.Token(good, validatetest.OtherAudience),
				"other issuer":    a.Token(good, validatetest.OtherIssuer),
				"unknown key":     a.Token(good, validatetest.UnknownKey),
				"without an end":  a.Token(good, validatetest.Claim("exp", nil, validate.CodeClaims)),
				"A's key for B":   a.Token(validatetest.Claims{"aud": audience, "iss": b.URL()}),
				"not a token":     "a.b.c",
				"nothing":         "",
				"nothing but dot": "..",
			} {
				if _, err := v.Verify(token); err == nil {
					t.Errorf("%s, %s: accepts a token: %s", l.Name, alg, name)
				}
			}
		}
	}
}

// TestTemplates: an issuer for many tenants is one verifier a tenant.
func TestTemplates(t *testing.T) {
	const tid, other = "2a9c4e71-65d0-4b3f-8e12-b7d4f09a3c55", "7f3d1c08-9b2e-4a6d-b5f1-0e8c7a4d2b19"
	i := validatetest.NewIssuer(validatetest.Config{URL: "https://many.example/" + tid, Foreign: true})
	for _, l := range Libraries() {
		v := l.New(Setup{
			Issuers: []Issuer{{Name: "https://many.example/{tenantid}", Tenants: []string{tid}, JWKS: i.Keys()}}, Audiences: []string{"x"}, Algorithms: []string{"ES256"}, Now: time.Now,
		})
		if _, err := v.Verify(i.Token(validatetest.Claims{"aud": "x", "tid": tid})); err != nil {
			t.Errorf("%s: %v", l.Name, err)
		}
		for name, claims := range map[string]validatetest.Claims{
			"no tenant":       {"aud": "x"},
			"another tenant":  {"aud": "x", "tid": other, "iss": "https://many.example/" + other},
			"tenants confuse": {"aud": "x", "tid": other},
		} {
			if _, err := v.Verify(i.Token(claims)); err == nil {
				t.Errorf("%s: accepts %s", l.Name, name)
			}
		}
	}
}
