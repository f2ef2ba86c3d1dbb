package guard

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTarget is the longest request target that is read, path and query together.
const maxTarget = 8 << 10

// path is a path that has one reading: whatever proxy or framework decodes, merges, cuts or compares it, it means the same
// place.
type path struct {
	raw     string // as in the request, without the query
	decoded string // percent-decoded once
}

// Ambiguity says why a request target is refused.
type Ambiguity string

// Error is the reason, for people.
func (a Ambiguity) Error() string { return "the path is refused: " + string(a) }

// The ambiguities. Each was a way around some guard: what one program refuses or protects, the next reads as another path.
const (
	notAbsolute  Ambiguity = "it must begin with one slash"
	tooLong      Ambiguity = "it is longer than 8 KiB"
	emptySegment Ambiguity = "it has two slashes in a row, which some programs read as one"
	dotSegment   Ambiguity = "a segment ends in a dot, which some programs follow or leave out"
	spaceSegment Ambiguity = "a segment ends in a space, which some programs leave out"
	backslash    Ambiguity = "it has a backslash, which some programs read as a slash"
	parameter    Ambiguity = "it has a semicolon, after which some programs read no further"
	badEncoding  Ambiguity = "a percent sign is not followed by two hexadecimal digits"
	encodedMark  Ambiguity = "it encodes a character that separates or encodes (one of / \\ . ; ? # %), which some programs decode too early or twice"
	needless     Ambiguity = "it encodes a character that needs no encoding, which some programs do not decode"
	control      Ambiguity = "it has a control character"
	rawCharacter Ambiguity = "it has a character that must be percent-encoded (RFC 3986 section 3.3)"
	notUTF8      Ambiguity = "it does not decode to UTF-8"
	badQuery     Ambiguity = "the query has a character that must be percent-encoded (RFC 3986 section 3.4)"
	anotherRoute Ambiguity = "it differs only by the case of letters from a path of another route, and some programs ignore case"
)

// readTarget reads the request target (RFC 9112 §3.2.1, origin form), or says why it has more than one reading. The query
// is looked at for characters that do not belong into a request, and for nothing else.
func readTarget(target string) (path, Ambiguity) {
	if len(target) > maxTarget {
		return path{}, tooLong
	}
	raw, query, _ := strings.Cut(target, "?")
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return path{}, badQuery
		}
	}
	return readPath(raw)
}

// readPath is readTarget without a query.
func readPath(raw string) (path, Ambiguity) {
	if raw == "" || raw[0] != '/' {
		return path{}, notAbsolute
	}
	var decoded []byte // nil while nothing was decoded
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '/':
			if why := endSegment(raw[:i]); i > 0 && why != "" {
				return path{}, why
			}
		case c == '%':
			d, why := decode(raw[i:])
			if why != "" {
				return path{}, why
			}
			if decoded == nil {
				decoded = append(make([]byte, 0, len(raw)), raw[:i]...)
			}
			decoded = append(decoded, d)
			i += 2
			continue
		case !plain(c):
			return path{}, spoiled(c)
		}
		if decoded != nil {
			decoded = append(decoded, c)
		}
	}
	if why := endSegment(raw); why != "" && why != emptySegment { // a slash at the end is fine
		return path{}, why
	}
	if decoded == nil {
		return path{raw, raw}, ""
	}
	return settle(raw, string(decoded))
}

// settle checks what only the decoded path shows.
func settle(raw, decoded string) (path, Ambiguity) {
	if !utf8.ValidString(decoded) {
		return path{}, notUTF8
	}
	if strings.ContainsFunc(decoded, unicode.IsControl) {
		return path{}, control
	}
	return path{raw, decoded}, ""
}

// endSegment looks at the end of the segment that a slash, or the end of the path, follows.
func endSegment(before string) Ambiguity {
	switch {
	case strings.HasSuffix(before, "/"):
		return emptySegment
	case strings.HasSuffix(before, "."):
		return dotSegment
	case strings.HasSuffix(before, "%20"):
		return spaceSegment
	}
	return ""
}

// decode reads the percent-encoding (RFC 3986 §2.1) at the start of s.
func decode(s string) (byte, Ambiguity) {
	if len(s) < 3 {
		return 0, badEncoding
	}
	high, ok1 := hex(s[1])
	low, ok2 := hex(s[2])
	c := high<<4 | low
	switch {
	case !ok1 || !ok2:
		return 0, badEncoding
	case strings.IndexByte(`/\.;?#%`, c) >= 0:
		return 0, encodedMark
	case c < ' ' || c == 0x7f:
		return 0, control
	case unreserved(c):
		return 0, needless
	}
	return c, ""
}

// plain reports whether a byte may stand in a segment as it is (RFC 3986 §3.3), which excludes the semicolon here.
func plain(c byte) bool { return unreserved(c) || strings.IndexByte("!$&'()*+,=:@", c) >= 0 }

// unreserved are the characters whose encoded form means the same (RFC 3986 §2.3).
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// spoiled names what is wrong with a byte that may not stand in a path.
func spoiled(c byte) Ambiguity {
	switch {
	case c == ';':
		return parameter
	case c == '\\':
		return backslash
	case c < ' ' || c == 0x7f:
		return control
	}
	return rawCharacter
}

func hex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
