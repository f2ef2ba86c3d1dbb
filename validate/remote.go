package validate

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
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
	maxStale       = 24 * time.Hour // how long keys serve after their last successful load
	maxRetry       = time.Minute

	earlyBurst = 2                // early loads for unknown keys at once
	earlyEvery = 10 * time.Second // and how often one more is granted
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
	told      func(Event, *keySet) // hears how each load ended, and the set in use; may be nil

	ctx    context.Context // ends with the validator
	cancel context.CancelFunc
	wait   sync.WaitGroup

	latest atomic.Pointer[loaded] // nil until the first load ended
	probed time.Time              // last look at metadata that found no ledger; owned by the load under way

	mu       sync.Mutex // guards what follows
	flight   chan struct{}
	closed   bool
	pause    time.Duration // until the next scheduled load
	failures int           // in a row
	etag     string
	budget   int
	granted  time.Time // when the budget last grew
}

// loaded is the outcome of the latest load; it never changes.
type loaded struct {
	set     *keySet    // nil if no load ever succeeded
	at      time.Time  // of the last successful load
	failure *loadError // of the latest load; nil if it succeeded
}

func newRemote(t terms, k KeySource, now func() time.Time, told func(Event, *keySet)) *remote {
	ctx, cancel := context.WithCancel(context.Background())
	transport := k.transport
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSHandshakeTimeout:    fetchTimeout,
			ResponseHeaderTimeout:  fetchTimeout,
			IdleConnTimeout:        90 * time.Second,
			MaxIdleConnsPerHost:    1,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		}
	}
	r := &remote{
		url: k.url, terms: t, now: now, told: told, ctx: ctx, cancel: cancel, budget: earlyBurst,
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if !t.seawall {
		r.announced = metadataURLs(t.issuer)
	}
	return r
}

// metadataURLs gives where RFC 8414 §3 and OpenID Connect Discovery §4 put an issuer's metadata. An
// issuer for many tenants has no one place.
func metadataURLs(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil || checkURL(issuer) != nil || strings.Contains(issuer, tenantMark) {
		return nil
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	host := u.Scheme + "://" + u.Host
	return []string{
		host + "/.well-known/oauth-authorization-server" + path,
		host + path + "/.well-known/openid-configuration",
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

// set gives the keys to judge by. Only the very first tokens wait for a load.
func (r *remote) set(ctx context.Context, now time.Time) (*keySet, Code) {
	have := r.latest.Load()
	if have == nil {
		r.await(ctx, r.load())
		if have = r.latest.Load(); have == nil {
			return nil, CodeKeysUnavailable
		}
	}
	switch {
	case have.set == nil:
		return nil, have.failure.code
	case now.Sub(have.at) > maxStale:
		return nil, CodeKeysStale
	}
	return have.set, ""
}

// early loads keys once more because a token names a key that the set lacks. It gives nil if the
// budget for that is used up: then the answer stays what it was. If what is served now is refused
// because of its ledger, the code says so: the unknown key probably comes from there.
func (r *remote) early(ctx context.Context, now time.Time) (*keySet, Code) {
	r.mu.Lock()
	flight := (<-chan struct{})(r.flight)
	if flight == nil && r.spend() {
		flight = r.loadLocked()
	}
	r.mu.Unlock()
	if flight != nil {
		r.await(ctx, flight)
	}
	if have := r.latest.Load(); have.failure != nil && have.failure.code == CodeLedgerPin {
		return nil, CodeLedgerPin
	}
	if flight == nil {
		return nil, CodeKeyUnknown
	}
	return r.set(ctx, now)
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
	r.mu.Lock()
	etag := r.etag
	r.mu.Unlock()
	set, answer, failure := r.document(ctx, have.set, etag)
	if where := <-telling; where != "" {
		set, failure = nil, loadErrorf(CodeLedgerAnnounced, "%s announces a seawall ledger: configure the issuer with SeawallIssuer and its pin", where)
		have = &loaded{} // keys that were taken without receipts must not go on serving
	}
	if r.ctx.Err() != nil {
		failure = loadErrorf(CodeKeysUnavailable, "the validator was closed")
	}
	outcome := &loaded{set: set, at: r.now(), failure: failure}
	if failure != nil {
		outcome.set, outcome.at = have.set, have.at
	}
	r.latest.Store(outcome)
	r.mu.Lock()
	r.file(answer, failure)
	r.flight = nil
	r.mu.Unlock()
	r.report(outcome)
}

// file sets when to load next. Callers hold mu.
func (r *remote) file(a answer, failure *loadError) {
	if failure == nil {
		r.failures = 0
		r.etag = a.etag
		r.pause = jitter(a.fresh)
		return
	}
	r.pause = jitter(min(maxRetry, time.Second<<min(r.failures, 10)))
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

// answer is what a key document's HTTP answer says beside the document.
type answer struct {
	etag  string
	fresh time.Duration // how long to wait before the next load
}

// document fetches and checks the key document. A document without one usable key is refused: such
// an answer is a mistake, and it must not turn every token away.
func (r *remote) document(ctx context.Context, have *keySet, etag string) (*keySet, answer, *loadError) {
	if have == nil {
		etag = ""
	}
	body, header, err := r.get(ctx, r.url, etag)
	if err != nil {
		return nil, answer{}, loadErrorf(CodeKeysUnavailable, "loading the keys of %s: %v", r.terms.issuer, err)
	}
	a := answer{etag: header.Get("ETag"), fresh: freshness(header)}
	if body == nil { // unchanged
		if a.etag == "" {
			a.etag = etag
		}
		return have, a, nil
	}
	set, failure := newKeySet(body, r.terms)
	if failure == nil && set.usable(r.terms, r.now()) == 0 {
		failure = loadErrorf(CodeKeysUnavailable, "the key document of %s holds no usable key", r.terms.issuer)
	}
	return set, a, failure
}

// get fetches a document of bounded size. A nil body without an error means that what etag names
// is still current.
func (r *remote) get(ctx context.Context, from, etag string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("User-Agent", "seawall-validate/"+Version)
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && etag != "":
		return nil, resp.Header, nil
	case resp.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("it answered %d; only 200 counts, redirects are not followed", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, nil, err
	}
	if len(body) > maxDocument {
		return nil, nil, fmt.Errorf("the answer is larger than %d bytes", maxDocument)
	}
	return body, resp.Header, nil
}

// announcement gives where the issuer's metadata announce a ledger, or "". Metadata that can't be
// read announce nothing: they are a hint, and the key document itself is checked in any case. One
// look an hour is enough. Only the load under way calls it.
func (r *remote) announcement(ctx context.Context) string {
	if time.Since(r.probed) < maxRefresh {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	for _, from := range r.announced {
		if body, _, err := r.get(ctx, from, ""); err == nil && announcesLedger(body) {
			return from
		}
	}
	r.probed = time.Now()
	return ""
}

// announcesLedger reports whether metadata have the member that seawalls put there.
func announcesLedger(metadata []byte) bool {
	var s scanner
	s.reset(metadata, true)
	s.space()
	for o := s.object(); s.member(&o); s.skip() {
		if string(o.name) == "seawall_ledger" {
			return true
		}
	}
	return false
}

// freshness reads how long an answer may be used (RFC 9111 §4.2), within our own bounds.
func freshness(h http.Header) time.Duration {
	for _, directive := range strings.Split(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return minRefresh
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return minRefresh
			}
			age, _ := strconv.ParseUint(h.Get("Age"), 10, 31)
			fresh := time.Duration(seconds)*time.Second - time.Duration(age)*time.Second
			return max(minRefresh, min(maxRefresh, fresh))
		}
	}
	return defaultRefresh
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
