package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"seawall/internal/testenv"
)

// gallery looks at pages in both languages, both themes and three widths, keeps pictures of them in .work/screens, and lets
// axe look for what a person with a screen reader or a keyboard would stumble over.
type gallery struct {
	*tab
	dir, axe string
	seen     []string // paths of pages that were looked at and were no problem
}

func newGallery(b *tab) *gallery {
	b.t.Helper()
	g := &gallery{tab: b, dir: filepath.Join(testenv.Root(b.t), ".work/screens"), axe: axeSource(b.t)}
	b.must(os.MkdirAll(g.dir, 0o755))
	return g
}

// look lets open bring a page up once in each language, and looks at it.
func (g *gallery) look(name string, open func()) {
	g.t.Helper()
	for _, lang := range []string{"en", "de"} {
		g.language(lang)
		g.view("light", 1280)
		open()
		g.must(chromedp.Do(g.within(), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error { // by way of the debugger, which the page's policy does not bind
			_, err := chromedp.Evaluate[bool]("("+"() => {"+g.axe+"; return true})()")(ctx, t)
			return err
		})))
		if eval[float64](g.tab, `performance.getEntriesByType("navigation")[0].responseStatus`) == http.StatusOK {
			g.seen = append(g.seen, eval[string](g.tab, "location.pathname"))
		}
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{360, 768, 1280} {
				view := fmt.Sprintf("%s-%s-%s-%d", name, lang, theme, width)
				g.view(theme, width)
				if lang == "en" || theme == "light" && width == 360 { // German is longer, which shows where there is least room
					g.picture(filepath.Join(g.dir, view+".png"))
				}
				if eval[bool](g.tab, "document.documentElement.scrollWidth > innerWidth") {
					g.t.Errorf("%s is wider than its window", view)
				}
				if width != 768 {
					g.examine(view)
				}
			}
		}
	}
	g.language("en")
}

// view is what the page is seen with.
func (g *gallery) view(theme string, width int64) {
	g.t.Helper()
	call(g.tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	call(g.tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 800, DeviceScaleFactor: 1})
}

// examine lets axe look at the page as it is.
func (g *gallery) examine(view string) {
	g.t.Helper()
	report := eval[string](g.tab, `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"]}).then((r) => JSON.stringify({passes: r.passes.length, violations: r.violations.map((v) => v.id + ": " + v.help + " " + v.nodes.map((n) => n.html).join(" ").slice(0, 300))}))`)
	var r struct {
		Passes     int
		Violations []string
	}
	if err := json.Unmarshal([]byte(report), &r); err != nil || r.Passes == 0 {
		g.t.Fatalf("axe: %v\n%s", err, report)
	}
	for _, v := range r.Violations {
		g.t.Errorf("%s: %s", view, v)
	}
}

// saw checks that the gallery has all pages of a room, by the patterns that the room itself has.
func (g *gallery) saw(root string, pages []string) {
	g.t.Helper()
	rooms, missing := http.NewServeMux(), map[string]bool{}
	for _, path := range pages {
		rooms.Handle(root+path, http.NotFoundHandler())
		missing[root+path] = true
	}
	for _, path := range g.seen {
		r, err := http.NewRequest("GET", path, nil)
		g.must(err)
		_, pattern := rooms.Handler(r)
		delete(missing, pattern)
	}
	for pattern := range missing {
		g.t.Errorf("nobody has looked at %s", pattern)
	}
}

// picture keeps the whole page.
func (b *tab) picture(path string) {
	b.t.Helper()
	height := eval[float64](b, "Math.max(document.documentElement.scrollHeight, innerHeight)")
	width := eval[float64](b, "innerWidth")
	shot := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: ptr(true), Clip: &page.Viewport{Width: width, Height: height, Scale: 1}})
	b.must(os.WriteFile(path, shot.Data, 0o644))
}

// axeSource returns axe-core, which npm keeps for us.
func axeSource(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(testenv.Root(t), ".work/tools/axe")
	path := filepath.Join(dir, "node_modules/axe-core/axe.min.js")
	if _, err := os.Stat(path); err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
			text, err := os.ReadFile(name)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(testenv.Tool(t, "npm"), "ci", "--silent", "--ignore-scripts")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("npm ci: %v\n%s", err, out)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
