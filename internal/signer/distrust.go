package signer

import (
	"context"
	"time"

	"seawall/internal/keyring"
	"seawall/internal/mint"
)

// Distrust ends the trust in a key, or gives a suspended one back. It is one record of the ledger, which states it in the
// issuer's distrust feed in the same breath; when the key was signing, the spare's promotion is part of that record too.
// The private part is gone before the answer: a key that somebody stole must not be the one that is used to look into it.
func (s *Signer) Distrust(ctx context.Context, q mint.KeyDistrust) (mint.KeyDistrusted, error) {
	s.change.Lock()
	defer s.change.Unlock()
	t := s.tenantByID(q.Tenant)
	switch {
	case t == nil || t.key(q.KID) == nil:
		return mint.KeyDistrusted{}, mint.Refuse(mint.NotFound, "no such tenant, or it never had this key")
	case q.Actor == "" || len(q.Actor) > maxActor || !printable(q.Actor):
		return mint.KeyDistrusted{}, mint.Refuse(mint.Malformed, "the actor must be given, as printable text")
	case !q.Reason.Known():
		return mint.KeyDistrusted{}, mint.Refuse(mint.StatedReason, "the reason is not one of those that a feed gives: %v", mint.Reasons())
	case q.Undo && (q.Final || q.YoungSpare):
		return mint.KeyDistrusted{}, mint.Refuse(mint.Malformed, "a key is distrusted or given back, not both")
	case !s.link.isReady():
		return mint.KeyDistrusted{}, errLedgerAway
	}
	if err := s.settle(ctx, q.Tenant); err != nil {
		return mint.KeyDistrusted{}, err
	}
	t = s.tenantByID(q.Tenant)
	k := t.key(q.KID)
	steps, err := s.distrust(t, k, &q)
	if err != nil {
		return mint.KeyDistrusted{}, err
	}
	if err := s.take(ctx, t, k.Family, steps, q.Actor, string(q.Reason)); err != nil {
		return mint.KeyDistrusted{}, err
	}
	done := mint.KeyDistrusted{KID: q.KID, Step: steps[0].Kind}
	if signing := s.tenantByID(q.Tenant).signing[k.Family]; signing != nil {
		done.Signs = signing.record.KID
	}
	return done, nil
}

// distrust returns the steps to take.
func (s *Signer) distrust(t *tenant, k *mint.Key, q *mint.KeyDistrust) ([]keyring.Step, error) {
	now := s.clock.Now()
	state := lastStep(k)
	step := mint.KeySuspended
	if q.Final {
		step = mint.KeyRevoked
	}
	switch {
	case q.Undo && state != mint.KeySuspended:
		return nil, mint.Refuse(mint.KeyTransition, "the key is not suspended, so it can't be given back")
	case q.Undo:
		return []keyring.Step{{Kind: mint.KeyVerifyOnly, KID: k.KID}}, nil
	case state == mint.KeyRevoked || state == mint.KeyRetired || state == step:
		return nil, mint.Refuse(mint.KeyTransition, "the key is not trusted any more: its last step was %s", state)
	}
	steps, ripe := keyring.Distrust(t.ring(k.Family), rules(&t.policy, &s.ceilings), now, k.KID, step, q.YoungSpare)
	switch {
	case steps != nil:
		return steps, nil
	case ripe.IsZero():
		return nil, mint.Refuse(mint.KeyLast, "no other key could sign in its place yet; a spare is made within a minute")
	}
	return nil, mint.Refuse(mint.SpareTooYoung, "validators that cache keys for a day may not know the next key before %s", ripe.UTC().Format(time.RFC3339))
}
