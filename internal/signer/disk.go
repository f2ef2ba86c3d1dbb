package signer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// disk is the signer's directory. A change is durable when its call returns; after a crash it has happened or not, and
// nothing in between is ever read.
type disk struct {
	dir string
	// after, set by tests, is told of each finished change.
	after func(what string)
}

const newSuffix = ".new"

func (d *disk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *disk) did(what string) {
	if d.after != nil {
		d.after(what)
	}
}

// read returns a file's content. A file that others may read or write is refused.
func (d *disk) read(name string) ([]byte, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s is open to other users (mode %04o): run chmod 600 on it after finding out who changed it", f.Name(), info.Mode().Perm())
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(f)
	return b.Bytes(), err
}

// readJSON reads a file strictly into v. It reports fs.ErrNotExist as it is.
func (d *disk) readJSON(name string, v any) error {
	b, err := d.read(name)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", d.path(name), err)
	}
	if dec.More() {
		return fmt.Errorf("%s: there is more after the end", d.path(name))
	}
	return nil
}

// write replaces a file by content, whole or not at all.
func (d *disk) write(name string, content []byte) error {
	f, err := os.OpenFile(d.path(name+newSuffix), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	d.did("made " + name)
	if err := os.Rename(d.path(name+newSuffix), d.path(name)); err != nil {
		return err
	}
	if err := d.syncDir(filepath.Dir(name)); err != nil {
		return err
	}
	d.did("wrote " + name)
	return nil
}

// writeJSON writes v as indented JSON, for people read these files too.
func (d *disk) writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return d.write(name, append(b, '\n'))
}

// remove deletes a file; one that is gone already is no error.
func (d *disk) remove(name string) error {
	if err := os.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.syncDir(filepath.Dir(name)); err != nil {
		return err
	}
	d.did("removed " + name)
	return nil
}

// shred overwrites a file and deletes it. On a file system that writes elsewhere, or where a backup was made, the old
// bytes may live on; they are sealed, and their key-encryption key is not beside them in a backup.
func (d *disk) shred(name string) error {
	f, err := os.OpenFile(d.path(name), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt(make([]byte, info.Size()), 0)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	d.did("overwrote " + name)
	return d.remove(name)
}

// mkdir makes a directory beneath the signer's, private to it.
func (d *disk) mkdir(name string) error {
	if err := os.Mkdir(d.path(name), 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	return d.syncDir(filepath.Dir(name))
}

// list returns the names in a directory. What a crash left half-written is removed and not listed.
func (d *disk) list(name string) ([]string, error) {
	entries, err := os.ReadDir(d.path(name))
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), newSuffix) {
			if err := d.shred(filepath.Join(name, e.Name())); err != nil {
				return nil, err
			}
			continue
		}
		names = append(names, e.Name())
	}
	return names, nil
}

func (d *disk) syncDir(name string) error {
	f, err := os.Open(d.path(name))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
