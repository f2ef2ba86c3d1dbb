package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

const sessionColumns = `hash, id, tenant, person, passkey, acr, amr, device, place, at, seen_at, earlier, known`

// seenEvery is how exactly the last use of a session is kept: a page view should not cost a write.
const seenEvery = time.Minute

// insertSession keeps a session, and forgets some that nobody has used for as long as one lives: by then those that have
// reached their longest time are among them.
func (x *tx) insertSession(n tenant.Session) error {
	if err := x.exec(`delete from browser_session where hash in (select hash from browser_session where seen_at <= $1 order by seen_at limit $2)`, x.now.Add(-tenant.SessionIdle).UnixMilli(), forgotten); err != nil {
		return err
	}
	return x.exec(`insert into browser_session (`+sessionColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		n.Hash[:], n.ID, n.Tenant, n.Person, n.Passkey, n.ACR, listJSON(n.AMR), n.Device, n.Place, millis(n.At), millis(n.SeenAt), listJSON(n.Earlier), bit(n.Known))
}

// Session returns the live session of a tenant with this hash and its person, or [tenant.ErrNotFound], and notes that it
// was used. A session whose person, passkey or tenant stopped working is not found.
func (s *Store) Session(ctx context.Context, tenantID string, hash secret.Hash) (n tenant.Session, p tenant.Person, err error) {
	now := s.now()
	err = s.read(ctx, func(q querier) (err error) {
		if n, err = one(q, scanSession, `select `+sessionColumns+` from browser_session where hash = $1 and tenant = $2`, hash[:], tenantID); err != nil {
			return err
		}
		var t tenant.Tenant
		if p, t, err = livePerson(q, tenantID, n.Person); err != nil {
			return err
		}
		k, err := passkeyOf(q, tenantID, n.Person, n.Passkey)
		if err == nil && (t.SignsIn(k) != nil || !n.Live(now)) {
			err = sql.ErrNoRows
		}
		return err
	})
	if errors.Is(err, sql.ErrNoRows) || errors.Is(err, tenant.ErrNotFound) || errors.Is(err, tenant.ErrDisabled) {
		return tenant.Session{}, tenant.Person{}, tenant.Refuse(tenant.ErrNotFound, "sign in again", "nobody is signed in here")
	}
	if err != nil || now.Sub(n.SeenAt) < seenEvery {
		return n, p, err
	}
	n.SeenAt = time.UnixMilli(now.UnixMilli()).UTC()
	return n, p, s.act(ctx, func(x *tx) error {
		return x.exec(`update browser_session set seen_at = $2 where hash = $1 and seen_at < $2`, hash[:], n.SeenAt.UnixMilli())
	})
}

// Sessions returns a person's live sessions, the one used last first: those that [Store.Session] finds.
func (s *Store) Sessions(ctx context.Context, tenantID, person string) (live []tenant.Session, err error) {
	now := s.now()
	err = s.read(ctx, func(q querier) error {
		t, err := tenantByID(q, tenantID)
		if err != nil {
			return err
		}
		keys, err := passkeysOf(q, tenantID, person)
		if err != nil {
			return err
		}
		all, err := collect(q, scanSession, `select `+sessionColumns+` from browser_session where tenant = $1 and person = $2 order by seen_at desc, id`, tenantID, person)
		live = live[:0]
		for _, n := range all {
			good := slices.ContainsFunc(keys, func(k tenant.Passkey) bool { return bytes.Equal(k.ID, n.Passkey) && t.SignsIn(k) == nil })
			if good && n.Live(now) {
				live = append(live, n)
			}
		}
		return err
	})
	return live, err
}

// EndSessions ends sessions of a person and what came of them, in one act: codes, refresh families, as far as e says, and what
// the ledger must hear, so that access tokens end too. It returns how many there were.
func (s *Store) EndSessions(ctx context.Context, e tenant.Ending) (ended int, err error) {
	err = s.act(ctx, func(x *tx) error {
		which, name := `id = $3`, e.Session
		if name == "" {
			which, name = `id <> $3`, e.Except
		}
		gone, err := x.deleteSessions(which, e.Tenant, e.Person, name)
		if ended = len(gone); err != nil {
			return err
		}
		return x.sessionEnds(e, gone)
	})
	return ended, err
}

// deleteSessions removes those of a person's sessions that a condition names; its parameters begin with $3.
func (x *tx) deleteSessions(which, tenantID, person string, args ...any) ([]tenant.Session, error) {
	return collect(x, scanSession, `delete from browser_session where tenant = $1 and person = $2 and `+which+` returning `+sessionColumns, append([]any{tenantID, person}, args...)...)
}

// sessionEnds ends what came of sessions that are gone: every code and what it gave, and the refresh families, but those that may
// outlive a session that is signed out of. Tokens that name what ended are the ledger's to distrust.
func (x *tx) sessionEnds(e tenant.Ending, gone []tenant.Session) error {
	where, name := `tenant = $1 and person = $2 and session = $4`, e.Session
	if name == "" {
		where, name = `tenant = $1 and person = $2 and session <> $4`, e.Except
	}
	if err := x.endCodes(where, e.Tenant, e.Person, name); err != nil {
		return err
	}
	codes, err := x.revokeGiven(where, e.Tenant, e.Person, name)
	if err != nil {
		return err
	}
	if e.SignOut {
		where += ` and offline = 0`
	}
	families, err := x.revokeFamilies(where, e.Tenant, e.Person, name)
	if err != nil {
		return err
	}
	if e.All() {
		return x.owe(tenant.Owed{Tenant: e.Tenant, Kind: tenant.DistrustPerson, Person: e.Person, Actor: e.Actor})
	}
	return x.oweSessions(e, gone, families, codes)
}

// oweSessions owes it to the ledger that nothing is to be believed that names a session of what has ended. It is owed while such a token
// lives; of a session from before tokens were remembered nobody knows.
func (x *tx) oweSessions(e tenant.Ending, gone []tenant.Session, families []tenant.Family, codes []tenant.Code) error {
	last, err := x.living(e.Tenant, e.Person)
	if err != nil {
		return err
	}
	ends := map[string]time.Time{}
	for _, f := range families {
		ends[f.SID] = last[f.SID]
	}
	for _, c := range codes {
		ends[c.Session] = last[c.Session]
	}
	maps.DeleteFunc(ends, func(_ string, end time.Time) bool { return end.IsZero() })
	for _, n := range gone {
		for _, id := range n.Named(x.now) {
			if end, lives := last[id]; !n.Known {
				ends[id] = time.Time{}
			} else if lives {
				ends[id] = end
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(ends)) {
		if err := x.oweOnce(tenant.Owed{Tenant: e.Tenant, Kind: tenant.DistrustSession, Person: e.Person, Session: id, Actor: e.Actor, Ends: ends[id]}); err != nil {
			return err
		}
	}
	return nil
}

// living returns, by the session that it names, when the last access token ends of those that live of a person's applications. What lives
// was given in its family's last use, or in a replay of that, or by a code that is not forgotten.
func (x *tx) living(tenantID, person string) (map[string]time.Time, error) {
	last := map[string]time.Time{}
	note := func(session string, given ...tenant.Released) {
		for _, token := range given {
			if token.ExpiresAt.After(x.now) && token.ExpiresAt.After(last[session]) {
				last[session] = token.ExpiresAt
			}
		}
	}
	since := x.now.Add(-tenant.LongestLifetime - tenant.BoundReplay).UnixMilli()
	families, err := collect(x, scanFamily, `select `+familyColumns+` from family where tenant = $1 and person = $2 and used_at >= $3`, tenantID, person, since)
	if err != nil {
		return nil, err
	}
	for _, f := range families {
		note(f.SID, f.Released...)
	}
	codes, err := collect(x, scanCode, `select `+codeColumns+` from code where tenant = $1 and person = $2 and redeemed_at is not null and forget_at > $3`, tenantID, person, x.now.UnixMilli())
	for _, c := range codes {
		note(c.Session, c.Gave)
	}
	return last, err
}

// BeginCeremony remembers a challenge until it is consumed or its time is over.
func (s *Store) BeginCeremony(ctx context.Context, c tenant.Ceremony) error {
	return s.act(ctx, func(x *tx) error {
		if err := x.forget("ceremony"); err != nil {
			return err
		}
		return x.exec(`insert into ceremony (challenge, browser, kind, tenant, person, enrolment, state, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
			c.Challenge[:], c.Browser[:], string(c.Kind), c.Tenant, c.Person, hashOrNull(c.Enrolment), c.State, millis(c.ExpiresAt))
	})
}

func hashOrNull(h secret.Hash) any {
	if h == (secret.Hash{}) {
		return nil
	}
	return h[:]
}

// forgotten is how many rows whose time is over go for each new one: more than one, so that a table does not grow beyond
// what is live, and few, so that nobody waits for it.
const forgotten = 2

// forget removes some rows whose time is over, found by index.
func (x *tx) forget(table string) error {
	key := "hash"
	if table == "ceremony" {
		key = "challenge"
	}
	return x.exec(`delete from `+table+` where `+key+` in (select `+key+` from `+table+` where expires_at <= $1 order by expires_at limit $2)`, x.now.UnixMilli(), forgotten)
}

// HasCeremony reports whether a browser has begun a ceremony with this challenge that is not over. It consumes nothing.
func (s *Store) HasCeremony(ctx context.Context, tenantID string, challenge, browser secret.Hash) (has bool, err error) {
	now := s.now()
	err = s.read(ctx, func(q querier) error {
		c, err := one(q, scanCeremony, `select challenge, browser, kind, tenant, person, enrolment, state, expires_at from ceremony where challenge = $1`, challenge[:])
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		has = err == nil && c.Tenant == tenantID && c.Browser == browser && now.Before(c.ExpiresAt)
		return err
	})
	return has, err
}

// ConsumeCeremony returns the ceremony of a challenge and forgets it: of any number of calls one gets it, whatever comes
// of the ceremony, across restarts too. It must have been begun by this browser for this kind and tenant; otherwise, or
// when it is over, [tenant.ErrNotFound], and it is spent all the same.
func (s *Store) ConsumeCeremony(ctx context.Context, tenantID string, kind tenant.CeremonyKind, challenge, browser secret.Hash) (tenant.Ceremony, error) {
	var c tenant.Ceremony
	found := false
	err := s.act(ctx, func(x *tx) (err error) {
		found = false
		c, err = one(x, scanCeremony, `delete from ceremony where challenge = $1 returning challenge, browser, kind, tenant, person, enrolment, state, expires_at`, challenge[:])
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		found = err == nil && c.Tenant == tenantID && c.Kind == kind && c.Browser == browser && x.now.Before(c.ExpiresAt)
		return err
	})
	if err == nil && !found {
		return tenant.Ceremony{}, tenant.Refuse(tenant.ErrNotFound, "begin again", "this challenge was used, is over, or is another browser's")
	}
	return c, err
}

// SaveInteraction remembers what somebody was about to do.
func (s *Store) SaveInteraction(ctx context.Context, i tenant.Interaction) error {
	return s.act(ctx, func(x *tx) error {
		if err := x.forget("interaction"); err != nil {
			return err
		}
		return x.exec(`insert into interaction (hash, tenant, demand, expires_at) values ($1, $2, $3, $4)`, i.Hash[:], i.Tenant, toJSON(i), millis(i.ExpiresAt))
	})
}

// Interaction returns what somebody was about to do, or [tenant.ErrNotFound].
func (s *Store) Interaction(ctx context.Context, tenantID string, hash secret.Hash) (i tenant.Interaction, err error) {
	i, err = one(s.alone(ctx), scanInteraction, `select hash, tenant, demand, expires_at from interaction where hash = $1 and tenant = $2`, hash[:], tenantID)
	return i, s.readError(interactionOver(i, err, s.now()))
}

// ConsumeInteraction returns what somebody was about to do and forgets it: one call gets it.
func (s *Store) ConsumeInteraction(ctx context.Context, tenantID string, hash secret.Hash) (i tenant.Interaction, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		i, err = one(x, scanInteraction, `delete from interaction where hash = $1 and tenant = $2 returning hash, tenant, demand, expires_at`, hash[:], tenantID)
		return err
	})
	return i, interactionOver(i, err, s.now())
}

func interactionOver(i tenant.Interaction, err error, now time.Time) error {
	if errors.Is(err, sql.ErrNoRows) || err == nil && !now.Before(i.ExpiresAt) {
		return tenant.Refuse(tenant.ErrNotFound, "go back to the application and begin again", "this sign-in was finished already, or took too long")
	}
	return err
}

func scanSession(scan func(...any) error) (n tenant.Session, err error) {
	var hash []byte
	var at, seen sql.NullInt64
	var known int64
	err = scan(&hash, &n.ID, &n.Tenant, &n.Person, &n.Passkey, &n.ACR, column{&n.AMR}, &n.Device, &n.Place, &at, &seen, column{&n.Earlier}, &known)
	copy(n.Hash[:], hash)
	n.At, n.SeenAt, n.Known = fromMillis(at), fromMillis(seen), known == 1
	return n, err
}

func scanCeremony(scan func(...any) error) (c tenant.Ceremony, err error) {
	var challenge, browser, enrolment []byte
	var expires sql.NullInt64
	err = scan(&challenge, &browser, &c.Kind, &c.Tenant, &c.Person, &enrolment, &c.State, &expires)
	copy(c.Challenge[:], challenge)
	copy(c.Browser[:], browser)
	copy(c.Enrolment[:], enrolment)
	c.ExpiresAt = fromMillis(expires)
	return c, err
}

func scanInteraction(scan func(...any) error) (i tenant.Interaction, err error) {
	var hash []byte
	var tenantID string
	var expires sql.NullInt64
	err = scan(&hash, &tenantID, column{&i}, &expires)
	copy(i.Hash[:], hash)
	i.Tenant, i.ExpiresAt = tenantID, fromMillis(expires)
	return i, err
}
