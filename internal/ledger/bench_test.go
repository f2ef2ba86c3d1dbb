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

// load sends message after message, flights at a time, and reports entries. It is both the client and the ledger, so its
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
	if _, err := c.Hello(ctx, mint.Head{}); err != nil {
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
