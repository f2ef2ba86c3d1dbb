package signer

import (
	"crypto"
	"crypto/ed25519"
	"io"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"seawall/internal/keystore"
	"seawall/internal/mint"
)

// instant is a key that signs in no time: what is left is the signer's own work.
type instant struct {
	keystore.Key
	der []byte
}

func (k instant) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return k.der, nil }

// BenchmarkToken measures per token, in messages of 64: "es256" is the bare signature, "own" everything the signer does
// besides it and besides the way to the ledger, "whole" both together on all processors.
func BenchmarkToken(b *testing.B) {
	t := &testing.T{}
	clock := newFakeClock()
	ledger := &testLedger{t: t, now: clock.Now, book: book{steps: map[string]mint.KeyStep{}, keys: map[string]mint.Key{}}}
	ledger.found()
	store, err := openStore(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	key, err := store.Generate("ES256")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("es256", func(b *testing.B) {
		before := cpuTime()
		defer func() { b.ReportMetric(float64(cpuTime()-before)/float64(b.N)/1000, "cpu-µs/token") }()
		for b.Loop() {
			if _, err := keystore.AppendSignature(nil, key, "ES256", make([]byte, 600)); err != nil {
				b.Fatal(err)
			}
		}
	})
	der, err := key.Sign(nil, make([]byte, 32), crypto.SHA256)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("own", func(b *testing.B) {
		old := runtime.GOMAXPROCS(1)
		defer runtime.GOMAXPROCS(old)
		benchmarkMessages(b, clock, ledger, instant{key, der})
	})
	b.Run("whole", func(b *testing.B) { benchmarkMessages(b, clock, ledger, key) })
}

func benchmarkMessages(b *testing.B, clock *fakeClock, ledger *testLedger, key keystore.Key) {
	p, ceilings := testPolicy(), DefaultCeilings()
	now := clock.Now()
	record := mint.Key{Alg: "ES256", KID: "0123456789012345678901", NotBefore: now.Unix() - 60, SigningEnds: now.Unix() + 86400, Expires: now.Unix() + 2*86400}
	header := (&mint.Token{Alg: "ES256", Kind: mint.AccessToken, KID: record.KID}).Header(nil)
	s := &Signer{ceilings: ceilings, window: newWindow(day), clock: clock, crew: newCrew()}
	defer s.crew.close()
	s.tenants.Store(&map[string]*tenant{"acme": {policy: p, limits: compile(&p, &ceilings),
		signing: map[mint.Family]*signing{mint.FamilyAccess: {record: record, key: key, lifetime: 86400, header: header}}}})
	s.link = &link{root: ledger.root.Public().(ed25519.PublicKey)}
	if err := s.link.trust(ledger.document); err != nil {
		b.Fatal(err)
	}
	id := mint.LedgerKeyID(ledger.key.Public().(ed25519.PublicKey))
	keys := s.link.trusted.Load().keys
	var requests [][]byte
	for range mint.MaxBatch {
		requests = append(requests, testRequest().Append(nil))
	}
	body := mint.AppendRequests(nil, requests)
	head := mint.Head{Size: 1000, Millis: uint64(now.UnixMilli())}
	seal, _, _, err := mint.AnswerShare(ledger.root, mint.NewShare().Public())
	if err != nil {
		b.Fatal(err)
	}
	var once sync.Once
	var answer []byte
	var out []byte
	w := new(work)
	b.ReportAllocs()
	before := cpuTime()
	for n := 0; b.Loop(); n += mint.MaxBatch {
		// The same steps as Signer.mint and Signer.finish, with an answer of the ledger that was made before.
		w.answers, w.items, w.unsigned, w.digests, w.payloads = w.answers[:0], w.items[:0], w.unsigned[:0], w.digests[:0], w.payloads[:0]
		list, err := mint.ReadRequests(body)
		if err != nil {
			b.Fatal(err)
		}
		for i, encoded := range list {
			w.answers = append(w.answers, mint.Answer{Request: mint.RequestDigest(encoded)})
			q, signing, refusal := s.accept(encoded, now.Unix())
			if refusal == nil && !s.window.admit(now, q.Tenant, q.JTI, w.answers[i].Request) {
				refusal = mint.Refuse(mint.JTIReused, "")
			}
			if refusal == nil {
				refusal = w.build(i, q, signing, now.Unix())
			}
			if refusal != nil {
				b.Fatal(refusal)
			}
		}
		once.Do(func() {
			var recorded []mint.Recorded
			for i, d := range w.digests {
				recorded = append(recorded, mint.Recorded{Receipt: mint.NewReceipt(ledger.key, id, uint64(i), head.Millis, d)})
			}
			answer = mint.AppendRecorded(nil, seal, id, head, w.digests, recorded)
		})
		out = mint.AppendTokens(out[:0], w.unsigned)
		_, recorded, err := mint.ReadRecorded(answer, seal, w.digests, func(id mint.KeyID) bool { return keys[id].public != nil })
		if err != nil {
			b.Fatal(err)
		}
		w.reserve()
		for i := range w.items {
			if !s.link.receiptFits(&recorded[i].Receipt, w.items[i].issued, head) {
				b.Fatal("a receipt does not fit")
			}
			w.items[i].receipt = &recorded[i].Receipt
		}
		w.sign(len(w.items), s.crew)
		out = mint.AppendAnswers(out[:0], head, w.answers)
	}
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N*mint.MaxBatch)/1000, "cpu-µs/token")
}

// cpuTime is what this process has used so far, which a busy machine does not blur.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
