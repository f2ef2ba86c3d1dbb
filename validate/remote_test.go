package validate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

// Answers of every bad kind, at the start and later: none gets in, and none pushes good keys out.
func TestBadAnswersNeverReplaceGoodKeys(t *testing.T) {
	other := validatetest.NewIssuer(validatetest.Config{})
	for name, c := range map[string]struct {
		change func(*server)
		code   validate.Code
	}{
		"unavailable":  {func(s *server) { s.status = 503 }, validate.CodeKeysUnavailable},
		"not found":    {func(s *server) { s.status = 404 }, validate.CodeKeysUnavailable},
		"no content":   {func(s *server) { s.status, s.body = 204, nil }, validate.CodeKeysUnavailable},
		"partial":      {func(s *server) { s.status = 206 }, validate.CodeKeysUnavailable},
		"not modified": {func(s *server) { s.status, s.body = 304, nil }, validate.CodeKeysUnavailable},
		"redirect":     {func(s *server) { s.status = 302; s.header.Set("Location", "https://evil.invalid/jwks") }, validate.CodeKeysUnavailable},
		"moved":        {func(s *server) { s.status = 308; s.header.Set("Location", "/other") }, validate.CodeKeysUnavailable},
		"empty body":   {func(s *server) { s.body = nil }, validate.CodeKeysUnavailable},
		"garbage":      {func(s *server) { s.body = []byte("<html>") }, validate.CodeKeysUnavailable},
		"no keys":      {func(s *server) { s.body = bytes.Replace(s.body, []byte(`"keys":[`), []byte(`"keys":[],"x":[`), 1) }, validate.CodeKeysUnavailable},
		"cut":          {func(s *server) { s.body = s.body[:len(s.body)-1] }, validate.CodeKeysUnavailable},
		"oversized":    {func(s *server) { s.body = append(bytes.Clone(s.body), bytes.Repeat([]byte(" "), 512<<10)...) }, validate.CodeKeysUnavailable},
		"16 megabytes": {func(s *server) { s.body = bytes.Repeat([]byte("["), 16<<20) }, validate.CodeKeysUnavailable},
		"hanging":      {func(s *server) { s.delay = time.Hour }, validate.CodeKeysUnavailable},
		"only doubtful": {func(s *server) {
			s.body = bytes.ReplaceAll(s.body, []byte(`"ledger_statement":"`), []byte(`"ledger_statement":"A`))
		}, validate.CodeKeysUnavailable},
		"swapped":        {func(s *server) { s.body = other.Keys() }, validate.CodeLedgerPin},
		"without ledger": {func(s *server) { s.body = bytes.Replace(s.body, []byte(`"seawall_ledger"`), []byte(`"x"`), 1) }, validate.CodeLedgerPin},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, validatetest.Config{}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
				good := s.body
				v := trust(t, trusted)
				defer v.Close()
				if err := v.Ready(t.Context()); err != nil {
					t.Fatal(err)
				}
				s.set(c.change)
				for range 12 {
					time.Sleep(5 * time.Minute)
					accepted(t, v, i.Token(validatetest.Claims{"aud": audience}))
				}
				fresh := trust(t, trusted)
				defer fresh.Close()
				refused(t, fresh, i.Token(validatetest.Claims{"aud": audience}), c.code)
				time.Sleep(30 * time.Second)
				if err := fresh.Ready(t.Context()); !errors.Is(err, c.code) {
					t.Errorf("ready: %v, want %s", err, c.code)
				}
				s.set(func(s *server) {
					s.status, s.body, s.delay = 200, good, 0
					s.header.Del("Location")
				})
				time.Sleep(2 * time.Minute)
				accepted(t, fresh, i.Token(validatetest.Claims{"aud": audience}))
			})
		})
	}
}

func TestStaleKeysServeForADay(t *testing.T) {
	live(t, validatetest.Config{}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		v := trust(t, trusted)
		defer v.Close()
		accepted(t, v, i.Token(validatetest.Claims{"aud": audience}))
		s.set(func(s *server) { s.status = 500 })
		time.Sleep(24*time.Hour - 10*time.Minute)
		accepted(t, v, i.Token(validatetest.Claims{"aud": audience}))
		time.Sleep(20 * time.Minute)
		refused(t, v, i.Token(validatetest.Claims{"aud": audience}), validate.CodeKeysStale)
		refused(t, v, i.Token(validatetest.Claims{"aud": audience}, validatetest.UnknownKey), validate.CodeKeysStale)
		s.set(func(s *server) { s.status = 200 })
		time.Sleep(2 * time.Minute)
		accepted(t, v, i.Token(validatetest.Claims{"aud": audience}))
	})
}

func TestRefreshFollowsCacheHeaders(t *testing.T) {
	for control, want := range map[string][2]int{
		"max-age=600": {5, 8}, "public, MAX-AGE=600": {5, 8}, "": {10, 15}, "max-age=1": {100, 140}, "no-store": {100, 140}, "max-age=999999999": {1, 3},
		"max-age=x": {100, 140}, "max-age=-1": {100, 140},
	} {
		live(t, validatetest.Config{}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
			s.header.Set("Cache-Control", control)
			v := trust(t, trusted)
			defer v.Close()
			time.Sleep(time.Hour + time.Minute)
			if n := s.count(); n < want[0] || n > want[1] {
				t.Errorf("%q: %d fetches in an hour, want %v", control, n, want)
			}
		})
	}
}

func TestUnchangedKeysStayFresh(t *testing.T) {
	live(t, validatetest.Config{}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		s.header.Set("ETag", `"v1"`)
		v := trust(t, trusted)
		defer v.Close()
		time.Sleep(30 * time.Hour)
		accepted(t, v, i.Token(validatetest.Claims{"aud": audience})) // 304 counts as a successful load
	})
}

// Somebody sends ten thousand tokens with random key names in ten seconds. That must not become
// ten thousand fetches, and a true rotation in the middle of it must be seen.
func TestKeyStorm(t *testing.T) {
	live(t, validatetest.Config{Foreign: true}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		v := trust(t, trusted)
		defer v.Close()
		if err := v.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		payload := forge.JSON(map[string]any{"iss": i.URL(), "sub": "x", "aud": audience, "iat": time.Now().Unix(), "exp": time.Now().Unix() + 600})
		storm := func(n int) {
			header := forge.Text(forge.Header("EdDSA", "at+jwt", fmt.Sprintf("random-%d", n)))
			refused(t, v, header+"."+forge.Text(payload)+"."+strings.Repeat("A", 86), validate.CodeKeyUnknown)
		}
		before := s.count()
		for n := range 10000 {
			storm(n)
			time.Sleep(time.Millisecond)
		}
		if n := s.count() - before; n > 3 {
			t.Errorf("%d fetches for 10000 random keys", n)
		}
		rotated := forge.NewKey("EdDSA", "rotated")
		good := rotated.Sign(forge.Header("EdDSA", "at+jwt", "rotated"), payload)
		s.set(func(s *server) { s.body = forge.Set(nil, rotated.JWK()) })
		start := time.Now()
		for n := 0; ; n++ {
			storm(n)
			if _, err := v.Token(t.Context(), good); err == nil {
				break
			}
			if time.Since(start) > 30*time.Second {
				t.Fatal("the new key was not seen in 30 seconds")
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

func TestBadSignaturesNeverFetch(t *testing.T) {
	live(t, validatetest.Config{}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		v := trust(t, trusted)
		defer v.Close()
		if err := v.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 200 {
			refused(t, v, i.Token(validatetest.Claims{"aud": audience}, validatetest.BadSignature), validate.CodeSignature)
			refused(t, v, i.Token(validatetest.Claims{"aud": audience}, validatetest.ExpiredKey), validate.CodeKeyExpired)
			refused(t, v, i.Token(validatetest.Claims{"aud": audience}, validatetest.ForgedClaims), validate.CodeReceiptMismatch)
		}
		if n := s.count(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

// A key that is published ahead and then used needs no fetch, and its window is judged by the clock.
func TestPublishedAhead(t *testing.T) {
	live(t, validatetest.Config{Foreign: true}, func(t *testing.T, i *validatetest.Issuer, s *server, trusted validate.Issuer) {
		next := forge.NewKey("EdDSA", "next")
		next.NotBefore, next.Expires = time.Now().Unix()+60, time.Now().Unix()+7200
		s.body = forge.Set(nil, next.JWK())
		v := trust(t, trusted)
		defer v.Close()
		token := func() string {
			now := time.Now().Unix()
			return next.Sign(forge.Header("EdDSA", "at+jwt", "next"), forge.JSON(map[string]any{"iss": i.URL(), "sub": "x", "aud": audience, "iat": now, "exp": now + 60}))
		}
		refused(t, v, token(), validate.CodeKeyNotYetValid)
		time.Sleep(61 * time.Second)
		accepted(t, v, token())
		if n := s.count(); n != 1 {
			t.Errorf("%d fetches", n)
		}
		s.set(func(s *server) { s.status = 500 })
		time.Sleep(2 * time.Hour)
		refused(t, v, token(), validate.CodeKeyExpired) // though the document is still served from memory
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

// Once with a true network: redirects, and a body that never ends.
func TestRemoteKeysOverHTTP(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(w http.ResponseWriter, r *http.Request) { w.Write(issuer.Keys()) })
	mux.Handle("/redirect", http.RedirectHandler("/good", http.StatusFound))
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte(" "), 64<<10)); err != nil {
				return
			}
		}
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	for path, want := range map[string]string{"/good": "", "/redirect": "302", "/endless": "larger", "/missing": "404"} {
		v := trust(t, issuer.Trusted().WithKeys(validate.RemoteKeys(s.URL+path)))
		err := v.Ready(t.Context())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		v.Close()
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
