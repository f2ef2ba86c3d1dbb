package builtin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"seawall/internal/keystore"
	"seawall/internal/keystore/keystoretest"
)

// Every driver in the list passes the contract through the list, and finds again what it made.
func TestDrivers(t *testing.T) {
	for _, d := range Drivers {
		t.Run(d.Name, func(t *testing.T) {
			create := func(t *testing.T) keystore.Store {
				dir := t.TempDir()
				if _, err := d.Open(dir); err == nil {
					t.Fatal("opened a store that was never made")
				}
				if _, err := d.Create(dir); err != nil {
					t.Fatal(err)
				}
				store, err := d.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				return store
			}
			keystoretest.Run(t, create, create)
		})
	}
}

// Every driver's folder has a test that calls the contract itself.
func TestDriversAreTested(t *testing.T) {
	for _, d := range Drivers {
		tests, err := filepath.Glob(filepath.Join("..", d.Name, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, path := range tests {
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(source), "keystoretest.Run(")
		}
		if !found {
			t.Errorf("%s does not run keystoretest", d.Name)
		}
	}
}

func TestByName(t *testing.T) {
	if d, err := ByName("file"); err != nil || d.Name != "file" {
		t.Errorf("got %v, %v", d.Name, err)
	}
	if _, err := ByName("pkcs11"); err == nil || !strings.Contains(err.Error(), `"pkcs11"`) {
		t.Errorf("got %v", err)
	}
}
