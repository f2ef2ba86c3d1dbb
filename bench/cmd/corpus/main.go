// Corpus runs a token-validation corpus through the libraries that people check tokens with today, beside package
// validate, and prints class by class what each got wrong:
//
//	GOWORK=off go run ./cmd/corpus [--peer golang-jwt|go-jose|go-oidc|jwx]… [--json] FILE
//
// A file of several documents of the schema token-validation-corpus/1 can be given, too. Each library is configured as
// well as it can be (package peer). Many attacks are about things that a library does not do at all, such as revocation,
// proof of possession or the dates of keys: it is asked all the same, because whoever relies on it relies on that.
//
// It exits 0 if validate got nothing wrong, 1 if it did and 2 if a document could not be judged.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"seawall/bench/internal/report"
	"seawall/validate/corpus"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errWrong):
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(2)
	}
}

var errWrong = errors.New("validate got a case wrong")

func run(args []string, stdout, stderr io.Writer) error {
	var peers []string
	flags := flag.NewFlagSet("corpus", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Func("peer", "a `library` to compare with; may be repeated (default all)", func(name string) error {
		peers = append(peers, name)
		return nil
	})
	asJSON := flags.Bool("json", false, "print JSON instead of a table")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("wanted: the file of a corpus")
	}
	subjects, err := choose(peers)
	if err != nil {
		return err
	}
	total := tally{Subjects: names(subjects)}
	for _, file := range flags.Args() {
		doc, err := load(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		total.add(judge(context.Background(), doc, subjects))
	}
	if *asJSON {
		err = json.NewEncoder(stdout).Encode(total)
	} else {
		_, err = io.WriteString(stdout, total.String())
	}
	if err == nil && total.sum(ourName).wrong() > 0 {
		return errWrong
	}
	return err
}

func load(file string) (*corpus.Document, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var doc corpus.Document
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if doc.Schema != corpus.Schema {
		return nil, fmt.Errorf("its schema is %q, and not %q", doc.Schema, corpus.Schema)
	}
	return &doc, nil
}

// score is what one subject got wrong among the cases of one class.
type score struct {
	Accepted int `json:"wrongly_accepted"`
	Refused  int `json:"wrongly_refused"`
}

func (s score) wrong() int { return s.Accepted + s.Refused }

// class is a class of cases.
type class struct {
	Name    string           `json:"class"`
	Attacks int              `json:"attacks"`
	Valid   int              `json:"valid"`
	Scores  map[string]score `json:"scores"` // by subject
}

// tally is the outcome of all documents.
type tally struct {
	Subjects []string `json:"subjects"`
	Classes  []*class `json:"classes"`
}

func (t *tally) class(name string) *class {
	at := slices.IndexFunc(t.Classes, func(c *class) bool { return c.Name == name })
	if at < 0 {
		at = len(t.Classes)
		t.Classes = append(t.Classes, &class{Name: name, Scores: map[string]score{}})
	}
	return t.Classes[at]
}

// add counts the verdicts of one document.
func (t *tally) add(cases []outcome) {
	for _, o := range cases {
		c := t.class(o.class)
		if o.attack {
			c.Attacks++
		} else {
			c.Valid++
		}
		for subject, wrong := range o.wrong {
			s := c.Scores[subject]
			switch {
			case !wrong:
			case o.attack:
				s.Accepted++
			default:
				s.Refused++
			}
			c.Scores[subject] = s
		}
	}
}

func (t *tally) sum(subject string) (all score) {
	for _, c := range t.Classes {
		all.Accepted += c.Scores[subject].Accepted
		all.Refused += c.Scores[subject].Refused
	}
	return all
}

// String is the table for people: wrongly accepted attacks, and behind a plus sign valid tokens that were refused.
func (t *tally) String() string {
	table := report.Table{Head: append([]string{"class", "attacks", "valid"}, t.Subjects...)}
	cell := func(s score) string {
		switch {
		case s.Refused > 0:
			return fmt.Sprintf("%d + %d", s.Accepted, s.Refused)
		case s.Accepted > 0:
			return fmt.Sprint(s.Accepted)
		}
		return "–"
	}
	attacks, valid := 0, 0
	for _, c := range t.Classes {
		attacks, valid = attacks+c.Attacks, valid+c.Valid
		row := []string{c.Name, fmt.Sprint(c.Attacks), fmt.Sprint(c.Valid)}
		for _, s := range t.Subjects {
			row = append(row, cell(c.Scores[s]))
		}
		table.Rows = append(table.Rows, row)
	}
	slices.SortFunc(table.Rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	last := []string{"all", fmt.Sprint(attacks), fmt.Sprint(valid)}
	for _, s := range t.Subjects {
		last = append(last, cell(t.sum(s)))
	}
	table.Rows = append(table.Rows, last)
	return table.Markdown() + "\nAttacks that were accepted, and after a plus sign good tokens that were refused.\n"
}
