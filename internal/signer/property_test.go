package signer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"seawall/internal/mint"
)

// TestWhateverHappens does random things to a signer: time, rotations, policies, clients that sign people in, restarts, lost
// answers, a ledger that goes away. After each, whenever the signer is in touch with its ledger, there is exactly one active key of each family, it is the one
// that the ledger has as active, and what it signs verifies. Whatever else happens, nothing is signed with another key.
func TestWhateverHappens(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := &walk{b: newBench(t), rng: rand.New(rand.NewPCG(seed, 7)), policy: testPolicy()}
			w.b.start()
			w.b.mustApply(w.policy)
			for range 60 {
				w.step()
				w.check()
				if t.Failed() {
					t.Fatalf("after: %v", w.trace)
				}
			}
		})
	}
}

type walk struct {
	b      *bench
	rng    *rand.Rand
	policy mint.Policy
	trace  []string
}

func (w *walk) step() {
	b := w.b
	steps := []struct {
		name string
		do   func()
	}{
		{"hours pass", func() { b.clock.pass(time.Duration(w.rng.Int64N(int64(2 * day)))) }},
		{"days pass", func() { b.clock.pass(time.Duration(w.rng.Int64N(int64(35 * day)))) }},
		{"the machine is off", func() {
			if err := b.halt(); err != nil {
				b.t.Error(err)
			}
			if _, err := b.mint(testRequest()); err == nil {
				b.t.Error("a token from a signer that is off")
			}
			b.touch() // so that the ledger's last entry is not too old
			b.clock.reboot(time.Duration(w.rng.Int64N(int64(6 * day))))
			b.start()
		}},
		{"a rotation is asked for", func() {
			err := b.house.CallJSON(b.context(), mint.MsgRotate, mint.Rotate{Tenant: "acme", Family: mint.Families()[w.rng.IntN(2)], Actor: "x"}, new(mint.Rotated))
			w.tolerate(err, mint.SpareTooYoung, mint.NotFound)
		}},
		{"a key is distrusted", func() {
			keys := b.keys("acme").Keys
			q := mint.KeyDistrust{Tenant: "acme", KID: keys[w.rng.IntN(len(keys))].KID, Reason: mint.KeyCompromise, Actor: "x", Final: w.rng.IntN(2) == 0}
			err := b.house.CallJSON(b.context(), mint.MsgDistrust, q, new(mint.KeyDistrusted))
			w.tolerate(err, mint.SpareTooYoung, mint.KeyTransition)
		}},
		{"a key is given back", func() {
			keys := b.keys("acme").Keys
			q := mint.KeyDistrust{Tenant: "acme", KID: keys[w.rng.IntN(len(keys))].KID, Reason: mint.Mistake, Actor: "x", Undo: true}
			err := b.house.CallJSON(b.context(), mint.MsgDistrust, q, new(mint.KeyDistrusted))
			w.tolerate(err, mint.KeyTransition)
		}},
		{"the policy changes", func() {
			next := w.policy
			next.Version++
			next.Algorithm = []string{"ES256", "EdDSA"}[w.rng.IntN(2)]
			next.RotationDays = 2 + w.rng.IntN(40)
			next.Clients = [][]string{nil, {"web"}, {"spa", "web"}}[w.rng.IntN(3)]
			_, err := b.apply(next)
			w.tolerate(err)
			b.until("the policy is applied", func() bool { _, err := b.apply(next); return err == nil })
			w.policy = next
		}},
		{"an answer is lost", func() {
			left := 1 + w.rng.IntN(3)
			b.ledger.with(func() {
				b.ledger.lose = func(typ mint.MsgType) bool { left--; return left == 0 && typ != mint.MsgHello }
			})
		}},
		{"the ledger hangs up", b.ledger.hangUp},
	}
	s := steps[w.rng.IntN(len(steps))]
	w.trace = append(w.trace, s.name)
	s.do()
}

// touch adds an entry to the ledger that is not the signer's.
func (b *bench) touch() {
	b.ledger.with(func() { b.ledger.append(&mint.Entry{Kind: mint.APICreated, Tenant: "acme"}) })
}

// tolerate accepts success, an absent ledger, and the refusals given.
func (w *walk) tolerate(err error, codes ...mint.Code) {
	refusal := (*mint.Refusal)(nil)
	if err == nil || errors.As(err, &refusal) && refusal.Code == mint.Unavailable {
		return
	}
	for _, code := range codes {
		if refusal != nil && refusal.Code == code {
			return
		}
	}
	w.b.t.Errorf("got %v", err)
}

func (w *walk) check() {
	b := w.b
	b.until("the signer is at rest", func() bool { return b.signer.link.isReady() && b.signer.tick(b.context()) == nil })
	families := 0
	for _, q := range []*mint.Request{testRequest(), acmeID()} {
		family, _ := q.Kind.Family()
		signing := b.signer.tenantByID("acme").signing[family]
		if signing != nil {
			families++
			w.checkKey(family, signing.record)
		}
		if q.Kind == mint.IDToken && len(w.policy.Clients) == 0 {
			_, err := b.mint(q)
			w.tolerate(err, mint.ClientUnregistered)
			continue
		}
		w.checkToken(q, signing.record.KID)
	}
	if n := len(b.sealed("acme")); n < 2*families || n > 3*families {
		b.t.Errorf("%d private keys of %d families on the disk", n, families)
	}
}

func (w *walk) checkKey(family mint.Family, active mint.Key) {
	b := w.b
	b.ledger.with(func() {
		if n := b.ledger.activeKeys("acme", family); n != 1 || b.ledger.steps[active.KID].State != mint.KeyActivated {
			b.t.Errorf("the ledger has %d active keys, and the signer's is %s there", n, b.ledger.steps[active.KID].State)
		}
	})
	if now := b.clock.Now().Unix(); now >= active.SigningEnds {
		b.t.Errorf("key %s is active %d s after its end", active.KID, now-active.SigningEnds)
	}
}

func (w *walk) checkToken(q *mint.Request, active string) {
	b := w.b
	var token []byte
	b.until("a token is minted", func() (done bool) {
		var err error
		token, err = b.mint(q)
		w.tolerate(err)
		return err == nil
	})
	if kid, _ := b.verifyOf("acme", q.Kind, token); kid != active {
		b.t.Errorf("signed with %s while %s is active", kid, active)
	}
}
