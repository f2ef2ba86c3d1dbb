package e2e

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"seawall/internal/testenv"
)

// statement is a line of `seawall distrust list --json`.
type statement struct {
	N     uint64 `json:"n"`
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

func distrusted(s *testenv.Seawall) []statement {
	var list struct {
		Statements []statement `json:"statements"`
	}
	s.JSON(&list, "distrust", "list", "--tenant", "acme")
	return list.Statements
}

// keyStates returns the states of acme's keys by kid.
func keyStates(s *testenv.Seawall) map[string]string {
	var list struct {
		Keys []struct{ KID, State string }
	}
	s.JSON(&list, "keys", "list", "--tenant", "acme")
	states := map[string]string{}
	for _, k := range list.Keys {
		states[k.KID] = k.State
	}
	return states
}

// signing returns the kid of the key that signs.
func signing(t *testing.T, s *testenv.Seawall) string {
	t.Helper()
	for kid, state := range keyStates(s) {
		if state == "active" {
			return kid
		}
	}
	t.Fatal("no key signs")
	return ""
}

func (w *world) active(t *testing.T, token string) bool {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		a := w.introspect(t, token)
		if a.status == http.StatusOK {
			return a.member("active") == "true"
		}
		if time.Now().After(deadline) {
			t.Fatalf("introspection: status %d, %s", a.status, a.body)
		}
	}
}

func claimOf(t *testing.T, token string, part int, name string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[part])
	var claims map[string]any
	if err != nil || json.Unmarshal(text, &claims) != nil {
		t.Fatalf("not a token: %v", err)
	}
	value, _ := claims[name].(string)
	return value
}

// TestRevocationFromEndToEnd: a client gives up its token, an operator revokes and restores; introspection goes by each at
// once, and the log can tell.
func TestRevocationFromEndToEnd(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	given, other := w.token(t), w.token(t)
	metadata, err := w.get(w.Issuer + "/.well-known/oauth-authorization-server")
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.post(metadata.member("revocation_endpoint"), w.ClientID, w.ClientSecret, url.Values{"token": {given}})
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("revocation: %+v, %v", a, err)
	}
	if w.active(t, given) || !w.active(t, other) {
		t.Error("the token that was given up is active, or another is not")
	}
	jti := claimOf(t, given, 1, "jti")
	if list := distrusted(s); len(list) != 1 || list[0].Kind != "token" || list[0].Value != jti {
		t.Fatalf("distrusted is %+v", list)
	}
	if found := search(t, s, "--jti", jti); len(found) != 2 || found[1].Kind != "distrust.stated" {
		t.Errorf("the log says %+v about the token", found)
	}
	s.Run("token", "restore", "1", "--tenant", "acme", "--yes")
	if !w.active(t, given) || len(distrusted(s)) != 0 {
		t.Error("what was taken back does not count")
	}
	// A leaked token is piped in; only its name is used, and nothing of it comes out.
	cmd := s.Command("token", "revoke", "--tenant", "acme", "--token-from-stdin", "--reason", "leaked-token", "--yes")
	cmd.Stdin = strings.NewReader(other)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), other[len(other)-40:]) || !strings.Contains(string(out), claimOf(t, other, 1, "jti")) {
		t.Errorf("token revoke: %v, %s", err, out)
	}
	if w.active(t, other) || !w.active(t, given) {
		t.Error("the token that leaked is active, or another is not")
	}
	s.Run("token", "revoke", "--tenant", "acme", "--client", w.ClientID, "--reason", "admin", "--yes")
	if w.active(t, given) {
		t.Error("a token of a client that was revoked is active")
	}
	waitFor(t, func() bool { return w.active(t, w.token(t)) }) // the next second's tokens are new ones
	// Without a word of agreement nothing is done.
	cmd = s.Command("token", "revoke", "--tenant", "acme", "--subject", "ci", "--reason", "admin")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "nothing was done") || len(distrusted(s)) != 2 {
		t.Errorf("without --yes: %v, %s", err, out)
	}
	// The feed is there for the API, and for nobody else.
	for name, pair := range map[string][2]string{"the API": {w.APIID, w.APISecret}, "a client": {w.ClientID, w.ClientSecret}} {
		req, err := http.NewRequest("GET", metadata.member("seawall_distrust_feed"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(pair[0], pair[1])
		a, err := w.do(req)
		if err != nil || name == "the API" && (a.status != 200 || a.member("n") != "4") || name != "the API" && a.status != 401 {
			t.Errorf("the feed for %s: %+v, %v", name, a, err)
		}
	}
	if status, out := verify(s); status != 0 {
		t.Errorf("log verify: status %d, %s", status, out)
	}
	s.Stop()
}

// TestAStolenKeyIsDistrustedUnderLoad: clients go on getting tokens under the promoted spare, those under the stolen key
// are inactive at once, and giving the key back works.
func TestAStolenKeyIsDistrustedUnderLoad(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	stolen := signing(t, s)
	before := w.token(t)
	if _, out := failing(s, "keys", "distrust", stolen, "--tenant", "acme", "--reason", "key-compromise", "--yes"); !strings.Contains(out, "--young-spare") {
		t.Fatalf("a young spare: %s", out)
	}
	var tokens, failures atomic.Int64
	var last atomic.Pointer[string]
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				a, err := w.ask()
				if err != nil || a.status != http.StatusOK {
					failures.Add(1)
					continue
				}
				token := a.member("access_token")
				last.Store(&token)
				tokens.Add(1)
			}
		})
	}
	waitFor(t, func() bool { return tokens.Load() > 50 })
	s.Run("keys", "distrust", stolen, "--tenant", "acme", "--reason", "key-compromise", "--young-spare", "--yes")
	if w.active(t, before) {
		t.Error("a token under the stolen key is active")
	}
	at := tokens.Load()
	waitFor(t, func() bool { return tokens.Load() > at+50 })
	close(stop)
	clients.Wait()
	if failures.Load() != 0 {
		t.Errorf("%d requests for tokens failed", failures.Load())
	}
	if kid := claimOf(t, *last.Load(), 0, "kid"); kid == stolen || keyStates(s)[kid] != "active" {
		t.Errorf("the last token is under %s", kid)
	}
	w.accepted(t, s, *last.Load())
	if status, out := w.check(t, s, before, "--pin", w.Pin); status != 1 {
		t.Errorf("a token under the stolen key: status %d, %s", status, out)
	}
	if keyStates(s)[stolen] != "suspended" {
		t.Errorf("the keys are %v", keyStates(s))
	}
	s.Run("keys", "distrust", stolen, "--tenant", "acme", "--reason", "mistake", "--undo", "--yes")
	if !w.active(t, before) || keyStates(s)[stolen] != "verify-only" || len(distrusted(s)) != 0 {
		t.Error("the key that was given back does not verify")
	}
	if status, out := verify(s); status != 0 {
		t.Errorf("log verify: status %d, %s", status, out)
	}
	s.Stop()
}

// failing runs a command that must fail.
func failing(s *testenv.Seawall, args ...string) (int, string) {
	cmd := s.Command(args...)
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

// TestKilledDuringDistrust kills each process in the middle of an act. Afterwards nothing of it was done, or everything:
// the step, the statement and the next key.
func TestKilledDuringDistrust(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	done, undone := 0, 0
	for i := range max(8, kills()/4) {
		victim := []string{"house", "signer", "ledger", "supervisor"}[i%4]
		stolen := signing(t, s)
		before := w.tokenSoon(t)
		cmd := s.Command("keys", "distrust", stolen, "--tenant", "acme", "--reason", "key-compromise", "--young-spare", "--yes")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(60 * time.Millisecond))))
		if victim == "supervisor" {
			if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			s.Exited()
			_ = cmd.Wait()
			s = testenv.Start(t, s.Options)
		} else {
			if err := syscall.Kill(s.Child(victim), syscall.SIGKILL); err != nil && err != syscall.ESRCH {
				t.Fatal(err)
			}
			_ = cmd.Wait()
		}
		after := w.tokenSoon(t)
		waitFor(t, func() bool { // what was begun is finished within seconds
			return s.Command("distrust", "list", "--tenant", "acme").Run() == nil && s.Command("keys", "list", "--tenant", "acme").Run() == nil
		})
		told := slices.ContainsFunc(distrusted(s), func(d statement) bool { return d.Kind == "key" && d.Value == stolen })
		kid := claimOf(t, after, 0, "kid")
		switch state := keyStates(s)[stolen]; {
		case state == "suspended" && told && kid != stolen && !w.active(t, before):
			done++
		case state == "active" && !told && kid == stolen && w.active(t, before):
			undone++
		default:
			// The signer may have heard of it after the token was signed: look again.
			waitFor(t, func() bool {
				told := slices.ContainsFunc(distrusted(s), func(d statement) bool { return d.Kind == "key" && d.Value == stolen })
				return keyStates(s)[stolen] == "suspended" && told && !w.active(t, before)
			})
			done++
		}
		if t.Failed() {
			t.Fatalf("killed the %s in round %d", victim, i)
		}
	}
	t.Logf("%d done, %d not begun", done, undone)
	if status, out := verify(s); status != 0 {
		t.Errorf("log verify: status %d, %s", status, out)
	}
	s.Stop()
}
