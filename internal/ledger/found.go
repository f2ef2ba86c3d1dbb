package ledger

import (
	"errors"
	"io"
	"time"

	"seawall/internal/mint"
)

// Limits of one page of a search by the house.
const (
	foundScanned = 64 << 20  // bytes of the log, to the next whole segment
	foundBytes   = 512 << 10 // of entries
)

// find answers the house with the newest entries that it asks for, behind the work of the committer.
func (s *exchange) find(f mint.Frame, body []byte) {
	q := new(mint.SearchQuery)
	if err := mint.ReadJSON(body, q); err != nil || q.Limit < 1 || q.Limit > mint.MaxFound {
		s.answer(f, nil, mint.Refuse(mint.Malformed, "the question is not readable, or its limit is not between 1 and %d", mint.MaxFound))
		return
	}
	l := s.l
	j := &job{alone: func() {
		size := l.head.Size
		l.workers.Go(func() {
			found, err := findBefore(l.disk, q, size)
			if err != nil {
				l.log.Error("searching the log for the house failed", "error", err)
			}
			s.answer(f, found, err)
		})
	}}
	if !l.queue.add(j) {
		s.answer(f, nil, errClosing)
	}
}

// findBefore reads the durable log of size entries backwards, segment by segment.
func findBefore(d disk, q *mint.SearchQuery, size uint64) (*mint.Found, error) {
	out := &mint.Found{Entries: []mint.NumberedEntry{}, Size: size}
	before := size
	if q.Before > 0 {
		before = min(before, q.Before)
	}
	firsts, err := segments(d)
	if err != nil {
		return nil, err
	}
	since := time.Time{}
	if q.Since > 0 {
		since = time.UnixMilli(int64(q.Since))
	}
	if firsts, err = sinceSegment(d, firsts, since); err != nil {
		return nil, err
	}
	room, budget := foundBytes, int64(foundScanned)
	for i := segmentOf(firsts, max(before, 1)-1); i >= 0 && len(firsts) > 0; i-- {
		if budget <= 0 {
			out.Next = before
			return out, nil
		}
		list, read, err := lastOf(d, firsts[i], q, since, before, q.Limit-len(out.Entries))
		if err != nil {
			return nil, err
		}
		budget -= read
		for j := len(list) - 1; j >= 0; j-- {
			out.Entries = append(out.Entries, list[j].NumberedEntry)
			if room -= list[j].size; room <= 0 || len(out.Entries) == q.Limit {
				out.Next = list[j].Sequence
				return out, nil
			}
		}
		before = firsts[i]
	}
	return out, nil
}

// sizedEntry is an entry and about what it takes as JSON.
type sizedEntry struct {
	mint.NumberedEntry
	size int
}

// lastOf returns the last most entries of a segment below before that q asks for, the oldest first, and how much was read.
func lastOf(d disk, first uint64, q *mint.SearchQuery, since time.Time, before uint64, most int) (last []sizedEntry, read int64, err error) {
	defer func() { last = last[max(0, len(last)-most):] }()
	r, err := openSegment(d, first)
	if err != nil {
		return nil, 0, err
	}
	defer r.close()
	filter := Filter{Kind: q.Kind, Tenant: q.Tenant, Client: q.Client, Subject: q.Subject, KID: q.KID, JTI: q.JTI, Since: since}
	each := &search{filter: filter, needles: filter.needles()}
	each.each = func(e mint.NumberedEntry) error {
		if e.Sequence >= before {
			return io.EOF
		}
		if len(last) == 2*most {
			last = append(last[:0], last[most:]...)
		}
		last = append(last, sizedEntry{e, 3*len(e.Entry.Append(nil)) + 256})
		return nil
	}
	for c := new(chunk); ; {
		if err := r.read(c); err != nil {
			if found := new(damage); err == io.EOF || errors.As(err, &found) {
				return last, r.offset, nil // what is not a batch is not durable, or is found by those who verify
			}
			return nil, r.offset, err
		}
		for i := range c.batches {
			if c.batches[i].first >= before {
				return last, r.offset, nil
			}
			if err := each.batch(&c.batches[i]); err == io.EOF {
				return last, r.offset, nil
			} else if err != nil {
				return nil, r.offset, err
			}
		}
	}
}
