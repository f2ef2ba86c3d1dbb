// Package papers compiles what the documents about other issuers and other libraries show. It lives in this module because
// the code that people come from needs those libraries.
package papers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	section = regexp.MustCompile(`(?m)^## (.+)$`)
	goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
)

// imports are what a section's code may use beside validate.
var imports = map[string][]string{
	"From golang-jwt": {"github.com/golang-jwt/jwt/v5"},
	"From go-oidc":    {"github.com/coreos/go-oidc/v3/oidc"},
	"From jwx":        {"github.com/lestrrat-go/jwx/v3/jwk", "github.com/lestrrat-go/jwx/v3/jwt"},
	"From go-jose":    {"github.com/go-jose/go-jose/v4", "github.com/go-jose/go-jose/v4/jwt"},
}

// given declares what the snippets take for granted. Names that a snippet does not use are no error for parameters.
const given = `ctx context.Context, issuer, jwks, audience, client, cluster, nonce, raw string, pin []byte, api http.Handler`

// TestSnippetsCompile: every block stands as it is in a function of its own, three lines long.
func TestSnippetsCompile(t *testing.T) {
	for paper, want := range map[string]int{"beside.md": 8, "migrating.md": 8} {
		text, err := os.ReadFile(filepath.Join("../../../docs", paper))
		if err != nil {
			t.Fatal(err)
		}
		at := section.FindAllStringSubmatchIndex(string(text), -1)
		blocks := 0
		for i, m := range at {
			end := len(text)
			if i+1 < len(at) {
				end = at[i+1][0]
			}
			title := string(text[m[2]:m[3]])
			for n, block := range goBlock.FindAllStringSubmatch(string(text[m[0]:end]), -1) {
				blocks++
				t.Run(fmt.Sprintf("%s, %s, %d", paper, title, n+1), func(t *testing.T) { compile(t, title, block[1]) })
			}
		}
		if blocks != want {
			t.Errorf("%s shows %d blocks of Go, and %d were expected", paper, blocks, want)
		}
	}
}

func compile(t *testing.T, title, code string) {
	if lines := strings.Count(code, "\n"); lines != 3 {
		t.Errorf("three lines are promised, and there are %d", lines)
	}
	var b strings.Builder
	b.WriteString("package snippet\n\nimport (\n")
	for _, path := range append([]string{"context", "log", "net/http", "time", "seawall/validate"}, imports[title]...) {
		fmt.Fprintf(&b, "\t%q\n", path)
	}
	b.WriteString(")\n\n")
	for _, use := range []string{"context.Background", "log.Print", "http.Handle", "time.Now", "validate.New"} {
		fmt.Fprintf(&b, "var _ = %s\n", use)
	}
	parameters, after := given, "\t_, _ = v, err\n"
	switch title {
	case "From golang-jwt":
		parameters += ", keyFunc jwt.Keyfunc"
		b.WriteString("var _ jwt.Claims\n")
		after = ""
	case "From go-oidc":
		b.WriteString("var _ *oidc.Provider\n")
		after = "\t_ = idToken\n"
	case "From jwx":
		b.WriteString("var _ jwk.Set\nvar _ jwt.Token\n")
		after = "\t_ = token\n"
	case "From go-jose":
		parameters += ", keySet *jose.JSONWebKeySet, claims jwt.Claims"
		b.WriteString("var _ jwt.Claims\n")
		after = ""
	}
	if strings.Contains(code, "token, err :=") {
		after = "\t_ = token\n"
	}
	fmt.Fprintf(&b, "\nfunc snippet(%s) error {\n%s%s\treturn err\n}\n", parameters, code, after)
	// The file stands in a directory of this module that exists for the compiler only.
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source, overlay := filepath.Join(dir, "snippet.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(source, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, fmt.Appendf(nil, `{"Replace":{%q:%q}}`, filepath.Join(root, "internal/papers/snippet/snippet.go"), source), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-overlay", overlay, "./internal/papers/snippet")
	build.Dir = root
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, b.String())
	}
}
