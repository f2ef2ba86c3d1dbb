package vault

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"seawall/internal/link"
)

// socketFD is the first of the descriptors under which the listening sockets pass through the walls, which execute the
// program again. They are far above those that a starting process uses.
const socketFD = 200

// bind returns listening sockets for the ends, in order. The first image of the process opens them, the second finds them
// open.
func bind(ends ...link.End) ([]net.Listener, error) {
	var list []net.Listener
	for i, e := range ends {
		fd := socketFD + i
		if listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listening == 0 {
			if err := bindAt(fd, e); err != nil {
				return nil, err
			}
		}
		// The listener takes a duplicate, so that nothing here closes the descriptor before the second image has it.
		duplicate, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("taking over the socket of %s: %w", e.Address, err)
		}
		f := os.NewFile(uintptr(duplicate), e.Address)
		l, err := net.FileListener(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("taking over the socket of %s: %w", e.Address, err)
		}
		list = append(list, l)
	}
	return list, nil
}

func bindAt(fd int, e link.End) error {
	l, err := link.Bind(e)
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
