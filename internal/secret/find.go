package secret

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// Finding is one credential found where none should be. It says where, never what.
type Finding struct {
	What       string // "client secret", "JWT", "private key", "Bearer token" …
	Start, End int    // the bytes from Start up to End
	Certain    bool   // the checksum of one of our own credentials fits; everything else is judged by its form
}

// Find looks for credentials in b: those of [Generate] (also cut or mistyped ones, by form), JWTs and their
// header.payload pairs with or without a signature, PEM private keys, and the values of Basic, Bearer and DPoP
// authorization. Findings come in order and do not overlap. Time is linear in len(b).
//
// It is a tripwire behind the types of this package, not a filter to lean on: an encoded or split credential passes.
func Find(b []byte) []Finding { return find(string(b)) }

// Redact returns b with every finding replaced by [Redacted], and the findings, whose positions are those in b. Without
// findings it returns b itself.
func Redact(b []byte) ([]byte, []Finding) {
	s := string(b)
	found := find(s)
	if len(found) == 0 {
		return b, nil
	}
	return []byte(replace(s, found)), found
}

func replace(s string, found []Finding) string {
	var out strings.Builder
	at := 0
	for _, f := range found {
		out.WriteString(s[at:f.Start])
		out.WriteString(Redacted)
		at = f.End
	}
	out.WriteString(s[at:])
	return out.String()
}

func find(s string) []Finding {
	var found []Finding
	runEnd := 0 // end of the base64url run that the cursor is in, so that one run is measured once
	for i := 0; i < len(s); {
		f := Finding{}
		switch s[i] {
		case 's':
			f = findGenerated(s, i)
		case 'e':
			if i >= runEnd {
				runEnd = i + base64urlRun(s[i:])
			}
			f = findJWT(s, i, runEnd)
		case '-':
			f = findPEM(s, i)
		case 'b', 'B', 'd', 'D':
			f = findAuthorization(s, i)
		}
		if f.End == 0 {
			i++
			continue
		}
		found = append(found, f)
		i = f.End
	}
	return found
}

// shortestCut is how much of a generated credential must follow the prefix for it to count. Less is harmless: 31
// characters remain unknown.
const shortestCut = 8

func findGenerated(s string, i int) Finding {
	_, rest, ok := cutPrefix(s[i:])
	if !ok {
		return Finding{}
	}
	run := base62Run(rest)
	if run < shortestCut {
		return Finding{}
	}
	start := len(s) - len(rest)
	kind := Kind(s[i+2])
	length := kind.bodyLen() + checksumLen
	certain := run >= length && checksumFits(s[i:start+length])
	return Finding{What: kind.String(), Start: i, End: start + run, Certain: certain}
}

// findJWT looks for a compact JWS or JWE, or just its first two parts, which are as good as the whole: see the note
// on malleable signatures in docs/formats.md. A header nearly always starts with `{"`, which is eyJ in base64url; one
// that was written with white space is decoded and recognised by its "alg".
func findJWT(s string, i, runEnd int) Finding {
	header := s[i:runEnd]
	if len(header) < 10 || !followedBySegment(s, runEnd) {
		return Finding{}
	}
	atRunStart := i == 0 || !isBase64url(s[i-1])
	if !strings.HasPrefix(header, "eyJ") && (!atRunStart || !looksLikeHeader(header)) {
		return Finding{}
	}
	end := runEnd
	for range 4 { // a JWE has five parts
		if end >= len(s) || s[end] != '.' {
			break
		}
		end += 1 + base64urlRun(s[end+1:])
	}
	return Finding{What: "JWT", Start: i, End: end}
}

// followedBySegment reports whether a dot and at least four characters of base64url follow, or, for a JWE with a
// direct key, two dots and the same.
func followedBySegment(s string, dot int) bool {
	rest := s[dot:min(len(s), dot+6)]
	if len(rest) < 5 || rest[0] != '.' {
		return false
	}
	return base64urlRun(rest[1:]) >= 4 || rest[1] == '.' && base64urlRun(rest[2:]) >= 4
}

func looksLikeHeader(segment string) bool {
	segment = segment[:min(len(segment), 4096)&^3] // whole groups of four decode whatever follows
	header, err := base64.RawURLEncoding.DecodeString(segment)
	return err == nil && header[0] == '{' && bytes.Contains(header, []byte(`"alg"`))
}

func findPEM(s string, i int) Finding {
	label, ok := strings.CutPrefix(s[i:min(len(s), i+80)], "-----BEGIN ")
	if !ok {
		return Finding{}
	}
	label, _, ok = strings.Cut(label, "-----")
	if !ok || !strings.Contains(label, "PRIVATE KEY") {
		return Finding{}
	}
	end := len(s) // no end line: the text was cut, and everything after the first line is key
	if j := strings.Index(s[i+11:], "-----END "); j >= 0 {
		end = i + 11 + j + len("-----END ")
		if k := strings.Index(s[end:], "-----"); k >= 0 {
			end += k + len("-----")
		}
	}
	return Finding{What: "private key", Start: i, End: end}
}

func findAuthorization(s string, i int) Finding {
	scheme := ""
	for _, name := range []string{"Basic", "Bearer", "DPoP"} {
		if len(s)-i > len(name) && strings.EqualFold(s[i:i+len(name)], name) {
			scheme = name
		}
	}
	start := i + len(scheme)
	for scheme != "" && start < len(s) && s[start] == ' ' {
		start++
	}
	if scheme == "" || start == i+len(scheme) {
		return Finding{}
	}
	run := token68Run(s[start:])
	value, what := s[start:start+run], scheme+" token"
	credential := run >= 16 && strings.ContainsAny(value, "0123456789")
	if scheme == "Basic" {
		credential, what = decodesToPair(value), "Basic credentials"
	}
	if run == 0 || !credential && !afterAuthorization(s[:i]) {
		return Finding{}
	}
	return Finding{What: what, Start: start, End: start + run}
}

// decodesToPair reports whether s is the base64 of something with a colon, as RFC 7617 credentials are.
func decodesToPair(s string) bool {
	pair, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	return err == nil && bytes.IndexByte(pair, ':') >= 0
}

// afterAuthorization reports whether before ends in the header's name and the punctuation that printers put behind
// it: there the credential counts whatever it looks like.
func afterAuthorization(before string) bool {
	const name, punctuation = "authorization", " :=[\"'\\"
	for n := 0; n < 8 && before != "" && strings.IndexByte(punctuation, before[len(before)-1]) >= 0; n++ {
		before = before[:len(before)-1]
	}
	return len(before) >= len(name) && strings.EqualFold(before[len(before)-len(name):], name)
}

func base64urlRun(s string) int {
	for i := range len(s) {
		if !isBase64url(s[i]) {
			return i
		}
	}
	return len(s)
}

func isBase64url(c byte) bool { return isBase62(c) || c == '-' || c == '_' }

// token68Run measures the token68 of RFC 9110 §11.2 at the start of s.
func token68Run(s string) int {
	i := 0
	for i < len(s) && (isBase64url(s[i]) || strings.IndexByte("._~+/", s[i]) >= 0) {
		i++
	}
	for i > 0 && i < len(s) && s[i] == '=' {
		i++
	}
	return i
}
