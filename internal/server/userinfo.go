package server

import (
	"net/http"
	"strings"

	"seawall/internal/grant"
	"seawall/internal/oauth"
	"seawall/validate"
)

// pathUserinfo is below an issuer.
const pathUserinfo = "/userinfo"

// userinfo is what an application learns of the person who signed in (OpenID Connect Core §5.3.2): who they are, and with
// the scope profile what they are called.
type userinfo struct {
	Subject string `json:"sub"`
	Name    string `json:"name,omitempty"`
	Login   string `json:"preferred_username,omitempty"`
}

// serveUserinfo tells about the person of an access token (OpenID Connect Core §5.3). The token is judged as in front of any
// API, by the same validator, with its proof if it is bound; errors are those of RFC 6750 §3 and RFC 9449 §7.1.
func (s *Server) serveUserinfo(w http.ResponseWriter, r *http.Request, t *resident) {
	judge, err := s.userinfoJudge(t)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if judge == nil || !t.tenant.Live() {
		oauth.WriteError(w, errNoKeys)
		return
	}
	if r, err = tokenFromBody(r); err != nil {
		s.refuse(w, r, err)
		return
	}
	judge.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := validate.FromContext(r.Context())
		who, err := s.aboutPerson(r, t, token)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, who)
	}), validate.RequireScope(oauth.ScopeOpenID)).ServeHTTP(w, r)
}

func (s *Server) userinfoJudge(t *resident) (*validate.Validator, error) {
	origin := strings.TrimSuffix(s.config.Base, s.prefix)
	return t.judges.named(s, t, pathUserinfo, []string{grant.Userinfo(&t.tenant)}, &validate.DPoP{Origin: origin, MaxAge: proofAge, Replays: s.infoProofs})
}

// tokenFromBody moves a token that came in a form to where all others are (RFC 6750 §2.2).
func tokenFromBody(r *http.Request) (*http.Request, error) {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if r.Method != http.MethodPost || !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		return r, nil
	}
	form, err := grant.ReadForm(r, "")
	if err != nil {
		return r, err
	}
	if raw := form.Value("access_token"); raw != "" {
		r = r.Clone(r.Context())
		r.Header.Add("Authorization", "Bearer "+raw) // a second one is refused
	}
	return r, nil
}

// aboutPerson looks at what a token can't know: whether it is distrusted, and whether client and person are still there.
func (s *Server) aboutPerson(r *http.Request, t *resident, token *validate.Token) (who userinfo, err error) {
	feed := s.feeds.of(t.tenant.ID, t.tenant.Issuer)
	if err := feed.ready(r.Context()); err != nil {
		s.feeds.complain(r.Context(), feed, err)
		return who, errNoFeed.Because(err)
	}
	live, err := s.directory.clientLive(r.Context(), t.tenant.ID, token.Client())
	if err != nil {
		return who, err
	}
	p, there, err := s.directory.person(r.Context(), t.tenant.ID, token.Subject())
	if err != nil {
		return who, err
	}
	if !there || !live || feed.distrusts(token) || !s.now().Before(token.Expires()) {
		return who, s.tokenOver(r)
	}
	who.Subject = p.ID
	if token.HasScope(oauth.ScopeProfile) {
		who.Name, who.Login = p.Name, p.Login
	}
	return who, nil
}

// tokenOver is the answer about a token that was good in itself, in the scheme that it came in.
func (s *Server) tokenOver(r *http.Request) *oauth.Error {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "DPoP") {
		scheme = "DPoP"
	} else {
		scheme = "Bearer"
	}
	e := oauth.Errorf(oauth.InvalidToken, "The token was revoked, or whose it is has been disabled.")
	e.Challenge = scheme + ` error="invalid_token", error_description="revoked"`
	return e
}
