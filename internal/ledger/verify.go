package ledger

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"seawall/internal/mint"
)

// FindingCode says what kind of thing is wrong with a log. The list is closed and the words are stable.
type FindingCode string

// What can be wrong.
const (
	SegmentMissing  FindingCode = "segment_missing"  // entries between two segments, or the first ones, are gone
	SegmentForeign  FindingCode = "segment_foreign"  // not a segment of this log
	SegmentDamaged  FindingCode = "segment_damaged"  // bytes that are no batch where one should be
	EntryEdited     FindingCode = "entry_edited"     // entries are not those that were signed
	EntryImpossible FindingCode = "entry_impossible" // an entry of no known kind, form or time
	OrderBroken     FindingCode = "order_broken"     // numbers of entries have a gap or run backwards
	ChainBroken     FindingCode = "chain_broken"     // a batch does not follow the one before it
	TimeBackwards   FindingCode = "time_backwards"   // a batch is older than the one before it
	SignatureWrong  FindingCode = "signature_wrong"  // a batch is not signed by the key it names
	SignerUnknown   FindingCode = "signer_unknown"   // a batch names a key that the root has not certified for its time
	KeyStateBroken  FindingCode = "key_state_broken" // an impossible step, or a token under a key that was not active
	StatementWrong  FindingCode = "statement_wrong"  // a key's statement is not by the root
	DistrustBroken  FindingCode = "distrust_broken"  // a feed has a gap, a forged statement, or lacks one that a key's step brings
	RootOther       FindingCode = "root_other"       // the log belongs to another root than expected
	Truncated       FindingCode = "truncated"        // somebody remembers a longer log
	HistoryOther    FindingCode = "history_other"    // somebody remembers another log
	HeadUnreadable  FindingCode = "head_unreadable"  // a remembered head cannot be read
)

const (
	mostFindings = 100
	// Beside a running ledger the last batch may be read while it is being written.
	secondLooks      = 5
	secondLooksPause = 20 * time.Millisecond
)

// Finding is one thing that is wrong, and where.
type Finding struct {
	Code     FindingCode `json:"code"`
	Segment  string      `json:"segment,omitempty"`
	Offset   int64       `json:"offset,omitempty"`   // in bytes
	Sequence uint64      `json:"sequence,omitempty"` // of the first entry concerned
	Text     string      `json:"text"`
}

func (f Finding) String() string {
	if f.Segment == "" {
		return f.Text
	}
	return fmt.Sprintf("%s at byte %d, entry %d: %s", f.Segment, f.Offset, f.Sequence, f.Text)
}

// Remembered is a head that somebody other than the ledger remembers. Err says why it cannot be read, if so.
type Remembered struct {
	By   string
	Head mint.Head
	Err  error
}

// VerifyOptions says what to compare the log with.
type VerifyOptions struct {
	Heads []Remembered
	// Pin is the fingerprint of the root that the log must belong to, if not empty.
	Pin string
	// Progress, if not nil, is called now and then on one goroutine.
	Progress func(Progress)

	sparingly bool // with one worker
}

// Progress is how far a check or a search has come.
type Progress struct {
	Bytes, Total int64
	Entries      uint64
}

// Report is what [Verify] found.
type Report struct {
	Entries  uint64
	Tokens   uint64
	Batches  uint64
	Segments int
	Head     mint.Head // of the last good batch
	Pin      string    // of the root that the log says it has
	Findings []Finding
	// RememberedBy names those whose head is in the log.
	RememberedBy []string
	// Unfinished is the number of bytes behind the last batch: one that is being written, or was in a crash.
	Unfinished int64
}

// Good reports whether nothing is wrong.
func (r *Report) Good() bool { return len(r.Findings) == 0 }

// Verify reads the log of the ledger in dir, and checks every byte of it: the order and chain of all batches, their roots
// and the signatures that vouch for them, the certificates of the keys that signed them, every step of every issuer key, and that every token was
// recorded under a key that was active then. It needs no key and no running ledger, and may run beside one. The error is
// about reading; what is wrong with the log is in the report.
func Verify(ctx context.Context, dir string, o VerifyOptions) (*Report, error) {
	return verifyLog(ctx, readOnly{folder(filepath.Join(dir, LogDir))}, o)
}

func verifyLog(ctx context.Context, d disk, o VerifyOptions) (*Report, error) {
	firsts, err := segments(d)
	if err != nil {
		return nil, err
	}
	v := &checker{disk: d, options: o, report: &Report{}, state: newState(), sure: true, looks: secondLooks, heads: slices.Clone(o.Heads)}
	if len(firsts) == 0 {
		v.find(Finding{Code: SegmentMissing, Text: "the log has no segments at all"})
		return v.finish(), nil
	}
	v.lastSegment = segmentName(firsts[len(firsts)-1])
	workers := runtime.GOMAXPROCS(0)
	if o.sparingly {
		workers = 1
	}
	if v.total, err = totalSize(d, firsts); err != nil {
		return nil, err
	}
	v.startSignatures(workers)
	err = walk(ctx, d, firsts, workers, true, v)
	v.waitSignatures()
	if err != nil {
		return nil, err
	}
	return v.finish(), nil
}

func totalSize(d disk, firsts []uint64) (total int64, err error) {
	for _, first := range firsts {
		f, err := d.Open(segmentName(first))
		if err != nil {
			return 0, err
		}
		n, err := f.Size()
		f.Close()
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// checker is the visitor that checks a log in order.
type checker struct {
	disk    disk
	options VerifyOptions
	report  *Report
	state   *state
	sure    bool      // nothing was wrong so far, so the state is what it was
	next    mint.Head // the head before the next batch
	begun   bool      // next is known
	carried []seal    // batches in one chain, by one key, that the next signature to be checked will vouch for
	heads   []Remembered

	lastSegment string
	read, total int64
	looks       int // how many batches may still get a second look

	mu         sync.Mutex // of findings
	signatures chan []seal
	group      sync.WaitGroup
}

// seal is a signature to check.
type seal struct {
	trailer trailer
	public  ed25519.PublicKey
	segment string
	offset  int64
}

func (s *seal) good() bool { return s.trailer.verify(s.public) }

func (c *checker) find(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.report.Findings) < mostFindings {
		c.report.Findings = append(c.report.Findings, f)
	}
}

// findIn notes what is wrong with a batch.
func (c *checker) findIn(w *walked, code FindingCode, format string, args ...any) {
	c.find(Finding{Code: code, Segment: w.segment, Offset: w.offset, Sequence: w.first, Text: fmt.Sprintf(format, args...)})
}

// The hash of a trailer covers its signature, and the next trailer has that hash. So a good signature vouches for every
// byte of the batches that lead up to it, and one is checked for many. It has to be of the same key: whoever stole a
// later one must not be able to vouch for the time of an earlier one. Where the chain breaks, or a signature is wrong,
// those before it are checked one by one, to say which batch it is.
//
// What is not noticed like this is a signature that was wrong from the beginning, in a batch for which the ledger itself
// vouched later with the very same key.

// mostCarried is how many batches one signature vouches for at most.
const mostCarried = 1024

func (c *checker) startSignatures(workers int) {
	c.signatures = make(chan []seal, 2*workers)
	for range workers {
		c.group.Go(func() {
			for list := range c.signatures {
				if last := len(list) - 1; !list[last].good() {
					c.findWrong(list)
				}
			}
		})
	}
}

// findWrong notes all wrong signatures of a list whose last is wrong.
func (c *checker) findWrong(list []seal) {
	for i := range list {
		if s := &list[i]; !s.good() {
			c.find(Finding{Code: SignatureWrong, Segment: s.segment, Offset: s.offset, Sequence: s.trailer.first,
				Text: fmt.Sprintf("the signature of the entries %d to %d is not by the ledger key %s", s.trailer.first, s.trailer.end()-1, s.trailer.key)})
		}
	}
}

// checkCarried has the signature of the last batch checked that was carried.
func (c *checker) checkCarried() {
	if len(c.carried) > 0 {
		c.signatures <- c.carried
		c.carried = nil
	}
}

func (c *checker) waitSignatures() {
	c.checkCarried()
	close(c.signatures)
	c.group.Wait()
}

func (c *checker) segment(name string, h header) error {
	c.report.Segments++
	at := Finding{Segment: name, Sequence: h.first}
	switch {
	case !c.begun && h.first != 0:
		at.Code, at.Text = SegmentMissing, fmt.Sprintf("the entries 0 to %d are missing", h.first-1)
	case c.begun && h.first > c.next.Size:
		at.Code, at.Text = SegmentMissing, fmt.Sprintf("the entries %d to %d are missing", c.next.Size, h.first-1)
	case c.begun && h.first < c.next.Size:
		at.Code, at.Text = OrderBroken, fmt.Sprintf("the segment begins with entry %d where %d was due", h.first, c.next.Size)
	case c.begun && h.prev != c.next.Batch:
		at.Code, at.Text = ChainBroken, "the segment does not follow the one before it"
	case len(c.state.Root) > 0 && h.origin != c.state.Origin:
		at.Code, at.Text = SegmentForeign, "the segment belongs to another log"
	}
	if at.Code != "" {
		c.checkCarried()
		c.find(at)
		c.sure = false
		c.next = mint.Head{Size: h.first, Batch: h.prev, Millis: c.next.Millis}
	}
	if !c.begun {
		c.begun, c.next = true, mint.Head{Size: h.first, Batch: h.prev}
	}
	return nil
}

func (c *checker) batch(w *walked) error {
	if w.segment == c.lastSegment && w.hasHole() {
		torn, err := c.torn(w)
		if torn || err != nil {
			return err
		}
	}
	if (w.err != nil || w.root != w.trailer.root) && c.looks > 0 {
		c.looks--
		if again := c.lookAgain(w); again != nil {
			w = again
		}
	}
	c.report.Batches++
	c.report.Entries += uint64(w.count)
	if w.first != c.next.Size || w.prev != c.next.Batch {
		c.checkCarried() // no later signature vouches for these
	}
	intact := c.links(w)
	c.next = w.head()
	c.compareHeads()
	if !intact {
		c.sure = false
	}
	if w.entries != nil {
		c.entries(w, intact)
	}
	c.seal(w)
	if c.options.Progress != nil {
		c.options.Progress(Progress{Bytes: c.read + w.offset, Total: c.total, Entries: c.report.Entries})
	}
	return nil
}

// torn reports whether a batch in which something never arrived is the last of the log, as a crash or a writer at work
// leaves it. It was not acknowledged, so it does not count.
func (c *checker) torn(w *walked) (bool, error) {
	v, known := c.state.known[w.key]
	if w.err == nil && w.root == w.trailer.root && w.first == c.next.Size && w.prev == c.next.Batch && known && w.verify(v.public) {
		return false, nil
	}
	f, err := c.disk.Open(w.segment)
	if err != nil {
		return false, err
	}
	defer f.Close()
	bytes, torn, err := survey(f, w.offset, w.size())
	if torn {
		c.report.Unfinished = bytes
	}
	return torn, err
}

// hasHole reports whether a sector of the batch holds nothing but zeros.
func (b *batch) hasHole() bool {
	raw := b.trailer.append(b.leaves[:len(b.leaves):len(b.leaves)])
	for at := b.offset + batchHead; len(raw) > 0; {
		n := min(int64(len(raw)), sector-at%sector)
		if len(trimZeros(raw[:n])) == 0 {
			return true
		}
		raw, at = raw[n:], at+n
	}
	return false
}

// lookAgain reads a batch once more: beside a running ledger the last one may have been read while it was being written.
func (c *checker) lookAgain(w *walked) *walked {
	for range secondLooks {
		if b := c.rereadAt(w.segment, w.offset); b != nil {
			again := &walked{batch: b, segment: w.segment}
			if again.root, again.err = b.computeRoot(); again.err == nil && again.root == b.trailer.root {
				if again.entries, again.err = b.decode(); again.err == nil {
					return again
				}
			}
		}
		time.Sleep(secondLooksPause)
	}
	return nil
}

// rereadAt returns the batch at an offset, or nil.
func (c *checker) rereadAt(segment string, offset int64) *batch {
	var first uint64
	if _, err := fmt.Sscanf(segment, "%020d"+segmentSuffix, &first); err != nil {
		return nil
	}
	r, err := openSegment(c.disk, first)
	if err != nil {
		return nil
	}
	defer r.close()
	r.offset = offset
	ch := new(chunk)
	if r.read(ch) != nil {
		return nil
	}
	return &ch.batches[0]
}

// links checks a batch as a whole, and reports whether its entries can be relied on.
func (c *checker) links(w *walked) (intact bool) {
	intact = true
	if w.err != nil || w.root != w.trailer.root {
		c.findIn(w, EntryEdited, "the entries %d to %d are not those that were signed", w.first, w.end()-1)
		intact = false
	}
	switch {
	case w.first > c.next.Size:
		c.findIn(w, OrderBroken, "the entries %d to %d are missing", c.next.Size, w.first-1)
		intact = false
	case w.first < c.next.Size:
		c.findIn(w, OrderBroken, "the batch begins with entry %d where %d was due", w.first, c.next.Size)
		intact = false
	case w.prev != c.next.Batch:
		c.findIn(w, ChainBroken, "the batch does not follow the one before it: that one was changed or replaced")
		intact = false
	}
	if w.millis < c.next.Millis {
		c.findIn(w, TimeBackwards, "the batch is of %s, and the one before it of %s", stamp(int64(w.millis)), stamp(int64(c.next.Millis)))
	}
	return intact
}

// entries checks every entry of a batch.
func (c *checker) entries(w *walked, intact bool) {
	for i, e := range w.entries {
		sequence := w.first + uint64(i)
		if e.Kind == mint.TokenIssued {
			c.report.Tokens++
		}
		if !intact {
			c.state.admit(e) // for the sake of what follows
			continue
		}
		if code, text := c.entry(e, w); code != "" {
			c.find(Finding{Code: code, Segment: w.segment, Offset: w.offset, Sequence: sequence, Text: text})
		}
	}
	if intact && c.sure {
		c.followed(w)
	}
}

// followed checks that a batch with a step of a key says what follows from it to those who trust the key.
func (c *checker) followed(w *walked) {
	for i, e := range w.entries {
		if k := kindOf(e.Kind); k == nil || k.Writer != ByKeys {
			continue
		}
		k, f := c.state.Keys[e.KID], c.state.Feeds[e.Issuer]
		if over := uint64(k.Expires)*1000 <= w.millis; !over && k.distrusted() != (f.about(e.KID) != nil) {
			c.find(Finding{Code: DistrustBroken, Segment: w.segment, Offset: w.offset, Sequence: w.first + uint64(i),
				Text: fmt.Sprintf("the feed of %s does not say what the step %s of the key %s means", e.Issuer, e.Kind, e.KID)})
		}
	}
}

func (c *checker) entry(e *mint.Entry, w *walked) (code FindingCode, text string) {
	k := kindOf(e.Kind)
	if k == nil {
		return EntryImpossible, "the entry is of no known kind"
	}
	if refusal := k.check(e); refusal != nil {
		return EntryImpossible, refusal.Detail
	}
	if e.Millis != w.millis {
		return EntryImpossible, "the entry has another time than its batch"
	}
	if e.Kind == mint.TokenIssued {
		return c.token(e)
	}
	if (w.first == 0 && e == w.entries[0]) != (e.Kind == mint.LedgerCreated) {
		return EntryImpossible, "a log begins with " + string(mint.LedgerCreated) + ", and has no other"
	}
	if _, refusal := c.state.admit(e); refusal != nil && c.sure {
		if e.Kind == mint.DistrustStated {
			return DistrustBroken, refusal.Error()
		}
		return KeyStateBroken, refusal.Error()
	}
	switch {
	case e.Kind == mint.LedgerCreated:
		return c.creation(w)
	case k.Writer == ByKeys:
		return c.statement(e)
	}
	return "", ""
}

// token checks that a token was recorded as the ledger records tokens.
func (c *checker) token(e *mint.Entry) (FindingCode, string) {
	if !c.sure {
		return "", ""
	}
	k := c.state.Keys[e.KID]
	if refusal := c.state.judge(e, k.Alg, e.Millis); refusal != nil {
		return KeyStateBroken, "a token was recorded though " + refusal.Detail
	}
	if k.Tenant != e.Tenant {
		return KeyStateBroken, "a token was recorded for another tenant than its key's"
	}
	if mint.Kind(e.TokenKind) == mint.IDToken && !slices.Equal(e.Audience, []string{e.Client}) {
		return EntryImpossible, "an ID token was recorded for somebody else than its client"
	}
	return "", ""
}

func (c *checker) creation(w *walked) (FindingCode, string) {
	c.report.Pin = mint.Pin(c.state.Root)
	if w.prev != genesis(c.state.Origin, c.state.Root) {
		return ChainBroken, "the log does not begin as a log of this root does"
	}
	if c.options.Pin != "" && c.options.Pin != c.report.Pin {
		return RootOther, fmt.Sprintf("the log belongs to the root %s, not to %s", c.report.Pin, c.options.Pin)
	}
	return "", ""
}

func (c *checker) statement(e *mint.Entry) (FindingCode, string) {
	signature := detail(e, "statement")
	if !verifies(e.Kind) {
		if signature != "" {
			return StatementWrong, "a key that may not verify has a statement"
		}
		return "", ""
	}
	s, err := statementOf(e)
	if err != nil || len(c.state.Root) == 0 || !s.Verify(c.state.Root, signature) {
		return StatementWrong, "the statement about the key is not by the root of this ledger"
	}
	return "", ""
}

// seal sees to the signature of a batch, after its entries: the key may be among them.
func (c *checker) seal(w *walked) {
	v, known := c.state.known[w.key]
	if !known || !v.covers(w.millis) {
		c.checkCarried()
		if c.sure || known {
			c.findIn(w, SignerUnknown, "the entries %d to %d are signed by %s, which is no certified ledger key of that time", w.first, w.end()-1, w.key)
		}
		return
	}
	if n := len(c.carried); n == mostCarried || n > 0 && c.carried[n-1].trailer.key != w.key {
		c.checkCarried()
	}
	c.carried = append(c.carried, seal{w.trailer, v.public, w.segment, w.offset})
}

func (c *checker) end(name string, failed error, more bool) error {
	if f, err := c.disk.Open(name); err == nil {
		if n, err := f.Size(); err == nil {
			c.read += n
		}
		f.Close()
	}
	if failed == nil {
		return nil
	}
	var d *damage
	if !errors.As(failed, &d) {
		return failed
	}
	if !more && d.torn {
		c.report.Unfinished = d.bytes
		return nil
	}
	if !more && c.grew(d) {
		return nil
	}
	code := SegmentDamaged
	if errors.Is(d.what, errForeign) {
		code = SegmentForeign
	}
	c.find(Finding{Code: code, Segment: name, Offset: d.offset, Sequence: c.next.Size, Text: d.what.Error()})
	c.sure = false
	return nil
}

// grew reports whether what looked like damage at the end was a batch being written.
func (c *checker) grew(d *damage) bool {
	for range secondLooks {
		time.Sleep(secondLooksPause)
		if c.rereadAt(d.segment, d.offset) != nil {
			return true
		}
	}
	return false
}

// compareHeads notes who remembers the head that the log has just had.
func (c *checker) compareHeads() {
	for i := range c.heads {
		h := &c.heads[i]
		if h.Err == nil && h.Head.Size == c.next.Size && h.Head.Batch == c.next.Batch && !slices.Contains(c.report.RememberedBy, h.By) {
			c.report.RememberedBy = append(c.report.RememberedBy, h.By)
		}
	}
}

// finish compares the end of the log with what others remember.
func (c *checker) finish() *Report {
	r := c.report
	r.Head = c.next
	for _, h := range c.heads {
		switch {
		case h.Err != nil:
			c.find(Finding{Code: HeadUnreadable, Text: fmt.Sprintf("the head remembered by %s cannot be read: %v", h.By, h.Err)})
		case h.Head.Size == 0 || slices.Contains(r.RememberedBy, h.By):
		case h.Head.Size > r.Head.Size:
			c.find(Finding{Code: Truncated, Sequence: r.Head.Size, Text: fmt.Sprintf("the log ends at entry %d, and %s remembers %d: the last %d entries were cut off",
				r.Head.Size, h.By, h.Head.Size, h.Head.Size-r.Head.Size)})
		default:
			c.find(Finding{Code: HistoryOther, Sequence: h.Head.Size, Text: fmt.Sprintf("%s remembers a log that had %d entries and ended in %s; this one never did: it was replaced",
				h.By, h.Head.Size, h.Head.Batch)})
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return r
}
