// Package authorize is everything that a browser meets on the way from an application to a code, and out again:
// the authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2), the question whether a person agrees, and
// logout that an application asks for (OpenID Connect RP-Initiated Logout 1.0).
//
// An [Endpoint] answers at the paths below a tenant's issuer that [Endpoint.Owns] names. The client and the address that
// it wants its people back at are looked at first, and while there is doubt about either nobody is sent anywhere: a page
// says what is wrong. Every other fault goes back to the client, with the code that its standard has for it, the state and
// the issuer. Nothing that a request asks for is made weaker to please it: a code without PKCE (S256) is not to be had.
//
// Who is signed in is package login's to say. A request that can't be answered at once is kept on our side and named by a
// handle, so that nothing of it can be changed in between; when the person comes back from signing in, it is looked at
// again from the start, against what is registered then and who is signed in then. The form that asks for consent is good
// for the session that it was shown to, once. Every code and every consent is recorded before it is given.
//
// The files: request.go reads a request, answer.go decides what becomes of it, consent.go asks the person, logout.go ends
// sessions.
package authorize

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"io"
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
	"seawall/internal/tenant"
)

//go:embed pages
var pages embed.FS

// Paths below an issuer.
const (
	Path        = "/authorize"
	ConsentPath = "/consent"
	LogoutPath  = "/logout"
)

// Registry knows clients, APIs and people.
type Registry interface {
	// Client, Person return one, also a disabled one, or tenant.ErrNotFound. Neither finds one of another tenant.
	Client(ctx context.Context, tenantID, id string) (tenant.Client, error)
	Person(ctx context.Context, tenantID, subject string) (tenant.Person, error)
	APIs(ctx context.Context, tenantID string) ([]tenant.API, error)
}

// Requests keeps what is under way. Of any number of calls that consume one, one gets it.
type Requests interface {
	SaveInteraction(ctx context.Context, i tenant.Interaction) error
	Interaction(ctx context.Context, tenantID string, hash secret.Hash) (tenant.Interaction, error)
	ConsumeInteraction(ctx context.Context, tenantID string, hash secret.Hash) (tenant.Interaction, error)
}

// Agreements keeps what people agreed to. Each method is one act.
type Agreements interface {
	// Consent returns what a person has allowed a client, or tenant.ErrNotFound, and SaveConsent adds to it.
	Consent(ctx context.Context, tenantID, person, client string) (tenant.Consent, error)
	SaveConsent(ctx context.Context, more tenant.Consent) (tenant.Consent, error)
	// SaveCode keeps a code if all that it says holds in that very act: tenant.ErrNotFound, ErrDisabled or ErrLesser if not.
	SaveCode(ctx context.Context, c tenant.Code) error
}

// Store is all that an endpoint needs kept.
type Store interface {
	Registry
	Requests
	Agreements
}

// ActKind names a security act.
type ActKind string

// The acts.
const (
	ConsentGiven ActKind = "consent.given"
	CodeIssued   ActKind = "code.issued"
)

// ActKinds lists every act.
func ActKinds() []ActKind { return []ActKind{ConsentGiven, CodeIssued} }

// Act is a security act of a person as metadata.
type Act struct {
	Kind                   ActKind
	Tenant, Person, Client string
	Audience               []string
	Detail                 map[string]string
}

// Hint is what an ID token says that a client sends along (OpenID Connect Core §3.1.2.1, id_token_hint).
type Hint struct{ Subject, Client string }

// Config is what an [Endpoint] is made of. All fields are needed.
type Config struct {
	Base  string // base URL
	Store Store
	Door  *login.Door
	// Record writes acts down durably. Nothing is done that can't be recorded.
	Record func(ctx context.Context, acts ...Act) error
	// Hint reads an ID token that this tenant has issued, also one that has expired, and reports whether it is one.
	Hint  func(ctx context.Context, t *tenant.Tenant, raw secret.Text) (h Hint, ours bool)
	Limit login.Limit
	Log   *slog.Logger
	Now   func() time.Time
}

// Endpoint is the part of the house that applications send people to.
type Endpoint struct {
	Config
	book  *look.Book
	path  string // of the base URL
	cross *http.CrossOriginProtection
}

// New makes an endpoint.
func New(c Config) (*Endpoint, error) {
	base, err := url.Parse(c.Base)
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(pages, "pages")
	if err != nil {
		return nil, err
	}
	e := &Endpoint{Config: c, path: base.Path, cross: http.NewCrossOriginProtection()}
	e.book, err = look.New(base.Path+login.AssetsPath, files)
	return e, err
}

// ServeAsset answers a request for a script, and reports whether there is one.
func (e *Endpoint) ServeAsset(w http.ResponseWriter, r *http.Request) bool {
	return e.book.ServeAsset(w, r)
}

// visit is one request to an endpoint.
type visit struct {
	*http.Request
	w      http.ResponseWriter
	tenant *tenant.Tenant
	now    time.Time
}

// home is the path of the tenant's issuer.
func (e *Endpoint) home(t *tenant.Tenant) string { return e.path + "/" + t.ID }

// route is a path below an issuer. It has a handler for each method that it answers; HEAD is none of them, because the
// answer to GET may be a code.
type route struct {
	get, post func(*Endpoint, *visit) error
	anywhere  bool // forms of other sites may post here
}

// routes are all our paths.
var routes = map[string]route{
	Path:        {get: (*Endpoint).authorize, post: (*Endpoint).authorizePosted, anywhere: true},
	ConsentPath: {get: (*Endpoint).consentPage, post: (*Endpoint).consent},
	LogoutPath:  {get: (*Endpoint).logoutPage, post: (*Endpoint).logout, anywhere: true},
}

// Owns reports whether a path below an issuer is an endpoint's.
func (e *Endpoint) Owns(rest string) bool {
	_, ok := routes[rest]
	return ok
}

// Pages lists the paths of all pages below an issuer. [Path] is none: it leads to one, or says what is wrong.
func Pages() (paths []string) {
	for path := range routes {
		if path != Path {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// What goes wrong where no client can be told. The words are in package look under problem.<name>.
var (
	problemMethod    = login.NewProblem("nothing", http.StatusMethodNotAllowed)
	problemNothing   = login.NewProblem("nothing", http.StatusNotFound)
	problemForeign   = login.NewProblem("foreign", http.StatusForbidden)
	problemMalformed = login.NewProblem("malformed", http.StatusBadRequest)
	problemRequest   = login.NewProblem("request", http.StatusBadRequest)
	problemClient    = login.NewProblem("client", http.StatusBadRequest)
	problemRedirect  = login.NewProblem("redirect", http.StatusBadRequest)
	problemOver      = login.NewProblem("over", http.StatusGone)
	problemBusy      = login.NewProblem("busy", http.StatusTooManyRequests)
	problemAfter     = login.NewProblem("after", http.StatusBadRequest)
)

// problems lists all of them.
func problems() []login.Problem {
	return []login.Problem{problemMethod, problemNothing, problemForeign, problemMalformed, problemRequest, problemClient, problemRedirect, problemOver, problemBusy, problemAfter}
}

// Serve answers a request to a path that [Endpoint.Owns].
func (e *Endpoint) Serve(w http.ResponseWriter, r *http.Request, t *tenant.Tenant, rest string) {
	v := &visit{r, w, t, e.Now()}
	way := routes[rest]
	do := way.get
	if r.Method == http.MethodPost {
		do = way.post
	}
	err := error(problemMethod)
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, POST")
	case !t.Live():
		err = problemNothing
	case r.Method == http.MethodPost && !way.anywhere && e.cross.Check(r) != nil:
		err = problemForeign.Because(e.cross.Check(r))
	default:
		err = do(e, v)
	}
	if err != nil {
		e.Door.Fail(w, v.Request, t, err)
	}
}

// maxBody bounds the parameters of a request, in the URL or in the body.
const maxBody = 8 << 10

// body reads the form that a request has as its body.
func (v *visit) body() (string, error) {
	kind, _, _ := strings.Cut(v.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		return "", problemMalformed
	}
	text, err := io.ReadAll(io.LimitReader(v.Body, maxBody+1))
	if err != nil || len(text) > maxBody {
		return "", problemMalformed
	}
	return string(text), nil
}

// goTo sends the browser on. 303 makes it a GET, and a reload harmless.
func (v *visit) goTo(address string) error {
	look.Guard(v.w.Header())
	v.w.Header().Set("Location", address) // as it is: http.Redirect would rewrite addresses that it does not know
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// render shows a page.
func (e *Endpoint) render(v *visit, name string, p look.Page) error {
	p.Place, p.Home = v.tenant.ID, e.home(v.tenant)
	return e.book.Render(v.w, v.Request, http.StatusOK, name, p)
}

// settled is the context of what must not stop halfway because a browser hung up.
func (v *visit) settled() context.Context { return context.WithoutCancel(v.Context()) }

// handle names what is kept of a request: 256 random bits. The browser has them, we have their hash.
type handle struct{ text string }

func newHandle() handle {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return handle{base64.RawURLEncoding.EncodeToString(b[:])}
}

func (h handle) hash() secret.Hash { return secret.New(h.text).Hash() }

// form is the value by which a form is good for one session: nobody can make it who has not both the handle and the secret
// that only this session's browser has ([login.Door.FormToken]). A session's id is in ID tokens, and would not do. That it
// is good once is because what the handle names can be consumed once.
func (h handle) form(session string) string {
	mac := hmac.New(sha256.New, []byte(h.text))
	mac.Write([]byte("seawall-form-v2\x00" + session))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// fits reports, in constant time, whether value is the form's of this session. Who has none has no form.
func (h handle) fits(value, session string) bool {
	return session != "" && hmac.Equal([]byte(value), []byte(h.form(session)))
}

// session is what forms are bound to.
func (e *Endpoint) session(v *visit) string { return e.Door.FormToken(v.Request, v.tenant) }

// count counts whoever makes us keep something, because strangers can, and has them wait.
func (e *Endpoint) count(v *visit) error {
	if e.Limit.Wait(v.tenant.ID, v.Request, v.now) > 0 {
		return problemBusy
	}
	e.Limit.Failed(v.tenant.ID, v.Request, v.now)
	return nil
}

// keep keeps what is under way and returns its handle.
func (e *Endpoint) keep(v *visit, i tenant.Interaction) (handle, error) {
	if err := e.count(v); err != nil {
		return handle{}, err
	}
	h := newHandle()
	i.Hash, i.Tenant, i.ExpiresAt = h.hash(), v.tenant.ID, v.now.Add(tenant.InteractionLife)
	return h, e.Store.SaveInteraction(v.settled(), i)
}

// kept returns what was kept under a handle for one of our paths, and its parameters.
func (e *Endpoint) kept(v *visit, h handle, path string) (i tenant.Interaction, query string, err error) {
	i, err = e.Store.Interaction(v.Context(), v.tenant.ID, h.hash())
	return asked(i, path, err)
}

// consume is kept for the last time: one call gets it.
func (e *Endpoint) consume(v *visit, h handle, path string) (i tenant.Interaction, query string, err error) {
	i, err = e.Store.ConsumeInteraction(v.settled(), v.tenant.ID, h.hash())
	return asked(i, path, err)
}

func asked(i tenant.Interaction, path string, err error) (tenant.Interaction, string, error) {
	if errors.Is(err, tenant.ErrNotFound) {
		return i, "", problemOver.Because(err)
	}
	query, ok := strings.CutPrefix(i.Next, path+"?")
	if err == nil && !ok {
		return i, "", problemOver
	}
	return i, query, err
}
