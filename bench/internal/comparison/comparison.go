//go:build linux

// Package comparison measures package validate beside the signature check alone and beside the libraries that people
// check tokens with today, all in one process and in turn. What counts is the CPU time of the process, garbage
// collection included, as the median of many short turns: on a shared machine the clock on the wall says more about the
// neighbours, and a collection that one subject caused and another had to bear moves no median.
//
// Every token of a round is a different one, so nobody is helped by remembering; what a repeated token costs is measured
// apart.
package comparison

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"seawall/bench/internal/peer"
	"seawall/bench/internal/process"
	"seawall/bench/internal/sample"
	"seawall/validate"
	"seawall/validate/corpus"
	"seawall/validate/validatetest"
)

// Figures are what was measured.
type Figures struct {
	Rounds int                           `json:"rounds"`
	Tokens int                           `json:"tokens"`    // checked by each subject in a round, for each algorithm
	Full   map[string]map[string]Cost    `json:"full"`      // by algorithm and subject
	Ratios map[string]map[string]float64 `json:"ratios"`    // of validate to another subject: medians of each turn's
	Cases  int                           `json:"cases"`     // of the corpus
	Corpus time.Duration                 `json:"corpus_ns"` // by the clock on the wall, validators and all
	Other  map[string]Cost               `json:"other"`     // what is measured of validate alone
}

// Cost is what one check costs.
type Cost struct {
	CPU    time.Duration `json:"cpu_ns"`
	Over   time.Duration `json:"over_ns"` // the signatures alone: the median of each turn's difference
	Allocs float64       `json:"allocs"`
	Bytes  float64       `json:"bytes"`
}

// The subjects that are no libraries, and what is measured of validate alone.
const (
	Raw       = "signature alone"
	Ours      = "seawall validate"
	Repeated  = "the same token again"
	Garbage   = "128 KiB of garbage"
	Malformed = "a malformed token of 700 bytes"
	Long      = "a malformed token of 12 KiB"
	DPoP      = "a DPoP request"
)

// Algorithms are those that are compared.
var Algorithms = []string{"ES256", "RS256", "EdDSA"}

// Subjects are all that check whole tokens, in the order of the report.
func Subjects() []string {
	list := []string{Raw, Ours}
	for _, l := range peer.Libraries() {
		list = append(list, l.Name)
	}
	return list
}

const (
	audience = "https://api.example"
	issuer   = "https://login.example/7c1e"
)

// Measure does everything: tokens different tokens for each algorithm, checked by each subject in each round, and the
// corpus in these files.
func Measure(ctx context.Context, rounds, tokens int, vectors []string) (Figures, error) {
	f := Figures{Rounds: rounds, Tokens: tokens, Full: map[string]map[string]Cost{}, Ratios: map[string]map[string]float64{}, Other: map[string]Cost{}}
	for _, alg := range Algorithms {
		field, err := newField(ctx, alg, tokens)
		if err != nil {
			return f, err
		}
		times, err := field.run(rounds)
		if err != nil {
			return f, fmt.Errorf("%s: %w", alg, err)
		}
		f.Full[alg], f.Ratios[alg] = map[string]Cost{}, map[string]float64{}
		for _, s := range field.subjects {
			if err := s.forget(); err != nil {
				return f, err
			}
			allocs, bytes, err := allocations(len(field.tokens), s.check)
			if err != nil {
				return f, err
			}
			var over []time.Duration
			var ratios []float64
			for turn, spent := range times[s.name] {
				over = append(over, spent-times[Raw][turn])
				ratios = append(ratios, float64(times[Ours][turn])/float64(spent))
			}
			f.Full[alg][s.name] = Cost{sample.Median(times[s.name]), sample.Median(over), allocs, bytes}
			f.Ratios[alg][s.name] = sample.Median(ratios)
		}
	}
	if err := f.judge(ctx, vectors); err != nil {
		return f, err
	}
	return f, f.alone(ctx, rounds, tokens)
}

// judge measures a whole corpus: reading it, making its validators, and judging every case.
func (f *Figures) judge(ctx context.Context, vectors []string) error {
	for _, file := range vectors {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		start := time.Now()
		var doc corpus.Document
		if err := json.Unmarshal(text, &doc); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for i, v := range doc.Judge(ctx) {
			if c := doc.Cases[i]; c.Expect == "accept" || c.Expect == "reject" {
				f.Cases++
				if v.Verdict != c.Expect {
					return fmt.Errorf("%s: %s: %s", file, c.Name, v.Verdict)
				}
			}
		}
		f.Corpus += time.Since(start)
	}
	return nil
}

// subject is one way of checking tokens.
type subject struct {
	name  string
	check func(i int) error // the i-th token of the field
	renew func() error      // before each round; nil if there is nothing to forget
}

// forget makes sure that the subject has seen none of the tokens before.
func (s subject) forget() error {
	if s.renew == nil {
		return nil
	}
	return s.renew()
}

// field is all subjects of one algorithm, and the tokens that they check.
type field struct {
	subjects []subject
	tokens   []string
}

// claims are those of an access token as APIs see them: twelve.
func claims() validatetest.Claims {
	return validatetest.Claims{
		"aud": audience, "scope": "stock.read stock.write", "tid": "2a9c4e71-65d0-4b3f-8e12-b7d4f09a3c55", "sid": "5b2e1f6a9c", "acr": "urn:example:phr", "roles": []string{"clerk", "auditor"},
	}
}

func newField(ctx context.Context, alg string, tokens int) (*field, error) {
	from := validatetest.NewIssuer(validatetest.Config{URL: issuer, Foreign: true, Algorithm: validate.Alg(alg)})
	f := &field{}
	for range tokens {
		f.tokens = append(f.tokens, from.Token(claims()))
	}
	raw, err := rawChecks(from.Keys(), f.tokens)
	if err != nil {
		return nil, err
	}
	f.subjects = append(f.subjects, subject{Raw, raw, nil})
	if err := f.add(ours(ctx, from)); err != nil {
		return nil, err
	}
	for _, l := range peer.Libraries() {
		check, err := l.New(peer.Setup{
			Issuers: []peer.Issuer{{Name: issuer, JWKS: from.Keys()}}, Audiences: []string{audience}, Algorithms: []string{alg}, Leeway: 30 * time.Second, Now: time.Now,
		}).Direct(issuer)
		if err != nil {
			return nil, err
		}
		if err := f.add(l.Name, check, nil); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// add puts a subject on the field, after making sure that it does the work that it is measured at.
func (f *field) add(name string, check func(token string) error, renew func() error) error {
	if renew != nil {
		if err := renew(); err != nil {
			return err
		}
	}
	good := f.tokens[0]
	if err := check(good); err != nil {
		return fmt.Errorf("%s refuses a good token: %w", name, err)
	}
	if check(good[:len(good)-8]+"AAAAAAAA") == nil {
		return fmt.Errorf("%s accepts a token with another signature", name)
	}
	f.subjects = append(f.subjects, subject{name, func(i int) error { return check(f.tokens[i]) }, renew})
	return nil
}

// ours is validate with a new validator in each round, which remembers nothing of the round before.
func ours(ctx context.Context, from *validatetest.Issuer) (name string, check func(string) error, renew func() error) {
	var v *validate.Validator
	check = func(token string) error {
		_, err := v.Token(ctx, token)
		return err
	}
	renew = func() (err error) {
		if v != nil {
			v.Close()
		}
		v, err = validate.New(validate.Config{Issuers: []validate.Issuer{from.Trusted()}, Audiences: []string{audience}})
		return err
	}
	return Ours, check, renew
}

// block is how many tokens a subject checks before it is the next one's turn: few enough that what disturbs one disturbs
// all, and enough that reading the clock costs little.
const block = 100

// run gives every subject's CPU time a token, turn by turn. Who goes first rotates.
func (f *field) run(rounds int) (map[string][]time.Duration, error) {
	times := map[string][]time.Duration{}
	for round := range rounds + 1 {
		for _, s := range f.subjects {
			if err := s.forget(); err != nil {
				return nil, err
			}
		}
		for from := 0; from < len(f.tokens); from += block {
			n := min(block, len(f.tokens)-from)
			for i := range f.subjects {
				s := f.subjects[(i+round)%len(f.subjects)]
				spent, err := timed(n, func(i int) error { return s.check(from + i) })
				if err != nil {
					return nil, fmt.Errorf("%s: %w", s.name, err)
				}
				if round > 0 { // the first warms up
					times[s.name] = append(times[s.name], spent)
				}
			}
		}
	}
	return times, nil
}

// timed gives the CPU time of one of n acts.
func timed(n int, act func(i int) error) (time.Duration, error) {
	before, err := process.CPU(os.Getpid())
	if err != nil {
		return 0, err
	}
	for i := range n {
		if err := act(i); err != nil {
			return 0, err
		}
	}
	after, err := process.CPU(os.Getpid())
	return (after - before) / time.Duration(n), err
}

// allocations gives what one check allocates.
func allocations(n int, check func(i int) error) (allocs, bytes float64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range n {
		if err := check(i); err != nil {
			return 0, 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return whole(after.Mallocs-before.Mallocs, n), whole(after.TotalAlloc-before.TotalAlloc, n), nil
}

// whole divides without a rest, as testing.AllocsPerRun does: what the runtime allocates meanwhile is no check's.
func whole(sum uint64, n int) float64 { return float64(sum / uint64(n)) }

const longBytes = 12 << 10

// alone measures what only validate is asked: the same token again, garbage, and proofs of possession.
func (f *Figures) alone(ctx context.Context, rounds, tokens int) error {
	from := validatetest.NewIssuer(validatetest.Config{URL: issuer, Foreign: true})
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{from.Trusted()}, Audiences: []string{audience}})
	if err != nil {
		return err
	}
	defer v.Close()
	good := from.Token(claims())
	header, rest, _ := strings.Cut(good, ".")
	for name, c := range map[string]struct {
		token string
		code  validate.Code // "" if it is accepted
	}{
		Repeated:  {good, ""},
		Garbage:   {strings.Repeat("a", 128<<10), validate.CodeTooLarge},
		Malformed: {strings.Repeat("A", len(header)) + "." + rest, validate.CodeJSON},
		Long:      {header + "." + strings.Repeat("A", longBytes) + "." + strings.Repeat("A", 86), validate.CodeJSON},
	} {
		var want error // made an error once: that costs an allocation, which is not validate's
		if c.code != "" {
			want = c.code
		}
		check := func(int) error {
			if _, err := v.Token(ctx, c.token); !errors.Is(err, want) {
				return fmt.Errorf("%s: %v, and not %q", name, err, c.code)
			}
			return nil
		}
		if f.Other[name], err = costOf(check, rounds, 20*tokens); err != nil {
			return err
		}
	}
	f.Other[DPoP], err = proofs(from, rounds, tokens)
	return err
}

func costOf(check func(int) error, rounds, n int) (Cost, error) {
	var times []time.Duration
	for round := range rounds + 1 {
		spent, err := timed(n, check)
		if err != nil {
			return Cost{}, err
		}
		if round > 0 {
			times = append(times, spent)
		}
	}
	allocs, bytes, err := allocations(n, check)
	return Cost{CPU: sample.Median(times), Allocs: allocs, Bytes: bytes}, err
}

// proofs measures requests with a new token and a new proof each (RFC 9449) beside two signatures alone, in turns.
func proofs(from *validatetest.Issuer, rounds, tokens int) (Cost, error) {
	client := validatetest.NewProver(validate.ES256, nil)
	bound := claims()
	bound["cnf"] = client.Confirmation()
	var times, over []time.Duration
	var cost Cost
	for round := range rounds + 1 {
		v, err := validate.New(validate.Config{
			Issuers: []validate.Issuer{from.Trusted()}, Audiences: []string{audience},
			DPoP: &validate.DPoP{Origin: "https://api.example"},
		})
		if err != nil {
			return cost, err
		}
		defer v.Close()
		shown, requests := make([]string, tokens), make([]*http.Request, tokens)
		for i := range requests {
			if requests[i], err = http.NewRequest(http.MethodGet, "https://api.example/stock", nil); err != nil {
				return cost, err
			}
			shown[i] = from.Token(bound)
			client.Sign(requests[i], shown[i])
		}
		raw, err := rawChecks(from.Keys(), shown)
		if err != nil {
			return cost, err
		}
		request := func(i int) error {
			_, err := v.Request(requests[i])
			return err
		}
		if round == 0 { // which warms up
			if cost.Allocs, cost.Bytes, err = allocations(tokens, request); err != nil {
				return cost, fmt.Errorf("a DPoP request: %w", err)
			}
			continue
		}
		for at := 0; at < tokens; at += block {
			n := min(block, tokens-at)
			spent, err := timed(n, func(i int) error { return request(at + i) })
			if err != nil {
				return cost, fmt.Errorf("a DPoP request: %w", err)
			}
			least, err := timed(n, func(i int) error { return errors.Join(raw(at+i), raw(at+i)) })
			if err != nil {
				return cost, err
			}
			times, over = append(times, spent), append(over, spent-least)
		}
	}
	cost.CPU, cost.Over = sample.Median(times), sample.Median(over)
	return cost, nil
}
