package validate

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Other stands in Stats for keys that are not counted under their own name: those beyond a
// thousand counters, and those with a name of more than 128 bytes.
const Other = "other"

const (
	maxCounters  = 1000
	maxKeyName   = 128
	keepCounters = time.Hour // after the issuer stopped listing a key
	stripes      = 8         // a power of two
)

// Stats is what a Validator has done since it was made. Like an [Event], it names issuers, audiences
// and keys, and never a subject, a client or any part of a token. Its size is bounded, whatever
// tokens are sent.
type Stats struct {
	Version string        // of this library
	Tokens  []TokenCount  // in a stable order
	Events  []EventCount  // about keys and feeds, in a stable order
	Issuers []IssuerState // in the order of their names
	Feeds   []FeedState   // likewise; of those issuers that have one
}

// TokenCount is how many tokens shared one outcome. Each text is "" where the token named nothing
// that is known here, so an unknown issuer, audience, type or key is counted under "".
type TokenCount struct {
	Issuer   string
	Audience string
	Type     string // the kind of token: typ (RFC 7515 §4.1.9) without application/
	KeyID    string // kept for an hour after the issuer stopped listing the key; may be Other
	Code     Code   // "" for accepted tokens
	Count    uint64
}

// EventCount is how often something happened to an issuer's keys or feed.
type EventCount struct {
	Issuer string
	Kind   EventKind
	Code   Code // "" if all went well
	Count  uint64
}

// IssuerState tells how old is what is known about an issuer.
type IssuerState struct {
	Issuer string

	// KeysAge is the age of the key document in use (RFC 9111 §4.2.3). Negative if there is none, or
	// if the keys are static and have no age.
	KeysAge time.Duration
}

// Stats gives the counts so far and the ages at this moment. It may be called at any time, from any
// goroutine; it holds no token up.
func (v *Validator) Stats() Stats {
	s := v.counters.stats()
	s.Version, s.Feeds = Version, v.Feeds()
	now := v.now()
	for _, i := range v.all() {
		s.Issuers = append(s.Issuers, i.state(now))
	}
	slices.SortFunc(s.Issuers, func(a, b IssuerState) int { return cmp.Compare(a.Issuer, b.Issuer) })
	return s
}

func (i *issuer) state(now time.Time) IssuerState {
	s := IssuerState{Issuer: i.terms.issuer, KeysAge: -1}
	if i.remote != nil {
		if have := i.remote.latest.Load(); have != nil && have.set != nil {
			s.KeysAge = max(0, have.anchor.forward(now).Sub(have.made))
		}
	}
	return s
}

// outcome is what one counter counts.
type outcome struct {
	kind                       EventKind
	issuer, audience, typ, key string
	code                       Code
}

// counter is one count, spread over several cache lines, so that processors which count the same
// thing at once don't wait for one another.
type counter struct {
	parts [stripes]struct {
		n atomic.Uint64
		_ [56]byte
	}
	gone time.Time // since when the issuer does not list the key; zero while it does. Guarded by counters.mu
}

func (c *counter) add() { c.parts[rand.Uint32()%stripes].n.Add(1) }

func (c *counter) sum() (n uint64) {
	for i := range c.parts {
		n += c.parts[i].n.Load()
	}
	return n
}

// counters holds all counts of a Validator. Counting reads a map that never changes and adds to one
// counter: no lock and no memory. A new outcome, which is rare, makes a new map.
type counters struct {
	cells atomic.Pointer[map[outcome]*counter]
	mu    sync.Mutex // held while the map is replaced
}

func (c *counters) all() map[outcome]*counter {
	if m := c.cells.Load(); m != nil {
		return *m
	}
	return nil
}

// counted is where an outcome was counted, so that the same outcome after it need not be looked up.
type counted struct {
	cells *map[outcome]*counter // another map, of the same counters or of others, means looking again
	outcome
	*counter
}

// count counts what happened. last is the caller's alone.
func (c *counters) count(e *Event, last *counted) {
	o := outcome{e.Kind, e.Issuer, e.Audience, e.Type, e.KeyID, e.Code}
	if len(o.key) > maxKeyName {
		o.key = Other
	}
	if cells := c.cells.Load(); cells == nil || last.cells != cells || last.outcome != o {
		cell := c.all()[o]
		if cell == nil {
			cell = c.grow(o)
		}
		*last = counted{cells, o, cell}
	}
	last.add()
}

// grow makes a counter for an outcome that was not seen before. When there are too many, which only
// keys can bring about, keys share a counter. Everything else in an outcome is configured or from a
// closed list.
func (c *counters) grow(o outcome) *counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.all()
	if len(have) >= maxCounters && o.key != "" {
		o.key = Other
	}
	if cell := have[o]; cell != nil {
		return cell
	}
	more := make(map[outcome]*counter, len(have)+1)
	maps.Copy(more, have)
	cell := &counter{}
	more[o] = cell
	c.cells.Store(&more)
	return cell
}

// forget drops the counters of keys that their issuer stopped listing an hour ago, so that years of
// rotation don't pile up.
func (c *counters) forget(issuer string, set *keySet, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := maps.Clone(c.all())
	for o, cell := range kept {
		switch {
		case o.issuer != issuer || o.key == "" || o.key == Other:
		case len(set.keys[o.key]) > 0:
			cell.gone = time.Time{}
		case cell.gone.IsZero():
			cell.gone = now
		case now.Sub(cell.gone) >= keepCounters:
			delete(kept, o)
		}
	}
	if len(kept) < len(c.all()) {
		c.cells.Store(&kept)
	}
}

func (c *counters) stats() (s Stats) {
	for o, cell := range c.all() {
		switch o.kind {
		case TokenAccepted, TokenRefused:
			s.Tokens = append(s.Tokens, TokenCount{o.issuer, o.audience, o.typ, o.key, o.code, cell.sum()})
		default:
			s.Events = append(s.Events, EventCount{o.issuer, o.kind, o.code, cell.sum()})
		}
	}
	slices.SortFunc(s.Tokens, func(a, b TokenCount) int {
		return cmp.Or(cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Audience, b.Audience), cmp.Compare(a.Type, b.Type),
			cmp.Compare(a.KeyID, b.KeyID), cmp.Compare(a.Code, b.Code))
	})
	slices.SortFunc(s.Events, func(a, b EventCount) int {
		return cmp.Or(cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Code, b.Code))
	})
	return s
}
