package ledger

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"seawall/internal/durable"
	"seawall/internal/mint"
)

// recheck reads the whole log before anything is served, if an earlier check found it changed.
func (l *Ledger) recheck() error {
	path := filepath.Join(l.dir, alarmFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	l.log.Warn("an earlier check found the log changed: checking all of it before serving", "found", string(text))
	report, err := verifyLog(l.ctx, l.disk, VerifyOptions{Pin: l.Pin()})
	if err != nil {
		return err
	}
	if !report.Good() {
		return tampered("%s", report.Findings[0])
	}
	return os.Remove(path)
}

// checkInBackground reads the whole log while the ledger serves, at about half the speed that it could. What it finds
// wrong is written down, so that a restart does not serve before it has looked again.
func (l *Ledger) checkInBackground() {
	last := time.Now()
	report, err := verifyLog(l.ctx, l.disk, VerifyOptions{Pin: l.Pin(), sparingly: true, Progress: func(Progress) {
		if busy := time.Since(last); busy > 5*time.Millisecond {
			select {
			case <-time.After(busy):
			case <-l.ctx.Done():
			}
			last = time.Now()
		}
	}})
	debug.FreeOSMemory() // reading took far more than serving will
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil: // nothing was found to be changed; the next start tries again
		l.log.Error("the log could not be checked to its end", "error", err)
	case !report.Good():
		l.raise(report.Findings[0].String())
	}
}

// raise refuses everything from now on.
func (l *Ledger) raise(found string) {
	refusal := mint.Refuse(mint.StateRolledBack, "the ledger found its log changed and refuses everything: %s", found)
	if !l.alarm.CompareAndSwap(nil, refusal) {
		return
	}
	l.log.Error("alarm: the log was changed; nothing is recorded any more", "found", found)
	if err := durable.Replace(filepath.Join(l.dir, alarmFile), []byte(found+"\n"), 0o600); err != nil {
		l.log.Error("the alarm could not be written down", "error", err)
	}
}
