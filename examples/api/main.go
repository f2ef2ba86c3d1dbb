// Command api is an API that seawall protects with three lines: it greets whoever comes with a good token that has the
// scope read, and turns everybody else away.
//
//	go run ./examples/api -issuer http://localhost:8420/acme -audience https://api.acme.example -pin swl1-…
//
// `seawall api create` prints issuer, audience and pin, and with -api-id and -secret-file the API also hears of
// revocations, within the second.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"seawall/validate"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8421", "address to listen on")
	issuer := flag.String("issuer", "", "the tenant's issuer")
	audience := flag.String("audience", "", "the name of this API, as it was registered")
	pin := flag.String("pin", "", "the fingerprint of the ledger's root")
	apiID := flag.String("api-id", "", "this API's id at the issuer, to follow its distrust feed; empty: not to")
	secretFile := flag.String("secret-file", "", "the file with this API's secret")
	flag.Parse()

	trusted := validate.SeawallIssuer(*issuer, *pin)
	if *apiID != "" {
		secret, err := os.ReadFile(*secretFile)
		if err != nil {
			log.Fatal(err)
		}
		trusted = trusted.WithFeed(validate.Feed{
			ID: *apiID, Secret: validate.NewSecret(strings.TrimSpace(string(secret))), OnStale: validate.ServeWithAlarm(time.Hour),
		})
	}

	// The three lines.
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{trusted}, Audiences: []string{*audience}})
	if err != nil {
		log.Fatal(err)
	}
	protected := v.Handler(http.HandlerFunc(greet))

	server := http.Server{Addr: *listen, Handler: protected, ReadHeaderTimeout: 5 * time.Second}
	log.Printf("listening on %s", *listen)
	log.Fatal(server.ListenAndServe())
}

// greet is the API itself. Who may call it at all has been decided before; what a caller may do is the API's own
// business.
func greet(w http.ResponseWriter, r *http.Request) {
	token, ok := validate.FromContext(r.Context())
	if !ok || !token.HasScope("read") {
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="read"`)
		http.Error(w, "this needs the scope read", http.StatusForbidden)
		return
	}
	fmt.Fprintf(w, "Hello, %s.\n", token.Client())
}
