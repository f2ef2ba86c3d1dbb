package validate

import "strings"

// target is an HTTP URL without query and fragment, cut into what is compared apart.
type target struct{ scheme, host, port, path string }

// sameTarget compares a proof's htu with the URL of the request, whose query and fragment do not
// count (RFC 9449 §4.3). Scheme and host are compared without case, a missing port is the scheme's
// own and an empty path is "/" (RFC 3986 §6.2.2.1, §6.2.3). Nothing else is made equal: no dot
// segments and no percent-encodings, because servers do not agree on what those mean.
func sameTarget(htu, url string) bool {
	if strings.ContainsAny(htu, "?#") {
		return false // RFC 9449 §4.2: htu has neither
	}
	if end := strings.IndexAny(url, "?#"); end >= 0 {
		url = url[:end]
	}
	a, okA := splitTarget(htu)
	b, okB := splitTarget(url)
	return okA && okB && strings.EqualFold(a.scheme, b.scheme) && equalASCII(a.host, b.host) && a.port == b.port && a.path == b.path
}

func splitTarget(url string) (t target, ok bool) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return t, false
	}
	host := rest
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		host, t.path = rest[:slash], rest[slash:]
	}
	t.scheme = scheme
	switch {
	case equalASCII(scheme, "https"):
		t.port = "443"
	case equalASCII(scheme, "http"):
		t.port = "80"
	default:
		return t, false
	}
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		if host[colon+1:] != "" {
			t.port = host[colon+1:]
		}
		host = host[:colon]
	}
	if t.host = host; t.path == "" {
		t.path = "/"
	}
	return t, host != "" && !strings.ContainsAny(host, "@\\")
}

// equalASCII compares two texts without ASCII case.
func equalASCII(a, b string) bool {
	return len(a) == len(b) && equalFold([]byte(a), strings.ToLower(b)) && isASCII(b)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
