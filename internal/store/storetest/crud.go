package storetest

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/tenant"
)

func testTenants(t *testing.T, f *fixture) {
	ctx := t.Context()
	want := ok(tenant.New(newTenant("acme")))(t)
	want.PolicyVersion = 1
	if kept := f.mustTenant("acme"); !reflect.DeepEqual(kept, want) {
		t.Errorf("kept %+v\nwant %+v", kept, want)
	}
	if got := ok(f.Tenant(ctx, "acme"))(t); !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v\nwant %+v", got, want)
	}
	f.mustTenant("aaa")
	if all := ok(f.Tenants(ctx))(t); len(all) != 2 || all[0].ID != "aaa" || !reflect.DeepEqual(all[1], want) {
		t.Errorf("listed %+v", all)
	}
	_, err := f.Tenant(ctx, "globex")
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.Tenant(ctx, "ACME")
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.DisableTenant(ctx, "uid 7", "globex")
	wantReason(t, err, tenant.ErrNotFound)

	bad := newTenant("globex")
	bad.Contacts = bad.Contacts[:1]
	var invalid *tenant.Invalid
	if _, err = f.CreateTenant(ctx, "uid 7", bad); !errors.As(err, &invalid) || invalid.What != "contacts" {
		t.Errorf("a tenant with one contact: %v", err)
	}
	born := newTenant("hooli")
	born.DisabledAt, born.PolicyVersion, born.PolicyApplied = start, 9, 9
	if kept := ok(f.CreateTenant(ctx, "uid 7", born))(t); !kept.Live() || kept.PolicyVersion != 1 || kept.PolicyApplied != 0 {
		t.Errorf("a tenant was born disabled or with a history: %+v", kept)
	}

	f.clock.advance(time.Hour)
	disabled := ok(f.DisableTenant(ctx, "uid 7", "acme"))(t)
	want.DisabledAt, want.PolicyVersion = f.clock.Now(), 2
	if !reflect.DeepEqual(disabled, want) {
		t.Errorf("disabled %+v\nwant %+v", disabled, want)
	}
	f.clock.advance(time.Hour)
	if again := ok(f.DisableTenant(ctx, "uid 7", "acme"))(t); !reflect.DeepEqual(again, want) {
		t.Errorf("disabling again gives %+v", again)
	}
	if got := ok(f.Tenant(ctx, "acme"))(t); !reflect.DeepEqual(got, want) {
		t.Errorf("a disabled tenant reads as %+v", got)
	}
	_, err = f.CreateAPI(ctx, "uid 7", newAPI("acme", audience))
	wantReason(t, err, tenant.ErrDisabled)
	_, err = f.CreateClient(ctx, "uid 7", newClient("acme", "ci"))
	wantReason(t, err, tenant.ErrDisabled)
}

func testTenantNames(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	for _, id := range []string{"acme", "ACME", "Acme"} {
		again := newTenant(id)
		again.Issuer = "https://other.example/acme"
		_, err := f.CreateTenant(ctx, "uid 7", again)
		wantReason(t, err, tenant.ErrExists)
	}
	ok(f.DisableTenant(ctx, "uid 7", "acme"))(t)
	for _, id := range []string{"acme", "ACME"} {
		again := newTenant(id)
		again.Issuer = "https://other.example/acme"
		_, err := f.CreateTenant(ctx, "uid 7", again)
		wantReason(t, err, tenant.ErrUsedBefore)
	}
	f.reopen()
	again := newTenant("acme")
	_, err := f.CreateTenant(ctx, "uid 7", again)
	wantReason(t, err, tenant.ErrUsedBefore)
	if all := ok(f.Tenants(ctx))(t); len(all) != 1 || all[0].Live() {
		t.Errorf("the refused attempts left %+v", all)
	}
}

func testAPIs(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustTenant("globex")
	given := newAPI("acme", audience)
	given.ID, given.MaxLifetime = "Orders", 5*time.Minute
	want := ok(tenant.NewAPI(given))(t)
	if kept := ok(f.CreateAPI(ctx, "uid 7", given))(t); !reflect.DeepEqual(kept, want) {
		t.Errorf("kept %+v\nwant %+v", kept, want)
	}
	f.mustAPI("acme", "https://a.acme.example")
	if all := ok(f.APIs(ctx, "acme"))(t); len(all) != 2 || all[0].Audience != "https://a.acme.example" || !reflect.DeepEqual(all[1], want) {
		t.Errorf("listed %+v", all)
	}
	if all := ok(f.APIs(ctx, "globex"))(t); len(all) != 0 {
		t.Errorf("another tenant's APIs: %+v", all)
	}
	f.mustAPI("globex", audience) // each tenant has its own audiences

	_, err := f.APIs(ctx, "hooli")
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.CreateAPI(ctx, "uid 7", newAPI("hooli", audience))
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.DisableAPI(ctx, "uid 7", "acme", "payments")
	wantReason(t, err, tenant.ErrNotFound)
	long := newAPI("acme", "https://long.acme.example")
	long.MaxLifetime = 2 * time.Hour
	var invalid *tenant.Invalid
	if _, err = f.CreateAPI(ctx, "uid 7", long); !errors.As(err, &invalid) || !strings.Contains(invalid.Why, "longer than the tenant's") {
		t.Errorf("an API with a longer lifetime than the tenant: %v", err)
	}

	want.DisabledAt = f.clock.Now()
	if disabled := ok(f.DisableAPI(ctx, "uid 7", "acme", "orders"))(t); !reflect.DeepEqual(disabled, want) {
		t.Errorf("disabled %+v\nwant %+v", disabled, want)
	}
	f.clock.advance(time.Hour)
	if again := ok(f.DisableAPI(ctx, "uid 7", "acme", "orders"))(t); !reflect.DeepEqual(again, want) {
		t.Errorf("disabling again gives %+v", again)
	}
}

func testAPINames(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	first := newAPI("acme", audience+"/v1")
	first.ID = "orders"
	ok(f.CreateAPI(ctx, "uid 7", first))(t)
	attempt := func(id, audience string) error {
		a := newAPI("acme", audience)
		a.ID = id
		_, err := f.CreateAPI(ctx, "uid 7", a)
		return err
	}
	for _, names := range [][2]string{{"orders", "https://b.example"}, {"ORDERS", "https://b.example"}, {"other", audience + "/v1"}, {"other", audience + "/V1"}, {"other", audience + "/v1/"}} {
		wantReason(t, attempt(names[0], names[1]), tenant.ErrExists)
	}
	f.mustAPI("acme", audience)
	f.mustClient("acme", "ci")
	wantReason(t, attempt("ci", "https://c.example"), tenant.ErrExists) // a client has it
	ok(f.DisableAPI(ctx, "uid 7", "acme", "orders"))(t)
	ok(f.DisableClient(ctx, "uid 7", "acme", "ci"))(t)
	f.reopen()
	for _, names := range [][2]string{{"orders", "https://b.example"}, {"Orders", "https://b.example"}, {"other", audience + "/v1"}, {"other", audience + "/V1/"}, {"ci", "https://c.example"}} {
		wantReason(t, attempt(names[0], names[1]), tenant.ErrUsedBefore)
	}
	if err := attempt("other", "https://b.example"); err != nil {
		t.Errorf("a refused attempt used up a name: %v", err)
	}
}

func testClients(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustTenant("globex")
	f.mustAPI("acme", audience)
	f.mustAPI("acme", "https://b.acme.example")
	given := newClient("acme", "CI")
	given.APIs = append(given.APIs, tenant.Access{Audience: "https://b.acme.example"})
	given.Name, given.Lifetime, given.RatePerSecond = "Build server", time.Minute, 5
	want := ok(tenant.NewClient(given))(t)
	if kept := ok(f.CreateClient(ctx, "uid 7", given))(t); !reflect.DeepEqual(kept, want) {
		t.Errorf("kept %+v\nwant %+v", kept, want)
	}
	if got := ok(f.Client(ctx, "acme", "ci"))(t); !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v\nwant %+v", got, want)
	}

	keyed := newClient("acme", "batch")
	keyed.Auth, keyed.Secrets, keyed.Claims = "private_key_jwt", nil, nil
	keyed.Keys = ok(tenant.ParseKeySet([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`)))(t)
	wantKeyed := ok(tenant.NewClient(keyed))(t)
	ok(f.CreateClient(ctx, "uid 7", keyed))(t)
	if all := ok(f.Clients(ctx, "acme"))(t); !reflect.DeepEqual(all, []tenant.Client{wantKeyed, want}) {
		t.Errorf("listed %+v\nwant %+v", all, []tenant.Client{wantKeyed, want})
	}
	if all := ok(f.Clients(ctx, "globex"))(t); len(all) != 0 {
		t.Errorf("another tenant's clients: %+v", all)
	}
	for _, at := range [][2]string{{"globex", "ci"}, {"acme", "CI"}, {"acme", ""}, {"hooli", "ci"}} {
		_, err := f.Client(ctx, at[0], at[1])
		wantReason(t, err, tenant.ErrNotFound)
	}
	_, err := f.Clients(ctx, "hooli")
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.CreateClient(ctx, "uid 7", newClient("hooli", "ci"))
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.DisableClient(ctx, "uid 7", "acme", "nobody-here")
	wantReason(t, err, tenant.ErrNotFound)

	want.DisabledAt = f.clock.Now()
	if disabled := ok(f.DisableClient(ctx, "uid 7", "acme", "ci"))(t); !reflect.DeepEqual(disabled, want) {
		t.Errorf("disabled %+v\nwant %+v", disabled, want)
	}
	f.clock.advance(time.Hour)
	if again := ok(f.DisableClient(ctx, "uid 7", "acme", "ci"))(t); !reflect.DeepEqual(again, want) {
		t.Errorf("disabling again gives %+v", again)
	}
}

func testSignInClients(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme") // of class production
	given := tenant.Client{ID: "shop", Tenant: "acme", Type: tenant.Native, RedirectURIs: []string{"http://127.0.0.1/cb", "com.example.shop:/cb"},
		LogoutURIs: []string{"https://shop.example/bye"}, DPoPReason: "an old library", CreatedAt: start}
	want := ok(tenant.NewClient(given))(t)
	generation := f.Generation()
	if kept := ok(f.CreateClient(ctx, "uid 7", given))(t); !reflect.DeepEqual(kept, want) {
		t.Errorf("kept %+v\nwant %+v", kept, want)
	}
	own := ok(f.CreateClient(ctx, "uid 7", tenant.Client{ID: "own", Tenant: "acme", Type: tenant.SPA, RedirectURIs: []string{"https://own.example/"}, Trusted: true, CreatedAt: start}))(t)
	if got := ok(f.Client(ctx, "acme", "own"))(t); !got.Trusted || !reflect.DeepEqual(got, own) {
		t.Errorf("read %+v\nwant %+v", got, own)
	}
	ok(f.DisableClient(ctx, "uid 7", "acme", "own"))(t)
	f.mustAPI("acme", audience)
	f.mustClient("acme", "ci")
	if types := ok(f.ClientTypes(ctx, "acme"))(t); !slices.Equal(types, []tenant.ClientType{tenant.Native, tenant.Service}) {
		t.Errorf("there are clients of the types %v", types)
	}
	f.reopen()
	if got := ok(f.Client(ctx, "acme", "shop"))(t); !reflect.DeepEqual(got, want) || generation == f.Generation() {
		t.Errorf("read %+v\nwant %+v", got, want)
	}

	generation = f.Generation()
	want.RedirectURIs, want.LogoutURIs = []string{"https://a.example/", "https://b.example/"}, nil
	if changed := ok(f.SetRedirects(ctx, "acme", "shop", []string{"https://b.example/", "https://a.example/"}, nil))(t); !reflect.DeepEqual(changed, want) || generation == f.Generation() {
		t.Errorf("changed to %+v\nwant %+v", changed, want)
	}
	for _, bad := range [][]string{nil, {"https://*.example/"}, {"http://app.example/"}} {
		_, err := f.SetRedirects(ctx, "acme", "shop", bad, nil)
		if invalid := (*tenant.Invalid)(nil); !errors.As(err, &invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	_, err := f.SetRedirects(ctx, "acme", "nobody-here", want.RedirectURIs, nil)
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.SetRedirects(ctx, "acme", "ci", want.RedirectURIs, nil)
	if invalid := (*tenant.Invalid)(nil); !errors.As(err, &invalid) {
		t.Errorf("a service with redirects: %v", err)
	}
	unbound := given
	unbound.ID, unbound.DPoP, unbound.DPoPReason = "unbound", tenant.DPoPOffered, ""
	_, err = f.CreateClient(ctx, "uid 7", unbound)
	if invalid := (*tenant.Invalid)(nil); !errors.As(err, &invalid) {
		t.Errorf("a public client without a bound token and without a reason: %v", err)
	}
	ok(f.DisableClient(ctx, "uid 7", "acme", "shop"))(t)
	_, err = f.SetRedirects(ctx, "acme", "shop", want.RedirectURIs, nil)
	wantReason(t, err, tenant.ErrDisabled)
	if types := ok(f.ClientTypes(ctx, "acme"))(t); !slices.Equal(types, []tenant.ClientType{tenant.Service}) {
		t.Errorf("there are live clients of the types %v", types)
	}
}

func testClientNames(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	api := f.mustAPI("acme", audience)
	f.mustClient("acme", "ci")
	for _, id := range []string{"ci", "CI", api.ID} {
		_, err := f.CreateClient(ctx, "uid 7", newClient("acme", id))
		wantReason(t, err, tenant.ErrExists)
	}
	other := f.mustTenant("globex")
	f.mustAPI(other.ID, audience)
	f.mustClient(other.ID, "ci") // each tenant has its own
	ok(f.DisableClient(ctx, "uid 7", "acme", "ci"))(t)
	f.reopen()
	for _, id := range []string{"ci", "Ci"} {
		_, err := f.CreateClient(ctx, "uid 7", newClient("acme", id))
		wantReason(t, err, tenant.ErrUsedBefore)
	}
}

func testClientRules(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	api := f.mustAPI("acme", audience)
	for why, change := range map[string]func(*tenant.Client){
		"no live API":              func(c *tenant.Client) { c.APIs[0].Audience = "https://other.example" },
		`"delete" is none of`:      func(c *tenant.Client) { c.APIs[0].Scopes = []string{"read", "delete"} },
		"not on the tenant's list": func(c *tenant.Client) { c.Claims = map[string]string{"team": "7"} },
	} {
		c := newClient("acme", "ci")
		change(&c)
		_, err := f.CreateClient(ctx, "uid 7", c)
		var invalid *tenant.Invalid
		if !errors.As(err, &invalid) || !strings.Contains(invalid.Why, why) {
			t.Errorf("got %v, want %q", err, why)
		}
	}
	ok(f.DisableAPI(ctx, "uid 7", "acme", api.ID))(t)
	_, err := f.CreateClient(ctx, "uid 7", newClient("acme", "ci"))
	var invalid *tenant.Invalid
	if !errors.As(err, &invalid) || !strings.Contains(invalid.Why, "no live API") {
		t.Errorf("a client of a disabled API: %v", err)
	}
	if all := ok(f.Clients(ctx, "acme"))(t); len(all) != 0 {
		t.Errorf("refused clients were kept: %+v", all)
	}
	f.mustAPI("acme", "https://b.acme.example")
	c := newClient("acme", "ci") // the id was not used up by the refusals
	c.APIs[0].Audience = "https://b.acme.example"
	ok(f.CreateClient(ctx, "uid 7", c))(t)
	shared := newClient("acme", "cd")
	shared.APIs[0].Audience, shared.Secrets = "https://b.acme.example", c.Secrets
	_, err = f.CreateClient(ctx, "uid 7", shared)
	wantReason(t, err, tenant.ErrConflict)
}

func testRotation(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustAPI("acme", audience)
	first := f.mustClient("acme", "ci").Secrets[0]
	f.clock.advance(time.Hour)
	hash := newHash()
	c := ok(f.RotateSecret(ctx, "acme", "ci", hash, 24*time.Hour))(t)
	now := f.clock.Now()
	want := []tenant.Secret{{Hash: hash, CreatedAt: now}, {Hash: first.Hash, CreatedAt: first.CreatedAt, ExpiresAt: now.Add(24 * time.Hour)}}
	if !slices.Equal(c.Secrets, want) {
		t.Errorf("after a rotation: %+v\nwant %+v", c.Secrets, want)
	}
	_, err := f.RotateSecret(ctx, "acme", "ci", newHash(), time.Hour)
	wantReason(t, err, tenant.ErrConflict)
	if got := ok(f.Client(ctx, "acme", "ci"))(t); !slices.Equal(got.Secrets, want) {
		t.Errorf("a refused rotation changed the secrets: %+v", got.Secrets)
	}

	f.clock.advance(24 * time.Hour) // the first has ended
	second, hash := hash, newHash()
	c = ok(f.RotateSecret(ctx, "acme", "ci", hash, time.Hour))(t)
	now = f.clock.Now()
	want = []tenant.Secret{{Hash: hash, CreatedAt: now}, {Hash: second, CreatedAt: start.Add(time.Hour), ExpiresAt: now.Add(time.Hour)}}
	if !slices.Equal(c.Secrets, want) {
		t.Errorf("after the second rotation: %+v\nwant %+v", c.Secrets, want)
	}

	hash = newHash() // a leak: all others end now, although two are live
	c = ok(f.RotateSecret(ctx, "acme", "ci", hash, 0))(t)
	if !slices.Equal(c.Secrets, []tenant.Secret{{Hash: hash, CreatedAt: now}}) {
		t.Errorf("after a rotation without overlap: %+v", c.Secrets)
	}
	if got := ok(f.Client(ctx, "acme", "ci"))(t); !reflect.DeepEqual(got, c) {
		t.Errorf("read %+v\nwant %+v", got, c)
	}
}

func testRotationRefuses(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustAPI("acme", audience)
	old := f.mustClient("acme", "ci").Secrets[0]
	keyed := newClient("acme", "batch")
	keyed.Auth, keyed.Secrets = "private_key_jwt", nil
	keyed.Keys = ok(tenant.ParseKeySet([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)))(t)
	ok(f.CreateClient(ctx, "uid 7", keyed))(t)

	_, err := f.RotateSecret(ctx, "acme", "nobody-here", newHash(), 0)
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.RotateSecret(ctx, "acme", "batch", newHash(), 0)
	wantReason(t, err, tenant.ErrConflict)
	for _, overlap := range []time.Duration{-1, 30*24*time.Hour + 1} {
		_, err = f.RotateSecret(ctx, "acme", "ci", newHash(), overlap)
		wantReason(t, err, tenant.ErrConflict)
	}
	_, err = f.RotateSecret(ctx, "acme", "ci", old.Hash, time.Hour)
	wantReason(t, err, tenant.ErrConflict)
	if got := ok(f.Client(ctx, "acme", "ci"))(t); !slices.Equal(got.Secrets, []tenant.Secret{old}) {
		t.Errorf("refused rotations changed the secrets: %+v", got.Secrets)
	}
	ok(f.DisableClient(ctx, "uid 7", "acme", "ci"))(t)
	_, err = f.RotateSecret(ctx, "acme", "ci", newHash(), 0)
	wantReason(t, err, tenant.ErrDisabled)
}
