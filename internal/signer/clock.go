package signer

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

const (
	clockFile = "clock"
	maxJump   = 5 * time.Minute
	// maxDowntime is how far the wall clock may be ahead of the ledger's last entry after a reboot.
	maxDowntime = 7 * day
)

// Clock is where a signer gets the time from.
type Clock interface {
	// Now is the wall clock.
	Now() time.Time
	// Boot is the time since boot, sleep included, and a name for that boot. Nobody can set it.
	Boot() (id string, since time.Duration)
}

// clockState is what the guard remembers across restarts. Times are Unix milliseconds.
type clockState struct {
	BootID string        `json:"boot_id"`
	Wall   int64         `json:"wall_ms"` // the wall clock when the boot clock read Boot, and both were believed
	Boot   time.Duration `json:"boot_ns"`
	// Frozen says why transitions are frozen; empty when they are not. Recorded: the ledger knows.
	Frozen   string `json:"frozen,omitempty"`
	Recorded bool   `json:"recorded,omitempty"`
	// Accepted is the time of the ledger's last entry when somebody accepted the clock: entries up to it were made by
	// clocks that are known to have been wrong.
	Accepted uint64 `json:"accepted_ms,omitempty"`
}

// guard decides whether the clock can be believed; see the package comment for its rules.
type guard struct {
	clock Clock
	disk  *disk

	mu    sync.Mutex
	state clockState
}

// openGuard reads what was remembered.
func openGuard(clock Clock, d *disk) (*guard, error) {
	g := &guard{clock: clock, disk: d}
	if err := d.readJSON(clockFile, &g.state); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, refused("what the clock guard remembers cannot be read: %w; remove the file to have the clock judged by the ledger's last entry", err)
	}
	return g, nil
}

// look judges the clock. last is the time of the ledger's last entry (0: none), theirs that of the ledger's own clock
// (0: not known now). changed reports that it has just been frozen.
func (g *guard) look(last, theirs uint64) (changed bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	id, since := g.clock.Boot()
	sameBoot := id != "" && id == g.state.BootID
	why := g.judge(now, since, sameBoot, last, theirs)
	if sameBoot && (why == "" || g.state.Frozen != "") {
		return false, nil
	}
	next := g.state
	if !sameBoot {
		next.BootID, next.Wall, next.Boot = id, now.UnixMilli(), since
	}
	if why != "" && next.Frozen == "" {
		next.Frozen, next.Recorded, changed = why, false, true
	}
	if err := g.disk.writeJSON(clockFile, next); err != nil {
		return false, fmt.Errorf("remembering the clock: %w", err)
	}
	g.state = next
	return changed, nil
}

// judge says what is wrong with the clock, or nothing.
func (g *guard) judge(now time.Time, since time.Duration, sameBoot bool, last, theirs uint64) string {
	if theirs != 0 {
		if apart := now.Sub(time.UnixMilli(int64(theirs))); apart.Abs() > maxJump {
			return fmt.Sprintf("this host's clock and the ledger's are %s apart", round(apart.Abs()))
		}
	}
	if sameBoot {
		expected := time.UnixMilli(g.state.Wall).Add(since - g.state.Boot)
		if jump := now.Sub(expected); jump.Abs() > maxJump {
			return fmt.Sprintf("the clock was set by %s since %s", signed(jump), time.UnixMilli(g.state.Wall).UTC().Format(time.RFC3339))
		}
	}
	if last == 0 || last <= g.state.Accepted {
		return ""
	}
	ahead := now.Sub(time.UnixMilli(int64(last)))
	switch {
	case ahead < -maxJump:
		return fmt.Sprintf("the clock is %s behind the ledger's last entry", round(-ahead))
	case !sameBoot && ahead > maxDowntime:
		return fmt.Sprintf("the clock is %s ahead of the ledger's last entry after a restart of this host", round(ahead))
	}
	return ""
}

func round(d time.Duration) time.Duration { return d.Round(time.Second) }

func signed(d time.Duration) string {
	if d > 0 {
		return "+" + round(d).String()
	}
	return round(d).String()
}

// frozen says why transitions are frozen, or nothing, and whether the ledger knows.
func (g *guard) frozen() (why string, recorded bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state.Frozen, g.state.Recorded
}

// recorded notes that the freeze is an entry in the ledger.
func (g *guard) recorded() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := g.state
	next.Recorded = true
	return g.set(next)
}

// accept believes the clock from here on.
func (g *guard) accept(last uint64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	id, since := g.clock.Boot()
	return g.set(clockState{BootID: id, Wall: g.clock.Now().UnixMilli(), Boot: since, Accepted: last})
}

func (g *guard) set(next clockState) error {
	if err := g.disk.writeJSON(clockFile, next); err != nil {
		return fmt.Errorf("remembering the clock: %w", err)
	}
	g.state = next
	return nil
}
