package vault

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"seawall/internal/fence"
	"seawall/internal/keystore/builtin"
	"seawall/internal/link"
	"seawall/internal/mint"
	"seawall/internal/process"
)

// Config is the configuration file of a signer that runs alone: one JSON object, in which unknown keys are refused.
type Config struct {
	process.Own
	// KeyStore is where private keys live. Default "file", the only one so far.
	KeyStore string `json:"key_store"`
	// House is where the house connects. Required.
	House link.End `json:"house"`
	// Ledger is where the ledger listens: tcp and an IP address, for behind its walls the signer looks up no names and
	// opens no other sockets. Required.
	Ledger link.End `json:"ledger"`
}

func parseConfig(text []byte) (Config, error) {
	c := Config{Own: process.Own{UID: fence.SignerUID}, KeyStore: builtin.Drivers[0].Name}
	if err := process.Parse(text, &c); err != nil {
		return c, err
	}
	if err := c.Own.Check(); err != nil {
		return c, err
	}
	if _, err := builtin.ByName(c.KeyStore); err != nil {
		return c, fmt.Errorf("key_store: %w", err)
	}
	if err := c.House.Check(); err != nil {
		return c, fmt.Errorf("house: %w", err)
	}
	if err := c.Ledger.Check(); err != nil {
		return c, fmt.Errorf("ledger: %w", err)
	}
	if address, tcp := strings.CutPrefix(c.Ledger.Address, "tcp:"); !tcp {
		return c, errors.New("ledger: behind its walls the signer can dial tcp only; on one machine, run `seawall up`")
	} else if _, err := netip.ParseAddrPort(address); err != nil {
		return c, errors.New("ledger: the address must be tcp:IP:PORT; behind its walls the signer looks up no names")
	}
	if c.House.Peer != "" && c.House.Peer == c.Ledger.Peer {
		return c, errors.New("house and ledger need certificates of their own: with one, the house could stand in for the ledger")
	}
	return c, nil
}

// runAlone runs without a supervisor.
func runAlone(ctx context.Context, c process.Call) int {
	config, err := process.Load(&c, parseConfig)
	if err != nil {
		return c.Fail(err)
	}
	// The house's socket is opened here and handed through the walls; a path or a low port may be out of reach behind them.
	sockets, keep, err := link.Inherit(config.House)
	if err != nil {
		return c.Fail(err)
	}
	var house *link.Listener
	var ledger mint.Dial
	var boot string
	level, err := config.Enter(c, fence.Spec{
		Network:  true, // to reach the ledger again after it was away
		Keep:     keep,
		ReadOnly: slices.Concat(bootFiles(), config.House.Files(), config.Ledger.Files()),
		BeforeDrop: func() (err error) {
			boot = bootID()
			if ledger, err = link.Dialer(config.Ledger); err != nil {
				return err
			}
			house, err = link.Secure(sockets[0], config.House, func(err error) { c.Log.Warn("a stranger was turned away", "error", err) })
			return err
		},
	})
	if err != nil {
		return c.Fail(err)
	}
	s, err := open(setup{driver: config.KeyStore, create: c.Create, boot: boot, level: level, ledger: ledger, log: c.Log})
	if err != nil {
		return c.Fail(fmt.Errorf("in %s: %w", config.Directory, err))
	}
	fmt.Fprintf(c.Stdout, "seawall signer: ready for the house on %s; %s; %s\n", config.House.Address, s.Custody(), level)
	if err := serve(ctx, s, c.Log, process.Accept(house)); err != nil {
		return c.Fail(err)
	}
	return 0
}
