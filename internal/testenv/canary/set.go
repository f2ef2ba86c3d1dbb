package canary

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Set is what is searched for. It does not change and is safe for concurrent use.
//
// Every form of every secret gives seeds of eight bytes: those at the first four of each eight positions. A scan looks
// at every fourth position of the data, asks a bit table whether a seed may begin there, and only then compares; a match
// grows in both directions as far as data and form agree, and is a leak if it grows long enough. Of eight positions in a
// row one is both a multiple of four in the data and among the first four in the form, so fifteen bytes always hold a
// seed where the scan looks.
type Set struct {
	forms    []form
	seeds    map[uint64][]seed
	filter   []uint64 // two bits in one word for each seed
	shift    uint     // turns a hash into the number of a word
	carry    int      // bytes that a scan keeps from one piece of data to the next
	piece    int      // bytes that a scan reads at a time
	unpacked int64    // the most that one compressed stream may unpack to, in bytes
}

// seed is where eight bytes come from.
type seed struct {
	form   int // index into Set.forms
	offset int // in its text
}

const (
	seedSize     = 8
	step         = 4 // in the data
	pieceSize    = 256 << 10
	mostUnpacked = 1 << 30
)

// New prepares a search for secrets.
func New(secrets ...Secret) (*Set, error) {
	s := &Set{seeds: map[uint64][]seed{}, piece: pieceSize, unpacked: mostUnpacked}
	for i := range secrets {
		one := &secrets[i]
		if len(one.Value) < Shortest {
			return nil, fmt.Errorf("%s has %d bytes: something so short is found anywhere", one.Name, len(one.Value))
		}
		if one.Least < 0 || one.Least > len(one.Value) {
			return nil, fmt.Errorf("%s has %d bytes, and %d are to count", one.Name, len(one.Value), one.Least)
		}
		s.forms = append(s.forms, forms(one)...)
	}
	s.index()
	return s, nil
}

func (s *Set) index() {
	n := 0
	for i := range s.forms {
		f := &s.forms[i]
		f.text = slices.Clip(f.text)
		for at := 0; at+seedSize <= len(f.text); at++ {
			if at%seedSize >= step {
				continue
			}
			key := binary.LittleEndian.Uint64(f.text[at:])
			s.seeds[key] = append(s.seeds[key], seed{i, at})
			n++
		}
		s.carry = max(s.carry, f.least+seedSize)
	}
	// 16 bits or more for each seed: less than 2 % of all positions in random data are looked up for nothing.
	bits := uint(10)
	for 64<<bits < 16*n {
		bits++
	}
	s.filter, s.shift = make([]uint64, 1<<bits), 64-bits
	for key := range s.seeds {
		h := hash(key)
		s.filter[h>>s.shift] |= mask(h)
	}
}

// hash spreads the bits of a seed: the product with 2^64 divided by the golden ratio (Fibonacci hashing).
func hash(key uint64) uint64 { return (key ^ key>>29) * 0x9e3779b97f4a7c15 }

// mask picks two bits of a word by bits of the hash that do not number the word.
func mask(h uint64) uint64 { return 1<<(h>>20&63) | 1<<(h>>26&63) }

// hit is a leak in a piece of data.
type hit struct {
	form int
	at   int // where it begins in the piece
}

// find calls report for every leak that has a seed in b.
func (s *Set) find(b []byte, report func(hit)) {
	filter, shift := s.filter, s.shift
	for i := 0; i+seedSize <= len(b); i += step {
		key := binary.LittleEndian.Uint64(b[i:])
		h := hash(key)
		if m := mask(h); filter[h>>shift]&m != m {
			continue
		}
		for _, sd := range s.seeds[key] {
			if start, length := grow(b, i, s.forms[sd.form].text, sd.offset); length >= s.forms[sd.form].least {
				report(hit{sd.form, start})
			}
		}
	}
}

// grow returns the longest run around b[i] that equals the run around text[at].
func grow(b []byte, i int, text []byte, at int) (start, length int) {
	left := 0
	for left < i && left < at && b[i-left-1] == text[at-left-1] {
		left++
	}
	right := seedSize
	for i+right < len(b) && at+right < len(text) && b[i+right] == text[at+right] {
		right++
	}
	return i - left, left + right
}
