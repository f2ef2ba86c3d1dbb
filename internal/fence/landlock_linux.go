package fence

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readFile = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readDir  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	runFile  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_EXECUTE

	// ownDir is what a process may do beneath its own directory. No program can be run from there, and no device or
	// symbolic link be made that somebody with more rights might follow.
	ownDir = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_REFER |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR
)

// networkFiles are what a process with network reads to resolve names and to size its listen backlog, where they exist.
var networkFiles = []string{"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/proc/sys/net/core/somaxconn"}

// landlockABI asks the kernel which Landlock it speaks. 0: none, or a container's filter hides it.
func landlockABI() int {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(abi)
}

// handled lists what is taken away under an ABI unless a rule gives it back. It asks for no right newer than ABI 6.
func handled(abi int, network bool) unix.LandlockRulesetAttr {
	var attr unix.LandlockRulesetAttr
	attr.Handled_access_fs = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
	if abi >= 2 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 4 && !network {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 5 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return attr
}

// restrictFiles puts the calling thread, and what it executes, into a Landlock domain where only the own directory, the
// program itself and spec.ReadOnly are left. On a kernel without Landlock it does nothing; stage 2 reports that.
func restrictFiles(spec Spec, own int) error {
	abi := landlockABI()
	if abi == 0 {
		return nil
	}
	attr := handled(abi, spec.Network)
	ruleset, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return fmt.Errorf("creating a ruleset for ABI %d: %w", abi, errno)
	}
	rules := rules{fd: int(ruleset), handled: attr.Handled_access_fs}
	defer unix.Close(rules.fd)
	if err := rules.add(own, ownDir); err != nil {
		return fmt.Errorf("allowing its own directory: %w", err)
	}
	if err := rules.program(); err != nil {
		return fmt.Errorf("allowing its own program: %w", err)
	}
	for _, path := range spec.ReadOnly {
		if err := rules.read(path); err != nil {
			return fmt.Errorf("allowing %s to be read: %w", path, err)
		}
	}
	if spec.Network {
		if err := rules.readExisting(networkFiles); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0); errno != 0 {
		return fmt.Errorf("entering the domain: %w", errno)
	}
	return nil
}

// rules is a Landlock ruleset being filled.
type rules struct {
	fd      int
	handled uint64
}

// add gives back access beneath the file or directory that fd refers to.
func (r rules) add(fd int, access uint64) error {
	attr := unix.LandlockPathBeneathAttr{Allowed_access: access & r.handled, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(r.fd), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func (r rules) path(path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return r.add(fd, access)
}

func (r rules) read(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return r.path(path, readDir)
	}
	return r.path(path, readFile)
}

func (r rules) readExisting(paths []string) error {
	for _, path := range paths {
		if err := r.read(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("allowing %s to be read: %w", path, err)
		}
	}
	return nil
}

// program allows the second image what this one has mapped: the program file alone when it is linked statically, its
// loader and libraries as well when it is not.
func (r rules) program() error {
	if err := r.path("/proc/self/exe", runFile); err != nil {
		return err
	}
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	dynamic := false
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		library, ok := mappedLibrary(lines.Text())
		if !ok || library == program {
			continue
		}
		dynamic = true
		if err := r.path(library, runFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", library, err)
		}
	}
	if err := lines.Err(); err != nil || !dynamic {
		return err
	}
	return r.readExisting([]string{"/etc/ld.so.cache"})
}

// mappedLibrary takes the path of an executable mapping, if it has one, from a line of /proc/PID/maps.
func mappedLibrary(line string) (string, bool) {
	fields := strings.Fields(line)
	if len(fields) != 6 || !strings.Contains(fields[1], "x") || !strings.HasPrefix(fields[5], "/") {
		return "", false
	}
	return fields[5], true
}
