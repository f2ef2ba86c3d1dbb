//go:build unix

package remote

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock waits until f is locked for this process. Closing f lets go.
func lock(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			return err
		}
	}
}
