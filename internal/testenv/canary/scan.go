package canary

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Finding is a secret where none may be. It does not hold any of the secret.
type Finding struct {
	Where  string // the name given to the scan, a path, and what it was unpacked from
	Secret string // name of the secret
	Form   string // how it is written there
	Offset int64  // where it begins, in bytes from the start of Where
}

// String says what was found where.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s (%s) at byte %d", f.Where, f.Secret, f.Form, f.Offset)
}

// Scan searches everything in r, which where names, and returns one finding for each secret and form: the first. An
// error means that something was not searched.
//
// It does not see secrets that were encrypted, compressed by anything but gzip and zlib, compressed more than three
// times over, encoded twice (except inside compressed data), or interleaved with other bytes so that no sixteen of
// theirs remain together.
func (s *Set) Scan(where string, r io.Reader) ([]Finding, error) {
	return s.scan(where, r, 0)
}

func (s *Set) scan(where string, r io.Reader, depth int) ([]Finding, error) {
	seen := map[[2]string]bool{}
	var found []Finding
	var packed unpacking
	buf := make([]byte, s.carry+s.piece)
	kept, base := 0, int64(0) // bytes of buf from the piece before, and the offset of buf[0]
	for {
		n, err := io.ReadFull(r, buf[kept:])
		b := buf[:kept+n]
		s.find(b, func(h hit) {
			f := &s.forms[h.form]
			if !seen[[2]string{f.secret, f.name}] {
				seen[[2]string{f.secret, f.name}] = true
				found = append(found, Finding{where, f.secret, f.name, base + int64(h.at)})
			}
		})
		packed.feed(s, where, b, kept, base, depth)
		if err != nil {
			inner, innerErr := packed.finish()
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				err = nil
			} else {
				err = fmt.Errorf("searching %s: %w", where, err)
			}
			return sorted(append(found, inner...)), errors.Join(err, innerErr)
		}
		rest := min(s.carry, len(b))
		base += int64(len(b) - rest)
		kept = copy(buf, b[len(b)-rest:])
	}
}

// Bytes is [Set.Scan] for what is in memory.
func (s *Set) Bytes(where string, b []byte) ([]Finding, error) {
	return s.Scan(where, bytes.NewReader(b))
}

// File is [Set.Scan] for a file.
func (s *Set) File(path string) ([]Finding, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return s.Scan(path, f)
}

// Dir searches every file beneath root, and the names of everything there. Links are not followed, but where they lead
// is searched as text. A file that goes away during the search is no error: it can't be told from one that went before.
func (s *Set) Dir(root string) ([]Finding, error) {
	var found []Finding
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != root {
			return nil
		}
		if err != nil {
			return err
		}
		list, err := s.entry(path, d)
		found = append(found, list...)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return sorted(found), err
}

func (s *Set) entry(path string, d fs.DirEntry) ([]Finding, error) {
	found, err := s.Bytes("the name "+path, []byte(path))
	if err != nil {
		return found, err
	}
	switch {
	case d.Type().IsRegular():
		list, err := s.File(path)
		return append(found, list...), err
	case d.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return found, err
		}
		list, err := s.Bytes("the link "+path, []byte(target))
		return append(found, list...), err
	}
	return found, nil // directories come by themselves; sockets and pipes hold nothing
}

func sorted(list []Finding) []Finding {
	slices.SortFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Where, b.Where), cmp.Compare(a.Secret, b.Secret), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Form, b.Form))
	})
	return list
}
