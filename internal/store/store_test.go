package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"seawall/internal/secret"
	"seawall/internal/store/storetest"
	"seawall/internal/tenant"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t testing.TB, dir string, now func() time.Time) storetest.Store {
		t.Helper()
		s, err := Open(t.Context(), filepath.Join(dir, "seawall.db"), Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

var born = time.Date(2026, 11, 23, 2, 12, 0, 0, time.UTC)

func openIn(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(context.Background(), filepath.Join(dir, "seawall.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func exampleTenant(id string) tenant.Tenant {
	return tenant.Tenant{
		ID: id, Class: tenant.Production, Owner: "ops@acme.example", Contacts: []string{"a@acme.example", "b@acme.example"},
		Issuer: "https://id.example/" + id, CreatedAt: born,
	}
}

func exampleAPI() tenant.API {
	return tenant.API{
		Tenant: "acme", Audience: "https://api.acme.example", Scopes: []string{"read"}, CreatedAt: born,
		SecretHash: secret.Generate(secret.APISecret, secret.Production).Hash(),
	}
}

func exampleClient(id string) tenant.Client {
	return tenant.Client{
		ID: id, Tenant: "acme", CreatedAt: born, APIs: []tenant.Access{{Audience: "https://api.acme.example"}},
		Secrets: []tenant.Secret{{Hash: secret.Generate(secret.ClientSecret, secret.Production).Hash(), CreatedAt: born}},
	}
}

func addTenant(t testing.TB, s *Store, id string) {
	t.Helper()
	if _, err := s.CreateTenant(context.Background(), "uid 7", exampleTenant(id)); err != nil {
		t.Fatal(err)
	}
}

// wantRefusal checks reason and text of a refusal, and that it says what to do.
func wantRefusal(t *testing.T, err, reason error, text string) {
	t.Helper()
	var refusal *tenant.Refusal
	if !errors.As(err, &refusal) || !errors.Is(err, reason) || !strings.Contains(err.Error(), text) || refusal.Hint() == "" {
		t.Errorf("got %v, want a refusal with %q and a hint, for the reason %v", err, text, reason)
	}
}

func TestOneOwner(t *testing.T) {
	if inChild("owner", func(dir string) {
		openIn(t, dir)
		fmt.Println("open")
		select {}
	}) {
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "seawall.db")
	s := openIn(t, dir)
	_, err := Open(t.Context(), path, Options{})
	wantRefusal(t, err, tenant.ErrConflict, fmt.Sprintf("in use by another seawall process (pid %d)", os.Getpid()))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	cmd := child(t, "owner", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, out, "open\n")
	_, err = Open(t.Context(), path, Options{})
	wantRefusal(t, err, tenant.ErrConflict, fmt.Sprintf("in use by another seawall process (pid %d)", cmd.Process.Pid))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	addTenant(t, openIn(t, dir), "acme")
}

// waitFor reads until the output ends in text.
func waitFor(t *testing.T, out interface{ Read([]byte) (int, error) }, text string) {
	t.Helper()
	var got []byte
	for !strings.HasSuffix(string(got), text) {
		var b [1]byte
		if _, err := out.Read(b[:]); err != nil {
			t.Fatalf("the process ended after %q: %v", got, err)
		}
		got = append(got, b[0])
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := t.TempDir()
	s := openIn(t, dir)
	addTenant(t, s, "acme")
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has permissions %v", d.Name(), info.Mode())
		}
		seen++
		return err
	})
	if err != nil || seen != 4 {
		t.Errorf("%d files, %v; want database, log, shared memory and lock", seen, err)
	}
}

func TestOpenRefusesFiles(t *testing.T) {
	cases := []struct {
		name string
		make func(path string) error
		text string
	}{
		{"readable by others", func(path string) error { return os.WriteFile(path, nil, 0o644) }, "may be used by others"},
		{"a link", func(path string) error { return os.Symlink("/dev/null", path) }, "is not a file"},
		{"a directory", func(path string) error { return os.Mkdir(path, 0o700) }, "is not a file"},
		{"garbage", func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("garbage ", 1000)), 0o600) }, "damaged, or is not a seawall database"},
		{"another program's", func(path string) error { return foreign(path, `create table recipes (cake text)`) }, "the database of another program"},
		{"newer", func(path string) error {
			return foreign(path, fmt.Sprintf(`create table schema_version (version bigint, applied_at bigint); insert into schema_version values (%d, 0)`, latest+1))
		}, fmt.Sprintf("written by a newer seawall: its schema is %d, and this program knows up to %d", latest+1, latest)},
	}
	for _, c := range cases {
		dir := t.TempDir()
		path := filepath.Join(dir, "seawall.db")
		if err := c.make(path); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), path, Options{})
		if err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.text)
			continue
		}
		wantRefusal(t, err, tenant.ErrConflict, c.text)
		again, err := acquire(path) // a refused database is not kept locked
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		again.Close()
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "missing", "seawall.db"), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "seawall.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	addTenant(t, openIn(t, dir), "acme") // an empty file is what a crash at the very start leaves
}

func foreign(path, statements string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	_, err = db.Exec(statements)
	return errors.Join(err, db.Close())
}

// A path with characters that mean something in a URI must name that file, and not set options.
func TestOddPaths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a?mode=memory&x=%41#b c'd")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := openIn(t, dir)
	addTenant(t, s, "acme")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "seawall.db")); err != nil || info.Size() == 0 {
		t.Errorf("the database is not in its file: %v, %v", info, err)
	}
	if _, err := openIn(t, dir).Tenant(t.Context(), "acme"); err != nil {
		t.Error(err)
	}
}

// TestConfined opens the database by a relative path in a process that sees nothing but its own directory, if the test
// may confine one, and that has no place for temporary files.
func TestConfined(t *testing.T) {
	if inChild("confined", func(dir string) {
		err := syscall.Chroot(dir)
		if err == nil {
			err = os.Chdir("/")
		} else if errors.Is(err, syscall.EPERM) { // only the superuser may
			err = os.Chdir(dir)
		}
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(context.Background(), "seawall.db", Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir("elsewhere", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chdir("elsewhere"); err != nil { // later connections still find it
			t.Fatal(err)
		}
		addTenant(t, s, "acme")
		if all, err := s.Tenants(context.Background()); err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}) {
		return
	}
	dir := t.TempDir()
	if out, err := child(t, "confined", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := openIn(t, dir).Tenant(t.Context(), "acme"); err != nil {
		t.Error(err)
	}
}

func TestSettingsOfEveryConnection(t *testing.T) {
	s := openIn(t, t.TempDir())
	want := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "temp_store": "2", "trusted_schema": "0"}
	check := func(who string, conn *sql.Conn, more map[string]string) {
		t.Helper()
		for _, settings := range []map[string]string{want, more} {
			for name, value := range settings {
				var got string
				if err := conn.QueryRowContext(t.Context(), "pragma "+name).Scan(&got); err != nil || got != value {
					t.Errorf("%s: %s is %q, %v; want %q", who, name, got, err, value)
				}
			}
		}
	}
	var conns []*sql.Conn
	for range readers {
		conn, err := s.reads.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		check("reader", conn, map[string]string{"query_only": "1"})
		if _, err := conn.ExecContext(t.Context(), "delete from used_name"); err == nil {
			t.Error("a reader can write")
		}
	}
	for _, conn := range conns {
		conn.Close()
	}
	if err := s.act(t.Context(), func(x *tx) error {
		check("writer", x.w.conn.conn, map[string]string{"query_only": "0"})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestBackwardSettingsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	wantRefusal(t, verifySettings(t.Context(), conn), tenant.ErrUnwritten, "journal_mode delete instead of wal")
	if _, err := conn.ExecContext(t.Context(), "pragma journal_mode = wal; pragma synchronous = normal"); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, verifySettings(t.Context(), conn), tenant.ErrUnwritten, "synchronous 1 instead of 2")
}

// hold keeps the writer busy until the returned function is called, so that acts queue up behind it.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	began, end, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.act(context.Background(), func(*tx) error {
			close(began)
			<-end
			return nil
		})
	}()
	<-began
	return func() {
		close(end)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// queue waits until n acts are queued.
func waitQueued(s *Store, n int) {
	for len(s.write.queue) < n {
		time.Sleep(time.Millisecond)
	}
}

func TestActsShareCommits(t *testing.T) {
	s := openIn(t, t.TempDir())
	before := s.Generation()
	release := hold(t, s)
	var wg sync.WaitGroup
	const n = maxBatch + 44
	for i := range n {
		wg.Go(func() {
			if _, err := s.CreateTenant(context.Background(), "uid 7", exampleTenant(fmt.Sprint("acme-", i))); err != nil {
				t.Error(err)
			}
		})
	}
	waitQueued(s, n)
	release()
	wg.Wait()
	if commits := s.Generation() - before; commits != 2 {
		t.Errorf("%d queued acts took %d commits, want 2", n, commits)
	}
}

// coded is an error with a result code of SQLite.
type coded int

func (coded) Error() string { return "made up" }
func (c coded) Code() int   { return int(c) }

// TestBrokenBatch lets one act of a shared commit break the transaction, as a full disk does: the others must happen
// all the same, once.
func TestBrokenBatch(t *testing.T) {
	s := openIn(t, t.TempDir())
	release := hold(t, s)
	var wg sync.WaitGroup
	const n = 20
	for i := range n {
		wg.Go(func() {
			_, err := s.CreateTenant(context.Background(), "uid 7", exampleTenant(fmt.Sprint("acme-", i)))
			if err != nil {
				t.Error(err)
			}
		})
	}
	tries := 0
	wg.Go(func() {
		err := s.act(context.Background(), func(x *tx) error {
			tries++
			if err := x.exec(`insert into used_name (space, name, used_at) values ('test', 'half', 0)`); err != nil {
				return err
			}
			return coded(codeFull)
		})
		wantRefusal(t, err, tenant.ErrUnwritten, "the disk is full")
	})
	waitQueued(s, n+1)
	release()
	wg.Wait()
	if tries != 2 {
		t.Errorf("the act that broke the commit ran %d times, want once with the others and once alone", tries)
	}
	all, err := s.Tenants(t.Context())
	if err != nil || len(all) != n {
		t.Errorf("%d tenants, %v", len(all), err)
	}
	if rows := count(t, s, `select count(*) from used_name where space = 'test'`); rows != 0 {
		t.Error("the failed act left something")
	}
}

func count(t *testing.T, s *Store, query string) (n int) {
	t.Helper()
	if err := s.reads.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestUncertainDiskStopsWrites(t *testing.T) {
	for _, code := range []coded{codeFsync, codeDirFsync, codeCorrupt, codeNotADB} {
		dir := t.TempDir()
		s := openIn(t, dir)
		addTenant(t, s, "acme")
		err := s.act(t.Context(), func(*tx) error { return code })
		wantRefusal(t, err, tenant.ErrUnwritten, "takes no more")
		_, err = s.CreateTenant(t.Context(), "uid 7", exampleTenant("globex"))
		wantRefusal(t, err, tenant.ErrUnwritten, "takes no more")
		if _, err := s.Tenant(t.Context(), "acme"); err != nil {
			t.Errorf("reading: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		addTenant(t, openIn(t, dir), "globex")
	}
}

func TestWriteErrors(t *testing.T) {
	for _, c := range []struct {
		err   error
		text  string
		fatal bool
	}{
		{coded(codeFull), "the disk is full", false},
		{coded(codeIOErrSHM), "the disk is full", false},
		{fmt.Errorf("inserting: %w", coded(codeWrite)), "the disk refused to be written", false},
		{coded(codeFsync), "did not confirm", true},
		{coded(codeCorrupt | 2<<8), "damaged", true},
	} {
		err, fatal := writeError(c.err)
		wantRefusal(t, err, tenant.ErrUnwritten, c.text)
		if fatal != c.fatal {
			t.Errorf("%v: fatal is %v", c.err, fatal)
		}
	}
	if err, fatal := writeError(errors.New("other")); errors.Is(err, tenant.ErrUnwritten) || fatal || !strings.Contains(err.Error(), "other") {
		t.Errorf("an unclassified error: %v, %v", err, fatal)
	}
}

func TestSweepKeepsTheTableSmall(t *testing.T) {
	now := born
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "seawall.db"), Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 400 { // each lives for 10 uses
		now = now.Add(time.Second)
		if first, err := s.ConsumeAssertion(t.Context(), "acme", "ci", fmt.Sprint(i), now.Add(10*time.Second)); err != nil || !first {
			t.Fatal(first, err)
		}
	}
	if rows := count(t, s, `select count(*) from used_assertion`); rows > 10+2*sweepEvery {
		t.Errorf("%d assertions are kept, of which 10 are live", rows)
	}
}

func TestSchemaRefusesImpossibleRows(t *testing.T) {
	s := openIn(t, t.TempDir())
	addTenant(t, s, "acme")
	if _, err := s.CreateAPI(t.Context(), "uid 7", exampleAPI()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateClient(t.Context(), "uid 7", exampleClient("ci")); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`update tenant set class = 'consumer'`,
		`update tenant set algorithm = 'HS256'`,
		`update tenant set id = 'ACME'`,
		`update tenant set policy_applied = policy_version + 1`,
		`update tenant set max_lifetime_ms = 0`,
		`delete from tenant`,
		`delete from api`,
		`delete from client`,
		`update api set tenant = 'globex'`,
		`update api set secret_hash = x'00'`,
		`update client set auth = 'none'`,
		`update client set auth = 'private_key_jwt'`,
		`update client_secret set hash = x'00'`,
		`insert into used_name select * from used_name`,
		`update client set rate_per_second = 0`,
	} {
		err := s.act(t.Context(), func(x *tx) error { return x.exec(statement) })
		if err == nil || resultCode(err)&0xff != 19 /* CONSTRAINT */ {
			t.Errorf("%s: got %v, want a violated constraint", statement, err)
		}
	}
}

// TestNothingSecretOnDisk looks for generated secrets in all files of the database, in the forms that they could have
// there. The hash must be found, or the search proves nothing.
func TestNothingSecretOnDisk(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	addTenant(t, s, "acme")
	apiSecret, first, second := secret.Generate(secret.APISecret, secret.Production), secret.Generate(secret.ClientSecret, secret.Production), secret.Generate(secret.ClientSecret, secret.Production)
	api, client := exampleAPI(), exampleClient("ci")
	api.SecretHash, client.Secrets[0].Hash = apiSecret.Hash(), first.Hash()
	if _, err := s.CreateAPI(t.Context(), "uid 7", api); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateClient(t.Context(), "uid 7", client); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RotateSecret(t.Context(), "acme", "ci", second.Hash(), time.Hour); err != nil {
		t.Fatal(err)
	}
	const jti = "a-rather-long-identifier-of-an-assertion"
	if _, err := s.ConsumeAssertion(t.Context(), "acme", "ci", jti, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, given := range []secret.Text{apiSecret, first, second, secret.New(jti)} {
		text := given.Reveal()
		for _, form := range []string{text[9:], hex.EncodeToString([]byte(text[9:])), base64.StdEncoding.EncodeToString([]byte(text))[:40]} {
			if files := filesWith(t, dir, form); len(files) > 0 {
				t.Errorf("a secret lies in %v", files)
			}
		}
	}
	for _, given := range []secret.Text{apiSecret, first, second} {
		hash := given.Hash()
		if len(filesWith(t, dir, string(hash[:]))) == 0 {
			t.Error("the search does not find what is there")
		}
	}
}

func filesWith(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), text) {
			found = append(found, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// killed starts the process of a part, waits for its line "ready", and kills it.
func killed(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, out, "ready\n")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
}
