package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"seawall/internal/durable"
	"seawall/internal/supervise"
)

const (
	// deploymentFile makes a directory seawall's own.
	deploymentFile = "seawall.json"
	deploymentTemp = deploymentFile + ".new" // as package durable names it
	// dataFormat is the layout of the data directory that this binary reads and writes.
	dataFormat = 1
)

// deployment is what the data directory says about itself.
type deployment struct {
	Format  int       `json:"format"`         // dataFormat
	ID      string    `json:"deployment"`     // random; names this installation in logs
	Base    string    `json:"base,omitempty"` // the base URL, once it was given
	Created time.Time `json:"created"`
}

// dataDir is a data directory that is this process's alone.
type dataDir struct {
	*supervise.Data
	deployment
	path  string // absolute, without symbolic links
	fresh bool   // made by this start
}

// openData opens the data directory at path and makes it if it is missing or empty. It refuses one that holds somebody
// else's files or that a newer seawall has written, before it touches anything, and what [supervise.OpenData] refuses: one
// of another user, one that others may write to, one that another seawall runs on.
func openData(path string) (*dataDir, error) {
	if err := checkForeign(path); err != nil {
		return nil, err
	}
	locked, err := supervise.OpenData(path)
	if err != nil {
		return nil, explainData(err)
	}
	d := &dataDir{Data: locked, path: path}
	if err := d.prepare(); err != nil {
		locked.Close()
		return nil, err
	}
	return d, nil
}

// checkForeign refuses a directory that is not seawall's.
func checkForeign(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return explainData(err)
	}
	var others []string
	for _, e := range entries {
		switch e.Name() {
		case deploymentFile:
			return nil
		case deploymentTemp, "lock": // an interrupted first start
		default:
			others = append(others, e.Name())
		}
	}
	if len(others) == 0 {
		return nil
	}
	return hint(fmt.Errorf("%s is not seawall's: it holds other files (%s) and no %s", path, some(others), deploymentFile),
		"choose a new or empty directory with --data")
}

func (d *dataDir) prepare() error {
	resolved, err := filepath.EvalSymlinks(d.path)
	if err != nil {
		return explainData(err)
	}
	d.path = resolved
	err = d.read()
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d.fresh = true
	if err := os.Chmod(d.path, 0o700); err != nil {
		return explainData(err)
	}
	d.deployment = deployment{Format: dataFormat, ID: newDeploymentID(), Created: time.Now().UTC().Truncate(time.Second)}
	return d.write()
}

func (d *dataDir) read() error {
	path := filepath.Join(d.path, deploymentFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return explainData(err)
	}
	// The format is read first and leniently: a newer file may hold members that this binary does not know.
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &head); err != nil || head.Format < 1 {
		return hint(fmt.Errorf("%s is damaged: it is not what seawall writes there", path), "restore it from a backup; nothing else in the directory was touched")
	}
	if head.Format > dataFormat {
		return hint(fmt.Errorf("%s was written by a newer seawall (format %d, and this one knows %d)", d.path, head.Format, dataFormat),
			"use that newer version; nothing was changed")
	}
	if err := readStrict(strings.NewReader(string(text)), &d.deployment); err != nil || d.ID == "" {
		return hint(fmt.Errorf("%s is damaged: it is not what seawall writes there", path), "restore it from a backup; nothing else in the directory was touched")
	}
	return nil
}

// write replaces the deployment file in one step that survives a power cut.
func (d *dataDir) write() error {
	text, err := json.MarshalIndent(d.deployment, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(d.path, deploymentFile), append(text, '\n'), 0o600); err != nil {
		return explainData(err)
	}
	return nil
}

// recordBase keeps the base URL that was given for the first time.
func (d *dataDir) recordBase(base string) error {
	if d.Base == base {
		return nil
	}
	d.Base = base
	return d.write()
}

func newDeploymentID() string {
	var b [12]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// explainData says what a failure of the file system means and what to do.
func explainData(err error) error {
	var detail *fs.PathError
	if errors.As(err, &detail) {
		err = fmt.Errorf("data directory: %s: %w", detail.Path, detail.Err)
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return hint(err, "make room on the disk, then start again: nothing was left half-written")
	case errors.Is(err, fs.ErrPermission):
		return hint(err, "start seawall as the directory's owner, or choose another directory with --data")
	case errors.Is(err, syscall.EROFS):
		return hint(err, "the file system is read-only: choose another directory with --data")
	case errors.Is(err, syscall.ENOTDIR):
		return hint(err, "there is a file where a directory should be: choose another one with --data")
	}
	return err
}

// some names a few files of many.
func some(names []string) string {
	sorted(names)
	if len(names) > 3 {
		names = append(names[:3:3], "…")
	}
	return strings.Join(names, ", ")
}
