package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sample = "../../../validate/testdata/sample/corpus.json"

// TestPeersOnTheSample: side by side on a corpus that we did not write.
func TestPeersOnTheSample(t *testing.T) {
	var out, errs bytes.Buffer
	if err := run([]string{"--json", sample}, &out, &errs); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	var got tally
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if us := got.sum(ourName); us.wrong() != 0 {
		t.Errorf("we got %+v wrong", us)
	}
	attacks, valid := 0, 0
	for _, c := range got.Classes {
		attacks, valid = attacks+c.Attacks, valid+c.Valid
	}
	if attacks != 17 || valid != 8 {
		t.Errorf("%d attacks and %d valid tokens", attacks, valid)
	}
	// What the libraries accept is theirs to change. That they refuse some attacks and accept the valid tokens shows
	// that they were asked properly.
	for _, s := range got.Subjects[1:] {
		if sum := got.sum(s); sum.Accepted == 0 || sum.Accepted == attacks || sum.Refused != 0 {
			t.Errorf("%s: %+v of %d attacks and %d valid tokens", s, sum, attacks, valid)
		}
	}
	if want := []string{"seawall", "golang-jwt", "go-jose", "go-oidc", "jwx"}; strings.Join(got.Subjects, " ") != strings.Join(want, " ") {
		t.Errorf("subjects are %q", got.Subjects)
	}
}

func TestTable(t *testing.T) {
	var out, errs bytes.Buffer
	if err := run([]string{"--peer", "go-oidc", sample}, &out, &errs); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| class ", "| seawall | go-oidc |", "| all ", "Attacks that were accepted"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

var update = flag.Bool("update", false, "write the table of docs/migrating.md anew")

// TestMigratingShowsTheTable keeps the figures that people read those that the command prints.
func TestMigratingShowsTheTable(t *testing.T) {
	const paper, from, to = "../../../docs/migrating.md", "<!-- bench/cmd/corpus writes from here … -->\n", "<!-- … to here -->\n"
	var out, errs bytes.Buffer
	if err := run([]string{sample}, &out, &errs); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(paper)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), from)
	shown, after, ended := strings.Cut(rest, to)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", paper)
	}
	table := "\n" + strings.TrimSpace(out.String()) + "\n\n"
	if *update {
		if err := os.WriteFile(paper, []byte(before+from+table+to+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if shown != table {
		t.Errorf("%s shows another table than\n%s\nrun go test ./cmd/corpus -update", paper, table)
	}
}

// TestWrongIsNoticed: a corpus that expects the opposite must show, with the status for it.
func TestWrongIsNoticed(t *testing.T) {
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for _, c := range doc["cases"].([]any) {
		c := c.(map[string]any)
		if c["expect"] == "reject" {
			c["expect"], c["subject"] = "accept", "x"
		} else {
			c["subject"] = "somebody else" // accepted, but as another
		}
	}
	text, err = json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "corpus.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if err := run([]string{"--json", file}, &out, &errs); !errors.Is(err, errWrong) {
		t.Errorf("got %v", err)
	}
	var got tally
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if us := got.sum(ourName); us.wrong() != 25 {
		t.Errorf("of 25 false expectations %d were noticed", us.wrong())
	}
}

func TestCalledWrongly(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.json")
	if err := os.WriteFile(empty, []byte(`{"schema":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for says, args := range map[string][]string{
		"wanted: the file":      nil,
		`no peer "tink"`:        {"--peer", "tink", sample},
		`no peer "zitadel"`:     {"--peer", "zitadel", sample},
		"no such file":          {"nothing.json"},
		`its schema is "x"`:     {empty},
		"flag provided but not": {"--peers", sample},
	} {
		var out, errs bytes.Buffer
		if err := run(args, &out, &errs); err == nil || errors.Is(err, errWrong) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", args, err, says)
		}
	}
}
