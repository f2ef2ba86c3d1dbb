package server

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/login"
	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// houseWithName starts a house whose base URL has a name.
func houseWithName(t *testing.T) *testHouse {
	t.Helper()
	return newHouse(t, options{name: "localhost"})
}

// TestEveryActOfADoorIsAKindOfEntry asks the true ledger, which refuses what it has no law for.
func TestEveryActOfADoorIsAKindOfEntry(t *testing.T) {
	o := newRealVaults(t).options()
	o.name = "localhost"
	h := newHouse(t, o)
	h.acme()
	p, err := h.op.CreatePerson(t.Context(), "acme", adminapi.CreatePerson{Login: "ada@acme.example"})
	must(t, p, err)
	details := map[login.ActKind]map[string]string{
		login.SignedIn: {"acr": "phr", "passkey": "x", "session": "y"}, login.PasskeyAdded: {"passkey": "x"}, login.PasskeyRemoved: {"passkey": "x"}, login.PasskeyRestored: {"passkey": "x"},
		login.PasskeySuspended: {"passkey": "x", "reason": "y"}, login.SessionEnded: {"reason": "x"}, login.EnrolmentUsed: {"reason": "x"},
		login.RecoveryApproved: {"requested_by": "uid:0", "usable_from": "2026-11-28T00:00:00Z"},
		login.ConsentWithdrawn: {"reason": "x"}, login.RefreshResumed: {"family": "x", "reason": "y"},
	}
	for _, kind := range login.ActKinds() {
		act := login.Act{Kind: kind, Tenant: "acme", Person: p.Subject, Detail: details[kind]}
		if kind == login.ConsentWithdrawn || kind == login.RefreshResumed {
			act.Client = "ci"
		}
		if err := h.recordActs(t.Context(), act); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestFoundMakesTheFirstAdministratorOnce(t *testing.T) {
	h := houseWithName(t)
	first, err := h.Found(t.Context())
	if err != nil || first == nil {
		t.Fatalf("the first start: %v, %v", first, err)
	}
	again, err := h.Found(t.Context()) // a restart before the link was used
	if err != nil || again == nil || again.Link.Equal(first.Link) {
		t.Fatalf("the second start: %v", err)
	}
	people, err := h.op.People(t.Context(), tenant.Operators)
	must(t, people, err)
	if len(people) != 1+tenant.BreakGlassPrincipals {
		t.Errorf("%d people were made", len(people))
	}
	i := slices.IndexFunc(people, func(p adminapi.Person) bool { return p.Login == "administrator" })
	if i < 0 || people[i].Role != "owner" {
		t.Fatalf("the people are %+v", people)
	}
	_, text, _ := strings.Cut(first.Link.Reveal(), "#")
	if _, _, err := h.store.Enrolment(t.Context(), tenant.Operators, secret.New(text).Hash()); err == nil {
		t.Error("the first link still works")
	}
	_, text, _ = strings.Cut(again.Link.Reveal(), "#")
	k := tenant.Passkey{Tenant: tenant.Operators, Person: people[i].Subject, ID: []byte("id"), Key: []byte("key"), CreatedAt: time.Now()}
	n := tenant.Session{ID: "one", Tenant: tenant.Operators, Person: people[i].Subject, Passkey: k.ID, ACR: "phr", At: time.Now(), SeenAt: time.Now()}
	if err := h.store.Enrol(t.Context(), secret.New(text).Hash(), k, n, secret.Hash{}); err != nil {
		t.Fatal(err)
	}
	if later, err := h.Found(t.Context()); later != nil || err != nil {
		t.Errorf("once there is an owner: %v, %v", later, err)
	}
	if strings.Contains(h.log.String(), "no owner can sign in") {
		t.Error("there is an alarm about nothing")
	}
	if _, err := h.operate(people[i].Subject, time.Now()).DisablePerson(t.Context(), tenant.Operators, "administrator"); err == nil || !strings.Contains(err.Error(), "is the last owner") {
		t.Errorf("disabling the last owner: %v", err)
	}
	shown, err := h.op.Tenant(t.Context(), tenant.Operators)
	if must(t, shown, err); len(shown.Findings) != 2 {
		t.Errorf("findings: %+v", shown.Findings)
	}
	if _, err := h.op.CreateTenant(t.Context(), adminapi.CreateTenant{Tenant: "operators", Class: "production", Owner: "a@b.example", Contacts: []string{"a@b.example", "c@b.example"}}); err == nil {
		t.Error("somebody made the operators' tenant")
	}
	if strings.Contains(h.log.String(), "swe_") {
		t.Error("a link is in the log")
	}
}

// TestTheOnlyOwnerIsSuspended: a restart is no way in, says what is, and that one works and is loud.
func TestTheOnlyOwnerIsSuspended(t *testing.T) {
	h := houseWithName(t)
	ctx := t.Context()
	if _, err := h.Found(ctx); err != nil {
		t.Fatal(err)
	}
	owner, err := h.op.Person(ctx, tenant.Operators, firstAdministrator)
	must(t, owner, err)
	k, err := h.store.AddPasskey(ctx, tenant.Passkey{Tenant: tenant.Operators, Person: owner.Subject, ID: []byte("id"), Key: []byte("key"), Count: 7, CreatedAt: time.Now()})
	must(t, k, err)
	if err := h.store.SignIn(ctx, tenant.Session{ID: "copy", Tenant: tenant.Operators, Person: owner.Subject, Passkey: k.ID}, k, secret.Hash{}); !errors.Is(err, tenant.ErrCounter) {
		t.Fatal(err)
	}
	if invited, err := h.Found(ctx); invited != nil || err != nil {
		t.Errorf("a restart invites %v, %v", invited, err)
	}
	if !strings.Contains(h.log.String(), "no owner can sign in any more") || !strings.Contains(h.log.String(), "seawall break-glass use --tenant operators") {
		t.Error("the log doesn't say what is wrong, and what to do")
	}
	code := secret.Generate(secret.BreakGlass, secret.Production)
	hash := code.Hash()
	if err := h.op.SealGlass(ctx, tenant.Operators, "break-glass-1", adminapi.SealGlass{Hash: hash[:]}); err != nil {
		t.Fatal(err)
	}
	l, err := h.op.BreakGlass(ctx, tenant.Operators, adminapi.BreakGlass{Code: code.Reveal()})
	if must(t, l, err); !strings.Contains(l.Link, "/operators/enrol#") || !strings.Contains(h.log.String(), "a break-glass code is used") {
		t.Errorf("the way back is %q", l.Reason)
	}
}

// TestAGlassIsGivenAPasskey beforehand, by an owner only, loudly, and once.
func TestAGlassIsGivenAPasskey(t *testing.T) {
	h := houseWithName(t)
	h.acme()
	ctx, staff := t.Context(), h.staff()
	for _, role := range []tenant.Role{tenant.Operator, tenant.HelpDesk} {
		refused(t, string(role), second(h.as(staff[role]).EnrolPerson(ctx, "acme", "break-glass-1")), adminapi.CodeForbidden, "only an owner")
	}
	l, err := h.as(staff[tenant.Owner]).EnrolPerson(ctx, "acme", "break-glass-1")
	if must(t, l, err); l.Reason != "first" || !strings.Contains(h.log.String(), "a break-glass principal is given a link") {
		t.Errorf("the link is for %q", l.Reason)
	}
	k, err := h.store.AddPasskey(ctx, tenant.Passkey{Tenant: "acme", Person: l.Subject, ID: []byte("id"), Key: []byte("key"), CreatedAt: time.Now()})
	must(t, k, err)
	refused(t, "twice", second(h.as(staff[tenant.Owner]).EnrolPerson(ctx, "acme", "break-glass-1")), adminapi.CodeConflict, "by its code only")
}

func TestNobodyIsInvitedToAnAddress(t *testing.T) {
	h := newHouse(t, options{})
	if first, err := h.Found(t.Context()); first != nil || err != nil {
		t.Errorf("found %v, %v", first, err)
	}
	h.acme()
	p, err := h.op.CreatePerson(t.Context(), "acme", adminapi.CreatePerson{Login: "ada@acme.example"})
	must(t, p, err)
	if _, err := h.op.EnrolPerson(t.Context(), "acme", p.Login); err == nil || !strings.Contains(err.Error(), "browsers bind passkeys to a name") {
		t.Errorf("a link at an address: %v", err)
	}
}

func TestPeopleOverTheSocket(t *testing.T) {
	h := houseWithName(t)
	h.acme()
	ctx := t.Context()
	p, err := h.op.CreatePerson(ctx, "acme", adminapi.CreatePerson{Login: "Ada@ACME.example", Name: "Ada Lovelace"})
	must(t, p, err)
	for name, try := range map[string]func() error{
		"twice": func() error {
			_, err := h.op.CreatePerson(ctx, "acme", adminapi.CreatePerson{Login: "ada@acme.example"})
			return err
		},
		"with a role": func() error {
			_, err := h.op.CreatePerson(ctx, "acme", adminapi.CreatePerson{Login: "bob@acme.example", Role: "owner"})
			return err
		},
		"nowhere": func() error {
			_, err := h.op.CreatePerson(ctx, "hooli", adminapi.CreatePerson{Login: "bob@acme.example"})
			return err
		},
		"nobody's link": func() error { _, err := h.op.EnrolPerson(ctx, "acme", "nobody"); return err },
		"no passkey yet": func() error {
			_, err := h.op.RecoverPerson(ctx, "acme", p.Login, adminapi.RecoverPerson{Step: "request"})
			return err
		},
		"no such step": func() error {
			_, err := h.op.RecoverPerson(ctx, "acme", p.Login, adminapi.RecoverPerson{Step: "skip"})
			return err
		},
		"a glass's end": func() error { _, err := h.op.DisablePerson(ctx, "acme", "break-glass-1"); return err },
		"no metadata": func() error {
			_, err := h.op.CompleteTenant(ctx, "acme", adminapi.CompleteTenant{Passkeys: "attested"})
			return err
		},
	} {
		if try() == nil {
			t.Errorf("%s: it was done", name)
		}
	}
	l, err := h.op.EnrolPerson(ctx, "acme", p.Login)
	if must(t, l, err); !strings.HasPrefix(l.Link, h.base+"/acme/enrol#swe_prod_") || l.Reason != "first" {
		t.Errorf("the link is for %q", l.Reason)
	}
	if strings.Contains(h.log.String(), "swe_") {
		t.Error("the link is in the log")
	}
	gone, err := h.op.DisablePerson(ctx, "acme", p.Login)
	if must(t, gone, err); gone.Disabled.IsZero() {
		t.Error("a disabled person is not disabled")
	}
	if _, err := h.op.EnrolPerson(ctx, "acme", p.Subject); err == nil {
		t.Error("a disabled person got a link")
	}
}

// TestOnlySessionsEnd: what is no session, or is over, ends nothing, and what was sent in its place is written nowhere.
func TestOnlySessionsEnd(t *testing.T) {
	h := houseWithName(t)
	operator := h.staff()[tenant.Operator]
	h.visitor(operator, time.Now())
	sessions, err := h.store.Sessions(t.Context(), tenant.Operators, operator.ID)
	if must(t, sessions, err); len(sessions) != 1 {
		t.Fatalf("%d sessions", len(sessions))
	}
	for _, one := range []string{"swr_prod_somebodys", sessions[0].ID, sessions[0].ID} {
		must(t, struct{}{}, second(h.op.EndSessions(t.Context(), tenant.Operators, operator.ID, adminapi.EndSessions{Session: one})))
	}
	ended := h.vaults.recorded(mint.SessionEnded)
	if len(ended) != 1 || !slices.Contains(ended[0].Detail, mint.Field{Name: "session", Value: sessions[0].ID}) {
		t.Errorf("recorded: %+v", ended)
	}
}

// TestWhoReadsACodeIsRecorded by the fingerprint of their key, and by nothing else that somebody might put there.
func TestWhoReadsACodeIsRecorded(t *testing.T) {
	h := houseWithName(t)
	h.acme()
	code := secret.Generate(secret.BreakGlass, secret.Production)
	hash := code.Hash()
	const print = "SHA256:ZCaOTmiO/hmYbMqou7GewbJP5v9bgTzhOqSKCHWf0j4"
	for name, wrong := range map[string]string{
		"a code": code.Reveal(), "a code behind the prefix": "SHA256:" + code.Reveal(), "a recipient": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
		"more after it": print + "\n" + print, "one too short": print[:len(print)-1],
	} {
		e := refused(t, name, h.op.SealGlass(t.Context(), "acme", "break-glass-1", adminapi.SealGlass{Hash: hash[:], Recipient: wrong}), adminapi.CodeInvalid, "fingerprint of a key")
		if strings.Contains(e.Error(), wrong) {
			t.Errorf("%s: the refusal repeats it", name)
		}
	}
	if n := len(h.vaults.recorded(mint.GlassSealed)); n > 0 {
		t.Fatalf("%d refused codes are recorded", n)
	}
	must(t, struct{}{}, h.op.SealGlass(t.Context(), "acme", "break-glass-1", adminapi.SealGlass{Hash: hash[:], Recipient: print}))
	shown := secret.Generate(secret.BreakGlass, secret.Production).Hash() // on a terminal: nobody's key is named
	must(t, struct{}{}, h.op.SealGlass(t.Context(), "acme", "break-glass-2", adminapi.SealGlass{Hash: shown[:]}))
	entries := h.vaults.recorded(mint.GlassSealed)
	if len(entries) != 2 || !slices.Equal(entries[0].Detail, []mint.Field{{Name: "recipient", Value: print}}) || len(entries[1].Detail) > 0 {
		t.Errorf("recorded: %+v", entries)
	}
	if strings.Contains(h.log.String(), "swb_") {
		t.Error("a code is in the log")
	}
}

func TestBreakGlassOverTheSocket(t *testing.T) {
	h := houseWithName(t)
	h.acme()
	ctx := t.Context()
	shown, err := h.op.Tenant(ctx, "acme")
	if must(t, shown, err); len(shown.Findings) != 1 || shown.Findings[0].ID != "break-glass-codes" {
		t.Errorf("findings of a new tenant: %+v", shown.Findings)
	}
	codes := map[string]secret.Text{}
	for _, login := range []string{"break-glass-1", "break-glass-2"} {
		codes[login] = secret.Generate(secret.BreakGlass, secret.Production)
		hash := codes[login].Hash()
		if err := h.op.SealGlass(ctx, "acme", login, adminapi.SealGlass{Hash: hash[:]}); err != nil {
			t.Fatal(err)
		}
	}
	done, err := h.op.CompleteTenant(ctx, "acme", adminapi.CompleteTenant{})
	if must(t, done, err); len(done.Findings) != 0 {
		t.Errorf("findings of a completed one: %+v", done.Findings)
	}
	glass := func(login string) adminapi.Glass {
		t.Helper()
		shown, err := h.op.Tenant(ctx, "acme")
		must(t, shown, err)
		i := slices.IndexFunc(shown.Glass, func(g adminapi.Glass) bool { return g.Login == login })
		if i < 0 {
			t.Fatalf("%s is not shown: %+v", login, shown.Glass)
		}
		return shown.Glass[i]
	}
	code := codes["break-glass-1"].Reveal()
	if g := glass("break-glass-1"); !g.Code || g.CodeUsed || !g.Proven.IsZero() {
		t.Errorf("with a code: %+v", g)
	}
	if _, err := h.op.ProveGlass(ctx, "acme", adminapi.BreakGlass{Code: code[:len(code)-1] + "!"}); err == nil {
		t.Error("a wrong code was proven")
	}
	p, err := h.op.ProveGlass(ctx, "acme", adminapi.BreakGlass{Code: code})
	if must(t, p, err); p.Login != "break-glass-1" || glass(p.Login).Proven.IsZero() || !glass("break-glass-2").Proven.IsZero() {
		t.Errorf("it proved %+v", p)
	}
	if _, err := h.op.BreakGlass(ctx, "acme", adminapi.BreakGlass{Code: code[:len(code)-1] + "!"}); err == nil {
		t.Error("a wrong code worked")
	}
	l, err := h.op.BreakGlass(ctx, "acme", adminapi.BreakGlass{Code: code})
	if must(t, l, err); l.Login != "break-glass-1" || l.Reason != "break-glass" {
		t.Errorf("the link is %q for %s", l.Reason, l.Login)
	}
	if _, err := h.op.BreakGlass(ctx, "acme", adminapi.BreakGlass{Code: code}); err == nil {
		t.Error("a code worked twice")
	}
	used := func() bool {
		t.Helper()
		shown, err := h.op.Tenant(ctx, "acme")
		must(t, shown, err)
		return slices.ContainsFunc(shown.Findings, func(f adminapi.Finding) bool {
			return f.ID == "break-glass-used" && strings.Contains(f.What, "break-glass-1") && !strings.Contains(f.What, "break-glass-2")
		})
	}
	if !used() {
		t.Error("nobody is told that a code is used up")
	}
	key := tenant.Passkey{Tenant: "acme", Person: l.Subject, ID: []byte("of the glass"), Key: []byte("key"), CreatedAt: time.Now()}
	if _, err := h.store.AddPasskey(ctx, key); err != nil {
		t.Fatal(err)
	}
	if !used() {
		t.Error("a passkey that came of it takes the code's place") // it is with whoever broke the glass
	}
	hash := secret.Generate(secret.BreakGlass, secret.Production).Hash()
	if err := h.op.SealGlass(ctx, "acme", "break-glass-1", adminapi.SealGlass{Hash: hash[:]}); err != nil || used() {
		t.Errorf("a new code is not enough, %v", err)
	}
	for _, leak := range []string{"swb_", "swe_"} {
		if strings.Contains(h.log.String(), leak) {
			t.Errorf("%s… is in the log", leak)
		}
	}
	if !strings.Contains(h.log.String(), "a break-glass code is used") {
		t.Error("nobody is told that a glass was broken")
	}
	for kind, want := range map[mint.EntryKind]int{mint.GlassSealed: 3, mint.GlassBroken: 1, mint.GlassProven: 1, mint.EnrolmentIssued: 1, mint.TenantCompleted: 1} {
		if got := len(h.vaults.recorded(kind)); got != want {
			t.Errorf("%s is recorded %d times, want %d", kind, got, want)
		}
	}
}

// TestARaisedTierOverTheSocket: whoever asks for more sees first whom that shuts out, and never shuts out the last owner.
func TestARaisedTierOverTheSocket(t *testing.T) {
	h := houseWithName(t)
	h.acme()
	ctx := t.Context()
	invited, err := h.Found(ctx)
	must(t, invited, err)
	p, err := h.op.CreatePerson(ctx, "acme", adminapi.CreatePerson{Login: "ada@acme.example"})
	must(t, p, err)
	owner, err := h.op.Person(ctx, tenant.Operators, firstAdministrator)
	must(t, owner, err)
	for tenantID, subject := range map[string]string{"acme": p.Subject, tenant.Operators: owner.Subject} {
		k := tenant.Passkey{Tenant: tenantID, Person: subject, ID: []byte("of " + tenantID), Key: []byte("key"), Flags: 0x1d, CreatedAt: time.Now()}
		if _, err := h.store.AddPasskey(ctx, k); err != nil {
			t.Fatal(err)
		}
	}
	h.op = h.operate(owner.Subject, time.Now())
	lacks := func(t *adminapi.Tenant) bool {
		return slices.ContainsFunc(t.Findings, func(f adminapi.Finding) bool { return f.ID == "passkeys" && strings.Contains(f.What, p.Login) })
	}
	more := adminapi.CompleteTenant{Passkeys: "device-bound", DryRun: true}
	would, err := h.op.CompleteTenant(ctx, "acme", more)
	if must(t, would, err); would.Passkeys != "device-bound" || !lacks(would) {
		t.Errorf("it would be %s with %+v", would.Passkeys, would.Findings)
	}
	is, err := h.op.Tenant(ctx, "acme")
	if must(t, is, err); is.Passkeys != "any" || lacks(is) || len(h.vaults.recorded(mint.TenantCompleted)) != 0 {
		t.Errorf("after a dry run it is %s with %+v", is.Passkeys, is.Findings)
	}
	more.DryRun = false
	if is, err = h.op.CompleteTenant(ctx, "acme", more); err != nil || !lacks(is) {
		t.Errorf("it is %+v, %v", is, err)
	}
	shown, err := h.op.Person(ctx, "acme", p.Login)
	if must(t, shown, err); !shown.Passkeys[0].Lesser {
		t.Error("the passkey is not shown as too little")
	}
	recorded := len(h.vaults.recorded(mint.TenantCompleted))
	if _, err := h.op.CompleteTenant(ctx, tenant.Operators, more); err == nil || !strings.Contains(err.Error(), "no owner has a passkey that would still be admitted") {
		t.Errorf("shutting out the last owner: %v", err)
	}
	if len(h.vaults.recorded(mint.TenantCompleted)) != recorded {
		t.Error("what was refused was recorded")
	}
}

func TestPagesAreMounted(t *testing.T) {
	h := houseWithName(t)
	h.acme()
	for path, want := range map[string]int{"/acme/signin": 200, "/acme/enrol": 200, "/acme/account": 200, "/acme/signed-out": 200, "/acme/signin/begin": 405,
		"/hooli/signin": 404, "/assets/look.css": 404, "/acme/signin?access_token=x": 400} {
		resp, err := http.Get(h.base + path)
		if must(t, resp, err); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
		resp.Body.Close()
	}
	for _, path := range h.Server.people.Assets() {
		resp, err := http.Get(strings.TrimSuffix(h.base, "/") + path)
		if must(t, resp, err); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
		resp.Body.Close()
	}
}
