package validate_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"seawall/validate"
	"seawall/validate/validatetest"
)

// wild is an issuer that misbehaves as told: net/http on both ends, joined by pipes instead of a
// network, so that false time can pass while it is slow or away.
type wild struct {
	*validatetest.Issuer
	v *validate.Validator

	conns chan net.Conn
	gone  chan struct{}

	mu      sync.Mutex
	down    bool
	behave  http.HandlerFunc // answers for keys
	keys    []byte           // what obey serves
	control string           // and its Cache-Control
	fetches int              // of keys
	strays  int              // requests for anything but keys and metadata
}

func (w *wild) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.gone:
		return nil, net.ErrClosed
	}
}

func (w *wild) Close() error { return nil } // gone says it

func (w *wild) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (w *wild) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	w.mu.Lock()
	down := w.down
	if down {
		w.fetches++ // tried
	}
	w.mu.Unlock()
	if down {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: w.Addr(), Err: syscall.ECONNREFUSED}
	}
	near, far := net.Pipe()
	select {
	case w.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *wild) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	behave := w.behave
	if r.URL.Path == "/jwks" {
		w.fetches++
	} else {
		behave = http.NotFound
		if !strings.Contains(r.URL.Path, "/.well-known/") {
			w.strays++
		}
	}
	w.mu.Unlock()
	behave(rw, r)
}

// obey answers as an issuer should.
func (w *wild) obey(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	keys, control := w.keys, w.control
	w.mu.Unlock()
	rw.Header().Set("Content-Type", "application/jwk-set+json")
	if control != "" {
		rw.Header().Set("Cache-Control", control)
	}
	rw.Write(keys)
}

func (w *wild) turn(behave http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.behave = behave
}

// serve makes the issuer well behaved, with this document from now on.
func (w *wild) serve(keys []byte) {
	w.mu.Lock()
	w.keys = keys
	w.mu.Unlock()
	w.turn(w.obey)
}

func (w *wild) setDown(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
}

// fetched demands exactly so many fetches of keys since the last call.
func (w *wild) fetched(t *testing.T, want int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fetches != want {
		t.Errorf("%d fetches, want %d", w.fetches, want)
	}
	w.fetches = 0
}

// trusted is the issuer with its keys over the pipes, and loads at exactly the stated times.
func (w *wild) trusted() validate.Issuer {
	keys := validate.RemoteKeys("http://127.0.0.1/jwks").WithTransport(validate.TransportOver(w.dial))
	return w.Trusted().WithKeys(validate.Evenly(keys))
}

func (w *wild) token() string { return w.Token(validatetest.Claims{"aud": audience}) }

// inTheWild runs a test in false time, with a validator that has just loaded its keys.
func inTheWild(t *testing.T, c validatetest.Config, test func(t *testing.T, w *wild)) {
	t.Helper()
	var issuer *validatetest.Issuer
	synctest.Test(t, func(*testing.T) { issuer = validatetest.NewIssuer(c) })
	withIssuer(t, issuer, test)
}

// withIssuer does the same with an issuer that was made when false time began, as it does for each test.
func withIssuer(t *testing.T, issuer *validatetest.Issuer, test func(t *testing.T, w *wild)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &wild{Issuer: issuer, conns: make(chan net.Conn), gone: make(chan struct{}), control: "max-age=300"}
		w.serve(w.Keys())
		server := &http.Server{Handler: w, ErrorLog: log.New(io.Discard, "", 0)}
		var wait sync.WaitGroup
		wait.Go(func() { server.Serve(w) })
		defer wait.Wait()
		defer server.Close()
		defer close(w.gone)
		w.v = trust(t, w.trusted(), func(c *validate.Config) { c.Now = w.Clock().Now })
		defer w.v.Close()
		if err := w.v.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.fetched(t, 1)
		test(t, w)
	})
}

// since lets time pass until d after start.
func since(start time.Time, d time.Duration) { time.Sleep(time.Until(start.Add(d))) }
