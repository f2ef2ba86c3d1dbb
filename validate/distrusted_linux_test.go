package validate

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"runtime"
	"syscall"
	"testing"
	"time"

	"seawall/validate/internal/forge"
	"seawall/validate/internal/wire"
)

// million fills sets with a million tokens and some of every other kind.
func million() *distrusted {
	b := distrustedBuilder{into: newDistrusted()}
	for n := range uint64(1e6) {
		b.add(distrustRule{kind: distrustToken, n: n}, name(n))
	}
	for kind := range distrustKinds {
		for n := range uint64(1000) {
			b.add(distrustRule{kind: kind, n: n}, name(1<<40|n))
		}
	}
	return b.build()
}

// name gives 26 characters, as a jti has.
func name(n uint64) string {
	var b [13]byte
	binary.BigEndian.PutUint64(b[:], n*0x9e3779b97f4a7c15)
	return hex.EncodeToString(b[:])
}

// processCPU gives the CPU time of the process, which other work on the machine disturbs little.
func processCPU(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(0, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDistrusted looks among a million tokens and five thousand other names. A miss looks for all
// five names of a token.
func BenchmarkDistrusted(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	d := million()
	runtime.GC()
	runtime.ReadMemStats(&after)
	names := make([]string, 1<<14)
	for i := range names {
		names[i] = name(uint64(i) * 61)
	}
	k := Token{issued: instant{sec: 1}, keyID: "2026-09-a"}
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		absent := make([]string, 1<<12) // few enough to be in the cache, as what was just parsed is
		for i := range absent {
			absent[i] = name(1<<41 | uint64(i))
		}
		b.ResetTimer()
		start := processCPU(b)
		for i := range b.N {
			for j, v := range []*string{&k.id, &k.session, &k.subject, &k.client} {
				*v = absent[(i*4+j)%len(absent)]
			}
			if d.check(&k) != "" {
				b.Fatal("found what is not there")
			}
		}
		b.ReportMetric(float64(processCPU(b)-start)/float64(b.N), "cpu-ns/op")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(d.len()), "B/entry")
	})
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		k.session, k.subject, k.client = "", "", ""
		for i := range b.N {
			k.id = names[i%len(names)]
			if d.check(&k) != CodeRevoked {
				b.Fatal("did not find what is there")
			}
		}
	})
	b.Run("change", func(b *testing.B) {
		for i := range b.N {
			n := uint64(1<<60 | i)
			d.add(distrustRule{kind: distrustToken, n: n}, name(n))
			d.remove(distrustToken, name(n), n)
		}
	})
}

// BenchmarkSnapshot reads, verifies and indexes a snapshot of a hundred thousand statements.
func BenchmarkSnapshot(b *testing.B) {
	now := time.Now()
	history := forge.Feed{Ledger: forge.NewLedger(0, 1e10), Issuer: "https://id.example/acme"}
	live := make([]wire.Distrust, 1e5)
	for n := range live {
		live[n] = wire.Distrust{
			Issuer: history.Issuer, N: uint64(n + 1), Act: "distrust", Kind: "token", Value: name(uint64(n)), Until: 1e10, Reason: "provider-hygiene",
		}
	}
	top := history.Top(now.UnixMilli())
	top.N = uint64(len(live) + 1)
	doc := history.Ledger.Snapshot(&top, live)
	root := history.Ledger.Root.Public().(ed25519.PublicKey)
	b.SetBytes(int64(len(doc)))
	b.ResetTimer()
	start := processCPU(b)
	for range b.N {
		s, failure := readSnapshot(newFeedReader(bytes.NewReader(doc)), history.Issuer, root, nil)
		if failure != nil || s.rules.len() != len(live) {
			b.Fatal(failure)
		}
	}
	b.ReportMetric(float64(processCPU(b)-start)/float64(b.N)/float64(len(live)), "cpu-ns/statement")
}
