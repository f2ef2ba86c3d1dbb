// Calibrator is the floor that every figure of the bench is divided by: the least work that answers a
// client_credentials request with a signed JWT. It is net/http, one form, HTTP Basic, claims and an ES256
// signature in the same process. It keeps nothing, isolates nothing and records nothing, so no issuer that
// does any of these can be cheaper; how much dearer it is, is what the bench measures.
//
// It also serves two fixed documents (/jwks and /discovery, sized by flags) as the floor for metadata.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"
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

var (
	b64    = base64.RawURLEncoding
	header = b64.EncodeToString([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"calibrator"}`)) + "."
	secret = sha256.Sum256([]byte("calibrator-secret"))
)

func main() {
	jwks := flag.Int("jwks", 1024, "size of /jwks in bytes")
	discovery := flag.Int("discovery", 1024, "size of /discovery in bytes")
	flag.Parse()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	base := "http://" + listener.Addr().String()
	http.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) { token(w, r, key, base) })
	http.HandleFunc("GET /jwks", fixed(*jwks))
	http.HandleFunc("GET /discovery", fixed(*discovery))
	fmt.Println("calibrator: ready at", base)
	log.Fatal(http.Serve(listener, nil))
}

// token answers one client_credentials request (RFC 6749 section 4.4) with an RFC 9068 access token.
func token(w http.ResponseWriter, r *http.Request, key *ecdsa.PrivateKey, issuer string) {
	if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != "client_credentials" {
		http.Error(w, `{"error":"unsupported_grant_type"}`, http.StatusBadRequest)
		return
	}
	client, password, _ := r.BasicAuth()
	if sum := sha256.Sum256([]byte(password)); client != "calibrator" || subtle.ConstantTimeCompare(sum[:], secret[:]) != 1 {
		http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
		return
	}
	now, scope := time.Now().Unix(), r.PostForm.Get("scope")
	payload, err := json.Marshal(claims{issuer, client, r.PostForm.Get("resource"), client, scope, now, now + 600, rand.Text()})
	if err != nil {
		http.Error(w, `{"error":"server_error"}`, http.StatusInternalServerError)
		return
	}
	input := header + b64.EncodeToString(payload)
	digest := sha256.Sum256([]byte(input))
	x, y, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		http.Error(w, `{"error":"server_error"}`, http.StatusInternalServerError)
		return
	}
	var signature [64]byte
	x.FillBytes(signature[:32])
	y.FillBytes(signature[32:])
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(answer{input + "." + b64.EncodeToString(signature[:]), "Bearer", 600, scope})
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
