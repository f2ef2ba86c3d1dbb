package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"seawall/internal/mint"
	"seawall/internal/oauth"
	"seawall/internal/server/adminapi"
	"seawall/internal/store"
	"seawall/internal/tenant"
)

// TestAReplayedAssertionAcrossARestart: the memory of used assertions is in the store.
func TestAReplayedAssertionAcrossARestart(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, key, err)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1"}}})
	client, err2 := h.op.CreateClient(t.Context(), "acme", adminapi.CreateClient{ClientID: "job", APIs: []string{ordersAPI}, Scopes: []string{"read"}, Auth: "private_key_jwt", JWKS: string(must(t, set, err))})
	must(t, client, err2)
	if client.Secret != "" {
		t.Error("a client with keys was given a secret")
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "1"))
	must(t, signer, err)
	assertion := func() string {
		claims, err := json.Marshal(map[string]any{"iss": "job", "sub": "job", "aud": h.base + "/acme", "jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix()})
		jws, err2 := signer.Sign(must(t, claims, err))
		must(t, jws, err2)
		raw, err := jws.CompactSerialize()
		return must(t, raw, err)
	}
	ask := func(h *testHouse, raw string) response {
		return h.do("POST", "/acme/token", "grant_type=client_credentials&client_assertion_type="+url.QueryEscape(oauth.ClientAssertionType)+"&client_assertion="+raw, "Content-Type", "application/x-www-form-urlencoded")
	}
	used := assertion()
	if r := ask(h, used); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	ask(h, used).wants(t, "again", 401, "invalid_client", "used before")
	h.stop()
	again := newHouse(t, options{dir: h.dir, vaults: h.vaults, base: h.base})
	ask(again, used).wants(t, "after a restart", 401, "invalid_client", "used before")
	if r := ask(again, assertion()); r.status != 200 {
		t.Errorf("a fresh one: %d", r.status)
	}
}

// TestAnotherBaseIsRefused: tenants are known by their issuers for good.
func TestAnotherBaseIsRefused(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	h.stop()
	st, err := store.Open(t.Context(), filepath.Join(h.dir, "seawall.db"), store.Options{})
	must(t, st, err)
	away := func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	head, err := mint.OpenHeadFile(filepath.Join(h.dir, "head"))
	must(t, head, err)
	_, err = New(t.Context(), Config{Dir: h.dir, Base: "https://id.example", Store: st, Signer: away, Ledger: away, Head: head, Log: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, tenant.ErrConflict) || !strings.Contains(err.Error(), h.base+"/acme") {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(st.Close(), head.Close()); err != nil {
		t.Fatal(err)
	}
	if again := newHouse(t, options{dir: h.dir, vaults: h.vaults, base: h.base}); len(again.vaults.recorded(mint.BaseRecorded)) != 1 {
		t.Error("the same base URL is recorded again")
	}
}

// TestDraining: what was begun is finished, also when it waits for the signer, and nothing new begins.
func TestDraining(t *testing.T) {
	h := newHouse(t, options{})
	_, client := h.acme()
	h.vaults.mu.Lock() // the signer is busy
	answered := make(chan response, 1)
	go func() {
		answered <- h.post("/acme/token", "grant_type=client_credentials", client.ClientID, client.Secret)
	}()
	h.eventually("the request is under way", func() bool { return h.vaults.asked.Load() > 0 })
	stopped := make(chan struct{})
	go func() { h.stop(); close(stopped) }()
	address := strings.TrimPrefix(h.base, "http://")
	h.eventually("no new connection is taken", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	h.vaults.mu.Unlock()
	if r := <-answered; r.status != 200 {
		t.Errorf("the request that was under way got %d", r.status)
	}
	<-stopped
}

func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, key, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, der, err)
	cert, err := x509.ParseCertificate(der)
	must(t, cert, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	h := newHouse(t, options{change: func(c *Config) {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	}})
	get := func(config *tls.Config, h2 bool) (*http.Response, error) {
		c := http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: h2, DisableKeepAlives: true}, Timeout: 10 * time.Second}
		return c.Get(strings.Replace(h.base, "http://", "https://", 1) + "/healthz")
	}
	for _, h2 := range []bool{false, true} {
		resp, err := get(&tls.Config{RootCAs: pool}, h2)
		must(t, resp, err)
		resp.Body.Close()
		if resp.StatusCode != 200 || h2 && resp.ProtoMajor != 2 {
			t.Errorf("HTTP/2 %v: %d by HTTP/%d", h2, resp.StatusCode, resp.ProtoMajor)
		}
	}
	if resp, err := get(&tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11}, false); err == nil {
		resp.Body.Close()
		t.Error("TLS 1.1 is spoken")
	}
	if r, err := http.Get(h.base + "/healthz"); err == nil {
		r.Body.Close()
		if r.StatusCode == 200 {
			t.Error("plain HTTP is spoken beside TLS")
		}
	}
}
