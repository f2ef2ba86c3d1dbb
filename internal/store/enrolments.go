package store

import (
	"context"
	"database/sql"
	"errors"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

const recoveryColumns = `tenant, person, requested_by, requested_at, first_by, approved_by, approved_at`

const enrolmentColumns = `hash, tenant, person, why, issued_by, issued_at, expires_at`

// IssueEnrolment keeps a link for a person and makes their earlier ones useless. Somebody who has a passkey gets one
// only if a recovery is ready, which is over with it; otherwise [tenant.ErrConflict]. Why is set accordingly. A break-glass
// principal gets its first passkey so, and all others by its code.
func (s *Store) IssueEnrolment(ctx context.Context, e tenant.Enrolment) (tenant.Enrolment, error) {
	err := s.act(ctx, func(x *tx) error {
		p, _, err := livePerson(x, e.Tenant, e.Person)
		if err != nil {
			return err
		}
		e.Why = tenant.FirstPasskey
		keys, err := passkeysOf(x, e.Tenant, e.Person)
		if err != nil {
			return err
		}
		if len(keys) > 0 && p.Kind == tenant.BreakGlass {
			return tenant.Refuse(tenant.ErrConflict, "use its code: `seawall break-glass use`", "%s has a passkey, and gets another by its code only", p.Login)
		}
		if len(keys) > 0 {
			e.Why = tenant.Recovered
			if err := x.spendRecovery(p); err != nil {
				return err
			}
		}
		return x.insertEnrolment(e)
	})
	return e, err
}

// spendRecovery takes a recovery that is ready.
func (x *tx) spendRecovery(p tenant.Person) error {
	r, err := recoveryOf(x, p.Tenant, p.ID)
	if errors.Is(err, tenant.ErrNotFound) {
		return tenant.Refuse(tenant.ErrConflict, "they add another one when they are signed in; if all are lost: `seawall person recover "+p.Login+" --tenant "+p.Tenant+"`",
			"%s has a passkey, and a link for them would be a recovery", p.Login)
	}
	if err == nil {
		err = r.Ready(x.now)
	}
	if err != nil {
		return err
	}
	return x.exec(`delete from recovery where tenant = $1 and person = $2`, p.Tenant, p.ID)
}

func (x *tx) insertEnrolment(e tenant.Enrolment) error {
	if err := x.forget("enrolment"); err != nil {
		return err
	}
	if err := x.exec(`delete from enrolment where tenant = $1 and person = $2`, e.Tenant, e.Person); err != nil {
		return err
	}
	return x.exec(`insert into enrolment (`+enrolmentColumns+`) values ($1, $2, $3, $4, $5, $6, $7)`,
		e.Hash[:], e.Tenant, e.Person, string(e.Why), e.IssuedBy, millis(e.IssuedAt), millis(e.ExpiresAt))
}

// Enrolment returns a live link of a tenant and whom it is for, or [tenant.ErrNotFound].
func (s *Store) Enrolment(ctx context.Context, tenantID string, hash secret.Hash) (e tenant.Enrolment, p tenant.Person, err error) {
	err = s.read(ctx, func(q querier) (err error) {
		if e, err = one(q, scanEnrolment, `select `+enrolmentColumns+` from enrolment where hash = $1 and tenant = $2`, hash[:], tenantID); err != nil {
			return err
		}
		p, _, err = livePerson(q, tenantID, e.Person)
		return err
	})
	return e, p, linkOver(err, err == nil && !e.Live(s.now()))
}

func linkOver(err error, over bool) error {
	if errors.Is(err, sql.ErrNoRows) || over {
		return tenant.Refuse(tenant.ErrNotFound, "ask for a new one", "this link was used already, or is over")
	}
	return err
}

// Enrol uses a link: it keeps the passkey, opens a session with it, ends the one that the browser had before, if replaces is
// its hash, and the link is gone, in one act. Of any number of calls with the same link one succeeds; the others get
// [tenant.ErrNotFound]. After a recovery the person's earlier passkeys are suspended, and their sessions end.
func (s *Store) Enrol(ctx context.Context, hash secret.Hash, k tenant.Passkey, session tenant.Session, replaces secret.Hash) error {
	k, err := tenant.NewPasskey(k)
	if err != nil {
		return err
	}
	return s.act(ctx, func(x *tx) error {
		e, err := one(x, scanEnrolment, `delete from enrolment where hash = $1 and tenant = $2 and person = $3 returning `+enrolmentColumns, hash[:], k.Tenant, k.Person)
		if err := linkOver(err, err == nil && !e.Live(x.now)); err != nil {
			return err
		}
		p, err := personByID(x, k.Tenant, k.Person)
		if err != nil {
			return err
		}
		if err := p.Admits(k, e.Why); err != nil {
			return err
		}
		if e.Why == tenant.Recovered {
			if err := x.leaveBehind(k.Tenant, k.Person); err != nil {
				return err
			}
		}
		if err := x.insertPasskey(k); err != nil {
			return err
		}
		if err := x.exec(`update passkey set used_at = $2 where id = $1`, k.ID, x.now.UnixMilli()); err != nil {
			return err
		}
		return x.openSession(session, replaces)
	})
}

// RequestRecovery begins a recovery of a person who has passkeys. There is one at a time; one that is over gives way.
func (s *Store) RequestRecovery(ctx context.Context, tenantID, person, by string) (r tenant.Recovery, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		p, _, err := livePerson(x, tenantID, person)
		if err != nil {
			return err
		}
		if p.Kind == tenant.BreakGlass {
			return tenant.Refuse(tenant.ErrConflict, "use its code: `seawall break-glass use`", "%s is not recovered, it has a code", p.Login)
		}
		if keys, err := passkeysOf(x, tenantID, person); err != nil {
			return err
		} else if len(keys) == 0 {
			return tenant.Refuse(tenant.ErrConflict, "`seawall person enrol` gives them a link at once", "%s has no passkey to recover from", p.Login)
		}
		old, err := recoveryOf(x, tenantID, person)
		if err == nil && old.Live(x.now) {
			return tenant.Refuse(tenant.ErrConflict, "approve it, or wait", "a recovery of %s is under way, asked for by %s", p.Login, old.RequestedBy)
		}
		if err != nil && !errors.Is(err, tenant.ErrNotFound) {
			return err
		}
		if err := x.exec(`delete from recovery where tenant = $1 and person = $2`, tenantID, person); err != nil {
			return err
		}
		voice, _, err := voiceOf(x, by)
		if err != nil {
			return err
		}
		r = tenant.NewRecovery(tenantID, person, voice, x.now)
		return x.exec(`insert into recovery (`+recoveryColumns+`) values ($1, $2, $3, $4, $5, '', null)`, r.Tenant, r.Person, r.RequestedBy, millis(r.RequestedAt), r.FirstBy)
	})
	return r, err
}

// ApproveRecovery is the word of an administrator, the first or the second, by their name as entries have it. One that doesn't
// count is refused with [tenant.ErrConflict].
func (s *Store) ApproveRecovery(ctx context.Context, tenantID, person, by string) (r tenant.Recovery, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		whose, _, err := livePerson(x, tenantID, person)
		if err != nil {
			return err
		}
		if r, err = recoveryOf(x, tenantID, person); err != nil {
			return err
		}
		voice, speaker, err := voiceOf(x, by)
		if err != nil {
			return err
		}
		if r, err = r.Approve(voice, x.now); err != nil {
			return err
		}
		if err := (tenant.WaitingRecovery{Who: whose}).MayBeApprovedBy(speaker); err != nil {
			return err
		}
		return x.exec(`update recovery set first_by = $3, approved_by = $4, approved_at = $5 where tenant = $1 and person = $2`, tenantID, person, r.FirstBy, r.ApprovedBy, millis(r.ApprovedAt))
	})
	return r, err
}

// voiceOf returns what somebody's word is worth in a recovery, and who they are if they are a person.
func voiceOf(q querier, name string) (tenant.Voice, tenant.Person, error) {
	id, person := tenant.SpeakerID(name)
	if !person {
		return tenant.Voice{Name: name}, tenant.Person{}, nil
	}
	p, _, err := livePerson(q, tenant.Operators, id)
	if err != nil {
		return tenant.Voice{}, p, err
	}
	keys, err := passkeysOf(q, p.Tenant, p.ID)
	return tenant.VoiceOf(p, keys), p, err
}

// Recovery returns a person's recovery if one is under way, or [tenant.ErrNotFound].
func (s *Store) Recovery(ctx context.Context, tenantID, person string) (r tenant.Recovery, err error) {
	r, err = see(ctx, s, func(q querier) (tenant.Recovery, error) { return recoveryOf(q, tenantID, person) })
	if err == nil && !r.Live(s.now()) {
		err = noRecovery()
	}
	return r, err
}

// WaitingRecoveries returns the recoveries of all tenants that want an administrator's word, the oldest first.
func (s *Store) WaitingRecoveries(ctx context.Context) (waiting []tenant.WaitingRecovery, err error) {
	now := s.now()
	err = s.read(ctx, func(q querier) error {
		all, err := collect(q, scanRecovery, `select `+recoveryColumns+` from recovery where approved_at is null order by requested_at, tenant, person`)
		waiting = waiting[:0]
		for _, r := range all {
			if err != nil || !r.Live(now) {
				continue
			}
			var p tenant.Person
			if p, _, err = livePerson(q, r.Tenant, r.Person); errors.Is(err, tenant.ErrDisabled) {
				err = nil
				continue
			}
			waiting = append(waiting, tenant.WaitingRecovery{Recovery: r, Who: p})
		}
		return err
	})
	return waiting, err
}

// CancelRecovery ends a recovery, and a link that came of it, and reports whether there was one.
func (s *Store) CancelRecovery(ctx context.Context, tenantID, person string) (canceled bool, err error) {
	err = s.act(ctx, func(x *tx) error {
		r, err := x.affected(`delete from recovery where tenant = $1 and person = $2`, tenantID, person)
		if err != nil {
			return err
		}
		e, err := x.affected(`delete from enrolment where tenant = $1 and person = $2 and why = 'recovery'`, tenantID, person)
		canceled = r+e > 0
		return err
	})
	return canceled, err
}

func recoveryOf(q querier, tenantID, person string) (tenant.Recovery, error) {
	r, err := one(q, scanRecovery, `select `+recoveryColumns+` from recovery where tenant = $1 and person = $2`, tenantID, person)
	if errors.Is(err, sql.ErrNoRows) {
		err = noRecovery()
	}
	return r, err
}

func noRecovery() error {
	return tenant.Refuse(tenant.ErrNotFound, "ask for one with `seawall person recover`", "no recovery is under way")
}

// KeepBreakGlassCode keeps the hash of a principal's code, in place of an earlier one.
func (s *Store) KeepBreakGlassCode(ctx context.Context, c tenant.BreakGlassCode) error {
	return s.act(ctx, func(x *tx) error {
		p, _, err := livePerson(x, c.Tenant, c.Person)
		if err != nil {
			return err
		}
		if p.Kind != tenant.BreakGlass {
			return tenant.Refuse(tenant.ErrConflict, "", "%s is a person, and codes are for break-glass principals", p.Login)
		}
		if err := x.exec(`insert into break_glass_proof (tenant, person, sealed_at) values ($1, $2, $3)
			on conflict (tenant, person) do update set sealed_at = excluded.sealed_at, proven_at = null`, c.Tenant, c.Person, millis(c.IssuedAt)); err != nil {
			return err
		}
		return x.exec(`insert into break_glass_code (hash, tenant, person, issued_by, issued_at) values ($1, $2, $3, $4, $5)
			on conflict (tenant, person) do update set hash = excluded.hash, issued_by = excluded.issued_by, issued_at = excluded.issued_at`,
			c.Hash[:], c.Tenant, c.Person, c.IssuedBy, millis(c.IssuedAt))
	})
}

// BreakGlassHolder returns whose code this is, or [tenant.ErrNotFound].
func (s *Store) BreakGlassHolder(ctx context.Context, tenantID string, code secret.Hash) (string, error) {
	return see(ctx, s, func(q querier) (string, error) {
		person, err := one(q, scanText, `select person from break_glass_code where hash = $1 and tenant = $2`, code[:], tenantID)
		return person, noCode(err, tenantID)
	})
}

func noCode(err error, tenantID string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return tenant.Refuse(tenant.ErrNotFound, "check the tenant, and that nobody has used the code", "this is no break-glass code of %s", tenantID)
	}
	return err
}

// BreakGlass uses a code up and keeps a link for its principal instead, in one act: of any number of calls one succeeds,
// the others get [tenant.ErrNotFound]. It returns the link as kept.
func (s *Store) BreakGlass(ctx context.Context, tenantID string, code secret.Hash, e tenant.Enrolment) (tenant.Enrolment, error) {
	err := s.act(ctx, func(x *tx) error {
		person, err := one(x, scanText, `delete from break_glass_code where hash = $1 and tenant = $2 returning person`, code[:], tenantID)
		if err != nil {
			return noCode(err, tenantID)
		}
		e.Tenant, e.Person, e.Why = tenantID, person, tenant.GlassBroken
		if _, _, err := livePerson(x, tenantID, person); err != nil {
			return err
		}
		if err := x.exec(`insert into break_glass_proof (tenant, person, used_at) values ($1, $2, $3)
			on conflict (tenant, person) do update set used_at = excluded.used_at`, tenantID, person, x.now.UnixMilli()); err != nil {
			return err
		}
		return x.insertEnrolment(e)
	})
	return e, err
}

// GlassProofs returns when the codes of a tenant's break-glass principals were made, used and proven, by id of the principal.
func (s *Store) GlassProofs(ctx context.Context, tenantID string) (map[string]tenant.GlassProof, error) {
	return see(ctx, s, func(q querier) (map[string]tenant.GlassProof, error) { return glassProofs(q, tenantID) })
}

func glassProofs(q querier, tenantID string) (map[string]tenant.GlassProof, error) {
	proofs := map[string]tenant.GlassProof{}
	_, err := collect(q, func(scan func(...any) error) (id string, err error) {
		var sealed, used, proven sql.NullInt64
		err = scan(&id, &sealed, &used, &proven)
		proofs[id] = tenant.GlassProof{SealedAt: fromMillis(sealed), UsedAt: fromMillis(used), ProvenAt: fromMillis(proven)}
		return id, err
	}, `select person, sealed_at, used_at, proven_at from break_glass_proof where tenant = $1`, tenantID)
	return proofs, err
}

// ProveBreakGlass notes that a code works, and returns whose it is; the code stays good. Otherwise [tenant.ErrNotFound].
func (s *Store) ProveBreakGlass(ctx context.Context, tenantID string, code secret.Hash) (person string, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		if person, err = one(x, scanText, `select person from break_glass_code where hash = $1 and tenant = $2`, code[:], tenantID); err != nil {
			return noCode(err, tenantID)
		}
		return x.exec(`update break_glass_proof set proven_at = $3 where tenant = $1 and person = $2`, tenantID, person, x.now.UnixMilli())
	})
	return person, err
}

func scanEnrolment(scan func(...any) error) (e tenant.Enrolment, err error) {
	var hash []byte
	var issued, expires sql.NullInt64
	err = scan(&hash, &e.Tenant, &e.Person, &e.Why, &e.IssuedBy, &issued, &expires)
	copy(e.Hash[:], hash)
	e.IssuedAt, e.ExpiresAt = fromMillis(issued), fromMillis(expires)
	return e, err
}

func scanRecovery(scan func(...any) error) (r tenant.Recovery, err error) {
	var requested, approved sql.NullInt64
	err = scan(&r.Tenant, &r.Person, &r.RequestedBy, &requested, &r.FirstBy, &r.ApprovedBy, &approved)
	r.RequestedAt, r.ApprovedAt = fromMillis(requested), fromMillis(approved)
	return r, err
}
