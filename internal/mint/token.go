package mint

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is a kind of token, written as its JWS typ.
type Kind string

// AccessToken is an RFC 9068 access token.
const AccessToken Kind = "at+jwt"

// Family is a group of kinds that share keys. A key belongs to one family, so a
// key for access tokens can't make an ID token.
type Family string

// FamilyAccess signs access tokens.
const FamilyAccess Family = "access"

// Family returns the family whose keys sign k, or false for a kind that is not
// minted.
func (k Kind) Family() (Family, bool) {
	if k == AccessToken {
		return FamilyAccess, true
	}
	return "", false
}

// Kinds lists what the keys of f may sign.
func (f Family) Kinds() []string {
	if f == FamilyAccess {
		return []string{string(AccessToken)}
	}
	return nil
}

// standardClaims may never be set as custom claims: names registered for JWT
// that carry meaning to a validator or to a relying party (IANA "JSON Web Token
// Claims"; RFC 7519, 8693, 9068, 9449, OIDC Core) and seawall's own. Sorted.
var standardClaims = []string{
	"acr", "act", "active", "address", "amr", "at_hash", "at_use_nbr", "ath", "attest", "aud", "auth_time",
	"authorization_details", "azp", "birthdate", "c_hash", "client_id", "cnf", "email", "email_verified",
	"entitlements", "events", "exp", "family_name", "gender", "given_name", "groups", "htm", "htu", "iat", "iss",
	"jti", "jwk", "kid", "locale", "may_act", "middle_name", "name", "nbf", "nickname", "nonce", "oid",
	"phone_number", "phone_number_verified", "picture", "preferred_username", "profile", "rcpt", "roles",
	"s_hash", "scope", "scp", "sid", "status", "sub", "sub_id", "sub_jwk", "tenant", "tid", "toe", "token_type",
	"token_use", "txn", "typ", "updated_at", "uti", "vc", "ver", "version", "vot", "vp", "vtm", "website",
	"zoneinfo",
}

// StandardClaim reports whether name is reserved: compared without case, since
// some libraries read claims that way, and by way of upper case, since they take
// "ſub" and "\u212Aid" for "sub" and "kid" too.
func StandardClaim(name string) bool {
	if strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf || r >= 'A' && r <= 'Z' }) {
		name = strings.ToLower(strings.ToUpper(name))
	}
	_, found := slices.BinarySearch(standardClaims, name)
	return found
}

// Claim is a custom claim. Exactly one of the value fields is meant: List when
// it is not nil, else Text.
type Claim struct {
	Name string
	Text string
	List []string
}

// Token is what a token says: header and payload as values. Its encodings are
// canonical: one order, one spelling, no white space.
type Token struct {
	Alg, KID string
	Kind     Kind

	Issuer   string
	Subject  string
	Audience []string // never empty
	ClientID string
	Scope    string // space separated, may be empty
	JTI      string
	IssuedAt int64 // Unix seconds
	Expires  int64 // Unix seconds
	Custom   []Claim
}

// Header appends the bare header (RFC 7515 §4) to b.
func (t *Token) Header(b []byte) []byte {
	b = appendJSON(append(b, `{"alg":`...), t.Alg)
	b = appendJSON(append(b, `,"typ":`...), string(t.Kind))
	b = appendJSON(append(b, `,"kid":`...), t.KID)
	return append(b, '}')
}

// Payload appends the claims (RFC 9068 §2.2) to b. Custom claims must be sorted
// by name.
func (t *Token) Payload(b []byte) []byte {
	b = appendJSON(append(b, `{"iss":`...), t.Issuer)
	b = appendJSON(append(b, `,"sub":`...), t.Subject)
	b = append(b, `,"aud":`...)
	if len(t.Audience) == 1 {
		b = appendJSON(b, t.Audience[0])
	} else {
		b = appendJSONList(b, t.Audience)
	}
	b = appendJSON(append(b, `,"client_id":`...), t.ClientID)
	if t.Scope != "" {
		b = appendJSON(append(b, `,"scope":`...), t.Scope)
	}
	b = appendJSON(append(b, `,"jti":`...), t.JTI)
	b = strconv.AppendInt(append(b, `,"iat":`...), t.IssuedAt, 10)
	b = strconv.AppendInt(append(b, `,"exp":`...), t.Expires, 10)
	for i := range t.Custom {
		c := &t.Custom[i]
		b = append(appendJSON(append(b, ','), c.Name), ':')
		if c.List != nil {
			b = appendJSONList(b, c.List)
		} else {
			b = appendJSON(b, c.Text)
		}
	}
	return append(b, '}')
}

func appendJSONList(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, s)
	}
	return append(b, ']')
}

const hexDigits = "0123456789abcdef"

// appendJSON writes s as a JSON string: only what must be escaped is.
func appendJSON(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		if c < 0x20 {
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, '\\', c)
		}
		start = i + 1
	}
	return append(append(b, s[start:]...), '"')
}

// SortClaims puts custom claims into their canonical order.
func SortClaims(list []Claim) {
	slices.SortFunc(list, func(a, b Claim) int { return cmp.Compare(a.Name, b.Name) })
}

// ErrNotCanonical reports header or payload bytes that are not exactly what
// [Token.Header] and [Token.Payload] write.
var ErrNotCanonical = errors.New("not a canonical token")

// ReadToken reads a bare header and a payload. It accepts only the canonical
// encoding, so two readers can never see two meanings in the same bytes.
func ReadToken(bareHeader, payload []byte) (*Token, error) {
	t := new(Token)
	h := scanner{b: bareHeader}
	h.lit(`{"alg":`)
	t.Alg = h.str()
	h.lit(`,"typ":`)
	t.Kind = Kind(h.str())
	h.lit(`,"kid":`)
	t.KID = h.str()
	h.lit(`}`)
	if h.bad || len(h.b) != 0 {
		return nil, fmt.Errorf("%w: header", ErrNotCanonical)
	}
	p := scanner{b: payload}
	p.lit(`{"iss":`)
	t.Issuer = p.str()
	p.lit(`,"sub":`)
	t.Subject = p.str()
	p.lit(`,"aud":`)
	if p.peek('[') {
		t.Audience = p.list()
		if len(t.Audience) < 2 {
			p.bad = true
		}
	} else {
		t.Audience = []string{p.str()}
	}
	p.lit(`,"client_id":`)
	t.ClientID = p.str()
	if p.try(`,"scope":`) {
		if t.Scope = p.str(); t.Scope == "" {
			p.bad = true
		}
	}
	p.lit(`,"jti":`)
	t.JTI = p.str()
	p.lit(`,"iat":`)
	t.IssuedAt = p.number()
	p.lit(`,"exp":`)
	t.Expires = p.number()
	for !p.bad && p.try(`,`) {
		t.Custom = append(t.Custom, p.claim(t.Custom))
	}
	p.lit(`}`)
	if p.bad || len(p.b) != 0 {
		return nil, fmt.Errorf("%w: payload", ErrNotCanonical)
	}
	return t, nil
}

// scanner reads canonical JSON. bad sticks.
type scanner struct {
	b   []byte
	bad bool
}

func (s *scanner) try(lit string) bool {
	if len(s.b) < len(lit) || string(s.b[:len(lit)]) != lit {
		return false
	}
	s.b = s.b[len(lit):]
	return true
}

func (s *scanner) lit(lit string) {
	if !s.try(lit) {
		s.bad, s.b = true, nil
	}
}

func (s *scanner) peek(c byte) bool { return len(s.b) > 0 && s.b[0] == c }

func (s *scanner) str() string {
	if !s.peek('"') {
		s.bad, s.b = true, nil
		return ""
	}
	for i := 1; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			v := s.b[1:i]
			s.b = s.b[i+1:]
			if !utf8.Valid(v) {
				s.bad = true
			}
			return string(v)
		case c == '\\':
			return s.escaped(i)
		case c < 0x20:
			s.bad, s.b = true, nil
			return ""
		}
	}
	s.bad, s.b = true, nil
	return ""
}

// escaped finishes a string whose first escape is at i: it decodes, writes it
// again and insists on the same bytes.
func (s *scanner) escaped(i int) string {
	v := append([]byte(nil), s.b[1:i]...)
	for ; i < len(s.b); i++ {
		c := s.b[i]
		if c == '"' {
			text, raw := string(v), s.b[:i+1]
			s.b = s.b[i+1:]
			if !utf8.ValidString(text) || string(appendJSON(nil, text)) != string(raw) {
				s.bad = true
			}
			return text
		}
		if c == '\\' {
			if i++; i >= len(s.b) {
				break
			}
			if c = s.b[i]; c == 'u' {
				if i+4 >= len(s.b) {
					break
				}
				n, err := strconv.ParseUint(string(s.b[i+1:i+5]), 16, 8)
				if err != nil || n >= 0x20 {
					break
				}
				c, i = byte(n), i+4
			}
		}
		v = append(v, c)
	}
	s.bad, s.b = true, nil
	return ""
}

func (s *scanner) list() []string {
	list := []string{}
	s.lit(`[`)
	if s.try(`]`) {
		return list
	}
	for {
		list = append(list, s.str())
		if s.bad || !s.try(`,`) {
			break
		}
	}
	s.lit(`]`)
	return list
}

func (s *scanner) number() int64 {
	i := 0
	for i < len(s.b) && s.b[i] >= '0' && s.b[i] <= '9' {
		i++
	}
	v, err := strconv.ParseInt(string(s.b[:i]), 10, 64)
	if err != nil || (i > 1 && s.b[0] == '0') {
		s.bad, s.b = true, nil
		return 0
	}
	s.b = s.b[i:]
	return v
}

func (s *scanner) claim(before []Claim) (c Claim) {
	c.Name = s.str()
	s.lit(`:`)
	if s.peek('[') {
		c.List = s.list()
	} else {
		c.Text = s.str()
	}
	if StandardClaim(c.Name) || (len(before) > 0 && before[len(before)-1].Name >= c.Name) {
		s.bad = true
	}
	return c
}
