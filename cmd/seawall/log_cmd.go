package main

import (
	"bytes"
	"context"
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
)

func logCommands() []command {
	return []command{
		{name: "verify", help: "check every byte of the log, and the heads that others remember", run: adapt("log verify", logVerify)},
		{name: "search", help: "find entries by client, subject, key, token or time", run: adapt("log search", logSearch)},
		{name: "export", help: "copy the log to where it can be verified without us", run: adapt("log export", logExport)},
	}
}

// logPlace is where a log lies, and who remembers its head.
type logPlace struct {
	ledger string // the ledger's directory
	heads  []ledger.Remembered
}

// findLog finds the log of a data directory, or of an export.
func findLog(dir string) (*logPlace, error) {
	p := &logPlace{ledger: filepath.Join(dir, ledgerDir)}
	_, err := os.Stat(filepath.Join(p.ledger, ledger.LogDir))
	if errors.Is(err, fs.ErrNotExist) {
		if _, exported := os.Stat(filepath.Join(dir, ledger.LogDir)); exported == nil {
			return &logPlace{ledger: dir}, nil
		}
		return nil, hint(fmt.Errorf("there is no log in %s", dir), "--data names the directory that `seawall up` runs on, or one that `seawall log export` made")
	}
	if err != nil {
		return nil, fmt.Errorf("the log: %w", err)
	}
	for _, by := range []string{signerDir, houseDir} {
		head, err := mint.ReadHeadFile(filepath.Join(dir, by, "head"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		p.heads = append(p.heads, ledger.Remembered{By: by, Head: head, Err: err})
	}
	return p, nil
}

// headJSON is a head as this program prints it and reads it back.
type headJSON struct {
	Size  uint64      `json:"size"`
	MS    uint64      `json:"ms"`
	Batch mint.Digest `json:"batch"`
}

// readHead reads a head that somebody kept: the JSON of an earlier `log verify --json`, its member "head" alone, or the
// file in which a process remembers one.
func readHead(path string) (ledger.Remembered, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return ledger.Remembered{}, fmt.Errorf("--head: %w", err)
	}
	by := filepath.Base(path)
	if text = bytes.TrimSpace(text); len(text) == 0 || text[0] != '{' {
		head, err := mint.ReadHeadFile(path)
		return ledger.Remembered{By: by, Head: head, Err: err}, nil
	}
	var said struct {
		headJSON
		Head *headJSON `json:"head"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return ledger.Remembered{}, hint(fmt.Errorf("--head: %s holds no head", path), "keep the output of `seawall log verify --json`, or its member head")
	}
	head := said.headJSON
	if said.Head != nil {
		head = *said.Head
	}
	if head.Size == 0 {
		return ledger.Remembered{}, hint(fmt.Errorf("--head: %s holds no head", path), "keep the output of `seawall log verify --json`, or its member head")
	}
	return ledger.Remembered{By: by, Head: mint.Head{Size: head.Size, Millis: head.MS, Batch: head.Batch}}, nil
}

// verifyReport is what verify says with --json.
type verifyReport struct {
	Good         bool             `json:"good"`
	Entries      uint64           `json:"entries"`
	Tokens       uint64           `json:"tokens"`
	Batches      uint64           `json:"batches"`
	Segments     int              `json:"segments"`
	Head         headJSON         `json:"head"`
	Pin          string           `json:"pin"`
	RememberedBy []string         `json:"remembered_by"`
	Unfinished   int64            `json:"unfinished_bytes"` // behind the last batch: one being written
	Findings     []ledger.Finding `json:"findings"`
}

func logVerify(ctx context.Context, c *call) error {
	f := newFlags(c, "[--data DIR] [--head FILE] [--pin PIN]",
		"Checks every byte of the log, offline: order, chain, roots and signatures of all batches, every step of every key, and\nthat nobody remembers a longer or another log. It may run beside seawall. Exit status 1 means that something is wrong.")
	data, asJSON := f.data(), f.json()
	heads := f.list("head", "a `FILE` with a head that you kept; may be repeated")
	pin := f.String("pin", "", "the `PIN` of the root that the log must belong to")
	if _, err := f.parse(); err != nil {
		return err
	}
	dir, err := data()
	if err != nil {
		return err
	}
	place, err := findLog(dir)
	if err != nil {
		return err
	}
	for _, path := range *heads {
		head, err := readHead(path)
		if err != nil {
			return err
		}
		place.heads = append(place.heads, head)
	}
	progress := newProgress(c.err, "verifying")
	report, err := ledger.Verify(ctx, place.ledger, ledger.VerifyOptions{Heads: place.heads, Pin: *pin, Progress: progress.show})
	progress.clear()
	if err != nil {
		return fmt.Errorf("verifying the log: %w", err)
	}
	if *asJSON {
		err = writeJSON(c.out, reportJSON(report))
	} else {
		err = tellReport(c, report)
	}
	if err == nil && !report.Good() {
		err = errAnswered
	}
	return err
}

func reportJSON(r *ledger.Report) verifyReport {
	return verifyReport{Good: r.Good(), Entries: r.Entries, Tokens: r.Tokens, Batches: r.Batches, Segments: r.Segments,
		Head: headJSON{r.Head.Size, r.Head.Millis, r.Head.Batch}, Pin: r.Pin, RememberedBy: orEmpty(r.RememberedBy),
		Unfinished: r.Unfinished, Findings: orEmpty(r.Findings)}
}

// tellReport says what was found: one line when all is well, and what is wrong where otherwise.
func tellReport(c *call, r *ledger.Report) error {
	if r.Good() {
		remembered := "remembered by nobody else"
		if len(r.RememberedBy) > 0 {
			remembered = "remembered by " + strings.Join(r.RememberedBy, " and ")
		}
		_, err := fmt.Fprintf(c.out, "The log is complete up to head %s (%d entries, %d tokens, %d batches), %s.\n", r.Head.Batch, r.Entries, r.Tokens, r.Batches, remembered)
		return err
	}
	fmt.Fprintf(c.err, "seawall: the log is not as it was written: %s\n", many(len(r.Findings), "finding"))
	for _, one := range r.Findings {
		fmt.Fprintf(c.err, "  %s: %s\n", one.Code, one)
	}
	fmt.Fprintf(c.err, "hint: keep a copy of the directory as it is, and compare with an earlier export or backup\n")
	return nil
}

// logLine is an entry as search prints it.
type logLine struct {
	Sequence uint64            `json:"sequence"`
	Time     string            `json:"time"`
	Kind     mint.EntryKind    `json:"kind"`
	Tenant   string            `json:"tenant,omitempty"`
	Issuer   string            `json:"issuer,omitempty"`
	Client   string            `json:"client,omitempty"`
	Subject  string            `json:"subject,omitempty"`
	KID      string            `json:"kid,omitempty"`
	Actor    string            `json:"actor,omitempty"`
	Token    string            `json:"token_kind,omitempty"`
	Audience []string          `json:"audience,omitempty"`
	JTI      string            `json:"jti,omitempty"`
	IssuedAt int64             `json:"iat,omitempty"`
	Expires  int64             `json:"exp,omitempty"`
	Digest   *mint.Digest      `json:"digest,omitempty"`
	Detail   map[string]string `json:"detail,omitempty"`
}

func newLogLine(n *mint.NumberedEntry) logLine {
	e := &n.Entry
	l := logLine{Sequence: n.Sequence, Time: time.UnixMilli(int64(e.Millis)).UTC().Format("2006-01-02T15:04:05.000Z"), Kind: e.Kind,
		Tenant: e.Tenant, Issuer: e.Issuer, Client: e.Client, Subject: e.Subject, KID: e.KID, Actor: e.Actor, Token: e.TokenKind,
		Audience: e.Audience, JTI: e.JTI, IssuedAt: e.IssuedAt, Expires: e.Expires}
	if e.Digest != (mint.Digest{}) {
		l.Digest = &e.Digest
	}
	for _, d := range e.Detail {
		if l.Detail == nil {
			l.Detail = map[string]string{}
		}
		l.Detail[d.Name] = d.Value
	}
	return l
}

func logSearch(ctx context.Context, c *call) error {
	f := newFlags(c, "[--client ID] [--subject SUB] [--key KID] [--jti ID] [--since TIME] [--until TIME]",
		"Streams the entries that match everything given, oldest first. Times are dates (2026-11-23), RFC 3339 times, or a\nspan before now (90m, 7d).")
	data, asJSON := f.data(), f.json()
	var filter ledger.Filter
	f.StringVar(&filter.Client, "client", "", "entries of this `CLIENT`")
	f.StringVar(&filter.Subject, "subject", "", "tokens for this `SUBJECT`")
	f.StringVar(&filter.KID, "key", "", "entries of this key, by its `KID`")
	f.StringVar(&filter.JTI, "jti", "", "the token with this `ID`")
	f.StringVar(&filter.Tenant, "tenant", "", "entries of this `TENANT`")
	kind := f.String("kind", "", "entries of this `KIND`, for instance token.issued")
	since := f.String("since", "", "not before this `TIME`")
	until := f.String("until", "", "before this `TIME`")
	if _, err := f.parse(); err != nil {
		return err
	}
	filter.Kind = mint.EntryKind(*kind)
	now := time.Now()
	var err error
	if filter.Since, err = instant(*since, now); err != nil {
		return usage("--since: " + err.Error())
	}
	if filter.Until, err = instant(*until, now); err != nil {
		return usage("--until: " + err.Error())
	}
	dir, err := data()
	if err != nil {
		return err
	}
	place, err := findLog(dir)
	if err != nil {
		return err
	}
	return search(ctx, c, place, filter, *asJSON)
}

func search(ctx context.Context, c *call, place *logPlace, filter ledger.Filter, asJSON bool) error {
	progress := newProgress(c.err, "searching")
	found := 0
	err := ledger.Search(ctx, place.ledger, filter, progress.show, func(n mint.NumberedEntry) error {
		found++
		line := newLogLine(&n)
		progress.clear()
		if asJSON {
			return writeJSON(c.out, line)
		}
		if found == 1 {
			fmt.Fprintln(c.out, styleFor(c.out).muted(fmt.Sprintf("%-10s %-24s %-28s %-14s %-20s %s", "ENTRY", "TIME", "KIND", "TENANT", "CLIENT", "TOKEN, KEY OR API")))
		}
		_, err := fmt.Fprintf(c.out, "%-10d %-24s %-28s %-14s %-20s %s\n", line.Sequence, line.Time, line.Kind, line.Tenant, line.Client, subjectOf(&line))
		return err
	})
	progress.clear()
	if err != nil {
		return fmt.Errorf("searching the log: %w", err)
	}
	if found == 0 && !asJSON {
		fmt.Fprintln(c.out, "No entries.")
	}
	return nil
}

// subjectOf is what an entry is about, in one word.
func subjectOf(l *logLine) string {
	switch {
	case l.JTI != "":
		return l.JTI
	case l.KID != "":
		return l.KID
	}
	return strings.Join(l.Audience, " ")
}

// instant reads a point in time as people write it.
func instant(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if d, err := time.ParseDuration(days + "h"); err == nil && d >= 0 {
			return now.Add(-24 * d), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 2026-11-23, 2026-11-23T08:00:00Z, or 90m for ninety minutes ago", text)
}

func logExport(ctx context.Context, c *call) error {
	f := newFlags(c, "DIR", "Copies the log to the new directory DIR, in which `seawall log verify --data DIR` checks it without anything else. It\nholds metadata and no key.")
	data := f.data()
	words, err := f.parse("DIR")
	if err != nil {
		return err
	}
	dir, err := data()
	if err != nil {
		return err
	}
	place, err := findLog(dir)
	if err != nil {
		return err
	}
	progress := newProgress(c.err, "exporting")
	err = ledger.Export(ctx, place.ledger, words[0], progress.show)
	progress.clear()
	if err != nil {
		return fmt.Errorf("exporting the log: %w", err)
	}
	_, err = fmt.Fprintf(c.out, "The log was exported to %s.\n", words[0])
	return err
}

// progress is a line on a terminal for work that takes more than a second: how far, how fast, how long yet.
type progress struct {
	w     io.Writer // nil: nobody looks
	verb  string
	begun time.Time
	last  time.Time
	shown bool
}

func newProgress(w io.Writer, verb string) *progress {
	p := &progress{verb: verb, begun: time.Now()}
	if terminal(w) {
		p.w = w
	}
	return p
}

func (p *progress) show(done ledger.Progress) {
	now := time.Now()
	if p.w == nil || now.Sub(p.begun) < time.Second || now.Sub(p.last) < 200*time.Millisecond {
		return
	}
	p.last, p.shown = now, true
	rate := float64(done.Bytes) / now.Sub(p.begun).Seconds()
	left := "a moment"
	if rate > 0 && done.Total > done.Bytes {
		left = span(time.Duration(float64(done.Total-done.Bytes) / rate * float64(time.Second)))
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s: %d entries, %d of %d MB, %.0f MB/s, %s left", p.verb, done.Entries, done.Bytes>>20, done.Total>>20, rate/(1<<20), left)
}

// clear takes the line away so that something else can be printed.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
