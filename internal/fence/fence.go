// Package fence builds the walls around one seawall process and measures them.
//
// A process that holds keys calls [Enter] before it reads any of them. What happens then has two stages, because some
// walls bind only the thread that raises them and everything that thread executes later:
//
//   - Stage 1, on one locked thread: the environment is replaced by a short list of harmless variables (a GOTRACEBACK=crash
//     left in a unit file would otherwise write every key to disk at the first panic), descriptors nobody meant to pass on
//     are closed, no_new_privs is set, and Landlock takes away every file outside the process's own directory and, from a
//     vault, TCP. Then the process executes itself again. (On the way, because it passes on to all threads only like this,
//     timers are allowed to be a millisecond late.)
//   - Stage 2, in the new image: no core files, not dumpable (which also ends ptrace and /proc/PID/mem for the same user),
//     a lock on the own directory, then, if started as root, chroot into that directory and a user id of its own, and a
//     seccomp filter that refuses sockets, new programs and looking into other processes.
//
// At the end every wall is read back from the kernel or tried from inside: the forbidden paths are opened, a connection
// is dialled, uid 0 is asked for. A wall that should stand and does not is an error, and the caller must not go on. What
// stood is returned as a [Level], which says what was measured and nothing more.
//
// Which stage runs is told by one environment variable. Setting it from outside skips nothing: stage 2 measures the
// walls of stage 1 as well, and refuses when they are missing.
//
// After Enter the current directory is the process's own directory, and, when started as root, also its root directory.
// Use relative paths from then on.
//
// What the fence does not do: stop root, or the kernel, on the same machine. Outside Linux there are no walls yet, and
// the Level says so.
package fence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The user and group ids that the three processes change to when they are started as root. They need no entry in
// /etc/passwd; a machine where they are taken can use others ([Spec].UID).
const (
	HouseUID  = 61801
	SignerUID = 61802
	LedgerUID = 61803
)

// Spec describes the fence of one process. Dir is required, and UID too when started as root; the rest is as narrow
// as it can be when left empty.
type Spec struct {
	// Process names the process in messages and in the Level: "house", "signer", "ledger".
	Process string

	// Dir is the process's own directory, open for reading: the only place where it may write. It must belong to the
	// process's final user and be closed to everybody else (0700). Enter locks it (flock), so a second process with the
	// same directory is refused for as long as this one lives. Enter takes the file over: it keeps a copy of the descriptor
	// to hold the lock, and closes Dir.
	Dir *os.File

	// Keep lists the inherited descriptors above 2 that survive stage 1, for instance the control socket. The descriptor
	// of Dir belongs here only if it was inherited too; otherwise the caller opens it again in stage 2.
	Keep []int

	// ReadOnly lists further files, or directories with what is beneath them, that may be read. Absolute paths, which
	// must exist. After a chroot they can be reached only through descriptors opened in BeforeDrop.
	ReadOnly []string

	// Network says that the process may use TCP and UDP, as the house must. A process without it can make no socket at
	// all; with it only internet sockets. Either can use the sockets it inherited or opened in BeforeDrop.
	Network bool

	// UID is the user and group id to change to when started as root. Otherwise it is not used.
	UID int

	// Forbidden lists paths that must not open: the other processes' directories. Absolute paths, which must exist, for a
	// missing file proves nothing.
	Forbidden []string

	// RequireUID makes Enter fail unless the process got its own user id.
	RequireUID bool

	// RequireLandlock makes Enter fail unless Landlock of at least this ABI is in force; 0 requires nothing.
	RequireLandlock int

	// BeforeDrop runs in stage 2, still as root if started as root, but behind Landlock: the place to open a listener on a
	// privileged port, a Unix socket, or the files of ReadOnly. It is also called when there is nothing to drop.
	BeforeDrop func() error
}

// check finds mistakes of the programmer or in the configuration before anything irreversible is done.
func (s Spec) check() error {
	if s.Process == "" {
		return errors.New("fence: the process has no name")
	}
	if s.Dir == nil {
		return fmt.Errorf("fence: %s: has no directory of its own", s.Process)
	}
	for _, path := range append(append([]string(nil), s.ReadOnly...), s.Forbidden...) {
		if !filepath.IsAbs(path) || filepath.Clean(path) != path {
			return fmt.Errorf("fence: %s: the path %q must be absolute and clean, because the current directory changes", s.Process, path)
		}
	}
	if os.Geteuid() == 0 && s.UID <= 0 {
		return fmt.Errorf("fence: %s: was started as root without a user id to change to", s.Process)
	}
	return nil
}

// refuse is the error for a wall that should stand and does not.
func (s Spec) refuse(format string, args ...any) error {
	return fmt.Errorf("fence: %s refuses to go on: %w", s.Process, fmt.Errorf(format, args...))
}
