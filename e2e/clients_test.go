package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"seawall/internal/testenv"
)

// authority is a certificate authority of one test, and a server certificate of it for loopback.
type authority struct {
	roots         string // PEM
	rootsFile     string
	certFile, key string
}

func newAuthority(t *testing.T, uid int) *authority {
	t.Helper()
	dir := testenv.Dir(t, uid)
	caKey, caTemplate := newCertificate(t, "seawall test authority")
	caTemplate.IsCA, caTemplate.BasicConstraintsValid, caTemplate.KeyUsage = true, true, x509.KeyUsageCertSign
	ca := signCertificate(t, caTemplate, caTemplate, caKey, caKey)
	key, template := newCertificate(t, "127.0.0.1")
	template.IPAddresses, template.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"localhost"}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf := signCertificate(t, template, caTemplate, key, caKey)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{
		roots:     string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca})),
		rootsFile: filepath.Join(dir, "roots.pem"), certFile: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"),
	}
	for path, text := range map[string][]byte{
		a.rootsFile: []byte(a.roots),
		a.certFile:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf}),
		a.key:       pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if uid != 0 {
			if err := os.Chown(path, uid, uid); err != nil {
				t.Fatal(err)
			}
		}
	}
	return a
}

func newCertificate(t *testing.T, name string) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	return key, &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
}

func signCertificate(t *testing.T, template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// client trusts the authority.
func (a *authority) client(t *testing.T) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(a.roots)) {
		t.Fatal("the authority has no certificate")
	}
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
}

// keyClient is a client that authenticates with a key of its own.
type keyClient struct {
	ID      string
	private map[string]string // JWK
}

func newKeyClient(t *testing.T, s *testenv.Seawall, w *world) *keyClient {
	t.Helper()
	private := privateJWK(t, "own-1")
	public := maps.Clone(private)
	delete(public, "d")
	set, err := json.Marshal(map[string]any{"keys": []any{public}})
	if err != nil {
		t.Fatal(err)
	}
	var made client
	cmd := s.Command("client", "create", "keyed", "--tenant", w.Tenant, "--api", w.audience, "--scope", "read", "--auth", "private_key_jwt", "--jwks", "-", "--json")
	cmd.Stdin = bytes.NewReader(set)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("client create: %v\n%s", err, out)
	}
	if err := json.Unmarshal(out, &made); err != nil || made.ClientID != "keyed" || made.ClientSecret != "" {
		t.Fatalf("client create: %s, %v: want a client without a secret", out, err)
	}
	return &keyClient{made.ClientID, private}
}

// run feeds a third-party client its configuration, and returns the lines it printed.
func runClient(t *testing.T, cmd *exec.Cmd, given map[string]any) []string {
	t.Helper()
	input, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd.Path, err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// checkSteps compares the steps that held with those that must, and looks the token up in the log.
func checkSteps(t *testing.T, s *testenv.Seawall, got, want []string) {
	t.Helper()
	jti := ""
	held := map[string]bool{}
	for _, line := range got {
		if step, ok := strings.CutPrefix(line, "ok "); ok {
			held[step] = true
		} else if id, ok := strings.CutPrefix(line, "jti "); ok {
			jti = id
		}
	}
	for _, step := range want {
		if !held[step] {
			t.Errorf("%q did not hold; it printed %q", step, got)
		}
	}
	for _, e := range search(t, s) {
		if e.JTI == jti && jti != "" {
			return
		}
	}
	t.Errorf("the token %q is not in the log", jti)
}

var nodeClients sync.Once

// installNodeClients installs what the programs for Node.js need, once for all tests, and gives where they are.
func installNodeClients(t *testing.T) string {
	t.Helper()
	npm := testenv.Tool(t, "npm")
	dir := filepath.Join(testenv.Root(t), "e2e/clients/node")
	nodeClients.Do(func() {
		install := exec.Command(npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
		install.Dir = dir
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("npm ci: %v\n%s", err, out)
		}
	})
	return dir
}

// TestNodeClients: openid-client and jose, over TLS with an authority of its own.
func TestNodeClients(t *testing.T) {
	node, dir := testenv.Node(t), installNodeClients(t)
	a := newAuthority(t, 0)
	s := testenv.Start(t, testenv.Options{Binary: program, Args: []string{"--tls-cert", a.certFile, "--tls-key", a.key}})
	if !strings.HasPrefix(s.URL, "https://127.0.0.1:") {
		t.Fatalf("with a certificate it is ready at %s", s.URL)
	}
	w := populate(t, s, "acme")
	w.http = a.client(t)
	keyed := newKeyClient(t, s, w)
	var post client
	s.JSON(&post, "client", "create", "poster", "--tenant", "acme", "--api", w.audience, "--scope", "read", "--auth", "client_secret_post")
	cmd := exec.Command(node, "check.mjs")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+a.rootsFile)
	got := runClient(t, cmd, map[string]any{
		"issuer": w.Issuer, "audience": w.audience, "scope": "read",
		"client_id": w.ClientID, "client_secret": w.ClientSecret,
		"post_client_id": post.ClientID, "post_client_secret": post.ClientSecret,
		"key_client_id": keyed.ID, "key": keyed.private,
		"api_id": w.APIID, "api_secret": w.APISecret,
	})
	checkSteps(t, s, got, []string{
		"discovery oidc", "discovery oauth2", "client_secret_basic", "jose verifies", "jose refuses a forgery", "client_secret_post",
		"a wrong secret is refused with a challenge", "an unknown resource is invalid_target", "an unknown scope is invalid_scope",
		"private_key_jwt", "introspection", "introspection calls a forgery inactive",
	})
}

// buildGoClient builds the program with coreos/go-oidc and golang.org/x/oauth2, a module of its own.
func buildGoClient(t *testing.T) string {
	t.Helper()
	goClient := filepath.Join(t.TempDir(), "client")
	build := exec.Command("go", "build", "-o", goClient, ".")
	build.Dir = filepath.Join(testenv.Root(t), "e2e/clients/go")
	build.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the client: %v\n%s", err, out)
	}
	return goClient
}

// goSteps hold with whatever Go client.
var goSteps = []string{"discovery", "client_credentials", "go-oidc verifies", "go-oidc refuses a forgery", "a wrong secret is invalid_client"}

// TestGoClients: coreos/go-oidc and golang.org/x/oauth2 over plain loopback.
func TestGoClients(t *testing.T) {
	goClient := buildGoClient(t)
	s := start(t)
	w := populate(t, s, "acme")
	got := runClient(t, exec.Command(goClient), map[string]any{
		"issuer": w.Issuer, "audience": w.audience, "scope": "read", "client_id": w.ClientID, "client_secret": w.ClientSecret,
	})
	checkSteps(t, s, got, goSteps)
}
