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
	// Left are refresh tokens of earlier ways through the browser that are still to be revoked.
	Left []string `json:"left,omitempty"`
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
	if err := l.reread(); err != nil {
		return nil, err
	}
	return l, nil
}

// reread takes the login from its file, which another command may have changed.
func (l *Login) reread() error {
	now, err := read(l.path, l.Base)
	if err != nil {
		return err
	}
	l.key, l.refresh, l.left = now.key, now.refresh, now.left
	return nil
}

// alone keeps other commands of this user from changing logins until free is called, and rereads this one: a refresh token
// that two use looks like a theft.
func (l *Login) alone() (free func(), err error) {
	dir := filepath.Dir(l.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("keeping the login: %w", err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("keeping the login: %w", err)
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("keeping the login: %w", err), f.Close())
	}
	free = func() { _ = f.Close() } // which lets go
	if l.refresh.IsZero() {         // the first way through the browser: there is no file yet, or another login's
		return free, nil
	}
	if err := l.reread(); err != nil {
		free()
		return nil, err
	}
	return free, nil
}

// credentials are what a file has.
type credentials struct {
	key     *ecdsa.PrivateKey
	refresh secret.Text
	left    []secret.Text
}

func read(path, base string) (*credentials, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the login: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others: its login may be theirs too; end it with `seawall logout`, or chmod 600 it if you are sure", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the login: %w", err)
	}
	damaged := fmt.Errorf("%s is damaged: run `seawall login %s` again", path, base)
	var k kept
	if err := json.Unmarshal(text, &k); err != nil || k.Base != base {
		return nil, damaged
	}
	key, err := x509.ParsePKCS8PrivateKey(k.Key)
	ec, ok := key.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, damaged
	}
	c := &credentials{key: ec, refresh: secret.New(k.Refresh)}
	for _, token := range k.Left {
		c.left = append(c.left, secret.New(token))
	}
	return c, nil
}

// save keeps the login, so that a crash leaves the old file or the new one.
func (l *Login) save() error {
	der, err := x509.MarshalPKCS8PrivateKey(l.key)
	if err != nil {
		return err
	}
	k := kept{Base: l.Base, Key: der, Refresh: l.refresh.Reveal()}
	for _, token := range l.left {
		k.Left = append(k.Left, token.Reveal())
	}
	text, err := json.Marshal(k)
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
