package secret

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// LogHandler is the last wall before the log: it passes records on to the next handler with every credential that
// [Find] sees in messages, keys and values replaced, and counts them. The count must stay zero: a credential that gets
// here is a mistake in our code, so whoever runs the process shows [LogHandler.Leaks] as an alarm.
//
// Values of types that log handlers format themselves are looked at in both forms a handler may choose, text and JSON,
// and are replaced by their redacted text only if something was found.
type LogHandler struct {
	next  slog.Handler
	leaks *atomic.Uint64 // shared by all handlers derived from one
}

// NewLogHandler puts the wall in front of next.
func NewLogHandler(next slog.Handler) *LogHandler {
	return &LogHandler{next: next, leaks: new(atomic.Uint64)}
}

// Leaks returns how many credentials were kept out of the log so far, by this handler and all derived from it.
func (h *LogHandler) Leaks() uint64 { return h.leaks.Load() }

// Enabled asks the next handler.
func (h *LogHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle passes on a copy of the record that holds no credential.
func (h *LogHandler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, h.text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a))
		return true
	})
	return h.next.Handle(ctx, clean)
}

// WithAttrs redacts the attributes once, now.
func (h *LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &LogHandler{next: h.next.WithAttrs(h.attrs(attrs)), leaks: h.leaks}
}

// WithGroup opens a group in the next handler.
func (h *LogHandler) WithGroup(name string) slog.Handler {
	return &LogHandler{next: h.next.WithGroup(h.text(name)), leaks: h.leaks}
}

func (h *LogHandler) attrs(attrs []slog.Attr) []slog.Attr {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.attr(a)
	}
	return clean
}

func (h *LogHandler) attr(a slog.Attr) slog.Attr {
	return slog.Attr{Key: h.text(a.Key), Value: h.value(a.Value.Resolve())}
}

func (h *LogHandler) value(v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(h.text(v.String()))
	case slog.KindGroup:
		return slog.GroupValue(h.attrs(v.Group())...)
	case slog.KindAny:
		return h.any(v)
	}
	return v // numbers, booleans and times hold no credential
}

func (h *LogHandler) any(v slog.Value) slog.Value {
	x := v.Any()
	if b, ok := x.([]byte); ok { // the JSON handler would encode it, out of the scanner's sight
		return slog.StringValue(h.text(string(b)))
	}
	text := fmt.Sprintf("%+v", x)
	if clean := h.text(text); clean != text {
		return slog.StringValue(clean)
	}
	if _, isError := x.(error); isError {
		return v // every handler prints an error by its text
	}
	encoded, err := encode(x)
	if err != nil {
		return slog.StringValue(text) // the handler would fail in the same way; its text was clean
	}
	if clean := h.text(string(encoded)); clean != string(encoded) {
		return slog.StringValue(clean)
	}
	return v
}

// encode is json.Marshal, except that a MarshalJSON method that panics spoils one value and not the process.
func encode(x any) (b []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("encoding a %T for the log: its method panicked", x)
		}
	}()
	return json.Marshal(x)
}

func (h *LogHandler) text(s string) string {
	found := find(s)
	if len(found) == 0 {
		return s
	}
	h.leaks.Add(uint64(len(found)))
	return replace(s, found)
}
