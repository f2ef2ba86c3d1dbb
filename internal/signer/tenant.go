package signer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"seawall/internal/keyring"
	"seawall/internal/keystore"
	"seawall/internal/mint"
)

// tenant is everything the signer knows of one tenant. It is never changed, only replaced: requests under way go on with
// the one they found.
type tenant struct {
	policy   mint.Policy
	sequence uint64 // of the policy's entry in the ledger; 0 when that was not learnt
	limits   *limits
	keys     []mint.Key // all there ever were, oldest first
	signing  map[mint.Family]*signing
	// waiting are steps that were sent to the ledger without an answer. Nothing else is done to the keys before they are
	// settled.
	waiting *pendingSteps
}

// signing is an active key, ready for use.
type signing struct {
	record   mint.Key
	key      keystore.Key
	lifetime int64  // seconds: the longest life of a token under it
	header   []byte // bare, the same for every token
}

// The files of a tenant. Format guards against a file that a later seawall wrote.
type (
	policyFile struct {
		Format   int         `json:"format"`
		Policy   mint.Policy `json:"policy"`
		Sequence uint64      `json:"sequence"`
	}
	ringFile struct {
		Format int        `json:"format"`
		Keys   []mint.Key `json:"keys"`
	}
	pendingSteps struct {
		Format int              `json:"format"`
		Steps  []mint.KeyRecord `json:"steps"`
	}
)

const (
	format     = 1
	tenantsDir = "tenants"
	keysDir    = "keys"
	sealedExt  = ".sealed"
)

func policyName(id string) string        { return filepath.Join(tenantsDir, id+".json") }
func pendingPolicyName(id string) string { return filepath.Join(tenantsDir, id+".pending") }
func ringName(id string) string          { return filepath.Join(keysDir, id, "ring.json") }
func pendingStepsName(id string) string  { return filepath.Join(keysDir, id, "pending.json") }

func sealedName(k *mint.Key) string {
	return filepath.Join(keysDir, k.Tenant, k.KID+"."+strconv.FormatUint(k.Epoch, 10)+sealedExt)
}

// binding is what the private part of k is sealed with.
func binding(k *mint.Key) *keystore.Binding {
	return &keystore.Binding{Tenant: k.Tenant, Issuer: k.Issuer, KID: k.KID, Family: string(k.Family), Alg: k.Alg,
		NotBefore: k.NotBefore, SigningEnds: k.SigningEnds, Expires: k.Expires, Epoch: k.Epoch}
}

// hasPrivate reports whether the private part of k is kept: of a spare and of the active key, and of no other.
func hasPrivate(k *mint.Key) bool {
	return k.VerifyOnlyAt == 0 && k.RetiredAt == 0 && k.SuspendedAt == 0 && k.RevokedAt == 0
}

func (s *Signer) tenantByID(id string) *tenant { return (*s.tenants.Load())[id] }

// replace makes t the state of its tenant. Callers hold s.change.
func (s *Signer) replace(t *tenant) {
	next := maps.Clone(*s.tenants.Load())
	next[t.policy.Tenant] = t
	s.tenants.Store(&next)
	s.generation.Add(1)
}

// loadTenants reads every tenant. Private keys that are active are opened here, so that one that can't be is found at
// the start and not by the first customer.
func (s *Signer) loadTenants() error {
	names, err := s.disk.list(tenantsDir)
	if err != nil {
		return err
	}
	s.pendingPolicies = map[string]*policyFile{}
	policies := map[string]*policyFile{}
	for _, name := range names {
		id, pending := strings.CutSuffix(name, ".pending")
		if !pending {
			id = strings.TrimSuffix(name, ".json")
		}
		f, err := s.loadPolicy(filepath.Join(tenantsDir, name), id)
		if err != nil {
			return err
		}
		if pending {
			s.pendingPolicies[id] = f
		} else {
			policies[id] = f
		}
	}
	if s.link.root == nil && len(policies) > 0 {
		return refused("the pinned ledger root is missing although there are tenants; restore %s from a backup", s.disk.path(rootFile))
	}
	tenants := make(map[string]*tenant, len(policies))
	for id, f := range policies {
		if tenants[id], err = s.loadTenant(f); err != nil {
			return err
		}
	}
	s.tenants.Store(&tenants)
	return nil
}

func (s *Signer) loadPolicy(name, id string) (*policyFile, error) {
	f := new(policyFile)
	if err := s.disk.readJSON(name, f); err != nil {
		return nil, refused("a policy cannot be read: %w; restore the signer's directory from a backup", err)
	}
	if f.Format != format {
		return nil, newer(s.disk.path(name), f.Format)
	}
	if !validTenant(id) || f.Policy.Tenant != id {
		return nil, refused("%s is not the policy of the tenant it is named for; restore the signer's directory from a backup", s.disk.path(name))
	}
	return f, nil
}

func (s *Signer) loadTenant(f *policyFile) (*tenant, error) {
	t := &tenant{policy: f.Policy, sequence: f.Sequence, limits: compile(&f.Policy, &s.ceilings)}
	id := t.policy.Tenant
	var ring ringFile
	err := s.disk.readJSON(ringName(id), &ring)
	if err == nil && ring.Format != format {
		return nil, newer(s.disk.path(ringName(id)), ring.Format)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, refused("the key records of %s cannot be read: %w; restore the signer's directory from a backup", id, err)
	}
	t.keys = ring.Keys
	for i := range t.keys {
		if err := s.checkRecord(t, &t.keys[i]); err != nil {
			return nil, err
		}
	}
	var waiting pendingSteps
	switch err := s.disk.readJSON(pendingStepsName(id), &waiting); {
	case err == nil && waiting.Format != format:
		return nil, newer(s.disk.path(pendingStepsName(id)), waiting.Format)
	case err == nil:
		t.waiting = &waiting
	case !errors.Is(err, fs.ErrNotExist):
		return nil, refused("the waiting steps of %s cannot be read: %w; restore the signer's directory from a backup", id, err)
	}
	return t, s.openActive(t)
}

// checkRecord reports whether a stored record is one of this tenant's, and stated by the pinned root. What it says of
// dates and algorithm is also what its private part was sealed with.
func (s *Signer) checkRecord(t *tenant, k *mint.Key) error {
	if k.Tenant != t.policy.Tenant || k.Issuer != t.policy.Issuer || !slices.Equal(k.Kinds, k.Family.Kinds()) || len(k.Kinds) == 0 {
		return refused("the record of key %s does not belong to %s; restore the signer's directory from a backup", k.KID, t.policy.Tenant)
	}
	if k.Statement != "" && !s.link.stated(k) {
		return refused("the record of key %s of %s is not what the ledger stated: it was altered; restore the signer's directory from a backup", k.KID, t.policy.Tenant)
	}
	return nil
}

// openActive opens the private parts of the active keys that are not open yet.
func (s *Signer) openActive(t *tenant) error {
	before := t.signing
	t.signing = map[mint.Family]*signing{}
	for _, family := range mint.Families() {
		active, ok := keyring.ActiveKey(t.ring(family))
		if !ok {
			continue
		}
		if now := before[family]; now != nil && now.record.KID == active.KID {
			t.signing[family] = now
			continue
		}
		key, err := s.openKey(active)
		if err != nil {
			return refused("the active key %s of %s cannot be opened: %w; restore the signer's directory from a backup", active.KID, active.Tenant, err)
		}
		header := mint.Token{Alg: active.Alg, Kind: mint.Kind(active.Kinds[0]), KID: active.KID}
		t.signing[family] = &signing{record: *active, key: key, header: header.Header(nil),
			lifetime: int64(keyring.Lifetime(active).Seconds())}
	}
	return nil
}

func (s *Signer) openKey(k *mint.Key) (keystore.Key, error) {
	sealed, err := s.disk.read(sealedName(k))
	if err != nil {
		return nil, err
	}
	return s.store.Open(sealed, binding(k))
}

// families are the token families that the tenant has keys for: that of access tokens, and that of ID tokens from the
// first client on that may get any. From then on it is kept like the other, also while there is no such client: its keys
// end in the normal way, and the next client finds one that validators have known for long.
func (t *tenant) families() []mint.Family {
	if len(t.policy.Clients) == 0 && !slices.ContainsFunc(t.keys, func(k mint.Key) bool { return k.Family == mint.FamilyID }) {
		return []mint.Family{mint.FamilyAccess}
	}
	return mint.Families()
}

// ring returns the keys of one family.
func (t *tenant) ring(family mint.Family) []mint.Key {
	list := make([]mint.Key, 0, len(t.keys))
	for i := range t.keys {
		if t.keys[i].Family == family {
			list = append(list, t.keys[i])
		}
	}
	return list
}

func (t *tenant) key(kid string) *mint.Key {
	for i := range t.keys {
		if t.keys[i].KID == kid {
			return &t.keys[i]
		}
	}
	return nil
}

// newKey makes a key for a tenant, its record not yet staged.
func (s *Signer) newKey(t *tenant, family mint.Family, r keyring.Rules) (mint.Key, keystore.Key, error) {
	key, err := s.store.Generate(r.Algorithm)
	if err != nil {
		return mint.Key{}, nil, err
	}
	record := mint.Key{Tenant: t.policy.Tenant, Issuer: t.policy.Issuer, Family: family, Alg: r.Algorithm, Kinds: family.Kinds()}
	record.NotBefore, record.SigningEnds, record.Expires = keyring.Windows(r, s.clock.Now())
	if record.JWK, err = keystore.JWK(key.Public()); err != nil {
		return record, nil, err
	}
	thumbprint, err := keystore.Thumbprint(key.Public())
	if err != nil {
		return record, nil, err
	}
	record.Thumbprint = base64.RawURLEncoding.EncodeToString(thumbprint[:])
	record.KID, err = keystore.KID(key.Public())
	return record, key, err
}

// seal writes the private part of k for the step that k is at.
func (s *Signer) seal(key keystore.Key, k *mint.Key) error {
	sealed, err := s.store.Seal(key, binding(k))
	if err != nil {
		return err
	}
	return s.disk.write(sealedName(k), sealed)
}

// sweep destroys every private part that no record needs any more.
func (s *Signer) sweep(t *tenant) error {
	id := t.policy.Tenant
	names, err := s.disk.list(filepath.Join(keysDir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it never had a key
	}
	if err != nil {
		return err
	}
	needed := map[string]bool{}
	for i := range t.keys {
		needed[sealedName(&t.keys[i])] = hasPrivate(&t.keys[i])
	}
	if t.waiting != nil {
		for i := range t.waiting.Steps {
			k := &t.waiting.Steps[i].Key
			needed[sealedName(k)] = hasPrivate(k)
		}
	}
	for _, name := range names {
		path := filepath.Join(keysDir, id, name)
		if strings.HasSuffix(name, sealedExt) && !needed[path] {
			if err := s.disk.shred(path); err != nil {
				return fmt.Errorf("destroying a private key: %w", err)
			}
		}
	}
	return nil
}
