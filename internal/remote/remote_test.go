package remote

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"seawall/internal/secret"
)

func TestParseBase(t *testing.T) {
	for text, want := range map[string]string{
		"https://id.example": "https://id.example", "https://id.example/": "https://id.example", " https://id.example/operators ": "https://id.example", "https://id.example/base/": "https://id.example/base",
		"http://localhost:8420": "http://localhost:8420", "http://127.0.0.1:1": "http://127.0.0.1:1", "http://[::1]:1": "http://[::1]:1",
		"http://id.example": "", "http://localhost.evil.example": "", "id.example": "", "ftp://id.example": "", "https://a@id.example": "", "https://id.example?x": "", "": "", "https://": "",
	} {
		if got, err := ParseBase(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// TestTheBrowsersAnswer: only one that knows the state counts, and only from the server that was asked.
func TestTheBrowsersAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		query string
		want  string // part of the error; "code" for none, "" for an answer that is not looked at
	}{
		"a good one":        {"state=S&iss=https://id.example/operators&code=C", "code"},
		"another state":     {"state=T&iss=https://id.example/operators&code=C", ""},
		"no state":          {"iss=https://id.example/operators&code=C", ""},
		"another server":    {"state=S&iss=https://evil.example/operators&code=C", "another server"},
		"no server":         {"state=S&code=C", "another server"},
		"no code":           {"state=S&iss=https://id.example/operators", "no code"},
		"denied":            {"state=S&iss=https://id.example/operators&error=access_denied", "says no"},
		"an error":          {"state=S&iss=https://id.example/operators&error=server_error&error_description=a%1b[2Jb", "server_error: a?[2Jb"},
		"an error and code": {"state=S&iss=https://id.example/operators&error=server_error&code=C", "server_error"},
	} {
		w := &waiting{issuer: "https://id.example/operators", state: "S", came: make(chan answer, 1)}
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, httptest.NewRequest("GET", "/callback?"+c.query, nil))
		if strings.Contains(rec.Body.String(), "C<") || rec.Header().Get("Content-Security-Policy") == "" && c.want != "" {
			t.Errorf("%s: the page is %s", name, rec.Body)
		}
		select {
		case a := <-w.came:
			got := "code"
			if a.err != nil {
				got = a.err.Error()
			}
			if c.want == "" || !strings.Contains(got, c.want) {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		default:
			if c.want != "" || rec.Code != http.StatusNotFound {
				t.Errorf("%s: not looked at, %d", name, rec.Code)
			}
		}
	}
}

// TestTheQuestion: everything that makes a caught code worthless is in it.
func TestTheQuestion(t *testing.T) {
	w := &waiting{state: "S", verifier: strings.Repeat("v", 52), redirect: "http://127.0.0.1:4711/callback"}
	q := w.question("https://id.example/operators/admin", "JKT", 300)
	for name, want := range map[string]string{"response_type": "code", "code_challenge_method": "S256", "state": "S", "dpop_jkt": "JKT", "max_age": "300", "resource": "https://id.example/operators/admin", "client_id": ClientID} {
		if q.Get(name) != want {
			t.Errorf("%s is %q", name, q.Get(name))
		}
	}
	if c := q.Get("code_challenge"); len(c) != 43 || strings.Contains(q.Encode(), w.verifier) {
		t.Errorf("the challenge is %q", c)
	}
	if q = w.question("", "", -1); q.Has("max_age") {
		t.Error("an age is asked for")
	}
}

func login(t *testing.T, dir, base string) *Login {
	t.Helper()
	l, err := newLogin(base)
	if err != nil {
		t.Fatal(err)
	}
	if l.key, err = newKey(); err != nil {
		t.Fatal(err)
	}
	l.path, l.refresh = fileOf(dir, l.Base), secret.New("refresh")
	if err := errors.Join(l.save(), write(filepath.Join(dir, currentFile), []byte(l.Base))); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLoginsAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "seawall")
	if _, err := Load(dir, ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	one, two := login(t, dir, "https://one.example"), login(t, dir, "https://two.example")
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is %v, %v", info.Mode(), err)
	}
	for base, want := range map[string]*Login{"": two, "https://one.example": one, "https://two.example": two} {
		l, err := Load(dir, base)
		if err != nil || l.Base != want.Base || !l.key.Equal(want.key) || !l.refresh.Equal(want.refresh) {
			t.Errorf("%q: %+v, %v", base, l, err)
		}
	}
	if err := os.Chmod(two.path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, ""); err == nil || !strings.Contains(err.Error(), "can be read by others") {
		t.Errorf("a login that others can read: %v", err)
	}
	for name, text := range map[string]string{"empty": "", "another's": `{"base":"https://two.example"}`, "no key": `{"base":"https://one.example","key":"AAAA"}`} {
		if err := os.WriteFile(one.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir, one.Base); err == nil || !strings.Contains(err.Error(), "is damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := errors.Join(two.forget(), one.forget(), one.forget()); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// office is an admin API with a token endpoint, which wants a nonce, rotates and asks for fresh touches.
type office struct {
	*httptest.Server
	t       *testing.T
	grants  []string
	refresh string
	touched bool
	expired bool
	waking  int // how often it is not there yet
	revoked []string
	deaf    bool // what is to be revoked is not taken
	mu      sync.Mutex
}

func (o *office) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	say := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	parts := strings.Split(r.Header.Get("DPoP"), ".")
	var proof claims
	if len(parts) == 3 {
		text, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(text, &proof)
		if want := o.URL + r.URL.EscapedPath(); proof.Method != r.Method || proof.URL != want || proof.ID == "" {
			o.t.Errorf("a proof for %s is %+v", want, proof)
		}
	}
	switch r.URL.Path {
	case "/operators/.well-known/openid-configuration":
		say(200, places{o.URL + "/operators", o.URL + "/operators/authorize", o.URL + "/operators/token", o.URL + "/operators/revoke"})
	case "/operators/token":
		w.Header().Set("DPoP-Nonce", "N")
		if proof.Nonce != "N" {
			say(400, tokens{Error: "use_dpop_nonce"})
			return
		}
		o.grants = append(o.grants, r.FormValue("grant_type"))
		if r.FormValue("refresh_token") != o.refresh && r.FormValue("grant_type") == "refresh_token" {
			say(400, tokens{Error: "invalid_grant", Description: "gone"})
			return
		}
		o.refresh += "+"
		say(200, tokens{Access: "access" + o.refresh, Type: "DPoP", Expires: 600, Refresh: o.refresh})
	case "/operators/revoke":
		if o.deaf {
			http.Error(w, "", http.StatusServiceUnavailable)
			return
		}
		o.revoked = append(o.revoked, r.FormValue("token"))
	case "/operators/admin/v1/x":
		switch {
		case r.Header.Get("Authorization") != "DPoP access"+o.refresh || proof.Token == "":
			o.t.Errorf("asked with %q", r.Header.Get("Authorization"))
		case o.waking > 0:
			o.waking--
			w.Header().Set("Retry-After", "1")
			say(503, map[string]string{"error": "temporarily_unavailable"})
			return
		case o.expired:
			o.expired = false
			w.Header().Set("WWW-Authenticate", `DPoP realm="x", error="invalid_token", error_description="expired"`)
			http.Error(w, "", http.StatusUnauthorized)
			return
		case r.Method == "POST" && !o.touched:
			w.Header().Set("WWW-Authenticate", `DPoP error="insufficient_user_authentication", error_description="x", max_age="300"`)
			say(401, map[string]string{"error": "insufficient_user_authentication"})
			return
		}
		say(200, map[string]string{"ok": r.FormValue("body")})
	default:
		http.NotFound(w, r)
	}
}

// browse does what a person does at an address.
func (o *office) browse(address string) {
	u, err := url.Parse(address)
	if err != nil {
		o.t.Errorf("asked for %s", address)
		return
	}
	q := url.Values{"state": {u.Query().Get("state")}, "iss": {o.URL + "/operators"}, "code": {"code"}}
	go func() {
		if resp, err := http.Get(u.Query().Get("redirect_uri") + "?" + q.Encode()); err == nil {
			resp.Body.Close()
		}
	}()
}

// TestCommandsAtTheSameTime share one line of refresh tokens: each goes on where the one before stopped, and to the server
// none looks like a thief.
func TestCommandsAtTheSameTime(t *testing.T) {
	o := &office{t: t, refresh: "refresh"}
	o.Server = httptest.NewServer(o)
	defer o.Close()
	dir := t.TempDir()
	login(t, dir, o.URL)
	var commands []*Login
	for range 8 {
		l, err := Load(dir, o.URL)
		if err != nil {
			t.Fatal(err)
		}
		commands = append(commands, l)
	}
	var group sync.WaitGroup
	for _, l := range commands {
		group.Go(func() {
			for range 3 {
				if err := (transport{l}).renew(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if l, err := Load(dir, o.URL); err != nil || l.refresh.Reveal() != o.refresh || len(o.grants) != 24 {
		t.Errorf("after %d renewals: %v", len(o.grants), err)
	}
}

// TestNothingIsLeftBehind: whoever logs in anew, or out, has one login or none at the server, also when it did not answer at
// first.
func TestNothingIsLeftBehind(t *testing.T) {
	o := &office{t: t, refresh: "first"}
	o.Server = httptest.NewServer(o)
	defer o.Close()
	dir := t.TempDir()
	l := login(t, dir, o.URL)
	l.refresh = secret.New("first")
	if err := l.save(); err != nil {
		t.Fatal(err)
	}
	o.deaf = true
	l, err := SignIn(t.Context(), dir, o.URL, o.browse)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Load(dir, o.URL); err != nil || len(again.left) != 1 || again.refresh.Reveal() != "first+" {
		t.Fatalf("what is still to be revoked is forgotten: %v", err)
	}
	if err := l.End(t.Context()); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a server that does not listen: %v", err)
	}
	login(t, dir, o.URL)
	o.deaf, o.refresh = false, "refresh"
	if l, err = SignIn(t.Context(), dir, o.URL, o.browse); err != nil {
		t.Fatal(err)
	}
	if err := l.End(t.Context()); err != nil {
		t.Error(err)
	}
	if want := []string{"refresh", "refresh+"}; !slices.Equal(o.revoked, want) {
		t.Errorf("revoked: %q, want %q", o.revoked, want)
	}
	if _, err := os.Stat(l.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file: %v", err)
	}
}

// TestRequestsFindTheirWay: a token that is over is renewed, a touch that is too old is asked for, and the request arrives
// once and whole.
func TestRequestsFindTheirWay(t *testing.T) {
	o := &office{t: t, refresh: "refresh"}
	o.Server = httptest.NewServer(o)
	defer o.Close()
	dir := t.TempDir()
	l := login(t, dir, o.URL)
	l.Show = func(address string) {
		if !strings.Contains(address, "max_age=300") {
			t.Errorf("asked for %s", address)
		}
		o.touched = true
		o.browse(address)
	}
	send := func(method, body string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), method, l.Audience()+"/v1/x", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return l.Transport().RoundTrip(r)
	}
	for i, step := range []struct {
		method string
		before func()
		grants string
	}{
		{"GET", func() {}, "refresh_token"},
		{"GET", func() { o.waking = 1 }, "refresh_token"},
		{"GET", func() { o.expired = true }, "refresh_token refresh_token"},
		{"GET", func() { l.expires = time.Now() }, "refresh_token refresh_token refresh_token"},
		{"POST", func() {}, "refresh_token refresh_token refresh_token authorization_code"},
	} {
		step.before()
		resp, err := send(step.method, "body=b")
		if err != nil || resp.StatusCode != 200 || strings.Join(o.grants, " ") != step.grants {
			t.Fatalf("step %d: %v, %v, %v", i, resp, err, o.grants)
		}
		resp.Body.Close()
		if again, err := Load(dir, o.URL); err != nil || again.refresh.Reveal() != o.refresh {
			t.Errorf("step %d: the kept refresh token is not the last one: %v", i, err)
		}
	}
	o.waking = 1
	if resp, err := send("POST", "body=b"); err != nil || resp.StatusCode != 503 {
		t.Errorf("a change is sent twice: %v, %v", resp, err)
	}
	if want := []string{"refresh+++"}; !slices.Equal(o.revoked, want) {
		t.Errorf("the way through the browser left behind what is good still: revoked are %q, want %q", o.revoked, want)
	}
	o.refresh, l.expires = "another", time.Now()
	if _, err := send("GET", ""); !errors.Is(err, ErrOver) {
		t.Errorf("a login that is over: %v", err)
	}
	o.Close()
	if _, err := send("GET", ""); err == nil || !strings.Contains(err.Error(), "can't be reached") || strings.Contains(err.Error(), "refresh") {
		t.Errorf("nobody there: %v", err)
	}
}

func FuzzChallenge(f *testing.F) {
	for _, seed := range []string{`DPoP error="insufficient_user_authentication", max_age="300"`, `DPoP realm="x", algs="ES256", error="invalid_token", error_description="expired"`, `Bearer`, `DPoP error="`, ` error="" max_age="-1"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		wrong, age := challenge(header)
		if age < 0 || strings.Contains(wrong, `"`) || wrong != "" && !strings.Contains(header, ` error="`+wrong+`"`) {
			t.Errorf("%q: %q, %d", header, wrong, age)
		}
		if shown := plain(header); len(shown) > 300 || strings.ContainsFunc(shown, func(r rune) bool { return r < 0x20 || r >= 0x7f }) {
			t.Errorf("%q is shown as %q", header, shown)
		}
	})
}
