//go:build linux

package subject

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"time"

	"seawall/bench/internal/passkey"
)

// Somebody is a person of a tenant who is signed in, and has a passkey.
type Somebody struct {
	Tenant, Session string
	Passkey         *passkey.Passkey
}

// Page is the bytes of a request for a page by the browser of somebody; nil: of a stranger.
func Page(address string, who *Somebody) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept-Language", "en")
	if who != nil {
		request.AddCookie(&http.Cookie{Name: "seawall_session_" + who.Tenant, Value: who.Session})
	}
	var b bytes.Buffer
	err = request.Write(&b)
	return b.Bytes(), err
}

// SignIns has somebody sign in n times, each in a browser in which nobody was signed in, and tells how long the server took
// each time: for its two answers, as the browser sees it. What the authenticator does is not in it.
func (s *Somebody) SignIns(ctx context.Context, base *url.URL, n int) (took []time.Duration, err error) {
	browser := &http.Client{Timeout: patience, Transport: &http.Transport{}}
	defer browser.CloseIdleConnections()
	for range n {
		if browser.Jar, err = cookiejar.New(nil); err != nil {
			return nil, err
		}
		var begun struct {
			Options struct {
				Challenge string `json:"challenge"`
			} `json:"options"`
		}
		first, err := s.post(ctx, browser, base, "/signin/begin", struct{}{}, &begun)
		if err != nil {
			return nil, err
		}
		answer, err := s.Passkey.Assert(base.String(), base.Hostname(), begun.Options.Challenge)
		if err != nil {
			return nil, err
		}
		var next struct {
			Next string `json:"next"`
		}
		second, err := s.post(ctx, browser, base, "/signin/finish", struct {
			Credential *passkey.Assertion `json:"credential"`
		}{answer}, &next)
		if err == nil && next.Next == "" {
			err = fmt.Errorf("signing in led nowhere")
		}
		if err != nil {
			return nil, err
		}
		took = append(took, first+second)
	}
	return took, nil
}

// post sends JSON as our pages' script does, and tells how long the answer took.
func (s *Somebody) post(ctx context.Context, browser *http.Client, base *url.URL, path string, question, answer any) (time.Duration, error) {
	text, err := json.Marshal(question)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base.JoinPath(s.Tenant, path).String(), bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Origin", base.String())
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	began := time.Now()
	response, err := browser.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	took := time.Since(began)
	if err != nil || response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s was answered %s", path, response.Status)
	}
	return took, json.Unmarshal(body, answer)
}
