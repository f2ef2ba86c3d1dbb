package validate_test

import (
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// threadCPU gives the CPU time of this thread, which other work on the machine disturbs little. The
// kernel counts it in nanoseconds; getrusage would give it in ticks.
func threadCPU(tb testing.TB) time.Duration {
	tb.Helper()
	const thisThread = 3 // CLOCK_THREAD_CPUTIME_ID
	var t syscall.Timespec
	if _, _, err := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, thisThread, uintptr(unsafe.Pointer(&t)), 0); err != 0 {
		tb.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkRatio reports full check over raw signature checks, in CPU time, and what the same token
// costs again: the median of rounds that alternate between them in one process. One iteration is
// one round of 200 tokens each.
func BenchmarkRatio(b *testing.B) {
	for _, s := range subjects(b) {
		b.Run(s.name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var raws, fulls, agains []float64
			timed := func(to *[]float64, act func() bool) {
				start := threadCPU(b)
				for range 200 {
					if !act() {
						b.Fatal("a good token failed")
					}
				}
				*to = append(*to, float64(threadCPU(b)-start)/200)
			}
			steps := []func(){
				func() { timed(&raws, func() bool { return s.raw() && (s.receipt == nil || s.receipt()) }) },
				func() { timed(&fulls, func() bool { return s.full() == nil }) },
				func() { timed(&agains, func() bool { return s.again() == nil }) },
			}
			for round := 0; b.Loop(); round++ {
				for i := range steps { // each begins as often as the others: the first pays for cold caches
					steps[(round+i)%len(steps)]()
				}
			}
			raw, full, again := median(raws), median(fulls), median(agains)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(raw/1000, "raw-µs")
			b.ReportMetric(full/1000, "full-µs")
			b.ReportMetric((full-raw)/1000, "over-µs")
			b.ReportMetric(full/raw, "ratio")
			b.ReportMetric(again/1000, "again-µs")
		})
	}
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}
