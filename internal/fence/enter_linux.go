package fence

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// walls are the acts that raise each wall. The tests replace one at a time by an act that does nothing, and the
// read-back must notice.
type walls struct {
	noNewPrivs  func() error
	landlock    func(spec Spec, own int) error
	noCore      func() error
	notDumpable func() error
	chroot      func() error
	changeUID   func(uid int) error
	filter      func(network bool) (bool, error)
}

var kernelWalls = walls{
	noNewPrivs:  setNoNewPrivs,
	landlock:    restrictFiles,
	noCore:      forbidCore,
	notDumpable: clearDumpable,
	chroot:      func() error { return unix.Chroot(".") },
	changeUID:   changeUID,
	filter:      filterSyscalls,
}

// Enter raises the walls of spec around the whole process and returns what it measured. It must be the first thing the
// process does: on Linux it executes the program again with the same arguments, so everything before it runs twice and
// anything it opened is closed unless listed in Keep. On an error the process may be half walled in and must end.
func Enter(spec Spec) (*Level, error) {
	return kernelWalls.enter(spec)
}

func (w walls) enter(spec Spec) (*Level, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	if os.Getenv(stageVariable) == "" {
		return nil, w.first(spec)
	}
	return w.second(spec)
}

// first is stage 1. It returns only on failure, and then keeps its goroutine locked to the thread, because that thread
// may already be restricted.
func (w walls) first(spec Spec) error {
	runtime.LockOSThread()
	env := cleanEnv(os.Environ())
	path, err := ownExecutable()
	if err != nil {
		return spec.refuse("finding its own program: %w", err)
	}
	if err := passOn(spec.Keep); err != nil {
		return spec.refuse("closing descriptors: %w", err)
	}
	if !spec.Network {
		if err := clearAmbient(); err != nil {
			return spec.refuse("dropping ambient capabilities: %w", err)
		}
	}
	if err := slackenTimers(); err != nil {
		return spec.refuse("setting the timer slack: %w", err)
	}
	if err := w.noNewPrivs(); err != nil {
		return spec.refuse("setting no_new_privs: %w", err)
	}
	if err := w.landlock(spec, int(spec.Dir.Fd())); err != nil {
		return spec.refuse("restricting itself with Landlock: %w", err)
	}
	err = syscall.Exec(path, os.Args, env)
	return spec.refuse("executing itself again: %w", err)
}

// second is stage 2: the walls that bind a whole process, and the measurement of all of them.
func (w walls) second(spec Spec) (*Level, error) {
	if err := os.Unsetenv(stageVariable); err != nil {
		return nil, spec.refuse("%w", err)
	}
	if err := w.noCore(); err != nil {
		return nil, spec.refuse("setting the core file limit to 0: %w", err)
	}
	if err := w.notDumpable(); err != nil {
		return nil, spec.refuse("making itself not dumpable: %w", err)
	}
	level := &Level{Process: spec.Process, Platform: runtime.GOOS}
	if err := measureFirstStage(spec, level); err != nil {
		return nil, spec.refuse("%w", err)
	}
	forbidden := openForbidden(spec.Forbidden)
	defer forbidden.close()
	own, err := takeDir(spec)
	if err != nil {
		return nil, err
	}
	if spec.BeforeDrop != nil {
		if err := spec.BeforeDrop(); err != nil {
			return nil, fmt.Errorf("fence: %s: before dropping its rights: %w", spec.Process, err)
		}
	}
	if err := unix.Fchdir(own); err != nil {
		return nil, spec.refuse("changing into its own directory: %w", err)
	}
	if os.Geteuid() == 0 {
		if err := w.drop(spec, own, level); err != nil {
			return nil, err
		}
	}
	filtered, err := w.filter(spec.Network)
	if err != nil {
		return nil, spec.refuse("installing the seccomp filter: %w", err)
	}
	level.Seccomp = filtered
	if err := measureSecondStage(spec, own, forbidden, level); err != nil {
		return nil, err
	}
	return level, spec.Dir.Close()
}

// drop gives up root for good.
func (w walls) drop(spec Spec, own int, level *Level) error {
	if err := w.chroot(); err != nil {
		return spec.refuse("changing its root directory: %w%s", err, needRoot)
	}
	if err := w.changeUID(spec.UID); err != nil {
		return spec.refuse("changing to uid %d: %w%s", spec.UID, err, needRoot)
	}
	// The kernel resets this with the user id, to whatever fs.suid_dumpable says.
	if err := w.notDumpable(); err != nil {
		return spec.refuse("making itself not dumpable: %w", err)
	}
	if err := measureDrop(spec.UID, own); err != nil {
		return spec.refuse("%w", err)
	}
	level.OwnUID, level.Chroot = true, true
	return nil
}

const needRoot = "; as root it needs the capabilities to change root directory, user and group (CAP_SYS_CHROOT, CAP_SETUID, " +
	"CAP_SETGID): grant them, or start as an ordinary user"

// ownExecutable is the path to execute for a second image of this very program: the usual one, so that ps shows a
// familiar name, unless the file there has been replaced since.
func ownExecutable() (string, error) {
	const self = "/proc/self/exe"
	running, err := os.Stat(self)
	if err != nil {
		return "", err
	}
	path, err := os.Readlink(self)
	if err != nil {
		return "", err
	}
	if found, err := os.Stat(path); err == nil && os.SameFile(found, running) {
		return path, nil
	}
	return self, nil
}

// passOn marks every descriptor above 2 to be closed at the next exec, except those of keep.
func passOn(keep []int) error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			return err
		}
		if fd > 2 {
			unix.CloseOnExec(fd) // the descriptor that listed the directory is already gone
		}
	}
	for _, fd := range keep {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("keeping descriptor %d: %w", fd, err)
		}
	}
	return nil
}

// takeDir locks the own directory and returns a descriptor for it that nothing closes, as the lock hangs on it. A lock
// inherited with the descriptor is the same lock, so a supervisor may hold it already.
func takeDir(spec Spec) (int, error) {
	own, err := unix.FcntlInt(spec.Dir.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, spec.refuse("taking its own directory: %w", err)
	}
	if err := unix.Flock(own, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return -1, spec.refuse("locking its own directory %s: %w: another process uses it; stop that one first", spec.Dir.Name(), err)
	}
	return own, nil
}
