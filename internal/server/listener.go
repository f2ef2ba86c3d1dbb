package server

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// limitListener lets at most n accepted connections be open at a time. Further ones wait in the kernel's queue until
// one ends, so a crowd makes the house slow and not large.
//
// Its connections also keep their own deadlines. net/http sets four for each request, and almost none is ever reached;
// with a timer of the runtime behind each they cost more than all that a key document costs us. Here setting one is a
// note, and once a second all notes are read. A deadline is therefore up to a second late, never early.
func limitListener(l net.Listener, n int) net.Listener {
	m := newLimited(l, n)
	go m.watch(time.Second)
	return m
}

func newLimited(l net.Listener, n int) *limited {
	m := &limited{Listener: l, free: make(chan struct{}, n), done: make(chan struct{}), open: map[*counted]struct{}{}}
	m.clock.Store(time.Now().UnixNano())
	return m
}

type limited struct {
	net.Listener
	free   chan struct{}
	done   chan struct{} // closed with the listener
	closed sync.Once
	clock  atomic.Int64 // Unix nanoseconds when the notes were last read

	mu   sync.Mutex
	open map[*counted]struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	c := &counted{Conn: conn, from: l}
	l.mu.Lock()
	l.open[c] = struct{}{}
	l.mu.Unlock()
	return c, nil
}

func (l *limited) Close() error {
	l.closed.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// watch ends what is overdue until the listener is closed and its last connection too.
func (l *limited) watch(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for range tick.C {
		l.clock.Store(time.Now().UnixNano())
		l.mu.Lock()
		for c := range l.open {
			c.expire()
		}
		left := len(l.open)
		l.mu.Unlock()
		select {
		case <-l.done:
			if left == 0 {
				return
			}
		default:
		}
	}
}

// counted is a connection that holds one of the listener's places until it is closed.
type counted struct {
	net.Conn
	from   *limited
	closed sync.Once

	mu          sync.Mutex // guards the deadlines, and is held while one is passed on
	read, write deadline
}

// deadline is what was asked for, and whether the connection underneath was told that the time is over.
type deadline struct {
	at   int64 // Unix nanoseconds; 0 for none
	over bool
}

// set notes t. Only a time that is past, which ends what is going on, and what takes that back are passed on.
func (d *deadline) set(t time.Time, clock int64, pass func(time.Time) error) error {
	d.at = 0
	if !t.IsZero() {
		d.at = t.UnixNano()
	}
	return d.tell(clock, pass)
}

// tell passes on whether the time is over, if that is news.
func (d *deadline) tell(clock int64, pass func(time.Time) error) error {
	over := d.at != 0 && d.at <= clock
	if over == d.over {
		return nil
	}
	d.over = over
	if over {
		return pass(time.Unix(0, d.at))
	}
	return pass(time.Time{})
}

// SetReadDeadline is for [net.Conn].
func (c *counted) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read.set(t, c.from.clock.Load(), c.Conn.SetReadDeadline)
}

// SetWriteDeadline is for [net.Conn].
func (c *counted) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write.set(t, c.from.clock.Load(), c.Conn.SetWriteDeadline)
}

// SetDeadline is for [net.Conn].
func (c *counted) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// expire ends what is overdue. A connection that can't be told is broken already.
func (c *counted) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clock := c.from.clock.Load()
	_ = c.read.tell(clock, c.Conn.SetReadDeadline)
	_ = c.write.tell(clock, c.Conn.SetWriteDeadline)
}

// Close gives the place back.
func (c *counted) Close() error {
	err := c.Conn.Close()
	c.closed.Do(func() {
		c.from.mu.Lock()
		delete(c.from.open, c)
		c.from.mu.Unlock()
		<-c.from.free
	})
	return err
}
