package console

import (
	"cmp"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"seawall/internal/look"
	"seawall/internal/server/adminapi"
)

// markup writes the pieces that a page has many of: values, rows, choices, and the ways to other pages. A template would
// look at every part of them by reflection, several times each, and that was most of what a page cost.
type markup struct {
	look.Speaker
	b   strings.Builder
	err error // the first words that there are not
}

// pieces are what templates call.
func pieces(s look.Speaker) template.FuncMap {
	piece := func(write func(*markup)) (template.HTML, error) {
		m := &markup{Speaker: s}
		write(m)
		return template.HTML(m.b.String()), m.err
	}
	return template.FuncMap{
		"value": func(c cell) (template.HTML, error) { return piece(func(m *markup) { m.value(c) }) },
		"facts": func(list []fact) (template.HTML, error) { return piece(func(m *markup) { m.facts(list) }) },
		"rows":  func(t *table) (template.HTML, error) { return piece(func(m *markup) { m.rows(t) }) },
		"field": func(f field) (template.HTML, error) { return piece(func(m *markup) { m.field(f) }) },
		"self": func(home string, who *adminapi.Self) (template.HTML, error) {
			return piece(func(m *markup) { m.self(home, who) })
		},
		"trail": func(root string, list []link) (template.HTML, error) {
			return piece(func(m *markup) { m.trail(root, list) })
		},
		"processes": func(list []process) (template.HTML, error) { return piece(func(m *markup) { m.processes(list) }) },
		"finding": func(root string, f finding) (template.HTML, error) {
			return piece(func(m *markup) { m.finding(root, f) })
		},
		"rooms": func(p page) (template.HTML, error) { return piece(func(m *markup) { m.rooms(p) }) },
		"acts": func(root string, list []act) (template.HTML, error) {
			return piece(func(m *markup) { m.acts(root, list) })
		},
	}
}

// ours is markup that stands in this file: a string that came from anywhere else is not one, and does not compile.
type ours string

func (m *markup) put(s ours) { m.b.WriteString(string(s)) }

// text writes what comes from elsewhere, between tags or in a quoted attribute.
func (m *markup) text(s string) { m.b.WriteString(template.HTMLEscapeString(s)) }

// say writes words.
func (m *markup) say(key string, args ...any) {
	words, err := m.Say(key, args...)
	if err != nil && m.err == nil {
		m.err = err
	}
	m.text(words)
}

// label writes words, or a text as it is.
func (m *markup) label(key, text string) {
	if key == "" {
		m.text(text)
		return
	}
	m.say(key)
}

// link writes the address of a page of the console and what comes before its text. Paths are made of escaped names, so that
// what is left to do is what every attribute needs.
func (m *markup) link(before ours, root, path string) {
	m.put(before)
	m.put(` href="`)
	m.text(root)
	m.text(path)
	m.put(`"`)
}

func (m *markup) value(c cell) {
	switch {
	case len(c.More) > 0:
		m.put(`<ul class="plain">`)
		for _, one := range c.More {
			m.put(`<li>`)
			m.said(one)
			m.put(`</li>`)
		}
		m.put(`</ul>`)
	case c.Badge != "":
		m.put(`<span class="badge `)
		m.text(c.Badge)
		m.put(`">`)
		m.said(c)
		m.put(`</span>`)
	case c.Part > 0: // the number is there to be read, the bar to be looked at
		m.put(`<span class="amount"><span>`)
		m.said(c)
		m.put(`</span><svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false"><rect class="all" width="100" height="8"></rect><rect width="`)
		m.text(strconv.Itoa(c.Part))
		m.put(`" height="8"></rect></svg></span>`)
	case c.Copy:
		m.put(`<span class="copy">`)
		m.said(c)
		m.put(`</span>`)
	default:
		m.said(c)
	}
}

// said is one value in words.
func (m *markup) said(c cell) {
	switch {
	case c.Key != "":
		m.say(c.Key, c.Args...)
	case !c.Time.IsZero():
		m.put(`<time datetime="`)
		m.text(c.Time.UTC().Format(time.RFC3339))
		m.put(`">`)
		m.text(m.Date(c.Time))
		m.put(`</time> <span class="muted">· `)
		m.text(m.Ago(c.Time, c.Now))
		m.put(`</span>`)
	default:
		m.text(c.Text)
	}
}

func (m *markup) facts(list []fact) {
	m.put(`<dl class="facts wide-facts">`)
	for _, f := range list {
		m.put(`<dt>`)
		m.say(f.Label)
		m.put(`</dt><dd>`)
		m.value(f.Value)
		m.put(`</dd>`)
	}
	m.put(`</dl>`)
}

// rows are the head and the body of a table. Each value has its column's name with it, for narrow screens.
func (m *markup) rows(t *table) {
	m.put(`<thead><tr>`)
	for _, key := range t.Columns {
		m.put(`<th scope="col">`)
		m.say(key)
		m.put(`</th>`)
	}
	m.put("</tr></thead>\n  <tbody>")
	for _, row := range t.Rows {
		m.put(`<tr>`)
		for i, c := range row {
			m.put(`<td data-label="`)
			m.say(t.Columns[i])
			m.put(`"><div>`)
			if c.Path != "" {
				m.link(`<a`, t.Root, c.Path)
				m.put(`>`)
			}
			m.value(c)
			if c.Path != "" {
				m.put(`</a>`)
			}
			m.put(`</div></td>`)
		}
		m.put("</tr>\n  ")
	}
	m.put(`</tbody>`)
}

// field asks for something. Lines and numbers are text to a browser: it would judge them in words that are not ours.
func (m *markup) field(f field) {
	switch f.Kind {
	case "hidden":
		m.put(`<input type="hidden" name="`)
		m.text(f.Name)
		m.put(`" value="`)
		m.text(f.Value)
		m.put(`">`)
	case "choice":
		m.choices(f, `radio`)
	case "checks":
		m.choices(f, `checkbox`)
	default:
		m.typed(f)
	}
}

// choices is a field of which one option is chosen, or any.
func (m *markup) choices(f field, kind ours) {
	m.put("\n<fieldset class=\"field\"><legend>")
	m.say(f.Label)
	m.put(`</legend>`)
	if f.Hint != "" {
		m.put(`<p class="hint">`)
		m.say(f.Hint)
		m.put(`</p>`)
	}
	for i, o := range f.Options {
		id := f.Name + "-" + strconv.Itoa(i)
		m.put("\n  <div class=\"choice\"><input type=\"")
		m.put(kind)
		m.named(id, f.Name)
		m.put(` value="`)
		m.text(o.Value)
		m.put(`"`)
		if f.Chosen[o.Value] {
			m.put(` checked`)
		}
		if f.Required {
			m.put(` required`)
		}
		m.put(`><label for="`)
		m.text(id)
		m.put(`">`)
		m.label(o.Key, cmp.Or(o.Text, o.Value))
		m.put(`</label></div>`)
	}
	m.put(`</fieldset>`)
}

// named ends an attribute and says what an input is called.
func (m *markup) named(id, name string) {
	m.put(`" id="`)
	m.text(id)
	m.put(`" name="`)
	m.text(name)
	m.put(`"`)
}

// typed is a field into which somebody types.
func (m *markup) typed(f field) {
	m.put("\n<div class=\"field\"><label for=\"")
	m.text(f.Name)
	m.put(`">`)
	m.say(f.Label)
	m.put(`</label>`)
	if f.Hint != "" {
		m.put(`<span class="hint" id="hint-`)
		m.text(f.Name)
		m.put(`">`)
		m.say(f.Hint)
		m.put(`</span>`)
	}
	switch f.Kind {
	case "lines":
		m.put("\n  <textarea rows=\"3")
		m.named(f.Name, f.Name)
	case "number":
		m.put("\n  <input type=\"text\" inputmode=\"numeric")
		m.named(f.Name, f.Name)
	default:
		m.put("\n  <input type=\"")
		m.text(f.Kind)
		m.named(f.Name, f.Name)
	}
	m.put(` autocomplete="off" autocapitalize="none" spellcheck="false"`)
	if f.Hint != "" {
		m.put(` aria-describedby="hint-`)
		m.text(f.Name)
		m.put(`"`)
	}
	if f.Required {
		m.put(` required`)
	}
	if f.Kind == "lines" {
		m.put(`>`)
		m.text(f.Value)
		m.put("</textarea>\n</div>")
		return
	}
	m.put(` value="`)
	m.text(f.Value)
	m.put("\">\n</div>")
}

// rooms are the ways to the parts of the console, with a mark at the one where we are.
func (m *markup) rooms(p page) {
	for _, room := range []struct{ section, path, key string }{
		{"overview", "", "console.overview"}, {"tenants", "/tenants", "console.tenants"}, {"recoveries", "/recoveries", "console.recoveries"}, {"ledger", "/ledger", "console.ledgertitle"},
	} {
		if room.section == "ledger" && !slices.Contains(overseers, p.Self.Role) {
			continue
		}
		m.link(`<a`, p.Root, room.path)
		switch {
		case p.Section == room.section && len(p.Trail) > 0: // below it
			m.put(` aria-current="true"`)
		case p.Section == room.section:
			m.put(` aria-current="page"`)
		}
		m.put(`>`)
		m.say(room.key)
		m.put("</a>\n  ")
	}
}

// self is who is signed in, and the way to their account.
func (m *markup) self(home string, who *adminapi.Self) {
	m.put(`<div class="self">`)
	m.link(`<a`, home, "/account")
	m.put(`>`)
	m.text(cmp.Or(who.Name, who.Actor))
	m.put(`</a><span class="badge">`)
	m.text(who.Role)
	m.put(`</span></div>`)
}

// trail is how one came here.
func (m *markup) trail(root string, list []link) {
	for _, l := range list {
		m.link(`<a`, root, l.Path)
		m.put(`>`)
		m.label(l.Key, l.Text)
		m.put(`</a>`)
	}
}

// processes are how the three are. What the admin API says of one is English.
func (m *markup) processes(list []process) {
	for _, p := range list {
		m.put(`<li class="box pad"><div class="name"><h3>`)
		m.say(p.Name)
		m.put(`</h3>`)
		m.value(p.State)
		m.put(`</div>`)
		if p.Why != "" {
			m.put(`<p lang="en">`)
			m.text(p.Why)
			m.put(`</p>`)
		}
		m.put(`<p class="small muted"`)
		if p.Detail.Text != "" {
			m.put(` lang="en"`)
		}
		m.put(`>`)
		m.value(p.Detail)
		m.put(`</p></li>`)
	}
}

// finding is what a tenant lacks.
func (m *markup) finding(root string, f finding) {
	m.put(`<div class="name"><h3>`)
	m.link(`<a`, root, at("tenants", f.Tenant))
	m.put(`>`)
	m.text(f.Tenant)
	m.put(`</a></h3></div><p lang="en">`)
	m.text(f.What)
	m.put(`</p>`)
}

// acts are the buttons of a section.
func (m *markup) acts(root string, list []act) {
	for _, a := range list {
		class := ours(`<a class="button plain"`)
		if a.Danger {
			class = `<a class="button danger"`
		}
		m.link(class, root, a.Path)
		m.put(`>`)
		m.say(a.Key)
		m.put(`</a>`)
	}
}
