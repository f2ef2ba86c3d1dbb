package signer

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot reads CLOCK_BOOTTIME, which counts sleep and which not even root can set.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("signer: reading the boot clock: " + err.Error()) // it exists since Linux 2.6.39
	}
	return time.Duration(ts.Nano())
}
