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
)

const (
	// deploymentFile makes a directory seawall's own.
	deploymentFile = "seawall.json"
	deploymentTemp = ".seawall.json.new"
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

// dataDir is an open, locked data directory.
type dataDir struct {
	path string // absolute
	deployment
	fresh bool // made by this start
	dir   *os.File
}

// openData opens the data directory at path and makes it if it is missing or empty. It refuses one that holds somebody
// else's files, that a newer seawall has written, that others may write to, or that another seawall is running on.
func openData(path string) (*dataDir, error) {
	d := &dataDir{path: path}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, explainData(path, err)
	}
	// Resolved once: what is checked here is what the processes will be told to stay out of.
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, explainData(path, err)
	}
	d.path = resolved
	if d.dir, err = os.Open(d.path); err != nil {
		return nil, explainData(path, err)
	}
	if err := d.prepare(); err != nil {
		d.dir.Close()
		return nil, err
	}
	return d, nil
}

func (d *dataDir) prepare() error {
	names, err := d.dir.Readdirnames(-1)
	if err != nil {
		return explainData(d.path, err)
	}
	if err := d.checkOwner(); err != nil {
		return err
	}
	if err := lock(d.dir); err != nil {
		return hint(fmt.Errorf("%s is in use: another seawall is running on it", d.path), "stop that one first, or choose another directory with --data")
	}
	switch d.fresh = true; {
	case contains(names, deploymentFile):
		d.fresh = false
		if err := d.read(); err != nil {
			return err
		}
	case len(names) > 1 || len(names) == 1 && names[0] != deploymentTemp:
		return hint(fmt.Errorf("%s is not seawall's: it holds other files (%s) and no %s", d.path, some(names), deploymentFile),
			"choose a new or empty directory with --data")
	default:
		if err := d.dir.Chmod(0o700); err != nil {
			return explainData(d.path, err)
		}
		d.deployment = deployment{Format: dataFormat, ID: newDeploymentID(), Created: time.Now().UTC().Truncate(time.Second)}
		if err := d.write(); err != nil {
			return err
		}
	}
	return d.checkMode()
}

// checkOwner refuses a directory of another user: its parts would have the wrong owners too.
func (d *dataDir) checkOwner() error {
	info, err := d.dir.Stat()
	if err != nil {
		return explainData(d.path, err)
	}
	if owner, known := ownerOf(info); known && owner != os.Geteuid() {
		return hint(fmt.Errorf("%s belongs to uid %d, and this is uid %d", d.path, owner, os.Geteuid()),
			"start seawall as the user who started it first, or choose another directory with --data")
	}
	return nil
}

// checkMode refuses a directory that others could reach into.
func (d *dataDir) checkMode() error {
	info, err := d.dir.Stat()
	if err != nil {
		return explainData(d.path, err)
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return hint(fmt.Errorf("%s is open to other users (mode %04o)", d.path, info.Mode().Perm()), "close it with `chmod 700 "+d.path+"`, after making sure that nobody changed anything in it")
	}
	return nil
}

func (d *dataDir) read() error {
	path := filepath.Join(d.path, deploymentFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return explainData(path, err)
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
	temp, final := filepath.Join(d.path, deploymentTemp), filepath.Join(d.path, deploymentFile)
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return explainData(final, err)
	}
	_, err = file.Write(append(text, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(temp, final)
	}
	if err != nil {
		os.Remove(temp)
		return explainData(final, err)
	}
	if err := d.dir.Sync(); err != nil {
		return explainData(final, err)
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

// part makes the directory of a process, for its user only.
func (d *dataDir) part(name string, uid int) (string, error) {
	path := filepath.Join(d.path, name)
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", explainData(path, err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, uid, uid); err != nil {
			return "", explainData(path, err)
		}
	}
	info, err := os.Lstat(path)
	if err != nil {
		return "", explainData(path, err)
	}
	if !info.IsDir() || info.Mode().Perm() != 0o700 {
		return "", hint(fmt.Errorf("%s is not a directory closed to other users (mode %v)", path, info.Mode()), "close it with `chmod 700 "+path+"`, after making sure that nobody changed anything in it")
	}
	return path, nil
}

func newDeploymentID() string {
	var b [12]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// explainData says what a failure of the file system means and what to do.
func explainData(path string, err error) error {
	var detail *fs.PathError
	cause := err
	if errors.As(err, &detail) {
		cause, path = detail.Err, detail.Path
	}
	err = fmt.Errorf("data directory: %s: %w", path, cause)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return hint(err, "make room on its disk, then start again: nothing was left half-written")
	case errors.Is(err, fs.ErrPermission):
		return hint(err, "start seawall as the directory's owner, or choose another directory with --data")
	case errors.Is(err, syscall.EROFS):
		return hint(err, "the file system is read-only: choose another directory with --data")
	case errors.Is(err, syscall.ENOTDIR):
		return hint(err, "there is a file where a directory should be: choose another one with --data")
	}
	return err
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// some names a few files of many.
func some(names []string) string {
	sorted(names)
	if len(names) > 3 {
		names = append(names[:3:3], "…")
	}
	return strings.Join(names, ", ")
}
