package look

import (
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestLanguage(t *testing.T) {
	for header, want := range map[string]string{
		"": "en", "de": "de", "de-AT,de;q=0.9,en;q=0.5": "de", "en-GB,en;q=0.9,de;q=0.8": "en", "fr,de;q=0.3": "de", "fr": "en",
		"en;q=0.2,de;q=0.3": "de", "de;q=0": "en", "de;q=nonsense": "en", "DE": "de", "de;q=2": "en", "*": "en", ",,;;": "en",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", header)
		if got := Language(r); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func FuzzLanguage(f *testing.F) {
	f.Add("de-AT,de;q=0.9,en;q=0.5")
	f.Add(strings.Repeat("de;q=1,", 1000))
	f.Fuzz(func(t *testing.T, header string) {
		r := &http.Request{Header: http.Header{"Accept-Language": {header}}}
		if !slices.Contains(Languages(), Language(r)) {
			t.Error("it is none of ours")
		}
	})
}

// everyWord is both tables together. A key is in one of them.
func everyWord() map[string]line {
	all := maps.Clone(words)
	maps.Copy(all, consoleWords)
	return all
}

var verbs = regexp.MustCompile(`%[a-z]`)

// TestWordsAreThereInEachLanguage: nothing is said in one language only, and what is filled in fits both.
func TestWordsAreThereInEachLanguage(t *testing.T) {
	for key, line := range everyWord() {
		if line.en == "" || line.de == "" {
			t.Errorf("%s: a language is missing", key)
		}
		if en, de := verbs.FindAllString(line.en, -1), verbs.FindAllString(line.de, -1); !slices.Equal(en, de) {
			t.Errorf("%s: English wants %v, German %v", key, en, de)
		}
	}
}

var uses = regexp.MustCompile(`"((?:frame|script|signin|front|enrol|account|agree|logout|out|problem|console)\.[a-z]+)"`)

// TestEveryWordIsUsed keeps the table free of what nobody says any more. Problems and times are named by their parts.
func TestEveryWordIsUsed(t *testing.T) {
	used := map[string]bool{}
	for _, pattern := range []string{"files/*.html", "../login/pages/*.html", "../login/*.go", "../authorize/pages/*.html", "../authorize/*.go", "../console/pages/*.html", "../console/*.go"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range uses.FindAllStringSubmatch(string(text), -1) {
				used[m[1]] = true
			}
		}
	}
	for key := range everyWord() {
		if !used[key] && strings.Count(key, ".") == 1 && !strings.HasPrefix(key, "ago.") && !strings.HasPrefix(key, "in.") {
			t.Errorf("nobody says %s", key)
		}
	}
	for key := range used {
		if _, ok := everyWord()[key]; !ok {
			t.Errorf("there are no words for %s", key)
		}
	}
}

func TestTimes(t *testing.T) {
	now := time.Date(2026, 11, 28, 14, 15, 0, 0, time.UTC)
	for since, want := range map[time.Duration][2]string{
		0: {"just now", "gerade eben"}, time.Minute: {"1 minute ago", "vor 1 Minute"}, 90 * time.Minute: {"1 hour ago", "vor 1 Stunde"},
		47 * time.Hour: {"47 hours ago", "vor 47 Stunden"}, 72 * time.Hour: {"3 days ago", "vor 3 Tagen"}, -12 * time.Minute: {"in 12 minutes", "in 12 Minuten"},
	} {
		for i, lang := range Languages() {
			if got := ago(lang, now.Add(-since), now); got != want[i] {
				t.Errorf("%s %v: %q, want %q", lang, since, got, want[i])
			}
		}
	}
	if en, de := date("en", now), date("de", now); en != "28 November 2026, 14:15 UTC" || de != "28. November 2026, 14:15 UTC" {
		t.Errorf("%q, %q", en, de)
	}
}

func testBook(t *testing.T) *Book {
	t.Helper()
	b, err := New("/x/assets/", fstest.MapFS{"one.html": {Data: []byte(`{{define "content"}}<h1>{{title .}}</h1>{{.Data}}{{end}}`)}, "one.js": {Data: []byte("1")}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRender(t *testing.T) {
	b := testBook(t)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Language", "de")
	w := httptest.NewRecorder()
	if err := b.Render(w, r, 418, "one", Page{Title: "signin.title", Args: []any{"<acme>"}, Script: "one.js", Data: "<script>"}); err != nil {
		t.Fatal(err)
	}
	body := w.Body.String()
	for _, want := range []string{`<html lang="de">`, "Bei &lt;acme&gt; anmelden", "&lt;script&gt;", `<script src="/x/assets/one.`} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in\n%s", want, body)
		}
	}
	if w.Code != 418 || w.Header().Get("Content-Language") != "de" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for name, p := range map[string]Page{"none": {Title: "signin.title"}, "one": {Title: "no.such.words"}} {
		w := httptest.NewRecorder()
		if err := b.Render(w, r, 200, name, p); err == nil || w.Body.Len() > 0 {
			t.Errorf("%s: half a page was written", name)
		}
	}
}

// TestAssets: a name holds the hash of what is in it, so it may be kept for good.
func TestAssets(t *testing.T) {
	b := testBook(t)
	if n := len(b.Assets()); n != 3 {
		t.Errorf("%d assets: %v", n, b.Assets())
	}
	for _, url := range b.Assets() {
		w := httptest.NewRecorder()
		if !b.ServeAsset(w, httptest.NewRequest("GET", url, nil)) || w.Body.Len() == 0 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %v", url, w.Header())
		}
	}
	for _, url := range []string{"/x/assets/", "/x/assets/one.js", "/x/assets/../look.css", "/assets/look.css"} {
		if b.ServeAsset(httptest.NewRecorder(), httptest.NewRequest("GET", url, nil)) {
			t.Errorf("%s is served", url)
		}
	}
}

// TestNothingComesFromElsewhere reads our own files: no address of another host, no inline script or style.
func TestNothingComesFromElsewhere(t *testing.T) {
	err := fs.WalkDir(own, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(own, path)
		if clean := strings.ReplaceAll(string(text), "http://www.w3.org/2000/svg", ""); strings.Contains(clean, "//") && strings.Contains(clean, "http") || strings.Contains(clean, "@import") || strings.Contains(clean, "url(") {
			t.Errorf("%s loads something", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMarkedText(t *testing.T) {
	for text, want := range map[string]string{
		"run `seawall tenant complete acme` <now>": `run <code class="copy">seawall tenant complete acme</code> &lt;now&gt;`,
		"`<b>`": `<code class="copy">&lt;b&gt;</code>`,
		"plain": "plain",
	} {
		if got := string(marked(text)); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}
