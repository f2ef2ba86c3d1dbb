package mint

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is a kind of token, written as its JWS typ.
type Kind string

// The kinds that are minted.
const (
	AccessToken Kind = "at+jwt" // RFC 9068 §2.1
	IDToken     Kind = "JWT"    // OIDC Core §2, which names no typ: this is the one of RFC 7519 §5.1
)

// Family is a group of kinds that share keys. A key belongs to one family, so a
// key for access tokens can't make an ID token.
type Family string

// The families.
const (
	FamilyAccess Family = "access" // signs access tokens
	FamilyID     Family = "id"     // signs ID tokens
)

// Families lists all there are.
func Families() []Family { return []Family{FamilyAccess, FamilyID} }

// Family returns the family whose keys sign k, or false for a kind that is not
// minted.
func (k Kind) Family() (Family, bool) {
	switch k {
	case AccessToken:
		return FamilyAccess, true
	case IDToken:
		return FamilyID, true
	}
	return "", false
}

// Kinds lists what the keys of f may sign.
func (f Family) Kinds() []string {
	switch f {
	case FamilyAccess:
		return []string{string(AccessToken)}
	case FamilyID:
		return []string{string(IDToken)}
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

	Issuer        string
	Subject       string
	Audience      []string // never empty; of an ID token, the client alone
	ClientID      string   // of an access token
	Scope         string   // space separated, may be empty
	Nonce         string   // of an ID token: what the client sent along (OIDC Core §2)
	SignIn                 // of the person, if there is one
	KeyThumbprint string   // jkt: the key that its sender must hold (RFC 9449 §6.1); "": whoever has it
	JTI           string
	IssuedAt      int64 // Unix seconds
	Expires       int64 // Unix seconds
	Custom        []Claim
}

// SignIn says what happened when a person signed in. It is zero where a client
// acts for itself.
type SignIn struct {
	AuthTime int64    // Unix seconds; 0: not said
	ACR      string   // what the sign-in proved
	AMR      []string // by which methods (RFC 8176)
	Session  string   // sid: the public name of the person's session
}

// Header appends the bare header (RFC 7515 §4) to b.
func (t *Token) Header(b []byte) []byte {
	b = appendJSON(append(b, `{"alg":`...), t.Alg)
	b = appendJSON(append(b, `,"typ":`...), string(t.Kind))
	b = appendJSON(append(b, `,"kid":`...), t.KID)
	return append(b, '}')
}

// Payload appends the claims (RFC 9068 §2.2, OIDC Core §2) to b. Custom claims
// must be sorted by name. Which kind of token may have which claims is for the
// vaults to say, each by itself: what is set is written.
func (t *Token) Payload(b []byte) []byte {
	b = appendJSON(append(b, `{"iss":`...), t.Issuer)
	b = appendJSON(append(b, `,"sub":`...), t.Subject)
	b = append(b, `,"aud":`...)
	if len(t.Audience) == 1 {
		b = appendJSON(b, t.Audience[0])
	} else {
		b = appendJSONList(b, t.Audience)
	}
	if t.ClientID != "" {
		b = appendJSON(append(b, `,"client_id":`...), t.ClientID)
	}
	if t.Scope != "" {
		b = appendJSON(append(b, `,"scope":`...), t.Scope)
	}
	if t.Nonce != "" {
		b = appendJSON(append(b, `,"nonce":`...), t.Nonce)
	}
	b = t.SignIn.claims(b)
	if t.KeyThumbprint != "" {
		b = append(appendJSON(append(b, `,"cnf":{"jkt":`...), t.KeyThumbprint), '}')
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

// IsZero reports whether s says nothing of any person.
func (s *SignIn) IsZero() bool {
	return s.AuthTime == 0 && s.ACR == "" && len(s.AMR) == 0 && s.Session == ""
}

func (s *SignIn) claims(b []byte) []byte {
	if s.AuthTime != 0 {
		b = strconv.AppendInt(append(b, `,"auth_time":`...), s.AuthTime, 10)
	}
	if s.ACR != "" {
		b = appendJSON(append(b, `,"acr":`...), s.ACR)
	}
	if len(s.AMR) > 0 {
		b = appendJSONList(append(b, `,"amr":`...), s.AMR)
	}
	if s.Session != "" {
		b = appendJSON(append(b, `,"sid":`...), s.Session)
	}
	return b
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
	t.ClientID = p.optional(`,"client_id":`)
	t.Scope = p.optional(`,"scope":`)
	t.Nonce = p.optional(`,"nonce":`)
	t.SignIn = p.signIn()
	if t.KeyThumbprint = p.optional(`,"cnf":{"jkt":`); t.KeyThumbprint != "" {
		p.lit(`}`)
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

// optional reads a string that is there if lit is, and then is not empty.
func (s *scanner) optional(lit string) (v string) {
	if s.try(lit) {
		if v = s.str(); v == "" {
			s.bad = true
		}
	}
	return v
}

func (s *scanner) signIn() (in SignIn) {
	if s.try(`,"auth_time":`) {
		if in.AuthTime = s.number(); in.AuthTime == 0 {
			s.bad = true
		}
	}
	in.ACR = s.optional(`,"acr":`)
	if s.try(`,"amr":`) {
		if in.AMR = s.list(); len(in.AMR) == 0 {
			s.bad = true
		}
	}
	in.Session = s.optional(`,"sid":`)
	return in
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
