package mint

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	maxQueued  = 4096 // requests waiting; more are refused as busy
	maxFlights = 4    // messages under way
	// worthwhile is how many requests must wait for each message under way before another leaves. A message costs signer
	// and ledger a signature, an fsync and half a dozen threads woken, so a few full ones are cheaper than many small ones;
	// and who waits, waits for an answer that is on its way.
	worthwhile = 32
	// gatherTime is how long a message waits for those who have just been
	// answered. After it was in vain some messages do not wait, each time in a
	// row twice as many, and never more than mostHasty.
	gatherTime = 4 * time.Millisecond
	mostHasty  = 63
)

// Client is the house's side of the counter. It gathers what is queued into
// messages: an idle client sends at once from the caller's own goroutine; a busy
// one sends when an answer comes back. Tenants take turns.
//
// Clients that have just been answered often ask again at once. When a message
// lands and none is under way, the next waits for a moment for as many to come
// back as were answered: one message for all costs much less than two, and two
// groups of clients would go on taking turns for ever, or one that comes back
// first and all the others. Beyond what makes a message worthwhile nobody is
// waited for: the house works while signer and ledger do. A client that is
// alone waits for nobody.
type Client struct {
	*Caller
	// OnHead, if set before the first request, is told the ledger's head as of
	// each message, in order of arrival.
	onHead func(Head)

	mu      sync.Mutex
	queues  map[string][]*item
	turns   []string // tenants with something queued, next first
	queued  int
	flights int
	gather  int         // no message leaves until so many are queued; 0: they leave
	enough  *time.Timer // ends the gathering
	hasty   int         // so many messages are not waited with
	vain    int         // how many that was the last time, while it goes on being in vain
}

type item struct {
	tenant  string
	encoded []byte
	digest  Digest
	done    chan Answer
	gone    bool // nobody waits any more; under Client.mu
}

// NewClient talks to the signer over connections from dial until ctx ends.
// onHead, if not nil, learns the ledger's head with every answer.
func NewClient(ctx context.Context, dial Dial, onHead func(Head)) *Client {
	c := &Client{queues: map[string][]*item{}, onHead: onHead}
	ready := make(chan struct{})
	c.Caller = NewCaller(ctx, dial, func() { <-ready; c.pump() })
	close(ready)
	return c
}

// Mint asks for one token. A request that was on its way when the connection
// broke is sent again with the same jti; ctx bounds the whole. The error is a
// *[Refusal].
func (c *Client) Mint(ctx context.Context, q *Request) ([]byte, error) {
	it, err := newItem(q)
	if err != nil {
		return nil, err
	}
	if err := c.send(ctx, it); err != nil {
		return nil, err
	}
	return c.wait(ctx, it)
}

// MintBoth asks for two tokens of one tenant at once: where there is room they
// ride in one message, and the ledger records them in one commit. If one is
// refused, there is neither; the other may have been recorded, which harms
// nobody.
func (c *Client) MintBoth(ctx context.Context, first, second *Request) (a, b []byte, err error) {
	one, err := newItem(first)
	if err != nil {
		return nil, nil, err
	}
	other, err := newItem(second)
	if err != nil {
		return nil, nil, err
	}
	if err := c.send(ctx, one, other); err != nil {
		return nil, nil, err
	}
	a, err = c.wait(ctx, one)
	b, otherErr := c.wait(ctx, other)
	if err == nil {
		err = otherErr
	}
	if err != nil {
		return nil, nil, err
	}
	return a, b, nil
}

func newItem(q *Request) (*item, error) {
	it := &item{tenant: q.Tenant, encoded: q.Append(make([]byte, 0, 512)), done: make(chan Answer, 1)}
	if len(it.encoded) > MaxRequest {
		return nil, Refuse(Malformed, "a request of %d bytes is over the limit of %d", len(it.encoded), MaxRequest)
	}
	it.digest = RequestDigest(it.encoded)
	return it, nil
}

// send queues items, all or none, and lets them go.
func (c *Client) send(ctx context.Context, items ...*item) error {
	if !c.Connected() {
		if err := c.Await(ctx); err != nil {
			return err
		}
	}
	if !c.enqueue(items...) {
		return Refuse(Busy, "%d requests are waiting for the signer", maxQueued)
	}
	c.pump()
	return nil
}

func (c *Client) wait(ctx context.Context, it *item) ([]byte, error) {
	select {
	case a := <-it.done:
		if a.Refusal != nil {
			return nil, a.Refusal
		}
		return a.Token, nil
	case <-ctx.Done():
		c.mu.Lock()
		it.gone = true
		c.mu.Unlock()
		return nil, errAway
	}
}

func (c *Client) enqueue(items ...*item) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queued+len(items) > maxQueued {
		return false
	}
	for _, it := range items {
		q := c.queues[it.tenant]
		if len(q) == 0 {
			c.turns = append(c.turns, it.tenant)
		}
		c.queues[it.tenant] = append(q, it)
		c.queued++
	}
	return true
}

// take removes up to one message's worth, one request per tenant and turn.
func (c *Client) take() []*item {
	var batch []*item
	for len(batch) < MaxBatch && len(c.turns) > 0 {
		tenant := c.turns[0]
		c.turns = c.turns[1:]
		q := c.queues[tenant]
		it := q[0]
		c.queued--
		if len(q) == 1 {
			delete(c.queues, tenant)
		} else {
			c.queues[tenant] = q[1:]
			c.turns = append(c.turns, tenant)
		}
		if !it.gone {
			batch = append(batch, it)
		}
	}
	return batch
}

// pump sends messages while there is something to send and room for it.
func (c *Client) pump() {
	for {
		c.mu.Lock()
		if c.gather > 0 && c.queued >= c.gather {
			c.endGather()
			c.vain = 0
		}
		if c.gather > 0 || c.queued == 0 || c.flights >= maxFlights || c.queued < worthwhile*c.flights || !c.Connected() {
			c.mu.Unlock()
			return
		}
		batch := c.take()
		if len(batch) == 0 {
			c.mu.Unlock()
			return
		}
		c.flights++
		c.mu.Unlock()
		c.Go(MsgMint,
			func(b []byte) []byte { return appendItems(b, batch) },
			func(body []byte, err error) { c.landed(batch, body, err) })
	}
}

// beginGather waits for those who were answered, if that is likely to be worth
// it. Called with mu held.
func (c *Client) beginGather(answered int) {
	switch {
	case c.flights > 0 || c.queued >= worthwhile || c.queued+answered == 1:
		return
	case c.hasty > 0:
		c.hasty--
		return
	}
	c.gather = min(c.queued+answered, worthwhile)
	var timer *time.Timer
	timer = time.AfterFunc(gatherTime, func() {
		c.mu.Lock()
		inVain := c.enough == timer
		if inVain {
			c.endGather()
			c.vain = min(2*c.vain+1, mostHasty)
			c.hasty = c.vain
		}
		c.mu.Unlock()
		if inVain {
			c.pump()
		}
	})
	c.enough = timer
}

// endGather lets messages leave. Called with mu held.
func (c *Client) endGather() {
	c.enough.Stop()
	c.gather, c.enough = 0, nil
}

func appendItems(b []byte, batch []*item) []byte {
	b = appendUint(b, uint64(len(batch)))
	for _, it := range batch {
		b = appendString(b, it.encoded)
	}
	return b
}

// landed hands answers out, or queues the batch again when the connection broke
// under it: the same bytes, so the same jti.
func (c *Client) landed(batch []*item, body []byte, err error) {
	if err == nil {
		err = c.deliver(batch, body)
	}
	c.mu.Lock()
	c.flights--
	if err == nil {
		c.beginGather(len(batch))
	}
	c.mu.Unlock()
	if err != nil {
		if !c.enqueue(batch...) {
			for _, it := range batch {
				it.done <- Answer{Refusal: errAway}
			}
		}
		if !errors.Is(err, errAway) {
			c.Break()
		}
	}
	c.pump() // after an error too: a new connection may have come while the batch was on its way back here
}

// deliver matches answers to requests by digest.
func (c *Client) deliver(batch []*item, body []byte) error {
	head, answers, err := ReadAnswers(body)
	if err != nil {
		return err
	}
	if len(answers) != len(batch) {
		return Refuse(Malformed, "%d answers to %d requests", len(answers), len(batch))
	}
	for i := range answers {
		if answers[i].Request != batch[i].digest {
			return Refuse(Malformed, "an answer to another request")
		}
	}
	if c.onHead != nil {
		c.onHead(head)
	}
	for i := range answers {
		answers[i].Token = append([]byte(nil), answers[i].Token...)
		batch[i].done <- answers[i]
	}
	return nil
}
