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
	"os"
	"path/filepath"

	"seawall/internal/fence"
	"seawall/internal/ledger"
	"seawall/internal/link"
	"seawall/internal/supervise"
)

// Config is the configuration file of a ledger that runs alone: one JSON object, in which unknown keys are refused.
type Config struct {
	// Directory is the ledger's own directory: absolute, mode 0700, on a disk whose fsync can be trusted, and used by
	// nothing else. Required.
	Directory string `json:"directory"`
	// UID is the user to become when started as root; the directory must belong to it. Default 61803.
	UID int `json:"uid"`
	// Signer is where the signer connects. Required.
	Signer link.End `json:"signer"`
	// House is where the house connects. Required, and another address than the signer's: what a writer may do depends on
	// where it came in.
	House link.End `json:"house"`
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
	c := Config{UID: fence.LedgerUID}
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
	if c.UID <= 0 || c.RequireLandlock < 0 {
		return c, errors.New("uid and require_landlock cannot be negative, and the ledger does not stay root")
	}
	return c, nil
}

// runAlone runs without a supervisor.
func runAlone(ctx context.Context, path string, create bool, log *slog.Logger, stdout, stderr io.Writer) int {
	fail := func(status int, err error) int {
		fmt.Fprintf(stderr, "seawall ledger: %v\n", err)
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
		return fail(supervise.ExitRefused, fmt.Errorf("the ledger's directory: %w", err))
	}
	// Behind the walls no socket can be made, so both are opened here and handed through.
	sockets, keep, err := link.Inherit(c.Signer, c.House)
	if err != nil {
		return fail(1, err)
	}
	listeners := map[ledger.Role]*link.Listener{}
	secure := func(role ledger.Role, inner net.Listener, e link.End) error {
		l, err := link.Secure(inner, e, func(err error) { log.Warn("a stranger was turned away", "from", string(role), "error", err) })
		listeners[role] = l
		return err
	}
	level, err := fence.Enter(fence.Spec{
		Process: process, Dir: dir, UID: c.UID, RequireUID: c.RequireOwnUser, RequireLandlock: c.RequireLandlock,
		Keep:     keep,
		ReadOnly: append(append([]string{path}, c.Signer.Files()...), c.House.Files()...),
		BeforeDrop: func() error {
			return errors.Join(secure(ledger.Signer, sockets[0], c.Signer), secure(ledger.House, sockets[1], c.House))
		},
	})
	if err != nil {
		return fail(supervise.ExitRefused, err)
	}
	l, err := open(".", create, log)
	if err != nil {
		return fail(supervise.ExitRefused, fmt.Errorf("in %s: %w", c.Directory, err))
	}
	fmt.Fprintf(stdout, "seawall ledger: ready for signer on %s and house on %s; pin %s; %s\n", c.Signer.Address, c.House.Address, l.Pin(), level)
	return serve(ctx, l, log, map[ledger.Role]source{
		ledger.Signer: accept(listeners[ledger.Signer]),
		ledger.House:  accept(listeners[ledger.House]),
	})
}

// accept makes a source of a listener.
func accept(l *link.Listener) source {
	return func(ctx context.Context) (net.Conn, error) {
		defer context.AfterFunc(ctx, func() { l.Close() })()
		return l.Accept()
	}
}
