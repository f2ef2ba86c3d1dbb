package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"seawall/internal/mint"
)

// place is a point between two batches: the head there, and where the next batch lies.
type place struct {
	mint.Head
	Batch   hash   `json:"batch"` // Head.Batch, which has no JSON form
	Segment uint64 `json:"segment"`
	Offset  int64  `json:"offset"`
}

// tamperError reports a log that is not as the ledger wrote it.
type tamperError struct{ cause error }

func (e *tamperError) Error() string {
	return fmt.Sprintf("the log was changed, or the disk is failing: %v: keep a copy of the directory, look at it with `seawall log verify`, and put the log back from a copy that verifies", e.cause)
}
func (e *tamperError) Unwrap() error { return e.cause }

func tampered(format string, args ...any) error { return &tamperError{fmt.Errorf(format, args...)} }

// replay rebuilds the state from the log, and checks what it reads: form, roots, order and chain of all batches, and the
// signature of the last one, which covers the others. Who wrote the entries is not judged again; [Verify] does that.
type replay struct {
	disk  disk
	state *state
	from  place // the state is as of here; all batches behind it are replayed
	at    place // behind the last good batch
	begun bool  // at is known: a segment has been entered
	met   bool  // the log goes through from

	held    *held // the last batch: it counts when another follows, or its signature is good
	suspect error // a batch that is not good: it must be the last, and torn
	cut     *damage
}

// held is what a batch will do once it counts.
type held struct {
	trailer trailer
	at      place // behind it
	batch   batch // without its leaves
	changes []*mint.Entry
}

// load reads the log on d from the segment of from on, and returns the place behind its last batch.
func load(ctx context.Context, d disk, s *state, from place) (*replay, error) {
	firsts, err := segments(d)
	if err != nil {
		return nil, err
	}
	start := slices.Index(firsts, from.Segment)
	if len(firsts) == 0 || start < 0 {
		return nil, tampered("the segment %s is missing", segmentName(from.Segment))
	}
	r := &replay{disk: d, state: s, from: from}
	// The last segment is always read as a whole, even if the state is newer than its beginning.
	if err := walk(ctx, d, firsts[start:], 0, false, r); err != nil {
		return nil, err
	}
	if !r.met {
		return nil, tampered("the log ends at entry %d, and the ledger itself remembers %d", r.at.Size, from.Size)
	}
	return r, nil
}

func (r *replay) segment(name string, h header) error {
	if !r.begun {
		r.begun = true
		r.at = place{Head: mint.Head{Size: h.first, Batch: h.prev}, Batch: h.prev}
	}
	if h.first != r.at.Size || h.prev != r.at.Batch {
		return tampered("%s does not follow the segment before it", name)
	}
	if r.state.Root != nil && h.origin != r.state.Origin {
		return tampered("%s belongs to another log", name)
	}
	r.at.Segment, r.at.Offset = h.first, segmentHeader
	r.meet(r.at)
	return nil
}

// meet notes whether the log goes through the place where the state was taken.
func (r *replay) meet(at place) {
	if at.Size == r.from.Size && at.Batch == r.from.Batch {
		r.met = true
	}
}

func (r *replay) batch(w *walked) error {
	if r.suspect != nil {
		return &tamperError{r.suspect}
	}
	before := r.at
	if r.held != nil {
		before = r.held.at
	}
	if err := checkLinks(w, before.Head); err != nil {
		r.suspect = &damage{segment: w.segment, offset: w.offset, what: err, bytes: w.size()}
		return nil
	}
	if _, err := r.settle(); err != nil {
		return err
	}
	h := &held{trailer: w.trailer, batch: *w.batch, at: place{Head: w.head(), Segment: before.Segment, Offset: w.offset + w.size()}}
	h.at.Batch = h.at.Head.Batch
	h.batch.leaves = nil
	r.held = h
	if w.first < r.from.Size {
		return nil
	}
	return w.each(func(_ int, raw []byte) error {
		if !changes(peekKind(raw)) {
			return nil
		}
		e, err := mint.ReadEntry(raw)
		h.changes = append(h.changes, e)
		return err
	})
}

// checkLinks checks a batch against its bytes and against the one before.
func checkLinks(w *walked, before mint.Head) error {
	switch {
	case w.err != nil:
		return fmt.Errorf("the entries %d to %d are not whole: %w", w.first, w.end()-1, w.err)
	case w.root != w.trailer.root:
		return fmt.Errorf("the entries %d to %d are not those that were signed", w.first, w.end()-1)
	case w.first != before.Size:
		return fmt.Errorf("the batch begins with entry %d where %d was due", w.first, before.Size)
	case w.prev != before.Batch:
		return fmt.Errorf("the batch with entry %d does not follow the one before it", w.first)
	case w.millis < before.Millis:
		return fmt.Errorf("the batch with entry %d is older than the one before it", w.first)
	}
	return nil
}

// settle makes the held batch count. undo takes back what it did to the state.
func (r *replay) settle() (undo func(), err error) {
	if r.held == nil {
		return func() {}, nil
	}
	var undos []func()
	for _, e := range r.held.changes {
		u, refusal := r.state.admit(e)
		if refusal != nil {
			return nil, tampered("an entry from %d on is impossible: %v", r.held.trailer.first, refusal)
		}
		undos = append(undos, u)
	}
	r.at, r.held = r.held.at, nil
	r.meet(r.at)
	return func() {
		for _, u := range slices.Backward(undos) {
			u()
		}
	}, nil
}

func (r *replay) end(_ string, failed error, more bool) error {
	var d *damage
	if failed != nil && !errors.As(failed, &d) {
		return failed
	}
	if r.suspect != nil {
		if more || d != nil { // something follows the bad batch
			return &tamperError{r.suspect}
		}
		errors.As(r.suspect, &d)
		if err := r.examine(d); err != nil {
			return err
		}
	}
	if d != nil && (more || !d.torn) {
		return &tamperError{d}
	}
	r.cut = d
	return r.closeSegment(more)
}

// closeSegment looks at the signature of the last batch of a segment.
func (r *replay) closeSegment(more bool) error {
	if r.held == nil {
		return nil
	}
	h, before := *r.held, r.at
	undo, err := r.settle() // first, because its own key may be in it
	if err != nil {
		return err
	}
	v, known := r.state.known[h.trailer.key]
	if known && v.covers(h.trailer.millis) && h.trailer.verify(v.public) {
		return nil
	}
	d := &damage{segment: segmentName(h.at.Segment), offset: h.batch.offset,
		what:  fmt.Errorf("the batch with entry %d is not signed by a receipt key of this ledger", h.trailer.first),
		bytes: h.at.Offset - h.batch.offset}
	if err := r.examine(d); err != nil {
		return err
	}
	if more || r.cut != nil || !d.torn {
		return &tamperError{d}
	}
	undo()
	r.cut, r.at = d, before
	return nil
}

// examine fills in whether a batch that is not good may be torn.
func (r *replay) examine(d *damage) error {
	f, err := r.disk.Open(d.segment)
	if err != nil {
		return fmt.Errorf("opening the segment: %w", err)
	}
	defer f.Close()
	d.bytes, d.torn, err = survey(f, d.offset, d.bytes)
	return err
}

func (v *verifier) covers(ms uint64) bool {
	t := int64(ms / 1000)
	return v.nbf <= t && t < v.exp
}

// peekKind returns the kind of an encoded entry without reading the rest; it is empty for what is no entry.
func peekKind(raw []byte) mint.EntryKind {
	if len(raw) < 2 || raw[0] != 1 || raw[1] >= 0x80 || int(raw[1]) > len(raw)-2 {
		return ""
	}
	return mint.EntryKind(raw[2 : 2+raw[1]])
}

// segmentOf returns the index of the segment that has the entry n, or the batch end n.
func segmentOf(firsts []uint64, n uint64) int {
	return max(0, sort.Search(len(firsts), func(i int) bool { return firsts[i] > n })-1)
}
