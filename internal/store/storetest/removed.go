package storetest

import (
	"slices"
	"testing"
	"time"

	"seawall/internal/tenant"
)

// testBegunWithIt: what began with a passkey that is removed ends, wherever its session went, and nothing that began with another.
func testBegunWithIt(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustAcme()
	for what, c := range map[string]struct {
		move func(p, other party) party // what becomes of the session, and which one goes on in its browser
		gone bool                       // whether the session of the browser ends with the first passkey, and not with the other
	}{
		"it stays": {func(p, _ party) party { return p }, true},
		"it ends": {func(p, _ party) party {
			ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.person.ID, Session: p.session.ID, Actor: "uid:0", SignOut: true}))(t)
			return party{}
		}, true},
		"another passkey signs in there": {func(p, other party) party {
			again := other
			again.session = newSession(other.key, f.clock.Now())
			if err := f.SignIn(ctx, again.session, used(other.key, 7), p.session.Hash); err != nil {
				t.Fatal(err)
			}
			return again
		}, false},
	} {
		for _, removesFirst := range []bool{true, false} {
			name := "p" + tenant.NewFamilyID().String()
			p := f.mustParty("acme", name, name)
			other := p
			other.key = f.mustPasskey(p.person, "phone")
			other.session = f.mustSignIn(other.key, 1)
			mine, bound, others := f.mustFamily(p, true, nil), f.mustFamily(p, false, nil), f.mustFamily(other, true, nil)
			f.mustGive(p, "mine", time.Hour)
			f.mustGive(other, "other", time.Hour)
			code := p.newCode(f.clock.Now())
			if err := f.SaveCode(ctx, code); err != nil {
				t.Fatal(err)
			}
			here := c.move(p, other)
			f.forgive()
			k, keeps := p.key, "other"
			if !removesFirst {
				k, keeps = other.key, "mine"
			}
			ok(f.RemovePasskey(ctx, "acme", p.person.ID, k.ID))(t)
			f.reopen()
			live := func(n tenant.Family) bool { return ok(f.Family(ctx, "acme", n.ID))(t).Live(f.clock.Now()) }
			if live(mine) == removesFirst || live(others) != removesFirst {
				t.Errorf("%s, the first is removed %v: what may outlive signing out lives: the first's %v, the other's %v", what, removesFirst, live(mine), live(others))
			}
			if lasts := what == "it stays" && !removesFirst; live(bound) != lasts {
				t.Errorf("%s, the first is removed %v: what lasts as long as the session lives: %v", what, removesFirst, live(bound))
			}
			n := p.newFamily(true, f.clock.Now())
			_, err := f.RedeemCode(ctx, "acme", code.Hash, tenant.Redemption{Family: &n})
			if good := !removesFirst && what != "it ends"; (err == nil) != good {
				t.Errorf("%s, the first is removed %v: its code: %v", what, removesFirst, err)
			}
			var given []string
			for _, one := range ok(f.Given(ctx, "acme", p.person.ID))(t) {
				given = append(given, one.Gave.JTI)
			}
			want := []string{keeps}
			if what == "it ends" && !removesFirst {
				want = nil // it ended before
			}
			if !slices.Equal(given, want) {
				t.Errorf("%s, the first is removed %v: given is %q, want %q", what, removesFirst, given, want)
			}
			if here.session.ID != "" {
				_, _, err := f.Session(ctx, "acme", here.session.Hash)
				if gone := c.gone == removesFirst; (err != nil) != gone {
					t.Errorf("%s, the first is removed %v: the session there: %v", what, removesFirst, err)
				}
			}
			named := map[string]bool{}
			for _, o := range ok(f.Owed(ctx, tenant.Owed{}))(t) {
				if o.Kind != tenant.DistrustSession || o.Actor != tenant.ActorPerson(p.person.ID) || named[o.Session] {
					t.Errorf("%s: owes %+v", what, o)
				}
				named[o.Session] = true
			}
			if named[p.session.ID] != (removesFirst || what == "another passkey signs in there") || named[other.session.ID] == removesFirst {
				t.Errorf("%s, the first is removed %v: the ledger is owed %v; the first's session was %s, the other's %s", what, removesFirst, named, p.session.ID, other.session.ID)
			}
		}
	}
}

// forgive has nothing be owed to the ledger any more.
func (f *fixture) forgive() {
	f.t.Helper()
	var ids []string
	for _, o := range ok(f.Owed(f.t.Context(), tenant.Owed{}))(f.t) {
		ids = append(ids, o.ID)
	}
	if err := f.Paid(f.t.Context(), ids); err != nil {
		f.t.Fatal(err)
	}
}
