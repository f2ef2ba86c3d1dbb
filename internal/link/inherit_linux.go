package link

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// inheritedFD is the first of the descriptors under which listening sockets pass through the walls, which execute the
// program again. They are far above those that a starting process uses.
const inheritedFD = 200

// Inherit returns listening sockets for ends, in order, and the descriptors that the walls must let through. A process
// that executes itself again calls it in both of its images: the first opens the sockets, the second finds them open.
func Inherit(ends ...End) (list []net.Listener, keep []int, err error) {
	for i, e := range ends {
		fd := inheritedFD + i
		if listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listening == 0 {
			if err := bindAt(fd, e); err != nil {
				return nil, nil, err
			}
		}
		// The listener takes a duplicate, so that nothing here closes the descriptor before the second image has it.
		duplicate, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, nil, fmt.Errorf("taking over the socket of %s: %w", e.Address, err)
		}
		f := os.NewFile(uintptr(duplicate), e.Address)
		l, err := net.FileListener(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, nil, fmt.Errorf("taking over the socket of %s: %w", e.Address, err)
		}
		list, keep = append(list, l), append(keep, fd)
	}
	return list, keep, nil
}

func bindAt(fd int, e End) error {
	l, err := Bind(e)
	if err != nil {
		return err
	}
	defer l.Close()
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return fmt.Errorf("passing on the socket of %s: %w", e.Address, err)
	}
	defer f.Close()
	if err := unix.Dup3(int(f.Fd()), fd, 0); err != nil {
		return fmt.Errorf("passing on the socket of %s: %w", e.Address, err)
	}
	return nil
}
