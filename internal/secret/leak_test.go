package secret

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"log"
	"log/slog"
	"strings"
	"testing"
	"text/template"
)

// The matrix proves that no printer or encoder gets a credential out of Text, wherever it is placed. The same matrix
// over a plain string must leak, or it proves nothing.

type exportedField[T any] struct{ Credential T }
type unexportedField[T any] struct{ credential T }
type unexportedPointer[T any] struct{ credential *T }
type unexportedMap[T any] struct{ credentials map[string]T }
type unexportedInterface[T any] struct{ credential any }
type embedded[T any] struct{ exportedField[T] }

func placements[T any](v T) map[string]any {
	return map[string]any{
		"top":                  v,
		"pointer":              &v,
		"exported field":       exportedField[T]{v},
		"pointer to struct":    &exportedField[T]{v},
		"unexported field":     unexportedField[T]{v},
		"pointer to that":      &unexportedField[T]{v},
		"unexported pointer":   unexportedPointer[T]{&v},
		"unexported map":       unexportedMap[T]{map[string]T{"k": v}},
		"unexported interface": unexportedInterface[T]{v},
		"embedded":             embedded[T]{exportedField[T]{v}},
		"slice":                []T{v},
		"array":                [1]T{v},
		"map":                  map[string]T{"k": v},
		"interface slice":      []any{v},
		"nested":               map[string]any{"a": []any{&unexportedField[T]{v}, exportedField[T]{v}}},
	}
}

// sinks lists everything in the standard library that a careless line of ours could hand a value to.
func sinks() map[string]func(w io.Writer, v any) {
	all := map[string]func(w io.Writer, v any){
		"print":   func(w io.Writer, v any) { fmt.Fprint(w, v) },
		"println": func(w io.Writer, v any) { fmt.Fprintln(w, v) },
		"errorf":  func(w io.Writer, v any) { fmt.Fprint(w, fmt.Errorf("failed: %w", fmt.Errorf("with %v", v))) },
		"log":     func(w io.Writer, v any) { log.New(w, "", 0).Print(v) },
		"slog text": func(w io.Writer, v any) {
			slog.New(slog.NewTextHandler(w, nil)).Info("m", "v", v)
		},
		"slog json": func(w io.Writer, v any) {
			slog.New(slog.NewJSONHandler(w, nil)).Info("m", "v", v)
		},
		"slog group": func(w io.Writer, v any) {
			slog.New(slog.NewJSONHandler(w, nil)).With("w", v).Info("m", slog.Group("g", "v", v))
		},
		"json":          func(w io.Writer, v any) { _ = json.NewEncoder(w).Encode(v) },
		"json map key":  func(w io.Writer, v any) { _ = json.NewEncoder(w).Encode(map[string]any{fmt.Sprint(v): v}) },
		"xml":           func(w io.Writer, v any) { _ = xml.NewEncoder(w).Encode(v) },
		"gob":           func(w io.Writer, v any) { _ = gob.NewEncoder(w).Encode(v) },
		"text template": func(w io.Writer, v any) { _ = textTemplate.Execute(w, v) },
		"html template": func(w io.Writer, v any) { _ = htmlTemplate.Execute(w, v) },
		"panic":         printPanic,
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%c", "%U", "%e", "%t", "%p", "%T", "%w", "%z", "%10.3s", "%-40v", "%#q", "%#x"} {
		all[verb] = func(w io.Writer, v any) { fmt.Fprintf(w, verb, v) }
	}
	return all
}

var (
	textTemplate = template.Must(template.New("").Parse(`{{.}} {{printf "%v %#v" . .}} {{js .}}`))
	htmlTemplate = htmltemplate.Must(htmltemplate.New("").Parse(`<p title="{{.}}">{{.}}</p><script>let x = {{.}}</script>`))
)

func printPanic(w io.Writer, v any) {
	defer func() { fmt.Fprint(w, recover()) }()
	panic(fmt.Errorf("%v", v))
}

// leaks counts the pairs of sink and placement that show the canary in clear, in hex or as a list of its bytes.
func leaks(canary string, placed map[string]any) (pairs []string) {
	forms := []string{
		canary,
		fmt.Sprintf("%x", canary),
		fmt.Sprintf("%X", canary),
		fmt.Sprintf("% x", canary),
		strings.Trim(fmt.Sprint([]byte(canary)), "[]"),
	}
	for sinkName, sink := range sinks() {
		for placeName, v := range placed {
			var out bytes.Buffer
			sink(&out, v)
			for _, form := range forms {
				if strings.Contains(out.String(), form) {
					pairs = append(pairs, sinkName+" / "+placeName)
					break
				}
			}
		}
	}
	return pairs
}

func TestTextNeverPrints(t *testing.T) {
	canary := Generate(ClientSecret, Production).Reveal()
	if pairs := leaks(canary, placements(New(canary))); len(pairs) > 0 {
		t.Errorf("%d pairs of sink and placement leak a Text:\n%s", len(pairs), strings.Join(pairs, "\n"))
	}
	control := leaks(canary, placements(canary))
	if len(control) < 250 {
		t.Errorf("only %d pairs leak a plain string: the matrix no longer looks where secrets come out", len(control))
	}
	t.Logf("plain string leaks through %d pairs, Text through none", len(control))
}

// A named string with all the redacting methods is what people write first. It must leak here, or the matrix does not
// cover the reason for the closure.
type namedString string

func (namedString) String() string               { return Redacted }
func (namedString) GoString() string             { return Redacted }
func (namedString) Format(s fmt.State, _ rune)   { _, _ = io.WriteString(s, Redacted) }
func (namedString) LogValue() slog.Value         { return slog.StringValue(Redacted) }
func (namedString) MarshalJSON() ([]byte, error) { return []byte(`"x"`), nil }
func (namedString) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

func TestRedactingMethodsAloneLeak(t *testing.T) {
	canary := Generate(ClientSecret, Production).Reveal()
	if pairs := leaks(canary, placements(namedString(canary))); len(pairs) == 0 {
		t.Error("a named string does not leak any more; the matrix misses unexported fields")
	}
}

func TestTextSaysRedacted(t *testing.T) {
	v := New("hunter2")
	for name, got := range map[string]string{
		"%v": fmt.Sprintf("%v", v), "%#v": fmt.Sprintf("%#v", v), "%s": fmt.Sprintf("%s", v), "%x": fmt.Sprintf("%x", v),
		"String": v.String(), "GoString": v.GoString(), "LogValue": v.LogValue().String(),
	} {
		if got != Redacted {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if b, err := json.Marshal(map[string]any{"v": v}); err != nil || string(b) != `{"v":"[redacted]"}` {
		t.Errorf("json: %s, %v", b, err)
	}
	if b, err := xml.Marshal(exportedField[Text]{v}); err != nil || !strings.Contains(string(b), ">[redacted]<") {
		t.Errorf("xml: %s, %v", b, err)
	}
}

// Reading a credential back from a document would make a Text that nobody checked.
func TestTextDoesNotUnmarshal(t *testing.T) {
	var v exportedField[Text]
	err := json.Unmarshal([]byte(`{"Credential":"hunter2"}`), &v)
	var typeError *json.UnmarshalTypeError
	if !errors.As(err, &typeError) {
		t.Fatalf("got %v, want a type error", err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error tells the value: %v", err)
	}
}
