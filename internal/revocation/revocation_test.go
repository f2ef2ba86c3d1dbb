package revocation

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"seawall/internal/keyring"
	"seawall/internal/mint"
)

var now = time.Unix(1_790_000_000, 0)

// vaults write down what they are asked, and count from pages.
type vaults struct {
	pages  []mint.Counted
	asked  []mint.CountQuery
	states []mint.StateQuery
	keys   []mint.KeyDistrust
	fail   error
}

func (v *vaults) State(_ context.Context, q mint.StateQuery) (*mint.Distrust, error) {
	v.states = append(v.states, q)
	return &mint.Distrust{N: 7}, v.fail
}

func (v *vaults) Distrust(_ context.Context, q mint.KeyDistrust) (*mint.KeyDistrusted, error) {
	v.keys = append(v.keys, q)
	return &mint.KeyDistrusted{KID: q.KID}, v.fail
}

func (v *vaults) Count(ctx context.Context, q mint.CountQuery) (*mint.Counted, error) {
	if v.asked = append(v.asked, q); len(v.asked) > len(v.pages) {
		return nil, mint.Refuse(mint.Unavailable, "away")
	}
	return &v.pages[len(v.asked)-1], nil
}

func plan(change func(*Plan)) *Plan {
	p := &Plan{Tenant: "acme", Issuer: "https://id.example/acme", Kind: mint.DistrustSubject, Value: "ann", Reason: mint.ByAdmin}
	change(p)
	return p
}

func TestImpossiblePlansReachNobody(t *testing.T) {
	for name, change := range map[string]func(*Plan){
		"no reason":           func(p *Plan) { p.Reason = "" },
		"a reason of its own": func(p *Plan) { p.Reason = "user-compromised" },
		"no kind":             func(p *Plan) { p.Kind = "" },
		"a tenant":            func(p *Plan) { p.Kind = "tenant" },
		"no value":            func(p *Plan) { p.Value = "" },
		"an endless value":    func(p *Plan) { p.Value = string(make([]byte, mint.MaxText+1)) },
		"a token as its name": func(p *Plan) {
			p.Kind, p.Value = mint.DistrustToken, "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl"
		},
		"a time ahead":            func(p *Plan) { p.Before = now.Add(time.Second) },
		"a key before a time":     func(p *Plan) { p.Kind, p.Before = mint.DistrustKey, now },
		"a token before a time":   func(p *Plan) { p.Kind, p.Before = mint.DistrustToken, now },
		"a subject for good":      func(p *Plan) { p.Final = true },
		"a subject with a spare":  func(p *Plan) { p.YoungSpare = true },
		"a subject given back":    func(p *Plan) { p.Undo = true },
		"a key, both ways":        func(p *Plan) { p.Kind, p.Undo, p.Final = mint.DistrustKey, true, true },
		"a statement and a name":  func(p *Plan) { p.Restores = 3 },
		"a statement, for good":   func(p *Plan) { *p = Plan{Reason: mint.Mistake, Restores: 3, Final: true} },
		"a statement with a time": func(p *Plan) { *p = Plan{Reason: mint.Mistake, Restores: 3, Before: now} },
	} {
		v := new(vaults)
		_, err := Apply(t.Context(), plan(change), "uid:0", now, v, v)
		wrong := (*Invalid)(nil)
		if !errors.As(err, &wrong) || len(v.states)+len(v.keys) != 0 {
			t.Errorf("%s: %v, and %d were asked", name, err, len(v.states)+len(v.keys))
		}
		if _, err := Look(t.Context(), plan(change), Sources{Counter: v}, now); !errors.As(err, &wrong) || len(v.asked) != 0 {
			t.Errorf("%s: a look says %v", name, err)
		}
	}
}

func TestApply(t *testing.T) {
	v := new(vaults)
	earlier := now.Add(-time.Minute)
	for _, p := range []*Plan{
		plan(func(*Plan) {}),
		plan(func(p *Plan) { p.Kind, p.Value, p.Before = mint.DistrustClient, "ci", earlier }),
		{Tenant: "acme", Issuer: "https://id.example/acme", Reason: mint.Mistake, Restores: 3},
	} {
		if done, err := Apply(t.Context(), p, "uid:0", now, v, v); err != nil || done.Statement.N != 7 || done.Key != nil {
			t.Errorf("%+v: %+v, %v", p, done, err)
		}
	}
	base := mint.StateQuery{Tenant: "acme", Issuer: "https://id.example/acme", Act: mint.ActDistrust, Kind: mint.DistrustSubject, Value: "ann", Reason: mint.ByAdmin, Actor: "uid:0"}
	second, third := base, base
	second.Kind, second.Value, second.Before = mint.DistrustClient, "ci", earlier.Unix()
	third.Kind, third.Value, third.Act, third.Undoes, third.Reason = "", "", mint.ActRestore, 3, mint.Mistake
	if !slices.Equal(v.states, []mint.StateQuery{base, second, third}) || len(v.keys) != 0 {
		t.Errorf("the ledger is asked for %+v, the signer for %+v", v.states, v.keys)
	}
	v = new(vaults)
	done, err := Apply(t.Context(), plan(func(p *Plan) { p.Kind, p.Value, p.Final, p.YoungSpare = mint.DistrustKey, "k", true, true }), "uid:0", now, v, v)
	if err != nil || done.Key.KID != "k" || len(v.states) != 0 ||
		!slices.Equal(v.keys, []mint.KeyDistrust{{Tenant: "acme", KID: "k", Reason: mint.ByAdmin, Actor: "uid:0", Final: true, YoungSpare: true}}) {
		t.Errorf("%+v, %v: the signer is asked for %+v, the ledger for %+v", done, err, v.keys, v.states)
	}
	v.fail = mint.Refuse(mint.SpareTooYoung, "")
	if _, err := Apply(t.Context(), plan(func(*Plan) {}), "uid:0", now, v, v); !errors.Is(err, v.fail) {
		t.Errorf("a refusal is lost: %v", err)
	}
}

func TestLookAddsUp(t *testing.T) {
	v := &vaults{pages: []mint.Counted{
		{Tokens: 5, Clients: map[string]uint64{"a": 2, "b": 3}, APIs: map[string]uint64{"x": 5}, Subjects: []string{"1", "2"}, Last: now.Unix() + 9, Next: 40},
		{Tokens: 2, Clients: map[string]uint64{"a": 2}, APIs: map[string]uint64{"x": 1, "y": 2}, Subjects: []string{"2", "3"}, Last: now.Unix() + 5},
	}}
	before := now.Add(-time.Hour)
	got, err := Look(t.Context(), plan(func(p *Plan) { p.Before = before }), Sources{Counter: v}, now)
	if err != nil || got.Tokens != 7 || got.Subjects != 3 || got.AtLeast || !got.LastEnds.Equal(now.Add(9*time.Second)) ||
		!slices.Equal(got.Clients, []Share{{"a", 4}, {"b", 3}}) || !slices.Equal(got.APIs, []Share{{"x", 6}, {"y", 2}}) {
		t.Errorf("%+v, %v", got, err)
	}
	if q := v.asked[1]; q.From != 40 || q.Before != before.Unix() || q.Value != "ann" {
		t.Errorf("the second page is asked for by %+v", q)
	}
	// A count that takes too long says so; one that never began is an error.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v = &vaults{pages: v.pages[:1]}
	if got, err := Look(ctx, plan(func(*Plan) {}), Sources{Counter: v}, now); err != nil || !got.AtLeast || got.Tokens != 5 {
		t.Errorf("cut short: %+v, %v", got, err)
	}
	if _, err := Look(ctx, plan(func(*Plan) {}), Sources{Counter: new(vaults)}, now); err == nil {
		t.Error("a count of nothing is taken for one")
	}
}

func TestLookAtKeys(t *testing.T) {
	rules := keyring.Rules{Algorithm: "ES256", Rotation: keyring.DefaultRotation, MaxLifetime: time.Hour}
	key := func(kid string, made time.Time, kinds ...mint.EntryKind) mint.Key {
		k := mint.Key{KID: kid, Alg: "ES256"}
		k.NotBefore, k.SigningEnds, k.Expires = keyring.Windows(rules, made)
		for _, kind := range kinds {
			k = keyring.Apply(k, kind, made)
		}
		return k
	}
	made := now.Add(-time.Hour)
	keys := []mint.Key{key("old", made, mint.KeyStaged, mint.KeyActivated), key("next", made, mint.KeyStaged)}
	look := func(kid string, undo bool) (*Key, error) {
		v := &vaults{pages: make([]mint.Counted, 1)}
		got, err := Look(t.Context(), plan(func(p *Plan) { p.Kind, p.Value, p.Undo = mint.DistrustKey, kid, undo }), Sources{Counter: v, Keys: keys}, now)
		if err != nil {
			return nil, err
		}
		return got.Key, nil
	}
	if k, err := look("old", false); err != nil || k.State != keyring.Active || k.Next != "next" || !k.NextPublished.Equal(made) || !k.NextKnown.Equal(made.Add(keyring.PrePublication)) {
		t.Errorf("%+v, %v", k, err)
	}
	if k, err := look("next", false); err != nil || k.State != keyring.Staged || k.Next != "" {
		t.Errorf("%+v, %v", k, err)
	}
	if _, err := look("never", false); !errors.Is(err, errNoKey) {
		t.Error(err)
	}
	// The keys of another family are another ring: none of them takes its place, or is taken for the one that signs.
	both := keys
	for _, kid := range []string{"id-old", "id-next"} {
		k := key(kid, made.Add(-keyring.PrePublication), mint.KeyStaged)
		if k.Family = mint.FamilyID; kid == "id-old" {
			k = keyring.Apply(k, mint.KeyActivated, made)
		}
		both = append(both, k)
	}
	keys = both
	if k, err := look("old", false); err != nil || k.Next != "next" {
		t.Errorf("beside another family: %+v, %v", k, err)
	}
	keys = keys[:1]
	if k, err := look("old", false); err != nil || k.Next != "" {
		t.Errorf("the last key: %+v, %v", k, err)
	}
}

func TestLookAtAStatement(t *testing.T) {
	live := []mint.Distrust{{N: 3, Kind: mint.DistrustClient, Value: "ci", Before: 99}}
	v := &vaults{pages: make([]mint.Counted, 1)}
	p := &Plan{Tenant: "acme", Reason: mint.Mistake, Restores: 3}
	if got, err := Look(t.Context(), p, Sources{Counter: v, Live: live}, now); err != nil || *got.Restores != live[0] {
		t.Errorf("%+v, %v", got, err)
	}
	if q := v.asked[0]; q.Kind != mint.DistrustClient || q.Value != "ci" || q.Before != 99 {
		t.Errorf("counted is %+v", q)
	}
	p.Restores = 4
	if _, err := Look(t.Context(), p, Sources{Counter: v, Live: live}, now); !errors.Is(err, errNotLive) {
		t.Error(err)
	}
}
