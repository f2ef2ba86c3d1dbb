package vault

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"seawall/internal/link"
)

// socketFD is the descriptor under which the listening socket passes through the walls, which execute the program again.
// It is far above those that a starting process uses.
const socketFD = 200

// bind returns the listening socket of an end. The first image of the process opens it, the second finds it open.
func bind(e link.End) (net.Listener, error) {
	if listening, err := unix.GetsockoptInt(socketFD, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listening == 0 {
		if err := bindFirst(e); err != nil {
			return nil, err
		}
	}
	// The listener takes a duplicate, so that nothing here closes the descriptor before the second image has it.
	duplicate, err := unix.FcntlInt(socketFD, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("taking over the socket of %s: %w", e.Address, err)
	}
	f := os.NewFile(uintptr(duplicate), e.Address)
	l, err := net.FileListener(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("taking over the socket of %s: %w", e.Address, err)
	}
	return l, nil
}

func bindFirst(e link.End) error {
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
	if err := unix.Dup3(int(f.Fd()), socketFD, 0); err != nil {
		return fmt.Errorf("passing on the socket of %s: %w", e.Address, err)
	}
	return nil
}
