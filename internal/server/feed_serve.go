package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"seawall/internal/grant"
	"seawall/internal/mint"
	"seawall/internal/oauth"
	"seawall/internal/tenant"
)

// Paths of the feed below a tenant's issuer.
const (
	pathFeed    = "/distrust"
	pathEvents  = "/distrust/events"
	pathChanges = "/distrust/changes"
)

const (
	// maxListeners is how many APIs may listen at once, and maxListenersPerAPI how many instances of one of them.
	maxListeners       = 2048
	maxListenersPerAPI = 1024
	// listenTime is how long a listener may take for what it is sent before it is dropped. It then begins again where it
	// was, and nobody else has waited.
	listenTime = 10 * time.Second
	// pollTime is how long a question for changes waits for one.
	pollTime = 25 * time.Second
	// quiet is when a stream without news gets a sign of life, so that both sides notice a dead connection.
	quiet = 15 * time.Second
)

var (
	errNoFeed     = &oauth.Error{Code: oauth.TemporarilyUnavailable, RetryAfter: time.Second, Description: "The distrust feed is not known yet. Try again shortly."}
	errListeners  = &oauth.Error{Code: oauth.TemporarilyUnavailable, RetryAfter: 5 * time.Second, Description: "Too many listeners. Close some, or try again later."}
	errLastEvent  = oauth.Errorf(oauth.InvalidRequest, "Last-Event-ID must be the number of a statement.")
	errAfter      = oauth.Errorf(oauth.InvalidRequest, "The parameter after must be the number of a statement.")
	errFeedNobody = oauth.Errorf(oauth.InvalidClient, "The API did not authenticate: send api_id and api_secret by HTTP Basic.")
)

// listener is an API that has proved who it is, and the feed that it may hear.
func (s *Server) listener(r *http.Request, t *resident) (*feed, *tenant.API, error) {
	basic, err := grant.ReadBasic(r.Header)
	if err != nil {
		return nil, nil, err
	}
	if basic == nil {
		return nil, nil, errFeedNobody
	}
	api, err := s.proveAPI(r, t, basic.ID, basic.Secret)
	if err != nil {
		return nil, nil, err
	}
	if !t.tenant.Live() || !api.Live() {
		return nil, nil, errAPIFailed
	}
	f := s.feeds.of(t.tenant.ID, t.tenant.Issuer)
	if err := f.ready(r.Context()); err != nil {
		s.feeds.complain(r.Context(), f, err)
		return nil, nil, errNoFeed.Because(err)
	}
	if !f.young() { // nobody has wanted it for a while
		if err := f.refresh(r.Context(), f.young); err != nil { // what was heard last is signed with its time
			s.feeds.complain(r.Context(), f, err)
		}
	}
	return f, api, nil
}

// serveFeed answers with the snapshot.
func (s *Server) serveFeed(w http.ResponseWriter, r *http.Request, t *resident) {
	f, _, err := s.listener(r, t)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	f.mu.RLock()
	whole := f.whole
	f.mu.RUnlock()
	writeFeed(w, whole.json())
}

func writeFeed(w http.ResponseWriter, parts ...[]byte) {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	h := w.Header()
	oauth.SetNoStore(h)
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(size))
	for _, part := range parts {
		_, _ = w.Write(part)
	}
}

// copy returns the present state. Its lists are not changed by anybody.
func (f *feed) copy() *feedState {
	f.mu.RLock()
	defer f.mu.RUnlock()
	state := f.feedState
	return &state
}

// enter takes a place among the listeners of a feed.
func (f *feed) enter(api string) error {
	select {
	case f.from.streams <- struct{}{}:
	default:
		return errListeners
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listeners[api] >= maxListenersPerAPI {
		<-f.from.streams
		return errListeners
	}
	f.listeners[api]++
	return nil
}

func (f *feed) leave(api string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listeners[api]--; f.listeners[api] == 0 {
		delete(f.listeners, api)
	}
	<-f.from.streams
}

// number reads what a listener says it has; ok is false when it says nothing.
func number(text string) (n uint64, ok bool, err error) {
	if text == "" {
		return 0, false, nil
	}
	n, err = strconv.ParseUint(text, 10, 64)
	return n, err == nil, err
}

// await has an API take its place among the listeners of the feed that it may hear, until it leaves.
func (s *Server) await(r *http.Request, t *resident, control *http.ResponseController) (*feed, *tenant.API, error) {
	f, api, err := s.listener(r, t)
	if err != nil {
		return nil, nil, err
	}
	if err := control.SetReadDeadline(time.Time{}); err != nil { // waiting is not reading
		return nil, nil, err
	}
	return f, api, f.enter(api.ID)
}

// serveChanges answers with what came after a statement, or when something does.
func (s *Server) serveChanges(w http.ResponseWriter, r *http.Request, t *resident) {
	after, _, err := number(r.URL.Query().Get("after"))
	if err != nil {
		oauth.WriteError(w, errAfter)
		return
	}
	control := http.NewResponseController(w)
	f, api, err := s.await(r, t, control)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer f.leave(api.ID)
	body, err := f.changes(r.Context(), after)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	_ = control.SetWriteDeadline(s.now().Add(s.feeds.patience))
	writeFeed(w, body...)
}

// changes waits until the feed is beyond after, at most [pollTime], and tells how, in parts: a snapshot can be large, and
// all who ask share its one text.
func (f *feed) changes(ctx context.Context, after uint64) ([][]byte, error) {
	timer := time.NewTimer(pollTime)
	defer timer.Stop()
	for {
		f.mu.RLock()
		state, whole, again := f.feedState, f.whole, f.again
		f.mu.RUnlock()
		news := state.Head.N != after
		if !news {
			select {
			case <-again:
				continue
			case <-timer.C:
			case <-f.from.closing:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		first := state.Head.N + 1 - uint64(len(state.Recent))
		if after > state.Head.N || after+1 < first {
			return [][]byte{[]byte(`{"snapshot":`), whole.json(), []byte(`}`)}, nil
		}
		body, err := json.Marshal(struct {
			Statements []mint.Distrust `json:"statements"`
			Head       mint.FeedHead   `json:"head"`
		}{append([]mint.Distrust{}, state.Recent[after+1-first:]...), state.Head})
		return [][]byte{body}, err
	}
}

// serveEvents sends the feed as it grows (Server-Sent Events, HTML Living Standard §9.2).
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request, t *resident) {
	last, has, err := number(r.Header.Get("Last-Event-ID"))
	if err != nil {
		oauth.WriteError(w, errLastEvent)
		return
	}
	control := http.NewResponseController(w)
	f, api, err := s.await(r, t, control)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer f.leave(api.ID)
	stream := &stream{feed: f, w: w, control: control, now: s.now, last: last, has: has}
	h := w.Header()
	oauth.SetNoStore(h)
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events for itself
	stream.run(r.Context(), func() bool {
		now, err := s.directory.tenant(r.Context(), t.tenant.ID)
		if err != nil || now == nil || !now.tenant.Live() {
			return false
		}
		a := now.api(api.ID)
		return a != nil && a.Live() && a.SecretHash == api.SecretHash
	})
}

// stream is one listener. It has a place in the feed and no queue: when it wakes it takes all that is new from there, so
// one that reads slowly costs its own connection and nothing else.
type stream struct {
	feed    *feed
	w       http.ResponseWriter
	control *http.ResponseController
	now     func() time.Time
	last    uint64 // the statement up to which it has heard
	has     bool   // it has heard anything at all
	head    uint64 // time of the last head it got
	batch   [][]byte
}

// run sends until the listener is gone or welcome is false.
func (s *stream) run(ctx context.Context, welcome func() bool) {
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		again := s.collect()
		if !welcome() || s.send() != nil {
			return
		}
		timer.Reset(quiet)
		select {
		case <-again:
		case <-timer.C:
			s.batch = append(s.batch[:0], []byte(": nothing new\n\n"))
			if s.send() != nil {
				return
			}
		case <-s.feed.from.closing:
			return
		case <-ctx.Done():
			return
		}
	}
}

// collect takes up what the listener has not got yet.
func (s *stream) collect() (again <-chan struct{}) {
	f := s.feed
	f.mu.RLock()
	events, head, headEvent, whole, again := f.events, &f.whole.state.Head, f.head, f.whole, f.again
	f.mu.RUnlock()
	s.batch = s.batch[:0]
	first := head.N + 1 - uint64(len(events))
	if !s.has || s.last > head.N || s.last+1 < first {
		s.batch = append(s.batch, fmt.Appendf(nil, "id: %d\n", head.N), whole.event())
		s.has, s.last = true, head.N
	}
	s.batch = append(s.batch, events[s.last+1-first:]...)
	s.last = head.N
	if head.Millis != s.head {
		s.batch, s.head = append(s.batch, headEvent), head.Millis
	}
	return again
}

// send writes what was collected.
func (s *stream) send() error {
	if len(s.batch) == 0 {
		return nil
	}
	if err := s.control.SetWriteDeadline(s.now().Add(s.feed.from.patience)); err != nil {
		return err
	}
	for _, text := range s.batch {
		if _, err := s.w.Write(text); err != nil {
			return err
		}
	}
	return s.control.Flush()
}

// asEvent renders an event that every listener gets as it is.
func asEvent(name string, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil { // it is strings and numbers
		panic(err)
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, text)
}

// numbered gives an event the id by which a listener goes on after it.
func numbered(n uint64, event []byte) []byte {
	return append(fmt.Appendf(nil, "id: %d\n", n), event...)
}

// encoded is a snapshot, which is rendered once and only if somebody asks for it.
type encoded struct {
	state feedState
	once  sync.Once
	text  []byte
}

// event returns the snapshot as an event.
func (e *encoded) event() []byte {
	e.once.Do(func() { e.text = asEvent("snapshot", e.state.snapshot()) })
	return e.text
}

// json returns the snapshot alone.
func (e *encoded) json() []byte {
	text := e.event()
	return text[len("event: snapshot\ndata: ") : len(text)-2]
}
