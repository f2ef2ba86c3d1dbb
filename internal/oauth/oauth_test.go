package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func answer(err error) (*http.Response, map[string]string, *Error) {
	w := httptest.NewRecorder()
	e := WriteError(w, err)
	body := map[string]string{}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		panic(err)
	}
	return w.Result(), body, e
}

func TestWriteError(t *testing.T) {
	cases := []struct {
		name       string
		err        error
		status     int
		code       Code
		challenge  string
		retryAfter string
	}{
		{"request", Errorf(InvalidRequest, "x"), 400, "invalid_request", "", ""},
		{"client", Errorf(InvalidClient, "x"), 401, "invalid_client", `Basic realm="seawall", charset="UTF-8"`, ""},
		{"client, wrapped", fmt.Errorf("token endpoint: %w", Errorf(InvalidClient, "x")), 401, "invalid_client", `Basic realm="seawall", charset="UTF-8"`, ""},
		{"client, in the form", &Error{Code: InvalidClient, Status: 400, Description: "x"}, 400, "invalid_client", "", ""},
		{"own challenge", &Error{Code: InvalidClient, Challenge: `Bearer error="invalid_token"`, Description: "x"}, 401, "invalid_client", `Bearer error="invalid_token"`, ""},
		{"grant", Errorf(InvalidGrant, "x"), 400, "invalid_grant", "", ""},
		{"unauthorized", Errorf(UnauthorizedClient, "x"), 400, "unauthorized_client", "", ""},
		{"grant type", Errorf(UnsupportedGrantType, "x"), 400, "unsupported_grant_type", "", ""},
		{"scope", Errorf(InvalidScope, "x"), 400, "invalid_scope", "", ""},
		{"target", Errorf(InvalidTarget, "x"), 400, "invalid_target", "", ""},
		{"unavailable", Unavailable(1500*time.Millisecond, errors.New("the signer is away")), 503, "temporarily_unavailable", "", "2"},
		{"too many", TooManyRequests(time.Second), 429, "temporarily_unavailable", "", "1"},
		{"server", Errorf(ServerError, "x"), 500, "server_error", "", ""},
		{"method", &Error{Code: InvalidRequest, Status: 405, Description: "x"}, 405, "invalid_request", "", ""},
	}
	for _, c := range cases {
		r, body, e := answer(c.err)
		if r.StatusCode != c.status || body["error"] != string(c.code) {
			t.Errorf("%s: got %d %q, want %d %q", c.name, r.StatusCode, body["error"], c.status, c.code)
		}
		if got := r.Header.Get("WWW-Authenticate"); got != c.challenge {
			t.Errorf("%s: WWW-Authenticate is %q, want %q", c.name, got, c.challenge)
		}
		if got := r.Header.Get("Retry-After"); got != c.retryAfter {
			t.Errorf("%s: Retry-After is %q, want %q", c.name, got, c.retryAfter)
		}
		if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Pragma") != "no-cache" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: headers are %v", c.name, r.Header)
		}
		if e.Incident != "" || body["error_description"] == "" {
			t.Errorf("%s: a classified error has incident %q and description %q", c.name, e.Incident, body["error_description"])
		}
		if strings.Contains(fmt.Sprint(body), "signer is away") {
			t.Errorf("%s: the client learns the cause: %v", c.name, body)
		}
	}
}

func TestUnclassifiedErrorBecomesAnIncident(t *testing.T) {
	cause := errors.New("database: dial 10.0.0.7: refused")
	var nothing *Error
	for name, err := range map[string]error{"plain": cause, "nil": nil, "nil *Error": nothing} {
		r, body, e := answer(err)
		if r.StatusCode != 500 || body["error"] != "server_error" {
			t.Errorf("%s: got %d %v", name, r.StatusCode, body)
		}
		if len(e.Incident) < 20 || !strings.Contains(body["error_description"], e.Incident) {
			t.Errorf("%s: incident %q is not in %q", name, e.Incident, body["error_description"])
		}
		if e.Error() == "" || e.Unwrap() == nil {
			t.Errorf("%s: nothing to log in %v", name, e)
		}
		if strings.Contains(fmt.Sprint(body), "10.0.0.7") {
			t.Errorf("%s: the client learns the cause: %v", name, body)
		}
	}
	_, _, first := answer(cause)
	_, _, second := answer(cause)
	if first.Incident == second.Incident {
		t.Error("two incidents share a number")
	}
	if !errors.Is(first, cause) || !strings.Contains(first.Error(), "10.0.0.7") {
		t.Errorf("the log does not learn the cause from %v", first)
	}
}

func TestErrorValues(t *testing.T) {
	cause := errors.New("why")
	e := Errorf(InvalidScope, "The scope %s is unknown.", "x")
	because := e.Because(cause)
	if e.Unwrap() != nil || !errors.Is(because, cause) {
		t.Error("Because changed the original, or lost the cause")
	}
	if because.Error() != "invalid_scope: The scope x is unknown.: why" || (&Error{Code: InvalidScope}).Error() != "invalid_scope" {
		t.Errorf("Error says %q", because.Error())
	}
	if !errors.Is(fmt.Errorf("w: %w", because), &Error{Code: InvalidScope}) || errors.Is(because, &Error{Code: InvalidTarget}) {
		t.Error("errors.Is does not go by the code")
	}
}

func TestDescriptionKeepsToItsCharacters(t *testing.T) {
	_, body, _ := answer(&Error{Code: InvalidRequest, Description: "a \"b\" \\ \r\n é ok"})
	if got := body["error_description"]; got != "a 'b' ? ?? ? ok" {
		t.Errorf("got %q", got)
	}
}

func TestParseScope(t *testing.T) {
	cases := []struct {
		in   string
		want Scope
		ok   bool
	}{
		{"", nil, true},
		{"read", Scope{"read"}, true},
		{"read write", Scope{"read", "write"}, true},
		{"write read write", Scope{"write", "read"}, true},
		{"Read read", Scope{"Read", "read"}, true},
		{"https://a.example/x.y:z !#[]~", Scope{"https://a.example/x.y:z", "!#[]~"}, true},
		{" ", nil, false},
		{" read", nil, false},
		{"read ", nil, false},
		{"read  write", nil, false},
		{"read\twrite", nil, false},
		{"read\n", nil, false},
		{`re"ad`, nil, false},
		{`re\ad`, nil, false},
		{"réad", nil, false},
		{"\x7f", nil, false},
		{"\x00", nil, false},
		{strings.Repeat("a", MaxScopeLength+1), nil, false},
		{strings.Repeat("a ", MaxScopeTokens) + "a", nil, false},
	}
	for _, c := range cases {
		got, err := ParseScope(c.in)
		if !slices.Equal(got, c.want) || (err == nil) != c.ok {
			t.Errorf("%.40q: got %q, %v", c.in, got, err)
		}
		if err != nil && !errors.Is(err, &Error{Code: InvalidScope}) {
			t.Errorf("%.40q: the error is %v, want invalid_scope", c.in, err)
		}
	}
}

func TestScopeSets(t *testing.T) {
	asked, allowed := Scope{"read", "admin", "write"}, Scope{"write", "read"}
	if got := asked.Without(allowed); !slices.Equal(got, Scope{"admin"}) {
		t.Errorf("Without: %q", got)
	}
	if got := allowed.Without(asked); got != nil {
		t.Errorf("Without of a subset: %q", got)
	}
	if asked.String() != "read admin write" || Scope(nil).String() != "" || asked.Has("rea") {
		t.Error("String or Has is wrong")
	}
}

func TestCheckResource(t *testing.T) {
	for _, s := range []string{
		"https://api.acme.example",
		"https://api.acme.example/",
		"https://api.acme.example:8443/v1/orders",
		"https://api.acme.example/v1?tenant=a",
		"http://127.0.0.1:8080",
		"https://[2001:db8::1]/x",
		"urn:example:orders",
		"api://3f9c2b7d",
		"https://api.acme.example/a%20b",
	} {
		if err := CheckResource(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for s, why := range map[string]string{
		"":                              "empty",
		"api.acme.example":              "absolute",
		"/v1":                           "absolute",
		"//api.acme.example/v1":         "absolute",
		"https:":                        "absolute",
		"https://":                      "absolute",
		"https:///v1":                   "no host",
		"https://:443/":                 "no host",
		"https:api.acme.example":        "no host",
		"https://api.acme.example/#x":   "fragment",
		"https://api.acme.example#":     "fragment",
		"https://u:p@api.acme.example":  "user information",
		"https://u@api.acme.example":    "user information",
		"https://api.acme.example/ x":   "character",
		"https://api.acme.example/\n":   "character",
		"https://api.acme.example/é":    "character",
		`https://api.acme.example/"`:    "character",
		"https://api.acme.example/%zz":  "absolute",
		"https://api.acme.example:x/":   "absolute",
		"1https://api.acme.example":     "absolute",
		"https://a.example/" + longText: "longer",
	} {
		err := CheckResource(s)
		if !errors.Is(err, &Error{Code: InvalidTarget}) || !strings.Contains(err.Error(), why) {
			t.Errorf("%.60q: got %v, want invalid_target and %q", s, err, why)
		}
	}
}

var longText = strings.Repeat("a", MaxResourceLength)

func TestMetadataTellsOnlyWhatIsSet(t *testing.T) {
	b, err := json.Marshal(Metadata{
		Issuer: "https://id.example/acme", TokenEndpoint: "https://id.example/acme/token",
		ResponseTypesSupported: []string{}, GrantTypesSupported: []GrantType{ClientCredentials}, TokenAuthMethodsSupported: []AuthMethod{PrivateKeyJWT},
	})
	want := `{"issuer":"https://id.example/acme","token_endpoint":"https://id.example/acme/token","response_types_supported":[],` +
		`"grant_types_supported":["client_credentials"],"token_endpoint_auth_methods_supported":["private_key_jwt"]}`
	if err != nil || string(b) != want {
		t.Errorf("got %s, %v\nwant %s", b, err, want)
	}
}

func TestAuthMethods(t *testing.T) {
	for _, m := range AuthMethods() {
		if m.UsesSecret() != (m == ClientSecretBasic || m == ClientSecretPost) {
			t.Errorf("%s: UsesSecret is %v", m, m.UsesSecret())
		}
	}
}

func FuzzParseScope(f *testing.F) {
	for _, s := range []string{"", "read write", "read  write", "a a b", "\"", "é", " "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		scope, err := ParseScope(s)
		if err != nil {
			if !errors.Is(err, &Error{Code: InvalidScope}) || scope != nil {
				t.Fatalf("%q: %v, %v", s, scope, err)
			}
			return
		}
		again, err := ParseScope(scope.String())
		if err != nil || !slices.Equal(scope, again) {
			t.Fatalf("%q is %q, which reads as %q, %v", s, scope, again, err)
		}
		for i, token := range scope {
			if strings.Contains(token, " ") || slices.Index(scope, token) != i || !strings.Contains(" "+s+" ", " "+token+" ") {
				t.Fatalf("%q: token %q in %q", s, token, scope)
			}
		}
	})
}

func FuzzCheckResource(f *testing.F) {
	for _, s := range []string{"https://api.acme.example", "urn:x:y", "https://a#", "//x", "https://u@h", "a:", "https://[::1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := CheckResource(s)
		if err != nil {
			if !errors.Is(err, &Error{Code: InvalidTarget}) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if strings.ContainsAny(s, "# \r\n\t\"\\") || !strings.Contains(s, ":") || len(s) > MaxResourceLength {
			t.Fatalf("%q passes", s)
		}
	})
}

func FuzzWriteError(f *testing.F) {
	f.Add("invalid_request", "a \"quoted\" \\ word\r\nSet-Cookie: x")
	f.Fuzz(func(t *testing.T, code, description string) {
		r, body, _ := answer(&Error{Code: Code(code), Description: description})
		for _, c := range body["error_description"] {
			if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
				t.Fatalf("description %q has %q", body["error_description"], c)
			}
		}
		if len(r.Header) > 6 {
			t.Fatalf("headers %v", r.Header)
		}
	})
}
