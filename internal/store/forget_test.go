package store

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// TestForgetting: what is over leaves the database as new things come, a few rows at a time, found by index.
func TestForgetting(t *testing.T) {
	now := born
	s, err := Open(t.Context(), t.TempDir()+"/seawall.db", Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.CreateTenant(t.Context(), "test", exampleTenant("acme")); err != nil {
		t.Fatal(err)
	}
	hash := func() secret.Hash { return secret.New(rand.Text()).Hash() }
	person := func() tenant.Person {
		t.Helper()
		p, err := s.CreatePerson(t.Context(), tenant.Person{Tenant: "acme", Login: strings.ToLower(rand.Text()), CreatedAt: now})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	ada := person()
	k, err := s.AddPasskey(t.Context(), tenant.Passkey{Tenant: "acme", Person: ada.ID, ID: []byte("id"), Key: []byte("key"), Transports: []string{}, CreatedAt: now})
	if err != nil {
		t.Fatal(err)
	}
	const old, fresh = 20, 9
	for table, insert := range map[string]func() error{
		"browser_session": func() error {
			return s.SignIn(t.Context(), tenant.Session{ID: rand.Text(), Hash: hash(), Tenant: "acme", Person: ada.ID, Passkey: k.ID, At: now, SeenAt: now}, k, secret.Hash{})
		},
		"ceremony": func() error {
			return s.BeginCeremony(t.Context(), tenant.Ceremony{Challenge: hash(), Browser: hash(), Kind: tenant.CeremonySignIn, Tenant: "acme", State: []byte("{}"), ExpiresAt: now.Add(time.Hour)})
		},
		"interaction": func() error {
			return s.SaveInteraction(t.Context(), tenant.Interaction{Hash: hash(), Tenant: "acme", Next: "/", ExpiresAt: now.Add(time.Hour)})
		},
		"enrolment": func() error {
			_, err := s.IssueEnrolment(t.Context(), tenant.Enrolment{Hash: hash(), Tenant: "acme", Person: person().ID, IssuedBy: "uid:7", IssuedAt: now, ExpiresAt: now.Add(time.Hour)})
			return err
		},
	} {
		rows := func() (n int) {
			t.Helper()
			if err := s.read(t.Context(), func(q querier) error {
				n, err = one(q, scanInt, `select count(*) from `+table)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return n
		}
		for range old {
			if err := insert(); err != nil {
				t.Fatalf("%s: %v", table, err)
			}
		}
		if n := rows(); n != old {
			t.Errorf("%s has %d rows of %d that are live", table, n, old)
		}
		now = now.Add(tenant.SessionLongest)
		for i := range fresh {
			if err := insert(); err != nil {
				t.Fatalf("%s: %v", table, err)
			}
			if n, want := rows(), old-forgotten*(i+1)+i+1; n != want {
				t.Errorf("%s has %d rows after %d new ones, want %d", table, n, i+1, want)
			}
		}
	}
}

// TestForgettingGoesByIndex asks the engine how it would find what is over.
func TestForgettingGoesByIndex(t *testing.T) {
	s := openIn(t, t.TempDir())
	for query, index := range map[string]string{
		`select hash from browser_session where seen_at <= 0 order by seen_at limit 2`:     "browser_session_by_use",
		`select challenge from ceremony where expires_at <= 0 order by expires_at limit 2`: "ceremony_by_expiry",
		`select hash from interaction where expires_at <= 0 order by expires_at limit 2`:   "interaction_by_expiry",
		`select hash from enrolment where expires_at <= 0 order by expires_at limit 2`:     "enrolment_by_expiry",
	} {
		var plan []string
		err := s.read(t.Context(), func(q querier) (err error) {
			plan, err = collect(q, func(scan func(...any) error) (text string, err error) {
				var id, parent, unused int
				err = scan(&id, &parent, &unused, &text)
				return text, err
			}, `explain query plan `+query)
			return err
		})
		if err != nil || len(plan) != 1 || !strings.Contains(plan[0], index) {
			t.Errorf("%s: %q, %v", query, plan, err)
		}
	}
}

func scanInt(scan func(...any) error) (n int, err error) {
	err = scan(&n)
	return n, err
}

// TestFewFamiliesAreRemembered turns more than there is room for.
func TestFewFamiliesAreRemembered(t *testing.T) {
	var r recentFamilies
	for i := range 5 * rememberedFamilies {
		r.put(tenant.Family{ID: fmt.Sprint(i)})
	}
	if n := len(r.young) + len(r.old); n > 2*rememberedFamilies {
		t.Errorf("%d are remembered", n)
	}
	for i, want := range map[int]bool{0: false, 3*rememberedFamilies - 1: false, 4 * rememberedFamilies: true, 5*rememberedFamilies - 1: true} {
		if _, got := r.get(fmt.Sprint(i)); got != want {
			t.Errorf("number %d is remembered: %v", i, got)
		}
	}
}
