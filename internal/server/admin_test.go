package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/store"
)

func refused(t *testing.T, name string, err error, code, part string) *adminapi.Error {
	t.Helper()
	e := asAdmin(err)
	if e == nil || e.Code != code || !strings.Contains(e.Description, part) {
		t.Errorf("%s: got %#v (%v), want %s about %q", name, e, err, code, part)
		return &adminapi.Error{}
	}
	return e
}

func second[T any](_ T, err error) error { return err }

func TestAdminRefusals(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	ctx, op := t.Context(), h.op
	good := adminapi.CreateTenant{Tenant: "beta", Class: "staging", Owner: "o@beta.example", Contacts: []string{"a@beta.example", "b@beta.example"}}
	with := func(change func(*adminapi.CreateTenant)) adminapi.CreateTenant {
		q := good
		change(&q)
		return q
	}
	client := adminapi.CreateClient{ClientID: "other", Grants: []string{"client_credentials"}, APIs: []string{ordersAPI}, Scopes: []string{"read"}}
	withClient := func(change func(*adminapi.CreateClient)) adminapi.CreateClient {
		q := client
		change(&q)
		return q
	}
	before := len(h.vaults.entries)
	for _, c := range []struct {
		name, code, part string
		err              error
	}{
		{"tenant exists", adminapi.CodeExists, "exists already", second(op.CreateTenant(ctx, with(func(q *adminapi.CreateTenant) { q.Tenant = "ACME" })))},
		{"reserved id", adminapi.CodeInvalid, "reserved", second(op.CreateTenant(ctx, with(func(q *adminapi.CreateTenant) { q.Tenant = "token" })))},
		{"bad id", adminapi.CodeInvalid, "not a letter", second(op.CreateTenant(ctx, with(func(q *adminapi.CreateTenant) { q.Tenant = "a/b" })))},
		{"one contact", adminapi.CodeInvalid, "contacts", second(op.CreateTenant(ctx, with(func(q *adminapi.CreateTenant) { q.Contacts = q.Contacts[:1] })))},
		{"unknown class", adminapi.CodeInvalid, "class", second(op.CreateTenant(ctx, with(func(q *adminapi.CreateTenant) { q.Class = "test" })))},
		{"standard claim", adminapi.CodeInvalid, "standard name", second(op.CreateTenant(ctx, with(func(q *adminapi.CreateTenant) { q.Claims = []string{"ver"} })))},
		{"endless lifetime", adminapi.CodeInvalid, "lifetime", second(op.CreateTenant(ctx, with(func(q *adminapi.CreateTenant) { q.MaxLifetime = 1 << 62 })))},
		{"negative lifetime", adminapi.CodeInvalid, "lifetime", second(op.CreateTenant(ctx, with(func(q *adminapi.CreateTenant) { q.MaxLifetime = -5 })))},
		{"no such tenant", adminapi.CodeNotFound, "no tenant", second(op.Tenant(ctx, "nobody"))},
		{"a path for a tenant", adminapi.CodeNotFound, "", second(op.Tenant(ctx, "../status"))},
		{"API in no tenant", adminapi.CodeNotFound, "no tenant", second(op.CreateAPI(ctx, "nobody", adminapi.CreateAPI{Audience: "https://x.example"}))},
		{"API exists", adminapi.CodeExists, "exists already", second(op.CreateAPI(ctx, "acme", adminapi.CreateAPI{Audience: ordersAPI + "/"}))},
		{"API not a URL", adminapi.CodeInvalid, "absolute URI", second(op.CreateAPI(ctx, "acme", adminapi.CreateAPI{Audience: "orders"}))},
		{"API of a long name", adminapi.CodeInvalid, "longer than 1024", second(op.CreateAPI(ctx, "acme", adminapi.CreateAPI{Audience: "https://x.example/" + strings.Repeat("a", 1100)}))},
		{"API with a long lifetime", adminapi.CodeInvalid, "longer than the tenant", second(op.CreateAPI(ctx, "acme", adminapi.CreateAPI{Audience: "https://x.example", MaxLifetime: 7200}))},
		{"no such API", adminapi.CodeNotFound, "no API", second(op.API(ctx, "acme", "https://nothing.example"))},
		{"client exists", adminapi.CodeExists, "exists already", second(op.CreateClient(ctx, "acme", withClient(func(q *adminapi.CreateClient) { q.ClientID = "ci" })))},
		{"client of no API", adminapi.CodeInvalid, "no API", second(op.CreateClient(ctx, "acme", withClient(func(q *adminapi.CreateClient) { q.APIs = nil })))},
		{"client of an unknown API", adminapi.CodeNotFound, "no API", second(op.CreateClient(ctx, "acme", withClient(func(q *adminapi.CreateClient) { q.APIs = []string{"https://x.example"} })))},
		{"client with an unknown scope", adminapi.CodeConflict, "has the scope", second(op.CreateClient(ctx, "acme", withClient(func(q *adminapi.CreateClient) { q.Scopes = []string{"root"} })))},
		{"client with a claim", adminapi.CodeInvalid, "not on the tenant's list", second(op.CreateClient(ctx, "acme", withClient(func(q *adminapi.CreateClient) { q.Claims = map[string]string{"team": "x"} })))},
		{"client of a long life", adminapi.CodeInvalid, "longer than the tenant", second(op.CreateClient(ctx, "acme", withClient(func(q *adminapi.CreateClient) { q.Lifetime = 7200 })))},
		{"client of another grant", adminapi.CodeInvalid, "grant", second(op.CreateClient(ctx, "acme", withClient(func(q *adminapi.CreateClient) { q.Grants = []string{"password"} })))},
		{"keys and a secret", adminapi.CodeInvalid, "key set", second(op.CreateClient(ctx, "acme", withClient(func(q *adminapi.CreateClient) { q.JWKS = `{"keys":[]}` })))},
		{"private_key_jwt without keys", adminapi.CodeInvalid, "needs the client's public keys", second(op.CreateClient(ctx, "acme", withClient(func(q *adminapi.CreateClient) { q.Auth = "private_key_jwt" })))},
		{"a private key", adminapi.CodeInvalid, "private or symmetric", second(op.CreateClient(ctx, "acme", withClient(func(q *adminapi.CreateClient) {
			q.Auth, q.JWKS = "private_key_jwt", `{"keys":[{"kty":"oct","k":"AAAA"}]}`
		})))},
		{"no such client", adminapi.CodeNotFound, "no client", second(op.Client(ctx, "acme", "nobody"))},
		{"rotation of nobody", adminapi.CodeNotFound, "no client", second(op.RotateSecret(ctx, "acme", "nobody", adminapi.RotateSecret{}))},
		{"keys of nobody", adminapi.CodeNotFound, "no tenant", second(op.Keys(ctx, "nobody"))},
	} {
		refused(t, c.name, c.err, c.code, c.part)
	}
	if n := len(h.vaults.entries); n != before {
		t.Errorf("%d entries about acts that were refused", n-before)
	}
}

func TestListsAndShows(t *testing.T) {
	h := newHouse(t, options{})
	api, client := h.acme()
	ctx := t.Context()
	tenants, err := h.op.Tenants(ctx)
	if must(t, tenants, err); len(tenants) != 1 || tenants[0].Issuer != h.base+"/acme" || tenants[0].TokenEndpoint != h.base+"/acme/token" || tenants[0].PolicyApplied != 2 {
		t.Errorf("tenants: %+v", tenants)
	}
	apis, err := h.op.APIs(ctx, "acme")
	if must(t, apis, err); len(apis) != 1 || apis[0].Secret != "" || apis[0].APIID != api.APIID || len(apis[0].Scopes) != 2 {
		t.Errorf("APIs: %+v", apis)
	}
	for _, name := range []string{ordersAPI, api.APIID} {
		if one, err := h.op.API(ctx, "acme", name); err != nil || one.Audience != ordersAPI {
			t.Errorf("API %s: %v", name, err)
		}
	}
	clients, err := h.op.Clients(ctx, "acme")
	if must(t, clients, err); len(clients) != 1 || clients[0].Secret != "" || clients[0].Lifetime != 600 || clients[0].Auth != "client_secret_basic" || !slices.Equal(clients[0].Scopes, []string{"read"}) {
		t.Errorf("clients: %+v", clients)
	}
	if one, err := h.op.Client(ctx, "acme", client.ClientID); err != nil || one.TokenEndpoint == "" {
		t.Errorf("client: %v", err)
	}
	keys, err := h.op.Keys(ctx, "acme")
	if must(t, keys, err); len(keys) != 1 || keys[0].State != "active" || keys[0].Activated.IsZero() {
		t.Errorf("keys: %+v", keys)
	}
	status, err := h.op.Status(ctx)
	if must(t, status, err); !status.Ready || status.Pin != api.Pin || status.Base != h.base || status.Tenants != 1 || status.Signer.Custody != "memory" || status.LogSize == 0 || len(status.Away) != 0 {
		t.Errorf("status: %+v", status)
	}
	h.vaults.set(func() { h.vaults.frozen = "the clock jumped" })
	if accepted, err := h.op.AcceptClock(ctx); err != nil || accepted.Was != "the clock jumped" {
		t.Errorf("clock: %+v, %v", accepted, err)
	}
	rotated, err := h.op.RotateKeys(ctx, "acme", adminapi.RotateKeys{})
	if must(t, rotated, err); !slices.Equal(rotated.Families, []adminapi.RotatedFamily{{Family: "access", From: "old-access", To: "new-access"}}) || len(h.vaults.recorded(mint.RotationAsked)) != 1 {
		t.Errorf("rotation: %+v", rotated)
	}
}

// TestRotatingFamilies: keys for ID tokens rotate with the others, and each family says what became of it.
func TestRotatingFamilies(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	ctx := t.Context()
	web, err := h.op.CreateClient(ctx, "acme", adminapi.CreateClient{ClientID: "web", Type: "web", RedirectURIs: []string{"https://web.example/cb"}})
	must(t, web, err)
	keys, err := h.op.Keys(ctx, "acme")
	if must(t, keys, err); len(keys) != 2 || keys[0].Family == keys[1].Family || keys[0].TokenKinds[0] == keys[1].TokenKinds[0] {
		t.Errorf("keys: %+v", keys)
	}
	access := adminapi.RotatedFamily{Family: "access", From: "old-access", To: "new-access"}
	id := adminapi.RotatedFamily{Family: "id", From: "old-id", To: "new-id"}
	young := adminapi.RotatedFamily{Family: "id", Stays: "the spare is too young"}
	rotate := func(name string, q adminapi.RotateKeys, want ...adminapi.RotatedFamily) {
		t.Helper()
		got, err := h.op.RotateKeys(ctx, "acme", q)
		if err != nil || !slices.Equal(got.Families, want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
	}
	rotate("all", adminapi.RotateKeys{}, access, id)
	rotate("one", adminapi.RotateKeys{Family: "id"}, id)
	h.vaults.set(func() { h.vaults.young = map[mint.Family]bool{mint.FamilyID: true} })
	rotate("one too young", adminapi.RotateKeys{}, access, young)
	refused(t, "that one alone", asError(h.op.RotateKeys(ctx, "acme", adminapi.RotateKeys{Family: "id"})), string(mint.SpareTooYoung), "too young")
	h.vaults.set(func() { h.vaults.young[mint.FamilyAccess] = true })
	refused(t, "all too young", asError(h.op.RotateKeys(ctx, "acme", adminapi.RotateKeys{})), string(mint.SpareTooYoung), "too young")
	refused(t, "no such family", asError(h.op.RotateKeys(ctx, "acme", adminapi.RotateKeys{Family: "logout"})), adminapi.CodeInvalid, "no family")
	var asked []string
	for _, e := range h.vaults.recorded(mint.RotationAsked) {
		asked = append(asked, detail(e, "family"))
	}
	if got := strings.Join(asked, " "); got != "access id id access id id access id" {
		t.Errorf("the ledger says %s", got)
	}
}

// TestWhoMayOperate: the kernel says who connected; nobody else gets past the door.
func TestWhoMayOperate(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	s := &Server{config: Config{Operators: []int{1000}}}
	for uid, want := range map[any]bool{0: true, 1000: true, 1001: false, -1: false, nil: false, "0": false} {
		if _, ok := s.operator(context.WithValue(t.Context(), peerKey{}, uid)); ok != want {
			t.Errorf("uid %v may operate: %v", uid, ok)
		}
	}
	c, err := net.Dial("unix", filepath.Join(h.dir, adminapi.Socket))
	must(t, c, err)
	defer c.Close()
	if uid, err := peerUID(c); err != nil || uid != os.Getuid() {
		t.Errorf("the peer is %d, %v", uid, err)
	}
	if _, err := peerUID(&net.TCPConn{}); err == nil {
		t.Error("a TCP connection has a user id")
	}
	// Without the kernel's word, as on a connection of another kind, nothing is answered.
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://x/v1/tenants", nil)
	must(t, r, err)
	w := &capture{header: http.Header{}}
	h.adminHandler().ServeHTTP(w, r)
	if w.status != http.StatusForbidden || strings.Contains(w.body.String(), "acme") {
		t.Errorf("a stranger got %d", w.status)
	}
	for _, path := range []string{"/v1/tenants", "/v1/status"} {
		if r := h.do("GET", path, ""); r.status != 404 {
			t.Errorf("the public door answers %s: %d", path, r.status)
		}
	}
}

type capture struct {
	header http.Header
	body   bytes.Buffer
	status int
}

func (c *capture) Header() http.Header         { return c.header }
func (c *capture) Write(b []byte) (int, error) { return c.body.Write(b) }
func (c *capture) WriteHeader(status int)      { c.status = status }

// TestAdminForms: bytes that are not an act, and paths that lead nowhere, have the one form of error.
func TestAdminForms(t *testing.T) {
	h := newHouse(t, options{})
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(h.dir, adminapi.Socket))
	}}}
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", "/v1/tenants", ``, 400, adminapi.CodeInvalid},
		{"POST", "/v1/tenants", `{"tenant":"x","surprise":1}`, 400, adminapi.CodeInvalid},
		{"POST", "/v1/tenants", `{"tenant":"x"} {}`, 400, adminapi.CodeInvalid},
		{"POST", "/v1/tenants", `[]`, 400, adminapi.CodeInvalid},
		{"POST", "/v1/tenants", `{"tenant":"` + strings.Repeat("x", maxAct) + `"}`, 413, adminapi.CodeInvalid},
		{"DELETE", "/v1/tenants", ``, 405, adminapi.CodeMethod},
		{"PUT", "/v1/status", ``, 405, adminapi.CodeMethod},
		{"GET", "/v2/tenants", ``, 404, adminapi.CodeNotFound},
		{"GET", "/v1/tenants/", ``, 404, adminapi.CodeNotFound},
		{"GET", "/", ``, 404, adminapi.CodeNotFound},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://seawall"+c.path, strings.NewReader(c.body))
		must(t, r, err)
		resp, err := client.Do(r)
		must(t, resp, err)
		var e adminapi.Error
		err = json.NewDecoder(resp.Body).Decode(&e)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || e.Code != c.code || e.Description == "" {
			t.Errorf("%s %s: got %d %+v %v, want %d %s", c.method, c.path, resp.StatusCode, e, err, c.status, c.code)
		}
	}
	client.CloseIdleConnections()
}

func TestNotRunning(t *testing.T) {
	op := adminapi.Dial(t.TempDir())
	e := refused(t, "nobody listens", second(op.Status(t.Context())), adminapi.CodeNotRunning, "not running")
	if e.Hint == "" {
		t.Error("no hint")
	}
}

// TestDisabling: what is disabled gets no tokens, and tokens that it has introspect inactive; keys stay.
func TestDisabling(t *testing.T) {
	h := newHouse(t, options{})
	api, client := h.acme()
	ctx := t.Context()
	second, err := h.op.CreateClient(ctx, "acme", adminapi.CreateClient{ClientID: "second", APIs: []string{ordersAPI}, Scopes: []string{"read"}})
	must(t, second, err)
	raw, other := h.token(client), h.token(second)
	active := func(token string) any { return h.introspect(api, token)["active"] }
	if active(raw) != true || active(other) != true {
		t.Fatal("good tokens are inactive")
	}
	disabled, err := h.op.DisableClient(ctx, "acme", "ci")
	if must(t, disabled, err); disabled.Disabled.IsZero() {
		t.Error("the answer does not say when")
	}
	if active(raw) != false || active(other) != true {
		t.Error("a disabled client's token is active, or another's is not")
	}
	h.post("/acme/token", "grant_type=client_credentials", client.ClientID, client.Secret).wants(t, "disabled client", 401, "invalid_client", "disabled")
	refused(t, "its id", asError(h.op.CreateClient(ctx, "acme", adminapi.CreateClient{ClientID: "ci", APIs: []string{ordersAPI}})), adminapi.CodeUsedBefore, "never used again")
	refused(t, "its secret", asError(h.op.RotateSecret(ctx, "acme", "ci", adminapi.RotateSecret{})), adminapi.CodeDisabled, "disabled")

	if api, err := h.op.DisableAPI(ctx, "acme", ordersAPI); err != nil || api.Disabled.IsZero() || api.Pending != "" {
		t.Errorf("disabling the API: %+v, %v", api, err)
	}
	if got := h.introspect(api, other); got["active"] != false || len(got) != 1 {
		t.Errorf("a disabled API learns %v", got)
	}
	h.post("/acme/token", "grant_type=client_credentials", second.ClientID, second.Secret).wants(t, "disabled API", 400, "invalid_target", "disabled")

	again, err := h.op.CreateAPI(ctx, "acme", adminapi.CreateAPI{Audience: "https://new.acme.example", Scopes: []string{"read"}})
	must(t, again, err)
	third, err := h.op.CreateClient(ctx, "acme", adminapi.CreateClient{APIs: []string{again.APIID}, Scopes: []string{"read"}})
	must(t, third, err)
	last := h.token(third)
	tenant, err := h.op.DisableTenant(ctx, "acme")
	if must(t, tenant, err); tenant.Disabled.IsZero() || tenant.PolicyApplied != tenant.PolicyVersion {
		t.Errorf("disabling the tenant: %+v", tenant)
	}
	if got := h.introspect(again, last); got["active"] != false || len(got) != 1 {
		t.Errorf("the token of a disabled tenant: %v", got)
	}
	h.post("/acme/token", "grant_type=client_credentials", third.ClientID, third.Secret).wants(t, "disabled tenant", 400, "unauthorized_client", "tenant is disabled")
	if r := h.do("GET", "/acme/jwks", ""); r.status != 200 {
		t.Errorf("its keys are gone: %d", r.status)
	}
	refused(t, "more for it", asError(h.op.CreateAPI(ctx, "acme", adminapi.CreateAPI{Audience: "https://x.example"})), adminapi.CodeDisabled, "disabled")
	if p := h.vaults.policies["acme"]; !p.Disabled {
		t.Error("the signer does not know")
	}
	for _, kind := range []mint.EntryKind{mint.ClientDisabled, mint.APIDisabled, mint.TenantWasDisabled} {
		if len(h.vaults.recorded(kind)) != 1 {
			t.Errorf("the ledger has no entry %s", kind)
		}
	}
	if _, err := h.op.DisableTenant(ctx, "acme"); err != nil || len(h.vaults.recorded(mint.TenantWasDisabled)) != 1 {
		t.Errorf("disabling again: %v", err)
	}
}

func asError[T any](_ T, err error) error { return err }

func TestRotatingSecrets(t *testing.T) {
	h := newHouse(t, options{})
	_, client := h.acme()
	ctx := t.Context()
	h.token(client)
	rotated, err := h.op.RotateSecret(ctx, "acme", "ci", adminapi.RotateSecret{})
	if must(t, rotated, err); rotated.Secret == "" || rotated.Secret == client.Secret || time.Until(rotated.PreviousSecretUntil) < 23*time.Hour {
		t.Fatal("no new secret, or no overlap")
	}
	h.token(client)
	h.token(rotated)
	refused(t, "a third", asError(h.op.RotateSecret(ctx, "acme", "ci", adminapi.RotateSecret{})), adminapi.CodeConflict, "two secrets")
	now := int64(0)
	last, err := h.op.RotateSecret(ctx, "acme", "ci", adminapi.RotateSecret{Overlap: &now})
	must(t, last, err)
	h.token(last)
	for _, old := range []*adminapi.Client{client, rotated} {
		h.post("/acme/token", "grant_type=client_credentials", "ci", old.Secret).wants(t, "an old secret", 401, "invalid_client", "failed")
	}
	entries := h.vaults.recorded(mint.SecretRotated)
	if len(entries) != 2 || entries[0].Detail[1].Name != "secret_id" || len(entries[0].Detail[1].Value) != 43 {
		t.Errorf("the ledger says %+v", entries)
	}
	long := int64(100 * 24 * 3600)
	refused(t, "a long overlap", asError(h.op.RotateSecret(ctx, "acme", "ci", adminapi.RotateSecret{Overlap: &long})), adminapi.CodeConflict, "2400h0m0s is not possible")
}

// TestSignInClients: what an operator may register and change of applications that people sign in to, and what the ledger
// hears of it.
func TestSignInClients(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	ctx := t.Context()
	web, err := h.op.CreateClient(ctx, "acme", adminapi.CreateClient{ClientID: "shop", Name: "Shop", Type: "web", Trusted: true, RedirectURIs: []string{"https://shop.example/cb"}, Scopes: []string{"openid"}})
	if must(t, web, err); web.Secret == "" || web.Auth != "client_secret_basic" || web.Issuer != h.base+"/acme" || !slices.Equal(web.Grants, []string{"authorization_code", "refresh_token"}) || web.DPoP != "offered" || !web.Trusted {
		t.Errorf("a web client: %+v", web)
	}
	spa, err := h.op.CreateClient(ctx, "acme", adminapi.CreateClient{ClientID: "shop-spa", Type: "spa", RedirectURIs: []string{"https://shop.example/"}, APIs: []string{ordersAPI}, Scopes: []string{"openid", "read"}})
	if must(t, spa, err); spa.Secret != "" || spa.Auth != "none" || spa.DPoP != "required" || !slices.Equal(spa.Scopes, []string{"read"}) {
		t.Errorf("a SPA: %+v", spa)
	}
	made := h.vaults.recorded(mint.ClientCreated)
	if got := detail(made[1], "redirects"); got != "https://shop.example/cb" || detail(made[1], "trusted") != "true" || detail(made[2], "dpop") != "required" {
		t.Errorf("the ledger says %+v", made)
	}
	before := len(h.vaults.entries)
	for name, c := range map[string]struct {
		q    adminapi.CreateClient
		code string
		part string
	}{
		"nowhere":                 {adminapi.CreateClient{Type: "web"}, adminapi.CodeInvalid, "nowhere to come back to"},
		"http":                    {adminapi.CreateClient{Type: "web", RedirectURIs: []string{"http://shop.example/"}}, adminapi.CodeInvalid, "https://"},
		"loopback":                {adminapi.CreateClient{Type: "web", RedirectURIs: []string{"http://localhost/"}}, adminapi.CodeInvalid, "https://"},
		"unbound":                 {adminapi.CreateClient{Type: "spa", RedirectURIs: []string{"https://shop.example/"}, DPoP: "offered"}, adminapi.CodeInvalid, "must require it"},
		"a public secret":         {adminapi.CreateClient{Type: "native", RedirectURIs: []string{"https://shop.example/"}, Auth: "client_secret_post"}, adminapi.CodeInvalid, "keep no credential"},
		"a service without proof": {adminapi.CreateClient{APIs: []string{ordersAPI}, Auth: "none"}, adminapi.CodeInvalid, "must prove itself"},
		"scopes of no API":        {adminapi.CreateClient{Type: "web", RedirectURIs: []string{"https://shop.example/"}, Scopes: []string{"read"}}, adminapi.CodeConflict, "none is named"},
	} {
		refused(t, name, asError(h.op.CreateClient(ctx, "acme", c.q)), c.code, c.part)
	}
	refused(t, "a wildcard", asError(h.op.SetRedirects(ctx, "acme", "shop", adminapi.SetRedirects{RedirectURIs: &[]string{"https://*.example/"}})), adminapi.CodeInvalid, "wildcard")
	refused(t, "no address", asError(h.op.SetRedirects(ctx, "acme", "shop", adminapi.SetRedirects{RedirectURIs: &[]string{}})), adminapi.CodeInvalid, "nowhere")
	refused(t, "of a service", asError(h.op.SetRedirects(ctx, "acme", "ci", adminapi.SetRedirects{RedirectURIs: &[]string{"https://shop.example/"}})), adminapi.CodeInvalid, "service client")
	if n := len(h.vaults.entries); n != before {
		t.Errorf("%d entries about acts that were refused", n-before)
	}
	changed, err := h.op.SetRedirects(ctx, "acme", "shop", adminapi.SetRedirects{LogoutURIs: &[]string{"https://shop.example/bye"}})
	if must(t, changed, err); !slices.Equal(changed.RedirectURIs, web.RedirectURIs) || !slices.Equal(changed.LogoutURIs, []string{"https://shop.example/bye"}) {
		t.Errorf("changed to %+v", changed)
	}
	if all := h.vaults.recorded(mint.ClientChanged); len(all) != 1 || all[0].Client != "shop" || !strings.HasPrefix(all[0].Actor, "uid:") || detail(all[0], "logouts") != "https://shop.example/bye" {
		t.Errorf("the ledger says %+v", all)
	}
	listed := func() (clients []string) {
		h.vaults.set(func() { clients = h.vaults.policies["acme"].Clients })
		return clients
	}
	if got := listed(); !slices.Equal(got, []string{"shop", "shop-spa"}) {
		t.Errorf("the signer may make ID tokens for %q", got)
	}
	h.op.DisableClient(ctx, "acme", "shop")
	if got := listed(); !slices.Equal(got, []string{"shop-spa"}) {
		t.Errorf("the signer may make ID tokens for %q after one is gone", got)
	}
	refused(t, "of a disabled client", asError(h.op.SetRedirects(ctx, "acme", "shop", adminapi.SetRedirects{RedirectURIs: &[]string{"https://shop.example/"}})), adminapi.CodeDisabled, "disabled")
}

func detail(e *mint.Entry, name string) string {
	for _, f := range e.Detail {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// TestVaultsAwayDuringActs: nothing is done that is not recorded, and nothing is half-done.
func TestVaultsAwayDuringActs(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	ctx := t.Context()
	shop, err := h.op.CreateClient(ctx, "acme", adminapi.CreateClient{ClientID: "shop", Type: "web", RedirectURIs: []string{"https://shop.example/cb"}})
	if must(t, shop, err); shop.Pending != "" {
		t.Errorf("the signer does not know the application yet: %s", shop.Pending)
	}
	h.vaults.set(func() { h.vaults.ledgerAway = true })
	h.vaults.hangUp()
	h.eventually("the ledger is missed", func() bool { return !h.Server.vaults.ledger.Connected() })
	refused(t, "without a ledger", asError(h.op.CreateAPI(ctx, "acme", adminapi.CreateAPI{Audience: "https://x.example"})), adminapi.CodeUnavailable, "unreachable")
	refused(t, "disabling without a ledger", asError(h.op.DisableTenant(ctx, "acme")), adminapi.CodeUnavailable, "unreachable")
	if apis, err := h.op.APIs(ctx, "acme"); err != nil || len(apis) != 1 {
		t.Errorf("there are %d APIs: %v", len(apis), err)
	}
	h.vaults.set(func() { h.vaults.ledgerAway, h.vaults.signerAway = false, true })
	h.vaults.hangUp()
	h.eventually("the signer is missed", func() bool { return !h.Server.vaults.signer.Connected() && h.Server.vaults.ledger.Connected() })
	before := len(h.vaults.entries)
	refused(t, "without a signer", asError(h.op.CreateAPI(ctx, "acme", adminapi.CreateAPI{Audience: "https://x.example"})), adminapi.CodeUnavailable, "unreachable")
	if len(h.vaults.entries) != before {
		t.Error("an act that could not begin is recorded")
	}
	refused(t, "an application without a signer", asError(h.op.CreateClient(ctx, "acme", adminapi.CreateClient{Type: "web", RedirectURIs: []string{"https://x.example/cb"}})), adminapi.CodeUnavailable, "unreachable")
	if len(h.vaults.entries) != before {
		t.Error("an act that could not begin is recorded")
	}
	// Stopping somebody must not wait for the signer: the house stops by itself.
	gone, err := h.op.DisableClient(ctx, "acme", "shop")
	if must(t, gone, err); gone.Disabled.IsZero() || gone.Pending == "" {
		t.Errorf("disabling an application without a signer: %+v", gone)
	}
	tenant, err := h.op.DisableTenant(ctx, "acme")
	if must(t, tenant, err); tenant.Disabled.IsZero() || tenant.Pending == "" || tenant.PolicyApplied == tenant.PolicyVersion {
		t.Errorf("disabling without a signer: %+v", tenant)
	}
	h.vaults.set(func() { h.vaults.signerAway = false })
	h.eventually("the signer is told", func() bool {
		told := false
		h.vaults.set(func() { told = h.vaults.policies["acme"].Disabled })
		return told
	})
}

// TestACrashBeforeThePolicy: the store has the act and the signer never heard of it. The next house carries it on.
func TestACrashBeforeThePolicy(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	h.stop()
	st, err := store.Open(t.Context(), filepath.Join(h.dir, "seawall.db"), store.Options{})
	must(t, st, err)
	api, err := newTestAPI("https://late.acme.example")
	must(t, api, err)
	api, err = st.CreateAPI(t.Context(), "uid:7", api)
	must(t, api, err)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	again := newHouse(t, options{dir: h.dir, vaults: h.vaults, base: h.base})
	again.eventually("the policy arrives", func() bool {
		tenant, err := again.op.Tenant(t.Context(), "acme")
		return err == nil && tenant.PolicyApplied == tenant.PolicyVersion
	})
	var p mint.Policy
	h.vaults.set(func() { p = h.vaults.policies["acme"] })
	if len(p.Audiences) != 2 || p.Version != 3 || p.Actor != "uid:7" {
		t.Errorf("the signer has %+v", p)
	}
	if status, err := again.op.Status(t.Context()); err != nil || status.PoliciesPending != 0 {
		t.Errorf("status: %+v, %v", status, err)
	}
}

// TestPolicyBeyondTheCeilings: the operator is told at once, others are not held up, and the policy is carried on when
// the ceilings have been raised.
func TestPolicyBeyondTheCeilings(t *testing.T) {
	h := newHouse(t, options{})
	_, client := h.acme()
	ctx := t.Context()
	h.vaults.set(func() { h.vaults.refuse[mint.MsgPolicy] = mint.Refuse(mint.PolicyCeiling, "rotation_days is over 90") })
	q := adminapi.CreateTenant{Tenant: "beta", Class: "production", Owner: "o@b.example", Contacts: []string{"a@b.example", "b@b.example"}, RotationDays: 300}
	e := refused(t, "beyond", asError(h.op.CreateTenant(ctx, q)), string(mint.PolicyCeiling), "over 90")
	if !strings.Contains(e.Description, "beta exists") || e.Hint == "" {
		t.Errorf("the operator is told %q, hint %q", e.Description, e.Hint)
	}
	api, err := h.op.CreateAPI(ctx, "acme", adminapi.CreateAPI{Audience: "https://x.example"})
	if must(t, api, err); api.Secret == "" || api.Pending == "" {
		t.Error("the API's secret is lost, or nothing is said about the signer")
	}
	h.token(client)
	if status, err := h.op.Status(ctx); err != nil || status.PoliciesPending != 2 {
		t.Errorf("status: %+v, %v", status, err)
	}
	h.vaults.set(func() { delete(h.vaults.refuse, mint.MsgPolicy) })
	h.eventually("both are carried on", func() bool {
		status, err := h.op.Status(ctx)
		return err == nil && status.PoliciesPending == 0
	})
}

// TestSecretsAreHashes looks into the database for the secrets that were shown.
func TestSecretsAreHashes(t *testing.T) {
	h := newHouse(t, options{})
	api, client := h.acme()
	h.token(client)
	h.stop()
	files, err := filepath.Glob(filepath.Join(h.dir, "*"))
	must(t, files, err)
	for _, path := range files {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrInvalid) || len(text) == 0 {
			continue
		}
		for _, s := range []string{api.Secret, client.Secret} {
			if bytes.Contains(text, []byte(s)) || bytes.Contains(text, []byte(s[len(s)-39:])) {
				t.Errorf("%s holds a secret in clear", filepath.Base(path))
			}
		}
		if found := secret.Find(text); len(found) > 0 {
			t.Errorf("%s holds a %s", filepath.Base(path), found[0].What)
		}
	}
}
