//go:build linux

package subject

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// App is an application that people sign in to, with codes that it may redeem.
type App struct {
	Client, Secret     string
	Redirect, Verifier string
	Codes              []string
}

// Exchanges are the bytes of one request for each code.
func (a *App) Exchanges(endpoint string, codes []string) ([][]byte, error) {
	var raw [][]byte
	for _, code := range codes {
		one, err := a.request(endpoint, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.Redirect}, "code_verifier": {a.Verifier}})
		if err != nil {
			return nil, err
		}
		raw = append(raw, one)
	}
	return raw, nil
}

// Refreshes are the bytes of one request for each refresh token.
func (a *App) Refreshes(endpoint string, tokens []string) ([][]byte, error) {
	var raw [][]byte
	for _, token := range tokens {
		one, err := a.request(endpoint, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
		if err != nil {
			return nil, err
		}
		raw = append(raw, one)
	}
	return raw, nil
}

func (a *App) request(endpoint string, form url.Values) ([]byte, error) {
	request, err := a.form(context.Background(), endpoint, form)
	if err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	err = request.Write(&raw)
	return raw.Bytes(), err
}

func (a *App) form(ctx context.Context, endpoint string, form url.Values) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(url.QueryEscape(a.Client), url.QueryEscape(a.Secret))
	return request, nil
}

// SignIns redeems codes and returns the refresh tokens.
func (a *App) SignIns(ctx context.Context, endpoint string, codes []string) (tokens []string, err error) {
	for _, code := range codes {
		given, err := a.redeem(ctx, endpoint, code)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, given.Refresh)
	}
	return tokens, nil
}

// AccessTokens redeems codes and returns the access tokens, which are for the person who signed in.
func (a *App) AccessTokens(ctx context.Context, endpoint string, codes []string) (tokens []string, err error) {
	for _, code := range codes {
		given, err := a.redeem(ctx, endpoint, code)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, given.Access)
	}
	return tokens, nil
}

// given is what a code gives.
type given struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func (a *App) redeem(ctx context.Context, endpoint, code string) (g given, err error) {
	request, err := a.form(ctx, endpoint, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.Redirect}, "code_verifier": {a.Verifier}})
	if err != nil {
		return g, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return g, err
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || json.Unmarshal(body, &g) != nil || g.Access == "" || g.Refresh == "" {
		return g, fmt.Errorf("a code was not redeemed: status %d", answer.StatusCode)
	}
	return g, nil
}
