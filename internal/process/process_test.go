package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"seawall/internal/link"
	"seawall/internal/supervise"
)

// vault is one that tells which way it went.
func vault(told *Call) Vault {
	way := func(_ context.Context, c Call) int { *told = c; return 7 }
	return Vault{Name: "vault", Makes: "treasure", Supervised: way, Alone: way}
}

func TestCalled(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string // "": it runs
	}{
		"alone":                  {[]string{"--config", "x", "--create"}, ""},
		"supervised":             {[]string{"--supervised", "--forbidden", "/a", "--forbidden", "/b"}, ""},
		"nothing":                {nil, "needs either --config or --supervised"},
		"both":                   {[]string{"--config", "x", "--supervised"}, "needs either --config or --supervised"},
		"creating a child":       {[]string{"--supervised", "--create"}, "--create is for a vault that runs alone"},
		"an unknown flag":        {[]string{"--port", "1"}, "not defined: -port"},
		"a word":                 {[]string{"--supervised", "now"}, "'now' is one argument too many"},
		"an identity of nothing": {[]string{"identity"}, "identity needs --certificate FILE and --key FILE"},
		"a credential":           {[]string{"--config", "x", "swc_0123456789abcdef0123456789abcdef"}, "one argument too many\nhint: seawall vault --help tells more"},
	} {
		t.Run(name, func(t *testing.T) {
			var told Call
			var errs bytes.Buffer
			status := vault(&told).Run(t.Context(), c.args, io.Discard, &errs)
			if c.want == "" && status != 7 || c.want != "" && (status != 2 || !strings.Contains(errs.String(), c.want)) {
				t.Fatalf("status %d, %q", status, errs.String())
			}
			if name == "alone" && (told.Config != "x" || !told.Create) || name == "supervised" && fmt.Sprint(told.Forbidden) != "[/a /b]" {
				t.Errorf("it was called with %+v", told)
			}
		})
	}
	var out bytes.Buffer
	if status := vault(new(Call)).Run(t.Context(), []string{"--help"}, &out, io.Discard); status != 0 || !strings.Contains(out.String(), "usage: seawall vault --config") || !strings.Contains(out.String(), "a new treasure") {
		t.Errorf("help: status %d, %q", status, out.String())
	}
}

func TestIdentity(t *testing.T) {
	crt, key := filepath.Join(t.TempDir(), "c"), filepath.Join(t.TempDir(), "k")
	args := []string{"identity", "--certificate", crt, "--key", key}
	var out bytes.Buffer
	if status := vault(nil).Run(t.Context(), args, &out, io.Discard); status != 0 {
		t.Fatalf("status %d", status)
	}
	if print, err := link.Fingerprint(crt); err != nil || strings.TrimSpace(out.String()) != print {
		t.Errorf("it printed %q, the fingerprint is %s, %v", out.String(), print, err)
	}
	if status := vault(nil).Run(t.Context(), args, io.Discard, io.Discard); status != 1 {
		t.Errorf("over another identity: status %d", status)
	}
}

// TestExitStatus: whoever restarts processes is told which errors no restart mends.
func TestExitStatus(t *testing.T) {
	for want, err := range map[int]error{
		1:                     errors.New("x"),
		supervise.ExitRefused: fmt.Errorf("in /d: %w", Refused(errors.New("x"))),
	} {
		var errs bytes.Buffer
		if got := (Call{vault: Vault{Name: "vault"}, stderr: &errs}).Fail(err); got != want || errs.String() != "seawall vault: "+err.Error()+"\n" {
			t.Errorf("status %d, want %d: %q", got, want, errs.String())
		}
	}
}

func TestLoad(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"good":                 {`{"directory":"/d","uid":1}`, ""},
		"no directory":         {`{"uid":1}`, "absolute and clean"},
		"a relative directory": {`{"directory":"d","uid":1}`, "absolute and clean"},
		"an unclean directory": {`{"directory":"/a/../b","uid":1}`, "absolute and clean"},
		"to stay root":         {`{"directory":"/d","uid":0}`, "does not stay root"},
		"a negative uid":       {`{"directory":"/d","uid":-1}`, "does not stay root"},
		"a negative Landlock":  {`{"directory":"/d","uid":1,"require_landlock":-1}`, "cannot be negative"},
		"an unknown key":       {`{"dir":"/d"}`, "unknown field"},
		"two objects":          {`{}{}`, "something follows"},
		"nothing":              {"", "EOF"},
		"a list":               {"[]", "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.WriteFile("vault.json", []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			call := Call{Config: "vault.json"}
			own, err := Load(&call, func(text []byte) (o Own, err error) {
				return o, errors.Join(Parse(text, &o), o.Check())
			})
			if c.want == "" && (err != nil || !filepath.IsAbs(call.Config)) {
				t.Fatalf("%+v from %s, %v", own, call.Config, err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || status(err) != supervise.ExitRefused) {
				t.Fatalf("%v, want %q", err, c.want)
			}
		})
	}
}
