package grant

import (
	"encoding/base64"
	"net/http"
	"strings"

	"seawall/internal/oauth"
	"seawall/internal/secret"
)

// Basic holds HTTP Basic credentials of a request, decoded.
type Basic struct {
	ID     string
	Secret secret.Text
}

var (
	errBasicTwice = oauth.Errorf(oauth.InvalidRequest, "There is more than one Authorization header.")
	errScheme     = oauth.Errorf(oauth.InvalidClient, "Authenticate with HTTP Basic, or with parameters in the body.")
	errBasic      = oauth.Errorf(oauth.InvalidClient, "The Authorization header is malformed: it must be Basic and the base64 of the percent-encoded id, a colon and the percent-encoded secret (RFC 6749, section 2.3.1).")
)

// maxBasic bounds what is decoded. Our longest id and secret need about 150 characters.
const maxBasic = 4096

// ReadBasic reads the Authorization header, nil if there is none: RFC 7617, and inside it the percent-encoding of
// RFC 6749 §2.3.1. The error is an *[oauth.Error].
func ReadBasic(h http.Header) (*Basic, error) {
	values := h["Authorization"]
	switch {
	case len(values) == 0:
		return nil, nil
	case len(values) > 1:
		return nil, errBasicTwice
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return nil, errScheme
	}
	text = strings.TrimLeft(text, " ")
	if len(text) > maxBasic {
		return nil, errBasic
	}
	var buf [192]byte
	pair, err := base64.StdEncoding.Strict().AppendDecode(buf[:0], []byte(text))
	if err != nil {
		return nil, errBasic
	}
	rawID, rawSecret, ok := strings.Cut(string(pair), ":")
	id, ok2 := unescape(rawID)
	password, ok3 := unescape(rawSecret)
	if !ok || !ok2 || !ok3 || id == "" || password == "" {
		return nil, errBasic
	}
	return &Basic{ID: id, Secret: secret.New(password)}, nil
}
