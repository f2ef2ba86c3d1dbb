package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// mark is the wall of three courses of stone with a wave below, for a terminal.
const mark = `  ┌───┬───┬───┐
  ├─┬─┴─┬─┴─┬─┤
  ├─┴─┬─┴─┬─┴─┤
  ~~~~~~~~~~~~~`

// partLevel is how well a process is kept apart, as it measured it itself.
type partLevel struct{ part, level string }

// welcome is printed after the first start: what was made, how well it is walled in, and what to do next.
func welcome(w io.Writer, d *dataDir, a address, levels []partLevel) {
	program := asTyped(os.Args[0])
	style := styleFor(w)
	fmt.Fprintf(w, "\n%s\n\n%s\n", style.muted(mark), style.strong("A new seawall was made in "+d.path))
	fmt.Fprintln(w, "  house     tenants, clients and hashes of secrets; speaks HTTP; holds no signing key")
	fmt.Fprintln(w, "  signer    the signing keys, sealed; decides by its own policy what may be signed")
	fmt.Fprintln(w, "  ledger    writes down every token before it exists; its root is what APIs pin")
	fmt.Fprintln(w, "\nEach process measured its walls from inside:")
	for _, l := range levels {
		fmt.Fprintf(w, "  %-9s %s\n", l.part, l.level)
	}
	flag := ""
	if d.path != absolute(defaultData) {
		flag = " --data " + d.path
	}
	fmt.Fprintln(w, "\nNext, in another terminal:")
	fmt.Fprintf(w, "  %s tenant create acme --class development --owner ops@acme.example --contact a@acme.example --contact b@acme.example%s\n", program, flag)
	fmt.Fprintf(w, "  %s api create https://api.acme.example --tenant acme --scope read --scope write%s\n", program, flag)
	fmt.Fprintf(w, "  %s client create ci --tenant acme --api https://api.acme.example --scope read%s\n\n", program, flag)
	if !a.named() {
		fmt.Fprintf(w, "%s people can't sign in at %s: browsers bind passkeys to a name, and this is an address.\nFor passkeys, start a new one with --listen localhost:8420, or with --base https://NAME.\n\n", style.warn("Note:"), a.base)
	}
}

// asTyped is how a person calls this program where they are: by the path that started it, if it was one.
func asTyped(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return "seawall"
}

// returned is printed after later starts.
func returned(w io.Writer, levels []partLevel) {
	for _, l := range levels {
		fmt.Fprintf(w, "  %-9s %s\n", l.part, l.level)
	}
}
