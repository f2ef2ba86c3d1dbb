package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// Enrolments keeps links.
type Enrolments interface {
	IssueEnrolment(ctx context.Context, e tenant.Enrolment) (tenant.Enrolment, error)
	Enrolment(ctx context.Context, tenantID string, hash secret.Hash) (tenant.Enrolment, tenant.Person, error)
	Enrol(ctx context.Context, hash secret.Hash, k tenant.Passkey, session tenant.Session, replaces secret.Hash) error
}

// Recoveries keeps the slow ways back.
type Recoveries interface {
	RequestRecovery(ctx context.Context, tenantID, person, by string) (tenant.Recovery, error)
	ApproveRecovery(ctx context.Context, tenantID, person, by string) (tenant.Recovery, error)
	Recovery(ctx context.Context, tenantID, person string) (tenant.Recovery, error)
	WaitingRecoveries(ctx context.Context) ([]tenant.WaitingRecovery, error)
	CancelRecovery(ctx context.Context, tenantID, person string) (canceled bool, err error)
}

// Glass keeps the codes of break-glass principals.
type Glass interface {
	KeepBreakGlassCode(ctx context.Context, c tenant.BreakGlassCode) error
	BreakGlassHolder(ctx context.Context, tenantID string, code secret.Hash) (person string, err error)
	ProveBreakGlass(ctx context.Context, tenantID string, code secret.Hash) (person string, err error)
	BreakGlass(ctx context.Context, tenantID string, code secret.Hash, e tenant.Enrolment) (tenant.Enrolment, error)
	GlassProofs(ctx context.Context, tenantID string) (map[string]tenant.GlassProof, error)
}

func newEnrolment(p tenant.Person, now time.Time) tenant.Enrolment {
	return tenant.Enrolment{Hash: randomHash(), Tenant: p.Tenant, Person: p.ID, IssuedBy: "uid:7", IssuedAt: now, ExpiresAt: now.Add(tenant.EnrolmentLife)}
}

func testEnrolment(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustTenant("globex")
	ada := f.mustPerson("acme", "ada@acme.example", "")
	enrol := func(e tenant.Enrolment) error {
		k := newPasskey(ada, "laptop")
		return f.Enrol(ctx, e.Hash, k, newSession(k, f.clock.Now()), secret.Hash{})
	}
	replaced := ok(f.IssueEnrolment(ctx, newEnrolment(ada, start)))(t)
	late := ok(f.IssueEnrolment(ctx, newEnrolment(ada, start)))(t)
	wantReason(t, enrol(replaced), tenant.ErrNotFound) // a new link makes the old one useless
	f.clock.advance(tenant.EnrolmentLife)
	_, _, err := f.Enrolment(ctx, "acme", late.Hash)
	wantReason(t, err, tenant.ErrNotFound)
	wantReason(t, enrol(late), tenant.ErrNotFound)

	link := ok(f.IssueEnrolment(ctx, newEnrolment(ada, f.clock.Now())))(t)
	f.reopen()
	got, person, err := f.Enrolment(ctx, "acme", link.Hash)
	if err != nil || !reflect.DeepEqual(got, link) || person.ID != ada.ID || got.Why != tenant.FirstPasskey {
		t.Errorf("the link is %+v for %s, %v", got, person.ID, err)
	}
	_, _, err = f.Enrolment(ctx, "globex", link.Hash)
	wantReason(t, err, tenant.ErrNotFound)
	won := 0
	for _, err := range together(8, func(int) error { return enrol(link) }) {
		if err == nil {
			won++
		} else {
			wantReason(t, err, tenant.ErrNotFound)
		}
	}
	if won != 1 {
		t.Errorf("a link was used %d times", won)
	}
	if keys, sessions := ok(f.Passkeys(ctx, "acme", ada.ID))(t), ok(f.Sessions(ctx, "acme", ada.ID))(t); len(keys) != 1 || len(sessions) != 1 {
		t.Errorf("it gave %d passkeys and %d sessions", len(keys), len(sessions))
	}
	_, err = f.IssueEnrolment(ctx, newEnrolment(ada, f.clock.Now())) // from here on it would be a recovery
	wantReason(t, err, tenant.ErrConflict)
}

// mustVoices makes two administrators who have had passkeys for a day, and returns their names as entries have them.
func (f *fixture) mustVoices() (first, second string) {
	f.t.Helper()
	if _, err := f.Tenant(f.t.Context(), tenant.Operators); err != nil {
		f.mustOperators()
	}
	var names []string
	for range 2 {
		p := f.mustPerson(tenant.Operators, strings.ToLower(rand.Text()), tenant.Owner)
		f.mustPasskey(p, "key")
		names = append(names, "person:"+p.ID)
	}
	if f.clock.Now().Before(start.Add(tenant.VoiceAge)) {
		f.clock.advance(tenant.VoiceAge)
	}
	return names[0], names[1]
}

func testRecovery(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	ada := f.mustPerson("acme", "ada@acme.example", "")
	first, second := f.mustVoices()
	_, err := f.RequestRecovery(ctx, "acme", ada.ID, first) // there is nothing to recover from
	wantReason(t, err, tenant.ErrConflict)
	f.mustPasskey(ada, "laptop")
	_, err = f.Recovery(ctx, "acme", ada.ID)
	wantReason(t, err, tenant.ErrNotFound)
	ok(f.RequestRecovery(ctx, "acme", ada.ID, first))(t)
	_, err = f.RequestRecovery(ctx, "acme", ada.ID, second)
	wantReason(t, err, tenant.ErrConflict)
	issue := func() (tenant.Enrolment, error) { return f.IssueEnrolment(ctx, newEnrolment(ada, f.clock.Now())) }
	_, err = issue() // one administrator is not enough
	wantReason(t, err, tenant.ErrConflict)
	_, err = f.ApproveRecovery(ctx, "acme", ada.ID, first) // nor one twice
	wantReason(t, err, tenant.ErrConflict)
	if waiting := ok(f.WaitingRecoveries(ctx))(t); len(waiting) != 1 || waiting[0].Who.ID != ada.ID || waiting[0].RequestedBy != first || waiting[0].FirstBy != first {
		t.Errorf("waiting: %+v", waiting)
	}
	ok(f.ApproveRecovery(ctx, "acme", ada.ID, second))(t)
	if waiting := ok(f.WaitingRecoveries(ctx))(t); len(waiting) != 0 {
		t.Errorf("still waiting: %+v", waiting)
	}
	f.reopen()
	f.clock.advance(tenant.RecoveryDelay - time.Millisecond)
	_, err = issue() // too early
	wantReason(t, err, tenant.ErrConflict)
	f.clock.advance(time.Millisecond)
	if link := ok(issue())(t); link.Why != tenant.Recovered {
		t.Errorf("the link is for %s", link.Why)
	}
	_, err = issue() // it was for one link
	wantReason(t, err, tenant.ErrConflict)
	if !ok(f.CancelRecovery(ctx, "acme", ada.ID))(t) || ok(f.CancelRecovery(ctx, "acme", ada.ID))(t) {
		t.Error("the person can't stop the link of a recovery")
	}
	ok(f.RequestRecovery(ctx, "acme", ada.ID, first))(t)
	ok(f.ApproveRecovery(ctx, "acme", ada.ID, second))(t)
	f.clock.advance(tenant.RecoveryDelay + tenant.RecoveryLife)
	_, err = issue() // too late
	wantReason(t, err, tenant.ErrConflict)
	ok(f.RequestRecovery(ctx, "acme", ada.ID, second))(t)
}

// testVoices: nobody is both administrators of a recovery, by whatever door they come.
func testVoices(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	ada := f.mustPerson("acme", "ada@acme.example", "")
	f.mustPasskey(ada, "laptop")
	first, second := f.mustVoices()
	r := ok(f.RequestRecovery(ctx, "acme", ada.ID, "uid:0"))(t)
	if r.FirstBy != "" {
		t.Errorf("the socket has spoken as %s", r.FirstBy)
	}
	late := f.mustPerson(tenant.Operators, "late", tenant.Owner)
	k := newPasskey(late, "key")
	k.CreatedAt = r.RequestedAt.Add(time.Millisecond - tenant.VoiceAge)
	ok(f.AddPasskey(ctx, k))(t)
	bare, desk := f.mustPerson(tenant.Operators, "bare", tenant.Owner), f.mustPerson(tenant.Operators, "auditor", tenant.Auditor)
	f.mustPasskey(desk, "key")
	for name, by := range map[string]string{"the socket that asked": "uid:0", "another user on the socket": "uid:1000", "one made for the occasion": "person:" + late.ID,
		"one without a passkey": "person:" + bare.ID, "an auditor": "person:" + desk.ID, "nobody": "person:nobody", "somebody of another tenant": "person:" + ada.ID} {
		if _, err := f.ApproveRecovery(ctx, "acme", ada.ID, by); err == nil {
			t.Errorf("it was approved by %s", name)
		}
	}
	if r := ok(f.ApproveRecovery(ctx, "acme", ada.ID, first))(t); r.FirstBy != first || r.ApprovedBy != "" || !r.UsableFrom().IsZero() {
		t.Errorf("after the first: %+v", r)
	}
	f.reopen()
	_, err := f.ApproveRecovery(ctx, "acme", ada.ID, first)
	wantReason(t, err, tenant.ErrConflict)
	_, err = f.ApproveRecovery(ctx, "acme", ada.ID, "uid:0")
	wantReason(t, err, tenant.ErrConflict)
	if r := ok(f.ApproveRecovery(ctx, "acme", ada.ID, second))(t); r.FirstBy != first || r.ApprovedBy != second {
		t.Errorf("after the second: %+v", r)
	}
}

func testBreakGlass(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustTenant("globex")
	var glass tenant.Person
	for _, p := range ok(f.People(ctx, "acme"))(t) {
		if p.Kind == tenant.BreakGlass {
			glass = p
		}
	}
	ada := f.mustPerson("acme", "ada@acme.example", "")
	code := randomHash()
	keep := func(p tenant.Person, h secret.Hash) error {
		return f.KeepBreakGlassCode(ctx, tenant.BreakGlassCode{Tenant: "acme", Person: p.ID, Hash: h, IssuedBy: "uid:7", IssuedAt: start})
	}
	wantReason(t, keep(ada, code), tenant.ErrConflict)
	for _, h := range []secret.Hash{randomHash(), code} { // the second replaces the first
		if err := keep(glass, h); err != nil {
			t.Fatal(err)
		}
	}
	ways := func() map[string]tenant.Ways { return ok(f.WaysIn(ctx, ok(f.Tenant(ctx, "acme"))(t)))(t) }
	if w := ways(); w[glass.ID] != (tenant.Ways{Code: true}) || w[ada.ID] != (tenant.Ways{}) {
		t.Errorf("the ways in are %v", w)
	}
	if proof := ok(f.GlassProofs(ctx, "acme"))(t)[glass.ID]; !proof.SealedAt.Equal(start) || !proof.UsedAt.IsZero() {
		t.Errorf("sealed at %v, used at %v", proof.SealedAt, proof.UsedAt)
	}
	_, err := f.ProveBreakGlass(ctx, "globex", code)
	wantReason(t, err, tenant.ErrNotFound)
	if holder := ok(f.ProveBreakGlass(ctx, "acme", code))(t); holder != glass.ID || ways()[glass.ID] != (tenant.Ways{Code: true, Proven: f.clock.Now()}) {
		t.Errorf("a code that was proven is %s's, and its ways are %v", holder, ways())
	}
	link := ok(f.IssueEnrolment(ctx, newEnrolment(glass, start)))(t) // it may be given a passkey, that is not copied about
	copied := newPasskey(glass, "copied")
	if err := f.Enrol(ctx, link.Hash, copied, newSession(copied, start), secret.Hash{}); err == nil {
		t.Error("a break-glass principal was given a passkey that can be copied")
	}
	key := newPasskey(glass, "key")
	key.Flags = 0x05
	if err := f.Enrol(ctx, link.Hash, key, newSession(key, start), secret.Hash{}); err != nil {
		t.Fatal(err)
	}
	_, err = f.IssueEnrolment(ctx, newEnrolment(glass, start)) // once; from then on it has its code
	wantReason(t, err, tenant.ErrConflict)
	_, err = f.BreakGlass(ctx, "globex", code, newEnrolment(glass, start))
	wantReason(t, err, tenant.ErrNotFound)
	if holder := ok(f.BreakGlassHolder(ctx, "acme", code))(t); holder != glass.ID {
		t.Errorf("the code is %s's", holder)
	}
	_, err = f.BreakGlassHolder(ctx, "globex", code)
	wantReason(t, err, tenant.ErrNotFound)
	f.reopen()
	f.clock.advance(time.Hour)
	won := 0
	for _, err := range together(8, func(int) error {
		e, err := f.BreakGlass(ctx, "acme", code, newEnrolment(tenant.Person{}, start))
		if err == nil && (e.Person != glass.ID || e.Why != tenant.GlassBroken) {
			t.Errorf("the link is %+v", e)
		}
		return err
	}) {
		if err == nil {
			won++
		} else {
			wantReason(t, err, tenant.ErrNotFound)
		}
	}
	if won != 1 {
		t.Errorf("a code was used %d times", won)
	}
	if w := ways()[glass.ID]; w.Passkeys != 1 || w.Code || !w.CodeUsed {
		t.Errorf("once its code is used: %+v", w)
	}
	_, err = f.ProveBreakGlass(ctx, "acme", code)
	wantReason(t, err, tenant.ErrNotFound)
	if err := keep(glass, randomHash()); err != nil {
		t.Fatal(err)
	}
	if w := ways()[glass.ID]; !w.Code || w.CodeUsed {
		t.Errorf("with a new code: %+v", w)
	}
	if proof := ok(f.GlassProofs(ctx, "acme"))(t)[glass.ID]; !proof.ProvenAt.IsZero() { // a new paper is not proven by the old one
		t.Errorf("a new code was proven at %v", proof.ProvenAt)
	}
	if proof := ok(f.GlassProofs(ctx, "acme"))(t)[glass.ID]; !proof.SealedAt.Equal(start) || !proof.UsedAt.Equal(f.clock.Now()) {
		t.Errorf("after its use: sealed at %v, used at %v", proof.SealedAt, proof.UsedAt)
	}
}

// testLeftBehind: a recovery suspends what was lost and ends what it opened, whether or not there is room for one more.
func testLeftBehind(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	ada := f.mustPerson("acme", "ada@acme.example", "")
	var lost []tenant.Passkey
	for i := range tenant.MaxPasskeys {
		lost = append(lost, f.mustPasskey(ada, fmt.Sprint(i)))
	}
	wantReason(t, f.SignIn(ctx, newSession(lost[1], f.clock.Now()), used(lost[1], 0), secret.Hash{}), tenant.ErrCounter)
	link := f.mustRecover(ada)
	on := f.mustSignIn(lost[0], 1)
	k := newPasskey(ada, "new")
	if err := f.Enrol(ctx, link.Hash, k, newSession(k, f.clock.Now()), secret.Hash{}); err != nil {
		t.Fatal(err)
	}
	f.reopen()
	_, _, err := f.Session(ctx, "acme", on.Hash)
	wantReason(t, err, tenant.ErrNotFound)
	if sessions := ok(f.Sessions(ctx, "acme", ada.ID))(t); len(sessions) != 1 {
		t.Errorf("%d sessions are open after a recovery", len(sessions))
	}
	for _, old := range ok(f.Passkeys(ctx, "acme", ada.ID))(t) {
		want := tenant.LeftBehind
		switch old.Name {
		case "1":
			want = tenant.CounterWentBack // it was, and still is
		case "new":
			want = ""
		}
		if old.SuspendedWhy != want || old.Live() != (want == "") {
			t.Errorf("%s is suspended for %q at %s", old.Name, old.SuspendedWhy, old.SuspendedAt)
		}
	}
	wantReason(t, f.SignIn(ctx, newSession(lost[0], f.clock.Now()), used(lost[0], 9), secret.Hash{}), tenant.ErrDisabled)

	if back := ok(f.RestorePasskey(ctx, "acme", ada.ID, lost[0].ID))(t); !back.Live() { // it turned up again
		t.Errorf("restored: %+v", back)
	}
	f.mustSignIn(lost[0], 9)
	_, err = f.RestorePasskey(ctx, "acme", ada.ID, lost[0].ID) // it works
	wantReason(t, err, tenant.ErrConflict)
	_, err = f.RestorePasskey(ctx, "acme", ada.ID, lost[1].ID) // there may be two of it
	wantReason(t, err, tenant.ErrConflict)
	for i := 2; i < tenant.MaxPasskeys; i++ {
		ok(f.RestorePasskey(ctx, "acme", ada.ID, lost[i].ID))(t)
	}
	_, err = f.AddPasskey(ctx, newPasskey(ada, "one too many"))
	wantReason(t, err, tenant.ErrConflict)
}

// mustRecover goes the slow way to a link for somebody who has passkeys.
func (f *fixture) mustRecover(p tenant.Person) tenant.Enrolment {
	f.t.Helper()
	ctx := f.t.Context()
	first, second := f.mustVoices()
	ok(f.RequestRecovery(ctx, p.Tenant, p.ID, first))(f.t)
	ok(f.ApproveRecovery(ctx, p.Tenant, p.ID, second))(f.t)
	f.clock.advance(tenant.RecoveryDelay)
	return ok(f.IssueEnrolment(ctx, newEnrolment(p, f.clock.Now())))(f.t)
}
