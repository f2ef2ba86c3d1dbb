package authorize

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"seawall/internal/login"
	"seawall/internal/look"
	"seawall/internal/oauth"
	"seawall/internal/tenant"
)

// consentView is what a person sees before they agree.
type consentView struct {
	Handle, Form string
	Client       tenant.Client
	Person       tenant.Person
	Place        place // where they go on
	Name         bool  // the application gets their name
	APIs         []tenant.Access
	Offline      bool // it goes on when nobody is signed in
	Session      bool // it goes on for as long as somebody is
	Longest      int  // days that it may last
	Idle         int  // days after which it ends when it is not used
	Minutes      int  // that one token may last
	Changed      bool
	Other        string // where to be somebody else, if they may
}

// place is where an application lives, as people know it.
type place struct {
	Host string // of a web application; "" on the person's own device
	App  string // the scheme of a native application; "" for a loopback address
}

func placeOf(what tenant.ClientType, redirect string) place {
	u, err := url.Parse(redirect)
	switch {
	case err != nil:
		return place{}
	case u.Scheme != "https" && u.Scheme != "http":
		return place{App: u.Scheme}
	case u.Scheme == "http" && what == tenant.Native: // a loopback address, on which any program may listen
		return place{}
	}
	return place{Host: u.Host}
}

// consentPage is where a request goes on that could not be answered at once: when its person has signed in, and when they
// have to be asked. Everything is looked at anew, for whoever is signed in now.
func (e *Endpoint) consentPage(v *visit) error {
	h := handle{v.URL.Query().Get("i")}
	kept, raw, err := e.kept(v, h, Path)
	if err != nil {
		return err
	}
	q, err := e.readKept(v, kept, raw)
	if err == nil {
		v.Request = look.InLanguage(v.Request, q.locales)
		err = e.goOn(v, q, h, kept)
	}
	return e.tell(v, q, err)
}

func (e *Endpoint) goOn(v *visit, q *request, h handle, kept tenant.Interaction) error {
	who, err := e.Door.Current(v.Request, v.tenant)
	if err != nil && !errors.Is(err, login.ErrNobody) {
		return err
	}
	demand := tenant.Interaction{Person: q.subject, After: q.since(v.now), ACR: kept.ACR}
	query, silent := v.URL.Query(), q.prompt(oauth.PromptNone) // which is kept if it was posted
	if query.Has("unmet") || silent {                          // they can't prove it, and the application only said that it would like it
		demand.ACR = ""
	}
	if query.Has("other") {
		demand.After = v.now
	}
	if met := q.metBy(who); !met && (query.Has("unmet") || !q.attainable(v.tenant)) {
		return errUnmet
	} else if !met && silent {
		return errSignIn
	}
	if who == nil || !who.Meets(demand) {
		if silent {
			return errSignIn
		}
		if err := e.count(v); err != nil {
			return err
		}
		return e.askFor(v, q, h, demand)
	}
	touched := query.Has("touched") && !who.At.Before(q.begun.Truncate(time.Millisecond)) // the address is known only to the browser that did
	needed, err := e.needsConsent(v.Context(), q, who, touched)
	if err != nil {
		return err
	}
	if !needed {
		if _, _, err := e.consume(v, h, Path); err != nil {
			return err
		}
		return e.giveCode(v, q, who)
	}
	if silent {
		return errAgree
	}
	return e.showConsent(v, q, h, who)
}

func (e *Endpoint) showConsent(v *visit, q *request, h handle, who *login.SignIn) error {
	p, err := e.Store.Person(v.Context(), v.tenant.ID, who.Person)
	if err != nil {
		return err
	}
	view := consentView{
		Handle: h.text, Form: h.form(e.session(v)), Client: q.client, Person: p, Place: placeOf(q.client.Type, q.redirect), Name: q.scope.Has(oauth.ScopeProfile),
		Offline: q.scope.Has(oauth.ScopeOffline), Session: q.client.MayUse(oauth.RefreshToken), Longest: days(tenant.SessionLongest),
		Minutes: int((min(q.client.Lifetime, v.tenant.MaxLifetime) + time.Minute - 1) / time.Minute), Changed: v.URL.Query().Has("changed"), Other: e.consentURL(v, h) + "&other=1",
	}
	if view.Offline {
		view.Longest, view.Idle = days(tenant.FamilyLongest), days(tenant.FamilyIdle)
	}
	if q.subject != "" {
		view.Other = "" // it must be who they are
	}
	for _, audience := range q.resources {
		access, _ := q.client.Access(audience)
		view.APIs = append(view.APIs, tenant.Access{Audience: audience, Scopes: q.scope.Without(q.scope.Without(access.Scopes))})
	}
	return e.render(v, "consent", look.Page{Title: "agree.title", Args: []any{q.client.Name}, Script: "once.js", FormTo: leadsTo(q.client, q.redirect), Data: view})
}

// leadsTo lists where a form may lead that sends a person back to a client, as Content-Security-Policy wants it: browsers
// hold its form-action against every step of the way, so an application that goes on from its redirect URI to another
// origin of its own has to have an address there, such as the one after signing out.
func leadsTo(c tenant.Client, redirect string) string {
	var list []string
	for _, uri := range slices.Concat([]string{redirect}, c.RedirectURIs, c.LogoutURIs) {
		u, err := url.Parse(uri)
		if err != nil || uri == "" {
			continue
		}
		source := u.Scheme + ":"
		if u.Host != "" && !strings.HasPrefix(u.Host, "[") { // the policy has no way to say an IPv6 address
			source += "//" + u.Host
		}
		if !slices.Contains(list, source) {
			list = append(list, source)
		}
	}
	return strings.Join(list, " ")
}

// consent takes the person's decision. It counts for the session in which the question was asked, and nobody else's: who
// signed in meanwhile is asked anew.
func (e *Endpoint) consent(v *visit) error {
	raw, err := v.body()
	if err != nil {
		return err
	}
	p, err := readParameters(raw)
	if err != nil {
		return problemMalformed.Because(err)
	}
	text, _ := p.one("i", maxWords)
	form, _ := p.one("form", maxWords)
	decision, _ := p.one("decision", maxWords)
	h := handle{text}
	kept, asked, err := e.kept(v, h, Path)
	if err != nil {
		return err
	}
	q, err := e.readKept(v, kept, asked)
	if err == nil {
		err = e.decide(v, q, h, form, decision)
	}
	return e.tell(v, q, err)
}

// decide looks at who decides before the request is used up.
func (e *Endpoint) decide(v *visit, q *request, h handle, form, decision string) error {
	who, err := e.Door.Current(v.Request, v.tenant)
	switch {
	case errors.Is(err, login.ErrNobody):
		return v.goTo(e.consentURL(v, h)) // which asks them to sign in
	case err != nil:
		return err
	case !h.fits(form, e.session(v)):
		return v.goTo(e.consentURL(v, h) + "&changed=1")
	case !who.Meets(tenant.Interaction{Person: q.subject, After: q.since(v.now)}):
		return v.goTo(e.consentURL(v, h))
	case decision != "allow" && decision != "deny":
		return problemMalformed
	}
	if _, _, err := e.consume(v, h, Path); err != nil {
		return err
	}
	return e.decided(v, q, who, decision == "allow")
}

func (e *Endpoint) decided(v *visit, q *request, who *login.SignIn, allowed bool) error {
	if !allowed {
		return oauth.Errorf(oauth.AccessDenied, "The person does not agree.")
	}
	if err := e.Record(v.settled(), Act{Kind: ConsentGiven, Tenant: v.tenant.ID, Person: who.Person, Client: q.client.ID, Audience: q.resources,
		Detail: map[string]string{"session": who.Session, "scope": q.scope.String()}}); err != nil {
		return away(err)
	}
	agreed := tenant.Consent{Tenant: v.tenant.ID, Person: who.Person, Client: q.client.ID}.With(q.scope, q.resources)
	if _, err := e.Store.SaveConsent(v.settled(), agreed); err != nil {
		return notDone(err)
	}
	return e.giveCode(v, q, who)
}
