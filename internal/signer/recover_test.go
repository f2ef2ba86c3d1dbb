package signer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"seawall/internal/mint"
)

func wantRefused(t *testing.T, err error, text string) {
	t.Helper()
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), text) {
		t.Fatalf("got %v, want a refusal with %q", err, text)
	}
}

// wantEnd starts the signer and wants it to end by itself, refusing with this text.
func (b *bench) wantEnd(text string) {
	b.t.Helper()
	b.launch()
	stop := b.stop
	b.stop = nil
	b.until("the signer gives up", b.gaveUp)
	wantRefused(b.t, stop(), text)
}

// copyTree copies a directory, as a backup does.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(to, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := os.FileMode(0o600)
		if e.IsDir() {
			mode = 0o700
		}
		return os.Chmod(path, mode)
	}); err != nil {
		t.Fatal(err)
	}
}

// State that is older than what the ledger recorded is refused, whatever part of it was put back.
func TestARestoredBackupIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(b *bench)
		restore string // what is put back; "." for everything
		want    string
	}{
		"a rotation later, everything": {func(b *bench) { b.clock.pass(30 * day); b.settled() }, ".", "is at step"},
		"a rotation later, the keys":   {func(b *bench) { b.clock.pass(30 * day); b.settled() }, "keys", "is at step"},
		"a policy later, everything": {func(b *bench) {
			p := testPolicy()
			p.Version, p.Disabled = 2, true
			b.mustApply(p)
		}, ".", "the policy of acme is version 1 here and 2 there"},
		"a policy later, the policies": {func(b *bench) {
			p := testPolicy()
			p.Version, p.Disabled = 2, true
			b.mustApply(p)
		}, "tenants", "the policy of acme is version 1 here and 2 there"},
		"a tenant later": {func(b *bench) { b.mustApply(otherPolicy()) }, ".", "it does not know the tenant rival"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.start()
			b.mustApply(testPolicy())
			if err := b.halt(); err != nil {
				t.Fatal(err)
			}
			backup := t.TempDir()
			copyTree(t, b.file(c.restore), backup)
			b.start()
			c.happens(b)
			if err := b.halt(); err != nil {
				t.Fatal(err)
			}
			before := b.ledger.count("")
			copyTree(t, backup, b.file(c.restore))
			b.wantEnd(c.want)
			if !strings.Contains(b.log.String(), "alarm: the signer's state is not the one that the ledger recorded") {
				t.Error("no alarm")
			}
			if n := b.ledger.count(""); n != before {
				t.Errorf("%d entries by a signer that should have refused", n-before)
			}
		})
	}
}

// The other way round: a ledger from the past, whose head this signer remembers, or that lost only the keys' part.
func TestALedgerFromThePastIsRefused(t *testing.T) {
	for name, forget := range map[string]bool{"with the head remembered": false, "with the head forgotten": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.start()
			b.mustApply(testPolicy())
			var saved book
			b.ledger.with(func() { saved = b.ledger.book.clone() })
			b.clock.pass(30 * day)
			b.settled()
			if err := b.halt(); err != nil {
				t.Fatal(err)
			}
			b.ledger.with(func() { b.ledger.book = saved })
			want := "the ledger is not the one this signer remembers"
			if forget {
				if err := os.Remove(b.file(headFile)); err != nil {
					t.Fatal(err)
				}
				want = "the ledger is older than this signer"
			}
			b.wantEnd(want)
		})
	}
}

// gaveUp reports whether Run has ended by itself.
func (b *bench) gaveUp() bool {
	select {
	case <-b.running:
		return true
	default:
		return false
	}
}

// A ledger that is swapped for an older copy while the signer runs is noticed at the next hello.
func TestARollbackAtRunTimeEndsTheSigner(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	var saved book
	b.ledger.with(func() { saved = b.ledger.book.clone() })
	if _, err := b.mint(testRequest()); err != nil {
		t.Fatal(err)
	}
	b.ledger.with(func() { b.ledger.book = saved })
	b.ledger.hangUp()
	stop := b.stop
	b.stop = nil
	b.until("the signer gives up", b.gaveUp)
	_, err := b.mint(testRequest())
	wantCode(t, err, mint.Unavailable)
	wantRefused(t, stop(), "the ledger is not the one this signer remembers")
}

func TestDamagedStateIsRefused(t *testing.T) {
	replace := func(old, new string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(content, []byte(old)) {
				t.Fatalf("%s holds no %q", path, old)
			}
			if err := os.WriteFile(path, bytes.Replace(content, []byte(old), []byte(new), 1), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	open := func(t *testing.T, path string) {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	active := func(b *bench) string {
		k := b.signer.tenantByID("acme").signing[mint.FamilyAccess].record
		return sealedName(&k)
	}
	ring := func(*bench) string { return ringName("acme") }
	policy := func(*bench) string { return policyName("acme") }
	for name, c := range map[string]struct {
		file   func(*bench) string
		damage func(*testing.T, string)
		want   string
	}{
		"a private key altered":      {active, func(t *testing.T, p string) { flip(t, p) }, "does not open"},
		"a private key gone":         {active, remove, "no such file"},
		"a private key for all":      {active, open, "run chmod 600"},
		"a longer life for a key":    {ring, replace(`"exp": 17`, `"exp": 18`), "not what the ledger stated"},
		"more signing time":          {ring, replace(`"signing_ends": 17`, `"signing_ends": 18`), "not what the ledger stated"},
		"another public key":         {ring, replace(`"thumbprint": "`, `"thumbprint": "A`), "not what the ledger stated"},
		"another token kind":         {ring, replace(`"at+jwt"`, `"JWT"`), "does not belong to acme"},
		"another tenant's record":    {ring, replace(`"tenant": "acme"`, `"tenant": "rival"`), "does not belong to acme"},
		"an unknown member":          {ring, replace(`"kid"`, `"kid2"`), "unknown field"},
		"half a ring":                {ring, func(t *testing.T, p string) { cut(t, p) }, "cannot be read"},
		"a ring of a later seawall":  {ring, replace(`"format": 1`, `"format": 2`), "a later seawall wrote"},
		"a ring for all":             {ring, open, "run chmod 600"},
		"half a policy":              {policy, func(t *testing.T, p string) { cut(t, p) }, "cannot be read"},
		"a later policy":             {policy, replace(`"format": 1`, `"format": 7`), "a later seawall wrote"},
		"a policy of somebody else":  {policy, replace(`"tenant": "acme"`, `"tenant": "rival"`), "not the policy of the tenant it is named for"},
		"another issuer":             {policy, replace(`id.example/acme`, `id.example/evil`), "does not belong to acme"},
		"no ceilings":                {func(*bench) string { return ceilingsFile }, remove, "the ceilings cannot be used"},
		"no key-encryption key":      {func(*bench) string { return "kek" }, remove, ""},
		"another key-encryption key": {func(*bench) string { return "kek" }, func(t *testing.T, p string) { flip(t, p) }, "does not open"},
		"no pinned root":             {func(*bench) string { return rootFile }, remove, "the pinned ledger root is missing"},
		"another root":               {func(*bench) string { return rootFile }, func(t *testing.T, p string) { other(t, p) }, "cannot be used"},
		"a root that is none":        {func(*bench) string { return rootFile }, func(t *testing.T, p string) { cut(t, p) }, "the pinned ledger root cannot be read"},
		"half a document":            {func(*bench) string { return documentFile }, func(t *testing.T, p string) { cut(t, p) }, "remove "},
		"a damaged head":             {func(*bench) string { return headFile }, func(t *testing.T, p string) { cut(t, p) }, "the remembered head"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.start()
			b.mustApply(testPolicy())
			path := b.file(c.file(b))
			if err := b.halt(); err != nil {
				t.Fatal(err)
			}
			c.damage(t, path)
			if name == "no key-encryption key" {
				if err := b.open(); err == nil || !errors.Is(err, os.ErrNotExist) {
					t.Fatalf("got %v", err)
				}
				return
			}
			b.wantRefusal(c.want)
		})
	}
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, path string) {
	edit(t, path, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
}

func cut(t *testing.T, path string) {
	edit(t, path, func(b []byte) []byte { return b[:len(b)/2] })
}

// other puts another Ed25519 key's text in place of a root's.
func other(t *testing.T, path string) {
	edit(t, path, func([]byte) []byte { return []byte("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\n") })
}

// A spare that can't be opened costs nothing but time: it is replaced, and the active key signs on.
func TestADamagedSpareIsReplaced(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	spare := b.keys("acme").Keys[1]
	flip(t, b.file(sealedName(&spare)))
	b.clock.pass(30 * day)
	b.settled()
	b.want("acme", "activated retired staged")
	if !strings.Contains(b.log.String(), "alarm: a spare key does not open and is replaced") {
		t.Error("no alarm")
	}
	if _, err := b.mint(testRequest()); err != nil {
		t.Fatal(err)
	}
	b.clock.pass(day + 10*60*1e9)
	b.settled()
	b.want("acme", "verify-only retired activated staged")
}

// Answers that get lost leave a step in doubt; what the ledger says at the next hello settles it.
func TestLostAnswersAreSettled(t *testing.T) {
	for _, typ := range []mint.MsgType{mint.MsgEntries, mint.MsgKey} {
		for nth := range 4 {
			t.Run(fmt.Sprintf("message %d, number %d", typ, nth), func(t *testing.T) {
				b := newBench(t)
				b.start()
				seen := 0
				b.ledger.with(func() {
					b.ledger.lose = func(got mint.MsgType) bool {
						if got == typ {
							seen++
						}
						return got == typ && seen == nth+1
					}
				})
				b.until("the tenant is there", func() bool { _, err := b.apply(testPolicy()); return err == nil })
				// A hello under way would compare the clock of one side before the month with that of the other after it.
				b.until("the link is up", b.signer.link.isReady)
				b.clock.pass(30 * day)
				b.until("the rotation is done", func() bool {
					return b.signer.tick(b.context()) == nil && b.signer.link.isReady() && b.ledger.count(mint.KeyVerifyOnly) == 1
				})
				b.consistent()
				if n := b.ledger.count(mint.PolicyChanged); n != 1 {
					t.Errorf("%d policy entries", n)
				}
			})
		}
	}
}

// A step that the ledger refuses for good is dropped, and leaves nothing behind.
func TestRefusedStepsAreDropped(t *testing.T) {
	b := newBench(t)
	b.start()
	b.ledger.with(func() {
		b.ledger.refuse = func(typ mint.MsgType) *mint.Refusal {
			if typ == mint.MsgKey {
				return mint.Refuse(mint.EntryInvalid, "not today")
			}
			return nil
		}
	})
	_, err := b.apply(testPolicy())
	wantCode(t, err, mint.EntryInvalid)
	if names := b.sealed("acme"); len(names) != 0 {
		t.Errorf("private keys of refused steps stay: %v", names)
	}
	b.ledger.with(func() { b.ledger.refuse = nil })
	b.mustApply(testPolicy()) // the same version, once more
	b.consistent()

	b.ledger.with(func() {
		b.ledger.refuse = func(typ mint.MsgType) *mint.Refusal {
			if typ == mint.MsgEntries {
				return mint.Refuse(mint.EntryInvalid, "not today")
			}
			return nil
		}
	})
	_, err = b.apply(otherPolicy())
	wantCode(t, err, mint.EntryInvalid)
	b.ledger.with(func() { b.ledger.refuse = nil })
	b.restart()
	b.mustApply(otherPolicy())
}

// consistent compares signer, disk and ledger about acme, and mints a token that verifies.
func (b *bench) consistent() {
	b.t.Helper()
	b.consistentFor("acme", testRequest())
}

// consistentFor does so for any tenant: of each family it has one active key and one spare, the private parts of these two
// and of no other, and a token of each request verifies.
func (b *bench) consistentFor(tenant string, requests ...*mint.Request) {
	b.t.Helper()
	t := b.t
	b.until("the signer is at rest", func() bool { return b.signer.link.isReady() && b.signer.tick(b.context()) == nil })
	private := map[string]bool{}
	count := map[mint.Family]map[mint.EntryKind]int{}
	for _, k := range b.keys(tenant).Keys {
		step := lastStep(&k)
		if count[k.Family] == nil {
			count[k.Family] = map[mint.EntryKind]int{}
		}
		count[k.Family][step]++
		b.ledger.with(func() {
			if got := b.ledger.steps[k.KID]; got.State != step || got.Epoch != k.Epoch {
				t.Errorf("key %s is %s at %d here, %s at %d there", k.KID, step, k.Epoch, got.State, got.Epoch)
			}
		})
		if hasPrivate(&k) {
			private[filepath.Base(sealedName(&k))] = true
			if k.Statement == "" {
				t.Errorf("key %s is %s and has no statement", k.KID, step)
			}
		}
	}
	for _, q := range requests {
		if family, _ := q.Kind.Family(); count[family][mint.KeyActivated] != 1 || count[family][mint.KeyStaged] != 1 {
			t.Errorf("keys for %s: %v", q.Kind, count[family])
		}
	}
	if len(count) != len(requests) {
		t.Errorf("keys of %d families, want %d", len(count), len(requests))
	}
	for _, name := range b.sealed(tenant) {
		if !private[name] {
			t.Errorf("%s is there, and no record needs it", name)
		}
	}
	for _, leftover := range []string{pendingStepsName(tenant), pendingPolicyName(tenant)} {
		if _, err := os.Stat(b.file(leftover)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there (%v)", leftover, err)
		}
	}
	for _, q := range requests {
		token, err := b.mint(q)
		if err != nil {
			t.Fatalf("minting: %v", err)
		}
		b.verifyOf(tenant, q.Kind, token)
	}
}
