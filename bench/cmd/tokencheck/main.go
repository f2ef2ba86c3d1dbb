//go:build linux

// Tokencheck measures validate.Token against the signature checks that it cannot leave out. It reads a
// tokencheck.Question as JSON from standard input and writes a tokencheck.Answer. Both sides run in this one
// process in turn, block by block, and what is compared is the process's own CPU time, garbage collection
// included.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"seawall/bench/internal/process"
	"seawall/bench/internal/sample"
	"seawall/bench/internal/tokencheck"
	"seawall/validate"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var question tokencheck.Question
	if err := json.NewDecoder(os.Stdin).Decode(&question); err != nil {
		return fmt.Errorf("reading the question: %w", err)
	}
	answer, err := measure(context.Background(), question)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

// measure is the medians over all blocks of all rounds. The first token is kept aside to warm up with.
func measure(ctx context.Context, q tokencheck.Question) (tokencheck.Answer, error) {
	if len(q.Tokens) < 2 || q.Rounds < 1 {
		return tokencheck.Answer{}, errors.New("at least two tokens and one round are needed")
	}
	keys, err := tokencheck.ParseKeys(q.JWKS)
	if err != nil {
		return tokencheck.Answer{}, err
	}
	spare, tokens := q.Tokens[0], q.Tokens[1:]
	prepared := make([]*tokencheck.Signatures, len(tokens))
	for i, token := range tokens {
		if prepared[i], err = tokencheck.Prepare(token, keys); err != nil {
			return tokencheck.Answer{}, err
		}
	}
	var b blocks
	for range q.Rounds {
		if err := b.round(ctx, q, spare, tokens, prepared); err != nil {
			return tokencheck.Answer{}, err
		}
	}
	return tokencheck.Answer{Token: sample.Median(b.full), Raw: sample.Median(b.raw), Over: sample.Median(b.over), Ratio: sample.Median(b.ratios)}, nil
}

// blocks are what was measured, block by block.
type blocks struct {
	full, raw, over []time.Duration // of one check
	ratios          []float64
}

// round checks every token once by each way with a new validator, which remembers nothing of the round
// before. The spare token settles whatever a validator does only once.
func (b *blocks) round(ctx context.Context, q tokencheck.Question, spare string, tokens []string, prepared []*tokencheck.Signatures) error {
	validator, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{validate.SeawallIssuer(q.Issuer, q.Pin)},
		Audiences: []string{q.Audience},
	})
	if err != nil {
		return err
	}
	defer validator.Close()
	if err := validator.Ready(ctx); err != nil {
		return err
	}
	if _, err := validator.Token(ctx, spare); err != nil {
		return fmt.Errorf("a genuine token was refused: %w", err)
	}
	return b.alternate(ctx, validator, tokens, prepared)
}

// alternate checks blocks of tokens by one way and then by the other; whose turn is first changes from block to block.
func (b *blocks) alternate(ctx context.Context, v *validate.Validator, tokens []string, prepared []*tokencheck.Signatures) error {
	const block = 50
	for from := 0; from < len(tokens); from += block {
		to := min(from+block, len(tokens))
		ways := []func() error{
			func() error {
				for _, s := range prepared[from:to] {
					if !s.Verify() {
						return errors.New("a genuine signature did not verify")
					}
				}
				return nil
			},
			func() error {
				for _, token := range tokens[from:to] {
					if _, err := v.Token(ctx, token); err != nil {
						return fmt.Errorf("a genuine token was refused: %w", err)
					}
				}
				return nil
			},
		}
		var spent [2]time.Duration
		for i := range ways {
			way := (i + len(b.raw)) % len(ways)
			cpu, err := timed(ways[way])
			if err != nil {
				return err
			}
			spent[way] = cpu / time.Duration(to-from)
		}
		raw, full := spent[0], spent[1]
		b.raw, b.full = append(b.raw, raw), append(b.full, full)
		b.over, b.ratios = append(b.over, full-raw), append(b.ratios, float64(full)/float64(raw))
	}
	return nil
}

// timed is the CPU time that the process spends while do runs.
func timed(do func() error) (time.Duration, error) {
	before, err := process.CPU(os.Getpid())
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	after, err := process.CPU(os.Getpid())
	return after - before, err
}
