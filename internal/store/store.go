// Package store is the attic: it keeps tenants, APIs, clients, people with their passkeys and browsers, and what people have
// allowed to applications, in a SQLite database, and remembers which client assertions were used. Every query and
// migration of the house is here.
//
// A method is one whole atomic act: it has happened and is on the disk when the method returns nil, and nothing of it
// has happened otherwise. No transaction leaves the package. Acts that write are handed to a single writer, which
// commits whatever is queued together (one fsync for many acts) and answers after the commit; an act that fails does not
// touch its neighbours. Reads use connections of their own and never wait for the writer.
//
// What is returned is for reading: a cache may hand one value to many readers as long as nobody writes into it, and the store
// remembers families that way itself. [Store.Generation] tells such a cache when to forget.
//
// Names (ids of tenants, clients and APIs, subjects of people, issuers, audiences) are never given out twice; a table remembers them even
// when nothing else does. Credentials are kept as hashes only. One process owns a database at a time.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// readers is how many connections read at the same time. Reads are rare, because the house caches what it needs for a
// token, and each connection keeps some pages in memory.
const readers = 4

// Options of [Open]. The zero value is what a process wants; tests turn the clock.
type Options struct {
	Now func() time.Time // the clock; nil is time.Now
	Log *slog.Logger     // hears of backups and migrations; nil is silence
}

// Store is an open database. Its methods may be called from any goroutine.
type Store struct {
	path  string
	now   func() time.Time
	log   *slog.Logger
	lock  *os.File
	write *writer
	reads *sql.DB

	recent recentFamilies

	prepared   sync.Map // statements of readers, *sql.Stmt by their text; closed with reads
	generation atomic.Uint64
	mu         sync.Mutex
	changed    chan struct{} // closed and replaced when generation grows; guarded by mu
}

// Open opens the database at path, makes it if there is none, and brings its schema up to date after a backup beside
// it. It refuses a database that another process has open, that a newer seawall has written, that others may read, or
// that is none of ours.
//
// A relative path is resolved now, once: a process that changes its root or working directory does so before.
func Open(ctx context.Context, path string, opt Options) (*Store, error) {
	return open(ctx, path, opt, embedded())
}

func open(ctx context.Context, path string, opt Options, steps []migration) (_ *Store, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("finding the database: %w", err)
	}
	s := &Store{path: path, now: opt.Now, log: opt.Log, changed: make(chan struct{})}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.lock, err = acquire(path); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := makeFile(path); err != nil {
		return nil, err
	}
	conn, err := openWriter(ctx, path)
	if err != nil {
		return nil, err
	}
	s.write = newWriter(conn, s.now, s.bump)
	if err := s.migrate(ctx, conn.conn, steps); err != nil {
		return nil, err
	}
	if s.reads, err = openReaders(path); err != nil {
		return nil, err
	}
	s.write.start()
	return s, nil
}

// Close finishes the acts that were begun, refuses later ones, and lets go of the database.
func (s *Store) Close() error {
	var errs []error
	if s.write != nil {
		errs = append(errs, s.write.stop())
	}
	if s.reads != nil {
		errs = append(errs, s.reads.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close()) // the lock goes with the descriptor
		s.lock = nil
	}
	return errors.Join(errs...)
}

// Generation grows whenever a tenant, an API or a client changes, or a person who was there does; it counts nothing in
// particular. A cache that notes the generation before it reads, and trusts what it read only while the generation is the
// same, is never older than the last act that was answered.
func (s *Store) Generation() uint64 { return s.generation.Load() }

// Wait blocks until the generation is not after any more, and returns the new one.
func (s *Store) Wait(ctx context.Context, after uint64) (uint64, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if g := s.generation.Load(); g != after {
			return g, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return after, ctx.Err()
		}
	}
}

// bump is called by the writer between a commit and its answers.
func (s *Store) bump() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation.Add(1)
	close(s.changed)
	s.changed = make(chan struct{})
}

// act runs do in a transaction and returns when it is durable. do may run more than once, and must keep its results to
// itself until it returns.
func (s *Store) act(ctx context.Context, do func(*tx) error) error { return s.write.act(ctx, do) }

// read runs do on one consistent view of the database.
func (s *Store) read(ctx context.Context, do func(querier) error) error {
	fresh, err := s.readOnce(ctx, do)
	for _, query := range fresh {
		s.prepare(ctx, query)
	}
	return s.readError(err)
}

// see returns what find sees in one consistent view of the database.
func see[T any](ctx context.Context, s *Store, find func(querier) (T, error)) (seen T, err error) {
	err = s.read(ctx, func(q querier) (err error) {
		seen, err = find(q)
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return seen, nil
}

// readOnce runs do, and returns the statements that were not prepared yet. They can't be prepared meanwhile: that takes a
// second connection, and readers that hold one each would wait for each other for ever.
func (s *Store) readOnce(ctx context.Context, do func(querier) error) (fresh []string, err error) {
	ctx, err = unwatched(ctx)
	if err != nil {
		return nil, err
	}
	tx, err := s.reads.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() // the end of a transaction that wrote nothing
	v := &view{s: s, tx: tx}
	err = do(v)
	return v.fresh, err
}

// unwatched is a context for reading, unless ctx is over already. Reads are short and wait for nobody but each other, and to
// watch for a caller who gives up, which the driver and database/sql do with a goroutine each, costs as much as a short one.
func unwatched(ctx context.Context) (context.Context, error) {
	return context.WithoutCancel(ctx), ctx.Err()
}

// prepare keeps a statement for later readers. If that fails they do without.
func (s *Store) prepare(ctx context.Context, query string) {
	made, err := s.reads.PrepareContext(ctx, query)
	if err != nil {
		return
	}
	if _, known := s.prepared.LoadOrStore(query, made); known {
		made.Close()
	}
}

// view is a reader's transaction whose statements are prepared once for each connection: parsing them costs more than
// running them.
type view struct {
	s     *Store
	tx    *sql.Tx
	fresh []string // asked for and not prepared yet
}

func (v *view) query(query string, args ...any) (*sql.Rows, error) {
	ctx := context.Background()
	prepared, known := v.s.prepared.Load(query)
	if !known {
		v.fresh = append(v.fresh, query)
		return v.tx.QueryContext(ctx, query, args...)
	}
	return v.tx.StmtContext(ctx, prepared.(*sql.Stmt)).QueryContext(ctx, args...)
}

// alone reads with one statement, which is consistent by itself and needs no transaction around it.
func (s *Store) alone(ctx context.Context) querier {
	return question(func(query string, args ...any) (*sql.Rows, error) {
		ctx, err := unwatched(ctx)
		if err != nil {
			return nil, err
		}
		prepared, known := s.prepared.Load(query)
		if !known {
			s.prepare(ctx, query)
			if prepared, known = s.prepared.Load(query); !known {
				return s.reads.QueryContext(ctx, query, args...)
			}
		}
		return prepared.(*sql.Stmt).QueryContext(ctx, args...)
	})
}

// question is a querier that is asked once.
type question func(query string, args ...any) (*sql.Rows, error)

func (q question) query(query string, args ...any) (*sql.Rows, error) { return q(query, args...) }

func (s *Store) readError(err error) error {
	if err == nil || isRefusal(err) {
		return err
	}
	return fmt.Errorf("reading the database: %w", err)
}
