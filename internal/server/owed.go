package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"seawall/internal/mint"
	"seawall/internal/tenant"
)

// Debts keeps what acts of the store left for the ledger to hear. Each was kept by the act itself, so none is lost.
type Debts interface {
	// Owed returns some, the oldest first.
	Owed(ctx context.Context) ([]tenant.Owed, error)
	// Paid forgets what the ledger has heard.
	Paid(ctx context.Context, ids []string) error
}

// debts has the ledger hear what is owed to it: at once after an act, and again and again while it is away, also after a
// restart.
//
// What was heard and could not be forgotten, because the house died in between or the answer was lost, is not said twice: a
// statement that stands is seen in the feed.
type debts struct {
	store Debts
	pay   func(ctx context.Context, o *tenant.Owed) error
	log   *slog.Logger

	paying sync.Mutex      // one round at a time
	stuck  map[string]bool // by id: told to the log; guarded by paying
}

// settle has the ledger hear what is owed to it. What it does not hear now, it hears later.
func (s *Server) settle(ctx context.Context) {
	_ = s.debts.round(ctx) // the loop goes on with what is left
}

// carry pays what is owed until ctx ends. It looks every second: not every act is followed by somebody who settles.
func (d *debts) carry(ctx context.Context) {
	repeat(ctx, func() bool { return d.round(ctx) == nil })
}

// round pays what is owed, once.
func (d *debts) round(ctx context.Context) error {
	d.paying.Lock()
	defer d.paying.Unlock()
	owed, err := d.store.Owed(ctx)
	if err != nil || len(owed) == 0 {
		return err
	}
	var paid []string
	for i := range owed {
		if err = d.pay(ctx, &owed[i]); isAway(err) {
			break
		}
		if err == nil {
			paid = append(paid, owed[i].ID)
		} else if !d.stuck[owed[i].ID] {
			d.stuck[owed[i].ID] = true
			d.log.ErrorContext(ctx, "the ledger does not take what is owed to it", "tenant", owed[i].Tenant, "kind", string(owed[i].Kind), "cause", err)
		}
	}
	if len(paid) > 0 {
		if err := d.store.Paid(context.WithoutCancel(ctx), paid); err != nil {
			return err
		}
	}
	return err
}

// pay has the ledger hear one thing that is owed to it, unless it has.
func (s *Server) pay(ctx context.Context, o *tenant.Owed) error {
	t, err := s.config.Store.Tenant(ctx, o.Tenant)
	if err != nil {
		return err
	}
	switch o.Kind {
	case tenant.DistrustSession:
		return s.payDistrust(ctx, &t, o, mint.DistrustSession, o.Session)
	case tenant.DistrustPerson:
		return s.payDistrust(ctx, &t, o, mint.DistrustSubject, o.Person)
	}
	return fmt.Errorf("the database owes the ledger a %q, which this program does not know", o.Kind)
}

// fresh is how young an act may be for the ledger to reckon in its own present: two clocks need not agree.
const fresh = 2 * time.Second

// payDistrust has what was issued before the act distrusted, unless nothing can be left that lives of it.
func (s *Server) payDistrust(ctx context.Context, t *tenant.Tenant, o *tenant.Owed, kind mint.DistrustKind, value string) error {
	age := s.now().Sub(o.At)
	if age > tenant.LongestLifetime {
		return nil
	}
	f := s.feeds.of(t.ID, t.Issuer)
	if err := f.refresh(ctx, nil); err != nil {
		return err
	}
	if f.says(kind, value, o.At.Unix()) {
		return nil
	}
	q := mint.StateQuery{Tenant: t.ID, Issuer: t.Issuer, Act: mint.ActDistrust, Kind: kind, Value: value, Reason: mint.ByAdmin, Actor: o.Actor}
	if o.ByPerson() {
		q.Reason = mint.ByUser
	}
	if age > fresh {
		q.Before = o.At.Unix() + 1
	}
	_, err := s.state(ctx, q)
	if errors.Is(err, mint.Refuse(mint.StatedTime, "")) && age > mint.MaxClockDrift*time.Millisecond {
		return nil // all of it is over by the ledger's clock
	}
	return err
}
