package grant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/tenant"
	"seawall/internal/token"
)

// refresh is the grant of a client that goes on with what a person agreed to (RFC 6749 §6). Every use of a refresh token
// gives the next one. A client whose answer was lost sends the same again and gets the same; whatever looks like two who
// have one token suspends the family, which can be undone.
type refresh struct{}

func (refresh) Type() oauth.GrantType { return oauth.RefreshToken }

var (
	errNoRefresh   = oauth.Errorf(oauth.InvalidRequest, "The refresh_token is missing.")
	errRefresh     = oauth.Errorf(oauth.InvalidGrant, "The refresh token is not good: it has ended, was revoked, or was not issued to this client.")
	errSuspended   = oauth.Errorf(oauth.InvalidGrant, "The access is suspended, because it is not certain who has its refresh token. The person can let it go on, or end it, on their account page.")
	errRefreshKey  = oauth.Errorf(oauth.InvalidRequest, "The refresh token is bound to a key, and there is no DPoP header (RFC 9449, section 5).")
	errUnsealable  = errors.New("a successor that was kept is not the one that was given")
	errOutOfOrder  = errors.New("the database is older than this refresh token: was it restored from a backup?")
	errNotReplayed = errors.New("the replay of a refresh token could not be recorded")
)

// presentation is a refresh token on its way through the grant.
type presentation struct {
	*Request
	token  refreshToken
	family tenant.Family
	shown  tenant.Presented
}

func (refresh) Authorize(ctx context.Context, q *Request) (*token.Authorization, Keep, error) {
	p, err := present(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	switch verdict, _ := p.family.Judge(p.shown, q.Now); verdict {
	case tenant.Refused:
		return nil, nil, p.refused(p.family)
	case tenant.Suspends:
		if err := stays(ctx); err != nil {
			return nil, nil, err
		}
		f, verdict, err := p.judged(ctx, tenant.Rotation{Presented: p.shown})
		switch {
		case err != nil:
			return nil, nil, err
		case verdict != tenant.Suspends: // somebody else was faster
			return nil, nil, p.refused(f)
		}
		return nil, nil, p.suspended(ctx)
	}
	asked, err := oauth.ParseScope(q.Form.Value("scope"))
	if err != nil {
		return nil, nil, err
	}
	if q.Client.public() {
		q.Evidence = evidence("refresh", p.shown.Hash[:])
	}
	f := &p.family
	agreed := agreement{person: f.Person, scope: f.Scope, resources: f.Resources,
		signIn: token.SignIn{Session: f.SID, At: f.SignedInAt.Unix(), ACR: f.ACR, AMR: f.AMR}}
	a, err := agreed.authorize(q, asked)
	if err != nil {
		return nil, nil, err
	}
	return a, func(ctx context.Context, made token.Token) (token.Token, error) {
		return p.rotate(ctx, made, a.Lifetime)
	}, nil
}

// present reads a refresh token and finds its family. Only a genuine token of this tenant leads to one.
func present(ctx context.Context, q *Request) (_ *presentation, err error) {
	raw := secret.New(q.Form.Value("refresh_token"))
	if raw.IsZero() {
		return nil, errNoRefresh
	}
	given, genuine := q.house.Pepper.open(q.Tenant, raw)
	if !genuine {
		return nil, errRefresh
	}
	id := given.family.String()
	p := &presentation{Request: q, token: given, shown: tenant.Presented{Family: id, Generation: given.generation,
		Hash: raw.Hash(), Client: q.Client.registered.ID, JKT: q.Key, Window: tenant.BoundReplay, At: q.Now}}
	if p.family, err = p.find(ctx, id); errors.Is(err, tenant.ErrNotFound) {
		err = errRefresh
	}
	if q.Client.public() && p.family.JKT == "" {
		p.shown.Window = tenant.UnboundReplay
	}
	return p, err
}

// find returns the family as it is remembered if the token would turn that, which the store makes sure of in the end, and
// else as it is.
func (p *presentation) find(ctx context.Context, id string) (tenant.Family, error) {
	families := p.house.Families
	if f, ok := families.RecentFamily(p.Tenant.ID, id); ok {
		if verdict, _ := f.Judge(p.shown, p.Now); verdict == tenant.Rotates {
			return f, nil
		}
	}
	return families.Family(ctx, p.Tenant.ID, id)
}

// rotate keeps what follows on the token, and adds the refresh token that the client goes on with: the next, or the same
// again that somebody with this token has got already.
func (p *presentation) rotate(ctx context.Context, made token.Token, lifetime int64) (token.Token, error) {
	pepper := p.house.Pepper
	next, random := pepper.make(p.Tenant, p.token.family, p.token.generation+1)
	sealed, err := pepper.sealSuccessor(p.token, random)
	if err != nil {
		return token.Token{}, err
	}
	f, verdict, err := p.judged(ctx, tenant.Rotation{Presented: p.shown, Successor: next.text.Hash(), Sealed: sealed, Seen: p.family,
		Token: tenant.Released{JTI: made.JTI(), ExpiresAt: p.Now.Add(time.Duration(lifetime) * time.Second)}})
	if err != nil {
		return token.Token{}, err
	}
	switch verdict {
	case tenant.Rotates:
		return made.WithRefresh(next.text), nil
	case tenant.Replays:
		return p.replayed(ctx, f, made)
	case tenant.Suspends:
		return token.Token{}, p.suspended(ctx)
	}
	return token.Token{}, p.refused(f)
}

// judged has the store judge the token and do what follows. Who has hung up meanwhile gets nothing and so decides nothing:
// a client that gave up on a request and asked anew must not come under suspicion for the first.
func (p *presentation) judged(ctx context.Context, r tenant.Rotation) (tenant.Family, tenant.Verdict, error) {
	if err := ctx.Err(); err != nil {
		return tenant.Family{}, tenant.Refused, err
	}
	return p.house.Families.RotateFamily(ctx, p.Tenant.ID, r)
}

// noticeTime is how long a server may take to notice that a client has hung up.
const noticeTime = 100 * time.Millisecond

// stays waits as long as that, and returns an error if who asks has left. A server notices on the side, and a busy one late: by
// then it may have read a request that was given up, and whose client has gone on with a newer token, long ago.
func stays(ctx context.Context) error {
	select {
	case <-time.After(noticeTime):
	case <-ctx.Done():
	}
	return ctx.Err()
}

// replayed gives the successor that was given before. The store has left it to the ledger to hear of it; as long as that hears
// nothing, a replay gives nothing, and can be tried again.
func (p *presentation) replayed(ctx context.Context, f tenant.Family, made token.Token) (token.Token, error) {
	same, err := p.house.Pepper.successor(p.Tenant, p.token, f.Successor)
	if err == nil && !f.Current.Matches(same.text) {
		err = errUnsealable
	}
	if err != nil {
		return token.Token{}, err
	}
	if err := p.house.Settle(context.WithoutCancel(ctx)); err != nil {
		return token.Token{}, oauth.Unavailable(time.Second, fmt.Errorf("%w: %w", errNotReplayed, err))
	}
	return made.WithRefresh(same.text), nil
}

// suspended has the ledger hear that a family is suspended now. It is, whether that succeeds or not.
func (p *presentation) suspended(ctx context.Context) error {
	return errSuspended.Because(p.house.Settle(context.WithoutCancel(ctx)))
}

// refused says why a family gives nothing although nothing is wrong with who asks.
func (p *presentation) refused(f tenant.Family) error {
	switch {
	case f.Client != p.shown.Client || f.Over(p.Now):
		return errRefresh
	case !f.SuspendedAt.IsZero():
		return errSuspended
	case f.JKT != "" && p.shown.JKT == "":
		return errRefreshKey
	case p.shown.Generation > f.Generation:
		return errRefresh.Because(errOutOfOrder)
	}
	return errRefresh
}
