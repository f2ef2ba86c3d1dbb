package signer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"seawall/internal/mint"
)

// maxMessages bounds the messages of one connection that are being worked on; further ones wait unread.
const maxMessages = 32

// Serve answers the house on one connection until the house closes it or ctx ends; then it finishes what was begun. It
// closes conn.
func (s *Signer) Serve(ctx context.Context, conn net.Conn) error {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	d := &desk{s: s, w: mint.NewFrameWriter(conn), slots: make(chan struct{}, maxMessages)}
	defer d.working.Wait()
	r := mint.NewFrameReader(conn)
	for {
		f, err := r.Next(false)
		switch {
		case ctx.Err() != nil || errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading from the house: %w", err)
		}
		d.take(context.WithoutCancel(ctx), f)
	}
}

// desk serves one connection.
type desk struct {
	s       *Signer
	w       *mint.FrameWriter
	slots   chan struct{}
	working sync.WaitGroup
}

// take starts the work on a message. What needs no ledger is answered at once.
func (d *desk) take(ctx context.Context, f mint.Frame) {
	switch f.Type {
	case mint.MsgHealth:
		d.health(f)
		return
	case mint.MsgKeys:
		d.keys(f)
		return
	}
	w := works.Get().(*work)
	d.slots <- struct{}{}
	d.working.Add(1)
	if f.Type == mint.MsgMint && d.begin(f, w) {
		return
	}
	w.body = append(w.body[:0], f.Body...) // the reader uses its buffer again
	d.s.crew.do(func() {
		defer d.end(w)
		if f.Type == mint.MsgMint {
			d.mint(ctx, f.ID, w)
			return
		}
		d.control(ctx, f.Type, f.ID, w.body)
	})
}

// begin checks a message of requests at once and goes on when the ledger has answered: a message then wakes two goroutines,
// and not five, which at a few requests a message costs as much as signing them. It is for when nothing has to be waited
// for: a ledger that is there, and no key that is changing. Otherwise it returns false and has done nothing.
func (d *desk) begin(f mint.Frame, w *work) bool {
	s := d.s
	if !s.link.isReady() || !s.gate.TryRLock() {
		return false
	}
	s.check(w, f.Body, nil)
	head := s.link.head.Head()
	if len(w.items) == 0 {
		s.gate.RUnlock()
		d.answer(f.ID, head, w)
		return true
	}
	s.link.recordSoon(w.unsigned, w.digests, func(told mint.Head, recorded []mint.Recorded, err error) {
		head := s.conclude(w, head, told, recorded, err)
		s.gate.RUnlock()
		d.answer(f.ID, head, w)
	})
	return true
}

// answer sends what has become of a message of requests.
func (d *desk) answer(id uint64, head mint.Head, w *work) {
	_ = d.w.Write(mint.MsgMint, id, func(b []byte) []byte { return mint.AppendAnswers(b, head, w.answers) })
	d.end(w)
}

// end is the end of the work on a message.
func (d *desk) end(w *work) {
	works.Put(w)
	<-d.slots
	d.working.Done()
}

// An answer that can't be written is an answer to a house that is gone; the reader will see it.

func (d *desk) mint(ctx context.Context, id uint64, w *work) {
	head, answers := d.s.mint(ctx, w)
	_ = d.w.Write(mint.MsgMint, id, func(b []byte) []byte { return mint.AppendAnswers(b, head, answers) })
}

func (d *desk) health(f mint.Frame) {
	why, _ := d.s.guard.frozen()
	_ = d.w.WriteJSON(f.Type, f.ID, mint.Health{Level: d.s.level, Custody: d.s.store.Custody(), Frozen: why, Ledger: d.s.link.isReady()}, nil)
}

func (d *desk) keys(f mint.Frame) {
	var q mint.KeysQuery
	if err := mint.ReadJSON(f.Body, &q); err != nil {
		_ = d.w.WriteJSON(f.Type, f.ID, nil, mint.Refuse(mint.Malformed, "%s", err))
		return
	}
	keys, err := d.s.Keys(q)
	_ = d.w.WriteJSON(f.Type, f.ID, keys, err)
}

func (d *desk) control(ctx context.Context, typ mint.MsgType, id uint64, body []byte) {
	var answer any
	var err error
	switch typ {
	case mint.MsgPolicy:
		answer, err = asked(ctx, body, d.s.ApplyPolicy)
	case mint.MsgRotate:
		answer, err = asked(ctx, body, d.s.Rotate)
	case mint.MsgDistrust:
		answer, err = asked(ctx, body, d.s.Distrust)
	case mint.MsgClock:
		answer, err = asked(ctx, body, d.s.AcceptClock)
	default:
		err = mint.Refuse(mint.Malformed, "the signer has no message %d", typ)
	}
	d.s.report(ctx, typ, err)
	_ = d.w.WriteJSON(typ, id, answer, err)
}

// asked reads a question and has it answered.
func asked[Q, A any](ctx context.Context, body []byte, answer func(context.Context, Q) (A, error)) (any, error) {
	var q Q
	if err := mint.ReadJSON(body, &q); err != nil {
		return nil, mint.Refuse(mint.Malformed, "%s", err)
	}
	return answer(ctx, q)
}

// report logs what went wrong on our side, for the house is told only that something did, and ends the signer when it
// can't go on.
func (s *Signer) report(ctx context.Context, typ mint.MsgType, err error) {
	if refusal := (*mint.Refusal)(nil); err != nil && !errors.As(err, &refusal) {
		s.log.ErrorContext(ctx, "a message could not be carried out", "message", int(typ), "error", err)
	}
	s.fail(err)
}
