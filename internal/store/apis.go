package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"seawall/internal/tenant"
)

const apiColumns = `tenant, id, audience, secret_hash, scopes, max_lifetime_ms, created_at, disabled_at`

// CreateAPI keeps a new API of a live tenant, and the policy that tells the signer, and returns it as it was kept. It
// fails with [tenant.ErrExists], or [tenant.ErrUsedBefore], if the audience, or one that a person could take for it, or
// the id was ever given out in this tenant. APIs and clients of a tenant share their ids.
func (s *Store) CreateAPI(ctx context.Context, actor string, a tenant.API) (tenant.API, error) {
	a.DisabledAt = time.Time{}
	a, err := tenant.NewAPI(a)
	if err != nil {
		return tenant.API{}, err
	}
	err = s.act(ctx, func(x *tx) error {
		t, err := liveTenant(x, a.Tenant)
		if err != nil {
			return err
		}
		if err := t.Admits(a); err != nil {
			return err
		}
		if err := x.takeAPI(a); err != nil {
			return err
		}
		err = x.exec(`insert into api (`+apiColumns+`) values ($1, $2, $3, $4, $5, $6, $7, null)`,
			a.Tenant, a.ID, a.Audience, a.SecretHash[:], toJSON(a.Scopes), a.MaxLifetime.Milliseconds(), millis(a.CreatedAt))
		if err != nil {
			return err
		}
		_, err = x.changePolicy(actor, a.Tenant)
		return err
	})
	if err != nil {
		return tenant.API{}, err
	}
	return a, nil
}

// takeAPI gives out the id and the audience of a new API.
func (x *tx) takeAPI(a tenant.API) error {
	if err := x.takeParty(a.Tenant, a.ID); err != nil {
		return err
	}
	ok, err := x.take("audience/"+a.Tenant, tenant.FoldAudience(a.Audience))
	if err != nil || ok {
		return err
	}
	apis, err := apisOf(x, a.Tenant)
	if err != nil {
		return err
	}
	for _, old := range apis {
		if tenant.FoldAudience(old.Audience) == tenant.FoldAudience(a.Audience) {
			return taken(old.Live(), "an API", old.Audience)
		}
	}
	return taken(false, "an API", a.Audience)
}

// takeParty gives out the id of an API or a client. They share one space, so that an id in a log, or the subject of a
// token, is one thing for good.
func (x *tx) takeParty(tenantID, id string) error {
	ok, err := x.take("party/"+tenantID, id)
	if err != nil || ok {
		return err
	}
	if a, err := apiByID(x, tenantID, id); err == nil {
		return taken(a.Live(), "an API", id)
	} else if !errors.Is(err, tenant.ErrNotFound) {
		return err
	}
	c, err := clientByID(x, tenantID, id)
	if err != nil && !errors.Is(err, tenant.ErrNotFound) {
		return err
	}
	return taken(err == nil && c.Live(), "a client", id)
}

// APIs returns all APIs of a tenant by audience, disabled ones too. A tenant that is not there is
// [tenant.ErrNotFound].
func (s *Store) APIs(ctx context.Context, tenantID string) ([]tenant.API, error) {
	return see(ctx, s, func(q querier) ([]tenant.API, error) {
		if _, err := tenantByID(q, tenantID); err != nil {
			return nil, err
		}
		return apisOf(q, tenantID)
	})
}

// DisableAPI stops an API, named by its id, for good, and makes the policy that tells the signer. Doing it again
// changes nothing.
func (s *Store) DisableAPI(ctx context.Context, actor, tenantID, id string) (tenant.API, error) {
	var a tenant.API
	err := s.act(ctx, func(x *tx) (err error) {
		if a, err = apiByID(x, tenantID, id); err != nil || !a.Live() {
			return err
		}
		if err := x.exec(`update api set disabled_at = $3 where tenant = $1 and id = $2`, tenantID, id, x.now.UnixMilli()); err != nil {
			return err
		}
		if _, err := x.changePolicy(actor, tenantID); err != nil {
			return err
		}
		a, err = apiByID(x, tenantID, id)
		return err
	})
	if err != nil {
		return tenant.API{}, err
	}
	return a, nil
}

func apiByID(q querier, tenantID, id string) (tenant.API, error) {
	a, err := one(q, scanAPI, `select `+apiColumns+` from api where tenant = $1 and id = $2`, tenantID, id)
	return a, orNotFound(err, "API", id, "api", tenantID)
}

func apisOf(q querier, tenantID string) ([]tenant.API, error) {
	return collect(q, scanAPI, `select `+apiColumns+` from api where tenant = $1 order by audience`, tenantID)
}

func scanAPI(scan func(...any) error) (a tenant.API, err error) {
	var hash []byte
	var lifetime int64
	var created, disabled sql.NullInt64
	err = scan(&a.Tenant, &a.ID, &a.Audience, &hash, column{&a.Scopes}, &lifetime, &created, &disabled)
	copy(a.SecretHash[:], hash)
	a.MaxLifetime = time.Duration(lifetime) * time.Millisecond
	a.CreatedAt, a.DisabledAt = fromMillis(created), fromMillis(disabled)
	return a, err
}

// orNotFound turns a missing row into a refusal. The noun is also the command's.
func orNotFound(err error, what, name, noun, tenantID string) error {
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return tenant.Refuse(tenant.ErrNotFound, "see `seawall "+noun+" list --tenant "+tenantID+"`", "the tenant %.70q has no %s %.200q", tenantID, what, name)
}
