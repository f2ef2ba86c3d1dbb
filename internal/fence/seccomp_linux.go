package fence

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refusedSyscalls are answered with EPERM in every seawall process; none of them is used by one that has entered its fence.
var refusedSyscalls = []uint32{
	// running programs
	unix.SYS_EXECVE, unix.SYS_EXECVEAT,
	// looking into other processes of the same user
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD,
	// making sockets behind this filter's back
	unix.SYS_IO_URING_SETUP,
	// wide doors into the kernel
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_UNSHARE, unix.SYS_SETNS,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
}

// Offsets in struct seccomp_data, on a little-endian machine.
const (
	dataNumber = 0
	dataArch   = 4
	dataArg0   = 16
)

const (
	allow       = unix.SECCOMP_RET_ALLOW
	kill        = unix.SECCOMP_RET_KILL_PROCESS
	refuseEPERM = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	// The same errno as Landlock's, so that a refused dial reads the same whichever wall stopped it.
	refuseEACCES = unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES)
)

// filterSyscalls installs the filter on every thread and tells whether this machine has one.
func filterSyscalls(network bool) (bool, error) {
	arch, ok := auditArch()
	if !ok {
		return false, nil
	}
	program := filterProgram(arch, network)
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&prog)))
	switch {
	case errno == unix.ENOSYS || errno == unix.EINVAL:
		return false, nil // a kernel built without seccomp filters
	case errno != 0:
		return false, errno
	case thread != 0:
		return false, fmt.Errorf("thread %d did not take it", thread)
	}
	return true, nil
}

func auditArch() (uint32, bool) {
	switch runtime.GOARCH {
	case "amd64":
		return unix.AUDIT_ARCH_X86_64, true
	case "arm64":
		return unix.AUDIT_ARCH_AARCH64, true
	}
	return 0, false
}

// filterProgram is the filter in classic BPF. A call through another architecture's table (32-bit on a 64-bit machine)
// would have other numbers, so it ends the process.
func filterProgram(arch uint32, network bool) []unix.SockFilter {
	program := []unix.SockFilter{
		load(dataArch), jumpEqual(arch, 1, 0), result(kill),
		load(dataNumber),
	}
	if arch == unix.AUDIT_ARCH_X86_64 {
		const x32 = 0x40000000
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: x32, Jf: 1}, result(kill))
	}
	for _, number := range refusedSyscalls {
		program = append(program, jumpEqual(number, 0, 1), result(refuseEPERM))
	}
	if !network {
		return append(program, jumpEqual(unix.SYS_SOCKET, 0, 1), result(refuseEACCES), result(allow))
	}
	return append(program,
		jumpEqual(unix.SYS_SOCKET, 0, 4),
		load(dataArg0),
		jumpEqual(unix.AF_INET, 2, 0),
		jumpEqual(unix.AF_INET6, 1, 0),
		result(refuseEACCES),
		result(allow))
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

// jumpEqual skips yes instructions if the loaded word is k, no instructions if it is not.
func jumpEqual(k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: yes, Jf: no}
}

func result(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}
