package server

import (
	"net"
	"sync"
	"time"
)

// limitListener lets at most n accepted connections be open at a time. Further ones wait in the kernel's queue until
// one ends, so a crowd makes the house slow and not large.
//
// Its connections also keep their own deadlines. net/http sets four for each request, and almost none is ever reached;
// with a timer of the runtime behind each they cost more than all that a key document costs us. Here setting one is a
// note, and once a second all notes are read. A deadline is therefore up to a second late, never early.
func limitListener(l net.Listener, n int) net.Listener {
	m := &limited{Listener: l, free: make(chan struct{}, n), done: make(chan struct{}), open: map[*counted]struct{}{}}
	go m.watch(time.Second)
	return m
}

type limited struct {
	net.Listener
	free   chan struct{}
	done   chan struct{} // closed with the listener
	closed sync.Once

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
	for now := range tick.C {
		l.mu.Lock()
		for c := range l.open {
			c.expire(now)
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
	at   time.Time // zero for none
	over bool
}

// set notes t. Only a time that is past, which ends what is going on, and what takes that back are passed on.
func (d *deadline) set(t time.Time, pass func(time.Time) error) error {
	past := !t.IsZero() && !t.After(time.Now())
	d.at = t
	if past {
		d.at = time.Time{}
	}
	if past == d.over {
		return nil
	}
	d.over = past
	if past {
		return pass(t)
	}
	return pass(time.Time{})
}

// SetReadDeadline is for [net.Conn].
func (c *counted) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read.set(t, c.Conn.SetReadDeadline)
}

// SetWriteDeadline is for [net.Conn].
func (c *counted) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write.set(t, c.Conn.SetWriteDeadline)
}

// SetDeadline is for [net.Conn].
func (c *counted) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// expire ends what is overdue at now. A connection that can't be told is broken already.
func (c *counted) expire(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.read.at.IsZero() && now.After(c.read.at) {
		_ = c.read.set(c.read.at, c.Conn.SetReadDeadline)
	}
	if !c.write.at.IsZero() && now.After(c.write.at) {
		_ = c.write.set(c.write.at, c.Conn.SetWriteDeadline)
	}
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
