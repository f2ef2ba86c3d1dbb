package validate

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Survey is what an issuer that is not a seawall publishes about itself, for a person who decides
// whether and how to trust it. Whoever answers at its address decides what is in it.
type Survey struct {
	Issuer     string        `json:"issuer"`     // as its metadata say
	JWKS       string        `json:"jwks_uri"`   // where its keys are
	Algorithms []Alg         `json:"algorithms"` // that its keys can sign with, and its metadata don't rule out
	Keys       []SurveyedKey `json:"keys"`       // by kid, and then by thumbprint
}

// SurveyedKey is one key as validate sees it.
type SurveyedKey struct {
	ID         string `json:"kid"`
	Algorithms []Alg  `json:"algorithms,omitempty"` // that it can sign with
	Thumbprint string `json:"thumbprint,omitempty"` // RFC 7638, SHA-256, base64url
	Issuer     string `json:"issuer,omitempty"`     // whom the key names
	Fault      string `json:"fault,omitempty"`      // why no token can be verified with it; "" if one can
}

// Usable are the keys without a fault.
func (s *Survey) Usable() []SurveyedKey {
	return slices.DeleteFunc(slices.Clone(s.Keys), func(k SurveyedKey) bool { return k.Fault != "" })
}

// FetchSurvey reads an issuer's metadata (RFC 8414 §3, OpenID Connect Discovery §4) and keys. Of
// address, which must be https or http on a loopback address, the metadata must say that it is the
// issuer; give issuer where that is another name, as for metadata that serve many tenants. Redirects
// are not followed and every answer is bounded in time and size. An issuer with a seawall ledger is
// refused with CodeLedgerAnnounced.
func FetchSurvey(ctx context.Context, address, issuer string) (*Survey, error) {
	if err := checkURL(address); err != nil {
		return nil, fmt.Errorf("validate: issuer: %w", err)
	}
	if issuer == "" {
		issuer = address
	}
	r := newRemote(terms{issuer: address}, RemoteKeys(address), time.Now, nil)
	defer r.close()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	found, err := r.metadata(ctx)
	if err != nil {
		return nil, fmt.Errorf("validate: %w", loadErrorf(CodeKeysUnavailable, "loading the metadata of %s: %v", address, err))
	}
	switch {
	case found.ledger:
		return nil, fmt.Errorf("validate: %w", loadErrorf(CodeLedgerAnnounced, "%s has a seawall ledger: configure it with SeawallIssuer and its pin", address))
	case found.issuer != issuer:
		return nil, fmt.Errorf("validate: %w", loadErrorf(CodeIssuer, "the metadata call the issuer %q, and not %q", found.issuer, issuer))
	}
	if err := checkURL(found.jwks); err != nil {
		return nil, fmt.Errorf("validate: %w", loadErrorf(CodeKeysUnavailable, "the metadata of %s give %q for its keys: %v", address, found.jwks, err))
	}
	a, err := r.get(ctx, found.jwks, "")
	if err != nil {
		return nil, fmt.Errorf("validate: %w", loadErrorf(CodeKeysUnavailable, "loading the keys of %s: %v", address, err))
	}
	keys, ledger, ok := splitDocument(a.body)
	switch {
	case !ok:
		return nil, fmt.Errorf("validate: %w", loadErrorf(CodeKeysUnavailable, "the key document of %s is not a JWK Set", address))
	case ledger != nil:
		return nil, fmt.Errorf("validate: %w", loadErrorf(CodeLedgerAnnounced, "the key document of %s carries a seawall ledger: configure it with SeawallIssuer and its pin", address))
	}
	s := &Survey{Issuer: found.issuer, JWKS: found.jwks}
	now := instantOf(time.Now())
	for _, raw := range keys {
		s.add(newKey(raw), now, found.algorithms)
	}
	slices.SortFunc(s.Keys, func(a, b SurveyedKey) int {
		return strings.Compare(a.ID+"\x00"+a.Thumbprint, b.ID+"\x00"+b.Thumbprint)
	})
	slices.Sort(s.Algorithms)
	return s, nil
}

// add puts a key into the survey. Algorithms that the metadata name narrow those of a key that names
// none.
func (s *Survey) add(k *key, now instant, named []string) {
	seen := SurveyedKey{ID: k.id, Issuer: k.issuer.text, Fault: k.flaw}
	if code := k.state(now); k.flaw == "" && code != "" {
		seen.Fault = code.Reason()
	}
	if k.flaw == "" {
		sum := k.thumbprint()
		seen.Thumbprint = base64.RawURLEncoding.EncodeToString(sum[:])
		for _, a := range []Alg{ES256, EdDSA, PS256, RS256} {
			if k.fits(a) && (k.alg != "" || len(named) == 0 || slices.Contains(named, string(a))) {
				seen.Algorithms = append(seen.Algorithms, a)
			}
		}
	}
	for _, a := range seen.Algorithms {
		if seen.Fault == "" && !slices.Contains(s.Algorithms, a) {
			s.Algorithms = append(s.Algorithms, a)
		}
	}
	s.Keys = append(s.Keys, seen)
}

// metadata are the members of an issuer's metadata that a survey reads.
type metadata struct {
	issuer, jwks string
	algorithms   []string // for ID tokens, which is all that there is a member for
	ledger       bool
}

// metadata fetches the issuer's metadata from the first place that has them.
func (r *remote) metadata(ctx context.Context) (m metadata, err error) {
	err = fmt.Errorf("there is no place for them: is it a URL without a mark for tenants?")
	for _, from := range r.announced {
		var a answer
		if a, err = r.get(ctx, from, ""); err != nil {
			continue
		}
		if m, ok := readMetadata(a.body); ok {
			return m, nil
		}
		err = fmt.Errorf("%s is not one JSON object", from)
	}
	return m, err
}

func readMetadata(body []byte) (m metadata, ok bool) {
	var s scanner
	s.reset(body, true)
	s.space()
	for o := s.object(); s.member(&o); {
		switch string(o.name) {
		case "issuer":
			m.issuer = string(s.optionalText())
		case "jwks_uri":
			m.jwks = string(s.optionalText())
		case "id_token_signing_alg_values_supported":
			m.algorithms = readStrings(&s)
		case "seawall_ledger":
			m.ledger = true
			s.skip()
		default:
			s.skip()
		}
	}
	return m, s.end()
}
