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
// as in front of an API, receipt included, and its tenant and client must not have been disabled since.
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
	api, err := s.authenticateAPI(r, form, t)
	if err != nil {
		return nil, err
	}
	raw := form.Value("token")
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
	token, err := judge.Token(r.Context(), raw)
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
	if err != nil {
		return nil, err
	}
	if !live {
		return inactive, nil
	}
	return describeToken(raw)
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

// describeToken turns a token that was found good into the answer of RFC 7662 §2.2: its claims, and two members besides.
// The payload is canonical JSON that our own signer wrote, without these two names.
func describeToken(raw string) ([]byte, error) {
	_, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	claims, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || !bytes.HasPrefix(claims, []byte(`{"`)) {
		return nil, errors.New("a good token has no claims")
	}
	return append([]byte(`{"active":true,"token_type":"Bearer",`), claims[1:]...), nil
}

// judges holds a validator for each API of a tenant that has asked.
type judges struct {
	mu    sync.Mutex
	byAPI map[string]judge
}

type judge struct {
	keys *page // the key document it was made from
	*validate.Validator
}

// of returns the validator for an API, or for all APIs together when it is nil, under the present key document; nil while
// there is none.
func (j *judges) of(s *Server, t *resident, api *tenant.API) (*validate.Validator, error) {
	state := s.keys.now()
	doc, err := t.keyDocument(state, s.now())
	if err != nil || doc == nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	id := ""
	if api != nil {
		id = api.ID
	}
	if had := j.byAPI[id]; had.keys == doc {
		return had.Validator, nil
	}
	audiences := []string{}
	for i := range t.apis {
		if api == nil || t.apis[i].ID == api.ID {
			audiences = append(audiences, t.apis[i].Audience)
		}
	}
	if len(audiences) == 0 {
		return nil, nil
	}
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{validate.SeawallIssuer(t.tenant.Issuer, state.pin).WithKeys(validate.StaticKeys(doc.body))},
		Audiences: audiences,
		Now:       s.now,
	})
	if err != nil {
		return nil, err
	}
	if j.byAPI == nil {
		j.byAPI = map[string]judge{}
	}
	j.byAPI[id] = judge{doc, v}
	return v, nil
}
