package e2e

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"seawall/internal/console"
	"seawall/internal/testenv"
	"seawall/internal/testenv/canary"
)

// administer goes through everything that an administrator does: every page and every act of the console, taken and refused,
// with secrets typed where none belong; and the command line from elsewhere, with the key and the refresh token that it keeps.
func (c *watch) administer() {
	file := filepath.Join(c.s.Data, "first-administrator.txt")
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.Remove(file) // as whoever has read it is told to
	}
	_, link, found := strings.Cut(strings.TrimSpace(string(text)), "#")
	if err != nil || !found {
		c.t.Fatalf("there is no link for the first administrator: %v", err)
	}
	c.know(canary.Text("link of the first administrator", link))
	kept := testenv.Dir(c.t, 0)
	for _, args := range [][]string{
		{"tenant", "create", "hooli", "--class", "production", "--owner", "ops@hooli.example", "--contact", "a@hooli.example", "--contact", "b@hooli.example"},
		{"api", "create", "https://api.hooli.example", "--tenant", "hooli", "--scope", "read", "--save", filepath.Join(kept, "api.env")},
		{"client", "create", "portal", "--tenant", "hooli", "--type", "web", "--redirect", "https://portal.hooli.example/cb", "--save", filepath.Join(kept, "portal.env")},
		{"person", "create", "help@acme.example", "--tenant", "operators", "--role", "help-desk"},
	} {
		if status, out := c.run("", nil, args...); status != 0 {
			c.t.Fatalf("seawall %s: %s", args, out)
		}
	}
	owner := newBrowser(c.t, c.s.URL+"/operators", c.w.http.Transport)
	c.overhear(owner)
	begun := owner.post("/enrol/begin", map[string]any{"secret": link})
	owner.post("/enrol/finish", map[string]any{"name": "key", "credential": owner.create(begun)})
	c.console(owner)
	c.elsewhere(owner)
	c.owner = owner
	c.signal("ledger", syscall.SIGSTOP)
	if status, _, body := owner.do(c.typing("while the ledger stands still")); status != http.StatusServiceUnavailable {
		c.t.Errorf("an act of the console while the ledger stands still: %d\n%s", status, body)
	}
	c.signal("ledger", syscall.SIGCONT)
	c.recover("after the console waited")
}

// typing is an act of the console that would be done, with a secret where nobody reads it.
func (c *watch) typing(name string) *http.Request {
	_, _, body := c.owner.do(c.raw("GET", c.owner.issuer+console.Path+"/tenants/acme/new/person", "text/plain", ""))
	token := formToken.FindStringSubmatch(body)
	if token == nil {
		c.t.Fatalf("there is no form:\n%s", body)
	}
	return c.request(c.owner.issuer+console.Path+"/tenants/acme/new/person", url.Values{"form": {token[1]}, "login": {"late@acme.example"}, "more": {c.likely("typed " + name)}})
}

var (
	formToken = regexp.MustCompile(`name="form" value="([^"]+)"`)
	onceShown = regexp.MustCompile(`sw[a-z]_prod_[0-9A-Za-z]{20,}`)
	fieldName = regexp.MustCompile(`(?:input|textarea)[^>]* name="([a-z]+)"`)
)

// console presses every button of the console: with nothing, with secrets in every field, from before the sign-in, and well.
// The list of acts is the console's own.
func (c *watch) console(owner *person) {
	var ada, desk struct{ Subject string }
	c.s.JSON(&ada, "person", "show", "ada@acme.example", "--tenant", "acme")
	c.s.JSON(&desk, "person", "show", "help@acme.example", "--tenant", "operators")
	var access struct{ Access []struct{ ID string } }
	c.s.JSON(&access, "access", "list", "ada@acme.example", "--tenant", "acme")
	if len(access.Access) == 0 {
		c.t.Fatal("no application has access")
	}
	var keys struct {
		Keys []struct{ KID, Family, State string }
	}
	c.s.JSON(&keys, "keys", "list", "--tenant", "hooli")
	signs := ""
	for _, k := range keys.Keys {
		if k.Family == "access" && k.State == "active" {
			signs = k.KID
		}
	}
	where := func(page string) string { // acts upon people are done at acme, the others at a tenant that nobody else needs
		switch last(page) {
		case "role", "enrol":
			return strings.NewReplacer("{tenant}", "operators", "{person}", desk.Subject).Replace(page)
		case "access":
			page += "?id=" + access.Access[0].ID
		case "client":
			page += "?type=web"
		}
		tenant := "hooli"
		if strings.Contains(page, "{person}") {
			tenant = "acme"
		}
		return strings.NewReplacer("{tenant}", tenant, "{person}", ada.Subject, "{client}", "portal", "{api}", "https:%2F%2Fapi.hooli.example", "{key}", signs).Replace(page)
	}
	good := map[string]url.Values{
		"/new/tenant":                                  {"tenant": {"beta"}, "class": {"staging"}, "owner": {"o@beta.example"}, "contacts": {"a@beta.example b@beta.example"}, "algorithm": {"ES256"}},
		"/tenants/{tenant}/new/person":                 {"login": {"grace@hooli.example"}, "name": {"Grace"}},
		"/tenants/{tenant}/new/client":                 {"type": {"web"}, "id": {"wiki"}, "name": {"Wiki"}, "redirects": {"https://wiki.hooli.example/cb"}, "auth": {"client_secret_basic"}},
		"/tenants/{tenant}/new/api":                    {"audience": {"https://wiki.hooli.example"}, "scopes": {"read"}},
		"/tenants/{tenant}/clients/{client}/rotate":    {"overlap": {"3600"}},
		"/tenants/{tenant}/clients/{client}/redirects": {"redirects": {"https://portal.hooli.example/back"}},
		"/tenants/{tenant}/keys/{key}/distrust":        {"confirm": {"yes"}, "reason": {"key-compromise"}, "young": {"yes"}},
		"/tenants/{tenant}/keys/{key}/give-back":       {"confirm": {"yes"}, "reason": {"mistake"}},
		"/tenants/{tenant}/people/{person}/recover":    {"step": {"request"}},
		"/tenants/{tenant}/people/{person}/role":       {"role": {"auditor"}},
		"/tenants/{tenant}/people/{person}/access":     {"step": {"end"}, "id": {access.Access[0].ID}},
	}
	pages, acts := console.Pages()
	see := func(path string) (int, string) {
		status, _, body := owner.do(c.raw("GET", owner.issuer+console.Path+path, "text/plain", ""))
		return status, body
	}
	for _, page := range pages {
		see(where(page))
		for _, x := range []string{c.likely("in the address of " + page), c.awkward("in the address of " + page)} {
			for _, query := range []string{"draft", "id", "type", "done", "tenant", "client", "before"} {
				see(strings.SplitN(where(page), "?", 2)[0] + "?" + url.Values{query: {x}}.Encode())
			}
			for _, name := range []string{"{tenant}", "{person}", "{client}", "{api}", "{key}"} {
				if strings.Contains(page, name) {
					see(where(strings.ReplaceAll(page, name, url.PathEscape(x))))
				}
			}
		}
	}
	press := func(path string, form url.Values) int {
		status, _, _ := owner.do(c.request(owner.issuer+console.Path+path, form))
		return status
	}
	ends := func(act string) int { // what ends something comes late, and a tenant last
		switch last(act) {
		case "disable":
			return 1000 - len(act)
		case "sessions":
			return 1
		}
		return 0
	}
	slices.SortStableFunc(acts, func(a, b string) int { return ends(a) - ends(b) })
	for _, act := range acts {
		_, body := see(where(act))
		path, _, _ := strings.Cut(where(act), "?")
		token := formToken.FindStringSubmatch(body)
		if token == nil {
			c.t.Errorf("%s has no form", path)
			continue
		}
		for _, kind := range []func(string) string{c.likely, c.awkward} {
			form := url.Values{"form": {token[1]}}
			for _, m := range fieldName.FindAllStringSubmatch(body, -1) {
				if m[1] != "form" && m[1] != "login" { // anything may be a login
					form.Set(m[1], kind(m[1]+" at "+act))
				}
			}
			press(path, form)
			form.Set("form", kind("token of "+act))
			if status := press(path, form); status != http.StatusForbidden {
				c.t.Errorf("%s without a token: %d", path, status)
			}
		}
		form := maps.Clone(good[act])
		if form == nil {
			form = url.Values{}
		}
		form.Set("form", token[1])
		form.Set("confirm", "yes")
		if status := press(path, form); status >= 400 && (act != "/tenants/{tenant}/keys/rotate" || status != http.StatusConflict) { // keys are not rotated before they have signed
			c.t.Errorf("%s: %d", path, status)
		}
	}
	if n := len(c.named("shown once")); n < 4 {
		c.t.Errorf("only %d secrets were shown", n)
	}
}

// last is the last part of a path.
func last(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// named are the secrets of a name.
func (c *watch) named(name string) (list []canary.Secret) {
	for _, s := range c.secrets {
		if strings.HasPrefix(s.Name, name) {
			list = append(list, s)
		}
	}
	return list
}

// elsewhere is a machine from which somebody administers: what it keeps is in one file, while it is needed, and nowhere else.
func (c *watch) elsewhere(owner *person) {
	config := testenv.Dir(c.t, 0)
	run := func(name string, args ...string) (string, error) {
		cmd := testenv.Command(c.t, c.s.Binary, args...)
		cmd.Env = append(cmd.Env, "XDG_CONFIG_HOME="+config, "SSL_CERT_FILE="+c.authority.rootsFile, "TMPDIR="+c.temporary, "DISPLAY=", "WAYLAND_DISPLAY=", "SEAWALL_DATA=")
		var stdout bytes.Buffer
		cmd.Stdout = &stdout
		stderr, err := cmd.StderrPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			c.t.Fatal(err)
		}
		said := c.accompany(stderr, owner)
		err = cmd.Wait()
		c.hear("standard output of "+name, stdout.Bytes())
		c.hear("standard error of "+name, said)
		return stdout.String() + string(said), err
	}
	must := func(args ...string) {
		if out, err := run("seawall "+args[0], args...); err != nil {
			c.t.Errorf("seawall %s: %v\n%s", args, err, out)
		}
	}
	server := []string{"--server", c.s.URL}
	must("login", c.s.URL)
	path := c.keepsLogin(config)
	must(append([]string{"whoami", "--json"}, server...)...)
	must(append([]string{"person", "list", "--tenant", "acme"}, server...)...)
	must(append([]string{"tenant", "complete", "acme", "--json"}, server...)...)
	readers := newReaders(c)
	out, err := run("codes from elsewhere", append([]string{"tenant", "complete", "acme", "--new-codes", "--json", "--seal-to", readers[0].Recipient().String(), "--seal-to", readers[1].Recipient().String()}, server...)...)
	if err != nil {
		c.t.Errorf("codes from elsewhere: %v\n%s", err, out)
	}
	c.open(out, readers)
	c.keepsLogin(config) // the token is another one by now
	_, _ = run("a person by a secret", append([]string{"person", "show", c.likely("asked for from elsewhere"), "--tenant", "acme"}, server...)...)
	kept, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	for name, broken := range map[string]string{ // each is refused, and not quoted
		"a damaged login": string(kept[:len(kept)-2]), "a login with a damaged key": strings.Replace(string(kept), `"key":"MIG`, `"key":"AIG`, 1),
		"a login with another token": regexp.MustCompile(`"refresh_token":"[^"]+"`).ReplaceAllString(string(kept), `"refresh_token":"`+c.likely("another refresh token")+`"`),
	} {
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			c.t.Fatal(err)
		}
		if out, err := run(name, append([]string{"tenant", "list"}, server...)...); err == nil {
			c.t.Errorf("%s: %s", name, out)
		}
	}
	if err := os.WriteFile(path, kept, 0o600); err != nil {
		c.t.Fatal(err)
	}
	must("logout")
	if found, err := c.set().Dir(config); err != nil || len(found) > 0 {
		c.t.Errorf("after the logout the machine has %v, %v", found, err)
	}
	if _, err := run("after the logout", append([]string{"tenant", "list"}, server...)...); err == nil {
		c.t.Error("a login that has ended administers")
	}
}

// accompany goes where a command sends the browser, takes the answer to the command that waits for it on this machine, and
// returns what the command said.
func (c *watch) accompany(said io.Reader, owner *person) []byte {
	var all bytes.Buffer
	for lines := bufio.NewScanner(said); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		address := strings.TrimSpace(lines.Text())
		if !strings.HasPrefix(address, owner.issuer+"/authorize?") {
			continue
		}
		left, _ := owner.walk(address)
		c.codeIn(left)
		resp, err := http.Get(left)
		if err != nil {
			c.t.Fatalf("the command does not wait: %v", err)
		}
		page, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if c.hear("page of the command that waits", page); err != nil || resp.StatusCode != http.StatusOK {
			c.t.Errorf("the command says %d, %v", resp.StatusCode, err)
		}
	}
	return all.Bytes()
}

// keepsLogin learns what the file of a login has, and sees that the search finds it there.
func (c *watch) keepsLogin(config string) string {
	files, err := filepath.Glob(filepath.Join(config, "seawall", "login-*.json"))
	if err != nil || len(files) != 1 {
		c.t.Fatalf("logins: %v, %v", files, err)
	}
	var kept struct {
		Key     []byte
		Refresh string `json:"refresh_token"`
	}
	text, err := os.ReadFile(files[0])
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := x509.ParsePKCS8PrivateKey(kept.Key); err != nil {
		c.t.Fatal(err)
	}
	list, err := canary.PKCS8("key of a login", kept.Key)
	if err != nil {
		c.t.Fatal(err)
	}
	c.know(append(list, canary.Text("refresh token of a login", kept.Refresh))...)
	found, err := c.set().Dir(config)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, name := range []string{list[0].Name, "refresh token of a login"} {
		if !slices.ContainsFunc(found, func(f canary.Finding) bool { return f.Secret == name }) {
			c.t.Errorf("the search does not see the %s in its file", name)
		}
	}
	return files[0]
}

// shown are the secrets that a page of the console has by right: what it shows once, and what its forms send back.
func (c *watch) shown(a *http.Response, body string) (byRight []string) {
	if !strings.Contains(a.Request.URL.Path, console.Path) {
		return nil
	}
	if m := formToken.FindStringSubmatch(body); m != nil {
		c.know(canary.Text("token of a form", html.UnescapeString(m[1])))
		byRight = append(byRight, m[1])
	}
	if a.Request.Method == http.MethodPost && a.StatusCode == http.StatusOK {
		for _, secret := range onceShown.FindAllString(body, -1) {
			c.know(canary.Text("shown once at "+last(a.Request.URL.Path), secret))
			byRight = append(byRight, secret)
		}
	}
	return byRight
}

// typed are the secrets that somebody has just typed into a form of the console, or its address. Its answer may show them to
// whoever typed them, and nothing else may.
func (c *watch) typed(r *http.Request) (names []string) {
	if !strings.Contains(r.URL.Path, console.Path) {
		return nil
	}
	sent := r.URL.Path
	for _, values := range r.URL.Query() {
		sent += "\n" + strings.Join(values, "\n")
	}
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			c.t.Fatal(err)
		}
		text, _ := io.ReadAll(body) // of memory
		form, _ := url.ParseQuery(string(text))
		for _, values := range form {
			sent += "\n" + strings.Join(values, "\n")
		}
	}
	for _, s := range c.secrets {
		if strings.Contains(sent, string(s.Value)) {
			names = append(names, s.Name)
		}
	}
	return names
}
