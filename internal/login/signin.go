package login

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"

	"seawall/internal/look"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// signInView is what the sign-in page shows.
type signInView struct {
	Handle string // of the interaction, if there is one
	Hint   string // whom the application expects
	For    string // its name
	Again  bool   // somebody is signed in and should touch once more
	Demand string // what only some passkeys prove: "hardware", or "nothing" if none of ours does; usually empty
	Lacks  bool   // who is signed in has no passkey that proves it
	Unmet  string // where to go on without it
	Needed bool   // where Unmet leads, nobody goes on
}

func (d *Door) signInPage(v *visit) error {
	if d.rpID == "" {
		return problemNoName
	}
	view := signInView{Handle: v.URL.Query().Get("i")}
	i, err := d.interaction(v, view.Handle)
	if err != nil {
		return err
	}
	s, p, err := d.session(v.Request, v.tenant)
	signedIn := err == nil
	if err != nil && !errors.Is(err, ErrNobody) {
		return err
	}
	switch {
	case signedIn && i == nil:
		return v.goTo(d.account(v.tenant))
	case signedIn && i.MetBy(p.ID, s.At, s.ACR): // in another window, say
		return v.goTo(d.home(v.tenant) + i.Next)
	case i != nil:
		v.Request = look.InLanguage(v.Request, i.Locales)
		view.Hint, view.For, view.Demand, view.Needed = i.LoginHint, i.For, demand(i.ACR), i.Needed
		view.Again = signedIn && i.Person == p.ID
		if i.Unmet != "" {
			view.Unmet = d.home(v.tenant) + i.Unmet
		}
	}
	if signedIn && view.Demand != "" {
		keys, err := d.proving(v, p, i.ACR)
		if err != nil {
			return err
		}
		view.Lacks = len(keys) == 0
	}
	title := look.Page{Title: "signin.title", Args: []any{v.tenant.ID}, Script: "passkey.js", Data: view}
	if view.Again {
		title.Title, title.Args = "signin.again", nil
	}
	return d.render(v, http.StatusOK, "signin", title)
}

// demand says in a word what an acr asks beyond what every passkey proves.
func demand(acr string) string {
	switch {
	case tenant.Proves(tenant.PhishingResistant, acr):
		return ""
	case tenant.Proves(tenant.PhishingResistantHardware, acr):
		return "hardware"
	}
	return "nothing"
}

// proving returns the passkeys with which a person would prove acr.
func (d *Door) proving(v *visit, p tenant.Person, acr string) ([]tenant.Passkey, error) {
	keys, err := d.Store.Passkeys(v.Context(), p.Tenant, p.ID)
	return slices.DeleteFunc(keys, func(k tenant.Passkey) bool {
		would, _ := proved(k)
		return v.tenant.SignsIn(k) != nil || !tenant.Proves(would, acr)
	}), err
}

// interaction returns what somebody was about to do, nil if they came by themselves.
func (d *Door) interaction(v *visit, handle string) (*tenant.Interaction, error) {
	if handle == "" {
		return nil, nil
	}
	i, err := d.Store.Interaction(v.Context(), v.tenant.ID, secret.New(handle).Hash())
	if errors.Is(err, tenant.ErrNotFound) {
		return nil, problemOver.because(err)
	}
	return &i, err
}

func (d *Door) beginSignIn(v *visit) error {
	var q struct {
		I string `json:"i"`
	}
	if err := v.read(&q); err != nil {
		return err
	}
	if err := v.within(d.Begun); err != nil {
		return err
	}
	i, err := d.interaction(v, q.I)
	if err != nil {
		return err
	}
	rp, err := d.relyingParty(v.tenant)
	if err != nil {
		return err
	}
	c := tenant.Ceremony{Kind: tenant.CeremonySignIn}
	assertion, state, err := rp.BeginDiscoverableLogin()
	if err == nil && i != nil && i.Person != "" {
		c.Person = i.Person
		_, p, nobody := d.session(v.Request, v.tenant)
		switch { // only who is signed in as that person is told their passkeys; anybody else names themselves by theirs
		case nobody == nil && p.ID == i.Person:
			assertion, state, err = d.beginFor(v, p, i.ACR)
		case nobody != nil && !errors.Is(nobody, ErrNobody):
			err = nobody
		}
	}
	if err != nil {
		return err
	}
	if err := d.begin(v, c, state); err != nil {
		return err
	}
	return v.answer(http.StatusOK, options{Options: assertion.Response})
}

// beginFor asks for one of a known person's passkeys that proves acr.
func (d *Door) beginFor(v *visit, p tenant.Person, acr string) (*protocol.CredentialAssertion, *sessionData, error) {
	rp, err := d.relyingParty(v.tenant)
	if err != nil {
		return nil, nil, err
	}
	u := user{Person: p}
	if u.keys, err = d.proving(v, p, acr); err != nil {
		return nil, nil, err
	}
	if len(u.keys) == 0 {
		return nil, nil, problemUnmet
	}
	return rp.BeginLogin(u)
}

func (d *Door) finishSignIn(v *visit) error {
	var q struct {
		I          string          `json:"i"`
		Credential json.RawMessage `json:"credential"`
	}
	if err := v.read(&q); err != nil {
		return err
	}
	answer, err := protocol.ParseCredentialRequestResponseBytes(q.Credential)
	if err != nil {
		return problemMalformed.because(explained(err))
	}
	c, state, err := d.consume(v, tenant.CeremonySignIn, answer.Response.CollectedClientData.Challenge)
	if err != nil {
		return err
	}
	p, used, cloned, err := d.asserted(v, c, state, answer)
	if refused := (refusal{}); errors.As(err, &refused) {
		d.Refused(v.tenant.ID, refused.person, refused.reason)
		return lesserOr(problemRefused, refused)
	}
	if err != nil {
		return err
	}
	if c.Person != "" && c.Person != p.ID {
		return problemWhose
	}
	return d.signIn(v, p, used, cloned, q.I)
}

// signIn opens the session of a sign-in that was proven, and says where to go on.
func (d *Door) signIn(v *visit, p tenant.Person, used tenant.Passkey, cloned bool, handle string) error {
	session, value := open(v, used)
	act := Act{Kind: SignedIn, Tenant: p.Tenant, Person: p.ID, Detail: map[string]string{"passkey": used.Reference(), "acr": session.ACR, "session": session.ID}}
	if cloned {
		act = suspended(used, counterWentBack)
	}
	if err := d.record(v, act); err != nil {
		return err
	}
	err := d.Store.SignIn(v.settled(), session, used, d.replaced(v))
	switch {
	case errors.Is(err, tenant.ErrCounter):
		d.Refused(v.tenant.ID, p.ID, "the passkey's counter went back")
		if !cloned { // another answer with this counter was faster
			err = errors.Join(err, d.record(v, suspended(used, counterWentBack)))
		}
		return problemCloned.because(err)
	case err != nil:
		return lesserOr(problemRefused, err)
	}
	d.alarm(v, p, session)
	d.setCookie(v.w, sessionCookie, v.tenant.ID, value)
	where, err := d.onward(v, session, handle)
	if err != nil {
		return err
	}
	return v.answer(http.StatusOK, next{where})
}

// alarm is loud about a break-glass principal who is in: somebody is there because every other way was shut, or should not be.
func (d *Door) alarm(v *visit, p tenant.Person, s tenant.Session) {
	if p.Kind == tenant.BreakGlass {
		d.Log.ErrorContext(v.Context(), "a break-glass principal is signed in", "tenant", p.Tenant, "principal", p.Login, "session", s.ID, "place", s.Place)
	}
}

// counterWentBack and the like are what the ledger hears of a suspension.
const (
	counterWentBack = "its counter went back"
	leftBehind      = "their person was recovered"
)

// lesserOr is what to tell about a passkey that was good once and is less than the tenant asks for now, or p.
func lesserOr(p *problem, err error) *problem {
	if errors.Is(err, tenant.ErrLesser) {
		p = problemLesser
	}
	return p.because(err)
}

func suspended(k tenant.Passkey, why string) Act {
	return Act{Kind: PasskeySuspended, Tenant: k.Tenant, Person: k.Person, Detail: map[string]string{"passkey": k.Reference(), "reason": why}}
}

// landing is where somebody goes who came by themselves: who runs seawall to their work, everybody else to their account.
func (d *Door) landing(t *tenant.Tenant) string {
	if t.ID == tenant.Operators {
		return d.home(t) + "/console"
	}
	return d.account(t)
}

// onward is where somebody goes who has just signed in: on with what they were about to do, if it is still to be done, or
// to their account. A passkey that does not prove what was asked for leaves it to be done.
func (d *Door) onward(v *visit, s tenant.Session, handle string) (string, error) {
	i, err := d.interaction(v, handle)
	if gone := (*problem)(nil); errors.As(err, &gone) || err == nil && (i == nil || i.Person != "" && i.Person != s.Person) {
		return d.landing(v.tenant), nil
	}
	if err != nil {
		return "", err
	}
	if !i.MetBy(s.Person, s.At, s.ACR) {
		return "", problemUnmet
	}
	if _, err := d.Store.ConsumeInteraction(v.settled(), v.tenant.ID, i.Hash); errors.Is(err, tenant.ErrNotFound) {
		return d.landing(v.tenant), nil
	} else if err != nil {
		return "", err
	}
	return d.home(v.tenant) + cmp.Or(i.Touched, i.Next), nil
}

func (d *Door) signOut(v *visit) error {
	if err := d.end(v); err != nil {
		return err
	}
	return v.goTo(d.home(v.tenant) + "/signed-out")
}

// SignOut ends the session of a browser, and with it what hangs on it. It has ended when there is no error, or there was
// none.
func (d *Door) SignOut(w http.ResponseWriter, r *http.Request, t *tenant.Tenant) error {
	return d.end(&visit{r, w, t, d.Now()})
}

func (d *Door) end(v *visit) error {
	s, p, err := d.session(v.Request, v.tenant)
	if err != nil && !errors.Is(err, ErrNobody) {
		return err
	}
	if err == nil {
		if err := d.record(v, Act{Kind: SessionEnded, Tenant: p.Tenant, Person: p.ID, Detail: map[string]string{"session": s.ID, "reason": "signed out"}}); err != nil {
			return err
		}
		if err := d.endSessions(v, tenant.Ending{Tenant: p.Tenant, Person: p.ID, Session: s.ID, SignOut: true}); err != nil {
			return err
		}
	}
	d.clearCookie(v.w, sessionCookie, v.tenant.ID)
	return nil
}

func (d *Door) signedOutPage(v *visit) error {
	if _, _, err := d.session(v.Request, v.tenant); !errors.Is(err, ErrNobody) {
		return v.goTo(d.account(v.tenant)) // never say that somebody is signed out who is not
	}
	return d.render(v, http.StatusOK, "signed-out", look.Page{Title: "out.title"})
}
