package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"seawall/internal/secret"
	"seawall/internal/testenv"
	"seawall/internal/testenv/canary"
)

// canaries are credentials that exist. None may be found anywhere but where it was handed out.
type canaries struct {
	list   []canary.Secret
	seen   *canary.Set // of list and of canary.Marks; nil after list has grown
	wanted string      // the token, which the client has to have
}

func (c *canaries) text(t *testing.T, name, value string) {
	t.Helper()
	c.list, c.seen = append(c.list, canary.Text(name, value)), nil
}

func (c *canaries) token(t *testing.T, name, token string) {
	t.Helper()
	secrets, err := canary.Token(name, token)
	if err != nil {
		t.Fatal(err)
	}
	c.list, c.seen, c.wanted = append(c.list, secrets...), nil, token
}

func (c *canaries) set(t *testing.T) *canary.Set {
	t.Helper()
	if c.seen == nil {
		var err error
		if c.seen, err = canary.New(append(canary.Marks(), c.list...)...); err != nil {
			t.Fatal(err)
		}
	}
	return c.seen
}

// in searches a text, for what is known and for what looks like a credential.
func (c *canaries) in(t *testing.T, where, text string) []string {
	t.Helper()
	found, err := c.set(t).Bytes(where, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	list := asText(found)
	for _, f := range secret.Find([]byte(text)) {
		list = append(list, where+": "+f.What+" by its form")
	}
	return list
}

// inDir searches all files beneath dir.
func (c *canaries) inDir(t *testing.T, dir string) []string {
	t.Helper()
	found, err := c.set(t).Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return asText(found)
}

func asText(found []canary.Finding) []string {
	list := make([]string, len(found))
	for i, f := range found {
		list[i] = f.String()
	}
	return list
}

// provoke gives credentials to seawall in every way that might make it say something: right, wrong, cut, misplaced.
func provoke(t *testing.T, w *world, c *canaries) {
	t.Helper()
	form := func(pairs ...string) url.Values {
		v := url.Values{"grant_type": {"client_credentials"}}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	wrong := w.ClientSecret[:len(w.ClientSecret)-1] + "_"
	c.text(t, "a wrong secret", wrong)
	for _, try := range []func() (*answer, error){
		func() (*answer, error) { return w.post(w.TokenEndpoint, w.ClientID, wrong, form()) },
		func() (*answer, error) { return w.post(w.TokenEndpoint, w.ClientSecret, w.ClientID, form()) },
		func() (*answer, error) {
			return w.post(w.TokenEndpoint, w.ClientID, w.ClientSecret, form("client_secret", w.ClientSecret))
		},
		func() (*answer, error) {
			return w.post(w.TokenEndpoint, w.ClientID, w.ClientSecret, form("scope", w.ClientSecret))
		},
		func() (*answer, error) {
			return w.post(w.TokenEndpoint, w.ClientID, w.ClientSecret, form("resource", "https://x.example/"+w.ClientSecret))
		},
		func() (*answer, error) {
			return w.post(w.TokenEndpoint, w.ClientID, w.ClientSecret, form("grant_type", w.ClientSecret))
		},
		func() (*answer, error) {
			return w.post(w.TokenEndpoint, w.ClientID, w.ClientSecret, form(w.ClientSecret, "x"))
		},
		func() (*answer, error) {
			return w.post(w.TokenEndpoint, w.ClientID, w.ClientSecret, form("client_assertion", c.wanted, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"))
		},
		func() (*answer, error) { return w.get(w.TokenEndpoint + "?client_secret=" + w.ClientSecret) },
		func() (*answer, error) { return w.get(w.Issuer + "/" + c.wanted) },
		func() (*answer, error) {
			return w.post(w.Issuer+"/introspect", w.APIID, w.APISecret, url.Values{"token": {c.wanted + "x"}})
		},
		func() (*answer, error) {
			return w.post(w.Issuer+"/introspect", w.APIID, w.ClientSecret, url.Values{"token": {c.wanted}})
		},
		func() (*answer, error) {
			req, err := http.NewRequest("POST", w.TokenEndpoint, strings.NewReader(form().Encode()))
			if err != nil {
				return nil, err
			}
			req.Header.Set("Authorization", "Bearer "+c.wanted)
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded; x="+w.ClientSecret)
			req.Header.Set("User-Agent", w.APISecret)
			return w.do(req)
		},
	} {
		a, err := try()
		if err != nil {
			t.Fatal(err)
		}
		if found := c.in(t, "an answer of the server", string(a.body)); len(found) > 0 && a.status != http.StatusOK {
			t.Errorf("%q", found)
		}
	}
}

// TestNoCredentialIsLeftAnywhere: secrets and tokens are in no log line, error, database page, segment or temporary file,
// and private keys in none either, while seawall runs and after it ended.
func TestNoCredentialIsLeftAnywhere(t *testing.T) {
	temp := testenv.Dir(t, 0)
	s := testenv.Start(t, testenv.Options{Binary: program, Env: []string{"TMPDIR=" + temp}})
	w := populate(t, s, "acme")
	keyed := newKeyClient(t, s, w)
	c := new(canaries)
	c.text(t, "client secret", w.ClientSecret)
	c.text(t, "API secret", w.APISecret)
	c.text(t, "private key of a client", keyed.private["d"])
	c.token(t, "token", w.token(t))
	provoke(t, w, c)
	s.JSON(&w.client, "client", "rotate-secret", "ci", "--tenant", "acme")
	c.text(t, "second client secret", w.ClientSecret)
	c.token(t, "second token", w.token(t))

	scan := func(when string) {
		t.Helper()
		for _, found := range append(c.inDir(t, s.Data), c.in(t, "the output", s.Output())...) {
			t.Errorf("%s: %s", when, found)
		}
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("%s: temporary files %v, %v", when, left, err)
		}
	}
	scan("while it runs")
	for _, args := range [][]string{
		{"client", "show", "ci", "--tenant", "acme", "--json"}, {"api", "list", "--tenant", "acme", "--json"}, {"keys", "list", "--tenant", "acme", "--json"},
		{"status", "--json"}, {"log", "search", "--json"}, {"log", "search"},
	} {
		if found := c.in(t, strings.Join(args, " "), s.Run(args...)); len(found) > 0 {
			t.Errorf("%q", found)
		}
	}
	s.Stop()
	scan("after it ended")
}

// TestTheCanaryScanFindsWhatIsThere: a scan that finds nothing proves something only if it finds what was planted, in
// each place that it searches.
func TestTheCanaryScanFindsWhatIsThere(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	c := new(canaries)
	c.text(t, "client secret", w.ClientSecret)
	c.token(t, "token", w.token(t))
	s.Stop()
	if found := c.inDir(t, s.Data); len(found) > 0 {
		t.Fatalf("before anything was planted: %q", found)
	}
	databases, err := filepath.Glob(filepath.Join(s.Data, "house/*.db"))
	if err != nil || len(databases) != 1 {
		t.Fatalf("the database is %v, %v", databases, err)
	}
	for what, value := range map[string]string{"client secret": w.ClientSecret, "token": c.wanted} {
		for form, planted := range map[string]string{
			"as it is": value, "by half": value[:len(value)/2], "in hex": hex.EncodeToString([]byte(value)), "in base64": base64.StdEncoding.EncodeToString([]byte("x" + value)),
		} {
			for _, path := range []string{databases[0], segments(t, s.Data)[0], filepath.Join(s.Data, "house/leak.tmp")} {
				plant(t, path, planted, func() {
					if !slices.ContainsFunc(c.inDir(t, s.Data), func(f string) bool { return strings.Contains(f, path) && strings.Contains(f, what) }) {
						t.Errorf("the %s, %s, planted in %s, was not found", what, form, path)
					}
				})
			}
			if len(c.in(t, "a log line", `{"level":"INFO","msg":"refused","given":"`+planted+`"}`)) == 0 {
				t.Errorf("the %s, %s, in a log line was not found", what, form)
			}
		}
	}
	if len(new(canaries).in(t, "a log line", "key=-----BEGIN PRIVATE KEY-----\nMIGH")) == 0 {
		t.Error("a private key in a log line was not found")
	}
}

// plant writes text into the middle of a file, between the pages and batches that were there, and takes it out again.
func plant(t *testing.T, path, text string, look func()) {
	t.Helper()
	before, err := os.ReadFile(path)
	fresh := os.IsNotExist(err)
	if err != nil && !fresh {
		t.Fatal(err)
	}
	middle := len(before) / 2
	if err := os.WriteFile(path, slices.Concat(before[:middle], []byte(text), before[middle:]), 0o600); err != nil {
		t.Fatal(err)
	}
	look()
	if fresh {
		err = os.Remove(path)
	} else {
		err = os.WriteFile(path, before, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
