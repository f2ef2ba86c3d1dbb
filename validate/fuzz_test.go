package validate_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"seawall/validate"
	"seawall/validate/validatetest"
)

// A fuzzer has no keys, so whatever it makes of good tokens is either refused for a reason of the
// closed list, or still the same header and payload: then only the signature's form has changed.
func FuzzToken(f *testing.F) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	foreign := validatetest.NewIssuer(validatetest.Config{Foreign: true, URL: "https://other.invalid", Algorithm: validate.EdDSA})
	v := newValidator(f, issuer, func(c *validate.Config) { c.Issuers = append(c.Issuers, foreign.Trusted()) })
	known := map[string]bool{}
	for _, i := range []*validatetest.Issuer{issuer, foreign} {
		good := i.Token(validatetest.Claims{"aud": audience})
		f.Add(good)
		known[good[:strings.LastIndexByte(good, '.')]] = true
		for _, d := range i.Defects() {
			f.Add(i.Token(validatetest.Claims{"aud": audience}, d))
		}
	}
	f.Add("")
	f.Add("..")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, raw string) {
		token, err := v.Token(context.Background(), raw)
		var refusal *validate.Error
		switch {
		case err == nil && token == nil || err != nil && token != nil:
			t.Fatal("neither or both of token and error")
		case err == nil && !known[raw[:strings.LastIndexByte(raw, '.')]]:
			t.Fatalf("a token passes that nobody issued: %q", raw)
		case err != nil && (!errors.As(err, &refusal) || refusal.Code.Reason() == ""):
			t.Fatalf("an error without a reason: %v", err)
		}
	})
}
