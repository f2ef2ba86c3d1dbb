package vault

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"seawall/internal/fence"
	"seawall/internal/ledger"
	ledgervault "seawall/internal/ledger/vault"
	"seawall/internal/link"
	"seawall/internal/mint"
	"seawall/internal/process"
	"seawall/internal/supervise"
	"seawall/internal/testenv"
)

// The tests run true processes: this test binary once more, as the signer, the ledger or a house.

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "signer":
			syscall.Exit(Run(context.Background(), os.Args[2:], os.Stdin, os.Stdout, os.Stderr)) // os.Exit would sleep a second under the race detector
		case "ledger":
			syscall.Exit(ledgervault.Run(context.Background(), os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
		case "house":
			syscall.Exit(house())
		}
	}
	os.Exit(m.Run())
}

// patience is how long anything is waited for. It is only ever used up by a failure.
const patience = time.Minute

// seen is what the house of the tests reports.
type seen struct {
	Health mint.Health
	Token  string
	Codes  []mint.Code
	Err    string
}

// house is a child that makes a tenant, mints a token, tries what it must not, and reports.
func house() int {
	member, err := supervise.Join(supervise.ControlFD)
	if err != nil {
		return 1
	}
	serving, stop := member.Serving(context.Background())
	defer stop()
	ctx, cancel := context.WithTimeout(serving, patience)
	defer cancel()
	client := mint.NewClient(ctx, member.Link(HouseLink), nil)
	report := visit(ctx, client)
	if err := member.Ready(report); err != nil {
		return 1
	}
	<-serving.Done()
	return 0
}

// visit does what a house does, and what one in the wrong hands would.
func visit(ctx context.Context, client *mint.Client) (s seen) {
	fail := func(err error) seen { s.Err = err.Error(); return s }
	if err := patiently(ctx, func() error { return client.CallJSON(ctx, mint.MsgPolicy, policy(), new(mint.PolicyApplied)) }); err != nil {
		return fail(err)
	}
	// A start that repeats a policy is answered before the ledger is there.
	q := request()
	if err := patiently(ctx, func() error {
		token, err := client.Mint(ctx, q)
		s.Token = string(token)
		return err
	}); err != nil {
		return fail(err)
	}
	if err := client.CallJSON(ctx, mint.MsgHealth, struct{}{}, &s.Health); err != nil {
		return fail(err)
	}
	for _, change := range []func(*mint.Request){
		func(q *mint.Request) { q.Issuer = "https://login.example" },
		func(q *mint.Request) { q.Lifetime = 3601 },
		func(q *mint.Request) { q.Kind = "logout+jwt" },
	} {
		q := request()
		change(q)
		_, err := client.Mint(ctx, q)
		refusal := (*mint.Refusal)(nil)
		if !errors.As(err, &refusal) {
			return fail(fmt.Errorf("got %v", err))
		}
		s.Codes = append(s.Codes, refusal.Code)
	}
	return s
}

// patiently repeats what is refused because a vault is still starting.
func patiently(ctx context.Context, act func() error) error {
	for {
		err := act()
		if !errors.Is(err, mint.Refuse(mint.Unavailable, "")) || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func policy() mint.Policy {
	return mint.Policy{Tenant: "acme", Issuer: "https://id.example/acme", Class: "production", Version: 1, Algorithm: "ES256",
		Audiences: []mint.Audience{{ID: "https://api.acme.example", Scopes: []string{"read"}}}, MaxLifetime: 3600, RotationDays: 30, Actor: "uid:0"}
}

func request() *mint.Request {
	return &mint.Request{Tenant: "acme", Issuer: "https://id.example/acme", Kind: mint.AccessToken, Subject: "ci", ClientID: "ci",
		Audience: []string{"https://api.acme.example"}, Scope: "read", JTI: mint.NewJTI(), Lifetime: 300}
}

// wantVisit checks what the house saw.
func wantVisit(t *testing.T, s seen) {
	t.Helper()
	if s.Err != "" {
		t.Fatalf("the house failed: %s", s.Err)
	}
	if strings.Count(s.Token, ".") != 2 || !s.Health.Ledger || !strings.HasPrefix(s.Health.Custody, "file: ") || s.Health.Level == "" {
		t.Errorf("health %+v, token of %d bytes", s.Health, len(s.Token))
	}
	if fmt.Sprint(s.Codes) != "[issuer_mismatch lifetime_too_long kind_unsupported]" {
		t.Errorf("codes %v", s.Codes)
	}
}

// collect reads a pipe into a transcript.
func collect(t *testing.T) (*os.File, *testenv.Transcript) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	text, done := new(testenv.Transcript), make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(text, r)
	}()
	t.Cleanup(func() {
		w.Close()
		<-done
		r.Close()
	})
	return w, text
}

// supervised runs house, signer and ledger as `seawall up` does, until the house has reported or an error comes.
//
//lint:ignore ST1008 the log is what explains the error
func supervised(t *testing.T, data string) (s seen, info Info, err error, log string) {
	t.Helper()
	d, err := supervise.OpenData(data)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	stderr, said := collect(t)
	apart := func(own string) (args []string) {
		for _, part := range []string{"house", "signer", "ledger"} {
			if part != own {
				args = append(args, "--forbidden", d.Path(part))
			}
		}
		return args
	}
	ctx, stop := context.WithTimeout(context.Background(), 2*patience) // the house gives up before
	defer stop()
	err = supervise.Run(ctx, supervise.Config{
		Data: d,
		Children: []supervise.Child{
			{Name: "house", Args: []string{"house"}, UID: fence.HouseUID},
			{Name: "signer", Args: append([]string{"signer", "--supervised"}, apart("signer")...), UID: fence.SignerUID},
			{Name: "ledger", Args: append([]string{"ledger", "--supervised"}, apart("ledger")...), UID: fence.LedgerUID},
		},
		Links: []supervise.Link{
			{Name: HouseLink, Dialler: "house", Server: "signer"},
			{Name: LedgerLink, Dialler: "signer", Server: "ledger"},
			{Name: ledgervault.HouseLink, Dialler: "house", Server: "ledger"},
		},
		Log: slog.New(slog.NewTextHandler(stderr, nil)), Stderr: stderr,
		Ready: func(child string, report json.RawMessage) {
			switch child {
			case "house":
				if json.Unmarshal(report, &s) != nil {
					s.Err = "an unreadable report"
				}
				stop()
			case "signer":
				_ = json.Unmarshal(report, &info)
			}
		},
	})
	return s, info, err, said.String()
}

func TestSupervised(t *testing.T) {
	data := t.TempDir()
	s, info, err, log := supervised(t, data)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	wantVisit(t, s)
	if info.Level == nil || info.Level.Network != fence.NetworkNone || info.Level.CoreLimit != 0 || info.Level.Dumpable || info.Level.Opened != 0 {
		t.Errorf("the signer's walls: %+v", info.Level)
	}
	for _, secret := range strings.Split(s.Token, ".") {
		if strings.Contains(log, secret) {
			t.Error("a part of a token is in the log")
		}
	}
	if strings.Contains(log, "level=ERROR") {
		t.Errorf("errors in the log:\n%s", log)
	}
	entries := 0
	if err := ledger.Search(context.Background(), filepath.Join(data, "ledger"), ledger.Filter{Kind: mint.TokenIssued}, nil,
		func(mint.NumberedEntry) error { entries++; return nil }); err != nil || entries != 1 {
		t.Errorf("%d entries for one token (%v)", entries, err)
	}
	// A second start goes on with what is there; the policy of the first is acknowledged again.
	s, _, err, log = supervised(t, data)
	if err != nil {
		t.Fatalf("the second start: %v\n%s", err, log)
	}
	wantVisit(t, s)
}

// A signer whose directory was put back says so, and everything stops instead of going on.
func TestSupervisedRefusesABackup(t *testing.T) {
	data := t.TempDir()
	if _, _, err, log := supervised(t, data); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	// The oldest backup there is: only the pinned root and the key store, before there was any tenant.
	for _, gone := range []string{"tenants", "keys"} {
		if err := os.RemoveAll(filepath.Join(data, "signer", gone)); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err, log := supervised(t, data)
	refused := (*supervise.RefusedError)(nil)
	if !errors.As(err, &refused) || refused.Child != "signer" || !strings.Contains(refused.Reason, "the signer's state is older than what the ledger recorded") {
		t.Errorf("got %v\n%s", err, log)
	}
}

// alone is a process of this binary.
type alone struct {
	cmd  *exec.Cmd
	said *testenv.Transcript
}

func start(t *testing.T, args ...string) *alone {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	stderr, said := collect(t)
	p := &alone{exec.Command(exe, args...), said}
	p.cmd.Stderr, p.cmd.Stdout = stderr, stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
	return p
}

// wait waits for a text in what the process says.
func (p *alone) wait(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(p.said.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never said %q:\n%s", text, p.said)
		}
	}
}

// end waits for the process to end and returns its status.
func (p *alone) end(t *testing.T) int {
	t.Helper()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// site is a signer and a ledger on machines of their own, as far as they can tell.
type site struct {
	t             *testing.T
	dir           string
	signerAddress string
	house         link.End
}

func newSite(t *testing.T) *site {
	t.Helper()
	w := &site{t: t, dir: t.TempDir(), signerAddress: testenv.FreeAddress(t)}
	ledgerAddress := testenv.FreeAddress(t)
	prints := map[string]string{}
	for _, who := range []string{"signer", "ledger", "house"} {
		print, err := link.CreateIdentity(w.file(who+".crt"), w.file(who+".key"), who)
		if err != nil {
			t.Fatal(err)
		}
		prints[who] = print
	}
	for _, vault := range []struct {
		name string
		uid  int
	}{{"signer", fence.SignerUID}, {"ledger", fence.LedgerUID}} {
		if err := os.Mkdir(w.file(vault.name), 0o700); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			if err := os.Chown(w.file(vault.name), vault.uid, vault.uid); err != nil {
				t.Fatal(err)
			}
		}
	}
	end := func(own, peer, address string) link.End {
		return link.End{Address: "tcp:" + address, Certificate: w.file(own + ".crt"), Key: w.file(own + ".key"), Peer: prints[peer]}
	}
	w.house = end("house", "signer", w.signerAddress)
	w.write("signer.json", Config{Own: process.Own{Directory: w.file("signer"), UID: fence.SignerUID}, KeyStore: "file",
		House: end("signer", "house", w.signerAddress), Ledger: end("signer", "ledger", ledgerAddress)})
	w.write("ledger.json", ledgervault.Config{Own: process.Own{Directory: w.file("ledger"), UID: fence.LedgerUID},
		Signer: end("ledger", "signer", ledgerAddress), House: end("ledger", "house", testenv.FreeAddress(t))})
	return w
}

func (w *site) file(name string) string { return filepath.Join(w.dir, name) }

func (w *site) write(name string, v any) {
	w.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.file(name), b, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func TestAlone(t *testing.T) {
	w := newSite(t)
	// Without --create an empty directory is not taken for a first start.
	p := start(t, "signer", "--config", w.file("signer.json"))
	if status := p.end(t); status != supervise.ExitRefused {
		t.Fatalf("status %d:\n%s", status, p.said)
	}
	p.wait(t, "start once with --create") // its last words may still be in the pipe
	theLedger := start(t, "ledger", "--config", w.file("ledger.json"), "--create")
	theLedger.wait(t, "seawall ledger: ready")
	theSigner := start(t, "signer", "--config", w.file("signer.json"), "--create")
	theSigner.wait(t, "seawall signer: ready for the house on tcp:"+w.signerAddress+"; file: sealed on this host's disk")

	ctx, stop := context.WithTimeout(context.Background(), 2*patience)
	defer stop()
	dial, err := link.Dialer(w.house)
	if err != nil {
		t.Fatal(err)
	}
	client := mint.NewClient(ctx, dial, nil)
	wantVisit(t, visit(ctx, client))

	// The ledger restarts; the signer, behind its walls, finds it again.
	if err := theLedger.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	theLedger.end(t)
	if _, err := client.Mint(ctx, request()); !errors.Is(err, mint.Refuse(mint.Unavailable, "")) {
		t.Errorf("without a ledger: %v", err)
	}
	theLedger = start(t, "ledger", "--config", w.file("ledger.json"))
	theLedger.wait(t, "seawall ledger: ready")
	if err := patiently(ctx, func() error { _, err := client.Mint(ctx, request()); return err }); err != nil {
		t.Error(err)
	}

	// A stranger with a certificate of his own gets nowhere.
	stranger := w.house
	stranger.Certificate, stranger.Key = w.file("ledger.crt"), w.file("ledger.key")
	if dial, err = link.Dialer(stranger); err != nil {
		t.Fatal(err)
	}
	if conn, err := dial(ctx); err == nil {
		conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := bufio.NewReader(conn).ReadByte(); err == nil {
			t.Error("a stranger is served")
		}
		conn.Close()
	}
	theSigner.wait(t, "a stranger was turned away")

	if err := theSigner.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	theSigner.end(t)
	theSigner = start(t, "signer", "--config", w.file("signer.json"))
	theSigner.wait(t, "seawall signer: ready")
	if err := patiently(ctx, func() error { _, err := client.Mint(ctx, request()); return err }); err != nil {
		t.Errorf("after kill -9 and a restart: %v", err)
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	if status := Run(t.Context(), []string{"--help"}, nil, &out, io.Discard); status != 0 || !strings.Contains(out.String(), "usage: seawall signer --config") {
		t.Errorf("status %d, %q", status, out.String())
	}
}

func TestConfig(t *testing.T) {
	uid := 1000
	good := func() Config {
		return Config{Own: process.Own{Directory: "/var/lib/seawall-signer", UID: 61802}, KeyStore: "file",
			House:  link.End{Address: "unix:/run/seawall/signer", PeerUID: &uid},
			Ledger: link.End{Address: "tcp:192.0.2.1:7002", Certificate: "/c", Key: "/k", Peer: "sha256:" + strings.Repeat("0", 64)}}
	}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"good":                   {func(*Config) {}, ""},
		"a relative directory":   {func(c *Config) { c.Directory = "signer" }, "absolute and clean"},
		"another key store":      {func(c *Config) { c.KeyStore = "hsm" }, `no key store named "hsm"`},
		"no house":               {func(c *Config) { c.House = link.End{} }, "house: "},
		"no ledger":              {func(c *Config) { c.Ledger = link.End{} }, "ledger: "},
		"a ledger over a socket": {func(c *Config) { c.Ledger = c.House }, "can dial tcp only"},
		"a ledger by name":       {func(c *Config) { c.Ledger.Address = "tcp:ledger.example:7002" }, "looks up no names"},
		"root":                   {func(c *Config) { c.UID = 0 }, "does not stay root"},
		"one certificate for both": {func(c *Config) {
			c.House = link.End{Address: "tcp:127.0.0.1:7001", Certificate: "/c", Key: "/k", Peer: c.Ledger.Peer}
		}, "certificates of their own"},
	} {
		t.Run(name, func(t *testing.T) {
			config := good()
			c.change(&config)
			text, err := json.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			_, err = parseConfig(text)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	for name, text := range map[string]string{"an unknown key": `{"keystore":"file"}`, "two objects": `{}{}`, "nothing": ``} {
		if _, err := parseConfig([]byte(text)); err == nil {
			t.Errorf("%s passed", name)
		}
	}
}

// FuzzConfig: a configuration that passes names one directory, two ends that are complete, and a user who is not root.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"directory":"/d","house":{"address":"unix:/s","peer_uid":1},"ledger":{"address":"tcp:[::1]:1","certificate":"/c","key":"/k","peer":"sha256:` + strings.Repeat("a", 64) + `"}}`))
	f.Add([]byte(`{"uid":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseConfig(text)
		if err == nil && (!filepath.IsAbs(c.Directory) || c.UID <= 0 || c.House.Check() != nil || c.Ledger.Check() != nil) {
			t.Fatalf("%+v passed", c)
		}
	})
}
