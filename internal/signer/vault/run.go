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
	"seawall/internal/keystore/builtin"
	"seawall/internal/mint"
	"seawall/internal/process"
	"seawall/internal/signer"
	"seawall/internal/supervise"
)

// The names of the links that a supervisor makes.
const (
	HouseLink  = "house-signer"  // the house dials
	LedgerLink = "signer-ledger" // the signer dials
)

// Info is what a supervised signer reports when it is ready.
type Info struct {
	Level   *fence.Level `json:"level"`
	Custody string       `json:"custody"` // where private keys live, in words
}

// Run is the process: `seawall signer` and seawall-signer. It returns the exit status, as [process.Vault] does.
func Run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	v := process.Vault{Name: "signer", Makes: "key store", Supervised: runSupervised, Alone: runAlone}
	return v.Run(ctx, args, stdout, stderr)
}

// runSupervised runs as the child of a supervisor.
func runSupervised(ctx context.Context, c process.Call) int {
	var boot string
	child, err := c.Join(fence.Spec{UID: fence.SignerUID, ReadOnly: bootFiles(), BeforeDrop: func() error { boot = bootID(); return nil }})
	if err != nil {
		return c.Fail(err)
	}
	s, err := open(setup{driver: builtin.Drivers[0].Name, create: true, boot: boot, level: child.Level, ledger: child.Link(LedgerLink), log: c.Log})
	if err != nil {
		return child.Fail(err)
	}
	ctx, stop := child.Begin(ctx, Info{Level: child.Level, Custody: s.Custody()})
	defer stop()
	if err := serve(ctx, s, c.Log, func(ctx context.Context) (net.Conn, error) { return child.Accept(ctx, HouseLink) }); err != nil {
		return child.Fail(err)
	}
	return 0
}

// setup is what a signer is opened with.
type setup struct {
	driver string
	create bool // make the key store at a first start
	boot   string
	level  *fence.Level
	ledger mint.Dial
	log    *slog.Logger
}

// open opens the signer in the current directory, which the fence has made its own.
func open(o setup) (*signer.Signer, error) {
	driver, err := builtin.ByName(o.driver)
	if err != nil {
		return nil, process.Refused(err)
	}
	first, err := signer.FirstStart(".")
	switch {
	case err != nil:
		return nil, refusal(err)
	case first && !o.create:
		return nil, process.Refused(errors.New("there is no signer in its directory: if its disk is not mounted, mount it; to make a new signer, start once with --create"))
	}
	makeOrOpen := driver.Open
	if first {
		makeOrOpen = driver.Create
		o.log.Info("a new key store is made", "driver", driver.Name)
	}
	store, err := makeOrOpen(".")
	if err != nil {
		return nil, process.Refused(err)
	}
	s, err := signer.Open(signer.Options{Dir: ".", Store: store, Clock: signer.SystemClock(o.boot), Ledger: o.ledger,
		Level: o.level.String(), Log: o.log})
	if err != nil {
		return nil, refusal(err)
	}
	o.log.Info("the signer is open", "custody", s.Custody())
	return s, nil
}

// refusal marks an error of the signer that no restart mends.
func refusal(err error) error {
	if errors.Is(err, signer.ErrRefused) {
		return process.Refused(err)
	}
	return err
}

// serve answers the house on the connections that next gives until ctx ends or the signer can't go on. What was begun is
// finished before the link to the ledger ends.
func serve(ctx context.Context, s *signer.Signer, log *slog.Logger, next func(context.Context) (net.Conn, error)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(running)
		stop()
	}()
	var serving sync.WaitGroup
	var failed error
	for {
		conn, err := next(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, supervise.ErrGone) {
				failed = fmt.Errorf("no further connections can be taken: %w", err)
			}
			break
		}
		serving.Go(func() {
			if err := s.Serve(ctx, conn); err != nil {
				log.Warn("a connection of the house ended", "error", err)
			}
		})
	}
	stop()
	serving.Wait()
	end()
	return refusal(errors.Join(<-ended, failed, s.Close()))
}
