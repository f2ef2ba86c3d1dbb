package guard

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"seawall/validate"
	"seawall/validate/validatetest"
)

// BenchmarkForward is what the guard does to answer one question, without the network: for one request again and again, and
// for one token on ever new paths, where each assertion is signed anew.
func BenchmarkForward(b *testing.B) {
	for _, alg := range []validate.Alg{validate.ES256, validate.EdDSA} {
		for _, fresh := range []bool{false, true} {
			name := fmt.Sprintf("%s/same request", alg)
			if fresh {
				name = fmt.Sprintf("%s/new paths", alg)
			}
			b.Run(name, func(b *testing.B) {
				g, token := benchGuard(b, alg)
				path := "/orders/7"
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					if fresh {
						path = fmt.Sprintf("/orders/%d", n)
					}
					w := &discard{header: http.Header{}}
					g.forward(w, &http.Request{Method: "GET", RequestURI: CheckPath, Header: http.Header{
						"X-Original-Method": {"GET"}, "X-Original-Uri": {path}, "Authorization": {"Bearer " + token},
					}})
					if w.status != http.StatusOK {
						b.Fatal(w.status)
					}
				}
			})
		}
	}
}

func benchGuard(b *testing.B, alg validate.Alg) (*Guard, string) {
	b.Helper()
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}, Audiences: []string{audience}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(v.Close)
	g, err := New(Config{Validator: v, Audience: audience, Proxy: Nginx, Algorithm: alg, Log: slog.New(slog.DiscardHandler), Routes: []Route{{Path: "/", Prefix: true, Scopes: []string{"read"}}}})
	if err != nil {
		b.Fatal(err)
	}
	return g, issuer.Token(validatetest.Claims{"aud": audience, "scope": "read"})
}

// discard is a client that is not there.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }
