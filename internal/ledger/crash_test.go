package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"seawall/internal/mint"
)

// acknowledged is what writers were told, over several lives of a ledger.
type acknowledged struct {
	mu       sync.Mutex
	receipts map[uint64]mint.Digest // by sequence
	stated   map[uint64]string      // what was distrusted, by sequence
	heads    []mint.Head
}

func (a *acknowledged) add(head mint.Head, digests []mint.Digest, list []mint.Recorded) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heads = append(a.heads, head)
	for i := range list {
		if list[i].Refusal == nil {
			a.receipts[list[i].Receipt.Sequence()] = digests[i]
		}
	}
}

func (a *acknowledged) state(sequence uint64, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stated[sequence] = name
}

// lost returns what is wrong with a log, given what was acknowledged.
func (a *acknowledged) lost(d disk) error {
	found := map[uint64]mint.Digest{}
	keep := &keeper{found: found, stated: map[uint64]string{}}
	firsts, err := segments(d)
	if err != nil {
		return err
	}
	if err := walk(context.Background(), d, firsts, 1, true, keep); err != nil {
		return err
	}
	for sequence, digest := range a.receipts {
		if found[sequence] != digest {
			return fmt.Errorf("the receipt of entry %d was given out, and the entry is not there", sequence)
		}
	}
	for sequence, value := range a.stated {
		if keep.stated[sequence] != value {
			return fmt.Errorf("the statement in entry %d was acknowledged, and is not there", sequence)
		}
	}
	var heads []Remembered
	for _, h := range a.heads {
		heads = append(heads, Remembered{By: fmt.Sprint("writer at ", h.Size), Head: h})
	}
	report, err := verifyLog(context.Background(), d, VerifyOptions{Heads: heads})
	if err != nil {
		return err
	}
	if !report.Good() {
		return fmt.Errorf("the log does not verify: %s", report.Findings[0])
	}
	return nil
}

// keeper collects the digests of tokens, and subjects that are distrusted.
type keeper struct {
	found  map[uint64]mint.Digest
	stated map[uint64]string
}

func (k *keeper) segment(string, header) error  { return nil }
func (k *keeper) end(string, error, bool) error { return nil }
func (k *keeper) batch(w *walked) error {
	for i, e := range w.entries {
		if e.Kind == mint.TokenIssued {
			k.found[w.first+uint64(i)] = e.Digest
		}
		if e.Kind == mint.DistrustStated && k.stated != nil {
			k.stated[w.first+uint64(i)] = e.Subject
		}
	}
	return nil
}

// life runs a ledger under load until its disk crashes, and returns the disk as the next life finds it. The first life
// makes the ledger and its issuer.
func life(t *testing.T, r *rig, d *faultDisk, i *issuer, told *acknowledged) (*faultDisk, error) {
	t.Helper()
	r.disk, r.l, r.stop = d, nil, nil
	if err := r.tryOpen(); err != nil {
		if d.crashed() {
			return d.after, nil // the crash came during the start
		}
		return nil, err
	}
	l := r.l
	var writers sync.WaitGroup
	for range 3 {
		p := r.dial(Signer)
		writers.Go(func() {
			if _, err := p.hello(mint.Head{}); err != nil {
				return
			}
			for n := 1; ; n = n%7 + 1 {
				var list []mint.Unsigned
				for range n {
					list = append(list, i.token(r.clock.now()))
				}
				head, got, err := p.tokens(l, list...)
				if err != nil {
					return
				}
				told.add(head, digestsOf(list), got)
				if refusal := got[0].Refusal; refusal != nil {
					if !d.crashed() {
						t.Errorf("a token was refused: %v", refusal)
					}
					return
				}
			}
		})
	}
	house := r.dial(House)
	writers.Go(func() {
		if _, err := house.hello(mint.Head{}); err != nil {
			return
		}
		for n := 0; ; n++ {
			a, name := new(mint.Stated), fmt.Sprint("user-", n)
			if err := house.askJSON(mint.MsgState, i.about(mint.DistrustSubject, name), a); err != nil {
				if !d.crashed() {
					t.Errorf("a statement was refused: %v", err)
				}
				return
			}
			told.state(a.Sequence, name)
		}
	})
	writers.Wait()
	r.stop()
	r.serve.Wait()
	l.Close()
	r.l, r.stop = nil, nil
	return d.after, nil // nobody uses it any more
}

// crashes puts a ledger through lives that each end in a crash at a random operation of its disk.
func crashes(t *testing.T, seed uint64, lives int, early bool) error {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 2))
	r := prepareRig(t)
	r.limits = limits{segment: 32 << 10, ahead: 8 << 10}
	d := newFaultDisk(seed)
	r.disk = d
	r.create()
	r.open()
	p := r.dial(Signer)
	p.mustHello()
	i := p.issuer("acme", r.clock.now())
	r.close()
	d.early = early
	told := &acknowledged{receipts: map[uint64]mint.Digest{}, stated: map[uint64]string{}}
	for n := range lives {
		d.ops, d.crashAt = 0, 1+random.IntN(60)
		next, err := life(t, r, d, i, told)
		if err != nil {
			return fmt.Errorf("life %d: %w", n, err)
		}
		if d = next; d == nil {
			t.Fatalf("life %d ended without a crash", n)
		}
		if err := told.lost(d); err != nil {
			return fmt.Errorf("life %d: %w", n, err)
		}
	}
	if len(told.receipts) == 0 {
		t.Fatal("no receipt was ever given out")
	}
	return nil
}

// TestNoReceiptSurvivesItsEntry crashes the ledger again and again on a disk that forgets what was not synced: every
// receipt that got out has its entry, and every head that was told is in the log.
func TestNoReceiptSurvivesItsEntry(t *testing.T) {
	for seed := range uint64(5) {
		if err := crashes(t, seed, 10, false); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestTheCrashTestFindsAnEarlyAnswer is the control: a ledger that answers before its fsync must be caught.
func TestTheCrashTestFindsAnEarlyAnswer(t *testing.T) {
	for seed := range uint64(20) {
		err := crashes(t, seed, 10, true)
		if err == nil {
			continue
		}
		early := func(s string) bool { return strings.Contains(err.Error(), s) }
		if !early("was given out, and the entry is not there") && !early("was acknowledged, and is not there") && !early("the log") {
			t.Fatalf("seed %d: found, for another reason: %v", seed, err)
		}
		return
	}
	t.Fatal("receipts were given out before the entries were durable, and nobody noticed")
}

// TestAFailedSyncStopsTheLedger: nothing is answered, and nothing is recorded any more by this process.
func TestAFailedSyncStopsTheLedger(t *testing.T) {
	r := prepareRig(t)
	d := newFaultDisk(1)
	r.disk = d
	r.create()
	r.open()
	p := r.dial(Signer)
	p.mustHello()
	i := p.issuer("acme", r.clock.now())
	d.mu.Lock()
	d.syncFail = fmt.Errorf("input/output error")
	d.mu.Unlock()
	if _, _, err := p.tokens(r.l, i.token(r.clock.now())); err == nil {
		t.Fatal("a token was answered though its entry is not durable")
	}
	select {
	case <-r.l.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the ledger goes on")
	}
	if err := r.l.Err(); err == nil || !strings.Contains(err.Error(), "the ledger stops, because its disk failed: syncing the segment: input/output error") {
		t.Fatalf("Err is %v", err)
	}
	d.mu.Lock()
	d.syncFail = nil
	d.mu.Unlock()
	q := r.dial(Signer)
	if _, err := q.hello(mint.Head{}); err == nil {
		t.Fatal("a ledger that stopped still answers")
	}
}

// TestAFullDiskLosesNothing fills the disk, and makes room again.
func TestAFullDiskLosesNothing(t *testing.T) {
	r := prepareRig(t)
	d := newFaultDisk(1)
	r.disk, r.limits = d, limits{segment: 64 << 10, ahead: 8 << 10}
	r.create()
	r.open()
	p := r.dial(Signer)
	p.mustHello()
	i := p.issuer("acme", r.clock.now())
	told := &acknowledged{receipts: map[uint64]mint.Digest{}, stated: map[uint64]string{}}
	full := 0
	for round := range 40 {
		d.mu.Lock()
		if d.room = 0; round%8 < 4 {
			d.room = d.used() + int64(100*round)
		}
		d.mu.Unlock()
		var list []mint.Unsigned
		for range 20 {
			list = append(list, i.token(r.clock.now()))
		}
		head, got, err := p.tokens(r.l, list...)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		told.add(head, digestsOf(list), got)
		refused := got[0].Refusal != nil
		for _, g := range got {
			if (g.Refusal != nil) != refused {
				t.Fatalf("round %d: half of a batch was recorded", round)
			}
		}
		if refused {
			full++
			if g := got[0].Refusal; g.Code != mint.Unavailable || !strings.Contains(g.Detail, "the disk of the ledger is full") {
				t.Fatalf("round %d: refused with %v", round, g)
			}
			if round%8 >= 4 {
				t.Fatalf("round %d: refused though there is room", round)
			}
			if err := told.lost(d); err != nil {
				t.Fatalf("round %d, full: %v", round, err)
			}
		}
	}
	if full == 0 {
		t.Fatal("the disk was never full")
	}
	if !strings.Contains(r.log.String(), "the disk of the ledger is full") {
		t.Error("the operator was not told")
	}
	r.close()
	if err := told.lost(d); err != nil {
		t.Fatal(err)
	}
	r.open()
}

// TestAFullDiskAtASegmentSwitch leaves no room for the next segment.
func TestAFullDiskAtASegmentSwitch(t *testing.T) {
	r := prepareRig(t)
	d := newFaultDisk(1)
	r.disk, r.limits = d, limits{segment: 8 << 10, ahead: 4 << 10}
	r.create()
	r.open()
	p := r.dial(Signer)
	p.mustHello()
	i := p.issuer("acme", r.clock.now())
	told := &acknowledged{receipts: map[uint64]mint.Digest{}, stated: map[uint64]string{}}
	send := func() *mint.Refusal {
		list := []mint.Unsigned{i.token(r.clock.now()), i.token(r.clock.now())}
		head, got, err := p.tokens(r.l, list...)
		if err != nil {
			t.Fatal(err)
		}
		told.add(head, digestsOf(list), got)
		return got[0].Refusal
	}
	for !r.l.journal.full() { // nobody commits between two answers
		if refusal := send(); refusal != nil {
			t.Fatal(refusal)
		}
	}
	d.mu.Lock()
	d.room = 1 // less than there is: even the tail that a finished segment gives back does not help
	d.mu.Unlock()
	if refusal := send(); refusal == nil || refusal.Code != mint.Unavailable {
		t.Fatalf("a segment was begun on a full disk: %v", refusal)
	}
	names, err := d.List()
	if err != nil || len(names) != 1 {
		t.Fatalf("something half-written stayed: %v, %v", names, err)
	}
	d.mu.Lock()
	d.room = 0
	d.mu.Unlock()
	if refusal := send(); refusal != nil {
		t.Fatalf("refused though there is room: %v", refusal)
	}
	if names, err = d.List(); err != nil || len(names) != 2 {
		t.Fatalf("segments: %v, %v", names, err)
	}
	if err := told.lost(d); err != nil {
		t.Fatal(err)
	}
}
