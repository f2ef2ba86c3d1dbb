package validate_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"seawall/validate"
	"seawall/validate/internal/forge"
	"seawall/validate/validatetest"
)

// by gives a good token of a foreign issuer, signed with this key.
func (w *wild) by(k *forge.Key) string { return w.signed(k, 60) }

// lasting gives one that is good for an hour, long enough to be remembered while its key's fate changes.
func (w *wild) lasting(k *forge.Key) string { return w.signed(k, 3600) }

func (w *wild) signed(k *forge.Key, seconds int64) string {
	now := w.Clock().Now().Unix()
	return k.Sign(forge.Header(k.Alg, "at+jwt", k.ID), forge.JSON(map[string]any{"iss": w.URL(), "sub": "x", "aud": audience, "iat": now, "exp": now + seconds}))
}

// random gives a token with a key name that nobody knows.
func (w *wild) random(n int) string {
	now := w.Clock().Now().Unix()
	claims := forge.JSON(map[string]any{"iss": w.URL(), "sub": "x", "aud": audience, "iat": now, "exp": now + 60})
	return forge.Text(forge.Header("EdDSA", "at+jwt", fmt.Sprintf("random-%d", n))) + "." + forge.Text(claims) + "." + strings.Repeat("A", 86)
}

var foreign = validatetest.Config{Foreign: true, Algorithm: validate.EdDSA}

// Old keys serve for 24 hours after they left the issuer, to the second, and then nothing passes
// until the issuer is back.
func TestOldKeysServeForADay(t *testing.T) {
	for name, act := range map[string]http.HandlerFunc{
		"503":            answering(503, nil),
		"empty":          answering(200, []byte(`{"keys":[]}`)),
		"304 for ever":   answering(304, nil),
		"hangs":          hanging(nil),
		"never anything": raw(""),
	} {
		t.Run(name, func(t *testing.T) {
			inTheWild(t, validatetest.Config{}, func(t *testing.T, w *wild) {
				start := time.Now()
				w.turn(act)
				since(start, 24*time.Hour-time.Second)
				accepted(t, w.v, w.token())
				since(start, 24*time.Hour+time.Second)
				refused(t, w.v, w.token(), validate.CodeKeysStale)
				refused(t, w.v, w.Token(validatetest.Claims{"aud": audience}, validatetest.UnknownKey), validate.CodeKeysStale)
				w.serve(w.Keys())
				time.Sleep(time.Minute + 10*time.Second)
				accepted(t, w.v, w.token())
			})
		})
	}
}

// An issuer that says "unchanged" is believed for an hour, and then it must show the document.
func TestUnchangedMustBeShownHourly(t *testing.T) {
	inTheWild(t, foreign, func(t *testing.T, w *wild) {
		var whole atomic.Int32
		stuck := func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("ETag", `"v1"`)
			rw.Header().Set("Cache-Control", "max-age=300")
			if r.Header.Get("If-None-Match") != "" {
				rw.WriteHeader(304)
				return
			}
			whole.Add(1)
			w.obey(rw, r)
		}
		w.turn(stuck)
		start := time.Now()
		since(start, 5*time.Minute+time.Second)
		if w.fetched(t, 1); whole.Load() != 1 {
			t.Fatal("the first answer of all was not fetched whole")
		}
		w.mu.Lock()
		w.keys = forge.Set(nil, forge.NewKey("EdDSA", "next").JWK()) // and still it says "unchanged"
		w.mu.Unlock()
		since(start, 65*time.Minute-time.Second)
		accepted(t, w.v, w.token())
		if w.fetched(t, 11); whole.Load() != 1 {
			t.Errorf("%d whole answers within the hour, want 1", whole.Load())
		}
		since(start, 65*time.Minute+time.Second)
		refused(t, w.v, w.token(), validate.CodeKeyUnknown)
		if whole.Load() < 2 {
			t.Error("the document was not asked for after an hour")
		}
	})
}

// While nothing changes, an ETag saves the document, and the keys are as good as before.
func TestUnchangedKeysServeOn(t *testing.T) {
	inTheWild(t, foreign, func(t *testing.T, w *wild) {
		w.turn(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("ETag", `"v1"`)
			if rw.Header().Set("Cache-Control", "max-age=300"); r.Header.Get("If-None-Match") == `"v1"` {
				rw.WriteHeader(304)
				return
			}
			w.obey(rw, r)
		})
		start := time.Now()
		since(start, 72*time.Hour+time.Second)
		accepted(t, w.v, w.token())
		w.fetched(t, 72*12)
	})
}

// A cache between the issuer and us has stopped asking, and serves the same copy for ever. It is
// honest about that by Age, or by the Date that it once got.
func TestCacheThatStopped(t *testing.T) {
	for _, header := range []string{"Age", "Date"} {
		t.Run(header, func(t *testing.T) {
			inTheWild(t, foreign, func(t *testing.T, w *wild) {
				start := time.Now()
				w.turn(func(rw http.ResponseWriter, r *http.Request) {
					switch header {
					case "Age":
						rw.Header().Set("Age", strconv.Itoa(int(time.Since(start)/time.Second)))
					case "Date":
						rw.Header().Set("Date", start.UTC().Format(http.TimeFormat))
					}
					w.obey(rw, r)
				})
				since(start, 24*time.Hour-time.Second)
				accepted(t, w.v, w.token())
				since(start, 24*time.Hour+2*time.Second)
				refused(t, w.v, w.token(), validate.CodeKeysStale)
				w.turn(w.obey)
				time.Sleep(5 * time.Minute) // the refused token had keys fetched early, perhaps still from the cache that stopped
				accepted(t, w.v, w.token())
			})
		})
	}
}

// Behind one name stand two caches, and one is an hour late. A key that was withdrawn or revoked does
// not come back with the late one, and nothing is accepted less than before.
func TestLateCacheBringsNothingBack(t *testing.T) {
	inTheWild(t, foreign, func(t *testing.T, w *wild) {
		withdrawn, stays := forge.NewKey("EdDSA", "withdrawn"), forge.NewKey("EdDSA", "stays")
		with := forge.Set(nil, withdrawn.JWK(), stays.JWK())
		w.serve(with)
		time.Sleep(6 * time.Minute)
		accepted(t, w.v, w.by(withdrawn))
		late := time.Now()
		time.Sleep(time.Hour)
		revoked := withdrawn.JWK()
		revoked["revoked"] = map[string]any{"reason": "stolen"}
		for name, c := range map[string]struct {
			keys []byte
			code validate.Code
		}{
			"withdrawn": {forge.Set(nil, stays.JWK()), validate.CodeKeyUnknown},
			"revoked":   {forge.Set(nil, stays.JWK(), revoked), validate.CodeKeyRevoked},
		} {
			w.serve(c.keys)
			time.Sleep(6 * time.Minute)
			refused(t, w.v, w.by(withdrawn), c.code)
			w.turn(func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Date", late.UTC().Format(http.TimeFormat))
				answering(200, with, "Cache-Control", "max-age=300")(rw, r)
			})
			for range 10 {
				time.Sleep(6 * time.Minute)
				if refused(t, w.v, w.by(withdrawn), c.code); t.Failed() {
					t.Fatalf("the key that was %s came back", name)
				}
				accepted(t, w.v, w.by(stays))
			}
		}
	})
}

// Cache headers that make no sense move the next load nowhere but between half a minute and an hour.
func TestAbsurdCacheHeaders(t *testing.T) {
	const often, hourly, usual = 120, 1, 12
	for _, c := range []struct {
		name   string
		header []string
		want   int // loads in an hour
	}{
		{"nothing", nil, usual},
		{"zero", []string{"Cache-Control", "max-age=0"}, often},
		{"one", []string{"Cache-Control", "max-age=1"}, often},
		{"negative", []string{"Cache-Control", "max-age=-1"}, often},
		{"words", []string{"Cache-Control", "max-age=soon"}, often},
		{"no value", []string{"Cache-Control", "max-age"}, often},
		{"fraction", []string{"Cache-Control", "max-age=300.5"}, often},
		{"quoted", []string{"Cache-Control", `public, max-age="600"`}, 6},
		{"upper case", []string{"CACHE-CONTROL", "PUBLIC,MAX-AGE=600"}, 6},
		{"ten years", []string{"Cache-Control", "max-age=315360000"}, hourly},
		{"beyond 64 bits", []string{"Cache-Control", "max-age=" + strings.Repeat("9", 100)}, hourly},
		{"two that differ", []string{"Cache-Control", "max-age=3600, max-age=600"}, 6},
		{"two in two headers", []string{"Cache-Control", "max-age=600", "Cache-Control", "max-age=3600"}, 6},
		{"no-store at the end", []string{"Cache-Control", "max-age=3600, no-store"}, often},
		{"no-cache", []string{"Cache-Control", "no-cache"}, often},
		{"s-maxage is not for us", []string{"Cache-Control", "s-maxage=1, max-age=600"}, 6},
		{"16 KB of commas", []string{"Cache-Control", strings.Repeat(",", 16<<10)}, usual},
		{"half of it in a cache", []string{"Cache-Control", "max-age=600", "Age", "300"}, usual},
		{"older than allowed", []string{"Cache-Control", "max-age=600", "Age", "6000"}, often},
		{"age in words", []string{"Cache-Control", "max-age=600", "Age", "old"}, 6},
		{"negative age", []string{"Cache-Control", "max-age=600", "Age", "-600"}, 6},
		{"expires long ago", []string{"Expires", "Thu, 01 Dec 1994 16:00:00 GMT"}, often},
		{"expires is zero", []string{"Expires", "0"}, often},
		{"expires in a century", []string{"Expires", "Thu, 01 Jan 2099 00:00:00 GMT"}, hourly},
		{"max-age outranks expires", []string{"Cache-Control", "max-age=600", "Expires", "0"}, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			inTheWild(t, foreign, func(t *testing.T, w *wild) {
				w.turn(func(rw http.ResponseWriter, r *http.Request) {
					for n := 0; n < len(c.header); n += 2 {
						rw.Header().Add(c.header[n], c.header[n+1])
					}
					rw.Write(w.Keys())
				})
				time.Sleep(5*time.Minute + time.Millisecond) // the first answer said so
				w.fetched(t, 1)
				time.Sleep(time.Hour)
				w.fetched(t, c.want)
				accepted(t, w.v, w.token())
			})
		})
	}
}

// The content type is not looked at: hosts of static files get it wrong, and the text decides.
func TestContentTypeDoesNotMatter(t *testing.T) {
	for _, kind := range []string{"", "text/html", "application/octet-stream", "image/png", "application/json; charset=utf-16"} {
		inTheWild(t, validatetest.Config{}, func(t *testing.T, w *wild) {
			w.turn(answering(200, w.Keys(), "Content-Type", kind, "Cache-Control", "max-age=300"))
			v := trust(t, w.trusted())
			defer v.Close()
			accepted(t, v, w.token())
			w.fetched(t, 1)
		})
	}
}

// Ten thousand key names in ten seconds cost two loads, and a rotation in the middle of a storm that
// goes on is seen when the next load is granted.
func TestStormOfKeyNames(t *testing.T) {
	inTheWild(t, foreign, func(t *testing.T, w *wild) {
		start := time.Now()
		for n := range 10000 {
			refused(t, w.v, w.random(n), validate.CodeKeyUnknown)
			since(start, time.Duration(n+1)*time.Millisecond)
		}
		w.fetched(t, 2)

		rotated := forge.NewKey("EdDSA", "rotated")
		w.serve(forge.Set(nil, rotated.JWK()))
		start = time.Now()
		for n := 0; ; n++ {
			refused(t, w.v, w.random(n), validate.CodeKeyUnknown)
			if _, err := w.v.Token(t.Context(), w.by(rotated)); err == nil {
				break
			}
			since(start, time.Duration(n+1)*time.Millisecond)
		}
		if seen := time.Since(start); seen > 10*time.Second {
			t.Errorf("the new key was seen after %v", seen)
		}
		w.fetched(t, 1)
	})
}

// A storm that never ends takes nothing from the schedule: a rotation is seen by it even if the
// storm gets every early load, and the storm gets no more than its budget.
func TestStormLeavesTheScheduleAlone(t *testing.T) {
	inTheWild(t, foreign, func(t *testing.T, w *wild) {
		start := time.Now()
		storm := func(from, to time.Duration) {
			since(start, from)
			for n := 0; time.Since(start) < to; n++ {
				refused(t, w.v, w.random(n), validate.CodeKeyUnknown)
				time.Sleep(100 * time.Millisecond)
			}
		}
		storm(5*time.Second, 599*time.Second)
		w.fetched(t, 2+59+1) // two at once, one in ten seconds, and the load at five minutes
		rotated := forge.NewKey("EdDSA", "rotated")
		w.serve(forge.Set(nil, rotated.JWK()))
		storm(599*time.Second, 600*time.Second)
		synctest.Wait()
		accepted(t, w.v, w.by(rotated))
		w.fetched(t, 1) // the load at ten minutes
	})
}

// While the issuer hangs, tokens with unknown keys wait, but no more than 256 of them: the rest is
// answered at once, so that nobody fills an API with waiting requests.
func TestFewWaitForAHangingIssuer(t *testing.T) {
	inTheWild(t, foreign, func(t *testing.T, w *wild) {
		w.turn(hanging(nil))
		var answered atomic.Int32
		var wait sync.WaitGroup
		for n := range 1000 {
			raw := w.random(n)
			wait.Go(func() {
				refused(t, w.v, raw, validate.CodeKeyUnknown)
				answered.Add(1)
			})
		}
		synctest.Wait()
		if n := answered.Load(); n != 1000-256 {
			t.Errorf("%d of 1000 were answered at once, want 744", n)
		}
		accepted(t, w.v, w.token()) // those with known keys wait for nothing
		start := time.Now()
		wait.Wait()
		if waited := time.Since(start); waited != 5*time.Second {
			t.Errorf("the others waited %v", waited)
		}
		w.fetched(t, 1)
	})
}

func TestBadSignaturesFetchNothing(t *testing.T) {
	inTheWild(t, validatetest.Config{}, func(t *testing.T, w *wild) {
		for range 200 {
			refused(t, w.v, w.Token(validatetest.Claims{"aud": audience}, validatetest.BadSignature), validate.CodeSignature)
		}
		for range 20 {
			refused(t, w.v, w.Token(validatetest.Claims{"aud": audience}, validatetest.ExpiredKey), validate.CodeKeyExpired)
			refused(t, w.v, w.Token(validatetest.Claims{"aud": audience}, validatetest.RevokedKey), validate.CodeKeyRevoked)
			refused(t, w.v, w.Token(validatetest.Claims{"aud": audience}, validatetest.ForgedClaims), validate.CodeReceiptMismatch)
		}
		w.fetched(t, 0)
	})
}

// A key that is published a day ahead is used without a fetch, from its first second on.
func TestKeyPublishedADayAhead(t *testing.T) {
	inTheWild(t, foreign, func(t *testing.T, w *wild) {
		w.control = "max-age=3600"
		start := time.Now()
		next := forge.NewKey("EdDSA", "next")
		next.NotBefore, next.Expires = start.Add(24*time.Hour).Unix(), start.Add(48*time.Hour).Unix()
		w.serve(forge.Set(nil, forge.NewKey("EdDSA", "now").JWK(), next.JWK()))
		since(start, 24*time.Hour-time.Second)
		refused(t, w.v, w.by(next), validate.CodeKeyNotYetValid)
		w.fetched(t, 24) // at five minutes, and hourly
		since(start, 24*time.Hour)
		accepted(t, w.v, w.by(next))
		w.fetched(t, 0)
	})
}

// A key ends in its second though the document still lists it, and though the issuer is away.
func TestKeyEndsWhileListed(t *testing.T) {
	inTheWild(t, foreign, func(t *testing.T, w *wild) {
		start := time.Now()
		ends, stays := forge.NewKey("EdDSA", "ends"), forge.NewKey("EdDSA", "stays")
		ends.NotBefore, ends.Expires = start.Unix(), start.Add(20*time.Minute).Unix()
		w.serve(forge.Set(nil, ends.JWK(), stays.JWK()))
		since(start, 6*time.Minute)
		w.turn(answering(503, nil))
		since(start, 20*time.Minute-time.Nanosecond)
		accepted(t, w.v, w.by(ends))
		since(start, 20*time.Minute)
		refused(t, w.v, w.by(ends), validate.CodeKeyExpired)
		accepted(t, w.v, w.by(stays))
	})
}

// A revocation is heeded with the next load, even when the document that carries it has nothing left
// to verify with and can't replace the old one; and it can be taken back.
func TestRevokedAppears(t *testing.T) {
	for _, alone := range []bool{false, true} {
		inTheWild(t, foreign, func(t *testing.T, w *wild) {
			stolen, other := forge.NewKey("EdDSA", "stolen"), forge.NewKey("EdDSA", "other")
			document := func(revoked bool, more ...map[string]any) []byte {
				jwk := stolen.JWK()
				if revoked {
					jwk["revoked"] = map[string]any{"reason": "stolen"}
				}
				return forge.Set(nil, append(more, jwk)...)
			}
			var more []map[string]any
			if !alone {
				more = append(more, other.JWK())
			}
			w.serve(document(false, other.JWK()))
			time.Sleep(6 * time.Minute)
			accepted(t, w.v, w.by(stolen))
			known := w.lasting(stolen)
			accepted(t, w.v, known)
			w.serve(document(true, more...))
			time.Sleep(5 * time.Minute)
			refused(t, w.v, w.by(stolen), validate.CodeKeyRevoked)
			refused(t, w.v, known, validate.CodeKeyRevoked) // also what was accepted before
			accepted(t, w.v, w.by(other))                   // alone: nothing was said against it
			w.turn(answering(503, nil))
			time.Sleep(10 * time.Minute)
			refused(t, w.v, w.by(stolen), validate.CodeKeyRevoked)
			w.serve(document(false, other.JWK()))
			time.Sleep(time.Minute)
			accepted(t, w.v, w.by(stolen))
		})
	}
}

// The same for a key whose end was moved forward.
func TestExpiryIsMovedForward(t *testing.T) {
	inTheWild(t, foreign, func(t *testing.T, w *wild) {
		start := time.Now()
		k := forge.NewKey("EdDSA", "k")
		k.NotBefore, k.Expires = start.Unix(), start.Add(24*time.Hour).Unix()
		w.serve(forge.Set(nil, k.JWK()))
		since(start, 6*time.Minute)
		accepted(t, w.v, w.by(k))
		k.Expires = start.Add(7 * time.Minute).Unix()
		w.serve(forge.Set(nil, k.JWK())) // and nothing else: no usable key
		since(start, 11*time.Minute)
		refused(t, w.v, w.by(k), validate.CodeKeyExpired)
	})
}

// The wall clock is set back, wrongly. A key that was over stays over, what was stale stays stale,
// and when the issuer shows the same time the clock is believed.
func TestWallClockSetBack(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, 365 * 24 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			inTheWild(t, foreign, func(t *testing.T, w *wild) {
				start := time.Now()
				over := forge.NewKey("EdDSA", "over")
				over.NotBefore, over.Expires = start.Unix()-2*366*24*3600, start.Add(10*time.Minute).Unix()
				w.serve(forge.Set(nil, over.JWK(), forge.NewKey("EdDSA", "stays").JWK()))
				since(start, 10*time.Minute)
				refused(t, w.v, w.by(over), validate.CodeKeyExpired)
				w.Clock().Advance(-step)
				for range 30 { // through loads that the issuer dates rightly
					refused(t, w.v, w.by(over), validate.CodeKeyExpired)
					time.Sleep(time.Minute)
				}
				w.turn(func(rw http.ResponseWriter, r *http.Request) { // the clock was wrong before, says the issuer
					rw.Header().Set("Date", w.Clock().Now().UTC().Format(http.TimeFormat))
					w.obey(rw, r)
				})
				time.Sleep(6 * time.Minute)
				accepted(t, w.v, w.by(over))
			})
			inTheWild(t, foreign, func(t *testing.T, w *wild) {
				w.turn(answering(503, nil))
				time.Sleep(25 * time.Hour)
				refused(t, w.v, w.token(), validate.CodeKeysStale)
				w.Clock().Advance(-step)
				refused(t, w.v, w.token(), validate.CodeKeysStale)
				time.Sleep(time.Hour)
				refused(t, w.v, w.token(), validate.CodeKeysStale)
				if age := w.v.Stats().Issuers[0].KeysAge; age != 26*time.Hour {
					t.Errorf("the keys are %v old, want 26h", age)
				}
			})
		})
	}
}

// The wall clock leaps ahead and comes back: nothing passes by a clock that the issuer contradicts,
// and everything does again when it is right, without a wait.
func TestWallClockLeapsAhead(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, 365 * 24 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			inTheWild(t, foreign, func(t *testing.T, w *wild) {
				k := forge.NewKey("EdDSA", "k")
				w.serve(forge.Set(nil, k.JWK()))
				time.Sleep(6 * time.Minute)
				accepted(t, w.v, w.by(k))
				w.Clock().Advance(step)
				time.Sleep(20 * time.Minute)
				if step < 24*time.Hour {
					accepted(t, w.v, w.by(k))
				} else {
					refused(t, w.v, w.by(k), validate.CodeKeysStale)
				}
				w.Clock().Advance(-step)
				accepted(t, w.v, w.by(k))
				time.Sleep(time.Hour)
				accepted(t, w.v, w.by(k))
			})
		})
	}
}

// A machine sleeps for two days, in which the processor's clock stands still. The first token after
// that is refused, and asks for keys at once instead of waiting for the schedule.
func TestMachineThatSlept(t *testing.T) {
	inTheWild(t, foreign, func(t *testing.T, w *wild) {
		var behind time.Duration
		w.turn(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Date", time.Now().Add(behind).UTC().Format(http.TimeFormat))
			w.obey(rw, r)
		})
		time.Sleep(6 * time.Minute)
		w.fetched(t, 1)
		behind = 48 * time.Hour // the world went on
		w.Clock().Advance(48 * time.Hour)
		refused(t, w.v, w.token(), validate.CodeKeysStale)
		synctest.Wait()
		accepted(t, w.v, w.token())
		w.fetched(t, 1)
	})
}
