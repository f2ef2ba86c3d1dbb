package remote

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Transport sends requests to the admin API as whoever has the login. It is for one request at a time.
func (l *Login) Transport() http.RoundTripper { return transport{l} }

type transport struct{ *Login }

// early is how long before its end an access token is not used any more.
const early = 10 * time.Second

// RoundTrip is for [http.RoundTripper]. A token that is over is renewed, and a touch that is too long ago is asked for again,
// once each; the request is then sent anew. A question that the server can't answer yet is asked again when it says.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	renewed, touched := false, false
	for tries := 1; ; tries++ {
		if t.access.IsZero() || time.Until(t.expires) < early {
			if err := t.renew(r.Context()); err != nil {
				return nil, err
			}
			renewed = true
		}
		resp, err := t.send(r)
		if err != nil {
			return nil, err
		}
		if wait := later(r, resp); wait > 0 && tries <= mostTries {
			resp.Body.Close()
			if err := pause(r.Context(), wait); err != nil {
				return nil, err
			}
			continue
		}
		if resp.StatusCode != http.StatusUnauthorized {
			return resp, nil
		}
		wrong, maxAge := challenge(resp.Header.Get("WWW-Authenticate"))
		switch {
		case wrong == "insufficient_user_authentication" && !touched:
			resp.Body.Close()
			touched = true
			if err := t.walk(r.Context(), maxAge); err != nil {
				return nil, err
			}
		case wrong == "invalid_token" && !renewed:
			resp.Body.Close()
			t.expires = time.Time{}
		case resp.Header.Get("Content-Type") != "application/json": // the door says no, before the admin API is asked
			resp.Body.Close()
			return nil, errors.New("the server does not take our token: " + plain(resp.Header.Get("WWW-Authenticate")))
		default:
			return resp, nil
		}
	}
}

// A seawall that has just started knows its keys within a second or two.
const (
	mostTries = 5
	mostWait  = 3 * time.Second
)

// later returns when a question may be asked again; 0: it was answered, or it would change something.
func later(r *http.Request, resp *http.Response) time.Duration {
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if r.Method != http.MethodGet || resp.StatusCode != http.StatusServiceUnavailable || err != nil || seconds < 1 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, mostWait)
}

func pause(ctx context.Context, wait time.Duration) error {
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// renew uses the refresh token that is in the file now, and keeps the next one, before another command can.
func (t transport) renew(ctx context.Context) error {
	free, err := t.alone()
	if err != nil {
		return err
	}
	defer free()
	return t.trade(ctx, url.Values{"grant_type": {"refresh_token"}, "client_id": {ClientID}, "refresh_token": {t.refresh.Reveal()}})
}

// send sends a copy of the request with the token and a proof for it.
func (t transport) send(r *http.Request) (*http.Response, error) {
	where := *r.URL
	where.RawQuery, where.Fragment = "", ""
	token := t.access.Reveal()
	proof, err := prove(t.key, r.Method, where.String(), token, "")
	if err != nil {
		return nil, err
	}
	c := r.Clone(r.Context())
	c.RequestURI = ""
	c.Header.Set("Authorization", "DPoP "+token)
	c.Header.Set("DPoP", proof)
	if r.GetBody != nil {
		if c.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	resp, err := t.http.Do(c)
	if err != nil {
		return nil, unreachable(t.Base, err)
	}
	return resp, nil
}

// challenge reads what a DPoP challenge says is wrong, and how old a touch may be (RFC 9470 §3). No other part is needed.
func challenge(header string) (wrong string, maxAge int64) {
	param := func(name string) string {
		_, rest, found := strings.Cut(header, name+`="`)
		value, _, closed := strings.Cut(rest, `"`)
		if !found || !closed {
			return ""
		}
		return value
	}
	maxAge, err := strconv.ParseInt(param("max_age"), 10, 32)
	if err != nil || maxAge < 0 {
		maxAge = 0
	}
	return param(" error"), maxAge
}
