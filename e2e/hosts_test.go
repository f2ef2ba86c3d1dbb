package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"seawall/internal/testenv"
)

var jsonBlock = regexp.MustCompile("(?ms)^```json\n(.*?)^```$")

// alone is one of the three processes, started by itself with a configuration file.
type alone struct {
	said testenv.Transcript
	cmd  *exec.Cmd
}

func startAlone(t *testing.T, ready, path string, args ...string) *alone {
	t.Helper()
	a := &alone{cmd: exec.Command(path, args...)}
	a.cmd.Stdout, a.cmd.Stderr = &a.said, &a.said
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		a.cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		a.cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			a.cmd.Process.Kill()
			<-ended
		}
	})
	for deadline := time.Now().Add(time.Minute); ready != "" && !strings.Contains(a.said.String(), ready); time.Sleep(5 * time.Millisecond) {
		select {
		case <-ended:
			t.Fatalf("%s %v ended:\n%s", path, args, a.said.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s %v did not get ready:\n%s", path, args, a.said.String())
		}
	}
	return a
}

// TestThreeHosts does what docs/hosts.md says, with three addresses of loopback for three machines, and the vaults as the
// binaries that hold nothing else.
func TestThreeHosts(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs/hosts.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := jsonBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 3 {
		t.Fatalf("docs/hosts.md has %d configurations, not 3", len(blocks))
	}
	dir, tls := testenv.Dir(t, 0), newAuthority(t, 0)
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	listen := testenv.FreeAddress(t)
	replace := []string{
		"/var/lib/seawall/", dir + "/", "/etc/seawall/id.example.crt", tls.certFile, "/etc/seawall/id.example.key", tls.key,
		"/etc/seawall/", dir + "/", "192.0.2.10:443", listen, "https://id.example", "https://" + listen,
		"192.0.2.30:8431", testenv.FreeAddress(t), "192.0.2.30:8432", testenv.FreeAddress(t), "192.0.2.20:8421", testenv.FreeAddress(t),
	}
	for part, uid := range map[string]int{"house": 61801, "signer": 61802, "ledger": 61803} {
		if err := os.Mkdir(filepath.Join(dir, part), 0o700); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			if err := os.Chown(filepath.Join(dir, part), uid, uid); err != nil {
				t.Fatal(err)
			}
		}
		made, err := testenv.Command(t, program, "identity", "--certificate", filepath.Join(dir, part+".crt"), "--key", filepath.Join(dir, part+".key")).Output()
		if err != nil {
			t.Fatal(err)
		}
		replace = append(replace, "sha256:"+strings.ToUpper(part), strings.TrimSpace(string(made)))
	}
	for i, part := range []string{"ledger", "signer", "house"} {
		config := strings.NewReplacer(replace...).Replace(blocks[i][1])
		if strings.Contains(config, "192.0.2.") || !json.Valid([]byte(config)) {
			t.Fatalf("%s.json: %s", part, config)
		}
		if err := os.WriteFile(filepath.Join(dir, part+".json"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Dir(program)
	startAlone(t, "ready for", bin+"/seawall-ledger", "--config", dir+"/ledger.json", "--create")
	signer := startAlone(t, "ready for", bin+"/seawall-signer", "--config", dir+"/signer.json", "--create")
	house := startAlone(t, "seawall: ready at https://"+listen, program, "serve", "--config", dir+"/house.json")

	// Everything works as on one machine. The commands find the house in dir; there is no supervisor.
	s := testenv.Attach(t, program, dir)
	w := populate(t, s, "acme")
	w.http = tls.client(t)
	token := w.token(t)
	if a := w.introspect(t, token); a.member("active") != "true" {
		t.Errorf("introspection: %s", a.body)
	}
	found := false
	for _, e := range search(t, s, "--client", "ci") {
		found = found || e.JTI == jtiOf(t, token)
	}
	if !found {
		t.Error("the token is not in the log")
	}
	if status, out := verify(s); status != 0 {
		t.Errorf("log verify: %d, %s", status, out)
	}

	// A stranger who reaches a vault's address is turned away before a word is said.
	stranger := newAuthority(t, 0)
	config, err := os.ReadFile(dir + "/house.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(filepath.Join(dir, "other"), 61801, 61801); err != nil {
			t.Fatal(err)
		}
	}
	forged := strings.NewReplacer(dir+"/house.crt", stranger.certFile, dir+"/house.key", stranger.key, dir+"/house\"", dir+"/other\"", listen, testenv.FreeAddress(t)).Replace(string(config))
	if err := os.WriteFile(dir+"/other.json", []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	other := startAlone(t, "", program, "serve", "--config", dir+"/other.json")
	for deadline := time.Now().Add(time.Minute); !strings.Contains(signer.said.String(), "a stranger was turned away"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the signer did not turn a stranger away:\n%s\n%s", signer.said.String(), other.said.String())
		}
	}
	if strings.Contains(other.said.String(), "ready at") {
		t.Errorf("a house with another certificate is ready:\n%s", other.said.String())
	}
	w.token(t)
	if strings.Contains(house.said.String(), `"level":"ERROR"`) {
		t.Errorf("the house complained:\n%s", house.said.String())
	}
}
