package vault

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"seawall/internal/fence"
	"seawall/internal/ledger"
	"seawall/internal/link"
	"seawall/internal/mint"
	"seawall/internal/process"
	"seawall/internal/supervise"
	"seawall/internal/testenv"
)

// TestKilledUnderLoad kills the ledger again and again while a signer writes to it. In the end every receipt that the
// signer was given has its entry, and the log holds the head that it remembers.
func TestKilledUnderLoad(t *testing.T) {
	for _, as := range users() {
		t.Run(as.name, func(t *testing.T) {
			dir := filepath.Join(base(t, as), "data")
			r := start(t, as, parentWord, dir)
			receipts := filepath.Join(dir, "signer", "receipts")
			written := func() int {
				text, _ := os.ReadFile(receipts)
				return bytes.Count(text, []byte("\n"))
			}
			killed := map[int]bool{}
			for n := range 4 { // the supervisor waits longer after each
				before := written()
				waitFor(t, "receipts", func() bool { return written() > before+10*n })
				pid := 0
				waitFor(t, "a ledger", func() bool { pid = child(r.cmd.Process.Pid, ledgerWord); return pid != 0 && !killed[pid] })
				killed[pid] = true
				must(t, syscall.Kill(pid, syscall.SIGKILL))
			}
			before := written()
			waitFor(t, "receipts after the last kill", func() bool { return written() > before })
			must(t, r.cmd.Process.Signal(syscall.SIGTERM))
			if status := r.exit(); status != 0 {
				t.Fatalf("status %d:\n%s", status, r.errors.String())
			}
			checkReceipts(t, dir)
			if !strings.Contains(r.said.String(), `"child":"ledger","info":{"level":{"process":"ledger"`) {
				t.Errorf("no level was reported: %s", r.said.String())
			}
			var ready struct {
				Info Info `json:"info"`
			}
			for line := range strings.Lines(r.said.String()) {
				if strings.Contains(line, `"child":"ledger"`) {
					must(t, json.Unmarshal([]byte(line), &ready))
				}
			}
			l := ready.Info.Level
			if l.Opened != 0 || l.Forbidden != 1 || l.Dumpable || l.CoreLimit != 0 || l.OwnUID != (as.uid == 0) || l.Network == fence.NetworkOpen {
				t.Errorf("the walls: %+v", l)
			}
		})
	}
}

// child returns the process that a supervisor started with a word, or 0.
func child(parent int, word string) int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		rest := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if len(rest) > 1 && rest[1] == strconv.Itoa(parent) && rest[0] != "Z" && bytes.Contains(command, []byte("\x00"+word+"\x00")) {
			return pid
		}
	}
	return 0
}

func checkReceipts(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "signer", "receipts"))
	must(t, err)
	defer f.Close()
	want := map[uint64]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var sequence uint64
		var digest string
		if _, err := fmt.Sscan(lines.Text(), &sequence, &digest); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		want[sequence] = digest
	}
	if len(want) == 0 {
		t.Fatal("no receipts were written")
	}
	head, err := mint.ReadHeadFile(filepath.Join(dir, "signer", "head"))
	must(t, err)
	report, err := ledger.Verify(t.Context(), filepath.Join(dir, "ledger"), ledger.VerifyOptions{Heads: []ledger.Remembered{{By: "signer", Head: head}}})
	must(t, err)
	if !report.Good() || len(report.RememberedBy) != 1 {
		t.Errorf("the log does not verify: %v", report.Findings)
	}
	must(t, ledger.Search(t.Context(), filepath.Join(dir, "ledger"), ledger.Filter{Kind: mint.TokenIssued}, nil, func(e mint.NumberedEntry) error {
		if want[e.Sequence] == e.Entry.Digest.String() {
			delete(want, e.Sequence)
		}
		return nil
	}))
	if len(want) > 0 {
		t.Errorf("%d receipts were given out and have no entry", len(want))
	}
}

// alone is the configuration of a ledger with both links over TCP.
type alone struct {
	config        Config
	path          string
	signer, house link.End // as the other side dials
}

func newAlone(t *testing.T, as user) *alone {
	t.Helper()
	dir := base(t, as)
	final := as.uid
	if final == 0 {
		final = fence.LedgerUID
	}
	a := &alone{path: filepath.Join(dir, "ledger.json")}
	a.config = Config{Own: process.Own{Directory: filepath.Join(dir, "ledger"), UID: fence.LedgerUID, RequireOwnUser: as.uid == 0}}
	must(t, os.Mkdir(a.config.Directory, 0o700))
	own(t, a.config.Directory, final)
	identity := func(name string) (crt, key, print string) {
		crt, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
		print, err := link.CreateIdentity(crt, key, name)
		must(t, err)
		own(t, key, as.uid)
		return crt, key, print
	}
	crt, key, print := identity("ledger")
	for i, end := range []*link.End{&a.config.Signer, &a.config.House} {
		address := "tcp:" + testenv.FreeAddress(t)
		c, k, p := identity([]string{"signer", "house"}[i])
		*end = link.End{Address: address, Certificate: crt, Key: key, Peer: p}
		*[]*link.End{&a.signer, &a.house}[i] = link.End{Address: address, Certificate: c, Key: k, Peer: print}
	}
	a.write(t, as)
	return a
}

func (a *alone) write(t *testing.T, as user) {
	t.Helper()
	text, err := json.Marshal(a.config)
	must(t, err)
	must(t, os.WriteFile(a.path, text, 0o600))
	own(t, a.path, as.uid)
}

// TestAlone runs a ledger without a supervisor, kills it, and starts it again.
func TestAlone(t *testing.T) {
	for _, as := range users() {
		t.Run(as.name, func(t *testing.T) {
			a := newAlone(t, as)
			r := start(t, as, ledgerWord, "--config", a.path)
			if status := r.exit(); status != supervise.ExitRefused || !strings.Contains(r.errors.String(), "there is no ledger in") || !strings.Contains(r.errors.String(), "--create") {
				t.Fatalf("an empty directory: status %d, %s", status, r.errors.String())
			}
			r = start(t, as, ledgerWord, "--config", a.path, "--create")
			ready(t, r)

			dial, err := link.Dialer(a.signer)
			must(t, err)
			s := scribeOver(t, t.Context(), dial)
			_, got, err := s.tokens(t.Context(), 3)
			if err != nil || got[2].Refusal != nil {
				t.Fatalf("%v, %v\n%s", got, err, r.errors.String())
			}
			// The house's certificate at the signer's address, and the other way round.
			swapped := a.house
			swapped.Address = a.signer.Address
			strange, err := link.Dialer(swapped)
			must(t, err)
			if conn, err := strange(t.Context()); err == nil {
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					t.Error("the house came in as the signer")
				}
			}
			waitFor(t, "the stranger to be turned away", func() bool { return strings.Contains(r.errors.String(), "not the pinned one") })

			must(t, r.cmd.Process.Kill())
			r.exit()
			r = start(t, as, ledgerWord, "--config", a.path)
			ready(t, r)
			waitFor(t, "receipts after the restart", func() bool { _, got, err = s.tokens(t.Context(), 2); return err == nil })
			must(t, r.cmd.Process.Signal(syscall.SIGTERM))
			if status := r.exit(); status != 0 {
				t.Errorf("status %d: %s", status, r.errors.String())
			}
			report, err := ledger.Verify(t.Context(), a.config.Directory, ledger.VerifyOptions{Heads: []ledger.Remembered{{By: "signer", Head: s.head.Head()}}})
			if err != nil || !report.Good() || report.Tokens < 5 || len(report.RememberedBy) != 1 {
				t.Errorf("%+v, %v", report, err)
			}
			if r = start(t, as, ledgerWord, "--config", a.path, "--create"); as.uid == 0 {
				ready(t, r) // --create in a service file does no harm to a ledger that is there
			}
		})
	}
}

func ready(t *testing.T, r *running) {
	t.Helper()
	waitFor(t, "the ledger", func() bool {
		select {
		case <-r.done:
			t.Fatalf("it ended: %s", r.errors.String())
		default:
		}
		return strings.Contains(r.said.String(), "seawall ledger: ready for signer on ")
	})
}

// TestRefusedStarts gives the process what it must not run with.
func TestRefusedStarts(t *testing.T) {
	as := users()[0]
	for name, c := range map[string]struct {
		harm func(a *alone) error
		want string
	}{
		"no configuration":     {func(a *alone) error { return os.Remove(a.path) }, "reading the configuration"},
		"an unknown key":       {func(a *alone) error { return edit(a.path, `{`, `{"dierctory":"/tmp",`) }, `unknown field "dierctory"`},
		"no directory":         {func(a *alone) error { return os.RemoveAll(a.config.Directory) }, "the ledger's directory"},
		"an open key file":     {func(a *alone) error { return os.Chmod(a.config.Signer.Key, 0o644) }, "run chmod 600"},
		"an open directory":    {func(a *alone) error { return os.Chmod(a.config.Directory, 0o755) }, "chmod"},
		"a key of somebody":    {func(a *alone) error { return os.Truncate(a.config.Signer.Key, 10) }, "failed to find any PEM data"},
		"Landlock from beyond": {func(a *alone) error { a.config.RequireLandlock = 99; a.write(t, as); return nil }, "Landlock"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAlone(t, as)
			must(t, c.harm(a))
			r := start(t, as, ledgerWord, "--config", a.path, "--create")
			if status := r.exit(); status != supervise.ExitRefused || !strings.Contains(r.errors.String(), c.want) {
				t.Errorf("status %d, want %d and %q:\n%s", status, supervise.ExitRefused, c.want, r.errors.String())
			}
		})
	}
	t.Run("a port in use", func(t *testing.T) {
		a := newAlone(t, as)
		l, err := link.Bind(a.config.Signer)
		must(t, err)
		defer l.Close()
		r := start(t, as, ledgerWord, "--config", a.path, "--create")
		if status := r.exit(); status != 1 || !strings.Contains(r.errors.String(), "address already in use: end the process that uses it") {
			t.Errorf("status %d:\n%s", status, r.errors.String())
		}
	})
}

func edit(path, from, to string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, bytes.Replace(text, []byte(from), []byte(to), 1), 0o600)
}

func TestParseConfig(t *testing.T) {
	uid := 7
	good := Config{Own: process.Own{Directory: "/var/lib/seawall/ledger", UID: 1},
		Signer: link.End{Address: "unix:/run/seawall/signer", PeerUID: &uid}, House: link.End{Address: "unix:/run/seawall/house", PeerUID: &uid}}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"good":                  {func(*Config) {}, ""},
		"a relative directory":  {func(c *Config) { c.Directory = "ledger" }, "absolute"},
		"no directory":          {func(c *Config) { c.Directory = "" }, "absolute"},
		"no signer":             {func(c *Config) { c.Signer = link.End{} }, "signer: link"},
		"no house":              {func(c *Config) { c.House = link.End{} }, "house: link"},
		"one address":           {func(c *Config) { c.House.Address = c.Signer.Address }, "addresses of their own"},
		"one certificate":       {oneCertificate, "certificates of their own"},
		"to stay root":          {func(c *Config) { c.UID = 0 }, "does not stay root"},
		"a negative uid":        {func(c *Config) { c.UID = -1 }, "does not stay root"},
		"a negative Landlock":   {func(c *Config) { c.RequireLandlock = -1 }, "cannot be negative"},
		"an unclean directory":  {func(c *Config) { c.Directory = "/a/../b" }, "clean"},
		"a link without a peer": {func(c *Config) { c.House.PeerUID = nil }, "needs peer_uid"},
	} {
		one := good
		c.change(&one)
		text, err := json.Marshal(one)
		must(t, err)
		_, err = parseConfig(text)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, text := range []string{"", "{}{}", "[]", `{"directory":1}`} {
		if _, err := parseConfig([]byte(text)); err == nil {
			t.Errorf("%q was taken for a configuration", text)
		}
	}
}

func oneCertificate(c *Config) {
	print := strings.Repeat("ab", 32)
	c.Signer = link.End{Address: "tcp:a:1", Certificate: "c", Key: "k", Peer: print}
	c.House = link.End{Address: "tcp:a:2", Certificate: "c", Key: "k", Peer: print}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"directory":"/l","uid":1,"signer":{"address":"unix:/s","peer_uid":1},"house":{"address":"unix:/h","peer_uid":2}}`))
	f.Add([]byte(`{"signer":{"address":"tcp:h:1"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseConfig(text)
		if err == nil && (c.UID <= 0 || c.Signer.Address == c.House.Address || !filepath.IsAbs(c.Directory)) {
			t.Fatalf("%+v was taken", c)
		}
	})
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	if status := Run(t.Context(), []string{"--help"}, nil, &out, io.Discard); status != 0 || !strings.Contains(out.String(), "usage: seawall ledger --config") {
		t.Errorf("status %d, %q", status, out.String())
	}
}
