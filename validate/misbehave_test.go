package validate_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"seawall/validate"
	"seawall/validate/internal/forge"
	"seawall/validate/validatetest"
)

// answering gives a whole answer.
func answering(status int, body []byte, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for n := 0; n < len(header); n += 2 {
			w.Header().Set(header[n], header[n+1])
		}
		w.WriteHeader(status)
		w.Write(body)
	}
}

// zipped answers with a small body that becomes a large one.
func zipped(plain []byte) http.HandlerFunc {
	var small bytes.Buffer
	z := gzip.NewWriter(&small)
	z.Write(plain)
	z.Close()
	return answering(200, small.Bytes(), "Content-Encoding", "gzip")
}

// dripping sends a byte a second, and begins with so many.
func dripping(body []byte, head int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Write(body[:head])
		for _, b := range body[head:] {
			w.(http.Flusher).Flush()
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				return
			}
			w.Write([]byte{b})
		}
	}
}

// hanging says what it has to say and then nothing more.
func hanging(begin http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if begin != nil {
			begin(w, r)
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	}
}

// cut ends the connection in the middle of the body.
func cut(body []byte, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answering(200, body[:len(body)/2], header...)(w, r)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// raw writes bytes instead of HTTP.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		c.Write([]byte(text))
		c.Close()
	}
}

// listing gives the document with the keys of these names only.
func listing(document []byte, names ...string) []byte {
	var d struct {
		Keys   []json.RawMessage `json:"keys"`
		Ledger json.RawMessage   `json:"seawall_ledger,omitempty"`
	}
	if err := json.Unmarshal(document, &d); err != nil {
		panic(err)
	}
	d.Keys = slices.DeleteFunc(d.Keys, func(raw json.RawMessage) bool {
		var k struct{ Kid string }
		return json.Unmarshal(raw, &k) != nil || !slices.Contains(names, k.Kid)
	})
	return forge.JSON(d)
}

// misbehaviour is one way in which an issuer fails to give its keys.
type misbehaviour struct {
	name  string
	act   http.HandlerFunc
	down  bool          // nobody listens
	slow  time.Duration // how long a load takes until it fails
	calm  bool          // nothing is wrong with it for who has these keys already
	code  validate.Code // for tokens, where no keys were there before
	words string        // among the reason for people
}

func misbehaviours(i *validatetest.Issuer) []misbehaviour {
	const unavailable = validate.CodeKeysUnavailable
	keys := i.Keys()
	other := validatetest.NewIssuer(validatetest.Config{URL: i.URL()})
	foreign := validatetest.NewIssuer(validatetest.Config{URL: i.URL(), Foreign: true})
	spaces := bytes.Repeat([]byte(" "), 16<<20)
	old := func(w http.ResponseWriter, r *http.Request) { // fresh enough for caches, by what it says itself
		w.Header().Set("Date", time.Now().Add(-25*time.Hour).UTC().Format(http.TimeFormat))
		answering(200, keys, "Cache-Control", "max-age=300")(w, r)
	}
	without := func(name string) []byte { return bytes.ReplaceAll(keys, []byte(name), []byte(`"zz`)) }
	return []misbehaviour{
		{name: "down", down: true, act: raw(""), code: unavailable, words: "refused"},
		{name: "503", act: answering(503, keys), code: unavailable, words: "503"},
		{name: "500", act: answering(500, nil), code: unavailable, words: "500"},
		{name: "404", act: answering(404, nil), code: unavailable, words: "404"},
		{name: "403 with keys", act: answering(403, keys), code: unavailable, words: "403"},
		{name: "201", act: answering(201, keys), code: unavailable, words: "201"},
		{name: "204", act: answering(204, nil), code: unavailable, words: "204"},
		{name: "206", act: answering(206, keys), code: unavailable, words: "206"},
		{name: "304 unasked", act: answering(304, nil), code: unavailable, words: "304"},
		{name: "redirect on the same host", act: answering(302, keys, "Location", "/elsewhere"), code: unavailable, words: "302"},
		{name: "redirect to another host", act: answering(307, keys, "Location", "https://evil.invalid/jwks"), code: unavailable, words: "307"},
		{name: "moved for good", act: answering(308, keys, "Location", "//evil.invalid/jwks"), code: unavailable, words: "308"},

		{name: "hang before the header", act: hanging(nil), slow: 10 * time.Second, code: unavailable, words: "timeout"},
		{name: "hang after the header", act: hanging(answering(200, nil)), slow: 10 * time.Second, code: unavailable, words: "deadline"},
		{name: "hang in the body", act: hanging(answering(200, keys[:100])), slow: 10 * time.Second, code: unavailable, words: "deadline"},
		{name: "hang after the body", act: hanging(answering(200, keys)), slow: 10 * time.Second, code: unavailable, words: "deadline"},
		{name: "slow drip", act: dripping(keys, 0), slow: 10 * time.Second, code: unavailable, words: "deadline"},
		{name: "slow drip at the end", act: dripping(keys, len(keys)-20), slow: 10 * time.Second, code: unavailable, words: "deadline"},
		{name: "slow drip of spaces", act: dripping(spaces[:99], 0), slow: 10 * time.Second, code: unavailable, words: "deadline"},

		{name: "no HTTP", act: raw("SSH-2.0-OpenSSH_10.0\r\n"), code: unavailable, words: "malformed"},
		{name: "connection reset", act: raw(""), code: unavailable, words: "EOF"},
		{name: "truncated with a length", act: cut(keys, "Content-Length", fmt.Sprint(len(keys))), code: unavailable, words: "unexpected EOF"},
		{name: "truncated in chunks", act: cut(keys), code: unavailable, words: "unexpected EOF"},
		{name: "truncated without a mark", act: raw("HTTP/1.0 200 OK\r\n\r\n" + string(keys[:len(keys)/2])), code: unavailable, words: "not a JWK Set"},
		{name: "garbage", act: answering(200, []byte("\x00\xff\x17{]")), code: unavailable, words: "not a JWK Set"},
		{name: "a page for people", act: answering(200, []byte("<!doctype html><title>Sign in to Wi-Fi</title>"), "Content-Type", "text/html"), code: unavailable, words: "not a JWK Set"},
		{name: "empty body", act: answering(200, nil), code: unavailable, words: "not a JWK Set"},
		{name: "null", act: answering(200, []byte("null")), code: unavailable, words: "not a JWK Set"},
		{name: "two documents", act: answering(200, append(i.Keys(), keys...)), code: unavailable, words: "not a JWK Set"},
		{name: "keys given twice", act: answering(200, bytes.Replace(keys, []byte(`{"keys"`), []byte(`{"keys":[],"keys"`), 1)), code: unavailable, words: "not a JWK Set"},
		{name: "a list of keys alone", act: answering(200, []byte(`[]`)), code: unavailable, words: "not a JWK Set"},
		{name: "compressed unasked", act: answering(200, []byte("\x1b\x05\x00\xf8"), "Content-Encoding", "br"), code: unavailable, words: "not a JWK Set"},

		{name: "empty set", act: answering(200, bytes.Replace(keys, []byte(`{"keys":[`), []byte(`{"keys":[],"x":[`), 1)), code: unavailable, words: "no usable key"},
		{name: "shrunken to an expired key", act: answering(200, listing(keys, "expired")), code: unavailable, words: "no usable key"},
		{name: "shrunken to unknown kinds", act: answering(200, without(`"kty`)), code: unavailable, words: "no usable key"},
		{name: "shrunken to keys without names", act: answering(200, without(`"kid`)), code: unavailable, words: "no usable key"},
		{name: "shrunken to keys nobody vouches for", act: answering(200, without(`"ledger_statement`)), code: unavailable, words: "no usable key"},
		{name: "shrunken to no receipt key", act: answering(200, without(`"receipt_keys`)), code: unavailable, words: "no usable key"},
		{name: "shrunken to receipt keys nobody certified", act: answering(200, without(`"certificate`)), code: unavailable, words: "no usable key"},
		{name: "shrunken to another's key", act: answering(200, listing(keys, "stranger")), code: unavailable, words: "no usable key"},
		{name: "another's ledger", act: answering(200, other.Keys()), code: validate.CodeLedgerPin, words: "pinned"},
		{name: "no ledger", act: answering(200, foreign.Keys()), code: validate.CodeLedgerPin, words: "no seawall ledger"},

		{name: "16 MB", act: answering(200, append(bytes.Clone(keys), spaces...)), code: unavailable, words: "larger than"},
		{name: "16 MB of brackets", act: answering(200, bytes.Repeat([]byte("["), 16<<20)), code: unavailable, words: "larger than"},
		{name: "512 KB of brackets", act: answering(200, bytes.Repeat([]byte("["), 512<<10)), code: unavailable, words: "not a JWK Set"},
		{name: "gzip bomb", act: zipped(append(spaces, keys...)), code: unavailable, words: "larger than"},
		{name: "broken gzip", act: answering(200, keys, "Content-Encoding", "gzip"), code: unavailable, words: "gzip"},
		{name: "huge header", act: answering(200, keys, "X-Padding", strings.Repeat("x", 128<<10)), code: unavailable, words: "headers exceeded"},
		{name: "endless header", act: raw("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Padding: x\r\n", 128<<10)), code: unavailable, words: "headers exceeded"},

		{name: "a day in a cache", act: answering(200, keys, "Age", "90000"), code: validate.CodeKeysStale, words: "25h0m0s ago"},
		{name: "an age beyond numbers", act: answering(200, keys, "Age", strings.Repeat("9", 40)), code: validate.CodeKeysStale, words: "ago"},
		{name: "written yesterday", act: old, calm: true, code: validate.CodeKeysStale, words: "25h0m"},
	}
}

// An issuer misbehaves for an hour. Keys that were there go on serving, loads are tried after 1, 2,
// 4 … 32 seconds and then every minute, a new validator gives the exact reason, and both recover.
func TestMisbehavingIssuer(t *testing.T) {
	var issuer *validatetest.Issuer
	var all []misbehaviour
	synctest.Test(t, func(t *testing.T) { // the false time begins anew in each test, so they can share the issuer
		issuer = validatetest.NewIssuer(validatetest.Config{})
		all = misbehaviours(issuer)
	})
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			withIssuer(t, issuer, func(t *testing.T, w *wild) {
				start := time.Now()
				w.turn(m.act)
				w.setDown(m.down)
				for at := 4 * time.Minute; at < time.Hour; at += 4 * time.Minute {
					since(start, at)
					accepted(t, w.v, w.token())
				}
				since(start, time.Hour-time.Millisecond)
				switch {
				case m.calm:
					w.fetched(t, 11)
				case m.slow > 0:
					w.fetched(t, 52) // each takes its ten seconds
				default:
					w.fetched(t, 60)
				}

				fresh := trust(t, w.trusted())
				defer fresh.Close()
				if err := fresh.Ready(t.Context()); !errors.Is(err, m.code) || !strings.Contains(err.Error(), m.words) {
					t.Errorf("ready: %v; want %s and %q", err, m.code, m.words)
				}
				refused(t, fresh, w.token(), m.code)
				refused(t, fresh, w.Token(validatetest.Claims{"aud": audience}, validatetest.UnknownKey), m.code)

				w.serve(w.Keys())
				w.setDown(false)
				time.Sleep(time.Minute + 2*m.slow)
				accepted(t, fresh, w.token())
				accepted(t, w.v, w.token())
				if w.strays != 0 {
					t.Errorf("%d requests followed a redirect", w.strays)
				}
			})
		})
	}
}
