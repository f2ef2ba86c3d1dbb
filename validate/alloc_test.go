//go:build !race

package validate_test

import (
	"context"
	"testing"
)

// Memory is a promise too: a good token costs what the signature checks cost and two allocations,
// the claims and what they are returned in; a bad one costs nothing. (The race detector makes the
// pool of buffers forget, so this is not measured under it.)
func TestAllocations(t *testing.T) {
	for _, s := range subjects(t) {
		raw := testing.AllocsPerRun(200, func() { s.raw() })
		full := testing.AllocsPerRun(200, func() { s.v.Token(context.Background(), s.token) })
		if full > raw+2 {
			t.Errorf("%s: %v allocations, the signature checks alone %v", s.name, full, raw)
		}
	}
	s := subjects(t)[0]
	for _, c := range refusals(s) {
		if n := testing.AllocsPerRun(200, func() { s.v.Token(context.Background(), c.token) }); n > 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}
