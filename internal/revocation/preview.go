package revocation

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"seawall/internal/keyring"
	"seawall/internal/mint"
)

// Preview is whom a plan would affect, in numbers.
type Preview struct {
	Tokens   uint64 // alive now
	AtLeast  bool   // the count was cut short: there may be more of everything
	Subjects int
	Clients  []Share // most tokens first
	APIs     []Share
	LastEnds time.Time // of the last token; zero if there is none

	Key      *Key           // of a plan about a key
	Restores *mint.Distrust // of a plan that takes a statement back
}

// Share is how many of the tokens belong to somebody. A token for two APIs counts for both.
type Share struct {
	Name   string
	Tokens uint64
}

// Key is what a plan about a key comes upon.
type Key struct {
	State keyring.State
	// Next is the key that would sign in its place; empty when it does not sign, or when there is none.
	Next          string
	NextPublished time.Time
	NextKnown     time.Time // when every validator that caches keys for a day will know it
}

// Counter counts tokens, page by page.
type Counter interface {
	Count(ctx context.Context, q mint.CountQuery) (*mint.Counted, error)
}

// Sources is where [Look] looks.
type Sources struct {
	Counter Counter
	Keys    []mint.Key      // of the tenant; for a plan about a key
	Live    []mint.Distrust // statements of the tenant's feed
}

// Look finds whom p would affect at now. It changes nothing. The count ends with ctx, and then says that it did.
func Look(ctx context.Context, p *Plan, from Sources, now time.Time) (*Preview, error) {
	if err := p.Check(now); err != nil {
		return nil, err
	}
	v := new(Preview)
	q := mint.CountQuery{Tenant: p.Tenant, Kind: p.Kind, Value: p.Value}
	if !p.Before.IsZero() {
		q.Before = p.Before.Unix()
	}
	switch {
	case p.Restores != 0:
		i := slices.IndexFunc(from.Live, func(d mint.Distrust) bool { return d.N == p.Restores })
		if i < 0 {
			return nil, errNotLive
		}
		d := from.Live[i]
		v.Restores = &d
		q.Kind, q.Value, q.Before = d.Kind, d.Value, d.Before
	case p.Kind == mint.DistrustKey:
		k, err := lookAtKey(p, from.Keys, now)
		if err != nil {
			return nil, err
		}
		v.Key = k
	}
	return v, v.count(ctx, q, from.Counter)
}

// errNoKey is what [Look] says about a key that is not there.
var errNoKey = mint.Refuse(mint.NotFound, "the tenant never had this key")

// lookAtKey finds which key would sign instead. The signer decides by itself and by the same rules.
func lookAtKey(p *Plan, keys []mint.Key, now time.Time) (*Key, error) {
	i := slices.IndexFunc(keys, func(k mint.Key) bool { return k.KID == p.Value })
	if i < 0 {
		return nil, errNoKey
	}
	k := &Key{State: keyring.StateAt(&keys[i], now)}
	if k.State != keyring.Active || p.Undo {
		return k, nil
	}
	rules := keyring.Rules{Algorithm: keys[i].Alg, Rotation: keyring.DefaultRotation, MaxLifetime: keyring.Lifetime(&keys[i])}
	ring := slices.DeleteFunc(slices.Clone(keys), func(k mint.Key) bool { return k.Family != keys[i].Family })
	steps, _ := keyring.Distrust(ring, rules, now, p.Value, mint.KeySuspended, true)
	for _, step := range steps {
		if step.Kind == mint.KeyActivated {
			next := ring[slices.IndexFunc(ring, func(k mint.Key) bool { return k.KID == step.KID })]
			k.Next, k.NextPublished = next.KID, time.Unix(next.PublishedAt, 0)
			k.NextKnown = k.NextPublished.Add(keyring.PrePublication)
		}
	}
	return k, nil
}

// count adds up the pages.
func (v *Preview) count(ctx context.Context, q mint.CountQuery, c Counter) error {
	clients, apis, subjects := map[string]uint64{}, map[string]uint64{}, map[string]bool{}
	for more := true; more; {
		page, err := c.Count(ctx, q)
		if err != nil && ctx.Err() != nil && q.From > 0 {
			v.AtLeast = true
			break
		}
		if err != nil {
			return err
		}
		v.Tokens += page.Tokens
		add(clients, page.Clients)
		add(apis, page.APIs)
		for _, s := range page.Subjects {
			subjects[s] = true
		}
		if last := time.Unix(page.Last, 0); page.Last != 0 && last.After(v.LastEnds) {
			v.LastEnds = last
		}
		more = page.Next > q.From
		q.From = page.Next
	}
	v.Clients, v.APIs, v.Subjects = shares(clients), shares(apis), len(subjects)
	return nil
}

func add(to, from map[string]uint64) {
	for name, n := range from {
		to[name] += n
	}
}

func shares(counts map[string]uint64) []Share {
	list := make([]Share, 0, len(counts))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, Share{name, counts[name]})
	}
	slices.SortStableFunc(list, func(a, b Share) int { return cmp.Compare(b.Tokens, a.Tokens) })
	return list
}
