package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"seawall/internal/tenant"
)

const personColumns = `tenant, id, handle, kind, login, name, role, created_at, disabled_at`

// CreatePerson keeps a new person of a live tenant and returns them as they were kept. It fails with
// [tenant.ErrUsedBefore] if the subject was ever given out, and with [tenant.ErrExists] if somebody who is not disabled
// has the login.
func (s *Store) CreatePerson(ctx context.Context, p tenant.Person) (tenant.Person, error) {
	p.DisabledAt = time.Time{}
	p, err := tenant.NewPerson(p)
	if err != nil {
		return tenant.Person{}, err
	}
	if p.Kind != tenant.Human {
		return tenant.Person{}, tenant.Refuse(tenant.ErrConflict, "run `seawall tenant complete "+p.Tenant+"`", "break-glass principals are made with their tenant")
	}
	err = s.act(ctx, func(x *tx) error {
		if _, err := liveTenant(x, p.Tenant); err != nil {
			return err
		}
		return x.insertPerson(p)
	})
	return p, err
}

// insertPerson gives out the subject and keeps the person.
func (x *tx) insertPerson(p tenant.Person) error {
	same, err := collect(x, scanPerson, `select `+personColumns+` from person where tenant = $1 and login = $2 and disabled_at is null`, p.Tenant, p.Login)
	if err != nil {
		return err
	}
	if len(same) > 0 {
		return tenant.Refuse(tenant.ErrExists, "see `seawall person list --tenant "+p.Tenant+"`", "there is already a person %s in %s", p.Login, p.Tenant)
	}
	if ok, err := x.take("subject/"+p.Tenant, p.ID); err != nil {
		return err
	} else if !ok {
		return taken(false, "a person", p.ID)
	}
	return x.exec(`insert into person (`+personColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, null)`,
		p.Tenant, p.ID, p.Handle[:], string(p.Kind), p.Login, p.Name, string(p.Role), millis(p.CreatedAt))
}

// Person returns a person by subject or, if they are not disabled, by login, or [tenant.ErrNotFound].
func (s *Store) Person(ctx context.Context, tenantID, name string) (tenant.Person, error) {
	return see(ctx, s, func(q querier) (tenant.Person, error) { return personNamed(q, tenantID, name) })
}

func personNamed(q querier, tenantID, name string) (tenant.Person, error) {
	p, err := one(q, scanPerson, `select `+personColumns+` from person where tenant = $1 and (id = $2 or login = $2 and disabled_at is null) order by id = $2 desc limit 1`, tenantID, name)
	return p, noPerson(err, tenantID, name)
}

func personByID(q querier, tenantID, id string) (tenant.Person, error) {
	p, err := one(q, scanPerson, `select `+personColumns+` from person where tenant = $1 and id = $2`, tenantID, id)
	return p, noPerson(err, tenantID, id)
}

func noPerson(err error, tenantID, name string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return tenant.Refuse(tenant.ErrNotFound, "see `seawall person list --tenant "+tenantID+"`", "there is no person %.70q in %s", name, tenantID)
	}
	return err
}

// livePerson returns a person who may get a passkey, with their tenant.
func livePerson(q querier, tenantID, id string) (tenant.Person, tenant.Tenant, error) {
	t, err := liveTenant(q, tenantID)
	if err != nil {
		return tenant.Person{}, t, err
	}
	p, err := personByID(q, tenantID, id)
	if err == nil && !p.Live() {
		err = tenant.Refuse(tenant.ErrDisabled, "a disabled person stays disabled: create another", "the person %s is disabled", id)
	}
	return p, t, err
}

// PersonByHandle returns the person whom authenticators know by a handle, if they are of this tenant, or
// [tenant.ErrNotFound]. A handle of another tenant's person is nobody here.
func (s *Store) PersonByHandle(ctx context.Context, tenantID string, handle []byte) (tenant.Person, error) {
	p, err := one(s.alone(ctx), scanPerson, `select `+personColumns+` from person where tenant = $1 and handle = $2`, tenantID, handle)
	return p, s.readError(noPerson(err, tenantID, "with this passkey"))
}

// People returns all people of a tenant by login, disabled ones too. A tenant that is not there is [tenant.ErrNotFound].
func (s *Store) People(ctx context.Context, tenantID string) ([]tenant.Person, error) {
	return see(ctx, s, func(q querier) ([]tenant.Person, error) {
		if _, err := tenantByID(q, tenantID); err != nil {
			return nil, err
		}
		return peopleOf(q, tenantID)
	})
}

func peopleOf(q querier, tenantID string) ([]tenant.Person, error) {
	return collect(q, scanPerson, `select `+personColumns+` from person where tenant = $1 order by login, id`, tenantID)
}

// everybody returns a tenant's people and how each of them gets in: what tells whether somebody may leave.
func everybody(q querier, tenantID string) (people []tenant.Person, ways map[string]tenant.Ways, err error) {
	if people, err = peopleOf(q, tenantID); err != nil {
		return nil, nil, err
	}
	t, err := tenantByID(q, tenantID)
	if err != nil {
		return nil, nil, err
	}
	ways, err = waysIn(q, t)
	return people, ways, err
}

// DisablePerson stops a person for good and ends their sessions, links, codes, recovery and what applications have of them
// in the same act, and owes it to the ledger that their access tokens end. The last owner who could get in is refused with [tenant.ErrConflict]. Doing it again changes nothing.
func (s *Store) DisablePerson(ctx context.Context, tenantID, id string) (p tenant.Person, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		if p, err = personByID(x, tenantID, id); err != nil || !p.Live() {
			return err
		}
		people, ways, err := everybody(x, tenantID)
		if err != nil {
			return err
		}
		if err := tenant.MayLeave(p, people, ways); err != nil {
			return err
		}
		x.changed = true
		if err := x.exec(`update person set disabled_at = $3 where tenant = $1 and id = $2`, tenantID, id, x.now.UnixMilli()); err != nil {
			return err
		}
		if _, err := x.revokeFamilies(`tenant = $1 and person = $2`, tenantID, id); err != nil {
			return err
		}
		if _, err := x.revokeGiven(`tenant = $1 and person = $2`, tenantID, id); err != nil {
			return err
		}
		for _, table := range []string{"consent", "browser_session", "enrolment", "break_glass_code", "recovery", "ceremony"} {
			if err := x.exec(`delete from `+table+` where tenant = $1 and person = $2`, tenantID, id); err != nil {
				return err
			}
		}
		if err := x.owe(tenant.Owed{Tenant: tenantID, Kind: tenant.DistrustPerson, Person: id, Actor: tenant.ActorHouse}); err != nil {
			return err
		}
		p, err = personByID(x, tenantID, id)
		return err
	})
	return p, err
}

// SetRole gives a person another role. The last owner who could get in keeps theirs: [tenant.ErrConflict]. With the role
// their link and their recovery are gone: whoever was let in to less must not find more behind the door.
func (s *Store) SetRole(ctx context.Context, tenantID, id string, role tenant.Role) (p tenant.Person, err error) {
	err = s.act(ctx, func(x *tx) (err error) {
		if p, err = personByID(x, tenantID, id); err != nil || p.Role == role {
			return err
		}
		people, ways, err := everybody(x, tenantID)
		if err != nil {
			return err
		}
		if p, err = p.WithRole(role, people, ways); err != nil {
			return err
		}
		for _, table := range []string{"enrolment", "recovery", "ceremony"} {
			if err := x.exec(`delete from `+table+` where tenant = $1 and person = $2`, tenantID, id); err != nil {
				return err
			}
		}
		x.changed = true
		return x.exec(`update person set role = $3 where tenant = $1 and id = $2`, tenantID, id, string(role))
	})
	return p, err
}

// CompleteTenant makes a tenant's break-glass principals if it has none, and sets its owner, contacts and what it asks of
// passkeys, each if given. Whatever is there stays; doing it again changes nothing. Asking for passkeys that no owner has
// is refused with [tenant.ErrConflict]. What applications have by passkeys that are not admitted any more is suspended in the
// same act.
func (s *Store) CompleteTenant(ctx context.Context, given tenant.Tenant) (t tenant.Tenant, err error) {
	err = s.act(ctx, func(x *tx) error {
		before, err := liveTenant(x, given.ID)
		if err != nil {
			return err
		}
		if t, err = before.Completed(given); err != nil {
			return err
		}
		if err := x.mayAsk(before, t); err != nil {
			return err
		}
		x.changed = true
		if err := x.exec(`update tenant set owner = $2, contacts = $3, passkeys = $4, models = $5 where id = $1`,
			t.ID, t.Owner, toJSON(t.Contacts), string(t.Passkeys), toJSON(t.Models)); err != nil {
			return err
		}
		if t.Passkeys != before.Passkeys || !slices.Equal(t.Models, before.Models) {
			if err := x.suspendLesser(t); err != nil {
				return err
			}
		}
		return x.completePeople(t.ID)
	})
	return t, err
}

// mayAsk refuses a change of what a tenant asks of passkeys that nobody's would survive who is needed.
func (x *tx) mayAsk(before, after tenant.Tenant) error {
	people, err := peopleOf(x, before.ID)
	if err != nil {
		return err
	}
	had, err := waysIn(x, before)
	if err != nil {
		return err
	}
	have, err := waysIn(x, after)
	if err != nil {
		return err
	}
	return tenant.MayAsk(people, had, have)
}

// completePeople makes the break-glass principals that are missing.
func (x *tx) completePeople(tenantID string) error {
	people, err := peopleOf(x, tenantID)
	if err != nil {
		return err
	}
	both, err := tenant.BreakGlassPeople(tenantID, x.now)
	if err != nil {
		return err
	}
	for _, p := range both {
		if slices.ContainsFunc(people, func(old tenant.Person) bool { return old.Login == p.Login && old.Kind == tenant.BreakGlass }) {
			continue
		}
		if err := x.insertPerson(p); err != nil {
			return err
		}
	}
	return nil
}

// WaysIn returns the ways in of each person of a tenant, by subject, as t asks of passkeys: what the tenant asks for now, or
// what it might.
func (s *Store) WaysIn(ctx context.Context, t tenant.Tenant) (map[string]tenant.Ways, error) {
	return see(ctx, s, func(q querier) (map[string]tenant.Ways, error) { return waysIn(q, t) })
}

func waysIn(q querier, t tenant.Tenant) (map[string]tenant.Ways, error) {
	ways := map[string]tenant.Ways{}
	keys, err := collect(q, scanWay, `select person, flags, aaguid, attested, used_at from passkey where tenant = $1 and suspended_at is null`, t.ID)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		w := ways[k.Person]
		if t.SignsIn(k) == nil {
			w.Passkeys++
			w.Proven = later(w.Proven, k.UsedAt)
		} else {
			w.Lesser++
		}
		ways[k.Person] = w
	}
	codes, err := collect(q, scanText, `select person from break_glass_code where tenant = $1`, t.ID)
	if err != nil {
		return nil, err
	}
	proofs, err := glassProofs(q, t.ID)
	for person, proof := range proofs {
		w := ways[person]
		w.Code = slices.Contains(codes, person)
		w.CodeUsed = !w.Code && !proof.UsedAt.IsZero()
		w.Proven = later(w.Proven, proof.ProvenAt)
		ways[person] = w
	}
	return ways, err
}

// scanWay reads of a passkey that is not suspended what [tenant.Tenant.SignsIn] looks at, and when it was used.
func scanWay(scan func(...any) error) (k tenant.Passkey, err error) {
	var flags, attested int64
	var aaguid []byte
	var used sql.NullInt64
	err = scan(&k.Person, &flags, &aaguid, &attested, &used)
	copy(k.AAGUID[:], aaguid)
	k.Flags, k.Attested, k.UsedAt = byte(flags), attested == 1, fromMillis(used)
	return k, err
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func scanText(scan func(...any) error) (text string, err error) {
	err = scan(&text)
	return text, err
}

func scanPerson(scan func(...any) error) (p tenant.Person, err error) {
	var handle []byte
	var created, disabled sql.NullInt64
	err = scan(&p.Tenant, &p.ID, &handle, &p.Kind, &p.Login, &p.Name, &p.Role, &created, &disabled)
	copy(p.Handle[:], handle)
	p.CreatedAt, p.DisabledAt = fromMillis(created), fromMillis(disabled)
	return p, err
}
