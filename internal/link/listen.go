package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"
)

// Bind opens the socket of a listening end and reads no file. A process that is about to give up its rights does this
// before, and [Secure] afterwards. A socket file that a dead process left behind is replaced.
func Bind(e End) (net.Listener, error) {
	if err := e.Check(); err != nil {
		return nil, err
	}
	network, address := e.network()
	if network == "unix" {
		if err := removeStale(address); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("link %s: %w: end the process that uses it, or choose another address", e.Address, err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // behind its walls the process may not see the path, or see another file there
		// Whoever may reach the file may connect; the kernel tells who it is, and only one user is accepted.
		if err := os.Chmod(address, 0o666); err != nil {
			l.Close()
			return nil, fmt.Errorf("link %s: %w", e.Address, err)
		}
	}
	return l, nil
}

// removeStale removes a socket that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("link: %s exists and is no socket: choose another path", path)
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return fmt.Errorf("link: another process listens on %s: end it, or choose another path", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("link: removing the socket of a dead process: %w", err)
	}
	return nil
}

// strangers is how many connections may be shaking hands at a time; more wait in the kernel's queue.
const strangers = 16

// Listener accepts connections from the one peer of its end.
type Listener struct {
	inner   net.Listener
	guard   *guard
	refused func(error)
	ready   chan net.Conn
	ctx     context.Context
	stop    context.CancelFunc
	group   sync.WaitGroup
}

// Listen is [Bind] and [Secure] in one.
func Listen(e End, refused func(error)) (*Listener, error) {
	l, err := Bind(e)
	if err != nil {
		return nil, err
	}
	secured, err := Secure(l, e, refused)
	if err != nil {
		l.Close()
	}
	return secured, err
}

// Secure makes a listener that hands out only connections from the peer of e. Everybody else is disconnected, and
// refused, if not nil, is told why, on any goroutine. Handshakes do not wait for one another.
func Secure(inner net.Listener, e End, refused func(error)) (*Listener, error) {
	g, err := newGuard(e)
	if err != nil {
		return nil, err
	}
	if refused == nil {
		refused = func(error) {}
	}
	l := &Listener{inner: inner, guard: g, refused: refused, ready: make(chan net.Conn)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.group.Go(l.welcome)
	return l, nil
}

func (l *Listener) welcome() {
	slots := make(chan struct{}, strangers)
	for {
		slots <- struct{}{}
		conn, err := l.inner.Accept()
		if err != nil {
			if l.ctx.Err() != nil {
				return
			}
			l.refused(fmt.Errorf("link %s: accepting: %w", l.guard.end.Address, err))
			select { // too many open files, most likely
			case <-time.After(100 * time.Millisecond):
			case <-l.ctx.Done():
				return
			}
			<-slots
			continue
		}
		l.group.Go(func() {
			l.handshake(conn)
			<-slots
		})
	}
}

func (l *Listener) handshake(conn net.Conn) {
	ctx, stop := context.WithTimeout(l.ctx, handshakeTime)
	defer stop()
	known, err := l.guard.recognise(ctx, conn, true)
	if err != nil {
		l.refused(err)
		return
	}
	select {
	case l.ready <- known:
	case <-l.ctx.Done():
		known.Close()
	}
}

// Accept waits for a connection from the peer.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.ready:
		return conn, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Addr returns the address listened on.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Close ends listening; connections already accepted stay.
func (l *Listener) Close() error {
	l.stop()
	err := l.inner.Close()
	l.group.Wait()
	return err
}
