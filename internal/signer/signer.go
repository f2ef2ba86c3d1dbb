package signer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"seawall/internal/keyring"
	"seawall/internal/keystore"
	"seawall/internal/mint"
)

const (
	tickEvery = time.Minute
	// helloEvery is how old the ledger's document may get: successors of receipt keys are announced long before.
	helloEvery = 10 * time.Minute
	helloPause = 200 * time.Millisecond // after one that failed
)

// ErrRefused reports a state that no restart mends. The error's text says what to do.
var ErrRefused = errors.New("the signer refuses to run")

// refused makes an error that is [ErrRefused] and reads as its own text.
func refused(text string, args ...any) error {
	return &refusedError{fmt.Errorf(text, args...)}
}

type refusedError struct{ why error }

func (e *refusedError) Error() string   { return e.why.Error() }
func (e *refusedError) Unwrap() []error { return []error{e.why, ErrRefused} }

func newer(path string, format int) error {
	return refused("%s has format %d, which a later seawall wrote: use that version", path, format)
}

// Options are what a signer runs with. All are required.
type Options struct {
	Dir    string         // its directory, private to it
	Store  keystore.Store // where private keys live
	Clock  Clock
	Ledger mint.Dial // the way to its ledger
	Level  string    // the walls around the process, in words; part of Health
	Log    *slog.Logger

	after func(string) // told of each change on disk; tests die here
}

// Signer is the vault. Make one with [Open], let it [Signer.Run] and [Signer.Serve] the house.
type Signer struct {
	disk     *disk
	store    keystore.Store
	clock    Clock
	ceilings Ceilings
	guard    *guard
	link     *link
	window   *window
	crew     *crew
	level    string
	log      *slog.Logger
	fatal    chan error // capacity 1

	tenants    atomic.Pointer[map[string]*tenant]
	generation atomic.Uint64

	// gate is held for reading from the check of a request to its signature, and for writing while a key changes: no
	// token is recorded or signed with a key whose time ended in between.
	gate sync.RWMutex

	change          sync.Mutex // held by whoever changes policies, keys or the clock guard
	pendingPolicies map[string]*policyFile
	unreadable      map[string]bool // spares, by kid, whose private part does not open
}

// FirstStart reports whether dir was never a signer's: no key-encryption key was made for it and nothing was kept in it.
// Then, and only then, the caller may create a key store.
func FirstStart(dir string) (bool, error) {
	d := &disk{dir: dir}
	names, err := d.list(".")
	if err != nil {
		return false, refused("the signer's directory cannot be read: %w", err)
	}
	for _, name := range names {
		// A start that was cut short leaves nothing but these, and no key yet.
		if name != ceilingsFile && name != "lost+found" {
			return false, nil
		}
	}
	return true, nil
}

// Open loads a signer's state, or begins it in an empty directory. An error that is [ErrRefused] will not go away by
// itself.
func Open(o Options) (*Signer, error) {
	s := &Signer{
		disk: &disk{dir: o.Dir, after: o.after}, store: o.Store, clock: o.Clock, crew: newCrew(), level: o.Level, log: o.Log,
		fatal: make(chan error, 1), unreadable: map[string]bool{},
	}
	// Houses remember a generation across our restarts: begin where no earlier life has been.
	s.generation.Store(uint64(o.Clock.Now().UnixMicro()))
	for _, dir := range []string{tenantsDir, keysDir} {
		if err := s.disk.mkdir(dir); err != nil {
			return nil, refused("preparing the signer's directory: %w", err)
		}
	}
	tenants, err := s.disk.list(tenantsDir)
	if err != nil {
		return nil, refused("the signer's directory cannot be read: %w", err)
	}
	if s.ceilings, err = loadCeilings(s.disk, len(tenants) == 0); err != nil {
		return nil, err
	}
	s.window = newWindow(time.Duration(s.ceilings.MaxLifetime)*time.Second + 2*keyring.Skew)
	if s.guard, err = openGuard(o.Clock, s.disk); err != nil {
		return nil, err
	}
	if s.link, err = openLink(s.disk, o.Ledger, o.Clock.Now, o.Log); err != nil {
		return nil, err
	}
	s.link.newWords = func() { s.generation.Add(1) }
	if err := s.loadTenants(); err != nil {
		return nil, errors.Join(err, s.link.head.Close())
	}
	return s, nil
}

// Close forgets the keys and closes the remembered head. Nothing may be running any more.
func (s *Signer) Close() error {
	s.crew.close()
	for _, t := range *s.tenants.Load() {
		for _, signing := range t.signing {
			signing.key.Destroy()
		}
	}
	return s.link.head.Close()
}

// Run keeps the signer in touch with its ledger and its keys in step with the clock, until ctx ends. An error is
// [ErrRefused].
func (s *Signer) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	s.link.start(ctx)
	defer func() {
		stop()
		<-s.link.caller.Done()
	}()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	greeted := time.Time{}
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case err = <-s.fatal:
		case <-s.link.greet:
			greeted = time.Now()
			if err = s.greet(ctx); err != nil {
				pause(ctx) // whatever is wrong, do not ask a thousand times a second
			}
		case <-tick.C:
			if time.Since(greeted) >= helloEvery && s.link.isReady() {
				greeted = time.Now()
				if _, err = s.link.ask(ctx, nil); errors.Is(err, ErrRefused) {
					break
				}
			}
			err = s.tick(ctx)
		}
		switch {
		case errors.Is(err, ErrRefused):
			s.link.unready()
			return err
		case err != nil && ctx.Err() == nil:
			s.log.WarnContext(ctx, "not everything that is due could be done; it is tried again within a minute", "error", err)
		}
	}
}

func pause(ctx context.Context) {
	select {
	case <-time.After(helloPause):
	case <-ctx.Done():
	}
}

// greet says hello on a new connection and goes on where the last one ended.
func (s *Signer) greet(ctx context.Context) error {
	if err := s.meet(ctx); err != nil {
		if !errors.Is(err, ErrRefused) {
			s.link.doubt() // a new connection greets again
		}
		return err
	}
	return s.tick(ctx)
}

// meet says hello and compares what both sides know. Nothing may change between the two.
func (s *Signer) meet(ctx context.Context) error {
	s.change.Lock()
	defer s.change.Unlock()
	if s.link.isReady() { // two connections came one after the other, and the present one was greeted already
		return nil
	}
	connection := s.link.connection()
	hello, err := s.link.ask(ctx, mint.NewShare())
	if err != nil {
		return err
	}
	if err := s.reconcile(hello); err != nil {
		return err
	}
	s.link.setReady(connection)
	return nil
}

// tick looks at the clock and takes the steps that are due.
func (s *Signer) tick(ctx context.Context) error {
	s.change.Lock()
	defer s.change.Unlock()
	if err := s.look(ctx); err != nil {
		return err
	}
	if why, _ := s.guard.frozen(); why != "" || !s.link.isReady() {
		return nil
	}
	var failed error
	for id := range s.pendingPolicies {
		failed = errors.Join(failed, s.recordPolicy(ctx, s.pendingPolicies[id]))
	}
	for id := range *s.tenants.Load() {
		if err := s.settle(ctx, id); err != nil {
			failed = errors.Join(failed, err)
			if !s.link.isReady() {
				break
			}
		}
	}
	return failed
}

// look asks the guard and records a freeze. Callers hold s.change.
func (s *Signer) look(ctx context.Context) error {
	changed, err := s.guard.look(s.link.clocks(s.clock.Now()))
	if err != nil {
		return err
	}
	why, recorded := s.guard.frozen()
	if changed {
		s.generation.Add(1)
		s.log.ErrorContext(ctx, "alarm: the clock jumped, key transitions are frozen; look at the clock, then run `seawall clock accept`", "why", why)
	}
	if why == "" || recorded || !s.link.isReady() {
		return nil
	}
	entry := &mint.Entry{Kind: mint.ClockWasFrozen, Actor: selfActor, Detail: []mint.Field{{Name: "reason", Value: why}}}
	if _, err := s.link.recordEntry(ctx, entry); err != nil {
		return err
	}
	return s.guard.recorded()
}

// AcceptClock believes the clock again after a freeze.
func (s *Signer) AcceptClock(ctx context.Context, q mint.ClockAccept) (mint.ClockAccepted, error) {
	s.change.Lock()
	defer s.change.Unlock()
	why, _ := s.guard.frozen()
	switch {
	case q.Actor == "" || len(q.Actor) > maxActor || !printable(q.Actor):
		return mint.ClockAccepted{}, mint.Refuse(mint.Malformed, "the actor must be given, as printable text")
	case why == "":
		return mint.ClockAccepted{}, mint.Refuse(mint.NotFound, "key transitions are not frozen")
	case !s.link.isReady():
		return mint.ClockAccepted{}, errLedgerAway
	}
	if _, err := s.link.ask(ctx, nil); err != nil { // the ledger's clock as it is now
		return mint.ClockAccepted{}, err
	}
	last, theirs := s.link.clocks(s.clock.Now())
	if apart := s.clock.Now().Sub(time.UnixMilli(int64(theirs))).Abs(); apart > maxJump {
		return mint.ClockAccepted{}, mint.Refuse(mint.ClockFrozen, "this host's clock and the ledger's are %s apart; correct the wrong one first", round(apart))
	}
	entry := &mint.Entry{Kind: mint.ClockWasAccepted, Actor: q.Actor, Detail: []mint.Field{{Name: "was", Value: why}}}
	sequence, err := s.link.recordEntry(ctx, entry)
	if err != nil {
		return mint.ClockAccepted{}, err
	}
	if err := s.guard.accept(last); err != nil {
		return mint.ClockAccepted{}, err
	}
	s.generation.Add(1)
	s.log.InfoContext(ctx, "clock accepted", "actor", q.Actor, "was", why)
	for id := range *s.tenants.Load() {
		if err := s.settle(ctx, id); err != nil {
			s.log.WarnContext(ctx, "the keys of a tenant could not be settled; it is tried again within a minute", "tenant", id, "error", err)
		}
	}
	return mint.ClockAccepted{Was: why, Sequence: sequence}, nil
}

// Rotate promotes the spare key of a family now, if validators know it.
func (s *Signer) Rotate(ctx context.Context, q mint.Rotate) (mint.Rotated, error) {
	s.change.Lock()
	defer s.change.Unlock()
	t := s.tenantByID(q.Tenant)
	switch {
	case t == nil || t.signing[q.Family] == nil:
		return mint.Rotated{}, mint.Refuse(mint.NotFound, "no such tenant, or it has no active key of this family")
	case q.Actor == "" || len(q.Actor) > maxActor || !printable(q.Actor):
		return mint.Rotated{}, mint.Refuse(mint.Malformed, "the actor must be given, as printable text")
	case !s.link.isReady():
		return mint.Rotated{}, errLedgerAway
	}
	if err := s.settle(ctx, q.Tenant); err != nil {
		return mint.Rotated{}, err
	}
	t = s.tenantByID(q.Tenant)
	from := t.signing[q.Family].record.KID
	steps, ripe := keyring.RotateNow(t.ring(q.Family), rules(&t.policy, &s.ceilings), s.clock.Now())
	if steps == nil {
		return mint.Rotated{}, mint.Refuse(mint.SpareTooYoung, "validators that cache keys for a day may not know the next key before %s", ripe.UTC().Format(time.RFC3339))
	}
	if err := s.take(ctx, t, q.Family, steps, q.Actor, "asked for"); err != nil {
		return mint.Rotated{}, err
	}
	return mint.Rotated{From: from, To: s.tenantByID(q.Tenant).signing[q.Family].record.KID}, nil
}

// Custody says in plain words where the private keys are and who could read them there.
func (s *Signer) Custody() string { return s.store.Custody() }
