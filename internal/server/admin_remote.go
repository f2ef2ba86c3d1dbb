package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	"seawall/internal/mint"
	"seawall/internal/oauth"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
	"seawall/validate"
)

// The admin API for who is not on the host: below the issuer of the operators' tenant, for access tokens of that tenant.
const (
	pathAdmin   = "/admin"
	adminScope  = "admin"
	commandLine = "seawall-cli" // the one client whose tokens are taken
	// longestAdmin bounds the life of a token that is taken.
	longestAdmin = 10 * time.Minute
	// adminProofAge is how old a proof of possession may be.
	adminProofAge = time.Minute
)

// adminAudience is the audience of tokens for the admin API.
func adminAudience(t *tenant.Tenant) string { return t.Issuer + pathAdmin }

// serveAdmin answers administrators who come with a token. It is judged as in front of any API, by the same validator: bound
// to a key, with a proof for this very request, of the one client, and of a sign-in that can't be phished. What the person
// may do, and whether their touch is fresh, is for the same lines to say as for the socket and the console.
func (s *Server) serveAdmin(w http.ResponseWriter, r *http.Request, t *resident) {
	rule := &validate.DPoP{Required: true, Origin: strings.TrimSuffix(s.config.Base, s.prefix), MaxAge: adminProofAge, Replays: s.adminProofs}
	judge, err := t.judges.named(s, t, pathAdmin, []string{adminAudience(&t.tenant)}, rule)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if judge == nil {
		oauth.WriteError(w, errNoKeys)
		return
	}
	strip := s.prefix + "/" + tenant.Operators + pathAdmin
	judge.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.adminRecovered(w, r)
		token, _ := validate.FromContext(r.Context())
		who, err := s.bearer(r.Context(), t, token)
		if err != nil {
			s.refuseAct(w, r, err)
			return
		}
		http.StripPrefix(strip, s.api).ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), actorKey{}, who)))
	}), validate.RequireScope(adminScope), validate.RequireACR("phr", "phrh")).ServeHTTP(w, r)
}

// bearer says who acts with a token that is good in itself.
func (s *Server) bearer(ctx context.Context, t *resident, token *validate.Token) (actor, error) {
	over := func(why string) error {
		return &adminapi.Error{Code: adminapi.CodeToken, Status: http.StatusUnauthorized, Description: "the token is no good here: " + why, Hint: "run `seawall login` again"}
	}
	at, signedIn := token.AuthTime()
	switch {
	case token.Client() != commandLine:
		return actor{}, over("it is another client's")
	case !signedIn:
		return actor{}, over("nobody signed in for it")
	case token.Expires().Sub(token.IssuedAt()) > longestAdmin:
		return actor{}, over("it lives too long")
	case !s.now().Before(token.Expires()): // an API allows for another clock; the issuer asks its own
		return actor{}, over("it is over")
	}
	feed := s.feeds.of(t.tenant.ID, t.tenant.Issuer)
	if err := feed.ready(ctx); err != nil {
		return actor{}, mint.Refuse(mint.Unavailable, "which tokens are revoked is not known")
	}
	live, err := s.directory.clientLive(ctx, t.tenant.ID, token.Client())
	switch {
	case err != nil:
		return actor{}, err
	case !live || feed.distrusts(token):
		return actor{}, over("it was revoked")
	}
	return actor{person: token.Subject(), touched: at}, nil
}
