package server

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"seawall/internal/grant"
	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
	"seawall/validate"
)

var (
	errAPINoCredential = oauth.Errorf(oauth.InvalidClient, "The API did not authenticate: send api_id and api_secret by HTTP Basic, or as client_id and client_secret in the body.")
	errAPITwoMethods   = oauth.Errorf(oauth.InvalidRequest, "The API used more than one way to authenticate (RFC 6749, section 2.3).")
	errAPIFailed       = oauth.Errorf(oauth.InvalidClient, "API authentication failed.")
	errNoToken         = oauth.Errorf(oauth.InvalidRequest, "The token parameter is missing.")
)

// inactive is the whole answer about a token that is no good, whatever the reason (RFC 7662 §2.2).
var inactive = []byte(`{"active":false}`)

// serveIntrospection tells an API about a token that is meant for it (RFC 7662). The token goes through the same check
// as in front of an API, receipt included, and its tenant, client and person must not have been disabled since.
func (s *Server) serveIntrospection(w http.ResponseWriter, r *http.Request, t *resident) {
	answer, err := s.introspect(r, t)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	h := w.Header()
	oauth.SetNoStore(h)
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = w.Write(answer)
}

func (s *Server) introspect(r *http.Request, t *resident) ([]byte, error) {
	form, err := grant.ReadForm(r, "")
	if err != nil {
		return nil, err
	}
	raw := form.Value("token")
	if kind, _, err := secret.Parse(raw); err == nil && kind == secret.RefreshToken {
		return s.introspectRefresh(r, t, form, secret.New(raw))
	}
	api, err := s.authenticateAPI(r, form, t)
	if err != nil {
		return nil, err
	}
	if raw == "" {
		return nil, errNoToken
	}
	judge, err := t.judges.of(s, t, api)
	if err != nil {
		return nil, err
	}
	if judge == nil || !t.tenant.Live() || !api.Live() {
		return inactive, nil
	}
	token, err := judge.Inspect(r.Context(), raw)
	if err != nil || !s.now().Before(token.Expires()) { // an API allows for another clock; the issuer asks its own
		return inactive, nil
	}
	feed := s.feeds.of(t.tenant.ID, t.tenant.Issuer)
	if err := feed.ready(r.Context()); err != nil {
		s.feeds.complain(r.Context(), feed, err)
		return nil, errNoFeed.Because(err) // who may be believed is not known
	}
	if feed.distrusts(token) {
		return inactive, nil
	}
	live, err := s.directory.clientLive(r.Context(), t.tenant.ID, token.Client())
	if err == nil && live && token.SessionID() != "" { // nobody signed in for a client's own token, which names no session
		_, live, err = s.directory.person(r.Context(), t.tenant.ID, token.Subject())
	}
	if err != nil {
		return nil, err
	}
	if !live {
		return inactive, nil
	}
	_, bound := token.Key()
	return describeToken(raw, bound)
}

// refreshAnswer is what the client that a refresh token belongs to learns of it.
type refreshAnswer struct {
	Active    bool          `json:"active"`
	Issuer    string        `json:"iss"`
	ClientID  string        `json:"client_id"`
	Subject   string        `json:"sub"`
	Scope     string        `json:"scope,omitempty"`
	SessionID string        `json:"sid"`
	IssuedAt  int64         `json:"iat"`
	Expires   int64         `json:"exp"` // unless it is used before
	Key       *confirmation `json:"cnf,omitempty"`
}

type confirmation struct {
	JKT string `json:"jkt"`
}

// introspectRefresh tells a client about a refresh token of its own. APIs learn nothing of refresh tokens, and nor does a
// client that can't prove itself: anybody can say its name (RFC 7662 §2.1).
func (s *Server) introspectRefresh(r *http.Request, t *resident, form *grant.Form, raw secret.Text) ([]byte, error) {
	client, err := s.tokens.Prove(r, &t.tenant, form)
	if err != nil {
		return nil, err
	}
	f, current, err := s.tokens.Refresh(r.Context(), &t.tenant, raw)
	if err != nil {
		return nil, err
	}
	if !current || f.Client != client || !f.Live(s.now()) || !t.tenant.Live() {
		return inactive, nil
	}
	answer := refreshAnswer{Active: true, Issuer: t.tenant.Issuer, ClientID: f.Client, Subject: f.Person, Scope: f.Scope.String(), SessionID: f.SID,
		IssuedAt: f.UsedAt.Unix(), Expires: f.ExpiresAt.Unix()}
	if f.JKT != "" {
		answer.Key = &confirmation{f.JKT}
	}
	return encode(answer)
}

// authenticateAPI proves which API asks. A disabled one may ask, and learns nothing.
func (s *Server) authenticateAPI(r *http.Request, form *grant.Form, t *resident) (*tenant.API, error) {
	basic, err := grant.ReadBasic(r.Header)
	if err != nil {
		return nil, err
	}
	id, given := form.Value("client_id"), secret.New(form.Value("client_secret"))
	switch {
	case basic != nil && form.Has("client_secret"):
		return nil, errAPITwoMethods
	case basic != nil:
		id, given = basic.ID, basic.Secret
	case id == "" || given.IsZero():
		return nil, errAPINoCredential
	}
	return s.proveAPI(r, t, id, given)
}

// proveAPI returns the API with this id if the secret is its own.
func (s *Server) proveAPI(r *http.Request, t *resident, id string, given secret.Text) (*tenant.API, error) {
	api := t.api(id)
	hash := secret.Hash{1} // of nobody
	if api != nil {
		hash = api.SecretHash
	}
	if hash.Matches(given) && api != nil {
		return api, nil
	}
	if wait := s.limit.Wait(t.tenant.ID, r, s.now()); wait > 0 {
		return nil, oauth.TooManyRequests(wait)
	}
	s.limit.Failed(t.tenant.ID, r, s.now())
	where := failing{tenant: t.tenant.ID}
	if api != nil {
		where.api = api.ID
	}
	s.failures.note(where)
	return nil, errAPIFailed
}

// describeToken turns a token that was found good into the answer of RFC 7662 §2.2: its claims, cnf included, and two
// members besides. The payload is canonical JSON that our own signer wrote, without these two names.
func describeToken(raw string, bound bool) ([]byte, error) {
	_, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	claims, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || !bytes.HasPrefix(claims, []byte(`{"`)) {
		return nil, errors.New("a good token has no claims")
	}
	scheme := "Bearer"
	if bound {
		scheme = "DPoP" // RFC 9449 §6.2
	}
	return append([]byte(`{"active":true,"token_type":"`+scheme+`",`), claims[1:]...), nil
}

// judges holds a validator for each API of a tenant that has asked, for all APIs together (named ""), and for userinfo
// (named by its path).
type judges struct {
	mu     sync.Mutex
	byName map[string]judge
}

type judge struct {
	keys *page // the key document it was made from
	*validate.Validator
}

// of returns the validator for an API, or for all of the tenant's tokens when it is nil; nil while there is none.
func (j *judges) of(s *Server, t *resident, api *tenant.API) (*validate.Validator, error) {
	if api != nil {
		return j.named(s, t, api.ID, []string{api.Audience}, nil)
	}
	all := []string{grant.Userinfo(&t.tenant)}
	for i := range t.apis {
		all = append(all, t.apis[i].Audience)
	}
	return j.named(s, t, "", all, nil)
}

// named returns a validator under the present key document, nil while there is none. A name always has the same audiences
// and the same rule for proofs.
func (j *judges) named(s *Server, t *resident, name string, audiences []string, dpop *validate.DPoP) (*validate.Validator, error) {
	state := s.keys.now()
	doc, err := t.keyDocument(state, s.now())
	if err != nil || doc == nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if had := j.byName[name]; had.keys == doc {
		return had.Validator, nil
	}
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{validate.SeawallIssuer(t.tenant.Issuer, state.pin).WithKeys(validate.StaticKeys(doc.body))},
		Audiences: audiences,
		DPoP:      dpop,
		Now:       s.now,
	})
	if err != nil {
		return nil, err
	}
	if j.byName == nil {
		j.byName = map[string]judge{}
	}
	j.byName[name] = judge{doc, v}
	return v, nil
}
