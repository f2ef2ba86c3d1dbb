package login

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/tenant"
)

// application is what a person has allowed one client, and what it made of that.
type application struct {
	ID        string
	Name      string
	Since     time.Time
	Used      time.Time // zero: nothing of it goes on now
	Until     time.Time // zero unless what it was given without more to come ends then
	Devices   int       // on which it goes on
	Away      bool      // it goes on when the person has signed out, too
	Suspended []suspension
	KnowsName bool            // it may see the person's name and login
	APIs      []tenant.Access // at which it may act for them
	terms     map[string]oauth.Scope
	families  []tenant.Family // that it has
	given     []tenant.Code   // by which it got what lives, and can't be renewed
}

// suspension is a family that gives nothing until the person says what it was.
type suspension struct {
	ID    string
	At    time.Time
	Why   string // key of the words for it
	Stays bool   // it may not go on: who wants it signs in to the application again
}

// suspicions are what a person is told of why an application is suspended.
var suspicions = map[tenant.Suspicion]string{
	tenant.OtherClient:     "account.whyclient",
	tenant.OtherKey:        "account.whykey",
	tenant.OlderGeneration: "account.whytwice",
	tenant.ReplaysInARow:   "account.whytwice",
	tenant.Forked:          "account.whytwice",
	tenant.ClonedPasskey:   "account.whypasskey",
	tenant.PersonRecovered: "account.whyrecovered",
	tenant.LesserPasskey:   "account.whylesser",
	tenant.SuspendedByHand: "account.whyadmin",
}

// applications returns what a person's applications have, suspended ones first, then by name.
func (d *Door) applications(v *visit, p tenant.Person) ([]application, error) {
	consents, err := d.Store.Consents(v.Context(), p.Tenant, p.ID)
	if err != nil {
		return nil, err
	}
	families, err := d.Store.Families(v.Context(), p.Tenant, p.ID)
	if err != nil {
		return nil, err
	}
	given, err := d.Store.Given(v.Context(), p.Tenant, p.ID)
	if err != nil {
		return nil, err
	}
	keys, err := d.Store.Passkeys(v.Context(), p.Tenant, p.ID)
	if err != nil {
		return nil, err
	}
	found := map[string]*application{}
	of := func(client string, since time.Time) *application {
		if found[client] == nil {
			found[client] = &application{ID: client, Since: since, terms: map[string]oauth.Scope{}}
		}
		if a := found[client]; since.Before(a.Since) {
			a.Since = since
		}
		return found[client]
	}
	for _, c := range consents {
		a := of(c.Client, c.GivenAt)
		for audience, scope := range c.Terms {
			a.allow(audience, scope)
		}
	}
	for _, f := range families { // of a trusted application there is no consent
		a := of(f.Client, f.CreatedAt)
		a.add(f, f.MayResume(*v.tenant, keys) != nil)
		for _, audience := range slices.Concat(f.Resources, []string{""}) {
			a.allow(audience, f.Scope)
		}
	}
	for _, c := range given {
		a := of(c.Client, c.RedeemedAt)
		a.given = append(a.given, c)
		a.Used, a.Until = latest(a.Used, c.RedeemedAt), latest(a.Until, c.Gave.ExpiresAt)
		for _, audience := range slices.Concat(c.Resources, []string{""}) {
			a.allow(audience, c.Scope)
		}
	}
	var all []application
	for id, a := range found {
		c, err := d.Store.Client(v.Context(), p.Tenant, id)
		if err != nil {
			return nil, err
		}
		if a.Name = c.Name; c.Live() { // a disabled one gets nothing, and never will
			a.settle(c)
			all = append(all, *a)
		}
	}
	slices.SortFunc(all, func(a, b application) int {
		if one, other := len(a.Suspended) > 0, len(b.Suspended) > 0; one != other {
			if one {
				return -1
			}
			return 1
		}
		return strings.Compare(strings.ToLower(a.Name)+a.ID, strings.ToLower(b.Name)+b.ID)
	})
	return all, nil
}

// allow adds what the person agreed to for one audience, "" for what concerns no API.
func (a *application) allow(audience string, scope oauth.Scope) {
	a.terms[audience] = slices.Concat(a.terms[audience], scope.Without(a.terms[audience]))
}

// settle says what it may do of what was agreed to, as the client is registered now.
func (a *application) settle(c tenant.Client) {
	for _, audience := range slices.Sorted(maps.Keys(a.terms)) {
		scope := a.terms[audience]
		a.KnowsName = a.KnowsName || scope.Has(oauth.ScopeProfile)
		if access, ok := c.Access(audience); ok {
			a.APIs = append(a.APIs, tenant.Access{Audience: audience, Scopes: scope.Without(scope.Without(access.Scopes))})
		}
	}
}

// add counts a family in. stays says that it may not go on if it is suspended.
func (a *application) add(f tenant.Family, stays bool) {
	a.families = append(a.families, f)
	a.Used = latest(a.Used, f.UsedAt)
	if a.Away = a.Away || f.Offline; f.SuspendedAt.IsZero() {
		a.Devices++
		return
	}
	why := f.Suspicion
	if stays {
		why = tenant.LesserPasskey // whatever else it is: that is what keeps it from going on
	}
	a.Suspended = append(a.Suspended, suspension{f.ID, f.SuspendedAt, suspicions[why], stays})
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// resumeApplication lets a suspended family go on. Who says so has touched their passkey a short while ago: a stolen cookie
// must not undo what a stolen token brought about.
func (d *Door) resumeApplication(v *visit, p tenant.Person) error {
	id, err := v.form("family")
	if err != nil {
		return err
	}
	families, err := d.Store.Families(v.Context(), p.Tenant, p.ID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(families, func(f tenant.Family) bool { return f.ID == id && !f.SuspendedAt.IsZero() })
	if i < 0 {
		return nil // it goes on, or is over
	}
	f := families[i]
	keys, err := d.Store.Passkeys(v.Context(), p.Tenant, p.ID)
	if err != nil {
		return err
	}
	if f.MayResume(*v.tenant, keys) != nil {
		return nil // the account says why not
	}
	if err := d.record(v, Act{Kind: RefreshResumed, Tenant: p.Tenant, Person: p.ID, Client: f.Client, Detail: map[string]string{"family": f.ID, "reason": string(f.Suspicion)}}); err != nil {
		return err
	}
	if _, _, err := d.Store.ResumeFamily(v.settled(), p.Tenant, p.ID, f.ID); err != nil && !errors.Is(err, tenant.ErrNotFound) && !errors.Is(err, tenant.ErrLesser) {
		return err
	}
	return nil
}

// endApplication takes back all that a client was allowed.
func (d *Door) endApplication(v *visit, _ tenant.Session, p tenant.Person) error {
	client, err := v.form("client")
	if err != nil {
		return err
	}
	return d.withdraw(v, p, func(id string) bool { return id == client })
}

// endApplications takes back all that any client was allowed.
func (d *Door) endApplications(v *visit, _ tenant.Session, p tenant.Person) error {
	return d.withdraw(v, p, func(string) bool { return true })
}

// withdraw takes back what the chosen applications were allowed and all that they made of that: written down, then done, each in one
// act, and it returns when no API that listens believes their access tokens. If the ledger goes away in the middle, they will not
// when it is back.
func (d *Door) withdraw(v *visit, p tenant.Person, chosen func(client string) bool) error {
	all, err := d.applications(v, p)
	if err != nil {
		return err
	}
	var acts []Act
	for _, a := range all {
		if chosen(a.ID) {
			acts = append(acts, Act{Kind: ConsentWithdrawn, Tenant: p.Tenant, Person: p.ID, Client: a.ID, Detail: map[string]string{"reason": "ended by the person"}})
		}
	}
	if len(acts) > 0 {
		if err := d.record(v, acts...); err != nil {
			return err
		}
	}
	for _, a := range acts {
		if _, err := d.Store.WithdrawConsent(v.settled(), p.Tenant, p.ID, a.Client, tenant.ActorPerson(p.ID)); err != nil {
			return err
		}
	}
	d.Settle(v.settled())
	return nil
}
