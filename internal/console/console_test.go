package console

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/server/adminapi"
)

// The pages themselves are tested where they are whole, in package server and in Chromium.

// TestWhoMayHaveALink: the first one, and that of a recovery when both administrators have spoken and a day has gone by.
func TestWhoMayHaveALink(t *testing.T) {
	v := &visit{now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
	keys := []adminapi.Passkey{{Name: "laptop"}}
	for name, c := range map[string]struct {
		keys     []adminapi.Passkey
		recovery *adminapi.Recovery
		may      bool
	}{
		"who has no passkey":      {nil, nil, true},
		"who has one":             {keys, nil, false},
		"a recovery that waits":   {keys, &adminapi.Recovery{RequestedBy: "uid:0", FirstBy: "person:a"}, false},
		"one that is too young":   {keys, &adminapi.Recovery{FirstBy: "person:a", ApprovedBy: "person:b", UsableFrom: v.now.Add(time.Second)}, false},
		"one whose day has begun": {keys, &adminapi.Recovery{FirstBy: "person:a", ApprovedBy: "person:b", UsableFrom: v.now}, true},
	} {
		if v.mayHaveLink(&adminapi.Person{Passkeys: c.keys, Recovery: c.recovery}) != c.may {
			t.Errorf("%s: not %v", name, c.may)
		}
	}
}

// TestEveryActHasItsPage: a form that is not taken is shown again, and after a touch the browser comes back to where it was.
func TestEveryActHasItsPage(t *testing.T) {
	all, acts := Pages()
	for _, r := range routes() {
		if r.get == nil || r.path != "" && !strings.HasPrefix(r.path, "/") {
			t.Errorf("%q has no page", r.path)
		}
	}
	for _, path := range acts {
		if !slices.Contains(all, path) {
			t.Errorf("%s is an act and no page", path)
		}
	}
	for path, want := range map[string]bool{"/console": true, "/console/tenants": true, "/consoles": false, "/": false, "": false, "/account": false} {
		if Owns(path) != want {
			t.Errorf("%q is ours: %v", path, !want)
		}
	}
}

func TestWhatWasTypedFillsTheForm(t *testing.T) {
	v := &visit{Request: httptest.NewRequest("GET", "/", nil), typed: url.Values{"name": {" Ada "}, "apis": {"a", "c"}, "scopes": {"read,write\r\n  admin\n"}, "n": {"12"}, "bad": {"1e3"}, "less": {"-1"}, "empty": {""}}}
	fields := v.fill(field{Name: "name", Value: "x"}, field{Name: "apis"}, field{Name: "class", Value: "production"}, field{Name: "empty", Value: "x"})
	if fields[0].Value != " Ada " || !fields[1].Chosen["a"] || fields[1].Chosen["b"] || !fields[1].Chosen["c"] || !fields[2].Chosen["production"] || fields[3].Value != "" {
		t.Errorf("the fields are %+v", fields)
	}
	if got := v.lines("scopes"); !slices.Equal(got, []string{"read", "write", "admin"}) {
		t.Errorf("the lines are %q", got)
	}
	if v.value("name") != "Ada" {
		t.Errorf("the value is %q", v.value("name"))
	}
	for name, want := range map[string]int64{"n": 12, "empty": 0, "nothing": 0, "bad": -1, "less": -1} {
		if n, err := v.number(name); err == nil && n != want || (err != nil) != (want < 0) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

func TestPathsOfNames(t *testing.T) {
	if got := at("tenants", "acme", "people", "a/b?c"); got != "/tenants/acme/people/a%2Fb%3Fc" {
		t.Error(got)
	}
}

func TestLastProven(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	v := &visit{now: now}
	for days, want := range map[int]string{0: "console.proventoday", 1: "console.provenday", 2: "console.provendays", 91: "console.provendays"} {
		c := v.provenAt(now.AddDate(0, 0, -days))
		if c.Key != want || (c.Badge == "warn") != (days > 90) {
			t.Errorf("%d days ago: %+v", days, c)
		}
	}
	if c := v.provenAt(time.Time{}); c.Key != "console.unproven" || c.Badge != "warn" {
		t.Errorf("never: %+v", c)
	}
}

// FuzzLines: whatever is typed, no line has space in it and none is empty.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{"", "a\nb", "a, b\tc\r\n\r\n", "\u00a0", strings.Repeat(" ,", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		v := &visit{typed: url.Values{"x": {typed}}}
		for _, line := range v.lines("x") {
			if line == "" || strings.ContainsAny(line, "\r\n\t ,") {
				t.Errorf("%q has the line %q", typed, line)
			}
		}
	})
}
