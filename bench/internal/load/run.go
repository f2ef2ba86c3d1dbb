//go:build linux

package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"seawall/bench/internal/process"
	"seawall/bench/internal/sample"
)

// patience is how long a server may stay silent on every connection before it counts as wedged.
const patience = 10 * time.Second

// Run carries out a plan. It fails on the first answer that is not what the plan expects, on a connection
// that the server closes, and on a server that stops answering.
func Run(ctx context.Context, plan Plan) (Result, error) {
	if err := plan.check(); err != nil {
		return Result{}, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g := &generator{plan: plan, expect: []byte(plan.Expect)}
	defer g.close()
	if err := g.connect(); err != nil {
		return Result{}, err
	}
	return g.run(ctx)
}

// generator is one run. All of it belongs to one goroutine on one thread.
type generator struct {
	plan    Plan
	expect  []byte
	poll    int // epoll instance
	conns   []*conn
	byFD    map[int32]*conn
	turn    int // index of the next request
	waiting int // requests without an answer

	answered  int
	latencies []time.Duration // of the window only
}

// conn is one keep-alive connection with at most one request under way.
type conn struct {
	fd   int
	sent time.Time
	buf  [32 << 10]byte
	have int

	request []byte // of its own, when requests follow on answers
	value   []byte // the value in it that the next answer replaces
}

func (g *generator) connect() error {
	address, err := net.ResolveTCPAddr("tcp", g.plan.Address)
	if err != nil {
		return err
	}
	if g.poll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("creating an epoll instance: %w", err)
	}
	g.byFD = make(map[int32]*conn, g.plan.Connections)
	for i := range g.plan.Connections {
		c, err := dial(address)
		if err != nil {
			return fmt.Errorf("connecting to %s: %w", g.plan.Address, err)
		}
		if g.plan.Follow != "" {
			c.request, c.value = bytes.Clone(g.plan.Requests[i]), []byte(g.plan.First[i])
		}
		g.conns = append(g.conns, c)
		g.byFD[int32(c.fd)] = c
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.fd)}
		if err := syscall.EpollCtl(g.poll, syscall.EPOLL_CTL_ADD, c.fd, &event); err != nil {
			return fmt.Errorf("watching a connection: %w", err)
		}
	}
	return nil
}

func dial(address *net.TCPAddr) (*conn, error) {
	family := syscall.AF_INET6
	var target syscall.Sockaddr
	if ip := address.IP.To4(); ip != nil {
		family, target = syscall.AF_INET, &syscall.SockaddrInet4{Port: address.Port, Addr: [4]byte(ip)}
	} else {
		target = &syscall.SockaddrInet6{Port: address.Port, Addr: [16]byte(address.IP.To16())}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(
		syscall.Connect(fd, target),
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1),
		syscall.SetNonblock(fd, true),
	); err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	return &conn{fd: fd}, nil
}

func (g *generator) close() {
	for _, c := range g.conns {
		_ = syscall.Close(c.fd)
	}
	if g.poll > 0 {
		_ = syscall.Close(g.poll)
	}
}

func (g *generator) run(ctx context.Context) (Result, error) {
	g.latencies = make([]time.Duration, 0, 1<<20)
	start := time.Now()
	for _, c := range g.conns {
		if err := g.send(c); err != nil {
			return Result{}, err
		}
	}
	if err := g.serve(ctx, start.Add(g.plan.Warmup), true); err != nil {
		return Result{}, err
	}
	g.latencies = g.latencies[:0]
	before, err := g.readClocks()
	if err != nil {
		return Result{}, err
	}
	if err := g.serve(ctx, before.at.Add(g.plan.Window), true); err != nil {
		return Result{}, err
	}
	after, err := g.readClocks()
	if err != nil {
		return Result{}, err
	}
	inWindow := g.latencies
	g.latencies = nil
	if err := g.serve(ctx, time.Time{}, false); err != nil {
		return Result{}, err
	}
	if len(inWindow) == 0 {
		return Result{}, errors.New("no answer came inside the window")
	}
	slices.Sort(inWindow)
	result := Result{
		Answered: g.answered,
		Counted:  len(inWindow),
		Elapsed:  time.Since(start),
		P50:      sample.Quantile(inWindow, 0.50),
		P99:      sample.Quantile(inWindow, 0.99),
		Max:      max(inWindow[len(inWindow)-1], slices.Max(g.latencies)), // what was waited for at the end waited longest
	}
	result.charge(before, after)
	return result, nil
}

// serve answers events until the deadline. With again set every answer is followed by the next request;
// without, it waits until nothing is under way and ignores the deadline.
func (g *generator) serve(ctx context.Context, deadline time.Time, again bool) error {
	events := make([]syscall.EpollEvent, len(g.conns))
	heard := time.Now()
	for {
		now := time.Now()
		if again && !now.Before(deadline) || !again && g.waiting == 0 {
			return nil
		}
		wait := patience
		if again {
			wait = min(wait, deadline.Sub(now))
		}
		n, err := syscall.EpollWait(g.poll, events, max(1, int(wait.Milliseconds())))
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("waiting for answers: %w", err)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case n > 0:
			heard = time.Now()
		case time.Since(heard) >= patience:
			return fmt.Errorf("wedged: %d requests without an answer for %v", g.waiting, patience)
		}
		for _, event := range events[:n] {
			if err := g.receive(g.byFD[event.Fd], again); err != nil {
				return err
			}
		}
	}
}

// send puts the next request on a connection that has none under way. The socket's buffer is empty then, so a
// request goes out whole or something is wrong.
func (g *generator) send(c *conn) error {
	request := c.request
	if request == nil {
		request = g.plan.Requests[g.turn]
		g.turn = (g.turn + 1) % len(g.plan.Requests)
	}
	c.have, c.sent = 0, time.Now()
	switch n, err := syscall.Write(c.fd, request); {
	case err != nil:
		return fmt.Errorf("sending a request: %w", err)
	case n < len(request):
		return fmt.Errorf("sending a request: only %d of %d bytes were taken", n, len(request))
	}
	g.waiting++
	return nil
}

// receive takes what a connection holds, and after a whole answer sends the next request.
func (g *generator) receive(c *conn, again bool) error {
	n, err := syscall.Read(c.fd, c.buf[c.have:])
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return nil
	case err != nil:
		return fmt.Errorf("reading an answer: %w", err)
	case n == 0 && c.have == len(c.buf):
		return fmt.Errorf("an answer is longer than %d bytes", len(c.buf))
	case n == 0:
		return errors.New("the server closed a connection")
	}
	c.have += n
	raw := c.buf[:c.have]
	body, done, err := complete(raw)
	if err != nil || !done {
		return err
	}
	if err := check(raw, body, g.expect); err != nil {
		return err
	}
	g.waiting--
	g.answered++
	g.latencies = append(g.latencies, time.Since(c.sent))
	if c.request != nil {
		if err := c.follow(g.plan.Follow, body); err != nil {
			return err
		}
	}
	if !again {
		return nil
	}
	return g.send(c)
}

// follow puts what the answer gave into the next request, in place.
func (c *conn) follow(member string, body []byte) error {
	_, rest, found := bytes.Cut(body, []byte(`"`+member+`":"`))
	next, _, ended := bytes.Cut(rest, []byte(`"`))
	at := bytes.Index(c.request, c.value)
	if !found || !ended || at < 0 || len(next) != len(c.value) {
		return fmt.Errorf("the answer has no %s of the length of the one before", member)
	}
	copy(c.request[at:], next)
	copy(c.value, next)
	return nil
}

// clocks is one reading of everybody's processor time.
type clocks struct {
	at     time.Time
	server []time.Duration
	own    time.Duration
	busy   time.Duration
}

func (g *generator) readClocks() (clocks, error) {
	now := clocks{at: time.Now(), server: make([]time.Duration, len(g.plan.Processes))}
	var err error
	for i, pid := range g.plan.Processes {
		if now.server[i], err = process.CPU(pid); err != nil {
			return clocks{}, err
		}
	}
	if now.own, err = process.CPU(os.Getpid()); err != nil {
		return clocks{}, err
	}
	now.busy, err = process.Busy()
	return now, err
}

// charge books the processor time between two readings to those who used it.
func (r *Result) charge(before, after clocks) {
	r.Window = after.at.Sub(before.at)
	r.Own = after.own - before.own
	r.Foreign = after.busy - before.busy - r.Own
	for i := range after.server {
		used := after.server[i] - before.server[i]
		r.CPU = append(r.CPU, used)
		r.Foreign -= used
	}
	r.Foreign = max(r.Foreign, 0)
}
