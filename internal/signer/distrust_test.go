package signer

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"seawall/internal/keyring"
	"seawall/internal/ledger"
	"seawall/internal/mint"
)

func (b *bench) distrust(q mint.KeyDistrust) (*mint.KeyDistrusted, error) {
	q.Tenant, q.Actor = "acme", "uid:0"
	if q.Reason == "" {
		q.Reason = mint.KeyCompromise
	}
	done := new(mint.KeyDistrusted)
	return done, b.house.CallJSON(b.context(), mint.MsgDistrust, q, done)
}

// A stolen key leaves under load: nobody waits for a token longer than for a rotation, and none is signed with it after.
func TestAStolenKeyUnderLoad(t *testing.T) {
	b := newBench(t)
	r := withRealLedger(b)
	b.start()
	b.mustApply(testPolicy())
	stolen := b.keys("acme").Keys[0].KID
	_, err := b.distrust(mint.KeyDistrust{KID: stolen})
	wantCode(t, err, mint.SpareTooYoung)
	b.want("acme", "activated staged")
	b.clock.pass(keyring.PrePublication)
	b.settled()
	stop := make(chan struct{})
	var minting sync.WaitGroup
	var gone, before, after atomic.Int64
	for range 8 {
		minting.Go(func() {
			for {
				late := gone.Load() != 0
				token, err := b.mint(testRequest())
				if err != nil {
					t.Errorf("a token was refused: %v", err)
					return
				}
				before.Add(1)
				if kid, _ := b.verify(token); late {
					if after.Add(1); kid == stolen {
						t.Error("a token under the key that was distrusted before it was asked for")
					}
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	b.until("tokens are minted", func() bool { return before.Load() > 50 })
	done, err := b.distrust(mint.KeyDistrust{KID: stolen})
	gone.Store(1)
	if err != nil || done.Step != mint.KeySuspended || done.Signs == stolen || done.Signs == "" {
		t.Fatalf("%+v, %v", done, err)
	}
	b.until("tokens are minted under the next key", func() bool { return after.Load() > 50 })
	close(stop)
	minting.Wait()
	b.want("acme", "suspended activated staged")
	if names := b.sealed("acme"); len(names) != 2 || slices.ContainsFunc(names, func(n string) bool { return n[:len(stolen)] == stolen }) {
		t.Errorf("private keys on the disk: %v", names)
	}
	if b.keys("acme").Keys[0].SuspendedAt == 0 {
		t.Error("nobody is told when it was suspended")
	}
	if n := r.entries(mint.DistrustStated); n != 1 {
		t.Errorf("%d statements", n)
	}
}

// What was suspended can be given back or revoked, and what was revoked can't.
func TestTheWaysOfASuspendedKey(t *testing.T) {
	b := newBench(t)
	r := withRealLedger(b)
	b.start()
	b.mustApply(testPolicy())
	first := b.keys("acme").Keys[0].KID
	_, err := b.distrust(mint.KeyDistrust{KID: first, Undo: true})
	wantCode(t, err, mint.KeyTransition)
	// The theft is certain, and the spare is young: whoever asks may have it take over all the same.
	if _, err := b.distrust(mint.KeyDistrust{KID: first, YoungSpare: true}); err != nil {
		t.Fatal(err)
	}
	b.want("acme", "suspended activated staged")
	_, err = b.distrust(mint.KeyDistrust{KID: first})
	wantCode(t, err, mint.KeyTransition)
	b.restart()
	b.want("acme", "suspended activated staged")
	if done, err := b.distrust(mint.KeyDistrust{KID: first, Undo: true, Reason: mint.Mistake}); err != nil || done.Step != mint.KeyVerifyOnly {
		t.Fatalf("%+v, %v", done, err)
	}
	b.want("acme", "verify-only activated staged")
	if k := b.keys("acme").Keys[0]; !b.signer.link.stated(&k) {
		t.Error("a key that was given back is not stated")
	}
	if done, err := b.distrust(mint.KeyDistrust{KID: first, Final: true}); err != nil || done.Step != mint.KeyRevoked {
		t.Fatalf("%+v, %v", done, err)
	}
	b.want("acme", "revoked activated staged")
	_, err = b.distrust(mint.KeyDistrust{KID: first, Undo: true})
	wantCode(t, err, mint.KeyTransition)
	// A spare that leaked leaves without touching the key that signs.
	spare := b.keys("acme").Keys[2].KID
	if done, err := b.distrust(mint.KeyDistrust{KID: spare}); err != nil || done.Signs != b.keys("acme").Keys[1].KID {
		t.Fatalf("%+v, %v", done, err)
	}
	b.want("acme", "revoked activated suspended staged")
	b.restart()
	token, err := b.mint(testRequest())
	if err != nil {
		t.Fatal(err)
	}
	b.verify(token)
	report, err := ledger.Verify(context.Background(), r.dir, ledger.VerifyOptions{Pin: r.l.Pin()})
	if err != nil || !report.Good() {
		t.Errorf("the log does not verify: %+v, %v", report, err)
	}
	if n := r.entries(mint.DistrustStated); n != 4 {
		t.Errorf("%d statements", n)
	}
}

// The only key stays, however urgent it is: an issuer that can't sign helps nobody but the thief.
func TestTheLastKeyStays(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	active, spare := b.keys("acme").Keys[0].KID, b.keys("acme").Keys[1].KID
	s := b.signer
	s.change.Lock()
	alone := *s.tenantByID("acme")
	alone.keys = slices.DeleteFunc(slices.Clone(alone.keys), func(k mint.Key) bool { return k.KID == spare })
	_, err := s.distrust(&alone, alone.key(active), &mint.KeyDistrust{KID: active, YoungSpare: true})
	s.change.Unlock()
	wantCode(t, err, mint.KeyLast)
}

// A lost answer leaves the distrust waiting, not undone: it is carried through as soon as the ledger is back.
func TestALostDistrustIsCarriedThrough(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	b.clock.pass(2 * day)
	b.settled()
	active := b.keys("acme").Keys[0].KID
	lost := true
	b.ledger.with(func() {
		b.ledger.lose = func(typ mint.MsgType) bool { was := lost && typ == mint.MsgKey; lost = lost && !was; return was }
	})
	_, err := b.distrust(mint.KeyDistrust{KID: active})
	wantCode(t, err, mint.Unavailable)
	b.until("the signer is at rest", func() bool { return b.signer.link.isReady() && b.signer.tick(b.context()) == nil })
	b.want("acme", "suspended activated retired staged") // the spare whose statement was lost is replaced
	if token, err := b.mint(testRequest()); err != nil {
		t.Error(err)
	} else if kid, _ := b.verify(token); kid == active {
		t.Error("signed with the key that was distrusted")
	}
	if n := b.ledger.count(mint.KeySuspended); n != 1 {
		t.Errorf("%d steps", n)
	}
}
