package signer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"seawall/internal/keyring"
	"seawall/internal/keystore"
	"seawall/internal/mint"
)

// selfActor is who the ledger records for steps that the clock brings.
const selfActor = "signer"

// errUnreadable reports a spare whose private part is damaged: the next round replaces it.
var errUnreadable = mint.Refuse(mint.SpareTooYoung, "the spare key's private part is damaged; another one is being prepared")

// settle takes every step that is due for a tenant. Callers hold s.change.
func (s *Signer) settle(ctx context.Context, id string) error {
	for range 12 { // the first key of a family takes three rounds
		t := s.tenantByID(id)
		if !s.link.isReady() {
			return errLedgerAway
		}
		if why, _ := s.guard.frozen(); why != "" {
			return mint.Refuse(mint.ClockFrozen, "%s", why)
		}
		if t.waiting != nil {
			if err := s.again(ctx, t); err != nil {
				return err
			}
			continue
		}
		busy := false
		for _, family := range t.families() {
			steps := s.due(t, family)
			if len(steps) == 0 {
				continue
			}
			if err := s.take(ctx, t, family, steps, selfActor, ""); err != nil && !errors.Is(err, errUnreadable) {
				return err
			}
			busy = true
			break // the tenant has changed
		}
		if !busy {
			return nil
		}
	}
	return fmt.Errorf("the keys of %s do not come to rest", id)
}

// due returns the steps to take now. Spares that can't be used are ended first, so that they are replaced.
func (s *Signer) due(t *tenant, family mint.Family) []keyring.Step {
	ring := t.ring(family)
	var useless []keyring.Step
	for i := range ring {
		k := &ring[i]
		if hasPrivate(k) && k.ActivatedAt == 0 && (k.Statement == "" || s.unreadable[k.KID]) {
			useless = append(useless, keyring.Step{Kind: mint.KeyRetired, KID: k.KID})
		}
	}
	if useless != nil {
		return useless
	}
	return keyring.Plan(ring, rules(&t.policy, &s.ceilings), s.clock.Now())
}

// take prepares steps on disk and has them recorded and done.
func (s *Signer) take(ctx context.Context, t *tenant, family mint.Family, steps []keyring.Step, actor, reason string) error {
	if len(steps) > mint.MaxSteps {
		steps = steps[:mint.MaxSteps] // the rest comes in the next round; the swap of a rotation is always first
	}
	if err := s.disk.mkdir(keysDir + "/" + t.policy.Tenant); err != nil {
		return err
	}
	waiting := &pendingSteps{Format: format}
	for _, step := range steps {
		record, err := s.prepare(t, family, step)
		if err != nil {
			return errors.Join(err, s.sweep(t))
		}
		waiting.Steps = append(waiting.Steps, mint.KeyRecord{Kind: step.Kind, Key: record, Actor: actor, Reason: reason})
	}
	if err := s.disk.writeJSON(pendingStepsName(t.policy.Tenant), waiting); err != nil {
		return err
	}
	next := *t
	next.waiting = waiting
	s.replace(&next)
	return s.record(ctx, &next)
}

// prepare makes the record of a key as it will be after a step, and seals its private part for that.
func (s *Signer) prepare(t *tenant, family mint.Family, step keyring.Step) (mint.Key, error) {
	var record mint.Key
	var key keystore.Key
	var err error
	switch step.Kind {
	case mint.KeyStaged:
		if record, key, err = s.newKey(t, family, rules(&t.policy, &s.ceilings)); err != nil {
			return record, err
		}
	default:
		now := t.key(step.KID)
		if now == nil {
			return record, fmt.Errorf("a step of the unknown key %s", step.KID)
		}
		record = *now
		if step.Kind == mint.KeyActivated {
			if key, err = s.openKey(now); err != nil {
				s.unreadable[now.KID] = true
				s.log.Error("alarm: a spare key does not open and is replaced", "tenant", now.Tenant, "kid", now.KID, "error", err)
				return record, errUnreadable
			}
		}
	}
	record = keyring.Apply(record, step.Kind, s.clock.Now())
	if key != nil {
		defer key.Destroy() // the active key is opened from its file, like after a restart
		if err := s.seal(key, &record); err != nil {
			return record, err
		}
	}
	return record, nil
}

// again asks for waiting steps once more, with the times of now: validators could not learn of a key that was not
// recorded.
func (s *Signer) again(ctx context.Context, t *tenant) error {
	next := *t
	next.waiting = &pendingSteps{Format: format, Steps: slices.Clone(t.waiting.Steps)}
	for i := range next.waiting.Steps {
		step := &next.waiting.Steps[i]
		epoch := step.Key.Epoch
		step.Key = keyring.Apply(step.Key, step.Kind, s.clock.Now())
		step.Key.Epoch = epoch
	}
	if err := s.disk.writeJSON(pendingStepsName(t.policy.Tenant), next.waiting); err != nil {
		return err
	}
	s.replace(&next)
	return s.record(ctx, &next)
}

// record asks the ledger to record the waiting steps of t and completes them. Tokens wait meanwhile: one under the old
// key must not be recorded after its end. When no answer comes, nobody knows, and the steps go on waiting.
func (s *Signer) record(ctx context.Context, t *tenant) error {
	s.gate.Lock()
	defer s.gate.Unlock()
	recorded, err := s.link.recordSteps(ctx, t.waiting.Steps)
	if err == nil {
		return s.complete(t, recorded.Statements)
	}
	switch {
	case unsure(err):
		s.link.doubt()
		return err
	case notNow(err):
		return err
	}
	// A definite no. It may be the answer to a repetition of what was recorded after all: the ledger's list says.
	hello, herr := s.link.ask(ctx, nil)
	switch {
	case herr != nil:
		s.link.doubt()
		return herr
	case recordedAll(stepsOf(hello), t.waiting.Steps):
		return s.complete(t, nil)
	}
	s.log.ErrorContext(ctx, "alarm: the ledger refused a step of a key", "tenant", t.policy.Tenant, "why", err)
	return errors.Join(err, s.drop(t))
}

// complete makes the waiting steps of t, which are recorded, its state. statements are the ledger's, or nil when only the
// fact is known: then a new key has none and is never published, and replaced.
func (s *Signer) complete(t *tenant, statements []string) error {
	next := *t
	next.keys, next.waiting = slices.Clone(t.keys), nil
	for i := range t.waiting.Steps {
		k := t.waiting.Steps[i].Key
		if statements != nil && statements[i] != "" {
			k.Statement = statements[i]
		}
		if k.Statement == "" {
			k.PublishedAt = 0
		} else if !s.link.stated(&k) {
			s.link.doubt()
			return refused("the ledger's statement on key %s of %s does not verify under its root", k.KID, k.Tenant)
		}
		if old := next.key(k.KID); old != nil {
			*old = k
		} else {
			next.keys = append(next.keys, k)
		}
	}
	id := t.policy.Tenant
	if err := s.disk.writeJSON(ringName(id), ringFile{format, next.keys}); err != nil {
		return err
	}
	if err := s.openActive(&next); err != nil {
		return err
	}
	for family, old := range t.signing {
		if next.signing[family] != old {
			old.key.Destroy()
		}
	}
	s.replace(&next)
	for i := range t.waiting.Steps {
		step := &t.waiting.Steps[i]
		s.log.Info("key changed", "tenant", id, "kid", step.Key.KID, "step", step.Kind, "actor", step.Actor)
	}
	if err := s.disk.remove(pendingStepsName(id)); err != nil {
		return err
	}
	return s.sweep(&next)
}

// drop forgets waiting steps that the ledger refused.
func (s *Signer) drop(t *tenant) error {
	next := *t
	next.waiting = nil
	s.replace(&next)
	if err := s.disk.remove(pendingStepsName(t.policy.Tenant)); err != nil {
		return err
	}
	return s.sweep(&next)
}
