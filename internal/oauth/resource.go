package oauth

import (
	"net/url"
	"strings"
)

// MaxResourceLength is how many bytes a resource indicator may have.
const MaxResourceLength = 2048

// CheckResource applies RFC 8707 §2 to the value of a resource parameter: an absolute URI (RFC 3986 §4.3) without a
// fragment. We also refuse user information, because a credential has no place in a URL, and anything but printable
// ASCII. A query is allowed, as the RFC only advises against it. Resources are compared byte by byte, so nothing is
// normalised. The error is an invalid_target.
func CheckResource(s string) error {
	switch {
	case s == "":
		return Errorf(InvalidTarget, "The resource is empty.")
	case len(s) > MaxResourceLength:
		return Errorf(InvalidTarget, "The resource is longer than %d bytes.", MaxResourceLength)
	case strings.Contains(s, "#"):
		return Errorf(InvalidTarget, "The resource has a fragment, which RFC 8707, section 2, forbids.")
	case !PrintableURI(s):
		return Errorf(InvalidTarget, "The resource has a character that a URI cannot have.")
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" && u.Path == "" && u.Opaque == "" {
		return Errorf(InvalidTarget, "The resource is not an absolute URI such as https://api.example.com.")
	}
	if hierarchical := u.Scheme == "https" || u.Scheme == "http"; hierarchical && u.Hostname() == "" {
		return Errorf(InvalidTarget, "The resource names no host.")
	}
	if u.User != nil {
		return Errorf(InvalidTarget, "The resource has user information before the host; credentials do not belong in a URI.")
	}
	return nil
}

// PrintableURI reports whether s has only characters that RFC 3986 knows, escapes included.
func PrintableURI(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= 0x20 || c > 0x7e || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return false
		}
	}
	return true
}
