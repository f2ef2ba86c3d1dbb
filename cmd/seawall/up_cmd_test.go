package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigCheck(t *testing.T) {
	for _, one := range []struct {
		text   string
		status int
		want   string
	}{
		{`{"listen":"127.0.0.1:9000"}`, exitOK, "is fine: it would serve http://127.0.0.1:9000, listening on 127.0.0.1:9000."},
		{`{}`, exitOK, "it would serve http://localhost:8420"},
		{`{"lisen":"127.0.0.1:9000"}`, exitNo, `no setting "lisen": did you mean "listen"?`},
		{`{"colour":"red"}`, exitNo, "hint: the settings are data, listen, base, tls_cert, tls_key"},
		{`{"listen":9000}`, exitNo, "it is not the JSON it should be"},
		{`{"listen":"127.0.0.1:9000"} {}`, exitNo, "there is something after the JSON"},
		{`listen: 9000`, exitNo, "it is not the JSON it should be"},
		{``, exitNo, "it is not the JSON it should be"},
		{`{"listen":"0.0.0.0:9000"}`, exitNo, "in the clear"},
		{`{"tls_cert":"cert.pem"}`, exitUsage, "--tls-cert and --tls-key go together"},
		{`{"tls_cert":"cert.pem","tls_key":"key.pem"}`, exitNo, "cert.pem: no such file"},
	} {
		path := writeFile(t, "seawall.json", one.text)
		status, out, errs := say(t, "config", "check", path)
		if status != one.status || !strings.Contains(out+errs, one.want) {
			t.Errorf("%s: status %d, %s%s; want %d and %s", one.text, status, out, errs, one.status, one.want)
		}
	}
	house := writeFile(t, "house.json", `{"directory":"d","listen":"127.0.0.1:9000","signer":{"address":"unix:/run/s.sock","peer_uid":1},"ledger":{"address":"unix:/run/l.sock","peer_uid":2}}`)
	if status, _, errs := say(t, "config", "check", house, "--for", "serve"); status != exitNo || !strings.Contains(errs, "is no tcp:IP:PORT") {
		t.Errorf("status %d, %s", status, errs)
	}
	if status, _, errs := say(t, "config", "check", house); status != exitNo || !strings.Contains(errs, `no setting "directory"`) {
		t.Errorf("status %d, %s", status, errs)
	}
	if status, _, errs := say(t, "config", "check", "/nonexistent/seawall.json"); status != exitNo || !strings.Contains(errs, "no such file") {
		t.Errorf("status %d, %s", status, errs)
	}
}

func TestPathsInAConfigurationAreRelativeToIt(t *testing.T) {
	path := writeFile(t, "seawall.json", `{"data":"d","tls_cert":"c.pem","tls_key":"/k.pem"}`)
	s, err := readUpConfig(path)
	dir := filepath.Dir(path)
	if err != nil || s.data != filepath.Join(dir, "d") || s.tlsCert != filepath.Join(dir, "c.pem") || s.tlsKey != "/k.pem" {
		t.Errorf("%+v, %v", s, err)
	}
}

func FuzzConfig(f *testing.F) {
	for _, seed := range []string{`{"listen":"127.0.0.1:9000","base":"https://id.example","data":"d","tls_cert":"c","tls_key":"k"}`, `{}`, `[]`, `null`, `{"x":1}`, `{"listen":null}`, "{\"listen\":\"\\u0000\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var c upConfig
		if err := parseConfig(text, &c); err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Error("refused without a word")
		}
	})
}

func TestTheWelcomeSaysWhatWasMeasured(t *testing.T) {
	var out bytes.Buffer
	welcome(&out, &dataDir{path: "/srv/seawall"}, address{base: "http://127.0.0.1:8420"}, []partLevel{{"house", "same user: no protection from the house"}})
	for _, want := range []string{"/srv/seawall", "same user: no protection from the house", " tenant create acme", "--data /srv/seawall", "people can't sign in at http://127.0.0.1:8420"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("there are colours, and nobody looks at a terminal")
	}
}

func TestTheWelcomeNamesTheProgramAsItWasCalled(t *testing.T) {
	for name, want := range map[string]string{"bin/seawall": "bin/seawall", "/usr/bin/seawall": "/usr/bin/seawall", "seawall": "seawall"} {
		if got := asTyped(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
