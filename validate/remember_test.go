package validate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"seawall/validate"
	"seawall/validate/internal/forge"
	"seawall/validate/validatetest"
)

// familiar gives a foreign issuer's key, a validator that trusts it and a token that the validator
// has accepted twice, so it is remembered. The key's window reaches from -1000 to 1000 seconds around
// the clock, and the token is good from -100 to 600.
func familiar(t *testing.T, changes ...func(*validate.Config)) (v *validate.Validator, clock *validatetest.Clock, raw string) {
	t.Helper()
	clock = still()
	now := clock.Now().Unix()
	k := forge.NewKey("EdDSA", "k")
	k.NotBefore, k.Expires = now-1000, now+1000
	c := validate.Config{
		Issuers:   []validate.Issuer{validate.ForeignIssuer(validate.ForeignConfig{Issuer: "https://x", Keys: validate.StaticKeys(forge.Set(nil, k.JWK()))})},
		Audiences: []string{audience},
		Now:       clock.Now,
	}
	for _, change := range changes {
		change(&c)
	}
	v, err := validate.New(c)
	if err != nil {
		t.Fatal(err)
	}
	raw = k.Sign(forge.Header("EdDSA", "at+jwt", "k"), forge.JSON(map[string]any{
		"iss": "https://x", "sub": "s", "aud": audience, "iat": now - 100, "nbf": now - 100, "exp": now + 600, "jti": "j", "sid": "sid", "client_id": "c", "tid": "t",
	}))
	accepted(t, v, raw)
	accepted(t, v, raw)
	return v, clock, raw
}

// What is remembered of a token is that it was signed, and nothing else. Everything that changes
// while a token lives is looked at each time, in both directions of the clock.
func TestRememberedTokenMeetsTheClock(t *testing.T) {
	v, clock, raw := familiar(t)
	for _, step := range []struct {
		by   time.Duration
		want validate.Code
	}{
		{629 * time.Second, ""}, {time.Second, validate.CodeExpired}, {-time.Second, ""},
		{371 * time.Second, validate.CodeExpired}, // the key is over too
		{-1000 * time.Second, ""},
		{-130 * time.Second, ""}, {-time.Second, validate.CodeNotYetValid}, {time.Second, ""},
	} {
		clock.Advance(step.by)
		if step.want == "" {
			accepted(t, v, raw)
		} else {
			refused(t, v, raw, step.want)
		}
	}
}

func TestRememberedTokenMeetsItsKeysWindow(t *testing.T) {
	clock := still()
	now := clock.Now().Unix()
	k := forge.NewKey("EdDSA", "k")
	k.NotBefore, k.Expires = now-10, now+10
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{validate.ForeignIssuer(validate.ForeignConfig{Issuer: "https://x", Keys: validate.StaticKeys(forge.Set(nil, k.JWK()))})},
		Audiences: []string{audience}, Now: clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	raw := k.Sign(forge.Header("EdDSA", "at+jwt", "k"), forge.JSON(map[string]any{"iss": "https://x", "sub": "s", "aud": audience, "iat": now - 100, "exp": now + 600}))
	accepted(t, v, raw)
	clock.Advance(9 * time.Second)
	accepted(t, v, raw)
	clock.Advance(time.Second)
	refused(t, v, raw, validate.CodeKeyExpired)
	clock.Advance(-21 * time.Second)
	refused(t, v, raw, validate.CodeKeyNotYetValid)
}

// Two keys of one name, one of them not yet usable: when it becomes so, nobody can tell which of
// them a token means, also not for a token that was accepted before.
func TestRememberedTokenMeetsAnotherKeyOfItsName(t *testing.T) {
	clock := still()
	now := clock.Now().Unix()
	k, other := forge.NewKey("EdDSA", "k"), forge.NewKey("EdDSA", "k")
	other.NotBefore, other.Expires = now+10, now+20
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{validate.ForeignIssuer(validate.ForeignConfig{Issuer: "https://x", Keys: validate.StaticKeys(forge.Set(nil, k.JWK(), other.JWK()))})},
		Audiences: []string{audience}, Now: clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	raw := k.Sign(forge.Header("EdDSA", "at+jwt", "k"), forge.JSON(map[string]any{"iss": "https://x", "sub": "s", "aud": audience, "iat": now - 100, "exp": now + 600}))
	accepted(t, v, raw)
	accepted(t, v, raw)
	clock.Advance(10 * time.Second)
	refused(t, v, raw, validate.CodeKeyAmbiguous)
	clock.Advance(10 * time.Second)
	accepted(t, v, raw)
}

func TestRememberedTokenMeetsRevocations(t *testing.T) {
	list, err := validate.NewRevocations()
	if err != nil {
		t.Fatal(err)
	}
	v, clock, raw := familiar(t, func(c *validate.Config) { c.Revocations = list })
	for _, entry := range []validate.Revocation{
		{Kind: validate.RevokeToken, Value: "j"}, {Kind: validate.RevokeSubject, Value: "s"}, {Kind: validate.RevokeSession, Value: "sid"}, {Kind: validate.RevokeClient, Value: "c"},
		{Kind: validate.RevokeTenant, Value: "t"}, {Kind: validate.RevokeKey, Value: "k"}, {Kind: validate.RevokeSubject, Value: "s", Issuer: "https://x", Before: clock.Now()},
	} {
		accepted(t, v, raw)
		if err := list.Replace([]validate.Revocation{entry}); err != nil {
			t.Fatal(err)
		}
		refused(t, v, raw, validate.CodeRevoked)
		if err := list.Replace(nil); err != nil {
			t.Fatal(err)
		}
	}
	accepted(t, v, raw)
}

func TestRememberedTokenMeetsNewKeys(t *testing.T) {
	live(t, validatetest.Config{Foreign: true}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		v := trust(t, trusted, func(c *validate.Config) { c.MaxLifetime = 72 * time.Hour })
		defer v.Close()
		raw := i.Token(validatetest.Claims{"aud": audience, "exp": time.Now().Unix() + 70*3600})
		accepted(t, v, raw)
		accepted(t, v, raw)
		stranger := forge.NewKey("ES256", "active")
		s.set(func(s *server) { s.body = forge.Set(nil, stranger.JWK()) })
		time.Sleep(6 * time.Minute)
		refused(t, v, raw, validate.CodeSignature) // another key of the same name
		s.set(func(s *server) { s.body = i.Keys() })
		time.Sleep(6 * time.Minute)
		accepted(t, v, raw)
		accepted(t, v, raw)
		gone := forge.NewKey("ES256", "other")
		s.set(func(s *server) { s.body = forge.Set(nil, gone.JWK()) })
		time.Sleep(6 * time.Minute)
		refused(t, v, raw, validate.CodeKeyUnknown)
		s.set(func(s *server) { s.body = i.Keys() })
		time.Sleep(6 * time.Minute)
		accepted(t, v, raw)
		s.set(func(s *server) { s.status = 500 })
		time.Sleep(26 * time.Hour)
		refused(t, v, raw, validate.CodeKeysStale)
	})
}

// What is remembered of a token must not keep the key document alive that it was judged by: an issuer
// that changes a large document all day would fill the memory with old ones.
func TestMemoryLetsOldKeysGo(t *testing.T) {
	live(t, validatetest.Config{Foreign: true}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		var active struct{ Keys []map[string]any }
		if err := json.Unmarshal(i.Keys(), &active); err != nil {
			t.Fatal(err)
		}
		v := trust(t, trusted)
		defer v.Close()
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		var before uint64
		for round := range 30 {
			keys := active.Keys
			for n := range 1000 {
				keys = append(keys, map[string]any{"kty": "oct", "kid": fmt.Sprintf("%d-%d", round, n)})
			}
			s.set(func(s *server) { s.body = forge.Set(nil, keys...) })
			time.Sleep(6 * time.Minute)
			accepted(t, v, i.Token(validatetest.Claims{"aud": audience}))
			if round == 2 {
				before = heap()
			}
		}
		if after := heap(); after > before+3<<20 {
			t.Errorf("27 old key documents take %d KiB", (after-before)>>10)
		}
	})
}

// A bound token is remembered like any other, and who presents it is looked at each time.
func TestRememberedTokenMeetsItsSender(t *testing.T) {
	clock := still()
	issuer := validatetest.NewIssuer(validatetest.Config{Clock: clock})
	prover := validatetest.NewProver("", clock)
	v := newValidator(t, issuer)
	token := issuer.Token(validatetest.Claims{"aud": audience, "cnf": prover.Confirmation()})
	present := func(proofs ...string) error {
		_, err := v.Presented(t.Context(), token, validate.Presentation{Scheme: "DPoP", Method: "GET", URL: itemsURL, Proofs: proofs})
		return err
	}
	proof := prover.Proof(token, "GET", itemsURL)
	for _, step := range []struct {
		proof string
		want  validate.Code
	}{
		{proof, ""}, {proof, validate.CodeDPoPReplay}, {prover.Proof(token, "GET", itemsURL), ""}, {prover.Proof(token, "PUT", itemsURL), validate.CodeDPoPMethod},
		{validatetest.NewProver("", clock).Proof(token, "GET", itemsURL), validate.CodeDPoPThumbprint},
	} {
		if err := present(step.proof); step.want == "" && err != nil || step.want != "" && !errors.Is(err, step.want) {
			t.Errorf("got %v, want %q", err, step.want)
		}
	}
	refused(t, v, token, validate.CodeDPoPScheme)
}

// Whoever changes a byte of a remembered token has another token.
func TestRememberedTokenIsItsBytes(t *testing.T) {
	v, _, raw := familiar(t)
	for at := range raw {
		b := []byte(raw)
		if b[at] ^= 1; b[at] == '.' {
			continue
		}
		if token, err := v.Token(t.Context(), string(b)); err == nil {
			t.Fatalf("byte %d changed and accepted as %v", at, token)
		}
	}
	accepted(t, v, raw)
}

func TestNoMemory(t *testing.T) {
	v, clock, raw := familiar(t, func(c *validate.Config) { c.Remember = validate.NoMemory })
	accepted(t, v, raw)
	clock.Advance(time.Hour)
	refused(t, v, raw, validate.CodeExpired)
	for _, bad := range []int{-2, 1<<22 + 1} {
		issuer := validatetest.NewIssuer(validatetest.Config{})
		if _, err := validate.New(validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}, Audiences: []string{audience}, Remember: bad}); err == nil {
			t.Errorf("%d was taken", bad)
		}
	}
}

// Many goroutines share one memory that is far too small, and revocations come and go meanwhile.
func TestMemoryIsShared(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{Foreign: true, Algorithm: validate.EdDSA})
	list, err := validate.NewRevocations()
	if err != nil {
		t.Fatal(err)
	}
	v := newValidator(t, issuer, func(c *validate.Config) { c.Remember, c.Revocations = 8, list })
	var tokens []string
	for range 32 {
		tokens = append(tokens, issuer.Token(validatetest.Claims{"aud": audience}))
	}
	bad := issuer.Token(validatetest.Claims{"aud": audience, "jti": "bad"})
	var wait sync.WaitGroup
	for n := range 8 {
		wait.Go(func() {
			for i := range 200 {
				r := httptest.NewRequest("GET", "/", nil)
				r.Header.Set("Authorization", "Bearer "+tokens[(i*7+n)%len(tokens)])
				if _, err := v.Request(r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Go(func() {
		for range 50 {
			if err := list.Replace([]validate.Revocation{{Kind: validate.RevokeToken, Value: "bad"}}); err != nil {
				t.Error(err)
			}
			refused(t, v, bad, validate.CodeRevoked)
			if err := list.Replace(nil); err != nil {
				t.Error(err)
			}
			accepted(t, v, bad)
		}
	})
	wait.Wait()
}
