// Command client is what a service written in Go does with seawall when it uses the libraries everybody uses:
// golang.org/x/oauth2 gets tokens, coreos/go-oidc discovers the issuer and checks them. Each step that holds prints one
// line; the first that does not ends the program. Configuration comes in as JSON on standard input, so that no secret is
// in the process list.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

type given struct {
	Issuer       string `json:"issuer"`
	Audience     string `json:"audience"`
	Scope        string `json:"scope"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	Roots        string `json:"roots"` // PEM of the authorities to trust, if not the system's

	Browser string      `json:"browser"` // where the person's browser listens; empty: nobody signs in
	Subject string      `json:"subject"` // theirs
	Web     application `json:"web"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run() error {
	var g given
	if err := json.NewDecoder(os.Stdin).Decode(&g); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	httpClient, err := trusting(g.Roots)
	if err != nil {
		return err
	}
	ctx = oidc.ClientContext(ctx, httpClient)

	provider, err := oidc.NewProvider(ctx, g.Issuer)
	if err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	fmt.Println("ok discovery")

	var token *oauth2.Token
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleAutoDetect} {
		if token, err = credentials(g, provider.Endpoint().TokenURL, style).Token(ctx); err != nil {
			return fmt.Errorf("getting a token: %w", err)
		}
	}
	fmt.Println("ok client_credentials")

	verifier := provider.VerifierContext(ctx, &oidc.Config{ClientID: g.Audience})
	checked, err := verifier.Verify(ctx, token.AccessToken)
	if err != nil {
		return fmt.Errorf("checking the token: %w", err)
	}
	fmt.Println("ok go-oidc verifies")

	forgery, err := forged(token.AccessToken, g.Scope)
	if err != nil {
		return err
	}
	if _, err := verifier.Verify(ctx, forgery); err == nil || !strings.Contains(err.Error(), "failed to verify signature") {
		return fmt.Errorf("a forgery: %v", err)
	}
	fmt.Println("ok go-oidc refuses a forgery")

	if g.Browser != "" {
		if err := signIn(ctx, provider, g); err != nil {
			return err
		}
	}

	g.ClientSecret += "x"
	var refused *oauth2.RetrieveError
	if _, err := credentials(g, provider.Endpoint().TokenURL, oauth2.AuthStyleInHeader).Token(ctx); !errors.As(err, &refused) || refused.ErrorCode != "invalid_client" {
		return fmt.Errorf("a wrong secret: %v", err)
	}
	fmt.Println("ok a wrong secret is invalid_client")

	var claims struct {
		JTI string `json:"jti"`
	}
	if err := checked.Claims(&claims); err != nil {
		return err
	}
	fmt.Println("jti", claims.JTI)
	return nil
}

// trusting returns a client that trusts the authorities in pem, or the system's.
func trusting(pem string) (*http.Client, error) {
	if pem == "" {
		return &http.Client{Timeout: 30 * time.Second}, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(pem)) {
		return nil, errors.New("no certificate in the roots given")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	return &http.Client{Timeout: 30 * time.Second, Transport: transport}, nil
}

func credentials(g given, endpoint string, style oauth2.AuthStyle) *clientcredentials.Config {
	return &clientcredentials.Config{
		ClientID: g.ClientID, ClientSecret: g.ClientSecret, TokenURL: endpoint, AuthStyle: style,
		Scopes: []string{g.Scope}, EndpointParams: url.Values{"resource": {g.Audience}},
	}
}

// forged widens the scope and keeps header and signature.
func forged(token, scope string) (string, error) {
	parts := strings.Split(token, ".")
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", err
	}
	wider := strings.Replace(string(claims), `"scope":"`+scope+`"`, `"scope":"everything"`, 1)
	if wider == string(claims) {
		return "", errors.New("the token has no such scope")
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(wider))
	return strings.Join(parts, "."), nil
}
