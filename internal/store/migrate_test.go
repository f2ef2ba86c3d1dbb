package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// then is the present schema with one migration more, as a later release would have it.
func then(sql string) []migration { return append(embedded(), migration{"9999_test.sql", sql}) }

// latest is the number of the present schema.
var latest = len(embedded())

func openWith(t *testing.T, dir string, steps []migration) (*Store, error) {
	t.Helper()
	s, err := open(context.Background(), filepath.Join(dir, "seawall.db"), Options{}, steps)
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

// oldDatabase leaves a closed database of the present schema with one tenant in it.
func oldDatabase(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s, err := openWith(t, dir, embedded())
	if err != nil {
		t.Fatal(err)
	}
	addTenant(t, s, "acme")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func backups(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*backup*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func tableThere(t *testing.T, s *Store, name string) bool {
	t.Helper()
	return count(t, s, `select count(*) from sqlite_master where name = '`+name+`'`) == 1
}

func TestMigrationsAreNumbered(t *testing.T) {
	for i, m := range embedded() {
		if !regexp.MustCompile(fmt.Sprintf(`^%04d_[a-z_]+\.sql$`, i+1)).MatchString(m.name) {
			t.Errorf("migration %d is called %s", i+1, m.name)
		}
		for _, foreign := range []string{"now()", "::", "create type", "create trigger", "autoincrement", "serial", "pragma", "datetime"} {
			if strings.Contains(strings.ToLower(m.sql), foreign) {
				t.Errorf("%s uses %q, which not every database has", m.name, foreign)
			}
		}
	}
}

func TestMigrationBacksUpFirst(t *testing.T) {
	dir := oldDatabase(t)
	if found := backups(t, dir); len(found) != 0 {
		t.Errorf("a new database was backed up: %v", found)
	}
	s, err := openWith(t, dir, then(`create table harbour (name text); insert into harbour values ('calm')`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tenant(t.Context(), "acme"); err != nil || !tableThere(t, s, "harbour") {
		t.Errorf("after the migration: %v", err)
	}
	addTenant(t, s, "globex")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	found := backups(t, dir)
	if len(found) != 1 || !regexp.MustCompile(fmt.Sprintf(`/seawall\.db\.v%d-\d{8}T\d{6}\.\d{3}Z\.backup$`, latest)).MatchString(found[0]) {
		t.Fatalf("backups: %v", found)
	}
	if info, err := os.Stat(found[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup is %v, %v", info.Mode(), err)
	}
	restored := t.TempDir()
	if err := os.Rename(found[0], filepath.Join(restored, "seawall.db")); err != nil {
		t.Fatal(err)
	}
	old, err := openWith(t, restored, embedded())
	if err != nil {
		t.Fatal(err)
	}
	all, err := old.Tenants(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != "acme" || tableThere(t, old, "harbour") {
		t.Errorf("the restored backup has %+v, %v", all, err)
	}

	if s, err = openWith(t, dir, then(`never run again`)); err != nil {
		t.Fatal(err)
	}
	if len(backups(t, dir)) != 0 || !tableThere(t, s, "harbour") {
		t.Error("a database that is up to date was migrated or backed up again")
	}
	s.Close()
	_, err = openWith(t, dir, embedded())
	wantRefusal(t, err, tenant.ErrConflict, fmt.Sprintf("written by a newer seawall: its schema is %d, and this program knows up to %d", latest+1, latest))
}

// TestClientsBeforeTheyHadTypes: clients that an older seawall registered are services, with all they had.
func TestClientsBeforeTheyHadTypes(t *testing.T) {
	dir := t.TempDir()
	s, err := openWith(t, dir, embedded()[:2])
	if err != nil {
		t.Fatal(err)
	}
	addTenant(t, s, "acme")
	hash := secret.New("x").Hash()
	err = s.act(t.Context(), func(x *tx) error {
		return errors.Join(
			x.exec(`insert into api (tenant, id, audience, secret_hash, scopes, max_lifetime_ms, created_at) values ('acme', 'orders', 'https://a.example', $1, '["read"]', 0, 1)`, hash[:]),
			x.exec(`insert into client (tenant, id, name, grants, auth, key_set, claims, lifetime_ms, rate_per_second, created_at, disabled_at) values ('acme', 'ci', 'CI', '["client_credentials"]', 'client_secret_basic', '', '{}', 60000, 5, 1, null)`),
			x.exec(`insert into client_access (tenant, client, api, scopes) values ('acme', 'ci', 'orders', '["read"]')`),
			x.exec(`insert into client_secret (hash, tenant, client, created_at) values ($1, 'acme', 'ci', 1)`, hash[:]))
	})
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = openWith(t, dir, embedded()); err != nil {
		t.Fatal(err)
	}
	c, err := s.Client(t.Context(), "acme", "ci")
	if err != nil || c.Type != tenant.Service || c.DPoP != tenant.DPoPOffered || c.Name != "CI" || len(c.Secrets) != 1 || c.Secrets[0].Hash != hash || len(c.APIs) != 1 || !c.APIs[0].Scopes.Has("read") {
		t.Errorf("the client is %+v, %v", c, err)
	}
	if _, err := tenant.NewClient(c); err != nil {
		t.Errorf("it could not be made today: %v", err)
	}
	if count(t, s, `select count(*) from pragma_foreign_key_check`) != 0 {
		t.Error("something refers to a client that is gone")
	}
	for _, table := range []string{"new_client", "new_client_access", "new_client_secret"} {
		if tableThere(t, s, table) || count(t, s, `select count(*) from sqlite_master where sql like '%`+table+`%'`) != 0 {
			t.Errorf("%s is left over", table)
		}
	}
	if err := s.act(t.Context(), func(x *tx) error { return x.exec(`delete from client where id = 'ci'`) }); err == nil {
		t.Error("a client can be taken away from under its secret")
	}
}

func TestFailedMigrationIsUndone(t *testing.T) {
	dir := oldDatabase(t)
	_, err := openWith(t, dir, then(`create table harbour (name text); delete from policy_outbox; insert into harbour values (1, 2)`))
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("migrating the database to schema %d (9999_test.sql), which was undone: ", latest+1)) {
		t.Fatalf("got %v", err)
	}
	s, err := openWith(t, dir, embedded())
	if err != nil {
		t.Fatal(err)
	}
	if tableThere(t, s, "harbour") || count(t, s, `select count(*) from policy_outbox`) != 1 || count(t, s, `select max(version) from schema_version`) != latest {
		t.Error("the failed migration left something")
	}
	addTenant(t, s, "globex")
}

// TestKilledMigration kills a process in the middle of a migration that has written a table and goes on forever.
func TestKilledMigration(t *testing.T) {
	if inChild("migrating", func(dir string) {
		go func() {
			for i := 0; len(backups(t, dir)) == 0 || !strings.HasSuffix(backups(t, dir)[0], "Z.backup"); i++ {
				if i > 10_000 {
					fmt.Println("migrating without a backup")
					os.Exit(5)
				}
				time.Sleep(time.Millisecond)
			}
			time.Sleep(100 * time.Millisecond) // let the first statements run
			fmt.Println("ready")
		}()
		_, err := openWith(t, dir, then(`create table harbour (name text); delete from policy_outbox;
			insert into harbour with recursive forever(n) as (select 1 union all select n + 1 from forever) select 'x' from forever where n < 0`))
		t.Fatal("the endless migration ended: ", err)
	}) {
		return
	}
	dir := oldDatabase(t)
	killed(t, child(t, "migrating", dir))
	s, err := openWith(t, dir, embedded())
	if err != nil {
		t.Fatal(err)
	}
	if tableThere(t, s, "harbour") || count(t, s, `select count(*) from policy_outbox`) != 1 {
		t.Error("half a migration is there")
	}
	s.Close()
	if s, err = openWith(t, dir, then(`create table harbour (name text)`)); err != nil || !tableThere(t, s, "harbour") {
		t.Fatalf("migrating again: %v", err)
	}
	if found := backups(t, dir); len(found) != 2 {
		t.Errorf("backups: %v", found)
	}
}

func TestRemainsOfABackupAreRemoved(t *testing.T) {
	dir := oldDatabase(t)
	unfinished := filepath.Join(dir, "seawall.db.backup.unfinished")
	if err := os.WriteFile(unfinished, []byte("half a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openWith(t, dir, then(`create table harbour (name text)`)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(unfinished); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the remains of an earlier backup are still there: %v", err)
	}
}

// TestCanceledMigration gives up before it starts: nothing changes, and the lock is free.
func TestCanceledMigration(t *testing.T) {
	dir := oldDatabase(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(ctx, filepath.Join(dir, "seawall.db"), Options{}, then(`create table harbour (name text)`)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s, err := openWith(t, dir, embedded())
	if err != nil || tableThere(t, s, "harbour") {
		t.Fatal(err)
	}
}

// TestTheFirstReleaseMigrates opens a database as the first release left it: its tenant is there, asks for any passkey,
// and has no people until it is completed.
func TestTheFirstReleaseMigrates(t *testing.T) {
	dir := t.TempDir()
	s, err := openWith(t, dir, embedded()[:1])
	if err != nil {
		t.Fatal(err)
	}
	err = s.act(t.Context(), func(x *tx) error {
		return x.exec(`insert into tenant (id, class, owner, contacts, issuer, algorithm, claims, max_lifetime_ms, rotation_days, created_at, policy_version, policy_applied)
			values ('acme', 'production', 'ops@acme.example', '["a@acme.example","b@acme.example"]', 'https://id.example/acme', 'ES256', '[]', 3600000, 30, 1, 0, 0)`)
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = openWith(t, dir, embedded()); err != nil {
		t.Fatal(err)
	}
	old, err := s.Tenant(t.Context(), "acme")
	if err != nil || old.Passkeys != tenant.AnyPasskey || len(old.Models) != 0 {
		t.Fatalf("the old tenant is %+v, %v", old, err)
	}
	for round, want := range []int{0, tenant.BreakGlassPrincipals, tenant.BreakGlassPrincipals} {
		people, err := s.People(t.Context(), "acme")
		if err != nil || len(people) != want {
			t.Errorf("round %d: %d people, %v; want %d", round, len(people), err, want)
		}
		if _, err := s.CompleteTenant(t.Context(), tenant.Tenant{ID: "acme"}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCodesFromBeforeTheirEndsMigrate: what they gave was not taken back.
func TestCodesFromBeforeTheirEndsMigrate(t *testing.T) {
	dir := t.TempDir()
	s, err := openWith(t, dir, embedded()[:6])
	if err != nil {
		t.Fatal(err)
	}
	hash := secret.New("x").Hash()
	err = s.act(t.Context(), func(x *tx) error {
		return errors.Join(oldParty(x), x.exec(`insert into code (hash, tenant, client, person, session, passkey, redirect_uri, challenge, nonce, jkt, scope, resources, signed_in_at, acr, amr, issued_at, expires_at, forget_at, redeemed_at, gave, family)
			values ($1, 'acme', 'web', 'p1', 's', x'01', 'https://a.example/cb', '`+strings.Repeat("c", 43)+`', '', '', '["openid"]', '[]', 1, 'phr', '[]', $2, $2, $3, $2, '{"jti":"j","exp":"2100-01-01T00:00:00Z"}', '')`,
			hash[:], s.now().UnixMilli(), s.now().Add(time.Minute).UnixMilli()))
	})
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = openWith(t, dir, embedded()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} {
		if all, err := s.Given(t.Context(), "acme", "p1"); err != nil || len(all) != want || want == 1 && (all[0].Hash != hash || all[0].Gave.JTI != "j") {
			t.Errorf("given %+v, %v", all, err)
		}
		if _, err := s.WithdrawConsent(t.Context(), "acme", "p1", "web", "uid:0"); err != nil {
			t.Fatal(err)
		}
	}
	if owed, err := s.Owed(t.Context(), tenant.Owed{}); err != nil || len(owed) != 1 || owed[0].JTI != "j" {
		t.Errorf("the ledger is owed %+v, %v", owed, err)
	}
}

// oldParty is a person and a client as the fourth schema has them.
func oldParty(x *tx) error {
	return errors.Join(
		x.exec(`insert into tenant (id, class, owner, contacts, issuer, algorithm, claims, max_lifetime_ms, rotation_days, created_at, policy_version, policy_applied)
			values ('acme', 'production', 'ops@acme.example', '["a@acme.example","b@acme.example"]', 'https://id.example/acme', 'ES256', '[]', 3600000, 30, 1, 0, 0)`),
		x.exec(`insert into person (tenant, id, handle, kind, login, name, role, created_at) values ('acme', 'p1', zeroblob(32), 'human', 'ada', 'Ada', '', 1)`),
		x.exec(`insert into client (tenant, id, name, type, grants, auth, key_set, claims, lifetime_ms, rate_per_second, created_at) values ('acme', 'web', 'Web', 'web', '["authorization_code"]', 'client_secret_basic', '', '{}', 60000, 5, 1)`))
}

// TestFamiliesWithoutTheirPasskey: a passkey that was removed when that left refresh families behind is one that nobody can judge, so
// they stop when a tenant begins to ask for more.
func TestFamiliesWithoutTheirPasskey(t *testing.T) {
	dir := t.TempDir()
	s, err := openWith(t, dir, embedded()[:6])
	if err != nil {
		t.Fatal(err)
	}
	id := tenant.NewFamilyID().String()
	err = s.act(t.Context(), func(x *tx) error {
		return errors.Join(oldParty(x), x.exec(`insert into family (`+familyColumns+`) values ($1, 'acme', 'web', 'p1', 's', x'01', 's', 1, '["openid"]', '[]', '', 1, 'phr', '[]', 1, zeroblob(32), null, null, null, 0, '', null, '', null, 1, $2, $3, $3)`,
			id, s.now().UnixMilli(), s.now().Add(time.Hour).UnixMilli()))
	})
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = openWith(t, dir, embedded()); err != nil {
		t.Fatal(err)
	}
	if f, err := s.Family(t.Context(), "acme", id); err != nil || !f.Live(s.now()) {
		t.Fatalf("%+v, %v", f, err)
	}
	if _, err := s.CompleteTenant(t.Context(), tenant.Tenant{ID: "acme", Passkeys: tenant.DeviceBound}); err != nil {
		t.Fatal(err)
	}
	if f, err := s.Family(t.Context(), "acme", id); err != nil || f.Suspicion != tenant.LesserPasskey {
		t.Errorf("%+v, %v", f, err)
	}
	if owed, err := s.Owed(t.Context(), tenant.Owed{}); err != nil || len(owed) != 1 || owed[0].Kind != tenant.RefreshSuspended || owed[0].Detail["family"] != id {
		t.Errorf("the ledger is owed %+v, %v", owed, err)
	}
}

// TestSessionsFromBeforeTheyWereKnown: of what they gave nobody knows when the last ends, so the ledger hears of their ends as before, and
// of the end of one that came after such a one in its browser.
func TestSessionsFromBeforeTheyWereKnown(t *testing.T) {
	dir := t.TempDir()
	s, err := openWith(t, dir, embedded()[:8])
	if err != nil {
		t.Fatal(err)
	}
	old, now := secret.New("old").Hash(), s.now()
	err = s.act(t.Context(), func(x *tx) error {
		return errors.Join(oldParty(x),
			x.exec(`insert into passkey (id, tenant, person, name, public_key, flags, counter, aaguid, transports, format, attested, hardware, attestation, created_at) values (x'01', 'acme', 'p1', 'a', x'01', 5, 0, zeroblob(16), '[]', 'none', 0, 0, x'', 1)`),
			x.exec(`insert into browser_session (hash, id, tenant, person, passkey, acr, amr, device, place, at, seen_at) values ($1, 'old', 'acme', 'p1', x'01', 'phr', '[]', '', '', $2, $2)`, old[:], now.UnixMilli()))
	})
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = openWith(t, dir, embedded()); err != nil {
		t.Fatal(err)
	}
	keys, err := s.Passkeys(t.Context(), "acme", "p1")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []struct {
		id       string
		replaces secret.Hash
	}{{"after", old}, {"new", secret.Hash{}}} {
		if err := s.SignIn(t.Context(), tenant.Session{ID: n.id, Hash: secret.New(n.id).Hash(), Tenant: "acme", Person: "p1", Passkey: keys[0].ID, At: now, SeenAt: now}, keys[0], n.replaces); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"after", "new"} {
		if _, err := s.EndSessions(t.Context(), tenant.Ending{Tenant: "acme", Person: "p1", Session: id, Actor: "uid:0"}); err != nil {
			t.Fatal(err)
		}
	}
	owed, err := s.Owed(t.Context(), tenant.Owed{})
	named := map[string]bool{}
	for _, o := range owed {
		named[o.Session] = o.Ends.IsZero()
	}
	if err != nil || len(owed) != 2 || !named["old"] || !named["after"] {
		t.Errorf("the ledger is owed %+v, %v", owed, err)
	}
}

// TestPasskeysFromBeforeTheirReasonsMigrate: what was suspended then was so because a counter went back.
func TestPasskeysFromBeforeTheirReasonsMigrate(t *testing.T) {
	dir := t.TempDir()
	s, err := openWith(t, dir, embedded()[:2])
	if err != nil {
		t.Fatal(err)
	}
	err = s.act(t.Context(), func(x *tx) error {
		for _, q := range []string{
			`insert into tenant (id, class, owner, contacts, issuer, algorithm, claims, max_lifetime_ms, rotation_days, created_at, policy_version, policy_applied)
				values ('acme', 'production', 'ops@acme.example', '[]', 'https://id.example/acme', 'ES256', '[]', 3600000, 30, 1, 0, 0)`,
			`insert into person (tenant, id, handle, kind, login, name, role, created_at) values ('acme', 'p1', zeroblob(32), 'human', 'ada', 'Ada', '', 1)`,
			`insert into passkey (id, tenant, person, name, public_key, flags, counter, aaguid, transports, format, attested, hardware, attestation, created_at, suspended_at)
				values (x'01', 'acme', 'p1', 'a', x'01', 5, 3, zeroblob(16), '[]', 'none', 0, 0, x'', 1, 2), (x'02', 'acme', 'p1', 'b', x'01', 5, 3, zeroblob(16), '[]', 'none', 0, 0, x'', 1, null)`,
			`insert into recovery (tenant, person, requested_by, requested_at, approved_by) values ('acme', 'p1', 'uid:0', unixepoch() * 1000, '')`,
		} {
			if err := x.exec(q); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = openWith(t, dir, embedded()); err != nil {
		t.Fatal(err)
	}
	keys, err := s.Passkeys(t.Context(), "acme", "p1")
	if err != nil || len(keys) != 2 || keys[0].SuspendedWhy != tenant.CounterWentBack || keys[1].SuspendedWhy != "" {
		t.Errorf("the old passkeys are %+v, %v", keys, err)
	}
	if r, err := s.Recovery(t.Context(), "acme", "p1"); err != nil || r.FirstBy != "" {
		t.Errorf("the old recovery is %+v, %v", r, err)
	}
}
