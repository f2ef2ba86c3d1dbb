package server

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
	"seawall/validate"
)

// distrustQuery is what the house asks its ledger about a tenant that the tests call acme.
func (h *testHouse) distrustQuery(kind mint.DistrustKind, value string) mint.StateQuery {
	return mint.StateQuery{Tenant: "acme", Issuer: h.base + "/acme", Act: mint.ActDistrust, Kind: kind, Value: value, Reason: mint.ByAdmin, Actor: "uid:0"}
}

// mustState states something, as soon as the ledger is there.
func (h *testHouse) mustState(q mint.StateQuery) (d *mint.Distrust) {
	h.t.Helper()
	var err error
	h.eventually("the ledger answers", func() bool {
		d, err = h.state(context.Background(), q)
		return !isAway(err)
	})
	if err != nil {
		h.t.Fatalf("stating: %v", err)
	}
	return d
}

// sse is a listener that reads events as they come.
type sse struct {
	stop   func()
	events chan sseEvent
}

type sseEvent struct{ id, name, data string }

// listen opens the event stream of acme as an API does.
func (h *testHouse) listen(api *adminapi.API, last string) (*sse, error) {
	ctx, stop := context.WithCancel(context.Background())
	q, err := http.NewRequestWithContext(ctx, "GET", h.base+"/acme/distrust/events", nil)
	if err != nil {
		stop()
		return nil, err
	}
	q.SetBasicAuth(api.APIID, api.Secret)
	if last != "" {
		q.Header.Set("Last-Event-ID", last)
	}
	r, err := feedClient.Do(q)
	if err != nil {
		stop()
		return nil, err
	}
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/event-stream" {
		stop()
		r.Body.Close()
		return nil, fmt.Errorf("status %d, %s", r.StatusCode, r.Header.Get("Content-Type"))
	}
	s := &sse{stop: stop, events: make(chan sseEvent)}
	go func() {
		defer close(s.events)
		defer r.Body.Close()
		lines := bufio.NewScanner(r.Body)
		lines.Buffer(nil, 64<<20)
		var e sseEvent
		for lines.Scan() {
			switch line := lines.Text(); {
			case line == "" && e.name != "":
				s.events <- e
				e = sseEvent{}
			case strings.HasPrefix(line, "id: "):
				e.id = line[4:]
			case strings.HasPrefix(line, "event: "):
				e.name = line[7:]
			case strings.HasPrefix(line, "data: "):
				e.data = line[6:]
			}
		}
	}()
	return s, nil
}

var feedClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (s *sse) close() {
	s.stop()
	for range s.events {
	}
}

// next returns the next event of one of the names.
func (s *sse) next(t *testing.T, names ...string) sseEvent {
	t.Helper()
	for {
		select {
		case e, open := <-s.events:
			if !open {
				t.Fatalf("the stream ended before %v", names)
			}
			if slices.Contains(names, e.name) {
				return e
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no %v", names)
		}
	}
}

func (h *testHouse) getFeed(path string, api *adminapi.API) response {
	h.t.Helper()
	return h.do("GET", "/acme/distrust"+path, "", "Authorization", basic(api.APIID, api.Secret))
}

func basic(id, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(password)))
}

func decodeTo[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// TestTheFeedIsServed asks for the feed in its three forms, and verifies everything as a validator does.
func TestTheFeedIsServed(t *testing.T) {
	h := newHouse(t, options{})
	api, _ := h.acme()
	root := h.feeds.root()
	stream, err := h.listen(api, "")
	must(t, stream, err)
	defer stream.close()
	empty := decodeTo[mint.Snapshot](t, stream.next(t, "snapshot").data)
	if empty.N != 0 || empty.Statements == nil || !empty.Verify(root) {
		t.Errorf("the empty snapshot is %+v", empty)
	}
	first := h.mustState(h.distrustQuery(mint.DistrustSubject, "<ann> & bob"))
	e := stream.next(t, "statement")
	if d := decodeTo[mint.Distrust](t, e.data); e.id != "1" || d != *first || !d.Verify(root) {
		t.Errorf("the event is %+v, want %+v", e, first)
	}
	if head := decodeTo[mint.FeedHead](t, stream.next(t, "head").data); head.N != 1 || head.Chain != first.Chain() || !head.Verify(root) {
		t.Errorf("the head is %+v", head)
	}
	r := h.getFeed("", api)
	s := decodeTo[mint.Snapshot](t, string(r.body))
	if r.status != 200 || !s.Verify(root) || len(s.Statements) != 1 || s.Statements[0] != *first || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the snapshot is %d %+v", r.status, s)
	}
	changes := decodeTo[struct {
		Statements []mint.Distrust
		Head       mint.FeedHead
	}](t, string(h.getFeed("/changes?after=0", api).body))
	if len(changes.Statements) != 1 || changes.Statements[0] != *first || !changes.Head.Verify(root) {
		t.Errorf("the changes are %+v", changes)
	}
	// A question that waits is answered by the next statement.
	answered := make(chan response)
	go func() { answered <- h.getFeed("/changes?after=1", api) }()
	h.eventually("somebody waits", func() bool { return len(h.feeds.streams) == 2 })
	undo := h.distrustQuery("", "")
	undo.Act, undo.Undoes, undo.Reason = mint.ActRestore, 1, mint.Mistake
	h.mustState(undo)
	changes.Statements = nil
	if err := json.Unmarshal((<-answered).body, &changes); err != nil || len(changes.Statements) != 1 || changes.Statements[0].Act != mint.ActRestore {
		t.Errorf("the changes are %+v, %v", changes, err)
	}
	if d := decodeTo[mint.Distrust](t, stream.next(t, "statement").data); d.N != 2 || d.Undoes != 1 {
		t.Errorf("the event is %+v", d)
	}
	// Who goes on gets what it missed and no more; who has something that never was gets the whole.
	for last, want := range map[string]string{"1": "statement 2", "2": "head ", "": "snapshot 2", "99": "snapshot 2"} {
		again, err := h.listen(api, last)
		must(t, again, err)
		if e := again.next(t, "snapshot", "statement", "head"); e.name+" "+e.id != want {
			t.Errorf("after %q comes %s %s, want %s", last, e.name, e.id, want)
		}
		again.close()
	}
	if r := h.getFeed("/changes?after=99", api); !strings.HasPrefix(string(r.body), `{"snapshot":{`) {
		t.Errorf("changes after what never was: %s", r.body)
	}
}

// TestTheFeedIsForAPIsOnly: it tells who was revoked, so nobody else may hear it.
func TestTheFeedIsForAPIsOnly(t *testing.T) {
	h := newHouse(t, options{})
	api, client := h.acme()
	other, err := h.op.CreateTenant(t.Context(), adminapi.CreateTenant{Tenant: "globex", Class: "production", Owner: "ops@globex.example", Contacts: []string{"a@globex.example", "b@globex.example"}})
	must(t, other, err)
	theirs, err := h.op.CreateAPI(t.Context(), "globex", adminapi.CreateAPI{Audience: "https://api.globex.example", Scopes: []string{"x"}})
	must(t, theirs, err)
	closed, err := h.op.CreateAPI(t.Context(), "acme", adminapi.CreateAPI{Audience: "https://closed.acme.example", Scopes: []string{"x"}})
	must(t, closed, err)
	if _, err := h.op.DisableAPI(t.Context(), "acme", closed.APIID); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "/events", "/changes"} {
		address := "/acme/distrust" + path
		h.do("GET", address, "").wants(t, path+": nobody", 401, "invalid_client", "did not authenticate")
		for name, pair := range map[string][2]string{"a wrong secret": {api.APIID, "wrong"}, "a client": {client.ClientID, client.Secret},
			"another tenant's API": {theirs.APIID, theirs.Secret}, "a disabled API": {closed.APIID, closed.Secret}} {
			h.do("GET", address, "", "Authorization", basic(pair[0], pair[1])).wants(t, path+": "+name, 401, "invalid_client", "API authentication failed")
		}
		h.do("POST", address, "", "Authorization", basic(api.APIID, api.Secret)).wants(t, path+": POST", 405, "invalid_request", "GET only")
	}
	h.do("GET", "/acme/distrust?api_secret="+api.Secret, "").wants(t, "a secret in the URL", 400, "invalid_request", "looks like a credential")
	h.do("GET", "/acme/distrust/changes?after=x", "", "Authorization", basic(api.APIID, api.Secret)).wants(t, "after what", 400, "invalid_request", "parameter after")
	h.do("GET", "/acme/distrust/events", "", "Authorization", basic(api.APIID, api.Secret), "Last-Event-ID", "-1").wants(t, "after what", 400, "invalid_request", "Last-Event-ID")
	// Who is disabled while listening hears nothing more.
	stream, err := h.listen(api, "")
	must(t, stream, err)
	defer stream.close()
	stream.next(t, "head")
	if _, err := h.op.DisableAPI(t.Context(), "acme", api.APIID); err != nil {
		t.Fatal(err)
	}
	h.mustState(h.distrustQuery(mint.DistrustSubject, "ann"))
	h.mustState(h.distrustQuery(mint.DistrustSubject, "bob"))
	heard := 0
	for open, end := true, time.After(20*time.Second); open; {
		var e sseEvent
		select {
		case e, open = <-stream.events:
			if e.name == "statement" {
				heard++
			}
		case <-end:
			t.Fatal("the stream of a disabled API does not end")
		}
	}
	if heard > 1 { // which was on its way
		t.Errorf("a disabled API heard %d statements", heard)
	}
}

// TestListenersAreBounded: one API can't take all the places, and a place is given back.
func TestListenersAreBounded(t *testing.T) {
	h := newHouse(t, options{})
	f := h.feeds.of("acme", h.base+"/acme")
	for range maxListenersPerAPI {
		if err := f.enter("a"); err != nil {
			t.Fatal(err)
		}
	}
	if f.enter("a") == nil {
		t.Error("one API has more places than its own")
	}
	if err := f.enter("b"); err != nil {
		t.Errorf("another API has no place: %v", err)
	}
	for range maxListenersPerAPI - 1 {
		if err := f.enter("b"); err != nil {
			t.Fatal(err)
		}
	}
	if f.enter("c") == nil {
		t.Error("there are more listeners than places")
	}
	f.leave("a")
	if err := f.enter("c"); err != nil {
		t.Errorf("a place that was given back is not free: %v", err)
	}
}

// TestASlowListenerCostsNobodyElse: one that reads nothing gets what its connection holds and is dropped, while another
// hears everything.
func TestASlowListenerCostsNobodyElse(t *testing.T) {
	h := newHouse(t, options{})
	api, _ := h.acme()
	h.feeds.patience = 100 * time.Millisecond
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.base, "http://"))
	must(t, conn, err)
	defer conn.Close()
	fmt.Fprintf(conn, "GET /acme/distrust/events HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n", basic(api.APIID, api.Secret))
	f := h.feeds.of("acme", h.base+"/acme")
	listening := func() int {
		f.mu.RLock()
		defer f.mu.RUnlock()
		return f.listeners[api.APIID]
	}
	h.eventually("the slow one is there", func() bool { return listening() == 1 })
	quick, err := h.listen(api, "0")
	must(t, quick, err)
	defer quick.close()
	stated := uint64(0)
	for h.t.Context().Err() == nil && listening() == 2 {
		h.vaults.set(func() { // in heaps, so that the buffers of a connection are soon full
			for n := range 90 {
				d := h.vaults.stateFeed(h.distrustQuery(mint.DistrustSubject, strings.Repeat("x", 1000)+strconv.Itoa(n)))
				stated = d.N
			}
		})
		if err := f.refresh(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for n := uint64(0); n < stated; {
			e := quick.next(t, "statement", "snapshot")
			n, err = strconv.ParseUint(e.id, 10, 64)
			if err != nil || e.name != "statement" {
				t.Fatalf("the quick one gets %s %s", e.name, e.id)
			}
		}
		if stated > 200_000 {
			t.Fatal("the slow one is never dropped")
		}
	}
	if listening() != 1 {
		t.Errorf("%d listeners are left", listening())
	}
}

// TestIntrospectionGoesByTheFeed: what is distrusted is inactive from the moment that the act is answered, whoever it is
// about, and active again when that is taken back.
func TestIntrospectionGoesByTheFeed(t *testing.T) {
	h := newHouse(t, options{})
	api, client := h.acme()
	raw := h.token(client)
	claims := h.introspect(api, raw)
	kid := decodeTo[struct{ Kid string }](t, headerOf(t, raw)).Kid
	for name, q := range map[string]mint.StateQuery{
		"the token": h.distrustQuery(mint.DistrustToken, claims["jti"].(string)), "its subject": h.distrustQuery(mint.DistrustSubject, "ci"),
		"its client": h.distrustQuery(mint.DistrustClient, "ci"), "its key": h.distrustQuery(mint.DistrustKey, kid),
	} {
		if h.introspect(api, raw)["active"] != true {
			t.Fatalf("before %s is distrusted, the token is inactive", name)
		}
		d := h.mustState(q)
		if got := h.introspect(api, raw); got["active"] != false || len(got) != 1 {
			t.Errorf("%s is distrusted: %v", name, got)
		}
		undo := h.distrustQuery("", "")
		undo.Act, undo.Undoes = mint.ActRestore, d.N
		h.mustState(undo)
	}
	for name, q := range map[string]mint.StateQuery{
		"another token": h.distrustQuery(mint.DistrustToken, "x"), "another subject": h.distrustQuery(mint.DistrustSubject, "cj"),
		"a client of the subject's name": h.distrustQuery(mint.DistrustSession, "ci"),
	} {
		if h.mustState(q); h.introspect(api, raw)["active"] != true {
			t.Errorf("%s is distrusted, and the token is inactive", name)
		}
	}
	earlier := h.distrustQuery(mint.DistrustSubject, "ci")
	earlier.Before = time.Now().Unix() - 60
	if h.mustState(earlier); h.introspect(api, raw)["active"] != true {
		t.Error("what was issued before a minute ago is distrusted, and the new token is inactive")
	}
}

func headerOf(t *testing.T, raw string) string {
	t.Helper()
	first, _, _ := strings.Cut(raw, ".")
	text, err := b64.DecodeString(first)
	must(t, text, err)
	return string(text)
}

// TestAForgedFeedIsNotServed: the house passes on nothing that a validator would refuse, and goes on with what it had.
func TestAForgedFeedIsNotServed(t *testing.T) {
	for name, forge := range map[string]func(*mint.Feed){
		"a statement of its own": func(a *mint.Feed) {
			for i := range a.Statements {
				a.Statements[i].Value = "carol"
			}
		},
		"a signature that is none": func(a *mint.Feed) { // neither chain nor snapshot covers it
			for i := range a.Statements {
				a.Statements[i].Signature = a.Head.Signature
			}
		},
		"one left out":              func(a *mint.Feed) { a.Statements = a.Statements[:0] },
		"another head":              func(a *mint.Feed) { a.Head.N++ },
		"an older head":             func(a *mint.Feed) { a.Head.Millis -= 1000 },
		"another issuer":            func(a *mint.Feed) { a.Head.Issuer += "x" },
		"a snapshot of other days":  func(a *mint.Feed) { a.Snapshot = a.Head.Signature },
		"no signature of the head":  func(a *mint.Feed) { a.Head.Signature = "" },
		"a chain that goes astray":  func(a *mint.Feed) { a.Head.Chain[3]++ },
		"statements in other order": func(a *mint.Feed) { slices.Reverse(a.Statements) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, options{})
			api, _ := h.acme()
			h.mustState(h.distrustQuery(mint.DistrustSubject, "ann"))
			h.vaults.set(func() {
				h.vaults.forge = forge
				h.vaults.stateFeed(h.distrustQuery(mint.DistrustSubject, "bob"))
				h.vaults.stateFeed(h.distrustQuery(mint.DistrustSubject, "bert"))
			})
			f := h.feeds.of("acme", h.base+"/acme")
			if err := f.refresh(t.Context(), nil); err != errFeed {
				t.Fatalf("the answer is used: %v", err)
			}
			s := decodeTo[mint.Snapshot](t, string(h.getFeed("", api).body))
			if s.N != 1 || len(s.Statements) != 1 || !s.Verify(h.feeds.root()) {
				t.Errorf("served is %+v", s)
			}
			h.eventually("the operator is told", func() bool { return strings.Contains(h.log.String(), "a distrust feed can't be carried on") })
			h.vaults.set(func() { h.vaults.forge = nil })
			if err := f.refresh(t.Context(), nil); err != nil || f.copy().Head.N != 3 {
				t.Errorf("afterwards it does not go on: %v", err)
			}
		})
	}
}

// TestTheFeedSurvivesTheLedger: it is served while the ledger is away, with its true age, also by a house that was started
// without it, and introspection goes by it.
func TestTheFeedSurvivesTheLedger(t *testing.T) {
	h := newHouse(t, options{})
	api, client := h.acme()
	raw := h.token(client)
	h.mustState(h.distrustQuery(mint.DistrustClient, "ci"))
	path := filepath.Join(h.dir, feedsDir, "acme.json")
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), `"value":"ci"`) {
		t.Fatalf("what was answered is not on the disk: %v", err) // a crash now, and the house would not know it
	}
	h.vaults.set(func() { h.vaults.ledgerAway = true })
	h.vaults.hangUp()
	check := func(h *testHouse) mint.Snapshot {
		t.Helper()
		r := h.getFeed("", api)
		s := decodeTo[mint.Snapshot](t, string(r.body))
		if r.status != 200 || s.N != 1 || len(s.Statements) != 1 || !s.Verify(h.feeds.root()) {
			t.Fatalf("served is %d %+v", r.status, s)
		}
		if h.introspect(api, raw)["active"] != false {
			t.Error("a token of a distrusted client is active")
		}
		stream, err := h.listen(api, "0")
		must(t, stream, err)
		if e := stream.next(t, "statement", "snapshot"); e.name != "statement" || e.id != "1" {
			t.Errorf("the stream goes on with %+v", e)
		}
		stream.close()
		return s
	}
	before := check(h)
	h.stop()
	again := newHouse(t, options{dir: h.dir, vaults: h.vaults, base: h.base, unready: true})
	if after := check(again); after.Millis > before.Millis || after.Millis+uint64(time.Minute.Milliseconds()) < before.Millis {
		t.Errorf("the age of the feed is not the true one: %d, and before %d", after.Millis, before.Millis)
	}
	again.stop()
	// A file that somebody changed is not believed.
	text, err := os.ReadFile(path)
	must(t, text, err)
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), `"value":"ci"`, `"value":"cj"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	third := newHouse(t, options{dir: h.dir, vaults: h.vaults, base: h.base, unready: true})
	third.getFeed("", api).wants(t, "a damaged file", 503, "temporarily_unavailable", "feed is not known")
	third.post("/acme/introspect", "token="+raw, api.APIID, api.Secret).wants(t, "introspection with a damaged file", 503, "temporarily_unavailable", "feed is not known")
	third.vaults.set(func() { third.vaults.ledgerAway = false })
	third.eventually("the feed is back", func() bool { return third.getFeed("", api).status == 200 })
}

// TestAnAwayLedgerIsAskedOnce: of all who want a feed while the ledger is away, one finds out, and nobody waits behind it.
func TestAnAwayLedgerIsAskedOnce(t *testing.T) {
	h := newHouse(t, options{})
	api, _ := h.acme()
	f := h.feeds.of("acme", h.base+"/acme")
	first := f.copy().Head.Millis
	f.tried.Store(0)
	if s := decodeTo[mint.Snapshot](t, string(h.getFeed("", api).body)); s.Millis <= first {
		t.Error("nobody has wanted the feed for a while, and it is served as it was")
	}
	h.vaults.set(func() { h.vaults.ledgerAway = true })
	h.vaults.hangUp()
	h.eventually("the ledger is away", func() bool { return !h.Server.vaults.ledger.Connected() })
	f.tried.Store(0)
	asked := map[int64]bool{}
	for range 30 {
		if r := h.getFeed("", api); r.status != 200 {
			t.Fatalf("status %d", r.status)
		}
		asked[f.tried.Load()] = true
	}
	if len(asked) > 2 { // the tick may have come in between
		t.Errorf("the ledger was asked %d times", len(asked))
	}
}

// TestEveryListenerHearsEverythingOnce connects hundreds of listeners to a house with the true vaults, and puts it through
// restarts of ledger and house. Each goes on where it was, by Last-Event-ID, and hears every statement once and in order.
func TestEveryListenerHearsEverythingOnce(t *testing.T) {
	const many, rounds, each = 300, 4, 12
	v := newRealVaults(t)
	h := newHouse(t, v.options())
	api, _ := h.acme()
	house := func() *testHouse { return h }
	var lock sync.RWMutex // of which house there is
	listeners := make([]*listener, many)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	for i := range listeners {
		l := &listener{}
		listeners[i] = l
		running.Go(func() {
			for ctx.Err() == nil {
				lock.RLock()
				now := house()
				lock.RUnlock()
				l.hear(ctx, now, api)
			}
		})
	}
	stated := uint64(0)
	for round := range rounds {
		for n := range each {
			d := h.mustState(h.distrustQuery(mint.DistrustSubject, fmt.Sprint("user-", round, "-", n)))
			stated = d.N
		}
		h.eventually("everybody has heard", func() bool {
			return !slices.ContainsFunc(listeners, func(l *listener) bool { return l.at() < stated })
		})
		switch round {
		case 0, 2:
			v.end()
			v.begin()
			h.waitReady()
		case 1:
			lock.Lock()
			o := v.options()
			o.dir, o.base, o.vaults = h.dir, h.base, h.vaults
			h.stop()
			if strings.Contains(h.log.String(), "did not end in time") {
				t.Error("listeners keep a house from ending")
			}
			h = newHouse(t, o)
			lock.Unlock()
		}
	}
	stop()
	running.Wait()
	for i, l := range listeners {
		if l.wrong != "" {
			t.Errorf("listener %d: %s", i, l.wrong)
		}
		if l.heard != stated {
			t.Errorf("listener %d heard %d of %d statements", i, l.heard, stated)
		}
	}
}

// listener is an API that goes on where it was.
type listener struct {
	mu    sync.Mutex
	began bool
	last  uint64 // the newest statement that it knows
	heard uint64 // statements that came as such, or in the first snapshot
	wrong string
}

func (l *listener) at() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// hear listens until the stream ends.
func (l *listener) hear(ctx context.Context, h *testHouse, api *adminapi.API) {
	last := ""
	if l.began {
		last = strconv.FormatUint(l.at(), 10)
	}
	s, err := h.listen(api, last)
	if err != nil {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
		return
	}
	defer context.AfterFunc(ctx, s.stop)()
	defer s.close()
	for e := range s.events {
		l.take(e)
	}
}

func (l *listener) take(e sseEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, _ := strconv.ParseUint(e.id, 10, 64)
	switch {
	case e.name == "head":
		return
	case e.name == "snapshot" && !l.began:
		l.heard = n
	case e.name == "snapshot":
		l.wrong = fmt.Sprintf("a snapshot of %d after %d, though it only goes on", n, l.last)
	case n != l.last+1:
		l.wrong = fmt.Sprintf("statement %d after %d", n, l.last)
	default:
		l.heard++
	}
	l.began, l.last = true, n
}

// TestAValidatorFollowsTheHouse lets package validate follow the feed of a house with the true vaults: every act counts
// for it, by itself.
func TestAValidatorFollowsTheHouse(t *testing.T) {
	v := newRealVaults(t)
	h := newHouse(t, v.options())
	api, client := h.acme()
	judge, err := validate.New(validate.Config{Audiences: []string{ordersAPI}, Issuers: []validate.Issuer{
		validate.SeawallIssuer(api.Issuer, api.Pin).WithFeed(validate.Feed{ID: api.APIID, Secret: validate.NewSecret(api.Secret), OnStale: validate.RefuseWhenStale()})}})
	must(t, judge, err)
	defer judge.Close()
	if err := judge.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	raw := h.token(client)
	verdict := func() string {
		if _, err := judge.Token(t.Context(), raw); err != nil {
			return err.Error()
		}
		return ""
	}
	if got := verdict(); got != "" {
		t.Fatalf("a good token: %s", got)
	}
	h.post("/acme/revoke", "token="+raw, client.ClientID, client.Secret)
	h.eventually("the validator refuses", func() bool { return strings.Contains(verdict(), string(validate.CodeRevoked)) })
	undo := h.distrustQuery("", "")
	undo.Act, undo.Undoes, undo.Reason = mint.ActRestore, 1, mint.Mistake
	h.mustState(undo)
	h.eventually("the validator accepts again", func() bool { return verdict() == "" })
	h.mustState(h.distrustQuery(mint.DistrustClient, "ci"))
	h.eventually("the validator refuses again", func() bool { return strings.Contains(verdict(), string(validate.CodeRevoked)) })
}

// FuzzNumber reads whatever a listener says it has.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{"", "0", "7", "18446744073709551615", "18446744073709551616", "-1", "+1", "1_0", " 1", "0x1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, ok, err := number(text)
		if ok != (text != "" && err == nil) || strings.Trim(text, "0123456789") != "" && err == nil {
			t.Fatalf("%q reads as %d, %t, %v", text, n, ok, err)
		}
	})
}
