package signer

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"seawall/internal/keyring"
	"seawall/internal/ledger"
	"seawall/internal/mint"
	"seawall/internal/testenv"
)

// realLedger is the ledger that seawall runs, on a directory of its own.
type realLedger struct {
	t       *testing.T
	dir     string
	clock   *fakeClock
	log     *testenv.Transcript
	l       *ledger.Ledger
	path    atomic.Value // string
	serving sync.WaitGroup
	stop    context.CancelFunc
}

func (r *realLedger) config() ledger.Config {
	return ledger.Config{Dir: r.dir, Log: slog.New(slog.NewTextHandler(r.log, nil)), Clock: r.clock.Now}
}

// withRealLedger puts a real ledger in the place of a bench's own.
func withRealLedger(b *bench) *realLedger {
	b.t.Helper()
	r := &realLedger{t: b.t, dir: b.t.TempDir(), clock: b.clock, log: b.log}
	if err := os.Chmod(r.dir, 0o700); err != nil {
		b.t.Fatal(err)
	}
	if err := ledger.Create(r.config()); err != nil {
		b.t.Fatal(err)
	}
	r.start()
	b.t.Cleanup(func() {
		b.halt()
		r.end()
	})
	b.dial = r.dial
	return r
}

func (r *realLedger) start() {
	r.t.Helper()
	l, err := ledger.Open(r.config())
	if err != nil {
		r.t.Fatal(err)
	}
	listener, err := net.Listen("unix", r.t.TempDir()+"/s")
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.l = l
	r.path.Store(listener.Addr().String())
	r.stop = func() { cancel(); listener.Close() }
	r.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.serving.Go(func() {
				if err := l.Serve(ctx, conn, ledger.Signer); err != nil && !errors.Is(err, io.EOF) {
					r.t.Errorf("the ledger served badly: %v", err)
				}
			})
		}
	})
}

func (r *realLedger) end() {
	r.stop()
	r.serving.Wait()
	if err := r.l.Close(); err != nil {
		r.t.Errorf("the ledger ended badly: %v", err)
	}
}

func (r *realLedger) dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", r.path.Load().(string))
}

// entries counts what is in the log.
func (r *realLedger) entries(kind mint.EntryKind) (n int) {
	r.t.Helper()
	err := ledger.Search(context.Background(), r.dir, ledger.Filter{Kind: kind}, nil, func(mint.NumberedEntry) error { n++; return nil })
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// The life of a tenant against the ledger that seawall runs: every algorithm, a rotation planned and one asked for,
// restarts of both sides, a frozen clock; in the end the log verifies from its first byte.
func TestALifeWithTheRealLedger(t *testing.T) {
	for _, alg := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			b := newBench(t)
			r := withRealLedger(b)
			b.start()
			p := testPolicy()
			p.Algorithm = alg
			b.mustApply(p)
			tokens := 0
			mintOne := func() {
				t.Helper()
				b.until("a token is minted", func() bool {
					token, err := b.mint(testRequest())
					if err == nil {
						b.verify(token)
						tokens++
					}
					return err == nil
				})
			}
			mintOne()
			b.clock.pass(30 * day)
			b.settled()
			mintOne()
			b.clock.pass(keyring.PrePublication)
			if err := b.house.CallJSON(b.context(), mint.MsgRotate, mint.Rotate{Tenant: "acme", Family: mint.FamilyAccess, Actor: "uid:0"}, new(mint.Rotated)); err != nil {
				t.Fatal(err)
			}
			b.restart()
			mintOne()
			r.end()
			_, err := b.mint(testRequest())
			wantCode(t, err, mint.Unavailable)
			r.start()
			mintOne()
			b.clock.jump(6 * time.Minute)
			b.settled()
			if err := b.house.CallJSON(b.context(), mint.MsgClock, mint.ClockAccept{Actor: "uid:0"}, new(mint.ClockAccepted)); err != nil {
				t.Fatal(err)
			}
			b.clock.pass(2 * day)
			b.settled()
			mintOne()
			b.want("acme", "retired retired activated staged")
			for kind, want := range map[mint.EntryKind]int{mint.TokenIssued: tokens, mint.PolicyChanged: 1, mint.KeyStaged: 4,
				mint.KeyActivated: 3, mint.KeyVerifyOnly: 2, mint.KeyRetired: 2, mint.ClockWasFrozen: 1, mint.ClockWasAccepted: 1} {
				if n := r.entries(kind); n != want {
					t.Errorf("%d entries of %s, want %d", n, kind, want)
				}
			}
			report, err := ledger.Verify(context.Background(), r.dir, ledger.VerifyOptions{Heads: []ledger.Remembered{{By: "signer", Head: b.signer.link.head.Head()}}, Pin: r.l.Pin()})
			if err != nil || !report.Good() || len(report.RememberedBy) != 1 {
				t.Errorf("the log does not verify: %+v, %v", report, err)
			}
		})
	}
}

// The hostile house once more, and this time the ledger that counts is the real one.
func TestHostileHouseWithTheRealLedger(t *testing.T) {
	b := newBench(t)
	r := withRealLedger(b)
	b.start()
	b.befriend()
	h := b.hostile()
	before := r.entries("")
	for _, c := range hostileRequests() {
		if refusal := h.mint(c.item); refusal.Code != c.want {
			t.Errorf("%s: got %v, want %s", c.name, refusal, c.want)
		}
	}
	if n := r.entries(""); n != before {
		t.Errorf("%d entries more after refusals alone", n-before)
	}
	if _, err := b.mint(testRequest()); err != nil {
		t.Error(err)
	}
	if n := r.entries(""); n != before+1 {
		t.Errorf("%d entries more after one token", n-before)
	}
}

// Lost answers and restarts in the middle of steps, with the real ledger's own rules for what may follow what.
func TestRestartsWithTheRealLedger(t *testing.T) {
	b := newBench(t)
	r := withRealLedger(b)
	b.start()
	b.mustApply(testPolicy())
	for i := range 6 {
		b.clock.pass(29 * day)
		b.until("a token is minted", func() bool { _, err := b.mint(testRequest()); return err == nil }) // the ledger's last entry
		b.clock.pass(day)
		r.end() // its receipt keys follow the clock once an hour, which is months here
		r.start()
		if i%2 == 0 {
			if err := b.halt(); err != nil {
				t.Fatal(err)
			}
			b.clock.reboot(time.Hour)
			b.launch()
		}
		b.until("the rotation is done", func() bool {
			return b.signer.link.isReady() && b.signer.tick(b.context()) == nil && r.entries(mint.KeyVerifyOnly) == i+1
		})
		var token []byte
		b.until("a token is minted", func() bool {
			var err error
			token, err = b.mint(testRequest())
			return err == nil
		})
		b.verify(token)
	}
	if n := len(b.sealed("acme")); n != 2 {
		t.Errorf("%d private keys on the disk", n)
	}
}
