package ledger

import (
	"os"

	"golang.org/x/sys/unix"
)

// fdatasync makes a file's data, and its size if that changed, durable. It leaves the times alone, which fsync does not.
func fdatasync(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for {
			if failed = unix.Fdatasync(int(fd)); failed != unix.EINTR {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return failed
}
