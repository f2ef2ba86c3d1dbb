package authorize

import (
	"errors"
	"html/template"
	"net/url"
	"time"

	"seawall/internal/login"
	"seawall/internal/look"
	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// ending is a request to sign somebody out that was looked at.
type ending struct {
	client   *tenant.Client // nil: nobody said for whom
	subject  string         // of the ID token that came along; empty: none did, or none of ours
	redirect string         // where to go on; empty: to our own page
	state    string
	locales  string
}

// url is where somebody goes on who is signed out.
func (q *ending) url(home string) string {
	if q.redirect == "" {
		return home + "/signed-out"
	}
	return oauth.WithQuery(q.redirect, [2]string{"state", q.state})
}

// query is the request as it is kept: what the ID token said, and never the token.
func (q *ending) query() string {
	values := url.Values{}
	if q.client != nil {
		values.Set("client_id", q.client.ID)
	}
	for name, value := range map[string]string{"post_logout_redirect_uri": q.redirect, "state": q.state, "ui_locales": q.locales} {
		if value != "" {
			values.Set(name, value)
		}
	}
	return values.Encode()
}

// logoutView is what a person sees before they sign out.
type logoutView struct {
	Handle, Form string
	Client       *tenant.Client
	Person       tenant.Person
	Place        place
	Other        bool         // the application means somebody else's session
	Back         template.URL // to the application, with nobody signed out; of any scheme, because it is registered
}

// logoutPage takes the wish to sign somebody out, and asks them. Nothing ends on the way: a link or an image of another
// site must not sign anybody out.
func (e *Endpoint) logoutPage(v *visit) error {
	if v.URL.Query().Has("i") {
		return e.confirmLogout(v)
	}
	q, err := e.readEnding(v, v.URL.RawQuery)
	if err != nil {
		return err
	}
	if _, err := e.Door.Current(v.Request, v.tenant); errors.Is(err, login.ErrNobody) {
		return v.goTo(q.url(e.home(v.tenant))) // there is nothing to end, and nothing to keep
	}
	return e.beginLogout(v, q)
}

// beginLogout keeps a request and has the browser ask again, with its cookies, which a form of the application's did not
// bring, and without the ID token in its address.
func (e *Endpoint) beginLogout(v *visit, q *ending) error {
	h, err := e.keep(v, tenant.Interaction{Next: LogoutPath + "?" + q.query(), Person: q.subject})
	if err != nil {
		return err
	}
	return v.goTo(e.logoutURL(v, h))
}

func (e *Endpoint) logoutURL(v *visit, h handle) string {
	return e.home(v.tenant) + LogoutPath + "?i=" + h.text
}

// readEnding looks at a request to sign somebody out (RP-Initiated Logout 1.0 §2). Where to go on counts only for a client
// that is known, by an ID token or by its name, and that is registered for exactly this address.
func (e *Endpoint) readEnding(v *visit, raw string) (*ending, error) {
	p, err := readParameters(raw)
	if err != nil {
		return nil, err
	}
	q := &ending{}
	var clientID, hint string
	for _, one := range []struct {
		name string
		most int
		into *string
	}{{"client_id", tenant.MaxIDLength, &clientID}, {"id_token_hint", maxBody, &hint}, {"post_logout_redirect_uri", tenant.MaxRedirectLength, &q.redirect},
		{"state", maxState, &q.state}, {"ui_locales", maxWords, &q.locales}} {
		value, ok := p.one(one.name, one.most)
		if !ok {
			return nil, problemRequest.Because(errors.New("a parameter is repeated or too long"))
		}
		*one.into = value
	}
	v.Request = look.InLanguage(v.Request, q.locales)
	if told, ours := e.hinted(v, hint); ours {
		if clientID != "" && clientID != told.Client {
			return nil, problemAfter.Because(errors.New("the ID token is another client's"))
		}
		clientID, q.subject = told.Client, told.Subject
	}
	if clientID != "" {
		c, err := e.Store.Client(v.Context(), v.tenant.ID, clientID)
		if errors.Is(err, tenant.ErrNotFound) {
			return nil, problemClient.Because(errNoClient)
		}
		if err != nil {
			return nil, err
		}
		q.client = &c
	}
	if q.redirect != "" && (q.client == nil || !q.client.Live() || !q.client.LogsOutTo(q.redirect)) {
		return nil, problemAfter.Because(errors.New("the post_logout_redirect_uri is none of a client that is known"))
	}
	return q, nil
}

// hinted returns what an ID token says that came along, if it is one of ours. One that can't be verified, because it was
// made up or its key is long gone, is none: then nobody is known by it.
func (e *Endpoint) hinted(v *visit, raw string) (Hint, bool) {
	if raw == "" {
		return Hint{}, false
	}
	return e.Hint(v.Context(), v.tenant, secret.New(raw))
}

// confirmLogout asks the person. Who is signed out already goes on at once.
func (e *Endpoint) confirmLogout(v *visit) error {
	h := handle{v.URL.Query().Get("i")}
	kept, raw, err := e.kept(v, h, LogoutPath)
	if err != nil {
		return err
	}
	q, err := e.readEnding(v, raw)
	if err != nil {
		return err
	}
	who, err := e.Door.Current(v.Request, v.tenant)
	if errors.Is(err, login.ErrNobody) {
		return v.goTo(q.url(e.home(v.tenant)))
	}
	if err != nil {
		return err
	}
	p, err := e.Store.Person(v.Context(), v.tenant.ID, who.Person)
	if err != nil {
		return err
	}
	view := logoutView{Handle: h.text, Form: h.form(e.session(v)), Client: q.client, Person: p, Other: kept.Person != "" && kept.Person != who.Person}
	page := look.Page{Title: "logout.title", Args: []any{v.tenant.ID}}
	if view.Other {
		page.Title, page.Args = "logout.other", nil
	}
	if q.redirect != "" {
		view.Place, view.Back = placeOf(q.client.Type, q.redirect), template.URL(q.url("")) // registered: see readEnding
		page.FormTo = leadsTo(tenant.Client{LogoutURIs: q.client.LogoutURIs, RedirectURIs: q.client.RedirectURIs}, q.redirect)
	}
	page.Data = view
	return e.render(v, "logout", page)
}

// logout ends the session when its person has said so on our page. Anything else that is posted here is an application's
// request, and leads to that page.
func (e *Endpoint) logout(v *visit) error {
	raw, err := v.body()
	if err != nil {
		return err
	}
	p, err := readParameters(raw)
	if err != nil {
		return err
	}
	form, _ := p.one("form", maxWords)
	if form == "" {
		q, err := e.readEnding(v, raw)
		if err != nil {
			return err
		}
		return e.beginLogout(v, q)
	}
	if err := e.cross.Check(v.Request); err != nil {
		return problemForeign.Because(err)
	}
	text, _ := p.one("i", maxWords)
	h := handle{text}
	kept, raw, err := e.kept(v, h, LogoutPath)
	if err != nil {
		return err
	}
	q, err := e.readEnding(v, raw)
	if err != nil {
		return err
	}
	who, err := e.Door.Current(v.Request, v.tenant)
	switch {
	case errors.Is(err, login.ErrNobody):
		return v.goTo(q.url(e.home(v.tenant)))
	case err != nil:
		return err
	case !h.fits(form, e.session(v)) || kept.Person != "" && kept.Person != who.Person:
		return v.goTo(e.logoutURL(v, h)) // somebody else is signed in now, and is asked
	}
	if err := e.Door.SignOut(v.w, v.Request, v.tenant); err != nil {
		return err // and no page says that it is done
	}
	return v.goTo(q.url(e.home(v.tenant)))
}

// days is a duration in whole days.
func days(d time.Duration) int { return int(d / (24 * time.Hour)) }
