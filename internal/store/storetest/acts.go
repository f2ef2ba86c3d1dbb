package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"seawall/internal/tenant"
)

func testPolicies(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("globex")
	acme := f.mustTenant("acme")
	api := f.mustAPI("acme", audience)
	f.mustClient("acme", "ci") // no concern of the signer
	ok(f.DisableAPI(ctx, "uid 8", "acme", api.ID))(t)
	ok(f.DisableAPI(ctx, "uid 8", "acme", api.ID))(t) // changes nothing
	ok(f.DisableTenant(ctx, "uid 9", "acme"))(t)
	_, err := f.CreateAPI(ctx, "uid 9", newAPI("acme", "https://late.example")) // refused
	wantReason(t, err, tenant.ErrDisabled)

	policy := func(version uint64, actor string, disabled bool, apis ...tenant.PolicyAPI) tenant.Policy {
		p := acme.Policy(actor, nil, nil)
		p.Version, p.Disabled, p.APIs = version, disabled, apis
		return p
	}
	want := []tenant.Policy{
		policy(1, "uid 7", false),
		policy(2, "uid 7", false, tenant.PolicyAPI{Audience: audience, Scopes: []string{"read", "write"}}),
		policy(3, "uid 8", false),
		policy(4, "uid 9", true),
		ok(f.Tenant(ctx, "globex"))(t).Policy("uid 7", nil, nil),
	}
	f.reopen()
	if pending := ok(f.PendingPolicies(ctx))(t); !reflect.DeepEqual(pending, want) {
		t.Errorf("pending %+v\nwant %+v", pending, want)
	}

	wantReason(t, f.PolicyApplied(ctx, "hooli", 1), tenant.ErrNotFound)
	wantReason(t, f.PolicyApplied(ctx, "acme", 5), tenant.ErrConflict)
	for _, version := range []uint64{1, 3, 2, 3, 0} { // late and repeated confirmations change nothing
		if err := f.PolicyApplied(ctx, "acme", version); err != nil {
			t.Errorf("version %d: %v", version, err)
		}
	}
	if got := ok(f.Tenant(ctx, "acme"))(t); got.PolicyVersion != 4 || got.PolicyApplied != 3 {
		t.Errorf("acme has policy %d and applied %d", got.PolicyVersion, got.PolicyApplied)
	}
	f.reopen()
	if pending := ok(f.PendingPolicies(ctx))(t); !reflect.DeepEqual(pending, want[3:]) {
		t.Errorf("pending %+v\nwant %+v", pending, want[3:])
	}
}

// testClientPolicies: a client that people sign in to is part of the policy, from the very act on that makes it to the one
// that ends it.
func testClientPolicies(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustAPI("acme", audience)
	web := newApplication("acme", "web")
	ok(f.CreateClient(ctx, "uid 8", web))(t)
	f.mustClient("acme", "ci") // no concern of the signer
	ok(f.CreateClient(ctx, "uid 9", newApplication("acme", "shop")))(t)
	_, err := f.CreateClient(ctx, "uid 9", web) // refused
	wantReason(t, err, tenant.ErrExists)
	ok(f.DisableClient(ctx, "uid 10", "acme", "ci"))(t)
	ok(f.DisableClient(ctx, "uid 11", "acme", "web"))(t)
	ok(f.DisableClient(ctx, "uid 12", "acme", "web"))(t) // changes nothing
	ok(f.DisableClient(ctx, "uid 13", "acme", "shop"))(t)
	f.reopen()
	var got []string
	for _, p := range ok(f.PendingPolicies(ctx))(t) {
		got = append(got, fmt.Sprint(p.Version, " ", p.Actor, " ", len(p.APIs), " ", p.Clients))
	}
	want := []string{"1 uid 7 0 []", "2 uid 7 1 []", "3 uid 8 1 [web]", "4 uid 9 1 [shop web]", "5 uid 11 1 [shop]", "6 uid 13 1 []"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("policies %q\nwant     %q", got, want)
	}
}

// together runs n functions at the same time and returns their errors.
func together(n int, do func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = do(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

func testPolicyRace(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	for i, err := range together(16, func(i int) error {
		_, err := f.CreateAPI(ctx, "uid 7", newAPI("acme", fmt.Sprintf("https://api-%d.acme.example", i)))
		return err
	}) {
		if err != nil {
			t.Errorf("API %d: %v", i, err)
		}
	}
	pending := ok(f.PendingPolicies(ctx))(t)
	if len(pending) != 17 {
		t.Fatalf("%d policies are pending, want 17", len(pending))
	}
	for i, p := range pending {
		if p.Version != uint64(i)+1 || len(p.APIs) != i {
			t.Errorf("policy %d has version %d and %d APIs", i+1, p.Version, len(p.APIs))
		}
	}
}

// testPolicyQueues gives one tenant a long queue: it must not hide another tenant's policy.
func testPolicyQueues(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustTenant("globex")
	for i := range 70 {
		f.mustAPI("acme", fmt.Sprintf("https://api-%d.acme.example", i))
	}
	next := map[string]uint64{"acme": 1, "globex": 1}
	for {
		pending := ok(f.PendingPolicies(ctx))(t)
		if next["acme"] == 1 && (len(pending) == 0 || pending[len(pending)-1].Tenant != "globex") {
			t.Fatal("the long queue of one tenant hides another's policy")
		}
		if len(pending) == 0 {
			break
		}
		for _, p := range pending {
			if p.Version != next[p.Tenant] {
				t.Fatalf("policy %d of %s follows %d", p.Version, p.Tenant, next[p.Tenant]-1)
			}
			next[p.Tenant]++
			if err := f.PolicyApplied(ctx, p.Tenant, p.Version); err != nil {
				t.Fatal(err)
			}
		}
	}
	if next["acme"] != 72 || next["globex"] != 2 {
		t.Errorf("the outbox ended before %v", next)
	}
}

func testAssertions(t *testing.T, f *fixture) {
	ctx := t.Context()
	until := start.Add(5 * time.Minute)
	consume := func(tenantID, client, jti string) bool {
		t.Helper()
		return ok(f.ConsumeAssertion(ctx, tenantID, client, jti, until))(t)
	}
	if !consume("acme", "ci", "a") || consume("acme", "ci", "a") {
		t.Error("the first use does not win, or the second does")
	}
	for _, names := range [][3]string{{"acme", "ci", "b"}, {"acme", "cd", "a"}, {"globex", "ci", "a"}, {"acm", "eci", "a"}, {"acme", "cia", ""}, {"acme", "ci", "A"}, {"acme", "ci", "a\x00"}} {
		if !consume(names[0], names[1], names[2]) {
			t.Errorf("%q is taken for another", names)
		}
	}
	f.reopen()
	if consume("acme", "ci", "a") {
		t.Error("the memory did not survive")
	}
	f.clock.advance(5*time.Minute - time.Millisecond)
	if consume("acme", "ci", "a") {
		t.Error("forgotten a millisecond early")
	}
	f.clock.advance(time.Millisecond)
	until = f.clock.Now().Add(time.Minute)
	if !consume("acme", "ci", "a") || consume("acme", "ci", "a") {
		t.Error("after its time an assertion is not new exactly once")
	}
	until = f.clock.Now()
	if first, err := f.ConsumeAssertion(ctx, "acme", "ci", "c", until); err == nil || first {
		t.Errorf("a memory that ends at once: %v, %v", first, err)
	}
}

func testAssertionRace(t *testing.T, f *fixture) {
	ctx := t.Context()
	for round := range 50 {
		jti := fmt.Sprint("jti ", round)
		wins := make([]bool, 16)
		for _, err := range together(16, func(i int) (err error) {
			wins[i], err = f.ConsumeAssertion(ctx, "acme", "ci", jti, start.Add(time.Minute))
			return err
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		winners := 0
		for _, won := range wins {
			if won {
				winners++
			}
		}
		if winners != 1 {
			t.Fatalf("round %d has %d winners", round, winners)
		}
	}
}

// testSweep uses many assertions, lets them expire and uses as many new ones: what is left cannot be seen through the
// contract, except that nothing that is still valid may go.
func testSweep(t *testing.T, f *fixture) {
	ctx := t.Context()
	const n = 200
	use := func(prefix string, until time.Time) (firsts int) {
		t.Helper()
		for _, err := range together(n, func(i int) error {
			_, err := f.ConsumeAssertion(ctx, "acme", "ci", fmt.Sprint(prefix, i), until)
			return err
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			if ok(f.ConsumeAssertion(ctx, "acme", "ci", fmt.Sprint(prefix, i), until))(t) {
				firsts++
			}
		}
		return firsts
	}
	long := start.Add(time.Hour)
	if use("short ", start.Add(time.Second)) != 0 || use("long ", long) != 0 {
		t.Error("an assertion was forgotten at once")
	}
	f.clock.advance(time.Minute)
	if use("new ", long) != 0 || use("long ", long) != 0 || use("new ", long) != 0 {
		t.Error("sweeping took assertions that are still valid")
	}
}

func testCreateRace(t *testing.T, f *fixture) {
	ctx := t.Context()
	for round := range 10 {
		id, created := fmt.Sprint("acme-", round), 0
		for _, err := range together(16, func(i int) error {
			_, err := f.CreateTenant(ctx, fmt.Sprint("uid ", i), newTenant(id))
			return err
		}) {
			if err == nil {
				created++
			} else {
				wantReason(t, err, tenant.ErrExists)
			}
		}
		if created != 1 {
			t.Fatalf("round %d: created %d times", round, created)
		}
	}
	if pending := ok(f.PendingPolicies(ctx))(t); len(pending) != 10 {
		t.Errorf("%d policies are pending, want 10", len(pending))
	}
}

func testRotateRace(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustAPI("acme", audience)
	f.mustClient("acme", "ci")
	rotated := 0
	for _, err := range together(8, func(int) error {
		_, err := f.RotateSecret(ctx, "acme", "ci", newHash(), time.Hour)
		return err
	}) {
		if err == nil {
			rotated++
		} else {
			wantReason(t, err, tenant.ErrConflict)
		}
	}
	if c := ok(f.Client(ctx, "acme", "ci"))(t); rotated != 1 || len(c.Secrets) != 2 {
		t.Errorf("rotated %d times, and %d secrets are left", rotated, len(c.Secrets))
	}
}

// testNeighbours mixes acts that fail for all kinds of reasons with acts that are fine. They share commits.
func testNeighbours(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustAPI("acme", audience)
	taken := newClient("acme", "taken")
	ok(f.CreateClient(ctx, "uid 7", taken))(t)
	const n = 240
	for i, err := range together(n, func(i int) error {
		switch i % 4 {
		case 0: // fine
			_, err := f.CreateClient(ctx, "uid 7", newClient("acme", fmt.Sprint("good-", i)))
			return err
		case 1: // fails at the first statement
			_, err := f.CreateClient(ctx, "uid 7", newClient("acme", "taken"))
			return err
		case 2: // fails at the last, after the client's row was written
			c := newClient("acme", fmt.Sprint("bad-", i))
			c.Secrets = append(c.Secrets, taken.Secrets[0])
			_, err := f.CreateClient(ctx, "uid 7", c)
			return err
		}
		_, err := f.ConsumeAssertion(ctx, "acme", "ci", fmt.Sprint(i), start.Add(time.Minute))
		return err
	}) {
		switch i % 4 {
		case 1:
			wantReason(t, err, tenant.ErrExists)
		case 2:
			wantReason(t, err, tenant.ErrConflict)
		default:
			if err != nil {
				t.Errorf("act %d: %v", i, err)
			}
		}
	}
	all := ok(f.Clients(ctx, "acme"))(t)
	if len(all) != n/4+1 {
		t.Errorf("%d clients are kept, want %d", len(all), n/4+1)
	}
	for _, c := range all {
		if len(c.Secrets) != 1 || len(c.APIs) != 1 {
			t.Errorf("client %s has %d secrets and %d APIs", c.ID, len(c.Secrets), len(c.APIs))
		}
	}
	for i := 2; i < n; i += 4 { // a failed act used up nothing
		ok(f.CreateClient(ctx, "uid 7", newClient("acme", fmt.Sprint("bad-", i))))(t)
	}
}

func testValues(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustAPI("acme", audience)
	kept := f.mustClient("acme", "ci")
	want := ok(f.Client(ctx, "acme", "ci"))(t)
	for _, c := range []tenant.Client{kept, ok(f.Client(ctx, "acme", "ci"))(t)} {
		c.APIs[0].Scopes[0], c.Claims["dept"], c.Secrets[0].ExpiresAt, c.Grants[0] = "write", "8", start, "password"
	}
	ok(f.APIs(ctx, "acme"))(t)[0].Scopes[0] = "delete"
	if got := ok(f.Client(ctx, "acme", "ci"))(t); !reflect.DeepEqual(got, want) {
		t.Errorf("writing into a value changed what others read: %+v", got)
	}
	if got := ok(f.APIs(ctx, "acme"))(t); got[0].Scopes[0] != "read" {
		t.Errorf("writing into a value changed what others read: %+v", got)
	}
}

func testGeneration(t *testing.T, f *fixture) {
	ctx := t.Context()
	before := f.Generation()
	grows := func(what string, want bool, act func() error) {
		t.Helper()
		waiting, giveUp := context.WithCancel(ctx)
		defer giveUp()
		waited := make(chan uint64, 1)
		go func() {
			g, _ := f.Wait(waiting, before)
			waited <- g
		}()
		if err := act(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		after := f.Generation()
		if (after > before) != want {
			t.Errorf("%s: the generation went from %d to %d", what, before, after)
		}
		if !want || after == before {
			giveUp()
		} else if g := <-waited; g <= before {
			t.Errorf("%s: Wait returned %d after %d", what, g, before)
		}
		before = after
	}
	api := newAPI("acme", audience)
	api.ID = "orders"
	grows("create tenant", true, func() error { f.mustTenant("acme"); return nil })
	grows("create API", true, func() error { _, err := f.CreateAPI(ctx, "", api); return err })
	grows("create client", true, func() error { f.mustClient("acme", "ci"); return nil })
	grows("rotate", true, func() error { _, err := f.RotateSecret(ctx, "acme", "ci", newHash(), 0); return err })
	grows("create operators", true, func() error { f.mustOperators(); return nil })
	bob := f.mustPerson(tenant.Operators, "bob", tenant.HelpDesk)
	grows("a person's role", true, func() error {
		_, err := f.SetRole(ctx, tenant.Operators, bob.ID, tenant.Auditor)
		return err
	})
	grows("disable person", true, func() error { _, err := f.DisablePerson(ctx, tenant.Operators, bob.ID); return err })
	grows("disable client", true, func() error { _, err := f.DisableClient(ctx, "uid 7", "acme", "ci"); return err })
	grows("disable API", true, func() error { _, err := f.DisableAPI(ctx, "", "acme", "orders"); return err })
	grows("disable tenant", true, func() error { _, err := f.DisableTenant(ctx, "", "acme"); return err })
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if g, err := f.Wait(canceled, before); !errors.Is(err, context.Canceled) || g != before {
		t.Errorf("waiting without a change gives %d, %v", g, err)
	}
	for what, act := range map[string]func() error{
		"assertion":      func() error { _, err := f.ConsumeAssertion(ctx, "acme", "ci", "a", start.Add(time.Hour)); return err },
		"policy applied": func() error { return f.PolicyApplied(ctx, "acme", 1) },
		"disabled again": func() error { _, err := f.DisableTenant(ctx, "", "acme"); return err },
		"refused": func() error {
			_, err := f.CreateTenant(ctx, "", newTenant("acme"))
			wantReason(t, err, tenant.ErrUsedBefore)
			return nil
		},
	} {
		if err := act(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if g := f.Generation(); g != before {
			t.Errorf("%s: the generation went from %d to %d", what, before, g)
		}
	}
}

func testGivenUp(t *testing.T, f *fixture) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 50 {
		id := fmt.Sprint("acme-", i)
		_, err := f.CreateTenant(canceled, "uid 7", newTenant(id))
		_, found := f.Tenant(t.Context(), id)
		switch {
		case err == nil && found == nil: // the act was begun before anybody looked at the context
		case errors.Is(err, context.Canceled) && errors.Is(found, tenant.ErrNotFound):
		default:
			t.Fatalf("creating says %v, and reading says %v", err, found)
		}
	}
	if _, err := f.Tenant(canceled, "acme-0"); !errors.Is(err, context.Canceled) {
		t.Errorf("reading with a canceled context: %v", err)
	}
}

func testClosed(t *testing.T, f *fixture) {
	f.mustTenant("acme")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if _, err := f.CreateTenant(t.Context(), "uid 7", newTenant("globex")); err == nil {
		t.Error("a closed store took a tenant")
	}
	if _, err := f.Tenant(t.Context(), "acme"); err == nil {
		t.Error("a closed store answered")
	}
	f.Store = f.open(t, f.dir, f.clock.Now)
	if all := ok(f.Tenants(t.Context()))(t); len(all) != 1 {
		t.Errorf("found %+v", all)
	}
}

func testReopen(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustTenant("acme")
	f.mustAPI("acme", audience)
	f.mustClient("acme", "ci")
	ok(f.RotateSecret(ctx, "acme", "ci", newHash(), time.Hour))(t)
	view := func() []any {
		return []any{
			ok(f.Tenants(ctx))(t), ok(f.APIs(ctx, "acme"))(t), ok(f.Clients(ctx, "acme"))(t), ok(f.PendingPolicies(ctx))(t),
			ok(f.Client(ctx, "acme", "ci"))(t),
		}
	}
	before := view()
	for range 3 {
		f.reopen()
		if after := view(); !reflect.DeepEqual(after, before) {
			t.Fatalf("before %+v\nafter %+v", before, after)
		}
	}
}
