package validate

import (
	"errors"
	"fmt"
	"slices"
)

// Untyped, among ForeignConfig.Types, stands for a header without typ. Some issuers, Kubernetes for
// one, sign such access tokens.
const Untyped = "(untyped)"

// ClaimRule demands a claim of every token of an issuer: a string that equals one of OneOf, byte for
// byte. It is how an API says which of an issuer's many customers it belongs to, so name immutable
// ids (repository_owner_id, oid) and not what can be renamed or taken over.
type ClaimRule struct {
	// Path leads to the claim: its name, or for a claim inside an object the names from the outside
	// in, as "kubernetes.io", "namespace".
	Path []string `json:"path"`

	// OneOf are the accepted values. nil accepts every string that is not empty; an empty list that
	// is not nil accepts none.
	OneOf []string `json:"one_of,omitzero"`
}

// demand is a node of all rules of one issuer, which together are a tree of names.
type demand struct {
	name  string
	oneOf []string  // of a leaf
	under []*demand // of any other node
}

// newDemands arranges rules by name and gives how many leaves they have.
func newDemands(rules []ClaimRule) (top demand, err error) {
	for _, r := range rules {
		if len(r.Path) == 0 || slices.Contains(r.Path, "") {
			return top, errors.New("a claim rule names no claim")
		}
		if slices.Contains(r.OneOf, "") {
			return top, fmt.Errorf("the claim rule for %q accepts an empty value", r.Path)
		}
		at := &top
		for depth, name := range r.Path {
			next := at.child([]byte(name))
			switch last := depth == len(r.Path)-1; {
			case next == nil:
				next = &demand{name: name}
				at.under = append(at.under, next)
				if last {
					next.oneOf = slices.Clone(r.OneOf)
				}
			case last || next.under == nil:
				return top, fmt.Errorf("two claim rules are about %q", r.Path[:depth+1])
			}
			at = next
		}
	}
	return top, nil
}

func (d *demand) child(name []byte) *demand {
	for _, under := range d.under {
		if under.name == string(name) {
			return under
		}
	}
	return nil
}

// hold reads an object and reports whether everything that is demanded of it is there. No name
// comes twice in a sound object, so as many hits as demands are all of them.
func (d *demand) hold(s *scanner) bool {
	hits := 0
	for o := s.object(); s.member(&o); {
		under := d.child(o.name)
		switch kind := s.peek(); {
		case under == nil:
			s.skip()
		case under.under != nil && kind == '{':
			if under.hold(s) {
				hits++
			}
		case under.under == nil && kind == '"':
			if under.accepts(s.text().b) {
				hits++
			}
		default:
			s.skip()
		}
	}
	return hits == len(d.under) && !s.fault
}

func (d *demand) accepts(value []byte) bool {
	if d.oneOf == nil {
		return len(value) > 0
	}
	for _, one := range d.oneOf {
		if string(value) == one {
			return true
		}
	}
	return false
}

// admit takes over what an issuer demands of its tokens beyond the configuration.
func (v *Validator) admit(in *issuer, i Issuer) error {
	var err error
	rules := i.claims
	if v.family == accessTokens {
		rules = slices.Concat(i.claims, i.access)
	}
	if in.demands, err = newDemands(rules); err != nil {
		return err
	}
	ours := func(a Alg) bool { return slices.Contains(v.algorithms, a) }
	if i.algorithms != nil && !slices.ContainsFunc(i.algorithms, ours) {
		return fmt.Errorf("it signs with %v, and this validator accepts %v", i.algorithms, v.algorithms)
	}
	if i.types == nil || v.family != accessTokens { // an issuer's own types are those of its access tokens
		in.types = v.common
		return nil
	}
	for _, t := range i.types {
		if t == Untyped {
			if len(rules) == 0 {
				return errors.New("tokens without typ need a claim rule that tells access tokens from others")
			}
			in.types, v.untyped = append(in.types, Untyped), true
			continue
		}
		kind, err := kindOf(t)
		if err != nil {
			return err
		}
		in.types = append(in.types, kind)
		if !slices.Contains(v.types, kind) {
			v.types = append(v.types, kind)
		}
	}
	return nil
}

// admits holds a token to its issuer's own types, algorithms and claim rules.
func (i *issuer) admits(w *work) Code {
	if !slices.Contains(i.types, w.header.kind) {
		return CodeTyp
	}
	if i.algorithms != nil && !slices.Contains(i.algorithms, w.header.alg) {
		return CodeAlg
	}
	if len(i.demands.under) > 0 {
		w.ruleScan.reset(w.payloadBytes, false)
		if !i.demands.hold(&w.ruleScan) {
			return CodeClaimRule
		}
	}
	return ""
}
