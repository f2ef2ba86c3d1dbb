package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"seawall/internal/secret"
	"seawall/internal/testenv"
)

// canaries are credentials that exist, by what they are. None may be found anywhere but where it was handed out.
type canaries map[string]string

// forms returns the ways in which a value may lie in a file: as it is, and as somebody's encoding of it.
func forms(value string) map[string][]byte {
	wide := make([]byte, 0, 2*len(value))
	for _, unit := range utf16.Encode([]rune(value)) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	reversed := []byte(value)
	slices.Reverse(reversed)
	list := map[string][]byte{
		"as it is":  []byte(value),
		"in hex":    []byte(hex.EncodeToString([]byte(value))),
		"in UTF-16": wide,
		"backwards": reversed,
	}
	// In base64 a value looks different at each of three offsets; the middle of each form is the same whatever is around it.
	for offset := range 3 {
		padded := append(bytes.Repeat([]byte{'x'}, offset), value...)
		text := base64.StdEncoding.EncodeToString(padded)
		list["in base64 at "+string(rune('0'+offset))] = []byte(text[4 : len(text)-4])
	}
	return list
}

// finding is a canary in a text.
type finding struct{ where, what, form string }

// find looks for canaries in a text, whole and in halves: a cut credential is still half a credential. Texts that are
// compressed are opened first.
func (c canaries) find(where string, text []byte) []finding {
	if plain, err := gunzip(text); err == nil {
		text = append(slices.Clone(text), plain...)
	}
	var list []finding
	for what, value := range c {
		for name, form := range forms(value) {
			if bytes.Contains(text, form) {
				list = append(list, finding{where, what, name})
			}
		}
		if half := len(value) / 2; len(value) >= 24 && (bytes.Contains(text, []byte(value[:half])) || bytes.Contains(text, []byte(value[half:]))) {
			list = append(list, finding{where, what, "by half"})
		}
	}
	// What looks like a credential is one, even if it is none of ours.
	for _, f := range secret.Find(text) {
		list = append(list, finding{where, f.What, "by its form"})
	}
	return list
}

func gunzip(text []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// findIn looks through all files beneath dir.
func (c canaries) findIn(t *testing.T, dir string) []finding {
	t.Helper()
	var list []finding
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		files++
		list = append(list, c.find(path, text)...)
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("looking through %s: %d files, %v", dir, files, err)
	}
	return list
}

// provoke gives credentials to seawall in every way that might make it say something: right, wrong, cut, misplaced.
func provoke(t *testing.T, w *world, c canaries) {
	t.Helper()
	form := func(pairs ...string) url.Values {
		v := url.Values{"grant_type": {"client_credentials"}}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	wrong := w.ClientSecret[:len(w.ClientSecret)-1] + "_"
	c["wrong secret"] = wrong
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
			return w.post(w.TokenEndpoint, w.ClientID, w.ClientSecret, form("client_assertion", c["token"], "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"))
		},
		func() (*answer, error) { return w.get(w.TokenEndpoint + "?client_secret=" + w.ClientSecret) },
		func() (*answer, error) { return w.get(w.Issuer + "/" + c["token"]) },
		func() (*answer, error) {
			return w.post(w.Issuer+"/introspect", w.APIID, w.APISecret, url.Values{"token": {c["token"] + "x"}})
		},
		func() (*answer, error) {
			return w.post(w.Issuer+"/introspect", w.APIID, w.ClientSecret, url.Values{"token": {c["token"]}})
		},
		func() (*answer, error) {
			req, err := http.NewRequest("POST", w.TokenEndpoint, strings.NewReader(form().Encode()))
			if err != nil {
				return nil, err
			}
			req.Header.Set("Authorization", "Bearer "+c["token"])
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded; x="+w.ClientSecret)
			req.Header.Set("User-Agent", w.APISecret)
			return w.do(req)
		},
	} {
		a, err := try()
		if err != nil {
			t.Fatal(err)
		}
		if found := c.find("an answer of the server", a.body); len(found) > 0 && a.status != http.StatusOK {
			t.Errorf("%+v", found)
		}
	}
}

// TestNoCredentialIsLeftAnywhere: secrets and tokens are in no log line, error, database page, segment or temporary file,
// and their private keys in none either, before and after a crash.
func TestNoCredentialIsLeftAnywhere(t *testing.T) {
	temp := testenv.Dir(t, 0)
	s := testenv.Start(t, testenv.Options{Binary: program, Env: []string{"TMPDIR=" + temp}})
	w := populate(t, s, "acme")
	keyed := newKeyClient(t, s, w)
	token := w.token(t)
	parts := strings.Split(token, ".")
	c := canaries{
		"client secret": w.ClientSecret, "API secret": w.APISecret, "token": token,
		"header.payload": parts[0] + "." + parts[1], "payload": parts[1], "signature": parts[2],
		"the client's private key": keyed.private["d"],
	}
	provoke(t, w, c)
	s.JSON(&w.client, "client", "rotate-secret", "ci", "--tenant", "acme")
	c["second client secret"] = w.ClientSecret
	c["second token"] = w.token(t)

	scan := func(when string) {
		t.Helper()
		for _, f := range c.findIn(t, s.Data) {
			t.Errorf("%s: %s, %s, in %s", when, f.what, f.form, f.where)
		}
		for _, f := range c.find("the output", []byte(s.Output())) {
			t.Errorf("%s: %s, %s, in %s:\n%s", when, f.what, f.form, f.where, s.Output())
		}
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("%s: temporary files %v, %v", when, left, err)
		}
	}
	scan("while it runs")
	out, err := s.Command("client", "show", "ci", "--tenant", "acme", "--json").CombinedOutput()
	if found := c.find("client show", out); err != nil || len(found) > 0 {
		t.Errorf("%v, %+v", err, found)
	}
	s.Stop()
	scan("after it ended")
	for _, args := range [][]string{{"log", "search", "--json"}, {"log", "export"}} {
		out, err := s.Command(args...).CombinedOutput()
		if found := c.find(strings.Join(args, " "), out); err != nil || len(found) > 0 {
			t.Errorf("%v: %v, %+v", args, err, found)
		}
	}
}

// TestTheCanaryScanFindsWhatIsThere: a scan that finds nothing proves something only if it finds what was planted.
func TestTheCanaryScanFindsWhatIsThere(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	c := canaries{"client secret": w.ClientSecret, "token": w.token(t)}
	s.Stop()
	if found := c.findIn(t, s.Data); len(found) > 0 {
		t.Fatalf("before anything was planted: %+v", found)
	}
	database, err := filepath.Glob(filepath.Join(s.Data, "house/*.db"))
	if err != nil || len(database) != 1 {
		t.Fatalf("the database is %v, %v", database, err)
	}
	for what, value := range c {
		for form, planted := range forms(value) {
			for _, path := range []string{database[0], segments(t, s.Data)[0], filepath.Join(s.Data, "house/leak.tmp")} {
				before, err := os.ReadFile(path)
				if err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
				// In the middle of the file: between the pages and batches that were there.
				middle := len(before) / 2
				if err := os.WriteFile(path, slices.Concat(before[:middle], planted, before[middle:]), 0o600); err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(c.findIn(t, s.Data), func(f finding) bool { return f.where == path && f.what == what }) {
					t.Errorf("the %s, %s, planted in %s, was not found", what, form, path)
				}
				if err := os.WriteFile(path, before, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(c.find("a log line", []byte(`{"level":"INFO","msg":"refused","secret":"`+value[:len(value)/2]+`"}`))) == 0 {
			t.Errorf("half of the %s in a log line was not found", what)
		}
	}
	if len((canaries{}).find("a log line", []byte("key=-----BEGIN PRIVATE KEY-----\nMIGH"))) == 0 {
		t.Error("a private key in a log line was not found")
	}
}
