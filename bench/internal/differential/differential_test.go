package differential

import (
	"context"
	"errors"
	"testing"
	"time"

	"seawall/bench/internal/peer"
	"seawall/validate"
)

func now() time.Time { return time.Unix(Now, 0) }

// sides are a validator and another library with the same configuration.
type sides struct {
	*world
	ours   *validate.Validator
	theirs *peer.Verifier
	why    explanation
}

func newSides(tb testing.TB, library string) *sides {
	tb.Helper()
	w, err := newWorld()
	if err != nil {
		tb.Fatal(err)
	}
	issuer := func(name string, keys []byte) validate.Issuer {
		return validate.ForeignIssuer(validate.ForeignConfig{Issuer: name, Keys: validate.StaticKeys(keys)})
	}
	v, err := validate.New(validate.Config{
		Issuers: []validate.Issuer{issuer(issuerA, w.a), issuer(issuerB, w.b)}, Audiences: []string{audience}, Leeway: 30 * time.Second, Now: now,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(v.Close)
	for _, l := range peer.Libraries() {
		if l.Name == library {
			return &sides{w, v, l.New(peer.Setup{
				Issuers:   []peer.Issuer{{Name: issuerA, JWKS: w.a}, {Name: issuerB, JWKS: w.b}},
				Audiences: []string{audience}, Algorithms: []string{"ES256", "RS256", "PS256", "EdDSA"}, Leeway: 30 * time.Second, Now: now,
			}), explained[library]}
		}
	}
	tb.Fatalf("no library %s", library)
	return nil
}

// compare has both sides judge one token and says what is unexplained.
func (s *sides) compare(t *testing.T, program, header, payload []byte) {
	t.Helper()
	raw := s.token(program, header, payload)
	ours, err := s.ours.Token(context.Background(), raw)
	theirs, theirErr := s.theirs.Verify(raw)
	var refusal *validate.Error
	switch {
	case err == nil && theirErr == nil:
		if ours.Subject() != theirs && !s.why.rename(raw) {
			t.Errorf("both accept %q, we as %q and they as %q", raw, ours.Subject(), theirs)
		}
	case err == nil:
		if !s.why.refuse(theirErr, raw) {
			t.Errorf("we accept and they refuse (%v): %q", theirErr, raw)
		}
	case theirErr == nil:
		if !errors.As(err, &refusal) {
			t.Fatalf("our refusal has no code: %v", err)
		}
		if !s.why.pass(refusal.Code, raw) {
			t.Errorf("they accept as %q and we refuse for %s, which is not explained: %q", theirs, refusal.Code, raw)
		}
	}
}

// differ is a fuzz target against one library.
func differ(f *testing.F, library string) {
	s := newSides(f, library)
	for _, seed := range seeds {
		f.Add([]byte(seed.program), []byte(seed.header), []byte(seed.payload))
	}
	f.Fuzz(func(t *testing.T, program, header, payload []byte) {
		if len(program) > 96 || len(header) > 2048 || len(payload) > 4096 {
			return
		}
		s.compare(t, program, header, payload)
	})
}

func FuzzAgainstGolangJWT(f *testing.F) { differ(f, "golang-jwt") }
func FuzzAgainstGoJOSE(f *testing.F)    { differ(f, "go-jose") }
func FuzzAgainstGoOIDC(f *testing.F)    { differ(f, "go-oidc") }
func FuzzAgainstJWX(f *testing.F)       { differ(f, "jwx") }

type seed struct{ program, header, payload string }

// seeds are a good token by every key, and one of everything a program can do.
var seeds = func() []seed {
	list := []seed{{}}
	for k := range byte(6) {
		list = append(list, seed{program: string([]byte{6, k, 0})})
	}
	list = append(list, seed{program: string([]byte{6, 4, 0, 0, 0, 1})}) // B by B's key
	for op := range byte(12) {
		for a := range byte(9) {
			list = append(list, seed{program: string([]byte{op, a, a * 7})}, seed{program: string([]byte{op | 0x80, a, a * 11})})
		}
	}
	for v := range values { // every value once in every claim that matters
		for m := range byte(7) {
			list = append(list, seed{program: string([]byte{0, m, byte(v)})})
		}
		list = append(list, seed{program: string([]byte{3, 18, byte(v)})}, seed{program: string([]byte{3, 21, byte(v)})})
	}
	for n := range memberNames { // every name once more
		list = append(list, seed{program: string([]byte{3, byte(n), 54})}, seed{program: string([]byte{0x83, byte(n), 54})}, seed{program: string([]byte{3, byte(n), 6})})
	}
	return append(list,
		seed{header: `{"alg":"ES256","typ":"at+jwt","kid":"es"}`, payload: `{"iss":"` + issuerA + `","sub":"s","aud":"` + audience + `","iat":1790000000,"exp":1790000060}`},
		seed{header: `{"alg":"ES256","typ":"at+jwt","kid":"es","alg":"none"}`},
		seed{payload: `{"iss":"` + issuerA + `","sub":"s","sub":"t","aud":"` + audience + `","iat":1790000000,"exp":1790000060}`},
		seed{program: string([]byte{10, 0x10, 0})}, seed{program: string([]byte{10, 0x20, 0})}, // a header with white space around
		seed{payload: `null`}, seed{payload: `[]`}, seed{header: `null`})
}()

// TestBothAcceptTheGood: the comparison would find nothing if one side refused everything.
func TestBothAcceptTheGood(t *testing.T) {
	for library := range explained {
		s := newSides(t, library)
		for k := range byte(5) {
			program := []byte{6, k, 0}
			if k == 4 {
				program = append(program, 0, 0, 1)
			}
			raw := s.token(program, nil, nil)
			if _, err := s.ours.Token(context.Background(), raw); err != nil {
				t.Errorf("key %d: we refuse: %v", k, err)
			}
			if subject, err := s.theirs.Verify(raw); err != nil || subject != "someone" {
				t.Errorf("%s, key %d: they say %q, %v", library, k, subject, err)
			}
		}
	}
}

// TestTheComparisonSees: an explanation taken away must show.
func TestTheComparisonSees(t *testing.T) {
	s := newSides(t, "golang-jwt")
	raw := s.token([]byte{0x80, 1, 24}, nil, nil) // typ JWT
	_, err := s.ours.Token(context.Background(), raw)
	if _, theirErr := s.theirs.Verify(raw); !errors.Is(err, validate.CodeTyp) || theirErr != nil || s.why.lax[validate.CodeTyp] == "" {
		t.Errorf("an ID token's type: we %v, they %v", err, theirErr)
	}
}

// TestEveryMemberWithEveryValue goes through all pairs once, in header and payload.
func TestEveryMemberWithEveryValue(t *testing.T) {
	for library := range explained {
		t.Run(library, func(t *testing.T) {
			t.Parallel()
			s := newSides(t, library)
			for name := range memberNames {
				for value := range values {
					for _, op := range []byte{3, 0x83} {
						s.compare(t, []byte{op, byte(name), byte(value)}, nil, nil)
					}
				}
			}
		})
	}
}
