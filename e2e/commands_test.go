package e2e

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"seawall/internal/testenv"
)

// said runs a command and returns its exit status and both outputs.
func said(t *testing.T, s *testenv.Seawall, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	cmd := s.Command(args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// says is a command and what it must say: a pattern for standard output on success, for standard error otherwise.
type says struct {
	status int
	args   string
	want   string
}

func (c says) check(t *testing.T, s *testenv.Seawall) {
	t.Helper()
	status, out, errs := said(t, s, strings.Fields(c.args)...)
	text := out
	if c.status != 0 {
		if text = errs; out != "" {
			t.Errorf("seawall %s: on standard output is\n%s", c.args, out)
		}
	}
	if status != c.status || !regexp.MustCompile(`^(?s:`+c.want+`)$`).MatchString(text) {
		t.Errorf("seawall %s: status %d, want %d and\n%s\ngot\n%s%s", c.args, status, c.status, c.want, out, errs)
	}
}

// TestWhatCommandsSayOfAccess goes through what applications have of somebody: as a table and as JSON, suspended, let go on, and
// ended, with the ways to be wrong.
func TestWhatCommandsSayOfAccess(t *testing.T) {
	s := start(t)
	g, codes := grow(t, s, populate(t, s, "acme"), 4)
	for i := range 3 {
		a, err := g.device(i).insist(url.Values{"grant_type": {"authorization_code"}, "code": {codes[i]}, "redirect_uri": {appCallback}, "code_verifier": {appVerifier}})
		if err != nil || a.Refresh == "" {
			t.Fatalf("device %d: %v, %s", i, err, a.Error)
		}
	}
	type access struct {
		ID, Client, Why string
		Scopes          []string
		Generation      uint64
	}
	list := func(args ...string) (byClient map[string][]access) {
		t.Helper()
		var all struct{ Access []access }
		g.s.JSON(&all, append(args, "--tenant", "acme")...)
		byClient = map[string][]access{}
		for _, a := range all.Access {
			byClient[a.Client] = append(byClient[a.Client], a)
		}
		return byClient
	}
	all := list("access", "list", "ada@acme.example")
	if len(all["spa"]) != 2 || len(all["web"]) != 1 || all["web"][0].Generation != 1 || strings.Join(all["web"][0].Scopes, " ") != "openid read" {
		t.Fatalf("they have %+v", all)
	}
	const head = `APPLICATION +STATE +SCOPE +SINCE +USED +ENDS +ID\n`
	row := func(client, state, id string) string {
		return client + ` +` + state + ` +openid read +20\d\d-\d\d-\d\d +\S.* ago +20\d\d-.*\(in .*\) +` + id + `\n`
	}
	web, spa := all["web"][0].ID, all["spa"][0].ID
	of := "ada@acme.example --tenant acme"
	for _, c := range []says{
		{0, "access suspend " + of + " --id " + web, `Done: suspended.\n\n` + head + `.*` + row("web", "SUSPENDED: by hand", web) + `.*`},
		{0, "access list " + of, head + `.*` + row("web", "SUSPENDED: by hand", web) + `.*`},
		{0, "access suspend " + of + " --id " + web, `Done: suspended.\n.*`}, // as it is already
		{0, "access resume " + of + " --id " + web, `Done: it goes on.\n\n.*` + row("web", "live", web) + `.*`},
		{0, "access end " + of + " --id " + spa, `Done: ended.\n\n` + head + `.*`},
		{1, "access suspend " + of + " --id " + spa, `seawall: access suspend: no application has an access ` + spa + ` of ada@acme.example\nhint: see .seawall access list ada@acme.example --tenant acme.\n`},
		{2, "access end " + of + " --id no-id", `seawall: .*\n`},
		{1, "access list nobody@acme.example --tenant acme", `seawall: access list: there is no person "nobody@acme.example" in acme\nhint: see .seawall person list --tenant acme.\n`},
		{2, "access list ada@acme.example", `seawall: access list: --tenant is missing\n.*`},
		{2, "access suspend " + of, `seawall: access suspend: --id is missing\n.*`},
		{2, "access end " + of, `seawall: access end: give one of --id, --client and --all\n.*`},
		{2, "access end " + of + " --all --client web", `seawall: access end: give one of --id, --client and --all\n.*`},
	} {
		c.check(t, g.s)
	}
	if left := list("access", "end", "ada@acme.example", "--client", "web"); len(left["web"]) != 0 || len(left["spa"]) != 1 || left["spa"][0].ID == spa {
		t.Errorf("without what was ended they have %+v", left)
	}
	says{0, "access end " + of + " --all", `Done: ended.\n\nNo application has access.\n`}.check(t, g.s)
	says{0, "access list " + of + " --json", `\{\s*"access": ?\[\],?.*\}\n`}.check(t, g.s)
	for kind, want := range map[string]int{"refresh.suspended": 1, "refresh.resumed": 1, "refresh.ended": 1, "consent.withdrawn": 2} {
		if n := len(search(t, g.s, "--kind", kind)); n != want {
			t.Errorf("%s is recorded %d times, want %d", kind, n, want)
		}
	}
}

// TestWhatCommandsSayOfPeople: each command about people in both ways, and as its own words say.
func TestWhatCommandsSayOfPeople(t *testing.T) {
	s := testenv.Start(t, testenv.Options{Binary: program, Listen: strings.Replace(testenv.FreeAddress(t), "127.0.0.1", "localhost", 1)}) // links want a name
	g, _ := grow(t, s, populate(t, s, "acme"), 1)
	s, dir := g.s, testenv.Dir(t, 0)
	for _, c := range []says{
		{0, "person create grace@acme.example --tenant acme --name Grace", `Grace is one of acme now.\n +login +grace@acme.example\n +subject +\S+\n +next +seawall person enrol grace@acme.example --tenant acme\n`},
		{1, "person create grace@acme.example --tenant acme", `seawall: person create: there is already a person grace@acme.example in acme\nhint: .*\n`},
		{0, "person list --tenant acme", `LOGIN +NAME +KIND.*\n.*ada@acme.example .*\n.*grace@acme.example +Grace .*`},
		{0, "person show grace@acme.example --tenant acme", `Grace\n +state +enabled\n +login +grace@acme.example\n.*No passkey yet: .*\n\nSigned in nowhere.\n`},
		{1, "person enrol grace@acme.example --tenant acme", `seawall: a link is shown on a terminal only\nhint: give --save FILE.*\n`},
		{0, "person recover ada@acme.example --tenant acme", `Asked for. It waits for two administrators, who approve it at …/operators/account.\n`},
		{0, "person show ada@acme.example --tenant acme", `ada@acme.example\n.*recovery +asked for by uid:\d+, waits for two administrators\n.*`},
		{1, "person recover ada@acme.example --tenant acme --approve", `seawall: person recover: the operators' socket can ask for a recovery, and has no say in it.*\nhint: .*\n`},
		{2, "person recover ada@acme.example --tenant acme --approve --stop", `seawall: person recover: --approve and --stop exclude each other\n.*`},
		{0, "person recover ada@acme.example --tenant acme --stop", `No recovery of ada@acme.example is under way any more.\n`},
		{0, "person sign-out ada@acme.example --tenant acme", `ada@acme.example is signed in on 0 browsers now.\n`},
		{0, "person create help@seawall.example --tenant operators --role help-desk", `help@seawall.example is one of operators now.\n.*`},
		{1, "person set-role help@seawall.example auditor", `.* will be auditor instead of help-desk.\n +undo .*\nseawall: person set-role: nothing was done: it wants to be confirmed\nhint: add --yes to do it\n`},
		{0, "person set-role help@seawall.example auditor --yes", `help@seawall.example is auditor.\n`},
		{2, "person set-role help@seawall.example king --yes", `.*seawall: person set-role: role: there is no "king"\nhint: choose owner, operator, help-desk or auditor\n`},
		{2, "person set-role help@seawall.example king --yes --json", `.*\n\{"error":"invalid_request","error_description":"person set-role: role: there is no \\"king\\"","hints":\["choose owner, operator, help-desk or auditor"\]\}\n`},
		{1, "person create grace@acme.example --tenant acme --json", `\{"error":"already_exists","error_description":"person create: there is already a person grace@acme.example in acme","hints":\[".*"\]\}\n`},
		{1, "person disable ada@acme.example --tenant acme", `.*ada@acme.example \(ada@acme.example\) will not be able to sign in at acme any more.\n +affected  1 passkey, 0 sessions\n.*--yes.*\n`},
		{0, "person disable ada@acme.example --tenant acme --yes", `ada@acme.example is disabled.\n`},
		{0, "whoami", `uid:\d+, over the socket of this machine\n`},
	} {
		c.check(t, s)
	}
	file := filepath.Join(dir, "link")
	says{0, "person enrol grace@acme.example --tenant acme --save " + file, `A link for grace@acme.example, which works once until .*:\n +saved in +` + regexp.QuoteMeta(file) + `\n`}.check(t, s)
	shown := onTerminal(t, s, "", "person", "enrol", "grace@acme.example", "--tenant", "acme")
	if !regexp.MustCompile(`A link for grace@acme.example, which works once until .*\r\n\r\n  ` + s.URL + `/acme/enrol#swe_prod_[0-9A-Za-z]{39}\r\n\r\nHand it over on a way that only they can read`).MatchString(shown) {
		t.Errorf("on a terminal the link is shown as\n%s", noSecrets.ReplaceAllString(shown, "…"))
	}
	for _, c := range []struct {
		args    string
		members []string
	}{
		{"person create alan@acme.example --tenant acme", []string{"subject", "login", "tenant"}},
		{"person list --tenant acme", []string{"subject", "login", "kind"}},
		{"person show grace@acme.example --tenant acme", []string{"subject", "login", "name", "created"}},
		{"person enrol alan@acme.example --tenant acme --save " + filepath.Join(dir, "alan"), []string{"login", "subject", "reason", "expires", "saved"}},
		{"person sign-out grace@acme.example --tenant acme", []string{"subject"}},
		{"person set-role help@seawall.example help-desk --yes", []string{"subject", "role"}},
		{"person disable alan@acme.example --tenant acme --yes", []string{"subject", "disabled"}},
		{"whoami", []string{"actor"}},
	} {
		status, out, errs := said(t, s, append(strings.Fields(c.args), "--json")...)
		var all any
		if err := json.Unmarshal([]byte(out), &all); err != nil || status != 0 {
			t.Errorf("seawall %s --json: %d, %v\n%s%s", c.args, status, err, out, errs)
			continue
		}
		object, _ := all.(map[string]any)
		if people, is := object["people"].([]any); is && len(people) > 0 {
			object, _ = people[0].(map[string]any)
		}
		for _, name := range c.members {
			if object[name] == nil {
				t.Errorf("seawall %s --json: no %s in\n%s", c.args, name, out)
			}
		}
		if noSecrets.MatchString(out) {
			t.Errorf("seawall %s --json has a credential in it", c.args)
		}
	}
}
