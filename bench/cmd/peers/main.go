//go:build linux

// Peers measures what it costs to check a token with package validate, with the signature check alone, and with the
// libraries that people use today (package comparison). `make bench` runs it for docs/performance.md; alone it prints
// its tables, or JSON:
//
//	GOWORK=off go run ./cmd/peers [--rounds 15] [--tokens 200] [--json]
//
// It exits 0 if it could measure, whatever the bars say, and 2 if it could not.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"seawall/bench/internal/comparison"
	"seawall/bench/internal/report"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.Int("rounds", 15, "how many times everything is measured; medians are reported")
	tokens := flags.Int("tokens", 200, "different tokens in a round")
	vectors := flags.String("vectors", "../validate/testdata/vectors", "`directory` of the corpus")
	asJSON := flags.Bool("json", false, "print JSON instead of tables")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *rounds < 1 || *tokens < 1 {
		return errors.New("wanted: no words, and at least one round and one token")
	}
	// formats.json holds byte formats and no cases.
	files, err := filepath.Glob(filepath.Join(*vectors, "*.json"))
	files = slices.DeleteFunc(files, func(file string) bool { return filepath.Base(file) == "formats.json" })
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no corpus in %s: run this in the directory bench, or give --vectors", *vectors)
	}
	figures, err := comparison.Measure(ctx, *rounds, *tokens, files)
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(stdout).Encode(figures)
	}
	for _, t := range append([]report.Table{report.BarTable(figures.Bars())}, figures.Tables()...) {
		if _, err := io.WriteString(stdout, t.Markdown()); err != nil {
			return err
		}
	}
	return nil
}
