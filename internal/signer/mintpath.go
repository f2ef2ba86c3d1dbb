package signer

import (
	"context"
	"encoding/base64"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"seawall/internal/keystore"
	"seawall/internal/mint"
)

const (
	// maxPayload bounds the claims of one token, and with it the answer to a full message: a bearer token must fit into a
	// request header anyway.
	maxPayload = 8 << 10
	// maxSignature is the longest signature of any algorithm, in characters: RSA with 4096 bits.
	maxSignature = 683
)

// work is what one message needs, reused from message to message.
type work struct {
	body     []byte // the message, copied off the connection
	answers  []mint.Answer
	items    []item // the accepted requests
	unsigned []mint.Unsigned
	digests  []mint.Digest
	payloads []byte
	tokens   []byte
}

// item is an accepted request on its way to a token.
type item struct {
	answer  int // its place in the message
	issued  int64
	signing *signing
	receipt *mint.Receipt
	token   []byte // room for it
}

var works = sync.Pool{New: func() any { return new(work) }}

// mint answers one message of requests, however long that takes: check all, have the accepted ones recorded in one call,
// sign. [desk.begin] does the same without waiting.
func (s *Signer) mint(ctx context.Context, w *work) (mint.Head, []mint.Answer) {
	away := s.link.await(ctx)
	s.gate.RLock()
	defer s.gate.RUnlock()
	s.check(w, w.body, away)
	head := s.link.head.Head()
	if len(w.items) > 0 {
		told, recorded, err := s.link.recordTokens(ctx, w.unsigned, w.digests)
		head = s.conclude(w, head, told, recorded, err)
	}
	return head, w.answers
}

// check decides on every request of a message and builds what the accepted ones ask for. away says why nothing can be
// recorded, if so. Nothing of body is needed afterwards. Callers hold s.gate.
func (s *Signer) check(w *work, body []byte, away error) {
	w.answers, w.items, w.unsigned, w.digests = w.answers[:0], w.items[:0], w.unsigned[:0], w.digests[:0]
	w.payloads = w.payloads[:0]
	requests, err := mint.ReadRequests(body)
	if err != nil {
		w.answers = append(w.answers, mint.Answer{Request: mint.RequestDigest(body), Refusal: mint.Refuse(mint.Malformed, "%s", err)})
		return
	}
	now := s.clock.Now()
	for i, encoded := range requests {
		w.answers = append(w.answers, mint.Answer{Request: mint.RequestDigest(encoded)})
		q, signing, refusal := s.accept(encoded, now.Unix())
		if refusal == nil && away != nil {
			refusal = errLedgerAway
		}
		if refusal == nil && !s.window.admit(now, q.Tenant, q.JTI, w.answers[i].Request) {
			refusal = mint.Refuse(mint.JTIReused, "")
		}
		if refusal == nil {
			refusal = w.build(i, q, signing, now.Unix())
		}
		w.answers[i].Refusal = refusal
	}
}

// accept decides on one request, from what the signer itself knows.
func (s *Signer) accept(encoded []byte, now int64) (*mint.Request, *signing, *mint.Refusal) {
	if len(encoded) > mint.MaxRequest {
		return nil, nil, mint.Refuse(mint.Malformed, "a request of more than %d bytes", mint.MaxRequest)
	}
	q, err := mint.ReadRequest(encoded)
	if err != nil {
		return nil, nil, mint.Refuse(mint.Malformed, "%s", err)
	}
	t := s.tenantByID(q.Tenant)
	if t == nil {
		return nil, nil, mint.Refuse(mint.TenantUnknown, "")
	}
	if r := t.check(q, now); r != nil {
		return nil, nil, r
	}
	family, _ := q.Kind.Family()
	key := t.signing[family]
	switch {
	case key == nil:
		return nil, nil, mint.Refuse(mint.KeyUnavailable, "")
	case now < key.record.NotBefore:
		return nil, nil, mint.Refuse(mint.ClockSkew, "this clock shows a time before the key was made")
	case now >= key.record.SigningEnds:
		return nil, nil, mint.Refuse(mint.KeyOverdue, "the key's signing time is over and no other took its place")
	case q.Lifetime > key.lifetime || now+q.Lifetime > key.record.Expires:
		return nil, nil, mint.Refuse(mint.KeyOutlived, "at most %d s under the present key", min(key.lifetime, key.record.Expires-now))
	}
	return q, key, nil
}

// build writes the claims of an accepted request.
func (w *work) build(i int, q *mint.Request, key *signing, now int64) *mint.Refusal {
	token := q.Token()
	token.IssuedAt, token.Expires = now, now+q.Lifetime
	start := len(w.payloads)
	w.payloads = token.Payload(w.payloads)
	payload := w.payloads[start:len(w.payloads):len(w.payloads)]
	if len(payload) > maxPayload {
		w.payloads = w.payloads[:start]
		return mint.Refuse(mint.Malformed, "the claims are over %d bytes", maxPayload)
	}
	w.items = append(w.items, item{answer: i, issued: now, signing: key})
	w.unsigned = append(w.unsigned, mint.Unsigned{Header: key.header, Payload: payload, Evidence: q.Evidence})
	w.digests = append(w.digests, mint.TokenDigest(key.header, payload))
	return nil
}

// conclude signs the accepted requests that the ledger recorded, and returns the head to tell: the ledger's, or head when
// it said none. Without the ledger's word nothing is signed.
func (s *Signer) conclude(w *work, head, told mint.Head, recorded []mint.Recorded, err error) mint.Head {
	if err != nil {
		s.fail(err)
		for i := range w.items {
			w.answers[w.items[i].answer].Refusal = errLedgerAway
		}
		return head
	}
	w.tokens = w.tokens[:0]
	w.reserve()
	ready := 0
	for i := range w.items {
		it := &w.items[i]
		refusal := recorded[i].Refusal
		if refusal == nil && !s.link.receiptFits(&recorded[i].Receipt, it.issued, told) {
			refusal = mint.Refuse(mint.ClockSkew, "the receipt is not one that a validator would accept")
		}
		if refusal != nil {
			w.answers[it.answer].Refusal = refusal
			continue
		}
		it.receipt = &recorded[i].Receipt
		ready++
	}
	w.sign(ready, s.crew)
	return told
}

// reserve gives each item its own room in one buffer, so that tokens can be written side by side.
func (w *work) reserve() {
	size := 0
	for i := range w.items {
		size += room(&w.unsigned[i])
	}
	if cap(w.tokens) < size {
		w.tokens = make([]byte, size)
	}
	free := w.tokens[:size]
	for i := range w.items {
		n := room(&w.unsigned[i])
		w.items[i].token, free = free[:0:n], free[n:]
	}
}

// room is the length that a token can have at most.
func room(u *mint.Unsigned) int {
	const receipt = 130 // what it adds to the header
	return base64.RawURLEncoding.EncodedLen(len(u.Header)+receipt) + 1 + base64.RawURLEncoding.EncodedLen(len(u.Payload)) + 1 + maxSignature
}

// sign signs the recorded items, on all processors when there are several.
func (w *work) sign(ready int, c *crew) {
	var next atomic.Int64
	one := func() {
		for i := int(next.Add(1)) - 1; i < len(w.items); i = int(next.Add(1)) - 1 {
			if w.items[i].receipt != nil {
				w.signItem(i)
			}
		}
	}
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), ready) - 1 {
		workers.Add(1)
		c.do(func() {
			defer workers.Done()
			one()
		})
	}
	one()
	workers.Wait()
}

// signItem writes one token: header with receipt, payload, signature (RFC 7515 §7.1).
func (w *work) signItem(i int) {
	it, u := &w.items[i], &w.unsigned[i]
	var scratch [768]byte
	b := base64.RawURLEncoding.AppendEncode(it.token, mint.WithReceipt(scratch[:0], u.Header, it.receipt))
	b = base64.RawURLEncoding.AppendEncode(append(b, '.'), u.Payload)
	sig, err := keystore.AppendSignature(scratch[:0], it.signing.key, it.signing.record.Alg, b)
	if err != nil {
		// The token is recorded and was never made: harmless, and the request can be repeated.
		w.answers[it.answer].Refusal = mint.Refuse(mint.Unavailable, "the key store did not sign; try again")
		return
	}
	w.answers[it.answer].Token = base64.RawURLEncoding.AppendEncode(append(b, '.'), sig)
}

// fail ends the signer when err means that it can't go on.
func (s *Signer) fail(err error) {
	if errors.Is(err, ErrRefused) {
		select {
		case s.fatal <- err:
		default: // one reason is enough
		}
	}
}
