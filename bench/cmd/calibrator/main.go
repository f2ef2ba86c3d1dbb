// Calibrator is the floor that every figure of the bench is divided by: the least work that answers a
// client_credentials request with a signed JWT. It is net/http, one form, HTTP Basic, claims and an ES256
// signature in the same process. It keeps nothing, isolates nothing and records nothing, so no issuer that
// does any of these can be cheaper; how much dearer it is, is what the bench measures.
//
// It also serves two fixed documents (/jwks and /discovery, sized by flags) as the floor for metadata.
package main

import (
	"bytes"
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"seawall/bench/internal/floor"
)

type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Client   string `json:"client_id"`
	Scope    string `json:"scope"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	ID       string `json:"jti"`
}

type answer struct {
	Token   string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int64  `json:"expires_in"`
	Scope   string `json:"scope"`
}

func main() {
	jwks := flag.Int("jwks", 1024, "size of /jwks in bytes")
	discovery := flag.Int("discovery", 1024, "size of /discovery in bytes")
	flag.Parse()
	http.HandleFunc("GET /jwks", fixed(*jwks))
	http.HandleFunc("GET /discovery", fixed(*discovery))
	log.Fatal(floor.Serve("calibrator", "client_credentials", token))
}

// token answers one client_credentials request (RFC 6749 section 4.4) with an RFC 9068 access token.
func token(w http.ResponseWriter, r *http.Request, i *floor.Issuer, client string) any {
	now, scope := time.Now().Unix(), r.PostForm.Get("scope")
	jwt, err := i.Sign(claims{i.URL, client, r.PostForm.Get("resource"), client, scope, now, now + floor.Lifetime, rand.Text()})
	if err != nil {
		floor.Refuse(w, http.StatusInternalServerError, "server_error")
		return nil
	}
	return answer{jwt, "Bearer", floor.Lifetime, scope}
}

// fixed serves the same size bytes to everybody.
func fixed(size int) http.HandlerFunc {
	body := bytes.Repeat([]byte{' '}, max(size, 2))
	copy(body, "{}")
	length := fmt.Sprint(len(body))
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", length)
		_, _ = w.Write(body)
	}
}
