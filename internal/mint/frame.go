package mint

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A frame is u32 length of the rest, one byte type, u64 id, body. Answers carry
// the id of their question and the same type; requests may be answered in any
// order.
const (
	// MaxFrame is the largest frame in bytes, head included.
	MaxFrame  = 1 << 20
	frameHead = 4 + 1 + 8
	writeTime = 5 * time.Second
	// writeSlack is for how long one deadline serves. Setting one for each
	// frame costs more than filling the frame.
	writeSlack = time.Second
)

// MsgType says what a frame holds.
type MsgType byte

// Messages. The first group goes from the house to the signer, the second from
// signer or house to the ledger. All but [MsgMint], [MsgTokens] and
// [MsgEntries] have JSON bodies.
const (
	MsgMint     MsgType = 1 // AppendRequests → AppendAnswers
	MsgPolicy   MsgType = 2 // Policy → PolicyApplied
	MsgKeys     MsgType = 3 // KeysQuery → Keys
	MsgRotate   MsgType = 4 // Rotate → Rotated
	MsgClock    MsgType = 5 // ClockAccept → ClockAccepted
	MsgHealth   MsgType = 6 // {} → Health
	MsgDistrust MsgType = 7 // KeyDistrust → KeyDistrusted

	MsgTokens  MsgType = 16 // AppendTokens → AppendRecorded (signer only)
	MsgEntries MsgType = 17 // AppendEntries → Appended
	MsgKey     MsgType = 18 // KeyRecords → KeysRecorded (signer only)
	MsgHello   MsgType = 19 // HelloQuery → Hello
	MsgState   MsgType = 20 // StateQuery → Stated (house only)
	MsgFeed    MsgType = 21 // FeedQuery → Feed (house only)
	MsgWatch   MsgType = 22 // WatchQuery → Watched (house only)
	MsgCount   MsgType = 23 // CountQuery → Counted (house only)
	MsgSearch  MsgType = 24 // SearchQuery → Found (house only)
)

// Frame is one message. Body is valid until the next read on the connection.
type Frame struct {
	Type MsgType
	ID   uint64
	Body []byte
}

// FrameReader takes frames off a stream.
type FrameReader struct {
	r   *bufio.Reader
	buf []byte
}

// NewFrameReader reads frames from r.
func NewFrameReader(r io.Reader) *FrameReader {
	return &FrameReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// Next reads one frame into a buffer of its own when fresh is set, else into
// one that the next call reuses.
func (f *FrameReader) Next(fresh bool) (Frame, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return Frame{}, err
	}
	n := binary.BigEndian.Uint32(head[:4])
	if n < frameHead-4 || n > MaxFrame-4 {
		return Frame{}, fmt.Errorf("%w: frame of %d bytes", ErrMalformed, n)
	}
	size := int(n) - (frameHead - 4)
	body := f.buf
	if fresh || cap(body) < size {
		body = make([]byte, size)
	}
	body = body[:size]
	if !fresh {
		f.buf = body
	}
	if _, err := io.ReadFull(f.r, body); err != nil {
		return Frame{}, fmt.Errorf("frame cut short: %w", err)
	}
	return Frame{Type: MsgType(head[4]), ID: binary.BigEndian.Uint64(head[5:]), Body: body}, nil
}

// Ready reports whether another whole frame has been received already, so that
// Next will not wait.
func (f *FrameReader) Ready() bool {
	have := f.r.Buffered()
	if have < frameHead {
		return false
	}
	head, err := f.r.Peek(4)
	return err == nil && uint64(have) >= 4+uint64(binary.BigEndian.Uint32(head))
}

// FrameWriter puts frames on a connection, one system call each. It is safe for
// concurrent use.
type FrameWriter struct {
	mu    sync.Mutex
	conn  net.Conn
	buf   []byte
	timed time.Time // when the deadline was set
}

// NewFrameWriter writes frames to conn.
func NewFrameWriter(conn net.Conn) *FrameWriter { return &FrameWriter{conn: conn} }

// Write sends a frame whose body is appended by fill. A peer that does not read
// for 5 to 6 s ends the connection: a stuck vault must not hold its callers.
func (w *FrameWriter) Write(typ MsgType, id uint64, fill func([]byte) []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := append(w.buf[:0], 0, 0, 0, 0, byte(typ))
	b = binary.BigEndian.AppendUint64(b, id)
	b = fill(b)
	w.buf = b
	if len(b) > MaxFrame {
		w.buf = nil
		return fmt.Errorf("frame of %d bytes is over the limit of %d", len(b), MaxFrame)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	if now := time.Now(); now.Sub(w.timed) > writeSlack {
		if err := w.conn.SetWriteDeadline(now.Add(writeSlack + writeTime)); err != nil {
			return err
		}
		w.timed = now
	}
	_, err := w.conn.Write(b)
	return err
}

// WriteJSON sends v, or the refusal in err, as the answer to a control message:
// a byte 0 and JSON, or 1 and a refusal. An error that is no refusal becomes
// [Unavailable] without its text.
func (w *FrameWriter) WriteJSON(typ MsgType, id uint64, v any, err error) error {
	lead := byte(0)
	if err != nil {
		refusal := &Refusal{Code: Unavailable, Detail: "the vault could not do this; its log says why"}
		errors.As(err, &refusal)
		lead, v = 1, refusal
	}
	body, jerr := json.Marshal(v)
	if jerr != nil {
		return jerr
	}
	return w.Write(typ, id, func(b []byte) []byte { return append(append(b, lead), body...) })
}

// ReadJSON reads the body of a control message strictly into v.
func ReadJSON(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: JSON", ErrMalformed)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("%w: bytes after the JSON", ErrMalformed)
	}
	return nil
}

// ReadJSONAnswer reads what WriteJSON wrote: into v, or as the error.
func ReadJSONAnswer(body []byte, v any) error {
	if len(body) == 0 {
		return fmt.Errorf("%w: empty answer", ErrMalformed)
	}
	switch body[0] {
	case 0:
		return ReadJSON(body[1:], v)
	case 1:
		refusal := new(Refusal)
		if err := ReadJSON(body[1:], refusal); err != nil {
			return err
		}
		return refusal
	}
	return fmt.Errorf("%w: answer", ErrMalformed)
}
