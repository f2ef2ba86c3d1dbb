package store

import (
	"context"
	"database/sql"

	"seawall/internal/tenant"
)

// RaiseAlarm keeps an alarm, and forgets those whose time is over.
func (s *Store) RaiseAlarm(ctx context.Context, a tenant.Alarm) error {
	return s.act(ctx, func(x *tx) error {
		if err := x.exec(`delete from alarm where at <= $1`, x.now.Add(-tenant.AlarmLife).UnixMilli()); err != nil {
			return err
		}
		return x.exec(`insert into alarm (at, kind, tenant, login, actor) values ($1, $2, $3, $4, $5)`, x.now.UnixMilli(), string(a.Kind), a.Tenant, a.Login, a.Actor)
	})
}

// Alarms returns the alarms that are shown now, the newest first.
func (s *Store) Alarms(ctx context.Context) ([]tenant.Alarm, error) {
	since := s.now().Add(-tenant.AlarmLife)
	return see(ctx, s, func(q querier) ([]tenant.Alarm, error) {
		return collect(q, scanAlarm, `select at, kind, tenant, login, actor from alarm where at > $1 order by at desc, tenant, login limit 100`, since.UnixMilli())
	})
}

func scanAlarm(scan func(...any) error) (a tenant.Alarm, err error) {
	var at sql.NullInt64
	err = scan(&at, &a.Kind, &a.Tenant, &a.Login, &a.Actor)
	a.At = fromMillis(at)
	return a, err
}
