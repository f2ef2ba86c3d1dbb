package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"seawall/internal/testenv"
)

// example builds the example API and runs it until the test ends. It tells where it answers, and what it says.
func (w *world) example(t *testing.T, more ...string) (address string, said *testenv.Transcript) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "api")
	build := exec.Command("go", "build", "-o", program, "seawall/examples/api")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the example: %v\n%s", err, out)
	}
	address, said = testenv.FreeAddress(t), new(testenv.Transcript)
	run := exec.Command(program, append([]string{"-listen", address, "-issuer", w.Issuer, "-audience", w.audience, "-pin", w.Pin}, more...)...)
	run.Stdout, run.Stderr = said, said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		run.Process.Kill()
		run.Wait()
	})
	return address, said
}

// TestTheExampleAPI: three lines protect it, from the missing token to the forged one.
func TestTheExampleAPI(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	address, said := w.example(t)
	call := func(authorization string) *answer {
		t.Helper()
		req, err := http.NewRequest("GET", "http://"+address+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			if a, err := w.do(req); err == nil {
				return a
			} else if time.Now().After(deadline) {
				t.Fatalf("the example does not answer: %v\n%s", err, said.String())
			}
		}
	}
	token := w.token(t)
	if a := call("Bearer " + token); a.status != http.StatusOK || string(a.body) != "Hello, ci.\n" {
		t.Errorf("a good token: %d, %s", a.status, a.body)
	}
	parts := strings.Split(token, ".")
	for what, authorization := range map[string]string{
		"no token": "", "another scheme": "Basic " + token, "no signature": "Bearer " + parts[0] + "." + parts[1] + ".",
		"another tenant's": "Bearer " + populate(t, s, "globex").token(t),
	} {
		a := call(authorization)
		if a.status != http.StatusUnauthorized && a.status != http.StatusBadRequest || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: %d, %q", what, a.status, a.header.Get("WWW-Authenticate"))
		}
		if strings.Contains(string(a.body), parts[1]) || strings.Contains(said.String(), parts[1]) {
			t.Errorf("%s: the token was repeated", what)
		}
	}
}
