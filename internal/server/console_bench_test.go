package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"seawall/internal/console"
	"seawall/internal/login"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// BenchmarkConsole is pages of the console from the request to the last byte, without the network: "whole" reads who is signed in
// and what the page shows, "rendering" has it in memory. The tenant has ten people and ten clients.
func BenchmarkConsole(b *testing.B) {
	h := newHouse(b, options{name: "localhost"})
	h.acme()
	owner := h.visitor(h.staff()[tenant.Owner], time.Now())
	for i := range 10 {
		p, err := h.op.CreatePerson(b.Context(), "acme", adminapi.CreatePerson{Login: fmt.Sprintf("person-%d@acme.example", i)})
		must(b, p, err)
	}
	for i := range 9 {
		c, err := h.op.CreateClient(b.Context(), "acme", adminapi.CreateClient{ClientID: fmt.Sprintf("client-%d", i), APIs: []string{ordersAPI}, Scopes: []string{"read"}})
		must(b, c, err)
	}
	rendering, err := console.New(console.Config{Base: h.base, Door: &sameDoor{Door: h.people}, Drafts: h.store, Operate: remembering(h.Server), Log: h.Server.log, Now: time.Now})
	must(b, rendering, err)
	t, err := h.store.Tenant(b.Context(), tenant.Operators)
	must(b, t, err)
	for _, p := range [][2]string{{"overview", ""}, {"tenants", "/tenants"}, {"tenant", "/tenants/acme"}, {"people", "/tenants/acme/people"}, {"clients", "/tenants/acme/clients"},
		{"client", "/tenants/acme/clients/ci"}, {"form", "/new/tenant"}} {
		r := httptest.NewRequest(http.MethodGet, h.base+"/operators/console"+p[1], nil)
		r.Header.Set("Cookie", owner.cookie)
		for name, serve := range map[string]func(http.ResponseWriter){
			"whole":     func(w http.ResponseWriter) { h.ServeHTTP(w, r) },
			"rendering": func(w http.ResponseWriter) { rendering.Serve(w, r, &t) },
		} {
			b.Run(p[0]+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				before := processTime()
				for b.Loop() {
					w := httptest.NewRecorder()
					if serve(w); w.Code != http.StatusOK {
						b.Fatalf("%d", w.Code)
					}
				}
				b.ReportMetric(float64((processTime()-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
			})
		}
	}
}

// sameDoor knows who is signed in from the first time.
type sameDoor struct {
	*login.Door
	who *login.SignIn
}

func (d *sameDoor) Current(r *http.Request, t *tenant.Tenant) (who *login.SignIn, err error) {
	if d.who == nil {
		d.who, err = d.Door.Current(r, t)
	}
	return d.who, err
}

// remembering is the admin API as the console has it, which gives each answer again as it gave it first.
func remembering(s *Server) func(string, time.Time) *adminapi.Operator {
	known := map[string]*http.Response{}
	return func(person string, touched time.Time) *adminapi.Operator {
		return adminapi.Over("http://seawall", answers(func(r *http.Request) (*http.Response, error) {
			var err error
			if known[r.URL.Path] == nil {
				known[r.URL.Path], err = inside{s.api, actor{person: person, touched: touched}}.RoundTrip(r)
			}
			return known[r.URL.Path], err
		}))
	}
}

type answers func(*http.Request) (*http.Response, error)

// RoundTrip is for [http.RoundTripper].
func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
