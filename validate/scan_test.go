package validate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// sound is the scanner's verdict on an object.
func sound(data []byte) bool {
	var s scanner
	s.reset(data, false)
	s.space()
	for o := s.object(); s.member(&o); {
		s.skip()
	}
	return s.end()
}

// reference gives the verdict that the scanner should have, from encoding/json and three more rules.
func reference(data []byte) bool {
	if !utf8.Valid(data) || !json.Valid(data) || loneSurrogate(data) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var names []map[string]bool // nil for an array
	key := false
	for {
		at, err := d.Token()
		if err != nil {
			return true // the end of a valid text
		}
		top := len(names) - 1
		switch at := at.(type) {
		case json.Delim:
			switch at {
			case '{':
				names = append(names, map[string]bool{})
				key = true
			case '[':
				if top < 0 {
					return false
				}
				names = append(names, nil)
			default:
				names = names[:top]
				key = top > 0 && names[top-1] != nil
			}
			if len(names) > maxDepth {
				return false
			}
			continue
		case string:
			if top >= 0 && names[top] != nil && key {
				if names[top][at] {
					return false
				}
				names[top][at] = true
				key = false
				continue
			}
		}
		if top < 0 {
			return false // not an object
		}
		key = names[top] != nil
	}
}

func loneSurrogate(data []byte) bool {
	unit := func(at int) (u uint64) {
		if at+6 <= len(data) && data[at] == '\\' && data[at+1] == 'u' {
			fmt.Sscanf(string(data[at+2:at+6]), "%x", &u)
		}
		return u
	}
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		switch u := unit(i); {
		case u >= 0xd800 && u < 0xdc00:
			if low := unit(i + 6); low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 11
		case u >= 0xdc00 && u < 0xe000:
			return true
		default:
			i++
		}
	}
	return false
}

var scannerSeeds = []string{
	`{}`, ` { } `, `{"a":1}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":{"b":1,"b":2}}`, `[{"a":1}]`, `{"a":[1,2,{"x":[]}]}`, `{"a":-0.5e+10}`,
	`{"a":01}`, `{"a":"\ud83d\ude00"}`, `{"a":"\ud83d"}`, `{"a":"\ud83d\u0041"}`, `{"a":"\udc00"}`, "{\"a\":\"\xff\"}", "{\"a\":\"ü\"}", `{"a":"\/\b\f\n\r\t\"\\"}`,
	`{"a":true,"b":false,"c":null}`, `{"a":tru}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1}x`, `null`, `"a"`, `1`, ``, "\ufeff{}", "{\"a\":\"\x00\"}",
	`{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, `{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`,
	`{"a":"\u00e9","é":1}`, `{"":1}`, `{"a":1e400}`, `{"a":"` + strings.Repeat("x", 300) + `"}`, `{"a":"\u12"}`, `{"a":"\`, `{"a":"\u`,
}

func TestScannerAgainstReference(t *testing.T) {
	for _, seed := range scannerSeeds {
		if got, want := sound([]byte(seed)), reference([]byte(seed)); got != want {
			t.Errorf("%q: %v, want %v", seed, got, want)
		}
	}
}

func FuzzScanner(f *testing.F) {
	for _, seed := range scannerSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, want := sound(data), reference(data)
		if got != want {
			t.Fatalf("%q: %v, want %v", data, got, want)
		}
		if !got {
			return
		}
		// What was read must be what encoding/json reads.
		var theirs map[string]json.RawMessage
		if err := json.Unmarshal(data, &theirs); err != nil {
			t.Fatal(err)
		}
		var s scanner
		s.reset(data, false)
		s.space()
		for o := s.object(); s.member(&o); {
			name := string(o.name)
			raw, ok := theirs[name]
			if !ok {
				t.Fatalf("%q: member %q is not there", data, name)
			}
			if s.peek() == '"' {
				var text string
				if err := json.Unmarshal(raw, &text); err != nil {
					t.Fatal(err)
				}
				if mine := s.text(); string(mine.b) != text || mine.off >= 0 && string(data[mine.off:][:len(mine.b)]) != text {
					t.Fatalf("%q: read %q, want %q", data, mine.b, text)
				}
				continue
			}
			if mine := s.raw(); !bytes.Equal(mine, raw) {
				t.Fatalf("%q: read %q, want %q", data, mine, raw)
			}
		}
	})
}

// A lax scanner cuts a document into values; whatever it takes must still be cut where JSON says.
func FuzzLaxScanner(f *testing.F) {
	for _, seed := range scannerSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s scanner
		s.reset(data, true)
		s.space()
		for o := s.object(); s.member(&o); {
			s.skip()
		}
		if ok := s.end(); ok && !json.Valid(data) {
			t.Fatalf("%q was taken", data)
		} else if !ok && reference(data) {
			t.Fatalf("%q was not taken", data)
		}
	})
}

func TestManyMembersStayCheap(t *testing.T) {
	var b strings.Builder
	for n := range 20000 {
		fmt.Fprintf(&b, `,"a%dz":0`, n) // one fingerprint for many
	}
	if !sound([]byte("{" + b.String()[1:] + "}")) {
		t.Error("an object of many members was refused")
	}
	if sound([]byte("{" + b.String()[1:] + `,"a77z":0}`)) {
		t.Error("a repetition among many members was not seen")
	}
}
