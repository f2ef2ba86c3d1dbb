package grant

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

func pepperOf(t testing.TB, c string) *Pepper {
	p, err := NewPepper([]byte(strings.Repeat(c, PepperSize)))
	return must(t, p, err)
}

var acme = &tenant.Tenant{ID: "acme", Class: tenant.Production}

// TestSealedSuccessor: what is in the database opens with the old token and the pepper together, and with neither alone.
func TestSealedSuccessor(t *testing.T) {
	pepper, thiefs := pepperOf(t, "p"), pepperOf(t, "q")
	id := tenant.NewFamilyID()
	old, _ := pepper.make(acme, id, 7)
	next, random := pepper.make(acme, id, 8)
	sealed, err := pepper.sealSuccessor(old, random)
	must(t, sealed, err)
	if got, err := pepper.successor(acme, old, sealed); err != nil || !got.text.Equal(next.text) || got.generation != 8 {
		t.Fatalf("the old token and the pepper: %v", err)
	}
	another, _ := pepper.make(acme, id, 7)
	guessed := old
	guessed.generation = 6
	for name, open := range map[string]func() (refreshToken, error){
		"the database and its pepper, and another token": func() (refreshToken, error) { return pepper.successor(acme, another, sealed) },
		"the pepper and the successor itself":            func() (refreshToken, error) { return pepper.successor(acme, next, sealed) },
		"the old token, and no pepper":                   func() (refreshToken, error) { return new(Pepper).successor(acme, old, sealed) },
		"the old token, and another pepper":              func() (refreshToken, error) { return thiefs.successor(acme, old, sealed) },
		"another generation":                             func() (refreshToken, error) { return pepper.successor(acme, guessed, sealed) },
		"what was changed":                               func() (refreshToken, error) { return pepper.successor(acme, old, append([]byte{1}, sealed[1:]...)) },
		"nothing":                                        func() (refreshToken, error) { return pepper.successor(acme, old, nil) },
	} {
		if got, err := open(); err == nil && got.text.Equal(next.text) {
			t.Errorf("%s open what was sealed", name)
		} else if err == nil {
			t.Errorf("%s open something", name)
		}
	}
	hash := next.text.Hash()
	if bytes.Contains(sealed, random[:]) || bytes.Contains(sealed, hash[:]) {
		t.Error("what is sealed shows through")
	}
	again, err := pepper.sealSuccessor(old, random)
	if must(t, again, err); bytes.Equal(again, sealed) {
		t.Error("two who seal under one token use one nonce")
	}
	if said := fmt.Sprintf("%v %+v %#v %s", pepper, pepper, pepper, pepper); strings.Contains(said, fmt.Sprint(pepper.mac[0])) || !strings.Contains(said, secret.Redacted) {
		t.Errorf("a pepper prints as %s", said)
	}
	if _, err := NewPepper(make([]byte, PepperSize-1)); err == nil {
		t.Error("a short pepper is taken")
	}
}

func TestRefreshTokensAreGenuine(t *testing.T) {
	pepper := pepperOf(t, "p")
	id := tenant.NewFamilyID()
	made, _ := pepper.make(acme, id, 7)
	if got, genuine := pepper.open(acme, made.text); !genuine || got.family != id || got.generation != 7 {
		t.Errorf("%+v, %v", got, genuine)
	}
	payload, env, err := made.text.Payload(secret.RefreshToken)
	must(t, env, err)
	for i := range payload {
		forged := payload
		forged[i] ^= 1
		if _, genuine := pepper.open(acme, secret.Carry(secret.RefreshToken, env, forged)); genuine {
			t.Fatalf("byte %d may be changed", i)
		}
	}
	staging, globex := *acme, *acme
	staging.Class, globex.ID = tenant.Staging, "globex"
	for name, tn := range map[string]*tenant.Tenant{"of another class": &staging, "of another tenant": &globex} {
		if _, genuine := pepper.open(tn, made.text); genuine {
			t.Errorf("%s, it is genuine", name)
		}
	}
	if _, genuine := pepper.open(acme, secret.Carry(secret.RefreshToken, secret.Staging, payload)); genuine {
		t.Error("of another environment, it is genuine")
	}
	if _, genuine := pepperOf(t, "q").open(acme, made.text); genuine {
		t.Error("under another pepper, it is genuine")
	}
}

func FuzzRefreshToken(f *testing.F) {
	pepper := pepperOf(f, "p")
	made, _ := pepper.make(acme, tenant.FamilyID{1}, 1)
	f.Add(made.text.Reveal())
	f.Add(secret.Carry(secret.RefreshToken, secret.Production, secret.Payload{}).Reveal())
	f.Add("swr_prod_")
	f.Fuzz(func(t *testing.T, s string) {
		got, genuine := pepper.open(acme, secret.New(s))
		if genuine && s != made.text.Reveal() {
			t.Fatalf("a token was made up: %d", got.generation)
		}
	})
}
