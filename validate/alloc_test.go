//go:build !race

package validate_test

import (
	"context"
	"runtime"
	"testing"

	"seawall/validate"
	"seawall/validate/validatetest"
)

// Memory is a promise too: a good token costs what the signature checks cost and two allocations,
// the claims and what they are returned in; a bad one costs nothing, and neither
// does the same token again. (The race detector makes the
// pool of buffers forget, so this is not measured under it.)
func TestAllocations(t *testing.T) {
	all := subjects(t)
	for _, s := range all {
		raw := testing.AllocsPerRun(200, func() { s.raw() })
		full := testing.AllocsPerRun(200, func() { s.full() })
		if full > raw+2 {
			t.Errorf("%s: %v allocations, the signature checks alone %v", s.name, full, raw)
		}
	}
	for _, s := range all {
		if n := testing.AllocsPerRun(200, func() { s.again() }); n > 0 {
			t.Errorf("%s: %v allocations for a token that was accepted before", s.name, n)
		}
	}
	s := all[0]
	for _, c := range refusals(s) {
		if n := testing.AllocsPerRun(200, func() { s.v.Token(context.Background(), c.token) }); n > 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

// What is remembered is bounded: far more tokens than there is room for take no more memory, and a
// flood of refused ones takes nothing away.
func TestMemoryIsBounded(t *testing.T) {
	s := &subject{issuer: validatetest.NewIssuer(validatetest.Config{Foreign: true, Algorithm: validate.EdDSA})}
	s.token = s.issuer.Token(validatetest.Claims{"aud": audience})
	v := newValidator(t, s.issuer, func(c *validate.Config) { c.Remember = 64 })
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	flood := func(n int) {
		for range n {
			if _, err := v.Token(context.Background(), s.issuer.Token(validatetest.Claims{"aud": audience})); err != nil {
				t.Fatal(err)
			}
		}
	}
	flood(1000)
	before := heap()
	flood(4000)
	if after := heap(); after > before+64<<10 {
		t.Errorf("4,000 more tokens took %d bytes", after-before)
	}
	if _, err := v.Token(context.Background(), s.token); err != nil {
		t.Fatal(err)
	}
	bad := refusals(s)
	for range 1000 {
		for _, c := range bad {
			v.Token(context.Background(), c.token)
		}
	}
	if n := testing.AllocsPerRun(1, func() { v.Token(context.Background(), s.token) }); n > 0 {
		t.Errorf("refused tokens drove an accepted one out: %v allocations", n)
	}
}

// Looking into the distrust feed costs no memory, whatever it holds.
func TestTheFeedAllocatesNothing(t *testing.T) {
	server := validatetest.NewServer(validatetest.Config{})
	defer server.Close()
	changed := make(chan uint64, 1)
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{server.Trusted().WithFeed(server.Feed().Config(validate.RefuseWhenStale()))},
		Audiences: []string{audience},
		Observe: func(e validate.Event) {
			if e.Kind == validate.FeedChanged {
				changed <- e.Sequence
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := v.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"key", "token", "session", "subject", "client"} {
		server.Feed().Distrust(kind, "of "+kind)
		<-changed
	}
	good := server.Token(validatetest.Claims{"aud": audience, "sid": "s-1"})
	revoked := server.Token(validatetest.Claims{"aud": audience, "jti": "of token"})
	if _, err := v.Token(context.Background(), good); err != nil {
		t.Fatal(err)
	}
	server.Feed().Distrust("subject", "nobody")
	<-changed
	if n := testing.AllocsPerRun(200, func() { v.Token(context.Background(), good) }); n > 0 {
		t.Errorf("%v allocations for a token that was accepted before", n)
	}
	if _, err := v.Token(context.Background(), revoked); err == nil {
		t.Error("a revoked token is accepted")
	}
}
