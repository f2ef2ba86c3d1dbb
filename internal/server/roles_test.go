package server

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// mayTable is who may use the admin API, said a second time: o owners, p operators, h help-desk, a auditors. What is
// marked with ! is for owners alone in the operators' own tenant.
var mayTable = map[string]string{
	"POST /v1/tenants":                                         "op",
	"GET /v1/tenants":                                          "opha",
	"GET /v1/tenants/{tenant}":                                 "opha",
	"POST /v1/tenants/{tenant}/disable":                        "op!",
	"POST /v1/tenants/{tenant}/complete":                       "op!",
	"POST /v1/tenants/{tenant}/break-glass":                    "op",
	"POST /v1/tenants/{tenant}/break-glass/prove":              "op",
	"POST /v1/tenants/{tenant}/apis":                           "op!",
	"GET /v1/tenants/{tenant}/apis":                            "opa",
	"GET /v1/tenants/{tenant}/apis/{api}":                      "opa",
	"POST /v1/tenants/{tenant}/apis/{api}/disable":             "op!",
	"POST /v1/tenants/{tenant}/clients":                        "op!",
	"GET /v1/tenants/{tenant}/clients":                         "opa",
	"GET /v1/tenants/{tenant}/clients/{client}":                "opa",
	"POST /v1/tenants/{tenant}/clients/{client}/disable":       "op!",
	"POST /v1/tenants/{tenant}/clients/{client}/rotate-secret": "op!",
	"POST /v1/tenants/{tenant}/clients/{client}/redirects":     "op!",
	"POST /v1/tenants/{tenant}/people":                         "op",
	"GET /v1/tenants/{tenant}/people":                          "opha",
	"GET /v1/tenants/{tenant}/people/{person}":                 "opha",
	"POST /v1/tenants/{tenant}/people/{person}/role":           "op",
	"POST /v1/tenants/{tenant}/people/{person}/disable":        "op",
	"POST /v1/tenants/{tenant}/people/{person}/enrol":          "oph",
	"POST /v1/tenants/{tenant}/people/{person}/recover":        "oph",
	"POST /v1/tenants/{tenant}/people/{person}/end-sessions":   "oph",
	"GET /v1/tenants/{tenant}/people/{person}/access":          "opha",
	"POST /v1/tenants/{tenant}/people/{person}/access":         "oph",
	"POST /v1/tenants/{tenant}/people/{person}/seal":           "op",
	"GET /v1/tenants/{tenant}/keys":                            "opa",
	"POST /v1/tenants/{tenant}/keys/rotate":                    "op",
	"POST /v1/tenants/{tenant}/distrust":                       "op",
	"POST /v1/tenants/{tenant}/distrust/preview":               "opa",
	"GET /v1/tenants/{tenant}/distrust":                        "opa",
	"GET /v1/entries":                                          "opa",
	"GET /v1/recoveries":                                       "opha",
	"POST /v1/clock/accept":                                    "op",
	"GET /v1/status":                                           "opha",
	"GET /v1/self":                                             "opha",
}

var letters = map[tenant.Role]string{tenant.Owner: "o", tenant.Operator: "p", tenant.HelpDesk: "h", tenant.Auditor: "a"}

// staff makes the operators' tenant and a person in each role, with a passkey. The owner goes on with what tests do.
func (h *testHouse) staff() map[tenant.Role]tenant.Person {
	h.t.Helper()
	if _, err := h.Found(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	all := map[tenant.Role]tenant.Person{}
	for _, role := range tenant.Roles() {
		all[role] = h.longtime(string(role)+"@seawall.example", role)
	}
	h.op = h.as(all[tenant.Owner]) // from here on the socket only reads
	return all
}

// longtime makes a colleague who has had their passkey for long enough to speak for a recovery.
func (h *testHouse) longtime(login string, role tenant.Role) tenant.Person {
	h.t.Helper()
	return h.employ(login, role, time.Now().Add(-tenant.VoiceAge-time.Second))
}

// colleague makes a person of the operators' tenant who has a passkey.
func (h *testHouse) colleague(login string, role tenant.Role) tenant.Person {
	h.t.Helper()
	return h.employ(login, role, time.Now())
}

func (h *testHouse) employ(login string, role tenant.Role, since time.Time) tenant.Person {
	h.t.Helper()
	p, err := h.store.CreatePerson(h.t.Context(), tenant.Person{Tenant: tenant.Operators, Login: login, Role: role, CreatedAt: time.Now()})
	must(h.t, p, err)
	k, err := h.store.AddPasskey(h.t.Context(), tenant.Passkey{Tenant: p.Tenant, Person: p.ID, ID: []byte(p.ID), Key: []byte("key"), CreatedAt: since})
	must(h.t, k, err)
	return p
}

// as is the admin API for a person who has just touched their passkey.
func (h *testHouse) as(p tenant.Person) *adminapi.Operator { return h.operate(p.ID, time.Now()) }

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// TestEveryLineByEveryRole walks the admin API: each line has an answer for each role, it is the one of the table above,
// and nobody without a role gets anywhere.
func TestEveryLineByEveryRole(t *testing.T) {
	h := houseWithName(t)
	staff := h.staff()
	mounted := map[string]bool{}
	for _, line := range adminLines() {
		mounted[line.pattern] = true
		want, known := mayTable[line.pattern]
		if !known {
			t.Errorf("%s: nobody has said who may", line.pattern)
			continue
		}
		method, path, _ := strings.Cut(line.pattern, " ")
		for role, p := range staff {
			for _, where := range []string{"nowhere", tenant.Operators} {
				url := placeholder.ReplaceAllString(strings.Replace(path, "{tenant}", where, 1), "nobody")
				may := strings.Contains(want, letters[role]) && !(where == tenant.Operators && strings.Contains(want, "!") && role != tenant.Owner)
				r := httptest.NewRequestWithContext(t.Context(), method, "http://seawall"+url, strings.NewReader("{}"))
				resp, err := inside{h.api, actor{person: p.ID, touched: time.Now()}}.RoundTrip(r)
				if must(t, resp, err); (resp.StatusCode != http.StatusForbidden) != may {
					t.Errorf("%s by %s: %d, but they may is %v", method+" "+url, role, resp.StatusCode, may)
				}
				r = httptest.NewRequestWithContext(t.Context(), method, "http://seawall"+url, strings.NewReader("{}"))
				resp, err = inside{h.api, actor{person: "somebody"}}.RoundTrip(r)
				if must(t, resp, err); resp.StatusCode != http.StatusForbidden {
					t.Errorf("%s by a stranger: %d", line.pattern, resp.StatusCode)
				}
			}
		}
	}
	for pattern := range mayTable {
		if !mounted[pattern] {
			t.Errorf("%s is in the table of this test and not mounted", pattern)
		}
	}
}

// TestNobodyReachesAboveTheirRole: neither by making people, nor by letting them in, nor by giving roles.
func TestNobodyReachesAboveTheirRole(t *testing.T) {
	h := houseWithName(t)
	h.acme()
	ctx, staff := t.Context(), h.staff()
	ada, err := h.op.CreatePerson(ctx, "acme", adminapi.CreatePerson{Login: "ada@acme.example"})
	must(t, ada, err)
	operator, helpdesk, owner := h.as(staff[tenant.Operator]), h.as(staff[tenant.HelpDesk]), h.as(staff[tenant.Owner])
	code := secret.Generate(secret.BreakGlass, secret.Production)
	hash := code.Hash()
	seal := adminapi.SealGlass{Hash: hash[:]}
	for name, err := range map[string]error{
		"an operator makes an owner":             second(operator.CreatePerson(ctx, tenant.Operators, adminapi.CreatePerson{Login: "x", Role: "owner"})),
		"an operator gives the role of owner":    second(operator.SetRole(ctx, tenant.Operators, staff[tenant.Auditor].ID, adminapi.SetRole{Role: "owner"})),
		"an operator promotes themselves":        second(operator.SetRole(ctx, tenant.Operators, staff[tenant.Operator].ID, adminapi.SetRole{Role: "owner"})),
		"an operator demotes an owner":           second(operator.SetRole(ctx, tenant.Operators, staff[tenant.Owner].ID, adminapi.SetRole{Role: "auditor"})),
		"an operator disables an owner":          second(operator.DisablePerson(ctx, tenant.Operators, staff[tenant.Owner].ID)),
		"an operator recovers an owner":          second(operator.RecoverPerson(ctx, tenant.Operators, staff[tenant.Owner].ID, adminapi.RecoverPerson{Step: "request"})),
		"an operator ends an owner's sessions":   second(operator.EndSessions(ctx, tenant.Operators, staff[tenant.Owner].ID, adminapi.EndSessions{})),
		"an operator links an owner":             second(operator.EnrolPerson(ctx, tenant.Operators, "administrator")),
		"an operator seals the operators' glass": operator.SealGlass(ctx, tenant.Operators, "break-glass-1", seal),
		"a help-desk links an auditor":           second(helpdesk.EnrolPerson(ctx, tenant.Operators, staff[tenant.Auditor].ID)),
		"a help-desk recovers an operator":       second(helpdesk.RecoverPerson(ctx, tenant.Operators, staff[tenant.Operator].ID, adminapi.RecoverPerson{Step: "request"})),
		"a help-desk ends an operator's session": second(helpdesk.EndSessions(ctx, tenant.Operators, staff[tenant.Operator].ID, adminapi.EndSessions{})),
	} {
		refused(t, name, err, adminapi.CodeForbidden, "may not")
	}
	for name, err := range map[string]error{
		"a help-desk links a person":        second(helpdesk.EnrolPerson(ctx, "acme", ada.Subject)),
		"a help-desk signs a person out":    second(helpdesk.EndSessions(ctx, "acme", ada.Subject, adminapi.EndSessions{})),
		"an operator makes an operator":     second(operator.CreatePerson(ctx, tenant.Operators, adminapi.CreatePerson{Login: "grace", Role: "operator"})),
		"an operator seals another's glass": operator.SealGlass(ctx, "acme", "break-glass-1", seal),
		"an owner makes an owner":           second(owner.SetRole(ctx, tenant.Operators, staff[tenant.Auditor].ID, adminapi.SetRole{Role: "owner"})),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	own := secret.Generate(secret.BreakGlass, secret.Production)
	hash = own.Hash()
	must(t, struct{}{}, owner.SealGlass(ctx, tenant.Operators, "break-glass-1", adminapi.SealGlass{Hash: hash[:]}))
	refused(t, "an operator breaks the operators' glass", second(operator.BreakGlass(ctx, tenant.Operators, adminapi.BreakGlass{Code: own.Reveal()})), adminapi.CodeForbidden, "may not")
	changed := h.vaults.recorded(mint.RoleChanged)
	if len(changed) != 1 || changed[0].Actor != "person:"+staff[tenant.Owner].ID || changed[0].Subject != staff[tenant.Auditor].ID {
		t.Errorf("the ledger has %+v", changed)
	}
}

// TestRolesAreReadNow: who was disabled or demoted a moment ago is judged by that, whatever they hold.
func TestRolesAreReadNow(t *testing.T) {
	h := houseWithName(t)
	ctx, staff := t.Context(), h.staff()
	operator := h.as(staff[tenant.Operator])
	q := adminapi.CreateTenant{Tenant: "beta", Class: "staging", Owner: "o@beta.example", Contacts: []string{"a@beta.example", "b@beta.example"}}
	must(t, struct{}{}, second(h.as(staff[tenant.Owner]).SetRole(ctx, tenant.Operators, staff[tenant.Operator].ID, adminapi.SetRole{Role: "auditor"})))
	refused(t, "demoted", second(operator.CreateTenant(ctx, q)), adminapi.CodeForbidden, "the role auditor may not")
	must(t, struct{}{}, second(operator.Tenants(ctx)))
	must(t, struct{}{}, second(h.op.DisablePerson(ctx, tenant.Operators, staff[tenant.Operator].ID)))
	refused(t, "disabled", second(operator.Tenants(ctx)), adminapi.CodeForbidden, "may not operate seawall any more")
}

// TestAChangeWantsAFreshTouch: a session that was stolen reads, for as long as it lives, and changes nothing.
func TestAChangeWantsAFreshTouch(t *testing.T) {
	h := houseWithName(t)
	h.acme()
	ctx, owner := t.Context(), h.staff()[tenant.Owner]
	stale := h.operate(owner.ID, time.Now().Add(-tenant.FreshTouch))
	must(t, struct{}{}, second(stale.Tenants(ctx)))
	must(t, struct{}{}, second(stale.PreviewDistrust(ctx, "acme", adminapi.Distrust{Kind: "client", Value: "ci", Reason: "admin"})))
	before := len(h.vaults.entries)
	for name, err := range map[string]error{
		"a tenant": second(stale.DisableTenant(ctx, "acme")),
		"a client": second(stale.RotateSecret(ctx, "acme", "ci", adminapi.RotateSecret{})),
		"a person": second(stale.CreatePerson(ctx, "acme", adminapi.CreatePerson{Login: "eve"})),
		"a role":   second(stale.SetRole(ctx, tenant.Operators, owner.ID, adminapi.SetRole{Role: "auditor"})),
		"the keys": second(stale.RotateKeys(ctx, "acme", adminapi.RotateKeys{})),
		"a trust":  second(stale.Distrust(ctx, "acme", adminapi.Distrust{Kind: "client", Value: "ci", Reason: "admin"})),
	} {
		if e := refused(t, name, err, adminapi.CodeStepUp, "too long ago"); e.MaxAge != 300 || e.Status != http.StatusUnauthorized {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if len(h.vaults.entries) != before {
		t.Error("something was recorded")
	}
	must(t, struct{}{}, second(h.operate(owner.ID, time.Now().Add(10*time.Second-tenant.FreshTouch)).RotateKeys(ctx, "acme", adminapi.RotateKeys{})))
}

// TestRecoveriesWait: who may approve one, and that nobody approves their own.
func TestRecoveriesWait(t *testing.T) {
	h := houseWithName(t)
	ctx, staff := t.Context(), h.staff()
	owner, operator := h.as(staff[tenant.Owner]), h.as(staff[tenant.Operator])
	must(t, struct{}{}, second(owner.RecoverPerson(ctx, tenant.Operators, staff[tenant.Operator].ID, adminapi.RecoverPerson{Step: "request"})))
	waiting, err := h.as(staff[tenant.Auditor]).Recoveries(ctx)
	if must(t, waiting, err); len(waiting) != 1 || waiting[0].Login != "operator@seawall.example" || waiting[0].Role != "operator" || waiting[0].RequestedBy != "person:"+staff[tenant.Owner].ID {
		t.Errorf("waiting: %+v", waiting)
	}
	approve := adminapi.RecoverPerson{Step: "approve"}
	refused(t, "their own", second(operator.RecoverPerson(ctx, tenant.Operators, staff[tenant.Operator].ID, approve)), adminapi.CodeConflict, "their own recovery")
	refused(t, "twice", second(owner.RecoverPerson(ctx, tenant.Operators, staff[tenant.Operator].ID, approve)), adminapi.CodeConflict, "can't be the second too")
	refused(t, "the socket", second(adminapi.Dial(h.dir).RecoverPerson(ctx, tenant.Operators, staff[tenant.Operator].ID, approve)), adminapi.CodeConflict, "has no say in it")
	refused(t, "one made for the occasion", second(h.as(h.colleague("new@seawall.example", tenant.Owner)).RecoverPerson(ctx, tenant.Operators, staff[tenant.Operator].ID, approve)), adminapi.CodeConflict, "no passkey for a day")
	other := h.as(h.longtime("second@seawall.example", tenant.Owner))
	r, err := other.RecoverPerson(ctx, tenant.Operators, staff[tenant.Operator].ID, approve)
	if must(t, r, err); r.UsableFrom.IsZero() {
		t.Error("it is not approved")
	}
	self, err := other.Self(ctx)
	if must(t, self, err); self.Role != "owner" || self.Login != "second@seawall.example" || self.Touched.IsZero() {
		t.Errorf("they are %+v", self)
	}
}

// TestARoleCountsAtOnce: who has just used the admin API is judged by the role that they were given since, and by whether they
// are still there.
func TestARoleCountsAtOnce(t *testing.T) {
	h := newHouse(t, options{name: "localhost"})
	staff := h.staff()
	ctx, p := t.Context(), staff[tenant.Operator]
	operator := h.as(p)
	acme := adminapi.CreateTenant{Tenant: "acme", Class: "production", Owner: "ops@acme.example", Contacts: []string{"a@acme.example", "b@acme.example"}}
	if self, err := operator.Self(ctx); must(t, self, err).Role != "operator" {
		t.Fatalf("the role is %s", self.Role)
	}
	now, err := h.op.SetRole(ctx, tenant.Operators, p.ID, adminapi.SetRole{Role: "auditor"})
	must(t, now, err)
	if self, err := operator.Self(ctx); must(t, self, err).Role != "auditor" {
		t.Errorf("the role is still %s", self.Role)
	}
	refused(t, "an auditor", second(operator.CreateTenant(ctx, acme)), adminapi.CodeForbidden, "the role auditor may not")
	gone, err := h.op.DisablePerson(ctx, tenant.Operators, p.ID)
	must(t, gone, err)
	refused(t, "nobody", second(operator.Self(ctx)), adminapi.CodeForbidden, "may not operate seawall any more")
}
