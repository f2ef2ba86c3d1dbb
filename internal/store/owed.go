package store

import (
	"context"
	"crypto/rand"
	"database/sql"

	"seawall/internal/tenant"
)

// maxOwed is how much one question returns.
const maxOwed = 1000

// Owed returns what the ledger has yet to hear that comes after one of it, the oldest first, at most a thousand: ask again after
// the last. The zero value comes before all.
func (s *Store) Owed(ctx context.Context, after tenant.Owed) ([]tenant.Owed, error) {
	return see(ctx, s, func(q querier) ([]tenant.Owed, error) {
		return collect(q, scanOwed, `select id, tenant, what, at from owed where at > $2 or at = $2 and id > $3 order by at, id limit $1`, maxOwed, after.At.UnixMilli(), after.ID)
	})
}

// Owing counts what the ledger has yet to hear.
func (s *Store) Owing(ctx context.Context) (tenant.Owing, error) {
	return see(ctx, s, func(q querier) (tenant.Owing, error) {
		// The kind is the first member of what is kept, see [tenant.Owed].
		return one(q, scanOwing, `select count(*), count(case when what like '{"kind":"distrust.%' then 1 end), min(at) from owed`)
	})
}

func scanOwing(scan func(...any) error) (o tenant.Owing, err error) {
	var all int
	var since sql.NullInt64
	err = scan(&all, &o.Statements, &since)
	o.Entries, o.Since = all-o.Statements, fromMillis(since)
	return o, err
}

// Paid forgets what the ledger has heard. Saying it again changes nothing.
func (s *Store) Paid(ctx context.Context, ids []string) error {
	return s.act(ctx, func(x *tx) error {
		for _, id := range ids {
			if err := x.exec(`delete from owed where id = $1`, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// owe keeps what the ledger must hear of an act, with the act.
func (x *tx) owe(o tenant.Owed) error {
	return x.exec(`insert into owed (id, tenant, what, at) values ($1, $2, $3, $4)`, rand.Text(), o.Tenant, toJSON(o), x.now.UnixMilli())
}

// oweOnce is owe, unless the very same is owed already: a code can come again and again, and while the ledger is away nothing else
// bounds how often.
func (x *tx) oweOnce(o tenant.Owed) error {
	same, err := collect(x, scanText, `select id from owed where tenant = $1 and what = $2 limit 1`, o.Tenant, toJSON(o))
	if err != nil || len(same) > 0 {
		return err
	}
	return x.owe(o)
}

func scanOwed(scan func(...any) error) (o tenant.Owed, err error) {
	var id, tenantID string
	var at sql.NullInt64
	err = scan(&id, &tenantID, column{&o}, &at)
	o.ID, o.Tenant, o.At = id, tenantID, fromMillis(at)
	return o, err
}
