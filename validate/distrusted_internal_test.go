package validate

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// model is the same sets, as plain as can be.
type model map[string][]distrustRule

func (m model) has(kind distrustKind, value string, iat instant) bool {
	for _, r := range m[value] {
		if r.kind == kind && r.concerns(iat) {
			return true
		}
	}
	return false
}

// A few names and many steps, so that they meet again and again: the sets must always answer as a
// plain map does.
func TestDistrustedAnswersAsAMapDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	d, m := newDistrusted(), model{}
	values := make([]string, 60)
	for i := range values {
		values[i] = fmt.Sprintf("value-%d", i*i*i)
	}
	for n := uint64(1); n < 5000; n++ {
		kind := distrustKind(random.IntN(int(distrustKinds)))
		value := values[random.IntN(len(values))]
		switch random.IntN(4) {
		case 0, 1:
			r := distrustRule{kind: kind, n: n, before: uint64(random.IntN(3)) * 100, until: n + 500}
			d.add(r, value)
			m[value] = append(m[value], r)
		case 2:
			if have := m[value]; len(have) > 0 {
				i := random.IntN(len(have))
				d.remove(have[i].kind, value, have[i].n)
				m[value] = append(have[:i:i], have[i+1:]...)
			}
		case 3:
			d.forget(n)
			for value, have := range m {
				kept := have[:0:0]
				for _, r := range have {
					if r.until > n {
						kept = append(kept, r)
					}
				}
				m[value] = kept
			}
		}
		live := 0
		for _, have := range m {
			live += len(have)
		}
		if d.len() != live {
			t.Fatalf("step %d: %d rules, want %d", n, d.len(), live)
		}
		for _, value := range values {
			for kind := range distrustKinds {
				for _, iat := range []instant{{sec: 99}, {sec: 100}, {sec: 1000}} {
					if got, want := d.has(kind, value, iat), m.has(kind, value, iat); got != want {
						t.Fatalf("step %d: kind %d %s at %d: %v, want %v", n, kind, value, iat.sec, got, want)
					}
				}
			}
		}
	}
	for value := range m {
		d.forget(1 << 60)
		m[value] = nil
	}
	if d.len() != 0 || d.text != 0 || d.kinds.Load() != 0 {
		t.Errorf("emptied, and there remain %d rules, %d bytes, kinds %b", d.len(), d.text, d.kinds.Load())
	}
}
