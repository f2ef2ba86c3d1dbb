package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// defaultData is where seawall lives when neither --data nor SEAWALL_DATA says so.
const defaultData = "./data"

// errHelpShown ends a command whose help was asked for.
var errHelpShown = errors.New("help was shown")

// flags reads the arguments of one command: the standard library's flags, but before and after the other arguments, and
// with a word of help for those who mistype.
type flags struct {
	*flag.FlagSet
	call         *call
	usage, about string
	required     []string
}

// newFlags starts the flags of a command. usage is what follows its name, and about a sentence or two for its help.
func newFlags(c *call, usage, about string) *flags {
	return &flags{FlagSet: flag.NewFlagSet(c.name, flag.ContinueOnError), call: c, usage: usage, about: about}
}

func (f *flags) help() {
	w := f.call.out
	fmt.Fprintf(w, "usage: seawall %s\n\n%s\n", strings.TrimSpace(f.call.name+" "+f.usage), f.about)
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	first := true
	f.VisitAll(func(one *flag.Flag) {
		if first {
			fmt.Fprintln(table)
			first = false
		}
		value, text := flag.UnquoteUsage(one)
		if one.DefValue != "" && one.DefValue != "false" && one.DefValue != "0" {
			text += " (default " + one.DefValue + ")"
		}
		fmt.Fprintf(table, "  %s\t%s\n", strings.TrimSpace("--"+one.Name+" "+value), text)
	})
	table.Flush()
}

// data adds --data. The path is made absolute when it is asked for, after parsing.
func (f *flags) data() func() (string, error) {
	preset := os.Getenv("SEAWALL_DATA")
	if preset == "" {
		preset = defaultData
	}
	dir := f.String("data", preset, "the `DIR` seawall lives in; SEAWALL_DATA may stand for it")
	return func() (string, error) {
		if *dir == "" {
			return "", usage("--data is empty")
		}
		return filepath.Abs(*dir)
	}
}

// json adds --json.
func (f *flags) json() *bool {
	f.call.asJSON = f.Bool("json", false, "print JSON instead of text")
	return f.call.asJSON
}

// list is a flag that may be given several times, with one value each.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

// list adds a flag that may be repeated.
func (f *flags) list(name, usage string) *list {
	l := new(list)
	f.Var(l, name, usage)
	return l
}

// needs names flags that must be given.
func (f *flags) needs(names ...string) { f.required = append(f.required, names...) }

// parse reads the command's arguments and returns those that are not flags, of which there must be one for each name;
// a last name in brackets may be left out.
func (f *flags) parse(names ...string) ([]string, error) {
	var words []string
	rest := f.call.args
	for len(rest) > 0 {
		if rest[0] == "--" {
			words = append(words, rest[1:]...)
			break
		}
		if !strings.HasPrefix(rest[0], "-") || rest[0] == "-" || isKID(rest[0]) {
			words, rest = append(words, rest[0]), rest[1:]
			continue
		}
		var err error
		if rest, err = f.one(rest); err != nil {
			return nil, err
		}
	}
	required := len(names)
	if required > 0 && strings.HasPrefix(names[required-1], "[") {
		required--
	}
	if len(words) < required {
		return nil, f.wrong("%s is missing", strings.Join(names[len(words):required], " "))
	}
	if len(words) > len(names) {
		return nil, f.wrong("'%s' is one argument too many", words[len(names)])
	}
	for _, name := range f.required {
		if f.Lookup(name).Value.String() == "" {
			return nil, f.wrong("--%s is missing", name)
		}
	}
	return words, nil
}

// isKID reports whether a word that begins with a dash is a key's id, as one in 64 of them does: the first 22 characters of
// a thumbprint in base64url. No flag is as long as that.
func isKID(word string) bool {
	const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return len(word) == 22 && strings.Trim(word, base64url) == ""
}

// given reports whether a flag was on the command line.
func (f *flags) given(name string) (given bool) {
	f.Visit(func(one *flag.Flag) { given = given || one.Name == name })
	return given
}

// one reads the flag at the start of args, and its value.
func (f *flags) one(args []string) ([]string, error) {
	name, value, inline := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
	if name == "h" || name == "help" {
		f.help()
		return nil, errHelpShown
	}
	known := f.Lookup(name)
	if known == nil {
		return nil, f.unknown(name)
	}
	args = args[1:]
	if boolean, ok := known.Value.(interface{ IsBoolFlag() bool }); !inline && ok && boolean.IsBoolFlag() {
		value = "true"
	} else if !inline {
		if len(args) == 0 {
			return nil, f.wrong("--%s needs a value", name)
		}
		value, args = args[0], args[1:]
	}
	if err := f.Set(name, value); err != nil {
		return nil, f.wrong("--%s %s: %v", name, value, err)
	}
	return args, nil
}

func (f *flags) unknown(name string) error {
	var names []string
	f.VisitAll(func(one *flag.Flag) { names = append(names, one.Name) })
	if near := nearest(name, names); near != "" {
		return usage(fmt.Sprintf("%s: no flag --%s: did you mean --%s?", f.call.name, name, near))
	}
	return f.wrong("no flag --%s", name)
}

func (f *flags) wrong(format string, args ...any) error {
	return usage(f.call.name+": "+fmt.Sprintf(format, args...), strings.TrimSpace("seawall "+f.call.name+" "+f.usage), "seawall "+f.call.name+" --help tells more")
}

// absolute makes a path absolute, if that is possible.
func absolute(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	return full
}
