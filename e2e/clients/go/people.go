package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// application is a web application that people sign in to.
type application struct {
	ID       string `json:"id"`
	Secret   string `json:"secret"`
	Redirect string `json:"redirect"`
}

// signIn goes through the code flow as golang.org/x/oauth2 and coreos/go-oidc do it.
func signIn(ctx context.Context, provider *oidc.Provider, g given) error {
	config := &oauth2.Config{ClientID: g.Web.ID, ClientSecret: g.Web.Secret, RedirectURL: g.Web.Redirect, Endpoint: provider.Endpoint(),
		Scopes: []string{oidc.ScopeOpenID, "profile", oidc.ScopeOfflineAccess}}
	verifier, state, nonce := oauth2.GenerateVerifier(), rand.Text(), rand.Text()
	left, err := browse(ctx, g.Browser, config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier), oidc.Nonce(nonce)))
	if err != nil {
		return err
	}
	if left.Query().Get("state") != state || left.Query().Get("iss") != g.Issuer {
		return fmt.Errorf("the answer is %s", left.Redacted())
	}
	code := left.Query().Get("code")
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return fmt.Errorf("trading the code: %w", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: g.Web.ID}).Verify(ctx, raw)
	if err != nil {
		return fmt.Errorf("checking the ID token: %w", err)
	}
	if id.Nonce != nonce || id.Subject != g.Subject {
		return errors.New("the ID token is another sign-in's, or about somebody else")
	}
	fmt.Println("ok code and PKCE")

	if _, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: g.Web.ID}).Verify(ctx, token.AccessToken); err == nil {
		return errors.New("an access token passes for an ID token") // go-oidc looks at the audience and at no typ
	}
	fmt.Println("ok an access token is no ID token")

	source := config.TokenSource(ctx, token)
	about, err := provider.UserInfo(ctx, source)
	if err != nil {
		return fmt.Errorf("userinfo: %w", err)
	}
	if about.Subject != g.Subject {
		return errors.New("userinfo is about somebody else")
	}
	fmt.Println("ok userinfo")

	next, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	if err != nil {
		return fmt.Errorf("refreshing: %w", err)
	}
	if next.AccessToken == token.AccessToken || next.RefreshToken == token.RefreshToken {
		return errors.New("a refresh gave what was there before")
	}
	fmt.Println("ok refresh")

	var refused *oauth2.RetrieveError
	if _, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier)); !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" {
		return fmt.Errorf("the code once more: %v", err)
	}
	if _, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: next.RefreshToken}).Token(); !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" {
		return fmt.Errorf("what a code gave that was used twice: %v", err)
	}
	fmt.Println("ok a code that is used twice takes back what it gave")
	return nil
}

// browse tells the person's browser where to go, and is told where it left the issuer.
func browse(ctx context.Context, browser, to string) (*url.URL, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", browser+"/?"+url.Values{"to": {to}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the browser got nowhere: %s, %v", resp.Status, err)
	}
	return url.Parse(string(body))
}
