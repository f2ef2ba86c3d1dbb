package e2e

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"seawall/internal/testenv"
	"seawall/validate"
	"seawall/validate/validatetest"
)

// protected is an API behind validate that follows the distrust feed of a world's issuer.
type protected struct {
	t     *testing.T
	v     *validate.Validator
	door  *httptest.Server
	clock *validatetest.Clock

	mu   sync.Mutex
	told []string // kinds and codes of events about the feed
}

// protect starts such an API. feedURL, if not empty, is where the feed comes from instead.
func (w *world) protect(t *testing.T, feedURL string) *protected {
	t.Helper()
	p := &protected{t: t, clock: &validatetest.Clock{}}
	feed := validate.Feed{ID: w.APIID, Secret: validate.NewSecret(w.APISecret), OnStale: validate.RefuseWhenStale(), URL: feedURL}
	v, err := validate.New(validate.Config{
		Issuers: []validate.Issuer{validate.SeawallIssuer(w.Issuer, w.Pin).WithFeed(feed)}, Audiences: []string{w.audience}, Now: p.clock.Now,
		Observe: func(e validate.Event) {
			if strings.HasPrefix(string(e.Kind), "feed_") {
				p.mu.Lock()
				p.told = append(p.told, strings.TrimSpace(string(e.Kind)+" "+string(e.Code)))
				p.mu.Unlock()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.v = v
	p.door = httptest.NewServer(v.Handler(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { io.WriteString(out, "welcome") })))
	t.Cleanup(func() { p.door.Close(); v.Close() })
	if err := v.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// says gives how the API answers to a token: "welcome", or why not.
func (p *protected) says(token string) string {
	p.t.Helper()
	req, err := http.NewRequest("GET", p.door.URL, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return string(body)
	case http.StatusServiceUnavailable:
		return "unavailable"
	}
	_, code, _ := strings.Cut(resp.Header.Get("WWW-Authenticate"), `error_description="`)
	return strings.TrimSuffix(code, `"`)
}

// read gives what the API reads in a token, which must be good.
func (p *protected) read(token string) *validate.Token {
	p.t.Helper()
	read, err := p.v.Token(p.t.Context(), token)
	if err != nil {
		p.t.Fatal(err)
	}
	return read
}

// hears waits until an event about the feed was reported.
func (p *protected) hears(event string) {
	p.t.Helper()
	waitFor(p.t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, e := range p.told {
			if e == event {
				return true
			}
		}
		return false
	})
}

// TestAnAPIFollowsTheFeed: what an operator or a client revokes, an API refuses that had accepted it before; what is taken
// back, it accepts again.
func TestAnAPIFollowsTheFeed(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	p := w.protect(t, "")
	leaked, other := w.token(t), w.token(t)
	for range 2 { // the second time it is remembered
		for _, token := range []string{leaked, other} {
			if said := p.says(token); said != "welcome" {
				t.Fatalf("a good token: %s", said)
			}
		}
	}
	revoke := s.Command("token", "revoke", "--tenant", "acme", "--token-from-stdin", "--reason", "leaked-token", "--yes")
	revoke.Stdin = strings.NewReader(leaked)
	if out, err := revoke.CombinedOutput(); err != nil {
		t.Fatalf("token revoke: %v, %s", err, out)
	}
	waitFor(t, func() bool { return p.says(leaked) == "revoked" })
	if said := p.says(other); said != "welcome" {
		t.Errorf("another token: %s", said)
	}
	s.Run("token", "restore", "1", "--tenant", "acme", "--yes")
	waitFor(t, func() bool { return p.says(leaked) == "welcome" })

	// A client gives its token up (RFC 7009).
	metadata, err := w.get(w.Issuer + "/.well-known/oauth-authorization-server")
	if err != nil {
		t.Fatal(err)
	}
	if a, err := w.post(metadata.member("revocation_endpoint"), w.ClientID, w.ClientSecret, url.Values{"token": {leaked}}); err != nil || a.status != http.StatusOK {
		t.Fatalf("revocation: %+v, %v", a, err)
	}
	waitFor(t, func() bool { return p.says(leaked) == "revoked" })

	// A key is stolen, and then it was not.
	stolen := p.read(other).KeyID()
	s.Run("keys", "distrust", stolen, "--tenant", "acme", "--reason", "key-compromise", "--young-spare", "--yes")
	waitFor(t, func() bool { return p.says(other) == "key_distrusted" })
	waitFor(t, func() bool { return p.says(w.tokenSoon(t)) == "welcome" })
	s.Run("keys", "distrust", stolen, "--tenant", "acme", "--reason", "mistake", "--undo", "--yes")
	waitFor(t, func() bool { return p.says(other) == "welcome" })

	if state := p.v.Feeds()[0]; !state.Streaming || state.Alarms > 0 || state.Phase != validate.FeedFresh {
		t.Errorf("the feed's state is %+v", state)
	}
	s.Stop()
}

// TestASilentLedgerAgesTheFeed: when the ledger signs no more heads, what an API knows ages, and when the last head has
// expired the API does what it was told to: refuse. It recovers with the ledger.
func TestASilentLedgerAgesTheFeed(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	p := w.protect(t, "")
	token := w.token(t)
	ledger := s.Child("ledger")
	if err := syscall.Kill(ledger, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(ledger, syscall.SIGCONT)
	if said := p.says(token); said != "welcome" {
		t.Fatalf("a moment after the ledger fell silent: %s", said)
	}
	p.clock.Advance(time.Minute)
	waitFor(t, func() bool { return p.says(token) == "unavailable" })
	p.hears("feed_overdue feed_stale")
	p.clock.Advance(-time.Minute)
	if said := p.says(token); said != "unavailable" {
		t.Errorf("after the clock was set back: %s", said)
	}
	if err := syscall.Kill(ledger, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return p.says(token) == "welcome" })
	p.hears("feed_recovered")
	s.Stop()
}

// TestAReplayedSnapshotIsAnAlarm: whoever stands between house and API, or is the house, and shows it how things were
// before a revocation, changes nothing and is noticed.
func TestAReplayedSnapshotIsAnAlarm(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	house, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	var replay atomic.Pointer[answer] // in the place of everything
	through := httputil.NewSingleHostReverseProxy(house)
	through.FlushInterval = -1
	streams, end := context.WithCancel(context.Background())
	proxy := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if old := replay.Load(); old != nil {
			out.Header().Set("Content-Type", old.header.Get("Content-Type"))
			if strings.HasSuffix(r.URL.Path, "/events") {
				out.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(out, "event: snapshot\ndata: "+string(old.body)+"\n\n")
				return
			}
			out.Write(old.body)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer context.AfterFunc(streams, cancel)()
		defer cancel()
		through.ServeHTTP(out, r.WithContext(ctx))
	}))
	defer proxy.Close()
	defer end()
	feedURL := proxy.URL + strings.TrimPrefix(w.Issuer, s.URL) + "/distrust"
	p := w.protect(t, feedURL)
	token, good := w.token(t), w.token(t)
	if said := p.says(token); said != "welcome" {
		t.Fatalf("a good token: %s", said)
	}
	req, err := http.NewRequest("GET", feedURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(w.APIID, w.APISecret)
	old, err := w.do(req)
	if err != nil || old.status != http.StatusOK {
		t.Fatalf("the snapshot: %+v, %v", old, err)
	}
	s.Run("token", "revoke", "--tenant", "acme", "--jti", p.read(token).ID(), "--reason", "leaked-token", "--yes")
	waitFor(t, func() bool { return p.says(token) == "revoked" })
	replay.Store(old)
	end()
	p.hears("feed_refused feed_rolled_back")
	if said := p.says(token); said != "revoked" {
		t.Errorf("a revoked token, after the replay: %s", said)
	}
	if said := p.says(good); said != "welcome" {
		t.Errorf("a good token, while the last head has not expired: %s", said)
	}
	if state := p.v.Feeds()[0]; state.Alarms == 0 || state.Sequence != 1 {
		t.Errorf("the feed's state is %+v", state)
	}
	p.clock.Advance(time.Minute)
	waitFor(t, func() bool { return p.says(good) == "unavailable" })
	s.Stop()
}

// TestTheExampleAPIFollowsTheFeed when it is given its credentials.
func TestTheExampleAPIFollowsTheFeed(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(w.APISecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address, said := w.example(t, "-api-id", w.APIID, "-secret-file", secret)
	token := w.token(t)
	answers := func(status int) bool {
		req, err := http.NewRequest("GET", "http://"+address+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		a, err := w.do(req)
		return err == nil && a.status == status
	}
	waitFor(t, func() bool { return answers(http.StatusOK) })
	s.Run("token", "revoke", "--tenant", "acme", "--client", w.ClientID, "--reason", "admin", "--yes")
	waitFor(t, func() bool { return answers(http.StatusUnauthorized) })
	if strings.Contains(said.String(), w.APISecret) {
		t.Error("the example told its secret")
	}
	s.Stop()
}

// TestTheSnippetsOfTheFeedsPageCompile, as they stand, inside a function.
func TestTheSnippetsOfTheFeedsPageCompile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs/feed.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := goBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("there are %d snippets, want 2", len(blocks))
	}
	compiles(t, "import (\n\"time\"\n\n\"seawall/validate\"\n)\n\nfunc main() {\nvar pin, apiID, apiSecret string\n"+blocks[0][1]+"_ = issuer\n}\n")
	compiles(t, "import (\n\"seawall/validate\"\n\"seawall/validate/validatetest\"\n)\n\nfunc main() {\nvar jti string\n"+blocks[1][1]+"_ = trusted\n}\n")
}
