package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"seawall/internal/mint"
	"seawall/internal/revocation"
	"seawall/internal/server/adminapi"
)

// previewTime bounds how long the log is read for a preview.
const previewTime = 10 * time.Second

// revoker carries plans of package revocation to the vaults, and lets this house go by what they did before it says so.
type revoker struct{ *Server }

// State is for [revocation.Ledger].
func (r revoker) State(ctx context.Context, q mint.StateQuery) (*mint.Distrust, error) {
	return r.state(ctx, q)
}

// Distrust is for [revocation.Signer].
func (r revoker) Distrust(ctx context.Context, q mint.KeyDistrust) (*mint.KeyDistrusted, error) {
	t, err := r.config.Store.Tenant(ctx, q.Tenant)
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	done := new(mint.KeyDistrusted)
	if err := r.vaults.ask(ctx, mint.MsgDistrust, q, done); err != nil {
		return nil, err
	}
	// From here on it is done. What this house does not hear now it hears within a second.
	if err := r.keys.refresh(ctx); err != nil && !isAway(err) {
		return nil, err
	}
	r.feeds.of(t.ID, t.Issuer).catchUp(ctx)
	return done, nil
}

// Count is for [revocation.Counter].
func (r revoker) Count(ctx context.Context, q mint.CountQuery) (*mint.Counted, error) {
	page := new(mint.Counted)
	return page, r.vaults.askLedger(ctx, mint.MsgCount, q, page)
}

// distrustPlan reads what should be distrusted, and of whom.
func (s *Server) distrustPlan(a act) (*revocation.Plan, error) {
	var q adminapi.Distrust
	if err := a.read(&q); err != nil {
		return nil, err
	}
	t, err := s.findTenant(a)
	return &revocation.Plan{Tenant: t.ID, Issuer: t.Issuer, Kind: mint.DistrustKind(q.Kind), Value: q.Value, Before: moment(q.Before), Reason: mint.Reason(q.Reason),
		Final: q.Final, YoungSpare: q.YoungSpare, Undo: q.Undo, Restores: q.Restores}, err
}

// distrust carries a plan out.
func (s *Server) distrust(a act) (any, error) {
	p, err := s.distrustPlan(a)
	if err != nil {
		return nil, err
	}
	done, err := revocation.Apply(a.Context(), p, a.actor, s.now(), revoker{s}, revoker{s})
	if err != nil {
		return nil, distrustError(err)
	}
	shown := adminapi.Distrusted{}
	if done.Statement != nil {
		d := showStatement(done.Statement)
		shown.Statement = &d
	}
	if k := done.Key; k != nil {
		shown.KID, shown.Step, shown.Signs = k.KID, string(k.Step), k.Signs
	}
	return shown, nil
}

// previewDistrust says whom a plan would affect.
func (s *Server) previewDistrust(a act) (any, error) {
	p, err := s.distrustPlan(a)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(a.Context(), previewTime)
	defer cancel()
	from := revocation.Sources{Counter: revoker{s}}
	switch {
	case p.Restores != 0:
		f := s.feeds.of(p.Tenant, p.Issuer)
		if err := f.refresh(ctx, nil); err != nil {
			return nil, err
		}
		from.Live = f.copy().Live
	case p.Kind == mint.DistrustKey:
		told, err := s.vaults.signer.Keys(ctx, mint.KeysQuery{Tenant: p.Tenant})
		if err != nil {
			return nil, err
		}
		from.Keys = told.Keys
	}
	v, err := revocation.Look(ctx, p, from, s.now())
	if err != nil {
		return nil, distrustError(err)
	}
	shown := adminapi.DistrustPreview{Tokens: v.Tokens, AtLeast: v.AtLeast, Subjects: v.Subjects, Clients: showShares(v.Clients), APIs: showShares(v.APIs), LastEnds: v.LastEnds.UTC()}
	if v.LastEnds.IsZero() {
		shown.LastEnds = time.Time{}
	}
	if k := v.Key; k != nil {
		shown.KeyState, shown.NextKey, shown.NextPublished, shown.NextKnown = string(k.State), k.Next, k.NextPublished, k.NextKnown
	}
	if v.Restores != nil {
		d := showStatement(v.Restores)
		shown.Restores = &d
	}
	return shown, nil
}

func showShares(list []revocation.Share) []adminapi.Share {
	shown := make([]adminapi.Share, len(list))
	for i, s := range list {
		shown[i] = adminapi.Share{Name: s.Name, Tokens: s.Tokens}
	}
	return shown
}

func showStatement(d *mint.Distrust) adminapi.Statement {
	return adminapi.Statement{N: d.N, Act: string(d.Act), Kind: string(d.Kind), Value: d.Value, Before: moment(d.Before), Until: moment(d.Until),
		Undoes: d.Undoes, Reason: string(d.Reason), Time: time.UnixMilli(int64(d.Millis)).UTC()}
}

// listDistrust lists what is distrusted now.
func (s *Server) listDistrust(a act) (any, error) {
	t, err := s.findTenant(a)
	if err != nil {
		return nil, err
	}
	f := s.feeds.of(t.ID, t.Issuer)
	if err := f.refresh(a.Context(), nil); err != nil {
		return nil, err
	}
	return items(f.copy().Live, func(d *mint.Distrust) adminapi.Statement { return showStatement(d) }), nil
}

// distrustError adds to a refusal what an operator can do about it.
func distrustError(err error) error {
	if wrong := (*revocation.Invalid)(nil); errors.As(err, &wrong) {
		return &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusBadRequest, Description: wrong.Error()}
	}
	e := vaultError(err)
	if e == nil {
		return err
	}
	switch {
	case errors.Is(err, mint.Refuse(mint.SpareTooYoung, "")):
		e.Hint = "if the theft is certain, let the young spare sign all the same (--young-spare): validators that cache keys without refetching refuse the new tokens until then"
	case errors.Is(err, mint.Refuse(mint.KeyLast, "")):
		e.Hint = "try again in a minute"
	case errors.Is(err, mint.Refuse(mint.StatedOver, "")):
		e.Hint = "`seawall distrust list` shows what can be taken back"
	case errors.Is(err, mint.Refuse(mint.StatedFull, "")):
		e.Hint = "one statement about a client or a subject stands for many about tokens"
	}
	return e
}
