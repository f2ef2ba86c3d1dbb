package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
)

// say runs a command line in this process.
func say(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(context.Background(), args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

func TestAWrongWordIsAnsweredWithTheNearest(t *testing.T) {
	for _, one := range []struct {
		args []string
		want string
	}{
		{[]string{"tenat", "list"}, "seawall: no command 'tenat': did you mean 'tenant'?\n"},
		{[]string{"tenant", "craete"}, "seawall: no command 'craete' in 'tenant': did you mean 'create'?\n"},
		{[]string{"client", "rotate"}, "seawall: no command 'rotate' in 'client': did you mean 'rotate-secret'?\n"},
		{[]string{"tenant", "create", "acme", "--clas", "production"}, "seawall: tenant create: no flag --clas: did you mean --class?\n"},
		{[]string{"version", "--jsno"}, "seawall: version: no flag --jsno: did you mean --json?\n"},
		{[]string{"help", "stats"}, "seawall: no command 'stats': did you mean 'status'?\n"},
	} {
		status, out, errs := say(t, one.args...)
		if status != exitUsage || out != "" || errs != one.want {
			t.Errorf("%v: status %d, stdout %q, stderr %q; want 2, nothing and %q", one.args, status, out, errs, one.want)
		}
	}
}

func TestAWordThatResemblesNothingGetsTheList(t *testing.T) {
	status, _, errs := say(t, "xyzzy")
	if status != exitUsage || errs != "seawall: no command 'xyzzy'\nhint: seawall help lists what there is\n" {
		t.Errorf("status %d: %q", status, errs)
	}
}

func TestFlagsMayComeBeforeAndAfterWords(t *testing.T) {
	for _, args := range []string{
		"acme --class production --contact a --contact b --json",
		"--class production acme --contact=a -contact b --json",
		"--json --contact a --class=production --contact=b -- acme",
	} {
		f := newFlags(&call{name: "x", args: strings.Fields(args)}, "", "")
		class, contacts, asJSON := f.String("class", "", ""), f.list("contact", ""), f.json()
		words, err := f.parse("ID")
		if err != nil || !slices.Equal(words, []string{"acme"}) || *class != "production" || !slices.Equal(*contacts, []string{"a", "b"}) || !*asJSON {
			t.Errorf("%s: words %v, class %q, contacts %v, json %v, %v", args, words, *class, *contacts, *asJSON, err)
		}
	}
}

func TestAKidMayBeginWithADash(t *testing.T) {
	for _, kid := range []string{"-LUIzt0zHjBpvyZ6fg2k6Y", "--UIzt0zHjBpvyZ6fg2k6Y"} {
		f := newFlags(&call{name: "x", args: []string{kid, "--json"}}, "", "")
		asJSON := f.json()
		words, err := f.parse("KID")
		if err != nil || !slices.Equal(words, []string{kid}) || !*asJSON {
			t.Errorf("%s: words %v, json %v, %v", kid, words, *asJSON, err)
		}
	}
	f := newFlags(&call{name: "x", args: []string{"--certificate-authorities"}}, "", "")
	if _, err := f.parse("KID"); err == nil || !strings.Contains(err.Error(), "no flag --certificate-authorities") {
		t.Errorf("a flag that is not one: %v", err)
	}
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for _, one := range []struct{ args, want string }{
		{"tenant create", "tenant create: ID is missing"},
		{"tenant create a b", "tenant create: 'b' is one argument too many"},
		{"tenant create a --class", "tenant create: --class needs a value"},
		{"tenant create a --rotation-days many", "tenant create: --rotation-days many: parse error"},
		{"tenant create a", "tenant create: --class is missing"},
		{"tenant create a --max-lifetime soon --class production", "tenant create: --max-lifetime soon: a length of time looks like"},
		{"api create https://a.example", "api create: --tenant is missing"},
		{"client create --tenant a --claim colour", "client create: --claim wants NAME=VALUE"},
		{"client create --tenant a --claim c=1 --claim c=2", "client create: --claim c is given twice"},
		{"keys list --data=", "keys list: --tenant is missing"},
		{"tenant list --data=", "--data is empty"},
	} {
		status, out, errs := say(t, strings.Fields(one.args)...)
		if status != exitUsage || out != "" || !strings.HasPrefix(errs, "seawall: "+one.want) {
			t.Errorf("%s: status %d, stdout %q, stderr %q", one.args, status, out, errs)
		}
	}
}

func TestErrorsRepeatNoCredential(t *testing.T) {
	token := "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjaSJ9.c2lnbmF0dXJl"
	generated := "swc_prod_4vTqW8nZk1RbX6yHs0LcJm3dPgUe7fAoKi9BtNh"
	for _, args := range []string{
		"%s", "tenant %s", "help %s", "validate --issuer https://id.example/acme --audience https://api.acme.example %s",
		"tenant create a %s", "tenant create a --rotation-days %s", "keys list --data %s --tenant acme", "up --config %s",
	} {
		for _, credential := range []string{token, generated} {
			status, out, errs := say(t, strings.Fields(fmt.Sprintf(args, credential))...)
			if status == exitOK || !strings.Contains(errs, secret.Redacted) || strings.Contains(out+errs, credential[:20]) {
				t.Errorf("%s: status %d, stdout %q, stderr %q", args, status, out, errs)
			}
		}
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	var walk func(prefix []string, list []command)
	walk = func(prefix []string, list []command) {
		for _, c := range list {
			words := append(slices.Clone(prefix), c.name)
			if c.help == "" {
				t.Errorf("%v has no line in the overview", words)
			}
			if c.sub != nil {
				walk(words, c.sub)
			}
			status, out, errs := say(t, append(words, "--help")...)
			if status != exitOK || !strings.HasPrefix(out, "usage: seawall "+strings.Join(words, " ")) || errs != "" {
				t.Errorf("%v --help: status %d, stdout %.60q, stderr %q", words, status, out, errs)
			}
			for _, word := range strings.Fields(out) {
				if strings.HasPrefix(word, "-") && isKID(word) {
					t.Errorf("%v: the flag %s would be taken for a kid", words, word)
				}
			}
			status, again, _ := say(t, append([]string{"help"}, words...)...)
			if status != exitOK || again != out {
				t.Errorf("help %v: status %d, and not what --help says", words, status)
			}
		}
	}
	walk(nil, commands())
}

func TestACommandWithoutAServerSaysHowToStartIt(t *testing.T) {
	dir := t.TempDir()
	status, out, errs := say(t, "tenant", "list", "--data", dir)
	want := "seawall: seawall is not running on " + dir + "\nhint: start it with `seawall up --data " + dir + "`\n"
	if status != exitNo || out != "" || errs != want {
		t.Errorf("status %d, stdout %q, stderr %q; want %q", status, out, errs, want)
	}
	t.Setenv("SEAWALL_DATA", dir)
	if _, _, again := say(t, "keys", "list", "--tenant", "acme"); again != want {
		t.Errorf("with SEAWALL_DATA: %q", again)
	}
}

func TestRefusalsOfTheAdminAPIKeepTheirHint(t *testing.T) {
	err := explain("tenant create", "/d", &adminapi.Error{Code: adminapi.CodeUsedBefore, Description: "acme was used before", Hint: "choose another id"})
	var errs bytes.Buffer
	if status := finish(&errs, err); status != exitNo || errs.String() != "seawall: tenant create: acme was used before\nhint: choose another id\n" {
		t.Errorf("status %d: %q", status, errs.String())
	}
}

// TestFailuresForPrograms: every command that prints JSON tells its failures as JSON, too, in the last line of standard error, and
// nothing on standard output. Those that don't go on in words.
func TestFailuresForPrograms(t *testing.T) {
	jsons := 0
	var walk func(prefix []string, list []command)
	walk = func(prefix []string, list []command) {
		for _, c := range list {
			words := append(slices.Clone(prefix), c.name)
			if c.sub != nil {
				walk(words, c.sub)
				continue
			}
			_, help, _ := say(t, append(slices.Clone(words), "--help")...)
			has := strings.Contains(help, "\n  --json ")
			status, out, errs := say(t, append(slices.Clone(words), "--no-such-flag", "--json")...) // it is wrong before it says that it wants JSON
			var f failure
			is := json.Unmarshal([]byte(errs), &f) == nil && strings.Count(errs, "\n") == 1
			if status == exitOK || out != "" || is != has {
				t.Errorf("%v: status %d, on standard output %q, on standard error %q", words, status, out, errs)
			}
			if !has {
				continue
			}
			if jsons++; status != exitUsage || f.Code != "invalid_request" || !strings.Contains(f.Description, "no flag --no-such-flag") || len(f.Hints) == 0 {
				t.Errorf("%v: status %d, %+v", words, status, f)
			}
		}
	}
	walk(nil, commands())
	if jsons < 40 {
		t.Errorf("only %d commands print JSON", jsons)
	}
	dir := t.TempDir()
	status, out, errs := say(t, "tenant", "list", "--json", "--data", dir)
	want := `{"error":"not_running","error_description":"seawall is not running on ` + dir + `","hints":["start it with ` + "`seawall up --data " + dir + "`" + `"]}` + "\n"
	if status != exitNo || out != "" || errs != want {
		t.Errorf("without a server: status %d, %q, %q, want %q", status, out, errs, want)
	}
}

// TestClassesOfFailures: what the admin API finds wrong with a value ends like what is found here, and everything else is not done.
func TestClassesOfFailures(t *testing.T) {
	token := "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjaSJ9.c2lnbmF0dXJl"
	for name, c := range map[string]struct {
		err    error
		status int
		json   string
	}{
		"done":                {nil, exitOK, ""},
		"help":                {errHelpShown, exitOK, ""},
		"answered":            {errAnswered, exitNo, ""},
		"found wrong here":    {usage("--x is missing", "try y"), exitUsage, `{"error":"invalid_request","error_description":"--x is missing","hints":["try y"]}`},
		"found wrong there":   {explain("tenant create", "/d", &adminapi.Error{Code: adminapi.CodeInvalid, Status: 400, Description: "class: there is no \"x\"", Hint: "choose another"}), exitUsage, `{"error":"invalid_request","error_description":"tenant create: class: there is no \"x\"","hints":["choose another"]}`},
		"refused":             {explain("tenant create", "/d", &adminapi.Error{Code: adminapi.CodeExists, Status: 409, Description: "it exists"}), exitNo, `{"error":"already_exists","error_description":"tenant create: it exists"}`},
		"away":                {explain("status", "/d", &adminapi.Error{Code: adminapi.CodeUnavailable, Description: "away"}), exitNo, `{"error":"temporarily_unavailable","error_description":"status: away"}`},
		"something else":      {errors.New("the disk <is> full"), exitNo, `{"error":"failed","error_description":"the disk <is> full"}`},
		"with a credential":   {usage("'"+token+"' is one too many", "not "+token), exitUsage, `{"error":"invalid_request","error_description":"'` + secret.Redacted + `' is one too many","hints":["not ` + secret.Redacted + `"]}`},
		"several":             {errors.Join(errors.New("one"), errors.New("two")), exitNo, `{"error":"failed","error_description":"one\ntwo"}`},
		"wrapped and refused": {fmt.Errorf("a: %w", &adminapi.Error{Code: "spare_too_young", Description: "b"}), exitNo, `{"error":"spare_too_young","error_description":"a: b"}`},
	} {
		var text, object bytes.Buffer
		if status := finish(&text, c.err); status != c.status || (text.Len() > 0) != (c.json != "") {
			t.Errorf("%s: status %d, %q", name, status, text.String())
		}
		if status := finishJSON(&object, c.err); status != c.status || strings.TrimSuffix(object.String(), "\n") != c.json {
			t.Errorf("%s: status %d, %s, want %s", name, status, object.String(), c.json)
		}
	}
}

func TestSecretsAreSavedForTheirOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ci.env")
	keep, err := openKeepsake(path)
	if err != nil {
		t.Fatal(err)
	}
	secret := "swc_prod_x"
	if saved := keepSecret(&call{err: io.Discard}, keep, &secret, "CLIENT_ID", "ci", "CLIENT_SECRET"); saved != path || secret != "" {
		t.Errorf("saved in %q, and %q is left to print", saved, secret)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "CLIENT_ID='ci'\nCLIENT_SECRET='swc_prod_x'\n" {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := openKeepsake(path); err == nil || !strings.Contains(err.Error(), "may hold another secret") {
		t.Errorf("an existing file: %v", err)
	}
}

// TestASecretThatCannotBeSavedIsPrinted: it exists by then, and there is no second chance to see it.
func TestASecretThatCannotBeSavedIsPrinted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ci.env")
	keep, err := openKeepsake(path)
	if err != nil {
		t.Fatal(err)
	}
	keep.file.Close()
	var errs bytes.Buffer
	secret := "swc_prod_x"
	if saved := keepSecret(&call{err: &errs}, keep, &secret, "CLIENT_SECRET"); saved != "" || secret != "swc_prod_x" {
		t.Errorf("saved in %q, and %q is left to print", saved, secret)
	}
	if !strings.Contains(errs.String(), "the secret follows here instead") {
		t.Errorf("stderr: %q", errs.String())
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the empty file is still there: %v", err)
	}
}

func TestWhatCannotBeUndoneWantsAYes(t *testing.T) {
	var errs bytes.Buffer
	c := &call{name: "tenant disable", in: strings.NewReader("acme\n"), err: &errs}
	err := agree(c, false, "acme", []string{"Tenant acme will get no more tokens."})
	if err == nil || err.Error() != "tenant disable: nothing was done: it wants to be confirmed" {
		t.Errorf("without --yes and without a terminal: %v", err)
	}
	if errs.String() != "Tenant acme will get no more tokens.\n" {
		t.Errorf("the preview is %q", errs.String())
	}
	if err := agree(c, true, "acme", nil); err != nil {
		t.Errorf("with --yes: %v", err)
	}
}

func TestLengthsOfTime(t *testing.T) {
	for text, want := range map[string]seconds{"600": 600, "0": 0, "10m": 600, "24h": 86400, "30d": 30 * 86400, "1h30m": 5400} {
		var s seconds
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%s: %d, %v; want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "-1", "-5m", "1.5s", "soon", "99999999999", "1d2h", "-1d"} {
		var s seconds
		if err := s.Set(text); err == nil {
			t.Errorf("%q was read as %d", text, s)
		}
	}
}

func TestTablesLineUp(t *testing.T) {
	var out bytes.Buffer
	one := table{head: []string{"A", "LONGER"}}
	one.add("très long", "x")
	one.add("b", "y")
	if err := one.write(&out, "none"); err != nil || out.String() != "A           LONGER\ntrès long   x\nb           y\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	out.Reset()
	empty := table{head: []string{"A"}}
	if err := empty.write(&out, "none"); err != nil || out.String() != "none\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestMomentsSayHowFarAway(t *testing.T) {
	now := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	for _, one := range []struct {
		at   time.Time
		want string
	}{
		{now.Add(12 * time.Minute), "2026-11-02 12:12 UTC (in 12 minutes)"},
		{now.Add(-25 * time.Hour), "2026-11-01 11:00 UTC (25 hours ago)"},
		{now.Add(-30 * 24 * time.Hour), "2026-10-03 12:00 UTC (30 days ago)"},
		{time.Time{}, "–"},
	} {
		if got := moment(one.at, now); got != one.want {
			t.Errorf("%q, want %q", got, one.want)
		}
	}
}
