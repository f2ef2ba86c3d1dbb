package main

import (
	"context"
	"fmt"
	"reflect"
	"strings"
)

func configCommands() []command {
	return []command{
		{name: "check", help: "check a configuration file without starting anything", run: adapt("config check", configCheck)},
	}
}

func configCheck(_ context.Context, c *call) error {
	f := newFlags(c, "FILE", "Checks the configuration file of `seawall up`: unknown settings, addresses, files.")
	asJSON := f.json()
	words, err := f.parse("FILE")
	if err != nil {
		return err
	}
	s, err := readUpConfig(words[0])
	if err != nil {
		return err
	}
	if err := s.settle(); err != nil {
		return fmt.Errorf("configuration: %s: %w", words[0], err)
	}
	a, err := resolveAddress(s.listen, s.base, "", s.tlsCert != "")
	if err != nil {
		return fmt.Errorf("configuration: %s: %w", words[0], err)
	}
	if *asJSON {
		return writeJSON(c.out, map[string]any{"ok": true, "listen": a.listen, "base": a.base, "tls": a.tls})
	}
	_, err = fmt.Fprintf(c.out, "%s is fine: it would serve %s, listening on %s.\n", words[0], a.base, a.listen)
	return err
}

// jsonNames lists the members that JSON may have to fill a struct.
func jsonNames(into any) []string {
	var names []string
	t := reflect.TypeOf(into).Elem()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
