package main

import (
	"context"
	"fmt"

	"seawall/internal/link"
)

func runIdentity(_ context.Context, c *call) error {
	f := newFlags(c, "--certificate FILE --key FILE",
		"Makes a key and a certificate for one end of a link between machines, in two new files, and prints the fingerprint\nto put into the other end's configuration. docs/hosts.md has a complete example.")
	certificate := f.String("certificate", "", "new `FILE` for the certificate")
	key := f.String("key", "", "new `FILE` for the private key, 0600")
	f.needs("certificate", "key")
	asJSON := f.json()
	if _, err := f.parse(); err != nil {
		return err
	}
	fingerprint, err := link.CreateIdentity(*certificate, *key, "seawall")
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, map[string]string{"fingerprint": fingerprint})
	}
	_, err = fmt.Fprintln(c.out, fingerprint)
	return err
}
