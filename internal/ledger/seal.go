package ledger

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"seawall/internal/durable"
)

// A sealed file is "seawall-sealed\n", a version byte, a nonce of 12 bytes and AES-256-GCM under the ledger's
// key-encryption key, with the beginning and the file's purpose as associated data.
const (
	sealMagic   = "seawall-sealed\n"
	sealVersion = 1
	sealHead    = len(sealMagic) + 1
	nonceSize   = 12
	kekFile     = "kek"
	kekSize     = 32
)

// sealer seals the ledger's own files. The key-encryption key is a file beside them: who can read the whole directory
// can read the keys. It keeps apart what is copied apart, such as a backup without it.
type sealer struct {
	aead cipher.AEAD
}

func newSealer(kek []byte) (*sealer, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead}, nil
}

// createSealer makes the key-encryption key of a new ledger.
func createSealer(dir string) (*sealer, error) {
	kek := make([]byte, kekSize)
	rand.Read(kek)
	if err := durable.Replace(filepath.Join(dir, kekFile), kek, 0o600); err != nil {
		return nil, err
	}
	return newSealer(kek)
}

// loadSealer reads the key-encryption key.
func loadSealer(dir string) (*sealer, error) {
	kek, err := readPrivate(filepath.Join(dir, kekFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the key-encryption key is missing: put %s back from its backup; without it the ledger's keys cannot be opened", filepath.Join(dir, kekFile))
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key-encryption key: %w", err)
	}
	if len(kek) != kekSize {
		return nil, fmt.Errorf("the key-encryption key has %d bytes instead of %d: put %s back from its backup", len(kek), kekSize, filepath.Join(dir, kekFile))
	}
	return newSealer(kek)
}

func associated(name string) []byte {
	return append(append([]byte(sealMagic), sealVersion), "ledger/"+name...)
}

// write replaces the sealed file name.
func (s *sealer) write(dir, name string, plain []byte) error {
	b := append([]byte(sealMagic), sealVersion)
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	b = s.aead.Seal(append(b, nonce...), nonce, plain, associated(name))
	return durable.Replace(filepath.Join(dir, name), b, 0o600)
}

// read opens the sealed file name. A missing one is an [os.ErrNotExist].
func (s *sealer) read(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	b, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	if len(b) < sealHead+nonceSize || string(b[:len(sealMagic)]) != sealMagic {
		return nil, fmt.Errorf("%s is not a file of a seawall ledger", path)
	}
	if v := b[sealHead-1]; v != sealVersion {
		return nil, fmt.Errorf("%s has format %d, and this seawall knows %d: use the version that wrote it", path, v, sealVersion)
	}
	plain, err := s.aead.Open(nil, b[sealHead:sealHead+nonceSize], b[sealHead+nonceSize:], associated(name))
	if err != nil {
		return nil, fmt.Errorf("%s does not open: it was changed, or sealed under another key than that in %s", path, filepath.Join(dir, kekFile))
	}
	return plain, nil
}
