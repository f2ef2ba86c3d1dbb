package fence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// measureFirstStage reads back what stage 1 should have left, while it can still be told apart from the later walls.
func measureFirstStage(spec Spec, level *Level) error {
	if err := checkEnv(os.Environ()); err != nil {
		return err
	}
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil || set != 1 {
		return fmt.Errorf("no_new_privs is %d, not 1 (%v)", set, err)
	}
	level.NoNewPrivs = true
	level.Network = NetworkOpen
	level.Landlock = landlockABI()
	if level.Landlock < spec.RequireLandlock {
		return fmt.Errorf("Landlock ABI %d is required and this kernel has %d (0: none); start a newer kernel or lower the requirement",
			spec.RequireLandlock, level.Landlock)
	}
	if level.Landlock == 0 {
		return nil
	}
	if err := mustRefuse(openDir("/")); err != nil {
		return fmt.Errorf("Landlock is not in force: listing the root directory: %w", err)
	}
	if level.Landlock >= 4 && !spec.Network {
		if err := measureTCP(); err != nil {
			return fmt.Errorf("Landlock does not hold the network: %w", err)
		}
		level.Network = NetworkNoTCP
	}
	return nil
}

// measureTCP dials and binds on the loopback address; both must be refused, before a packet is made.
func measureTCP() error {
	address := &unix.SockaddrInet4{Port: 1, Addr: [4]byte{127, 0, 0, 1}}
	for _, try := range []struct {
		name string
		act  func(fd int) error
	}{
		{"connecting by TCP", func(fd int) error { return unix.Connect(fd, address) }},
		{"binding a TCP port", func(fd int) error { return unix.Bind(fd, address) }},
	} {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = try.act(fd)
			unix.Close(fd)
		} else if err == unix.EAFNOSUPPORT {
			continue // what a service manager's RestrictAddressFamilies answers: there is no such network at all
		}
		if err := mustRefuse(err); err != nil {
			return fmt.Errorf("%s: %w", try.name, err)
		}
	}
	return nil
}

// measureDrop verifies that root is gone and the root directory is the own directory.
func measureDrop(uid, own int) error {
	if r, e, s := unix.Getresuid(); r != uid || e != uid || s != uid {
		return fmt.Errorf("the user ids are %d, %d, %d instead of %d", r, e, s, uid)
	}
	if r, e, s := unix.Getresgid(); r != uid || e != uid || s != uid {
		return fmt.Errorf("the group ids are %d, %d, %d instead of %d", r, e, s, uid)
	}
	groups, err := unix.Getgroups()
	if err != nil || len(groups) > 0 {
		return fmt.Errorf("it is still in %d groups (%v)", len(groups), err)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETUID, 0, 0, 0); errno != unix.EPERM {
		return fmt.Errorf("becoming root again was answered %v instead of %v", errno, unix.EPERM)
	}
	var root, dir unix.Stat_t
	if err := errors.Join(unix.Stat("/", &root), unix.Fstat(own, &dir)); err != nil {
		return fmt.Errorf("looking at the root directory: %w", err)
	}
	if root.Dev != dir.Dev || root.Ino != dir.Ino {
		return errors.New("the root directory is not its own directory")
	}
	return nil
}

// measureSecondStage measures everything from inside the finished fence and completes level.
func measureSecondStage(spec Spec, own int, forbidden forbidden, level *Level) error {
	level.UID = os.Geteuid()
	if spec.RequireUID && !level.OwnUID {
		return spec.refuse("a user id of its own is required; start as root")
	}
	for _, measure := range []func() error{
		func() error { return measureDumps(level) },
		func() error { return measureCapabilities(spec.Network) },
		func() error { return measureDir(own, spec.Dir.Name()) },
		func() error { return measureSockets(spec.Network, level) },
		func() error { return forbidden.measure(level) },
	} {
		if err := measure(); err != nil {
			return spec.refuse("%w", err)
		}
	}
	return nil
}

func measureDumps(level *Level) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return fmt.Errorf("reading the core file limit: %w", err)
	}
	if limit.Cur != 0 || limit.Max != 0 {
		return fmt.Errorf("core files are allowed: the limit is %d and can be raised to %d", limit.Cur, limit.Max)
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil || dumpable != 0 {
		return fmt.Errorf("it is dumpable (%d, %v): others could read its memory", dumpable, err)
	}
	level.CoreLimit = limit.Max
	return nil
}

// measureCapabilities verifies that nothing of root is left. A process with network may have been given the one
// capability for low ports.
func measureCapabilities(network bool) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("reading its capabilities: %w", err)
	}
	held := uint64(data[0].Effective|data[0].Permitted) | uint64(data[1].Effective|data[1].Permitted)<<32
	if network {
		held &^= 1 << unix.CAP_NET_BIND_SERVICE
	}
	if held != 0 {
		return fmt.Errorf("it holds capabilities %#x: start it without", held)
	}
	return nil
}

// measureDir verifies that the own directory is its own and nobody else's, and that it can be read.
func measureDir(own int, name string) error {
	var dir unix.Stat_t
	if err := unix.Fstat(own, &dir); err != nil {
		return fmt.Errorf("looking at %s: %w", name, err)
	}
	uid := os.Geteuid()
	if int(dir.Uid) != uid || dir.Mode&0o077 != 0 {
		return fmt.Errorf("%s belongs to uid %d with mode %04o; it must belong to uid %d with mode 0700: chown and chmod it once you know why",
			name, dir.Uid, dir.Mode&0o7777, uid)
	}
	if err := openDir("."); err != nil {
		return fmt.Errorf("opening %s: %w", name, err)
	}
	return nil
}

// measureSockets tries the socket families that should be gone, if the filter says it stands.
func measureSockets(network bool, level *Level) error {
	if !level.Seccomp {
		return nil
	}
	families := []int{unix.AF_UNIX, unix.AF_NETLINK}
	if !network {
		families = append(families, unix.AF_INET, unix.AF_INET6)
	}
	for _, family := range families {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		if err := mustRefuse(err); err != nil {
			return fmt.Errorf("the seccomp filter is not in force: making a socket of family %d: %w", family, err)
		}
	}
	if !network {
		level.Network = NetworkNone
	}
	return nil
}

// forbidden holds, for each forbidden path, a handle on its parent directory that was taken before the walls stood. The
// last step is then tried through that handle, so that "not found in this chroot" cannot pass for "refused".
type forbidden []forbiddenPath

type forbiddenPath struct {
	path   string
	parent int
	err    error // of opening the parent
}

func openForbidden(paths []string) forbidden {
	var f forbidden
	for _, path := range paths {
		fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		f = append(f, forbiddenPath{path, fd, err})
	}
	return f
}

func (f forbidden) close() {
	for _, p := range f {
		if p.err == nil {
			unix.Close(p.parent)
		}
	}
}

// measure opens every path. One that opens is counted when nothing was claimed, and an error when a wall should have
// refused it.
func (f forbidden) measure(level *Level) error {
	level.Forbidden = len(f)
	for _, p := range f {
		err := p.err
		if err == nil {
			err = open(p.parent, filepath.Base(p.path))
		}
		switch {
		case err == nil && (level.OwnUID || level.Landlock > 0):
			return fmt.Errorf("it can open %s, which is another process's", p.path)
		case err == nil:
			level.Opened++
		case mustRefuse(err) != nil:
			return fmt.Errorf("cannot tell whether %s is out of reach: %w", p.path, err)
		}
	}
	return nil
}

func openDir(path string) error { return open(unix.AT_FDCWD, path) }

func open(dir int, path string) error {
	fd, err := unix.Openat(dir, path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

var errNotRefused = errors.New("succeeded, and should have been refused")

// mustRefuse turns the outcome of something forbidden around: nil if it was refused for lack of permission.
func mustRefuse(err error) error {
	switch {
	case err == nil:
		return errNotRefused
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return nil
	default:
		return fmt.Errorf("answered %w instead of a refusal", err)
	}
}
