// Package remote takes a command line to a seawall on another machine: it signs a person in through their browser, keeps the
// login, and sends requests with tokens that nobody else can use.
//
// [SignIn] is the authorization code flow of a native application (RFC 8252) with PKCE (RFC 7636): the browser comes back to a
// port of this machine's loopback interface. Codes and tokens are bound to a key that is made here and never leaves (DPoP, RFC
// 9449), so what travels or is written down is worth nothing without it. A [Login] keeps the key and the refresh token in one
// file that only its owner can read; access tokens stay in memory. [Login.Transport] gets one when it needs one, and walks
// through the browser again when the server wants a more recent touch (RFC 9470).
//
// The files: flow.go is the way through the browser, key.go the key and its proofs, keep.go the file, transport.go requests.
package remote

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"seawall/internal/secret"
)

// ClientID is the client that every seawall has for command lines.
const ClientID = "seawall-cli"

// scope is what is asked for: to administer, and to go on when the browser is closed.
const scope = "admin offline_access"

const (
	callTime  = 30 * time.Second // of one request
	askTime   = 10 * time.Minute // for a person to sign in
	maxAnswer = 1 << 20
)

// ErrOver means that a login is no good any more: it was ended, or its refresh token was.
var ErrOver = errors.New("the login is over")

// Login is somebody's login at a seawall.
type Login struct {
	Base string // base URL of the seawall
	// Show is told where a person has to go in their browser when a touch is wanted.
	Show func(address string)

	issuer  string // of the operators' tenant
	key     *ecdsa.PrivateKey
	refresh secret.Text
	left    []secret.Text // earlier refresh tokens that the server has not taken back yet
	path    string        // of the file
	http    http.Client

	places  *places
	nonce   string // for the next proof at the token endpoint
	access  secret.Text
	expires time.Time
}

// places are the endpoints that the metadata names.
type places struct {
	Issuer    string `json:"issuer"`
	Authorize string `json:"authorization_endpoint"`
	Token     string `json:"token_endpoint"`
	Revoke    string `json:"revocation_endpoint"`
}

func newLogin(base string) (*Login, error) {
	base, err := ParseBase(base)
	if err != nil {
		return nil, err
	}
	l := &Login{Base: base, issuer: base + "/operators"}
	l.http = http.Client{Timeout: callTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return l, nil
}

// ParseBase checks the base URL of a seawall, as a person types it. Only this machine is spoken to without TLS.
func ParseBase(text string) (string, error) {
	text = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(text), "/"), "/operators")
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%.100q is no base URL: it looks like https://id.example.com, or http://localhost:8420 on this machine", text)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", fmt.Errorf("%s is another machine, and http is only for this one: use https", u.Host)
	}
	return text, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Audience is the admin API, as tokens name it and as it is asked.
func (l *Login) Audience() string { return l.issuer + "/admin" }

// find reads the metadata of the operators' issuer. Every endpoint lies below it.
func (l *Login) find(ctx context.Context) error {
	if l.places != nil {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.issuer+"/.well-known/openid-configuration", nil)
	if err != nil {
		return err
	}
	p := new(places)
	if status, err := l.call(req, p); err != nil {
		return err
	} else if status != http.StatusOK {
		return fmt.Errorf("there is no seawall with administrators at %s: it answers with status %d", l.Base, status)
	}
	if p.Issuer != l.issuer {
		return fmt.Errorf("the server at %s says that it is %.100q: use its own base URL", l.Base, p.Issuer)
	}
	for _, place := range []string{p.Authorize, p.Token, p.Revoke} {
		if !strings.HasPrefix(place, l.issuer+"/") {
			return fmt.Errorf("the metadata of %s leads elsewhere", l.issuer)
		}
	}
	l.places = p
	return nil
}

// call sends a request and reads the JSON of the answer.
func (l *Login) call(req *http.Request, into any) (status int, err error) {
	resp, err := l.http.Do(req)
	if err != nil {
		return 0, unreachable(l.Base, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, unreachable(l.Base, err)
	}
	if nonce := resp.Header.Get("DPoP-Nonce"); nonce != "" {
		l.nonce = nonce
	}
	if err := json.Unmarshal(body, into); err != nil && resp.StatusCode/100 == 2 {
		return resp.StatusCode, fmt.Errorf("the answer of %s is not what a seawall says", l.Base)
	}
	return resp.StatusCode, nil
}

// unreachable says that nobody answers. The address in the library's error may hold more than people need.
func unreachable(base string, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("%s can't be reached: %w", base, err)
}
