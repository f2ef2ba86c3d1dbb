//go:build linux

// Bench measures seawall beside two other servers and says which of its promises about speed and memory hold.
//
// Every figure that can be is a ratio: to the calibrator (the least work that gives a signed token) and to
// zitadel/oidc's example server (the leanest peer, which keeps and isolates nothing). What is compared is CPU
// time per request, summed over all processes of a server, because on a shared machine requests per second
// say more about the neighbours. Run it by `make bench` from the repository, or in this module:
//
//	GOWORK=off go run ./cmd/bench --seawall ../bin/seawall
//
// It exits 0 if every bar is met, 1 if one is missed and 2 if it could not measure.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"seawall/bench/internal/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch missed := missedError(0); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, &missed):
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
}

// missedError is how many bars were missed.
type missedError int

func (n missedError) Error() string { return plural(int(n), "bar") + " missed" }

// settings are the command's flags.
type settings struct {
	seawall string
	rounds  int
	window  time.Duration
	out     string
	work    string
	json    bool
	quick   bool
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	var seconds float64
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.seawall, "seawall", "", "the seawall `binary` to measure; without it only calibrator and peer are")
	flags.IntVar(&s.rounds, "rounds", 5, "how many times everything is measured; medians are reported")
	flags.Float64Var(&seconds, "seconds", 2, "length of one window of load")
	flags.StringVar(&s.out, "out", "../docs/performance.md", "the `document` to put the report into; empty for none")
	flags.StringVar(&s.work, "work", "../.work", "`directory` for data, on the disk to be measured")
	flags.BoolVar(&s.json, "json", false, "print JSON instead of a page")
	flags.BoolVar(&s.quick, "quick", false, "one short round, to see that everything works; writes no document unless --out is given")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if s.quick {
		if !given["rounds"] {
			s.rounds = 1
		}
		if !given["seconds"] {
			seconds = 0.5
		}
	}
	if (s.quick || s.seawall == "") && !given["out"] {
		s.out = ""
	}
	s.window = time.Duration(seconds * float64(time.Second))
	if flags.NArg() > 0 || s.rounds < 1 || s.window < 100*time.Millisecond {
		return s, errors.New("wanted: no other words, at least one round, and windows of at least 0.1 seconds")
	}
	if s.seawall == "" {
		return s, nil
	}
	var err error
	if s.seawall, err = filepath.Abs(s.seawall); err != nil {
		return s, err
	}
	if _, err := os.Stat(s.seawall); err != nil {
		return s, fmt.Errorf("%w (build it first: go build -o bin/ ./cmd/... in the repository)", err)
	}
	return s, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	b, err := prepare(ctx, s, stderr)
	if err != nil {
		return err
	}
	found, err := b.measure(ctx)
	if err := errors.Join(err, b.clear()); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted: the servers are ended and nothing was written")
		}
		return err
	}
	if s.json {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(found)
	} else {
		_, err = io.WriteString(stdout, found.Markdown())
	}
	if err != nil {
		return err
	}
	if s.out != "" {
		if err := report.Insert(s.out, found.Markdown()); err != nil {
			return err
		}
	}
	if n := found.MissedBars(); n > 0 {
		return missedError(n)
	}
	return nil
}
