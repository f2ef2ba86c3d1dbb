package validate

import (
	"encoding/binary"
	"slices"
)

// The values of the base64url alphabet (RFC 4648 §5), and a mark for every other character. The
// standard library's decoder skips line ends even in strict mode, which would give one token many
// spellings; this one refuses everything that is not canonical.
const wrongCharacter = 0xff

var base64Value = func() (t [256]byte) {
	for i := range t {
		t[i] = wrongCharacter
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		t[c] = byte(i)
	}
	return t
}()

// appendBase64 appends the bytes that src spells. It is strict: no padding, no white space, unused
// bits zero (RFC 4648 §3.5), so every byte string has exactly one spelling.
func appendBase64[T string | []byte](dst []byte, src T) ([]byte, bool) {
	const spare = 8 // the fast loop writes two bytes more than it keeps
	start, size := len(dst), len(src)/4*3
	dst = slices.Grow(dst, size+spare)[:start+size+spare]
	out := dst[start:]
	var wrong byte // collects the marks, so that the loops have no branch
	for len(src) >= 8 && len(out) >= 8 {
		a, b, c, d := base64Value[src[0]], base64Value[src[1]], base64Value[src[2]], base64Value[src[3]]
		e, f, g, h := base64Value[src[4]], base64Value[src[5]], base64Value[src[6]], base64Value[src[7]]
		wrong |= a | b | c | d | e | f | g | h
		binary.BigEndian.PutUint64(out, uint64(a)<<58|uint64(b)<<52|uint64(c)<<46|uint64(d)<<40|
			uint64(e)<<34|uint64(f)<<28|uint64(g)<<22|uint64(h)<<16)
		src, out = src[8:], out[6:]
	}
	if len(src) >= 4 {
		a, b, c, d := base64Value[src[0]], base64Value[src[1]], base64Value[src[2]], base64Value[src[3]]
		wrong |= a | b | c | d
		out[0], out[1], out[2] = a<<2|b>>4, b<<4|c>>2, c<<6|d
		src = src[4:]
	}
	wrong &= 0x80
	dst = dst[:start+size]
	switch len(src) {
	case 0:
	case 2:
		a, b := base64Value[src[0]], base64Value[src[1]]
		wrong |= (a|b)&0x80 | b&0x0f
		dst = append(dst, a<<2|b>>4)
	case 3:
		a, b, c := base64Value[src[0]], base64Value[src[1]], base64Value[src[2]]
		wrong |= (a|b|c)&0x80 | c&0x03
		dst = append(dst, a<<2|b>>4, b<<4|c>>2)
	default:
		return dst, false
	}
	return dst, wrong == 0
}
