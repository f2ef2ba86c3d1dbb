package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"seawall/internal/durable"
)

// disk is the folder of the segments. Names have no slashes. What Create, Rename and Remove did is certain to survive a
// crash only after Sync.
type disk interface {
	List() ([]string, error)
	Open(name string) (file, error)
	Create(name string) (file, error) // fails if it exists
	Rename(from, to string) error
	Remove(name string) error
	Sync() error
}

// file is a segment. Writes survive a crash only after Sync, and until then any 512-byte sectors of them may or may not
// have reached the disk.
type file interface {
	ReadAt(b []byte, off int64) (int, error)
	WriteAt(b []byte, off int64) (int, error)
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error // data and size, as fdatasync does
	Close() error
}

// isFull reports an error that goes away when somebody makes room.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// folder is the real disk.
type folder string

func (d folder) path(name string) string { return filepath.Join(string(d), name) }

func (d folder) List() ([]string, error) {
	list, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	names := make([]string, len(list))
	for i, entry := range list {
		names[i] = entry.Name()
	}
	return names, nil
}

func (d folder) Open(name string) (file, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := checkPrivate(f); err != nil {
		f.Close()
		return nil, err
	}
	return osFile{f}, nil
}

func (d folder) Create(name string) (file, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d folder) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }
func (d folder) Remove(name string) error     { return os.Remove(d.path(name)) }
func (d folder) Sync() error                  { return durable.SyncDir(string(d)) }

// readOnly is the disk as a reader of somebody else's log sees it.
type readOnly struct{ folder }

func (d readOnly) Open(name string) (file, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Sync() error { return fdatasync(f.File) }

// checkPrivate refuses a file or folder that others can open.
func checkPrivate(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	perm := info.Mode().Perm()
	if perm&0o077 == 0 {
		return nil
	}
	return fmt.Errorf("%s is open to other users (mode %04o), so its content may be known or changed: run chmod %o %s, after asking who could read it",
		f.Name(), perm, perm&^0o077, f.Name())
}

// checkPrivateDir is checkPrivate for a folder that must be there.
func checkPrivateDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	info, err := dir.Stat()
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", path)
	}
	return checkPrivate(dir)
}

// readPrivate reads a file that nobody else may read.
func readPrivate(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := checkPrivate(f); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil && len(b) > 0 {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return b, nil
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
