package ledger

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"seawall/internal/durable"
	"seawall/internal/mint"
)

// LogDir is where the segments lie in a ledger's directory.
const LogDir = "log"

const (
	stateFile  = "state.sealed"
	makingFile = "being-made" // there until a ledger has been made completely
	alarmFile  = "alarm"      // what a check found wrong; there until the whole log verifies
)

// Config says where a ledger lives.
type Config struct {
	// Dir is its directory, which belongs to it alone (0700).
	Dir string
	// Log gets lines for operators. Required.
	Log *slog.Logger
	// Level is the walls around the process, measured. The house shows it.
	Level string
	// Clock tells the time; nil means [time.Now].
	Clock func() time.Time

	disk   disk   // of the segments; nil means the folder LogDir
	limits limits // of the segments; zero means the usual ones
}

func (c *Config) clock() func() time.Time {
	if c.Clock == nil {
		return time.Now
	}
	return c.Clock
}

func (c *Config) sizes() limits {
	if c.limits == (limits{}) {
		return usualLimits
	}
	return c.limits
}

func (c *Config) path(name string) string { return filepath.Join(c.Dir, name) }

// Exists reports whether dir holds a ledger. A directory that holds some of it and not the rest is an error: what is
// missing must be put back, for a new ledger would not be trusted by anybody.
func Exists(dir string) (bool, error) {
	if err := checkPrivateDir(dir); err != nil {
		return false, err
	}
	log, err := exists(filepath.Join(dir, LogDir))
	if log || err != nil {
		return log, err
	}
	making, err := exists(filepath.Join(dir, makingFile))
	if making || err != nil {
		return false, err // a crash while it was being made: it has never served, so making it again loses nothing
	}
	for _, name := range []string{kekFile, rootFile, receiptsFile, stateFile} {
		if found, err := exists(filepath.Join(dir, name)); found || err != nil {
			return false, errors.Join(err, fmt.Errorf("the ledger in %s has lost its log: put the folder %s back from its newest copy; it is never made anew", dir, filepath.Join(dir, LogDir)))
		}
	}
	return false, checkEmpty(dir)
}

// checkEmpty refuses a directory in which something else lives.
func checkEmpty(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Name() != "lost+found" && !strings.HasSuffix(e.Name(), unfinishedSuffix) {
			return fmt.Errorf("%s holds no ledger, and is not empty (%s): a ledger needs a directory of its own", dir, e.Name())
		}
	}
	return nil
}

// Create makes a new ledger in an empty directory: keys, and a log that begins with its root. It fails if there is one.
func Create(c Config) error {
	if found, err := Exists(c.Dir); err != nil {
		return err
	} else if found {
		return fmt.Errorf("there is a ledger in %s already", c.Dir)
	}
	if err := durable.Replace(c.path(makingFile), nil, 0o600); err != nil {
		return err
	}
	now := c.clock()()
	keys, err := createKeys(c.Dir, now)
	if err != nil {
		return fmt.Errorf("making the ledger's keys: %w", err)
	}
	if err := c.createLog(keys, now); err != nil {
		return fmt.Errorf("making the log: %w", err)
	}
	if err := os.Remove(c.path(makingFile)); err != nil {
		return err
	}
	return durable.SyncDir(c.Dir)
}

// createLog makes the log beside its place and moves it there when it is durable.
func (c *Config) createLog(keys *vaultKeys, now time.Time) error {
	if c.disk != nil {
		return beginLog(c.disk, c.sizes(), keys, now)
	}
	temp := c.path(LogDir + unfinishedSuffix)
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	if err := os.Mkdir(temp, 0o700); err != nil {
		return err
	}
	if err := beginLog(folder(temp), c.sizes(), keys, now); err != nil {
		return err
	}
	if err := os.Rename(temp, c.path(LogDir)); err != nil {
		return err
	}
	return durable.SyncDir(c.Dir)
}

// beginLog writes the first batch: who the ledger is, and its first receipt key.
func beginLog(d disk, size limits, keys *vaultKeys, now time.Time) error {
	var origin originID
	rand.Read(origin[:])
	j, err := createJournal(d, size, origin, genesis(origin, keys.public()))
	if err != nil {
		return err
	}
	defer j.close()
	key := keys.newest()
	b := building{bytes: beginBatch(nil), key: key,
		trailer: trailer{millis: uint64(now.UnixMilli()), prev: genesis(origin, keys.public()), key: key.id}}
	b.add(&mint.Entry{Kind: mint.LedgerCreated, Detail: []mint.Field{
		{Name: "origin", Value: rawURL.EncodeToString(origin[:])},
		{Name: "root", Value: rawURL.EncodeToString(keys.public())},
	}})
	b.add(certificateEntry(key.certificate))
	b.finish()
	if err := j.write(b.bytes); err != nil {
		return err
	}
	return j.sync()
}

// Ledger is an open ledger. Its methods are safe for concurrent use.
type Ledger struct {
	dir   string
	log   *slog.Logger
	level string
	clock func() time.Time
	disk  disk
	sizes limits

	queue    queue
	finished chan struct{}   // closed when the committer has ended
	signing  chan signing    // to the workers; nil on one processor
	ctx      context.Context // ends when the ledger closes or fails
	stop     context.CancelFunc
	workers  sync.WaitGroup

	turn    sync.Mutex // held by whoever commits; guards what follows
	keys    *vaultKeys
	state   *state
	journal *journal
	head    mint.Head
	batch   building
	jobs    []*job

	recent   recentHeads
	bell     bell
	document atomic.Pointer[mint.Document]
	alarm    atomic.Pointer[mint.Refusal]
	failed   atomic.Pointer[error]

	complaints sync.Map // kind of complaint to the time of the last one
}

// Open opens the ledger in c.Dir for writing, after checking that the end of its log is as it was left. The rest of the
// log is checked in the background; if it is not as it was written the ledger refuses everything from then on.
func Open(c Config) (*Ledger, error) {
	if err := checkPrivateDir(c.Dir); err != nil {
		return nil, err
	}
	if c.disk == nil {
		if err := checkPrivateDir(c.path(LogDir)); err != nil {
			return nil, fmt.Errorf("the log: %w", err)
		}
		c.disk = folder(c.path(LogDir))
	}
	keys, err := loadKeys(c.Dir)
	if err != nil {
		return nil, err
	}
	l := &Ledger{dir: c.Dir, log: c.Log, level: c.Level, clock: c.clock(), disk: c.disk, sizes: c.sizes(), keys: keys,
		queue: queue{wake: make(chan struct{}, 1)}, finished: make(chan struct{})}
	l.ctx, l.stop = context.WithCancel(context.Background())
	if err := l.loadLog(); err != nil {
		l.stop()
		return nil, err
	}
	if err := l.recheck(); err != nil {
		l.stop()
		return nil, errors.Join(err, l.journal.close())
	}
	// A crash at the very end of the creation leaves its mark. It must not stay: without the log it would read as a
	// creation to begin again.
	if err := os.Remove(c.path(makingFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		l.stop()
		return nil, errors.Join(err, l.journal.close())
	}
	l.start()
	return l, nil
}

// loadLog reads the end of the log and gets ready to write behind it.
func (l *Ledger) loadLog() error {
	if err := removeUnfinished(l.disk); err != nil {
		return err
	}
	firsts, err := segments(l.disk)
	if err != nil {
		return err
	}
	if len(firsts) == 0 {
		return fmt.Errorf("the log in %s has no segments: put them back from their newest copy; a log is never begun anew", filepath.Join(l.dir, LogDir))
	}
	s, from, err := l.readState(firsts[0])
	if err != nil {
		return err
	}
	r, err := load(l.ctx, l.disk, s, from)
	if err != nil {
		return err
	}
	if string(s.Root) != string(l.keys.public()) {
		return fmt.Errorf("the keys in %s are not those of its log: put back the files that belong together", l.dir)
	}
	if r.cut != nil {
		l.log.Warn("the end of the last batch is missing after a crash: it was never acknowledged and is cut off",
			"segment", r.cut.segment, "offset", r.cut.offset, "bytes", r.cut.bytes)
	}
	l.state, l.head = s, r.at.Head
	l.recent.add(l.head)
	l.bell.start(l.head.Size)
	l.journal, err = reopenJournal(l.disk, l.sizes, s.Origin, r.at.Segment, r.at.Offset)
	return err
}

// snapshot is the state at a place in the log, as it is sealed.
type snapshot struct {
	At    place  `json:"at"`
	State *state `json:"state"`
}

// readState returns the saved state. It only spares reading, so one that is missing or does not open is no disaster: the
// state is then made again from the whole log.
func (l *Ledger) readState(first uint64) (*state, place, error) {
	plain, err := l.keys.sealer.read(l.dir, stateFile)
	if err == nil {
		var snap snapshot
		if err = json.Unmarshal(plain, &snap); err == nil && snap.State != nil && snap.State.Feeds == nil {
			// A seawall that knew no feeds has written it, and has passed over statements that may be in the log.
			err = errors.New("it is from a seawall without distrust feeds")
		} else if err == nil && snap.State != nil {
			snap.At.Head.Batch = snap.At.Batch
			return snap.State.index(), snap.At, nil
		}
	}
	if !errors.Is(err, os.ErrNotExist) {
		l.log.Warn("the saved state cannot be used: reading the whole log instead", "error", err)
	}
	r, err := openSegment(l.disk, first)
	if err != nil {
		return nil, place{}, err
	}
	defer r.close()
	g := genesis(r.header.origin, l.keys.public())
	return newState(), place{Head: mint.Head{Batch: g}, Batch: g, Offset: segmentHeader}, nil
}

// saveState saves the state as of the head, between two batches. Callers hold turn.
func (l *Ledger) saveState() error {
	at := place{Head: l.head, Batch: l.head.Batch, Segment: l.journal.first, Offset: l.journal.offset}
	plain, err := json.Marshal(snapshot{at, l.state})
	if err != nil {
		return err
	}
	return l.keys.sealer.write(l.dir, stateFile, plain)
}

// start sets the goroutines going.
func (l *Ledger) start() {
	if n := runtime.GOMAXPROCS(0); n > 1 {
		l.signing = make(chan signing, maxBatchEntries)
		for range n {
			l.workers.Go(func() {
				for s := range l.signing {
					s.do()
				}
			})
		}
	}
	l.tend()
	go l.run()
	l.workers.Go(l.tendHourly)
	l.workers.Go(l.checkInBackground)
}

// tendHourly looks after the receipt keys while nothing else happens.
func (l *Ledger) tendHourly() {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.queue.put(&job{alone: l.tend})
		case <-l.ctx.Done():
			return
		}
	}
}

// tend makes the next receipt key in time, records every key before it is used or published, and destroys the private
// part of a key that has been replaced. Callers hold turn, or are starting.
func (l *Ledger) tend() {
	now := l.clock()
	if nbf := l.keys.due(now); !nbf.IsZero() {
		if err := l.keys.add(nbf); err != nil {
			l.log.Error("the next receipt key could not be made", "error", err)
		}
	}
	for _, k := range l.keys.receipts {
		if _, k.recorded = l.state.known[k.id]; k.recorded {
			continue
		}
		// The key before it signs its entry. Only if there is none any more, it does so itself.
		k.recorded = l.keys.signing(uint64(now.UnixMilli())) == nil
		_, refusal := l.record([]*mint.Entry{certificateEntry(k.certificate)})
		if k.recorded = refusal == nil; !k.recorded {
			l.log.Error("the next receipt key could not be recorded", "key", k.id.String(), "error", refusal)
			break
		}
		l.log.Info("receipt key added", "key", k.id.String(), "nbf", k.certificate.NotBefore, "exp", k.certificate.Expires)
	}
	if err := l.keys.forget(now); err != nil {
		l.log.Error("a replaced receipt key could not be destroyed", "error", err)
	}
	l.publish(now)
}

// publish makes the document that validators get: the root, and every receipt key whose tokens may still be about.
func (l *Ledger) publish(now time.Time) {
	d := &mint.Document{Root: rawURL.EncodeToString(l.keys.public())}
	for _, c := range l.state.Receipts {
		if now.Before(time.Unix(c.Expires, 0).Add(shownAfter)) {
			d.ReceiptKeys = append(d.ReceiptKeys, c)
		}
	}
	l.document.Store(d)
}

// Document returns the public part of the ledger's keys. A key is in it only after it has been recorded.
func (l *Ledger) Document() mint.Document { return *l.document.Load() }

// Pin returns the fingerprint of the root.
func (l *Ledger) Pin() string { return mint.Pin(l.keys.public()) }

// Head returns the durable head of the log.
func (l *Ledger) Head() mint.Head { return l.recent.last() }

// Done is closed when the ledger stops, by Close or by itself; Err then says why.
func (l *Ledger) Done() <-chan struct{} { return l.ctx.Done() }

// Err returns why the ledger stopped by itself, or nil. The process should end then, and start again: that reads anew
// what really is on the disk.
func (l *Ledger) Err() error { return l.failure() }

// Close records what is queued, saves the state and closes the log. End every [Ledger.Serve] before.
func (l *Ledger) Close() error {
	l.queue.close()
	<-l.finished
	l.stop()
	if l.signing != nil {
		close(l.signing)
	}
	l.workers.Wait()
	if l.failure() != nil {
		return errors.Join(l.failure(), l.journal.close())
	}
	return errors.Join(l.saveState(), l.journal.cut(), l.journal.close())
}

// complain logs a condition that lasts, once a minute.
func (l *Ledger) complain(kind, text string) {
	if l.due(kind) {
		l.log.Error("nothing can be recorded", "reason", text)
	}
}

// due reports whether a complaint of this kind was not made within the last minute, and notes that it is made now.
func (l *Ledger) due(kind string) bool {
	now := time.Now()
	if last, found := l.complaints.Load(kind); found && now.Sub(last.(time.Time)) < time.Minute {
		return false
	}
	l.complaints.Store(kind, now)
	return true
}
