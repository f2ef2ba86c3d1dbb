package mint

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A head file is two slots of u64 turn, head (48 bytes) and checksum (8 bytes).
// They are written in turns, so a write cut short by a crash costs the newest
// head and never both.
const (
	contextHead  = "seawall-head-v1\x00"
	headSlot     = 64
	headFileSize = 2 * headSlot
	// headSyncs is how long a head may wait for its fsync. A power cut loses at
	// most this much memory, and an old head still tells a cut log.
	headSyncs = time.Second
)

// ErrOtherHistory reports a head that contradicts the one remembered: the same
// number of entries, and not the same entries. The ledger's log was replaced.
var ErrOtherHistory = errors.New("the ledger's log is not the one remembered: same size, other entries")

// HeadFile remembers the ledger's head across restarts, on behalf of somebody
// who is not the ledger: a log that is shorter than it, or another, was rolled
// back. It is safe for concurrent use.
type HeadFile struct {
	mu    sync.Mutex
	f     *os.File
	head  Head
	turn  uint64
	timer *time.Timer // runs while a write waits for its fsync
	err   error       // of a background fsync
}

// OpenHeadFile opens the head remembered at path, or begins an empty one there
// (mode 0600). A damaged file is an error: forgetting must be somebody's decision.
func OpenHeadFile(path string) (*HeadFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = createHeadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the remembered head: %w", err)
	}
	h := &HeadFile{f: f}
	if h.head, h.turn, err = readHeadFile(f); err != nil {
		f.Close()
		return nil, err
	}
	return h, nil
}

// ReadHeadFile reads the head remembered at path without changing anything.
func ReadHeadFile(path string) (Head, error) {
	f, err := os.Open(path)
	if err != nil {
		return Head{}, fmt.Errorf("reading the remembered head: %w", err)
	}
	defer f.Close()
	head, _, err := readHeadFile(f)
	return head, err
}

func createHeadFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		f.Close()
		return nil, err
	}
	defer dir.Close()
	_, err = f.Write(make([]byte, headFileSize))
	if err = errors.Join(err, f.Sync(), dir.Sync()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readHeadFile returns the newest whole slot. A file in which nothing was ever
// written is an empty head.
func readHeadFile(f *os.File) (head Head, turn uint64, err error) {
	var b [headFileSize]byte
	info, err := f.Stat()
	if err != nil {
		return head, 0, fmt.Errorf("reading the remembered head: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return head, 0, fmt.Errorf("the remembered head is open to other users: run chmod 600 %s", f.Name())
	}
	n, err := f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return head, 0, fmt.Errorf("reading the remembered head: %w", err)
	}
	if b == [headFileSize]byte{} && info.Size() <= headFileSize {
		return Head{}, 0, nil // created and never used, or a crash during creation
	}
	found := false
	for s := range 2 {
		slot := b[s*headSlot : (s+1)*headSlot]
		if sum := headChecksum(slot); string(sum[:8]) != string(slot[56:]) {
			continue
		}
		if t := binary.BigEndian.Uint64(slot); !found || t > turn {
			found, turn = true, t
			head, _ = ReadHead(slot[8:56])
		}
	}
	if !found || n != headFileSize || info.Size() != headFileSize {
		return Head{}, 0, fmt.Errorf("the remembered head in %s is damaged: %w; check the log with `seawall log verify`, then remove the file to trust the log as it is", f.Name(), ErrMalformed)
	}
	return head, turn, nil
}

func headChecksum(slot []byte) [32]byte {
	var b [len(contextHead) + 56]byte
	copy(b[copy(b[:], contextHead):], slot[:56])
	return sha256.Sum256(b[:])
}

// Head returns the newest head remembered; its size is 0 if there is none.
func (h *HeadFile) Head() Head {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.head
}

// Remember notes a head that the ledger told. An older one than that remembered
// is ignored: answers may arrive out of order. The write has reached the kernel
// when it returns, and the disk within a second; an error of that fsync is
// returned by the next call. It fails with [ErrOtherHistory] as that says.
func (h *HeadFile) Remember(head Head) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.err != nil:
		return h.err
	case head.Size < h.head.Size || head == h.head:
		return nil
	case head.Size == h.head.Size && head.Batch != h.head.Batch:
		return ErrOtherHistory
	}
	h.turn++
	var b [headSlot]byte
	binary.BigEndian.PutUint64(b[:], h.turn)
	head.append(b[8:8])
	sum := headChecksum(b[:])
	copy(b[56:], sum[:8])
	if _, err := h.f.WriteAt(b[:], int64(h.turn%2)*headSlot); err != nil {
		return fmt.Errorf("remembering the head: %w", err)
	}
	h.head = head
	if h.timer == nil {
		h.timer = time.AfterFunc(headSyncs, h.sync)
	}
	return nil
}

// sync runs without the lock while the disk is busy, so Remember never waits.
func (h *HeadFile) sync() {
	h.mu.Lock()
	h.timer = nil
	f := h.f
	h.mu.Unlock()
	if f == nil {
		return
	}
	if err := f.Sync(); err != nil && !errors.Is(err, os.ErrClosed) {
		h.mu.Lock()
		h.err = fmt.Errorf("remembering the head: %w", err)
		h.mu.Unlock()
	}
}

// Close makes the newest head durable and closes the file.
func (h *HeadFile) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.f == nil {
		return nil
	}
	if h.timer != nil {
		h.timer.Stop()
	}
	err := errors.Join(h.err, h.f.Sync(), h.f.Close())
	h.f = nil
	if h.err == nil {
		h.err = os.ErrClosed
	}
	return err
}
