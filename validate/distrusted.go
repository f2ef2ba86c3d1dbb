package validate

import (
	"hash/maphash"
	"math/bits"
	"slices"
	"sync/atomic"
)

// distrustKind says what a statement of the feed names.
type distrustKind uint8

const (
	distrustKey distrustKind = iota
	distrustToken
	distrustSession
	distrustSubject
	distrustClient
	distrustKinds // how many there are
)

// The limits of what a feed may make a validator remember.
const (
	maxDistrusted     = 2 << 20   // statements
	maxDistrustedText = 256 << 20 // bytes of their values
)

// distrusted holds what an issuer's feed says must not be believed: exact sets, because a false
// positive would lock somebody out. One goroutine changes it, any number read it without a lock. It
// is cut into shards, and a change puts a new shard in the place of an old one. In front stands a
// filter, so that what is not there, the usual case, costs one look at one word.
//
// The text and the rules of a shard hold no pointers, so a million of them are nothing to the
// garbage collector.
type distrusted struct {
	filter atomic.Pointer[filter]
	shards [shards]atomic.Pointer[shard]
	kinds  atomic.Uint32 // one bit a kind of which there is a rule
	seeds  [distrustKinds]maphash.Seed

	// Owned by the goroutine that changes it.
	counts [distrustKinds]int
	text   int // bytes of all values
}

const (
	shardBits = 10
	shards    = 1 << shardBits
)

// shard is a hash table that never changes.
type shard struct {
	slots []uint32 // index into rules, plus 1; 0 if the slot is free
	rules []distrustRule
	text  []byte // the values, one after the other
}

// filter is a Bloom filter of which each name takes up to three bits of one word. Bits are only ever
// added; when names have gone, a new filter is made.
type filter []atomic.Uint64

// newFilter makes room for n names: 16 bits or more each.
func newFilter(n int) *filter {
	f := make(filter, max(64, 1<<bits.Len(uint(n/4))))
	return &f
}

func (f filter) word(h uint64) *atomic.Uint64 { return &f[h>>32&uint64(len(f)-1)] }

func filterBits(h uint64) uint64 { return 1<<(h&63) | 1<<(h>>6&63) | 1<<(h>>12&63) }

func (f filter) mark(h uint64) { f.word(h).Or(filterBits(h)) }

func (f filter) may(h uint64) bool { return f.word(h).Load()&filterBits(h) == filterBits(h) }

// distrustRule is a live statement. Its value is text[at:at+size] of its shard.
type distrustRule struct {
	n      uint64
	before uint64 // Unix seconds; 0 for all tokens
	until  uint64 // Unix seconds
	at     uint32
	size   uint16
	kind   distrustKind
}

func newDistrusted() *distrusted {
	d := &distrusted{}
	for i := range d.seeds {
		d.seeds[i] = maphash.MakeSeed()
	}
	d.filter.Store(newFilter(0))
	return d
}

// has reports whether a rule names this value and concerns a token that was issued at iat.
func (d *distrusted) has(kind distrustKind, value string, iat instant) bool {
	if d.kinds.Load()&(1<<kind) == 0 || len(value) == 0 {
		return false
	}
	h := maphash.String(d.seeds[kind], value)
	if !d.filter.Load().may(h) {
		return false
	}
	s := d.shards[h%shards].Load()
	return s != nil && s.has(h, kind, value, iat)
}

// hasKey reports whether a key of this name is distrusted.
func (d *distrusted) hasKey(kid []byte) bool {
	return d.kinds.Load()&(1<<distrustKey) != 0 && d.has(distrustKey, string(kid), instant{})
}

func (s *shard) has(h uint64, kind distrustKind, value string, iat instant) bool {
	mask := len(s.slots) - 1
	for i := s.home(h); s.slots[i] != 0; i = (i + 1) & mask {
		r := &s.rules[s.slots[i]-1]
		if r.kind == kind && string(s.value(r)) == value && r.concerns(iat) {
			return true
		}
	}
	return false
}

// concerns reports whether a token that was issued at iat is among those that the rule means.
func (r *distrustRule) concerns(iat instant) bool {
	return r.before == 0 || iat.before(instant{sec: int64(r.before)})
}

func (s *shard) value(r *distrustRule) []byte { return s.text[r.at : int(r.at)+int(r.size)] }

// home is where the search for a hash begins. The bits below have chosen the shard.
func (s *shard) home(h uint64) int { return int(h>>shardBits) & (len(s.slots) - 1) }

// full reports whether there is no room for one more value of this size.
func (d *distrusted) full(size int) bool {
	return d.len() >= maxDistrusted || d.text+size > maxDistrustedText
}

// len is how many statements are live.
func (d *distrusted) len() (n int) {
	for _, c := range d.counts {
		n += c
	}
	return n
}

// add puts in one rule; at and size of r are filled in here.
func (d *distrusted) add(r distrustRule, value string) {
	h := maphash.String(d.seeds[r.kind], value)
	place := &d.shards[h%shards]
	have := place.Load()
	if have == nil {
		have = &shard{}
	}
	rules := make([]distrustRule, len(have.rules), len(have.rules)+1)
	text := make([]byte, len(have.text), len(have.text)+len(value))
	copy(rules, have.rules)
	copy(text, have.text)
	r.at, r.size = uint32(len(text)), uint16(len(value))
	place.Store(d.index(append(rules, r), append(text, value...)))
	d.count(r.kind, 1, len(value))
	if d.len() > 4*len(*d.filter.Load()) {
		d.refilter()
	}
	d.filter.Load().mark(h)
}

// index makes a shard of these rules, which it keeps.
func (d *distrusted) index(rules []distrustRule, text []byte) *shard {
	slots := 1 << bits.Len(uint(len(rules)+len(rules)/2)) // at most two thirds are taken
	s := &shard{slots: make([]uint32, slots), rules: rules, text: text}
	for n := range rules {
		i := s.home(d.hash(s, &rules[n]))
		for s.slots[i] != 0 {
			i = (i + 1) & (slots - 1)
		}
		s.slots[i] = uint32(n + 1)
	}
	return s
}

func (d *distrusted) hash(s *shard, r *distrustRule) uint64 {
	return maphash.Bytes(d.seeds[r.kind], s.value(r))
}

// refilter makes a filter of the names that are there now.
func (d *distrusted) refilter() {
	f := newFilter(2 * d.len())
	for i := range d.shards {
		if s := d.shards[i].Load(); s != nil {
			for n := range s.rules {
				f.mark(d.hash(s, &s.rules[n]))
			}
		}
	}
	d.filter.Store(f)
}

// remove takes the rule of statement n about this value out, if it is there.
func (d *distrusted) remove(kind distrustKind, value string, n uint64) {
	place := &d.shards[maphash.String(d.seeds[kind], value)%shards]
	d.keep(place, func(r *distrustRule) bool { return r.n != n })
}

// forget takes out all rules that end at or before a time (Unix seconds), and tells whether there
// were any.
func (d *distrusted) forget(end uint64) bool {
	before := d.len()
	for i := range d.shards {
		d.keep(&d.shards[i], func(r *distrustRule) bool { return r.until > end })
	}
	if d.len() == before {
		return false
	}
	d.refilter()
	return true
}

// keep leaves in a shard only the rules that it is told to.
func (d *distrusted) keep(place *atomic.Pointer[shard], wanted func(*distrustRule) bool) {
	have := place.Load()
	if have == nil {
		return
	}
	first := 0
	for first < len(have.rules) && wanted(&have.rules[first]) {
		first++
	}
	if first == len(have.rules) {
		return // the usual case, and it costs no memory
	}
	var rules, gone []distrustRule
	var text []byte
	for _, r := range have.rules {
		if !wanted(&r) {
			gone = append(gone, r)
			continue
		}
		value := have.value(&r)
		r.at = uint32(len(text))
		rules, text = append(rules, r), append(text, value...)
	}
	if len(rules) == 0 {
		place.Store(nil)
	} else {
		place.Store(d.index(slices.Clone(rules), slices.Clone(text)))
	}
	for i := range gone {
		d.count(gone[i].kind, -1, -int(gone[i].size))
	}
}

// count keeps the books, and the mark of each kind that has rules.
func (d *distrusted) count(kind distrustKind, rules, text int) {
	d.counts[kind] += rules
	d.text += text
	marks := d.kinds.Load() &^ (1 << kind)
	if d.counts[kind] > 0 {
		marks |= 1 << kind
	}
	d.kinds.Store(marks)
}

// distrustedBuilder collects the rules of a snapshot, which are many, before any shard is made.
type distrustedBuilder struct {
	into  *distrusted
	rules [shards][]distrustRule
	texts [shards][]byte
}

func (b *distrustedBuilder) add(r distrustRule, value string) {
	i := maphash.String(b.into.seeds[r.kind], value) % shards
	r.at, r.size = uint32(len(b.texts[i])), uint16(len(value))
	b.rules[i] = append(b.rules[i], r)
	b.texts[i] = append(b.texts[i], value...)
	b.into.count(r.kind, 1, len(value))
}

func (b *distrustedBuilder) build() *distrusted {
	for i, rules := range b.rules {
		if rules != nil {
			b.into.shards[i].Store(b.into.index(slices.Clone(rules), slices.Clone(b.texts[i])))
			b.rules[i], b.texts[i] = nil, nil
		}
	}
	b.into.refilter()
	return b.into
}

// check gives the reason why a token is not to be believed, or "". A key that is distrusted comes
// before everything else.
func (d *distrusted) check(t *Token) Code {
	switch {
	case d.kinds.Load() == 0:
		return ""
	case d.has(distrustKey, t.keyID, t.issued):
		return CodeKeyDistrusted
	case t.has&hasOddSID != 0 && d.kinds.Load()&(1<<distrustSession) != 0:
		return CodeClaims // it can't be told which session this is
	case d.has(distrustToken, t.id, t.issued),
		d.has(distrustSession, t.session, t.issued),
		d.has(distrustSubject, t.subject, t.issued),
		d.has(distrustClient, t.client, t.issued):
		return CodeRevoked
	}
	return ""
}
