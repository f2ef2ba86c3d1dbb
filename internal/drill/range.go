package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"seawall/validate"
)

// target is an API under attack: validate in front of one, an ordinary library
// in front of its twin, and between both and the issuer a key mirror that the
// attacker feeds.
type target struct {
	mirror  atomic.Pointer[[]byte]
	urls    struct{ mirror, api, twin string }
	servers []*http.Server
	client  *http.Client
	close   []func()
}

// open starts mirror, API and twin on loopback. The mirror serves document.
func open(ctx context.Context, r *Range, document []byte) (*target, error) {
	t := &target{client: &http.Client{Timeout: 10 * time.Second}}
	t.mirror.Store(&document)
	var err error
	if t.urls.mirror, err = t.serve(http.HandlerFunc(t.serveKeys)); err != nil {
		return nil, err
	}
	if err = t.openAPI(r); err == nil {
		err = t.openTwin(ctx, r)
	}
	if err != nil {
		t.shut()
		return nil, err
	}
	return t, nil
}

func (t *target) serveKeys(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "max-age=300")
	w.Write(*t.mirror.Load())
}

// openAPI is the API as an application writes it: the three lines.
func (t *target) openAPI(r *Range) error {
	issuer := validate.SeawallIssuer(r.Enterprise.URL, r.Pin).WithKeys(validate.RemoteKeys(t.urls.mirror))
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{issuer}, Audiences: []string{r.Audience}, Now: r.Now})
	if err != nil {
		return fmt.Errorf("building the validator: %w", err)
	}
	t.close = append(t.close, func() { v.Close() })
	t.urls.api, err = t.serve(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, err := v.Request(req); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			json.NewEncoder(w).Encode(refusedFor(err))
			return
		}
		json.NewEncoder(w).Encode(Verdict{Accepted: true})
	}))
	return err
}

func refusedFor(err error) Verdict {
	var refusal *validate.Error
	if !errors.As(err, &refusal) {
		return Verdict{Code: "unclassified"}
	}
	return Verdict{Code: string(refusal.Code)}
}

// openTwin is the same API on coreos/go-oidc, with issuer, audience, algorithm
// and expiry checked: as careful as that library's users are.
func (t *target) openTwin(ctx context.Context, r *Range) error {
	verifier := oidc.NewVerifier(r.Enterprise.URL, oidc.NewRemoteKeySet(ctx, t.urls.mirror),
		&oidc.Config{ClientID: r.Audience, SupportedSigningAlgs: []string{oidc.ES256}, Now: r.Now})
	var err error
	t.urls.twin, err = t.serve(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, _ := bearer(req)
		if _, err := verifier.Verify(req.Context(), raw); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			json.NewEncoder(w).Encode(Verdict{})
			return
		}
		json.NewEncoder(w).Encode(Verdict{Accepted: true})
	}))
	return err
}

func bearer(req *http.Request) (string, bool) {
	const scheme = "Bearer "
	h := req.Header.Get("Authorization")
	if len(h) <= len(scheme) || h[:len(scheme)] != scheme {
		return "", false
	}
	return h[len(scheme):], true
}

func (t *target) serve(h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("opening a loopback port for the drill: %w", err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	t.servers = append(t.servers, s)
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	t.close = append(t.close, func() { s.Close(); <-done })
	return "http://" + l.Addr().String(), nil
}

func (t *target) shut() {
	for _, f := range t.close {
		f()
	}
}

// try sends one token to both APIs as a client would.
func (t *target) try(ctx context.Context, token string) (seawall, twin Verdict, err error) {
	if seawall, err = t.send(ctx, t.urls.api, token); err != nil {
		return seawall, twin, err
	}
	twin, err = t.send(ctx, t.urls.twin, token)
	return seawall, twin, err
}

func (t *target) send(ctx context.Context, url, token string) (v Verdict, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return v, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := t.client.Do(req)
	if err != nil {
		return v, fmt.Errorf("calling an API under drill: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(body, &v); err != nil || v.Accepted != (resp.StatusCode == http.StatusOK) {
		return v, fmt.Errorf("an API under drill answered %d in an unknown form", resp.StatusCode)
	}
	return v, nil
}
