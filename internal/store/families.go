package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

const familyColumns = `id, tenant, client, person, session, sid, offline, scope, resources, jkt, signed_in_at, acr, amr, generation, current, previous, consumed_at, successor, replayed, released, suspended_at, suspicion, revoked_at, created_at, used_at, expires_at, ends_at`

// insertFamily keeps a new family, and forgets some whose time is over: two for each new one.
func (x *tx) insertFamily(f tenant.Family) error {
	if err := x.exec(`delete from family where id in (select id from family where ends_at <= $1 order by ends_at limit 2)`, x.now.UnixMilli()); err != nil {
		return err
	}
	return x.exec(`insert into family (`+familyColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, null, null, null, 0, $16, null, '', null, $17, $18, $19, $20)`,
		f.ID, f.Tenant, f.Client, f.Person, f.Session, f.SID, bit(f.Offline), toJSON(f.Scope), toJSON(f.Resources), f.JKT,
		millis(f.SignedInAt), f.ACR, toJSON(f.AMR), int64(f.Generation), f.Current[:], toJSON(f.Released),
		millis(f.CreatedAt), millis(f.UsedAt), millis(f.ExpiresAt), millis(f.EndsAt))
}

// Family returns a refresh family of a tenant, also one that is suspended or over, or [tenant.ErrNotFound].
func (s *Store) Family(ctx context.Context, tenantID, id string) (f tenant.Family, err error) {
	err = s.read(ctx, func(q querier) (err error) {
		f, err = familyByID(q, tenantID, id)
		return err
	})
	return f, err
}

func familyByID(q querier, tenantID, id string) (tenant.Family, error) {
	f, err := one(q, scanFamily, `select `+familyColumns+` from family where id = $1 and tenant = $2`, id, tenantID)
	if errors.Is(err, sql.ErrNoRows) {
		err = tenant.Refuse(tenant.ErrNotFound, "see `seawall access list`", "no application has such an access")
	}
	return f, err
}

// Families returns a person's families that are not over, the one used last first, suspended ones too.
func (s *Store) Families(ctx context.Context, tenantID, person string) (all []tenant.Family, err error) {
	now := s.now()
	err = s.read(ctx, func(q querier) (err error) {
		all, err = collect(q, scanFamily, `select `+familyColumns+` from family where tenant = $1 and person = $2 and revoked_at is null and expires_at > $3 order by used_at desc, id`, tenantID, person, now.UnixMilli())
		return err
	})
	return all, err
}

// AnyFamily reports whether there is any family, whoever's.
func (s *Store) AnyFamily(ctx context.Context) (any bool, err error) {
	err = s.read(ctx, func(q querier) error {
		one, err := collect(q, scanText, `select id from family limit 1`)
		any = len(one) > 0
		return err
	})
	return any, err
}

// RotateFamily judges a refresh token and does what follows, in one act: the next generation at its first use; nothing but
// a note when the same comes again in time; suspension if it may be a thief's. It returns the family as it is then, and
// the verdict. Of any number of calls with one token one rotates, and the others find what that one gave.
func (s *Store) RotateFamily(ctx context.Context, tenantID string, r tenant.Rotation) (f tenant.Family, v tenant.Verdict, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		if f, err = familyByID(x, tenantID, r.Family); err != nil {
			return err
		}
		var why tenant.Suspicion
		now := time.UnixMilli(x.now.UnixMilli()).UTC()
		switch v, why = f.Judge(r.Presented, now); v {
		case tenant.Rotates:
			err = x.rotate(f, r, now)
		case tenant.Replays:
			err = x.exec(`update family set replayed = $2, released = $3 where id = $1 and generation = $4`, f.ID, int64(r.Generation), toJSON(f.Remembering(r.Token, now)), int64(f.Generation))
		case tenant.Suspends:
			err = x.suspend(f.ID, why)
		}
		if err == nil {
			f, err = familyByID(x, tenantID, r.Family)
		}
		return err
	})
	return f, v, err
}

// errMoved ends an act whose family is not what it was a moment ago. One writer never sees it.
var errMoved = errors.New("the refresh family was changed in the middle of an act")

func (x *tx) rotate(f tenant.Family, r tenant.Rotation, now time.Time) error {
	if r.Successor == (secret.Hash{}) {
		return errMoved // it was to be suspended
	}
	if f.JKT == "" {
		f.JKT = r.Bind
	}
	n, err := x.affected(`update family set generation = generation + 1, current = $3, previous = current, consumed_at = $4, successor = $5, jkt = $6, released = $7, used_at = $4, expires_at = $8
		where id = $1 and generation = $2 and current = $9 and suspended_at is null and revoked_at is null and expires_at > $4`,
		f.ID, int64(f.Generation), r.Successor[:], now.UnixMilli(), r.Sealed, f.JKT, toJSON(f.Remembering(r.Token, now)), millis(f.Expiry(now)), r.Hash[:])
	if err == nil && n != 1 {
		err = errMoved
	}
	return err
}

// suspend stops a family, reversibly, and closes the window in which a used token may come again.
func (x *tx) suspend(id string, why tenant.Suspicion) error {
	return x.exec(`update family set suspended_at = $2, suspicion = $3, successor = null, consumed_at = null where id = $1 and suspended_at is null and revoked_at is null`, id, x.now.UnixMilli(), string(why))
}

// SuspendFamily suspends a person's family, and reports whether it was not before. One that is over is
// [tenant.ErrNotFound].
func (s *Store) SuspendFamily(ctx context.Context, tenantID, person, id string, why tenant.Suspicion) (f tenant.Family, suspended bool, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		if f, err = x.familyOf(tenantID, person, id); err != nil || !f.SuspendedAt.IsZero() {
			suspended = false
			return err
		}
		suspended = true
		if err := x.suspend(id, why); err != nil {
			return err
		}
		f, err = familyByID(x, tenantID, id)
		return err
	})
	return f, suspended, err
}

// familyOf returns a person's family that is not over.
func (x *tx) familyOf(tenantID, person, id string) (tenant.Family, error) {
	f, err := familyByID(x, tenantID, id)
	if err == nil && (f.Person != person || f.Over(x.now)) {
		err = tenant.Refuse(tenant.ErrNotFound, "see `seawall access list`", "no application has such an access")
	}
	return f, err
}

// ResumeFamily lets a suspended family go on, and reports whether it was suspended. Its present token is good again, and
// no other.
func (s *Store) ResumeFamily(ctx context.Context, tenantID, person, id string) (f tenant.Family, resumed bool, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		if f, err = x.familyOf(tenantID, person, id); err != nil || f.SuspendedAt.IsZero() {
			resumed = false
			return err
		}
		resumed = true
		if err := x.exec(`update family set suspended_at = null, suspicion = '', replayed = 0 where id = $1`, id); err != nil {
			return err
		}
		f, err = familyByID(x, tenantID, id)
		return err
	})
	return f, resumed, err
}

// RevokeFamily ends a family for good and returns it. Doing it again changes nothing.
func (s *Store) RevokeFamily(ctx context.Context, tenantID, id string) (f tenant.Family, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		if err := x.revokeFamily(tenantID, id); err != nil {
			return err
		}
		f, err = familyByID(x, tenantID, id)
		return err
	})
	return f, err
}

func (x *tx) revokeFamily(tenantID, id string) error {
	return x.exec(`update family set revoked_at = $3, successor = null where tenant = $1 and id = $2 and revoked_at is null`, tenantID, id, x.now.UnixMilli())
}

// RevokeFamilies ends all of a person's families and returns those that were not over.
func (s *Store) RevokeFamilies(ctx context.Context, tenantID, person string) (ended []tenant.Family, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		ended, err = x.revokeFamilies(`tenant = $1 and person = $2`, tenantID, person)
		return err
	})
	return ended, err
}

// revokeFamilies ends those of a person's families that a condition names; its parameters begin with $4.
func (x *tx) revokeFamilies(where, tenantID, person string, args ...any) ([]tenant.Family, error) {
	return collect(x, scanFamily, `update family set revoked_at = $3, successor = null where revoked_at is null and expires_at > $3 and `+where+` returning `+familyColumns,
		append([]any{tenantID, person, x.now.UnixMilli()}, args...)...)
}

// sessionEnds ends what was to last as long as a browser session.
func (x *tx) sessionEnds(tenantID, person, where string, args ...any) error {
	_, err := x.revokeFamilies(`tenant = $1 and person = $2 and offline = 0 and `+where, tenantID, person, args...)
	return err
}

func hashOf(b []byte) (h secret.Hash) {
	copy(h[:], b)
	return h
}

func scanFamily(scan func(...any) error) (f tenant.Family, err error) {
	var offline, generation, replayed int64
	var current, previous []byte
	var signedIn, consumed, suspended, revoked, created, used, expires, ends sql.NullInt64
	err = scan(&f.ID, &f.Tenant, &f.Client, &f.Person, &f.Session, &f.SID, &offline, column{&f.Scope}, column{&f.Resources}, &f.JKT,
		&signedIn, &f.ACR, column{&f.AMR}, &generation, &current, &previous, &consumed, &f.Successor, &replayed, column{&f.Released},
		&suspended, &f.Suspicion, &revoked, &created, &used, &expires, &ends)
	f.Offline, f.Generation, f.Replayed, f.Current, f.Previous = offline == 1, uint64(generation), uint64(replayed), hashOf(current), hashOf(previous)
	f.SignedInAt, f.ConsumedAt, f.SuspendedAt, f.RevokedAt = fromMillis(signedIn), fromMillis(consumed), fromMillis(suspended), fromMillis(revoked)
	f.CreatedAt, f.UsedAt, f.ExpiresAt, f.EndsAt = fromMillis(created), fromMillis(used), fromMillis(expires), fromMillis(ends)
	return f, err
}
