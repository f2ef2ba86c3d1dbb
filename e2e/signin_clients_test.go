package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

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
