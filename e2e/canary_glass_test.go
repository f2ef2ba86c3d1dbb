package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"filippo.io/age"
	"filippo.io/age/armor"

	"seawall/internal/testenv"
	"seawall/internal/testenv/canary"
)

// glass makes break-glass codes where there is no terminal, for readers who open them, and uses one up; with recipients that are
// none, with their private halves, and while nothing can be recorded.
func (c *watch) glass() {
	kept, readers := testenv.Dir(c.t, 0), newReaders(c)
	ada, grace := readers[0].Recipient().String(), readers[1].Recipient().String()
	complete := []string{"tenant", "complete", "acme", "--new-codes", "--seal-to", ada, "--seal-to"}
	made := func(args ...string) []string {
		status, out := c.run("", nil, args...)
		if status != 0 {
			c.t.Fatalf("seawall %s: status %d: %s", args[:2], status, out)
		}
		return c.open(out, readers)
	}
	if status, out := c.run("", nil, append(complete, grace)...); status != 0 || strings.Count(out, armor.Header) != 2 {
		c.t.Errorf("codes for people: status %d: %s", status, out)
	}
	codes := made(append(complete, grace, "--json")...)
	for name, wrong := range map[string]string{"a private key": readers[1].String(), "a word": c.likely("recipient"), "something awkward": c.awkward("recipient"), "a code": codes[0]} {
		if status, out := c.run("", nil, append(complete, wrong, "--json")...); status != 2 {
			c.t.Errorf("%s as a recipient: status %d: %s", name, status, out)
		}
	}
	c.signal("ledger", syscall.SIGSTOP)
	if status, out := c.run("", nil, append(complete, grace, "--json")...); status != 1 {
		c.t.Errorf("codes while the ledger stands still: status %d: %s", status, out)
	}
	c.signal("ledger", syscall.SIGCONT)
	c.recover("after codes could not be recorded")
	codes = made(append(complete, grace, "--json")...)

	file := filepath.Join(kept, "link")
	use := []string{"break-glass", "use", "--tenant", "acme", "--json", "--seal-to", ada, "--save"}
	c.run(codes[0]+"\n", nil, "break-glass", "prove", "--tenant", "acme")
	status, out := c.run(codes[0]+"\n", nil, append(use, file)...)
	if next := c.open(out, readers); status != 0 || len(next) != 1 {
		c.t.Fatalf("using a code: status %d, %d new ones", status, len(next))
	}
	text, err := os.ReadFile(file)
	_, link, found := strings.Cut(strings.TrimSuffix(strings.TrimSpace(string(text)), "'"), "#")
	if err != nil || !found {
		c.t.Fatalf("there is no link: %v", err)
	}
	c.know(canary.Text("link of a break-glass principal", link))
	p := newBrowser(c.t, c.w.Issuer, c.w.http.Transport)
	c.overhear(p)
	p.post("/enrol/finish", map[string]any{"name": "key", "credential": p.create(p.post("/enrol/begin", map[string]any{"secret": link}))})
	p.signIn("")
	for _, code := range codes { // the second is used up elsewhere, and the first was
		c.run(code+"\n", nil, append(use, filepath.Join(kept, "again"))...)
		p.try("/enrol/begin", map[string]any{"secret": code})
	}
	c.run("", nil, "person", "show", "break-glass-1", "--tenant", "acme", "--json")
	c.run("", nil, "log", "search", "--kind", "break-glass.sealed", "--json")
}

// newReaders makes keys for two people to whom codes are encrypted.
func newReaders(c *watch) (list []*age.X25519Identity) {
	for range 2 {
		one, err := age.GenerateX25519Identity()
		if err != nil {
			c.t.Fatal(err)
		}
		c.know(canary.Text("private key of a reader", one.String()))
		list = append(list, one)
	}
	return list
}

// open opens the codes in the JSON of a command as its readers would, each their own, and lets nothing else show them.
func (c *watch) open(out string, readers []*age.X25519Identity) (codes []string) {
	c.t.Helper()
	var shown struct {
		Codes []struct{ Login, Sealed string }
	}
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&shown); err != nil || len(shown.Codes) == 0 {
		c.t.Fatalf("%d codes in %s: %v", len(shown.Codes), out, err)
	}
	for i, one := range shown.Codes {
		plain, err := age.Decrypt(armor.NewReader(strings.NewReader(one.Sealed)), readers[i])
		if err != nil {
			c.t.Fatalf("%s: %v", one.Login, err)
		}
		line, err := bufio.NewReader(plain).ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		codes = append(codes, strings.TrimSpace(line))
		c.know(canary.Text("code of "+one.Login, strings.TrimSpace(line)))
	}
	return codes
}
