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

// target is an API under attack, and an application that people sign in to:
// validate in front of one of each, an ordinary library in front of its twin,
// and between all and the issuer a key mirror that the attacker feeds.
type target struct {
	mirror  atomic.Pointer[[]byte]
	keys    string // where the mirror is
	api     door
	client  door
	caller  *http.Client
	servers []*http.Server
	close   []func()
}

// door is where a token is shown, twice.
type door struct{ seawall, twin string }

// open starts the mirror and both doors on loopback. The mirror serves document.
func open(ctx context.Context, r *Range, document []byte) (*target, error) {
	t := &target{caller: &http.Client{Timeout: 10 * time.Second}}
	t.mirror.Store(&document)
	var err error
	if t.keys, err = t.serve(http.HandlerFunc(t.serveKeys)); err != nil {
		return nil, err
	}
	if err = t.openAPI(r); err == nil {
		err = t.openClient(r)
	}
	if err == nil {
		t.api.twin, err = t.openTwin(ctx, r, r.Audience)
	}
	if err == nil {
		t.client.twin, err = t.openTwin(ctx, r, r.Client)
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
	issuer := validate.SeawallIssuer(r.Enterprise.URL, r.Pin).WithKeys(validate.RemoteKeys(t.keys))
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{issuer}, Audiences: []string{r.Audience}, Now: r.Now})
	if err != nil {
		return fmt.Errorf("building the validator: %w", err)
	}
	t.close = append(t.close, func() { v.Close() })
	t.api.seawall, err = t.serve(answering(func(req *http.Request) error {
		_, err := v.Request(req)
		return err
	}))
	return err
}

// openClient is the place where an application takes an ID token that somebody
// signs in with.
func (t *target) openClient(r *Range) error {
	issuer := validate.SeawallIssuer(r.Enterprise.URL, r.Pin).WithKeys(validate.RemoteKeys(t.keys))
	v, err := validate.NewIDTokens(r.Client, validate.Config{Issuers: []validate.Issuer{issuer}, Now: r.Now})
	if err != nil {
		return fmt.Errorf("building the judge of ID tokens: %w", err)
	}
	t.close = append(t.close, func() { v.Close() })
	t.client.seawall, err = t.serve(answering(func(req *http.Request) error {
		raw, _ := bearer(req)
		_, err := v.Token(req.Context(), raw, validate.Login{})
		return err
	}))
	return err
}

// answering tells what became of a token.
func answering(judge func(*http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := judge(req); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			json.NewEncoder(w).Encode(refusedFor(err))
			return
		}
		json.NewEncoder(w).Encode(Verdict{Accepted: true})
	})
}

func refusedFor(err error) Verdict {
	var refusal *validate.Error
	if !errors.As(err, &refusal) {
		return Verdict{Code: "unclassified"}
	}
	return Verdict{Code: string(refusal.Code)}
}

// openTwin is the same door on coreos/go-oidc, with issuer, audience, algorithm
// and expiry checked: as careful as that library's users are.
func (t *target) openTwin(ctx context.Context, r *Range, audience string) (url string, err error) {
	verifier := oidc.NewVerifier(r.Enterprise.URL, oidc.NewRemoteKeySet(ctx, t.keys),
		&oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{oidc.ES256}, Now: r.Now})
	return t.serve(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, _ := bearer(req)
		if _, err := verifier.Verify(req.Context(), raw); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			json.NewEncoder(w).Encode(Verdict{})
			return
		}
		json.NewEncoder(w).Encode(Verdict{Accepted: true})
	}))
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

// try sends one token to both sides of a door as a client would.
func (t *target) try(ctx context.Context, d door, token string) (seawall, twin Verdict, err error) {
	if seawall, err = t.send(ctx, d.seawall, token); err != nil {
		return seawall, twin, err
	}
	twin, err = t.send(ctx, d.twin, token)
	return seawall, twin, err
}

func (t *target) send(ctx context.Context, url, token string) (v Verdict, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return v, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := t.caller.Do(req)
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
