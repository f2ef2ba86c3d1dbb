package validate

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"
)

// Replays remembers which proofs were used (RFC 9449 §11.1). It is safe for use by many goroutines.
type Replays interface {
	// Use records that the key has used a proof named jti, and gives "" the first time. It gives
	// CodeDPoPReplay if that is known already, and CodeDPoPFull if it can't be recorded for this
	// key. What was recorded must be known for at least as long as keep, by the given clock.
	Use(ctx context.Context, key Thumbprint, jti string, now time.Time, keep time.Duration) Code
}

// defaultReplays is how many proofs a memory holds unless told otherwise: enough for 790 requests a
// second at the default MaxAge, in some 20 MB when full.
const defaultReplays = 1 << 18

// replays is a memory of bounded size. It never forgets a proof that could still be used: when
// there is no room it refuses instead, and whom it refuses is decided by fairness. A key may hold no
// more than a quarter of the room, and no more than what is still free. So one busy key can't
// take the room that another one needs, and neither can two, or a hundred.
//
// Proofs whose time is over are forgotten when their room is needed and not before: until then
// their names stay used, which costs nobody anything.
type replays struct {
	mu    sync.Mutex
	room  int
	used  map[proofID]struct{}
	held  map[Thumbprint]int // how many proofs of each key are in the queue
	queue []usedProof        // in the order of their use; before first they are forgotten
	first int
}

// proofID is half of the SHA-256 of a key's thumbprint and a jti. Who finds two of one id has made
// his own second proof useless.
type proofID [sha256.Size / 2]byte

type usedProof struct {
	id    proofID
	key   Thumbprint
	until int64 // nanoseconds since 1970
}

// NewReplays gives a memory in this process for so many proofs; 0 means 262,144. What it may hold for
// one key is a quarter of its room, and never more than what is still free, so that a memory that
// is full refuses those who filled it and nobody else.
func NewReplays(room int) Replays {
	if room <= 0 {
		room = defaultReplays
	}
	return &replays{room: room, used: make(map[proofID]struct{}), held: make(map[Thumbprint]int)}
}

// Use is as Replays says.
func (r *replays) Use(_ context.Context, key Thumbprint, jti string, now time.Time, keep time.Duration) Code {
	h := sha256.New()
	h.Write(key[:])
	h.Write([]byte(jti))
	var sum [sha256.Size]byte
	id := proofID(h.Sum(sum[:0])[:len(proofID{})])

	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.used[id]; known {
		return CodeDPoPReplay
	}
	if !r.fair(key) {
		r.forget(now.UnixNano())
		if !r.fair(key) {
			return CodeDPoPFull
		}
	}
	r.used[id] = struct{}{}
	r.held[key]++
	r.queue = append(r.queue, usedProof{id: id, key: key, until: now.Add(keep).UnixNano()})
	return ""
}

// fair reports whether the key may hold one proof more.
func (r *replays) fair(key Thumbprint) bool {
	held, free := r.held[key], r.room-len(r.used)
	return held < free && held < max(1, r.room/4)
}

// forget drops the proofs whose time is over. They leave in the order in which they came; a clock
// that was set back only makes them stay longer.
func (r *replays) forget(now int64) {
	for r.first < len(r.queue) && r.queue[r.first].until <= now {
		old := &r.queue[r.first]
		delete(r.used, old.id)
		if r.held[old.key]--; r.held[old.key] == 0 {
			delete(r.held, old.key)
		}
		r.first++
	}
	if r.first > len(r.queue)/2 {
		kept := copy(r.queue, r.queue[r.first:])
		clear(r.queue[kept:])
		r.queue, r.first = r.queue[:kept], 0
	}
}
