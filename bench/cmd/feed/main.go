//go:build linux

// Feed measures how long a revocation takes until every API knows: from the request of the client that gives up its
// token to the moment at which each of many connected validators has verified the statement and refuses the token. It
// runs a seawall of its own, with its three processes, and all validators in this one process, each with its own
// connection, so everything shares the processors of one machine. `make bench` runs it for docs/performance.md; alone it
// prints a table, or JSON:
//
//	GOWORK=off go run ./cmd/feed [--validators 1000] [--rounds 30] [--json]
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"seawall/bench/internal/spread"
	"seawall/bench/internal/subject"
	"seawall/validate"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "feed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	program := flag.String("seawall", "../bin/seawall", "the seawall to measure")
	validators := flag.Int("validators", 1000, "how many follow the feed")
	rounds := flag.Int("rounds", 30, "how many tokens are revoked, one after the other")
	asJSON := flag.Bool("json", false, "print JSON instead of a table")
	flag.Parse()
	dir, err := os.MkdirTemp("", "seawall-feed-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	wall, err := subject.NewSeawall(*program, filepath.Join(dir, "data"), dir)
	if err != nil {
		return err
	}
	server, err := wall.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if err := wall.Provision(ctx); err != nil {
		return err
	}
	c, err := connect(ctx, wall, *validators)
	if err != nil {
		return err
	}
	defer c.close()
	var all, last, answered []time.Duration
	for range *rounds {
		each, answer, err := c.revoke(ctx, wall)
		if err != nil {
			return err
		}
		all, last, answered = append(all, each...), append(last, slices.Max(each)), append(answered, answer)
	}
	f := spread.Figures{
		Validators: *validators, Rounds: *rounds, CPU: c.used / time.Duration(len(all)),
		Answer: spread.Of(answered), Each: spread.Of(all), Last: spread.Of(last),
	}
	if *asJSON {
		return json.NewEncoder(os.Stdout).Encode(f)
	}
	fmt.Print(f.Table().Markdown())
	return nil
}

func processCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// crowd is many validators that follow one feed.
type crowd struct {
	validators []*validate.Validator
	statement  atomic.Uint64 // that is waited for
	applied    chan time.Time
	used       time.Duration // CPU while statements were on their way
}

// connect starts the validators, some at a time, and waits until each follows the feed by a stream.
func connect(ctx context.Context, wall *subject.Seawall, n int) (*crowd, error) {
	jwks, err := subject.Document(ctx, wall.Issuer+"/jwks")
	if err != nil {
		return nil, err
	}
	c := &crowd{applied: make(chan time.Time, n)}
	issuer := validate.SeawallIssuer(wall.Issuer, wall.Pin).WithKeys(validate.StaticKeys(jwks)).WithFeed(validate.Feed{
		ID: wall.API.ID(), Secret: validate.SecretFrom(wall.API.Secret), OnStale: validate.RefuseWhenStale(),
	})
	for range n {
		v, err := validate.New(validate.Config{
			Issuers: []validate.Issuer{issuer}, Audiences: []string{subject.Audience},
			Observe: func(e validate.Event) {
				if e.Kind == validate.FeedChanged && e.Sequence == c.statement.Load() {
					c.applied <- time.Now()
				}
			},
		})
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		c.validators = append(c.validators, v)
		if err := v.Ready(ctx); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	for _, v := range c.validators {
		for !v.Feeds()[0].Streaming {
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return nil, errors.Join(ctx.Err(), c.close())
			}
		}
	}
	return c, nil
}

func (c *crowd) close() error {
	var wait sync.WaitGroup
	for _, v := range c.validators {
		wait.Go(v.Close)
	}
	wait.Wait()
	return nil
}

// revoke has one more token given up and tells how long it took until each validator knew. Afterwards all of them must
// refuse the token, which they accepted before.
func (c *crowd) revoke(ctx context.Context, wall *subject.Seawall) (each []time.Duration, answer time.Duration, err error) {
	token, err := subject.Token(ctx, wall.TokenEndpoint, wall.Clients[0])
	if err != nil {
		return nil, 0, err
	}
	for _, v := range c.validators {
		if _, err := v.Token(ctx, token); err != nil {
			return nil, 0, fmt.Errorf("a good token: %w", err)
		}
	}
	c.statement.Add(1)
	before, start := processCPU(), time.Now()
	if err := subject.Revoke(ctx, wall.Issuer+"/revoke", wall.Clients[0], token); err != nil {
		return nil, 0, err
	}
	answer = time.Since(start)
	for range c.validators {
		select {
		case when := <-c.applied:
			each = append(each, when.Sub(start))
		case <-time.After(time.Minute):
			return nil, 0, fmt.Errorf("after a minute only %d of %d validators know", len(each), len(c.validators))
		}
	}
	c.used += processCPU() - before
	for _, v := range c.validators {
		if _, err := v.Token(ctx, token); !errors.Is(err, validate.CodeRevoked) {
			return nil, 0, fmt.Errorf("a revoked token: %v", err)
		}
	}
	slices.SortFunc(each, cmp.Compare)
	return each, answer, nil
}
