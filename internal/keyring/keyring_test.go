package keyring

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"seawall/internal/mint"
)

var (
	epoch = time.Unix(1_790_000_000, 0)
	rules = Rules{Algorithm: "ES256", Rotation: DefaultRotation, MaxLifetime: time.Hour}
)

// bench follows a plan the way the signer does.
type bench struct {
	t     *testing.T
	rules Rules
	now   time.Time
	keys  []mint.Key
	made  int
}

func (b *bench) take(steps []Step) {
	b.t.Helper()
	for _, s := range steps {
		if s.Kind == mint.KeyStaged {
			k := mint.Key{KID: fmt.Sprintf("k%d", b.made), Alg: b.rules.Algorithm}
			k.NotBefore, k.SigningEnds, k.Expires = Windows(b.rules, b.now)
			b.keys = append(b.keys, Apply(k, s.Kind, b.now))
			b.made++
			continue
		}
		i := slices.IndexFunc(b.keys, func(k mint.Key) bool { return k.KID == s.KID })
		if i < 0 {
			b.t.Fatalf("step %v of an unknown key", s)
		}
		b.keys[i] = Apply(b.keys[i], s.Kind, b.now)
	}
}

// settle plans until nothing is left to do.
func (b *bench) settle() {
	b.t.Helper()
	for range 5 {
		steps := Plan(b.keys, b.rules, b.now)
		if len(steps) == 0 {
			return
		}
		b.take(steps)
	}
	b.t.Fatalf("the plan does not come to rest: %v", Plan(b.keys, b.rules, b.now))
}

func (b *bench) at(after time.Duration) *bench {
	b.t.Helper()
	b.now = epoch.Add(after)
	b.settle()
	return b
}

// states renders the ring as "k0:verify-only k1:active k2:staged".
func (b *bench) states() (s string) {
	for i := range b.keys {
		if i > 0 {
			s += " "
		}
		s += b.keys[i].KID + ":" + string(recorded(&b.keys[i]))
	}
	return s
}

func (b *bench) want(states string) {
	b.t.Helper()
	if got := b.states(); got != states {
		b.t.Fatalf("%s after the start:\n got %s\nwant %s", b.now.Sub(epoch), got, states)
	}
}

func start(t *testing.T) *bench {
	b := &bench{t: t, rules: rules, now: epoch}
	b.settle()
	return b
}

const day = 24 * time.Hour

func TestLife(t *testing.T) {
	b := start(t)
	b.want("k0:active k1:staged")
	b.at(DefaultRotation - time.Second).want("k0:active k1:staged")
	b.at(DefaultRotation).want("k0:verify-only k1:active k2:staged")
	b.at(DefaultRotation + time.Hour + grace - time.Second).want("k0:verify-only k1:active k2:staged")
	b.at(DefaultRotation + time.Hour + grace).want("k0:retired k1:active k2:staged")
	b.at(2 * DefaultRotation).want("k0:retired k1:verify-only k2:active k3:staged")
}

func TestRotationOrderEndsTheOldKeyFirst(t *testing.T) {
	b := start(t)
	got := Plan(b.keys, rules, epoch.Add(DefaultRotation))
	want := []Step{{mint.KeyVerifyOnly, "k0"}, {mint.KeyActivated, "k1"}, {mint.KeyStaged, ""}}
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestWindows(t *testing.T) {
	nbf, ends, exp := Windows(rules, epoch)
	if nbf != epoch.Unix()-60 {
		t.Error("nbf must be a minute before the key is made, so that a spare can be promoted at any time")
	}
	if ends != epoch.Add(2*DefaultRotation+Slack).Unix() || exp != ends+3600+60 {
		t.Errorf("ends %d, exp %d", ends, exp)
	}
	if got := Lifetime(&mint.Key{SigningEnds: ends, Expires: exp}); got != time.Hour {
		t.Errorf("lifetime %s", got)
	}
	if got := Lifetime(&mint.Key{}); got != 0 {
		t.Errorf("lifetime of a key without dates %s", got)
	}
}

func TestRotateNow(t *testing.T) {
	b := start(t)
	b.now = epoch.Add(PrePublication - time.Second)
	if steps, ripe := RotateNow(b.keys, rules, b.now); steps != nil || !ripe.Equal(epoch.Add(PrePublication)) {
		t.Fatalf("a young spare was promoted: %v, ripe %v", steps, ripe)
	}
	b.now = epoch.Add(PrePublication)
	steps, _ := RotateNow(b.keys, rules, b.now)
	b.take(steps)
	b.want("k0:verify-only k1:active k2:staged")
	if steps, _ := RotateNow(b.keys, rules, b.now); steps != nil {
		t.Fatal("a second rotation found a spare that nobody knows")
	}
	if steps, ripe := RotateNow(nil, rules, b.now); steps != nil || !ripe.Equal(b.now.Add(PrePublication)) {
		t.Fatal("rotation without any key")
	}
}

func TestDistrust(t *testing.T) {
	b := start(t)
	b.now = epoch.Add(PrePublication - time.Second)
	distrust := func(kid string, kind mint.EntryKind, young bool) (steps []Step, ripe time.Time) {
		return Distrust(b.keys, rules, b.now, kid, kind, young)
	}
	if steps, ripe := distrust("k0", mint.KeySuspended, false); steps != nil || !ripe.Equal(epoch.Add(PrePublication)) {
		t.Fatalf("a young spare was promoted: %v, ripe %v", steps, ripe)
	}
	want := []Step{{mint.KeySuspended, "k0"}, {mint.KeyActivated, "k1"}, {mint.KeyStaged, ""}}
	if steps, _ := distrust("k0", mint.KeySuspended, true); !slices.Equal(steps, want) {
		t.Fatalf("with a young spare: %v, want %v", steps, want)
	}
	if steps, _ := distrust("k1", mint.KeyRevoked, false); !slices.Equal(steps, []Step{{mint.KeyRevoked, "k1"}, {mint.KeyStaged, ""}}) {
		t.Fatalf("the spare: %v", steps)
	}
	b.now = epoch.Add(PrePublication)
	steps, _ := distrust("k0", mint.KeySuspended, false)
	b.take(steps)
	b.settle()
	b.want("k0:suspended k1:active k2:staged")
	if kids := published(b.keys, b.now); !slices.Equal(kids, []string{"k1", "k2"}) {
		t.Errorf("published %v", kids)
	}
	if s := StateAt(&b.keys[0], b.now.Add(400*day)); s != Suspended {
		t.Errorf("long after its end the key is %s", s)
	}
	// Given back, its last token is as old as its suspension.
	suspended := b.now
	b.now = b.now.Add(30 * time.Minute)
	b.take([]Step{{mint.KeyVerifyOnly, "k0"}})
	b.want("k0:verify-only k1:active k2:staged")
	if kids := published(b.keys, b.now); !slices.Equal(kids, []string{"k0", "k1", "k2"}) {
		t.Errorf("given back, published %v", kids)
	}
	if end := time.Unix(lastToken(&b.keys[0]), 0); !end.Equal(suspended.Add(time.Hour + grace)) {
		t.Errorf("its last token ends at %v", end)
	}
	// A key that had stopped signing before remembers when.
	b.take([]Step{{mint.KeySuspended, "k0"}})
	b.now = b.now.Add(time.Minute)
	b.take([]Step{{mint.KeyVerifyOnly, "k0"}})
	if end := time.Unix(lastToken(&b.keys[0]), 0); !end.Equal(suspended.Add(time.Hour + grace)) {
		t.Errorf("suspended twice, its last token ends at %v", end)
	}
	b.at(PrePublication + 2*time.Hour).want("k0:retired k1:active k2:staged")
	b.keys = b.keys[1:2]
	if steps, ripe := distrust("k1", mint.KeySuspended, true); steps != nil || !ripe.IsZero() {
		t.Errorf("the last key: %v", steps)
	}
}

func TestOutages(t *testing.T) {
	t.Run("late rotation", func(t *testing.T) {
		start(t).at(40 * day).want("k0:verify-only k1:active k2:staged")
	})
	t.Run("the active key has ended, the spare has not", func(t *testing.T) {
		b := start(t)
		b.keys[1].SigningEnds += int64(30 * day / time.Second)
		b.keys[1].Expires += int64(30 * day / time.Second)
		b.at(2*DefaultRotation + Slack).want("k0:verify-only k1:active k2:staged")
	})
	t.Run("every key has ended", func(t *testing.T) {
		b := start(t)
		b.now = epoch.Add(400 * day)
		if s := StateAt(&b.keys[0], b.now); s != Retired {
			t.Fatalf("a key long past its end is %s", s)
		}
		b.settle()
		b.want("k0:retired k1:retired k2:active k3:staged")
	})
	t.Run("an unripe spare is taken before nothing signs", func(t *testing.T) {
		b := start(t)
		ends := time.Unix(b.keys[0].SigningEnds, 0)
		b.keys[1] = Apply(b.keys[1], mint.KeyRevoked, epoch)
		b.now = ends.Add(-time.Hour)
		b.settle()
		b.want("k0:active k1:revoked k2:staged")
		b.now = ends.Add(-lastCall)
		b.settle()
		b.want("k0:verify-only k1:revoked k2:active k3:staged")
	})
	t.Run("a revoked active key", func(t *testing.T) {
		b := start(t)
		b.keys[0] = Apply(b.keys[0], mint.KeyRevoked, epoch)
		b.at(time.Hour).want("k0:revoked k1:active k2:staged")
		if kids := published(b.keys, b.now); slices.Contains(kids, "k0") {
			t.Error("a revoked key is published")
		}
	})
}

func TestAlgorithmChange(t *testing.T) {
	b := start(t)
	b.rules.Algorithm = "EdDSA"
	b.at(time.Hour).want("k0:active k1:staged k2:staged")
	if b.keys[2].Alg != "EdDSA" {
		t.Fatal("the new spare has the old algorithm")
	}
	b.at(time.Hour + PrePublication - time.Second).want("k0:active k1:staged k2:staged")
	// Ripe: it takes over at once, the old spare goes, and a spare of the new algorithm is made.
	b.at(time.Hour + PrePublication).want("k0:verify-only k1:retired k2:active k3:staged")
}

func TestShorterAndLongerRotation(t *testing.T) {
	b := start(t)
	b.rules.Rotation = 300 * day
	// The first key was stated for 74 days; it leaves a week of them unused rather than run into its end.
	b.at(67*day - time.Second).want("k0:active k1:staged")
	b.at(67 * day).want("k0:verify-only k1:active k2:staged")
	b.rules.Rotation = MinRotation
	b.at(69 * day).want("k0:retired k1:verify-only k2:active k3:staged")
}

func TestPublishedAtServeTime(t *testing.T) {
	b := start(t).at(DefaultRotation)
	if kids := published(b.keys, b.now); !slices.Equal(kids, []string{"k0", "k1", "k2"}) {
		t.Fatalf("published %v", kids)
	}
	// Nobody has taken the step to retired, and yet the key is gone.
	if kids := published(b.keys, b.now.Add(time.Hour+grace)); !slices.Equal(kids, []string{"k1", "k2"}) {
		t.Fatalf("published %v", kids)
	}
	for _, kind := range []mint.EntryKind{mint.KeyRetired, mint.KeySuspended, mint.KeyRevoked} {
		keys := []mint.Key{Apply(b.keys[0], kind, b.now)}
		if kids := published(keys, b.now); len(kids) != 0 {
			t.Errorf("%s is published", kind)
		}
	}
	if kids := published([]mint.Key{{KID: "x", SigningEnds: 1 << 40, Expires: 1 << 40}}, b.now); len(kids) != 0 {
		t.Error("a key that was never staged is published")
	}
}

func published(keys []mint.Key, now time.Time) (kids []string) {
	for _, k := range Published(keys, now) {
		kids = append(kids, k.KID)
	}
	return kids
}
