package server

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"seawall/internal/keystore/file"
	"seawall/internal/ledger"
	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
	"seawall/internal/signer"
	"seawall/internal/token"
	"seawall/validate"
)

// realVaults are the true signer and the true ledger in this process, which can be ended and begun again.
type realVaults struct {
	t       testing.TB
	dir     string
	mu      sync.Mutex
	signer  *signer.Signer
	ledger  *ledger.Ledger
	running sync.WaitGroup
	stop    context.CancelFunc
}

func newRealVaults(t testing.TB) *realVaults {
	v := &realVaults{t: t, dir: t.TempDir()}
	for _, name := range []string{"signer", "ledger"} {
		if err := os.Mkdir(filepath.Join(v.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := file.Create(filepath.Join(v.dir, "signer", "kek")); err != nil {
		t.Fatal(err)
	}
	if err := ledger.Create(v.ledgerConfig()); err != nil {
		t.Fatal(err)
	}
	v.begin()
	t.Cleanup(v.end)
	return v
}

func (v *realVaults) ledgerConfig() ledger.Config {
	return ledger.Config{Dir: filepath.Join(v.dir, "ledger"), Log: slog.New(slog.DiscardHandler)}
}

func (v *realVaults) begin() {
	ctx, stop := context.WithCancel(context.Background())
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stop = stop
	var err error
	v.ledger, err = ledger.Open(v.ledgerConfig())
	must(v.t, v.ledger, err)
	keys, err := file.Open(filepath.Join(v.dir, "signer", "kek"))
	must(v.t, keys, err)
	l := v.ledger
	v.signer, err = signer.Open(signer.Options{Dir: filepath.Join(v.dir, "signer"), Store: keys, Clock: signer.SystemClock("boot"), Level: "test", Log: slog.New(slog.DiscardHandler),
		Ledger: v.pipe(func(c net.Conn) { _ = l.Serve(ctx, c, ledger.Signer) })})
	must(v.t, v.signer, err)
	s := v.signer
	v.running.Go(func() {
		if err := s.Run(ctx); err != nil {
			v.t.Errorf("the signer refuses to run: %v", err)
		}
	})
}

func (v *realVaults) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.signer == nil {
		return
	}
	v.stop()
	v.running.Wait()
	if err := v.signer.Close(); err != nil {
		v.t.Error(err)
	}
	if err := v.ledger.Close(); err != nil {
		v.t.Error(err)
	}
	v.signer, v.ledger = nil, nil
}

// socketpair is two ends of a Unix socket, as the processes have them. An unbuffered net.Pipe won't do: two who write to each other
// at the same time would wait for ever.
func socketpair(t testing.TB) (near, far net.Conn) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(t, fds, err)
	var ends [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "link")
		ends[i], err = net.FileConn(f)
		must(t, ends[i], err)
		f.Close()
	}
	return ends[0], ends[1]
}

func (v *realVaults) pipe(serve func(net.Conn)) mint.Dial {
	return func(context.Context) (net.Conn, error) {
		near, far := socketpair(v.t)
		v.running.Go(func() { serve(far) })
		return near, nil
	}
}

// dial gives the house a way to a vault that is there now, and waits for one that is not.
func (v *realVaults) dial(serve func(context.Context, net.Conn)) mint.Dial {
	return func(ctx context.Context) (net.Conn, error) {
		for {
			v.mu.Lock()
			if v.signer != nil {
				break
			}
			v.mu.Unlock()
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		defer v.mu.Unlock()
		near, far := socketpair(v.t)
		alive, done := context.WithCancel(context.Background())
		context.AfterFunc(ctx, done)
		v.running.Go(func() { defer far.Close(); serve(alive, far) })
		stop := v.stop
		v.stop = func() { stop(); done(); far.Close() }
		return near, nil
	}
}

func (v *realVaults) options() options {
	return options{
		signer: v.dial(func(ctx context.Context, c net.Conn) { _ = v.signer.Serve(ctx, c) }),
		ledger: v.dial(func(ctx context.Context, c net.Conn) { _ = v.ledger.Serve(ctx, c, ledger.House) }),
	}
}

// TestWithTheRealVaults goes the whole way with the true signer and ledger: a token that package validate accepts, an
// entry for it, the same after both vaults were restarted, and the alarm when the log was cut.
func TestWithTheRealVaults(t *testing.T) {
	v := newRealVaults(t)
	h := newHouse(t, v.options())
	api, client := h.acme()
	check := func(raw string) {
		t.Helper()
		judge, err := validate.New(validate.Config{Issuers: []validate.Issuer{validate.SeawallIssuer(api.Issuer, api.Pin)}, Audiences: []string{ordersAPI}})
		must(t, judge, err)
		defer judge.Close()
		if err := judge.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		token, err := judge.Token(t.Context(), raw)
		must(t, token, err)
		receipt, recorded := token.Receipt()
		if token.Subject() != "ci" || !recorded || receipt.Sequence == 0 {
			t.Errorf("subject %s, receipt %v", token.Subject(), receipt)
		}
		if got := h.introspect(api, raw); got["active"] != true || got["jti"] != token.ID() {
			t.Errorf("introspection says %v", got["active"])
		}
	}
	check(h.token(client))

	keys, err := h.op.Keys(t.Context(), "acme")
	must(t, keys, err)
	states := map[string]int{}
	for _, k := range keys {
		states[k.State]++
	}
	if states["active"] != 1 || states["staged"] != 1 {
		t.Errorf("the keys are %v", states)
	}
	_, err = h.op.RotateKeys(t.Context(), "acme", adminapi.RotateKeys{})
	if refused := asAdmin(err); refused == nil || refused.Code != string(mint.SpareTooYoung) || refused.Hint == "" {
		t.Errorf("a rotation that validators can't know of yet: %v", err)
	}

	v.end()
	h.post("/acme/token", "grant_type=client_credentials", client.ClientID, client.Secret).wants(t, "without vaults", http.StatusServiceUnavailable, "temporarily_unavailable", "Try again")
	v.begin()
	check(h.tokenAgain(client))
	h.eventually("the house says that it is well again", func() bool {
		status, err := h.op.Status(t.Context())
		must(t, status, err)
		return status.Ready && status.LogSize > 0 && status.Signer.Custody != "" && status.PoliciesPending == 0
	})
}

// tokenAgain returns the first token after vaults came back. The house asks them every second how they are, and until then
// it is as ready as they were.
func (h *testHouse) tokenAgain(client *adminapi.Client) (raw string) {
	h.t.Helper()
	h.eventually("a token", func() bool {
		r := h.post("/acme/token", "grant_type=client_credentials", client.ClientID, client.Secret)
		raw, _ = r.json(h.t)["access_token"].(string)
		if raw == "" && r.status != http.StatusServiceUnavailable {
			h.t.Fatalf("no token: %d %s", r.status, r.body)
		}
		return raw != ""
	})
	return raw
}

func asAdmin(err error) *adminapi.Error {
	e, _ := err.(*adminapi.Error)
	return e
}

// TestACutLogIsAnAlarm: the ledger comes back with fewer entries than the house remembers.
func TestACutLogIsAnAlarm(t *testing.T) {
	v := newRealVaults(t)
	h := newHouse(t, v.options())
	_, client := h.acme()
	v.end()
	saved, live := filepath.Join(t.TempDir(), "ledger"), filepath.Join(v.dir, "ledger")
	copyPrivate(t, saved, live)
	v.begin()
	h.tokenAgain(client)
	v.end()
	if err := os.RemoveAll(live); err != nil {
		t.Fatal(err)
	}
	copyPrivate(t, live, saved)
	l, err := ledger.Open(v.ledgerConfig())
	must(t, l, err)
	// The signer would refuse as well; here the house alone meets the cut log.
	v.mu.Lock()
	v.ledger = l
	v.mu.Unlock()
	link := v.pipe(func(c net.Conn) { _ = l.Serve(context.Background(), c, ledger.House) })
	again := newVaults(t.Context(), func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }, link, h.config.Head, slog.New(slog.DiscardHandler), time.Now)
	h.eventually("the alarm", func() bool {
		for _, a := range again.away() {
			if a.Part == partLog && strings.Contains(a.Reason, "shorter") {
				return true
			}
		}
		return false
	})
	if err := again.record(t.Context(), &mint.Entry{Kind: mint.TenantWasDisabled, Tenant: "acme"}); err == nil {
		t.Error("the house goes on writing into a log that was cut")
	}
	v.mu.Lock()
	v.ledger = nil
	v.mu.Unlock()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// copyPrivate copies a directory that nobody else may read.
func copyPrivate(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o600)
		if d.IsDir() {
			mode = 0o700
		}
		return os.Chmod(path, mode)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPeopleWithTheRealVaults: what a person's client gets of the true signer and ledger, judged by package validate: the
// access token for the API, the ID token for the client, and neither for the other.
func TestPeopleWithTheRealVaults(t *testing.T) {
	v := newRealVaults(t)
	h := newHouse(t, v.options())
	api, _ := h.acme()
	ctx := t.Context()
	web, err := h.op.CreateClient(ctx, "acme", adminapi.CreateClient{ClientID: "web", Type: "web", RedirectURIs: []string{"https://web.example/cb"}, APIs: []string{ordersAPI}, Scopes: []string{"read"}})
	must(t, web, err)
	ada, err := h.op.CreatePerson(ctx, "acme", adminapi.CreatePerson{Login: "ada@acme.example"})
	must(t, ada, err)

	from := []validate.Issuer{validate.SeawallIssuer(api.Issuer, api.Pin)}
	access, err := validate.New(validate.Config{Issuers: from, Audiences: []string{ordersAPI}})
	must(t, access, err)
	defer access.Close()
	id, err := validate.NewIDTokens("web", validate.Config{Issuers: from})
	must(t, id, err)
	defer id.Close()
	if err := errors.Join(access.Ready(ctx), id.Ready(ctx)); err != nil {
		t.Fatal(err)
	}

	now := time.Now().Unix()
	a := token.Authorization{Tenant: "acme", Issuer: api.Issuer, ClientID: "web", Subject: ada.Subject, Audience: []string{ordersAPI, api.Issuer + "/userinfo"},
		Scope: "openid profile read", Lifetime: 300, SignIn: &token.SignIn{Session: "session-7", At: now - 5, ACR: "phr", AMR: []string{"hwk", "user"}},
		ID: &token.ID{Nonce: "n-1", Lifetime: 600}}
	issuer := token.NewIssuer(h.Server.vaults.signer, time.Now)
	issue := func() (accessToken, idToken string) {
		t.Helper()
		issued, err := issuer.Issue(ctx, &a)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			AccessToken string `json:"access_token"`
			IDToken     string `json:"id_token"`
		}
		if err := json.Unmarshal(issued.AppendResponse(nil), &answer); err != nil {
			t.Fatal(err)
		}
		return answer.AccessToken, answer.IDToken
	}
	accessRaw, idRaw := issue()

	judged, err := access.Token(ctx, accessRaw)
	if must(t, judged, err); judged.Subject() != ada.Subject || judged.Client() != "web" || judged.SessionID() != "session-7" {
		t.Errorf("the access token is %v", judged)
	}
	login, err := id.Token(ctx, idRaw, validate.Login{Nonce: "n-1"}, validate.RequireACR("phr"), validate.MaxAuthAge(time.Minute))
	if must(t, login, err); login.Subject() != ada.Subject || login.SessionID() != "session-7" || login.ACR() != "phr" || !slices.Equal(login.AMR(), []string{"hwk", "user"}) {
		t.Errorf("the ID token is %v", login)
	}
	if at, said := login.AuthTime(); !said || at.Unix() != now-5 {
		t.Errorf("signed in at %v", at)
	}
	_, err = access.Token(ctx, idRaw)
	refusedFor(t, "the ID token at the API", err, validate.CodeTyp)
	_, err = id.Token(ctx, accessRaw, validate.Login{Nonce: "n-1"})
	refusedFor(t, "the access token at the client", err, validate.CodeTyp)
	_, err = id.Token(ctx, idRaw, validate.Login{Nonce: "n-2"})
	refusedFor(t, "the ID token of another sign-in", err, validate.CodeNonce)
	if got := h.introspect(api, accessRaw); got["active"] != true || got["sub"] != ada.Subject {
		t.Errorf("introspection of the access token says %v", got)
	}
	if got := h.introspect(api, idRaw); got["active"] != false || len(got) != 1 {
		t.Errorf("introspection of the ID token says %v", got)
	}

	a.KeyThumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	bound, _ := issue()
	_, err = access.Token(ctx, bound)
	refusedFor(t, "a bound token as a bearer's", err, validate.CodeDPoPScheme)

	// A client that is gone gets nothing more, and with the last one goes the UserInfo endpoint.
	gone, err := h.op.DisableClient(ctx, "acme", "web")
	must(t, gone, err)
	itself := a
	itself.SignIn, itself.ID = nil, nil
	if _, err := issuer.Issue(ctx, &itself); !errors.Is(err, mint.Refuse(mint.AudienceUnregistered, "")) {
		t.Errorf("for the UserInfo endpoint, without clients: %v", err)
	}
	a.Audience, a.Scope = []string{ordersAPI}, "read"
	if issued, err := issuer.Issue(ctx, &a); !errors.Is(err, mint.Refuse(mint.ClientUnregistered, "")) || issued.JTI() != "" {
		t.Errorf("for a disabled client: %v", err)
	}
}

func refusedFor(t *testing.T, what string, err error, code validate.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}
