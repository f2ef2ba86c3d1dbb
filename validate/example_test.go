package validate_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"seawall/validate"
	"seawall/validate/validatetest"
)

// An API that lets good tokens in. In your program the issuer is
// validate.SeawallIssuer("https://id.example/acme", "swl1-…"), with the two values that
// "seawall api create" shows.
func ExampleValidator_Handler() {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{issuer.Trusted()},
		Audiences: []string{"https://api.example"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	api := v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := validate.FromContext(r.Context())
		fmt.Fprintf(w, "hello, %s", token.Subject())
	}))

	for _, token := range []string{
		issuer.Token(validatetest.Claims{"aud": "https://api.example", "sub": "ci"}),
		issuer.Token(validatetest.Claims{"aud": "https://api.example", "sub": "ci"}, validatetest.NoReceipt),
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		fmt.Println(w.Code)
		if challenge := w.Header().Get("WWW-Authenticate"); challenge != "" {
			fmt.Println(challenge)
		}
	}
	// Output:
	// 200
	// 401
	// Bearer realm="https://api.example", error="invalid_token", error_description="receipt_missing"
}

// Reason codes are sentinels for errors.Is.
func ExampleCode() {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}, Audiences: []string{"https://api.example"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	_, err = v.Token(context.Background(), issuer.Token(validatetest.Claims{"aud": "https://api.example"}, validatetest.Expired))
	fmt.Println(errors.Is(err, validate.CodeExpired), err)
	// Output: true validate: token refused: expired: the token has expired
}

// Stats says what became of the tokens, and which library said so. The same counts are there for
// Prometheus and expvar.
func ExampleValidator_Stats() {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}, Audiences: []string{"https://api.example"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	v.Token(context.Background(), issuer.Token(validatetest.Claims{"aud": "https://api.example"}))
	v.Token(context.Background(), issuer.Token(validatetest.Claims{"aud": "https://api.example"}, validatetest.NoReceipt))
	v.Token(context.Background(), issuer.Token(validatetest.Claims{"aud": "https://api.example"}, validatetest.ExpiredKey))
	for _, c := range v.Stats().Tokens {
		if c.Code == "" {
			c.Code = "accepted"
		}
		fmt.Println(c.Count, c.Code, "by key", c.KeyID)
	}
	// Output:
	// 1 accepted by key active
	// 1 receipt_missing by key active
	// 1 key_expired by key expired
}
