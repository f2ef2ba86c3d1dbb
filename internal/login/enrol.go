package login

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"seawall/internal/look"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// sessionData is the library's name for the state of a ceremony.
type sessionData = webauthn.SessionData

// EnrolLink is the link by which somebody registers a passkey at an issuer. The secret is in the fragment, which browsers
// send to nobody: it is in no log, no referrer and no history of ours. The page's script reads it, removes it from the
// address, and posts it.
func EnrolLink(issuer string, link secret.Text) string { return issuer + "/enrol#" + link.Reveal() }

func (d *Door) enrolPage(v *visit) error {
	if d.rpID == "" {
		return problemNoName
	}
	return d.render(v, http.StatusOK, "enrol", look.Page{Title: "enrol.title", Script: "passkey.js", Data: device(v.UserAgent())})
}

// link returns a live link and whom it is for.
func (d *Door) link(v *visit, text string) (tenant.Enrolment, tenant.Person, error) {
	if kind, _, err := secret.Parse(text); err != nil || kind != secret.EnrolLink {
		return tenant.Enrolment{}, tenant.Person{}, problemLink
	}
	e, p, err := d.Store.Enrolment(v.Context(), v.tenant.ID, secret.New(text).Hash())
	if errors.Is(err, tenant.ErrNotFound) || errors.Is(err, tenant.ErrDisabled) {
		return e, p, problemLink.because(err)
	}
	return e, p, err
}

// beginEnrol does not use the link up: who cancels on their device may try again, and so may who only looked.
func (d *Door) beginEnrol(v *visit) error {
	var q struct {
		Secret string `json:"secret"`
	}
	if err := v.read(&q); err != nil {
		return err
	}
	if err := v.within(d.Begun); err != nil {
		return err
	}
	e, p, err := d.link(v, q.Secret)
	if err != nil {
		return err
	}
	answer, err := d.registration(v, tenant.Ceremony{Kind: tenant.CeremonyEnrol, Enrolment: e.Hash}, p, e.Why)
	if err != nil {
		return err
	}
	return v.answer(http.StatusOK, answer)
}

// registrationAnswer is what our script sends after an authenticator made a passkey.
type registrationAnswer struct {
	Name       string          `json:"name"`
	Credential json.RawMessage `json:"credential"`
}

func (v *visit) registrationAnswer() (string, *protocol.ParsedCredentialCreationData, error) {
	var q registrationAnswer
	if err := v.read(&q); err != nil {
		return "", nil, err
	}
	answer, err := protocol.ParseCredentialCreationResponseBytes(q.Credential)
	if err != nil {
		return "", nil, problemMalformed.because(explained(err))
	}
	return q.Name, answer, nil
}

func (d *Door) finishEnrol(v *visit) error {
	name, answer, err := v.registrationAnswer()
	if err != nil {
		return err
	}
	c, state, err := d.consume(v, tenant.CeremonyEnrol, answer.Response.CollectedClientData.Challenge)
	if err != nil {
		return err
	}
	e, p, err := d.Store.Enrolment(v.Context(), v.tenant.ID, c.Enrolment)
	if err != nil {
		return problemLink.because(err)
	}
	k, err := d.registered(v, p, e.Why, name, state, answer)
	if err != nil {
		return err
	}
	session, value := open(v, k)
	acts, err := d.enrolled(v, e, k, session)
	if err != nil {
		return err
	}
	if err := d.record(v, acts...); err != nil {
		return err
	}
	if err := d.Store.Enrol(v.settled(), c.Enrolment, k, session, d.replaced(v)); err != nil {
		return enrolProblem(err)
	}
	d.alarm(v, p, session)
	d.setCookie(v.w, sessionCookie, v.tenant.ID, value)
	return v.answer(http.StatusOK, next{d.account(v.tenant)})
}

// enrolled are the acts of using a link: after a recovery, what it leaves behind is among them.
func (d *Door) enrolled(v *visit, e tenant.Enrolment, k tenant.Passkey, session tenant.Session) ([]Act, error) {
	acts := []Act{{Kind: EnrolmentUsed, Tenant: k.Tenant, Person: k.Person, Detail: map[string]string{"reason": string(e.Why), "issued_by": e.IssuedBy}}}
	if e.Why == tenant.Recovered {
		earlier, err := d.Store.Passkeys(v.Context(), k.Tenant, k.Person)
		if err != nil {
			return nil, err
		}
		for _, old := range earlier {
			if old.Live() {
				acts = append(acts, suspended(old, leftBehind))
			}
		}
		acts = append(acts, Act{Kind: SessionEnded, Tenant: k.Tenant, Person: k.Person, Detail: map[string]string{"reason": "all ended by a recovery"}})
	}
	return append(acts, added(k, string(e.Why)),
		Act{Kind: SignedIn, Tenant: k.Tenant, Person: k.Person, Detail: map[string]string{"passkey": k.Reference(), "acr": session.ACR, "session": session.ID}}), nil
}

// enrolProblem says what the store's refusal of a new passkey means.
func enrolProblem(err error) error {
	switch invalid := (*tenant.Invalid)(nil); {
	case errors.Is(err, tenant.ErrNotFound):
		return problemLink.because(err)
	case errors.Is(err, tenant.ErrExists):
		return problemExists.because(err)
	case errors.As(err, &invalid):
		return problemTier.because(err)
	}
	return err
}

// added is the act of registering a passkey.
func added(k tenant.Passkey, why string) Act {
	kind := "device-bound"
	switch {
	case k.Attested:
		kind = "attested"
	case k.Synced():
		kind = "synced"
	}
	return Act{Kind: PasskeyAdded, Tenant: k.Tenant, Person: k.Person, Detail: map[string]string{"passkey": k.Reference(), "reason": why, "type": kind}}
}
