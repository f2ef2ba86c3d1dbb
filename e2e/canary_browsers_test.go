package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"

	"seawall/internal/testenv"
	"seawall/internal/testenv/canary"
)

// browsers goes through everything that a person does in a browser, and through what can go wrong with it: links, cookies,
// codes and passkeys, where they belong and where they don't.
func (c *watch) browsers() {
	kept := testenv.Dir(c.t, 0) // where secrets belong that an operator saves
	c.run("", nil, "client", "create", "site", "--tenant", "acme", "--type", "web", "--redirect", "https://site.acme.example/cb", "--save", filepath.Join(kept, "site.env"))
	ada := meet(c.t, c.s, c.w, "ada.lovelace@acme.example", c.w.http.Transport)
	c.know(canary.Text("link", ada.link))
	c.overhear(ada)
	wrong := func(when, secret string) {
		for path, body := range map[string]any{
			"/enrol/begin": map[string]any{"secret": secret}, "/enrol/finish": map[string]any{"secret": secret, "credential": secret},
			"/signin/begin": map[string]any{"i": secret}, "/signin/finish": map[string]any{"i": secret, "credential": map[string]any{"id": secret, "rawId": secret, "type": secret}},
			"/account/passkeys/begin": map[string]any{secret: secret}, "/account/passkeys/finish": secret,
		} {
			ada.try(path, body)
		}
		for _, path := range []string{"/signin?i=", "/signin?secret=", "/account?", "/enrol?secret=", "/authorize?client_id=", "/authorize?client_id=site&redirect_uri=", "/consent?i=", "/logout?id_token_hint=", "/signed-out?"} {
			ada.do(c.raw("GET", c.w.Issuer+path+url.QueryEscape(secret), "text/plain", ""))
		}
		for _, path := range []string{"/account/passkeys/rename", "/account/passkeys/remove", "/account/passkeys/restore", "/account/sessions/end", "/account/recoveries/approve", "/consent", "/logout", "/account/applications/resume"} {
			ada.do(c.request(c.w.Issuer+path, url.Values{"passkey": {secret}, "session": {secret}, "tenant": {secret}, "person": {secret}, "i": {secret}, "form": {secret}, "family": {secret}}))
		}
		req := c.raw("GET", c.w.Issuer+"/account", "text/plain", "")
		req.Header.Set("User-Agent", secret)
		req.Header.Set("Accept-Language", secret)
		req.Header.Set("Referer", "https://evil.example/#"+secret)
		req.Header.Set("Cookie", "__Host-seawall_session_acme="+secret)
		ada.do(req)
		c.run("", nil, "person", "show", secret, "--tenant", "acme")
		c.run(secret+"\n", nil, "break-glass", "use", "--tenant", "acme", "--save", filepath.Join(kept, "glass.link"))
		c.run(secret+"\n", nil, "break-glass", "prove", "--tenant", "acme")
	}
	wrong("before it is used", ada.link)
	begun := ada.post("/enrol/begin", map[string]any{"secret": ada.link})
	ada.post("/enrol/finish", map[string]any{"name": "key", "credential": ada.create(begun)})
	wrong("after it was used", ada.link)

	// Signing in, with what is missing, wrong, sent again, and away.
	ada.signIn("")
	begun = ada.post("/signin/begin", map[string]any{"i": ""})
	good := ada.assert(begun)
	ada.try("/signin/finish", map[string]any{"credential": good})
	ada.try("/signin/finish", map[string]any{"credential": good})
	begun = ada.post("/signin/begin", map[string]any{"i": ""})
	forged := ada.assert(begun)
	forged["response"].(map[string]any)["signature"] = b64(make([]byte, 70))
	ada.try("/signin/finish", map[string]any{"credential": forged})
	c.signal("ledger", syscall.SIGSTOP)
	begun = ada.post("/signin/begin", map[string]any{"i": ""})
	if status, _ := ada.try("/signin/finish", map[string]any{"credential": ada.assert(begun)}); status != http.StatusServiceUnavailable {
		c.t.Errorf("signing in while the ledger stands still: %d", status)
	}
	c.signal("ledger", syscall.SIGCONT)

	// An application: consent, a code, and what comes of sending it elsewhere.
	where := c.w.Issuer + "/authorize?" + url.Values{"response_type": {"code"}, "client_id": {"site"}, "redirect_uri": {"https://site.acme.example/cb"}, "scope": {"openid"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}, "state": {"s"}}.Encode()
	left, _ := ada.walk(where)
	code := c.codeIn(left)
	wrong("as a link", code)
	c.signal("house", syscall.SIGKILL) // with a ceremony under way
	c.recover("the house")
	ada.try("/signin/finish", map[string]any{"credential": good})
	left, _ = ada.walk(where)
	c.codeIn(left)
	for _, cookie := range ada.cookies() {
		wrong("a cookie", cookie.Value)
	}
	ada.do(c.request(c.w.Issuer+"/signout", nil))
	c.run("", nil, "person", "show", "ada.lovelace@acme.example", "--tenant", "acme", "--json")
	c.run("", nil, "log", "search", "--subject", ada.subject, "--json")
}

// codeIn learns the code that an application was sent.
func (c *watch) codeIn(left string) string {
	u, err := url.Parse(left)
	if err != nil || u.Query().Get("code") == "" {
		c.t.Fatalf("the browser was sent to %q", left)
	}
	c.know(canary.Text("code of an application", u.Query().Get("code")))
	return u.Query().Get("code")
}

// overhear keeps all that a person's browser is told. Cookies are secrets from then on, and so are codes; both are where they
// belong in the header that hands them over.
func (c *watch) overhear(p *person) {
	p.heard = func(what string, a *http.Response, body []byte) {
		var byRight []string
		for _, cookie := range a.Cookies() {
			if cookie.Value != "" {
				c.know(canary.Text("cookie "+cookie.Name, cookie.Value))
				byRight = append(byRight, cookie.Value)
			}
		}
		if to, err := url.Parse(a.Header.Get("Location")); err == nil && to.Query().Get("code") != "" {
			byRight = append(byRight, to.Query().Get("code"))
		}
		byRight = append(byRight, c.shown(a, string(body))...)
		var text bytes.Buffer
		if err := a.Header.Write(&text); err != nil {
			c.t.Error(err)
		}
		text.Write(body)
		var next struct{ Next string }
		if json.Unmarshal(body, &next) == nil && strings.Contains(next.Next, "?") {
			byRight = append(byRight, next.Next)
		}
		c.keep(heard{"answer to " + what, without(text.Bytes(), byRight...), c.typed(a.Request)})
	}
}
