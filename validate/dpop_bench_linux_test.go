package validate_test

import (
	"context"
	"runtime"
	"testing"

	"seawall/validate"
	"seawall/validate/validatetest"
)

// BenchmarkProof reports what a DPoP request costs in CPU time, with a token that is new and with one
// that is known: twice a raw ES256 check is the least for the first, once for the second.
func BenchmarkProof(b *testing.B) {
	const proofs = 200
	issuer := validatetest.NewIssuer(validatetest.Config{Foreign: true, URL: "https://login.example/7c1e"})
	prover := validatetest.NewProver("", issuer.Clock())
	token := issuer.Token(validatetest.Claims{"aud": audience, "cnf": prover.Confirmation(), "scope": "stock.read stock.write"})
	raw := rawCheck(b, issuer.Keys(), token)
	var presentations []validate.Presentation
	for range proofs {
		presentations = append(presentations, validate.Presentation{Scheme: "DPoP", Method: "GET", URL: itemsURL, Proofs: []string{prover.Proof(token, "GET", itemsURL)}})
	}
	memory := &freshMemory{}
	dpop := &validate.DPoP{Replays: memory}
	known := newValidator(b, issuer, func(c *validate.Config) { c.DPoP = dpop })
	fresh := newValidator(b, issuer, func(c *validate.Config) { c.DPoP, c.Remember = dpop, validate.NoMemory })
	send := func(v *validate.Validator) func() {
		return func() {
			memory.Replays = validate.NewReplays(0)
			for i := range presentations {
				if _, err := v.Presented(context.Background(), token, presentations[i]); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var costs [3][]float64
	acts := []func(){
		func() {
			for range proofs {
				raw()
			}
		}, send(fresh), send(known),
	}
	for round := 0; b.Loop(); round++ {
		for i := range acts {
			n := (round + i) % len(acts)
			start := threadCPU(b)
			acts[n]()
			costs[n] = append(costs[n], float64(threadCPU(b)-start)/proofs/1000)
		}
	}
	least, first, again := median(costs[0]), median(costs[1]), median(costs[2])
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(least, "raw-µs")
	b.ReportMetric(first-2*least, "over-2-raw-µs")
	b.ReportMetric(again-least, "again-over-raw-µs")
}

// freshMemory is a memory that a benchmark can empty.
type freshMemory struct{ validate.Replays }
