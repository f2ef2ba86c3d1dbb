package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"seawall/internal/ledger"
	"seawall/internal/mint"
	"seawall/internal/process"
)

// The commands of this file read the log's files and nothing else: no process needs to run, and one may.

func logCommands() []command {
	return []command{
		{name: "verify", help: "check every byte of the log, and that nothing was cut off", run: adapt("log verify", logVerify)},
		{name: "search", help: "find entries by client, subject, key, time", run: adapt("log search", logSearch)},
		{name: "export", help: "print the whole log as JSON, or copy it to be checked elsewhere", run: adapt("log export", logExport)},
		{name: "kinds", help: "list the kinds of entry", run: adapt("log kinds", logKinds)},
	}
}

// headFile is where signer and house remember the head, in their own directories.
const headFile = "head"

// logOf returns the directory that holds the log, in a data directory, in an export, or in that of a ledger that runs alone.
func logOf(data func() (string, error)) (dir, log string, err error) {
	if dir, err = data(); err != nil {
		return "", "", err
	}
	for _, log = range []string{filepath.Join(dir, ledgerDir), dir} {
		_, err = os.Stat(filepath.Join(log, ledger.LogDir))
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		err = hint(fmt.Errorf("the log in %s: permission denied", dir), "it belongs to the ledger's own user: run this as root, or as the user seawall was started as")
	case errors.Is(err, fs.ErrNotExist):
		err = hint(fmt.Errorf("there is no log in %s", dir), "--data or SEAWALL_DATA names the directory seawall lives in, or an export", "if seawall has run there, its log is missing: put it back from its newest copy")
	}
	return dir, log, err
}

func logVerify(ctx context.Context, c *call) error {
	f := newFlags(c, "", "Checks every byte of the log: order, gaps, tree hashes, chain, signatures, certificates, the life of every key, and that\nevery token was recorded under a key that was active. It also looks for the heads that signer and house remember, so\nentries cut off the end are noticed. It needs no running seawall, and may run beside one. The status is 1 if anything is\nwrong.")
	data, asJSON := f.data(), f.json()
	heads := f.list("head", "a `FILE` with a head to look for as well: a copy of signer/head, or what --json printed; may be repeated")
	pin := f.String("pin", "", "the `PIN` of the ledger that the log must belong to")
	if _, err := f.parse(); err != nil {
		return err
	}
	dir, log, err := logOf(data)
	if err != nil {
		return err
	}
	line := newProgressLine(c.err, "checked")
	began := time.Now()
	report, err := ledger.Verify(ctx, log, ledger.VerifyOptions{Heads: remembered(dir, *heads), Pin: *pin, Progress: line.show})
	line.clear()
	if err != nil {
		return fmt.Errorf("checking the log in %s: %w", dir, err)
	}
	if *asJSON {
		err = writeJSON(c.out, verdict(report, time.Since(began)))
	} else {
		err = showReport(c, dir, report)
	}
	if err == nil && !report.Good() {
		err = errAnswered
	}
	return err
}

// remembered reads the heads of signer and house, where they are, and those of the files given.
func remembered(dir string, files []string) (list []ledger.Remembered) {
	for _, by := range []string{signerDir, houseDir} {
		head, err := mint.ReadHeadFile(filepath.Join(dir, by, headFile))
		if !errors.Is(err, fs.ErrNotExist) {
			list = append(list, ledger.Remembered{By: by, Head: head, Err: err})
		}
	}
	for _, path := range files {
		head, err := readHead(path)
		list = append(list, ledger.Remembered{By: path, Head: head, Err: err})
	}
	return list
}

// readHead reads a head that somebody kept: a head file, or the JSON of an earlier check.
func readHead(path string) (mint.Head, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return mint.Head{}, err
	}
	if !strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		return mint.ReadHeadFile(path)
	}
	var noted struct {
		Size uint64      `json:"size"`
		Head mint.Digest `json:"head"`
	}
	if err := json.Unmarshal(text, &noted); err != nil || noted.Size == 0 {
		return mint.Head{}, fmt.Errorf("it is no head: it needs the members size and head, as log verify --json prints them")
	}
	return mint.Head{Size: noted.Size, Batch: noted.Head}, nil
}

// logVerdict is what log verify --json prints. The members size and head are enough to compare a log with later.
type logVerdict struct {
	OK           bool             `json:"ok"`
	Entries      uint64           `json:"entries"`
	Tokens       uint64           `json:"tokens"`
	Batches      uint64           `json:"batches"`
	Segments     int              `json:"segments"`
	Size         uint64           `json:"size"`
	Head         string           `json:"head"`
	Time         string           `json:"time,omitempty"` // of the last batch
	Pin          string           `json:"pin,omitempty"`
	RememberedBy []string         `json:"remembered_by"`
	Unfinished   int64            `json:"unfinished_bytes,omitempty"`
	Seconds      float64          `json:"seconds"`
	Findings     []ledger.Finding `json:"findings"`
}

func verdict(r *ledger.Report, took time.Duration) *logVerdict {
	return &logVerdict{OK: r.Good(), Entries: r.Entries, Tokens: r.Tokens, Batches: r.Batches, Segments: r.Segments,
		Size: r.Head.Size, Head: r.Head.Batch.String(), Time: entryTime(r.Head.Millis), Pin: r.Pin,
		RememberedBy: orEmpty(r.RememberedBy), Unfinished: r.Unfinished, Seconds: took.Seconds(), Findings: orEmpty(r.Findings)}
}

func showReport(c *call, dir string, r *ledger.Report) error {
	if r.Good() {
		by := "remembered by nobody, so entries cut off the end would not be noticed"
		if len(r.RememberedBy) > 0 {
			by = "remembered by " + strings.Join(r.RememberedBy, " and ")
		}
		if r.Unfinished > 0 {
			by += fmt.Sprintf("; %d bytes of an unfinished batch behind it do not count", r.Unfinished)
		}
		_, err := fmt.Fprintf(c.out, "complete up to head %s (%s, %s), %s\n", r.Head.Batch, entries(r.Entries), counted(r.Tokens, "token"), by)
		return err
	}
	fmt.Fprintf(c.err, "seawall: the log in %s is not as the ledger wrote it: %s\n", dir, counted(uint64(len(r.Findings)), "finding"))
	for _, f := range r.Findings {
		fmt.Fprintf(c.err, "  %s  %s\n", styleFor(c.err).warn(string(f.Code)), f)
	}
	fmt.Fprintf(c.err, "hint: keep a copy of the directory as it is before anything else\nhint: then put the newest copy back that verifies, and find out who could write to %s\n", filepath.Join(dir, ledgerDir))
	return nil
}

func counted(n uint64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// logFilter adds the flags that say which entries are meant.
func (f *flags) logFilter() func() (ledger.Filter, error) {
	var filter ledger.Filter
	f.StringVar(&filter.Tenant, "tenant", "", "entries of this `TENANT`")
	f.StringVar(&filter.Client, "client", "", "entries of this client `ID`")
	f.StringVar(&filter.Subject, "subject", "", "tokens of this `SUBJECT`")
	f.StringVar(&filter.KID, "key", "", "entries of the key with this `KID`")
	f.StringVar(&filter.JTI, "jti", "", "the token with this `JTI`")
	f.StringVar(&filter.Session, "session", "", "sign-in, tokens and end of this session `ID` of a person")
	kind := f.String("kind", "", "entries of this `KIND`; seawall log kinds lists them")
	since := f.String("since", "", "from this `TIME` on: 2026-03-01, 2026-03-01T14:30:00Z, or 36h or 7d for that long ago")
	until := f.String("until", "", "up to this `TIME`")
	return func() (ledger.Filter, error) {
		var err error
		if filter.Kind, err = parseKind(*kind); err != nil {
			return filter, f.wrong("--kind: %v", err)
		}
		if filter.Since, err = parseMoment(*since, time.Now()); err != nil {
			return filter, f.wrong("--since: %v", err)
		}
		if filter.Until, err = parseMoment(*until, time.Now()); err != nil {
			return filter, f.wrong("--until: %v", err)
		}
		return filter, nil
	}
}

func parseKind(word string) (mint.EntryKind, error) {
	if word == "" {
		return "", nil
	}
	var names []string
	for _, k := range ledger.Kinds() {
		if string(k.Name) == word {
			return k.Name, nil
		}
		names = append(names, string(k.Name))
	}
	if near := nearest(word, names); near != "" {
		return "", fmt.Errorf("no kind '%s': did you mean '%s'?", word, near)
	}
	return "", fmt.Errorf("no kind '%s': seawall log kinds lists them", word)
}

// parseMoment reads a time as people give it to --since and --until.
func parseMoment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil { // without a zone: UTC, as the log is printed
			return t, nil
		}
	}
	ago := text
	var days int
	if n, err := fmt.Sscanf(text, "%dd", &days); n == 1 && err == nil && text == fmt.Sprintf("%dd", days) {
		ago = fmt.Sprintf("%dh", 24*days)
	}
	if d, err := time.ParseDuration(ago); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("'%s' is no time: write 2026-03-01, 2026-03-01T14:30:00Z, or 36h or 7d for that long ago", text)
}

func logSearch(ctx context.Context, c *call) error {
	f := newFlags(c, "", "Prints the entries that have everything asked for, oldest first, as they are found. What it prints is as the files say;\nseawall log verify tells whether the files are as the ledger wrote them.")
	data, asJSON, filter := f.data(), f.json(), f.logFilter()
	if _, err := f.parse(); err != nil {
		return err
	}
	wanted, err := filter()
	if err != nil {
		return err
	}
	_, log, err := logOf(data)
	if err != nil {
		return err
	}
	return printEntries(ctx, c, log, wanted, *asJSON)
}

// printEntries streams what a search finds.
func printEntries(ctx context.Context, c *call, log string, wanted ledger.Filter, asJSON bool) error {
	out := bufio.NewWriterSize(c.out, 64<<10)
	line := newProgressLine(c.err, "searched")
	print := entryTable(out, styleFor(c.out))
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		print = func(e mint.NumberedEntry) error { return enc.Encode(entryLine(&e)) }
	}
	found := 0
	err := ledger.Search(ctx, log, wanted, func(p ledger.Progress) {
		if out.Flush() == nil && found == 0 { // a table that grows is progress enough
			line.show(p)
		}
	}, func(e mint.NumberedEntry) error {
		if found++; found == 1 {
			line.clear()
		}
		return print(e)
	})
	line.clear()
	if err = errors.Join(err, out.Flush()); err == nil && found == 0 && !asJSON {
		_, err = fmt.Fprintln(c.out, "No entries.")
	}
	return err
}

func logExport(ctx context.Context, c *call) error {
	f := newFlags(c, "[DIR]", "Prints the log as JSON, one entry a line. With DIR it copies the log's own files instead, and the heads that signer and\nhouse remember, to that new directory, which seawall log verify --data DIR checks anywhere. It holds metadata and no key.")
	data, filter := f.data(), f.logFilter()
	c.asJSON = f.Bool("json", false, "print JSON, which it does anyway; failures then, too")
	words, err := f.parse("[DIR]")
	if err != nil {
		return err
	}
	wanted, err := filter()
	if err != nil {
		return err
	}
	dir, log, err := logOf(data)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return printEntries(ctx, c, log, wanted, true)
	}
	to := words[0]
	if wanted != (ledger.Filter{}) {
		return f.wrong("a copy is of whole files, and knows no filter")
	}
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		return hint(fmt.Errorf("%s exists", to), "an export goes to a new directory")
	}
	line := newProgressLine(c.err, "copied")
	// The heads first: the log may grow meanwhile, and must not be found shorter than they say.
	for _, by := range []string{signerDir, houseDir} {
		if err := copyHead(filepath.Join(dir, by, headFile), filepath.Join(to, by)); err != nil {
			return err
		}
	}
	err = ledger.Export(ctx, log, filepath.Join(to, ledgerDir), line.show)
	line.clear()
	if err != nil {
		return fmt.Errorf("copying the log to %s: %w", to, err)
	}
	_, err = fmt.Fprintf(c.out, "The log is in %s; check it with: seawall log verify --data %s\n", to, to)
	return err
}

// copyHead copies a remembered head into a directory of its own. One that is not there is left out.
func copyHead(from, to string) error {
	text, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, headFile), text, 0o600)
}

func logKinds(_ context.Context, c *call) error {
	f := newFlags(c, "", "Lists the kinds of entry there can be in the log, who writes them, and how long they are kept.")
	asJSON := f.json()
	if _, err := f.parse(); err != nil {
		return err
	}
	type row struct {
		Kind   string `json:"kind"`
		Writer string `json:"writer"`
		Kept   string `json:"kept"`
	}
	var rows []row
	t := table{head: []string{"KIND", "WRITTEN BY", "KEPT"}}
	for _, k := range ledger.Kinds() {
		rows = append(rows, row{string(k.Name), string(k.Writer), string(k.Keep)})
		t.add(string(k.Name), string(k.Writer), string(k.Keep))
	}
	if *asJSON {
		return writeJSON(c.out, map[string]any{"kinds": rows})
	}
	return t.write(c.out, "")
}

// logLine is an entry as JSON.
type logLine struct {
	Sequence  uint64            `json:"sequence"`
	Time      string            `json:"time"`
	Kind      mint.EntryKind    `json:"kind"`
	Tenant    string            `json:"tenant,omitempty"`
	Issuer    string            `json:"issuer,omitempty"`
	Client    string            `json:"client,omitempty"`
	Subject   string            `json:"subject,omitempty"`
	KID       string            `json:"kid,omitempty"`
	Actor     string            `json:"actor,omitempty"`
	TokenKind string            `json:"token_kind,omitempty"`
	Audience  []string          `json:"audience,omitempty"`
	JTI       string            `json:"jti,omitempty"`
	IssuedAt  int64             `json:"iat,omitempty"`
	Expires   int64             `json:"exp,omitempty"`
	Digest    string            `json:"digest,omitempty"`
	Detail    map[string]string `json:"detail,omitempty"`
}

func entryLine(n *mint.NumberedEntry) *logLine {
	e := &n.Entry
	l := &logLine{Sequence: n.Sequence, Time: entryTime(e.Millis), Kind: e.Kind, Tenant: e.Tenant, Issuer: e.Issuer, Client: e.Client, Subject: e.Subject,
		KID: e.KID, Actor: e.Actor, TokenKind: e.TokenKind, Audience: e.Audience, JTI: e.JTI, IssuedAt: e.IssuedAt, Expires: e.Expires}
	if e.Digest != (mint.Digest{}) {
		l.Digest = e.Digest.String()
	}
	if len(e.Detail) > 0 {
		l.Detail = make(map[string]string, len(e.Detail))
		for _, d := range e.Detail {
			l.Detail[d.Name] = d.Value
		}
	}
	return l
}

// entryTime prints the time of an entry: UTC, to the millisecond.
func entryTime(ms uint64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(int64(ms)).UTC().Format("2006-01-02T15:04:05.000Z")
}

// entryTable prints entries in columns as they come: the widths cannot wait for the last one.
func entryTable(w io.Writer, style style) func(mint.NumberedEntry) error {
	const row = "%10v  %-24s  %-22s  %-16s  %-20s  %-20s  %s\n"
	first := true
	return func(n mint.NumberedEntry) error {
		if first {
			first = false
			head := fmt.Sprintf(row, "ENTRY", "TIME", "KIND", "TENANT", "CLIENT", "SUBJECT", "MORE")
			if _, err := fmt.Fprintln(w, style.muted(strings.TrimRight(head, "\n"))); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(w, row, n.Sequence, entryTime(n.Entry.Millis), n.Entry.Kind, visible(n.Entry.Tenant), visible(n.Entry.Client), visible(n.Entry.Subject), entryMore(&n.Entry))
		return err
	}
}

// entryMore is what has no column.
func entryMore(e *mint.Entry) string {
	var words []string
	add := func(name, value string) {
		if value != "" {
			words = append(words, name+"="+visible(value))
		}
	}
	add("typ", e.TokenKind)
	add("jti", e.JTI)
	add("key", e.KID)
	add("aud", strings.Join(e.Audience, ","))
	add("by", e.Actor)
	for _, d := range e.Detail {
		if raw, err := base64.RawURLEncoding.DecodeString(d.Value); err == nil && len(raw) >= 32 {
			continue // hashes and signatures are for --json
		}
		add(d.Name, d.Value)
	}
	return strings.Join(words, " ")
}

// visible keeps what the log says from moving the terminal's cursor. The ledger refuses such text, and this command reads
// files that others may have written.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, s)
}

// progressLine tells how far a long read is, where a person looks at a terminal.
type progressLine struct {
	w     io.Writer
	verb  string
	began time.Time
	last  time.Time
	shown bool
}

func newProgressLine(w io.Writer, verb string) *progressLine {
	if !process.Terminal(w) {
		w = nil
	}
	return &progressLine{w: w, verb: verb, began: time.Now()}
}

func (l *progressLine) show(p ledger.Progress) {
	now := time.Now()
	if l.w == nil || now.Sub(l.began) < time.Second || now.Sub(l.last) < 200*time.Millisecond || p.Bytes == 0 {
		return
	}
	l.last, l.shown = now, true
	took := now.Sub(l.began)
	left := time.Duration(float64(took) * float64(p.Total-p.Bytes) / float64(p.Bytes))
	fmt.Fprintf(l.w, "\r\x1b[K%s %s, %d%%, %.0f/s, %s left", l.verb, entries(p.Entries), 100*p.Bytes/max(1, p.Total), float64(p.Entries)/took.Seconds(), span(left))
}

func (l *progressLine) clear() {
	if l.shown {
		fmt.Fprint(l.w, "\r\x1b[K")
		l.shown = false
	}
}
