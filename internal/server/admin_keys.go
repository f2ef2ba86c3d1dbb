package server

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"seawall/internal/keyring"
	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
)

func (s *Server) listKeys(a act) (any, error) {
	t, err := s.config.Store.Tenant(a.Context(), a.PathValue("tenant"))
	if err != nil {
		return nil, err
	}
	list := s.keys.now().of(t.ID, t.Issuer)
	ctx, cancel := context.WithTimeout(a.Context(), callTime)
	defer cancel()
	switch told, err := s.vaults.signer.Keys(ctx, mint.KeysQuery{Tenant: t.ID}); {
	case err == nil:
		list = told.Keys // with those that are retired
	case !isAway(err) && !errors.Is(err, mint.Refuse(mint.NotFound, "")):
		return nil, err
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b mint.Key) int { return cmp.Compare(b.PublishedAt, a.PublishedAt) })
	now := s.now()
	return items(list, func(k *mint.Key) adminapi.Key {
		return adminapi.Key{
			KID: k.KID, Family: string(k.Family), Algorithm: k.Alg, TokenKinds: k.Kinds, State: string(keyring.StateAt(k, now)), Thumbprint: k.Thumbprint,
			Published: moment(k.PublishedAt), NotBefore: moment(k.NotBefore), Activated: moment(k.ActivatedAt),
			SigningEnds: moment(k.SigningEnds), Expires: moment(k.Expires),
		}
	}), nil
}

// moment is a time out of Unix seconds, zero for none.
func moment(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

func (s *Server) rotateKeys(a act) (any, error) {
	s.acts.Lock()
	defer s.acts.Unlock()
	t, err := s.config.Store.Tenant(a.Context(), a.PathValue("tenant"))
	if err != nil {
		return nil, err
	}
	ctx, err := s.begin(a, true, &mint.Entry{Kind: mint.RotationAsked, Tenant: t.ID, Issuer: t.Issuer, Detail: []mint.Field{{Name: "family", Value: string(mint.FamilyAccess)}}})
	if err != nil {
		return nil, err
	}
	rotated := new(mint.Rotated)
	if err := s.vaults.ask(ctx, mint.MsgRotate, mint.Rotate{Tenant: t.ID, Family: mint.FamilyAccess, Actor: a.actor}, rotated); err != nil {
		return nil, err
	}
	if err := s.keys.refresh(ctx); err != nil && !isAway(err) {
		return nil, err
	}
	return adminapi.Rotated{From: rotated.From, To: rotated.To}, nil
}

func (s *Server) acceptClock(a act) (any, error) {
	accepted := new(mint.ClockAccepted)
	if err := s.vaults.ask(a.Context(), mint.MsgClock, mint.ClockAccept{Actor: a.actor}, accepted); err != nil {
		return nil, err
	}
	return adminapi.ClockAccepted{Was: accepted.Was}, nil
}

func (s *Server) status(a act) (any, error) {
	all, err := s.config.Store.Tenants(a.Context())
	if err != nil {
		return nil, err
	}
	waiting, err := s.config.Store.PendingPolicies(a.Context())
	if err != nil {
		return nil, err
	}
	away, signer, head, known := s.away(), s.vaults.said(), s.config.Head.Head(), s.keys.now()
	shown := adminapi.Status{
		Version: s.config.Version, Base: s.config.Base, Ready: len(away) == 0, Away: away, Pin: known.pin, Started: s.started.UTC(),
		House: adminapi.Wall{Level: s.config.Level}, Signer: adminapi.Wall{Level: signer.Level, Custody: signer.Custody},
		Frozen: signer.Frozen, LogSize: head.Size, Tenants: len(all), PoliciesPending: len(waiting),
	}
	if head.Size > 0 {
		shown.LogTime = time.UnixMilli(int64(head.Millis)).UTC()
	}
	return shown, nil
}
