//go:build linux

package comparison

import (
	"context"
	"encoding/json"
	"testing"
)

// TestMeasure: every subject is measured at every algorithm, and the figures survive their way between two processes.
func TestMeasure(t *testing.T) {
	f, err := Measure(context.Background(), 2, 5, []string{"../../../validate/testdata/sample/corpus.json"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var again Figures
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	for _, alg := range Algorithms {
		for _, s := range Subjects() {
			if c := again.Full[alg][s]; c.CPU <= 0 || again.Ratios[alg][s] <= 0 {
				t.Errorf("%s, %s: %+v, ratio %v", alg, s, c, again.Ratios[alg][s])
			}
		}
	}
	for _, name := range []string{Repeated, Garbage, Malformed, Long, DPoP} {
		if again.Other[name].CPU <= 0 {
			t.Errorf("%s was not measured", name)
		}
	}
	if again.Cases != 25 || again.Corpus <= 0 {
		t.Errorf("%d cases in %v", again.Cases, again.Corpus)
	}
	if bars := again.Bars(); len(bars) != 4*len(Algorithms)+8 {
		t.Errorf("%d bars", len(bars))
	}
	if tables := again.Tables(); len(tables) != 2 || len(tables[0].Rows) != len(Subjects()) || len(tables[0].Rows[0]) != len(tables[0].Head) {
		t.Errorf("the tables are %+v", tables)
	}
}
