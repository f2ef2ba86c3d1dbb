package signer

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"seawall/internal/ledger"
	"seawall/internal/mint"
)

// TestVaultsFromBeforePeople starts signer and ledger on directories that a seawall from before there were ID tokens wrote:
// two tenants, a rotation, two policies, four tokens. (testdata/before-people, at the time below. The keys are of nobody.)
// All that was there stays as it was, byte for byte where nothing happened, and sign-in begins with the first client.
func TestVaultsFromBeforePeople(t *testing.T) {
	b := newBench(t)
	b.clock.wall, b.clock.since = time.Unix(1_792_592_000, 0), 721*time.Hour
	r := &realLedger{t: t, dir: t.TempDir(), clock: b.clock, log: b.log}
	copyTree(t, "testdata/before-people/signer", b.dir)
	copyTree(t, "testdata/before-people/ledger", r.dir)
	r.start()
	t.Cleanup(func() {
		b.halt()
		r.end()
	})
	b.dial = r.dial
	b.start()
	if states := b.states("acme"); states != "retired activated staged" && states != "verify-only activated staged" {
		t.Fatalf("the keys of acme are %s", states)
	}
	for _, name := range []string{ceilingsFile, policyName("acme"), policyName("rival"), ringName("acme")} {
		before, err := os.ReadFile(filepath.Join("testdata/before-people/signer", name))
		if err != nil {
			t.Fatal(err)
		}
		if after, err := os.ReadFile(b.file(name)); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s was written anew: %v", name, err)
		}
	}
	if s := b.signer.ceilings; s.MaxIDLifetime != 3600 {
		t.Errorf("an ID token may live %d s", s.MaxIDLifetime)
	}
	token, err := b.mint(testRequest())
	if err != nil {
		t.Fatal(err)
	}
	b.verify(token)

	p := testPolicy()
	p.Version, p.MaxLifetime, p.Clients = 3, 1800, []string{"web"}
	b.mustApply(p)
	if states := b.family("acme", mint.FamilyID); states != "activated staged" {
		t.Errorf("the keys for ID tokens are %q", states)
	}
	q := acmeID()
	if token, err = b.mint(q); err != nil {
		t.Fatal(err)
	}
	b.verifyOf("acme", mint.IDToken, token)
	if states := b.family("rival", mint.FamilyID); states != "" {
		t.Errorf("a tenant without sign-in has keys for ID tokens: %s", states)
	}
	b.restart()
	if token, err = b.mint(acmeID()); err != nil {
		t.Fatal(err)
	}
	b.verifyOf("acme", mint.IDToken, token)
	if n := r.entries(mint.TokenIssued); n != 4+3 {
		t.Errorf("%d tokens in the log", n)
	}
	report, err := ledger.Verify(context.Background(), r.dir, ledger.VerifyOptions{Pin: r.l.Pin(),
		Heads: []ledger.Remembered{{By: "signer", Head: b.signer.link.head.Head()}}})
	if err != nil || !report.Good() || len(report.RememberedBy) != 1 {
		t.Errorf("the log does not verify: %+v, %v", report, err)
	}
}
