package look

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Languages lists the languages that every page speaks, the default first.
func Languages() []string { return []string{"en", "de"} }

// maxRanges is how many languages of a request are looked at. A browser sends a handful.
const maxRanges = 16

// Language is the language among ours that a request prefers (RFC 9110 §12.5.4).
func Language(r *http.Request) string {
	best, weight := Languages()[0], 0.0
	ranges := 0
	for one := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		if ranges++; ranges > maxRanges {
			break
		}
		tag, params, _ := strings.Cut(strings.TrimSpace(one), ";")
		q := 1.0
		if value, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(value, 64); err != nil || q < 0 || q > 1 {
				continue
			}
		}
		tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
		for _, lang := range Languages() {
			if tag == lang && q > weight {
				best, weight = lang, q
			}
		}
	}
	return best
}

// InLanguage is a request whose reader is answered in the first language of ours among tags that are separated by spaces
// (OpenID Connect Core §3.1.2.1, ui_locales). It is the request itself if none is.
func InLanguage(r *http.Request, tags string) *http.Request {
	for i, tag := range strings.Fields(tags) {
		base, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if i == maxRanges {
			break
		}
		if slices.Contains(Languages(), base) {
			r = r.Clone(r.Context())
			r.Header.Set("Accept-Language", base)
			break
		}
	}
	return r
}

// Say returns what we say under a key in the language of a request, for answers that are no pages.
func Say(r *http.Request, key string, args ...any) string {
	text, err := say(Language(r), key, args...)
	if err != nil {
		return key // a test goes through all keys
	}
	return text
}

// Speaker says things in one language.
type Speaker struct{ lang string }

// Say returns what we say under a key.
func (s Speaker) Say(key string, args ...any) (string, error) { return say(s.lang, key, args...) }

// Date shows a time with its zone, and Ago how far away it is.
func (s Speaker) Date(t time.Time) string { return date(s.lang, t) }

// Ago is for [Speaker.Date].
func (s Speaker) Ago(t, now time.Time) string { return ago(s.lang, t, now) }

func say(lang, key string, args ...any) (string, error) {
	line, ok := words[key]
	if !ok {
		line, ok = consoleWords[key]
	}
	if !ok {
		return "", fmt.Errorf("there are no words for %s", key)
	}
	text := line.en
	if lang == "de" {
		text = line.de
	}
	if len(args) == 0 {
		return text, nil
	}
	return fmt.Sprintf(text, args...), nil
}

var germanMonths = [...]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"}

// date shows a time with its zone.
func date(lang string, t time.Time) string {
	t = t.UTC()
	if lang == "de" {
		return fmt.Sprintf("%d. %s %d, %s UTC", t.Day(), germanMonths[t.Month()-1], t.Year(), t.Format("15:04"))
	}
	return t.Format("2 January 2006, 15:04 UTC")
}

// ago says how far away a time is, in its largest unit.
func ago(lang string, t, now time.Time) string {
	d, key := now.Sub(t), "ago."
	if d < 0 {
		d, key = -d, "in."
	}
	n, unit := 0, "now"
	switch {
	case d < time.Minute:
	case d < time.Hour:
		n, unit = int(d/time.Minute), "minute"
	case d < 48*time.Hour:
		n, unit = int(d/time.Hour), "hour"
	default:
		n, unit = int(d/(24*time.Hour)), "day"
	}
	if n == 0 {
		text, _ := say(lang, key+unit)
		return text
	}
	if n > 1 {
		unit += "s"
	}
	text, _ := say(lang, key+unit, n)
	return text
}
