package storetest

import (
	"context"
	"testing"
	"time"

	"seawall/internal/tenant"
)

// Alarms keeps what every owner should know of.
type Alarms interface {
	RaiseAlarm(ctx context.Context, a tenant.Alarm) error
	Alarms(ctx context.Context) ([]tenant.Alarm, error)
}

func testAlarms(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.mustOperators()
	raise := func(kind tenant.AlarmKind, login string) {
		t.Helper()
		if err := f.RaiseAlarm(ctx, tenant.Alarm{Kind: kind, Tenant: tenant.Operators, Login: login, Actor: "uid:7"}); err != nil {
			t.Fatal(err)
		}
	}
	raise(tenant.OwnerLinked, "first")
	at := f.clock.Now()
	f.clock.advance(time.Hour)
	raise(tenant.GlassUsed, "break-glass-1")
	f.reopen()
	all := ok(f.Alarms(ctx))(t)
	if len(all) != 2 || all[0].Login != "break-glass-1" || all[1].Kind != tenant.OwnerLinked || !all[1].At.Equal(at) || all[1].Actor != "uid:7" {
		t.Errorf("the alarms are %+v", all)
	}
	f.clock.advance(tenant.AlarmLife - time.Hour)
	if all = ok(f.Alarms(ctx))(t); len(all) != 1 {
		t.Errorf("a month later: %+v", all)
	}
	if err := f.RaiseAlarm(ctx, tenant.Alarm{Kind: "other", Tenant: tenant.Operators, Login: "x", Actor: "uid:7"}); err == nil {
		t.Error("an alarm of no kind")
	}
}
