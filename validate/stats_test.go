package validate_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"seawall/validate"
	"seawall/validate/internal/forge"
	"seawall/validate/validatetest"
)

func TestStatsCountEveryOutcome(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v := newValidator(t, issuer, func(c *validate.Config) { c.Audiences = []string{audience, "https://second.example"} })
	claims := validatetest.Claims{"aud": []string{"https://elsewhere.example", audience}}
	for range 3 {
		accepted(t, v, issuer.Token(claims))
	}
	accepted(t, v, issuer.Token(validatetest.Claims{"aud": "https://second.example"}))
	refused(t, v, issuer.Token(claims, validatetest.ExpiredKey), validate.CodeKeyExpired)
	refused(t, v, issuer.Token(claims, validatetest.UnknownKey), validate.CodeKeyUnknown)
	refused(t, v, issuer.Token(claims, validatetest.BadSignature), validate.CodeSignature)
	refused(t, v, issuer.Token(validatetest.Claims{"aud": "https://elsewhere.example"}), validate.CodeAudience)
	refused(t, v, issuer.Token(validatetest.Claims{"aud": audience, "iss": "https://elsewhere.example"}), validate.CodeIssuer)
	refused(t, v, "x", validate.CodeMalformed)
	if _, err := v.Request(httptest.NewRequest("GET", "/", nil)); err == nil {
		t.Error("a request without a token passed")
	}
	got := v.Stats()
	want := []validate.TokenCount{
		{Code: validate.CodeMalformed, Count: 1},
		{Code: validate.CodeMissing, Count: 1},
		{Audience: audience, Type: "at+jwt", Code: validate.CodeIssuer, Count: 1},
		{Issuer: issuer.URL(), Type: "at+jwt", Code: validate.CodeAudience, Count: 1},
		{Issuer: issuer.URL(), Audience: audience, Type: "at+jwt", Code: validate.CodeKeyUnknown, Count: 1},
		{Issuer: issuer.URL(), Audience: audience, Type: "at+jwt", KeyID: "active", Count: 3},
		{Issuer: issuer.URL(), Audience: audience, Type: "at+jwt", KeyID: "active", Code: validate.CodeSignature, Count: 1},
		{Issuer: issuer.URL(), Audience: audience, Type: "at+jwt", KeyID: "expired", Code: validate.CodeKeyExpired, Count: 1},
		{Issuer: issuer.URL(), Audience: "https://second.example", Type: "at+jwt", KeyID: "active", Count: 1},
	}
	if !reflect.DeepEqual(got.Tokens, want) {
		t.Errorf("tokens:\n%+v\nwant\n%+v", got.Tokens, want)
	}
	if got.Version != validate.Version || len(got.Events) != 0 || len(got.Feeds) != 0 || !reflect.DeepEqual(got.Issuers, []validate.IssuerState{{Issuer: issuer.URL(), KeysAge: -1}}) {
		t.Errorf("version %q, events %v, issuers %v, feeds %v", got.Version, got.Events, got.Issuers, got.Feeds)
	}
}

func TestStatsCountEvents(t *testing.T) {
	live(t, validatetest.Config{}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		s.status = 503
		v := trust(t, trusted)
		defer v.Close()
		if err := v.Ready(t.Context()); err == nil {
			t.Error("ready without keys")
		}
		if got := v.Stats().Issuers; !reflect.DeepEqual(got, []validate.IssuerState{{Issuer: i.URL(), KeysAge: -1}}) {
			t.Errorf("issuers before the first keys: %v", got)
		}
		s.set(func(s *server) { s.status = 200 })
		time.Sleep(10 * time.Second) // the failed load is tried again after about one second
		s.set(func(s *server) { s.status = 500 })
		time.Sleep(20 * time.Second)
		got := v.Stats()
		if want := []validate.EventCount{
			{Issuer: i.URL(), Kind: validate.KeysLoaded, Count: 1},
			{Issuer: i.URL(), Kind: validate.KeysRefused, Code: validate.CodeKeysUnavailable, Count: 1},
		}; !reflect.DeepEqual(got.Events, want) {
			t.Errorf("events %v, want %v", got.Events, want)
		}
		if age := got.Issuers[0].KeysAge; age < 28*time.Second || age > 30*time.Second {
			t.Errorf("the keys are %v old", age)
		}
	})
}

// A stranger chooses key names, issuers and claims as he likes; Stats stays as small as it was.
func TestStatsDoNotGrowByTokens(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{Foreign: true})
	v := newValidator(t, issuer)
	probe := func(n int) {
		header := forge.Header("ES256", "at+jwt", fmt.Sprintf("key-%d", n))
		for _, iss := range []string{issuer.URL(), fmt.Sprintf("https://%d.example", n)} {
			for _, aud := range []string{audience, fmt.Sprintf("https://%d.example", n)} {
				claims := forge.JSON(map[string]any{"iss": iss, "sub": fmt.Sprint(n), "jti": fmt.Sprint(n), "aud": aud, "iat": time.Now().Unix(), "exp": time.Now().Unix() + 60})
				v.Token(t.Context(), forge.Text(header)+"."+forge.Text(claims)+"."+strings.Repeat("A", 86))
			}
		}
	}
	probe(0)
	before := v.Stats()
	for n := range 2000 {
		probe(n)
	}
	after := v.Stats()
	if len(before.Tokens) != 4 || len(after.Tokens) != len(before.Tokens) {
		t.Errorf("%d outcomes after one round, %d after 2001: %v", len(before.Tokens), len(after.Tokens), after.Tokens)
	}
	var sum uint64
	for _, c := range after.Tokens {
		sum += c.Count
	}
	if sum != 4*2001 {
		t.Errorf("%d tokens counted, %d sent", sum, 4*2001)
	}
}

// An issuer may list thousands of keys: then most of them share a counter.
func TestStatsDoNotGrowByKeys(t *testing.T) {
	var keys []map[string]any
	sample := forge.NewKey("EdDSA", "")
	for n := range 3000 {
		jwk := sample.JWK()
		jwk["kid"] = fmt.Sprintf("key-%d", n)
		keys = append(keys, jwk)
	}
	long := sample.JWK()
	long["kid"] = strings.Repeat("k", 200)
	keys = append(keys, long)
	const name = "https://foreign.example"
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{validate.ForeignIssuer(validate.ForeignConfig{Issuer: name, Keys: validate.StaticKeys(forge.Set(nil, keys...))})},
		Audiences: []string{audience},
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	for n := len(keys) - 1; n >= 0; n-- {
		kid := keys[n]["kid"].(string)
		accepted(t, v, sample.Sign(forge.Header("EdDSA", "at+jwt", kid), forge.JSON(map[string]any{"iss": name, "sub": "x", "aud": audience, "iat": now, "exp": now + 60})))
	}
	var other, sum uint64
	got := v.Stats().Tokens
	for _, c := range got {
		if sum += c.Count; c.KeyID == validate.Other {
			other += c.Count
		}
	}
	if len(got) != 1000 || sum != 3001 || other != 3001-999 {
		t.Errorf("%d counters, %d tokens, %d of other keys", len(got), sum, other)
	}
}

// A key that is gone keeps its count for an hour, and its name is free again after that.
func TestStatsForgetKeysThatAreGone(t *testing.T) {
	live(t, validatetest.Config{Foreign: true}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		v := trust(t, trusted)
		defer v.Close()
		accepted(t, v, i.Token(validatetest.Claims{"aud": audience}))
		s.set(func(s *server) { s.body = forge.Set(nil, forge.NewKey("EdDSA", "next").JWK()) })
		counted := func() bool {
			for _, c := range v.Stats().Tokens {
				if c.KeyID == "active" {
					return true
				}
			}
			return false
		}
		time.Sleep(time.Hour)
		if !counted() {
			t.Error("the count of a key was dropped within the hour")
		}
		time.Sleep(20 * time.Minute)
		if counted() {
			t.Error("the count of a key that is gone is kept")
		}
	})
}

func TestStatsUnderLoad(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{Algorithm: validate.EdDSA, Foreign: true})
	v := newValidator(t, issuer)
	raw := issuer.Token(validatetest.Claims{"aud": audience})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for n := range 200 {
				v.Token(context.Background(), raw)
				v.Token(context.Background(), "x")
				if n%50 == 0 {
					v.Stats()
				}
			}
		})
	}
	wait.Wait()
	got := v.Stats().Tokens
	if len(got) != 2 || got[0].Count != 1600 || got[1].Count != 1600 {
		t.Errorf("1600 tokens of each kind, counted: %+v", got)
	}
}
