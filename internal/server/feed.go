package server

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"seawall/internal/durable"
	"seawall/internal/mint"
)

const (
	feedsDir = "feeds" // in the house's directory: feeds for when the ledger is away

	// headEvery is how often the ledger is asked for a new head of a feed that somebody listens to.
	headEvery = 5 * time.Second
	// wantedFor is how long a feed is kept fresh after somebody last wanted it.
	wantedFor = time.Minute
	// forgetAfter is how long it then stays in memory.
	forgetAfter = 10 * time.Minute
	// remembered is how many of the last statements are kept as events, for listeners that were away for a moment.
	remembered = 1024
	// savedEvery is how often a feed of which only the head is new is written to the disk.
	savedEvery = time.Minute
)

// feeds carries the distrust feeds of all tenants from the ledger to APIs, and to introspection. It is only transport:
// everything that goes out was signed by the ledger's root, and is checked here all the same, because a feed that no
// validator would accept must be noticed by whoever runs the house.
type feeds struct {
	dir  string
	ask  func(ctx context.Context, typ mint.MsgType, question, answer any) error // the ledger
	root func() ed25519.PublicKey                                                // nil while the house knows none
	log  *slog.Logger
	now  func() time.Time

	streams  chan struct{} // one place for each listener
	patience time.Duration // how long a listener may take for what it is sent
	closing  chan struct{} // closed when the house drains

	mu       sync.Mutex
	byTenant map[string]*feed
}

func newFeeds(dir string, v *vaults, log *slog.Logger, now func() time.Time) (*feeds, error) {
	f := &feeds{dir: filepath.Join(dir, feedsDir), ask: v.askLedger, log: log, now: now, streams: make(chan struct{}, maxListeners), patience: listenTime,
		closing: make(chan struct{}), byTenant: map[string]*feed{}}
	f.root = func() ed25519.PublicKey {
		known := v.root.Load()
		if known == nil {
			return nil
		}
		root, err := decodeRoot(*known)
		if err != nil {
			return nil
		}
		return root
	}
	if err := os.Mkdir(f.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making the directory of distrust feeds: %w", err)
	}
	return f, nil
}

// of returns the feed of a tenant, and notes that somebody wants it.
func (s *feeds) of(tenant, issuer string) *feed {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.byTenant[tenant]
	if f == nil || f.issuer != issuer {
		f = &feed{from: s, tenant: tenant, issuer: issuer, again: make(chan struct{}), listeners: map[string]int{}}
		s.byTenant[tenant] = f
	}
	f.wanted.Store(s.now().UnixNano())
	return f
}

// feed is one issuer's distrust feed as the house has it.
type feed struct {
	from           *feeds
	tenant, issuer string
	wanted, tried  atomic.Int64 // when somebody last did, and when the ledger was last asked, Unix nanoseconds

	refreshing sync.Mutex // one question at a time; guards what follows
	read       bool       // the file was looked at
	saved      time.Time
	unsaved    bool

	mu        sync.RWMutex
	feedState // what was verified last
	index     map[named][]uint64
	events    [][]byte       // the last statements, in step with Recent
	head      []byte         // as an event
	whole     *encoded       // the snapshot
	again     chan struct{}  // closed when there is something new
	listeners map[string]int // by API
}

// feedState is what is kept on the disk.
type feedState struct {
	Head     mint.FeedHead   `json:"head"`     // no signature: nothing was ever heard
	Snapshot string          `json:"snapshot"` // signature of the snapshot of the head's time
	Live     []mint.Distrust `json:"live"`     // in order; may hold some that are over
	Recent   []mint.Distrust `json:"recent"`
}

// named is what a statement is about.
type named struct {
	kind  mint.DistrustKind
	value string
}

// known reports whether anything was ever heard of the feed.
func (f *feed) known() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.Head.Signature != ""
}

// ready makes sure that something is known about the feed: what the ledger says, or what it said last.
func (f *feed) ready(ctx context.Context) error {
	if f.known() {
		return nil
	}
	if f.asked(time.Second) { // many may be waiting for the same
		return mint.Refuse(mint.Unavailable, "the feed is not known yet")
	}
	err := f.refresh(ctx, f.known)
	if f.known() {
		return nil
	}
	return err
}

// learn makes the feed known and keeps it, if that can be done now.
func (f *feed) learn(ctx context.Context) {
	if err := f.ready(ctx); err != nil {
		f.from.complain(ctx, f, err)
	}
	f.save()
}

// catchUp hears what the ledger has to say now, and keeps it.
func (f *feed) catchUp(ctx context.Context) {
	if err := f.refresh(ctx, nil); err != nil {
		f.from.complain(ctx, f, err)
	}
	f.save()
}

// judged is what a statement may name of a token.
type judged interface {
	KeyID() string
	ID() string
	SessionID() string
	Subject() string
	Client() string
	IssuedAt() time.Time
}

// distrusts reports whether a token must not be believed, by what is known now.
func (f *feed) distrusts(t judged) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if len(f.index) == 0 {
		return false
	}
	iat := t.IssuedAt().Unix()
	return f.names(mint.DistrustKey, t.KeyID(), iat) || f.names(mint.DistrustToken, t.ID(), iat) ||
		f.names(mint.DistrustSession, t.SessionID(), iat) || f.names(mint.DistrustSubject, t.Subject(), iat) || f.names(mint.DistrustClient, t.Client(), iat)
}

// distrustsItself reports whether a statement names this very token. What is said about its subject, client, session or
// key may be taken back and leave the token alive; a client that gives its token up wants it dead whatever becomes of those.
func (f *feed) distrustsItself(t judged) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.names(mint.DistrustToken, t.ID(), t.IssuedAt().Unix())
}

// says reports whether a statement names this of tokens that were issued at a time.
func (f *feed) says(kind mint.DistrustKind, value string, iat int64) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.names(kind, value, iat)
}

// names is [feed.says] for who holds f.mu.
func (f *feed) names(kind mint.DistrustKind, value string, iat int64) bool {
	if value == "" {
		return false
	}
	for _, n := range f.index[named{kind, value}] {
		if d := f.find(n); d != nil && (d.Before == 0 || iat < d.Before) {
			return true
		}
	}
	return false
}

func (f *feed) find(n uint64) *mint.Distrust {
	if i, found := slices.BinarySearchFunc(f.Live, n, func(d mint.Distrust, n uint64) int { return int(int64(d.N) - int64(n)) }); found {
		return &f.Live[i]
	}
	return nil
}

// refresh asks the ledger what is new, verifies it, and tells everybody. enough, if not nil, is asked when it is this
// caller's turn: somebody else may have asked meanwhile.
func (f *feed) refresh(ctx context.Context, enough func() bool) error {
	f.refreshing.Lock()
	defer f.refreshing.Unlock()
	root := f.from.root()
	if root == nil {
		return mint.Refuse(mint.Unavailable, "the ledger has not been heard yet")
	}
	f.load(root)
	if enough != nil && enough() {
		return nil
	}
	f.tried.Store(f.from.now().UnixNano())
	n, err := f.continued(ctx, root)
	for tries := 0; errors.Is(err, errGap) && tries < 5; tries++ {
		n, err = f.anew(ctx, root)
	}
	if err != nil {
		return err
	}
	f.take(n)
	return nil
}

// reaches is for refresh: the feed has come to the statement n.
func (f *feed) reaches(n uint64) func() bool {
	return func() bool {
		f.mu.RLock()
		defer f.mu.RUnlock()
		return f.Head.N >= n
	}
}

// young is for refresh: the ledger was asked a moment ago. Whether it answered makes no difference: while it is away, not
// everybody who wants the feed shall wait for it again.
func (f *feed) young() bool { return f.known() && f.asked(headEvery) }

// asked reports whether the ledger was asked within the last d.
func (f *feed) asked(d time.Duration) bool {
	return f.from.now().Sub(time.Unix(0, f.tried.Load())) < d
}

// news is a verified answer of the ledger: statements that continue what was known, or all that is live.
type news struct {
	feedState
	whole bool
}

var (
	errFeed = errors.New("the ledger's answer about a distrust feed does not verify under its root; nothing of it is used")
	errGap  = errors.New("the distrust feed changes faster than it can be read")
)

// continued asks how the feed goes on.
func (f *feed) continued(ctx context.Context, root ed25519.PublicKey) (*news, error) {
	had := f.copy()
	n := &news{}
	after, chain := had.Head.N, had.Head.Chain
	for more := true; more; {
		a := new(mint.Feed)
		if err := f.from.ask(ctx, mint.MsgFeed, mint.FeedQuery{Issuer: f.issuer, After: after}, a); err != nil {
			return nil, err
		}
		if a.Gap {
			return nil, errGap
		}
		for i := range a.Statements {
			d := &a.Statements[i]
			if d.Issuer != f.issuer || d.N != after+1 || d.Prev != chain || !d.Verify(root) {
				return nil, errFeed
			}
			after, chain = d.N, d.Chain()
		}
		n.Recent = append(n.Recent, a.Statements...)
		n.Head, n.Snapshot, more = a.Head, a.Snapshot, a.More
	}
	if n.Head.N != after || n.Head.Chain != chain {
		return nil, errFeed
	}
	n.Live = follow(had.Live, n.Recent)
	return n, n.check(f.issuer, root)
}

// anew asks for everything that is live.
func (f *feed) anew(ctx context.Context, root ed25519.PublicKey) (*news, error) {
	n := &news{whole: true}
	after := uint64(0)
	for more := true; more; {
		a := new(mint.Feed)
		if err := f.from.ask(ctx, mint.MsgFeed, mint.FeedQuery{Issuer: f.issuer, After: after, Live: true}, a); err != nil {
			return nil, err
		}
		if after > 0 && a.Head.N != n.Head.N {
			return nil, errGap // the pages are not of one moment
		}
		for i := range a.Statements {
			d := &a.Statements[i]
			if d.Issuer != f.issuer || d.N <= after || !d.Verify(root) {
				return nil, errFeed
			}
			after = d.N
		}
		n.Live = append(n.Live, a.Statements...)
		n.Head, n.Snapshot, more = a.Head, a.Snapshot, a.More
	}
	if n.Head.N < f.copy().Head.N {
		return nil, errFeed
	}
	return n, n.check(f.issuer, root)
}

// check leaves out what is over, and verifies that the rest is what the root calls the whole.
func (n *news) check(issuer string, root ed25519.PublicKey) error {
	n.Live = alive(n.Live, n.Head.Millis)
	if n.Head.Issuer != issuer || !n.Head.Verify(root) || !n.snapshot().Verify(root) {
		return errFeed
	}
	return nil
}

// follow returns what is live after statements, in a list of its own.
func follow(live, statements []mint.Distrust) []mint.Distrust {
	if len(statements) == 0 {
		return live
	}
	live = slices.Clone(live)
	for i := range statements {
		d := &statements[i]
		if d.Act == mint.ActDistrust {
			live = append(live, *d)
			continue
		}
		live = slices.DeleteFunc(live, func(l mint.Distrust) bool { return l.N == d.Undoes })
	}
	return live
}

// alive leaves out what is over at ms.
func alive(live []mint.Distrust, ms uint64) []mint.Distrust {
	if !slices.ContainsFunc(live, func(d mint.Distrust) bool { return !d.LiveAt(ms) }) {
		return live
	}
	return slices.DeleteFunc(slices.Clone(live), func(d mint.Distrust) bool { return !d.LiveAt(ms) })
}

func (s *feedState) snapshot() *mint.Snapshot {
	h := &s.Head
	list := s.Live
	if list == nil {
		list = []mint.Distrust{}
	}
	return &mint.Snapshot{Issuer: h.Issuer, N: h.N, Chain: h.Chain, Millis: h.Millis, Expires: h.Expires, Statements: list, Signature: s.Snapshot}
}

// take makes news the present state, and wakes whoever listens. Callers hold f.refreshing.
func (f *feed) take(n *news) {
	f.mu.Lock()
	changed := n.whole || len(n.Recent) > 0
	if n.whole {
		f.events, f.Recent = nil, nil
	}
	for i := range n.Recent {
		f.events = append(f.events, numbered(n.Recent[i].N, asEvent("statement", &n.Recent[i])))
	}
	f.Recent = append(f.Recent, n.Recent...)
	if over := len(f.events) - remembered; over > 0 {
		f.events, f.Recent = slices.Clone(f.events[over:]), slices.Clone(f.Recent[over:])
	}
	if changed || len(n.Live) != len(f.Live) {
		f.index = indexOf(n.Live)
	}
	f.Live, f.Head, f.Snapshot = n.Live, n.Head, n.Snapshot
	f.head, f.whole = asEvent("head", &f.Head), &encoded{state: f.feedState}
	close(f.again)
	f.again = make(chan struct{})
	f.mu.Unlock()
	f.unsaved = f.unsaved || changed
}

func indexOf(live []mint.Distrust) map[named][]uint64 {
	index := make(map[named][]uint64, len(live))
	for i := range live {
		name := named{live[i].Kind, live[i].Value}
		index[name] = append(index[name], live[i].N)
	}
	return index
}

// load takes up what was kept on the disk, once.
func (f *feed) load(root ed25519.PublicKey) {
	if f.read {
		return
	}
	f.read = true
	text, err := os.ReadFile(f.path())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	kept := new(feedState)
	if err == nil {
		err = json.Unmarshal(text, kept)
	}
	if err == nil && (kept.Head.Issuer != f.issuer || !kept.Head.Verify(root) || !kept.snapshot().Verify(root)) {
		err = errFeed
	}
	for i := range kept.Recent {
		if d := &kept.Recent[i]; err == nil && (!d.Verify(root) || d.N != kept.Head.N-uint64(len(kept.Recent)-1-i)) {
			err = errFeed
		}
	}
	if err != nil { // the ledger tells it again
		f.from.log.Warn("a distrust feed kept for when the ledger is away can't be used", "tenant", f.tenant, "cause", err)
		return
	}
	f.take(&news{feedState: *kept})
	f.unsaved = false
}

func (f *feed) path() string { return filepath.Join(f.from.dir, f.tenant+".json") }

// save keeps the feed on the disk if there is something new to keep.
func (f *feed) save() {
	f.refreshing.Lock()
	defer f.refreshing.Unlock()
	if !f.known() || !f.unsaved && f.from.now().Sub(f.saved) < savedEvery {
		return
	}
	f.mu.RLock()
	text, err := json.Marshal(&f.feedState)
	f.mu.RUnlock()
	if err == nil {
		err = durable.Replace(f.path(), text, 0o600)
	}
	if err != nil {
		f.from.log.Warn("a distrust feed can't be kept on the disk", "tenant", f.tenant, "cause", err)
		return
	}
	f.saved, f.unsaved = f.from.now(), false
}

// wantedNow lists the feeds that somebody listens to or asked for lately, and forgets those that nobody has for long.
func (s *feeds) wantedNow() (list []*feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for tenant, f := range s.byTenant {
		f.mu.RLock()
		busy := len(f.listeners) > 0
		f.mu.RUnlock()
		switch idle := now.Sub(time.Unix(0, f.wanted.Load())); {
		case busy || idle < wantedFor:
			list = append(list, f)
		case idle > forgetAfter && f.clean():
			delete(s.byTenant, tenant)
		}
	}
	return list
}

// clean reports whether the disk has everything.
func (f *feed) clean() bool {
	if !f.refreshing.TryLock() {
		return false
	}
	defer f.refreshing.Unlock()
	return !f.unsaved
}

// keep asks for new heads and keeps what was heard, until ctx ends.
func (s *feeds) keep(ctx context.Context) {
	tick := time.NewTicker(headEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.refreshAll(ctx, s.wantedNow())
		case <-ctx.Done():
			for _, f := range s.wantedNow() {
				f.save()
			}
			return
		}
	}
}

func (s *feeds) refreshAll(ctx context.Context, list []*feed) {
	for _, f := range list {
		if err := f.refresh(ctx, nil); err != nil {
			s.complain(ctx, f, err)
			if isAway(err) {
				return
			}
		}
		f.save()
	}
}

// complain tells why a feed is not what it should be. That the ledger is away is told by the health check.
func (s *feeds) complain(ctx context.Context, f *feed, err error) {
	if !isAway(err) && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "a distrust feed can't be carried on", "tenant", f.tenant, "cause", err)
	}
}

// watch waits for the ledger to say that a feed has grown, whoever made it grow, until ctx ends.
func (s *feeds) watch(ctx context.Context) {
	since := uint64(0)
	for ctx.Err() == nil {
		w := new(mint.Watched)
		if err := s.ask(ctx, mint.MsgWatch, mint.WatchQuery{Since: since}, w); err != nil {
			since = 0
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		since = w.Next
		list := s.wantedNow()
		if !w.All {
			list = slices.DeleteFunc(list, func(f *feed) bool { return !slices.Contains(w.Issuers, f.issuer) })
		}
		for _, f := range list {
			if err := f.refresh(ctx, nil); err != nil {
				s.complain(ctx, f, err)
			}
		}
	}
}
