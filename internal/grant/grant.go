// Package grant is the token endpoint (RFC 6749 §3.2): one pipeline that every grant type goes through.
//
// A [Handler] reads the form once and strictly, authenticates the client by the one method it is registered for, applies
// the limits, and only then asks the one [Grant] for this grant_type what the client may have. The answer is a
// [token.Authorization], which a [token.Issuer] turns into a token, or an error for the client. A grant can't skip or
// repeat any of the shared phases, because it never sees the request.
//
// What a grant has to keep, it keeps after the token was made and before the client gets it, in one atomic act: a vault
// that is away costs nobody a code or a refresh token, and a client that never hears the answer may ask again.
//
// A new grant type is a file of its own and one line in [All].
package grant

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
	"seawall/internal/token"
)

// Grant decides what a client that has authenticated may have.
type Grant interface {
	// Type is the grant_type that it answers.
	Type() oauth.GrantType
	// Authorize returns what to issue and what to keep then, or an *[oauth.Error] for the client.
	Authorize(ctx context.Context, q *Request) (*token.Authorization, Keep, error)
}

// Keep keeps what a grant has to keep once the tokens are made, in one atomic act, and returns them as the client gets
// them. An error withholds them. nil keeps nothing.
type Keep func(ctx context.Context, made token.Token) (token.Token, error)

// All lists the grant types that work.
func All() []Grant { return []Grant{authorizationCode{}, clientCredentials{}, refresh{}} }

// Request is a token request whose client has authenticated and may use the grant.
type Request struct {
	Tenant   *tenant.Tenant
	Client   *Client
	Form     *Form
	Evidence [32]byte  // what proved the client, for the ledger
	Key      string    // thumbprint of the key that the client has proved to have (RFC 9449); empty: none
	Now      time.Time // when it arrived
	house    *Config
}

// Codes is where authorization codes are kept. See the store for what each promises.
type Codes interface {
	Code(ctx context.Context, tenantID string, hash secret.Hash) (tenant.Code, error)
	// RedeemCode has one winner; to the others it is tenant.ErrCodeReused and what the code gave.
	RedeemCode(ctx context.Context, tenantID string, hash secret.Hash, r tenant.Redemption) (tenant.Code, error)
}

// Families is where families of refresh tokens are kept.
type Families interface {
	Family(ctx context.Context, tenantID, id string) (tenant.Family, error)
	// RecentFamily returns a family as it was a while ago, if it is remembered: enough to begin a rotation with.
	RecentFamily(tenantID, id string) (tenant.Family, bool)
	// RotateFamily judges a token and does what follows in one act, which has one winner.
	RotateFamily(ctx context.Context, tenantID string, r tenant.Rotation) (tenant.Family, tenant.Verdict, error)
}

// Config is what a Handler works with. All fields are needed.
type Config struct {
	Registry Registry
	Issuer   *token.Issuer
	Failures *FailureLimit
	// OnFailure learns of every failed authentication: the tenant, and the client if there is one of that name. It must
	// not wait.
	OnFailure func(tenantID, clientID string)
	Codes     Codes
	Families  Families
	Pepper    *Pepper
	Proofs    Proofs
	// Settle has the ledger hear what acts of the store left for it, and fails while that is away.
	Settle func(ctx context.Context) error
	Log    *slog.Logger
	Now    func() time.Time
}

// Handler answers token requests of all tenants.
type Handler struct {
	config   Config
	requests *limiter[who]
	grants   map[oauth.GrantType]Grant
}

// NewHandler returns a handler with all grants.
func NewHandler(c Config) *Handler {
	h := &Handler{config: c, requests: newLimiter[who](), grants: map[oauth.GrantType]Grant{}}
	for _, g := range All() {
		h.grants[g.Type()] = g
	}
	return h
}

// Serve answers a POST to a tenant's token endpoint.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, t *tenant.Tenant) {
	issued, err := h.issue(w, r, t)
	if err != nil {
		h.refuse(w, r, t, err)
		return
	}
	buf := answers.Get().(*[]byte)
	body := issued.AppendResponse((*buf)[:0])
	header := w.Header()
	header["Content-Type"] = typeJSON
	header["Cache-Control"] = noStore
	header["Pragma"] = noCache
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body) // a client that hung up needs no answer; its token is recorded and expires
	clear(body)
	*buf = body
	answers.Put(buf)
}

// Header values that never change, made once. net/http only reads them.
var (
	typeJSON = []string{"application/json"}
	noStore  = []string{"no-store"}
	noCache  = []string{"no-cache"}
	answers  = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}
)

var (
	errTenantDisabled = oauth.Errorf(oauth.UnauthorizedClient, "The tenant is disabled.")
	errNoGrantType    = oauth.Errorf(oauth.InvalidRequest, "The grant_type is missing.")
	errGrantType      = oauth.Errorf(oauth.UnsupportedGrantType, "This grant_type is not supported; the metadata document lists those that are.")
	errNotRegistered  = oauth.Errorf(oauth.UnauthorizedClient, "The client is not registered for this grant_type.")
)

// Authenticate reads a request of a client to another endpoint than the token endpoint, such as revocation (RFC 7009
// §2.1), and returns the id of the client that has proved itself, as at the token endpoint and within the same limits.
func (h *Handler) Authenticate(r *http.Request, t *tenant.Tenant) (clientID string, form *Form, err error) {
	client, form, _, err := h.admit(r, t, "")
	if err != nil {
		return "", nil, err
	}
	return client.registered.ID, form, nil
}

// Prove authenticates the client of a request whose form was read, if the client has a credential to do it with. A public
// client is nobody here.
func (h *Handler) Prove(r *http.Request, t *tenant.Tenant, form *Form) (clientID string, err error) {
	client, _, err := h.identify(r, t, form)
	switch {
	case err != nil:
		return "", err
	case client.public():
		return "", h.failed(r, t, client, errNoCredential, h.config.Now())
	}
	return client.registered.ID, nil
}

// Refresh returns the family of a refresh token that is genuine, and whether the token is the one that is next to be used.
// Of any other text it is no family, without an id.
func (h *Handler) Refresh(ctx context.Context, t *tenant.Tenant, raw secret.Text) (f tenant.Family, current bool, err error) {
	r, genuine := h.config.Pepper.open(t, raw)
	if !genuine {
		return f, false, nil
	}
	f, err = h.config.Families.Family(ctx, t.ID, r.family.String())
	if errors.Is(err, tenant.ErrNotFound) {
		return tenant.Family{}, false, nil
	}
	return f, f.Generation == r.generation && f.Current.Matches(raw), err
}

// admit reads the form, authenticates the client and counts the request. repeatable is for [ReadForm].
func (h *Handler) admit(r *http.Request, t *tenant.Tenant, repeatable string) (client *Client, form *Form, proof [32]byte, err error) {
	if form, err = ReadForm(r, repeatable); err != nil {
		return nil, nil, proof, err
	}
	client, proof, err = h.identify(r, t, form)
	return client, form, proof, err
}

// identify authenticates the client and counts the request.
func (h *Handler) identify(r *http.Request, t *tenant.Tenant, form *Form) (client *Client, proof [32]byte, err error) {
	now := h.config.Now()
	offered, err := readCredential(r.Header, form)
	if err != nil {
		return nil, proof, err
	}
	if client, proof, err = h.authenticate(r.Context(), r, t, offered, now); err != nil {
		return nil, proof, err
	}
	if wait := h.limit(r, t, client, now); wait > 0 {
		return nil, proof, oauth.TooManyRequests(wait)
	}
	return client, proof, nil
}

func (h *Handler) issue(w http.ResponseWriter, r *http.Request, t *tenant.Tenant) (token.Token, error) {
	ctx, now := r.Context(), h.config.Now()
	client, form, proof, err := h.admit(r, t, "resource")
	if err != nil {
		return token.Token{}, err
	}
	g, err := h.choose(t, client, form)
	if err != nil {
		return token.Token{}, err
	}
	q := &Request{Tenant: t, Client: client, Form: form, Evidence: proof, Now: now, house: &h.config}
	possession, err := h.possession(w, r, q)
	if err != nil {
		return token.Token{}, err
	}
	a, keep, err := g.Authorize(ctx, q)
	if err != nil {
		return token.Token{}, err
	}
	if a.KeyThumbprint = q.Key; possession != nil { // whatever the grant, a proof binds
		if err := possession.Use(ctx); err != nil {
			return token.Token{}, err
		}
	}
	made, err := h.config.Issuer.Issue(ctx, a)
	if err != nil || keep == nil {
		return made, err
	}
	return keep(ctx, made)
}

// choose returns the grant that the request asks for, if the client may use it.
func (h *Handler) choose(t *tenant.Tenant, client *Client, form *Form) (Grant, error) {
	asked := oauth.GrantType(form.Value("grant_type"))
	g := h.grants[asked]
	switch {
	case !t.Live():
		return nil, errTenantDisabled
	case asked == "":
		return nil, errNoGrantType
	case g == nil:
		return nil, errGrantType
	case !client.registered.MayUse(asked):
		return nil, errNotRegistered
	}
	return g, nil
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, t *tenant.Tenant, err error) {
	if classified := (*oauth.Error)(nil); r.Context().Err() != nil && !errors.As(err, &classified) {
		err = oauth.Unavailable(time.Second, err) // who asked has hung up, which is no fault of ours
	}
	e := oauth.WriteError(w, err)
	switch {
	case e.Incident != "":
		h.config.Log.ErrorContext(r.Context(), "a token request failed", "incident", e.Incident, "tenant", t.ID, "cause", err)
	case errors.Unwrap(e) != nil:
		h.config.Log.WarnContext(r.Context(), "a token request was put off", "tenant", t.ID, "cause", err)
	}
}
