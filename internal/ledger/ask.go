package ledger

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"seawall/internal/mint"
)

// What the house may ask about feeds, and how it is answered.

// bell tells which issuers' feeds have grown, to whoever waits for it.
type bell struct {
	mu    sync.Mutex
	from  uint64 // every growth by an entry from this one on is among strokes
	tail  uint64 // the entry after the last stroke
	list  []stroke
	again chan struct{} // closed by the next stroke
}

// stroke is one growth of a feed.
type stroke struct {
	sequence uint64
	issuer   string
}

const mostStrokes = 4096

// start begins with a log of size entries, of whose growths nobody needs to be told: who asks about them learns that any
// feed may have grown.
func (b *bell) start(size uint64) {
	b.from, b.tail, b.again = size, size, make(chan struct{})
}

func (b *bell) ring(list []stroke) {
	if len(list) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.list = append(b.list, list...); len(b.list) > mostStrokes {
		b.list = append([]stroke(nil), b.list[len(b.list)/2:]...)
		b.from = b.list[0].sequence
	}
	b.tail = list[len(list)-1].sequence + 1
	close(b.again)
	b.again = make(chan struct{})
}

// since returns what has grown by entries from n on, and a channel that is closed when more does.
func (b *bell) since(n uint64) (*mint.Watched, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &mint.Watched{Next: b.tail, Issuers: []string{}}
	if n < b.from || n > b.tail {
		w.All = true
		return w, b.again
	}
	told := map[string]bool{}
	for _, s := range b.list {
		if s.sequence >= n && !told[s.issuer] {
			told[s.issuer] = true
			w.Issuers = append(w.Issuers, s.issuer)
		}
	}
	return w, b.again
}

// watch answers when a feed has grown, on a goroutine of its own that ends with the connection.
func (s *exchange) watch(f mint.Frame, body []byte) {
	var q mint.WatchQuery
	if err := mint.ReadJSON(body, &q); err != nil {
		s.answer(f, nil, mint.Refuse(mint.Malformed, "the question is not readable"))
		return
	}
	go func() {
		timer := time.NewTimer(mint.WatchTime * time.Millisecond)
		defer timer.Stop()
		for {
			w, grown := s.l.bell.since(q.Since)
			if w.All || len(w.Issuers) > 0 {
				s.answer(f, w, nil)
				return
			}
			select {
			case <-grown:
				continue
			case <-timer.C:
			case <-s.gone:
			case <-s.l.ctx.Done():
			}
			s.answer(f, w, nil)
			return
		}
	}()
}

// state queues a statement that the house asks for. It shares a batch with whatever else is queued.
func (s *exchange) state(f mint.Frame, body []byte) {
	j := &job{ask: new(mint.StateQuery), size: len(body) + 1024}
	if err := mint.ReadJSON(body, j.ask); err != nil {
		s.answer(f, nil, mint.Refuse(mint.Malformed, "the statement asked for is not readable"))
		return
	}
	j.done = func(h mint.Head) {
		if j.refusal != nil {
			s.answer(f, nil, j.refusal)
			return
		}
		s.answer(f, &mint.Stated{Statement: *j.stated, Sequence: j.first, Size: h.Size, Millis: h.Millis, Batch: h.Batch.String()}, nil)
	}
	if !s.l.queue.add(j) {
		s.answer(f, nil, errClosing)
	}
}

// Limits of one page of a feed: a frame holds it, however its text is escaped.
const (
	pageStatements = 512
	pageBytes      = 768 << 10
)

// escaped is what a name may take in JSON, with all that is around it.
func escaped(name string) int { return 6*len(name) + 24 }

// feed answers with a part of a feed. The committer says what is durable; the signatures are made elsewhere.
func (s *exchange) feed(f mint.Frame, body []byte) {
	q := new(mint.FeedQuery)
	if err := mint.ReadJSON(body, q); err != nil {
		s.answer(f, nil, mint.Refuse(mint.Malformed, "the question is not readable"))
		return
	}
	l := s.l
	j := &job{alone: func() {
		_, known := l.state.issuers[q.Issuer]
		now := l.state.Feeds[q.Issuer]
		ms := max(uint64(l.clock().UnixMilli()), l.head.Millis)
		switch {
		case !known:
			s.answer(f, nil, mint.Refuse(mint.TenantUnknown, "no tenant's policy has bound this issuer"))
		case q.After > now.N:
			s.answer(f, nil, mint.Refuse(mint.StateRolledBack, "the feed has %d statements, and the house remembers %d", now.N, q.After))
		default:
			l.workers.Go(func() { s.answer(f, l.page(&now, q, ms), nil) })
		}
	}}
	if !l.queue.add(j) {
		s.answer(f, nil, errClosing)
	}
}

// page makes the answer about a feed at ms.
func (l *Ledger) page(f *feed, q *mint.FeedQuery, ms uint64) *mint.Feed {
	live := f.liveAt(ms)
	a := &mint.Feed{Statements: []mint.Distrust{}}
	list := live
	if !q.Live {
		list = f.Recent
		a.Gap = q.After < f.N && (len(list) == 0 || list[0].N > q.After+1)
	}
	room := pageBytes
	for i := range list {
		if d := &list[i]; d.N > q.After && !a.Gap {
			if a.More = len(a.Statements) == pageStatements || room < 0; a.More {
				break
			}
			a.Statements = append(a.Statements, *d)
			room -= escaped(d.Value) + escaped(d.Issuer) + 384
		}
	}
	a.Head = mint.FeedHead{Issuer: q.Issuer, N: f.N, Chain: f.Chain, Millis: ms, Expires: ms + mint.HeadLife}
	if a.More || a.Gap {
		return a
	}
	a.Head.Sign(l.keys.root)
	whole := mint.Snapshot{Issuer: q.Issuer, N: f.N, Chain: f.Chain, Millis: ms, Expires: a.Head.Expires, Statements: live}
	whole.Sign(l.keys.root)
	a.Snapshot = whole.Signature
	return a
}

// Limits of one page of a count.
const (
	countScanned = 8 << 20   // bytes of the log
	countBytes   = 512 << 10 // of names
)

// count answers what a statement would concern.
func (s *exchange) count(f mint.Frame, body []byte) {
	q := new(mint.CountQuery)
	if err := mint.ReadJSON(body, q); err != nil || q.Tenant == "" || q.Value == "" {
		s.answer(f, nil, mint.Refuse(mint.Malformed, "the question is not readable, or names nobody"))
		return
	}
	l := s.l
	j := &job{alone: func() {
		p, known := l.state.Policies[q.Tenant]
		if !known {
			s.answer(f, nil, mint.Refuse(mint.TenantUnknown, "no policy of the tenant has been recorded"))
			return
		}
		life := time.Duration(l.state.lives[p.Issuer]) * time.Second
		c := &counting{query: q, now: l.clock(), size: l.head.Size, budget: countScanned, room: countBytes, subjects: map[string]bool{},
			out: &mint.Counted{Clients: map[string]uint64{}, APIs: map[string]uint64{}, Subjects: []string{}}}
		c.since = uint64(max(0, c.now.Add(-life-2*mint.MaxClockDrift*time.Millisecond).UnixMilli()))
		l.workers.Go(func() {
			err := c.run(l.disk)
			if err != nil {
				l.log.Error("counting tokens for the house failed", "error", err)
			}
			s.answer(f, c.out, err)
		})
	}}
	if !l.queue.add(j) {
		s.answer(f, nil, errClosing)
	}
}

// counting is one page of a count.
type counting struct {
	query    *mint.CountQuery
	now      time.Time
	since    uint64 // tokens recorded before, in Unix milliseconds, have ended
	size     uint64 // of the durable log
	budget   int    // bytes of the log still to be looked at
	room     int    // bytes of names that still fit
	subjects map[string]bool
	out      *mint.Counted
}

func (c *counting) run(d disk) error {
	firsts, err := segments(d)
	if err != nil {
		return err
	}
	if firsts, err = sinceSegment(d, firsts, time.UnixMilli(int64(c.since))); err != nil {
		return err
	}
	for i := segmentOf(firsts, c.query.From); i < len(firsts); i++ {
		if full, err := c.segment(d, firsts[i]); full || err != nil {
			return err
		}
	}
	c.out.Next = 0
	return nil
}

func (c *counting) segment(d disk, first uint64) (full bool, err error) {
	r, err := openSegment(d, first)
	if err != nil {
		return false, err
	}
	defer r.close()
	for page := new(chunk); ; {
		if err := r.read(page); err != nil {
			if found := new(damage); err == io.EOF || errors.As(err, &found) {
				return false, nil // what is not a batch is not durable, or is found by those who verify
			}
			return false, err
		}
		for i := range page.batches {
			b := &page.batches[i]
			if b.end() > c.size {
				return false, nil
			}
			if b.end() <= c.query.From || b.millis < c.since {
				continue
			}
			if c.budget <= 0 {
				c.out.Next = b.first
				return true, nil
			}
			c.budget -= len(b.leaves)
			switch err := b.each(func(i int, raw []byte) error { return c.entry(b.first+uint64(i), raw) }); {
			case err == io.EOF:
				return true, nil
			case err != nil:
				return false, fmt.Errorf("counting: %w", err)
			}
		}
	}
}

// entry counts the entry n, or ends the page with io.EOF.
func (c *counting) entry(n uint64, raw []byte) error {
	if n < c.query.From || peekKind(raw) != mint.TokenIssued {
		return nil
	}
	if c.room <= 0 {
		c.out.Next = n
		return io.EOF
	}
	e, err := mint.ReadEntry(raw)
	if err != nil {
		return err
	}
	q := c.query
	if e.Tenant != q.Tenant || !names(e, q.Kind, q.Value) || e.Expires <= c.now.Unix() || q.Before != 0 && e.IssuedAt >= q.Before {
		return nil
	}
	c.out.Tokens++
	c.add(c.out.Clients, e.Client)
	if mint.Kind(e.TokenKind) != mint.IDToken { // whose audience is its client
		for _, api := range e.Audience {
			c.add(c.out.APIs, api)
		}
	}
	sum := sha256.Sum256([]byte(e.Subject))
	if name := base64.RawURLEncoding.EncodeToString(sum[:8]); !c.subjects[name] {
		c.subjects[name] = true
		c.out.Subjects = append(c.out.Subjects, name)
		c.room -= escaped(name)
	}
	c.out.Last = max(c.out.Last, e.Expires)
	return nil
}

// names reports whether a statement of a kind about value concerns the token of an entry.
func names(e *mint.Entry, kind mint.DistrustKind, value string) bool {
	switch {
	case kind == mint.DistrustSession:
		return sessionOf(e) == value
	case kind == mint.DistrustClient && mint.Kind(e.TokenKind) == mint.IDToken:
		return false // it has neither client_id nor azp: nobody but the client itself goes by it
	}
	field := nameIn(e, kind)
	return field != nil && *field == value
}

// add counts one token for a name.
func (c *counting) add(counts map[string]uint64, name string) {
	if counts[name] == 0 {
		c.room -= escaped(name)
	}
	counts[name]++
}
