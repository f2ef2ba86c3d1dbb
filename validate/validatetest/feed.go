package validatetest

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"seawall/validate"
	"seawall/validate/internal/forge"
	"seawall/validate/internal/wire"
)

const (
	headEvery = 5 * time.Second
	headFresh = time.Second // for how long one signature serves all who ask
	pollLife  = 25 * time.Second
)

// Feed is the distrust feed of an issuer in memory, signed by its ledger root: a real one, with
// snapshots, changes and events. It is an http.Handler for the three addresses {issuer}/distrust,
// {issuer}/distrust/events and {issuer}/distrust/changes; a [Server] serves its own.
//
//	n := feed.Distrust("token", token.ID())   // refused from now on, with validate.CodeRevoked
//	feed.Restore(n)                           // good again
type Feed struct {
	issuer *Issuer
	id     string
	secret string

	mu      sync.Mutex
	history forge.Feed
	signed  [][]byte // JSON of the statements after kept
	kept    uint64   // what came before can only be had as a snapshot
	head    []byte   // JSON of the latest head
	signing time.Time
	changed chan struct{} // closed at the next change
}

// NewFeed makes an empty feed for a seawall issuer.
func NewFeed(i *Issuer) *Feed {
	return &Feed{
		issuer: i, id: "api", secret: rand.Text(), history: forge.Feed{Ledger: i.ledger, Issuer: i.url}, changed: make(chan struct{}),
	}
}

// Config gives what a validate.Issuer needs to follow the feed.
func (f *Feed) Config(onStale validate.StalePolicy) validate.Feed {
	return validate.Feed{ID: f.id, Secret: validate.NewSecret(f.secret), OnStale: onStale}
}

// Credentials are what an API sends by HTTP Basic to hear the feed.
func (f *Feed) Credentials() (id, secret string) { return f.id, f.secret }

// Distrust says that something must not be believed any more, and gives the statement's number. The
// kind is key, token, session, subject or client; the value is the kid, jti, sid, sub or client.
func (f *Feed) Distrust(kind, value string) uint64 {
	return f.DistrustBefore(kind, value, time.Time{})
}

// DistrustBefore says it of the tokens that were issued before a time.
func (f *Feed) DistrustBefore(kind, value string, before time.Time) uint64 {
	now := f.issuer.clock.Now()
	d := wire.Distrust{Act: "distrust", Kind: kind, Value: value, Until: uint64(now.Unix()) + 30*day, Reason: "admin"}
	if !before.IsZero() {
		d.Before = uint64(before.Unix())
	}
	return f.add(d)
}

// Restore takes statement n back.
func (f *Feed) Restore(n uint64) uint64 {
	f.mu.Lock()
	if n == 0 || n > uint64(len(f.history.All)) {
		panic(fmt.Sprintf("validatetest: there is no statement %d", n)) // a mistake in a test
	}
	undo := f.history.Undo(n)
	f.mu.Unlock()
	return f.add(undo)
}

// Compact forgets how the feed came to be, so that validators that come back get a snapshot.
func (f *Feed) Compact() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.signed, f.kept = nil, uint64(len(f.history.All))
}

func (f *Feed) add(d wire.Distrust) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.signed = append(f.signed, f.history.Add(d, f.issuer.clock.Now().UnixMilli()))
	f.head = nil
	close(f.changed)
	f.changed = make(chan struct{})
	return uint64(len(f.history.All))
}

// snapshot gives the signed snapshot of this moment and its number.
func (f *Feed) snapshot() ([]byte, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.issuer.clock.Now().UnixMilli()
	top := f.history.Top(now)
	return f.issuer.ledger.Snapshot(&top, f.history.Live(now)), top.N
}

// since gives the signed statements after n and a head, or false if the feed can't go on from there.
// The channel is closed when there is more.
func (f *Feed) since(n uint64) (statements [][]byte, head []byte, more <-chan struct{}, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if age := f.issuer.clock.Now().Sub(f.signing); f.head == nil || age < 0 || age >= headFresh {
		f.signing = f.issuer.clock.Now()
		top := f.history.Top(f.signing.UnixMilli())
		f.head = f.issuer.ledger.Head(&top)
	}
	if n < f.kept || n > uint64(len(f.history.All)) {
		return nil, f.head, f.changed, false
	}
	return slices.Clone(f.signed[n-f.kept:]), f.head, f.changed, true
}

func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if subtle.ConstantTimeCompare([]byte(id+"\x00"+secret), []byte(f.id+"\x00"+f.secret)) != 1 {
		w.Header().Set("WWW-Authenticate", `Basic realm="distrust feed"`)
		http.Error(w, "the feed is for this issuer's APIs", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/distrust"):
		snapshot, _ := f.snapshot()
		w.Header().Set("Content-Type", "application/json")
		w.Write(snapshot)
	case strings.HasSuffix(path, "/distrust/events"):
		f.events(w, r)
	case strings.HasSuffix(path, "/distrust/changes"):
		f.changes(w, r)
	default:
		http.NotFound(w, r)
	}
}

// events streams until the client goes away.
func (f *Feed) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	at, err := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64)
	tick := time.NewTicker(headEvery)
	defer tick.Stop()
	for {
		statements, head, more, ok := f.since(at)
		if !ok || err != nil {
			var snapshot []byte
			snapshot, at = f.snapshot()
			fmt.Fprintf(w, "event: snapshot\nid: %d\ndata: %s\n\n", at, snapshot)
			err = nil
		} else {
			for _, s := range statements {
				at++
				fmt.Fprintf(w, "event: statement\nid: %d\ndata: %s\n\n", at, s)
			}
			fmt.Fprintf(w, "event: head\ndata: %s\n\n", head)
		}
		if out.Flush() != nil {
			return
		}
		select {
		case <-more:
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// changes answers when there is something after the number, or after a while.
func (f *Feed) changes(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	if err != nil {
		http.Error(w, "after must be a number", http.StatusBadRequest)
		return
	}
	statements, _, more, ok := f.since(after)
	if ok && len(statements) == 0 {
		timer := time.NewTimer(pollLife)
		defer timer.Stop()
		select {
		case <-more:
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	statements, head, _, ok := f.since(after)
	if !ok {
		snapshot, _ := f.snapshot()
		fmt.Fprintf(w, `{"snapshot":%s}`, snapshot)
		return
	}
	fmt.Fprint(w, `{"statements":[`)
	for i, s := range statements {
		if i > 0 {
			fmt.Fprint(w, ",")
		}
		w.Write(s)
	}
	fmt.Fprintf(w, `],"head":%s}`, head)
}
