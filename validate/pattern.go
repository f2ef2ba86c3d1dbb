package validate

import (
	"bytes"
	"strings"
)

// tenantMark stands in an issuer's name where the token's tid belongs.
const tenantMark = "{tenantid}"

// pattern is an issuer's name as configured or as written into a key: exact text, or text with
// tenantMark in it.
type pattern struct {
	text  string
	parts []string // what stands around the marks; nil for exact text
}

func newPattern(text string) pattern {
	p := pattern{text: text}
	if strings.Contains(text, tenantMark) {
		p.parts = strings.Split(text, tenantMark)
	}
	return p
}

func (p pattern) exact() bool { return p.parts == nil }

// match reports whether iss is the pattern with every mark replaced by tid, which then must be a
// lower-case UUID. Nothing is ever compared by part, case or normal form.
func (p pattern) match(iss, tid []byte) bool {
	if p.exact() {
		return string(iss) == p.text
	}
	if !isUUID(tid) {
		return false
	}
	for i, part := range p.parts {
		if i > 0 {
			if !bytes.HasPrefix(iss, tid) {
				return false
			}
			iss = iss[len(tid):]
		}
		if len(iss) < len(part) || string(iss[:len(part)]) != part {
			return false
		}
		iss = iss[len(part):]
	}
	return len(iss) == 0
}

// fill gives the pattern with every mark replaced by tid.
func (p pattern) fill(tid []byte) []byte {
	if p.exact() {
		return []byte(p.text)
	}
	return []byte(strings.Join(p.parts, string(tid)))
}

// resembles reports whether iss would match for some other tid: then the tenant is wrong, not the issuer.
func (p pattern) resembles(iss []byte) bool {
	if p.exact() {
		return false
	}
	first, last := p.parts[0], p.parts[len(p.parts)-1]
	return len(iss) >= len(first)+len(last) &&
		string(iss[:len(first)]) == first && string(iss[len(iss)-len(last):]) == last
}

// isUUID reports whether b is a UUID in lower-case hexadecimal (RFC 9562 §4).
func isUUID(b []byte) bool {
	if len(b) != 36 {
		return false
	}
	for i, c := range b {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if c-'0' > 9 && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}
