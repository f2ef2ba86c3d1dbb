package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one run of a child.
type process struct {
	child   Child
	cmd     *exec.Cmd
	control *net.UnixConn
	started time.Time
	reason  string // from a refused report
}

// happening is something that a process did: it sent a report or, without one, it ended.
type happening struct {
	process *process
	report  *report
}

// orderWait bounds how long an order may take to send. A child reads its control socket all the time, so one whose socket
// is full is stuck.
const orderWait = time.Second

// startProcess starts a child from this program's own file, the running one even if another has been installed meanwhile.
// The child leads a session of its own: a terminal's interrupt reaches the supervisor only, which then drains in order.
func startProcess(child Child, path string, dir, stderr *os.File) (*process, error) {
	control, theirs, err := socketpair(unix.SOCK_SEQPACKET)
	if err != nil {
		return nil, fmt.Errorf("making the control socket of %s: %w", child.Name, err)
	}
	defer theirs.Close()
	conn, err := toConn(control)
	if err != nil {
		return nil, fmt.Errorf("making the control socket of %s: %w", child.Name, err)
	}
	cmd := exec.Command("/proc/self/exe", child.Args...)
	cmd.Args[0] = os.Args[0]
	cmd.Dir = path
	cmd.Stdout, cmd.Stderr = stderr, stderr
	cmd.ExtraFiles = []*os.File{theirs, dir} // ControlFD and DirFD
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("starting %s: %w", child.Name, err)
	}
	return &process{child: child, cmd: cmd, control: conn, started: time.Now()}, nil
}

// watch tells what the process reports and, last, how it ended. A process without a control socket, or one that breaks
// its rules, is beyond control and killed.
func (p *process) watch(tell func(happening)) error {
	packet := make([]byte, maxMessage)
	broken := error(nil)
	for {
		n, err := p.control.Read(packet) // descriptors that come along are dropped by the kernel
		if errors.Is(err, unix.ECONNRESET) {
			continue // it ended without reading its last orders; its own last words come next
		}
		if err != nil {
			break
		}
		r, err := parseReport(packet[:n])
		if err != nil {
			broken = err
			break
		}
		tell(happening{process: p, report: &r})
	}
	p.kill()
	_ = p.cmd.Wait() // its error only repeats the state
	p.control.Close()
	tell(happening{process: p})
	return broken
}

func (p *process) kill() { _ = p.cmd.Process.Kill() } // it can only fail because the process is gone

// order sends an order, with a descriptor if there is one.
func (p *process) order(o order, file *os.File) error {
	packet, err := json.Marshal(o)
	if err != nil {
		return err
	}
	var rights []byte
	if file != nil {
		rights = unix.UnixRights(int(file.Fd()))
	}
	if err := p.control.SetWriteDeadline(time.Now().Add(orderWait)); err != nil {
		return err
	}
	_, _, err = p.control.WriteMsgUnix(packet, rights, nil)
	return err
}

func socketpair(kind int) (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "socketpair"), os.NewFile(uintptr(fds[1]), "socketpair"), nil
}

// toConn turns a Unix socket into a connection and closes the file.
func toConn(file *os.File) (*net.UnixConn, error) {
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, errors.New("not a Unix socket")
	}
	return unixConn, nil
}
