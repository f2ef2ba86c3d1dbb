package fence

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// timerSlack is how late the kernel may wake a thread that sleeps. The Go runtime's watchdog sleeps for 20 µs at a time
// while a process is busy. In processes that work in short bursts, waking it so often was a tenth of all they did, and
// nothing here needs a timer to be more exact than this.
const timerSlack = time.Millisecond

// slackenTimers sets the slack of the calling thread, which all threads of the program it executes inherit, as the
// TimerSlackNSec= of systemd does.
func slackenTimers() error {
	return unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack.Nanoseconds()), 0, 0, 0)
}

func setNoNewPrivs() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }

// clearAmbient empties the ambient capabilities of the calling thread, the only ones that pass an exec under
// no_new_privs by an ordinary user.
func clearAmbient() error {
	err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	if err == unix.EINVAL {
		return nil // a kernel before 4.3, which has none
	}
	return err
}

// forbidCore sets the soft and the hard limit, so that only a privileged process could raise it again.
func forbidCore() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }

func clearDumpable() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

// changeUID changes real, effective and saved ids of every thread; package syscall sees to the threads.
func changeUID(uid int) error {
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("leaving all groups: %w", err)
	}
	if err := syscall.Setgid(uid); err != nil {
		return fmt.Errorf("changing the group: %w", err)
	}
	return syscall.Setuid(uid)
}
