package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"seawall/internal/fence"
	"seawall/internal/keystore/builtin"
	"seawall/internal/link"
	"seawall/internal/mint"
	"seawall/internal/signer"
	"seawall/internal/supervise"
)

// Config is the configuration file of a signer that runs alone: one JSON object, in which unknown keys are refused.
type Config struct {
	// Directory is the signer's own directory: absolute, mode 0700, and used by nothing else. Required.
	Directory string `json:"directory"`
	// UID is the user to become when started as root; the directory must belong to it. Default 61802.
	UID int `json:"uid"`
	// KeyStore is where private keys live. Default "file", the only one so far.
	KeyStore string `json:"key_store"`
	// House is where the house connects. Required.
	House link.End `json:"house"`
	// Ledger is where the ledger listens: tcp and an IP address, for behind its walls the signer looks up no names and
	// opens no other sockets. Required.
	Ledger link.End `json:"ledger"`
	// RequireOwnUser refuses to start unless the process got a user id of its own. Default false.
	RequireOwnUser bool `json:"require_own_user"`
	// RequireLandlock refuses to start unless the kernel's Landlock is at least of this ABI. Default 0: any, or none.
	RequireLandlock int `json:"require_landlock"`
}

// loadConfig reads and checks a configuration file.
func loadConfig(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("reading the configuration: %w", err)
	}
	c, err := parseConfig(text)
	if err != nil {
		return c, fmt.Errorf("the configuration %s: %w", path, err)
	}
	return c, nil
}

func parseConfig(text []byte) (Config, error) {
	c := Config{UID: fence.SignerUID, KeyStore: builtin.Drivers[0].Name}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, err
	}
	if _, err := d.Token(); err != io.EOF {
		return c, errors.New("something follows the configuration")
	}
	if !filepath.IsAbs(c.Directory) || filepath.Clean(c.Directory) != c.Directory {
		return c, errors.New("directory must be an absolute and clean path")
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
	if c.UID <= 0 || c.RequireLandlock < 0 {
		return c, errors.New("uid and require_landlock cannot be negative, and the signer does not stay root")
	}
	return c, nil
}

// runAlone runs without a supervisor.
func runAlone(ctx context.Context, path string, create bool, log *slog.Logger, stdout, stderr io.Writer) int {
	fail := func(status int, err error) int {
		fmt.Fprintf(stderr, "seawall signer: %v\n", err)
		return status
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return fail(supervise.ExitRefused, err)
	}
	c, err := loadConfig(path)
	if err != nil {
		return fail(supervise.ExitRefused, err)
	}
	dir, err := os.Open(c.Directory)
	if err != nil {
		return fail(supervise.ExitRefused, fmt.Errorf("the signer's directory: %w", err))
	}
	// The house's socket is opened here and handed through the walls; a path or a low port may be out of reach behind them.
	sockets, keep, err := link.Inherit(c.House)
	if err != nil {
		return fail(1, err)
	}
	var house *link.Listener
	var ledger mint.Dial
	var boot string
	level, err := fence.Enter(fence.Spec{
		Process: process, Dir: dir, UID: c.UID, RequireUID: c.RequireOwnUser, RequireLandlock: c.RequireLandlock,
		Network:  true, // to reach the ledger again after it was away
		Keep:     keep,
		ReadOnly: append(append(append(bootFiles(), path), c.House.Files()...), c.Ledger.Files()...),
		BeforeDrop: func() (err error) {
			boot = bootID()
			if ledger, err = link.Dialer(c.Ledger); err != nil {
				return err
			}
			house, err = link.Secure(sockets[0], c.House, func(err error) { log.Warn("a stranger was turned away", "error", err) })
			return err
		},
	})
	if err != nil {
		return fail(supervise.ExitRefused, err)
	}
	s, err := open(setup{driver: c.KeyStore, create: create, boot: boot, level: level, ledger: ledger, log: log})
	if err != nil {
		return fail(status(err), fmt.Errorf("in %s: %w", c.Directory, err))
	}
	fmt.Fprintf(stdout, "seawall signer: ready for the house on %s; %s; %s\n", c.House.Address, s.Custody(), level)
	err = serve(ctx, s, log, func(ctx context.Context) (net.Conn, error) {
		defer context.AfterFunc(ctx, func() { house.Close() })()
		return house.Accept()
	})
	if err != nil {
		return fail(status(err), err)
	}
	return 0
}

// status is the exit status for an error.
func status(err error) int {
	if errors.Is(err, signer.ErrRefused) {
		return supervise.ExitRefused
	}
	return 1
}
