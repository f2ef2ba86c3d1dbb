package ledger

import (
	"errors"
	"io"
	"sync"

	"seawall/internal/mint"
)

// recentHeads are the ends of the newest batches, to tell at once whether a head that somebody remembers is one of them.
type recentHeads struct {
	mu   sync.Mutex
	ring [1024]mint.Head
	n    int // ever added
}

func (r *recentHeads) add(h mint.Head) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring[r.n%len(r.ring)] = h
	r.n++
}

// last returns the newest head.
func (r *recentHeads) last() (h mint.Head) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n > 0 {
		h = r.ring[(r.n-1)%len(r.ring)]
	}
	return h
}

// find returns the head of the given size, if it is among the newest.
func (r *recentHeads) find(size uint64) (mint.Head, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range min(r.n, len(r.ring)) {
		if h := r.ring[(r.n-1-i)%len(r.ring)]; h.Size <= size {
			return h, h.Size == size
		}
	}
	return mint.Head{}, false
}

// hasHead reports whether the log once ended in the given head. Heads further back than the newest are looked up in the
// segments, of which one is read.
func (l *Ledger) hasHead(size uint64, batch hash) (bool, error) {
	if size == 0 {
		return true, nil
	}
	if size > l.recent.last().Size {
		return false, nil
	}
	if h, found := l.recent.find(size); found {
		return h.Batch == batch, nil
	}
	found, err := findHead(l.disk, size)
	return found == batch, err
}

// findHead returns the hash of the trailer of the batch that ends before the entry number size; zero if none does.
func findHead(d disk, size uint64) (hash, error) {
	firsts, err := segments(d)
	if err != nil || len(firsts) == 0 {
		return hash{}, err
	}
	r, err := openSegment(d, firsts[segmentOf(firsts, size)])
	if err != nil {
		return hash{}, err
	}
	defer r.close()
	if r.header.first == size {
		return r.header.prev, nil
	}
	for c := new(chunk); ; {
		if err := r.read(c); err != nil {
			if d := new(damage); err == io.EOF || errors.As(err, &d) {
				return hash{}, nil
			}
			return hash{}, err
		}
		for i := range c.batches {
			switch t := &c.batches[i].trailer; {
			case t.end() == size:
				return t.hash(), nil
			case t.end() > size:
				return hash{}, nil
			}
		}
	}
}
