package ledger

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"seawall/internal/mint"
)

func TestReceiptsAreGood(t *testing.T) {
	r, p, i := ready(t)
	now := r.clock.now()
	list := []mint.Unsigned{i.token(now), i.token(now), i.token(now)}
	head, got, err := p.tokens(r.l, list...)
	if err != nil {
		t.Fatal(err)
	}
	if head != r.l.Head() {
		t.Errorf("the answer's head %+v is not the ledger's %+v", head, r.l.Head())
	}
	keyOf := keyOfDocument(r.l.Document())
	for n, g := range got {
		if g.Refusal != nil {
			t.Fatalf("token %d: %v", n, g.Refusal)
		}
		if !g.Receipt.Verify(keyOf(g.Receipt.Key()), digestsOf(list)[n]) {
			t.Errorf("receipt %d does not verify", n)
		}
		if want := head.Size - 3 + uint64(n); g.Receipt.Sequence() != want || g.Receipt.Millis() != head.Millis {
			t.Errorf("receipt %d: sequence %d at %d, want %d at %d", n, g.Receipt.Sequence(), g.Receipt.Millis(), want, head.Millis)
		}
	}
}

// TestTheEntrySaysWhatTheTokenSays compares an entry, field by field, with the bytes it was made from.
func TestTheEntrySaysWhatTheTokenSays(t *testing.T) {
	r, p, i := ready(t)
	now := r.clock.now()
	u := i.token(now, func(tok *mint.Token) {
		tok.Subject, tok.ClientID, tok.Audience = "alice", "app", []string{"https://a.example", "https://b.example"}
		tok.Custom = []mint.Claim{{Name: "dept", Text: "hush"}}
	})
	head, _, err := p.tokens(r.l, u)
	if err != nil {
		t.Fatal(err)
	}
	raw := nthEntry(t, r, head.Size-1)
	got, err := mint.ReadEntry(raw)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := mint.ReadToken(u.Header, u.Payload)
	if err != nil {
		t.Fatal(err)
	}
	want := mint.Entry{Kind: mint.TokenIssued, Millis: head.Millis, Tenant: "acme", Issuer: i.url, Client: "app", Subject: "alice", KID: i.key.KID,
		TokenKind: "at+jwt", Audience: []string{"https://a.example", "https://b.example"}, JTI: tok.JTI, IssuedAt: tok.IssuedAt, Expires: tok.Expires,
		Digest: mint.TokenDigest(u.Header, u.Payload), Detail: []mint.Field{{Name: "evidence", Value: rawURL.EncodeToString(u.Evidence[:])}}}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if string(a) != string(b) {
		t.Errorf("got  %s\nwant %s", a, b)
	}
	if strings.Contains(string(raw), "hush") || strings.Contains(string(raw), "read") {
		t.Error("the entry holds what is not metadata of the token")
	}
}

func TestHelloTellsWhereTheLedgerIs(t *testing.T) {
	r, p, _ := ready(t)
	h := p.mustHello()
	head, err := h.Head()
	if err != nil || head != r.l.Head() {
		t.Errorf("head %+v, %v; want %+v", head, err, r.l.Head())
	}
	if h.Document.Root != r.l.Document().Root || len(h.Document.ReceiptKeys) != 1 {
		t.Errorf("document %+v", h.Document)
	}
	root, err := decode(h.Document.Root)
	if err != nil || mint.Pin(root) != r.l.Pin() {
		t.Errorf("the pin %s is not that of the root %s", r.l.Pin(), h.Document.Root)
	}
	if drift := time.Since(time.UnixMilli(int64(h.Now))); drift > time.Minute || drift < -time.Minute {
		t.Errorf("the ledger's clock is %s away", drift)
	}
	house := r.dial(House)
	if h := house.mustHello(); h.Keys != nil || h.Policies != nil {
		t.Errorf("the house was told %+v", h)
	}
}

// TestRememberedHeads says hello with every head the log ever had, and with heads it never had.
func TestRememberedHeads(t *testing.T) {
	r := prepareRig(t)
	r.limits = limits{segment: 8 << 10, ahead: 4 << 10}
	r.create()
	r.open()
	p := r.dial(Signer)
	p.mustHello()
	i := p.issuer("acme", r.clock.now())
	heads := []mint.Head{r.l.Head()}
	for range 30 {
		head, _, err := p.tokens(r.l, i.token(r.clock.now()), i.token(r.clock.now()))
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, head)
	}
	for _, restarted := range []bool{false, true} { // after a restart only the files know
		if restarted {
			r.close()
			r.open()
		}
		for n, head := range heads {
			q := r.dial([]Role{Signer, House}[n%2])
			if _, err := q.hello(head); err != nil {
				t.Fatalf("head %d of %d entries: %v", n, head.Size, err)
			}
		}
		last := heads[len(heads)-1]
		for name, head := range map[string]mint.Head{
			"longer":               {Size: last.Size + 1, Batch: last.Batch},
			"much longer":          {Size: 1 << 60, Batch: last.Batch},
			"another end":          {Size: last.Size, Batch: hash{1}},
			"another past":         {Size: heads[3].Size, Batch: heads[4].Batch},
			"in the middle":        {Size: last.Size - 1, Batch: last.Batch},
			"in an old batch":      {Size: heads[2].Size - 1, Batch: heads[2].Batch},
			"another beginning":    {Size: 2, Batch: hash{1}},
			"between two segments": {Size: segmentFirsts(t, r)[1], Batch: hash{2}},
		} {
			q := r.dial(Signer)
			if _, err := q.hello(head); !isRefusal(err, mint.StateRolledBack) {
				t.Errorf("%s: %v", name, err)
			}
			if err := q.refused(mint.MsgTokens, mint.AppendTokens(nil, []mint.Unsigned{i.token(r.clock.now())})); !isRefusal(err, mint.StateRolledBack) {
				t.Errorf("%s: a token after that: %v", name, err)
			}
			if _, err := q.entries(policyEntry("acme", i.url, 2)); !isRefusal(err, mint.StateRolledBack) {
				t.Errorf("%s: an entry after that: %v", name, err)
			}
		}
	}
	if !strings.Contains(r.log.String(), "alarm: the log was rolled back") {
		t.Error("the operator was not told")
	}
	if _, got, err := p.tokens(r.l, i.token(r.clock.now())); err == nil && got[0].Refusal != nil {
		t.Errorf("a good writer suffers: %v", got[0].Refusal)
	}
}

func segmentFirsts(t *testing.T, r *rig) []uint64 {
	t.Helper()
	firsts, err := segments(r.l.disk)
	if err != nil || len(firsts) < 3 {
		t.Fatalf("segments %v, %v", firsts, err)
	}
	return firsts
}

// TestWhatMustBeThere takes away or damages each file of a ledger: it does not start, and says what to do.
func TestWhatMustBeThere(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(dir string) error
		want string
	}{
		"no log":             {func(dir string) error { return os.RemoveAll(filepath.Join(dir, LogDir)) }, "has lost its log"},
		"no log and no keys": {func(dir string) error { return removeAll(dir, LogDir, kekFile, rootFile, receiptsFile) }, "has lost its log"},
		"no segments":        {func(dir string) error { return removeAll(dir, LogDir+"/"+segmentName(0)) }, "a log is never begun anew"},
		"no kek":             {func(dir string) error { return removeAll(dir, kekFile) }, "the key-encryption key is missing: put"},
		"no root":            {func(dir string) error { return removeAll(dir, rootFile) }, "the ledger's root key is missing: put"},
		"no receipt keys":    {func(dir string) error { return removeAll(dir, receiptsFile) }, "the file of the receipt keys is missing"},
		"a short kek":        {func(dir string) error { return os.Truncate(filepath.Join(dir, kekFile), 31) }, "has 31 bytes instead of 32"},
		"another kek":        {func(dir string) error { return flip(dir, kekFile, 0) }, "does not open: it was changed, or sealed under another key"},
		"a changed root":     {func(dir string) error { return flip(dir, rootFile, 40) }, "does not open: it was changed"},
		"a foreign root":     {func(dir string) error { return flip(dir, rootFile, 0) }, "is not a file of a seawall ledger"},
		"a newer root":       {func(dir string) error { return flip(dir, rootFile, len(sealMagic)) }, "use the version that wrote it"},
		"keys exchanged": {func(dir string) error {
			return os.Rename(filepath.Join(dir, receiptsFile), filepath.Join(dir, rootFile))
		}, "does not open: it was changed"},
		"a newer log":       {func(dir string) error { return flip(dir, LogDir+"/"+segmentName(0), 15) }, "is newer than this seawall"},
		"a foreign log":     {func(dir string) error { return flip(dir, LogDir+"/"+segmentName(0), 0) }, "not a segment of a seawall log"},
		"a stranger's file": {func(dir string) error { return os.WriteFile(filepath.Join(dir, LogDir, "notes.txt"), nil, 0o600) }, "a file that is no segment: notes.txt: move it elsewhere"},
		"an open directory": {func(dir string) error { return os.Chmod(dir, 0o750) }, "run chmod 700"},
		"an open log":       {func(dir string) error { return os.Chmod(filepath.Join(dir, LogDir), 0o755) }, "run chmod 700"},
		"an open kek":       {func(dir string) error { return os.Chmod(filepath.Join(dir, kekFile), 0o640) }, "run chmod 600"},
		"an open root":      {func(dir string) error { return os.Chmod(filepath.Join(dir, rootFile), 0o604) }, "run chmod 600"},
		"open receipt keys": {func(dir string) error { return os.Chmod(filepath.Join(dir, receiptsFile), 0o644) }, "run chmod 600"},
		"an open segment":   {func(dir string) error { return os.Chmod(filepath.Join(dir, LogDir, segmentName(0)), 0o644) }, "run chmod 600"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.close()
			if err := c.harm(r.dir); err != nil {
				t.Fatal(err)
			}
			found, err := Exists(r.dir)
			if err == nil && found {
				err = r.tryOpen()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err := Create(r.config()); err == nil {
				t.Error("a new ledger was made over the old one")
			}
		})
	}
}

func TestALedgerNeedsADirectoryOfItsOwn(t *testing.T) {
	r := prepareRig(t)
	if err := os.Mkdir(filepath.Join(r.dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	if found, err := Exists(r.dir); found || err != nil {
		t.Errorf("a fresh file system: %v, %v", found, err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "letter.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Create(r.config()); err == nil || !strings.Contains(err.Error(), "is not empty (letter.txt): a ledger needs a directory of its own") {
		t.Errorf("somebody else's directory: %v", err)
	}
	removeFile(t, r.dir, "letter.txt")
	r.create()
}

func removeAll(dir string, names ...string) error {
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func flip(dir, name string, at int) error {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[at] ^= 0x10
	return os.WriteFile(path, b, 0o600)
}

// TestKeysAndLogBelongTogether puts one ledger's log beside another's keys.
func TestKeysAndLogBelongTogether(t *testing.T) {
	a, b := newRig(t), newRig(t)
	a.close()
	b.close()
	if err := errorsOf(os.RemoveAll(filepath.Join(a.dir, LogDir)), os.Rename(filepath.Join(b.dir, LogDir), filepath.Join(a.dir, LogDir))); err != nil {
		t.Fatal(err)
	}
	if err := a.tryOpen(); err == nil || !strings.Contains(err.Error(), "the log was changed") {
		t.Errorf("with the saved state: %v", err)
	}
	removeFile(t, a.dir, stateFile)
	if err := a.tryOpen(); err == nil || !strings.Contains(err.Error(), "the log was changed") && !strings.Contains(err.Error(), "not those of its log") {
		t.Errorf("without: %v", err)
	}
}

func errorsOf(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestACrashDuringCreation leaves some of the files of a ledger that has never served: it is made again.
func TestACrashDuringCreation(t *testing.T) {
	whole := newRig(t)
	whole.close()
	for _, kept := range [][]string{{}, {kekFile}, {kekFile, rootFile}, {kekFile, rootFile, receiptsFile}} {
		r := prepareRig(t)
		for _, name := range append(kept, makingFile) {
			content, err := os.ReadFile(filepath.Join(whole.dir, name))
			if err != nil && name != makingFile {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(r.dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(filepath.Join(r.dir, LogDir+unfinishedSuffix), 0o700); err != nil {
			t.Fatal(err)
		}
		if found, err := Exists(r.dir); found || err != nil {
			t.Fatalf("with %v: %v, %v", kept, found, err)
		}
		r.create()
		r.open()
		r.dial(Signer).mustHello()
	}
	if err := Create(whole.config()); err == nil || !strings.Contains(err.Error(), "there is a ledger") {
		t.Errorf("a second creation: %v", err)
	}
	// The mark of a creation that was all but finished does not outlive the next start.
	if err := os.WriteFile(filepath.Join(whole.dir, makingFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	whole.open()
	whole.close()
	if err := os.RemoveAll(filepath.Join(whole.dir, LogDir)); err != nil {
		t.Fatal(err)
	}
	if _, err := Exists(whole.dir); err == nil || !strings.Contains(err.Error(), "has lost its log") {
		t.Errorf("a ledger without its log: %v", err)
	}
}

// TestClockBehindTheLog: a little is bridged, more is refused until the clock is right.
func TestClockBehindTheLog(t *testing.T) {
	r, p, i := ready(t)
	send := func() (mint.Head, *mint.Refusal) {
		head, got, err := p.tokens(r.l, i.token(r.clock.now()))
		if err != nil {
			t.Fatal(err)
		}
		return head, got[0].Refusal
	}
	first, refusal := send()
	if refusal != nil {
		t.Fatal(refusal)
	}
	r.clock.set(-4 * time.Second)
	second, refusal := send()
	if refusal != nil || second.Millis < first.Millis {
		t.Fatalf("four seconds back: %v, %d after %d", refusal, second.Millis, first.Millis)
	}
	r.clock.set(-30 * time.Second)
	before := r.l.Head()
	if _, refusal = send(); refusal == nil || refusal.Code != mint.ClockSkew || !strings.Contains(refusal.Detail, "is behind its last entry") {
		t.Fatalf("half a minute back: %v", refusal)
	}
	if _, err := p.entries(&mint.Entry{Kind: mint.ClockWasFrozen, Detail: []mint.Field{{Name: "reason", Value: "x"}}}); !isRefusal(err, mint.ClockSkew) {
		t.Errorf("an entry: %v", err)
	}
	if _, err := p.entries(policyEntry("acme", i.url, 2)); !isRefusal(err, mint.ClockSkew) {
		t.Errorf("a policy: %v", err)
	}
	if r.l.Head() != before {
		t.Error("something was recorded")
	}
	if !strings.Contains(r.log.String(), "set the clock right") {
		t.Error("the operator was not told")
	}
	r.close() // a start with the wrong clock refuses in the same way
	r.open()
	p = r.dial(Signer)
	p.mustHello()
	if _, refusal = send(); refusal == nil || refusal.Code != mint.ClockSkew {
		t.Fatalf("after a restart: %v", refusal)
	}
	r.clock.set(0)
	if _, refusal = send(); refusal != nil {
		t.Fatalf("with the right clock: %v", refusal)
	}
}

// TestReceiptKeysRotate walks through a year: there is always a key, each is published a week before it signs, and replaced
// ones lose their private part.
func TestReceiptKeysRotate(t *testing.T) {
	r, p, _ := ready(t)
	i := p.issuer("globex", r.clock.now())
	const day = 24 * time.Hour
	published := map[string]int{} // key to the first day on which it was in the document
	signed := map[mint.KeyID]bool{}
	for n := range 365 {
		r.clock.set(time.Duration(n) * day)
		done := make(chan struct{})
		r.l.queue.put(&job{alone: func() { r.l.tend(); close(done) }})
		<-done
		d := r.l.Document()
		for _, c := range d.ReceiptKeys {
			if _, seen := published[c.ID]; !seen {
				published[c.ID] = n
			}
		}
		if n%20 == 0 { // the key of the issuer must follow
			k := newKey(t, "globex", i.url, r.clock.now())
			if _, err := p.steps(step(&i.key, mint.KeyVerifyOnly), step(&k, mint.KeyStaged), step(&k, mint.KeyActivated)); err != nil {
				t.Fatal(err)
			}
			i.key = k
		}
		u := i.token(r.clock.now())
		head, got, err := p.tokens(r.l, u)
		if err != nil || got[0].Refusal != nil {
			t.Fatalf("day %d: %v %v", n, err, got)
		}
		id := got[0].Receipt.Key()
		signed[id] = true
		if n > 0 && published[id.String()] > n-7 && published[id.String()] > 0 {
			t.Fatalf("day %d: signed by %s, which was published on day %d", n, id, published[id.String()])
		}
		for _, c := range d.ReceiptKeys {
			if c.ID == id.String() && (head.Millis/1000 < uint64(c.NotBefore) || head.Millis/1000 >= uint64(c.Expires)) {
				t.Fatalf("day %d: signed outside the key's window", n)
			}
		}
		if len(d.ReceiptKeys) > 3 {
			t.Fatalf("day %d: %d keys are published", n, len(d.ReceiptKeys))
		}
	}
	if len(published) != 5 || len(signed) != 5 {
		t.Errorf("%d keys were published and %d signed, want 5 and 5", len(published), len(signed))
	}
	r.close()
	if k := loadedKeys(t, r.dir); len(k.receipts) > 2 {
		t.Errorf("%d private keys are kept", len(k.receipts))
	}
	report, err := Verify(t.Context(), r.dir, VerifyOptions{})
	if err != nil || !report.Good() {
		t.Errorf("%v, %v", report.Findings, err)
	}
	r.clock.set(800 * day) // nobody made a successor in time: the next start does
	r.open()
	p = r.dial(Signer)
	p.mustHello()
	i.key = newKey(t, "globex", i.url, r.clock.now())
	i.key.Alg, i.key.JWK = "EdDSA", map[string]string{"kty": "OKP", "crv": "Ed25519", "x": strings.Repeat("D", 42) + "E"}
	retag(t, &i.key)
	if _, err := p.steps(step(&i.key, mint.KeyStaged), step(&i.key, mint.KeyActivated)); err != nil {
		t.Fatal(err)
	}
	if _, got, err := p.tokens(r.l, i.token(r.clock.now())); err != nil || got[0].Refusal != nil {
		t.Fatalf("after a long sleep: %v, %v", got, err)
	}
	if report, err = Verify(t.Context(), r.dir, VerifyOptions{}); err != nil || !report.Good() {
		t.Errorf("%v, %v", report.Findings, err)
	}
}

// TestAKeyIsRecordedBeforeItIsUsed crashes between the sealing of a receipt key and its entry.
func TestAKeyIsRecordedBeforeItIsUsed(t *testing.T) {
	r := newRig(t)
	r.close()
	k := loadedKeys(t, r.dir)
	if err := k.add(r.clock.now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	id := k.newest().id
	r.open()
	if d := r.l.Document(); len(d.ReceiptKeys) != 2 || d.ReceiptKeys[1].ID != id.String() {
		t.Fatalf("document %+v", d)
	}
	report, err := Verify(t.Context(), r.dir, VerifyOptions{})
	if err != nil || !report.Good() {
		t.Errorf("%v, %v", report.Findings, err)
	}
}

// TestManyWriters has several connections write at once while others come and go.
func TestManyWriters(t *testing.T) {
	r, _, i := ready(t)
	var group sync.WaitGroup
	var mu sync.Mutex
	seen := map[uint64]bool{}
	for w := range 4 {
		p, house := r.dial(Signer), r.dial(House)
		group.Go(func() {
			p.mustHello()
			for n := range 40 {
				var list []mint.Unsigned
				for range n%5 + 1 {
					list = append(list, i.token(r.clock.now()))
				}
				_, got, err := p.tokens(r.l, list...)
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				mu.Lock()
				for _, g := range got {
					if g.Refusal != nil || seen[g.Receipt.Sequence()] {
						t.Errorf("writer %d: %v, or a sequence twice", w, g.Refusal)
					}
					seen[g.Receipt.Sequence()] = true
				}
				mu.Unlock()
				if n%10 == 0 {
					p.mustHello()
				}
			}
		})
		group.Go(func() {
			house.mustHello()
			for n := range 40 {
				e := &mint.Entry{Kind: mint.SecretRotated, Tenant: "acme", Client: fmt.Sprint("c", n)}
				if _, err := house.entries(e, e); err != nil {
					t.Errorf("house %d: %v", w, err)
					return
				}
			}
		})
	}
	group.Wait()
	r.close()
	report, err := Verify(t.Context(), r.dir, VerifyOptions{})
	if err != nil || !report.Good() || report.Tokens != uint64(len(seen)) || report.Entries != report.Tokens+4*80+2+3 {
		t.Errorf("%+v, %v; %d receipts", report, err, len(seen))
	}
}

// TestWhatArrivesTogetherIsCommittedTogether sends messages in one piece: one batch, and so one fsync, is enough for them.
func TestWhatArrivesTogetherIsCommittedTogether(t *testing.T) {
	r, p, i := ready(t)
	const messages = 300 // more than there are places for
	var lists [messages][]mint.Unsigned
	var stream []byte
	for n := range lists {
		lists[n] = []mint.Unsigned{i.token(r.clock.now())}
		body := mint.AppendTokens(nil, lists[n])
		stream = binary.BigEndian.AppendUint32(stream, uint32(1+8+len(body)))
		stream = binary.BigEndian.AppendUint64(append(stream, byte(mint.MsgTokens)), uint64(n))
		stream = append(stream, body...)
	}
	before := r.l.Head().Size
	go p.conn.Write(stream)
	heads := map[mint.Head]int{}
	for range messages {
		f, err := p.r.Next(true)
		if err != nil {
			t.Fatal(err)
		}
		head, got, err := mint.ReadRecorded(f.Body, p.seal, digestsOf(lists[f.ID]), certified(r.l.Document()))
		if err != nil || got[0].Refusal != nil {
			t.Fatalf("message %d: %v, %v", f.ID, got, err)
		}
		heads[head]++
	}
	if n := r.l.Head().Size - before; n != messages {
		t.Errorf("%d entries for %d tokens", n, messages)
	}
	if len(heads) > messages/10 { // the reader takes 64 KiB at a time, about 120 of them
		t.Errorf("%d batches for %d messages that arrived together", len(heads), messages)
	}
}

// TestOneProcessor has everything done by the goroutine that reads, as in a vault on a small machine.
func TestOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r, p, i := ready(t)
	var list []mint.Unsigned
	for range mint.MaxBatch {
		list = append(list, i.token(r.clock.now()))
	}
	list[3].Payload = []byte("{}")
	_, got, err := p.tokens(r.l, list...)
	if err != nil {
		t.Fatal(err)
	}
	keyOf := keyOfDocument(r.l.Document())
	for n, g := range got {
		if refused := g.Refusal != nil; refused != (n == 3) || !refused && !g.Receipt.Verify(keyOf(g.Receipt.Key()), digestsOf(list)[n]) {
			t.Errorf("token %d: %v, or a receipt that does not verify", n, g.Refusal)
		}
	}
}

// TestTheKindsAreAllThere holds the table against the list of kinds in the contract.
func TestTheKindsAreAllThere(t *testing.T) {
	contract := []mint.EntryKind{mint.TokenIssued, mint.PolicyChanged, mint.KeyStaged, mint.KeyActivated, mint.KeyVerifyOnly, mint.KeyRetired,
		mint.KeySuspended, mint.KeyRevoked, mint.DistrustStated, mint.ClockWasFrozen, mint.ClockWasAccepted, mint.LedgerCreated, mint.LedgerKeyAdded, mint.BaseRecorded, mint.TenantCreated,
		mint.TenantWasDisabled, mint.APICreated, mint.APIDisabled, mint.ClientCreated, mint.ClientDisabled, mint.SecretRotated, mint.AuthFailed, mint.RotationAsked,
		mint.PersonCreated, mint.PersonDisabled, mint.RoleChanged, mint.SignedIn, mint.SignInRefused, mint.PasskeyAdded, mint.PasskeyRemoved, mint.PasskeySuspended,
		mint.SessionEnded, mint.EnrolmentIssued, mint.EnrolmentUsed, mint.RecoveryRequested, mint.RecoveryApproved, mint.RecoveryStopped,
		mint.GlassSealed, mint.GlassBroken, mint.GlassProven, mint.PasskeyRestored, mint.TenantCompleted, mint.ClientChanged, mint.ConsentGiven, mint.CodeIssued,
		mint.ConsentWithdrawn, mint.CodeReused, mint.RefreshReplayed, mint.RefreshSuspended, mint.RefreshResumed, mint.RefreshEnded}
	for _, kind := range contract {
		k := kindOf(kind)
		if k == nil {
			t.Errorf("%s has no line in the table", kind)
			continue
		}
		if k.need&k.may != 0 || k.Keep != TwoYears && k.Keep != Always {
			t.Errorf("%s: fields both needed and allowed, or no retention", kind)
		}
		if (k.Writer == ByKeys || k.Writer == ByLedger || kind == mint.PolicyChanged) != changes(kind) {
			t.Errorf("%s: it is not told alike whether it changes the state", kind)
		}
	}
	if len(Kinds()) != len(contract) {
		t.Errorf("the table has %d kinds, and the contract %d", len(Kinds()), len(contract))
	}
}

// TestAStartReadsTheLastSegmentOnly keeps a start fast however long the log is.
func TestAStartReadsTheLastSegmentOnly(t *testing.T) {
	s := newSpecimen(t)
	d := &countingDisk{disk: folder(filepath.Join(s.r.dir, LogDir)), opened: map[string]bool{}}
	st, from, err := (&Ledger{dir: s.r.dir, disk: d, keys: loadedKeys(t, s.r.dir), log: s.r.config().Log}).readState(0)
	if err != nil {
		t.Fatal(err)
	}
	r, err := load(t.Context(), d, st, from)
	if err != nil || r.at.Head != s.head {
		t.Fatalf("%+v, %v", r, err)
	}
	list := s.segments()
	if last := filepath.Base(list[len(list)-1]); len(d.opened) != 1 || !d.opened[last] {
		t.Errorf("opened %v, want %s alone", d.opened, last)
	}
}

type countingDisk struct {
	disk
	opened map[string]bool
}

func (d *countingDisk) Open(name string) (file, error) {
	d.opened[name] = true
	return d.disk.Open(name)
}
