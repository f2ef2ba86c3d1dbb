package main

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"seawall/internal/server/adminapi"
)

func TestTokenIDs(t *testing.T) {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	head := part(`{"alg":"ES256"}`)
	for name, c := range map[string]struct{ in, want string }{
		"a token":         {head + "." + part(`{"jti":"x-1","sub":"ann"}`) + ".c2ln", "x-1"},
		"with line ends":  {"\n" + head + "." + part(`{"jti":"x-1"}`) + ".c2ln\r\n", "x-1"},
		"no jti":          {head + "." + part(`{"sub":"ann"}`) + ".c2ln", ""},
		"a number as jti": {head + "." + part(`{"jti":7}`) + ".c2ln", ""},
		"two parts":       {head + "." + part(`{"jti":"x-1"}`), ""},
		"not base64url":   {head + ".!!!.c2ln", ""},
		"not JSON":        {head + "." + part(`jti=x`) + ".c2ln", ""},
		"nothing":         {"", ""},
		"endless":         {head + "." + part(`{"jti":"x-1","x":"`+strings.Repeat("a", maxToken)+`"}`) + ".c2ln", ""},
	} {
		got, err := readTokenID(strings.NewReader(c.in))
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if err != nil && c.in != "" && strings.Contains(err.Error(), c.in[:4]) {
			t.Errorf("%s: the error shows what was read: %v", name, err)
		}
	}
}

func TestRevokeWantsOneThing(t *testing.T) {
	for args, want := range map[string]string{
		"": "--tenant", "--tenant acme": "--reason", "--tenant acme --reason admin": "say what to revoke",
		"--tenant acme --reason admin --jti a --client b":         "one thing at a time",
		"--tenant acme --reason admin --jti a --token-from-stdin": "say what to revoke",
		"--tenant acme --reason admin --client a --before soon":   "is no time",
	} {
		var out, errs strings.Builder
		code := run(t.Context(), append([]string{"token", "revoke"}, strings.Fields(args)...), strings.NewReader(""), &out, &errs)
		if code != exitUsage || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: %d %s, want %s", args, code, errs.String(), want)
		}
	}
	var out, errs strings.Builder
	if code := run(t.Context(), []string{"token", "restore", "x", "--tenant", "acme"}, strings.NewReader(""), &out, &errs); code != exitUsage {
		t.Errorf("restore x: %d %s", code, errs.String())
	}
}

func TestDistrustPreviews(t *testing.T) {
	now := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	p := &adminapi.DistrustPreview{Tokens: 12, Subjects: 3, Clients: []adminapi.Share{{Name: "ci", Tokens: 9}, {Name: "web", Tokens: 3}},
		APIs: []adminapi.Share{{Name: "https://a", Tokens: 12}}, LastEnds: now.Add(10 * time.Minute), KeyState: "active", NextKey: "k2",
		NextPublished: now.Add(-time.Hour), NextKnown: now.Add(23 * time.Hour)}
	text := strings.Join(previewDistrust("acme", &adminapi.Distrust{Kind: "key", Value: "k1"}, p, now), "\n")
	for _, want := range []string{"The tokens under the key k1 of acme will be refused.", "12 tokens of 3 subjects", "ci (9), web (3)", "in 10 minutes",
		"k2 takes its place, which validators may not know before 2026-09-02 11:00 UTC", "nobody's account is touched", "--undo gives it back"} {
		if !strings.Contains(text, want) {
			t.Errorf("the preview lacks %q:\n%s", want, text)
		}
	}
	p.NextKnown = now.Add(-time.Minute)
	if text := keyText(p, now); !strings.Contains(text, "every validator knows it") {
		t.Error(text)
	}
	if p.NextKey = ""; !strings.Contains(keyText(p, now), "no other key can yet") {
		t.Error(keyText(p, now))
	}
	p = &adminapi.DistrustPreview{AtLeast: true, Restores: &adminapi.Statement{Kind: "client", Value: "ci"}}
	text = strings.Join(previewDistrust("acme", &adminapi.Distrust{Restores: 3}, p, now), "\n")
	if !strings.Contains(text, "The tokens of the client ci of acme will count again.") || !strings.Contains(text, "at least 0 tokens") {
		t.Error(text)
	}
	var many []adminapi.Share
	for range 9 {
		many = append(many, adminapi.Share{Name: "x", Tokens: 1})
	}
	if text := sharesText(many); !strings.HasSuffix(text, "and 4 more") {
		t.Error(text)
	}
}

// FuzzTokenID reads whatever comes on standard input: what it returns is text that was in it as a jti, and no error shows any of it.
func FuzzTokenID(f *testing.F) {
	f.Add("eyJhbGciOiJFUzI1NiJ9.eyJqdGkiOiJ4LTEifQ.c2ln")
	f.Add("..")
	f.Fuzz(func(t *testing.T, in string) {
		id, err := readTokenID(strings.NewReader(in))
		if (id == "") != (err != nil) {
			t.Fatalf("%q, %v", id, err)
		}
	})
}
