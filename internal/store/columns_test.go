package store

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"seawall/internal/tenant"
)

// FuzzPlainList: what the quick reader of lists takes, it reads as encoding/json does.
func FuzzPlainList(f *testing.F) {
	for _, text := range []string{`null`, `[]`, `["a"]`, `["a","b c"]`, `["a", "b"]`, `["a\"","b"]`, `["\u0041"]`, `[1]`, `["a",1,"b"]`, `["]`, `[""]`, `["",""]`, `["a"","b"]`, "[\"\n\"]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, plain := plainList(text)
		if !plain {
			return
		}
		want := []string{}
		if err := json.Unmarshal([]byte(text), &want); err == nil && !reflect.DeepEqual(list, want) {
			t.Fatalf("%q is read as %q, and means %q", text, list, want)
		}
		var again []string
		if err := (column{&again}).Scan(toJSON(list)); err != nil || !reflect.DeepEqual(again, list) {
			t.Fatalf("%q comes back as %q, %v", list, again, err)
		}
	})
}

// TestListJSON: lists are written as encoding/json writes them, the plain and the others.
func TestListJSON(t *testing.T) {
	lists := [][]string{nil, {}, {""}, {"", ""}, {"openid", "read"}}
	for r := rune(0); r < 0x3000; r++ {
		lists = append(lists, []string{"https://api.example/", string(r)})
	}
	for _, list := range append(lists, []string{"a\xff", "b"}) {
		if got, want := listJSON(list), toJSON(list); got != want {
			t.Errorf("%q is written %s, want %s", list, got, want)
		}
	}
}

func TestReleasedColumn(t *testing.T) {
	now := time.UnixMilli(1790000000123).UTC()
	for _, list := range [][]tenant.Released{{}, {{JTI: "a", ExpiresAt: now}}, {{JTI: "a-_B", ExpiresAt: now}, {JTI: "c", ExpiresAt: now.Add(time.Hour)}}} {
		var back []tenant.Released
		if err := (releasedColumn{&back}).Scan(released(list)); err != nil || !reflect.DeepEqual(back, list) {
			t.Errorf("%v came back as %v, %v", list, back, err)
		}
	}
	for _, wrong := range []any{"a", "a:b", "a:1 b", 7} {
		if err := (releasedColumn{new([]tenant.Released)}).Scan(wrong); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
}
