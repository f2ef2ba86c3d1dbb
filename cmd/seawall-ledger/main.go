// Command seawall-ledger is the ledger linked alone, for a machine of its own. What it links is listed in deps.txt.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"seawall/internal/ledger/vault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := vault.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
