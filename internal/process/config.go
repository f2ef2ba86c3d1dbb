package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"seawall/internal/fence"
	"seawall/internal/link"
)

// Own is what the configuration file of a vault that runs alone says about the vault itself.
type Own struct {
	// Directory is the vault's own directory: absolute, mode 0700, on a disk whose fsync can be trusted, and used by
	// nothing else. Required.
	Directory string `json:"directory"`
	// UID is the user to become when started as root; the directory must belong to it. Default 61802 for a signer and
	// 61803 for a ledger.
	UID int `json:"uid"`
	// RequireOwnUser refuses to start unless the process got a user id of its own. Default false.
	RequireOwnUser bool `json:"require_own_user"`
	// RequireLandlock refuses to start unless the kernel's Landlock is at least of this ABI. Default 0: any, or none.
	RequireLandlock int `json:"require_landlock"`
}

// Check finds what is missing or contradictory.
func (o Own) Check() error {
	if !filepath.IsAbs(o.Directory) || filepath.Clean(o.Directory) != o.Directory {
		return errors.New("directory must be an absolute and clean path")
	}
	if o.UID <= 0 || o.RequireLandlock < 0 {
		return errors.New("uid and require_landlock cannot be negative, and a vault does not stay root")
	}
	return nil
}

// Load reads the configuration of a vault that was called to run alone. The path is absolute afterwards: behind the walls
// the current directory is another.
func Load[C any](c *Call, parse func([]byte) (C, error)) (config C, err error) {
	if c.Config, err = filepath.Abs(c.Config); err != nil {
		return config, Refused(err)
	}
	text, err := os.ReadFile(c.Config)
	if err != nil {
		return config, Refused(fmt.Errorf("reading the configuration: %w", err))
	}
	if config, err = parse(text); err != nil {
		return config, Refused(fmt.Errorf("the configuration %s: %w", c.Config, err))
	}
	return config, nil
}

// Parse reads one JSON object into config, and refuses unknown keys.
func Parse(text []byte, config any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(config); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the configuration")
	}
	return nil
}

// Enter raises the walls around a vault that runs alone. What its configuration and its links need is in s.
func (o Own) Enter(c Call, s fence.Spec) (*fence.Level, error) {
	dir, err := os.Open(o.Directory)
	if err != nil {
		return nil, Refused(fmt.Errorf("the %s's directory: %w", c.vault.Name, err))
	}
	s.Process, s.Dir, s.UID = c.vault.Name, dir, o.UID
	s.RequireUID, s.RequireLandlock = o.RequireOwnUser, o.RequireLandlock
	s.ReadOnly = append(s.ReadOnly, c.Config)
	level, err := fence.Enter(s)
	if err != nil {
		return nil, Refused(err)
	}
	return level, nil
}

// Accept returns a function that waits for the next connection of a listener, and closes it when the context ends.
func Accept(l *link.Listener) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		defer context.AfterFunc(ctx, func() { l.Close() })()
		return l.Accept()
	}
}
