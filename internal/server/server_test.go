package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/store"
	"seawall/internal/tenant"
)

// testHouse is a whole house on loopback: the real store in a temporary directory, the real admin socket, vaults that
// can be made to misbehave.
type testHouse struct {
	*Server
	t      testing.TB
	dir    string
	vaults *fakeVaults
	store  *store.Store
	base   string
	op     *adminapi.Operator
	log    *logBook
	stop   func()
}

// logBook keeps what is logged, behind the same wall as in the real house.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type options struct {
	dir            string      // an existing house's directory
	vaults         *fakeVaults // and its vaults
	signer, ledger mint.Dial   // others instead
	base           string      // what it is called; its own address if empty
	name           string      // what its address is called instead of 127.0.0.1
	change         func(*Config)
	unready        bool // do not wait for the vaults
}

func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// listen opens the two listeners of a house. A house that is called base gets the port in it.
func listen(t testing.TB, dir, base string) (public, admin net.Listener) {
	t.Helper()
	address := "127.0.0.1:0"
	if u, err := url.Parse(base); err == nil && u.Port() != "" {
		address = u.Host
	}
	public, err := net.Listen("tcp", address)
	must(t, public, err)
	socket := filepath.Join(dir, adminapi.Socket)
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		t.Fatal(err)
	}
	admin, err = net.Listen("unix", socket)
	return public, must(t, admin, err)
}

func newHouse(t testing.TB, o options) *testHouse {
	t.Helper()
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "house") // t.TempDir is too long a name for a socket
		must(t, dir, err)
		t.Cleanup(func() { os.RemoveAll(dir) })
		o.dir = dir
	}
	if o.vaults == nil {
		o.vaults = newFakeVaults(t, time.Now)
	}
	public, admin := listen(t, o.dir, o.base)
	if o.base == "" {
		host, port, _ := net.SplitHostPort(public.Addr().String())
		o.base = "http://" + net.JoinHostPort(cmp.Or(o.name, host), port)
	}
	h := &testHouse{t: t, dir: o.dir, vaults: o.vaults, base: o.base, log: &logBook{}, op: adminapi.Dial(o.dir)}
	var err error
	h.store, err = store.Open(t.Context(), filepath.Join(o.dir, "seawall.db"), store.Options{})
	must(t, h.store, err)
	head, err := mint.OpenHeadFile(filepath.Join(o.dir, "head"))
	must(t, head, err)
	c := Config{Dir: o.dir, Base: o.base, Store: h.store, Signer: o.vaults.signer(), Ledger: o.vaults.ledger(), Head: head,
		Operators: []int{os.Getuid()}, Version: "test", Level: "none", Log: slog.New(secret.NewLogHandler(slog.NewTextHandler(h.log, nil)))}
	if o.signer != nil {
		c.Signer, c.Ledger = o.signer, o.ledger
	}
	if o.change != nil {
		o.change(&c)
	}
	linked, unlink := context.WithCancel(context.Background())
	h.Server, err = New(linked, c)
	must(t, h.Server, err)
	looping, cancel := context.WithCancel(linked)
	h.Start(looping)
	served := make(chan error, 1)
	serving, drain := context.WithCancel(context.Background())
	go func() { served <- h.Serve(serving, public, admin) }()
	h.stop = sync.OnceFunc(func() {
		drain()
		if err := <-served; err != nil {
			t.Errorf("serving: %v", err)
		}
		cancel()
		h.Wait(context.Background())
		unlink()
		if err := h.store.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
		if err := head.Close(); err != nil {
			t.Errorf("closing the head: %v", err)
		}
	})
	t.Cleanup(h.stop)
	if !o.unready {
		h.waitReady()
	}
	return h
}

func (h *testHouse) waitReady() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := h.Ready(ctx); err != nil {
		h.t.Fatalf("%v: away %v\n%s", err, h.away(), h.log)
	}
}

// eventually waits for something that happens by itself.
func (h *testHouse) eventually(what string, f func() bool) {
	h.t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("%s does not happen\n%s", what, h.log)
		}
	}
}

const ordersAPI = "https://orders.acme.example"

// acme makes a tenant with an API and a client.
func (h *testHouse) acme() (api *adminapi.API, client *adminapi.Client) {
	h.t.Helper()
	ctx := h.t.Context()
	tenant, err := h.op.CreateTenant(ctx, adminapi.CreateTenant{Tenant: "acme", Class: "production", Owner: "ops@acme.example", Contacts: []string{"a@acme.example", "b@acme.example"}, Claims: []string{"region"}})
	must(h.t, tenant, err)
	api, err = h.op.CreateAPI(ctx, "acme", adminapi.CreateAPI{Audience: ordersAPI, Scopes: []string{"read", "write"}})
	must(h.t, api, err)
	client, err = h.op.CreateClient(ctx, "acme", adminapi.CreateClient{ClientID: "ci", Grants: []string{"client_credentials"}, APIs: []string{ordersAPI}, Scopes: []string{"read"}})
	return api, must(h.t, client, err)
}

type response struct {
	status int
	header http.Header
	body   []byte
}

func (r response) json(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("the answer (%d) is not JSON: %v", r.status, err)
	}
	return v
}

func (h *testHouse) do(method, path, body string, header ...string) response {
	h.t.Helper()
	target := path
	if strings.HasPrefix(path, "/") {
		target = h.base + path
	}
	r, err := http.NewRequestWithContext(h.t.Context(), method, target, strings.NewReader(body))
	must(h.t, r, err)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	must(h.t, resp, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, must(h.t, answer, err)}
}

func (h *testHouse) post(path, form, id, password string) response {
	h.t.Helper()
	return h.do("POST", path, form, "Content-Type", "application/x-www-form-urlencoded",
		"Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(password))))
}

func (h *testHouse) token(client *adminapi.Client) string {
	h.t.Helper()
	r := h.post("/acme/token", "grant_type=client_credentials", client.ClientID, client.Secret)
	if r.status != 200 {
		h.t.Fatalf("no token: %d %s\n%s", r.status, r.json(h.t)["error_description"], h.log)
	}
	return r.json(h.t)["access_token"].(string)
}

func (h *testHouse) introspect(api *adminapi.API, token string) map[string]any {
	h.t.Helper()
	r := h.post("/acme/introspect", "token="+url.QueryEscape(token), api.APIID, api.Secret)
	if r.status != 200 {
		h.t.Fatalf("introspection: %d %v", r.status, r.json(h.t))
	}
	return r.json(h.t)
}

func (r response) wants(t testing.TB, name string, status int, code, part string) {
	t.Helper()
	v := r.json(t)
	if text := fmt.Sprint(v["error_description"]); r.status != status || v["error"] != code || !strings.Contains(text, part) {
		t.Errorf("%s: got %d %v %q, want %d %s %q", name, r.status, v["error"], text, status, code, part)
	}
}

func TestFromTenantToIntrospection(t *testing.T) {
	h := newHouse(t, options{})
	api, client := h.acme()
	if api.Secret == "" || client.Secret == "" || !strings.HasPrefix(api.Pin, mint.PinPrefix) {
		t.Fatal("the answers lack a secret or the pin")
	}
	for _, part := range []string{h.base + "/acme", api.Pin, ordersAPI, "validate.SeawallIssuer"} {
		if !strings.Contains(api.Snippet, part) {
			t.Errorf("the three lines lack %s", part)
		}
	}
	if n := strings.Count(api.Snippet, "\n"); n != 2 {
		t.Errorf("the three lines are %d", n+1)
	}
	raw := h.token(client)
	got := h.introspect(api, raw)
	for name, want := range map[string]any{"active": true, "token_type": "Bearer", "iss": h.base + "/acme", "sub": "ci", "aud": ordersAPI, "client_id": "ci", "scope": "read"} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if kinds := h.vaults.recorded(mint.TenantCreated); len(kinds) != 1 || kinds[0].Actor != fmt.Sprintf("uid:%d", os.Getuid()) {
		t.Errorf("the ledger has %d entries about the tenant", len(kinds))
	}
	for _, kind := range []mint.EntryKind{mint.APICreated, mint.ClientCreated, mint.BaseRecorded} {
		if len(h.vaults.recorded(kind)) != 1 {
			t.Errorf("the ledger has no entry %s", kind)
		}
	}
	for _, s := range []string{api.Secret, client.Secret, raw} {
		if strings.Contains(h.log.String(), s) {
			t.Error("a credential is in the log")
		}
		for _, e := range h.vaults.entries {
			if strings.Contains(fmt.Sprint(*e), s) {
				t.Error("a credential is in the ledger")
			}
		}
	}
}

func newTestAPI(audience string) (tenant.API, error) {
	return tenant.NewAPI(tenant.API{Tenant: "acme", Audience: audience, SecretHash: secret.Hash{9}, CreatedAt: time.Now()})
}
