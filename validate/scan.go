package validate

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxDepth    = 32  // levels of a header or payload, the outermost object being the first
	maxLaxDepth = 512 // levels that a key document may have in members nobody reads
)

// scanner reads one JSON text (RFC 8259) in a single pass and stops at the first fault. It is
// stricter than most: valid UTF-8 only, no lone surrogate escapes, no member name twice in any
// object after unescaping, a bounded depth. Names are compared byte for byte. Numbers stay text.
// What it hands out are slices of its input, or of its own buffer for strings with escapes.
//
// A lax scanner looks only for where values begin and end, below the outermost object; it is used
// to cut a key document into keys, so that one bad key does not spoil the others.
type scanner struct {
	data  []byte
	pos   int
	depth int
	lax   bool
	fault bool     // sticky; nothing read since is to be trusted
	names [][]byte // member names of all open objects, the innermost last
	plain []byte   // unescaped text; only ever appended to while a text is read
	watch string   // a member name to count at any depth; "" for none
	seen  int      // how often it came up
}

// text is a string value: its unescaped bytes and, if it had no escape, where they begin in the input,
// which has less than 2 GiB.
type text struct {
	b     []byte
	off   int32 // -1 if the bytes are not a part of the input
	plain bool  // printable ASCII throughout
}

// reset starts a new text; buffers are kept.
func (s *scanner) reset(data []byte, lax bool) {
	clear(s.names)
	*s = scanner{data: data, lax: lax, names: s.names[:0], plain: s.plain[:0]}
}

// end reports whether the text was sound and nothing follows the value that was read.
func (s *scanner) end() bool {
	s.space()
	return !s.fault && s.pos == len(s.data)
}

// fail marks the text as faulty and moves past its end, so that every loop over it stops.
func (s *scanner) fail() {
	s.fault = true
	s.pos = len(s.data)
}

// peek gives the next byte, or 0 at the end; no JSON token begins with 0.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.data) && s.data[s.pos] <= ' ' {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

// members walks an object; elements walks an array. Whoever walks must read each value.
type members struct {
	name []byte // of the current member, unescaped
	base int    // first of this object's names on the scanner's stack
	seen uint64 // fingerprints of its names so far
	more bool
}

type elements struct{ more bool }

func (s *scanner) open(c byte) {
	s.space()
	limit := maxDepth
	if s.lax {
		limit = maxLaxDepth
	}
	if s.depth++; s.depth > limit || !s.take(c) {
		s.fail()
	}
}

// object begins an object: for o := s.object(); s.member(&o); { … }
func (s *scanner) object() members {
	s.open('{')
	return members{base: len(s.names)}
}

// member moves to the next member and leaves the scanner at its value. At the object's end it
// checks that no name came twice, and gives false.
func (s *scanner) member(o *members) bool {
	if o.name = s.usualName(o.more); o.name == nil && !s.anyName(o) {
		return false
	}
	o.more = true
	if s.watch != "" && string(o.name) == s.watch {
		s.seen++
	}
	if !s.lax || s.depth == 1 {
		s.remember(o)
	}
	return !s.fault
}

// usualName reads a name as nearly everybody writes it: without an escape, and without white space up
// to the value. It gives nil, and has read nothing, if the name is written otherwise or there is none.
func (s *scanner) usualName(more bool) []byte {
	data, from := s.data, s.pos
	if more {
		if from >= len(data) || data[from] != ',' {
			return nil
		}
		from++
	}
	if from >= len(data) || data[from] != '"' {
		return nil
	}
	from++
	end := ordinaryEnd(data, from)
	if end+2 >= len(data) || data[end] != '"' || data[end+1] != ':' || data[end+2] <= ' ' {
		return nil
	}
	s.pos = end + 2
	return data[from:end]
}

// anyName reads a name however it is written. It gives false at the object's end.
func (s *scanner) anyName(o *members) bool {
	s.space()
	if s.fault {
		return false
	}
	if s.take('}') {
		s.closeObject(o)
		return false
	}
	if o.more {
		if !s.take(',') {
			s.fail()
			return false
		}
		s.space()
	}
	o.name = s.text().b
	s.space()
	if s.fault || !s.take(':') {
		s.fail()
		return false
	}
	s.space()
	return true
}

// fewNames is how many members an object may have until its names are sorted to find a repetition.
const fewNames = 32

// remember puts a member's name on the stack. While there are few, a name is compared with those
// before it at once, and only if its fingerprint came up already. The factors are such that those of
// the claims that tokens usually have are hardly ever the same.
func (s *scanner) remember(o *members) {
	n := len(o.name)
	bit := uint64(1)
	if n > 0 {
		bit = 1 << ((uint(o.name[0])*4 + uint(o.name[n-1])*9 + uint(n)*17) % 64)
	}
	before := s.names[o.base:]
	if o.seen&bit != 0 && len(before) < fewNames {
		for _, name := range before {
			if string(name) == string(o.name) {
				s.fail()
				return
			}
		}
	}
	o.seen |= bit
	s.names = append(s.names, o.name)
}

func (s *scanner) closeObject(o *members) {
	names := s.names[o.base:]
	if len(names) > fewNames {
		slices.SortFunc(names, bytes.Compare)
		for i := 1; i < len(names); i++ {
			if bytes.Equal(names[i-1], names[i]) {
				s.fail()
				return
			}
		}
	}
	s.names = s.names[:o.base]
	s.depth--
}

// array begins an array: for a := s.array(); s.element(&a); { … }
func (s *scanner) array() elements {
	s.open('[')
	return elements{}
}

func (s *scanner) element(a *elements) bool {
	s.space()
	if s.fault {
		return false
	}
	if s.take(']') {
		s.depth--
		return false
	}
	if a.more && !s.take(',') {
		s.fail()
		return false
	}
	a.more = true
	s.space()
	return true
}

// skip reads a value of any kind and checks it.
func (s *scanner) skip() {
	switch s.peek() {
	case '{':
		for o := s.object(); s.member(&o); {
			s.skip()
		}
	case '[':
		for a := s.array(); s.element(&a); {
			s.skip()
		}
	case '"':
		s.text()
	case 't':
		s.word("true")
	case 'f':
		s.word("false")
	case 'n':
		s.word("null")
	default:
		s.number()
	}
}

// raw reads a value and gives its bytes.
func (s *scanner) raw() []byte {
	from := s.pos
	s.skip()
	if s.fault {
		return nil
	}
	return s.data[from:s.pos]
}

// skipSpan reads a value and gives where it is.
func (s *scanner) skipSpan() span {
	from := uint32(s.pos)
	s.skip()
	return span{from, uint32(s.pos)}
}

func (s *scanner) word(w string) {
	if end := s.pos + len(w); end <= len(s.data) && string(s.data[s.pos:end]) == w {
		s.pos = end
		return
	}
	s.fail()
}

// number reads a number and gives its text (RFC 8259 §6).
func (s *scanner) number() []byte {
	from := s.pos
	s.take('-')
	if !s.take('0') {
		s.digits()
	}
	if s.take('.') {
		s.digits()
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		s.digits()
	}
	if s.fault {
		return nil
	}
	return s.data[from:s.pos]
}

func (s *scanner) digits() {
	end := s.pos
	for end < len(s.data) && s.data[end]-'0' <= 9 {
		end++
	}
	if end == s.pos {
		s.fail()
		return
	}
	s.pos = end
}

// ordinary marks printable ASCII but for the quote and the backslash: what needs no second look.
var ordinary = func() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// text reads a string (RFC 8259 §7).
func (s *scanner) text() text {
	if s.peek() != '"' {
		s.fail()
		return text{}
	}
	from := s.pos + 1
	end := ordinaryEnd(s.data, from)
	if end < len(s.data) && s.data[end] == '"' {
		s.pos = end + 1
		return text{b: s.data[from:end], off: int32(from), plain: true}
	}
	s.pos = end
	return s.unusualText(from)
}

// unusualText reads on in a string at its first byte that is not ordinary.
func (s *scanner) unusualText(from int) text {
	for {
		switch c := s.peek(); {
		case c == '"':
			s.pos++
			return text{b: s.data[from : s.pos-1], off: int32(from)}
		case c == '\\':
			return s.escaped(from)
		case !s.unusual(c):
			s.fail()
			return text{}
		}
		s.pos = ordinaryEnd(s.data, s.pos)
	}
}

// ordinaryEnd gives where a run of ordinary bytes ends, reading eight at a time where it can. The mask
// has the high bit of each byte that is below 0x20, a quote, a backslash, or above 0x7e; borrows and
// carries can only spoil bytes after the first such one.
func ordinaryEnd(data []byte, i int) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(data); i += 8 {
		x := binary.LittleEndian.Uint64(data[i:])
		mask := (x - 0x20*ones) | (x ^ '"'*ones - ones) | (x ^ '\\'*ones - ones) | x | (x + ones)
		if mask &= high; mask != 0 {
			return i + bits.TrailingZeros64(mask)/8
		}
	}
	for ; i < len(data) && ordinary[data[i]]; i++ {
	}
	return i
}

// unusual steps over DEL or one well-formed UTF-8 sequence of two bytes or more.
func (s *scanner) unusual(first byte) bool {
	if first < 0x7f { // a control character, or the end
		return false
	}
	r, n := utf8.DecodeRune(s.data[s.pos:])
	s.pos += n
	return s.lax || r != utf8.RuneError || n != 1
}

// escaped reads on in a string whose first escape has been reached. The text goes into the
// scanner's own buffer.
func (s *scanner) escaped(from int) text {
	start := len(s.plain)
	for {
		s.plain = append(s.plain, s.data[from:s.pos]...)
		switch c := s.peek(); {
		case c == '"':
			s.pos++
			return text{b: s.plain[start:len(s.plain):len(s.plain)], off: -1}
		case c == '\\':
			s.pos++
			s.escape()
			from = s.pos
		default:
			from = s.pos
			if !s.unusual(c) {
				s.fail()
				return text{}
			}
		}
		s.pos = ordinaryEnd(s.data, s.pos)
	}
}

func (s *scanner) escape() {
	c := s.peek()
	s.pos++
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		s.plain = utf8.AppendRune(s.plain, s.unicode())
		return
	default:
		s.fail()
		return
	}
	s.plain = append(s.plain, c)
}

// unicode reads what follows \u, and the second half of a surrogate pair with it.
func (s *scanner) unicode() rune {
	r := s.hex4()
	if !utf16.IsSurrogate(r) {
		return r
	}
	at := s.pos
	if s.take('\\') && s.take('u') {
		if pair := utf16.DecodeRune(r, s.hex4()); pair != utf8.RuneError {
			return pair
		}
	}
	if s.lax {
		s.pos = min(at, len(s.data))
		return utf8.RuneError
	}
	s.fail()
	return 0
}

func (s *scanner) hex4() (r rune) {
	for range 4 {
		c := s.peek()
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			s.fail()
			return 0
		}
		r = r<<4 | rune(c)
		s.pos++
	}
	return r
}
