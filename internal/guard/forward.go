package guard

import (
	"net/http"

	"seawall/internal/secret"
)

// forward answers a proxy's question: 200 with the assertion, or a refusal that the proxy hands to the client.
func (g *Guard) forward(w http.ResponseWriter, r *http.Request) {
	w = &answer{w, g.config.Proxy}
	defer g.shut(w)
	about, no := g.question(r)
	if no != nil {
		no.write(w)
		return
	}
	g.admit(w, about, func(p *passed) {
		h := w.Header()
		g.identify(h, p)
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
	})
}

// question finds out who asks, and about what.
func (g *Guard) question(r *http.Request) (*http.Request, *refusal) {
	if !g.config.ProxySecret.IsZero() {
		given := r.Header[SecretHeader]
		if len(given) != 1 || !g.config.ProxySecret.Equal(secret.New(given[0])) {
			return nil, &noSecret
		}
	}
	method, target, no := g.config.Proxy.read(r)
	if no != nil {
		return nil, no
	}
	if forbidden(r.Header, g.protected, g.allowed...) {
		return nil, &badHeader
	}
	// No Host: a client may choose what is in it, so it can't say for which server a DPoP proof was made (RFC 9449 §4.3).
	about := &http.Request{Method: method, RequestURI: target, Header: r.Header}
	if g.config.ClientCertificate != nil {
		var err error
		if about.TLS, err = g.config.ClientCertificate.read(r.Header); err != nil {
			return nil, &badCertificate
		}
	}
	return about.WithContext(r.Context()), nil
}

// answer is an answer that the proxy can pass on. Of all refusals nginx's auth_request knows 401 and 403 only; it makes 500
// of the others, which is right for those that say that the guard itself is in trouble.
type answer struct {
	http.ResponseWriter
	to Proxy
}

// WriteHeader is for [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	if a.to == Nginx && status == http.StatusBadRequest {
		status = http.StatusForbidden
	}
	a.ResponseWriter.WriteHeader(status)
}
