package secret

import (
	"encoding/binary"
	"slices"
)

// Payload is what a credential says to the house that made it, as bytes. Whatever must not be guessed or changed is
// random or has a MAC: the checksum proves nothing.
type Payload [72]byte

const (
	digitLen   = 11 // 62^11 > 2^64
	payloadLen = len(Payload{}) / 8 * digitLen
)

// Carry makes a credential of a kind that has a payload, which today is [RefreshToken] alone. It panics for any other,
// as [Generate] does.
func Carry(kind Kind, env Env, p Payload) Text {
	if kind != RefreshToken || !knownEnv(string(env)) {
		panic("secret: Carry called with a kind that has no payload, or an unknown environment")
	}
	b := appendPrefix(kind, env)
	for word := range slices.Chunk(p[:], 8) {
		var digits [digitLen]byte
		n := binary.BigEndian.Uint64(word)
		for i := digitLen - 1; i >= 0; i-- {
			digits[i] = alphabet[n%62]
			n /= 62
		}
		b = append(b, digits[:]...)
	}
	return New(string(appendChecksum(b)))
}

// Payload returns what a credential of this kind carries. The error is [ErrForm] or [ErrChecksum]. There is one spelling
// for each payload.
func (t Text) Payload(kind Kind) (p Payload, env Env, err error) {
	s := t.Reveal()
	got, env, err := Parse(s)
	if err == nil && (got != kind || kind != RefreshToken) {
		err = ErrForm
	}
	if err != nil {
		return Payload{}, "", err
	}
	_, body, _ := cutPrefix(s)
	for i := range len(p) / 8 {
		n, ok := word(body[i*digitLen : (i+1)*digitLen])
		if !ok {
			return Payload{}, "", ErrForm
		}
		binary.BigEndian.PutUint64(p[i*8:], n)
	}
	return p, env, nil
}

// word reads base62 digits, and refuses a number above 2^64-1.
func word(digits string) (n uint64, ok bool) {
	for _, c := range []byte(digits) {
		d := value(c)
		if n > (1<<64-1-d)/62 {
			return 0, false
		}
		n = n*62 + d
	}
	return n, true
}

// value is the place of a base62 character in the alphabet.
func value(c byte) uint64 {
	switch {
	case c <= '9':
		return uint64(c - '0')
	case c <= 'Z':
		return uint64(c-'A') + 10
	}
	return uint64(c-'a') + 36
}
