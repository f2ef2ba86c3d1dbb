package ledger

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"seawall/internal/mint"
)

var rawURL = base64.RawURLEncoding.Strict()

// decode reads base64url in its one spelling. The library alone would ignore line ends inside.
func decode(s string) ([]byte, error) {
	b, err := rawURL.DecodeString(s)
	if err == nil && rawURL.EncodedLen(len(b)) != len(s) {
		return nil, errors.New("line ends in base64url")
	}
	return b, err
}

// state is what the entries so far amount to: the keys of all issuers, the policy versions of all tenants, the distrust
// feeds, the receipt keys. It can be rebuilt from the log at any time, and [Verify] does. It is not safe for concurrent use.
type state struct {
	Origin   originID            `json:"origin"`
	Root     []byte              `json:"root"` // public, empty before ledger.created
	Receipts []mint.Certificate  `json:"receipt_keys"`
	Keys     map[string]key      `json:"keys"`     // by kid
	Policies map[string]policyAt `json:"policies"` // by tenant
	Feeds    map[string]feed     `json:"feeds"`    // by issuer

	active  map[role]string         // kid of the active key of each role
	prints  map[string]string       // thumbprint to kid
	issuers map[string]string       // issuer to tenant
	lives   map[string]int64        // the longest life of a token under any key of an issuer, in seconds
	known   map[mint.KeyID]verifier // receipt keys, ready to use
}

// role is what at most one key is active for.
type role struct{ issuer, family, alg string }

// key is an issuer key as its last step left it. Values are replaced, never changed.
type key struct {
	Tenant      string         `json:"tenant"`
	Issuer      string         `json:"issuer"`
	Family      string         `json:"family"`
	Alg         string         `json:"alg"`
	Kinds       string         `json:"kinds"` // separated by spaces, in the order of the JWK
	Thumbprint  string         `json:"thumbprint"`
	NotBefore   int64          `json:"nbf"`
	SigningEnds int64          `json:"signing_ends"`
	Expires     int64          `json:"exp"`
	Epoch       uint64         `json:"epoch"`
	State       mint.EntryKind `json:"state"`
}

func (k *key) role() role { return role{k.Issuer, k.Family, k.Alg} }

// policyAt is the last policy of a tenant.
type policyAt struct {
	Issuer  string `json:"issuer"`
	Version uint64 `json:"version"`
}

// verifier is a receipt key with its window in Unix seconds.
type verifier struct {
	public   ed25519.PublicKey
	nbf, exp int64
}

func newState() *state { return (&state{}).index() }

// index makes what is not kept in a snapshot.
func (s *state) index() *state {
	if s.Keys == nil {
		s.Keys = map[string]key{}
	}
	if s.Policies == nil {
		s.Policies = map[string]policyAt{}
	}
	if s.Feeds == nil {
		s.Feeds = map[string]feed{}
	}
	s.active, s.prints, s.lives = map[role]string{}, map[string]string{}, map[string]int64{}
	s.issuers, s.known = map[string]string{}, map[mint.KeyID]verifier{}
	for kid, k := range s.Keys {
		s.prints[k.Thumbprint] = kid
		s.lives[k.Issuer] = max(s.lives[k.Issuer], k.Expires-k.SigningEnds)
		if k.State == mint.KeyActivated {
			s.active[k.role()] = kid
		}
	}
	for tenant, p := range s.Policies {
		s.issuers[p.Issuer] = tenant
	}
	for _, c := range s.Receipts {
		s.learn(c)
	}
	return s
}

func (s *state) learn(c mint.Certificate) {
	if public, err := c.Verify(s.Root); err == nil {
		s.known[mint.LedgerKeyID(public)] = verifier{public, c.NotBefore, c.Expires}
	}
}

// admit judges an entry recorded at ms that changes the state, and applies it. undo takes it back. Entries of other kinds
// change nothing, and are admitted.
func (s *state) admit(e *mint.Entry) (undo func(), refusal *mint.Refusal) {
	switch e.Kind {
	case mint.PolicyChanged:
		return s.admitPolicy(e)
	case mint.KeyStaged, mint.KeyActivated, mint.KeyVerifyOnly, mint.KeyRetired, mint.KeySuspended, mint.KeyRevoked:
		return s.admitStep(e)
	case mint.DistrustStated:
		return s.admitDistrust(e)
	case mint.LedgerCreated:
		return s.admitCreation(e)
	case mint.LedgerKeyAdded:
		return s.admitReceiptKey(e)
	}
	return func() {}, nil
}

// changes reports whether entries of a kind change the state.
func changes(kind mint.EntryKind) bool {
	switch kind {
	case mint.PolicyChanged, mint.KeyStaged, mint.KeyActivated, mint.KeyVerifyOnly, mint.KeyRetired, mint.KeySuspended, mint.KeyRevoked,
		mint.DistrustStated, mint.LedgerCreated, mint.LedgerKeyAdded:
		return true
	}
	return false
}

func (s *state) admitPolicy(e *mint.Entry) (func(), *mint.Refusal) {
	version, err := strconv.ParseUint(detail(e, "version"), 10, 64)
	if err != nil {
		return nil, mint.Refuse(mint.EntryInvalid, "%s: the version is not a number", e.Kind)
	}
	var sum hash
	if sum.UnmarshalText([]byte(detail(e, "digest"))) != nil {
		return nil, mint.Refuse(mint.EntryInvalid, "%s: the digest is not one", e.Kind)
	}
	old, known := s.Policies[e.Tenant]
	if version != old.Version+1 {
		return nil, mint.Refuse(mint.PolicyVersion, "the recorded policy of the tenant has version %d, and %d is not the next", old.Version, version)
	}
	if known && old.Issuer != e.Issuer {
		return nil, mint.Refuse(mint.PolicyIssuerTaken, "the tenant is bound to another issuer")
	}
	if owner, taken := s.issuers[e.Issuer]; taken && owner != e.Tenant {
		return nil, mint.Refuse(mint.PolicyIssuerTaken, "the issuer is bound to another tenant")
	}
	s.Policies[e.Tenant] = policyAt{e.Issuer, version}
	s.issuers[e.Issuer] = e.Tenant
	return func() {
		if known {
			s.Policies[e.Tenant] = old
			return
		}
		delete(s.Policies, e.Tenant)
		delete(s.issuers, e.Issuer)
	}, nil
}

// after tells which states may come before a step.
var after = map[mint.EntryKind][]mint.EntryKind{
	mint.KeyActivated:  {mint.KeyStaged},
	mint.KeyVerifyOnly: {mint.KeyActivated, mint.KeySuspended},
	mint.KeyRetired:    {mint.KeyVerifyOnly, mint.KeyStaged},
	mint.KeySuspended:  {mint.KeyStaged, mint.KeyActivated, mint.KeyVerifyOnly},
	mint.KeyRevoked:    {mint.KeyStaged, mint.KeyActivated, mint.KeyVerifyOnly, mint.KeySuspended},
}

func (s *state) admitStep(e *mint.Entry) (func(), *mint.Refusal) {
	k, err := keyOf(e)
	if err != nil {
		return nil, mint.Refuse(mint.EntryInvalid, "%s: %v", e.Kind, err)
	}
	if p, known := s.Policies[k.Tenant]; !known {
		return nil, mint.Refuse(mint.TenantUnknown, "no policy of the tenant has been recorded, so no issuer is bound to it")
	} else if p.Issuer != k.Issuer {
		return nil, mint.Refuse(mint.IssuerMismatch, "the issuer is not the one bound to the tenant")
	}
	old, known := s.Keys[e.KID]
	if r := s.checkStep(e, k, old, known); r != nil {
		return nil, r
	}
	s.put(e.KID, k)
	return func() {
		s.drop(e.KID)
		if known {
			s.put(e.KID, old)
		}
	}, nil
}

func (s *state) put(kid string, k key) {
	s.Keys[kid] = k
	s.prints[k.Thumbprint] = kid
	s.lives[k.Issuer] = max(s.lives[k.Issuer], k.Expires-k.SigningEnds)
	if k.State == mint.KeyActivated {
		s.active[k.role()] = kid
	} else if s.active[k.role()] == kid {
		delete(s.active, k.role())
	}
}

func (s *state) drop(kid string) {
	k := s.Keys[kid]
	delete(s.Keys, kid)
	delete(s.prints, k.Thumbprint)
	if s.active[k.role()] == kid {
		delete(s.active, k.role())
	}
}

func (s *state) checkStep(e *mint.Entry, k, old key, known bool) *mint.Refusal {
	wrong := func(format string, args ...any) *mint.Refusal {
		return mint.Refuse(mint.KeyTransition, format, args...)
	}
	if e.Kind == mint.KeyStaged {
		if known {
			return wrong("a key with this kid was staged before")
		}
		if other, used := s.prints[k.Thumbprint]; used {
			return wrong("the same key was staged as %s: a key belongs to one issuer and one family", other)
		}
	} else {
		if !known {
			return wrong("the key has never been staged")
		}
		if !slices.Contains(after[e.Kind], old.State) {
			return wrong("a key cannot go from %s to %s", old.State, e.Kind)
		}
		same := k
		same.Epoch, same.State = old.Epoch, old.State
		if same != old {
			return wrong("the step changes what was stated about the key")
		}
	}
	if k.Epoch != old.Epoch+1 {
		return wrong("epoch %d does not follow %d", k.Epoch, old.Epoch)
	}
	if other, taken := s.active[k.role()]; e.Kind == mint.KeyActivated && taken {
		return wrong("the key %s is still active for the same issuer, family and algorithm", other)
	}
	return nil
}

func (s *state) admitCreation(e *mint.Entry) (func(), *mint.Refusal) {
	origin, err1 := decode(detail(e, "origin"))
	root, err2 := decode(detail(e, "root"))
	if len(s.Root) != 0 || err1 != nil || err2 != nil || len(origin) != len(s.Origin) || len(root) != ed25519.PublicKeySize {
		return nil, mint.Refuse(mint.EntryInvalid, "%s: there is one, at the beginning, with an origin and a root", e.Kind)
	}
	copy(s.Origin[:], origin)
	s.Root = root
	return func() { s.Origin, s.Root = originID{}, nil }, nil
}

func (s *state) admitReceiptKey(e *mint.Entry) (func(), *mint.Refusal) {
	c, err := certificateOf(e)
	if err != nil {
		return nil, mint.Refuse(mint.EntryInvalid, "%s: %v", e.Kind, err)
	}
	if len(s.Root) == 0 {
		return nil, mint.Refuse(mint.EntryInvalid, "%s: there is no root yet", e.Kind)
	}
	if _, err := c.Verify(s.Root); err != nil {
		return nil, mint.Refuse(mint.EntryInvalid, "%s: %v", e.Kind, err)
	}
	if slices.ContainsFunc(s.Receipts, func(o mint.Certificate) bool { return o.ID == c.ID }) {
		return nil, mint.Refuse(mint.EntryInvalid, "%s: the key was added before", e.Kind)
	}
	n := len(s.Receipts)
	s.Receipts = append(s.Receipts[:n:n], c)
	s.learn(c)
	return func() { s.Receipts = s.Receipts[:n]; s.index() }, nil
}

// judge says whether a token may be recorded at ms. It needs the fields of the entry that come from the token's bytes.
func (s *state) judge(e *mint.Entry, alg string, ms uint64) *mint.Refusal {
	k, known := s.Keys[e.KID]
	switch {
	case !known:
		return mint.Refuse(mint.KeyNotActive, "no key with this kid has been recorded")
	case k.State != mint.KeyActivated:
		return mint.Refuse(mint.KeyNotActive, "the last recorded step of the key is %s", k.State)
	case k.Issuer != e.Issuer:
		return mint.Refuse(mint.KeyMismatch, "the key belongs to another issuer")
	case k.Alg != alg:
		return mint.Refuse(mint.KeyMismatch, "the key is for another algorithm")
	case !k.signs(mint.Kind(e.TokenKind)):
		return mint.Refuse(mint.KeyMismatch, "the key is for other kinds of token")
	}
	return k.judgeTimes(e, ms)
}

// signs reports whether the key was recorded for a kind of token, and as one of the family that makes that kind.
func (k *key) signs(kind mint.Kind) bool {
	family, ok := kind.Family()
	return ok && k.Family == string(family) && contains(k.Kinds, string(kind))
}

func (k *key) judgeTimes(e *mint.Entry, ms uint64) *mint.Refusal {
	drift := int64(ms) - e.IssuedAt*1000
	switch {
	case drift > mint.MaxClockDrift || drift < -mint.MaxClockDrift:
		return mint.Refuse(mint.ClockSkew, "iat is %d s away from the ledger's clock; 60 s are allowed", (drift+sign(drift)*500)/1000)
	case e.IssuedAt >= k.SigningEnds:
		return mint.Refuse(mint.KeyOverdue, "the key signs nothing from %d on", k.SigningEnds)
	case e.IssuedAt < k.NotBefore:
		return mint.Refuse(mint.KeyNotActive, "the key counts only from %d on", k.NotBefore)
	case e.Expires > k.Expires:
		return mint.Refuse(mint.KeyOutlived, "the token would outlive its key, which ends at %d", k.Expires)
	}
	return nil
}

func sign(n int64) int64 {
	if n < 0 {
		return -1
	}
	return 1
}

// contains reports whether a list of words separated by spaces has one.
func contains(list, word string) bool {
	for w := range strings.SplitSeq(list, " ") {
		if w == word {
			return true
		}
	}
	return false
}

// detail returns a detail's value, or "".
func detail(e *mint.Entry, name string) string {
	for i := range e.Detail {
		if e.Detail[i].Name == name {
			return e.Detail[i].Value
		}
	}
	return ""
}

// numbers reads details that are decimal numbers.
func numbers(e *mint.Entry, names ...string) ([]int64, error) {
	list := make([]int64, len(names))
	for i, name := range names {
		text := detail(e, name)
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
			return nil, fmt.Errorf("%s is not a number", name)
		}
		list[i] = n
	}
	return list, nil
}
