package server

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"seawall/internal/mint"
)

// BenchmarkFeed measures how long a statement takes from the question of the house until every listener has it: the entry's
// fsync, the ledger's signatures, the house's verification, and an event to each of the listeners, which live in the same
// process as house and vaults. p99-ms is over all deliveries; last-ms is the slowest of all.
func BenchmarkFeed(b *testing.B) {
	for _, listeners := range []int{200, 1000} {
		b.Run(fmt.Sprintf("listeners=%d", listeners), func(b *testing.B) { benchmarkFeed(b, listeners) })
	}
}

func benchmarkFeed(b *testing.B, listeners int) {
	v := newRealVaults(b)
	h := newHouse(b, v.options())
	api, _ := h.acme()
	var mu sync.Mutex
	var begun time.Time
	var took []time.Duration
	var heard sync.WaitGroup
	for range listeners {
		s, err := h.listen(api, "")
		must(b, s, err)
		b.Cleanup(s.close)
		if e := <-s.events; e.name != "snapshot" {
			b.Fatalf("a stream begins with %s", e.name)
		}
		go func() {
			for e := range s.events {
				if e.name == "statement" {
					mu.Lock()
					took = append(took, time.Since(begun))
					mu.Unlock()
					heard.Done()
				}
			}
		}()
	}
	cpu := processTime()
	b.ResetTimer()
	for n := 0; b.Loop(); n++ {
		heard.Add(listeners)
		mu.Lock()
		begun = time.Now()
		mu.Unlock()
		h.mustState(h.distrustQuery(mint.DistrustSubject, fmt.Sprint("user-", n)))
		heard.Wait()
	}
	b.StopTimer()
	used := processTime() - cpu
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(took[len(took)/2]), "p50-ms")
	b.ReportMetric(ms(took[len(took)*99/100]), "p99-ms")
	b.ReportMetric(ms(took[len(took)-1]), "last-ms")
	b.ReportMetric(float64(used.Microseconds())/float64(len(took)), "cpu-µs/delivery")
}

// processTime is the processor time that this process has used.
func processTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
