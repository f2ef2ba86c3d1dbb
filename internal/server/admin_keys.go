package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"seawall/internal/keyring"
	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

func (s *Server) listKeys(a act) (any, error) {
	t, err := s.findTenant(a)
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

func (s *Server) rotateKeys(a act, q *adminapi.RotateKeys) (any, error) {
	t, err := s.findTenant(a)
	if err != nil {
		return nil, err
	}
	families, err := rotating(s.keys.now().of(t.ID, t.Issuer), mint.Family(q.Family))
	if err != nil {
		return nil, err
	}
	var done adminapi.Rotated
	var first error
	rotated := false
	for _, family := range families {
		r, err := s.rotateFamily(a, &t, family)
		switch {
		case err == nil:
			rotated = true
		case adminError(err) == nil: // nobody expected it
			return nil, err
		case first == nil:
			first = err
		}
		done.Families = append(done.Families, r)
	}
	if !rotated {
		return nil, first
	}
	if err := s.keys.refresh(context.WithoutCancel(a.Context())); err != nil && !isAway(err) {
		return nil, err
	}
	return done, nil
}

// rotating returns the families to rotate: the one that is asked for, or all that the tenant has.
func rotating(keys []mint.Key, asked mint.Family) (list []mint.Family, err error) {
	if asked != "" {
		if !slices.Contains(mint.Families(), asked) {
			return nil, &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusBadRequest, Description: fmt.Sprintf("there is no family %.64q of keys", asked),
				Hint: "choose access, for access tokens, or id, for ID tokens; leave it out for all"}
		}
		return []mint.Family{asked}, nil
	}
	for _, family := range mint.Families() {
		if family == mint.FamilyAccess || slices.ContainsFunc(keys, func(k mint.Key) bool { return k.Family == family }) {
			list = append(list, family)
		}
	}
	return list, nil
}

// rotateFamily records that it was asked for, and has the signer do it.
func (s *Server) rotateFamily(a act, t *tenant.Tenant, family mint.Family) (adminapi.RotatedFamily, error) {
	r := adminapi.RotatedFamily{Family: string(family)}
	ctx, err := s.begin(a, true, &mint.Entry{Kind: mint.RotationAsked, Tenant: t.ID, Issuer: t.Issuer, Detail: []mint.Field{{Name: "family", Value: string(family)}}})
	rotated := new(mint.Rotated)
	if err == nil {
		err = s.vaults.ask(ctx, mint.MsgRotate, mint.Rotate{Tenant: t.ID, Family: family, Actor: a.actor}, rotated)
	}
	if err != nil {
		if e := adminError(err); e != nil {
			r.Stays = e.Description
		}
		return r, err
	}
	r.From, r.To = rotated.From, rotated.To
	return r, nil
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
	alarms, err := s.config.Store.Alarms(a.Context())
	if err != nil {
		return nil, err
	}
	owing, err := s.owing(a.Context())
	if err != nil {
		return nil, err
	}
	away, signer, head, known := s.away(), s.vaults.said(), s.config.Head.Head(), s.keys.now()
	shown := adminapi.Status{
		Version: s.config.Version, Base: s.config.Base, Ready: len(away) == 0, Away: away, Pin: known.pin, Started: s.started.UTC(),
		House: adminapi.Wall{Level: s.config.Level}, Signer: adminapi.Wall{Level: signer.Level, Custody: signer.Custody}, Ledger: adminapi.Wall{Level: s.vaults.wall()},
		Frozen: signer.Frozen, LogSize: head.Size, Tenants: len(all), PoliciesPending: len(waiting), Owed: owing,
	}
	for _, one := range alarms {
		shown.Alarms = append(shown.Alarms, adminapi.Alarm{Time: one.At, Kind: string(one.Kind), Tenant: one.Tenant, Login: one.Login, Actor: one.Actor})
	}
	if head.Size > 0 {
		shown.LogTime = time.UnixMilli(int64(head.Millis)).UTC()
	}
	return shown, nil
}
