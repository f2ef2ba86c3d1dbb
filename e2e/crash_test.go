package e2e

import (
	"bytes"
	"net/http"
	"strconv"
	"syscall"
	"testing"

	"seawall/internal/testenv"
)

// TestARestartKeepsEverything: tokens, keys, clients and the base URL are what they were.
func TestARestartKeepsEverything(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	token := w.token(t)
	keys := s.Run("keys", "list", "--tenant", "acme", "--json")
	children := s.Children()
	s.Stop()
	s.WaitGone(children...)
	if status, out := verify(s); status != 0 {
		t.Fatalf("log verify without a server: status %d, %s", status, out)
	}
	again := testenv.Start(t, s.Options)
	w.accepted(t, again, token)
	w.accepted(t, again, w.token(t))
	if now := again.Run("keys", "list", "--tenant", "acme", "--json"); now != keys {
		t.Errorf("the keys were %s and are %s", keys, now)
	}
	if a := w.introspect(t, token); a.member("active") != "true" {
		t.Errorf("introspection of an old token: %s", a.body)
	}
}

// TestEachProcessIsReplacedWhenItIsKilled, by another one under the same supervisor, and tokens flow again.
func TestEachProcessIsReplacedWhenItIsKilled(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	before := w.token(t)
	for part := range testenv.Parts {
		pid := s.Child(part)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s.WaitGone(pid)
		w.accepted(t, s, w.tokenSoon(t))
		if now := s.Child(part); now == pid {
			t.Errorf("%s is still process %d", part, pid)
		}
	}
	w.accepted(t, s, before)
	if status, out := verify(s); status != 0 {
		t.Errorf("log verify: status %d, %s", status, out)
	}
	s.Stop()
}

// TestNobodyOutlivesTheSupervisor, and a new one takes over at once.
func TestNobodyOutlivesTheSupervisor(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	token := w.token(t)
	children := s.Children()
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.Exited()
	again := testenv.Start(t, s.Options)
	s.WaitGone(children...)
	w.accepted(t, again, token)
	w.accepted(t, again, w.tokenSoon(t))
}

// TestIssuanceWaitsForAVault: while one is away the house says so and when to come back, and everything that needs no
// vault goes on.
func TestIssuanceWaitsForAVault(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	token := w.token(t)
	for _, part := range []string{"signer", "ledger"} {
		t.Run(part, func(t *testing.T) {
			pid := s.Child(part)
			testenv.Freeze(t, pid)
			a, err := w.ask()
			if err != nil {
				t.Fatal(err)
			}
			wait, _ := strconv.Atoi(a.header.Get("Retry-After"))
			if a.status != http.StatusServiceUnavailable || wait < 1 || a.member("error") != "temporarily_unavailable" {
				t.Errorf("status %d, Retry-After %q, %s", a.status, a.header.Get("Retry-After"), a.body)
			}
			for _, path := range []string{"/.well-known/openid-configuration", "/jwks"} {
				if a, err := w.get(w.Issuer + path); err != nil || a.status != http.StatusOK {
					t.Errorf("%s: %+v, %v", path, a, err)
				}
			}
			w.accepted(t, s, token)
			// One that stands still keeps its connections, and is away all the same.
			readiness := func(want string) {
				waitFor(t, func() bool {
					a, err := w.get(s.URL + "/readyz")
					return err == nil && string(bytes.TrimSpace(a.body)) == want
				})
			}
			readiness(`{"ready":false,"away":["` + part + `"]}`)
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			w.accepted(t, s, w.tokenSoon(t))
			readiness(`{"ready":true,"away":[]}`)
		})
	}
	s.Stop()
}

// TestAHouseThatStartsWithoutVaultsServesItsKeys: the key document is on the house's disk.
func TestAHouseThatStartsWithoutVaultsServesItsKeys(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	token := w.token(t)
	signer, house := s.Child("signer"), s.Child("house")
	testenv.Freeze(t, signer)
	if err := syscall.Kill(house, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.WaitGone(house)
	w.checkSoon(t, s, token)
	if err := syscall.Kill(signer, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.accepted(t, s, w.tokenSoon(t))
}
