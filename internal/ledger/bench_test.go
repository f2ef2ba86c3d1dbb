package ledger

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"seawall/internal/mint"
)

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// drive sends message after message, flights at a time, and reports entries. It is both the client and the ledger, so its
// CPU time is more than the ledger's.
func drive(b *testing.B, r *rig, role Role, typ mint.MsgType, perMessage, flights int, body func(n int) []byte) {
	bodies := make([][]byte, 64)
	for i := range bodies {
		bodies[i] = body(i)
	}
	ours, theirs := socketpair(b)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var serving sync.WaitGroup
	serving.Go(func() { r.l.Serve(ctx, theirs, role) })
	once := make(chan net.Conn, 1)
	once <- ours
	c := mint.NewCaller(ctx, func(ctx context.Context) (net.Conn, error) {
		select {
		case conn := <-once:
			return conn, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}, nil)
	if _, err := c.Hello(ctx, mint.Head{}, mint.NewShare()); err != nil {
		b.Fatal(err)
	}
	free := make(chan struct{}, flights)
	var group sync.WaitGroup
	before, batches, cpu, start := r.l.Head().Size, r.l.recent.n, cpuTime(), time.Now()
	b.ResetTimer()
	for n := range b.N {
		free <- struct{}{}
		group.Add(1)
		c.Go(typ, func(buf []byte) []byte { return append(buf, bodies[n%len(bodies)]...) }, func(answer []byte, err error) {
			if err != nil || answer[0] == 1 && typ == mint.MsgEntries {
				b.Errorf("refused: %v %s", err, answer)
			}
			<-free
			group.Done()
		})
	}
	group.Wait()
	b.StopTimer()
	took, entries := time.Since(start), r.l.Head().Size-before
	if entries != uint64(b.N*perMessage) {
		b.Fatalf("%d entries for %d asked", entries, b.N*perMessage)
	}
	b.ReportMetric(float64(entries)/took.Seconds(), "entries/s")
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(entries), "cpu-µs/entry")
	b.ReportMetric(float64(entries)/float64(r.l.recent.n-batches), "entries/fsync")
	stop()
	serving.Wait()
}

// BenchmarkReceipts measures durable tokens with receipts.
func BenchmarkReceipts(b *testing.B) {
	for _, shape := range []struct{ each, flights int }{{1, 1}, {1, 64}, {16, 4}, {64, 3}, {64, 32}} {
		b.Run(fmt.Sprintf("each=%d/flights=%d", shape.each, shape.flights), func(b *testing.B) {
			r, p, i := ready(b)
			_ = p
			now := r.clock.now()
			drive(b, r, Signer, mint.MsgTokens, shape.each, shape.flights, func(int) []byte {
				list := make([]mint.Unsigned, shape.each)
				for n := range list {
					list[n] = i.token(now)
				}
				return mint.AppendTokens(nil, list)
			})
		})
	}
}

// BenchmarkEntries measures durable entries without receipts.
func BenchmarkEntries(b *testing.B) {
	for _, shape := range []struct{ each, flights int }{{1, 64}, {64, 64}} {
		b.Run(fmt.Sprintf("each=%d/flights=%d", shape.each, shape.flights), func(b *testing.B) {
			r := newRig(b)
			drive(b, r, House, mint.MsgEntries, shape.each, shape.flights, func(int) []byte {
				list := make([]*mint.Entry, shape.each)
				for n := range list {
					list[n] = &mint.Entry{Kind: mint.AuthFailed, Tenant: "acme", Client: fmt.Sprint("client-", n),
						Detail: []mint.Field{{Name: "address", Value: "192.0.2.1"}, {Name: "reason", Value: "secret_mismatch"}}}
				}
				return mint.AppendEntries(nil, list)
			})
		})
	}
}

// bigLog writes a log of n tokens in batches of each, without a ledger: nobody waits for receipts.
func bigLog(b testing.TB, n, each int) (r *rig) {
	b.Helper()
	r = prepareRig(b)
	r.create()
	r.open()
	p := r.dial(Signer)
	p.mustHello()
	i := p.issuer("acme", r.clock.now())
	r.close()
	l, err := Open(r.config())
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	l.queue.put(&job{alone: func() {
		defer close(done)
		u := i.token(r.clock.now())
		d, refusal := readDraft(&u)
		if refusal != nil {
			b.Error(refusal)
			return
		}
		d.entry.Tenant = i.tenant
		for n > 0 {
			w, refusal := l.open()
			if refusal != nil {
				b.Error(refusal)
				return
			}
			for range min(n, each) {
				d.entry.JTI = mint.NewJTI()
				d.entry.IssuedAt = int64(w.millis / 1000)
				w.add(&d.entry)
				n--
			}
			w.finish()
			if err := l.journal.write(w.bytes); err != nil {
				b.Error(err)
				return
			}
			l.advance(w)
		}
		if err := l.journal.sync(); err != nil {
			b.Error(err)
		}
	}})
	<-done
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	return r
}

// BenchmarkVerify checks a million tokens, in large batches, in those of a quiet issuer, and one by one.
func BenchmarkVerify(b *testing.B) {
	for _, each := range []int{64, 8, 1} {
		b.Run(fmt.Sprintf("million/each=%d", each), func(b *testing.B) {
			const n = 1_000_000
			r := bigLog(b, n, each)
			b.ResetTimer()
			for range b.N {
				report, err := Verify(b.Context(), r.dir, VerifyOptions{})
				if err != nil || !report.Good() || report.Tokens != n {
					b.Fatalf("%+v, %v", report, err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// BenchmarkSearch looks for one token among a million.
func BenchmarkSearch(b *testing.B) {
	r := bigLog(b, 1_000_000, 64)
	b.ResetTimer()
	for range b.N {
		if err := Search(b.Context(), r.dir, Filter{JTI: "not there at all"}, nil, func(mint.NumberedEntry) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStart opens a ledger whose last segment is full, after a crash: nothing was saved at its end.
func BenchmarkStart(b *testing.B) {
	r := bigLog(b, 180_000, 16)
	b.ResetTimer()
	for range b.N {
		l, err := Open(r.config())
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
