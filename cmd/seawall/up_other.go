//go:build !linux

package main

import (
	"context"
	"errors"
	"runtime"
)

func up(context.Context, *call, *upSettings) error {
	return hint(errors.New("seawall up needs Linux, and this is "+runtime.GOOS), "the walls between its processes are the Linux kernel's")
}
