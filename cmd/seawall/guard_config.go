package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"seawall/internal/guard"
	"seawall/internal/secret"
	"seawall/validate"
)

// guardConfig is the file that `seawall guard --config` names. Paths are relative to the file. Durations read 90s, 15m, 1h.
// Exactly one of proxy and upstream is given.
type guardConfig struct {
	// Listen is where the proxy asks (with proxy), or where clients come (with upstream): HOST:PORT or unix:PATH. Default
	// 127.0.0.1:8425. Elsewhere than on loopback it needs tls_cert and, with proxy, proxy_secret_file.
	Listen string `json:"listen,omitempty"`
	// SocketMode are the permissions of a Unix socket, in octal. Default 0660. Whoever may write to it may ask.
	SocketMode string `json:"socket_mode,omitempty"`
	// Status is where /livez, /readyz and /jwks are answered. Default: with proxy, where the proxy asks; with upstream,
	// 127.0.0.1:8426. It must stay on this machine.
	Status string `json:"status,omitempty"`
	// TLSCert and TLSKey are PEM files of the certificate to serve HTTPS with. Default: plain HTTP. They are read at the start.
	TLSCert string `json:"tls_cert,omitempty"`
	TLSKey  string `json:"tls_key,omitempty"`
	// MaxConnections bounds open connections; more wait. Default 1024.
	MaxConnections int `json:"max_connections,omitempty"`
	// Patience is how long a decision may take before it is a refusal. Default 2s.
	Patience duration `json:"patience,omitempty"`

	// Proxy is the kind of web server that asks before it passes a request on: nginx, caddy, traefik or envoy. Only what
	// this kind says in its own way is read.
	Proxy string `json:"proxy,omitempty"`
	// ProxySecretFile holds a secret of at least 32 characters that must come with every question, in the header
	// Seawall-Proxy-Secret. The file may not be readable by everybody. Default: none is asked for.
	ProxySecretFile string `json:"proxy_secret_file,omitempty"`
	// ClientCertificate is where the proxy says which certificate the client showed. Default: nowhere.
	ClientCertificate *guardCertificate `json:"client_certificate,omitempty"`

	// Upstream is the API behind the guard as reverse proxy: http://127.0.0.1:PORT or unix:PATH.
	Upstream string `json:"upstream,omitempty"`
	// Upgrade lists what connections may be upgraded to, such as websocket. Default: nothing.
	Upgrade []string `json:"upgrade,omitempty"`
	// PassAuthorization leaves the token in the request. Default: the API gets the assertion only.
	PassAuthorization bool `json:"pass_authorization,omitempty"`
	// MaxBody is the largest body of a request, in bytes. Default 10 MiB.
	MaxBody int64 `json:"max_body,omitempty"`
	// ReadTime is how long a request's body may take. Default 30s.
	ReadTime duration `json:"read_time,omitempty"`
	// UpstreamTime is how long the API may take to begin its answer. Default 30s.
	UpstreamTime duration `json:"upstream_time,omitempty"`

	// Issuers are those whose tokens count.
	Issuers []guardIssuer `json:"issuers"`
	// Audiences are the names of the API; one must be in the token's aud. Assertions are for the first.
	Audiences []string `json:"audiences"`
	// Clients are the client ids that are accepted. Default: all.
	Clients []string `json:"clients,omitempty"`
	// Base is the scheme and host under which clients reach the API, such as https://api.example. DPoP proofs are compared
	// with it (RFC 9449). Without it every proof is refused, because the name that a request gives is the client's choice.
	Base string `json:"base,omitempty"`
	// RequireDPoP and RequireMTLS refuse tokens that are not bound to a key or a certificate of their sender. One that is
	// bound is held to it in any case.
	RequireDPoP bool `json:"require_dpop,omitempty"`
	RequireMTLS bool `json:"require_mtls,omitempty"`

	// Routes say what may pass. The exact path counts before prefixes, longer prefixes before shorter ones; what has no
	// route is refused.
	Routes []guardRoute `json:"routes"`

	// Name is the iss of the assertions. Default seawall-guard.
	Name string `json:"name,omitempty"`
	// AssertionAlgorithm signs them: ES256 or EdDSA. Default ES256.
	AssertionAlgorithm string `json:"assertion_algorithm,omitempty"`
	// AssertionLife is how long one holds. Default and at most 30s.
	AssertionLife duration `json:"assertion_life,omitempty"`
	// JWKSFile is written at the start with the key of the assertions, for an API that can't fetch /jwks. Default: none.
	JWKSFile string `json:"jwks_file,omitempty"`
	// IdentityHeaders repeat single claims (iss, sub, client_id, tid, jti, scope) in plain headers: claim by header. They
	// are only as good as the wall that keeps everybody but the proxy away from the API. Default: none.
	IdentityHeaders map[string]string `json:"identity_headers,omitempty"`
}

// guardIssuer is a seawall issuer with its pin, or any other issuer by its pin file.
type guardIssuer struct {
	// Issuer and Pin are what `seawall api create` shows.
	Issuer string `json:"issuer,omitempty"`
	Pin    string `json:"pin,omitempty"`
	// Feed is the issuer's distrust feed: what was revoked is refused within a second. Default: none is followed, so that
	// a token that was revoked passes until it ends.
	Feed *guardFeed `json:"feed,omitempty"`
	// PinFile is what `seawall issuer pin --output` writes, for an issuer that is not a seawall.
	PinFile string `json:"pin_file,omitempty"`
}

// guardFeed is how the feed of a seawall issuer is followed.
type guardFeed struct {
	// ID is the api_id that 'seawall api create' shows, and SecretFile holds the secret that comes with it, on one line. The
	// file may not be readable by everybody; it is read again whenever the feed is connected to.
	ID         string `json:"id"`
	SecretFile string `json:"secret_file"`
	// OnStale says what happens when the feed falls silent: "refuse" ends all trust after about a minute; a duration such
	// as "15m" goes on for that long by what was known, and logs it. There is no default: only you know which harm is
	// greater.
	OnStale string `json:"on_stale"`
}

// guardRoute is one line of the table.
type guardRoute struct {
	// Path is for exactly this path, Prefix for it and everything below: one of the two. A slash at the end does not count.
	Path   string `json:"path,omitempty"`
	Prefix string `json:"prefix,omitempty"`
	// Methods are the methods it is for; GET covers HEAD. Default: all for which the same place has no other route.
	Methods []string `json:"methods,omitempty"`
	// Public lets requests through without a token. It must name its methods.
	Public bool `json:"public,omitempty"`
	// Scopes must all be in the token.
	Scopes []string `json:"scopes,omitempty"`
	// ACR lists the authentication contexts of which the token must name one (RFC 9470).
	ACR []string `json:"acr,omitempty"`
	// MaxAuthAge is how long ago the user may have signed in (RFC 9470).
	MaxAuthAge duration `json:"max_auth_age,omitempty"`
}

// guardCertificate says how the proxy hands over a client's certificate (RFC 8705).
type guardCertificate struct {
	// Header is set by the proxy for every request.
	Header string `json:"header"`
	// Form is pem (PEM, percent-encoded, as nginx writes it) or der (base64 of DER, as RFC 9440 and Caddy do).
	Form string `json:"form"`
}

// duration is a time.Duration that JSON writes as 15m.
type duration time.Duration

// UnmarshalText is for [encoding.TextUnmarshaler].
func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is no duration: write 90s, 15m or 1h", text)
	}
	*d = duration(v)
	return nil
}

// post is a guard about to be: what its configuration comes to.
type post struct {
	guard.Config // without validator and log
	listen       guard.Address
	status       *guard.Address // nil: where the proxy asks
	mode         fs.FileMode
	connections  int
	cert, key    string // absolute, or both empty
	jwks         string // absolute, or empty
	rules        validate.Config
}

const (
	defaultGuard  = "127.0.0.1:8425"
	defaultStatus = "127.0.0.1:8426"
	shortSecret   = 32
)

// settle checks what can be checked without opening a connection, and fills in defaults. Files are read beside the
// configuration.
func (c *guardConfig) settle(beside string) (*post, error) {
	p := &post{connections: c.MaxConnections, Config: guard.Config{
		Name: c.Name, Algorithm: validate.Alg(c.AssertionAlgorithm), AssertionLife: time.Duration(c.AssertionLife), Identity: c.IdentityHeaders,
		Proxy: guard.Proxy(c.Proxy), Upgrade: c.Upgrade, PassAuthorization: c.PassAuthorization, Patience: time.Duration(c.Patience),
		Limits: guard.Limits{Body: c.MaxBody, ReadTime: time.Duration(c.ReadTime), UpstreamTime: time.Duration(c.UpstreamTime)},
	}}
	if p.connections == 0 {
		p.connections = 1024
	}
	if p.connections < 1 {
		return nil, errors.New("max_connections must be at least 1")
	}
	if (c.Proxy == "") == (c.Upstream == "") {
		return nil, hint(errors.New("one of proxy and upstream is needed"), `"proxy": "nginx" when a web server asks the guard; "upstream": "http://127.0.0.1:9000" when the guard is the proxy`)
	}
	for _, step := range []func(*guardConfig, string) error{p.readFiles, p.readAddresses, p.readRoutes, p.readIssuers} {
		if err := step(c, beside); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func inside(beside, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(beside, path)
}

// readFiles settles what files hold.
func (p *post) readFiles(c *guardConfig, beside string) (err error) {
	p.cert, p.key, p.jwks = inside(beside, c.TLSCert), inside(beside, c.TLSKey), inside(beside, c.JWKSFile)
	if (p.cert == "") != (p.key == "") {
		return errors.New("tls_cert and tls_key go together")
	}
	if c.ProxySecretFile != "" {
		if p.ProxySecret, err = readSecret(inside(beside, c.ProxySecretFile)); err != nil {
			return fmt.Errorf("proxy_secret_file: %w", err)
		}
	}
	if c.ClientCertificate != nil {
		p.ClientCertificate = &guard.ClientCertificate{Header: c.ClientCertificate.Header, Form: guard.CertificateForm(c.ClientCertificate.Form)}
	}
	return nil
}

// readSecret reads a secret of one line that not everybody on the machine can read.
func readSecret(path string) (secret.Text, error) {
	info, err := os.Stat(path)
	if err != nil {
		return secret.Text{}, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return secret.Text{}, hint(fmt.Errorf("everybody on this machine may use %s", path), "chmod o= "+path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return secret.Text{}, err
	}
	line := strings.TrimSpace(string(text))
	if len(line) < shortSecret || strings.ContainsFunc(line, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return secret.Text{}, hint(fmt.Errorf("%s must hold one line of at least %d characters", path, shortSecret), "make one with `openssl rand -hex 32 > "+path+"`")
	}
	return secret.New(line), nil
}

// readAddresses settles where the guard listens. Nothing that it reads or says crosses a network in the clear, and nobody
// but the proxy can ask from outside.
func (p *post) readAddresses(c *guardConfig, _ string) (err error) {
	if p.listen, err = guard.ParseAddress(either(c.Listen, defaultGuard)); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	mode, err := strconv.ParseUint(either(c.SocketMode, "0660"), 8, 9)
	if err != nil {
		return fmt.Errorf("socket_mode: %q is no octal number such as 0660", c.SocketMode)
	}
	p.mode = fs.FileMode(mode)
	if c.Upstream != "" {
		if p.Upstream, err = guard.Upstream(c.Upstream); err != nil {
			return err
		}
	}
	if c.Status != "" || c.Upstream != "" {
		a, err := guard.ParseAddress(either(c.Status, defaultStatus))
		if err != nil {
			return fmt.Errorf("status: %w", err)
		}
		if !a.Local() {
			return fmt.Errorf("status: %s is not on this machine only", a)
		}
		p.status = &a
	}
	return p.openTo(c)
}

func either(given, otherwise string) string {
	if given == "" {
		return otherwise
	}
	return given
}

// openTo refuses to be open to more than is safe.
func (p *post) openTo(c *guardConfig) error {
	everybody := p.listen.Network == "unix" && p.mode&0o002 != 0
	switch {
	case c.Proxy != "" && everybody && p.ProxySecret.IsZero():
		return hint(fmt.Errorf("socket_mode %#o: everybody on this machine could ask, and be taken for the proxy", uint32(p.mode)), "take the last digit away, or give proxy_secret_file")
	case p.listen.Local():
		return nil
	case c.Proxy != "" && p.ProxySecret.IsZero():
		return hint(fmt.Errorf("listen %s: whoever reaches it would be taken for the proxy", p.listen), "give proxy_secret_file", "or listen on loopback or on a Unix socket")
	case p.cert != "":
		return nil
	case c.Upstream != "" && strings.HasPrefix(c.Base, "https://"):
		return nil // somebody in front of it speaks HTTPS, as with `seawall up --base`
	}
	return hint(fmt.Errorf("listen %s: tokens would cross the network in the clear", p.listen), "give tls_cert and tls_key", "or listen on loopback or on a Unix socket")
}

// readRoutes settles the table.
func (p *post) readRoutes(c *guardConfig, _ string) error {
	for i, r := range c.Routes {
		if (r.Path == "") == (r.Prefix == "") {
			return fmt.Errorf("route %d: it needs one of path and prefix", i+1)
		}
		p.Routes = append(p.Routes, guard.Route{
			Path: r.Path + r.Prefix, Prefix: r.Prefix != "", Methods: r.Methods, Public: r.Public, Scopes: r.Scopes, ACR: r.ACR, MaxAuthAge: time.Duration(r.MaxAuthAge),
		})
	}
	_, err := guard.Explain(p.Routes, "GET", "/")
	return err
}

// readIssuers settles whose tokens count.
func (p *post) readIssuers(c *guardConfig, beside string) error {
	p.rules = validate.Config{Audiences: c.Audiences, Clients: c.Clients, RequireMTLS: c.RequireMTLS}
	if c.Base != "" || c.RequireDPoP {
		p.rules.DPoP = &validate.DPoP{Origin: c.Base, Required: c.RequireDPoP}
	}
	if c.RequireDPoP && c.Base == "" {
		return hint(errors.New("require_dpop: no proof could be good without base"), `"base": "https://api.example", the scheme and host that clients see`)
	}
	if c.Base != "" {
		if u, err := url.Parse(c.Base); err != nil || u.Scheme+"://"+u.Host != c.Base {
			return errors.New("base: it wants the scheme and host that clients see, such as https://api.example")
		}
	}
	if len(c.Audiences) == 0 {
		return errors.New("audiences: by which name is this API called in aud?")
	}
	p.Audience = c.Audiences[0]
	for n, i := range c.Issuers {
		switch {
		case i.PinFile != "" && (i.Issuer != "" || i.Pin != "" || i.Feed != nil):
			return fmt.Errorf("issuer %d: pin_file says everything, so issuer, pin and feed can't stand beside it", n+1)
		case i.PinFile != "":
			text, err := os.ReadFile(inside(beside, i.PinFile))
			if err != nil {
				return fmt.Errorf("issuer %d: %w", n+1, err)
			}
			p.rules.Issuers = append(p.rules.Issuers, validate.PinnedIssuer(text))
		case i.Issuer == "" || i.Pin == "":
			return hint(fmt.Errorf("issuer %d: it needs issuer and pin, or pin_file", n+1), "'seawall api create' shows issuer and pin", "for an issuer that is not a seawall, 'seawall issuer pin URL --output FILE' writes a pin file")
		default:
			trusted := validate.SeawallIssuer(i.Issuer, i.Pin)
			if i.Feed != nil {
				feed, err := i.Feed.settle(beside)
				if err != nil {
					return fmt.Errorf("issuer %d: feed: %w", n+1, err)
				}
				trusted = trusted.WithFeed(feed)
			}
			p.rules.Issuers = append(p.rules.Issuers, trusted)
		}
	}
	return nil
}

// settle makes a Feed of what the file says.
func (f *guardFeed) settle(beside string) (feed validate.Feed, err error) {
	path := inside(beside, f.SecretFile)
	if _, err := readSecret(path); err != nil {
		return feed, fmt.Errorf("secret_file: %w", err)
	}
	feed.ID = f.ID
	feed.Secret = validate.SecretFrom(func() string {
		now, err := readSecret(path)
		if err != nil {
			return "" // which the issuer refuses, and the feed reports that
		}
		return now.Reveal()
	})
	if f.OnStale == "refuse" {
		feed.OnStale = validate.RefuseWhenStale()
		return feed, nil
	}
	var serve duration
	if err := serve.UnmarshalText([]byte(f.OnStale)); err != nil {
		return feed, errors.New(`on_stale: it must be "refuse", or for how long to go on, such as "15m"`)
	}
	feed.OnStale = validate.ServeWithAlarm(time.Duration(serve))
	return feed, nil
}
