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
	"seawall/internal/link"
	"seawall/internal/signer"
	"seawall/internal/supervise"
)

// Config is the configuration file of a signer that runs alone: one JSON object, in which unknown keys are refused.
type Config struct {
	// Directory is the signer's own directory: absolute, mode 0700, and used by nothing else. Required.
	Directory string `json:"directory"`
	// UID is the user to become when started as root; the directory must belong to it. Default 61802.
	UID int `json:"uid"`
	// House is where the house connects. Required.
	House link.End `json:"house"`
	// Ledger is the ledger to dial: tcp, by IP address, for behind its walls the signer looks no names up. Required.
	Ledger link.End `json:"ledger"`
	// RequireOwnUser refuses to start unless the process got a user id of its own. Default false.
	RequireOwnUser bool `json:"require_own_user"`
	// RequireLandlock refuses to start unless the kernel's Landlock is at least of this ABI. Default 0: any, or none.
	RequireLandlock int `json:"require_landlock"`
}

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
	c := Config{UID: fence.SignerUID}
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
	if err := c.House.Check(); err != nil {
		return c, fmt.Errorf("house: %w", err)
	}
	if err := c.Ledger.Check(); err != nil {
		return c, fmt.Errorf("ledger: %w", err)
	}
	address, tcp := strings.CutPrefix(c.Ledger.Address, "tcp:")
	if _, err := netip.ParseAddrPort(address); !tcp || err != nil {
		return c, fmt.Errorf("ledger: %s is no tcp:IP:PORT: behind its walls the signer looks no names up and has no Unix sockets", c.Ledger.Address)
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
	var (
		b     boot
		house *link.Listener
		dial  func(context.Context) (net.Conn, error)
	)
	// The signer must dial its ledger again whenever the connection breaks, so it keeps the network, and its level says so.
	level, err := fence.Enter(fence.Spec{
		Process: process, Dir: dir, UID: c.UID, Network: true, RequireUID: c.RequireOwnUser, RequireLandlock: c.RequireLandlock,
		ReadOnly: append(append(append([]string{path}, b.files()...), c.House.Files()...), c.Ledger.Files()...),
		BeforeDrop: func() (err error) {
			if house, err = link.Listen(c.House, func(err error) { log.Warn("a stranger was turned away", "error", err) }); err != nil {
				return err
			}
			if dial, err = link.Dialer(c.Ledger); err != nil {
				return err
			}
			return b.read()
		},
	})
	if err != nil {
		return fail(supervise.ExitRefused, err)
	}
	s, info, err := open(signer.Options{Dir: ".", Clock: signer.SystemClock(b.id), Ledger: dial, Log: log}, create, level)
	if err != nil {
		return fail(supervise.ExitRefused, fmt.Errorf("in %s: %w", c.Directory, err))
	}
	fmt.Fprintf(stdout, "seawall signer: ready for the house on %s; keys in %s; %s\n", c.House.Address, info.Custody, level)
	err = serve(ctx, s, log, func(ctx context.Context) (net.Conn, error) {
		defer context.AfterFunc(ctx, func() { house.Close() })()
		return house.Accept()
	})
	if errors.Is(err, signer.ErrRefused) {
		return fail(supervise.ExitRefused, err)
	}
	return ended(log, err)
}
