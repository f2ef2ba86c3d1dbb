package main

import (
	"strings"
	"testing"
	"time"

	"seawall/internal/server/adminapi"
)

// TestStatusTellsDebts in words, and only when there are some.
func TestStatusTellsDebts(t *testing.T) {
	show := func(o *adminapi.Owing) string {
		t.Helper()
		var out strings.Builder
		if err := showStatus(&call{out: &out}, &adminapi.Status{Ready: true, Base: "https://id.example", Owed: o}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if text := show(nil); strings.Contains(text, "yet to hear") {
		t.Errorf("nothing is owed:\n%s", text)
	}
	o := &adminapi.Owing{Statements: 3, Entries: 1, Since: time.Now().Add(-5*time.Minute - time.Second), Means: "APIs may go on.", Do: "Bring it back."}
	text := show(o)
	for _, want := range []string{"  the ledger has yet to hear: 3 statements and 1 entry, the oldest of " + o.Since.UTC().Format("2006-01-02 15:04 UTC") + " (5 minutes ago)\n", "    APIs may go on.\n    Bring it back.\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	if o.Statements = 0; !strings.Contains(show(o), "yet to hear: 1 entry, the oldest") {
		t.Error(show(o))
	}
}
