package canary

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
)

// deepest is how many layers of compression are unpacked.
const deepest = 3

// unpacking is the compressed streams that may have begun in the data of one scan. Each is unpacked and scanned by a
// goroutine of its own, which gets the data as the scan goes along, and ends with the stream or at the first byte that
// does not fit: most of what looks like a beginning is none.
type unpacking struct {
	streams []*stream
	found   []Finding
	errs    []error
}

type stream struct {
	data *io.PipeWriter
	done chan result
}

type result struct {
	found []Finding
	err   error
}

// feed gives the streams what is new in b, which is everything after the first kept bytes, and starts those that begin
// in it. base is the offset of b[0].
func (u *unpacking) feed(s *Set, where string, b []byte, kept int, base int64, depth int) {
	running := u.streams[:0]
	for _, one := range u.streams {
		if u.give(one, b[kept:]) {
			running = append(running, one)
		}
	}
	u.streams = running
	if depth == deepest {
		return
	}
	// A beginning may lie across the border of two pieces: its last byte is new.
	for i := max(0, kept-magicSize+1); i+magicSize <= len(b); i++ {
		next := beginning(b[i : len(b)-magicSize+1])
		if next < 0 {
			return
		}
		i += next
		if open := opener(b[i:]); open != nil {
			one := s.unpack(fmt.Sprintf("%s, unpacked from byte %d", where, base+int64(i)), open, depth+1)
			if u.give(one, b[i:]) {
				u.streams = append(u.streams, one)
			}
		}
	}
}

// give hands data to a stream and reports whether it wants more.
func (u *unpacking) give(one *stream, b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if _, err := one.data.Write(b); err == nil {
		return true
	}
	u.collect(one)
	return false
}

func (u *unpacking) collect(one *stream) {
	r := <-one.done
	u.found = append(u.found, r.found...)
	u.errs = append(u.errs, r.err)
}

// finish tells all streams that there is no more, waits for them, and returns what they found.
func (u *unpacking) finish() ([]Finding, error) {
	for _, one := range u.streams {
		one.data.Close()
		u.collect(one)
	}
	return u.found, errors.Join(u.errs...)
}

const (
	magicSize = 3
	gzipFirst = 0x1f
	zlibFirst = 0x78
)

// beginning returns the first place in b where a compressed stream may begin, -1 if there is none.
func beginning(b []byte) int {
	if i := bytes.IndexByte(b, zlibFirst); i >= 0 {
		b = b[:i+1]
	}
	if i := bytes.IndexByte(b, gzipFirst); i >= 0 {
		return i
	}
	if len(b) > 0 && b[len(b)-1] == zlibFirst {
		return len(b) - 1
	}
	return -1
}

// opener returns how to unpack what b begins with, nil if it does not look compressed.
func opener(b []byte) func(io.Reader) (io.Reader, error) {
	switch {
	case b[0] == gzipFirst && b[1] == 0x8b && b[2] == 8: // RFC 1952 §2.3.1
		return openGzip
	case b[0] == zlibFirst && b[1]&0x20 == 0 && (uint(b[0])<<8|uint(b[1]))%31 == 0 && b[2]&6 != 6: // RFC 1950 §2.2, RFC 1951 §3.2.3
		return func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }
	}
	return nil
}

// openGzip reads one member: the next has its own beginning.
func openGzip(r io.Reader) (io.Reader, error) {
	z, err := gzip.NewReader(r)
	if err == nil {
		z.Multistream(false)
	}
	return z, err
}

// unpack starts a stream.
func (s *Set) unpack(where string, open func(io.Reader) (io.Reader, error), depth int) *stream {
	r, w := io.Pipe()
	one := &stream{w, make(chan result, 1)}
	go func() {
		res := s.scanUnpacked(where, open, r, depth)
		r.Close()
		one.done <- res
	}()
	return one
}

func (s *Set) scanUnpacked(where string, open func(io.Reader) (io.Reader, error), r io.Reader, depth int) (res result) {
	packed, err := open(bufio.NewReader(r))
	if err != nil {
		return result{}
	}
	plain := bufio.NewReader(&bounded{packed, s.unpacked})
	if _, err := plain.Peek(1); err != nil {
		return result{} // by far the most frequent end, so it comes before a scan's buffers are made
	}
	res.found, res.err = s.scan(where, plain, depth)
	if !errors.Is(res.err, errTooLarge) {
		res.err = nil // it was no such stream, or it was cut: what came out until then was searched
	}
	return res
}

// errTooLarge reports a stream that unpacks to more than is searched.
var errTooLarge = errors.New("it unpacks to more than is searched")

// bounded gives an error instead of an endless stream.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, errTooLarge
	}
	return n, err
}
