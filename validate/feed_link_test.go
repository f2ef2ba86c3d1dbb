package validate_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"seawall/validate"
	"seawall/validate/internal/forge"
	"seawall/validate/internal/wire"
)

// status answers everything with one status.
func status(code int) fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Location", "/stolen")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
	}
}

func down(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

func hang(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// drip sends what it should, a byte every five seconds.
func drip(w http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(&slow{ResponseWriter: w, r: r}, r)
}

type slow struct {
	http.ResponseWriter
	r *http.Request
}

func (s *slow) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *slow) Write(b []byte) (int, error) {
	for i := range b {
		select {
		case <-time.After(5 * time.Second):
		case <-s.r.Context().Done():
			return i, s.r.Context().Err()
		}
		s.ResponseWriter.Write(b[i : i+1])
		http.NewResponseController(s.ResponseWriter).Flush()
	}
	return len(b), nil
}

// wrongType sends what it should as something else.
func wrongType(w http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(&retyped{w}, r)
}

type retyped struct{ http.ResponseWriter }

func (t *retyped) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *retyped) Write(b []byte) (int, error) {
	t.Header().Set("Content-Type", "text/html")
	return t.ResponseWriter.Write(b)
}

func truncated(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"issuer":"`)
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func endless(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "application/json")
	for r.Context().Err() == nil {
		if _, err := w.Write(append([]byte(`{"x":"`), make([]byte, 64<<10)...)); err != nil {
			return
		}
	}
}

// Servers that fail in every way in which a server can, from the start and later.
var failures = map[string]struct {
	fault fault
	code  validate.Code
}{
	"down":             {down, validate.CodeFeedUnavailable},
	"hanging":          {hang, validate.CodeFeedUnavailable},
	"dripping":         {drip, validate.CodeFeedUnavailable},
	"breaking off":     {truncated, validate.CodeFeedUnavailable},
	"endless":          {endless, validate.CodeFeedMalformed},
	"of another type":  {wrongType, validate.CodeFeedMalformed},
	"not authorized":   {status(401), validate.CodeFeedDenied},
	"forbidden":        {status(403), validate.CodeFeedDenied},
	"not found":        {status(404), validate.CodeFeedUnavailable},
	"too many":         {status(429), validate.CodeFeedUnavailable},
	"broken":           {status(500), validate.CodeFeedUnavailable},
	"no content":       {status(204), validate.CodeFeedUnavailable},
	"moved":            {status(302), validate.CodeFeedUnavailable},
	"moved for ever":   {status(308), validate.CodeFeedUnavailable},
	"empty":            {status(200), validate.CodeFeedMalformed},
	"not to be cached": {status(304), validate.CodeFeedUnavailable},
}

func TestFailingFromTheStart(t *testing.T) {
	for name, c := range failures {
		t.Run(name, func(t *testing.T) {
			withHouse(t, func(t *testing.T, h *house) {
				h.distrust("j-1")
				h.behave(nil, c.fault)
				v := h.trust(validate.ServeWithAlarm(time.Hour))
				defer v.Close()
				good, revoked := h.token("j-0"), h.token("j-1")
				began := time.Now()
				refused(t, v, good, validate.CodeFeedUnavailable)
				if time.Since(began) > 5*time.Second {
					t.Errorf("a token waited for %v", time.Since(began))
				}
				if err := v.Ready(t.Context()); !errors.Is(err, c.code) {
					t.Errorf("ready: %v, want %s", err, c.code)
				}
				phase(t, v, validate.FeedStarting)
				after(10 * time.Minute)
				refused(t, v, good, validate.CodeFeedUnavailable)
				if told := h.told(); !slices.Contains(told, "feed_refused "+string(c.code)) || slices.Contains(told, "feed_loaded") {
					t.Errorf("reported %q, want %s", told, c.code)
				}
				asked := h.asked()
				if n := asked["/acme/distrust"]; n < 20 || n > 90 || asked["/stolen"] > 0 {
					t.Errorf("asked in ten minutes: %v", asked)
				}
				h.behave(nil, nil)
				after(30 * time.Second)
				accepted(t, v, good)
				refused(t, v, revoked, validate.CodeRevoked)
				if err := v.Ready(t.Context()); err != nil {
					t.Error(err)
				}
				phase(t, v, validate.FeedFresh)
			})
		})
	}
}

func TestServingBeforeTheFirstSnapshotMustBeChosen(t *testing.T) {
	withHouse(t, func(t *testing.T, h *house) {
		h.distrust("j-1")
		h.behave(nil, down)
		v := h.trust(validate.RefuseWhenStale(), func(f *validate.Feed) { f.ColdStart = validate.ServeBeforeFirstSnapshot })
		defer v.Close()
		accepted(t, v, h.token("j-1"))
		if err := v.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		after(time.Hour)
		accepted(t, v, h.token("j-1"))
		h.behave(nil, nil)
		after(30 * time.Second)
		refused(t, v, h.token("j-1"), validate.CodeRevoked)
		h.behave(nil, down)
		after(2 * time.Minute) // from the first snapshot on, OnStale decides
		refused(t, v, h.token("j-0"), validate.CodeFeedStale)
	})
}

// An old snapshot is worth nothing to who has no newer one to compare it with: it must not have expired.
func TestAnExpiredSnapshotStartsNothing(t *testing.T) {
	withHouse(t, func(t *testing.T, h *house) {
		old := h.snapshot()
		h.distrust("j-1")
		after(time.Minute)
		h.behave(instead(old), nil)
		v := h.trust(validate.ServeWithAlarm(time.Hour))
		defer v.Close()
		refused(t, v, h.token("j-1"), validate.CodeFeedUnavailable)
		if err := v.Ready(t.Context()); !errors.Is(err, validate.CodeFeedTime) {
			t.Errorf("ready: %v", err)
		}
	})
}

// Even what was refused because it had expired shows how far the feed has come.
func TestAnExpiredSnapshotIsRemembered(t *testing.T) {
	withHouse(t, func(t *testing.T, h *house) {
		h.distrust("j-1")
		h.distrust("j-2")
		late := h.snapshot()
		after(time.Minute)
		h.behave(instead(late), nil)
		v := h.trust(validate.RefuseWhenStale())
		defer v.Close()
		refused(t, v, h.token("j-0"), validate.CodeFeedUnavailable)
		first := h.history.All[0]
		now := uint64(time.Now().UnixMilli())
		early := wire.DistrustHead{Issuer: houseURL, N: 1, Chain: wire.ChainOf(first.AppendInput(nil)), Time: now, Expires: now + 60000}
		h.behave(instead(piece{"snapshot", string(h.ledger.Snapshot(&early, []wire.Distrust{first}))}), nil)
		after(30 * time.Second)
		refused(t, v, h.token("j-2"), validate.CodeFeedUnavailable)
		if told := h.told(); !slices.Contains(told, "feed_refused feed_rolled_back") {
			t.Errorf("reported %q", told)
		}
	})
}

func TestFailingLater(t *testing.T) {
	for name, c := range failures {
		t.Run(name, func(t *testing.T) {
			withHouse(t, func(t *testing.T, h *house) {
				h.distrust("j-1")
				strict, kind := h.trust(validate.RefuseWhenStale()), h.trust(validate.ServeWithAlarm(10*time.Minute))
				defer strict.Close()
				defer kind.Close()
				good, revoked, late := h.token("j-0"), h.token("j-1"), h.token("j-2")
				after(time.Minute)
				for _, v := range []*validate.Validator{strict, kind} {
					accepted(t, v, good)
					refused(t, v, revoked, validate.CodeRevoked)
				}
				h.asked()
				h.told()
				h.behave(nil, c.fault)
				h.distrust("j-2")
				after(50 * time.Second) // the last head has not expired
				accepted(t, strict, good)
				phase(t, strict, validate.FeedFresh)
				after(15 * time.Second)
				refused(t, strict, good, validate.CodeFeedStale)
				refused(t, strict, revoked, validate.CodeRevoked)
				phase(t, strict, validate.FeedStale)
				accepted(t, kind, good)
				refused(t, kind, revoked, validate.CodeRevoked)
				phase(t, kind, validate.FeedServing)
				after(9 * time.Minute)
				accepted(t, kind, good)
				after(time.Minute) // ten minutes after the last head has expired
				refused(t, kind, good, validate.CodeFeedStale)
				refused(t, kind, revoked, validate.CodeRevoked)
				phase(t, kind, validate.FeedStale)
				told := h.told()
				overdue := 0
				for _, event := range told {
					if event == "feed_overdue feed_stale" {
						overdue++
					}
				}
				if !slices.Contains(told, "feed_refused "+string(c.code)) || overdue != 2 || slices.Contains(told, "feed_changed") {
					t.Errorf("reported %q", told)
				}
				if asked := h.asked(); asked["/stolen"] > 0 {
					t.Errorf("asked in eleven minutes: %v", asked)
				}
				h.behave(nil, nil)
				after(time.Minute)
				for _, v := range []*validate.Validator{strict, kind} {
					accepted(t, v, good)
					refused(t, v, revoked, validate.CodeRevoked)
					refused(t, v, late, validate.CodeRevoked)
					phase(t, v, validate.FeedFresh)
				}
				if told := h.told(); !slices.Contains(told, "feed_recovered") {
					t.Errorf("reported %q", told)
				}
			})
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	withHouse(t, func(t *testing.T, h *house) {
		h.behave(nil, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.Header().Set("Retry-After", "50")
			w.WriteHeader(http.StatusTooManyRequests)
		})
		v := h.trust(validate.RefuseWhenStale())
		defer v.Close()
		after(501 * time.Second)
		if n := h.asked()["/acme/distrust"]; n != 11 {
			t.Errorf("asked %d times in 501 seconds, want 11", n)
		}
	})
}

// Something on the way keeps streams back until they end, as some proxies do: long polls take over
// before the head expires, and streams come back when they get through.
func TestFallingBackToLongPolls(t *testing.T) {
	for name, buffering := range map[string]fault{
		"headers too": hang,
		"events": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			w.Header().Set("Content-Type", "text/event-stream")
			http.NewResponseController(w).Flush()
			hang(w, r, next)
		},
		"the first events": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			time.Sleep(time.Second) // so that the head is a newer one
			ctx, end := context.WithTimeout(r.Context(), time.Second)
			defer end()
			next.ServeHTTP(w, r.WithContext(ctx))
			hang(w, r, next)
		},
	} {
		t.Run(name, func(t *testing.T) { fallBack(t, buffering) })
	}
}

func fallBack(t *testing.T, buffering fault) {
	withHouse(t, func(t *testing.T, h *house) {
		h.behave(nil, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if strings.HasSuffix(r.URL.Path, "/events") {
				buffering(w, r, next)
			}
			next.ServeHTTP(w, r)
		})
		v := h.trust(validate.RefuseWhenStale())
		defer v.Close()
		raw := h.token("j-1")
		accepted(t, v, raw)
		after(20 * time.Second)
		accepted(t, v, raw)
		h.distrust("j-1")
		after(0) // no time passes
		refused(t, v, raw, validate.CodeRevoked)
		h.distrust("j-2")
		after(0)
		refused(t, v, h.token("j-2"), validate.CodeRevoked)
		late := 0
		for n := range 100 { // for an hour and more, it is never stale, and late only while streams are tried again
			after(37 * time.Second)
			accepted(t, v, h.token("j-0"))
			phase(t, v, validate.FeedFresh)
			jti := fmt.Sprint("k-", n)
			h.distrust(jti)
			after(time.Second)
			if _, err := v.Token(t.Context(), h.token(jti)); err == nil {
				late++
			}
		}
		if late > 10 {
			t.Errorf("%d of 100 statements came late", late)
		}
		if s := v.Feeds()[0]; s.Streaming || s.Alarms > 0 {
			t.Errorf("state %+v", s)
		}
		asked := h.asked()
		if asked["/acme/distrust/changes"] < 100 || asked["/acme/distrust/events"] < 5 || asked["/acme/distrust/events"] > 15 || asked["/acme/distrust"] != 1 {
			t.Errorf("asked in an hour: %v", asked)
		}
		h.behave(nil, nil)
		after(6 * time.Minute)
		if s := v.Feeds()[0]; !s.Streaming {
			t.Errorf("streams get through and are not used: %+v", s)
		}
	})
}

// A server that closes the stream after each event costs connections and nothing else.
func TestClosingAfterEachEvent(t *testing.T) {
	withHouse(t, func(t *testing.T, h *house) {
		h.behave(nil, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			ctx, end := context.WithCancel(r.Context())
			defer end()
			next.ServeHTTP(&once{ResponseWriter: w, end: end}, r.WithContext(ctx))
		})
		v := h.trust(validate.RefuseWhenStale())
		defer v.Close()
		for n := range 50 {
			jti := fmt.Sprint("j-", n)
			accepted(t, v, h.token(jti))
			h.distrust(jti)
			after(10 * time.Second)
			refused(t, v, h.token(jti), validate.CodeRevoked)
			phase(t, v, validate.FeedFresh)
		}
		if s := v.Feeds()[0]; s.Alarms > 0 {
			t.Errorf("state %+v", s)
		}
	})
}

// once ends a stream after its first flush.
type once struct {
	http.ResponseWriter
	end func()
}

func (o *once) FlushError() error {
	defer o.end()
	return http.NewResponseController(o.ResponseWriter).Flush()
}

func TestDuplicatesAreHarmless(t *testing.T) {
	withHouse(t, func(t *testing.T, h *house) {
		h.behave(func(batch []piece) (twice []piece) {
			for _, p := range batch {
				twice = append(twice, p, p)
			}
			return twice
		}, nil)
		v := h.trust(validate.RefuseWhenStale())
		defer v.Close()
		for n := range 20 {
			jti := fmt.Sprint("j-", n)
			accepted(t, v, h.token(jti))
			h.distrust(jti)
			after(time.Second)
			refused(t, v, h.token(jti), validate.CodeRevoked)
		}
		if s := v.Feeds()[0]; s.Alarms > 0 || s.Sequence != 20 || s.Statements != 20 || !s.Streaming {
			t.Errorf("state %+v", s)
		}
	})
}

// After an interruption the stream goes on where it ended.
func TestLastEventID(t *testing.T) {
	withHouse(t, func(t *testing.T, h *house) {
		v := h.trust(validate.ServeWithAlarm(time.Hour))
		defer v.Close()
		h.distrust("j-1")
		h.distrust("j-2")
		after(time.Minute)
		h.behave(nil, down)
		h.distrust("j-3")
		after(20 * time.Second)
		h.mu.Lock()
		h.requests = nil
		h.mu.Unlock()
		h.behave(nil, nil)
		after(30 * time.Second)
		h.mu.Lock()
		last := h.requests[len(h.requests)-1]
		h.mu.Unlock()
		if last.URL.Path != "/acme/distrust/events" || last.Header.Get("Last-Event-ID") != "2" || last.Header.Get("Accept") != "text/event-stream" {
			t.Errorf("asked for %s with %v", last.URL, last.Header)
		}
		refused(t, v, h.token("j-3"), validate.CodeRevoked)
		if asked := h.asked(); asked["/acme/distrust"] > 0 {
			t.Errorf("a whole snapshot was loaded: %v", asked)
		}
	})
}

// After a long absence the house no longer knows how to go on and begins with a snapshot: small as an
// event, large as a document. What was taken back meanwhile is good again.
func TestSnapshotAfterALongAbsence(t *testing.T) {
	for _, n := range []int{10, 5000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			withHouse(t, func(t *testing.T, h *house) {
				v := h.trust(validate.ServeWithAlarm(24 * time.Hour))
				defer v.Close()
				h.distrust("before")
				h.distrust("undone")
				after(time.Minute)
				refused(t, v, h.token("undone"), validate.CodeRevoked)
				h.behave(nil, down)
				after(10 * time.Second)
				for i := range n {
					h.distrust(fmt.Sprint("meanwhile-", i))
				}
				h.add(h.history.Undo(2))
				h.mu.Lock()
				h.kept = len(h.pieces)
				h.mu.Unlock()
				after(5 * time.Hour)
				accepted(t, v, h.token("meanwhile-5"))
				h.told()
				h.asked()
				h.behave(nil, nil)
				after(time.Minute)
				refused(t, v, h.token("before"), validate.CodeRevoked)
				refused(t, v, h.token("meanwhile-5"), validate.CodeRevoked)
				refused(t, v, h.token(fmt.Sprint("meanwhile-", n-1)), validate.CodeRevoked)
				accepted(t, v, h.token("undone"))
				if s := v.Feeds()[0]; s.Alarms > 0 || s.Sequence != uint64(n+3) || s.Statements != n+1 || !s.Streaming {
					t.Errorf("state %+v", s)
				}
				if asked := h.asked(); (asked["/acme/distrust"] > 0) != (n == 5000) {
					t.Errorf("asked %v", asked)
				}
				if told := h.told(); !slices.Contains(told, "feed_loaded") {
					t.Errorf("reported %q", told)
				}
			})
		})
	}
}

// A clock that is set back makes nothing fresh: neither what has gone stale, nor what would.
func TestFeedWhenTheClockStepsBack(t *testing.T) {
	withHouse(t, func(t *testing.T, h *house) {
		strict, kind := h.trust(validate.RefuseWhenStale()), h.trust(validate.ServeWithAlarm(10*time.Minute))
		defer strict.Close()
		defer kind.Close()
		good := h.token("j-0")
		after(10 * time.Second)
		accepted(t, strict, good)
		accepted(t, kind, good)
		h.behave(instead(h.head()), nil) // the last one, again and again
		h.clock.Advance(-time.Hour)      // by the clock, it is from the future and will last for an hour
		after(30 * time.Second)
		accepted(t, strict, good)
		after(40 * time.Second)
		refused(t, strict, good, validate.CodeFeedStale)
		phase(t, strict, validate.FeedStale)
		accepted(t, kind, good)
		phase(t, kind, validate.FeedServing)
		after(10 * time.Minute)
		refused(t, kind, good, validate.CodeFeedStale)
		h.behave(nil, down)
		h.clock.Advance(-time.Hour)
		refused(t, strict, good, validate.CodeFeedStale)
		refused(t, kind, good, validate.CodeFeedStale)
		// Heads that come now are from the future, as far as anybody can tell here.
		h.told()
		h.behave(nil, nil)
		after(time.Minute)
		refused(t, strict, good, validate.CodeFeedStale)
		if told := h.told(); !slices.Contains(told, "feed_refused feed_time") {
			t.Errorf("reported %q", told)
		}
		h.clock.Advance(2 * time.Hour)
		after(time.Minute)
		accepted(t, strict, good)
		accepted(t, kind, good)
	})
}

// A clock that jumps ahead makes what is known stale, and when it comes back only a new head helps. And
// it makes nothing forgotten: the ledger's clock decides about that.
func TestFeedWhenTheClockJumpsAhead(t *testing.T) {
	withHouse(t, func(t *testing.T, h *house) {
		v := h.trust(validate.RefuseWhenStale())
		defer v.Close()
		h.distrust("j-1")
		good, revoked := h.token("j-0"), h.token("j-1")
		after(10 * time.Second)
		h.behave(instead(h.head()), nil) // the last one, again and again
		after(time.Second)
		h.clock.Advance(10 * time.Hour)
		refused(t, v, good, validate.CodeFeedStale)
		h.clock.Advance(-10 * time.Hour)
		after(20 * time.Second)
		refused(t, v, good, validate.CodeFeedStale)
		h.behave(nil, nil)
		after(30 * time.Second)
		accepted(t, v, good)
		h.clock.Advance(100 * 24 * time.Hour) // far beyond the statement's until
		after(10 * time.Minute)
		h.clock.Advance(-100 * 24 * time.Hour)
		after(time.Minute)
		accepted(t, v, good)
		refused(t, v, revoked, validate.CodeRevoked)
	})
}

// A statement is forgotten when all its tokens have ended for every clock, and not earlier.
func TestStatementsAreForgotten(t *testing.T) {
	withHouse(t, func(t *testing.T, h *house) {
		v := h.trust(validate.RefuseWhenStale())
		defer v.Close()
		until := uint64(time.Now().Unix()) + 3600
		h.add(wire.Distrust{Act: "distrust", Kind: "subject", Value: "someone", Before: until, Until: until, Reason: "user"})
		after(time.Hour + 9*time.Minute)
		if s := v.Feeds()[0]; s.Statements != 1 {
			t.Errorf("state %+v", s)
		}
		refused(t, v, h.token("j-0"), validate.CodeRevoked)
		after(3 * time.Minute)
		if s := v.Feeds()[0]; s.Statements != 0 || s.Sequence != 1 || s.Phase != validate.FeedFresh {
			t.Errorf("state %+v", s)
		}
	})
}

// Credentials go to the feed's origin, can be changed while the validator runs, and can't be printed.
func TestFeedCredentials(t *testing.T) {
	withHouse(t, func(t *testing.T, h *house) {
		const secret = "swa_prod_old"
		var now atomic.Value
		now.Store(secret)
		feed := validate.Feed{ID: "api", Secret: validate.SecretFrom(func() string { return now.Load().(string) })}
		if text := fmt.Sprintf("%v %+v %#v %s %q", feed, feed, feed, feed.Secret, feed.Secret); strings.Contains(text, secret) {
			t.Errorf("printed: %s", text)
		}
		if text := forge.JSON(map[string]any{"secret": feed.Secret}); string(text) != `{"secret":"[redacted]"}` {
			t.Errorf("as JSON: %s", text)
		}
		v := h.trust(validate.RefuseWhenStale(), func(f *validate.Feed) { f.Secret = feed.Secret })
		defer v.Close()
		err := v.Ready(t.Context())
		if !errors.Is(err, validate.CodeFeedDenied) || strings.Contains(err.Error(), secret) {
			t.Errorf("ready: %v", err)
		}
		h.mu.Lock()
		events := h.events
		h.mu.Unlock()
		for _, e := range events {
			if strings.Contains(fmt.Sprint(e), secret) {
				t.Errorf("reported: %v", e)
			}
		}
		now.Store("hunter2")
		after(30 * time.Second)
		accepted(t, v, h.token("j-0"))
	})
}
