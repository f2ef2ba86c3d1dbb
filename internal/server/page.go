package server

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

// page is an answer to GET that was rendered before anybody asked: the body and every header line. Serving it copies
// nothing and looks nothing up.
type page struct {
	body   []byte
	etag   string
	header []headerLine
}

// headerLine is a line of a header under its canonical name. net/http only reads the values, so all answers share them.
type headerLine struct {
	name  string
	value []string
}

// newPage renders a page that caches may keep as cacheControl says.
func newPage(body []byte, contentType, cacheControl string) *page {
	sum := sha256.Sum256(body)
	p := &page{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}
	p.header = []headerLine{
		{"Content-Type", []string{contentType}},
		{"Content-Length", []string{strconv.Itoa(len(body))}},
		{"Cache-Control", []string{cacheControl}},
		{"Etag", []string{p.etag}},
	}
	return p
}

// ServeHTTP answers GET and HEAD, the latter without a body (net/http leaves it out), and conditional requests by ETag
// (RFC 9110 §13.1.2).
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for i := range p.header {
		h[p.header[i].name] = p.header[i].value
	}
	if match := r.Header["If-None-Match"]; match != nil && p.matches(match) {
		delete(h, "Content-Length")
		delete(h, "Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(p.body) // who hung up does not need it
}

// matches applies the weak comparison of RFC 9110 §8.8.3.2.
func (p *page) matches(values []string) bool {
	for _, value := range values {
		for one := range strings.SplitSeq(value, ",") {
			one = strings.TrimSpace(one)
			if one == "*" || strings.TrimPrefix(one, "W/") == p.etag {
				return true
			}
		}
	}
	return false
}
