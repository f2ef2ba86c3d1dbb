package tenant

import (
	"reflect"
	"testing"
	"time"
)

func goodPerson() Person {
	return Person{Tenant: "acme", Login: "ada@acme.example", Name: "Ada Lovelace", CreatedAt: created}
}

func TestNewPersonFillsIn(t *testing.T) {
	given := goodPerson()
	given.Tenant, given.Login, given.Name = "ACME", " Ada@ACME.example", ""
	p, err := NewPerson(given)
	if err != nil || p.Tenant != "acme" || p.Login != "ada@acme.example" || p.Name != p.Login || p.Kind != Human || len(p.ID) != 26 || p.Handle == (Handle{}) {
		t.Fatalf("got %+v, %v", p, err)
	}
	if again, err := NewPerson(p); err != nil || !reflect.DeepEqual(again, p) {
		t.Errorf("constructing again gives %+v, %v", again, err)
	}
	if other, _ := NewPerson(given); other.ID == p.ID || other.Handle == p.Handle {
		t.Error("two people share a subject or a handle")
	}
}

func TestNewPersonRefuses(t *testing.T) {
	for name, change := range map[string]func(*Person){
		"no login":            func(p *Person) { p.Login = "" },
		"a bad address":       func(p *Person) { p.Login = "ada@acme" },
		"spaces":              func(p *Person) { p.Login = "ada lovelace" },
		"a quote":             func(p *Person) { p.Login = "ada'lovelace" },
		"a control character": func(p *Person) { p.Name = "Ada\u202eecalevoL" },
		"a role elsewhere":    func(p *Person) { p.Role = Owner },
		"no role there":       func(p *Person) { p.Tenant = Operators },
		"an unknown role":     func(p *Person) { p.Tenant, p.Role = Operators, "king" },
		"a reserved tenant":   func(p *Person) { p.Tenant = "admin" },
		"no time":             func(p *Person) { p.CreatedAt = time.Time{} },
		"an unknown kind":     func(p *Person) { p.Kind = "robot" },
	} {
		p := goodPerson()
		change(&p)
		if got, err := NewPerson(p); err == nil {
			t.Errorf("%s: made %+v", name, got)
		}
	}
}

// TestNobodyAdmitsAboveThemselves goes through all pairs of roles.
func TestNobodyAdmitsAboveThemselves(t *testing.T) {
	may := map[Role][]Role{
		Owner:    {Owner, Operator, HelpDesk, Auditor, NoRole},
		Operator: {Operator, HelpDesk, Auditor, NoRole},
		HelpDesk: {NoRole},
	}
	for _, actor := range append(Roles(), NoRole) {
		for _, other := range append(Roles(), NoRole) {
			want := false
			for _, r := range may[actor] {
				want = want || r == other
			}
			if got := actor.MayAdmit(other); got != want {
				t.Errorf("%q admits %q: %v", actor, other, got)
			}
		}
	}
}

func TestTheOperatorsTenant(t *testing.T) {
	o := goodTenant()
	o.ID, o.Issuer, o.Owner, o.Contacts = Operators, "https://id.example/operators", Unnamed, nil
	if got, err := New(o); err != nil || len(got.Findings(nil, nil)) != 2 {
		t.Errorf("unnamed: %+v, %v", got, err)
	}
	o.Contacts = []string{"a@acme.example"}
	if _, err := New(o); err == nil {
		t.Error("one contact is enough")
	}
	o.Contacts, o.Class = nil, Development
	if _, err := New(o); err == nil {
		t.Error("it may be of another class")
	}
	other := goodTenant()
	other.Owner, other.Contacts = Unnamed, nil
	if _, err := New(other); err == nil {
		t.Error("another tenant may be without owner and contacts")
	}
}

func TestPasskeyPolicyRefuses(t *testing.T) {
	for name, change := range map[string]func(*Tenant){
		"an unknown tier":      func(t *Tenant) { t.Passkeys = "best" },
		"models of nothing":    func(t *Tenant) { t.Models = []string{"ee882879-721c-4913-9775-3dfcce97072a"} },
		"no AAGUID":            func(t *Tenant) { t.Passkeys, t.Models = Attested, []string{"yubikey"} },
		"the zero AAGUID":      func(t *Tenant) { t.Passkeys, t.Models = Attested, []string{"00000000-0000-0000-0000-000000000000"} },
		"an AAGUID and a half": func(t *Tenant) { t.Passkeys, t.Models = Attested, []string{"ee882879721c491397753dfcce97072a"} },
	} {
		acme := goodTenant()
		change(&acme)
		if _, err := New(acme); err == nil {
			t.Errorf("%s is admitted", name)
		}
	}
}

func TestModelsAloneAreTakenUp(t *testing.T) {
	acme, model := goodTenant(), "ee882879-721c-4913-9775-3dfcce97072a"
	if _, err := acme.Completed(Tenant{Models: []string{model}}); err == nil {
		t.Error("models are named where the tier asks for none, and nobody says so")
	}
	acme.Passkeys = Attested
	if after, err := acme.Completed(Tenant{Models: []string{model}}); err != nil || after.Passkeys != Attested || len(after.Models) != 1 || after.Models[0] != model {
		t.Errorf("%+v, %v", after, err)
	}
}
