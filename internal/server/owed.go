package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// Debts keeps what acts of the store left for the ledger to hear. Each was kept by the act itself, so none is lost.
type Debts interface {
	// Owed returns some of what comes after one of them, the oldest first; none: there are no more. The zero value comes before all.
	Owed(ctx context.Context, after tenant.Owed) ([]tenant.Owed, error)
	// Paid forgets what the ledger has heard.
	Paid(ctx context.Context, ids []string) error
}

// Owing knows how much is owed.
type Owing interface {
	Owing(ctx context.Context) (tenant.Owing, error)
}

// debts has the ledger hear what is owed to it: at once after an act, and again and again while it is away, also after a
// restart.
//
// What was heard and could not be forgotten, because the house died in between or the answer was lost, is not said twice: a
// statement that stands is seen in the feed, and an entry carries the id of what was owed, so the log is searched for it.
type debts struct {
	store Debts
	// record appends entries, all or none. heard returns the ids of what was owed that entries of a tenant and a kind carry,
	// since a time. distrust makes a statement, unless it stands.
	record   func(ctx context.Context, entries ...*mint.Entry) error
	heard    func(ctx context.Context, tenantID string, kind mint.EntryKind, since time.Time) (map[string]bool, error)
	distrust func(ctx context.Context, o *tenant.Owed) error
	log      *slog.Logger
	now      func() time.Time

	begun    atomic.Uint64        // rounds
	refused  atomic.Int64         // how many the ledger does not take, as of the last round
	failed   atomic.Bool          // the last round did not come to its end
	paying   sync.Mutex           // one round at a time; guards what follows
	last     error                // of the last round
	looked   bool                 // at all that is owed, once
	doubtful map[string]bool      // by id: it may have been heard
	stuck    map[string]time.Time // by id: told to the log, and not tried again before
}

func (s *Server) newDebts() *debts {
	return &debts{store: s.config.Store, record: s.vaults.record, heard: s.heard, distrust: s.payDistrust, log: s.log, now: s.now,
		doubtful: map[string]bool{}, stuck: map[string]time.Time{}}
}

// settle has the ledger hear what is owed to it. What it does not hear now, it hears later.
func (s *Server) settle(ctx context.Context) {
	_ = s.debts.round(context.WithoutCancel(ctx)) // the loop goes on with what is left
}

// carry pays what is owed until ctx ends. It looks every second: not every act is followed by somebody who settles.
func (d *debts) carry(ctx context.Context) {
	repeat(ctx, func() bool { return d.round(ctx) == nil })
}

// round pays what is owed, once. It fails while the ledger or the database is away; what the ledger does not take is told to
// the log, and holds up nothing else. Of many who wait for their turn one pays for all: it began after each of them owed something.
func (d *debts) round(ctx context.Context) error {
	before := d.begun.Load()
	d.paying.Lock()
	defer d.paying.Unlock()
	if d.begun.Load() == before {
		d.begun.Add(1)
		d.last = d.payAll(ctx)
		d.refused.Store(int64(len(d.stuck)))
		d.failed.Store(d.last != nil)
	}
	return d.last
}

// payAll pays all that is owed. What is there at first was left by an earlier process, and may have been heard.
func (d *debts) payAll(ctx context.Context) error {
	var last tenant.Owed
	for {
		owed, err := d.store.Owed(ctx, last)
		if err != nil {
			return err
		}
		if len(owed) == 0 {
			d.looked = true
			return nil
		}
		last = owed[len(owed)-1]
		if err := d.pay(ctx, owed); err != nil {
			return err
		}
	}
}

// pay pays some of what is owed: first what must not be believed.
func (d *debts) pay(ctx context.Context, owed []tenant.Owed) error {
	var entries, statements []tenant.Owed
	for _, o := range owed {
		d.doubtful[o.ID] = d.doubtful[o.ID] || !d.looked
		switch {
		case d.now().Before(d.stuck[o.ID]):
		case o.IsEntry():
			entries = append(entries, o)
		default:
			statements = append(statements, o)
		}
	}
	paid, err := d.payStatements(ctx, statements)
	if err == nil {
		var said []string
		said, err = d.payEntries(ctx, entries)
		paid = append(paid, said...)
	}
	if len(paid) == 0 {
		return err
	}
	if failed := d.store.Paid(context.WithoutCancel(ctx), paid); failed != nil {
		return failed
	}
	for _, id := range paid {
		delete(d.doubtful, id)
		delete(d.stuck, id)
	}
	return err
}

// payStatements has what is owed distrusted, and returns the ids of what is.
func (d *debts) payStatements(ctx context.Context, owed []tenant.Owed) (paid []string, err error) {
	for i := range owed {
		switch err := d.distrust(ctx, &owed[i]); {
		case err == nil:
			paid = append(paid, owed[i].ID)
		case isAway(err):
			return paid, err
		default:
			d.complain(ctx, &owed[i], err)
		}
	}
	return paid, nil
}

// atOnce is how many entries go into one message.
const atOnce = 200

// payEntries has the ledger hear entries, and returns the ids of those that it has heard, now or before.
func (d *debts) payEntries(ctx context.Context, owed []tenant.Owed) (paid []string, err error) {
	left := owed[:0]
	heard, err := d.heardOf(ctx, owed)
	if err != nil {
		return nil, err
	}
	for _, o := range owed {
		if heard[o.ID] {
			paid = append(paid, o.ID)
		} else {
			left = append(left, o)
		}
	}
	for part := range slices.Chunk(left, atOnce) {
		said, err := d.say(ctx, part)
		if paid = append(paid, said...); err != nil {
			return paid, err
		}
	}
	return paid, nil
}

// heardOf returns the ids of what the ledger has heard already. It asks only about what it may have.
func (d *debts) heardOf(ctx context.Context, owed []tenant.Owed) (map[string]bool, error) {
	type place struct{ tenant, kind string }
	since := map[place]time.Time{}
	for _, o := range owed {
		at := place{o.Tenant, string(o.Kind)}
		if first, ok := since[at]; d.doubtful[o.ID] && (!ok || o.At.Before(first)) {
			since[at] = o.At
		}
	}
	all := map[string]bool{}
	for at, first := range since {
		some, err := d.heard(ctx, at.tenant, mint.EntryKind(at.kind), first)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, some)
	}
	return all, nil
}

// say has the ledger hear entries in one message, or in one each if it does not take them together.
func (d *debts) say(ctx context.Context, owed []tenant.Owed) (said []string, err error) {
	var entries []*mint.Entry
	for _, o := range owed {
		d.doubtful[o.ID] = true
		e := grantEntry(mint.EntryKind(o.Kind), o.Tenant, o.Person, o.Client, o.Actor, o.Detail)
		e.Detail = append(e.Detail, mint.Field{Name: owedID, Value: o.ID})
		entries = append(entries, e)
		said = append(said, o.ID)
	}
	switch err := d.record(ctx, entries...); {
	case err == nil:
		return said, nil
	case isAway(err):
		return nil, err
	case len(owed) == 1:
		d.complain(ctx, &owed[0], err)
		return nil, nil
	}
	said = nil
	for i := range owed {
		one, err := d.say(ctx, owed[i:i+1])
		if said = append(said, one...); err != nil {
			return said, err
		}
	}
	return said, nil
}

// complain tells once of what the ledger does not take. That is tried again when it has waited as long again.
func (d *debts) complain(ctx context.Context, o *tenant.Owed, err error) {
	now := d.now()
	if _, told := d.stuck[o.ID]; !told {
		d.log.ErrorContext(ctx, "the ledger does not take what is owed to it", "tenant", o.Tenant, "kind", string(o.Kind), "cause", err)
	}
	d.stuck[o.ID] = now.Add(max(now.Sub(o.At), time.Second))
}

// owing tells an operator what the ledger has yet to hear, what that means and what to do; nil: nothing.
func (s *Server) owing(ctx context.Context) (*adminapi.Owing, error) {
	o, err := s.config.Store.Owing(ctx)
	if err != nil || o.Since.IsZero() {
		return nil, err
	}
	shown := &adminapi.Owing{Statements: o.Statements, Entries: o.Entries, Refused: int(s.debts.refused.Load()), Since: o.Since.UTC()}
	var means []string
	if o.Statements > 0 {
		means = append(means, "APIs may go on believing tokens that were ended")
	}
	if o.Entries > 0 {
		means = append(means, "the log lacks what became of codes and refresh tokens")
	}
	shown.Means = "until the ledger has heard, " + strings.Join(means, ", and ")
	switch {
	case shown.Refused > 0:
		shown.Do = fmt.Sprintf("the ledger does not take %d of it: look for why in seawall's own log; it is tried again by itself", shown.Refused)
	case s.debts.failed.Load() || !s.vaults.ledger.Connected(): // one that stands still is connected
		shown.Do = "bring the ledger back: it is then told by itself, and nothing needs to be repeated"
	default:
		shown.Do = "nothing: the ledger is told within seconds"
	}
	return shown, nil
}

// owedID is the detail of an entry that says what was owed.
const owedID = "act_id"

// heard searches the log for entries of what was owed. The ledger's clock may be behind ours by a minute at most.
func (s *Server) heard(ctx context.Context, tenantID string, kind mint.EntryKind, since time.Time) (map[string]bool, error) {
	ids := map[string]bool{}
	q := mint.SearchQuery{Kind: kind, Tenant: tenantID, Since: uint64(since.UnixMilli() - mint.MaxClockDrift), Limit: mint.MaxFound}
	for {
		found := new(mint.Found)
		if err := s.vaults.askLedger(ctx, mint.MsgSearch, q, found); err != nil {
			return nil, err
		}
		for i := range found.Entries {
			for _, field := range found.Entries[i].Entry.Detail {
				if field.Name == owedID {
					ids[field.Value] = true
				}
			}
		}
		if q.Before = found.Next; q.Before == 0 {
			return ids, nil
		}
	}
}

// fresh is how young an act may be for the ledger to reckon in its own present: two clocks need not agree.
const fresh = 2 * time.Second

// payDistrust has what is owed distrusted, unless a statement says so or nothing can be left that lives of it.
func (s *Server) payDistrust(ctx context.Context, o *tenant.Owed) error {
	t, err := s.config.Store.Tenant(ctx, o.Tenant)
	if err != nil {
		return err
	}
	age := s.now().Sub(o.At)
	if age > tenant.LongestLifetime || !o.Ends.IsZero() && s.now().After(o.Ends.Add(mint.MaxClockDrift*time.Millisecond)) {
		return nil
	}
	q := mint.StateQuery{Tenant: t.ID, Issuer: t.Issuer, Act: mint.ActDistrust, Reason: mint.ByAdmin, Actor: o.Actor}
	if o.ByUser() {
		q.Reason = mint.ByUser
	}
	if !o.Ends.IsZero() {
		q.Ends = o.Ends.Unix() + 1
	}
	if age > fresh {
		q.Before = o.At.Unix() + 1
	}
	switch o.Kind {
	case tenant.DistrustSession:
		q.Kind, q.Value = mint.DistrustSession, o.Session
		if o.Client != "" { // by a code that came twice
			q.Reason = mint.LeakedToken
		}
	case tenant.DistrustPerson:
		q.Kind, q.Value = mint.DistrustSubject, o.Person
	case tenant.DistrustToken:
		q.Kind, q.Value, q.Before = mint.DistrustToken, o.JTI, 0
	case tenant.DistrustLeaked:
		q.Kind, q.Value, q.Reason, q.Before = mint.DistrustToken, o.JTI, mint.LeakedToken, 0
	default:
		return fmt.Errorf("the database owes the ledger a %q, which this program does not know", o.Kind)
	}
	f := s.feeds.of(t.ID, t.Issuer)
	if err := f.refresh(ctx, nil); err != nil {
		return err
	}
	if f.says(q.Kind, q.Value, o.At.Unix()) {
		return nil
	}
	_, err = s.state(ctx, q)
	if errors.Is(err, mint.Refuse(mint.StatedTime, "")) && age > mint.MaxClockDrift*time.Millisecond {
		return nil // all of it is over by the ledger's clock
	}
	return err
}
