//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// measureFeed has a seawall of its own and many validators measured in another process.
func (b *bench) measureFeed(ctx context.Context) error {
	validators, rounds := 1000, 30
	if b.quick {
		validators, rounds = 20, 2
	}
	cmd := exec.CommandContext(ctx, b.program("feed"), "--json", "--seawall", b.seawall, "--validators", strconv.Itoa(validators), "--rounds", strconv.Itoa(rounds))
	cmd.Env = append(os.Environ(), "TMPDIR="+b.dir) // on the disk to be measured
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("measuring the distrust feed: %w: %s", err, lastLine(stderr.String()))
	}
	if err := json.Unmarshal(stdout.Bytes(), &b.feed); err != nil {
		return fmt.Errorf("measuring the distrust feed: %w", err)
	}
	b.say("feed · a revocation reached %d validators in %.0f ms (p50 %.0f ms)", validators, milliseconds(b.feed.Each.P99), milliseconds(b.feed.Each.P50))
	return nil
}
