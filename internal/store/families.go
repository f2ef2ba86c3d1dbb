package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

const familyColumns = `id, tenant, client, person, session, passkey, sid, offline, scope, resources, jkt, signed_in_at, acr, amr, generation, current, previous, consumed_at, successor, replayed, released, suspended_at, suspicion, revoked_at, created_at, used_at, expires_at, ends_at`

// insertFamily keeps a new family, and now and then forgets some whose time is over, and that of their access tokens: two for each
// new one.
func (x *tx) insertFamily(f tenant.Family) error {
	if x.w.families++; x.w.families%sweepEvery == 0 {
		if err := x.exec(`delete from family where id in (select id from family where ends_at <= $1 order by ends_at limit $2)`, x.now.Add(-tenant.LongestLifetime).UnixMilli(), sweepRows); err != nil {
			return err
		}
	}
	return x.exec(`insert into family (`+familyColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, null, null, null, 0, $17, null, '', null, $18, $19, $20, $21)`,
		f.ID, f.Tenant, f.Client, f.Person, f.Session, f.Passkey, f.SID, bit(f.Offline), listJSON(f.Scope), listJSON(f.Resources), f.JKT,
		millis(f.SignedInAt), f.ACR, listJSON(f.AMR), int64(f.Generation), f.Current[:], released(f.Released),
		millis(f.CreatedAt), millis(f.UsedAt), millis(f.ExpiresAt), millis(f.EndsAt))
}

// Family returns a refresh family of a tenant, also one that is suspended or over, or [tenant.ErrNotFound].
func (s *Store) Family(ctx context.Context, tenantID, id string) (f tenant.Family, err error) {
	f, err = familyByID(s.alone(ctx), tenantID, id)
	return f, s.readError(err)
}

// RecentFamily returns a refresh family of a tenant as it was when this process last turned it, if it remembers it. That is
// good enough to begin a rotation with, because [Store.RotateFamily] compares, and for nothing else: the family may be
// suspended by now, or over.
func (s *Store) RecentFamily(tenantID, id string) (tenant.Family, bool) {
	f, ok := s.recent.get(id)
	return f, ok && f.Tenant == tenantID
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
// a note when the same comes again in time; suspension if it may be a thief's. Both of these are owed to the ledger. It
// returns the family as it is then, and the verdict. Of any number of calls with one token one rotates, and the others find
// what that one gave.
func (s *Store) RotateFamily(ctx context.Context, tenantID string, r tenant.Rotation) (f tenant.Family, v tenant.Verdict, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		now := time.UnixMilli(x.now.UnixMilli()).UTC()
		if seen, _ := r.Seen.Judge(r.Presented, now); seen == tenant.Rotates && r.Seen.Tenant == tenantID {
			var ok bool
			if f, ok, err = x.rotate(r.Seen, r, now); err != nil || ok {
				v = tenant.Rotates
				return err
			}
		}
		if f, err = familyByID(x, tenantID, r.Family); err != nil {
			return err
		}
		return x.judged(&f, &v, r, now)
	})
	if err == nil {
		s.recent.put(f)
	}
	return f, v, err
}

// judged judges a token by the family as it is, and does what follows.
func (x *tx) judged(f *tenant.Family, v *tenant.Verdict, r tenant.Rotation, now time.Time) (err error) {
	var why tenant.Suspicion
	switch *v, why = f.Judge(r.Presented, now); *v {
	case tenant.Rotates:
		var ok bool
		if *f, ok, err = x.rotate(*f, r, now); err == nil && !ok {
			err = errMoved
		}
		return err
	case tenant.Replays:
		f.Replayed, f.Released = r.Generation, f.Remembering(r.Token, now)
		if err := x.owe(f.OwesReplay(r)); err != nil {
			return err
		}
		return x.exec(`update family set replayed = $2, released = $3 where id = $1 and generation = $4`, f.ID, int64(f.Replayed), released(f.Released), int64(f.Generation))
	case tenant.Suspends:
		if err := x.suspend(f.ID, why); err != nil {
			return err
		}
		if err := x.owe(f.OwesSuspension(why, &r.Presented)); err != nil {
			return err
		}
		*f, err = familyByID(x, f.Tenant, f.ID)
	}
	return err
}

// errMoved ends an act whose family is not what it was a moment ago. One writer never sees it.
var errMoved = errors.New("the refresh family was changed in the middle of an act")

// rotate turns a family from what it was when it was read, and returns it as it is then, and whether it was still so.
func (x *tx) rotate(was tenant.Family, r tenant.Rotation, now time.Time) (f tenant.Family, ok bool, err error) {
	if r.Successor == (secret.Hash{}) {
		return f, false, errMoved // it was to be suspended
	}
	f = was.Turned(r, now)
	n, err := x.affected(`update family set generation = $3, current = $4, previous = current, consumed_at = $5, successor = $6, released = $7, used_at = $5, expires_at = $8
		where id = $1 and generation = $2 and current = $9 and released = $10 and suspended_at is null and revoked_at is null and expires_at > $5`,
		f.ID, int64(was.Generation), int64(f.Generation), f.Current[:], now.UnixMilli(), f.Successor, released(f.Released), millis(f.ExpiresAt), was.Current[:], released(was.Released))
	return f, n == 1, err
}

// suspend stops a family, reversibly, and closes the window in which a used token may come again.
func (x *tx) suspend(id string, why tenant.Suspicion) error {
	return x.exec(`update family set suspended_at = $2, suspicion = $3, successor = null, consumed_at = null where id = $1 and suspended_at is null and revoked_at is null`, id, x.now.UnixMilli(), string(why))
}

// suspendAll suspends the families of a tenant that a condition names, whose parameters begin with $4, and owes each to the ledger.
func (x *tx) suspendAll(why tenant.Suspicion, where, tenantID string, args ...any) error {
	families, err := collect(x, scanFamily, `update family set suspended_at = $2, suspicion = $3, successor = null, consumed_at = null
		where tenant = $1 and suspended_at is null and revoked_at is null and expires_at > $2 and `+where+` returning `+familyColumns,
		append([]any{tenantID, x.now.UnixMilli(), string(why)}, args...)...)
	if err != nil {
		return err
	}
	for _, f := range families {
		if err := x.owe(f.OwesSuspension(why, nil)); err != nil {
			return err
		}
	}
	return nil
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
// no other. One whose passkey the tenant doesn't admit is [tenant.ErrLesser].
func (s *Store) ResumeFamily(ctx context.Context, tenantID, person, id string) (f tenant.Family, resumed bool, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		if f, err = x.familyOf(tenantID, person, id); err != nil || f.SuspendedAt.IsZero() {
			resumed = false
			return err
		}
		t, err := tenantByID(x, tenantID)
		if err != nil {
			return err
		}
		keys, err := passkeysOf(x, tenantID, person)
		if err != nil {
			return err
		}
		if err := f.MayResume(t, keys); err != nil {
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

// RevokeFamily ends a family for good, and owes it to the ledger that its access tokens are over. Doing it again changes nothing.
func (s *Store) RevokeFamily(ctx context.Context, tenantID, id, actor string) error {
	return s.act(ctx, func(x *tx) error {
		f, err := familyByID(x, tenantID, id)
		if err != nil || !f.RevokedAt.IsZero() {
			return err
		}
		for _, o := range f.OwesEnd(actor, x.now) {
			if err := x.owe(o); err != nil {
				return err
			}
		}
		return x.revokeFamily(tenantID, id)
	})
}

func (x *tx) revokeFamily(tenantID, id string) error {
	return x.exec(`update family set revoked_at = $3, successor = null where tenant = $1 and id = $2 and revoked_at is null`, tenantID, id, x.now.UnixMilli())
}

// revokeFamilies ends those of a person's families that a condition names; its parameters begin with $4. One that has ended by itself
// is among them: its last access token may live longer.
func (x *tx) revokeFamilies(where, tenantID, person string, args ...any) ([]tenant.Family, error) {
	return collect(x, scanFamily, `update family set revoked_at = $3, successor = null where revoked_at is null and `+where+` returning `+familyColumns,
		append([]any{tenantID, person, x.now.UnixMilli()}, args...)...)
}

// recentFamilies remembers between [rememberedFamilies] and twice as many of the families that were turned last: when the young are so
// many, they become the old, and what was old before is forgotten.
type recentFamilies struct {
	mu         sync.Mutex
	young, old map[string]tenant.Family
}

// rememberedFamilies of two kilobytes each.
const rememberedFamilies = 2048

func (r *recentFamilies) get(id string) (tenant.Family, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.young[id]
	if !ok {
		f, ok = r.old[id]
	}
	return f, ok
}

func (r *recentFamilies) put(f tenant.Family) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.young == nil || len(r.young) >= rememberedFamilies {
		r.young, r.old = map[string]tenant.Family{}, r.young
	}
	r.young[f.ID] = f
}

// released is how access tokens lie in their column: each jti with its end, as up to 16 of a busy family are read and
// written at each rotation.
func released(list []tenant.Released) string {
	b := make([]byte, 0, len(list)*40)
	for _, r := range list {
		if len(b) > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(append(append(b, r.JTI...), ':'), r.ExpiresAt.UnixMilli(), 10)
	}
	return string(b)
}

// releasedColumn reads what released wrote.
type releasedColumn struct{ into *[]tenant.Released }

// Scan implements sql.Scanner.
func (c releasedColumn) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("the database has %T where it should have access tokens", value)
	}
	list := make([]tenant.Released, 0, strings.Count(text, ":"))
	for one := range strings.SplitSeq(text, " ") {
		jti, end, _ := strings.Cut(one, ":")
		if one == "" {
			continue
		}
		ms, err := strconv.ParseInt(end, 10, 64)
		if err != nil {
			return errors.New("the database has something else where it should have access tokens")
		}
		list = append(list, tenant.Released{JTI: jti, ExpiresAt: time.UnixMilli(ms).UTC()})
	}
	*c.into = list
	return nil
}

func hashOf(b []byte) (h secret.Hash) {
	copy(h[:], b)
	return h
}

func scanFamily(scan func(...any) error) (f tenant.Family, err error) {
	var offline, generation, replayed int64
	var current, previous []byte
	var signedIn, consumed, suspended, revoked, created, used, expires, ends sql.NullInt64
	err = scan(&f.ID, &f.Tenant, &f.Client, &f.Person, &f.Session, &f.Passkey, &f.SID, &offline, column{(*[]string)(&f.Scope)}, column{&f.Resources}, &f.JKT,
		&signedIn, &f.ACR, column{&f.AMR}, &generation, &current, &previous, &consumed, &f.Successor, &replayed, releasedColumn{&f.Released},
		&suspended, &f.Suspicion, &revoked, &created, &used, &expires, &ends)
	f.Offline, f.Generation, f.Replayed, f.Current, f.Previous = offline == 1, uint64(generation), uint64(replayed), hashOf(current), hashOf(previous)
	f.SignedInAt, f.ConsumedAt, f.SuspendedAt, f.RevokedAt = fromMillis(signedIn), fromMillis(consumed), fromMillis(suspended), fromMillis(revoked)
	f.CreatedAt, f.UsedAt, f.ExpiresAt, f.EndsAt = fromMillis(created), fromMillis(used), fromMillis(expires), fromMillis(ends)
	return f, err
}
