package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

const codeColumns = `hash, tenant, client, person, session, passkey, redirect_uri, challenge, nonce, jkt, scope, resources, signed_in_at, acr, amr, issued_at, expires_at, redeemed_at, gave, family, revoked_at`

// SaveCode keeps an authorization code if everything that it says holds in this very act: person and client are live, the
// client has that redirect URI, the person allows what the code gives or the client is trusted, and the browser session is there
// and its passkey still signs them in. Whatever was ended while the code was on its way stays ended. It notes that passkey: the
// session may be gone before what came of it is doubted.
func (s *Store) SaveCode(ctx context.Context, c tenant.Code) error {
	c, err := tenant.NewCode(c)
	if err != nil {
		return err
	}
	return s.act(ctx, func(x *tx) (err error) {
		client, err := liveParties(x, c.Tenant, c.Person, c.Client)
		if err != nil {
			return err
		}
		if err := x.allowed(c, client); err != nil {
			return err
		}
		if c.Passkey, err = x.openedWith(c); err != nil {
			return err
		}
		if err := x.exec(`delete from code where hash in (select hash from code where forget_at <= $1 order by forget_at limit 2)`, x.now.UnixMilli()); err != nil {
			return err
		}
		return x.exec(`insert into code (hash, tenant, client, person, session, passkey, redirect_uri, challenge, nonce, jkt, scope, resources, signed_in_at, acr, amr, issued_at, expires_at, forget_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
			c.Hash[:], c.Tenant, c.Client, c.Person, c.Session, c.Passkey, c.RedirectURI, c.Challenge, c.Nonce, c.JKT, listJSON(c.Scope), listJSON(c.Resources),
			millis(c.SignedInAt), c.ACR, listJSON(c.AMR), millis(c.IssuedAt), millis(c.ExpiresAt), millis(c.IssuedAt.Add(tenant.CodeMemory)))
	})
}

// allowed refuses a code that nobody allows any more.
func (x *tx) allowed(c tenant.Code, client tenant.Client) error {
	given, err := consentOf(x, c.Tenant, c.Person, c.Client)
	if err != nil && !errors.Is(err, tenant.ErrNotFound) {
		return err
	}
	return c.Stands(client, given)
}

// openedWith returns the passkey that opened the session of a new code.
func (x *tx) openedWith(c tenant.Code) ([]byte, error) {
	n, err := one(x, scanSession, `select `+sessionColumns+` from browser_session where tenant = $1 and id = $2 and person = $3`, c.Tenant, c.Session, c.Person)
	if errors.Is(err, sql.ErrNoRows) {
		err = tenant.Refuse(tenant.ErrNotFound, "sign in again", "the session has ended")
	}
	if err != nil {
		return nil, err
	}
	t, err := tenantByID(x, c.Tenant)
	if err != nil {
		return nil, err
	}
	k, err := passkeyOf(x, c.Tenant, c.Person, n.Passkey)
	if err != nil {
		return nil, err
	}
	return k.ID, t.SignsIn(k)
}

// liveParties refuses what a person and a client are to share if one of them is disabled, or their tenant.
func liveParties(q querier, tenantID, person, client string) (c tenant.Client, err error) {
	if _, _, err := livePerson(q, tenantID, person); err != nil {
		return c, err
	}
	c, err = clientByID(q, tenantID, client)
	if err == nil && !c.Live() {
		err = tenant.Refuse(tenant.ErrDisabled, "", "the client %s is disabled", client)
	}
	return c, err
}

// Code returns a code of a tenant, also one that was redeemed or is over, or [tenant.ErrNotFound].
func (s *Store) Code(ctx context.Context, tenantID string, hash secret.Hash) (c tenant.Code, err error) {
	c, err = codeByHash(s.alone(ctx), tenantID, hash)
	return c, s.readError(err)
}

func codeByHash(q querier, tenantID string, hash secret.Hash) (tenant.Code, error) {
	c, err := one(q, scanCode, `select `+codeColumns+` from code where hash = $1 and tenant = $2`, hash[:], tenantID)
	if errors.Is(err, sql.ErrNoRows) {
		err = tenant.Refuse(tenant.ErrNotFound, "ask the person to sign in again", "there is no such code")
	}
	return c, err
}

// RedeemCode uses a code up and keeps the refresh family that it gives, in one act. Of any number of calls one succeeds.
// To each other it is [tenant.ErrCodeReused] together with the code and what it gave, and the family that it gave is
// revoked in the act that finds that out, which owes it to the ledger. A code that is over, whose person, client, passkey or browser session has ended,
// or that is not there, is [tenant.ErrNotFound].
func (s *Store) RedeemCode(ctx context.Context, tenantID string, hash secret.Hash, r tenant.Redemption) (c tenant.Code, err error) {
	family := ""
	if r.Family != nil {
		f, err := tenant.NewFamily(*r.Family)
		if err != nil {
			return tenant.Code{}, err
		}
		r.Family, family = &f, f.ID
	}
	reused := false
	err = s.act(ctx, func(x *tx) (err error) {
		reused = false
		now := x.now.UnixMilli()
		if c = r.Seen; c.Hash != hash || c.Tenant != tenantID {
			if c, err = codeByHash(x, tenantID, hash); err != nil {
				return err
			}
		}
		switch n, err := x.affected(redeemsCode, hash[:], tenantID, now, toJSON(r.Token), family, bit(r.Family != nil && r.Family.Offline)); {
		case err != nil:
			return err
		case n == 0: // what ended while the token was made, or before, or somebody was faster
			if c, err = codeByHash(x, tenantID, hash); err != nil {
				return err
			}
			if reused = !c.RedeemedAt.IsZero(); reused { // and what follows from that is kept, so the act succeeds
				return x.takeBack(c)
			}
			return codeOver()
		}
		c.RedeemedAt, c.Gave, c.Family = fromMillis(sql.NullInt64{Int64: now, Valid: true}), r.Token, family
		if r.Family == nil { // nothing else remembers what it gave
			return x.exec(`update code set forget_at = $2 where hash = $1 and forget_at < $2`, hash[:], millis(r.Token.ExpiresAt))
		}
		r.Family.Passkey = c.Passkey
		return x.insertFamily(*r.Family)
	})
	if err == nil && reused {
		err = tenant.Refuse(tenant.ErrCodeReused, "find out who else has the code", "the code was redeemed already")
	}
	return c, err
}

// takeBack ends what a code gave that came a second time, and owes it to the ledger that its tokens are with somebody who should
// not have them.
func (x *tx) takeBack(c tenant.Code) error {
	alive := []tenant.Released{c.Gave}
	if c.Family != "" {
		f, err := familyByID(x, c.Tenant, c.Family)
		switch {
		case errors.Is(err, tenant.ErrNotFound): // it is long over
		case err != nil:
			return err
		default:
			alive = f.Alive(x.now)
			if err := x.takeBackFamily(f); err != nil {
				return err
			}
		}
	} else if err := x.exec(`update code set revoked_at = $2 where hash = $1 and revoked_at is null`, c.Hash[:], x.now.UnixMilli()); err != nil {
		return err
	}
	for _, o := range c.OwesReuse(alive) {
		if err := x.oweOnce(o); err != nil {
			return err
		}
	}
	return nil
}

// takeBackFamily ends the family of a code that came a second time. Of one that has given more than it remembers, the first time
// it is over, the ledger must hear that nothing of its session is to be believed.
func (x *tx) takeBackFamily(f tenant.Family) error {
	if f.RevokedAt.IsZero() && f.Crowded(x.now) {
		if err := x.owe(tenant.Owed{Tenant: f.Tenant, Kind: tenant.DistrustSession, Person: f.Person, Client: f.Client, Session: f.SID, Actor: tenant.ActorClient(f.Client), Ends: f.LastEnds()}); err != nil {
			return err
		}
	}
	return x.revokeFamily(f.Tenant, f.ID)
}

// redeemsCode uses a code up unless it is over, or something ended that it came of. What is not to outlive the browser session
// needs it to be there.
const redeemsCode = `update code set redeemed_at = $3, gave = $4, family = $5 where hash = $1 and tenant = $2 and redeemed_at is null and expires_at > $3
	and exists (select 1 from tenant t join person p on p.tenant = t.id join client c on c.tenant = t.id join passkey k on k.tenant = t.id and k.person = p.id
		where t.id = code.tenant and p.id = code.person and c.id = code.client and k.id = code.passkey
		and t.disabled_at is null and p.disabled_at is null and c.disabled_at is null and k.suspended_at is null)
	and ($6 = 1 or exists (select 1 from browser_session b where b.tenant = code.tenant and b.id = code.session and b.person = code.person))`

func codeOver() error {
	return tenant.Refuse(tenant.ErrNotFound, "ask the person to sign in again", "the code is over")
}

// endCodes forgets those of a person's codes that a condition names and that nobody has redeemed; its parameters begin with
// $4. What ends something must not leave a way to more of the same. A code that was redeemed stays, so that a second use is
// known for what it is.
func (x *tx) endCodes(where, tenantID, person string, args ...any) error {
	return x.exec(`delete from code where redeemed_at is null and expires_at > $3 and `+where, append([]any{tenantID, person, x.now.UnixMilli()}, args...)...)
}

const consentColumns = `tenant, person, client, terms, given_at, changed_at`

// Consent returns what a person has allowed a client, or [tenant.ErrNotFound].
func (s *Store) Consent(ctx context.Context, tenantID, person, client string) (c tenant.Consent, err error) {
	c, err = consentOf(s.alone(ctx), tenantID, person, client)
	return c, s.readError(err)
}

func consentOf(q querier, tenantID, person, client string) (tenant.Consent, error) {
	c, err := one(q, scanConsent, `select `+consentColumns+` from consent where tenant = $1 and person = $2 and client = $3`, tenantID, person, client)
	if errors.Is(err, sql.ErrNoRows) {
		err = tenant.Refuse(tenant.ErrNotFound, "", "nothing was allowed to %s", client)
	}
	return c, err
}

// Consents returns what a person has allowed, by client.
func (s *Store) Consents(ctx context.Context, tenantID, person string) (all []tenant.Consent, err error) {
	err = s.read(ctx, func(q querier) (err error) {
		all, err = collect(q, scanConsent, `select `+consentColumns+` from consent where tenant = $1 and person = $2 order by client`, tenantID, person)
		return err
	})
	return all, err
}

// SaveConsent adds to what a person has allowed a client, and returns all of it.
func (s *Store) SaveConsent(ctx context.Context, more tenant.Consent) (c tenant.Consent, err error) {
	err = s.act(ctx, func(x *tx) error {
		if _, err := liveParties(x, more.Tenant, more.Person, more.Client); err != nil {
			return err
		}
		now := time.UnixMilli(x.now.UnixMilli()).UTC()
		c = tenant.Consent{Tenant: more.Tenant, Person: more.Person, Client: more.Client, GivenAt: now}
		if had, err := consentOf(x, more.Tenant, more.Person, more.Client); err == nil {
			c = had
		} else if !errors.Is(err, tenant.ErrNotFound) {
			return err
		}
		for audience, scope := range more.Terms {
			c = c.With(scope, []string{audience})
		}
		c.ChangedAt = now
		return x.exec(`insert into consent (`+consentColumns+`) values ($1, $2, $3, $4, $5, $6)
			on conflict (tenant, person, client) do update set terms = excluded.terms, changed_at = excluded.changed_at`,
			c.Tenant, c.Person, c.Client, toJSON(c.Terms), millis(c.GivenAt), millis(c.ChangedAt))
	})
	return c, err
}

// WithdrawConsent takes back what a person has allowed a client and all that it made of that, in one act: it revokes its families,
// ends its codes, and owes it to the ledger that its access tokens are over. It reports whether there was anything.
func (s *Store) WithdrawConsent(ctx context.Context, tenantID, person, client, actor string) (withdrawn bool, err error) {
	err = s.act(ctx, func(x *tx) error {
		n, err := x.affected(`delete from consent where tenant = $1 and person = $2 and client = $3`, tenantID, person, client)
		if err != nil {
			return err
		}
		const theirs = `tenant = $1 and person = $2 and client = $4`
		families, err := x.revokeFamilies(theirs, tenantID, person, client)
		if err != nil {
			return err
		}
		codes, err := x.revokeGiven(theirs, tenantID, person, client)
		if err != nil {
			return err
		}
		withdrawn = n == 1 || len(families)+len(codes) > 0
		for _, o := range owesEnds(families, codes, actor, x.now) {
			if err := x.owe(o); err != nil {
				return err
			}
		}
		return x.endCodes(theirs, tenantID, person, client)
	})
	return withdrawn, err
}

// owesEnds is what the ledger must hear of families and codes that the actor has ended, once each.
func owesEnds(families []tenant.Family, codes []tenant.Code, actor string, now time.Time) (all []tenant.Owed) {
	for _, f := range families {
		all = append(all, f.OwesEnd(actor, now)...)
	}
	for _, c := range codes {
		all = append(all, c.OwesEnd(actor))
	}
	return all
}

// Given returns a person's codes whose access token lives and has no family, the one that was redeemed last first: all that there is
// of an application that can't refresh.
func (s *Store) Given(ctx context.Context, tenantID, person string) (all []tenant.Code, err error) {
	now := s.now()
	err = s.read(ctx, func(q querier) (err error) {
		all, err = collect(q, scanCode, `select `+codeColumns+` from code where tenant = $1 and person = $2 and `+givenAlone+` and forget_at > $3 order by redeemed_at desc, hash`, tenantID, person, now.UnixMilli())
		return err
	})
	return slices.DeleteFunc(all, func(c tenant.Code) bool { return !c.Alive(now) }), err
}

// givenAlone holds of a code that gave an access token and no family, unless that was taken back.
const givenAlone = `redeemed_at is not null and family = '' and revoked_at is null`

// revokeGiven takes back the access tokens that live which those of a person's codes gave without a family that a condition names;
// its parameters begin with $4.
func (x *tx) revokeGiven(where, tenantID, person string, args ...any) ([]tenant.Code, error) {
	codes, err := collect(x, scanCode, `update code set revoked_at = $3 where `+givenAlone+` and forget_at > $3 and `+where+` returning `+codeColumns,
		append([]any{tenantID, person, x.now.UnixMilli()}, args...)...)
	return slices.DeleteFunc(codes, func(c tenant.Code) bool { return !x.now.Before(c.Gave.ExpiresAt) }), err
}

func scanCode(scan func(...any) error) (c tenant.Code, err error) {
	var hash []byte
	var signedIn, issued, expires, redeemed, revoked sql.NullInt64
	err = scan(&hash, &c.Tenant, &c.Client, &c.Person, &c.Session, &c.Passkey, &c.RedirectURI, &c.Challenge, &c.Nonce, &c.JKT, column{(*[]string)(&c.Scope)}, column{&c.Resources},
		&signedIn, &c.ACR, column{&c.AMR}, &issued, &expires, &redeemed, column{&c.Gave}, &c.Family, &revoked)
	copy(c.Hash[:], hash)
	c.SignedInAt, c.IssuedAt, c.ExpiresAt, c.RedeemedAt, c.RevokedAt = fromMillis(signedIn), fromMillis(issued), fromMillis(expires), fromMillis(redeemed), fromMillis(revoked)
	return c, err
}

func scanConsent(scan func(...any) error) (c tenant.Consent, err error) {
	var given, changed sql.NullInt64
	err = scan(&c.Tenant, &c.Person, &c.Client, column{&c.Terms}, &given, &changed)
	c.GivenAt, c.ChangedAt = fromMillis(given), fromMillis(changed)
	return c, err
}
