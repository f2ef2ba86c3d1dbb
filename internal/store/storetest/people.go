package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// People keeps people and what they sign in with.
type People interface {
	CreatePerson(ctx context.Context, p tenant.Person) (tenant.Person, error)
	Person(ctx context.Context, tenantID, name string) (tenant.Person, error)
	PersonByHandle(ctx context.Context, tenantID string, handle []byte) (tenant.Person, error)
	People(ctx context.Context, tenantID string) ([]tenant.Person, error)
	DisablePerson(ctx context.Context, tenantID, id string) (tenant.Person, error)
	WaysIn(ctx context.Context, t tenant.Tenant) (map[string]tenant.Ways, error)
}

// Completion gives a tenant what it lacks, and its people their roles.
type Completion interface {
	SetRole(ctx context.Context, tenantID, id string, role tenant.Role) (tenant.Person, error)
	CompleteTenant(ctx context.Context, given tenant.Tenant) (tenant.Tenant, error)
}

// Passkeys keeps passkeys.
type Passkeys interface {
	Passkeys(ctx context.Context, tenantID, person string) ([]tenant.Passkey, error)
	AddPasskey(ctx context.Context, k tenant.Passkey) (tenant.Passkey, error)
	RenamePasskey(ctx context.Context, tenantID, person string, id []byte, name string) (tenant.Passkey, error)
	RemovePasskey(ctx context.Context, tenantID, person string, id []byte) (tenant.Passkey, error)
	RestorePasskey(ctx context.Context, tenantID, person string, id []byte) (tenant.Passkey, error)
	SignIn(ctx context.Context, session tenant.Session, used tenant.Passkey, replaces secret.Hash) error
}

// Sessions keeps signed-in browsers.
type Sessions interface {
	Session(ctx context.Context, tenantID string, hash secret.Hash) (tenant.Session, tenant.Person, error)
	Sessions(ctx context.Context, tenantID, person string) ([]tenant.Session, error)
	EndSessions(ctx context.Context, e tenant.Ending) (ended int, err error)
}

// SingleUse keeps what can be used once.
type SingleUse interface {
	BeginCeremony(ctx context.Context, c tenant.Ceremony) error
	HasCeremony(ctx context.Context, tenantID string, challenge, browser secret.Hash) (bool, error)
	ConsumeCeremony(ctx context.Context, tenantID string, kind tenant.CeremonyKind, challenge, browser secret.Hash) (tenant.Ceremony, error)
	SaveInteraction(ctx context.Context, i tenant.Interaction) error
	Interaction(ctx context.Context, tenantID string, hash secret.Hash) (tenant.Interaction, error)
	ConsumeInteraction(ctx context.Context, tenantID string, hash secret.Hash) (tenant.Interaction, error)
}

func newPerson(tenantID, login string, role tenant.Role) tenant.Person {
	return tenant.Person{Tenant: tenantID, Login: login, Name: "Ada Lovelace", Role: role, CreatedAt: start}
}

func (f *fixture) mustPerson(tenantID, login string, role tenant.Role) tenant.Person {
	f.t.Helper()
	return ok(f.CreatePerson(f.t.Context(), newPerson(tenantID, login, role)))(f.t)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func randomHash() secret.Hash { return secret.New(rand.Text()).Hash() }

func newPasskey(p tenant.Person, name string) tenant.Passkey {
	return tenant.Passkey{Tenant: p.Tenant, Person: p.ID, ID: random(32), Name: name, Key: random(77), Flags: 0x1d, Count: 7,
		AAGUID: [16]byte{1, 2}, Transports: []string{"internal"}, Format: "packed", Attestation: []byte("{}"), CreatedAt: start}
}

func (f *fixture) mustPasskey(p tenant.Person, name string) tenant.Passkey {
	f.t.Helper()
	return ok(f.AddPasskey(f.t.Context(), newPasskey(p, name)))(f.t)
}

func newSession(k tenant.Passkey, now time.Time) tenant.Session {
	return tenant.Session{ID: rand.Text(), Hash: randomHash(), Tenant: k.Tenant, Person: k.Person, Passkey: k.ID, ACR: "phr",
		AMR: []string{"swk", "user"}, Device: "Firefox on Linux", Place: "192.0.2.7", At: now, SeenAt: now, Known: true}
}

// used is a passkey as an assertion shows it, with its counter grown.
func used(k tenant.Passkey, by uint32) tenant.Passkey {
	k.Count += by
	return k
}

func (f *fixture) mustSignIn(k tenant.Passkey, by uint32) tenant.Session {
	f.t.Helper()
	n := newSession(k, f.clock.Now())
	if err := f.SignIn(f.t.Context(), n, used(k, by), secret.Hash{}); err != nil {
		f.t.Fatal(err)
	}
	return n
}

func testPeople(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustTenant("globex")
	ada := f.mustPerson("acme", "Ada@ACME.example", "")
	if ada.ID == "" || ada.Handle == (tenant.Handle{}) || ada.Login != "ada@acme.example" || ada.Kind != tenant.Human {
		t.Errorf("kept %+v", ada)
	}
	f.reopen()
	for _, name := range []string{ada.ID, ada.Login} {
		if got := ok(f.Person(ctx, "acme", name))(t); !reflect.DeepEqual(got, ada) {
			t.Errorf("%s is %+v\nwant %+v", name, got, ada)
		}
	}
	if got := ok(f.PersonByHandle(ctx, "acme", ada.Handle[:]))(t); got.ID != ada.ID {
		t.Errorf("the handle leads to %+v", got)
	}
	_, err := f.PersonByHandle(ctx, "globex", ada.Handle[:])
	wantReason(t, err, tenant.ErrNotFound) // another tenant's handle is nobody here
	_, err = f.Person(ctx, "globex", ada.ID)
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.People(ctx, "hooli")
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.CreatePerson(ctx, newPerson("hooli", "ada@acme.example", ""))
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.CreatePerson(ctx, newPerson("acme", "ada@acme.example", ""))
	wantReason(t, err, tenant.ErrExists)
	f.mustPerson("globex", "ada@acme.example", "")
	if people := ok(f.People(ctx, "acme"))(t); len(people) != 1+tenant.BreakGlassPrincipals {
		t.Errorf("acme has %d people, want one and its break-glass principals", len(people))
	}
	glass := newPerson("acme", "third-glass", "")
	glass.Kind = tenant.BreakGlass
	_, err = f.CreatePerson(ctx, glass)
	wantReason(t, err, tenant.ErrConflict)

	k := f.mustPasskey(ada, "laptop")
	f.mustSignIn(k, 1)
	ok(f.DisablePerson(ctx, "acme", ada.ID))(t)
	if gone := ok(f.DisablePerson(ctx, "acme", ada.ID))(t); gone.Live() {
		t.Error("a disabled person is live")
	}
	if sessions := ok(f.Sessions(ctx, "acme", ada.ID))(t); len(sessions) != 0 {
		t.Errorf("a disabled person has %d sessions", len(sessions))
	}
	wantReason(t, f.SignIn(ctx, newSession(k, start), used(k, 9), secret.Hash{}), tenant.ErrDisabled)
	again := newPerson("acme", "ada@acme.example", "")
	again.ID = ada.ID
	_, err = f.CreatePerson(ctx, again) // the login is free, the subject is not
	wantReason(t, err, tenant.ErrUsedBefore)
	if next := f.mustPerson("acme", "ada@acme.example", ""); next.ID == ada.ID || next.Handle == ada.Handle {
		t.Error("a subject or a handle was given out twice")
	}
}

func (f *fixture) mustOperators() tenant.Tenant {
	f.t.Helper()
	return ok(f.CreateTenant(f.t.Context(), "house", tenant.Tenant{ID: tenant.Operators, Class: tenant.Production, Owner: tenant.Unnamed,
		Issuer: "https://id.example/operators", CreatedAt: start}))(f.t)
}

func testLastOwner(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustOperators()
	first := f.mustPerson(tenant.Operators, "first", tenant.Owner)
	second := f.mustPerson(tenant.Operators, "second", tenant.Owner)
	f.mustPasskey(first, "key")
	_, err := f.DisablePerson(ctx, tenant.Operators, first.ID) // the second has no way in yet
	wantReason(t, err, tenant.ErrConflict)
	_, err = f.SetRole(ctx, tenant.Operators, first.ID, tenant.Auditor)
	wantReason(t, err, tenant.ErrConflict)
	_, err = f.DisableTenant(ctx, "test", tenant.Operators) // with everybody in it
	wantReason(t, err, tenant.ErrConflict)
	f.mustPasskey(second, "key")
	errs := together(2, func(i int) error { // one is disabled while the other steps down
		if i == 0 {
			_, err := f.DisablePerson(ctx, tenant.Operators, first.ID)
			return err
		}
		_, err := f.SetRole(ctx, tenant.Operators, second.ID, tenant.Operator)
		return err
	})
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("of two last owners who leave at once: %v, %v", errs[0], errs[1])
	}
	wantReason(t, errors.Join(errs...), tenant.ErrConflict)
	for _, p := range ok(f.People(ctx, tenant.Operators))(t) {
		if p.Kind == tenant.BreakGlass {
			_, err := f.DisablePerson(ctx, tenant.Operators, p.ID)
			wantReason(t, err, tenant.ErrConflict)
			_, err = f.SetRole(ctx, tenant.Operators, p.ID, tenant.Auditor)
			wantReason(t, err, tenant.ErrConflict)
		}
	}
}

// testRoles: with a new role, what was made for the old one is gone.
func testRoles(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustOperators()
	p := f.mustPerson(tenant.Operators, "bob", tenant.Auditor)
	e := ok(f.IssueEnrolment(ctx, newEnrolment(p, f.clock.Now())))(t)
	if p = ok(f.SetRole(ctx, tenant.Operators, p.ID, tenant.Operator))(t); p.Role != tenant.Operator {
		t.Errorf("the role is %s", p.Role)
	}
	_, _, err := f.Enrolment(ctx, tenant.Operators, e.Hash)
	wantReason(t, err, tenant.ErrNotFound)
	if kept := ok(f.Person(ctx, tenant.Operators, p.ID))(t); kept.Role != tenant.Operator {
		t.Errorf("kept: %s", kept.Role)
	}
	_, err = f.SetRole(ctx, tenant.Operators, "nobody", tenant.Operator)
	wantReason(t, err, tenant.ErrNotFound)
	if _, err = f.SetRole(ctx, tenant.Operators, p.ID, tenant.NoRole); err == nil {
		t.Error("an operator without a role")
	}
	ok(f.DisablePerson(ctx, tenant.Operators, p.ID))(t)
	_, err = f.SetRole(ctx, tenant.Operators, p.ID, tenant.Owner)
	wantReason(t, err, tenant.ErrDisabled)
}

func testPasskeys(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	ada, bob := f.mustPerson("acme", "ada@acme.example", ""), f.mustPerson("acme", "bob@acme.example", "")
	laptop := f.mustPasskey(ada, "laptop")
	_, err := f.AddPasskey(ctx, laptop)
	wantReason(t, err, tenant.ErrExists)
	stolen := laptop
	stolen.Person = bob.ID
	_, err = f.AddPasskey(ctx, stolen)
	wantReason(t, err, tenant.ErrExists)
	_, err = f.RemovePasskey(ctx, "acme", ada.ID, laptop.ID) // never the last
	wantReason(t, err, tenant.ErrConflict)
	phone := f.mustPasskey(ada, "phone")
	_, err = f.RemovePasskey(ctx, "acme", bob.ID, phone.ID)
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.RenamePasskey(ctx, "acme", bob.ID, phone.ID, "mine")
	wantReason(t, err, tenant.ErrNotFound)
	ok(f.RenamePasskey(ctx, "acme", ada.ID, phone.ID, " Grace’s phone "))(t)
	session := f.mustSignIn(phone, 1)
	f.reopen()
	all := ok(f.Passkeys(ctx, "acme", ada.ID))(t)
	if len(all) != 2 {
		t.Fatalf("ada has %d passkeys", len(all))
	}
	for _, k := range all {
		if k.Name == "laptop" && !reflect.DeepEqual(k, laptop) {
			t.Errorf("kept %+v\nwant %+v", k, laptop)
		}
		if k.Name != "laptop" && (k.Name != "Grace’s phone" || k.Count != 8 || k.UsedAt.IsZero()) {
			t.Errorf("the phone is %+v", k)
		}
	}
	errs := together(2, func(i int) error {
		_, err := f.RemovePasskey(ctx, "acme", ada.ID, [][]byte{laptop.ID, phone.ID}[i])
		return err
	})
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("of the last two passkeys that go at once: %v, %v", errs[0], errs[1])
	}
	if errs[1] == nil {
		_, _, err := f.Session(ctx, "acme", session.Hash)
		wantReason(t, err, tenant.ErrNotFound) // a session ends with its passkey
	}
	for i := range tenant.MaxPasskeys - 1 {
		f.mustPasskey(ada, fmt.Sprint(i))
	}
	_, err = f.AddPasskey(ctx, newPasskey(ada, "one too many"))
	wantReason(t, err, tenant.ErrConflict)
}

// testTiers holds the tenant's policy against what is written, not only against what a page offers.
func testTiers(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	ada := f.mustPerson("acme", "ada@acme.example", "")
	policy := func(tier tenant.Tier, models ...string) {
		t.Helper()
		ok(f.CompleteTenant(ctx, tenant.Tenant{ID: "acme", Passkeys: tier, Models: models}))(t)
	}
	try := func(what string, want bool, change func(*tenant.Passkey)) {
		t.Helper()
		k := newPasskey(ada, what)
		change(&k)
		if _, err := f.AddPasskey(ctx, k); (err == nil) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	synced := func(k *tenant.Passkey) { k.Flags |= 0x18 }
	bound := func(k *tenant.Passkey) { k.Flags &^= 0x18 }
	attested := func(k *tenant.Passkey) { bound(k); k.Attested = true }
	nameless := func(k *tenant.Passkey) { attested(k); k.AAGUID = [16]byte{} }
	try("synced, any", true, synced)
	policy(tenant.DeviceBound)
	try("synced, device-bound", false, synced)
	try("bound, device-bound", true, bound)
	policy(tenant.Attested)
	try("bound, attested", false, bound)
	try("zero AAGUID, attested", false, nameless)
	try("attested", true, attested)
	policy(tenant.Attested, "ee882879-721c-4913-9775-3dfcce97072a")
	try("another model", false, attested)
	policy(tenant.Attested, "01020000-0000-0000-0000-000000000000")
	try("a listed model", true, attested)
	f.reopen()
	if got := ok(f.Tenant(ctx, "acme"))(t); got.Passkeys != tenant.Attested || len(got.Models) != 1 {
		t.Errorf("kept %s %v", got.Passkeys, got.Models)
	}
}

// testRaisedTier: what was registered when a tenant asked for less signs nobody in any more.
func testRaisedTier(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	ada := f.mustPerson("acme", "ada@acme.example", "")
	synced := f.mustPasskey(ada, "synced") // as newPasskey makes it
	bound := newPasskey(ada, "bound")
	bound.Flags = 0x05
	ok(f.AddPasskey(ctx, bound))(t)
	on := f.mustSignIn(synced, 1)
	ways := func(tier tenant.Tier) tenant.Ways {
		acme := ok(f.Tenant(ctx, "acme"))(t)
		if tier != "" {
			acme.Passkeys = tier
		}
		w := ok(f.WaysIn(ctx, acme))(t)[ada.ID]
		w.Proven = time.Time{}
		return w
	}
	if now, would := ways(""), ways(tenant.DeviceBound); now != (tenant.Ways{Passkeys: 2}) || would != (tenant.Ways{Passkeys: 1, Lesser: 1}) {
		t.Errorf("the ways in are %+v, and would be %+v", now, would)
	}
	ok(f.CompleteTenant(ctx, tenant.Tenant{ID: "acme", Passkeys: tenant.DeviceBound}))(t)
	f.reopen()
	wantReason(t, f.SignIn(ctx, newSession(synced, f.clock.Now()), used(synced, 2), secret.Hash{}), tenant.ErrLesser)
	_, _, err := f.Session(ctx, "acme", on.Hash) // nor does a session that it opened
	wantReason(t, err, tenant.ErrNotFound)
	if sessions := ok(f.Sessions(ctx, "acme", ada.ID))(t); len(sessions) != 0 {
		t.Errorf("%d sessions are shown that are worth nothing", len(sessions))
	}
	f.mustSignIn(bound, 1)
	_, err = f.RemovePasskey(ctx, "acme", ada.ID, bound.ID) // the last that signs her in
	wantReason(t, err, tenant.ErrConflict)
	ok(f.CompleteTenant(ctx, tenant.Tenant{ID: "acme", Passkeys: tenant.AnyPasskey}))(t)
	f.mustSignIn(synced, 2)
	ok(f.CompleteTenant(ctx, tenant.Tenant{ID: "acme", Passkeys: tenant.DeviceBound}))(t)
	ok(f.RemovePasskey(ctx, "acme", ada.ID, synced.ID))(t)

	f.mustOperators()
	owner := f.mustPerson(tenant.Operators, "owner", tenant.Owner)
	f.mustPasskey(owner, "synced")
	_, err = f.CompleteTenant(ctx, tenant.Tenant{ID: tenant.Operators, Passkeys: tenant.DeviceBound})
	wantReason(t, err, tenant.ErrConflict)
	if got := ok(f.Tenant(ctx, tenant.Operators))(t); got.Passkeys != tenant.AnyPasskey {
		t.Error("a change that was refused was made")
	}
	key := newPasskey(owner, "key")
	key.Flags = 0x05
	ok(f.AddPasskey(ctx, key))(t)
	ok(f.CompleteTenant(ctx, tenant.Tenant{ID: tenant.Operators, Passkeys: tenant.DeviceBound}))(t)
}

// testReplacedByEnrolment: a session that a browser had before it enrolled is worth nothing after.
func testReplacedByEnrolment(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	ada, bob := f.mustPerson("acme", "ada@acme.example", ""), f.mustPerson("acme", "bob@acme.example", "")
	before := f.mustSignIn(f.mustPasskey(bob, "laptop"), 1)
	link := ok(f.IssueEnrolment(ctx, newEnrolment(ada, start)))(t)
	k := newPasskey(ada, "laptop")
	if err := f.Enrol(ctx, link.Hash, k, newSession(k, start), before.Hash); err != nil {
		t.Fatal(err)
	}
	_, _, err := f.Session(ctx, "acme", before.Hash)
	wantReason(t, err, tenant.ErrNotFound)
}

func testSignIn(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustTenant("globex")
	ada := f.mustPerson("acme", "ada@acme.example", "")
	k := f.mustPasskey(ada, "laptop")
	first := f.mustSignIn(k, 1)
	f.reopen()
	got, person, err := f.Session(ctx, "acme", first.Hash)
	if err != nil || !reflect.DeepEqual(got, first) || person.ID != ada.ID {
		t.Errorf("the session is %+v of %s, %v\nwant %+v", got, person.ID, err, first)
	}
	_, _, err = f.Session(ctx, "globex", first.Hash)
	wantReason(t, err, tenant.ErrNotFound)

	second := newSession(k, f.clock.Now())
	if err := f.SignIn(ctx, second, used(k, 2), first.Hash); err != nil {
		t.Fatal(err)
	}
	_, _, err = f.Session(ctx, "acme", first.Hash) // replaced: no session survives a sign-in in the same browser
	wantReason(t, err, tenant.ErrNotFound)

	// A counter that stays or goes back suspends the passkey and ends what it opened.
	wantReason(t, f.SignIn(ctx, newSession(k, start), used(k, 2), secret.Hash{}), tenant.ErrCounter)
	if all := ok(f.Passkeys(ctx, "acme", ada.ID))(t); all[0].Live() {
		t.Error("a passkey whose counter went back is not suspended")
	}
	_, _, err = f.Session(ctx, "acme", second.Hash)
	wantReason(t, err, tenant.ErrNotFound)
	wantReason(t, f.SignIn(ctx, newSession(k, start), used(k, 90), secret.Hash{}), tenant.ErrDisabled)

	without := newPasskey(ada, "no counter")
	without.Count = 0
	ok(f.AddPasskey(ctx, without))(t)
	f.mustSignIn(without, 0)
	f.mustSignIn(without, 0)
	ok(f.DisableTenant(ctx, "uid 7", "acme"))(t)
	wantReason(t, f.SignIn(ctx, newSession(without, start), without, secret.Hash{}), tenant.ErrDisabled)
}

func testSignInRace(t *testing.T, f *fixture) {
	f.mustTenant("acme")
	k := f.mustPasskey(f.mustPerson("acme", "ada@acme.example", ""), "laptop")
	won := 0
	for _, err := range together(8, func(int) error {
		return f.SignIn(t.Context(), newSession(k, start), used(k, 1), secret.Hash{})
	}) {
		if err == nil {
			won++
		}
	}
	if won != 1 {
		t.Errorf("an assertion with one counter value opened %d sessions", won)
	}
}

func testSessions(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	ada, bob := f.mustPerson("acme", "ada@acme.example", ""), f.mustPerson("acme", "bob@acme.example", "")
	k := f.mustPasskey(ada, "laptop")
	one, two, three := f.mustSignIn(k, 1), f.mustSignIn(k, 2), f.mustSignIn(k, 3)
	if ended := ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: bob.ID, Session: one.ID}))(t); ended != 0 {
		t.Error("bob ended ada's session")
	}
	if ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: ada.ID, Session: one.ID}))(t) != 1 || ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: ada.ID, Session: one.ID}))(t) != 0 {
		t.Error("a session doesn't end exactly once")
	}
	if n := ok(f.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: ada.ID, Except: three.ID}))(t); n != 1 {
		t.Errorf("%d sessions ended besides one", n)
	}
	_, _, err := f.Session(ctx, "acme", two.Hash)
	wantReason(t, err, tenant.ErrNotFound)

	f.clock.advance(tenant.SessionIdle - time.Millisecond)
	if n, _, err := f.Session(ctx, "acme", three.Hash); err != nil || !n.SeenAt.Equal(f.clock.Now()) {
		t.Errorf("a session in use: %v, %v", n.SeenAt, err)
	}
	f.reopen()
	f.clock.advance(tenant.SessionIdle - time.Millisecond)
	if live := ok(f.Sessions(ctx, "acme", ada.ID))(t); len(live) != 1 {
		t.Errorf("%d sessions are live", len(live))
	}
	f.clock.advance(time.Millisecond)
	_, _, err = f.Session(ctx, "acme", three.Hash)
	wantReason(t, err, tenant.ErrNotFound) // idle
	four := f.mustSignIn(k, 4)
	for f.clock.Now().Before(four.At.Add(tenant.SessionLongest - tenant.SessionIdle/2)) {
		f.clock.advance(tenant.SessionIdle / 2)
		if _, _, err := f.Session(ctx, "acme", four.Hash); err != nil {
			t.Fatal(err)
		}
	}
	f.clock.advance(tenant.SessionIdle / 2)
	_, _, err = f.Session(ctx, "acme", four.Hash)
	wantReason(t, err, tenant.ErrNotFound) // however much it is used
	if live := ok(f.Sessions(ctx, "acme", ada.ID))(t); len(live) != 0 {
		t.Errorf("%d sessions that are over are shown", len(live))
	}
}

func testCeremonies(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustTenant("globex")
	begin := func() tenant.Ceremony {
		t.Helper()
		c := tenant.Ceremony{Challenge: randomHash(), Browser: randomHash(), Kind: tenant.CeremonySignIn, Tenant: "acme", Person: "ada",
			Enrolment: randomHash(), State: []byte(`{"a":1}`), ExpiresAt: f.clock.Now().Add(tenant.CeremonyLife)}
		if err := f.BeginCeremony(ctx, c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := begin()
	for what, q := range map[string]struct {
		tenant             string
		challenge, browser secret.Hash
		want               bool
	}{
		"its own":           {"acme", c.Challenge, c.Browser, true},
		"another tenant's":  {"globex", c.Challenge, c.Browser, false},
		"another browser's": {"acme", c.Challenge, randomHash(), false},
		"another challenge": {"acme", randomHash(), c.Browser, false},
	} {
		if has := ok(f.HasCeremony(ctx, q.tenant, q.challenge, q.browser))(t); has != q.want {
			t.Errorf("%s: %v", what, has)
		}
	}
	f.reopen() // a restart in the middle of a ceremony loses nothing
	if got := ok(f.ConsumeCeremony(ctx, "acme", c.Kind, c.Challenge, c.Browser))(t); !reflect.DeepEqual(got, c) {
		t.Errorf("got %+v\nwant %+v", got, c)
	}
	_, err := f.ConsumeCeremony(ctx, "acme", c.Kind, c.Challenge, c.Browser)
	wantReason(t, err, tenant.ErrNotFound)
	for what, try := range map[string]func(tenant.Ceremony) (tenant.Ceremony, error){
		"another tenant's": func(c tenant.Ceremony) (tenant.Ceremony, error) {
			return f.ConsumeCeremony(ctx, "globex", c.Kind, c.Challenge, c.Browser)
		},
		"another kind": func(c tenant.Ceremony) (tenant.Ceremony, error) {
			return f.ConsumeCeremony(ctx, "acme", tenant.CeremonyAdd, c.Challenge, c.Browser)
		},
		"another browser's": func(c tenant.Ceremony) (tenant.Ceremony, error) {
			return f.ConsumeCeremony(ctx, "acme", c.Kind, c.Challenge, randomHash())
		},
		"too late": func(c tenant.Ceremony) (tenant.Ceremony, error) {
			f.clock.advance(tenant.CeremonyLife)
			return f.ConsumeCeremony(ctx, "acme", c.Kind, c.Challenge, c.Browser)
		},
	} {
		c := begin()
		if _, err := try(c); err == nil {
			t.Errorf("%s: it was given out", what)
		}
		if _, err := f.ConsumeCeremony(ctx, "acme", c.Kind, c.Challenge, c.Browser); err == nil {
			t.Errorf("%s: a failed try left the challenge good", what)
		}
	}
	c = begin()
	won := 0
	for _, err := range together(16, func(int) error {
		_, err := f.ConsumeCeremony(ctx, "acme", c.Kind, c.Challenge, c.Browser)
		return err
	}) {
		if err == nil {
			won++
		}
	}
	if won != 1 {
		t.Errorf("a challenge was consumed %d times", won)
	}
}

func testInteractions(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustTenant("globex")
	i := tenant.Interaction{Hash: randomHash(), Tenant: "acme", Next: "/account", Person: "ada", After: start, ACR: "phrh",
		LoginHint: "ada@acme.example", ExpiresAt: start.Add(tenant.InteractionLife)}
	if err := f.SaveInteraction(ctx, i); err != nil {
		t.Fatal(err)
	}
	f.reopen()
	if got := ok(f.Interaction(ctx, "acme", i.Hash))(t); !reflect.DeepEqual(got, i) {
		t.Errorf("got %+v\nwant %+v", got, i)
	}
	_, err := f.ConsumeInteraction(ctx, "globex", i.Hash)
	wantReason(t, err, tenant.ErrNotFound)
	ok(f.ConsumeInteraction(ctx, "acme", i.Hash))(t)
	_, err = f.ConsumeInteraction(ctx, "acme", i.Hash)
	wantReason(t, err, tenant.ErrNotFound)
	_, err = f.Interaction(ctx, "acme", i.Hash)
	wantReason(t, err, tenant.ErrNotFound)
	i.Hash = randomHash()
	if err := f.SaveInteraction(ctx, i); err != nil {
		t.Fatal(err)
	}
	f.clock.advance(tenant.InteractionLife)
	_, err = f.ConsumeInteraction(ctx, "acme", i.Hash)
	wantReason(t, err, tenant.ErrNotFound)
}
