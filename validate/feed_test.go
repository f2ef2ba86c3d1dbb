package validate_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"seawall/validate"
	"seawall/validate/validatetest"
)

// pipes is a listener whose connections never leave the process, so that real HTTP runs in false time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.done) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fault answers in the place of the feed; next is the feed itself.
type fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// feedWorld is an issuer with its feed on a real HTTP server that may misbehave.
type feedWorld struct {
	*testing.T
	issuer    *validatetest.Issuer
	feed      *validatetest.Feed
	clock     *validatetest.Clock // the validator's
	transport *http.Transport

	mu    sync.Mutex
	fault fault
	ended chan struct{} // closed when what the server does changes
}

// withFeed runs a test in false time.
func withFeed(t *testing.T, test func(t *testing.T, w *feedWorld)) {
	synctest.Test(t, func(t *testing.T) {
		w := &feedWorld{T: t, clock: &validatetest.Clock{}, ended: make(chan struct{})}
		w.issuer = validatetest.NewIssuer(validatetest.Config{URL: "http://127.0.0.1:1/acme"})
		w.feed = validatetest.NewFeed(w.issuer)
		listener := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		w.transport = &http.Transport{DialContext: listener.dial}
		streams, end := context.WithCancel(context.Background())
		server := http.Server{Handler: w, BaseContext: func(net.Listener) context.Context { return streams }}
		served := make(chan struct{})
		go func() { server.Serve(listener); close(served) }()
		defer func() {
			end()
			w.transport.CloseIdleConnections()
			server.Close()
			<-served
		}()
		test(t, w)
	})
}

func (w *feedWorld) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	bad, ended := w.fault, w.ended
	w.mu.Unlock()
	ctx, end := context.WithCancel(r.Context())
	go func() {
		select {
		case <-ended:
			end()
		case <-ctx.Done():
		}
	}()
	defer end()
	r = r.WithContext(ctx)
	if bad == nil {
		w.feed.ServeHTTP(out, r)
		return
	}
	bad(out, r, w.feed)
}

// misbehave changes what the server does from now on, for streams that are open too: they end.
func (w *feedWorld) misbehave(f fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
	close(w.ended)
	w.ended = make(chan struct{})
}

// trust makes a validator that follows the feed.
func (w *feedWorld) trust(onStale validate.StalePolicy, changes ...func(*validate.Feed)) *validate.Validator {
	w.Helper()
	feed := w.feed.Config(onStale)
	feed.Transport = w.transport
	for _, change := range changes {
		change(&feed)
	}
	v, err := validate.New(validate.Config{
		Issuers: []validate.Issuer{w.issuer.Trusted().WithFeed(feed)}, Audiences: []string{audience}, Now: w.clock.Now,
	})
	if err != nil {
		w.Fatal(err)
	}
	return v
}

func (w *feedWorld) token(claims validatetest.Claims) string {
	all := validatetest.Claims{"aud": audience, "exp": time.Now().Add(20 * time.Hour).Unix()}
	for name, value := range claims {
		all[name] = value
	}
	return w.issuer.Token(all)
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestWhatTheFeedSaysCounts(t *testing.T) {
	withFeed(t, func(t *testing.T, w *feedWorld) {
		v := w.trust(validate.RefuseWhenStale())
		defer v.Close()
		if err := v.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		now := time.Now()
		for name, c := range map[string]struct {
			kind, value string
			before      time.Time
			claims      validatetest.Claims
			spared      validatetest.Claims // nil if nothing is
			code        validate.Code
		}{
			"token":   {"token", "j-1", time.Time{}, validatetest.Claims{"jti": "j-1"}, validatetest.Claims{"jti": "j-2", "sub": "j-1", "client_id": "j-1", "sid": "j-1"}, validate.CodeRevoked},
			"session": {"session", "s-1", time.Time{}, validatetest.Claims{"sid": "s-1"}, validatetest.Claims{"sid": "s-2", "sub": "s-1"}, validate.CodeRevoked},
			"subject": {"subject", "u-1", now, validatetest.Claims{"sub": "u-1", "iat": now.Unix() - 1}, validatetest.Claims{"sub": "u-1", "iat": now.Unix()}, validate.CodeRevoked},
			"client":  {"client", "c-1", time.Time{}, validatetest.Claims{"client_id": "c-1"}, validatetest.Claims{"client_id": "c-2"}, validate.CodeRevoked},
			"azp":     {"client", "c-3", time.Time{}, validatetest.Claims{"azp": "c-3", "client_id": nil}, validatetest.Claims{"azp": "c-4", "client_id": nil}, validate.CodeRevoked},
			"key":     {"key", "active", time.Time{}, validatetest.Claims{}, nil, validate.CodeKeyDistrusted},
		} {
			raw := w.token(c.claims)
			accepted(t, v, raw)
			accepted(t, v, raw) // and from the cache, if there is one
			n := w.feed.DistrustBefore(c.kind, c.value, c.before)
			synctest.Wait() // no time passes
			refused(t, v, raw, c.code)
			if c.spared != nil {
				accepted(t, v, w.token(c.spared))
			}
			w.feed.Restore(n)
			synctest.Wait()
			accepted(t, v, raw)
			if t.Failed() {
				t.Fatal("that was ", name)
			}
		}
		if s := v.Feeds(); len(s) != 1 || s[0].Sequence != 12 || s[0].Statements != 0 || s[0].Phase != validate.FeedFresh || !s[0].Streaming || s[0].Alarms != 0 || s[0].LastRefusal != "" {
			t.Errorf("state %+v", s)
		}
	})
}

func TestADistrustedKeyBeatsEverything(t *testing.T) {
	withFeed(t, func(t *testing.T, w *feedWorld) {
		w.feed.Distrust("token", "j-1")
		w.feed.Distrust("key", "active")
		w.feed.Distrust("key", "revoked")
		w.feed.Distrust("key", "unlisted")
		v := w.trust(validate.RefuseWhenStale())
		defer v.Close()
		if err := v.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		claims := validatetest.Claims{"aud": audience, "jti": "j-1", "exp": time.Now().Unix() + 3600}
		tokens := []string{
			w.issuer.Token(claims),
			w.issuer.Token(claims, validatetest.RevokedKey),
			w.issuer.Token(claims, validatetest.UnknownKey),
			w.issuer.Token(claims, validatetest.BadSignature),
		}
		for _, raw := range tokens {
			refused(t, v, raw, validate.CodeKeyDistrusted)
		}
		w.misbehave(func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
		after(10 * time.Minute)
		for _, raw := range tokens { // what is certain is told before what is not
			refused(t, v, raw, validate.CodeKeyDistrusted)
		}
	})
}

// Over loopback TCP, with the real clock and the server that other people's tests use.
func TestFeedOverTCP(t *testing.T) {
	wall := validatetest.NewServer(validatetest.Config{})
	defer wall.Close()
	changed := make(chan uint64, 100)
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{wall.Trusted().WithFeed(wall.Feed().Config(validate.ServeWithAlarm(time.Hour)))},
		Audiences: []string{audience},
		Observe: func(e validate.Event) {
			if e.Kind == validate.FeedChanged {
				changed <- e.Sequence
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := v.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	raw := wall.Token(validatetest.Claims{"aud": audience, "jti": "j-1"})
	accepted(t, v, raw)
	accepted(t, v, raw)
	n := wall.Feed().Distrust("token", "j-1")
	<-changed
	refused(t, v, raw, validate.CodeRevoked)
	wall.Feed().Restore(n)
	<-changed
	accepted(t, v, raw)
}

func TestHandlerSays503WhileTheFeedIsUnknown(t *testing.T) {
	withFeed(t, func(t *testing.T, w *feedWorld) {
		w.misbehave(func(out http.ResponseWriter, r *http.Request, _ http.Handler) { http.NotFound(out, r) })
		v := w.trust(validate.RefuseWhenStale())
		defer v.Close()
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+w.token(nil))
		out := httptest.NewRecorder()
		v.Handler(http.NotFoundHandler()).ServeHTTP(out, r)
		if out.Code != http.StatusServiceUnavailable || out.Header().Get("Retry-After") == "" || out.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%d %v", out.Code, out.Header())
		}
	})
}

func TestNewRefusesFeeds(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	foreign := validatetest.NewIssuer(validatetest.Config{Foreign: true})
	good := validate.Feed{ID: "api", Secret: validate.NewSecret("hunter2"), OnStale: validate.RefuseWhenStale()}
	for name, c := range map[string]struct {
		issuer *validatetest.Issuer
		change func(*validate.Feed)
		want   string
	}{
		"no policy":            {issuer, func(f *validate.Feed) { f.OnStale = validate.StalePolicy{} }, "say in OnStale what happens when it falls silent"},
		"negative service":     {issuer, func(f *validate.Feed) { f.OnStale = validate.ServeWithAlarm(-1) }, "between 0 and"},
		"service for too long": {issuer, func(f *validate.Feed) { f.OnStale = validate.ServeWithAlarm(24*time.Hour + 1) }, "between 0 and"},
		"no ID":                {issuer, func(f *validate.Feed) { f.ID = "" }, "ID and Secret"},
		"no secret":            {issuer, func(f *validate.Feed) { f.Secret = validate.Secret{} }, "ID and Secret"},
		"no such start":        {issuer, func(f *validate.Feed) { f.ColdStart = 7 }, "ColdStart"},
		"over http":            {issuer, func(f *validate.Feed) { f.URL = "http://id.example/distrust" }, "https"},
		"password in the URL":  {issuer, func(f *validate.Feed) { f.URL = "https://a:hunter2@id.example/distrust" }, "credentials"},
		"foreign":              {foreign, func(*validate.Feed) {}, "SeawallIssuer"},
	} {
		feed := good
		c.change(&feed)
		v, err := validate.New(validate.Config{Issuers: []validate.Issuer{c.issuer.Trusted().WithFeed(feed)}, Audiences: []string{audience}})
		if v != nil || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error about %q", name, err, c.want)
		}
	}
}
