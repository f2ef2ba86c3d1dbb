//go:build linux

// Package load puts HTTP/1.1 load on one server and measures it. It speaks to raw keep-alive sockets from one
// thread, so that it costs a few microseconds a request on the processors it shares with the server. It
// runs in a process of its own (cmd/load), reads a Plan from standard input and writes a Result to standard
// output. Every answer is checked: one wrong answer fails the whole window.
package load

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Plan is one window of load. Durations travel as nanoseconds.
type Plan struct {
	Address     string // host:port, on loopback
	Connections int
	// Requests are complete HTTP requests, sent in turn over all connections: several clients of an issuer
	// share every connection, so that a limit per client is not what gets measured.
	Requests [][]byte
	// Follow names a member of the answers, such as refresh_token, whose value takes the place of the one before in the
	// next request of the same connection; they must be of one length. First are the values in Requests, of which there
	// is one for each connection then. Empty: requests stay as they are.
	Follow string
	First  []string
	// Expect must be found in the body of every answer.
	Expect string
	Warmup time.Duration // load before the window, not counted
	Window time.Duration
	// Processes are the server's, whose CPU clocks are read at both ends of the window.
	Processes []int
}

// Result is what a window showed.
type Result struct {
	// Answered is every good answer, warm-up and drain too: as many tokens as the server must have recorded.
	Answered int
	// Counted is the answers that came inside the window.
	Counted int
	Window  time.Duration // as measured
	Elapsed time.Duration // first request to last answer
	// CPU is what each of Plan.Processes used in the window, in the same order.
	CPU []time.Duration
	// Foreign is the processor time that went neither to the server nor to the load: other work on the
	// machine, and work of the kernel that no process is charged for. It is rounded to the kernel's ticks.
	Foreign time.Duration
	Own     time.Duration // CPU of the load process itself

	P50, P99 time.Duration // of the answers inside the window
	Max      time.Duration // of those and of what was under way at its end
}

// maximum is how many connections one plan may open.
const maximum = 1024

// check says what is wrong with a plan.
func (p Plan) check() error {
	host, _, err := net.SplitHostPort(p.Address)
	switch ip := net.ParseIP(host); {
	case err != nil:
		return fmt.Errorf("address %q: %w", p.Address, err)
	case ip == nil || !ip.IsLoopback():
		return fmt.Errorf("address %q is not a loopback address: load is put on this machine only", p.Address)
	case p.Connections < 1 || p.Connections > maximum:
		return fmt.Errorf("%d connections: between 1 and %d are possible", p.Connections, maximum)
	case len(p.Requests) == 0:
		return errors.New("no requests to send")
	case p.Follow != "" && (len(p.Requests) != p.Connections || len(p.First) != p.Connections):
		return errors.New("requests that follow on answers: one is needed for each connection, and its first value")
	case p.Window <= 0 || p.Warmup < 0:
		return errors.New("the window must be longer than nothing")
	}
	return nil
}
