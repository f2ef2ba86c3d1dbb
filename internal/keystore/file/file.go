// Package file is the key store that every machine has: private keys sealed with AES-256-GCM under a key-encryption key
// that is a file beside them.
//
// It protects keys in backups that leave out the key-encryption key, against swapped and restored files, and against
// everybody who may not read the signer's directory. It does not protect them from root on this host, and its
// [Store.Custody] says so.
package file

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"seawall/internal/durable"
	"seawall/internal/keystore"
)

const (
	kekSize = 32
	rsaBits = 2048
	// A sealed key is this version byte, the nonce and the ciphertext of PKCS #8.
	sealedVersion = 1
)

// Store seals keys under one key-encryption key.
type Store struct {
	aead cipher.AEAD
}

// Create makes a new key-encryption key at path (mode 0600, durable) and opens it. It fails if the file exists: another
// key-encryption key would make every sealed key worthless.
func Create(path string) (*Store, error) {
	kek := make([]byte, kekSize)
	defer clear(kek)
	rand.Read(kek)
	if err := create(path, kek); err != nil {
		return nil, fmt.Errorf("creating the key-encryption key: %w", err)
	}
	return newStore(kek)
}

// create writes the file whole or not at all: half a key-encryption key would look like a damaged one at the next start.
func create(path string, kek []byte) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", path, errors.Join(fs.ErrExist, err))
	}
	return durable.Replace(path, kek, 0o600)
}

// Open opens the key-encryption key at path. It refuses a file that others may read.
func Open(path string) (*Store, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the key-encryption key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening the key-encryption key: %w", err)
	}
	switch {
	case !info.Mode().IsRegular() || info.Size() != kekSize:
		return nil, fmt.Errorf("the key-encryption key %s is not a file of %d bytes: restore it from its own backup; without it no key can be opened", path, kekSize)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("the key-encryption key %s may be read by others (mode %04o): run chmod 600 %[1]s and rotate the keys", path, info.Mode().Perm())
	}
	kek := make([]byte, kekSize)
	defer clear(kek)
	if _, err := io.ReadFull(f, kek); err != nil {
		return nil, fmt.Errorf("reading the key-encryption key: %w", err)
	}
	return newStore(kek)
}

func newStore(kek []byte) (*Store, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &Store{aead}, err
}

// Custody calls the store what it is.
func (*Store) Custody() string {
	return "file: sealed on this host's disk; whoever is root here can read it"
}

// Format keeps the key-encryption key out of anything printed.
func (*Store) Format(s fmt.State, _ rune) { io.WriteString(s, "[redacted]") }

// Generate makes a new key.
func (*Store) Generate(alg string) (keystore.Key, error) {
	private, err := generate(alg)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return Adopt(private)
}

func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256", "PS256":
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("%w: %q", keystore.ErrAlgorithm, alg)
}

// Adopt takes in a private key that was made elsewhere. Nothing gives one out again. The drills use it to rehearse with
// keys that are already in the attacker's hands.
func Adopt(private crypto.Signer) (keystore.Key, error) {
	if _, err := keystore.KID(private.Public()); err != nil {
		return nil, err
	}
	if raw, ok := private.(ed25519.PrivateKey); ok {
		private = slices.Clone(raw) // Destroy wipes it, and must not wipe the giver's
	}
	return &key{private: private, public: private.Public()}, nil
}

// Seal encrypts key, bound to binding.
func (s *Store) Seal(k keystore.Key, binding *keystore.Binding) ([]byte, error) {
	own, ok := k.(*key)
	if !ok {
		return nil, errors.New("sealing a key: it belongs to another key store")
	}
	if err := fits(own.public, binding); err != nil {
		return nil, fmt.Errorf("sealing a key: %w", err)
	}
	own.mu.RLock()
	defer own.mu.RUnlock()
	if own.private == nil {
		return nil, keystore.ErrDestroyed
	}
	plain, err := x509.MarshalPKCS8PrivateKey(own.private)
	if err != nil {
		return nil, errors.New("sealing a key: it has no PKCS #8 form")
	}
	defer clear(plain)
	return s.aead.Seal([]byte{sealedVersion}, nil, plain, binding.Append(nil)), nil
}

// Open decrypts what Seal wrote with the same binding.
func (s *Store) Open(sealed []byte, binding *keystore.Binding) (keystore.Key, error) {
	if len(sealed) == 0 || sealed[0] != sealedVersion {
		return nil, keystore.ErrSealed
	}
	plain, err := s.aead.Open(nil, nil, sealed[1:], binding.Append(nil))
	if err != nil {
		return nil, keystore.ErrSealed
	}
	defer clear(plain)
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, keystore.ErrSealed
	}
	private, ok := parsed.(crypto.Signer)
	if !ok || fits(private.Public(), binding) != nil {
		return nil, keystore.ErrSealed
	}
	return Adopt(private)
}

// fits reports whether a binding speaks of this key.
func fits(public crypto.PublicKey, binding *keystore.Binding) error {
	kid, err := keystore.KID(public)
	switch {
	case err != nil:
		return err
	case kid != binding.KID:
		return errors.New("the binding names another key")
	case !keystore.Algorithm(public, binding.Alg):
		return fmt.Errorf("%w: %q", keystore.ErrAlgorithm, binding.Alg)
	}
	return nil
}

// key is a private key in this process's memory.
type key struct {
	public crypto.PublicKey

	mu      sync.RWMutex
	private crypto.Signer // nil when destroyed
}

func (k *key) Public() crypto.PublicKey { return k.public }

func (k *key) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.private == nil {
		return nil, keystore.ErrDestroyed
	}
	random := rand.Reader
	if _, ok := k.private.(*ecdsa.PrivateKey); ok {
		// The nonce is made of the key and the digest (RFC 6979): no weak source of random numbers can give the key away,
		// and it costs a fifth less. Randomness on top would guard against faults between two signatures over the same
		// bytes, and there are none such: every token holds a receipt of its own.
		random = nil
	}
	return k.private.Sign(random, digest, opts)
}

// Destroy lets go of the private key. Its bytes leave memory when the garbage collector gets there, and not by our
// zeroing the fields we can see: crypto/ecdsa and crypto/rsa keep copies of their own. Until then the walls around the
// process protect them.
func (k *key) Destroy() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if raw, ok := k.private.(ed25519.PrivateKey); ok {
		clear(raw)
	}
	k.private = nil
}

// Format keeps the private key out of anything printed, whatever the verb.
func (*key) Format(s fmt.State, _ rune) { io.WriteString(s, "[redacted]") }

// MarshalJSON keeps it out of anything encoded.
func (*key) MarshalJSON() ([]byte, error) { return []byte(`"[redacted]"`), nil }
