package console

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"seawall/internal/server/adminapi"
)

// page is what a template gets. Keys are those of words in package look; texts come from the admin API.
type page struct {
	Title   string // key
	Args    []any  // of the title
	Lead    string // key; may be empty
	Section string // of the navigation, where we are
	Trail   []link // where we came from
	Body    any

	// Set by render.
	Root    string
	Now     time.Time
	Self    *adminapi.Self
	Token   string
	Done    string // key of what has just been done
	Trouble *adminapi.Error
	Again   bool
}

// doneWords say what was done, by the name that an address has for it.
var doneWords = map[string]string{"created": "console.donecreated", "disabled": "console.donedisabled", "completed": "console.donecompleted", "ended": "console.doneended",
	"role": "console.donerole", "rotated": "console.donerotated", "changed": "console.donechanged", "asked": "console.doneasked", "approved": "console.doneapproved", "stopped": "console.donestopped",
	"distrusted": "console.donedistrusted", "givenback": "console.donegivenback"}

// link leads to another page of the console.
type link struct {
	Text string // as it is
	Key  string // or words
	Path string // below the console
}

// cell is one value that a page shows.
type cell struct {
	Text  string
	Key   string // words instead of a text
	Args  []any
	Path  string    // leads there
	Time  time.Time // shown with how long ago
	Now   time.Time
	Copy  bool   // something that people copy
	Badge string // ok, warn, danger or plain
	More  []cell // further values
	Part  int    // of a whole, in hundredths: shown as a bar beside it
}

func text(s string) cell { return cell{Text: s} }

// orNone is a text, or a dash.
func orNone(s string) cell {
	if s == "" {
		return cell{Key: "console.none"}
	}
	return cell{Text: s}
}

func copied(s string) cell { return cell{Text: s, Copy: true} }

func word(key string, args ...any) cell { return cell{Key: key, Args: args} }

func badge(kind, key string, args ...any) cell { return cell{Key: key, Args: args, Badge: kind} }

// when is a time; none is said so.
func (v *visit) when(t time.Time) cell {
	if t.IsZero() {
		return cell{Key: "console.never"}
	}
	return cell{Time: t, Now: v.now}
}

// state says whether something is enabled.
func state(disabled time.Time) cell {
	if disabled.IsZero() {
		return badge("ok", "console.enabled")
	}
	return badge("danger", "console.disabledsince", disabled.UTC().Format("2006-01-02 15:04 UTC"))
}

// texts are several values in one place.
func texts(list []string) cell {
	if len(list) == 0 {
		return cell{Key: "console.none"}
	}
	c := cell{}
	for _, s := range list {
		c.More = append(c.More, text(s))
	}
	return c
}

// fact is a labelled value.
type fact struct {
	Label string // key
	Value cell
}

// table is a list of things.
type table struct {
	Caption string   // key
	Columns []string // keys
	Rows    [][]cell
	Empty   string // key: what it means that there are none
	Add     *act   // makes one more
	Root    string // of paths; set by render
}

// section is a part of a page about one thing: facts, lists and what can be done.
type section struct {
	Head  string // key
	Lead  string // key; may be empty
	Facts []fact
	Table *table
	Acts  []act
}

// act leads to the page on which something is done, or looked at.
type act struct {
	Key    string
	Path   string
	Danger bool
	By     []string // roles that may; nil: all. The admin API has the last word, this only keeps buttons away that can't work
}

// Who may, by role.
var (
	overseers = []string{"owner", "operator", "auditor"}
	operators = []string{"owner", "operator"}
	desk      = []string{"owner", "operator", "help-desk"}
)

// offered leaves out the acts that a role may not do.
func offered(acts []act, role string) []act {
	return slices.DeleteFunc(acts, func(a act) bool { return a.By != nil && !slices.Contains(a.By, role) })
}

// form is a page on which something is done: what will happen, what is asked for, and the button that says it in words.
type form struct {
	Facts  []fact // what will happen, to how many, who is spared, how to undo it
	Table  *table // what it is about
	Fields []field
	Button string // key
	Args   []any
	Danger bool
	Sure   bool   // it asks for a word of agreement, see [sure]
	Back   string // path below the console
}

// field asks for something.
type field struct {
	Name     string
	Label    string // key
	Hint     string // key; may be empty
	Kind     string // text, email, number, lines, choice, checks or hidden
	Value    string
	Chosen   map[string]bool
	Options  []option
	Required bool
}

type option struct {
	Value string
	Text  string // as it is
	Key   string // or words
	Hint  string // key; may be empty
}

// fill puts what was typed into fields.
func (v *visit) fill(fields ...field) []field {
	for i := range fields {
		f := &fields[i]
		if values, typed := v.typed[f.Name]; typed && len(values) > 0 {
			f.Value = values[0]
			f.Chosen = map[string]bool{}
			for _, one := range values {
				f.Chosen[one] = true
			}
		} else if f.Value != "" && f.Chosen == nil {
			f.Chosen = map[string]bool{f.Value: true}
		}
	}
	return fields
}

// lines are the words of a field with one on each line; spaces and commas part them too.
func (v *visit) lines(name string) []string {
	return strings.FieldsFunc(v.typed.Get(name), func(r rune) bool { return r == '\n' || r == '\r' || r == ' ' || r == ',' || r == '\t' })
}

// value is a field without the spaces around it.
func (v *visit) value(name string) string { return strings.TrimSpace(v.typed.Get(name)) }

// at is a path below the console, of names.
func at(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString("/" + url.PathEscape(name))
	}
	return b.String()
}
