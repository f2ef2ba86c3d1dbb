// Package login is people in browsers: signing in with passkeys (WebAuthn), the sessions that follow, the links by which
// somebody gets a first passkey, and the page on which each person sees their own account.
//
// A [Door] answers at the paths below a tenant's issuer that [Door.Owns] names. There are no passwords. Every ceremony has
// a challenge that is kept, bound to its kind, tenant and browser, and consumed once whatever comes of it; every sign-in
// makes a new session and ends the browser's earlier one. What must hold across requests and restarts is one act of the
// store. Every security act is recorded before it is done, and is not done if it can't be recorded.
//
// Whoever wants to know who is signed in asks [Door.Current], and if that is not enough, [Door.Ask] sends the browser to
// sign in and back. Where it goes on is kept on our side, so no address from outside decides.
//
// The files: login.go routes, ceremony.go speaks WebAuthn, signin.go, enrol.go and account.go are the pages, cookie.go has
// the cookies, metadata.go reads the FIDO metadata, problem.go says what went wrong, and front.go is for who came to no tenant.
package login

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"seawall/internal/look"
	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

//go:embed pages
var pages embed.FS

// People finds people.
type People interface {
	// Person returns one by subject, PersonByHandle by what authenticators know them by, or tenant.ErrNotFound. Neither
	// finds people of another tenant.
	Person(ctx context.Context, tenantID, subject string) (tenant.Person, error)
	PersonByHandle(ctx context.Context, tenantID string, handle []byte) (tenant.Person, error)
}

// Passkeys keeps passkeys. Each method is one act.
type Passkeys interface {
	Passkeys(ctx context.Context, tenantID, person string) ([]tenant.Passkey, error)
	AddPasskey(ctx context.Context, k tenant.Passkey) (tenant.Passkey, error)
	RenamePasskey(ctx context.Context, tenantID, person string, id []byte, name string) (tenant.Passkey, error)
	// RestorePasskey brings back one that a recovery left behind.
	RestorePasskey(ctx context.Context, tenantID, person string, id []byte) (tenant.Passkey, error)
	// RemovePasskey refuses the last one that works.
	RemovePasskey(ctx context.Context, tenantID, person string, id []byte) (tenant.Passkey, error)
	// SignIn moves the counter and opens the session, or suspends a passkey whose counter went back: tenant.ErrCounter. One
	// that is less than the tenant asks for is tenant.ErrLesser.
	SignIn(ctx context.Context, session tenant.Session, used tenant.Passkey, replaces secret.Hash) error
}

// Sessions keeps signed-in browsers.
type Sessions interface {
	Session(ctx context.Context, tenantID string, hash secret.Hash) (tenant.Session, tenant.Person, error)
	Sessions(ctx context.Context, tenantID, person string) ([]tenant.Session, error)
	// EndSessions ends them and what came of them, and leaves it to Config.Settle that access tokens end too.
	EndSessions(ctx context.Context, e tenant.Ending) (ended int, err error)
}

// SingleUse keeps what can be used once: of any number of calls that consume it, one gets it.
type SingleUse interface {
	BeginCeremony(ctx context.Context, c tenant.Ceremony) error
	// HasCeremony looks without consuming.
	HasCeremony(ctx context.Context, tenantID string, challenge, browser secret.Hash) (bool, error)
	ConsumeCeremony(ctx context.Context, tenantID string, kind tenant.CeremonyKind, challenge, browser secret.Hash) (tenant.Ceremony, error)
	SaveInteraction(ctx context.Context, i tenant.Interaction) error
	Interaction(ctx context.Context, tenantID string, hash secret.Hash) (tenant.Interaction, error)
	ConsumeInteraction(ctx context.Context, tenantID string, hash secret.Hash) (tenant.Interaction, error)
}

// Enrolments keeps links and recoveries.
type Enrolments interface {
	Enrolment(ctx context.Context, tenantID string, hash secret.Hash) (tenant.Enrolment, tenant.Person, error)
	// Enrol uses a link up, keeps the passkey, opens the session and ends the browser's earlier one, in one act. The link of
	// a recovery also suspends the person's other passkeys and ends all their sessions.
	Enrol(ctx context.Context, hash secret.Hash, k tenant.Passkey, session tenant.Session, replaces secret.Hash) error
	Recovery(ctx context.Context, tenantID, person string) (tenant.Recovery, error)
	CancelRecovery(ctx context.Context, tenantID, person string) (canceled bool, err error)
	// WaitingRecoveries are those of all tenants that want a second administrator.
	WaitingRecoveries(ctx context.Context) ([]tenant.WaitingRecovery, error)
	ApproveRecovery(ctx context.Context, tenantID, person, by string) (tenant.Recovery, error)
}

// Applications keeps what people have allowed to applications.
type Applications interface {
	Client(ctx context.Context, tenantID, id string) (tenant.Client, error)
	Families(ctx context.Context, tenantID, person string) ([]tenant.Family, error)
	// Given returns a person's codes whose access token lives and has no family.
	Given(ctx context.Context, tenantID, person string) ([]tenant.Code, error)
	Consents(ctx context.Context, tenantID, person string) ([]tenant.Consent, error)
	// ResumeFamily lets a suspended family of a person go on.
	ResumeFamily(ctx context.Context, tenantID, person, id string) (f tenant.Family, resumed bool, err error)
	// WithdrawConsent takes back what a person has allowed a client and ends what it made of that, in one act, and leaves it to
	// Config.Settle that access tokens end too.
	WithdrawConsent(ctx context.Context, tenantID, person, client, actor string) (withdrawn bool, err error)
}

// Alarms are what every owner should know of.
type Alarms interface {
	Alarms(ctx context.Context) ([]tenant.Alarm, error)
}

// Store is all that a door needs kept.
type Store interface {
	Applications
	People
	Passkeys
	Sessions
	SingleUse
	Enrolments
	Alarms
}

// ActKind names a security act of a person.
type ActKind string

// The acts.
const (
	SignedIn         ActKind = "person.signed-in"
	PasskeyAdded     ActKind = "passkey.added"
	PasskeyRemoved   ActKind = "passkey.removed"
	PasskeySuspended ActKind = "passkey.suspended"
	PasskeyRestored  ActKind = "passkey.restored"
	SessionEnded     ActKind = "session.ended"
	EnrolmentUsed    ActKind = "enrolment.used"
	RecoveryStopped  ActKind = "recovery.stopped"
	RecoveryApproved ActKind = "recovery.approved"
	ConsentWithdrawn ActKind = "consent.withdrawn"
	RefreshResumed   ActKind = "refresh.resumed"
)

// ActKinds lists every act.
func ActKinds() []ActKind {
	return []ActKind{SignedIn, PasskeyAdded, PasskeyRemoved, PasskeySuspended, PasskeyRestored, SessionEnded, EnrolmentUsed, RecoveryStopped, RecoveryApproved, ConsentWithdrawn, RefreshResumed}
}

// Act is a security act as metadata.
type Act struct {
	Kind           ActKind
	Tenant, Person string
	Client         string // the application that it is about; may be empty
	Detail         map[string]string
	By             string // subject of who did it; empty: the person themselves
}

// Limit counts what people cost us, by tenant and address.
type Limit interface {
	// Wait returns 0 while more is allowed, or how long it takes until it is. Failed counts one.
	Wait(tenantID string, r *http.Request, now time.Time) time.Duration
	Failed(tenantID string, r *http.Request, now time.Time)
}

// Config is what a [Door] is made of. All fields are needed but Metadata.
type Config struct {
	Base  string // base URL; its host is the RP ID of every tenant
	Store Store
	// Record writes acts down durably. Nothing is done that can't be recorded.
	Record func(ctx context.Context, acts ...Act) error
	// Refused learns of every sign-in that was refused: whose, if a passkey told, and why. It must not wait.
	Refused func(tenantID, person, reason string)
	// Settle has the ledger hear what acts of the store left for it. If that is away, it hears it when it is back.
	Settle func(ctx context.Context)
	// Metadata tells certified authenticators; nil: none is, and tenants that ask for them enrol nobody.
	Metadata *Metadata
	// Each limit has a count of its own, so that a flood of one thing does not stop another. Begun bounds ceremonies that
	// begin, Strays answers to none that we know, and Acts what accounts are asked to do.
	Begun, Strays, Acts Limit

	Log *slog.Logger
	Now func() time.Time
}

// Door is the part of the house that people come through.
type Door struct {
	Config
	book   *look.Book
	rpID   string // empty: the base URL has no name, so there are no passkeys
	origin string
	path   string // of the base URL
	secure bool
	cross  *http.CrossOriginProtection
}

// New makes a door. A field that is missing is found here, and not by a person who needs it.
func New(c Config) (*Door, error) {
	if c.Store == nil || c.Record == nil || c.Refused == nil || c.Settle == nil || c.Begun == nil || c.Strays == nil || c.Acts == nil || c.Log == nil || c.Now == nil {
		return nil, errors.New("a door lacks something that it is made of")
	}
	base, err := url.Parse(c.Base)
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(pages, "pages")
	if err != nil {
		return nil, err
	}
	d := &Door{Config: c, origin: base.Scheme + "://" + base.Host, path: base.Path, secure: base.Scheme == "https", cross: http.NewCrossOriginProtection()}
	if d.book, err = look.New(base.Path+AssetsPath, files); err != nil {
		return nil, err
	}
	if Nameable(base.Hostname()) {
		d.rpID = base.Hostname()
	}
	return d, nil
}

// Nameable reports whether passkeys can be bound to a host: to a name, and never to an address (WebAuthn §5.1.3, RP ID).
func Nameable(host string) bool { return host != "" && net.ParseIP(host) == nil }

// AssetsPath is where styles and scripts are, below the base URL's path.
const AssetsPath = "/assets/"

// ServeAsset answers a request for a style or a script, and reports whether there is one.
func (d *Door) ServeAsset(w http.ResponseWriter, r *http.Request) bool {
	return d.book.ServeAsset(w, r)
}

// Assets lists the paths of all styles and scripts.
func (d *Door) Assets() []string { return d.book.Assets() }

// visit is one request to a door.
type visit struct {
	*http.Request
	w      http.ResponseWriter
	tenant *tenant.Tenant
	now    time.Time
}

// home is the path of the tenant's issuer.
func (d *Door) home(t *tenant.Tenant) string { return d.path + "/" + t.ID }

// route is a path below an issuer. It has get, or post, or both.
type route struct {
	get, post func(*Door, *visit) error
}

// routes are all our paths.
var routes = map[string]route{
	"/signin":                       {get: (*Door).signInPage},
	"/signin/begin":                 {post: (*Door).beginSignIn},
	"/signin/finish":                {post: (*Door).finishSignIn},
	"/enrol":                        {get: (*Door).enrolPage},
	"/enrol/begin":                  {post: (*Door).beginEnrol},
	"/enrol/finish":                 {post: (*Door).finishEnrol},
	"/account":                      {get: (*Door).accountPage},
	"/account/passkeys/begin":       {post: (*Door).beginAdd},
	"/account/passkeys/finish":      {post: (*Door).finishAdd},
	"/account/passkeys/rename":      {post: ofPasskey((*Door).renamePasskey)},
	"/account/passkeys/restore":     {post: ofPasskey((*Door).restorePasskey)},
	"/account/passkeys/remove":      {post: ofPasskey((*Door).removePasskey)},
	"/account/sessions/end":         {post: (*Door).endSession},
	"/account/sessions/end-all":     {post: theirs((*Door).endOtherSessions)},
	"/account/applications/resume":  {post: freshly((*Door).resumeApplication)},
	"/account/applications/end":     {post: theirs((*Door).endApplication)},
	"/account/applications/end-all": {post: theirs((*Door).endApplications)},
	"/account/recovery/stop":        {post: theirs((*Door).stopRecovery)},
	"/account/recoveries/approve":   {post: freshly((*Door).approveRecovery)},
	"/signout":                      {post: (*Door).signOut},
	"/signed-out":                   {get: (*Door).signedOutPage},
}

// Owns reports whether a path below an issuer is a door's.
func (d *Door) Owns(rest string) bool {
	_, ok := routes[rest]
	return ok
}

// Pages lists the paths of all pages below an issuer.
func Pages() (paths []string) {
	for path, r := range routes {
		if r.get != nil {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// Serve answers a request to a path that [Door.Owns].
func (d *Door) Serve(w http.ResponseWriter, r *http.Request, t *tenant.Tenant, rest string) {
	v := &visit{r, w, t, d.Now()}
	way := routes[rest]
	do := way.get
	switch r.Method {
	case http.MethodGet, http.MethodHead: // neither ever changes anything
	case http.MethodPost:
		do = way.post
		if err := d.cross.Check(r); err != nil {
			d.fail(v, problemForeign.because(err))
			return
		}
	default:
		do = nil
	}
	switch {
	case do == nil:
		w.Header().Set("Allow", way.methods())
		d.fail(v, problemMethod)
	case !t.Live():
		d.fail(v, problemNothing)
	default:
		if err := d.serve(v, rest, do); err != nil {
			d.fail(v, err)
		}
	}
}

// serve does what a route is for, if it is not asked too often.
func (d *Door) serve(v *visit, rest string, do func(*Door, *visit) error) error {
	if v.Method == http.MethodPost && strings.HasPrefix(rest, "/account/") {
		if err := v.within(d.Acts); err != nil {
			return err
		}
	}
	return do(d, v)
}

// within counts a visit, or refuses it. No passkey and no account is ever locked by it.
func (v *visit) within(l Limit) error {
	if l.Wait(v.tenant.ID, v.Request, v.now) > 0 {
		return problemBusy
	}
	l.Failed(v.tenant.ID, v.Request, v.now)
	return nil
}

func (w route) methods() string {
	switch {
	case w.post == nil:
		return "GET, HEAD"
	case w.get == nil:
		return "POST"
	}
	return "GET, HEAD, POST"
}

// Bounds of bodies: an attestation with its certificates fits the first, any form the second.
const (
	maxCredential = 64 << 10
	maxForm       = 8 << 10
)

// read reads a JSON body. Only our own script sends one: a form of another site can't have this content type without
// the browser asking us first.
func (v *visit) read(into any) error {
	kind, _, _ := strings.Cut(v.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		return problemMalformed
	}
	body, err := io.ReadAll(io.LimitReader(v.Body, maxCredential+1))
	if err != nil || len(body) > maxCredential || json.Unmarshal(body, into) != nil {
		return problemMalformed
	}
	return nil
}

// form reads the body of a form and returns one of its values, which must be there once.
func (v *visit) form(name string) (string, error) {
	v.Body = http.MaxBytesReader(v.w, v.Body, maxForm)
	if err := v.ParseForm(); err != nil || len(v.PostForm[name]) != 1 {
		return "", problemMalformed
	}
	return v.PostForm[name][0], nil
}

// answer sends JSON to our script.
func (v *visit) answer(status int, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	look.Guard(v.w.Header())
	oauth.SetNoStore(v.w.Header())
	v.w.Header().Set("Content-Type", "application/json")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(text)
	return nil
}

// next tells our script where to go on.
type next struct {
	Next string `json:"next"`
}

// goTo sends the browser on after a form. 303 makes it a GET, and a reload harmless.
func (v *visit) goTo(path string) error {
	look.Guard(v.w.Header())
	http.Redirect(v.w, v.Request, path, http.StatusSeeOther)
	return nil
}

// render shows a page.
func (d *Door) render(v *visit, status int, name string, p look.Page) error {
	p.Place, p.Home = v.tenant.ID, d.home(v.tenant)
	return d.book.Render(v.w, v.Request, status, name, p)
}

// record writes acts down, or makes that the reason for doing nothing.
func (d *Door) record(v *visit, acts ...Act) error {
	if err := d.Record(v.Context(), acts...); err != nil {
		return problemAway.because(err)
	}
	return nil
}

// settled is the context of what must not stop halfway because a browser hung up.
func (v *visit) settled() context.Context { return context.WithoutCancel(v.Context()) }

// ErrNobody means that a browser is not signed in.
var ErrNobody = errors.New("nobody is signed in")

// SignIn is who is signed in at a tenant, and what the sign-in proved.
type SignIn struct {
	Tenant, Person, Session string
	At                      time.Time // of the touch
	ACR                     string
	AMR                     []string
}

// Meets reports whether the sign-in is what an interaction asks for. Whoever had somebody sign in asks again when they come
// back: the address that they come back to is no proof.
func (s *SignIn) Meets(i tenant.Interaction) bool { return i.MetBy(s.Person, s.At, s.ACR) }

// Current returns who is signed in at a tenant, or [ErrNobody].
func (d *Door) Current(r *http.Request, t *tenant.Tenant) (*SignIn, error) {
	s, p, err := d.session(r, t)
	if err != nil {
		return nil, err
	}
	return &SignIn{Tenant: t.ID, Person: p.ID, Session: s.ID, At: s.At, ACR: s.ACR, AMR: s.AMR}, nil
}

// Ask sends a browser to sign in and on to i.Next, a path below the issuer, when the sign-in meets the interaction.
// Somebody who touches for it goes on to i.Touched, if there is one. Somebody who can't prove i.ACR is told so and, if they choose,
// sent to i.Unmet. Hash, tenant and end of the interaction
// are filled in.
func (d *Door) Ask(w http.ResponseWriter, r *http.Request, t *tenant.Tenant, i tenant.Interaction) error {
	where, err := d.ask(r.Context(), t, i)
	if err != nil {
		return err
	}
	return (&visit{r, w, t, d.Now()}).goTo(where)
}

// ask keeps an interaction and returns where it is met.
func (d *Door) ask(ctx context.Context, t *tenant.Tenant, i tenant.Interaction) (where string, err error) {
	handle := newSecret()
	i.Hash, i.Tenant, i.ExpiresAt = handle.Hash(), t.ID, d.Now().Add(tenant.InteractionLife)
	if err := d.Store.SaveInteraction(ctx, i); err != nil {
		return "", err
	}
	return d.home(t) + "/signin?i=" + handle.Reveal(), nil
}
