package secret

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
)

// KeptOut is the attribute of a record out of which credentials were kept: how many.
const KeptOut = "credentials_kept_out"

// LogHandler is the last wall before the log: it passes records on to the next handler with every credential that
// [Find] sees in messages, keys and values replaced. A credential that gets here is a mistake in our code, so a record that
// had any says so under [KeptOut], for whoever watches the log.
//
// Values of types that log handlers format themselves are looked at in both forms a handler may choose, text and JSON,
// and are replaced by their redacted text only if something was found.
type LogHandler struct {
	next slog.Handler
	kept int // out of what With and WithGroup were given
}

// NewLogHandler puts the wall in front of next.
func NewLogHandler(next slog.Handler) *LogHandler { return &LogHandler{next: next} }

// Enabled asks the next handler.
func (h *LogHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle passes on a copy of the record that holds no credential.
func (h *LogHandler) Handle(ctx context.Context, r slog.Record) error {
	w := &washer{h.kept}
	clean := slog.NewRecord(r.Time, r.Level, w.text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(w.attr(a))
		return true
	})
	if w.kept > 0 {
		clean.AddAttrs(slog.Int(KeptOut, w.kept))
	}
	return h.next.Handle(ctx, clean)
}

// WithAttrs redacts the attributes once, now.
func (h *LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	w := &washer{h.kept}
	next := h.next.WithAttrs(w.attrs(attrs))
	return &LogHandler{next, w.kept}
}

// WithGroup opens a group in the next handler.
func (h *LogHandler) WithGroup(name string) slog.Handler {
	w := &washer{h.kept}
	next := h.next.WithGroup(w.text(name))
	return &LogHandler{next, w.kept}
}

// washer replaces credentials, and counts them.
type washer struct{ kept int }

func (w *washer) attrs(attrs []slog.Attr) []slog.Attr {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = w.attr(a)
	}
	return clean
}

func (w *washer) attr(a slog.Attr) slog.Attr {
	return slog.Attr{Key: w.text(a.Key), Value: w.value(a.Value.Resolve())}
}

func (w *washer) value(v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(w.text(v.String()))
	case slog.KindGroup:
		return slog.GroupValue(w.attrs(v.Group())...)
	case slog.KindAny:
		return w.any(v)
	}
	return v // numbers, booleans and times hold no credential
}

func (w *washer) any(v slog.Value) slog.Value {
	x := v.Any()
	if b, ok := x.([]byte); ok { // the JSON handler would encode it, out of the scanner's sight
		return slog.StringValue(w.text(string(b)))
	}
	text := fmt.Sprintf("%+v", x)
	if clean := w.text(text); clean != text {
		return slog.StringValue(clean)
	}
	if _, isError := x.(error); isError {
		return v // every handler prints an error by its text
	}
	encoded, err := encode(x)
	if err != nil {
		return slog.StringValue(text) // the handler would fail in the same way; its text was clean
	}
	if clean := w.text(string(encoded)); clean != string(encoded) {
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

func (w *washer) text(s string) string {
	found := find(s)
	if len(found) == 0 {
		return s
	}
	w.kept += len(found)
	return replace(s, found)
}
