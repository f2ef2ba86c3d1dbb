package validate

import (
	"context"
	"net/http"
	"strings"
)

// Request validates the token in the request's Authorization header (RFC 6750 §2.1). Tokens in a
// form or in a URL are never looked at. Two Authorization headers are refused with CodeRequest.
func (v *Validator) Request(r *http.Request) (*Token, error) {
	raw, code := bearer(r.Header)
	if code != "" {
		v.tell(Event{Kind: TokenRefused, Code: code})
		return nil, refuse(code)
	}
	return v.Token(r.Context(), raw)
}

// bearer finds the one token of a request.
func bearer(h http.Header) (string, Code) {
	values := h["Authorization"]
	switch len(values) {
	case 0:
		return "", CodeMissing
	case 1:
	default:
		return "", CodeRequest
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	switch {
	case strings.EqualFold(scheme, "DPoP"):
		return "", CodeBinding
	case !strings.EqualFold(scheme, "Bearer"):
		return "", CodeMissing
	}
	if rest = strings.TrimLeft(rest, " "); strings.ContainsAny(rest, " ,") {
		return "", CodeRequest
	}
	return rest, ""
}

// Handler lets requests with a good token through to next, which finds the token with FromContext.
// All others are answered with the challenge of RFC 6750 §3; the error_description is the reason
// code. When the issuer's keys can't be had the answer is 503, because then nobody knows.
func (v *Validator) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, err := v.Request(r)
		if err != nil {
			v.challenge(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tokenKey{}, t)))
	})
}

type tokenKey struct{}

// FromContext gives the token that Handler let through.
func FromContext(ctx context.Context) (*Token, bool) {
	t, ok := ctx.Value(tokenKey{}).(*Token)
	return t, ok
}

// challenge writes the refusal. Nothing that the client sent is repeated.
func (v *Validator) challenge(w http.ResponseWriter, err error) {
	code := CodeMalformed
	if e, ok := err.(*Error); ok {
		code = e.Code
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	status, word := http.StatusUnauthorized, "invalid_token"
	switch code {
	case CodeKeysUnavailable, CodeKeysStale:
		h.Set("Retry-After", "5")
		http.Error(w, "the keys to check tokens with are not available: try again", http.StatusServiceUnavailable)
		return
	case CodeMissing:
		word = "" // RFC 6750 §3.1: no error for a request that did not try
	case CodeRequest:
		status, word = http.StatusBadRequest, "invalid_request"
	}
	challenge := `Bearer realm="` + quoted(v.audiences[0]) + `"`
	if word != "" {
		challenge += `, error="` + word + `", error_description="` + string(code) + `"`
	}
	h.Set("WWW-Authenticate", challenge)
	http.Error(w, code.Reason(), status)
}

// quoted makes text safe inside a quoted-string (RFC 9110 §5.6.4).
func quoted(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '_'
		}
		return r
	}, text)
}
