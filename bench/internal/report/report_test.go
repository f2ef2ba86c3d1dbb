//go:build linux

package report

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name string
		bar  Bar
		want string
	}{
		{"below the aim", Bar{Figure: 1.4, Limit: 2, Aim: 1.5}, AimReached},
		{"between aim and bar", Bar{Figure: 1.6, Limit: 2, Aim: 1.5}, Pass},
		{"on the bar", Bar{Figure: 2, Limit: 2}, Pass},
		{"above the bar", Bar{Figure: 2.001, Limit: 2, Aim: 1.5}, Missed},
		{"large enough", Bar{Figure: 100_000, Limit: 100_000, AtLeast: true}, Pass},
		{"too small", Bar{Figure: 99_999, Limit: 100_000, AtLeast: true}, Missed},
		{"not a number", Bar{Figure: math.NaN(), Limit: 2, Aim: 1.5}, Missed},
		{"not a number, at least", Bar{Figure: math.NaN(), Limit: 2, AtLeast: true}, Missed},
	} {
		if got := c.bar.Verdict(); got != c.want {
			t.Errorf("%s: Verdict = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for figure, want := range map[float64]string{
		0: "0", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 1234.5: "1,234", 100_000: "100,000", 2: "2",
		-1_234_567: "-1,234,567", math.NaN(): "unknown",
	} {
		if got := Number(figure); got != want {
			t.Errorf("Number(%v) = %q, want %q", figure, got, want)
		}
	}
}

func TestMarkdownAndJSON(t *testing.T) {
	r := Report{
		Bars:   []Bar{{Measure: "a", Figure: 1, Unit: "×", Limit: 2, Aim: 1.5}, {Measure: "b", Figure: math.NaN(), Unit: "ms", Limit: 3}},
		Tables: []Table{{Title: "Numbers", Head: []string{"one", "µ"}, Rows: [][]string{{"1", "2"}}}},
		Method: []string{"By hand."},
	}
	text := r.Markdown()
	for _, want := range []string{
		"| a       | 1 ×        | ≤ 2 ×  | ≤ 1.50 × | aim reached |\n",
		"| b       | unknown ms | ≤ 3 ms | –        | MISSED      |\n",
		"1 of 2 bars met.", "### Numbers\n\n| one | µ |\n| --- | - |\n| 1   | 2 |\n", "By hand.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"figure":null`, `"verdict":"MISSED"`, `"verdict":"aim reached"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("the JSON lacks %s: %s", want, data)
		}
	}
}

func TestInsertKeepsWhatIsAround(t *testing.T) {
	path := filepath.Join(t.TempDir(), "performance.md")
	if err := Insert(path, "first"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "# Performance\n") || !strings.Contains(string(text), "\nfirst\n") {
		t.Errorf("a new document is %q", text)
	}
	if err := os.WriteFile(path, append(text, "What dominates: signing.\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Insert(path, "second"); err != nil {
		t.Fatal(err)
	}
	text, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); strings.Contains(s, "first") || strings.Count(s, "second") != 1 || strings.Count(s, begin) != 1 ||
		!strings.HasPrefix(s, "# Performance\n") || !strings.HasSuffix(s, "What dominates: signing.\n") {
		t.Errorf("the second report left %q", s)
	}
}

func TestInsertRefusesHalfAMarker(t *testing.T) {
	if _, err := insert("words\n"+begin+"\nold", "new"); err == nil {
		t.Error("a document without the end marker was taken")
	}
	got, err := insert("words\n", "new")
	if err != nil || got != "words\n\n"+begin+"\n\nnew\n\n"+end+"\n" {
		t.Errorf("a document without markers became %q, %v", got, err)
	}
}

func TestMachine(t *testing.T) {
	const mounts = `22 1 254:0 / / rw - ext4 /dev/vda rw
23 22 0:5 / /tmp rw - tmpfs tmpfs rw
24 22 0:6 / /tmpx rw - xfs /dev/vdb rw
`
	for dir, want := range map[string]string{"/tmp/a": "tmpfs", "/tmp": "tmpfs", "/home": "ext4", "/tmpxx": "ext4", "/tmpx/a": "xfs"} {
		if got := filesystem(mounts, dir); got != want {
			t.Errorf("filesystem of %s = %q, want %q", dir, got, want)
		}
	}
	if got := cpuModel("processor\t: 0\nmodel name\t: AMD EPYC\n"); got != "AMD EPYC" {
		t.Errorf("cpuModel = %q", got)
	}
	m, err := ThisMachine(".")
	if err != nil || m.Cores < 1 || m.Kernel == "" || m.MemoryGB < 1 {
		t.Errorf("ThisMachine = %+v, %v", m, err)
	}
}
