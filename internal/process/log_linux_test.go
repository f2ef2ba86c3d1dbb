package process

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"seawall/internal/secret"
	"seawall/internal/testenv"
)

// TestATerminalGetsLines, and a file gets JSON. In neither there is a credential.
func TestATerminalGetsLines(t *testing.T) {
	credential := secret.Generate(secret.ClientSecret, secret.Production).Reveal()
	master, slave := testenv.Terminal(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []*os.File{slave, file} {
		Log(out, "signer").Error("it came to this", "cause", "pasted "+credential)
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
	}
	shown, err := io.ReadAll(master)
	if err != nil && !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if line := string(shown); !strings.Contains(line, ` signer     ERROR it came to this  cause="pasted [redacted]`) || strings.Contains(line, credential) || !strings.HasSuffix(line, "\r\n") {
		t.Errorf("the terminal shows %q", line)
	}
	if line := string(kept); !strings.Contains(line, `"level":"ERROR","msg":"it came to this","process":"signer","cause":"pasted [redacted]`) || strings.Contains(line, credential) {
		t.Errorf("the file has %q", line)
	}
}
