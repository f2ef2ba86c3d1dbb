//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"

	"seawall/bench/internal/comparison"
	"seawall/bench/internal/report"
)

// measurePeers has validate measured beside the libraries that people use, in a process of its own.
func (b *bench) measurePeers(ctx context.Context) error {
	if b.noPeers {
		return nil
	}
	rounds, tokens := 21, 400
	if b.quick {
		rounds, tokens = 3, 50
	}
	cmd := exec.CommandContext(ctx, b.program("peers"), "--json", "--rounds", strconv.Itoa(rounds), "--tokens", strconv.Itoa(tokens))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("measuring validate beside other libraries: %w: %s", err, lastLine(stderr.String()))
	}
	if err := json.Unmarshal(stdout.Bytes(), &b.peers); err != nil {
		return fmt.Errorf("measuring validate beside other libraries: %w", err)
	}
	es := b.peers.Full["ES256"]
	b.say("validation beside others · ES256 %.1f µs, of it %.1f µs the signature; golang-jwt %.1f µs",
		microseconds(es[comparison.Ours].CPU), microseconds(es[comparison.Raw].CPU), microseconds(es["golang-jwt"].CPU))
	return nil
}

// peerBars are the bars of validation; there are none where nothing could be measured.
func (b *bench) peerBars() []report.Bar {
	if b.peers.Rounds == 0 {
		return nil
	}
	return append(b.peers.Bars(), report.Bar{
		Measure: "validate, with a receipt, over its two signature checks", Unit: "µs", Figure: microseconds(b.check.Over), Limit: 2.5,
	})
}

func (b *bench) peerTables() []report.Table {
	if b.peers.Rounds == 0 {
		return nil
	}
	return b.peers.Tables()
}
