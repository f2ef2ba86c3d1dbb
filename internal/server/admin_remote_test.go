package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
	"seawall/validate/validatetest"
)

// far is a house with true vaults and people who administer it from elsewhere.
type far struct {
	*testHouse
	staff  map[tenant.Role]tenant.Person
	prover *validatetest.Prover
	nonce  string
}

func newFar(t *testing.T) *far {
	o := newRealVaults(t).options()
	o.name = "localhost"
	h := newHouse(t, o)
	h.acme()
	f := &far{testHouse: h, staff: h.staff(), prover: validatetest.NewProver("", nil)}
	h.eventually("the operators' keys are known", func() bool {
		shown, err := h.store.Tenant(t.Context(), tenant.Operators)
		return err == nil && shown.PolicyApplied == shown.PolicyVersion && h.do("GET", "/operators/jwks", "").status == 200
	})
	return f
}

// token is an access token for the admin API, of a sign-in at that time which proved acr.
func (f *far) token(p tenant.Person, client, redirect, acr string, at time.Time, scope oauth.Scope, header ...string) string {
	f.t.Helper()
	given, sum := secret.Generate(secret.GrantCode, secret.Production), sha256.Sum256([]byte(townVerifier))
	c := tenant.Code{Hash: given.Hash(), Tenant: tenant.Operators, Client: client, Person: p.ID, Session: strings.ToLower(rand.Text()), RedirectURI: redirect,
		Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), Scope: scope, Resources: []string{f.base + "/operators/admin"}, SignedInAt: at, ACR: acr, AMR: []string{"user"}, IssuedAt: time.Now()}
	k, err := f.store.Passkeys(f.t.Context(), p.Tenant, p.ID)
	must(f.t, k, err)
	n := tenant.Session{ID: c.Session, Hash: secret.New(rand.Text()).Hash(), Tenant: p.Tenant, Person: p.ID, Passkey: k[0].ID, ACR: acr, At: at, SeenAt: time.Now()}
	if err := f.store.SignIn(f.t.Context(), n, k[0], secret.Hash{}); err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.store.SaveConsent(f.t.Context(), tenant.Consent{Tenant: c.Tenant, Person: c.Person, Client: c.Client}.With(c.Scope, c.Resources)); err != nil {
		f.t.Fatal(err)
	}
	if err := f.store.SaveCode(f.t.Context(), c); err != nil {
		f.t.Fatal(err)
	}
	form := exchanging(client, given.Reveal())
	form.Set("redirect_uri", redirect)
	header = append(header, "Content-Type", "application/x-www-form-urlencoded")
	for range 2 {
		r := f.do("POST", "/operators/token", form.Encode(), append(header, "DPoP", f.prover.Proof("", "POST", f.base+"/operators/token", validatetest.Claims{"ath": nil, "nonce": f.nonce}))...)
		if f.nonce = r.header.Get("DPoP-Nonce"); r.status == 200 {
			var all townTokens
			must(f.t, all, json.Unmarshal(r.body, &all))
			return all.Access
		}
		if !strings.Contains(string(r.body), "use_dpop_nonce") {
			f.t.Fatalf("no token: %d %s\n%s", r.status, r.body, f.log)
		}
	}
	f.t.Fatal("no token")
	return ""
}

func (f *far) good(role tenant.Role, at time.Time) string {
	return f.token(f.staff[role], commandLine, "http://127.0.0.1:4711/callback", "phr", at, oauth.Scope{adminScope})
}

// ask asks the admin API from elsewhere, with a fresh proof.
func (f *far) ask(token, method, path, body string) response {
	f.t.Helper()
	return f.do(method, path, body, "Authorization", "DPoP "+token, "DPoP", f.prover.Proof(token, method, f.base+path))
}

const adminTenants = "/operators/admin/v1/tenants"

const newBeta = `{"tenant":"beta","class":"staging","owner":"o@beta.example","contacts":["a@beta.example","b@beta.example"]}`

// TestTheAdminAPIFromElsewhere is the same API by the same lines, for who has a bound token of a fresh sign-in.
func TestTheAdminAPIFromElsewhere(t *testing.T) {
	f := newFar(t)
	owner := f.good(tenant.Owner, time.Now())
	if r := f.ask(owner, "GET", adminTenants, ""); r.status != 200 || !strings.Contains(string(r.body), `"tenant":"acme"`) {
		t.Fatalf("tenants: %d %s", r.status, r.body)
	}
	var self adminapi.Self
	r := f.ask(owner, "GET", "/operators/admin/v1/self", "")
	if err := json.Unmarshal(r.body, &self); err != nil || self.Role != "owner" || self.Subject != f.staff[tenant.Owner].ID {
		t.Errorf("they are %s", r.body)
	}
	if r := f.ask(owner, "POST", adminTenants, newBeta); r.status != 200 {
		t.Errorf("a tenant: %d %s", r.status, r.body)
	}
	if r := f.ask(owner, "GET", "/operators/admin/v1/tenants/acme/apis/https:%2F%2Forders.acme.example", ""); r.status != 200 {
		t.Errorf("an API by its name: %d %s", r.status, r.body)
	}
	if r := f.ask(f.good(tenant.Auditor, time.Now()), "POST", adminTenants, newBeta); r.status != 403 || !strings.Contains(string(r.body), "the role auditor may not") {
		t.Errorf("an auditor: %d %s", r.status, r.body)
	}
	// A sign-in of a while ago reads, and is told how to write (RFC 9470).
	stale := f.good(tenant.Operator, time.Now().Add(-tenant.FreshTouch))
	if r := f.ask(stale, "GET", adminTenants, ""); r.status != 200 {
		t.Errorf("reading an hour later: %d %s", r.status, r.body)
	}
	r = f.ask(stale, "POST", adminTenants, newBeta)
	if challenge := r.header.Get("WWW-Authenticate"); r.status != 401 || !strings.HasPrefix(challenge, `DPoP error="insufficient_user_authentication"`) || !strings.Contains(challenge, `max_age="300"`) {
		t.Errorf("writing later: %d %s %s", r.status, challenge, r.body)
	}
	// Who loses the role loses it at once.
	if r := f.ask(owner, "POST", "/operators/admin/v1/tenants/operators/people/"+f.staff[tenant.Operator].ID+"/disable", "{}"); r.status != 200 {
		t.Fatalf("disabling: %d %s", r.status, r.body)
	}
	if r := f.ask(stale, "GET", adminTenants, ""); r.status != 403 && r.status != 401 {
		t.Errorf("a disabled operator: %d %s", r.status, r.body)
	}
}

// TestTokensThatDoNotAdminister: each is refused for its own reason.
func TestTokensThatDoNotAdminister(t *testing.T) {
	f := newFar(t)
	owner := f.staff[tenant.Owner]
	good := f.good(tenant.Owner, time.Now())
	other, err := f.op.CreateClient(t.Context(), tenant.Operators, adminapi.CreateClient{ClientID: "other", Type: "native", RedirectURIs: []string{"http://127.0.0.1/cb"}, APIs: []string{f.base + "/operators/admin"}, Scopes: []string{adminScope}})
	must(t, other, err)
	thief := validatetest.NewProver("", nil)
	proof := f.prover.Proof(good, "GET", f.base+adminTenants)
	for name, c := range map[string]struct {
		r      response
		status int
		want   string
	}{
		"nothing":                 {f.do("GET", adminTenants, ""), 401, "DPoP "},
		"a bearer token":          {f.do("GET", adminTenants, "", "Authorization", "Bearer "+good), 401, "dpop_scheme"},
		"no proof":                {f.do("GET", adminTenants, "", "Authorization", "DPoP "+good), 401, "dpop_missing"},
		"a thief's proof":         {f.do("GET", adminTenants, "", "Authorization", "DPoP "+good, "DPoP", thief.Proof(good, "GET", f.base+adminTenants)), 401, "dpop_thumbprint"},
		"another path's":          {f.do("GET", adminTenants, "", "Authorization", "DPoP "+good, "DPoP", f.prover.Proof(good, "GET", f.base+"/operators/admin/v1/status")), 401, "dpop_url"},
		"another method's":        {f.do("POST", adminTenants, newBeta, "Authorization", "DPoP "+good, "DPoP", f.prover.Proof(good, "GET", f.base+adminTenants)), 401, "dpop_method"},
		"another client's":        {f.ask(f.token(owner, "other", "http://127.0.0.1:1/cb", "phr", time.Now(), oauth.Scope{adminScope}), "GET", adminTenants, ""), 401, "another client"},
		"a sign-in that was weak": {f.ask(f.token(owner, commandLine, "http://127.0.0.1:1/callback", "weak", time.Now(), oauth.Scope{adminScope}), "GET", adminTenants, ""), 401, "acr"},
		"no scope":                {f.ask(f.token(owner, commandLine, "http://127.0.0.1:1/callback", "phr", time.Now(), nil), "GET", adminTenants, ""), 403, "insufficient_scope"},
		"used once":               {f.do("GET", adminTenants, "", "Authorization", "DPoP "+good, "DPoP", proof), 200, ""},
	} {
		if got := c.r.header.Get("WWW-Authenticate") + string(c.r.body); c.r.status != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s: %d %s, want %d and %q", name, c.r.status, got, c.status, c.want)
		}
	}
	if r := f.do("GET", adminTenants, "", "Authorization", "DPoP "+good, "DPoP", proof); r.status != 401 || !strings.Contains(r.header.Get("WWW-Authenticate"), "dpop_replay") {
		t.Errorf("the same proof again: %d %s", r.status, r.header)
	}
	if r := f.ask(good, "GET", "/acme/admin/v1/tenants", ""); r.status != http.StatusNotFound {
		t.Errorf("another tenant has an admin API: %d", r.status)
	}
	leaked := f.good(tenant.Owner, time.Now())
	if r := f.do("POST", "/operators/revoke", url.Values{"client_id": {commandLine}, "token": {leaked}}.Encode(), "Content-Type", "application/x-www-form-urlencoded"); r.status != 200 {
		t.Fatalf("revoking: %d %s", r.status, r.body)
	}
	if r := f.ask(leaked, "GET", adminTenants, ""); r.status != 401 || !strings.Contains(string(r.body), "revoked") {
		t.Errorf("a token that was revoked: %d %s", r.status, r.body)
	}
	if r := f.ask(good, "GET", adminTenants, ""); r.status != 200 {
		t.Errorf("another than the one that was revoked: %d %s", r.status, r.body)
	}
	if _, err := f.op.DisableClient(t.Context(), tenant.Operators, commandLine); err != nil { // the way to turn it off
		t.Fatal(err)
	}
	if r := f.ask(good, "GET", adminTenants, ""); r.status != 401 || !strings.Contains(string(r.body), "revoked") {
		t.Errorf("with the client disabled: %d %s", r.status, r.body)
	}
	if _, err := f.Found(t.Context()); err != nil {
		t.Errorf("a start with the client disabled: %v", err)
	}
}
