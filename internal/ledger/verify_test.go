package ledger

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/mint"
)

// specimen is a closed ledger with a log to tamper with: several segments, each with batches of several tokens.
type specimen struct {
	t    *testing.T
	r    *rig
	i    *issuer
	head mint.Head
}

func newSpecimen(t *testing.T) *specimen {
	t.Helper()
	r := prepareRig(t)
	r.limits = limits{segment: 6 << 10, ahead: 4 << 10}
	r.create()
	r.open()
	p := r.dial(Signer)
	p.mustHello()
	s := &specimen{t: t, r: r, i: p.issuer("acme", r.clock.now())}
	for range 12 {
		var list []mint.Unsigned
		for range 4 {
			list = append(list, s.i.token(r.clock.now()))
		}
		var err error
		if s.head, _, err = p.tokens(r.l, list...); err != nil {
			t.Fatal(err)
		}
	}
	r.close()
	return s
}

// segments returns the paths of the segments in order.
func (s *specimen) segments() []string {
	s.t.Helper()
	list, err := filepath.Glob(filepath.Join(s.r.dir, LogDir, "*"+segmentSuffix))
	if err != nil || len(list) < 3 {
		s.t.Fatalf("segments: %v, %v", list, err)
	}
	slices.Sort(list)
	return list
}

func (s *specimen) read(path string) []byte {
	s.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

func (s *specimen) write(path string, text []byte) {
	s.t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// batches returns the batches of a segment's content.
func (s *specimen) batches(text []byte) (list []batch) {
	s.t.Helper()
	for at := segmentHeader; at < len(text); {
		b, err := readBatch(text[at:])
		if err != nil {
			s.t.Fatal(err)
		}
		b.offset = int64(at)
		list = append(list, b)
		at += int(b.size())
	}
	return list
}

func (s *specimen) verify(o VerifyOptions) *Report {
	s.t.Helper()
	report, err := Verify(context.Background(), s.r.dir, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

// edit rewrites a segment.
func (s *specimen) edit(n int, change func([]byte) []byte) string {
	s.t.Helper()
	path := s.segments()[n]
	s.write(path, change(s.read(path)))
	return filepath.Base(path)
}

func TestVerifyAnUntouchedLog(t *testing.T) {
	s := newSpecimen(t)
	heads := []Remembered{{By: "signer", Head: s.head}, {By: "nobody"}}
	got := s.verify(VerifyOptions{Heads: heads, Pin: mint.Pin(loadedKeys(t, s.r.dir).public())})
	if !got.Good() {
		t.Fatalf("found %v", got.Findings)
	}
	if got.Head != s.head || got.Entries != s.head.Size || got.Tokens != 48 || got.Batches != 12+3 || got.Segments != len(s.segments()) {
		t.Errorf("report %+v, head %+v", got, s.head)
	}
	if !slices.Equal(got.RememberedBy, []string{"signer"}) {
		t.Errorf("remembered by %v", got.RememberedBy)
	}
}

func loadedKeys(t *testing.T, dir string) *vaultKeys {
	t.Helper()
	k, err := loadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestVerifyFinds does to the log what somebody with the files in his hands could do. Every case names what must be found,
// where, and that a start refuses it too.
func TestVerifyFinds(t *testing.T) {
	var segment string // of the case
	for name, c := range map[string]struct {
		harm  func(s *specimen) VerifyOptions
		code  FindingCode
		text  string
		start string // what Open says; empty: the start reads other segments and the background finds it
	}{
		"one letter of an entry": {func(s *specimen) VerifyOptions {
			segment = s.edit(1, func(b []byte) []byte {
				i := strings.Index(string(b), s.i.url)
				b[i+len(s.i.url)-1] ^= 1
				return b
			})
			return VerifyOptions{}
		}, EntryEdited, "are not those that were signed", ""},
		"one letter of the last batch": {func(s *specimen) VerifyOptions {
			n := len(s.segments()) - 1
			segment = s.edit(n, func(b []byte) []byte {
				i := strings.LastIndex(string(b), s.i.url)
				b[i+len(s.i.url)-1] ^= 1
				return b
			})
			return VerifyOptions{}
		}, EntryEdited, "are not those that were signed", "are not those that were signed"},
		"an entry edited and the root made to fit": {func(s *specimen) VerifyOptions {
			segment = s.edit(1, func(b []byte) []byte {
				first := s.batches(b)[0]
				first.leaves[strings.Index(string(first.leaves), s.i.url)] ^= 1
				root, err := first.computeRoot()
				if err != nil {
					t.Fatal(err)
				}
				copy(b[int(first.offset)+batchHead+len(first.leaves)+20:], root[:])
				return b
			})
			return VerifyOptions{}
		}, SignatureWrong, "is not by the ledger key", ""},
		"a signature": {func(s *specimen) VerifyOptions {
			n := len(s.segments()) - 1
			segment = s.edit(n, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
			return VerifyOptions{}
		}, SignatureWrong, "is not by the ledger key", "is not signed by a receipt key"},
		"the time of a batch": {func(s *specimen) VerifyOptions {
			n := len(s.segments()) - 1
			segment = s.edit(n, func(b []byte) []byte { b[len(b)-trailerSize+12+7] ^= 1; return b })
			return VerifyOptions{}
		}, EntryImpossible, "another time than its batch", "is not signed by a receipt key"},
		"two batches swapped": {func(s *specimen) VerifyOptions {
			segment = s.edit(1, func(b []byte) []byte {
				l := s.batches(b)
				x, y, end := l[0].offset, l[1].offset, l[1].offset+l[1].size()
				return slices.Concat(b[:x], b[y:end], b[x:y], b[end:])
			})
			return VerifyOptions{}
		}, OrderBroken, "are missing", ""},
		"a batch cut out": {func(s *specimen) VerifyOptions {
			segment = s.edit(1, func(b []byte) []byte {
				l := s.batches(b)
				return slices.Concat(b[:l[0].offset], b[l[1].offset:])
			})
			return VerifyOptions{}
		}, OrderBroken, "are missing", ""},
		"a batch twice": {func(s *specimen) VerifyOptions {
			segment = s.edit(1, func(b []byte) []byte {
				l := s.batches(b)
				return slices.Concat(b[:l[1].offset], b[l[0].offset:])
			})
			return VerifyOptions{}
		}, OrderBroken, "begins with entry", ""},
		"a segment gone": {func(s *specimen) VerifyOptions {
			list := s.segments()
			if err := os.Remove(list[1]); err != nil {
				t.Fatal(err)
			}
			segment = filepath.Base(list[2])
			return VerifyOptions{}
		}, SegmentMissing, "are missing", ""},
		"the first segment gone": {func(s *specimen) VerifyOptions {
			list := s.segments()
			if err := os.Remove(list[0]); err != nil {
				t.Fatal(err)
			}
			segment = filepath.Base(list[1])
			return VerifyOptions{}
		}, SegmentMissing, "the entries 0 to", ""},
		"all segments gone": {func(s *specimen) VerifyOptions {
			for _, path := range s.segments() {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			segment = ""
			return VerifyOptions{}
		}, SegmentMissing, "no segments at all", "a log is never begun anew"},
		"the last batch cut off": {func(s *specimen) VerifyOptions {
			s.edit(len(s.segments())-1, func(b []byte) []byte {
				l := s.batches(b)
				return b[:l[len(l)-1].offset]
			})
			segment = ""
			return VerifyOptions{Heads: []Remembered{{By: "signer", Head: s.head}}}
		}, Truncated, "signer remembers", "the ledger itself remembers"},
		"half of the last batch cut off": {func(s *specimen) VerifyOptions {
			s.edit(len(s.segments())-1, func(b []byte) []byte { return b[:len(b)-400] })
			segment = ""
			return VerifyOptions{Heads: []Remembered{{By: "signer", Head: s.head}}}
		}, Truncated, "signer remembers", "the ledger itself remembers"},
		"the last segment cut off": {func(s *specimen) VerifyOptions {
			list := s.segments()
			if err := os.Remove(list[len(list)-1]); err != nil {
				t.Fatal(err)
			}
			segment = ""
			return VerifyOptions{Heads: []Remembered{{By: "house", Head: s.head}}}
		}, Truncated, "house remembers", "is missing"},
		"another history": {func(s *specimen) VerifyOptions {
			head := s.head
			head.Batch[0] ^= 1
			segment = ""
			return VerifyOptions{Heads: []Remembered{{By: "signer", Head: head}}}
		}, HistoryOther, "it was replaced", "-"},
		"a head inside a batch": {func(s *specimen) VerifyOptions {
			segment = ""
			return VerifyOptions{Heads: []Remembered{{By: "signer", Head: mint.Head{Size: s.head.Size - 1, Batch: s.head.Batch}}}}
		}, HistoryOther, "it was replaced", "-"},
		"another root": {func(s *specimen) VerifyOptions {
			segment = filepath.Base(s.segments()[0])
			return VerifyOptions{Pin: "swl1-another"}
		}, RootOther, "not to swl1-another", "-"},
		"a foreign file in a segment's place": {func(s *specimen) VerifyOptions {
			segment = s.edit(1, func([]byte) []byte { return []byte("this is a letter to my aunt") })
			return VerifyOptions{}
		}, SegmentForeign, "not a segment of a seawall log", ""},
		"a newer format": {func(s *specimen) VerifyOptions {
			segment = s.edit(1, func(b []byte) []byte { b[15] = 9; return b })
			return VerifyOptions{}
		}, SegmentDamaged, "format 9 of the log is newer than this seawall", ""},
		"bytes between batches": {func(s *specimen) VerifyOptions {
			segment = s.edit(1, func(b []byte) []byte {
				at := s.batches(b)[1].offset
				return slices.Concat(b[:at], []byte("smuggled"), b[at:])
			})
			return VerifyOptions{}
		}, SegmentDamaged, "not of the form", ""},
		"zeros between batches": {func(s *specimen) VerifyOptions {
			segment = s.edit(1, func(b []byte) []byte {
				at := s.batches(b)[1].offset
				return slices.Concat(b[:at], make([]byte, 600), b[at:])
			})
			return VerifyOptions{}
		}, SegmentDamaged, "not of the form", ""},
		"bytes behind the end": {func(s *specimen) VerifyOptions {
			segment = s.edit(len(s.segments())-1, func(b []byte) []byte { return append(b, strings.Repeat("x", 600)...) })
			return VerifyOptions{}
		}, SegmentDamaged, "not of the form", "not of the form"},
		"an unreadable head": {func(s *specimen) VerifyOptions {
			segment = ""
			return VerifyOptions{Heads: []Remembered{{By: "signer", Err: os.ErrPermission}}}
		}, HeadUnreadable, "permission denied", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpecimen(t)
			report := s.verify(c.harm(s))
			if report.Good() {
				t.Fatal("nothing was found")
			}
			if !slices.ContainsFunc(report.Findings, func(f Finding) bool {
				return f.Code == c.code && strings.Contains(f.Text, c.text) && f.Segment == segment
			}) {
				t.Errorf("want %s: %q in %q; found", c.code, c.text, segment)
				for _, f := range report.Findings {
					t.Errorf("  %s: %s", f.Code, f)
				}
			}
			if c.start != "-" {
				s.refused(c.start)
			}
		})
	}
}

// remake changes trailers and makes the chain behind them fit, as far as that can be done without the ledger's keys.
func (s *specimen) remake(change func(n int, t *trailer)) {
	s.t.Helper()
	var prev hash
	n := 0
	for _, path := range s.segments() {
		text := s.read(path)
		h, err := readHeader(text)
		if err != nil {
			s.t.Fatal(err)
		}
		if n > 0 {
			h.prev = prev
		}
		out := h.append(nil)
		for _, b := range s.batches(text) {
			if n > 0 {
				b.prev = prev
			}
			change(n, &b.trailer)
			out = b.trailer.append(append(out, text[b.offset:b.offset+b.size()-trailerSize]...))
			prev = b.trailer.hash()
			n++
		}
		s.write(path, out)
	}
}

// wrongSignatures returns the numbers of the first entries of the batches whose signatures were found wrong, in order.
func wrongSignatures(r *Report) (list []uint64) {
	for _, f := range r.Findings {
		if f.Code == SignatureWrong {
			list = append(list, f.Sequence)
		}
	}
	return list
}

// TestVerifyNamesEveryForgedBatch: one signature is checked for many batches, and still each wrong one is named.
func TestVerifyNamesEveryForgedBatch(t *testing.T) {
	s := newSpecimen(t)
	var forged []uint64
	s.remake(func(n int, t *trailer) {
		if n == 5 {
			t.sig[0] ^= 1
		}
		if n >= 5 { // the chain behind it is remade, so no later signature fits
			forged = append(forged, t.first)
		}
	})
	if got := wrongSignatures(s.verify(VerifyOptions{})); len(forged) < 5 || !slices.Equal(got, forged) {
		t.Errorf("wrong signatures are found at %v, want %v", got, forged)
	}
	s.refused("is not signed by a receipt key")
}

// TestALaterKeyDoesNotVouchForAnEarlierOne plays a thief of the present receipt key, who remakes the chain and signs his
// key's part of it. What the key before him signed he can't change.
func TestALaterKeyDoesNotVouchForAnEarlierOne(t *testing.T) {
	s := &specimen{t: t, r: prepareRig(t)}
	s.r.limits = limits{segment: 4 << 10, ahead: 4 << 10}
	s.r.create()
	for _, days := range []int{0, 84} {
		s.r.clock.set(time.Duration(days) * 24 * time.Hour)
		s.r.open() // which makes the next key, and lets it take over
		house := s.r.dial(House)
		house.mustHello()
		for range 10 {
			e := &mint.Entry{Kind: mint.SecretRotated, Tenant: "acme", Client: strings.Repeat("c", 200)}
			if _, err := house.entries(e, e); err != nil {
				t.Fatal(err)
			}
		}
		s.r.close()
	}
	if report := s.verify(VerifyOptions{}); !report.Good() {
		t.Fatalf("found %v", report.Findings)
	}
	stolen := loadedKeys(t, s.r.dir).newest()
	var forged []uint64
	resigned := 0
	s.remake(func(n int, t *trailer) {
		switch {
		case t.key == stolen.id:
			t.sign(stolen.private)
			resigned++
		case n == 4:
			t.sig[0] ^= 1
			fallthrough
		case n > 4:
			forged = append(forged, t.first)
		}
	})
	if len(forged) < 5 || resigned < 10 {
		t.Fatalf("%d batches of the first key are forged, and %d of the second are signed anew", len(forged), resigned)
	}
	if got := wrongSignatures(s.verify(VerifyOptions{})); !slices.Equal(got, forged) {
		t.Errorf("wrong signatures are found at %v, want %v", got, forged)
	}
}

// TestOneSignatureAmongThousands spoils one in the middle of more batches than one signature vouches for.
func TestOneSignatureAmongThousands(t *testing.T) {
	s := &specimen{t: t, r: bigLog(t, 5*mostCarried/2, 1)}
	path := filepath.Join(s.r.dir, LogDir, segmentName(0))
	text := s.read(path)
	all := s.batches(text)
	spoiled := all[3*mostCarried/2]
	text[spoiled.offset+spoiled.size()-1] ^= 1
	s.write(path, text)
	report := s.verify(VerifyOptions{})
	if got := wrongSignatures(report); !slices.Equal(got, []uint64{spoiled.first}) {
		t.Errorf("wrong signatures are found at %v, want %d", got, spoiled.first)
	}
	if len(report.Findings) != 2 || report.Findings[1].Code != ChainBroken || report.Findings[1].Sequence != spoiled.end() {
		t.Errorf("found %v", report.Findings)
	}
}

// refused checks that the ledger does not serve on a changed log: it does not open, or the check in the background stops
// it, and then the next start refuses.
func (s *specimen) refused(want string) {
	s.t.Helper()
	err := s.r.tryOpen()
	if want != "" {
		if err == nil || !strings.Contains(err.Error(), want) {
			s.t.Errorf("Open: %v, want %q", err, want)
		}
		return
	}
	if err != nil {
		s.t.Fatalf("Open: %v", err)
	}
	waitFor(s.t, "the alarm", func() bool { return s.r.l.alarm.Load() != nil })
	p := s.r.dial(Signer)
	if _, err := p.hello(mint.Head{}); !isRefusal(err, mint.StateRolledBack) {
		s.t.Errorf("hello after the alarm: %v", err)
	}
	waitFor(s.t, "the line for the operator", func() bool { return strings.Contains(s.r.log.String(), "alarm: the log was changed") })
	s.r.close()
	if err := s.r.tryOpen(); err == nil || !strings.Contains(err.Error(), "the log was changed, or the disk is failing") {
		s.t.Errorf("the next start: %v", err)
	}
}

// TestALogPutBackServesAgain: the alarm ends when the whole log verifies.
func TestALogPutBackServesAgain(t *testing.T) {
	s := newSpecimen(t)
	path := s.segments()[1]
	good := s.read(path)
	s.edit(1, func(b []byte) []byte {
		b = slices.Clone(b)
		b[len(b)-1] ^= 1
		return b
	})
	s.refused("")
	s.write(path, good)
	s.r.open()
	if _, err := os.Stat(filepath.Join(s.r.dir, alarmFile)); !os.IsNotExist(err) {
		t.Errorf("the alarm stays: %v", err)
	}
	s.r.dial(Signer).mustHello()
}

// TestVerifyBesideARunningLedger checks a log while it grows.
func TestVerifyBesideARunningLedger(t *testing.T) {
	r := prepareRig(t)
	r.limits = limits{segment: 20 << 10, ahead: 8 << 10}
	r.create()
	r.open()
	p := r.dial(Signer)
	p.mustHello()
	i := p.issuer("acme", r.clock.now())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 300 {
			if _, _, err := p.tokens(r.l, i.token(r.clock.now()), i.token(r.clock.now())); err != nil {
				t.Errorf("tokens: %v", err)
				return
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		report, err := Verify(context.Background(), r.dir, VerifyOptions{Heads: []Remembered{{By: "signer", Head: r.l.Head()}}})
		if err != nil {
			t.Fatal(err)
		}
		if !report.Good() || len(report.RememberedBy) != 1 {
			t.Fatalf("found %v, remembered by %v", report.Findings, report.RememberedBy)
		}
	}
}
