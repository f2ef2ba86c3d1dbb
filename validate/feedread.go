package validate

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"io"

	"seawall/validate/internal/wire"
)

const (
	maxFeedValue     = 16 << 10 // bytes of one statement or one member of a head, as JSON
	maxDistrustValue = 4 << 10  // bytes of the name that a statement is about
	maxReason        = 64
)

var (
	errFeedForm  = errors.New("it is not the JSON of a distrust feed")
	errFeedLarge = errors.New("it is larger than it may be")
)

// feedReader cuts a JSON document into values while it arrives, so that a snapshot of a million
// statements never lies in memory as text. It finds only where values begin and end; each is then
// read by a scanner.
type feedReader struct {
	r   *bufio.Reader
	buf []byte
}

func newFeedReader(r io.Reader) *feedReader {
	return &feedReader{r: bufio.NewReaderSize(r, 16<<10)}
}

// next gives the next byte that is not white space without taking it.
func (j *feedReader) next() (byte, error) {
	for {
		c, err := j.r.ReadByte()
		switch {
		case err == io.EOF:
			return 0, errFeedForm
		case err != nil:
			return 0, err
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			return c, j.r.UnreadByte()
		}
	}
}

func (j *feedReader) take(want byte) error {
	c, err := j.next()
	if err == nil && c != want {
		err = errFeedForm
	}
	if err != nil {
		return err
	}
	_, err = j.r.ReadByte()
	return err
}

// list walks an object or array: each is called with the reader at the next member or element.
func (j *feedReader) list(open, end byte, each func() error) error {
	if err := j.take(open); err != nil {
		return err
	}
	for first := true; ; first = false {
		c, err := j.next()
		switch {
		case err != nil:
			return err
		case c == end:
			return j.take(end)
		case !first:
			if err := j.take(','); err != nil {
				return err
			}
		}
		if err := each(); err != nil {
			return err
		}
	}
}

// object calls each with every member's name, spelled as it stands there; each must read the value.
func (j *feedReader) object(each func(name string) error) error {
	return j.list('{', '}', func() error {
		name, err := j.value()
		if err != nil {
			return err
		}
		text := string(name)
		if err := j.take(':'); err != nil {
			return err
		}
		return each(text)
	})
}

func (j *feedReader) array(each func() error) error { return j.list('[', ']', each) }

// value reads one value of bounded size. It is good until the next call.
func (j *feedReader) value() ([]byte, error) {
	if _, err := j.next(); err != nil {
		return nil, err
	}
	j.buf = j.buf[:0]
	depth, quoted := 0, false
	for len(j.buf) < maxFeedValue {
		c, err := j.r.ReadByte()
		if err == io.EOF {
			return nil, errFeedForm
		} else if err != nil {
			return nil, err
		}
		if !quoted && depth == 0 && len(j.buf) > 0 && bytes.IndexByte([]byte(",:]} \t\r\n"), c) >= 0 {
			return j.buf, j.r.UnreadByte()
		}
		j.buf = append(j.buf, c)
		switch {
		case quoted && c == '\\':
			if c, err = j.r.ReadByte(); err != nil {
				return nil, errFeedForm
			}
			j.buf = append(j.buf, c)
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if depth == 0 && !quoted && (c == '"' || c == '}' || c == ']') {
			return j.buf, nil
		}
	}
	return nil, errFeedLarge
}

// end demands that nothing follows.
func (j *feedReader) end() error {
	switch _, err := j.next(); {
	case err == nil:
		return errFeedForm
	case err != errFeedForm: // the connection failed: who knows what would follow
		return err
	}
	return nil
}

// readStatement reads one statement and its signature.
func readStatement(raw []byte) (d wire.Distrust, signature []byte, ok bool) {
	var s scanner
	s.reset(raw, false)
	var numbers, texts int
	word := func(limit int) string {
		if s.peek() != '"' {
			s.skip()
			return ""
		}
		if b := s.text().b; len(b) > 0 && len(b) <= limit {
			texts++
			return string(b)
		}
		return ""
	}
	prev := false
	s.space()
	for o := s.object(); s.member(&o); {
		switch string(o.name) {
		case "issuer":
			d.Issuer = word(maxFeedValue)
		case "n":
			d.N = readWhole(&s, &numbers)
		case "prev":
			prev = readDigest(&s, &d.Prev)
		case "act":
			d.Act = word(maxReason)
		case "kind":
			d.Kind = word(maxReason)
		case "value":
			d.Value = word(maxDistrustValue)
		case "before":
			d.Before = readWhole(&s, &numbers)
		case "until":
			d.Until = readWhole(&s, &numbers)
		case "undoes":
			d.Undoes = readWhole(&s, &numbers)
		case "reason":
			d.Reason = word(maxReason)
		case "time":
			d.Time = readWhole(&s, &numbers)
		case "signature":
			signature = readBytes(&s)
		default:
			s.skip()
		}
	}
	return d, signature, s.end() && numbers == 5 && texts == 5 && prev
}

// readHead reads the members that heads and snapshots share, and the signature.
func readHead(raw []byte) (h wire.DistrustHead, signature []byte, ok bool) {
	var s scanner
	s.reset(raw, false)
	var numbers int
	chain := false
	s.space()
	for o := s.object(); s.member(&o); {
		switch string(o.name) {
		case "issuer":
			if s.peek() == '"' {
				h.Issuer = string(s.text().b)
			} else {
				s.skip()
			}
		case "n":
			h.N = readWhole(&s, &numbers)
		case "chain":
			chain = readDigest(&s, &h.Chain)
		case "time":
			h.Time = readWhole(&s, &numbers)
		case "expires":
			h.Expires = readWhole(&s, &numbers)
		case "signature":
			signature = readBytes(&s)
		default:
			s.skip()
		}
	}
	return h, signature, s.end() && numbers == 3 && chain && h.Issuer != "" && h.Expires > h.Time
}

// readDigest reads a SHA-256 in base64url.
func readDigest(s *scanner, to *[sha256.Size]byte) bool {
	b := readBytes(s)
	copy(to[:], b)
	return len(b) == len(to)
}

var distrustKindNames = map[string]distrustKind{
	"key": distrustKey, "token": distrustToken, "session": distrustSession, "subject": distrustSubject, "client": distrustClient,
}

// distrustOf gives a statement's meaning as a rule, or false for one that means nothing.
func distrustOf(d *wire.Distrust) (r distrustRule, ok bool) {
	kind, known := distrustKindNames[d.Kind]
	r = distrustRule{kind: kind, n: d.N, before: d.Before, until: d.Until}
	single := kind == distrustKey || kind == distrustToken
	switch {
	case !known || d.N == 0 || single && d.Before != 0:
		return r, false
	case d.Act == "distrust":
		return r, d.Undoes == 0
	case d.Act == "restore":
		return r, d.Undoes > 0 && d.Undoes < d.N
	}
	return r, false
}

// snapshot is a verified snapshot.
type snapshot struct {
	head  wire.DistrustHead
	rules *distrusted
}

// readSnapshot reads the snapshot that the reader stands at, and verifies it. The root has signed
// the digest of every live statement's signed input, so one signature speaks for all of them.
//
// known is how far statements have been applied, or nil. Live statements that touch it must fit it.
func readSnapshot(j *feedReader, issuer string, root ed25519.PublicKey, known *wire.DistrustHead) (*snapshot, *loadError) {
	b := distrustedBuilder{into: newDistrusted()}
	live := wire.NewLive()
	head := []byte{'{'}
	var last wire.Distrust
	var input []byte
	statements := 0
	full, forked := false, false
	failure := j.object(func(name string) error {
		if name != `"statements"` {
			value, err := j.value()
			if len(head) > 1 {
				head = append(head, ',')
			}
			head = append(append(append(head, name...), ':'), value...)
			if len(head) > maxFeedValue {
				return errFeedForm
			}
			return err
		}
		if statements++; statements > 1 {
			return errFeedForm
		}
		return j.array(func() error {
			raw, err := j.value()
			if err != nil {
				return err
			}
			d, _, ok := readStatement(raw)
			r, sound := distrustOf(&d)
			if !ok || !sound || d.Act != "distrust" || d.N <= last.N {
				return errFeedForm
			}
			if full = b.into.full(len(d.Value)); full {
				return errFeedForm
			}
			input = d.AppendInput(input[:0])
			live.Add(input)
			forked = forked || known != nil && (d.N == known.N+1 && d.Prev != known.Chain || d.N == known.N && wire.ChainOf(input) != known.Chain)
			b.add(r, d.Value)
			last = d
			return nil
		})
	})
	if full {
		return nil, loadErrorf(CodeFeedFull, "the snapshot has more live statements than a validator remembers (%d, with values of %d MiB)", maxDistrusted, maxDistrustedText>>20)
	}
	if failure != nil {
		return nil, malformed("snapshot", failure)
	}
	h, signature, ok := readHead(append(head, '}'))
	if !ok || statements != 1 || last.N > h.N {
		return nil, malformed("snapshot", errFeedForm)
	}
	if h.Issuer != issuer || !ed25519.Verify(root, h.SnapshotInput(live.Sum()), signature) {
		return nil, loadErrorf(CodeFeedSignature, "the snapshot is not signed by the pinned ledger root for this issuer")
	}
	if forked || last.N == h.N && h.N > 0 && wire.ChainOf(input) != h.Chain {
		return nil, loadErrorf(CodeFeedForked, "the snapshot belongs to another history")
	}
	return &snapshot{head: h, rules: b.build()}, nil
}

// malformed tells a document that is wrong from a connection that failed.
func malformed(what string, err error) *loadError {
	if errors.Is(err, errFeedForm) || errors.Is(err, errFeedLarge) {
		return loadErrorf(CodeFeedMalformed, "the %s can't be read: %v", what, err)
	}
	return loadErrorf(CodeFeedUnavailable, "reading the %s: %v", what, err)
}
