package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// redialEvery is how often a dialler that waits for a connection reminds the supervisor.
const redialEvery = 250 * time.Millisecond

// reportWait bounds how long a report may take to send.
const reportWait = 5 * time.Second

// Member is a child's side of the control socket.
type Member struct {
	control  *net.UnixConn
	gone     chan struct{} // closed when the supervisor is gone
	draining chan struct{} // closed when it asks for an end

	mu    sync.Mutex
	links map[string]*endpoint
}

// endpoint holds the newest connection of one link that nobody has taken yet.
type endpoint struct {
	newest chan net.Conn // capacity 1
	taken  bool          // guarded by Member.mu: one was handed out before
}

// Join takes over the control socket, descriptor [ControlFD] of a supervised child. It must come after fence.Enter, which
// executes the program again. From then on the process ignores SIGTERM and SIGINT, which service managers send to
// everybody at once: orders come over the control socket, so that the house drains before the vaults.
//
// When the supervisor is gone, by whatever death, the context of Serving ends; a process that has not ended by itself 5 s
// later is ended by Join, so none is ever left behind.
func Join(fd int) (*Member, error) {
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_SEQPACKET {
		return nil, fmt.Errorf("supervise: descriptor %d is no control socket (%v): this command is started by seawall up", fd, err)
	}
	unix.CloseOnExec(fd)
	control, err := toConn(os.NewFile(uintptr(fd), "control"))
	if err != nil {
		return nil, fmt.Errorf("supervise: taking the control socket: %w", err)
	}
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
	m := &Member{control: control, gone: make(chan struct{}), draining: make(chan struct{}), links: map[string]*endpoint{}}
	go m.listen() // ends with the control socket, and the process with it
	return m, nil
}

// Serving returns a context that ends with ctx, when the supervisor asks for an end, and when it is gone: take nothing new
// then, finish what was begun, and end.
func (m *Member) Serving(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	go func() {
		defer stop()
		select {
		case <-m.draining:
		case <-m.gone:
		case <-ctx.Done():
		}
	}()
	return ctx, stop
}

// Ready reports that this process serves. info goes to Config.Ready as JSON, at most 16 KiB.
func (m *Member) Ready(info any) error {
	encoded, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("supervise: reporting ready: %w", err)
	}
	if len(encoded) > maxInfo {
		return fmt.Errorf("supervise: reporting ready: %d bytes are too many", len(encoded))
	}
	defer tidyUp() // nobody waits for it
	return m.report(report{Say: sayReady, Info: encoded})
}

// Refuse tells the supervisor why this process is about to end with [ExitRefused]. At most 4 KiB of the reason arrive.
func (m *Member) Refuse(reason error) error {
	return m.report(report{Say: sayRefused, Reason: printable(reason.Error())})
}

// Link is the dialling side of a link: each call of the function waits for a connection that was not handed out before,
// and if one was, asks the supervisor to make the link anew. Only the newest connection counts; older ones that nobody
// took are closed. It fails when ctx ends or with [ErrGone].
func (m *Member) Link(name string) func(ctx context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		remind := time.NewTicker(redialEvery)
		defer remind.Stop()
		for {
			conn, again := m.take(name)
			if conn != nil {
				return conn, nil
			}
			var reminder <-chan time.Time
			if again {
				if err := m.report(report{Say: sayRedial, Link: name}); err != nil {
					return nil, err
				}
				reminder = remind.C
			}
			conn, err := m.wait(ctx, name, reminder)
			if conn != nil || err != nil {
				return conn, err
			}
		}
	}
}

// Accept is the serving side of a link: it waits for a connection that was not handed out before. It fails when ctx ends
// or with [ErrGone].
func (m *Member) Accept(ctx context.Context, name string) (net.Conn, error) {
	return m.wait(ctx, name, nil)
}

// take returns the waiting connection of a link, if there is one, and whether one was ever handed out.
func (m *Member) take(name string) (conn net.Conn, again bool) {
	e := m.endpoint(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case conn = <-e.newest:
		e.taken = true
	default:
	}
	return conn, e.taken
}

// wait waits for a connection of a link. It returns nothing when the reminder comes first.
func (m *Member) wait(ctx context.Context, name string, reminder <-chan time.Time) (net.Conn, error) {
	e := m.endpoint(name)
	select {
	case conn := <-e.newest:
		m.mu.Lock()
		e.taken = true
		m.mu.Unlock()
		return conn, nil
	case <-reminder:
		return nil, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("supervise: waiting for the link %s: %w", name, context.Cause(ctx))
	case <-m.gone:
		return nil, ErrGone
	}
}

func (m *Member) endpoint(name string) *endpoint {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.links[name]
	if e == nil {
		e = &endpoint{newest: make(chan net.Conn, 1)}
		m.links[name] = e
	}
	return e
}

// deliver makes conn the newest connection of a link.
func (m *Member) deliver(name string, conn net.Conn) {
	e := m.endpoint(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case old := <-e.newest:
		old.Close()
	default:
	}
	e.newest <- conn // there is room: only this goroutine puts any in
}

// report sends a report; packets of several goroutines do not mix.
func (m *Member) report(r report) error {
	packet, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("supervise: reporting: %w", err)
	}
	if err := m.control.SetWriteDeadline(time.Now().Add(reportWait)); err != nil {
		return fmt.Errorf("supervise: reporting: %w", err)
	}
	switch _, err := m.control.Write(packet); {
	case errors.Is(err, unix.EPIPE):
		return ErrGone
	case err != nil:
		return fmt.Errorf("supervise: reporting to the supervisor: %w", err)
	}
	return nil
}

// listen follows orders until the supervisor is gone.
func (m *Member) listen() {
	packet, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	var drain sync.Once
	for {
		n, rightsLen, _, _, err := m.control.ReadMsgUnix(packet, rights)
		if err != nil {
			break
		}
		var o order
		if json.Unmarshal(packet[:n], &o) != nil {
			break
		}
		switch o.Do {
		case doDrain:
			drain.Do(func() { close(m.draining) })
		case doLink:
			if conn, err := received(rights[:rightsLen]); err == nil {
				m.deliver(o.Link, conn)
			}
		}
	}
	time.AfterFunc(goneGrace, func() { syscall.Exit(1) })
	close(m.gone)
}

// received is the connection that came along with a packet.
func received(rights []byte) (net.Conn, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) != 1 {
		return nil, errors.New("no connection came along")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.New("not one connection came along")
	}
	return toConn(os.NewFile(uintptr(fds[0]), "link"))
}
