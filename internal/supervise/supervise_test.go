package supervise

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestPauses(t *testing.T) {
	var pauses []time.Duration
	last := time.Duration(0)
	for _, up := range []time.Duration{0, 0, 0, 0, 0, 0, 0, 59 * time.Second, time.Minute, time.Second} {
		last = nextPause(last, up)
		pauses = append(pauses, last)
	}
	want := []time.Duration{250e6, 500e6, 1e9, 2e9, 4e9, 8e9, 10e9, 10e9, 250e6, 500e6}
	for i := range want {
		if pauses[i] != want[i] {
			t.Fatalf("pauses %v, want %v", pauses, want)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := func() Config {
		return Config{Data: &Data{}, Log: slog.New(slog.DiscardHandler),
			Children: []Child{{Name: "house", UID: 1}, {Name: "signer", UID: 2}},
			Links:    []Link{{"house-signer", "house", "signer"}}}
	}
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"good", func(*Config) {}, ""},
		{"no data", func(c *Config) { c.Data = nil }, "needs a data directory"},
		{"no children", func(c *Config) { c.Children = nil }, "needs a data directory, a log and children"},
		{"path as name", func(c *Config) { c.Children[0].Name = "../etc" }, `"../etc" is no name for a child`},
		{"two of a name", func(c *Config) { c.Children[1].Name = "house" }, `"house" is no name for a child, or names two`},
		{"link without end", func(c *Config) { c.Links[0].Server = "keeper" }, "the link house-signer has no two ends"},
		{"link to itself", func(c *Config) { c.Links[0].Server = "house" }, "the link house-signer has no two ends"},
		{"two links of a name", func(c *Config) { c.Links = append(c.Links, c.Links[0]) }, "names two"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := good()
			test.change(&config)
			err := config.check()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}
