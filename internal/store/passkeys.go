package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

const passkeyColumns = `id, tenant, person, name, public_key, flags, counter, aaguid, transports, format, attested, hardware, attestation, created_at, used_at, suspended_at, suspended_why`

// Passkeys returns a person's passkeys, the oldest first, suspended ones too.
func (s *Store) Passkeys(ctx context.Context, tenantID, person string) ([]tenant.Passkey, error) {
	keys, err := passkeysOf(s.alone(ctx), tenantID, person)
	return keys, s.readError(err)
}

func passkeysOf(q querier, tenantID, person string) ([]tenant.Passkey, error) {
	return collect(q, scanPasskey, `select `+passkeyColumns+` from passkey where tenant = $1 and person = $2 order by created_at, id`, tenantID, person)
}

func passkeyOf(q querier, tenantID, person string, id []byte) (tenant.Passkey, error) {
	k, err := one(q, scanPasskey, `select `+passkeyColumns+` from passkey where tenant = $1 and person = $2 and id = $3`, tenantID, person, id)
	if errors.Is(err, sql.ErrNoRows) {
		err = tenant.Refuse(tenant.ErrNotFound, "", "this person has no such passkey")
	}
	return k, err
}

// AddPasskey keeps one more passkey of a person who is signed in.
func (s *Store) AddPasskey(ctx context.Context, k tenant.Passkey) (tenant.Passkey, error) {
	k, err := tenant.NewPasskey(k)
	if err != nil {
		return tenant.Passkey{}, err
	}
	return k, s.act(ctx, func(x *tx) error { return x.insertPasskey(k) })
}

// insertPasskey keeps a passkey if its person and tenant admit it. A credential id is in the database once.
func (x *tx) insertPasskey(k tenant.Passkey) error {
	_, t, err := livePerson(x, k.Tenant, k.Person)
	if err != nil {
		return err
	}
	if err := t.AdmitsPasskey(k); err != nil {
		return err
	}
	all, err := passkeysOf(x, k.Tenant, k.Person)
	if err != nil {
		return err
	}
	if live(all) >= tenant.MaxPasskeys {
		return tenant.Refuse(tenant.ErrConflict, "remove one first", "a person has at most %d passkeys", tenant.MaxPasskeys)
	}
	n, err := x.affected(`insert into passkey (`+passkeyColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, null, null, '') on conflict (id) do nothing`,
		k.ID, k.Tenant, k.Person, k.Name, k.Key, int64(k.Flags), int64(k.Count), k.AAGUID[:], toJSON(k.Transports), k.Format,
		bit(k.Attested), bit(k.Hardware), append([]byte{}, k.Attestation...), millis(k.CreatedAt))
	if err == nil && n == 0 {
		return tenant.Refuse(tenant.ErrExists, "use another authenticator", "this passkey is registered already")
	}
	return err
}

// live counts the passkeys that work.
func live(all []tenant.Passkey) (n int) {
	for _, k := range all {
		if k.Live() {
			n++
		}
	}
	return n
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// RenamePasskey gives a passkey another name.
func (s *Store) RenamePasskey(ctx context.Context, tenantID, person string, id []byte, name string) (k tenant.Passkey, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		if k, err = passkeyOf(x, tenantID, person, id); err != nil {
			return err
		}
		k.Name = name
		if k, err = tenant.NewPasskey(k); err != nil {
			return err
		}
		return x.exec(`update passkey set name = $2 where id = $1`, id, k.Name)
	})
	return k, err
}

// RemovePasskey removes a passkey and ends all that began with it, in one act: the sessions that it opened and what came of them, and
// what applications have that began in one of those, whatever became of it since, also what may outlive signing out. The last one that
// signs them in stays: nobody shuts themselves out, [tenant.ErrConflict].
func (s *Store) RemovePasskey(ctx context.Context, tenantID, person string, id []byte) (k tenant.Passkey, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		if k, err = passkeyOf(x, tenantID, person, id); err != nil {
			return err
		}
		t, err := tenantByID(x, tenantID)
		if err != nil {
			return err
		}
		others, err := passkeysOf(x, tenantID, person)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(others, func(o tenant.Passkey) bool { return !bytes.Equal(o.ID, id) && t.SignsIn(o) == nil }) {
			return tenant.Refuse(tenant.ErrConflict, "add another one first", "this is the last passkey that works")
		}
		gone, err := x.deleteSessions(`passkey = $3`, tenantID, person, id)
		if err != nil {
			return err
		}
		for _, n := range gone {
			e := tenant.Ending{Tenant: tenantID, Person: person, Session: n.ID, Actor: tenant.ActorPerson(person), SignOut: true}
			if err := x.sessionEnds(e, []tenant.Session{n}); err != nil {
				return err
			}
		}
		if err := x.endBegun(k, tenant.ActorPerson(person)); err != nil {
			return err
		}
		return x.exec(`delete from passkey where id = $1`, id)
	})
	return k, err
}

// endBegun ends what began with a passkey, wherever it went on: codes, what they gave, and refresh families. A session is opened by one
// passkey, so what names one in which any of that began is the ledger's to distrust, and nothing of another passkey with it.
func (x *tx) endBegun(k tenant.Passkey, actor string) error {
	const begun = `tenant = $1 and person = $2 and passkey = $4`
	if err := x.endCodes(begun, k.Tenant, k.Person, k.ID); err != nil {
		return err
	}
	codes, err := x.revokeGiven(begun, k.Tenant, k.Person, k.ID)
	if err != nil {
		return err
	}
	families, err := x.revokeFamilies(begun, k.Tenant, k.Person, k.ID)
	if err != nil {
		return err
	}
	return x.oweSessions(tenant.Ending{Tenant: k.Tenant, Person: k.Person, Actor: actor}, nil, families, codes)
}

// RestorePasskey brings back a passkey that was left behind when its person was recovered. One whose counter went back
// never comes back: [tenant.ErrConflict].
func (s *Store) RestorePasskey(ctx context.Context, tenantID, person string, id []byte) (k tenant.Passkey, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		_, t, err := livePerson(x, tenantID, person)
		if err != nil {
			return err
		}
		if k, err = passkeyOf(x, tenantID, person, id); err != nil {
			return err
		}
		all, err := passkeysOf(x, tenantID, person)
		if err != nil {
			return err
		}
		if err := k.Restorable(live(all)); err != nil {
			return err
		}
		k.SuspendedAt, k.SuspendedWhy = time.Time{}, ""
		if err := t.SignsIn(k); err != nil {
			return err
		}
		return x.exec(`update passkey set suspended_at = null, suspended_why = '' where id = $1`, id)
	})
	return k, err
}

// leaveBehind suspends all passkeys and refresh families of somebody who comes back by a recovery, and ends their sessions,
// codes and whatever they had begun: whoever has those now need not be who came back. It suspends, so that what turns up again can be
// restored.
func (x *tx) leaveBehind(tenantID, person string) error {
	if err := x.exec(`update passkey set suspended_at = $3, suspended_why = 'recovery' where tenant = $1 and person = $2 and suspended_at is null`, tenantID, person, x.now.UnixMilli()); err != nil {
		return err
	}
	if err := x.suspendAll(tenant.PersonRecovered, `person = $4`, tenantID, person); err != nil {
		return err
	}
	if err := x.endCodes(`tenant = $1 and person = $2`, tenantID, person); err != nil {
		return err
	}
	if _, err := x.revokeGiven(`tenant = $1 and person = $2`, tenantID, person); err != nil {
		return err
	}
	for _, table := range []string{"browser_session", "ceremony", "recovery"} {
		if err := x.exec(`delete from `+table+` where tenant = $1 and person = $2`, tenantID, person); err != nil {
			return err
		}
	}
	return x.owe(tenant.Owed{Tenant: tenantID, Kind: tenant.DistrustPerson, Person: person, Actor: tenant.ActorPerson(person)})
}

// SignIn notes that a passkey was used and opens a session, in one act. It ends the session that the browser had before,
// if replaces is its hash. A counter that did not grow (WebAuthn §6.1.1) suspends the passkey, opens nothing, and is
// [tenant.ErrCounter]: there are two of it. A passkey or a person that stopped working since they were read is refused too,
// and so is a passkey that is less than the tenant asks for by now: [tenant.ErrLesser].
func (s *Store) SignIn(ctx context.Context, session tenant.Session, used tenant.Passkey, replaces secret.Hash) error {
	cloned := false
	err := s.act(ctx, func(x *tx) error {
		cloned = false
		_, t, err := livePerson(x, session.Tenant, session.Person)
		if err != nil {
			return err
		}
		k, err := passkeyOf(x, session.Tenant, session.Person, used.ID)
		if err != nil {
			return err
		}
		if err := t.SignsIn(k); err != nil {
			return err
		}
		if (k.Count > 0 || used.Count > 0) && used.Count <= k.Count {
			cloned = true // and the suspension is kept, so the act succeeds
			if err := x.exec(`update passkey set suspended_at = $2, suspended_why = 'counter' where id = $1`, k.ID, x.now.UnixMilli()); err != nil {
				return err
			}
			return x.suspendBehind(k, tenant.ClonedPasskey)
		}
		if err := x.exec(`update passkey set counter = $2, flags = $3, used_at = $4 where id = $1`, k.ID, int64(used.Count), int64(used.Flags), x.now.UnixMilli()); err != nil {
			return err
		}
		return x.openSession(session, replaces)
	})
	if err == nil && cloned {
		return tenant.Refuse(tenant.ErrCounter, "use another passkey, and tell an administrator", "this passkey's counter went back, so there may be two of it: it is suspended")
	}
	return err
}

// openSession keeps the session of somebody who has just signed in, in the place of the one that the browser had.
func (x *tx) openSession(session tenant.Session, replaces secret.Hash) error {
	session.Known = true
	session, err := x.replaceSession(session, replaces)
	if err != nil {
		return err
	}
	return x.insertSession(session)
}

// replaceSession ends the session that a browser had. What was to last as long as that goes on with the new one if it is
// the same person's, who has just touched their authenticator again, and ends with it otherwise. A family that goes on keeps
// the passkey that it came of: its tokens still tell of that sign-in.
func (x *tx) replaceSession(session tenant.Session, replaces secret.Hash) (tenant.Session, error) {
	old, err := one(x, scanSession, `delete from browser_session where tenant = $1 and hash = $2 returning `+sessionColumns, session.Tenant, replaces[:])
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return session, nil
	case err != nil:
		return session, err
	case old.Person != session.Person:
		return session, x.sessionEnds(tenant.Ending{Tenant: old.Tenant, Person: old.Person, Session: old.ID, Actor: tenant.ActorHouse, SignOut: true}, []tenant.Session{old})
	}
	return session.After(old), x.exec(`update family set session = $4 where tenant = $1 and person = $2 and session = $3`, old.Tenant, old.Person, old.ID, session.ID)
}

// suspendLesser suspends the families that came of passkeys which a tenant doesn't admit by now, and ends such codes. What
// came of a passkey that is gone stops too: nobody can tell what it was.
func (x *tx) suspendLesser(t tenant.Tenant) error {
	if t.Passkeys == tenant.AnyPasskey {
		return nil
	}
	keys, err := collect(x, scanPasskey, `select `+passkeyColumns+` from passkey where tenant = $1`, t.ID)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if t.AdmitsPasskey(k) != nil {
			if err := x.suspendBehind(k, tenant.LesserPasskey); err != nil {
				return err
			}
		}
	}
	return x.suspendAll(tenant.LesserPasskey, `passkey not in (select id from passkey where tenant = $1)`, t.ID)
}

// suspendBehind suspends the families that came of a passkey, whatever became of their session, or that a session of it keeps
// alive, and ends such codes.
func (x *tx) suspendBehind(k tenant.Passkey, why tenant.Suspicion) error {
	const behind = `(passkey = $4 or session in (select id from browser_session where tenant = $1 and passkey = $4))`
	if err := x.suspendAll(why, behind, k.Tenant, k.ID); err != nil {
		return err
	}
	return x.endCodes(`tenant = $1 and person = $2 and `+behind, k.Tenant, k.Person, k.ID)
}

func scanPasskey(scan func(...any) error) (k tenant.Passkey, err error) {
	var flags, counter, attested, hardware int64
	var aaguid []byte
	var created, used, suspended sql.NullInt64
	err = scan(&k.ID, &k.Tenant, &k.Person, &k.Name, &k.Key, &flags, &counter, &aaguid, column{&k.Transports}, &k.Format,
		&attested, &hardware, &k.Attestation, &created, &used, &suspended, &k.SuspendedWhy)
	copy(k.AAGUID[:], aaguid)
	k.Flags, k.Count, k.Attested, k.Hardware = byte(flags), uint32(counter), attested == 1, hardware == 1
	k.CreatedAt, k.UsedAt, k.SuspendedAt = fromMillis(created), fromMillis(used), fromMillis(suspended)
	return k, err
}
