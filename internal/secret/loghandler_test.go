package secret

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

type describes struct{ text string }

func (d describes) String() string { return d.text }

type marshals struct{ text string }

func (marshals) String() string                 { return "harmless" }
func (m marshals) MarshalJSON() ([]byte, error) { return []byte(`{"t":"` + m.text + `"}`), nil }

type resolves struct{ text string }

func (r resolves) LogValue() slog.Value { return slog.GroupValue(slog.String("inner", r.text)) }

type breaks struct{}

func (breaks) MarshalJSON() ([]byte, error) { panic("no") }

func TestLogHandlerRedactsAndSaysSo(t *testing.T) {
	leaks := map[string]func(l *slog.Logger, s string){
		"message":        func(l *slog.Logger, s string) { l.Info("got " + s) },
		"string":         func(l *slog.Logger, s string) { l.Info("m", "k", s) },
		"key":            func(l *slog.Logger, s string) { l.Info("m", s, 1) },
		"error":          func(l *slog.Logger, s string) { l.Info("m", "err", errors.New("refused "+s)) },
		"bytes":          func(l *slog.Logger, s string) { l.Info("m", "k", []byte(s)) },
		"strings":        func(l *slog.Logger, s string) { l.Info("m", "k", []string{"a", s}) },
		"struct":         func(l *slog.Logger, s string) { l.Info("m", "k", unexportedField[string]{s}) },
		"struct pointer": func(l *slog.Logger, s string) { l.Info("m", "k", &exportedField[string]{s}) },
		"map":            func(l *slog.Logger, s string) { l.Info("m", "k", map[string]any{"x": s}) },
		"stringer":       func(l *slog.Logger, s string) { l.Info("m", "k", describes{s}) },
		"marshaler":      func(l *slog.Logger, s string) { l.Info("m", "k", marshals{s}) },
		"log valuer":     func(l *slog.Logger, s string) { l.Info("m", "k", resolves{s}) },
		"group":          func(l *slog.Logger, s string) { l.Info("m", slog.Group("g", slog.Group("h", "k", s))) },
		"with":           func(l *slog.Logger, s string) { l.With("k", s).Info("m") },
		"with group":     func(l *slog.Logger, s string) { l.WithGroup(s).Info("m", "k", 1) },
		"group then":     func(l *slog.Logger, s string) { l.WithGroup("g").With("a", 1).Info("m", "k", s) },
		"url":            func(l *slog.Logger, s string) { l.Info("m", "k", &url.URL{Path: "/", RawQuery: "t=" + s}) },
		"header":         func(l *slog.Logger, s string) { l.Info("m", "k", http.Header{"X": {s}}) },
		"context":        func(l *slog.Logger, s string) { l.InfoContext(context.Background(), "m", "k", s) },
	}
	outputs := map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	}
	for output, open := range outputs {
		for name, leak := range leaks {
			var plain, clean bytes.Buffer
			leak(slog.New(open(&plain)), exampleSecret)
			leak(slog.New(NewLogHandler(open(&clean))), exampleSecret)
			escapes := output == "text" && name == "marshaler" || output == "json" && (name == "bytes" || name == "stringer" || name == "struct")
			if !escapes && !strings.Contains(plain.String(), exampleSecret) {
				t.Errorf("%s, %s: the control without the wall does not leak: %s", output, name, plain.String())
			}
			if strings.Contains(clean.String(), exampleSecret[9:]) || !strings.Contains(clean.String(), Redacted) {
				t.Errorf("%s, %s: logged %s", output, name, clean.String())
			}
			if !strings.Contains(clean.String(), KeptOut+"=1") && !strings.Contains(clean.String(), `"`+KeptOut+`":1`) {
				t.Errorf("%s, %s: it does not say that it kept one out: %s", output, name, clean.String())
			}
		}
	}
}

func TestLogHandlerLeavesCleanRecordsAlone(t *testing.T) {
	var plain, walled bytes.Buffer
	noTime := &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && groups == nil {
			return slog.Attr{}
		}
		return a
	}}
	h := NewLogHandler(slog.NewJSONHandler(&walled, noTime))
	for _, l := range []*slog.Logger{slog.New(slog.NewJSONHandler(&plain, noTime)), slog.New(h)} {
		l.Info("below the level")
		l = l.With("tenant", "acme").WithGroup("request")
		l.Warn("refused", "status", 401, "ok", false, "err", errors.New("no"), "list", []int{1, 2},
			slog.Group("g", "x", 1.5), "secret", New(exampleSecret), "value", marshals{"x"}, "nothing", nil)
	}
	if plain.String() != walled.String() {
		t.Errorf("the wall changed a clean record:\n%s%s", plain.String(), walled.String())
	}
}

func TestLogHandlerSurvivesAMethodThatPanics(t *testing.T) {
	var out bytes.Buffer
	slog.New(NewLogHandler(slog.NewTextHandler(&out, nil))).Info("still here", "k", breaks{})
	if !strings.Contains(out.String(), "still here") {
		t.Errorf("logged %q", out.String())
	}
}

func TestLogHandlerCountsWhatItWasGivenBefore(t *testing.T) {
	var out bytes.Buffer
	h := slog.New(NewLogHandler(slog.NewTextHandler(&out, nil)))
	child := h.With("k", exampleSecret)
	for _, c := range []struct {
		log  func()
		want string
	}{
		{func() { child.Info(exampleSecret + " and " + exampleSecret) }, KeptOut + "=3\n"},
		{func() { child.Info("m") }, KeptOut + "=1\n"},
		{func() { h.Info("m") }, "msg=m\n"},
	} {
		out.Reset()
		if c.log(); !strings.HasSuffix(out.String(), c.want) {
			t.Errorf("logged %s, want %s at the end", out.String(), c.want)
		}
	}
}
