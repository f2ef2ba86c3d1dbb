package guard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// Limits bound what a client may take from the reverse proxy. Zero values are the defaults.
type Limits struct {
	Body         int64         // bytes of a request's body; default 10 MiB
	ReadTime     time.Duration // for one request with its body; default 30 s
	UpstreamTime time.Duration // until the API begins its answer; default 30 s
}

func (l *Limits) settle() error {
	if l.Body == 0 {
		l.Body = 10 << 20
	}
	if l.ReadTime == 0 {
		l.ReadTime = 30 * time.Second
	}
	if l.UpstreamTime == 0 {
		l.UpstreamTime = 30 * time.Second
	}
	if l.Body < 0 || l.ReadTime < 0 || l.UpstreamTime < 0 {
		return errors.New("a limit is negative")
	}
	return nil
}

// Upstream reads the address of an API: http://HOST:PORT or unix:PATH.
func Upstream(text string) (*url.URL, error) {
	if socket, ok := strings.CutPrefix(text, "unix:"); ok {
		if !strings.HasPrefix(socket, "/") {
			return nil, fmt.Errorf("upstream %s: a socket needs an absolute path", text)
		}
		return &url.URL{Scheme: "unix", Path: socket}, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("upstream: it wants http://HOST:PORT or unix:PATH, without a path behind it")
	}
	if host := u.Hostname(); host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return nil, fmt.Errorf("upstream %s: plain HTTP never leaves this machine: the guard runs beside its API", text)
	}
	return u, nil
}

// dialUpstream connects to the API, whatever address the transport has in mind.
func dialUpstream(u *url.URL) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 5 * time.Second}
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		if u.Scheme == "unix" {
			return d.DialContext(ctx, "unix", u.Path)
		}
		return d.DialContext(ctx, "tcp", u.Host)
	}
}

// passedKey is where the handler leaves the decision for the proxy.
type passedKey struct{}

// reverse makes the handler of the reverse-proxy mode.
func (g *Guard) reverse() http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite:        g.rewrite,
		ModifyResponse: g.unsay,
		ErrorHandler:   g.upstreamFailed,
		ErrorLog:       slog.NewLogLogger(g.config.Log.Handler(), slog.LevelDebug),
		FlushInterval:  -1,
		Transport: &http.Transport{
			DialContext:            dialUpstream(g.config.Upstream),
			ResponseHeaderTimeout:  g.config.Limits.UpstreamTime,
			MaxResponseHeaderBytes: 256 << 10,
			MaxIdleConnsPerHost:    128,
			IdleConnTimeout:        90 * time.Second,
			DisableCompression:     true,
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer g.shut(w)
		hurry(w, r, g.config.Limits.ReadTime)
		g.admit(w, r, func(p *passed) {
			if r.ContentLength > g.config.Limits.Body {
				tooLarge.write(w)
				return
			}
			g.bound(w, r, p)
			proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), passedKey{}, p)))
		})
	})
}

// bound limits the body in size and time. The server's own ReadTimeout would also end answers that take longer than it.
func (g *Guard) bound(w http.ResponseWriter, r *http.Request, p *passed) {
	r.Body = http.MaxBytesReader(w, r.Body, g.config.Limits.Body)
	if r.ContentLength == 0 {
		return
	}
	r.Body = &timed{r.Body, http.NewResponseController(w), p}
}

// hurry bounds the time for a request's body before anything is decided about it: a refusal is sent only after the server has
// read what the client announced, and a client that never sends that would keep its place for ever.
func hurry(w http.ResponseWriter, r *http.Request, limit time.Duration) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit)) // a writer without deadlines is a test's
	}
}

// timed is a body whose deadline ends with it. A body that is not read to its end keeps it, and the server gives the
// connection up.
type timed struct {
	io.ReadCloser
	control *http.ResponseController
	of      *passed
}

func (t *timed) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	switch {
	case errors.Is(err, io.EOF):
		_ = t.control.SetReadDeadline(time.Time{})
	case errors.Is(err, os.ErrDeadlineExceeded):
		t.of.late.Store(true)
	}
	return n, err
}

// rewrite makes the API's request out of the client's. It runs after the hop-by-hop headers were removed, so no Connection
// header can take away what is set here (RFC 9110 §7.6.1).
func (g *Guard) rewrite(r *httputil.ProxyRequest) {
	for name := range r.Out.Header {
		if s := spelled(name); g.protected[s] || strings.HasPrefix(s, "x-forwarded-") || s == "forwarded" {
			delete(r.Out.Header, name)
		}
	}
	if !g.config.PassAuthorization {
		r.Out.Header.Del("Authorization")
		r.Out.Header.Del("DPoP")
	}
	wanted := r.Out.Header.Get("Upgrade")
	if !slices.ContainsFunc(g.config.Upgrade, func(may string) bool { return strings.EqualFold(may, wanted) }) {
		r.Out.Header.Del("Upgrade")
		r.Out.Header.Del("Connection")
	}
	r.Out.Trailer = nil // an API may add trailers to the headers
	r.Out.URL.Scheme, r.Out.URL.Host = "http", "upstream"
	r.Out.URL.RawQuery = r.In.URL.RawQuery // as it came: ReverseProxy leaves out what Go can't parse
	r.SetXForwarded()
	g.identify(r.Out.Header, r.In.Context().Value(passedKey{}).(*passed))
}

// unsay keeps what is between guard and API away from the client.
func (g *Guard) unsay(r *http.Response) error {
	r.Header.Del(AssertionHeader)
	return nil
}

// upstreamFailed answers when the API did not.
func (g *Guard) upstreamFailed(w http.ResponseWriter, r *http.Request, err error) {
	large := (*http.MaxBytesError)(nil)
	p, ok := r.Context().Value(passedKey{}).(*passed)
	switch {
	case errors.As(err, &large):
		tooLarge.write(w)
	case ok && p.late.Load():
		tooSlow.write(w)
	default:
		if r.Context().Err() == nil {
			g.config.Log.Warn("the API did not answer", "cause", err.Error())
		}
		noAnswer.write(w)
	}
}
