package ledger

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"seawall/internal/mint"
)

const (
	// clockSlack is how far the clock may be behind the last entry: entries then get that one's time. A clock further
	// back is wrong, or was wrong before, and nothing is recorded until somebody has looked.
	clockSlack = 5 * time.Second

	// gathered is how many bytes of messages go into one batch. It is far below what a batch may hold, since what a
	// message adds is only estimated.
	gathered = maxBatchBytes / 2

	// receiptsAtOnce is how many receipts one worker signs together. More save little more; see package eddsa.
	receiptsAtOnce = 8
	// receiptInput is about what is signed for one.
	receiptInput = 96
)

// job is a message on its way into the log. Exactly one of tokens, entries, ask and alone is set.
type job struct {
	tokens  []draft         // in order; those refused in advance are empty
	results []mint.Recorded // of the tokens
	digests []mint.Digest   // of the tokens
	entries []*mint.Entry   // all of them or none; they change no state
	ask     *mint.StateQuery
	stated  *mint.Distrust  // what was asked for
	alone   func()          // runs between two batches
	size    int             // bytes of the message, and so about what it adds to a batch
	refusal *mint.Refusal   // of the entries, or of what was asked for
	first   uint64          // number of the first entry
	seal    *mint.Seal      // of the connection that the answer goes to
	answer  []byte          // to tokens, sealed
	done    func(mint.Head) // called once everything is durable
	pending atomic.Int32    // groups of receipts to sign
}

func (j *job) count() int {
	if j.ask != nil {
		return 1
	}
	return len(j.tokens) + len(j.entries)
}

// queue is where messages wait to be committed.
type queue struct {
	mu     sync.Mutex
	jobs   []*job
	wake   chan struct{} // of the committer
	closed bool
}

// add queues j, or reports that the ledger takes nothing any more. Whoever adds sees to it that it is committed, by
// [Ledger.settle].
func (q *queue) add(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.jobs = append(q.jobs, j)
	return true
}

// put adds j and leaves it to the committer.
func (q *queue) put(j *job) bool {
	added := q.add(j)
	q.rouse()
	return added
}

// rouse wakes the committer if there is something for it.
func (q *queue) rouse() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.jobs) == 0 {
		return
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.jobs) == 0
}

// take removes what fits into one batch, or one job that runs alone.
func (q *queue) take(jobs []*job) []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	entries, bytes, n := 0, 0, 0
	for _, j := range q.jobs {
		if j.alone != nil && n > 0 {
			break
		}
		entries, bytes = entries+j.count(), bytes+j.size
		if n > 0 && (entries > maxBatchEntries || bytes > gathered) {
			break
		}
		jobs = append(jobs, j)
		n++
		if j.alone != nil {
			break
		}
	}
	rest := copy(q.jobs, q.jobs[n:])
	clear(q.jobs[rest:])
	q.jobs = q.jobs[:rest]
	return jobs
}

// close makes add fail and wakes the committer for what is left.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.wake)
	}
}

// Whoever holds turn commits: it is the only one that touches state, journal and keys. Mostly that is the goroutine which
// has read a message and finds nobody at it. To hand the message to another costs two wake-ups, which for a message of
// one token is as much as signing it.

// settle commits the next batch on the caller's goroutine, or leaves it to whoever is committing already. Only one batch,
// since the caller has a connection to read; the committer goes on with what is left.
func (l *Ledger) settle() {
	if !l.turn.TryLock() {
		return // who has it looks at the queue again after letting it go
	}
	l.commitNext()
	l.turn.Unlock()
	l.queue.rouse()
}

// run is the committer. It ends when the queue is closed and empty, or the ledger has failed.
func (l *Ledger) run() {
	defer close(l.finished)
	for open := true; open; {
		_, open = <-l.queue.wake
		for !l.queue.empty() {
			l.turn.Lock()
			l.commitNext()
			l.turn.Unlock()
			if l.failure() != nil {
				return
			}
		}
	}
}

// commitNext commits what is queued and fits into one batch. Callers hold turn.
func (l *Ledger) commitNext() {
	if l.failure() != nil {
		return
	}
	l.jobs = l.queue.take(l.jobs[:0])
	switch {
	case len(l.jobs) == 0:
	case l.jobs[0].alone != nil:
		l.jobs[0].alone()
	default:
		l.commit(l.jobs)
	}
	clear(l.jobs)
}

// now returns the time for the next batch.
func (l *Ledger) now() (ms uint64, refusal *mint.Refusal) {
	t, last := l.clock().UnixMilli(), int64(l.head.Millis)
	switch {
	case t >= last:
		return uint64(t), nil
	case last-t <= clockSlack.Milliseconds():
		return uint64(last), nil
	}
	refusal = mint.Refuse(mint.ClockSkew, "the ledger's clock (%s) is behind its last entry (%s): set the clock right; if the entry's time is the wrong one, nothing can be recorded until it has passed",
		stamp(t), stamp(last))
	l.complain("clock", refusal.Detail)
	return 0, refusal
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// commit makes one batch of the jobs, and releases them when it is durable. If it fails they are never released: the
// ledger stops, and nobody learns of entries that may not be there.
func (l *Ledger) commit(jobs []*job) {
	b, refusal := l.open()
	if refusal != nil {
		l.refuseAll(jobs, refusal)
		return
	}
	for _, j := range jobs {
		l.place(b, j)
	}
	if b.count() == 0 {
		l.refuseAll(jobs, nil)
		return
	}
	b.finish()
	err := l.journal.write(b.bytes)
	if errors.Is(err, errFull) {
		b.back()
		l.refuseAll(jobs, l.noRoom(err))
		return
	}
	if err == nil {
		signed := l.signAnswers(b, jobs)
		err = l.journal.sync()
		signed.Wait()
	}
	if err != nil {
		l.fail(err)
		return
	}
	l.advance(b)
	for _, j := range jobs {
		j.done(b.head)
	}
}

// open begins a batch, and a segment for it when the present one is full.
func (l *Ledger) open() (*building, *mint.Refusal) {
	ms, refusal := l.now()
	if refusal != nil {
		return nil, refusal
	}
	if l.journal.full() {
		if refusal := l.nextSegment(); refusal != nil {
			return nil, refusal
		}
	}
	key := l.keys.signing(ms)
	if key == nil {
		l.complain("key", "no receipt key is valid at this time")
		return nil, mint.Refuse(mint.Unavailable, "the ledger has no receipt key for this time; its log says why")
	}
	b := &l.batch
	b.bytes, b.tree, b.key, b.undo, b.grown = beginBatch(b.bytes[:0]), merkle{}, key, nil, nil
	b.trailer = trailer{first: l.head.Size, millis: ms, prev: l.head.Batch, key: key.id}
	return b, nil
}

// building is a batch in the making. There is one, and its memory is used again.
type building struct {
	trailer
	bytes []byte
	tree  merkle
	key   *receiptKey
	head  mint.Head // once it is finished
	undo  []func()  // of what its entries did to the state
	grown []stroke  // feeds
}

func (b *building) count() uint32 { return b.tree.count }

// add appends an entry and returns its number.
func (b *building) add(e *mint.Entry) uint64 {
	e.Millis = b.millis
	n := b.first + uint64(b.tree.count)
	b.bytes = appendLeaf(b.bytes, &b.tree, e)
	return n
}

// admit applies an entry to the state and appends it, or does neither.
func (b *building) admit(s *state, e *mint.Entry) *mint.Refusal {
	e.Millis = b.millis
	undo, refusal := s.admit(e)
	if refusal != nil {
		return refusal
	}
	b.undo = append(b.undo, undo)
	if n := b.add(e); e.Kind == mint.DistrustStated {
		b.grown = append(b.grown, stroke{n, e.Issuer})
	}
	return nil
}

// back takes back what the batch did to the state.
func (b *building) back() {
	for _, undo := range slices.Backward(b.undo) {
		undo()
	}
}

// finish signs the batch.
func (b *building) finish() {
	b.trailer.count, b.root = b.tree.count, b.tree.root()
	b.sign(b.key.private)
	b.bytes = finishBatch(b.bytes, 0, &b.trailer)
	b.head = b.trailer.head()
}

// place puts what a job wants to record into the batch, token by token: each is judged by the keys as they are now.
func (l *Ledger) place(b *building, j *job) {
	j.first = b.first + uint64(b.count())
	if j.ask != nil {
		j.stated, j.refusal = l.distrust(b, j.ask)
	}
	for _, e := range j.entries {
		b.add(e)
	}
	for i := range j.tokens {
		d, r := &j.tokens[i], &j.results[i]
		if r.Refusal != nil {
			continue
		}
		if r.Refusal = l.state.judge(&d.entry, d.alg, b.millis); r.Refusal == nil {
			d.entry.Tenant = l.state.Keys[d.entry.KID].Tenant
			d.sequence = b.add(&d.entry)
		}
	}
}

// nextSegment begins it. The state as of its beginning is saved, so the next start reads no segment before it.
func (l *Ledger) nextSegment() *mint.Refusal {
	err := l.journal.next(l.head.Size, l.head.Batch)
	if errors.Is(err, errFull) {
		return l.noRoom(err)
	}
	if err != nil {
		l.fail(err)
		return mint.Refuse(mint.Unavailable, "the ledger stopped: its disk failed")
	}
	if err := l.saveState(); err != nil { // it can be made again from the log
		l.log.Warn("the ledger could not save its state: the next start takes longer", "error", err)
	}
	return nil
}

func (l *Ledger) noRoom(err error) *mint.Refusal {
	l.complain("full", err.Error())
	return mint.Refuse(mint.Unavailable, "%v: nothing can be recorded until there is room", err)
}

// signAnswers signs receipts and seals answers. On one processor it does so at once. On several it has workers do it, while the
// disk makes the batch durable, which takes about as long. The signatures leave this process only afterwards.
func (l *Ledger) signAnswers(b *building, jobs []*job) *sync.WaitGroup {
	group := new(sync.WaitGroup)
	for _, j := range jobs {
		n := len(j.tokens)
		if n == 0 {
			continue
		}
		groups := (n + receiptsAtOnce - 1) / receiptsAtOnce
		j.pending.Store(int32(groups))
		group.Add(groups)
		for i := 0; i < n; i += receiptsAtOnce {
			s := signing{group, j, b, i, min(i+receiptsAtOnce, n)}
			if l.signing == nil {
				s.do()
			} else {
				l.signing <- s
			}
		}
	}
	return group
}

// signing is the work of signing the receipts from..to of a job, and its answer if they are the last.
type signing struct {
	group    *sync.WaitGroup
	job      *job
	batch    *building
	from, to int
}

func (s signing) do() {
	defer s.group.Done()
	key, job := s.batch.key, s.job
	buf, inputs := make([]byte, 0, receiptsAtOnce*receiptInput), make([][]byte, 0, receiptsAtOnce)
	for i := s.from; i < s.to; i++ {
		if r := &job.results[i]; r.Refusal == nil {
			r.Receipt = mint.UnsignedReceipt(key.id, job.tokens[i].sequence, s.batch.millis)
			start := len(buf)
			buf = r.Receipt.AppendSigned(buf, job.digests[i])
			inputs = append(inputs, buf[start:])
		}
	}
	signatures := key.receipts.Sign(make([][ed25519.SignatureSize]byte, 0, receiptsAtOnce), inputs...)
	for i := s.from; i < s.to; i++ {
		if r := &job.results[i]; r.Refusal == nil {
			r.Receipt.SetSignature(signatures[0])
			signatures = signatures[1:]
		}
	}
	if job.pending.Add(-1) == 0 {
		job.sealAnswer(key.id, s.batch.head)
	}
}

func (j *job) sealAnswer(id mint.KeyID, head mint.Head) {
	j.answer = mint.AppendRecorded(make([]byte, 0, 256+len(j.results)*(mint.ReceiptSize+2)), j.seal, id, head, j.digests, j.results)
}

// refuseAll answers jobs of which nothing was recorded. A nil refusal leaves those that the tokens have already.
func (l *Ledger) refuseAll(jobs []*job, refusal *mint.Refusal) {
	for _, j := range jobs {
		if refusal != nil {
			j.refusal = refusal
			for i := range j.results {
				if j.results[i].Refusal == nil {
					j.results[i].Refusal = refusal
				}
			}
		}
		if len(j.tokens) > 0 {
			if key := l.keys.newest(); key != nil {
				j.sealAnswer(key.id, l.head)
			}
		}
		j.done(l.head)
	}
}

// record makes a batch of its own of entries that change the state: all of them are admitted, or nothing happens. What
// follows from them for a feed is stated behind them.
func (l *Ledger) record(entries []*mint.Entry) (first uint64, refusal *mint.Refusal) {
	b, refusal := l.open()
	if refusal != nil {
		return 0, refusal
	}
	for _, e := range entries {
		if refusal := b.admit(l.state, e); refusal != nil {
			b.back()
			return 0, refusal
		}
	}
	for _, e := range entries {
		if kindOf(e.Kind).Writer != ByKeys {
			continue
		}
		if refusal := l.follow(b, e); refusal != nil {
			b.back()
			return 0, refusal
		}
	}
	b.finish()
	err := l.journal.write(b.bytes)
	if errors.Is(err, errFull) {
		b.back()
		return 0, l.noRoom(err)
	}
	if err == nil {
		err = l.journal.sync()
	}
	if err != nil {
		l.fail(err)
		return 0, mint.Refuse(mint.Unavailable, "the ledger stopped: its disk failed")
	}
	l.advance(b)
	return b.first, nil
}

// advance makes a durable batch the head, and lets it be known which feeds have grown.
func (l *Ledger) advance(b *building) {
	l.head = b.head
	l.recent.add(b.head)
	l.bell.ring(b.grown)
}

// fail stops the ledger for good: what is on the disk is unknown until it has been read again.
func (l *Ledger) fail(err error) {
	err = fmt.Errorf("the ledger stops, because its disk failed: %w", err)
	l.failed.CompareAndSwap(nil, &err)
	l.queue.close()
	l.stop()
}

func (l *Ledger) failure() error {
	if err := l.failed.Load(); err != nil {
		return *err
	}
	return nil
}
