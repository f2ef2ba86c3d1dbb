package oauth

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// DefaultChallenge is the WWW-Authenticate of a 401 answer that names no other (RFC 6749 §5.2, RFC 7617 §2.1).
const DefaultChallenge = `Basic realm="seawall", charset="UTF-8"`

// WriteError answers with err, in the one form that RFC 6749 §5.2 gives to errors: JSON with error and
// error_description, not to be cached. A 401 carries a challenge, a RetryAfter its header.
//
// If no [*Error] is found in err, the answer is server_error with a fresh incident number and nothing of err. WriteError
// returns what it wrote; the caller logs it, and the cause with it, when Incident is set.
func WriteError(w http.ResponseWriter, err error) *Error {
	e := classify(err)
	h := w.Header()
	SetNoStore(h)
	h.Set("Content-Type", "application/json")
	status := e.status()
	if status == http.StatusUnauthorized {
		challenge := e.Challenge
		if challenge == "" {
			challenge = DefaultChallenge
		}
		h.Set("WWW-Authenticate", challenge)
	}
	if e.RetryAfter > 0 {
		seconds := (e.RetryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	body, _ := json.Marshal(struct { // strings always encode
		Code        Code   `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{e.Code, describe(e.Description)})
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that hung up needs no answer
	return e
}

// SetNoStore marks an answer as not to be kept by any cache (RFC 6749 §5.1).
func SetNoStore(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
}

func classify(err error) *Error {
	var e *Error
	if errors.As(err, &e) && e != nil {
		return e
	}
	if err == nil || errors.As(err, &e) { // the second is a nil *Error in an error's clothes
		err = errors.New("WriteError called without an error")
	}
	incident := rand.Text()
	e = Errorf(ServerError, "Something went wrong on the server. Nothing was issued. Quote incident %s when you ask about it.", incident)
	e.Incident, e.cause = incident, err
	return e
}

// describe keeps only the characters that error_description may have: %x20-21 / %x23-5B / %x5D-7E (RFC 6749 §5.2).
func describe(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < 0x20 || r > 0x7e || r == '\\':
			return '?'
		}
		return r
	}, s)
}
