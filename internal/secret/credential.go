package secret

import (
	"crypto/rand"
	"errors"
	"hash/crc32"
	"slices"
	"strings"
)

// A generated credential reads
//
//	sw<kind>_<env>_<body><checksum>
//
// for example swc_prod_ and 39 characters: kind is one letter, env is one of [Envs], body is 33 random base62
// characters (196 bits), and the checksum is the CRC-32 (IEEE) of everything before it as 6 base62 digits, most
// significant first. The alphabet is 0-9A-Za-z, in that order. Underscores make a double click select all of it, and
// the checksum lets a scanner discard look-alikes without asking the issuer.
//
// The body of a refresh token says something to the house that made it: it is 72 bytes, each eight of them as 11 base62
// digits, 99 characters in all.

// Kind says what a generated credential is for: the letter after "sw".
type Kind byte

// The kinds of credential that seawall generates today.
const (
	ClientSecret Kind = 'c' // authenticates a client at the token endpoint
	APISecret    Kind = 'a' // authenticates an API at the introspection endpoint
	EnrolLink    Kind = 'e' // lets a person register one passkey
	BreakGlass   Kind = 'b' // a code on paper, for when every other way in is shut
	GrantCode    Kind = 'g' // an authorization code (RFC 6749 §1.3.1)
	RefreshToken Kind = 'r' // RFC 6749 §1.5
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{ClientSecret, APISecret, EnrolLink, BreakGlass, GrantCode, RefreshToken}
}

// String names the kind in words.
func (k Kind) String() string {
	switch k {
	case ClientSecret:
		return "client secret"
	case APISecret:
		return "API secret"
	case EnrolLink:
		return "enrolment link"
	case BreakGlass:
		return "break-glass code"
	case GrantCode:
		return "authorization code"
	case RefreshToken:
		return "refresh token"
	}
	return "unknown credential"
}

// Env says which class of tenant a credential belongs to, so that a person who finds one knows how bad it is.
type Env string

// The environments, one for each class of tenant.
const (
	Production  Env = "prod"
	Staging     Env = "stg"
	Development Env = "dev"
	Support     Env = "sup"
)

// Envs lists every environment.
func Envs() []Env { return []Env{Production, Staging, Development, Support} }

const (
	alphabet    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	bodyLen     = 33 // log2(62^33) = 196.4 bits
	checksumLen = 6  // 62^6 > 2^32
	longestEnv  = 4
)

var (
	// ErrForm means that a text does not have the form of a credential of ours.
	ErrForm = errors.New("this is not a seawall credential")
	// ErrChecksum means that the form is right and the checksum is not: mistyped, cut, or made up.
	ErrChecksum = errors.New("the credential's checksum does not fit: a character is wrong or missing")
)

// Generate makes a new credential from the system's random source. It panics if kind or env is none of the constants
// of this package, which is a mistake in the calling code.
func Generate(kind Kind, env Env) Text {
	if !slices.Contains(Kinds(), kind) || !knownEnv(string(env)) {
		panic("secret: Generate called with an unknown kind or environment")
	}
	if kind == RefreshToken {
		var random Payload
		_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the process instead
		return Carry(kind, env, random)
	}
	return New(string(appendChecksum(appendRandom(appendPrefix(kind, env), bodyLen))))
}

func appendPrefix(kind Kind, env Env) []byte {
	b := make([]byte, 0, len("swx_")+longestEnv+1+payloadLen+checksumLen)
	b = append(b, 's', 'w', byte(kind), '_')
	b = append(b, env...)
	return append(b, '_')
}

// Parse checks form and checksum of a credential without looking anything up. The error is [ErrForm] or
// [ErrChecksum] and never holds any of the text.
func Parse(s string) (Kind, Env, error) {
	env, rest, ok := cutPrefix(s)
	if !ok {
		return 0, "", ErrForm
	}
	kind := Kind(s[2])
	if !slices.Contains(Kinds(), kind) || len(rest) != kind.bodyLen()+checksumLen || base62Run(rest) != len(rest) {
		return 0, "", ErrForm
	}
	if !checksumFits(s) {
		return 0, "", ErrChecksum
	}
	return kind, env, nil
}

// bodyLen is how many characters the body of a kind has.
func (k Kind) bodyLen() int {
	if k == RefreshToken {
		return payloadLen
	}
	return bodyLen
}

// cutPrefix splits s after "sw<letter>_<env>_".
func cutPrefix(s string) (env Env, rest string, ok bool) {
	if len(s) < 4 || s[0] != 's' || s[1] != 'w' || s[2] < 'a' || s[2] > 'z' || s[3] != '_' {
		return "", "", false
	}
	i := strings.IndexByte(s[4:min(len(s), 4+longestEnv+1)], '_')
	if i < 0 || !knownEnv(s[4:4+i]) {
		return "", "", false
	}
	return Env(s[4 : 4+i]), s[4+i+1:], true
}

func knownEnv(name string) bool {
	for _, e := range Envs() {
		if string(e) == name {
			return true
		}
	}
	return false
}

// checksumFits reports whether the last six characters of s are the checksum of the rest.
func checksumFits(s string) bool {
	head := s[:len(s)-checksumLen]
	return string(appendChecksum([]byte(head))) == s
}

func appendChecksum(b []byte) []byte {
	sum := crc32.ChecksumIEEE(b)
	var digits [checksumLen]byte
	for i := checksumLen - 1; i >= 0; i-- {
		digits[i] = alphabet[sum%62]
		sum /= 62
	}
	return append(b, digits[:]...)
}

// appendRandom appends n uniformly chosen base62 characters. Bytes of 248 and more are thrown away, because 256 is
// not a multiple of 62 and taking them would favour the first characters of the alphabet.
func appendRandom(b []byte, n int) []byte {
	var pool [64]byte
	for n > 0 {
		_, _ = rand.Read(pool[:]) // never fails: crypto/rand ends the process instead
		for _, x := range pool {
			if x < 248 && n > 0 {
				b = append(b, alphabet[x%62])
				n--
			}
		}
	}
	clear(pool[:])
	return b
}

// base62Run returns how many characters at the start of s are base62.
func base62Run(s string) int {
	for i := range len(s) {
		if !isBase62(s[i]) {
			return i
		}
	}
	return len(s)
}

func isBase62(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
