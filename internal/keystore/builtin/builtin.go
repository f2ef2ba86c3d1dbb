// Package builtin lists the key stores that come with seawall. To add one, write its driver with a test that calls
// keystoretest.Run, and add a line here.
package builtin

import (
	"fmt"
	"path/filepath"

	"seawall/internal/keystore"
	"seawall/internal/keystore/file"
)

// Driver is a kind of key store.
type Driver struct {
	Name   string
	Create func(dir string) (keystore.Store, error) // fails if there is one in the signer's directory already
	Open   func(dir string) (keystore.Store, error) // fails if there is none
}

// kek is the name of the key-encryption key in the signer's directory.
const kek = "kek"

// Drivers are the kinds of key store, the default first.
var Drivers = []Driver{
	{
		Name:   "file",
		Create: func(dir string) (keystore.Store, error) { return file.Create(filepath.Join(dir, kek)) },
		Open:   func(dir string) (keystore.Store, error) { return file.Open(filepath.Join(dir, kek)) },
	},
}

// ByName finds a driver.
func ByName(name string) (Driver, error) {
	for _, d := range Drivers {
		if d.Name == name {
			return d, nil
		}
	}
	return Driver{}, fmt.Errorf("there is no key store named %q; the only one is %q", name, Drivers[0].Name)
}
