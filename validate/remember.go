package validate

import (
	"context"
	"crypto/sha256"
	"hash/maphash"
	"sync/atomic"
	"time"
)

const (
	defaultRemembered = 8192
	maxRemembered     = 1 << 22
	maxRememberedText = 4096 // bytes of a token that is worth remembering; longer ones are rare
	ways              = 4    // slots of a bucket
)

// NoMemory, as Config.Remember, means that every token is checked from the beginning.
const NoMemory = -1

// verdict is what never changes about an accepted token: that its bytes say what they say, and that
// the key of this set signed them, and the ledger too. Everything that may change is looked at every
// time, by standing. Only accepted tokens get one, so a stranger can't fill the memory.
type verdict struct {
	token    Token
	text     [sha256.Size]byte // digest of the token as it was sent, byte for byte
	issuer   *issuer
	set      uint64 // the number of the key set; a pointer would keep every old set alive
	key      *key
	audience string
	kind     string
	alg      Alg
	recent   atomic.Bool // asked for since the last look for a slot to clear
}

// memory holds verdicts. It never grows: each slot is two words, and one verdict costs, beside the
// claims that its Token keeps, about half a kilobyte. Reading takes no lock.
type memory struct {
	seed  maphash.Seed
	slots []slot // buckets of ways slots, a power of two of them; nil without memory
}

// slot is room for one verdict. The tag is a hint, which may be that of another verdict for a moment:
// it spares a look at verdicts on other tokens, which lie all over the memory of the process.
type slot struct {
	tag     atomic.Uint64
	verdict atomic.Pointer[verdict]
}

func newMemory(tokens int) memory {
	if tokens < 0 {
		return memory{}
	}
	buckets := 1
	for buckets*ways < tokens {
		buckets *= 2
	}
	return memory{seed: maphash.MakeSeed(), slots: make([]slot, buckets*ways)}
}

// How much of a token the quick hash reads: the end of its signature, which is as good as random and
// that nobody can choose for a token that is accepted; and a little of its beginning, so that one that
// is garbled there is not taken for the token that it was.
const (
	tailLength = 64
	headLength = 16
)

// place is where in the memory a token may be.
type place struct {
	tag   uint64
	slots []slot // empty if it is not worth remembering
}

// place finds a token's place by a quick hash under a secret seed, so most tokens that were not seen
// cost no digest, and nobody can aim at a bucket.
func (m *memory) place(raw string) place {
	if m.slots == nil || len(raw) > maxRememberedText {
		return place{}
	}
	tag := maphash.String(m.seed, raw[max(0, len(raw)-tailLength):]) ^ maphash.String(m.seed, raw[:min(headLength, len(raw))])
	at := int(tag) & (len(m.slots) - 1) &^ (ways - 1)
	return place{tag, m.slots[at : at+ways]}
}

// find gives the verdict on exactly this text, or nil.
func (p place) find(w *work, raw string) *verdict {
	for i := range p.slots {
		if p.slots[i].tag.Load() != p.tag {
			continue
		}
		if d := p.slots[i].verdict.Load(); d != nil && d.text == w.textSum(raw) {
			if !d.recent.Load() {
				d.recent.Store(true)
			}
			return d
		}
	}
	return nil
}

// keep puts a verdict in the place of an older one on the same text, or else of none, of one whose
// token is over, or of one that was not asked for lately.
func (p place) keep(w *work, raw string, d *verdict, now time.Time) {
	if len(p.slots) == 0 {
		return
	}
	d.text = w.textSum(raw)
	best, worth := &p.slots[p.tag>>60%ways], 4
	for i := range p.slots {
		if n := p.slots[i].verdict.Load().worth(d, now); n < worth {
			best, worth = &p.slots[i], n
		}
	}
	best.verdict.Store(d)
	best.tag.Store(p.tag)
}

// worth ranks how much would be lost if fresh took this verdict's place.
func (d *verdict) worth(fresh *verdict, now time.Time) int {
	switch {
	case d == nil:
		return 1
	case d.text == fresh.text:
		return 0
	case !d.token.expires.after(instantOf(now.Add(-maxLeeway))):
		return 2
	case !d.recent.Swap(false):
		return 3
	}
	return 4
}

// textSum gives the SHA-256 of the token's text, reckoned once a call.
func (w *work) textSum(raw string) [sha256.Size]byte {
	if !w.hasText {
		w.rest = append(w.rest[:0], raw[w.hashed:]...)
		if w.hashed == 0 {
			w.hash.Reset()
		}
		w.hash.Write(w.rest)
		w.hash.Sum(w.text[:0])
		w.hasText = true
	}
	return w.text
}

// again judges a token that was accepted before: what can't have changed is taken from the verdict,
// and all else is looked at anew. It gives false if the verdict is of no use any more: the issuer's
// set is another one now, so everything begins from the beginning.
func (v *Validator) again(ctx context.Context, d *verdict, now time.Time, e *Event) (*Token, Code, bool) {
	set, keysAt, code := d.issuer.current(ctx, now)
	if code == "" && set.number != d.set {
		return nil, "", false
	}
	e.Issuer, e.Audience, e.Type, e.Algorithm, e.KeyID = d.issuer.terms.issuer, d.audience, d.kind, d.alg, d.key.id
	if code == "" {
		code = v.checkClock(d.token.issued, d.token.begins, d.token.expires, instantOf(now))
	}
	if code == "" {
		code = d.key.state(instantOf(keysAt))
	}
	if code == "" {
		code = v.standing(ctx, d, now)
	}
	return &d.token, code, true
}

// standing looks at what may be said about a token after it was signed.
func (v *Validator) standing(ctx context.Context, d *verdict, now time.Time) Code {
	if v.revocations != nil {
		if code := v.revocations.check(&d.token); code != "" {
			return code
		}
	}
	if d.issuer.feed != nil {
		return d.issuer.feed.check(ctx, &d.token, now)
	}
	return ""
}
