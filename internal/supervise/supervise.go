// Package supervise keeps the processes of one seawall together: the parent that starts, joins and restarts them, and the
// child's side of that.
//
// The supervisor ([Run]) listens on nothing and reads no key. It locks the data directory ([OpenData]), gives each child
// one directory beneath it, starts the children from its own program file, and keeps one control socket to each. Links
// between children are socketpairs that it makes and hands out over the control sockets, so no child can reach another
// in a way that is not in [Config].
//
// A child that dies, however it dies, is started again after a growing pause, and each of its links is made anew for both
// ends. A child that ends with [ExitRefused] has found something that a restart cannot mend; then everything stops. When
// the supervisor is told to stop it drains the children in the order of the list. When it is killed, every child sees the
// end of its control socket and ends too, by force after 5 s. Should one in the wrong hands manage to stay, it still holds
// the lock of its directory, and no other supervisor starts beside it.
//
// The child calls [Join] after it is behind its walls (package fence), asks for its links by name, and reports when it is
// ready. Standard output and standard error of a child are the supervisor's standard error itself, not a pipe, so that
// nothing a crashing child says is lost.
//
// The supervisor may run as root and a child may be in the wrong hands: what a child sends is bounded in size, strictly
// parsed, and can do no more than report, ask for a link of its own to be made again, or make the supervisor stop.
package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"time"
)

// The descriptors every child is started with, besides 0, 1 and 2.
const (
	// ControlFD is the control socket, for [Join].
	ControlFD = 3
	// DirFD is the child's own directory, locked.
	DirFD = 4
)

// ExitRefused is the exit status of a child that will not run with this configuration or state, however often it is
// tried (EX_CONFIG of sysexits.h). [Member.Refuse] tells the supervisor why.
const ExitRefused = 78

// Config is what a supervisor runs.
type Config struct {
	// Data is the locked data directory.
	Data *Data
	// Children, in the order in which they are drained.
	Children []Child
	// Links between them.
	Links []Link
	// Log gets one line for each start, end and restart. Required.
	Log *slog.Logger
	// Stderr becomes standard output and standard error of the children; nil means os.Stderr.
	Stderr *os.File
	// Ready, if not nil, is told what each child reports with [Member.Ready], after each of its starts. It is called from
	// one goroutine and holds up everything while it runs. info was written by the child: JSON, at most 16 KiB.
	Ready func(child string, info json.RawMessage)
}

// Child is one process to keep running.
type Child struct {
	// Name is also the name of its directory beneath the data directory.
	Name string
	// Args follow the program's name, for instance {"signer", "--supervised"}.
	Args []string
	// UID owns the child's directory when the supervisor runs as root. The child starts as root then, and changes to this
	// user itself when it enters its fence. Otherwise UID is not used.
	UID int
	// Drain is how long the child may take to end once told to; 0 means 10 s. Then it is killed.
	Drain time.Duration
}

// Link is a stream between two children.
type Link struct {
	// Name is how both ends ask for it.
	Name string
	// Dialler and Server are the names of the children at its ends. Only the dialler may ask for it to be made again.
	Dialler, Server string
}

// RefusedError says that a child ended with [ExitRefused].
type RefusedError struct {
	Child  string
	Reason string // what the child gave as its reason, "" if nothing
}

func (e *RefusedError) Error() string {
	if e.Reason == "" {
		return e.Child + " refused to run; it says why above"
	}
	return e.Child + " refused to run: " + e.Reason
}

// ErrGone is returned by everything that waits when the supervisor is gone. The process must end.
var ErrGone = errors.New("supervise: the supervisor is gone")

const defaultDrain = 10 * time.Second

// goneGrace is how long a child may take to end by itself after its supervisor is gone.
const goneGrace = 5 * time.Second

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// check finds mistakes of the programmer.
func (c *Config) check() error {
	if c.Data == nil || c.Log == nil || len(c.Children) == 0 {
		return errors.New("supervise: needs a data directory, a log and children")
	}
	known := map[string]bool{}
	for _, child := range c.Children {
		if !namePattern.MatchString(child.Name) || known[child.Name] {
			return fmt.Errorf("supervise: %q is no name for a child, or names two", child.Name)
		}
		if os.Geteuid() == 0 && child.UID <= 0 {
			return fmt.Errorf("supervise: %s has no user id, which it needs when started by root", child.Name)
		}
		known[child.Name] = true
	}
	named := map[string]bool{}
	for _, link := range c.Links {
		if !namePattern.MatchString(link.Name) || named[link.Name] {
			return fmt.Errorf("supervise: %q is no name for a link, or names two", link.Name)
		}
		if !known[link.Dialler] || !known[link.Server] || link.Dialler == link.Server {
			return fmt.Errorf("supervise: the link %s has no two ends", link.Name)
		}
		named[link.Name] = true
	}
	return nil
}

// The pause before a child is started again: doubling, and back to the first once the child has stayed up.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 10 * time.Second
	steady       = time.Minute
)

// nextPause is the pause after a child that was up for this long, given the pause before that start (0: none).
func nextPause(last, up time.Duration) time.Duration {
	if last == 0 || up >= steady {
		return firstPause
	}
	return min(2*last, longestPause)
}
