package validate_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

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

// A route that needs more than a good token, behind a proxy, with tokens that are bound to a DPoP
// key. The client is told in the words of the RFCs what it lacks.
func ExampleRequireScope() {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	client := validatetest.NewProver(validate.ES256, issuer.Clock())
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{issuer.Trusted()},
		Audiences: []string{"https://api.example"},
		DPoP:      &validate.DPoP{Required: true, Origin: "https://api.example"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	stock := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "all of it") })
	mux := http.NewServeMux()
	mux.Handle("GET /stock", v.Handler(stock, validate.RequireScope("stock.read")))
	mux.Handle("DELETE /stock", v.Handler(stock, validate.RequireScope("stock.write")))

	token := issuer.Token(validatetest.Claims{"aud": "https://api.example", "scope": "stock.read", "cnf": client.Confirmation()})
	for _, method := range []string{"GET", "DELETE"} {
		r := httptest.NewRequest(method, "https://api.example/stock", nil)
		client.Sign(r, token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(method, w.Code)
		if challenge := w.Header().Get("WWW-Authenticate"); challenge != "" {
			fmt.Println(challenge)
		}
	}
	// Output:
	// GET 200
	// DELETE 403
	// DPoP realm="https://api.example", algs="ES256 RS256 PS256 EdDSA", error="insufficient_scope", error_description="insufficient_scope", scope="stock.write"
}

// A relying party that signs people in: the ID token must answer this login, and the user must have
// signed in within the hour.
func ExampleNewIDTokens() {
	issuer := validatetest.NewIssuer(validatetest.Config{Foreign: true})
	ids, err := validate.NewIDTokens("shop", validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ids.Close()
	raw := issuer.IDToken(validatetest.Claims{"aud": "shop", "nonce": "n-0S6_WzA2Mj", "sub": "alice"})
	for _, nonce := range []string{"n-0S6_WzA2Mj", "of another login"} {
		token, err := ids.Token(context.Background(), raw, validate.Login{Nonce: nonce}, validate.MaxAuthAge(time.Hour))
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(token.Subject())
	}
	// Output:
	// alice
	// validate: token refused: nonce: the token answers another request
}

// An API that hears of revocations. In your program the issuer is
// validate.SeawallIssuer("https://id.example/acme", "swl1-…"), and ID and Secret are those that
// "seawall api create" shows.
func ExampleIssuer_WithFeed() {
	server := validatetest.NewServer(validatetest.Config{})
	defer server.Close()
	changed := make(chan bool)
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{server.Trusted().WithFeed(server.Feed().Config(validate.ServeWithAlarm(time.Hour)))},
		Audiences: []string{"https://api.example"},
		Observe: func(e validate.Event) {
			if e.Kind == validate.FeedChanged {
				changed <- true
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	token := server.Token(validatetest.Claims{"aud": "https://api.example", "jti": "j-1"})
	_, err = v.Token(context.Background(), token)
	fmt.Println(err)

	n := server.Feed().Distrust("token", "j-1")
	<-changed
	_, err = v.Token(context.Background(), token)
	fmt.Println(err)

	server.Feed().Restore(n)
	<-changed
	_, err = v.Token(context.Background(), token)
	fmt.Println(err)
	// Output:
	// <nil>
	// validate: token refused: revoked: the token has been revoked
	// <nil>
}
