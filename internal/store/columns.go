package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// How values lie in columns: times as Unix milliseconds (null for the zero time), lists as JSON text.

func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func fromMillis(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

// toJSON encodes lists and maps of strings, and policies, all of which always encode.
func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("store: encoding a %T: %v", v, err))
	}
	return string(b)
}

// listJSON is toJSON for a list of strings, and quick where plainList is.
func listJSON(list []string) string {
	switch {
	case list == nil || slices.ContainsFunc(list, escapes):
		return toJSON(list)
	case len(list) == 0:
		return "[]"
	}
	return `["` + strings.Join(list, `","`) + `"]`
}

// escapes reports whether encoding/json would write something in text in another way.
func escapes(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r) })
}

// column scans JSON text into what it points to.
type column struct{ into any }

// Scan implements sql.Scanner.
func (c column) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("the database has %T where it should have JSON text", value)
	}
	if into, isList := c.into.(*[]string); isList {
		if list, plain := plainList(text); plain {
			*into = list
			return nil
		}
	}
	return json.Unmarshal([]byte(text), c.into)
}

// plainList reads a JSON list of strings that are printable ASCII without escapes, which nearly all are.
func plainList(text string) (list []string, ok bool) {
	switch {
	case text == "null":
		return nil, true
	case text == "[]":
		return []string{}, true
	case len(text) < 4 || text[:2] != `["` || text[len(text)-2:] != `"]` || strings.ContainsFunc(text, func(r rune) bool { return r == '\\' || r < ' ' || r > '~' }):
		return nil, false
	}
	list = strings.Split(text[2:len(text)-2], `","`)
	for _, one := range list {
		if strings.Contains(one, `"`) {
			return nil, false // spelled otherwise: with spaces, or of other things
		}
	}
	return list, true
}
