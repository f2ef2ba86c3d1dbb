package validate_test

import (
	"context"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
)

// threadCPU gives the CPU time of this thread, which other work on the machine disturbs little.
func threadCPU(tb testing.TB) time.Duration {
	tb.Helper()
	const thisThread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(thisThread, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRatio reports full check over raw signature checks, in CPU time: the median of rounds
// that alternate between the two in one process. One iteration is one round of 200 tokens each.
func BenchmarkRatio(b *testing.B) {
	for _, s := range subjects(b) {
		b.Run(s.name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var raws, fulls []float64
			for b.Loop() {
				start := threadCPU(b)
				for range 200 {
					if !s.raw() || s.receipt != nil && !s.receipt() {
						b.Fatal("a good token failed")
					}
				}
				middle := threadCPU(b)
				for range 200 {
					if _, err := s.v.Token(context.Background(), s.token); err != nil {
						b.Fatal(err)
					}
				}
				raws = append(raws, float64(middle-start)/200)
				fulls = append(fulls, float64(threadCPU(b)-middle)/200)
			}
			slices.Sort(raws)
			slices.Sort(fulls)
			raw, full := raws[len(raws)/2], fulls[len(fulls)/2]
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(raw/1000, "raw-µs")
			b.ReportMetric(full/1000, "full-µs")
			b.ReportMetric(full/raw, "ratio")
		})
	}
}
