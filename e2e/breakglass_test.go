package e2e

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"seawall/internal/testenv"
)

// onTerminal runs a command of seawall on a terminal of its own, types input, and returns what it shows. It must succeed.
func onTerminal(t *testing.T, s *testenv.Seawall, input string, args ...string) string {
	t.Helper()
	shown, err := atTerminal(t, s, input, args...)
	if err != nil {
		t.Fatalf("seawall %s: %v\n%s", strings.Join(args, " "), err, shown)
	}
	return shown
}

// atTerminal is onTerminal without a wish for how it ends.
func atTerminal(t *testing.T, s *testenv.Seawall, input string, args ...string) (string, error) {
	t.Helper()
	master, slave := testenv.Terminal(t)
	cmd := s.Command(args...)
	cmd.Env = append(cmd.Env, "NO_COLOR=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	if _, err := io.WriteString(master, input); err != nil {
		t.Fatal(err)
	}
	shown, err := io.ReadAll(master) // ends with EIO when the last one lets go of the terminal
	if err != nil && !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	return string(shown), cmd.Wait()
}

// TestTheFirstLinkOnATerminal: whoever sits there sees it, and no file has it.
func TestTheFirstLinkOnATerminal(t *testing.T) {
	master, slave := testenv.Terminal(t)
	data := filepath.Join(testenv.Dir(t, 0), "data")
	cmd := testenv.Command(t, program, "up", "--data", data, "--listen", strings.Replace(testenv.FreeAddress(t), "127.0.0.1", "localhost", 1))
	cmd.Env = append(cmd.Env, "NO_COLOR=1")
	cmd.Stdout = slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	var shown []byte
	for link := regexp.MustCompile(`/operators/enrol#swe_prod_[0-9A-Za-z]{39}\r?\n`); !link.Match(shown); {
		part := make([]byte, 4096)
		n, err := master.Read(part)
		if shown = append(shown, part[:n]...); err != nil {
			t.Fatalf("no link is shown: %v\n%s", err, shown)
		}
	}
	if !strings.Contains(string(shown), "You are its first administrator. Open this link within 15 minutes") {
		t.Errorf("it says\n%s", shown)
	}
	if _, err := os.Stat(filepath.Join(data, "first-administrator.txt")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link is in a file too: %v", err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, master); err != nil && !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

var glassCode = regexp.MustCompile(`swb_prod_[0-9A-Za-z]{39}`)

// TestBreakGlass makes a tenant's codes on a terminal, uses one, and looks for them where they must not be.
func TestBreakGlass(t *testing.T) {
	s := testenv.Start(t, testenv.Options{Binary: program, Listen: strings.Replace(testenv.FreeAddress(t), "127.0.0.1", "localhost", 1)})
	s.Run("tenant", "create", "acme", "--class", "production", "--owner", "ops@acme.example", "--contact", "a@acme.example", "--contact", "b@acme.example")
	if out := s.Run("tenant", "show", "acme"); !strings.Contains(out, "2 of 2 break-glass principals have no code and no passkey") {
		t.Errorf("a new tenant lacks nothing:\n%s", out)
	}
	for _, args := range [][]string{{"tenant", "complete", "acme"}, {"tenant", "complete", "acme", "--json"}} { // no terminal, no codes
		if out := s.Run(args...); glassCode.MatchString(out) || !strings.Contains(out, "break-glass") {
			t.Errorf("%v says\n%s", args, out)
		}
	}
	// New codes are for a terminal, and are not even made where there is none.
	for _, args := range [][]string{{"tenant", "complete", "acme", "--new-codes"}, {"tenant", "complete", "acme", "--new-codes", "--json"}} {
		out, err := s.Command(args...).CombinedOutput()
		if err == nil || glassCode.Match(out) || !strings.Contains(string(out), "shown on a terminal only") {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	if strings.Contains(s.Run("log", "search", "--json"), "break-glass.sealed") {
		t.Error("codes were made that nobody has seen")
	}
	codes := glassCode.FindAllString(onTerminal(t, s, "", "tenant", "complete", "acme"), -1)
	if len(codes) != 2 || codes[0] == codes[1] {
		t.Fatalf("%d codes are shown", len(codes))
	}
	if out := s.Run("tenant", "show", "acme"); strings.Contains(out, "It lacks something") {
		t.Errorf("a completed tenant lacks something:\n%s", out)
	}
	if again := onTerminal(t, s, "", "tenant", "complete", "acme"); glassCode.MatchString(again) || !strings.Contains(again, "Tenant acme is complete.") {
		t.Errorf("completing it again shows\n%s", glassCode.ReplaceAllString(again, "swb_…"))
	}

	prove := func(code string, args ...string) (string, error) {
		cmd := s.Command(append([]string{"break-glass", "prove", "--tenant", "acme"}, args...)...)
		cmd.Stdin = strings.NewReader(code + "\n")
		out, err := cmd.CombinedOutput()
		if glassCode.Match(out) {
			t.Errorf("a code is printed:\n%s", out)
		}
		return string(out), err
	}
	if out := s.Run("person", "list", "--tenant", "acme"); strings.Count(out, "never") != 2 {
		t.Errorf("before anybody has tried:\n%s", out)
	}
	for _, args := range [][]string{nil, {"--json"}} {
		if out, err := prove(codes[0], args...); err != nil || !strings.Contains(out, "break-glass-1") {
			t.Errorf("proving a code: %v\n%s", err, out)
		}
	}
	if out := s.Run("tenant", "show", "acme"); !strings.Contains(out, "break-glass-1: a code, proven today; break-glass-2: a code, proven never") {
		t.Errorf("after one was proven:\n%s", out)
	}

	use := func(code, file string) error {
		cmd := s.Command("break-glass", "use", "--tenant", "acme", "--save", file)
		cmd.Stdin = strings.NewReader(code + "\n")
		out, err := cmd.CombinedOutput()
		if glassCode.Match(out) || strings.Contains(string(out), "swe_prod_") {
			t.Errorf("a credential is printed where no terminal is:\n%s", out)
		}
		return err
	}
	dir := testenv.Dir(t, 0)
	var exit *exec.ExitError
	if err := use(codes[0][:len(codes[0])-1]+"!", filepath.Join(dir, "mistyped")); !errors.As(err, &exit) {
		t.Errorf("a mistyped code: %v", err)
	}
	if err := use(codes[0], filepath.Join(dir, "link")); err != nil {
		t.Errorf("a good code: %v", err)
	}
	if link, err := os.ReadFile(filepath.Join(dir, "link")); err != nil || !strings.Contains(string(link), s.URL+"/acme/enrol#swe_prod_") {
		t.Errorf("its link: %v", err)
	}
	if err := use(codes[0], filepath.Join(dir, "again")); !errors.As(err, &exit) {
		t.Errorf("a code that was used: %v", err)
	}
	if out := s.Run("tenant", "show", "acme"); !strings.Contains(out, "the code of break-glass-1 was used, and no new one has taken its place") {
		t.Errorf("a code is used up, and nobody is told:\n%s", out)
	}
	if out, err := prove(codes[0]); err == nil {
		t.Errorf("a used code was proven:\n%s", out)
	}
	// A link has no place in JSON, on a terminal neither: what asks for that is refused before the code is used up for nothing.
	if out, err := atTerminal(t, s, codes[1]+"\n", "break-glass", "use", "--tenant", "acme", "--json"); err == nil || !strings.Contains(out, "a link is never in JSON") {
		t.Errorf("a link in JSON: %v\n%s", err, glassCode.ReplaceAllString(out, "swb_…"))
	}
	shown := onTerminal(t, s, codes[1]+"\n", "break-glass", "use", "--tenant", "acme") // it shows the link, and what takes the code's place
	if next := glassCode.FindAllString(strings.ReplaceAll(shown, codes[1], ""), -1); len(next) != 1 || !strings.Contains(shown, "/acme/enrol#swe_prod_") {
		t.Errorf("using a code on a terminal shows %d new ones", len(next))
	}

	if next := glassCode.FindAllString(onTerminal(t, s, "", "tenant", "complete", "acme"), -1); len(next) != 1 {
		t.Errorf("completing the tenant makes %d codes in place of the one that was used", len(next))
	}
	if out := s.Run("tenant", "show", "acme"); strings.Contains(out, "It lacks something") {
		t.Errorf("after a new code:\n%s", out)
	}

	log := s.Run("log", "search", "--json")
	for kind, want := range map[string]int{"break-glass.sealed": 4, "break-glass.proven": 2, "break-glass.used": 2, "enrolment.issued": 3} {
		if got := strings.Count(log, `"`+kind+`"`); got != want {
			t.Errorf("%s is recorded %d times, want %d", kind, got, want)
		}
	}
	s.Stop()
	for _, leak := range append(codes, "swe_prod_") {
		if strings.Contains(log, leak) || strings.Contains(s.Output(), leak) {
			t.Error("a credential is in a log")
		}
	}
	keepsNone(t, s.Data, append(codes, "swe_prod_")...)
}

// keepsNone looks for credentials in the files of a directory, but for those that are meant to have one.
func keepsNone(t *testing.T, dir string, leaks ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "first-administrator.txt" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, leak := range leaks {
			if strings.Contains(string(text), leak) {
				t.Errorf("a credential is in %s", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
