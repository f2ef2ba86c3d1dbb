package validate_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"seawall/validate"
	"seawall/validate/validatetest"
)

func TestHandler(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v := newValidator(t, issuer)
	handler := v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := validate.FromContext(r.Context())
		if !ok {
			t.Error("there is no token in the context")
			return
		}
		w.Write([]byte("hello " + token.Subject()))
	}))
	good := issuer.Token(validatetest.Claims{"aud": audience})
	expired := issuer.Token(validatetest.Claims{"aud": audience}, validatetest.Expired)
	bare := `Bearer realm="` + audience + `"`
	invalid := func(code string) string { return bare + `, error="invalid_token", error_description="` + code + `"` }
	for name, c := range map[string]struct {
		headers   []string
		status    int
		challenge string
	}{
		"good":                {[]string{"Bearer " + good}, 200, ""},
		"scheme in lower":     {[]string{"bearer " + good}, 200, ""},
		"two spaces":          {[]string{"Bearer  " + good}, 200, ""},
		"none":                {nil, 401, bare},
		"basic":               {[]string{"Basic dXNlcjpwYXNz"}, 401, bare},
		"scheme alone":        {[]string{"Bearer"}, 401, bare},
		"scheme and space":    {[]string{"Bearer "}, 401, bare},
		"no scheme":           {[]string{good}, 401, bare},
		"expired":             {[]string{"Bearer " + expired}, 401, invalid("expired")},
		"garbage":             {[]string{"Bearer x"}, 401, invalid("malformed")},
		"dpop":                {[]string{"DPoP " + good}, 401, invalid("dpop_origin")},
		"two headers":         {[]string{"Bearer " + good, "Bearer " + good}, 400, bare + `, error="invalid_request", error_description="request"`},
		"two tokens":          {[]string{"Bearer " + good + " " + good}, 400, bare + `, error="invalid_request", error_description="request"`},
		"tokens with a comma": {[]string{"Bearer " + good + ",Bearer x"}, 400, bare + `, error="invalid_request", error_description="request"`},
	} {
		r := httptest.NewRequest("GET", "/?access_token="+good, nil)
		for _, h := range c.headers {
			r.Header.Add("Authorization", h)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != c.status || w.Header().Get("WWW-Authenticate") != c.challenge {
			t.Errorf("%s: %d %q, want %d %q", name, w.Code, w.Header().Get("WWW-Authenticate"), c.status, c.challenge)
		}
		if w.Code == 200 {
			if w.Body.String() != "hello someone" {
				t.Errorf("%s: %q", name, w.Body)
			}
			continue
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: the refusal may be cached", name)
		}
		all := w.Body.String() + w.Header().Get("WWW-Authenticate")
		for _, token := range []string{good, expired} {
			if strings.Contains(all, token[:24]) || strings.Contains(all, token[len(token)-24:]) {
				t.Errorf("%s: the answer holds a part of the token", name)
			}
		}
	}
	if _, ok := validate.FromContext(t.Context()); ok {
		t.Error("a context without a token has one")
	}
}

func TestHandlerWithoutKeys(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	down := roundTrip(func(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed })
	v := newValidator(t, issuer, func(c *validate.Config) {
		c.Issuers[0] = c.Issuers[0].WithKeys(validate.RemoteKeys(issuer.URL() + "/jwks").WithTransport(down))
	})
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+issuer.Token(validatetest.Claims{"aud": audience}))
	w := httptest.NewRecorder()
	v.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestRealmIsQuoted(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v := newValidator(t, issuer, func(c *validate.Config) { c.Audiences = []string{"a\"b\\c\r\nX: yü"} })
	w := httptest.NewRecorder()
	v.Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if got := w.Header().Get("WWW-Authenticate"); got != `Bearer realm="a_b_c__X: y_"` {
		t.Errorf("challenge %q", got)
	}
}
