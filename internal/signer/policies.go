package signer

import (
	"context"
	"errors"
	"maps"
	"slices"

	"seawall/internal/mint"
)

// ApplyPolicy takes a tenant's next policy: checked, recorded by the ledger, then kept and applied. For a new tenant it
// also makes the keys, so that the tenant can mint when it returns. A repetition of the last version is acknowledged
// again.
func (s *Signer) ApplyPolicy(ctx context.Context, p mint.Policy) (mint.PolicyApplied, error) {
	s.change.Lock()
	defer s.change.Unlock()
	p = normalize(p)
	if r := checkPolicy(&p, &s.ceilings); r != nil {
		return mint.PolicyApplied{}, r
	}
	if waiting := s.pendingPolicies[p.Tenant]; waiting != nil {
		if err := s.recordPolicy(ctx, waiting); err != nil {
			return mint.PolicyApplied{}, err
		}
	}
	t := s.tenantByID(p.Tenant)
	repeated, r := s.follows(t, &p)
	if r != nil {
		return mint.PolicyApplied{}, r
	}
	if !repeated {
		if err := s.recordPolicy(ctx, &policyFile{Format: format, Policy: p}); err != nil {
			return mint.PolicyApplied{}, err
		}
	}
	err := s.settle(ctx, p.Tenant)
	t = s.tenantByID(p.Tenant)
	switch {
	case err == nil:
	case t.signing[mint.FamilyAccess] == nil:
		return mint.PolicyApplied{}, err // it can't mint yet; asked again, this goes on where it stopped
	default: // policies that come after this one, an end of the tenant perhaps, must not wait for a key
		s.log.WarnContext(ctx, "the keys of a tenant could not be settled; it is tried again within a minute", "tenant", p.Tenant, "error", err)
	}
	return mint.PolicyApplied{Version: p.Version, Sequence: t.sequence}, nil
}

// follows reports whether p is the next policy of its tenant, or the present one once more.
func (s *Signer) follows(t *tenant, p *mint.Policy) (repeated bool, r *mint.Refusal) {
	var version uint64
	if t != nil {
		version = t.policy.Version
		if t.policy.Issuer != p.Issuer {
			return false, mint.Refuse(mint.PolicyIssuerTaken, "the tenant is bound to another issuer for good")
		}
		if p.Version == version && policyDigest(p) == policyDigest(&t.policy) {
			return true, nil
		}
	}
	switch {
	case p.Version != version+1:
		return false, mint.Refuse(mint.PolicyVersion, "the next version is %d", version+1)
	case t != nil:
		return false, nil
	}
	tenants := *s.tenants.Load()
	if len(tenants)+len(s.pendingPolicies) >= s.ceilings.MaxTenants {
		return false, mint.Refuse(mint.PolicyCeiling, "this host has its %d tenants", s.ceilings.MaxTenants)
	}
	for _, other := range tenants {
		if other.policy.Issuer == p.Issuer {
			return false, mint.Refuse(mint.PolicyIssuerTaken, "the issuer is bound to another tenant")
		}
	}
	for _, other := range s.pendingPolicies {
		if other.Policy.Issuer == p.Issuer {
			return false, mint.Refuse(mint.PolicyIssuerTaken, "the issuer is being bound to another tenant")
		}
	}
	if why, _ := s.guard.frozen(); why != "" {
		return false, mint.Refuse(mint.ClockFrozen, "a new tenant needs keys, and %s", why)
	}
	return false, nil
}

// recordPolicy has a policy recorded and applies it. Without an answer it goes on waiting: the entry may exist.
func (s *Signer) recordPolicy(ctx context.Context, f *policyFile) error {
	if !s.link.isReady() {
		return errLedgerAway
	}
	id := f.Policy.Tenant
	if s.pendingPolicies[id] == nil {
		if err := s.disk.writeJSON(pendingPolicyName(id), f); err != nil {
			return err
		}
		s.pendingPolicies[id] = f
	}
	sequence, err := s.link.recordEntry(ctx, policyEntry(&f.Policy))
	if err == nil {
		return s.completePolicy(f, sequence)
	}
	switch {
	case unsure(err):
		s.link.doubt()
		return err
	case notNow(err):
		return err
	}
	// A definite no, or the answer to a repetition of what was recorded: the ledger's list says.
	hello, herr := s.link.ask(ctx, nil)
	switch {
	case herr != nil:
		s.link.doubt()
		return herr
	case hello.Policies[id] == f.Policy.Version:
		return s.completePolicy(f, 0)
	}
	delete(s.pendingPolicies, id)
	return errors.Join(err, s.disk.remove(pendingPolicyName(id)))
}

// completePolicy makes a recorded policy the tenant's.
func (s *Signer) completePolicy(f *policyFile, sequence uint64) error {
	f.Sequence = sequence
	id := f.Policy.Tenant
	if err := s.disk.writeJSON(policyName(id), f); err != nil {
		return err
	}
	next := new(tenant)
	if t := s.tenantByID(id); t != nil {
		*next = *t
	}
	next.policy, next.sequence, next.limits = f.Policy, sequence, compile(&f.Policy, &s.ceilings)
	s.replace(next)
	delete(s.pendingPolicies, id)
	s.log.Info("policy applied", "tenant", id, "version", f.Policy.Version, "actor", f.Policy.Actor)
	return s.disk.remove(pendingPolicyName(id))
}

const (
	// maxKeysTold is how many keys one answer holds, give or take one tenant's: a record is under 2 KB.
	maxKeysTold = 400
)

// Keys tells the house about keys: one tenant's, the newest of all there ever were, or of everybody those that may be in
// a JWK Set. Which are, at the moment of serving, keyring.Published says.
func (s *Signer) Keys(q mint.KeysQuery) (mint.Keys, error) {
	answer := mint.Keys{Generation: s.generation.Load()}
	trusted := s.link.trusted.Load()
	switch {
	case trusted == nil:
		return answer, errLedgerAway // keys without the ledger's document are of no use to anybody
	case q.After == answer.Generation:
		return answer, nil
	}
	answer.Ledger = trusted.document
	answer.Frozen, _ = s.guard.frozen()
	if q.Tenant != "" {
		t := s.tenantByID(q.Tenant)
		if t == nil {
			return mint.Keys{}, mint.Refuse(mint.NotFound, "no such tenant")
		}
		answer.Keys = t.keys[max(0, len(t.keys)-maxKeysTold):]
		return answer, nil
	}
	tenants := *s.tenants.Load()
	for _, id := range slices.Sorted(maps.Keys(tenants)) {
		if id <= q.From {
			continue
		}
		if len(answer.Keys) >= maxKeysTold {
			answer.More = q.From
			break
		}
		q.From = id
		for _, k := range tenants[id].keys {
			if k.PublishedAt != 0 && k.RetiredAt == 0 && k.RevokedAt == 0 {
				answer.Keys = append(answer.Keys, k)
			}
		}
	}
	return answer, nil
}
