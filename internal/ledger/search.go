package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"time"

	"seawall/internal/mint"
)

// Filter says which entries are looked for: those with all of the values that are not empty.
type Filter struct {
	Tenant, Client, Subject, KID, JTI string
	Session                           string // of a person: its sign-in, its tokens, its end, what is said of it
	Kind                              mint.EntryKind
	Since, Until                      time.Time // Until is not included
}

func (f *Filter) matches(e *mint.Entry) bool {
	return (f.Kind == "" || e.Kind == f.Kind) &&
		(f.Tenant == "" || e.Tenant == f.Tenant) &&
		(f.Client == "" || e.Client == f.Client) &&
		(f.Subject == "" || e.Subject == f.Subject) &&
		(f.KID == "" || e.KID == f.KID) &&
		(f.JTI == "" || e.JTI == f.JTI) &&
		(f.Session == "" || f.Session == sessionOf(e))
}

// sessionOf returns the session of a person that an entry is about: a token has its sid, a sign-in and an end name it, and
// so does a statement about it. "" if there is none.
func sessionOf(e *mint.Entry) string {
	name := "session"
	switch e.Kind {
	case mint.TokenIssued:
		name = "sid"
	case mint.DistrustStated:
		if mint.DistrustKind(detail(e, "kind")) == mint.DistrustSession {
			name = "value"
		}
	}
	return detail(e, name)
}

// needles are texts that an entry must contain to match. Looking for them is much cheaper than reading it.
func (f *Filter) needles() (list [][]byte) {
	for _, s := range [...]string{f.JTI, f.Session, f.KID, f.Subject, f.Client, f.Tenant, string(f.Kind)} {
		if s != "" {
			list = append(list, []byte(s))
		}
	}
	return list
}

// Search reads the log of the ledger in dir in order and calls each with every entry that f matches, as it is found. It
// works beside a running ledger. It checks nothing: [Verify] does. Where a segment is damaged the rest of it is left out,
// the search goes on with the next, and the error says so at the end. progress may be nil.
func Search(ctx context.Context, dir string, f Filter, progress func(Progress), each func(mint.NumberedEntry) error) error {
	d := readOnly{folder(filepath.Join(dir, LogDir))}
	firsts, err := segments(d)
	if err != nil {
		return err
	}
	s := &search{filter: f, needles: f.needles(), each: each, report: progress}
	if firsts, err = sinceSegment(d, firsts, f.Since); err != nil {
		return err
	}
	if s.progress.Total, err = totalSize(d, firsts); err != nil {
		return err
	}
	var damaged error
	for _, first := range firsts {
		err := s.segment(ctx, d, first)
		if found := new(damage); errors.As(err, &found) && damaged == nil {
			damaged = fmt.Errorf("a part of the log could not be searched: %w; look at it with `seawall log verify`", err)
		} else if err != nil {
			return err
		}
		if s.past {
			break
		}
	}
	return damaged
}

// sinceSegment leaves out the segments that end before since.
func sinceSegment(d disk, firsts []uint64, since time.Time) ([]uint64, error) {
	if since.IsZero() {
		return firsts, nil
	}
	var failed error
	ms := uint64(max(0, since.UnixMilli()))
	n := sort.Search(len(firsts), func(i int) bool {
		begins, err := firstTime(d, firsts[i])
		failed = errors.Join(failed, err)
		return begins > ms
	})
	return firsts[max(0, n-1):], failed
}

// firstTime returns the time of the first batch of a segment; if it has none, the end of time.
func firstTime(d disk, first uint64) (uint64, error) {
	r, err := openSegment(d, first)
	if err != nil {
		return 0, err
	}
	defer r.close()
	c := new(chunk)
	if err := r.read(c); err != nil {
		if found := new(damage); err == io.EOF || errors.As(err, &found) {
			return 1<<64 - 1, nil
		}
		return 0, err
	}
	return c.batches[0].millis, nil
}

type search struct {
	filter   Filter
	needles  [][]byte
	each     func(mint.NumberedEntry) error
	report   func(Progress)
	progress Progress
	past     bool // everything from here on is later than asked for
}

func (s *search) segment(ctx context.Context, d disk, first uint64) error {
	r, err := openSegment(d, first)
	if err != nil {
		return err
	}
	defer r.close()
	base := s.progress.Bytes
	for c := new(chunk); !s.past; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.read(c); err != nil {
			s.progress.Bytes = base + r.size
			if found := new(damage); err == io.EOF || errors.As(err, &found) && found.torn {
				return nil
			}
			return err
		}
		for i := range c.batches {
			if err := s.batch(&c.batches[i]); err != nil {
				return err
			}
		}
		if s.progress.Bytes = base + r.offset; s.report != nil {
			s.report(s.progress)
		}
	}
	return nil
}

func (s *search) batch(b *batch) error {
	t := time.UnixMilli(int64(b.millis))
	s.past = !s.filter.Until.IsZero() && !t.Before(s.filter.Until)
	s.progress.Entries += uint64(b.count)
	if s.past || t.Before(s.filter.Since) {
		return nil
	}
	return b.each(func(i int, raw []byte) error {
		for _, needle := range s.needles {
			if !bytes.Contains(raw, needle) {
				return nil
			}
		}
		e, err := mint.ReadEntry(raw)
		if err != nil {
			return &damage{offset: b.offset, what: err}
		}
		if !s.filter.matches(e) {
			return nil
		}
		return s.each(mint.NumberedEntry{Sequence: b.first + uint64(i), Entry: *e})
	})
}

// Export copies the log of the ledger in dir to the new directory out, whole batches only, in a form that [Verify] and
// [Search] take as a ledger's directory. It holds no key.
func Export(ctx context.Context, dir, out string, progress func(Progress)) error {
	from := readOnly{folder(filepath.Join(dir, LogDir))}
	firsts, err := segments(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o700); err != nil {
		return err
	}
	target := folder(filepath.Join(out, LogDir))
	if err := os.Mkdir(string(target), 0o700); err != nil {
		return err
	}
	var p Progress
	if p.Total, err = totalSize(from, firsts); err != nil {
		return err
	}
	for _, first := range firsts {
		if err := exportSegment(ctx, from, target, first, func(n int64, entries uint64) {
			p.Bytes, p.Entries = p.Bytes+n, p.Entries+entries
			if progress != nil {
				progress(p)
			}
		}); err != nil {
			return fmt.Errorf("copying %s: %w", segmentName(first), err)
		}
	}
	return target.Sync()
}

func exportSegment(ctx context.Context, from, to disk, first uint64, copied func(bytes int64, entries uint64)) error {
	r, err := openSegment(from, first)
	if err != nil {
		return err
	}
	defer r.close()
	f, err := to.Create(segmentName(first))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(r.header.append(nil), 0); err != nil {
		return err
	}
	for c := new(chunk); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := r.offset
		if err := r.read(c); err != nil {
			if found := new(damage); err == io.EOF || errors.As(err, &found) && found.torn {
				return f.Sync()
			}
			return err
		}
		n := r.offset - at
		if _, err := f.WriteAt(c.buf[:n], at); err != nil {
			return err
		}
		copied(n, c.batches[len(c.batches)-1].end()-c.batches[0].first)
	}
}
