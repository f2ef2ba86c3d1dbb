//go:build !linux

package link

import "net"

// Inherit returns listening sockets for ends, in order. Here no process executes itself again, so there is nothing to let
// through.
func Inherit(ends ...End) (list []net.Listener, keep []int, err error) {
	for _, e := range ends {
		l, err := Bind(e)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, l)
	}
	return list, nil, nil
}
