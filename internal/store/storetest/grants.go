package storetest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// Codes keeps authorization codes.
type Codes interface {
	SaveCode(ctx context.Context, c tenant.Code) error
	Code(ctx context.Context, tenantID string, hash secret.Hash) (tenant.Code, error)
	RedeemCode(ctx context.Context, tenantID string, hash secret.Hash, r tenant.Redemption) (tenant.Code, error)
	Given(ctx context.Context, tenantID, person string) ([]tenant.Code, error)
}

// Consents keeps what people have allowed.
type Consents interface {
	Consent(ctx context.Context, tenantID, person, client string) (tenant.Consent, error)
	Consents(ctx context.Context, tenantID, person string) ([]tenant.Consent, error)
	SaveConsent(ctx context.Context, more tenant.Consent) (tenant.Consent, error)
	WithdrawConsent(ctx context.Context, tenantID, person, client, actor string) (withdrawn bool, err error)
}

// Families keeps families of refresh tokens.
type Families interface {
	Family(ctx context.Context, tenantID, id string) (tenant.Family, error)
	Families(ctx context.Context, tenantID, person string) ([]tenant.Family, error)
	RecentFamily(tenantID, id string) (tenant.Family, bool)
	RotateFamily(ctx context.Context, tenantID string, r tenant.Rotation) (tenant.Family, tenant.Verdict, error)
}

// Endings stop families, for now or for good.
type Endings interface {
	SuspendFamily(ctx context.Context, tenantID, person, id string, why tenant.Suspicion) (f tenant.Family, suspended bool, err error)
	ResumeFamily(ctx context.Context, tenantID, person, id string) (f tenant.Family, resumed bool, err error)
	RevokeFamily(ctx context.Context, tenantID, id, actor string) error
}

// party is a person who is signed in, and a client.
type party struct {
	person  tenant.Person
	key     tenant.Passkey
	session tenant.Session
	client  tenant.Client
}

func (f *fixture) mustParty(tenantID, login, client string) party {
	f.t.Helper()
	p := party{person: f.mustPerson(tenantID, login, ""), client: f.mustApplication(tenantID, client)}
	p.key = f.mustPasskey(p.person, "laptop")
	p.session = f.mustSignIn(p.key, 1)
	p.mustAllow(f)
	return p
}

// mustAllow has the person allow what a new code gives.
func (p party) mustAllow(f *fixture) {
	f.t.Helper()
	c := p.newCode(f.clock.Now())
	ok(f.SaveConsent(f.t.Context(), tenant.Consent{Tenant: c.Tenant, Person: c.Person, Client: c.Client}.With(c.Scope, c.Resources)))(f.t)
}

func (f *fixture) mustAcme() party {
	f.t.Helper()
	f.mustTenant("acme")
	f.mustAPI("acme", audience)
	return f.mustParty("acme", "ada@acme.example", "web")
}

func (p party) newCode(now time.Time) tenant.Code {
	return tenant.Code{Hash: randomHash(), Tenant: p.person.Tenant, Client: p.client.ID, Person: p.person.ID, Session: p.session.ID,
		RedirectURI: p.client.RedirectURIs[0], Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", Nonce: "n-0S6_WzA2Mj", JKT: "jkt",
		Scope: oauth.Scope{"openid", "read"}, Resources: []string{audience}, SignedInAt: p.session.At, ACR: "phr", AMR: []string{"swk", "user"},
		IssuedAt: now, ExpiresAt: now.Add(tenant.CodeLife)}
}

func (p party) newFamily(offline bool, now time.Time) tenant.Family {
	return tenant.Family{ID: tenant.NewFamilyID().String(), Tenant: p.person.Tenant, Client: p.client.ID, Person: p.person.ID, Session: p.session.ID,
		Offline: offline, Scope: oauth.Scope{"openid", "read"}, Resources: []string{audience}, SignedInAt: p.session.At, ACR: "phr", AMR: []string{"swk", "user"},
		Current: randomHash(), CreatedAt: now, Released: []tenant.Released{{JTI: "first", ExpiresAt: now.Add(10 * time.Minute)}}}
}

// mustFamily keeps a family by the only way there is: a code that is redeemed.
func (f *fixture) mustFamily(p party, offline bool, change func(*tenant.Family)) tenant.Family {
	f.t.Helper()
	now := f.clock.Now()
	c, n := p.newCode(now), p.newFamily(offline, now)
	if change != nil {
		change(&n)
	}
	if err := f.SaveCode(f.t.Context(), c); err != nil {
		f.t.Fatal(err)
	}
	ok(f.RedeemCode(f.t.Context(), c.Tenant, c.Hash, tenant.Redemption{Token: tenant.Released{JTI: "first", ExpiresAt: now.Add(time.Minute)}, Family: &n}))(f.t)
	return ok(f.Family(f.t.Context(), c.Tenant, n.ID))(f.t)
}

// next is the first use of a family's present token.
func next(n tenant.Family, jti string) tenant.Rotation {
	return tenant.Rotation{
		Presented: tenant.Presented{Family: n.ID, Generation: n.Generation, Hash: n.Current, Client: n.Client, JKT: n.JKT, Window: tenant.UnboundReplay},
		Successor: randomHash(), Sealed: []byte("sealed " + jti), Token: tenant.Released{JTI: jti, ExpiresAt: n.UsedAt.Add(time.Hour)},
	}
}

func (f *fixture) mustRotate(n tenant.Family, jti string) tenant.Family {
	f.t.Helper()
	n, v, err := f.RotateFamily(f.t.Context(), n.Tenant, next(n, jti))
	if err != nil || v != tenant.Rotates {
		f.t.Fatalf("rotating: %v, %v", v, err)
	}
	return n
}

func testCodes(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.mustAcme()
	f.mustTenant("globex")
	c := p.newCode(start)
	if err := f.SaveCode(ctx, c); err != nil {
		t.Fatal(err)
	}
	f.reopen() // a restart between the browser and the client loses nothing
	c.Passkey = p.key.ID
	if got := ok(f.Code(ctx, "acme", c.Hash))(t); !reflect.DeepEqual(got, c) {
		t.Errorf("kept %+v\nwant %+v", got, c)
	}
	_, err := f.Code(ctx, "globex", c.Hash)
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.RedeemCode(ctx, "globex", c.Hash, tenant.Redemption{})
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.RedeemCode(ctx, "acme", randomHash(), tenant.Redemption{})
	wantReason(t, err, tenant.ErrNotFound)

	token := tenant.Released{JTI: "one", ExpiresAt: start.Add(10 * time.Minute)}
	family := p.newFamily(true, start)
	c = ok(f.RedeemCode(ctx, "acme", c.Hash, tenant.Redemption{Token: token, Family: &family}))(t)
	if !c.RedeemedAt.Equal(start) || c.Gave != token || c.Family != family.ID {
		t.Errorf("redeemed as %+v", c)
	}
	if n := ok(f.Family(ctx, "acme", family.ID))(t); !n.Live(start) || n.Generation != 1 || n.SID != p.session.ID {
		t.Errorf("it gave the family %+v", n)
	}
	f.reopen()
	f.clock.advance(tenant.CodeLife) // reuse is known for longer than the code would have lived
	again, err := f.RedeemCode(ctx, "acme", c.Hash, tenant.Redemption{Token: tenant.Released{JTI: "two"}})
	wantReason(t, err, tenant.ErrCodeReused)
	if again.Gave != token || again.Family != family.ID {
		t.Errorf("the second learns %+v, and the first got %+v", again.Gave, token)
	}
	if n := ok(f.Family(ctx, "acme", family.ID))(t); n.RevokedAt.IsZero() {
		t.Error("what the code gave still lives")
	}
	f.clock.advance(tenant.CodeMemory)
	for range 2 {
		if err := f.SaveCode(ctx, p.newCode(f.clock.Now())); err != nil {
			t.Fatal(err)
		}
	}
	_, err = f.Code(ctx, "acme", c.Hash)
	wantReason(t, err, tenant.ErrNotFound) // swept

	for what, change := range map[string]func(*tenant.Code){
		"nobody's":        func(c *tenant.Code) { c.Person = "" },
		"no challenge":    func(c *tenant.Code) { c.Challenge = "" },
		"lives too long":  func(c *tenant.Code) { c.ExpiresAt = c.IssuedAt.Add(tenant.CodeLife + time.Second) },
		"no redirect URI": func(c *tenant.Code) { c.RedirectURI = "" },
	} {
		c := p.newCode(f.clock.Now())
		change(&c)
		if err := f.SaveCode(ctx, c); err == nil {
			t.Errorf("%s: it was kept", what)
		}
	}
}

func testCodesOver(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.mustAcme()
	for what, end := range map[string]func(p party){
		"expired": func(party) { f.clock.advance(tenant.CodeLife) },
		"session ended": func(p party) {
			ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.person.ID, Session: p.session.ID}))(t)
		},
		"person disabled":  func(p party) { ok(f.DisablePerson(ctx, "acme", p.person.ID))(t) },
		"client disabled":  func(p party) { ok(f.DisableClient(ctx, "uid 7", "acme", p.client.ID))(t) },
		"another's client": nil,
	} {
		if end == nil {
			c := p.newCode(f.clock.Now())
			c.Client = "nobody"
			wantReason(t, f.SaveCode(ctx, c), tenant.ErrNotFound)
			continue
		}
		name := "p" + tenant.NewFamilyID().String()
		p := f.mustParty("acme", name, name)
		c, n := p.newCode(f.clock.Now()), p.newFamily(false, f.clock.Now())
		if err := f.SaveCode(ctx, c); err != nil {
			t.Fatal(err)
		}
		end(p)
		_, err := f.RedeemCode(ctx, "acme", c.Hash, tenant.Redemption{Family: &n})
		if wantReason(t, err, tenant.ErrNotFound); t.Failed() {
			t.Fatal(what)
		}
		if _, err := f.Family(ctx, "acme", n.ID); err == nil {
			t.Errorf("%s: a family came of it", what)
		}
	}
	c, n := p.newCode(f.clock.Now()), p.newFamily(true, f.clock.Now())
	if err := f.SaveCode(ctx, c); err != nil {
		t.Fatal(err)
	}
	if err := f.SignIn(ctx, newSession(p.key, f.clock.Now()), used(p.key, 2), p.session.Hash); err != nil {
		t.Fatal(err)
	}
	ok(f.RedeemCode(ctx, "acme", c.Hash, tenant.Redemption{Family: &n}))(t) // what outlives the session needs none
}

// testCodeAgainstWithdrawal: a code is kept while its person takes back what they allowed. Whichever comes first, no code is
// good afterwards.
func testCodeAgainstWithdrawal(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.mustAcme()
	kept := 0
	for range 200 {
		p.mustAllow(f)
		c, n := p.newCode(f.clock.Now()), p.newFamily(true, f.clock.Now())
		errs := together(2, func(i int) error {
			if i == 0 {
				return f.SaveCode(ctx, c)
			}
			_, err := f.WithdrawConsent(ctx, "acme", p.person.ID, p.client.ID, "uid:0")
			return err
		})
		if errs[1] != nil {
			t.Fatal(errs[1])
		}
		if errs[0] == nil {
			kept++
		} else {
			wantReason(t, errs[0], tenant.ErrNotFound)
		}
		_, err := f.RedeemCode(ctx, "acme", c.Hash, tenant.Redemption{Family: &n})
		if !errors.Is(err, tenant.ErrNotFound) {
			t.Fatalf("a code outlives what its person took back: saved with %v, redeemed with %v", errs[0], err)
		}
	}
	t.Logf("of 200 codes %d were kept before what they gave was taken back", kept)

	// The rest of what may have changed, one after the other.
	p.mustAllow(f)
	moved := p.newCode(f.clock.Now())
	moved.RedirectURI += "/elsewhere"
	wantReason(t, f.SaveCode(ctx, moved), tenant.ErrNotFound)
	more := p.newCode(f.clock.Now())
	more.Scope = append(more.Scope, "write")
	wantReason(t, f.SaveCode(ctx, more), tenant.ErrNotFound)
	service := p
	service.client = f.mustClient("acme", "service")
	service.client.RedirectURIs = p.client.RedirectURIs
	wantReason(t, f.SaveCode(ctx, service.newCode(f.clock.Now())), tenant.ErrNotFound)
	trusted := newApplication("acme", "trusted")
	trusted.Trusted = true
	p.client = ok(f.CreateClient(ctx, "uid 7", trusted))(t)
	if err := f.SaveCode(ctx, p.newCode(f.clock.Now())); err != nil {
		t.Errorf("the organisation's own application: %v", err)
	}
}

func testCodeRace(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.mustAcme()
	c := p.newCode(start)
	if err := f.SaveCode(ctx, c); err != nil {
		t.Fatal(err)
	}
	var gave [16]tenant.Code
	winner := -1
	errs := together(len(gave), func(i int) (err error) {
		n := p.newFamily(true, start)
		gave[i], err = f.RedeemCode(ctx, "acme", c.Hash, tenant.Redemption{Token: tenant.Released{JTI: n.ID}, Family: &n})
		return err
	})
	for i, err := range errs {
		if err == nil && winner >= 0 {
			t.Fatal("two redeemed one code")
		}
		if err == nil {
			winner = i
		}
	}
	if winner < 0 {
		t.Fatal(errs)
	}
	for i, err := range errs {
		if i == winner {
			continue
		}
		wantReason(t, err, tenant.ErrCodeReused)
		if gave[i].Gave != gave[winner].Gave || gave[i].Family != gave[winner].Family || gave[i].Family == "" {
			t.Errorf("a loser learns %+v, the winner got %+v", gave[i].Gave, gave[winner].Gave)
		}
	}
	if all := ok(f.Families(ctx, "acme", p.person.ID))(t); len(all) != 0 {
		t.Errorf("%d families live on", len(all))
	}
}

func testConsents(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.mustAcme()
	if !ok(f.WithdrawConsent(ctx, "acme", p.person.ID, "web", "uid:0"))(t) {
		t.Fatal("there was nothing")
	}
	const other = "https://other.acme.example"
	_, err := f.Consent(ctx, "acme", p.person.ID, "web")
	wantReason(t, err, tenant.ErrNotFound)
	give := func(scope oauth.Scope, resources ...string) tenant.Consent {
		return ok(f.SaveConsent(ctx, tenant.Consent{Tenant: "acme", Person: p.person.ID, Client: "web"}.With(scope, resources)))(t)
	}
	give(oauth.Scope{"openid", "read"}, audience)
	f.clock.advance(time.Hour)
	give(oauth.Scope{"write"}, other)
	f.reopen()
	c := ok(f.Consent(ctx, "acme", p.person.ID, "web"))(t)
	if !c.GivenAt.Equal(start) || !c.ChangedAt.Equal(start.Add(time.Hour)) {
		t.Errorf("given %v, changed %v", c.GivenAt, c.ChangedAt)
	}
	for _, q := range []struct {
		scope     oauth.Scope
		resources []string
		want      bool
	}{
		{oauth.Scope{"read", "openid"}, []string{audience}, true},
		{oauth.Scope{"read"}, []string{audience}, true},
		{nil, []string{audience}, true},
		{oauth.Scope{"openid"}, nil, true},
		{oauth.Scope{"write"}, []string{other}, true},
		{oauth.Scope{"write"}, []string{audience}, false}, // it may write elsewhere
		{oauth.Scope{"read"}, []string{audience, other}, false},
		{oauth.Scope{"read"}, nil, false},
		{oauth.Scope{"openid", "profile"}, nil, false},
		{oauth.Scope{"openid"}, []string{other}, false},
		{nil, []string{"https://third.acme.example"}, false},
	} {
		if got := c.Covers(q.scope, q.resources); got != q.want {
			t.Errorf("%v at %v: %v", q.scope, q.resources, got)
		}
	}
	if all := ok(f.Consents(ctx, "acme", p.person.ID))(t); len(all) != 1 || !reflect.DeepEqual(all[0], c) {
		t.Errorf("all: %+v", all)
	}
	family, others := f.mustFamily(p, true, nil), f.mustFamily(f.mustParty("acme", "bob@acme.example", "cli"), true, nil)
	for _, first := range []bool{true, false} {
		if withdrawn := ok(f.WithdrawConsent(ctx, "acme", p.person.ID, "web", "uid:0"))(t); withdrawn != first {
			t.Errorf("withdrawn: %v, want %v", withdrawn, first)
		}
		if n := ok(f.Family(ctx, "acme", family.ID))(t); n.RevokedAt.IsZero() {
			t.Error("its family goes on")
		}
	}
	if n := ok(f.Family(ctx, "acme", others.ID))(t); !n.Live(f.clock.Now()) {
		t.Error("another person's application lost its access")
	}
	ok(f.DisableClient(ctx, "uid 7", "acme", "web"))(t)
	_, err = f.SaveConsent(ctx, c)
	wantReason(t, err, tenant.ErrDisabled)
}

func testFamilies(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.mustAcme()
	f.mustTenant("globex")
	one := f.mustFamily(p, true, nil)
	if !one.EndsAt.Equal(start.Add(tenant.FamilyLongest)) || !one.ExpiresAt.Equal(start.Add(tenant.FamilyIdle)) {
		t.Errorf("it ends at %v, and at %v unless it is used", one.EndsAt, one.ExpiresAt)
	}
	f.clock.advance(time.Minute)
	r := next(one, "second")
	two, v, err := f.RotateFamily(ctx, "acme", r)
	if err != nil || v != tenant.Rotates {
		t.Fatalf("%v, %v", v, err)
	}
	want := one
	want.Generation, want.Current, want.Previous, want.ConsumedAt, want.Successor = 2, r.Successor, one.Current, f.clock.Now(), r.Sealed
	want.UsedAt, want.ExpiresAt = f.clock.Now(), f.clock.Now().Add(tenant.FamilyIdle)
	want.Released = []tenant.Released{r.Token, one.Released[0]}
	f.reopen()
	for _, got := range []tenant.Family{two, ok(f.Family(ctx, "acme", one.ID))(t)} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
	_, _, err = f.RotateFamily(ctx, "globex", next(two, "third"))
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.Family(ctx, "globex", one.ID)
	wantReason(t, err, tenant.ErrNotFound)

	// Bound from its first token, or never.
	r = next(two, "third")
	r.JKT = "key"
	if three, v, err := f.RotateFamily(ctx, "acme", r); err != nil || v != tenant.Rotates || three.JKT != "" {
		t.Errorf("%v, %v, bound to %q", v, err, three.JKT)
	}
	bound := f.mustFamily(p, true, func(n *tenant.Family) { n.JKT = "key" })
	if again, v, err := f.RotateFamily(ctx, "acme", next(bound, "second")); err != nil || v != tenant.Rotates || again.JKT != "key" {
		t.Errorf("%v, %v, bound to %q", v, err, again.JKT)
	}

	// However much it is used, it ends.
	n := f.mustFamily(p, false, nil)
	if !n.EndsAt.Equal(p.session.At.Add(tenant.SessionLongest)) {
		t.Errorf("it ends at %v", n.EndsAt)
	}
	for f.clock.Now().Add(tenant.SessionIdle / 2).Before(n.EndsAt) {
		f.clock.advance(tenant.SessionIdle / 2)
		n = f.mustRotate(n, "x")
	}
	if len(n.Released) != 1 {
		t.Errorf("%d tokens are remembered, and one is alive", len(n.Released))
	}
	f.clock.advance(tenant.SessionIdle / 2)
	if _, v, err := f.RotateFamily(ctx, "acme", next(n, "late")); err != nil || v != tenant.Refused {
		t.Errorf("after its end: %v, %v", v, err)
	}
	many := f.mustFamily(p, true, nil)
	for range 40 {
		many = f.mustRotate(many, "x")
	}
	if len(many.Released) > 16 {
		t.Errorf("%d tokens are remembered", len(many.Released))
	}
}

// testRecentFamilies begins rotations with what is remembered of a family, and something else has happened to it since.
func testRecentFamilies(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.mustAcme()
	for what, c := range map[string]struct {
		meanwhile func(n tenant.Family)
		want      tenant.Verdict
	}{
		"nothing":   {func(tenant.Family) {}, tenant.Rotates},
		"suspended": {func(n tenant.Family) { f.SuspendFamily(ctx, "acme", n.Person, n.ID, tenant.SuspendedByHand) }, tenant.Refused},
		"revoked":   {func(n tenant.Family) { f.RevokeFamily(ctx, "acme", n.ID, "uid:0") }, tenant.Refused},
		"turned":    {func(n tenant.Family) { f.mustRotate(n, "faster") }, tenant.Replays},
		"let go on": {func(n tenant.Family) {
			f.SuspendFamily(ctx, "acme", n.Person, n.ID, tenant.SuspendedByHand)
			f.ResumeFamily(ctx, "acme", n.Person, n.ID)
		}, tenant.Rotates},
	} {
		n := f.mustFamily(p, true, nil)
		if _, remembered := f.RecentFamily("acme", n.ID); remembered {
			t.Errorf("%s: a family is remembered that was never turned", what)
		}
		n = f.mustRotate(n, "second")
		if got, remembered := f.RecentFamily("acme", n.ID); !remembered || !reflect.DeepEqual(got, n) {
			t.Errorf("%s: remembered is %+v\nand it was %+v", what, got, n)
		}
		if _, remembered := f.RecentFamily("globex", n.ID); remembered {
			t.Errorf("%s: another tenant's family is remembered", what)
		}
		c.meanwhile(n)
		r := next(n, "third")
		r.Seen = n
		got, v, err := f.RotateFamily(ctx, "acme", r)
		if err != nil || v != c.want {
			t.Errorf("%s: %v, %v", what, v, err)
		}
		if is := ok(f.Family(ctx, "acme", n.ID))(t); !reflect.DeepEqual(got, is) {
			t.Errorf("%s: told is %+v\nand it is %+v", what, got, is)
		}
	}
	n := f.mustRotate(f.mustFamily(p, true, nil), "second")
	f.reopen()
	if _, remembered := f.RecentFamily("acme", n.ID); remembered {
		t.Error("a family is remembered beyond a restart")
	}
}

func testReplay(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.mustAcme()
	one := f.mustFamily(p, true, nil)
	first := next(one, "second")
	two, _, err := f.RotateFamily(ctx, "acme", first)
	if err != nil {
		t.Fatal(err)
	}
	again := first
	again.Successor, again.Sealed, again.Token.JTI = randomHash(), []byte("another"), "again"
	f.clock.advance(tenant.UnboundReplay - time.Millisecond)
	for range 2 { // as often as it is lost
		got, v, err := f.RotateFamily(ctx, "acme", again)
		if err != nil || v != tenant.Replays || string(got.Successor) != "sealed second" || got.Generation != 2 || got.Current != two.Current || got.Replayed != 1 {
			t.Fatalf("%v, %v, %+v", v, err, got)
		}
		if !slices.ContainsFunc(got.Released, func(r tenant.Released) bool { return r.JTI == "again" }) {
			t.Error("the second access token is not remembered")
		}
	}
	three := f.mustRotate(two, "third")
	if three.Replayed != 1 {
		t.Error("forgot that the one before was sent twice")
	}
	four := f.mustRotate(three, "fourth") // in between there was none
	r := next(three, "again")
	if got, v, err := f.RotateFamily(ctx, "acme", r); err != nil || v != tenant.Replays || got.Replayed != 3 || string(got.Successor) != "sealed fourth" {
		t.Errorf("%v, %v, %+v", v, err, got)
	}
	if _, _, err := f.RotateFamily(ctx, "acme", next(four, "fifth")); err != nil {
		t.Fatal(err)
	}
	if got, v, err := f.RotateFamily(ctx, "acme", next(four, "again")); err != nil || v != tenant.Suspends || got.Suspicion != tenant.ReplaysInARow {
		t.Errorf("replays of 3 and 4: %v, %v, %s", v, err, got.Suspicion)
	}
}

func testSuspicions(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.mustAcme()
	bind := func(n *tenant.Family) { n.JKT = "key" }
	for _, c := range []struct {
		name    string
		change  func(r *tenant.Rotation)
		older   bool          // the token of the first generation, with two after it
		used    bool          // the token of the first generation, with one after it
		wait    time.Duration // before it comes
		late    bool          // it arrived in time, and was judged when its successor had been used
		verdict tenant.Verdict
		why     tenant.Suspicion
	}{
		{name: "another client", change: func(r *tenant.Rotation) { r.Client = "cli" }, verdict: tenant.Suspends, why: tenant.OtherClient},
		{name: "another client, used", change: func(r *tenant.Rotation) { r.Client = "cli" }, used: true, verdict: tenant.Suspends, why: tenant.OtherClient},
		{name: "another key", change: func(r *tenant.Rotation) { r.JKT = "other" }, verdict: tenant.Suspends, why: tenant.OtherKey},
		{name: "another key, used", change: func(r *tenant.Rotation) { r.JKT = "other" }, used: true, verdict: tenant.Suspends, why: tenant.OtherKey},
		{name: "no key", change: func(r *tenant.Rotation) { r.JKT = "" }, verdict: tenant.Refused},
		{name: "no key, used", change: func(r *tenant.Rotation) { r.JKT = "" }, used: true, verdict: tenant.Refused},
		{name: "no key, older", change: func(r *tenant.Rotation) { r.JKT = "" }, older: true, verdict: tenant.Suspends, why: tenant.OlderGeneration},
		{name: "older, and in time when it arrived", older: true, late: true, verdict: tenant.Refused},
		{name: "another client's, in time when it arrived", older: true, late: true, change: func(r *tenant.Rotation) { r.Client = "cli" }, verdict: tenant.Suspends, why: tenant.OtherClient},
		{name: "older", older: true, verdict: tenant.Suspends, why: tenant.OlderGeneration},
		{name: "used, in time", used: true, wait: tenant.BoundReplay - 3*time.Millisecond, verdict: tenant.Replays},
		{name: "used, too late", used: true, wait: tenant.BoundReplay, verdict: tenant.Suspends, why: tenant.OlderGeneration},
		{name: "forked", change: func(r *tenant.Rotation) { r.Hash = randomHash() }, verdict: tenant.Suspends, why: tenant.Forked},
		{name: "used and forged", change: func(r *tenant.Rotation) { r.Hash = randomHash() }, used: true, verdict: tenant.Suspends, why: tenant.OlderGeneration},
		{name: "ahead", change: func(r *tenant.Rotation) { r.Generation += 5 }, verdict: tenant.Refused},
	} {
		one := f.mustFamily(p, true, bind)
		r, now := next(one, "x"), one
		r.Window = tenant.BoundReplay
		r.At = f.clock.Now()
		if c.used || c.older {
			now = f.mustRotate(now, "second")
		}
		if f.clock.advance(time.Millisecond); c.older {
			now = f.mustRotate(now, "third")
		}
		if f.clock.advance(c.wait); !c.late {
			f.clock.advance(time.Millisecond)
			r.At = f.clock.Now()
		}
		if c.change != nil {
			c.change(&r)
		}
		got, v, err := f.RotateFamily(ctx, "acme", r)
		if err != nil || v != c.verdict || got.Suspicion != c.why || got.SuspendedAt.IsZero() != (c.why == "") {
			t.Errorf("%s: %v, %v, suspended %v for %q", c.name, v, err, got.SuspendedAt, got.Suspicion)
		}
		if got.Generation != now.Generation || got.Current != now.Current || !got.RevokedAt.IsZero() {
			t.Errorf("%s: it became %+v", c.name, got)
		}
		if c.why == "" {
			continue
		}
		if len(got.Successor) != 0 || !got.ConsumedAt.IsZero() {
			t.Errorf("%s: the sealed successor is still there", c.name)
		}
		f.reopen()
		if _, v, err := f.RotateFamily(ctx, "acme", next(now, "y")); err != nil || v != tenant.Refused {
			t.Errorf("%s: suspended, it gives %v, %v", c.name, v, err)
		}
		_, _, err = f.ResumeFamily(ctx, "acme", "somebody", one.ID)
		wantReason(t, err, tenant.ErrNotFound)
		resumed, was, err := f.ResumeFamily(ctx, "acme", p.person.ID, one.ID)
		if err != nil || !was || !resumed.Live(f.clock.Now()) {
			t.Errorf("%s: resuming: %v, %v", c.name, was, err)
		}
		if c.used {
			r.Client, r.JKT = one.Client, one.JKT
			if _, v, err := f.RotateFamily(ctx, "acme", r); err != nil || v != tenant.Suspends {
				t.Errorf("%s: resuming opened the window again: %v, %v", c.name, v, err)
			}
			ok3(t)(f.ResumeFamily(ctx, "acme", p.person.ID, one.ID))
		}
		f.mustRotate(resumed, "z")
	}
}

func ok3(t *testing.T) func(tenant.Family, bool, error) tenant.Family {
	return func(n tenant.Family, did bool, err error) tenant.Family {
		t.Helper()
		if err != nil || !did {
			t.Fatalf("%v, %v", did, err)
		}
		return n
	}
}

func testFamilyRace(t *testing.T, f *fixture) {
	ctx := t.Context()
	one := f.mustFamily(f.mustAcme(), true, nil)
	var got [16]tenant.Family
	var verdicts [16]tenant.Verdict
	for _, err := range together(len(got), func(i int) (err error) {
		got[i], verdicts[i], err = f.RotateFamily(ctx, "acme", next(one, tenant.NewFamilyID().String()))
		return err
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	count := map[tenant.Verdict]int{}
	for i, v := range verdicts {
		count[v]++
		if got[i].Generation != 2 || string(got[i].Successor) != string(got[0].Successor) || got[i].Current != got[0].Current {
			t.Error("a family has forked")
		}
	}
	if count[tenant.Rotates] != 1 || count[tenant.Replays] != len(got)-1 {
		t.Errorf("verdicts: %v", count)
	}
}

func testFamiliesEnd(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.mustAcme()
	one, two, three := f.mustFamily(p, true, nil), f.mustFamily(p, true, nil), f.mustFamily(p, false, nil)
	suspended := ok3(t)(f.SuspendFamily(ctx, "acme", p.person.ID, two.ID, tenant.SuspendedByHand))
	if _, again, err := f.SuspendFamily(ctx, "acme", p.person.ID, two.ID, tenant.OtherKey); err != nil || again || suspended.Suspicion != tenant.SuspendedByHand {
		t.Errorf("suspended twice: %v, %v", again, err)
	}
	revoke := func(id string) error { return f.RevokeFamily(ctx, "acme", id, "uid:0") }
	for range 2 {
		if err := revoke(one.ID); err != nil {
			t.Fatal(err)
		}
		if gone := ok(f.Family(ctx, "acme", one.ID))(t); gone.Live(start) || gone.RevokedAt.IsZero() {
			t.Error("revoked, it lives")
		}
		if owed := ok(f.Owed(ctx, tenant.Owed{}))(t); len(owed) != 1 || owed[0].Kind != tenant.DistrustToken || owed[0].JTI != "first" || owed[0].Client != "web" || owed[0].Actor != "uid:0" {
			t.Errorf("the ledger is owed %+v", owed)
		}
	}
	wantReason(t, revoke(tenant.NewFamilyID().String()), tenant.ErrNotFound)
	_, _, err := f.ResumeFamily(ctx, "acme", p.person.ID, one.ID)
	wantReason(t, err, tenant.ErrNotFound)
	all := ok(f.Families(ctx, "acme", p.person.ID))(t)
	if len(all) != 2 { // a suspended one is shown
		t.Errorf("%d families are shown", len(all))
	}
	for _, n := range all {
		if err := revoke(n.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, v, err := f.RotateFamily(ctx, "acme", next(three, "x")); err != nil || v != tenant.Refused {
		t.Errorf("revoked, it gives %v, %v", v, err)
	}
	idle := f.mustFamily(p, true, nil)
	f.clock.advance(tenant.FamilyIdle)
	if all := ok(f.Families(ctx, "acme", p.person.ID))(t); len(all) != 0 {
		t.Errorf("%d families are shown", len(all))
	}
	_, _, err = f.SuspendFamily(ctx, "acme", p.person.ID, idle.ID, tenant.SuspendedByHand)
	wantReason(t, err, tenant.ErrNotFound)
	f.clock.advance(tenant.FamilyLongest + tenant.LongestLifetime)
	again := f.mustSignIn(p.key, 9)
	p.session = again
	for range 16 {
		f.mustFamily(p, true, nil)
	}
	_, err = f.Family(ctx, "acme", one.ID)
	wantReason(t, err, tenant.ErrNotFound) // swept
}

func testSessionEnds(t *testing.T, f *fixture) {
	ctx := t.Context()
	first := f.mustAcme()
	live := func(n tenant.Family) bool { return ok(f.Family(ctx, "acme", n.ID))(t).Live(f.clock.Now()) }
	for _, c := range []struct {
		name string
		end  func(p party)
		// Whether what was bound to the session, to another of the same person, and to none, goes on.
		bound, other, offline bool
	}{
		{"signing out", func(p party) {
			ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.person.ID, Session: p.session.ID, SignOut: true}))(t)
		}, false, true, true},
		{"ending it", func(p party) {
			ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.person.ID, Session: p.session.ID}))(t)
		}, false, true, false},
		{"ending others", func(p party) {
			ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.person.ID, Except: p.session.ID}))(t)
		}, true, false, true},
		{"ending all", func(p party) { ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.person.ID}))(t) }, false, false, false},
		{"removing the passkey", func(p party) { ok(f.RemovePasskey(ctx, "acme", p.person.ID, p.key.ID))(t) }, false, true, false},
		{"disabling the person", func(p party) { ok(f.DisablePerson(ctx, "acme", p.person.ID))(t) }, false, false, false},
		{"the same person signs in again", func(p party) {
			if err := f.SignIn(ctx, newSession(p.key, f.clock.Now()), used(p.key, 2), p.session.Hash); err != nil {
				t.Fatal(err)
			}
		}, true, true, true},
		{"somebody else signs in there", func(p party) {
			if err := f.SignIn(ctx, newSession(first.key, f.clock.Now()), used(first.key, 2), p.session.Hash); err != nil {
				t.Fatal(err)
			}
		}, false, true, true},
		{"a cloned passkey", func(p party) {
			wantReason(t, f.SignIn(ctx, newSession(p.key, f.clock.Now()), used(p.key, 0), secret.Hash{}), tenant.ErrCounter)
		}, false, true, false},
		{"a recovery", func(p party) { // last: it takes a day
			link, k := f.mustRecover(p.person), newPasskey(p.person, "new")
			if err := f.Enrol(ctx, link.Hash, k, newSession(k, f.clock.Now()), p.session.Hash); err != nil {
				t.Fatal(err)
			}
		}, false, false, false},
	} {
		name := "p" + tenant.NewFamilyID().String()
		p := f.mustParty("acme", name, name)
		elsewhere := p
		elsewhere.key = f.mustPasskey(p.person, "phone")
		elsewhere.session = f.mustSignIn(elsewhere.key, 1)
		bound, other, offline := f.mustFamily(p, false, nil), f.mustFamily(elsewhere, false, nil), f.mustFamily(p, true, nil)
		strangers := f.mustFamily(first, true, nil)
		c.end(p)
		f.reopen()
		if live(bound) != c.bound || live(other) != c.other || live(offline) != c.offline || !live(strangers) {
			t.Errorf("%s: what was bound lives: %v, to another session: %v, offline: %v, a stranger's: %v", c.name, live(bound), live(other), live(offline), live(strangers))
		}
	}

	// What moved to a new session ends with that one, and still names the one that it came from.
	p := f.mustParty("acme", "eve@acme.example", "moves")
	n := f.mustFamily(p, false, nil)
	again := newSession(p.key, f.clock.Now())
	if err := f.SignIn(ctx, again, used(p.key, 2), p.session.Hash); err != nil {
		t.Fatal(err)
	}
	if moved := ok(f.Family(ctx, "acme", n.ID))(t); moved.Session != again.ID || moved.SID != p.session.ID {
		t.Errorf("it is bound to %s and names %s", moved.Session, moved.SID)
	}
	ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.person.ID, Session: again.ID}))(t)
	if live(n) {
		t.Error("it outlives the session that it moved to")
	}
}
