package signer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"seawall/internal/keystore"
	"seawall/internal/keystore/builtin"
	"seawall/internal/mint"
	"seawall/internal/testenv"
)

// fakeClock is a wall clock and a boot clock in the hands of a test.
type fakeClock struct {
	mu    sync.Mutex
	wall  time.Time
	id    string
	since time.Duration
}

func newFakeClock() *fakeClock {
	return &fakeClock{wall: time.Unix(1_790_000_000, 0), id: "boot-1", since: time.Hour}
}

func (c *fakeClock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.wall }

func (c *fakeClock) Boot() (string, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id, c.since
}

// pass lets time go by.
func (c *fakeClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.since = c.wall.Add(d), c.since+d
}

// jump sets the wall clock alone.
func (c *fakeClock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

// reboot starts the boot clock anew after the machine was off.
func (c *fakeClock) reboot(off time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.id, c.since = c.wall.Add(off), c.id+"'", time.Minute
}

// bench is a signer with its ledger and a house's client, joined by real sockets.
type bench struct {
	t      *testing.T
	dir    string
	clock  *fakeClock
	ledger *testLedger
	log    *testenv.Transcript

	dial    mint.Dial // to the ledger
	after   func(string)
	signer  *Signer
	house   *mint.Client
	running chan struct{} // closed when Run has ended
	stop    func() error
}

func newBench(t *testing.T) *bench {
	t.Helper()
	clock := newFakeClock()
	b := &bench{t: t, dir: t.TempDir(), clock: clock, ledger: newTestLedger(t, clock.Now), log: new(testenv.Transcript)}
	b.dial = b.ledger.dial
	t.Cleanup(func() {
		if err := b.halt(); err != nil {
			t.Errorf("the signer ended with: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", b.log.String())
		}
	})
	return b
}

// store opens the key store, or makes one at the first start.
func openStore(dir string) (keystore.Store, error) {
	first, err := FirstStart(dir)
	if err != nil {
		return nil, err
	}
	if first {
		return builtin.Drivers[0].Create(dir)
	}
	return builtin.Drivers[0].Open(dir)
}

func (b *bench) open() error {
	b.t.Helper()
	store, err := openStore(b.dir)
	if err != nil {
		return err
	}
	b.signer, err = Open(Options{Dir: b.dir, Store: store, Clock: b.clock, Ledger: b.dial, Level: "test",
		Log: slog.New(slog.NewTextHandler(b.log, nil)), after: b.after})
	return err
}

// start opens the signer and runs it; it must come to terms with the ledger.
func (b *bench) start() {
	b.t.Helper()
	b.launch()
	b.until("the ledger is ready", func() bool { return b.signer.link.isReady() })
	b.settled()
}

// launch opens the signer and runs it.
func (b *bench) launch() {
	b.t.Helper()
	if err := b.open(); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	house, serving := net.Listener(nil), sync.WaitGroup{}
	dir, err := os.MkdirTemp("", "house")
	if err != nil {
		b.t.Fatal(err)
	}
	if house, err = net.Listen("unix", filepath.Join(dir, "s")); err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan error, 1)
	running, gone := b.signer, make(chan struct{})
	b.running = gone
	serving.Go(func() {
		ended <- running.Run(ctx)
		close(gone)
	})
	serving.Go(func() {
		for {
			conn, err := house.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				if err := running.Serve(ctx, conn); err != nil && !errors.Is(err, mint.ErrMalformed) && !errors.Is(err, io.ErrUnexpectedEOF) {
					b.t.Errorf("serving the house: %v", err)
				}
			})
		}
	})
	path := house.Addr().String()
	b.house = mint.NewClient(ctx, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}, nil)
	b.stop = sync.OnceValue(func() error {
		cancel()
		house.Close()
		serving.Wait()
		<-b.house.Done()
		os.RemoveAll(dir)
		return errors.Join(<-ended, running.Close())
	})
}

// halt ends the signer and returns what it says about that.
func (b *bench) halt() error {
	if b.stop == nil {
		return nil
	}
	return b.stop()
}

func (b *bench) restart() {
	b.t.Helper()
	if err := b.halt(); err != nil {
		b.t.Fatal(err)
	}
	b.start()
}

// settled waits until the signer has nothing left to do.
func (b *bench) settled() {
	b.t.Helper()
	if err := b.signer.tick(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

// until waits for something that goes on in other goroutines.
func (b *bench) until(what string, done func() bool) {
	b.t.Helper()
	for range 5000 {
		if done() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	b.t.Fatalf("never: %s", what)
}

const (
	testIssuer = "https://id.example/acme"
	testAPI    = "https://api.acme.example"
)

func testPolicy() mint.Policy {
	return mint.Policy{Tenant: "acme", Issuer: testIssuer, Class: "production", Version: 1, Algorithm: "ES256",
		Audiences: []mint.Audience{
			{ID: testAPI, Scopes: []string{"read", "write"}},
			{ID: "https://brief.acme.example", Scopes: []string{"peek"}, MaxLifetime: 60},
		},
		Claims: []string{"dept", "teams"}, MaxLifetime: 3600, RotationDays: 30, Actor: "uid:1000"}
}

// otherPolicy is that of a second tenant.
func otherPolicy() mint.Policy {
	p := testPolicy()
	p.Tenant, p.Issuer = "rival", "https://id.example/rival"
	p.Audiences = []mint.Audience{{ID: "https://api.rival.example", Scopes: []string{"rule"}}}
	return p
}

const (
	peopleIssuer = "https://id.example/people"
	peopleAPI    = "https://api.people.example"
)

// peoplePolicy is that of a tenant whose clients sign people in.
func peoplePolicy() mint.Policy {
	p := testPolicy()
	p.Tenant, p.Issuer, p.Clients = "people", peopleIssuer, []string{"spa", "web"}
	p.Audiences = []mint.Audience{{ID: peopleAPI, Scopes: []string{"read"}}}
	return p
}

// personRequest asks for the access token of somebody who signed in a minute before the fake clock began.
func personRequest() *mint.Request {
	return &mint.Request{Tenant: "people", Issuer: peopleIssuer, Kind: mint.AccessToken, Subject: "ada", ClientID: "web",
		Audience: []string{peopleAPI, peopleIssuer + "/userinfo"}, Scope: "openid profile read", JTI: mint.NewJTI(), Lifetime: 300, Evidence: [32]byte{1},
		SignIn:        mint.SignIn{AuthTime: newFakeClock().Now().Unix() - 60, ACR: "phr", AMR: []string{"hwk", "user"}, Session: "session-7"},
		KeyThumbprint: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}
}

// idRequest asks for the ID token that goes with it.
func idRequest() *mint.Request {
	q := personRequest()
	q.Kind, q.Audience, q.ClientID, q.Scope, q.KeyThumbprint, q.Nonce = mint.IDToken, []string{"web"}, "", "", "", "n-1"
	return q
}

func testRequest() *mint.Request {
	return &mint.Request{Tenant: "acme", Issuer: testIssuer, Kind: mint.AccessToken, Subject: "ci", Audience: []string{testAPI},
		ClientID: "ci", Scope: "read write", JTI: mint.NewJTI(), Lifetime: 300, Evidence: [32]byte{1},
		Custom: []mint.Claim{{Name: "dept", Text: "a \"b\" é"}, {Name: "teams", List: []string{"x", "y"}}}}
}

func (b *bench) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	b.t.Cleanup(cancel)
	return ctx
}

func (b *bench) apply(p mint.Policy) (mint.PolicyApplied, error) {
	var applied mint.PolicyApplied
	err := b.house.CallJSON(b.context(), mint.MsgPolicy, p, &applied)
	return applied, err
}

func (b *bench) mustApply(p mint.Policy) mint.PolicyApplied {
	b.t.Helper()
	applied, err := b.apply(p)
	if err != nil {
		b.t.Fatalf("applying the policy: %v", err)
	}
	return applied
}

func (b *bench) mint(q *mint.Request) ([]byte, error) { return b.house.Mint(b.context(), q) }

func (b *bench) keys(tenant string) *mint.Keys {
	b.t.Helper()
	keys, err := b.house.Keys(b.context(), mint.KeysQuery{Tenant: tenant})
	if err != nil {
		b.t.Fatal(err)
	}
	return keys
}

// states renders a tenant's keys by their last step: "activated staged".
func (b *bench) states(tenant string) string {
	b.t.Helper()
	var s string
	for _, k := range b.keys(tenant).Keys {
		s += " " + string(lastStep(&k))[len("key."):]
	}
	if s == "" {
		return ""
	}
	return s[1:]
}

func (b *bench) want(tenant, states string) {
	b.t.Helper()
	if got := b.states(tenant); got != states {
		b.t.Fatalf("keys of %s are %q, want %q", tenant, got, states)
	}
}

func wantCode(t *testing.T, err error, code mint.Code) {
	t.Helper()
	refusal := (*mint.Refusal)(nil)
	if !errors.As(err, &refusal) || refusal.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

func (b *bench) file(parts ...string) string {
	return filepath.Join(append([]string{b.dir}, parts...)...)
}

// sealed lists the private parts that are on the disk.
func (b *bench) sealed(tenant string) (names []string) {
	b.t.Helper()
	list, err := filepath.Glob(b.file("keys", tenant, "*"+sealedExt))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, path := range list {
		names = append(names, filepath.Base(path))
	}
	return names
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("unexpected: %v", err))
	}
	return v
}
