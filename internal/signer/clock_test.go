package signer

import (
	"os"
	"strings"
	"testing"
	"time"

	"seawall/internal/mint"
)

// look judges the clock of a fresh guard with a past.
func TestClockRules(t *testing.T) {
	type world struct {
		clock *fakeClock
		last  func() uint64 // time of the ledger's last entry
	}
	for name, c := range map[string]struct {
		happens func(w *world)
		want    string // part of why it froze; empty for not
	}{
		"time passes":                  {func(w *world) { w.clock.pass(300 * day) }, ""},
		"set forward by five minutes":  {func(w *world) { w.clock.jump(5 * time.Minute) }, ""},
		"set forward by more":          {func(w *world) { w.clock.jump(5*time.Minute + time.Second) }, "set by +5m1s"},
		"set back by more":             {func(w *world) { w.clock.pass(time.Hour); w.clock.jump(-5*time.Minute - time.Second) }, "set by -5m1s"},
		"set forward in small steps":   {func(w *world) { w.clock.jump(4 * time.Minute); w.clock.jump(4 * time.Minute) }, "set by +8m0s"},
		"asleep for a month":           {func(w *world) { w.clock.pass(30 * day) }, ""},
		"a reboot":                     {func(w *world) { w.clock.reboot(time.Minute) }, ""},
		"off for a week":               {func(w *world) { w.clock.reboot(7 * day) }, ""},
		"off for longer":               {func(w *world) { w.clock.reboot(7*day + time.Second) }, "ahead of the ledger's last entry after a restart"},
		"a reboot with a clock behind": {func(w *world) { w.clock.reboot(-5*time.Minute - time.Second) }, "5m1s behind the ledger's last entry"},
		"a reboot a little behind":     {func(w *world) { w.clock.reboot(-5 * time.Minute) }, ""},
		"the clock of 1970":            {func(w *world) { w.clock.reboot(-w.clock.wall.Sub(time.Unix(0, 0))) }, "behind the ledger's last entry"},
		"an entry from the future": {func(w *world) {
			w.last = func() uint64 { return uint64(w.clock.Now().Add(5*time.Minute + time.Second).UnixMilli()) }
		}, "behind the ledger's last entry"},
		"an entry from a little later": {func(w *world) {
			w.last = func() uint64 { return uint64(w.clock.Now().Add(5 * time.Minute).UnixMilli()) }
		}, ""},
		"a reboot before the first entry": {func(w *world) { w.last = func() uint64 { return 0 }; w.clock.reboot(300 * day) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{clock: newFakeClock()}
			past := uint64(w.clock.Now().UnixMilli())
			w.last = func() uint64 { return past }
			d := &disk{dir: t.TempDir()}
			g, err := openGuard(w.clock, d)
			if err != nil {
				t.Fatal(err)
			}
			if changed, err := g.look(w.last(), 0); changed || err != nil {
				t.Fatalf("the first look: %v, %v", changed, err)
			}
			c.happens(w)
			last := w.last()
			if g, err = openGuard(w.clock, d); err != nil { // whatever is remembered is on the disk
				t.Fatal(err)
			}
			changed, err := g.look(last, 0)
			if err != nil {
				t.Fatal(err)
			}
			why, _ := g.frozen()
			if c.want == "" && why != "" || !strings.Contains(why, c.want) || changed != (c.want != "") {
				t.Fatalf("frozen: %q, want %q", why, c.want)
			}
			if c.want == "" {
				return
			}
			// It stays frozen, over looks, restarts and a clock that is right again, until somebody accepts.
			if changed, _ := g.look(last, 0); changed {
				t.Error("frozen twice")
			}
			if g, err = openGuard(w.clock, d); err != nil {
				t.Fatal(err)
			}
			if why, _ := g.frozen(); !strings.Contains(why, c.want) {
				t.Errorf("after a restart: %q", why)
			}
			if err := g.accept(last); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if changed, err := g.look(last, 0); changed || err != nil {
					why, _ := g.frozen()
					t.Errorf("frozen again after it was accepted: %s (%v)", why, err)
				}
				w.clock.pass(time.Hour)
			}
		})
	}
}

func TestSystemClock(t *testing.T) {
	c := SystemClock("boot")
	id, first := c.Boot()
	if _, second := c.Boot(); id != "boot" || first <= 0 || second < first {
		t.Errorf("boot %q, %s then %s", id, first, second)
	}
	a, _ := SystemClock("").Boot()
	if b, _ := SystemClock("").Boot(); a == "" || a == b {
		t.Error("without a boot id two starts look like one boot")
	}
	if d := time.Since(c.Now()); d < 0 || d > time.Minute {
		t.Errorf("the wall clock is off by %s", d)
	}
}

// A jump freezes transitions, is recorded once, leaves minting alone, and ends only by being accepted.
func TestAJumpFreezesTransitions(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	b.clock.jump(31 * day) // past the rotation
	generation := b.keys("").Generation
	b.settled()
	keys := b.keys("")
	if !strings.Contains(keys.Frozen, "the clock was set by +744h0m0s") || keys.Generation == generation {
		t.Fatalf("frozen %q", keys.Frozen)
	}
	b.want("acme", "activated staged")
	if n := b.ledger.count(mint.ClockWasFrozen); n != 1 {
		t.Errorf("%d entries of the freeze", n)
	}
	if !strings.Contains(b.log.String(), "alarm: the clock jumped") {
		t.Error("no alarm in the log")
	}
	rotate := func() error {
		return b.house.CallJSON(b.context(), mint.MsgRotate, mint.Rotate{Tenant: "acme", Family: mint.FamilyAccess, Actor: "x"}, new(mint.Rotated))
	}
	wantCode(t, rotate(), mint.ClockFrozen)
	_, err := b.apply(otherPolicy())
	wantCode(t, err, mint.ClockFrozen)
	p := testPolicy()
	p.Version, p.MaxLifetime = 2, 600
	b.mustApply(p) // what a tenant may do can still be changed
	if _, err := b.mint(testRequest()); err != nil {
		t.Errorf("minting while transitions are frozen: %v", err)
	}

	b.restart()
	if n := b.ledger.count(mint.ClockWasFrozen); n != 1 {
		t.Errorf("%d entries of the freeze after a restart", n)
	}
	var health mint.Health
	if err := b.house.CallJSON(b.context(), mint.MsgHealth, struct{}{}, &health); err != nil || health.Frozen == "" || !health.Ledger {
		t.Errorf("health %+v, %v", health, err)
	}
	b.want("acme", "activated staged")

	var accepted mint.ClockAccepted
	if err := b.house.CallJSON(b.context(), mint.MsgClock, mint.ClockAccept{Actor: "uid:0"}, &accepted); err != nil {
		t.Fatal(err)
	}
	if accepted.Was != keys.Frozen || b.ledger.count(mint.ClockWasAccepted) != 1 {
		t.Errorf("accepted %+v", accepted)
	}
	b.want("acme", "verify-only activated staged") // what was due is done
	if why := b.keys("").Frozen; why != "" {
		t.Errorf("still frozen: %s", why)
	}
}

// A freeze while the ledger is away is recorded when it is back.
func TestAFreezeIsRecordedLater(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	path := b.ledger.path
	b.ledger.with(func() { b.ledger.path += "-away" })
	b.ledger.hangUp()
	b.until("the link is down", func() bool { return !b.signer.link.isReady() })
	b.clock.jump(time.Hour)
	b.settled()
	if why, recorded := b.signer.guard.frozen(); why == "" || recorded {
		t.Fatalf("frozen %q, recorded %v", why, recorded)
	}
	b.ledger.with(func() { b.ledger.path = path })
	b.until("the freeze is recorded", func() bool { return b.ledger.count(mint.ClockWasFrozen) == 1 })
}

func TestADamagedClockFileIsRefused(t *testing.T) {
	b := newBench(t)
	b.start()
	if err := b.halt(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.file(clockFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.wantRefusal("remove the file to have the clock judged")
}

// wantRefusal opens the signer and wants it to refuse with this text.
func (b *bench) wantRefusal(text string) {
	b.t.Helper()
	err := b.open()
	if err == nil {
		b.signer.Close()
		b.t.Fatalf("the signer opened, want a refusal with %q", text)
	}
	wantRefused(b.t, err, text)
}
