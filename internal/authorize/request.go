package authorize

import (
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"seawall/internal/oauth"
	"seawall/internal/tenant"
)

// Bounds of parameters, in bytes. What an ID token carries is bounded by the signer besides.
const (
	maxParameters = 40
	maxState      = 2048
	maxNonce      = 512
	maxHint       = 256
	maxWords      = 512 // acr_values, ui_locales, prompt
	maxResources  = 8
)

// known are the parameters of an authorization request that we look at.
var known = []string{"acr_values", "claims", "client_id", "code_challenge", "code_challenge_method", "dpop_jkt", "login_hint", "max_age", "nonce", "prompt", "redirect_uri",
	"request", "request_uri", "resource", "response_mode", "response_type", "scope", "state", "ui_locales"}

// parameters are those of one request, each as often as it was there.
type parameters url.Values

// readParameters reads a query or a form. One that can't be read in exactly one way is refused, because the next program to
// read it might see something else.
func readParameters(raw string) (parameters, error) {
	if len(raw) > maxBody {
		return nil, problemRequest.Because(errors.New("the request is longer than 8 KiB"))
	}
	values, err := url.ParseQuery(raw)
	if err != nil || len(values) > maxParameters {
		return nil, problemRequest.Because(errors.New("the parameters can't be read, or are too many"))
	}
	for name, list := range values {
		for _, value := range append(list, name) {
			if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
				return nil, problemRequest.Because(errors.New("a parameter has control characters, or is not UTF-8"))
			}
		}
	}
	return parameters(values), nil
}

// one returns a parameter's value, "" when it is missing or empty, which RFC 6749 §3.1 makes the same. It is not ok when
// the parameter is there more than once, or longer than most.
func (p parameters) one(name string, most int) (value string, ok bool) {
	switch list := p[name]; {
	case len(list) == 0:
		return "", true
	case len(list) > 1 || len(list[0]) > most:
		return "", false
	default:
		return list[0], true
	}
}

// words returns the words of a parameter that is a list of them.
func (p parameters) words(name string) []string { return strings.Fields(strings.Join(p[name], " ")) }

// request is an authorization request that was looked at: everything in it is as it may be.
type request struct {
	raw       string // its parameters as they came, without the ID token
	begun     time.Time
	subject   string // of the ID token that came along (id_token_hint): who it must be; empty: anybody
	client    tenant.Client
	redirect  string
	state     string
	nonce     string
	challenge string
	jkt       string
	scope     oauth.Scope
	resources []string // audiences of APIs
	prompts   []oauth.Prompt
	maxAge    time.Duration // negative: not asked for
	acr       []string      // that it wishes for
	must      []string      // one of which it needs; empty: nothing in particular
	hint      string        // login_hint
	locales   string
}

var errNoClient = errors.New("there is no client of the name that was sent")

func (q *request) prompt(p oauth.Prompt) bool { return slices.Contains(q.prompts, p) }

// read looks at an authorization request. The client and where it wants its people back come first: while there is doubt
// about them there is no request, and the error is for a page. An error besides a request is an *[oauth.Error], for the
// client.
func (e *Endpoint) read(v *visit, raw string) (*request, error) {
	p, err := readParameters(raw)
	if err != nil {
		return nil, err
	}
	q := &request{raw: raw, begun: v.now, maxAge: -1}
	if err := e.readClient(v, p, q); err != nil {
		return nil, err
	}
	state, ok := p.one("state", maxState)
	if !ok {
		return q, oauth.Errorf(oauth.InvalidRequest, "The state is repeated, or longer than %d bytes.", maxState)
	}
	q.state = state
	apis, err := e.Store.APIs(v.Context(), v.tenant.ID)
	if err != nil {
		return q, err
	}
	hint := func(p parameters) error { return e.readHint(v, p, q) }
	for _, step := range []func(parameters) error{q.readKind, q.readSingles, hint, q.readClaims, q.readPKCE, q.readPrompt, q.readScope, func(p parameters) error { return q.readResources(p, apis) }} {
		if err := step(p); err != nil {
			return q, err
		}
	}
	return q, nil
}

// readKept looks again at a request that was kept when it was made.
func (e *Endpoint) readKept(v *visit, kept tenant.Interaction, raw string) (*request, error) {
	q, err := e.read(v, raw)
	if q != nil {
		q.begun, q.subject = kept.ExpiresAt.Add(-tenant.InteractionLife), kept.Person
	}
	return q, err
}

func (e *Endpoint) readClient(v *visit, p parameters, q *request) error {
	id, ok := p.one("client_id", tenant.MaxIDLength)
	if !ok || id == "" {
		return problemClient.Because(errors.New("the client_id is missing, repeated or too long"))
	}
	c, err := e.Store.Client(v.Context(), v.tenant.ID, id)
	if errors.Is(err, tenant.ErrNotFound) {
		return problemClient.Because(errNoClient) // what was sent as its name may be anything, and goes into no log
	}
	if err != nil {
		return err
	}
	if !c.Live() || !c.MayUse(oauth.AuthorizationCode) {
		return problemClient.Because(errors.New("the client " + c.ID + " is disabled, or nobody signs in to it"))
	}
	redirect, ok := p.one("redirect_uri", tenant.MaxRedirectLength)
	if !ok || redirect == "" || !c.RedirectsTo(redirect) {
		return problemRedirect.Because(errors.New("the redirect_uri is missing, repeated, or not one of the client " + c.ID))
	}
	q.client, q.redirect = c, redirect
	return nil
}

// readKind refuses what there is no code for, and ways to ask that we don't take. Dropping a request object silently would
// answer another request than the client made.
func (q *request) readKind(p parameters) error {
	switch {
	case len(p["request"]) > 0:
		return oauth.Errorf(oauth.RequestNotSupported, "Request objects are not supported: send plain parameters.")
	case len(p["request_uri"]) > 0:
		return oauth.Errorf(oauth.RequestURINotSupported, "Requests by reference are not supported: send plain parameters.")
	}
	kind, ok := p.one("response_type", maxWords)
	switch {
	case !ok || kind == "":
		return oauth.Errorf(oauth.InvalidRequest, "The response_type is missing or repeated.")
	case kind != oauth.ResponseCode:
		return oauth.Errorf(oauth.UnsupportedResponseType, "The response_type must be code.")
	}
	if mode, ok := p.one("response_mode", maxWords); !ok || mode != "" && mode != oauth.ResponseQuery {
		return oauth.Errorf(oauth.InvalidRequest, "The response_mode must be query.")
	}
	return nil
}

// readSingles refuses every parameter that is there twice (RFC 6749 §3.1), known or not, and reads the simple ones.
func (q *request) readSingles(p parameters) error {
	for name, list := range p {
		if len(list) > 1 && name != "resource" {
			return oauth.Errorf(oauth.InvalidRequest, "A parameter is repeated (RFC 6749, section 3.1).")
		}
	}
	for _, one := range []struct {
		name string
		most int
		into *string
	}{{"nonce", maxNonce, &q.nonce}, {"login_hint", maxHint, &q.hint}, {"ui_locales", maxWords, &q.locales}} {
		value, ok := p.one(one.name, one.most)
		if !ok {
			return oauth.Errorf(oauth.InvalidRequest, "The %s is longer than %d bytes.", one.name, one.most)
		}
		*one.into = value
	}
	if values, ok := p.one("acr_values", maxWords); !ok || values != "" && !plain(values) {
		return oauth.Errorf(oauth.InvalidRequest, "The acr_values are longer than %d bytes, or not plain words.", maxWords)
	}
	q.acr = p.words("acr_values")
	if q.nonce != "" && !plain(q.nonce) {
		return oauth.Errorf(oauth.InvalidRequest, "The nonce has characters other than printable ASCII.")
	}
	age, ok := p.one("max_age", 10)
	if !ok {
		return oauth.Errorf(oauth.InvalidRequest, "The max_age is not a number of seconds.")
	}
	if age != "" {
		seconds, err := strconv.ParseUint(age, 10, 31)
		if err != nil {
			return oauth.Errorf(oauth.InvalidRequest, "The max_age is not a number of seconds.")
		}
		q.maxAge = time.Duration(seconds) * time.Second
	}
	return nil
}

// readHint reads the ID token that says who it must be (OpenID Connect Core §3.1.2.1). It is kept nowhere: who is meant is.
func (e *Endpoint) readHint(v *visit, p parameters, q *request) error {
	raw, _ := p.one("id_token_hint", maxBody)
	if len(p["id_token_hint"]) > 0 {
		delete(p, "id_token_hint")
		q.raw = url.Values(p).Encode()
	}
	if raw == "" {
		return nil
	}
	told, ours := e.hinted(v, raw)
	switch {
	case !ours:
		return oauth.Errorf(oauth.InvalidRequest, "The id_token_hint is no ID token of this issuer, or its key is trusted no more.")
	case told.Client != q.client.ID:
		return oauth.Errorf(oauth.InvalidRequest, "The id_token_hint is another client's ID token.")
	}
	q.subject = told.Subject
	return nil
}

// readClaims reads the claims parameter. A wish for an acr there is one more of acr_values.
func (q *request) readClaims(p parameters) error {
	text, ok := p.one("claims", maxClaims)
	if !ok {
		return oauth.Errorf(oauth.InvalidRequest, "The claims are longer than %d bytes.", maxClaims)
	}
	c, err := readClaims(text)
	if err == nil && q.subject != "" {
		err = c.about([]string{q.subject})
	}
	if err != nil {
		return oauth.Errorf(oauth.InvalidRequest, "The claims can't be met as they are: %v (OpenID Connect Core, section 5.5).", err)
	}
	q.must, q.acr, q.subject = c.must, append(q.acr, c.wishes...), c.subject
	return nil
}

func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

// readPKCE wants a challenge by S256 of every client (RFC 9700 §2.1.1). Without a method RFC 7636 §4.3 means plain, which
// who sees the request can answer too, so that is no way around it.
func (q *request) readPKCE(p parameters) error {
	challenge, _ := p.one("code_challenge", maxWords)
	method, _ := p.one("code_challenge_method", maxWords)
	switch {
	case challenge == "":
		return oauth.Errorf(oauth.InvalidRequest, "The code_challenge is missing: every client uses PKCE (RFC 7636).")
	case method != oauth.ChallengeS256:
		return oauth.Errorf(oauth.InvalidRequest, "The code_challenge_method must be S256.")
	case !digest(challenge):
		return oauth.Errorf(oauth.InvalidRequest, "The code_challenge is not the base64url form of a SHA-256 digest.")
	}
	q.challenge = challenge
	jkt, _ := p.one("dpop_jkt", maxWords)
	if len(p["dpop_jkt"]) > 0 && !digest(jkt) {
		return oauth.Errorf(oauth.InvalidRequest, "The dpop_jkt is not the thumbprint of a key (RFC 9449, section 10).")
	}
	q.jkt = jkt
	return nil
}

// digest reports whether s is a SHA-256 digest in the one base64url form that it has.
func digest(s string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(raw) == 32
}

func (q *request) readPrompt(p parameters) error {
	if _, ok := p.one("prompt", maxWords); !ok {
		return oauth.Errorf(oauth.InvalidRequest, "The prompt is longer than %d bytes.", maxWords)
	}
	for _, word := range p.words("prompt") {
		if !slices.Contains(oauth.Prompts(), oauth.Prompt(word)) {
			return oauth.Errorf(oauth.InvalidRequest, "The prompt has a value that is not supported.")
		}
		q.prompts = append(q.prompts, oauth.Prompt(word))
	}
	if q.prompt(oauth.PromptNone) && len(q.prompts) > 1 {
		return oauth.Errorf(oauth.InvalidRequest, "The prompt none can't be together with another.")
	}
	return nil
}

// ignored are scopes of OpenID Connect that we have no claims for. OpenID Connect Core §3.1.2.1 wants scopes that aren't
// understood to be ignored, and libraries ask for these by themselves; what was given is said with the token.
var ignored = oauth.Scope{"address", "email", "phone"}

// readScope reads what is asked for, without what comes to nothing: names without an ID token to put them in, and tokens
// for later for a client that can't refresh.
func (q *request) readScope(p parameters) error {
	text, _ := p.one("scope", maxBody)
	scope, err := oauth.ParseScope(text)
	if err != nil {
		return err
	}
	if scope.Has(oauth.ScopeOpenID) {
		scope = scope.Without(ignored)
	} else {
		scope = scope.Without(oauth.Scope{oauth.ScopeProfile})
	}
	if !q.client.MayUse(oauth.RefreshToken) {
		scope = scope.Without(oauth.Scope{oauth.ScopeOffline})
	}
	q.scope = scope
	return nil
}

// readResources finds out which APIs the tokens are for (RFC 8707 §2.1), and whether the client may have what it asks for
// there. A client with one API need not name it.
func (q *request) readResources(p parameters, apis []tenant.API) error {
	asked := slices.DeleteFunc(slices.Clone(p["resource"]), func(s string) bool { return s == "" })
	if len(asked) > maxResources {
		return oauth.Errorf(oauth.InvalidTarget, "More than %d resources.", maxResources)
	}
	api := q.scope.Without(oauth.Scopes())
	if len(asked) == 0 && len(api) > 0 {
		if len(q.client.APIs) != 1 {
			return oauth.Errorf(oauth.InvalidTarget, "The client is registered for %d APIs: name the one that the scope is of with resource.", len(q.client.APIs))
		}
		asked = []string{q.client.APIs[0].Audience}
	}
	var allowed oauth.Scope
	for _, resource := range asked {
		if err := oauth.CheckResource(resource); err != nil {
			return err
		}
		access, ok := q.client.Access(resource)
		i := slices.IndexFunc(apis, func(a tenant.API) bool { return a.Audience == resource && a.Live() })
		if !ok || i < 0 {
			return oauth.Errorf(oauth.InvalidTarget, "The client is not registered for this resource.")
		}
		allowed = append(allowed, access.Scopes.Without(access.Scopes.Without(apis[i].Scopes))...)
		q.resources = append(q.resources, resource)
	}
	switch {
	case len(api.Without(allowed)) > 0:
		return oauth.Errorf(oauth.InvalidScope, "The client is not registered for this scope at the resource: %s", api.Without(allowed))
	case !q.scope.Has(oauth.ScopeOpenID) && len(q.resources) == 0:
		return oauth.Errorf(oauth.InvalidScope, "Nothing is asked for: the scope has neither openid nor one of an API.")
	}
	slices.Sort(q.resources)
	q.resources = slices.Compact(q.resources)
	return nil
}
