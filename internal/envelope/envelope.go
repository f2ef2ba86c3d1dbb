// Package envelope encrypts a secret for one reader, who opens it with a key of theirs, in the format of age
// (age-encryption.org/v1).
//
// [ParseRecipient] reads whom it is for: an age recipient (age1…, or age1pq1… for one that quantum computers don't open) or
// the line of an ssh-ed25519 public key. A [Recipient] that was parsed can be encrypted to, so whoever makes a secret for
// somebody asks first and makes it then. [Recipient.Seal] answers with text that may be printed, mailed and kept anywhere.
//
// Nothing here opens an envelope: that is the reader's, with `age -d`.
package envelope

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"

	"seawall/internal/secret"
)

// Recipient is a public key that secrets are encrypted to.
type Recipient struct {
	key         age.Recipient
	fingerprint string
}

// longest is longer than any recipient: one for quantum computers has 1,959 characters.
const longest = 4096

// Why a text is no recipient. None repeats the text: somebody may have taken the wrong half of their key.
var (
	ErrPrivate   = errors.New("this is a private key, and its public half is wanted")
	ErrPlugin    = errors.New("this is a recipient of an age plugin, or it is mistyped")
	ErrSSH       = errors.New("of SSH keys only ssh-ed25519 can be encrypted to")
	ErrRecipient = errors.New("this is no recipient: an age recipient begins with age1, and the line of an SSH key with ssh-ed25519")
)

// ParseRecipient reads an age recipient or the line of an SSH public key, and tries whether it can be encrypted to.
func ParseRecipient(text string) (*Recipient, error) {
	text = strings.TrimSpace(text)
	r, err := parse(text)
	if err != nil {
		return nil, err
	}
	// Some keys are well written and open to everybody: age refuses them when it encrypts.
	if err := encrypt(io.Discard, r.key, ""); err != nil {
		return nil, ErrRecipient
	}
	return r, nil
}

func parse(text string) (*Recipient, error) {
	kind, _, _ := strings.Cut(text, " ")
	switch {
	case strings.Contains(text, "AGE-SECRET-KEY-") || strings.Contains(text, "PRIVATE KEY"):
		return nil, ErrPrivate
	case len(text) > longest || strings.ContainsAny(text, "\r\n"):
		return nil, ErrRecipient
	case kind == ssh.KeyAlgoED25519:
		return parseSSH(text)
	case strings.HasPrefix(kind, "ssh-") || strings.HasPrefix(kind, "ecdsa-") || strings.HasPrefix(kind, "sk-"):
		return nil, ErrSSH
	case strings.HasPrefix(text, "age1pq1"):
		key, err := age.ParseHybridRecipient(text)
		return named(key, err)
	case strings.HasPrefix(text, "age1"):
		key, err := age.ParseX25519Recipient(text)
		return named(key, err)
	}
	return nil, ErrRecipient
}

// native is an age recipient that knows how it is written.
type native interface {
	age.Recipient
	fmt.Stringer
}

// named gives an age recipient its fingerprint: of its text, since age has none.
func named(key native, err error) (*Recipient, error) {
	if err != nil {
		return nil, ErrPlugin
	}
	sum := sha256.Sum256([]byte(key.String()))
	return &Recipient{key, "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])}, nil
}

func parseSSH(line string) (*Recipient, error) {
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return nil, ErrRecipient
	}
	key, err := agessh.NewEd25519Recipient(public)
	if err != nil {
		return nil, ErrRecipient
	}
	return &Recipient{key, ssh.FingerprintSHA256(public)}, nil
}

// Fingerprint tells recipients apart without being long: SHA256: and 43 characters of base64. Of an SSH key it is what
// `ssh-keygen -l` shows, of an age recipient the SHA-256 of its text.
func (r *Recipient) Fingerprint() string { return r.fingerprint }

// Seal encrypts a secret and a note about it, and returns an armored age file. Inside is the secret in the first line, so
// that a command can read it from `age -d`, and the note after it.
func (r *Recipient) Seal(s secret.Text, note string) (string, error) {
	var file strings.Builder
	w := armor.NewWriter(&file)
	if err := encrypt(w, r.key, s.Reveal()+"\n"+note); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", fmt.Errorf("encrypting: %w", err)
	}
	return file.String(), nil
}

func encrypt(to io.Writer, key age.Recipient, plain string) error {
	w, err := age.Encrypt(to, key)
	if err == nil {
		_, err = io.WriteString(w, plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return fmt.Errorf("encrypting: %w", err)
	}
	return nil
}
