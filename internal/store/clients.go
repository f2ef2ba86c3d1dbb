package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

const clientColumns = `tenant, id, name, type, grants, auth, key_set, redirect_uris, logout_uris, dpop, dpop_reason, trusted, claims, lifetime_ms, rate_per_second, created_at, disabled_at`

// CreateClient keeps a new client of a live tenant and returns it as it was kept. Its APIs must be live and have its
// scopes. It fails with [tenant.ErrExists], or [tenant.ErrUsedBefore], if the id was ever given out in this tenant. If the
// client may get ID tokens, the policy that tells the signer is kept with it.
func (s *Store) CreateClient(ctx context.Context, actor string, c tenant.Client) (tenant.Client, error) {
	c.DisabledAt = time.Time{}
	c, err := tenant.NewClient(c)
	if err != nil {
		return tenant.Client{}, err
	}
	var kept tenant.Client
	err = s.act(ctx, func(x *tx) error {
		t, err := liveTenant(x, c.Tenant)
		if err != nil {
			return err
		}
		apis, err := apisOf(x, c.Tenant)
		if err != nil {
			return err
		}
		if err := t.AdmitsClient(c, apis); err != nil {
			return err
		}
		if err := x.takeParty(c.Tenant, c.ID); err != nil {
			return err
		}
		if err := x.insertClient(c, apis); err != nil {
			return err
		}
		if err := x.tellOfClient(actor, c); err != nil {
			return err
		}
		kept, err = clientByID(x, c.Tenant, c.ID)
		return err
	})
	if err != nil {
		return tenant.Client{}, err
	}
	return kept, nil
}

// tellOfClient makes the tenant's next policy when a change of c, or of what c was, changes whom the signer may make ID
// tokens for.
func (x *tx) tellOfClient(actor string, c tenant.Client) error {
	if !c.MayGetIDTokens() {
		return nil
	}
	if all, err := liveClientsOf(x, c.Tenant); err != nil {
		return err
	} else if n := signInClients(all); n > tenant.MaxSignInClients {
		return tenant.Refuse(tenant.ErrConflict, "disable one that nobody uses any more, or make another tenant", "the tenant %s has %d clients that people sign in to, and can't have more", c.Tenant, n-1)
	}
	_, err := x.changePolicy(actor, c.Tenant)
	return err
}

func signInClients(all []tenant.Client) (n int) {
	for _, c := range all {
		if c.MayGetIDTokens() {
			n++
		}
	}
	return n
}

// liveClientsOf returns the live clients of a tenant, with what a policy asks of them and nothing else.
func liveClientsOf(q querier, tenantID string) ([]tenant.Client, error) {
	return collect(q, func(scan func(...any) error) (c tenant.Client, err error) {
		c.Tenant = tenantID
		err = scan(&c.ID, column{&c.Grants})
		return c, err
	}, `select id, grants from client where tenant = $1 and disabled_at is null order by id`, tenantID)
}

func (x *tx) insertClient(c tenant.Client, apis []tenant.API) error {
	x.changed = true
	err := x.exec(`insert into client (`+clientColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, null)`,
		c.Tenant, c.ID, c.Name, string(c.Type), toJSON(c.Grants), string(c.Auth), c.Keys.String(), toJSON(c.RedirectURIs), toJSON(c.LogoutURIs),
		string(c.DPoP), c.DPoPReason, bit(c.Trusted), toJSON(c.Claims), c.Lifetime.Milliseconds(), c.RatePerSecond, millis(c.CreatedAt))
	if err != nil {
		return err
	}
	for _, secret := range c.Secrets {
		if err := x.insertSecret(c.Tenant, c.ID, secret); err != nil {
			return err
		}
	}
	for _, access := range c.APIs {
		for _, a := range apis {
			if a.Audience != access.Audience {
				continue
			}
			if err := x.exec(`insert into client_access (tenant, client, api, scopes) values ($1, $2, $3, $4)`, c.Tenant, c.ID, a.ID, toJSON(access.Scopes)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *tx) insertSecret(tenantID, client string, secret tenant.Secret) error {
	n, err := x.affected(`insert into client_secret (hash, tenant, client, created_at, expires_at) values ($1, $2, $3, $4, $5) on conflict (hash) do nothing`,
		secret.Hash[:], tenantID, client, millis(secret.CreatedAt), millis(secret.ExpiresAt))
	if err == nil && n == 0 {
		return tenant.Refuse(tenant.ErrConflict, "generate another one", "this secret is in use already")
	}
	return err
}

// Client returns a client of a tenant, also a disabled one, or [tenant.ErrNotFound]. Ids are compared as they are.
func (s *Store) Client(ctx context.Context, tenantID, id string) (tenant.Client, error) {
	return see(ctx, s, func(q querier) (tenant.Client, error) { return clientByID(q, tenantID, id) })
}

// Clients returns all clients of a tenant by id, disabled ones too. A tenant that is not there is
// [tenant.ErrNotFound].
func (s *Store) Clients(ctx context.Context, tenantID string) ([]tenant.Client, error) {
	return see(ctx, s, func(q querier) ([]tenant.Client, error) {
		if _, err := tenantByID(q, tenantID); err != nil {
			return nil, err
		}
		all, err := collect(q, scanClient, `select `+clientColumns+` from client where tenant = $1 order by id`, tenantID)
		if err != nil {
			return nil, err
		}
		return all, completeAll(q, tenantID, all)
	})
}

// DisableClient stops a client for good, and tells the signer if it could get ID tokens. Doing it again changes nothing.
func (s *Store) DisableClient(ctx context.Context, actor, tenantID, id string) (tenant.Client, error) {
	var c tenant.Client
	err := s.act(ctx, func(x *tx) (err error) {
		if c, err = clientByID(x, tenantID, id); err != nil || !c.Live() {
			return err
		}
		x.changed = true
		if err := x.exec(`update client set disabled_at = $3 where tenant = $1 and id = $2`, tenantID, id, x.now.UnixMilli()); err != nil {
			return err
		}
		if err := x.tellOfClient(actor, c); err != nil {
			return err
		}
		c, err = clientByID(x, tenantID, id)
		return err
	})
	if err != nil {
		return tenant.Client{}, err
	}
	return c, nil
}

// RotateSecret gives a client a new secret, by its hash, and lets the present one work for the overlap: 0 ends all
// others at once. [tenant.Client.MayRotate] says what is refused.
func (s *Store) RotateSecret(ctx context.Context, tenantID, id string, hash secret.Hash, overlap time.Duration) (tenant.Client, error) {
	var c tenant.Client
	err := s.act(ctx, func(x *tx) (err error) {
		if c, err = clientByID(x, tenantID, id); err != nil {
			return err
		}
		if err := c.MayRotate(overlap, x.now); err != nil {
			return err
		}
		x.changed = true
		now := x.now.UnixMilli()
		if err := x.exec(`update client_secret set expires_at = $3 where tenant = $1 and client = $2 and (expires_at is null or expires_at > $3)`, tenantID, id, now+overlap.Milliseconds()); err != nil {
			return err
		}
		if err := x.exec(`delete from client_secret where tenant = $1 and client = $2 and expires_at <= $3`, tenantID, id, now); err != nil {
			return err
		}
		if err := x.insertSecret(tenantID, id, tenant.Secret{Hash: hash, CreatedAt: x.now}); err != nil {
			return err
		}
		c, err = clientByID(x, tenantID, id)
		return err
	})
	if err != nil {
		return tenant.Client{}, err
	}
	return c, nil
}

// SetRedirects changes where people come back to after they signed in to a client, and out of it. The addresses must be
// such as [tenant.NewClient] and the tenant admit.
func (s *Store) SetRedirects(ctx context.Context, tenantID, id string, redirects, logouts []string) (tenant.Client, error) {
	var c tenant.Client
	err := s.act(ctx, func(x *tx) (err error) {
		if c, err = clientByID(x, tenantID, id); err != nil {
			return err
		}
		if !c.Live() {
			return tenant.Refuse(tenant.ErrDisabled, "a disabled client stays as it is: create another", "the client %s is disabled", c.ID)
		}
		t, err := liveTenant(x, tenantID)
		if err != nil {
			return err
		}
		if c, err = t.Redirect(c, redirects, logouts); err != nil {
			return err
		}
		x.changed = true
		if err := x.exec(`update client set redirect_uris = $3, logout_uris = $4 where tenant = $1 and id = $2`, tenantID, id, toJSON(c.RedirectURIs), toJSON(c.LogoutURIs)); err != nil {
			return err
		}
		c, err = clientByID(x, tenantID, id)
		return err
	})
	if err != nil {
		return tenant.Client{}, err
	}
	return c, nil
}

// ClientTypes returns the types of a tenant's live clients, each once.
func (s *Store) ClientTypes(ctx context.Context, tenantID string) ([]tenant.ClientType, error) {
	return see(ctx, s, func(q querier) ([]tenant.ClientType, error) {
		return collect(q, func(scan func(...any) error) (t tenant.ClientType, err error) {
			err = scan(&t)
			return t, err
		}, `select distinct type from client where tenant = $1 and disabled_at is null order by type`, tenantID)
	})
}

func clientByID(q querier, tenantID, id string) (tenant.Client, error) {
	c, err := one(q, scanClient, `select `+clientColumns+` from client where tenant = $1 and id = $2`, tenantID, id)
	if err != nil {
		return tenant.Client{}, orNotFound(err, "client", id, "client", tenantID)
	}
	return c, complete(q, &c)
}

// complete reads what a client has in other tables.
func complete(q querier, c *tenant.Client) (err error) {
	c.Secrets, err = collect(q, scanSecret, `select hash, created_at, expires_at from client_secret where tenant = $1 and client = $2 order by created_at desc, expires_at is not null`, c.Tenant, c.ID)
	if err != nil {
		return err
	}
	c.APIs, err = collect(q, scanAccess, `select a.audience, x.scopes from client_access x join api a on a.tenant = x.tenant and a.id = x.api where x.tenant = $1 and x.client = $2 order by a.audience`, c.Tenant, c.ID)
	return err
}

// completeAll is complete for all clients of a tenant, which asks as often for many as for one.
func completeAll(q querier, tenantID string, clients []tenant.Client) error {
	byID := make(map[string]*tenant.Client, len(clients))
	for i := range clients {
		byID[clients[i].ID] = &clients[i]
	}
	secrets, err := collect(q, withClient(scanSecret), `select client, hash, created_at, expires_at from client_secret where tenant = $1 order by created_at desc, expires_at is not null`, tenantID)
	if err != nil {
		return err
	}
	for _, s := range secrets {
		if c := byID[s.client]; c != nil {
			c.Secrets = append(c.Secrets, s.what)
		}
	}
	apis, err := collect(q, withClient(scanAccess), `select x.client, a.audience, x.scopes from client_access x join api a on a.tenant = x.tenant and a.id = x.api where x.tenant = $1 order by a.audience`, tenantID)
	for _, a := range apis {
		if c := byID[a.client]; c != nil {
			c.APIs = append(c.APIs, a.what)
		}
	}
	return err
}

// clientOwned is something that a client has.
type clientOwned[T any] struct {
	client string
	what   T
}

// withClient scans whose something is, and then the thing.
func withClient[T any](scanThing func(func(...any) error) (T, error)) func(func(...any) error) (clientOwned[T], error) {
	return func(scan func(...any) error) (c clientOwned[T], err error) {
		c.what, err = scanThing(func(into ...any) error { return scan(append([]any{&c.client}, into...)...) })
		return c, err
	}
}

func scanClient(scan func(...any) error) (c tenant.Client, err error) {
	var keys string
	var lifetime, trusted int64
	var created, disabled sql.NullInt64
	err = scan(&c.Tenant, &c.ID, &c.Name, &c.Type, column{&c.Grants}, &c.Auth, &keys, column{&c.RedirectURIs}, column{&c.LogoutURIs},
		&c.DPoP, &c.DPoPReason, &trusted, column{&c.Claims}, &lifetime, &c.RatePerSecond, &created, &disabled)
	if err == nil && keys != "" {
		c.Keys, err = tenant.ParseKeySet([]byte(keys))
	}
	if err != nil {
		return tenant.Client{}, fmt.Errorf("a client: %w", err)
	}
	c.Trusted, c.Lifetime = trusted == 1, time.Duration(lifetime)*time.Millisecond
	c.CreatedAt, c.DisabledAt = fromMillis(created), fromMillis(disabled)
	return c, nil
}

func scanSecret(scan func(...any) error) (s tenant.Secret, err error) {
	var hash []byte
	var created, expires sql.NullInt64
	err = scan(&hash, &created, &expires)
	copy(s.Hash[:], hash)
	s.CreatedAt, s.ExpiresAt = fromMillis(created), fromMillis(expires)
	return s, err
}

func scanAccess(scan func(...any) error) (a tenant.Access, err error) {
	err = scan(&a.Audience, column{&a.Scopes})
	return a, err
}
