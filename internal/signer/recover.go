package signer

import (
	"fmt"

	"seawall/internal/mint"
)

// reconcile compares this signer's state with what the ledger recorded, completes steps that were recorded while nobody
// heard the answer, and refuses state that is older than the record. Callers hold s.change.
func (s *Signer) reconcile(h *mint.Hello) error {
	if err := s.reconcilePolicies(h.Policies); err != nil {
		return err
	}
	steps := stepsOf(h)
	known := 0
	for _, t := range *s.tenants.Load() {
		if err := s.reconcileKeys(t, steps); err != nil {
			return err
		}
		known += len(s.tenantByID(t.policy.Tenant).keys)
	}
	if known == len(steps) {
		return nil
	}
	for kid, step := range steps {
		if t := s.tenantByID(step.Tenant); t == nil || t.key(kid) == nil {
			return s.older("it does not know key %s of %s", kid, step.Tenant)
		}
	}
	return nil
}

// older refuses to run with state from the past.
func (s *Signer) older(format string, args ...any) error {
	why := fmt.Errorf(format, args...)
	s.log.Error("alarm: the signer's state is not the one that the ledger recorded", "why", why)
	return refused("%w: the signer's state is older than what the ledger recorded: %w; the directory was probably restored from a backup: put back its newest copy (nothing was changed)",
		mint.Refuse(mint.StateRolledBack, ""), why)
}

// ahead refuses to run with a ledger from the past.
func (s *Signer) ahead(format string, args ...any) error {
	why := fmt.Errorf(format, args...)
	s.log.Error("alarm: the ledger does not know what it recorded", "why", why)
	return refused("%w: the ledger is older than this signer: %w; restore the newest copy of the ledger's directory, and check it with `seawall log verify`",
		mint.Refuse(mint.StateRolledBack, ""), why)
}

func (s *Signer) reconcilePolicies(recorded map[string]uint64) error {
	for id, f := range s.pendingPolicies {
		var local uint64
		if t := s.tenantByID(id); t != nil {
			local = t.policy.Version
		}
		switch {
		case f.Policy.Version <= local: // completed, and then the crash
			delete(s.pendingPolicies, id)
			if err := s.disk.remove(pendingPolicyName(id)); err != nil {
				return err
			}
		case recorded[id] == f.Policy.Version:
			if err := s.completePolicy(f, 0); err != nil {
				return err
			}
		}
	}
	for id, version := range recorded {
		t := s.tenantByID(id)
		if t == nil {
			return s.older("it does not know the tenant %s", id)
		}
		if t.policy.Version < version {
			return s.older("the policy of %s is version %d here and %d there", id, t.policy.Version, version)
		}
	}
	for id, t := range *s.tenants.Load() {
		if recorded[id] < t.policy.Version {
			return s.ahead("the policy of %s is version %d here and %d there", id, t.policy.Version, recorded[id])
		}
	}
	return nil
}

func (s *Signer) reconcileKeys(t *tenant, steps map[string]mint.KeyStep) error {
	switch {
	case t.waiting == nil:
	case t.completed():
		if err := s.drop(t); err != nil {
			return err
		}
	case recordedAll(steps, t.waiting.Steps):
		s.gate.Lock()
		err := s.complete(t, nil)
		s.gate.Unlock()
		if err != nil {
			return err
		}
	}
	t = s.tenantByID(t.policy.Tenant)
	for i := range t.keys {
		k := &t.keys[i]
		step, ok := steps[k.KID]
		switch {
		case !ok || step.Epoch < k.Epoch:
			return s.ahead("key %s of %s is at step %d here and %d there", k.KID, k.Tenant, k.Epoch, step.Epoch)
		case step.Epoch > k.Epoch:
			return s.older("key %s of %s is at step %d here and %d there", k.KID, k.Tenant, k.Epoch, step.Epoch)
		case step.State != lastStep(k) || step.Tenant != k.Tenant || step.Issuer != k.Issuer:
			return s.older("key %s of %s took another step here than the one recorded", k.KID, k.Tenant)
		}
	}
	return s.sweep(t)
}

// completed reports whether the waiting steps are part of the state already: the crash came before the pending file was
// removed.
func (t *tenant) completed() bool {
	for i := range t.waiting.Steps {
		k := &t.waiting.Steps[i].Key
		if now := t.key(k.KID); now == nil || now.Epoch < k.Epoch {
			return false
		}
	}
	return true
}

// stepsOf returns the last recorded step of each key.
func stepsOf(h *mint.Hello) map[string]mint.KeyStep {
	steps := make(map[string]mint.KeyStep, len(h.Keys))
	for _, step := range h.Keys {
		steps[step.KID] = step
	}
	return steps
}

// recordedAll reports whether the ledger recorded all these steps.
func recordedAll(steps map[string]mint.KeyStep, list []mint.KeyRecord) bool {
	for i := range list {
		if step, ok := steps[list[i].Key.KID]; !ok || step.Epoch != list[i].Key.Epoch || step.State != list[i].Kind {
			return false
		}
	}
	return true
}

// lastStep is the kind of entry that brought k where it is.
func lastStep(k *mint.Key) mint.EntryKind {
	switch {
	case k.RevokedAt != 0:
		return mint.KeyRevoked
	case k.RetiredAt != 0:
		return mint.KeyRetired
	case k.SuspendedAt != 0:
		return mint.KeySuspended
	case k.VerifyOnlyAt != 0:
		return mint.KeyVerifyOnly
	case k.ActivatedAt != 0:
		return mint.KeyActivated
	}
	return mint.KeyStaged
}
