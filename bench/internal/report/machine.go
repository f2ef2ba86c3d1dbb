//go:build linux

package report

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// Machine is what the figures were measured on.
type Machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	MemoryGB   int    `json:"memory_gb"`
	Kernel     string `json:"kernel"`
	Filesystem string `json:"filesystem"` // that the data directory was on
	Go         string `json:"go"`
	AsRoot     bool   `json:"as_root"`
}

// String is the machine in one sentence.
func (m Machine) String() string {
	user := "an ordinary user"
	if m.AsRoot {
		user = "root"
	}
	return fmt.Sprintf("%s, %d cores, %d GB; Linux %s; %s; data on %s; started by %s.",
		m.CPU, m.Cores, m.MemoryGB, m.Kernel, m.Go, m.Filesystem, user)
}

// ThisMachine describes the machine, with the file system of dir.
func ThisMachine(dir string) (Machine, error) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return Machine{}, err
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return Machine{}, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Machine{}, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return Machine{}, err
	}
	var system syscall.Sysinfo_t
	if err := syscall.Sysinfo(&system); err != nil {
		return Machine{}, err
	}
	const gigabyte = 1_000_000_000
	return Machine{
		CPU:        cpuModel(string(info)),
		Cores:      runtime.NumCPU(),
		MemoryGB:   int((uint64(system.Totalram)*uint64(system.Unit) + gigabyte/2) / gigabyte),
		Kernel:     strings.TrimSpace(string(kernel)),
		Filesystem: filesystem(string(mounts), dir),
		Go:         runtime.Version(),
		AsRoot:     os.Geteuid() == 0,
	}, nil
}

// cpuModel finds the processor's name in proc_cpuinfo(5); some architectures give none.
func cpuModel(info string) string {
	for line := range strings.Lines(info) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH + " processor without a name"
}

// filesystem finds the type of the file system that holds dir in proc_pid_mountinfo(5): the deepest mount
// point above it, and of several there the last, which covers the others.
func filesystem(mounts, dir string) string {
	kind, depth := "an unknown file system", -1
	for line := range strings.Lines(mounts) {
		left, right, found := strings.Cut(line, " - ")
		point, kinds := strings.Fields(left), strings.Fields(right)
		if !found || len(point) < 5 || len(kinds) == 0 {
			continue
		}
		if inside(dir, point[4]) && len(point[4]) >= depth {
			kind, depth = kinds[0], len(point[4])
		}
	}
	return kind
}

func inside(dir, point string) bool {
	return point == "/" || dir == point || strings.HasPrefix(dir, point+"/")
}
