package tenant

import (
	"strings"
	"testing"
)

func TestFindings(t *testing.T) {
	acme, err := New(goodTenant())
	if err != nil {
		t.Fatal(err)
	}
	both, err := BreakGlassPeople("acme", created)
	if err != nil {
		t.Fatal(err)
	}
	gone := both[1]
	gone.DisabledAt = created
	ada := Person{Tenant: "acme", ID: "ada", Kind: Human, Login: "ada@acme.example"}
	code, passkey := Ways{Code: true}, Ways{Passkeys: 2}
	for _, c := range []struct {
		want   string
		people []Person
		ways   map[string]Ways
	}{
		{"break-glass", nil, nil},
		{"break-glass", both[:1], map[string]Ways{both[0].ID: code}},
		{"break-glass", []Person{both[0], gone}, map[string]Ways{both[0].ID: code, gone.ID: code}},
		{"break-glass-codes", both, map[string]Ways{both[0].ID: code}},
		{"break-glass-codes", both, map[string]Ways{both[0].ID: code, both[1].ID: {Lesser: 1}}},
		{"break-glass-used", both, map[string]Ways{both[0].ID: code, both[1].ID: {CodeUsed: true}}},
		{"break-glass-used", both, map[string]Ways{both[0].ID: code, both[1].ID: {CodeUsed: true, Passkeys: 1}}},
		{"", both, map[string]Ways{both[0].ID: code, both[1].ID: passkey}},
		{"", append(both, ada), map[string]Ways{both[0].ID: code, both[1].ID: code, "ada": {Lesser: 1, Passkeys: 1}}},
		{"passkeys", append(both, ada), map[string]Ways{both[0].ID: code, both[1].ID: code, "ada": {Lesser: 1}}},
	} {
		got := ""
		for _, f := range acme.Findings(c.people, c.ways) {
			got += f.ID
			if f.ID == "passkeys" && !strings.Contains(f.What, ada.Login) {
				t.Errorf("it doesn't say who is affected: %s", f.What)
			}
		}
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%d people, %v: found %q, want %q", len(c.people), c.ways, got, c.want)
		}
	}
}

// TestTheLastOwnerStays: neither leaving nor asking for better passkeys leaves nobody who can run seawall.
func TestTheLastOwnerStays(t *testing.T) {
	owner := Person{ID: "a", Kind: Human, Role: Owner, Login: "a"}
	other := Person{ID: "b", Kind: Human, Role: Owner, Login: "b"}
	glass := Person{ID: "g", Kind: BreakGlass, Role: Owner, Login: "g"}
	operator := Person{ID: "o", Kind: Human, Role: Operator, Login: "o"}
	all := []Person{owner, other, glass, operator}
	in, lesser := Ways{Passkeys: 1}, Ways{Lesser: 1}
	for name, c := range map[string]struct {
		ways map[string]Ways
		want bool // may the first owner leave?
	}{
		"alone":                   {map[string]Ways{"a": in, "g": in, "o": in}, false},
		"with a lesser one":       {map[string]Ways{"a": in, "b": lesser}, false},
		"with another who can in": {map[string]Ways{"a": in, "b": in}, true},
	} {
		if err := MayLeave(owner, all, c.ways); (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		after := map[string]Ways{"a": lesser, "b": c.ways["b"], "g": c.ways["g"], "o": c.ways["o"]}
		if err := MayAsk(all, c.ways, after); (err == nil) != c.want {
			t.Errorf("%s asked for more: %v", name, err)
		}
	}
	if err := MayAsk(all, map[string]Ways{"a": lesser}, map[string]Ways{"a": lesser}); err != nil {
		t.Errorf("where nobody gets in anyway: %v", err)
	}
}
