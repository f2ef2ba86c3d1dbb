package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"seawall/internal/tenant"
)

const tenantColumns = `id, class, owner, contacts, issuer, algorithm, claims, max_lifetime_ms, rotation_days, created_at, disabled_at, policy_version, policy_applied, passkeys, models`

// CreateTenant keeps a new tenant, its break-glass principals and its first policy, and returns it as it was kept. Actor is who asked, for the
// policy. It fails with [tenant.ErrExists], or [tenant.ErrUsedBefore], if the id or the issuer was ever given out.
func (s *Store) CreateTenant(ctx context.Context, actor string, t tenant.Tenant) (tenant.Tenant, error) {
	t.DisabledAt = time.Time{}
	t, err := tenant.New(t)
	if err != nil {
		return tenant.Tenant{}, err
	}
	var kept tenant.Tenant
	err = s.act(ctx, func(x *tx) error {
		if err := x.takeTenant(t); err != nil {
			return err
		}
		err := x.exec(`insert into tenant (`+tenantColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, null, 0, 0, $11, $12)`,
			t.ID, string(t.Class), t.Owner, toJSON(t.Contacts), t.Issuer, string(t.Algorithm), toJSON(t.Claims),
			t.MaxLifetime.Milliseconds(), t.RotationDays, millis(t.CreatedAt), string(t.Passkeys), toJSON(t.Models))
		if err != nil {
			return err
		}
		if err := x.completePeople(t.ID); err != nil {
			return err
		}
		kept, err = x.changePolicy(actor, t.ID)
		return err
	})
	if err != nil {
		return tenant.Tenant{}, err
	}
	return kept, nil
}

// takeTenant gives out the id and the issuer of a new tenant.
func (x *tx) takeTenant(t tenant.Tenant) error {
	if ok, err := x.take("tenant", t.ID); err != nil {
		return err
	} else if !ok {
		old, err := tenantByID(x, t.ID)
		if err != nil && !errors.Is(err, tenant.ErrNotFound) {
			return err
		}
		return taken(err == nil && old.Live(), "a tenant", t.ID)
	}
	if ok, err := x.take("issuer", strings.ToLower(t.Issuer)); err != nil {
		return err
	} else if !ok {
		return taken(false, "an issuer", t.Issuer)
	}
	return nil
}

// Tenant returns a tenant, also a disabled one, or [tenant.ErrNotFound]. Ids are compared as they are.
func (s *Store) Tenant(ctx context.Context, id string) (tenant.Tenant, error) {
	return see(ctx, s, func(q querier) (tenant.Tenant, error) { return tenantByID(q, id) })
}

// Tenants returns all tenants by id, disabled ones too.
func (s *Store) Tenants(ctx context.Context) ([]tenant.Tenant, error) {
	return see(ctx, s, func(q querier) ([]tenant.Tenant, error) {
		return collect(q, scanTenant, `select `+tenantColumns+` from tenant order by id`)
	})
}

// DisableTenant stops a tenant for good and makes the policy that tells the signer. Doing it again changes nothing.
func (s *Store) DisableTenant(ctx context.Context, actor, id string) (tenant.Tenant, error) {
	var t tenant.Tenant
	err := s.act(ctx, func(x *tx) error {
		found, err := tenantByID(x, id)
		if err != nil || !found.Live() {
			t = found
			return err
		}
		if err := found.MayEnd(); err != nil {
			return err
		}
		if err := x.exec(`update tenant set disabled_at = $2 where id = $1`, id, x.now.UnixMilli()); err != nil {
			return err
		}
		t, err = x.changePolicy(actor, id)
		return err
	})
	if err != nil {
		return tenant.Tenant{}, err
	}
	return t, nil
}

func tenantByID(q querier, id string) (tenant.Tenant, error) {
	t, err := one(q, scanTenant, `select `+tenantColumns+` from tenant where id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return tenant.Tenant{}, tenant.Refuse(tenant.ErrNotFound, "see `seawall tenant list`", "there is no tenant %.70q", id)
	}
	return t, err
}

// liveTenant returns a tenant that something may be added to.
func liveTenant(q querier, id string) (tenant.Tenant, error) {
	t, err := tenantByID(q, id)
	if err == nil && !t.Live() {
		return t, tenant.Refuse(tenant.ErrDisabled, "a disabled tenant stays as it is: create another", "the tenant %s is disabled", id)
	}
	return t, err
}

func scanTenant(scan func(...any) error) (t tenant.Tenant, err error) {
	var lifetime int64
	var created, disabled sql.NullInt64
	err = scan(&t.ID, &t.Class, &t.Owner, column{&t.Contacts}, &t.Issuer, &t.Algorithm, column{&t.Claims},
		&lifetime, &t.RotationDays, &created, &disabled, &t.PolicyVersion, &t.PolicyApplied, &t.Passkeys, column{&t.Models})
	t.MaxLifetime = time.Duration(lifetime) * time.Millisecond
	t.CreatedAt, t.DisabledAt = fromMillis(created), fromMillis(disabled)
	return t, err
}

// one returns the one row of a query, or sql.ErrNoRows.
func one[T any](q querier, scan func(func(...any) error) (T, error), query string, args ...any) (T, error) {
	all, err := collect(q, scan, query, args...)
	if err == nil && len(all) == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		var none T
		return none, err
	}
	return all[0], nil
}

// collect returns all rows of a query.
func collect[T any](q querier, scan func(func(...any) error) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
