package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"seawall/internal/testenv"
)

// desk is a machine of an administrator's, with a browser and no seawall.
type desk struct {
	*tab
	s    *testenv.Seawall
	home string
}

func newDesk(b *tab, s *testenv.Seawall) *desk {
	return &desk{b, s, b.t.TempDir()}
}

// command is the command line as it runs there.
func (d *desk) command(args ...string) *exec.Cmd {
	cmd := testenv.Command(d.t, binary, args...)
	cmd.Dir = d.home
	cmd.Env = append(cmd.Env, "XDG_CONFIG_HOME="+d.home, "DISPLAY=", "WAYLAND_DISPLAY=", "SEAWALL_DATA=", "SEAWALL_SERVER=")
	return cmd
}

// walk runs a command that asks for the browser, goes where it says, and lets it finish.
func (d *desk) walk(args ...string) (stdout, stderr string, err error) {
	d.t.Helper()
	cmd := d.command(args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	said, err := cmd.StderrPipe()
	d.must(err)
	d.must(cmd.Start())
	var all strings.Builder
	for lines := bufio.NewScanner(said); lines.Scan(); {
		line := lines.Text()
		all.WriteString(line + "\n")
		if address := strings.TrimSpace(line); strings.HasPrefix(address, d.s.URL+"/operators/authorize?") {
			d.go2(address)
			d.until(`document.readyState === "complete" && (location.pathname === "/callback" || document.querySelector('button[value="allow"]') !== null || document.querySelector("#go") !== null)`)
			if eval[bool](d.tab, `document.querySelector("#go") !== null`) {
				d.click("#go")
				d.until(`location.pathname === "/callback" || document.querySelector('button[value="allow"]') !== null`)
			}
			if eval[bool](d.tab, `document.querySelector('button[value="allow"]') !== null`) {
				d.click(`button[value="allow"]`)
			}
			d.until(`location.pathname === "/callback" && document.body.innerText.includes("You can close this page")`)
		}
	}
	err = cmd.Wait()
	return out.String(), all.String(), err
}

// must is for commands that ask nobody.
func (d *desk) run(args ...string) string {
	d.t.Helper()
	out, err := d.command(args...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("seawall %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestTheCommandLineFromElsewhere logs in through the browser, administers, and logs out.
func TestTheCommandLineFromElsewhere(t *testing.T) {
	s := start(t)
	d := newDesk(administrator(t, s), s)
	if out, err := d.command("tenant", "list", "--server", s.URL).CombinedOutput(); err == nil || !strings.Contains(string(out), "seawall login "+s.URL) {
		t.Errorf("before a login: %v\n%s", err, out)
	}
	out, said, err := d.walk("login", s.URL)
	if err != nil || !strings.Contains(out, "as administrator (owner)") {
		t.Fatalf("logging in: %v\n%s%s", err, out, said)
	}
	newGallery(d.tab).look("command-line", func() {}) // the page that the browser was left at
	files, err := filepath.Glob(filepath.Join(d.home, "seawall", "login-*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("kept: %v, %v", files, err)
	}
	for _, path := range append(files, filepath.Join(d.home, "seawall")) {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v, %v", path, info.Mode(), err)
		}
	}
	first, err := os.ReadFile(files[0])
	d.must(err)
	var who struct{ Login, Role string }
	d.must(json.Unmarshal([]byte(d.run("whoami", "--json")), &who)) // the last login, without --server
	if who.Login != "administrator" || who.Role != "owner" {
		t.Errorf("they are %+v", who)
	}
	d.run("tenant", "create", "acme", "--class", "production", "--owner", "ops@acme.example", "--contact", "a@acme.example", "--contact", "b@acme.example")
	if out := d.run("tenant", "list", "--server", s.URL); !strings.Contains(out, "acme") {
		t.Errorf("the list is\n%s", out)
	}
	// Beside the seawall itself the socket only reads, and leaves the change to the login.
	local := s.Command("tenant", "disable", "acme", "--yes")
	local.Env = append(local.Env, "XDG_CONFIG_HOME="+filepath.Join(d.home, "nobody"))
	if out, err := local.CombinedOutput(); err == nil || !strings.Contains(string(out), "the socket only reads") || !strings.Contains(string(out), "seawall login "+s.URL) {
		t.Errorf("over the socket: %v\n%s", err, out)
	}
	local = s.Command("person", "create", "ada@acme.example", "--tenant", "acme")
	local.Env = append(local.Env, "XDG_CONFIG_HOME="+d.home)
	if out, err := local.CombinedOutput(); err != nil || !strings.Contains(string(out), "is one of acme now") {
		t.Errorf("over the socket with a login: %v\n%s", err, out)
	}
	local = s.Command("whoami")
	local.Env = append(local.Env, "XDG_CONFIG_HOME="+d.home)
	if out, err := local.CombinedOutput(); err != nil || !strings.Contains(string(out), "which only reads. Changes go by your login:") || !strings.Contains(string(out), "administrator") {
		t.Errorf("who somebody is on the machine of the seawall: %v\n%s", err, out)
	}
	if log := s.Run("log", "search", "--kind", "tenant.created", "--tenant", "acme", "--json"); !strings.Contains(log, `"actor":"person:`) {
		t.Errorf("the ledger says\n%s", log)
	}
	second, err := os.ReadFile(files[0])
	if d.must(err); bytes.Equal(first, second) {
		t.Error("the refresh token was not rotated")
	}
	if out := d.run("logout"); !strings.Contains(out, "Logged out of "+s.URL) {
		t.Errorf("logging out: %s", out)
	}
	if _, err := os.Stat(files[0]); err == nil {
		t.Error("the login's file is still there")
	}
	// A copy of the file that somebody made before is worth nothing now.
	d.must(os.WriteFile(files[0], second, 0o600))
	if out, err := d.command("tenant", "list", "--server", s.URL).CombinedOutput(); err == nil || !strings.Contains(string(out), "seawall login") {
		t.Errorf("a login that was ended: %v\n%s", err, out)
	}
	harmless(t, s.Output(), out, said)
}

// TestTheGuideForAdministrators runs what docs/administrators.md shows, as an owner would.
func TestTheGuideForAdministrators(t *testing.T) {
	s := start(t)
	d := newDesk(administrator(t, s), s)
	if out, said, err := d.walk("login", s.URL); err != nil {
		t.Fatalf("logging in: %v\n%s%s", err, out, said)
	}
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs/administrators.md"))
	d.must(err)
	ran := 0
	for _, block := range strings.Split(string(text), "```sh\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for line := range strings.Lines(block) {
			args := strings.Fields(strings.ReplaceAll(line, "https://id.example.com", s.URL))
			if args[0] != "seawall" {
				t.Fatalf("the guide shows %q", line)
			}
			if out, said, err := d.walk(args[1:]...); err != nil {
				t.Errorf("%s: %v\n%s%s", line, err, out, said)
			}
			ran++
		}
	}
	if ran < 8 {
		t.Errorf("only %d commands were found", ran)
	}
}
