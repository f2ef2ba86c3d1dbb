package mint

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"time"
)

// Dial gives the next connection to a vault; it blocks until there is one or
// ctx ends. After a connection broke it is called again.
type Dial func(ctx context.Context) (net.Conn, error)

// Patience is how long a call waits for a vault that is away before it gives
// up. A restarted vault is usually back within it.
const Patience = time.Second

// errAway is what callers see while there is no connection.
var errAway = Refuse(Unavailable, "the vault is restarting or unreachable; try again in a second")

// Caller is the asking side of a connection: pipelined, reconnecting. Make one
// with [NewCaller] and stop it by ending its context.
type Caller struct {
	mu      sync.Mutex
	w       *FrameWriter
	conn    net.Conn
	nextID  uint64
	pending map[uint64]func([]byte, error)
	up      chan struct{} // closed while there is a connection
	done    chan struct{}
	onUp    func()
}

// NewCaller keeps a connection from dial until ctx ends. onUp, if not nil, runs
// whenever there is a new one, before anybody can call, on a goroutine that may
// use the caller only through [Caller.Go].
func NewCaller(ctx context.Context, dial Dial, onUp func()) *Caller {
	c := &Caller{pending: map[uint64]func([]byte, error){}, up: make(chan struct{}), done: make(chan struct{}), onUp: onUp}
	go c.run(ctx, dial)
	return c
}

// Done is closed when the caller has stopped for good.
func (c *Caller) Done() <-chan struct{} { return c.done }

// Connected reports whether there is a connection now.
func (c *Caller) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.w != nil
}

func (c *Caller) run(ctx context.Context, dial Dial) {
	defer close(c.done)
	for ctx.Err() == nil {
		conn, err := dial(ctx)
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		c.attach(conn)
		c.read(conn)
		stop()
		c.detach(conn)
	}
}

func (c *Caller) attach(conn net.Conn) {
	c.mu.Lock()
	c.conn, c.w = conn, NewFrameWriter(conn)
	close(c.up)
	c.mu.Unlock()
	if c.onUp != nil {
		c.onUp()
	}
}

func (c *Caller) detach(conn net.Conn) {
	conn.Close()
	c.mu.Lock()
	c.conn, c.w, c.up = nil, nil, make(chan struct{})
	lost := c.pending
	c.pending = map[uint64]func([]byte, error){}
	c.mu.Unlock()
	for _, done := range lost {
		done(nil, errAway)
	}
}

func (c *Caller) read(conn net.Conn) {
	r := NewFrameReader(conn)
	for {
		f, err := r.Next(false)
		if err != nil {
			return
		}
		c.mu.Lock()
		done := c.pending[f.ID]
		delete(c.pending, f.ID)
		c.mu.Unlock()
		if done != nil {
			done(f.Body, nil)
		}
	}
}

// Go sends one message and returns. done gets the answer's body, valid only
// during the call and on the reading goroutine, or an error when there is no
// connection or it broke; then the message may or may not have been acted on.
func (c *Caller) Go(typ MsgType, fill func([]byte) []byte, done func([]byte, error)) {
	c.mu.Lock()
	w, conn := c.w, c.conn
	if w == nil {
		c.mu.Unlock()
		done(nil, errAway)
		return
	}
	c.nextID++
	id := c.nextID
	c.pending[id] = done
	c.mu.Unlock()
	if err := w.Write(typ, id, fill); err != nil {
		conn.Close() // the reader sees it and fails everything pending, this call too
	}
}

// Break ends the present connection: used when the peer's answers make no sense.
func (c *Caller) Break() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.Close()
	}
}

// Await waits for a connection, at most [Patience].
func (c *Caller) Await(ctx context.Context) error {
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	select {
	case <-up:
		return nil
	default:
	}
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
	case <-c.done:
	case <-timer.C:
	}
	return errAway
}

// Call sends one message and waits for its answer, which is a copy.
func (c *Caller) Call(ctx context.Context, typ MsgType, fill func([]byte) []byte) ([]byte, error) {
	if err := c.Await(ctx); err != nil {
		return nil, err
	}
	type result struct {
		body []byte
		err  error
	}
	ch := make(chan result, 1)
	c.Go(typ, fill, func(body []byte, err error) {
		ch <- result{append([]byte(nil), body...), err}
	})
	select {
	case r := <-ch:
		return r.body, r.err
	case <-ctx.Done():
		return nil, errAway
	}
}

// CallJSON is Call for control messages: question and answer as JSON.
func (c *Caller) CallJSON(ctx context.Context, typ MsgType, question, answer any) error {
	q, err := json.Marshal(question)
	if err != nil {
		return err
	}
	body, err := c.Call(ctx, typ, func(b []byte) []byte { return append(b, q...) })
	if err != nil {
		return err
	}
	return ReadJSONAnswer(body, answer)
}
