package login

import (
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

// BenchmarkPage renders pages: what a person waits for besides the network.
func BenchmarkPage(b *testing.B) {
	h := newHall(b, nil)
	_, _, in := h.member("ada@acme.example")
	acme := h.tenant("acme")
	for _, c := range []struct {
		path string
		from *browser
	}{{"/signin", h.browser()}, {"/account", in}} {
		b.Run(c.path[1:], func(b *testing.B) {
			r := c.from.request("GET", c.path, nil)
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				if h.door.Serve(w, r, acme, c.path); w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

// BenchmarkSignIn signs somebody in, durably, without the ledger: the two requests as the server sees them. p50-ms is their
// median; the authenticator's own work is not in it.
func BenchmarkSignIn(b *testing.B) {
	h := newHall(b, nil)
	_, auth, in := h.member("ada@acme.example")
	var spent []time.Duration
	for b.Loop() {
		began := time.Now()
		o := in.beginSignIn("")
		first := time.Since(began)
		credential := auth.get(o)
		began = time.Now()
		if a := in.finishSignIn("", credential); a.status != 200 {
			b.Fatal(a.body)
		}
		spent = append(spent, first+time.Since(began))
	}
	slices.Sort(spent)
	b.ReportMetric(float64(spent[len(spent)/2].Microseconds())/1000, "p50-ms")
}
