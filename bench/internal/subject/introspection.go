//go:build linux

package subject

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// Tokens gets n access tokens, with several requests under way at a time.
func Tokens(ctx context.Context, endpoint string, clients []Credential, n int) ([]string, error) {
	const workers = 16
	tokens := make([]string, n)
	over := &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	defer over.CloseIdleConnections()
	errs := make(chan error, workers)
	var next atomic.Int64
	var asking sync.WaitGroup
	for range workers {
		asking.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				var err error
				if tokens[i], err = tokenOver(ctx, over, endpoint, clients[i%len(clients)]); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	asking.Wait()
	close(errs)
	return tokens, <-errs
}

// Introspections are the bytes of one question of an API about each token (RFC 7662 section 2.1).
func Introspections(endpoint string, api Credential, tokens []string) ([][]byte, error) {
	var raw [][]byte
	for _, token := range tokens {
		request, err := http.NewRequest(http.MethodPost, endpoint, strings.NewReader(url.Values{"token": {token}}.Encode()))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(url.QueryEscape(api.id), url.QueryEscape(api.secret)) // RFC 6749 section 2.3.1
		var b bytes.Buffer
		if err := request.Write(&b); err != nil {
			return nil, err
		}
		raw = append(raw, b.Bytes())
	}
	return raw, nil
}
