package validate

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	defaultLeeway      = 30 * time.Second
	maxLeeway          = 5 * time.Minute
	defaultMaxLifetime = 24 * time.Hour
	defaultMaxBytes    = 16 << 10
	maxMaxBytes        = 1 << 20
)

// NoLeeway, as Config.Leeway, means none at all.
const NoLeeway time.Duration = -1

// Config says what a Validator accepts. Issuers and Audiences are required; every other zero value
// is the safe one. Nothing here turns a check off.
type Config struct {
	// Issuers are trusted, each with its own keys. A token is judged only by the issuer it names.
	Issuers []Issuer

	// Audiences are the names of this API. One of them must be in aud.
	Audiences []string

	// Types are the accepted values of typ, with or without a leading "application/", in any case
	// (RFC 8725 §3.11). Default: at+jwt (RFC 9068). An issuer with Types of its own is held to those
	// and to no others.
	Types []string

	// Algorithms are accepted for signatures. Default: ES256, RS256, PS256 and EdDSA, which are all
	// there are. A key that names its algorithm serves for that one only.
	Algorithms []Alg

	// Leeway allows for clocks that differ, for exp, nbf and iat, and not for the windows of keys.
	// Default 30 seconds, at most 5 minutes; NoLeeway means none.
	Leeway time.Duration

	// MaxLifetime is the longest acceptable exp - iat. Default 24 hours.
	MaxLifetime time.Duration

	// MaxBytes is the largest acceptable token. Default 16 KiB, at most 1 MiB.
	MaxBytes int

	// Clients are the clients (azp or client_id) that are accepted. nil accepts every client; an
	// empty list that is not nil accepts none.
	Clients []string

	// Revocations are looked at for every token. Default: none.
	Revocations *Revocations

	// DPoP says how proofs of possession are checked (RFC 9449). nil is the zero DPoP: a token that
	// is bound to a key needs a proof all the same.
	DPoP *DPoP

	// RequireMTLS refuses tokens that are not bound to a client certificate (RFC 8705). A token that
	// is bound to one needs it in any case.
	RequireMTLS bool

	// Remember is how many accepted tokens are remembered, so that the same token again costs a
	// hundredth: neither signature nor JSON is looked at anew. Clock, key, revocations and sender are.
	// Default 8192, rounded up to a power of two, at some 1.5 KB each; NoMemory means none. Tokens
	// of more than 4 KiB are not remembered.
	Remember int

	// Now is the clock. Default: time.Now.
	Now func() time.Time

	// Observe, if set, is told of every token and every load of keys. It is called on the path of
	// the token, so it should be quick; it may be called from many goroutines at once.
	Observe func(Event)
}

// Validator decides whether tokens are good. It is safe for use by many goroutines.
type Validator struct {
	family      family
	issuers     map[string]*issuer // by exact name
	templates   []*issuer          // whose name contains {tenantid}
	audiences   []string
	types       []string // lower case, without application/; of all issuers
	common      []string // those of issuers without types of their own
	untyped     bool     // some issuer's tokens carry no typ
	algorithms  []Alg
	leeway      time.Duration
	maxLifetime time.Duration
	maxBytes    int
	clients     map[string]bool // nil for every client
	headers     headers
	memory      memory
	dpop        proving
	speaksDPoP  bool // Config.DPoP was given, so clients are told of it
	requireMTLS bool
	revocations *Revocations
	now         func() time.Time
	observe     func(Event)
	counters    counters
}

// New makes a Validator, or says what is wrong with the configuration. Remote keys begin to load at
// once, in the background; call Close when the Validator is no longer needed.
func New(c Config) (*Validator, error) { return newFamily(accessTokens, c) }

// newFamily makes a Validator for one family of tokens.
func newFamily(f family, c Config) (*Validator, error) {
	v := &Validator{
		family:      f,
		headers:     headers{seed: maphash.MakeSeed()},
		issuers:     make(map[string]*issuer),
		audiences:   slices.Clone(c.Audiences),
		leeway:      c.Leeway,
		maxLifetime: c.MaxLifetime,
		maxBytes:    c.MaxBytes,
		revocations: c.Revocations,
		speaksDPoP:  c.DPoP != nil,
		requireMTLS: c.RequireMTLS,
		now:         c.Now,
		observe:     c.Observe,
	}
	if err := v.configure(c); err != nil {
		return nil, fmt.Errorf("validate: %w", err)
	}
	for _, i := range c.Issuers {
		if err := v.trust(i); err != nil {
			return nil, fmt.Errorf("validate: %w", err)
		}
	}
	for _, r := range v.remotes() {
		r.start()
	}
	for _, f := range v.feeds() {
		f.start()
	}
	return v, nil
}

// configure checks everything but the issuers and fills in defaults.
func (v *Validator) configure(c Config) error {
	if len(c.Issuers) == 0 {
		return errors.New("no issuer: give at least one SeawallIssuer or ForeignIssuer")
	}
	if len(c.Audiences) == 0 || slices.Contains(c.Audiences, "") {
		return errors.New("no audience: say by which names this API is called in aud")
	}
	if err := v.limits(); err != nil {
		return err
	}
	if err := v.kinds(c.Types); err != nil {
		return err
	}
	v.algorithms = slices.Clone(c.Algorithms)
	if len(v.algorithms) == 0 {
		v.algorithms = []Alg{ES256, RS256, PS256, EdDSA}
	}
	for _, a := range v.algorithms {
		if !slices.Contains([]Alg{ES256, RS256, PS256, EdDSA}, a) {
			return fmt.Errorf("algorithm %q is not one of ES256, RS256, PS256 and EdDSA", a)
		}
	}
	if c.Clients != nil {
		v.clients = make(map[string]bool)
		for _, client := range c.Clients {
			if client == "" {
				return errors.New("a client of the list has no name")
			}
			v.clients[client] = true
		}
	}
	if c.Revocations != nil && c.Revocations.rules.Load() == nil {
		return errors.New("revocations: make the list with NewRevocations")
	}
	if v.now == nil {
		v.now = time.Now
	}
	if c.Remember < NoMemory || c.Remember > maxRemembered {
		return fmt.Errorf("%d tokens to remember: give at most %d, or NoMemory", c.Remember, maxRemembered)
	}
	if c.Remember == 0 {
		c.Remember = defaultRemembered
	}
	v.memory = newMemory(c.Remember)
	var err error
	v.dpop, err = newProving(c.DPoP, v.leeway)
	return err
}

func (v *Validator) limits() error {
	switch {
	case v.leeway == NoLeeway:
		v.leeway = 0
	case v.leeway == 0:
		v.leeway = defaultLeeway
	case v.leeway < 0 || v.leeway > maxLeeway:
		return fmt.Errorf("leeway %v: it must lie between 0 and %v", v.leeway, maxLeeway)
	}
	if v.maxLifetime == 0 {
		v.maxLifetime = defaultMaxLifetime
	}
	if v.maxLifetime < 0 {
		return fmt.Errorf("maximal lifetime %v is negative", v.maxLifetime)
	}
	if v.maxBytes == 0 {
		v.maxBytes = defaultMaxBytes
	}
	if v.maxBytes < 0 || v.maxBytes > maxMaxBytes {
		return fmt.Errorf("maximal token size %d: it must lie between 1 and %d bytes", v.maxBytes, maxMaxBytes)
	}
	return nil
}

func (v *Validator) kinds(types []string) error {
	if len(types) == 0 {
		types = v.family.types()
	}
	for _, t := range types {
		if t == Untyped && v.family != accessTokens {
			v.types, v.untyped = append(v.types, Untyped), true
			continue
		}
		kind, err := kindOf(t)
		if err != nil {
			return err
		}
		v.types = append(v.types, kind)
	}
	v.common = slices.Clone(v.types)
	return nil
}

// kindOf gives a type in the one form in which types are compared.
func kindOf(typ string) (string, error) {
	kind := string(trimApplication([]byte(strings.ToLower(typ))))
	if kind == "" || kind == Untyped || hasControl([]byte(kind)) {
		return "", fmt.Errorf("token type %q can't be a typ", typ)
	}
	return kind, nil
}

// trust adds an issuer.
func (v *Validator) trust(i Issuer) error {
	if err := i.check(); err != nil {
		return err
	}
	name := i.terms.issuer
	in := &issuer{terms: i.terms, name: newPattern(name), tenants: i.tenants, anyone: i.tenants == nil, algorithms: i.algorithms}
	if err := v.admit(in, i); err != nil {
		return fmt.Errorf("issuer %q: %w", name, err)
	}
	if v.issuers[name] != nil || slices.ContainsFunc(v.templates, func(t *issuer) bool { return t.terms.issuer == name }) {
		return fmt.Errorf("issuer %q is configured twice", name)
	}
	if i.keys.doc != nil {
		set, err := newKeySet(i.keys.doc, i.terms)
		if err != nil {
			return fmt.Errorf("issuer %q: %w", name, err)
		}
		in.static = set
	} else {
		in.remote = newRemote(i.terms, i.keys, v.now, v.tellKeys)
	}
	if i.feed != nil {
		in.feed = newFeed(i.feed, in, v)
	}
	if in.name.exact() {
		v.issuers[name] = in
	} else {
		v.templates = append(v.templates, in)
	}
	return nil
}

// all gives every issuer.
func (v *Validator) all() []*issuer {
	return slices.AppendSeq(slices.Clone(v.templates), maps.Values(v.issuers))
}

func (v *Validator) remotes() (list []*remote) {
	for _, i := range v.all() {
		if i.remote != nil {
			list = append(list, i.remote)
		}
	}
	return list
}

// feeds gives the distrust feeds, in the order of their issuers' names. Only a seawall issuer, which
// has an exact name, can have one.
func (v *Validator) feeds() (list []*feed) {
	for _, name := range slices.Sorted(maps.Keys(v.issuers)) {
		if f := v.issuers[name].feed; f != nil {
			list = append(list, f)
		}
	}
	return list
}

// Close ends the background refreshes and waits for them. Tokens may still be validated with the
// keys and feeds at hand until those are stale.
func (v *Validator) Close() {
	for _, f := range v.feeds() {
		f.close()
	}
	for _, r := range v.remotes() {
		r.close()
	}
}

// Ready waits until every issuer's keys and distrust feed are loaded, so that the first token need
// not. It fails with the reason if a load fails, for people to read; errors.Is finds its Code.
// Loading goes on in the background either way.
func (v *Validator) Ready(ctx context.Context) error {
	for _, r := range v.remotes() {
		if err := r.ready(ctx); err != nil {
			return err
		}
	}
	for _, f := range v.feeds() {
		if err := f.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}
