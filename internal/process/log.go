package process

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"seawall/internal/secret"
)

// Log is the log of the process that name names: lines to read where a person sits at a terminal, and JSON everywhere else.
// Neither holds a credential.
func Log(stderr io.Writer, name string) *slog.Logger {
	if Terminal(stderr) {
		return slog.New(secret.NewLogHandler(newLines(stderr, name)))
	}
	return slog.New(secret.NewLogHandler(slog.NewJSONHandler(stderr, nil))).With("process", name)
}

// Terminal reports whether a person sits at the other end of a stream.
func Terminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && isTerminal(file)
}

// lines writes one line a record: when, who, how bad if it is, what, and the details in the way of [slog.TextHandler].
type lines struct {
	details slog.Handler // writes into text
	text    *bytes.Buffer
	mu      *sync.Mutex // guards text
	out     io.Writer
	name    string
}

func newLines(out io.Writer, name string) *lines {
	text := new(bytes.Buffer)
	details := slog.NewTextHandler(text, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{} // the line begins with them
		}
		return a
	}})
	return &lines{details, text, new(sync.Mutex), out, name}
}

// Enabled asks the handler of the details.
func (l *lines) Enabled(ctx context.Context, level slog.Level) bool {
	return l.details.Enabled(ctx, level)
}

// Handle writes a record at once, because other processes write to the same terminal.
func (l *lines) Handle(ctx context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
	if err := l.details.Handle(ctx, r); err != nil {
		return err
	}
	level := ""
	if r.Level != slog.LevelInfo {
		level = r.Level.String() + " "
	}
	line := fmt.Appendf(nil, "%s %-10s %s%s", r.Time.Format("15:04:05"), l.name, level, r.Message)
	if details := bytes.TrimSpace(l.text.Bytes()); len(details) > 0 {
		line = fmt.Appendf(line, "  %s", details)
	}
	_, err := l.out.Write(append(line, '\n'))
	return err
}

// WithAttrs returns lines that end with the attributes, too.
func (l *lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	other := *l
	other.details = l.details.WithAttrs(attrs)
	return &other
}

// WithGroup returns lines whose further details are in the group.
func (l *lines) WithGroup(name string) slog.Handler {
	other := *l
	other.details = l.details.WithGroup(name)
	return &other
}
