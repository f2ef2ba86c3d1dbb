package validate

import "testing"

// A count costs no memory, so it is never a reason to leave it out.
func TestCountingAllocatesNothing(t *testing.T) {
	var c counters
	var last counted
	e := Event{Kind: TokenRefused, Issuer: "https://id.example/acme", Audience: "https://api.example", Type: "at+jwt", KeyID: "k", Code: CodeExpired}
	c.count(&e, &last)
	if n := testing.AllocsPerRun(1000, func() { c.count(&e, &last) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whoever remembers where an outcome was counted looks again when that counter has gone, or when other
// counters are meant.
func TestCountingLooksAgain(t *testing.T) {
	var c, others counters
	var last counted
	e := Event{Kind: TokenAccepted, KeyID: "k"}
	sum := func(c *counters) (n uint64) {
		for _, count := range c.stats().Tokens {
			n += count.Count
		}
		return n
	}
	c.count(&e, &last)
	c.count(&e, &last)
	others.count(&e, &last)
	c.count(&e, &last)
	if sum(&c) != 3 || sum(&others) != 1 {
		t.Errorf("counted %d and %d times, not 3 and 1", sum(&c), sum(&others))
	}
	c.cells.Store(new(map[outcome]*counter)) // as forget does
	c.count(&e, &last)
	if sum(&c) != 1 {
		t.Errorf("counted %d times since, not once", sum(&c))
	}
}

// BenchmarkCount gives what counting adds to every token, alone and with all processors counting
// the same outcome.
func BenchmarkCount(b *testing.B) {
	e := Event{Kind: TokenAccepted, Issuer: "https://id.example/acme", Audience: "https://api.acme.example", Type: "at+jwt", KeyID: "Vb0G1n9bXc2kqk5mFf8b3w", Algorithm: ES256}
	b.Run("alone", func(b *testing.B) {
		var c counters
		var last counted
		b.ReportAllocs()
		for b.Loop() {
			c.count(&e, &last)
		}
	})
	b.Run("together", func(b *testing.B) {
		var c counters
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			var last counted
			for pb.Next() {
				c.count(&e, &last)
			}
		})
	})
}
