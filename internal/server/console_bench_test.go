package server

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"seawall/internal/tenant"
)

// BenchmarkConsole is a page of the console from the request to its last byte, without the network: who is signed in, their
// role, what it shows, and the page.
func BenchmarkConsole(b *testing.B) {
	h := newHouse(b, options{base: "http://localhost:" + freePort(b)})
	h.acme()
	owner := h.visitor(h.staff()[tenant.Owner], time.Now())
	for name, path := range map[string]string{"overview": "/operators/console", "tenant": "/operators/console/tenants/acme", "people": "/operators/console/tenants/operators/people", "form": "/operators/console/new/tenant"} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, h.base+path, nil)
			r.Header.Set("Cookie", owner.cookie)
			for b.Loop() {
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatalf("%d", w.Code)
				}
			}
		})
	}
}
