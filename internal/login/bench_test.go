package login

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"syscall"
	"testing"
	"time"
)

// BenchmarkPage is pages from the request to the last byte, without the network: "whole" reads who is signed in and what the page
// shows, "rendering" has it in memory.
func BenchmarkPage(b *testing.B) {
	h := newHall(b, nil)
	_, _, in := h.member("ada@acme.example")
	acme := h.tenant("acme")
	account := in.request("GET", "/account", nil)
	v := &visit{account, nil, acme, h.clock()}
	s, p, err := h.door.session(account, acme)
	if err != nil {
		b.Fatal(err)
	}
	page, err := h.door.accountOf(v, s, p)
	if err != nil {
		b.Fatal(err)
	}
	signIn := h.browser().request("GET", "/signin", nil)
	for _, c := range []struct {
		name  string
		serve func(w http.ResponseWriter) error
	}{
		{"signin/whole", func(w http.ResponseWriter) error { h.door.Serve(w, signIn, acme, "/signin"); return nil }},
		{"account/whole", func(w http.ResponseWriter) error { h.door.Serve(w, account, acme, "/account"); return nil }},
		{"account/rendering", func(w http.ResponseWriter) error { v.w = w; return h.door.render(v, http.StatusOK, "account", page) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			before := processTime(b)
			for b.Loop() {
				w := httptest.NewRecorder()
				if err := c.serve(w); err != nil || w.Code != http.StatusOK {
					b.Fatal(w.Code, err)
				}
			}
			b.ReportMetric(float64((processTime(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
		})
	}
}

// processTime is the processor time that this process has used.
func processTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
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
