package e2e

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"seawall/internal/secret"
	"seawall/internal/testenv/canary"
	"seawall/validate/validatetest"
)

// people sends codes, verifiers, refresh tokens and proofs of possession through everything that takes any, and through
// what should not.
func (c *watch) people() {
	c.hear("output of seawall up before it was stopped", []byte(c.s.Output())) // the next one has a transcript of its own
	g, codes := grow(c.t, c.s, c.w, 8)
	c.s = g.s
	pepper, err := os.ReadFile(filepath.Join(c.s.Data, "house", "pepper"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.know(canary.Secret{Name: "pepper", Value: pepper}, canary.Text("secret of the application", g.web.Reveal()))
	for _, code := range codes {
		c.know(canary.Text("code", code))
	}
	token := c.w.TokenEndpoint
	exchange := func(code string, more ...string) url.Values {
		form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {appCallback}, "code_verifier": {appVerifier}}
		for i := 0; i < len(more); i += 2 {
			form.Set(more[i], more[i+1])
		}
		return form
	}
	web := func(form url.Values) *http.Request { return withBasic(c.request(token, form), "web", g.web.Reveal()) }
	gets := func(name string, req *http.Request) appAnswer {
		c.t.Helper()
		var got appAnswer
		var a *answer
		waitFor(c.t, func() bool { // the signer hears of new applications when the house has told it
			if body, err := req.GetBody(); err == nil {
				req.Body = body
			}
			a = c.ask(name, req, func(a *answer) string { return string(a.body) })
			return a.status != http.StatusServiceUnavailable
		})
		got.Access, got.ID, got.Refresh = a.member("access_token"), a.member("id_token"), a.member("refresh_token")
		if a.status != http.StatusOK || got.Refresh == "" {
			c.t.Fatalf("%s: %d %s", name, a.status, a.body)
		}
		c.knowToken("token: "+name, got.Access)
		c.knowToken("ID token: "+name, got.ID)
		c.know(canary.Text("refresh token: "+name, got.Refresh))
		return got
	}

	// An application with a credential: a good way, and ways that fail.
	verifier := strings.Repeat("v", 20) + c.likely("verifier")
	c.refused("a code with another verifier", 400, "invalid_grant", web(exchange(codes[1], "code_verifier", verifier)))
	c.refused("a code in the place of a redirect URI", 400, "invalid_grant", web(exchange(codes[1], "redirect_uri", codes[3])))
	c.refused("a code as the client", 400, "invalid_request", web(exchange(codes[1], "client_id", codes[3])))
	c.refused("a code of another application", 400, "invalid_grant", web(exchange(codes[0])))
	first := gets("a code", web(exchange(codes[1])))
	second := gets("a refresh token", web(refreshForm(first.Refresh)))
	gets("a refresh token again", web(refreshForm(first.Refresh)))
	third := gets("its successor", web(refreshForm(second.Refresh)))
	third = gets("the one after", web(refreshForm(third.Refresh))) // the one before the last may have been on its way
	c.refused("an older refresh token", 400, "invalid_grant", web(refreshForm(first.Refresh)))
	c.refused("a suspended refresh token", 400, "invalid_grant", web(refreshForm(third.Refresh)))
	gets("another code", web(exchange(codes[3])))
	c.refused("a code twice", 400, "invalid_grant", web(exchange(codes[3])))
	live := gets("a third code", web(exchange(codes[5])))
	made := secret.Generate(secret.RefreshToken, secret.Production).Reveal()
	c.know(canary.Text("refresh token that is none", made))
	c.refused("a refresh token that is none", 400, "invalid_grant", web(refreshForm(made)))
	c.refused("a refresh token as a code", 400, "invalid_grant", web(exchange(live.Refresh)))
	c.refused("a code as a refresh token", 400, "invalid_grant", web(refreshForm(codes[7])))
	c.refused("a refresh token as a scope", 400, "invalid_scope", web(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {live.Refresh}, "scope": {live.Refresh}}))
	c.refused("a refresh token as a resource", 400, "invalid_target", web(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {live.Refresh}, "resource": {live.Refresh}}))
	c.refused("a refresh token in the URL", 400, "invalid_request", web2(c, token+"?refresh_token="+live.Refresh, g))
	c.refused("a code in the URL", 400, "invalid_request", web2(c, token+"?code="+codes[7], g))

	// An application with a key.
	prover := validatetest.NewProver("", nil)
	nonce := ""
	proven := func(name string, form url.Values, changes ...validatetest.Claims) *http.Request {
		form.Set("client_id", "spa")
		req := c.request(token, form)
		proof := prover.Proof("", "POST", token, append([]validatetest.Claims{{"ath": nil, "nonce": nonce}}, changes...)...)
		c.knowToken("proof: "+name, proof)
		req.Header.Set("DPoP", proof)
		return req
	}
	c.refused("no proof", 400, "invalid_request", c.request(token, exchange(codes[2], "client_id", "spa")))
	a := c.ask("a proof without a nonce", proven("without a nonce", exchange(codes[2])), nil)
	if nonce = a.header.Get("DPoP-Nonce"); nonce == "" {
		c.t.Fatal("no nonce")
	}
	c.refused("a proof for elsewhere", 400, "invalid_dpop_proof", proven("for elsewhere", exchange(codes[2]), validatetest.Claims{"htu": "https://evil.example/token"}))
	bound := gets("a code with a proof", proven("good", exchange(codes[2])))
	c.refused("a proof as a code", 400, "invalid_grant", proven("beside itself", exchange(prover.Proof("", "POST", token))))
	c.refused("a bound refresh token without a proof", 400, "invalid_request", c.request(token, url.Values{"grant_type": {"refresh_token"}, "client_id": {"spa"}, "refresh_token": {bound.Refresh}}))
	bound = gets("a bound refresh token", proven("for a refresh", refreshForm(bound.Refresh)))

	// The other doors.
	userinfo := func(scheme, raw string) *http.Request {
		req := c.raw("GET", c.w.Issuer+"/userinfo", "text/plain", "")
		req.Header.Set("Authorization", scheme+" "+raw)
		return req
	}
	for name, req := range map[string]*http.Request{
		"userinfo": userinfo("Bearer", live.Access), "userinfo with a refresh token": userinfo("Bearer", live.Refresh),
		"userinfo with a bound token": userinfo("Bearer", bound.Access), "userinfo with a code": userinfo("DPoP", codes[7]),
		"introspection of a refresh token":        withBasic(c.request(c.introspectionEndpoint(), url.Values{"token": {live.Refresh}}), "web", g.web.Reveal()),
		"introspection by somebody else":          withBasic(c.request(c.introspectionEndpoint(), url.Values{"token": {live.Refresh}}), c.w.APIID, c.w.APISecret),
		"revocation by somebody else":             withBasic(c.request(c.w.Issuer+"/revoke", url.Values{"token": {live.Refresh}}), c.w.ClientID, c.w.ClientSecret),
		"revocation with a code":                  withBasic(c.request(c.w.Issuer+"/revoke", url.Values{"token": {codes[7]}}), "web", g.web.Reveal()),
		"revocation with the token as the hint":   withBasic(c.request(c.w.Issuer+"/revoke", url.Values{"token": {"x"}, "token_type_hint": {live.Refresh}}), "web", g.web.Reveal()),
		"revocation":                              withBasic(c.request(c.w.Issuer+"/revoke", url.Values{"token": {live.Refresh}}), "web", g.web.Reveal()),
		"a refresh token as a person's login":     c.raw("GET", c.w.Issuer+"/account?i="+live.Refresh, "text/plain", ""),
		"a refresh token as a form of an account": c.request(c.w.Issuer+"/account/applications/resume", url.Values{"family": {live.Refresh}}),
	} {
		c.ask(name, req, nil)
	}
	c.run("", nil, "access", "list", "ada@acme.example", "--tenant", "acme", "--json")
	c.run("", nil, "access", "resume", "ada@acme.example", "--tenant", "acme", "--id", bound.Refresh)
	c.run("", nil, "log", "search", "--kind", "refresh.suspended", "--json")

	// What can't be made, and a house that dies with it in hand.
	c.signal("signer", syscall.SIGSTOP)
	c.ask("a code while the signer stands still", web(exchange(codes[7])), nil)
	c.signal("house", syscall.SIGKILL) // before the signer answers, or the code may be used by then
	c.signal("signer", syscall.SIGCONT)
	c.recover("the house")
	last := gets("a code after all that", web(exchange(codes[7])))
	c.refused("a bound refresh token with another client", 400, "invalid_grant", web(refreshForm(bound.Refresh)))
	c.refused("the last one with another client", 400, "invalid_request", c.request(token, url.Values{"grant_type": {"refresh_token"}, "client_id": {"spa"}, "refresh_token": {last.Refresh}}))
}

// web2 is a request whose URL has what no URL should.
func web2(c *watch, address string, g *grown) *http.Request {
	return withBasic(c.request(address, refreshForm("x")), "web", g.web.Reveal())
}
