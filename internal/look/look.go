// Package look is how seawall looks and speaks in a browser: one style sheet, the frame around every page, the mark and
// the icons, the words in each language, and the headers that keep a page to itself.
//
// A room that has pages gives its templates to [New] and gets a [Book] back. Every page is rendered on the server and is
// whole without a script; scripts and styles come from our own origin under names that hold their hash, so they are kept
// for good and nothing else can be run or loaded. The words are a table with one line for each thing we say, see words.go.
//
// The package knows nothing of tenants or people: what a page shows is given to it.
package look

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed files
var own embed.FS

// Book is a set of pages, in every language.
type Book struct {
	prefix string // of the paths of assets
	assets map[string]asset
	pages  map[string]map[string]*template.Template // by language, then by name
}

// asset is a file that pages load.
type asset struct {
	url, kind string
	body      []byte
}

// kinds are the content types of assets by the end of their names.
var kinds = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// New makes a book of the pages (*.html) and the assets in files, together with our own. Assets are served below prefix.
// The files are part of the program, so a mistake in one is found by any test that opens the book. pieces are further
// functions of the templates, for each language.
func New(prefix string, files fs.FS, pieces ...func(Speaker) template.FuncMap) (*Book, error) {
	b := &Book{prefix: prefix, assets: map[string]asset{}, pages: map[string]map[string]*template.Template{}}
	base, err := fs.Sub(own, "files")
	if err != nil {
		return nil, err
	}
	for _, from := range []fs.FS{base, files} {
		if err := b.addAssets(from); err != nil {
			return nil, err
		}
	}
	for _, lang := range Languages() {
		names, err := fs.Glob(base, "*.html")
		if err != nil {
			return nil, err
		}
		frame := template.New("frame").Funcs(b.words(Speaker{lang}))
		for _, more := range pieces {
			frame.Funcs(more(Speaker{lang}))
		}
		if err := b.parse(frame, Speaker{lang}, base, names...); err != nil {
			return nil, fmt.Errorf("the frame of pages: %w", err)
		}
		if b.pages[lang], err = b.pagesOf(frame, Speaker{lang}, files); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *Book) addAssets(files fs.FS) error {
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		kind := kinds[path.Ext(name)]
		if err != nil || d.IsDir() || kind == "" {
			return err
		}
		body, err := fs.ReadFile(files, name)
		sum := sha256.Sum256(body)
		ext := path.Ext(name)
		hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
		b.assets[name] = asset{b.prefix + hashed, kind, body}
		return err
	})
}

// settled are calls whose answers are the same in every rendering: for words, for the address of an asset, for the language.
var settled = regexp.MustCompile(`\{\{(?:(t|asset) "([a-z.]+)"|lang)\}\}`)

// parse adds files to a template. What never changes is put in here, once, and not in each rendering: that is most of what a
// page does.
func (b *Book) parse(t *template.Template, s Speaker, files fs.FS, names ...string) error {
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		var unknown error
		whole := settled.ReplaceAllStringFunc(string(text), func(call string) string {
			answer, err := s.lang, error(nil)
			switch parts := settled.FindStringSubmatch(call); parts[1] {
			case "t":
				answer, err = s.Say(parts[2])
			case "asset":
				answer, err = b.url(parts[2])
			}
			unknown = errors.Join(unknown, err)
			return template.HTMLEscapeString(answer)
		})
		if _, err := t.New(name).Parse(whole); err != nil || unknown != nil {
			return errors.Join(err, unknown)
		}
	}
	return nil
}

// pagesOf parses each page by itself on top of the frame, so that pages can't see each other's blocks. What several pages
// of a room share is in files whose names begin with an underscore.
func (b *Book) pagesOf(frame *template.Template, s Speaker, files fs.FS) (map[string]*template.Template, error) {
	names, err := fs.Glob(files, "*.html")
	if err != nil {
		return nil, err
	}
	if shared, err := fs.Glob(files, "_*.html"); err == nil && len(shared) > 0 {
		if err := b.parse(frame, s, files, shared...); err != nil {
			return nil, fmt.Errorf("what pages share: %w", err)
		}
	}
	pages := map[string]*template.Template{}
	for _, name := range names {
		if strings.HasPrefix(name, "_") {
			continue
		}
		page, err := frame.Clone()
		if err == nil {
			err = b.parse(page, s, files, name)
		}
		if err != nil {
			return nil, fmt.Errorf("the page %s: %w", name, err)
		}
		pages[strings.TrimSuffix(name, ".html")] = page
	}
	return pages, nil
}

// words are the functions that templates have.
func (b *Book) words(s Speaker) template.FuncMap {
	return template.FuncMap{
		"t":      s.Say,
		"words":  func(key string, args []any) (string, error) { return s.Say(key, args...) },
		"title":  func(p Page) (string, error) { return s.Say(p.Title, p.Args...) },
		"asset":  b.url,
		"marked": marked,
		"date":   s.Date,
		"ago":    s.Ago,
		"clock":  func(t time.Time) string { return t.UTC().Format("15:04:05 UTC") },
		"iso":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}
}

// marked is text in which commands stand between backticks, as on the command line.
func marked(text string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		if part = template.HTMLEscapeString(part); i%2 == 1 {
			part = `<code class="copy">` + part + `</code>`
		}
		b.WriteString(part)
	}
	return template.HTML(b.String())
}

// url is where an asset is served.
func (b *Book) url(name string) (string, error) {
	a, ok := b.assets[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %s", name)
	}
	return a.url, nil
}

// Page is what the frame around a page needs; a page's own data is in Data.
type Page struct {
	Title  string // the key of its words
	Args   []any  // of the title
	Place  string // whose page it is, shown beside the mark; may be empty
	Home   string // path of the pages' root, such as /acme
	Wide   bool   // for pages with tables
	Script string // the one script of the page; may be empty
	Style  string // a style sheet besides the common one; may be empty
	FormTo string // another origin, or scheme, that a form of the page may lead to by way of us; may be empty
	Data   any
}

// usualPage is the size that nearly every page has room in, so that it is written into one piece of memory.
const usualPage = 16 << 10

// Render writes a page in the language that the reader asks for.
func (b *Book) Render(w http.ResponseWriter, r *http.Request, status int, name string, p Page) error {
	lang := Language(r)
	page := b.pages[lang][name]
	if page == nil {
		return fmt.Errorf("there is no page %s", name)
	}
	var body bytes.Buffer
	body.Grow(usualPage)
	if err := page.ExecuteTemplate(&body, "page", p); err != nil {
		return fmt.Errorf("rendering the page %s: %w", name, err)
	}
	h := w.Header()
	Guard(h)
	if p.FormTo != "" { // browsers hold form-action against where we send them after a form, too
		h.Set("Content-Security-Policy", strings.Replace(policy, formAction, formAction+" "+p.FormTo, 1))
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", lang)
	h.Set("Vary", "Accept-Language")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // who hung up does not need it
	return nil
}

// policy is the Content-Security-Policy of every page, and formAction the part of it that says where forms may lead.
const (
	formAction = "form-action 'self'"
	policy     = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " + formAction +
		"; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

// guards are the headers of every page by their canonical names. All answers share the values, which net/http only reads.
var guards = []struct {
	name  string
	value []string
}{
	{"Content-Security-Policy", []string{policy}},
	{"X-Frame-Options", []string{"DENY"}},
	{"X-Content-Type-Options", []string{"nosniff"}},
	{"Referrer-Policy", []string{"same-origin"}}, // without a Referer to ourselves, some browsers send no Origin either
	{"Cross-Origin-Opener-Policy", []string{"same-origin"}},
	{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
	{"Permissions-Policy", []string{"publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()"}},
	{"Cache-Control", []string{"no-store"}},
}

// Guard sets the headers of every page: nothing from elsewhere is loaded, run, framed or posted to, no script can make
// markup out of text, nothing is kept by a cache, and other origins learn nothing.
func Guard(h http.Header) {
	for i := range guards {
		h[guards[i].name] = guards[i].value
	}
}

// ServeAsset answers a request for an asset, and reports whether the path below the prefix names one.
func (b *Book) ServeAsset(w http.ResponseWriter, r *http.Request) bool {
	for _, a := range b.assets {
		if a.url != r.URL.Path {
			continue
		}
		h := w.Header()
		h.Set("Content-Type", a.kind)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "public, max-age=31536000, immutable") // another body has another name
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
		_, _ = w.Write(a.body)
		return true
	}
	return false
}

// Assets lists the paths of all assets.
func (b *Book) Assets() []string {
	var urls []string
	for _, name := range slices.Sorted(maps.Keys(b.assets)) {
		urls = append(urls, b.assets[name].url)
	}
	return urls
}
