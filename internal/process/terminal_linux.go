package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// isTerminal asks the kernel. The mode of the file would not do: /dev/null is a character device too.
func isTerminal(file *os.File) bool {
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}
