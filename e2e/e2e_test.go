// Package e2e drives the release binaries as real processes, over real sockets and files, the way an operator, a service
// and an attacker would. Nothing in here reaches into seawall: what it checks is what everybody outside can see.
package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"seawall/internal/testenv"
)

// program is the seawall that all tests of this package run.
var program string

// stranger is an unprivileged user id that owns nothing: the tests start seawall as it when they run as root.
const stranger = 61999

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "seawall-bin-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // the stranger runs it too
	}
	if err == nil {
		err = testenv.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "seawall")
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// start starts a new seawall as the present user.
func start(t *testing.T) *testenv.Seawall {
	t.Helper()
	return testenv.Start(t, testenv.Options{Binary: program})
}

// asStranger are the options for a seawall without root's rights.
func asStranger() testenv.Options {
	o := testenv.Options{Binary: program}
	if os.Geteuid() == 0 {
		o.UID = stranger
	}
	return o
}

// The JSON members that scripts rely on.
type (
	tenant struct {
		Tenant        string `json:"tenant"`
		Issuer        string `json:"issuer"`
		TokenEndpoint string `json:"token_endpoint"`
	}
	api struct {
		APIID     string `json:"api_id"`
		APISecret string `json:"api_secret"`
		Pin       string `json:"pin"`
	}
	client struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
)

// world is a tenant with an API and a client, as in the README.
type world struct {
	tenant
	api
	client
	audience string
	http     *http.Client
}

// populate creates the world in s, under a tenant name.
func populate(t *testing.T, s *testenv.Seawall, name string) *world {
	t.Helper()
	w := &world{audience: "https://api." + name + ".example", http: &http.Client{Timeout: 30 * time.Second}}
	s.JSON(&w.tenant, "tenant", "create", name, "--class", "production", "--owner", "ops@acme.example",
		"--contact", "a@acme.example", "--contact", "b@acme.example")
	s.JSON(&w.api, "api", "create", w.audience, "--tenant", name, "--scope", "read", "--scope", "write")
	s.JSON(&w.client, "client", "create", "ci", "--tenant", name, "--grant", "client_credentials", "--api", w.audience, "--scope", "read")
	for what, value := range map[string]string{
		"tenant": w.Tenant, "issuer": w.Issuer, "token_endpoint": w.TokenEndpoint, "api_id": w.APIID,
		"api_secret": w.APISecret, "pin": w.Pin, "client_id": w.ClientID, "client_secret": w.ClientSecret,
	} {
		if value == "" {
			t.Fatalf("creating %s: there is no %s in the JSON", name, what)
		}
	}
	return w
}

// answer is what an endpoint said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// member returns a member of a JSON answer as text.
func (a *answer) member(name string) string {
	var all map[string]any
	if json.Unmarshal(a.body, &all) != nil || all[name] == nil {
		return ""
	}
	return fmt.Sprint(all[name])
}

func (w *world) post(endpoint, user, password string, form url.Values) (*answer, error) {
	req, err := http.NewRequest("POST", endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(user), url.QueryEscape(password)) // RFC 6749 §2.3.1
	return w.do(req)
}

func (w *world) get(address string) (*answer, error) {
	req, err := http.NewRequest("GET", address, nil)
	if err != nil {
		return nil, err
	}
	return w.do(req)
}

func (w *world) do(req *http.Request) (*answer, error) {
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return &answer{resp.StatusCode, resp.Header, body}, err
}

// ask asks for a token as the world's client.
func (w *world) ask() (*answer, error) {
	return w.post(w.TokenEndpoint, w.ClientID, w.ClientSecret, url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}})
}

// token gets a token, which must succeed.
func (w *world) token(t *testing.T) string {
	t.Helper()
	a, err := w.ask()
	if err != nil {
		t.Fatalf("asking for a token: %v", err)
	}
	token := a.member("access_token")
	if a.status != http.StatusOK || token == "" {
		t.Fatalf("asking for a token: status %d, %s", a.status, a.body)
	}
	return token
}

// tokenSoon gets a token from a seawall that is just recovering.
func (w *world) tokenSoon(t *testing.T) string {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		a, err := w.ask()
		if err == nil && a.status == http.StatusOK {
			return a.member("access_token")
		}
		if time.Now().After(deadline) {
			t.Fatalf("no token within a minute: %+v, %v", a, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// check runs `seawall validate` on a token and returns its exit status and what it printed.
func (w *world) check(t *testing.T, s *testenv.Seawall, token string, args ...string) (int, string) {
	t.Helper()
	cmd := s.Command(append([]string{"validate", "--json", "--issuer", w.Issuer, "--audience", w.audience}, args...)...)
	cmd.Stdin = strings.NewReader(token + "\n")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("seawall validate: %v", err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// accepted checks that a token is good, pinned.
func (w *world) accepted(t *testing.T, s *testenv.Seawall, token string) {
	t.Helper()
	if status, out := w.check(t, s, token, "--pin", w.Pin); status != 0 {
		t.Fatalf("a good token is refused: status %d, %s", status, out)
	}
}

// introspect asks about a token as the world's API.
func (w *world) introspect(t *testing.T, token string) *answer {
	t.Helper()
	metadata, err := w.get(w.Issuer + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.post(metadata.member("introspection_endpoint"), w.APIID, w.APISecret, url.Values{"token": {token}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// entry is a line of `seawall log search --json`.
type entry struct {
	Kind      string            `json:"kind"`
	JTI       string            `json:"jti"`
	TokenKind string            `json:"token_kind"`
	Detail    map[string]string `json:"detail"`
}

// search returns the entries that `seawall log search` finds.
func search(t *testing.T, s *testenv.Seawall, args ...string) []entry {
	t.Helper()
	var list []entry
	for line := range strings.Lines(s.Run(append([]string{"log", "search", "--json"}, args...)...)) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("log search: %q: %v", line, err)
		}
		list = append(list, e)
	}
	return list
}

// verify runs `seawall log verify` and returns its exit status and what it printed.
func verify(s *testenv.Seawall, args ...string) (int, string) {
	cmd := s.Command(append([]string{"log", "verify"}, args...)...)
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

// checkSoon checks that a good token is accepted, by keys from a house that is just starting.
func (w *world) checkSoon(t *testing.T, s *testenv.Seawall, token string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		status, out := w.check(t, s, token, "--pin", w.Pin)
		if status == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not accepted within a minute: status %d, %s", status, out)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
