package validate

import (
	"errors"
	"fmt"
	"slices"
)

// PinVersion is the version of pin files.
const PinVersion = 1

// Pin binds an issuer that is not a seawall: its name, the place of its keys, what its tokens must
// look like, and, if that is chosen, the very keys. "seawall issuer pin" writes one as JSON, for
// people to review and to keep with their configuration; [PinnedIssuer] trusts what it says and
// nothing beyond. The fields mean what those of [ForeignConfig] mean.
//
// Bindings are pinned rather than keys, so that the issuer may rotate: a new key counts if it is
// published at JWKS, is sound and signs by one of Algorithms. With OnlyTheseKeys nothing counts but
// Keys, which have to be pinned anew before the issuer signs with the next one.
type Pin struct {
	Version       int           `json:"seawall_issuer_pin"` // PinVersion
	Issuer        string        `json:"issuer"`
	JWKS          string        `json:"jwks_uri"`
	KeyIssuer     string        `json:"key_issuer,omitempty"`
	Tenants       []string      `json:"tenants,omitzero"`
	Algorithms    []Alg         `json:"algorithms"`
	Types         []string      `json:"types"`
	Claims        []ClaimRule   `json:"claims,omitzero"`
	OnlyTheseKeys bool          `json:"only_these_keys"`
	Keys          []SurveyedKey `json:"keys"` // seen when the pin was made
}

// PinnedIssuer trusts the issuer of a pin file, given as its content. A file that says anything it
// does not understand gives an Issuer that New refuses: a rule that is spelled wrongly must not be a
// rule that is left out.
func PinnedIssuer(file []byte) Issuer {
	p, err := ParsePin(file)
	if err != nil {
		return Issuer{flaw: err}
	}
	return ForeignIssuer(p.Config())
}

// Config is the pin as a ForeignConfig.
func (p Pin) Config() ForeignConfig {
	c := ForeignConfig{
		Issuer: p.Issuer, Keys: RemoteKeys(p.JWKS), KeyIssuer: p.KeyIssuer, Tenants: p.Tenants, Algorithms: p.Algorithms, Types: p.Types, Claims: p.Claims,
	}
	if p.OnlyTheseKeys {
		c.Thumbprints = []string{}
		for _, k := range p.Keys {
			c.Thumbprints = append(c.Thumbprints, k.Thumbprint)
		}
	}
	return c
}

// ParsePin reads a pin file.
func ParsePin(file []byte) (Pin, error) {
	r := pinReader{}
	r.s.reset(file, false)
	p := r.pin()
	r.s.space()
	switch {
	case r.odd != "":
		return Pin{}, fmt.Errorf("the pin file: %s", r.odd)
	case !r.s.end():
		return Pin{}, errors.New("the pin file is not one strict JSON object")
	case p.Version != PinVersion:
		return Pin{}, fmt.Errorf("the pin file: seawall_issuer_pin is %d, and this version of validate reads %d", p.Version, PinVersion)
	case p.Issuer == "" || p.JWKS == "" || len(p.Algorithms) == 0 || len(p.Types) == 0 || p.Keys == nil:
		return Pin{}, errors.New("the pin file lacks one of issuer, jwks_uri, algorithms, types and keys")
	}
	return p, nil
}

// pinReader reads a pin file by the strict scanner and keeps the first thing that it can't make
// sense of.
type pinReader struct {
	s   scanner
	odd string
}

func (r *pinReader) wrong(format string, args ...any) {
	if r.odd == "" {
		r.odd = fmt.Sprintf(format, args...)
	}
	r.s.skip()
}

// object reads an object, member by member; a name that nobody knows is wrong.
func (r *pinReader) object(what string, read func(name string) (known bool)) {
	r.s.space()
	if r.s.peek() != '{' {
		r.wrong("%s is not an object", what)
		return
	}
	for o := r.s.object(); r.s.member(&o); {
		if name := string(o.name); !read(name) {
			r.wrong("%s has a member %q that means nothing", what, name)
		}
	}
}

// list reads an array.
func (r *pinReader) list(what string, read func()) {
	if r.s.peek() != '[' {
		r.wrong("%s is not a list", what)
		return
	}
	for a := r.s.array(); r.s.element(&a); {
		read()
	}
}

func (r *pinReader) text(what string) string {
	if r.s.peek() != '"' {
		r.wrong("%s is not text", what)
		return ""
	}
	return string(r.s.text().b)
}

// texts gives a list that is not nil, because an empty list of a pin accepts none.
func (r *pinReader) texts(what string) []string {
	list := []string{}
	r.list(what, func() { list = append(list, r.text(what)) })
	return list
}

func (r *pinReader) algorithms(what string) (list []Alg) {
	for _, a := range r.texts(what) {
		if !slices.Contains([]Alg{ES256, RS256, PS256, EdDSA}, Alg(a)) && r.odd == "" {
			r.odd = fmt.Sprintf("%s has %q, which validate does not know", what, a)
		}
		list = append(list, Alg(a))
	}
	return list
}

func (r *pinReader) pin() (p Pin) {
	r.object("it", func(name string) bool {
		switch name {
		case "seawall_issuer_pin":
			var count int
			p.Version = int(readWhole(&r.s, &count))
		case "issuer":
			p.Issuer = r.text(name)
		case "jwks_uri":
			p.JWKS = r.text(name)
		case "key_issuer":
			p.KeyIssuer = r.text(name)
		case "tenants":
			p.Tenants = r.texts(name)
		case "algorithms":
			p.Algorithms = r.algorithms(name)
		case "types":
			p.Types = r.texts(name)
		case "claims":
			p.Claims = []ClaimRule{}
			r.list(name, func() { p.Claims = append(p.Claims, r.claim()) })
		case "only_these_keys":
			switch r.s.peek() {
			case 't', 'f':
				p.OnlyTheseKeys = r.s.peek() == 't'
				r.s.skip()
			default:
				r.wrong("only_these_keys is neither true nor false")
			}
		case "keys":
			p.Keys = []SurveyedKey{}
			r.list(name, func() { p.Keys = append(p.Keys, r.key()) })
		default:
			return false
		}
		return true
	})
	return p
}

func (r *pinReader) claim() (c ClaimRule) {
	r.object("a claim rule", func(name string) bool {
		switch name {
		case "path":
			c.Path = r.texts(name)
		case "one_of":
			c.OneOf = r.texts(name)
		default:
			return false
		}
		return true
	})
	if len(c.Path) == 0 && r.odd == "" {
		r.odd = "a claim rule has no path"
	}
	return c
}

func (r *pinReader) key() (k SurveyedKey) {
	r.object("a key", func(name string) bool {
		switch name {
		case "kid":
			k.ID = r.text(name)
		case "algorithms":
			k.Algorithms = r.algorithms(name)
		case "thumbprint":
			k.Thumbprint = r.text(name)
		case "issuer":
			k.Issuer = r.text(name)
		default:
			return false
		}
		return true
	})
	return k
}
