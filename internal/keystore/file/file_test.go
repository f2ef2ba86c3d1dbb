package file_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"seawall/internal/keystore"
	"seawall/internal/keystore/file"
	"seawall/internal/keystore/keystoretest"
)

func create(t *testing.T) keystore.Store {
	t.Helper()
	store, err := file.Create(filepath.Join(t.TempDir(), "kek"))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestContract(t *testing.T) { keystoretest.Run(t, create, create) }

func TestCustodyCallsItWhatItIs(t *testing.T) {
	if got := create(t).Custody(); got != "file: sealed on this host's disk; whoever is root here can read it" {
		t.Errorf("got %q", got)
	}
}

func TestCreateIsPrivateAndNeverOverwrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	if _, err := file.Create(path); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 || info.Size() != 32 {
		t.Fatalf("got %v, %v", info.Mode(), err)
	}
	if _, err := file.Create(path); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("creating it again: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Fatal("the key-encryption key changed")
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"readable by others": {strings.Repeat("k", 32), 0o604, "chmod 600"},
		"readable by group":  {strings.Repeat("k", 32), 0o640, "chmod 600"},
		"too short":          {strings.Repeat("k", 31), 0o600, "not a file of 32 bytes"},
		"too long":           {strings.Repeat("k", 33), 0o600, "not a file of 32 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kek")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := file.Open(path)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), "kkkk") {
				t.Error("the error holds the key")
			}
		})
	}
	if _, err := file.Open(filepath.Join(t.TempDir(), "kek")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := file.Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a directory: %v", err)
	}
}

func TestOpenedAgainIsTheSameStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	store, err := file.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := store.Generate("ES256")
	if err != nil {
		t.Fatal(err)
	}
	binding := keystoretest.Binding(t, key, "ES256")
	sealed, err := store.Seal(key, binding)
	if err != nil {
		t.Fatal(err)
	}
	again, err := file.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Open(sealed, binding); err != nil {
		t.Fatal(err)
	}
}

func TestNothingPrintsTheKeyEncryptionKey(t *testing.T) {
	store := create(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
		if got := fmt.Sprintf(verb, store); got != "[redacted]" {
			t.Errorf("%s prints something of the store", verb)
		}
	}
}

func TestAdoptTakesOnlyKeysItCanUse(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Adopt(private); !errors.Is(err, keystore.ErrAlgorithm) {
		t.Errorf("a P-384 key: %v", err)
	}
}

// TestES256IsDeterministic signs the example of RFC 6979 (§A.2.5, SHA-256, "sample").
func TestES256IsDeterministic(t *testing.T) {
	scalar, _ := hex.DecodeString("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
	const want = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716" +
		"f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		t.Fatal(err)
	}
	key, err := file.Adopt(private)
	if err != nil {
		t.Fatal(err)
	}
	got, err := keystore.AppendSignature(nil, key, "ES256", []byte("sample"))
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("%x, %v; want %s", got, err, want)
	}
}

func TestKeysOfAnotherDriverAreNotSealed(t *testing.T) {
	store := create(t)
	key, err := store.Generate("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	type wrapped struct{ keystore.Key }
	if _, err := store.Seal(wrapped{key}, keystoretest.Binding(t, key, "EdDSA")); err == nil {
		t.Error("sealed a key that is not this driver's")
	}
}
