//go:build !linux

package vault

import (
	"net"

	"seawall/internal/link"
)

const socketFD = 200

// bind returns listening sockets for the ends, in order.
func bind(ends ...link.End) ([]net.Listener, error) {
	var list []net.Listener
	for _, e := range ends {
		l, err := link.Bind(e)
		if err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, nil
}
