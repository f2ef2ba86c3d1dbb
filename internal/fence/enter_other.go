//go:build !linux

package fence

import (
	"os"
	"runtime"
)

// Enter has no walls to raise on this platform, and the Level says so. It fails if the Spec requires any, calls
// BeforeDrop and changes into the process's own directory.
func Enter(spec Spec) (*Level, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	if spec.RequireUID || spec.RequireLandlock > 0 {
		return nil, spec.refuse("the required walls exist on Linux only, and this is %s", runtime.GOOS)
	}
	if spec.BeforeDrop != nil {
		if err := spec.BeforeDrop(); err != nil {
			return nil, err
		}
	}
	if err := spec.Dir.Chdir(); err != nil {
		return nil, spec.refuse("changing into its own directory: %w", err)
	}
	level := &Level{
		Process: spec.Process, Platform: runtime.GOOS, UID: os.Geteuid(),
		Network: NetworkOpen, Forbidden: len(spec.Forbidden), Opened: len(spec.Forbidden),
		CoreLimit: 1<<64 - 1, Dumpable: true,
	}
	return level, spec.Dir.Close()
}
