package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
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

// column scans JSON text into what it points to.
type column struct{ into any }

// Scan implements sql.Scanner.
func (c column) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("the database has %T where it should have JSON text", value)
	}
	return json.Unmarshal([]byte(text), c.into)
}
