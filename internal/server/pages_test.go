package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"seawall/internal/keyring"
	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
)

func TestKeyDocument(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	r := h.do("GET", "/acme/jwks", "")
	if r.status != 200 || r.header.Get("Content-Type") != "application/jwk-set+json" || r.header.Get("Cache-Control") != "public, max-age=300, must-revalidate" {
		t.Fatalf("%d %v", r.status, r.header)
	}
	if time.Duration(300)*time.Second != keyring.JWKSMaxAge {
		t.Error("the keyring plans with another max-age")
	}
	var order []string
	d := json.NewDecoder(strings.NewReader(string(r.body)))
	for {
		token, err := d.Token()
		if err != nil {
			break
		}
		if name, ok := token.(string); ok {
			order = append(order, name)
		}
	}
	members := strings.Join(order, " ")
	for _, name := range []string{"keys kty EC crv P-256 x", "use sig alg ES256 issuer " + h.base + "/acme token_kinds at+jwt nbf signing_ends exp ledger_statement", "seawall_ledger root"} {
		if !strings.Contains(members, name) {
			t.Errorf("the document lacks %q in this order: %s", name, members)
		}
	}
	for _, private := range []string{`"d"`, `"generation"`, `"tenant"`} {
		if strings.Contains(string(r.body), private) {
			t.Errorf("the document has %s", private)
		}
	}
	etag := r.header.Get("Etag")
	for _, value := range []string{etag, "W/" + etag, `"x", ` + etag, "*"} {
		again := h.do("GET", "/acme/jwks", "", "If-None-Match", value)
		if again.status != 304 || len(again.body) != 0 || again.header.Get("Etag") != etag || again.header.Get("Cache-Control") == "" {
			t.Errorf("If-None-Match %s: %d", value, again.status)
		}
	}
	if again := h.do("GET", "/acme/jwks", "", "If-None-Match", `"x"`); again.status != 200 {
		t.Errorf("another ETag: %d", again.status)
	}
	head := h.do("HEAD", "/acme/jwks", "")
	if head.status != 200 || len(head.body) != 0 || head.header.Get("Content-Length") != r.header.Get("Content-Length") {
		t.Errorf("HEAD: %d, %d bytes, Content-Length %s", head.status, len(head.body), head.header.Get("Content-Length"))
	}
}

// TestMetadataTellsTheTruth follows every address in the documents.
func TestMetadataTellsTheTruth(t *testing.T) {
	h := newHouse(t, options{})
	api, client := h.acme()
	var first []byte
	for _, path := range []string{"/acme/.well-known/openid-configuration", "/acme/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/acme"} {
		r := h.do("GET", path, "")
		if r.status != 200 || r.header.Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %d", path, r.status)
		}
		if first == nil {
			first = r.body
		}
		if string(first) != string(r.body) {
			t.Errorf("%s differs from the others", path)
		}
		if again := h.do("GET", path, "", "If-None-Match", r.header.Get("Etag")); again.status != 304 {
			t.Errorf("%s: conditional request: %d", path, again.status)
		}
	}
	var m map[string]any
	if err := json.Unmarshal(first, &m); err != nil {
		t.Fatal(err)
	}
	issuer := h.base + "/acme"
	if m["issuer"] != issuer || m["seawall_ledger"] != api.Pin {
		t.Errorf("issuer %v, ledger %v", m["issuer"], m["seawall_ledger"])
	}
	for name, v := range m {
		if address, ok := v.(string); ok && strings.HasSuffix(name, "_endpoint") {
			if r := h.do("GET", address, ""); r.status != 405 {
				t.Errorf("%s: nothing answers (%d)", name, r.status)
			}
		}
	}
	if r := h.do("GET", m["jwks_uri"].(string), ""); r.status != 200 {
		t.Errorf("jwks_uri: %d", r.status)
	}
	if _, there := m["authorization_endpoint"]; there {
		t.Error("an authorization endpoint is announced")
	}
	for _, one := range m["grant_types_supported"].([]any) {
		r := h.post("/acme/token", "grant_type="+one.(string), client.ClientID, client.Secret)
		if works := one == "client_credentials"; works != (r.status == 200) || !works && r.json(t)["error"] != "unauthorized_client" { // known, and not this client's
			t.Errorf("the grant type %s is announced and does not work: %d %s", one, r.status, r.body)
		}
	}
	if types, ok := m["response_types_supported"].([]any); !ok || len(types) != 0 {
		t.Errorf("response_types_supported is %v, want an empty list", m["response_types_supported"])
	}
	if scopes := m["scopes_supported"].([]any); len(scopes) != 2 {
		t.Errorf("scopes_supported is %v", scopes)
	}
}

// TestMetadataOfSignIn: what a tenant's document says about people follows from the clients that it has, and every address
// in it answers.
func TestMetadataOfSignIn(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	type document struct {
		Authorization string   `json:"authorization_endpoint"`
		EndSession    string   `json:"end_session_endpoint"`
		Userinfo      string   `json:"userinfo_endpoint"`
		Responses     []string `json:"response_types_supported"`
		Modes         []string `json:"response_modes_supported"`
		Iss           bool     `json:"authorization_response_iss_parameter_supported"`
		Challenges    []string `json:"code_challenge_methods_supported"`
		Prompts       []string `json:"prompt_values_supported"`
		ACR           []string `json:"acr_values_supported"`
		Scopes        []string `json:"scopes_supported"`
		Claims        []string `json:"claims_supported"`
		Grants        []string `json:"grant_types_supported"`
		Auth          []string `json:"token_endpoint_auth_methods_supported"`
		DPoP          []string `json:"dpop_signing_alg_values_supported"`
		RequestURI    *bool    `json:"request_uri_parameter_supported"`
	}
	read := func() (m document) {
		if err := json.Unmarshal(h.do("GET", "/acme/.well-known/openid-configuration", "").body, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := read(); m.Authorization+m.EndSession+m.Userinfo != "" || len(m.Grants) != 1 || slices.Contains(m.Auth, "none") || len(m.DPoP) != 4 {
		t.Errorf("with services only: %+v", m)
	}
	_, err := h.op.CreateClient(t.Context(), "acme", adminapi.CreateClient{ClientID: "shop", Type: "web", RedirectURIs: []string{"https://shop.example/"}})
	if err != nil {
		t.Fatal(err)
	}
	m := read()
	if !slices.Equal(m.Responses, []string{"code"}) || !slices.Equal(m.Modes, []string{"query"}) || !m.Iss || !slices.Equal(m.Challenges, []string{"S256"}) || len(m.Prompts) != 4 ||
		!slices.Equal(m.ACR, []string{"phr"}) || !slices.Equal(m.Scopes, []string{"offline_access", "openid", "profile", "read", "write"}) || len(m.Grants) != 3 || slices.Contains(m.Auth, "none") || m.RequestURI == nil || *m.RequestURI {
		t.Errorf("with a web client: %+v", m)
	}
	for address, status := range map[string]int{m.Authorization: 400, m.EndSession: 303, m.Userinfo: 401} {
		if r := h.do("GET", address, ""); r.status != status {
			t.Errorf("%s answers %d, want %d", address, r.status, status)
		}
	}
	about := reflect.TypeOf(userinfo{})
	for i := range about.NumField() {
		if name, _, _ := strings.Cut(about.Field(i).Tag.Get("json"), ","); !slices.Contains(m.Claims, name) {
			t.Errorf("the claim %s is not announced", name)
		}
	}
	spa, err := h.op.CreateClient(t.Context(), "acme", adminapi.CreateClient{ClientID: "spa", Type: "spa", RedirectURIs: []string{"https://shop.example/"}})
	if must(t, spa, err); !slices.Contains(read().Auth, "none") {
		t.Error("with a SPA, nobody says that public clients may come")
	}
	for _, id := range []string{"shop", "spa"} {
		if _, err := h.op.DisableClient(t.Context(), "acme", id); err != nil {
			t.Fatal(err)
		}
	}
	if m := read(); m.Authorization != "" || slices.Contains(m.Auth, "none") {
		t.Errorf("without them: %+v", m)
	}
}

// TestCredentialsInURLs: they are refused everywhere, but for the one that standards put into the address of a sign-in or a logout.
func TestCredentialsInURLs(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.AAAA"
	for path, refused := range map[string]bool{
		"/acme/authorize?id_token_hint=" + jwt: false, "/acme/authorize?id_token_hint=" + jwt + "&code=x": true, "/acme/authorize/?id_token_hint=" + jwt: true, "/acme/authorize?code=x": true, "/acme/authorize?state=" + jwt: false, "/acme/authorize?nonce=" + jwt: true, "/acme/consent?id_token_hint=" + jwt: true,
		"/acme/logout?id_token_hint=" + jwt: false, "/acme/logout?id_token_hint=" + jwt + "&access_token=x": true, "/acme/logout?state=" + jwt: false, "/acme/signin?state=" + jwt: true, "/acme/logout/?id_token_hint=" + jwt: true,
	} {
		if r := h.do("GET", path, ""); strings.Contains(string(r.body), "looks like a credential") != refused {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if strings.Contains(h.log.String(), jwt[:20]) {
		t.Error("an ID token is in the log")
	}
}

// TestKeysSurviveTheVaults: key documents and metadata are served while both vaults are away, also by a house that was
// started without them.
func TestKeysSurviveTheVaults(t *testing.T) {
	h := newHouse(t, options{})
	api, client := h.acme()
	before := h.do("GET", "/acme/jwks", "")
	raw := h.token(client)
	h.vaults.set(func() { h.vaults.signerAway, h.vaults.ledgerAway = true, true })
	h.vaults.hangUp()
	h.eventually("readyz notices", func() bool { return h.do("GET", "/readyz", "").status == 503 })
	check := func(h *testHouse) {
		t.Helper()
		if r := h.do("GET", "/acme/jwks", ""); r.status != 200 || string(r.body) != string(before.body) || r.header.Get("Etag") != before.header.Get("Etag") {
			t.Errorf("the key document is gone or another: %d", r.status)
		}
		if r := h.do("GET", "/acme/.well-known/openid-configuration", ""); r.status != 200 || r.json(t)["seawall_ledger"] != api.Pin {
			t.Errorf("metadata: %d", r.status)
		}
		if got := h.introspect(api, raw); got["active"] != true {
			t.Error("introspection stopped")
		}
		r := h.post("/acme/token", "grant_type=client_credentials", client.ClientID, client.Secret)
		r.wants(t, "issuance", 503, "temporarily_unavailable", "Try again")
		if r.header.Get("Retry-After") == "" {
			t.Error("issuance: no Retry-After")
		}
		if h.do("GET", "/healthz", "").status != 200 {
			t.Error("healthz: the process is alive and says otherwise")
		}
		ready := h.do("GET", "/readyz", "")
		v := ready.json(t)
		if ready.status != 503 || v["ready"] != false || len(v["away"].([]any)) != 2 || ready.header.Get("Retry-After") == "" {
			t.Errorf("readyz: %d %v", ready.status, v)
		}
	}
	check(h)
	h.stop()
	again := newHouse(t, options{dir: h.dir, vaults: h.vaults, base: h.base, unready: true})
	check(again)
	h.vaults.set(func() { h.vaults.signerAway, h.vaults.ledgerAway = false, false })
	again.waitReady()
	again.token(client)
}

// TestAnotherLedgerIsRefused: a signer that speaks for another root gets none of its keys published.
func TestAnotherLedgerIsRefused(t *testing.T) {
	h := newHouse(t, options{})
	api, _ := h.acme()
	before := h.do("GET", "/acme/jwks", "")
	h.vaults.set(func() { h.vaults.newLedger(); h.vaults.generation++ })
	h.eventually("the alarm", func() bool { return h.do("GET", "/readyz", "").status == 503 })
	r := h.do("GET", "/readyz", "").json(t)
	if away := r["away"].([]any); len(away) != 1 || away[0] != "ledger-root" {
		t.Errorf("readyz says %v", away)
	}
	if now := h.do("GET", "/acme/jwks", ""); string(now.body) != string(before.body) {
		t.Error("the other ledger is published")
	}
	if status, err := h.op.Status(t.Context()); err != nil || status.Pin != api.Pin || status.Ready || !strings.Contains(status.Away[0].Reason, "another root") {
		t.Errorf("status: %+v, %v", status, err)
	}
	h.eventually("the alarm in the log", func() bool { return strings.Contains(h.log.String(), "another root") })
	h.stop()
	if root, err := os.ReadFile(filepath.Join(h.dir, rootFile)); err != nil || mintPin(string(root)) != api.Pin {
		t.Errorf("the remembered root changed: %v", err)
	}
}

// TestAnotherLedgerGetsNoEntries: the signer still has its own ledger, and the house's link leads to another.
func TestAnotherLedgerGetsNoEntries(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	other := newFakeVaults(t, time.Now)
	other.size = h.vaults.size + 100 // longer than anything that is remembered
	h.vaults.set(func() { h.vaults.ledgerAway = true })
	h.Server.vaults.ledger.Break()
	impostor := newVaults(t.Context(), h.vaults.signer(), other.ledger(), h.config.Head, h.config.Log, time.Now)
	impostor.root.Store(h.Server.vaults.root.Load())
	h.eventually("the stranger answers", impostor.stranger)
	if err := impostor.record(t.Context(), &mint.Entry{Kind: mint.TenantWasDisabled, Tenant: "acme"}); !errors.Is(err, mint.Refuse(mint.StateRolledBack, "")) {
		t.Errorf("recording in another ledger: %v", err)
	}
	if len(other.entries) != 0 {
		t.Error("the other ledger has an entry")
	}
	if !slices.ContainsFunc(impostor.away(), func(a adminapi.Absence) bool { return a.Part == partRoot }) {
		t.Errorf("away: %v", impostor.away())
	}
}

func mintPin(root string) string {
	key, err := decodeRoot(root)
	if err != nil {
		return err.Error()
	}
	return mint.Pin(key)
}

func TestKeysWithoutStatementsAreNotPublished(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	h.vaults.set(func() {
		forged := h.vaults.keys[0]
		forged.KID, forged.Expires = "forged", forged.Expires+1
		h.vaults.keys = append(slices.Clone(h.vaults.keys), forged)
		h.vaults.generation++
	})
	h.eventually("the refusal", func() bool { return strings.Contains(h.log.String(), "without the ledger's statement") })
	if body := string(h.do("GET", "/acme/jwks", "").body); strings.Contains(body, "forged") || !strings.Contains(body, "kid") {
		t.Error("a key that the ledger never stated is published")
	}
}

func TestDamagedRootIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, rootFile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newKeys(dir, nil, new(atomic.Pointer[string]), nil); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
}

// TestPublicationFollowsTheClock: a key leaves the document when its time has come, though nothing else happens.
func TestPublicationFollowsTheClock(t *testing.T) {
	v := newFakeVaults(t, time.Now)
	v.newKey(mint.Policy{Tenant: "acme", Issuer: "https://id.example/acme"}, mint.FamilyAccess)
	v.newKey(mint.Policy{Tenant: "acme", Issuer: "https://id.example/acme"}, mint.FamilyAccess)
	now := time.Now()
	old := &v.keys[0]
	old.VerifyOnlyAt = now.Unix()
	state := &keyState{byTenant: map[string][]mint.Key{"acme": v.keys}, ledger: v.document}
	r := &resident{}
	r.tenant.ID, r.tenant.Issuer = "acme", "https://id.example/acme"
	both, err := r.keyDocument(state, now)
	must(t, both, err)
	if same, _ := r.keyDocument(state, now.Add(time.Second)); same != both {
		t.Error("the document is rendered again though nothing changed")
	}
	one, err := r.keyDocument(state, now.Add(2*time.Hour))
	must(t, one, err)
	if strings.Contains(string(one.body), old.KID) || !strings.Contains(string(both.body), old.KID) || one.etag == both.etag {
		t.Error("the retired key stays, or the ETag does")
	}
	if none, err := r.keyDocument(&keyState{}, now); none != nil || err != nil {
		t.Errorf("without keys there is a document: %v", err)
	}
	v.keys[1].Issuer = "https://id.example/other"
	other, err := r.keyDocument(&keyState{byTenant: map[string][]mint.Key{"acme": v.keys}}, now)
	must(t, other, err)
	if strings.Contains(string(other.body), "other") {
		t.Error("a key of another issuer is published")
	}
}

// TestPagesCostNothing: serving a page makes no garbage of ours.
func TestPagesCostNothing(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	for _, path := range []string{"/acme/jwks", "/acme/.well-known/openid-configuration"} {
		r := httptest.NewRequest("GET", path, nil)
		w := &discard{header: http.Header{}}
		h.Server.ServeHTTP(w, r)
		if n := testing.AllocsPerRun(100, func() { h.Server.ServeHTTP(w, r) }); n > 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
		if w.n == 0 {
			t.Errorf("%s: nothing was written", path)
		}
	}
}

type discard struct {
	header http.Header
	n      int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { d.n += len(b); return len(b), nil }
func (d *discard) WriteHeader(int)             {}
