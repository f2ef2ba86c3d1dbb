package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"seawall/internal/testenv"
)

// TestTheFormsThatScriptsRelyOn goes through the commands whose form is a promise, with --data as scripts write it.
func TestTheFormsThatScriptsRelyOn(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	if w.Issuer != s.URL+"/acme" {
		t.Errorf("the issuer is %s, and seawall is at %s", w.Issuer, s.URL)
	}
	if !strings.HasPrefix(w.Pin, "swl1-") || len(w.Pin) != 48 {
		t.Errorf("the pin is %q", w.Pin)
	}
	token := w.token(t)

	t.Run("validate pinned", func(t *testing.T) {
		status, out := w.check(t, s, token, "--pin", w.Pin)
		if status != 0 || !strings.Contains(out, "pinned") {
			t.Fatalf("status %d: %s", status, out)
		}
		var claims struct {
			Issuer string `json:"iss"`
			Client string `json:"client_id"`
		}
		if err := decodeFirst(out, &claims); err != nil || claims.Issuer != w.Issuer || claims.Client != "ci" {
			t.Errorf("the claims are %+v, %v, in %s", claims, err, out)
		}
	})
	t.Run("validate fetched", func(t *testing.T) {
		status, out := w.check(t, s, token)
		if status != 0 || !strings.Contains(out, "fetched") {
			t.Fatalf("status %d: %s", status, out)
		}
	})
	t.Run("validate refuses", func(t *testing.T) {
		other := w.Pin[:len(w.Pin)-4] + "AAAA"
		for _, one := range []struct {
			token, reason string
			args          []string
		}{
			{token, "ledger_pin", []string{"--pin", other}},
			{token[:len(token)-6], "encoding|signature", []string{"--pin", w.Pin}},
			{"x", "malformed", []string{"--pin", w.Pin}},
		} {
			status, out := w.check(t, s, one.token, one.args...)
			if status != 1 || !containsAny(out, one.reason) {
				t.Errorf("status %d, %s; want 1 and %s", status, out, one.reason)
			}
			if strings.Contains(out, token[:40]) {
				t.Error("the refusal repeats the token")
			}
		}
	})
	t.Run("introspection", func(t *testing.T) {
		if a := w.introspect(t, token); a.status != http.StatusOK || a.member("active") != "true" || a.member("client_id") != "ci" {
			t.Errorf("status %d: %s", a.status, a.body)
		}
	})
	t.Run("keys list", func(t *testing.T) {
		var keys struct {
			Keys []struct {
				KID   string `json:"kid"`
				State string `json:"state"`
			} `json:"keys"`
		}
		s.JSON(&keys, "keys", "list", "--tenant", "acme", "--data", s.Data)
		active := 0
		for _, k := range keys.Keys {
			if k.State == "active" {
				active++
			}
		}
		if active != 1 {
			t.Errorf("%d active keys in %+v", active, keys)
		}
	})
	t.Run("keys rotate refuses a young spare", func(t *testing.T) {
		cmd := s.Command("keys", "rotate", "--tenant", "acme", "--data", s.Data)
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "may not know the next key") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("keys for ID tokens come with the first application", func(t *testing.T) {
		s.Run("client", "create", "web", "--tenant", "acme", "--type", "web", "--redirect", "https://web.example/cb", "--data", s.Data)
		var keys struct {
			Keys []struct {
				State string   `json:"state"`
				Kinds []string `json:"token_kinds"`
			} `json:"keys"`
		}
		s.JSON(&keys, "keys", "list", "--tenant", "acme", "--data", s.Data)
		active := map[string]int{}
		for _, k := range keys.Keys {
			if k.State == "active" {
				active[strings.Join(k.Kinds, " ")]++
			}
		}
		if len(active) != 2 || active["at+jwt"] != 1 || active["JWT"] != 1 {
			t.Errorf("active keys for %v", active)
		}
		cmd := s.Command("keys", "rotate", "--tenant", "acme", "--family", "id", "--data", s.Data)
		if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "may not know the next key") {
			t.Errorf("%v: %s", err, out)
		}
		cmd = s.Command("keys", "rotate", "--tenant", "acme", "--family", "logout", "--data", s.Data)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "no family") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("applications", func(t *testing.T) {
		type client struct {
			ID        string   `json:"client_id"`
			Secret    string   `json:"client_secret"`
			Type      string   `json:"type"`
			Auth      string   `json:"auth"`
			Issuer    string   `json:"issuer"`
			Redirects []string `json:"redirect_uris"`
			Logouts   []string `json:"logout_uris"`
			DPoP      string   `json:"dpop"`
			Reason    string   `json:"dpop_reason"`
			Trusted   bool     `json:"trusted"`
		}
		var web, spa client
		s.JSON(&web, "client", "create", "shop", "--tenant", "acme", "--type", "web", "--trusted", "--redirect", "https://shop.example/cb", "--logout-uri", "https://shop.example/bye", "--data", s.Data)
		s.JSON(&spa, "client", "create", "shop-spa", "--tenant", "acme", "--type", "spa", "--redirect", "https://shop.example/", "--dpop-reason", "its library can't yet", "--data", s.Data)
		if web.Secret == "" || web.Type != "web" || !web.Trusted || web.Issuer != w.Issuer || len(web.Redirects) != 1 || len(web.Logouts) != 1 || web.DPoP != "offered" {
			t.Errorf("a web client: %+v", web)
		}
		if spa.Secret != "" || spa.Auth != "none" || spa.DPoP != "offered" || spa.Reason != "its library can't yet" {
			t.Errorf("a SPA: %+v", spa)
		}
		s.JSON(&web, "client", "set-redirects", "shop", "--tenant", "acme", "--redirect", "https://shop.example/b", "--redirect", "https://shop.example/a", "--no-logout-uri", "--data", s.Data)
		if shown := s.Run("client", "show", "shop", "--tenant", "acme", "--data", s.Data); !strings.Contains(shown, "https://shop.example/a https://shop.example/b") || strings.Contains(shown, "after sign-out") || !strings.Contains(shown, "yes: people are not asked") {
			t.Errorf("shown\n%s", shown)
		}
		if list := s.Run("client", "list", "--tenant", "acme", "--data", s.Data); !strings.Contains(list, "spa") || !strings.Contains(list, "service") {
			t.Errorf("listed\n%s", list)
		}
		for _, bad := range []struct {
			status int
			says   string
			args   []string
		}{
			{2, "hint: name every address", []string{"set-redirects", "shop", "--redirect", "https://*.shop.example/"}},
			{2, "must require it", []string{"create", "--type", "spa", "--redirect", "https://shop.example/", "--dpop", "offered"}},
			{2, "one slash", []string{"create", "--type", "native", "--redirect", "com.example.shop://cb"}},
			{2, "https://", []string{"create", "--type", "web", "--redirect", "http://shop.example/"}},
			{2, "is missing", []string{"set-redirects", "shop"}},
			{2, "contradict", []string{"set-redirects", "shop", "--logout-uri", "https://shop.example/", "--no-logout-uri"}},
		} {
			cmd := s.Command(append([]string{"client"}, append(bad.args, "--tenant", "acme", "--data", s.Data)...)...)
			if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != bad.status || !strings.Contains(string(out), bad.says) {
				t.Errorf("%v: %v\n%s", bad.args, err, out)
			}
		}
		if changed := search(t, s, "--kind", "client.changed", "--data", s.Data); len(changed) != 1 {
			t.Errorf("the log says %+v", changed)
		}
	})
	t.Run("log", func(t *testing.T) {
		if status, out := verify(s, "--data", s.Data); status != 0 || strings.Count(strings.TrimSpace(out), "\n") != 0 {
			t.Errorf("log verify: status %d, %q: want 0 and one line", status, out)
		}
		found := false
		for _, e := range search(t, s, "--client", "ci", "--data", s.Data) {
			found = found || e.Kind == "token.issued" && strings.Contains(tokenPart(t, token, 1), `"jti":"`+e.JTI+`"`)
		}
		if !found {
			t.Error("log search does not find the token")
		}
	})
	t.Run("status", func(t *testing.T) {
		var status struct {
			Ready bool `json:"ready"`
		}
		if s.JSON(&status, "status"); !status.Ready {
			t.Error("it is not ready")
		}
	})
}

// TestCorpus: the validator's answers to recorded cases, on standard input and output.
func TestCorpus(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(testenv.Root(t), "validate/testdata/*/*corpus*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there is no corpus in validate/testdata: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var document struct {
			Cases []struct {
				Name string `json:"name"`
			} `json:"cases"`
		}
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		out, err := plain(t, string(text), "corpus")
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, out)
		}
		if lines := strings.Count(out, "\n"); lines != len(document.Cases) {
			t.Errorf("%s: %d lines for %d cases", path, lines, len(document.Cases))
		}
	}
}

// TestDisabling stops issuance and makes introspection say no, while the key document stays.
func TestDisabling(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	other := populate(t, s, "globex")
	token := w.token(t)

	if out, err := s.Command("client", "disable", "ci", "--tenant", "acme").CombinedOutput(); err == nil || !strings.Contains(string(out), "add --yes") {
		t.Fatalf("without --yes: %v, %s", err, out)
	}
	w.token(t)
	s.Run("client", "disable", "ci", "--tenant", "acme", "--yes")
	if a, err := w.ask(); err != nil || a.status != http.StatusUnauthorized || a.member("error") != "invalid_client" {
		t.Errorf("a disabled client: %+v, %v", a, err)
	}
	if a := w.introspect(t, token); strings.TrimSpace(string(a.body)) != `{"active":false}` {
		t.Errorf("introspection after disabling: %s", a.body)
	}
	out, err := s.Command("client", "create", "ci", "--tenant", "acme", "--api", w.audience, "--scope", "read").CombinedOutput()
	if err == nil || !strings.HasPrefix(string(out), "seawall: ") {
		t.Errorf("the id was used again: %v, %s", err, out)
	}

	s.Run("tenant", "disable", "globex", "--yes")
	if a, err := other.ask(); err != nil || a.status == http.StatusOK || a.status >= 500 {
		t.Errorf("a disabled tenant: %+v, %v", a, err)
	}
	if a, err := other.get(other.Issuer + "/jwks"); err != nil || a.status != http.StatusOK || !strings.Contains(string(a.body), `"kid"`) {
		t.Errorf("the keys of a disabled tenant: %+v, %v", a, err)
	}
}

// TestSecretsRotateWithAnOverlap: old and new secret both work, until the overlap is over.
func TestSecretsRotateWithAnOverlap(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	old := w.ClientSecret
	s.JSON(&w.client, "client", "rotate-secret", "ci", "--tenant", "acme")
	if w.ClientSecret == old || w.ClientSecret == "" {
		t.Fatal("the secret did not change")
	}
	w.token(t)
	now := *w
	now.ClientSecret = old
	now.token(t)
	s.JSON(&w.client, "client", "rotate-secret", "ci", "--tenant", "acme", "--overlap", "0")
	w.token(t)
	if a, err := now.ask(); err != nil || a.status != http.StatusUnauthorized || a.member("error") != "invalid_client" {
		t.Errorf("the oldest secret: %+v, %v", a, err)
	}
}
