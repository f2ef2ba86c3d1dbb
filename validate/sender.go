package validate

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"time"
)

// Thumbprint is the SHA-256 of a certificate (RFC 8705 §3.1) or of a public key (RFC 7638).
type Thumbprint [sha256.Size]byte

// CertificateThumbprint gives the thumbprint of a certificate (RFC 8705 §3.1) for a Presentation.
func CertificateThumbprint(c *x509.Certificate) *Thumbprint {
	t := Thumbprint(sha256.Sum256(c.Raw))
	return &t
}

// Presentation is how a client presented a token: everything that a sender binding is checked
// against. The zero Presentation is a plain bearer token.
type Presentation struct {
	// Scheme is that of the Authorization header, Bearer or DPoP in any case. "" means Bearer.
	Scheme string

	// Method and URL are those of the request, the URL absolute and as the client wrote it.
	Method string
	URL    string

	// Proofs are the values of all DPoP headers, in order (RFC 9449 §4.1).
	Proofs []string

	// Certificate is the thumbprint of the certificate that the client proved possession of in the
	// TLS handshake; nil if it showed none.
	Certificate *Thumbprint
}

// scheme gives whether the scheme is DPoP; ok is false for a scheme that is neither.
func (p *Presentation) scheme() (dpop, ok bool) {
	switch {
	case p.Scheme == "" || strings.EqualFold(p.Scheme, "Bearer"):
		return false, true
	case strings.EqualFold(p.Scheme, "DPoP"):
		return true, true
	}
	return false, false
}

// readConfirmation reads cnf (RFC 7800 §3.1). Every method that it names must be known, because the
// issuer meant each of them to be checked; a binding to nothing is a mistake and binds all the same.
func (c *claims) readConfirmation(s *scanner) {
	c.binding = CodeBindingForm
	if s.peek() != '{' {
		s.skip()
		return
	}
	known, sound := true, true
	for o := s.object(); s.member(&o); {
		switch string(o.name) {
		case "jkt":
			sound = s.thumbprint(&c.jkt) && sound
			c.has |= hasJKT
		case "x5t#S256":
			sound = s.thumbprint(&c.x5t) && sound
			c.has |= hasX5T
		default:
			known = false
			s.skip()
		}
	}
	switch {
	case !known:
		c.binding = CodeBindingUnknown
	case sound && c.has&(hasJKT|hasX5T) != 0:
		c.binding = ""
	}
}

// thumbprint reads a string that is the one base64url spelling of a SHA-256.
func (s *scanner) thumbprint(to *Thumbprint) bool {
	const chars = 43
	b := s.optionalText()
	if len(b) != chars {
		return false
	}
	var room [len(to) + 8]byte // appendBase64 wants some to spare
	sum, ok := appendBase64(room[:0], b)
	copy(to[:], sum)
	return ok
}

// sender holds a presentation to what a good token is bound to. It runs for every presentation of a
// token, also of one that was judged before.
func (v *Validator) sender(ctx context.Context, w *work, t *Token, raw string, p *Presentation, now time.Time) Code {
	dpop, ok := p.scheme()
	switch {
	case !ok:
		return CodeRequest
	case v.requireMTLS && t.has&hasX5T == 0:
		return CodeMTLSRequired
	case v.dpop.required && t.has&hasJKT == 0:
		return CodeDPoPRequired
	}
	if t.has&hasX5T != 0 {
		switch {
		case p.Certificate == nil:
			return CodeMTLSMissing
		case *p.Certificate != t.x5t:
			return CodeMTLSMismatch
		}
	}
	switch {
	case t.has&hasJKT == 0 && dpop:
		return CodeDPoPUnbound // RFC 9449 §7.1: there is no key that the proof could be by
	case t.has&hasJKT == 0:
		return ""
	case !dpop:
		return CodeDPoPScheme // RFC 9449 §7.2
	}
	return v.dpop.prove(ctx, v, t, w.textSum(raw), p, now)
}
