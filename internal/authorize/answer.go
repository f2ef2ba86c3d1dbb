package authorize

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"seawall/internal/login"
	"seawall/internal/look"
	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// ACRValues lists what a sign-in at a tenant can prove. Hardware is proven by certificates, which only a tenant that asks
// for them gets to see.
func ACRValues(t *tenant.Tenant) []string {
	if t.Passkeys == tenant.Attested {
		return []string{tenant.PhishingResistant, tenant.PhishingResistantHardware}
	}
	return []string{tenant.PhishingResistant}
}

// Languages lists the languages that our pages speak, for ui_locales.
func Languages() []string { return look.Languages() }

// authorizePosted takes a request that a form of the client's has sent (OpenID Connect Core §3.1.2.1) and has the browser
// ask again with GET: with a form of another site it sends no cookies of ours. Only parameters that we know go along: a
// body may hold what must never be in an address.
func (e *Endpoint) authorizePosted(v *visit) error {
	raw, err := v.body()
	if err != nil {
		return err
	}
	p, err := readParameters(raw)
	if err != nil || v.URL.RawQuery != "" {
		return problemRequest.Because(err)
	}
	hint := p["id_token_hint"]
	for name := range p {
		if !slices.Contains(known, name) {
			delete(p, name)
		}
	}
	if len(hint) > 0 {
		p["id_token_hint"] = hint
		return e.keepPosted(v, url.Values(p).Encode())
	}
	return v.goTo(e.home(v.tenant) + Path + "?" + url.Values(p).Encode())
}

// keepPosted keeps a request that came with an ID token, which has no place in an address; the browser goes on with its
// cookies.
func (e *Endpoint) keepPosted(v *visit, raw string) error {
	q, err := e.read(v, raw)
	if err != nil {
		return e.tell(v, q, err)
	}
	h, err := e.keepRequest(v, q, q.demand(v, nil))
	if err != nil {
		return e.tell(v, q, err)
	}
	return v.goTo(e.consentURL(v, h))
}

func (e *Endpoint) authorize(v *visit) error {
	q, err := e.read(v, v.URL.RawQuery)
	if err == nil {
		v.Request = look.InLanguage(v.Request, q.locales)
		err = e.answer(v, q)
	}
	return e.tell(v, q, err)
}

// What a request with prompt=none is told that can't be answered without anybody seeing something.
var (
	errSignIn = oauth.Errorf(oauth.LoginRequired, "The person has to sign in.")
	errAgree  = oauth.Errorf(oauth.ConsentRequired, "The person has to agree.")
)

// answer gives a code at once if nothing stands against it; otherwise it keeps the request, and the browser goes where it
// can be answered.
func (e *Endpoint) answer(v *visit, q *request) error {
	who, err := e.Door.Current(v.Request, v.tenant)
	if err != nil && !errors.Is(err, login.ErrNobody) {
		return err
	}
	demand := q.demand(v, who)
	silent := q.prompt(oauth.PromptNone)
	if !q.attainable(v.tenant) && !q.metBy(who) {
		return errUnmet
	}
	if who == nil || !who.Meets(demand) {
		if silent && (who == nil || !who.Meets(tenant.Interaction{Person: demand.Person, After: demand.After})) {
			return errSignIn
		}
		if !silent { // what is asked for by acr_values is welcome, and not needed (OpenID Connect Core §3.1.2.1)
			return e.ask(v, q, demand)
		}
		if !q.metBy(who) {
			return errSignIn
		}
	}
	needed, err := e.needsConsent(v.Context(), q, who, false)
	if err != nil {
		return err
	}
	switch {
	case needed && silent:
		return errAgree
	case needed:
		h, err := e.keepRequest(v, q, demand)
		if err != nil {
			return err
		}
		return v.goTo(e.consentURL(v, h))
	}
	return e.giveCode(v, q, who)
}

// demand is what the sign-in must be for a request that is made now: of whom and no earlier than the request says, and what
// it needs or, by acr_values, wishes to be proven only if it could be met here.
func (q *request) demand(v *visit, who *login.SignIn) (d tenant.Interaction) {
	d.Person, d.After = q.subject, q.since(v.now)
	wishes := q.acr
	if len(q.must) > 0 {
		wishes = q.must
	}
	enough := func(acr string) bool {
		return slices.ContainsFunc(wishes, func(wanted string) bool { return tenant.Proves(acr, wanted) })
	}
	if enough(tenant.PhishingResistant) || who != nil && enough(who.ACR) {
		return d
	}
	for _, acr := range ACRValues(v.tenant) {
		if enough(acr) {
			d.ACR = acr
		}
	}
	return d
}

// reading is how long a touch counts that somebody made for a request whose max_age is shorter: people read what they are
// asked, and would touch forever if they were asked for a touch of this very moment after each.
const reading = time.Minute

// since is the earliest touch that counts when a request is looked at, zero for any. One that is asked for must come after
// the request, whoever touched before. What max_age allows goes by until the code is made (OpenID Connect Core §3.1.2.1),
// so it is reckoned anew each time: for who began signed out, and for who left a page open.
func (q *request) since(now time.Time) (earliest time.Time) {
	if q.prompt(oauth.PromptLogin) || q.prompt(oauth.PromptSelectAccount) {
		earliest = q.begun
	}
	if q.maxAge < 0 {
		return earliest
	}
	aged := now.Add(-q.maxAge)
	if made := latest(q.begun, now.Add(-reading)); made.Before(aged) {
		aged = made
	}
	return latest(earliest, aged)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// keepRequest keeps a request with what its sign-in must be.
func (e *Endpoint) keepRequest(v *visit, q *request, demand tenant.Interaction) (handle, error) {
	demand.Next = Path + "?" + q.raw
	return e.keep(v, demand)
}

// ask keeps a request and sends the person to sign in.
func (e *Endpoint) ask(v *visit, q *request, demand tenant.Interaction) error {
	h, err := e.keepRequest(v, q, demand)
	if err != nil {
		return err
	}
	return e.askFor(v, q, h, demand)
}

// askFor sends the person to sign in and back to a request that is kept. Who can't prove what acr_values asks for may go on
// without it, and the tokens say so; who can't prove what the application needs may go back to it, and it is told.
func (e *Endpoint) askFor(v *visit, q *request, h handle, demand tenant.Interaction) error {
	back := ConsentPath + "?i=" + h.text
	i := tenant.Interaction{Next: back, Person: demand.Person, After: demand.After, ACR: demand.ACR, Needed: len(q.must) > 0, LoginHint: q.hint, For: q.client.Name, Locales: q.locales}
	i.Touched = back + "&touched=1"
	if demand.ACR != "" {
		i.Unmet = back + "&unmet=1"
	}
	return e.Door.Ask(v.w, v.Request, v.tenant, i)
}

func (e *Endpoint) consentURL(v *visit, h handle) string {
	return e.home(v.tenant) + ConsentPath + "?i=" + h.text
}

// needsConsent reports whether the person has to be asked. What they allowed before covers what it says and nothing more;
// the organisation's own applications are allowed by the organisation. Neither counts for a request that any program on
// the person's device could have made, unless they touched for it: the page where they did names who asks, and nothing happens
// without them (RFC 8252 §8.6).
func (e *Endpoint) needsConsent(ctx context.Context, q *request, who *login.SignIn, touched bool) (bool, error) {
	if q.prompt(oauth.PromptConsent) || !q.assured() && !touched {
		return true, nil
	}
	if q.client.Trusted {
		return false, nil
	}
	c, err := e.Store.Consent(ctx, who.Tenant, who.Person, q.client.ID)
	if errors.Is(err, tenant.ErrNotFound) {
		return true, nil
	}
	return !c.Covers(q.scope, q.resources), err
}

// assured reports whether it is certain enough who gets the code: a client that proves itself when it redeems it, or an
// address on the web that nobody else has. A scheme or a loopback port is whose program took it first, and such a program
// would get in without anybody noticing if nobody were asked (RFC 6749 §10.2, RFC 8252 §8.6).
func (q *request) assured() bool {
	return !q.client.Type.Public() || strings.HasPrefix(q.redirect, "https:")
}

// giveCode makes a code for who is signed in now, and sends it to the client. The entry comes first.
func (e *Endpoint) giveCode(v *visit, q *request, who *login.SignIn) error {
	acr, ok := q.met(who.ACR)
	if !ok {
		return errUnmet
	}
	if err := e.Record(v.settled(), Act{Kind: CodeIssued, Tenant: v.tenant.ID, Person: who.Person, Client: q.client.ID, Audience: q.resources,
		Detail: map[string]string{"session": who.Session, "acr": acr, "scope": q.scope.String()}}); err != nil {
		return away(err)
	}
	code := secret.Generate(secret.GrantCode, v.tenant.Class.Env())
	err := e.Store.SaveCode(v.settled(), tenant.Code{
		Hash: code.Hash(), Tenant: v.tenant.ID, Client: q.client.ID, Person: who.Person, Session: who.Session,
		RedirectURI: q.redirect, Challenge: q.challenge, Nonce: q.nonce, JKT: q.jkt, Scope: q.scope, Resources: q.resources,
		SignedInAt: who.At, ACR: acr, AMR: who.AMR, IssuedAt: v.now, ExpiresAt: v.now.Add(tenant.CodeLife),
	})
	if err != nil {
		return notDone(err)
	}
	return v.goTo(oauth.AuthorizationResponse{Code: code, State: q.state, Issuer: v.tenant.Issuer}.URL(q.redirect))
}

// away is what a client is told when something could not be written down.
func away(err error) error { return oauth.Unavailable(time.Second, err) }

// notDone is what a client is told when the store would not keep something.
func notDone(err error) error {
	if errors.Is(err, tenant.ErrDisabled) || errors.Is(err, tenant.ErrNotFound) || errors.Is(err, tenant.ErrLesser) {
		return oauth.Errorf(oauth.AccessDenied, "The person, the client, the sign-in or what was allowed has been ended meanwhile.").Because(err)
	}
	return away(err)
}

// tell takes an error to whom it concerns: the client, by way of the browser, if it is known and where it wants its people
// back; and the person on a page if not, or if the problem is theirs.
func (e *Endpoint) tell(v *visit, q *request, err error) error {
	var page login.Problem
	if err == nil || q == nil || errors.As(err, &page) {
		return err
	}
	var told *oauth.Error
	if !errors.As(err, &told) {
		incident := strings.ToLower(rand.Text()[:10])
		e.Log.ErrorContext(v.Context(), "an authorization request failed", "incident", incident, "tenant", v.tenant.ID, "client", q.client.ID, "cause", err)
		told = oauth.Errorf(oauth.ServerError, "Something went wrong on the server. Quote incident %s when you ask about it.", incident)
	} else if cause := errors.Unwrap(told); cause != nil {
		e.Log.WarnContext(v.Context(), "an authorization request was put off", "tenant", v.tenant.ID, "client", q.client.ID, "cause", cause)
	}
	return v.goTo(oauth.AuthorizationResponse{Err: told, State: q.state, Issuer: v.tenant.Issuer}.URL(q.redirect))
}
