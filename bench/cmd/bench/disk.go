//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"seawall/bench/internal/sample"
)

// medianFdatasync is what one durable append of 4 KiB costs on the file system of dir: no server that keeps an
// entry before it answers can be faster.
func medianFdatasync(dir string) (time.Duration, error) {
	const times = 200
	name := filepath.Join(dir, "fdatasync")
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	took, err := appendDurably(file, times)
	if err := errors.Join(err, file.Close(), os.Remove(name)); err != nil {
		return 0, fmt.Errorf("timing fdatasync: %w", err)
	}
	return sample.Median(took), nil
}

func appendDurably(file *os.File, times int) ([]time.Duration, error) {
	block := make([]byte, 4<<10)
	took := make([]time.Duration, 0, times)
	for range times {
		start := time.Now()
		if _, err := file.Write(block); err != nil {
			return nil, err
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}
