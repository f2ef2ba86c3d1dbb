package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"seawall/internal/ledger"
	"seawall/internal/mint"
)

// sayLog runs a log command in this process.
func sayLog(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(context.Background(), append([]string{"log"}, args...), strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

// logBook makes a data directory whose log has what a house wrote, and whose head house and signer remember.
func logBook(t *testing.T) (dir string, head mint.Head) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{ledgerDir, signerDir, houseDir} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o700))
	}
	c := ledger.Config{Dir: filepath.Join(dir, ledgerDir), Log: slog.New(slog.DiscardHandler)}
	must(t, ledger.Create(c))
	l, err := ledger.Open(c)
	must(t, err)
	ours, theirs := net.Pipe()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- l.Serve(ctx, theirs, ledger.House) }()
	caller := mint.NewCaller(ctx, once(ours), nil)
	if _, err := caller.Hello(ctx, mint.Head{}, nil); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		body, err := caller.Call(ctx, mint.MsgEntries, func(b []byte) []byte {
			return mint.AppendEntries(b, []*mint.Entry{
				{Kind: mint.ClientCreated, Tenant: "acme", Client: fmt.Sprint("ci-", n), Actor: "uid:1000", Detail: []mint.Field{{Name: "auth", Value: "client_secret_basic"}}},
				{Kind: mint.AuthFailed, Tenant: "globex", Client: "ci-0", Detail: []mint.Field{{Name: "reason", Value: "wrong secret"}}},
			})
		})
		must(t, err)
		must(t, mint.ReadJSONAnswer(body, new(mint.Appended)))
	}
	head = l.Head()
	stop()
	<-served
	must(t, l.Close())
	for _, name := range []string{signerDir, houseDir} {
		h, err := mint.OpenHeadFile(filepath.Join(dir, name, headFile))
		must(t, err)
		must(t, h.Remember(head))
		must(t, h.Close())
	}
	return dir, head
}

func once(conn net.Conn) mint.Dial {
	ready := make(chan net.Conn, 1)
	ready <- conn
	return func(ctx context.Context) (net.Conn, error) {
		select {
		case conn := <-ready:
			return conn, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLogVerify(t *testing.T) {
	dir, head := logBook(t)
	status, out, errs := sayLog("verify", "--data", dir)
	want := fmt.Sprintf("complete up to head %s (12 entries, 0 tokens), remembered by signer and house\n", head.Batch)
	if status != exitOK || out != want || errs != "" {
		t.Errorf("status %d, %q, %q; want 0 and %q", status, out, errs, want)
	}
	t.Setenv("SEAWALL_DATA", dir)
	status, asJSON, _ := sayLog("verify", "--json")
	var v logVerdict
	must(t, json.Unmarshal([]byte(asJSON), &v))
	if status != exitOK || !v.OK || v.Entries != 12 || v.Size != 12 || v.Batches != 6 || v.Segments != 1 || v.Head != head.Batch.String() ||
		strings.Join(v.RememberedBy, " ") != "signer house" || !strings.HasPrefix(v.Pin, mint.PinPrefix) || v.Findings == nil {
		t.Errorf("status %d, %+v", status, v)
	}
	if status, _, errs := sayLog("verify", "--pin", v.Pin); status != exitOK {
		t.Errorf("with its own pin: status %d, %s", status, errs)
	}
	if status, _, errs := sayLog("verify", "--pin", "swl1-other"); status != exitNo || !strings.Contains(errs, "root_other") {
		t.Errorf("with another pin: status %d, %s", status, errs)
	}

	// Without anybody who remembers, it says so.
	must(t, os.Remove(filepath.Join(dir, signerDir, headFile)))
	must(t, os.Remove(filepath.Join(dir, houseDir, headFile)))
	if status, out, _ := sayLog("verify"); status != exitOK || !strings.Contains(out, "remembered by nobody") {
		t.Errorf("status %d, %q", status, out)
	}
	noted := filepath.Join(t.TempDir(), "noted.json")
	must(t, os.WriteFile(noted, []byte(asJSON), 0o600))
	if status, out, _ := sayLog("verify", "--head", noted); status != exitOK || !strings.Contains(out, "remembered by "+noted) {
		t.Errorf("with a noted head: status %d, %q", status, out)
	}
}

func TestLogVerifyTellsWhatIsWrong(t *testing.T) {
	dir, head := logBook(t)
	copied := filepath.Join(t.TempDir(), "head")
	text, err := os.ReadFile(filepath.Join(dir, signerDir, headFile))
	must(t, err)
	must(t, os.WriteFile(copied, text, 0o600))
	noted := filepath.Join(t.TempDir(), "noted.json")
	must(t, os.WriteFile(noted, []byte(fmt.Sprintf(`{"size":%d,"head":%q}`, head.Size, head.Batch)), 0o600))
	segment := filepath.Join(dir, ledgerDir, ledger.LogDir, "00000000000000000000.seg")
	whole, err := os.ReadFile(segment)
	must(t, err)

	must(t, os.WriteFile(segment, bytes.Replace(whole, []byte("uid:1000"), []byte("uid:0000"), 1), 0o600))
	status, out, errs := sayLog("verify", "--data", dir)
	if status != exitNo || out != "" || !strings.Contains(errs, "entry_edited  00000000000000000000.seg at byte ") || !strings.Contains(errs, "entry 2: the entries 2 to 3 are not those that were signed") || !strings.Contains(errs, "hint:") {
		t.Errorf("an edit: status %d, %q, %q", status, out, errs)
	}
	status, out, _ = sayLog("verify", "--data", dir, "--json")
	var v logVerdict
	must(t, json.Unmarshal([]byte(out), &v))
	if status != exitNo || v.OK || len(v.Findings) != 1 || v.Findings[0].Code != ledger.EntryEdited || v.Findings[0].Sequence != 2 {
		t.Errorf("an edit: status %d, %+v", status, v)
	}

	must(t, os.WriteFile(segment, whole[:bytes.LastIndex(whole, []byte("SWB1"))], 0o600))
	if status, _, errs := sayLog("verify", "--data", dir); status != exitNo || !strings.Contains(errs, "the log ends at entry 10, and signer remembers 12: the last 2 entries were cut off") || !strings.Contains(errs, "house remembers 12") {
		t.Errorf("a cut: status %d, %q", status, errs)
	}
	must(t, os.Remove(filepath.Join(dir, signerDir, headFile)))
	must(t, os.Remove(filepath.Join(dir, houseDir, headFile)))
	for _, path := range []string{copied, noted} {
		if status, _, errs := sayLog("verify", "--data", dir, "--head", path); status != exitNo || !strings.Contains(errs, path+" remembers 12") {
			t.Errorf("a cut, by %s: status %d, %q", path, status, errs)
		}
	}
	for name, text := range map[string]string{"empty": "", "no members": "{}", "no head file": "hello"} {
		bad := filepath.Join(t.TempDir(), "bad")
		must(t, os.WriteFile(bad, []byte(text), 0o600))
		if status, _, errs := sayLog("verify", "--data", dir, "--head", bad); name != "empty" && (status != exitNo || !strings.Contains(errs, "head_unreadable")) {
			t.Errorf("%s: status %d, %q", name, status, errs)
		}
	}
	if status, _, errs := sayLog("verify", "--data", dir, "--head", filepath.Join(dir, "nothing")); status != exitNo || !strings.Contains(errs, "no such file") {
		t.Errorf("a missing head: status %d, %q", status, errs)
	}
	if status, _, errs := sayLog("verify", "--data", t.TempDir()); status != exitNo || !strings.Contains(errs, "there is no log in") || !strings.Contains(errs, "hint:") {
		t.Errorf("no log: status %d, %q", status, errs)
	}
}

func TestLogSearch(t *testing.T) {
	dir, _ := logBook(t)
	lines := func(args ...string) (list []logLine) {
		t.Helper()
		status, out, errs := sayLog(append([]string{"search", "--json", "--data", dir}, args...)...)
		if status != exitOK || errs != "" {
			t.Fatalf("%v: status %d, %s", args, status, errs)
		}
		d := json.NewDecoder(strings.NewReader(out))
		for {
			var l logLine
			if err := d.Decode(&l); err == io.EOF {
				return list
			} else if err != nil {
				t.Fatal(err)
			}
			list = append(list, l)
		}
	}
	if got := lines("--client", "ci-3"); len(got) != 1 || got[0].Kind != mint.ClientCreated || got[0].Sequence != 8 || got[0].Actor != "uid:1000" ||
		got[0].Detail["auth"] != "client_secret_basic" || !strings.HasSuffix(got[0].Time, "Z") {
		t.Errorf("a client: %+v", got)
	}
	for _, c := range []struct {
		args []string
		want int
	}{
		{nil, 12}, {[]string{"--tenant", "globex"}, 5}, {[]string{"--kind", "client.created"}, 5}, {[]string{"--subject", "nobody"}, 0},
		{[]string{"--since", "1h"}, 12}, {[]string{"--until", "2020-01-01"}, 0}, {[]string{"--since", "2999-01-01T00:00:00Z"}, 0},
		{[]string{"--client", "ci-0", "--tenant", "acme"}, 1}, {[]string{"--session", "none"}, 0},
	} {
		if got := lines(c.args...); len(got) != c.want {
			t.Errorf("%v: %d entries, want %d", c.args, len(got), c.want)
		}
	}
	status, out, _ := sayLog("search", "--data", dir, "--client", "ci-0")
	if status != exitOK || strings.Count(out, "\n") != 1+1+5 || !strings.Contains(out, "reason=wrong secret") || !strings.Contains(out, "TENANT") {
		t.Errorf("a table: status %d\n%s", status, out)
	}
	if status, out, _ := sayLog("search", "--data", dir, "--jti", "none"); status != exitOK || out != "No entries.\n" {
		t.Errorf("nothing: status %d, %q", status, out)
	}
	for _, c := range []struct{ args, want string }{
		{"--kind client.craeted", "did you mean 'client.created'?"}, {"--kind x", "seawall log kinds lists them"},
		{"--since yesterday", "is no time"}, {"--until -3h", "is no time"}, {"--clinet ci", "did you mean --client?"},
	} {
		if status, _, errs := sayLog(append([]string{"search", "--data", dir}, strings.Fields(c.args)...)...); status != exitUsage || !strings.Contains(errs, c.want) {
			t.Errorf("%s: status %d, %q", c.args, status, errs)
		}
	}
	// A damaged part is told, behind what could be found.
	segment := filepath.Join(dir, ledgerDir, ledger.LogDir, "00000000000000000000.seg")
	whole, err := os.ReadFile(segment)
	must(t, err)
	must(t, os.WriteFile(segment, append(whole, strings.Repeat("x", 600)...), 0o600))
	if status, out, errs := sayLog("search", "--data", dir, "--json"); status != exitNo || strings.Count(out, "\n") != 12 || !strings.Contains(errs, "could not be searched") {
		t.Errorf("damage: status %d, %q", status, errs)
	}
}

// TestEntriesOfTokens: a line says which kind of token it is about, and whose session it came from.
func TestEntriesOfTokens(t *testing.T) {
	var out strings.Builder
	line := entryTable(&out, styleFor(&out))
	must(t, line(mint.NumberedEntry{Sequence: 7, Entry: mint.Entry{Kind: mint.TokenIssued, Tenant: "acme", Client: "web", Subject: "ada", TokenKind: "JWT",
		JTI: "j-1", KID: "k-1", Audience: []string{"web"}, Detail: []mint.Field{{Name: "evidence", Value: strings.Repeat("A", 43)}, {Name: "sid", Value: "s-1"}}}}))
	if _, got, _ := strings.Cut(out.String(), "ada"); strings.TrimSpace(got) != "typ=JWT jti=j-1 key=k-1 aud=web sid=s-1" {
		t.Errorf("the line ends in %q", got)
	}
}

func TestLogExport(t *testing.T) {
	dir, head := logBook(t)
	status, out, errs := sayLog("export", "--data", dir)
	if status != exitOK || strings.Count(out, "\n") != 12 || errs != "" {
		t.Errorf("status %d, %d lines, %q", status, strings.Count(out, "\n"), errs)
	}
	to := filepath.Join(t.TempDir(), "copy")
	if status, _, errs := sayLog("export", "--data", dir, to); status != exitOK {
		t.Fatalf("status %d, %q", status, errs)
	}
	want := fmt.Sprintf("complete up to head %s (12 entries, 0 tokens), remembered by signer and house\n", head.Batch)
	if status, out, errs := sayLog("verify", "--data", to); status != exitOK || out != want {
		t.Errorf("the copy: status %d, %q, %q", status, out, errs)
	}
	if status, out, errs := sayLog("verify", "--data", filepath.Join(to, ledgerDir)); status != exitOK || !strings.Contains(out, "remembered by nobody") {
		t.Errorf("the ledger's directory alone: status %d, %q, %q", status, out, errs)
	}
	if _, err := os.Stat(filepath.Join(to, ledgerDir, "kek")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key was exported: %v", err)
	}
	if status, _, errs := sayLog("export", "--data", dir, to); status != exitNo || !strings.Contains(errs, "exists") {
		t.Errorf("twice: status %d, %q", status, errs)
	}
	if status, _, errs := sayLog("export", "--data", dir, to+"2", "--tenant", "acme"); status != exitUsage || !strings.Contains(errs, "no filter") {
		t.Errorf("a filter: status %d, %q", status, errs)
	}
}

func TestLogKinds(t *testing.T) {
	if status, out, _ := sayLog("kinds"); status != exitOK || !strings.Contains(out, "token.issued") || strings.Count(out, "\n") != 1+len(ledger.Kinds()) {
		t.Errorf("status %d\n%s", status, out)
	}
	if status, _, errs := sayLog("serach"); status != exitUsage || !strings.Contains(errs, "did you mean 'search'?") {
		t.Errorf("status %d, %q", status, errs)
	}
}

func TestParseMoment(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-03-01":                now.AddDate(0, -8, -19).Add(-12 * time.Hour),
		"2026-03-01 14:30":          time.Date(2026, 3, 1, 14, 30, 0, 0, time.UTC),
		"2026-03-01T14:30:05Z":      time.Date(2026, 3, 1, 14, 30, 5, 0, time.UTC),
		"2026-03-01T14:30:05+02:00": time.Date(2026, 3, 1, 12, 30, 5, 0, time.UTC),
		"2026-03-01T14:30:05.25Z":   time.Date(2026, 3, 1, 14, 30, 5, 250e6, time.UTC),
		"90m":                       now.Add(-90 * time.Minute),
		"7d":                        now.AddDate(0, 0, -7),
		"":                          {},
	} {
		if got, err := parseMoment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"yesterday", "7", "-1h", "7days", "2026-13-01", "d"} {
		if got, err := parseMoment(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestVisible(t *testing.T) {
	if got := visible("a\x1b[2J\u202eb\u0085é"); got != "a\uFFFD[2J\uFFFDb\uFFFDé" {
		t.Errorf("%q", got)
	}
}
