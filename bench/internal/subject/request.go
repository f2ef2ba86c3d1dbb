//go:build linux

package subject

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Audience is the API that every token of the bench is for.
const Audience = "https://api.bench.example"

// Credential is an OAuth client, or an API, that was made for the bench.
type Credential struct{ id, secret string }

// ID is its public name.
func (c Credential) ID() string { return c.id }

// Secret is what it authenticates with.
func (c Credential) Secret() string { return c.secret }

// The clients that the calibrator and zitadel's example know.
var (
	CalibratorClient = Credential{"calibrator", "calibrator-secret"}
	ZitadelClient    = Credential{"sid1", "verysecret"}
)

// form is the same client_credentials request for every server (RFC 6749 section 4.4.2, RFC 8707 section 2).
func form() string {
	return url.Values{
		"grant_type": {"client_credentials"},
		"scope":      {"read"},
		"resource":   {Audience},
	}.Encode()
}

func tokenRequest(ctx context.Context, endpoint string, client Credential) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(url.QueryEscape(client.id), url.QueryEscape(client.secret)) // RFC 6749 section 2.3.1
	return request, nil
}

// TokenRequests are the bytes of one token request per client, as sent on a keep-alive connection.
func TokenRequests(endpoint string, clients ...Credential) ([][]byte, error) {
	var raw [][]byte
	for _, client := range clients {
		request, err := tokenRequest(context.Background(), endpoint, client)
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		if err := request.Write(&b); err != nil {
			return nil, err
		}
		raw = append(raw, []byte(b.String()))
	}
	return raw, nil
}

// GetRequest is the bytes of a GET, as sent on a keep-alive connection.
func GetRequest(address string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	if err := request.Write(&b); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}

// Token gets one access token on a connection of its own.
func Token(ctx context.Context, endpoint string, client Credential) (string, error) {
	return tokenOver(ctx, alone, endpoint, client)
}

// tokenOver gets one access token.
func tokenOver(ctx context.Context, over *http.Client, endpoint string, client Credential) (string, error) {
	request, err := tokenRequest(ctx, endpoint, client)
	if err != nil {
		return "", err
	}
	body, err := fetchOver(over, request)
	if err != nil {
		return "", fmt.Errorf("asking for a token: %w", err)
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.AccessToken == "" {
		return "", errors.New("asking for a token: the answer holds none")
	}
	return answer.AccessToken, nil
}

// Revoke has a client give up its token (RFC 7009).
func Revoke(ctx context.Context, endpoint string, client Credential, token string) error {
	form := url.Values{"token": {token}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(url.QueryEscape(client.id), url.QueryEscape(client.secret)) // RFC 6749 section 2.3.1
	if _, err := fetch(request); err != nil {
		return fmt.Errorf("revoking a token: %w", err)
	}
	return nil
}

// Document gets a public document, such as a JWK Set.
func Document(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	body, err := fetch(request)
	if err != nil {
		return nil, fmt.Errorf("getting %s: %w", address, err)
	}
	return body, nil
}

// patience is how long an answer may take.
const patience = 30 * time.Second

// alone makes a new connection for each request.
var alone = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

// fetch sends a request on a new connection and wants 200.
func fetch(request *http.Request) ([]byte, error) { return fetchOver(alone, request) }

func fetchOver(client *http.Client, request *http.Request) ([]byte, error) {
	const limit = 1 << 20
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, limit))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", response.Status)
	}
	return body, nil
}
