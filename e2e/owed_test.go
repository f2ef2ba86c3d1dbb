package e2e

import (
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stolen is how many devices a thief has the tokens of.
const stolen = 8

// TestEachSuspensionIsAnEntry has a thief present the refresh token of each device while the ledger dies again and again, and the
// house now and then: in the end the log has each suspension once, and none twice.
func TestEachSuspensionIsAnEntry(t *testing.T) {
	s := start(t)
	g, codes := grow(t, s, populate(t, s, "acme"), devices)
	g.http.Transport = &http.Transport{MaxIdleConnsPerHost: 4 * devices}
	var tokens []string
	for i := range stolen {
		d := g.device(2 * i) // those with a key
		a, err := d.insist(url.Values{"grant_type": {"authorization_code"}, "code": {codes[2*i]}, "redirect_uri": {appCallback}, "code_verifier": {appVerifier}})
		if err != nil || a.Refresh == "" {
			t.Fatalf("device %d: %v, %s: %s", i, err, a.Error, a.Description)
		}
		tokens = append(tokens, a.Refresh)
	}
	kill := func(child string) {
		_ = syscall.Kill(g.s.Child(child), syscall.SIGKILL) // which may be dead of the other's death
	}
	thief := g.device(1)
	var stealing sync.WaitGroup
	done := make(chan struct{})
	stealing.Go(func() {
		defer close(done)
		for _, token := range tokens {
			if a, err := thief.insist(refreshForm(token)); err != nil || a.Error != "invalid_grant" {
				t.Errorf("a thief with it: %v, %q: %s", err, a.Error, a.Description)
			}
		}
	})
	kills := 0
	for alive := true; alive; kills++ {
		if kill("ledger"); kills%4 == 3 {
			kill("house")
		}
		select {
		case <-done:
			alive = false
		case <-time.After(30 * time.Millisecond):
		}
	}
	stealing.Wait()
	g.tokenSoon(t)
	var seen struct {
		Access []struct{ ID, Why string }
	}
	g.s.JSON(&seen, "access", "list", "ada@acme.example", "--tenant", "acme")
	suspended := map[string]int{}
	for _, a := range seen.Access {
		if a.Why == "other-client" {
			suspended[a.ID] = 0
		}
	}
	if len(suspended) != len(tokens) {
		t.Errorf("%d families are suspended, of %d", len(suspended), len(tokens))
	}
	count := func() int {
		clear(suspended)
		for _, e := range search(t, g.s, "--kind", "refresh.suspended") {
			suspended[e.Detail["family"]]++
		}
		return len(suspended)
	}
	waitFor(t, func() bool { return count() >= len(tokens) })
	for family, times := range suspended {
		if times != 1 {
			t.Errorf("%s was suspended once, and has %d entries", family, times)
		}
	}
	t.Logf("%d families were suspended during %d kills", len(tokens), kills)
}
