package validate

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// answer is what an issuer answered, as far as it concerns us.
type answer struct {
	body  []byte // nil if what the ETag names is still current
	etag  string
	date  time.Time     // when the issuer wrote it; zero if it does not say
	age   time.Duration // how long caches have held it (RFC 9111 §5.1)
	fresh time.Duration // how long to wait before the next load
}

// get fetches a document of bounded size. With the ETag of one that is at hand, the answer may be
// that it is still current.
func (r *remote) get(ctx context.Context, from, etag string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("User-Agent", "seawall-validate/"+Version)
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := readAnswer(resp.Header)
	switch {
	case resp.StatusCode == http.StatusNotModified && etag != "":
		return a, nil
	case resp.StatusCode != http.StatusOK:
		return answer{}, fmt.Errorf("it answered %d; only 200 counts, redirects are not followed", resp.StatusCode)
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return answer{}, err
	}
	if len(a.body) > maxDocument {
		return answer{}, fmt.Errorf("the answer is larger than %d bytes", maxDocument)
	}
	return a, nil
}

// readAnswer reads the header of an answer. What it says badly counts as not said.
func readAnswer(h http.Header) (a answer) {
	a.etag = h.Get("ETag")
	a.date, _ = http.ParseTime(h.Get("Date"))
	a.age, _ = seconds(h.Get("Age"))
	a.fresh = freshness(h, a.date, a.age)
	return a
}

// since gives how old the answer was at that time (RFC 9111 §4.2.3): as old as the caches on the
// way say, or as its date says, whichever is more.
func (a *answer) since(now time.Time) time.Duration {
	if a.date.IsZero() {
		return a.age
	}
	return max(a.age, now.Sub(a.date))
}

// freshness reads how long an answer may be used (RFC 9111 §4.2), within our own bounds. Where
// headers contradict one another, the shortest counts.
func freshness(h http.Header, date time.Time, age time.Duration) time.Duration {
	fresh, said := time.Duration(0), false
	for _, directive := range strings.Split(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return minRefresh
		case "max-age":
			d, _ := seconds(strings.Trim(value, `"`))
			if !said || d < fresh {
				fresh, said = d, true
			}
		}
	}
	if expires := h.Get("Expires"); !said && expires != "" {
		said = true
		if end, err := http.ParseTime(expires); err == nil && !date.IsZero() {
			fresh = max(0, end.Sub(date))
		}
	}
	if !said {
		return defaultRefresh
	}
	return max(minRefresh, min(maxRefresh, fresh-age))
}

// seconds reads a number of seconds (RFC 9111 §1.2.2); more than fit count as a hundred years.
func seconds(text string) (d time.Duration, ok bool) {
	const century = 100 * 365 * 24 * time.Hour
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return century, true
	}
	return min(century, time.Duration(n)*time.Second), true
}

// metadataURLs gives where RFC 8414 §3 and OpenID Connect Discovery §4 put an issuer's metadata. An
// issuer for many tenants has no one place.
func metadataURLs(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil || checkURL(issuer) != nil || strings.Contains(issuer, tenantMark) {
		return nil
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	host := u.Scheme + "://" + u.Host
	return []string{
		host + "/.well-known/oauth-authorization-server" + path,
		host + path + "/.well-known/openid-configuration",
	}
}

// announcement gives where the issuer's metadata announce a ledger, or "". Metadata that can't be
// read announce nothing: they are a hint, and the key document itself is checked in any case. One
// look an hour is enough. Only the load under way calls it.
func (r *remote) announcement(ctx context.Context) string {
	if time.Since(r.probed) < maxRefresh {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	for _, from := range r.announced {
		if a, err := r.get(ctx, from, ""); err == nil && announcesLedger(a.body) {
			return from
		}
	}
	r.probed = time.Now()
	return ""
}

// announcesLedger reports whether metadata have the member that seawalls put there.
func announcesLedger(metadata []byte) bool {
	var s scanner
	s.reset(metadata, true)
	s.space()
	for o := s.object(); s.member(&o); s.skip() {
		if string(o.name) == "seawall_ledger" {
			return true
		}
	}
	return false
}
