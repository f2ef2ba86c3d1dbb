package e2e

// The ways that credentials take through seawall, for TestNoSecretGetsOut.

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"seawall/internal/testenv"
)

// request makes a request with a form.
func (c *watch) request(endpoint string, form url.Values) *http.Request {
	return c.raw("POST", endpoint, "application/x-www-form-urlencoded", form.Encode())
}

func (c *watch) raw(method, address, contentType, body string) *http.Request {
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	return req
}

// withBasic adds Basic authentication.
func withBasic(req *http.Request, user, password string) *http.Request {
	req.SetBasicAuth(url.QueryEscape(user), url.QueryEscape(password)) // RFC 6749 §2.3.1
	return req
}

func (c *watch) introspectionEndpoint() string { return c.w.Issuer + "/introspect" }

// tokenForm is the form of a token request, with further parameters.
func tokenForm(more ...string) url.Values {
	form := url.Values{"grant_type": {"client_credentials"}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

// ask sends a request and keeps the answer, header and body, without what it says by right.
func (c *watch) ask(name string, req *http.Request, byRight func(*answer) string) *answer {
	c.t.Helper()
	a, err := c.w.do(req)
	if err != nil {
		c.t.Errorf("%s: %v", name, err)
		return &answer{}
	}
	var text bytes.Buffer
	if err := a.header.Write(&text); err != nil {
		c.t.Errorf("%s: %v", name, err)
	}
	text.Write(a.body)
	cut := ""
	if byRight != nil {
		cut = byRight(a)
	}
	c.hear("answer to "+name, text.Bytes(), cut)
	return a
}

// get sends a request that gets a token.
func (c *watch) get(name string, req *http.Request) string {
	c.t.Helper()
	a := c.ask(name, req, func(a *answer) string { return a.member("access_token") })
	token := a.member("access_token")
	if a.status != http.StatusOK || token == "" {
		c.t.Fatalf("%s: status %d, %s", name, a.status, a.body)
	}
	c.knowToken("token: "+name, token)
	return token
}

// refused sends a request that must be refused in just this way.
func (c *watch) refused(name string, status int, code string, req *http.Request) {
	c.t.Helper()
	if a := c.ask(name, req, nil); a.status != status || a.member("error") != code {
		c.t.Errorf("%s: status %d, %s; want %d and %s", name, a.status, a.body, status, code)
	}
}

// issue gets tokens in every way.
func (c *watch) issue() {
	c.get("client_secret_basic", withBasic(c.request(c.w.TokenEndpoint, tokenForm("scope", "read")), c.w.ClientID, c.w.ClientSecret))
	c.get("client_secret_post", c.request(c.w.TokenEndpoint, tokenForm("client_id", c.poster.ClientID, "client_secret", c.poster.ClientSecret)))
	c.get("private_key_jwt", c.request(c.w.TokenEndpoint, c.withAssertion("good", nil)))
	old := c.w.ClientSecret
	c.create(&c.w.client, "client", "rotate-secret", "ci", "--tenant", "acme")
	c.get("the old secret", withBasic(c.request(c.w.TokenEndpoint, tokenForm()), c.w.ClientID, old))
	c.get("the new secret", withBasic(c.request(c.w.TokenEndpoint, tokenForm("resource", c.w.audience)), c.w.ClientID, c.w.ClientSecret))
}

// refuse puts secrets where a client might put them by mistake.
func (c *watch) refuse() {
	token := c.w.TokenEndpoint
	ci := func(req *http.Request) *http.Request { return withBasic(req, c.w.ClientID, c.w.ClientSecret) }
	header := func(req *http.Request, name, value string) *http.Request {
		req.Header.Set(name, value)
		return req
	}
	const anything = -1
	for _, one := range []struct {
		name   string
		status int
		code   string
		make   func(x string) *http.Request
	}{
		{"wrong secret", 401, "invalid_client", func(x string) *http.Request { return withBasic(c.request(token, tokenForm()), c.w.ClientID, x) }},
		{"wrong secret in the form", 401, "invalid_client", func(x string) *http.Request {
			return c.request(token, tokenForm("client_id", c.poster.ClientID, "client_secret", x))
		}},
		{"unknown client", 401, "invalid_client", func(x string) *http.Request { return withBasic(c.request(token, tokenForm()), "nobody", x) }},
		{"secret as client id", 401, "invalid_client", func(x string) *http.Request { return withBasic(c.request(token, tokenForm()), x, "ci") }},
		{"secret as client id in the form", 401, "invalid_client", func(x string) *http.Request {
			return c.request(token, tokenForm("client_id", x, "client_secret", x))
		}},
		{"secret as password without a client", 401, "invalid_client", func(x string) *http.Request { return withBasic(c.request(token, tokenForm()), "", x) }},
		{"two methods", 400, "invalid_request", func(x string) *http.Request { return ci(c.request(token, tokenForm("client_secret", x))) }},
		{"another client id", 400, "invalid_request", func(x string) *http.Request { return ci(c.request(token, tokenForm("client_id", x))) }},
		{"repeated parameter", 400, "invalid_request", func(x string) *http.Request {
			form := tokenForm()
			form["client_secret"] = []string{x, x}
			return c.request(token, form)
		}},
		{"broken escape", 400, "invalid_request", func(x string) *http.Request {
			return c.raw("POST", token, "application/x-www-form-urlencoded", "client_secret="+url.QueryEscape(x)+"&%zz")
		}},
		{"control character", 400, "invalid_request", func(x string) *http.Request { return c.request(token, tokenForm("client_secret", x+"\n")) }},
		{"JSON body", 400, "invalid_request", func(x string) *http.Request {
			text, _ := json.Marshal(map[string]string{"client_secret": x})
			return c.raw("POST", token, "application/json", string(text))
		}},
		{"unheard-of type", 400, "invalid_request", func(x string) *http.Request {
			return c.raw("POST", token, "text/plain; secret="+url.QueryEscape(x), x)
		}},
		{"too long", 413, "invalid_request", func(x string) *http.Request {
			return c.request(token, tokenForm("client_secret", x, "padding", strings.Repeat("x", 20<<10)))
		}},
		{"too many parameters", 400, "invalid_request", func(x string) *http.Request {
			form := tokenForm("client_secret", x)
			for i := range 70 {
				form.Set(fmt.Sprint("p", i), x)
			}
			return c.request(token, form)
		}},
		{"in the query", 400, "invalid_request", func(x string) *http.Request {
			return c.raw("POST", token+"?"+url.Values{"client_secret": {x}}.Encode(), "application/x-www-form-urlencoded", tokenForm().Encode())
		}},
		{"in the query under another name", 400, "invalid_request", func(x string) *http.Request {
			return c.raw("POST", token+"?"+url.Values{"q": {x}}.Encode(), "application/x-www-form-urlencoded", tokenForm().Encode())
		}},
		{"in the query of the keys", 400, "invalid_request", func(x string) *http.Request {
			return c.raw("GET", c.w.Issuer+"/jwks?"+url.Values{"access_token": {x}}.Encode(), "", "")
		}},
		{"in a query that nobody reads", anything, "", func(x string) *http.Request {
			return c.raw("GET", c.w.Issuer+"/jwks?"+url.QueryEscape(x), "", "")
		}},
		{"as the tenant", 404, "not_found", func(x string) *http.Request {
			return c.raw("POST", c.s.URL+"/"+url.PathEscape(x)+"/token", "application/x-www-form-urlencoded", tokenForm().Encode())
		}},
		{"as an endpoint", 404, "not_found", func(x string) *http.Request { return c.raw("GET", c.w.Issuer+"/"+url.PathEscape(x), "", "") }},
		{"by another method", 405, "invalid_request", func(x string) *http.Request {
			return withBasic(c.raw("PUT", token, "application/x-www-form-urlencoded", tokenForm("client_secret", x).Encode()), "ci", x)
		}},
		{"as a parameter's name", 400, "invalid_request", func(x string) *http.Request {
			form := tokenForm("client_secret", "x")
			form[x] = []string{"x", "y"}
			return ci(c.request(token, form))
		}},
		{"as grant type", 400, "unsupported_grant_type", func(x string) *http.Request { return ci(c.request(token, tokenForm("grant_type", x))) }},
		{"as scope", 400, "invalid_scope", func(x string) *http.Request { return ci(c.request(token, tokenForm("scope", x))) }},
		{"as resource", 400, "invalid_target", func(x string) *http.Request { return ci(c.request(token, tokenForm("resource", x))) }},
		{"unregistered audience", 400, "invalid_target", func(x string) *http.Request {
			return ci(c.request(token, tokenForm("resource", "https://"+url.PathEscape(x)+".example/")))
		}},
		{"as assertion", 401, "invalid_client", func(x string) *http.Request {
			return c.request(token, tokenForm("client_assertion_type", assertionType, "client_assertion", x))
		}},
		{"as assertion type", 400, "invalid_request", func(x string) *http.Request {
			return c.request(token, tokenForm("client_assertion_type", x, "client_assertion", x))
		}},
		{"Basic without base64", 401, "invalid_client", func(x string) *http.Request {
			return header(c.request(token, tokenForm()), "Authorization", "Basic ci:"+url.QueryEscape(x))
		}},
		{"Basic without a colon", 401, "invalid_client", func(x string) *http.Request {
			return header(c.request(token, tokenForm()), "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(x)))
		}},
		{"another scheme", 401, "invalid_client", func(x string) *http.Request {
			return header(c.request(token, tokenForm()), "Authorization", "Bearer "+url.QueryEscape(x))
		}},
		{"in other headers", 401, "invalid_client", func(x string) *http.Request {
			req := c.request(token, tokenForm())
			for _, name := range []string{"User-Agent", "Referer", "Cookie", "X-Api-Key", "X-Forwarded-For", "Forwarded", "Origin", "Traceparent", "Accept", "Dpop"} {
				req.Header.Set(name, url.QueryEscape(x))
			}
			return req
		}},
		{"as an enrolment link", anything, "", func(x string) *http.Request {
			text, _ := json.Marshal(map[string]string{"secret": x})
			return c.raw("POST", c.w.Issuer+"/enrol/begin", "application/json", string(text))
		}},
		{"as a passkey", anything, "", func(x string) *http.Request {
			text, _ := json.Marshal(map[string]any{"i": x, "name": x, "credential": map[string]any{"id": x, "rawId": x, "type": "public-key", "response": map[string]string{"clientDataJSON": x}}})
			return c.raw("POST", c.w.Issuer+"/signin/finish", "application/json", string(text))
		}},
		{"as a session", anything, "", func(x string) *http.Request {
			req := c.raw("GET", c.w.Issuer+"/account", "", "")
			return header(req, "Cookie", "__Host-seawall_session_acme="+url.QueryEscape(x)+"; seawall_session_acme="+url.QueryEscape(x))
		}},
		{"as where to go on", anything, "", func(x string) *http.Request {
			return c.raw("GET", c.w.Issuer+"/signin?"+url.Values{"i": {x}}.Encode(), "", "")
		}},
		{"as the name of a passkey", anything, "", func(x string) *http.Request {
			return c.request(c.w.Issuer+"/account/passkeys/rename", url.Values{"passkey": {x}, "name": {x}})
		}},
		{"as an application", anything, "", func(x string) *http.Request {
			return c.raw("GET", c.w.Issuer+"/authorize?"+url.Values{"client_id": {x}, "redirect_uri": {x}, "login_hint": {x}}.Encode(), "", "")
		}},
		{"as where to go back to", anything, "", func(x string) *http.Request {
			return c.raw("GET", c.w.Issuer+"/authorize?"+url.Values{"client_id": {"ci"}, "redirect_uri": {"https://" + url.PathEscape(x) + ".example/"}, "state": {x}}.Encode(), "", "")
		}},
		{"as a posted request", anything, "", func(x string) *http.Request {
			return c.request(c.w.Issuer+"/authorize", url.Values{"client_id": {x}, x: {x}})
		}},
		{"as an answer to consent", anything, "", func(x string) *http.Request {
			return c.request(c.w.Issuer+"/consent", url.Values{"i": {x}, "form": {x}, "decision": {x}})
		}},
		{"as the ID token of a logout", anything, "", func(x string) *http.Request {
			return c.raw("GET", c.w.Issuer+"/logout?"+url.Values{"id_token_hint": {x}, "post_logout_redirect_uri": {x}}.Encode(), "", "")
		}},
		{"as the ID token of a posted logout", anything, "", func(x string) *http.Request {
			return c.request(c.w.Issuer+"/logout", url.Values{"id_token_hint": {x}, "client_id": {"ci"}})
		}},
		{"as a confirmed logout", anything, "", func(x string) *http.Request {
			return c.request(c.w.Issuer+"/logout", url.Values{"i": {x}, "form": {x}})
		}},
		{"as host", anything, "", func(x string) *http.Request {
			req := c.request(token, tokenForm())
			req.Host = strings.Map(onlyLetters, x)
			return req
		}},
	} {
		for _, kind := range []func(string) string{c.likely, c.awkward} {
			req := one.make(kind(one.name))
			if one.status == anything {
				c.ask(one.name, req, nil)
				continue
			}
			c.refused(one.name, one.status, one.code, req)
		}
	}
}

func onlyLetters(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
		return r
	}
	return '-'
}

// introspect asks about good, altered and made-up tokens, and as somebody else.
func (c *watch) introspect() {
	endpoint := c.introspectionEndpoint()
	api := func(req *http.Request) *http.Request { return withBasic(req, c.w.APIID, c.w.APISecret) }
	good := c.get("introspection", withBasic(c.request(c.w.TokenEndpoint, tokenForm()), c.w.ClientID, c.w.ClientSecret))
	altered := good[:len(good)-8] + "AAAAAAAA"
	for _, one := range []struct{ name, token, active string }{
		{"a good token", good, "true"},
		{"an altered token", altered, "false"},
		{"a token without signature", good[:strings.LastIndexByte(good, '.')], "false"},
		{"a token with spaces", " " + good, "false"},
		{"garbage", c.likely("introspection of garbage"), "false"},
		{"awkward garbage", c.awkward("introspection of garbage"), "false"},
	} {
		a := c.ask("introspection of "+one.name, api(c.request(endpoint, url.Values{"token": {one.token}, "token_type_hint": {one.token}})), nil)
		if a.status != http.StatusOK || a.member("active") != one.active {
			c.t.Errorf("introspection of %s: status %d, %s", one.name, a.status, a.body)
		}
	}
	form := url.Values{"token": {good}}
	c.refused("introspection with a wrong secret", 401, "invalid_client", withBasic(c.request(endpoint, form), c.w.APIID, c.likely("wrong API secret")))
	c.refused("introspection as an unknown API", 401, "invalid_client", withBasic(c.request(endpoint, form), c.awkward("unknown API"), c.w.APISecret))
	c.refused("introspection as a client", 401, "invalid_client", withBasic(c.request(endpoint, form), c.w.ClientID, c.w.ClientSecret))
	c.refused("introspection without authentication", 401, "invalid_client", c.request(endpoint, form))
	c.refused("introspection in the query", 400, "invalid_request", api(c.raw("POST", endpoint+"?token="+good, "application/x-www-form-urlencoded", "")))
	bearer := c.request(endpoint, form)
	bearer.Header.Set("Authorization", "Bearer "+good)
	c.refused("introspection with the token itself", 401, "invalid_client", bearer)
	c.refused("a token as client secret", 401, "invalid_client", withBasic(c.request(c.w.TokenEndpoint, tokenForm()), c.w.ClientID, good))
	c.ask("a token in the path", c.raw("GET", c.w.Issuer+"/"+good, "", ""), nil)
}

// distrust revokes tokens in every way, listens to the feed, and puts secrets where somebody might by mistake.
func (c *watch) distrust() {
	feed, revoke := c.w.Issuer+"/distrust", c.w.Issuer+"/revoke"
	api := func(req *http.Request) *http.Request { return withBasic(req, c.w.APIID, c.w.APISecret) }
	ci := func(req *http.Request) *http.Request { return withBasic(req, c.w.ClientID, c.w.ClientSecret) }
	read := func(path string) *http.Request { return c.raw("GET", feed+path, "", "") }
	good := c.get("revocation", ci(c.request(c.w.TokenEndpoint, tokenForm())))
	leaked := c.get("a leak", ci(c.request(c.w.TokenEndpoint, tokenForm())))
	other := c.get("another's", c.request(c.w.TokenEndpoint, tokenForm("client_id", c.poster.ClientID, "client_secret", c.poster.ClientSecret)))
	c.refused("revocation of another's token", 400, "unauthorized_client", ci(c.request(revoke, url.Values{"token": {other}})))
	for name, token := range map[string]string{"a good token": good, "the same again": good, "an altered token": good[:len(good)-8] + "AAAAAAAA",
		"awkward garbage": c.awkward("revocation of garbage"), "a token with spaces": " " + good} {
		if a := c.ask("revocation of "+name, ci(c.request(revoke, url.Values{"token": {token}, "token_type_hint": {token}})), nil); a.status != http.StatusOK {
			c.t.Errorf("revocation of %s: status %d, %s", name, a.status, a.body)
		}
	}
	c.refused("revocation of a secret", 400, "unsupported_token_type", ci(c.request(revoke, url.Values{"token": {c.w.ClientSecret}})))
	c.refused("revocation with a wrong secret", 401, "invalid_client", withBasic(c.request(revoke, url.Values{"token": {good}}), c.w.ClientID, c.likely("wrong secret at revocation")))
	c.refused("revocation in the query", 400, "invalid_request", ci(c.raw("POST", revoke+"?token="+good, "application/x-www-form-urlencoded", "")))
	for _, path := range []string{"", "/changes?after=0"} {
		if a := c.ask("the feed"+path, api(read(path)), nil); a.status != http.StatusOK {
			c.t.Errorf("the feed%s: status %d, %s", path, a.status, a.body)
		}
		c.refused("the feed with a wrong secret"+path, 401, "invalid_client", withBasic(read(path), c.w.APIID, c.likely("wrong secret at the feed"+path)))
		c.refused("the feed for an awkward API"+path, 401, "invalid_client", withBasic(read(path), c.awkward("API at the feed"+path), c.w.APISecret))
	}
	c.refused("the feed with a secret in the query", 400, "invalid_request", api(read("?api_secret="+url.QueryEscape(c.w.APISecret))))
	last := api(read("/events"))
	last.Header.Set("Last-Event-ID", c.likely("Last-Event-ID"))
	c.refused("the feed after a secret", 400, "invalid_request", last)
	c.refused("the changes after a secret", 400, "invalid_request", api(read("/changes?after="+url.QueryEscape(c.awkward("after")))))
	for _, one := range []struct {
		name, input string
		args        []string
		status      int
	}{
		{"token revoke of a leaked token", leaked, []string{"token", "revoke", "--tenant", "acme", "--token-from-stdin", "--reason", "leaked-token", "--yes"}, 0},
		{"token revoke of garbage", c.awkward("token revoke"), []string{"token", "revoke", "--tenant", "acme", "--token-from-stdin", "--reason", "leaked-token", "--yes"}, 1},
		{"distrust list", "", []string{"distrust", "list", "--tenant", "acme"}, 0},
		{"token restore", "", []string{"token", "restore", "1", "--tenant", "acme", "--yes"}, 0},
	} {
		if status, out := c.run(one.input, nil, one.args...); status != one.status {
			c.t.Errorf("%s: status %d, want %d: %s", one.name, status, one.status, out)
		}
	}
	if status, _ := c.run("", nil, "token", "revoke", "--tenant", "acme", "--jti", leaked, "--reason", "leaked-token", "--yes"); status == 0 {
		c.t.Error("a token was taken for its own name")
	}
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// withAssertion is the form of a token request with a new client assertion, whose claims change may change.
func (c *watch) withAssertion(name string, change func(header, claims map[string]any)) url.Values {
	now := time.Now().Unix()
	header := map[string]any{"alg": "ES256", "kid": "own-1"}
	claims := map[string]any{"iss": c.keyed, "sub": c.keyed, "aud": c.w.Issuer, "iat": now, "exp": now + 60, "jti": rand.Text()}
	if change != nil {
		change(header, claims)
	}
	input := encodeJSON(c.t, header) + "." + encodeJSON(c.t, claims)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, c.keys, digest[:])
	if err != nil {
		c.t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	compact := input + "." + base64.RawURLEncoding.EncodeToString(signature)
	c.knowToken("client assertion: "+name, compact)
	return tokenForm("client_assertion_type", assertionType, "client_assertion", compact)
}

func encodeJSON(t *testing.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// assert sends client assertions that are no good.
func (c *watch) assert() {
	used := c.withAssertion("used twice", nil)
	c.get("an assertion, once", c.request(c.w.TokenEndpoint, used))
	c.refused("an assertion, twice", 401, "invalid_client", c.request(c.w.TokenEndpoint, used))
	for name, change := range map[string]func(header, claims map[string]any){
		"for another issuer": func(_, claims map[string]any) { claims["aud"] = "https://other.example/acme" },
		"expired":            func(_, claims map[string]any) { claims["iat"], claims["exp"] = 1, 2 },
		"by another key":     func(header, _ map[string]any) { header["kid"] = "own-2" },
		"unsigned":           func(header, _ map[string]any) { header["alg"] = "none" },
		"of nobody":          func(_, claims map[string]any) { claims["iss"], claims["sub"] = "nobody", "nobody" },
		"secret in a claim":  func(_, claims map[string]any) { claims["sub"] = c.likely("subject of an assertion") },
	} {
		c.refused("an assertion "+name, 401, "invalid_client", c.request(c.w.TokenEndpoint, c.withAssertion(name, change)))
	}
	two := c.withAssertion("with a secret", nil)
	two.Set("client_secret", c.likely("beside an assertion"))
	c.refused("an assertion and a secret", 400, "invalid_request", c.request(c.w.TokenEndpoint, two))
}

// breakRequests sends what is not, or not quite, HTTP.
func (c *watch) breakRequests() {
	path := strings.TrimPrefix(c.w.TokenEndpoint, c.s.URL)
	host := strings.TrimPrefix(c.s.URL, "https://")
	form := "Host: " + host + "\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	for _, one := range []struct{ name, text string }{
		{"an unknown version", "POST " + path + " HTTP/9.9\r\nAuthorization: Bearer %s\r\n\r\n"},
		{"a secret as method", "%s " + path + " HTTP/1.1\r\n" + form + "\r\n"},
		{"a secret in a bad URL", "POST /%%zz%s HTTP/1.1\r\n" + form + "\r\n"},
		{"a header without a colon", "POST " + path + " HTTP/1.1\r\n" + form + "Authorization Bearer %s\r\n\r\n"},
		{"a secret as header name", "POST " + path + " HTTP/1.1\r\n" + form + "X %s: x\r\n\r\n"},
		{"a control character in a header", "POST " + path + " HTTP/1.1\r\n" + form + "Authorization: Bearer \x01%s\r\n\r\n"},
		{"a long header", "POST " + path + " HTTP/1.1\r\n" + form + "Authorization: Bearer %s" + strings.Repeat("x", 40<<10) + "\r\n\r\n"},
		{"a bad length", "POST " + path + " HTTP/1.1\r\n" + form + "Content-Length: %s\r\n\r\n"},
		{"a bad chunk", "POST " + path + " HTTP/1.1\r\n" + form + "Transfer-Encoding: chunked\r\n\r\n%s\r\n"},
		{"an unknown encoding", "POST " + path + " HTTP/1.1\r\n" + form + "Transfer-Encoding: %s\r\n\r\n"},
		{"a secret as host", "POST " + path + " HTTP/1.1\r\nHost: x y%s\r\n\r\n"},
		{"an unknown expectation", "POST " + path + " HTTP/1.1\r\n" + form + "Expect: %s\r\nContent-Length: 1\r\n\r\n"},
		{"a body that ends early", "POST " + path + " HTTP/1.1\r\n" + form + "Content-Length: 400\r\n\r\nclient_secret=%s"},
	} {
		conn := c.dial(host)
		c.say(one.name, conn, fmt.Sprintf(one.text, c.likely(one.name)), true)
	}
	conn := c.dial(host)
	c.say("HTTP in the clear", conn.NetConn(), fmt.Sprintf("POST %s HTTP/1.1\r\n%sAuthorization: Bearer %s\r\n\r\n", path, form, c.likely("in the clear")), false)
	named := tls.Client(c.dial(host).NetConn(), &tls.Config{InsecureSkipVerify: true, ServerName: c.likely("server name")})
	if err := named.Handshake(); err == nil {
		c.t.Error("a second handshake on one connection worked")
	}
	c.hang(host, path)
}

func (c *watch) dial(host string) *tls.Conn {
	c.t.Helper()
	conn, err := tls.Dial("tcp", host, &tls.Config{InsecureSkipVerify: true}) // whom it speaks to is not what this is about
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	return conn
}

// say writes text to a connection and keeps what comes back until the other side closes it.
func (c *watch) say(name string, conn io.ReadWriteCloser, text string, half bool) {
	_, _ = io.WriteString(conn, text) // the other side may close before it has read everything
	if one, ok := conn.(*tls.Conn); ok && half {
		_ = one.CloseWrite()
	}
	got, _ := io.ReadAll(conn)
	conn.Close()
	if half && !bytes.Contains(got, []byte("HTTP/1.")) {
		c.t.Errorf("%s: no answer but %q", name, got)
	}
	c.hear("answer to "+name, got)
}

// hang sends half a header and half a body, and waits until the house loses patience.
func (c *watch) hang(host, path string) {
	var waiting sync.WaitGroup
	for name, text := range map[string]string{
		"half a header": "POST " + path + " HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer %s\r\n",
		"half a body":   "POST " + path + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 400\r\n\r\nclient_secret=%s",
	} {
		conn := c.dial(host)
		secret := c.likely(name)
		waiting.Go(func() { c.say(name, conn, fmt.Sprintf(text, secret), false) })
	}
	waiting.Wait()
}

// command uses the commands that get to see credentials, and those that tell what is kept.
func (c *watch) command() {
	good := c.get("validate", withBasic(c.request(c.w.TokenEndpoint, tokenForm()), c.w.ClientID, c.w.ClientSecret))
	payload := func(stdout []byte) []string { return []string{tokenPart(c.t, good, 1)} } // the claims are what it is for
	check := []string{"validate", "--issuer", c.w.Issuer, "--audience", c.w.audience, "--pin", c.w.Pin}
	for _, one := range []struct {
		name, input string
		args        []string
		status      int
	}{
		{"a good token", good, check, 0},
		{"an altered token", good[:len(good)-8] + "AAAAAAAA", check, 1},
		{"garbage", c.awkward("validate"), check, 1},
		{"a token for another audience", good, []string{"validate", "--issuer", c.w.Issuer, "--audience", "https://other.example"}, 1},
		{"a token as argument", "", append(slices.Clone(check), good), 2},
		{"a corpus that is none", `{"schema": "` + good + `", "cases": [{"token": "` + good + `"}]}`, []string{"corpus"}, 1},
		{"a corpus that is not JSON", c.awkward("corpus"), []string{"corpus"}, 1},
	} {
		if status, out := c.run(one.input, payload, one.args...); status != one.status {
			c.t.Errorf("%s: status %d, want %d: %s", one.name, status, one.status, out)
		}
	}
	for _, keys := range []string{
		`{"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "1", "x": "` + c.coordinate("X") + `", "y": "` + c.coordinate("Y") + `", "d": "` + c.likely("private JWK") + `"}]}`,
		`{"keys": [` + c.awkward("broken JWK Set"), c.likely("text for a JWK Set"),
	} {
		if status, out := c.run(keys, nil, "client", "create", "other", "--tenant", "acme", "--api", c.w.audience, "--scope", "read", "--auth", "private_key_jwt", "--jwks", "-", "--json"); status == 0 {
			c.t.Errorf("a client with such keys: %s", out)
		}
	}
	for _, args := range [][]string{
		{"status", "--json"}, {"tenant", "list"}, {"tenant", "show", "acme", "--json"}, {"api", "list", "--tenant", "acme"}, {"api", "show", c.w.APIID, "--tenant", "acme", "--json"},
		{"client", "list", "--tenant", "acme"}, {"client", "show", "ci", "--tenant", "acme", "--json"}, {"keys", "list", "--tenant", "acme", "--json"},
		{"log", "verify"}, {"log", "search", "--client", "ci", "--json"}, {"log", "export", filepath.Join(c.temporary, "export")},
	} {
		if status, out := c.run("", nil, args...); status != 0 {
			c.t.Errorf("seawall %s: status %d: %s", strings.Join(args, " "), status, out)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/debug/pprof/heap", "/debug/vars", "/"} {
		c.ask(path, c.raw("GET", c.s.URL+path, "", ""), nil)
	}
}

// coordinate is one of the client's public key.
func (c *watch) coordinate(which string) string {
	point, err := c.keys.PublicKey.Bytes()
	if err != nil {
		c.t.Fatal(err)
	}
	if which == "X" {
		return base64.RawURLEncoding.EncodeToString(point[1:33])
	}
	return base64.RawURLEncoding.EncodeToString(point[33:])
}

// halt stops a vault for a while.
func (c *watch) halt(part string) {
	token := c.get("before the "+part+" halts", withBasic(c.request(c.w.TokenEndpoint, tokenForm()), c.w.ClientID, c.w.ClientSecret))
	c.signal(part, syscall.SIGSTOP)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		c.refused("a request while the "+part+" halts", 503, "temporarily_unavailable", withBasic(c.request(c.w.TokenEndpoint, tokenForm()), c.w.ClientID, c.w.ClientSecret))
	})
	form := c.withAssertion(part+" halts", nil)
	waiting.Go(func() {
		c.refused("a key's client while the "+part+" halts", 503, "temporarily_unavailable", c.request(c.w.TokenEndpoint, form))
	})
	ctx, cancel := context.WithTimeout(c.t.Context(), 200*time.Millisecond)
	defer cancel()
	waiting.Go(func() {
		_, err := c.w.do(withBasic(c.request(c.w.TokenEndpoint, tokenForm()), c.w.ClientID, c.w.ClientSecret).WithContext(ctx))
		if !errors.Is(err, context.DeadlineExceeded) {
			c.t.Errorf("a client without patience: %v", err)
		}
	})
	c.refused("a wrong secret while the "+part+" halts", 401, "invalid_client", withBasic(c.request(c.w.TokenEndpoint, tokenForm()), c.w.ClientID, c.likely(part+" halts")))
	a := c.ask("introspection while the "+part+" halts", withBasic(c.request(c.introspectionEndpoint(), url.Values{"token": {token}}), c.w.APIID, c.w.APISecret), nil)
	if a.member("active") != "true" {
		c.t.Errorf("introspection while the %s halts: status %d, %s", part, a.status, a.body)
	}
	waiting.Wait()
	c.signal(part, syscall.SIGCONT)
	c.recover("after the " + part + " halted")
}

// recover waits until tokens flow again.
func (c *watch) recover(name string) {
	c.knowToken("token: "+name, c.w.tokenSoon(c.t))
}

func (c *watch) signal(part string, sig syscall.Signal) int {
	c.t.Helper()
	pid := c.s.Child(part)
	if sig == syscall.SIGSTOP {
		testenv.Freeze(c.t, pid)
	} else if err := syscall.Kill(pid, sig); err != nil {
		c.t.Fatal(err)
	}
	return pid
}

// crash makes a process die as a bug would, with its stacks printed, while requests wait in it because another part halts.
func (c *watch) crash(part, halted string) {
	typing := c.typing("while the " + part + " crashes")
	c.signal(halted, syscall.SIGSTOP)
	var asking sync.WaitGroup
	asking.Go(func() {
		if resp, err := c.owner.http.Do(typing); err == nil {
			page, _ := io.ReadAll(resp.Body) // as much of it as came
			resp.Body.Close()
			c.hear("page while the "+part+" crashes", page, c.shown(resp, string(page))...)
		}
	})
	for i := range 4 {
		form := c.withAssertion(fmt.Sprintf("%s crashes, %d", part, i), nil)
		asking.Go(func() {
			if a, err := c.w.do(c.request(c.w.TokenEndpoint, form)); err == nil {
				c.hear("answer while the "+part+" crashes", a.body, a.member("access_token"))
			}
			if a, err := c.w.ask(); err == nil {
				c.hear("answer while the "+part+" crashes", a.body, a.member("access_token"))
			}
		})
	}
	time.Sleep(100 * time.Millisecond) // until they are under way; if they are not, less is tried
	before := len(c.s.Output())
	pid := c.signal(part, syscall.SIGABRT)
	c.s.WaitGone(pid)
	c.signal(halted, syscall.SIGCONT)
	asking.Wait()
	c.recover("after the " + part + " crashed")
	if said := c.s.Output()[before:]; !strings.Contains(said, "SIGABRT") || !strings.Contains(said, "goroutine ") {
		c.t.Errorf("the %s crashed without its stacks:\n%s", part, said)
	}
}

// stop ends seawall while half a request is under way.
func (c *watch) stop() {
	host := strings.TrimPrefix(c.s.URL, "https://")
	conn := c.dial(host)
	text := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 400\r\n\r\nclient_secret=%s",
		strings.TrimPrefix(c.w.TokenEndpoint, c.s.URL), host, c.likely("shutdown"))
	var answered sync.WaitGroup
	answered.Go(func() { c.say("shutdown", conn, text, false) })
	time.Sleep(50 * time.Millisecond) // until it is under way; if it is not, less is tried
	c.s.Stop()
	answered.Wait()
}
