package storetest

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// testCodesEnd: whoever has a code that nobody has redeemed has nothing once the person, or somebody for them, ended what
// it came of: what it would give is to outlive all that.
func testCodesEnd(t *testing.T, f *fixture) {
	ctx := t.Context()
	stranger := f.mustAcme()
	for _, c := range []struct {
		name string
		end  func(p party)
		// Whether a code of another session of the same person, and one of another client in this session, stay good.
		other, client bool
	}{
		{"withdrawing what was allowed", func(p party) {
			if _, err := f.WithdrawConsent(ctx, "acme", p.person.ID, p.client.ID, "uid:0"); err != nil {
				t.Fatal(err)
			}
		}, false, true},
		{"ending the session", func(p party) {
			ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.person.ID, Session: p.session.ID}))(t)
		}, true, false},
		{"ending all sessions", func(p party) { ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.person.ID}))(t) }, false, false},
		{"somebody else signs in there", func(p party) {
			if err := f.SignIn(ctx, newSession(stranger.key, f.clock.Now()), used(stranger.key, 2), p.session.Hash); err != nil {
				t.Fatal(err)
			}
		}, true, false},
		{"removing the passkey", func(p party) { ok(f.RemovePasskey(ctx, "acme", p.person.ID, p.key.ID))(t) }, true, false},
		{"a cloned passkey", func(p party) {
			wantReason(t, f.SignIn(ctx, newSession(p.key, f.clock.Now()), used(p.key, 0), secret.Hash{}), tenant.ErrCounter)
		}, true, false},
		{"a recovery", nil, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := "p" + tenant.NewFamilyID().String()
			p := f.mustParty("acme", name, name)
			elsewhere, also := p, p
			elsewhere.key = f.mustPasskey(p.person, "phone")
			if also.client = f.mustApplication("acme", "also"+name); c.end == nil {
				c.end = f.recovering(p) // the day that it takes comes before the code
			}
			elsewhere.session = f.mustSignIn(elsewhere.key, 1)
			p.session = f.mustSignIn(p.key, 2)
			also.session = p.session
			also.mustAllow(f)
			bystander := f.mustParty("acme", "by"+name, "by"+name)
			code := func(p party) tenant.Code {
				t.Helper()
				c := p.newCode(f.clock.Now())
				if err := f.SaveCode(ctx, c); err != nil {
					t.Fatal(err)
				}
				return c
			}
			redeem := func(p party, c tenant.Code) error {
				n := p.newFamily(true, f.clock.Now())
				_, err := f.RedeemCode(ctx, "acme", c.Hash, tenant.Redemption{Family: &n})
				if _, none := f.Family(ctx, "acme", n.ID); (err == nil) != (none == nil) {
					t.Errorf("redeemed with %v, and the family with %v", err, none)
				}
				return err
			}
			spent, mine, others, alsos, strangers := code(p), code(p), code(elsewhere), code(also), code(bystander)
			if err := redeem(p, spent); err != nil {
				t.Fatal(err)
			}
			c.end(p)
			f.reopen()
			wantReason(t, redeem(p, mine), tenant.ErrNotFound)
			wantReason(t, redeem(p, spent), tenant.ErrCodeReused) // a second use is known for what it is
			for what, good := range map[string][2]bool{
				"another session's": {redeem(elsewhere, others) == nil, c.other},
				"another client's":  {redeem(also, alsos) == nil, c.client},
				"a stranger's":      {redeem(bystander, strangers) == nil, true},
			} {
				if good[0] != good[1] {
					t.Errorf("%s code is good: %v", what, good[0])
				}
			}
		})
	}
}

// recovering goes the slow way to a recovery of somebody, and returns its last step.
func (f *fixture) recovering(p party) func(party) {
	link, k := f.mustRecover(p.person), newPasskey(p.person, "new")
	return func(p party) {
		if err := f.Enrol(f.t.Context(), link.Hash, k, newSession(k, f.clock.Now()), p.session.Hash); err != nil {
			f.t.Fatal(err)
		}
	}
}

// testCameOfAClone: what came of a passkey that there may be two of stops, wherever its session went; and nothing more comes
// of it.
func testCameOfAClone(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustAcme()
	for what, c := range map[string]struct {
		move          func(p, other party) // what becomes of the session
		cloned, other bool                 // whether the family goes on when its passkey is cloned, and when the other one is
	}{
		"it stays": {func(p, other party) {}, false, true},
		"it ends": {func(p, other party) {
			ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.person.ID, Session: p.session.ID, SignOut: true}))(t)
		}, false, true},
		"all end": {func(p, other party) {
			ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.person.ID, SignOut: true}))(t)
		}, false, true},
		"forgotten": {func(p, other party) {
			f.clock.advance(tenant.SessionIdle)
			f.mustSignIn(other.key, 7)
			f.mustSignIn(other.key, 8)
		}, false, true},
		"another passkey signs in there": {func(p, other party) {
			if err := f.SignIn(ctx, newSession(other.key, f.clock.Now()), used(other.key, 7), p.session.Hash); err != nil {
				t.Fatal(err)
			}
		}, false, false},
	} {
		for _, clones := range []bool{true, false} {
			name := "p" + tenant.NewFamilyID().String()
			p := f.mustParty("acme", name, name)
			other := p
			other.key = f.mustPasskey(p.person, "phone")
			other.session = f.mustSignIn(other.key, 1)
			n, others := f.mustFamily(p, true, nil), f.mustFamily(other, true, nil)
			if string(n.Passkey) != string(p.key.ID) {
				t.Errorf("%s: it came of %x, not of %x", what, n.Passkey, p.key.ID)
			}
			c.move(p, other)
			k, goesOn := p.key, c.cloned
			if !clones {
				k, goesOn = other.key, c.other
			}
			wantReason(t, f.SignIn(ctx, newSession(k, f.clock.Now()), used(k, 0), secret.Hash{}), tenant.ErrCounter)
			f.reopen()
			for _, one := range []struct {
				tenant.Family
				goesOn bool
			}{{n, goesOn}, {others, clones}} {
				got := ok(f.Family(ctx, "acme", one.ID))(t)
				if got.Live(f.clock.Now()) != one.goesOn || !one.goesOn && got.Suspicion != tenant.ClonedPasskey {
					t.Errorf("%s, its own cloned %v: of %x lives %v, suspected of %q", what, clones, got.Passkey, got.Live(f.clock.Now()), got.Suspicion)
				}
			}
		}
	}

	p := f.mustParty("acme", "eve@acme.example", "late")
	wantReason(t, f.SignIn(ctx, newSession(p.key, f.clock.Now()), used(p.key, 0), secret.Hash{}), tenant.ErrCounter)
	wantReason(t, f.SaveCode(ctx, p.newCode(f.clock.Now())), tenant.ErrDisabled) // its session is still there
	p = f.mustParty("acme", "mallory@acme.example", "later")
	ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.person.ID, Session: p.session.ID, SignOut: true}))(t)
	wantReason(t, f.SaveCode(ctx, p.newCode(f.clock.Now())), tenant.ErrNotFound)
}

// testCameOfLess: what came of passkeys that a tenant doesn't admit any more stops when it says so, and doesn't go on until
// it admits them again.
func testCameOfLess(t *testing.T, f *fixture) {
	ctx := t.Context()
	synced := f.mustAcme()
	bound := synced
	key := newPasskey(synced.person, "key")
	key.Flags = 0x05
	bound.key = ok(f.AddPasskey(ctx, key))(t)
	bound.session = f.mustSignIn(bound.key, 1)
	away, here, kept := f.mustFamily(synced, true, nil), f.mustFamily(synced, false, nil), f.mustFamily(bound, true, nil)
	held := f.mustFamily(synced, true, nil)
	signedOut := synced
	signedOut.session = f.mustSignIn(synced.key, 2)
	out := f.mustFamily(signedOut, true, nil)
	ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: synced.person.ID, Session: signedOut.session.ID, SignOut: true}))(t)
	ok3(t)(f.SuspendFamily(ctx, "acme", held.Person, held.ID, tenant.SuspendedByHand))
	late := synced.newCode(f.clock.Now())
	if err := f.SaveCode(ctx, late); err != nil {
		t.Fatal(err)
	}
	stopped := func(n tenant.Family) tenant.Suspicion { return ok(f.Family(ctx, "acme", n.ID))(t).Suspicion }
	complete := func(more tenant.Tenant) {
		more.ID = "acme"
		ok(f.CompleteTenant(ctx, more))(t)
		f.reopen()
	}

	complete(tenant.Tenant{Owner: "new@acme.example"})
	for _, n := range []tenant.Family{away, here, kept, out} {
		if why := stopped(n); why != "" {
			t.Errorf("another owner stopped a family: %s", why)
		}
	}
	complete(tenant.Tenant{Passkeys: tenant.DeviceBound})
	for _, n := range []tenant.Family{away, here, out} {
		if why := stopped(n); why != tenant.LesserPasskey {
			t.Errorf("of %x: suspected of %q", n.Passkey, why)
		}
		_, _, err := f.ResumeFamily(ctx, "acme", n.Person, n.ID)
		wantReason(t, err, tenant.ErrLesser)
	}
	if why := stopped(kept); why != "" {
		t.Errorf("of a passkey that is still admitted: %s", why)
	}
	_, _, err := f.ResumeFamily(ctx, "acme", held.Person, held.ID) // whatever it was suspended for
	wantReason(t, err, tenant.ErrLesser)
	n := synced.newFamily(true, f.clock.Now())
	_, err = f.RedeemCode(ctx, "acme", late.Hash, tenant.Redemption{Family: &n})
	wantReason(t, err, tenant.ErrNotFound)
	wantReason(t, f.SaveCode(ctx, synced.newCode(f.clock.Now())), tenant.ErrLesser) // its session is still there

	complete(tenant.Tenant{Passkeys: tenant.AnyPasskey})
	if why := stopped(away); why != tenant.LesserPasskey {
		t.Errorf("nobody let it go on: %q", why)
	}
	for _, n := range []tenant.Family{away, held} {
		ok3(t)(f.ResumeFamily(ctx, "acme", n.Person, n.ID))
	}
}

// testOwed: each act that ends sessions keeps what the ledger must hear of it, until it has: as long as a token lives that names one.
func testOwed(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustAcme()
	sign := func(p party, replaces party) party {
		t.Helper()
		p.session = newSession(p.key, f.clock.Now())
		if err := f.SignIn(ctx, p.session, used(p.key, 9), replaces.session.Hash); err != nil {
			t.Fatal(err)
		}
		return p
	}
	signOut := func(_, again, _ party) {
		ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: again.person.ID, Session: again.session.ID, Actor: tenant.ActorPerson(again.person.ID), SignOut: true}))(t)
	}
	none := func(party, party, party) []string { return nil }
	for _, c := range []struct {
		name string
		end  func(p, again, elsewhere party)
		want func(p, again, elsewhere party) []string
		ends time.Duration // of the last token, in place of an hour
	}{
		{"signing out", signOut, func(p, again, _ party) []string { return []string{p.session.ID, again.session.ID} }, 0},
		{"ending others", func(p, again, elsewhere party) {
			ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.person.ID, Except: elsewhere.session.ID, Actor: "uid:0"}))(t)
		}, func(p, again, _ party) []string { return []string{p.session.ID, again.session.ID} }, 0},
		{"ending all", func(p, _, _ party) {
			ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.person.ID, Actor: "uid:0"}))(t)
		}, func(p, _, _ party) []string { return []string{""} }, 0},
		{"disabling the person", func(p, _, _ party) { ok(f.DisablePerson(ctx, "acme", p.person.ID))(t) }, func(p, _, _ party) []string { return []string{""} }, 0},
		{"removing the passkey", func(_, again, _ party) { ok(f.RemovePasskey(ctx, "acme", again.person.ID, again.key.ID))(t) },
			func(p, again, _ party) []string { return []string{p.session.ID, again.session.ID} }, 0},
		{"somebody else signs in there", func(_, again, _ party) { sign(f.mustParty("acme", "s"+again.client.ID, "s"+again.client.ID), again) },
			func(p, again, _ party) []string { return []string{p.session.ID, again.session.ID} }, 0},
		{"what ends by itself", func(party, party, party) {}, none, 0},
		{"when all is over that they gave", func(p, again, elsewhere party) {
			f.clock.advance(time.Hour)
			signOut(p, again, elsewhere)
		}, none, 0},
		{"when what the first gave is over", func(p, again, elsewhere party) {
			f.clock.advance(59 * time.Minute)
			f.mustGive(again, "last", time.Hour)
			f.clock.advance(time.Minute)
			signOut(p, again, elsewhere)
		}, func(_, again, _ party) []string { return []string{again.session.ID} }, 59 * time.Minute},
		{"when only what may outlive it has a token", func(p, again, elsewhere party) {
			n := f.mustFamily(again, true, nil)
			f.clock.advance(time.Hour)
			r := next(n, "later")
			r.Token.ExpiresAt = f.clock.Now().Add(30 * time.Minute)
			if _, v, err := f.RotateFamily(ctx, "acme", r); v != tenant.Rotates || err != nil {
				t.Fatal(v, err)
			}
			signOut(p, again, elsewhere)
		}, func(_, again, _ party) []string { return []string{again.session.ID} }, 30 * time.Minute},
		{"a recovery", func(_, again, _ party) { f.recovering(again)(again) }, func(p, _, _ party) []string { return []string{""} }, 0},
		{"a day later", func(_, again, _ party) {
			f.clock.advance(tenant.LongestLifetime)
			ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: again.person.ID, Session: again.session.ID, Actor: "uid:0"}))(t)
		}, none, 0},
		{"a day later, and a family has a living token", func(p, again, _ party) {
			f.mustFamily(again, true, func(n *tenant.Family) {
				n.SID, n.Released[0].ExpiresAt = p.session.ID, f.clock.Now().Add(2*tenant.LongestLifetime)
			})
			f.clock.advance(tenant.LongestLifetime)
			ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: again.person.ID, Session: again.session.ID, Actor: "uid:0"}))(t)
		}, func(p, _, _ party) []string { return []string{p.session.ID} }, tenant.LongestLifetime},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := "p" + tenant.NewFamilyID().String()
			p := f.mustParty("acme", name, name)
			f.mustGive(p, "first", time.Hour)
			again := sign(p, p) // whose tokens of a moment ago name the session before
			f.mustGive(again, "again", time.Hour)
			f.mustGive(again, "brief", time.Minute)
			elsewhere := p
			elsewhere.key = f.mustPasskey(p.person, "phone")
			elsewhere.session = f.mustSignIn(elsewhere.key, 1)
			f.mustGive(elsewhere, "elsewhere", time.Hour)
			if owed := ok(f.Owed(ctx, tenant.Owed{}))(t); len(owed) > 0 {
				t.Fatalf("nothing has ended, and the ledger is owed %+v", owed)
			}
			c.end(p, again, elsewhere)
			f.reopen()
			var got, ids []string
			listed := ok(f.Owed(ctx, tenant.Owed{}))(t)
			f.wantOwing(t, listed)
			for _, o := range listed {
				got, ids = append(got, o.Session), append(ids, o.ID)
				if o.Tenant != "acme" || o.Person != p.person.ID || o.Actor == "" || !o.At.Equal(f.clock.Now()) || (o.Kind == tenant.DistrustPerson) != (o.Session == "") {
					t.Errorf("owes %+v", o)
				}
				if ends := f.clock.Now().Add(cmp.Or(c.ends, time.Hour)); o.Kind == tenant.DistrustSession && !o.Ends.Equal(ends) || o.Kind == tenant.DistrustPerson && !o.Ends.IsZero() {
					t.Errorf("%+v, and the last token ends at %v", o, ends)
				}
			}
			want := c.want(p, again, elsewhere)
			if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
				t.Errorf("sessions %q, want %q", got, want)
			}
			for range 2 {
				if err := f.Paid(ctx, ids); err != nil {
					t.Fatal(err)
				}
			}
			if owed := ok(f.Owed(ctx, tenant.Owed{}))(t); len(owed) > 0 {
				t.Errorf("paid, and the ledger is owed %+v", owed)
			}
		})
	}
}

// wantOwing checks that what is counted is what is listed.
func (f *fixture) wantOwing(t *testing.T, listed []tenant.Owed) {
	t.Helper()
	var want tenant.Owing
	for _, o := range listed {
		if o.IsEntry() {
			want.Entries++
		} else {
			want.Statements++
		}
		if want.Since.IsZero() || o.At.Before(want.Since) {
			want.Since = o.At
		}
	}
	if got := ok(f.Owing(t.Context()))(t); got.Statements != want.Statements || got.Entries != want.Entries || !got.Since.Equal(want.Since) {
		t.Errorf("owing %+v, want %+v", got, want)
	}
}

// testOwedMuch owes more than one answer has, all at one time, and asks for it part by part.
func testOwedMuch(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustAcme()
	p := f.mustPerson("acme", "ada", tenant.NoRole)
	const many = 1100
	var ending sync.WaitGroup
	for range many {
		ending.Go(func() {
			if _, err := f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: p.ID, Actor: "uid:0"}); err != nil {
				t.Error(err)
			}
		})
	}
	ending.Wait()
	seen := map[string]bool{}
	var last tenant.Owed
	for part := ok(f.Owed(ctx, last))(t); len(part) > 0; part = ok(f.Owed(ctx, last))(t) {
		for _, o := range part {
			if seen[o.ID] {
				t.Fatalf("%s comes twice", o.ID)
			}
			seen[o.ID] = true
		}
		last = part[len(part)-1]
	}
	if owing := ok(f.Owing(ctx))(t); owing.Statements != many || owing.Entries != 0 {
		t.Errorf("owing %+v", owing)
	}
	if len(seen) != many {
		t.Errorf("%d of %d come", len(seen), many)
	}
}

// testOwedEntries: what happens to families and codes without anybody's wish is owed to the ledger, once each, by the act in which
// it happens. A good refresh owes nothing.
func testOwedEntries(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustAcme()
	for _, c := range []struct {
		name string
		do   func(p party, n tenant.Family)
		want string // kinds and reasons
	}{
		{"a good refresh", func(_ party, n tenant.Family) { f.mustRotate(n, "one") }, ""},
		{"the same again", func(_ party, n tenant.Family) {
			f.mustRotate(n, "one")
			if _, v, err := f.RotateFamily(ctx, "acme", next(n, "again")); v != tenant.Replays || err != nil {
				t.Error(v, err)
			}
		}, "refresh.replayed 1 again;"},
		{"a thief, who comes again", func(_ party, n tenant.Family) {
			for range 2 {
				r := next(n, "stolen")
				r.Client = "thief"
				if _, _, err := f.RotateFamily(ctx, "acme", r); err != nil {
					t.Error(err)
				}
			}
		}, "refresh.suspended 1 other-client thief;"},
		{"an administrator", func(_ party, n tenant.Family) { // who has written it down
			if _, _, err := f.SuspendFamily(ctx, "acme", n.Person, n.ID, tenant.SuspendedByHand); err != nil {
				t.Error(err)
			}
		}, ""},
		{"a cloned passkey", func(p party, _ tenant.Family) {
			wantReason(t, f.SignIn(ctx, newSession(p.key, f.clock.Now()), used(p.key, 0), secret.Hash{}), tenant.ErrCounter)
		}, "refresh.suspended cloned-passkey;"},
		{"a recovery", func(p party, _ tenant.Family) { f.recovering(p)(p) }, "refresh.suspended recovered;"},
		{"a code again and again", func(p party, n tenant.Family) { // before the ledger hears of the first time
			c := p.newCode(f.clock.Now())
			if err := f.SaveCode(ctx, c); err != nil {
				t.Fatal(err)
			}
			family := p.newFamily(true, f.clock.Now())
			r := tenant.Redemption{Token: family.Released[0], Family: &family}
			ok(f.RedeemCode(ctx, "acme", c.Hash, r))(t)
			f.mustRotate(ok(f.Family(ctx, "acme", family.ID))(t), "later")
			for range 5 {
				_, err := f.RedeemCode(ctx, "acme", c.Hash, tenant.Redemption{})
				wantReason(t, err, tenant.ErrCodeReused)
			}
		}, "code.reused first;distrust.leaked first;distrust.leaked later;"},
		{"a raised tier", func(party, tenant.Family) { // last: it stops all that came of less
			ok(f.CompleteTenant(ctx, tenant.Tenant{ID: "acme", Passkeys: tenant.DeviceBound}))(t)
		}, "refresh.suspended lesser-passkey;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := "p" + tenant.NewFamilyID().String()
			p := f.mustParty("acme", name, name)
			n := f.mustFamily(p, true, nil)
			c.do(p, n)
			f.reopen()
			var got []string
			var ids []string
			listed := ok(f.Owed(ctx, tenant.Owed{}))(t)
			f.wantOwing(t, listed)
			for _, o := range listed {
				ids = append(ids, o.ID)
				if o.Client != p.client.ID { // the families of the cases before are stopped, too
					continue
				}
				words := []string{string(o.Kind), o.Detail["generation"], o.Detail["reason"], o.Detail["by"], o.Detail["jti"], o.JTI}
				got = append(got, strings.Join(strings.Fields(strings.Join(words, " ")), " ")+";")
				if o.Tenant != "acme" || o.Person != p.person.ID || o.IsEntry() && o.Detail["family"] == "" || o.Kind == tenant.DistrustLeaked && o.Actor != "client:"+p.client.ID {
					t.Errorf("owes %+v", o)
				}
			}
			if slices.Sort(got); strings.Join(got, "") != c.want {
				t.Errorf("owes %q, want %q", got, c.want)
			}
			if err := f.Paid(ctx, ids); err != nil {
				t.Fatal(err)
			}
		})
	}
}
