package validate

import (
	"encoding/json"
	"testing"
)

// FuzzClaimRule: on a sound object, rules hold exactly when a reader who decodes everything finds
// the values that they demand.
func FuzzClaimRule(f *testing.F) {
	rules := []ClaimRule{{Path: []string{"a"}, OneOf: []string{"x", "ü"}}, {Path: []string{"k.io", "n"}}, {Path: []string{"k.io", "s", "u"}, OneOf: []string{"1"}}}
	f.Add([]byte(`{"a":"x","k.io":{"n":"p","s":{"u":"1"}}}`))
	f.Add([]byte(`{"a":"\u00fc","k.io":{"s":{"u":"\u0031","v":[1]},"n":" "},"b":{"a":"x"}}`))
	f.Add([]byte(`{"a":["x"],"k.io":{"n":"","s":{"u":1}}}`))
	f.Add([]byte(`{"k.io":"n","n":"p"}`))
	f.Add([]byte(`{"a":"x","a":"x"}`))
	top, err := newDemands(rules)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var sound scanner
		sound.reset(payload, false)
		if sound.peek() != '{' {
			return
		}
		sound.skip()
		var s scanner
		s.reset(payload, false)
		held := top.hold(&s)
		if !sound.end() {
			return // such a token is refused before its rules are looked at
		}
		var all map[string]any
		if err := json.Unmarshal(payload, &all); err != nil {
			return // a number too large for encoding/json
		}
		a, _ := all["a"].(string)
		k, _ := all["k.io"].(map[string]any)
		n, _ := k["n"].(string)
		inner, _ := k["s"].(map[string]any)
		u, _ := inner["u"].(string)
		if want := (a == "x" || a == "ü") && n != "" && u == "1"; held != want {
			t.Errorf("rules hold: %v, and should: %v, for %q", held, want, payload)
		}
	})
}
