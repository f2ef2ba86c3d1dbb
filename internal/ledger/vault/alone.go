package vault

import (
	"context"
	"errors"
	"fmt"
	"net"

	"seawall/internal/fence"
	"seawall/internal/ledger"
	"seawall/internal/link"
	"seawall/internal/process"
)

// Config is the configuration file of a ledger that runs alone: one JSON object, in which unknown keys are refused.
type Config struct {
	process.Own
	// Signer is where the signer connects. Required.
	Signer link.End `json:"signer"`
	// House is where the house connects. Required, and another address than the signer's: what a writer may do depends on
	// where it came in.
	House link.End `json:"house"`
}

func parseConfig(text []byte) (Config, error) {
	c := Config{Own: process.Own{UID: fence.LedgerUID}}
	if err := process.Parse(text, &c); err != nil {
		return c, err
	}
	if err := c.Own.Check(); err != nil {
		return c, err
	}
	if err := c.Signer.Check(); err != nil {
		return c, fmt.Errorf("signer: %w", err)
	}
	if err := c.House.Check(); err != nil {
		return c, fmt.Errorf("house: %w", err)
	}
	if c.Signer.Address == c.House.Address {
		return c, errors.New("signer and house need addresses of their own")
	}
	if c.Signer.Peer != "" && c.Signer.Peer == c.House.Peer {
		return c, errors.New("signer and house need certificates of their own: with one, either could come in as the other")
	}
	return c, nil
}

// runAlone runs without a supervisor.
func runAlone(ctx context.Context, c process.Call) int {
	config, err := process.Load(&c, parseConfig)
	if err != nil {
		return c.Fail(err)
	}
	// Behind the walls no socket can be made, so both are opened here and handed through.
	sockets, keep, err := link.Inherit(config.Signer, config.House)
	if err != nil {
		return c.Fail(err)
	}
	sources := map[ledger.Role]source{}
	secure := func(role ledger.Role, inner net.Listener, e link.End) error {
		l, err := link.Secure(inner, e, func(err error) { c.Log.Warn("a stranger was turned away", "from", string(role), "error", err) })
		sources[role] = process.Accept(l)
		return err
	}
	level, err := config.Enter(c, fence.Spec{
		Keep:     keep,
		ReadOnly: append(config.Signer.Files(), config.House.Files()...),
		BeforeDrop: func() error {
			return errors.Join(secure(ledger.Signer, sockets[0], config.Signer), secure(ledger.House, sockets[1], config.House))
		},
	})
	if err != nil {
		return c.Fail(err)
	}
	l, err := open(".", c.Create, level, c.Log)
	if err != nil {
		return c.Fail(process.Refused(fmt.Errorf("in %s: %w", config.Directory, err)))
	}
	fmt.Fprintf(c.Stdout, "seawall ledger: ready for signer on %s and house on %s; pin %s; %s\n", config.Signer.Address, config.House.Address, l.Pin(), level)
	return serve(ctx, l, c.Log, sources)
}
