package store

import (
	"context"
	"fmt"

	"seawall/internal/tenant"
)

// One question returns at most so many policies, of one tenant and of all: a tenant whose policies the signer does not
// take must not keep others from being heard.
const (
	maxPendingOfTenant = 64
	maxPending         = 2000
)

// PendingPolicies returns policies that the signer has not confirmed, each tenant's in the order of their versions, at
// most 64 of a tenant and 2000 in all: ask again after confirming them. A policy is written by the same act as the change
// that made it, so a crash loses neither or both.
func (s *Store) PendingPolicies(ctx context.Context) ([]tenant.Policy, error) {
	return see(ctx, s, func(q querier) ([]tenant.Policy, error) {
		return collect(q, scanPolicy, `select o.policy from policy_outbox o join tenant t on t.id = o.tenant
			where o.version <= t.policy_applied + $1 order by o.tenant, o.version limit $2`, maxPendingOfTenant, maxPending)
	})
}

// PolicyApplied notes that the signer has a tenant's policies up to version. Saying it again, or of an older one,
// changes nothing. A version that was never made is [tenant.ErrConflict]: the signer has a state that this database
// does not know, as after restoring an old backup.
func (s *Store) PolicyApplied(ctx context.Context, id string, version uint64) error {
	return s.act(ctx, func(x *tx) error {
		t, err := tenantByID(x, id)
		if err != nil {
			return err
		}
		if version > t.PolicyVersion {
			return tenant.Refuse(tenant.ErrConflict, "was the database restored from an old backup? Bring back the newest one",
				"the signer has policy %d of tenant %s, and the database only made %d", version, id, t.PolicyVersion)
		}
		if version <= t.PolicyApplied {
			return nil
		}
		if err := x.exec(`update tenant set policy_applied = $2 where id = $1`, id, int64(version)); err != nil {
			return err
		}
		return x.exec(`delete from policy_outbox where tenant = $1 and version <= $2`, id, int64(version))
	})
}

// changePolicy gives a tenant's policy its next version and puts it into the outbox. Every act that changes what the
// signer must know ends with it.
func (x *tx) changePolicy(actor, id string) (tenant.Tenant, error) {
	if err := x.exec(`update tenant set policy_version = policy_version + 1 where id = $1`, id); err != nil {
		return tenant.Tenant{}, err
	}
	t, err := tenantByID(x, id)
	if err != nil {
		return tenant.Tenant{}, err
	}
	apis, err := apisOf(x, id)
	if err != nil {
		return tenant.Tenant{}, err
	}
	clients, err := liveClientsOf(x, id)
	if err != nil {
		return tenant.Tenant{}, err
	}
	policy := t.Policy(actor, apis, clients)
	x.changed = true
	return t, x.exec(`insert into policy_outbox (tenant, version, policy) values ($1, $2, $3)`, id, int64(policy.Version), toJSON(policy))
}

func scanPolicy(scan func(...any) error) (p tenant.Policy, err error) {
	if err := scan(column{&p}); err != nil {
		return tenant.Policy{}, fmt.Errorf("a policy that waits for the signer: %w", err)
	}
	return p, nil
}
