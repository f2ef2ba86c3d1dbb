//go:build linux

package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"seawall/bench/internal/process"
	"seawall/bench/internal/subject"
)

// binary is the main program's file.
type binary struct {
	bytes int64
	cgo   float64 // 1 if it was built with cgo, 0 if without, not a number if it does not say
}

func (b *bench) measureSize(context.Context) error {
	file, err := os.Stat(b.seawall)
	if err != nil {
		return err
	}
	built, err := buildinfo.ReadFile(b.seawall)
	if err != nil {
		return fmt.Errorf("%s: %w", b.seawall, err)
	}
	b.size = binary{file.Size(), math.NaN()}
	for _, setting := range built.Settings {
		if setting.Key == "CGO_ENABLED" {
			b.size.cgo = 0
			if setting.Value != "0" {
				b.size.cgo = 1
			}
		}
	}
	return nil
}

// repeats is how often things are measured that need no rounds.
func (b *bench) repeats() int { return min(3, b.settings.rounds) }

// starts is how long seawall takes from its first process to its first token.
type starts struct {
	nothing  []time.Duration // from an empty directory, with the commands that make tenant, API and client
	ready    []time.Duration // the part of it until "ready"
	existing []time.Duration // with everything there
}

// measureStarts leaves b.wall with a short log and all its clients, not running.
func (b *bench) measureStarts(ctx context.Context) error {
	for n := range b.repeats() {
		wall, err := subject.NewSeawall(b.seawall, filepath.Join(b.dir, fmt.Sprintf("data-%d", n)), b.dir)
		if err != nil {
			return err
		}
		if err := b.whileRunning(ctx, wall, func(server *subject.Server) error {
			b.start.ready = append(b.start.ready, time.Since(server.Started))
			if err := wall.Provision(ctx); err != nil {
				return err
			}
			took, err := wall.FirstToken(ctx, server)
			b.start.nothing = append(b.start.nothing, took)
			if err != nil || n < b.repeats()-1 {
				return err
			}
			return wall.AddClients(ctx, clients-1)
		}); err != nil {
			return err
		}
		b.say("start · from nothing to a token in %.0f ms", milliseconds(b.start.nothing[n]))
		b.wall = wall
	}
	for n := range b.repeats() {
		if err := b.whileRunning(ctx, b.wall, func(server *subject.Server) error {
			took, err := b.wall.FirstToken(ctx, server)
			b.start.existing = append(b.start.existing, took)
			return err
		}); err != nil {
			return err
		}
		b.say("start · on existing data to a token in %.0f ms", milliseconds(b.start.existing[n]))
	}
	return nil
}

// whileRunning starts seawall, does something and stops it again.
func (b *bench) whileRunning(ctx context.Context, wall *subject.Seawall, do func(*subject.Server) error) error {
	server, err := wall.Start(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(server), server.Stop())
}

// footprint is the memory of all processes of a server at one moment.
type footprint struct {
	total  process.Memory
	byRole map[string]process.Memory
}

func measureFootprint(server *subject.Server) (footprint, error) {
	processes, err := server.Processes()
	if err != nil {
		return footprint{}, err
	}
	f := footprint{byRole: map[string]process.Memory{}}
	for _, p := range processes {
		memory, err := process.Resident(p.PID)
		if err != nil {
			return footprint{}, err
		}
		f.total = add(f.total, memory)
		f.byRole[p.Role] = add(f.byRole[p.Role], memory)
	}
	return f, nil
}

func add(a, b process.Memory) process.Memory {
	return process.Memory{RSS: a.RSS + b.RSS, PSS: a.PSS + b.PSS}
}

// larger is the footprint with more resident memory.
func larger(a, b footprint) footprint {
	if b.total.RSS > a.total.RSS {
		return b
	}
	return a
}

// memories are the worst that was seen.
type memories struct {
	idle    footprint
	crowded footprint     // under load
	slowest time.Duration // answer under load
}

const crowd = 256 // connections

// measureMemory looks at an idle seawall and at one with many busy connections, which all must be served.
func (b *bench) measureMemory(ctx context.Context) error {
	for range b.repeats() {
		if err := b.whileRunning(ctx, b.wall, func(server *subject.Server) error {
			return b.measureOneMemory(ctx, server)
		}); err != nil {
			return err
		}
	}
	b.say("memory · %.1f MB idle, %.1f MB with %d connections", megabytes(b.memory.idle.total.RSS), megabytes(b.memory.crowded.total.RSS), crowd)
	return nil
}

func (b *bench) measureOneMemory(ctx context.Context, server *subject.Server) error {
	if _, err := b.wall.FirstToken(ctx, server); err != nil {
		return err
	}
	recorded, err := b.wall.Recorded(ctx)
	if err != nil {
		return err
	}
	const rest = 2 * time.Second
	if err := sleep(ctx, rest); err != nil {
		return err
	}
	idle, err := measureFootprint(server)
	if err != nil {
		return err
	}
	b.memory.idle = larger(b.memory.idle, idle)

	requests, err := subject.TokenRequests(b.wall.TokenEndpoint, b.wall.Clients...)
	if err != nil {
		return err
	}
	watched, stop := context.WithCancel(ctx)
	worst := make(chan footprint)
	go func() { worst <- watchFootprint(watched, server) }()
	s := contestant{server, map[string]ask{token: {requests, `"access_token":"`}}}
	got, err := b.window(ctx, s, key{token, seawall, crowd})
	stop()
	b.memory.crowded = larger(b.memory.crowded, <-worst)
	if err != nil {
		return err
	}
	b.memory.slowest = max(b.memory.slowest, got.Max)
	_, err = b.account(ctx, recorded, &got)
	return err
}

// watchFootprint keeps the largest footprint until it is told to stop.
func watchFootprint(ctx context.Context, server *subject.Server) (worst footprint) {
	const interval = 100 * time.Millisecond
	for sleep(ctx, interval) == nil {
		if now, err := measureFootprint(server); err == nil { // a process that ends is the load's business
			worst = larger(worst, now)
		}
	}
	return worst
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
