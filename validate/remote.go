package validate

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxDocument    = 512 << 10        // bytes of a key document
	fetchTimeout   = 10 * time.Second // for one load, everything included
	probeTimeout   = 3 * time.Second  // for a look at a foreign issuer's metadata
	waitTimeout    = 5 * time.Second  // for a token that waits for a load
	minRefresh     = 30 * time.Second
	defaultRefresh = 5 * time.Minute
	maxRefresh     = time.Hour
	maxStale       = 24 * time.Hour // how old a key document may become, wherever it was kept
	maxUnchanged   = time.Hour      // for which an issuer's word is enough that a document is current
	maxRetry       = time.Minute

	earlyBurst = 2                // early loads for unknown keys at once
	earlyEvery = 10 * time.Second // and how often one more is granted
	maxWaiting = 256              // tokens that wait for an early load at once
)

// remote keeps the keys of one issuer fresh. One goroutine loads them on schedule; tokens that name
// an unknown key may ask for an early load under a budget of their own, so that no flood of unknown
// keys delays the schedule. Loads never overlap.
type remote struct {
	url       string
	terms     terms
	announced []string // metadata that would tell of a ledger; foreign issuers only
	client    *http.Client
	now       func() time.Time
	spread    func(time.Duration) time.Duration
	told      func(Event, *keySet) // hears how each load ended, and the set in use; may be nil

	ctx    context.Context // ends with the validator
	cancel context.CancelFunc
	wait   sync.WaitGroup

	latest  atomic.Pointer[loaded] // nil until the first load ended
	probed  time.Time              // last look at metadata that found no ledger; owned by the load under way
	waiting atomic.Int32           // tokens that wait for an early load

	mu       sync.Mutex // guards what follows
	flight   chan struct{}
	closed   bool
	pause    time.Duration // until the next scheduled load
	failures int           // in a row
	budget   int
	granted  time.Time // when the budget last grew
}

// loaded is what the loads so far have brought; it never changes.
type loaded struct {
	set     *keySet // nil if no load ever succeeded
	sum     [sha256.Size]byte
	etag    string
	date    time.Time // by the issuer's clock, if that is not far ahead of ours
	made    time.Time // when the document left the issuer, by our clock
	fetched time.Time // by the steady clock, when it was last fetched whole
	anchor  anchor
	failure *loadError // of the latest load; nil if it succeeded
}

func newRemote(t terms, k KeySource, now func() time.Time, told func(Event, *keySet)) *remote {
	ctx, cancel := context.WithCancel(context.Background())
	transport := k.transport
	if transport == nil {
		transport = newTransport()
	}
	r := &remote{
		url: k.url, terms: t, now: now, spread: k.spread, told: told, ctx: ctx, cancel: cancel, budget: earlyBurst,
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if r.spread == nil {
		r.spread = jitter
	}
	if !t.seawall {
		r.announced = metadataURLs(t.issuer)
	}
	return r
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSHandshakeTimeout:    fetchTimeout,
		ResponseHeaderTimeout:  fetchTimeout,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}
}

// start begins the schedule; close ends it and waits.
func (r *remote) start() {
	first := r.load() // at once, so that the first token finds it under way
	r.wait.Add(1)
	go r.schedule(first)
}

func (r *remote) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wait.Wait()
	r.client.CloseIdleConnections()
}

func (r *remote) schedule(flight <-chan struct{}) {
	defer r.wait.Done()
	for ; flight != nil; flight = r.load() { // it is nil after close
		<-flight // ends at the latest with the validator
		r.mu.Lock()
		pause := r.pause
		r.mu.Unlock()
		select {
		case <-time.After(pause):
		case <-r.ctx.Done():
			return
		}
	}
}

// load begins a load, or joins the one under way. The channel is closed when it has ended; it is
// nil after close.
func (r *remote) load() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loadLocked()
}

func (r *remote) loadLocked() <-chan struct{} {
	if r.flight == nil && !r.closed {
		flight := make(chan struct{})
		r.flight = flight
		r.wait.Add(1)
		go func() {
			defer r.wait.Done()
			r.fly()
			close(flight)
		}()
	}
	return r.flight
}

// set gives the keys to judge by, and the time to judge them by: see anchor. Only the very first
// tokens wait for a load.
func (r *remote) set(ctx context.Context, now time.Time) (*keySet, time.Time, Code) {
	have := r.latest.Load()
	if have == nil {
		r.await(ctx, r.load())
		if have = r.latest.Load(); have == nil {
			return nil, now, CodeKeysUnavailable
		}
	}
	now = have.anchor.forward(now)
	switch {
	case have.set == nil:
		return nil, now, have.failure.code
	case have.stale(now):
		r.demand() // not for this token: the clock may have leapt, and then the schedule is late
		return nil, now, CodeKeysStale
	}
	return have.set, now, ""
}

// stale reports whether the document in use is too old by a time that set has given.
func (h *loaded) stale(now time.Time) bool { return now.Sub(h.made) > maxStale }

// early loads keys once more because a token names a key that the set lacks. It gives CodeKeyUnknown
// if the budget for that is used up: then the answer stays what it was. If what is served now is
// refused because of its ledger, the code says so: the unknown key probably comes from there.
func (r *remote) early(ctx context.Context, now time.Time) (*keySet, Code) {
	flight := r.demand()
	if flight != nil {
		if r.waiting.Add(1) <= maxWaiting {
			r.await(ctx, flight)
		}
		r.waiting.Add(-1)
	}
	if have := r.latest.Load(); have.failure != nil && have.failure.code == CodeLedgerPin {
		return nil, CodeLedgerPin
	}
	if flight == nil {
		return nil, CodeKeyUnknown
	}
	set, _, code := r.set(ctx, now)
	return set, code
}

// demand joins the load under way, or begins one if the budget allows. nil means neither.
func (r *remote) demand() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flight != nil || r.spend() {
		return r.loadLocked()
	}
	return nil
}

// spend takes one early load from the budget, which refills with time. Callers hold mu.
func (r *remote) spend() bool {
	now := time.Now()
	if more := int(now.Sub(r.granted) / earlyEvery); more > 0 {
		r.budget = min(earlyBurst, r.budget+more)
		r.granted = now
	}
	if r.budget == 0 {
		return false
	}
	r.budget--
	return true
}

// await waits for a load, but not for ever.
func (r *remote) await(ctx context.Context, flight <-chan struct{}) {
	if flight == nil {
		return
	}
	timer := time.NewTimer(waitTimeout)
	defer timer.Stop()
	select {
	case <-flight:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// fly does one load from beginning to end and files its outcome.
func (r *remote) fly() {
	ctx, cancel := context.WithTimeout(r.ctx, fetchTimeout)
	defer cancel()
	have := r.latest.Load()
	if have == nil {
		have = &loaded{}
	}
	telling := make(chan string, 1) // where metadata announce a ledger, or ""
	go func() { telling <- r.announcement(ctx) }()
	next, fresh := r.renew(ctx, have)
	if where := <-telling; where != "" {
		// Keys that were taken without receipts must not go on serving.
		next = (&loaded{}).failed(loadErrorf(CodeLedgerAnnounced, "%s announces a seawall ledger: configure the issuer with SeawallIssuer and its pin", where))
	}
	if r.ctx.Err() != nil {
		next = have.failed(loadErrorf(CodeKeysUnavailable, "the validator was closed"))
	}
	r.latest.Store(next)
	r.mu.Lock()
	r.plan(fresh, next.failure != nil)
	r.flight = nil
	r.mu.Unlock()
	r.report(next)
}

// failed gives the same keys after a load that brought none.
func (h *loaded) failed(why *loadError) *loaded {
	next := *h
	next.failure = why
	return &next
}

// renew asks for the key document and gives what to go on with, and for how long. A document without
// one usable key is refused: such an answer is a mistake, and it must not turn every token away.
func (r *remote) renew(ctx context.Context, have *loaded) (*loaded, time.Duration) {
	etag := have.etag
	if time.Since(have.fetched) >= maxUnchanged {
		etag = "" // whoever only ever says "unchanged" must show it now and then
	}
	asked := drop(r.now())
	a, err := r.get(ctx, r.url, etag)
	if err != nil {
		return have.failed(loadErrorf(CodeKeysUnavailable, "loading the keys of %s: %v", r.terms.issuer, err)), 0
	}
	next := &loaded{sum: sha256.Sum256(a.body), etag: a.etag, fetched: asked.steady}
	next.anchor = have.anchor.settle(asked, a.date)
	now := next.anchor.wall
	next.made = now.Add(-max(0, a.since(now)))
	if !a.date.After(now.Add(maxSkew)) {
		next.date = a.date
	}
	unchanged := a.body == nil || have.set != nil && next.sum == have.sum
	switch older := have.set != nil && !have.stale(now) && !a.date.IsZero() && a.date.Before(have.date.Add(-maxSkew)); {
	case a.body == nil || older && unchanged:
		kept := have.failed(nil) // it gets no younger by that
		kept.anchor = next.anchor
		return kept, a.fresh
	case next.stale(now):
		return have.failed(loadErrorf(CodeKeysStale, "the key document of %s was written %v ago: a cache on the way serves an old copy, or a clock is wrong", r.terms.issuer, a.since(now).Round(time.Second))), 0
	case older:
		return have.failed(loadErrorf(CodeKeysStale, "the key document of %s is older than the one in use: a cache on the way serves an old copy", r.terms.issuer)), 0
	}
	var failure *loadError
	if next.set = have.set; !unchanged {
		next.set, failure = newKeySet(a.body, r.terms)
	}
	if failure == nil && next.set.usable(r.terms, now) == 0 {
		failure = loadErrorf(CodeKeysUnavailable, "the key document of %s holds no usable key", r.terms.issuer)
		have = have.heed(next, instantOf(now))
	}
	if failure != nil {
		return have.failed(failure), 0
	}
	return next, a.fresh
}

// heed takes from a document that can't replace the one in use what it says against single keys.
func (h *loaded) heed(word *loaded, now instant) *loaded {
	if h.set == nil {
		return h
	}
	set := h.set.heed(word.set, now)
	if set == h.set {
		return h
	}
	// Neither the old document nor its ETag stands for this set, so that the next answer is read.
	return &loaded{set: set, date: word.date, made: h.made, fetched: h.fetched, anchor: h.anchor}
}

// plan sets when to load next. Callers hold mu.
func (r *remote) plan(fresh time.Duration, failed bool) {
	if !failed {
		r.failures = 0
		r.pause = r.spread(fresh)
		return
	}
	r.pause = r.spread(min(maxRetry, time.Second<<min(r.failures, 10)))
	r.failures++
}

func (r *remote) report(o *loaded) {
	if r.told == nil || r.ctx.Err() != nil {
		return
	}
	e := Event{Kind: KeysLoaded, Issuer: r.terms.issuer}
	if o.failure != nil {
		e.Kind, e.Code, e.Notes = KeysRefused, o.failure.code, []string{o.failure.text}
	} else {
		e.Notes = o.set.notes
	}
	r.told(e, o.set)
}

// jitter spreads many validators over time: d, plus or minus a tenth.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// ready waits until keys are loaded, or gives the reason why a load failed.
func (r *remote) ready(ctx context.Context) error {
	have := r.latest.Load()
	if have == nil {
		flight := r.load()
		if flight == nil {
			return fmt.Errorf("validate: the keys of %s are not loaded: the validator is closed", r.terms.issuer)
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return fmt.Errorf("validate: waiting for the keys of %s: %w", r.terms.issuer, ctx.Err())
		}
		have = r.latest.Load()
	}
	if have.set == nil {
		return fmt.Errorf("validate: %w", have.failure)
	}
	return nil
}
