package keyring

import (
	"cmp"
	"slices"
	"time"

	"seawall/internal/mint"
)

// Step is one transition of one key.
type Step struct {
	Kind mint.EntryKind // mint.KeyStaged, KeyActivated …
	KID  string         // empty for mint.KeyStaged: the key is yet to be made
}

// Plan returns the steps that are due at now for the keys of one issuer and family, to be taken together, in this order.
// A planner that follows it until it returns nothing has one active key and one spare. A rotation ends the old key and
// begins the new one in the same list, so there is never a moment with none or with two.
//
// Normally a key becomes active only after [PrePublication]. It does so at once when nothing else may sign: the first
// key of a tenant, or after an outage that outlasted the keys.
func Plan(keys []mint.Key, rules Rules, now time.Time) []Step {
	r := look(keys, rules, now)
	var steps []Step
	next := r.best()
	switch {
	case r.active == nil || r.t >= r.active.SigningEnds-int64(lastCall/time.Second):
		if next == nil {
			return []Step{{Kind: mint.KeyStaged}}
		}
		steps = r.promote(next)
	case next != nil && r.ripe(next) && (r.t >= r.due() || r.changes(next)):
		steps = r.promote(next)
	default:
		steps = r.stage(nil)
	}
	return append(steps, r.retire(next)...)
}

// RotateNow returns the steps that promote the spare at now, ahead of its time. When validators may not know it yet there
// are none, and ripe is when they will.
func RotateNow(keys []mint.Key, rules Rules, now time.Time) (steps []Step, ripe time.Time) {
	r := look(keys, rules, now)
	next := r.best()
	switch {
	case next == nil:
		return nil, now.Add(PrePublication)
	case !r.ripe(next):
		return nil, time.Unix(next.PublishedAt, 0).Add(PrePublication)
	}
	return append(r.promote(next), r.retire(next)...), now
}

// Distrust returns the steps that end the trust in the key kid at now: kind is mint.KeySuspended or KeyRevoked. If it is
// the active key, the spare takes its place in the same list. With no spare there are no steps, and neither with one that
// validators may not know yet, unless young allows it; ripe is then when they will.
func Distrust(keys []mint.Key, rules Rules, now time.Time, kid string, kind mint.EntryKind, young bool) (steps []Step, ripe time.Time) {
	r := look(keys, rules, now)
	steps = []Step{{kind, kid}}
	if r.active == nil || r.active.KID != kid {
		r.spares = slices.DeleteFunc(r.spares, func(k *mint.Key) bool { return k.KID == kid })
		return append(steps, r.stage(nil)...), now
	}
	next := r.best()
	switch {
	case next == nil:
		return nil, time.Time{}
	case !r.ripe(next) && !young:
		return nil, time.Unix(next.PublishedAt, 0).Add(PrePublication)
	}
	steps = append(steps, Step{mint.KeyActivated, next.KID})
	return append(steps, r.stage(next)...), now
}

// ring is a keyring seen at one moment.
type ring struct {
	t      int64
	rules  Rules
	active *mint.Key
	spares []*mint.Key // staged and able to sign, oldest first
	ended  []*mint.Key // whose time to retire has come
}

func look(keys []mint.Key, rules Rules, now time.Time) *ring {
	r := &ring{t: now.Unix(), rules: rules}
	for i := range keys {
		k := &keys[i]
		switch recorded(k) {
		case Active:
			r.active = k
		case Staged:
			if r.t < k.SigningEnds {
				r.spares = append(r.spares, k)
			} else {
				r.ended = append(r.ended, k)
			}
		case VerifyOnly:
			if r.t >= lastToken(k) {
				r.ended = append(r.ended, k)
			}
		}
	}
	slices.SortStableFunc(r.spares, func(a, b *mint.Key) int { return cmp.Compare(a.PublishedAt, b.PublishedAt) })
	return r
}

func (r *ring) ripe(k *mint.Key) bool { return r.t >= k.PublishedAt+int64(PrePublication/time.Second) }

// wanted reports whether k is what a spare should be: of the present algorithm, and with enough time left that its own
// successor will be ripe before it ends.
func (r *ring) wanted(k *mint.Key) bool {
	return k.Alg == r.rules.Algorithm && k.SigningEnds-r.t >= int64(MinRotation/time.Second)
}

// best is the spare to promote: a wanted one before others, a ripe one before others.
func (r *ring) best() *mint.Key {
	var best *mint.Key
	score := -1
	for _, k := range r.spares {
		s := 0
		if r.ripe(k) {
			s += 2
		}
		if r.wanted(k) {
			s++
		}
		if s > score {
			best, score = k, s
		}
	}
	return best
}

// due is when the active key has signed long enough. It comes early when the key was made under a shorter rotation.
func (r *ring) due() int64 {
	return min(r.active.ActivatedAt+int64(r.rules.Rotation/time.Second), r.active.SigningEnds-int64(Slack/2/time.Second))
}

// changes reports whether next brings the algorithm that the policy now asks for.
func (r *ring) changes(next *mint.Key) bool {
	return r.active.Alg != r.rules.Algorithm && r.wanted(next)
}

func (r *ring) promote(next *mint.Key) []Step {
	var steps []Step
	if r.active != nil {
		steps = append(steps, Step{mint.KeyVerifyOnly, r.active.KID})
	}
	steps = append(steps, Step{mint.KeyActivated, next.KID})
	return append(steps, r.stage(next)...)
}

// stage asks for a new spare unless there is a wanted one besides taken.
func (r *ring) stage(taken *mint.Key) []Step {
	for _, k := range r.spares {
		if k != taken && r.wanted(k) {
			return nil
		}
	}
	return []Step{{Kind: mint.KeyStaged}}
}

// retire ends keys whose time has come, and spares that nobody wants once a better one is ripe.
func (r *ring) retire(best *mint.Key) []Step {
	var steps []Step
	for _, k := range r.ended {
		steps = append(steps, Step{mint.KeyRetired, k.KID})
	}
	for _, k := range r.spares {
		if k != best && !r.wanted(k) && r.wanted(best) && r.ripe(best) {
			steps = append(steps, Step{mint.KeyRetired, k.KID})
		}
	}
	return steps
}

// Apply returns k as it is after the step kind, taken at now.
func Apply(k mint.Key, kind mint.EntryKind, now time.Time) mint.Key {
	t := now.Unix()
	k.Epoch++
	switch kind {
	case mint.KeyStaged:
		k.PublishedAt = t
	case mint.KeyActivated:
		k.ActivatedAt = t
	case mint.KeyVerifyOnly:
		if k.SuspendedAt != 0 && k.VerifyOnlyAt == 0 { // it has signed nothing since it was suspended
			t = k.SuspendedAt
		}
		if k.SuspendedAt == 0 || k.VerifyOnlyAt == 0 {
			k.VerifyOnlyAt = t
		}
		k.SuspendedAt = 0
	case mint.KeySuspended:
		k.SuspendedAt = t
	case mint.KeyRetired:
		k.RetiredAt = t
	case mint.KeyRevoked:
		k.RevokedAt = t
	}
	return k
}
