package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
)

var errCrashed = errors.New("the machine has crashed")

// faultDisk is a disk in memory that does what disks are allowed to do, at the worst moment: at a crash every 512-byte
// sector that was not synced is there or not, and so is every name.
type faultDisk struct {
	mu      sync.Mutex
	names   map[string]*faultFile // as processes see them
	durable map[string]*faultFile // as of the last Sync of the folder

	random  *rand.Rand
	ops     int
	crashAt int        // the operation at which the machine crashes; 0: never
	after   *faultDisk // what is there after the crash

	early    bool  // Sync answers at once and syncs only at the next Sync: as if the ledger answered before its fsync
	syncFail error // the next Sync of a file fails with it
	room     int64 // bytes that files may take together; 0: no limit
}

type faultFile struct {
	disk   *faultDisk
	now    []byte
	stable []byte // as of the last Sync
	late   []byte // what an early disk will make stable next time
}

func newFaultDisk(seed uint64) *faultDisk {
	return &faultDisk{names: map[string]*faultFile{}, durable: map[string]*faultFile{}, random: rand.New(rand.NewPCG(seed, 1))}
}

// op counts an operation that changes something, and crashes at the right one.
func (d *faultDisk) op() error {
	if d.after != nil {
		return errCrashed
	}
	if d.ops++; d.ops == d.crashAt {
		d.after = d.crash()
		return errCrashed
	}
	return nil
}

func (d *faultDisk) crashed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.after != nil
}

// crash returns what a machine finds when it comes up again.
func (d *faultDisk) crash() *faultDisk {
	out := newFaultDisk(d.random.Uint64())
	out.early, out.room = d.early, d.room
	names := d.durable
	if d.random.IntN(2) == 0 {
		names = d.names
	}
	for name, f := range names {
		c := &faultFile{disk: out, now: d.tear(f)}
		c.stable, c.late = bytes.Clone(c.now), bytes.Clone(c.now)
		out.names[name], out.durable[name] = c, c
	}
	return out
}

// tear mixes the sectors of a file as it was synced with those that were written since.
func (d *faultDisk) tear(f *faultFile) []byte {
	size := len(f.stable)
	if len(f.now) != size && d.random.IntN(2) == 0 {
		size = len(f.now)
	}
	out := make([]byte, size)
	for at := 0; at < size; at += sector {
		from := f.stable
		if d.random.IntN(2) == 0 {
			from = f.now
		}
		if at < len(from) {
			copy(out[at:min(at+sector, size)], from[at:])
		}
	}
	return out
}

func (d *faultDisk) List() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.after != nil {
		return nil, errCrashed
	}
	return slices.Collect(maps.Keys(d.names)), nil
}

func (d *faultDisk) Open(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.after != nil {
		return nil, errCrashed
	}
	if f := d.names[name]; f != nil {
		return f, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (d *faultDisk) Create(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.op(); err != nil {
		return nil, err
	}
	if d.names[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	f := &faultFile{disk: d}
	d.names[name] = f
	return f, nil
}

func (d *faultDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.op(); err != nil {
		return err
	}
	d.names[to] = d.names[from]
	delete(d.names, from)
	return nil
}

func (d *faultDisk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.op(); err != nil {
		return err
	}
	delete(d.names, name)
	return nil
}

func (d *faultDisk) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.op(); err != nil {
		return err
	}
	d.durable = maps.Clone(d.names)
	return nil
}

func (f *faultFile) ReadAt(b []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.after != nil {
		return 0, errCrashed
	}
	if off >= int64(len(f.now)) {
		return 0, io.EOF
	}
	n := copy(b, f.now[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *faultFile) WriteAt(b []byte, off int64) (int, error) {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.op(); err != nil {
		return 0, err
	}
	n, full := len(b), error(nil)
	if d.room > 0 {
		if left := d.room - d.used() + int64(len(f.now)) - off; int64(n) > left {
			n, full = int(max(0, left)), fmt.Errorf("write: %w", syscall.ENOSPC)
		}
	}
	if end := off + int64(n); end > int64(len(f.now)) {
		f.now = append(f.now, make([]byte, end-int64(len(f.now)))...)
	}
	copy(f.now[off:], b[:n])
	return n, full
}

func (d *faultDisk) used() (sum int64) {
	for _, f := range d.names {
		sum += int64(len(f.now))
	}
	return sum
}

func (f *faultFile) Size() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return int64(len(f.now)), nil
}

func (f *faultFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.op(); err != nil {
		return err
	}
	if size < int64(len(f.now)) {
		f.now = f.now[:size:size]
	}
	return nil
}

func (f *faultFile) Sync() error {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.op(); err != nil {
		return err
	}
	if err := d.syncFail; err != nil {
		return err
	}
	if d.early {
		f.stable, f.late = f.late, bytes.Clone(f.now)
	} else {
		f.stable = bytes.Clone(f.now)
	}
	return nil
}

func (f *faultFile) Close() error { return nil }
