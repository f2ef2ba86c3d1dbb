package ledger

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"seawall/internal/mint"
)

// Role says who is at the other end of a connection. It is decided by the connection, never by what comes over it.
type Role string

// The roles. The signer records tokens, keys and its own kinds of entry; the house records and reads its own kinds.
const (
	Signer Role = "signer"
	House  Role = "house"
)

const (
	inFlight = 256  // messages of one connection that wait for their answers
	helloKey = 2000 // keys on one page of a hello
)

// exchange is one connection, as the ledger sees it.
type exchange struct {
	l     *Ledger
	role  Role
	w     *mint.FrameWriter
	conn  net.Conn
	slots chan struct{} // one per message under way
	gone  chan struct{} // closed when nothing more is read
	out   outbox
	// broken says that an answer could not be sent: all further ones are dropped.
	broken atomic.Bool

	// Of the reading goroutine alone.
	met     bool          // it has said hello
	seal    *mint.Seal    // agreed on in hello, with a signer that offered a share
	refused *mint.Refusal // its hello was refused
}

// reply is an answer on its way out: a body, or a value for JSON, or an error.
type reply struct {
	typ  mint.MsgType
	id   uint64
	body []byte
	v    any
	err  error
}

// outbox holds the answers of one connection until they are written: one for each slot at most. The goroutine that reads
// the connection writes those that come about while it is at work; for the others there is a second one.
type outbox struct {
	mu     sync.Mutex
	list   []reply
	sent   int           // of list
	atWork bool          // the reader is, and empties the box before it waits
	wake   chan struct{} // of the writer
}

// enter says that the reader is at work.
func (o *outbox) enter() {
	o.mu.Lock()
	o.atWork = true
	o.mu.Unlock()
}

func (o *outbox) put(a reply) {
	o.mu.Lock()
	o.list = append(o.list, a)
	atWork := o.atWork
	o.mu.Unlock()
	if atWork {
		return
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// next returns an answer to write. If there is none, the reader, when it is the one who asks, is not at work any more.
func (o *outbox) next(reader bool) (a reply, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent == len(o.list) {
		o.list, o.sent = o.list[:0], 0
		o.atWork = o.atWork && !reader
		return a, false
	}
	a, o.list[o.sent] = o.list[o.sent], reply{}
	o.sent++
	return a, true
}

// Serve answers one writer until its connection or ctx ends, or the ledger stops. Messages under way are answered before
// it returns, unless the ledger failed. It closes conn.
func (l *Ledger) Serve(ctx context.Context, conn net.Conn, role Role) error {
	s := &exchange{l: l, role: role, w: mint.NewFrameWriter(conn), conn: conn, slots: make(chan struct{}, inFlight),
		gone: make(chan struct{}), out: outbox{wake: make(chan struct{}, 1)}}
	defer conn.Close()
	// Ending the reading side alone lets the answers under way go out.
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Now()) })()
	defer context.AfterFunc(l.ctx, func() { conn.Close() })()

	written, all := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(written)
		s.write(all)
	}()
	err := s.read(mint.NewFrameReader(conn))
	close(s.gone)
	s.settle()
	s.drain()
	close(all)
	<-written
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// read takes messages off the connection. Those that have arrived together are committed together.
func (s *exchange) read(r *mint.FrameReader) error {
	for {
		f, err := r.Next(false)
		if err != nil {
			return err
		}
		s.out.enter()
		if err := s.slot(); err != nil {
			return err
		}
		if err := s.handle(f); err != nil {
			<-s.slots
			return err
		}
		if !r.Ready() {
			s.settle()
		}
	}
}

// slot takes a place for one more message. If there is none, what is under way must be answered first.
func (s *exchange) slot() error {
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	s.settle()
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-s.l.ctx.Done():
		return net.ErrClosed
	}
}

// settle commits what was read and writes what is answered.
func (s *exchange) settle() {
	s.l.settle()
	s.send(true)
}

// drain waits until every message has its answer, or the ledger has stopped.
func (s *exchange) drain() {
	for range cap(s.slots) {
		select {
		case s.slots <- struct{}{}:
		case <-s.l.ctx.Done():
			return
		}
	}
}

// write sends answers that come about while the reader waits, until all is closed.
func (s *exchange) write(all <-chan struct{}) {
	for {
		select {
		case <-s.out.wake:
			s.send(false)
		case <-all:
			return
		}
	}
}

// send writes what is in the outbox and frees the place of each answer. When the other side does not take them, the
// connection ends, and what was still to be sent is dropped: its entries stay, and the other side asks again.
func (s *exchange) send(reader bool) {
	for {
		a, ok := s.out.next(reader)
		if !ok {
			return
		}
		if !s.broken.Load() && s.sendOne(a) != nil {
			s.broken.Store(true)
			s.conn.Close()
		}
		<-s.slots
	}
}

func (s *exchange) sendOne(a reply) error {
	if a.body != nil {
		return s.w.Write(a.typ, a.id, func(b []byte) []byte { return append(b, a.body...) })
	}
	return s.w.WriteJSON(a.typ, a.id, a.v, a.err)
}

// answer sends v or err as the answer to f, from any goroutine.
func (s *exchange) answer(f mint.Frame, v any, err error) {
	s.out.put(reply{typ: f.Type, id: f.ID, v: v, err: err})
}

// handle begins what a message asks for. An error ends the connection.
func (s *exchange) handle(f mint.Frame) error {
	id := mint.Frame{Type: f.Type, ID: f.ID} // the body is not valid for longer than this call
	if f.Type == mint.MsgHello {
		return s.hello(id, f.Body)
	}
	refusal := s.refusal()
	allowed := s.role == Signer
	switch {
	case f.Type == mint.MsgTokens && allowed && s.seal != nil:
		return s.tokens(id, f.Body, refusal)
	case refusal != nil:
		s.answer(id, nil, refusal)
	case f.Type == mint.MsgTokens && allowed:
		s.answer(id, nil, mint.Refuse(mint.Malformed, "say hello with a share first"))
	case f.Type == mint.MsgKey && allowed:
		s.keys(id, f.Body)
	case f.Type == mint.MsgEntries:
		s.entries(id, f.Body)
	case s.role == House && s.asked(id, f.Body):
	case knownMessage(f.Type):
		s.answer(id, nil, mint.Refuse(mint.EntryNotAllowed, "the %s may not ask for this", s.role))
	default:
		s.answer(id, nil, mint.Refuse(mint.Malformed, "there is no such message"))
	}
	return nil
}

// asked answers what only the house may ask, and reports whether this was of that kind.
func (s *exchange) asked(f mint.Frame, body []byte) bool {
	switch f.Type {
	case mint.MsgState:
		s.state(f, body)
	case mint.MsgFeed:
		s.feed(f, body)
	case mint.MsgWatch:
		s.watch(f, body)
	case mint.MsgCount:
		s.count(f, body)
	case mint.MsgSearch:
		s.find(f, body)
	default:
		return false
	}
	return true
}

// knownMessage reports whether a message is one that some writer may send.
func knownMessage(t mint.MsgType) bool { return mint.MsgTokens <= t && t <= mint.MsgSearch }

// refusal says why this writer is refused everything, if it is.
func (s *exchange) refusal() *mint.Refusal {
	switch {
	case s.l.alarm.Load() != nil:
		return s.l.alarm.Load()
	case s.refused != nil:
		return s.refused
	case !s.met:
		return mint.Refuse(mint.Malformed, "say hello first")
	}
	return nil
}

// hello compares the head that the writer remembers with the log, and tells it where the ledger is.
func (s *exchange) hello(f mint.Frame, body []byte) error {
	var q mint.HelloQuery
	if err := mint.ReadJSON(body, &q); err != nil {
		s.answer(f, nil, mint.Refuse(mint.Malformed, "hello is not readable"))
		return nil
	}
	var batch hash
	if q.Size > 0 && batch.UnmarshalText([]byte(q.Batch)) != nil {
		s.answer(f, nil, mint.Refuse(mint.Malformed, "the remembered head is not readable"))
		return nil
	}
	has, err := s.l.hasHead(q.Size, batch)
	if err != nil {
		return err
	}
	if s.refused = nil; !has {
		s.refused = mint.Refuse(mint.StateRolledBack, "the %s remembers %d entries ending in %s, and the log of this ledger never ended so: it was cut or replaced; put back the newest copy of the ledger's directory",
			s.role, q.Size, short(q.Batch))
		if s.l.due("rollback " + string(s.role)) {
			s.l.log.Error("alarm: the log was rolled back", "remembered_by", string(s.role), "remembered_size", q.Size,
				"remembered_head", q.Batch, "size", s.l.recent.last().Size)
		}
	}
	if refusal := s.l.alarm.Load(); refusal != nil {
		s.refused = refusal
	}
	if s.refused != nil {
		s.answer(f, nil, s.refused)
		return nil
	}
	share, signature, err := s.agree(q.Share)
	if err != nil {
		s.answer(f, nil, mint.Refuse(mint.Malformed, "the share is not readable"))
		return nil
	}
	s.met = true
	j := &job{alone: func() {
		h := s.l.hello(s.role, q.KeysAfter)
		h.Share, h.ShareSignature = share, signature
		s.answer(f, h, nil)
	}}
	if !s.l.queue.add(j) {
		return net.ErrClosed
	}
	return nil
}

// agree takes a signer's share for this connection and returns what answers it. Nobody else gets a seal.
func (s *exchange) agree(theirs string) (share, signature string, err error) {
	if theirs == "" || s.role != Signer {
		return "", "", nil
	}
	s.seal, share, signature, err = mint.AnswerShare(s.l.keys.root, theirs)
	return share, signature, err
}

func short(text string) string { return text[:min(12, len(text))] + "…" }

// hello runs between two batches, so what it tells is of one moment and durable.
func (l *Ledger) hello(role Role, keysAfter string) *mint.Hello {
	h := &mint.Hello{Document: *l.document.Load(), Size: l.head.Size, Millis: l.head.Millis, Batch: l.head.Batch.String(),
		Now: uint64(l.clock().UnixMilli())}
	if role != Signer {
		h.Level = l.level
		return h
	}
	kids := make([]string, 0, len(l.state.Keys))
	for kid := range l.state.Keys {
		if kid > keysAfter {
			kids = append(kids, kid)
		}
	}
	slices.Sort(kids)
	if len(kids) > helloKey {
		kids = kids[:helloKey]
		h.More = kids[helloKey-1]
	}
	for _, kid := range kids {
		k := l.state.Keys[kid]
		h.Keys = append(h.Keys, mint.KeyStep{Tenant: k.Tenant, Issuer: k.Issuer, KID: kid, Epoch: k.Epoch, State: k.State})
	}
	if keysAfter == "" {
		h.Policies = make(map[string]uint64, len(l.state.Policies))
		for tenant, p := range l.state.Policies {
			h.Policies[tenant] = p.Version
		}
	}
	return h
}

// tokens reads, checks and queues tokens. refusal, if not nil, is the answer to each.
func (s *exchange) tokens(f mint.Frame, body []byte, refusal *mint.Refusal) error {
	list, err := mint.ReadTokens(body)
	if err != nil {
		return err // an answer that cannot be counted cannot be given
	}
	j := &job{tokens: make([]draft, len(list)), results: make([]mint.Recorded, len(list)), digests: make([]mint.Digest, len(list)),
		seal: s.seal, size: len(body) + 256*len(list)}
	for i := range list {
		j.tokens[i], j.results[i].Refusal = readDraft(&list[i])
		j.digests[i] = j.tokens[i].digest
		if refusal != nil {
			j.results[i].Refusal = refusal
		}
	}
	j.done = func(mint.Head) { s.out.put(reply{typ: f.Type, id: f.ID, body: j.answer}) }
	if !s.l.queue.add(j) {
		return net.ErrClosed
	}
	return nil
}

// entries queues entries of the writer's own kinds: all of them or none.
func (s *exchange) entries(f mint.Frame, body []byte) {
	list, err := mint.ReadEntries(body)
	if err != nil {
		s.answer(f, nil, mint.Refuse(mint.Malformed, "the entries are not readable"))
		return
	}
	writer := Writer(s.role)
	alone := false
	for _, e := range list {
		if r := checkForeign(e, writer); r != nil {
			s.answer(f, nil, r)
			return
		}
		alone = alone || changes(e.Kind)
	}
	j := &job{entries: list, size: len(body) + 256*len(list)}
	j.done = func(h mint.Head) { s.appended(f, j.first, h, j.refusal) }
	if alone {
		j = &job{alone: func() {
			first, refusal := s.l.record(list)
			s.appended(f, first, s.l.head, refusal)
		}}
	}
	if !s.l.queue.add(j) {
		s.answer(f, nil, errClosing)
	}
}

var errClosing = mint.Refuse(mint.Unavailable, "the ledger is stopping")

func (s *exchange) appended(f mint.Frame, first uint64, h mint.Head, refusal *mint.Refusal) {
	if refusal != nil {
		s.answer(f, nil, refusal)
		return
	}
	s.answer(f, &mint.Appended{Sequence: first, Size: h.Size, Millis: h.Millis, Batch: h.Batch.String()}, nil)
}

// keys records steps of keys.
func (s *exchange) keys(f mint.Frame, body []byte) {
	var q mint.KeyRecords
	if err := mint.ReadJSON(body, &q); err != nil || len(q.Steps) == 0 || len(q.Steps) > mint.MaxSteps {
		s.answer(f, nil, mint.Refuse(mint.Malformed, "the steps are not readable, or not 1 to %d", mint.MaxSteps))
		return
	}
	j := &job{alone: func() {
		recorded, refusal := s.l.recordSteps(q.Steps)
		if refusal != nil {
			s.answer(f, nil, refusal)
			return
		}
		s.answer(f, recorded, nil)
	}}
	if !s.l.queue.add(j) {
		s.answer(f, nil, errClosing)
	}
}

// recordSteps runs between two batches.
func (l *Ledger) recordSteps(steps []mint.KeyRecord) (*mint.KeysRecorded, *mint.Refusal) {
	var entries []*mint.Entry
	var statements []string
	now := l.clock()
	for i := range steps {
		e, statement, refusal := stepEntry(&steps[i], l.keys.root, now)
		if refusal != nil {
			return nil, refusal
		}
		entries, statements = append(entries, e), append(statements, statement)
	}
	first, refusal := l.record(entries)
	if refusal != nil {
		return nil, refusal
	}
	return &mint.KeysRecorded{Sequence: first, Statements: statements,
		Size: l.head.Size, Millis: l.head.Millis, Batch: l.head.Batch.String()}, nil
}
