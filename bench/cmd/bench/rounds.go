//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"seawall/bench/internal/load"
	"seawall/bench/internal/process"
	"seawall/bench/internal/subject"
)

// The servers.
const (
	calibrator = "calibrator"
	zitadel    = "zitadel"
	seawall    = "seawall"
)

// What is asked of them.
const (
	token     = "client_credentials"
	jwks      = "JWKS"
	discovery = "discovery"
)

var connections = []int{1, 16, 64}

const (
	documentConnections = 16
	clients             = 32 // that share the load, far below the default limit of 1,000/s for each
)

// key names one cell of the results.
type key struct {
	task        string
	server      string
	connections int
}

// sampled is one window.
type sampled struct {
	load.Result
	cpu      time.Duration            // per answer, of all processes
	byRole   map[string]time.Duration // the same, apart
	batches  float64                  // durable batches a second; 0 if unknown
	perBatch float64                  // tokens in a batch
}

// round is one window for every cell, measured within the same minute.
type round struct {
	cells     map[key]sampled
	fdatasync time.Duration // median of a 4 KiB append in the same minute
	first     time.Duration // seawall's start to first token
	entries   uint64        // that its log held then
}

// rejectedError is a disturbed window. Its round does not count and is repeated.
type rejectedError struct{ reason error }

func (e rejectedError) Error() string { return "rejected: " + e.reason.Error() }
func (e rejectedError) Unwrap() error { return e.reason }

// measureRounds repeats rounds until enough of them are good. A few may be rejected: more than that is not
// a disturbed machine but a server that fails.
func (b *bench) measureRounds(ctx context.Context) error {
	const tolerated = 2
	rejected := 0
	for n := 0; len(b.rounds) < b.settings.rounds; n++ {
		b.say("round %d of %d", len(b.rounds)+1, b.settings.rounds)
		r, err := b.round(ctx, n)
		switch disturbed := (rejectedError{}); {
		case err == nil:
			b.rounds = append(b.rounds, r)
		case errors.As(err, &disturbed) && rejected < tolerated && ctx.Err() == nil:
			rejected++
			b.say("a round is %v", err)
		default:
			return err
		}
	}
	return nil
}

// contestant is a running server with what to ask it.
type contestant struct {
	*subject.Server
	asks map[string]ask // by task
}

type ask struct {
	requests [][]byte
	expect   string
}

// round starts every server afresh, so that rounds differ in everything that varies from start to start, and
// puts each load on them in a rotated order.
func (b *bench) round(ctx context.Context, n int) (r round, err error) {
	r.cells = map[key]sampled{}
	if r.fdatasync, err = medianFdatasync(b.dir); err != nil {
		return r, err
	}
	servers, err := b.startAll(ctx, &r)
	defer func() {
		for _, s := range servers {
			err = errors.Join(err, s.Stop())
		}
	}()
	if err != nil {
		return r, err
	}
	var recorded subject.Recorded
	if b.wall != nil {
		if recorded, err = b.wall.Recorded(ctx); err != nil {
			return r, err
		}
		r.entries = recorded.Entries
	}
	for i, c := range connections {
		for _, s := range rotated(servers, n+i) {
			k := key{token, s.Name, c}
			got, err := b.window(ctx, s, k)
			if err != nil {
				return r, err
			}
			if s.Name == seawall {
				if recorded, err = b.account(ctx, recorded, &got); err != nil {
					return r, err
				}
			}
			r.cells[k] = got
		}
	}
	return r, b.documents(ctx, n, servers, r.cells)
}

// documents measures the two public documents against the calibrator's fixed ones.
func (b *bench) documents(ctx context.Context, n int, servers []contestant, cells map[key]sampled) error {
	if b.wall == nil {
		return nil
	}
	for i, task := range []string{jwks, discovery} {
		for _, s := range rotated(servers, n+i) {
			if s.asks[task].requests == nil {
				continue
			}
			k := key{task, s.Name, documentConnections}
			got, err := b.window(ctx, s, k)
			if err != nil {
				return err
			}
			cells[k] = got
		}
	}
	return nil
}

// rotated starts a list at another place, so that no server is always first.
func rotated[T any](list []T, n int) []T {
	n %= len(list)
	return slices.Concat(list[n:], list[:n])
}

// startAll starts every server and returns what runs, also with an error. seawall comes first, because the
// calibrator serves documents of the same size.
func (b *bench) startAll(ctx context.Context, r *round) (servers []contestant, err error) {
	var sizes []string
	if b.wall != nil {
		server, err := b.wall.Start(ctx)
		if err != nil {
			return servers, err
		}
		where := endpoints{b.wall.TokenEndpoint, b.wall.Issuer + "/jwks", b.wall.Issuer + "/.well-known/openid-configuration"}
		if servers, err = enter(servers, server, where, `"keys"`, `"issuer"`, b.wall.Clients...); err != nil {
			return servers, err
		}
		if r.first, err = b.wall.FirstToken(ctx, server); err != nil {
			return servers, err
		}
		if sizes, err = documentSizes(ctx, where); err != nil {
			return servers, err
		}
	}
	server, err := subject.Start(ctx, calibrator, b.dir, b.program(calibrator), sizes...)
	if err != nil {
		return servers, err
	}
	base := server.Base.String()
	where := endpoints{base + "/token", base + "/jwks", base + "/discovery"}
	if servers, err = enter(servers, server, where, "{}", "{}", subject.CalibratorClient); err != nil || b.noZitadel {
		return servers, err
	}
	if server, err = subject.Start(ctx, zitadel, b.dir, b.program(zitadel)); err != nil {
		return servers, err
	}
	where = endpoints{token: server.Base.JoinPath("oauth/token").String()}
	return enter(servers, server, where, "", "", subject.ZitadelClient)
}

// endpoints are the addresses of one server. Documents may be left out.
type endpoints struct{ token, jwks, discovery string }

// documentSizes gives the calibrator's flags for documents as long as those at where.
func documentSizes(ctx context.Context, where endpoints) ([]string, error) {
	keys, err := subject.Document(ctx, where.jwks)
	if err != nil {
		return nil, err
	}
	metadata, err := subject.Document(ctx, where.discovery)
	if err != nil {
		return nil, err
	}
	return []string{"-jwks", fmt.Sprint(len(keys)), "-discovery", fmt.Sprint(len(metadata))}, nil
}

// enter adds a running server to the contest, with the requests that it will be sent. keys and metadata are
// what its documents must hold.
func enter(servers []contestant, server *subject.Server, where endpoints, keys, metadata string,
	clients ...subject.Credential) ([]contestant, error) {
	c := contestant{server, map[string]ask{}}
	servers = append(servers, c)
	tokens, err := subject.TokenRequests(where.token, clients...)
	if err != nil {
		return servers, err
	}
	c.asks[token] = ask{tokens, `"access_token":"`}
	for task, document := range map[string]struct{ address, expect string }{
		jwks:      {where.jwks, keys},
		discovery: {where.discovery, metadata},
	} {
		if document.address == "" {
			continue
		}
		get, err := subject.GetRequest(document.address)
		if err != nil {
			return servers, err
		}
		c.asks[task] = ask{[][]byte{get}, document.expect}
	}
	return servers, nil
}

// window puts one window of load on a server and books what it cost.
func (b *bench) window(ctx context.Context, s contestant, k key) (sampled, error) {
	before, err := s.Processes()
	if err != nil {
		return sampled{}, err
	}
	result, err := b.load(ctx, s, k, before)
	if err != nil {
		return sampled{}, rejectedError{fmt.Errorf("%s, %s, %d connections: %w", s.Name, k.task, k.connections, err)}
	}
	after, err := s.Processes()
	if err != nil {
		return sampled{}, err
	}
	if !slices.Equal(before, after) {
		return sampled{}, rejectedError{fmt.Errorf("%s: its processes changed during the window, from %v to %v", s.Name, before, after)}
	}
	got := sampled{Result: result, byRole: map[string]time.Duration{}}
	for i, p := range before {
		share := result.CPU[i] / time.Duration(result.Counted)
		got.byRole[p.Role] += share
		got.cpu += share
	}
	b.say("%s · %d connections · %s · %.1f µs CPU, p50 %.2f ms, p99 %.1f ms",
		k.task, k.connections, s.Name, microseconds(got.cpu), milliseconds(got.P50), milliseconds(got.P99))
	return got, nil
}

// load runs the load generator. Its last line on standard error says why it failed.
func (b *bench) load(ctx context.Context, s contestant, k key, processes []process.Process) (load.Result, error) {
	plan := load.Plan{
		Address:     s.Base.Host,
		Connections: k.connections,
		Requests:    s.asks[k.task].requests,
		Expect:      s.asks[k.task].expect,
		Warmup:      b.settings.window / 4,
		Window:      b.settings.window,
	}
	for _, p := range processes {
		plan.Processes = append(plan.Processes, p.PID)
	}
	var result load.Result
	err := b.consult(ctx, "load", plan, &result)
	return result, err
}

// consult runs one of the bench's own programs: a question as JSON in, an answer as JSON out.
func (b *bench) consult(ctx context.Context, name string, question, answer any) error {
	input, err := json.Marshal(question)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, b.program(name))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Stdin = bytes.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, lastLine(stderr.String()))
	}
	return json.Unmarshal(stdout.Bytes(), answer)
}

// account holds the tokens that were issued in a window against the entries that the ledger then has. A
// difference is not a disturbed round: it breaks what seawall promises, and ends the run.
func (b *bench) account(ctx context.Context, before subject.Recorded, got *sampled) (subject.Recorded, error) {
	start := time.Now()
	after, err := b.wall.Recorded(ctx)
	if err != nil {
		return after, err
	}
	b.verify = verified{after.Entries, time.Since(start)}
	if recorded := after.Tokens - before.Tokens; recorded != uint64(got.Answered) {
		return after, fmt.Errorf("%d tokens were issued and %d were recorded: no figure of such a run counts", got.Answered, recorded)
	}
	if before.Batches != nil && after.Batches != nil && *after.Batches > *before.Batches {
		batches := float64(*after.Batches - *before.Batches)
		got.batches = batches / got.Elapsed.Seconds()
		got.perBatch = float64(got.Answered) / batches
	}
	return after, nil
}
