// Package seawall_test keeps the papers true: it checks that the code is built as ARCHITECTURE.md says, and that what the
// documents show and link to works.
package seawall_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// room is a package and the packages of ours that it may import. A room that is not in the house yet has no line.
type room struct {
	name string
	may  []string
}

// house is the table of ARCHITECTURE.md. Arrows point down: a room uses rooms below it and never asks who lives above.
// The mains may import anything and are imported by nobody.
var house = []room{
	// Public: its own module, the standard library only.
	{"validate", []string{"validate/internal/wire"}},
	{"validate/corpus", []string{"validate"}},
	{"validate/validatetest", []string{"validate", "validate/internal/forge", "validate/internal/wire"}},
	{"validate/internal/forge", []string{"validate/internal/wire"}},
	{"validate/internal/wire", nil},
	{"examples/api", []string{"validate"}},
	{"examples/webapp", []string{"validate"}},

	// Ground floor: words and rules.
	{"internal/secret", nil},
	{"internal/envelope", []string{"internal/secret"}},
	{"internal/oauth", []string{"internal/secret"}},
	{"internal/tenant", []string{"internal/oauth", "internal/secret"}},
	{"internal/mint", []string{"internal/secret"}},
	{"internal/keyring", []string{"internal/mint"}},

	// Walls and plumbing.
	{"internal/fence", nil},
	{"internal/supervise", nil},
	{"internal/link", nil},
	{"internal/durable", nil},
	{"internal/process", []string{"internal/fence", "internal/link", "internal/secret", "internal/supervise"}},

	// Two vaults.
	{"internal/eddsa", nil},
	{"internal/keystore", []string{"internal/secret"}},
	{"internal/keystore/file", []string{"internal/durable", "internal/keystore", "internal/secret"}},
	{"internal/keystore/builtin", []string{"internal/keystore", "internal/keystore/file"}},
	{"internal/keystore/keystoretest", []string{"internal/keystore"}},
	{"internal/ledger", []string{"internal/durable", "internal/eddsa", "internal/mint"}},
	{"internal/ledger/vault", []string{"internal/ledger", "internal/mint", "internal/fence", "internal/link", "internal/process"}},
	{"internal/signer", []string{"internal/mint", "internal/keyring", "internal/keystore", "internal/secret"}},
	{"internal/signer/vault", []string{"internal/signer", "internal/mint", "internal/keystore", "internal/keystore/builtin", "internal/fence", "internal/link", "internal/process", "internal/supervise"}},

	// Living rooms.
	{"internal/token", []string{"internal/mint", "internal/tenant", "internal/oauth", "internal/secret"}},
	{"internal/grant", []string{"internal/token", "internal/tenant", "internal/oauth", "internal/secret"}},
	{"internal/revocation", []string{"internal/mint", "internal/keyring", "internal/secret"}},
	{"internal/look", nil},
	{"internal/login", []string{"internal/look", "internal/tenant", "internal/oauth", "internal/secret"}},
	{"internal/authorize", []string{"internal/login", "internal/look", "internal/tenant", "internal/oauth", "internal/secret"}},
	{"internal/drill", []string{"internal/oauth", "validate", "validate/validatetest"}},

	// Doors.
	{"internal/store", []string{"internal/durable", "internal/tenant", "internal/secret"}},
	{"internal/store/storetest", []string{"internal/store", "internal/tenant", "internal/oauth", "internal/secret"}},
	{"internal/server/adminapi", nil},
	{"internal/remote", []string{"internal/secret"}},
	{"internal/console", []string{"internal/login", "internal/look", "internal/server/adminapi", "internal/tenant", "internal/secret"}},
	{"internal/guard", []string{"internal/secret", "validate"}},
	{"internal/server", []string{"internal/durable", "internal/server/adminapi", "internal/authorize", "internal/console", "internal/grant", "internal/login", "internal/revocation", "internal/token", "internal/tenant", "internal/oauth", "internal/mint", "internal/keyring", "internal/secret", "validate"}},

	// The cellar.
	{"internal/testenv", nil},
	{"internal/testenv/canary", nil},
	{"internal/testenv/testrun", nil},

	// Mains, and what only tests and readers use.
	{"cmd/seawall", []string{"*"}},
	{"cmd/seawall-signer", []string{"internal/signer/vault"}},
	{"cmd/seawall-ledger", []string{"internal/ledger/vault"}},
	{"e2e", nil},
}

// forbidden names what a program must not link, however it would come in.
var forbidden = []struct {
	program string
	never   []string
}{
	{"./cmd/seawall-signer", []string{"database/sql", "modernc.org", "html/template", "text/template", "net/http", "github.com/go-jose", "filippo.io/age", "seawall/internal/oauth", "seawall/internal/tenant", "seawall/internal/store", "seawall/internal/server"}},
	{"./cmd/seawall-ledger", []string{"database/sql", "modernc.org", "html/template", "text/template", "net/http", "github.com/go-jose", "filippo.io/age", "seawall/internal/oauth", "seawall/internal/tenant", "seawall/internal/store", "seawall/internal/server", "seawall/internal/signer", "seawall/internal/keystore"}},
	{"./cmd/seawall", []string{"testing"}},
}

type pkg struct {
	ImportPath, Dir, Name string
	Standard              bool
	Imports               []string
}

// list asks the go command about packages.
func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,Name,Standard,Imports"}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestEveryRoomImportsOnlyWhatItMay(t *testing.T) {
	may := map[string][]string{}
	for _, r := range house {
		may["seawall/"+r.name] = r.may
	}
	for _, p := range list(t, "work") {
		allowed, known := may[p.ImportPath]
		if !known && p.ImportPath != "seawall" {
			t.Errorf("%s is not in the table of arch_test.go: give it a line that says what it may import", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			ours, is := strings.CutPrefix(imported, "seawall/")
			if !is || slices.Contains(allowed, "*") && !strings.HasPrefix(ours, "cmd/") {
				continue
			}
			if !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s, which it may not", p.ImportPath, imported)
			}
		}
	}
}

func TestTheTableHasNoEmptyRooms(t *testing.T) {
	for _, r := range house {
		if files, _ := filepath.Glob(filepath.Join(r.name, "*.go")); len(files) == 0 {
			t.Errorf("%s is in the table, and there is no such package", r.name)
		}
	}
}

func TestProgramsLinkNothingTheyMustNot(t *testing.T) {
	for _, rule := range forbidden {
		for _, p := range list(t, "-deps", rule.program) {
			for _, never := range rule.never {
				if p.ImportPath == never || strings.HasPrefix(p.ImportPath, never+"/") {
					t.Errorf("%s links %s", rule.program, p.ImportPath)
				}
			}
		}
	}
}

// TestVaultsLinkTheirGoldenList keeps an eye on what an attestation would measure: every package in a vault is on a list
// that a person has read.
func TestVaultsLinkTheirGoldenList(t *testing.T) {
	for _, program := range []string{"cmd/seawall-signer", "cmd/seawall-ledger"} {
		golden, err := os.ReadFile(filepath.Join(program, "deps.txt"))
		if err != nil {
			t.Error(err)
			continue
		}
		want := strings.Fields(string(golden))
		var got []string
		for _, p := range list(t, "-deps", "./"+program) {
			if !p.Standard {
				got = append(got, p.ImportPath)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s links\n  %s\nand its deps.txt says\n  %s", program, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
}

func TestValidateNeedsOnlyTheStandardLibrary(t *testing.T) {
	for _, p := range list(t, "-deps", "seawall/validate", "seawall/validate/validatetest") {
		if !p.Standard && p.ImportPath != "seawall/validate" && !strings.HasPrefix(p.ImportPath, "seawall/validate/") {
			t.Errorf("validate needs %s", p.ImportPath)
		}
	}
	mod, err := os.ReadFile("validate/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(mod, []byte("require")) {
		t.Error("validate/go.mod requires something")
	}
}

func TestTheWorkspaceHasTwoModules(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Path}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(out))
	slices.Sort(got)
	if !slices.Equal(got, []string{"seawall", "seawall/validate"}) {
		t.Errorf("go.work joins %v: a third module would raise our own versions", got)
	}
}

// TestEveryPackageExplainsItself wants a paragraph in front of each package, so that a new colleague can start there.
func TestEveryPackageExplainsItself(t *testing.T) {
	for _, p := range list(t, "work") {
		doc := packageDoc(t, p.Dir)
		begin := "Package " + p.Name + " "
		if p.Name == "main" {
			begin = "Command " + filepath.Base(p.Dir) + " "
		}
		if p.ImportPath == "seawall" {
			begin = "Package seawall_test "
		}
		if !strings.HasPrefix(doc, begin) {
			t.Errorf("%s: its comment begins %.40q, not %q", p.ImportPath, doc, begin)
		} else if len(doc) < 80 {
			t.Errorf("%s: its comment is too short to start from: %q", p.ImportPath, doc)
		}
		for _, name := range goFile.FindAllString(doc, -1) {
			if _, err := os.Stat(filepath.Join(p.Dir, name)); err != nil {
				t.Errorf("%s: its comment leads to %s, and there is no such file", p.ImportPath, name)
			}
		}
	}
}

// goFile is the name of a file in a comment.
var goFile = regexp.MustCompile(`\b[a-z0-9_/]+\.go\b`)

func packageDoc(t *testing.T, dir string) string {
	var doc strings.Builder
	for _, f := range parseDir(t, dir) {
		if f.Doc != nil {
			doc.WriteString(f.Doc.Text())
		}
	}
	return doc.String()
}

func parseDir(t *testing.T, dir string) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	onlyTests := !slices.ContainsFunc(paths, func(p string) bool { return !strings.HasSuffix(p, "_test.go") })
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") && !onlyTests {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// TestNoRoomIsASwamp refuses the names under which anything can be put, files that no one reads to the end, and
// interfaces that nobody can implement.
func TestNoRoomIsASwamp(t *testing.T) {
	swamps := []string{"util", "utils", "common", "manager", "base", "models", "helpers", "misc", "shared"}
	for _, p := range list(t, "work") {
		if slices.Contains(swamps, filepath.Base(p.ImportPath)) {
			t.Errorf("%s: a package is named for what it holds", p.ImportPath)
		}
		paths, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(text, []byte("\n")); n > 800 {
				t.Errorf("%s has %d lines: someone is living in the wrong room", path, n)
			}
		}
		for _, f := range parseDir(t, p.Dir) {
			ast.Inspect(f, func(n ast.Node) bool {
				if i, ok := n.(*ast.InterfaceType); ok && methods(i) > 6 {
					t.Errorf("%s: an interface has %d methods", p.ImportPath, methods(i))
				}
				if fn, ok := n.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					t.Errorf("%s: has an init function: lists are written down, not registered into", p.ImportPath)
				}
				return true
			})
		}
	}
}

// methods counts the methods that an interface declares itself: one put together from small ones may be as large as it likes.
func methods(i *ast.InterfaceType) (n int) {
	for _, field := range i.Methods.List {
		if _, ok := field.Type.(*ast.FuncType); ok {
			n++
		}
	}
	return n
}

// TestNoTestSkipsItself looks at the source, since a skip that depends on the machine shows only there.
func TestNoTestSkipsItself(t *testing.T) {
	for _, p := range list(t, "work") {
		paths, err := filepath.Glob(filepath.Join(p.Dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if call, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, call.Sel.Name) {
					if on, ok := call.X.(*ast.Ident); ok && slices.Contains([]string{"t", "b", "f", "tb"}, on.Name) {
						t.Errorf("%s skips: a missing tool is a failure that says what to install", path)
					}
				}
				return true
			})
		}
	}
}
