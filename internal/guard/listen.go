package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// Address is where a guard listens.
type Address struct {
	Network string // tcp or unix
	Place   string // HOST:PORT, or the absolute path of a socket
}

// ParseAddress reads HOST:PORT or unix:PATH.
func ParseAddress(text string) (Address, error) {
	if socket, ok := strings.CutPrefix(text, "unix:"); ok {
		if !strings.HasPrefix(socket, "/") {
			return Address{}, fmt.Errorf("%s: a socket needs an absolute path", text)
		}
		return Address{"unix", socket}, nil
	}
	if _, _, err := net.SplitHostPort(text); err != nil {
		return Address{}, fmt.Errorf("%q: it wants HOST:PORT or unix:PATH", text)
	}
	return Address{"tcp", text}, nil
}

// String is the address as it was given.
func (a Address) String() string {
	if a.Network == "unix" {
		return "unix:" + a.Place
	}
	return a.Place
}

// Local reports whether only this machine reaches the address.
func (a Address) Local() bool {
	if a.Network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(a.Place)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// Listen opens the address. A socket gets the mode, and replaces one that a dead guard left. At most connections are open
// at a time; more wait in the kernel's queue.
func (a Address) Listen(mode fs.FileMode, connections int) (net.Listener, error) {
	if a.Network == "unix" {
		if err := a.sweep(); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen(a.Network, a.Place)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", a, err)
	}
	if a.Network == "unix" {
		if err := os.Chmod(a.Place, mode); err != nil {
			return nil, errors.Join(fmt.Errorf("listening on %s: %w", a, err), l.Close())
		}
	}
	return &bounded{l, make(chan struct{}, connections), make(chan struct{}), sync.Once{}}, nil
}

// sweep removes a socket at which nobody answers any more.
func (a Address) sweep() error {
	info, err := os.Lstat(a.Place)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("listening on %s: something that is no socket is there", a)
	}
	if c, err := net.Dial("unix", a.Place); err == nil {
		return errors.Join(fmt.Errorf("listening on %s: somebody answers there already", a), c.Close())
	}
	return os.Remove(a.Place)
}

// bounded lets a number of connections be open at a time.
type bounded struct {
	net.Listener
	places chan struct{}
	done   chan struct{}
	once   sync.Once
}

func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.places <- struct{}{}:
	case <-b.done:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.places
		return nil, err
	}
	return &placed{Conn: c, leave: sync.OnceFunc(func() { <-b.places })}, nil
}

func (b *bounded) Close() error {
	b.once.Do(func() { close(b.done) })
	return b.Listener.Close()
}

// placed is a connection that gives its place back when it is closed.
type placed struct {
	net.Conn
	leave func()
}

// Write gives a client up that takes nothing. The time begins anew with every piece, so a long answer is no harm.
func (p *placed) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}
