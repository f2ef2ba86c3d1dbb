//go:build unix

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"seawall/internal/tenant"
)

// acquire makes this process the only owner of the database at path. The lock is on a file beside it, because SQLite
// locks the database itself and a closed descriptor would drop those locks. The kernel releases it however the process
// ends.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the database: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		owner := owner(f)
		f.Close()
		return nil, tenant.Refuse(tenant.ErrConflict, "stop that one first, or give this one a data directory of its own",
			"%s is in use by another seawall process%s", path, owner)
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking the database: %w", err)
	}
	return f, nil
}

// owner reads who wrote the lock file, for the message only.
func owner(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 20))
	pid := strings.TrimSpace(string(b))
	if _, notNumber := strconv.Atoi(pid); err != nil || notNumber != nil {
		return ""
	}
	return " (pid " + pid + ")"
}
