package validate

import (
	"net"
	"net/http"
	"time"

	"context"
)

// Evenly gives the source with the pauses between loads exactly as they are stated, so that tests
// can count loads.
func Evenly(k KeySource) KeySource {
	k.spread = func(d time.Duration) time.Duration { return d }
	return k
}

// TransportOver gives the transport that keys are loaded with by default, over other connections.
func TransportOver(dial func(context.Context, string, string) (net.Conn, error)) http.RoundTripper {
	t := newTransport()
	t.DialContext = dial
	return t
}
