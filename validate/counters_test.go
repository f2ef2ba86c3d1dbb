package validate

import "testing"

// A count costs no memory, so it is never a reason to leave it out.
func TestCountingAllocatesNothing(t *testing.T) {
	var c counters
	e := Event{Kind: TokenRefused, Issuer: "https://id.example/acme", Audience: "https://api.example", Type: "at+jwt", KeyID: "k", Code: CodeExpired}
	c.count(&e)
	if n := testing.AllocsPerRun(1000, func() { c.count(&e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkCount gives what counting adds to every token, alone and with all processors counting
// the same outcome.
func BenchmarkCount(b *testing.B) {
	e := Event{Kind: TokenAccepted, Issuer: "https://id.example/acme", Audience: "https://api.acme.example", Type: "at+jwt", KeyID: "Vb0G1n9bXc2kqk5mFf8b3w", Algorithm: ES256}
	b.Run("alone", func(b *testing.B) {
		var c counters
		b.ReportAllocs()
		for b.Loop() {
			c.count(&e)
		}
	})
	b.Run("together", func(b *testing.B) {
		var c counters
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				c.count(&e)
			}
		})
	})
}
