package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Data is a data directory that belongs to this process alone until Close.
type Data struct {
	path string
	lock *os.File
}

// OpenData makes the data directory if there is none and locks it. It fails if another supervisor has it, or if it belongs
// to, or can be written by, somebody else.
func OpenData(path string) (*Data, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("the data directory: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	var dir unix.Stat_t
	if err := unix.Stat(path, &dir); err != nil {
		return nil, fmt.Errorf("looking at the data directory %s: %w", path, err)
	}
	if int(dir.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("the data directory %s belongs to uid %d and this is uid %d: start seawall as that user, or give it the directory with chown -R",
			path, dir.Uid, os.Geteuid())
	}
	if dir.Mode&0o022 != 0 {
		return nil, fmt.Errorf("the data directory %s can be written by others (mode %04o): chmod it to 0700 once you know why", path, dir.Mode&0o7777)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the data directory: %w", err)
	}
	if err := takeLock(lock, path); err != nil {
		lock.Close()
		return nil, err
	}
	return &Data{path: path, lock: lock}, nil
}

// takeLock takes the lock and writes into the file whose it is, for the message somebody else will get.
func takeLock(lock *os.File, path string) error {
	err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(lock, 32))
		return fmt.Errorf("another seawall (process %s) runs on the data directory %s: stop it first, or use another directory",
			strings.TrimSpace(string(holder)), path)
	}
	if err != nil {
		return fmt.Errorf("locking the data directory %s: %w", path, err)
	}
	if err := lock.Truncate(0); err != nil {
		return fmt.Errorf("writing the lock of the data directory: %w", err)
	}
	if _, err := fmt.Fprintf(lock, "%d\n", os.Getpid()); err != nil {
		return fmt.Errorf("writing the lock of the data directory: %w", err)
	}
	return nil
}

// Path is the absolute path of a child's directory, which may not be there yet.
func (d *Data) Path(child string) string { return filepath.Join(d.path, child) }

// Close gives the data directory free.
func (d *Data) Close() error { return d.lock.Close() }

// leftoverWait is how long a child of a supervisor that was killed may take to end.
const leftoverWait = 2 * goneGrace

// claim makes, locks and opens a child's directory, and as root hands what is in it to uid. The lock is inherited with the
// descriptor, so it also holds for as long as a child lives whose supervisor was killed; claim waits for such a one.
func (d *Data) claim(ctx context.Context, child string, uid int) (*os.File, error) {
	path := d.Path(child)
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("making the directory of %s: %w", child, err)
	}
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return nil, fmt.Errorf("looking at the directory of %s: %w", child, err)
	}
	if uid := os.Geteuid(); uid != 0 && int(stat.Uid) != uid {
		return nil, fmt.Errorf("%s belongs to uid %d and this is uid %d: it was used by another user, perhaps root, before; start seawall as that one again, or chown -R the data directory",
			path, stat.Uid, uid)
	}
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the directory of %s: %w", child, err)
	}
	if err := waitLock(ctx, dir); err != nil {
		dir.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	if err := settle(dir, uid); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

func waitLock(ctx context.Context, dir *os.File) error {
	ctx, cancel := context.WithTimeoutCause(ctx, leftoverWait, errors.New("another process still uses it; end that one first"))
	defer cancel()
	for {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// settle checks the mode of a child's directory, and as root sets the owner throughout.
func settle(dir *os.File, uid int) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &stat); err != nil {
		return fmt.Errorf("looking at %s: %w", dir.Name(), err)
	}
	if stat.Mode&0o077 != 0 {
		return fmt.Errorf("%s can be entered by others (mode %04o): chmod it to 0700 once you know why", dir.Name(), stat.Mode&0o7777)
	}
	if os.Geteuid() != 0 {
		return nil
	}
	return handOver(int(dir.Fd()), dir.Name(), uid)
}

// handOver gives the directory fd and everything beneath it to uid, where it is not already. It refuses what could lead out
// of the directory: symbolic links, devices, and files with a second name elsewhere. No child is alive meanwhile.
func handOver(fd int, path string, uid int) error {
	if err := giveTo(fd, "", path, uid); err != nil {
		return err
	}
	listed, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	list := os.NewFile(uintptr(listed), path)
	defer list.Close()
	names, err := list.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("listing %s: %w", path, err)
	}
	for _, name := range names {
		if err := handOverEntry(fd, name, filepath.Join(path, name), uid); err != nil {
			return err
		}
	}
	return nil
}

func handOverEntry(dir int, name, path string, uid int) error {
	var stat unix.Stat_t
	if err := unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("looking at %s: %w", path, err)
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening %s: %w", path, err)
		}
		defer unix.Close(fd)
		return handOver(fd, path, uid)
	case unix.S_IFREG:
		if stat.Nlink > 1 {
			return fmt.Errorf("%s has a second name (a hard link) elsewhere and will not be given to uid %d: remove one of the two", path, uid)
		}
		return giveTo(dir, name, path, uid)
	case unix.S_IFSOCK:
		return giveTo(dir, name, path, uid)
	default:
		return fmt.Errorf("%s is neither file nor directory and will not be given to uid %d: remove it", path, uid)
	}
}

// giveTo changes the owner of one entry, or with no name of the directory itself, without following anything.
func giveTo(dir int, name, path string, uid int) error {
	var stat unix.Stat_t
	if err := unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("looking at %s: %w", path, err)
	}
	if int(stat.Uid) == uid && int(stat.Gid) == uid {
		return nil
	}
	if err := unix.Fchownat(dir, name, uid, uid, unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("giving %s to uid %d: %w", path, uid, err)
	}
	return nil
}
