//go:build !linux

package supervise

import (
	"context"
	"errors"
	"net"
	"runtime"
)

var errPlatform = errors.New("supervise: seawall up needs Linux and this is " + runtime.GOOS + ": run the processes one by one with a configuration file each")

// Data is a locked data directory; on this platform there is none.
type Data struct{}

// OpenData fails on this platform.
func OpenData(string) (*Data, error) { return nil, errPlatform }

// Path is the absolute path of a child's directory.
func (d *Data) Path(child string) string { return child }

// Close does nothing.
func (d *Data) Close() error { return nil }

// Run fails on this platform.
func Run(_ context.Context, config Config) error {
	if err := config.check(); err != nil {
		return err
	}
	return errPlatform
}

// Member is a child's side of the control socket; on this platform there is none.
type Member struct{}

// Join fails on this platform.
func Join(int) (*Member, error) { return nil, errPlatform }

// Serving ends with ctx alone.
func (m *Member) Serving(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}

// Ready fails on this platform.
func (m *Member) Ready(any) error { return errPlatform }

// Refuse fails on this platform.
func (m *Member) Refuse(error) error { return errPlatform }

// Link fails on this platform.
func (m *Member) Link(string) func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) { return nil, errPlatform }
}

// Accept fails on this platform.
func (m *Member) Accept(context.Context, string) (net.Conn, error) { return nil, errPlatform }
