package storetest

import (
	"slices"
	"testing"
	"time"

	"seawall/internal/tenant"
)

// mustGive has a client that can't refresh redeem a code for an access token that lives for so long.
func (f *fixture) mustGive(p party, jti string, life time.Duration) tenant.Code {
	f.t.Helper()
	c := p.newCode(f.clock.Now())
	if err := f.SaveCode(f.t.Context(), c); err != nil {
		f.t.Fatal(err)
	}
	return ok(f.RedeemCode(f.t.Context(), "acme", c.Hash, tenant.Redemption{Token: tenant.Released{JTI: jti, ExpiresAt: f.clock.Now().Add(life)}}))(f.t)
}

// owedTokens lists the access tokens that the ledger has yet to distrust.
func (f *fixture) owedTokens() (all []string) {
	f.t.Helper()
	for _, o := range ok(f.Owed(f.t.Context(), tenant.Owed{}))(f.t) {
		if o.Kind != tenant.DistrustToken || o.Tenant != "acme" || o.Person == "" || o.Client == "" || o.Actor != "uid:0" {
			f.t.Errorf("owes %+v", o)
		}
		all = append(all, o.JTI)
	}
	slices.Sort(all)
	return all
}

// testGiven: what an application got that can't refresh is remembered for as long as it lives, and ends with the application, for
// exactly this person and this application.
func testGiven(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.mustAcme()
	also, bob := p, f.mustParty("acme", "bob@acme.example", "cli")
	also.client = f.mustApplication("acme", "also")
	also.mustAllow(f)
	bob.client = p.client
	bob.mustAllow(f)
	given := func() (all []string) {
		t.Helper()
		f.reopen()
		for _, c := range ok(f.Given(ctx, "acme", p.person.ID))(t) {
			all = append(all, c.Gave.JTI)
			if c.Person != p.person.ID || c.RedeemedAt.IsZero() || c.Family != "" || !c.RevokedAt.IsZero() {
				t.Errorf("given %+v", c)
			}
		}
		slices.Sort(all)
		return all
	}
	day, hour := f.mustGive(p, "day", tenant.LongestLifetime), f.mustGive(p, "hour", time.Hour)
	f.mustGive(also, "also", tenant.LongestLifetime)
	f.mustGive(bob, "bob", tenant.LongestLifetime)
	f.mustFamily(p, false, nil) // whose tokens the family remembers
	if got := given(); !slices.Equal(got, []string{"also", "day", "hour"}) {
		t.Errorf("given: %q", got)
	}
	f.clock.advance(tenant.LongestLifetime - time.Minute)
	p.session, also.session = f.mustSignIn(p.key, 2), f.mustSignIn(also.key, 3)
	for range 9 { // each forgets what is over
		f.mustGive(also, "later", time.Millisecond)
		f.clock.advance(time.Millisecond)
	}
	if got := given(); !slices.Equal(got, []string{"also", "day"}) {
		t.Errorf("given a day ago: %q", got)
	}
	_, err := f.Code(ctx, "acme", hour.Hash)
	wantReason(t, err, tenant.ErrNotFound) // swept

	for range 2 {
		ok(f.WithdrawConsent(ctx, "acme", p.person.ID, p.client.ID, "uid:0"))(t)
		if got := given(); !slices.Equal(got, []string{"also"}) {
			t.Errorf("withdrawn, there is %q", got)
		}
		if owed := f.owedTokens(); !slices.Equal(owed, []string{"day"}) {
			t.Errorf("withdrawn, the ledger is owed %q", owed)
		}
	}
	if all := ok(f.Given(ctx, "acme", bob.person.ID))(t); len(all) != 1 || all[0].Gave.JTI != "bob" {
		t.Errorf("another person's: %+v", all)
	}
	_, err = f.RedeemCode(ctx, "acme", day.Hash, tenant.Redemption{})
	wantReason(t, err, tenant.ErrCodeReused) // known for what it is
	f.clock.advance(time.Hour)
	if got := given(); len(got) != 0 {
		t.Errorf("over, there is %q", got)
	}
}

// testGivenTwice: a token whose code came a second time is the ledger's to distrust, and is not there any more.
func testGivenTwice(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.mustAcme()
	c := f.mustGive(p, "twice", time.Hour)
	_, err := f.RedeemCode(ctx, "acme", c.Hash, tenant.Redemption{})
	wantReason(t, err, tenant.ErrCodeReused)
	if all := ok(f.Given(ctx, "acme", p.person.ID))(t); len(all) != 0 {
		t.Errorf("given %+v", all)
	}
	ok(f.WithdrawConsent(ctx, "acme", p.person.ID, p.client.ID, "uid:0"))(t)
	for _, o := range ok(f.Owed(ctx, tenant.Owed{}))(t) {
		if o.Kind == tenant.DistrustToken {
			t.Errorf("owes it once more: %+v", o)
		}
	}
}

// testLastTokenOfAFamily: a family that has ended by itself leaves its last access token behind, which ends with the application.
func testLastTokenOfAFamily(t *testing.T, f *fixture) {
	p := f.mustAcme()
	n := f.mustFamily(p, false, func(n *tenant.Family) { n.Released[0].ExpiresAt = f.clock.Now().Add(tenant.LongestLifetime) })
	f.clock.advance(tenant.SessionIdle)
	if !n.Over(f.clock.Now()) {
		t.Fatal("it goes on")
	}
	ok(f.WithdrawConsent(t.Context(), "acme", p.person.ID, p.client.ID, "uid:0"))(t)
	if owed := f.owedTokens(); !slices.Equal(owed, []string{"first"}) {
		t.Errorf("the ledger is owed %q", owed)
	}
}
