// Package floor is what the calibrators share: the least that a token endpoint does for one answer, whatever its grant.
// It checks a client by HTTP Basic, signs claims with ES256 and answers in JSON. Nothing is kept, isolated or recorded.
package floor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
)

// Lifetime of every token, in seconds.
const Lifetime = 600

var (
	b64    = base64.RawURLEncoding
	secret = sha256.Sum256([]byte("calibrator-secret"))
)

// Issuer makes tokens under one key.
type Issuer struct {
	URL    string
	key    *ecdsa.PrivateKey
	header string
}

// Serve answers requests to /token until it fails, and before that tells the standard output where. answer is for a client
// that has proved who it is and asks for the grant; it returns nil when it has answered with an error itself.
func Serve(name, grant string, answer func(w http.ResponseWriter, r *http.Request, i *Issuer, client string) any) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	i := &Issuer{"http://" + listener.Addr().String(), key, b64.EncodeToString([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"`+name+`"}`)) + "."}
	http.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != grant {
			Refuse(w, http.StatusBadRequest, "unsupported_grant_type")
			return
		}
		client, password, _ := r.BasicAuth()
		if sum := sha256.Sum256([]byte(password)); client != "calibrator" || subtle.ConstantTimeCompare(sum[:], secret[:]) != 1 {
			Refuse(w, http.StatusUnauthorized, "invalid_client")
			return
		}
		if told := answer(w, r, i, client); told != nil {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			_ = json.NewEncoder(w).Encode(told)
		}
	})
	fmt.Println(name+": ready at", i.URL)
	return http.Serve(listener, nil)
}

// Refuse answers with an error of RFC 6749 §5.2.
func Refuse(w http.ResponseWriter, status int, code string) {
	http.Error(w, `{"error":"`+code+`"}`, status)
}

// Sign makes a JWT of claims.
func (i *Issuer) Sign(claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	input := i.header + b64.EncodeToString(payload)
	digest := sha256.Sum256([]byte(input))
	x, y, err := ecdsa.Sign(rand.Reader, i.key, digest[:])
	if err != nil {
		return "", err
	}
	var signature [64]byte
	x.FillBytes(signature[:32])
	y.FillBytes(signature[32:])
	return input + "." + b64.EncodeToString(signature[:]), nil
}
