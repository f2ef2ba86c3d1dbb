package guard

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ClientCertificate says where a proxy that ends TLS puts the certificate that the client proved possession of, for tokens
// that are bound to one (RFC 8705). The proxy must set the header for every request, or take the client's away.
type ClientCertificate struct {
	// Header is its name.
	Header string
	// Form is how it is written.
	Form CertificateForm
}

// CertificateForm is a way to write a certificate into a header.
type CertificateForm string

// The forms.
const (
	EscapedPEM CertificateForm = "pem" // PEM, percent-encoded: nginx $ssl_client_escaped_cert, Envoy's Cert=
	Base64DER  CertificateForm = "der" // base64 of DER, with or without the colons of RFC 9440: Caddy, Traefik
)

func (c *ClientCertificate) check() error {
	if spelled(c.Header) == "" || strings.ContainsAny(c.Header, "_. ") {
		return fmt.Errorf("client certificate: %q is no header's name", c.Header)
	}
	if c.Form != EscapedPEM && c.Form != Base64DER {
		return fmt.Errorf("client certificate: its form is %q: it may be pem or der", c.Form)
	}
	return nil
}

var errCertificate = errors.New("this is no certificate")

// read gives the TLS state of a connection whose client showed the certificate in h; nil if it showed none.
func (c *ClientCertificate) read(h http.Header) (*tls.ConnectionState, error) {
	values := h[http.CanonicalHeaderKey(c.Header)]
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return nil, nil
	}
	if len(values) > 1 {
		return nil, errCertificate
	}
	der, err := c.Form.decode(values[0])
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errCertificate
	}
	return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}, nil
}

func (f CertificateForm) decode(text string) ([]byte, error) {
	if f == Base64DER {
		text = strings.TrimSuffix(strings.TrimPrefix(text, ":"), ":")
		return base64.StdEncoding.Strict().DecodeString(text)
	}
	plain, err := url.PathUnescape(text)
	if err != nil {
		return nil, errCertificate
	}
	block, rest := pem.Decode([]byte(plain))
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errCertificate
	}
	return block.Bytes, nil
}
