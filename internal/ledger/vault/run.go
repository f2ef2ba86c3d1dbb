package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"

	"seawall/internal/fence"
	"seawall/internal/ledger"
	"seawall/internal/process"
)

// The names of the links that a supervisor makes, and the parts of a configuration.
const (
	SignerLink = "signer-ledger" // the signer dials
	HouseLink  = "house-ledger"  // the house dials
)

// Info is what a supervised ledger reports when it is ready.
type Info struct {
	Level *fence.Level `json:"level"`
	Pin   string       `json:"pin"`
	Size  uint64       `json:"size"` // entries in the log
}

// source gives connections of one writer.
type source func(ctx context.Context) (net.Conn, error)

// Run is the process: `seawall ledger` and seawall-ledger. It returns the exit status, as [process.Vault] does.
func Run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	v := process.Vault{Name: "ledger", Makes: "ledger", Supervised: runSupervised, Alone: runAlone}
	return v.Run(ctx, args, stdout, stderr)
}

// runSupervised runs as the child of a supervisor.
func runSupervised(ctx context.Context, c process.Call) int {
	child, err := c.Join(fence.Spec{UID: fence.LedgerUID})
	if err != nil {
		return c.Fail(err)
	}
	l, err := open(".", true, child.Level, c.Log)
	if err != nil {
		return child.Fail(process.Refused(fmt.Errorf("in the ledger's directory: %w", err)))
	}
	ctx, stop := child.Begin(ctx, Info{Level: child.Level, Pin: l.Pin(), Size: l.Head().Size})
	defer stop()
	return serve(ctx, l, c.Log, map[ledger.Role]source{
		ledger.Signer: func(ctx context.Context) (net.Conn, error) { return child.Accept(ctx, SignerLink) },
		ledger.House:  func(ctx context.Context) (net.Conn, error) { return child.Accept(ctx, HouseLink) },
	})
}

// open opens the ledger in dir, and makes it first if there is none and create says so.
func open(dir string, create bool, level *fence.Level, log *slog.Logger) (*ledger.Ledger, error) {
	c := ledger.Config{Dir: dir, Level: level.String(), Log: log}
	found, err := ledger.Exists(dir)
	if err != nil {
		return nil, err
	}
	if !found {
		if !create {
			return nil, fmt.Errorf("there is no ledger in %s: if its disk is not mounted, mount it; to make a new ledger, start once with --create", dir)
		}
		if err := ledger.Create(c); err != nil {
			return nil, err
		}
		log.Info("a new ledger was made")
	}
	l, err := ledger.Open(c)
	if err != nil {
		return nil, err
	}
	log.Info("the ledger is open", "entries", l.Head().Size, "head", l.Head().Batch.String(), "pin", l.Pin())
	return l, nil
}

// serve answers the writers that the sources give until ctx ends or the ledger stops by itself.
func serve(ctx context.Context, l *ledger.Ledger, log *slog.Logger, sources map[ledger.Role]source) int {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-l.Done():
			stop()
		case <-ctx.Done():
		}
	}()
	var serving sync.WaitGroup
	for role, next := range sources {
		serving.Go(func() {
			for {
				conn, err := next(ctx)
				if err != nil {
					if ctx.Err() == nil {
						log.Error("no further connections can be taken", "from", string(role), "error", err)
						stop()
					}
					return
				}
				serving.Go(func() {
					if err := l.Serve(ctx, conn, role); err != nil && !errors.Is(err, io.EOF) {
						log.Warn("a connection ended", "from", string(role), "error", err)
					}
				})
			}
		})
	}
	serving.Wait()
	err := l.Close()
	if err != nil {
		log.Error("the ledger ended", "error", err)
		return 1
	}
	log.Info("the ledger ended", "entries", l.Head().Size, "head", l.Head().Batch.String())
	return 0
}
