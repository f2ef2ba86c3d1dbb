package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"seawall/validate"
	"seawall/validate/validatetest"
)

const testAudience = "https://api.acme.example"

// validateWith runs the command on a token.
func validateWith(token string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = runValidate(context.Background(), args, strings.NewReader(token), &out, &errs)
	return code, out.String(), errs.String()
}

func TestValidateCommand(t *testing.T) {
	wall := validatetest.NewServer(validatetest.Config{})
	defer wall.Close()
	good := wall.Token(validatetest.Claims{"aud": testAudience, "sub": "ci", "big": json.RawMessage("9007199254740993")})
	args := []string{"--issuer", wall.URL(), "--audience", testAudience}
	pinned := append(args, "--pin", wall.Pin())
	for name, c := range map[string]struct {
		args  []string
		token string
		trust string
	}{
		"pinned": {pinned, good + "\n", "pinned"}, "fetched": {args, good, "fetched"},
		"two audiences": {append(args, "--audience", "https://other.example"), good, "fetched"},
	} {
		code, out, errs := validateWith(c.token, append(c.args, "--json")...)
		var claims struct {
			Sub, Trust string
			Big        json.Number
		}
		if err := json.Unmarshal([]byte(out), &claims); code != 0 || err != nil || claims.Sub != "ci" || claims.Trust != c.trust || claims.Big != "9007199254740993" {
			t.Errorf("%s: %d %q %q", name, code, out, errs)
		}
		if !strings.HasPrefix(errs, "trust: "+c.trust) {
			t.Errorf("%s: the person is not told: %q", name, errs)
		}
		if c.trust == "fetched" && !strings.Contains(errs, wall.Pin()) {
			t.Errorf("%s: the pin is not shown: %q", name, errs)
		}
	}
	other := validatetest.NewServer(validatetest.Config{})
	defer other.Close()
	foreign := validatetest.NewServer(validatetest.Config{Foreign: true})
	defer foreign.Close()
	for name, c := range map[string]struct {
		token string
		args  []string
		want  string
	}{
		"empty":        {"", pinned, "missing"},
		"garbage":      {"x", pinned, "malformed"},
		"two tokens":   {good + "\n" + good, pinned, "malformed"},
		"no receipt":   {wall.Token(validatetest.Claims{"aud": testAudience}, validatetest.NoReceipt), pinned, "receipt_missing"},
		"fetched too":  {wall.Token(validatetest.Claims{"aud": testAudience}, validatetest.ForgedClaims), args, "receipt_mismatch"},
		"expired key":  {wall.Token(validatetest.Claims{"aud": testAudience}, validatetest.ExpiredKey), pinned, "key_expired"},
		"audience":     {good, []string{"--issuer", wall.URL(), "--audience", "x", "--pin", wall.Pin()}, "audience"},
		"other issuer": {good, []string{"--issuer", other.URL(), "--audience", testAudience, "--pin", other.Pin()}, "issuer"},
		"other pin":    {good, append(args, "--pin", other.Pin()), "ledger_pin"},
		"not a wall":   {good, []string{"--issuer", foreign.URL(), "--audience", testAudience}, "ledger_pin"},
		"nobody there": {good, []string{"--issuer", "http://127.0.0.1:1/acme", "--audience", testAudience}, "keys_unavailable"},
		"nobody, pin":  {good, []string{"--issuer", "http://127.0.0.1:1/acme", "--audience", testAudience, "--pin", wall.Pin()}, "keys_unavailable"},
	} {
		code, out, errs := validateWith(c.token, c.args...)
		if code != 1 || out != c.want+"\n" || !strings.Contains(errs, "seawall: ") {
			t.Errorf("%s: %d %q %q, want %s", name, code, out, errs, c.want)
		}
		if code, out, _ := validateWith(c.token, append(c.args, "--json")...); code != 1 || out != `{"refused":"`+c.want+`"}`+"\n" {
			t.Errorf("%s, as JSON: %d %q", name, code, out)
		}
		if len(c.token) > 24 && (strings.Contains(errs, c.token[:24]) || strings.Contains(errs, c.token[len(c.token)-24:])) {
			t.Errorf("%s: the message holds a part of the token: %q", name, errs)
		}
	}
	for name, args := range map[string][]string{
		"nothing": nil, "no audience": {"--issuer", wall.URL()}, "no issuer": {"--audience", "x"}, "wrong flag": append(args, "--pine", "x"),
		"pin of another kind": append(args, "--pin", "x"), "http": {"--issuer", "http://id.example", "--audience", "x", "--pin", wall.Pin()}, "a word": append(args, "word"),
	} {
		if code, out, errs := validateWith(good, args...); code != 2 || out != "" || errs == "" {
			t.Errorf("%s: %d %q %q", name, code, out, errs)
		}
	}
}

func TestAGoodTokenForAPerson(t *testing.T) {
	wall := validatetest.NewServer(validatetest.Config{})
	defer wall.Close()
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{validate.SeawallIssuer(wall.URL(), wall.Pin())}, Audiences: []string{testAudience}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	raw := wall.Token(validatetest.Claims{"aud": testAudience, "sub": "ada", "scope": "read write"})
	token, err := v.Token(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := showToken(&out, token, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"The token is good.", wall.URL(), "ada", testAudience, "read write", token.ID(), "not asked"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), raw[:24]) {
		t.Error("a part of the token is shown")
	}
}

func TestCorpusCommand(t *testing.T) {
	b, err := os.ReadFile("../../validate/testdata/sample/corpus.json")
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := runCorpus(context.Background(), nil, bytes.NewReader(b), &out, &errs); code != 0 || errs.Len() != 0 {
		t.Fatalf("%d %q", code, errs.String())
	}
	var doc struct {
		Cases []struct{ Name, Token, Expect, Subject string }
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(doc.Cases) {
		t.Fatalf("%d lines for %d cases", len(lines), len(doc.Cases))
	}
	right := 0
	for n, line := range lines {
		var verdict struct{ Name, Verdict, Subject, Code string }
		if err := json.Unmarshal([]byte(line), &verdict); err != nil || verdict.Name != doc.Cases[n].Name {
			t.Fatalf("line %d: %q", n, line)
		}
		if verdict.Verdict == doc.Cases[n].Expect && verdict.Subject == doc.Cases[n].Subject {
			right++
		}
	}
	if right != len(doc.Cases) {
		t.Errorf("%d of %d cases are right", right, len(doc.Cases))
	}
	for _, bad := range []string{"", "{", "[]", `{"schema":"other","cases":[]}`} {
		errs.Reset()
		if code := runCorpus(context.Background(), nil, strings.NewReader(bad), &out, &errs); code != 1 || errs.Len() == 0 {
			t.Errorf("%q: %d %q", bad, code, errs.String())
		}
	}
}
