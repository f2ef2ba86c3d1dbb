package validate

import (
	"context"
	"net/http"
	"strings"
)

// Request validates the token in the request's Authorization header, Bearer (RFC 6750 §2.1) or DPoP
// (RFC 9449 §7.1), and holds the request to what the token is bound to. Tokens in a form or in a URL
// are never looked at. Two Authorization headers are refused with CodeRequest.
//
// The URL of the request is DPoP.Origin and its path as it came; without an Origin the scheme DPoP is
// refused.
// The client certificate is that of r.TLS: behind a proxy that ends TLS, give it to Presented, from a
// header that the proxy alone can set.
func (v *Validator) Request(r *http.Request) (*Token, error) {
	t, _, err := v.request(r)
	return t, err
}

// request gives the scheme too, so that a challenge can answer in it.
func (v *Validator) request(r *http.Request) (t *Token, scheme string, err error) {
	raw, p, code := v.presentation(r)
	if code != "" {
		v.tell(&Event{Kind: TokenRefused, Code: code}, new(counted))
		return nil, p.Scheme, refuse(code)
	}
	t, err = v.Presented(r.Context(), raw, p)
	return t, p.Scheme, err
}

// presentation finds the one token of a request and how it is presented.
func (v *Validator) presentation(r *http.Request) (raw string, p Presentation, code Code) {
	values := r.Header["Authorization"]
	switch len(values) {
	case 0:
		return "", p, CodeMissing
	case 1:
	default:
		return "", p, CodeRequest
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	p = Presentation{Scheme: scheme, Method: r.Method}
	dpop, ok := p.scheme()
	if !ok || scheme == "" {
		return "", Presentation{}, CodeMissing
	}
	if raw = strings.TrimLeft(raw, " "); strings.ContainsAny(raw, " ,") {
		return "", p, CodeRequest
	}
	if dpop {
		if v.dpop.origin == "" {
			return "", p, CodeDPoPOrigin
		}
		p.URL = v.dpop.url(r)
		p.Proofs = r.Header.Values("DPoP")
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		p.Certificate = CertificateThumbprint(r.TLS.PeerCertificates[0])
	}
	return raw, p, ""
}

// url gives the URL by which the client called, with the path as it came over the wire.
func (d *proving) url(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return d.origin + r.RequestURI
	}
	return d.origin + r.URL.EscapedPath()
}

// Handler lets requests with a good token that fulfils every requirement through to next, which finds
// the token with FromContext. All others are answered with a challenge: of RFC 6750 §3, of RFC 9449
// §7.1 where DPoP is spoken, and of RFC 9470 §3 where the user must sign in again. The
// error_description is the reason code. When the issuer's keys can't be had, or its distrust feed is
// too old, the answer is 503, because then nobody knows; a key that sends more proofs than can be remembered gets 429.
func (v *Validator) Handler(next http.Handler, needs ...Requirement) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, scheme, err := v.request(r)
		if v.dpop.nonces != nil && strings.EqualFold(scheme, "DPoP") {
			w.Header().Set("DPoP-Nonce", v.dpop.nonces.Nonce(v.now())) // RFC 9449 §8.2, §9
		}
		if err == nil {
			err = t.Meets(v.now(), needs...)
		}
		if err != nil {
			v.challenge(w, scheme, err, needs)
			return
		}
		next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), t)))
	})
}

type tokenKey struct{}

// NewContext gives a context in which FromContext finds the token, for doors other than Handler.
func NewContext(ctx context.Context, t *Token) context.Context {
	return context.WithValue(ctx, tokenKey{}, t)
}

// FromContext gives the token that Handler let through.
func FromContext(ctx context.Context) (*Token, bool) {
	t, ok := ctx.Value(tokenKey{}).(*Token)
	return t, ok
}

// challenge writes the refusal. Nothing that the client sent is repeated.
func (v *Validator) challenge(w http.ResponseWriter, scheme string, err error, needs []Requirement) {
	code := CodeMalformed
	if e, ok := err.(*Error); ok {
		code = e.Code
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	switch code {
	case CodeKeysUnavailable, CodeKeysStale:
		h.Set("Retry-After", "5")
		http.Error(w, "the keys to check tokens with are not available: try again", http.StatusServiceUnavailable)
		return
	case CodeDPoPFull:
		h.Set("Retry-After", "60")
		http.Error(w, code.Reason(), http.StatusTooManyRequests)
		return
	case CodeFeedUnavailable, CodeFeedStale:
		h.Set("Retry-After", "5")
		http.Error(w, "it is not known which tokens are still to be believed: try again", http.StatusServiceUnavailable)
		return
	}
	status, word := code.refusal()
	parameters := ""
	if word != "" {
		parameters = `, error="` + word + `", error_description="` + string(code) + `"`
	}
	switch code {
	case CodeScope, CodeACR, CodeAuthTime:
		parameters += requirementParameters(code, needs)
	}
	for _, challenge := range v.schemes(scheme, code) {
		h.Add("WWW-Authenticate", challenge+parameters)
	}
	http.Error(w, code.Reason(), status)
}

// schemes gives how each scheme in which the client may try again begins its challenge. What is
// wrong with a request is said in the scheme that it came in, or should have come in.
func (v *Validator) schemes(scheme string, code Code) []string {
	realm := ` realm="` + quoted(v.audiences[0]) + `"`
	bearer, dpop := "Bearer"+realm, "DPoP"+realm+`, algs="ES256 RS256 PS256 EdDSA"`
	switch {
	case code == CodeDPoPOrigin:
		return []string{bearer} // it is no use trying DPoP again
	case v.dpop.required || strings.EqualFold(scheme, "DPoP") || strings.HasPrefix(string(code), "dpop_"):
		return []string{dpop}
	case code == CodeMissing && v.speaksDPoP:
		return []string{dpop, bearer}
	}
	return []string{bearer}
}

// refusal gives the HTTP status and the error code of RFC 6750 §3.1, RFC 9449 §7.1 or RFC 9470 §3.
func (c Code) refusal() (status int, word string) {
	switch c {
	case CodeMissing:
		return http.StatusUnauthorized, "" // RFC 6750 §3.1: no error for a request that did not try
	case CodeRequest:
		return http.StatusBadRequest, "invalid_request"
	case CodeScope:
		return http.StatusForbidden, "insufficient_scope"
	case CodeACR, CodeAuthTime:
		return http.StatusUnauthorized, "insufficient_user_authentication"
	case CodeDPoPNonce:
		return http.StatusUnauthorized, "use_dpop_nonce"
	case CodeDPoPMissing, CodeDPoPMany, CodeDPoPForm, CodeDPoPAlg, CodeDPoPMethod, CodeDPoPURL, CodeDPoPToken, CodeDPoPTime, CodeDPoPKey,
		CodeDPoPThumbprint, CodeDPoPSignature, CodeDPoPReplay:
		return http.StatusUnauthorized, "invalid_dpop_proof"
	}
	return http.StatusUnauthorized, "invalid_token"
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
