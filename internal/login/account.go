package login

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"time"

	"seawall/internal/look"
	"seawall/internal/tenant"
)

// accountView is what a person sees of themselves.
type accountView struct {
	Person       tenant.Person
	Passkeys     []passkeyView
	Sessions     []sessionView
	Recovery     *tenant.Recovery
	Now          time.Time
	Device       string
	New          bool           // the first passkey has just been made
	Console      string         // path of the console, for those who run seawall
	Alarms       []tenant.Alarm // for owners
	Applications []application
	Waiting      []tenant.WaitingRecovery // for the second administrator's word, which this person may give
}

// Doubtful reports whether any application waits for a word of the person. One that may not go on anyway doesn't.
func (v accountView) Doubtful() bool {
	return slices.ContainsFunc(v.Applications, func(a application) bool {
		return slices.ContainsFunc(a.Suspended, func(s suspension) bool { return !s.Stays })
	})
}

type passkeyView struct {
	tenant.Passkey
	Handle     string // names it in forms
	Here       bool   // this session was opened with it
	Last       bool   // the only one that signs them in
	Lesser     bool   // it works, and is less than is asked for by now
	Cloned     bool
	Restorable bool
	Sessions   int      // that end with it
	Ends       []string // applications of which something ends with it
}

type sessionView struct {
	tenant.Session
	Here bool
}

func (d *Door) accountPage(v *visit) error {
	s, p, err := d.session(v.Request, v.tenant)
	if errors.Is(err, ErrNobody) { // nothing is kept for strangers: who signs in without a place to go to comes here
		return v.goTo(d.home(v.tenant) + "/signin")
	}
	if err != nil {
		return err
	}
	page, err := d.accountOf(v, s, p)
	if err != nil {
		return err
	}
	return d.render(v, http.StatusOK, "account", page)
}

// accountOf reads what a person sees of themselves.
func (d *Door) accountOf(v *visit, s tenant.Session, p tenant.Person) (page look.Page, err error) {
	view := accountView{Person: p, Now: v.now, Device: device(v.UserAgent())}
	if view.Passkeys, err = d.passkeyViews(v, s); err != nil {
		return page, err
	}
	sessions, err := d.Store.Sessions(v.Context(), p.Tenant, p.ID)
	if err != nil {
		return page, err
	}
	for _, one := range sessions {
		view.Sessions = append(view.Sessions, sessionView{one, one.ID == s.ID})
	}
	slices.SortStableFunc(view.Sessions, func(a, b sessionView) int {
		switch {
		case a.Here == b.Here:
			return 0
		case a.Here:
			return -1
		}
		return 1
	})
	if r, err := d.Store.Recovery(v.Context(), p.Tenant, p.ID); err == nil {
		view.Recovery = &r
	} else if !errors.Is(err, tenant.ErrNotFound) {
		return page, err
	}
	if view.Applications, err = d.applications(v, p); err != nil {
		return page, err
	}
	for i := range view.Passkeys {
		view.Passkeys[i].count(sessions, view.Applications)
	}
	if view.Waiting, err = d.waiting(v, p); err != nil {
		return page, err
	}
	for i := range view.Waiting {
		view.Waiting[i].RequestedBy = d.named(v, view.Waiting[i].RequestedBy)
	}
	if v.tenant.ID == tenant.Operators {
		view.Console = d.landing(v.tenant)
	}
	if v.tenant.ID == tenant.Operators && p.Role == tenant.Owner {
		if view.Alarms, err = d.Store.Alarms(v.Context()); err != nil {
			return page, err
		}
		for i := range view.Alarms {
			view.Alarms[i].Actor = d.named(v, view.Alarms[i].Actor)
		}
	}
	view.New = len(view.Passkeys) == 1 && s.Fresh(v.now) && v.now.Sub(view.Passkeys[0].CreatedAt) < tenant.FreshTouch
	return look.Page{Title: "account.title", Wide: true, Script: "passkey.js", Data: view}, nil
}

// named says who an actor is: an administrator by their login, and whoever can't be found by what the ledger calls them.
func (d *Door) named(v *visit, actor string) string {
	id, person := tenant.SpeakerID(actor)
	if !person {
		return actor
	}
	p, err := d.Store.Person(v.Context(), tenant.Operators, id)
	if err != nil {
		return actor
	}
	return p.Login
}

func (d *Door) passkeyViews(v *visit, s tenant.Session) ([]passkeyView, error) {
	keys, err := d.Store.Passkeys(v.Context(), s.Tenant, s.Person)
	var views []passkeyView
	working := 0
	for _, k := range keys {
		if v.tenant.SignsIn(k) == nil {
			working++
		}
		views = append(views, passkeyView{Passkey: k, Handle: base64.RawURLEncoding.EncodeToString(k.ID), Here: slices.Equal(k.ID, s.Passkey)})
	}
	for i, k := range keys {
		view := &views[i]
		view.Last = working == 1 && v.tenant.SignsIn(k) == nil
		view.Lesser = k.Live() && v.tenant.SignsIn(k) != nil
		view.Cloned = k.SuspendedWhy == tenant.CounterWentBack
		view.Restorable = k.Restorable(working) == nil
	}
	return views, err
}

// count says what ends with the passkey: what began with it, and what lasts as long as a session that it opened.
func (k *passkeyView) count(sessions []tenant.Session, applications []application) {
	opened := map[string]bool{}
	for _, s := range sessions {
		opened[s.ID] = slices.Equal(s.Passkey, k.ID)
		if opened[s.ID] {
			k.Sessions++
		}
	}
	for _, a := range applications {
		family := func(f tenant.Family) bool { return slices.Equal(f.Passkey, k.ID) || !f.Offline && opened[f.Session] }
		given := func(c tenant.Code) bool { return slices.Equal(c.Passkey, k.ID) || opened[c.Session] }
		if slices.ContainsFunc(a.families, family) || slices.ContainsFunc(a.given, given) {
			k.Ends = append(k.Ends, a.Name)
		}
	}
}

// person returns who acts on their account, or sends them to sign in.
func (d *Door) person(v *visit) (tenant.Session, tenant.Person, error) {
	s, p, err := d.session(v.Request, v.tenant)
	if errors.Is(err, ErrNobody) {
		err = problemOver.because(err)
	}
	return s, p, err
}

// account is where a person's account is.
func (d *Door) account(t *tenant.Tenant) string { return d.home(t) + "/account" }

// theirs is a form on the account page of whoever is signed in: it does what it is for, and goes back there.
func theirs(act func(*Door, *visit, tenant.Session, tenant.Person) error) func(*Door, *visit) error {
	return func(d *Door, v *visit) error {
		s, p, err := d.person(v)
		if err != nil {
			return err
		}
		if err := act(d, v, s, p); err != nil {
			return err
		}
		return v.goTo(d.account(v.tenant))
	}
}

// freshly is one that a stolen cookie must not be enough for. Who touched their passkey too long ago does so once more,
// comes back to their account, and asks again.
func freshly(act func(*Door, *visit, tenant.Person) error) func(*Door, *visit) error {
	return func(d *Door, v *visit) error {
		p, again, err := d.fresh(v)
		if err != nil {
			return err
		}
		if again != "" {
			return v.goTo(again)
		}
		if err := act(d, v, p); err != nil {
			return err
		}
		return v.goTo(d.account(v.tenant))
	}
}

// fresh returns who acts on their account. Unless they touched their passkey a short while ago, again is where they prove once more that
// it is them, and then come back to their account.
func (d *Door) fresh(v *visit) (p tenant.Person, again string, err error) {
	s, p, err := d.person(v)
	if err == nil && !s.Fresh(v.now) {
		again, err = d.ask(v.Context(), v.tenant, tenant.Interaction{Next: "/account", Person: p.ID, After: v.now.Add(-tenant.FreshTouch + time.Millisecond)})
	}
	return p, again, err
}

func (d *Door) beginAdd(v *visit) error {
	if err := v.read(&struct{}{}); err != nil {
		return err
	}
	p, again, err := d.fresh(v)
	if err != nil {
		return err
	}
	if again != "" {
		return v.answer(http.StatusOK, next{again})
	}
	answer, err := d.registration(v, tenant.Ceremony{Kind: tenant.CeremonyAdd}, p, "")
	if err != nil {
		return err
	}
	return v.answer(http.StatusOK, answer)
}

func (d *Door) finishAdd(v *visit) error {
	name, answer, err := v.registrationAnswer()
	if err != nil {
		return err
	}
	s, p, err := d.person(v)
	if err != nil {
		return err
	}
	if !s.Fresh(v.now) { // it was when the ceremony began
		return problemOver
	}
	c, state, err := d.consume(v, tenant.CeremonyAdd, answer.Response.CollectedClientData.Challenge)
	if err != nil {
		return err
	}
	if c.Person != p.ID {
		return problemOther
	}
	k, err := d.registered(v, p, "", name, state, answer)
	if err != nil {
		return err
	}
	if err := d.record(v, added(k, "signed in")); err != nil {
		return err
	}
	if _, err := d.Store.AddPasskey(v.settled(), k); err != nil {
		return enrolProblem(err)
	}
	return v.answer(http.StatusOK, next{d.account(v.tenant)})
}

// ofPasskey is a form that changes one of a person's passkeys.
func ofPasskey(change func(d *Door, v *visit, p tenant.Person, id []byte) error) func(*Door, *visit) error {
	return freshly(func(d *Door, v *visit, p tenant.Person) error {
		text, err := v.form("passkey")
		if err != nil {
			return err
		}
		id, err := base64.RawURLEncoding.Strict().DecodeString(text)
		if err != nil || len(id) == 0 {
			return problemMalformed
		}
		return change(d, v, p, id)
	})
}

// renamePasskey wants a touch although it is only a name: somebody who goes by the names might remove the wrong one.
func (d *Door) renamePasskey(v *visit, p tenant.Person, id []byte) error {
	name, err := v.form("name")
	if err != nil {
		return err
	}
	_, err = d.Store.RenamePasskey(v.settled(), p.Tenant, p.ID, id, name)
	if invalid := (*tenant.Invalid)(nil); errors.As(err, &invalid) {
		return problemMalformed.because(err)
	}
	return err
}

func (d *Door) removePasskey(v *visit, p tenant.Person, id []byte) error {
	if view, err := d.passkeyView(v, p, id); err != nil || view.Last {
		return errors.Join(err, problemState) // found before it is written down; the store has the last word
	}
	if err := d.record(v, Act{Kind: PasskeyRemoved, Tenant: p.Tenant, Person: p.ID, Detail: map[string]string{"passkey": tenant.PasskeyReference(id)}}); err != nil {
		return err
	}
	if _, err := d.Store.RemovePasskey(v.settled(), p.Tenant, p.ID, id); err != nil {
		return err
	}
	d.Settle(v.settled()) // what began with it is over
	return nil
}

// restorePasskey brings back what a recovery left behind, for somebody who has found it again.
func (d *Door) restorePasskey(v *visit, p tenant.Person, id []byte) error {
	if view, err := d.passkeyView(v, p, id); err != nil || !view.Restorable {
		return errors.Join(err, problemState)
	}
	if err := d.record(v, Act{Kind: PasskeyRestored, Tenant: p.Tenant, Person: p.ID, Detail: map[string]string{"passkey": tenant.PasskeyReference(id)}}); err != nil {
		return err
	}
	_, err := d.Store.RestorePasskey(v.settled(), p.Tenant, p.ID, id)
	return err
}

// passkeyView returns one of a person's passkeys as their page shows it.
func (d *Door) passkeyView(v *visit, p tenant.Person, id []byte) (passkeyView, error) {
	views, err := d.passkeyViews(v, tenant.Session{Tenant: p.Tenant, Person: p.ID})
	if err != nil {
		return passkeyView{}, err
	}
	i := slices.IndexFunc(views, func(k passkeyView) bool { return slices.Equal(k.ID, id) })
	if i < 0 {
		return passkeyView{}, problemState
	}
	return views[i], nil
}

func (d *Door) endSession(v *visit) error {
	id, err := v.form("session")
	if err != nil {
		return err
	}
	s, p, err := d.person(v)
	if err != nil {
		return err
	}
	if id == s.ID {
		return d.signOut(v)
	}
	sessions, err := d.Store.Sessions(v.Context(), p.Tenant, p.ID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(sessions, func(one tenant.Session) bool { return one.ID == id }) {
		if err := d.record(v, Act{Kind: SessionEnded, Tenant: p.Tenant, Person: p.ID, Detail: map[string]string{"session": id, "reason": "ended by the person"}}); err != nil {
			return err
		}
		if err := d.endSessions(v, tenant.Ending{Tenant: p.Tenant, Person: p.ID, Session: id}); err != nil {
			return err
		}
	}
	return v.goTo(d.account(v.tenant)) // one that is gone already is what was wanted
}

func (d *Door) endOtherSessions(v *visit, s tenant.Session, p tenant.Person) error {
	if err := d.record(v, Act{Kind: SessionEnded, Tenant: p.Tenant, Person: p.ID, Detail: map[string]string{"reason": "all others ended by the person"}}); err != nil {
		return err
	}
	return d.endSessions(v, tenant.Ending{Tenant: p.Tenant, Person: p.ID, Except: s.ID})
}

// endSessions ends sessions in the name of their person, and returns when no API that listens believes what came of them. If
// the ledger goes away in the middle, they will not when it is back.
func (d *Door) endSessions(v *visit, e tenant.Ending) error {
	e.Actor = tenant.ActorPerson(e.Person)
	if _, err := d.Store.EndSessions(v.settled(), e); err != nil {
		return err
	}
	d.Settle(v.settled())
	return nil
}

// stopRecovery wants no fresh touch: to stop one is the safe way, and whoever sees the notice may not have a passkey at hand.
func (d *Door) stopRecovery(v *visit, _ tenant.Session, p tenant.Person) error {
	if err := d.record(v, Act{Kind: RecoveryStopped, Tenant: p.Tenant, Person: p.ID, Detail: map[string]string{"reason": "stopped by the person"}}); err != nil {
		return err
	}
	_, err := d.Store.CancelRecovery(v.settled(), p.Tenant, p.ID)
	return err
}

// waiting returns the recoveries that a person of the operators' tenant may approve.
func (d *Door) waiting(v *visit, p tenant.Person) ([]tenant.WaitingRecovery, error) {
	if v.tenant.ID != tenant.Operators {
		return nil, nil
	}
	all, err := d.Store.WaitingRecoveries(v.Context())
	return slices.DeleteFunc(all, func(w tenant.WaitingRecovery) bool { return w.MayBeApprovedBy(p) != nil }), err
}

// approveRecovery is an administrator's word, with a passkey and a fresh touch.
func (d *Door) approveRecovery(v *visit, p tenant.Person) error {
	whose, err := v.form("tenant")
	if err != nil {
		return err
	}
	who, err := v.form("person")
	if err != nil {
		return err
	}
	mine, err := d.waiting(v, p)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(mine, func(w tenant.WaitingRecovery) bool { return w.Tenant == whose && w.Person == who })
	if i < 0 {
		return problemState
	}
	keys, err := d.Store.Passkeys(v.Context(), p.Tenant, p.ID)
	if err != nil {
		return err
	}
	by := tenant.VoiceOf(p, keys)
	r, err := mine[i].Approve(by, v.now)
	if err != nil {
		return problemVoice.because(err)
	}
	act := Act{Kind: RecoveryApproved, Tenant: r.Tenant, Person: r.Person, By: p.ID, Detail: map[string]string{"requested_by": r.RequestedBy}}
	if from := r.UsableFrom(); !from.IsZero() {
		act.Detail["usable_from"] = from.UTC().Format(time.RFC3339)
	}
	if err := d.record(v, act); err != nil {
		return err
	}
	_, err = d.Store.ApproveRecovery(v.settled(), r.Tenant, r.Person, by.Name)
	return err
}
