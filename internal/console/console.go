// Package console is seawall for administrators in a browser: pages over the admin API, for people of the operators' tenant.
//
// The console has no rules of its own. It asks the admin API as the person who is signed in, in process, so roles, checks and
// the words of errors are those of the command line. What it adds is what a browser needs. Every page is whole without a script.
// Nothing is written on a GET. A POST goes to the address of the page that it was pressed on, comes from our own origin, and
// carries a token of the session; when the admin API wants a fresh touch, what was typed is kept on our side, sealed for this
// browser alone, which goes to touch and comes back to the same page as it was. Secrets and links are in the one answer that made them.
//
// The files: console.go routes and renders, write.go has what a POST goes through, view.go the pieces that pages are made of
// and markup.go how they are written; each of the others is a part of the admin API.
package console

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"seawall/internal/login"
	"seawall/internal/look"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

//go:embed all:pages
var pages embed.FS

// Door knows who is signed in, and asks them to touch.
type Door interface {
	Current(r *http.Request, t *tenant.Tenant) (*login.SignIn, error)
	Ask(w http.ResponseWriter, r *http.Request, t *tenant.Tenant, i tenant.Interaction) error
	FormToken(r *http.Request, t *tenant.Tenant) string
	// DraftKey is a key that the browser brings back after a touch, and that nobody else has; nil if it can't.
	DraftKey(r *http.Request, t *tenant.Tenant) []byte
}

// Drafts keeps what somebody typed, sealed, while they touch their passkey.
type Drafts interface {
	SaveInteraction(ctx context.Context, i tenant.Interaction) error
	Interaction(ctx context.Context, tenantID string, hash secret.Hash) (tenant.Interaction, error)
}

// Config is what a [Console] is made of. All fields are needed.
type Config struct {
	Base   string // base URL
	Door   Door
	Drafts Drafts
	// Operate returns the admin API for a person who last touched their passkey at touched.
	Operate func(person string, touched time.Time) *adminapi.Operator
	Log     *slog.Logger
	Now     func() time.Time
}

// Console is the pages.
type Console struct {
	Config
	book  *look.Book
	home  string // path of the operators' tenant
	root  string // path of the console
	mux   *http.ServeMux
	cross *http.CrossOriginProtection
}

// Path is where the console is, below the issuer of the operators' tenant.
const Path = "/console"

// New makes a console.
func New(c Config) (*Console, error) {
	base, err := url.Parse(c.Base)
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(pages, "pages")
	if err != nil {
		return nil, err
	}
	home := base.Path + "/" + tenant.Operators
	o := &Console{Config: c, home: home, root: home + Path, mux: http.NewServeMux(), cross: http.NewCrossOriginProtection()}
	if o.book, err = look.New(base.Path+login.AssetsPath, files, pieces); err != nil {
		return nil, err
	}
	for _, r := range routes() {
		o.mux.Handle(o.root+r.path, o.at(r))
	}
	return o, nil
}

// Owns reports whether a path below the operators' issuer is the console's.
func Owns(rest string) bool { return rest == Path || strings.HasPrefix(rest, Path+"/") }

// ServeAsset answers a request for a style, and reports whether there is one.
func (o *Console) ServeAsset(w http.ResponseWriter, r *http.Request) bool {
	return o.book.ServeAsset(w, r)
}

// route is a page. A page that has post is pressed at its own address.
type route struct {
	path string
	get  func(*Console, *visit) error
	post func(*Console, *visit) error
}

// routes are all pages, by their path below the console.
func routes() []route {
	const t, p, c, a, k = "/tenants/{tenant}", "/people/{person}", "/clients/{client}", "/apis/{api}", "/keys/{key}"
	return []route{
		{"", (*Console).overview, nil},
		{"/tenants", (*Console).tenants, nil},
		{"/new/tenant", (*Console).newTenant, (*Console).createTenant},
		{t, (*Console).tenant, nil},
		{t + "/complete", (*Console).completing, (*Console).completeTenant},
		{t + "/disable", (*Console).disablingTenant, sure((*Console).disableTenant)},
		{t + "/people", (*Console).people, nil},
		{t + "/new/person", (*Console).newPerson, (*Console).createPerson},
		{t + p, (*Console).person, nil},
		{t + p + "/enrol", (*Console).enrolling, (*Console).enrolPerson},
		{t + p + "/recover", (*Console).recovering, (*Console).recoverPerson},
		{t + p + "/role", (*Console).changingRole, sure((*Console).setRole)},
		{t + p + "/sessions", (*Console).endingSessions, (*Console).endSessions},
		{t + p + "/access", (*Console).changingAccess, (*Console).changeAccess},
		{t + p + "/disable", (*Console).disablingPerson, sure((*Console).disablePerson)},
		{t + "/clients", (*Console).clients, nil},
		{t + "/new/client", (*Console).newClient, (*Console).createClient},
		{t + c, (*Console).client, nil},
		{t + c + "/rotate", (*Console).rotatingSecret, (*Console).rotateSecret},
		{t + c + "/redirects", (*Console).changingRedirects, (*Console).setRedirects},
		{t + c + "/disable", (*Console).disablingClient, sure((*Console).disableClient)},
		{t + "/apis", (*Console).apis, nil},
		{t + "/new/api", (*Console).newAPI, (*Console).createAPI},
		{t + a, (*Console).api, nil},
		{t + a + "/disable", (*Console).disablingAPI, sure((*Console).disableAPI)},
		{t + "/keys", (*Console).keys, nil},
		{t + "/keys/rotate", (*Console).rotatingKeys, (*Console).rotateKeys},
		{t + k, (*Console).key, nil},
		{t + k + "/distrust", (*Console).distrustingKey, sure((*Console).distrustKey)},
		{t + k + "/give-back", (*Console).givingBack, sure((*Console).giveBack)},
		{"/recoveries", (*Console).recoveries, nil},
		{"/ledger", (*Console).ledger, nil},
	}
}

// Pages lists the paths of all pages below the console, and those of them on which something is done.
func Pages() (all, acts []string) {
	for _, r := range routes() {
		all = append(all, r.path)
		if r.post != nil {
			acts = append(acts, r.path)
		}
	}
	return all, acts
}

// visit is one request to the console, by somebody who is signed in.
type visit struct {
	*http.Request
	w      http.ResponseWriter
	tenant *tenant.Tenant
	who    *login.SignIn
	self   *adminapi.Self
	api    *adminapi.Operator
	now    time.Time

	typed   url.Values      // what the form is filled with
	trouble *adminapi.Error // why it was not taken
	again   bool            // they have just touched, and nothing is done yet
	status  int             // of the answer
}

// tenantKey is where a request has the operators' tenant on its way through the mux.
type tenantKey struct{}

// Serve answers a request to a path that [Owns].
func (o *Console) Serve(w http.ResponseWriter, r *http.Request, t *tenant.Tenant) {
	r = r.WithContext(context.WithValue(r.Context(), tenantKey{}, t))
	if _, pattern := o.mux.Handler(r); pattern == "" || r.URL.Path != o.root && strings.HasSuffix(r.URL.Path, "/") {
		o.at(route{get: (*Console).nothing}).ServeHTTP(w, r)
		return
	}
	o.mux.ServeHTTP(w, r)
}

// at answers at a route.
func (o *Console) at(to route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, _ := r.Context().Value(tenantKey{}).(*tenant.Tenant)
		v := &visit{Request: r, w: w, tenant: t, now: o.Now(), typed: url.Values{}, status: http.StatusOK}
		if err := o.answer(v, to); err != nil {
			o.fail(v, err)
		}
	})
}

func (o *Console) answer(v *visit, to route) error {
	do := to.get
	switch v.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		if to.post == nil {
			return methodProblem(v)
		}
		if err := o.cross.Check(v.Request); err != nil {
			return &adminapi.Error{Code: adminapi.CodeForbidden, Status: http.StatusForbidden, Description: "this came from another site, and nothing was done", Hint: "go on from a page of the console"}
		}
		do = func(o *Console, v *visit) error { return o.write(v, to) }
	default:
		return methodProblem(v)
	}
	who, err := o.Door.Current(v.Request, v.tenant)
	if errors.Is(err, login.ErrNobody) { // nothing is kept for strangers: who signs in here comes to the console by itself
		look.Guard(v.w.Header())
		http.Redirect(v.w, v.Request, o.home+"/signin", http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	v.who, v.api = who, o.Operate(who.Person, who.At)
	if v.self, err = v.api.Self(v.Context()); err != nil {
		return err
	}
	if v.Method != http.MethodPost {
		if err := o.takeDraft(v); err != nil {
			return err
		}
	}
	return do(o, v)
}

func methodProblem(v *visit) error {
	v.w.Header().Set("Allow", "GET, HEAD")
	return &adminapi.Error{Code: adminapi.CodeMethod, Status: http.StatusMethodNotAllowed, Description: "this page is only looked at"}
}

func (o *Console) nothing(*visit) error {
	return &adminapi.Error{Code: adminapi.CodeNotFound, Status: http.StatusNotFound, Description: "there is no such page", Hint: "go on from the overview"}
}

// fail tells what went wrong, in the admin API's own words.
func (o *Console) fail(v *visit, err error) {
	var e *adminapi.Error
	if !errors.As(err, &e) {
		reference := strings.ToLower(rand.Text()[:10])
		o.Log.ErrorContext(v.Context(), "a page of the console could not be served", "reference", reference, "cause", err)
		e = &adminapi.Error{Code: adminapi.CodeServer, Status: http.StatusInternalServerError,
			Description: "something went wrong inside seawall (incident " + reference + ")", Hint: "its log says what, under that number"}
	}
	v.status = e.Status
	if v.status < 400 {
		v.status = http.StatusInternalServerError
	}
	if err := o.render(v, "problem", page{Title: "console.problem", Body: e}); err != nil {
		o.Log.ErrorContext(v.Context(), "a problem could not be told", "cause", err)
		http.Error(v.w, e.Description, v.status)
	}
}

// render shows a page.
func (o *Console) render(v *visit, name string, p page) error {
	p.Root, p.Now, p.Self, p.Trouble, p.Again = o.root, v.now, v.self, v.trouble, v.again
	if f, is := p.Body.(form); is && f.Sure {
		f.Fields = append(f.Fields, v.fill(confirmation())...)
		p.Body = f
	}
	if v.Method != http.MethodPost {
		p.Done = doneWords[v.URL.Query().Get("done")]
	}
	if parts, is := p.Body.([]section); is {
		for i := range parts {
			if t := parts[i].Table; t != nil {
				t.Root = o.root
				if t.Add != nil && len(offered([]act{*t.Add}, v.self.Role)) == 0 {
					t.Add = nil
				}
			}
			parts[i].Acts = offered(parts[i].Acts, v.self.Role)
		}
		p.Body = slices.DeleteFunc(parts, func(s section) bool { return s.Facts == nil && s.Table == nil && len(s.Acts) == 0 })
	}
	if v.who != nil {
		p.Token = o.Door.FormToken(v.Request, v.tenant)
	}
	return o.book.Render(v.w, v.Request, v.status, name, look.Page{Title: p.Title, Args: p.Args, Place: "seawall", Home: o.home, Wide: true, Style: "wide.css", Data: p})
}
