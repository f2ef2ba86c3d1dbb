package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkConsumeAssertion shows what group commit is worth: one durable act after the other, and 128 callers at once.
func BenchmarkConsumeAssertion(b *testing.B) {
	for _, callers := range []int{1, 16, 128} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			s := openIn(b, b.TempDir())
			until := time.Now().Add(time.Hour)
			var n atomic.Int64
			b.SetParallelism(max(1, callers/2)) // times GOMAXPROCS
			act := func() {
				if first, err := s.ConsumeAssertion(context.Background(), "acme", "ci", fmt.Sprint(n.Add(1)), until); err != nil || !first {
					b.Error(first, err)
				}
			}
			if callers == 1 {
				for b.Loop() {
					act()
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					act()
				}
			})
		})
	}
}

// BenchmarkClient is a read that missed the house's cache.
func BenchmarkClient(b *testing.B) {
	s := openIn(b, b.TempDir())
	addTenant(b, s, "acme")
	if _, err := s.CreateAPI(b.Context(), "uid 7", exampleAPI()); err != nil {
		b.Fatal(err)
	}
	if _, err := s.CreateClient(b.Context(), "uid 7", exampleClient("ci")); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Client(b.Context(), "acme", "ci"); err != nil {
			b.Fatal(err)
		}
	}
}
