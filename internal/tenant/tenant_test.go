package tenant

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
)

var created = time.Date(2026, 11, 23, 2, 12, 0, 123456789, time.UTC)

func goodTenant() Tenant {
	return Tenant{
		ID: "acme", Class: Production, Owner: "ops@acme.example", Contacts: []string{"b@acme.example", "a@acme.example"},
		Issuer: "https://id.example/acme", CreatedAt: created,
	}
}

func goodAPI() API {
	return API{
		Tenant: "acme", Audience: "https://api.acme.example", Scopes: oauth.Scope{"write", "read"},
		SecretHash: secret.New("x").Hash(), CreatedAt: created,
	}
}

func goodClient() Client {
	return Client{
		ID: "ci", Tenant: "acme", APIs: []Access{{"https://api.acme.example", oauth.Scope{"read"}}},
		Secrets: []Secret{{Hash: secret.New("x").Hash(), CreatedAt: created}}, CreatedAt: created,
	}
}

// refused checks that err is an *Invalid about what, whose reason has why in it.
func refused(t *testing.T, name string, err error, what, why string) {
	t.Helper()
	var e *Invalid
	if !errors.As(err, &e) {
		t.Errorf("%s: got %v, want an *Invalid", name, err)
		return
	}
	if e.What != what || !strings.Contains(e.Why, why) || e.Error() != e.What+": "+e.Why {
		t.Errorf("%s: refused with %q (what %q), want what %q and why %q", name, e.Error(), e.What, what, why)
	}
}

func TestNewFillsIn(t *testing.T) {
	given := goodTenant()
	given.ID, given.Owner = "ACME", " ops@ACME.example "
	got, err := New(given)
	want := goodTenant()
	want.Contacts = []string{"a@acme.example", "b@acme.example"}
	want.Algorithm, want.MaxLifetime, want.RotationDays, want.Passkeys = ES256, time.Hour, 30, AnyPasskey
	want.CreatedAt = created.Truncate(time.Millisecond)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
	}
	if again, err := New(got); err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("constructing again gives %+v, %v", again, err)
	}
	if !got.Live() || (Tenant{DisabledAt: created}).Live() {
		t.Error("Live does not go by DisabledAt")
	}
}

func TestNewRefuses(t *testing.T) {
	cases := []struct {
		name      string
		change    func(*Tenant)
		what, why string
	}{
		{"id", func(t *Tenant) { t.ID = "a_b" }, "tenant id", "character"},
		{"class", func(t *Tenant) { t.Class = "prod" }, "tenant class", "there is no"},
		{"no class", func(t *Tenant) { t.Class = "" }, "tenant class", "there is no"},
		{"support", func(t *Tenant) { t.ID, t.Issuer = "support", "https://id.example/support" }, "tenant id", "class support"},
		{"owner", func(t *Tenant) { t.Owner = "" }, "owner", "not a mail address"},
		{"no contacts", func(t *Tenant) { t.Contacts = nil }, "contacts", "there is 0"},
		{"one contact", func(t *Tenant) { t.Contacts = t.Contacts[:1] }, "contacts", "there is 1"},
		{"one contact twice", func(t *Tenant) { t.Contacts = []string{"a@acme.example", " A@ACME.example"} }, "contacts", "there is 1"},
		{"bad contact", func(t *Tenant) { t.Contacts[0] = "nobody" }, "contact", "not a mail address"},
		{"many contacts", func(t *Tenant) {
			for _, c := range "abcdefghijklmnopqrstuvwxyz" {
				t.Contacts = append(t.Contacts, string(c)+"@acme.example")
			}
		}, "contacts", "more than 20"},
		{"no issuer", func(t *Tenant) { t.Issuer = "" }, "issuer", "not a URL"},
		{"relative issuer", func(t *Tenant) { t.Issuer = "/acme" }, "issuer", "not a URL"},
		{"opaque issuer", func(t *Tenant) { t.Issuer = "https:acme" }, "issuer", "not a URL"},
		{"http", func(t *Tenant) { t.Issuer = "http://id.example/acme" }, "issuer", "https"},
		{"other scheme", func(t *Tenant) { t.Issuer = "ftp://127.0.0.1/acme" }, "issuer", "https"},
		{"query", func(t *Tenant) { t.Issuer += "?x" }, "issuer", "query"},
		{"empty query", func(t *Tenant) { t.Issuer += "?" }, "issuer", "query"},
		{"fragment", func(t *Tenant) { t.Issuer += "#" }, "issuer", "fragment"},
		{"user", func(t *Tenant) { t.Issuer = "https://u@id.example/acme" }, "issuer", "user information"},
		{"slash", func(t *Tenant) { t.Issuer += "/" }, "issuer", "plainest"},
		{"double slash", func(t *Tenant) { t.Issuer = "https://id.example//acme" }, "issuer", "plainest"},
		{"capital host", func(t *Tenant) { t.Issuer = "https://ID.example/acme" }, "issuer", "plainest"},
		{"capital scheme", func(t *Tenant) { t.Issuer = "HTTPS://id.example/acme" }, "issuer", "plainest"},
		{"another's issuer", func(t *Tenant) { t.Issuer = "https://id.example/globex" }, "issuer", "plainest"},
		{"no path", func(t *Tenant) { t.Issuer = "https://acme" }, "issuer", "plainest"},
		{"algorithm", func(t *Tenant) { t.Algorithm = "HS256" }, "algorithm", "none"},
		{"none", func(t *Tenant) { t.Algorithm = "none" }, "algorithm", "none"},
		{"claim", func(t *Tenant) { t.Claims = []string{"sub"} }, "custom claim", "standard"},
		{"negative lifetime", func(t *Tenant) { t.MaxLifetime = -1 }, "longest token lifetime", "between"},
		{"half a second", func(t *Tenant) { t.MaxLifetime = 1500 * time.Millisecond }, "longest token lifetime", "between"},
		{"long lifetime", func(t *Tenant) { t.MaxLifetime = 25 * time.Hour }, "longest token lifetime", "between"},
		{"rotation", func(t *Tenant) { t.RotationDays = 1 }, "key rotation", "1 day is outside"},
		{"long rotation", func(t *Tenant) { t.RotationDays = 366 }, "key rotation", "366 days"},
		{"time", func(t *Tenant) { t.CreatedAt = time.Time{} }, "tenant", "time of creation"},
	}
	for _, c := range cases {
		given := goodTenant()
		c.change(&given)
		got, err := New(given)
		refused(t, c.name, err, c.what, c.why)
		if !reflect.DeepEqual(got, Tenant{}) {
			t.Errorf("%s: a refused tenant is not zero", c.name)
		}
	}
}

func TestIssuersThatAreFine(t *testing.T) {
	for _, issuer := range []string{
		"https://id.example/acme", "https://id.example:8443/acme", "https://id.example/auth/acme", "http://127.0.0.1:8080/acme",
		"http://[::1]:8080/acme", "http://localhost/acme", "https://consumer.invalid/acme",
	} {
		given := goodTenant()
		given.Issuer = issuer
		if _, err := New(given); err != nil {
			t.Errorf("%s: %v", issuer, err)
		}
	}
	given := goodTenant()
	given.ID, given.Issuer, given.Class = "support", "https://id.example/support", Support
	if _, err := New(given); err != nil {
		t.Errorf("the support tenant may not be called support: %v", err)
	}
}

func TestParseID(t *testing.T) {
	for in, want := range map[string]string{"a": "a", "0": "0", "Acme-Orders": "acme-orders", "a--b": "a--b", strings.Repeat("A", 63): strings.Repeat("a", 63)} {
		if got, err := ParseID("client id", in); err != nil || got != want {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
	for in, why := range map[string]string{
		"": "empty", "-a": "hyphen", "a-": "hyphen", "-": "hyphen", "a b": "character", "a.b": "character", "a_b": "character", "é": "character",
		"a\x00": "character", "a/b": "character", "\u212a": "character", "xn--a": "xn--", strings.Repeat("a", 64): "longer", "admin": "reserved", "ADMIN": "reserved",
		"well-known": "reserved", "token": "reserved", "jwks": "reserved", "operators": "reserved",
	} {
		_, err := ParseID("client id", in)
		refused(t, in, err, "client id", why)
	}
}

func TestReservedListIsPossible(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range Reserved() {
		if badID(id) != "" || seen[id] {
			t.Errorf("%q is twice on the list, or could be no id anyway", id)
		}
		seen[id] = true
	}
}

func TestMailAddresses(t *testing.T) {
	for in, want := range map[string]string{"a@b.c": "a@b.c", " Ops+1@ACME.Example": "Ops+1@acme.example", "a.b!#$%&'*+-/=?^_`{|}~@x-1.co": "a.b!#$%&'*+-/=?^_`{|}~@x-1.co"} {
		if got, err := mailAddress("owner", in); err != nil || got != want {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
	for _, in := range []string{
		"", "@", "a@", "@b.c", "a@b", "a@localhost", "a@.c", "a@b.", "a@b..c", "a@-b.c", "a@b-.c", "a b@c.d", "a@b c.d", ".a@b.c", "a.@b.c", "a..b@c.d",
		"a@b@c.d", `"a"@b.c`, "A <a@b.c>", "a@[127.0.0.1]", "a@b.c\nBcc: x@y.z", "a@bücher.example", "a@b\u212a.example", "é@b.c", strings.Repeat("a", 65) + "@b.c", "a@" + strings.Repeat("a", 64) + ".c",
		"a@" + strings.Repeat("a.", 130) + "c",
	} {
		_, err := mailAddress("owner", in)
		refused(t, in, err, "owner", "not a mail address")
	}
}

func TestNewAPI(t *testing.T) {
	got, err := NewAPI(goodAPI())
	if err != nil || !slices.Equal(got.Scopes, oauth.Scope{"read", "write"}) || !strings.HasPrefix(got.ID, "api-") || len(got.ID) != 20 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if again, err := NewAPI(got); err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("constructing again gives %+v, %v", again, err)
	}
	if other, _ := NewAPI(goodAPI()); other.ID == got.ID {
		t.Error("two random ids are the same")
	}
	got.DisabledAt = created
	if got.Live() {
		t.Error("a disabled API is live")
	}
}

func TestNewAPIRefuses(t *testing.T) {
	cases := []struct {
		name      string
		change    func(*API)
		what, why string
	}{
		{"id", func(a *API) { a.ID = "token" }, "API id", "reserved"},
		{"tenant", func(a *API) { a.Tenant = "" }, "tenant id", "empty"},
		{"no audience", func(a *API) { a.Audience = "" }, "API", "empty"},
		{"fragment", func(a *API) { a.Audience += "#x" }, "API", "fragment"},
		{"relative", func(a *API) { a.Audience = "api.acme.example" }, "API", "absolute"},
		{"capital host", func(a *API) { a.Audience = "https://API.acme.example" }, "API", "capital"},
		{"capital scheme", func(a *API) { a.Audience = "HTTPS://api.acme.example" }, "API", "capital"},
		{"capital URN", func(a *API) { a.Audience = "URN:x:y" }, "API", "capital"},
		{"no secret", func(a *API) { a.SecretHash = secret.Hash{} }, "API", "no secret"},
		{"scope", func(a *API) { a.Scopes = oauth.Scope{"a b"} }, "API scope", "not one"},
		{"empty scope", func(a *API) { a.Scopes = oauth.Scope{""} }, "API scope", "not one"},
		{"long scope", func(a *API) { a.Scopes = oauth.Scope{strings.Repeat("a", 129)} }, "API scope", "not one"},
		{"many scopes", func(a *API) {
			for i := range 101 {
				a.Scopes = append(a.Scopes, strings.Repeat("a", i+1))
			}
		}, "API scope", "more than 100"},
		{"lifetime", func(a *API) { a.MaxLifetime = time.Millisecond }, "longest token lifetime", "between"},
		{"time", func(a *API) { a.CreatedAt = time.Time{} }, "API", "time of creation"},
	}
	for _, c := range cases {
		given := goodAPI()
		c.change(&given)
		_, err := NewAPI(given)
		refused(t, c.name, err, c.what, c.why)
	}
}

func TestFoldAudience(t *testing.T) {
	for _, s := range []string{"https://api.acme.example/V1", "https://api.acme.example/v1/", "https://API.acme.example/v1//"} {
		if FoldAudience(s) != "https://api.acme.example/v1" {
			t.Errorf("%q folds to %q", s, FoldAudience(s))
		}
	}
}

func TestNewClient(t *testing.T) {
	got, err := NewClient(goodClient())
	want := goodClient()
	want.Name, want.Type, want.DPoP = "ci", Service, DPoPOffered
	want.Grants, want.Auth = []oauth.GrantType{oauth.ClientCredentials}, oauth.ClientSecretBasic
	want.Lifetime, want.RatePerSecond = 10*time.Minute, 1000
	want.CreatedAt = created.Truncate(time.Millisecond)
	want.Secrets[0].CreatedAt = want.CreatedAt
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
	}
	if again, err := NewClient(got); err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("constructing again gives %+v, %v", again, err)
	}
	anonymous := goodClient()
	anonymous.ID = ""
	if c, err := NewClient(anonymous); err != nil || !strings.HasPrefix(c.ID, "client-") {
		t.Errorf("a client without id is %q, %v", c.ID, err)
	}
	if a, ok := got.Access("https://api.acme.example"); !ok || !a.Scopes.Has("read") {
		t.Error("Access does not find the API")
	}
	if _, ok := got.Access("https://api.acme.example/"); ok {
		t.Error("Access finds an API by another spelling")
	}
	if !got.MayUse(oauth.ClientCredentials) || got.MayUse("password") {
		t.Error("MayUse does not go by the grants")
	}
}

func TestNewClientRefuses(t *testing.T) {
	keys, err := ParseKeySet([]byte(ecSet))
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name      string
		change    func(*Client)
		what, why string
	}{
		{"id", func(c *Client) { c.ID = "Root" }, "client id", "reserved"},
		{"tenant", func(c *Client) { c.Tenant = "-" }, "tenant id", "hyphen"},
		{"name", func(c *Client) { c.Name = "a\x1b[2J" }, "name", "print"},
		{"long name", func(c *Client) { c.Name = strings.Repeat("a", 101) }, "name", "longer"},
		{"grant", func(c *Client) { c.Grants = []oauth.GrantType{"password"} }, "grant", "there is no"},
		{"method", func(c *Client) { c.Auth = "magic" }, "client authentication", "no method"},
		{"no method", func(c *Client) { c.Auth = oauth.AuthNone }, "client authentication", "must prove itself"},
		{"secret method with keys", func(c *Client) { c.Keys = keys }, "client authentication", "uses a secret"},
		{"key method without keys", func(c *Client) { c.Auth, c.Secrets = oauth.PrivateKeyJWT, nil }, "client authentication", "needs the client's public keys"},
		{"key method with secret", func(c *Client) { c.Auth, c.Keys = oauth.PrivateKeyJWT, keys }, "client authentication", "has no secret"},
		{"secret method without secret", func(c *Client) { c.Secrets = nil }, "client authentication", "no secret"},
		{"empty secret", func(c *Client) { c.Secrets = []Secret{{CreatedAt: created}} }, "client authentication", "no hash"},
		{"no API", func(c *Client) { c.APIs = nil }, "client", "no API"},
		{"bad API", func(c *Client) { c.APIs = []Access{{Audience: "x"}} }, "API", "absolute"},
		{"bad scope", func(c *Client) { c.APIs[0].Scopes = oauth.Scope{"é"} }, "scope", "not one"},
		{"API twice", func(c *Client) { c.APIs = append(c.APIs, c.APIs[0]) }, "client", "twice"},
		{"many APIs", func(c *Client) {
			for i := range 51 {
				c.APIs = append(c.APIs, Access{Audience: "urn:x:" + strings.Repeat("a", i+1)})
			}
		}, "client", "more than 50"},
		{"claim", func(c *Client) { c.Claims = map[string]string{"scope": "admin"} }, "custom claim", "standard"},
		{"claim value", func(c *Client) { c.Claims = map[string]string{"dept": "a\n"} }, "custom claim dept", "control"},
		{"long claim value", func(c *Client) { c.Claims = map[string]string{"dept": strings.Repeat("a", 257)} }, "custom claim dept", "longer"},
		{"lifetime", func(c *Client) { c.Lifetime = 25 * time.Hour }, "token lifetime", "between"},
		{"rate", func(c *Client) { c.RatePerSecond = -1 }, "rate", "outside"},
		{"high rate", func(c *Client) { c.RatePerSecond = MaxRatePerSecond + 1 }, "rate", "outside"},
		{"time", func(c *Client) { c.CreatedAt = time.Time{} }, "client", "time of creation"},
	}
	for _, c := range cases {
		given := goodClient()
		c.change(&given)
		_, err := NewClient(given)
		refused(t, c.name, err, c.what, c.why)
	}
}

func TestAdmits(t *testing.T) {
	tenant, err := New(goodTenant())
	if err != nil {
		t.Fatal(err)
	}
	api := goodAPI()
	if err := tenant.Admits(api); err != nil {
		t.Error(err)
	}
	api.MaxLifetime = 2 * time.Hour
	refused(t, "lifetime", tenant.Admits(api), "longest token lifetime", "longer than the tenant's")
	api = goodAPI()
	api.Tenant = "globex"
	refused(t, "tenant", tenant.Admits(api), "API", "another tenant")
	for _, own := range []string{tenant.Issuer + "/userinfo", tenant.Issuer + "/UserInfo/"} {
		api = goodAPI()
		api.Audience = own
		refused(t, own, tenant.Admits(api), "API", "the issuer's own")
	}
}

func TestAdmitsClient(t *testing.T) {
	tenant := goodTenant()
	tenant.Claims = []string{"dept"}
	api := goodAPI()
	disabled := goodAPI()
	disabled.DisabledAt = created
	cases := []struct {
		name      string
		change    func(*Client)
		apis      []API
		what, why string
	}{
		{"fine", func(c *Client) { c.Claims = map[string]string{"dept": "7"} }, []API{api}, "", ""},
		{"another tenant", func(c *Client) { c.Tenant = "globex" }, []API{api}, "client", "another tenant"},
		{"no such API", func(*Client) {}, nil, "API", "no live API"},
		{"disabled API", func(*Client) {}, []API{disabled}, "API", "no live API"},
		{"scope", func(c *Client) { c.APIs = []Access{{api.Audience, oauth.Scope{"read", "delete"}}} }, []API{api}, "scope", `"delete" is none of`},
		{"claim", func(c *Client) { c.Claims = map[string]string{"team": "7"} }, []API{api}, "custom claim", "not on the tenant's list"},
	}
	for _, c := range cases {
		client := goodClient()
		c.change(&client)
		err := tenant.AdmitsClient(client, c.apis)
		if c.what == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		refused(t, c.name, err, c.what, c.why)
	}
}

func TestClaimNames(t *testing.T) {
	for _, name := range standardClaims() {
		refused(t, name, CheckClaimName(name), "custom claim", "")
		refused(t, name, CheckClaimName(strings.ToUpper(name)), "custom claim", "")
	}
	for _, name := range []string{"", "a b", "a\"", "é", "seawall_x", "Seawall_X", strings.Repeat("a", 129), "sub", "sUB", "rcpt", "cnf"} {
		refused(t, name, CheckClaimName(name), "custom claim", "")
	}
	for _, name := range []string{"dept", "https://acme.example/roles", "cost-centre", "x.y", "a"} {
		if err := CheckClaimName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	_, err := claimNames([]string{"dept", "Dept"})
	refused(t, "twice", err, "custom claim", "capital letters only")
	_, err = claimNames(strings.Fields(manyNames(40)))
	refused(t, "many", err, "custom claims", "more than 32")
	if got, err := claimNames([]string{"b", "a", "b"}); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" n" + strings.Repeat("x", i))
	}
	return b.String()
}

func TestEveryClassHasItsEnvironment(t *testing.T) {
	seen := map[secret.Env]bool{}
	for _, c := range Classes() {
		env := c.Env()
		if seen[env] || !slices.Contains(secret.Envs(), env) {
			t.Errorf("class %s has environment %q", c, env)
		}
		seen[env] = true
	}
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"acme", "ACME", "-", "a.b", "\u212a", "\u0131", "xn--a", "admin"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID("id", s)
		if err != nil {
			return
		}
		if again, err := ParseID("id", id); err != nil || again != id {
			t.Fatalf("%q gives %q, which gives %q, %v", s, id, again, err)
		}
		if len(id) == 0 || len(id) > 63 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Fatalf("%q gives %q", s, id)
		}
	})
}

func FuzzNewTenant(f *testing.F) {
	f.Add("acme", "production", "https://id.example/acme", "a@b.c", "d@e.f", "dept")
	f.Add("a", "support", "http://[::1]:80/a", "@", "a@b.c\n", "sub")
	f.Fuzz(func(t *testing.T, id, class, issuer, a, b, claim string) {
		got, err := New(Tenant{ID: id, Class: Class(class), Issuer: issuer, Owner: a, Contacts: []string{a, b}, Claims: []string{claim}, CreatedAt: created})
		if err != nil {
			return
		}
		again, err := New(got)
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("%+v becomes %+v, %v", got, again, err)
		}
		if strings.ContainsAny(got.Issuer+got.Owner+got.Contacts[0]+got.Contacts[1], " \r\n\t") || !strings.HasSuffix(got.Issuer, "/"+got.ID) {
			t.Fatalf("%+v passes", got)
		}
	})
}

func TestPolicyTellsWhatTheSignerNeeds(t *testing.T) {
	tenant, err := New(goodTenant())
	if err != nil {
		t.Fatal(err)
	}
	tenant.Claims, tenant.PolicyVersion = []string{"dept"}, 7
	b, a, disabled, foreign := goodAPI(), goodAPI(), goodAPI(), goodAPI()
	a.Audience, a.MaxLifetime = "https://a.acme.example", time.Minute
	disabled.Audience, disabled.DisabledAt = "https://c.acme.example", created
	foreign.Tenant = "globex"
	web, spa, service, gone, theirs := goodClient(), goodClient(), goodClient(), goodClient(), goodClient()
	web.ID, spa.ID, service.ID, gone.ID, theirs.ID = "web", "spa", "service", "gone", "theirs"
	for _, c := range []*Client{&web, &spa, &gone, &theirs} {
		c.Grants = []oauth.GrantType{oauth.AuthorizationCode, oauth.RefreshToken}
	}
	gone.DisabledAt, theirs.Tenant = created, "globex"
	got := tenant.Policy("uid 7", []API{b, disabled, a, foreign}, []Client{web, gone, service, theirs, spa})
	want := Policy{
		Tenant: "acme", Version: 7, Actor: "uid 7", Issuer: "https://id.example/acme", Class: Production, Algorithm: ES256,
		Claims: []string{"dept"}, MaxLifetime: time.Hour, RotationDays: 30,
		APIs: []PolicyAPI{{a.Audience, a.Scopes, time.Minute}, {b.Audience, b.Scopes, 0}}, Clients: []string{"spa", "web"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	tenant.DisabledAt = created
	if !tenant.Policy("", nil, nil).Disabled {
		t.Error("the policy of a disabled tenant is not disabled")
	}
}

func TestRefusalReasons(t *testing.T) {
	used, disabled := Refuse(ErrUsedBefore, "choose another", "no %d", 1), Refuse(ErrDisabled, "", "no")
	if !errors.Is(used, ErrExists) || !errors.Is(used, ErrUsedBefore) || errors.Is(Refuse(ErrExists, "", ""), ErrUsedBefore) {
		t.Error("used before is not a kind of exists")
	}
	if !errors.Is(disabled, ErrConflict) || errors.Is(disabled, ErrExists) || errors.Is(Refuse(ErrConflict, "", ""), ErrDisabled) {
		t.Error("disabled is not a kind of conflict")
	}
	if used.Error() != "no 1" || used.Hint() != "choose another" {
		t.Errorf("says %q, %q", used.Error(), used.Hint())
	}
}
