package validate_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"seawall/validate"
	"seawall/validate/internal/forge"
	"seawall/validate/validatetest"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// server is an issuer's HTTP side that misbehaves as told. It counts what is fetched.
type server struct {
	mu       sync.Mutex
	status   int
	header   http.Header
	body     []byte
	metadata []byte // at the well-known places; nil for 404
	delay    time.Duration
	fetches  int // of keys
	probes   int // of metadata
}

func (s *server) set(change func(*server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

// RoundTrip answers without a network, so that time may be false.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	status, header, body, delay := s.status, s.header.Clone(), s.body, s.delay
	if strings.Contains(r.URL.Path, "/.well-known/") {
		s.probes++
		status, body, header = 200, s.metadata, nil
		if body == nil {
			status = 404
		}
	} else {
		s.fetches++
	}
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if header == nil {
		header = http.Header{}
	}
	if tag := header.Get("ETag"); tag != "" && r.Header.Get("If-None-Match") == tag {
		status, body = http.StatusNotModified, nil
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

// live runs a test in false time with an issuer whose keys are served by a server.
func live(t *testing.T, c validatetest.Config, test func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		issuer := validatetest.NewIssuer(c)
		s := &server{status: 200, body: issuer.Keys(), header: http.Header{"Cache-Control": {"max-age=300"}}}
		keys := validate.RemoteKeys(issuer.URL() + "/jwks").WithTransport(s)
		test(t, issuer, s, issuer.Trusted().WithKeys(keys))
	})
}

func trust(t *testing.T, i validate.Issuer, changes ...func(*validate.Config)) *validate.Validator {
	t.Helper()
	c := validate.Config{Issuers: []validate.Issuer{i}, Audiences: []string{audience}}
	for _, change := range changes {
		change(&c)
	}
	v, err := validate.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRemoteKeysLoadOnce(t *testing.T) {
	live(t, validatetest.Config{}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		s.delay = time.Second
		v := trust(t, trusted)
		defer v.Close()
		raw := i.Token(validatetest.Claims{"aud": audience})
		var wait sync.WaitGroup
		for range 100 {
			wait.Go(func() {
				if _, err := v.Token(t.Context(), raw); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if n := s.count(); n != 1 {
			t.Errorf("%d fetches for 100 first tokens", n)
		}
	})
}

func TestFirstTokenDoesNotWaitForEver(t *testing.T) {
	live(t, validatetest.Config{}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		s.delay = time.Hour
		v := trust(t, trusted)
		defer v.Close()
		raw := i.Token(validatetest.Claims{"aud": audience})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, err := v.Token(ctx, raw); !errors.Is(err, validate.CodeKeysUnavailable) || time.Since(start) != 100*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		start = time.Now()
		refused(t, v, raw, validate.CodeKeysUnavailable)
		if time.Since(start) > 5*time.Second {
			t.Errorf("waited %v", time.Since(start))
		}
		if err := v.Ready(ctx); err == nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ready: %v", err)
		}
		s.set(func(s *server) { s.delay = 0 })
		time.Sleep(time.Minute)
		accepted(t, v, raw)
		if err := v.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The ledger's key changes: the first token with a receipt by the new key makes the validator look.
func TestNewReceiptKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		ledger := forge.NewLedger(now-3600, now+86400)
		k := forge.NewKey("ES256", "k")
		k.Issuer, k.Kinds = "https://id.example", []string{"at+jwt"}
		k.NotBefore, k.SigningEnds, k.Expires = now-3600, now+86400, now+90000
		s := &server{status: 200, body: forge.Set(ledger.Document(), ledger.JWK(k))}
		v := trust(t, validate.SeawallIssuer(k.Issuer, ledger.Pin()).WithKeys(validate.RemoteKeys("https://mirror.example/jwks").WithTransport(s)))
		defer v.Close()
		if err := v.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		successor := &forge.Ledger{Root: ledger.Root, Receipts: forge.NewLedger(0, 0).Receipts, NotBefore: now - 3600, Expires: now + 86400}
		payload := forge.JSON(map[string]any{"iss": k.Issuer, "sub": "x", "aud": audience, "iat": now, "exp": now + 600})
		raw := successor.Token(k, forge.Header("ES256", "at+jwt", "k"), payload, 1, now*1000)
		refused(t, v, raw, validate.CodeReceiptKey)
		s.set(func(s *server) { s.body = forge.Set(successor.Document(), ledger.JWK(k)) })
		accepted(t, v, raw)
	})
}

// Whoever serves the documents swaps keys and ledger together. Good keys stay, and the new ones get
// nothing but the name of what happened.
func TestSwappedDocuments(t *testing.T) {
	live(t, validatetest.Config{}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		v := trust(t, trusted)
		defer v.Close()
		if err := v.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		now := time.Now().Unix()
		ledger := forge.NewLedger(now-3600, now+86400)
		k := forge.NewKey("ES256", "swapped")
		k.Issuer, k.Kinds = i.URL(), []string{"at+jwt"}
		k.NotBefore, k.SigningEnds, k.Expires = now-3600, now+86400, now+90000
		payload := forge.JSON(map[string]any{"iss": k.Issuer, "sub": "x", "aud": audience, "iat": now, "exp": now + 7200})
		raw := ledger.Token(k, forge.Header("ES256", "at+jwt", "swapped"), payload, 1, now*1000)
		refused(t, v, raw, validate.CodeKeyUnknown)
		s.set(func(s *server) { s.body = forge.Set(ledger.Document(), ledger.JWK(k)) })
		refused(t, v, raw, validate.CodeLedgerPin)
		time.Sleep(time.Hour)
		refused(t, v, raw, validate.CodeLedgerPin)
		accepted(t, v, i.Token(validatetest.Claims{"aud": audience}))
	})
}

func TestForeignIssuerThatAnnouncesALedger(t *testing.T) {
	live(t, validatetest.Config{Foreign: true}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		s.metadata = []byte(`{"issuer":"x","seawall_ledger":"swl1-x"}`)
		v := trust(t, trusted)
		defer v.Close()
		refused(t, v, i.Token(validatetest.Claims{"aud": audience}), validate.CodeLedgerAnnounced)
		if err := v.Ready(t.Context()); !errors.Is(err, validate.CodeLedgerAnnounced) || !strings.Contains(err.Error(), "SeawallIssuer") {
			t.Errorf("ready: %v", err)
		}
	})
	live(t, validatetest.Config{Foreign: true}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		s.metadata = []byte(`{"issuer":"x"}`)
		v := trust(t, trusted)
		defer v.Close()
		accepted(t, v, i.Token(validatetest.Claims{"aud": audience}))
		s.set(func(s *server) { s.metadata = []byte(`{"issuer":"x","seawall\u005fledger":null}`) })
		time.Sleep(2 * time.Hour)
		refused(t, v, i.Token(validatetest.Claims{"aud": audience}), validate.CodeLedgerAnnounced) // keys from before are gone
	})
	wall := validatetest.NewIssuer(validatetest.Config{})
	live(t, validatetest.Config{Foreign: true}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		s.body = wall.Keys()
		v := trust(t, trusted)
		defer v.Close()
		refused(t, v, i.Token(validatetest.Claims{"aud": audience}), validate.CodeLedgerAnnounced)
	})
}

// What a seawall issuer's metadata say can't lower anything: they are not even looked at.
func TestSeawallMetadataAreNotRead(t *testing.T) {
	live(t, validatetest.Config{}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		s.metadata = []byte(`{"issuer":"x"}`)
		v := trust(t, trusted)
		defer v.Close()
		accepted(t, v, i.Token(validatetest.Claims{"aud": audience}))
		refused(t, v, i.Token(validatetest.Claims{"aud": audience}, validatetest.NoReceipt), validate.CodeReceiptMissing)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.probes != 0 {
			t.Errorf("%d looks at metadata", s.probes)
		}
	})
}

func TestClockStepsBack(t *testing.T) {
	live(t, validatetest.Config{}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		v := trust(t, trusted, func(c *validate.Config) { c.Now = i.Clock().Now })
		defer v.Close()
		raw := i.Token(validatetest.Claims{"aud": audience})
		accepted(t, v, raw)
		i.Clock().Advance(-time.Hour)
		refused(t, v, raw, validate.CodeNotYetValid)
		accepted(t, v, i.Token(validatetest.Claims{"aud": audience}))
		i.Clock().Advance(time.Hour)
		accepted(t, v, raw)
	})
}

func TestKeyEvents(t *testing.T) {
	live(t, validatetest.Config{}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		var mu sync.Mutex
		var kinds []string
		v := trust(t, trusted, func(c *validate.Config) {
			c.Observe = func(e validate.Event) {
				mu.Lock()
				defer mu.Unlock()
				if e.Kind == validate.KeysLoaded || e.Kind == validate.KeysRefused {
					kinds = append(kinds, string(e.Kind)+" "+string(e.Code))
				}
			}
		})
		if err := v.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.set(func(s *server) { s.status = 500 })
		time.Sleep(331 * time.Second)
		v.Close()
		mu.Lock()
		defer mu.Unlock()
		if len(kinds) < 2 || kinds[0] != "keys_loaded " || kinds[1] != "keys_refused keys_unavailable" {
			t.Errorf("events: %q", kinds)
		}
	})
}

func TestClose(t *testing.T) {
	live(t, validatetest.Config{}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		v := trust(t, trusted)
		accepted(t, v, i.Token(validatetest.Claims{"aud": audience}))
		v.Close()
		v.Close()
		n := s.count()
		time.Sleep(time.Hour)
		accepted(t, v, i.Token(validatetest.Claims{"aud": audience}))
		refused(t, v, i.Token(validatetest.Claims{"aud": audience}, validatetest.UnknownKey), validate.CodeKeyUnknown)
		if s.count() != n {
			t.Error("keys were fetched after Close")
		}
		s.delay = time.Hour
		hanging := trust(t, trusted)
		synctest.Wait()
		hanging.Close() // ends a load under way
		refused(t, hanging, i.Token(validatetest.Claims{"aud": audience}), validate.CodeKeysUnavailable)
		if err := hanging.Ready(t.Context()); err == nil {
			t.Error("ready after Close")
		}
	})
}

// Once with a true network, which behaves as the pipes of the other tests do.
func TestRemoteKeysOverHTTP(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	load := func(t *testing.T, act http.Handler) error {
		s := httptest.NewUnstartedServer(act)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.Start()
		defer s.Close()
		v := trust(t, issuer.Trusted().WithKeys(validate.RemoteKeys(s.URL+"/jwks")))
		defer v.Close()
		return v.Ready(t.Context())
	}
	if err := load(t, answering(200, issuer.Keys())); err != nil {
		t.Error(err)
	}
	for _, m := range misbehaviours(issuer) {
		if m.slow > 0 || m.down {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			if err := load(t, m.act); !errors.Is(err, m.code) || !strings.Contains(err.Error(), m.words) {
				t.Errorf("%v; want %s and %q", err, m.code, m.words)
			}
		})
	}
}

func TestFetchPin(t *testing.T) {
	wall := validatetest.NewServer(validatetest.Config{})
	defer wall.Close()
	pin, jwks, err := validate.FetchPin(t.Context(), wall.URL())
	if err != nil || pin != wall.Pin() || !bytes.Equal(jwks, wall.Keys()) {
		t.Errorf("pin %q, %v", pin, err)
	}
	foreign := validatetest.NewServer(validatetest.Config{Foreign: true})
	defer foreign.Close()
	if pin, _, err := validate.FetchPin(t.Context(), foreign.URL()); pin != "" || !errors.Is(err, validate.CodeLedgerPin) {
		t.Errorf("a foreign issuer: %q, %v", pin, err)
	}
	if pin, _, err := validate.FetchPin(t.Context(), wall.URL()+"/elsewhere"); pin != "" || !errors.Is(err, validate.CodeKeysUnavailable) {
		t.Errorf("a wrong path: %q, %v", pin, err)
	}
	if _, _, err := validate.FetchPin(t.Context(), "http://id.example"); err == nil || !strings.Contains(err.Error(), "https") {
		t.Errorf("over http: %v", err)
	}
}
