// Package durable writes files whole: whatever happens, a crash or a power cut, there is the old file afterwards or the new
// one, and never half of either. A file that is only renamed into its place may be there and empty when the power comes
// back, because names and contents reach the disk by themselves, so both are waited for.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace writes content to the file at path, which perm says who may open. On the way there is a file beside it whose
// name ends in .new; what is left of an earlier one is overwritten.
func Replace(path string, content []byte, perm os.FileMode) error {
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir returns when the names of a folder are on the disk: those of files that were made, renamed or removed in it.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
