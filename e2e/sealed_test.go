package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"seawall/internal/testenv"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestTheGuideToBreakGlass does what docs/break-glass.md shows, with the age and the SSH key that a reader would have: a tenant
// is made without a terminal, its codes leave encrypted, and one lets somebody in by the page for it. No code is anywhere in clear.
func TestTheGuideToBreakGlass(t *testing.T) {
	age, keygen := testenv.Tool(t, "age"), testenv.Tool(t, "ssh-keygen")
	testenv.Tool(t, "jq")
	s := testenv.Start(t, testenv.Options{Binary: program, Listen: strings.Replace(testenv.FreeAddress(t), "127.0.0.1", "localhost", 1)})
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs/break-glass.md"))
	if err != nil {
		t.Fatal(err)
	}
	desk, bin := testenv.Dir(t, 0), testenv.Dir(t, 0)
	if err := os.Symlink(s.Binary, filepath.Join(bin, "seawall")); err != nil {
		t.Fatal(err)
	}
	shell := func(script string) string {
		t.Helper()
		cmd := exec.Command("bash", "-c", "set -euo pipefail\n"+script)
		cmd.Dir = desk
		cmd.Env = append(os.Environ(), "SEAWALL_DATA="+s.Data, "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, glassCode.ReplaceAll(out, []byte("swb_…")))
		}
		return string(out)
	}
	shell(keygen + ` -q -t ed25519 -N "" -C grace@acme.example -f grace`) // Grace has it already
	blocks := shellBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 5 {
		t.Fatalf("the guide shows %d blocks", len(blocks))
	}
	var said strings.Builder
	for _, block := range blocks {
		said.WriteString(shell(block[1]))
	}
	for _, want := range []string{"Tenant acme is complete.", "The code of break-glass-1 works."} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is not in what it printed:\n%s", want, glassCode.ReplaceAllString(said.String(), "swb_…"))
		}
	}

	// Each reader opens their own and nobody else's.
	shell(`jq -r '.codes[1].sealed' acme.json > used.age`)
	open := func(key, file string) (string, error) {
		cmd := exec.Command(age, "-d", "-i", key, file)
		cmd.Dir = desk
		out, err := cmd.Output()
		return glassCode.FindString(string(out)), err
	}
	var codes []string
	for _, one := range [][2]string{{"ada.key", "ada.age"}, {"grace", "grace.age"}, {"grace", "used.age"}} {
		code, err := open(one[0], one[1])
		if err != nil || code == "" || slices.Contains(codes, code) {
			t.Fatalf("%s opens %s: %v", one[0], one[1], err)
		}
		codes = append(codes, code)
	}
	for _, one := range [][2]string{{"ada.key", "grace.age"}, {"grace", "ada.age"}} {
		if code, err := open(one[0], one[1]); err == nil {
			t.Errorf("%s opens %s, with %d characters inside", one[0], one[1], len(code))
		}
	}
	prove := func(code string) error {
		cmd := s.Command("break-glass", "prove", "--tenant", "acme")
		cmd.Stdin = strings.NewReader(code)
		return cmd.Run()
	}
	if err := prove(codes[1]); err != nil {
		t.Errorf("the code that took the used one's place: %v", err)
	}
	if prove(codes[2]) == nil {
		t.Error("the used code still works")
	}
	if out := s.Run("tenant", "show", "acme"); strings.Contains(out, "It lacks something") {
		t.Errorf("it lacks something:\n%s", out)
	}

	// The link that it gave enrols one passkey, which signs in.
	link, err := os.ReadFile(filepath.Join(desk, "link"))
	_, fragment, found := strings.Cut(strings.TrimSuffix(strings.TrimSpace(string(link)), "'"), "/acme/enrol#")
	if err != nil || !found {
		t.Fatalf("there is no link: %v", err)
	}
	grace := newBrowser(t, s.URL+"/acme", http.DefaultTransport)
	grace.post("/enrol/finish", map[string]any{"name": "key", "credential": grace.create(grace.post("/enrol/begin", map[string]any{"secret": fragment}))})
	grace.signIn("")
	var shown struct{ Passkeys, Sessions []any }
	if s.JSON(&shown, "person", "show", "break-glass-2", "--tenant", "acme"); len(shown.Passkeys) != 1 || len(shown.Sessions) == 0 {
		t.Errorf("break-glass-2 has %d passkeys and %d sessions", len(shown.Passkeys), len(shown.Sessions))
	}

	// The log says who was meant to read, as their own tools say it.
	print := strings.Fields(shell(keygen + " -lf grace.pub"))[1]
	ada := strings.TrimSpace(shell("cat ada.pub"))
	sum := sha256.Sum256([]byte(ada))
	native := "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
	var recipients []string
	for _, line := range strings.Split(strings.TrimSpace(s.Run("log", "search", "--kind", "break-glass.sealed", "--json")), "\n") {
		var e struct{ Detail struct{ Recipient string } }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		recipients = append(recipients, e.Detail.Recipient)
	}
	if !slices.Equal(recipients, []string{native, print, print}) {
		t.Errorf("the log has %v, want %s and twice %s", recipients, native, print)
	}

	// Who can't be encrypted to is refused before anything is done.
	create := []string{"tenant", "create", "beta", "--class", "production", "--owner", "o@beta.example", "--contact", "a@beta.example", "--contact", "b@beta.example", "--json", "--seal-to"}
	for _, recipients := range [][]string{{"ada.pub", "--seal-to", "grace.pub"}, {ada}} {
		if out, err := s.Command(append(slices.Clone(create), recipients...)...).CombinedOutput(); err == nil {
			t.Errorf("codes for %v: %s", recipients, out)
		}
	}
	if out := s.Run("tenant", "list"); strings.Contains(out, "beta") {
		t.Errorf("a tenant was made without its codes:\n%s", out)
	}

	log := s.Run("log", "search", "--json")
	s.Stop()
	for _, code := range codes {
		if strings.Contains(said.String()+log+s.Output(), code) {
			t.Error("a code is in an output")
		}
	}
	keepsNone(t, desk, codes...)
	keepsNone(t, s.Data, append(codes, fragment)...)
}
