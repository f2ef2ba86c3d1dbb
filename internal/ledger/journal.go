package ledger

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// unfinishedSuffix marks a segment whose header may not have arrived yet.
	unfinishedSuffix = ".new"
	aheadSize        = 1 << 20
	// aheadSmall is what a disk that is nearly full is asked for instead.
	aheadSmall = 4 << 10
)

// errFull reports that there is no room for a batch. Nothing of it was kept, and the next one may fit.
var errFull = errors.New("the disk of the ledger is full")

// journal is the writing end of the log: the segment that grows. It knows bytes, not entries. After any error but
// errFull it must not be used any more: what is on the disk is then unknown until somebody reads it again.
type journal struct {
	disk   disk
	origin originID
	f      file
	first  uint64 // of the segment
	offset int64  // where the next batch begins
	ahead  int64  // the file is this large, zeros from offset on
	limits limits
}

// limits are the sizes of the files.
type limits struct {
	segment int64 // what has grown past it gets no further batch
	ahead   int64 // how far ahead of the batches a segment is filled with zeros; at most len(zeros)
}

var usualLimits = limits{segment: segmentSize, ahead: aheadSize}

// createJournal begins a log whose chain starts at prev.
func createJournal(d disk, size limits, origin originID, prev hash) (*journal, error) {
	j := &journal{disk: d, limits: size, origin: origin}
	return j, j.begin(0, prev)
}

// reopenJournal continues the segment first, whose batches end at offset. Anything behind it is cut off.
func reopenJournal(d disk, size limits, origin originID, first uint64, offset int64) (*journal, error) {
	f, err := d.Open(segmentName(first))
	if err != nil {
		return nil, fmt.Errorf("opening the segment: %w", err)
	}
	j := &journal{disk: d, limits: size, origin: origin, f: f, first: first, offset: offset}
	if err := j.cut(); err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

// removeUnfinished removes what a crash left of the beginning of a segment.
func removeUnfinished(d disk) error {
	names, err := d.List()
	if err != nil {
		return fmt.Errorf("looking for segments: %w", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, unfinishedSuffix) {
			if err := d.Remove(name); err != nil {
				return fmt.Errorf("removing an unfinished segment: %w", err)
			}
		}
	}
	return nil
}

// full reports whether the segment gets no further batch.
func (j *journal) full() bool { return j.offset >= j.limits.segment }

// cut ends the file at offset, durably.
func (j *journal) cut() error {
	if err := j.f.Truncate(j.offset); err != nil {
		return fmt.Errorf("cutting the segment: %w", err)
	}
	j.ahead = j.offset
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("syncing the segment: %w", err)
	}
	return nil
}

// begin makes the segment that starts with the entry first the present one. Its file gets its name only when its header
// is durable, so a file with a segment's name always has one.
func (j *journal) begin(first uint64, prev hash) error {
	name := segmentName(first)
	f, err := j.disk.Create(name + unfinishedSuffix)
	if err != nil {
		return fmt.Errorf("beginning a segment: %w", err)
	}
	h := header{origin: j.origin, first: first, prev: prev}
	_, err = f.WriteAt(h.append(nil), 0)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("beginning a segment: %w", err), f.Close())
	}
	// From here on a failure is never taken for a full disk: the segment may exist, and the one before is finished then.
	if err := errors.Join(j.disk.Rename(name+unfinishedSuffix, name), j.disk.Sync()); err != nil {
		return errors.Join(fmt.Errorf("beginning a segment: %v", err), f.Close())
	}
	if j.f != nil {
		if err := j.f.Close(); err != nil {
			return errors.Join(fmt.Errorf("closing a segment: %w", err), f.Close())
		}
	}
	j.f, j.first, j.offset, j.ahead = f, first, segmentHeader, segmentHeader
	return nil
}

// next ends the present segment and begins the one that starts with the entry first.
func (j *journal) next(first uint64, prev hash) error {
	if err := j.cut(); err != nil {
		return err
	}
	err := j.begin(first, prev)
	if err == nil || !isFull(err) {
		return err
	}
	if err := removeUnfinished(j.disk); err != nil {
		return err
	}
	return errFull
}

// write puts a batch behind the others. It counts only after sync.
func (j *journal) write(b []byte) error {
	if err := j.extend(int64(len(b))); err != nil {
		return err
	}
	if _, err := j.f.WriteAt(b, j.offset); err != nil {
		return j.undo(err)
	}
	j.offset += int64(len(b))
	return nil
}

// extend fills the file with zeros ahead of a batch of n bytes, and far ahead if the disk has room for that.
func (j *journal) extend(n int64) error {
	for step := j.limits.ahead; j.offset+n > j.ahead; {
		if _, err := j.f.WriteAt(zeros[:step], j.ahead); err == nil {
			j.ahead += step
			continue
		} else if err := j.undo(err); err != errFull || step == aheadSmall {
			return err
		}
		step = aheadSmall
	}
	return nil
}

var zeros [aheadSize]byte

// undo takes a half-written batch away when the disk was full.
func (j *journal) undo(err error) error {
	if !isFull(err) {
		return fmt.Errorf("writing to the segment: %w", err)
	}
	if err := j.f.Truncate(j.offset); err != nil {
		return fmt.Errorf("taking back what did not fit on the disk: %w", err)
	}
	j.ahead = j.offset
	return errFull
}

// sync makes everything written durable.
func (j *journal) sync() error {
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("syncing the segment: %w", err)
	}
	return nil
}

func (j *journal) close() error { return j.f.Close() }
