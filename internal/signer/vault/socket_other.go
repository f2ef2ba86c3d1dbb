//go:build !linux

package vault

import (
	"net"

	"seawall/internal/link"
)

const socketFD = 200

// bind returns the listening socket of an end.
func bind(e link.End) (net.Listener, error) { return link.Bind(e) }
