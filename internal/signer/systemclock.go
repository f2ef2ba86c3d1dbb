package signer

import (
	"crypto/rand"
	"time"
)

// SystemClock is this machine's clock. bootID names the present boot; on Linux it is the content of
// /proc/sys/kernel/random/boot_id, read before the walls went up. With an empty one every start counts as a reboot.
func SystemClock(bootID string) Clock {
	if bootID == "" {
		bootID = "process " + rand.Text()
	}
	return systemClock(bootID)
}

type systemClock string

func (systemClock) Now() time.Time { return time.Now() }

func (c systemClock) Boot() (string, time.Duration) { return string(c), sinceBoot() }
