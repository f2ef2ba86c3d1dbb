//go:build linux

// Load puts one window of load on a server. It reads a load.Plan as JSON from standard input and writes a
// load.Result as JSON to standard output; it is a process of its own so that what it costs is never
// mistaken for what the server costs.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"seawall/bench/internal/load"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var plan load.Plan
	if err := json.NewDecoder(os.Stdin).Decode(&plan); err != nil {
		return fmt.Errorf("reading the plan: %w", err)
	}
	result, err := load.Run(ctx, plan)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}
