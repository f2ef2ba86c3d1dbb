package validatetest_test

import (
	"context"
	"errors"
	"testing"

	"seawall/validate"
	"seawall/validate/validatetest"
)

const audience = "https://api.example"

func newValidator(t *testing.T, i validate.Issuer, clock *validatetest.Clock) *validate.Validator {
	t.Helper()
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{i}, Audiences: []string{audience}, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func TestDefects(t *testing.T) {
	issuers := map[string]*validatetest.Issuer{
		"seawall ES256": validatetest.NewIssuer(validatetest.Config{}),
		"seawall EdDSA": validatetest.NewIssuer(validatetest.Config{Algorithm: validate.EdDSA}),
		"seawall RS256": validatetest.NewIssuer(validatetest.Config{Algorithm: validate.RS256}),
		"seawall PS256": validatetest.NewIssuer(validatetest.Config{Algorithm: validate.PS256}),
		"foreign ES256": validatetest.NewIssuer(validatetest.Config{Foreign: true}),
	}
	for name, issuer := range issuers {
		t.Run(name, func(t *testing.T) {
			v := newValidator(t, issuer.Trusted(), issuer.Clock())
			token, err := v.Token(context.Background(), issuer.Token(validatetest.Claims{"aud": audience}))
			if err != nil {
				t.Fatal(err)
			}
			if token.Subject() != "someone" || token.Issuer() != issuer.URL() {
				t.Errorf("got %v", token)
			}
			for _, d := range issuer.Defects() {
				token, err := v.Token(context.Background(), issuer.Token(validatetest.Claims{"aud": audience}, d))
				if token != nil || !errors.Is(err, d.Code) {
					t.Errorf("%s: got %v, %v; want %s", d.Name, token, err, d.Code)
				}
			}
		})
	}
}

func TestResignedTokenStaysGood(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v := newValidator(t, issuer.Trusted(), issuer.Clock())
	if _, err := v.Token(context.Background(), issuer.Token(validatetest.Claims{"aud": audience}, validatetest.Resigned)); err != nil {
		t.Error(err)
	}
}

func TestServer(t *testing.T) {
	server := validatetest.NewServer(validatetest.Config{})
	defer server.Close()
	v := newValidator(t, server.Trusted(), server.Clock())
	if err := v.Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Token(context.Background(), server.Token(validatetest.Claims{"aud": audience})); err != nil {
		t.Error(err)
	}
}

func TestClaimLeavesOut(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v := newValidator(t, issuer.Trusted(), issuer.Clock())
	d := validatetest.Claim("exp", nil, validate.CodeClaims)
	if _, err := v.Token(context.Background(), issuer.Token(validatetest.Claims{"aud": audience}, d)); !errors.Is(err, d.Code) {
		t.Errorf("got %v, want %s", err, d.Code)
	}
}
