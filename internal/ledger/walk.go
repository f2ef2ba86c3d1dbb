package ledger

import (
	"context"
	"io"
	"runtime"
	"sync"

	"seawall/internal/mint"
)

// walked is a batch that a walk came by, with what was computed from its bytes. It is valid only during the visit.
type walked struct {
	*batch
	segment string
	root    hash
	entries []*mint.Entry // nil unless the walk decodes
	err     error         // the entries are not of the right form
}

// visitor is told about a log in order.
type visitor interface {
	// segment begins a segment.
	segment(name string, h header) error
	// batch comes by.
	batch(w *walked) error
	// end closes a segment; damage is nil when it ends with its last batch. more says whether another segment follows.
	end(name string, damage error, more bool) error
}

// walk reads segments in order, computes the roots on several cores, and shows everything to v on the caller's
// goroutine. An error of v ends it.
func walk(ctx context.Context, d disk, firsts []uint64, workers int, decode bool, v visitor) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	p := &pipeline{decode: decode, work: make(chan *station), line: make(chan *station, workers+1), free: make(chan *station, workers+2)}
	for range cap(p.free) {
		p.free <- new(station)
	}
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	for range workers {
		group.Go(p.compute)
	}
	group.Go(func() { p.readAll(ctx, d, firsts) })
	for s := range p.line {
		<-s.ready
		if err := s.visit(v); err != nil {
			stop()
			for range p.line { // until readAll has noticed
			}
			return err
		}
		p.free <- s
	}
	return ctx.Err()
}

// station is one thing on the way through the pipeline: the beginning of a segment, a chunk of it, or its end.
type station struct {
	chunk
	results []walked
	segment string
	begins  *header
	ends    bool
	more    bool
	failed  error // with ends: why, if not by its end
	ready   chan struct{}
}

func (s *station) visit(v visitor) error {
	if s.begins != nil {
		return v.segment(s.segment, *s.begins)
	}
	for i := range s.results {
		if err := v.batch(&s.results[i]); err != nil {
			return err
		}
	}
	if s.ends {
		return v.end(s.segment, s.failed, s.more)
	}
	return nil
}

type pipeline struct {
	decode bool
	free   chan *station
	work   chan *station
	line   chan *station // in order
}

var always = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (p *pipeline) readAll(ctx context.Context, d disk, firsts []uint64) {
	defer close(p.line)
	defer close(p.work)
	for i, first := range firsts {
		if !p.readSegment(ctx, d, first, i+1 < len(firsts)) {
			return
		}
	}
}

func (p *pipeline) readSegment(ctx context.Context, d disk, first uint64, more bool) bool {
	r, err := openSegment(d, first)
	if err != nil {
		return p.pass(ctx, func(s *station) { s.segment, s.ends, s.failed, s.more = segmentName(first), true, err, more })
	}
	defer r.close()
	if !p.pass(ctx, func(s *station) { s.segment, s.begins = r.name, &r.header }) {
		return false
	}
	for {
		var s *station
		if s = p.take(ctx); s == nil {
			return false
		}
		s.segment = r.name
		if err := r.read(&s.chunk); err != nil {
			if err == io.EOF {
				err = nil
			}
			s.ends, s.failed, s.more, s.ready = true, err, more, always
			p.line <- s
			return true
		}
		s.ready = make(chan struct{})
		p.line <- s
		p.work <- s
	}
}

// take waits for a free station, or returns nil when nobody wants any more.
func (p *pipeline) take(ctx context.Context) *station {
	select {
	case s := <-p.free:
		*s = station{chunk: chunk{buf: s.buf, batches: s.batches[:0]}, results: s.results[:0]}
		return s
	case <-ctx.Done():
		return nil
	}
}

func (p *pipeline) pass(ctx context.Context, fill func(*station)) bool {
	s := p.take(ctx)
	if s == nil {
		return false
	}
	fill(s)
	s.ready = always
	p.line <- s
	return true
}

// compute works out roots and entries of chunks.
func (p *pipeline) compute() {
	for s := range p.work {
		for i := range s.batches {
			b := &s.batches[i]
			w := walked{batch: b, segment: s.segment}
			if w.root, w.err = b.computeRoot(); w.err == nil && p.decode {
				w.entries, w.err = b.decode()
			}
			s.results = append(s.results, w)
		}
		close(s.ready)
	}
}

// decode reads all entries of a batch.
func (b *batch) decode() ([]*mint.Entry, error) {
	list := make([]*mint.Entry, 0, b.count)
	err := b.each(func(_ int, raw []byte) error {
		e, err := mint.ReadEntry(raw)
		list = append(list, e)
		return err
	})
	return list, err
}
