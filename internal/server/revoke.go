package server

import (
	"context"
	"net/http"
	"time"

	"seawall/internal/mint"
	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

var (
	errOthersToken = oauth.Errorf(oauth.UnauthorizedClient, "The token was not issued to this client (RFC 7009, section 2.1).")
	errTokenType   = oauth.Errorf(oauth.UnsupportedTokenType, "Only access tokens and refresh tokens can be revoked here (RFC 7009, section 2.2.1). What was sent is a credential of another kind.")
)

// serveRevocation lets a client give up a token of its own (RFC 7009). Whatever else the token is, unknown, expired or
// revoked before, the client has reached what it wanted, and the answer is 200 with an empty body.
func (s *Server) serveRevocation(w http.ResponseWriter, r *http.Request, t *resident) {
	if err := s.revoke(r, t); err != nil {
		s.refuse(w, r, err)
		return
	}
	oauth.SetNoStore(w.Header())
	w.WriteHeader(http.StatusOK)
}

func (s *Server) revoke(r *http.Request, t *resident) error {
	client, form, err := s.tokens.Authenticate(r, &t.tenant)
	if err != nil {
		return err
	}
	raw := form.Value("token")
	if raw == "" {
		return errNoToken
	}
	if kind, _, err := secret.Parse(raw); err == nil && kind == secret.RefreshToken {
		return s.giveUp(r.Context(), t, client, secret.New(raw))
	} else if err == nil {
		return errTokenType
	}
	judge, err := t.judges.of(s, t, nil)
	if err != nil {
		return err
	}
	if judge == nil {
		return errNoKeys // then nobody can tell whether the token is good
	}
	token, err := judge.Inspect(r.Context(), raw)
	if err != nil || !s.now().Before(token.Expires()) {
		return nil // no API accepts it either
	}
	if token.Client() != client {
		return errOthersToken
	}
	feed := s.feeds.of(t.tenant.ID, t.tenant.Issuer)
	if err := feed.ready(r.Context()); err == nil && feed.distrustsItself(token) {
		return nil
	}
	_, err = s.state(r.Context(), mint.StateQuery{Tenant: t.tenant.ID, Issuer: t.tenant.Issuer, Act: mint.ActDistrust, Kind: mint.DistrustToken, Value: token.ID(),
		Reason: mint.ByUser, Actor: tenant.ActorClient(client)})
	if isAway(err) {
		return oauth.Unavailable(time.Second, err) // the token must be taken for alive (RFC 7009 §2.2.1)
	}
	return err
}

// giveUp ends the family of a refresh token, whichever of its generations that is, and with it the access tokens that came
// of it (RFC 7009 §2.1). The browser session that it came from goes on, and so does what other applications have of it:
// what the client gives up is its own.
func (s *Server) giveUp(ctx context.Context, t *resident, client string, raw secret.Text) error {
	f, _, err := s.tokens.Refresh(ctx, &t.tenant, raw)
	switch {
	case err != nil:
		return err
	case f.ID == "" || f.Client != client && f.Over(s.now()):
		return nil
	case f.Client != client:
		return errOthersToken
	}
	err = s.endFamily(ctx, f, tenant.ActorClient(client), "given up by the client")
	if isAway(err) {
		return oauth.Unavailable(time.Second, err)
	}
	return err
}

// endFamily ends a family for good: written down, then done, and then its access tokens are distrusted. Done again, to a
// family that is over, it waits for what is missing: the ledger may have been away the first time.
func (s *Server) endFamily(ctx context.Context, f tenant.Family, actor, reason string) error {
	ctx = context.WithoutCancel(ctx)
	if f.RevokedAt.IsZero() {
		e := grantEntry(mint.RefreshEnded, f.Tenant, f.Person, f.Client, actor, map[string]string{"family": f.ID, "reason": reason})
		if err := s.vaults.record(ctx, e); err != nil {
			return err
		}
		if err := s.config.Store.RevokeFamily(ctx, f.Tenant, f.ID, actor); err != nil {
			return err
		}
	}
	return s.debts.round(ctx)
}

// state has the ledger state something, and returns when this house goes by it and would after a crash, too, with the
// ledger away.
func (s *Server) state(ctx context.Context, q mint.StateQuery) (*mint.Distrust, error) {
	ctx = context.WithoutCancel(ctx)
	d, err := s.vaults.state(ctx, q)
	if err != nil {
		return nil, err
	}
	f := s.feeds.of(q.Tenant, q.Issuer)
	if err := f.refresh(ctx, f.reaches(d.N)); err != nil {
		return d, err
	}
	f.save()
	return d, nil
}
