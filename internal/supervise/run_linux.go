package supervise

import (
	"context"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// relinkRest is the shortest time between two makings of the same link on request, so that two ends that cannot stand one
// another do not keep everybody busy.
const relinkRest = 100 * time.Millisecond

// supervisor is the state of Run, touched by its goroutine alone.
type supervisor struct {
	config   Config
	stderr   *os.File
	dirs     map[string]*os.File
	running  map[string]*process
	pauses   map[string]time.Duration
	linked   map[string]time.Time
	draining bool

	happened chan happening
	restart  chan string
	done     chan struct{} // closed when Run returns: nobody listens any more
	watchers sync.WaitGroup
}

// Run starts the children and keeps them running until ctx ends; then it drains them, one after the other in the order of
// the list, waits for all and returns nil. It returns a *[RefusedError] when a child refused to run, and other errors
// when a child's directory or first start failed, also after everything has ended.
func Run(ctx context.Context, config Config) error {
	if err := config.check(); err != nil {
		return err
	}
	s := &supervisor{
		config: config, stderr: config.Stderr,
		dirs: map[string]*os.File{}, running: map[string]*process{}, pauses: map[string]time.Duration{}, linked: map[string]time.Time{},
		happened: make(chan happening), restart: make(chan string), done: make(chan struct{}),
	}
	if s.stderr == nil {
		s.stderr = os.Stderr
	}
	err := s.run(ctx)
	s.drain()
	close(s.done)
	s.watchers.Wait()
	for _, dir := range s.dirs {
		dir.Close()
	}
	return err
}

func (s *supervisor) run(ctx context.Context) error {
	for _, child := range s.config.Children {
		dir, err := s.config.Data.claim(ctx, child.Name, child.UID)
		if err != nil {
			return err
		}
		s.dirs[child.Name] = dir
	}
	for _, child := range s.config.Children {
		if err := s.start(child); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case name := <-s.restart:
			s.startAgain(name)
		case h := <-s.happened:
			if err := s.handle(h); err != nil {
				return err
			}
		}
	}
}

// start starts a child and makes its links to those that are running.
func (s *supervisor) start(child Child) error {
	p, err := startProcess(child, s.config.Data.Path(child.Name), s.dirs[child.Name], s.stderr)
	if err != nil {
		return err
	}
	s.running[child.Name] = p
	s.config.Log.Info("child started", "child", child.Name, "pid", p.cmd.Process.Pid)
	s.watchers.Go(func() {
		if err := p.watch(s.tell); err != nil {
			s.config.Log.Error("child broke the rules of its control socket and was killed", "child", child.Name, "error", err)
		}
	})
	for _, link := range s.config.Links {
		if link.Dialler == child.Name || link.Server == child.Name {
			s.link(link)
		}
	}
	return nil
}

func (s *supervisor) tell(h happening) {
	select {
	case s.happened <- h:
	case <-s.done:
	}
}

func (s *supervisor) startAgain(name string) {
	for _, child := range s.config.Children {
		if child.Name != name {
			continue
		}
		if err := s.start(child); err != nil {
			s.config.Log.Error("child could not be started", "child", name, "error", err)
			s.startLater(name, 0)
		}
	}
}

// startLater starts a child again after its pause.
func (s *supervisor) startLater(name string, up time.Duration) {
	pause := nextPause(s.pauses[name], up)
	s.pauses[name] = pause
	s.config.Log.Info("child will be started again", "child", name, "pause", pause)
	s.watchers.Go(func() {
		select {
		case <-time.After(pause):
		case <-s.done:
			return
		}
		select {
		case s.restart <- name:
		case <-s.done:
		}
	})
}

// handle does what a happening asks for. Its error is the end of everything.
func (s *supervisor) handle(h happening) error {
	if h.report == nil {
		return s.ended(h.process)
	}
	child := h.process.child.Name
	switch h.report.Say {
	case sayReady:
		if s.config.Ready != nil {
			s.config.Ready(child, h.report.Info)
		}
		tidyUp() // the supervisor has nothing more to do either
	case sayRefused:
		h.process.reason = h.report.Reason
	case sayRedial:
		for _, link := range s.config.Links {
			if link.Name == h.report.Link && link.Dialler == child && time.Since(s.linked[link.Name]) >= relinkRest {
				s.link(link)
			}
		}
	}
	return nil
}

func (s *supervisor) ended(p *process) error {
	delete(s.running, p.child.Name)
	up, how := time.Since(p.started), p.cmd.ProcessState
	s.config.Log.Info("child ended", "child", p.child.Name, "pid", p.cmd.Process.Pid, "how", how.String(), "up", up.Round(time.Millisecond))
	switch {
	case how.ExitCode() == ExitRefused: // both methods stand a nil state
		return &RefusedError{Child: p.child.Name, Reason: p.reason}
	case !s.draining:
		s.startLater(p.child.Name, up)
	}
	return nil
}

// link makes a link anew if both its ends are running. The server gets its end first; a process that cannot take one is
// dying or stuck, and its end is noticed elsewhere.
func (s *supervisor) link(link Link) {
	dialler, server := s.running[link.Dialler], s.running[link.Server]
	if dialler == nil || server == nil {
		return
	}
	s.linked[link.Name] = time.Now()
	a, b, err := socketpair(unix.SOCK_STREAM)
	if err != nil {
		s.config.Log.Error("link could not be made; it is made again when its dialler asks", "link", link.Name, "error", err)
		return
	}
	defer a.Close()
	defer b.Close()
	if err := server.order(order{Do: doLink, Link: link.Name}, a); err != nil {
		server.kill()
		return
	}
	if err := dialler.order(order{Do: doLink, Link: link.Name}, b); err != nil {
		dialler.kill()
	}
}

// drain ends the children one after the other, and whatever happens meanwhile starts none again.
func (s *supervisor) drain() {
	s.draining = true
	for _, child := range s.config.Children {
		p := s.running[child.Name]
		if p == nil {
			continue
		}
		if err := p.order(order{Do: doDrain}, nil); err != nil {
			p.kill()
		}
		limit := child.Drain
		if limit == 0 {
			limit = defaultDrain
		}
		if !s.waitFor(p, time.After(limit)) {
			s.config.Log.Warn("child did not end in time and is killed", "child", child.Name, "pid", p.cmd.Process.Pid, "limit", limit)
			p.kill()
			s.waitFor(p, nil)
		}
	}
}

// waitFor handles what happens until p has ended, or limit is over.
func (s *supervisor) waitFor(p *process, limit <-chan time.Time) bool {
	for s.running[p.child.Name] == p {
		select {
		case h := <-s.happened:
			if err := s.handle(h); err != nil {
				s.config.Log.Error("child refused while everything was ending", "child", h.process.child.Name, "error", err)
			}
		case <-s.restart: // nothing is started any more
		case <-limit:
			return false
		}
	}
	return true
}
