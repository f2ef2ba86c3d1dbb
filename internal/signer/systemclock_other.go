//go:build !linux

package signer

import "time"

var started = time.Now()

// sinceBoot is the time since this process started, by the clock that cannot be set.
func sinceBoot() time.Duration { return time.Since(started) }
