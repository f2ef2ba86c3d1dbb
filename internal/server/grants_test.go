package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"seawall/internal/grant"
	"seawall/internal/mint"
	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/store"
	"seawall/internal/tenant"
	"seawall/validate"
	"seawall/validate/validatetest"
)

// town is a whole house with true vaults, a person who is signed in, and applications.
type town struct {
	*testHouse
	vaults  *realVaults
	api     *adminapi.API
	ci      *adminapi.Client
	web     *adminapi.Client
	ada     tenant.Person
	session tenant.Session
}

const (
	townCallback = "https://app.acme.example/cb"
	townVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

func newTown(t testing.TB) *town {
	v := newRealVaults(t)
	o := v.options()
	o.name = "localhost"
	w := &town{testHouse: newHouse(t, o), vaults: v}
	w.api, w.ci = w.acme()
	app := func(q adminapi.CreateClient) *adminapi.Client {
		q.APIs, q.Scopes, q.RedirectURIs, q.RatePerSecond = []string{ordersAPI}, []string{"read"}, []string{townCallback}, 100_000
		c, err := w.op.CreateClient(t.Context(), "acme", q)
		return must(t, c, err)
	}
	app(adminapi.CreateClient{ClientID: "spa", Type: "spa", DPoP: "offered", DPoPReason: "tests"})
	w.web = app(adminapi.CreateClient{ClientID: "web", Type: "web"})
	p, err := w.store.CreatePerson(t.Context(), tenant.Person{Tenant: "acme", Login: "ada@acme.example", Name: "Ada Lovelace", CreatedAt: time.Now()})
	w.ada = must(t, p, err)
	k, err := w.store.AddPasskey(t.Context(), tenant.Passkey{Tenant: "acme", Person: p.ID, ID: []byte(p.ID), Key: []byte("key"), CreatedAt: time.Now()})
	must(t, k, err)
	now := time.Now()
	w.session = tenant.Session{ID: rand.Text(), Hash: secret.New(rand.Text()).Hash(), Tenant: "acme", Person: p.ID, Passkey: k.ID, ACR: "phr", AMR: []string{"swk", "user"}, At: now, SeenAt: now}
	if err := w.store.SignIn(t.Context(), w.session, k, secret.Hash{}); err != nil {
		t.Fatal(err)
	}
	return w
}

// form asks with a form, and with what a client proves itself with if it has a secret.
func (w *town) form(path string, form url.Values, client *adminapi.Client, header ...string) response {
	w.t.Helper()
	header = append(header, "Content-Type", "application/x-www-form-urlencoded")
	if client != nil {
		header = append(header, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(client.ClientID+":"+client.Secret)))
	}
	return w.do("POST", path, form.Encode(), header...)
}

// code is a code as the authorization endpoint makes it.
func (w *town) code(client string, scope oauth.Scope) string {
	w.t.Helper()
	given, sum := secret.Generate(secret.GrantCode, secret.Production), sha256.Sum256([]byte(townVerifier))
	c := tenant.Code{Hash: given.Hash(), Tenant: "acme", Client: client, Person: w.ada.ID, Session: w.session.ID, RedirectURI: townCallback,
		Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), Nonce: "n", Scope: scope, Resources: []string{ordersAPI}, SignedInAt: w.session.At, ACR: "phr",
		AMR: []string{"swk", "user"}, IssuedAt: time.Now()}
	registered, err := w.store.Client(w.t.Context(), "acme", client)
	if must(w.t, registered, err); !registered.Trusted { // of whose people nobody is asked
		if _, err := w.store.SaveConsent(w.t.Context(), tenant.Consent{Tenant: c.Tenant, Person: c.Person, Client: c.Client}.With(c.Scope, c.Resources)); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.store.SaveCode(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
	return given.Reveal()
}

func exchanging(client, code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {client}, "code": {code}, "redirect_uri": {townCallback}, "code_verifier": {townVerifier}}
}

func refreshing(client, token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token}}
}

type townTokens struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
	Type    string `json:"token_type"`
}

func (w *town) tokens(r response) (all townTokens) {
	w.t.Helper()
	if r.status != 200 {
		w.t.Fatalf("no tokens: %d %s\n%s", r.status, r.body, w.log)
	}
	if err := json.Unmarshal(r.body, &all); err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *town) signIn(client string) townTokens {
	w.t.Helper()
	var by *adminapi.Client
	if client == "web" {
		by = w.web
	}
	return w.tokens(w.form("/acme/token", exchanging(client, w.code(client, oauth.Scope{"openid", "profile", "read"})), by))
}

// TestTokensOfAPerson is the way from a code to an API, to userinfo, to the next token and to the end, with the true signer
// and the true ledger.
func TestTokensOfAPerson(t *testing.T) {
	w := newTown(t)
	a := w.signIn("spa")
	issuers := []validate.Issuer{validate.SeawallIssuer(w.base+"/acme", w.api.Pin)}
	apis, err := validate.New(validate.Config{Issuers: issuers, Audiences: []string{ordersAPI}})
	must(t, apis, err)
	ids, err := validate.NewIDTokens("spa", validate.Config{Issuers: issuers})
	must(t, ids, err)
	token, err := apis.Token(t.Context(), a.Access)
	if must(t, token, err); token.Subject() != w.ada.ID || token.SessionID() != w.session.ID || token.ACR() != "phr" {
		t.Errorf("the access token is %v", token)
	}
	if _, err := apis.Token(t.Context(), a.ID); err == nil {
		t.Error("an API takes an ID token")
	}
	if id, err := ids.Token(t.Context(), a.ID, validate.Login{Nonce: "n"}, validate.MaxAuthAge(time.Minute)); err != nil || id.Subject() != w.ada.ID {
		t.Errorf("the ID token: %v, %v", id, err)
	}
	userinfo := func(token string) response {
		return w.do("GET", "/acme/userinfo", "", "Authorization", "Bearer "+token)
	}
	if r := userinfo(a.Access); r.status != 200 || r.json(t)["sub"] != w.ada.ID || r.json(t)["name"] != "Ada Lovelace" || r.json(t)["preferred_username"] != "ada@acme.example" {
		t.Errorf("userinfo: %d %s", r.status, r.body)
	}
	b := w.tokens(w.form("/acme/token", refreshing("spa", a.Refresh), nil))
	if _, err := apis.Token(t.Context(), b.Access); err != nil {
		t.Errorf("after a refresh: %v", err)
	}
	if _, err := ids.Token(t.Context(), b.ID, validate.Login{}); err != nil {
		t.Errorf("the ID token after a refresh: %v", err)
	}
	if got := w.introspect(w.api, b.Access); got["active"] != true || got["sid"] != w.session.ID || got["token_type"] != "Bearer" {
		t.Errorf("introspected: %v", got)
	}

	// The client gives it up: the family and its access tokens end, the browser session does not.
	if r := w.form("/acme/revoke", url.Values{"token": {b.Refresh}, "client_id": {"spa"}}, nil); r.status != 200 || len(r.body) != 0 {
		t.Errorf("revoking: %d %s", r.status, r.body)
	}
	w.form("/acme/token", refreshing("spa", b.Refresh), nil).wants(t, "a refresh token that was given up", 400, "invalid_grant", "not good")
	for name, raw := range map[string]string{"first": a.Access, "second": b.Access} {
		if got := w.introspect(w.api, raw); got["active"] != false {
			t.Errorf("the %s access token of what was given up: %v", name, got)
		}
		if r := userinfo(raw); r.status != 401 || !strings.Contains(r.header.Get("Www-Authenticate"), `Bearer error="invalid_token"`) {
			t.Errorf("userinfo with it: %d %v", r.status, r.header)
		}
	}
	if _, _, err := w.store.Session(t.Context(), "acme", w.session.Hash); err != nil {
		t.Errorf("the browser session: %v", err)
	}
	if r := w.form("/acme/revoke", url.Values{"token": {b.Refresh}, "client_id": {"spa"}}, nil); r.status != 200 {
		t.Errorf("revoking again: %d %s", r.status, r.body)
	}
}

func TestRefreshTokensAreTheirClients(t *testing.T) {
	w := newTown(t)
	a := w.signIn("web")
	ask := func(token string, by *adminapi.Client) map[string]any {
		t.Helper()
		r := w.form("/acme/introspect", url.Values{"token": {token}}, by)
		if r.status != 200 {
			t.Fatalf("introspection: %d %s", r.status, r.body)
		}
		return r.json(t)
	}
	if got := ask(a.Refresh, w.web); got["active"] != true || got["sub"] != w.ada.ID || got["scope"] != "openid profile read" || got["client_id"] != "web" {
		t.Errorf("its own client learns %v", got)
	}
	if got := ask(a.Refresh, w.ci); len(got) != 1 || got["active"] != false {
		t.Errorf("another client learns %v", got)
	}
	w.form("/acme/introspect", url.Values{"token": {a.Refresh}}, &adminapi.Client{ClientID: w.api.APIID, Secret: w.api.Secret}).wants(t, "an API", 401, "invalid_client", "failed")
	spa := w.signIn("spa")
	w.form("/acme/introspect", url.Values{"token": {spa.Refresh}, "client_id": {"spa"}}, nil).wants(t, "a client that proves nothing", 401, "invalid_client", "did not authenticate")
	w.form("/acme/revoke", url.Values{"token": {a.Refresh}}, w.ci).wants(t, "another client revokes", 400, "unauthorized_client", "not issued to this client")
	b := w.tokens(w.form("/acme/token", refreshing("web", a.Refresh), w.web))
	if got := ask(a.Refresh, w.web); got["active"] != false {
		t.Errorf("a used token: %v", got)
	}
	if got := ask(secret.Generate(secret.RefreshToken, secret.Production).Reveal(), w.web); got["active"] != false {
		t.Errorf("a made-up token: %v", got)
	}
	if r := w.form("/acme/revoke", url.Values{"token": {a.Refresh}}, w.web); r.status != 200 { // an older one does, too
		t.Errorf("revoking: %d %s", r.status, r.body)
	}
	if got := ask(b.Refresh, w.web); got["active"] != false {
		t.Errorf("a token of what was given up: %v", got)
	}
	all, err := w.op.Distrusted(t.Context(), "acme")
	if must(t, all, err); len(all) != 2 || all[0].Kind != "token" || all[0].Reason != "user" || all[1].Kind != "token" || all[1].Reason != "user" {
		t.Errorf("of what was given up was stated %+v", all)
	}
}

// TestProofs is RFC 9449 at the token endpoint and at userinfo, through HTTP.
func TestProofs(t *testing.T) {
	w := newTown(t)
	prover, thief := validatetest.NewProver("", nil), validatetest.NewProver("EdDSA", nil)
	endpoint := w.base + "/acme/token"
	nonce := ""
	proof := func(p *validatetest.Prover, changes ...validatetest.Claims) string {
		return p.Proof("", "POST", endpoint, append([]validatetest.Claims{{"ath": nil, "nonce": nonce}}, changes...)...)
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	first := w.form("/acme/token", form, w.ci, "DPoP", proof(prover))
	first.wants(t, "no nonce", 400, "use_dpop_nonce", "DPoP-Nonce header")
	if nonce = first.header.Get("DPoP-Nonce"); nonce == "" {
		t.Fatal("the client isn't told a nonce")
	}
	bad := func(name, code, part string, header ...string) {
		t.Helper()
		w.form("/acme/token", form, w.ci, header...).wants(t, name, 400, code, part)
	}
	good := proof(prover)
	bad("two proofs", "invalid_dpop_proof", "more than one", "DPoP", good, "DPoP", good)
	bad("an empty one before it", "invalid_dpop_proof", "more than one", "DPoP", "", "DPoP", good)
	bad("an empty one", "invalid_dpop_proof", "malformed", "DPoP", "")
	bad("for another method", "invalid_dpop_proof", "another method", "DPoP", proof(prover, validatetest.Claims{"htm": "GET"}))
	bad("for another tenant", "invalid_dpop_proof", "another URL", "DPoP", proof(prover, validatetest.Claims{"htu": w.base + "/globex/token"}))
	bad("too old", "invalid_dpop_proof", "too old", "DPoP", proof(prover, validatetest.Claims{"iat": time.Now().Add(-2 * time.Minute).Unix()}))
	bad("with another nonce", "use_dpop_nonce", "nonce", "DPoP", proof(prover, validatetest.Claims{"nonce": "AAAAAAAAAAAAAAAAAAAAAAAA"}))
	r := w.form("/acme/token", form, w.ci, "DPoP", good)
	bound := w.tokens(r)
	if bound.Type != "DPoP" || r.header.Get("DPoP-Nonce") == "" {
		t.Errorf("%s, nonce %q", bound.Type, r.header.Get("DPoP-Nonce"))
	}
	bad("the same proof", "invalid_dpop_proof", "used before", "DPoP", good)
	if got := w.introspect(w.api, bound.Access); got["active"] != true || got["token_type"] != "DPoP" || got["cnf"].(map[string]any)["jkt"] != prover.Confirmation()["jkt"] {
		t.Errorf("introspected: %v", got)
	}

	a := w.tokens(w.form("/acme/token", exchanging("spa", w.code("spa", oauth.Scope{"openid", "read"})), nil, "DPoP", proof(prover)))
	userinfo := func(scheme string, header ...string) response {
		return w.do("GET", "/acme/userinfo", "", append(header, "Authorization", scheme+" "+a.Access)...)
	}
	where := w.base + "/acme/userinfo"
	shown := prover.Proof(a.Access, "GET", where)
	if r := userinfo("DPoP", "DPoP", shown); r.status != 200 || r.json(t)["sub"] != w.ada.ID || r.json(t)["name"] != nil { // no scope profile
		t.Errorf("userinfo: %d %s", r.status, r.body)
	}
	old := prover.Proof(a.Access, "GET", where, validatetest.Claims{"iat": time.Now().Add(-2 * time.Minute).Unix()})
	stock, err := w.op.CreateAPI(t.Context(), "acme", adminapi.CreateAPI{Audience: "https://stock.acme.example", Scopes: []string{"read"}})
	must(t, stock, err) // what is made anew then does not forget which proofs were used
	for name, c := range map[string]struct {
		r    response
		want string
	}{
		"the same proof":      {userinfo("DPoP", "DPoP", shown), `error="invalid_dpop_proof"`},
		"an old proof":        {userinfo("DPoP", "DPoP", old), `error="invalid_dpop_proof"`},
		"as a bearer token":   {userinfo("Bearer"), `error="invalid_token"`},
		"no proof":            {userinfo("DPoP"), `error="invalid_dpop_proof"`},
		"a thief's proof":     {userinfo("DPoP", "DPoP", thief.Proof(a.Access, "GET", where)), `error="invalid_dpop_proof"`},
		"a proof for another": {userinfo("DPoP", "DPoP", prover.Proof("x", "GET", where)), `error="invalid_dpop_proof"`},
	} {
		if got := c.r.header.Get("Www-Authenticate"); c.r.status != 401 || !strings.HasPrefix(got, "DPoP ") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %d %s", name, c.r.status, got)
		}
	}
	w.form("/acme/token", refreshing("spa", a.Refresh), nil, "DPoP", proof(thief)).wants(t, "a thief with a key of its own", 400, "invalid_grant", "suspended")
	f, err := w.store.Families(t.Context(), "acme", w.ada.ID)
	if must(t, f, err); len(f) != 1 || f[0].Suspicion != tenant.OtherKey {
		t.Errorf("suspended for %v", f)
	}

	// A proof that was used before a restart is not good after it.
	saved := proof(prover)
	w.tokens(w.form("/acme/token", form, w.ci, "DPoP", saved))
	w.stop()
	again := newHouse(t, options{dir: w.dir, base: w.base, signer: w.vaults.options().signer, ledger: w.vaults.options().ledger})
	if r := again.post("/acme/token", form.Encode(), w.ci.ClientID, w.ci.Secret); r.status != 200 {
		t.Fatalf("after a restart: %d %s", r.status, r.body)
	}
	w.form("/acme/token", form, w.ci, "DPoP", saved).wants(t, "a proof from before the restart", 400, "use_dpop_nonce", "")
}

func TestUserinfoRefuses(t *testing.T) {
	w := newTown(t)
	a := w.signIn("spa")
	notOpenID := w.tokens(w.form("/acme/token", exchanging("spa", w.code("spa", oauth.Scope{"read"})), nil))
	for name, c := range map[string]struct {
		header []string
		status int
		want   string
	}{
		"nothing":               {nil, 401, `Bearer realm="`},
		"junk":                  {[]string{"Authorization", "Bearer x"}, 401, `error="invalid_token"`},
		"an ID token":           {[]string{"Authorization", "Bearer " + a.ID}, 401, `error="invalid_token"`},
		"for an API":            {[]string{"Authorization", "Bearer " + notOpenID.Access}, 401, `error="invalid_token"`},
		"of a client itself":    {[]string{"Authorization", "Bearer " + w.token(w.ci)}, 401, `error="invalid_token"`},
		"a refresh token":       {[]string{"Authorization", "Bearer " + a.Refresh}, 401, `error="invalid_token"`},
		"two":                   {[]string{"Authorization", "Bearer " + a.Access, "Authorization", "Bearer " + a.Access}, 400, `error="invalid_request"`},
		"unbound as if it were": {[]string{"Authorization", "DPoP " + a.Access}, 401, `DPoP `},
	} {
		r := w.do("GET", "/acme/userinfo", "", c.header...)
		if got := strings.Join(r.header.Values("Www-Authenticate"), "; "); r.status != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s: %d %s", name, r.status, got)
		}
	}
	narrow := refreshing("spa", a.Refresh)
	narrow.Set("scope", "profile")
	less := w.tokens(w.form("/acme/token", narrow, nil))
	if r := w.do("GET", "/acme/userinfo", "", "Authorization", "Bearer "+less.Access); r.status != 403 || !strings.Contains(r.header.Get("Www-Authenticate"), `error="insufficient_scope"`) {
		t.Errorf("without the scope openid: %d %v", r.status, r.header)
	}
	post := func(form url.Values, header ...string) response {
		return w.do("POST", "/acme/userinfo", form.Encode(), append(header, "Content-Type", "application/x-www-form-urlencoded")...)
	}
	if r := post(nil, "Authorization", "Bearer "+a.Access); r.status != 200 {
		t.Errorf("POST: %d %s", r.status, r.body)
	}
	if r := post(url.Values{"access_token": {a.Access}}); r.status != 200 {
		t.Errorf("POST with the token in the body: %d %s", r.status, r.body)
	}
	if r := post(url.Values{"access_token": {a.Access}}, "Authorization", "Bearer "+a.Access); r.status != 400 {
		t.Errorf("POST with two: %d %s", r.status, r.body)
	}
	w.do("GET", "/acme/userinfo?access_token="+a.Access, "").wants(t, "in the URL", 400, "invalid_request", "looks like a credential")
	if r := w.do("DELETE", "/acme/userinfo", ""); r.status != 405 || r.header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("DELETE: %d, %s", r.status, r.header.Get("Allow"))
	}
	if w.introspect(w.api, a.Access)["active"] != true || w.introspect(w.api, w.token(w.ci))["active"] != true {
		t.Error("introspection knows neither a person's token nor a client's own")
	}
	b := w.signIn("web")
	gone, err := w.op.DisableClient(t.Context(), "acme", "web")
	must(t, gone, err)
	if r := w.do("GET", "/acme/userinfo", "", "Authorization", "Bearer "+b.Access); r.status != 401 || w.introspect(w.api, b.Access)["active"] != false {
		t.Errorf("a token outlives its client: %d %s", r.status, r.body)
	}
	p, err := w.store.DisablePerson(t.Context(), "acme", w.ada.ID)
	must(t, p, err)
	if w.introspect(w.api, a.Access)["active"] != false || w.introspect(w.api, w.token(w.ci))["active"] != true {
		t.Error("introspected: a person's token outlives the person, or a client's own does not")
	}
	if r := w.do("GET", "/acme/userinfo", "", "Authorization", "Bearer "+a.Access); r.status != 401 {
		t.Errorf("a person who is disabled: %d %s", r.status, r.body)
	}
}

// TestReuseIsWrittenDown looks at what the ledger and the feed hear of a code that comes twice, and of replays.
func TestReuseIsWrittenDown(t *testing.T) {
	w := newTown(t)
	code := w.code("spa", oauth.Scope{"openid", "read"})
	a := w.tokens(w.form("/acme/token", exchanging("spa", code), nil))
	b := w.tokens(w.form("/acme/token", refreshing("spa", a.Refresh), nil))
	if again := w.tokens(w.form("/acme/token", refreshing("spa", a.Refresh), nil)); again.Refresh != b.Refresh {
		t.Error("the same again gave another successor")
	}
	w.form("/acme/token", exchanging("spa", code), nil).wants(t, "again", 400, "invalid_grant", "is revoked")
	for _, raw := range []string{a.Access, b.Access} {
		if got := w.introspect(w.api, raw); got["active"] != false {
			t.Errorf("what the code gave lives: %v", got)
		}
	}
	c := w.signIn("spa")
	w.form("/acme/token", refreshing("web", c.Refresh), w.web).wants(t, "another client", 400, "invalid_grant", "suspended")
	seen := map[mint.EntryKind]int{}
	page, err := w.op.Entries(t.Context(), adminapi.EntryQuery{Limit: 200})
	must(t, page, err)
	for _, e := range page.Entries {
		seen[mint.EntryKind(e.Kind)]++
		if strings.HasPrefix(e.Kind, "refresh.") && (e.Subject != w.ada.ID || e.Client != "spa") {
			t.Errorf("%+v", e)
		}
	}
	if seen[mint.CodeReused] != 1 || seen[mint.RefreshReplayed] != 1 || seen[mint.RefreshSuspended] != 1 || seen[mint.DistrustStated] != 3 {
		t.Errorf("the log has %v", seen)
	}
}

// TestEveryDebtIsAKindOfEntry asks the true ledger, which refuses what it has no law for.
func TestEveryDebtIsAKindOfEntry(t *testing.T) {
	w := newTown(t)
	f, r := tenant.Family{ID: "f", Tenant: "acme", Person: w.ada.ID, Client: "spa"}, tenant.Rotation{Presented: tenant.Presented{Generation: 1, Client: "web"}, Token: tenant.Released{JTI: "j"}}
	c := tenant.Code{Tenant: "acme", Person: w.ada.ID, Client: "spa", Family: "f", Gave: r.Token}
	owed := append(c.OwesReuse(nil), f.OwesReplay(r), f.OwesSuspension(tenant.OtherKey, &r.Presented), f.OwesSuspension(tenant.PersonRecovered, nil))
	seen := map[tenant.OwedKind]bool{}
	for i := range owed {
		owed[i].ID = fmt.Sprint(i)
		seen[owed[i].Kind] = true
		if said, err := w.newDebts().say(t.Context(), owed[i:i+1]); err != nil || len(said) != 1 {
			t.Errorf("%s: %v\n%s", owed[i].Kind, err, w.log)
		}
	}
	for _, kind := range tenant.OwedEntries() {
		if !seen[kind] {
			t.Errorf("%s was not tried", kind)
		}
	}
}

// TestEndingAgainDoesWhatIsMissing ends what is over already, whose access token the ledger has perhaps not heard of: whoever ends it
// again finds it ended, and it is said once.
func TestEndingAgainDoesWhatIsMissing(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	halfway := func(client string) (one townTokens, id string) {
		t.Helper()
		one = w.signIn(client)
		families, err := w.store.Families(ctx, "acme", w.ada.ID)
		must(t, families, err)
		if _, err := w.store.WithdrawConsent(ctx, "acme", w.ada.ID, client, tenant.ActorPerson(w.ada.ID)); err != nil {
			t.Fatal(err)
		}
		return one, families[0].ID
	}
	statements := func() int {
		t.Helper()
		all, err := w.op.Distrusted(ctx, "acme")
		return len(must(t, all, err))
	}
	byID := func(step string) func(townTokens, string) {
		return func(_ townTokens, id string) {
			if _, err := w.op.ChangeAccess(ctx, "acme", w.ada.ID, adminapi.ChangeAccess{Step: step, ID: id}); (err == nil) != (step == "end") {
				t.Errorf("%s: %v", step, err)
			}
		}
	}
	visitor := w.visitor(w.ada, time.Now())
	for name, again := range map[string]func(townTokens, string){
		"by its client": func(one townTokens, _ string) {
			if r := w.form("/acme/revoke", url.Values{"token": {one.Refresh}, "client_id": {"spa"}}, nil); r.status != 200 {
				t.Errorf("revoking: %d %s", r.status, r.body)
			}
		},
		"by an administrator": byID("end"),
		"by an administrator, all of a client": func(townTokens, string) {
			if _, err := w.op.ChangeAccess(ctx, "acme", w.ada.ID, adminapi.ChangeAccess{Step: "end", Client: "spa"}); err != nil {
				t.Error(err)
			}
		},
		"by the person": func(townTokens, string) {
			if resp, body := visitor.post("/account/applications/end", url.Values{"client": {"spa"}}); resp.StatusCode != 303 {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
		},
	} {
		before := statements()
		one, id := halfway("spa")
		byID("suspend")(one, id)
		again(one, id)
		if w.introspect(w.api, one.Access)["active"] != false {
			t.Errorf("%s: its access token lives", name)
		}
		again(one, id)
		if n := statements() - before; n != 1 {
			t.Errorf("%s: %d statements", name, n)
		}
	}
}

// TestPeopleEndApplications: what a person ends on their account page, no API believes any more.
func TestPeopleEndApplications(t *testing.T) {
	w := newTown(t)
	spa, web := w.signIn("spa"), w.signIn("web")
	jti := w.introspect(w.api, spa.Access)["jti"]
	visitor := w.visitor(w.ada, time.Now())
	if resp, body := visitor.post("/account/applications/end", url.Values{"client": {"spa"}}); resp.StatusCode != 303 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	w.form("/acme/token", refreshing("spa", spa.Refresh), nil).wants(t, "ended", 400, "invalid_grant", "not good")
	if w.introspect(w.api, spa.Access)["active"] != false || w.introspect(w.api, web.Access)["active"] != true {
		t.Error("too little is distrusted, or too much")
	}
	all, err := w.op.Distrusted(t.Context(), "acme")
	if must(t, all, err); len(all) != 1 || all[0].Kind != "token" || all[0].Value != jti || all[0].Reason != "user" {
		t.Errorf("stated: %+v", all)
	}
}

// TestPeopleEndWhatCantRefresh: an application that can't refresh is on its person's account page while its access token lives, also
// one of the organisation's own, which nobody was asked about; and so it is for administrators. Ending it ends that token and no other.
func TestPeopleEndWhatCantRefresh(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	for id, trusted := range map[string]bool{"bare": false, "own": true} {
		c, err := w.op.CreateClient(ctx, "acme", adminapi.CreateClient{ClientID: id, Name: "The " + id, Type: "spa", Grants: []string{"authorization_code"}, DPoP: "offered", DPoPReason: "tests",
			APIs: []string{ordersAPI}, Scopes: []string{"read"}, RedirectURIs: []string{townCallback}, Lifetime: 3600, Trusted: trusted})
		must(t, c, err)
	}
	visitor := w.visitor(w.ada, time.Now())
	for _, c := range []struct {
		name, client, reason string
		end                  func(client string)
	}{
		{"the person ends it", "bare", "user", func(client string) {
			if resp, body := visitor.post("/account/applications/end", url.Values{"client": {client}}); resp.StatusCode != 303 {
				t.Fatalf("%d %s", resp.StatusCode, body)
			}
		}},
		{"the person ends one of the organisation's", "own", "user", func(string) {
			if resp, body := visitor.post("/account/applications/end", url.Values{"client": {"own"}}); resp.StatusCode != 303 {
				t.Fatalf("%d %s", resp.StatusCode, body)
			}
		}},
		{"an administrator ends it", "own", "admin", func(client string) {
			all, err := w.op.ChangeAccess(ctx, "acme", w.ada.ID, adminapi.ChangeAccess{Step: "end", Client: client})
			if must(t, all, err); len(all.Given) != 1 || all.Given[0].Client != "bare" {
				t.Errorf("then there is %+v", all.Given)
			}
		}},
		{"an administrator ends all", "bare", "admin", func(string) {
			all, err := w.op.ChangeAccess(ctx, "acme", w.ada.ID, adminapi.ChangeAccess{Step: "end"})
			if must(t, all, err); len(all.Given)+len(all.Access)+len(all.Consents) != 0 {
				t.Errorf("then there is %+v", all)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := w.op.ChangeAccess(ctx, "acme", w.ada.ID, adminapi.ChangeAccess{Step: "end"}); err != nil { // of the case before
				t.Fatal(err)
			}
			web := w.signIn("web")
			given := map[string]string{}
			for _, client := range []string{"bare", "own"} {
				given[client] = w.tokens(w.form("/acme/token", exchanging(client, w.code(client, oauth.Scope{"openid", "read"})), nil)).Access
				if client == "own" { // nobody was asked
					if _, err := w.store.Consent(ctx, "acme", w.ada.ID, client); err == nil {
						t.Fatal("a consent to an application that is trusted")
					}
				}
			}
			if _, page := visitor.get("/account"); !strings.Contains(page, "The bare") || !strings.Contains(page, "The own") || !strings.Contains(page, "Access ends") {
				t.Error("the account page doesn't show what can't refresh")
			}
			all, err := w.op.Access(ctx, "acme", w.ada.ID)
			if must(t, all, err); len(all.Given) != 2 || all.Given[0].Client != "own" || all.Given[0].Expires.Before(time.Now().Add(50*time.Minute)) || all.Given[1].Session != w.session.ID {
				t.Errorf("an administrator sees %+v", all.Given)
			}
			had, err := w.op.Distrusted(ctx, "acme")
			must(t, had, err)
			jti := w.introspect(w.api, given[c.client])["jti"]
			c.end(c.client)
			everything := strings.HasSuffix(c.name, "all")
			for client, raw := range given {
				if got := w.introspect(w.api, raw)["active"] == true; got != (client != c.client && !everything) {
					t.Errorf("the access token of %s is active: %v", client, got)
				}
			}
			if got := w.introspect(w.api, web.Access)["active"] == true; got == everything {
				t.Errorf("another application's access token is active: %v", got)
			}
			stated, err := w.op.Distrusted(ctx, "acme")
			must(t, stated, err)
			found := false
			for _, d := range stated[len(had):] {
				found = found || d.Value == jti
				if d.Kind != "token" || d.Reason != c.reason || !everything && d.Value != jti {
					t.Errorf("stated %+v", d)
				}
			}
			if !found {
				t.Errorf("stated %+v, and not about %v", stated[len(had):], jti)
			}
		})
	}
}

// TestPepper: it is made once, kept to ourselves, and missed.
func TestPepper(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), filepath.Join(dir, "seawall.db"), store.Options{})
	must(t, s, err)
	defer s.Close()
	path := filepath.Join(dir, pepperFile)
	load := func() error { _, err := loadPepper(context.Background(), dir, s); return err }
	if err := load(); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(path)
	must(t, first, err)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 || len(first) != grant.PepperSize {
		t.Errorf("%v, %d bytes, %v", info.Mode(), len(first), err)
	}
	if err := load(); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != string(first) {
		t.Errorf("it was made again: %v", err)
	}
	for what, spoil := range map[string]func() error{
		"open to other users": func() error { return os.Chmod(path, 0o640) },
		"not a file of":       func() error { return os.WriteFile(path, first[1:], 0o600) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if err := load(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, first, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := load(); err != nil { // nothing was given out: another is as good
		t.Error(err)
	}
	w := newTown(t)
	w.signIn("spa")
	if err := os.Remove(filepath.Join(w.dir, pepperFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := loadPepper(t.Context(), w.dir, w.store); err == nil || !strings.Contains(err.Error(), "refresh tokens were given out") {
		t.Errorf("a house without the pepper of its refresh tokens: %v", err)
	}
}

// TestBrowsersMayAsk: an application in a browser has another origin, and goes by no cookie.
func TestBrowsersMayAsk(t *testing.T) {
	w := newTown(t)
	for _, path := range []string{"/token", "/userinfo", "/revoke", "/jwks", "/.well-known/openid-configuration"} {
		r := w.do("OPTIONS", "/acme"+path, "", "Origin", "https://app.acme.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "dpop")
		if r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(r.header.Get("Access-Control-Allow-Headers"), "DPoP") || r.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", path, r.status, r.header)
		}
	}
	r := w.form("/acme/token", exchanging("spa", "x"), nil, "Origin", "https://app.acme.example")
	if r.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(r.header.Get("Access-Control-Expose-Headers"), "DPoP-Nonce") {
		t.Errorf("an answer that the application can't read: %v", r.header)
	}
	for _, path := range []string{"/signin", "/account", "/introspect", "/authorize"} {
		if r := w.do("OPTIONS", "/acme"+path, "", "Origin", "https://app.acme.example", "Access-Control-Request-Method", "POST"); r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s may be asked from anywhere", path)
		}
	}
	if got := fmt.Sprint(w.do("GET", "/acme/jwks", "").header["Access-Control-Allow-Origin"]); got != "[]" {
		t.Errorf("who is no browser gets %s", got)
	}
}

// TestAccessByAdministrators: what applications have of a person is seen, suspended, resumed and ended over the admin API.
func TestAccessByAdministrators(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	one, other, web := w.signIn("spa"), w.signIn("spa"), w.signIn("web")
	all, err := w.op.Access(ctx, "acme", "ada@acme.example")
	if must(t, all, err); len(all.Access) != 3 || len(all.Consents) != 2 || all.Consents[0].Terms[ordersAPI][0] != "openid" {
		t.Fatalf("%+v", all)
	}
	bob, err := w.op.CreatePerson(ctx, "acme", adminapi.CreatePerson{Login: "bob@acme.example"})
	must(t, bob, err)
	change := func(person string, q adminapi.ChangeAccess) *adminapi.Accesses {
		t.Helper()
		all, err := w.op.ChangeAccess(ctx, "acme", person, q)
		if err != nil {
			return nil
		}
		return all
	}
	id := ""
	for _, a := range all.Access {
		if a.Client == "web" {
			id = a.ID
		}
	}
	for name, q := range map[string]adminapi.ChangeAccess{"no step": {ID: id}, "no id": {Step: "suspend"}, "both": {Step: "end", ID: id, Client: "web"}, "a strange step": {Step: "delete", ID: id}, "no id at all": {Step: "resume", ID: "x"}} {
		if change(w.ada.ID, q) != nil {
			t.Errorf("%s: done", name)
		}
	}
	if change(bob.Subject, adminapi.ChangeAccess{Step: "end", ID: id}) != nil {
		t.Error("ended as somebody else's")
	}
	if got := change(w.ada.ID, adminapi.ChangeAccess{Step: "suspend", ID: strings.ToUpper(id)}); got == nil || got.Access[0].Suspended.IsZero() && got.Access[1].Suspended.IsZero() && got.Access[2].Suspended.IsZero() {
		t.Errorf("suspended: %+v", got)
	}
	change(w.ada.ID, adminapi.ChangeAccess{Step: "suspend", ID: id}) // again changes nothing
	w.form("/acme/token", refreshing("web", web.Refresh), w.web).wants(t, "suspended", 400, "invalid_grant", "suspended")
	if got := w.introspect(w.api, web.Access); got["active"] != true {
		t.Errorf("suspended, its access token is %v", got)
	}
	if change(w.ada.ID, adminapi.ChangeAccess{Step: "resume", ID: id}) == nil {
		t.Error("not resumed")
	}
	web = w.tokens(w.form("/acme/token", refreshing("web", web.Refresh), w.web))
	if got := change(w.ada.ID, adminapi.ChangeAccess{Step: "end", ID: id}); got == nil || len(got.Access) != 2 {
		t.Errorf("ended: %+v", got)
	}
	if got := w.introspect(w.api, web.Access); got["active"] != false {
		t.Errorf("ended, its access token is %v", got)
	}
	if got := change(w.ada.ID, adminapi.ChangeAccess{Step: "end", Client: "spa"}); got == nil || len(got.Access) != 0 || len(got.Consents) != 1 {
		t.Errorf("ended: %+v", got)
	}
	for _, gone := range []townTokens{one, other} {
		w.form("/acme/token", refreshing("spa", gone.Refresh), nil).wants(t, "ended", 400, "invalid_grant", "not good")
	}
	lesser := w.signIn("web")
	more, err := w.store.CompleteTenant(ctx, tenant.Tenant{ID: "acme", Passkeys: tenant.Attested})
	must(t, more, err)
	w.form("/acme/token", refreshing("web", lesser.Refresh), w.web).wants(t, "less than is asked for", 400, "invalid_grant", "suspended")
	if all, err = w.op.Access(ctx, "acme", w.ada.ID); err != nil || len(all.Access) != 1 || all.Access[0].Why != string(tenant.LesserPasskey) {
		t.Fatalf("%+v, %v", all, err)
	}
	if _, err := w.op.ChangeAccess(ctx, "acme", w.ada.ID, adminapi.ChangeAccess{Step: "resume", ID: all.Access[0].ID}); err == nil || !strings.Contains(err.Error(), "not one that acme admits") {
		t.Errorf("what came of less goes on: %v", err)
	}
	seen := map[string]int{}
	page, err := w.op.Entries(ctx, adminapi.EntryQuery{Limit: 200})
	must(t, page, err)
	for _, e := range page.Entries {
		if strings.HasPrefix(e.Actor, "uid:") {
			seen[e.Kind]++
		}
	}
	if seen["refresh.suspended"] != 1 || seen["refresh.resumed"] != 1 || seen["refresh.ended"] != 1 || seen["consent.withdrawn"] != 1 || seen["distrust.stated"] != 4 {
		t.Errorf("the log has %v", seen)
	}
}
