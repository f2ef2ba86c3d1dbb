package console

import (
	"html"
	"strings"
	"testing"
	"time"

	"seawall/internal/server/adminapi"
)

// hostile ends a tag's text, a quoted attribute and a character reference.
const hostile = `</td><script>x</script>" onload="x" '&lt;`

// TestPiecesKeepTextText: whatever a name is, no piece lets it become markup, and the reader sees it as it is.
func TestPiecesKeepTextText(t *testing.T) {
	bad := cell{Text: hostile, Path: hostile}
	options := []option{{Value: hostile, Text: hostile}, {Value: hostile}}
	for name, c := range map[string]struct {
		write func(*markup)
		shown int // so often
	}{
		"a text":       {func(m *markup) { m.value(bad) }, 1},
		"a badge":      {func(m *markup) { m.value(cell{Text: hostile, Badge: hostile}) }, 2},
		"to be copied": {func(m *markup) { m.value(copied(hostile)) }, 1},
		"an amount":    {func(m *markup) { m.value(cell{Text: hostile, Part: 50}) }, 1},
		"several":      {func(m *markup) { m.value(texts([]string{hostile, hostile})) }, 2},
		"in words":     {func(m *markup) { m.value(word("console.tenantnamed", hostile)) }, 1},
		"facts":        {func(m *markup) { m.facts([]fact{{"console.name", bad}}) }, 1},
		"rows": {func(m *markup) {
			m.rows(&table{Columns: []string{"console.name"}, Rows: [][]cell{{bad}}, Root: hostile})
		}, 3},
		"a text field": {func(m *markup) {
			m.field(field{Name: hostile, Label: "console.name", Hint: "console.namehint", Kind: hostile, Value: hostile})
		}, 7},
		"lines":          {func(m *markup) { m.field(field{Name: hostile, Label: "console.name", Kind: "lines", Value: hostile}) }, 4},
		"a hidden field": {func(m *markup) { m.field(field{Name: hostile, Kind: "hidden", Value: hostile}) }, 2},
		"choices": {func(m *markup) {
			m.field(field{Name: hostile, Label: "console.name", Kind: "checks", Options: options})
		}, 10},
		"rooms":     {func(m *markup) { m.rooms(page{Root: hostile, Self: &adminapi.Self{Role: "owner"}}) }, 4},
		"who it is": {func(m *markup) { m.self(hostile, &adminapi.Self{Actor: hostile, Role: hostile}) }, 3},
		"a trail":   {func(m *markup) { m.trail(hostile, []link{{Text: hostile, Path: hostile}}) }, 3},
		"a process": {func(m *markup) {
			m.processes([]process{{Name: "console.signer", State: text(hostile), Detail: text(hostile), Why: hostile}})
		}, 3},
		"a finding": {func(m *markup) { m.finding(hostile, finding{hostile, adminapi.Finding{What: hostile}}) }, 3},
		"acts":      {func(m *markup) { m.acts(hostile, []act{{Key: "console.people", Path: hostile}}) }, 2},
	} {
		m := &markup{}
		c.write(m)
		got := m.b.String()
		if m.err != nil || strings.Contains(got, "<script") || strings.Contains(got, `" onload`) || strings.Contains(got, "'&lt;") {
			t.Errorf("%s: text became markup (%v): %s", name, m.err, got)
		}
		if n := strings.Count(html.UnescapeString(got), hostile); n != c.shown {
			t.Errorf("%s: the text is there %d times, want %d: %s", name, n, c.shown, got)
		}
	}
}

// TestPiecesSayWhatIsMissing: words that there are not fail a page, as everywhere.
func TestPiecesSayWhatIsMissing(t *testing.T) {
	m := &markup{}
	m.value(word("nothing"))
	m.value(word("console.name"))
	if m.err == nil || !strings.Contains(m.err.Error(), "nothing") {
		t.Errorf("the error is %v", m.err)
	}
}

func TestATimeHasItsDistance(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	m := &markup{}
	m.value(cell{Time: now.Add(-2 * time.Hour), Now: now})
	if got := m.b.String(); got != `<time datetime="2026-11-28T10:00:00Z">28 November 2026, 10:00 UTC</time> <span class="muted">· 2 hours ago</span>` {
		t.Error(got)
	}
}
