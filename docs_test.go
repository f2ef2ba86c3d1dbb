package seawall_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// papers lists the documents of the repository.
func papers(t *testing.T) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || path != "." && strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"data", "bin", "dist"}, path)) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".md") {
			list = append(list, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var (
	linkPattern    = regexp.MustCompile(`(?:\]\(|src="|href=")([^)"\s]+)[)"]`)
	headingPattern = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	fencePattern   = regexp.MustCompile("(?s)```.*?\n```")
	notInSlug      = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns the names under which the headings of a document can be linked to.
func anchors(text string) []string {
	var list []string
	for _, m := range headingPattern.FindAllStringSubmatch(fencePattern.ReplaceAllString(text, ""), -1) {
		list = append(list, strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return list
}

func TestLinksLeadSomewhere(t *testing.T) {
	for _, paper := range papers(t) {
		text, err := os.ReadFile(paper)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range linkPattern.FindAllStringSubmatch(fencePattern.ReplaceAllString(string(text), ""), -1) {
			link := m[1]
			if strings.Contains(link, "://") {
				continue
			}
			file, anchor, _ := strings.Cut(link, "#")
			target := filepath.Join(filepath.Dir(paper), file)
			if file == "" {
				target = paper
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", paper, link)
				continue
			}
			if anchor == "" {
				continue
			}
			linked, err := os.ReadFile(target)
			if err != nil {
				t.Errorf("%s links to %s: %v", paper, link, err)
			} else if !slices.Contains(anchors(string(linked)), anchor) {
				t.Errorf("%s links to %s, and there is no such heading", paper, link)
			}
		}
	}
}

func TestEveryPaperIsThere(t *testing.T) {
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "RELEASES.md", "docs/formats.md", "docs/performance.md", "docs/decisions/README.md"} {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("%v", err)
		}
	}
}

// TestArchitectureNamesEveryRoom keeps the table for people beside the table for the machine.
func TestArchitectureNamesEveryRoom(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range house {
		name := strings.TrimPrefix(r.name, "internal/")
		if r.name == "e2e" || strings.HasSuffix(name, "test") || strings.HasPrefix(name, "testenv/") || strings.Contains(name, "/internal/") {
			continue // what only tests use, and what only its owner sees
		}
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("ARCHITECTURE.md does not name the room %s", name)
		}
	}
}

// TestArchitectureListsImports holds the column of imports to the machine's table, room by room. What only its owner sees is not
// in it, and several rooms in one line share a list.
func TestArchitectureListsImports(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string][]string{}
	for _, r := range house {
		allowed[strings.TrimPrefix(r.name, "internal/")] = r.may
	}
	compared := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 3 || !strings.Contains(cells[0], "`") || strings.Contains(cells[0], "cmd/") {
			continue
		}
		var want []string
		known := false
		for i, name := range strings.Split(cells[0], "`") {
			imports, ok := allowed[name]
			if i%2 == 0 || !ok {
				continue // a module outside the workspace has no line in the machine's table
			}
			known = true
			for _, one := range imports {
				if one = strings.TrimPrefix(one, "internal/"); !strings.Contains(one, "/internal/") {
					want = append(want, one)
				}
			}
		}
		var got []string
		for one := range strings.FieldsFuncSeq(cells[2], func(r rune) bool { return strings.ContainsRune(",; ", r) }) {
			got = append(got, one)
		}
		if strings.HasPrefix(cells[2], "nothing") {
			got = nil
		}
		slices.Sort(want)
		slices.Sort(got)
		if want = slices.Compact(want); known && !slices.Equal(got, want) {
			t.Errorf("ARCHITECTURE.md lets %s import %v, and arch_test.go %v", cells[0], got, want)
		}
		if known {
			compared++
		}
	}
	if compared < 20 {
		t.Errorf("only %d rooms were compared", compared)
	}
}

// TestDecisionsAreListed: a decision that nobody finds was not written down.
func TestDecisionsAreListed(t *testing.T) {
	index, err := os.ReadFile("docs/decisions/README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("docs/decisions/[0-9]*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.Contains(string(index), "("+filepath.Base(file)+")") {
			t.Errorf("docs/decisions/README.md does not list %s", file)
		}
	}
}

// TestDependenciesHaveADecision: every module that the product needs directly is somebody we said we trust.
func TestDependenciesHaveADecision(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	decision, err := os.ReadFile("docs/decisions/0004-dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) < 2 || !strings.HasPrefix(fields[1], "v") || strings.Contains(line, "// indirect") || fields[0] == "seawall/validate" {
			continue
		}
		if !strings.Contains(string(decision), "`"+fields[0]+"`") {
			t.Errorf("go.mod needs %s, and docs/decisions/0004-dependencies.md doesn't say why", fields[0])
		}
	}
}
