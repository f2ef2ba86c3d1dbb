package keyring

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"seawall/internal/mint"
)

// reader is a validator that refetches the JWK Set only when its cache runs out, never on an unknown kid: the worst of
// those in use.
type reader struct {
	ttl, skew time.Duration
	fetched   time.Time
	keys      []mint.Key
}

// accepts judges a token as a validator would at the simulated moment.
func (r *reader) accepts(tok token, served []mint.Key, now time.Time) (reason string) {
	if now.Sub(r.fetched) >= r.ttl {
		r.fetched, r.keys = now, slices.Clone(served)
	}
	i := slices.IndexFunc(r.keys, func(k mint.Key) bool { return k.KID == tok.kid })
	if i < 0 {
		return "kid unknown"
	}
	k, t := &r.keys[i], now.Add(r.skew).Unix()
	switch {
	case t < k.NotBefore || t >= k.Expires:
		return "outside the key's dates"
	case tok.iat >= k.SigningEnds:
		return "signed after the key's end"
	case tok.exp > k.Expires:
		return "outlives its key"
	}
	return ""
}

type token struct {
	kid      string
	iat, exp int64
}

// TestThousandRotations lives through a thousand planned and early rotations with validators that cache between five
// minutes and a day, and looks at every promise of the package after each step of time.
func TestThousandRotations(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := &simulation{b: &bench{t: t, rules: rules, now: epoch}, rng: rng}
	for range 12 {
		s.readers = append(s.readers, &reader{
			ttl:  5*time.Minute + s.upTo(24*time.Hour-5*time.Minute),
			skew: s.upTo(110*time.Second) - 55*time.Second,
		})
	}
	s.b.settle()
	for s.rotations < 1000 {
		s.advance()
		s.check()
		s.mint()
		s.validate()
	}
	if s.validated < 100_000 {
		t.Errorf("only %d validations: the simulation is too thin", s.validated)
	}
}

type simulation struct {
	b         *bench
	rng       *rand.Rand
	readers   []*reader
	tokens    []token
	active    string
	rotations int
	validated int
}

func (s *simulation) upTo(d time.Duration) time.Duration {
	return time.Duration(s.rng.Int64N(int64(d)))
}

func (s *simulation) advance() {
	s.b.now = s.b.now.Add(time.Minute + s.upTo(4*time.Hour))
	switch s.rng.IntN(200) {
	case 0:
		s.b.rules.Rotation = MinRotation + s.upTo(20*day)
	case 1:
		s.b.rules.Algorithm = []string{"ES256", "EdDSA"}[s.rng.IntN(2)]
	case 2:
		steps, _ := RotateNow(s.b.keys, s.b.rules, s.b.now)
		s.b.take(steps)
	case 3:
		s.b.now = s.b.now.Add(s.upTo(3 * day)) // an outage
	}
	s.b.settle()
}

// check holds the ring to its promises.
func (s *simulation) check() {
	s.b.t.Helper()
	var active, staged int
	for i := range s.b.keys {
		switch k := &s.b.keys[i]; recorded(k) {
		case Active:
			active++
			if k.KID != s.active {
				s.active = k.KID
				s.rotations++
			}
			if s.b.now.Unix() >= k.SigningEnds {
				s.b.t.Fatalf("%s signs after its end", k.KID)
			}
		case Staged:
			staged++
		}
	}
	if active != 1 || staged == 0 {
		s.b.t.Fatalf("%d active and %d spare keys: %s", active, staged, s.b.states())
	}
	for _, k := range Published(s.b.keys, s.b.now) {
		if k.RetiredAt != 0 || k.RevokedAt != 0 {
			s.b.t.Fatalf("%s is %s and published", k.KID, recorded(&k))
		}
	}
	// Retired keys are forgotten once nothing speaks of them, or the simulation would crawl.
	s.b.keys = slices.DeleteFunc(s.b.keys, func(k mint.Key) bool {
		return k.RetiredAt != 0 && s.b.now.Unix() > k.RetiredAt+int64(2*day/time.Second)
	})
}

func (s *simulation) mint() {
	k, _ := ActiveKey(s.b.keys)
	life := 1 + s.rng.Int64N(int64(Lifetime(k)/time.Second))
	s.tokens = append(s.tokens, token{k.KID, s.b.now.Unix(), s.b.now.Unix() + life})
}

func (s *simulation) validate() {
	s.b.t.Helper()
	// A moment later than minting, sometimes just before the tokens expire.
	at := s.b.now.Add(s.upTo(50 * time.Minute))
	s.tokens = slices.DeleteFunc(s.tokens, func(tok token) bool { return tok.exp <= at.Unix() })
	served := Published(s.b.keys, at)
	for _, tok := range s.tokens {
		if !slices.ContainsFunc(served, func(k mint.Key) bool { return k.KID == tok.kid }) {
			s.b.t.Fatalf("%s has unexpired tokens and is not published", tok.kid)
		}
		for _, r := range s.readers {
			if reason := r.accepts(tok, served, at); reason != "" {
				s.b.t.Fatalf("a validator with a cache of %s refuses a good token: %s", r.ttl, reason)
			}
			s.validated++
		}
	}
}
