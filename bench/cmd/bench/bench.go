//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"seawall/bench/internal/comparison"
	"seawall/bench/internal/report"
	"seawall/bench/internal/spread"
	"seawall/bench/internal/subject"
)

// bench is one run: its settings, its directory, and what it found so far.
type bench struct {
	settings
	progress io.Writer
	dir      string // holds programs, data and logs; removed at the end
	machine  report.Machine

	wall      *subject.Seawall // nil without --seawall
	noZitadel bool             // the peer could not be built
	noPeers   bool             // the program with the other libraries could not be built

	rounds        []round
	start         starts
	memory        memories
	size          binary
	check         tokenCheck
	peers         comparison.Figures
	guard         guardSpeeds
	rotation      rotations
	introspection introspections
	visits        visits
	crowding      crowding
	feed          spread.Figures
	ledger        ledgerSpeeds
	verify        verified
}

// prepare makes the directory and builds the other servers and the load generator into it.
func prepare(ctx context.Context, s settings, progress io.Writer) (*bench, error) {
	if err := os.MkdirAll(s.work, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.work, "bench-")
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	b := &bench{settings: s, progress: progress, dir: dir}
	if err := b.build(ctx); err != nil {
		return nil, errors.Join(err, b.clear())
	}
	if b.machine, err = report.ThisMachine(dir); err != nil {
		return nil, errors.Join(err, b.clear())
	}
	if b.machine.Filesystem == "tmpfs" {
		err := errors.New("the work directory is in memory, where durability costs nothing: choose one on a disk with --work")
		return nil, errors.Join(err, b.clear())
	}
	return b, nil
}

// build compiles the programs that the bench runs. Only the peers have dependencies; a machine that cannot get
// them measures without.
func (b *bench) build(ctx context.Context) error {
	// seawall's processes may run under users of their own and must be able to pass through.
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"load", "calibrator", "rotation", "grow", "tokencheck", "feed", "people", "zitadel", "peers"} {
		if (name == "rotation" || name == "grow" || name == "tokencheck" || name == "feed" || name == "people" || name == "peers") && b.seawall == "" {
			continue
		}
		b.say("building %s", name)
		cmd := exec.CommandContext(ctx, "go", "build", "-o", b.program(name), "./cmd/"+name)
		cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
		output, err := cmd.CombinedOutput()
		switch {
		case err == nil:
		case name == "zitadel" && ctx.Err() == nil:
			b.noZitadel = true
			b.say("going on without zitadel: %s", lastLine(string(output)))
		case name == "peers" && ctx.Err() == nil:
			b.noPeers = true
			b.say("going on without other libraries: %s", lastLine(string(output)))
		default:
			return fmt.Errorf("building %s: %w: %s", name, err, lastLine(string(output)))
		}
	}
	return nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

func (b *bench) program(name string) string { return filepath.Join(b.dir, name) }

// clear removes everything that the bench put on the disk.
func (b *bench) clear() error { return os.RemoveAll(b.dir) }

// say tells whoever waits what goes on.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.progress, format+"\n", args...) }

// measure does everything in turn. Starts come first and memory second, while the log is short; the rounds
// make it long.
func (b *bench) measure(ctx context.Context) (report.Report, error) {
	taken := time.Now()
	if b.seawall != "" {
		for _, step := range []func(context.Context) error{
			b.measureSize, b.measureStarts, b.measureMemory, b.measureTokenCheck, b.measurePeers, b.measureGuard, b.measureRotation, b.measureCrowd, b.measureIntrospection, b.measureVisits, b.measureFeed, b.measureLedger,
		} {
			if err := step(ctx); err != nil {
				return report.Report{}, err
			}
		}
	}
	if err := b.measureRounds(ctx); err != nil {
		return report.Report{}, err
	}
	return b.report(taken), nil
}
