package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"seawall/internal/mint"
)

// The log is the files log/<number of the first entry, 20 digits>.seg. All integers are big-endian.
//
// A segment begins with a header of 104 bytes:
//
//	 0  12  "seawall-log\n"
//	12   4  format version, 1
//	16  16  origin: random, the same in all segments of a log
//	32   8  number of the first entry
//	40  32  hash of the last trailer before this segment; in the first segment
//	        SHA-256("seawall-log-v1\0" ‖ origin ‖ root public key)
//	72  32  SHA-256 of the 72 bytes before
//
// Batches follow one another without gaps:
//
//	 0   4  "SWB1"
//	 4   4  number of entries, 1 to 4096
//	 8   4  bytes of the entries together
//	12      entries: u24 length ‖ 0x00 ‖ the entry as mint.Entry.Append writes it
//	        (the zero byte makes the stored bytes the input of an RFC 6962 leaf hash)
//	     8  trailer: number of the first entry
//	     4  number of entries
//	     8  time, Unix milliseconds; every entry of the batch has the same
//	    32  Merkle tree hash of the entries (RFC 6962 §2.1)
//	    32  hash of the trailer before: SHA-256("seawall-trailer-v1\0" ‖ its 156 bytes)
//	     8  ledger key id
//	    64  Ed25519 signature over "seawall-batch-v1\0" ‖ the 92 bytes before
//
// The segment being written is filled with zeros ahead of the batches, which spares the file system a change of metadata
// at each fsync. A finished segment ends with its last batch. After a crash the last segment may end in a batch of which
// only some 512-byte sectors arrived (the others are still zero, or lie beyond the end of the file); it was never
// acknowledged, and is cut off when the ledger starts.

const (
	segmentMagic   = "seawall-log\n"
	segmentVersion = 1
	segmentHeader  = 104
	segmentSuffix  = ".seg"
	segmentSize    = 32 << 20

	batchMagic  = "SWB1"
	batchHead   = 12
	leafHead    = 4 // u24 length and the leaf prefix
	trailerSize = 156
	signedPart  = trailerSize - ed25519.SignatureSize
	sector      = 512

	maxBatchEntries = 4096
	maxBatchBytes   = 16 << 20 // of the entries together

	contextBatch   = "seawall-batch-v1\x00"
	contextTrailer = "seawall-trailer-v1\x00"
	contextLog     = "seawall-log-v1\x00"
)

// originID tells one log from another.
type originID [16]byte

// hash is a SHA-256.
type hash = mint.Digest

// genesis is what the first trailer of a log follows: it ties the chain to one origin and one root.
func genesis(origin originID, root ed25519.PublicKey) hash {
	b := append([]byte(contextLog), origin[:]...)
	return sha256.Sum256(append(b, root...))
}

// header is the beginning of a segment.
type header struct {
	origin originID
	first  uint64
	prev   hash
}

func (h *header) append(b []byte) []byte {
	start := len(b)
	b = append(b, segmentMagic...)
	b = binary.BigEndian.AppendUint32(b, segmentVersion)
	b = append(b, h.origin[:]...)
	b = binary.BigEndian.AppendUint64(b, h.first)
	b = append(b, h.prev[:]...)
	sum := sha256.Sum256(b[start:])
	return append(b, sum[:]...)
}

var (
	errForeign = errors.New("this is not a segment of a seawall log")
	errHeader  = errors.New("the segment header is damaged")
)

// newerError reports a format that a later seawall wrote.
type newerError struct{ version uint32 }

func (e *newerError) Error() string {
	return fmt.Sprintf("format %d of the log is newer than this seawall, which knows %d: use the version that wrote it", e.version, segmentVersion)
}

// readHeader reads the beginning of a segment.
func readHeader(b []byte) (h header, err error) {
	if len(b) < len(segmentMagic)+4 || string(b[:len(segmentMagic)]) != segmentMagic {
		return h, errForeign
	}
	if v := binary.BigEndian.Uint32(b[12:]); v != segmentVersion {
		return h, &newerError{v}
	}
	if len(b) < segmentHeader {
		return h, errHeader
	}
	if sum := sha256.Sum256(b[:72]); string(sum[:]) != string(b[72:segmentHeader]) {
		return h, errHeader
	}
	copy(h.origin[:], b[16:])
	h.first = binary.BigEndian.Uint64(b[32:])
	copy(h.prev[:], b[40:])
	return h, nil
}

// trailer is the end of a batch: what its signature says about it.
type trailer struct {
	first  uint64
	count  uint32
	millis uint64
	root   hash
	prev   hash
	key    mint.KeyID
	sig    [ed25519.SignatureSize]byte
}

func (t *trailer) appendSigned(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, t.first)
	b = binary.BigEndian.AppendUint32(b, t.count)
	b = binary.BigEndian.AppendUint64(b, t.millis)
	b = append(b, t.root[:]...)
	b = append(b, t.prev[:]...)
	return append(b, t.key[:]...)
}

func (t *trailer) append(b []byte) []byte { return append(t.appendSigned(b), t.sig[:]...) }

func readTrailer(b []byte) (t trailer) {
	t.first = binary.BigEndian.Uint64(b)
	t.count = binary.BigEndian.Uint32(b[8:])
	t.millis = binary.BigEndian.Uint64(b[12:])
	copy(t.root[:], b[20:])
	copy(t.prev[:], b[52:])
	copy(t.key[:], b[84:])
	copy(t.sig[:], b[92:])
	return t
}

func (t *trailer) signedInput() []byte {
	return t.appendSigned(append(make([]byte, 0, len(contextBatch)+signedPart), contextBatch...))
}

func (t *trailer) sign(key ed25519.PrivateKey) { copy(t.sig[:], ed25519.Sign(key, t.signedInput())) }

func (t *trailer) verify(public ed25519.PublicKey) bool {
	return ed25519.Verify(public, t.signedInput(), t.sig[:])
}

// hash is what the next trailer and everybody who remembers the head refer to. It covers the signature, so a chain up
// to one good signature proves every byte before it.
func (t *trailer) hash() hash {
	b := append(make([]byte, 0, len(contextTrailer)+trailerSize), contextTrailer...)
	return sha256.Sum256(t.append(b))
}

// end is the number of the entry after the batch.
func (t *trailer) end() uint64 { return t.first + uint64(t.count) }

// head is the log's head once the batch is its last.
func (t *trailer) head() mint.Head {
	return mint.Head{Size: t.end(), Millis: t.millis, Batch: t.hash()}
}

// batch is a batch as it lies in a segment. leaves is a view into the reader's buffer.
type batch struct {
	offset int64 // in the segment
	leaves []byte
	trailer
}

// size is the number of bytes that the batch takes.
func (b *batch) size() int64 { return int64(batchHead + len(b.leaves) + trailerSize) }

// each calls do with the bytes of every entry, as far as they are whole.
func (b *batch) each(do func(i int, entry []byte) error) error {
	rest := b.leaves
	for i := 0; len(rest) > 0; i++ {
		n, err := leafSize(rest)
		if err != nil {
			return err
		}
		if err := do(i, rest[leafHead:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// leafSize returns how many bytes the first leaf of b takes, its head included.
func leafSize(b []byte) (int, error) {
	if len(b) < leafHead || b[3] != 0 {
		return 0, errBatchForm
	}
	n := leafHead + int(b[0])<<16 + int(b[1])<<8 + int(b[2])
	if n > len(b) || n == leafHead {
		return 0, errBatchForm
	}
	return n, nil
}

// computeRoot returns the Merkle tree hash of what is stored, and fails when the entries are not as many as they say.
func (b *batch) computeRoot() (hash, error) {
	var tree merkle
	rest := b.leaves
	for len(rest) > 0 {
		n, err := leafSize(rest)
		if err != nil {
			return hash{}, err
		}
		if tree.count == maxBatchEntries {
			return hash{}, errBatchForm
		}
		tree.add(rest[leafHead-1 : n])
		rest = rest[n:]
	}
	if tree.count != b.count {
		return hash{}, errBatchForm
	}
	return tree.root(), nil
}

var (
	errBatchForm = errors.New("the batch is not of the form that a ledger writes")
	errBatchCut  = errors.New("the batch is cut short")
)

// readBatchHead returns the size of the whole batch that begins with b.
func readBatchHead(b []byte) (size int, err error) {
	if len(b) < batchHead {
		return 0, errBatchCut
	}
	count, bytes := binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	if string(b[:4]) != batchMagic || count == 0 || count > maxBatchEntries || bytes > maxBatchBytes || uint64(bytes) < uint64(count)*leafHead {
		return 0, errBatchForm
	}
	return batchHead + int(bytes) + trailerSize, nil
}

// readBatch reads the batch at the start of b. Nothing but its form is checked; views into b are kept.
func readBatch(b []byte) (batch, error) {
	size, err := readBatchHead(b)
	if err != nil {
		return batch{}, err
	}
	if size > len(b) {
		return batch{}, errBatchCut
	}
	end := size - trailerSize
	out := batch{leaves: b[batchHead:end:end], trailer: readTrailer(b[end:size])}
	if out.count != binary.BigEndian.Uint32(b[4:]) {
		return batch{}, errBatchForm
	}
	return out, nil
}

// beginBatch appends a batch head that finishBatch fills in.
func beginBatch(b []byte) []byte { return append(append(b, batchMagic...), 0, 0, 0, 0, 0, 0, 0, 0) }

// appendLeaf appends an entry to a batch and to its tree.
func appendLeaf(b []byte, tree *merkle, e *mint.Entry) []byte {
	start := len(b)
	b = e.Append(append(b, 0, 0, 0, 0))
	n := len(b) - start - leafHead
	b[start], b[start+1], b[start+2] = byte(n>>16), byte(n>>8), byte(n)
	tree.add(b[start+leafHead-1:])
	return b
}

// finishBatch writes the head of the batch that begins at start and appends the trailer.
func finishBatch(b []byte, start int, t *trailer) []byte {
	binary.BigEndian.PutUint32(b[start+4:], t.count)
	binary.BigEndian.PutUint32(b[start+8:], uint32(len(b)-start-batchHead))
	return t.append(b)
}

// merkle computes an RFC 6962 tree hash leaf by leaf. It keeps the roots of the full subtrees to the left.
type merkle struct {
	full  [13]hash // maxBatchEntries is 2^12
	used  int
	count uint32
}

// add takes the next leaf: a zero byte and the entry.
func (m *merkle) add(leaf []byte) {
	h := hash(sha256.Sum256(leaf))
	for n := m.count; n&1 == 1; n >>= 1 {
		m.used--
		h = node(m.full[m.used], h)
	}
	m.full[m.used] = h
	m.used++
	m.count++
}

func (m *merkle) root() hash {
	if m.used == 0 {
		return sha256.Sum256(nil)
	}
	h := m.full[m.used-1]
	for i := m.used - 2; i >= 0; i-- {
		h = node(m.full[i], h)
	}
	return h
}

func node(left, right hash) hash {
	var b [65]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}
