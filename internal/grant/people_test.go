package grant

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/store"
	"seawall/internal/tenant"
	"seawall/internal/token"
)

// village is a house with people in it: a true store, and a ledger that only remembers.
type village struct {
	*house
	store      *store.Store
	ada        tenant.Person
	session    tenant.Session
	acts       []tenant.Owed // entries that the ledger has heard
	settling   sync.Mutex
	distrusted []string
	deaf       error // of the ledger
}

const callback = "https://app.acme.example/cb"

// keyProofs takes a DPoP header for what it says: "key jti".
type keyProofs struct {
	mu   sync.Mutex
	used map[string]bool
}

type keyProof struct {
	*keyProofs
	key, jti string
}

func (k *keyProofs) Nonce() string { return "nonce" }

func (k *keyProofs) Check(_ *tenant.Tenant, headers []string) (Proof, error) {
	key, jti, ok := strings.Cut(headers[0], " ")
	if !ok || len(headers) > 1 {
		return nil, oauth.Errorf(oauth.InvalidDPoPProof, "no proof")
	}
	return keyProof{k, key, jti}, nil
}

func (p keyProof) Thumbprint() string { return p.key }

func (p keyProof) Use(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used[p.key+p.jti] {
		return oauth.Errorf(oauth.InvalidDPoPProof, "used")
	}
	p.used[p.key+p.jti] = true
	return nil
}

func newVillage(t *testing.T) *village {
	h := newHouse(t)
	v := &village{house: h}
	var err error
	v.store, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "seawall.db"), store.Options{Now: h.clock})
	must(t, v.store, err)
	t.Cleanup(func() { v.store.Close() })
	pepper, err := NewPepper([]byte(strings.Repeat("p", PepperSize)))
	must(t, pepper, err)
	h.Handler = NewHandler(Config{Registry: h, Issuer: token.NewIssuer(h, h.clock), Failures: NewFailureLimit(50), OnFailure: h.note,
		Codes: v.store, Families: v.store, Pepper: pepper, Proofs: &keyProofs{used: map[string]bool{}},
		Settle: v.settle,
		Log:    slog.New(slog.DiscardHandler), Now: h.clock})
	made, err := v.store.CreateTenant(t.Context(), "uid 7", *h.tenant)
	must(t, made, err)
	for _, a := range h.apis[1:] {
		made, err := v.store.CreateAPI(t.Context(), "uid 7", a)
		must(t, made, err)
	}
	v.ada, v.session = v.person("ada@acme.example")
	return v
}

// settle hears what the store left for the ledger, unless that is deaf.
func (v *village) settle(ctx context.Context) error {
	v.settling.Lock()
	defer v.settling.Unlock()
	if v.deaf != nil {
		return v.deaf
	}
	owed, err := v.store.Owed(ctx, tenant.Owed{})
	var ids []string
	for _, o := range owed {
		if ids = append(ids, o.ID); o.IsEntry() {
			v.acts = append(v.acts, o)
		} else {
			v.distrusted = append(v.distrusted, o.Client+"/"+o.JTI)
		}
	}
	return errors.Join(err, v.store.Paid(ctx, ids))
}

func (v *village) person(login string) (tenant.Person, tenant.Session) {
	v.t.Helper()
	ctx := v.t.Context()
	p, err := v.store.CreatePerson(ctx, tenant.Person{Tenant: "acme", Login: login, CreatedAt: noon})
	must(v.t, p, err)
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	key, err := v.store.AddPasskey(ctx, tenant.Passkey{Tenant: "acme", Person: p.ID, ID: id, Key: []byte("k"), Format: "none", CreatedAt: noon})
	must(v.t, key, err)
	n := tenant.Session{ID: rand.Text(), Hash: secret.New(rand.Text()).Hash(), Tenant: "acme", Person: p.ID, Passkey: id, ACR: "phr", AMR: []string{"swk", "user"}, At: v.clock(), SeenAt: v.clock()}
	if err := v.store.SignIn(ctx, n, key, secret.Hash{}); err != nil {
		v.t.Fatal(err)
	}
	return p, n
}

// app registers an application that people sign in to, and returns its secret if it has one.
func (v *village) app(c tenant.Client) secret.Text {
	v.t.Helper()
	given := secret.Generate(secret.ClientSecret, secret.Production)
	c.Tenant, c.CreatedAt, c.RedirectURIs = "acme", noon, []string{callback}
	if c.Type == tenant.Web {
		c.Secrets = []tenant.Secret{{Hash: given.Hash(), CreatedAt: noon}}
	} else if c.DPoP == "" {
		c.DPoP, c.DPoPReason = tenant.DPoPOffered, "tests"
	}
	if c.APIs == nil {
		c.APIs = []tenant.Access{{Audience: orders, Scopes: oauth.Scope{"read", "write"}}}
	}
	made, err := v.store.CreateClient(v.t.Context(), "uid 7", c)
	must(v.t, made, err)
	v.clients[made.ID] = &made
	return given
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// code keeps a code for a client, as the authorization endpoint does.
func (v *village) code(client string, change func(*tenant.Code)) string {
	v.t.Helper()
	given := secret.Generate(secret.GrantCode, secret.Production)
	c := tenant.Code{Hash: given.Hash(), Tenant: "acme", Client: client, Person: v.ada.ID, Session: v.session.ID, RedirectURI: callback, Challenge: challenge(verifier),
		Nonce: "n", Scope: oauth.Scope{"openid", "profile", "read"}, Resources: []string{orders}, SignedInAt: v.session.At, ACR: "phr", AMR: []string{"swk", "user"}, IssuedAt: v.clock()}
	if change != nil {
		change(&c)
	}
	if _, err := v.store.SaveConsent(v.t.Context(), tenant.Consent{Tenant: c.Tenant, Person: c.Person, Client: c.Client}.With(c.Scope, c.Resources)); err != nil {
		v.t.Fatal(err)
	}
	if err := v.store.SaveCode(v.t.Context(), c); err != nil {
		v.t.Fatal(err)
	}
	return given.Reveal()
}

// tokens is an answer of the token endpoint with what a person's application gets.
type tokens struct {
	answer
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
}

func (v *village) ask(form url.Values, header ...string) tokens {
	v.t.Helper()
	r := tokens{answer: v.do(request(form.Encode(), header...))}
	if err := json.Unmarshal([]byte(r.raw), &r); err != nil {
		v.t.Fatal(err)
	}
	return r
}

func exchange(client, code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {client}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

func refreshing(client, refresh string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {refresh}}
}

func (v *village) wantTokens(r tokens, err string) tokens {
	v.t.Helper()
	if r.status != 200 || r.AccessToken == "" {
		v.t.Fatalf("%s: %d %s %q", err, r.status, r.Error, r.ErrorDescription)
	}
	return r
}

// signIn is all of it: a code, and what it gives.
func (v *village) signIn(client string, change func(*tenant.Code), header ...string) tokens {
	v.t.Helper()
	return v.wantTokens(v.ask(exchange(client, v.code(client, change)), header...), "exchanging a code")
}

func claimsOf(t *testing.T, jws string) map[string]any {
	t.Helper()
	part := strings.Split(jws, ".")
	raw, err := base64.RawURLEncoding.DecodeString(part[1])
	must(t, raw, err)
	claims := map[string]any{}
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func (v *village) family(refresh string) tenant.Family {
	v.t.Helper()
	r, genuine := v.config.Pepper.open(v.tenant, secret.New(refresh))
	if !genuine {
		v.t.Fatal("it is no refresh token of ours")
	}
	f, err := v.store.Family(v.t.Context(), "acme", r.family.String())
	return must(v.t, f, err)
}

func (v *village) advance(d time.Duration) {
	v.house.mu.Lock()
	defer v.house.mu.Unlock()
	v.now = v.now.Add(d)
}

func TestCodeGivesTokens(t *testing.T) {
	v := newVillage(t)
	v.app(tenant.Client{ID: "spa", Type: tenant.SPA})
	a := v.signIn("spa", nil)
	access, id := claimsOf(t, a.AccessToken), claimsOf(t, a.ID)
	if a.Scope != "openid profile read" || a.TokenType != "Bearer" || a.Refresh == "" {
		t.Errorf("scope %q, %s, refresh %v", a.Scope, a.TokenType, a.Refresh != "")
	}
	if got := fmt.Sprint(access["aud"]); got != fmt.Sprint([]string{orders, issuer + "/userinfo"}) {
		t.Errorf("the access token is for %s", got)
	}
	for name, claims := range map[string]map[string]any{"access": access, "ID": id} {
		if claims["sub"] != v.ada.ID || claims["sid"] != v.session.ID || claims["acr"] != "phr" || fmt.Sprint(claims["amr"]) != "[swk user]" || int64(claims["auth_time"].(float64)) != v.session.At.Unix() {
			t.Errorf("the %s token says %v", name, claims)
		}
	}
	if id["nonce"] != "n" || id["aud"] != "spa" || access["nonce"] != nil || access["client_id"] != "spa" {
		t.Errorf("ID %v, access %v", id, access)
	}
	if v.minted[0].Evidence == [32]byte{} {
		t.Error("nothing tells the ledger what the token was given for")
	}
	f := v.family(a.Refresh)
	if f.Generation != 1 || f.Offline || f.Session != v.session.ID || f.Person != v.ada.ID || f.Client != "spa" || f.JKT != "" || len(f.Released) != 1 || f.Released[0].JTI != access["jti"] {
		t.Errorf("the family is %+v", f)
	}

	// Without openid there is no ID token, with a resource no userinfo, and with a client that may not refresh no family.
	if a := v.signIn("spa", func(c *tenant.Code) { c.Scope = oauth.Scope{"read"} }); a.ID != "" || a.Scope != "read" || claimsOf(t, a.AccessToken)["aud"] != orders {
		t.Errorf("without openid: %q", a.Scope)
	}
	form := exchange("spa", v.code("spa", nil))
	form.Set("resource", orders)
	if a := v.wantTokens(v.ask(form), "with a resource"); a.Scope != "read" || claimsOf(t, a.AccessToken)["aud"] != orders || a.ID == "" {
		t.Errorf("with a resource: %q", a.Scope)
	}
	form = exchange("spa", v.code("spa", nil))
	form.Set("resource", issuer+"/userinfo")
	if a := v.wantTokens(v.ask(form), "for userinfo"); a.Scope != "openid profile" || claimsOf(t, a.AccessToken)["aud"] != issuer+"/userinfo" {
		t.Errorf("for userinfo alone: %q", a.Scope)
	}
	form = exchange("spa", v.code("spa", nil))
	form.Set("resource", stock)
	v.ask(form).wants(t, "another resource", 400, oauth.InvalidTarget, "not agreed")
	v.app(tenant.Client{ID: "once", Type: tenant.SPA, Grants: []oauth.GrantType{oauth.AuthorizationCode}})
	if a := v.signIn("once", nil); a.Refresh != "" {
		t.Error("a client that may not refresh got a refresh token")
	}
	if a := v.signIn("spa", func(c *tenant.Code) { c.Scope = append(c.Scope, "offline_access") }); !v.family(a.Refresh).Offline {
		t.Error("with offline_access the family ends with the session")
	}
}

// TestIDTokensAreShort: who has access for half a day has signed in only now.
func TestIDTokensAreShort(t *testing.T) {
	v := newVillage(t)
	v.tenant.MaxLifetime = 24 * time.Hour
	v.app(tenant.Client{ID: "spa", Type: tenant.SPA, Lifetime: 12 * time.Hour})
	a := v.signIn("spa", nil)
	for raw, want := range map[string]int64{a.AccessToken: 12 * 3600, a.ID: 3600} {
		c := claimsOf(t, raw)
		if life := int64(c["exp"].(float64) - c["iat"].(float64)); life != want {
			t.Errorf("a token lives %d s, want %d", life, want)
		}
	}
}

func TestCodeIsFor(t *testing.T) {
	v := newVillage(t)
	v.app(tenant.Client{ID: "spa", Type: tenant.SPA})
	v.app(tenant.Client{ID: "thief", Type: tenant.SPA})
	web := v.app(tenant.Client{ID: "web", Type: tenant.Web})
	long := strings.Repeat("a", 128)
	for _, c := range []struct {
		name   string
		client string // whom the code is for; spa
		code   func(*tenant.Code)
		form   func(url.Values)
		header []string
		want   oauth.Code
		part   string
	}{
		{name: "another client", form: func(f url.Values) { f.Set("client_id", "thief") }, want: oauth.InvalidGrant, part: "not good"},
		{name: "a confidential client without its credential", client: "web", form: func(f url.Values) { f.Set("client_id", "web") }, want: oauth.InvalidClient, part: "failed"},
		{name: "another redirect URI", form: func(f url.Values) { f.Set("redirect_uri", callback+"/") }, want: oauth.InvalidGrant, part: "not good"},
		{name: "no redirect URI", form: func(f url.Values) { f.Del("redirect_uri") }, want: oauth.InvalidRequest, part: "missing"},
		{name: "another verifier", form: func(f url.Values) { f.Set("code_verifier", strings.Repeat("a", 43)) }, want: oauth.InvalidGrant, part: "not good"},
		{name: "the challenge for a verifier", form: func(f url.Values) { f.Set("code_verifier", challenge(verifier)) }, want: oauth.InvalidGrant, part: "not good"},
		{name: "a plain challenge", code: func(c *tenant.Code) { c.Challenge = verifier }, want: oauth.InvalidGrant, part: "not good"},
		{name: "no verifier", form: func(f url.Values) { f.Del("code_verifier") }, want: oauth.InvalidRequest, part: "missing"},
		{name: "a short verifier", form: func(f url.Values) { f.Set("code_verifier", verifier[:42]) }, want: oauth.InvalidRequest, part: "43 to 128"},
		{name: "a long verifier", code: func(c *tenant.Code) { c.Challenge = challenge(long + "a") }, form: func(f url.Values) { f.Set("code_verifier", long+"a") }, want: oauth.InvalidRequest, part: "43 to 128"},
		{name: "a verifier of other letters", form: func(f url.Values) { f.Set("code_verifier", verifier[:42]+"+") }, want: oauth.InvalidRequest, part: "43 to 128"},
		{name: "no code", form: func(f url.Values) { f.Del("code") }, want: oauth.InvalidRequest, part: "missing"},
		{name: "a made-up code", form: func(f url.Values) { f.Set("code", secret.Generate(secret.GrantCode, secret.Production).Reveal()) }, want: oauth.InvalidGrant, part: "not good"},
		{name: "a code that is none", form: func(f url.Values) { f.Set("code", "x") }, want: oauth.InvalidGrant, part: "not good"},
		{name: "a client secret", form: func(f url.Values) { f.Set("code", web.Reveal()) }, want: oauth.InvalidGrant, part: "not good"},
		{name: "another key", code: func(c *tenant.Code) { c.JKT = "k1" }, header: []string{"DPoP", "k2 1"}, want: oauth.InvalidGrant, part: "dpop_jkt"},
		{name: "no key", code: func(c *tenant.Code) { c.JKT = "k1" }, want: oauth.InvalidGrant, part: "dpop_jkt"},
		{name: "a code twice in the form", form: func(f url.Values) { f.Add("code", f.Get("code")) }, want: oauth.InvalidRequest, part: "repeated"},
	} {
		client := "spa"
		if c.client != "" {
			client = c.client
		}
		form := exchange(client, v.code(client, c.code))
		right := form.Get("code")
		if c.form != nil {
			c.form(form)
		}
		v.minted = nil
		status := 400
		if c.want == oauth.InvalidClient {
			status = 401
		}
		v.ask(form, c.header...).wants(t, c.name, status, c.want, c.part)
		if len(v.minted) > 0 {
			t.Errorf("%s: a token was asked for", c.name)
		}
		if got, err := v.store.Code(t.Context(), "acme", secret.New(right).Hash()); err != nil || !got.RedeemedAt.IsZero() {
			t.Errorf("%s: the code is used up: %v", c.name, err)
		}
	}
	if len(v.acts) > 0 || len(v.distrusted) > 0 {
		t.Errorf("recorded %v, distrusted %v", v.acts, v.distrusted)
	}
	form := exchange("spa", v.code("spa", func(c *tenant.Code) { c.Challenge, c.JKT = challenge(long), "k1" }))
	form.Set("code_verifier", long)
	v.wantTokens(v.ask(form, "DPoP", "k1 9"), "the longest verifier, with the key")
	globex := *v.tenant
	globex.ID = "globex"
	code := v.code("spa", nil)
	v.tenant = &globex
	v.clients["spa"] = &tenant.Client{ID: "spa"} // and whatever a client of that name is there
	if a := v.ask(exchange("spa", code)); a.status == 200 {
		t.Error("another tenant's code gave tokens")
	}
}

func TestCodeReuse(t *testing.T) {
	v := newVillage(t)
	v.app(tenant.Client{ID: "spa", Type: tenant.SPA})
	code := v.code("spa", nil)
	first := v.wantTokens(v.ask(exchange("spa", code)), "the first")
	wrong := exchange("spa", code)
	wrong.Set("code_verifier", strings.Repeat("a", 43))
	v.ask(wrong).wants(t, "who has the code and not the verifier", 400, oauth.InvalidGrant, "not good")
	if f := v.family(first.Refresh); !f.RevokedAt.IsZero() {
		t.Error("who has no verifier ended what it gave")
	}
	second := v.wantTokens(v.ask(refreshing("spa", first.Refresh)), "a refresh")
	minted := len(v.minted)
	v.ask(exchange("spa", code)).wants(t, "again", 400, oauth.InvalidGrant, "is revoked")
	if len(v.minted) != minted {
		t.Error("a token was asked for")
	}
	if f := v.family(first.Refresh); f.RevokedAt.IsZero() {
		t.Error("the family lives")
	}
	want := []string{"spa/" + claimsOf(t, second.AccessToken)["jti"].(string), "spa/" + claimsOf(t, first.AccessToken)["jti"].(string)}
	if !slices.Equal(slices.Sorted(slices.Values(v.distrusted)), slices.Sorted(slices.Values(want))) { // what is owed since one moment has no order
		t.Errorf("distrusted %v, want %v", v.distrusted, want)
	}
	if len(v.acts) != 1 || v.acts[0].Kind != tenant.CodeReused || v.acts[0].Person != v.ada.ID || v.acts[0].Client != "spa" {
		t.Errorf("recorded %+v", v.acts)
	}
	v.ask(refreshing("spa", second.Refresh)).wants(t, "refreshing", 400, oauth.InvalidGrant, "not good")
	v.deaf = errors.New("away")
	v.ask(exchange("spa", code)).wants(t, "with the ledger away", 400, oauth.InvalidGrant, "is revoked")
}

// TestCodeRace lets many redeem one code at once. One gets tokens at most, and what it got is taken back.
func TestCodeRace(t *testing.T) {
	v := newVillage(t)
	v.app(tenant.Client{ID: "spa", Type: tenant.SPA})
	code := v.code("spa", nil)
	q := &Request{Tenant: v.tenant, Client: NewClient(v.tenant, v.clients["spa"], v.apis), Now: v.clock(), house: &v.config}
	form, err := ParseForm(exchange("spa", code).Encode(), "")
	must(t, form, err)
	q.Form = form
	var keeps []Keep
	var made []token.Token
	for range 8 { // all have read the code before anybody redeems it
		one := *q
		a, keep, err := authorizationCode{}.Authorize(t.Context(), &one)
		must(t, a, err)
		issued, err := v.config.Issuer.Issue(t.Context(), a)
		must(t, issued, err)
		keeps, made = append(keeps, keep), append(made, issued)
	}
	results := make([]error, len(keeps))
	var wg sync.WaitGroup
	for i := range keeps {
		wg.Go(func() { _, results[i] = keeps[i](t.Context(), made[i]) })
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else if !errors.Is(err, &oauth.Error{Code: oauth.InvalidGrant}) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d redeemed one code", won)
	}
	if all, err := v.store.Families(t.Context(), "acme", v.ada.ID); err != nil || len(all) != 0 {
		t.Errorf("%d families live, %v", len(all), err)
	}
}

// TestCodeOutlivesTheVaults: what could not be made costs no code and no refresh token.
func TestVaultsAwayCostNothing(t *testing.T) {
	v := newVillage(t)
	v.app(tenant.Client{ID: "spa", Type: tenant.SPA})
	code := v.code("spa", nil)
	v.mintErr = errors.New("away")
	if a := v.ask(exchange("spa", code)); a.status != 500 {
		t.Errorf("%d %s", a.status, a.ErrorDescription)
	}
	v.mintErr = nil
	a := v.wantTokens(v.ask(exchange("spa", code)), "the same code")
	v.mintErr = errors.New("away")
	if r := v.ask(refreshing("spa", a.Refresh)); r.status != 500 {
		t.Errorf("%d %s", r.status, r.ErrorDescription)
	}
	v.mintErr = nil
	v.wantTokens(v.ask(refreshing("spa", a.Refresh)), "the same refresh token")
	if len(v.acts) > 0 {
		t.Errorf("recorded %+v", v.acts)
	}
}

func TestCodeOfWhoIsGone(t *testing.T) {
	v := newVillage(t)
	v.app(tenant.Client{ID: "spa", Type: tenant.SPA})
	ctx := t.Context()
	late := v.code("spa", nil)
	v.advance(tenant.CodeLife)
	v.ask(exchange("spa", late)).wants(t, "too late", 400, oauth.InvalidGrant, "not good")
	if len(v.minted) > 0 {
		t.Error("a token was asked for with a code that is over")
	}
	out := v.code("spa", nil)
	if ended, err := v.store.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: v.ada.ID, Session: v.session.ID, SignOut: true}); err != nil || ended != 1 {
		t.Fatal(err)
	}
	v.ask(exchange("spa", out)).wants(t, "signed out", 400, oauth.InvalidGrant, "not good")
	v.ada, v.session = v.person("bob@acme.example")
	code := v.code("spa", func(c *tenant.Code) { c.Scope = append(c.Scope, "offline_access") })
	p, err := v.store.DisablePerson(ctx, "acme", v.ada.ID)
	must(t, p, err)
	v.ask(exchange("spa", code)).wants(t, "disabled", 400, oauth.InvalidGrant, "not good")
	if all, err := v.store.Families(ctx, "acme", v.ada.ID); err != nil || len(all) != 0 {
		t.Errorf("%d families, %v", len(all), err)
	}
}

func TestRefresh(t *testing.T) {
	v := newVillage(t)
	given := v.app(tenant.Client{ID: "web", Type: tenant.Web, APIs: []tenant.Access{{Audience: orders, Scopes: oauth.Scope{"read", "write"}}, {Audience: stock, Scopes: oauth.Scope{"count"}}}})
	auth := basic("web", given)
	a := v.signIn("web", func(c *tenant.Code) {
		c.Scope, c.Resources = oauth.Scope{"openid", "read", "write", "count", "offline_access"}, []string{orders, stock}
	}, auth...)
	v.advance(time.Hour)
	b := v.wantTokens(v.ask(refreshing("web", a.Refresh), auth...), "refreshing")
	first, second := claimsOf(t, a.ID), claimsOf(t, b.ID)
	for _, name := range []string{"iss", "sub", "aud", "sid", "auth_time", "acr"} {
		if fmt.Sprint(first[name]) != fmt.Sprint(second[name]) || second[name] == nil {
			t.Errorf("%s was %v and is %v", name, first[name], second[name])
		}
	}
	if second["nonce"] != nil || second["jti"] == first["jti"] || b.Refresh == a.Refresh || b.Refresh == "" {
		t.Errorf("the next ID token is %v", second)
	}
	if claimsOf(t, b.AccessToken)["sid"] != v.session.ID || b.Scope != a.Scope {
		t.Errorf("scope %q, then %q", a.Scope, b.Scope)
	}

	// Less is for one token, more never.
	less := refreshing("web", b.Refresh)
	less.Set("scope", "write")
	c := v.wantTokens(v.ask(less, auth...), "with less scope")
	if c.Scope != "write" || c.ID != "" {
		t.Errorf("asked for write, got %q, ID token %v", c.Scope, c.ID != "")
	}
	mixed := refreshing("web", c.Refresh)
	mixed.Set("scope", "read") // which the second API knows too, and has not given to this client
	v.ask(mixed, auth...).wants(t, "a scope that means something else at the other API", 400, oauth.InvalidScope, "for each resource")
	one := refreshing("web", c.Refresh)
	one.Set("resource", stock)
	d := v.wantTokens(v.ask(one, auth...), "with one resource")
	if d.Scope != "count" || claimsOf(t, d.AccessToken)["aud"] != stock {
		t.Errorf("for stock: %q", d.Scope)
	}
	for _, wide := range []url.Values{{"scope": {"read admin"}}, {"scope": {"profile"}}, {"resource": {gone}}, {"resource": {"https://other.example"}}} {
		form := refreshing("web", d.Refresh)
		for name := range wide {
			form.Set(name, wide.Get(name))
		}
		if r := v.ask(form, auth...); r.status != 400 || r.Error != oauth.InvalidScope && r.Error != oauth.InvalidTarget {
			t.Errorf("%v: %d %s", wide, r.status, r.Error)
		}
	}
	e := v.wantTokens(v.ask(refreshing("web", d.Refresh), auth...), "after refused requests, which cost nothing")
	if e.Scope != a.Scope {
		t.Errorf("less scope for one token became less for all: %q", e.Scope)
	}

	// What the client or an API has lost is lost; what it gained later was not agreed to.
	v.clients["web"].APIs = []tenant.Access{{Audience: orders, Scopes: oauth.Scope{"admin", "read"}}, {Audience: stock, Scopes: oauth.Scope{"count", "read"}}}
	v.apis[1].Scopes = oauth.Scope{"admin", "read"}
	v.apis[2].DisabledAt = noon
	f := v.wantTokens(v.ask(refreshing("web", e.Refresh), auth...), "with less registered")
	if f.Scope != "openid read offline_access" || fmt.Sprint(claimsOf(t, f.AccessToken)["aud"]) != fmt.Sprint([]string{orders, issuer + "/userinfo"}) {
		t.Errorf("scope %q for %v", f.Scope, claimsOf(t, f.AccessToken)["aud"])
	}
	lost := refreshing("web", f.Refresh)
	lost.Set("resource", stock)
	v.ask(lost, auth...).wants(t, "a lost resource", 400, oauth.InvalidTarget, "not agreed")
	v.clients["web"].DisabledAt = noon
	v.ask(refreshing("web", f.Refresh), auth...).wants(t, "a disabled client", 401, oauth.InvalidClient, "disabled")
	v.clients["web"].DisabledAt = time.Time{}
	v.clients["web"].Grants = []oauth.GrantType{oauth.AuthorizationCode}
	v.ask(refreshing("web", f.Refresh), auth...).wants(t, "a client that may not refresh any more", 400, oauth.UnauthorizedClient, "not registered")
	v.clients["web"].Grants = []oauth.GrantType{oauth.AuthorizationCode, oauth.RefreshToken}
	p, err := v.store.DisablePerson(t.Context(), "acme", v.ada.ID)
	must(t, p, err)
	v.ask(refreshing("web", f.Refresh), auth...).wants(t, "a disabled person", 400, oauth.InvalidGrant, "not good")
	if len(v.acts) > 0 {
		t.Errorf("recorded %+v", v.acts)
	}
}

func TestRefreshReplay(t *testing.T) {
	v := newVillage(t)
	v.app(tenant.Client{ID: "spa", Type: tenant.SPA})
	for _, c := range []struct {
		name   string
		window time.Duration
		header func(n int) []string
	}{
		{"unbound", tenant.UnboundReplay, func(int) []string { return nil }},
		{"bound", tenant.BoundReplay, func(n int) []string { return []string{"DPoP", fmt.Sprintf("k1 %s %d", "x", n)} }},
	} {
		v.acts = nil
		a := v.signIn("spa", func(c *tenant.Code) { c.Scope = append(c.Scope, "offline_access") }, c.header(0)...)
		b := v.wantTokens(v.ask(refreshing("spa", a.Refresh), c.header(1)...), c.name)
		v.advance(c.window - time.Millisecond)
		again := v.wantTokens(v.ask(refreshing("spa", a.Refresh), c.header(2)...), c.name+", again")
		if again.Refresh != b.Refresh || again.AccessToken == b.AccessToken {
			t.Errorf("%s: the same again gave another successor", c.name)
		}
		if len(v.acts) != 1 || v.acts[0].Kind != tenant.RefreshReplayed || v.acts[0].Detail["generation"] != "1" {
			t.Errorf("%s: recorded %+v", c.name, v.acts)
		}
		next := v.wantTokens(v.ask(refreshing("spa", b.Refresh), c.header(3)...), c.name+", the successor")
		v.advance(time.Millisecond) // in the very same one it might have been on its way already
		hungUp, hangUp := context.WithCancel(t.Context())
		hangUp()
		v.do(request(refreshing("spa", a.Refresh).Encode(), c.header(13)...).WithContext(hungUp)).wants(t, c.name+", by who has hung up", 503, oauth.TemporarilyUnavailable, "Try again")
		late, end := context.WithTimeout(t.Context(), 10*time.Millisecond)
		v.do(request(refreshing("spa", a.Refresh).Encode(), c.header(14)...).WithContext(late)).wants(t, c.name+", of whom that is noticed late", 503, oauth.TemporarilyUnavailable, "Try again")
		end()
		if f := v.family(a.Refresh); !f.SuspendedAt.IsZero() {
			t.Errorf("%s: who has hung up brought it under suspicion", c.name)
		}
		v.ask(refreshing("spa", a.Refresh), c.header(4)...).wants(t, c.name+", after its successor was used", 400, oauth.InvalidGrant, "suspended")
		if f := v.family(a.Refresh); f.Suspicion != tenant.OlderGeneration || !f.RevokedAt.IsZero() {
			t.Errorf("%s: suspended for %q", c.name, f.Suspicion)
		}
		v.ask(refreshing("spa", next.Refresh), c.header(5)...).wants(t, c.name+", suspended", 400, oauth.InvalidGrant, "account page")

		a = v.signIn("spa", nil, c.header(6)...)
		v.wantTokens(v.ask(refreshing("spa", a.Refresh), c.header(7)...), c.name)
		v.advance(c.window)
		v.ask(refreshing("spa", a.Refresh), c.header(8)...).wants(t, c.name+", too late", 400, oauth.InvalidGrant, "suspended")

		a = v.signIn("spa", nil, c.header(9)...)
		v.wantTokens(v.ask(refreshing("spa", a.Refresh), c.header(10)...), c.name)
		v.deaf = errors.New("away")
		v.ask(refreshing("spa", a.Refresh), c.header(11)...).wants(t, c.name+", not recorded", 503, oauth.TemporarilyUnavailable, "Try again")
		v.deaf = nil
		v.wantTokens(v.ask(refreshing("spa", a.Refresh), c.header(12)...), c.name+", recorded then")
	}
}

func TestRefreshThieves(t *testing.T) {
	v := newVillage(t)
	v.app(tenant.Client{ID: "spa", Type: tenant.SPA})
	v.app(tenant.Client{ID: "thief", Type: tenant.SPA})
	given := v.app(tenant.Client{ID: "web", Type: tenant.Web})
	n := 0
	key := func(name string) []string { n++; return []string{"DPoP", fmt.Sprintf("%s %d", name, n)} }
	for _, c := range []struct {
		name   string
		bound  bool
		client string
		header func() []string
		used   bool // the token was used before
		reason tenant.Suspicion
	}{
		{name: "another public client", client: "thief", reason: tenant.OtherClient},
		{name: "another public client, bound", bound: true, client: "thief", header: func() []string { return key("evil") }, reason: tenant.OtherClient},
		{name: "a confidential client", client: "web", header: func() []string { return basic("web", given) }, reason: tenant.OtherClient},
		{name: "another key", bound: true, client: "spa", header: func() []string { return key("evil") }, reason: tenant.OtherKey},
		{name: "another key, in the window", bound: true, used: true, client: "spa", header: func() []string { return key("evil") }, reason: tenant.OtherKey},
		{name: "another client, in the window", used: true, client: "thief", reason: tenant.OtherClient},
	} {
		v.acts, v.minted = nil, nil
		var bind []string
		if c.bound {
			bind = key("good")
		}
		a := v.signIn("spa", nil, bind...)
		if c.used {
			if c.bound {
				bind = key("good")
			}
			v.wantTokens(v.ask(refreshing("spa", a.Refresh), bind...), c.name)
		}
		minted := len(v.minted)
		var header []string
		if c.header != nil {
			header = c.header()
		}
		v.ask(refreshing(c.client, a.Refresh), header...).wants(t, c.name, 400, oauth.InvalidGrant, "suspended")
		if f := v.family(a.Refresh); f.Suspicion != c.reason || f.SuspendedAt.IsZero() || !f.RevokedAt.IsZero() {
			t.Errorf("%s: suspended for %q, revoked %v", c.name, f.Suspicion, f.RevokedAt)
		}
		if len(v.minted) != minted {
			t.Errorf("%s: a token was asked for", c.name)
		}
		if len(v.acts) != 1 || v.acts[0].Kind != tenant.RefreshSuspended || v.acts[0].Detail["reason"] != string(c.reason) || v.acts[0].Detail["by"] != c.client || v.acts[0].Client != "spa" {
			t.Errorf("%s: recorded %+v", c.name, v.acts)
		}
	}

	// Who has no genuine token brings nobody under suspicion.
	a := v.signIn("spa", nil)
	real, _ := v.config.Pepper.open(v.tenant, secret.New(a.Refresh))
	other, err := NewPepper([]byte(strings.Repeat("q", PepperSize)))
	must(t, other, err)
	guess, _ := other.make(v.tenant, real.family, 1)
	v.ask(refreshing("spa", guess.text.Reveal())).wants(t, "a guess", 400, oauth.InvalidGrant, "not good")
	globex := *v.tenant
	globex.ID = "globex"
	foreign, _ := v.config.Pepper.make(&globex, real.family, 1)
	v.ask(refreshing("spa", foreign.text.Reveal())).wants(t, "another tenant's", 400, oauth.InvalidGrant, "not good")
	none, _ := v.config.Pepper.make(v.tenant, tenant.NewFamilyID(), 1)
	v.ask(refreshing("spa", none.text.Reveal())).wants(t, "of no family", 400, oauth.InvalidGrant, "not good")
	ahead, _ := v.config.Pepper.make(v.tenant, real.family, 9)
	v.ask(refreshing("spa", ahead.text.Reveal())).wants(t, "ahead of the database", 400, oauth.InvalidGrant, "not good")
	last := "0"
	if strings.HasSuffix(a.Refresh, last) {
		last = "1"
	}
	for _, junk := range []string{"x", a.AccessToken, given.Reveal(), a.Refresh[:len(a.Refresh)-1] + last, a.Refresh + "0"} {
		v.ask(refreshing("spa", junk)).wants(t, "junk", 400, oauth.InvalidGrant, "not good")
	}
	v.ask(refreshing("spa", "")).wants(t, "nothing", 400, oauth.InvalidRequest, "missing")
	v.wantTokens(v.ask(refreshing("spa", a.Refresh)), "after all that")

	// A bound token without its key is good for nothing, whoever has it, and that is no suspicion.
	a = v.signIn("spa", nil, key("good")...)
	v.ask(refreshing("spa", a.Refresh)).wants(t, "without a key", 400, oauth.InvalidRequest, "bound to a key")
	v.wantTokens(v.ask(refreshing("spa", a.Refresh), key("good")...), "with its key")
	v.ask(refreshing("spa", a.Refresh)).wants(t, "again, without a key", 400, oauth.InvalidRequest, "bound to a key")
	if f := v.family(a.Refresh); f.Replayed != 0 || !f.SuspendedAt.IsZero() {
		t.Errorf("again, without a key: replayed %d, suspended for %q", f.Replayed, f.Suspicion)
	}
	v.advance(tenant.BoundReplay)
	v.ask(refreshing("spa", a.Refresh)).wants(t, "long used up, without a key", 400, oauth.InvalidGrant, "suspended")
	if f := v.family(a.Refresh); f.Suspicion != tenant.OlderGeneration {
		t.Errorf("long used up, without a key: suspended for %q", f.Suspicion)
	}
}

func TestBinding(t *testing.T) {
	v := newVillage(t)
	v.app(tenant.Client{ID: "spa", Type: tenant.SPA})
	v.app(tenant.Client{ID: "strict", Type: tenant.SPA, DPoP: tenant.DPoPRequired})
	given := v.app(tenant.Client{ID: "web", Type: tenant.Web})
	ci := v.client(tenant.Client{ID: "ci"})
	auth := basic("web", given)

	code := v.code("strict", nil)
	v.ask(exchange("strict", code)).wants(t, "no proof where one is required", 400, oauth.InvalidRequest, "DPoP header")
	v.ask(exchange("strict", code), "DPoP", "").wants(t, "an empty one", 400, oauth.InvalidDPoPProof, "")
	v.ask(exchange("strict", code), "DPoP", "", "DPoP", "k 1").wants(t, "an empty one before it", 400, oauth.InvalidDPoPProof, "")
	a := v.wantTokens(v.ask(exchange("strict", code), "DPoP", "k 1"), "with a proof")
	if a.TokenType != "DPoP" || fmt.Sprint(claimsOf(t, a.AccessToken)["cnf"]) != "map[jkt:k]" || claimsOf(t, a.ID)["cnf"] != nil || a.header.Get("DPoP-Nonce") != "nonce" {
		t.Errorf("%s %v", a.TokenType, claimsOf(t, a.AccessToken)["cnf"])
	}
	v.ask(refreshing("strict", a.Refresh), "DPoP", "k 1").wants(t, "the same proof", 400, oauth.InvalidDPoPProof, "used")
	v.wantTokens(v.ask(refreshing("strict", a.Refresh), "DPoP", "k 2"), "another proof")

	// A family is bound by its code or never. A thief who shows a key of their own first has a token for that key, and the
	// family is everybody's as before: when the application comes with the same token, that is seen.
	a = v.signIn("spa", nil)
	b := v.wantTokens(v.ask(refreshing("spa", a.Refresh), "DPoP", "thief 1"), "a proof later")
	if fmt.Sprint(claimsOf(t, b.AccessToken)["cnf"]) != "map[jkt:thief]" || v.family(b.Refresh).JKT != "" {
		t.Errorf("a proof later: bound to %v, the family to %q", claimsOf(t, b.AccessToken)["cnf"], v.family(b.Refresh).JKT)
	}
	v.advance(tenant.UnboundReplay)
	v.ask(refreshing("spa", a.Refresh)).wants(t, "the application", 400, oauth.InvalidGrant, "suspended")
	if f := v.family(a.Refresh); f.Suspicion != tenant.OlderGeneration {
		t.Errorf("suspended for %q", f.Suspicion)
	}

	// A client with a credential needs no key to be the only one, and may change it.
	a = v.signIn("web", nil, append(auth, "DPoP", "one 1")...)
	if a.TokenType != "DPoP" || v.family(a.Refresh).JKT != "" {
		t.Errorf("%s, bound to %q", a.TokenType, v.family(a.Refresh).JKT)
	}
	b = v.wantTokens(v.ask(refreshing("web", a.Refresh), append(auth, "DPoP", "two 1")...), "with another key")
	if fmt.Sprint(claimsOf(t, b.AccessToken)["cnf"]) != "map[jkt:two]" {
		t.Errorf("bound to %v", claimsOf(t, b.AccessToken)["cnf"])
	}
	if c := v.wantTokens(v.ask(refreshing("web", b.Refresh), auth...), "with none"); c.TokenType != "Bearer" {
		t.Errorf("without a key: %s", c.TokenType)
	}

	// And every grant binds.
	bound := v.do(request(cc, append(basic("ci", ci), "DPoP", "ci 1")...))
	if bound.TokenType != "DPoP" || fmt.Sprint(claimsOf(t, bound.AccessToken)["cnf"]) != "map[jkt:ci]" {
		t.Errorf("client credentials: %s %s", bound.TokenType, bound.ErrorDescription)
	}
	v.do(request(cc, append(basic("ci", ci), "DPoP", "ci 1")...)).wants(t, "client credentials, the same proof", 400, oauth.InvalidDPoPProof, "used")

	// Who only tries takes no room: a proof counts when all else is well.
	v.ask(exchange("spa", "x"), "DPoP", "saved 1")
	v.signIn("spa", nil, "DPoP", "saved 1")
}

// TestPublicClientsAreLimitedWhereTheyAre: anybody can say a public client's name, and so may not use up what it has
// elsewhere.
func TestPublicClientsAreLimitedWhereTheyAre(t *testing.T) {
	v := newVillage(t)
	v.app(tenant.Client{ID: "spa", Type: tenant.SPA, RatePerSecond: 1})
	ask := func(from string) int {
		r := request(exchange("spa", "x").Encode())
		r.RemoteAddr = from
		return v.do(r).status
	}
	if first, second, elsewhere := ask("192.0.2.7:1"), ask("192.0.2.7:2"), ask("198.51.100.7:1"); first != 400 || second != 429 || elsewhere != 400 {
		t.Errorf("%d, %d, %d", first, second, elsewhere)
	}
	for range 50 {
		v.do(request(exchange("nobody", "x").Encode()))
	}
	if r := v.do(request(exchange("nobody", "x").Encode())); r.status != http.StatusTooManyRequests {
		t.Errorf("clients that are none: %d", r.status)
	}
}
