package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"seawall/internal/testenv"
)

// A killed process loses nothing that it wrote: the kernel has it. What a power cut would lose is lost by the fault layer
// instead, which keeps writes to the log inside the process until they are synced, so that kill -9 drops the rest.
var faultLayer = []edit{
	{"internal/ledger/disk.go", "type osFile struct{ *os.File }\n", `type osFile struct{ *os.File }

type faultWrite struct {
	b   []byte
	off int64
}

var (
	faultLock sync.Mutex
	faultHeld    = map[*os.File][]faultWrite{}
)

func (f osFile) WriteAt(b []byte, off int64) (int, error) {
	faultLock.Lock()
	defer faultLock.Unlock()
	faultHeld[f.File] = append(faultHeld[f.File], faultWrite{append([]byte(nil), b...), off})
	return len(b), nil
}

func (f osFile) release() error {
	faultLock.Lock()
	defer faultLock.Unlock()
	for _, w := range faultHeld[f.File] {
		if _, err := f.File.WriteAt(w.b, w.off); err != nil {
			return err
		}
	}
	delete(faultHeld, f.File)
	return nil
}
`},
	{"internal/ledger/disk.go", "func (f osFile) Sync() error { return fdatasync(f.File) }", `func (f osFile) Sync() error {
	if err := f.release(); err != nil {
		return err
	}
	return fdatasync(f.File)
}`},
	{"internal/ledger/disk.go", "\t\"path/filepath\"\n", "\t\"path/filepath\"\n\t\"sync\"\n"},
}

// answersEarly makes the ledger answer, and only then sync, a moment later.
var answersEarly = edit{"internal/ledger/commit.go", `		signed := l.signAnswers(b, jobs)
		err = l.journal.sync()
		signed.Wait()
	}
	if err != nil {
		l.fail(err)
		return
	}
	l.advance(b)
	for _, j := range jobs {
		j.done(b.head)
	}
`, `		l.signAnswers(b, jobs).Wait()
	}
	if err != nil {
		l.fail(err)
		return
	}
	l.advance(b)
	for _, j := range jobs {
		j.done(b.head)
	}
	time.AfterFunc(20*time.Millisecond, func() { // answers leave when this has returned
		if err := l.journal.sync(); err != nil {
			l.fail(err)
		}
	})
`}

// killLedger kills the ledger under load and returns how many released tokens have no entry, and how many there were.
func killLedger(t *testing.T, binary string) (missing, released int) {
	t.Helper()
	s := testenv.Start(t, testenv.Options{Binary: binary})
	w := populate(t, s, "acme")
	path := filepath.Join(t.TempDir(), "released")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen, stop := &witness{file: file}, make(chan struct{})
	clients := load(t, w, seen, stop)
	waitFor(t, func() bool { return seen.count.Load() >= 30 })
	if err := syscall.Kill(s.Child("ledger"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// Everything ends at once: a ledger that came back would go on numbering where the lost entries were.
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.Exited()
	close(stop)
	clients.Wait()
	lost, released := unrecorded(t, s, path)
	return len(lost), released
}

// TestUnsyncedWritesAreNotMissed: with everything dropped that was not synced, each released token still has its entry.
func TestUnsyncedWritesAreNotMissed(t *testing.T) {
	faulty := buildWithout(t, faultLayer)
	s := testenv.Start(t, testenv.Options{Binary: faulty})
	w := populate(t, s, "acme")
	s, path := storm(t, s, w, kills()/2)
	w.accepted(t, s, w.tokenSoon(t))
	s.Stop()
	if status, out := verify(s); status != 0 {
		t.Fatalf("log verify: status %d, %s", status, out)
	}
	missing, released := unrecorded(t, s, path)
	t.Logf("%d kills, %d tokens released, %d without an entry", kills()/2, released, len(missing))
	if len(missing) > 0 {
		t.Errorf("%d of %d released tokens have no entry, such as %s", len(missing), released, missing[0])
	}
}

// TestTheControlLosesEntries: a ledger that answers before it syncs must fail, or the test above proves nothing.
func TestTheControlLosesEntries(t *testing.T) {
	early := buildWithout(t, append(append([]edit(nil), faultLayer...), answersEarly))
	for range 20 { // one is mostly enough, and a busy machine may need more
		if missing, released := killLedger(t, early); missing > 0 {
			t.Logf("%d of %d released tokens have no entry", missing, released)
			return
		}
	}
	t.Error("a ledger that answers before it syncs lost nothing in twenty kills: the kill test can't see what it is for")
}

// TestTheRealLedgerLosesNothing is the same act on the real thing.
func TestTheRealLedgerLosesNothing(t *testing.T) {
	if missing, released := killLedger(t, program); missing > 0 {
		t.Errorf("%d of %d released tokens have no entry", missing, released)
	}
}
