package guard

import (
	"net/url"
	"strings"
	"testing"
)

// good are targets with one reading, and the path they decode to.
var good = map[string]string{
	"/":                       "/",
	"/orders":                 "/orders",
	"/orders/":                "/orders/",
	"/orders/7?expand=a/b/..": "/orders/7",
	"/a-b_c~d/e.f":            "/a-b_c~d/e.f",
	"/caf%C3%A9":              "/café",
	"/caf%c3%a9":              "/café",
	"/a%20b/c":                "/a b/c",
	"/user%40example.com":     "/user@example.com",
	"/x:y@z!$&'()*+,=":        "/x:y@z!$&'()*+,=",
	"/...x":                   "/...x",
	"/.well-known/a":          "/.well-known/a",
	"/a?":                     "/a",
	"/a?%2e%2e%00;//":         "/a",
}

// ambiguous are targets with more than one, and why.
var ambiguous = map[string]Ambiguity{
	"":                               notAbsolute,
	"orders":                         notAbsolute,
	"*":                              notAbsolute,
	"http://api.example/orders":      notAbsolute,
	"?a":                             notAbsolute,
	"//orders":                       emptySegment,
	"/public//../admin":              emptySegment,
	"/orders//":                      emptySegment,
	"/public/../admin":               dotSegment,
	"/public/..":                     dotSegment,
	"/./admin":                       dotSegment,
	"/.":                             dotSegment,
	"/admin.":                        dotSegment,
	"/admin./x":                      dotSegment,
	"/admin%20":                      spaceSegment,
	"/admin%20/x":                    spaceSegment,
	"/public/%2e%2e/admin":           encodedMark,
	"/public/.%2E/admin":             encodedMark,
	"/public%2fadmin":                encodedMark,
	"/public%2Fadmin":                encodedMark,
	"/public%5cadmin":                encodedMark,
	"/public/%252e%252e/admin":       encodedMark,
	"/a%3Fb":                         encodedMark,
	"/a%23b":                         encodedMark,
	"/admin%3Bx":                     encodedMark,
	"/public\\admin":                 backslash,
	"/admin;jsessionid=1":            parameter,
	"/public/..;/admin":              parameter,
	"/%61dmin":                       needless,
	"/admi%6E":                       needless,
	"/%7Euser":                       needless,
	"/admin%00":                      control,
	"/admin%0a":                      control,
	"/admin%7f":                      control,
	"/admin%C2%85":                   control,
	"/admin\x00":                     control,
	"/admin\r\nX: y":                 control,
	"/admin%":                        badEncoding,
	"/admin%2":                       badEncoding,
	"/admin%zz":                      badEncoding,
	"/admin%u002f":                   badEncoding,
	"/%c0%af":                        notUTF8, // the overlong slash
	"/%e0%80%af":                     notUTF8,
	"/%ff":                           notUTF8,
	"/%ed%a0%80":                     notUTF8, // half of a surrogate pair
	"/caf\u00e9":                     rawCharacter,
	"/a b":                           rawCharacter,
	"/a|b":                           rawCharacter,
	"/{a}":                           rawCharacter,
	"/a#b":                           rawCharacter,
	"/a?b c":                         badQuery,
	"/a?b#c":                         badQuery,
	"/a?b\x00":                       badQuery,
	"/a?b\u00e9":                     badQuery,
	"/" + strings.Repeat("a", 8<<10): tooLong,
}

func TestAPathHasOneReading(t *testing.T) {
	for target, want := range good {
		if got, why := readTarget(target); why != "" || got.decoded != want {
			t.Errorf("%q reads %q, %q: want %q", target, got.decoded, why, want)
		}
	}
	for target, want := range ambiguous {
		if got, why := readTarget(target); why != want || got != (path{}) {
			t.Errorf("%.60q is %q, refused for %q: want %q", target, got.decoded, why, want)
		}
	}
}

// readings are what other programs make of a path.
var readings = map[string]func(string) string{
	"decoded by net/url": func(s string) string { u, _ := url.PathUnescape(s); return u },
	"decoded twice":      func(s string) string { u, _ := url.PathUnescape(s); v, _ := url.PathUnescape(u); return v },
	"resolved":           func(s string) string { u, _ := url.PathUnescape(s); return resolve(u) },
	"slashes turned":     func(s string) string { u, _ := url.PathUnescape(s); return resolve(strings.ReplaceAll(u, `\`, "/")) },
	"cut at a semicolon": func(s string) string { u, _ := url.PathUnescape(s); before, _, _ := strings.Cut(u, ";"); return before },
	"cut at a NUL": func(s string) string {
		u, _ := url.PathUnescape(s)
		before, _, _ := strings.Cut(u, "\x00")
		return before
	},
	"cut at a mark": func(s string) string { u, _ := url.PathUnescape(s); return before(u) },
}

func before(u string) string {
	if i := strings.IndexAny(u, "?#"); i >= 0 {
		return u[:i]
	}
	return u
}

// resolve removes dot segments and merges slashes, as nginx does.
func resolve(s string) string {
	var kept []string
	for _, segment := range strings.Split(s, "/") {
		switch segment {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
		}
	}
	out := "/" + strings.Join(kept, "/")
	if strings.HasSuffix(s, "/") && out != "/" {
		out += "/"
	}
	return out
}

// FuzzPath holds the reader to its promise: whatever it lets through, every program of the list reads the same.
func FuzzPath(f *testing.F) {
	for target := range good {
		f.Add(target)
	}
	for target := range ambiguous {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		p, why := readTarget(target)
		if why != "" {
			if p != (path{}) {
				t.Fatalf("%q is refused and returned all the same", target)
			}
			return
		}
		if !strings.HasPrefix(target, p.raw) {
			t.Fatalf("%q became %q", target, p.raw)
		}
		for name, read := range readings {
			if got := read(p.raw); got != p.decoded {
				t.Errorf("%q is %q to us, and %s it is %q", p.raw, p.decoded, name, got)
			}
		}
		again, why := readPath(p.raw)
		if why != "" || again != p {
			t.Errorf("%q reads differently the second time: %v, %q", p.raw, again, why)
		}
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Path != p.decoded || u.EscapedPath() != p.raw {
			t.Errorf("net/http reads %q, %v, and passes on %q: want %q", u.Path, err, u.EscapedPath(), p.raw)
		}
	})
}
