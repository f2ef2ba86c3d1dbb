package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"seawall/internal/testenv"
)

// TestTheSnippetsOfTheKeysPageCompile, as they stand, one after the other inside a function.
func TestTheSnippetsOfTheKeysPageCompile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs/validate.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := goBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("there are %d snippets, want 2", len(blocks))
	}
	compiles(t, "import (\n\"log/slog\"\n\"time\"\n\n\"seawall/validate\"\n)\n\nfunc main() {\nvar issuers []validate.Issuer\n"+
		blocks[0][1]+"if err != nil {\nreturn\n}\n"+blocks[1][1]+"}\n")
}
