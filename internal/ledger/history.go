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

// Limits of one answer to a reading house.
const (
	readDefault = 100
	readMost    = 1000
	readBytes   = 512 << 10 // of entries
	readScanned = 16 << 20  // of the log: the rest is for the next question
)

// cursor is where a reading house went on last time, so that going on does not begin at the start of the segment.
type cursor struct {
	next    uint64
	segment uint64
	offset  int64 // of the batch that has next
}

// read answers a question of the house: entries of its own kinds, and nothing behind the durable head.
func (l *Ledger) read(q mint.ReadQuery, at *cursor) (*mint.ReadAnswer, error) {
	if q.Limit < 0 || q.Limit > readMost {
		return nil, mint.Refuse(mint.Malformed, "the limit is at most %d", readMost)
	}
	if q.Limit == 0 {
		q.Limit = readDefault
	}
	a := &mint.ReadAnswer{Entries: []mint.NumberedEntry{}, Next: q.From, Size: l.recent.last().Size}
	firsts, err := segments(l.disk)
	if err != nil {
		return nil, err
	}
	page := &page{query: q, answer: a, budget: readScanned, room: readBytes}
	for i := segmentOf(firsts, q.From); i < len(firsts) && !page.full && a.Next < a.Size; i++ {
		if err := page.segment(l.disk, firsts[i], at); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// page is an answer in the making.
type page struct {
	query  mint.ReadQuery
	answer *mint.ReadAnswer
	budget int // bytes of the log still to be looked at
	room   int // bytes of entries that still fit
	full   bool
}

func (p *page) segment(d disk, first uint64, at *cursor) error {
	r, err := openSegment(d, first)
	if err != nil {
		return err
	}
	defer r.close()
	if at.segment == first && at.next == p.answer.Next && at.offset > r.offset {
		r.offset = at.offset
	}
	for c := new(chunk); !p.full; {
		if err := r.read(c); err != nil {
			if d := new(damage); err == io.EOF || errors.As(err, &d) {
				return nil // what is not a batch is not durable, or is found by those who verify
			}
			return err
		}
		for i := range c.batches {
			b := &c.batches[i]
			if p.full || b.end() > p.answer.Size {
				p.full = true
				break
			}
			if b.end() <= p.answer.Next {
				continue
			}
			if err := p.batch(b); err != nil {
				return err
			}
			*at = cursor{p.answer.Next, first, b.offset}
		}
		if p.budget -= len(c.buf); p.budget <= 0 {
			p.full = true
		}
	}
	return nil
}

// batch takes what is asked for from a batch. Next is then the first entry not looked at.
func (p *page) batch(b *batch) error {
	err := b.each(func(i int, raw []byte) error {
		n := b.first + uint64(i)
		if n < p.answer.Next {
			return nil
		}
		if p.full {
			return io.EOF
		}
		if k := kindOf(peekKind(raw)); k != nil && k.Writer == ByHouse {
			e, err := mint.ReadEntry(raw)
			if err != nil {
				return err
			}
			if p.query.Tenant == "" || e.Tenant == p.query.Tenant {
				p.answer.Entries = append(p.answer.Entries, mint.NumberedEntry{Sequence: n, Entry: *e})
				p.room -= 2 * len(raw)
				p.full = len(p.answer.Entries) >= p.query.Limit || p.room <= 0
			}
		}
		p.answer.Next = n + 1
		return nil
	})
	if err == io.EOF {
		return nil
	}
	return err
}
