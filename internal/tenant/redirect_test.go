package tenant

import (
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"seawall/internal/oauth"
)

// webClient is a client that people sign in to, of some type.
func webClient(t ClientType, redirects ...string) Client {
	c := Client{ID: "shop", Tenant: "acme", Type: t, RedirectURIs: redirects, CreatedAt: created}
	if !t.Public() {
		c.Secrets = goodClient().Secrets
	}
	return c
}

func TestSignInClients(t *testing.T) {
	for _, kind := range []ClientType{Web, Native, SPA} {
		c, err := NewClient(webClient(kind, "https://app.example/b", "https://app.example/a"))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if !slices.Equal(c.RedirectURIs, []string{"https://app.example/a", "https://app.example/b"}) || !slices.Equal(c.Grants, []oauth.GrantType{oauth.AuthorizationCode, oauth.RefreshToken}) {
			t.Errorf("%s: %+v", kind, c)
		}
		if kind.Public() != (c.Auth == oauth.AuthNone) || kind.Public() != (c.DPoP == DPoPRequired) {
			t.Errorf("%s: auth %s, DPoP %s", kind, c.Auth, c.DPoP)
		}
		if again, err := NewClient(c); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%s: constructing again gives %+v, %v", kind, again, err)
		}
	}
	excused := webClient(SPA, "https://app.example/a")
	excused.DPoPReason = "the library that it uses can't"
	if c, err := NewClient(excused); err != nil || c.DPoP != DPoPOffered {
		t.Errorf("with a reason: %+v, %v", c, err)
	}
}

func TestSignInClientsRefused(t *testing.T) {
	keys, err := ParseKeySet([]byte(ecSet))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		kind      ClientType
		change    func(*Client)
		what, why string
	}{
		{"no type", "app", func(*Client) {}, "client type", "there is no"},
		{"nowhere to go", Web, func(c *Client) { c.RedirectURIs = nil }, "redirect URI", "nowhere"},
		{"same address twice", Web, func(c *Client) { c.RedirectURIs = []string{"https://a.example/", "https://a.example/"} }, "redirect URI", "twice"},
		{"many addresses", Web, func(c *Client) { c.RedirectURIs = slices.Repeat([]string{"https://a.example/"}, 21) }, "redirect URI", "more than 20"},
		{"logout", Web, func(c *Client) { c.LogoutURIs = []string{"http://a.example/"} }, "logout URI", "https"},
		{"public with a secret's method", SPA, func(c *Client) { c.Auth = oauth.ClientSecretBasic }, "client authentication", "keep no credential"},
		{"public with a secret", SPA, func(c *Client) { c.Secrets = goodClient().Secrets }, "client authentication", "has no secret"},
		{"public with keys", Native, func(c *Client) { c.Keys = keys }, "client authentication", "keep none"},
		{"public for itself", Native, func(c *Client) { c.Grants = append(DefaultGrants(Native), oauth.ClientCredentials) }, "grant", "for itself"},
		{"refresh alone", Web, func(c *Client) { c.Grants = []oauth.GrantType{oauth.RefreshToken} }, "grant", "needs authorization_code"},
		{"web for itself, without an API", Web, func(c *Client) { c.Grants = append(DefaultGrants(Web), oauth.ClientCredentials) }, "client", "no API"},
		{"rule", SPA, func(c *Client) { c.DPoP = "maybe" }, "DPoP", "no rule"},
		{"reason for nothing", SPA, func(c *Client) { c.DPoP, c.DPoPReason = DPoPRequired, "x" }, "DPoP", "don't require"},
		{"reason of a web client", Web, func(c *Client) { c.DPoPReason = "x" }, "DPoP", "native and spa"},
		{"long reason", SPA, func(c *Client) { c.DPoPReason = strings.Repeat("a", 201) }, "DPoP", "longer"},
		{"service that people come back to", Service, func(c *Client) { c.APIs = goodClient().APIs }, "redirect URI", "service client"},
		{"trusted service", Service, func(c *Client) { c.APIs, c.RedirectURIs, c.Trusted = goodClient().APIs, nil, true }, "client", "service client"},
		{"trusted on loopback", Native, func(c *Client) {
			c.Trusted, c.RedirectURIs = true, []string{"https://app.example/", "http://127.0.0.1/"}
		}, "client", "pretend to be it"},
		{"trusted by a scheme", Native, func(c *Client) { c.Trusted, c.RedirectURIs = true, []string{"com.example:/cb"} }, "client", "pretend to be it"},
		{"service with codes", Service, func(c *Client) { c.Grants = []oauth.GrantType{oauth.AuthorizationCode} }, "grant", "people sign in to"},
	} {
		given := webClient(c.kind, "https://app.example/callback")
		c.change(&given)
		_, err := NewClient(given)
		refused(t, c.name, err, c.what, c.why)
	}
}

func TestRedirectURIs(t *testing.T) {
	fine := map[ClientType][]string{
		Web: {"https://app.example/callback", "https://app.example", "https://app.example/", "https://app.example:8443/cb?tenant=a", "https://192.0.2.1/cb",
			"https://[2001:db8::1]/cb", "http://127.0.0.1:3000/cb", "http://localhost:3000/cb", "https://xn--bcher-kva.example/cb"},
		SPA:    {"https://app.example/callback", "http://localhost:5173/"},
		Native: {"com.example.app:/callback", "com.example.app:/a?b=c", "http://127.0.0.1/cb", "http://[::1]/cb", "http://127.0.0.1:7777/cb", "http://localhost:7777/cb", "https://app.example/claimed"},
	}
	for kind, list := range fine {
		for _, uri := range list {
			if _, err := NewClient(webClient(kind, uri)); err != nil {
				t.Errorf("%s %s: %v", kind, uri, err)
			}
		}
	}
	for uri, why := range map[string]string{
		"":                                   "empty",
		"https://app.example/cb#":            "fragment",
		"https://app.example/#/cb":           "fragment",
		"https://*.app.example/cb":           "wildcard",
		"https://app.example/*":              "wildcard",
		"https://user@app.example/cb":        "user information",
		"https://app.example@evil.example/":  "user information",
		"https://app.example:pw@x.example/":  "user information",
		"http://app.example/cb":              "https://",
		"http://127.0.0.1.evil.example/cb":   "https://",
		"http://localhost.evil.example/cb":   "https://",
		"HTTPS://app.example/cb":             "plainest",
		"https://App.example/cb":             "plainest",
		"https://app.example./cb":            "plainest",
		"https://app.example/a/../cb":        "path",
		"https://app.example/a/%2E%2e/cb":    "path",
		"https://app.example/a//cb":          "path",
		"https://app.example/./cb":           "path",
		`https://app.example\cb`:             "plainest",
		"https://app.example/cb\n":           "plainest",
		"https://app.example/ä":              "plainest",
		"https://bücher.example/cb":          "plainest",
		"https://app.example:443/cb":         "port",
		"https://app.example:/cb":            "port",
		"https://app.example:0/cb":           "port",
		"https://app.example:99999/cb":       "port",
		"https://app_1.example/cb":           "host",
		"https:///cb":                        "host",
		"https:app.example/cb":               "host",
		"//app.example/cb":                   "plainest",
		"/cb":                                "plainest",
		"javascript:alert(1)":                "https://",
		"data:text/html,x":                   "https://",
		"com.example.app:/cb":                "https://",
		"https://app.example/cb?code=1":      "our answer",
		"https://app.example/cb?State=1":     "our answer",
		"https://app.example/cb?a;b":         "our answer",
		"https://app.example/cb?iss=evil":    "our answer",
		"https://a.ex/" + longPath:           "longer",
		"https://app.example/cb?x=1&error=2": "our answer",
	} {
		_, err := NewClient(webClient(Web, uri))
		refused(t, uri, err, "redirect URI", why)
	}
	for uri, why := range map[string]string{
		"app:/cb": "reverse", "javascript:/cb": "reverse", "com.example.app://cb": "one slash", "com.example.app:///cb": "one slash",
		"com.example.app:cb": "one slash", "com..app:/cb": "reverse", "-.x:/cb": "plainest", "com.example.app:/../cb": "path",
	} {
		_, err := NewClient(webClient(Native, uri))
		refused(t, uri, err, "redirect URI", why)
	}
}

var longPath = strings.Repeat("a", MaxRedirectLength)

func TestRedirectsTo(t *testing.T) {
	registered := []string{"com.example.app:/cb", "http://127.0.0.1/cb", "http://[::1]:9000/cb?a=b", "http://localhost:9000/cb", "https://app.example/cb"}
	for kind, want := range map[ClientType]map[string]bool{
		Native: {
			"https://app.example/cb": true, "https://app.example/cb/": false, "https://app.example/CB": false, "https://app.example:443/cb": false,
			"https://app.example/cb?a": false, "https://app.example/cb#": false, "https://app.example": false, "https://app.example/cb/../x": false, "": false,
			"http://127.0.0.1/cb": true, "http://127.0.0.1:1/cb": true, "http://127.0.0.1:65535/cb": true, "http://127.0.0.1:0/cb": false, "http://127.0.0.1:65536/cb": false,
			"http://127.0.0.1:080/cb": false, "http://127.0.0.1:/cb": false, "http://127.0.0.1:80/cb?x": false, "http://127.0.0.1:1@evil.example/cb": false,
			"http://127.0.0.1@evil.example/cb": false, "http://127.0.0.1.evil.example/cb": false, "http://127.0.0.1:1/cb#": false, "http://127.0.0.2:1/cb": false,
			"https://127.0.0.1:1/cb": false, "http://[::1]/cb?a=b": true, "http://[::1]:1/cb?a=b": true, "http://[::1]:1/cb": false,
			"http://localhost:9000/cb": true, "http://localhost:9001/cb": false, "com.example.app:/cb": true, "com.example.app:/cb2": false,
		},
		Web: {"http://127.0.0.1/cb": true, "http://127.0.0.1:1/cb": false, "http://[::1]:9000/cb?a=b": true, "http://[::1]:9001/cb?a=b": false},
	} {
		c := Client{Type: kind, RedirectURIs: registered}
		for uri, ok := range want {
			if c.RedirectsTo(uri) != ok {
				t.Errorf("%s client, %q: %v", kind, uri, !ok)
			}
		}
	}
	c := Client{Type: Native, LogoutURIs: []string{"http://127.0.0.1/bye"}}
	if !c.LogsOutTo("http://127.0.0.1/bye") || c.LogsOutTo("http://127.0.0.1:1/bye") {
		t.Error("post-logout redirect URIs are not compared as they are")
	}
}

// TestClassRules: production wants public clients' tokens bound, and plain http is for development and people's own devices.
func TestClassRules(t *testing.T) {
	for _, c := range []struct {
		name   string
		class  Class
		client func() Client
		why    string
	}{
		{"bound", Production, func() Client { return webClient(SPA, "https://app.example/") }, ""},
		{"unbound", Production, func() Client {
			c := webClient(SPA, "https://app.example/")
			c.DPoP = DPoPOffered
			return c
		}, "must require it"},
		{"unbound for a reason", Production, func() Client {
			c := webClient(Native, "https://app.example/")
			c.DPoPReason = "old"
			return c
		}, ""},
		{"unbound while staging", Staging, func() Client {
			c := webClient(SPA, "https://app.example/")
			c.DPoP = DPoPOffered
			return c
		}, ""},
		{"plain http of a SPA", Production, func() Client { return webClient(SPA, "http://localhost:5173/") }, "https://"},
		{"plain http of a web client", Staging, func() Client { return webClient(Web, "http://127.0.0.1:3000/cb") }, "https://"},
		{"plain http after signing out", Production, func() Client {
			c := webClient(Web, "https://app.example/")
			c.LogoutURIs = []string{"http://localhost/"}
			return c
		}, "https://"},
		{"plain http of a native client", Production, func() Client { return webClient(Native, "http://127.0.0.1/cb") }, ""},
		{"plain http in development", Development, func() Client { return webClient(Web, "http://localhost:3000/cb") }, ""},
	} {
		tenant := goodTenant()
		tenant.Class = c.class
		client, err := NewClient(c.client())
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := tenant.AdmitsClient(client, nil); (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %q", c.name, err, c.why)
		}
		if _, err := tenant.Redirect(client, client.RedirectURIs, client.LogoutURIs); (err == nil) != (c.why == "") {
			t.Errorf("%s, changed to what it is: %v", c.name, err)
		}
	}
	api := goodAPI()
	api.Scopes = oauth.Scope{"openid"}
	_, err := NewAPI(api)
	refused(t, "a scope of OpenID", err, "API scope", "OpenID Connect's own")
}

// FuzzRedirect: nobody is ever sent anywhere but to the host, scheme and path that were registered, whatever a request asks.
func FuzzRedirect(f *testing.F) {
	for _, seed := range [][2]string{
		{"https://app.example/cb", "https://app.example/cb"},
		{"http://127.0.0.1/cb", "http://127.0.0.1:8080/cb"},
		{"http://[::1]/cb?a=b", "http://[::1]:1/cb?a=b"},
		{"com.example.app:/cb", "com.example.app:/cb"},
		{"http://127.0.0.1/", "http://127.0.0.1:1@evil.example/"},
		{"http://127.0.0.1", "http://127.0.0.1:1\\@evil.example"},
		{"https://app.example/%2e%2e/", "https://app.example/../"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, registered, asked string) {
		c, err := NewClient(webClient(Native, registered))
		if err != nil {
			return
		}
		known, err := url.Parse(registered)
		if err != nil || known.User != nil || known.Fragment != "" {
			t.Fatalf("%q was registered", registered)
		}
		if !c.RedirectsTo(registered) {
			t.Errorf("%q does not lead to itself", registered)
		}
		if !c.RedirectsTo(asked) || asked == registered {
			return
		}
		to, err := url.Parse(asked)
		if err != nil || to.Scheme != "http" || known.Scheme != "http" || to.Hostname() != known.Hostname() || !loopback(to.Hostname()) || to.User != nil ||
			to.EscapedPath() != known.EscapedPath() || to.RawQuery != known.RawQuery || strings.Contains(asked, "#") {
			t.Errorf("%q leads to %q", registered, asked)
		}
	})
}
