package process

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"seawall/internal/secret"
)

func TestLinesForPeople(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(secret.NewLogHandler(newLines(&out, "signer")))
	credential := secret.Generate(secret.ClientSecret, secret.Production)
	log.Info("the signer is open", "custody", "file: sealed", "entries", 2)
	log.With("tenant", "acme").WithGroup("key").Warn("key changed", "time", time.Unix(0, 0).UTC(), "level", 7)
	log.Error("it came to this", "cause", "pasted "+credential.Reveal())
	log.Info("a message\nof two lines")
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	wants := []string{
		`signer     the signer is open  custody="file: sealed" entries=2`,
		`signer     WARN key changed  tenant=acme key.time=1970-01-01T00:00:00.000Z key.level=7`,
		`signer     ERROR it came to this  cause="pasted [redacted`,
		`signer     a message`, `of two lines`,
	}
	if len(lines) != len(wants) {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	when := regexp.MustCompile(`^\d\d:\d\d:\d\d $`)
	for i, want := range wants {
		before, _, there := strings.Cut(lines[i], want)
		if !there || before != "" != strings.HasPrefix(want, "signer") || before != "" && !when.MatchString(before) {
			t.Errorf("line %d is %q, want %q", i, lines[i], want)
		}
	}
	if strings.Contains(out.String(), credential.Reveal()) || strings.Contains(out.String(), "msg=") {
		t.Error(out.String())
	}
}

// TestLinesStayWhole when goroutines write at once.
func TestLinesStayWhole(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newLines(&out, "house"))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			mine := log.With("a", 1)
			for range 50 {
				mine.Info("said", "b", 2)
			}
		})
	}
	all.Wait()
	for line := range strings.Lines(out.String()) {
		if !strings.HasSuffix(line, " house      said  a=1 b=2\n") {
			t.Fatalf("%q", line)
		}
	}
}

func TestNoTerminalGetsJSON(t *testing.T) {
	var out bytes.Buffer
	Log(&out, "ledger").Info("the ledger is open")
	if !strings.Contains(out.String(), `"msg":"the ledger is open","process":"ledger"}`) {
		t.Error(out.String())
	}
}
