package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"seawall/internal/tenant"
)

// maxBatch is how many acts one commit takes. More would make the first one wait longer than its fsync is worth.
const maxBatch = 256

// writer owns the writing connection. One goroutine takes whatever acts are queued, runs them in one transaction, and
// answers after the commit. There is no timer: a lone act is committed at once, and while the disk is busy others queue
// up and share the next commit.
type writer struct {
	conn    writeConn
	now     func() time.Time
	changed func() // called after a commit that changed more than memory of assertions

	queue chan *act
	mu    sync.RWMutex // held for reading while queueing, so that stop can close the queue
	done  chan struct{}
	shut  bool // guarded by mu

	prepared map[string]*sql.Stmt // used by the goroutine alone
	uses     int                  // of assertions, for their sweep; used by the goroutine alone
	families int                  // begun, for theirs; used by the goroutine alone
	broken   error                // set when the disk is uncertain; used by the goroutine alone
}

// act is one atomic piece of work on its way to the writer.
type act struct {
	do     func(*tx) error
	state  atomic.Int32
	answer chan error
}

// The states of an act. Whoever moves it out of queued decides: the writer begins it, or the caller gives up.
const (
	queued = iota
	begun
	abandoned
)

// tx is a transaction as acts see it. It is valid while the act runs.
type tx struct {
	w       *writer
	now     time.Time
	changed bool // whether caches of tenants, APIs, clients and people are out of date
	wrote   bool // whether the act that runs has changed a row
}

// querier reads: from the writer's transaction or from a reader's view.
type querier interface {
	query(query string, args ...any) (*sql.Rows, error)
}

func newWriter(conn writeConn, now func() time.Time, changed func()) *writer {
	return &writer{conn: conn, now: now, changed: changed, queue: make(chan *act, 4*maxBatch), prepared: map[string]*sql.Stmt{}}
}

func (w *writer) start() {
	w.done = make(chan struct{})
	go w.run()
}

// stop commits what is queued, ends the goroutine and closes the connection.
func (w *writer) stop() error {
	w.mu.Lock()
	first := !w.shut
	w.shut = true
	w.mu.Unlock()
	if !first {
		return nil
	}
	close(w.queue)
	if w.done != nil {
		<-w.done
	}
	return w.conn.close()
}

// act queues do and waits for its answer. Once the writer has begun it, the act is finished whatever happens to ctx;
// before that, a caller who gives up can be sure that nothing was written.
func (w *writer) act(ctx context.Context, do func(*tx) error) error {
	a := &act{do: do, answer: make(chan error, 1)}
	if err := w.enqueue(ctx, a); err != nil {
		return err
	}
	select {
	case err := <-a.answer:
		return err
	case <-ctx.Done():
	}
	if a.state.CompareAndSwap(queued, abandoned) {
		return gaveUp(ctx)
	}
	return <-a.answer
}

func (w *writer) enqueue(ctx context.Context, a *act) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.shut {
		return errors.New("the database is closed")
	}
	select {
	case w.queue <- a:
		return nil
	case <-ctx.Done():
		return gaveUp(ctx)
	}
}

func gaveUp(ctx context.Context) error {
	return fmt.Errorf("waiting to write to the database, nothing was written: %w", ctx.Err())
}

func (w *writer) run() {
	defer close(w.done)
	batch := make([]*act, 0, maxBatch)
	for a := range w.queue {
		batch = append(batch[:0], a)
		w.letQueue()
		for more := true; more && len(batch) < maxBatch; {
			select {
			case a, open := <-w.queue:
				if more = open; open {
					batch = append(batch, a)
				}
			default:
				more = false
			}
		}
		w.commit(batch)
	}
	for _, s := range w.prepared {
		s.Close()
	}
}

// letQueue lets whoever is about to queue an act go first, as long as somebody does: acts come in bursts, as tokens come from
// the signer in messages.
func (w *writer) letQueue() {
	for before := -1; before < len(w.queue) && len(w.queue) < maxBatch; {
		before = len(w.queue)
		runtime.Gosched()
	}
}

// commit runs the acts of a batch that nobody gave up, and answers them.
func (w *writer) commit(batch []*act) {
	taken := batch[:0]
	for _, a := range batch {
		if a.state.CompareAndSwap(queued, begun) {
			taken = append(taken, a)
		}
	}
	if len(taken) == 0 {
		return
	}
	answers := make([]error, len(taken))
	if err := w.together(taken, answers); err != nil {
		w.apart(taken, answers, err)
	}
	for i, a := range taken {
		a.answer <- answers[i]
	}
}

// apart answers acts whose common transaction broke, although most of them may be fine. Each gets one of its own, so
// that a big one that the disk has no room for does not take a small one with it. On a full disk the log is emptied into
// the database first, which often makes room.
func (w *writer) apart(acts []*act, answers []error, err error) {
	w.explain(err)                                                      // an uncertain disk is not tried again
	full := resultCode(err) == codeFull || resultCode(err) == codeWrite // the second is a quota
	if full {
		_ = w.exec("pragma wal_checkpoint(truncate)") // if it fails, the acts will say why
	}
	for i := range acts {
		answers[i] = err
		if full || len(acts) > 1 {
			answers[i] = nil
			if err := w.together(acts[i:i+1], answers[i:i+1]); err != nil {
				answers[i] = err
			}
		}
		answers[i] = w.explain(answers[i])
	}
}

// explain turns an error of the engine into one for people, and remembers if the disk is uncertain now.
func (w *writer) explain(err error) error {
	explained, fatal := writeError(err)
	if fatal && w.broken == nil {
		w.broken = explained
	}
	return explained
}

// together commits acts in one transaction. A non-nil error means that none of them happened; otherwise answers has
// the error of each act that failed by itself. An act is hardly ever refused after it wrote something, so the first
// attempt goes without savepoints, which are two statements more for each act.
func (w *writer) together(acts []*act, answers []error) error {
	err := w.attempt(acts, answers, w.bare)
	if errors.Is(err, errHalfDone) {
		err = w.attempt(acts, answers, w.inSavepoint)
	}
	return err
}

// errHalfDone ends an attempt in which an act failed after it had written.
var errHalfDone = errors.New("an act failed in its middle")

// attempt commits acts in one transaction, each as run does it. An error that run returns as broke loses them all.
func (w *writer) attempt(acts []*act, answers []error, run func(*tx, *act) (answer, broke error)) (err error) {
	if w.broken != nil {
		return w.broken
	}
	if err := w.exec("begin immediate"); err != nil {
		return err
	}
	t := &tx{w: w, now: w.now()}
	for i, a := range acts {
		if answers[i], err = run(t, a); err != nil {
			break
		}
	}
	if err == nil {
		err = w.exec("commit")
	}
	if err != nil {
		_ = w.exec("rollback") // fails if SQLite has rolled back by itself, which is as good
		return err
	}
	if t.changed {
		w.changed()
	}
	return nil
}

// bare runs one act with nothing to go back to.
func (w *writer) bare(t *tx, a *act) (answer, broke error) {
	t.wrote = false
	answer = a.do(t)
	switch {
	case answer == nil:
		return nil, nil
	case breaksTransaction(answer):
		return nil, answer
	case t.wrote:
		return nil, errHalfDone
	}
	return w.explain(answer), nil
}

// inSavepoint runs one act so that its failure undoes it alone.
func (w *writer) inSavepoint(t *tx, a *act) (answer, broke error) {
	if err := w.exec("savepoint act"); err != nil {
		return nil, err
	}
	changed := t.changed
	if answer = a.do(t); answer == nil {
		return nil, w.exec("release act")
	}
	t.changed = changed
	if breaksTransaction(answer) {
		return nil, answer
	}
	if err := w.exec("rollback to act"); err != nil {
		return nil, err
	}
	return w.explain(answer), w.exec("release act")
}

// exec runs a statement that is prepared once and kept.
func (w *writer) exec(query string, args ...any) error {
	_, err := w.affected(query, args...)
	return err
}

func (w *writer) affected(query string, args ...any) (int64, error) {
	s, err := w.prepare(query)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// prepare returns a statement, parsed once. None is ever canceled: once a commit has begun, it finishes.
func (w *writer) prepare(query string) (*sql.Stmt, error) {
	s := w.prepared[query]
	if s == nil {
		var err error
		if s, err = w.conn.conn.PrepareContext(context.Background(), query); err != nil {
			return nil, err
		}
		w.prepared[query] = s
	}
	return s, nil
}

// query reads what the transaction sees.
func (t *tx) query(query string, args ...any) (*sql.Rows, error) {
	s, err := t.w.prepare(query)
	if err != nil {
		return nil, err
	}
	t.wrote = t.wrote || !strings.HasPrefix(query, "select ")
	return s.QueryContext(context.Background(), args...)
}

// exec runs a statement of an act.
func (t *tx) exec(query string, args ...any) error {
	_, err := t.affected(query, args...)
	return err
}

// affected runs a statement of an act and returns how many rows it changed.
func (t *tx) affected(query string, args ...any) (int64, error) {
	n, err := t.w.affected(query, args...)
	t.wrote = t.wrote || n > 0
	return n, err
}

// take gives out a name for good, or returns false if it was given out before.
func (t *tx) take(space, name string) (bool, error) {
	n, err := t.affected(`insert into used_name (space, name, used_at) values ($1, $2, $3) on conflict (space, name) do nothing`, space, name, t.now.UnixMilli())
	return n == 1, err
}

// taken refuses a name. live tells whether what has it is still there.
func taken(live bool, what, name string) error {
	if live {
		return tenant.Refuse(tenant.ErrExists, "choose another, or use the one that is there", "there is already %s %s", what, name)
	}
	return tenant.Refuse(tenant.ErrUsedBefore, "choose another: old tokens and logs must never point at something new", "%s was the name of %s before, and names are never used again", name, what)
}
