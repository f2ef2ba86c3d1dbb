package signer

import (
	"hash/maphash"
	"sync"
	"time"

	"seawall/internal/mint"
)

// windowSize is how many token ids one generation of the window holds: at most 2 × 131072 are remembered, about 10 MB.
const windowSize = 1 << 17

// window remembers which request used a token id, so that an id never stands for two different tokens. It has two
// generations: the old one is forgotten when the young one is full or as old as the longest token can get. Under so much
// load that it is full sooner, it remembers at least the last 131072 ids. It does not survive a restart, and that is
// enough: an id used twice confuses audits, and gains nothing that the policy would not have given anyway.
type window struct {
	mu         sync.Mutex
	seed       maphash.Seed // of this process alone, so nobody can prepare ids that collide
	young, old map[uint64][16]byte
	since      time.Time
	life       time.Duration
}

func newWindow(life time.Duration) *window {
	return &window{seed: maphash.MakeSeed(), young: map[uint64][16]byte{}, life: life}
}

// admit reports whether the request with this digest may use the id: nobody used it, or the same request did, which is
// then a retry.
func (w *window) admit(now time.Time, tenant, jti string, digest mint.Digest) bool {
	key := w.key(tenant, jti)
	use := [16]byte(digest[:16])
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.young) >= windowSize || now.Sub(w.since) >= w.life {
		w.old, w.young, w.since = w.young, map[uint64][16]byte{}, now
	}
	for _, generation := range [...]map[uint64][16]byte{w.young, w.old} {
		if before, used := generation[key]; used && before != use {
			return false
		}
	}
	w.young[key] = use
	return true
}

func (w *window) key(tenant, jti string) uint64 {
	var h maphash.Hash
	h.SetSeed(w.seed)
	h.WriteString(tenant)
	h.WriteByte(0)
	h.WriteString(jti)
	return h.Sum64()
}
