package ledger

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// segmentName is the name of the segment that begins with the entry first.
func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, segmentSuffix) }

// segments returns the numbers of the first entries of all segments in order. Names that are no segment's are an error:
// nobody but the ledger writes here.
func segments(d disk) (firsts []uint64, err error) {
	names, err := d.List()
	if err != nil {
		return nil, fmt.Errorf("looking for segments: %w", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, unfinishedSuffix) {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(name, segmentSuffix), 10, 64)
		if err != nil || name != segmentName(n) {
			return nil, fmt.Errorf("the log has a file that is no segment: %s: move it elsewhere", name)
		}
		firsts = append(firsts, n)
	}
	slices.Sort(firsts)
	return firsts, nil
}

// damage is what a reader found in place of a batch.
type damage struct {
	segment string
	offset  int64
	what    error
	// torn says that it can be what a crash left of the last batch, which was then never acknowledged.
	torn bool
	// bytes is how many there are from offset to the last that is not zero.
	bytes int64
}

func (d *damage) Error() string { return fmt.Sprintf("%s at byte %d: %v", d.segment, d.offset, d.what) }
func (d *damage) Unwrap() error { return d.what }

// segmentReader reads the batches of one segment in order.
type segmentReader struct {
	name   string
	f      file
	header header
	offset int64 // of the next batch
	size   int64 // of the file
}

// chunk is a run of whole batches, and the memory they lie in.
type chunk struct {
	buf     []byte
	batches []batch
}

const chunkSize = 1 << 20

// openSegment opens a segment for reading and reads its header.
func openSegment(d disk, first uint64) (*segmentReader, error) {
	name := segmentName(first)
	f, err := d.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the segment: %w", err)
	}
	r := &segmentReader{name: name, f: f}
	if err := r.begin(first); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

func (r *segmentReader) begin(first uint64) (err error) {
	if r.size, err = r.f.Size(); err != nil {
		return fmt.Errorf("opening the segment: %w", err)
	}
	var b [segmentHeader]byte
	n, err := r.f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading the segment: %w", err)
	}
	if r.header, err = readHeader(b[:n]); err != nil {
		return &damage{segment: r.name, what: err}
	}
	if r.header.first != first {
		return &damage{segment: r.name, what: fmt.Errorf("the header says that it begins with entry %d", r.header.first)}
	}
	r.offset = segmentHeader
	return nil
}

func (r *segmentReader) close() { r.f.Close() }

// read fills c with the next batches, about a megabyte of them. When there are none it returns io.EOF, or a *damage if
// something else lies there. Only the form of batches is looked at.
func (r *segmentReader) read(c *chunk) error {
	c.batches = c.batches[:0]
	for want := chunkSize; ; {
		if err := r.load(c, want); err != nil {
			return err
		}
		rest := c.buf
		for {
			size, err := readBatchHead(rest)
			if err == nil && size > len(rest) {
				err = errBatchCut
			}
			if err == nil {
				var b batch
				if b, err = readBatch(rest[:size]); err == nil {
					b.offset = r.offset
					c.batches = append(c.batches, b)
					rest = rest[size:]
					r.offset += int64(size)
					continue
				}
			}
			if len(c.batches) > 0 {
				return nil // the next call meets the failure again, or the rest of the batch
			}
			if size > want && len(c.buf) == want {
				want = size
				break
			}
			return r.tail(size, err)
		}
	}
}

// load reads n bytes from offset, or as many as there are.
func (r *segmentReader) load(c *chunk, n int) error {
	n = int(max(0, min(int64(n), r.size-r.offset)))
	if cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	got, err := r.f.ReadAt(c.buf[:n], r.offset)
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading %s: %w", r.name, err)
	}
	c.buf = c.buf[:got]
	return nil
}

// tail says what lies at offset if no batch does. size is the batch's by its head, 0 when that cannot be read.
func (r *segmentReader) tail(size int, what error) error {
	bytes, torn, err := survey(r.f, r.offset, int64(size))
	if err != nil {
		return fmt.Errorf("reading %s: %w", r.name, err)
	}
	if bytes == 0 {
		return io.EOF
	}
	return &damage{segment: r.name, offset: r.offset, what: what, bytes: bytes, torn: torn}
}

// survey looks at everything from offset on, where a batch of the given size should lie (0 when its head cannot be read).
// bytes is where those that are not zero end, relative to offset. torn reports that a crash can explain them: a sector of
// the batch, or of its head when the size is unknown, never arrived, and nothing follows that batch.
func survey(f file, offset, size int64) (bytes int64, torn bool, err error) {
	need := offset + max(size, batchHead) // where a missing sector is a hole
	buf := make([]byte, 128*sector)
	for at := offset - offset%sector; ; at += int64(len(buf)) {
		n, err := f.ReadAt(buf, at)
		if err != nil && err != io.EOF {
			return 0, false, err
		}
		for s := 0; s < n; s += sector {
			from := max(at+int64(s), offset)
			part := trimZeros(buf[from-at : min(s+sector, n)])
			if len(part) > 0 {
				bytes = from + int64(len(part)) - offset
			} else if from < need {
				torn = true
				if from < offset+batchHead {
					size = 0 // which the head says in the sector that never arrived
				}
			}
		}
		if n < len(buf) {
			torn = torn || at+int64(n) < need
			break
		}
	}
	most := size
	if size == 0 {
		most = batchHead + maxBatchBytes + trailerSize
	}
	return bytes, torn && bytes <= most, nil
}

func trimZeros(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}
