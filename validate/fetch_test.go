package validate

import (
	"net/http"
	"testing"
	"time"
)

// What a key server says about its answer is a stranger's word. Whatever it is, the next load comes
// within bounds, no answer is younger than it says, and nothing that it says makes time run back.
func FuzzAnswerHeader(f *testing.F) {
	f.Add("max-age=300", "", "", "")
	f.Add("public, max-age=\"600\", no-store", "Thu, 01 Dec 1994 16:00:00 GMT", "0", "5")
	f.Add("max-age=99999999999999999999", "", "Fri, 31 Dec 9999 23:59:59 GMT", "-1")
	f.Add(",=,max-age", "Sat, 01 Jan 0001 00:00:00 GMT", "Sat, 01 Jan 0001 00:00:00 GMT", "99999999999999999999")
	f.Add("", "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "4294967295")
	f.Add("", "Fri, 31 Dec 9999 23:59:59 GMT", "Sat, 01 Jan 0001 00:00:00 GMT", "99999999999")
	now := time.Unix(1790000000, 0)
	f.Fuzz(func(t *testing.T, control, date, expires, age string) {
		h := http.Header{}
		for name, value := range map[string]string{"Cache-Control": control, "Date": date, "Expires": expires, "Age": age} {
			if value != "" {
				h.Set(name, value)
			}
		}
		a := readAnswer(h)
		if a.fresh < minRefresh || a.fresh > maxRefresh {
			t.Errorf("the next load after %v", a.fresh)
		}
		if end, err := http.ParseTime(expires); err == nil && control == "" && !a.date.IsZero() && end.Before(a.date) && a.fresh != minRefresh {
			t.Errorf("the next load of what is over after %v", a.fresh)
		}
		if a.age < 0 || a.since(now) < a.age || !a.date.IsZero() && a.since(now) < now.Sub(a.date) {
			t.Errorf("age %v, and by the date %v", a.since(now), now.Sub(a.date))
		}
		at := anchor{wall: now, steady: time.Now()}
		if settled := at.settle(anchor{wall: now.Add(-time.Hour), steady: at.steady}, a.date); settled.wall.Before(now) && now.Add(-time.Hour).Sub(a.date).Abs() > maxSkew {
			t.Errorf("the clock went back to %v by an answer of %v", settled.wall, a.date)
		}
		later := a
		if later.since(now.Add(time.Hour)) < a.since(now) {
			t.Error("an answer gets younger")
		}
	})
}

// More headers bring the next load forward, never back: where they contradict one another the
// shortest counts.
func TestShortestFreshnessCounts(t *testing.T) {
	one := func(control ...string) time.Duration {
		h := http.Header{"Cache-Control": control}
		return readAnswer(h).fresh
	}
	alone := []string{"max-age=60", "max-age=600", "no-store", "no-cache", "max-age=x"}
	for _, a := range alone {
		for _, b := range alone {
			if got, want := one(a, b), min(one(a), one(b)); got != want || one(a+","+b) != want {
				t.Errorf("%s and %s: %v, want %v", a, b, got, want)
			}
		}
	}
}
