package server

import (
	"crypto/ed25519"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
)

// TestIntrospectionTellsNoBetterThanTheCheck: whatever is wrong with a token, the whole answer is active:false.
func TestIntrospectionTellsNoBetterThanTheCheck(t *testing.T) {
	h := newHouse(t, options{})
	api, client := h.acme()
	stock, err := h.op.CreateAPI(t.Context(), "acme", adminapi.CreateAPI{Audience: "https://stock.acme.example", Scopes: []string{"count"}})
	must(t, stock, err)
	web, err := h.op.CreateClient(t.Context(), "acme", adminapi.CreateClient{ClientID: "web", Type: "web", RedirectURIs: []string{"https://web.example/cb"}})
	must(t, web, err)
	raw := h.token(client)
	if h.introspect(api, raw)["active"] != true {
		t.Fatal("a good token is inactive")
	}
	q := mint.Request{Tenant: "acme", Issuer: api.Issuer, Kind: mint.AccessToken, Subject: "ci", Audience: []string{ordersAPI}, ClientID: "ci", JTI: mint.NewJTI(), Lifetime: 300}
	v := h.vaults
	forgedBy := func(family mint.Family, change func(*mint.Token), receipt func(*mint.Receipt, mint.Digest)) string {
		v.mu.Lock()
		defer v.mu.Unlock()
		key, _ := v.keyOf("acme", family)
		now := time.Now()
		tok := mint.Token{Alg: "ES256", KID: key.KID, Kind: q.Kind, Issuer: q.Issuer, Subject: q.Subject, Audience: q.Audience, ClientID: q.ClientID, JTI: q.JTI, IssuedAt: now.Unix(), Expires: now.Unix() + 300}
		change(&tok)
		bare, payload := tok.Header(nil), tok.Payload(nil)
		digest := mint.TokenDigest(bare, payload)
		r := mint.NewReceipt(v.receiptKey, mint.LedgerKeyID(v.receiptKey.Public().(ed25519.PublicKey)), 9, uint64(now.UnixMilli()), digest)
		header := mint.WithReceipt(nil, bare, &r)
		if receipt != nil {
			receipt(&r, digest)
			if header = bare; r != (mint.Receipt{}) {
				header = mint.WithReceipt(nil, bare, &r)
			}
		}
		return string(v.sign([]byte(b64.EncodeToString(header)+"."+b64.EncodeToString(payload)), key.KID))
	}
	forged := func(change func(*mint.Token), receipt func(*mint.Receipt, mint.Digest)) string {
		return forgedBy(mint.FamilyAccess, change, receipt)
	}
	asID := func(audience string) func(*mint.Token) {
		return func(t *mint.Token) {
			t.Kind, t.Audience, t.ClientID, t.AuthTime = mint.IDToken, []string{audience}, "", t.IssuedAt
		}
	}
	keep := func(*mint.Token) {}
	if h.introspect(api, forged(keep, nil))["active"] != true {
		t.Fatal("the forge does not make good tokens, so its bad ones prove nothing")
	}
	thief := newEd25519()
	for name, token := range map[string]string{
		"not for this API": forged(func(t *mint.Token) { t.Audience = []string{stock.Audience} }, nil),
		"no receipt":       forged(keep, func(r *mint.Receipt, _ mint.Digest) { *r = mint.Receipt{} }),
		"receipt of another token": forged(keep, func(r *mint.Receipt, _ mint.Digest) {
			*r = mint.NewReceipt(v.receiptKey, r.Key(), 9, uint64(time.Now().UnixMilli()), mint.Digest{1})
		}),
		"another ledger's receipt": forged(keep, func(r *mint.Receipt, d mint.Digest) {
			*r = mint.NewReceipt(thief, mint.LedgerKeyID(thief.Public().(ed25519.PublicKey)), 9, uint64(time.Now().UnixMilli()), d)
		}),
		"expired":                  forged(func(t *mint.Token) { t.IssuedAt -= 40; t.Expires = t.IssuedAt + 30 }, nil),
		"another issuer":           forged(func(t *mint.Token) { t.Issuer += "x" }, nil),
		"another kind":             forged(func(t *mint.Token) { t.Kind = "logout+jwt" }, nil),
		"an ID token":              forgedBy(mint.FamilyID, asID("web"), nil),
		"an ID token for this API": forgedBy(mint.FamilyID, asID(ordersAPI), nil),
		"an ID token by the key of access tokens": forged(asID(ordersAPI), nil),
		"an access token by the key of ID tokens": forgedBy(mint.FamilyID, keep, nil),
		"unknown client":  forged(func(t *mint.Token) { t.ClientID = "ghost" }, nil),
		"unknown key":     forged(func(t *mint.Token) { t.KID = "x" }, nil),
		"garbage":         "garbage",
		"cut":             raw[:len(raw)-10],
		"an API's secret": api.Secret,
	} {
		got := h.introspect(api, token)
		if got["active"] != false || len(got) != 1 {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := h.introspect(stock, raw); got["active"] != false || len(got) != 1 {
		t.Errorf("an API that the token is not for learns %v", got)
	}
}

// TestAKnownTokenIsLookedAtAnew: an answer about a token that was good a moment ago outlives nothing that it stands on. Of
// another known token the same is not true, and it stays active.
func TestAKnownTokenIsLookedAtAnew(t *testing.T) {
	for name, ends := range map[string]func(w *town, token string){
		"the token is revoked": func(w *town, token string) {
			if r := w.form("/acme/revoke", url.Values{"token": {token}}, w.web); r.status != 200 {
				t.Fatalf("%d %s", r.status, r.body)
			}
		},
		"its session is distrusted": func(w *town, _ string) { w.mustState(w.distrustQuery(mint.DistrustSession, w.session.ID)) },
		"its person is disabled": func(w *town, _ string) {
			p, err := w.store.DisablePerson(t.Context(), "acme", w.ada.ID)
			must(t, p, err)
		},
		"its client is disabled": func(w *town, _ string) {
			c, err := w.store.DisableClient(t.Context(), "test", "acme", "web")
			must(t, c, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t)
			token, other := w.signIn("web").Access, w.token(w.ci)
			w.know(w.api, token, other)
			ends(w, token)
			w.knowsNoMore(w.api, token, other)
		})
	}
}

// TestAKnownTokenEndsWithItsTimeAndItsKey is the same for what nobody does to the token.
func TestAKnownTokenEndsWithItsTimeAndItsKey(t *testing.T) {
	var later atomic.Int64
	h := newHouse(t, options{change: func(c *Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	}})
	api, client := h.acme()
	brief, err := h.op.CreateClient(t.Context(), "acme", adminapi.CreateClient{ClientID: "brief", APIs: []string{ordersAPI}, Scopes: []string{"read"}, Lifetime: 30})
	must(t, brief, err)
	short, long := h.token(brief), h.token(client)
	h.know(api, short, long)
	later.Store(int64(30 * time.Second)) // an API allows as much again for its clock
	h.knowsNoMore(api, short, long)

	v := h.vaults
	var old mint.Key
	v.set(func() {
		old, _ = v.keyOf("acme", mint.FamilyAccess)
		v.keys = nil
		v.newKey(v.policies["acme"], mint.FamilyAccess)
	})
	h.eventually("the key is gone", func() bool { return !strings.Contains(string(h.do("GET", "/acme/jwks", "").body), old.KID) })
	h.knowsNoMore(api, long, h.token(client))
}

// know makes introspection remember tokens.
func (h *testHouse) know(api *adminapi.API, tokens ...string) {
	h.t.Helper()
	for range 2 { // the second answer is from memory
		for _, raw := range tokens {
			if h.introspect(api, raw)["active"] != true {
				h.t.Fatal("a good token is inactive")
			}
		}
	}
}

func (h *testHouse) knowsNoMore(api *adminapi.API, token, other string) {
	h.t.Helper()
	if got := h.introspect(api, token); got["active"] != false || len(got) != 1 {
		h.t.Errorf("the answer is %v", got)
	}
	if h.introspect(api, other)["active"] != true {
		h.t.Error("another token is inactive too")
	}
}

func TestIntrospectionAuthentication(t *testing.T) {
	h := newHouse(t, options{change: func(c *Config) { c.FailuresPerMinute = 8 }})
	api, client := h.acme()
	raw := url.QueryEscape(h.token(client))
	form := func(body string, header ...string) response {
		return h.do("POST", "/acme/introspect", body, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
	}
	if r := form("token=" + raw + "&client_id=" + api.APIID + "&client_secret=" + api.Secret); r.status != 200 || r.json(t)["active"] != true {
		t.Errorf("credentials in the body: %d", r.status)
	}
	if r := form("token=" + raw + "&token_type_hint=access_token&client_id=" + api.APIID + "&client_secret=" + api.Secret); r.status != 200 || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("with a hint: %d, Cache-Control %q", r.status, r.header.Get("Cache-Control"))
	}
	form("token="+raw).wants(t, "nobody", 401, "invalid_client", "did not authenticate")
	form("token="+raw+"&client_id="+api.APIID).wants(t, "no secret", 401, "invalid_client", "did not authenticate")
	h.post("/acme/introspect", "token="+raw+"&client_secret=x", api.APIID, api.Secret).wants(t, "two methods", 400, "invalid_request", "more than one way")
	h.post("/acme/introspect", "token=a&token=b", api.APIID, api.Secret).wants(t, "two tokens", 400, "invalid_request", "repeated")
	h.post("/acme/introspect", "", api.APIID, api.Secret).wants(t, "no token", 400, "invalid_request", "token parameter is missing")
	for name, pair := range map[string][2]string{"wrong secret": {api.APIID, "wrong"}, "unknown API": {"api-x", api.Secret}, "a client": {client.ClientID, client.Secret}, "the audience as id": {ordersAPI, api.Secret}} {
		for range 2 {
			h.post("/acme/introspect", "token="+raw, pair[0], pair[1]).wants(t, name, 401, "invalid_client", "API authentication failed")
		}
	}
	r := h.post("/acme/introspect", "token="+raw, api.APIID, "wrong")
	r.wants(t, "too many", 429, "temporarily_unavailable", "Too many")
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if got := h.introspect(api, h.token(client)); got["active"] != true {
		t.Error("the limit locks a good API out")
	}
	h.failures.flush(t.Context())
	entries := h.vaults.recorded(mint.AuthFailed)
	counts := map[string]string{}
	for _, e := range entries {
		api := ""
		count := ""
		for _, d := range e.Detail {
			switch d.Name {
			case "api_id":
				api = d.Value
			case "count":
				count = d.Value
			}
		}
		if e.Tenant != "acme" {
			t.Errorf("the entry names tenant %q", e.Tenant)
		}
		counts[api] = count
	}
	if len(entries) != 2 || counts[api.APIID] != "2" || counts[""] != "6" {
		t.Errorf("the ledger has %v for 8 failures, want 2 of the API and 6 of nobody", counts)
	}
}

// TestFailuresAreCountedNotListed: strangers can't fill the ledger or the memory, and nothing is lost while it is away.
func TestFailuresAreCountedNotListed(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	for i := range 500 {
		h.failures.note(failing{tenant: fmt.Sprintf("t%d", i%100), client: fmt.Sprintf("c%d", i)})
	}
	h.failures.mu.Lock()
	n := len(h.failures.counts)
	h.failures.mu.Unlock()
	if n > 2*maxFailing {
		t.Errorf("%d names are told apart", n)
	}
	h.vaults.set(func() { h.vaults.refuse[mint.MsgEntries] = mint.Refuse(mint.Unavailable, "away") })
	h.failures.flush(t.Context())
	h.vaults.set(func() { delete(h.vaults.refuse, mint.MsgEntries) })
	if len(h.vaults.recorded(mint.AuthFailed)) != 0 {
		t.Fatal("something was recorded")
	}
	h.failures.flush(t.Context())
	if got := len(h.vaults.recorded(mint.AuthFailed)); got != n {
		t.Errorf("%d entries, want %d", got, n)
	}
	h.post("/acme/token", "grant_type=client_credentials", "ci", "wrong")
	h.post("/acme/token", "grant_type=client_credentials", "<script>", secret.Generate(secret.ClientSecret, secret.Production).Reveal())
	h.stop() // the last ones are recorded at the end
	entries := h.vaults.recorded(mint.AuthFailed)[n:]
	if len(entries) != 2 || entries[0].Client+entries[1].Client != "ci" {
		t.Errorf("the last failures are %+v", entries)
	}
	for _, e := range entries {
		if strings.Contains(fmt.Sprint(*e), "script") {
			t.Error("a name that a stranger made up is in the ledger")
		}
	}
}
