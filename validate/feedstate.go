package validate

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"seawall/validate/internal/wire"
)

// forgetLater is how long a statement is kept after its until, by the ledger's clock: as long as a
// token may be accepted after its exp, and a clock here may be behind the ledger's.
const forgetLater = 2 * maxLeeway

// feed is an issuer's distrust feed in use. One goroutine loads and follows it and is the only one
// that changes anything; another watches it age. Tokens only read.
type feed struct {
	issuer    string
	url       string
	id        string
	secret    Secret
	serve     time.Duration // after a head has expired
	serveCold bool
	leeway    time.Duration
	client    *http.Client
	now       func() time.Time
	told      func(Event)
	keys      func(context.Context) (*keySet, Code) // whose root is the pinned one

	ctx    context.Context // ends with the validator
	cancel context.CancelFunc
	wait   sync.WaitGroup

	// What tokens read.
	head  atomic.Pointer[feedHead]   // nil before the first snapshot
	rules atomic.Pointer[distrusted] // replaced only by a snapshot
	tried chan struct{}              // closed, once, when the first attempt to load has ended
	once  sync.Once

	// What people read.
	sequence  atomic.Uint64
	live      atomic.Int64
	alarms    atomic.Uint64
	refusal   atomic.Pointer[loadError] // the latest; nil if there was none
	streaming atomic.Bool

	// Owned by the goroutine that follows the feed.
	root      ed25519.PublicKey
	at        wire.DistrustHead // how far statements have been applied; the times are not used
	seen      uint64            // the highest number that the root has signed, as far as is known
	forgotten uint64            // Unix seconds; when rules were last forgotten, by the ledger's clock
	resync    bool              // the next attempt begins with a snapshot
}

// feedHead is the latest head: how far what is known can be relied on. Only over ever changes.
type feedHead struct {
	time     int64 // Unix milliseconds, signed by the ledger
	expires  int64
	refuseAt int64         // by the local clock
	born     time.Time     // when the head arrived; it has a monotonic reading
	left     time.Duration // from then to expires

	// over remembers that the head was once found expired or refused by, whatever the clock says
	// afterwards. It only grows.
	over atomic.Int32
}

// The values of feedHead.over.
const (
	overNot = iota
	overExpired
	overRefuse
)

func newFeed(c *Feed, in *issuer, v *Validator) *feed {
	ctx, cancel := context.WithCancel(context.Background())
	f := &feed{
		issuer:    in.terms.issuer,
		url:       cmp.Or(c.URL, in.terms.issuer+"/distrust"),
		id:        c.ID,
		secret:    c.Secret,
		serve:     c.OnStale.serve,
		serveCold: c.ColdStart == ServeBeforeFirstSnapshot,
		leeway:    v.leeway,
		client:    newFeedClient(c.Transport),
		now:       v.now,
		told:      func(e Event) { v.tell(&e, new(counted)) },
		keys: func(ctx context.Context) (*keySet, Code) {
			set, _, code := in.current(ctx, v.now())
			return set, code
		},
		ctx:    ctx,
		cancel: cancel,
		tried:  make(chan struct{}),
	}
	f.rules.Store(newDistrusted())
	return f
}

func (f *feed) start() {
	f.wait.Go(f.follow)
	f.wait.Go(f.watch)
}

func (f *feed) close() {
	f.cancel()
	f.wait.Wait()
	f.client.CloseIdleConnections()
}

// check gives the reason why the feed forbids a token, or "". What is known to be distrusted is
// refused first: that is certain, however old it is.
func (f *feed) check(ctx context.Context, t *Token, now time.Time) Code {
	h := f.head.Load()
	if h == nil {
		f.await(ctx)
		if h = f.head.Load(); h == nil && !f.serveCold {
			return CodeFeedUnavailable
		}
	}
	if code := f.rules.Load().check(t); code != "" {
		return code
	}
	if h != nil && h.refuses(now) {
		return CodeFeedStale
	}
	return ""
}

// await waits for the end of the first attempt to load, but not for ever.
func (f *feed) await(ctx context.Context) {
	select {
	case <-f.tried:
		return
	default:
	}
	timer := time.NewTimer(waitTimeout)
	defer timer.Stop()
	select {
	case <-f.tried:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// refuses reports whether what is known is too old by now. Once it was, it stays so until a newer
// head comes: a clock that steps back makes nothing fresh.
func (h *feedHead) refuses(now time.Time) bool {
	if now.UnixMilli() >= h.refuseAt {
		h.over.Store(overRefuse)
	}
	return h.over.Load() == overRefuse
}

// age looks at both clocks, the one that shows the time and the one that only runs forward, and
// takes the worse.
func (h *feedHead) age(now time.Time, serve time.Duration) int32 {
	lived := time.Since(h.born)
	switch {
	case h.refuses(now):
	case lived >= h.left+serve:
		h.over.Store(overRefuse)
	case now.UnixMilli() >= h.expires || lived >= h.left:
		h.over.CompareAndSwap(overNot, overExpired)
	}
	return h.over.Load()
}

// watch notices by itself when a head expires, and says so once.
func (f *feed) watch() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var told *feedHead
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-tick.C:
		}
		h := f.head.Load()
		if h == nil || h.age(f.now(), f.serve) == overNot || h == told {
			continue
		}
		told = h
		note := "tokens are refused until a fresh head comes"
		if f.serve > 0 {
			note = "tokens are judged by what was known then for another " + f.serve.String() + ", and refused after that"
		}
		f.tell(Event{Kind: FeedOverdue, Code: CodeFeedStale, Notes: []string{note}})
	}
}

func (f *feed) tell(e Event) {
	if f.ctx.Err() == nil {
		e.Issuer, e.Sequence = f.issuer, f.sequence.Load()
		f.told(e)
	}
}

func (f *feed) state() FeedState {
	s := FeedState{
		Issuer: f.issuer, Phase: FeedStarting, Sequence: f.sequence.Load(), Statements: int(f.live.Load()),
		Streaming: f.streaming.Load(), Alarms: f.alarms.Load(),
	}
	if r := f.refusal.Load(); r != nil {
		s.LastRefusal = r.code
	}
	if h := f.head.Load(); h != nil {
		now := f.now()
		s.Phase = []FeedPhase{FeedFresh, FeedServing, FeedStale}[h.age(now, f.serve)]
		s.Age = max(now.Sub(time.UnixMilli(h.time)), time.Since(h.born))
	}
	return s
}

// ready waits for the first attempt to load, and gives the reason why it failed.
func (f *feed) ready(ctx context.Context) error {
	select {
	case <-f.tried:
	case <-ctx.Done():
		return fmt.Errorf("validate: waiting for the distrust feed of %s: %w", f.issuer, ctx.Err())
	}
	if f.head.Load() == nil && !f.serveCold {
		return fmt.Errorf("validate: distrust feed of %s: %w", f.issuer, f.refusal.Load())
	}
	return nil
}

// place says where something signed by the root stands in the history that is
// known. What reaches less far than something seen before, or tells another history, is refused.
func (f *feed) place(n uint64, chain wire.Chain) *loadError {
	defer func() { f.seen = max(f.seen, n) }()
	switch {
	case n < f.seen:
		return loadErrorf(CodeFeedRolledBack, "it reaches to statement %d only, and %d was seen before", n, f.seen)
	case f.head.Load() != nil && n == f.at.N && chain != f.at.Chain:
		return loadErrorf(CodeFeedForked, "it tells another history up to statement %d", n)
	}
	return nil
}

// takeStatement verifies one statement and lets it count.
func (f *feed) takeStatement(raw []byte) *loadError {
	d, signature, ok := readStatement(raw)
	r, sound := distrustOf(&d)
	if !ok || !sound {
		return malformed("statement", errFeedForm)
	}
	input := d.AppendInput(nil)
	if d.Issuer != f.issuer || !ed25519.Verify(f.root, input, signature) {
		return loadErrorf(CodeFeedSignature, "statement %d is not signed by the pinned ledger root for this issuer", d.N)
	}
	chain := wire.ChainOf(input)
	if failure := f.place(d.N, chain); failure != nil {
		return failure
	}
	switch {
	case d.N == f.at.N: // the same again
		return nil
	case d.N != f.at.N+1:
		return loadErrorf(CodeFeedGap, "statement %d came after %d: one is missing", d.N, f.at.N)
	case d.Prev != f.at.Chain:
		return loadErrorf(CodeFeedForked, "statement %d belongs to another history", d.N)
	}
	if failure := f.notAhead(d.Time); failure != nil {
		return failure
	}
	rules := f.rules.Load()
	if d.Act == "restore" {
		rules.remove(r.kind, d.Value, d.Undoes)
	} else if rules.full(len(d.Value)) {
		return loadErrorf(CodeFeedFull, "there are more live statements than a validator remembers (%d, with values of %d MiB)", maxDistrusted, maxDistrustedText>>20)
	} else {
		rules.add(r, d.Value)
	}
	f.at.N, f.at.Chain = d.N, chain
	f.publish(rules)
	f.tell(Event{Kind: FeedChanged, Notes: []string{d.Act + " " + d.Kind + ": " + d.Reason}})
	return nil
}

// publish puts rules in place, if they are new ones, and tells people about them.
func (f *feed) publish(rules *distrusted) {
	f.rules.Store(rules)
	f.live.Store(int64(rules.len()))
	f.sequence.Store(f.at.N)
}

// takeHead verifies a head. It tells whether the head was a newer one.
func (f *feed) takeHead(raw []byte) (newer bool, _ *loadError) {
	h, signature, ok := readHead(raw)
	if !ok {
		return false, malformed("head", errFeedForm)
	}
	if h.Issuer != f.issuer || !ed25519.Verify(f.root, h.Input(), signature) {
		return false, loadErrorf(CodeFeedSignature, "the head is not signed by the pinned ledger root for this issuer")
	}
	if failure := f.place(h.N, h.Chain); failure != nil {
		return false, failure
	}
	if h.N > f.at.N {
		return false, loadErrorf(CodeFeedGap, "the head reaches to statement %d, and only %d have come", h.N, f.at.N)
	}
	return f.renew(&h)
}

// takeSnapshot reads a snapshot and puts it in the place of all that was known.
func (f *feed) takeSnapshot(j *feedReader) (newer bool, _ *loadError) {
	var known *wire.DistrustHead
	if f.head.Load() != nil {
		known = &f.at
	}
	s, failure := readSnapshot(j, f.issuer, f.root, known)
	if failure == nil {
		failure = f.place(s.head.N, s.head.Chain)
	}
	if failure == nil && (known == nil || s.head.N > known.N) {
		if failure = f.timely(&s.head); failure == nil {
			f.at = s.head
			f.publish(s.rules)
			f.tell(Event{Kind: FeedLoaded})
		}
	}
	if failure != nil {
		return false, failure
	}
	return f.renew(&s.head)
}

// renew makes a verified head the latest, unless there is a newer one already.
func (f *feed) renew(h *wire.DistrustHead) (newer bool, _ *loadError) {
	old := f.head.Load()
	if old != nil && int64(h.Time) <= old.time {
		return false, nil
	}
	if failure := f.timely(h); failure != nil {
		return false, failure
	}
	f.forget(h.Time / 1000)
	now := f.now()
	expires := time.UnixMilli(int64(h.Expires))
	f.head.Store(&feedHead{
		time:     int64(h.Time),
		expires:  int64(h.Expires),
		refuseAt: expires.Add(f.serve).UnixMilli(),
		born:     time.Now(),
		left:     min(expires.Sub(now), expires.Sub(time.UnixMilli(int64(h.Time)))),
	})
	if old != nil && old.over.Load() != overNot {
		f.tell(Event{Kind: FeedRecovered})
	}
	return true, nil
}

// timely holds a head's signed times against the local clock.
func (f *feed) timely(h *wire.DistrustHead) *loadError {
	if late := f.now().Sub(time.UnixMilli(int64(h.Expires))); late >= 0 {
		return loadErrorf(CodeFeedTime, "it expired %v ago: it is an old one, or this machine's clock is ahead of the ledger's", late.Round(time.Second))
	}
	return f.notAhead(h.Time)
}

// notAhead refuses what was signed in the future.
func (f *feed) notAhead(ms uint64) *loadError {
	if early := time.UnixMilli(int64(ms)).Sub(f.now()); early > f.leeway {
		return loadErrorf(CodeFeedTime, "it was signed %v in the future: compare this machine's clock with the ledger's", early.Round(time.Second))
	}
	return nil
}

// forget drops statements whose tokens have all ended, about once a minute. The ledger's clock
// decides: the local one could be wrong, and what is forgotten is forgiven.
func (f *feed) forget(now uint64) {
	if now < f.forgotten+60 || now < uint64(forgetLater/time.Second) {
		return
	}
	f.forgotten = now
	rules := f.rules.Load()
	if rules.forget(now - uint64(forgetLater/time.Second)) {
		f.publish(rules)
	}
}
