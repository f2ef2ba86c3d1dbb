package e2e

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"seawall/internal/testenv"
)

// signInWorld is a seawall over TLS under a name, with a person and an application of each kind.
type signInWorld struct {
	*world
	s     *testenv.Seawall
	roots *authority
	ada   *person
}

func newSignInWorld(t *testing.T) *signInWorld {
	t.Helper()
	a := newAuthority(t, 0)
	s := testenv.Start(t, testenv.Options{Binary: program, Args: []string{"--tls-cert", a.certFile, "--tls-key", a.key},
		Listen: strings.Replace(testenv.FreeAddress(t), "127.0.0.1", "localhost", 1)})
	w := populate(t, s, "acme")
	w.http = a.client(t)
	return &signInWorld{w, s, a, newPerson(t, s, w, "ada@acme.example", w.http.Transport)}
}

// application registers a client that people sign in to.
func (w *signInWorld) application(id, redirect string, args ...string) map[string]string {
	var made client
	w.s.JSON(&made, append([]string{"client", "create", id, "--tenant", w.Tenant, "--redirect", redirect}, args...)...)
	return map[string]string{"id": made.ClientID, "secret": made.ClientSecret, "redirect": redirect}
}

// TestSignInNode: openid-client, oidc-client-ts and msal-node, over TLS with an authority of its own; jose checks what they get.
func TestSignInNode(t *testing.T) {
	node, dir := testenv.Node(t), installNodeClients(t)
	w := newSignInWorld(t)
	api := []string{"--api", w.audience, "--scope", "read"}
	cmd := exec.Command(node, "people.mjs")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+w.roots.rootsFile)
	got := runClient(t, cmd, map[string]any{
		"issuer": w.Issuer, "audience": w.audience, "scope": "read", "subject": w.ada.subject, "browser": w.ada.browser(),
		"client_id": w.ClientID, "client_secret": w.ClientSecret, "api_id": w.APIID, "api_secret": w.APISecret,
		"web":   w.application("web", "https://web.acme.example/cb", append(api, "--type", "web")...),
		"spa":   w.application("spa", "https://spa.acme.example/cb", append(api, "--type", "spa")...),
		"plain": w.application("plain", "https://plain.acme.example/cb", "--type", "spa", "--dpop", "offered", "--dpop-reason", "its library is older than DPoP"),
		"post":  w.application("post", "https://post.acme.example/cb", "--type", "web", "--auth", "client_secret_post"),
	})
	checkSteps(t, w.s, got, []string{
		"openid-client: code, PKCE, state, nonce and iss", "jose verifies an access token and an ID token", "openid-client: userinfo", "openid-client: refresh",
		"openid-client: introspection and revocation", "openid-client: a code works once", "openid-client: a code without its verifier is refused",
		"openid-client: DPoP, for a public client", "openid-client: DPoP, for a service", "oidc-client-ts: code, PKCE and DPoP",
		"oidc-client-ts: code, PKCE, userinfo and refresh", "msal-node: code and PKCE", "msal-node: refresh",
	})
}

// TestSignInGo: coreos/go-oidc and golang.org/x/oauth2, over TLS with an authority of its own.
func TestSignInGo(t *testing.T) {
	goClient := buildGoClient(t)
	w := newSignInWorld(t)
	got := runClient(t, exec.Command(goClient), map[string]any{
		"issuer": w.Issuer, "audience": w.audience, "scope": "read", "client_id": w.ClientID, "client_secret": w.ClientSecret, "roots": w.roots.roots,
		"browser": w.ada.browser(), "subject": w.ada.subject, "web": w.application("web", "https://web.acme.example/cb", "--type", "web"),
	})
	checkSteps(t, w.s, got, append(goSteps, "code and PKCE", "an access token is no ID token", "userinfo", "refresh", "a code that is used twice takes back what it gave"))
}

// apacheConfig is what somebody writes who puts mod_auth_openidc in front of a directory, and the page that they see.
const (
	apacheConfig = `
SSLEngine on
SSLCertificateFile {cert}
SSLCertificateKeyFile {key}
DocumentRoot {dir}
TypesConfig /etc/mime.types
DirectoryIndex index.shtml
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCCABundlePath {dir}/roots.pem
OIDCClientID {id}
OIDCClientSecret {secret}
OIDCRedirectURI {redirect}
OIDCCryptoPassphrase of-this-test-alone
OIDCScope "openid profile"
OIDCPKCEMethod S256
OIDCRemoteUserClaim sub
# Requests of a script count as XHR, and would get 401 in place of a way to sign in.
OIDCUnAuthAction auth "true"
<Directory {dir}/protected>
  Options +Includes
  AddOutputFilter INCLUDES .shtml
  AuthType openid-connect
  Require valid-user
</Directory>
`
	apachePage = `REMOTE_USER=<!--#echo var="REMOTE_USER" --> name=<!--#echo var="OIDC_CLAIM_name" --> acr=<!--#echo var="OIDC_CLAIM_acr" -->`
)

// TestSignInApache: mod_auth_openidc in Debian's Apache, in front of a directory.
func TestSignInApache(t *testing.T) {
	w := newSignInWorld(t)
	dir, address := testenv.Dir(t, 0), strings.Replace(testenv.FreeAddress(t), "127.0.0.1", "localhost", 1)
	web := w.application("apache", "https://"+address+"/protected/callback", "--type", "web", "--name", "Intranet")
	if err := os.Chmod(dir, 0o755); err != nil { // its workers are nobody
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "protected"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"roots.pem": w.roots.roots, "protected/index.shtml": apachePage} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	config := strings.NewReplacer("{dir}", dir, "{cert}", w.roots.certFile, "{key}", w.roots.key, "{issuer}", w.Issuer,
		"{id}", web["id"], "{secret}", web["secret"], "{redirect}", web["redirect"]).Replace(apacheConfig)
	apache := testenv.Apache(t, dir, config, address, "auth_openidc", "mime", "include")

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	there := &http.Client{Timeout: 30 * time.Second, Jar: jar, Transport: w.http.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(where string) (status int, location, body string) {
		t.Helper()
		resp, err := there.Get(where)
		if err != nil {
			t.Fatalf("%v\n%s", err, apache)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Location"), string(text)
	}
	home := "https://" + address + "/protected/"
	status, to, body := get(home)
	if status != http.StatusFound || !strings.HasPrefix(to, w.Issuer+"/authorize?") || !strings.Contains(to, "code_challenge_method=S256") {
		t.Fatalf("it sends the browser to %d %q\n%s\n%s", status, to, body, apache)
	}
	left, consents := w.ada.walk(to)
	if consents != 1 {
		t.Errorf("she was asked %d times", consents)
	}
	if status, to, body = get(left); status != http.StatusFound || to != home {
		t.Fatalf("the answer leads to %d %q\n%s\n%s", status, to, body, apache)
	}
	if status, _, body = get(home); status != http.StatusOK || strings.TrimSpace(body) != "REMOTE_USER="+w.ada.subject+" name=Ada Lovelace acr=phr" {
		t.Errorf("it says %d\n%s\n%s", status, body, apache)
	}
}
