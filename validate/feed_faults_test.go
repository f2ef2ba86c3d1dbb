package validate_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"seawall/validate"
	"seawall/validate/internal/forge"
	"seawall/validate/internal/wire"
	"seawall/validate/validatetest"
)

const (
	houseURL = "http://127.0.0.1:1/acme"
)

// piece is one thing that a house carries: a statement, a head or a snapshot.
type piece struct{ kind, doc string }

// house carries a feed over real HTTP, in false time, and does what it should not when it is told
// to: tamper changes what it carries, fault what it answers at all.
type house struct {
	t         *testing.T
	ledger    *forge.Ledger
	key       *forge.Key
	transport *http.Transport

	mu      sync.Mutex
	history forge.Feed
	pieces  []string // statement n is pieces[n-1]
	kept    int      // statements before can only be had as a snapshot
	more    chan struct{}
	ended   chan struct{} // closed when what the house does changes
	tamper  func(batch []piece) []piece
	fault   fault

	requests []*http.Request
	events   []validate.Event
	clock    *validatetest.Clock // the validator's
}

// withHouse runs a test in false time.
func withHouse(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		h := &house{t: t, ledger: forge.NewLedger(now-1e6, now+1e8), key: forge.NewKey("EdDSA", "active"), clock: &validatetest.Clock{}}
		h.key.Issuer, h.key.Kinds, h.key.NotBefore, h.key.SigningEnds, h.key.Expires = houseURL, []string{"at+jwt"}, now-1e6, now+1e8, now+1e8
		h.history = forge.Feed{Ledger: h.ledger, Issuer: houseURL}
		h.more, h.ended = make(chan struct{}), make(chan struct{})
		listener := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		h.transport = &http.Transport{DialContext: listener.dial}
		server := http.Server{Handler: h}
		served := make(chan struct{})
		go func() { server.Serve(listener); close(served) }()
		defer func() {
			h.transport.CloseIdleConnections()
			server.Close()
			<-served
		}()
		test(t, h)
	})
}

// distrust adds a statement about a token.
func (h *house) distrust(jti string) {
	h.add(wire.Distrust{Act: "distrust", Kind: "token", Value: jti, Until: uint64(time.Now().Unix()) + 1e6, Reason: "leaked-token"})
}

func (h *house) add(d wire.Distrust) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pieces = append(h.pieces, string(h.history.Add(d, time.Now().UnixMilli())))
	close(h.more)
	h.more = make(chan struct{})
}

func (h *house) head() piece {
	top := h.history.Top(time.Now().UnixMilli())
	return piece{"head", string(h.ledger.Head(&top))}
}

func (h *house) snapshot() piece {
	now := time.Now().UnixMilli()
	top := h.history.Top(now)
	return piece{"snapshot", string(h.ledger.Snapshot(&top, h.history.Live(now)))}
}

// batch gives what comes after n, tampered with, and a channel that is closed when there is more.
func (h *house) batch(n int) (batch []piece, at int, more, ended chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n < h.kept || n > len(h.pieces) {
		batch = []piece{h.snapshot()}
	} else {
		for _, doc := range h.pieces[n:] {
			batch = append(batch, piece{"statement", doc})
		}
		batch = append(batch, h.head())
	}
	if h.tamper != nil {
		batch = h.tamper(batch)
	}
	return batch, len(h.pieces), h.more, h.ended
}

// behave changes what the house does from now on; answers under way end.
func (h *house) behave(tamper func([]piece) []piece, f fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tamper, h.fault = tamper, f
	close(h.ended)
	h.ended = make(chan struct{})
}

func (h *house) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, r)
	bad, ended := h.fault, h.ended
	h.mu.Unlock()
	ctx, end := context.WithCancel(r.Context())
	go func() {
		select {
		case <-ended:
		case <-ctx.Done():
		}
		end()
	}()
	defer end()
	r = r.WithContext(ctx)
	if bad != nil {
		bad(w, r, http.HandlerFunc(h.serve))
		return
	}
	h.serve(w, r)
}

func (h *house) serve(w http.ResponseWriter, r *http.Request) {
	if id, secret, _ := r.BasicAuth(); id != "api" || secret != "hunter2" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch r.URL.Path {
	case "/acme/distrust":
		h.mu.Lock()
		batch := []piece{h.snapshot()}
		if h.tamper != nil {
			batch = h.tamper(batch)
		}
		h.mu.Unlock()
		if len(batch) == 0 || batch[0].kind != "snapshot" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, batch[0].doc)
	case "/acme/distrust/events":
		h.stream(w, r)
	case "/acme/distrust/changes":
		h.changes(w, r)
	}
}

func (h *house) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	fmt.Fprint(w, ": hello\nretry: 2000\n\n")
	at, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	for {
		batch, n, more, ended := h.batch(at)
		at = n
		for _, p := range batch {
			fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", n, p.kind, p.doc)
		}
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-more:
		case <-time.After(5 * time.Second):
		case <-ended:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (h *house) changes(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.Atoi(r.URL.Query().Get("after"))
	h.mu.Lock()
	more, wait := h.more, after == len(h.pieces)
	h.mu.Unlock()
	if wait {
		select {
		case <-more:
		case <-time.After(25 * time.Second):
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	batch, _, _, _ := h.batch(after)
	w.Header().Set("Content-Type", "application/json")
	members := []string{}
	var statements []string
	for _, p := range batch {
		if p.kind == "statement" {
			statements = append(statements, p.doc)
		} else {
			members = append(members, strconv.Quote(p.kind)+":"+p.doc)
		}
	}
	members = append(members, `"statements":[`+strings.Join(statements, ",")+"]")
	fmt.Fprint(w, "{"+strings.Join(members, ",")+"}")
}

// trust makes a validator that follows the house's feed.
func (h *house) trust(onStale validate.StalePolicy, changes ...func(*validate.Feed)) *validate.Validator {
	h.t.Helper()
	feed := validate.Feed{ID: "api", Secret: validate.NewSecret("hunter2"), OnStale: onStale, Transport: h.transport}
	for _, change := range changes {
		change(&feed)
	}
	keys := validate.StaticKeys(forge.Set(h.ledger.Document(), h.ledger.JWK(h.key)))
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{validate.SeawallIssuer(houseURL, h.ledger.Pin()).WithKeys(keys).WithFeed(feed)},
		Audiences: []string{audience}, Now: h.clock.Now,
		Observe: func(e validate.Event) {
			h.mu.Lock()
			h.events = append(h.events, e)
			h.mu.Unlock()
		},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// token makes a token that is good for twenty hours from three hours ago.
func (h *house) token(jti string) string {
	now := time.Now().Unix()
	payload := forge.JSON(map[string]any{
		"iss": houseURL, "sub": "someone", "aud": audience, "iat": now - 3*3600, "exp": now + 17*3600, "jti": jti, "client_id": "ci",
	})
	return h.ledger.Token(h.key, forge.Header("EdDSA", "at+jwt", "active"), payload, 7, (now-3*3600)*1000)
}

// told gives what was reported about the feed since the last call: kind and code.
func (h *house) told() (list []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if e.Kind != validate.TokenAccepted && e.Kind != validate.TokenRefused {
			list = append(list, strings.TrimSuffix(string(e.Kind)+" "+string(e.Code), " "))
		}
	}
	h.events = nil
	return list
}

// asked gives how often an address was asked for since the last call.
func (h *house) asked() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := map[string]int{}
	for _, r := range h.requests {
		n[r.URL.Path]++
	}
	h.requests = nil
	return n
}

func phase(t *testing.T, v *validate.Validator, want validate.FeedPhase) {
	t.Helper()
	if s := v.Feeds()[0]; s.Phase != want {
		t.Errorf("the feed is %s, want %s: %+v", s.Phase, want, s)
	}
}

// each applies a change to the documents of a batch.
func each(change func(p piece) string) func([]piece) []piece {
	return func(batch []piece) []piece {
		for i, p := range batch {
			batch[i].doc = change(p)
		}
		return batch
	}
}

// instead puts another batch in the place of every batch.
func instead(batch ...piece) func([]piece) []piece {
	return func([]piece) []piece { return slices.Clone(batch) }
}

// A house that tampers with what it carries, while validators are connected. Nothing of it is
// believed, the alarm says exactly what it was, what was known before goes on counting and ages until
// tokens are refused, and when the house behaves again everything is as it should be.
func TestTampering(t *testing.T) {
	refuse := func(code validate.Code) string { return "feed_refused " + string(code) }
	for name, c := range map[string]struct {
		tamper func(t *testing.T, h *house) func([]piece) []piece
		stream string // what is reported of a stream
		poll   string // and of long polls
	}{
		"garbage": {func(*testing.T, *house) func([]piece) []piece {
			return each(func(piece) string { return `<html>` })
		}, refuse(validate.CodeFeedMalformed), ""},
		"cut short": {func(*testing.T, *house) func([]piece) []piece {
			return each(func(p piece) string { return p.doc[:len(p.doc)/2] })
		}, refuse(validate.CodeFeedMalformed), ""},
		"oversized": {func(*testing.T, *house) func([]piece) []piece {
			return each(func(p piece) string { return `{"padding":"` + strings.Repeat("x", 2<<20) + `",` + p.doc[1:] })
		}, refuse(validate.CodeFeedMalformed), ""},
		"names twice": {func(*testing.T, *house) func([]piece) []piece {
			return each(func(p piece) string { return `{"n":1,` + p.doc[1:] })
		}, refuse(validate.CodeFeedMalformed), ""},
		"wrong signature": {func(*testing.T, *house) func([]piece) []piece {
			return each(func(p piece) string {
				at := strings.Index(p.doc, `"signature":"`) + len(`"signature":"`) // of a snapshot, its own
				other := "A"
				if p.doc[at] == 'A' {
					other = "B"
				}
				return p.doc[:at] + other + p.doc[at+1:]
			})
		}, refuse(validate.CodeFeedSignature), ""},
		"another value under the signature": {func(*testing.T, *house) func([]piece) []piece {
			return each(func(p piece) string {
				return strings.NewReplacer(`"j-3"`, `"j-0"`, `"j-1"`, `"j-0"`, `"n":3`, `"n":4`).Replace(p.doc)
			})
		}, refuse(validate.CodeFeedSignature), ""},
		"wrong root": {func(t *testing.T, h *house) func([]piece) []piece {
			other := forge.Feed{Ledger: forge.NewLedger(0, 1e10), Issuer: houseURL}
			now := time.Now().UnixMilli()
			var statements []piece
			for range 3 {
				statements = append(statements, piece{"statement", string(other.Add(wire.Distrust{Act: "distrust", Kind: "token", Value: "j-0", Until: 1e10, Reason: "admin"}, now))})
			}
			return func(batch []piece) []piece {
				top := other.Top(time.Now().UnixMilli())
				if batch[0].kind == "snapshot" {
					return []piece{{"snapshot", string(other.Ledger.Snapshot(&top, other.Live(now)))}}
				}
				return []piece{statements[2], {"head", string(other.Ledger.Head(&top))}}
			}
		}, refuse(validate.CodeFeedSignature), ""},
		"another issuer's feed": {func(t *testing.T, h *house) func([]piece) []piece {
			other := forge.Feed{Ledger: h.ledger, Issuer: houseURL + "-2"}
			return func(batch []piece) []piece {
				top := other.Top(time.Now().UnixMilli())
				if batch[0].kind == "snapshot" {
					return []piece{{"snapshot", string(h.ledger.Snapshot(&top, nil))}}
				}
				return []piece{{"head", string(h.ledger.Head(&top))}}
			}
		}, refuse(validate.CodeFeedSignature), ""},
		"another issuer's feed under this one's name": {func(t *testing.T, h *house) func([]piece) []piece {
			other := forge.Feed{Ledger: h.ledger, Issuer: houseURL + "-2"}
			return func(batch []piece) []piece {
				top := other.Top(time.Now().UnixMilli())
				doc := string(h.ledger.Head(&top))
				if batch[0].kind == "snapshot" {
					doc = string(h.ledger.Snapshot(&top, nil))
				}
				return []piece{{batch[len(batch)-1].kind, strings.ReplaceAll(doc, houseURL+"-2", houseURL)}}
			}
		}, refuse(validate.CodeFeedSignature), ""},
		"a statement withheld": {func(*testing.T, *house) func([]piece) []piece {
			return func(batch []piece) []piece {
				return slices.DeleteFunc(batch, func(p piece) bool { return p.kind != "head" })
			}
		}, refuse(validate.CodeFeedGap), ""},
		"a statement left out of two": {func(*testing.T, *house) func([]piece) []piece {
			return func(batch []piece) []piece {
				return slices.DeleteFunc(batch, func(p piece) bool { return p.kind != "statement" || strings.Contains(p.doc, `"j-3"`) })
			}
		}, refuse(validate.CodeFeedGap), ""},
		"statements in another order": {func(*testing.T, *house) func([]piece) []piece {
			return func(batch []piece) []piece {
				if batch[0].kind == "snapshot" {
					return nil
				}
				slices.Reverse(batch[:len(batch)-1])
				return batch
			}
		}, refuse(validate.CodeFeedGap), ""},
		"an old statement": {func(t *testing.T, h *house) func([]piece) []piece {
			return instead(piece{"statement", h.pieces[0]})
		}, refuse(validate.CodeFeedRolledBack), ""},
		"another statement for a number": {func(t *testing.T, h *house) func([]piece) []piece {
			d := h.history.All[1]
			d.Value = "j-0"
			return instead(piece{"statement", string(h.ledger.Distrust(&d))})
		}, refuse(validate.CodeFeedForked), ""},
		"a statement of another history": {func(t *testing.T, h *house) func([]piece) []piece {
			d := h.history.All[2]
			d.Prev[0] ^= 1
			return instead(piece{"statement", string(h.ledger.Distrust(&d))})
		}, refuse(validate.CodeFeedForked), ""},
		"an old head": {func(t *testing.T, h *house) func([]piece) []piece {
			d := h.history.All[0]
			return func([]piece) []piece {
				now := uint64(time.Now().UnixMilli())
				old := wire.DistrustHead{Issuer: houseURL, N: 1, Chain: wire.ChainOf(d.AppendInput(nil)), Time: now, Expires: now + 60000}
				return []piece{{"head", string(h.ledger.Head(&old))}}
			}
		}, refuse(validate.CodeFeedRolledBack), ""},
		"a head of another history": {func(t *testing.T, h *house) func([]piece) []piece {
			return func([]piece) []piece {
				now := uint64(time.Now().UnixMilli())
				other := wire.DistrustHead{Issuer: houseURL, N: 2, Time: now, Expires: now + 60000}
				return []piece{{"head", string(h.ledger.Head(&other))}}
			}
		}, refuse(validate.CodeFeedForked), ""},
		"an old snapshot": {func(t *testing.T, h *house) func([]piece) []piece {
			d := h.history.All[0]
			return func([]piece) []piece {
				now := uint64(time.Now().UnixMilli())
				old := wire.DistrustHead{Issuer: houseURL, N: 1, Chain: wire.ChainOf(d.AppendInput(nil)), Time: now, Expires: now + 60000}
				return []piece{{"snapshot", string(h.ledger.Snapshot(&old, []wire.Distrust{d}))}}
			}
		}, refuse(validate.CodeFeedRolledBack), ""},
		"a snapshot of another history": {func(t *testing.T, h *house) func([]piece) []piece {
			return func([]piece) []piece {
				now := uint64(time.Now().UnixMilli())
				other := wire.DistrustHead{Issuer: houseURL, N: 2, Time: now, Expires: now + 60000}
				return []piece{{"snapshot", string(h.ledger.Snapshot(&other, nil))}}
			}
		}, refuse(validate.CodeFeedForked), ""},
		"a later snapshot of another history": {func(t *testing.T, h *house) func([]piece) []piece {
			d := h.history.All[2]
			d.Prev[0] ^= 1
			return func([]piece) []piece {
				now := uint64(time.Now().UnixMilli())
				other := wire.DistrustHead{Issuer: houseURL, N: 3, Chain: wire.ChainOf(d.AppendInput(nil)), Time: now, Expires: now + 60000}
				return []piece{{"snapshot", string(h.ledger.Snapshot(&other, []wire.Distrust{d}))}}
			}
		}, refuse(validate.CodeFeedForked), ""},
		"a snapshot that leaves one out": {func(t *testing.T, h *house) func([]piece) []piece {
			return func([]piece) []piece {
				top := h.history.Top(time.Now().UnixMilli())
				doc := string(h.ledger.Snapshot(&top, h.history.All[:2]))
				return []piece{{"snapshot", strings.Replace(doc, string(h.ledger.Distrust(&h.history.All[0]))+",", "", 1)}}
			}
		}, refuse(validate.CodeFeedSignature), ""},
		"from the future": {func(t *testing.T, h *house) func([]piece) []piece {
			return func(batch []piece) []piece {
				top := h.history.Top(time.Now().UnixMilli() + 31_000)
				top.N, top.Chain = 2, h.history.All[2].Prev
				return []piece{{"head", string(h.ledger.Head(&top))}}
			}
		}, refuse(validate.CodeFeedTime), ""},
		"a statement from the future": {func(t *testing.T, h *house) func([]piece) []piece {
			d := h.history.All[2]
			return func(batch []piece) []piece {
				d.Time = uint64(time.Now().UnixMilli() + 31_000)
				return []piece{{"statement", string(h.ledger.Distrust(&d))}}
			}
		}, refuse(validate.CodeFeedTime), ""},
		"expired on the way": {func(t *testing.T, h *house) func([]piece) []piece {
			return func(batch []piece) []piece {
				top := h.history.Top(time.Now().UnixMilli() - 1)
				top.N, top.Chain, top.Expires = 2, h.history.All[2].Prev, uint64(time.Now().UnixMilli())
				return []piece{{"head", string(h.ledger.Head(&top))}}
			}
		}, refuse(validate.CodeFeedTime), ""},
		"of a kind that nobody knows": {func(t *testing.T, h *house) func([]piece) []piece {
			d := h.history.All[2]
			d.Kind = "tenant"
			return instead(piece{"statement", string(h.ledger.Distrust(&d))})
		}, refuse(validate.CodeFeedMalformed), ""},
		"undoing the future": {func(t *testing.T, h *house) func([]piece) []piece {
			d := h.history.All[2]
			d.Act, d.Undoes = "restore", 3
			return instead(piece{"statement", string(h.ledger.Distrust(&d))})
		}, refuse(validate.CodeFeedMalformed), ""},
		"heads that stand still": {func(t *testing.T, h *house) func([]piece) []piece {
			top := h.history.Top(time.Now().UnixMilli())
			top.N, top.Chain = 2, h.history.All[2].Prev
			return instead(piece{"head", string(h.ledger.Head(&top))})
		}, refuse(validate.CodeFeedUnavailable), "feed_overdue feed_stale"},
		"heads withheld": {func(*testing.T, *house) func([]piece) []piece {
			return func(batch []piece) []piece {
				return slices.DeleteFunc(batch, func(p piece) bool { return p.kind != "statement" })
			}
		}, refuse(validate.CodeFeedUnavailable), refuse(validate.CodeFeedMalformed)},
	} {
		for _, polling := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, polling %v", name, polling), func(t *testing.T) {
				withHouse(t, func(t *testing.T, h *house) {
					var streams fault
					want := c.stream
					if polling {
						streams = noStreams
						if c.poll != "" {
							want = c.poll
						}
						h.behave(nil, streams)
					}
					h.distrust("j-1")
					h.distrust("j-2")
					v := h.trust(validate.RefuseWhenStale())
					defer v.Close()
					revoked, good, late := h.token("j-1"), h.token("j-0"), h.token("j-3")
					refused(t, v, revoked, validate.CodeRevoked)
					after(time.Minute)
					accepted(t, v, good)
					accepted(t, v, late)
					phase(t, v, validate.FeedFresh)
					alarms := v.Feeds()[0].Alarms
					if alarms > 0 {
						t.Fatalf("alarms before anything happened: %q", h.told())
					}
					h.told()
					// The third statement is made, and the house does what it should not, in one moment.
					h.mu.Lock()
					h.pieces = append(h.pieces, string(h.history.Add(wire.Distrust{Act: "distrust", Kind: "token", Value: "j-3", Until: uint64(time.Now().Unix()) + 1e6, Reason: "leaked-token"}, time.Now().UnixMilli())))
					h.pieces = append(h.pieces, string(h.history.Add(wire.Distrust{Act: "distrust", Kind: "token", Value: "j-4", Until: uint64(time.Now().Unix()) + 1e6, Reason: "leaked-token"}, time.Now().UnixMilli())))
					tamper := c.tamper(t, h)
					h.mu.Unlock()
					h.behave(tamper, streams)
					after(40 * time.Second)
					refused(t, v, revoked, validate.CodeRevoked)
					accepted(t, v, good)
					after(40 * time.Second) // a minute after the last head
					refused(t, v, revoked, validate.CodeRevoked)
					refused(t, v, good, validate.CodeFeedStale)
					phase(t, v, validate.FeedStale)
					told := h.told()
					if !slices.Contains(told, want) || !slices.Contains(told, "feed_overdue feed_stale") || slices.Contains(told, "feed_recovered") {
						t.Errorf("reported %q, want %q", told, want)
					}
					if alarm := !slices.Contains([]string{"feed_refused feed_unavailable", "feed_overdue feed_stale"}, want); alarm && v.Feeds()[0].Alarms == 0 {
						t.Errorf("no alarm was counted: %+v", v.Feeds()[0])
					}
					h.behave(nil, streams)
					after(time.Minute)
					accepted(t, v, good)
					refused(t, v, revoked, validate.CodeRevoked)
					refused(t, v, late, validate.CodeRevoked)
					phase(t, v, validate.FeedFresh)
					if told := h.told(); !slices.Contains(told, "feed_recovered") {
						t.Errorf("reported %q and no recovery", told)
					}
				})
			})
		}
	}
}

// noStreams is a house before which something lets no streams through.
func noStreams(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if strings.HasSuffix(r.URL.Path, "/events") {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	next.ServeHTTP(w, r)
}

// The same at the very start, when there is nothing to compare a snapshot with.
func TestTamperingFromTheStart(t *testing.T) {
	now := func() int64 { return time.Now().UnixMilli() }
	for name, c := range map[string]struct {
		snapshot func(h *house) string
		code     validate.Code
	}{
		"garbage":    {func(*house) string { return `{"statements":{}}` }, validate.CodeFeedMalformed},
		"an array":   {func(h *house) string { return "[" + h.snapshot().doc + "]" }, validate.CodeFeedMalformed},
		"a head":     {func(h *house) string { return h.head().doc }, validate.CodeFeedMalformed},
		"names":      {func(h *house) string { return strings.Replace(h.snapshot().doc, `{`, `{"n":0,`, 1) }, validate.CodeFeedMalformed},
		"statements": {func(h *house) string { return strings.Replace(h.snapshot().doc, `{`, `{"statements":[],`, 1) }, validate.CodeFeedMalformed},
		"no number":  {func(h *house) string { return strings.Replace(h.snapshot().doc, `"n":2`, `"n":"2"`, 1) }, validate.CodeFeedMalformed},
		"a huge statement": {func(h *house) string {
			return strings.Replace(h.snapshot().doc, `"reason":`, `"x":"`+strings.Repeat("x", 20<<10)+`","reason":`, 1)
		}, validate.CodeFeedMalformed},
		"out of order": {func(h *house) string {
			top := h.history.Top(now())
			return string(h.ledger.Snapshot(&top, []wire.Distrust{h.history.All[1], h.history.All[0]}))
		}, validate.CodeFeedMalformed},
		"with a restore": {func(h *house) string {
			top := h.history.Top(now())
			undo := h.history.Undo(1)
			undo.N, undo.Issuer = 2, houseURL
			return string(h.ledger.Snapshot(&top, []wire.Distrust{h.history.All[0], undo}))
		}, validate.CodeFeedMalformed},
		"beyond its number": {func(h *house) string {
			top := h.history.Top(now())
			top.N = 1
			return string(h.ledger.Snapshot(&top, h.history.All))
		}, validate.CodeFeedMalformed},
		"not to its chain": {func(h *house) string {
			top := h.history.Top(now())
			top.Chain[0] ^= 1
			return string(h.ledger.Snapshot(&top, h.history.All))
		}, validate.CodeFeedForked},
		"one left out": {func(h *house) string {
			return strings.Replace(h.snapshot().doc, string(h.ledger.Distrust(&h.history.All[0]))+",", "", 1)
		}, validate.CodeFeedSignature},
		"wrong root": {func(h *house) string {
			top := h.history.Top(now())
			return string(forge.NewLedger(0, 1).Snapshot(&top, h.history.All))
		}, validate.CodeFeedSignature},
		"a head's signature": {func(h *house) string {
			return strings.Replace(h.head().doc, `{`, `{"statements":[],`, 1)
		}, validate.CodeFeedSignature},
		"another issuer's": {func(h *house) string {
			top := (&forge.Feed{Issuer: houseURL + "-2"}).Top(now())
			return string(h.ledger.Snapshot(&top, nil))
		}, validate.CodeFeedSignature},
		"another issuer's by this name": {func(h *house) string {
			top := (&forge.Feed{Issuer: houseURL + "-2"}).Top(now())
			return strings.Replace(string(h.ledger.Snapshot(&top, nil)), houseURL+"-2", houseURL, 1)
		}, validate.CodeFeedSignature},
		"from the future": {func(h *house) string {
			top := h.history.Top(now() + 31_000)
			return string(h.ledger.Snapshot(&top, h.history.All))
		}, validate.CodeFeedTime},
		"expired": {func(h *house) string {
			top := h.history.Top(now() - 60_000)
			return string(h.ledger.Snapshot(&top, h.history.All))
		}, validate.CodeFeedTime},
	} {
		t.Run(name, func(t *testing.T) {
			withHouse(t, func(t *testing.T, h *house) {
				h.distrust("j-1")
				h.distrust("j-2")
				h.behave(func(batch []piece) []piece { return []piece{{"snapshot", c.snapshot(h)}} }, nil)
				v := h.trust(validate.ServeWithAlarm(time.Hour))
				defer v.Close()
				refused(t, v, h.token("j-0"), validate.CodeFeedUnavailable)
				if err := v.Ready(t.Context()); !errors.Is(err, c.code) {
					t.Errorf("ready: %v, want %s", err, c.code)
				}
				after(time.Minute)
				refused(t, v, h.token("j-0"), validate.CodeFeedUnavailable)
				if s := v.Feeds()[0]; s.Phase != validate.FeedStarting || s.Alarms == 0 || s.LastRefusal != c.code || s.Statements != 0 {
					t.Errorf("state %+v", s)
				}
				h.behave(nil, nil)
				after(30 * time.Second)
				accepted(t, v, h.token("j-0"))
				refused(t, v, h.token("j-1"), validate.CodeRevoked)
			})
		})
	}
}

// All feeds begin alike, so that only the name in a head tells one that is still empty from another.
func TestAnotherIssuersHeadKeepsNothingFresh(t *testing.T) {
	withHouse(t, func(t *testing.T, h *house) {
		v := h.trust(validate.RefuseWhenStale())
		defer v.Close()
		accepted(t, v, h.token("j-0"))
		h.behave(func([]piece) []piece {
			top := (&forge.Feed{Issuer: houseURL + "-2"}).Top(time.Now().UnixMilli())
			return []piece{{"head", string(h.ledger.Head(&top))}}
		}, nil)
		after(2 * time.Minute)
		refused(t, v, h.token("j-0"), validate.CodeFeedStale)
		if told := h.told(); !slices.Contains(told, "feed_refused feed_signature") {
			t.Errorf("reported %q", told)
		}
	})
}
