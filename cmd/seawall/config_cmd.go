package main

import (
	"context"
	"path/filepath"
	"reflect"
	"strings"
)

func configCommands() []command {
	return []command{
		{name: "check", help: "check a configuration file without starting anything", run: adapt("config check", configCheck)},
	}
}

func configCheck(_ context.Context, c *call) error {
	f := newFlags(c, "FILE [--for up|serve]", "Checks a configuration file: unknown settings, addresses, files. The vaults check theirs when they start, before they\ntouch anything.")
	asJSON := f.json()
	kind := f.String("for", "up", "the `COMMAND` it is for: up, or serve")
	words, err := f.parse("FILE")
	if err != nil {
		return err
	}
	var a address
	switch *kind {
	case "up":
		a, err = checkUp(words[0])
	case "serve":
		a, err = checkServe(words[0])
	default:
		return f.wrong("--for wants up or serve")
	}
	if err != nil {
		return err
	}
	return c.tell(*asJSON, map[string]any{"ok": true, "listen": a.listen, "base": a.base, "tls": a.tls}, "%s is fine: it would serve %s, listening on %s.\n", words[0], a.base, a.listen)
}

func checkUp(path string) (address, error) {
	s, err := readUpConfig(path)
	if err == nil {
		err = s.settle()
	}
	if err != nil {
		return address{}, err
	}
	return resolveAddress(s.listen, s.base, "", s.tlsCert != "")
}

func checkServe(path string) (address, error) {
	h := new(house)
	err := readConfig(path, &h.serveConfig)
	if err == nil {
		err = h.settle(filepath.Dir(path))
	}
	return address{listen: h.Listen, base: h.Base, tls: h.TLSCert != ""}, err
}

// jsonNames lists the members that JSON may have to fill a struct: its own, then those of the structs in it.
func jsonNames(into any) []string {
	var names []string
	level := []reflect.Type{reflect.TypeOf(into).Elem()}
	for len(level) > 0 {
		var deeper []reflect.Type
		for _, t := range level {
			for i := range t.NumField() {
				name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
				if name == "" {
					continue
				}
				names = append(names, name)
				inner := t.Field(i).Type
				for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
					inner = inner.Elem()
				}
				if inner.Kind() == reflect.Struct {
					deeper = append(deeper, inner)
				}
			}
		}
		level = deeper
	}
	return names
}
