package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"seawall/internal/durable"
	"seawall/internal/tenant"
)

// Migrations are numbered files of portable SQL, forward only, each in a transaction of its own together with its row
// in schema_version. What one release adds, only a later one may remove: old code must run on the new schema.

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step of the schema. Its number is its place in the list, from 1.
type migration struct {
	name, sql string
}

// embedded returns the migrations of this release. The names of the files sort in their order; a test checks the
// numbers.
func embedded() []migration {
	files, err := fs.ReadDir(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	steps := make([]migration, len(files))
	for i, f := range files {
		text, err := migrationFiles.ReadFile("migrations/" + f.Name())
		if err != nil {
			panic(err)
		}
		steps[i] = migration{f.Name(), string(text)}
	}
	return steps
}

// migrate brings the schema up to the last step. An existing database is copied first.
func (s *Store) migrate(ctx context.Context, conn *sql.Conn, steps []migration) error {
	version, err := schemaVersion(ctx, conn, s.path)
	if err != nil {
		return openError(s.path, err)
	}
	if version > len(steps) {
		return tenant.Refuse(tenant.ErrConflict, fmt.Sprintf("run the newer seawall, or restore a copy of the database from before (%s.v%d-….backup)", s.path, len(steps)),
			"%s was written by a newer seawall: its schema is %d, and this program knows up to %d", s.path, version, len(steps))
	}
	if version > 0 && version < len(steps) {
		if err := s.backup(ctx, conn, version); err != nil {
			return err
		}
	}
	for i := version; i < len(steps); i++ {
		if err := s.step(ctx, conn, i+1, steps[i]); err != nil {
			explained, _ := writeError(err)
			return fmt.Errorf("migrating the database to schema %d (%s), which was undone: %w", i+1, steps[i].name, explained)
		}
		s.log.InfoContext(ctx, "database schema migrated", "schema", i+1, "migration", steps[i].name)
	}
	return nil
}

// schemaVersion returns the number of the last migration, or 0 for a database with nothing in it. One that has tables
// and no version is somebody else's.
func schemaVersion(ctx context.Context, conn *sql.Conn, path string) (int, error) {
	var tables, ours int
	err := conn.QueryRowContext(ctx, `select count(*), count(case when name = 'schema_version' then 1 end) from sqlite_master where type = 'table'`).Scan(&tables, &ours)
	if err != nil || tables == 0 {
		return 0, err
	}
	if ours == 0 {
		return 0, tenant.Refuse(tenant.ErrConflict, "give seawall a data directory of its own", "%s is the database of another program", path)
	}
	var version int
	err = conn.QueryRowContext(ctx, `select coalesce(max(version), 0) from schema_version`).Scan(&version)
	return version, err
}

func (s *Store) step(ctx context.Context, conn *sql.Conn, number int, m migration) error {
	if _, err := conn.ExecContext(ctx, "begin immediate"); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, m.sql)
	if err == nil {
		_, err = conn.ExecContext(ctx, `insert into schema_version (version, applied_at) values ($1, $2)`, number, s.now().UnixMilli())
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, "commit")
	}
	if err != nil {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "rollback") // fails if SQLite has rolled back by itself
	}
	return err
}

// backup copies the database beside itself. The copy gets its name only when it is whole and on the disk, so that a
// crash leaves no half a backup that looks like one.
func (s *Store) backup(ctx context.Context, conn *sql.Conn, version int) error {
	unfinished := s.path + ".backup.unfinished"
	name := fmt.Sprintf("%s.v%d-%s.backup", s.path, version, s.now().UTC().Format("20060102T150405.000Z"))
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the remains of an earlier backup: %w", err)
	}
	f, err := os.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("backing up the database before a migration: %w", err)
	}
	start := time.Now()
	_, err = conn.ExecContext(ctx, `vacuum into $1`, unfinished)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(unfinished, name)
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(s.path))
	}
	if err != nil {
		explained, _ := writeError(err)
		return errors.Join(fmt.Errorf("backing up the database before a migration: %w", explained), os.Remove(unfinished))
	}
	s.log.InfoContext(ctx, "database backed up before a migration", "file", name, "schema", version, "took", time.Since(start))
	return nil
}
