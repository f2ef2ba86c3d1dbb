package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"seawall/internal/durable"
	"seawall/internal/tenant"
)

// Result codes of SQLite that the store tells apart (sqlite.org/rescode.html). The low byte is the primary code.
const (
	codeFull     = 13
	codeIOErr    = 10
	codeCorrupt  = 11
	codeNotADB   = 26
	codeIOErrSHM = codeIOErr | 19<<8 // growing the shared memory file: no room either
	codeWrite    = codeIOErr | 3<<8
	codeFsync    = codeIOErr | 4<<8
	codeDirFsync = codeIOErr | 5<<8
)

// common holds for every connection. synchronous=FULL makes each commit of the write-ahead log an fsync; temp_store
// keeps temporary tables out of a directory that a confined process does not have.
const common = "_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)&_pragma=temp_store(MEMORY)&_pragma=trusted_schema(0)&_dqs=0&_defensive=1&_error_rc=1"

// dsn names the database for the driver. An escaped URI, so that no character of the path is taken for a parameter.
func dsn(path, more string) string {
	return "file://" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + common + more
}

// writeConn is the one connection that writes.
type writeConn struct {
	db   *sql.DB
	conn *sql.Conn
}

func (c writeConn) close() error { return errors.Join(c.conn.Close(), c.db.Close()) }

func openWriter(ctx context.Context, path string) (writeConn, error) {
	db, err := sql.Open("sqlite", dsn(path, "&_pragma=journal_mode(WAL)&_pragma=journal_size_limit(16777216)&_pragma=cache_size(-4096)"))
	if err != nil {
		return writeConn{}, err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return writeConn{}, errors.Join(openError(path, err), db.Close())
	}
	c := writeConn{db, conn}
	if err := verifySettings(ctx, conn); err != nil {
		return writeConn{}, errors.Join(openError(path, err), c.close())
	}
	return c, nil
}

// verifySettings reads back what durability and integrity rest on. SQLite answers a request it cannot fulfil, such as a
// write-ahead log on a file system without shared memory, by going on without it.
func verifySettings(ctx context.Context, conn *sql.Conn) error {
	for _, setting := range []struct{ name, want string }{
		{"journal_mode", "wal"}, {"synchronous", "2"}, {"foreign_keys", "1"}, {"temp_store", "2"},
	} {
		var got string
		if err := conn.QueryRowContext(ctx, "pragma "+setting.name).Scan(&got); err != nil {
			return err
		}
		if got != setting.want {
			return tenant.Refuse(tenant.ErrUnwritten, "keep the data directory on a local disk", "the file system does not allow a safe database: SQLite has %s %s instead of %s", setting.name, got, setting.want)
		}
	}
	return nil
}

func openReaders(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, "&_pragma=cache_size(-512)&_query_only=1"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	return db, nil
}

// makeFile creates an empty database that only its owner can read, or checks that an existing one is. SQLite gives the
// files that it puts beside the database the same permissions.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return errors.Join(f.Close(), durable.SyncDir(filepath.Dir(path)))
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("creating the database: %w", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	if !info.Mode().IsRegular() {
		return tenant.Refuse(tenant.ErrConflict, "give the path of the database itself", "%s is not a file", path)
	}
	if open := info.Mode().Perm() &^ 0o600; open != 0 {
		return tenant.Refuse(tenant.ErrConflict, "find out who had access, then run `chmod 600 "+path+"`", "%s may be used by others: its permissions are %04o and should be 0600", path, info.Mode().Perm())
	}
	return nil
}

// resultCode finds SQLite's result code in err, or 0. The driver's errors have a method Code.
func resultCode(err error) int {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return 0
}

// openError explains what went wrong with a database that could not be opened.
func openError(path string, err error) error {
	switch code := resultCode(err); {
	case code&0xff == codeNotADB || code&0xff == codeCorrupt:
		return tenant.Refuse(tenant.ErrConflict, "restore it from a backup, or give seawall a data directory of its own", "%s is damaged, or is not a seawall database", path)
	case code&0xff == codeFull || code == codeIOErrSHM:
		return noRoom(err)
	}
	if isRefusal(err) {
		return err
	}
	return fmt.Errorf("opening the database: %w", err)
}

func noRoom(err error) error {
	return tenant.Refuse(tenant.ErrUnwritten, "make room on the disk of the data directory, then try again", "the disk is full, so nothing was written (%v)", err)
}

// writeError explains why an act could not be written. fatal means that what is on the disk is uncertain, so that
// nothing may be written until the database was opened afresh.
func writeError(err error) (explained error, fatal bool) {
	code := resultCode(err)
	switch {
	case err == nil || isRefusal(err):
		return err, false
	case code == codeFsync || code == codeDirFsync:
		return tenant.Refuse(tenant.ErrUnwritten, "check the disk, then restart seawall", "the disk did not confirm a write, so the database takes no more of them (%v)", err), true
	case code&0xff == codeCorrupt || code&0xff == codeNotADB:
		return tenant.Refuse(tenant.ErrUnwritten, "stop seawall, check the disk, and restore the database from a backup", "the database is damaged, so it takes no more writes (%v)", err), true
	case code&0xff == codeFull || code == codeIOErrSHM:
		return noRoom(err), false
	case code&0xff == codeIOErr:
		return tenant.Refuse(tenant.ErrUnwritten, "check that the disk of the data directory is healthy and within its quota", "the disk refused to be written, so nothing was (%v)", err), false
	}
	return fmt.Errorf("writing to the database: %w", err), false
}

// breaksTransaction reports whether SQLite may have rolled back the whole transaction, and not just the statement
// (sqlite.org/lang_transaction.html).
func breaksTransaction(err error) bool {
	switch resultCode(err) & 0xff {
	case codeFull, codeIOErr, codeCorrupt, codeNotADB, 5 /* BUSY */, 7 /* NOMEM */, 9 /* INTERRUPT */ :
		return true
	}
	return false
}

func isRefusal(err error) bool {
	var refusal *tenant.Refusal
	var invalid *tenant.Invalid
	return errors.As(err, &refusal) || errors.As(err, &invalid)
}
