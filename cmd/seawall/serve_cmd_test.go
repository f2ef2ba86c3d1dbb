package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const fingerprintForTests = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

func goodServeConfig() map[string]any {
	end := func(address string) map[string]any {
		return map[string]any{"address": address, "peer": fingerprintForTests, "certificate": "house.crt", "key": "house.key"}
	}
	return map[string]any{"directory": "house", "signer": end("tcp:127.0.0.1:8421"), "ledger": end("tcp:192.0.2.30:8432")}
}

func TestServeConfig(t *testing.T) {
	dir := t.TempDir()
	read := func(change func(map[string]any)) (*house, error) {
		c := goodServeConfig()
		change(c)
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "house.json")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return readServe(&call{name: "serve", args: []string{"--config", path}, out: new(bytes.Buffer), err: new(bytes.Buffer)})
	}
	h, err := read(func(map[string]any) {})
	if err != nil {
		t.Fatal(err)
	}
	if h.Directory != filepath.Join(dir, "house") || h.Signer.Key != filepath.Join(dir, "house.key") || h.Base != "http://localhost:8420" || h.UID == 0 {
		t.Errorf("settled to %+v", h.serveConfig)
	}
	set := func(name string, v any) func(map[string]any) { return func(c map[string]any) { c[name] = v } }
	for name, c := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"unknown setting":   {set("listne", "x"), `did you mean "listen"`},
		"no directory":      {func(c map[string]any) { delete(c, "directory") }, "directory is missing"},
		"no signer":         {func(c map[string]any) { delete(c, "signer") }, "signer"},
		"a name":            {func(c map[string]any) { c["signer"].(map[string]any)["address"] = "tcp:signer.example:8421" }, "is no tcp:IP:PORT"},
		"a Unix socket":     {set("ledger", map[string]any{"address": "unix:/run/ledger", "peer_uid": 7}), "is no tcp:IP:PORT"},
		"no fingerprint":    {func(c map[string]any) { delete(c["ledger"].(map[string]any), "peer") }, "anybody could be at the other end"},
		"a key alone":       {set("tls_key", "x"), "go together"},
		"in the clear":      {set("listen", "0.0.0.0:80"), "in the clear"},
		"plain base":        {set("base", "http://id.example"), "https://"},
		"a number for text": {set("listen", 8420), "JSON"},
	} {
		if _, err := read(c.change); err == nil || !strings.Contains(err.Error()+strings.Join(hints(err), " "), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	for name, args := range map[string][]string{"nothing": nil, "both": {"--supervised", "--config", "x"}, "no file": {"--config", filepath.Join(dir, "none")}, "an argument": {"--supervised", "x"}} {
		if _, err := readServe(&call{name: "serve", args: args, out: new(bytes.Buffer), err: new(bytes.Buffer)}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// hints returns what an error advises.
func hints(err error) []string {
	if h, ok := err.(interface{ Hints() []string }); ok {
		return h.Hints()
	}
	return nil
}

func TestAdminSocketIsForItsOwnerAlone(t *testing.T) {
	dir, err := os.MkdirTemp("", "admin") // t.TempDir is too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "run", "admin.sock")
	for range 2 { // the second finds what a killed house left behind
		l, err := listenAdmin(path)
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		for name, want := range map[string]os.FileMode{path: 0o600 | os.ModeSocket, filepath.Dir(path): 0o700 | os.ModeDir} {
			if info, err := os.Lstat(name); err != nil || info.Mode() != want {
				t.Errorf("%s: mode %v, %v, want %v", name, info.Mode(), err, want)
			}
		}
		l.Close()
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := listenAdmin(path); err == nil {
		l.Close()
		t.Error("a file was replaced by a socket")
	}
}

func TestTLSKeyThatEverybodyMayUse(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(key, 0o604); err != nil {
		t.Fatal(err)
	}
	if _, err := loadTLS(key, key); err == nil || !strings.Contains(err.Error(), "chmod o= "+key) {
		t.Errorf("got %v", err)
	}
	if err := os.Chmod(key, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := loadTLS(key, key); err == nil || strings.Contains(err.Error(), "chmod") {
		t.Errorf("a key for a group: got %v, want only that it is no PEM", err)
	}
}

func FuzzServeConfig(f *testing.F) {
	good, err := json.Marshal(goodServeConfig())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"directory":"/","listen":"[::1]:1","base":"https://a/b","signer":{"address":"tcp:"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		h := new(house)
		if parseConfig(text, &h.serveConfig) != nil || h.settle("/") != nil {
			return
		}
		if !filepath.IsAbs(h.Directory) || h.Base == "" || h.Signer.Peer == "" || h.Ledger.Peer == "" {
			t.Errorf("accepted without what it needs: %+v", h.serveConfig)
		}
	})
}
