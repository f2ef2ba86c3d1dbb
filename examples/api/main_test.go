package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"seawall/validate"
	"seawall/validate/validatetest"
)

func TestGreet(t *testing.T) {
	const audience = "https://api.acme.example"
	wall := validatetest.NewServer(validatetest.Config{})
	defer wall.Close()
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{validate.SeawallIssuer(wall.URL(), wall.Pin())}, Audiences: []string{audience}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	api := v.Handler(http.HandlerFunc(greet))
	for name, c := range map[string]struct {
		token  string
		status int
		body   string
	}{
		"good":     {wall.Token(validatetest.Claims{"aud": audience, "scope": "write read", "client_id": "ci"}), 200, "Hello, ci.\n"},
		"no scope": {wall.Token(validatetest.Claims{"aud": audience, "scope": "reader"}), 403, "this needs the scope read\n"},
		"forged":   {wall.Token(validatetest.Claims{"aud": audience, "scope": "read"}, validatetest.NoReceipt), 401, validate.CodeReceiptMissing.Reason() + "\n"},
		"nothing":  {"", 401, validate.CodeMissing.Reason() + "\n"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Code != c.status || w.Body.String() != c.body {
			t.Errorf("%s: %d %q, want %d %q", name, w.Code, w.Body, c.status, c.body)
		}
	}
}
