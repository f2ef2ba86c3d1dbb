package remote

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"seawall/internal/secret"
)

// kept is a login as it is in its file, which nobody but its owner can read.
type kept struct {
	Base    string `json:"base"`
	Key     []byte `json:"key"` // PKCS #8
	Refresh string `json:"refresh_token"`
}

// Dir is where logins are kept: seawall in the user's directory for configuration, such as ~/.config.
func Dir() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("where logins are kept: %w", err)
	}
	return filepath.Join(dir, "seawall"), nil
}

// currentFile names the login that was made last.
const currentFile = "current"

func fileOf(dir, base string) string {
	sum := sha256.Sum256([]byte(base))
	return filepath.Join(dir, "login-"+hex.EncodeToString(sum[:8])+".json")
}

// Load returns the login at a seawall, or the one that was made last when base is empty. If there is none the error is
// [fs.ErrNotExist].
func Load(dir, base string) (*Login, error) {
	if base == "" {
		text, err := os.ReadFile(filepath.Join(dir, currentFile))
		if err != nil {
			return nil, fmt.Errorf("reading the last login: %w", err)
		}
		base = string(text)
	}
	l, err := newLogin(base)
	if err != nil {
		return nil, err
	}
	l.path = fileOf(dir, l.Base)
	info, err := os.Stat(l.path)
	if err != nil {
		return nil, fmt.Errorf("reading the login: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others: its login may be theirs too; end it with `seawall logout`, or chmod 600 it if you are sure", l.path)
	}
	text, err := os.ReadFile(l.path)
	if err != nil {
		return nil, fmt.Errorf("reading the login: %w", err)
	}
	var k kept
	if err := json.Unmarshal(text, &k); err != nil || k.Base != l.Base {
		return nil, fmt.Errorf("%s is damaged: run `seawall login %s` again", l.path, l.Base)
	}
	key, err := x509.ParsePKCS8PrivateKey(k.Key)
	ec, ok := key.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s is damaged: run `seawall login %s` again", l.path, l.Base)
	}
	l.key, l.refresh = ec, secret.New(k.Refresh)
	return l, nil
}

// save keeps the login, so that a crash leaves the old file or the new one.
func (l *Login) save() error {
	der, err := x509.MarshalPKCS8PrivateKey(l.key)
	if err != nil {
		return err
	}
	text, err := json.Marshal(kept{l.Base, der, l.refresh.Reveal()})
	if err != nil {
		return err
	}
	return write(l.path, text)
}

func write(path string, text []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keeping the login: %w", err)
	}
	f, err := os.CreateTemp(dir, ".new-*") // 0600
	if err != nil {
		return fmt.Errorf("keeping the login: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keeping the login: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// forget removes the login from this machine.
func (l *Login) forget() error {
	current := filepath.Join(filepath.Dir(l.path), currentFile)
	if text, err := os.ReadFile(current); err == nil && string(text) == l.Base {
		if err := os.Remove(current); err != nil {
			return err
		}
	}
	if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
