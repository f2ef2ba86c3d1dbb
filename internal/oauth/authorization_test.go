package oauth

import (
	"net/url"
	"slices"
	"testing"

	"seawall/internal/secret"
)

func TestAuthorizationResponse(t *testing.T) {
	for _, c := range []struct {
		name, to, want string
		a              AuthorizationResponse
	}{
		{"a code", "https://app.example/cb", "https://app.example/cb?code=c+%26&state=s%26iss%3Dx&iss=https%3A%2F%2Fid.example%2Facme",
			AuthorizationResponse{Code: secret.New("c &"), State: "s&iss=x", Issuer: "https://id.example/acme"}},
		{"no state", "https://app.example/cb?a=b", "https://app.example/cb?a=b&code=c&iss=https%3A%2F%2Fid.example",
			AuthorizationResponse{Code: secret.New("c"), Issuer: "https://id.example"}},
		{"an error and never a code", "com.example:/cb", "com.example:/cb?error=access_denied&error_description=No+%27x%27&state=s&iss=https%3A%2F%2Fid.example",
			AuthorizationResponse{Code: secret.New("c"), Err: Errorf(AccessDenied, `No "x"`), State: "s", Issuer: "https://id.example"}},
	} {
		if got := c.a.URL(c.to); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// FuzzResponse: whatever state a stranger sends comes back as it was, and changes nothing else of the answer.
func FuzzResponse(f *testing.F) {
	for _, state := range []string{"", "s", "a&code=evil", "#fragment", "%0d%0aSet-Cookie: x", "\r\n", "é\x00", "?iss=evil"} {
		f.Add(state)
	}
	f.Fuzz(func(t *testing.T, state string) {
		text := AuthorizationResponse{Code: secret.New("c"), State: state, Issuer: "https://id.example"}.URL("https://app.example/cb?x=y")
		u, err := url.Parse(text)
		if err != nil || u.Host != "app.example" || u.Path != "/cb" || u.Fragment != "" || !PrintableURI(text) {
			t.Fatalf("%q leads to %q", state, text)
		}
		q, err := url.ParseQuery(u.RawQuery)
		want := url.Values{"x": {"y"}, "code": {"c"}, "iss": {"https://id.example"}}
		if state != "" {
			want.Set("state", state)
		}
		for name := range want {
			if err != nil || !slices.Equal(q[name], want[name]) || len(q) != len(want) {
				t.Errorf("%q: %s is %q", state, name, q[name])
			}
		}
	})
}
